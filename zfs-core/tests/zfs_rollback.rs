//! Rolling back on real pools.

mod fixture;

use std::fs;

use fixture::{Pool, write_synced};
use zfs_core::ErrorKind;

#[test]
fn rolling_back_brings_the_content_back_and_names_the_snapshot() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    let folder = pool.mount(&a);
    write_synced(&folder.join("file"), b"before");
    pool.take("a@early");
    let latest = pool.take("a@latest");
    write_synced(&folder.join("file"), b"after");
    write_synced(&folder.join("new"), b"new");

    assert_eq!(pool.zfs.rollback(&a).unwrap(), latest);
    assert_eq!(fs::read(folder.join("file")).unwrap(), b"before");
    assert!(!folder.join("new").exists());
    pool.unmount(&a);
}

#[test]
fn only_the_latest_snapshot_can_be_gone_back_to() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    let early = pool.take("a@early");
    let latest = pool.take("a@latest");
    pool.zfs.rollback_to(&latest).unwrap();
    let error = pool.zfs.rollback_to(&early).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotLatest, "{error}");
    assert!(pool.zfs.exists(&latest).unwrap());
    assert_eq!(pool.zfs.rollback(&a).unwrap(), latest);
}

#[test]
fn without_a_snapshot_there_is_nothing_to_go_back_to() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    for error in [
        pool.zfs.rollback(&a).unwrap_err(),
        pool.zfs.rollback(&pool.dataset("missing")).unwrap_err(),
        pool.zfs
            .rollback_to(&pool.snapshot("a@missing"))
            .unwrap_err(),
        pool.zfs
            .rollback_to(&pool.snapshot("missing@x"))
            .unwrap_err(),
    ] {
        assert!(error.is_not_found(), "{error}");
    }
}
