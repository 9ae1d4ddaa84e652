//! Cloning snapshots, and promoting clones.

use zfs_core::{DatasetName, Error, ErrorKind, Properties, SnapshotName};

use super::{no_such_pool, refused};
use crate::fixture::get;
use crate::fixture::shared::{Ground, other_pool, read_only_pool};

#[test]
fn a_snapshot_is_cloned() {
    let ground = Ground::with(&["a"]);
    let origin = ground.take("a@origin");
    let clone = ground.dataset("clone");
    ground
        .zfs
        .clone_snapshot(&origin, &clone, &Properties::new())
        .unwrap();
    assert_eq!(get(&clone, "origin"), origin.as_str());
}

fn clone_fails(ground: &Ground, origin: &SnapshotName, clone: &DatasetName) -> Error {
    let error = ground
        .zfs
        .clone_snapshot(origin, clone, &Properties::new())
        .unwrap_err();
    assert!(!ground.zfs.exists(clone).unwrap());
    error
}

#[test]
fn a_snapshot_that_is_not_there_is_not_cloned() {
    let ground = Ground::with(&["a"]);
    let error = clone_fails(&ground, &ground.snapshot("a@no"), &ground.dataset("clone"));
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn a_clone_needs_its_parent() {
    let ground = Ground::with(&["a"]);
    let origin = ground.take("a@origin");
    let error = clone_fails(&ground, &origin, &ground.dataset("nonexistent/clone"));
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn a_clone_needs_its_pool() {
    let ground = Ground::with(&["a"]);
    let origin = ground.take("a@origin");
    let error = clone_fails(&ground, &origin, &no_such_pool("clone"));
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn a_filesystem_that_exists_is_no_origin() {
    let ground = Ground::with(&["a"]);
    assert!(SnapshotName::parse(ground.dataset("a")).is_err());
}

#[test]
fn a_filesystem_that_does_not_exist_is_no_origin_either() {
    let error = SnapshotName::parse("tank/nonexistent").unwrap_err();
    assert!(error.to_string().contains('@'), "{error}");
}

#[test]
fn a_clone_s_name_has_no_hash_sign() {
    let error = refused("tank/bad#name");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

#[test]
fn a_clone_s_pool_has_no_exclamation_mark() {
    let error = refused("bad!pool/clone");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

#[test]
fn a_clone_stays_in_its_pool() {
    let ground = Ground::with(&["a"]);
    let origin = ground.take("a@origin");
    let other = other_pool();
    let error = clone_fails(&ground, &origin, &other.dataset("clone"));
    assert_eq!(error.kind(), ErrorKind::CrossPool, "{error}");
}

#[test]
fn a_clone_in_a_read_only_pool_is_refused() {
    let ground = Ground::with(&["a"]);
    let origin = ground.take("a@origin");
    let other = read_only_pool();
    let error = clone_fails(&ground, &origin, &other.dataset("clone"));
    let either = [ErrorKind::CrossPool, ErrorKind::ReadOnly];
    assert!(either.contains(&error.kind()), "{error}");
}

#[test]
fn a_promoted_clone_has_the_snapshot() {
    let ground = Ground::with(&["a"]);
    let origin = ground.take("a@s");
    let clone = ground.dataset("clone");
    ground
        .zfs
        .clone_snapshot(&origin, &clone, &Properties::new())
        .unwrap();
    ground.zfs.promote(&clone).unwrap();
    assert!(ground.exists("clone@s"));
    assert!(!ground.exists("a@s"));
}

#[test]
fn a_snapshot_whose_name_would_become_too_long_stays() {
    let ground = Ground::with(&["a"]);
    let clone = ground.dataset("a-clone-with-a-longer-name");
    let longest = 255 - ground.dataset("a").as_str().len() - 1;
    let origin = ground.take(&format!("a@{}", "x".repeat(longest)));
    ground
        .zfs
        .clone_snapshot(&origin, &clone, &Properties::new())
        .unwrap();
    let error = ground.zfs.promote(&clone).unwrap_err();
    assert!(error.to_string().contains("long"), "{error}");
    assert!(ground.zfs.exists(&origin).unwrap());
}

#[test]
fn what_is_no_clone_is_not_promoted() {
    let ground = Ground::with(&["a"]);
    let error = ground.zfs.promote(&ground.dataset("a")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}
