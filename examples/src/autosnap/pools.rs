//! What pools say of themselves, each asked once.

use std::collections::HashMap;
use std::process::Command;

use anyhow::{Context, bail};
use zfs_core::{PoolName, Zfs};

/// Pools that were asked already.
#[derive(Debug)]
pub struct Pools<'a> {
    _zfs: &'a Zfs,
    capacities: HashMap<PoolName, u64>,
}

impl<'a> Pools<'a> {
    /// None was asked yet.
    pub fn new(zfs: &'a Zfs) -> Pools<'a> {
        Pools {
            _zfs: zfs,
            capacities: HashMap::new(),
        }
    }

    /// How full a pool is, in percent.
    ///
    /// # Errors
    ///
    /// It cannot be asked, as where it is not imported.
    pub fn capacity(&mut self, pool: &PoolName) -> anyhow::Result<u64> {
        if let Some(known) = self.capacities.get(pool) {
            return Ok(*known);
        }
        let output = Command::new("zpool")
            .args(["list", "-Hpo", "capacity", pool.as_str()])
            .output()
            .context("cannot run zpool")?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let capacity = text
            .trim()
            .trim_end_matches('%')
            .parse()
            .with_context(|| format!("the capacity of {pool} is {text:?}"))?;
        self.capacities.insert(pool.clone(), capacity);
        Ok(capacity)
    }
}
