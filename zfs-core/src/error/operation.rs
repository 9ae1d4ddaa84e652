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
    /// Receiving a stream.
    Receive = "receive", Some("receive,create,mount");
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}
