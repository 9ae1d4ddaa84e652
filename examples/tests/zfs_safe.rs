//! `zfs-replicate --safe` and `zfs-replicate restore` on real pools: our own
//! defaults, from the command line.

#[path = "../../zfs-core/tests/fixture/mod.rs"]
mod fixture;
#[path = "../../zfs-replicate/tests/sshd/mod.rs"]
mod sshd;

#[path = "zfs_safe/encryption.rs"]
mod encryption;
#[path = "zfs_safe/options.rs"]
mod options;
#[path = "zfs_safe/progress.rs"]
mod progress;
#[path = "zfs_safe/restore.rs"]
mod restore;
#[path = "zfs_safe/ssh.rs"]
mod ssh;
#[path = "zfs_safe/target.rs"]
mod target;
#[path = "zfs_safe/tree.rs"]
mod tree;

use std::process::{Command, Stdio};

use fixture::{Pool, get, noise, run};
use serde_json::Value;
use zfs_core::DatasetName;

/// What a run said, and how it ended.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ran {
    #[track_caller]
    fn well(self) -> Ran {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// The lines of `--json`.
    #[track_caller]
    fn events(&self) -> Vec<Value> {
        let lines = self.stdout.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The words of the steps of a plan.
    #[track_caller]
    fn steps(&self) -> Vec<String> {
        let events = self.events();
        let plan = events.iter().filter(|event| event["event"] == "plan");
        plan.map(|event| event["step"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn command(arguments: &[&str]) -> Command {
    let folder = std::env::var("ZFS_TEST_BIN_DIR").expect("cargo xtask test sets it");
    let mut command = Command::new(format!("{folder}/zfs-replicate"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn replicate(arguments: &[&str]) -> Ran {
    let output = command(arguments).output().unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A pool with a tree to replicate, and one to replicate to.
struct Site {
    a: Pool,
    b: Pool,
}

impl Site {
    fn new() -> Site {
        let site = Site {
            a: Pool::new(),
            b: Pool::new(),
        };
        let src = site.a.filesystem("src");
        let child = site.a.filesystem("src/child");
        site.a.write(&src, "a", &noise(1, 300_000));
        site.a.write(&child, "b", b"child");
        site.take("one");
        site
    }

    fn take(&self, name: &str) {
        let snapshot = self.a.snapshot(&format!("src@{name}"));
        run(&["zfs", "snapshot", "-r", snapshot.as_str()]);
    }

    fn source(&self) -> DatasetName {
        self.a.dataset("src")
    }

    fn target(&self) -> DatasetName {
        self.b.dataset("dst")
    }

    fn safe(&self, options: &[&str]) -> Ran {
        self.with_safe(options, replicate)
    }

    fn with_safe<R>(&self, options: &[&str], run: impl FnOnce(&[&str]) -> R) -> R {
        let (source, target) = (self.source(), self.target());
        let head = ["--safe", "-r", "--identifier=vault"];
        run(&[&head[..], options, &[source.as_str(), target.as_str()]].concat())
    }

    /// Everything on both pools.
    fn everything(&self) -> String {
        let list = ["zfs", "list", "-Hrpo", "name,guid,createtxg", "-t", "all"];
        run(&[&list[..], &[self.a.name().as_str(), self.b.name().as_str()]].concat())
    }
}

/// The snapshots of a dataset, the oldest first.
fn snapshots(dataset: &DatasetName) -> Vec<String> {
    points(dataset, "snapshot", '@')
}

fn bookmarks(dataset: &DatasetName) -> Vec<String> {
    points(dataset, "bookmark", '#')
}

fn points(dataset: &DatasetName, kind: &str, separator: char) -> Vec<String> {
    let list = ["zfs", "list", "-Hd1", "-s", "createtxg", "-o", "name", "-t"];
    let text = run(&[&list[..], &[kind, dataset.as_str()]].concat());
    text.lines()
        .map(|line| line.split_once(separator).unwrap().1.to_owned())
        .collect()
}

fn guid(pool: &Pool, snapshot: &str) -> u64 {
    get(pool.snapshot(snapshot), "guid").parse().unwrap()
}
