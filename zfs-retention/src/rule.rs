//! What a part asks of the snapshots it covers, and how each of them fares.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use crate::{
    Keep,
    calendar::{Moment, PeriodRank, PeriodRanks, Periods, Unit},
    length,
};

pub(crate) mod grid;
pub(crate) mod proxmox;
pub(crate) mod slots;

pub use grid::{Grid, GridInterval};
pub use slots::{End, Thinning};

/// What keeps a snapshot. Every rule sees the snapshots that its part covers,
/// from the newest to the oldest, those of the future left out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// Every one of them: zrepl's `regex` rule
    /// (`internal/pruning/keep_regex.go`), by the names its part covers.
    ///
    /// Covering `before-*`, snapshots `before-upgrade` and `auto_1`: kept is
    /// `before-upgrade`.
    Every,
    /// The newest `count`: zrepl's `last_n` (`internal/pruning/keep_last_n.go`,
    /// zrepl 0.7), restic's and Proxmox' `keep-last`, the number alone in a
    /// zfs_autobackup schedule.
    ///
    /// With `count` 2, snapshots of 1, 2 and 3 April: kept are 3 and 2 April.
    Last {
        /// How many.
        count: u32,
    },
    /// Those created at most so long before now: zettarepl's `lifetime`, and
    /// `destroy everything older than` of many a script.
    ///
    /// With `age` 2d, at 4 April 12:00, snapshots at noon of 1, 2 and 3 April:
    /// kept are 2 April, which is two days old to the second, and 3 April.
    NewerThan {
        /// The age that still lives.
        age: SignedDuration,
    },
    /// The newest of each of the last `count` periods that have any: what
    /// restic before 0.16 calls `--keep-hourly` to `--keep-yearly`
    /// (`snapshot_policy.go`; for 0.16 and later see [`CalendarAndOldest`]). Periods without a snapshot do not count, so a
    /// machine that was off for a month still has its seven dailies. An hour
    /// that comes twice is two hours; restic takes it for one.
    ///
    /// [`CalendarAndOldest`]: Self::CalendarAndOldest
    ///
    /// With `daily` 3, snapshots of 1 April 08:00, 1 April 20:00, 2 April
    /// 08:00, 9 April 08:00 and 9 April 20:00: kept are 9 April 20:00,
    /// 2 April 08:00 and 1 April 20:00.
    Calendar {
        /// The period.
        unit: Unit,
        /// How many periods.
        count: u32,
    },
    /// The same, and while there are fewer than `count` such periods, the
    /// oldest of all as well: restic's `--keep-hourly` to `--keep-yearly` since
    /// 0.16 (`snapshot_policy.go`; its issue 3624). So history reaches back as far as it can while it is
    /// short.
    ///
    /// With `yearly` 3, snapshots of 1 May 2025, 31 December 2025 and 2 March
    /// 2026: kept are 2 March 2026, 31 December 2025, and 1 May 2025 as the
    /// oldest. With `yearly` 2 it goes.
    CalendarAndOldest {
        /// The period.
        unit: Unit,
        /// How many periods.
        count: u32,
    },
    /// The newest `count`, and beyond them whatever is not older than `count`
    /// times `period`. So a snapshot goes only when it is too old *and* there
    /// are enough newer ones: sanoid's rule (`sanoid` 2.3.0), and bzfs' with
    /// its own lengths.
    ///
    /// With `count` 3 and a `period` of one day, at 10 April 12:00, snapshots
    /// of 1, 2, 3 April and one of 10 April 06:00: kept are the newest three,
    /// 10, 3 and 2 April; the others are older than three days and go.
    Aged {
        /// How long one of them counts for.
        period: SignedDuration,
        /// How many of them, and how many periods.
        count: u32,
    },
    /// zrepl's grid; see [`Grid`].
    Grid(Grid),
    /// One for each slot of time; zfs_autobackup's `1d1w` is the oldest for
    /// each day, while at most a week old (`zfs_autobackup/Thinner.py`).
    ///
    /// Slots are aligned with the epoch, in UTC: days begin at 00:00 UTC,
    /// weeks on Thursday. With `every` 1d, `within` 7d and the oldest end, at
    /// 10 April 12:00, snapshots of 1 April, 9 April 06:00 and 9 April 18:00:
    /// kept is 9 April 06:00.
    PerInterval {
        /// How long a slot is.
        every: SignedDuration,
        /// The greatest age, or any.
        within: Option<SignedDuration>,
        /// Which end of each slot is kept.
        end: End,
    },
    /// znapzend's backup plan; see [`Thinning`].
    Thinning(Thinning),
    /// Proxmox Backup Server's `keep-*` options (`pbs-datastore/src/prune.rs`,
    /// which Proxmox VE's vzdump follows), where each begins behind what
    /// those before it kept: last, then hourly, daily, weekly, monthly,
    /// yearly. A period in which an earlier option kept something is not
    /// counted, and nothing else of it is kept. Without any option all is kept.
    ///
    /// With `keep-last` 1 and `keep-daily` 2, snapshots at noon of 1, 2, 3 and
    /// 4 April: the last is 4 April, which covers that day, and the dailies
    /// are 3 and 2 April. Counted each by itself as [`Calendar`] does, the
    /// dailies would be 4 and 3 April.
    ///
    /// [`Calendar`]: Self::Calendar
    Chained(Keep),
}

/// How one snapshot fares under one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The part does not cover it.
    Outside,
    /// Kept: the rule keeps all it sees.
    Every,
    /// Kept: the `0`-th of those counted, within the count.
    Ranked(u32),
    /// Kept: young enough.
    Young,
    /// Kept: the newest of all, which other edges are measured from.
    Anchor,
    /// Kept: the oldest of all, while there are few.
    Oldest,
    /// Kept: chosen for its bucket or slot.
    Chosen(u32),
    /// Kept: chosen for a period by the option at this place.
    Option(u32),
    /// Not kept: the `0`-th of those counted, beyond the count.
    BeyondCount(u32),
    /// Not kept: the `rank`-th of those that the option at this place counts,
    /// beyond its count.
    BeyondOption { option: u32, rank: u32 },
    /// Not kept: beyond the count and too old; so high a count would keep it.
    BeyondBoth(u32),
    /// Not kept by any count: the one at this position stands for its period.
    Superseded(u32),
    /// Not kept: too old.
    TooOld,
    /// Not kept: its bucket has its number of older ones.
    BucketFull(u32),
}

impl Outcome {
    pub(crate) fn keeps(self) -> bool {
        matches!(
            self,
            Self::Every
                | Self::Ranked(_)
                | Self::Young
                | Self::Anchor
                | Self::Oldest
                | Self::Chosen(_)
                | Self::Option(_)
        )
    }

    fn counted(rank: u32, count: u32) -> Self {
        if rank <= count {
            Self::Ranked(rank)
        } else {
            Self::BeyondCount(rank)
        }
    }
}

/// An [`Outcome`] in four bytes, since a plan has one for each snapshot and
/// part: what it is in the upper four bits, its number in the others. Numbers
/// beyond 28 bits are shown as the greatest; they decide nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packed(u32);

const NUMBER_BITS: u32 = 28;
const MOST: u32 = (1 << NUMBER_BITS) - 1;
/// Of a number that has an option in it: there are seven.
const OPTION_BITS: u32 = 3;

impl Packed {
    pub(crate) const OUTSIDE: Self = Self(0);

    #[inline]
    pub(crate) fn new(outcome: Outcome) -> Self {
        let (what, number) = match outcome {
            Outcome::Outside => (0, 0),
            Outcome::Every => (1, 0),
            Outcome::Ranked(number) => (2, number),
            Outcome::Young => (3, 0),
            Outcome::Anchor => (4, 0),
            Outcome::Chosen(number) => (5, number),
            Outcome::Option(number) => (6, number),
            Outcome::Oldest => (7, 0),
            Outcome::BeyondCount(number) => (8, number),
            Outcome::BeyondBoth(number) => (9, number),
            Outcome::Superseded(number) => (10, number),
            Outcome::TooOld => (11, 0),
            Outcome::BucketFull(number) => (12, number),
            Outcome::BeyondOption { option, rank } => {
                let rank = rank.min(MOST >> OPTION_BITS);
                (13, rank << OPTION_BITS | option & 7)
            }
        };
        Self(what << NUMBER_BITS | number.min(MOST))
    }

    pub(crate) fn outcome(self) -> Outcome {
        let number = self.0 & MOST;
        match self.0 >> NUMBER_BITS {
            1 => Outcome::Every,
            2 => Outcome::Ranked(number),
            3 => Outcome::Young,
            4 => Outcome::Anchor,
            5 => Outcome::Chosen(number),
            6 => Outcome::Option(number),
            7 => Outcome::Oldest,
            8 => Outcome::BeyondCount(number),
            9 => Outcome::BeyondBoth(number),
            10 => Outcome::Superseded(number),
            11 => Outcome::TooOld,
            12 => Outcome::BucketFull(number),
            13 => Outcome::BeyondOption {
                option: number & 7,
                rank: number >> OPTION_BITS,
            },
            _ => Outcome::Outside,
        }
    }

    /// As [`Outcome::keeps`].
    #[inline]
    pub(crate) fn keeps(self) -> bool {
        (1..=7).contains(&(self.0 >> NUMBER_BITS))
    }
}

/// What a rule sees: the snapshots that its part covers, from the newest to
/// the oldest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    /// All snapshots, in that order.
    pub(crate) moments: &'a [Moment],
    /// Which of them, by their place.
    pub(crate) covered: &'a [u32],
}

impl<'a> Seen<'a> {
    pub(crate) fn len(self) -> usize {
        self.covered.len()
    }

    /// Each with its place among all.
    pub(crate) fn iter(self) -> impl DoubleEndedIterator<Item = (u32, &'a Moment)> + use<'a> {
        self.covered
            .iter()
            .filter_map(move |&position| Some((position, self.moments.get(position as usize)?)))
    }
}

impl Rule {
    /// Judges the snapshots a part covers, in any order; of two judgements of
    /// one the later counts.
    pub(crate) fn judge(
        &self,
        seen: Seen<'_>,
        now: Timestamp,
        mut judged: impl FnMut(u32, Outcome),
    ) {
        let ranked = || (1..=u32::MAX).zip(seen.iter());
        match self {
            Self::Every => seen
                .iter()
                .for_each(|(position, _)| judged(position, Outcome::Every)),
            Self::Last { count } => ranked().for_each(|(rank, (position, _))| {
                judged(position, Outcome::counted(rank, *count));
            }),
            Self::NewerThan { age } => seen.iter().for_each(|(position, moment)| {
                let young = moment.age(now) <= *age;
                let outcome = if young {
                    Outcome::Young
                } else {
                    Outcome::TooOld
                };
                judged(position, outcome);
            }),
            Self::Calendar { unit, count } => {
                judge_calendar(*unit, *count, seen, judged);
            }
            Self::CalendarAndOldest { unit, count } => {
                let mut oldest = None;
                let periods = judge_calendar(*unit, *count, seen, |position, outcome| {
                    oldest = Some((position, outcome));
                    judged(position, outcome);
                });
                match oldest {
                    Some((position, Outcome::Superseded(_))) if periods < *count => {
                        judged(position, Outcome::Oldest);
                    }
                    _ => {}
                }
            }
            Self::Aged { period, count } => {
                for (rank, (position, moment)) in ranked() {
                    let outcome = if rank <= *count {
                        Outcome::Ranked(rank)
                    } else {
                        let periods = periods_of(moment.age(now), *period);
                        if periods <= i128::from(*count) {
                            Outcome::Young
                        } else {
                            let needed = u32::try_from(periods).unwrap_or(u32::MAX);
                            Outcome::BeyondBoth(rank.min(needed))
                        }
                    };
                    judged(position, outcome);
                }
            }
            Self::Grid(grid) => grid.judge(seen, judged),
            Self::PerInterval { every, within, end } => {
                slots::judge_interval(*every, *within, *end, seen, now, judged);
            }
            Self::Thinning(thinning) => thinning.judge(seen, now, judged),
            Self::Chained(keep) => proxmox::judge(keep, seen, judged),
        }
    }

    /// The period, bucket or slot that a reason should name.
    pub(crate) fn period_name(&self, outcome: Outcome, moment: Moment) -> Option<String> {
        match (self, outcome) {
            (Self::Calendar { unit, .. } | Self::CalendarAndOldest { unit, .. }, _) => {
                Some(moment.period_name(*unit))
            }
            (Self::Grid(_), Outcome::Chosen(bucket) | Outcome::BucketFull(bucket)) => {
                Some(format!("bucket {bucket}"))
            }
            (Self::PerInterval { every, .. }, _) => Some(slots::slot_name(*every, moment)),
            (Self::Thinning(thinning), Outcome::Chosen(step)) => thinning.slot_name(step, moment),
            (Self::Chained(keep), Outcome::Option(nth)) => proxmox::period_name(keep, nth, moment),
            (Self::Chained(keep), Outcome::BeyondOption { option, .. }) => {
                // The last so many are no period.
                proxmox::period_name(keep, option, moment).filter(|name| name != "last")
            }
            _ => None,
        }
    }

    /// The same rule with another count, where it has one.
    pub(crate) fn with_count(&self, new: u32) -> Option<Self> {
        let mut rule = self.clone();
        match &mut rule {
            Self::Last { count }
            | Self::Calendar { count, .. }
            | Self::CalendarAndOldest { count, .. }
            | Self::Aged { count, .. } => *count = new,
            _ => return None,
        }
        Some(rule)
    }
}

/// Judges by periods, from the newest on, and says how many there are.
fn judge_calendar(
    unit: Unit,
    count: u32,
    seen: Seen<'_>,
    mut judged: impl FnMut(u32, Outcome),
) -> u32 {
    let mut ranks = PeriodRanks::default();
    let mut periods = Periods::new(unit);
    // Which one stands for the period.
    let mut standing = 0;
    let mut last = 0;
    for (position, moment) in seen.iter() {
        let rank = periods.entered(moment).map(|key| ranks.rank(key, position));
        let outcome = match rank {
            Some(PeriodRank::Newest { rank }) => {
                standing = position;
                last = rank;
                Outcome::counted(rank, count)
            }
            Some(PeriodRank::Superseded { by }) => {
                standing = by;
                Outcome::Superseded(by)
            }
            None => Outcome::Superseded(standing),
        };
        judged(position, outcome);
    }
    last
}

/// How many periods an age takes up, begun ones counted: an age of exactly
/// two is two, a nanosecond more is three.
fn periods_of(age: SignedDuration, period: SignedDuration) -> i128 {
    if period.subsec_nanos() == 0 && period.as_secs() > 0 {
        // Almost always: no division of 128 bits is needed.
        let (whole, period) = (age.as_secs(), period.as_secs());
        let (whole, part) = match age.subsec_nanos() {
            part @ ..0 => (whole - 1, 1_000_000_000 + part),
            part => (whole, part),
        };
        let periods = whole.div_euclid(period);
        let more = whole > periods * period || part != 0;
        return i128::from(periods) + i128::from(more);
    }
    let (age, period) = (age.as_nanos(), period.as_nanos().max(1));
    age.div_euclid(period) + i128::from(age.rem_euclid(period) > 0)
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every => f.write_str("all"),
            Self::Last { count } => write!(f, "last {count}"),
            Self::NewerThan { age } => write!(f, "newer than {}", length::show(*age)),
            Self::Calendar { unit, count } => show_calendar(*unit, *count, f),
            Self::CalendarAndOldest { unit, count } => {
                show_calendar(*unit, *count, f)?;
                f.write_str(" or the oldest")
            }
            Self::Aged { period, count } => {
                write!(f, "{count} of {} each", length::show(*period))
            }
            Self::Grid(grid) => write!(f, "grid {grid}"),
            Self::PerInterval { every, within, end } => {
                write!(f, "{end} per {}", length::show(*every))?;
                match within {
                    Some(within) => write!(f, " for {}", length::show(*within)),
                    None => Ok(()),
                }
            }
            Self::Thinning(thinning) => write!(f, "plan {thinning}"),
            Self::Chained(keep) => {
                f.write_str("in turn")?;
                if proxmox::options(keep).next().is_none() {
                    f.write_str(" all")?;
                }
                for (name, count) in proxmox::options(keep) {
                    write!(f, " {name} {count}")?;
                }
                Ok(())
            }
        }
    }
}

fn show_calendar(unit: Unit, count: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match unit {
        Unit::Minutes(minutes) => write!(f, "every {minutes} minutes {count}"),
        Unit::Hour => write!(f, "hourly {count}"),
        Unit::Day => write!(f, "daily {count}"),
        Unit::Week => write!(f, "weekly {count}"),
        Unit::Month => write!(f, "monthly {count}"),
        Unit::Year => write!(f, "yearly {count}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begun_periods_count_whatever_their_length() {
        let millis = SignedDuration::from_millis;
        for period in [millis(2000), millis(500), millis(1500)] {
            for age in (-9000..9000).step_by(250).map(millis) {
                let exact = age.as_millis() as f64 / period.as_millis() as f64;
                assert_eq!(
                    periods_of(age, period),
                    exact.ceil() as i128,
                    "{age:?} in {period:?}"
                );
            }
        }
        // A period of nothing is no reason to fail.
        assert!(periods_of(millis(1), SignedDuration::ZERO) > 0);
    }
}
