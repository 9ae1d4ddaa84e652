//! Taking and renaming snapshots on real pools.

mod fixture;

use fixture::shared::{Ground, other_pool, read_only_pool};
use fixture::{Pool, get};
use zfs_core::{Error, ErrorKind, NameProblem, Properties, SnapshotName};

#[test]
fn snapshots_of_one_call_are_of_one_instant() {
    let pool = Pool::new();
    pool.filesystem("a");
    pool.filesystem("a/b");
    let names = [
        pool.snapshot("a@x"),
        pool.snapshot("a/b@x"),
        pool.snapshot("@x"),
    ];
    pool.zfs.snapshot(&names).unwrap();
    let txgs = names.each_ref().map(|name| get(name, "createtxg"));
    assert_eq!(txgs[0], txgs[1]);
    assert_eq!(txgs[0], txgs[2]);
    assert!(names.iter().all(|name| pool.zfs.exists(name).unwrap()));
}

#[test]
fn properties_are_set_on_each() {
    let pool = Pool::new();
    pool.filesystem("a");
    let names = [pool.snapshot("a@x"), pool.snapshot("@x")];
    let properties = Properties::new().with("org.example:by", "test");
    pool.zfs
        .snapshot_with_properties(&names, &properties)
        .unwrap();
    for name in &names {
        assert_eq!(get(name, "org.example:by"), "test");
    }
}

#[test]
fn snapshots_take_user_properties_alone() {
    let pool = Pool::new();
    let name = pool.snapshot("@x");
    let properties = Properties::new().with("recordsize", 4096);
    let error = pool
        .zfs
        .snapshot_with_properties([&name], &properties)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(!pool.zfs.exists(&name).unwrap());
}

#[test]
fn where_one_fails_none_is_taken_and_each_failure_has_its_name() {
    let pool = Pool::new();
    pool.filesystem("a");
    pool.filesystem("b");
    let (taken, free) = (pool.take("a@x"), pool.snapshot("b@x"));
    let also_taken = pool.take("@x");
    let error = pool.zfs.snapshot([&taken, &free, &also_taken]).unwrap_err();
    let mut names: Vec<_> = error.failures().iter().map(|f| &f.name).collect();
    names.sort();
    assert_eq!(names, [taken.as_str(), also_taken.as_str()], "{error}");
    assert!(error.is_exists(), "{error}");
    assert!(!pool.zfs.exists(&free).unwrap());

    // ZFS looks for missing datasets before it looks for taken names.
    let missing = pool.snapshot("missing@x");
    let error = pool.zfs.snapshot([&taken, &free, &missing]).unwrap_err();
    assert_eq!(error.failures().len(), 1, "{error}");
    assert_eq!(error.failures()[0].name, missing.as_str());
    assert!(error.is_not_found(), "{error}");
    assert!(!pool.zfs.exists(&free).unwrap());
}

#[test]
fn two_of_one_dataset_are_refused_in_words() {
    let pool = Pool::new();
    let names = [pool.snapshot("@x"), pool.snapshot("@y")];
    let error = pool.zfs.snapshot(&names).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CrossPool, "{error}");
    assert!(error.to_string().contains("of one dataset"), "{error}");
    assert!(!pool.zfs.exists(&names[0]).unwrap());
    // The same even where there is no such dataset.
    let names = [pool.snapshot("no@x"), pool.snapshot("no@y")];
    let error = pool.zfs.snapshot(&names).unwrap_err();
    assert!(error.to_string().contains("of one dataset"), "{error}");
}

#[test]
fn two_pools_are_refused_in_words() {
    let (one, other) = (Pool::new(), Pool::new());
    let names = [one.snapshot("@x"), other.snapshot("@x")];
    let error = one.zfs.snapshot(&names).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CrossPool, "{error}");
    assert!(error.to_string().contains("different pools"), "{error}");
    assert!(!one.zfs.exists(&names[0]).unwrap());
    assert!(!other.zfs.exists(&names[1]).unwrap());
}

#[test]
fn one_that_exists_is_one_error() {
    let pool = Pool::new();
    let name = pool.take("@x");
    let error = pool.zfs.snapshot([&name]).unwrap_err();
    assert!(matches!(error, Error::Zfs(_)), "{error:?}");
    assert!(error.is_exists(), "{error}");
    assert!(error.to_string().contains(name.as_str()), "{error}");
}

#[test]
fn a_pool_that_is_not_there_is_not_found() {
    let pool = Pool::new();
    let name = SnapshotName::parse(format!("{}nosuch@x", pool.name())).unwrap();
    let error = pool.zfs.snapshot([&name]).unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn no_snapshots_are_no_error() {
    let pool = Pool::new();
    pool.zfs.snapshot([]).unwrap();
}

#[test]
fn hundreds_in_one_call_are_all_taken_or_all_named() {
    let pool = Pool::new();
    let names: Vec<_> = (0..60)
        .map(|number| pool.snapshot(&format!("d{number}@x")))
        .collect();
    let error = pool.zfs.snapshot(&names).unwrap_err();
    assert_eq!(error.failures().len(), names.len(), "{error}");
    assert!(error.is_not_found(), "{error}");
    for name in &names {
        let relative = name.dataset().strip_prefix(&pool.name().root()).unwrap();
        pool.filesystem(relative);
    }
    pool.zfs.snapshot(&names).unwrap();
    assert!(names.iter().all(|name| pool.zfs.exists(name).unwrap()));
}

#[test]
fn a_read_only_pool_says_so() {
    let pool = Pool::new();
    pool.import_again(&["-o", "readonly=on"]);
    let error = pool.zfs.snapshot([&pool.snapshot("@x")]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
}

#[test]
fn a_snapshot_can_be_renamed_on_its_dataset() {
    let pool = Pool::new();
    pool.filesystem("a");
    let old = pool.take("a@old");
    let guid = get(&old, "guid");
    let new = pool.snapshot("a@new");
    pool.zfs.rename_snapshot(&old, &new).unwrap();
    assert!(!pool.zfs.exists(&old).unwrap());
    assert_eq!(get(&new, "guid"), guid);

    let elsewhere = pool.snapshot("@new");
    let error = pool.zfs.rename_snapshot(&new, &elsewhere).unwrap_err();
    assert!(error.to_string().contains("another dataset"), "{error}");
    let taken = pool.take("a@taken");
    let error = pool.zfs.rename_snapshot(&new, &taken).unwrap_err();
    assert!(error.is_exists(), "{error}");
    let error = pool.zfs.rename_snapshot(&old, &new).unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn a_snapshot_is_taken() {
    let ground = Ground::new();
    let name = ground.snapshot("@x");
    ground.zfs.snapshot([&name]).unwrap();
    assert!(ground.exists("@x"));
}

#[test]
fn a_user_property_is_set() {
    let ground = Ground::new();
    let name = ground.snapshot("@x");
    let properties = Properties::new().with("user:foo", "bar");
    ground
        .zfs
        .snapshot_with_properties([&name], &properties)
        .unwrap();
    assert_eq!(get(&name, "user:foo"), "bar");
}

#[test]
fn a_property_without_a_colon_is_refused() {
    let ground = Ground::new();
    let name = ground.snapshot("@x");
    let error = ground
        .zfs
        .snapshot_with_properties([&name], &Properties::new().with("foo", "bar"))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(!ground.exists("@x"));
}

#[test]
fn a_read_only_pool_is_one_error_for_all() {
    let ground = Ground::new();
    let pool = read_only_pool();
    let names = [pool.snapshot("@x"), pool.snapshot("fs@x")];
    let error = ground.zfs.snapshot(&names).unwrap_err();
    assert_eq!(error.failures().len(), 1, "{error}");
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
    for name in &names {
        assert!(!ground.zfs.exists(name).unwrap());
    }
}

#[test]
fn a_filesystem_that_is_not_there_is_named() {
    let ground = Ground::new();
    let name = ground.snapshot("missing@x");
    let error = ground.zfs.snapshot([&name]).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert_eq!(error.failures()[0].name, name.as_str());
}

#[test]
fn a_filesystem_that_is_not_there_keeps_the_others_untaken() {
    let ground = Ground::new();
    let names = [ground.snapshot("@x"), ground.snapshot("missing@x")];
    let error = ground.zfs.snapshot(&names).unwrap_err();
    assert_eq!(error.failures().len(), 1, "{error}");
    assert_eq!(error.failures()[0].name, names[1].as_str());
    assert!(error.is_not_found(), "{error}");
    assert!(!ground.exists("@x"));
}

#[test]
fn two_of_a_filesystem_that_is_not_there_are_two_of_one() {
    let ground = Ground::new();
    let names = [ground.snapshot("missing@x"), ground.snapshot("missing@y")];
    let error = ground.zfs.snapshot(&names).unwrap_err();
    assert_eq!(error.failures().len(), 1, "{error}");
    assert!(error.to_string().contains("of one dataset"), "{error}");
}

#[test]
fn filesystems_that_are_not_there_are_all_named() {
    let ground = Ground::new();
    let names = [ground.snapshot("gone@x"), ground.snapshot("missing@x")];
    let error = ground.zfs.snapshot(&names).unwrap_err();
    let mut named: Vec<_> = error.failures().iter().map(|f| f.name.as_str()).collect();
    named.sort_unstable();
    assert_eq!(named, names.each_ref().map(SnapshotName::as_str));
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn a_snapshot_that_exists_is_not_taken_again() {
    let ground = Ground::new();
    let name = ground.take("@x");
    let guid = get(&name, "guid");
    let error = ground.zfs.snapshot([&name]).unwrap_err();
    assert!(error.is_exists(), "{error}");
    assert_eq!(get(&name, "guid"), guid);
}

#[test]
fn two_of_one_filesystem_are_one_error_and_neither_is_taken() {
    let ground = Ground::new();
    let names = [ground.snapshot("@x"), ground.snapshot("@y")];
    let error = ground.zfs.snapshot(&names).unwrap_err();
    assert_eq!(error.failures().len(), 1, "{error}");
    assert_eq!(error.kind(), ErrorKind::CrossPool, "{error}");
    assert!(!ground.exists("@x"));
    assert!(!ground.exists("@y"));
}

#[test]
fn snapshots_of_several_filesystems_are_taken_together() {
    let ground = Ground::with(&["a"]);
    let names = [ground.snapshot("@x"), ground.snapshot("a@x")];
    ground.zfs.snapshot(&names).unwrap();
    assert_eq!(get(&names[0], "createtxg"), get(&names[1], "createtxg"));
}

#[test]
fn all_that_exist_are_named() {
    let ground = Ground::with(&["a"]);
    let names = [ground.snapshot("@x"), ground.snapshot("a@x")];
    ground.zfs.snapshot(&names).unwrap();
    let error = ground.zfs.snapshot(&names).unwrap_err();
    assert_eq!(error.failures().len(), 2, "{error}");
    assert!(error.is_exists(), "{error}");
}

#[test]
fn those_that_exist_are_named_and_the_new_one_is_not_taken() {
    let ground = Ground::with(&["a", "b"]);
    let names = [
        ground.snapshot("@x"),
        ground.snapshot("a@x"),
        ground.snapshot("b@x"),
    ];
    ground.zfs.snapshot(&names[..2]).unwrap();
    let error = ground.zfs.snapshot(&names).unwrap_err();
    assert_eq!(error.failures().len(), 2, "{error}");
    assert!(error.is_exists(), "{error}");
    assert!(!ground.exists("b@x"));
}

#[test]
fn one_that_exists_and_one_that_cannot_be_leave_the_third_untaken() {
    let ground = Ground::with(&["a"]);
    let names = [
        ground.take("@x"),
        ground.snapshot("missing@x"),
        ground.snapshot("a@x"),
    ];
    let error = ground.zfs.snapshot(&names).unwrap_err();
    assert!(!error.failures().is_empty());
    for failure in error.failures() {
        let kind = failure.kind();
        assert!(matches!(kind, ErrorKind::Exists | ErrorKind::NotFound));
    }
    assert!(!ground.exists("a@x"));
}

#[test]
fn snapshots_of_two_pools_are_one_error_and_neither_is_taken() {
    let ground = Ground::new();
    let other = other_pool();
    let names = [ground.snapshot("@x"), other.snapshot("@across")];
    let error = ground.zfs.snapshot(&names).unwrap_err();
    assert_eq!(error.failures().len(), 1, "{error}");
    assert_eq!(error.kind(), ErrorKind::CrossPool, "{error}");
    for name in &names {
        assert!(!ground.zfs.exists(name).unwrap());
    }
}

#[test]
fn of_two_pools_of_which_one_is_read_only_neither_is_taken() {
    let ground = Ground::new();
    let names = [ground.snapshot("@x"), read_only_pool().snapshot("@x")];
    let error = ground.zfs.snapshot(&names).unwrap_err();
    assert_eq!(error.failures().len(), 1, "{error}");
    // Which of the two is found depends on the order of the names.
    let kinds = [ErrorKind::CrossPool, ErrorKind::ReadOnly];
    assert!(kinds.contains(&error.kind()), "{error}");
    for name in &names {
        assert!(!ground.zfs.exists(name).unwrap());
    }
}

#[test]
fn names_with_characters_that_zfs_does_not_take_are_refused() {
    let ground = Ground::new();
    for (text, character) in [("@bad&name", '&'), ("a@bad*name", '*')] {
        let text = format!("{}{text}", ground.dataset(""));
        match SnapshotName::parse(&text) {
            Err(Error::InvalidName { problem, .. }) => {
                assert_eq!(problem, NameProblem::Character(character));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_longest_name_is_taken_and_a_longer_one_refused() {
    let ground = Ground::with(&["a"]);
    let name = ground.dataset("a");
    let room = 255 - name.as_str().len() - 1;
    let longest = name.with_snapshot(&"x".repeat(room)).unwrap();
    ground.zfs.snapshot([&longest]).unwrap();
    assert_eq!(get(&longest, "type"), "snapshot");
    match name.with_snapshot(&"x".repeat(room + 1)) {
        Err(Error::InvalidName { problem, .. }) => assert_eq!(
            problem,
            NameProblem::TooLong {
                bytes: 256,
                max: 255
            }
        ),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_component_that_is_too_long_is_refused() {
    let ground = Ground::new();
    match ground.dataset("").with_snapshot(&"x".repeat(257)) {
        Err(Error::InvalidName { problem, .. }) => {
            assert!(matches!(problem, NameProblem::TooLong { max: 255, .. }));
        }
        other => panic!("{other:?}"),
    }
}
