//! Unmounting: children, what is covered, and what is to be destroyed.

use std::fs;

use zfs_core::{Defer, ErrorKind, MountRequest, UnmountFlags};

use super::{Busy, mounted, place, placed};
use crate::fixture::{Pool, get, run};

#[test]
fn children_are_unmounted_first_and_come_back_where_one_is_busy() {
    let pool = Pool::new();
    let (name, at) = mounted(&pool, "a");
    let child = pool.filesystem("a/b");
    let deep = pool.filesystem("a/b/c");
    assert_eq!(pool.zfs.mount_all([&name]).unwrap().mounted.len(), 2);
    {
        let _busy = Busy::on(&at.join("b"));
        let error = pool.zfs.unmount(&name, UnmountFlags::empty()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
        assert!(error.to_string().contains(child.as_str()), "{error}");
        for dataset in [&name, &child, &deep] {
            assert_eq!(get(dataset, "mounted"), "yes", "{dataset}");
        }
    }
    pool.zfs.unmount(&name, UnmountFlags::empty()).unwrap();
    for dataset in [&name, &child, &deep] {
        assert_eq!(get(dataset, "mounted"), "no", "{dataset}");
    }
}

#[test]
fn a_filesystem_that_is_covered_is_not_unmounted_by_mistake() {
    let pool = Pool::new();
    let (below, at) = mounted(&pool, "below");
    let above = pool.filesystem("above");
    pool.zfs
        .mount(&MountRequest::filesystem(above.clone()).at(&at).overlay())
        .unwrap();
    let error = pool.zfs.unmount(&below, UnmountFlags::empty()).unwrap_err();
    assert!(error.to_string().contains("mounted over"), "{error}");
    assert_eq!(get(&above, "mounted"), "yes");
    pool.zfs.unmount(&above, UnmountFlags::empty()).unwrap();
    pool.zfs.unmount(&below, UnmountFlags::empty()).unwrap();
}

#[test]
fn a_mounted_filesystem_is_unmounted_to_be_destroyed() {
    let pool = Pool::new();
    let (name, at) = mounted(&pool, "a");
    let child = pool.filesystem("a/b");
    pool.zfs.mount_all([&name]).unwrap();
    let error = pool.zfs.destroy(&name).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HasChildren, "{error}");
    assert_eq!(place(&name), Some(at.clone()));
    pool.zfs.destroy(&child).unwrap();
    assert!(!at.join("b").exists(), "its folder went with it");
    let snapshot = pool.take("a@s");
    let error = pool.zfs.destroy(&name).unwrap_err();
    assert!(error.is_busy(), "{error}");
    assert_eq!(place(&name), Some(at.clone()));
    pool.zfs.destroy_snapshots([&snapshot], Defer::No).unwrap();
    {
        let _busy = Busy::on(&at);
        let error = pool.zfs.destroy(&name).unwrap_err();
        assert!(error.is_busy(), "{error}");
        assert_eq!(place(&name), Some(at.clone()));
    }
    pool.zfs.destroy(&name).unwrap();
    assert!(!pool.zfs.exists(&name).unwrap());
}

#[test]
fn what_is_mounted_in_several_places_is_not_destroyed_and_stays_there() {
    let pool = Pool::new();
    let (name, at) = mounted(&pool, "a");
    let bound = pool.path().join("bound");
    for folder in [&bound, &at.join("part")] {
        fs::create_dir(folder).unwrap();
    }
    for part in ["", "part"] {
        let source = at.join(part);
        run(&[
            "mount",
            "--bind",
            source.to_str().unwrap(),
            bound.to_str().unwrap(),
        ]);
        let error = pool.zfs.destroy(&name).unwrap_err();
        assert!(error.is_busy(), "{error}");
        for place in [&at, &bound] {
            let place = place.to_str().unwrap();
            assert!(error.to_string().contains(place), "{error}");
            run(&["mountpoint", "-q", place]);
        }
        run(&["umount", bound.to_str().unwrap()]);
    }
    pool.zfs.destroy(&name).unwrap();
}

#[test]
fn what_is_mounted_by_hand_stays_where_everything_is_unmounted() {
    let pool = Pool::new();
    let (name, _) = mounted(&pool, "a");
    let noauto = placed(&pool, "noauto", &[("canmount", "noauto")]);
    let legacy = placed(&pool, "legacy", &[("mountpoint", "legacy")]);
    let at = pool.path().join("by hand");
    pool.zfs
        .mount(&MountRequest::filesystem(noauto.clone()))
        .unwrap();
    pool.zfs
        .mount(&MountRequest::filesystem(legacy.clone()).at(&at))
        .unwrap();
    for roots in [vec![pool.name().root()], vec![legacy.clone()]] {
        let failures = pool.zfs.unmount_all(&roots, UnmountFlags::empty()).unwrap();
        assert!(failures.is_empty(), "{failures:?}");
    }
    let shown = [&name, &noauto, &legacy].map(|dataset| get(dataset, "mounted"));
    assert_eq!(shown, ["no", "yes", "yes"]);
    pool.zfs.unmount_folder(&at, UnmountFlags::empty()).unwrap();
}
