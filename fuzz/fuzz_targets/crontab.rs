//! Any text as a crontab expression, asked at any moment.

#![no_main]

use jiff::{Timestamp, tz::TimeZone};
use libfuzzer_sys::fuzz_target;
use zfs_retention::{Crontab, Schedule};

const ZONES: [&str; 4] = ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia"];

fuzz_target!(|input: (u8, u32, &str)| {
    let (zone, second, text) = input;
    let Ok(crontab) = text.parse::<Crontab>() else {
        return;
    };
    let zone = TimeZone::get(ZONES[usize::from(zone) % ZONES.len()]).expect("a bundled zone");
    let now = Timestamp::from_second(i64::from(second)).expect("in range").to_zoned(zone);
    let schedule = Schedule::Crontab(crontab);
    let (last, next) = (schedule.last(&now), schedule.next(&now));
    assert!(last.is_none_or(|last| last <= now.timestamp()));
    assert!(next.is_none_or(|next| next > now.timestamp()));
    if schedule.due([], &now).is_some() {
        assert_eq!(schedule.due([now.timestamp()], &now), None);
    }
});
