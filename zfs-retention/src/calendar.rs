//! Periods of the calendar in a time zone.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

/// A period of the calendar, in the zone of the `now` that a plan is made for.
///
/// Hours and shorter periods are stretches of real time: when clocks go back,
/// the hour that comes twice is two hours, and neither stands for the other.
/// Days, weeks (Monday to Sunday, as ISO 8601 has them), months and years are
/// the calendar's, whatever their length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unit {
    /// So many minutes, counted from local midnight; 0 is taken as 1.
    Minutes(u16),
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// An ISO week.
    Week,
    /// A month.
    Month,
    /// A year.
    Year,
}

/// When a snapshot was created, in absolute and in local time. Sixteen bytes:
/// a plan has one for each snapshot while it is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    second: i64,
    nanosecond: i32,
    /// Seconds east of UTC that were in force then.
    offset: i32,
}

/// A zone's offsets, looked up once for each stretch between two changes:
/// neighbours in time mostly lie in one.
pub(crate) struct Offsets<'a> {
    zone: &'a TimeZone,
    /// Where the latest answer holds.
    from: i64,
    until: i64,
    offset: i32,
}

impl<'a> Offsets<'a> {
    pub(crate) fn new(zone: &'a TimeZone) -> Self {
        Self {
            zone,
            from: 0,
            until: 0,
            offset: 0,
        }
    }

    fn at(&mut self, second: i64) -> i32 {
        if !(self.from..self.until).contains(&second) {
            self.look_up(second);
        }
        self.offset
    }

    fn look_up(&mut self, second: i64) {
        let at = Timestamp::from_second(second).unwrap_or(Timestamp::MIN);
        self.offset = self.zone.to_offset(at).seconds();
        // Zones change on whole seconds, so what changed before the next one
        // changed by now.
        let next = at.saturating_add(SignedDuration::from_secs(1));
        let changed = next.ok().and_then(|next| self.zone.preceding(next).next());
        let changes = self.zone.following(at).next();
        self.from = changed.map_or(i64::MIN, |change| change.timestamp().as_second());
        self.until = changes.map_or(i64::MAX, |change| change.timestamp().as_second());
    }
}

/// Which period a moment lies in: equal exactly within one period, and
/// greater in later ones except while local time is set back.
pub(crate) type PeriodKey = (i64, i32);

const DAY: i64 = 86_400;

impl Moment {
    pub(crate) fn new(at: Timestamp, zone: &TimeZone) -> Self {
        let mut offsets = Offsets::new(zone);
        Self::of(at.as_second(), at.subsec_nanosecond(), &mut offsets)
    }

    /// Of a timestamp's seconds and nanoseconds.
    pub(crate) fn of(second: i64, nanosecond: i32, offsets: &mut Offsets<'_>) -> Self {
        Self {
            second,
            nanosecond,
            // Before 1970 a part of a second belongs to the second below.
            offset: offsets.at(second - i64::from(nanosecond < 0)),
        }
    }

    pub(crate) fn at(self) -> Timestamp {
        // It came from a timestamp.
        Timestamp::new(self.second, self.nanosecond).unwrap_or(Timestamp::MIN)
    }

    pub(crate) fn second(self) -> i64 {
        self.second
    }

    /// What a clock on the wall would have counted since 1970.
    pub(crate) fn local_seconds(self) -> i64 {
        self.second.saturating_add(i64::from(self.offset))
    }

    /// How long ago it was at `now`; real time, whatever the clocks did.
    pub(crate) fn age(self, now: Timestamp) -> SignedDuration {
        SignedDuration::new(
            now.as_second() - self.second,
            now.subsec_nanosecond() - self.nanosecond,
        )
    }

    /// Year, month, day of the local calendar.
    fn date(self) -> (i64, i64, i64) {
        civil_from_days(self.local_seconds().div_euclid(DAY))
    }

    pub(crate) fn period(self, unit: Unit) -> PeriodKey {
        let local = self.local_seconds();
        let day = local.div_euclid(DAY);
        match unit {
            Unit::Minutes(minutes) => {
                let length = i64::from(minutes.max(1)) * 60;
                let within = local.rem_euclid(DAY).div_euclid(length);
                // A day has at most 1440 such periods.
                (day * 1440 + within, self.offset)
            }
            Unit::Hour => (local.div_euclid(3600), self.offset),
            Unit::Day => (day, 0),
            // Day 0 was a Thursday, three days after a Monday.
            Unit::Week => ((day + 3).div_euclid(7), 0),
            Unit::Month => {
                let (year, month, _) = self.date();
                (year * 12 + month, 0)
            }
            Unit::Year => (self.date().0, 0),
        }
    }

    /// The period as a person writes it: `2026-04-03 14:15`, `2026-04-03`,
    /// `2026-W14`, `2026-04`, `2026`.
    pub(crate) fn period_name(self, unit: Unit) -> String {
        let (year, month, day) = self.date();
        let second = self.local_seconds().rem_euclid(DAY);
        match unit {
            Unit::Minutes(minutes) => {
                let length = i64::from(minutes.max(1)) * 60;
                let begin = second / length * length;
                let (hour, minute) = (begin / 3600, begin / 60 % 60);
                format!(
                    "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}{}",
                    zone_suffix(self.offset)
                )
            }
            Unit::Hour => {
                let hour = second / 3600;
                format!(
                    "{year:04}-{month:02}-{day:02} {hour:02}:00{}",
                    zone_suffix(self.offset)
                )
            }
            Unit::Day => format!("{year:04}-{month:02}-{day:02}"),
            Unit::Week => {
                // An ISO week belongs to the year of its Thursday.
                let thursday = self.period(Unit::Week).0 * 7;
                let (year, month, day) = civil_from_days(thursday);
                let first = days_from_civil(year, 1, 1);
                let week = (days_from_civil(year, month, day) - first) / 7 + 1;
                format!("{year:04}-W{week:02}")
            }
            Unit::Month => format!("{year:04}-{month:02}"),
            Unit::Year => format!("{year:04}"),
        }
    }
}

/// The two 02:00 of an autumn night read differently.
fn zone_suffix(offset: i32) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    let minutes = offset.abs() / 60;
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// Proleptic Gregorian date of a day number (day 0 is 1970-01-01), counted in
/// eras of 400 years that begin on 1 March so that leap days come last.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// The inverse of [`civil_from_days`].
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let march_month = (month + 9) % 12;
    let of_year = (153 * march_month + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    era * 146_097 + of_era - 719_468
}

/// The periods of one unit. Neighbours in time mostly lie in one period, and
/// then nothing needs to be worked out.
pub(crate) struct Periods {
    unit: Unit,
    /// Local seconds from which and until which the latest period goes.
    from: i64,
    until: i64,
    /// In force in the latest period, where its unit is a stretch of real time.
    offset: i32,
}

impl Periods {
    pub(crate) fn new(unit: Unit) -> Self {
        Self {
            unit,
            from: 0,
            until: 0,
            offset: 0,
        }
    }

    /// The period of a moment, unless it is the one that the latest moment lay
    /// in.
    #[inline]
    pub(crate) fn entered(&mut self, moment: &Moment) -> Option<PeriodKey> {
        let local = moment.local_seconds();
        let same_offset = self.offset == moment.offset || !self.unit.is_real_time();
        if same_offset && (self.from..self.until).contains(&local) {
            return None;
        }
        Some(self.enter(*moment))
    }

    fn enter(&mut self, moment: Moment) -> PeriodKey {
        let key = moment.period(self.unit);
        let local = moment.local_seconds();
        self.offset = moment.offset;
        let midnight = local.div_euclid(DAY) * DAY;
        let first = |year: i64, month: i64| days_from_civil(year, month, 1) * DAY;
        (self.from, self.until) = match self.unit {
            Unit::Minutes(minutes) => {
                let length = i64::from(minutes.max(1)) * 60;
                let from = midnight + (local - midnight) / length * length;
                // The last one of a day is shorter where it does not divide it.
                (from, (from + length).min(midnight + DAY))
            }
            Unit::Hour => {
                let from = local.div_euclid(3600) * 3600;
                (from, from + 3600)
            }
            Unit::Day => (midnight, midnight + DAY),
            Unit::Week => {
                let from = (key.0 * 7 - 3) * DAY;
                (from, from + 7 * DAY)
            }
            Unit::Month => match moment.date() {
                (year, 12, _) => (first(year, 12), first(year + 1, 1)),
                (year, month, _) => (first(year, month), first(year, month + 1)),
            },
            Unit::Year => (first(key.0, 1), first(key.0 + 1, 1)),
        };
        key
    }
}

impl Unit {
    /// A stretch of real time, which is another one where another offset is in
    /// force.
    fn is_real_time(self) -> bool {
        matches!(self, Self::Minutes(_) | Self::Hour)
    }
}

/// Gives each newly seen period the next rank, newest first.
///
/// Where local midnight is set back across itself (Newfoundland did so at
/// 00:01), a day is entered, left and entered again, so more than the latest
/// period must be remembered; a zone never moves by more than a day, so a few
/// suffice.
#[derive(Default)]
pub(crate) struct PeriodRanks {
    recent: [Option<(PeriodKey, u32)>; 4],
    next: usize,
    ranks: u32,
}

/// What [`PeriodRanks`] says of one snapshot.
pub(crate) enum PeriodRank {
    /// The newest of its period, which is the `rank`-th that is not empty.
    Newest { rank: u32 },
    /// The snapshot at position `by` is newer and of the same period.
    Superseded { by: u32 },
}

impl PeriodRanks {
    pub(crate) fn rank(&mut self, key: PeriodKey, position: u32) -> PeriodRank {
        for (known, by) in self.recent.iter().flatten() {
            if *known == key {
                return PeriodRank::Superseded { by: *by };
            }
        }
        if let Some(slot) = self.recent.get_mut(self.next) {
            *slot = Some((key, position));
        }
        self.next = (self.next + 1) % self.recent.len();
        self.ranks = self.ranks.saturating_add(1);
        PeriodRank::Newest { rank: self.ranks }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn moment(time: &str, zone: &str) -> Moment {
        Moment::new(time.parse().unwrap(), &TimeZone::get(zone).unwrap())
    }

    #[test]
    fn the_hour_that_comes_twice_is_two_hours_of_one_day() {
        let summer = moment("2026-10-25T00:30:00Z", "Europe/Berlin");
        let winter = moment("2026-10-25T01:30:00Z", "Europe/Berlin");
        assert_eq!(summer.period_name(Unit::Hour), "2026-10-25 02:00+02:00");
        assert_eq!(winter.period_name(Unit::Hour), "2026-10-25 02:00+01:00");
        assert_ne!(summer.period(Unit::Hour), winter.period(Unit::Hour));
        assert_ne!(
            summer.period(Unit::Minutes(15)),
            winter.period(Unit::Minutes(15))
        );
        assert_eq!(summer.period(Unit::Day), winter.period(Unit::Day));
    }

    #[test]
    fn weeks_begin_on_monday_and_belong_to_the_year_of_their_thursday() {
        let sunday = moment("2027-01-03T12:00:00Z", "UTC");
        let monday = moment("2027-01-04T12:00:00Z", "UTC");
        assert_eq!(sunday.period_name(Unit::Week), "2026-W53");
        assert_eq!(monday.period_name(Unit::Week), "2027-W01");
    }

    #[test]
    fn periods_are_named_as_people_write_them() {
        let then = moment("2026-04-03T12:34:56Z", "Europe/Berlin");
        let names = [
            Unit::Minutes(15),
            Unit::Hour,
            Unit::Day,
            Unit::Week,
            Unit::Month,
            Unit::Year,
        ]
        .map(|unit| then.period_name(unit));
        assert_eq!(
            names,
            [
                "2026-04-03 14:30+02:00",
                "2026-04-03 14:00+02:00",
                "2026-04-03",
                "2026-W14",
                "2026-04",
                "2026"
            ]
        );
    }

    #[test]
    fn an_offset_holds_from_its_second_on_and_not_before() {
        for (change, zone, before, after) in [
            ("2026-10-25T01:00:00Z", "Europe/Berlin", 7200, 3600),
            // A part of a second before 1970 is counted backwards.
            ("1940-04-01T01:00:00Z", "Europe/Berlin", 3600, 7200),
        ] {
            let change: Timestamp = change.parse().unwrap();
            let zone = TimeZone::get(zone).unwrap();
            let half = SignedDuration::from_millis(500);
            let mut offsets = Offsets::new(&zone);
            for (at, expected) in [
                (change, after),
                (change - half, before),
                (change + half, after),
                (change - half - half, before),
            ] {
                assert_eq!(Moment::new(at, &zone).offset, expected, "{at}");
                let (second, nanosecond) = (at.as_second(), at.subsec_nanosecond());
                let among_others = Moment::of(second, nanosecond, &mut offsets);
                assert_eq!(among_others.offset, expected, "{at}");
            }
        }
    }

    #[test]
    fn an_age_counts_parts_of_seconds() {
        let then = moment("2026-04-03T12:00:00.25Z", "UTC");
        let now = "2026-04-03T12:00:01.75Z".parse().unwrap();
        assert_eq!(then.age(now), SignedDuration::from_millis(1500));
    }

    #[test]
    fn later_periods_have_greater_keys() {
        let early = moment("2026-04-03T12:10:00Z", "UTC");
        for (unit, later) in [
            (Unit::Minutes(15), "2026-04-03T12:20:00Z"),
            (Unit::Hour, "2026-04-03T13:00:00Z"),
            (Unit::Day, "2026-04-04T00:00:00Z"),
            (Unit::Week, "2026-04-06T00:00:00Z"),
            (Unit::Month, "2026-05-01T00:00:00Z"),
            (Unit::Year, "2027-01-01T00:00:00Z"),
        ] {
            assert!(
                early.period(unit) < moment(later, "UTC").period(unit),
                "{unit:?}"
            );
        }
        assert_eq!(early.period_name(Unit::Hour), "2026-04-03 12:00+00:00");
    }

    #[test]
    fn the_ends_of_all_months_of_four_centuries_are_those_of_jiff() {
        let mut first = jiff::civil::date(1999, 1, 1);
        while first.year() < 2402 {
            let last = first.last_of_month();
            for date in [first, last] {
                let at = date.to_zoned(TimeZone::UTC).unwrap().timestamp();
                assert_eq!(
                    Moment::new(at, &TimeZone::UTC).date(),
                    (date.year().into(), date.month().into(), date.day().into())
                );
            }
            first = last.tomorrow().unwrap();
        }
    }

    #[test]
    fn a_day_entered_twice_is_one_day() {
        // St. John's set its clocks back at 00:01, so 1 November 2009 began,
        // stopped for an hour of 31 October, and began again.
        let zone = "America/St_Johns";
        let first = moment("2009-11-01T02:30:30Z", zone);
        let back = moment("2009-11-01T03:00:00Z", zone);
        let again = moment("2009-11-01T04:00:00Z", zone);
        assert_eq!(first.period_name(Unit::Day), "2009-11-01");
        assert_eq!(back.period_name(Unit::Day), "2009-10-31");
        assert_eq!(again.period_name(Unit::Day), "2009-11-01");
        let mut ranks = PeriodRanks::default();
        let seen = [again, back, first].map(|moment| ranks.rank(moment.period(Unit::Day), 0));
        assert!(matches!(
            seen,
            [
                PeriodRank::Newest { rank: 1 },
                PeriodRank::Newest { rank: 2 },
                PeriodRank::Superseded { .. }
            ]
        ));
    }

    proptest! {
        #[test]
        fn a_period_is_entered_exactly_where_it_changes(
            start in 1_230_000_000_i64..1_330_000_000,
            steps in prop::collection::vec(prop_oneof![-4000_i64..0, -90_000_i64..0, -9_000_000_i64..90_000], 1..60),
            unit in prop::sample::select(vec![
                Unit::Minutes(7), Unit::Minutes(15), Unit::Hour, Unit::Day, Unit::Week,
                Unit::Month, Unit::Year,
            ]),
            zone in prop::sample::select(vec![
                "UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia",
            ]),
        ) {
            let zone = TimeZone::get(zone).unwrap();
            let mut periods = Periods::new(unit);
            let mut latest = None;
            let mut second = start;
            for step in steps {
                second += step;
                let moment = Moment::new(Timestamp::from_second(second).unwrap(), &zone);
                let key = moment.period(unit);
                let entered = periods.entered(&moment);
                prop_assert_eq!(entered, (latest != Some(key)).then_some(key));
                latest = Some(key);
            }
        }

        #[test]
        fn dates_are_those_of_jiff(second in -60_000_000_000_i64..200_000_000_000) {
            let at = Timestamp::from_second(second).unwrap();
            let date = at.to_zoned(TimeZone::UTC).date();
            let (year, month, day) = Moment::new(at, &TimeZone::UTC).date();
            prop_assert_eq!(
                (year, month, day),
                (i64::from(date.year()), i64::from(date.month()), i64::from(date.day()))
            );
            prop_assert_eq!(days_from_civil(year, month, day), second.div_euclid(DAY));
            let week = date.iso_week_date();
            prop_assert_eq!(
                Moment::new(at, &TimeZone::UTC).period_name(Unit::Week),
                format!("{:04}-W{:02}", week.year(), week.week())
            );
        }
    }
}
