//! Versions of OpenZFS, as far as its behaviour differs between them.

use std::fmt;
use std::str::FromStr;

/// A version of OpenZFS: 2.1, 2.2, 2.3, 2.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The first number.
    pub major: u16,
    /// The second number.
    pub minor: u16,
}

impl Version {
    /// The oldest that this crate supports.
    pub const OLDEST: Version = Version::new(2, 1);
    /// The newest that this crate knows.
    pub const NEWEST: Version = Version::new(2, 4);

    /// The version of these two numbers.
    pub const fn new(major: u16, minor: u16) -> Version {
        Version { major, minor }
    }

    /// Its number as text, of one that something came with.
    pub(crate) fn release(self) -> &'static str {
        match (self.major, self.minor) {
            (2, 2) => "2.2",
            (2, 3) => "2.3",
            (2, 4) => "2.4",
            _ => "2.1",
        }
    }
}

/// Reads `2.3.9-0+deb13u1` and the like; what follows the second number says
/// nothing about behaviour.
impl FromStr for Version {
    type Err = ();

    fn from_str(text: &str) -> Result<Version, ()> {
        let mut numbers = text.trim().split('.');
        let mut number = || {
            let text = numbers.next()?;
            let end = text
                .find(|letter: char| !letter.is_ascii_digit())
                .unwrap_or(text.len());
            text.get(..end)?.parse().ok()
        };
        match (number(), number()) {
            (Some(major), Some(minor)) => Ok(Version { major, minor }),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_s_version_is_read_up_to_the_second_number() {
        for (text, version) in [
            ("2.1.11-1+deb12u1\n", Version::new(2, 1)),
            ("2.3.9-0+deb13u1", Version::new(2, 3)),
            ("2.4.99-131_g1234", Version::new(2, 4)),
            ("2.4-rc1", Version::new(2, 4)),
        ] {
            assert_eq!(text.parse(), Ok(version), "{text}");
        }
        for text in ["", "unknown", "2", "2.x", "70000.1"] {
            assert_eq!(text.parse::<Version>(), Err(()), "{text}");
        }
    }

    #[test]
    fn versions_are_in_order() {
        assert!(Version::new(2, 1) < Version::new(2, 2));
        assert!(Version::new(2, 4) < Version::new(3, 0));
    }
}
