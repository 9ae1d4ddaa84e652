//! ZFS from Rust: datasets, snapshots, bookmarks, holds, send, receive, keys and properties, without the zfs command.

mod error;
pub mod name;

pub use error::{Error, NameProblem};
pub use name::{BookmarkName, DatasetName, Guid, PoolName, SnapshotName, Txg};
