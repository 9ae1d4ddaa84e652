//! Replication between datasets of a real pool.

#[path = "../../zfs-core/tests/fixture/mod.rs"]
mod fixture;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use fixture::{PATIENCE, Pool, get, noise, open_device, run};
use rustix::fs::{OFlags, fcntl_getfl};
use zfs_core::{
    BookmarkName, CreateRequest, DatasetName, Encryption, Guid, MountRequest, SnapshotName,
    UnmountFlags, WrappingKey,
};
use zfs_replicate::Error;
use zfs_replicate::endpoint::stock::Shell;
use zfs_replicate::endpoint::{Elevation, Endpoint, Local, Receive, Stock};
use zfs_replicate::execute::{Cancel, Event, Executor, Observer, Outcome, Tap};
use zfs_replicate::marker::TargetId;
use zfs_replicate::plan::{Base, Options, Plan, Rollback, Stream, plan};
use zfs_replicate::properties::Properties;
use zfs_replicate::tree::Tree;

/// More than any pipe holds, so that a stream can be stopped in between.
const LARGE: usize = 24 << 20;

/// Source and target in one pool: to the kernel it makes no difference.
struct Site {
    pool: Pool,
    local: Local,
    id: TargetId,
}

impl Site {
    fn new() -> Site {
        let pool = Pool::new();
        let local = Local::new(pool.zfs.clone());
        Site {
            pool,
            local,
            id: "test".parse().unwrap(),
        }
    }

    fn source(&self) -> DatasetName {
        self.pool.dataset("src")
    }

    fn target(&self) -> DatasetName {
        self.pool.dataset("dst")
    }

    fn plan(&self) -> Plan {
        self.plan_to(&self.target())
    }

    fn plan_to(&self, target: &DatasetName) -> Plan {
        let source = self.local.tree(&self.source()).unwrap();
        let target = self.local.tree(target).unwrap();
        plan(&source, &target, &Options::new().marker(&self.id)).unwrap()
    }

    fn run(&self) -> (Outcome, Log) {
        let log = Log::default();
        let outcome = Executor::new(&self.local, &self.local, &log).run(&self.plan());
        (outcome, log)
    }

    /// A run that has to go well, after which nothing is left to do.
    #[track_caller]
    fn replicate(&self) -> Log {
        let (outcome, log) = self.run();
        assert!(outcome.is_ok(), "{outcome:?} {log:?}");
        self.assert_same_snapshots();
        let again = self.plan();
        assert!(again.is_empty(), "{again:#?}");
        log
    }

    /// Everything that is on the source is on the target, by GUID, and the
    /// marker says so.
    #[track_caller]
    fn assert_same_snapshots(&self) {
        let source = self.local.tree(&self.source()).unwrap();
        let target = self.local.tree(&self.target()).unwrap();
        for dataset in &source.datasets {
            let path = dataset.name.strip_prefix(&source.root).unwrap();
            let copy = target.get(&target.root.join(path).unwrap()).unwrap();
            for snapshot in &dataset.snapshots {
                let arrived = copy.snapshot(snapshot.guid).expect("it arrived");
                assert_eq!(arrived.name.snapshot(), snapshot.name.snapshot());
            }
            let markers: Vec<_> = dataset
                .bookmarks
                .iter()
                .filter(|b| b.name.bookmark().starts_with("replica-test-"))
                .map(|bookmark| bookmark.guid)
                .collect();
            assert_eq!(markers, [copy.newest().unwrap().guid]);
            assert_eq!(get(&copy.name, "readonly"), "on");
            assert!(["no", "-"].contains(&get(&copy.name, "mounted").as_str()));
        }
    }

    /// Stops the next run in the middle of its first stream.
    fn interrupt(&self) -> Log {
        let log = Log {
            cancel: Some(Cancel::new()),
            ..Log::default()
        };
        let late = Late {
            local: &self.local,
            is_stopped: true,
        };
        let outcome = Executor::new(&self.local, &late, &log)
            .cancel(log.cancel.clone().unwrap())
            .run(&self.plan());
        assert!(outcome.cancelled && outcome.streams == 0, "{outcome:?}");
        log
    }
}

/// An end that takes its time, so that a stop comes before its end.
struct Late<'a> {
    local: &'a Local,
    is_stopped: bool,
}

impl Endpoint for Late<'_> {
    fn tree(&self, root: &DatasetName) -> Result<Tree, Error> {
        self.local.tree(root)
    }

    fn estimate(&self, stream: &Stream) -> Result<Option<u64>, Error> {
        self.local.estimate(stream)
    }

    fn send(&self, stream: &Stream, pipe: BorrowedFd<'_>) -> Result<(), Error> {
        self.local.send(stream, pipe)
    }

    fn sent(&self, stream: &Stream, pipe: &Weak<OwnedFd>) -> Option<u64> {
        self.local.sent(stream, pipe)
    }

    fn receive(&self, receive: &Receive, pipe: BorrowedFd<'_>) -> Result<u64, Error> {
        // What a stop does to a pipe.
        let has_come = || fcntl_getfl(pipe).unwrap().contains(OFlags::NONBLOCK);
        let started = Instant::now();
        while self.is_stopped && !has_come() && started.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(20));
        }
        thread::sleep(Duration::from_secs(1));
        self.local.receive(receive, pipe)
    }

    fn has_partial(&self, dataset: &DatasetName) -> bool {
        self.local.has_partial(dataset)
    }

    fn guid(&self, snapshot: &SnapshotName) -> Result<Guid, Error> {
        self.local.guid(snapshot)
    }

    fn create(&self, dataset: &DatasetName) -> Result<(), Error> {
        self.local.create(dataset)
    }

    fn rename(&self, from: &DatasetName, to: &DatasetName) -> Result<(), Error> {
        self.local.rename(from, to)
    }

    fn clone_snapshot(
        &self,
        origin: &SnapshotName,
        dataset: &DatasetName,
        properties: &Properties,
    ) -> Result<(), Error> {
        self.local.clone_snapshot(origin, dataset, properties)
    }

    fn promote(&self, dataset: &DatasetName) -> Result<(), Error> {
        self.local.promote(dataset)
    }

    fn rollback(&self, rollback: &Rollback) -> Result<(), Error> {
        self.local.rollback(rollback)
    }

    fn destroy(&self, dataset: &DatasetName, snapshots: &[SnapshotName]) -> Result<(), Error> {
        self.local.destroy(dataset, snapshots)
    }

    fn abort_receive(&self, dataset: &DatasetName) -> Result<(), Error> {
        self.local.abort_receive(dataset)
    }

    fn properties(&self, root: &DatasetName) -> Result<HashMap<DatasetName, Properties>, Error> {
        self.local.properties(root)
    }

    fn hold(&self, snapshot: &SnapshotName, tag: &str) -> Result<(), Error> {
        self.local.hold(snapshot, tag)
    }

    fn bookmark(&self, of: &Base, name: &BookmarkName) -> Result<(), Error> {
        self.local.bookmark(of, name)
    }

    fn destroy_bookmarks(&self, names: &[BookmarkName]) -> Result<(), Error> {
        self.local.destroy_bookmarks(names)
    }
}

/// What happened: the streams that arrived, and what failed.
#[derive(Debug, Default)]
struct Log {
    arrived: Mutex<Vec<(String, &'static str, bool, u64)>>,
    failed: Mutex<Vec<String>>,
    progress: Mutex<Vec<u64>>,
    /// Stops the run once a stream has begun.
    cancel: Option<Cancel>,
}

impl Observer for Log {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Started(_) => {
                if let Some(cancel) = &self.cancel {
                    cancel.cancel();
                }
            }
            Event::Progress { bytes, .. } => self.progress.lock().unwrap().push(*bytes),
            Event::Finished {
                transfer, bytes, ..
            } => self.arrived.lock().unwrap().push((
                transfer.stream.to.name.snapshot().to_owned(),
                transfer.stream.word(),
                transfer.stream.form.raw,
                *bytes,
            )),
            Event::Failed { error, .. } => self.failed.lock().unwrap().push(error.to_string()),
            Event::Refused { step } => self.failed.lock().unwrap().push(step.why.to_string()),
            _ => {}
        }
    }
}

impl Log {
    fn kinds(&self) -> Vec<(String, &'static str)> {
        let arrived = self.arrived.lock().unwrap();
        arrived
            .iter()
            .map(|(name, word, ..)| (name.clone(), *word))
            .collect()
    }

    fn bytes(&self) -> u64 {
        let arrived = self.arrived.lock().unwrap();
        arrived.iter().map(|(.., bytes)| bytes).sum()
    }

    fn failed(&self) -> Vec<String> {
        self.failed.lock().unwrap().clone()
    }
}

fn named(kinds: &[(&str, &'static str)]) -> Vec<(String, &'static str)> {
    kinds
        .iter()
        .map(|(name, word)| ((*name).to_owned(), *word))
        .collect()
}

#[test]
fn a_tree_is_sent_in_full_and_then_in_increments() {
    let site = Site::new();
    let source = site.pool.filesystem("src");
    let child = site.pool.filesystem("src/child");
    site.pool.write(&source, "a", b"one");
    site.pool.write(&child, "b", &noise(1, 300_000));
    site.pool.take("src@1");
    site.pool.take("src/child@1");
    site.pool.write(&source, "a", b"two");
    site.pool.take("src@2");
    let log = site.replicate();
    assert_eq!(
        log.kinds(),
        named(&[("1", "full"), ("2", "incremental"), ("1", "full")])
    );

    site.pool.write(&source, "a", b"three");
    site.pool.take("src@3");
    site.pool.take("src@4");
    let log = site.replicate();
    assert_eq!(
        log.kinds(),
        named(&[("3", "incremental"), ("4", "incremental")])
    );
    assert_eq!(site.pool.read(&site.target(), "a"), b"three");
    let child = site.pool.dataset("dst/child");
    assert_eq!(site.pool.read(&child, "b"), noise(1, 300_000));
}

#[test]
fn missing_parents_are_made_and_never_mounted() {
    let site = Site::new();
    site.pool.filesystem("src");
    site.pool.take("src@1");
    let deep = site.pool.dataset("vault/of/dst");
    let plan = site.plan_to(&deep);
    let outcome = Executor::new(&site.local, &site.local, &()).run(&plan);
    assert!(outcome.is_ok());
    for parent in ["vault", "vault/of"] {
        let parent = site.pool.dataset(parent);
        assert_eq!(get(&parent, "canmount"), "off");
        assert_eq!(get(&parent, "readonly"), "on");
    }
    assert!(site.plan_to(&deep).is_empty());
}

#[test]
fn the_marker_is_the_base_where_the_snapshots_were_pruned() {
    let site = Site::new();
    let source = site.pool.filesystem("src");
    site.pool.write(&source, "a", &noise(1, 1 << 20));
    site.pool.take("src@1");
    site.replicate();
    run(&["zfs", "destroy", site.pool.snapshot("src@1").as_str()]);
    assert!(site.plan().is_empty());
    site.pool.write(&source, "b", b"new");
    site.pool.take("src@2");
    let log = site.replicate();
    assert_eq!(log.kinds(), named(&[("2", "incremental")]));
    assert!(log.bytes() < 1 << 20, "only what is new: {}", log.bytes());
    assert_eq!(site.pool.read(&site.target(), "b"), b"new");
}

#[test]
fn a_transfer_that_was_stopped_goes_on_and_sends_only_the_rest() {
    let site = Site::new();
    let source = site.pool.filesystem("src");
    site.pool.write(&source, "a", &noise(1, LARGE));
    site.pool.take("src@1");
    let log = site.interrupt();
    assert!(log.failed()[0].contains("stopped on request"), "{log:?}");
    let kept = assert_resumable(&site);
    let log = site.replicate();
    assert_eq!(log.kinds(), named(&[("1", "resume")]));
    assert_only_the_rest(&log, kept);
    assert!(site.pool.read(&site.target(), "a") == noise(1, LARGE));

    // The same with an increment, whose partial state lies elsewhere.
    site.pool.write(&source, "a", &noise(2, LARGE));
    site.pool.take("src@2");
    site.interrupt();
    let kept = assert_resumable(&site);
    let log = site.replicate();
    assert_eq!(log.kinds(), named(&[("2", "resume")]));
    assert_only_the_rest(&log, kept);
    assert!(site.pool.read(&site.target(), "a") == noise(2, LARGE));
}

/// How much of an interrupted stream the target has kept.
#[track_caller]
fn assert_resumable(site: &Site) -> u64 {
    let plan = site.plan();
    let word = plan.steps.iter().map(|step| step.action.word());
    assert!(word.clone().any(|word| word == "resume"), "{plan:#?}");
    let tree = site.local.tree(&site.target()).unwrap();
    let Some(zfs_replicate::tree::Partial::Token(point)) = &tree.datasets[0].partial else {
        panic!("no token: {tree:?}");
    };
    assert!(point.bytes > 0 && point.bytes < LARGE as u64, "{point:?}");
    point.bytes
}

#[track_caller]
fn assert_only_the_rest(log: &Log, kept: u64) {
    let whole = LARGE as u64;
    let most = (whole - kept) + whole / 20;
    assert!(
        log.bytes() > 0 && log.bytes() <= most,
        "{} of {whole} after {kept}",
        log.bytes()
    );
}

#[test]
fn what_cannot_go_on_is_given_up_and_sent_anew() {
    let site = Site::new();
    let source = site.pool.filesystem("src");
    site.pool.write(&source, "a", &noise(1, LARGE));
    site.pool.take("src@1");
    site.interrupt();
    assert_resumable(&site);
    run(&["zfs", "destroy", site.pool.snapshot("src@1").as_str()]);
    site.pool.take("src@2");
    let log = site.replicate();
    assert_eq!(log.kinds(), named(&[("2", "full")]));

    site.pool.write(&source, "a", &noise(2, LARGE));
    site.pool.take("src@3");
    site.interrupt();
    assert_resumable(&site);
    run(&["zfs", "destroy", site.pool.snapshot("src@3").as_str()]);
    site.pool.write(&source, "a", b"small");
    site.pool.take("src@4");
    let log = site.replicate();
    assert_eq!(log.kinds(), named(&[("4", "incremental")]));
    assert_eq!(site.pool.read(&site.target(), "a"), b"small");
}

#[test]
fn a_diverged_target_is_refused_and_stays_as_it_is() {
    let site = Site::new();
    let source = site.pool.filesystem("src");
    site.pool.take("src@1");
    site.replicate();
    run(&["zfs", "set", "readonly=off", site.target().as_str()]);
    site.pool.write(&site.target(), "own", b"mine");
    site.pool.take("dst@own");
    site.pool.write(&source, "a", b"new");
    site.pool.take("src@2");
    let (outcome, log) = site.run();
    assert_eq!((outcome.refused, outcome.streams), (1, 0));
    assert!(log.failed()[0].contains("diverged"), "{log:?}");
    assert_eq!(site.pool.read(&site.target(), "own"), b"mine");
}

#[test]
fn a_target_that_was_written_to_fails_with_words_and_is_not_rolled_back() {
    let site = Site::new();
    let source = site.pool.filesystem("src");
    site.pool.take("src@1");
    site.replicate();
    run(&["zfs", "set", "readonly=off", site.target().as_str()]);
    site.pool.write(&site.target(), "own", b"mine");
    site.pool.write(&source, "a", b"new");
    site.pool.take("src@2");
    let (outcome, log) = site.run();
    assert_eq!((outcome.failed, outcome.streams), (1, 0));
    let target = site.target();
    assert!(log.failed()[0].contains(target.as_str()), "{log:?}");
    assert_eq!(site.pool.read(&target, "own"), b"mine");
}

#[test]
fn a_dataset_without_snapshots_in_the_way_is_refused() {
    let site = Site::new();
    site.pool.filesystem("src");
    site.pool.take("src@1");
    site.pool.filesystem("dst");
    let (outcome, log) = site.run();
    assert_eq!(outcome.refused, 1);
    assert!(log.failed()[0].contains("without any snapshot"), "{log:?}");
}

#[test]
fn encrypted_data_goes_raw_and_is_read_with_its_own_key_alone() {
    let site = Site::new();
    let key = WrappingKey::from_slice(&[7; 32]).unwrap();
    let request = CreateRequest::filesystem(site.source()).encryption(Encryption::raw(key.clone()));
    site.pool.zfs.create(&request).unwrap();
    site.pool.write(&site.source(), "a", &noise(1, LARGE));
    site.pool.take("src@1");
    site.interrupt();
    assert_resumable(&site);
    site.pool.write(&site.source(), "a", b"changed");
    site.pool.take("src@2");
    let log = site.replicate();
    assert_eq!(log.kinds(), named(&[("1", "resume"), ("2", "incremental")]));
    assert!(
        log.arrived
            .lock()
            .unwrap()
            .iter()
            .all(|(_, _, raw, _)| *raw)
    );
    let target = site.target();
    assert_eq!(get(&target, "keystatus"), "unavailable");

    // The source's key is not needed to send it.
    site.pool.zfs.unload_key(&site.source()).unwrap();
    site.pool.take("src@3");
    site.replicate();
    site.pool.zfs.load_key(&target, &key.into()).unwrap();
    assert_eq!(site.pool.read(&target, "a"), b"changed");
}

#[test]
fn a_volume_arrives_byte_for_byte() {
    let site = Site::new();
    let bytes = 8 << 20;
    let request = CreateRequest::volume(site.source(), bytes);
    site.pool.zfs.create(&request).unwrap();
    let content = noise(3, 3 << 20);
    let mut device = open_device(File::options().write(true), &site.source());
    device.seek(SeekFrom::Start(1 << 20)).unwrap();
    device.write_all(&content).unwrap();
    device.sync_all().unwrap();
    drop(device);
    site.pool.take("src@1");
    site.replicate();
    site.pool.take("src@2");
    site.replicate();

    run(&["zfs", "set", "snapdev=visible", site.target().as_str()]);
    let mut arrived = Vec::new();
    open_device(File::options().read(true), &site.target())
        .read_to_end(&mut arrived)
        .unwrap();
    assert_eq!(arrived.len() as u64, bytes);
    let (before, rest) = arrived.split_at(1 << 20);
    let (same, after) = rest.split_at(content.len());
    assert!(same == content);
    assert!(before.iter().chain(after).all(|byte| *byte == 0));
}

#[test]
fn a_full_target_fails_with_words_and_the_next_run_heals() {
    let site = Site::new();
    let source = site.pool.filesystem("src");
    let vault = site.pool.filesystem("vault");
    site.pool.write(&source, "a", &noise(1, LARGE));
    site.pool.take("src@1");
    run(&["zfs", "set", "quota=8M", vault.as_str()]);
    let target = site.pool.dataset("vault/dst");
    let log = Log::default();
    let executor = Executor::new(&site.local, &site.local, &log);
    assert_eq!(executor.run(&site.plan_to(&target)).failed, 1);
    let failed = log.failed();
    assert!(
        failed[0].contains("quota") || failed[0].contains("space"),
        "{failed:?}"
    );
    run(&["zfs", "set", "quota=none", vault.as_str()]);
    let outcome = Executor::new(&site.local, &site.local, &()).run(&site.plan_to(&target));
    assert!(outcome.is_ok());
    assert!(site.pool.read(&target, "a") == noise(1, LARGE));
}

#[test]
fn what_is_shared_keeps_its_snapshots_where_it_is_not_destroyed() {
    let site = Site::new();
    let shared = site.pool.filesystem("shared");
    let one = site.pool.take("shared@1");
    let zfs = &site.pool.zfs;
    let properties = zfs_core::Properties::new().with("sharenfs", "on");
    zfs.set_properties(&shared, &properties).unwrap();
    let folder = site.pool.path().join("shared");
    zfs.mount(&MountRequest::filesystem(shared.clone()).at(folder))
        .unwrap();
    let snapshots = [one.clone()];
    let error = site.local.destroy(&shared, &snapshots).unwrap_err();
    assert!(error.to_string().contains("file servers"), "{error}");
    assert!(zfs.exists(&one).unwrap());
    zfs.unmount(&shared, UnmountFlags::empty()).unwrap();
    site.local.destroy(&shared, &snapshots).unwrap();
}

#[test]
fn what_came_since_the_plan_is_not_destroyed_with_what_was_planned() {
    let site = Site::new();
    let stock = Stock::new(Arc::new(Shell::new()), Elevation::None);
    let ends: [(&str, &dyn Endpoint); 2] = [("here", &site.local), ("there", &stock)];
    for (name, end) in ends {
        let dataset = site.pool.filesystem(name);
        let taken = ["1", "2", "3"].map(|n| site.pool.take(&format!("{name}@{n}")));
        let there = || run(&["zfs", "list", "-Hro", "name", "-t", "all", dataset.as_str()]);
        let was = there();
        let [one, two, three] = taken;
        let mut rollback = Rollback {
            to: one.clone(),
            destroy: vec![two.clone()],
        };
        let refused = end.rollback(&rollback);
        assert!(matches!(refused, Err(Error::Changed { .. })), "{name}");
        let refused = end.destroy(&dataset, &[one.clone(), two.clone()]);
        assert!(matches!(refused, Err(Error::Changed { .. })), "{name}");
        assert_eq!(there(), was);
        // A hold stops all of it.
        run(&["zfs", "hold", "keep", three.as_str()]);
        rollback.destroy.push(three.clone());
        assert!(end.rollback(&rollback).is_err(), "{name}");
        assert_eq!(there(), was);
        run(&["zfs", "release", "keep", three.as_str()]);
        end.rollback(&rollback).unwrap();
        assert_eq!(there(), format!("{dataset}\n{one}\n"));
        end.destroy(&dataset, &[one]).unwrap();
        assert!(site.local.tree(&dataset).unwrap().datasets.is_empty());
    }
}

#[test]
fn what_fails_for_one_dataset_does_not_stop_the_others() {
    let site = Site::new();
    site.pool.filesystem("src");
    for name in ["src/a", "src/b"] {
        let dataset = site.pool.filesystem(name);
        site.pool.write(&dataset, "x", name.as_bytes());
    }
    for name in ["src@1", "src/a@1", "src/b@1"] {
        site.pool.take(name);
    }
    // a's receive is refused: the name is taken by something unrelated.
    site.replicate();
    run(&["zfs", "destroy", "-r", site.pool.dataset("dst/a").as_str()]);
    site.pool.filesystem("dst/a");
    site.pool.take("dst/a@other");
    site.pool.take("src/b@2");
    let (outcome, log) = site.run();
    assert_eq!((outcome.refused, outcome.streams), (1, 1));
    assert_eq!(log.kinds(), named(&[("2", "incremental")]));
    assert!(log.failed()[0].contains("another dataset of that name"));
}

struct Copies(Mutex<Vec<std::path::PathBuf>>, tempfile::TempDir);

impl Tap for Copies {
    fn open(&self, _: &DatasetName, _: &Stream) -> io::Result<Option<Box<dyn Write + Send>>> {
        let mut files = self.0.lock().unwrap();
        let path = self.1.path().join(files.len().to_string());
        files.push(path.clone());
        Ok(Some(Box::new(File::create(path)?)))
    }
}

#[test]
fn a_copy_of_the_streams_can_be_received_by_itself() {
    let site = Site::new();
    let source = site.pool.filesystem("src");
    site.pool.write(&source, "a", &noise(1, 3 << 20));
    site.pool.take("src@1");
    site.pool.write(&source, "a", b"two");
    site.pool.take("src@2");
    let copies = Copies(Mutex::default(), tempfile::tempdir().unwrap());
    let log = Log::default();
    let outcome = Executor::new(&site.local, &site.local, &log)
        .tap(&copies)
        .run(&site.plan());
    assert!(outcome.is_ok());
    let files = copies.0.lock().unwrap();
    let sizes: u64 = files.iter().map(|f| f.metadata().unwrap().len()).sum();
    assert_eq!((files.len(), sizes), (2, outcome.bytes), "bytes are exact");
    for (index, file) in files.iter().enumerate() {
        let snapshot = site.pool.snapshot(&format!("again@{}", index + 1));
        let request = zfs_core::ReceiveRequest::new(snapshot);
        let stream = std::fs::read(file).unwrap();
        fixture::receive(&site.pool.zfs, &request, &stream).unwrap();
    }
    let again = site.pool.dataset("again");
    assert_eq!(site.pool.read(&again, "a"), b"two");
}

#[test]
fn progress_is_told_while_a_stream_runs() {
    let site = Site::new();
    let source = site.pool.filesystem("src");
    site.pool.write(&source, "a", &noise(1, LARGE));
    site.pool.take("src@1");
    let log = Log::default();
    let late = Late {
        local: &site.local,
        is_stopped: false,
    };
    let outcome = Executor::new(&site.local, &late, &log).run(&site.plan());
    assert!(outcome.is_ok());
    let progress = log.progress.lock().unwrap();
    // The receiver waits a second, while the sender fills the pipe.
    assert!(progress.len() >= 3, "{progress:?}");
    assert!(progress.iter().any(|bytes| *bytes > 0), "{progress:?}");
    assert!(progress.is_sorted(), "{progress:?}");
    assert!(progress.iter().all(|bytes| *bytes <= outcome.bytes));
}
