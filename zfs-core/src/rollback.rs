//! Going back to a snapshot.

use crate::error::{Error, Operation};
use crate::name::{DatasetName, SnapshotName};
use crate::zfs::Zfs;

impl Zfs {
    /// Takes a dataset back to its latest snapshot, and says which that was.
    /// All that was written since is lost.
    ///
    /// A mounted filesystem stays mounted. Another snapshot may be taken at
    /// the same moment; [`Zfs::rollback_to`] names the one that is meant.
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`]: it does not exist or has no snapshot.
    pub fn rollback(&self, dataset: &DatasetName) -> Result<SnapshotName, Error> {
        let latest = self
            .lzc()?
            .rollback(dataset.as_str())
            .map_err(|error| error.on(Operation::Rollback, dataset.as_str()))?;
        latest.parse()
    }

    /// Takes a dataset back to this snapshot, which must be its latest. All
    /// that was written since is lost.
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`]: the snapshot does not exist, or there are newer
    /// snapshots or bookmarks.
    pub fn rollback_to(&self, snapshot: &SnapshotName) -> Result<(), Error> {
        self.lzc()?
            .rollback_to(snapshot.dataset().as_str(), snapshot.as_str())
            .map_err(|error| error.on(Operation::Rollback, snapshot.as_str()))
    }
}
