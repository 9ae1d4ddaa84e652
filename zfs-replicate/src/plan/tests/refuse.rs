//! Cases by name: what is refused, and what is an error.

use zfs_core::Guid;

use super::{dataset, name, only_refusal, planned, sentences, source, target};
use crate::Error;
use crate::plan::{Action, Hosts, Options, Refusal, plan};
use crate::tree::{Dataset, Kind, Tree};

#[test]
fn a_diverged_target_is_refused_with_what_a_rollback_would_destroy() {
    let plan = planned(
        vec![dataset("tank/a", &[("1", 1), ("2", 2)])],
        vec![dataset("vault/a", &[("1", 1), ("x", 8), ("y", 9)])],
    );
    let vault = name("vault/a");
    assert_eq!(
        only_refusal(&plan),
        Refusal::Diverged {
            common: vault.with_snapshot("1").unwrap(),
            target_only: vec![
                vault.with_snapshot("x").unwrap(),
                vault.with_snapshot("y").unwrap()
            ],
        }
    );
    assert!(plan.is_empty());
    assert_eq!(
        sentences(&plan),
        [
            "do not replicate tank/a to vault/a: the target has diverged; after vault/a@1, the \
          last common snapshot, it has vault/a@x, vault/a@y, which the source has neither as a \
          snapshot nor as a bookmark (zfs rollback -r vault/a@1 would destroy them and let it \
          go on)"
        ]
    );
}

#[test]
fn a_name_that_another_dataset_has_is_refused() {
    let unrelated = planned(
        vec![dataset("tank/a", &[("1", 1)])],
        vec![dataset("vault/a", &[("1", 8)])],
    );
    assert_eq!(only_refusal(&unrelated).word(), "unrelated");
    let occupied = planned(
        vec![dataset("tank/a", &[("1", 1)])],
        vec![dataset("vault/a", &[])],
    );
    assert_eq!(only_refusal(&occupied), Refusal::Occupied);
}

#[test]
fn a_snapshot_name_taken_on_the_target_holds_back_only_that_snapshot() {
    let plan = planned(
        vec![dataset("tank/a", &[("1", 1), ("daily", 2), ("3", 3)])],
        vec![dataset("vault/a", &[("daily", 7), ("1", 1)])],
    );
    let Action::Send(range) = &plan.steps[0].action else {
        panic!("no range");
    };
    assert_eq!(range.snapshots.len(), 1);
    assert_eq!(range.snapshots[0].guid, Guid(3));
    assert_eq!(plan.refused().count(), 1);
}

#[test]
fn a_target_inside_its_own_source_is_refused() {
    for root in ["tank/a", "tank/a/backup"] {
        let source = source(vec![dataset("tank/a", &[("1", 1)])]);
        let inside = Tree {
            root: name(root),
            datasets: Vec::new(),
            above: Some(Dataset::new(name("tank"), Guid(2))),
        };
        let options = Options::new();
        assert!(matches!(
            plan(&source, &inside, &options),
            Err(Error::TargetInsideSource { .. })
        ));
        assert!(plan(&source, &inside, &options.hosts(Hosts::Different)).is_ok());
    }
    // The host has two names, and the dataset one GUID.
    let source = source(vec![dataset("tank/a", &[("1", 1)])]);
    for datasets in [vec![], vec![dataset("tank/a", &[("1", 1)])]] {
        let root = if datasets.is_empty() {
            "tank/a/x"
        } else {
            "tank/a"
        };
        let inside = Tree {
            root: name(root),
            datasets,
            above: Some(dataset("tank/a", &[])),
        };
        let options = Options::new().hosts(Hosts::Different);
        assert!(matches!(
            plan(&source, &inside, &options),
            Err(Error::TargetInsideSource { .. })
        ));
    }
    let beside = Tree {
        root: name("tank/ab"),
        datasets: Vec::new(),
        above: Some(Dataset::new(name("tank"), Guid(2))),
    };
    assert!(plan(&source, &beside, &Options::new()).is_ok());
}

#[test]
fn a_source_or_a_pool_that_is_not_there_is_an_error() {
    let nothing = source(Vec::new());
    assert!(matches!(
        plan(&nothing, &target(Vec::new()), &Options::new()),
        Err(Error::SourceMissing { .. })
    ));
    let mut no_pool = target(Vec::new());
    no_pool.above = None;
    let something = source(vec![dataset("tank/a", &[("1", 1)])]);
    assert!(matches!(
        plan(&something, &no_pool, &Options::new()),
        Err(Error::TargetPoolMissing { .. })
    ));
}

#[test]
fn nothing_goes_below_a_volume() {
    let mut above = Dataset::new(name("vault"), Guid(2));
    above.kind = Kind::Volume;
    let mut target = target(Vec::new());
    target.above = Some(above);
    let source = source(vec![dataset("tank/a", &[("1", 1)])]);
    let plan = plan(&source, &target, &Options::new()).unwrap();
    assert_eq!(only_refusal(&plan).word(), "parent-is-volume");
}

#[test]
fn a_source_inside_its_own_target_is_refused() {
    let source = source(vec![
        dataset("tank/a", &[("1", 1)]),
        dataset("tank/a/x", &[("1", 2)]),
    ]);
    // Else the live a/x would be taken for a replica that was renamed to x.
    let mut datasets = source.datasets.clone();
    datasets.push(Dataset::new(name("tank"), Guid(9)));
    let around = Tree {
        root: name("tank"),
        datasets,
        above: None,
    };
    for hosts in [Hosts::Same, Hosts::Different] {
        assert!(matches!(
            plan(&source, &around, &Options::new().hosts(hosts)),
            Err(Error::SourceInsideTarget { .. })
        ));
    }
}

#[test]
fn names_too_long_for_the_target_are_refused_and_the_rest_goes_on() {
    let long = "s".repeat(244);
    let mut target = target(Vec::new());
    target.root = name("vault/a-longer-name");
    let source = source(vec![
        dataset("tank/a", &[("1", 1), (&long, 2)]),
        dataset(&format!("tank/a/{}", "d".repeat(240)), &[("1", 3)]),
    ]);
    let plan = plan(&source, &target, &Options::new()).unwrap();
    let words: Vec<_> = plan
        .steps
        .iter()
        .map(|step| (step.action.word(), step.why.word()))
        .collect();
    assert_eq!(
        words,
        [
            ("full", "not-on-target"),
            ("refused", "name-too-long"),
            ("refused", "name-too-long"),
        ]
    );
}
