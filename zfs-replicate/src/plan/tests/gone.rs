//! Cases by name: what the target has and the source no longer does.

use zfs_core::Guid;

use super::{
    bookmarked, clone_of, dataset, name, planned, planned_with, sentences, source, target, words,
};
use crate::marker::TargetId;
use crate::plan::{Gone, Options, Plan, Provenance, Why, provenance};
use crate::tree::{Dataset, Kind};

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

fn replicas(_: &Dataset) -> Provenance {
    Provenance::Replica
}

fn retired(target_datasets: Vec<Dataset>, whose: &dyn Fn(&Dataset) -> Provenance) -> Plan {
    planned_with(
        vec![dataset("tank/a", &[("1", 1)])],
        target_datasets,
        &Options::new().gone(Gone::Destroy).provenance(&whose),
    )
}

#[test]
fn what_the_source_no_longer_has_is_destroyed_only_on_request_and_children_first() {
    let gone = || {
        vec![
            dataset("vault/a", &[("1", 1)]),
            dataset("vault/a/old", &[("1", 5), ("2", 6)]),
            dataset("vault/a/old/child", &[]),
            clone_of(dataset("vault/a/young", &[("c", 7)]), "vault/a/old@1"),
        ]
    };
    let plan = retired(gone(), &replicas);
    assert_eq!(
        sentences(&plan)[1..],
        [
            "destroy vault/a/young with vault/a/young@c: the source no longer has this dataset, \
             and to destroy it then was asked for",
            "destroy vault/a/old/child, which has no snapshots: the source no longer has this \
             dataset, and to destroy it then was asked for",
            "destroy vault/a/old with vault/a/old@1, vault/a/old@2: the source no longer has this \
             dataset, and to destroy it then was asked for",
        ]
    );
}

fn whys(plan: &Plan) -> Vec<&str> {
    plan.steps.iter().map(|step| step.why.word()).collect()
}

#[test]
fn what_does_not_say_that_it_is_a_replica_is_never_retired() {
    let gone = || {
        vec![
            dataset("vault/a", &[("1", 1)]),
            dataset("vault/a/scratch", &[]),
            dataset("vault/a/work", &[("daily", 5)]),
        ]
    };
    for plan in [
        retired(gone(), &|_| Provenance::Unknown),
        planned_with(
            vec![dataset("tank/a", &[("1", 1)])],
            gone(),
            &Options::new().gone(Gone::Destroy),
        ),
    ] {
        assert_eq!(whys(&plan), ["up-to-date", "no-replica", "no-replica"]);
        assert!(plan.is_empty());
    }
    let text = sentences(&retired(gone(), &|_| Provenance::Unknown));
    assert!(text[1].contains("zfs-replicate:target"), "{text:?}");
}

#[test]
fn an_empty_parent_goes_with_what_it_was_the_parent_of_and_only_then() {
    let whose = |dataset: &Dataset| match dataset.name.as_str() {
        "vault/a/vms" | "vault/a/idle" => Provenance::Parent,
        "vault/a/vms/one" => Provenance::Replica,
        _ => Provenance::Unknown,
    };
    let mut gone = vec![
        dataset("vault/a", &[("1", 1)]),
        dataset("vault/a/idle", &[]),
        dataset("vault/a/vms", &[]),
        dataset("vault/a/vms/one", &[("1", 5)]),
    ];
    let plan = retired(gone.clone(), &whose);
    let words: Vec<_> = plan.steps[1..]
        .iter()
        .map(|step| (step.action.word(), step.target.as_str()))
        .collect();
    assert_eq!(
        words,
        [
            ("destroy", "vault/a/vms/one"),
            ("destroy", "vault/a/vms"),
            ("nothing", "vault/a/idle"),
        ]
    );
    // Something of the target's own below it keeps it.
    gone.push(dataset("vault/a/vms/own", &[("1", 6)]));
    let plan = retired(gone, &whose);
    let refused: Vec<_> = plan.refused().map(|step| step.target.as_str()).collect();
    assert_eq!(refused, ["vault/a/vms"]);
}

#[test]
fn a_replica_says_so_itself_and_for_one_target_and_source_only() {
    let id: TargetId = "siteb".parse().unwrap();
    let mut tree = target(vec![
        dataset("vault/a", &[("1", 1)]),
        dataset("vault/a/ours", &[("1", 2)]),
        dataset("vault/a/theirs", &[("1", 3)]),
        dataset("vault/a/parent", &[]),
        dataset("vault/a/own", &[]),
        dataset("vault/a/nested", &[("1", 4)]),
        dataset("vault/a/before", &[("1", 5)]),
    ]);
    for (number, dataset) in (1..).zip(&mut tree.datasets) {
        dataset.guid = Guid(number);
    }
    let set = [
        ("vault/a/ours", vec![("zfs-replicate:target", "siteb 77")]),
        ("vault/a/theirs", vec![("zfs-replicate:target", "sitec 77")]),
        (
            "vault/a/parent",
            vec![("canmount", "off"), ("readonly", "on")],
        ),
        ("vault/a/own", vec![("canmount", "off")]),
        ("vault/a/nested", vec![("zfs-replicate:target", "siteb 78")]),
        ("vault/a/before", vec![("zfs-replicate:target", "siteb")]),
    ];
    let set = set.map(|(path, own)| {
        let own = own.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned()));
        (name(path), own.collect())
    });
    let mut source = source(vec![dataset("tank/a", &[("1", 1)])]);
    source.datasets[0].guid = Guid(77);
    let whose = provenance(&source, &tree, &set.into(), &id);
    assert_eq!(
        [1, 2, 3, 4, 5, 6, 7].map(|guid| whose[&Guid(guid)]),
        [
            Provenance::Unknown,
            Provenance::Replica,
            Provenance::Unknown,
            Provenance::Parent,
            Provenance::Unknown,
            Provenance::Unknown,
            Provenance::Unknown,
        ]
    );
}

#[test]
fn what_others_need_is_not_destroyed() {
    let feeds = bookmarked(
        dataset("vault/a/old", &[("1", 5)]),
        &[("replica-third-0000000000000005", 5, 5)],
    );
    let plan = planned_with(
        vec![
            dataset("tank/a", &[("1", 1)]),
            dataset("tank/a/kept", &[("c", 7)]),
        ],
        vec![
            dataset("vault/a", &[("1", 1)]),
            feeds,
            dataset("vault/a/origin", &[("1", 6)]),
            clone_of(dataset("vault/a/kept", &[("c", 7)]), "vault/a/origin@1"),
        ],
        &Options::new().gone(Gone::Destroy).provenance(&replicas),
    );
    let refused: Vec<_> = plan.refused().map(|step| step.why.word()).collect();
    assert_eq!(refused, ["feeds-others", "has-clones"]);
    assert!(plan.is_empty());
}

#[test]
fn what_is_left_out_is_neither_sent_nor_taken_for_gone() {
    let keep = |dataset: &Dataset| dataset.name != name("tank/a/out");
    let plan = planned_with(
        vec![
            dataset("tank/a", &[("1", 1)]),
            dataset("tank/a/out", &[("1", 2), ("2", 3)]),
        ],
        vec![
            dataset("vault/a", &[("1", 1)]),
            dataset("vault/a/out", &[("1", 2)]),
        ],
        &Options::new()
            .datasets(&keep)
            .gone(Gone::Destroy)
            .provenance(&replicas),
    );
    assert!(plan.is_empty());
    assert_eq!(plan.steps[1].why, Why::Excluded);
}

/// Plans below a common top for a source that renamed something, all of the
/// target being replicas; nothing may be destroyed.
fn renamed(source: Vec<Dataset>, target: Vec<Dataset>, options: &Options<'_>) -> Plan {
    let top = |path: &str| dataset(path, &[("0", 9)]);
    let plan = planned_with(
        [vec![top("tank/a")], source].concat(),
        [vec![top("vault/a")], target].concat(),
        &options.gone(Gone::Destroy).provenance(&replicas),
    );
    let words = words(&plan);
    assert!(!words.contains(&"destroy"), "{plan:#?}");
    plan
}

#[test]
fn what_was_renamed_and_cannot_be_followed_is_not_taken_for_gone() {
    let new = dataset("tank/a/new", &[("1", 1), ("2", 2)]);
    let old = |snapshots: &[(&str, u64)]| dataset("vault/a/old", snapshots);
    let all = Options::new();

    // The new name is taken.
    let taken = dataset("vault/a/new", &[("1", 8)]);
    let plan = renamed(vec![new.clone()], vec![old(&[("1", 1)]), taken], &all);
    assert_eq!(
        whys(&plan)[1..],
        ["rename-blocked", "known-elsewhere"],
        "{plan:#?}"
    );
    assert_eq!(
        plan.steps[2].to_string(),
        "nothing to do for vault/a/old: the source has snapshots of it in tank/a/new, so it is \
         not gone but renamed, and is kept; if it is of no more use, destroy it by hand"
    );

    // It could be either.
    let two = vec![
        dataset("vault/a/one", &[("1", 1)]),
        dataset("vault/a/two", &[("1", 1)]),
    ];
    let plan = renamed(vec![new.clone()], two, &all);
    assert_eq!(
        whys(&plan)[1..],
        ["ambiguous", "known-elsewhere", "known-elsewhere"]
    );

    // It has gone on by itself, and all of the new one is sent.
    let target = vec![old(&[("1", 1), ("own", 7)])];
    let plan = renamed(vec![new.clone()], target, &all);
    assert_eq!(whys(&plan)[1..], ["not-on-target", "known-elsewhere"]);

    // The new name is left out.
    let keep = |dataset: &Dataset| dataset.name != name("tank/a/new");
    let left_out = Options::new().datasets(&keep);
    let plan = renamed(vec![new], vec![old(&[("1", 1)])], &left_out);
    assert_eq!(whys(&plan)[1..], ["excluded", "known-elsewhere"]);

    // Only a bookmark remembers it.
    let marked = bookmarked(dataset("tank/a/new", &[("2", 2)]), &[("mark", 1, 5)]);
    let target = vec![old(&[("1", 1), ("own", 7)])];
    let plan = renamed(vec![marked], target, &all);
    assert_eq!(whys(&plan)[1..], ["not-on-target", "known-elsewhere"]);
}

#[test]
fn what_is_left_out_is_left_alone_when_it_is_gone() {
    let keep = |dataset: &Dataset| dataset.name != name("tank/a/out");
    for gone in [Gone::Destroy, Gone::Keep] {
        let plan = planned_with(
            vec![dataset("tank/a", &[("1", 1)])],
            vec![
                dataset("vault/a", &[("1", 1)]),
                dataset("vault/a/out", &[("1", 2)]),
            ],
            &Options::new()
                .datasets(&keep)
                .gone(gone)
                .provenance(&replicas),
        );
        assert_eq!(whys(&plan), ["up-to-date", "excluded"]);
    }
}

#[test]
fn what_is_left_out_by_its_kind_is_left_alone_when_it_is_gone() {
    let keep = |dataset: &Dataset| dataset.kind == Kind::Filesystem;
    let mut disk = dataset("vault/a/disk", &[("1", 2)]);
    disk.kind = Kind::Volume;
    let plan = planned_with(
        vec![dataset("tank/a", &[("1", 1)])],
        vec![dataset("vault/a", &[("1", 1)]), disk],
        &Options::new()
            .datasets(&keep)
            .gone(Gone::Destroy)
            .provenance(&replicas),
    );
    assert_eq!(whys(&plan), ["up-to-date", "excluded"]);
}
