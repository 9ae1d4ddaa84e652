//! Creating filesystems and volumes.

use zfs_core::{
    Cipher, CreateRequest, Encryption, Error, ErrorKind, Key, KeyFormat, KeyLocation, NameProblem,
    PropertyValue,
};

use super::{KEY, no_such_pool, refused, volume};
use crate::fixture::get;
use crate::fixture::shared::{Ground, read_only_pool};

#[test]
fn a_filesystem_is_created() {
    let ground = Ground::with(&["a"]);
    ground
        .zfs
        .create(&CreateRequest::filesystem(ground.dataset("a/b")))
        .unwrap();
    assert!(ground.exists("a/b"));
    assert_eq!(get(ground.dataset("a/b"), "type"), "filesystem");
}

#[test]
fn a_volume_is_created() {
    let ground = Ground::new();
    let name = ground.dataset("v");
    ground.zfs.create(&volume(name.clone())).unwrap();
    assert_eq!(get(&name, "type"), "volume");
    assert_eq!(get(&name, "volsize"), "1048576");
}

#[test]
fn a_filesystem_is_created_with_a_property() {
    let ground = Ground::new();
    let name = ground.dataset("a");
    let request = CreateRequest::filesystem(name.clone()).property("atime", 0);
    ground.zfs.create(&request).unwrap();
    assert_eq!(get(&name, "atime"), "off");
}

#[test]
fn a_filesystem_is_not_created_below_a_volume() {
    let ground = Ground::new();
    ground.zfs.create(&volume(ground.dataset("v"))).unwrap();
    let request = CreateRequest::filesystem(ground.dataset("v/a"));
    let error = ground.zfs.create(&request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(!ground.exists("v/a"));
}

#[test]
fn a_volume_is_not_created_below_a_volume() {
    let ground = Ground::new();
    ground.zfs.create(&volume(ground.dataset("v"))).unwrap();
    let error = ground
        .zfs
        .create(&volume(ground.dataset("v/w")))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(!ground.exists("v/w"));
}

#[test]
fn a_name_is_given_once() {
    let ground = Ground::with(&["a"]);
    for request in [
        CreateRequest::filesystem(ground.dataset("a")),
        volume(ground.dataset("a")),
    ] {
        let error = ground.zfs.create(&request).unwrap_err();
        assert!(error.is_exists(), "{error}");
    }
}

#[test]
fn nothing_is_created_in_a_read_only_pool() {
    let pool = read_only_pool();
    let error = pool
        .zfs
        .create(&CreateRequest::filesystem(pool.dataset("a")))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
}

#[test]
fn nothing_is_created_without_its_parent() {
    let ground = Ground::new();
    let request = CreateRequest::filesystem(ground.dataset("nonexistent/a"));
    let error = ground.zfs.create(&request).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert!(!ground.exists("nonexistent/a"));
}

#[test]
fn nothing_is_created_in_a_pool_that_is_not_there() {
    let ground = Ground::new();
    let error = ground
        .zfs
        .create(&CreateRequest::filesystem(no_such_pool("a")))
        .unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn a_property_that_there_is_not_creates_nothing() {
    let ground = Ground::new();
    let request = CreateRequest::filesystem(ground.dataset("a")).property("BOGUS", 0);
    let error = ground.zfs.create(&request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(!ground.exists("a"));
}

/// To the kernel `recordsize` is a number; what people write becomes one, and
/// what does not is refused.
#[test]
fn a_value_of_the_wrong_type_creates_nothing() {
    let ground = Ground::new();
    for bad in ["a lot", "", "128k128k"] {
        let request = CreateRequest::filesystem(ground.dataset("a")).property("recordsize", bad);
        let error = ground.zfs.create(&request).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(!ground.exists("a"));
    }
    let request = CreateRequest::filesystem(ground.dataset("a")).property("recordsize", "128k");
    ground.zfs.create(&request).unwrap();
    assert_eq!(get(ground.dataset("a"), "recordsize"), "131072");
}

#[test]
fn a_number_that_no_word_stands_for_creates_nothing() {
    let ground = Ground::new();
    let request =
        CreateRequest::filesystem(ground.dataset("a")).property("atime", PropertyValue::Number(20));
    let error = ground.zfs.create(&request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(!ground.exists("a"));
}

#[test]
fn a_snapshot_s_name_is_no_dataset_s() {
    let error = refused("tank/a@badname");
    let problem = matches!(
        error,
        Error::InvalidName {
            problem: NameProblem::Delimiter('@'),
            ..
        }
    );
    assert!(problem, "{error}");
}

#[test]
fn a_pool_s_name_has_no_exclamation_mark() {
    let error = refused("bad!pool/fs");
    let problem = matches!(
        error,
        Error::InvalidName {
            problem: NameProblem::Character('!'),
            ..
        }
    );
    assert!(problem, "{error}");
}

#[test]
fn an_encrypted_filesystem_is_created() {
    let ground = Ground::new();
    let name = ground.dataset("e");
    let file = ground.pool.path().join("dataset.key");
    std::fs::write(&file, KEY).unwrap();
    let key = Key::file(KeyFormat::Raw, &file).unwrap();
    let encryption = Encryption::new(key)
        .cipher(Cipher::Aes256Ccm)
        .location(KeyLocation::file(&file).unwrap());
    let request = CreateRequest::filesystem(name.clone()).encryption(encryption);
    ground.zfs.create(&request).unwrap();
    assert_eq!(get(&name, "encryption"), "aes-256-ccm");
    assert_eq!(get(&name, "encryptionroot"), name.as_str());
}

#[test]
fn a_size_that_is_no_multiple_of_the_block_size_creates_no_volume() {
    let ground = Ground::new();
    let request = CreateRequest::volume(ground.dataset("v"), (1 << 20) + 1);
    let error = ground.zfs.create(&request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(!ground.exists("v"));
}
