//! Patterns for names.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Operation};

/// Longer than any name, and short enough for any pattern to be matched at
/// once.
const MAX_PATTERN_BYTES: usize = 1024;

/// A pattern for names, as a shell has it.
///
/// `*` stands for any characters but a slash, `**` for any characters, `?` for
/// one that is no slash, `[a-z]` for one of those and `[!a-z]` for one that is
/// none of those. The whole name has to match.
///
/// ```
/// use zfs_core::Glob;
///
/// let daily: Glob = "autosnap_*_daily".parse()?;
/// assert!(daily.matches("autosnap_2026-11-22_daily"));
/// assert!(!daily.matches("autosnap_2026-11-22_hourly"));
/// # Ok::<(), zfs_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(u8),
    /// One character.
    Any,
    /// Any number of characters; with slashes or without.
    Star {
        slashes: bool,
    },
    /// One in these ranges, or not in them.
    Class {
        ranges: Vec<(u8, u8)>,
        negated: bool,
    },
}

impl Part {
    /// Whether that byte alone fits.
    fn fits(&self, byte: u8) -> bool {
        match self {
            Part::Literal(literal) => *literal == byte,
            Part::Any | Part::Star { slashes: false } => byte != b'/',
            Part::Star { slashes: true } => true,
            Part::Class { ranges, negated } => {
                let within = ranges.iter().any(|(a, z)| (*a..=*z).contains(&byte));
                within != *negated && byte != b'/'
            }
        }
    }
}

impl Glob {
    /// Whether the whole of `name` fits.
    pub fn matches(&self, name: &str) -> bool {
        // Which numbers of parts can have matched what was read so far: time
        // goes with the product of the lengths, whatever the pattern.
        let mut states = vec![false; self.parts.len() + 1];
        if let Some(first) = states.first_mut() {
            *first = true;
        }
        self.pass_stars(&mut states);
        for byte in name.bytes() {
            let mut next = vec![false; states.len()];
            for (at, part) in self.parts.iter().enumerate() {
                if !states.get(at).copied().unwrap_or_default() || !part.fits(byte) {
                    continue;
                }
                let to = match part {
                    Part::Star { .. } => at,
                    _ => at + 1,
                };
                if let Some(state) = next.get_mut(to) {
                    *state = true;
                }
            }
            self.pass_stars(&mut next);
            states = next;
        }
        states.last().copied().unwrap_or_default()
    }

    /// A star stands for nothing as well.
    fn pass_stars(&self, states: &mut [bool]) {
        for (at, part) in self.parts.iter().enumerate() {
            let reached = states.get(at).copied().unwrap_or_default();
            if let (true, Part::Star { .. }, Some(after)) = (reached, part, states.get_mut(at + 1))
            {
                *after = true;
            }
        }
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl FromStr for Glob {
    type Err = Error;

    /// # Errors
    ///
    /// [`Error::InvalidRequest`] where a `[` has no `]`, a range is the wrong
    /// way round, or the pattern has more than 1024 bytes.
    fn from_str(text: &str) -> Result<Glob, Error> {
        let wrong = |reason: &str| {
            let shown: String = text.chars().take(256).collect();
            Error::invalid(Operation::List, format!("{shown:?}"), reason)
        };
        if text.len() > MAX_PATTERN_BYTES {
            return Err(wrong("a pattern has at most 1024 bytes"));
        }
        let mut parts = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            parts.push(match first {
                b'?' => Part::Any,
                b'*' => match rest.strip_prefix(b"*") {
                    Some(after) => {
                        rest = after;
                        Part::Star { slashes: true }
                    }
                    None => Part::Star { slashes: false },
                },
                b'[' => {
                    // A bracket that stands first is one of those meant.
                    let skip = 1 + usize::from(rest.starts_with(b"!"));
                    let end = rest.iter().skip(skip).position(|byte| *byte == b']');
                    let end = end.ok_or_else(|| wrong("a [ in it has no ]"))? + skip;
                    let (class, after) = rest.split_at(end);
                    rest = after.get(1..).unwrap_or_default();
                    class_of(class).ok_or_else(|| wrong("a range in it is the wrong way round"))?
                }
                literal => Part::Literal(*literal),
            });
        }
        Ok(Glob {
            text: text.to_owned(),
            parts,
        })
    }
}

fn class_of(class: &[u8]) -> Option<Part> {
    let (negated, mut class) = match class.strip_prefix(b"!") {
        Some(rest) => (true, rest),
        None => (false, class),
    };
    let mut ranges = Vec::new();
    loop {
        match class {
            [] => return Some(Part::Class { ranges, negated }),
            [from, b'-', to, rest @ ..] => {
                if from > to {
                    return None;
                }
                ranges.push((*from, *to));
                class = rest;
            }
            [one, rest @ ..] => {
                ranges.push((*one, *one));
                class = rest;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, name: &str) -> bool {
        pattern.parse::<Glob>().expect("a pattern").matches(name)
    }

    #[test]
    fn patterns_are_a_shell_s() {
        for (pattern, yes, no) in [
            ("", "", "a"),
            ("a", "a", "ab"),
            ("*", "anything", "a/b"),
            ("**", "a/b", "\u{0}"),
            ("tank/*", "tank/a", "tank/a/b"),
            ("tank/**", "tank/a/b", "tank"),
            ("a?c", "abc", "a/c"),
            ("*-daily", "x-daily", "x-daily-2"),
            ("[a-c]1", "b1", "d1"),
            ("[!a-c]1", "d1", "b1"),
            ("[]]", "]", "["),
            ("[!]]", "a", "]"),
            ("[-a]", "-", "b"),
            ("a*b*c", "a-b-b-c", "a-b"),
        ] {
            assert!(matches(pattern, yes), "{pattern:?} and {yes:?}");
            if no != "\u{0}" {
                assert!(!matches(pattern, no), "{pattern:?} and {no:?}");
            }
        }
        assert!(!matches("[!a]", "/"));
    }

    #[test]
    fn a_pattern_that_is_none_is_refused() {
        let long = "a".repeat(MAX_PATTERN_BYTES + 1);
        for pattern in ["[", "[a", "[]", "[!", "[!]", "[z-a]", long.as_str()] {
            let error = pattern.parse::<Glob>().unwrap_err();
            assert!(matches!(error, Error::InvalidRequest { .. }), "{pattern}");
        }
    }

    #[test]
    fn the_worst_pattern_takes_no_time() {
        let pattern = "*a".repeat(512);
        assert!(!matches(&pattern, &"a".repeat(255)));
    }

    proptest! {
        #[test]
        fn a_name_matches_itself_and_a_star_in_place_of_any_part(
            name in "[a-z_.:-]{1,40}", from in 0usize..40, to in 0usize..40
        ) {
            let (from, to) = (from.min(name.len()), to.min(name.len()));
            prop_assert!(matches(&name, &name));
            if from <= to {
                let pattern = format!("{}*{}", &name[..from], &name[to..]);
                prop_assert!(matches(&pattern, &name));
            }
        }

        #[test]
        fn no_text_makes_it_panic(pattern in "\\PC{0,60}", name in "\\PC{0,60}") {
            if let Ok(glob) = pattern.parse::<Glob>() {
                glob.matches(&name);
            }
        }
    }
}
