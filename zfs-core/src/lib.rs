//! ZFS from Rust: datasets, snapshots, bookmarks, holds, send, receive, keys and properties, without the zfs command.

mod begin;
mod bookmark;
mod clone;
mod create;
mod destroy;
pub mod error;
mod ffi;
mod hold;
mod key;
mod many;
pub mod name;
mod property;
mod receive;
mod rename;
mod rollback;
mod send;
mod snapshot;
mod zfs;

pub use begin::BeginRecord;
pub use bookmark::Bookmark;
pub use create::CreateRequest;
pub use destroy::Defer;
pub use error::{Errno, Error, ErrorKind, Failure, NameProblem, Operation, Result, StreamProblem};
pub use hold::{Hold, TemporaryHolds};
pub use key::{Cipher, Encryption, KeyLocation, WRAPPING_KEY_BYTES, WrappingKey};
pub use name::{BookmarkName, DatasetName, Guid, PoolName, SnapshotName, SnapshotOrBookmark, Txg};
pub use property::{Properties, PropertyValue};
pub use receive::{PropertyError, ReceiveRequest, Received};
pub use send::{SendFlags, SendRequest, stream_pipe};
pub use zfs::{Name, Zfs};
