//! The executor between two ends that exist in memory only.

mod arrive;
mod failure;
mod jobs;
mod stages;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Mutex, Weak};

use zfs_core::{BookmarkName, DatasetName, Guid, SnapshotName, Txg};

use super::{Event, Executor, Observer, Outcome};
use crate::endpoint::{Arrival, Arrived, Endpoint, Receive, Receiving};
use crate::error::Error;
use crate::marker::TargetId;
use crate::plan::{Base, Options, Plan, Rollback, Stream, plan};
use crate::properties::Properties;
use crate::tree::{Dataset, Snapshot, Tree};

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
    /// Nor bookmarked.
    marks_nothing: bool,
    /// What arrives under this name gets another GUID.
    mistakes: Option<&'static str>,
    /// The next send ends with this.
    fails_once: Mutex<Option<Error>>,
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
        let arrived = self.fake.receive(receive, pipe)?;
        let guid = if left.is_empty() {
            Arrival::Ask
        } else {
            Arrival::Later
        };
        Ok(Arrived { guid, ..arrived })
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
        if let Some(error) = self.fails_once.lock().unwrap().take() {
            return Err(error);
        }
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

    fn receive(&self, receive: &Receive, pipe: BorrowedFd<'_>) -> Result<Arrived, Error> {
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
        let unset = receive.properties.get("refused");
        Ok(Arrived {
            bytes: bytes.len() as u64,
            guid: Arrival::Ask,
            unset: unset.cloned().into_iter().collect(),
        })
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

    fn release(&self, snapshots: &[&SnapshotName], tag: &str) -> Result<(), Error> {
        for snapshot in snapshots {
            self.note(format!("release {snapshot} {tag}"));
        }
        Ok(())
    }

    fn held(&self, _: &[&SnapshotName], _: &str) -> Result<HashSet<SnapshotName>, Error> {
        unreachable!("the executor is told what is not held")
    }

    fn bookmark(&self, bookmarks: &[(Base, BookmarkName)]) -> Result<(), Error> {
        for (of, name) in bookmarks {
            if self.marks_nothing {
                return Err(failed(name.as_str()));
            }
            self.note(format!("bookmark {} {name}", of.as_str()));
        }
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
    planned_onto(datasets, target, Vec::new(), marker)
}

/// The same onto what the target has.
fn planned_onto(datasets: Vec<Dataset>, target: &str, there: Vec<Dataset>, marker: bool) -> Plan {
    let source = Tree {
        root: "tank".parse().unwrap(),
        datasets,
        above: None,
    };
    let above = there.is_empty();
    let target = Tree {
        root: target.parse().unwrap(),
        datasets: there,
        above: above.then(|| Dataset::new("vault".parse().unwrap(), Guid(2))),
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
