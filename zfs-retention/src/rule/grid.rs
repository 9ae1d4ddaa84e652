//! zrepl's retention grid.

use std::{fmt, str::FromStr};

use jiff::SignedDuration;

use super::{Outcome, Seen};
use crate::{Error, length};

/// Adjacent buckets of time, growing towards the past; in each the oldest few
/// are kept, and what is older than all buckets is not.
///
/// The buckets begin at the newest snapshot that the part covers, not at the
/// clock. Their younger edge belongs to them, their older edge to the next:
/// in `2x1h`, a snapshot exactly one hour older than the newest lies in the
/// second bucket, one of exactly two hours in none.
///
/// Written as zrepl writes it (`internal/pruning/retentiongrid`, zrepl 0.7):
/// `TIMESxLENGTH(keep=COUNT|all)` joined by `|`, lengths in `s`, `m`, `h`,
/// `d`, `w`, `keep=1` where it is left out; lengths must not shrink, unless
/// all before keeps all.
///
/// One difference, on purpose: the newest snapshot is always kept. zrepl
/// destroys it when its bucket has an older one, upon which the edges of all
/// buckets move and the next run destroys more.
///
/// ```
/// use zfs_retention::Grid;
///
/// // All of the last hour, then one an hour for a day, then one a day for a month.
/// let grid: Grid = "1x1h(keep=all) | 24x1h | 30x1d".parse()?;
/// assert_eq!(grid.to_string(), "1x1h(keep=all) | 24x1h | 30x1d");
/// # Ok::<(), zfs_retention::Error>(())
/// ```
///
/// With `2x1h`, snapshots at 10:00, 10:20, 10:50, 11:10, 11:30 and 12:00: the
/// buckets are 11:00 to 12:00 and 10:00 to 11:00, their older edges out. Kept
/// are 12:00 as the newest, 11:10 and 10:20 as the oldest of their buckets;
/// 10:00 lies outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    intervals: Vec<GridInterval>,
}

/// A number of equal buckets, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GridInterval {
    /// How many buckets.
    pub times: u32,
    /// How long each is.
    pub length: SignedDuration,
    /// How many snapshots each keeps; `None` keeps all.
    pub keep: Option<u32>,
}

impl Grid {
    /// A grid of these intervals, the youngest first.
    ///
    /// # Errors
    ///
    /// Where there are none, one is empty, or lengths shrink towards the past.
    pub fn new(intervals: Vec<GridInterval>) -> Result<Self, Error> {
        let grid = Self { intervals };
        match grid.problem() {
            Some(problem) => Err(Error::syntax("zrepl grid", &grid.to_string(), problem)),
            None => Ok(grid),
        }
    }

    fn problem(&self) -> Option<&'static str> {
        if self.intervals.is_empty() {
            return Some("it needs at least one interval");
        }
        let mut before: Option<GridInterval> = None;
        let mut all_kept = true;
        for interval in &self.intervals {
            if interval.times == 0 || interval.length <= SignedDuration::ZERO {
                return Some("numbers and lengths must be above zero");
            }
            if before.is_some_and(|before| interval.length < before.length) && !all_kept {
                return Some("intervals must not get shorter towards the past");
            }
            all_kept &= interval.keep.is_none();
            before = Some(*interval);
        }
        None
    }

    /// The intervals, the youngest first.
    pub fn intervals(&self) -> &[GridInterval] {
        &self.intervals
    }

    /// Which bucket an age lies in, counted from 1, and what it keeps.
    fn bucket(&self, age: SignedDuration) -> Option<(u64, Option<u32>)> {
        let mut rest = age.as_nanos();
        let mut number: u64 = 1;
        for interval in &self.intervals {
            let length = interval.length.as_nanos().max(1);
            let within = rest.div_euclid(length);
            if within < i128::from(interval.times) {
                let within = u64::try_from(within).unwrap_or(0);
                return Some((number + within, interval.keep));
            }
            rest -= length * i128::from(interval.times);
            number += u64::from(interval.times);
        }
        None
    }

    pub(super) fn judge(&self, seen: Seen<'_>, mut judged: impl FnMut(u32, Outcome)) {
        let Some((anchor, newest)) = seen.iter().next() else {
            return;
        };
        let mut current: Option<(u64, u32)> = None;
        for (position, moment) in seen.iter().rev() {
            let Some((bucket, keep)) = self.bucket(moment.age(newest.at())) else {
                judged(position, Outcome::TooOld);
                continue;
            };
            let taken = match current {
                Some((same, taken)) if same == bucket => taken,
                _ => 0,
            };
            current = Some((bucket, taken.saturating_add(1)));
            let shown = u32::try_from(bucket).unwrap_or(u32::MAX);
            let outcome = if keep.is_none_or(|keep| taken < keep) {
                Outcome::Chosen(shown)
            } else if position == anchor {
                Outcome::Anchor
            } else {
                Outcome::BucketFull(shown)
            };
            judged(position, outcome);
        }
    }
}

impl FromStr for Grid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |problem: String| Error::syntax("zrepl grid", text, problem);
        let intervals = text
            .split('|')
            .map(|interval| parse_interval(interval).map_err(wrong))
            .collect::<Result<Vec<_>, Error>>()?;
        let grid = Self { intervals };
        match grid.problem() {
            Some(problem) => Err(wrong(problem.to_owned())),
            None => Ok(grid),
        }
    }
}

fn parse_interval(text: &str) -> Result<GridInterval, String> {
    let text = text.trim();
    let (times, rest) = text
        .split_once('x')
        .ok_or_else(|| format!("{text:?} is not of the form TIMESxLENGTH(keep=COUNT)"))?;
    let times = times
        .trim()
        .parse()
        .map_err(|_| format!("{:?} is not a number of intervals", times.trim()))?;
    let (length, options) = match rest.split_once('(') {
        None => (rest, None),
        Some((length, options)) => match options.trim_end().strip_suffix(')') {
            Some(options) => (length, Some(options)),
            None => return Err(format!("the bracket in {text:?} is not closed")),
        },
    };
    let length = length::parse(length.trim(), length::ZREPL)?;
    let keep = match options.map(|options| options.trim().strip_prefix("keep=")) {
        None => Some(1),
        Some(Some("all")) => None,
        Some(Some(count)) => Some(
            count
                .parse()
                .map_err(|_| format!("keep={count} is neither a number nor all"))?,
        ),
        Some(None) => return Err(format!("only keep= is known in the bracket of {text:?}")),
    };
    Ok(GridInterval {
        times,
        length,
        keep,
    })
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, interval) in self.intervals.iter().enumerate() {
            if nth > 0 {
                f.write_str(" | ")?;
            }
            write!(f, "{}x{}", interval.times, length::show(interval.length))?;
            match interval.keep {
                None => f.write_str("(keep=all)")?,
                Some(1) => {}
                Some(count) => write!(f, "(keep={count})")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_their_younger_edge_and_not_their_older() {
        let grid: Grid = "2x1h | 1x1d(keep=2)".parse().unwrap();
        let bucket = |seconds| {
            grid.bucket(SignedDuration::from_secs(seconds))
                .map(|(number, _)| number)
        };
        assert_eq!(bucket(0), Some(1));
        assert_eq!(bucket(3599), Some(1));
        assert_eq!(bucket(3600), Some(2));
        assert_eq!(bucket(7200), Some(3));
        assert_eq!(bucket(7200 + 86_399), Some(3));
        assert_eq!(bucket(7200 + 86_400), None);
    }

    #[test]
    fn a_huge_grid_costs_no_more_than_a_small_one() {
        let grid: Grid = "4294967295x1w(keep=4294967295)".parse().unwrap();
        let age = SignedDuration::from_hours(24 * 7 * 1_000_000);
        assert_eq!(grid.bucket(age), Some((1_000_001, Some(u32::MAX))));
    }

    #[test]
    fn grids_that_zrepl_refuses_are_refused() {
        for text in [
            "",
            "1h",
            "0x1h",
            "1x0h",
            "1x1y",
            "1x1h(keep=some)",
            "1x1h(count=1)",
            "1x1h(keep=1",
            "1x1d | 1x1h",
            "1x1h |",
        ] {
            assert!(text.parse::<Grid>().is_err(), "{text}");
        }
        assert!("1x1d(keep=all) | 1x1h".parse::<Grid>().is_ok());
        let nothing = GridInterval {
            times: 1,
            length: SignedDuration::ZERO,
            keep: None,
        };
        assert!(Grid::new(vec![nothing]).is_err());
    }

    #[test]
    fn a_grid_is_shown_as_it_was_written() {
        for text in [
            "1x1h(keep=all) | 24x1h | 30x1d",
            "2x1h | 3x1h(keep=2)",
            "1x7d",
        ] {
            assert_eq!(text.parse::<Grid>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_error_shows_the_grid_and_says_what_is_wrong() {
        let error = "1x1h(keep=some)".parse::<Grid>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read zrepl grid \"1x1h(keep=some)\": keep=some is neither a number nor all"
        );
    }
}
