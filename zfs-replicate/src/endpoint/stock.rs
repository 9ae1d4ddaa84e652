//! A system with stock ZFS: zfs(8) in a shell, over a connection.
//!
//! ```text
//! tree: zfs list -Hp -r ROOT [, zfs list -Hp -d 0 what is above it]
//! zfs send there -> ssh -> pipe            pipe -> ssh -> zfs receive there
//! ```
//!
//! Whatever the number of datasets, a listing takes one command, or two where
//! the root is not there yet; a stream takes one, and one more asks what
//! arrived.

mod compression;
mod listing;
mod quote;
mod remote;
mod ssh;
mod transport;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;

use zfs_core::{BookmarkName, DatasetName, Guid, SnapshotName};
use zfs_stream::token::ResumeToken;

pub use compression::Compression;
pub use listing::{Malformed, parse as parse_listing};
pub use quote::quote;
pub use ssh::{Ssh, SshOptions};
pub use transport::{Channel, Channels, MAX_CHANNELS, Shell, Transport};

use super::{Access, Endpoint, Into, Receive};
use crate::error::Error;
use crate::plan::{Base, Rollback, Stream};
use crate::properties::Properties;
use crate::tree::{Dataset, Tree};

/// The most that is moved at once.
const BUFFER_BYTES: usize = 1 << 20;

/// The most of what `zfs send -v` says in one line.
const MAX_LINE_BYTES: u64 = 4096;

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
}

impl Stock {
    /// Reached that way.
    pub fn new(transport: Arc<dyn Transport>, elevation: Elevation) -> Stock {
        Stock {
            transport,
            elevation,
            compression: None,
            sent: Arc::default(),
        }
    }

    /// Compresses streams on their way, unless their blocks are compressed
    /// already or encrypted. The program has to be there on both systems.
    ///
    /// # Errors
    ///
    /// [`Error::Remote`]: it is missing at the other end.
    pub fn compressed(mut self, compression: Compression) -> Result<Stock, Error> {
        for program in [compression.compress(), compression.decompress()] {
            let program = program.first().copied().unwrap_or_default();
            let command = format!("command -v {program}");
            remote::run_well(&*self.transport, &command)?;
        }
        self.compression = Some(compression);
        Ok(self)
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

    fn nearest_above(&self, root: &DatasetName) -> Result<Option<Dataset>, Error> {
        let ancestors: Vec<DatasetName> = root.ancestors().collect();
        if ancestors.is_empty() {
            return Ok(None);
        }
        let head = [
            "list",
            "-Hp",
            "-d",
            "0",
            "-t",
            "filesystem,volume",
            "-o",
            listing::COLUMNS,
        ];
        let names = ancestors.iter().map(DatasetName::as_str);
        let command = self.zfs(head.into_iter().chain(names));
        // It fails where one of them is missing, and lists the others.
        let output = remote::run(&*self.transport, &command)?;
        if !output.status.success() && !remote::is_missing(&output.stderr) {
            let status = output.status;
            return Err(remote::refused(
                &*self.transport,
                &command,
                status,
                &output.stderr,
            ));
        }
        let mut found = self.parse(root, &output.stdout, |name| ancestors.contains(name))?;
        found.sort_by_key(|dataset| dataset.name.depth());
        Ok(found.pop())
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

    /// The arguments of `zfs send`.
    fn send_arguments(&self, stream: &Stream) -> Result<Vec<String>, Error> {
        let mut arguments: Vec<String> = vec!["send".into(), "-vP".into()];
        if let Some(point) = &stream.resume {
            let token = ResumeToken {
                to_guid: point.to_guid.0,
                // Where the source has it now, not where the target says.
                to_name: stream.to.name.to_string(),
                from_guid: point.from_guid.map(|guid| guid.0),
                object: point.object,
                offset: point.offset,
                bytes: point.bytes,
                large_block: point.form.large_blocks,
                embed: point.form.embedded,
                compress: point.form.compressed,
                raw: point.form.raw,
                ..ResumeToken::default()
            };
            let token = token
                .encode()
                .map_err(|error| self.malformed(stream.to.name.as_str(), &error))?;
            arguments.extend(["-t".into(), token]);
            return Ok(arguments);
        }
        for (given, flag) in [
            (stream.form.raw, "-w"),
            (stream.form.large_blocks, "-L"),
            (stream.form.compressed, "-c"),
            (stream.form.embedded, "-e"),
        ] {
            if given {
                arguments.push(flag.into());
            }
        }
        if let Some(base) = &stream.from {
            arguments.extend(["-i".into(), base.as_str().into()]);
        }
        arguments.push(stream.to.name.to_string());
        Ok(arguments)
    }

    /// Reads what `zfs send -vP` says while it goes on, and returns what it
    /// complains about, and how it ended where the shell says so.
    fn follow(&self, guid: Guid, stderr: impl Read) -> (String, Option<String>) {
        let mut stderr = BufReader::new(stderr);
        let mut complaints = String::new();
        let mut ended = None;
        let mut line = Vec::new();
        loop {
            line.clear();
            match (&mut stderr)
                .take(MAX_LINE_BYTES)
                .read_until(b'\n', &mut line)
            {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
            let text = String::from_utf8_lossy(&line);
            let columns: Vec<&str> = text.trim_end().split('\t').collect();
            match columns.as_slice() {
                ["full" | "incremental" | "size", ..] => {}
                [SEND_ENDED, status] => ended = Some((*status).to_owned()),
                [time, bytes, _] if time.len() == 8 && time.contains(':') => {
                    if let Ok(bytes) = bytes.parse() {
                        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
                        sent.insert(guid, bytes);
                    }
                }
                _ if complaints.len() < MAX_LINE_BYTES as usize * 4 => complaints.push_str(&text),
                _ => {}
            }
        }
        (complaints.trim().to_owned(), ended)
    }

    /// What compresses a stream of this kind.
    fn compression(&self, raw: bool, compressed: bool) -> Option<Compression> {
        self.compression.filter(|_| !raw && !compressed)
    }
}

/// What the shell says about the end of a send whose status is hidden behind
/// that of what compresses it.
const SEND_ENDED: &str = "zfs-replicate: send ended";

/// Starts a program of this system.
fn filter(words: &[&str], stdin: Stdio, stdout: Stdio) -> io::Result<Child> {
    let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    Command::new(program)
        .args(arguments)
        .stdin(stdin)
        .stdout(stdout)
        .spawn()
}

fn owned(pipe: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    pipe.try_clone_to_owned()
}

/// How moving bytes ended.
enum Moved {
    /// Both sides are through.
    All,
    /// The reader has gone.
    NobodyReads,
    /// The sender's side broke, or was broken off.
    Broken(io::Error),
}

fn move_bytes(mut from: impl Read, mut to: impl Write, moved: &mut u64) -> Moved {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Moved::All,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Moved::Broken(error),
        };
        if to.write_all(buffer.get(..count).unwrap_or(&[])).is_err() {
            return Moved::NobodyReads;
        }
        *moved += count as u64;
    }
}

impl Endpoint for Stock {
    fn tree(&self, root: &DatasetName) -> Result<Tree, Error> {
        let kinds = "filesystem,volume,snapshot,bookmark";
        let head = ["list", "-Hp", "-r", "-t", kinds, "-o", listing::COLUMNS];
        let command = self.zfs(head.into_iter().chain([root.as_str()]));
        let output = remote::run(&*self.transport, &command)?;
        if output.status.success() {
            let datasets = self.parse(root, &output.stdout, |name| name.is_within(root))?;
            if datasets.first().is_none_or(|first| first.name != *root) {
                return Err(self.malformed(root.as_str(), &"it is not in its own listing"));
            }
            return Ok(Tree {
                root: root.clone(),
                datasets,
                above: None,
            });
        }
        if !remote::is_missing(&output.stderr) {
            let status = output.status;
            return Err(remote::refused(
                &*self.transport,
                &command,
                status,
                &output.stderr,
            ));
        }
        Ok(Tree {
            root: root.clone(),
            datasets: Vec::new(),
            above: self.nearest_above(root)?,
        })
    }

    fn streams(&self) -> usize {
        // Source and target may share the connection, and a stream that has
        // a channel at one end only would wait for the other for good.
        MAX_CHANNELS / 2
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

    fn estimate(&self, _: &Stream) -> Result<Option<u64>, Error> {
        // It would be a command of its own for each stream.
        Ok(None)
    }

    fn send(&self, stream: &Stream, pipe: BorrowedFd<'_>) -> Result<(), Error> {
        let arguments = self.send_arguments(stream)?;
        let mut command = self.zfs(arguments.iter().map(String::as_str));
        let compression = self.compression(stream.form.raw, stream.form.compressed);
        if let Some(compression) = compression {
            let compress = compression.compress().join(" ");
            command =
                format!("{{ {command}; printf '{SEND_ENDED}\\t%s\\n' $? >&2; }} | {compress}");
        }
        let failed = |error: io::Error| remote::failed_to_run(&*self.transport, &command, &error);
        let _channel = self.transport.channels().take();
        tracing::debug!(host = self.transport.host(), command, "send");
        let pipe = owned(pipe).map_err(failed)?;
        let mut sender = self.transport.command(&command);
        sender.stdin(Stdio::null()).stderr(Stdio::piped());
        let mut between = None;
        let mut child;
        if let Some(compression) = compression {
            child = sender.stdout(Stdio::piped()).spawn().map_err(failed)?;
            let compressed = child.stdout.take().map_or_else(Stdio::null, Stdio::from);
            match filter(compression.decompress(), compressed, Stdio::from(pipe)) {
                Ok(decompress) => between = Some(decompress),
                Err(error) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(failed(error));
                }
            }
        } else {
            child = sender.stdout(pipe).spawn().map_err(failed)?;
        }
        // The command holds the pipe's end until here.
        drop(sender);
        let stderr = child.stderr.take();
        let guid = stream.to.guid;
        let (said, ended) = stderr
            .map(|stderr| self.follow(guid, stderr))
            .unwrap_or_default();
        let status = child.wait().map_err(failed)?;
        let decompressed = between.map(|mut child| child.wait()).transpose();
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.remove(&guid);
        drop(sent);
        let sent = compression.is_none() || ended.is_some_and(|ended| ended == "0");
        if !status.success() || !sent {
            return Err(remote::refused(&*self.transport, &command, status, &said));
        }
        match decompressed.map_err(failed)? {
            Some(status) if !status.success() => Err(failed(io::Error::other(format!(
                "what came cannot be decompressed ({status})"
            )))),
            _ => Ok(()),
        }
    }

    fn sent(&self, stream: &Stream, _: &Weak<OwnedFd>) -> Option<u64> {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.get(&stream.to.guid).copied()
    }

    fn receive(&self, receive: &Receive, pipe: BorrowedFd<'_>) -> Result<u64, Error> {
        let mut options: Vec<String> = Vec::new();
        if receive.into != Into::Existing && receive.access == Access::ReadOnly {
            options.push("readonly=on".to_owned());
        }
        for (name, value) in &receive.properties {
            options.retain(|option| option.split('=').next() != Some(name));
            options.push(format!("{name}={value}"));
        }
        if let Into::Clone(name) = &receive.into {
            options.push(format!("origin={name}"));
        }
        let mut arguments = vec!["receive", "-s", "-u"];
        for option in &options {
            arguments.extend(["-o", option]);
        }
        arguments.push(receive.snapshot.as_str());
        let mut command = self.zfs(arguments);
        let compression = self.compression(receive.raw, receive.compressed);
        if let Some(compression) = compression {
            command = format!("{} | {command}", compression.decompress().join(" "));
        }
        let failed = |error: io::Error| remote::failed_to_run(&*self.transport, &command, &error);
        let _channel = self.transport.channels().take();
        tracing::debug!(host = self.transport.host(), command, "receive");
        let mut receiver = self.transport.command(&command);
        receiver
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = receiver.spawn().map_err(failed)?;
        let mut stdin = child.stdin.take().map(OwnedFd::from);
        let mut between = None;
        if let Some((compression, to)) = compression.and_then(|c| Some((c, stdin.take()?))) {
            match filter(compression.compress(), Stdio::piped(), Stdio::from(to)) {
                Ok(mut compress) => {
                    stdin = compress.stdin.take().map(OwnedFd::from);
                    between = Some(compress);
                }
                Err(error) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(failed(error));
                }
            }
        }
        let stderr = child.stderr.take();
        let complaints = thread::spawn(move || stderr.map(remote::complaint).unwrap_or_default());
        let from = File::from(owned(pipe).map_err(failed)?);
        let mut bytes = 0;
        let moved = match stdin {
            Some(stdin) => move_bytes(from, File::from(stdin), &mut bytes),
            None => Moved::NobodyReads,
        };
        if let Some(mut compress) = between {
            // The receiver says what became of it.
            let _ = compress.wait();
        }
        let status = child.wait().map_err(failed)?;
        let said = complaints.join().unwrap_or_default();
        match (status.success(), moved) {
            (true, Moved::All | Moved::NobodyReads) => Ok(bytes),
            (false, _) => Err(remote::refused(&*self.transport, &command, status, &said)),
            (true, Moved::Broken(error)) => Err(failed(error)),
        }
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

    fn clone_snapshot(&self, origin: &SnapshotName, dataset: &DatasetName) -> Result<(), Error> {
        let options = ["clone", "-o", "readonly=on"];
        self.run(
            options
                .into_iter()
                .chain([origin.as_str(), dataset.as_str()]),
        )?;
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
        for some in others.chunks(100) {
            let holds = self.run(["holds", "-H"].into_iter().chain(some.iter().copied()))?;
            let holds = String::from_utf8_lossy(&holds);
            let mut stale: Vec<&str> = Vec::new();
            for line in holds.lines() {
                let mut columns = line.split('\t');
                if let (Some(name), Some(found)) = (columns.next(), columns.next()) {
                    // Only what was asked about is released.
                    if found == tag && some.contains(&name) {
                        stale.push(name);
                    }
                }
            }
            if !stale.is_empty() {
                self.run(["release", tag].into_iter().chain(stale))?;
            }
        }
        Ok(())
    }

    fn bookmark(&self, of: &Base, name: &BookmarkName) -> Result<(), Error> {
        self.run(["bookmark", of.as_str(), name.as_str()])?;
        Ok(())
    }

    fn destroy_bookmarks(&self, names: &[BookmarkName]) -> Result<(), Error> {
        for name in names {
            self.run_unless("does not exist", ["destroy", name.as_str()])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
