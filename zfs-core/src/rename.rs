//! Renaming.

use crate::error::{Error, Operation};
use crate::mount::Mounts;
use crate::name::{DatasetName, SnapshotName};
use crate::zfs::Zfs;

impl Zfs {
    /// Gives a dataset another name in the same pool, with everything below
    /// it.
    ///
    /// What is mounted of it follows: it is unmounted, children first, and
    /// mounted again where the new name has it.
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`]: the new name is taken, is below the old one, or what is
    /// to be above it does not exist. [`Error::Mount`] where something cannot
    /// be unmounted, and then nothing is changed, or cannot be mounted again.
    pub fn rename(&self, from: &DatasetName, to: &DatasetName) -> Result<(), Error> {
        self.rename_with(from, to, Mounts::Follow)
    }

    /// As [`Zfs::rename`]; with [`Mounts::Leave`] what is mounted stays mounted
    /// where it is (`zfs rename -u`).
    ///
    /// # Errors
    ///
    /// As [`Zfs::rename`].
    pub fn rename_with(
        &self,
        from: &DatasetName,
        to: &DatasetName,
        mounts: Mounts,
    ) -> Result<(), Error> {
        // The kernel answers this with EXDEV or ENOENT, as versions go.
        if from.pool() != to.pool() {
            return Err(Error::invalid(
                Operation::Rename,
                from.as_str(),
                format!("{to} is in another pool; send and receive copies between pools"),
            ));
        }
        let rename = || {
            self.lzc()?
                .rename(from.as_str(), to.as_str())
                .map_err(|error| error.on(Operation::Rename, from.as_str()))
        };
        match mounts {
            Mounts::Follow => self.rename_following(from, to, rename),
            Mounts::Leave => rename(),
        }
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
        self.lzc()?
            .rename(from.as_str(), to.as_str())
            .map_err(|error| error.on(Operation::Rename, from.as_str()))
    }
}
