//! The executor between two ends that exist in memory only.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use zfs_core::{BookmarkName, DatasetName, Guid, SnapshotName, Txg};

use super::{Cancel, Event, Executor, Observer, Outcome, Retries, Tap};
use crate::endpoint::{Arrival, Arrived, Endpoint, Receive, Receiving};
use crate::error::Error;
use crate::marker::TargetId;
use crate::plan::{Action, Base, Options, Plan, Rollback, Step, Stream, Why, plan};
use crate::properties::Properties;
use crate::tree::{Dataset, Encryption, Key, Snapshot, Tree};

const STREAM_BYTES: usize = 3 << 20;

/// An end whose snapshots are names with GUIDs. What it is asked to do is
/// written down in order.
#[derive(Default)]
struct Fake {
    snapshots: Mutex<BTreeMap<SnapshotName, Guid>>,
    done: Mutex<Vec<String>>,
    /// Streams of this snapshot break in the middle.
    breaks: Option<&'static str>,
    /// Streams of this snapshot have no end.
    endless: Option<&'static str>,
    /// This dataset takes nothing.
    refuses: Option<&'static str>,
    /// This dataset keeps what it got of a stream that broke.
    partial: Option<&'static str>,
    /// Nothing can be held.
    no_holds: bool,
    /// What arrives under this name gets another GUID.
    mistakes: Option<&'static str>,
    /// Of a range it says at the end whether all arrived.
    answers_last: bool,
}

/// The receives of a range at a [`Fake`] that answers last.
struct AnswersLast<'a> {
    fake: &'a Fake,
    left: &'a [Receive],
}

impl Receiving for AnswersLast<'_> {
    fn receive(&mut self, pipe: BorrowedFd<'_>) -> Result<Arrived, Error> {
        let (receive, left) = self.left.split_first().unwrap();
        self.left = left;
        let bytes = self.fake.receive(receive, pipe)?;
        let guid = if left.is_empty() {
            Arrival::Ask
        } else {
            Arrival::Later
        };
        Ok(Arrived { bytes, guid })
    }
}

impl Fake {
    fn note(&self, what: String) {
        self.done.lock().unwrap().push(what);
    }
}

/// Some error or other, about this name.
fn failed(name: &str) -> Error {
    Error::SourceMissing {
        dataset: name.split(['@', '#']).next().unwrap().parse().unwrap(),
    }
}

fn write(pipe: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
    File::from(pipe.try_clone_to_owned()?).write_all(bytes)
}

impl Endpoint for Fake {
    fn tree(&self, _: &DatasetName) -> Result<Tree, Error> {
        unreachable!("the executor does not list")
    }

    fn estimate(&self, _: &Stream) -> Result<Option<u64>, Error> {
        Ok(Some(STREAM_BYTES as u64))
    }

    fn send(&self, stream: &Stream, pipe: BorrowedFd<'_>) -> Result<(), Error> {
        let name = stream.to.name.as_str();
        self.note(format!("send {name}"));
        let broken = |_| {
            Error::Zfs(zfs_core::Error::Zfs(zfs_core::Failure {
                operation: zfs_core::Operation::Send,
                name: name.to_owned(),
                errno: zfs_core::Errno::EPIPE,
                detail: None,
            }))
        };
        let guid = stream.to.guid.0.to_be_bytes();
        write(pipe, &guid).map_err(broken)?;
        while self.endless == Some(name) {
            write(pipe, &guid).map_err(broken)?;
        }
        if self.breaks == Some(name) {
            return Err(failed(name));
        }
        write(pipe, &vec![7; STREAM_BYTES - 8]).map_err(broken)
    }

    fn sent(&self, _: &Stream, pipe: &Weak<OwnedFd>) -> Option<u64> {
        pipe.upgrade().map(|_| 42)
    }

    fn receive(&self, receive: &Receive, pipe: BorrowedFd<'_>) -> Result<u64, Error> {
        let name = receive.snapshot.as_str();
        let raw = if receive.raw { " raw" } else { "" };
        let set = receive.properties.iter().map(|(n, v)| format!(" {n}={v}"));
        let set: String = set.collect();
        self.note(format!("receive {name} {:?}{raw}{set}", receive.into));
        if self.refuses == Some(receive.snapshot.dataset().as_str()) {
            return Err(failed(name));
        }
        let mut bytes = Vec::new();
        let read = File::from(pipe.try_clone_to_owned().unwrap()).read_to_end(&mut bytes);
        if read.is_err() || bytes.len() != STREAM_BYTES {
            return Err(failed("cut/off"));
        }
        let mut guid = u64::from_be_bytes(bytes[..8].try_into().unwrap());
        if self.mistakes == Some(name) {
            guid += 1;
        }
        let mut snapshots = self.snapshots.lock().unwrap();
        snapshots.insert(receive.snapshot.clone(), Guid(guid));
        Ok(bytes.len() as u64)
    }

    fn receiving<'e>(
        &'e self,
        receives: &'e [Receive],
    ) -> Result<Option<Box<dyn Receiving + 'e>>, Error> {
        let ways = AnswersLast {
            fake: self,
            left: receives,
        };
        Ok(self.answers_last.then(|| Box::new(ways) as _))
    }

    fn has_partial(&self, dataset: &DatasetName) -> bool {
        self.partial == Some(dataset.as_str())
    }

    fn guid(&self, snapshot: &SnapshotName) -> Result<Guid, Error> {
        let snapshots = self.snapshots.lock().unwrap();
        snapshots
            .get(snapshot)
            .copied()
            .ok_or_else(|| failed(snapshot.as_str()))
    }

    fn create(&self, dataset: &DatasetName) -> Result<(), Error> {
        self.note(format!("create {dataset}"));
        if self.refuses == Some(dataset.as_str()) {
            return Err(failed(dataset.as_str()));
        }
        Ok(())
    }

    fn rename(&self, from: &DatasetName, to: &DatasetName) -> Result<(), Error> {
        self.note(format!("rename {from} {to}"));
        Ok(())
    }

    fn clone_snapshot(
        &self,
        origin: &SnapshotName,
        dataset: &DatasetName,
        properties: &Properties,
    ) -> Result<(), Error> {
        let set = properties.iter().map(|(n, v)| format!(" {n}={v}"));
        let set: String = set.collect();
        self.note(format!("clone {origin} {dataset}{set}"));
        Ok(())
    }

    fn promote(&self, dataset: &DatasetName) -> Result<(), Error> {
        self.note(format!("promote {dataset}"));
        Ok(())
    }

    fn rollback(&self, rollback: &Rollback) -> Result<(), Error> {
        self.note(format!("rollback {}", rollback.to));
        Ok(())
    }

    fn destroy(&self, dataset: &DatasetName, _: &[SnapshotName]) -> Result<(), Error> {
        self.note(format!("destroy {dataset}"));
        Ok(())
    }

    fn abort_receive(&self, dataset: &DatasetName) -> Result<(), Error> {
        self.note(format!("abort {dataset}"));
        Ok(())
    }

    fn properties(&self, _: &DatasetName) -> Result<HashMap<DatasetName, Properties>, Error> {
        unreachable!("the executor is given them")
    }

    fn hold(&self, snapshot: &SnapshotName, tag: &str) -> Result<(), Error> {
        if self.no_holds {
            return Err(failed(snapshot.as_str()));
        }
        self.note(format!("hold {snapshot} {tag}"));
        Ok(())
    }

    fn bookmark(&self, of: &Base, name: &BookmarkName) -> Result<(), Error> {
        self.note(format!("bookmark {} {name}", of.as_str()));
        Ok(())
    }

    fn destroy_bookmarks(&self, names: &[BookmarkName]) -> Result<(), Error> {
        for name in names {
            self.note(format!("destroy {name}"));
        }
        Ok(())
    }
}

#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl Observer for Log {
    fn event(&self, event: &Event<'_>) {
        let line = match event {
            Event::Started(transfer) => format!("started {}", transfer.stream.to.name),
            Event::Finished { bytes, .. } => format!("finished {bytes}"),
            Event::Failed {
                error, resumable, ..
            } => format!("failed resumable={resumable} {error}"),
            Event::Progress { .. } => return,
            other => format!("{other:?}")
                .split([' ', '{'])
                .next()
                .unwrap()
                .to_owned(),
        };
        self.0.lock().unwrap().push(line);
    }
}

fn dataset(name: &str, snapshots: &[u64]) -> Dataset {
    let name: DatasetName = name.parse().unwrap();
    let mut dataset = Dataset::new(name.clone(), Guid(1));
    for guid in snapshots {
        dataset.snapshots.push(Snapshot {
            name: name.with_snapshot(&guid.to_string()).unwrap(),
            guid: Guid(*guid),
            createtxg: Txg(*guid),
            creation: None,
            ivset: None,
        });
    }
    dataset
}

fn planned(datasets: Vec<Dataset>, target: &str, marker: bool) -> Plan {
    let source = Tree {
        root: "tank".parse().unwrap(),
        datasets,
        above: None,
    };
    let target = Tree {
        root: target.parse().unwrap(),
        datasets: Vec::new(),
        above: Some(Dataset::new("vault".parse().unwrap(), Guid(2))),
    };
    let id: TargetId = "siteb".parse().unwrap();
    let options = Options::new();
    let options = if marker { options.marker(&id) } else { options };
    plan(&source, &target, &options).unwrap()
}

fn run(source: &Fake, target: &Fake, plan: &Plan) -> (Outcome, Vec<String>) {
    let log = Log::default();
    let outcome = Executor::new(source, target, &log).run(plan);
    (outcome, log.0.into_inner().unwrap())
}

#[test]
fn snapshots_arrive_in_order_and_the_marker_follows_each() {
    let (source, target) = (Fake::default(), Fake::default());
    let plan = planned(vec![dataset("tank", &[1, 2])], "vault/deep/t", true);
    let (outcome, log) = run(&source, &target, &plan);
    assert_eq!(
        outcome,
        Outcome {
            streams: 2,
            bytes: 2 * STREAM_BYTES as u64,
            ..Outcome::default()
        }
    );
    assert_eq!(
        log,
        [
            "Created",
            "started tank@1",
            "finished 3145728",
            "started tank@2",
            "finished 3145728",
        ]
    );
    assert_eq!(
        source.done.into_inner().unwrap(),
        [
            "send tank@1",
            "bookmark tank@1 tank#replica-siteb-0000000000000001",
            "send tank@2",
            "bookmark tank@2 tank#replica-siteb-0000000000000002",
            "destroy tank#replica-siteb-0000000000000001",
        ]
    );
    assert_eq!(
        target.done.into_inner().unwrap(),
        [
            "create vault/deep",
            "receive vault/deep/t@1 New",
            "receive vault/deep/t@2 Existing",
        ]
    );
}

#[test]
fn what_fails_for_one_dataset_does_not_stop_the_others() {
    let source = Fake {
        breaks: Some("tank/a@1"),
        ..Fake::default()
    };
    let target = Fake {
        partial: Some("vault/t/a"),
        ..Fake::default()
    };
    let plan = planned(
        vec![
            dataset("tank", &[9]),
            dataset("tank/a", &[1, 2]),
            dataset("tank/a/below", &[3]),
            dataset("tank/b", &[4]),
        ],
        "vault/t",
        false,
    );
    let (outcome, log) = run(&source, &target, &plan);
    assert_eq!((outcome.streams, outcome.failed), (2, 2));
    assert_eq!(
        log,
        [
            "started tank@9",
            "finished 3145728",
            "started tank/a@1",
            // The sender's error, since the receiver's is only its echo.
            "failed resumable=true cannot replicate tank/a: there is no such dataset on the source",
            "failed resumable=false cannot replicate to vault/t/a/below: vault/t/a, above it, \
             could not be made",
            "started tank/b@4",
            "finished 3145728",
        ]
    );
}

#[test]
fn nothing_is_retired_while_something_that_is_new_did_not_arrive() {
    let mut plan = planned(
        vec![dataset("tank", &[9]), dataset("tank/new", &[1])],
        "vault/t",
        false,
    );
    let retire = |action| Step {
        source: "tank/old".parse().unwrap(),
        target: "vault/t/old".parse().unwrap(),
        action,
        why: Why::Retired,
    };
    let snapshots = vec!["vault/t/old@1".parse().unwrap()];
    plan.steps.push(retire(Action::Abort));
    plan.steps.push(retire(Action::Destroy { snapshots }));
    for (breaks, jobs) in [(None, 1), (Some("tank/new@1"), 1), (Some("tank/new@1"), 4)] {
        let source = Fake {
            breaks,
            ..Fake::default()
        };
        let target = Fake::default();
        let log = Log::default();
        let outcome = Executor::new(&source, &target, &log).jobs(jobs).run(&plan);
        let done = target.done.into_inner().unwrap();
        for what in ["abort vault/t/old", "destroy vault/t/old"] {
            assert_eq!(
                done.contains(&what.to_owned()),
                breaks.is_none(),
                "{done:?}"
            );
        }
        let log = log.0.into_inner().unwrap();
        assert_eq!(
            outcome.failed,
            if breaks.is_none() { 0 } else { 2 },
            "{log:?}"
        );
        let kept = "vault/t/old, which the source no longer has, is kept this time, since \
                    vault/t/new could not be made";
        assert_eq!(
            log.last().unwrap().ends_with(kept),
            breaks.is_some(),
            "{log:?}"
        );
    }
}

#[test]
fn a_clone_is_not_promoted_where_its_origin_would_be_left_without_a_snapshot() {
    let mut plan = planned(vec![dataset("tank", &[1])], "vault/t", false);
    let name = |name: &str| name.parse::<DatasetName>().unwrap();
    plan.steps.push(Step {
        source: name("tank/c"),
        target: name("vault/c"),
        action: Action::Promote {
            from: name("vault/t"),
        },
        why: Why::PromotedOnSource,
    });
    for (breaks, promoted) in [(None, true), (Some("tank@1"), false)] {
        let source = Fake {
            breaks,
            ..Fake::default()
        };
        let target = Fake::default();
        let (outcome, log) = run(&source, &target, &plan);
        let done = target.done.into_inner().unwrap();
        assert_eq!(done.contains(&"promote vault/c".to_owned()), promoted);
        assert_eq!(outcome.failed, if promoted { 0 } else { 2 }, "{log:?}");
    }
}

#[test]
fn what_is_made_says_whose_replica_it_is() {
    let mut plan = planned(vec![dataset("tank", &[1, 2])], "vault/t", false);
    plan.steps.push(Step {
        source: "tank/c".parse().unwrap(),
        target: "vault/t/c".parse().unwrap(),
        action: Action::Clone {
            origin: "vault/t@1".parse().unwrap(),
        },
        why: Why::PromotedOnSource,
    });
    let (source, target) = (Fake::default(), Fake::default());
    let executor = Executor::new(&source, &target, &());
    let outcome = executor.sign("siteb".parse().unwrap()).run(&plan);
    assert!(outcome.is_ok());
    assert_eq!(
        target.done.into_inner().unwrap(),
        [
            "receive vault/t@1 New zfs-replicate:target=siteb 1",
            "receive vault/t@2 Existing",
            "clone vault/t@1 vault/t/c zfs-replicate:target=siteb 1",
        ]
    );
}

#[test]
fn the_source_lets_go_of_nothing_that_the_target_does_not_hold() {
    let target = Fake {
        no_holds: true,
        ..Fake::default()
    };
    let source = Fake::default();
    let plan = planned(vec![dataset("tank", &[1])], "vault/t", false);
    let outcome = Executor::new(&source, &target, &()).hold("keep").run(&plan);
    assert_eq!((outcome.streams, outcome.failed), (1, 1));
    assert_eq!(source.done.into_inner().unwrap(), ["send tank@1"]);
}

#[test]
fn where_the_receiver_gives_up_its_error_is_the_one_that_is_told() {
    let target = Fake {
        refuses: Some("vault/t"),
        ..Fake::default()
    };
    let plan = planned(vec![dataset("tank", &[1])], "vault/t", true);
    let source = Fake::default();
    let (outcome, log) = run(&source, &target, &plan);
    assert_eq!(outcome.failed, 1);
    assert!(log[1].ends_with("cannot replicate vault/t: there is no such dataset on the source"));
    assert_eq!(source.done.into_inner().unwrap(), ["send tank@1"]);
}

#[test]
fn no_marker_moves_for_a_snapshot_that_is_not_the_one() {
    let target = Fake {
        mistakes: Some("vault/t@1"),
        ..Fake::default()
    };
    let source = Fake::default();
    let plan = planned(vec![dataset("tank", &[1, 2])], "vault/t", true);
    let (outcome, log) = run(&source, &target, &plan);
    assert_eq!((outcome.streams, outcome.failed), (0, 1));
    assert!(
        log[1].contains("arrived with GUID 2 instead of 1"),
        "{log:?}"
    );
    assert_eq!(source.done.into_inner().unwrap(), ["send tank@1"]);
}

#[test]
fn no_marker_moves_to_what_is_still_on_its_way() {
    for breaks in [None, Some("tank@3")] {
        let source = Fake {
            breaks,
            ..Fake::default()
        };
        let target = Fake {
            answers_last: true,
            ..Fake::default()
        };
        let plan = planned(vec![dataset("tank", &[1, 2, 3])], "vault/t", true);
        let (outcome, log) = run(&source, &target, &plan);
        let mut wanted = vec!["send tank@1", "send tank@2", "send tank@3"];
        if breaks.is_none() {
            wanted.push("bookmark tank@3 tank#replica-siteb-0000000000000003");
        }
        let arrived = if breaks.is_none() { 3 } else { 0 };
        assert_eq!(outcome.streams, arrived, "{log:?}");
        let finished = log.iter().filter(|line| line.starts_with("finished"));
        assert_eq!(finished.count() as u64, arrived, "{log:?}");
        assert_eq!(outcome.bytes, arrived * STREAM_BYTES as u64);
        assert_eq!(source.done.into_inner().unwrap(), wanted);
    }
}

#[test]
fn a_request_to_stop_ends_a_stream_that_has_no_end() {
    let source = Fake {
        endless: Some("tank@1"),
        ..Fake::default()
    };
    let target = Fake::default();
    let plan = planned(
        vec![dataset("tank", &[1]), dataset("tank/a", &[2])],
        "vault/t",
        true,
    );
    let cancel = Cancel::new();
    let log = Log::default();
    let outcome = std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            Executor::new(&source, &target, &log)
                .cancel(cancel.clone())
                .run(&plan)
        });
        let started = Instant::now();
        while log.0.lock().unwrap().is_empty() && started.elapsed().as_secs() < 60 {
            std::thread::sleep(Duration::from_millis(5));
        }
        // In its middle.
        std::thread::sleep(Duration::from_millis(100));
        cancel.cancel();
        running.join().unwrap()
    });
    assert!(outcome.cancelled && outcome.failed == 0 && !outcome.is_ok());
    let log = log.0.into_inner().unwrap();
    assert_eq!(log.len(), 2, "{log:?}");
    assert!(log[1].contains("was stopped on request"), "{log:?}");
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Tap for Shared {
    fn open(&self, _: &DatasetName, _: &Stream) -> io::Result<Option<Box<dyn Write + Send>>> {
        Ok(Some(Box::new(self.clone())))
    }
}

struct Full;

impl Tap for Full {
    fn open(&self, _: &DatasetName, _: &Stream) -> io::Result<Option<Box<dyn Write + Send>>> {
        let full = File::options().write(true).open("/dev/full")?;
        Ok(Some(Box::new(full)))
    }
}

#[test]
fn a_tap_gets_every_byte_and_the_target_too() {
    let (source, target) = (Fake::default(), Fake::default());
    let plan = planned(vec![dataset("tank", &[1])], "vault/t", false);
    let tap = Shared::default();
    let outcome = Executor::new(&source, &target, &()).tap(&tap).run(&plan);
    assert!(outcome.is_ok());
    let copy = tap.0.lock().unwrap();
    assert_eq!(copy.len(), STREAM_BYTES);
    assert_eq!(copy[..8], 1_u64.to_be_bytes());
}

#[test]
fn a_tap_that_cannot_write_fails_the_transfer_and_is_named_as_the_cause() {
    let (source, target) = (Fake::default(), Fake::default());
    let plan = planned(vec![dataset("tank", &[1])], "vault/t", false);
    let log = Log::default();
    let outcome = Executor::new(&source, &target, &log).tap(&Full).run(&plan);
    assert_eq!(outcome.failed, 1);
    let log = log.0.into_inner().unwrap();
    assert!(log[1].contains("cannot keep a copy of the stream of tank@1"));
}

#[test]
fn a_receive_says_whether_it_makes_a_dataset_and_must_be_raw() {
    let mut encrypted = dataset("tank", &[1]);
    encrypted.encryption = Some(Encryption {
        root: encrypted.name.clone(),
        key: Key::Unavailable,
    });
    let target = Fake::default();
    let plan = planned(vec![encrypted], "vault/t", false);
    let outcome = Executor::new(&Fake::default(), &target, &()).run(&plan);
    assert!(outcome.is_ok());
    assert_eq!(
        target.done.into_inner().unwrap(),
        ["receive vault/t@1 New raw"]
    );
}

#[test]
fn side_by_side_parents_come_before_children_and_everything_arrives() {
    let (source, target) = (Fake::default(), Fake::default());
    let datasets = ["tank", "tank/a", "tank/a/b", "tank/c", "tank/d", "tank/e"];
    let datasets = datasets
        .iter()
        .enumerate()
        .map(|(index, name)| dataset(name, &[index as u64 * 2 + 1, index as u64 * 2 + 2]));
    let plan = planned(datasets.collect(), "vault/x", true);
    let outcome = Executor::new(&source, &target, &()).jobs(4).run(&plan);
    assert!(outcome.is_ok());
    assert_eq!(outcome.streams, 12);
    let done = target.done.into_inner().unwrap();
    let at = |what: &str| {
        let mut lines = done.iter();
        lines.position(|line| line.contains(what)).expect(what)
    };
    assert!(at("vault/x@1 ") < at("vault/x/a@3 "));
    assert!(at("vault/x/a@3 ") < at("vault/x/a/b@5 "));
    assert!(at("vault/x/d@9 ") < at("vault/x/d@10 "));
}

#[test]
fn side_by_side_one_failure_stops_only_what_is_below() {
    let (source, target) = (
        Fake::default(),
        Fake {
            refuses: Some("vault/x/a"),
            ..Fake::default()
        },
    );
    let names = ["tank", "tank/a", "tank/a/b", "tank/c"];
    let datasets = names.iter().enumerate();
    let datasets = datasets.map(|(index, name)| dataset(name, &[index as u64 + 1]));
    let plan = planned(datasets.collect(), "vault/x", false);
    let outcome = Executor::new(&source, &target, &()).jobs(3).run(&plan);
    assert_eq!((outcome.failed, outcome.streams), (2, 2));
}

#[test]
fn what_is_no_stream_does_not_get_past_verification() {
    let (source, target) = (Fake::default(), Fake::default());
    let log = Log::default();
    let plan = planned(vec![dataset("tank", &[1])], "vault/x", false);
    let outcome = Executor::new(&source, &target, &log).verify().run(&plan);
    assert_eq!((outcome.failed, outcome.streams), (1, 0));
    let lines = log.0.into_inner().unwrap();
    assert!(lines[1].contains("is damaged"), "{lines:?}");
    assert!(target.snapshots.lock().unwrap().is_empty());
}

#[test]
fn a_buffer_and_a_limit_change_nothing_but_the_pace() {
    let (source, target) = (Fake::default(), Fake::default());
    let plan = planned(vec![dataset("tank", &[1])], "vault/x", false);
    let limit = zfs_stream::stage::Limit::new(std::num::NonZeroU64::new(1 << 30));
    let executor = Executor::new(&source, &target, &());
    let outcome = executor.buffer(4 << 20).limit(limit).run(&plan);
    assert_eq!(outcome.bytes, STREAM_BYTES as u64);
}

#[test]
fn a_hold_on_request_follows_what_arrived_on_both_sides() {
    let (source, target) = (Fake::default(), Fake::default());
    let plan = planned(vec![dataset("tank", &[1])], "vault/t", false);
    let outcome = Executor::new(&source, &target, &()).hold("keep").run(&plan);
    assert!(outcome.is_ok());
    let held = |fake: Fake| fake.done.into_inner().unwrap().pop().unwrap();
    assert_eq!(held(source), "hold tank@1 keep");
    assert_eq!(held(target), "hold vault/t@1 keep");
}

#[test]
fn what_may_pass_is_tried_again_and_what_will_not_is_not() {
    let (source, target) = (Fake::default(), Fake::default());
    let (log, mut rounds) = (Log::default(), 0);
    let retries = Retries {
        times: 3,
        first: Duration::from_millis(1),
        longest: Duration::from_millis(1),
    };
    let lost = || Error::Lost {
        host: "far".to_owned(),
        command: "zfs list".to_owned(),
        problem: "it ended".to_owned(),
    };
    let executor = Executor::new(&source, &target, &log);
    let outcome = executor.run_with_retries(retries, || {
        rounds += 1;
        if rounds < 3 {
            return Err(lost());
        }
        Ok(planned(vec![dataset("tank", &[1])], "vault/t", false))
    });
    assert_eq!((outcome.unwrap().streams, rounds), (1, 3));

    rounds = 0;
    let outcome = executor.run_with_retries(retries, || {
        rounds += 1;
        Err(lost())
    });
    assert!(matches!(outcome, Err(Error::Lost { .. })) && rounds == 4);

    rounds = 0;
    let stopped = Fake {
        refuses: Some("vault/t"),
        ..Fake::default()
    };
    let outcome = Executor::new(&source, &stopped, &log).run_with_retries(retries, || {
        rounds += 1;
        Ok(planned(vec![dataset("tank", &[1])], "vault/t", false))
    });
    assert_eq!((outcome.unwrap().failed, rounds), (1, 1));
}
