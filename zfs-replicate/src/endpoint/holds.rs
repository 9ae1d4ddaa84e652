//! Which of the newest common snapshots are not held.

use std::collections::HashSet;

use zfs_core::{Guid, SnapshotName};

use super::Endpoint;
use crate::error::Error;
use crate::plan::Unheld;
use crate::plan::holds::{Key, key};
use crate::tree::{Snapshot, Tree};

/// Looks at both ends which of the newest common snapshots are not held with
/// this tag, for [`Options::unheld`](crate::plan::Options::unheld).
///
/// # Errors
///
/// The holds cannot be read.
pub fn unheld(
    (source, source_tree): (&dyn Endpoint, &Tree),
    (target, target_tree): (&dyn Endpoint, &Tree),
    tag: &str,
) -> Result<Unheld, Error> {
    let datasets = source_tree.datasets.iter();
    let known: HashSet<Guid> = datasets
        .flat_map(|dataset| {
            let bookmarks = dataset.bookmarks.iter().map(|bookmark| bookmark.guid);
            let snapshots = dataset.snapshots.iter().map(|snapshot| snapshot.guid);
            snapshots.chain(bookmarks)
        })
        .collect();
    let newest = target_tree.datasets.iter().filter_map(|dataset| {
        let common = dataset.snapshots.iter().filter(|s| known.contains(&s.guid));
        common.max_by_key(|snapshot| snapshot.createtxg)
    });
    let there: Vec<&Snapshot> = newest.collect();
    let common: HashSet<Guid> = there.iter().map(|snapshot| snapshot.guid).collect();
    let here = source_tree.datasets.iter().flat_map(|d| &d.snapshots);
    let here: Vec<&Snapshot> = here.filter(|s| common.contains(&s.guid)).collect();
    Ok(Unheld {
        source: missing(source, &here, tag)?,
        target: missing(target, &there, tag)?,
        tag: tag.to_owned(),
    })
}

fn missing(end: &dyn Endpoint, of: &[&Snapshot], tag: &str) -> Result<HashSet<Key>, Error> {
    let names: Vec<&SnapshotName> = of.iter().map(|snapshot| &snapshot.name).collect();
    let held = end.held(&names, tag)?;
    let missing = of.iter().filter(|snapshot| !held.contains(&snapshot.name));
    Ok(missing.map(|snapshot| key(snapshot)).collect())
}
