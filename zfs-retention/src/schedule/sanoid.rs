//! sanoid's preferred times, and how sanoid computes with them.

use jiff::{Timestamp, Zoned, civil::Date};

use crate::Tier;

/// The times of sanoid.conf at which each type is preferably taken. The
/// default is that of `sanoid.defaults.conf` 2.3.0.
///
/// [`Schedule::Sanoid`](crate::Schedule::Sanoid) takes the last preferred
/// moment as sanoid 2.3.0 does (`take_snapshots`), which is arithmetic on
/// seconds with corrections for clocks that change:
///
/// - `frequently`: this hour's latest multiple of `frequent_period`;
/// - `hourly`: this hour at `hourly_min`, or an hour earlier;
/// - `daily`: today at that time, or 24 hours earlier;
/// - `weekly`: the coming day of the week at that time, or 7 days earlier;
/// - `monthly`: this month at that time, or 31 days earlier;
/// - `yearly`: this year at that time, or the year before.
///
/// In the repeated hour of autumn sanoid takes one `hourly` more, with `dst`
/// in its name, and no `frequently`; on that day the daily of 23:59 comes at
/// midnight.
///
/// Five differences, all where sanoid loses or repeats snapshots. Its yearly
/// looks back 31 times 365.25 *days* instead of one year, so a year that was
/// missed is caught up only after the next preferred time; here it is caught
/// up at once. A preferred moment that its arithmetic puts into the future
/// (with `hourly_min` above 0, after the clocks went back) makes it take one
/// snapshot a run until then; here one more period is subtracted. A day of
/// the month that the month does not have ends sanoid; here it is the month's
/// last. A snapshot left in the future by a clock that was ahead keeps sanoid
/// from taking any until then; here it does not. And where the name of a type
/// is taken in the repeated hour, sanoid adds `dst` only if `hourly` is the
/// first type due in that run, else it fails and takes it a run later under
/// another name; here every type gets its `dst`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SanoidTimes {
    /// Minutes between `frequently` snapshots, counted from the full hour; 0
    /// is taken as 1.
    pub frequent_period: u32,
    /// Minute of the hour.
    pub hourly_min: u8,
    /// Hour of the day.
    pub daily_hour: u8,
    /// Minute.
    pub daily_min: u8,
    /// Day of the week; Sunday is 0, Monday 1.
    pub weekly_wday: u8,
    /// Hour of the day.
    pub weekly_hour: u8,
    /// Minute.
    pub weekly_min: u8,
    /// Day of the month.
    pub monthly_mday: u8,
    /// Hour of the day.
    pub monthly_hour: u8,
    /// Minute.
    pub monthly_min: u8,
    /// Month; January is 1.
    pub yearly_mon: u8,
    /// Day of the month.
    pub yearly_mday: u8,
    /// Hour of the day.
    pub yearly_hour: u8,
    /// Minute.
    pub yearly_min: u8,
}

impl Default for SanoidTimes {
    fn default() -> Self {
        Self {
            frequent_period: 15,
            hourly_min: 0,
            daily_hour: 23,
            daily_min: 59,
            weekly_wday: 1,
            weekly_hour: 23,
            weekly_min: 30,
            monthly_mday: 1,
            monthly_hour: 0,
            monthly_min: 0,
            yearly_mon: 1,
            yearly_mday: 1,
            yearly_hour: 0,
            yearly_min: 0,
        }
    }
}

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

impl SanoidTimes {
    /// The last preferred moment of a type, never after `now`.
    pub(super) fn last(&self, tier: Tier, now: &Zoned) -> Option<Timestamp> {
        let today = now.date();
        let present = now.timestamp().as_second();
        let hour = u8::try_from(now.hour()).ok()?;
        let hour_lost = clocks_went_back_today(now);
        let mut last;
        let step;
        match tier {
            Tier::Frequently => {
                let period = self.frequent_period.max(1);
                let minute = u32::try_from(now.minute()).ok()? / period * period;
                last = local(now, today, hour, u8::try_from(minute).ok()?)?;
                step = 60 * i64::from(period);
            }
            Tier::Hourly => {
                last = local(now, today, hour, self.hourly_min)? + hour_lost;
                step = HOUR;
            }
            Tier::Daily => {
                last = local(now, today, self.daily_hour, self.daily_min)? + hour_lost;
                if !is_dst(now, last) && is_dst(now, present) {
                    last -= HOUR;
                }
                step = DAY + 2 * hour_lost;
            }
            Tier::Weekly => {
                let weekday = i64::from(now.weekday().to_sunday_zero_offset());
                let wanted = i64::from(self.weekly_wday);
                let week = if wanted < weekday { 7 } else { 0 };
                last = local(now, today, self.weekly_hour, self.weekly_min)?;
                last += (week + wanted - weekday) * DAY;
                step = 7 * DAY;
            }
            Tier::Monthly => {
                let day = day_of(today.year(), today.month(), self.monthly_mday)?;
                last = local(now, day, self.monthly_hour, self.monthly_min)?;
                step = 31 * DAY;
            }
            Tier::Yearly => {
                let year_of = |year| {
                    let day = day_of(year, i8::try_from(self.yearly_mon).ok()?, self.yearly_mday)?;
                    local(now, day, self.yearly_hour, self.yearly_min)
                };
                last = year_of(today.year())?;
                if last > present {
                    last = year_of(today.year() - 1)?;
                }
                step = 366 * DAY;
            }
        }
        while last > present {
            last -= step;
        }
        Timestamp::from_second(last).ok()
    }
}

/// An hour in seconds where summer time was in force at midnight and is not
/// now; then local times of today name moments an hour too early.
fn clocks_went_back_today(now: &Zoned) -> i64 {
    let Some(midnight) = local(now, now.date(), 0, 0) else {
        return 0;
    };
    let ended = is_dst(now, midnight) && !is_dst(now, now.timestamp().as_second());
    if ended { HOUR } else { 0 }
}

fn is_dst(now: &Zoned, second: i64) -> bool {
    Timestamp::from_second(second).is_ok_and(|at| now.time_zone().to_offset_info(at).dst().is_dst())
}

/// The moment of a local time, the first where it comes twice, and as much
/// later where it does not come at all, as Perl's Time::Local has it.
fn local(now: &Zoned, day: Date, hour: u8, minute: u8) -> Option<i64> {
    let hour = i8::try_from(hour).ok()?.min(23);
    let minute = i8::try_from(minute).ok()?.min(59);
    let at = now
        .time_zone()
        .to_ambiguous_timestamp(day.at(hour, minute, 0, 0));
    Some(at.compatible().ok()?.as_second())
}

/// That day, or the month's last.
fn day_of(year: i16, month: i8, day: u8) -> Option<Date> {
    let first = Date::new(year, month.clamp(1, 12), 1).ok()?;
    let day = i8::try_from(day).ok()?.clamp(1, first.days_in_month());
    Date::new(year, first.month(), day).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Schedule;

    #[track_caller]
    fn assert_last(tier: Tier, times: &SanoidTimes, now: &str, expected: &str) {
        let now: Zoned = now.parse().unwrap();
        let expected: Timestamp = expected.parse().unwrap();
        let last = times.last(tier, &now).unwrap();
        assert_eq!(last, expected, "{tier} at {now}");
    }

    #[test]
    fn each_type_has_its_last_preferred_moment() {
        let now = "2026-04-03T12:34:56+02:00[Europe/Berlin]";
        for (tier, last) in [
            (Tier::Frequently, "2026-04-03T12:30:00+02:00"),
            (Tier::Hourly, "2026-04-03T12:00:00+02:00"),
            (Tier::Daily, "2026-04-02T23:59:00+02:00"),
            (Tier::Weekly, "2026-03-30T23:30:00+02:00"),
            (Tier::Monthly, "2026-04-01T00:00:00+02:00"),
            (Tier::Yearly, "2026-01-01T00:00:00+01:00"),
        ] {
            assert_last(tier, &SanoidTimes::default(), now, last);
        }
    }

    #[test]
    fn a_monthly_later_this_month_was_31_days_ago_and_a_yearly_a_year() {
        let times = SanoidTimes {
            monthly_mday: 15,
            yearly_mon: 6,
            ..SanoidTimes::default()
        };
        let now = "2026-03-10T12:00:00Z[UTC]";
        assert_last(Tier::Monthly, &times, now, "2026-02-12T00:00:00Z");
        assert_last(Tier::Yearly, &times, now, "2025-06-01T00:00:00Z");
    }

    #[test]
    fn the_repeated_hour_has_two_hourlies_and_one_set_of_frequentlies() {
        let times = SanoidTimes::default();
        let first = "2026-10-25T02:20:00+02:00[Europe/Berlin]";
        let second = "2026-10-25T02:20:00+01:00[Europe/Berlin]";
        assert_last(Tier::Hourly, &times, first, "2026-10-25T00:00:00Z");
        assert_last(Tier::Hourly, &times, second, "2026-10-25T01:00:00Z");
        assert_last(Tier::Frequently, &times, first, "2026-10-25T00:15:00Z");
        assert_last(Tier::Frequently, &times, second, "2026-10-25T00:15:00Z");
    }

    #[test]
    fn on_the_day_clocks_go_back_the_daily_comes_at_midnight() {
        let times = SanoidTimes::default();
        let evening = "2026-10-25T23:59:30+01:00[Europe/Berlin]";
        assert_last(Tier::Daily, &times, evening, "2026-10-24T21:59:00Z");
        let midnight = "2026-10-26T00:00:00+01:00[Europe/Berlin]";
        assert_last(Tier::Daily, &times, midnight, "2026-10-25T22:59:00Z");
    }

    #[test]
    fn no_preferred_moment_lies_in_the_future() {
        let times = SanoidTimes {
            hourly_min: 45,
            ..SanoidTimes::default()
        };
        let now = "2026-10-25T05:30:00+01:00[Europe/Berlin]";
        assert_last(Tier::Hourly, &times, now, "2026-10-25T03:45:00Z");
    }

    #[test]
    fn a_day_that_the_month_does_not_have_is_its_last() {
        let times = SanoidTimes {
            monthly_mday: 31,
            ..SanoidTimes::default()
        };
        let now = "2026-04-30T12:00:00Z[UTC]";
        assert_last(Tier::Monthly, &times, now, "2026-04-30T00:00:00Z");
    }

    #[test]
    fn odd_times_never_fail() {
        let times = SanoidTimes {
            frequent_period: 0,
            hourly_min: 255,
            daily_hour: 255,
            daily_min: 255,
            weekly_wday: 255,
            weekly_hour: 255,
            weekly_min: 255,
            monthly_mday: 0,
            monthly_hour: 255,
            monthly_min: 255,
            yearly_mon: 0,
            yearly_mday: 0,
            yearly_hour: 255,
            yearly_min: 255,
        };
        let now: Zoned = "2026-04-30T12:00:00Z[UTC]".parse().unwrap();
        for tier in Tier::ALL {
            let schedule = Schedule::Sanoid {
                tier,
                times: times.clone(),
            };
            schedule.due([], &now);
        }
    }
}
