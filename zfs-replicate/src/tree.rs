//! What one side of a replication has, as plain values.
//!
//! An endpoint fills these from a listing; the planner reads them and asks
//! nothing else of anybody.

use std::time::SystemTime;

use zfs_core::{BookmarkName, DatasetName, Guid, SnapshotName, Txg};

/// A dataset and everything below it, on one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The dataset at the top, whether it exists or not.
    pub root: DatasetName,
    /// The datasets that exist, `root` first, in any order after that.
    pub datasets: Vec<Dataset>,
    /// The nearest dataset above `root` that exists; its snapshots need not
    /// be listed. `None` where `root` is a pool's or the pool does not exist.
    pub above: Option<Dataset>,
}

impl Tree {
    /// The dataset of that name, if it is in the tree.
    pub fn get(&self, name: &DatasetName) -> Option<&Dataset> {
        self.datasets.iter().find(|dataset| dataset.name == *name)
    }
}

/// A filesystem or volume with its snapshots and bookmarks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// Its whole name.
    pub name: DatasetName,
    /// Its own GUID, which is another one on every replica.
    pub guid: Guid,
    /// Filesystem or volume.
    pub kind: Kind,
    /// How it is encrypted, `None` where it is not.
    pub encryption: Option<Encryption>,
    /// The snapshot that it is a clone of.
    pub origin: Option<SnapshotName>,
    /// Its snapshots, in any order.
    pub snapshots: Vec<Snapshot>,
    /// Its bookmarks, in any order.
    pub bookmarks: Vec<Bookmark>,
    /// What an interrupted receive left in it.
    pub partial: Option<Partial>,
    /// How much was written to it since its youngest snapshot, in bytes, where
    /// the listing says that. A mount alone writes something.
    pub written: Option<u64>,
}

impl Dataset {
    /// A filesystem without anything: the start of a listing.
    pub fn new(name: DatasetName, guid: Guid) -> Dataset {
        Dataset {
            name,
            guid,
            kind: Kind::Filesystem,
            encryption: None,
            origin: None,
            snapshots: Vec::new(),
            bookmarks: Vec::new(),
            partial: None,
            written: None,
        }
    }

    /// Its snapshots, the oldest first.
    pub fn snapshots_by_age(&self) -> Vec<&Snapshot> {
        let mut snapshots: Vec<&Snapshot> = self.snapshots.iter().collect();
        snapshots.sort_by_key(|snapshot| snapshot.createtxg);
        snapshots
    }

    /// Its youngest snapshot.
    pub fn newest(&self) -> Option<&Snapshot> {
        self.snapshots
            .iter()
            .max_by_key(|snapshot| snapshot.createtxg)
    }

    /// The snapshot with that GUID.
    pub fn snapshot(&self, guid: Guid) -> Option<&Snapshot> {
        self.snapshots.iter().find(|snapshot| snapshot.guid == guid)
    }

    /// Whether its data is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.encryption.is_some()
    }
}

/// What a dataset is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A filesystem.
    Filesystem,
    /// A volume (zvol).
    Volume,
}

/// How a dataset is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encryption {
    /// The dataset whose key it uses: its own name where it is an encryption
    /// root.
    pub root: DatasetName,
    /// Whether its key is loaded.
    pub key: Key,
}

/// Whether a key is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// The data can be read and written in plain.
    Loaded,
    /// Only raw streams can be sent and received.
    Unavailable,
}

/// A snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its whole name.
    pub name: SnapshotName,
    /// Its GUID, the same on every replica.
    pub guid: Guid,
    /// When it was made, in the order of its own pool.
    pub createtxg: Txg,
    /// When it was made, or its original where it was received; where the
    /// listing says that.
    pub creation: Option<SystemTime>,
    /// The initialisation vectors of its encrypted data, which are the same
    /// on every replica that was received raw; where it has any, and the
    /// listing says so.
    pub ivset: Option<Guid>,
}

/// A bookmark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bookmark {
    /// Its whole name.
    pub name: BookmarkName,
    /// The GUID of the snapshot that it was made from.
    pub guid: Guid,
    /// When that snapshot was made, in the order of its own pool.
    pub createtxg: Txg,
    /// The initialisation vectors of that snapshot.
    pub ivset: Option<Guid>,
}

/// What an interrupted, resumable receive left: its resume token, read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Partial {
    /// The token could be read.
    Token(ResumePoint),
    /// There is a token, and it makes no sense.
    Unreadable {
        /// What is wrong with it.
        problem: String,
    },
}

/// Where an interrupted receive can go on, as its token says.
///
/// A token is stored on the target and comes back from there, so it is
/// checked against the source before anything is sent because of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumePoint {
    /// The snapshot that was being sent.
    pub to_guid: Guid,
    /// What it was called on the source then: `DATASET@SNAPSHOT`.
    pub to_name: String,
    /// The base of the stream, `None` where it was a full one.
    pub from_guid: Option<Guid>,
    /// The object to go on with.
    pub object: u64,
    /// The byte in it to go on with.
    pub offset: u64,
    /// How many bytes of the stream the target already has.
    pub bytes: u64,
    /// How the stream was made, which its rest has to follow.
    pub form: StreamForm,
    /// Whether it left out what a redaction bookmark names.
    pub redacted: bool,
}

/// How a stream is made: the flags of `zfs send`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::struct_excessive_bools, reason = "four flags of zfs send")]
pub struct StreamForm {
    /// Encrypted data as it lies on disk (`-w`).
    pub raw: bool,
    /// Blocks above 128 KiB in one piece (`-L`).
    pub large_blocks: bool,
    /// Compressed blocks as they lie on disk (`-c`).
    pub compressed: bool,
    /// Tiny blocks inside their record (`-e`): only where an interrupted
    /// stream has them, since newer OpenZFS loses data with it.
    pub embedded: bool,
}
