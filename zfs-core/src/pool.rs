//! Pools that are imported: their state, and what zpool(8) does to them.
//!
//! ```text
//! POOL_CONFIGS -> Pool      POOL_STATS + POOL_GET_PROPS -> PoolState: devices, scan, status
//! ```

mod administration;
mod bootenv;
mod dedup;
mod devices;
mod errors;
mod properties;
mod scan;
mod scrub;
mod state;
mod status;
mod vdev;
mod wait;

pub use administration::{PoolSync, Reopen};
pub use dedup::PruneDedup;
pub use devices::{InitializeRequest, TrimRequest};
pub use errors::PoolError;
pub use properties::{PoolProperties, VdevProperties};
pub use scan::{ErrorScrub, Scan, ScanKind, ScanState};
pub use scrub::ScrubKind;
pub use state::{PoolState, Pools};
pub use status::PoolStatus;
pub use vdev::{
    DeviceActivity, DeviceActivityState, Health, Vdev, VdevErrors, VdevKind, VdevProblem,
};
pub use wait::{Activity, FilesystemActivity};

use crate::error::{Error, Operation};
use crate::name::{Guid, PoolName};
use crate::zfs::Zfs;

/// An imported pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its name, which is that of its topmost filesystem as well.
    pub name: PoolName,
    /// Its GUID.
    pub guid: Guid,
}

impl Zfs {
    /// Lists the imported pools, by name.
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`] with what the kernel said. Any user may list.
    pub fn list_pools(&self) -> Result<Vec<Pool>, Error> {
        let odd = |name: &str, reason: String| Error::UnexpectedAnswer {
            operation: Operation::List,
            name: name.to_owned(),
            reason,
        };
        let configs = self
            .device
            .pool_configs()
            .map_err(|error| error.on(Operation::List, "the pools"))?;
        let mut pools = Vec::with_capacity(configs.len());
        for (name, _) in &configs {
            let text = name.to_string();
            // While zpool(8) looks for pools to import, the kernel has each of
            // them for a moment under a name that no pool can have.
            if text.starts_with('$') {
                continue;
            }
            let guid = configs
                .get_nvlist(name)
                .and_then(|config| config.get_u64("pool_guid"))
                .ok_or_else(|| odd(&text, "its configuration has no pool_guid".into()))?;
            pools.push(Pool {
                name: text
                    .parse()
                    .map_err(|error: Error| odd(&text, error.to_string()))?,
                guid: Guid(guid),
            });
        }
        pools.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(pools)
    }
}
