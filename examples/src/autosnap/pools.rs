//! How full pools are, each asked once.

use std::collections::HashMap;

use zfs_core::{Error, PoolName, Zfs};

/// Pools that were asked already.
#[derive(Debug)]
pub struct Pools<'a> {
    zfs: &'a Zfs,
    capacities: HashMap<PoolName, Option<u8>>,
}

impl<'a> Pools<'a> {
    /// None was asked yet.
    pub fn new(zfs: &'a Zfs) -> Pools<'a> {
        Pools {
            zfs,
            capacities: HashMap::new(),
        }
    }

    /// How full a pool is, in percent; none where it cannot say.
    ///
    /// # Errors
    ///
    /// It cannot be asked, as where it is not imported.
    pub fn capacity(&mut self, pool: &PoolName) -> Result<Option<u8>, Error> {
        if let Some(known) = self.capacities.get(pool) {
            return Ok(*known);
        }
        let capacity = self.zfs.pool_state(pool)?.capacity_percent;
        self.capacities.insert(pool.clone(), capacity);
        Ok(capacity)
    }
}
