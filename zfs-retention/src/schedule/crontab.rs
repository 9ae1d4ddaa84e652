//! crontab expressions, evaluated backwards and forwards.

use std::{fmt, str::FromStr};

use jiff::{SignedDuration, Timestamp, ToSpan, Zoned, civil::Date};

use crate::{Error, SanoidTimes, Tier};

/// A crontab expression: minute, hour, day of the month, month, day of the
/// week, as crontab(5) has them: `*`, lists, ranges, steps, three-letter
/// names, `@hourly` to `@yearly`; Sunday is 0 or 7. Where both days are
/// restricted, either suffices.
///
/// Clocks that change: with `*` for the hour an expression runs in real time,
/// so it runs in both passes of a repeated hour. With hours named, each named
/// time runs once a day: in the first pass of a repeated hour, and as much
/// later as clocks went forward over it.
///
/// ```
/// use zfs_retention::Crontab;
///
/// let crontab: Crontab = "30 2 * * *".parse()?;
/// // In Berlin 02:30 did not exist on 29 March 2026.
/// let now: jiff::Zoned = "2026-03-29T12:00:00+02:00[Europe/Berlin]".parse()?;
/// assert_eq!(crontab.last(&now).unwrap().to_string(), "2026-03-29T01:30:00Z");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crontab {
    text: String,
    minutes: u64,
    hours: u32,
    days: u32,
    months: u16,
    weekdays: u8,
    /// Both days are restricted, so either suffices.
    either_day: bool,
    /// A day beyond the end of a month means its last.
    clamped: bool,
}

#[derive(Clone, Copy)]
enum Direction {
    Back,
    Forward,
}

const ALL_HOURS: u32 = (1 << 24) - 1;
/// No expression that runs at all pauses longer: 29 February falls on a given
/// day of the week every 40 years at the latest (across 2100).
const LONGEST_PAUSE_DAYS: i32 = 41 * 366;

impl Crontab {
    /// The latest moment that is not after `now`; `None` where there is none,
    /// as for 30 February.
    pub fn last(&self, now: &Zoned) -> Option<Timestamp> {
        if let Some(near) = self.near(now, Direction::Back) {
            return Some(near);
        }
        let present = now.timestamp();
        // A skipped time begins later than its own day says, by up to a day.
        let first = now.date().tomorrow().unwrap_or(now.date());
        let mut found: Option<Timestamp> = None;
        for back in 0..LONGEST_PAUSE_DAYS {
            let day = first.checked_sub(back.days()).ok()?;
            let latest = self
                .moments_of(day, now)
                .into_iter()
                .filter(|at| *at <= present)
                .max();
            if let Some(before) = found {
                return Some(latest.map_or(before, |latest| latest.max(before)));
            }
            found = latest;
        }
        found
    }

    /// The earliest moment after `now`.
    pub fn next(&self, now: &Zoned) -> Option<Timestamp> {
        if let Some(near) = self.near(now, Direction::Forward) {
            return Some(near);
        }
        let present = now.timestamp();
        let first = now.date().yesterday().unwrap_or(now.date());
        let mut found: Option<Timestamp> = None;
        for forward in 0..LONGEST_PAUSE_DAYS {
            let Ok(day) = first.checked_add(forward.days()) else {
                break;
            };
            let earliest = self
                .moments_of(day, now)
                .into_iter()
                .filter(|at| *at > present)
                .min();
            if let Some(before) = found {
                return Some(earliest.map_or(before, |earliest| earliest.min(before)));
            }
            found = earliest;
        }
        found
    }

    /// The short way for expressions that run every hour: the nearest minute,
    /// if no clock changed on the way there.
    fn near(&self, now: &Zoned, direction: Direction) -> Option<Timestamp> {
        if self.hours != ALL_HOURS {
            return None;
        }
        let shown = i64::from(now.minute());
        let runs = |minute: i64| self.minutes & (1 << minute.rem_euclid(60)) != 0;
        let minutes = match direction {
            Direction::Back => (0..60).map(|back| -back).find(|step| runs(shown + step)),
            Direction::Forward => (1..=60).find(|step| runs(shown + step)),
        }?;
        let begin = i64::from(now.second()) * 1_000_000_000 + i64::from(now.subsec_nanosecond());
        let step = SignedDuration::from_mins(minutes) - SignedDuration::from_nanos(begin);
        let at = now.timestamp().checked_add(step).ok()?;
        let local = at.to_zoned(now.time_zone().clone());
        let same_clock = local.offset() == now.offset();
        (same_clock && self.runs_on(local.date())).then_some(at)
    }

    /// The expression for one of sanoid's types at its preferred time.
    pub(super) fn preferred(tier: Tier, times: &SanoidTimes) -> Self {
        let bit = |number: u8, most: u8| 1_u64 << number.min(most);
        let (minute, hour) = match tier {
            Tier::Frequently | Tier::Hourly => (times.hourly_min, None),
            Tier::Daily => (times.daily_min, Some(times.daily_hour)),
            Tier::Weekly => (times.weekly_min, Some(times.weekly_hour)),
            Tier::Monthly => (times.monthly_min, Some(times.monthly_hour)),
            Tier::Yearly => (times.yearly_min, Some(times.yearly_hour)),
        };
        let mut crontab = Self {
            text: format!("preferred {tier}"),
            minutes: bit(minute, 59),
            hours: hour.map_or(ALL_HOURS, |hour| bit(hour, 23) as u32),
            days: u32::MAX,
            months: u16::MAX,
            weekdays: u8::MAX,
            either_day: false,
            clamped: true,
        };
        match tier {
            Tier::Frequently => {
                let step = times.frequent_period.clamp(1, 60) as usize;
                crontab.minutes = (0..60).step_by(step).fold(0, |set, nth| set | 1_u64 << nth);
            }
            Tier::Weekly => crontab.weekdays = 1 << (times.weekly_wday % 7),
            Tier::Monthly => crontab.days = bit(times.monthly_mday.max(1), 31) as u32,
            Tier::Yearly => {
                crontab.days = bit(times.yearly_mday.max(1), 31) as u32;
                crontab.months = bit(times.yearly_mon.max(1), 12) as u16;
            }
            Tier::Hourly | Tier::Daily => {}
        }
        crontab
    }

    fn runs_on(&self, day: Date) -> bool {
        if self.months & (1 << day.month()) == 0 {
            return false;
        }
        let weekday = self.weekdays & (1 << day.weekday().to_sunday_zero_offset()) != 0;
        let last = day.days_in_month();
        let own = 1_u32 << day.day();
        // On the last day of a month stand those that it does not have.
        let standing = if self.clamped && day.day() == last {
            u32::MAX << last
        } else {
            own
        };
        let of_month = self.days & standing != 0;
        if self.either_day {
            weekday || of_month
        } else {
            weekday && of_month
        }
    }

    /// The moments that a day of the calendar has.
    fn moments_of(&self, day: Date, now: &Zoned) -> Vec<Timestamp> {
        if !self.runs_on(day) {
            return Vec::new();
        }
        if self.hours == ALL_HOURS {
            return self.real_minutes_of(day, now);
        }
        let mut moments = Vec::new();
        for hour in (0..24_i8).filter(|hour| self.hours & (1 << hour) != 0) {
            for minute in (0..60_i8).filter(|minute| self.minutes & (1 << minute) != 0) {
                let at = now
                    .time_zone()
                    .to_ambiguous_timestamp(day.at(hour, minute, 0, 0));
                moments.extend(at.compatible().ok());
            }
        }
        moments
    }

    /// Every real minute of the day whose clock shows one of the minutes.
    fn real_minutes_of(&self, day: Date, now: &Zoned) -> Vec<Timestamp> {
        let zone = now.time_zone();
        // No day is longer than 25 hours; what belongs to its neighbours is
        // told apart by the date.
        let Ok(begin) = zone.to_ambiguous_timestamp(day.at(0, 0, 0, 0)).earlier() else {
            return Vec::new();
        };
        let mut moments = Vec::new();
        let hours = SignedDuration::from_hours;
        let mut at = begin.checked_sub(hours(1)).unwrap_or(begin);
        let end = begin.checked_add(hours(27)).unwrap_or(begin);
        while at < end {
            let local = zone.to_datetime(at);
            let shown = local.minute();
            if local.date() == day && local.second() == 0 && self.minutes & (1 << shown) != 0 {
                moments.push(at);
            }
            // Offsets are whole minutes since the 1970s; before, some were not.
            let step = SignedDuration::from_secs(60 - i64::from(local.second()));
            at = at.checked_add(step).unwrap_or(end);
        }
        moments
    }
}

/// One field: where it lies, and the names it knows.
struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field {
        name: "minute",
        least: 0,
        most: 59,
        names: &[],
    },
    Field {
        name: "hour",
        least: 0,
        most: 23,
        names: &[],
    },
    Field {
        name: "day of the month",
        least: 1,
        most: 31,
        names: &[],
    },
    Field {
        name: "month",
        least: 1,
        most: 12,
        names: &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    },
    Field {
        name: "day of the week",
        least: 0,
        most: 7,
        names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    },
];

impl Field {
    fn parse(&self, text: &str) -> Result<u64, String> {
        let mut set = 0;
        for item in text.split(',') {
            let (range, step) = match item.split_once('/') {
                None => (item, None),
                Some((range, step)) => {
                    let step: u32 = step
                        .parse()
                        .ok()
                        .filter(|step| *step > 0)
                        .ok_or_else(|| format!("{step:?} is not a step"))?;
                    (range, Some(step))
                }
            };
            let (from, to) = if range == "*" {
                (self.least, self.most)
            } else if let Some((from, to)) = range.split_once('-') {
                (self.number(from)?, self.number(to)?)
            } else {
                let from = self.number(range)?;
                // `5/10` counts from 5 to the end.
                (from, if step.is_some() { self.most } else { from })
            };
            if from > to {
                return Err(format!("the {} {range} ends before it begins", self.name));
            }
            for number in (from..=to).step_by(step.unwrap_or(1) as usize) {
                set |= 1_u64 << number;
            }
        }
        Ok(set)
    }

    fn number(&self, text: &str) -> Result<u32, String> {
        let lower = text.to_ascii_lowercase();
        let named = (self.least..)
            .zip(self.names)
            .find(|(_, name)| **name == lower);
        let number = match named {
            Some((number, _)) => Some(number),
            None if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            None => None,
        };
        number
            .filter(|number| (self.least..=self.most).contains(number))
            .ok_or_else(|| {
                let (least, most) = (self.least, self.most);
                format!("{text:?} is not a {} from {least} to {most}", self.name)
            })
    }
}

impl FromStr for Crontab {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |problem: String| Error::syntax("crontab expression", text, problem);
        let expression = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            other => other,
        };
        let words: Vec<&str> = expression.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = words.as_slice() else {
            let count = words.len();
            return Err(wrong(format!("it has {count} fields instead of five")));
        };
        let mut sets = [0_u64; 5];
        for ((set, field), word) in sets
            .iter_mut()
            .zip(&FIELDS)
            .zip([minute, hour, day, month, weekday])
        {
            *set = field.parse(word).map_err(wrong)?;
        }
        let [minutes, hours, days, months, weekdays] = sets;
        let crontab = Self {
            text: expression.to_owned(),
            minutes,
            hours: hours as u32,
            days: days as u32,
            months: months as u16,
            weekdays: (weekdays | weekdays >> 7) as u8,
            // As in cron, a field that begins with `*` restricts nothing here.
            either_day: !day.starts_with('*') && !weekday.starts_with('*'),
            clamped: false,
        };
        if !crontab.ever_runs() {
            return Err(wrong("no month has such a day".to_owned()));
        }
        Ok(crontab)
    }
}

impl Crontab {
    /// Whether some month has one of the days.
    fn ever_runs(&self) -> bool {
        const LENGTHS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        self.either_day
            || (1_u32..).zip(LENGTHS).any(|(month, length)| {
                let within = u64::from(self.days) & ((1_u64 << (length + 1)) - 1);
                self.months & (1 << month) != 0 && within != 0
            })
    }
}

impl fmt::Display for Crontab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn assert_around(text: &str, now: &str, last: &str, next: &str) {
        let crontab: Crontab = text.parse().unwrap();
        let now: Zoned = now.parse().unwrap();
        let found = (crontab.last(&now).unwrap(), crontab.next(&now).unwrap());
        assert_eq!(
            found,
            (last.parse().unwrap(), next.parse().unwrap()),
            "{text} at {now}"
        );
    }

    #[test]
    fn expressions_mean_what_crontab_says() {
        let now = "2026-04-03T12:34:56Z[UTC]";
        for (text, last, next) in [
            ("* * * * *", "2026-04-03T12:34:00Z", "2026-04-03T12:35:00Z"),
            (
                "*/20 * * * *",
                "2026-04-03T12:20:00Z",
                "2026-04-03T12:40:00Z",
            ),
            (
                "5/20 * * * *",
                "2026-04-03T12:25:00Z",
                "2026-04-03T12:45:00Z",
            ),
            (
                "15 2,14 * * *",
                "2026-04-03T02:15:00Z",
                "2026-04-03T14:15:00Z",
            ),
            (
                "0 9-17/4 * * *",
                "2026-04-03T09:00:00Z",
                "2026-04-03T13:00:00Z",
            ),
            (
                "0 0 * * Sun",
                "2026-03-29T00:00:00Z",
                "2026-04-05T00:00:00Z",
            ),
            ("0 0 * * 7", "2026-03-29T00:00:00Z", "2026-04-05T00:00:00Z"),
            ("0 0 31 * *", "2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z"),
            (
                "0 0 29 feb *",
                "2024-02-29T00:00:00Z",
                "2028-02-29T00:00:00Z",
            ),
            // Either day: the 13th, or any Friday.
            (
                "0 0 13 * fri",
                "2026-04-03T00:00:00Z",
                "2026-04-10T00:00:00Z",
            ),
            // `*/2` restricts nothing against a weekday: both must hold.
            (
                "0 0 */2 * fri",
                "2026-04-03T00:00:00Z",
                "2026-04-17T00:00:00Z",
            ),
            ("@monthly", "2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z"),
        ] {
            assert_around(text, now, last, next);
        }
    }

    #[test]
    fn leap_days_across_2100_are_found() {
        assert_around(
            "0 0 29 2 *",
            "2098-01-01T00:00:00Z[UTC]",
            "2096-02-29T00:00:00Z",
            "2104-02-29T00:00:00Z",
        );
    }

    #[test]
    fn named_times_run_once_when_clocks_change() {
        // Skipped: as much later. Repeated: the first.
        assert_around(
            "30 2 * * *",
            "2026-03-29T06:00:00+02:00[Europe/Berlin]",
            "2026-03-29T03:30:00+02:00",
            "2026-03-30T02:30:00+02:00",
        );
        assert_around(
            "30 2 * * *",
            "2026-10-25T02:45:00+01:00[Europe/Berlin]",
            "2026-10-25T02:30:00+02:00",
            "2026-10-26T02:30:00+01:00",
        );
    }

    #[test]
    fn every_hour_runs_in_both_passes_of_a_repeated_one() {
        assert_around(
            "30 * * * *",
            "2026-10-25T02:10:00+01:00[Europe/Berlin]",
            "2026-10-25T02:30:00+02:00",
            "2026-10-25T02:30:00+01:00",
        );
    }

    #[test]
    fn a_day_that_a_zone_skipped_is_made_up_for_at_once() {
        // Samoa had no 30 December 2011.
        let crontab: Crontab = "0 12 30 * *".parse().unwrap();
        let now: Zoned = "2012-01-05T00:00:00+14:00[Pacific/Apia]".parse().unwrap();
        assert_eq!(
            crontab.last(&now).unwrap(),
            "2011-12-31T12:00:00+14:00".parse().unwrap()
        );
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in [
            "",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "*/0 * * * *",
            "5-1 * * * *",
            "a * * * *",
            "+5 * * * *",
            "0 0 30 2 *",
            "0 0 31 apr,jun *",
            "@reboot",
        ] {
            assert!(text.parse::<Crontab>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn parsing_any_text_is_safe(text in "[0-9*,/@a-z -]{0,40}") {
            if let Ok(crontab) = text.parse::<Crontab>() {
                let now: Zoned = "2026-04-03T12:34:56Z[UTC]".parse().unwrap();
                prop_assert!(crontab.last(&now).is_some());
            }
        }
    }
}
