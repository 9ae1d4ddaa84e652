//! Space by whom and since when it is used.

use crate::error::{Error, Operation};
use crate::ffi::CallError;
use crate::ffi::account::{Account, number_of};
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

    /// What the names of its properties begin with: `userquota@`.
    pub const fn prefix(self) -> &'static str {
        match self {
            SpaceOf::UserUsed => "userused@",
            SpaceOf::UserQuota => "userquota@",
            SpaceOf::GroupUsed => "groupused@",
            SpaceOf::GroupQuota => "groupquota@",
            SpaceOf::UserObjectsUsed => "userobjused@",
            SpaceOf::UserObjectsQuota => "userobjquota@",
            SpaceOf::GroupObjectsUsed => "groupobjused@",
            SpaceOf::GroupObjectsQuota => "groupobjquota@",
            SpaceOf::ProjectUsed => "projectused@",
            SpaceOf::ProjectQuota => "projectquota@",
            SpaceOf::ProjectObjectsUsed => "projectobjused@",
            SpaceOf::ProjectObjectsQuota => "projectobjquota@",
        }
    }

    /// What a property is about, and whose it is, by name or number.
    ///
    /// ```
    /// use zfs_core::SpaceOf;
    ///
    /// let quota = SpaceOf::of_property("userquota@ann");
    /// assert_eq!(quota, Some((SpaceOf::UserQuota, "ann")));
    /// assert_eq!(SpaceOf::of_property("quota"), None);
    /// ```
    pub fn of_property(property: &str) -> Option<(SpaceOf, &str)> {
        SpaceOf::ALL
            .into_iter()
            .find_map(|what| Some((what, property.strip_prefix(what.prefix())?)))
    }

    /// Whether it is what is allowed, which can be set.
    pub const fn is_quota(self) -> bool {
        self as u8 % 2 == 1
    }

    /// The number of that user, group or project. Users and groups are found by
    /// the name that the system's name services know (nsswitch.conf(5)); what
    /// is no name there is a number, and projects are numbers always.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`]: nobody has that name, and it is no number.
    pub fn id_of(self, who: &str) -> Result<u32, Error> {
        self.number_of(who).map_err(|reason| {
            let property = format!("{}{who}", self.prefix());
            Error::invalid(Operation::GetProperties, property, reason)
        })
    }

    pub(crate) fn number_of(self, who: &str) -> Result<u32, String> {
        let account = match self {
            SpaceOf::UserUsed
            | SpaceOf::UserQuota
            | SpaceOf::UserObjectsUsed
            | SpaceOf::UserObjectsQuota => Some((Account::User, "user")),
            SpaceOf::GroupUsed
            | SpaceOf::GroupQuota
            | SpaceOf::GroupObjectsUsed
            | SpaceOf::GroupObjectsQuota => Some((Account::Group, "group")),
            _ => None,
        };
        if let Some((account, word)) = account {
            let found = number_of(account, who)
                .map_err(|errno| format!("the {word} {who:?} could not be looked up: {errno}"))?;
            if let Some(number) = found {
                return Ok(number);
            }
        }
        // With a sign it would be a number to Rust, and is none to ZFS.
        let is_number = !who.is_empty() && who.bytes().all(|byte| byte.is_ascii_digit());
        match (is_number, account) {
            (true, _) => who.parse().map_err(|_| format!("{who} is too large")),
            (false, Some((_, word))) => Err(format!("there is no {word} {who:?}")),
            (false, None) => Err(format!("{who:?} is not the number of a project")),
        }
    }
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
            let property = format!("{}7", what.prefix());
            assert_eq!(SpaceOf::of_property(&property), Some((what, "7")));
            assert_eq!(what.is_quota(), property.contains("quota"));
        }
    }

    #[test]
    fn somebody_is_known_by_name_or_number() {
        assert_eq!(SpaceOf::UserQuota.number_of("root"), Ok(0));
        assert_eq!(SpaceOf::GroupUsed.number_of("root"), Ok(0));
        assert_eq!(SpaceOf::UserQuota.number_of("4294967295"), Ok(u32::MAX));
        assert_eq!(SpaceOf::ProjectQuota.number_of("12"), Ok(12));
        for (what, who, said) in [
            (SpaceOf::UserQuota, "no such", "there is no user"),
            (SpaceOf::GroupObjectsQuota, "+1", "there is no group"),
            (SpaceOf::ProjectQuota, "root", "not the number of a project"),
            (SpaceOf::ProjectUsed, "", "not the number of a project"),
            (SpaceOf::UserUsed, "4294967296", "too large"),
        ] {
            let error = what.number_of(who).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
