#![doc = include_str!("../README.md")]

mod begin;
mod bookmark;
mod cancel;
mod clone;
mod create;
mod delegation;
mod destroy;
mod diff;
pub mod error;
mod ffi;
pub mod functions;
mod given;
pub mod guide;
mod history;
mod hold;
mod key;
mod list;
mod many;
mod mount;
pub mod name;
mod pool;
mod program;
mod progress;
mod property;
mod pump;
mod receive;
mod redact;
mod rename;
mod resume;
mod rollback;
mod send;
mod snapshot;
mod space;
mod version;
mod volume;
mod zfs;

pub use begin::BeginRecord;
pub use bookmark::Bookmark;
pub use cancel::{Cancel, CancelReader};
pub use create::CreateRequest;
pub use delegation::{Delegation, Grant, Grantee, Scope};
pub use destroy::Defer;
pub use diff::{Diff, DiffTarget, Difference, FileKind, FileState};
pub use error::{
    Errno, Error, ErrorKind, Failure, NameProblem, Operation, ProgramProblem, Result, StreamProblem,
};
pub use hold::{Hold, SnapshotHolds, TemporaryHolds};
pub use key::{
    Cipher, Encryption, EncryptionState, IvSet, Key, KeyFormat, KeyLocation, WRAPPING_KEY_BYTES,
    WrappingKey,
};
pub use list::{
    BookmarkEntry, Dataset, DatasetKind, DatasetKinds, Datasets, Details, Entry, EntryKinds, Glob,
    Kept, KeyStatus, ListCache, ListDatasets, ListOrder, ListRequest, ListSnapshots, Listing,
    Snapshot, SnapshotEntry, Snapshots,
};
pub use mount::{Mount, MountProblem, MountRequest, Mounted, MountedAll, Mounts, UnmountFlags};
pub use name::{BookmarkName, DatasetName, Guid, PoolName, SnapshotName, SnapshotOrBookmark, Txg};
pub use pool::{
    Activity, DeviceActivity, DeviceActivityState, ErrorScrub, FilesystemActivity, Health,
    InitializeRequest, Pool, PoolError, PoolProperties, PoolState, PoolStatus, PoolSync, Pools,
    PruneDedup, Reopen, Scan, ScanKind, ScanState, ScrubKind, TrimRequest, Vdev, VdevErrors,
    VdevKind, VdevProblem, VdevProperties,
};
pub use program::ChannelProgram;
pub use progress::SendProgress;
pub use property::{
    DatasetProperties, NativeProperty, Properties, Property, PropertyError, PropertyValue, Source,
    Unit,
};
pub use receive::{ReceiveRequest, Received};
pub use redact::Redaction;
pub use resume::ResumeToken;
pub use send::{SendFlags, SendRequest, stream_pipe};
pub use space::SpaceOf;
pub use version::Version;
pub use volume::VolumeLayout;
pub use zfs::{Name, Zfs};
