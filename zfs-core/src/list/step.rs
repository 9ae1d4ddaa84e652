//! A listing in steps: a dataset, the snapshots of one, the bookmarks of one.
//! Steps need nothing of each other, and can be done side by side.

use std::collections::VecDeque;
use std::iter;
use std::sync::Arc;
use std::time::SystemTime;

use super::cache::{Session, Version};
use super::dataset::{Dataset, Datasets, ListDatasets};
use super::request::{
    BookmarkEntry, Details, Entry, EntryKinds, ListOrder, ListRequest, SnapshotEntry,
};
use super::snapshot::ListSnapshots;
use crate::error::Error;
use crate::name::DatasetName;
use crate::property::DatasetProperties;
use crate::zfs::Zfs;

/// What all steps of a listing share.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) zfs: Zfs,
    pub(super) request: ListRequest,
    pub(super) session: Option<Session>,
}

/// Entries, or one error in their place or behind them.
pub(super) type Entries = Box<dyn Iterator<Item = Result<Entry, Error>> + Send>;

#[derive(Debug)]
pub(super) enum Step {
    Dataset(Box<Dataset>),
    Snapshots(Members),
    Bookmarks(Members),
}

/// The snapshots or bookmarks of a dataset.
#[derive(Debug)]
pub(super) struct Members {
    dataset: DatasetName,
    /// It was asked for by name, and must not go away without a word.
    named: bool,
    /// What a cache knows it by, and when that was read.
    version: Option<(Version, SystemTime)>,
}

impl Step {
    /// Where it comes in the order of names. A bookmark's `#` comes before a
    /// slash and behind a space, both of which dataset names may have there.
    fn key(&self) -> (String, u8) {
        match self {
            Step::Dataset(dataset) => (dataset.name.to_string(), 0),
            Step::Snapshots(members) => (members.dataset.to_string(), 1),
            Step::Bookmarks(members) => (format!("{}#", members.dataset), 0),
        }
    }

    pub(super) fn run(self, context: &Context) -> Entries {
        match self {
            Step::Dataset(dataset) => Box::new(iter::once(Ok(Entry::Dataset(dataset)))),
            Step::Snapshots(members) => members.snapshots(context),
            Step::Bookmarks(members) => members.bookmarks(context),
        }
    }
}

/// A dataset that vanished on the way was not asked for by name.
fn unless_gone<T>(result: Result<T, Error>, named: bool) -> Option<Result<T, Error>> {
    match result {
        Err(error) if error.is_not_found() && !named => None,
        result => Some(result),
    }
}

impl Members {
    fn snapshots(self, context: &Context) -> Entries {
        let request = &context.request;
        let pool = self.dataset.pool();
        let creation = request.details >= Details::Creation;
        let cached = context.session.as_ref().zip(self.version.as_ref());
        if let Some((session, (version, _))) = cached {
            if let Some(records) = session.get(&pool, version, creation) {
                let request = request.clone();
                let dataset = self.dataset;
                let wanted = records.into_iter().filter(move |record| {
                    request.wants_member(&record.name, record.createtxg.into())
                });
                return Box::new(wanted.map(move |record| {
                    let entry = SnapshotEntry::kept(&dataset, &record)?;
                    Ok(Entry::Snapshot(Box::new(entry)))
                }));
            }
        }

        let mut what = ListSnapshots::new();
        if creation {
            what = what.with_properties();
        }
        if let Some(txg) = request.min_txg {
            what = what.min_txg(txg);
        }
        if let Some(txg) = request.max_txg {
            what = what.max_txg(txg);
        }
        let (details, named) = (request.details, self.named);
        let all = context
            .zfs
            .list_snapshots(&self.dataset, what)
            .map(move |snapshot| snapshot.map(|snapshot| SnapshotEntry::of(snapshot, details)));
        let keep = cached.filter(|_| request.min_txg.is_none() && request.max_txg.is_none());
        let members = request.members.clone();
        let wanted = move |entry: &SnapshotEntry| {
            let own = entry.name.snapshot();
            members.as_ref().is_none_or(|glob| glob.matches(own))
        };
        if keep.is_none() && request.order == ListOrder::Kernel {
            let all = all.filter_map(move |item| unless_gone(item, named));
            return Box::new(
                all.filter(move |item| item.as_ref().map_or(true, &wanted))
                    .map(|item| item.map(|entry| Entry::Snapshot(Box::new(entry)))),
            );
        }
        let mut all = match unless_gone(all.collect::<Result<Vec<_>, _>>(), named) {
            Some(Ok(all)) => all,
            Some(Err(error)) => return Box::new(iter::once(Err(error))),
            None => return Box::new(iter::empty()),
        };
        all.sort_by(|a, b| (a.createtxg, &a.name).cmp(&(b.createtxg, &b.name)));
        if let Some((session, (version, read_at))) = keep {
            let records: Vec<_> = all.iter().map(SnapshotEntry::to_record).collect();
            session.put(&pool, version, *read_at, &records);
        }
        all.retain(wanted);
        Box::new(
            all.into_iter()
                .map(|entry| Ok(Entry::Snapshot(Box::new(entry)))),
        )
    }

    fn bookmarks(self, context: &Context) -> Entries {
        /// What OpenZFS can keep of a bookmark.
        const PROPERTIES: &[&str] = &[
            "referenced",
            "compressratio",
            "logicalreferenced",
            "ivsetguid",
            "redact_snaps",
        ];
        let properties = context.request.details == Details::Properties;
        let more = if properties { PROPERTIES } else { &[] };
        let listed = context.zfs.bookmarks_with(&self.dataset, more);
        let mut bookmarks = match unless_gone(listed, self.named) {
            Some(Ok(bookmarks)) => bookmarks,
            Some(Err(error)) => return Box::new(iter::once(Err(error))),
            None => return Box::new(iter::empty()),
        };
        bookmarks.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
        let request = context.request.clone();
        let version = context.zfs.version();
        let wanted = bookmarks.into_iter().filter(move |(bookmark, _)| {
            request.wants_member(bookmark.name.bookmark(), bookmark.createtxg)
        });
        Box::new(wanted.map(move |(bookmark, list)| {
            let name = bookmark.name.as_str();
            let properties = properties.then(|| DatasetProperties::new(name, version, list));
            let entry = BookmarkEntry {
                bookmark,
                properties,
            };
            Ok(Entry::Bookmark(Box::new(entry)))
        }))
    }
}

/// The steps of a listing, in its order.
pub(super) enum Steps {
    /// Found one after the other.
    Walk(Walk),
    /// All found and sorted.
    Sorted(std::vec::IntoIter<Result<Step, Error>>),
}

impl Steps {
    pub(super) fn of(context: &Arc<Context>, roots: Vec<(DatasetName, bool)>) -> Steps {
        let walk = Walk {
            context: Arc::clone(context),
            roots: roots.into_iter(),
            at: None,
            ready: VecDeque::new(),
        };
        if context.request.order == ListOrder::Kernel {
            return Steps::Walk(walk);
        }
        let (mut steps, mut errors) = (Vec::new(), Vec::new());
        for step in walk {
            match step {
                Ok(step) => steps.push((step.key(), step)),
                Err(error) => errors.push(Err(error)),
            }
        }
        steps.sort_by(|(a, _), (b, _)| a.cmp(b));
        steps.dedup_by(|(a, _), (b, _)| a == b);
        errors.extend(steps.into_iter().map(|(_, step)| Ok(step)));
        Steps::Sorted(errors.into_iter())
    }
}

impl Iterator for Steps {
    type Item = Result<Step, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Steps::Walk(walk) => walk.next(),
            Steps::Sorted(steps) => steps.next(),
        }
    }
}

/// A way through all datasets below the roots.
pub(super) struct Walk {
    context: Arc<Context>,
    roots: std::vec::IntoIter<(DatasetName, bool)>,
    at: Option<Below>,
    ready: VecDeque<Step>,
}

struct Below {
    root: DatasetName,
    named: bool,
    datasets: Datasets,
}

impl Walk {
    fn begin(&self, root: DatasetName, named: bool) -> Below {
        let request = &self.context.request;
        let datasets = request.kinds.intersects(EntryKinds::DATASET);
        // Of the lowest datasets that count, the members do not.
        let depth = match request.depth {
            None => usize::MAX,
            Some(depth) if datasets => depth,
            Some(depth) => depth.saturating_sub(1),
        };
        let properties =
            self.context.session.is_some() || (datasets && request.details >= Details::Creation);
        let mut what = ListDatasets::new().depth(depth);
        if !properties {
            what = what.without_properties();
        }
        Below {
            datasets: self.context.zfs.list_datasets(&root, what),
            root,
            named,
        }
    }

    /// The steps that a dataset makes, found at that time.
    fn steps(&mut self, mut dataset: Dataset, at: SystemTime, below: &Below) {
        let request = &self.context.request;
        if !request.wants_dataset(&dataset.name) {
            return;
        }
        let depth = dataset.name.depth().saturating_sub(below.root.depth());
        let listed = request.depth.is_none_or(|most| depth < most);
        let members = |kind, version| {
            (listed && request.kinds.contains(kind)).then(|| Members {
                dataset: dataset.name.clone(),
                named: below.named && dataset.name == below.root,
                version,
            })
        };
        let version = version(&dataset)
            .filter(|_| self.context.session.is_some())
            .map(|version| (version, at));
        let snapshots = members(EntryKinds::SNAPSHOT, version);
        let bookmarks = members(EntryKinds::BOOKMARK, None);
        if request.kinds.contains(dataset.kind.into()) && request.wants_txg(dataset.createtxg) {
            if request.details == Details::Identity {
                dataset.properties = None;
            }
            self.ready.push_back(Step::Dataset(Box::new(dataset)));
        }
        self.ready.extend(snapshots.map(Step::Snapshots));
        self.ready.extend(bookmarks.map(Step::Bookmarks));
    }
}

/// What its snapshots are known by, where the kernel tells.
fn version(dataset: &Dataset) -> Option<Version> {
    let changed = dataset.properties.as_ref()?.number("snapshots_changed")?;
    let mut marks = String::new();
    if let Some(origin) = &dataset.origin {
        marks.push_str(origin.as_str());
    }
    if let Some(newest) = dataset.newest_snapshot() {
        // Neither a slash nor two of them are in a snapshot's own name.
        marks.push_str("//");
        marks.push_str(newest.snapshot());
    }
    Some(Version {
        guid: dataset.guid.0,
        marks,
        changed,
    })
}

impl Iterator for Walk {
    type Item = Result<Step, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(step) = self.ready.pop_front() {
                return Some(Ok(step));
            }
            let mut below = if let Some(below) = self.at.take() {
                below
            } else {
                let (root, named) = self.roots.next()?;
                self.begin(root, named)
            };
            let at = SystemTime::now();
            match below.datasets.next() {
                Some(Ok(dataset)) => {
                    self.steps(dataset, at, &below);
                    self.at = Some(below);
                }
                // What comes after an error is the next root.
                Some(Err(error)) => {
                    if let Some(error) = unless_gone::<Step>(Err(error), below.named) {
                        return Some(error);
                    }
                }
                None => {}
            }
        }
    }
}
