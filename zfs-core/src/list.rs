//! Listing datasets and snapshots, straight from the kernel.
//!
//! ```text
//! DATASET_LIST_NEXT | SNAPSHOT_LIST_NEXT -> zfs_cmd -> Dataset | Snapshot, one at a time
//! ```
//!
//! Every entry is one request, and none is made before the iterator is asked
//! for it. Entries come in the order in which ZFS keeps them, which is none
//! that means anything: sort by name, or snapshots by `createtxg`.
//!
//! The kernel ends the listing of a dataset that does not exist with the same
//! number as any other listing. So where a listing ends, it is asked whether
//! the dataset is (still) there: one that is missing, or was destroyed or
//! renamed on the way, is an error and not a short list.

mod cache;
mod dataset;
mod entries;
mod gather;
mod glob;
mod listing;
mod request;
mod snapshot;
mod step;
mod threads;

pub use cache::{Kept, ListCache};
pub use dataset::{Dataset, DatasetKind, DatasetKinds, Datasets, KeyStatus, ListDatasets};
pub use glob::Glob;
pub use listing::Listing;
pub use request::{
    BookmarkEntry, Details, Entry, EntryKinds, ListOrder, ListRequest, SnapshotEntry,
};
pub use snapshot::{ListSnapshots, Snapshot, Snapshots};

use zfs_sys::ZfsCmd;

use crate::error::{Error, Operation};
use crate::ffi::CallError;
use crate::ffi::ioctl::{Device, answer};
use crate::property::DatasetProperties;

/// A name from the kernel, which cannot be one of this crate's.
fn odd(parent: &str, reason: impl std::fmt::Display) -> Error {
    Error::UnexpectedAnswer {
        operation: Operation::List,
        name: parent.to_owned(),
        reason: reason.to_string(),
    }
}

/// The name of an entry as the kernel gave it.
fn entry_name<N>(parent: &str, bytes: &[u8]) -> Result<N, Error>
where
    N: std::str::FromStr<Err = Error>,
{
    std::str::from_utf8(bytes)
        .map_err(|error| odd(parent, error))?
        .parse()
        .map_err(|error| odd(parent, error))
}

/// The properties that came with an entry, where they were asked for.
fn properties_of(
    device: &Device,
    name: &str,
    cmd: &ZfsCmd,
    asked: bool,
) -> Result<Option<DatasetProperties>, Error> {
    if !asked {
        return Ok(None);
    }
    let list = answer(cmd).map_err(|error| list_error(error, name))?;
    Ok(Some(DatasetProperties::new(name, device.version(), list)))
}

fn list_error(error: CallError, name: &str) -> Error {
    error.on(Operation::List, name)
}
