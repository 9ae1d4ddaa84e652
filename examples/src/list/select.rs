//! What the names on the command line mean, and what of it is listed.

use std::collections::{HashMap, HashSet};

use zfs_core::error::{Error, NameProblem};
use zfs_core::{
    BookmarkName, DatasetKind, DatasetName, Details, Entry, EntryKinds, ListRequest, PoolName,
    SnapshotEntry, SnapshotName, Zfs,
};

use super::args::Args;
use super::mounts;
use super::row::Row;

/// What is to be listed.
pub struct Selection {
    /// Datasets and what belongs to them.
    pub request: Option<ListRequest>,
    /// Snapshots and bookmarks that were named.
    pub single: Vec<Entry>,
    /// Whether all names could be opened.
    pub whole: bool,
    pools: Vec<PoolName>,
    /// Pools whose snapshots are not listed, since nobody asked for any.
    without_snapshots: HashSet<String>,
}

impl Selection {
    /// Opens what was named, and says on stderr what could not be.
    pub fn of(args: &Args, zfs: &Zfs, details: Details) -> Selection {
        let mut kinds = args
            .kinds
            .unwrap_or(EntryKinds::DATASET | EntryKinds::SNAPSHOT);
        if args.columns.as_deref() == Some("space") && args.kinds.is_none() {
            kinds.remove(EntryKinds::SNAPSHOT);
        }
        let mut recursive = args.recursive || args.depth.is_some() || args.names.is_empty();
        let mut depth = args.depth;
        let members_alone = kinds == EntryKinds::SNAPSHOT || kinds == EntryKinds::BOOKMARK;
        if members_alone && !recursive {
            (recursive, depth) = (true, Some(1));
        }
        // What a name may be: with all below it, a dataset of any kind that
        // has something to list.
        let mut allowed = kinds;
        if recursive {
            allowed |= EntryKinds::FILESYSTEM;
            if kinds.intersects(EntryKinds::SNAPSHOT | EntryKinds::BOOKMARK) {
                allowed |= EntryKinds::VOLUME;
            }
        }

        let mut selection = Selection {
            request: None,
            single: Vec::new(),
            whole: true,
            pools: Vec::new(),
            without_snapshots: HashSet::new(),
        };
        let mut roots = Vec::new();
        for name in &args.names {
            match open(name, zfs, allowed, details) {
                Ok(Opened::Dataset(root)) => roots.push(root),
                Ok(Opened::Single(entry)) => selection.single.push(*entry),
                Err(text) => {
                    eprintln!("{text}");
                    selection.whole = false;
                }
            }
        }
        selection.pools = if args.names.is_empty() {
            let pools = zfs.list_pools().unwrap_or_default();
            pools.into_iter().map(|pool| pool.name).collect()
        } else {
            let singles = selection.single.iter().filter_map(|entry| {
                let pool = entry.name().split(['/', '@', '#']).next()?;
                pool.parse().ok()
            });
            roots.iter().map(DatasetName::pool).chain(singles).collect()
        };
        selection.pools.sort();
        selection.pools.dedup();

        let mut listed = kinds;
        if args.kinds.is_none() {
            // Whatever the columns: the pool's property decides.
            listed.insert(EntryKinds::SNAPSHOT);
            let hides = |pool: &&PoolName| !zfs.lists_snapshots(pool).unwrap_or(false);
            let hiding = selection.pools.iter().filter(hides);
            selection.without_snapshots = hiding.map(ToString::to_string).collect();
            if selection.without_snapshots.len() == selection.pools.len() {
                listed.remove(EntryKinds::SNAPSHOT);
            }
        }
        if args.names.is_empty() || !roots.is_empty() {
            let mut request = ListRequest::new().kinds(listed).details(details);
            for root in roots {
                request = request.root(root);
            }
            match (recursive, depth) {
                (false, _) => request = request.depth(0),
                (true, Some(depth)) => request = request.depth(depth),
                (true, None) => {}
            }
            if let Some(glob) = &args.datasets {
                request = request.datasets_matching(glob.clone());
            }
            if let Some(glob) = &args.members {
                request = request.members_matching(glob.clone());
            }
            if let Some(txg) = args.min_txg {
                request = request.min_txg(txg);
            }
            if let Some(txg) = args.max_txg {
                request = request.max_txg(txg);
            }
            selection.request = Some(request);
        }
        selection
    }

    /// Whether a row that was listed is to be shown.
    pub fn wants(&self, row: &Row) -> bool {
        self.without_snapshots.is_empty()
            || !row.name.contains('@')
            || !self.without_snapshots.contains(row.pool())
            || self.single.iter().any(|entry| entry.name() == row.name)
    }

    /// The folders that pools' mountpoints are in.
    pub fn altroots(&self, zfs: &Zfs) -> HashMap<String, String> {
        let root = |pool: &PoolName| {
            let altroot = zfs.altroot(pool).ok()??;
            Some((pool.to_string(), altroot))
        };
        self.pools.iter().filter_map(root).collect()
    }
}

enum Opened {
    Dataset(DatasetName),
    Single(Box<Entry>),
}

/// Opens what a name or a path means.
fn open(name: &str, zfs: &Zfs, allowed: EntryKinds, details: Details) -> Result<Opened, String> {
    if name.starts_with('/') || name.starts_with("./") {
        let dataset = mounts::dataset_of(name)?;
        return open_name(&dataset, zfs, EntryKinds::FILESYSTEM, details);
    }
    open_name(name, zfs, allowed, details)
}

fn open_name(
    name: &str,
    zfs: &Zfs,
    allowed: EntryKinds,
    details: Details,
) -> Result<Opened, String> {
    let cannot = |why: &str| format!("cannot open '{name}': {why}");
    let failed = |error: Error| cannot(&words(&error));
    let wrong_kind = || cannot("operation not applicable to datasets of this type");
    if name.contains('@') && !allowed.contains(EntryKinds::SNAPSHOT) {
        return Err(cannot("snapshot delimiter '@' is not expected here"));
    }
    if name.contains('#') && !allowed.contains(EntryKinds::BOOKMARK) {
        return Err(cannot("bookmark delimiter '#' is not expected here"));
    }
    if name.contains(['@', '#']) && name.matches(['@', '#']).count() > 1 {
        return Err(cannot("multiple '@' and/or '#' delimiters in name"));
    }
    if name.contains('@') {
        let name: SnapshotName = name.parse().map_err(failed)?;
        let snapshot = zfs.snapshot_entry(&name).map_err(failed)?;
        let entry = SnapshotEntry {
            creation: snapshot.creation(),
            name: snapshot.name,
            guid: snapshot.guid,
            createtxg: snapshot.createtxg,
            properties: snapshot.properties,
        };
        return Ok(Opened::Single(Box::new(Entry::Snapshot(Box::new(entry)))));
    }
    if name.contains('#') {
        let bookmark: BookmarkName = name.parse().map_err(failed)?;
        let dataset = bookmark.dataset().clone();
        zfs.dataset(&dataset).map_err(failed)?;
        let request = ListRequest::new()
            .root(dataset)
            .kinds(EntryKinds::BOOKMARK)
            .depth(1)
            .details(details.max(Details::Properties));
        let mut found = zfs.list(request).filter_map(Result::ok);
        return found
            .find(|entry| entry.name() == name)
            .map(|entry| Opened::Single(Box::new(entry)))
            .ok_or_else(|| cannot("no such pool or dataset"));
    }
    let dataset: DatasetName = name.parse().map_err(failed)?;
    let kind = match zfs.dataset(&dataset).map_err(failed)?.kind {
        DatasetKind::Filesystem => EntryKinds::FILESYSTEM,
        DatasetKind::Volume => EntryKinds::VOLUME,
    };
    if !allowed.contains(kind) {
        return Err(wrong_kind());
    }
    Ok(Opened::Dataset(dataset))
}

/// An error in zfs(8)'s words.
fn words(error: &Error) -> String {
    let Error::InvalidName { problem, .. } = error else {
        return match error.failures() {
            _ if error.is_not_found() => "dataset does not exist".to_owned(),
            [failure] if error.is_permission() => {
                let _ = failure;
                "permission denied".to_owned()
            }
            _ => error.to_string(),
        };
    };
    match problem {
        NameProblem::TooLong { .. } => "name is too long".to_owned(),
        NameProblem::LeadingSlash => "leading slash in name".to_owned(),
        NameProblem::TrailingSlash => "trailing slash in name".to_owned(),
        NameProblem::EmptyComponent | NameProblem::Missing(_) => {
            "empty component or misplaced '@' or '#' delimiter in name".to_owned()
        }
        // Nobody can make one of that name, and ZFS looks for it all the same.
        NameProblem::Character('%') | NameProblem::PoolNoLetter | NameProblem::Reserved => {
            "dataset does not exist".to_owned()
        }
        NameProblem::Character(letter) => format!("invalid character '{letter}' in name"),
        NameProblem::Delimiter(_) => "multiple '@' and/or '#' delimiters in name".to_owned(),
        NameProblem::SelfReference => "self reference, '.' is found in name".to_owned(),
        NameProblem::ParentReference => "parent reference, '..' is found in name".to_owned(),
        other => other.to_string(),
    }
}
