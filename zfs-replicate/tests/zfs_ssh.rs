//! Replication over ssh, to and from a system with stock ZFS: this one, by
//! way of an sshd of the test's own on the loopback device.

#[path = "../../zfs-core/tests/fixture/mod.rs"]
mod fixture;
mod sshd;

#[path = "zfs_ssh/interrupted.rs"]
mod interrupted;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use fixture::{PATIENCE, Pool, get, noise, run};
use sshd::Sshd;
use zfs_core::{CreateRequest, DatasetName, Encryption, Guid, WrappingKey};
use zfs_replicate::Error;
use zfs_replicate::endpoint::stock::{Channels, Transport};
use zfs_replicate::endpoint::{Compression, Elevation, Endpoint, Local, Ssh, Stock};
use zfs_replicate::execute::{Cancel, Event, Executor, Observer, Outcome};
use zfs_replicate::marker::{Marker, TargetId};
use zfs_replicate::plan::{Blocks, Diverged, Gone, Hosts, Options, Plan, Provenance, plan};
use zfs_replicate::tree::{Dataset, Snapshot};

/// Counts the commands that go through.
#[derive(Debug)]
struct Counted {
    ssh: Ssh,
    commands: AtomicUsize,
}

impl Transport for Counted {
    fn host(&self) -> &str {
        self.ssh.host()
    }

    fn command(&self, command: &str) -> Command {
        self.commands.fetch_add(1, Ordering::SeqCst);
        self.ssh.command(command)
    }

    fn channels(&self) -> &Channels {
        self.ssh.channels()
    }
}

struct Site {
    pool: Pool,
    local: Local,
    remote: Stock,
    counted: Arc<Counted>,
    id: TargetId,
    // After the connection.
    sshd: Sshd,
}

#[derive(Clone, Copy)]
enum Way {
    Push,
    Pull,
    Relay,
}

impl Site {
    fn new() -> Site {
        let sshd = Sshd::start();
        let counted = Arc::new(Counted {
            ssh: sshd.connect(),
            commands: AtomicUsize::new(0),
        });
        let pool = Pool::new();
        Site {
            local: Local::new(pool.zfs.clone()),
            pool,
            remote: Stock::new(counted.clone(), Elevation::None),
            counted,
            id: "far".parse().unwrap(),
            sshd,
        }
    }

    fn ends(&self, way: Way) -> (&dyn Endpoint, &dyn Endpoint) {
        match way {
            Way::Push => (&self.local, &self.remote),
            Way::Pull => (&self.remote, &self.local),
            Way::Relay => (&self.remote, &self.remote),
        }
    }

    fn options(&self) -> Options<'_> {
        Options::new().marker(&self.id).hosts(Hosts::Different)
    }

    fn plan(&self, way: Way, options: &Options<'_>) -> Plan {
        let (source, target) = self.ends(way);
        let source = source.tree(&self.pool.dataset("src")).unwrap();
        let target = target.tree(&self.pool.dataset("dst")).unwrap();
        plan(&source, &target, options).unwrap()
    }

    fn run(&self, way: Way) -> (Outcome, Vec<String>) {
        let (source, target) = self.ends(way);
        let log = Log::default();
        let plan = self.plan(way, &self.options());
        let outcome = Executor::new(source, target, &log).run(&plan);
        (outcome, log.lines.into_inner().unwrap())
    }

    #[track_caller]
    fn replicate(&self, way: Way) -> Vec<String> {
        let (outcome, log) = self.run(way);
        assert!(outcome.is_ok(), "{outcome:?} {log:?}\n{}", self.sshd.log());
        let again = self.plan(way, &self.options());
        assert!(again.is_empty(), "{again:#?}");
        let source = self.local.tree(&self.pool.dataset("src")).unwrap();
        let target = self.local.tree(&self.pool.dataset("dst")).unwrap();
        for dataset in &source.datasets {
            let path = dataset.name.strip_prefix(&source.root).unwrap();
            let copy = target.get(&target.root.join(path).unwrap()).unwrap();
            for snapshot in &dataset.snapshots {
                assert!(copy.snapshot(snapshot.guid).is_some(), "{}", snapshot.name);
            }
            assert_eq!(get(&copy.name, "readonly"), "on");
            assert!(["no", "-"].contains(&get(&copy.name, "mounted").as_str()));
        }
        log
    }
}

#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    cancel: Option<Cancel>,
}

impl Observer for Log {
    fn event(&self, event: &Event<'_>) {
        let line = match event {
            Event::Progress { bytes, .. } => {
                if let (Some(cancel), true) = (&self.cancel, *bytes > 1 << 20) {
                    cancel.cancel();
                }
                return;
            }
            Event::Finished { transfer, .. } => {
                format!("{} {}", transfer.stream.word(), transfer.stream.to.name)
            }
            Event::Failed { error, .. } => format!("failed: {error}"),
            Event::Refused { step } => format!("refused: {step}"),
            _ => return,
        };
        self.lines.lock().unwrap().push(line);
    }
}

fn words(log: &[String]) -> Vec<&str> {
    log.iter()
        .map(|line| line.split(' ').next().unwrap())
        .collect()
}

/// A tree with a child, a volume, a clone, an encrypted dataset and names that
/// a shell would trip over.
fn fill(site: &Site) {
    let source = site.pool.filesystem("src");
    site.pool.write(&source, "a", &noise(1, 300_000));
    run(&[
        "zfs",
        "set",
        "org.example:note=it's \"50 %\" $(done)",
        source.as_str(),
    ]);
    for child in ["src/with space", "src/-dash:colon.dot_"] {
        let child = site.pool.filesystem(child);
        site.pool.write(&child, "b", child.as_str().as_bytes());
    }
    let volume = CreateRequest::volume(site.pool.dataset("src/vol"), 8 << 20);
    site.pool.zfs.create(&volume).unwrap();
    let key = WrappingKey::from_slice(&[7; 32]).unwrap();
    let secret =
        CreateRequest::filesystem(site.pool.dataset("src/secret")).encryption(Encryption::raw(key));
    site.pool.zfs.create(&secret).unwrap();
    run(&[
        "zfs",
        "snapshot",
        "-r",
        site.pool.snapshot("src@first one").as_str(),
    ]);
    let origin = site.pool.snapshot("src/with space@first one");
    let clone = site.pool.dataset("src/clone");
    // Mounted, it would be hidden by its parent, and OpenZFS 2.1 could unmount
    // neither.
    let unmounted = ["zfs", "clone", "-o", "canmount=noauto"];
    run(&[&unmounted[..], &[origin.as_str(), clone.as_str()]].concat());
    run(&[
        "zfs",
        "snapshot",
        "-r",
        site.pool.snapshot("src@second").as_str(),
    ]);
}

fn check(site: &Site) {
    let dst = |path: &str| site.pool.dataset(path);
    // Old ZFS mounts what is below a dataset with it, and that needs a folder
    // in what is read-only.
    let list = ["zfs", "list", "-Hro", "name", "-t", "filesystem"];
    let all = run(&[&list[..], &[dst("dst").as_str()]].concat());
    for child in all.lines().skip(1) {
        run(&["zfs", "set", "canmount=noauto", child]);
    }
    assert_eq!(site.pool.read(&dst("dst"), "a"), noise(1, 300_000));
    let spaced = dst("dst/with space");
    assert!(site.pool.read(&spaced, "b").ends_with(b"with space"));
    let origin = site.pool.snapshot("dst/with space@first one");
    assert_eq!(get(dst("dst/clone"), "origin"), origin.as_str());
    assert_eq!(get(dst("dst/secret"), "keystatus"), "unavailable");
    assert_eq!(get(dst("dst/vol"), "type"), "volume");
}

fn a_whole_tree(way: Way) {
    let site = Site::new();
    fill(&site);
    site.replicate(way);
    check(&site);
    let source = site.pool.dataset("src");
    run(&["zfs", "destroy", site.pool.snapshot("src@second").as_str()]);
    site.pool.write(&source, "c", b"new");
    run(&[
        "zfs",
        "snapshot",
        "-r",
        site.pool.snapshot("src@third").as_str(),
    ]);
    let log = site.replicate(way);
    assert!(
        words(&log).iter().all(|word| *word == "incremental"),
        "{log:?}"
    );
    assert_eq!(site.pool.read(&site.pool.dataset("dst"), "c"), b"new");
}

#[test]
fn a_tree_is_pushed() {
    a_whole_tree(Way::Push);
}

#[test]
fn a_tree_is_pulled() {
    a_whole_tree(Way::Pull);
}

#[test]
fn a_tree_goes_from_one_remote_to_another() {
    a_whole_tree(Way::Relay);
}

#[test]
fn planning_takes_four_commands_whatever_the_number_of_datasets() {
    let site = Site::new();
    site.pool.filesystem("src");
    for index in 0..12 {
        site.pool.filesystem(&format!("src/{index}"));
    }
    run(&[
        "zfs",
        "snapshot",
        "-r",
        site.pool.snapshot("src@1").as_str(),
    ]);
    let before = site.counted.commands.load(Ordering::SeqCst);
    site.plan(Way::Relay, &site.options());
    let took = site.counted.commands.load(Ordering::SeqCst) - before;
    assert!(took <= 4, "{took}");
}

/// How many commands the other end ran for what `work` does.
fn commands(site: &Site, work: impl FnOnce()) -> usize {
    let before = site.counted.commands.load(Ordering::SeqCst);
    work();
    site.counted.commands.load(Ordering::SeqCst) - before
}

#[test]
fn a_range_takes_one_command_and_all_markers_another() {
    for (way, most) in [(Way::Push, 1), (Way::Pull, 2), (Way::Relay, 3)] {
        let site = Site::new();
        let source = site.pool.filesystem("src");
        site.pool.take("src@0");
        site.replicate(way);
        for number in 1..=10 {
            site.pool.write(&source, "a", &noise(number, 50_000));
            site.pool.take(&format!("src@{number}"));
        }
        let plan = site.plan(way, &site.options());
        let (from, to) = site.ends(way);
        let log = Log::default();
        let took = commands(&site, || {
            let outcome = Executor::new(from, to, &log).run(&plan);
            assert_eq!((outcome.streams, outcome.failed), (10, 0), "{outcome:?}");
        });
        // The shell for the markers is there since the first run; a remote
        // source is asked how much there is to send.
        assert!(took <= most, "{took}");
        let again = site.plan(way, &site.options());
        assert!(again.is_empty(), "{again:#?}");
        assert_eq!(
            site.pool.read(&site.pool.dataset("dst"), "a"),
            noise(10, 50_000)
        );
        let list = ["zfs", "list", "-Hd1", "-t", "bookmark", source.as_str()];
        assert_eq!(run(&list).lines().count(), 1);
    }
}

#[test]
fn a_compressed_range_takes_one_command_and_is_planned_by_four() {
    for (way, most) in [(Way::Push, 1), (Way::Pull, 3), (Way::Relay, 4)] {
        let mut site = Site::new();
        site.remote = site
            .remote
            .compressed(Compression::named("gzip").expect("a name"));
        let source = site.pool.filesystem("src");
        let options = || site.options().blocks(Blocks::Decompressed);
        for number in 0..6 {
            site.pool.write(&source, "a", &vec![number; 300_000]);
            site.pool.take(&format!("src@{number}"));
        }
        let mut plan = None;
        let took = commands(&site, || plan = Some(site.plan(way, &options())));
        assert!(took <= 4, "{took}");
        let (from, to) = site.ends(way);
        let log = Log::default();
        let took = commands(&site, || {
            let outcome = Executor::new(from, to, &log).run(&plan.expect("a plan"));
            let (streams, failed) = (outcome.streams, outcome.failed);
            assert_eq!((streams, failed), (6, 0), "{:?}", log.lines);
        });
        assert!(took <= most, "{took}");
        assert!(site.plan(way, &options()).is_empty());
        let arrived = site.pool.read(&site.pool.dataset("dst"), "a");
        assert!(arrived == vec![5; 300_000]);
        let list = ["zfs", "list", "-Hd1", "-t", "bookmark", source.as_str()];
        assert_eq!(run(&list).lines().count(), 1);
    }
}

#[test]
fn a_range_with_gaps_from_a_bookmark_brings_what_is_wanted_and_no_more() {
    for way in [Way::Push, Way::Pull] {
        let site = Site::new();
        let source = site.pool.filesystem("src");
        site.pool.take("src@first");
        site.replicate(way);
        for number in 1..=6 {
            site.pool.write(&source, "a", &noise(number, 50_000));
            site.pool.take(&format!("src@{number}"));
        }
        run(&["zfs", "destroy", site.pool.snapshot("src@first").as_str()]);
        let wanted = |_: &DatasetName, snapshot: &Snapshot| snapshot.name.snapshot() != "4";
        let options = site.options().wanted(&wanted);
        let plan = site.plan(way, &options);
        let (from, to) = site.ends(way);
        let log = Log::default();
        let took = commands(&site, || {
            let outcome = Executor::new(from, to, &log).run(&plan);
            assert!(outcome.is_ok(), "{:?}", log.lines.lock().unwrap());
        });
        assert!(took <= 2, "{took}");
        let dst = site.pool.dataset("dst");
        let list = ["zfs", "list", "-Hd1", "-s", "createtxg", "-o", "name"];
        let there = run(&[&list[..], &["-t", "snapshot", dst.as_str()]].concat());
        let names: Vec<_> = there.lines().filter_map(|n| n.split_once('@')).collect();
        let names: Vec<_> = names.into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["first", "1", "2", "3", "5", "6"]);
    }
}

#[test]
fn where_the_target_of_a_pull_fails_its_reason_is_told() {
    let site = Site::new();
    let source = site.pool.filesystem("src");
    site.pool.write(&source, "a", &noise(1, 4 << 20));
    site.pool.take("src@1");
    let planned = site.plan(Way::Pull, &site.options());
    site.pool.filesystem("dst");
    let log = Log::default();
    let outcome = Executor::new(&site.remote, &site.local, &log).run(&planned);
    assert_eq!(outcome.failed, 1);
    let lines = log.lines.into_inner().unwrap();
    assert!(lines[0].contains("exists"), "{lines:?}");
}

#[test]
fn renames_promotions_rollbacks_and_retirements_reach_the_other_end() {
    let site = Site::new();
    fill(&site);
    site.replicate(Way::Push);
    let (old, new) = (
        site.pool.dataset("src/with space"),
        site.pool.dataset("src/moved"),
    );
    run(&["zfs", "rename", old.as_str(), new.as_str()]);
    run(&["zfs", "promote", site.pool.dataset("src/clone").as_str()]);
    run(&[
        "zfs",
        "destroy",
        "-r",
        site.pool.dataset("src/vol").as_str(),
    ]);
    // The target goes its own way.
    let astray = site.pool.dataset("dst/-dash:colon.dot_");
    run(&[
        "zfs",
        "snapshot",
        site.pool.snapshot("dst/-dash:colon.dot_@own").as_str(),
    ]);
    run(&[
        "zfs",
        "snapshot",
        "-r",
        site.pool.snapshot("src@third").as_str(),
    ]);

    let replicas = |_: &Dataset| Provenance::Replica;
    let options = site
        .options()
        .diverged(Diverged::Rollback)
        .gone(Gone::Destroy)
        .provenance(&replicas);
    let plan = site.plan(Way::Push, &options);
    let words: Vec<_> = plan.steps.iter().map(|step| step.action.word()).collect();
    for word in ["rename", "promote", "rollback", "destroy"] {
        assert!(words.contains(&word), "{word} {plan:#?}");
    }
    let log = Log::default();
    let outcome = Executor::new(&site.local, &site.remote, &log).run(&plan);
    assert!(outcome.is_ok(), "{:?}", log.lines.lock().unwrap());
    let origin = site.pool.snapshot("dst/clone@first one");
    assert_eq!(
        get(site.pool.dataset("dst/moved"), "origin"),
        origin.as_str()
    );
    let names = run(&["zfs", "list", "-Hro", "name", "-t", "all", astray.as_str()]);
    assert!(
        !names.contains("@own") && names.contains("@third"),
        "{names}"
    );
    assert!(
        !fixture::attempt(&["zfs", "list", site.pool.dataset("dst/vol").as_str()])
            .status
            .success()
    );
    assert!(site.plan(Way::Push, &options).is_empty());
}

#[test]
fn what_the_other_end_refuses_is_told_in_its_words() {
    let site = Site::new();
    let source = site.pool.filesystem("src");
    site.pool.write(&source, "a", &noise(1, 4 << 20));
    site.pool.take("src@1");
    let missing: DatasetName = "no-such-pool/dst".parse().unwrap();
    let target = site.remote.tree(&missing).unwrap();
    let tree = site.local.tree(&source).unwrap();
    assert!(matches!(
        plan(&tree, &target, &site.options()),
        Err(Error::TargetPoolMissing { .. })
    ));

    // Made between the plan and the transfer.
    let planned = site.plan(Way::Push, &site.options());
    site.pool.filesystem("dst");
    let log = Log::default();
    let outcome = Executor::new(&site.local, &site.remote, &log).run(&planned);
    assert_eq!(outcome.failed, 1);
    let lines = log.lines.into_inner().unwrap();
    assert!(
        lines[0].contains("root@127.0.0.1") && lines[0].contains("exists"),
        "{lines:?}"
    );
}
