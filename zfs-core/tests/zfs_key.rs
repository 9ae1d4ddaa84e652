//! Encryption keys on real pools.

mod fixture;

use std::fs;

use fixture::{Pool, RAW_KEY, attempt, get, run};
use zfs_core::{
    Cipher, CreateRequest, DatasetName, Encryption, ErrorKind, Key, KeyFormat, KeyLocation,
    KeyStatus, Properties, ReceiveRequest, SendFlags, SendRequest,
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
    let (key, other) = (Key::from(KEY), Key::from(OTHER));
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
    let name = pool.encrypted("e", &[]);
    attempt(&["zfs", "unmount", name.as_str()]);
    pool.zfs.unload_key(&name).unwrap();
    pool.zfs.load_key(&name, &RAW_KEY.into()).unwrap();
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

/// 64 digits, as `openssl rand -hex 32` makes them.
const HEX: &str = "00112233445566778899aabbccddeeff0123456789ABCDEFfedcba9876543210";
const PHRASE: &str = "correct horse battery staple";

fn key(format: KeyFormat) -> Key {
    match format {
        KeyFormat::Raw => Key::from(KEY),
        KeyFormat::Hex => Key::hex(HEX).unwrap(),
        KeyFormat::Passphrase => Key::passphrase(PHRASE).unwrap().iterations(100_000),
    }
}

/// What zfs(8) reads from a file.
fn file_of(pool: &Pool, format: KeyFormat) -> std::path::PathBuf {
    let file = pool.path().join(format.as_str());
    match format {
        KeyFormat::Raw => fs::write(&file, KEY),
        KeyFormat::Hex => fs::write(&file, format!("{HEX}\n")),
        KeyFormat::Passphrase => fs::write(&file, format!("{PHRASE}\n")),
    }
    .unwrap();
    file
}

const FORMATS: [KeyFormat; 3] = [KeyFormat::Raw, KeyFormat::Hex, KeyFormat::Passphrase];

#[test]
fn a_key_of_each_format_that_we_set_is_loaded_by_zfs_8() {
    let pool = Pool::new();
    for format in FORMATS {
        let file = file_of(&pool, format);
        let name = pool.dataset(format.as_str());
        let encryption = Encryption::new(key(format)).location(KeyLocation::file(&file).unwrap());
        pool.zfs
            .create(&CreateRequest::filesystem(name.clone()).encryption(encryption))
            .unwrap();
        assert_eq!(get(&name, "keyformat"), format.as_str());
        pool.zfs.unload_key(&name).unwrap();
        run(&["zfs", "load-key", name.as_str()]);
        assert_eq!(get(&name, "keystatus"), "available");
    }
    let name = pool.dataset("passphrase");
    assert_eq!(get(&name, "pbkdf2iters"), "100000");
}

#[test]
fn a_key_of_each_format_that_zfs_8_set_is_loaded_here() {
    let pool = Pool::new();
    for format in FORMATS {
        let file = file_of(&pool, format);
        let name = pool.dataset(format.as_str());
        let (format_is, location) = (
            format!("keyformat={format}"),
            format!("keylocation=file://{}", file.display()),
        );
        let mut command = vec![
            "zfs",
            "create",
            "-o",
            "encryption=on",
            "-o",
            "canmount=noauto",
        ];
        command.extend(["-o", &format_is, "-o", &location]);
        if format == KeyFormat::Passphrase {
            command.extend(["-o", "pbkdf2iters=100000"]);
        }
        command.push(name.as_str());
        run(&command);
        run(&["zfs", "unload-key", name.as_str()]);
        pool.zfs.check_key(&name, &key(format)).unwrap();
        assert_eq!(get(&name, "keystatus"), "unavailable");
        pool.zfs.load_key(&name, &key(format)).unwrap();
        assert_eq!(get(&name, "keystatus"), "available");
    }
}

#[test]
fn a_key_that_we_changed_is_loaded_by_zfs_8_and_the_other_way_round() {
    let pool = Pool::new();
    let name = encrypted(&pool, "e");
    let mut before = key(KeyFormat::Raw);
    for format in [KeyFormat::Hex, KeyFormat::Passphrase, KeyFormat::Raw] {
        let file = file_of(&pool, format);
        let location = KeyLocation::file(&file).unwrap();
        pool.zfs.change_key(&name, &key(format), &location).unwrap();
        pool.zfs.unload_key(&name).unwrap();
        let error = pool.zfs.load_key(&name, &before).unwrap_err();
        let told = [ErrorKind::WrongKey, ErrorKind::Invalid];
        assert!(told.contains(&error.kind()), "{error}");
        run(&["zfs", "load-key", name.as_str()]);
        before = key(format);
    }
    for format in FORMATS {
        let (format_is, location) = (
            format!("keyformat={format}"),
            format!("keylocation=file://{}", file_of(&pool, format).display()),
        );
        let mut command = vec!["zfs", "change-key", "-o", &format_is, "-o", &location];
        if format == KeyFormat::Passphrase {
            command.extend(["-o", "pbkdf2iters=100000"]);
        }
        command.push(name.as_str());
        run(&command);
        pool.zfs.unload_key(&name).unwrap();
        pool.zfs.load_key(&name, &key(format)).unwrap();
    }
}

#[test]
fn the_same_passphrase_makes_another_key_for_each_dataset() {
    let pool = Pool::new();
    let salt = |relative: &str| {
        let name = pool.dataset(relative);
        let encryption = Encryption::new(key(KeyFormat::Passphrase));
        pool.zfs
            .create(&CreateRequest::filesystem(name.clone()).encryption(encryption))
            .unwrap();
        pool.zfs.properties(&name).unwrap().number("pbkdf2salt")
    };
    let (one, other) = (salt("one"), salt("other"));
    assert!(one.is_some() && one != other, "{one:?} {other:?}");
}

#[test]
fn a_passphrase_for_a_key_that_is_none_is_refused_in_words() {
    let pool = Pool::new();
    let name = encrypted(&pool, "e");
    pool.zfs.unload_key(&name).unwrap();
    let error = pool
        .zfs
        .load_key(&name, &key(KeyFormat::Passphrase))
        .unwrap_err();
    assert!(error.to_string().contains("in the format raw"), "{error}");
    let plain = pool.filesystem("plain");
    let error = pool
        .zfs
        .load_key(&plain, &key(KeyFormat::Passphrase))
        .unwrap_err();
    assert!(error.to_string().contains("not encrypted"), "{error}");
}

#[test]
fn too_few_iterations_and_a_key_on_the_web_are_refused_before_zfs_sees_them() {
    let pool = Pool::new();
    let name = pool.dataset("e");
    let few = Encryption::new(Key::passphrase(PHRASE).unwrap().iterations(99_999));
    let web =
        Encryption::raw(KEY.into()).location(KeyLocation::parse("https://keys.example/e").unwrap());
    for encryption in [few, web] {
        let request = CreateRequest::filesystem(name.clone()).encryption(encryption);
        let error = pool.zfs.create(&request).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(!pool.zfs.exists(&name).unwrap());
    }
}

#[test]
fn the_state_of_encryption_is_typed() {
    let pool = Pool::new();
    let file = file_of(&pool, KeyFormat::Hex);
    let location = KeyLocation::file(&file).unwrap();
    let root = pool.dataset("e");
    let encryption = Encryption::new(key(KeyFormat::Hex))
        .cipher(Cipher::Aes192Gcm)
        .location(location.clone());
    pool.zfs
        .create(&CreateRequest::filesystem(root.clone()).encryption(encryption))
        .unwrap();
    let child = pool.filesystem("e/child");
    let state = pool.zfs.encryption(&root).unwrap().unwrap();
    assert!(state.is_root(&root));
    assert_eq!(state.cipher, Some(Cipher::Aes192Gcm));
    assert_eq!(state.format, KeyFormat::Hex);
    assert_eq!(state.location, Some(location));
    assert_eq!(state.status, KeyStatus::Available);
    assert_eq!(state.pbkdf2_iterations, None);
    pool.zfs.unload_key(&root).unwrap();
    let state = pool.zfs.encryption(&child).unwrap().unwrap();
    assert_eq!(state.root, root);
    assert!(!state.is_root(&child));
    assert_eq!(state.location, None);
    assert_eq!(state.status, KeyStatus::Unavailable);
    assert_eq!(pool.zfs.encryption(&pool.name().root()).unwrap(), None);
    let error = pool.zfs.encryption(&pool.dataset("missing")).unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

/// A replica that was sent raw has the source's IV set; one that was encrypted
/// anew has the GUID alone, and no raw increment goes on from it.
#[test]
fn a_raw_increment_fits_where_guid_and_iv_set_are_the_same() {
    let pool = Pool::new();
    let name = encrypted(&pool, "e");
    let snapshot = pool.take("e@s");
    let plain = pool.filesystem("plain");
    let plain_snapshot = pool.take("plain@s");
    assert!(pool.zfs.iv_set(&snapshot).unwrap().is_some());
    assert_eq!(pool.zfs.iv_set(&plain_snapshot).unwrap(), None);

    let raw = pool.snapshot("raw@s");
    let request = SendRequest::snapshot(snapshot.clone()).flags(SendFlags::RAW);
    fixture::transfer(&pool.zfs, &request, &ReceiveRequest::new(raw.clone())).unwrap();
    assert!(pool.zfs.raw_increment_fits(&snapshot, &raw).unwrap());
    assert_eq!(
        pool.zfs.iv_set(&snapshot).unwrap(),
        pool.zfs.iv_set(&raw).unwrap()
    );

    let anew = pool.snapshot("anew@s");
    let receive =
        ReceiveRequest::new(anew.clone()).encryption(Encryption::new(key(KeyFormat::Hex)));
    fixture::transfer(
        &pool.zfs,
        &SendRequest::snapshot(snapshot.clone()),
        &receive,
    )
    .unwrap();
    assert!(!pool.zfs.raw_increment_fits(&snapshot, &anew).unwrap());
    assert!(
        !pool
            .zfs
            .raw_increment_fits(&snapshot, &plain_snapshot)
            .unwrap()
    );
    drop((name, plain));
}

#[test]
fn keys_are_checked_before_zfs_sees_them() {
    let pool = Pool::new();
    let file = pool.path().join("guide.key");
    // What guides tell people: openssl rand -base64 64.
    fs::write(
        &file,
        format!("{}\n{}==\n", "QUJD".repeat(16), "x".repeat(22)),
    )
    .unwrap();
    let error = KeyLocation::file(&file)
        .unwrap()
        .read(KeyFormat::Raw, |_| unreachable!())
        .unwrap_err();
    let text = error.to_string();
    for part in [
        file.to_str().unwrap(),
        "90 bytes of base64 text",
        "newline",
        "head -c 32",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_key_s_location_can_be_changed_alone() {
    let pool = Pool::new();
    let name = encrypted(&pool, "e");
    let file = file_of(&pool, KeyFormat::Raw);
    let location = KeyLocation::file(&file).unwrap();
    let properties = Properties::new().with("keylocation", location.as_str());
    pool.zfs.set_properties(&name, &properties).unwrap();
    pool.zfs.unload_key(&name).unwrap();
    run(&["zfs", "load-key", name.as_str()]);
}
