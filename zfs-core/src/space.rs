//! Space by whom and since when it is used.

use crate::error::{Error, Operation};
use crate::ffi::CallError;
use crate::name::{PoolName, SnapshotOrBookmark};
use crate::zfs::{Name, Zfs};

/// Whose space, and whether what is used or what is allowed.
///
/// The numbers are the kernel's own (`zfs_userquota_prop_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SpaceOf {
    /// `userused@`
    UserUsed = 0,
    /// `userquota@`
    UserQuota = 1,
    /// `groupused@`
    GroupUsed = 2,
    /// `groupquota@`
    GroupQuota = 3,
    /// `userobjused@`
    UserObjectsUsed = 4,
    /// `userobjquota@`
    UserObjectsQuota = 5,
    /// `groupobjused@`
    GroupObjectsUsed = 6,
    /// `groupobjquota@`
    GroupObjectsQuota = 7,
    /// `projectused@`
    ProjectUsed = 8,
    /// `projectquota@`
    ProjectQuota = 9,
    /// `projectobjused@`
    ProjectObjectsUsed = 10,
    /// `projectobjquota@`
    ProjectObjectsQuota = 11,
}

impl SpaceOf {
    /// All of them, in the kernel's order.
    pub const ALL: [SpaceOf; 12] = [
        SpaceOf::UserUsed,
        SpaceOf::UserQuota,
        SpaceOf::GroupUsed,
        SpaceOf::GroupQuota,
        SpaceOf::UserObjectsUsed,
        SpaceOf::UserObjectsQuota,
        SpaceOf::GroupObjectsUsed,
        SpaceOf::GroupObjectsQuota,
        SpaceOf::ProjectUsed,
        SpaceOf::ProjectQuota,
        SpaceOf::ProjectObjectsUsed,
        SpaceOf::ProjectObjectsQuota,
    ];
}

impl Zfs {
    /// What a user, group or project of that number uses or may use in a
    /// filesystem: bytes, or objects; a quota of 0 is none.
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`]: it is no filesystem, does not count by user, or this
    /// user may not ask about others (zfs-allow(8): `userused`, `userquota`, …).
    pub fn space_of<N: Name>(&self, name: &N, what: SpaceOf, id: u32) -> Result<u64, Error> {
        self.device
            .space_of(name.as_ref(), what as u64, u64::from(id))
            .map_err(|error| error.on(Operation::GetProperties, name.as_ref()))
    }

    /// Bytes that are referenced now, or by a later snapshot, and were not by
    /// an earlier snapshot or bookmark of the same dataset (`written@`).
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`]: one of them does not exist, or they are unrelated.
    pub fn written_since<N: Name>(
        &self,
        name: &N,
        since: &SnapshotOrBookmark,
    ) -> Result<u64, Error> {
        self.device
            .space_written(name.as_ref(), since.as_str())
            .map_err(|error| error.on(Operation::GetProperties, name.as_ref()))
    }

    /// The folder that all mountpoints of a pool are in, where it was imported
    /// with one (`altroot`).
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`]: there is no such pool.
    pub fn altroot(&self, pool: &PoolName) -> Result<Option<String>, Error> {
        let properties = self.device.pool_properties(pool.as_str());
        let properties = properties.map_err(|error| on_pool(error, pool))?;
        let entry = properties.get_nvlist("altroot");
        let text = entry.and_then(|entry| entry.get_str("value"));
        Ok(text
            .filter(|text| !text.is_empty() && *text != "-")
            .map(str::to_owned))
    }

    /// Whether `zfs list` shows a pool's snapshots without being asked
    /// (`listsnapshots`).
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`]: there is no such pool.
    pub fn lists_snapshots(&self, pool: &PoolName) -> Result<bool, Error> {
        let properties = self.device.pool_properties(pool.as_str());
        let properties = properties.map_err(|error| on_pool(error, pool))?;
        let entry = properties.get_nvlist("listsnapshots");
        let number = entry.and_then(|entry| entry.get_u64("value"));
        Ok(number.is_some_and(|number| number != 0))
    }
}

fn on_pool(error: CallError, pool: &PoolName) -> Error {
    error.on(Operation::GetProperties, pool.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_the_kernel_s() {
        for (number, what) in SpaceOf::ALL.into_iter().enumerate() {
            assert_eq!(what as usize, number);
        }
    }
}
