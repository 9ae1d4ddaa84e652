//! Which names a policy, or a part of it, may touch.

use std::fmt;

#[cfg(feature = "regex")]
use crate::Regex;
use crate::Template;

/// A matcher over snapshot names (the part after `@`).
///
/// ```
/// use zfs_retention::Names;
///
/// let names = Names::prefix("autosnap_").and(Names::suffix("_daily"));
/// assert!(names.matches("autosnap_2026-04-03_00:00:00_daily"));
/// assert!(!names.matches("before-upgrade"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Names {
    /// Every name, those made by hand and by other tools included.
    Any,
    /// Exactly this name.
    Exact(String),
    /// Names that begin so.
    Prefix(String),
    /// Names that end so.
    Suffix(String),
    /// Names that fit a shell-like pattern.
    Glob(Glob),
    /// Names in which a regular expression is found.
    #[cfg(feature = "regex")]
    Regex(Regex),
    /// Names that a template could have made.
    Template(Template),
    /// Names that at least one of these matches; none matches nothing.
    AnyOf(Vec<Names>),
    /// Names that each of these matches; none matches everything.
    AllOf(Vec<Names>),
    /// Names that this does not match.
    Not(Box<Names>),
}

impl Names {
    /// Names that begin with `prefix`.
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Self::Prefix(prefix.into())
    }

    /// Names that end with `suffix`.
    pub fn suffix(suffix: impl Into<String>) -> Self {
        Self::Suffix(suffix.into())
    }

    /// Names that fit `pattern`; see [`Glob`].
    pub fn glob(pattern: impl Into<String>) -> Self {
        Self::Glob(Glob::new(pattern))
    }

    /// Names that both match.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::AllOf(vec![self, other])
    }

    /// Names that at least one of the two matches.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self::AnyOf(vec![self, other])
    }

    /// Names that this does not match.
    #[must_use]
    pub fn negated(self) -> Self {
        Self::Not(Box::new(self))
    }

    /// Whether `name` is one of them.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => name == exact,
            Self::Prefix(prefix) => name.starts_with(prefix.as_str()),
            Self::Suffix(suffix) => ends_with(name.as_bytes(), suffix.as_bytes()),
            Self::Glob(glob) => glob.matches(name),
            #[cfg(feature = "regex")]
            Self::Regex(regex) => regex.matches(name),
            Self::Template(template) => template.read(name).is_some(),
            Self::AnyOf(all) => all.iter().any(|names| names.matches(name)),
            Self::AllOf(all) => all.iter().all(|names| names.matches(name)),
            Self::Not(names) => !names.matches(name),
        }
    }
}

/// Most names do not end so, and mostly one byte tells.
fn ends_with(name: &[u8], suffix: &[u8]) -> bool {
    let Some(before) = name.len().checked_sub(suffix.len()) else {
        return false;
    };
    name.get(before) == suffix.first() && name.ends_with(suffix)
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, all: &[Names], word: &str| {
            f.write_str("(")?;
            for (nth, names) in all.iter().enumerate() {
                if nth > 0 {
                    write!(f, " {word} ")?;
                }
                names.fmt(f)?;
            }
            f.write_str(")")
        };
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(name) => f.write_str(name),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
            Self::Suffix(suffix) => write!(f, "*{suffix}"),
            Self::Glob(glob) => glob.fmt(f),
            #[cfg(feature = "regex")]
            Self::Regex(regex) => regex.fmt(f),
            Self::Template(template) => template.fmt(f),
            Self::AnyOf(all) => list(f, all, "or"),
            Self::AllOf(all) => list(f, all, "and"),
            Self::Not(names) => write!(f, "not {names}"),
        }
    }
}

/// A shell-like pattern over a whole name: `*` stands for any text, `?` for
/// one character, everything else for itself.
///
/// Brackets are ordinary characters, so that no name is hard to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// Every string is a pattern.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// Whether the whole of `name` fits. Takes at most pattern times name
    /// steps, whatever the pattern.
    pub fn matches(&self, name: &str) -> bool {
        let (mut pattern, mut rest) = (self.0.as_str(), name);
        // Where to go on when the text after the latest `*` does not fit:
        // give that star one character more.
        let mut retry: Option<(&str, &str)> = None;
        loop {
            let mut after = pattern.chars();
            let mut text = rest.chars();
            match (after.next(), text.next()) {
                (Some('*'), _) => {
                    pattern = after.as_str();
                    retry = Some((pattern, rest));
                    continue;
                }
                (None, None) => return true,
                (Some(want), Some(have)) if want == '?' || want == have => {
                    pattern = after.as_str();
                    rest = text.as_str();
                    continue;
                }
                _ => {}
            }
            let Some((behind_star, skipped)) = retry else {
                return false;
            };
            let mut text = skipped.chars();
            if text.next().is_none() {
                return false;
            }
            pattern = behind_star;
            rest = text.as_str();
            retry = Some((pattern, rest));
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_whole_names() {
        for (pattern, name, fits) in [
            ("", "", true),
            ("*", "", true),
            ("a*", "abc", true),
            ("a*c", "abc", true),
            ("a*c", "abcd", false),
            ("*_daily", "x_daily_daily", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("auto-[x]", "auto-[x]", true),
            ("?", "ü", true),
        ] {
            assert_eq!(
                Glob::new(pattern).matches(name),
                fits,
                "{pattern} on {name}"
            );
        }
    }

    #[test]
    fn a_hostile_glob_stays_cheap() {
        let pattern = "*a".repeat(200);
        assert!(!Glob::new(pattern).matches(&"a".repeat(199)));
    }

    #[test]
    fn combinations_say_what_they_match() {
        let names = Names::prefix("a")
            .and(Names::suffix("z").negated())
            .or(Names::Exact("q".into()));
        assert!(names.matches("ab"));
        assert!(!names.matches("az"));
        assert!(names.matches("q"));
        assert_eq!(names.to_string(), "((a* and not *z) or q)");
    }

    #[test]
    fn a_template_matches_what_it_would_print() {
        let names = Names::Template(Template::sanoid());
        assert!(names.matches("autosnap_2026-04-03_02:00:00_daily"));
        assert!(!names.matches("autosnap_by_hand"));
    }

    #[test]
    fn a_suffix_is_the_end_of_a_name_or_all_of_it() {
        for (name, suffix, fits) in [
            ("", "", true),
            ("a", "", true),
            ("", "a", false),
            ("_daily", "_daily", true),
            ("x_daily", "_daily", true),
            ("x_dailx", "_daily", false),
            ("daily", "_daily", false),
        ] {
            assert_eq!(
                Names::suffix(suffix).matches(name),
                fits,
                "{suffix} on {name}"
            );
        }
    }

    #[test]
    fn an_empty_choice_matches_nothing() {
        assert!(!Names::AnyOf(Vec::new()).matches("a"));
        assert!(Names::AllOf(Vec::new()).matches("a"));
    }
}
