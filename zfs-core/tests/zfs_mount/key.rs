//! Mounting what is encrypted, once its key is loaded.

use std::fs;

use zfs_core::{CreateRequest, Encryption, ErrorKind, Key, KeyLocation, MountRequest};

use crate::fixture::Pool;

#[test]
fn an_encrypted_filesystem_is_mounted_when_its_key_is_loaded() {
    let pool = Pool::new();
    let name = pool.dataset("e");
    let at = pool.path().join("e");
    let request = CreateRequest::filesystem(name.clone())
        .property("mountpoint", at.to_str().unwrap())
        .encryption(Encryption::raw([3; 32].into()));
    pool.zfs.create(&request).unwrap();
    let child = pool.filesystem("e/child");
    pool.zfs.unload_key(&name).unwrap();
    for dataset in [&name, &child] {
        let error = pool
            .zfs
            .mount(&MountRequest::filesystem(dataset.clone()))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::KeyUnavailable, "{error}");
        let advice = format!("zfs load-key {name}");
        assert!(error.to_string().contains(&advice), "{error}");
    }
    let all = pool.zfs.mount_all([&name]).unwrap();
    assert!(all.mounted.is_empty() && all.failures.is_empty(), "{all:?}");
    pool.zfs.load_key(&name, &Key::from([3; 32])).unwrap();
    let all = pool.zfs.mount_all([&name]).unwrap();
    assert_eq!(all.mounted.len(), 2, "{all:?}");
}

#[test]
fn a_key_location_that_can_be_read_is_used_to_mount_after_a_restart() {
    let pool = Pool::new();
    let file = pool.path().join("key");
    fs::write(&file, "correct horse battery\n").unwrap();
    let name = pool.dataset("e");
    let at = pool.path().join("e");
    let location = KeyLocation::file(&file).unwrap();
    let key = location
        .read(zfs_core::KeyFormat::Passphrase, |_| unreachable!())
        .unwrap();
    let request = CreateRequest::filesystem(name.clone())
        .property("mountpoint", at.to_str().unwrap())
        .encryption(Encryption::new(key.iterations(100_000)).location(location));
    pool.zfs.create(&request).unwrap();
    pool.import_again(&["-N"]);
    let state = pool.zfs.encryption(&name).unwrap().unwrap();
    let key = state
        .location
        .unwrap()
        .read(state.format, |_| unreachable!())
        .unwrap();
    pool.zfs.load_key(&name, &key).unwrap();
    pool.zfs.mount(&MountRequest::filesystem(name)).unwrap();
}
