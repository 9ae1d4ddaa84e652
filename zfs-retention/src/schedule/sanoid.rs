//! sanoid's preferred times, and how sanoid computes with them.

use jiff::{Span, Timestamp, Zoned, civil::Date};

use crate::Tier;

/// The times of sanoid.conf at which each type is preferably taken. The
/// default is that of `sanoid.defaults.conf` 2.3.0.
///
/// [`Schedule::Sanoid`](crate::Schedule::Sanoid) takes the last preferred
/// moment as sanoid 2.3.0 does (`take_snapshots`):
///
/// - `frequently`: this hour's latest multiple of `frequent_period`;
/// - `hourly`: this hour at `hourly_min`, or an hour earlier;
/// - `daily`: today at that time, or yesterday;
/// - `weekly`: this day of the week at that time, or a week earlier;
/// - `monthly`: this month at that time, or last month;
/// - `yearly`: this year at that time, or the year before.
///
/// As in sanoid, local time that comes twice has no `frequently` the second
/// time, and one `hourly` more, with `dst` in its name; and on a day on which
/// the zone's flag for summer time went off, the daily is an hour late, at the
/// latest at midnight. That is in autumn, and in spring where the flag is that
/// of winter (Dublin).
///
/// Six differences, all where sanoid loses or repeats snapshots:
///
/// - Clocks. sanoid looks at the flag for summer time alone and takes an hour
///   for what it changes. Hours are missed where the offset changes without it
///   (Dublin, Casablanca, Moscow in 2014), and where the change is another or
///   at midnight (Troll, Santiago), a daily comes twice; as it does everywhere
///   if its time lies before the change. Here what counts is the offset: hours
///   are real ones, so that where clocks move by half an hour (Lord Howe) one
///   hour has two snapshots half an hour apart; and a day has one daily.
/// - Earlier periods. sanoid goes back by so many times 24 hours: 31 days for a
///   month, 31 times 365.25 days for a year. That is an hour wrong behind a
///   change of the clocks, so that on a Sunday in autumn the weekly of Monday
///   comes once more; it is days wrong where a month is shorter, so that what
///   was missed may not be caught up, and a year is caught up only after the
///   next preferred time. Here the calendar counts.
/// - The future. A preferred moment that its arithmetic puts there (with
///   `hourly_min` above 0, after the clocks went back) makes sanoid take one
///   snapshot a run until then; here none lies there.
/// - A day of the month that the month does not have ends sanoid; here it is
///   the month's last.
/// - A snapshot left in the future by a clock that was ahead keeps sanoid from
///   taking any until then; here it does not.
/// - Where the name of a type is taken in the repeated hour, sanoid adds `dst`
///   only if `hourly` is the first type due in that run, else it fails and
///   takes it a run later under another name; here every type gets its `dst`.
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

impl SanoidTimes {
    /// The last preferred moment of a type, never after `now`.
    pub(super) fn last(&self, tier: Tier, now: &Zoned) -> Option<Timestamp> {
        let today = now.date();
        let present = now.timestamp().as_second();
        let passed = |second: &i64| *second <= present;
        let second = match tier {
            Tier::Frequently => self.last_frequently(now)?,
            Tier::Hourly => self.last_hourly(now),
            Tier::Daily => back(today, |day| day.yesterday().ok())
                .filter_map(|day| self.daily(now, day))
                .find(passed)?,
            Tier::Weekly => {
                let weekday = i64::from(now.weekday().to_sunday_zero_offset());
                let since = (weekday - i64::from(self.weekly_wday)).rem_euclid(7);
                let latest = today.checked_sub(Span::new().days(since)).ok()?;
                back(latest, |day| day.checked_sub(Span::new().days(7)).ok())
                    .filter_map(|day| local(now, day, self.weekly_hour, self.weekly_min))
                    .find(passed)?
            }
            Tier::Monthly => back(today.first_of_month(), |first| {
                Some(first.yesterday().ok()?.first_of_month())
            })
            .filter_map(|month| {
                let day = day_of(month.year(), month.month(), self.monthly_mday)?;
                local(now, day, self.monthly_hour, self.monthly_min)
            })
            .find(passed)?,
            Tier::Yearly => back(today.first_of_year(), |first| {
                Some(first.yesterday().ok()?.first_of_year())
            })
            .filter_map(|year| {
                let month = i8::try_from(self.yearly_mon).ok()?;
                let day = day_of(year.year(), month, self.yearly_mday)?;
                local(now, day, self.yearly_hour, self.yearly_min)
            })
            .find(passed)?,
        };
        Timestamp::from_second(second).ok()
    }

    /// Local time that comes twice means its first pass here, which has its
    /// snapshots already.
    fn last_frequently(&self, now: &Zoned) -> Option<i64> {
        let period = self.frequent_period.max(1);
        let minute = u32::try_from(now.minute()).ok()? / period * period;
        let hour = u8::try_from(now.hour()).ok()?;
        let mut last = local(now, now.date(), hour, u8::try_from(minute).ok()?)?;
        // What clocks leave out is put behind it, and that may be to come.
        while last > now.timestamp().as_second() {
            last -= 60 * i64::from(period);
        }
        Some(last)
    }

    /// This hour by the offset in force now: whatever clocks did, hours follow
    /// each other.
    fn last_hourly(&self, now: &Zoned) -> i64 {
        let of_hour = 60 * i64::from(now.minute()) + i64::from(now.second());
        let wanted = 60 * i64::from(self.hourly_min.min(59));
        let earlier = if wanted > of_hour { HOUR } else { 0 };
        now.timestamp().as_second() - of_hour + wanted - earlier
    }

    /// The preferred moment of a day, as late as sanoid has it where the flag
    /// for summer time went off before on that day.
    fn daily(&self, now: &Zoned, day: Date) -> Option<i64> {
        let at = local(now, day, self.daily_hour, self.daily_min)?;
        if is_dst(now, at) || !is_dst(now, local(now, day, 0, 0)?) {
            return Some(at);
        }
        let midnight = local(now, day.tomorrow().ok()?, 0, 0)?;
        Some((at + HOUR).min(midnight))
    }
}

/// A date and some before it. The second is almost always early enough; a day
/// that a zone left out is followed by a third.
fn back(latest: Date, before: impl FnMut(&Date) -> Option<Date>) -> impl Iterator<Item = Date> {
    std::iter::successors(Some(latest), before).take(4)
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
    fn what_is_later_this_month_or_year_was_last_in_the_one_before() {
        let times = SanoidTimes {
            monthly_mday: 15,
            yearly_mon: 6,
            ..SanoidTimes::default()
        };
        let now = "2026-03-10T12:00:00Z[UTC]";
        assert_last(Tier::Monthly, &times, now, "2026-02-15T00:00:00Z");
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
        assert_last(Tier::Daily, &times, midnight, "2026-10-25T23:00:00Z");
        let at_noon = SanoidTimes {
            daily_hour: 12,
            daily_min: 0,
            ..times
        };
        let noon = "2026-10-25T12:59:59+01:00[Europe/Berlin]";
        assert_last(Tier::Daily, &at_noon, noon, "2026-10-24T10:00:00Z");
        let later = "2026-10-25T13:00:00+01:00[Europe/Berlin]";
        assert_last(Tier::Daily, &at_noon, later, "2026-10-25T12:00:00Z");
    }

    #[test]
    fn where_the_flag_is_winter_s_the_daily_is_late_in_spring() {
        // Dublin's, as the tz database has had it since 2018.
        let zone = jiff::tz::TimeZone::posix("IST-1GMT0,M10.5.0,M3.5.0/1").unwrap();
        let last = |now: &str| {
            let now: Timestamp = now.parse().unwrap();
            let last = SanoidTimes::default().last(Tier::Daily, &now.to_zoned(zone.clone()));
            last.unwrap().to_string()
        };
        assert_eq!(last("2026-03-29T22:59:30Z"), "2026-03-28T23:59:00Z");
        assert_eq!(last("2026-03-29T23:00:00Z"), "2026-03-29T23:00:00Z");
        assert_eq!(last("2026-10-25T23:59:00Z"), "2026-10-25T23:59:00Z");
    }

    #[test]
    fn a_week_is_one_behind_a_change_as_well() {
        // By days of 24 hours it would be 22:30, after it was taken.
        let sunday = "2026-10-25T01:00:00+02:00[Europe/Berlin]";
        assert_last(
            Tier::Weekly,
            &SanoidTimes::default(),
            sunday,
            "2026-10-19T21:30:00Z",
        );
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
