//! What changed between two snapshots, or since one: what `zfs diff` says.
//!
//! ```text
//! DIFF -> pipe -> ranges of objects -> OBJ_TO_STATS in both -> Difference
//! ```
//!
//! The kernel says which objects (files and directories) are in blocks that
//! changed; what became of each is found by looking it up in both snapshots.

mod file;

use std::fs::File;
use std::io::{self, Read};
use std::iter::FusedIterator;
use std::ops::RangeInclusive;
use std::os::fd::AsFd;
use std::process;
use std::thread::JoinHandle;

use zfs_sys::DevZfs;

pub use file::{Difference, FileKind, FileState};

use crate::error::{Errno, Error, Operation};
use crate::ffi::ioctl::Device;
use crate::ffi::{CallError, stream_pipe};
use crate::name::{DatasetName, SnapshotName};
use crate::zfs::Zfs;

/// Bytes of a record in the pipe: what it is, the first object, the last.
const RECORD_BYTES: usize = 24;
/// Objects in a range are in use: `DDR_INUSE`.
const IN_USE: u64 = 2;
/// Objects in a range are not in use any more: `DDR_FREE`.
const FREE: u64 = 4;

/// What a snapshot is compared with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DiffTarget {
    /// A later snapshot of the same filesystem, or of a clone of it.
    Snapshot(SnapshotName),
    /// The filesystem, or a clone of it, as it is now.
    Filesystem(DatasetName),
}

impl From<SnapshotName> for DiffTarget {
    fn from(snapshot: SnapshotName) -> DiffTarget {
        DiffTarget::Snapshot(snapshot)
    }
}

impl From<DatasetName> for DiffTarget {
    fn from(dataset: DatasetName) -> DiffTarget {
        DiffTarget::Filesystem(dataset)
    }
}

/// The differences, in the order in which ZFS keeps the objects, which is
/// none that means anything.
///
/// Where it is dropped before its end, the kernel stops looking.
#[derive(Debug)]
pub struct Diff {
    device: Device,
    from: SnapshotName,
    to: SnapshotName,
    /// None after the end.
    pipe: Option<File>,
    kernel: Option<JoinHandle<Result<(), CallError>>>,
    objects: Objects,
    /// What the last object brought and was not asked for yet: it was removed
    /// and its number given to another file.
    second: Option<Difference>,
    /// Keeps the snapshot of a filesystem as it is now, until it is closed.
    _until_closed: Option<DevZfs>,
}

/// Objects that are still to be looked at.
#[derive(Debug)]
enum Objects {
    None,
    InUse(RangeInclusive<u64>),
    Free(RangeInclusive<u64>),
}

impl Diff {
    /// The snapshot that the differences lead up to; of a filesystem as it is
    /// now, one that was taken for that and goes with this value.
    pub fn to(&self) -> &SnapshotName {
        &self.to
    }

    fn error(&self, error: CallError) -> Error {
        error.on(Operation::Diff, self.to.as_str())
    }

    /// The next range of objects; none at the end.
    fn record(&mut self) -> Result<Option<Objects>, Error> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(None);
        };
        let mut record = Vec::with_capacity(RECORD_BYTES);
        let read = pipe.take(RECORD_BYTES as u64).read_to_end(&mut record);
        if let Err(source) = read {
            return Err(self.io("read what the kernel finds", source));
        }
        if record.is_empty() {
            return self.end().map(|()| None);
        }
        let word = |at: usize| -> Option<u64> {
            let bytes = record.get(8 * at..8 * (at + 1))?;
            bytes.try_into().ok().map(u64::from_ne_bytes)
        };
        let (Some(kind), Some(first), Some(last)) = (word(0), word(1), word(2)) else {
            // The kernel says why it ended within a record.
            self.end()?;
            return Err(self.odd(format!("a range of {} bytes", record.len())));
        };
        match kind {
            IN_USE => Ok(Some(Objects::InUse(first..=last))),
            // Object 0 is no file, and 1 is in use in every filesystem: what
            // begins at 0 is either 0 alone, or the part of the tree that
            // objects cannot reach, for which the kernel's reckoning of
            // numbers overflows to all there are.
            FREE if first == 0 => Ok(Some(Objects::None)),
            FREE => Ok(Some(Objects::Free(first..=last))),
            other => Err(self.odd(format!("a range of kind {other}"))),
        }
    }

    /// The kernel's own answer, once the pipe has ended.
    fn end(&mut self) -> Result<(), Error> {
        self.pipe = None;
        match self.kernel.take().map(JoinHandle::join) {
            None | Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(error))) => Err(self.error(error)),
            Some(Err(_)) => Err(self.io(
                "wait for the kernel",
                io::Error::other("its thread panicked"),
            )),
        }
    }

    fn odd(&self, reason: String) -> Error {
        Error::UnexpectedAnswer {
            operation: Operation::Diff,
            name: self.to.as_str().to_owned(),
            reason,
        }
    }

    fn io(&self, what: &'static str, source: io::Error) -> Error {
        Error::Io {
            operation: Operation::Diff,
            name: self.to.as_str().to_owned(),
            what,
            source,
        }
    }

    fn file(&self, snapshot: &SnapshotName, object: u64) -> Result<Option<FileState>, Error> {
        let stats = self
            .device
            .object_stats(snapshot.as_str(), object)
            .map_err(|error| self.error(error))?;
        match stats.path {
            Ok(path) => Ok(Some(FileState::new(object, Some(path), &stats.stat))),
            // Deleted and still open when the snapshot was taken.
            Err(Errno::ESTALE) => Ok(Some(FileState::new(object, None, &stats.stat))),
            // Not in use there, or not a file.
            Err(Errno::ENOENT | Errno::ENOTSUP) => Ok(None),
            Err(errno) => Err(CallError::Zfs(errno).on(Operation::Diff, snapshot.as_str())),
        }
    }

    /// What became of an object that is in a block which changed; up to two
    /// differences, the second of which waits.
    fn in_use(&mut self, object: u64) -> Result<Option<Difference>, Error> {
        let before = self.file(&self.from, object)?;
        let after = self.file(&self.to, object)?;
        let (first, second) = Difference::between(before, after);
        self.second = second;
        Ok(first)
    }

    /// The next object in use before, of a range in which none is now.
    fn freed(&mut self, range: RangeInclusive<u64>) -> Result<Option<Difference>, Error> {
        let before_first = range.start().saturating_sub(1);
        let next = self
            .device
            .next_object(self.from.as_str(), before_first)
            .map_err(|error| self.error(error))?;
        let Some(object) = next.filter(|object| range.contains(object)) else {
            return Ok(None);
        };
        if let Some(rest) = object.checked_add(1) {
            self.objects = Objects::Free(rest..=*range.end());
        }
        let before = self.file(&self.from, object)?;
        Ok(Difference::between(before, None).0)
    }

    fn step(&mut self) -> Result<Option<Difference>, Error> {
        loop {
            if let Some(difference) = self.second.take() {
                return Ok(Some(difference));
            }
            let difference = match std::mem::replace(&mut self.objects, Objects::None) {
                Objects::InUse(mut range) => {
                    let Some(object) = range.next() else { continue };
                    self.objects = Objects::InUse(range);
                    self.in_use(object)?
                }
                Objects::Free(range) if !range.is_empty() => self.freed(range)?,
                _ => match self.record()? {
                    None => return Ok(None),
                    Some(objects) => {
                        self.objects = objects;
                        None
                    }
                },
            };
            if difference.is_some() {
                return Ok(difference);
            }
        }
    }

    fn stop(&mut self) {
        self.objects = Objects::None;
        self.second = None;
        // A kernel that nobody reads from ends with EPIPE.
        self.pipe = None;
        if let Some(kernel) = self.kernel.take() {
            let _ = kernel.join();
        }
    }
}

impl Iterator for Diff {
    type Item = Result<Difference, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.stop();
        }
        step.transpose()
    }
}

impl FusedIterator for Diff {}

impl Drop for Diff {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Zfs {
    /// What changed in a filesystem from a snapshot to a later one, or to now:
    /// files and directories that are new, removed, renamed or modified.
    ///
    /// Paths are from the root of the filesystem, which needs not be mounted;
    /// its key must be loaded where it is encrypted. What is now is looked at
    /// through a snapshot that is gone afterwards.
    ///
    /// # Errors
    ///
    /// Here, where `to` does not exist; while iterating, [`Error::Zfs`] where
    /// `from` does not, or is not an earlier point of the same history
    /// ([`ErrorKind::Unrelated`](crate::ErrorKind)), or the user may not:
    /// that takes root, or `zfs allow diff`. After an error there is nothing
    /// more.
    ///
    /// # Example
    ///
    /// ```no_run
    /// use zfs_core::{DatasetName, Zfs};
    ///
    /// let zfs = Zfs::open()?;
    /// let home: DatasetName = "tank/home".parse()?;
    /// for difference in zfs.diff(&home.with_snapshot("monday")?, home)? {
    ///     println!("{}", difference?);
    /// }
    /// # Ok::<(), zfs_core::Error>(())
    /// ```
    pub fn diff(&self, from: &SnapshotName, to: impl Into<DiffTarget>) -> Result<Diff, Error> {
        let (to, until_closed) = match to.into() {
            DiffTarget::Snapshot(to) => (to, None),
            DiffTarget::Filesystem(dataset) => {
                let (to, until_closed) = self.now(&dataset)?;
                (to, Some(until_closed))
            }
        };
        let io = |what: &'static str, source: io::Error| Error::Io {
            operation: Operation::Diff,
            name: to.as_str().to_owned(),
            what,
            source,
        };
        let (reader, writer) = stream_pipe().map_err(|source| io("make a pipe", source))?;
        let kernel = std::thread::Builder::new()
            .name("zfs-diff".into())
            .spawn({
                let (device, from, to) = (self.device.clone(), from.clone(), to.clone());
                // The writer is closed when the kernel has written all.
                move || device.diff(from.as_str(), to.as_str(), writer.as_fd())
            })
            .map_err(|source| io("start a thread", source))?;
        Ok(Diff {
            device: self.device.clone(),
            from: from.clone(),
            to,
            pipe: Some(reader.into()),
            kernel: Some(kernel),
            objects: Objects::None,
            second: None,
            _until_closed: until_closed,
        })
    }

    /// A snapshot of now that goes when the descriptor is closed.
    fn now(&self, dataset: &DatasetName) -> Result<(SnapshotName, DevZfs), Error> {
        let until_closed = DevZfs::open()?;
        let prefix = format!("zfs-diff-{}", process::id());
        let snapshot = self
            .device
            .temporary_snapshot(dataset.as_str(), &prefix, &until_closed)
            .map_err(|error| error.on(Operation::Diff, dataset.as_str()))?;
        let snapshot = dataset.with_snapshot(&String::from_utf8_lossy(&snapshot))?;
        Ok((snapshot, until_closed))
    }
}
