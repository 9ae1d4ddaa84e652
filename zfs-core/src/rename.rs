//! Renaming.

use crate::error::{Error, Operation};
use crate::name::{DatasetName, SnapshotName};
use crate::zfs::Zfs;

impl Zfs {
    /// Gives a dataset another name in the same pool, with everything below
    /// it.
    ///
    /// Mounted filesystems stay mounted where they are; unlike zfs-rename(8)
    /// this does not remount them under an inherited mountpoint that changes
    /// with the name.
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`]: the new name is taken, is below the old one, or what is
    /// to be above it does not exist.
    pub fn rename(&self, from: &DatasetName, to: &DatasetName) -> Result<(), Error> {
        // The kernel answers this with EXDEV or ENOENT, as versions go.
        if from.pool() != to.pool() {
            return Err(Error::invalid(
                Operation::Rename,
                from.as_str(),
                format!("{to} is in another pool; send and receive copies between pools"),
            ));
        }
        self.lzc
            .rename(from.as_str(), to.as_str())
            .map_err(|error| error.on(Operation::Rename, from.as_str()))
    }

    /// Gives a snapshot another name on the same dataset.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] where `to` is on another dataset;
    /// [`Error::Zfs`]: the snapshot does not exist, or the new name is taken.
    pub fn rename_snapshot(&self, from: &SnapshotName, to: &SnapshotName) -> Result<(), Error> {
        if from.dataset() != to.dataset() {
            return Err(Error::invalid(
                Operation::Rename,
                from.as_str(),
                format!("{to} would be on another dataset, and a snapshot stays on its own"),
            ));
        }
        self.lzc
            .rename(from.as_str(), to.as_str())
            .map_err(|error| error.on(Operation::Rename, from.as_str()))
    }
}
