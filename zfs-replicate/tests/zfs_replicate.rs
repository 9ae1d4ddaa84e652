//! Replication between datasets of a real pool.

#[path = "../../zfs-core/tests/fixture/mod.rs"]
mod fixture;

#[path = "zfs_replicate/destroy.rs"]
mod destroy;
#[path = "zfs_replicate/failure.rs"]
mod failure;
#[path = "zfs_replicate/observe.rs"]
mod observe;
#[path = "zfs_replicate/resume.rs"]
mod resume;
#[path = "zfs_replicate/send.rs"]
mod send;

use std::collections::{HashMap, HashSet};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use fixture::{PATIENCE, Pool, get};
use rustix::fs::{OFlags, fcntl_getfl};
use zfs_core::{BookmarkName, DatasetName, Guid, SnapshotName};
use zfs_replicate::Error;
use zfs_replicate::endpoint::{Arrived, Endpoint, Local, Receive};
use zfs_replicate::execute::{Cancel, Event, Executor, Observer, Outcome};
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

    fn receive(&self, receive: &Receive, pipe: BorrowedFd<'_>) -> Result<Arrived, Error> {
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

    fn release(&self, snapshots: &[&SnapshotName], tag: &str) -> Result<(), Error> {
        self.local.release(snapshots, tag)
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

    fn held(&self, snapshots: &[&SnapshotName], tag: &str) -> Result<HashSet<SnapshotName>, Error> {
        self.local.held(snapshots, tag)
    }

    fn bookmark(&self, bookmarks: &[(Base, BookmarkName)]) -> Result<(), Error> {
        self.local.bookmark(bookmarks)
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
