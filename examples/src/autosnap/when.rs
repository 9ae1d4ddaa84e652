//! Moments as command lines have them.

use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// A moment, or a date and perhaps a time of the zone that counts.
#[derive(Clone, Copy, Debug)]
pub enum When {
    /// `2026-01-01T00:00:00Z`
    Moment(Timestamp),
    /// `2026-01-01`, which is its midnight, or `2026-01-01T06:30`
    Local(DateTime),
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<When, String> {
        if let Ok(moment) = text.parse() {
            return Ok(When::Moment(moment));
        }
        text.parse().map(When::Local).map_err(|_| {
            "write a date (2026-01-01), or a moment with its zone (2026-01-01T00:00:00Z)".to_owned()
        })
    }
}

impl When {
    /// The moment in a zone.
    pub fn in_zone(self, zone: &TimeZone) -> anyhow::Result<Zoned> {
        Ok(match self {
            When::Moment(moment) => moment.to_zoned(zone.clone()),
            When::Local(local) => local.to_zoned(zone.clone())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_its_midnight_in_the_zone() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let read = |text: &str| {
            let when: When = text.parse().unwrap();
            when.in_zone(&zone).unwrap().timestamp().to_string()
        };
        assert_eq!(read("2026-01-01"), "2025-12-31T23:00:00Z");
        assert_eq!(read("2026-01-01T06:30"), "2026-01-01T05:30:00Z");
        assert_eq!(read("2026-01-01T00:00:00Z"), "2026-01-01T00:00:00Z");
        assert!("tomorrow".parse::<When>().is_err());
    }
}
