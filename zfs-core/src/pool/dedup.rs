//! The deduplication table: `zpool prefetch` and `zpool ddtprune`.

use std::time::Duration;

use crate::error::{Error, Operation};
use crate::name::PoolName;
use crate::zfs::Zfs;

/// `ZPOOL_DDT_PRUNE_AGE`
const AGE: u32 = 1;
/// `ZPOOL_DDT_PRUNE_PERCENTAGE`
const PERCENTAGE: u32 = 2;

/// Which entries of the deduplication table go: of those that only one block
/// refers to, the oldest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PruneDedup {
    /// Those that are older than that, in whole seconds.
    OlderThan(Duration),
    /// That many percent of them, 1 to 100.
    Percent(u8),
}

impl Zfs {
    /// Loads a pool's deduplication table into memory, so that the first
    /// writes and frees after an import need not.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] before OpenZFS 2.3.
    pub fn prefetch(&self, pool: &PoolName) -> Result<(), Error> {
        const WHAT: &str = "loading the deduplication table ahead";
        self.needs_kernel(WHAT, "2.3")?;
        self.lzc()?.pool_prefetch(pool.as_str()).map_err(|error| {
            error
                .or_unsupported(WHAT, "2.3")
                .on(Operation::Prefetch, pool.as_str())
        })
    }

    /// Removes entries of blocks that were never written twice from a pool's
    /// deduplication table, which makes it smaller. Those blocks stay; what
    /// equals them later is written again.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] before OpenZFS 2.3, [`Error::is_unsupported`]
    /// on a pool without the feature fast_dedup, and
    /// [`Error::InvalidRequest`] for a percentage outside 1 to 100.
    pub fn prune_dedup_table(&self, pool: &PoolName, which: PruneDedup) -> Result<(), Error> {
        const WHAT: &str = "pruning the deduplication table";
        let (unit, amount) = match which {
            PruneDedup::OlderThan(age) => (AGE, age.as_secs()),
            PruneDedup::Percent(percent @ 1..=100) => (PERCENTAGE, u64::from(percent)),
            PruneDedup::Percent(percent) => {
                return Err(Error::invalid(
                    Operation::PruneDedupTable,
                    pool.as_str(),
                    format!("{percent} percent is not one of 1 to 100"),
                ));
            }
        };
        self.needs_kernel(WHAT, "2.3")?;
        self.lzc()?
            .ddt_prune(pool.as_str(), unit, amount)
            .map_err(|error| {
                error
                    .or_unsupported(WHAT, "2.3")
                    .on(Operation::PruneDedupTable, pool.as_str())
            })
    }
}
