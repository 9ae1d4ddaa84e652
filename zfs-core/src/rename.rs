//! Renaming.

use crate::error::{Error, Operation};
use crate::mount::{Mounts, UnmountFlags};
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
    /// be unmounted, or is shared over the network, and then nothing is
    /// changed; or where it cannot be mounted again.
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
        self.rename_unmounting(from, to, mounts, UnmountFlags::empty())
    }

    /// As [`Zfs::rename_with`], with what has to be unmounted unmounted that
    /// way (`zfs rename -f`).
    ///
    /// # Errors
    ///
    /// As [`Zfs::rename`].
    pub fn rename_unmounting(
        &self,
        from: &DatasetName,
        to: &DatasetName,
        mounts: Mounts,
        flags: UnmountFlags,
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
            Mounts::Follow => self.rename_following(from, to, flags, rename),
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
        same_dataset(from, to)?;
        self.lzc()?
            .rename(from.as_str(), to.as_str())
            .map_err(|error| error.on(Operation::Rename, from.as_str()))
    }

    /// Gives the snapshots of that name on the dataset and on everything below
    /// it another one, all of them or none (`zfs rename -r`). What is below
    /// and has no snapshot of that name is passed over.
    ///
    /// libzfs_core has no function for it; the request is older than that.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] where `to` is on another dataset;
    /// [`Error::Zfs`]: the snapshot itself does not exist, or the new name is
    /// taken on one of the datasets.
    ///
    /// # Example
    ///
    /// ```no_run
    /// use zfs_core::Zfs;
    ///
    /// let zfs = Zfs::open()?;
    /// let (from, to) = ("tank@monday".parse()?, "tank@old".parse()?);
    /// zfs.rename_snapshots_recursively(&from, &to)?;
    /// # Ok::<(), zfs_core::Error>(())
    /// ```
    pub fn rename_snapshots_recursively(
        &self,
        from: &SnapshotName,
        to: &SnapshotName,
    ) -> Result<(), Error> {
        same_dataset(from, to)?;
        self.device
            .rename_recursively(from.as_str(), to.as_str())
            .map_err(|error| error.on(Operation::Rename, from.as_str()))
    }
}

fn same_dataset(from: &SnapshotName, to: &SnapshotName) -> Result<(), Error> {
    if from.dataset() == to.dataset() {
        return Ok(());
    }
    Err(Error::invalid(
        Operation::Rename,
        from.as_str(),
        format!("{to} would be on another dataset, and a snapshot stays on its own"),
    ))
}
