//! ZFS from Rust: datasets, snapshots, bookmarks, holds, send, receive, keys and properties, without the zfs command.
