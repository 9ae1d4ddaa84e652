//! Whether the newest snapshot of a type is young enough.

use jiff::{SignedDuration, Timestamp};

use super::Settings;
use crate::Tier;

/// How the newest snapshot of a type stands to the ages that sanoid.conf
/// allows it, as `--monitor-snapshots` of sanoid 2.3.0 has it
/// (`monitor_snapshots`).
///
/// The one difference: an age in years is so many times 365 days here, and 31
/// times that in sanoid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Nobody wants to know: `monitor` is off, the count is 0, or the limit
    /// that it is over is 0.
    Unwatched,
    /// It is young enough.
    Fresh,
    /// It is older than `_warn` allows.
    Late {
        /// Its age.
        age: SignedDuration,
        /// The age that it should have at most.
        limit: SignedDuration,
    },
    /// It is older than `_crit` allows.
    Critical {
        /// Its age.
        age: SignedDuration,
        /// The age that it should have at most.
        limit: SignedDuration,
    },
    /// There is none at all, which is critical.
    Missing,
}

impl Settings {
    /// How a type stands whose newest snapshot was created at `newest`.
    ///
    /// ```
    /// use jiff::{SignedDuration, Timestamp};
    /// use zfs_retention::{Tier, conf::{Freshness, Settings}};
    ///
    /// let now: Timestamp = "2026-04-03T12:00:00Z".parse()?;
    /// let age = SignedDuration::from_hours(2);
    /// let found = Settings::default().freshness(Tier::Hourly, Some(now - age), now);
    /// // hourly_warn is 90m, hourly_crit 360m.
    /// let limit = SignedDuration::from_mins(90);
    /// assert_eq!(found, Freshness::Late { age, limit });
    /// # Ok::<(), jiff::Error>(())
    /// ```
    pub fn freshness(&self, tier: Tier, newest: Option<Timestamp>, now: Timestamp) -> Freshness {
        if !self.monitor || self.count(tier) == 0 {
            return Freshness::Unwatched;
        }
        let (warn, crit) = (self.warn(tier), self.crit(tier));
        let Some(age) = newest.map(|newest| newest.duration_until(now)) else {
            return if crit.is_zero() {
                Freshness::Unwatched
            } else {
                Freshness::Missing
            };
        };
        if age > crit {
            // A limit of zero is none, but sanoid looks no further then.
            return if crit.is_zero() {
                Freshness::Unwatched
            } else {
                Freshness::Critical { age, limit: crit }
            };
        }
        if age > warn && !warn.is_zero() {
            return Freshness::Late { age, limit: warn };
        }
        Freshness::Fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::{Conf, Source};

    fn settings(text: &str) -> Settings {
        let text = format!("[tank]\n{text}");
        let source = Source {
            name: "sanoid.conf",
            text: &text,
        };
        let conf = Conf::read(source, None).unwrap();
        conf.expand::<&str>(&[]).remove(0).settings
    }

    #[track_caller]
    fn assert_found(text: &str, age_minutes: Option<i64>, expected: Freshness) {
        let now: Timestamp = "2026-04-03T12:00:00Z".parse().unwrap();
        let newest = age_minutes.map(|minutes| now - SignedDuration::from_mins(minutes));
        let found = settings(text).freshness(Tier::Hourly, newest, now);
        assert_eq!(found, expected, "{text:?} at {age_minutes:?}");
    }

    #[test]
    fn ages_are_judged_by_the_limits_and_zero_is_none() {
        let minutes = SignedDuration::from_mins;
        let late = Freshness::Late {
            age: minutes(91),
            limit: minutes(90),
        };
        let critical = Freshness::Critical {
            age: minutes(361),
            limit: minutes(360),
        };
        assert_found("", Some(90), Freshness::Fresh);
        assert_found("", Some(91), late);
        assert_found(
            "",
            Some(360),
            Freshness::Late {
                age: minutes(360),
                limit: minutes(90),
            },
        );
        assert_found("", Some(361), critical);
        assert_found("", None, Freshness::Missing);
        assert_found("", Some(-10), Freshness::Fresh);
        assert_found("hourly_warn = 0", Some(359), Freshness::Fresh);
        assert_found("hourly_crit = 0", Some(361), Freshness::Unwatched);
        assert_found("hourly_crit = 0", None, Freshness::Unwatched);
        assert_found("hourly = 0", None, Freshness::Unwatched);
        assert_found("monitor = no", None, Freshness::Unwatched);
    }
}
