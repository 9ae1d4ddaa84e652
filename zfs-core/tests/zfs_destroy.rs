//! Destroying on real pools.

mod fixture;

use fixture::{Pool, get, persist};
use zfs_core::{BookmarkName, CreateRequest, Defer, Error, ErrorKind, Properties, SnapshotName};

#[test]
fn a_dataset_without_anything_below_it_goes() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    pool.zfs.destroy(&a).unwrap();
    assert!(!pool.zfs.exists(&a).unwrap());
    let error = pool.zfs.destroy(&a).unwrap_err();
    assert!(error.is_not_found(), "{error}");

    let volume = pool.dataset("v");
    pool.zfs
        .create(&CreateRequest::volume(volume.clone(), 1 << 20))
        .unwrap();
    // Its device node comes and goes on its own time, and keeps it busy.
    persist(Error::is_busy, || pool.zfs.destroy(&volume));
    assert!(!pool.zfs.exists(&volume).unwrap());
}

#[test]
fn what_is_below_a_dataset_keeps_it() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    pool.filesystem("a/b");
    let error = pool.zfs.destroy(&a).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HasChildren, "{error}");

    let c = pool.filesystem("c");
    pool.take("c@x");
    let error = pool.zfs.destroy(&c).unwrap_err();
    assert!(error.is_busy(), "{error}");
    assert!(error.to_string().contains("has snapshots"), "{error}");
    assert!(pool.zfs.exists(&c).unwrap());
}

#[test]
fn snapshots_go_together() {
    let pool = Pool::new();
    pool.filesystem("a");
    let names = [pool.take("a@x"), pool.take("a@y"), pool.take("@x")];
    pool.zfs.destroy_snapshots(&names, Defer::No).unwrap();
    assert!(names.iter().all(|name| !pool.zfs.exists(name).unwrap()));
}

#[test]
fn snapshots_that_are_gone_count_as_destroyed() {
    let pool = Pool::new();
    let there = pool.take("@x");
    let names = [
        there.clone(),
        pool.snapshot("@gone"),
        pool.snapshot("nosuch@x"),
    ];
    pool.zfs.destroy_snapshots(&names, Defer::No).unwrap();
    assert!(!pool.zfs.exists(&there).unwrap());
    pool.zfs.destroy_snapshots(&names, Defer::No).unwrap();
    pool.zfs.destroy_snapshots([], Defer::No).unwrap();
}

#[test]
fn a_pool_that_is_not_there_is_an_error() {
    let pool = Pool::new();
    let name = SnapshotName::parse(format!("{}nosuch@x", pool.name())).unwrap();
    let error = pool.zfs.destroy_snapshots([&name], Defer::No).unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn a_held_snapshot_stays_with_all_others_and_its_tags_are_named() {
    let pool = Pool::new();
    let names = [pool.take("@x"), pool.take("@y")];
    pool.zfs.hold([&names[0]], "backup").unwrap();
    let error = pool.zfs.destroy_snapshots(&names, Defer::No).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Held, "{error}");
    assert_eq!(
        error.to_string(),
        format!(
            "cannot destroy {0}: it is held by \"backup\" (zfs release backup {0})",
            names[0]
        )
    );
    assert!(names.iter().all(|name| pool.zfs.exists(name).unwrap()));
}

#[test]
fn a_cloned_snapshot_stays() {
    let pool = Pool::new();
    let x = pool.take("@x");
    pool.zfs
        .clone_snapshot(&x, &pool.dataset("clone"), &Properties::new())
        .unwrap();
    let error = pool.zfs.destroy_snapshots([&x], Defer::No).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HasClones, "{error}");
    assert!(pool.zfs.exists(&x).unwrap());
}

#[test]
fn a_deferred_snapshot_goes_with_its_last_hold() {
    let pool = Pool::new();
    let x = pool.take("@x");
    pool.zfs.hold([&x], "one").unwrap();
    pool.zfs.hold([&x], "two").unwrap();
    pool.zfs.destroy_snapshots([&x], Defer::Yes).unwrap();
    assert_eq!(get(&x, "defer_destroy"), "on");
    pool.zfs.destroy_snapshots([&x], Defer::Yes).unwrap();
    pool.zfs.release([&x], "one").unwrap();
    assert!(pool.zfs.exists(&x).unwrap());
    pool.zfs.release([&x], "two").unwrap();
    assert!(!pool.zfs.exists(&x).unwrap());
}

#[test]
fn a_deferred_snapshot_goes_with_its_last_clone() {
    let pool = Pool::new();
    let x = pool.take("@x");
    let clone = pool.dataset("clone");
    pool.zfs
        .clone_snapshot(&x, &clone, &Properties::new())
        .unwrap();
    pool.zfs.destroy_snapshots([&x], Defer::Yes).unwrap();
    assert!(pool.zfs.exists(&x).unwrap());
    pool.zfs.destroy(&clone).unwrap();
    assert!(!pool.zfs.exists(&x).unwrap());
}

#[test]
fn snapshots_of_two_pools_are_refused() {
    let (one, other) = (Pool::new(), Pool::new());
    let names = [one.take("@x"), other.take("@x")];
    let error = one.zfs.destroy_snapshots(&names, Defer::No).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CrossPool, "{error}");
    assert!(names.iter().all(|name| one.zfs.exists(name).unwrap()));
}

#[test]
fn bookmarks_go_and_those_that_are_gone_count_as_destroyed() {
    let pool = Pool::new();
    let x = pool.take("@x");
    let bookmark: BookmarkName = pool.name().root().with_bookmark("x").unwrap();
    pool.zfs.bookmark([(&bookmark, &x.into())]).unwrap();
    let missing = pool.name().root().with_bookmark("missing").unwrap();
    pool.zfs.destroy_bookmarks([&bookmark, &missing]).unwrap();
    assert!(!pool.zfs.exists(&bookmark).unwrap());
    pool.zfs.destroy_bookmarks([&bookmark]).unwrap();
    pool.zfs.destroy_bookmarks([]).unwrap();
}
