//! Cases by name, and how they read.

use zfs_core::{DatasetName, Guid, Txg};

use super::{Action, Base, Encrypted, Hosts, Options, Plan, Refusal, Unusable, Why, plan};
use crate::Error;
use crate::marker::TargetId;
use crate::tree::{
    Bookmark, Dataset, Encryption, Key, Kind, Partial, ResumePoint, Snapshot, StreamForm, Tree,
};

pub fn name(name: &str) -> DatasetName {
    name.parse().unwrap()
}

pub fn dataset(path: &str, snapshots: &[(&str, u64)]) -> Dataset {
    let path = name(path);
    let mut dataset = Dataset::new(path.clone(), Guid(1));
    for (index, (snapshot, guid)) in snapshots.iter().enumerate() {
        dataset.snapshots.push(Snapshot {
            name: path.with_snapshot(snapshot).unwrap(),
            guid: Guid(*guid),
            createtxg: Txg(10 * (index as u64 + 1)),
            creation: None,
            ivset: None,
        });
    }
    dataset
}

pub fn bookmarked(mut dataset: Dataset, bookmarks: &[(&str, u64, u64)]) -> Dataset {
    for (bookmark, guid, txg) in bookmarks {
        dataset.bookmarks.push(Bookmark {
            name: dataset.name.with_bookmark(bookmark).unwrap(),
            guid: Guid(*guid),
            createtxg: Txg(*txg),
            ivset: None,
        });
    }
    dataset
}

fn encrypted(mut dataset: Dataset, key: Key) -> Dataset {
    dataset.encryption = Some(Encryption {
        root: dataset.name.clone(),
        key,
    });
    dataset
}

pub fn interrupted(mut dataset: Dataset, to: u64, from: Option<u64>) -> Dataset {
    dataset.partial = Some(Partial::Token(ResumePoint {
        to_guid: Guid(to),
        to_name: "tank/a@was".to_owned(),
        from_guid: from.map(Guid),
        object: 5,
        offset: 4096,
        bytes: 777,
        form: StreamForm::default(),
        redacted: false,
    }));
    dataset
}

pub fn source(datasets: Vec<Dataset>) -> Tree {
    Tree {
        root: name("tank/a"),
        datasets,
        above: None,
    }
}

pub fn target(datasets: Vec<Dataset>) -> Tree {
    Tree {
        root: name("vault/a"),
        datasets,
        above: Some(Dataset::new(name("vault"), Guid(2))),
    }
}

pub fn planned(source_datasets: Vec<Dataset>, target_datasets: Vec<Dataset>) -> Plan {
    plan(
        &source(source_datasets),
        &target(target_datasets),
        &Options::new(),
    )
    .unwrap()
}

pub fn sentences(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(ToString::to_string).collect()
}

pub fn only_refusal(plan: &Plan) -> Refusal {
    let [step] = plan.steps.as_slice() else {
        panic!("more than one step: {plan:?}");
    };
    match &step.why {
        Why::Refused(refusal) => refusal.clone(),
        why => panic!("not refused: {why}"),
    }
}

#[test]
fn what_is_missing_is_sent_through_every_snapshot() {
    let plan = planned(
        vec![dataset("tank/a", &[("1", 1), ("2", 2), ("3", 3), ("4", 4)])],
        vec![dataset("vault/a", &[("1", 1), ("2", 2)])],
    );
    assert_eq!(
        sentences(&plan),
        [
            "send 2 snapshots to vault/a, tank/a@3 to @4, as increments on tank/a@2: they are \
          younger than vault/a@2, the target's youngest"
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
fn a_bookmark_is_the_base_where_the_snapshot_is_gone_and_the_marker_before_others() {
    let siteb: TargetId = "siteb".parse().unwrap();
    let source = source(vec![bookmarked(
        dataset("tank/a", &[("2", 2)]),
        &[
            ("another", 1, 5),
            ("replica-siteb-0000000000000001", 1, 5),
            ("replica-sitec-0000000000000001", 1, 5),
        ],
    )]);
    let target = target(vec![dataset("vault/a", &[("1", 1)])]);
    let plan = plan(&source, &target, &Options::new().marker(&siteb)).unwrap();
    assert_eq!(
        sentences(&plan),
        [
            "send tank/a@2 to vault/a as an increment on tank/a#replica-siteb-0000000000000001: \
          they are younger than vault/a@1, the target's youngest"
        ]
    );
}

#[test]
fn markers_are_put_right_before_anything_is_sent() {
    let siteb: TargetId = "siteb".parse().unwrap();
    let source = source(vec![bookmarked(
        dataset("tank/a", &[("1", 1), ("2", 2)]),
        &[
            ("replica-siteb-0000000000000009", 9, 5),
            ("replica-siteb-0000000000000001", 7, 5),
        ],
    )]);
    let target = target(vec![dataset("vault/a", &[("2", 2)])]);
    let plan = plan(&source, &target, &Options::new().marker(&siteb)).unwrap();
    assert_eq!(
        sentences(&plan),
        [
            "mark tank/a@2 with tank/a#replica-siteb-0000000000000002, then destroy \
             tank/a#replica-siteb-0000000000000009: the target has it and the source has no \
             marker yet",
            "nothing to do for vault/a: it has everything up to vault/a@2",
        ]
    );
}

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
fn parents_come_first_and_missing_ones_are_made() {
    let source = source(vec![
        dataset("tank/a/b/c", &[("1", 4)]),
        dataset("tank/a", &[("1", 2)]),
        dataset("tank/a/b", &[]),
    ]);
    let mut target = target(Vec::new());
    target.root = name("vault/deep/a");
    let plan = plan(&source, &target, &Options::new()).unwrap();
    let steps: Vec<_> = plan
        .steps
        .iter()
        .map(|step| (step.action.word(), step.target.as_str()))
        .collect();
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
fn a_dataset_gone_from_the_source_is_reported_and_kept() {
    let plan = planned(
        vec![dataset("tank/a", &[("1", 1)])],
        vec![
            dataset("vault/a", &[("1", 1)]),
            dataset("vault/a/old", &[("1", 5)]),
        ],
    );
    assert!(plan.is_empty());
    assert_eq!(plan.steps[1].why, Why::GoneFromSource);
    assert_eq!(plan.steps[1].source, "tank/a/old");
}

#[test]
fn an_interrupted_increment_goes_on() {
    let plan = planned(
        vec![dataset("tank/a", &[("1", 1), ("2", 2), ("3", 3)])],
        vec![interrupted(dataset("vault/a", &[("1", 1)]), 2, Some(1))],
    );
    assert_eq!(
        sentences(&plan),
        [
            "go on sending tank/a@2 to vault/a after 777 bytes, then @3 as an increment: an \
          earlier run was interrupted, and the target kept 777 bytes of it"
        ]
    );
    assert_eq!(plan.steps[0].action.word(), "resume");
}

fn given_up(source: Dataset, target: Dataset) -> (Unusable, &'static str) {
    let plan = planned(vec![source], vec![target]);
    let first = &plan.steps[0];
    assert_eq!(first.action, Action::Abort, "{plan:?}");
    let Why::Unusable(reason) = &first.why else {
        panic!("no reason");
    };
    (reason.clone(), plan.steps[1].action.word())
}

#[test]
fn a_token_for_a_snapshot_that_is_gone_is_given_up() {
    let (reason, next) = given_up(
        dataset("tank/a", &[("1", 1), ("3", 3)]),
        interrupted(dataset("vault/a", &[("1", 1)]), 2, Some(1)),
    );
    assert_eq!(
        reason.to_string(),
        "\"tank/a@was\" is no longer on the source"
    );
    assert_eq!(next, "incremental");

    let (_, next) = given_up(
        dataset("tank/a", &[("3", 3)]),
        interrupted(dataset("vault/a", &[]), 2, None),
    );
    assert_eq!(next, "full");
}

#[test]
fn a_token_on_another_base_is_given_up() {
    for from in [None, Some(9)] {
        let (reason, _) = given_up(
            dataset("tank/a", &[("1", 1), ("2", 2)]),
            interrupted(dataset("vault/a", &[("1", 1)]), 2, from),
        );
        assert_eq!(reason, Unusable::OtherBase);
    }
}

#[test]
fn a_token_that_would_skip_a_snapshot_is_given_up() {
    let (reason, next) = given_up(
        dataset("tank/a", &[("1", 1), ("2", 2), ("3", 3)]),
        interrupted(dataset("vault/a", &[("1", 1)]), 3, Some(1)),
    );
    assert_eq!(
        reason,
        Unusable::Skips {
            name: name("tank/a").with_snapshot("2").unwrap()
        }
    );
    assert_eq!(next, "incremental");
}

#[test]
fn a_token_that_would_send_encrypted_data_in_plain_is_given_up() {
    let (reason, _) = given_up(
        encrypted(dataset("tank/a", &[("1", 1), ("2", 2)]), Key::Loaded),
        interrupted(
            encrypted(dataset("vault/a", &[("1", 1)]), Key::Unavailable),
            2,
            Some(1),
        ),
    );
    assert_eq!(reason, Unusable::OtherForm { raw: false });
}

#[test]
fn a_token_with_embedded_blocks_is_given_up_since_the_kernel_loses_data_with_them() {
    for (embedded, raw) in [(true, false), (false, true)] {
        let mut target = interrupted(dataset("vault/a", &[("1", 1)]), 2, Some(1));
        if let Some(Partial::Token(point)) = &mut target.partial {
            point.form.embedded = embedded;
            point.form.raw = raw;
        }
        let (reason, _) = given_up(dataset("tank/a", &[("1", 1), ("2", 2)]), target);
        assert_eq!(reason, Unusable::Embedded);
    }
}

#[test]
fn a_token_that_leaves_data_out_or_makes_no_sense_is_given_up() {
    let mut redacted = interrupted(dataset("vault/a", &[("1", 1)]), 2, Some(1));
    if let Some(Partial::Token(point)) = &mut redacted.partial {
        point.redacted = true;
    }
    let (reason, _) = given_up(dataset("tank/a", &[("1", 1), ("2", 2)]), redacted);
    assert_eq!(reason, Unusable::Redacted);

    let mut unreadable = dataset("vault/a", &[("1", 1)]);
    unreadable.partial = Some(Partial::Unreadable {
        problem: "too short".to_owned(),
    });
    let (reason, _) = given_up(dataset("tank/a", &[("1", 1), ("2", 2)]), unreadable);
    assert_eq!(
        reason.to_string(),
        "its resume token cannot be read (too short)"
    );
}

#[test]
fn a_token_is_given_up_where_nothing_is_left_to_send() {
    let (_, next) = given_up(
        dataset("tank/a", &[("1", 1)]),
        interrupted(dataset("vault/a", &[("1", 1)]), 2, Some(1)),
    );
    assert_eq!(next, "nothing");
}

#[test]
fn somebody_elses_interrupted_receive_is_left_alone() {
    let mut foreign = interrupted(dataset("vault/a", &[]), 2, None);
    if let Some(Partial::Token(point)) = &mut foreign.partial {
        point.to_name = "other/b@x".to_owned();
    }
    let plan = planned(vec![dataset("tank/a", &[("3", 3)])], vec![foreign]);
    assert_eq!(only_refusal(&plan).word(), "other-partial");
}

#[test]
fn encrypted_data_goes_raw_and_plaintext_needs_the_word_and_the_key() {
    for (key, encrypted_option, expected) in [
        (Key::Loaded, Encrypted::Raw, Ok(true)),
        (Key::Unavailable, Encrypted::Raw, Ok(true)),
        (Key::Loaded, Encrypted::Plaintext, Ok(false)),
        (
            Key::Unavailable,
            Encrypted::Plaintext,
            Err("source-key-unavailable"),
        ),
    ] {
        let source = source(vec![encrypted(dataset("tank/a", &[("1", 1)]), key)]);
        let options = Options::new().encrypted(encrypted_option);
        let plan = plan(&source, &target(Vec::new()), &options).unwrap();
        let got = match &plan.steps[0].action {
            Action::Send(range) => Ok(range.form.raw),
            _ => Err(plan.steps[0].why.word()),
        };
        assert_eq!(got, expected);
    }
}

#[test]
fn raw_streams_do_not_go_onto_what_was_received_in_plain() {
    let plan = planned(
        vec![encrypted(
            dataset("tank/a", &[("1", 1), ("2", 2)]),
            Key::Loaded,
        )],
        vec![dataset("vault/a", &[("1", 1)])],
    );
    assert_eq!(only_refusal(&plan), Refusal::RawOntoPlain);
}

#[test]
fn raw_increments_do_not_go_onto_what_the_target_encrypted_itself() {
    let on = |name: &str, ivset: Option<u64>, snapshots: &[(&str, u64)]| {
        let mut dataset = encrypted(dataset(name, snapshots), Key::Loaded);
        for snapshot in &mut dataset.snapshots {
            snapshot.ivset = ivset.map(Guid);
        }
        dataset
    };
    let source = || on("tank/a", Some(7), &[("1", 1), ("2", 2)]);
    let plan_onto = |ivset| planned(vec![source()], vec![on("vault/a", ivset, &[("1", 1)])]);
    assert_eq!(
        only_refusal(&plan_onto(Some(8))),
        Refusal::OtherIvSet {
            newest: "vault/a@1".parse().unwrap()
        }
    );
    for fits in [Some(7), None] {
        assert!(matches!(plan_onto(fits).steps[0].action, Action::Send(_)));
    }
    // The same where the base is a bookmark.
    let mut pruned = source();
    let gone = pruned.snapshots.remove(0);
    pruned.bookmarks.push(Bookmark {
        name: "tank/a#1".parse().unwrap(),
        guid: gone.guid,
        createtxg: gone.createtxg,
        ivset: gone.ivset,
    });
    let onto_bookmark = planned(vec![pruned], vec![on("vault/a", Some(8), &[("1", 1)])]);
    assert_eq!(only_refusal(&onto_bookmark).word(), "other-iv-set");
    // In plain it is the target that encrypts, with its own.
    let there = target(vec![on("vault/a", Some(8), &[("1", 1)])]);
    let options = Options::new().encrypted(Encrypted::Plaintext);
    let plan = plan(&self::source(vec![source()]), &there, &options).unwrap();
    assert!(matches!(plan.steps[0].action, Action::Send(_)), "{plan:#?}");
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
fn plain_data_needs_the_targets_key_where_the_target_encrypts() {
    let mut target = target(Vec::new());
    target.above = target.above.map(|above| encrypted(above, Key::Unavailable));
    let source = source(vec![dataset("tank/a", &[("1", 1)])]);
    let plan = plan(&source, &target, &Options::new()).unwrap();
    assert_eq!(only_refusal(&plan).word(), "target-key-unavailable");
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

#[test]
fn where_no_marker_fits_the_plan_says_so_and_sends_without() {
    let siteb: TargetId = "siteb".parse().unwrap();
    let child = format!("tank/a/{}", "d".repeat(230));
    let mut source = source(vec![dataset(&child, &[("1", 1)])]);
    source.root = name(&child);
    let plan = plan(&source, &target(Vec::new()), &Options::new().marker(&siteb)).unwrap();
    assert_eq!(plan.steps[0].why, Why::NoRoomForMarker);
    let Action::Send(range) = &plan.steps[1].action else {
        panic!("no range");
    };
    assert_eq!(range.marker, None);
}
