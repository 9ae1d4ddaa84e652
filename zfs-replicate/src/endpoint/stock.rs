//! A system with stock ZFS: zfs(8) in a shell, over a connection.
//!
//! ```text
//! tree: zfs list -r ROOT && zfs list -r -t all -o name,guid,createtxg ROOT
//!       [, the IV sets of what is encrypted, or what is above a root that is not there]
//! zfs send there -> ssh -> pipe            pipe -> ssh -> zfs receive there
//! ```
//!
//! Whatever the number of datasets, a listing takes one command, or two where
//! something is encrypted or the root is not there yet; about how much there is
//! to send is asked by another, once, where something is sent; the streams of a
//! range take one, which also says what arrived; and one shell for all ranges
//! moves the markers.

mod asides;
mod compression;
pub(super) mod listing;
mod processes;
pub(super) mod quote;
mod receive;
pub(super) mod remote;
mod send;
pub(super) mod split;
mod ssh;
mod transport;
mod tree;
mod twice;

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use zfs_core::{BookmarkName, DatasetName, Guid, SnapshotName};

pub use compression::Compression;
pub use listing::{POINTS, parse as parse_listing};
pub use processes::Processes;
pub use quote::quote;
pub use ssh::{Ssh, SshOptions};
pub use transport::{Channel, Channels, MAX_CHANNELS, Shell, Transport};
pub use twice::{Malformed, Twice};

use asides::Asides;
use receive::Receivers;
use send::Senders;
use tree::{KnownPool, Sizes};

use super::{Access, Arrived, Endpoint, Receive, Receiving, Sending};
use crate::error::Error;
use crate::plan::{Base, Range, Rollback, Stream};
use crate::properties::Properties;
use crate::tree::{Dataset, Tree};

/// Of how many snapshots a command asks: a command line has an end, at 128 KiB,
/// and a name has up to 255 bytes.
const HOLDS_AT_ONCE: usize = 400;

/// Whether zfs(8) is run by another user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Elevation {
    /// It is not: the user is root, or has what it takes by `zfs allow`.
    #[default]
    None,
    /// It is run with `sudo -n`.
    Sudo,
}

/// A system with stock ZFS.
#[derive(Clone, Debug)]
pub struct Stock {
    transport: Arc<dyn Transport>,
    elevation: Elevation,
    compression: Option<Compression>,
    /// How many bytes sends have written so far.
    sent: Arc<Mutex<HashMap<Guid, u64>>>,
    asides: Arc<Asides>,
    /// Snapshots are listed with when they were made.
    times: bool,
    sizes: Arc<Mutex<Sizes>>,
    /// The pool that is asked about with a listing, and what its GUID is.
    pool: Option<Arc<KnownPool>>,
}

impl Stock {
    /// Reached that way.
    pub fn new(transport: Arc<dyn Transport>, elevation: Elevation) -> Stock {
        let asides = Arc::new(Asides::new(Arc::clone(&transport)));
        Stock {
            transport,
            elevation,
            compression: None,
            sent: Arc::default(),
            asides,
            times: false,
            sizes: Arc::default(),
            pool: None,
        }
    }

    /// Asks together with a tree for the GUID of its pool
    /// ([`Endpoint::pool_guid`]).
    #[must_use]
    pub fn with_pool(mut self) -> Stock {
        self.pool = Some(Arc::default());
        self
    }

    /// Also says when each snapshot was made. zfs(8) asks the kernel for each
    /// snapshot then, which takes several times as long.
    #[must_use]
    pub fn with_times(mut self) -> Stock {
        self.times = true;
        self
    }

    /// Compresses streams on their way, unless their blocks are compressed
    /// already or encrypted. The program has to be there on both systems:
    /// where it is missing at the other end, nothing is listed.
    #[must_use]
    pub fn compressed(mut self, compression: Compression) -> Stock {
        self.compression = Some(compression);
        self
    }

    /// Asks together with a command for the programs that will be needed.
    fn with_programs(&self, command: &str) -> String {
        let Some(compression) = self.compression else {
            return command.to_owned();
        };
        let [compress, decompress] = [compression.compress(), compression.decompress()]
            .map(|words| words.first().copied().unwrap_or_default());
        format!(
            "for program in {compress} {decompress}; do command -v $program >/dev/null || \
             {{ echo \"there is no $program\" >&2; exit 127; }}; done; {command}"
        )
    }

    /// A command line that runs zfs(8).
    pub fn zfs<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> String {
        let zfs: &[&str] = match self.elevation {
            Elevation::None => &["zfs"],
            Elevation::Sudo => &["sudo", "-n", "zfs"],
        };
        quote::command(zfs.iter().copied().chain(arguments))
    }

    fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result<Vec<u8>, Error> {
        remote::run_well(&*self.transport, &self.zfs(arguments))
    }

    /// As [`Stock::run`], where a refusal in these words is as good as done.
    fn run_unless<'a>(
        &self,
        done: &str,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), Error> {
        let command = self.zfs(arguments);
        let output = remote::run(&*self.transport, &command)?;
        if output.status.success() || output.stderr.contains(done) {
            return Ok(());
        }
        Err(remote::refused(
            &*self.transport,
            &command,
            output.status,
            &output.stderr,
        ))
    }

    /// As [`Stock::run_unless`], for what is done between streams.
    fn aside<'a>(
        &self,
        done: Option<&str>,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), Error> {
        let command = self.zfs(arguments);
        let ended = self.asides.run(&command)?;
        if ended.code == 0 || done.is_some_and(|done| ended.said.contains(done)) {
            return Ok(());
        }
        // In the form in which a shell's own end would come.
        let status = ExitStatus::from_raw(ended.code << 8);
        Err(remote::refused(
            &*self.transport,
            &command,
            status,
            &ended.said,
        ))
    }

    fn malformed(&self, what: &str, problem: &impl ToString) -> Error {
        Error::Listing {
            host: self.transport.host().to_owned(),
            what: what.to_owned(),
            problem: problem.to_string(),
        }
    }

    fn parse(
        &self,
        root: &DatasetName,
        output: &[u8],
        within: impl Fn(&DatasetName) -> bool,
    ) -> Result<Vec<Dataset>, Error> {
        listing::parse(output, within).map_err(|problem| self.malformed(root.as_str(), &problem))
    }

    /// The snapshots of a dataset, with the order in which they were made.
    fn snapshots(&self, dataset: &DatasetName) -> Result<Dataset, Error> {
        let what = [
            "list",
            "-Hp",
            "-d",
            "1",
            "-t",
            "filesystem,volume,snapshot",
            "-o",
        ];
        let output = self.run(what.into_iter().chain([listing::COLUMNS, dataset.as_str()]))?;
        let listed = self.parse(dataset, &output, |name| name.is_within(dataset))?;
        listed
            .into_iter()
            .find(|listed| listed.name == *dataset)
            .ok_or_else(|| self.malformed(dataset.as_str(), &"it is not in its own listing"))
    }

    /// Destroys snapshots if they are all that there are of those listed.
    fn destroy_exactly(
        &self,
        dataset: &DatasetName,
        there: &HashSet<&SnapshotName>,
        planned: &[SnapshotName],
    ) -> Result<(), Error> {
        if *there != planned.iter().collect() {
            return Err(Error::Changed {
                dataset: dataset.clone(),
            });
        }
        // One command each 100: a command line has an end.
        for some in planned.chunks(100) {
            let names: Vec<&str> = some.iter().map(SnapshotName::snapshot).collect();
            let names = format!("{dataset}@{}", names.join(","));
            self.run(["destroy", &names])?;
        }
        Ok(())
    }

    /// Releases what is held with this tag; zfs(8) takes what is not held for
    /// a failure.
    fn release_held(&self, snapshots: &[&str], tag: &str) -> Result<(), Error> {
        for some in self.held_of(snapshots, tag)?.chunks(HOLDS_AT_ONCE) {
            self.run(["release", tag].into_iter().chain(some.iter().copied()))?;
        }
        Ok(())
    }

    /// Those of these snapshots that are held with this tag.
    fn held_of<'s>(&self, snapshots: &[&'s str], tag: &str) -> Result<Vec<&'s str>, Error> {
        let mut held = Vec::new();
        for some in snapshots.chunks(HOLDS_AT_ONCE) {
            let holds = self.run(["holds", "-H"].into_iter().chain(some.iter().copied()))?;
            let holds = String::from_utf8_lossy(&holds);
            let found: HashSet<&str> = holds
                .lines()
                .filter_map(|line| {
                    let mut columns = line.split('\t');
                    let name = columns.next()?;
                    (columns.next()? == tag).then_some(name)
                })
                .collect();
            held.extend(some.iter().copied().filter(|name| found.contains(name)));
        }
        Ok(held)
    }

    /// What compresses a stream of this kind.
    fn compression(&self, raw: bool, compressed: bool) -> Option<Compression> {
        self.compression.filter(|_| !raw && !compressed)
    }
}

/// Starts a program of this system.
fn filter(words: &[&str], stdin: Stdio, stdout: Stdio) -> io::Result<Child> {
    let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    Command::new(program)
        .args(arguments)
        .stdin(stdin)
        .stdout(stdout)
        .spawn()
        .map_err(|error| {
            let problem = format!("cannot start {program} here: {error} (is it installed?)");
            io::Error::new(error.kind(), problem)
        })
}

impl Endpoint for Stock {
    fn tree(&self, root: &DatasetName) -> Result<Tree, Error> {
        self.whole_tree(root)
    }

    fn streams(&self) -> usize {
        // Source and target may share the connection, and a stream that has
        // a channel at one end only would wait for the other for good.
        MAX_CHANNELS / 2
    }

    fn pool_guid(&self, dataset: &DatasetName) -> Result<Option<Guid>, Error> {
        self.known_pool(dataset)
    }

    fn properties(&self, root: &DatasetName) -> Result<HashMap<DatasetName, Properties>, Error> {
        let kinds = "filesystem,volume";
        let head = ["get", "-Hpr", "-t", kinds, "-s", "local,received"];
        let columns = ["-o", "name,property,value", "all", root.as_str()];
        let output = self.run(head.into_iter().chain(columns))?;
        listing::properties(&output, |name| name.is_within(root))
            .map_err(|problem| self.malformed(root.as_str(), &problem))
    }

    fn connect_again(&self) -> Result<(), Error> {
        self.transport.connect_again()
    }

    fn interrupt(&self) {
        self.transport.channels().processes().end();
    }

    fn estimate(&self, stream: &Stream) -> Result<Option<u64>, Error> {
        Ok(self.estimated(stream))
    }

    fn send(&self, stream: &Stream, pipe: BorrowedFd<'_>) -> Result<(), Error> {
        Senders::of_one(self, stream)?.send(stream, pipe)
    }

    fn sending<'e>(&'e self, range: &Range) -> Result<Option<Box<dyn Sending + 'e>>, Error> {
        if range.marker.is_some() {
            self.asides.prepare()?;
        }
        Ok(Some(Box::new(Senders::of_range(self, range)?)))
    }

    fn sent(&self, stream: &Stream, _: &Weak<OwnedFd>) -> Option<u64> {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.get(&stream.to.guid).copied()
    }

    fn receive(&self, receive: &Receive, pipe: BorrowedFd<'_>) -> Result<Arrived, Error> {
        let receives = std::slice::from_ref(receive);
        Receivers::new(self, receives).receive(pipe)
    }

    fn receiving<'e>(
        &'e self,
        receives: &'e [Receive],
    ) -> Result<Option<Box<dyn Receiving + 'e>>, Error> {
        Ok(Some(Box::new(Receivers::new(self, receives))))
    }

    fn has_partial(&self, dataset: &DatasetName) -> bool {
        let property = [
            "get",
            "-Hpo",
            "value",
            "receive_resume_token",
            dataset.as_str(),
        ];
        self.run(property)
            .is_ok_and(|value| !matches!(value.trim_ascii(), b"-" | b""))
    }

    fn guid(&self, snapshot: &SnapshotName) -> Result<Guid, Error> {
        let value = self.run(["get", "-Hpo", "value", "guid", snapshot.as_str()])?;
        let text = String::from_utf8_lossy(&value);
        let guid = text.trim().parse();
        guid.map(Guid).map_err(|_| {
            self.malformed(snapshot.as_str(), &format!("{:?} is no GUID", text.trim()))
        })
    }

    fn create(&self, dataset: &DatasetName) -> Result<(), Error> {
        let options = ["create", "-o", "canmount=off", "-o", "readonly=on"];
        self.run(options.into_iter().chain([dataset.as_str()]))?;
        Ok(())
    }

    fn rename(&self, from: &DatasetName, to: &DatasetName) -> Result<(), Error> {
        self.run(["rename", "-u", from.as_str(), to.as_str()])?;
        Ok(())
    }

    fn clone_snapshot(
        &self,
        origin: &SnapshotName,
        dataset: &DatasetName,
        properties: &Properties,
    ) -> Result<(), Error> {
        let options = receive::options(Access::ReadOnly, properties);
        let options = options.iter().flat_map(|option| ["-o", option.as_str()]);
        let names = [origin.as_str(), dataset.as_str()];
        self.run(["clone"].into_iter().chain(options).chain(names))?;
        Ok(())
    }

    fn promote(&self, dataset: &DatasetName) -> Result<(), Error> {
        self.run(["promote", dataset.as_str()])?;
        Ok(())
    }

    fn rollback(&self, rollback: &Rollback) -> Result<(), Error> {
        let dataset = self.snapshots(rollback.to.dataset())?;
        let to = dataset.snapshots.iter().find(|s| s.name == rollback.to);
        let Some(until) = to.map(|to| to.createtxg) else {
            return Err(Error::Changed {
                dataset: dataset.name.clone(),
            });
        };
        let there = dataset.snapshots.iter().filter(|s| s.createtxg > until);
        let there = there.map(|snapshot| &snapshot.name).collect();
        self.destroy_exactly(&dataset.name, &there, &rollback.destroy)?;
        self.run(["rollback", rollback.to.as_str()])?;
        Ok(())
    }

    fn destroy(&self, dataset: &DatasetName, snapshots: &[SnapshotName]) -> Result<(), Error> {
        let listed = self.snapshots(dataset)?;
        let there = listed
            .snapshots
            .iter()
            .map(|snapshot| &snapshot.name)
            .collect();
        self.destroy_exactly(dataset, &there, snapshots)?;
        self.run(["destroy", dataset.as_str()])?;
        Ok(())
    }

    fn abort_receive(&self, dataset: &DatasetName) -> Result<(), Error> {
        self.run(["receive", "-A", dataset.as_str()])?;
        Ok(())
    }

    fn hold(&self, snapshot: &SnapshotName, tag: &str) -> Result<(), Error> {
        self.run_unless("tag already exists", ["hold", tag, snapshot.as_str()])?;
        let dataset = snapshot.dataset();
        let list = [
            "list",
            "-Hp",
            "-d",
            "1",
            "-t",
            "snapshot",
            "-o",
            "userrefs,name",
        ];
        let listed = self.run(list.into_iter().chain([dataset.as_str()]))?;
        let listed = String::from_utf8_lossy(&listed);
        let others: Vec<&str> = listed
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .filter(|(userrefs, name)| *userrefs != "0" && *name != snapshot.as_str())
            .map(|(_, name)| name)
            .collect();
        self.release_held(&others, tag)
    }

    fn release(&self, snapshots: &[&SnapshotName], tag: &str) -> Result<(), Error> {
        let names: Vec<&str> = snapshots.iter().map(|name| name.as_str()).collect();
        self.release_held(&names, tag)
    }

    fn held(&self, snapshots: &[&SnapshotName], tag: &str) -> Result<HashSet<SnapshotName>, Error> {
        let names: Vec<&str> = snapshots.iter().map(|name| name.as_str()).collect();
        let held: HashSet<&str> = self.held_of(&names, tag)?.into_iter().collect();
        let held = snapshots.iter().filter(|name| held.contains(name.as_str()));
        Ok(held.map(|name| (*name).clone()).collect())
    }

    fn bookmark(&self, bookmarks: &[(Base, BookmarkName)]) -> Result<(), Error> {
        let mut result = Ok(());
        for (of, name) in bookmarks {
            result = result.and(self.aside(None, ["bookmark", of.as_str(), name.as_str()]));
        }
        result
    }

    fn destroy_bookmarks(&self, names: &[BookmarkName]) -> Result<(), Error> {
        for name in names {
            self.aside(Some("does not exist"), ["destroy", name.as_str()])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
