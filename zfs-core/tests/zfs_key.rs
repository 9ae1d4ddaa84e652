//! Encryption keys on real pools.

mod fixture;

use std::fs;

use fixture::{Pool, attempt, get, run};
use zfs_core::{
    Cipher, CreateRequest, DatasetName, Encryption, ErrorKind, KeyLocation, WrappingKey,
};

const KEY: [u8; 32] = [0x17; 32];
const OTHER: [u8; 32] = [0x42; 32];

fn encrypted(pool: &Pool, relative: &str) -> DatasetName {
    let name = pool.dataset(relative);
    let encryption = Encryption::raw(KEY.into());
    pool.zfs
        .create(&CreateRequest::filesystem(name.clone()).encryption(encryption))
        .unwrap();
    name
}

#[test]
fn an_encrypted_filesystem_is_made_as_asked_for() {
    let pool = Pool::new();
    let file = pool.path().join("key");
    fs::write(&file, KEY).unwrap();
    let name = pool.dataset("e");
    let encryption = Encryption::raw(KEY.into())
        .cipher(Cipher::Aes128Gcm)
        .location(KeyLocation::file(&file).unwrap());
    pool.zfs
        .create(&CreateRequest::filesystem(name.clone()).encryption(encryption))
        .unwrap();
    assert_eq!(get(&name, "encryption"), "aes-128-gcm");
    assert_eq!(get(&name, "keyformat"), "raw");
    assert_eq!(
        get(&name, "keylocation"),
        format!("file://{}", file.display())
    );
    assert_eq!(get(&name, "encryptionroot"), name.as_str());
    assert_eq!(get(&name, "keystatus"), "available");
    // zfs(8) opens it with the key file.
    pool.zfs.unload_key(&name).unwrap();
    run(&["zfs", "load-key", name.as_str()]);
}

#[test]
fn each_cipher_is_the_one_that_zfs_names() {
    let pool = Pool::new();
    for (cipher, name) in [
        (Cipher::Aes128Ccm, "aes-128-ccm"),
        (Cipher::Aes192Ccm, "aes-192-ccm"),
        (Cipher::Aes256Ccm, "aes-256-ccm"),
        (Cipher::Aes128Gcm, "aes-128-gcm"),
        (Cipher::Aes192Gcm, "aes-192-gcm"),
        (Cipher::Aes256Gcm, "aes-256-gcm"),
        (Cipher::On, "aes-256-gcm"),
    ] {
        let dataset = pool.dataset(&format!("{cipher:?}"));
        let encryption = Encryption::raw(KEY.into()).cipher(cipher);
        let request = CreateRequest::filesystem(dataset.clone()).encryption(encryption);
        pool.zfs.create(&request).unwrap();
        assert_eq!(get(&dataset, "encryption"), name);
    }
}

#[test]
fn an_encrypted_volume_can_be_made() {
    let pool = Pool::new();
    let name = pool.dataset("v");
    let request =
        CreateRequest::volume(name.clone(), 1 << 20).encryption(Encryption::raw(KEY.into()));
    pool.zfs.create(&request).unwrap();
    assert_eq!(get(&name, "encryptionroot"), name.as_str());
}

#[test]
fn the_right_key_loads_and_the_wrong_one_is_told() {
    let pool = Pool::new();
    let name = encrypted(&pool, "e");
    let (key, other) = (WrappingKey::from(KEY), WrappingKey::from(OTHER));
    let error = pool.zfs.load_key(&name, &key).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyLoaded, "{error}");
    pool.zfs.check_key(&name, &key).unwrap();

    pool.zfs.unload_key(&name).unwrap();
    assert_eq!(get(&name, "keystatus"), "unavailable");
    let error = pool.zfs.unload_key(&name).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyUnavailable, "{error}");

    let error = pool.zfs.load_key(&name, &other).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongKey, "{error}");
    let error = pool.zfs.check_key(&name, &other).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongKey, "{error}");
    pool.zfs.check_key(&name, &key).unwrap();
    assert_eq!(get(&name, "keystatus"), "unavailable");
    pool.zfs.load_key(&name, &key).unwrap();
    assert_eq!(get(&name, "keystatus"), "available");
}

#[test]
fn a_key_of_zfs_8_is_loaded_here() {
    let pool = Pool::new();
    let file = pool.path().join("key");
    fs::write(&file, KEY).unwrap();
    let name = pool.dataset("e");
    let location = format!("keylocation=file://{}", file.display());
    let options = [
        "-o",
        "encryption=on",
        "-o",
        "keyformat=raw",
        "-o",
        &location,
    ];
    run(&[&["zfs", "create"], &options[..], &[name.as_str()]].concat());
    attempt(&["zfs", "unmount", name.as_str()]);
    pool.zfs.unload_key(&name).unwrap();
    pool.zfs.load_key(&name, &KEY.into()).unwrap();
}

#[test]
fn a_changed_key_replaces_the_old_one() {
    let pool = Pool::new();
    let name = encrypted(&pool, "e");
    pool.zfs
        .change_key(&name, &OTHER.into(), &KeyLocation::prompt())
        .unwrap();
    pool.zfs.unload_key(&name).unwrap();
    let error = pool.zfs.load_key(&name, &KEY.into()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongKey, "{error}");
    let error = pool
        .zfs
        .change_key(&name, &KEY.into(), &KeyLocation::prompt())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyUnavailable, "{error}");
    pool.zfs.load_key(&name, &OTHER.into()).unwrap();
}

#[test]
fn a_child_uses_its_root_s_key_until_it_has_its_own() {
    let pool = Pool::new();
    let root = encrypted(&pool, "e");
    let child = pool.filesystem("e/child");
    assert_eq!(get(&child, "encryptionroot"), root.as_str());
    let error = pool.zfs.load_key(&child, &KEY.into()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotEncryptionRoot, "{error}");
    let error = pool.zfs.unload_key(&child).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyUnavailable, "{error}");

    pool.zfs
        .change_key(&child, &OTHER.into(), &KeyLocation::prompt())
        .unwrap();
    assert_eq!(get(&child, "encryptionroot"), child.as_str());
    pool.zfs.inherit_key(&child).unwrap();
    assert_eq!(get(&child, "encryptionroot"), root.as_str());
}

#[test]
fn a_key_in_use_cannot_be_unloaded() {
    let pool = Pool::new();
    let name = encrypted(&pool, "e");
    pool.mount(&name);
    let error = pool.zfs.unload_key(&name).unwrap_err();
    assert!(error.is_busy(), "{error}");
    pool.unmount(&name);
    pool.zfs.unload_key(&name).unwrap();
}

#[test]
fn what_is_not_encrypted_has_no_key() {
    let pool = Pool::new();
    let plain = pool.filesystem("plain");
    assert!(pool.zfs.load_key(&plain, &KEY.into()).is_err());
    assert!(pool.zfs.unload_key(&plain).is_err());
    let error = pool
        .zfs
        .change_key(&plain, &KEY.into(), &KeyLocation::prompt())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    let missing = pool.dataset("missing");
    let error = pool.zfs.load_key(&missing, &KEY.into()).unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn nothing_is_created_where_the_parent_s_key_is_not_loaded() {
    let pool = Pool::new();
    let name = encrypted(&pool, "e");
    pool.zfs.unload_key(&name).unwrap();
    let error = pool
        .zfs
        .create(&CreateRequest::filesystem(pool.dataset("e/child")))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyUnavailable, "{error}");
}
