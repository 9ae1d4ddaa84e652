//! Destroying filesystems and volumes.

use zfs_core::Error;

use super::volume;
use crate::fixture::persist;
use crate::fixture::shared::Ground;

#[test]
fn a_destroyed_filesystem_is_gone() {
    let ground = Ground::with(&["a"]);
    ground.zfs.destroy(&ground.dataset("a")).unwrap();
    assert!(!ground.exists("a"));
}

#[test]
fn what_is_not_there_is_not_destroyed() {
    let ground = Ground::new();
    let error = ground.zfs.destroy(&ground.dataset("a")).unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn a_volume_is_destroyed_as_well() {
    let ground = Ground::new();
    let name = ground.dataset("v");
    ground.zfs.create(&volume(name.clone())).unwrap();
    // Who makes its device node may hold it open for a moment.
    persist(Error::is_busy, || ground.zfs.destroy(&name));
    assert!(!ground.exists("v"));
}
