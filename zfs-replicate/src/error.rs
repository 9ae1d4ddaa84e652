//! What can go wrong, in sentences.

use std::io;

use zfs_core::{DatasetName, Errno, Guid, SnapshotName};

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
    /// The source would be part of its own target.
    #[error(
        "cannot replicate {source_root} to {target_root}: the source lies in the target; choose a \
         dataset that {source_root} is not in"
    )]
    SourceInsideTarget {
        /// The top of the source's tree.
        source_root: DatasetName,
        /// The top of the target's tree.
        target_root: DatasetName,
    },
    /// There is no connection.
    #[error("cannot connect to {host}: {problem}")]
    Connect {
        /// The other end.
        host: String,
        /// What is in the way.
        problem: String,
    },
    /// A command at the other end did not do what it should.
    #[error("`{command}` failed on {host}: {problem}")]
    Remote {
        /// The other end.
        host: String,
        /// The command.
        command: String,
        /// What it said.
        problem: String,
    },
    /// What was to be received is no stream that ZFS sends.
    #[error("cannot receive the stream: {problem}")]
    Package {
        /// What is wrong with it.
        problem: String,
    },
    /// The connection ended while a command ran at the other end.
    #[error(
        "`{command}` failed on {host}: {problem} (the connection was lost; run again to go on)"
    )]
    Lost {
        /// The other end.
        host: String,
        /// The command.
        command: String,
        /// What was said.
        problem: String,
    },
    /// The other end listed what ZFS would not list.
    #[error("{host} does not say what ZFS would say about {what}: {problem}; nothing was changed")]
    Listing {
        /// The other end.
        host: String,
        /// What was asked about.
        what: String,
        /// What is wrong with the answer.
        problem: String,
    },
    /// ZFS refused.
    #[error(transparent)]
    Zfs(#[from] zfs_core::Error),
    /// The caller wanted it to stop.
    #[error(
        "the transfer of {snapshot} to {target} was stopped on request; what the target has of \
         it is kept, and the next run goes on from there"
    )]
    Cancelled {
        /// What was being sent.
        snapshot: SnapshotName,
        /// Where to.
        target: DatasetName,
    },
    /// What the source sends is not what the plan saw there.
    #[error("{snapshot} was destroyed on the source since it was listed; run again")]
    Destroyed {
        /// The snapshot on the source.
        snapshot: SnapshotName,
    },
    /// What arrived is not what was meant to.
    #[error(
        "{snapshot} arrived with GUID {found} instead of {expected}, so it is not the snapshot \
         that was to be sent; no marker was moved"
    )]
    WrongSnapshot {
        /// The snapshot on the target.
        snapshot: SnapshotName,
        /// The GUID on the source.
        expected: Guid,
        /// The GUID on the target.
        found: Guid,
    },
    /// There is no interrupted receive to give up, although the plan saw one.
    #[error(
        "cannot give up the interrupted receive into {dataset}: there is none any more; \
         run again"
    )]
    NothingPartial {
        /// The dataset on the target.
        dataset: DatasetName,
    },
    /// Between the plan and its execution something was done to a dataset
    /// that was to lose something.
    #[error(
        "{dataset} was not touched: it no longer has just the snapshots that were planned to go; \
         run again"
    )]
    Changed {
        /// The dataset on the target.
        dataset: DatasetName,
    },
    /// Something above it could not be made.
    #[error("cannot replicate to {target}: {parent}, above it, could not be made")]
    ParentFailed {
        /// The dataset on the target.
        target: DatasetName,
        /// What is missing.
        parent: DatasetName,
    },
    /// Something that was to be made before could not be.
    #[error(
        "{target}, which the source no longer has, is kept this time, since {missing} could not \
         be made"
    )]
    NotRetired {
        /// The dataset on the target.
        target: DatasetName,
        /// What is missing.
        missing: DatasetName,
    },
    /// What a clone is promoted from has failed.
    #[error(
        "{target} was not promoted: what it is a clone of could not be brought up to date, and \
         would be left without a snapshot; run again"
    )]
    NotPromoted {
        /// The clone on the target.
        target: DatasetName,
    },
    /// The streams arrived, and the source could not be told so.
    #[error(
        "what was sent of {dataset} has arrived, but its marker is wanting: {source}; until a run \
         can put it right, the source's newest snapshot that the target has must stay"
    )]
    NotMarked {
        /// The dataset of the source.
        dataset: DatasetName,
        /// What stands in the way of the marker.
        source: Box<Error>,
    },
    /// The streams arrived, and what was to be set on the dataset could not be.
    #[error(
        "what was sent has arrived, but {dataset} has not the properties that it was to have: \
         {problems}"
    )]
    NotSet {
        /// The dataset on the target.
        dataset: DatasetName,
        /// Each property, with what ZFS said.
        problems: String,
    },
    /// The other end runs one command whatever it is asked, and that is not it.
    #[error("`{what}` cannot be had from {host}, which runs one command whatever it is asked")]
    Forced {
        /// The other end.
        host: String,
        /// What would have to be done there.
        what: String,
    },
    /// Whoever was to receive it has stopped.
    #[error("nobody reads the stream of {snapshot} any more")]
    NobodyReads {
        /// What was being sent.
        snapshot: SnapshotName,
    },
    /// The system has no pipe for a stream.
    #[error("cannot make a pipe for the stream of {snapshot}: {source}")]
    Pipe {
        /// What was to be sent.
        snapshot: SnapshotName,
        /// What the system said.
        source: io::Error,
    },
    /// What was sent is not a stream that ZFS makes.
    #[error(
        "the stream of {snapshot} is damaged: {source}; the target has kept what came before, \
         and the next run goes on from there"
    )]
    Damaged {
        /// What was being sent.
        snapshot: SnapshotName,
        /// What is wrong.
        source: io::Error,
    },
    /// The copy of the stream that was asked for cannot be written.
    #[error("cannot keep a copy of the stream of {snapshot}: {source}; the transfer was stopped")]
    Tap {
        /// What was being sent.
        snapshot: SnapshotName,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn package(problem: String) -> Error {
        Error::Package { problem }
    }

    /// Whether the same, planned anew, may well succeed a little later: a
    /// connection was lost or could not be made, a dataset is busy, a call was
    /// interrupted, a stream was damaged on its way, or something is no longer
    /// as it was when the plan was made, since others create and destroy
    /// snapshots meanwhile.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Connect { .. }
            | Error::Lost { .. }
            | Error::Damaged { .. }
            | Error::Destroyed { .. }
            | Error::WrongSnapshot { .. }
            | Error::NothingPartial { .. }
            | Error::Changed { .. } => true,
            Error::NotMarked { source, .. } => source.is_transient(),
            Error::Remote { problem, .. } => {
                problem.contains("dataset is busy") || problem.contains("does not exist")
            }
            Error::Zfs(error) => error.is_busy() || error.is_interrupted() || error.is_not_found(),
            _ => false,
        }
    }

    /// Whether the target was written to since its youngest snapshot, so that
    /// no increment goes onto it before it is taken back.
    pub fn is_written_to(&self) -> bool {
        match self {
            Error::Zfs(zfs_core::Error::Zfs(failure)) => failure.errno == Errno::ETXTBSY,
            Error::Remote { problem, .. } => problem.contains("has been modified"),
            _ => false,
        }
    }
}
