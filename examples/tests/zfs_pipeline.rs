//! zfs-pipeline on real pools.

#[path = "../../zfs-core/tests/fixture/mod.rs"]
mod fixture;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use fixture::{Pool, get, noise, run};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use zfs_core::{CreateRequest, Encryption, WrappingKey};

/// More than any pipe holds, and more than a moment's work.
const LARGE: usize = 48 << 20;

/// A pool to replicate from and one to replicate to, and a file for it.
struct Sites {
    a: Pool,
    b: Pool,
    folder: tempfile::TempDir,
}

impl Sites {
    fn new() -> Sites {
        let sites = Sites {
            a: Pool::new(),
            b: Pool::new(),
            folder: tempfile::tempdir().unwrap(),
        };
        sites.a.filesystem("office");
        sites
    }

    fn toml(&self, last: u32, more: &str) -> PathBuf {
        let (a, b) = (self.a.name(), self.b.name());
        self.file(&format!(
            "[policy.few]\nlast = {last}\n\
             [[job]]\nname = \"office\"\nsource = \"{a}/office\"\npolicy = \"few\"\n{more}\
             [[job.target]]\ndataset = \"{b}/office\"\nidentifier = \"siteb\"\npolicy = \"few\"\n"
        ))
    }

    fn file(&self, text: &str) -> PathBuf {
        let path = self.folder.path().join("pipeline.toml");
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Everything that ZFS lists on both pools.
    fn everything(&self) -> String {
        let list = ["zfs", "list", "-Hrpo", "name,guid,createtxg", "-t", "all"];
        run(&[&list[..], &[self.a.name().as_str(), self.b.name().as_str()]].concat())
    }
}

/// A dataset's snapshots, the oldest first.
fn snapshots(pool: &Pool, dataset: &str) -> Vec<String> {
    let name = pool.dataset(dataset);
    let list = [
        "zfs",
        "list",
        "-Ho",
        "name",
        "-t",
        "snapshot",
        "-s",
        "createtxg",
    ];
    let text = run(&[&list[..], &[name.as_str()]].concat());
    text.lines()
        .map(|line| line.split_once('@').unwrap().1.to_owned())
        .collect()
}

fn program() -> PathBuf {
    let folder = std::env::var_os("ZFS_TEST_BIN_DIR").expect("cargo xtask test sets it");
    Path::new(&folder).join("zfs-pipeline")
}

fn start(file: &Path, args: &[&str]) -> Child {
    Command::new(program())
        .arg("run")
        .arg(file)
        .arg("--json")
        .args(args)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

struct Ran {
    code: Option<i32>,
    events: Vec<Value>,
}

impl Ran {
    fn of(&self, event: &str) -> Vec<&Value> {
        self.events
            .iter()
            .filter(|line| line["event"] == event)
            .collect()
    }

    #[track_caller]
    fn one(&self, event: &str) -> &Value {
        let all = self.of(event);
        assert_eq!(all.len(), 1, "{event}: {:#?}", self.events);
        all[0]
    }
}

fn events(child: &mut Child) -> impl Iterator<Item = Value> + use<> {
    let stdout = child.stdout.take().unwrap();
    BufReader::new(stdout)
        .lines()
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
}

fn pipeline(file: &Path, args: &[&str]) -> Ran {
    let mut child = start(file, args);
    let events = events(&mut child).collect();
    Ran {
        code: child.wait().unwrap().code(),
        events,
    }
}

#[track_caller]
fn pipeline_ok(file: &Path) -> Ran {
    let ran = pipeline(file, &[]);
    assert_eq!(ran.code, Some(0), "{:#?}", ran.events);
    assert_eq!(ran.events.last().unwrap()["ok"], true);
    ran
}

#[test]
fn every_run_snapshots_replicates_and_prunes_both_sides() {
    let sites = Sites::new();
    sites.a.filesystem("office/docs");
    sites.a.take("office@by-hand");
    let file = sites.toml(2, "");
    let mut sent = Vec::new();
    for round in 0..4_u8 {
        let docs = sites.a.dataset("office/docs");
        sites.a.write(&docs, "x", &noise(u64::from(round), 200_000));
        let ran = pipeline_ok(&file);
        assert_eq!(ran.of("snapshot").len(), 2);
        sent.extend(ran.of("sent").iter().map(|sent| sent["kind"].clone()));
        let done = ran.one("done");
        assert_eq!(done["failed"], 0);
    }
    assert_eq!(sent.iter().filter(|kind| *kind == "full").count(), 2);
    assert!(
        sent.iter()
            .all(|kind| kind == "full" || kind == "incremental")
    );

    // Two by the policy; what has another name is nobody's to destroy.
    for pool in [&sites.a, &sites.b] {
        let names = snapshots(pool, "office");
        assert_eq!(names.len(), 3, "{names:?}");
        assert_eq!(names[0], "by-hand");
        assert!(names[1].starts_with("pipeline_") && names[1].ends_with('Z'));
        assert_eq!(snapshots(pool, "office/docs").len(), 2);
    }
    assert_eq!(snapshots(&sites.a, "office"), snapshots(&sites.b, "office"));
    let docs = sites.b.dataset("office/docs");
    assert_eq!(sites.b.read(&docs, "x"), noise(3, 200_000));
}

#[test]
fn all_datasets_of_a_job_are_snapshot_in_one_transaction_group() {
    let sites = Sites::new();
    for name in ["office/a", "office/b", "office/b/c"] {
        sites.a.filesystem(name);
    }
    let ran = pipeline_ok(&sites.toml(2, ""));
    let txgs: Vec<_> = ran
        .of("snapshot")
        .iter()
        .map(|event| get(event["snapshot"].as_str().unwrap(), "createtxg"))
        .collect();
    assert_eq!(txgs.len(), 4);
    assert!(txgs.iter().all(|txg| *txg == txgs[0]), "{txgs:?}");
}

#[test]
fn a_dry_run_changes_nothing_and_tells_what_the_run_then_does() {
    let sites = Sites::new();
    let file = sites.toml(1, "");
    pipeline_ok(&file);
    thread::sleep(Duration::from_millis(1100));
    let before = sites.everything();
    let dry = pipeline(&file, &["--dry-run"]);
    assert_eq!(dry.code, Some(0));
    assert_eq!(sites.everything(), before);
    let steps = |ran: &Ran| -> Vec<String> {
        ran.of("plan")
            .iter()
            .map(|plan| plan["step"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        steps(&dry),
        ["snapshot", "incremental", "destroy", "destroy"]
    );
    let real = pipeline_ok(&file);
    assert_eq!(steps(&real), ["incremental", "destroy", "destroy"]);
    assert_eq!(real.of("destroyed").len(), 2);
}

#[test]
fn encrypted_data_goes_raw_and_the_kept_streams_show_it() {
    let sites = Sites::new();
    let key = WrappingKey::from_slice(&[9; 32]).unwrap();
    let vault = sites.a.dataset("office/vault");
    let request = CreateRequest::filesystem(vault.clone()).encryption(Encryption::raw(key));
    sites.a.zfs.create(&request).unwrap();
    sites.a.write(&vault, "secret", &noise(1, 100_000));
    let file = sites.toml(3, "");
    let keep = sites.folder.path().join("streams");
    let keep = keep.to_str().unwrap();
    for _ in 0..2 {
        let ran = pipeline(&file, &["--keep-streams", keep]);
        assert_eq!(ran.code, Some(0), "{:#?}", ran.events);
        for sent in ran.of("sent") {
            let encrypted = sent["dataset"].as_str().unwrap().ends_with("/vault");
            assert_eq!(sent["raw"], encrypted, "{sent}");
            let path = sent["stream"].as_str().unwrap();
            let bytes = std::fs::metadata(path).unwrap().len();
            assert_eq!(sent["bytes"], bytes, "{sent}");
            assert_header(path, sent);
        }
        thread::sleep(Duration::from_millis(1100));
    }
    assert_eq!(std::fs::read_dir(keep).unwrap().count(), 4);
}

/// zstream itself reads from a kept stream what the event said.
#[track_caller]
fn assert_header(path: &str, sent: &Value) {
    let dump = run(&["sh", "-c", &format!("zstream dump < '{path}'")]);
    let field = |name: &str| {
        let line = dump.lines().find(|line| line.trim().starts_with(name));
        let value = line.unwrap_or_else(|| panic!("no {name} in {dump}"));
        value.rsplit(['=', ' ']).next().unwrap().to_owned()
    };
    let hex = |guid: &Value| -> u64 { guid.as_str().map_or(0, |guid| guid.parse().unwrap()) };
    let read = |name: &str| u64::from_str_radix(&field(name), 16).unwrap();
    assert_eq!(read("toguid"), hex(&sent["to_guid"]), "{dump}");
    assert_eq!(read("fromguid"), hex(&sent["from_guid"]), "{dump}");
    let raw_feature = 1 << 24;
    let features = read("features");
    assert_eq!(features & raw_feature != 0, sent["raw"] == true, "{dump}");
}

#[test]
fn a_run_that_was_killed_is_completed_by_the_next() {
    let sites = Sites::new();
    let office = sites.a.dataset("office");
    sites.a.write(&office, "large", &noise(1, LARGE));
    let file = sites.toml(2, "");
    let (_, token) = ended_within_a_stream(&sites, &file, Signal::KILL);
    let ran = pipeline_ok(&file);
    let sent = ran.of("sent");
    let first = sent.first().unwrap();
    assert_eq!(first["kind"], "resume", "{sent:?}");
    assert_eq!(
        ran.of("started")[0]["resumed_at"],
        token,
        "{ran:?}",
        ran = ran.events
    );
    let rest = LARGE as u64 - token + LARGE as u64 / 20;
    assert!(first["bytes"].as_u64().unwrap() <= rest, "{first}");
    let copy = sites.b.dataset("office");
    assert!(sites.b.read(&copy, "large") == noise(1, LARGE));
}

/// Ends a run by a signal while its first stream is under way, and gives what
/// it told and the bytes that had arrived. How long a stream takes depends on
/// the machine, so a signal that came too early or too late is tried again at
/// another moment.
fn ended_within_a_stream(sites: &Sites, file: &Path, signal: Signal) -> (Ran, u64) {
    for moment in [500, 250, 1000, 125, 2000, 60, 4000, 30] {
        let mut child = start(file, &[]);
        let mut told = events(&mut child);
        let mut events = Vec::new();
        while events
            .last()
            .is_none_or(|last: &Value| last["event"] != "started")
        {
            events.push(told.next().expect("a stream starts"));
        }
        thread::sleep(Duration::from_millis(moment));
        if child.try_wait().unwrap().is_none() {
            kill_process(Pid::from_child(&child), signal).unwrap();
        }
        events.extend(told);
        let code = child.wait().unwrap().code();
        if let Some(bytes) = token_left(sites) {
            return (Ran { code, events }, bytes);
        }
        let target = sites.b.dataset("office");
        if sites.b.zfs.exists(&target).unwrap() {
            run(&["zfs", "destroy", "-r", target.as_str()]);
        }
    }
    panic!("no moment was right for the signal");
}

/// What the ended receive has left; the kernel takes a moment for it.
fn token_left(sites: &Sites) -> Option<u64> {
    let name = sites.b.dataset("office");
    for _ in 0..20 {
        if !sites.b.zfs.exists(&name).unwrap() {
            return None;
        }
        let token = get(&name, "receive_resume_token");
        let token = zfs_stream::token::ResumeToken::decode(&token).ok();
        if let Some(token) = token.filter(|token| token.bytes > 0) {
            return Some(token.bytes);
        }
        thread::sleep(Duration::from_millis(100));
    }
    None
}

#[test]
fn a_signal_ends_a_run_cleanly_and_the_next_goes_on() {
    let sites = Sites::new();
    let office = sites.a.dataset("office");
    sites.a.write(&office, "large", &noise(2, LARGE));
    let file = sites.toml(2, "");
    let (ended, _) = ended_within_a_stream(&sites, &file, Signal::TERM);
    assert_eq!(ended.code, Some(1));
    let done = ended.events.last().unwrap();
    assert_eq!(
        (&done["event"], &done["interrupted"], &done["ok"]),
        (
            &Value::from("done"),
            &Value::from(true),
            &Value::from(false)
        )
    );
    let ran = pipeline_ok(&file);
    assert_eq!(ran.of("sent")[0]["kind"], "resume", "{:#?}", ran.events);
    let copy = sites.b.dataset("office");
    assert!(sites.b.read(&copy, "large") == noise(2, LARGE));
}

#[test]
fn a_target_that_fails_does_not_stop_the_others() {
    let sites = Sites::new();
    let more = "[[job.target]]\ndataset = \"no-such-pool/x\"\nidentifier = \"gone\"\n";
    let file = sites.toml(1, more);
    let ran = pipeline(&file, &[]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.of("sent").len(), 1);
    let failed = ran.one("failed");
    assert_eq!(failed["target"], "no-such-pool/x");
    assert!(failed["error"].as_str().unwrap().contains("no pool"));
    // What the failed target lacks stays on the source.
    thread::sleep(Duration::from_millis(1100));
    assert_eq!(pipeline(&file, &[]).code, Some(1));
    assert_eq!(snapshots(&sites.a, "office").len(), 2);
    assert_eq!(snapshots(&sites.b, "office").len(), 1);
}

/// Somebody else receives into the target, and has not got all of it.
fn busy(sites: &Sites) -> Child {
    let office = sites.a.dataset("office");
    sites.a.write(&office, "x", &noise(7, 2 << 20));
    let base = format!("@{}", snapshots(&sites.a, "office").pop().unwrap());
    let newest = sites.a.take("office@by-hand");
    let send = Command::new("zfs")
        .args(["send", "-i", &base, newest.as_str()])
        .output()
        .unwrap();
    assert!(send.status.success(), "{send:?}");
    let mut receive = Command::new("zfs")
        .args(["receive", sites.b.dataset("office").as_str()])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // More than the pipe holds, so it has begun by then.
    let half = &send.stdout[..1 << 20];
    receive.stdin.as_mut().unwrap().write_all(half).unwrap();
    receive
}

fn give_up(mut receive: Child) {
    drop(receive.stdin.take());
    assert!(!receive.wait().unwrap().success());
}

#[test]
fn what_may_pass_is_tried_again_and_only_the_last_round_counts() {
    let sites = Sites::new();
    pipeline_ok(&sites.toml(9, ""));
    let whose = get(sites.b.dataset("office"), "zfs-replicate:target");
    assert!(whose.starts_with("siteb "), "{whose}");
    let receive = busy(&sites);
    let never = pipeline(&sites.toml(9, "retries = 0\n"), &[]);
    assert_eq!(never.code, Some(1), "{:#?}", never.events);
    assert_eq!(never.one("done")["failed"], 1);
    assert!(never.of("again").is_empty());

    let mut child = start(&sites.toml(9, ""), &[]);
    let mut told = events(&mut child);
    let mut events: Vec<Value> = told
        .by_ref()
        .take_while(|event| event["event"] != "again")
        .collect();
    give_up(receive);
    events.extend(told);
    let code = child.wait().unwrap().code();
    assert_eq!(code, Some(0), "{events:#?}");
    let ran = Ran { code, events };
    assert!(ran.of("failed").is_empty(), "{:#?}", ran.events);
    let done = ran.one("done");
    assert_eq!((&done["ok"], &done["failed"]), (&true.into(), &0.into()));
    assert_eq!(snapshots(&sites.a, "office"), snapshots(&sites.b, "office"));
}

#[test]
fn a_held_snapshot_stays() {
    let sites = Sites::new();
    let file = sites.toml(1, "");
    let ran = pipeline_ok(&file);
    let first = ran.one("snapshot")["snapshot"].as_str().unwrap().to_owned();
    run(&["zfs", "hold", "mine", &first]);
    for _ in 0..2 {
        thread::sleep(Duration::from_millis(1100));
        pipeline_ok(&file);
    }
    assert_eq!(snapshots(&sites.a, "office").len(), 2);
    assert_eq!(snapshots(&sites.b, "office").len(), 1);
    run(&["zfs", "release", "mine", &first]);
}

#[test]
fn a_snapshot_that_is_not_due_is_not_taken() {
    let sites = Sites::new();
    let file = sites.toml(5, "every = \"1h\"\n");
    assert_eq!(pipeline_ok(&file).of("snapshot").len(), 1);
    thread::sleep(Duration::from_millis(1100));
    let ran = pipeline_ok(&file);
    assert_eq!(ran.of("snapshot").len() + ran.of("sent").len(), 0);
}

#[test]
fn two_runs_within_a_second_take_two_names() {
    let sites = Sites::new();
    let file = sites.toml(9, "");
    for _ in 0..3 {
        pipeline_ok(&file);
    }
    let names = snapshots(&sites.a, "office");
    assert_eq!(names.len(), 3, "{names:?}");
    assert_eq!(snapshots(&sites.b, "office"), names);
}
