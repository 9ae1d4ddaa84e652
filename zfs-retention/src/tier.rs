//! sanoid's types of snapshots.

use std::{fmt, str::FromStr};

use jiff::SignedDuration;

use crate::{Error, Names, Part, Rule};

/// A type of snapshot, by which sanoid takes, names and prunes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum Tier {
    /// `yearly`.
    Yearly,
    /// `monthly`.
    Monthly,
    /// `weekly`.
    Weekly,
    /// `daily`.
    Daily,
    /// `hourly`.
    Hourly,
    /// `frequently`: every `frequent_period` minutes, 15 where not set.
    Frequently,
}

impl Tier {
    /// All of them, in the order in which sanoid takes snapshots.
    pub const ALL: [Self; 6] = [
        Self::Yearly,
        Self::Monthly,
        Self::Weekly,
        Self::Daily,
        Self::Hourly,
        Self::Frequently,
    ];

    /// The word in sanoid.conf and at the end of names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yearly => "yearly",
            Self::Monthly => "monthly",
            Self::Weekly => "weekly",
            Self::Daily => "daily",
            Self::Hourly => "hourly",
            Self::Frequently => "frequently",
        }
    }

    /// How long sanoid takes one of them to count when it prunes: a month is
    /// 31 days, a year 365.25; `frequent_minutes` is its `frequent_period`.
    pub fn period(self, frequent_minutes: u32) -> SignedDuration {
        const HOUR: i64 = 3600;
        const DAY: i64 = 24 * HOUR;
        SignedDuration::from_secs(match self {
            Self::Yearly => 31_557_600,
            Self::Monthly => 31 * DAY,
            Self::Weekly => 7 * DAY,
            Self::Daily => DAY,
            Self::Hourly => HOUR,
            Self::Frequently => 60 * i64::from(frequent_minutes),
        })
    }

    /// The type of a snapshot with this name, as sanoid reads it: `None` where
    /// it does not begin with `autosnap` or ends with no type's word.
    ///
    /// ```
    /// use zfs_retention::Tier;
    ///
    /// assert_eq!(Tier::of("autosnap_2026-04-03_02:00:00_daily"), Some(Tier::Daily));
    /// assert_eq!(Tier::of("before-upgrade_daily"), None);
    /// ```
    pub fn of(name: &str) -> Option<Self> {
        let (_, word) = name.strip_prefix("autosnap")?.rsplit_once('_')?;
        Self::ALL.into_iter().find(|tier| tier.as_str() == word)
    }

    /// The names of this type: they begin with `autosnap` and end with an
    /// underscore and the word.
    pub fn names(self) -> Names {
        // The end tells them apart, the beginning does not.
        Names::Suffix(format!("_{self}")).and(Names::prefix("autosnap"))
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Tier {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|tier| tier.as_str() == text)
            .ok_or_else(|| {
                let known = Self::ALL.map(Self::as_str).join(", ");
                Error::syntax("tier", text, format!("it is none of {known}"))
            })
    }
}

impl Part {
    /// What sanoid does to one type with this count: of the snapshots with
    /// the type's name it destroys those that are older than `count` periods
    /// *and* have `count` newer ones. A count of 0 destroys all of the type.
    ///
    /// sanoid 2.3.0 counts snapshots of the future too; here they never take
    /// another one's place.
    ///
    /// ```
    /// use zfs_retention::{Part, Tier};
    ///
    /// let part = Part::sanoid(Tier::Daily, 30);
    /// assert_eq!(part.to_string(), "sanoid daily 30");
    /// ```
    pub fn sanoid(tier: Tier, count: u32) -> Self {
        Self::sanoid_with_period(tier, count, 15)
    }

    /// The same with a `frequent_period` that is not 15 minutes.
    pub fn sanoid_with_period(tier: Tier, count: u32, frequent_minutes: u32) -> Self {
        let period = tier.period(frequent_minutes);
        let mut part = Self::new(Rule::Aged { period, count }).covering(tier.names());
        part.label = Some(format!("sanoid {tier} {count}"));
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_what_follows_the_last_underscore() {
        let daily = Tier::Daily.names();
        assert!(daily.matches("autosnap_2026-04-03_00:00:00_daily"));
        assert!(daily.matches("autosnap_2026-10-25_02:00:00dst_daily"));
        assert!(!daily.matches("autosnap_2026-04-03_00:00:00_hourly"));
        assert!(!daily.matches("manual_daily"));
        assert!(!daily.matches("autosnapdaily"));
        for name in [
            "autosnap_2026-04-03_00:00:00_daily",
            "autosnap_2026-10-25_02:00:00dst_daily",
            "autosnap_2026-04-03_00:00:00_hourly",
            "autosnap_daily",
            "manual_daily",
            "autosnapdaily",
            "autosnap_",
            "",
        ] {
            for tier in Tier::ALL {
                assert_eq!(
                    tier.names().matches(name),
                    Tier::of(name) == Some(tier),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn words_are_read_back() {
        for tier in Tier::ALL {
            assert_eq!(tier.to_string().parse::<Tier>(), Ok(tier));
        }
        assert!("dayly".parse::<Tier>().is_err());
    }
}
