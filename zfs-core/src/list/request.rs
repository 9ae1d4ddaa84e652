//! What is to be listed, and what comes of it.

use std::time::{Duration, SystemTime};

use super::cache::{ListCache, Record};
use super::dataset::{Dataset, DatasetKind};
use super::glob::Glob;
use super::snapshot::Snapshot;
use crate::bookmark::Bookmark;
use crate::error::Error;
use crate::name::{DatasetName, Guid, SnapshotName, Txg};
use crate::property::DatasetProperties;

bitflags::bitflags! {
    /// Kinds of things to list.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct EntryKinds: u8 {
        /// Filesystems.
        const FILESYSTEM = 1;
        /// Volumes.
        const VOLUME = 2;
        /// Snapshots.
        const SNAPSHOT = 4;
        /// Bookmarks.
        const BOOKMARK = 8;
        /// Filesystems and volumes.
        const DATASET = 3;
    }
}

impl From<DatasetKind> for EntryKinds {
    fn from(kind: DatasetKind) -> EntryKinds {
        match kind {
            DatasetKind::Filesystem => EntryKinds::FILESYSTEM,
            DatasetKind::Volume => EntryKinds::VOLUME,
        }
    }
}

/// How much is to be known of each entry. More takes longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Details {
    /// Name, GUID and createtxg.
    Identity,
    /// The time of creation as well, which OpenZFS tells only with all
    /// properties. A [`ListCache`] keeps it, and nothing of the others.
    Creation,
    /// All properties.
    Properties,
}

/// In which order entries come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ListOrder {
    /// As the kernel gives them: each dataset before its snapshots, its
    /// bookmarks and the datasets below it, and nothing else. Memory stays the
    /// same however much is listed.
    Kernel,
    /// As zfs-list(8) sorts when it is not told how: datasets by the bytes of
    /// their names, snapshots behind their dataset by createtxg, bookmarks by
    /// name. The names of all datasets are in memory, and the snapshots of a
    /// few.
    Name,
}

/// A snapshot in a listing.
#[derive(Clone, Debug)]
pub struct SnapshotEntry {
    /// Its name.
    pub name: SnapshotName,
    /// Its GUID, the same in every replica.
    pub guid: Guid,
    /// The transaction group in which it was taken or received.
    pub createtxg: Txg,
    /// When it was taken, where that was asked for; of a received snapshot
    /// when its original was.
    pub creation: Option<SystemTime>,
    /// Its properties, where they were asked for.
    pub properties: Option<DatasetProperties>,
}

impl SnapshotEntry {
    pub(super) fn of(snapshot: Snapshot, details: Details) -> SnapshotEntry {
        SnapshotEntry {
            creation: snapshot.creation(),
            guid: snapshot.guid,
            createtxg: snapshot.createtxg,
            name: snapshot.name,
            properties: match details {
                Details::Properties => snapshot.properties,
                Details::Identity | Details::Creation => None,
            },
        }
    }

    pub(super) fn kept(dataset: &DatasetName, record: &Record) -> Result<SnapshotEntry, Error> {
        Ok(SnapshotEntry {
            name: dataset.with_snapshot(&record.name)?,
            guid: Guid(record.guid),
            createtxg: Txg(record.createtxg),
            creation: record.creation.and_then(|seconds| {
                SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
            }),
            properties: None,
        })
    }

    pub(super) fn to_record(&self) -> Record {
        let seconds = |time: SystemTime| {
            let since = time.duration_since(SystemTime::UNIX_EPOCH);
            since.ok().map(|since| since.as_secs())
        };
        Record {
            name: self.name.snapshot().to_owned(),
            guid: self.guid.0,
            createtxg: self.createtxg.0,
            creation: self.creation.and_then(seconds),
        }
    }
}

/// A bookmark in a listing.
#[derive(Clone, Debug)]
pub struct BookmarkEntry {
    /// The bookmark.
    pub bookmark: Bookmark,
    /// What else ZFS keeps of it, where properties were asked for:
    /// `referenced`, `logicalreferenced`, `redact_snaps` and others.
    pub properties: Option<DatasetProperties>,
}

/// Something that was listed.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A filesystem or volume.
    Dataset(Box<Dataset>),
    /// A snapshot.
    Snapshot(Box<SnapshotEntry>),
    /// A bookmark.
    Bookmark(Box<BookmarkEntry>),
}

impl Entry {
    /// Its name as text.
    pub fn name(&self) -> &str {
        match self {
            Entry::Dataset(dataset) => dataset.name.as_str(),
            Entry::Snapshot(snapshot) => snapshot.name.as_str(),
            Entry::Bookmark(entry) => entry.bookmark.name.as_str(),
        }
    }

    /// Its GUID; a bookmark has its snapshot's.
    pub fn guid(&self) -> Guid {
        match self {
            Entry::Dataset(dataset) => dataset.guid,
            Entry::Snapshot(snapshot) => snapshot.guid,
            Entry::Bookmark(entry) => entry.bookmark.guid,
        }
    }

    /// When it was created, in transaction groups; a bookmark has its
    /// snapshot's.
    pub fn createtxg(&self) -> Txg {
        match self {
            Entry::Dataset(dataset) => dataset.createtxg,
            Entry::Snapshot(snapshot) => snapshot.createtxg,
            Entry::Bookmark(entry) => entry.bookmark.createtxg,
        }
    }

    /// When it was created, where that was asked for.
    pub fn creation(&self) -> Option<SystemTime> {
        match self {
            Entry::Dataset(dataset) => dataset.creation(),
            Entry::Snapshot(snapshot) => snapshot.creation,
            Entry::Bookmark(entry) => Some(entry.bookmark.creation),
        }
    }

    /// Its properties, where they were asked for.
    pub fn properties(&self) -> Option<&DatasetProperties> {
        match self {
            Entry::Dataset(dataset) => dataset.properties.as_ref(),
            Entry::Snapshot(snapshot) => snapshot.properties.as_ref(),
            Entry::Bookmark(bookmark) => bookmark.properties.as_ref(),
        }
    }
}

/// What to list, and how.
///
/// ```no_run
/// use zfs_core::{Details, EntryKinds, ListRequest, Zfs};
///
/// let zfs = Zfs::open()?;
/// let request = ListRequest::new()
///     .root("tank/home".parse()?)
///     .kinds(EntryKinds::SNAPSHOT)
///     .members_matching("autosnap_*".parse()?)
///     .details(Details::Creation)
///     .threads(2);
/// for entry in zfs.list(request) {
///     let entry = entry?;
///     println!("{} {:?}", entry.name(), entry.creation());
/// }
/// # Ok::<(), zfs_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ListRequest {
    pub(super) roots: Vec<DatasetName>,
    pub(super) kinds: EntryKinds,
    pub(super) depth: Option<usize>,
    pub(super) datasets: Option<Glob>,
    pub(super) members: Option<Glob>,
    pub(super) min_txg: Option<Txg>,
    pub(super) max_txg: Option<Txg>,
    pub(super) details: Details,
    pub(super) order: ListOrder,
    pub(super) threads: usize,
    pub(super) cache: Option<ListCache>,
}

impl ListRequest {
    /// Whether what is in a dataset below `root` is within the depth.
    pub(super) fn lists_members(&self, root: &DatasetName, dataset: &DatasetName) -> bool {
        let depth = dataset.depth().saturating_sub(root.depth());
        self.depth.is_none_or(|most| depth < most)
    }

    /// How many levels of datasets are gone down below each root.
    pub(super) fn levels(&self) -> usize {
        match self.depth {
            None => usize::MAX,
            Some(depth) if self.kinds.intersects(EntryKinds::DATASET) => depth,
            // Of the lowest datasets that count, the members do not.
            Some(depth) => depth.saturating_sub(1),
        }
    }

    /// All filesystems and volumes of all imported pools, with name, GUID and
    /// createtxg, in the order of their names.
    pub fn new() -> ListRequest {
        ListRequest {
            roots: Vec::new(),
            kinds: EntryKinds::DATASET,
            depth: None,
            datasets: None,
            members: None,
            min_txg: None,
            max_txg: None,
            details: Details::Identity,
            order: ListOrder::Name,
            threads: 1,
            cache: None,
        }
    }

    /// This dataset, not all pools; can be said several times. In the order of
    /// names, what lies in several of them is listed once.
    #[must_use]
    pub fn root(mut self, dataset: DatasetName) -> ListRequest {
        self.roots.push(dataset);
        self
    }

    /// These kinds of things.
    #[must_use]
    pub fn kinds(mut self, kinds: EntryKinds) -> ListRequest {
        self.kinds = kinds;
        self
    }

    /// Up to that many levels below each root, as zfs-list(8) counts: with 0
    /// the roots alone, with 1 their children, snapshots and bookmarks.
    #[must_use]
    pub fn depth(mut self, levels: usize) -> ListRequest {
        self.depth = Some(levels);
        self
    }

    /// Datasets whose whole name fits, and what belongs to those. What lies
    /// below one that does not fit is gone through all the same.
    #[must_use]
    pub fn datasets_matching(mut self, pattern: Glob) -> ListRequest {
        self.datasets = Some(pattern);
        self
    }

    /// Snapshots and bookmarks whose own name fits, the part after `@` or `#`.
    #[must_use]
    pub fn members_matching(mut self, pattern: Glob) -> ListRequest {
        self.members = Some(pattern);
        self
    }

    /// What was created in this transaction group or later. The kernel passes
    /// over older snapshots, at a fraction of the cost of listing them.
    #[must_use]
    pub fn min_txg(mut self, txg: Txg) -> ListRequest {
        self.min_txg = Some(txg);
        self
    }

    /// What was created in this transaction group or earlier.
    #[must_use]
    pub fn max_txg(mut self, txg: Txg) -> ListRequest {
        self.max_txg = Some(txg);
        self
    }

    /// So much of each entry.
    #[must_use]
    pub fn details(mut self, details: Details) -> ListRequest {
        self.details = details;
        self
    }

    /// In this order.
    #[must_use]
    pub fn order(mut self, order: ListOrder) -> ListRequest {
        self.order = order;
        self
    }

    /// With so many threads, each of which lists the snapshots and bookmarks
    /// of one dataset at a time; in the order of names it has others help it
    /// with one that has many, as [`Snapshots::gather`](crate::Snapshots::gather)
    /// does. With 1 everything is done by the thread that asks the iterator.
    /// More than the machine has processors gains nothing.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> ListRequest {
        self.threads = threads;
        self
    }

    /// With a cache, for what did not change since. Where something did, the
    /// kernel is asked for each dataset, and for the snapshots of those where
    /// a snapshot was created, destroyed or renamed.
    ///
    /// It is of use where snapshots and no properties are asked for, on
    /// OpenZFS 2.2 or later or to root; elsewhere it is neither read nor
    /// written. It is written when the listing came to its end.
    #[must_use]
    pub fn cache(mut self, cache: ListCache) -> ListRequest {
        self.cache = Some(cache);
        self
    }

    /// Whether a snapshot or bookmark of that name and age is wanted.
    pub(super) fn wants_member(&self, own: &str, createtxg: Txg) -> bool {
        self.wants_txg(createtxg) && self.members.as_ref().is_none_or(|glob| glob.matches(own))
    }

    pub(super) fn wants_txg(&self, createtxg: Txg) -> bool {
        self.min_txg.is_none_or(|least| createtxg >= least)
            && self.max_txg.is_none_or(|most| createtxg <= most)
    }

    pub(super) fn wants_dataset(&self, name: &DatasetName) -> bool {
        self.datasets
            .as_ref()
            .is_none_or(|glob| glob.matches(name.as_str()))
    }
}

impl Default for ListRequest {
    fn default() -> ListRequest {
        ListRequest::new()
    }
}
