//! Clones, promotion and renaming on real pools.

mod fixture;

use fixture::{Pool, get};
use zfs_core::{ErrorKind, Properties, SnapshotName};

#[test]
fn a_clone_knows_its_origin_and_has_its_properties() {
    let pool = Pool::new();
    pool.filesystem("a");
    let x = pool.take("a@x");
    let clone = pool.dataset("clone");
    let properties = Properties::new()
        .with("recordsize", 8192)
        .with("org.example:of", "a");
    pool.zfs.clone_snapshot(&x, &clone, &properties).unwrap();
    assert_eq!(get(&clone, "origin"), x.as_str());
    assert_eq!(get(&clone, "recordsize"), "8192");
    assert_eq!(get(&clone, "org.example:of"), "a");
}

#[test]
fn a_clone_needs_a_snapshot_a_parent_and_a_free_name() {
    let pool = Pool::new();
    let x = pool.take("@x");
    let none = Properties::new();
    let clone = |origin: &SnapshotName, name: &str| {
        pool.zfs
            .clone_snapshot(origin, &pool.dataset(name), &none)
            .unwrap_err()
    };
    assert!(clone(&pool.snapshot("@missing"), "c").is_not_found());
    assert!(clone(&x, "missing/c").is_not_found());
    pool.filesystem("taken");
    assert!(clone(&x, "taken").is_exists());
    let other = Pool::new();
    let foreign = other.take("@x");
    let error = clone(&foreign, "c");
    assert_eq!(error.kind(), ErrorKind::CrossPool, "{error}");
    let bad = Properties::new().with("compression", 120);
    let error = pool
        .zfs
        .clone_snapshot(&x, &pool.dataset("c"), &bad)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(!pool.zfs.exists(&pool.dataset("c")).unwrap());
}

#[test]
fn promoting_takes_the_snapshots_over() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    let x = pool.take("a@x");
    let clone = pool.dataset("clone");
    pool.zfs
        .clone_snapshot(&x, &clone, &Properties::new())
        .unwrap();
    pool.zfs.promote(&clone).unwrap();
    let moved = pool.snapshot("clone@x");
    assert!(pool.zfs.exists(&moved).unwrap());
    assert_eq!(get(&a, "origin"), moved.as_str());
    assert_eq!(get(&clone, "origin"), "-");
}

#[test]
fn a_snapshot_in_the_way_of_a_promotion_is_named() {
    let pool = Pool::new();
    pool.filesystem("a");
    let same = pool.take("a@same");
    let clone = pool.dataset("clone");
    pool.zfs
        .clone_snapshot(&same, &clone, &Properties::new())
        .unwrap();
    pool.take("clone@same");
    let error = pool.zfs.promote(&clone).unwrap_err();
    assert!(error.is_exists(), "{error}");
    assert!(error.to_string().contains("\"same\""), "{error}");
}

#[test]
fn what_is_no_clone_cannot_be_promoted() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    let error = pool.zfs.promote(&a).unwrap_err();
    assert!(error.to_string().contains("not a clone"), "{error}");
    let error = pool.zfs.promote(&pool.dataset("missing")).unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn a_dataset_is_renamed_with_all_below_it() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    pool.filesystem("a/b");
    pool.take("a/b@x");
    let guid = get(&a, "guid");
    let c = pool.dataset("c");
    pool.zfs.rename(&a, &c).unwrap();
    assert_eq!(get(&c, "guid"), guid);
    assert!(pool.zfs.exists(&pool.snapshot("c/b@x")).unwrap());
    assert!(!pool.zfs.exists(&a).unwrap());
}

#[test]
fn a_name_must_be_free_in_the_pool_and_not_below_itself() {
    let pool = Pool::new();
    let (a, b) = (pool.filesystem("a"), pool.filesystem("b"));
    let rename = |to: &str| pool.zfs.rename(&a, &pool.dataset(to)).unwrap_err();
    assert!(rename("b").is_exists());
    assert!(rename("missing/a").is_not_found());
    let error = rename("a/inside");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    let other = Pool::new();
    let error = pool.zfs.rename(&a, &other.dataset("a")).unwrap_err();
    assert!(error.to_string().contains("another pool"), "{error}");
    let missing = pool.dataset("missing");
    let error = pool.zfs.rename(&missing, &pool.dataset("c")).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert!(pool.zfs.exists(&a).unwrap() && pool.zfs.exists(&b).unwrap());
}

#[test]
fn snapshots_of_a_tree_are_renamed_together_or_not_at_all() {
    let pool = Pool::new();
    pool.filesystem("a");
    pool.filesystem("a/b");
    pool.filesystem("a/without");
    for name in ["a@x", "a/b@x", "a/b@taken"] {
        pool.take(name);
    }
    let rename = |to: &str| {
        let (from, to) = (pool.snapshot("a@x"), pool.snapshot(to));
        pool.zfs.rename_snapshots_recursively(&from, &to)
    };
    let exists = |name: &str| pool.zfs.exists(&pool.snapshot(name)).unwrap();
    let error = rename("a@taken").unwrap_err();
    assert!(error.is_exists(), "{error}");
    assert!(exists("a@x") && exists("a/b@x") && !exists("a@taken"));
    let error = rename("a/b@y").unwrap_err();
    assert!(error.to_string().contains("another dataset"), "{error}");
    rename("a@y").unwrap();
    assert!(exists("a@y") && exists("a/b@y") && !exists("a/without@y"));
    assert!(!exists("a@x") && !exists("a/b@x"));
    assert!(rename("a@z").unwrap_err().is_not_found());
}
