//! Holds on whole trees of datasets, on real pools.

mod fixture;

use fixture::{Pool, run};
use zfs_core::{Defer, SnapshotHolds, SnapshotName};

fn tree() -> (Pool, Vec<SnapshotName>) {
    let pool = Pool::new();
    pool.filesystem("a");
    pool.filesystem("a/b");
    pool.filesystem("a/b/c");
    pool.filesystem("a/other");
    let names = ["a@x", "a/b@x", "a/b/c@x"].map(|name| pool.snapshot(name));
    pool.zfs.snapshot(&names).unwrap();
    (pool, names.to_vec())
}

fn sorted(names: &[SnapshotName]) -> Vec<SnapshotName> {
    let mut names = names.to_vec();
    names.sort();
    names
}

fn held(holds: &[SnapshotHolds]) -> Vec<String> {
    let mut lines: Vec<String> = holds
        .iter()
        .flat_map(|of| {
            let snapshot = &of.snapshot;
            of.holds
                .iter()
                .map(move |hold| format!("{snapshot} {}", hold.tag))
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn a_tree_is_held_and_released_as_one() {
    let (pool, names) = tree();
    let done = pool.zfs.hold_recursively(&names[0], "backup").unwrap();
    assert_eq!(sorted(&done), sorted(&names));
    // The dataset without such a snapshot is passed over.
    assert!(!pool.zfs.exists(&pool.snapshot("a/other@x")).unwrap());
    let shown = run(&["zfs", "holds", "-rH", names[0].as_str()]);
    assert_eq!(shown.lines().count(), 3, "{shown}");
    assert!(
        pool.zfs
            .destroy_snapshots(&names, Defer::No)
            .unwrap_err()
            .is_busy()
    );
    let done = pool.zfs.release_recursively(&names[0], "backup").unwrap();
    assert_eq!(sorted(&done), sorted(&names));
    pool.zfs.destroy_snapshots(&names, Defer::No).unwrap();
}

#[test]
fn the_holds_of_a_tree_are_listed() {
    let (pool, names) = tree();
    assert_eq!(pool.zfs.holds_recursively(&names[0]).unwrap(), []);
    pool.zfs.hold(&names[1..], "one").unwrap();
    pool.zfs.hold([&names[1]], "two").unwrap();
    let expected = [
        format!("{} one", names[1]),
        format!("{} two", names[1]),
        format!("{} one", names[2]),
    ];
    let mut expected = expected.to_vec();
    expected.sort();
    assert_eq!(
        held(&pool.zfs.holds_recursively(&names[0]).unwrap()),
        expected
    );
}

#[test]
fn all_holds_below_a_dataset_are_listed_whatever_the_snapshot_is_called() {
    let (pool, names) = tree();
    let y = pool.take("a/other@y");
    pool.zfs.hold([&names[0]], "t").unwrap();
    pool.zfs.hold([&y], "t").unwrap();
    let holds = pool.zfs.holds_below(&pool.dataset("a")).unwrap();
    assert_eq!(held(&holds), [format!("{y} t"), format!("{} t", names[0])]);
    let holds = pool.zfs.holds_below(&pool.dataset("a/b")).unwrap();
    assert_eq!(holds, []);
    let error = pool.zfs.holds_below(&pool.dataset("missing")).unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn a_top_without_the_snapshot_does_not_matter() {
    let (pool, names) = tree();
    pool.zfs.destroy_snapshots([&names[0]], Defer::No).unwrap();
    let done = pool.zfs.hold_recursively(&names[0], "t").unwrap();
    assert_eq!(sorted(&done), sorted(&names[1..]));
    assert_eq!(
        pool.zfs.release_recursively(&names[0], "t").unwrap().len(),
        2
    );
}

#[test]
fn a_tree_without_the_snapshot_is_not_found() {
    let (pool, _) = tree();
    let missing = pool.snapshot("a@missing");
    for error in [
        pool.zfs.hold_recursively(&missing, "t").unwrap_err(),
        pool.zfs.release_recursively(&missing, "t").unwrap_err(),
        pool.zfs.holds_recursively(&missing).unwrap_err(),
    ] {
        assert!(error.is_not_found(), "{error}");
    }
    let missing = pool.snapshot("missing@x");
    assert!(
        pool.zfs
            .hold_recursively(&missing, "t")
            .unwrap_err()
            .is_not_found()
    );
}

#[test]
fn a_tag_that_one_of_them_has_is_given_to_none() {
    let (pool, names) = tree();
    pool.zfs.hold([&names[2]], "t").unwrap();
    let error = pool.zfs.hold_recursively(&names[0], "t").unwrap_err();
    assert!(error.is_exists(), "{error}");
    assert_eq!(error.failures()[0].name, names[2].as_str());
    let holds = pool.zfs.holds_recursively(&names[0]).unwrap();
    assert_eq!(held(&holds), [format!("{} t", names[2])]);
}

#[test]
fn those_without_the_tag_are_passed_over_unless_none_has_it() {
    let (pool, names) = tree();
    pool.zfs.hold([&names[1]], "t").unwrap();
    pool.zfs.hold([&names[2]], "other").unwrap();
    let done = pool.zfs.release_recursively(&names[0], "t").unwrap();
    assert_eq!(done, names[1..2]);
    let error = pool.zfs.release_recursively(&names[0], "t").unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert!(error.to_string().contains("\"t\""), "{error}");
}
