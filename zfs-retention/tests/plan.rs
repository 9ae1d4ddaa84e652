//! What a plan offers beyond verdicts: space, groups, what-if.

use jiff::{SignedDuration, Zoned};
use zfs_retention::{Guid, Names, Part, Plan, Policy, Reason, Snapshot, Space, Txg};

fn now() -> Zoned {
    "2026-04-03T12:00:00Z[UTC]".parse().unwrap()
}

/// `a1` to `aN`, one an hour, each using `used` bytes.
fn history(count: u64, used: u64) -> Vec<Snapshot> {
    let start = now().timestamp() - SignedDuration::from_hours(1000);
    (1..=count)
        .map(|n| {
            let at = start + SignedDuration::from_mins(60) * i32::try_from(n).unwrap();
            Snapshot::new(format!("a{n}"), Guid(n), Txg(n), at).using(used)
        })
        .collect()
}

fn destroyed<'a>(plan: &'a Plan<'_>) -> Vec<&'a str> {
    plan.destroyed().map(|s| s.name.as_str()).collect()
}

#[test]
fn pruning_stops_when_enough_is_free() {
    let snapshots = history(5, 100);
    let policy = Policy::managing(Names::Any)
        .with(Part::last(1))
        .until(Space::Free(150));
    let plan = policy.plan(&snapshots, &[], &now());
    assert_eq!(destroyed(&plan), ["a1", "a2"]);
    let reasons = plan.decision("a3").unwrap().reasons();
    assert!(reasons.contains(&Reason::SpaceSuffices));
    assert_eq!(plan.reclaimable().bytes, 200);
}

#[test]
fn pruning_for_space_never_takes_what_a_part_keeps() {
    let mut snapshots = history(5, 100);
    snapshots[0].userrefs = 1;
    let policy = Policy::managing(Names::Any)
        .with(Part::last(3))
        .until(Space::Free(1_000_000));
    assert_eq!(destroyed(&policy.plan(&snapshots, &[], &now())), ["a2"]);
}

#[test]
fn nothing_goes_when_nothing_is_wanted() {
    let snapshots = history(5, 100);
    let policy = Policy::managing(Names::Any)
        .with(Part::last(1))
        .until(Space::Free(0));
    assert!(destroyed(&policy.plan(&snapshots, &[], &now())).is_empty());
}

#[test]
fn a_size_target_is_met_from_the_oldest_on_and_then_rests() {
    let snapshots = history(5, 100);
    let policy = Policy::managing(Names::Any)
        .with(Part::last(1))
        .until(Space::Total(300));
    let plan = policy.plan(&snapshots, &[], &now());
    assert_eq!(destroyed(&plan), ["a1", "a2"]);
    let rest: Vec<_> = plan.kept().cloned().collect();
    assert!(destroyed(&policy.plan(&rest, &[], &now())).is_empty());
}

#[test]
fn unknown_sizes_count_as_nothing_and_are_told() {
    let mut snapshots = history(3, 100);
    snapshots[0].used = None;
    let policy = Policy::managing(Names::Any)
        .with(Part::last(1))
        .until(Space::Free(100));
    let plan = policy.plan(&snapshots, &[], &now());
    assert_eq!(destroyed(&plan), ["a1", "a2"]);
    let reclaimable = plan.reclaimable();
    assert_eq!((reclaimable.bytes, reclaimable.unknown), (100, 1));
}

#[test]
fn groups_live_and_die_together() {
    let database = history(4, 1);
    let mut logs = history(4, 1);
    logs[1].userrefs = 1;
    logs.remove(2);
    let policy = Policy::managing(Names::Any).with(Part::last(1));
    let mut plans = [&database, &logs].map(|all| policy.plan(all, &[], &now()));
    Plan::keep_groups_whole(&mut plans);
    assert_eq!(destroyed(&plans[0]), ["a1", "a3"]);
    assert_eq!(destroyed(&plans[1]), ["a1"]);
    let reasons = plans[0].decision("a2").unwrap().reasons();
    assert!(reasons.contains(&Reason::Group));
    // The same count loses nothing.
    assert!(plans[0].if_count(0, 1).unwrap().lost.is_empty());
}

#[test]
fn what_another_count_would_change_is_told_both_ways() {
    let snapshots = history(5, 1);
    let policy = Policy::managing(Names::Any)
        .with(Part::last(2))
        .with(Part::every(Names::Exact("a1".into())));
    let plan = policy.plan(&snapshots, &[], &now());
    let names = |all: &[&Snapshot]| all.iter().map(|s| s.name.clone()).collect::<Vec<_>>();
    let more = plan.if_count(0, 4).unwrap();
    assert_eq!(
        (names(&more.saved), names(&more.lost)),
        (vec!["a2".into(), "a3".into()], vec![])
    );
    let less = plan.if_count(0, 0).unwrap();
    assert_eq!(
        (names(&less.saved), names(&less.lost)),
        (vec![], vec!["a4".into(), "a5".into()])
    );
    assert!(plan.if_count(1, 1).is_none(), "a part without a count");
    assert!(plan.if_count(2, 1).is_none(), "no such part");
}
