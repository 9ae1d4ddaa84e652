//! What a part asks of the snapshots it covers, and how each of them fares.

use std::fmt;

use crate::calendar::{Moment, PeriodRank, PeriodRanks, Unit};

/// What keeps a snapshot. Every rule sees the snapshots that its part covers,
/// from the newest to the oldest, those of the future left out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// Every one of them.
    Every,
    /// The newest `count`.
    Last {
        /// How many.
        count: u32,
    },
    /// The newest of each of the last `count` periods that have any: what
    /// restic calls `--keep-hourly` to `--keep-yearly`. Periods without a
    /// snapshot do not count, so a machine that was off for a month still has
    /// its seven dailies.
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
}

/// How one snapshot fares under one part; eight bytes, since a plan has one
/// for each snapshot and part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The part does not cover it.
    Outside,
    /// Kept: the rule keeps all it sees.
    Every,
    /// Kept: the `0`-th of those counted, within the count.
    Ranked(u32),
    /// Not kept: the `0`-th of those counted, beyond the count.
    BeyondCount(u32),
    /// Not kept by any count: the one at this position stands for its period.
    Superseded(u32),
}

impl Outcome {
    pub(crate) fn keeps(self) -> bool {
        matches!(self, Self::Every | Self::Ranked(_))
    }

    fn counted(rank: u32, count: u32) -> Self {
        if rank <= count {
            Self::Ranked(rank)
        } else {
            Self::BeyondCount(rank)
        }
    }
}

impl Rule {
    /// Judges the snapshots a part covers. `covered` are positions in
    /// `moments`, both from the newest to the oldest; the answers are in the
    /// order of `covered`.
    pub(crate) fn judge(&self, moments: &[Moment], covered: &[u32]) -> Vec<Outcome> {
        match *self {
            Self::Every => vec![Outcome::Every; covered.len()],
            Self::Last { count } => (1..=u32::MAX)
                .zip(covered)
                .map(|(rank, _)| Outcome::counted(rank, count))
                .collect(),
            Self::Calendar { unit, count } => {
                let mut ranks = PeriodRanks::default();
                covered_moments(moments, covered)
                    .map(
                        |(position, moment)| match ranks.rank(moment.period(unit), position) {
                            PeriodRank::Newest { rank } => Outcome::counted(rank, count),
                            PeriodRank::Superseded { by } => Outcome::Superseded(by),
                        },
                    )
                    .collect()
            }
        }
    }

    /// The calendar period that a reason should name.
    pub(crate) fn unit(&self) -> Option<Unit> {
        match self {
            Self::Calendar { unit, .. } => Some(*unit),
            _ => None,
        }
    }
}

fn covered_moments<'a>(
    moments: &'a [Moment],
    covered: &'a [u32],
) -> impl Iterator<Item = (u32, Moment)> + 'a {
    covered
        .iter()
        .filter_map(|&position| Some((position, *moments.get(position as usize)?)))
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every => f.write_str("all"),
            Self::Last { count } => write!(f, "last {count}"),
            Self::Calendar { unit, count } => match unit {
                Unit::Minutes(minutes) => write!(f, "every {minutes} minutes {count}"),
                Unit::Hour => write!(f, "hourly {count}"),
                Unit::Day => write!(f, "daily {count}"),
                Unit::Week => write!(f, "weekly {count}"),
                Unit::Month => write!(f, "monthly {count}"),
                Unit::Year => write!(f, "yearly {count}"),
            },
        }
    }
}
