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
        self.lzc()?
            .get_bootenv(pool.as_str())
            .map_err(|error| error.on(Operation::GetBootenv, pool.as_str()))
    }

    /// Replaces what a pool keeps for boot loaders, on all of its devices.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`]: the list has no `version` that ZFS knows (a
    /// 64-bit number, 1 for pairs). [`Error::Zfs`]: it is larger than its
    /// place, some 100 KiB, or there is no such pool.
    pub fn set_bootenv(&self, pool: &PoolName, list: &NvList) -> Result<(), Error> {
        // The kernel refuses it as well, but loses memory over it.
        if !matches!(list.get_u64("version"), Some(0 | 1)) {
            return Err(Error::invalid(
                Operation::SetBootenv,
                pool.as_str(),
                "a boot environment has a version, the 64-bit number 0 or 1",
            ));
        }
        self.lzc()?
            .set_bootenv(pool.as_str(), list)
            .map_err(|error| error.on(Operation::SetBootenv, pool.as_str()))
    }
}
