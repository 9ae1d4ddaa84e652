//! Destroying snapshots, on real pools.

mod fixture;

use fixture::shared::{Ground, read_only_pool};
use zfs_core::{Defer, Error, ErrorKind, NameProblem, Properties, SnapshotName};

const BOTH: [Defer; 2] = [Defer::No, Defer::Yes];

#[test]
fn a_snapshot_that_is_gone_counts_as_destroyed() {
    let ground = Ground::new();
    for defer in BOTH {
        let name = ground.snapshot("@missing");
        ground.zfs.destroy_snapshots([&name], defer).unwrap();
    }
}

#[test]
fn a_pool_that_is_not_there_is_not_found() {
    let ground = Ground::new();
    let name: SnapshotName = "nosuchpool@x".parse().unwrap();
    for defer in BOTH {
        let error = ground.zfs.destroy_snapshots([&name], defer).unwrap_err();
        assert!(error.is_not_found(), "{error}");
        assert!(error.to_string().contains("pool"), "{error}");
    }
}

#[test]
fn a_snapshot_of_a_filesystem_that_is_gone_counts_as_destroyed() {
    let ground = Ground::new();
    for defer in BOTH {
        let name = ground.snapshot("missing@x");
        ground.zfs.destroy_snapshots([&name], defer).unwrap();
    }
}

#[test]
fn a_name_that_is_none_is_not_taken_for_one_that_is_gone() {
    let ground = Ground::new();
    let text = format!("{}@non$&*existent", ground.dataset("a"));
    let error = SnapshotName::parse(text).unwrap_err();
    assert!(
        matches!(
            error,
            Error::InvalidName {
                problem: NameProblem::Character('$'),
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_name_that_is_too_long_is_not_taken_for_one_that_is_gone() {
    let ground = Ground::with(&["a"]);
    let name = ground.dataset("a");
    let longest = 255 - name.as_str().len() - 1;
    // The longest there is, for real.
    let fits = name.with_snapshot(&"x".repeat(longest)).unwrap();
    ground.zfs.snapshot([&fits]).unwrap();
    ground.zfs.destroy_snapshots([&fits], Defer::No).unwrap();
    assert!(!ground.zfs.exists(&fits).unwrap());
    let error = name.with_snapshot(&"x".repeat(longest + 1)).unwrap_err();
    assert!(
        matches!(
            error,
            Error::InvalidName {
                problem: NameProblem::TooLong {
                    bytes: 256,
                    max: 255
                },
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_component_that_is_too_long_is_told_and_the_others_stay() {
    let ground = Ground::new();
    let there = ground.take("@x");
    for filesystem in ["a", "b"] {
        let text = format!("{}@{}", ground.dataset(filesystem), "x".repeat(257));
        let error = SnapshotName::parse(text).unwrap_err();
        assert!(
            matches!(
                error,
                Error::InvalidName {
                    problem: NameProblem::TooLong { .. },
                    ..
                }
            ),
            "{error}"
        );
    }
    assert!(ground.zfs.exists(&there).unwrap());
}

#[test]
fn a_mounted_snapshot_goes_or_says_what_is_in_the_way() {
    let ground = Ground::with(&["a"]);
    ground.write("a", "file", b"content");
    let snapshot = ground.take("a@x");
    let folder = ground.pool.mount(&ground.dataset("a"));
    let seen = std::fs::read(folder.join(".zfs/snapshot/x/file")).unwrap();
    assert_eq!(seen, b"content");
    // The kernel unmounts it by itself; where it cannot, it says busy.
    match ground.zfs.destroy_snapshots([&snapshot], Defer::No) {
        Ok(()) => assert!(!ground.zfs.exists(&snapshot).unwrap()),
        Err(error) => {
            assert!(error.is_busy(), "{error}");
            assert!(ground.zfs.exists(&snapshot).unwrap());
        }
    }
    fixture::attempt(&["umount", "-R", folder.to_str().unwrap()]);
}

/// A snapshot with a clone, and one without.
fn cloned() -> (Ground, [SnapshotName; 2]) {
    let ground = Ground::with(&["a", "b"]);
    let snapshots = [ground.take("a@cloned"), ground.take("b@free")];
    ground
        .zfs
        .clone_snapshot(&snapshots[0], &ground.dataset("clone"), &Properties::new())
        .unwrap();
    (ground, snapshots)
}

#[test]
fn a_cloned_snapshot_stays_and_all_others_of_the_call_with_it() {
    let (ground, snapshots) = cloned();
    let error = ground
        .zfs
        .destroy_snapshots(&snapshots, Defer::No)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HasClones, "{error}");
    assert_eq!(error.failures().len(), 1, "{error}");
    assert_eq!(error.failures()[0].name, snapshots[0].as_str());
    for snapshot in &snapshots {
        assert!(ground.zfs.exists(snapshot).unwrap());
    }
}

#[test]
fn a_cloned_snapshot_that_is_deferred_goes_with_its_clone() {
    let (ground, snapshots) = cloned();
    ground
        .zfs
        .destroy_snapshots(&snapshots, Defer::Yes)
        .unwrap();
    assert!(ground.zfs.exists(&snapshots[0]).unwrap());
    assert!(!ground.zfs.exists(&snapshots[1]).unwrap());
    ground.zfs.destroy(&ground.dataset("clone")).unwrap();
    assert!(!ground.zfs.exists(&snapshots[0]).unwrap());
}

#[test]
fn a_read_only_pool_keeps_its_snapshots() {
    let ground = Ground::new();
    let pool = read_only_pool();
    let name = pool.snapshot("fs@there");
    let error = ground
        .zfs
        .destroy_snapshots([&name], Defer::No)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
    assert!(ground.zfs.exists(&name).unwrap());
}
