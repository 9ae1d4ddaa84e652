//! Numbers and times as zfs(8) writes them for people.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Bytes in at most five characters: `1.50K`, `0B`.
pub fn bytes(number: u64) -> String {
    scaled(number, "B")
}

/// A number in at most five characters, in powers of 1024.
pub fn number(number: u64) -> String {
    scaled(number, "")
}

fn scaled(number: u64, one: &str) -> String {
    const UNITS: [&str; 6] = ["K", "M", "G", "T", "P", "E"];
    let power = match number.checked_ilog2() {
        None | Some(0..10) => return format!("{number}{one}"),
        Some(bits) => bits / 10,
    };
    let unit = UNITS.get(power as usize - 1).copied().unwrap_or_default();
    let size = 1_u64 << (10 * power);
    if number % size == 0 {
        return format!("{}{unit}", number / size);
    }
    // As many decimals as fit: 9.99K, 10.0K, 1000K.
    let value = number as f64 / size as f64;
    let texts = [2, 1, 0].map(|decimals| format!("{value:.decimals$}{unit}"));
    let [.., shortest] = &texts;
    texts
        .iter()
        .find(|text| text.len() <= 5)
        .unwrap_or(shortest)
        .clone()
}

/// How a time is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// `Sun Nov 22 15:04 2026`
    Minutes,
    /// `Sun Nov 22 15:04:56 2026`
    Seconds,
}

/// A time of this machine, in its time zone; the number where that cannot be.
pub fn time(seconds: u64, clock: Clock, zone: &TimeZone) -> String {
    let format = match clock {
        Clock::Minutes => "%a %b %e %k:%M %Y",
        Clock::Seconds => "%a %b %e %k:%M:%S %Y",
    };
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .and_then(|time| jiff::fmt::strtime::format(format, &time.to_zoned(zone.clone())).ok())
        .unwrap_or_else(|| seconds.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fit_in_five_characters() {
        for (value, text) in [
            (0, "0"),
            (1023, "1023"),
            (1024, "1K"),
            (1536, "1.50K"),
            (10_239, "10.0K"),
            (10_240, "10K"),
            (102_399, "100K"),
            (1_023_999, "1000K"),
            (1_048_575, "1024K"),
            (1 << 20, "1M"),
            ((1 << 20) + 1, "1.00M"),
            (3_732_480, "3.56M"),
            (u64::MAX, "16.0E"),
        ] {
            assert_eq!(number(value), text, "{value}");
        }
        assert_eq!(
            (bytes(0), bytes(512), bytes(1 << 30)),
            ("0B".into(), "512B".into(), "1G".into())
        );
    }

    #[test]
    fn times_are_in_the_zone_with_blanks_for_zeros() {
        let utc = |seconds| time(seconds, Clock::Minutes, &TimeZone::UTC);
        assert_eq!(utc(1_795_359_893), "Sun Nov 22 15:04 2026");
        assert_eq!(utc(0), "Thu Jan  1  0:00 1970");
        assert_eq!(
            time(1_795_359_896, Clock::Seconds, &TimeZone::UTC),
            "Sun Nov 22 15:04:56 2026"
        );
        assert_eq!(utc(u64::MAX), u64::MAX.to_string());
    }
}
