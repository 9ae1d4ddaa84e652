//! Regular expressions over names.

use std::{fmt, str::FromStr};

use crate::{Error, Names};

/// Memory that one compiled pattern may take; patterns come from
/// configuration files.
const MOST_BYTES: usize = 1 << 20;

/// A regular expression over snapshot names, as zrepl's `regex` has it
/// (`internal/pruning/keep_regex.go`, zrepl 0.7; needs the feature `regex`).
///
/// It is looked for anywhere in a name: `^` and `$` tie it to the ends. The
/// syntax is that of the `regex` crate, which is Go's but for `\Q…\E` and
/// `\C`; it takes time in proportion to the name, whatever the pattern.
///
/// zrepl's `negate: true` is [`Names::negated`]. So its rules
///
/// ```yaml
/// - type: grid
///   grid: 1x1h(keep=all) | 24x1h
///   regex: "^zrepl_"
/// - type: regex
///   negate: true
///   regex: "^zrepl_"
/// ```
///
/// are
///
/// ```
/// use zfs_retention::{Names, Part, Policy, Regex};
///
/// let own = Names::Regex("^zrepl_".parse::<Regex>()?);
/// let policy = Policy::managing(Names::Any)
///     .with(Part::grid("1x1h(keep=all) | 24x1h".parse()?).covering(own.clone()))
///     .with(Part::every(own.negated()));
/// assert_eq!(policy.parts()[1].to_string(), "all of not /^zrepl_/");
/// # Ok::<(), zfs_retention::Error>(())
/// ```
///
/// With `_daily$`, `zrepl_20260403_daily` matches and `daily_2026` does not;
/// with `daily`, both do.
///
/// One difference: a snapshot that no part covers is destroyed by zrepl and is
/// not managed here.
#[derive(Clone, Debug)]
pub struct Regex(regex::Regex);

impl Regex {
    /// Whether it is found in `name`.
    pub fn matches(&self, name: &str) -> bool {
        self.0.is_match(name)
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// Two are the same that are written the same.
impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Regex {}

impl FromStr for Regex {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        regex::RegexBuilder::new(text)
            .size_limit(MOST_BYTES)
            .dfa_size_limit(MOST_BYTES)
            .build()
            .map(Self)
            .map_err(|error| {
                let problem = error.to_string();
                // Of several lines only the last says what is wrong.
                let last = problem.lines().last().unwrap_or_default().trim();
                let last = last.strip_prefix("error: ").unwrap_or(last);
                Error::syntax("regular expression", text, last)
            })
    }
}

impl fmt::Display for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.as_str())
    }
}

impl Names {
    /// Names in which `pattern` is found; see [`Regex`].
    ///
    /// # Errors
    ///
    /// It is no regular expression, or one that takes too much memory.
    pub fn regex(pattern: &str) -> Result<Self, Error> {
        pattern.parse().map(Self::Regex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_found_anywhere_unless_tied() {
        for (pattern, name, found) in [
            ("daily", "zrepl_daily_1", true),
            ("^daily", "zrepl_daily_1", false),
            ("^zrepl_.*", "zrepl_daily_1", true),
            ("_daily$", "zrepl_daily", true),
            ("_daily$", "zrepl_daily_1", false),
            (r"^zrepl_\d{8}_", "zrepl_20260403_020000_000", true),
            ("", "anything", true),
            ("(?i)DAILY", "daily", true),
        ] {
            let names = Names::regex(pattern).unwrap();
            assert_eq!(names.matches(name), found, "{pattern} in {name}");
            assert_eq!(names.negated().matches(name), !found, "{pattern}");
        }
    }

    #[test]
    fn patterns_are_the_same_that_are_written_the_same() {
        let pattern = |text| Names::regex(text).unwrap();
        assert_eq!(pattern("^a"), pattern("^a"));
        assert_ne!(pattern("^a"), pattern("^(a)"));
    }

    #[test]
    fn what_is_wrong_with_a_pattern_is_said_in_one_line() {
        let error = Names::regex("^(zrepl").unwrap_err().to_string();
        assert_eq!(
            error,
            "cannot read regular expression \"^(zrepl\": unclosed group"
        );
        for pattern in ["[", "a{2,1}", r"\Q", "*"] {
            assert!(Names::regex(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn a_hostile_pattern_is_refused_or_cheap() {
        assert!(Names::regex("((a{100}){100}){100}").is_err());
        assert!(Names::regex(&"(".repeat(100_000)).is_err());
        let slow_elsewhere = Names::regex("^(a+)+$").unwrap();
        assert!(!slow_elsewhere.matches(&format!("{}b", "a".repeat(250))));
    }
}
