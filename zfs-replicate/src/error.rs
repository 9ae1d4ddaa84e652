//! What can go wrong, in sentences.

use zfs_core::DatasetName;

/// Why a replication could not be planned or carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such dataset to replicate.
    #[error("cannot replicate {dataset}: there is no such dataset on the source")]
    SourceMissing {
        /// The top of the source's tree.
        dataset: DatasetName,
    },
    /// There is no pool to replicate to.
    #[error(
        "cannot replicate to {dataset}: there is no pool {pool:?} on the target (zpool import {pool})"
    )]
    TargetPoolMissing {
        /// The top of the target's tree.
        dataset: DatasetName,
        /// The pool that its name begins with.
        pool: String,
    },
    /// Each run would replicate what the last one made, without end.
    #[error(
        "cannot replicate {source_root} to {target_root}: the target is the source or lies in it; \
         choose a dataset outside {source_root}"
    )]
    TargetInsideSource {
        /// The top of the source's tree.
        source_root: DatasetName,
        /// The top of the target's tree.
        target_root: DatasetName,
    },
}
