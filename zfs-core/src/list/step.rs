//! A listing in steps: a dataset, the snapshots of one, the bookmarks of one.
//! Steps need nothing of each other, and can be done side by side.

use std::collections::VecDeque;
use std::iter;
use std::sync::Arc;
use std::time::SystemTime;

use zfs_stream::nvlist::NvList;

use super::cache::{Known, Member, MemberFlags, Session, Version};
use super::dataset::{Dataset, DatasetKind, Datasets, ListDatasets};
use super::request::{
    BookmarkEntry, Details, Entry, EntryKinds, ListOrder, ListRequest, SnapshotEntry,
};
use super::snapshot::ListSnapshots;
use crate::error::{Error, Operation};
use crate::ffi::CallError;
use crate::name::{DatasetName, Guid, Txg};
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
    guid: u64,
    found: Found,
}

/// How a dataset was found, which says what is known of its snapshots.
#[derive(Debug)]
enum Found {
    /// In the kernel's list, at that time.
    Listed(Option<(Version, SystemTime)>),
    /// In a tree that was kept with them.
    InTree,
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
        let session = context.session.as_ref();
        let known = match &self.found {
            Found::InTree => Some(Known::InTree(self.guid)),
            Found::Listed(version) => version.as_ref().map(|(version, _)| Known::By(version)),
        };
        if let Some((session, known)) = session.zip(known) {
            if let Some(records) = session.get(&pool, known, creation) {
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
        let all = context.zfs.list_snapshots(&self.dataset, what);
        let entry = move |snapshot| SnapshotEntry::of(snapshot, details);
        let in_tree = matches!(self.found, Found::InTree);
        let all_of_them = request.min_txg.is_none() && request.max_txg.is_none();
        let keep = session
            .filter(|session| all_of_them && (known.is_some() || in_tree || session.records()));
        let members = request.members.clone();
        let wanted = move |entry: &SnapshotEntry| {
            let own = entry.name.snapshot();
            members.as_ref().is_none_or(|glob| glob.matches(own))
        };
        if keep.is_none() && request.order == ListOrder::Kernel {
            let all = all.filter_map(move |item| unless_gone(item.map(entry), named));
            return Box::new(
                all.filter(move |item| item.as_ref().map_or(true, &wanted))
                    .map(|item| item.map(|entry| Entry::Snapshot(Box::new(entry)))),
            );
        }
        let all = if request.threads > 1 {
            all.gather()
        } else {
            all.collect()
        };
        let mut all: Vec<SnapshotEntry> = match unless_gone(all, named) {
            Some(Ok(all)) => all.into_iter().map(entry).collect(),
            other => {
                if let Some(session) = session {
                    session.not_whole();
                }
                let error = other.and_then(Result::err);
                return Box::new(error.map(Err).into_iter());
            }
        };
        all.sort_by(|a, b| (a.createtxg, &a.name).cmp(&(b.createtxg, &b.name)));
        if let Some(session) = keep {
            let records: Vec<_> = all.iter().map(SnapshotEntry::to_record).collect();
            let version = match &self.found {
                Found::Listed(version) => version.as_ref(),
                Found::InTree => None,
            };
            let in_tree = in_tree || session.records();
            session.put(&pool, self.guid, version, in_tree, &records);
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
    datasets: Source,
}

/// Where the datasets below a root come from.
enum Source {
    Kernel {
        datasets: Box<Datasets>,
        /// What is kept of them.
        kept: Option<Vec<Member>>,
    },
    Tree(std::vec::IntoIter<Member>),
}

impl Walk {
    fn begin(&self, root: DatasetName, named: bool) -> Below {
        let request = &self.context.request;
        let session = self.context.session.as_ref();
        let levels = request.levels();
        let datasets = if let Some(tree) = session.and_then(|session| session.tree(&root, levels)) {
            Source::Tree(tree.into_iter())
        } else {
            let datasets = request.kinds.intersects(EntryKinds::DATASET);
            let mut what = ListDatasets::new().depth(levels);
            if session.is_none() && !(datasets && request.details >= Details::Creation) {
                what = what.without_properties();
            }
            let kept = session.filter(|session| session.records());
            Source::Kernel {
                datasets: Box::new(self.context.zfs.list_datasets(&root, what)),
                kept: kept.map(|_| Vec::new()),
            }
        };
        Below {
            root,
            named,
            datasets,
        }
    }

    /// The next dataset below a root.
    fn next_below(&self, below: &mut Below) -> Option<Result<(Dataset, Found), Error>> {
        match &mut below.datasets {
            Source::Tree(members) => {
                let member = members.next()?;
                let found = if member.flags.contains(MemberFlags::LISTED) {
                    Found::InTree
                } else {
                    Found::Listed(None)
                };
                let dataset = kept_dataset(&member, self.context.zfs.version());
                Some(dataset.map(|dataset| (dataset, found)))
            }
            Source::Kernel { datasets, kept } => {
                let at = SystemTime::now();
                match datasets.next() {
                    Some(Ok(dataset)) => {
                        let listed = self
                            .context
                            .request
                            .lists_members(&below.root, &dataset.name);
                        if let Some(kept) = kept {
                            kept.push(member(&dataset, listed));
                        }
                        let version = version(&dataset)
                            .filter(|_| self.context.session.is_some())
                            .map(|version| (version, at));
                        Some(Ok((dataset, Found::Listed(version))))
                    }
                    Some(Err(error)) => {
                        *kept = None;
                        if let Some(session) = &self.context.session {
                            session.not_whole();
                        }
                        Some(Err(error))
                    }
                    None => {
                        let session = self.context.session.as_ref();
                        if let Some((session, kept)) = session.zip(kept.take()) {
                            session.put_tree(&below.root, self.context.request.levels(), kept);
                        }
                        None
                    }
                }
            }
        }
    }

    /// The steps that a dataset makes.
    fn steps(&mut self, mut dataset: Dataset, found: Found, below: &Below) {
        let request = &self.context.request;
        if !request.wants_dataset(&dataset.name) {
            return;
        }
        let listed = request.lists_members(&below.root, &dataset.name);
        let guid = dataset.guid.0;
        let members = |kind, found| {
            (listed && request.kinds.contains(kind)).then(|| Members {
                dataset: dataset.name.clone(),
                named: below.named && dataset.name == below.root,
                guid,
                found,
            })
        };
        let snapshots = members(EntryKinds::SNAPSHOT, found);
        let bookmarks = members(EntryKinds::BOOKMARK, Found::Listed(None));
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

/// What is kept of a dataset.
fn member(dataset: &Dataset, listed: bool) -> Member {
    let mut flags = MemberFlags::empty();
    flags.set(MemberFlags::VOLUME, dataset.kind == DatasetKind::Volume);
    flags.set(MemberFlags::INCONSISTENT, dataset.inconsistent);
    flags.set(MemberFlags::REDACTED, dataset.redacted);
    flags.set(MemberFlags::LISTED, listed);
    let properties = dataset.properties.as_ref();
    Member {
        name: dataset.name.as_str().to_owned(),
        guid: dataset.guid.0,
        createtxg: dataset.createtxg.0,
        creation: properties
            .and_then(|properties| properties.number("creation"))
            .unwrap_or_default(),
        origin: dataset.origin.as_ref().map(ToString::to_string),
        flags,
    }
}

/// A dataset of which that was kept: of its properties the time of creation.
fn kept_dataset(member: &Member, version: crate::version::Version) -> Result<Dataset, Error> {
    let answer = |error| CallError::Answer(error).on(Operation::List, &member.name);
    let mut creation = NvList::new();
    creation.insert("value", member.creation).map_err(answer)?;
    let mut properties = NvList::new();
    properties.insert("creation", creation).map_err(answer)?;
    let name: DatasetName = member.name.parse()?;
    let origin = member.origin.as_deref().map(str::parse).transpose()?;
    Ok(Dataset {
        kind: if member.flags.contains(MemberFlags::VOLUME) {
            DatasetKind::Volume
        } else {
            DatasetKind::Filesystem
        },
        guid: Guid(member.guid),
        createtxg: Txg(member.createtxg),
        origin,
        inconsistent: member.flags.contains(MemberFlags::INCONSISTENT),
        redacted: member.flags.contains(MemberFlags::REDACTED),
        properties: Some(DatasetProperties::new(&member.name, version, properties)),
        name,
    })
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
            match self.next_below(&mut below) {
                Some(Ok((dataset, found))) => {
                    self.steps(dataset, found, &below);
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
