//! Corrective receives: a stream repairs the blocks of a snapshot that the
//! pool can no longer read.

mod fixture;

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use fixture::shared::{Ground, streams};
use fixture::{Pool, attempt, get, noise, receive, run, send, version};
use zfs_core::{ErrorKind, SendRequest};

/// Whether this ZFS can, which the call itself says in words where it cannot.
fn can_heal() -> bool {
    version() >= (2, 2)
}

#[test]
fn a_whole_snapshot_takes_a_corrective_receive_and_properties() {
    let ground = Ground::new();
    receive(&ground.zfs, &ground.to("copy@one"), &streams().full).unwrap();
    let to = ground
        .to("copy@one")
        .heal()
        .property("compression", "on")
        .property("org.example:own", "value");
    let healed = receive(&ground.zfs, &to, &streams().full);
    if can_heal() {
        healed.unwrap();
        let copy = ground.dataset("copy");
        assert_eq!(get(&copy, "compression"), "on");
        assert_eq!(get(&copy, "org.example:own"), "value");
    } else {
        let error = healed.unwrap_err();
        assert!(error.is_unsupported(), "{error}");
        assert!(error.to_string().contains("2.2"), "{error}");
    }
}

/// Overwrites what the disk has of that content, wherever that is.
fn damage(pool: &Pool, content: &[u8]) {
    let path = pool.path().join("disk");
    let disk = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let length = disk.metadata().unwrap().len();
    let mut window = vec![0; 1 << 20];
    let mut hits = 0;
    // Blocks begin at whole sectors, and the windows at whole megabytes.
    for at in (0..length).step_by(window.len()) {
        let read = disk.read_at(&mut window, at).unwrap();
        for sector in (0..read).step_by(512) {
            if window[sector..].starts_with(&content[..512]) {
                disk.write_at(&[0x55; 4096], at + sector as u64).unwrap();
                hits += 1;
            }
        }
    }
    assert_eq!(hits, 1, "the block stands on the disk once");
}

#[test]
fn a_damaged_block_is_repaired_and_a_scrub_finds_nothing() {
    let pool = Pool::new();
    let content = noise(7, 1 << 20);
    let name = pool.filesystem("a");
    pool.write(&name, "file", &content);
    let snapshot = pool.take("a@x");
    let stream = send(&pool.zfs, &SendRequest::snapshot(snapshot.clone())).unwrap();
    pool.export();
    // The beginning of the fourth record.
    damage(&pool, &content[3 * (128 << 10)..]);
    let folder = pool.path().to_str().unwrap();
    run(&[
        "zpool",
        "import",
        "-o",
        "cachefile=none",
        "-d",
        folder,
        pool.name().as_str(),
    ]);
    let scrub = || run(&["zpool", "scrub", "-w", pool.name().as_str()]);
    let status = || run(&["zpool", "status", "-v", pool.name().as_str()]);
    scrub();
    assert!(!status().contains("No known data errors"), "{}", status());
    // A damaged block cannot be sent.
    let error = send(&pool.zfs, &SendRequest::snapshot(snapshot.clone())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");

    let to = zfs_core::ReceiveRequest::new(snapshot).heal();
    let healed = receive(&pool.zfs, &to, &stream);
    if !can_heal() {
        assert!(healed.unwrap_err().is_unsupported());
        return;
    }
    healed.unwrap();
    attempt(&["zpool", "clear", pool.name().as_str()]);
    scrub();
    assert!(status().contains("No known data errors"), "{}", status());
    assert!(pool.read(&name, "file") == content);
}

#[test]
fn another_snapshot_s_stream_does_not_heal() {
    let ground = Ground::with(&["copy"]);
    ground.take("copy@one");
    let to = ground.to("copy@one").heal();
    let error = receive(&ground.zfs, &to, &streams().full).unwrap_err();
    if can_heal() {
        assert_ne!(error.kind(), ErrorKind::Other, "{error}");
    } else {
        assert!(error.is_unsupported(), "{error}");
    }
    // And one that is not there is not made.
    let to = ground.to("copy@missing").heal();
    receive(&ground.zfs, &to, &streams().full).unwrap_err();
    assert!(!ground.exists("copy@missing"));
}
