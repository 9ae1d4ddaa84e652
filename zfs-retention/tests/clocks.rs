//! Every change of the clocks of twenty zones in fifty years, by simulation,
//! and clocks that are set wrong at random. With `ZFS_TEST_LONG` weeks and months
//! are looked at around every change, not every seventh, and random clocks are
//! three hundred times as many.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp, Zoned, tz::TimeZone};
use proptest::prelude::*;
use zfs_retention::{SanoidTimes, Schedule, Tier};

fn is_long() -> bool {
    std::env::var_os("ZFS_TEST_LONG").is_some()
}

const ZONES: [&str; 20] = [
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Havana",
    "America/Los_Angeles",
    "America/New_York",
    "America/Santiago",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Asia/Jerusalem",
    "Asia/Tehran",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Europe/Berlin",
    "Europe/Dublin",
    "Europe/Moscow",
    "Pacific/Apia",
    "Pacific/Auckland",
];

/// The moments between 1985 and 2035 at which a zone's clocks change.
fn changes(zone: &TimeZone) -> Vec<Timestamp> {
    let from: Timestamp = "1985-01-01T00:00:00Z".parse().unwrap();
    let to: Timestamp = "2035-01-01T00:00:00Z".parse().unwrap();
    zone.following(from)
        .map(|transition| transition.timestamp())
        .take_while(|at| *at < to)
        .collect()
}

const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// What a schedule takes around a change when it is asked all the time: it
/// is due at its next moment and not a second before.
fn taken_around(
    schedule: &Schedule,
    change: Timestamp,
    zone: &TimeZone,
    hours: i64,
) -> Vec<Timestamp> {
    let zoned = |at: Timestamp| at.to_zoned(zone.clone());
    let window = SignedDuration::from_hours(hours);
    let from = change - window;
    let first = schedule.last(&zoned(from)).unwrap();
    let mut taken = vec![first];
    let mut at = from;
    while at < change + window {
        let recent = || taken.iter().rev().take(3).copied();
        at = schedule.next(&zoned(at)).unwrap();
        assert_eq!(
            schedule.due(recent(), &zoned(at - SECOND)),
            None,
            "early at {at}"
        );
        assert_eq!(
            schedule.due(recent(), &zoned(at)),
            Some(at),
            "not due at {at}"
        );
        taken.push(at);
    }
    taken
}

#[track_caller]
fn assert_apart(taken: &[Timestamp], least: SignedDuration, most: SignedDuration, of: &str) {
    for pair in taken.windows(2) {
        let apart = pair[0].duration_until(pair[1]);
        assert!(
            apart >= least && apart <= most,
            "{of}: {} then {}",
            pair[0],
            pair[1]
        );
    }
}

#[test]
fn no_hour_is_missed_or_taken_twice() {
    let schedule = Schedule::preferred(Tier::Hourly, &SanoidTimes::default());
    let mut seen = 0;
    for name in ZONES {
        let zone = TimeZone::get(name).unwrap();
        for change in changes(&zone) {
            seen += 1;
            let taken = taken_around(&schedule, change, &zone, 4);
            // A clock that moves by half an hour moves the full hours too.
            let mins = SignedDuration::from_mins;
            assert_apart(&taken, mins(30), mins(90), name);
        }
    }
    assert!(seen > 1500, "only {seen} changes were seen");
}

#[test]
fn no_day_is_missed_or_taken_twice() {
    // Inside the hours that changes skip and repeat, and at the day's edges.
    for (hour, minute) in [(0, 0), (0, 30), (2, 30), (23, 55)] {
        let times = SanoidTimes {
            daily_hour: hour,
            daily_min: minute,
            ..SanoidTimes::default()
        };
        let schedule = Schedule::preferred(Tier::Daily, &times);
        for name in ZONES {
            let zone = TimeZone::get(name).unwrap();
            for change in changes(&zone) {
                let taken = taken_around(&schedule, change, &zone, 50);
                // Troll moves its clocks by two hours; no one else by more,
                // for the day that Samoa left out is no day to be missed.
                let hours = SignedDuration::from_hours;
                assert_apart(&taken, hours(22), hours(26), name);
            }
        }
    }
}

/// What sanoid.conf's schedule of a type takes around a change when it is run
/// every so often, the first of it left out: that was due since long ago.
fn taken_by_settings(
    (tier, times): (Tier, &SanoidTimes),
    change: Timestamp,
    zone: &TimeZone,
    (hours, step): (i64, SignedDuration),
) -> Vec<Timestamp> {
    let schedule = Schedule::Sanoid {
        tier,
        times: times.clone(),
    };
    let window = SignedDuration::from_hours(hours);
    let mut taken: Vec<Timestamp> = Vec::new();
    let mut at = change - window;
    while at < change + window {
        let recent = taken.iter().rev().take(3).copied();
        if schedule.due(recent, &at.to_zoned(zone.clone())).is_some() {
            taken.push(at);
        }
        at += step;
    }
    taken.split_off(1)
}

#[test]
fn settings_miss_no_hour_and_take_none_twice() {
    let mins = SignedDuration::from_mins;
    for name in ZONES {
        let zone = TimeZone::get(name).unwrap();
        for change in changes(&zone) {
            let offset = |at: Timestamp| zone.to_offset(at).seconds();
            let whole_hours = (offset(change - SECOND) - offset(change)) % 3600 == 0;
            for hourly_min in [0, 45] {
                let times = SanoidTimes {
                    hourly_min,
                    ..SanoidTimes::default()
                };
                let around = (6, mins(15));
                let taken = taken_by_settings((Tier::Hourly, &times), change, &zone, around);
                assert!(taken.len() > 9, "{name}");
                // Where clocks move by half an hour, two are that near.
                let least = if whole_hours { mins(60) } else { mins(30) };
                assert_apart(&taken, least, mins(60), name);
            }
        }
    }
}

#[test]
fn settings_miss_no_day_week_or_month_and_take_none_twice() {
    let hours = SignedDuration::from_hours;
    let step = SignedDuration::from_mins(30);
    // Before, within and after what changes skip and repeat.
    for (hour, minute) in [(0, 0), (2, 30), (12, 0), (23, 59)] {
        let times = SanoidTimes {
            daily_hour: hour,
            daily_min: minute,
            weekly_wday: hour % 7,
            weekly_hour: hour,
            monthly_mday: 15,
            monthly_hour: hour,
            ..SanoidTimes::default()
        };
        for name in ZONES {
            let zone = TimeZone::get(name).unwrap();
            for change in changes(&zone) {
                // A day is as much longer as clocks go back, two hours in
                // Troll, and an hour for being late as sanoid is.
                let around = (40, step);
                let taken = taken_by_settings((Tier::Daily, &times), change, &zone, around);
                assert_apart(&taken, hours(21), hours(27), name);
            }
            let every = if is_long() { 1 } else { 7 };
            for change in changes(&zone).into_iter().step_by(every) {
                let around = (15 * 24, step * 5);
                let taken = taken_by_settings((Tier::Weekly, &times), change, &zone, around);
                assert!(taken.len() >= 3, "{name}");
                assert_apart(&taken, hours(7 * 24 - 5), hours(7 * 24 + 5), name);
                let around = (65 * 24, step * 12);
                let taken = taken_by_settings((Tier::Monthly, &times), change, &zone, around);
                assert!(taken.len() >= 3, "{name}");
                assert_apart(&taken, hours(27 * 24), hours(32 * 24), name);
            }
        }
    }
}

#[test]
fn settings_take_the_hours_of_changes_that_no_flag_tells() {
    for (name, change) in [
        ("Europe/Dublin", "2026-10-25T01:00:00Z"),
        ("Europe/Moscow", "2014-10-25T22:00:00Z"),
        ("Africa/Casablanca", "2026-02-15T02:00:00Z"),
        ("Antarctica/Troll", "2026-10-25T01:00:00Z"),
    ] {
        let zone = TimeZone::get(name).unwrap();
        let change: Timestamp = change.parse().unwrap();
        assert!(changes(&zone).contains(&change), "{name}");
        let mins = SignedDuration::from_mins;
        let times = SanoidTimes::default();
        let taken = taken_by_settings((Tier::Hourly, &times), change, &zone, (24, mins(15)));
        assert_apart(&taken, mins(60), mins(60), name);
    }
}

/// Runs a schedule at every step and returns what it took.
fn run(
    schedule: &Schedule,
    from: Timestamp,
    to: Timestamp,
    step: SignedDuration,
) -> Vec<Timestamp> {
    let mut taken: Vec<Timestamp> = Vec::new();
    let mut at = from;
    while at <= to {
        let recent = taken.iter().rev().take(3).copied();
        if schedule.due(recent, &at.to_zoned(TimeZone::UTC)).is_some() {
            taken.push(at);
        }
        at += step;
    }
    taken
}

#[test]
fn fifty_years_with_their_leap_days_have_every_day_month_and_year() {
    let from: Timestamp = "1985-01-01T00:00:00Z".parse().unwrap();
    let to: Timestamp = "2035-12-31T00:00:00Z".parse().unwrap();
    let times = SanoidTimes {
        daily_hour: 0,
        daily_min: 0,
        // Most months have no 31st, most years no 29 February.
        monthly_mday: 31,
        yearly_mon: 2,
        yearly_mday: 29,
        ..SanoidTimes::default()
    };
    let hours = SignedDuration::from_hours;
    for (tier, count) in [
        (Tier::Daily, 18_627),
        (Tier::Monthly, 51 * 12),
        (Tier::Yearly, 51),
    ] {
        let schedule = Schedule::preferred(tier, &times);
        let taken = run(&schedule, from, to, hours(24));
        // The first run catches up what was due before it.
        let first = usize::from(tier != Tier::Daily);
        assert_eq!(taken.len(), count + first, "{tier}");
        let date = |at: &Timestamp| at.to_zoned(TimeZone::UTC).date();
        for day in taken.iter().skip(first).map(date) {
            match tier {
                Tier::Daily => {}
                _ => assert_eq!(day, day.last_of_month(), "{tier}"),
            }
        }
        if tier == Tier::Daily {
            assert_apart(&taken, hours(24), hours(24), "leap days");
        }
    }
}

#[test]
fn a_month_that_a_clock_ran_past_is_not_missed() {
    let schedule = Schedule::Sanoid {
        tier: Tier::Monthly,
        times: SanoidTimes::default(),
    };
    let at = |time: &str| -> Timestamp { time.parse().unwrap() };
    // In January it was ahead: March has its snapshot, February none.
    let taken = [at("2026-01-01T00:00:00Z"), at("2026-03-02T00:00:00Z")];
    let due = |now: &str| schedule.due(taken, &at(now).to_zoned(TimeZone::UTC));
    assert_eq!(due("2026-01-20T00:00:00Z"), None);
    assert_eq!(
        due("2026-02-10T00:00:00Z"),
        Some(at("2026-02-01T00:00:00Z"))
    );
    assert_eq!(due("2026-03-01T00:00:00Z"), None);
}

#[test]
fn a_clock_set_back_a_day_takes_no_day_twice_and_misses_none() {
    let minute = SignedDuration::from_mins(1);
    let day = SignedDuration::from_hours(24);
    for tier in [Tier::Hourly, Tier::Daily, Tier::Weekly] {
        for schedule in [
            Schedule::preferred(tier, &SanoidTimes::default()),
            Schedule::Sanoid {
                tier,
                times: SanoidTimes::default(),
            },
        ] {
            let start: Timestamp = "2026-03-02T00:30:00Z".parse().unwrap();
            let mut taken = vec![start];
            let mut clock = start;
            // Ten days, set back by one on the fifth: eleven days pass.
            for nth in 0..11 * 24 * 60 {
                if nth == 5 * 24 * 60 {
                    clock -= day;
                }
                clock += minute;
                let now = clock.to_zoned(TimeZone::UTC);
                if schedule.due(taken.iter().copied(), &now).is_some() {
                    taken.push(clock);
                }
            }
            let slots: BTreeSet<Timestamp> = taken
                .iter()
                .skip(1)
                .map(|at| schedule.last(&at.to_zoned(TimeZone::UTC)).unwrap())
                .collect();
            assert_eq!(slots.len(), taken.len() - 1, "{tier} twice");
            let expected = match tier {
                Tier::Hourly => 240,
                Tier::Daily => 10,
                _ => 2,
            };
            assert_eq!(slots.len(), expected, "{tier}");
        }
    }
}

/// A clock that somebody sets: how long passes before each run, and by how much
/// the clock is wrong in it, in thousandths of a unit.
type Moves = Vec<(i64, i64)>;

/// Runs until the clock is right again, and those after it.
fn moves() -> impl Strategy<Value = (Moves, Vec<i64>)> {
    let passes = || prop_oneof![8 => 1_i64..450, 1 => 450_i64..2500];
    // Mostly the clock stays as wrong as it was.
    let error = prop::option::weighted(0.2, -4000_i64..4000);
    let wrong = prop::collection::vec((passes(), error), 0..60).prop_map(|all| {
        let mut error = 0;
        all.into_iter()
            .map(|(passes, set)| {
                error = set.unwrap_or(error);
                (passes, error)
            })
            .collect()
    });
    (wrong, prop::collection::vec(passes(), 1..40))
}

/// Whatever the clock says, in that order.
fn clock(
    start: Timestamp,
    unit: SignedDuration,
    (wrong, right): &(Moves, Vec<i64>),
) -> Vec<Timestamp> {
    let mut real = start;
    let all = wrong.iter().copied();
    let all = all.chain(right.iter().map(|passes| (*passes, 0)));
    let parts = |thousandths: i64| SignedDuration::from_secs(unit.as_secs() * thousandths / 1000);
    all.map(|(passes, error)| {
        real += parts(passes);
        real + parts(error)
    })
    .collect()
}

/// What a schedule takes when it is run at these moments.
fn taken_at(schedule: &Schedule, clock: &[Timestamp], zone: &TimeZone) -> Vec<Timestamp> {
    let mut taken: Vec<Timestamp> = Vec::new();
    for now in clock {
        let due = schedule.due(taken.iter().copied(), &now.to_zoned(zone.clone()));
        if due.is_some() {
            taken.push(*now);
        }
    }
    taken
}

fn zone_but(without: &[&str]) -> impl Strategy<Value = TimeZone> + use<> {
    let names = ZONES.into_iter().chain(["UTC", "Asia/Kolkata"]);
    let names: Vec<&str> = names.filter(|name| !without.contains(name)).collect();
    prop::sample::select(names).prop_map(|name| TimeZone::get(name).unwrap())
}

fn times() -> impl Strategy<Value = SanoidTimes> {
    let minutes = (0_u8..60, 0_u8..60, 0_u8..60, 0_u8..60, 0_u8..60);
    let hours = (0_u8..24, 0_u8..24, 0_u8..24, 0_u8..24);
    let days = (0_u8..7, 1_u8..32, 1_u8..13, 1_u8..32);
    let period = prop::sample::select(vec![5_u32, 10, 15, 20, 30]);
    (minutes, hours, days, period).prop_map(|(minutes, hours, days, period)| SanoidTimes {
        frequent_period: period,
        hourly_min: minutes.0,
        daily_hour: hours.0,
        daily_min: minutes.1,
        weekly_wday: days.0,
        weekly_hour: hours.1,
        weekly_min: minutes.2,
        monthly_mday: days.1,
        monthly_hour: hours.2,
        monthly_min: minutes.3,
        yearly_mon: days.2,
        yearly_mday: days.3,
        yearly_hour: hours.3,
        yearly_min: minutes.4,
    })
}

/// A schedule, and about how long its slots are.
fn schedule() -> impl Strategy<Value = (Schedule, SignedDuration)> {
    let tier = || prop::sample::select(Tier::ALL.to_vec());
    let hours = SignedDuration::from_hours;
    prop_oneof![
        3 => (tier(), times()).prop_map(|(tier, times)| {
            let period = tier.period(times.frequent_period);
            (Schedule::Sanoid { tier, times }, period)
        }),
        3 => (tier(), times()).prop_map(|(tier, times)| {
            let period = tier.period(times.frequent_period);
            (Schedule::preferred(tier, &times), period)
        }),
        1 => (60_i64..10_000_000, 0_i64..2_000_000_000).prop_map(|(length, anchor)| {
            let interval = SignedDuration::from_secs(length);
            let anchor = Timestamp::from_second(anchor).unwrap();
            (Schedule::Every { interval, anchor }, interval)
        }),
        1 => (1_u32..40, 0_i8..24, 0_i8..60).prop_map(move |(days, hour, minute)| {
            let anchor = jiff::civil::date(2001, 2, 3).at(hour, minute, 0, 0);
            (Schedule::EveryDays { days, anchor }, hours(24 * i64::from(days)))
        }),
        1 => prop::sample::select(vec![("30 2 * * *", 24), ("5,35 1-3 * * *", 8), ("0 0 29 2 *", 9000)])
            .prop_map(move |(text, length)| {
                (Schedule::Crontab(text.parse().unwrap()), hours(length))
            }),
    ]
}

/// Seconds in which a clock starts: 1986 to 2034.
const STARTS: std::ops::Range<i64> = 504_921_600..2_019_686_400;

/// The unit of local time that a moment lies in, told without the crate.
fn unit(tier: Tier, at: &Zoned) -> String {
    let of = match tier {
        Tier::Frequently => {
            let quarter = at.minute() / 15;
            return format!("{}.{quarter}", at.strftime("%Y-%m-%d %H%:z"));
        }
        Tier::Hourly => "%Y-%m-%d %H%:z",
        Tier::Daily => "%Y-%m-%d",
        Tier::Weekly => "%G-W%V",
        Tier::Monthly => "%Y-%m",
        Tier::Yearly => "%Y",
    };
    at.strftime(of).to_string()
}

fn config() -> ProptestConfig {
    let usual = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let times = if is_long() { 300 } else { 1 };
    ProptestConfig {
        cases: usual.cases * times,
        ..usual
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn however_the_clock_is_set_every_slot_has_one_snapshot(
        (schedule, length) in schedule(),
        zone in zone_but(&[]),
        start in STARTS,
        moves in moves(),
    ) {
        let start = Timestamp::from_second(start).unwrap();
        let slot = |at: &Timestamp| schedule.last(&at.to_zoned(zone.clone())).unwrap();
        let clock = clock(start, length, &moves);
        let mut taken: Vec<Timestamp> = Vec::new();
        let mut slots = BTreeSet::new();
        for now in &clock {
            let begin = slot(now);
            let due = schedule.due(taken.iter().copied(), &now.to_zoned(zone.clone()));
            if due.is_some() {
                taken.push(*now);
                prop_assert!(slots.insert(begin), "twice for {begin}: {taken:?}");
            }
            // A slot of sanoid's may begin before anything could be taken in it:
            // where clocks move by half an hour.
            let mut all = taken.iter();
            let has = slots.contains(&begin) || all.any(|at| (begin..=*now).contains(at));
            prop_assert!(has, "nothing for {begin} at {now}");
        }
    }

    #[test]
    fn when_the_clock_is_right_again_no_unit_is_missed_and_none_was_taken_twice(
        tier in prop::sample::select(Tier::ALL.to_vec()),
        // Not where an hour is cut in two when the clocks move, or a day is entered,
        // left, and entered again.
        zone in zone_but(&["Australia/Lord_Howe", "America/St_Johns"]),
        start in STARTS,
        moves in moves(),
    ) {
        // Each unit's snapshot is preferred at its beginning.
        let times = SanoidTimes {
            daily_hour: 0,
            daily_min: 0,
            weekly_hour: 0,
            weekly_min: 0,
            ..SanoidTimes::default()
        };
        let schedule = Schedule::preferred(tier, &times);
        let start = Timestamp::from_second(start).unwrap();
        let clock = clock(start, tier.period(15), &moves);
        let unit = |at: &Timestamp| unit(tier, &at.to_zoned(zone.clone()));
        let taken = taken_at(&schedule, &clock, &zone);
        let units: BTreeSet<String> = taken.iter().map(unit).collect();
        prop_assert_eq!(units.len(), taken.len(), "twice: {:?}", taken);
        for now in &clock[moves.0.len()..] {
            prop_assert!(units.contains(&unit(now)), "nothing for {} at {now}", unit(now));
        }
    }
}
