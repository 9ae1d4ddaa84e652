//! Replication that is cut off, or cannot go on, and the run that heals it.
//!
//! Processes are killed at random moments of a replication, each in its turn;
//! one more run has to complete it, and must not send again what arrived. A
//! dozen moments always, a hundred with `ZFS_TEST_LONG`; `ZFS_TEST_SEED`
//! chooses others.

#[path = "../../zfs-core/tests/fixture/mod.rs"]
mod fixture;
#[path = "../../zfs-replicate/tests/sshd/mod.rs"]
mod sshd;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fixture::{Pool, attempt, get, noise, run};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sshd::Sshd;
use zfs_core::{CreateRequest, DatasetName, Encryption, WrappingKey};
use zfs_stream::token::ResumeToken;

/// What a replication may take at the very most, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

fn is_long() -> bool {
    std::env::var_os("ZFS_TEST_LONG").is_some()
}

fn program() -> Command {
    let folder = std::env::var("ZFS_TEST_BIN_DIR").expect("cargo xtask test sets it");
    let mut command = Command::new(format!("{folder}/zfs-replicate"));
    command.stdin(Stdio::null());
    command
}

/// Waits for a process that must not take forever.
#[track_caller]
fn wait(child: &mut Child) -> ExitStatus {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if began.elapsed() > PATIENCE {
            let stack = fs::read_to_string(format!("/proc/{}/stack", child.id()));
            let _ = child.kill();
            panic!("it hangs: {stack:?}");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// The same numbers for the same seed.
struct Random(u64);

impl Random {
    fn new() -> Random {
        let seed = std::env::var("ZFS_TEST_SEED").ok();
        let seed = seed
            .and_then(|seed| seed.parse().ok())
            .unwrap_or(20_261_122);
        println!("ZFS_TEST_SEED={seed}");
        Random(seed)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }
}

/// Who is killed.
#[derive(Clone, Copy, Debug)]
enum Victim {
    /// zfs-replicate itself.
    Program,
    /// What it started: OpenSSH's clients.
    Client,
    /// sshd's processes for the connection.
    Server,
    /// zfs(8) at the other end.
    Zfs,
}

/// Which end is elsewhere.
#[derive(Clone, Copy)]
enum Way<'a> {
    Local,
    Push(&'a Sshd),
    Pull(&'a Sshd),
}

impl<'a> Way<'a> {
    fn sshd(self) -> Option<&'a Sshd> {
        match self {
            Way::Local => None,
            Way::Push(sshd) | Way::Pull(sshd) => Some(sshd),
        }
    }
}

/// All processes below one.
fn below(of: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut waiting = vec![of];
    while let Some(parent) = waiting.pop() {
        let path = format!("/proc/{parent}/task/{parent}/children");
        let text = fs::read_to_string(path).unwrap_or_default();
        let children = text.split_whitespace().filter_map(|pid| pid.parse().ok());
        for child in children {
            found.push(child);
            waiting.push(child);
        }
    }
    found
}

fn is_zfs(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "zfs")
}

fn kill(pids: &[u32]) {
    for pid in pids {
        let pid = i32::try_from(*pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended by now.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

impl Victim {
    fn processes(self, program: &Child, sshd: Option<&Sshd>) -> Vec<u32> {
        let served = sshd.map(|sshd| below(sshd.child.id())).unwrap_or_default();
        match self {
            Victim::Program => vec![program.id()],
            Victim::Client => below(program.id()),
            Victim::Server => served.into_iter().filter(|pid| !is_zfs(*pid)).collect(),
            Victim::Zfs => served.into_iter().filter(|pid| is_zfs(*pid)).collect(),
        }
    }
}

struct Site {
    a: Pool,
    b: Pool,
}

/// Which snapshots a target has.
fn arrived(target: &DatasetName) -> Vec<String> {
    let list = ["zfs", "list", "-Hd1", "-s", "createtxg", "-o", "name"];
    let output = attempt(&[&list[..], &["-t", "snapshot", target.as_str()]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| line.split_once('@').unwrap().1.to_owned())
        .collect()
}

const SNAPSHOTS: [(&str, usize); 3] = [("one", 12 << 20), ("two", 5 << 20), ("three", 2 << 20)];

impl Site {
    fn new() -> Site {
        Site {
            a: Pool::new(),
            b: Pool::new(),
        }
    }

    /// With three snapshots that take a while.
    fn filled() -> Site {
        let site = Site::new();
        let src = site.a.filesystem("src");
        for (name, bytes) in SNAPSHOTS {
            site.a.write(&src, name, &noise(bytes as u64, bytes));
            site.a.take(&format!("src@{name}"));
        }
        site
    }

    fn source(&self) -> DatasetName {
        self.a.dataset("src")
    }

    fn command(&self, way: Way<'_>, target: &DatasetName, options: &[&str]) -> Command {
        let mut command = program();
        command.arg("--safe").args(options);
        if let Some(sshd) = way.sshd() {
            command.args(sshd.options_of_syncoid());
        }
        let far = |dataset: &DatasetName| format!("root@127.0.0.1:{dataset}");
        let source = self.source();
        command.args(match way {
            Way::Local => [source.to_string(), target.to_string()],
            Way::Push(_) => [source.to_string(), far(target)],
            Way::Pull(_) => [far(&source), target.to_string()],
        });
        command
    }

    /// The only marker of a target says what it has.
    #[track_caller]
    fn is_marked(&self, id: &str) {
        let source = self.source();
        let list = ["zfs", "list", "-Hd1", "-t", "bookmark", "-o", "name"];
        let text = run(&[&list[..], &[source.as_str()]].concat());
        let prefix = format!("{source}#replica-{id}-");
        let own: Vec<&str> = text
            .lines()
            .filter(|name| name.starts_with(&prefix))
            .collect();
        let newest = get(format!("{source}@three"), "guid")
            .parse::<u64>()
            .unwrap();
        assert_eq!(own, [format!("{prefix}{newest:016x}")]);
    }

    /// What is still to be sent, as ZFS estimates it.
    fn rest(&self, target: &DatasetName) -> u64 {
        let arrived = arrived(target);
        let mut rest = 0;
        for (index, (name, _)) in SNAPSHOTS.iter().enumerate() {
            if arrived.iter().any(|arrived| arrived == name) {
                continue;
            }
            let snapshot = format!("{}@{name}", self.source());
            let mut send = vec!["zfs", "send", "-nPLc"];
            let base = index.checked_sub(1).map(|index| SNAPSHOTS[index].0);
            let base = base.map(|base| format!("@{base}"));
            if let Some(base) = &base {
                send.extend(["-i", base]);
            }
            send.push(&snapshot);
            let said = run(&send);
            let size = said.lines().find_map(|line| line.strip_prefix("size\t"));
            rest += size.unwrap().trim().parse::<u64>().unwrap();
        }
        let token = attempt(&[
            "zfs",
            "get",
            "-Ho",
            "value",
            "receive_resume_token",
            target.as_str(),
        ]);
        let token = String::from_utf8(token.stdout).unwrap();
        match token.trim() {
            "" | "-" => rest,
            token => rest - ResumeToken::decode(token).unwrap().bytes.min(rest),
        }
    }

    /// Kills somebody at a moment of a replication, and completes it.
    #[track_caller]
    fn interrupt(&self, way: Way<'_>, victim: Victim, at: Duration, number: usize) {
        let case = format!("{victim:?} after {at:?}");
        let ssh = way.sshd();
        let id = format!("dst{number}");
        let target = self.b.dataset(&id);
        let identifier = format!("--identifier={id}");
        let mut child = self
            .command(way, &target, &["--retries=0", "--quiet", &identifier])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(at);
        // Who is to be killed may not be there yet.
        while child.try_wait().unwrap().is_none() {
            let pids = victim.processes(&child, ssh);
            if !pids.is_empty() {
                kill(&pids);
                break;
            }
            thread::sleep(Duration::from_millis(2));
        }
        wait(&mut child);
        // Who is left alone finds out.
        let began = Instant::now();
        while ssh.is_some_and(|ssh| below(ssh.child.id()).into_iter().any(is_zfs)) {
            assert!(began.elapsed() < PATIENCE, "{case}: zfs stays");
            thread::sleep(Duration::from_millis(20));
        }
        let rest = self.rest(&target);
        // Were everything pruned now, the next increment had its base.
        let guids = |kind, of: &DatasetName| {
            let list = [
                "list",
                "-Hp",
                "-d",
                "1",
                "-t",
                kind,
                "-o",
                "guid",
                "-s",
                "createtxg",
            ];
            let output = Command::new("zfs").args(list).arg(of.as_str()).output();
            String::from_utf8(output.unwrap().stdout).unwrap()
        };
        if let Some(last) = guids("snapshot", &target).lines().last() {
            let bookmarks = guids("bookmark", &self.source());
            assert!(bookmarks.lines().any(|guid| guid == last), "{case}");
        }

        let output = self
            .command(way, &target, &["--json", "--retries=5", &identifier])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{case}: {said}{complaints}");
        let done: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
        let sent = done["bytes"].as_u64().unwrap();
        println!("{case}: {rest} bytes left, {sent} sent");
        // Records have heads and ends, which no estimate counts; and the kernel
        // goes on with the block that it was at, which `bytes` has in it.
        assert!(
            sent <= rest + rest / 20 + (128 << 10) + (64 << 10),
            "{case}: {sent} bytes for {rest}"
        );
        assert_eq!(arrived(&target), SNAPSHOTS.map(|(name, _)| name));
        let guid = |name: String| get(name, "guid");
        for (name, _) in SNAPSHOTS {
            let both = [&self.source(), &target].map(|dataset| guid(format!("{dataset}@{name}")));
            assert_eq!(both[0], both[1]);
        }
        self.is_marked(&id);
        run(&["zfs", "destroy", "-r", target.as_str()]);
    }

    fn campaign(&self, way: Way<'_>, victims: &[Victim], moments: usize) {
        let whole = self.b.dataset("whole");
        let began = Instant::now();
        let mut child = self.command(way, &whole, &["--quiet"]).spawn().unwrap();
        assert!(wait(&mut child).success());
        let takes = began.elapsed();
        run(&["zfs", "destroy", "-r", whole.as_str()]);
        let mut random = Random::new();
        for (number, victim) in victims.iter().cycle().take(moments).enumerate() {
            let at = Duration::from_millis(random.below(takes.as_millis() as u64));
            self.interrupt(way, *victim, at, number);
        }
    }
}

#[test]
fn a_run_that_is_killed_anywhere_is_completed_by_the_next() {
    let moments = if is_long() { 50 } else { 6 };
    Site::filled().campaign(Way::Local, &[Victim::Program], moments);
}

#[test]
fn each_process_of_a_push_is_killed_in_turn_and_the_next_run_completes_it() {
    let sshd = Sshd::start();
    let victims = [Victim::Server, Victim::Zfs, Victim::Program, Victim::Client];
    let moments = if is_long() { 50 } else { 6 };
    Site::filled().campaign(Way::Push(&sshd), &victims, moments);
}

#[test]
fn each_process_of_a_pull_is_killed_in_turn_and_the_next_run_completes_it() {
    let sshd = Sshd::start();
    let victims = [Victim::Zfs, Victim::Program, Victim::Client, Victim::Server];
    let moments = if is_long() { 50 } else { 4 };
    Site::filled().campaign(Way::Pull(&sshd), &victims, moments);
}

#[test]
fn a_connection_that_is_lost_is_made_again_by_the_same_run() {
    let site = Site::filled();
    let sshd = Sshd::start();
    let target = site.b.dataset("dst");
    let mut child = site
        .command(Way::Push(&sshd), &target, &[])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let began = Instant::now();
    let receives = || {
        below(sshd.child.id()).into_iter().any(|pid| {
            let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.starts_with("zfs\0receive")
        })
    };
    while !receives() {
        assert!(child.try_wait().unwrap().is_none() && began.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(5));
    }
    kill(&Victim::Server.processes(&child, Some(&sshd)));
    let status = wait(&mut child);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(status.success(), "{said}{complaints}");
    assert!(said.contains("trying again"), "{said}");
    assert!(
        complaints.contains("the connection was lost"),
        "{complaints}"
    );
    assert_eq!(arrived(&target), SNAPSHOTS.map(|(name, _)| name));
}

/// Runs to the end, and gives the exit code and what went wrong.
fn ended(mut command: Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), complaints)
}

#[track_caller]
fn heals(site: &Site, target: &DatasetName, options: &[&str], snapshots: &[&str]) {
    let (code, said) = ended(site.command(Way::Local, target, options));
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert_eq!(arrived(target), snapshots);
}

#[test]
fn a_target_that_is_read_only_is_told_and_the_next_run_heals() {
    let site = Site::new();
    let src = site.a.filesystem("src");
    site.a.write(&src, "a", &noise(1, 300_000));
    site.a.take("src@one");
    site.b.import_again(&["-o", "readonly=on"]);
    let target = site.b.dataset("dst");
    let sshd = Sshd::start();
    for way in [Way::Local, Way::Push(&sshd)] {
        let (code, said) = ended(site.command(way, &target, &["--retries=0"]));
        assert_eq!(code, Some(1));
        assert!(said.contains("read-only") && said.contains("dst"), "{said}");
    }
    site.b.import_again(&[]);
    heals(&site, &target, &[], &["one"]);
}

#[test]
fn a_target_pool_that_is_full_is_told_and_once_there_is_room_the_next_run_goes_on() {
    let site = Site::filled();
    // All but 14 MiB of what the target has.
    let target = site.b.dataset("dst");
    let ballast = site.b.filesystem("ballast");
    let available: usize = get(&ballast, "available").parse().unwrap();
    let fill = available.checked_sub(14 << 20).unwrap();
    site.b.write(&ballast, "a", &noise(9, fill));
    run(&["zpool", "sync", site.b.name().as_str()]);
    let sshd = Sshd::start();
    // First here, then at the other end, where it goes on and gets no further.
    for (way, no_space) in [
        (Way::Local, "no space left"),
        (Way::Push(&sshd), "out of space"),
    ] {
        let (code, said) = ended(site.command(way, &target, &["--retries=0"]));
        assert_eq!(code, Some(1), "{said}");
        assert!(
            said.contains(no_space) && said.contains(target.as_str()),
            "{said}"
        );
        assert!(said.contains("zfs list -o space"), "{said}");
    }
    // What had arrived is there, and the rest is known.
    let whole = arrived(&target);
    assert_eq!(
        whole,
        SNAPSHOTS[..whole.len()]
            .iter()
            .map(|(n, _)| *n)
            .collect::<Vec<_>>()
    );
    assert!(whole.len() < SNAPSHOTS.len());
    // A pool that is full cannot even forget; zfs destroy finds room for that.
    run(&["zfs", "destroy", "-r", ballast.as_str()]);
    run(&["zpool", "wait", "-t", "free", site.b.name().as_str()]);
    run(&["zpool", "sync", site.b.name().as_str()]);
    let rest = site.rest(&target);
    let (code, said) = ended(site.command(Way::Local, &target, &["--json"]));
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert_eq!(arrived(&target), SNAPSHOTS.map(|(name, _)| name));
    let whole: u64 = SNAPSHOTS.iter().map(|(_, bytes)| *bytes as u64).sum();
    assert!(rest < whole, "{rest} of {whole}");
    for (name, bytes) in SNAPSHOTS {
        assert!(site.b.read(&target, name) == noise(bytes as u64, bytes));
    }
}

#[test]
fn a_key_that_is_not_loaded_is_told_and_the_next_run_heals() {
    let site = Site::new();
    let key = WrappingKey::from_slice(&[7; 32]).unwrap();
    let request = CreateRequest::filesystem(site.source()).encryption(Encryption::raw(key));
    site.a.zfs.create(&request).unwrap();
    site.a.take("src@one");
    run(&["zfs", "unload-key", site.source().as_str()]);
    let target = site.b.dataset("dst");
    let (code, said) = ended(site.command(Way::Local, &target, &["--plaintext"]));
    assert_eq!(code, Some(1));
    assert!(said.contains("zfs load-key"), "{said}");
    assert!(arrived(&target).is_empty());
    let load = format!(
        "head -c 32 /dev/zero | tr '\\000' '\\007' | zfs load-key {}",
        site.source()
    );
    run(&["sh", "-c", &load]);
    heals(&site, &target, &["--plaintext"], &["one"]);
}

#[test]
fn a_damaged_disk_of_the_source_is_told_and_the_next_run_heals() {
    let site = Site::new();
    let src = site.a.filesystem("src");
    let content = noise(1, 2 << 20);
    site.a.write(&src, "a", &content);
    site.a.take("src@one");
    run(&["zpool", "sync", site.a.name().as_str()]);
    let path = site.a.path().join("disk");
    let disk = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let whole = disk.metadata().unwrap().len() as usize;
    let mut bytes = vec![0; whole];
    disk.read_exact_at(&mut bytes, 0).unwrap();
    let block = &content[1 << 20..(1 << 20) + 4096];
    let places: Vec<usize> = (0..whole - block.len())
        .step_by(512)
        .filter(|at| bytes[*at..].starts_with(block))
        .collect();
    assert!(!places.is_empty());
    for at in &places {
        disk.write_all_at(&[0; 4096], *at as u64).unwrap();
    }
    // What is in memory is whole.
    site.a.import_again(&[]);
    let target = site.b.dataset("dst");
    let (code, said) = ended(site.command(Way::Local, &target, &["--retries=0"]));
    assert_eq!(code, Some(1));
    assert!(said.contains("src@one"), "{said}");
    assert!(
        said.contains("checksum") || said.contains("I/O error") || said.contains("zpool status"),
        "{said}"
    );
    assert!(arrived(&target).is_empty());
    for at in &places {
        disk.write_all_at(block, *at as u64).unwrap();
    }
    run(&["zpool", "clear", site.a.name().as_str()]);
    heals(&site, &target, &[], &["one"]);
    assert!(site.b.read(&target, "a") == content);
}

#[test]
fn long_deep_and_odd_names_are_replicated() {
    let site = Site::new();
    let mut name = site.a.filesystem("src").to_string();
    let levels = if is_long() { 45 } else { 10 };
    for level in 0..levels {
        name.push_str(if level % 2 == 0 { "/a b" } else { "/c" });
        let dataset: DatasetName = name.parse().unwrap();
        site.a
            .zfs
            .create(&CreateRequest::filesystem(dataset))
            .unwrap();
    }
    let leaf = "x".repeat(255 - name.len() - "/@s".len());
    let deepest: DatasetName = format!("{name}/{leaf}").parse().unwrap();
    let odd = "it's 100 % \"of\" $HOME `and` \\more";
    let request = CreateRequest::filesystem(deepest.clone()).property("org.example:note", odd);
    site.a.zfs.create(&request).unwrap();
    let snapshot = format!("{}@s", site.source());
    run(&["zfs", "snapshot", "-r", &snapshot]);
    assert_eq!(deepest.as_str().len() + 2, 255);
    let target = site.b.dataset("d");
    let options = ["-r", "--preserve-properties"];
    heals(&site, &target, &options, &["s"]);
    let path = deepest
        .as_str()
        .strip_prefix(site.source().as_str())
        .unwrap();
    let copy = format!("{target}{path}");
    assert_eq!(get(&copy, "org.example:note"), odd);
    assert_eq!(
        get(format!("{copy}@s"), "guid"),
        get(format!("{deepest}@s"), "guid")
    );
}
