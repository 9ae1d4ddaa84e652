//! Datasets on real pools, case by case as OpenZFS' Python binding tests them:
//! exists, create, clone, rollback, promote, rename, destroy, keys.
//! `tests/pyzfs/keys.tsv` says which is which.

mod fixture;

use fixture::shared::{Ground, other_pool, read_only_pool};
use fixture::{get, persist};
use zfs_core::{
    Cipher, CreateRequest, DatasetName, Encryption, Error, ErrorKind, Key, KeyFormat, KeyLocation,
    NameProblem, Properties, PropertyValue, SnapshotName, WRAPPING_KEY_BYTES, WrappingKey,
};

const KEY: [u8; WRAPPING_KEY_BYTES] = [0x2a; WRAPPING_KEY_BYTES];

fn no_such_pool(relative: &str) -> DatasetName {
    format!("no-such-pool/{relative}").parse().unwrap()
}

fn volume(name: DatasetName) -> CreateRequest {
    CreateRequest::volume(name, 1 << 20)
}

fn refused(name: &str) -> Error {
    DatasetName::parse(name).unwrap_err()
}

// exists

#[test]
fn a_pool_s_root_exists() {
    let ground = Ground::new();
    assert!(ground.zfs.exists(&ground.pool.name().root()).unwrap());
}

#[test]
fn what_is_in_a_read_only_pool_exists() {
    let pool = read_only_pool();
    assert!(pool.zfs.exists(&pool.name().root()).unwrap());
    assert!(pool.zfs.exists(&pool.snapshot("fs@there")).unwrap());
}

#[test]
fn what_is_not_there_does_not_exist() {
    let ground = Ground::new();
    assert!(!ground.exists("nonexistent"));
    assert!(!ground.exists("nonexistent@snapshot"));
    assert!(!ground.zfs.exists(&no_such_pool("a")).unwrap());
}

// create

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

// clone

#[test]
fn a_snapshot_is_cloned() {
    let ground = Ground::with(&["a"]);
    let origin = ground.take("a@origin");
    let clone = ground.dataset("clone");
    ground
        .zfs
        .clone_snapshot(&origin, &clone, &Properties::new())
        .unwrap();
    assert_eq!(get(&clone, "origin"), origin.as_str());
}

fn clone_fails(ground: &Ground, origin: &SnapshotName, clone: &DatasetName) -> Error {
    let error = ground
        .zfs
        .clone_snapshot(origin, clone, &Properties::new())
        .unwrap_err();
    assert!(!ground.zfs.exists(clone).unwrap());
    error
}

#[test]
fn a_snapshot_that_is_not_there_is_not_cloned() {
    let ground = Ground::with(&["a"]);
    let error = clone_fails(&ground, &ground.snapshot("a@no"), &ground.dataset("clone"));
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn a_clone_needs_its_parent() {
    let ground = Ground::with(&["a"]);
    let origin = ground.take("a@origin");
    let error = clone_fails(&ground, &origin, &ground.dataset("nonexistent/clone"));
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn a_clone_needs_its_pool() {
    let ground = Ground::with(&["a"]);
    let origin = ground.take("a@origin");
    let error = clone_fails(&ground, &origin, &no_such_pool("clone"));
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn a_filesystem_that_exists_is_no_origin() {
    let ground = Ground::with(&["a"]);
    assert!(SnapshotName::parse(ground.dataset("a")).is_err());
}

#[test]
fn a_filesystem_that_does_not_exist_is_no_origin_either() {
    let error = SnapshotName::parse("tank/nonexistent").unwrap_err();
    assert!(error.to_string().contains('@'), "{error}");
}

#[test]
fn a_clone_s_name_has_no_hash_sign() {
    let error = refused("tank/bad#name");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

#[test]
fn a_clone_s_pool_has_no_exclamation_mark() {
    let error = refused("bad!pool/clone");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

#[test]
fn a_clone_stays_in_its_pool() {
    let ground = Ground::with(&["a"]);
    let origin = ground.take("a@origin");
    let other = other_pool();
    let error = clone_fails(&ground, &origin, &other.dataset("clone"));
    assert_eq!(error.kind(), ErrorKind::CrossPool, "{error}");
}

#[test]
fn a_clone_in_a_read_only_pool_is_refused() {
    let ground = Ground::with(&["a"]);
    let origin = ground.take("a@origin");
    let other = read_only_pool();
    let error = clone_fails(&ground, &origin, &other.dataset("clone"));
    let either = [ErrorKind::CrossPool, ErrorKind::ReadOnly];
    assert!(either.contains(&error.kind()), "{error}");
}

// rollback

#[test]
fn rolling_back_names_the_snapshot() {
    let ground = Ground::with(&["a"]);
    let snapshot = ground.take("a@s");
    assert_eq!(ground.zfs.rollback(&ground.dataset("a")).unwrap(), snapshot);
}

#[test]
fn rolling_back_goes_to_the_latest() {
    let ground = Ground::with(&["a"]);
    ground.take("a@1");
    let latest = ground.take("a@2");
    assert_eq!(ground.zfs.rollback(&ground.dataset("a")).unwrap(), latest);
}

#[test]
fn without_snapshots_there_is_no_way_back() {
    let ground = Ground::with(&["a"]);
    let error = ground.zfs.rollback(&ground.dataset("a")).unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn what_is_not_there_is_not_rolled_back() {
    let ground = Ground::new();
    let error = ground.zfs.rollback(&ground.dataset("no")).unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn a_name_with_a_tilde_is_not_rolled_back() {
    assert_eq!(refused("tank/bad~name").kind(), ErrorKind::Invalid);
}

#[test]
fn a_snapshot_s_name_is_not_rolled_back() {
    assert_eq!(refused("tank/a@s").kind(), ErrorKind::Invalid);
}

#[test]
fn a_snapshot_that_exists_is_not_what_is_rolled_back() {
    let ground = Ground::with(&["a"]);
    assert!(DatasetName::parse(ground.take("a@s")).is_err());
}

#[test]
fn a_name_that_is_too_long_is_not_rolled_back() {
    let error = refused(&format!("tank/{}", "x".repeat(256)));
    let problem = matches!(
        error,
        Error::InvalidName {
            problem: NameProblem::TooLong { .. },
            ..
        }
    );
    assert!(problem, "{error}");
}

#[test]
fn one_can_go_back_to_a_snapshot_by_name() {
    let ground = Ground::with(&["a"]);
    let snapshot = ground.take("a@s");
    ground.zfs.rollback_to(&snapshot).unwrap();
}

#[test]
fn one_cannot_go_back_beyond_the_latest() {
    let ground = Ground::with(&["a"]);
    let first = ground.take("a@1");
    ground.take("a@2");
    let error = ground.zfs.rollback_to(&first).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotLatest, "{error}");
}

// promote

#[test]
fn a_promoted_clone_has_the_snapshot() {
    let ground = Ground::with(&["a"]);
    let origin = ground.take("a@s");
    let clone = ground.dataset("clone");
    ground
        .zfs
        .clone_snapshot(&origin, &clone, &Properties::new())
        .unwrap();
    ground.zfs.promote(&clone).unwrap();
    assert!(ground.exists("clone@s"));
    assert!(!ground.exists("a@s"));
}

#[test]
fn a_snapshot_whose_name_would_become_too_long_stays() {
    let ground = Ground::with(&["a"]);
    let clone = ground.dataset("a-clone-with-a-longer-name");
    let longest = 255 - ground.dataset("a").as_str().len() - 1;
    let origin = ground.take(&format!("a@{}", "x".repeat(longest)));
    ground
        .zfs
        .clone_snapshot(&origin, &clone, &Properties::new())
        .unwrap();
    let error = ground.zfs.promote(&clone).unwrap_err();
    assert!(error.to_string().contains("long"), "{error}");
    assert!(ground.zfs.exists(&origin).unwrap());
}

#[test]
fn what_is_no_clone_is_not_promoted() {
    let ground = Ground::with(&["a"]);
    let error = ground.zfs.promote(&ground.dataset("a")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

// rename

#[test]
fn a_renamed_filesystem_has_the_new_name_alone() {
    let ground = Ground::with(&["a"]);
    ground
        .zfs
        .rename(&ground.dataset("a"), &ground.dataset("b"))
        .unwrap();
    assert!(ground.exists("b") && !ground.exists("a"));
}

#[test]
fn what_is_not_there_is_not_renamed() {
    let ground = Ground::new();
    let error = ground
        .zfs
        .rename(&ground.dataset("a"), &ground.dataset("b"))
        .unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn a_name_that_is_taken_stays_with_who_has_it() {
    let ground = Ground::with(&["a", "b"]);
    let guid = get(ground.dataset("b"), "guid");
    let error = ground
        .zfs
        .rename(&ground.dataset("a"), &ground.dataset("b"))
        .unwrap_err();
    assert!(error.is_exists(), "{error}");
    assert_eq!(get(ground.dataset("b"), "guid"), guid);
}

#[test]
fn a_new_name_needs_its_parent() {
    let ground = Ground::with(&["a"]);
    let error = ground
        .zfs
        .rename(&ground.dataset("a"), &ground.dataset("parent/b"))
        .unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert!(ground.exists("a"));
}

#[test]
fn nothing_is_renamed_to_below_a_volume() {
    let ground = Ground::with(&["a"]);
    ground.zfs.create(&volume(ground.dataset("v"))).unwrap();
    let error = ground
        .zfs
        .rename(&ground.dataset("a"), &ground.dataset("v/b"))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(ground.exists("a"));
}

// destroy

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

// keys

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
