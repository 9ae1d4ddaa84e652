//! Whose a dataset of the target is that the source does not have.
//!
//! Where the source's dataset is gone, so are its snapshots and bookmarks, and
//! nothing there tells what it was. So a replica says it itself, in a property
//! ([`REPLICA_PROPERTY`]): the target's name, and the GUID of the source's
//! topmost dataset, since the targets of two sources may have one name and lie
//! in each other. It counts only where it was set on the dataset itself, since
//! what is below a replica inherits it.

use std::collections::HashMap;
use std::hash::BuildHasher;

use zfs_core::{DatasetName, Guid};

use crate::marker::TargetId;
use crate::properties::{Properties, REPLICA_PROPERTY};
use crate::tree::Tree;

/// Whose a dataset of the target is, as far as it says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Provenance {
    /// It does not say, or is another source's.
    #[default]
    Unknown,
    /// It was received as a replica.
    Replica,
    /// It was made as an empty, unmounted parent of replicas.
    Parent,
}

/// What says of a replica whose it is.
pub(crate) fn signature(id: &TargetId, source: Guid) -> String {
    format!("{id} {source}")
}

/// What the datasets of a target say about a source, by their GUIDs, from what
/// was set on them as [`Endpoint::properties`](crate::endpoint::Endpoint::properties)
/// lists it.
pub fn provenance<S: BuildHasher>(
    source: &Tree,
    target: &Tree,
    set: &HashMap<DatasetName, Properties, S>,
    id: &TargetId,
) -> HashMap<Guid, Provenance> {
    let top = source.get(&source.root);
    let signature = top.map(|top| signature(id, top.guid));
    let datasets = target.datasets.iter();
    datasets
        .map(|dataset| {
            let own = set.get(&dataset.name);
            let is = |name: &str, value: &str| {
                own.and_then(|own| own.get(name))
                    .is_some_and(|set| set == value)
            };
            let is_signed = signature
                .as_deref()
                .is_some_and(|own| is(REPLICA_PROPERTY, own));
            let provenance = if is_signed {
                Provenance::Replica
            } else if is("canmount", "off") && is("readonly", "on") && dataset.snapshots.is_empty()
            {
                Provenance::Parent
            } else {
                Provenance::Unknown
            };
            (dataset.guid, provenance)
        })
        .collect()
}
