//! What was attempted.

use std::fmt;

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident = $words:literal, $permission:expr;)*) => {
        /// What was attempted, in zfs(8)'s words.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[non_exhaustive]
        pub enum Operation {
            $($(#[$doc])* $name,)*
        }

        impl Operation {
            /// What it is called in "cannot … NAME".
            pub(crate) fn words(self) -> &'static str {
                match self {
                    $(Operation::$name => $words,)*
                }
            }

            /// What zfs-allow(8) would have to grant for it.
            pub(crate) fn permission(self) -> Option<&'static str> {
                match self {
                    $(Operation::$name => $permission,)*
                }
            }
        }
    };
}

operations! {
    /// Listing datasets, snapshots or pools.
    List = "list", None;
    /// Reading properties.
    GetProperties = "read the properties of", None;
    /// Setting properties.
    SetProperty = "set properties of", None;
    /// Giving a property back to inheritance.
    InheritProperty = "inherit properties on", None;
    /// Reading the properties of a device of a pool.
    GetVdevProperties = "read the properties of a device of pool", None;
    /// Setting properties of a device of a pool.
    SetVdevProperties = "set properties of a device of pool", None;
    /// Reading the state of a pool.
    PoolStatus = "read the state of pool", None;
    /// Creating a filesystem or volume.
    Create = "create", Some("create,mount");
    /// Taking snapshots.
    Snapshot = "snapshot", Some("snapshot");
    /// Destroying a filesystem or volume.
    Destroy = "destroy", Some("destroy,mount");
    /// Destroying snapshots.
    DestroySnapshots = "destroy", Some("destroy,mount");
    /// Placing holds on snapshots.
    Hold = "hold", Some("hold");
    /// Releasing holds.
    Release = "release", Some("release");
    /// Reading the holds of a snapshot.
    GetHolds = "read the holds of", None;
    /// Making bookmarks.
    Bookmark = "bookmark", Some("bookmark");
    /// Listing the bookmarks of a dataset.
    GetBookmarks = "list the bookmarks of", None;
    /// Destroying bookmarks.
    DestroyBookmarks = "destroy", Some("destroy");
    /// Cloning a snapshot.
    Clone = "clone", Some("clone,create,mount");
    /// Promoting a clone.
    Promote = "promote", Some("promote,mount");
    /// Renaming.
    Rename = "rename", Some("rename,create,mount");
    /// Rolling back to a snapshot.
    Rollback = "roll back", Some("rollback,mount");
    /// Mounting.
    Mount = "mount", None;
    /// Unmounting.
    Unmount = "unmount", None;
    /// Loading an encryption key.
    LoadKey = "load the key of", Some("load-key");
    /// Unloading an encryption key.
    UnloadKey = "unload the key of", Some("load-key");
    /// Changing an encryption key.
    ChangeKey = "change the key of", Some("change-key");
    /// Making a redaction bookmark.
    Redact = "redact", None;
    /// Computing the space of a range of snapshots.
    SnapshotRangeSpace = "compute the space of the snapshots to", None;
    /// Sending a stream.
    Send = "send", Some("send");
    /// Estimating the size of a stream.
    SendSpace = "estimate the size of sending", Some("send");
    /// Asking how far a send has come.
    SendProgress = "read the progress of sending", None;
    /// Writing a pool's pending changes out.
    Sync = "sync the pool", None;
    /// Opening a pool's devices again.
    Reopen = "reopen the devices of pool", None;
    /// Taking a pool's checkpoint.
    Checkpoint = "checkpoint the pool", None;
    /// Giving a pool's checkpoint up.
    DiscardCheckpoint = "discard the checkpoint of pool", None;
    /// Starting or stopping to initialize devices.
    Initialize = "initialize", None;
    /// Starting or stopping to trim devices.
    Trim = "trim", None;
    /// Waiting until something in a pool has come to its end.
    Wait = "wait for activity in pool", None;
    /// Waiting until the deleted files of a filesystem are freed.
    WaitFilesystem = "wait for the delete queue of", None;
    /// Reading what a pool keeps for boot loaders.
    GetBootenv = "read the boot environment of pool", None;
    /// Writing what a pool keeps for boot loaders.
    SetBootenv = "set the boot environment of pool", None;
    /// Starting a scrub.
    Scrub = "scrub the pool", None;
    /// Pausing a scrub.
    PauseScrub = "pause the scrub of pool", None;
    /// Ending a scrub.
    StopScrub = "stop the scrub of pool", None;
    /// Loading a pool's metadata ahead of its use.
    Prefetch = "prefetch the deduplication table of pool", None;
    /// Pruning a pool's deduplication table.
    PruneDedupTable = "prune the deduplication table of pool", None;
    /// Writing a line into the history of a pool.
    LogHistory = "log", None;
    /// Running a channel program.
    Program = "run a channel program on pool", None;
    /// Reading what is delegated.
    GetAllow = "read what is allowed on", None;
    /// Finding what changed.
    Diff = "find the differences up to", Some("diff");
    /// Receiving a stream.
    Receive = "receive", Some("receive,create,mount");
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}
