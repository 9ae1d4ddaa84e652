//! A way through the crate, in whole programs.
//!
//! They are compiled whenever the documentation is tested, and run on real
//! pools by `cargo xtask test`: `tank` with the datasets `home` and `mail`,
//! and `vault`, which is empty.
//!
//! A [`Zfs`](crate::Zfs) is a handle that can be cloned and used from many
//! threads. Names are types: a [`DatasetName`](crate::DatasetName) can be a
//! dataset's name, and nothing else can be passed for one. Everything is done
//! when the call returns.
//!
//! # Snapshots
//!
//! Calls on many names do all or nothing, and their errors tell of each.
//!
//! ```no_run
#![doc = include_str!("../tests/doc/snapshots.rs")]
//! ```
//!
//! # Lists
//!
//! [`Zfs::list`](crate::Zfs::list) is an iterator over datasets, snapshots and
//! bookmarks; [`Zfs::dataset`](crate::Zfs::dataset) and
//! [`Zfs::snapshot_entry`](crate::Zfs::snapshot_entry) read one. What is asked
//! for decides how long it takes: see [`Details`](crate::Details), and
//! [`ListCache`](crate::ListCache) for what did not change.
//!
//! ```no_run
#![doc = include_str!("../tests/doc/listing.rs")]
//! ```
//!
//! # Properties
//!
//! Numbers are bytes; words are ZFS' own. What is read tells where it comes
//! from.
//!
//! ```no_run
#![doc = include_str!("../tests/doc/properties.rs")]
//! ```
//!
//! # Holds
//!
//! ```no_run
#![doc = include_str!("../tests/doc/holds.rs")]
//! ```
//!
//! # Sending and receiving
//!
//! A stream goes from one call into the other through a pipe; each runs in a
//! thread of its own.
//!
//! ```no_run
#![doc = include_str!("../tests/doc/replication.rs")]
//! ```
//!
//! # Errors
//!
//! ```no_run
#![doc = include_str!("../tests/doc/errors.rs")]
//! ```

#[cfg(test)]
mod tests {
    /// The files are included both here and there, so they are the same text;
    /// this is about none being forgotten.
    #[test]
    fn every_program_is_shown_and_run() {
        let (here, there) = (
            include_str!("guide.rs"),
            include_str!("../tests/zfs_doc_examples.rs"),
        );
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc");
        let mut count = 0;
        for file in std::fs::read_dir(folder).expect("the folder") {
            let name = file.expect("a file").file_name();
            let name = name.to_str().expect("text");
            let shown = format!("#![doc = include_str!(\"../tests/doc/{name}\")]");
            assert!(here.contains(&shown), "{name} is not shown");
            assert!(
                there.contains(&format!("\"doc/{name}\"")),
                "{name} is not run"
            );
            count += 1;
        }
        assert!(count >= 5);
    }
}
