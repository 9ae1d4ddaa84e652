//! Regular intervals, in real time and in days of the calendar.

use jiff::{SignedDuration, Span, Timestamp, Zoned, civil::DateTime};

pub(super) fn last_real(
    interval: SignedDuration,
    anchor: Timestamp,
    now: Timestamp,
) -> Option<Timestamp> {
    let length = whole_seconds(interval);
    // Whole seconds before now never pass a slot that begins on one.
    let since = floor_seconds(now).checked_sub(floor_seconds(anchor))?;
    let begin = floor_seconds(anchor).checked_add(since.div_euclid(length).checked_mul(length)?)?;
    Timestamp::from_second(begin).ok()
}

pub(super) fn next_real(
    interval: SignedDuration,
    anchor: Timestamp,
    now: Timestamp,
) -> Option<Timestamp> {
    let last = last_real(interval, anchor, now)?;
    last.checked_add(SignedDuration::from_secs(whole_seconds(interval)))
        .ok()
}

fn whole_seconds(interval: SignedDuration) -> i64 {
    interval.as_secs().max(1)
}

fn floor_seconds(at: Timestamp) -> i64 {
    let second = at.as_second();
    if at.subsec_nanosecond() < 0 {
        second - 1
    } else {
        second
    }
}

pub(super) fn last_days(days: u32, anchor: DateTime, now: &Zoned) -> Option<Timestamp> {
    let nth = slot_of(days, anchor, now);
    // A slot whose time was skipped begins later than its own day says, so
    // the last one may be the one before.
    (0..3)
        .filter_map(|back| slot(days, anchor, nth + 1 - back, now))
        .filter(|begin| *begin <= now.timestamp())
        .max()
}

pub(super) fn next_days(days: u32, anchor: DateTime, now: &Zoned) -> Option<Timestamp> {
    let nth = slot_of(days, anchor, now);
    (-1..3)
        .filter_map(|forward| slot(days, anchor, nth + forward, now))
        .filter(|begin| *begin > now.timestamp())
        .min()
}

/// Which slot the local date lies in.
fn slot_of(days: u32, anchor: DateTime, now: &Zoned) -> i64 {
    let since = anchor.date().duration_until(now.date()).as_hours() / 24;
    since.div_euclid(i64::from(days.max(1)))
}

fn slot(days: u32, anchor: DateTime, nth: i64, now: &Zoned) -> Option<Timestamp> {
    let days = nth.checked_mul(i64::from(days.max(1)))?;
    let date = anchor
        .date()
        .checked_add(Span::new().try_days(days).ok()?)
        .ok()?;
    let begin = now
        .time_zone()
        .to_ambiguous_timestamp(date.to_datetime(anchor.time()));
    begin.compatible().ok()
}
