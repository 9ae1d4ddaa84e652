//! Renaming.

use zfs_core::ErrorKind;

use super::volume;
use crate::fixture::get;
use crate::fixture::shared::Ground;

#[test]
fn a_renamed_filesystem_has_the_new_name_alone() {
    let ground = Ground::with(&["a"]);
    ground
        .zfs
        .rename(&ground.dataset("a"), &ground.dataset("b"))
        .unwrap();
    assert!(ground.exists("b") && !ground.exists("a"));
}

#[test]
fn what_is_not_there_is_not_renamed() {
    let ground = Ground::new();
    let error = ground
        .zfs
        .rename(&ground.dataset("a"), &ground.dataset("b"))
        .unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn a_name_that_is_taken_stays_with_who_has_it() {
    let ground = Ground::with(&["a", "b"]);
    let guid = get(ground.dataset("b"), "guid");
    let error = ground
        .zfs
        .rename(&ground.dataset("a"), &ground.dataset("b"))
        .unwrap_err();
    assert!(error.is_exists(), "{error}");
    assert_eq!(get(ground.dataset("b"), "guid"), guid);
}

#[test]
fn a_new_name_needs_its_parent() {
    let ground = Ground::with(&["a"]);
    let error = ground
        .zfs
        .rename(&ground.dataset("a"), &ground.dataset("parent/b"))
        .unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert!(ground.exists("a"));
}

#[test]
fn nothing_is_renamed_to_below_a_volume() {
    let ground = Ground::with(&["a"]);
    ground.zfs.create(&volume(ground.dataset("v"))).unwrap();
    let error = ground
        .zfs
        .rename(&ground.dataset("a"), &ground.dataset("v/b"))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(ground.exists("a"));
}
