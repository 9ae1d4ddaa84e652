//! Snapshots that are mounted, by hand or by the kernel.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use zfs_core::{Defer, MountRequest, UnmountFlags};

use super::{Busy, mounted};
use crate::fixture::{Pool, run};

#[test]
fn a_snapshot_is_mounted_read_only_and_harmless() {
    let pool = Pool::new();
    let (_, at) = mounted(&pool, "a");
    let program = at.join("program");
    fs::write(&program, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
    let snapshot = pool.take("a@s");
    let at = pool.path().join("snapshot");
    let request = MountRequest::snapshot(snapshot.clone(), &at);
    assert!(pool.zfs.mount(&request.clone().option("exec")).is_err());
    pool.zfs.mount(&request).unwrap();
    let mounts = pool.zfs.mounted_at(&snapshot).unwrap();
    for option in ["ro", "nosuid", "nodev", "noexec"] {
        assert!(mounts[0].has_option(option), "{mounts:?}");
    }
    assert!(fs::write(at.join("file"), "x").is_err());
    assert!(Command::new(at.join("program")).status().is_err());
    pool.zfs
        .unmount_snapshot(&snapshot, UnmountFlags::empty())
        .unwrap();
    assert_eq!(pool.zfs.mounted_at(&snapshot).unwrap(), []);

    let missing = pool.snapshot("a@missing");
    let nowhere = pool.path().join("nowhere");
    let error = pool
        .zfs
        .mount(&MountRequest::snapshot(missing, &nowhere))
        .unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert!(!nowhere.exists());
}

#[test]
fn a_mounted_snapshot_is_unmounted_to_be_destroyed() {
    let pool = Pool::new();
    let (_, at) = mounted(&pool, "a");
    let (one, other, third) = (pool.take("a@1"), pool.take("a@2"), pool.take("a@3"));
    // By hand, and as the kernel does it for who looks.
    let by_hand = pool.path().join("by-hand");
    pool.zfs
        .mount(&MountRequest::snapshot(one.clone(), &by_hand))
        .unwrap();
    run(&["ls", at.join(".zfs/snapshot/2/").to_str().unwrap()]);
    assert_eq!(pool.zfs.mounted_at(&other).unwrap().len(), 1);
    pool.zfs
        .destroy_snapshots([&one, &other], Defer::No)
        .unwrap();
    assert!(!pool.zfs.exists(&one).unwrap());
    assert!(!pool.zfs.exists(&other).unwrap());

    // Held: it stays, and stays mounted.
    pool.zfs.hold([&third], "keep").unwrap();
    pool.zfs
        .mount(&MountRequest::snapshot(third.clone(), &by_hand))
        .unwrap();
    let error = pool.zfs.destroy_snapshots([&third], Defer::No).unwrap_err();
    assert!(error.to_string().contains("keep"), "{error}");
    assert_eq!(pool.zfs.mounted_at(&third).unwrap().len(), 1);
    pool.zfs.release([&third], "keep").unwrap();
    let busy = Busy::on(&by_hand);
    let error = pool.zfs.destroy_snapshots([&third], Defer::No).unwrap_err();
    assert!(error.is_busy(), "{error}");
    drop(busy);
    pool.zfs.destroy_snapshots([&third], Defer::No).unwrap();
}
