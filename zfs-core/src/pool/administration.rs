//! `zpool sync`, `reopen` and `checkpoint`.

use zfs_stream::nvlist::NvList;

use crate::error::{Error, Operation};
use crate::ffi::CallError;
use crate::name::PoolName;
use crate::zfs::Zfs;

/// How much a sync writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PoolSync {
    /// Everything that has not been written yet, as `zpool sync`.
    #[default]
    Changes,
    /// And the labels of all devices anew.
    ChangesAndLabels,
}

/// What becomes of a scrub that is running when devices are opened again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reopen {
    /// It begins anew where a device has come back, as with `zpool reopen`.
    #[default]
    RestartScrub,
    /// It goes on, as with `zpool reopen -n`.
    KeepScrub,
}

impl Zfs {
    /// Writes a pool's pending changes to its devices, and returns once they
    /// are there.
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`]: there is no such pool ([`Error::is_not_found`]), or it
    /// is suspended.
    pub fn sync(&self, pool: &PoolName, what: PoolSync) -> Result<(), Error> {
        let on = |error: CallError| error.on(Operation::Sync, pool.as_str());
        let mut arguments = NvList::new();
        arguments
            .insert("force", what == PoolSync::ChangesAndLabels)
            .map_err(|error| on(error.into()))?;
        self.lzc()?.sync(pool.as_str(), &arguments).map_err(on)
    }

    /// Closes and opens all devices of a pool, which finds out which of them
    /// have gone, come back, or grown.
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`]: there is no such pool ([`Error::is_not_found`]), or the
    /// user is not root.
    pub fn reopen(&self, pool: &PoolName, running_scrub: Reopen) -> Result<(), Error> {
        self.lzc()?
            .reopen(pool.as_str(), running_scrub == Reopen::RestartScrub)
            .map_err(|error| error.on(Operation::Reopen, pool.as_str()))
    }

    /// Takes a checkpoint of a pool: a state of all of it that `zpool import
    /// --rewind-to-checkpoint` goes back to. There is one at most, and space
    /// that is freed from then on stays taken until it is discarded.
    ///
    /// # Errors
    ///
    /// [`Error::is_exists`] where there is one already, [`Error::is_busy`]
    /// where the last is being discarded or a device removed.
    pub fn checkpoint(&self, pool: &PoolName) -> Result<(), Error> {
        self.lzc()?
            .pool_checkpoint(pool.as_str())
            .map_err(|error| error.on(Operation::Checkpoint, pool.as_str()))
    }

    /// Gives a pool's checkpoint up. The space comes back over time:
    /// [`Zfs::wait`] with [`Activity::DiscardCheckpoint`](crate::Activity)
    /// waits for it.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] where there is none.
    pub fn discard_checkpoint(&self, pool: &PoolName) -> Result<(), Error> {
        self.lzc()?
            .pool_checkpoint_discard(pool.as_str())
            .map_err(|error| error.on(Operation::DiscardCheckpoint, pool.as_str()))
    }
}
