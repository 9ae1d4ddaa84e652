//! How fast streams may go: one limit, or one for every hour of the week.

use std::num::NonZeroU64;

use jiff::Zoned;
use zfs_replicate::execute::Executor;
use zfs_stream::stage::{Limit, Schedule, WeekMinute};

use super::arguments::Arguments;
use super::syncoid::rate;
use crate::exit::UsageError;

/// What `--bwlimit`, `--source-bwlimit` and `--target-bwlimit` say.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The lowest of those that hold always.
    always: Option<NonZeroU64>,
    schedule: Option<Schedule>,
}

impl Limits {
    /// Reads the words of a command line: `10m`, or
    /// `08:00,2M 18:00,50M sat-08:00,off`.
    ///
    /// # Errors
    ///
    /// One is neither, or there are two schedules.
    pub fn new(arguments: &Arguments) -> Result<Limits, UsageError> {
        let mut given = vec![&arguments.source_bwlimit, &arguments.target_bwlimit];
        // --bwlimit stands in both.
        given.dedup();
        let mut limits = Limits {
            always: None,
            schedule: None,
        };
        for text in given.into_iter().flatten() {
            if text.contains(':') {
                let schedule = text.parse().map_err(|error| {
                    UsageError(format!(
                        "--bwlimit={text}: {error}; the days are mon, tue, wed, thu, fri, sat \
                         and sun"
                    ))
                })?;
                if limits.schedule.replace(schedule).is_some() {
                    return Err(UsageError(
                        "there can be one schedule for the rate; give it as --bwlimit".to_owned(),
                    ));
                }
                continue;
            }
            // As in mbuffer, 0 is no limit.
            if text.trim() == "0" {
                continue;
            }
            let rate = rate(text).ok_or_else(|| {
                UsageError(format!(
                    "--bwlimit={text}: a rate is a number with k, m, g or t behind it, or a \
                     schedule such as \"08:00,2M 18:00,50M sat-08:00,off\""
                ))
            })?;
            limits.always = Some(limits.always.map_or(rate, |other| other.min(rate)));
        }
        Ok(limits)
    }

    /// Makes an executor keep to them.
    pub fn on<'a>(&self, mut executor: Executor<'a>) -> Executor<'a> {
        if self.always.is_some() {
            executor = executor.limit(Limit::new(self.always));
        }
        if let Some(schedule) = &self.schedule {
            executor = executor.schedule(schedule.clone(), now);
        }
        executor
    }
}

/// The minute of the week that it is here.
fn now() -> WeekMinute {
    minute(&Zoned::now())
}

fn minute(now: &Zoned) -> WeekMinute {
    let day = u32::try_from(now.weekday().to_monday_zero_offset()).unwrap_or(0);
    let minute = i32::from(now.hour()) * 60 + i32::from(now.minute());
    let minute = u32::try_from(minute).unwrap_or(0);
    WeekMinute::new(day, minute).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::arguments::{self, Command};
    use super::*;

    fn limits(options: &str) -> Result<Limits, UsageError> {
        let words = options.split('|').chain(["a", "b"]).map(str::to_owned);
        match arguments::parse(words) {
            Ok(Command::Run(arguments)) => Limits::new(&arguments),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_lowest_limit_holds_and_a_schedule_beside_it() {
        let always = |options: &str| limits(options).unwrap().always.map(NonZeroU64::get);
        assert_eq!(always("--bwlimit=10m"), Some(10 << 20));
        assert_eq!(
            always("--source-bwlimit=1g|--target-bwlimit=3k"),
            Some(3 << 10)
        );
        assert_eq!(always("--bwlimit=0"), None);
        let week = limits("--bwlimit=08:00,2M 18:00,50M sat-08:00,off").unwrap();
        let tuesday: Zoned = "2026-11-24T09:00:00[Europe/Berlin]".parse().unwrap();
        let saturday: Zoned = "2026-11-28T09:00:00[Europe/Berlin]".parse().unwrap();
        let at = |now: &Zoned| week.schedule.as_ref().unwrap().limit(minute(now));
        assert_eq!(at(&tuesday).map(NonZeroU64::get), Some(2 << 20));
        assert_eq!(at(&saturday), None);
        let both = limits("--source-bwlimit=1m|--target-bwlimit=08:00,2M").unwrap();
        assert!(both.always.is_some() && both.schedule.is_some());
    }

    #[test]
    fn what_is_no_rate_is_told() {
        for options in [
            "--bwlimit=fast",
            "--bwlimit=25:00,2M",
            "--bwlimit=mo-08:00,2M",
            "--source-bwlimit=08:00,2M|--target-bwlimit=09:00,3M",
        ] {
            assert!(
                limits(options).unwrap_err().to_string().contains("bwlimit"),
                "{options}"
            );
        }
    }
}
