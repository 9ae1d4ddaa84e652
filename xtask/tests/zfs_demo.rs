//! The demo in the ZFS machine: that it passes, that it can fail, that it
//! recovers from a kill, and that it leaves nothing behind.
//!
//! Needs root, ZFS, and the folder of the project's binaries in
//! `ZFS_TEST_BIN_DIR`; `cargo xtask test` brings all three.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

/// The demo's pools have fixed names: one demo at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A demo about to run, with a folder for everything it makes.
struct Demo {
    dir: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Demo {
    fn new() -> Self {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("tmp")).unwrap();
        Self { dir, _turn: turn }
    }

    fn command(&self, args: &[&str]) -> Command {
        let bin_dir = std::env::var_os("ZFS_TEST_BIN_DIR").expect("ZFS_TEST_BIN_DIR is not set");
        let mut command = Command::new(Path::new(&bin_dir).join("xtask"));
        command
            .args(["demo", "--host", "--bin-dir"])
            .arg(bin_dir)
            .args(args)
            .env("TMPDIR", self.dir.path().join("tmp"));
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        let started = Instant::now();
        let output = self.command(args).output().unwrap();
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        println!("{}", String::from_utf8_lossy(&output.stdout));
        println!("demo {args:?}: {:.1} s", started.elapsed().as_secs_f64());
        self.assert_nothing_is_left();
        output
    }

    fn assert_nothing_is_left(&self) {
        let pools = stdout(Command::new("zpool").args(["list", "-H", "-o", "name"]));
        assert!(!pools.contains("site-"), "pools are left: {pools}");
        let left: Vec<PathBuf> = std::fs::read_dir(self.dir.path().join("tmp"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert!(left.is_empty(), "files are left: {left:?}");
    }
}

fn stdout(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What `zstream dump` says of a stream's BEGIN record.
#[derive(Debug)]
struct Begin {
    dataset: String,
    is_raw: bool,
    toguid: String,
    fromguid: String,
}

fn dump(stream: &Path) -> Begin {
    let dumped = stdout(Command::new("zstream").arg("dump").arg(stream));
    let value = |key: &str| {
        let mut pairs = dumped.lines().filter_map(|line| line.split_once('='));
        match pairs.find(|(name, _)| name.trim() == key) {
            Some((_, value)) => value.trim().to_owned(),
            None => panic!("{}: no {key} in {dumped}", stream.display()),
        }
    };
    assert!(
        value("Total DRR_END records").starts_with("1 "),
        "{}",
        stream.display()
    );
    let features = u64::from_str_radix(&value("features"), 16).unwrap();
    Begin {
        dataset: value("toname").split_once('@').unwrap().0.to_owned(),
        is_raw: features & (1 << 24) != 0,
        toguid: value("toguid"),
        fromguid: value("fromguid"),
    }
}

/// The streams of one round in the order in which they were sent.
fn streams(dir: &Path) -> Vec<PathBuf> {
    let mut streams: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension() == Some(OsStr::new("zfs")))
        .collect();
    streams.sort();
    streams
}

#[test]
fn the_demo_passes_and_its_streams_are_raw_and_incremental_where_they_should_be() {
    let demo = Demo::new();
    let kept = demo.dir.path().join("streams");
    let output = demo.run(&["--keep-streams", kept.to_str().unwrap()]);
    assert!(output.status.success(), "{}", output.status);
    let said = text(&output.stdout);
    assert!(said.contains("Both sides are identical."), "{said}");
    for dataset in ["office", "office/files", "office/vault", "office/disk"] {
        let row = said.lines().find(|line| {
            line.split_whitespace().next() == Some(dataset) && line.ends_with("identical")
        });
        assert!(row.is_some(), "no row of {dataset}: {said}");
    }
    let mut newest: BTreeMap<String, String> = BTreeMap::new();
    for round in 1..=3 {
        let streams = streams(&kept.join(format!("round-{round}")));
        assert_eq!(streams.len(), 4, "round {round}: {streams:?}");
        for stream in streams {
            let begin = dump(&stream);
            assert_eq!(begin.is_raw, begin.dataset.ends_with("/vault"), "{begin:?}");
            let before = newest.insert(begin.dataset.clone(), begin.toguid.clone());
            let expected = before.unwrap_or_else(|| "0".to_owned());
            assert_eq!(begin.fromguid, expected, "round {round}: {begin:?}");
        }
    }
    assert_eq!(newest.len(), 4, "{newest:?}");
}

#[test]
fn one_changed_byte_on_the_target_fails_the_demo_and_its_file_is_named() {
    let demo = Demo::new();
    let output = demo.run(&["--tamper"]);
    assert_eq!(output.status.code(), Some(1));
    let (said, progress) = (text(&output.stdout), text(&output.stderr));
    let tampered = progress
        .lines()
        .find_map(|line| line.split_once("tampered with "))
        .and_then(|(_, rest)| rest.split_once(" of "))
        .map(|(_, path)| path.trim());
    let tampered = tampered.unwrap_or_else(|| panic!("no word of tampering: {progress}"));
    let named = format!("site-b/office/files: {tampered}: its content (BLAKE3) is ");
    assert_eq!(said.matches(&named).count(), 1, "{named}: {said}");
    assert!(said.contains("1 DIFFERENCE\n"), "{said}");
    assert!(!said.contains("identical."), "{said}");
}

#[test]
fn after_a_kill_in_the_largest_transfer_only_the_rest_is_sent() {
    let demo = Demo::new();
    let output = demo.run(&["--kill-at", "50"]);
    assert!(output.status.success(), "{}", output.status);
    let said = text(&output.stdout);
    assert!(said.contains("Both sides are identical."), "{said}");
    let numbers: Vec<u64> = said
        .lines()
        .skip_while(|line| !line.starts_with("Killed at 50 %"))
        .take(2)
        .flat_map(|line| line.split(|c: char| !c.is_ascii_digit()))
        .filter_map(|number| number.parse().ok())
        .collect();
    let [50, whole, arrived, missing, sent_after, ..] = numbers[..] else {
        panic!("{numbers:?}: {said}")
    };
    assert_eq!(whole - arrived, missing);
    assert!(arrived > 0, "{said}");
    assert!(sent_after <= missing + missing / 20, "{said}");
}

#[test]
fn a_signal_ends_the_demo_without_leaving_a_pool_or_a_file() {
    let demo = Demo::new();
    let mut child = demo
        .command(&[])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let said = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("round 1:")));
    assert!(said.is_some(), "the demo ended before its first round");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130), "{rest:?}");
    assert!(
        rest.iter().any(|line| line.contains("interrupted")),
        "{rest:?}"
    );
    demo.assert_nothing_is_left();
}

#[test]
fn a_pool_of_the_same_name_is_refused_and_left_alone() {
    let demo = Demo::new();
    let vdev = demo.dir.path().join("vdev");
    std::fs::File::create(&vdev)
        .unwrap()
        .set_len(64 << 20)
        .unwrap();
    stdout(
        Command::new("zpool")
            .args(["create", "-m", "none", "-o", "cachefile=none", "site-b"])
            .arg(&vdev),
    );
    let output = demo.command(&[]).output().unwrap();
    let health = stdout(Command::new("zpool").args(["list", "-H", "-o", "health", "site-b"]));
    stdout(Command::new("zpool").args(["destroy", "site-b"]));
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("has a pool named site-b already"), "{said}");
    assert_eq!(health.trim(), "ONLINE");
    demo.assert_nothing_is_left();
}
