//! Where a filesystem is mounted, and why it is not.

use std::fs;

use zfs_core::{CreateRequest, DatasetName, MountRequest, UnmountFlags};

use super::{mounted, place, placed, set};
use crate::fixture::{Pool, get};

#[test]
fn a_filesystem_is_mounted_where_its_mountpoint_is_and_unmounted() {
    let pool = Pool::new();
    let (name, at) = mounted(&pool, "a");
    assert_eq!(at, pool.path().join("a"));
    assert_eq!(place(&name), Some(at.clone()));
    assert_eq!(get(&name, "mounted"), "yes");
    let mounts = pool.zfs.mounted_at(&name).unwrap();
    assert_eq!(mounts.len(), 1);
    assert_eq!(mounts[0].mountpoint, at);
    assert!(mounts[0].is_whole());

    let error = pool
        .zfs
        .mount(&MountRequest::filesystem(name.clone()))
        .unwrap_err();
    assert!(error.is_busy(), "{error}");
    assert!(error.to_string().contains(at.to_str().unwrap()), "{error}");

    pool.zfs.unmount(&name, UnmountFlags::empty()).unwrap();
    assert_eq!(get(&name, "mounted"), "no");
    let error = pool.zfs.unmount(&name, UnmountFlags::empty()).unwrap_err();
    assert!(error.to_string().contains("not mounted"), "{error}");
}

#[test]
fn a_mountpoint_with_spaces_and_backslashes_is_found() {
    let pool = Pool::new();
    let at = pool.path().join("a b\\040c");
    let name = pool.dataset("a b");
    pool.zfs
        .create(
            &CreateRequest::filesystem(name.clone()).property("mountpoint", at.to_str().unwrap()),
        )
        .unwrap();
    pool.zfs
        .mount(&MountRequest::filesystem(name.clone()))
        .unwrap();
    assert_eq!(pool.zfs.mounted_at(&name).unwrap()[0].mountpoint, at);
    pool.zfs.unmount(&name, UnmountFlags::empty()).unwrap();
    assert_eq!(pool.zfs.mounted_at(&name).unwrap(), []);
}

#[test]
fn refusals_say_why() {
    let pool = Pool::new();
    let refused = |name: &DatasetName| {
        pool.zfs
            .mount(&MountRequest::filesystem(name.clone()))
            .unwrap_err()
            .to_string()
    };
    let name = placed(&pool, "a", &[("canmount", "off")]);
    assert!(refused(&name).contains("canmount is off"));
    set(&pool, &name, "canmount", "noauto");
    set(&pool, &name, "mountpoint", "legacy");
    assert!(refused(&name).contains("legacy"));
    set(&pool, &name, "mountpoint", "none");
    assert!(refused(&name).contains("has no mountpoint"));
    let volume = pool.dataset("v");
    pool.zfs
        .create(&CreateRequest::volume(volume.clone(), 1 << 20))
        .unwrap();
    assert!(refused(&volume).contains("volume"));
    let zoned = placed(&pool, "z", &[("zoned", "on")]);
    assert!(refused(&zoned).contains("zoned"));
    let missing = pool
        .zfs
        .mount(&MountRequest::filesystem(pool.dataset("missing")))
        .unwrap_err();
    assert!(missing.is_not_found(), "{missing}");
}

#[test]
fn what_has_no_place_can_be_mounted_on_a_folder_that_is_named() {
    let pool = Pool::new();
    for mountpoint in ["legacy", "none"] {
        let name = pool.dataset(mountpoint);
        let request = CreateRequest::filesystem(name.clone()).property("mountpoint", mountpoint);
        pool.zfs.create(&request).unwrap();
        let at = pool.path().join("elsewhere");
        pool.zfs
            .mount(&MountRequest::filesystem(name.clone()).at(&at))
            .unwrap();
        assert_eq!(place(&name), Some(at.clone()));
        let what = pool.zfs.unmount_folder(&at, UnmountFlags::empty()).unwrap();
        assert_eq!(what.as_str(), name.as_str());
        assert_eq!(place(&name), None);
    }
    let name = pool.dataset("none");
    let error = pool
        .zfs
        .mount(&MountRequest::filesystem(name).at("not/absolute"))
        .unwrap_err();
    assert!(error.to_string().contains("absolute"), "{error}");
}

#[test]
fn a_folder_with_something_in_it_is_covered_only_with_overlay() {
    let pool = Pool::new();
    let name = placed(&pool, "a", &[("overlay", "off")]);
    let at = pool.path().join("a");
    fs::create_dir(&at).unwrap();
    fs::write(at.join("file"), "x").unwrap();
    let error = pool
        .zfs
        .mount(&MountRequest::filesystem(name.clone()))
        .unwrap_err();
    assert!(error.to_string().contains("is not empty"), "{error}");
    pool.zfs
        .mount(&MountRequest::filesystem(name.clone()).overlay())
        .unwrap();
    pool.zfs.unmount(&name, UnmountFlags::empty()).unwrap();
    set(&pool, &name, "overlay", "on");
    pool.zfs.mount(&MountRequest::filesystem(name)).unwrap();
}

#[test]
fn everything_is_mounted_in_order_and_what_cannot_be_is_told() {
    let pool = Pool::new();
    let base = pool.path().join("tree");
    let root = pool.name().root();
    set(&pool, &root, "mountpoint", base.to_str().unwrap());
    // It was none before, and setting it has mounted the root.
    pool.zfs.unmount(&root, UnmountFlags::empty()).unwrap();
    // The folder of `b` lies in that of `z`, which comes after it by name.
    let inside = base.join("z/inside");
    pool.zfs
        .create(
            &CreateRequest::filesystem(pool.dataset("b"))
                .property("mountpoint", inside.to_str().unwrap()),
        )
        .unwrap();
    let z = pool.filesystem("z");
    let noauto = pool.filesystem("noauto");
    set(&pool, &noauto, "canmount", "noauto");
    let off = pool.filesystem("off");
    set(&pool, &off, "canmount", "off");
    let below = pool.filesystem("off/below");
    let bad = pool.filesystem("bad");
    set(&pool, &bad, "overlay", "off");
    for name in [&z, &noauto, &below, &bad] {
        assert_eq!(place(name), None);
    }
    let all = pool.zfs.mount_all([&root]).unwrap();
    assert!(all.failures.is_empty(), "{all:?}");
    let names: Vec<&str> = all
        .mounted
        .iter()
        .map(|(name, _)| name.as_str().rsplit('/').next().unwrap())
        .collect();
    assert_eq!(names, [root.as_str(), "bad", "below", "z", "b"]);
    assert_eq!(place(&pool.dataset("b")), Some(inside));

    pool.zfs.unmount(&bad, UnmountFlags::empty()).unwrap();
    fs::write(base.join("bad/file"), "x").unwrap();
    let all = pool.zfs.mount_all([&root]).unwrap();
    assert!(all.mounted.is_empty() && all.failures.len() == 1, "{all:?}");

    let failures = pool
        .zfs
        .unmount_all([&root], UnmountFlags::empty())
        .unwrap();
    assert!(failures.is_empty(), "{failures:?}");
    assert_eq!(place(&root), None);
}

#[test]
fn altroot_goes_before_the_mountpoint() {
    let pool = Pool::new();
    let name = pool.dataset("a");
    pool.zfs
        .create(&CreateRequest::filesystem(name.clone()).property("mountpoint", "/srv/zfs-core-a"))
        .unwrap();
    let child = pool.filesystem("a/b");
    let root = pool.path().join("root");
    pool.import_again(&["-N", "-R", root.to_str().unwrap()]);
    for dataset in [&name, &child] {
        let ours = pool.zfs.properties(dataset).unwrap().text("mountpoint");
        assert_eq!(ours, get(dataset, "mountpoint"));
        assert!(ours.starts_with(root.to_str().unwrap()), "{ours}");
        let listed = pool.zfs.dataset(dataset).unwrap().properties.unwrap();
        assert_eq!(listed.text("mountpoint"), ours);
    }
    let at = pool
        .zfs
        .mount(&MountRequest::filesystem(name.clone()))
        .unwrap();
    assert_eq!(at, root.join("srv/zfs-core-a"));
    assert_eq!(place(&name), Some(at));
    set(&pool, &name, "mountpoint", "/");
    assert_eq!(place(&name), Some(root));
    pool.zfs.unmount(&name, UnmountFlags::empty()).unwrap();
}
