//! Keys: changed, loaded, unloaded.

use zfs_core::{
    CreateRequest, DatasetName, Encryption, Error, ErrorKind, Key, KeyLocation, WrappingKey,
};

use super::KEY;
use crate::fixture::get;
use crate::fixture::shared::Ground;

fn encrypted(ground: &Ground) -> DatasetName {
    let name = ground.dataset("e");
    let encryption = Encryption::raw(WrappingKey::from(KEY));
    ground
        .zfs
        .create(&CreateRequest::filesystem(name.clone()).encryption(encryption))
        .unwrap();
    name
}

fn change(ground: &Ground, name: &DatasetName) -> Result<(), Error> {
    ground
        .zfs
        .change_key(name, &Key::from([7; 32]), &KeyLocation::prompt())
}

#[test]
fn a_key_is_changed() {
    let ground = Ground::new();
    let name = encrypted(&ground);
    change(&ground, &name).unwrap();
    ground.zfs.check_key(&name, &Key::from([7; 32])).unwrap();
    assert!(ground.zfs.check_key(&name, &Key::from(KEY)).is_err());
}

#[test]
fn the_key_of_what_is_not_there_is_not_changed() {
    let ground = Ground::new();
    let error = change(&ground, &ground.dataset("no")).unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn a_key_that_is_not_loaded_is_not_changed() {
    let ground = Ground::new();
    let name = encrypted(&ground);
    ground.zfs.unload_key(&name).unwrap();
    let error = change(&ground, &name).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyUnavailable, "{error}");
}

#[test]
fn a_key_location_that_there_cannot_be_changes_nothing() {
    let ground = Ground::new();
    let name = encrypted(&ground);
    let location = KeyLocation::parse("https://keys.example/e").unwrap();
    let error = ground
        .zfs
        .change_key(&name, &Key::from([7; 32]), &location)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    ground.zfs.check_key(&name, &Key::from(KEY)).unwrap();
}

/// There are two commands, and each is a method.
#[test]
fn a_key_of_one_s_own_cannot_be_given_up_where_there_is_none_above() {
    let ground = Ground::new();
    let name = encrypted(&ground);
    let error = ground.zfs.inherit_key(&name).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    ground.zfs.check_key(&name, &Key::from(KEY)).unwrap();
}

#[test]
fn a_key_is_loaded() {
    let ground = Ground::new();
    let name = encrypted(&ground);
    ground.zfs.unload_key(&name).unwrap();
    ground.zfs.load_key(&name, &Key::from(KEY)).unwrap();
    assert_eq!(get(&name, "keystatus"), "available");
}

#[test]
fn the_wrong_key_is_not_loaded() {
    let ground = Ground::new();
    let name = encrypted(&ground);
    ground.zfs.unload_key(&name).unwrap();
    let error = ground.zfs.load_key(&name, &Key::from([8; 32])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongKey, "{error}");
}

#[test]
fn a_key_is_not_loaded_twice() {
    let ground = Ground::new();
    let name = encrypted(&ground);
    let error = ground.zfs.load_key(&name, &Key::from(KEY)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyLoaded, "{error}");
}

#[test]
fn the_key_of_what_is_not_there_is_not_loaded() {
    let ground = Ground::new();
    let missing = ground.dataset("no");
    let error = ground.zfs.load_key(&missing, &Key::from(KEY)).unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn a_key_is_unloaded() {
    let ground = Ground::new();
    let name = encrypted(&ground);
    ground.zfs.unload_key(&name).unwrap();
    assert_eq!(get(&name, "keystatus"), "unavailable");
}

#[test]
fn the_key_of_what_is_not_there_is_not_unloaded() {
    let ground = Ground::new();
    let error = ground.zfs.unload_key(&ground.dataset("no")).unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn the_key_of_what_is_mounted_is_not_unloaded() {
    let ground = Ground::new();
    let name = encrypted(&ground);
    ground.pool.mount(&name);
    let error = ground.zfs.unload_key(&name).unwrap_err();
    assert!(error.is_busy(), "{error}");
    ground.pool.unmount(&name);
}

#[test]
fn a_key_that_is_not_loaded_is_not_unloaded() {
    let ground = Ground::new();
    let name = encrypted(&ground);
    ground.zfs.unload_key(&name).unwrap();
    let error = ground.zfs.unload_key(&name).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyUnavailable, "{error}");
}
