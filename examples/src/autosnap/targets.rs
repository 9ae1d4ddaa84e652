//! The targets of a dataset, by the markers that stand on it.

use zfs_replicate::marker::Marker;
use zfs_retention::{Guid, Target, Txg};

/// The target that a bookmark is the marker of, if it is one that tells the
/// truth. What is younger than its marker a target still has to get.
pub fn target(bookmark: &str, guid: Guid, createtxg: Txg) -> Option<Target> {
    let marker = Marker::parse(bookmark)?;
    let truthful = marker.guid.0 == guid.0;
    truthful.then(|| {
        Target::new(marker.target.as_str())
            .marker(guid, createtxg)
            .required()
    })
}
