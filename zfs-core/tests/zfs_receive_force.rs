//! Receives that may destroy what is in their way, on real pools.

mod fixture;

use std::io::Write;
use std::path::Path;

use fixture::shared::{Ground, Streams, streams};
use fixture::{attempt, persist, receive};
use zfs_core::{ErrorKind, Properties};

/// With `copy@one`, and changed since.
fn changed() -> Ground {
    let ground = Ground::new();
    receive(&ground.zfs, &ground.to("copy@one"), &streams().full).unwrap();
    ground.write("copy", "own", b"change");
    ground
}

/// An empty filesystem `copy` with a file in it.
fn in_the_way() -> Ground {
    let ground = Ground::with(&["copy"]);
    ground.write("copy", "own", b"content");
    ground
}

fn gone(ground: &Ground) -> bool {
    let copy = ground.dataset("copy");
    let folder = ground.pool.mount(&copy);
    let gone = !folder.join("own").exists();
    ground.pool.unmount(&copy);
    gone
}

/// Its files are open in a child that another test starts until that is the
/// program that it is to be.
fn unmount_if_mounted(folder: &Path) {
    let unmount = || {
        let output = attempt(&["umount", "-f", folder.to_str().unwrap()]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if said.contains("busy") {
            Err(said)
        } else {
            Ok(())
        }
    };
    persist(|_| true, unmount);
}

#[test]
fn a_full_stream_replaces_a_filesystem() {
    let ground = in_the_way();
    let to = ground.to("copy@one").force();
    receive(&ground.zfs, &to, &streams().full).unwrap();
    Streams::assert_first(&ground, "copy");
    assert!(gone(&ground));
}

#[test]
fn a_full_stream_replaces_a_filesystem_that_is_mounted_and_in_use() {
    // Made before the file: else both may come into being in one transaction
    // group, and the file that is received, of the same number and generation,
    // is the one that is open.
    let streams = streams();
    let ground = Ground::with(&["copy"]);
    let copy = ground.dataset("copy");
    let folder = ground.pool.mount(&copy);
    let path = folder.join("own");
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(&vec![7; 100_000]).unwrap();
    let to = ground.to("copy@one").force();
    receive(&ground.zfs, &to, &streams.full).unwrap();
    // The file is gone from under whoever has it open.
    assert!(!path.exists());
    file.write_all(b"more")
        .and_then(|()| file.sync_all())
        .unwrap_err();
    drop(file);
    unmount_if_mounted(&folder);
    Streams::assert_first(&ground, "copy");
}

#[test]
fn a_full_stream_replaces_a_filesystem_with_snapshots() {
    let ground = in_the_way();
    ground.take("copy@own");
    let to = ground.to("copy@one").force();
    receive(&ground.zfs, &to, &streams().full).unwrap();
    Streams::assert_first(&ground, "copy");
    assert!(!ground.exists("copy@own"));
}

#[test]
fn a_full_stream_does_not_replace_a_snapshot_of_its_name() {
    let ground = in_the_way();
    ground.take("copy@one");
    let to = ground.to("copy@one").force();
    let error = receive(&ground.zfs, &to, &streams().full).unwrap_err();
    assert!(error.is_exists(), "{error}");
    assert_eq!(ground.read("copy", "own"), b"content");
}

#[test]
fn forcing_makes_no_parents() {
    let ground = Ground::new();
    let to = ground.to("missing/copy@one").force();
    let error = receive(&ground.zfs, &to, &streams().full).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert!(!ground.exists("missing"));
}

#[test]
fn an_incremental_stream_takes_changes_back() {
    let ground = changed();
    let to = ground.to("copy@two").force();
    receive(&ground.zfs, &to, &streams().incremental).unwrap();
    Streams::assert_both(&ground, "copy");
    assert!(gone(&ground));
}

#[test]
fn an_incremental_stream_takes_changes_back_under_a_mount() {
    let ground = Ground::new();
    receive(&ground.zfs, &ground.to("copy@one"), &streams().full).unwrap();
    let copy = ground.dataset("copy");
    let folder = ground.pool.mount(&copy);
    let path = folder.join("own");
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(&vec![7; 100_000]).unwrap();
    let to = ground.to("copy@two").force();
    receive(&ground.zfs, &to, &streams().incremental).unwrap();
    assert!(!path.exists());
    file.write_all(b"more")
        .and_then(|()| file.sync_all())
        .unwrap_err();
    drop(file);
    unmount_if_mounted(&folder);
    Streams::assert_both(&ground, "copy");
}

#[test]
fn an_incremental_stream_destroys_newer_snapshots() {
    let ground = changed();
    ground.take("copy@newer");
    let to = ground.to("copy@two").force();
    receive(&ground.zfs, &to, &streams().incremental).unwrap();
    assert!(ground.exists("copy@one"));
    assert!(ground.exists("copy@two"));
    assert!(!ground.exists("copy@newer"));
}

#[test]
fn an_incremental_stream_does_not_replace_a_snapshot_of_its_name() {
    let ground = changed();
    ground.take("copy@two");
    let to = ground.to("copy@two").force();
    let error = receive(&ground.zfs, &to, &streams().incremental).unwrap_err();
    assert!(error.is_exists(), "{error}");
    assert_eq!(ground.read("copy", "own"), b"change");
}

#[test]
fn a_held_snapshot_in_the_way_stays_with_all_changes() {
    let ground = changed();
    let newer = ground.take("copy@newer");
    let hold = ground.zfs.hold_temporarily([&newer], "keep").unwrap();
    let to = ground.to("copy@two").force();
    let error = receive(&ground.zfs, &to, &streams().incremental).unwrap_err();
    assert!(error.is_busy(), "{error}");
    assert!(ground.exists("copy@one"));
    assert!(ground.exists("copy@newer"));
    assert!(!ground.exists("copy@two"));
    drop(hold);
    receive(&ground.zfs, &to, &streams().incremental).unwrap();
    assert!(!ground.exists("copy@newer"));
}

#[test]
fn a_cloned_snapshot_in_the_way_stays_with_all_changes() {
    let ground = changed();
    let newer = ground.take("copy@newer");
    let clone = ground.dataset("clone");
    ground
        .zfs
        .clone_snapshot(&newer, &clone, &Properties::new())
        .unwrap();
    let to = ground.to("copy@two").force();
    let error = receive(&ground.zfs, &to, &streams().incremental).unwrap_err();
    let kinds = [ErrorKind::Exists, ErrorKind::HasClones];
    assert!(kinds.contains(&error.kind()), "{error}");
    assert!(error.to_string().contains("has clones (zfs get"), "{error}");
    assert!(ground.exists("copy@one"));
    assert!(ground.exists("copy@newer"));
    assert!(!ground.exists("copy@two"));
}
