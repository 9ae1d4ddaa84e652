//! When a snapshot is due.
//!
//! ```text
//! schedule ┐
//! taken    ├─> last slot at or before now -> is there a snapshot in it? -> due
//! now      ┘
//! ```
//!
//! A schedule divides time into slots that begin at its moments. A snapshot
//! is due when the present slot has none. That is all: slots that passed while
//! the machine was off are caught up by one snapshot, not many; a clock set
//! back finds the slots of its second pass filled; snapshots from beyond the
//! present slot, left behind by a clock that was ahead, hold nothing up.

use jiff::{SignedDuration, Timestamp, Zoned, civil::DateTime};

use crate::Tier;

mod crontab;
mod interval;
mod sanoid;

pub use crontab::Crontab;
pub use sanoid::SanoidTimes;

/// The moments at which snapshots are wanted.
///
/// ```
/// use zfs_retention::Schedule;
///
/// let schedule = Schedule::Crontab("15 2 * * mon-fri".parse()?);
/// let now: jiff::Zoned = "2026-04-04T12:00:00+02:00[Europe/Berlin]".parse()?;
/// // A Saturday: Friday's is the last, and nothing was taken since.
/// let due = schedule.due([], &now).unwrap();
/// assert_eq!(due.to_string(), "2026-04-03T00:15:00Z");
/// assert_eq!(schedule.due([due], &now), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Schedule {
    /// Every so long, in real time, counted both ways from an anchor. Clocks
    /// that change do not move it.
    Every {
        /// How long from one to the next; less than a second is a second.
        interval: SignedDuration,
        /// One of the moments.
        anchor: Timestamp,
    },
    /// Every so many days of the local calendar, at the anchor's time of day.
    /// Where clocks went forward over that time it is as much later, where it
    /// comes twice it is the first.
    EveryDays {
        /// How many days; 0 is taken as 1.
        days: u32,
        /// One of the moments, in local time.
        anchor: DateTime,
    },
    /// A crontab expression, in local time.
    Crontab(Crontab),
    /// One of sanoid's types at its preferred time, when sanoid takes it where
    /// sanoid is right; see [`SanoidTimes`].
    Sanoid {
        /// Which type.
        tier: Tier,
        /// The preferred times.
        times: SanoidTimes,
    },
}

impl Schedule {
    /// One of sanoid's types at its preferred times, as a person reads them in
    /// sanoid.conf and without sanoid's ways where clocks change: what is
    /// taken every so many minutes is taken in both passes of an hour that
    /// comes twice, and no daily is late.
    pub fn preferred(tier: Tier, times: &SanoidTimes) -> Self {
        Self::Crontab(Crontab::preferred(tier, times))
    }

    /// The latest moment that is not after `now`.
    pub fn last(&self, now: &Zoned) -> Option<Timestamp> {
        match self {
            Self::Every { interval, anchor } => {
                interval::last_real(*interval, *anchor, now.timestamp())
            }
            Self::EveryDays { days, anchor } => interval::last_days(*days, *anchor, now),
            Self::Crontab(crontab) => crontab.last(now),
            Self::Sanoid { tier, times } => times.last(*tier, now),
        }
    }

    /// The earliest moment after `now`. For [`Sanoid`](Self::Sanoid), which only
    /// looks back, it is one period after the last.
    pub fn next(&self, now: &Zoned) -> Option<Timestamp> {
        match self {
            Self::Every { interval, anchor } => {
                interval::next_real(*interval, *anchor, now.timestamp())
            }
            Self::EveryDays { days, anchor } => interval::next_days(*days, *anchor, now),
            Self::Crontab(crontab) => crontab.next(now),
            Self::Sanoid { tier, times } => {
                let last = times.last(*tier, now)?;
                last.checked_add(tier.period(times.frequent_period)).ok()
            }
        }
    }

    /// The slot that is due at `now`, by its beginning, or `None` where it has
    /// its snapshot. `taken` are the creation times of the schedule's own
    /// snapshots, in any order; those of other tiers must not be among them.
    pub fn due(
        &self,
        taken: impl IntoIterator<Item = Timestamp>,
        now: &Zoned,
    ) -> Option<Timestamp> {
        let begin = self.last(now)?;
        let present = now.timestamp();
        // What a clock that was ahead took may be of this slot as well.
        let is_of_slot =
            |taken: Timestamp| self.last(&taken.to_zoned(now.time_zone().clone())) == Some(begin);
        let filled = taken
            .into_iter()
            .any(|taken| taken >= begin && (taken <= present || is_of_slot(taken)));
        (!filled).then_some(begin)
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::*;

    fn zoned(time: &str) -> Zoned {
        time.parse().unwrap()
    }

    fn hourly() -> Schedule {
        Schedule::preferred(Tier::Hourly, &SanoidTimes::default())
    }

    #[test]
    fn missed_runs_are_caught_up_once() {
        let now = zoned("2026-04-03T12:30:00Z[UTC]");
        let long_ago = "2026-01-01T00:00:00Z".parse().unwrap();
        let due = hourly().due([long_ago], &now).unwrap();
        assert_eq!(due.to_string(), "2026-04-03T12:00:00Z");
        assert_eq!(hourly().due([long_ago, now.timestamp()], &now), None);
    }

    #[test]
    fn a_clock_that_was_ahead_holds_nothing_up() {
        let now = zoned("2026-04-03T12:30:00Z[UTC]");
        let future = "2027-01-01T00:00:00Z".parse().unwrap();
        assert!(hourly().due([future], &now).is_some());
    }

    #[test]
    fn a_clock_set_back_takes_nothing_twice() {
        let taken: Vec<Timestamp> = (0..24)
            .map(|hour| format!("2026-04-03T{hour:02}:00:07Z").parse().unwrap())
            .collect();
        for minute in 0..(24 * 60 - 1) {
            let now = zoned("2026-04-03T00:00:00Z[UTC]") + SignedDuration::from_mins(minute);
            assert_eq!(hourly().due(taken.clone(), &now), None, "{now}");
        }
    }

    /// Runs a schedule at every step and returns what it took.
    fn run(schedule: &Schedule, from: &Zoned, steps: i64, step: SignedDuration) -> Vec<Timestamp> {
        let mut taken: Vec<Timestamp> = Vec::new();
        for nth in 0..steps {
            let nth = i32::try_from(nth).unwrap();
            let now = from + step * nth;
            let recent = taken.iter().rev().take(3).copied();
            if schedule.due(recent, &now).is_some() {
                taken.push(now.timestamp());
            }
        }
        taken
    }

    #[test]
    fn every_hour_and_every_day_has_its_snapshot_through_both_changes() {
        for (zone, from) in [
            ("Europe/Berlin", "2026-03-28T00:00:00"),
            ("Europe/Berlin", "2026-10-24T00:00:00"),
            ("Australia/Lord_Howe", "2026-04-04T00:00:00"),
            ("Australia/Lord_Howe", "2026-10-03T00:00:00"),
            ("America/Sao_Paulo", "2018-02-17T00:00:00"),
            ("America/Sao_Paulo", "2018-11-03T00:00:00"),
            ("America/St_Johns", "2009-10-31T00:00:00"),
        ] {
            let zone = TimeZone::get(zone).unwrap();
            let from = from.parse::<DateTime>().unwrap().to_zoned(zone).unwrap();
            let minute = SignedDuration::from_mins(1);
            // 72 hours of real time from a local midnight.
            for (tier, least, most) in [
                (Tier::Frequently, 288, 290),
                (Tier::Hourly, 72, 73),
                (Tier::Daily, 3, 4),
            ] {
                let schedule = Schedule::preferred(tier, &SanoidTimes::default());
                let taken = run(&schedule, &from, 72 * 60, minute);
                assert!(
                    (least..=most).contains(&taken.len()),
                    "{tier} took {} from {from}",
                    taken.len()
                );
            }
        }
    }

    fn any_schedule() -> impl Strategy<Value = Schedule> {
        let crontabs = [
            "0 * * * *",
            "*/15 * * * *",
            "30 2 * * *",
            "5,35 1-3 * * *",
            "59 23 * * *",
            "0 0 1 * *",
            "0 0 29 2 *",
            "30 23 * * mon",
            "0 12 13 * fri",
            "17 */5 1-7,29-31 feb,jun,12 *",
        ];
        prop_oneof![
            (1_i64..1_000_000, 0_i64..2_000_000_000).prop_map(|(length, anchor)| Schedule::Every {
                interval: SignedDuration::from_secs(length),
                anchor: Timestamp::from_second(anchor).unwrap(),
            }),
            (1_u32..40, 0_i8..24, 0_i8..60).prop_map(|(days, hour, minute)| Schedule::EveryDays {
                days,
                anchor: jiff::civil::date(2001, 2, 3).at(hour, minute, 0, 0),
            }),
            prop::sample::select(crontabs.to_vec())
                .prop_map(|text| Schedule::Crontab(text.parse().unwrap())),
            (0_usize..6).prop_map(|nth| Schedule::Sanoid {
                tier: Tier::ALL[nth],
                times: SanoidTimes::default(),
            }),
        ]
    }

    fn any_zone() -> impl Strategy<Value = TimeZone> {
        let zones = [
            "UTC",
            "Europe/Berlin",
            "Europe/Dublin",
            "America/New_York",
            "America/St_Johns",
            "America/Sao_Paulo",
            "Australia/Lord_Howe",
            "Pacific/Apia",
            "Asia/Kolkata",
            "Africa/Casablanca",
        ];
        prop::sample::select(zones.to_vec()).prop_map(|name| TimeZone::get(name).unwrap())
    }

    proptest! {
        #[test]
        fn the_last_is_not_after_now_and_the_next_is(
            schedule in any_schedule(),
            zone in any_zone(),
            second in 0_i64..4_000_000_000,
        ) {
            let now = Timestamp::from_second(second).unwrap().to_zoned(zone);
            let last = schedule.last(&now).unwrap();
            prop_assert!(last <= now.timestamp());
            // sanoid's moments are not regular; the others are.
            if !matches!(schedule, Schedule::Sanoid { .. }) {
                let next = schedule.next(&now).unwrap();
                prop_assert!(next > now.timestamp());
                let at_next = next.to_zoned(now.time_zone().clone());
                prop_assert_eq!(schedule.last(&at_next), Some(next));
                let just_before = next - SignedDuration::from_nanos(1);
                let before = just_before.to_zoned(now.time_zone().clone());
                prop_assert_eq!(schedule.last(&before), Some(last));
                let at_last = last.to_zoned(now.time_zone().clone());
                prop_assert_eq!(schedule.last(&at_last), Some(last));
                prop_assert_eq!(schedule.next(&at_last), Some(next));
            }
        }

        #[test]
        fn what_was_just_taken_is_not_due_again(
            schedule in any_schedule(),
            zone in any_zone(),
            second in 0_i64..4_000_000_000,
            late in 0_i64..600,
        ) {
            let now = Timestamp::from_second(second).unwrap().to_zoned(zone);
            let taken = now.timestamp();
            prop_assert!(schedule.due([], &now).is_some());
            prop_assert_eq!(schedule.due([taken], &now), None);
            let later = &now + SignedDuration::from_secs(late);
            if let Some(due) = schedule.due([taken], &later) {
                prop_assert!(due > taken);
            }
        }
    }
}
