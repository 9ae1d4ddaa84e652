//! Lengths of time as the peers write them: a number and a unit.

use jiff::SignedDuration;

use crate::Error;

/// What a unit's name stands for, in seconds.
pub(crate) type Units = &'static [(&'static str, i64)];

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;

/// zrepl's: seconds to weeks.
pub(crate) const ZREPL: Units = &[
    ("s", 1),
    ("m", MINUTE),
    ("h", HOUR),
    ("d", DAY),
    ("w", WEEK),
];

/// zfs_autobackup's: `m` is a month of 30 days, a year has 365.25.
pub(crate) const ZFS_AUTOBACKUP: Units = &[
    ("s", 1),
    ("min", MINUTE),
    ("h", HOUR),
    ("d", DAY),
    ("w", WEEK),
    ("m", 30 * DAY),
    ("y", 31_557_600),
];

/// znapzend's: `m` is a month of 30 days, a year has 365.25.
pub(crate) const ZNAPZEND: Units = &[
    ("s", 1),
    ("sec", 1),
    ("second", 1),
    ("seconds", 1),
    ("min", MINUTE),
    ("mins", MINUTE),
    ("minute", MINUTE),
    ("minutes", MINUTE),
    ("h", HOUR),
    ("hour", HOUR),
    ("hours", HOUR),
    ("d", DAY),
    ("day", DAY),
    ("days", DAY),
    ("w", WEEK),
    ("week", WEEK),
    ("weeks", WEEK),
    ("m", 30 * DAY),
    ("mon", 30 * DAY),
    ("mons", 30 * DAY),
    ("month", 30 * DAY),
    ("months", 30 * DAY),
    ("y", 31_557_600),
    ("year", 31_557_600),
    ("years", 31_557_600),
];

/// Takes a number and a unit off the front of `text`. The problem is said
/// without the text, which the caller shows.
pub(crate) fn take(text: &str, units: Units) -> Result<(SignedDuration, &str), String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
    let (unit, rest) = rest.split_at(letters);
    if unit.is_empty() && !number.is_empty() {
        let known: Vec<_> = units.iter().map(|(name, _)| *name).collect();
        return Err(format!(
            "it has no unit: write {number}h, or another of {}",
            known.join(", ")
        ));
    }
    let number: i64 = number
        .parse()
        .map_err(|_| format!("a number was expected before {unit:?}"))?;
    let Some((_, seconds)) = units.iter().find(|(name, _)| *name == unit) else {
        let known: Vec<_> = units.iter().map(|(name, _)| *name).collect();
        return Err(format!(
            "the unit {unit:?} is not one of {}",
            known.join(", ")
        ));
    };
    match number.checked_mul(*seconds) {
        None => Err(format!("{number}{unit} is too long")),
        Some(0) => Err("a length above zero was expected".to_owned()),
        Some(seconds) => Ok((SignedDuration::from_secs(seconds), rest)),
    }
}

/// A length of time as command lines and files have it: a whole number and one
/// of `s`, `m`, `h`, `d`, `w`, above zero.
///
/// ```
/// let length = zfs_retention::parse_length("36h")?;
/// assert_eq!(length, jiff::SignedDuration::from_hours(36));
/// # Ok::<(), zfs_retention::Error>(())
/// ```
///
/// # Errors
///
/// Where it is anything else.
pub fn parse_length(text: &str) -> Result<SignedDuration, Error> {
    parse(text, ZREPL).map_err(|problem| Error::syntax("length of time", text, problem))
}

/// The whole of `text` as one length.
pub(crate) fn parse(text: &str, units: Units) -> Result<SignedDuration, String> {
    match take(text, units)? {
        (length, "") => Ok(length),
        (_, rest) => Err(format!("{rest:?} was not expected after the length")),
    }
}

/// The shortest exact way to write a length: `90s`, `15m`, `36h`, `7d`.
pub(crate) fn show(length: SignedDuration) -> String {
    let seconds = length.as_secs();
    if length.subsec_nanos() != 0 {
        return format!("{length:#}");
    }
    for (unit, size) in [("d", DAY), ("h", HOUR), ("m", MINUTE)] {
        if seconds != 0 && seconds % size == 0 {
            return format!("{}{unit}", seconds / size);
        }
    }
    format!("{seconds}s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_and_shown() {
        for (text, shown) in [("90s", "90s"), ("15m", "15m"), ("24h", "1d"), ("2w", "14d")] {
            assert_eq!(show(parse(text, ZREPL).unwrap()), shown);
        }
        assert_eq!(show(parse("1m", ZFS_AUTOBACKUP).unwrap()), "30d");
        assert_eq!(show(parse("15min", ZNAPZEND).unwrap()), "15m");
    }

    #[test]
    fn a_number_alone_lacks_its_unit() {
        let told = parse("1", ZREPL).unwrap_err();
        assert_eq!(
            told,
            "it has no unit: write 1h, or another of s, m, h, d, w"
        );
    }

    #[test]
    fn what_is_not_a_length_is_said() {
        for text in [
            "",
            "h",
            "1",
            "1x",
            "0h",
            "99999999999999999999h",
            "9999999999999999w",
            "1h2",
        ] {
            assert!(parse(text, ZREPL).is_err(), "{text}");
        }
    }
}
