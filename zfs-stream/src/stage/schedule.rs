//! A limit for every hour of the week.

use std::fmt;
use std::io::{self, Read};
use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::Duration;

use super::rate::{Clock, Limit, RateReader, SystemClock};

const DAY: u32 = 24 * 60;
const WEEK: u32 = 7 * DAY;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// A minute of the week, in local time; by default Monday's first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WeekMinute(u32);

impl WeekMinute {
    /// The day, 0 for Monday to 6 for Sunday, and the minute of that day;
    /// `None` where there is no such day or minute.
    pub fn new(day: u32, minute: u32) -> Option<Self> {
        (day < 7 && minute < DAY).then_some(Self(day * DAY + minute))
    }
}

/// Which limit holds when: each from its minute on until the next, round the
/// week.
///
/// As text it is a list of such minutes, each with its limit, divided by
/// blanks; without a day it holds on every day. A limit is a number of bytes per
/// second with K, M or G for powers of 1024, or `off`:
///
/// ```
/// use zfs_stream::stage::{Schedule, WeekMinute};
///
/// let schedule: Schedule = "08:00,2M 18:00,50M sat-08:00,off".parse()?;
/// let tuesday_at_nine = WeekMinute::new(1, 9 * 60);
/// let limit = tuesday_at_nine.and_then(|minute| schedule.limit(minute));
/// assert_eq!(limit.map(|limit| limit.get()), Some(2 << 20));
/// let saturday_at_nine = WeekMinute::new(5, 9 * 60);
/// assert_eq!(saturday_at_nine.and_then(|minute| schedule.limit(minute)), None);
/// # Ok::<(), zfs_stream::stage::BadSchedule>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// In their order; never empty.
    changes: Vec<(WeekMinute, Option<NonZeroU64>)>,
}

impl Schedule {
    /// The limit at that minute, in bytes per second; `None` for no limit.
    pub fn limit(&self, minute: WeekMinute) -> Option<NonZeroU64> {
        let after = self.changes.partition_point(|(from, _)| *from <= minute);
        // Before the week's first change last week's last one holds.
        let change = match after.checked_sub(1) {
            Some(at) => self.changes.get(at),
            None => self.changes.last(),
        };
        change.and_then(|(_, limit)| *limit)
    }
}

/// Text that is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part:?} in the schedule is not [DAY-]HH:MM,LIMIT: {problem}")]
pub struct BadSchedule {
    part: String,
    problem: &'static str,
}

impl FromStr for Schedule {
    type Err = BadSchedule;

    fn from_str(text: &str) -> Result<Self, BadSchedule> {
        let mut daily = Vec::new();
        let mut weekly = Vec::new();
        for part in text.split_whitespace() {
            let bad = |problem| BadSchedule {
                part: part.to_owned(),
                problem,
            };
            let (when, limit) = part.split_once(',').ok_or_else(|| bad("no limit"))?;
            let limit = parse_limit(limit).ok_or_else(|| bad("no such limit"))?;
            let (day, time) = match when.split_once('-') {
                None => (None, when),
                Some((day, time)) => {
                    let day = day.to_lowercase();
                    let day = DAYS.iter().position(|name| *name == day);
                    (Some(day.ok_or_else(|| bad("no such day"))?), time)
                }
            };
            let minute = parse_time(time).ok_or_else(|| bad("no such time"))?;
            match day {
                None => daily.push((minute, limit)),
                Some(day) => weekly.push((WeekMinute(day as u32 * DAY + minute), limit)),
            }
        }
        let mut changes: Vec<_> = (0..WEEK)
            .step_by(DAY as usize)
            .flat_map(|day| {
                daily
                    .iter()
                    .map(move |&(minute, limit)| (WeekMinute(day + minute), limit))
            })
            .collect();
        // What names a day holds there from its minute on, and until the day
        // is over: otherwise "sat-08:00,off" would end at every day's 18:00.
        for &(from, _) in &weekly {
            changes.retain(|(minute, _)| minute.0 / DAY != from.0 / DAY || *minute < from);
        }
        changes.extend(weekly);
        changes.sort_by_key(|(minute, _)| *minute);
        changes.dedup_by_key(|(minute, _)| *minute);
        if changes.is_empty() {
            return Err(BadSchedule {
                part: text.to_owned(),
                problem: "there is nothing",
            });
        }
        Ok(Self { changes })
    }
}

impl fmt::Display for Schedule {
    /// With a day before each change.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (minute, limit)) in self.changes.iter().enumerate() {
            let blank = if number == 0 { "" } else { " " };
            let day = DAYS
                .get((minute.0 / DAY) as usize)
                .copied()
                .unwrap_or_default();
            let (hour, minute) = (minute.0 % DAY / 60, minute.0 % 60);
            write!(f, "{blank}{day}-{hour:02}:{minute:02},")?;
            match limit {
                Some(limit) => write!(f, "{limit}")?,
                None => f.write_str("off")?,
            }
        }
        Ok(())
    }
}

fn parse_time(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute) = (hour.parse::<u32>().ok()?, minute.parse::<u32>().ok()?);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

/// The outer `None` is for text that is no limit.
#[expect(clippy::option_option, reason = "no limit is a limit, too")]
fn parse_limit(text: &str) -> Option<Option<NonZeroU64>> {
    if text.eq_ignore_ascii_case("off") {
        return Some(None);
    }
    let (digits, shift) = match text.to_ascii_lowercase().as_bytes() {
        [.., b'k'] => (text.len() - 1, 10),
        [.., b'm'] => (text.len() - 1, 20),
        [.., b'g'] => (text.len() - 1, 30),
        _ => (text.len(), 0),
    };
    let number: u64 = text.get(..digits)?.parse().ok()?;
    NonZeroU64::new(number.checked_mul(1 << shift)?).map(Some)
}

/// How often the time of the week is asked for.
const LOOK: Duration = Duration::from_secs(1);

/// A source that is read at most as fast as a schedule allows at the time.
///
/// The time of the week is asked of the caller, who knows the time zone.
#[derive(Debug)]
pub struct ScheduledReader<R, F, C = SystemClock> {
    reader: RateReader<R, C>,
    limit: Limit,
    schedule: Schedule,
    now: F,
    clock: C,
    looked: Option<Duration>,
}

impl<R: Read, F: FnMut() -> WeekMinute> ScheduledReader<R, F> {
    /// Reads by that schedule.
    pub fn new(source: R, schedule: Schedule, now: F) -> Self {
        Self::sharing(source, schedule, now, Limit::default())
    }

    /// Reads by that schedule, together with all others that have a clone of
    /// that limit. It is set by the schedule.
    pub fn sharing(source: R, schedule: Schedule, now: F, limit: Limit) -> Self {
        Self::built(source, schedule, now, limit, SystemClock::default())
    }
}

impl<R: Read, F: FnMut() -> WeekMinute, C: Clock + Clone> ScheduledReader<R, F, C> {
    /// Reads by that schedule and that clock.
    pub fn with_clock(source: R, schedule: Schedule, now: F, clock: C) -> Self {
        Self::built(source, schedule, now, Limit::default(), clock)
    }

    fn built(source: R, schedule: Schedule, now: F, limit: Limit, clock: C) -> Self {
        Self {
            reader: RateReader::with_clock(source, limit.clone(), clock.clone()),
            limit,
            schedule,
            now,
            clock,
            looked: None,
        }
    }
}

impl<R: Read, F: FnMut() -> WeekMinute, C: Clock> Read for ScheduledReader<R, F, C> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let now = self.clock.now();
        if self
            .looked
            .is_none_or(|looked| now.saturating_sub(looked) >= LOOK)
        {
            self.looked = Some(now);
            self.limit.set(self.schedule.limit((self.now)()));
        }
        self.reader.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::super::rate::tests::Staged;
    use super::*;

    fn at(schedule: &Schedule, day: u32, hour: u32) -> Option<u64> {
        let minute = WeekMinute::new(day, hour * 60).unwrap();
        schedule.limit(minute).map(NonZeroU64::get)
    }

    #[test]
    fn a_change_holds_until_the_next_round_the_week() {
        let schedule: Schedule = "Mon-08:00,1M fri-18:00,off sun-20:30,10k".parse().unwrap();
        assert_eq!(at(&schedule, 0, 7), Some(10 << 10));
        assert_eq!(at(&schedule, 0, 8), Some(1 << 20));
        assert_eq!(at(&schedule, 4, 17), Some(1 << 20));
        assert_eq!(at(&schedule, 4, 18), None);
        assert_eq!(at(&schedule, 6, 20), None);
        assert_eq!(at(&schedule, 6, 21), Some(10 << 10));
        assert_eq!(schedule.to_string().parse(), Ok(schedule));
    }

    #[test]
    fn days_without_a_name_are_all_but_the_named() {
        let schedule: Schedule = "08:00,5 18:00,off wed-07:00,9".parse().unwrap();
        for day in [0, 1, 3, 4, 5, 6] {
            assert_eq!(at(&schedule, day, 12), Some(5), "{day}");
            assert_eq!(at(&schedule, day, 19), None, "{day}");
        }
        assert_eq!((at(&schedule, 2, 6), at(&schedule, 2, 23)), (None, Some(9)));
        assert_eq!(at(&schedule, 3, 7), Some(9));
        let always: Schedule = "00:00,3G".parse().unwrap();
        assert_eq!(at(&always, 3, 3), Some(3 << 30));
    }

    #[test]
    fn what_is_no_schedule_is_told() {
        for text in [
            "",
            "08:00",
            "8,5",
            "24:00,5",
            "08:60,5",
            "xxx-08:00,5",
            "08:00,",
            "08:00,0",
            "08:00,-1",
            "08:00,99999999999999G",
            "08:00,5T",
            "08:00,\u{e4}",
        ] {
            assert!(text.parse::<Schedule>().is_err(), "{text:?}");
        }
        let error = "08:00,1M mon-9,5".parse::<Schedule>().unwrap_err();
        assert!(error.to_string().contains("\"mon-9,5\""), "{error}");
    }

    #[test]
    fn the_limit_changes_while_bytes_flow() {
        let clock = Staged::default();
        // The week begins at 07:59 on Monday.
        let weekly = clock.clone();
        let now = move || WeekMinute::new(0, 479 + weekly.now().as_secs() as u32 / 60).unwrap();
        let schedule = "08:00,1000 07:00,100".parse().unwrap();
        let mut reader = ScheduledReader::with_clock(io::repeat(0), schedule, now, clock.clone());
        reader.read_exact(&mut vec![0; 6_000]).unwrap();
        let minute = clock.now().as_secs_f64();
        assert!((58.0..=61.0).contains(&minute), "{minute}");
        reader.read_exact(&mut vec![0; 60_000]).unwrap();
        let second = clock.now().as_secs_f64() - minute;
        assert!((58.0..=63.0).contains(&second), "{second}");
    }
}
