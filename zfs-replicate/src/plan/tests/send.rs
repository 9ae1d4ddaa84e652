//! Cases by name: which snapshots are sent, in which form, and onto which base.

use zfs_core::{DatasetName, Guid};

use super::{dataset, doings, encrypted, name, planned, sentences, source, target};
use crate::plan::{Action, Base, Options, plan};
use crate::tree::{Key, Snapshot};

#[test]
fn what_is_missing_is_sent_through_every_snapshot() {
    let plan = planned(
        vec![dataset("tank/a", &[("1", 1), ("2", 2), ("3", 3), ("4", 4)])],
        vec![dataset("vault/a", &[("1", 1), ("2", 2)])],
    );
    assert_eq!(
        sentences(&plan),
        [
            "send 2 snapshots to vault/a, tank/a@3 to @4, as increments on tank/a@2: the \
          target's youngest is vault/a@2"
        ]
    );
    let Action::Send(range) = &plan.steps[0].action else {
        panic!("no range");
    };
    let streams: Vec<_> = range
        .streams()
        .map(|stream| {
            let from = stream.from.as_ref().map(|base| base.as_str().to_owned());
            (stream.word(), from, stream.to.name.to_string())
        })
        .collect();
    assert_eq!(
        streams,
        [
            (
                "incremental",
                Some("tank/a@2".to_owned()),
                "tank/a@3".to_owned()
            ),
            (
                "incremental",
                Some("tank/a@3".to_owned()),
                "tank/a@4".to_owned()
            ),
        ]
    );
}

#[test]
fn nothing_is_to_do_where_the_target_has_the_youngest() {
    let plan = planned(
        vec![dataset("tank/a", &[("1", 1), ("2", 2)])],
        vec![dataset("vault/a", &[("2", 2)])],
    );
    assert!(plan.is_empty());
    assert_eq!(
        sentences(&plan),
        ["nothing to do for vault/a: it has everything up to vault/a@2"]
    );
}

#[test]
fn a_renamed_snapshot_is_still_the_base() {
    let plan = planned(
        vec![dataset("tank/a", &[("renamed", 1), ("2", 2)])],
        vec![dataset("vault/a", &[("1", 1)])],
    );
    let Action::Send(range) = &plan.steps[0].action else {
        panic!("no range");
    };
    assert_eq!(
        range.base.as_ref().map(Base::as_str),
        Some("tank/a@renamed")
    );
}

#[test]
fn parents_come_first_and_missing_ones_are_made() {
    let source = source(vec![
        dataset("tank/a/b/c", &[("1", 4)]),
        dataset("tank/a", &[("1", 2)]),
        dataset("tank/a/b", &[]),
    ]);
    let mut target = target(Vec::new());
    target.root = name("vault/deep/a");
    let plan = plan(&source, &target, &Options::new()).unwrap();
    let steps = doings(&plan);
    assert_eq!(
        steps,
        [
            ("create", "vault/deep"),
            ("full", "vault/deep/a"),
            ("nothing", "vault/deep/a/b"),
            ("create", "vault/deep/a/b"),
            ("full", "vault/deep/a/b/c"),
        ]
    );
}

#[test]
fn what_is_left_out_between_others_is_known_to_the_range() {
    let source = source(vec![dataset(
        "tank/a",
        &[("1", 1), ("2", 2), ("3", 3), ("4", 4), ("5", 5)],
    )]);
    let target = target(vec![dataset("vault/a", &[("1", 1)])]);
    let gaps = |left_out: &[&str]| {
        let wanted =
            |_: &DatasetName, snapshot: &Snapshot| !left_out.contains(&snapshot.name.snapshot());
        let plan = plan(&source, &target, &Options::new().wanted(&wanted)).unwrap();
        match &plan.steps[0].action {
            Action::Send(range) => range.gaps.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(gaps(&[]), []);
    assert_eq!(gaps(&["5"]), []);
    assert_eq!(gaps(&["2"]), [Guid(3)]);
    assert_eq!(gaps(&["2", "4"]), [Guid(3), Guid(5)]);
    assert_eq!(gaps(&["3", "4"]), [Guid(5)]);
}

#[test]
fn embedded_blocks_are_never_asked_for_since_the_kernel_loses_spill_blocks_with_them() {
    for target_encrypted in [false, true] {
        let mut target = target(Vec::new());
        if target_encrypted {
            target.above = target.above.map(|above| encrypted(above, Key::Loaded));
        }
        let source = source(vec![dataset("tank/a", &[("1", 1)])]);
        let plan = plan(&source, &target, &Options::new()).unwrap();
        let Action::Send(range) = &plan.steps[0].action else {
            panic!("no range");
        };
        assert!(!range.form.embedded);
        assert!(range.form.large_blocks && range.form.compressed && !range.form.raw);
    }
}

#[test]
fn only_wanted_snapshots_are_sent() {
    let source = source(vec![dataset(
        "tank/a",
        &[("auto-1", 1), ("mine", 2), ("auto-2", 3)],
    )]);
    let wanted =
        |_: &DatasetName, snapshot: &Snapshot| snapshot.name.snapshot().starts_with("auto-");
    let plan = plan(
        &source,
        &target(Vec::new()),
        &Options::new().wanted(&wanted),
    )
    .unwrap();
    let Action::Send(range) = &plan.steps[0].action else {
        panic!("no range");
    };
    let guids: Vec<_> = range.snapshots.iter().map(|s| s.guid.0).collect();
    assert_eq!(guids, [1, 3]);
}
