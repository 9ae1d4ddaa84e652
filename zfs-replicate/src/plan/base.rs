//! What both sides have in common, and what the target lacks.

use std::collections::{HashMap, HashSet};

use zfs_core::{Guid, SnapshotName, Txg};

use super::step::{Base, Refusal};
use crate::marker::{Marker, TargetId};
use crate::tree::{Bookmark, Dataset, Snapshot};

/// The base of the next increment.
#[derive(Debug)]
pub(super) struct Common {
    pub base: Base,
    /// Its age on the source.
    pub createtxg: Txg,
    /// The initialisation vectors of its encrypted data.
    pub ivset: Option<Guid>,
}

/// Finds the target's youngest snapshot on the source.
///
/// Only the youngest will do: the kernel takes an increment on an older one
/// only after a rollback, which would destroy those in between.
pub(super) fn common(
    source: &Dataset,
    target: &Dataset,
    id: Option<&TargetId>,
) -> Result<Common, Refusal> {
    let Some(newest) = target.newest() else {
        return Err(Refusal::Occupied);
    };
    known(source, newest.guid, id).ok_or_else(|| no_base(source, target, newest))
}

/// The same for an older snapshot of the target.
pub(super) fn of(
    source: &Dataset,
    target: &Dataset,
    name: &SnapshotName,
    id: Option<&TargetId>,
) -> Option<Common> {
    let snapshot = target.snapshots.iter().find(|s| s.name == *name)?;
    known(source, snapshot.guid, id)
}

fn known(source: &Dataset, guid: Guid, id: Option<&TargetId>) -> Option<Common> {
    if let Some(snapshot) = source.snapshot(guid) {
        return Some(Common {
            base: Base::Snapshot {
                name: snapshot.name.clone(),
                guid: snapshot.guid,
            },
            createtxg: snapshot.createtxg,
            ivset: snapshot.ivset,
        });
    }
    let bookmark = bookmark(source, guid, id)?;
    Some(Common {
        base: Base::Bookmark {
            name: bookmark.name.clone(),
            guid: bookmark.guid,
        },
        createtxg: bookmark.createtxg,
        ivset: bookmark.ivset,
    })
}

/// A bookmark of that snapshot; the target's own marker before any other,
/// since that one is there to stay.
fn bookmark<'a>(source: &'a Dataset, guid: Guid, id: Option<&TargetId>) -> Option<&'a Bookmark> {
    source
        .bookmarks
        .iter()
        .filter(|bookmark| bookmark.guid == guid)
        .min_by_key(|bookmark| {
            let marker = Marker::parse(bookmark.name.bookmark());
            let own = marker.is_some_and(|marker| Some(&marker.target) == id);
            (!own, &bookmark.name)
        })
}

fn no_base(source: &Dataset, target: &Dataset, newest: &Snapshot) -> Refusal {
    let known: HashSet<Guid> = source
        .snapshots
        .iter()
        .map(|snapshot| snapshot.guid)
        .chain(source.bookmarks.iter().map(|bookmark| bookmark.guid))
        .collect();
    let by_age = target.snapshots_by_age();
    let last_common = by_age
        .iter()
        .rposition(|snapshot| known.contains(&snapshot.guid));
    match last_common.and_then(|index| by_age.split_at_checked(index + 1)) {
        Some((common, after)) => Refusal::Diverged {
            common: common
                .last()
                .map_or(&newest.name, |last| &last.name)
                .clone(),
            target_only: after.iter().map(|snapshot| snapshot.name.clone()).collect(),
        },
        None => Refusal::Unrelated {
            newest: newest.name.clone(),
        },
    }
}

/// What the target lacks, the oldest first, and what of it cannot be sent.
pub(super) fn missing(
    source: &Dataset,
    target: Option<&Dataset>,
    after: Option<Txg>,
    wanted: impl Fn(&Snapshot) -> bool,
) -> (Vec<Snapshot>, Vec<Refusal>) {
    let mut by_name: HashMap<&str, Guid> = HashMap::new();
    let mut there: HashSet<Guid> = HashSet::new();
    for snapshot in target.iter().flat_map(|target| &target.snapshots) {
        by_name.insert(snapshot.name.snapshot(), snapshot.guid);
        there.insert(snapshot.guid);
    }
    let mut send = Vec::new();
    let mut refused = Vec::new();
    for snapshot in source.snapshots_by_age() {
        let old = after.is_some_and(|after| snapshot.createtxg <= after);
        if old || there.contains(&snapshot.guid) || !wanted(snapshot) {
            continue;
        }
        match by_name.get(snapshot.name.snapshot()) {
            Some(guid) => refused.push(Refusal::SnapshotNameTaken {
                snapshot: snapshot.name.clone(),
                taken_by: *guid,
            }),
            None => send.push(snapshot.clone()),
        }
    }
    (send, refused)
}
