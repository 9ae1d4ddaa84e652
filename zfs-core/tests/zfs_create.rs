//! Creating filesystems and volumes on real pools.

mod fixture;

use std::thread;

use fixture::{Pool, get, run, source, version};
use zfs_core::{
    CreateRequest, ErrorKind, PropertyValue,
    name::{MAX_NAME_BYTES, MAX_NESTING},
};

#[test]
fn a_filesystem_is_there_after_it_was_created() {
    let pool = Pool::new();
    let name = pool.dataset("a");
    assert!(!pool.zfs.exists(&name).unwrap());
    pool.zfs
        .create(&CreateRequest::filesystem(name.clone()))
        .unwrap();
    assert!(pool.zfs.exists(&name).unwrap());
    assert_eq!(get(&name, "type"), "filesystem");
    assert_eq!(get(&name, "mounted"), "no");
}

#[test]
fn a_volume_has_the_size_and_block_size_that_were_asked_for() {
    let pool = Pool::new();
    let name = pool.dataset("v");
    let request = CreateRequest::volume(name.clone(), 8 << 20).volblocksize(4096);
    pool.zfs.create(&request).unwrap();
    assert_eq!(get(&name, "type"), "volume");
    assert_eq!(get(&name, "volsize"), (8 << 20).to_string());
    assert_eq!(get(&name, "volblocksize"), "4096");
    let odd = CreateRequest::volume(pool.dataset("odd"), (8 << 20) + 1);
    let error = pool.zfs.create(&odd).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

#[test]
fn properties_are_set_locally() {
    let pool = Pool::new();
    let name = pool.dataset("a");
    let request = CreateRequest::filesystem(name.clone())
        .property("recordsize", 16384)
        .property("org.example:note", "two words")
        .property("mountpoint", "none");
    pool.zfs.create(&request).unwrap();
    assert_eq!(get(&name, "recordsize"), "16384");
    assert_eq!(get(&name, "org.example:note"), "two words");
    assert_eq!(source(&name, "recordsize"), "local");
}

#[test]
fn a_bad_property_creates_nothing() {
    let pool = Pool::new();
    let bad = [
        ("recordsize", PropertyValue::Number(3000)),
        ("recordsize", PropertyValue::from("lots")),
        ("nosuchproperty", PropertyValue::Number(1)),
        ("compression", PropertyValue::Number(120)),
    ];
    for (property, value) in bad {
        let request =
            CreateRequest::filesystem(pool.dataset("a")).property(property, value.clone());
        let error = pool.zfs.create(&request).unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::Invalid,
            "{property} {value:?}: {error}"
        );
        assert!(!pool.zfs.exists(&pool.dataset("a")).unwrap());
    }
}

#[test]
fn what_exists_is_not_created_again() {
    let pool = Pool::new();
    let name = pool.filesystem("a");
    let error = pool
        .zfs
        .create(&CreateRequest::filesystem(name))
        .unwrap_err();
    assert!(error.is_exists(), "{error}");
}

#[test]
fn a_missing_parent_is_an_error_or_created_when_asked_for() {
    let pool = Pool::new();
    let name = pool.dataset("a/b/c");
    let request = CreateRequest::filesystem(name.clone());
    let error = pool.zfs.create(&request).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    pool.zfs.create(&request.parents()).unwrap();
    assert!(pool.zfs.exists(&name).unwrap());
    assert!(pool.zfs.exists(&pool.dataset("a")).unwrap());
}

#[test]
fn nothing_can_be_created_below_a_volume() {
    let pool = Pool::new();
    pool.zfs
        .create(&CreateRequest::volume(pool.dataset("v"), 1 << 20))
        .unwrap();
    for request in [
        CreateRequest::filesystem(pool.dataset("v/a")),
        CreateRequest::volume(pool.dataset("v/b"), 1 << 20),
    ] {
        let error = pool.zfs.create(&request).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains("not a filesystem"), "{error}");
    }
}

#[test]
fn a_pool_that_is_not_there_is_not_found() {
    let pool = Pool::new();
    let name = format!("{}nosuch/a", pool.name()).parse().unwrap();
    let error = pool
        .zfs
        .create(&CreateRequest::filesystem(name))
        .unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn a_read_only_pool_says_so() {
    let pool = Pool::new();
    pool.import_again(&["-o", "readonly=on"]);
    let error = pool
        .zfs
        .create(&CreateRequest::filesystem(pool.dataset("a")))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
    assert!(error.to_string().contains("read-only"), "{error}");
}

#[test]
fn the_longest_name_arrives_whole() {
    let pool = Pool::new();
    let root = pool.name().root();
    let fill = MAX_NAME_BYTES - root.as_str().len() - 1;
    let longest = root.child(&"n".repeat(fill)).unwrap();
    pool.zfs
        .create(&CreateRequest::filesystem(longest.clone()))
        .unwrap();
    assert_eq!(get(&longest, "name"), longest.as_str());
    // One byte less is another dataset, and is not there.
    let shorter = root.child(&"n".repeat(fill - 1)).unwrap();
    assert!(!pool.zfs.exists(&shorter).unwrap());
}

#[test]
fn datasets_nest_only_so_deep() {
    // For a volume ZFS counts before it looks for the parent.
    let pool = Pool::new();
    let create = |levels: usize| {
        let deep = pool.dataset(&vec!["d"; levels].join("/"));
        pool.zfs.create(&CreateRequest::volume(deep, 1 << 20))
    };
    let error = create(MAX_NESTING - 1).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    let error = create(MAX_NESTING).unwrap_err();
    assert!(error.to_string().contains("nest"), "{error}");
}

#[test]
fn one_handle_serves_many_threads() {
    let pool = Pool::new();
    thread::scope(|scope| {
        for number in 0..6 {
            let pool = &pool;
            scope.spawn(move || {
                for step in 0..3 {
                    let name = pool.dataset(&format!("t{number}-{step}"));
                    pool.zfs
                        .create(&CreateRequest::filesystem(name.clone()))
                        .unwrap();
                    assert!(pool.zfs.exists(&name).unwrap());
                    pool.zfs.destroy(&name).unwrap();
                }
            });
        }
    });
}

#[test]
fn an_ordinary_user_is_told_what_root_could_allow() {
    if let Some(name) = fixture::argument_as_user() {
        let name = name.parse().unwrap();
        let error = fixture::zfs()
            .create(&CreateRequest::filesystem(name))
            .unwrap_err();
        assert!(error.is_permission(), "{error}");
        assert!(error.to_string().contains("zfs allow USER"), "{error}");
        return;
    }
    let pool = Pool::new();
    let a = pool.dataset("a");
    fixture::again_as_user(
        &pool,
        "an_ordinary_user_is_told_what_root_could_allow",
        a.as_str(),
    );
    assert!(!pool.zfs.exists(&a).unwrap());
}

#[test]
fn the_module_s_version_is_one_that_is_tested() {
    assert!(((2, 1)..=(2, 4)).contains(&version()), "{:?}", version());
}

#[test]
fn a_volume_is_what_zfs_create_makes_where_that_is_asked_for() {
    // Sectors of 16 KiB and two of parity.
    let layout = ["raidz2", "1", "2", "3", "4"];
    let pool = Pool::layout(&["-o", "ashift=14"], &layout);
    let (odd_bytes, plain, ours, theirs) = (
        (4 << 20) + 4096,
        pool.dataset("plain"),
        pool.dataset("ours"),
        pool.dataset("theirs"),
    );
    let bytes = odd_bytes.to_string();
    run(&["zfs", "create", "-V", &bytes, theirs.as_str()]);
    let request = CreateRequest::volume(ours.clone(), odd_bytes);
    let request = request.fit_to_pool().thick();
    pool.zfs.create(&request).unwrap();
    for property in ["volsize", "volblocksize", "refreservation"] {
        assert_eq!(get(&ours, property), get(&theirs, property), "{property}");
    }
    let request = CreateRequest::volume(plain.clone(), 4 << 20);
    pool.zfs.create(&request).unwrap();
    assert_eq!(get(&plain, "refreservation"), "0");
    let named = CreateRequest::volume(pool.dataset("named"), 4 << 20)
        .volblocksize(8192)
        .property("refreserv", "auto");
    pool.zfs.create(&named).unwrap();
    let layout = pool.zfs.volume_layout(pool.name()).unwrap();
    assert_eq!(
        get(pool.dataset("named"), "refreservation"),
        layout.reservation(4 << 20, 8192).to_string()
    );
}

#[test]
fn a_request_is_checked_and_nothing_created() {
    let pool = Pool::new();
    let name = pool.dataset("a/b");
    let filesystem = CreateRequest::filesystem(name.clone());
    pool.zfs.check_create(&filesystem).unwrap();
    assert!(!pool.zfs.exists(&name).unwrap());
    let wrong = filesystem.property("atime", "perhaps");
    let error = pool.zfs.check_create(&wrong).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    let auto = CreateRequest::filesystem(name.clone()).property("refreservation", "auto");
    let error = pool.zfs.check_create(&auto).unwrap_err();
    assert!(error.to_string().contains("for volumes"), "{error}");
    let elsewhere = CreateRequest::filesystem("nosuchpool/a".parse().unwrap());
    assert!(
        pool.zfs
            .check_create(&elsewhere)
            .unwrap_err()
            .is_not_found()
    );
}
