//! What no policy overrides, one promise a test. The policy keeps nothing, so
//! whatever lives is alive for the reason under test.

use jiff::{Timestamp, Zoned};
use zfs_retention::{Guid, Names, Part, Plan, Policy, Protection, Snapshot, Target, Txg, Verdict};

fn now() -> Zoned {
    "2026-04-03T12:00:00+02:00[Europe/Berlin]".parse().unwrap()
}

/// Made in txg `n`, `n` hours into the year.
fn snapshot(n: u64) -> Snapshot {
    let new_year: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let creation = new_year + jiff::SignedDuration::from_secs_f64(n as f64 * 3600.0);
    Snapshot::new(format!("auto_{n}"), Guid(1000 + n), Txg(n), creation)
}

fn nothing() -> Policy {
    Policy::managing(Names::prefix("auto_")).with(Part::last(0))
}

fn living<'a>(plan: &'a Plan<'_>) -> Vec<&'a str> {
    plan.kept().map(|snapshot| snapshot.name.as_str()).collect()
}

#[track_caller]
fn assert_saved_by(plan: &Plan<'_>, name: &str, protection: Protection<'_>) {
    let decision = plan.decision(name).unwrap();
    assert_eq!(decision.verdict(), Verdict::Keep);
    assert!(
        decision.protections().any(|found| found == protection),
        "{name} is not protected by {protection:?} but {:?}",
        decision.reasons()
    );
}

#[test]
fn without_protection_a_policy_that_keeps_nothing_destroys_all() {
    let snapshots = [snapshot(1), snapshot(2)];
    let policy = nothing();
    assert!(living(&policy.plan(&snapshots, &[], &now())).is_empty());
}

#[test]
fn held_and_cloned_snapshots_live() {
    let snapshots = [snapshot(1).held(2), snapshot(2).cloned(1), snapshot(3)];
    let policy = nothing();
    let plan = policy.plan(&snapshots, &[], &now());
    assert_eq!(living(&plan), ["auto_1", "auto_2"]);
    assert_saved_by(&plan, "auto_1", Protection::Held { holds: 2 });
    assert_saved_by(&plan, "auto_2", Protection::Cloned { clones: 1 });
}

#[test]
fn names_that_no_policy_manages_live() {
    let mut by_hand = snapshot(1);
    by_hand.name = "before-upgrade".into();
    let snapshots = [by_hand, snapshot(2)];
    let policy = nothing();
    let plan = policy.plan(&snapshots, &[], &now());
    assert_eq!(living(&plan), ["before-upgrade"]);
    assert_saved_by(&plan, "before-upgrade", Protection::Unmanaged);
}

#[test]
fn names_that_no_part_covers_live() {
    let snapshots = [snapshot(1), snapshot(2)];
    let policy =
        Policy::managing(Names::Any).with(Part::last(0).covering(Names::Exact("auto_1".into())));
    let plan = policy.plan(&snapshots, &[], &now());
    assert_eq!(living(&plan), ["auto_2"]);
    assert_saved_by(&plan, "auto_2", Protection::Unmanaged);
}

#[test]
fn snapshots_of_the_future_live_and_take_no_other_ones_place() {
    let mut future = snapshot(3);
    future.creation = now().timestamp() + jiff::SignedDuration::from_secs(1);
    let snapshots = [snapshot(1), snapshot(2), future];
    let policy = Policy::managing(Names::Any).with(Part::last(1));
    let plan = policy.plan(&snapshots, &[], &now());
    assert_eq!(living(&plan), ["auto_2", "auto_3"]);
    assert_saved_by(&plan, "auto_3", Protection::Future);
}

#[test]
fn a_snapshot_of_this_very_moment_is_not_of_the_future() {
    let mut present = snapshot(1);
    present.creation = now().timestamp();
    let policy = nothing();
    assert!(living(&policy.plan(&[present], &[], &now())).is_empty());
}

#[test]
fn the_common_base_lives_while_no_bookmark_remembers_it() {
    let snapshots = [snapshot(1), snapshot(2), snapshot(3)];
    let policy = nothing();
    let targets = [Target::new("nas").base(Guid(1002), Txg(2))];
    let plan = policy.plan(&snapshots, &targets, &now());
    assert_eq!(living(&plan), ["auto_2"]);
    assert_saved_by(&plan, "auto_2", Protection::CommonBase { target: "nas" });
}

#[test]
fn the_common_base_may_go_while_its_bookmark_stands() {
    let snapshots = [snapshot(1), snapshot(2), snapshot(3)];
    let policy = nothing();
    let targets = [Target::new("nas").marker(Guid(1002), Txg(2))];
    assert!(living(&policy.plan(&snapshots, &targets, &now())).is_empty());
}

#[test]
fn the_bases_of_all_targets_live() {
    let snapshots = [snapshot(1), snapshot(2), snapshot(3)];
    let policy = nothing();
    let targets = [
        Target::new("nas").base(Guid(1001), Txg(1)),
        Target::new("offsite").base(Guid(1003), Txg(3)),
    ];
    let plan = policy.plan(&snapshots, &targets, &now());
    assert_eq!(living(&plan), ["auto_1", "auto_3"]);
}

#[test]
fn what_a_required_target_lacks_lives() {
    let snapshots = [snapshot(1), snapshot(2), snapshot(3), snapshot(4)];
    let policy = nothing();
    let targets = [Target::new("nas").marker(Guid(1002), Txg(2)).required()];
    let plan = policy.plan(&snapshots, &targets, &now());
    assert_eq!(living(&plan), ["auto_3", "auto_4"]);
    assert_saved_by(&plan, "auto_3", Protection::NotReplicated { target: "nas" });
}

#[test]
fn what_is_on_its_way_lives_until_the_target_has_as_new() {
    let snapshots = [snapshot(1), snapshot(2), snapshot(3)];
    let policy = nothing();
    let first = Target::new("nas").sending(Guid(1002));
    let targets = [first.clone()];
    let plan = policy.plan(&snapshots, &targets, &now());
    assert_eq!(living(&plan), ["auto_2"]);
    assert_saved_by(&plan, "auto_2", Protection::Sending { target: "nas" });

    // Left by a run that was killed when it had arrived.
    for n in [2, 3] {
        let targets = [
            first.clone(),
            Target::new("nas").marker(Guid(1000 + n), Txg(n)),
        ];
        assert!(living(&policy.plan(&snapshots, &targets, &now())).is_empty());
    }
    let targets = [first, Target::new("nas").marker(Guid(1001), Txg(1))];
    let plan = policy.plan(&snapshots, &targets, &now());
    assert_eq!(living(&plan), ["auto_2"]);
}

#[test]
fn what_is_on_its_way_to_a_target_that_must_have_it_has_one_reason() {
    let snapshots = [snapshot(1), snapshot(2)];
    let policy = nothing();
    let targets = [Target::new("nas")
        .marker(Guid(1001), Txg(1))
        .required()
        .sending(Guid(1002))];
    let plan = policy.plan(&snapshots, &targets, &now());
    let found: Vec<_> = plan.decision("auto_2").unwrap().protections().collect();
    assert_eq!(found, [Protection::NotReplicated { target: "nas" }]);
}

#[test]
fn a_required_target_that_has_nothing_protects_everything() {
    let snapshots = [snapshot(1), snapshot(2)];
    let policy = nothing();
    let targets = [Target::new("nas").required()];
    let plan = policy.plan(&snapshots, &targets, &now());
    assert_eq!(living(&plan), ["auto_1", "auto_2"]);
}

#[test]
fn a_target_that_is_not_required_protects_nothing_it_lacks() {
    let snapshots = [snapshot(1), snapshot(2)];
    let policy = nothing();
    let targets = [Target::new("nas")];
    assert!(living(&policy.plan(&snapshots, &targets, &now())).is_empty());
}

#[test]
fn a_policy_without_parts_destroys_nothing() {
    let snapshots = [snapshot(1), snapshot(2)];
    let policy = Policy::managing(Names::Any);
    let plan = policy.plan(&snapshots, &[], &now());
    assert_eq!(plan.destroyed().count(), 0);
    let reasons = plan.decision("auto_1").unwrap().reasons();
    assert_eq!(
        reasons[0].to_string(),
        "the policy has no parts, so it destroys nothing"
    );
}

#[test]
fn all_protections_of_a_snapshot_are_told() {
    let snapshots = [snapshot(2).held(1).cloned(3)];
    let policy = nothing();
    let targets = [Target::new("nas").base(Guid(1002), Txg(2))];
    let plan = policy.plan(&snapshots, &targets, &now());
    let told: Vec<_> = plan
        .decision("auto_2")
        .unwrap()
        .reasons()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        told,
        [
            "protected: one hold",
            "protected: origin of 3 clones",
            "protected: newest common base with nas",
            "last 0: it is number 1",
        ]
    );
}
