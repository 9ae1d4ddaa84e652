//! A system that runs one command, whatever is asked:
//! `command="zfs receive -F tank/backups/vms"` in its `authorized_keys`.
//!
//! `pipe -> ssh -> whatever runs there`
//!
//! It cannot be asked what it has. What it got last is known from the marker on
//! the source, and the planner is told that this is all.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Stdio;
use std::sync::{Arc, Weak};

use zfs_core::{BookmarkName, DatasetName, Guid, SnapshotName};

use super::stock::remote;
use super::stock::split::{Broken, Splitter};
use super::{Arrival, Arrived, Endpoint, Receive, Receiving, Transport};
use crate::error::Error;
use crate::marker::{Marker, TargetId};
use crate::plan::{Base, Encrypted, Rollback, Stream};
use crate::properties::Properties;
use crate::tree::{Dataset, Encryption, Key, Snapshot, Tree};

/// A system that receives streams into one dataset and does nothing else.
#[derive(Clone, Debug)]
pub struct Forced {
    transport: Arc<dyn Transport>,
}

/// What a target is known to have that cannot be asked: what its marker on the
/// source stands for.
///
/// Without a marker it has nothing yet.
pub fn remembered(
    source: &Tree,
    target: &DatasetName,
    id: &TargetId,
    encrypted: Encrypted,
) -> Tree {
    let above = target.parent().unwrap_or_else(|| target.clone());
    let mut tree = Tree {
        root: target.clone(),
        datasets: Vec::new(),
        above: Some(Dataset::new(above, Guid(0))),
    };
    let Some(sent) = source.get(&source.root) else {
        return tree;
    };
    let own = sent.bookmarks.iter().filter(|bookmark| {
        Marker::parse(bookmark.name.bookmark())
            .is_some_and(|marker| marker.target == *id && marker.guid == bookmark.guid)
    });
    let Some(marker) = own.max_by_key(|bookmark| bookmark.createtxg) else {
        return tree;
    };
    // The name matters to nobody, and no snapshot is called like a marker.
    let Ok(name) = target.with_snapshot(marker.name.bookmark()) else {
        return tree;
    };
    let mut there = Dataset::new(target.clone(), Guid(0));
    there.kind = sent.kind;
    if encrypted == Encrypted::Raw && sent.is_encrypted() {
        there.encryption = Some(Encryption {
            root: target.clone(),
            key: Key::Unavailable,
        });
    }
    there.snapshots.push(Snapshot {
        name,
        guid: marker.guid,
        createtxg: marker.createtxg,
        creation: None,
        ivset: marker.ivset,
    });
    tree.datasets.push(there);
    tree
}

impl Forced {
    /// Reached that way.
    pub fn new(transport: Arc<dyn Transport>) -> Forced {
        Forced { transport }
    }

    fn cannot<T>(&self, what: impl Into<String>) -> Result<T, Error> {
        Err(Error::Forced {
            host: self.transport.host().to_owned(),
            what: what.into(),
        })
    }

    fn through(&self, receive: &Receive, pipe: BorrowedFd<'_>) -> Result<Arrived, Error> {
        let transport = &*self.transport;
        // What is asked for is what a shell there would do as well.
        let dataset = receive.snapshot.dataset().as_str();
        let command = super::stock::quote::command(["zfs", "receive", "-u", dataset]);
        let failed = |error: io::Error| remote::failed_to_run(transport, &command, &error);
        let mut process = remote::start(transport, &command, Stdio::piped(), Stdio::null())?;
        let mut streams = Splitter::new(File::from(pipe.try_clone_to_owned().map_err(failed)?));
        let to = process.stdin();
        let moved = streams.begin().and_then(|head| {
            let head = head.ok_or(Broken::CutOff)?;
            let to = to.ok_or(Broken::NobodyReads)?;
            let bytes = streams.copy(&head, File::from(to), |_| {})?;
            Ok((bytes, head.to_guid))
        });
        let (status, said) = process.end().map_err(failed)?;
        match moved {
            Ok((bytes, guid)) if status.success() => Ok(Arrived {
                bytes,
                guid: Arrival::Told(guid),
                unset: Vec::new(),
            }),
            Err(Broken::Nonsense(problem)) => Err(Error::package(problem.to_owned())),
            _ => Err(remote::refused(
                transport,
                &command,
                status,
                &explained(said),
            )),
        }
    }
}

/// What a receiver says, and what to do where nothing can be looked up.
fn explained(said: String) -> String {
    let has = |words: &[&str]| words.iter().any(|words| said.contains(words));
    let hint = if has(&["partially-complete", "partially complete"]) {
        "give that up there with zfs receive -A, or finish it"
    } else if has(&[
        "must destroy",
        "destination has snapshots",
        "destination exists",
        "exists\n",
    ]) {
        "there is something already, and no marker says what: destroy or rename it there, or \
         replicate once without a forced command, which finds what both have"
    } else if has(&[
        "does not match incremental source",
        "does not\nmatch incremental source",
        "has been modified",
        "does not exist",
    ]) {
        "the other end no longer has what the marker stands for as its last: take it back there, \
         or destroy the marker here, and the target there, to begin anew"
    } else {
        return said;
    };
    format!("{said} ({hint})")
}

/// One stream after the other, a command each.
struct Receivers<'a> {
    forced: &'a Forced,
    waiting: &'a [Receive],
}

impl Receiving for Receivers<'_> {
    fn receive(&mut self, pipe: BorrowedFd<'_>) -> Result<Arrived, Error> {
        let Some((receive, rest)) = self.waiting.split_first() else {
            return self.forced.cannot("receive more than what was planned");
        };
        self.waiting = rest;
        self.forced.through(receive, pipe)
    }
}

impl Endpoint for Forced {
    fn tree(&self, root: &DatasetName) -> Result<Tree, Error> {
        self.cannot(format!("zfs list {root}"))
    }

    fn properties(&self, root: &DatasetName) -> Result<HashMap<DatasetName, Properties>, Error> {
        self.cannot(format!("zfs get all {root}"))
    }

    fn connect_again(&self) -> Result<(), Error> {
        self.transport.connect_again()
    }

    fn interrupt(&self) {
        self.transport.channels().processes().end();
    }

    fn estimate(&self, _: &Stream) -> Result<Option<u64>, Error> {
        Ok(None)
    }

    fn send(&self, stream: &Stream, _: BorrowedFd<'_>) -> Result<(), Error> {
        self.cannot(format!("zfs send {}", stream.to.name))
    }

    fn sent(&self, _: &Stream, _: &Weak<OwnedFd>) -> Option<u64> {
        None
    }

    fn receive(&self, receive: &Receive, pipe: BorrowedFd<'_>) -> Result<Arrived, Error> {
        self.through(receive, pipe.as_fd())
    }

    fn receiving<'e>(
        &'e self,
        receives: &'e [Receive],
    ) -> Result<Option<Box<dyn Receiving + 'e>>, Error> {
        Ok(Some(Box::new(Receivers {
            forced: self,
            waiting: receives,
        })))
    }

    fn has_partial(&self, _: &DatasetName) -> bool {
        false
    }

    fn guid(&self, snapshot: &SnapshotName) -> Result<Guid, Error> {
        self.cannot(format!("zfs get guid {snapshot}"))
    }

    fn create(&self, dataset: &DatasetName) -> Result<(), Error> {
        self.cannot(format!("zfs create {dataset}"))
    }

    fn rename(&self, from: &DatasetName, to: &DatasetName) -> Result<(), Error> {
        self.cannot(format!("zfs rename {from} {to}"))
    }

    fn clone_snapshot(
        &self,
        origin: &SnapshotName,
        dataset: &DatasetName,
        _: &Properties,
    ) -> Result<(), Error> {
        self.cannot(format!("zfs clone {origin} {dataset}"))
    }

    fn promote(&self, dataset: &DatasetName) -> Result<(), Error> {
        self.cannot(format!("zfs promote {dataset}"))
    }

    fn rollback(&self, rollback: &Rollback) -> Result<(), Error> {
        self.cannot(format!("zfs rollback {}", rollback.to))
    }

    fn destroy(&self, dataset: &DatasetName, _: &[SnapshotName]) -> Result<(), Error> {
        self.cannot(format!("zfs destroy {dataset}"))
    }

    fn abort_receive(&self, dataset: &DatasetName) -> Result<(), Error> {
        self.cannot(format!("zfs receive -A {dataset}"))
    }

    fn hold(&self, snapshot: &SnapshotName, tag: &str) -> Result<(), Error> {
        self.cannot(format!("zfs hold {tag} {snapshot}"))
    }

    fn release(&self, snapshots: &[&SnapshotName], tag: &str) -> Result<(), Error> {
        match snapshots.first() {
            Some(snapshot) => self.cannot(format!("zfs release {tag} {snapshot}")),
            None => Ok(()),
        }
    }

    fn held(&self, _: &[&SnapshotName], tag: &str) -> Result<HashSet<SnapshotName>, Error> {
        self.cannot(format!("zfs holds (for {tag})"))
    }

    fn bookmark(&self, bookmarks: &[(Base, BookmarkName)]) -> Result<(), Error> {
        match bookmarks.first() {
            Some((_, name)) => self.cannot(format!("zfs bookmark {name}")),
            None => Ok(()),
        }
    }

    fn destroy_bookmarks(&self, names: &[BookmarkName]) -> Result<(), Error> {
        match names.first() {
            Some(name) => self.cannot(format!("zfs destroy {name}")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use zfs_core::Txg;

    use super::*;
    use crate::plan::{Action, Hosts, Options, plan};
    use crate::tree::Bookmark;

    fn source(markers: &[u64]) -> Tree {
        let root: DatasetName = "tank/vms".parse().unwrap();
        let mut dataset = Dataset::new(root.clone(), Guid(1));
        for guid in 1..=4 {
            dataset.snapshots.push(Snapshot {
                name: root.with_snapshot(&guid.to_string()).unwrap(),
                guid: Guid(guid),
                createtxg: Txg(guid),
                creation: None,
                ivset: None,
            });
        }
        for guid in markers {
            let marker = Marker {
                target: id(),
                guid: Guid(*guid),
            };
            dataset.bookmarks.push(Bookmark {
                name: marker.bookmark(&root).unwrap(),
                guid: Guid(*guid),
                createtxg: Txg(*guid),
                ivset: None,
            });
        }
        Tree {
            root,
            datasets: vec![dataset],
            above: None,
        }
    }

    fn id() -> TargetId {
        "far".parse().unwrap()
    }

    /// What is sent to a target that these markers remember.
    fn sent(markers: &[u64]) -> (Option<u64>, Vec<u64>) {
        let source = source(markers);
        let target = "tank/backups/vms".parse().unwrap();
        let there = remembered(&source, &target, &id(), Encrypted::Raw);
        let id = id();
        let options = Options::new().marker(&id).hosts(Hosts::Different);
        let plan = plan(&source, &there, &options).unwrap();
        let sends: Vec<_> = plan.steps.iter().map(|step| &step.action).collect();
        match sends.as_slice() {
            [Action::Send(range)] | [Action::Mark(_), Action::Send(range)] => (
                range.base.as_ref().map(|base| base.guid().0),
                range
                    .snapshots
                    .iter()
                    .map(|snapshot| snapshot.guid.0)
                    .collect(),
            ),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_was_sent_last_is_what_its_marker_says() {
        assert_eq!(sent(&[]), (None, vec![1, 2, 3, 4]));
        assert_eq!(sent(&[2]), (Some(2), vec![3, 4]));
        assert_eq!(sent(&[1, 3]), (Some(3), vec![4]));
    }

    #[test]
    fn what_a_receiver_refuses_is_told_with_what_to_do() {
        for (said, hint) in [
            (
                "destination t has been modified\nsince most recent snapshot",
                "marker",
            ),
            (
                "destination contains partially-complete state",
                "zfs receive -A",
            ),
            (
                "cannot receive new filesystem stream: destination 't' exists\nmust specify -F to overwrite it",
                "no marker",
            ),
            ("out of space", "out of space"),
        ] {
            assert!(explained(said.to_owned()).contains(hint), "{said}");
        }
    }
}
