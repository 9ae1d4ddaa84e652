//! The two ends of a replication.

mod forced;
mod holds;
mod local;
pub mod stock;

use std::collections::{HashMap, HashSet};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Weak};

use zfs_core::{BookmarkName, DatasetName, Guid, SnapshotName};

pub use forced::{Forced, remembered};
pub use holds::unheld;
pub use local::Local;
pub use stock::{Compression, Elevation, Ssh, SshOptions, Stock, Transport};

use crate::error::Error;
use crate::plan::{Base, Range, Rollback, Stream};
use crate::properties::Properties;
use crate::tree::Tree;

/// The trees at both ends, listed at the same time: the kernel, and a zfs(8)
/// elsewhere, take their time for each dataset.
///
/// # Errors
///
/// One cannot be listed; the source's is told where neither can.
pub fn trees(
    (source, source_root): (&dyn Endpoint, &DatasetName),
    (target, target_root): (&dyn Endpoint, &DatasetName),
) -> Result<(Tree, Tree), Error> {
    std::thread::scope(|scope| {
        let there = scope.spawn(|| target.tree(target_root));
        let here = source.tree(source_root);
        match there.join() {
            Ok(there) => Ok((here?, there?)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// A place with ZFS on it.
///
/// Streams go through pipes: [`Endpoint::send`] writes into one and
/// [`Endpoint::receive`] reads from one, each for as long as its stream
/// takes, so they run in threads of their own. An end that is elsewhere puts
/// a process or a connection at the other side of the pipe.
pub trait Endpoint: Send + Sync {
    /// A dataset with everything below it. Where there is none of that name,
    /// the tree is empty and says what is above.
    ///
    /// # Errors
    ///
    /// It cannot be listed.
    fn tree(&self, root: &DatasetName) -> Result<Tree, Error>;

    /// The GUID of the topmost dataset of the pool that a dataset is in, or is
    /// to be in: that pool has it wherever it is imported and whatever it is
    /// called. `None` where there is no such pool, or it cannot be told.
    ///
    /// # Errors
    ///
    /// It cannot be asked for.
    fn pool_guid(&self, dataset: &DatasetName) -> Result<Option<Guid>, Error> {
        let _ = dataset;
        Ok(None)
    }

    /// What was set on a dataset and on those below it, by hand or by a
    /// stream, in one listing.
    ///
    /// # Errors
    ///
    /// It cannot be listed.
    fn properties(&self, root: &DatasetName) -> Result<HashMap<DatasetName, Properties>, Error>;

    /// Connects again where the connection was lost.
    ///
    /// # Errors
    ///
    /// The other end is still away.
    fn connect_again(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Ends the processes that are waited for here: they may be those of a
    /// connection that is dead, and what waits for them goes on with an error.
    fn interrupt(&self) {}

    /// How many streams may come from here, or go here, at once.
    fn streams(&self) -> usize {
        usize::MAX
    }

    /// The size of a stream in bytes, as ZFS estimates it; of a resumed one
    /// what is still to be sent. `None` where it cannot be told for nothing.
    ///
    /// # Errors
    ///
    /// The snapshot or its base is gone.
    fn estimate(&self, stream: &Stream) -> Result<Option<u64>, Error>;

    /// Writes a stream into a pipe, to its end.
    ///
    /// # Errors
    ///
    /// It cannot be sent, or nobody reads it.
    fn send(&self, stream: &Stream, pipe: BorrowedFd<'_>) -> Result<(), Error>;

    /// A way to send the streams of a range for less than one after the other;
    /// `None` where there is none, and each goes through [`Endpoint::send`].
    ///
    /// # Errors
    ///
    /// There is one, and it cannot be had.
    fn sending<'e>(&'e self, range: &Range) -> Result<Option<Box<dyn Sending + 'e>>, Error> {
        let _ = range;
        Ok(None)
    }

    /// A way to receive streams into one dataset for less than one after the
    /// other; `None` where there is none, and each goes through
    /// [`Endpoint::receive`].
    ///
    /// # Errors
    ///
    /// There is one, and it cannot be had.
    fn receiving<'e>(
        &'e self,
        receives: &'e [Receive],
    ) -> Result<Option<Box<dyn Receiving + 'e>>, Error> {
        let _ = receives;
        Ok(None)
    }

    /// How many bytes a send that is going on has written into its pipe;
    /// `None` where that cannot be told.
    fn sent(&self, stream: &Stream, pipe: &Weak<OwnedFd>) -> Option<u64>;

    /// Reads a stream from a pipe into a snapshot. Nothing gets mounted. If it
    /// is interrupted, what arrived is kept.
    ///
    /// # Errors
    ///
    /// It cannot be received, or ends too early.
    fn receive(&self, receive: &Receive, pipe: BorrowedFd<'_>) -> Result<Arrived, Error>;

    /// Whether an interrupted receive into a dataset has left something to go
    /// on with; not where that cannot be told.
    fn has_partial(&self, dataset: &DatasetName) -> bool;

    /// The GUID of a snapshot.
    ///
    /// # Errors
    ///
    /// There is none of that name.
    fn guid(&self, snapshot: &SnapshotName) -> Result<Guid, Error>;

    /// Makes an empty filesystem that is never mounted.
    ///
    /// # Errors
    ///
    /// It cannot be made, or exists.
    fn create(&self, dataset: &DatasetName) -> Result<(), Error>;

    /// Renames a dataset, with everything below it.
    ///
    /// # Errors
    ///
    /// The name is taken, or what is to be above it is not there.
    fn rename(&self, from: &DatasetName, to: &DatasetName) -> Result<(), Error>;

    /// Makes a dataset as a clone of a snapshot, with these properties, and
    /// read-only. Without `canmount=noauto` among them it may be mounted.
    ///
    /// # Errors
    ///
    /// The name is taken, or the snapshot is gone.
    fn clone_snapshot(
        &self,
        origin: &SnapshotName,
        dataset: &DatasetName,
        properties: &Properties,
    ) -> Result<(), Error>;

    /// Makes a clone the original of its origin.
    ///
    /// # Errors
    ///
    /// It is no clone (any more).
    fn promote(&self, dataset: &DatasetName) -> Result<(), Error>;

    /// Takes a dataset back to a snapshot, and destroys those named.
    ///
    /// # Errors
    ///
    /// [`Error::Changed`] where there are other snapshots than those; one of
    /// them is held or has a clone. Nothing is destroyed then.
    fn rollback(&self, rollback: &Rollback) -> Result<(), Error>;

    /// Destroys a dataset that has exactly these snapshots.
    ///
    /// # Errors
    ///
    /// [`Error::Changed`] where it has others; one of them is held or has a
    /// clone, or there is something below the dataset.
    fn destroy(&self, dataset: &DatasetName, snapshots: &[SnapshotName]) -> Result<(), Error>;

    /// Gives up what an interrupted receive left in a dataset.
    ///
    /// # Errors
    ///
    /// There is nothing to give up, or a receive is going on.
    fn abort_receive(&self, dataset: &DatasetName) -> Result<(), Error>;

    /// Holds a snapshot, and then no other of its dataset any more with this
    /// tag: whatever happened to earlier runs, one hold is left.
    ///
    /// # Errors
    ///
    /// The snapshot is gone, or the holds cannot be read.
    fn hold(&self, snapshot: &SnapshotName, tag: &str) -> Result<(), Error>;

    /// Takes holds of this tag off snapshots; those that have none do not
    /// matter.
    ///
    /// # Errors
    ///
    /// The holds cannot be read, or may not be released.
    fn release(&self, snapshots: &[&SnapshotName], tag: &str) -> Result<(), Error>;

    /// Those of these snapshots that are held with this tag.
    ///
    /// # Errors
    ///
    /// The holds cannot be read.
    fn held(&self, snapshots: &[&SnapshotName], tag: &str) -> Result<HashSet<SnapshotName>, Error>;

    /// Makes bookmarks. Those that can be made are, whatever becomes of others.
    ///
    /// # Errors
    ///
    /// What one shall stand for is gone, or its name is taken.
    fn bookmark(&self, bookmarks: &[(Base, BookmarkName)]) -> Result<(), Error>;

    /// Destroys bookmarks; those that are gone already do not matter.
    ///
    /// # Errors
    ///
    /// ZFS refuses.
    fn destroy_bookmarks(&self, names: &[BookmarkName]) -> Result<(), Error>;
}

/// The streams of a range, on their way out. After an error it is of no more
/// use.
pub trait Sending: Send {
    /// Writes the next stream into a pipe, to its end; `stream` is the range's
    /// next.
    ///
    /// # Errors
    ///
    /// It cannot be sent, is not the one that was meant, or nobody reads it.
    fn send(&mut self, stream: &Stream, pipe: BorrowedFd<'_>) -> Result<(), Error>;
}

/// The streams of a range, on their way in. After an error it is of no more
/// use.
pub trait Receiving: Send {
    /// Reads the next stream from a pipe.
    ///
    /// # Errors
    ///
    /// It cannot be received, or ends too early.
    fn receive(&mut self, pipe: BorrowedFd<'_>) -> Result<Arrived, Error>;
}

/// What came of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// How many bytes it had.
    pub bytes: u64,
    /// What is known of the snapshot that it made.
    pub guid: Arrival,
    /// Which properties could not be set, each with what ZFS said.
    pub unset: Vec<String>,
}

/// What is known of a snapshot when its stream is through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It is there, and this is its GUID.
    Told(Guid),
    /// It is there; its GUID has to be asked for.
    Ask,
    /// It is on its way: when a later stream of the range has arrived, it has,
    /// too, and is the one that was sent.
    Later,
}

/// What to receive, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receive {
    /// What the snapshot is called on the target.
    pub snapshot: SnapshotName,
    /// Whether it makes a new dataset.
    pub into: Into,
    /// Whether the stream has to be raw.
    pub raw: bool,
    /// Whether its blocks are as compressed as they lie on disk.
    pub compressed: bool,
    /// Whether a dataset that it makes can be written to.
    pub access: Access,
    /// What is set on the dataset besides.
    pub properties: Arc<Properties>,
}

/// Whether what arrives can be written to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// A new dataset gets `readonly=on`, so that nothing gets in the way of
    /// the next increment.
    #[default]
    ReadOnly,
    /// A new dataset is as those above it: what is restored is for use.
    Inherited,
}

/// What a stream is received into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Into {
    /// A dataset that comes with it.
    New,
    /// The same as a clone of this snapshot.
    Clone(SnapshotName),
    /// A dataset that is there and keeps its properties.
    Existing,
}
