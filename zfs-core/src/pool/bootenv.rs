//! What a pool keeps for boot loaders, in the labels of its devices.

use zfs_stream::nvlist::NvList;

use crate::error::{Error, Operation};
use crate::name::PoolName;
use crate::zfs::Zfs;

impl Zfs {
    /// Reads what a pool keeps for boot loaders: a list with at least its
    /// `version`, which is 1 where the rest are pairs and 0 where it is text.
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`]: there is no such pool ([`Error::is_not_found`]).
    pub fn bootenv(&self, pool: &PoolName) -> Result<NvList, Error> {
        self.lzc
            .get_bootenv(pool.as_str())
            .map_err(|error| error.on(Operation::GetBootenv, pool.as_str()))
    }

    /// Replaces what a pool keeps for boot loaders, on all of its devices.
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`]: the list has no `version` that ZFS knows (a 64-bit
    /// number, 1 for pairs), or is larger than its place, some 100 KiB.
    pub fn set_bootenv(&self, pool: &PoolName, list: &NvList) -> Result<(), Error> {
        self.lzc
            .set_bootenv(pool.as_str(), list)
            .map_err(|error| error.on(Operation::SetBootenv, pool.as_str()))
    }
}
