//! What becomes of mounts when properties and names change.

use std::fs;
use std::path::Path;

use zfs_core::{ErrorKind, MountRequest, Mounts, Properties, UnmountFlags};

use super::{Busy, has, mounted, place, placed, set};
use crate::fixture::{Pool, attempt, get, run};

/// Writes `x` into a file. Not by this process: what it has open another test's
/// child has open as well until it is the program that it is to be, and what
/// is open can be neither run nor unmounted.
fn write(file: &Path) {
    run(&["sh", "-c", "printf x > \"$0\"", file.to_str().unwrap()]);
}

#[test]
fn a_new_mountpoint_moves_what_is_mounted_with_its_children() {
    let pool = Pool::new();
    let (name, old) = mounted(&pool, "a");
    let child = pool.filesystem("a/b");
    let elsewhere = placed(&pool, "a/own", &[]);
    let unmounted = pool.filesystem("a/unmounted");
    set(&pool, &unmounted, "canmount", "noauto");
    pool.zfs.mount_all([&name]).unwrap();
    write(&old.join("b/file"));

    let new = pool.path().join("new");
    set(&pool, &name, "mountpoint", new.to_str().unwrap());
    assert_eq!(place(&name), Some(new.clone()));
    assert_eq!(place(&child), Some(new.join("b")));
    assert_eq!(place(&elsewhere), Some(pool.path().join("a_own")));
    assert_eq!(place(&unmounted), None);
    assert_eq!(fs::read(new.join("b/file")).unwrap(), b"x");

    set(&pool, &name, "mountpoint", "none");
    assert_eq!(place(&name), None);
    assert_eq!(place(&child), None);
    // From `none` everything is mounted that can be.
    set(&pool, &name, "mountpoint", new.to_str().unwrap());
    assert_eq!(place(&child), Some(new.join("b")));
    assert_eq!(place(&unmounted), None);
    set(&pool, &name, "mountpoint", "legacy");
    assert_eq!(place(&name), None);
}

#[test]
fn a_mountpoint_that_is_left_alone_counts_from_the_next_mount() {
    let pool = Pool::new();
    let (name, old) = mounted(&pool, "a");
    let new = pool.path().join("new");
    let properties = Properties::new().with("mountpoint", new.to_str().unwrap());
    pool.zfs
        .set_properties_with(&name, &properties, Mounts::Leave)
        .unwrap();
    assert_eq!(place(&name), Some(old));
    pool.zfs.unmount(&name, UnmountFlags::empty()).unwrap();
    pool.zfs
        .mount(&MountRequest::filesystem(name.clone()))
        .unwrap();
    assert_eq!(place(&name), Some(new));
}

#[test]
fn nothing_is_set_where_something_cannot_be_unmounted() {
    let pool = Pool::new();
    let (name, at) = mounted(&pool, "a");
    let child = pool.filesystem("a/b");
    pool.zfs.mount_all([&name]).unwrap();
    let _busy = Busy::on(&at);
    for (property, value) in [("mountpoint", "/elsewhere"), ("canmount", "off")] {
        let error = pool
            .zfs
            .set_properties(&name, &Properties::new().with(property, value))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
        assert!(error.to_string().contains("nothing was changed"), "{error}");
        assert_eq!(place(&name), Some(at.clone()));
        assert_eq!(place(&child), Some(at.join("b")));
        assert_eq!(get(&name, "mountpoint"), at.to_str().unwrap());
        assert_eq!(get(&name, "canmount"), "on");
    }
    let error = pool.zfs.rename(&name, &pool.dataset("c")).unwrap_err();
    assert!(error.is_busy(), "{error}");
    assert_eq!(place(&child), Some(at.join("b")));
}

#[test]
fn a_new_place_that_cannot_be_mounted_on_is_told() {
    let pool = Pool::new();
    let (name, _) = mounted(&pool, "a");
    let taken = pool.path().join("taken");
    fs::write(&taken, "a file").unwrap();
    let error = pool
        .zfs
        .set_properties(
            &name,
            &Properties::new().with("mountpoint", taken.to_str().unwrap()),
        )
        .unwrap_err();
    let text = error.to_string();
    assert!(text.contains("not everything is mounted again"), "{text}");
    assert!(text.contains(taken.to_str().unwrap()), "{text}");
    assert_eq!(get(&name, "mountpoint"), taken.to_str().unwrap());
    assert_eq!(place(&name), None);
}

#[test]
fn canmount_off_unmounts_and_on_mounts_nothing() {
    let pool = Pool::new();
    let (name, at) = mounted(&pool, "a");
    let child = pool.filesystem("a/b");
    pool.zfs.mount_all([&name]).unwrap();
    // The mountpoint is the one that it has, and hides nothing of the rest.
    let off = Properties::new()
        .with("mountpoint", at.to_str().unwrap())
        .with("canmount", "off");
    pool.zfs.set_properties(&name, &off).unwrap();
    assert_eq!(place(&name), None);
    assert_eq!(place(&child), Some(at.join("b")));
    set(&pool, &name, "canmount", "on");
    pool.zfs.unmount(&child, UnmountFlags::empty()).unwrap();
    pool.zfs.mount_all([&name]).unwrap();
    set(&pool, &name, "canmount", "off");
    assert_eq!(place(&name), None);
    assert_eq!(place(&child), Some(at.join("b")));
    set(&pool, &name, "canmount", "on");
    assert_eq!(place(&name), None);
    set(&pool, &child, "canmount", "noauto");
    assert_eq!(place(&child), Some(at.join("b")));
}

#[test]
fn an_inherited_mountpoint_moves_what_is_mounted() {
    let pool = Pool::new();
    let (name, at) = mounted(&pool, "a");
    let child = pool.filesystem("a/b");
    let own = pool.path().join("own");
    set(&pool, &child, "mountpoint", own.to_str().unwrap());
    pool.zfs.mount_all([&name]).unwrap();
    assert_eq!(place(&child), Some(own));
    pool.zfs.inherit_property(&child, "mountpoint").unwrap();
    assert_eq!(place(&child), Some(at.join("b")));
    // The root's is none.
    pool.zfs.inherit_property(&name, "mountpoint").unwrap();
    assert_eq!(place(&name), None);
    assert_eq!(place(&child), None);
}

#[test]
fn properties_of_the_mount_count_at_once_also_where_they_are_inherited() {
    let pool = Pool::new();
    let (name, _) = mounted(&pool, "a");
    let child = pool.filesystem("a/b");
    let own = pool.filesystem("a/own");
    set(&pool, &own, "exec", "on");
    pool.zfs.mount_all([&name]).unwrap();
    set(&pool, &name, "exec", "off");
    assert!(has(&name, "noexec") && has(&child, "noexec"));
    assert!(!has(&own, "noexec"));
    pool.zfs.inherit_property(&name, "exec").unwrap();
    assert!(!has(&name, "noexec") && !has(&child, "noexec"));
    set(&pool, &name, "readonly", "on");
    assert!(has(&name, "ro"));
    set(&pool, &name, "readonly", "off");
    assert!(!has(&name, "ro"));
    set(&pool, &name, "atime", "off");
    assert!(has(&name, "noatime"));
}

#[test]
fn sharing_what_is_mounted_is_refused_in_words() {
    let pool = Pool::new();
    let (name, _) = mounted(&pool, "a");
    for property in ["sharenfs", "sharesmb"] {
        let error = pool
            .zfs
            .set_properties(&name, &Properties::new().with(property, "on"))
            .unwrap_err();
        assert!(error.to_string().contains("file servers"), "{error}");
        assert_eq!(get(&name, property), "off");
    }
    pool.zfs.unmount(&name, UnmountFlags::empty()).unwrap();
    set(&pool, &name, "sharenfs", "on");
    assert_eq!(get(&name, "sharenfs"), "on");
    set(&pool, &name, "sharenfs", "off");
}

#[test]
fn a_rename_moves_inherited_mounts_and_leaves_others() {
    let pool = Pool::new();
    let (top, at) = mounted(&pool, "top");
    let name = pool.filesystem("top/a");
    let child = pool.filesystem("top/a/b");
    let own = placed(&pool, "top/a/own", &[]);
    pool.zfs.mount_all([&top]).unwrap();
    write(&at.join("a/b/file"));

    let new = pool.dataset("top/c");
    pool.zfs.rename(&name, &new).unwrap();
    assert_eq!(place(&new), Some(at.join("c")));
    assert_eq!(place(&pool.dataset("top/c/b")), Some(at.join("c/b")));
    assert_eq!(
        place(&pool.dataset("top/c/own")),
        Some(pool.path().join("top_a_own"))
    );
    assert_eq!(fs::read(at.join("c/b/file")).unwrap(), b"x");
    assert!(!at.join("a").exists(), "the old folder went");
    assert_eq!(
        (place(&name), place(&child), place(&own)),
        (None, None, None)
    );

    pool.zfs
        .rename_with(&new, &pool.dataset("top/d"), Mounts::Leave)
        .unwrap();
    assert_eq!(place(&pool.dataset("top/d")), Some(at.join("c")));
}

#[test]
fn a_rename_that_zfs_refuses_leaves_everything_mounted() {
    let pool = Pool::new();
    let (name, at) = mounted(&pool, "a");
    pool.filesystem("taken");
    let error = pool.zfs.rename(&name, &pool.dataset("taken")).unwrap_err();
    assert!(error.is_exists(), "{error}");
    assert_eq!(place(&name), Some(at));
}

/// `canmount=off` counts from the next mount where it is set with the mounts
/// left alone: what was unmounted for a change that failed is not to be
/// mounted any more, to zfs(8) neither.
#[test]
fn what_is_not_to_be_mounted_any_more_is_not_mounted_again() {
    let pool = Pool::new();
    let taken = pool.filesystem("taken");
    let off = Properties::new().with("canmount", "off");
    for ours in [true, false] {
        let word = if ours { "a" } else { "b" };
        let (name, at) = mounted(&pool, word);
        let child = pool.filesystem(&format!("{word}/child"));
        pool.zfs.mount_all([&name]).unwrap();
        pool.zfs
            .set_properties_with(&name, &off, Mounts::Leave)
            .unwrap();
        assert_eq!(place(&name), Some(at.clone()));
        let said = if ours {
            let error = pool.zfs.rename(&name, &taken).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Exists, "{error}");
            error.to_string()
        } else {
            let output = attempt(&["zfs", "rename", name.as_str(), taken.as_str()]);
            assert!(!output.status.success());
            String::from_utf8_lossy(&output.stderr).into_owned()
        };
        assert!(!said.contains("mount"), "{said}");
        assert_eq!(place(&name), None, "{word}");
        assert_eq!(place(&child), Some(at.join("child")), "{word}");
    }
}
