//! Each peer's policy on the example of its documentation, and its edges.

use jiff::{SignedDuration, Timestamp, Zoned};
use zfs_retention::{End, Grid, Guid, Keep, Names, Part, Policy, Rule, Snapshot, Tier, Txg};

/// Snapshots named after the time they were created at, in 2026 and UTC:
/// `04-01T08:00`.
fn history(times: &[&str]) -> Vec<Snapshot> {
    (1..)
        .zip(times)
        .map(|(n, time)| {
            let creation: Timestamp = format!("2026-{time}:00Z").parse().unwrap();
            Snapshot::new(*time, Guid(n), Txg(n), creation)
        })
        .collect()
}

#[track_caller]
fn assert_kept(parts: impl IntoIterator<Item = Part>, now: &str, times: &[&str], kept: &[&str]) {
    let now: Zoned = format!("2026-{now}:00Z[UTC]").parse().unwrap();
    let snapshots = history(times);
    let policy = Policy::managing(Names::Any).with_all(parts);
    let plan = policy.plan(&snapshots, &[], &now);
    let living: Vec<_> = plan.kept().map(|snapshot| snapshot.name.as_str()).collect();
    assert_eq!(living, kept);
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);

#[test]
fn sanoid_destroys_only_what_is_too_old_and_surplus() {
    let aged = || {
        [Part::new(Rule::Aged {
            period: DAY,
            count: 3,
        })]
    };
    assert_kept(
        aged(),
        "04-10T12:00",
        &["04-01T00:00", "04-02T00:00", "04-03T00:00", "04-10T06:00"],
        &["04-02T00:00", "04-03T00:00", "04-10T06:00"],
    );
    // More than three, all young: all stay.
    let young = ["04-09T00:00", "04-09T06:00", "04-10T00:00", "04-10T06:00"];
    assert_kept(aged(), "04-10T12:00", &young, &young);
}

#[test]
fn sanoid_keeps_what_is_exactly_as_old_as_it_may_be() {
    let part = || {
        [Part::new(Rule::Aged {
            period: HOUR,
            count: 1,
        })]
    };
    let times = ["04-10T11:00", "04-10T11:30"];
    assert_kept(part(), "04-10T12:00", &times, &times);
    assert_kept(part(), "04-10T12:01", &times, &times[1..]);
}

#[test]
fn a_sanoid_count_of_zero_destroys_the_whole_type_and_no_other() {
    let now: Zoned = "2026-04-10T12:00:00Z[UTC]".parse().unwrap();
    let at = |name: &str, n: u64| {
        let hours = i32::try_from(n).unwrap();
        Snapshot::new(name, Guid(n), Txg(n), now.timestamp() - HOUR * hours)
    };
    let snapshots = [
        at("autosnap_2026-04-10_11:00:00_hourly", 1),
        at("autosnap_2026-04-10_10:00:00_daily", 2),
        at("autosnap_2026-04-10_09:00:00_weekly", 3),
        at("manual_hourly", 4),
    ];
    let policy = Policy::managing(Names::Any)
        .with(Part::sanoid(Tier::Hourly, 0))
        .with(Part::sanoid(Tier::Daily, 1));
    let plan = policy.plan(&snapshots, &[], &now);
    let destroyed: Vec<_> = plan.destroyed().map(|s| s.name.as_str()).collect();
    assert_eq!(destroyed, ["autosnap_2026-04-10_11:00:00_hourly"]);
}

#[test]
fn sanoid_months_have_31_days_and_years_365_and_a_quarter() {
    assert_eq!(Tier::Monthly.period(15), DAY * 31);
    assert_eq!(Tier::Yearly.period(15), HOUR * 8766);
    assert_eq!(Tier::Frequently.period(5), SignedDuration::from_mins(5));
}

#[test]
fn a_grid_keeps_the_oldest_of_each_bucket_and_the_newest_of_all() {
    let grid: Grid = "2x1h".parse().unwrap();
    assert_kept(
        [Part::grid(grid)],
        "04-10T14:00",
        &[
            "04-10T10:00",
            "04-10T10:20",
            "04-10T10:50",
            "04-10T11:10",
            "04-10T11:30",
            "04-10T12:00",
        ],
        &["04-10T10:20", "04-10T11:10", "04-10T12:00"],
    );
}

#[test]
fn a_grid_keeps_all_or_so_many_where_told() {
    let grid: Grid = "1x1h(keep=all) | 1x1h(keep=2)".parse().unwrap();
    assert_kept(
        [Part::grid(grid)],
        "04-10T14:00",
        &[
            "04-10T10:20",
            "04-10T10:30",
            "04-10T10:40",
            "04-10T11:10",
            "04-10T11:30",
            "04-10T12:00",
        ],
        &[
            "04-10T10:20",
            "04-10T10:30",
            "04-10T11:10",
            "04-10T11:30",
            "04-10T12:00",
        ],
    );
}

#[test]
fn a_grid_measures_from_the_newest_it_covers_not_from_the_clock() {
    let grid: Grid = "1x1h".parse().unwrap();
    assert_kept(
        [Part::grid(grid)],
        "12-31T00:00",
        &["04-10T10:00", "04-10T11:00"],
        &["04-10T11:00"],
    );
}

#[test]
fn a_grid_never_destroys_what_it_does_not_cover() {
    let grid: Grid = "1x1h".parse().unwrap();
    assert_kept(
        [Part::grid(grid).covering(Names::prefix("04"))],
        "12-31T00:00",
        &["03-01T00:00", "04-10T10:00", "04-10T11:00"],
        &["03-01T00:00", "04-10T11:00"],
    );
}

#[test]
fn newer_than_includes_its_edge() {
    assert_kept(
        [Part::newer_than(DAY)],
        "04-10T12:00",
        &["04-09T11:59", "04-09T12:00", "04-10T00:00"],
        &["04-09T12:00", "04-10T00:00"],
    );
}

#[test]
fn one_per_interval_takes_the_end_that_was_asked_for() {
    let times = ["04-09T06:00", "04-09T18:00", "04-10T06:00", "04-10T18:00"];
    assert_kept(
        [Part::per_interval(DAY, End::Oldest)],
        "04-11T00:00",
        &times,
        &["04-09T06:00", "04-10T06:00"],
    );
    assert_kept(
        [Part::per_interval(DAY, End::Newest)],
        "04-11T00:00",
        &times,
        &["04-09T18:00", "04-10T18:00"],
    );
}

#[test]
fn zfs_autobackup_keeps_the_oldest_of_each_period_for_its_lifetime() {
    assert_kept(
        Part::zfs_autobackup("1,1d1w").unwrap(),
        "04-10T12:00",
        &[
            "04-01T06:00",
            "04-03T11:59",
            "04-03T12:00",
            "04-03T13:00",
            "04-09T06:00",
            "04-09T18:00",
            "04-10T06:00",
            "04-10T11:00",
        ],
        &["04-03T12:00", "04-09T06:00", "04-10T06:00", "04-10T11:00"],
    );
}

#[test]
fn znapzend_thins_by_age() {
    assert_kept(
        [Part::thinning("1d=>1h,7d=>1d".parse().unwrap())],
        "04-10T12:00",
        &[
            "04-03T11:00",
            "04-08T09:00",
            "04-08T15:00",
            "04-10T11:10",
            "04-10T11:20",
            "04-10T11:50",
            "04-10T12:00",
        ],
        &["04-08T09:00", "04-10T11:10", "04-10T12:00"],
    );
}

#[test]
fn znapzend_spares_the_snapshot_of_this_moment() {
    let times = ["04-10T11:00", "04-10T11:30"];
    let plan = || [Part::thinning("1d=>1h".parse().unwrap())];
    assert_kept(plan(), "04-10T11:30", &times, &times);
    assert_kept(plan(), "04-10T11:31", &times, &times[..1]);
}

// Found by trying 300,000 histories: of two kept in neighbouring steps one may
// go when the younger step grows over the other.
#[test]
fn a_longer_step_of_znapzends_plan_is_not_more_generous() {
    let times = ["04-09T06:00", "04-09T11:30"];
    let plan = |text: &str| [Part::thinning(text.parse().unwrap())];
    assert_kept(plan("1d=>6h,9d=>7d"), "04-10T11:30", &times, &times);
    assert_kept(plan("2d=>6h,9d=>7d"), "04-10T11:30", &times, &times[..1]);
}

#[test]
fn restic_keeps_the_oldest_too_while_a_tier_is_not_full() {
    let dailies = |daily| Keep {
        daily,
        ..Keep::default()
    };
    let times = [
        "04-01T08:00",
        "04-01T12:00",
        "04-01T20:00",
        "04-02T08:00",
        "04-02T20:00",
    ];
    let newest = ["04-01T20:00", "04-02T20:00"];
    let with_oldest = ["04-01T08:00", "04-01T20:00", "04-02T20:00"];
    let now = "04-03T00:00";
    assert_kept(Part::restic(dailies(3)), now, &times, &with_oldest);
    assert_kept(Part::restic(dailies(2)), now, &times, &newest);
    // Before 0.16 it did not.
    assert_kept(dailies(3).parts(), now, &times, &newest);
    // Where the oldest stands for its own day, or for one too many, it is
    // counted as any other.
    let own = ["04-01T08:00", "04-02T08:00", "04-02T20:00"];
    let kept = ["04-01T08:00", "04-02T20:00"];
    assert_kept(Part::restic(dailies(3)), now, &own, &kept);
    assert_kept(Part::restic(dailies(1)), now, &own, &kept[1..]);
    assert_kept(
        Part::restic(dailies(3)),
        now,
        &["04-01T08:00"],
        &["04-01T08:00"],
    );
}

#[test]
fn the_oldest_that_restic_keeps_has_its_reason() {
    let new_year: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let snapshots = [1, 2, 3].map(|n| {
        let hours = i32::try_from(n).unwrap();
        Snapshot::new(format!("a{n}"), Guid(n), Txg(n), new_year + HOUR * hours)
    });
    let keep = Keep {
        daily: 2,
        ..Keep::default()
    };
    let policy = Policy::managing(Names::Any).with_all(Part::restic(keep));
    let now: Zoned = "2026-01-02T00:00:00Z[UTC]".parse().unwrap();
    let plan = policy.plan(&snapshots, &[], &now);
    let told = |name| -> Vec<String> {
        let decision = plan.decision(name).unwrap();
        decision.reasons().iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        told("a1"),
        ["daily 2 or the oldest: kept, the oldest while there are fewer"]
    );
    assert_eq!(
        told("a2"),
        ["daily 2 or the oldest: a3 stands for 2026-01-01"]
    );
    let change = plan.if_count(0, 1).unwrap();
    let lost: Vec<_> = change.lost.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(lost, ["a1"]);
}

#[test]
fn proxmox_options_begin_behind_those_before() {
    let keep = Keep {
        last: 1,
        daily: 2,
        ..Keep::default()
    };
    let times = ["04-01T12:00", "04-02T12:00", "04-03T12:00", "04-04T12:00"];
    assert_kept([Part::proxmox(keep)], "04-05T00:00", &times, &times[1..]);
    assert_kept(keep.parts(), "04-05T00:00", &times, &times[2..]);
}

#[test]
fn proxmox_keeps_one_of_each_period_and_nothing_of_covered_ones() {
    let keep = Keep {
        last: 1,
        hourly: 1,
        monthly: 1,
        ..Keep::default()
    };
    assert_kept(
        [Part::proxmox(keep)],
        "04-05T00:00",
        &[
            "02-01T00:00",
            "03-01T00:00",
            "04-04T10:00",
            "04-04T11:10",
            "04-04T11:20",
            "04-04T12:10",
            "04-04T12:20",
        ],
        &["03-01T00:00", "04-04T11:20", "04-04T12:20"],
    );
}

#[test]
fn a_pattern_keeps_what_another_part_would_let_go() {
    assert_kept(
        [Part::last(1), Part::every(Names::prefix("03"))],
        "04-10T12:00",
        &["03-01T00:00", "04-01T00:00", "04-02T00:00"],
        &["03-01T00:00", "04-02T00:00"],
    );
}
