//! The state of pools: what `zpool list` and `zpool status` say.

use zfs_stream::nvlist::NvList;

use super::properties::PoolProperties;
use super::scan::{ErrorScrub, Scan};
use super::status::PoolStatus;
use super::vdev::{Health, Vdev};
use crate::error::{Error, Operation};
use crate::ffi::CallError;
use crate::name::{Guid, PoolName, Txg};
use crate::version::Version;
use crate::zfs::Zfs;

/// The state of a pool.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PoolState {
    /// Its name.
    pub name: PoolName,
    /// Its GUID.
    pub guid: Guid,
    /// How it is, as `zpool list` has it.
    pub health: Health,
    /// What is the matter with it.
    pub status: PoolStatus,
    /// Errors in files and metadata that are recorded and not repaired; see
    /// [`Zfs::pool_errors`].
    pub error_count: u64,
    /// The scrub or resilver that is going on, or the last one.
    pub scan: Option<Scan>,
    /// The scrub of errors that is going on, or the last one.
    pub error_scrub: Option<ErrorScrub>,
    /// The transaction group that its configuration was last written in.
    pub txg: Txg,
    /// Its size in bytes: of RAIDZ with parity, of mirrors without the copies.
    pub size_bytes: u64,
    /// Bytes of that which are allocated.
    pub allocated_bytes: u64,
    /// How much of it is allocated, in percent; none where ZFS cannot say, as
    /// of a pool that could not be opened.
    pub capacity_percent: Option<u8>,
    /// How scattered its free space is, in percent; none where ZFS does not
    /// say.
    pub fragmentation_percent: Option<u8>,
    /// Bytes that are still to be freed after something was destroyed.
    pub freeing_bytes: u64,
    /// Bytes that could not be freed, since metadata is damaged.
    pub leaked_bytes: u64,
    /// Bytes that its checkpoint keeps; none where it has no checkpoint.
    pub checkpoint_bytes: Option<u64>,
    /// It was imported read-only.
    pub readonly: bool,
    /// Its devices: a root, and below it what data is spread over, log
    /// devices among them.
    pub root: Vdev,
    /// Its spares.
    pub spares: Vec<Vdev>,
    /// Its cache devices.
    pub caches: Vec<Vdev>,
    /// Its features, each with the number of what uses it: 0 is enabled and
    /// not active.
    pub features: Vec<(String, u64)>,
    /// Its properties.
    pub properties: PoolProperties,
}

impl PoolState {
    /// Bytes that are not allocated.
    pub fn free_bytes(&self) -> u64 {
        self.size_bytes.saturating_sub(self.allocated_bytes)
    }

    fn read(
        name: PoolName,
        config: &NvList,
        properties: PoolProperties,
        version: Version,
    ) -> Result<PoolState, &'static str> {
        let tree = config
            .get_nvlist("vdev_tree")
            .ok_or("it has no tree of devices")?;
        let root = Vdev::read(tree);
        let auxiliary = |key: &str| -> Vec<Vdev> {
            let devices = tree.get_nvlist_array(key).unwrap_or_default();
            devices.iter().map(Vdev::read).collect()
        };
        let scan = Scan::read(tree, version);
        let suspended = config.contains("suspended");
        let error_count = config.get_u64("error_count").unwrap_or(0);
        let number = |property: &str| properties.number(property);
        let percent = |property: &str| {
            number(property)
                .and_then(|percent| u8::try_from(percent).ok())
                .filter(|percent| *percent <= 100)
        };
        let size_bytes = number("size").unwrap_or(root.size_bytes);
        let features = config.get_nvlist("feature_stats").into_iter().flatten();
        Ok(PoolState {
            guid: Guid(config.get_u64("pool_guid").ok_or("it has no pool_guid")?),
            health: if suspended {
                Health::Suspended
            } else {
                root.health
            },
            status: PoolStatus::of(&root, scan.as_ref(), suspended, error_count),
            error_count,
            scan,
            error_scrub: ErrorScrub::read(tree),
            txg: Txg(config.get_u64("txg").unwrap_or(0)),
            size_bytes,
            allocated_bytes: number("allocated").unwrap_or(root.allocated_bytes),
            // The kernel says 0 where it knows of no space at all.
            capacity_percent: percent("capacity").filter(|_| size_bytes > 0),
            fragmentation_percent: percent("fragmentation"),
            freeing_bytes: number("freeing").unwrap_or(0),
            leaked_bytes: number("leaked").unwrap_or(0),
            // pool_checkpoint_stat_t: 1 exists, 2 is being discarded.
            checkpoint_bytes: tree
                .get_u64_array("checkpoint_stats")
                .filter(|stats| stats.first().is_some_and(|state| *state != 0))
                .and_then(|stats| stats.get(2).copied()),
            readonly: number("readonly") == Some(1),
            root,
            spares: auxiliary("spares"),
            caches: auxiliary("l2cache"),
            features: features
                .filter_map(|(name, value)| match value {
                    zfs_stream::nvlist::Value::Uint64(count) => Some((name.to_string(), *count)),
                    _ => None,
                })
                .collect(),
            properties,
            name,
        })
    }
}

/// The imported pools with their state, by name.
#[derive(Debug)]
pub struct Pools {
    zfs: Zfs,
    names: std::vec::IntoIter<PoolName>,
}

impl Iterator for Pools {
    type Item = Result<PoolState, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let name = self.names.next()?;
            match self.zfs.pool_state(&name) {
                // Exported since it was listed.
                Err(error) if error.is_not_found() => {}
                result => return Some(result),
            }
        }
    }
}

impl Zfs {
    /// The state of a pool: health, devices, errors, space, scrub.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] where no such pool is imported. Any user may
    /// ask.
    ///
    /// # Example
    ///
    /// ```no_run
    /// use zfs_core::{PoolStatus, Zfs};
    ///
    /// let zfs = Zfs::open()?;
    /// let tank = zfs.pool_state(&"tank".parse()?)?;
    /// println!("{} {}", tank.name, tank.health);
    /// if let Some(percent) = tank.capacity_percent {
    ///     println!("{percent}% are allocated");
    /// }
    /// if tank.status != PoolStatus::Healthy {
    ///     println!("{}: {}", tank.status, tank.status.advice());
    /// }
    /// for device in tank.root.leaves().filter(|device| device.errors.any()) {
    ///     println!("{device}: {:?}", device.errors);
    /// }
    /// # Ok::<(), zfs_core::Error>(())
    /// ```
    pub fn pool_state(&self, pool: &PoolName) -> Result<PoolState, Error> {
        let on = |error: CallError| error.on(Operation::PoolStatus, pool.as_str());
        let config = self.device.pool_stats(pool.as_str()).map_err(on)?;
        let properties = self.pool_properties(pool)?;
        PoolState::read(pool.clone(), &config, properties, self.version()).map_err(|reason| {
            Error::UnexpectedAnswer {
                operation: Operation::PoolStatus,
                name: pool.as_str().to_owned(),
                reason: reason.to_owned(),
            }
        })
    }

    /// The imported pools with their state, by name; each is asked for when
    /// the iterator comes to it. [`Zfs::list_pools`] has the names alone.
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`] with what the kernel said. Any user may ask.
    pub fn pools(&self) -> Result<Pools, Error> {
        let names: Vec<PoolName> = self
            .list_pools()?
            .into_iter()
            .map(|pool| pool.name)
            .collect();
        Ok(Pools {
            zfs: self.clone(),
            names: names.into_iter(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(numbers: &[(&str, u64)]) -> PoolState {
        let mut config = NvList::new();
        config.insert("pool_guid", 7_u64).unwrap();
        config.insert("vdev_tree", NvList::new()).unwrap();
        let mut list = NvList::new();
        for (name, number) in numbers {
            let mut entry = NvList::new();
            entry.insert("value", *number).unwrap();
            list.insert(name, entry).unwrap();
        }
        let properties = PoolProperties { list };
        let name = "tank".parse().unwrap();
        PoolState::read(name, &config, properties, Version::NEWEST).unwrap()
    }

    #[test]
    fn a_pool_that_cannot_say_how_full_it_is_is_not_empty() {
        let percent = |numbers: &[(&str, u64)]| state(numbers).capacity_percent;
        assert_eq!(percent(&[("size", 100), ("capacity", 7)]), Some(7));
        assert_eq!(percent(&[("size", 100), ("capacity", 0)]), Some(0));
        assert_eq!(percent(&[("size", 0), ("capacity", 0)]), None);
        assert_eq!(percent(&[("size", 100)]), None);
        assert_eq!(percent(&[("size", 100), ("capacity", u64::MAX)]), None);
    }
}
