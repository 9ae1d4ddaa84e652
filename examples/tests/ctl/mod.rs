//! zfs-ctl against zfs(8): the same commands on two fresh pools, and then the
//! same state of both; and what both say of one pool.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub fn binary() -> PathBuf {
    let folder = std::env::var_os("ZFS_TEST_BIN_DIR").expect("cargo xtask test sets it");
    PathBuf::from(folder).join("zfs-ctl")
}

/// A pool on a file, mounted below a folder of its own.
pub struct Pool {
    pub name: String,
    pub folder: tempfile::TempDir,
}

/// Whether zfs(8) made a dataset and could not mount it.
fn created_and_busy(output: &Output) -> bool {
    let said = String::from_utf8_lossy(&output.stderr);
    said.contains("dataset is busy") && said.contains("successfully created, but not mounted")
}

impl Pool {
    pub fn new() -> Pool {
        Pool::of(1, &[])
    }

    /// Four disks, one of them for parity: blocks take more than their size.
    pub fn raidz() -> Pool {
        Pool::of(4, &["raidz"])
    }

    pub fn draid() -> Pool {
        Pool::of(4, &["draid"])
    }

    /// Disks with sectors of 2 to that power of bytes.
    pub fn with_sectors(ashift: u32, disks: usize, layout: &[&str]) -> Pool {
        let sectors = format!("ashift={ashift}");
        Pool::made(&["-o", &sectors], disks, layout)
    }

    fn of(disks: usize, layout: &[&str]) -> Pool {
        Pool::made(&[], disks, layout)
    }

    fn made(options: &[&str], disks: usize, layout: &[&str]) -> Pool {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let folder = tempfile::tempdir().expect("a folder");
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ctl{}x{count:03}", std::process::id());
        let disks = (0..disks).map(|number| {
            let disk = folder.path().join(format!("disk{number}"));
            File::create(&disk)
                .and_then(|file| file.set_len(128 << 20))
                .expect("a disk");
            disk
        });
        let made = Command::new("zpool")
            .args(["create", "-f", "-o", "cachefile=none", "-m"])
            .arg(folder.path().join("mnt"))
            .args(options)
            .arg(&name)
            .args(layout)
            .args(disks)
            .output()
            .expect("zpool");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "zpool create {name}: {said}");
        Pool { name, folder }
    }

    /// `POOL` and `DIR` in a word are this pool's.
    pub fn filled(&self, word: &str) -> String {
        word.replace("POOL", &self.name)
            .replace("DIR", self.folder.path().to_str().expect("text"))
    }

    /// And back, so that the output for two pools can be compared.
    pub fn general(&self, text: &str) -> String {
        text.replace(self.folder.path().to_str().expect("text"), "DIR")
            .replace(&self.name, "POOL")
    }

    pub fn run(&self, program: &mut Command, line: &str) -> Output {
        let line = self.filled(line);
        let (words, input) = line.split_once(" < ").unwrap_or((&line, ""));
        let (words, output) = words.split_once(" > ").unwrap_or((words, ""));
        program.args(words.split(' '));
        program.stdin(match input {
            "" => Stdio::null(),
            file => Stdio::from(File::open(file).expect("the input")),
        });
        if !output.is_empty() {
            program.stdout(File::create(output).expect("the output"));
        }
        let output = program.output().expect("the program");
        if created_and_busy(&output) {
            return self.mounted_later(words);
        }
        output
    }

    /// The kernel may still be at work on what was just made, and then zfs(8)
    /// gives up mounting it.
    fn mounted_later(&self, words: &str) -> Output {
        let dataset = words.rsplit(' ').next().unwrap_or_default();
        let begun = Instant::now();
        loop {
            thread::sleep(Duration::from_millis(100));
            let output = self.run(&mut Command::new("zfs"), &format!("mount {dataset}"));
            if output.status.success() || begun.elapsed() > Duration::from_secs(10) {
                return output;
            }
        }
    }

    /// Everything that is in it, and what of that is mounted where.
    pub fn state(&self) -> String {
        let shown = |program: &str, line: &str| {
            let output = self.run(&mut Command::new(program), line);
            self.general(&String::from_utf8_lossy(&output.stdout))
        };
        let mut state = shown(
            "zfs",
            "list -Hr -t all -o name,type,origin,mountpoint,mounted,keystatus,userrefs POOL",
        );
        // Those that differ by nature, and space, which may.
        let by_nature = [
            "creation",
            "guid",
            "createtxg",
            "objsetid",
            "used",
            "available",
            "referenced",
            "written",
            "usedby",
            "logical",
            "compressratio",
            "refcompressratio",
            "snapshots_changed",
            // GUIDs.
            "redact_snaps",
        ];
        for line in shown(
            "zfs",
            "get -Hpr -t all -o name,property,value,source all POOL",
        )
        .lines()
        {
            let property = line.split('\t').nth(1).unwrap_or_default();
            if !by_nature.iter().any(|known| property.starts_with(known)) {
                state.push_str(line);
                state.push('\n');
            }
        }
        let mounts = shown("findmnt", "-nrt zfs -o TARGET,SOURCE,OPTIONS");
        for line in mounts.lines().filter(|line| line.contains("POOL")) {
            state.push_str(line);
            state.push('\n');
        }
        state
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // The last first: one can lie over another.
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        for line in mounts.lines().rev() {
            let mut fields = line.split(' ');
            if let (Some(source), Some(path)) = (fields.next(), fields.next()) {
                if source.split('/').next() == Some(&self.name) {
                    let _ = Command::new("umount").arg(path).status();
                }
            }
        }
        let _ = Command::new("zpool")
            .args(["destroy", "-f", &self.name])
            .status();
    }
}

/// Runs the lines with zfs(8) on one pool and with zfs-ctl on another, and
/// compares exit codes after each, and the state at the end.
#[track_caller]
pub fn same(lines: &[&str]) {
    same_on([Pool::new(), Pool::new()], lines);
}

/// The same on these two.
#[track_caller]
pub fn same_on([theirs, ours]: [Pool; 2], lines: &[&str]) {
    for pool in [&theirs, &ours] {
        fs::write(pool.folder.path().join("raw.key"), [5; 32]).unwrap();
        fs::write(
            pool.folder.path().join("hex.key"),
            format!("{}\n", "0f".repeat(32)),
        )
        .unwrap();
        fs::write(
            pool.folder.path().join("phrase.key"),
            "correct horse battery\n",
        )
        .unwrap();
    }
    let mut differences = Vec::new();
    for line in lines {
        let one = theirs.run(&mut Command::new("zfs"), line);
        let other = ours.run(&mut Command::new(binary()), line);
        let code = |output: &Output| match output.status.code() {
            // What some of its verbs end with where the man page says 1.
            Some(255) => Some(1),
            // An error's number.
            Some(2 | 17 | 22) if line.starts_with("redact ") => Some(1),
            code => code,
        };
        if code(&one) != code(&other) {
            let told = [&one, &other].map(|output| {
                let text = String::from_utf8_lossy(&output.stderr);
                format!("{:?} {}", output.status.code(), text.trim())
            });
            differences.push(format!("{line}: zfs {}, zfs-ctl {}", told[0], told[1]));
        }
    }
    let (one, other) = (theirs.state(), ours.state());
    let lines = |state: &str| state.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let (one, other) = (lines(&one), lines(&other));
    for line in one.difference(&other) {
        differences.push(format!("only zfs: {line}"));
    }
    for line in other.difference(&one) {
        differences.push(format!("only zfs-ctl: {line}"));
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// The output and the exit code of both for lines that only look at what these
/// have made.
#[track_caller]
pub fn says_the_same(pool: &Pool, before: &[&str], lines: &[&str]) {
    for line in before {
        let output = pool.run(&mut Command::new("zfs"), line);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}");
    }
    // What space is used settles.
    pool.run(&mut Command::new("zpool"), "sync POOL");
    let mut differences = Vec::new();
    for line in lines {
        let one = pool.run(&mut Command::new("zfs"), line);
        let other = pool.run(&mut Command::new(binary()), line);
        if one.status.success() != other.status.success() {
            let said = [&one, &other].map(|output| String::from_utf8_lossy(&output.stderr));
            differences.push(format!("{line}: zfs {:?}, zfs-ctl {:?}", said[0], said[1]));
        }
        let text = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
        let (one, other) = (text(&one), text(&other));
        if one == other {
            continue;
        }
        let mut theirs = one.lines();
        let mut ours = other.lines();
        loop {
            match (theirs.next(), ours.next()) {
                (None, None) => break,
                (a, b) if a == b => {}
                (a, b) => {
                    differences.push(format!("{line}:\n zfs     {a:?}\n zfs-ctl {b:?}"));
                    break;
                }
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// What `zfs version` says of its programs and of the kernel.
pub fn zfs_versions() -> [String; 2] {
    let output = Command::new("zfs").arg("version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.try_into().expect("two lines")
}
