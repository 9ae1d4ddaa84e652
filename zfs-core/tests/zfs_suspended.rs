//! What a pool says whose only device has failed.
//!
//! The device is a device-mapper one over a loop device, which is made to fail
//! every request, and to work again: ZFS goes on where it was. Nothing here
//! may wait for the pool meanwhile.

mod fixture;

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use fixture::shared::streams;
use fixture::{attempt, receive, run, send, zfs};
use zfs_core::{
    BookmarkName, CreateRequest, DatasetName, Defer, Error, ErrorKind, ReceiveRequest, SendRequest,
    SnapshotName,
};

const BYTES: u64 = 128 << 20;

/// A pool on a device that can be made to fail.
struct Fragile {
    pool: String,
    device: String,
    under: String,
    waiting: Option<Child>,
    _folder: tempfile::TempDir,
}

impl Fragile {
    fn new() -> Fragile {
        run(&["modprobe", "-a", "loop", "dm_mod"]);
        let folder = tempfile::tempdir().unwrap();
        let disk = folder.path().join("disk");
        File::create(&disk).unwrap().set_len(BYTES).unwrap();
        let under = run(&["losetup", "-f", "--show", disk.to_str().unwrap()]);
        let name = format!("zcsuspended{}", std::process::id());
        let fragile = Fragile {
            pool: name.clone(),
            device: name,
            under: under.trim().to_owned(),
            waiting: None,
            _folder: folder,
        };
        let works = fragile.works();
        Fragile::dmsetup(&["create", &fragile.device, "--table", &works]);
        run(&[
            "zpool",
            "create",
            "-f",
            "-o",
            "cachefile=none",
            "-O",
            "mountpoint=none",
            &fragile.pool,
            &format!("/dev/mapper/{}", fragile.device),
        ]);
        fragile
    }

    fn works(&self) -> String {
        format!("0 {} linear {} 0", BYTES / 512, self.under)
    }

    #[track_caller]
    fn dmsetup(arguments: &[&str]) {
        let output = Command::new("dmsetup")
            .args(arguments)
            .env("DM_DISABLE_UDEV", "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
    }

    fn becomes(&self, table: &str) {
        Fragile::dmsetup(&["suspend", "--noflush", "--nolockfs", &self.device]);
        Fragile::dmsetup(&["load", &self.device, "--table", table]);
        Fragile::dmsetup(&["resume", &self.device]);
    }

    /// Makes the device fail, and waits until ZFS has noticed.
    fn fail(&mut self) {
        self.becomes(&format!("0 {} error", BYTES / 512));
        // Waits for as long as the device fails.
        let waiting = Command::new("zpool")
            .args(["sync", &self.pool])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.waiting = Some(waiting);
        for _ in 0..600 {
            if run(&["zpool", "list", "-Ho", "health", &self.pool]).trim() == "SUSPENDED" {
                return;
            }
            sleep(Duration::from_millis(100));
        }
        panic!("the pool is not suspended");
    }

    fn dataset(&self, relative: &str) -> DatasetName {
        format!("{}{relative}", self.pool).parse().unwrap()
    }

    fn snapshot(&self, relative: &str) -> SnapshotName {
        format!("{}{relative}", self.pool).parse().unwrap()
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        // A pool that stays suspended would keep the whole run waiting.
        self.becomes(&self.works());
        attempt(&["zpool", "clear", &self.pool]);
        if let Some(mut waiting) = self.waiting.take() {
            let _ = waiting.wait();
        }
        attempt(&["zpool", "destroy", "-f", &self.pool]);
        Fragile::dmsetup(&["remove", "--retry", &self.device]);
        attempt(&["losetup", "-d", &self.under]);
    }
}

#[test]
fn every_call_on_a_suspended_pool_says_so_at_once() {
    let stream = &streams().full;
    let mut fragile = Fragile::new();
    let zfs = &zfs();
    let there = fragile.snapshot("@there");
    zfs.snapshot([&there]).unwrap();
    let mark: BookmarkName = format!("{}#mark", fragile.pool).parse().unwrap();
    fragile.fail();

    let answers: [(&str, Result<(), Error>); 11] = [
        ("exists", zfs.exists(&there).map(drop)),
        ("exists not", zfs.exists(&fragile.dataset("/x")).map(drop)),
        ("snapshot", zfs.snapshot([&fragile.snapshot("@x")])),
        ("destroy", zfs.destroy_snapshots([&there], Defer::No)),
        ("hold", zfs.hold([&there], "tag")),
        ("bookmark", zfs.bookmark([(&mark, &(&there).into())])),
        (
            "create",
            zfs.create(&CreateRequest::filesystem(fragile.dataset("/a"))),
        ),
        ("rollback", zfs.rollback_to(&there)),
        (
            "send",
            send(zfs, &SendRequest::snapshot(there.clone())).map(drop),
        ),
        (
            "receive",
            receive(
                zfs,
                &ReceiveRequest::new(fragile.snapshot("/copy@one")),
                stream,
            )
            .map(drop),
        ),
        (
            "receive from a reader",
            zfs.receive_from(
                &ReceiveRequest::new(fragile.snapshot("/copy@one")),
                &stream[..],
            )
            .map(drop),
        ),
    ];
    // It works again whatever the answers were.
    fragile.becomes(&fragile.works());
    run(&["zpool", "clear", &fragile.pool]);
    for (what, answer) in answers {
        let error = answer.expect_err(what);
        assert_eq!(error.kind(), ErrorKind::Suspended, "{what}: {error}");
        assert!(error.to_string().contains("zpool clear"), "{what}: {error}");
    }
    // And what was refused can be done now.
    zfs.snapshot([&fragile.snapshot("@x")]).unwrap();
    zfs.destroy_snapshots([&there], Defer::No).unwrap();
}
