//! `zpool scrub`.

use zfs_stream::nvlist::NvList;

use super::vdev::Health;
use crate::error::{Errno, Error, Operation};
use crate::ffi::CallError;
use crate::name::PoolName;
use crate::version::Version;
use crate::zfs::Zfs;

// pool_scan_func_t
const NONE: u64 = 0;
const SCRUB: u64 = 1;
const ERROR_SCRUB: u64 = 3;
// pool_scrub_cmd_t
const NORMAL: u32 = 0;
const PAUSE: u32 = 1;
const FROM_LAST_TXG: u32 = 2;

/// What a scrub reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ScrubKind {
    /// Everything on the pool.
    #[default]
    Everything,
    /// The blocks alone that errors are recorded of; since OpenZFS 2.2, on
    /// pools with the feature head_errlog.
    Errors,
    /// What was written since the last scrub that came to its end; since
    /// OpenZFS 2.3.
    SinceLast,
}

impl Zfs {
    /// Starts a scrub, or goes on with one that is paused. It runs in the
    /// kernel; [`Zfs::pool_state`] says how far it is, and [`Zfs::wait`] waits
    /// for its end.
    ///
    /// # Errors
    ///
    /// [`Error::is_busy`] where one is running or the pool resilvers,
    /// [`Error::is_not_found`] where errors are to be scrubbed and none is
    /// recorded, [`Error::Unsupported`] for a kind that the kernel has not.
    pub fn scrub(&self, pool: &PoolName, kind: ScrubKind) -> Result<(), Error> {
        match kind {
            ScrubKind::Everything => self.scan(pool, Operation::Scrub, SCRUB, NORMAL),
            ScrubKind::Errors => {
                self.needs_kernel("a scrub of errors", "2.2")?;
                self.scan(pool, Operation::Scrub, ERROR_SCRUB, NORMAL)
            }
            ScrubKind::SinceLast => self.scrub_since_last(pool),
        }
    }

    fn scrub_since_last(&self, pool: &PoolName) -> Result<(), Error> {
        const WHAT: &str = "a scrub of what is new";
        self.needs_kernel(WHAT, "2.3")?;
        let on = |error: CallError| {
            error
                .or_unsupported(WHAT, "2.3")
                .on(Operation::Scrub, pool.as_str())
        };
        // The newer request does not look whether the pool can be written to,
        // and on one that cannot it waits for ever (2.3.9, tried).
        let state = self.pool_state(pool)?;
        if state.readonly {
            return Err(on(CallError::Zfs(Errno::EROFS)));
        }
        if state.health == Health::Suspended {
            return Err(on(CallError::Zfs(Errno::EAGAIN)));
        }
        let mut what = NvList::new();
        what.insert("scan_type", SCRUB)
            .and_then(|()| what.insert("scan_command", u64::from(FROM_LAST_TXG)))
            .map_err(|error| on(error.into()))?;
        self.lzc()?.scrub(pool.as_str(), &what).map_err(on)
    }

    /// Pauses a scrub; [`Zfs::scrub`] goes on with it, also after the pool was
    /// exported or the machine restarted.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] where none is running, [`Error::is_busy`] where
    /// it is paused already.
    pub fn pause_scrub(&self, pool: &PoolName) -> Result<(), Error> {
        self.scan(pool, Operation::PauseScrub, SCRUB, PAUSE)
    }

    /// Ends a scrub before it has come to its end.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] where none is running or paused.
    pub fn stop_scrub(&self, pool: &PoolName) -> Result<(), Error> {
        self.scan(pool, Operation::StopScrub, NONE, NORMAL)
    }

    fn scan(
        &self,
        pool: &PoolName,
        operation: Operation,
        function: u64,
        command: u32,
    ) -> Result<(), Error> {
        let name = pool.as_str();
        // The older request: every release has it, and it refuses pools that
        // cannot be written to.
        let result = match self.device.pool_scan(name, function, command) {
            // What 2.1 says where a scrub that was paused goes on.
            Err(CallError::Zfs(Errno::ECANCELED))
                if function == SCRUB
                    && command == NORMAL
                    && self.device.version() < Version::new(2, 2) =>
            {
                Ok(())
            }
            result => result,
        };
        result.map_err(|error| {
            let error = error.on(operation, name);
            // One number says that there is no scrub and that there is no pool.
            match (error, self.device.pool_stats(name)) {
                (Error::Zfs(mut failure), Err(CallError::Zfs(Errno::ENOENT))) => {
                    failure.detail = Some("there is no imported pool of that name".into());
                    Error::Zfs(failure)
                }
                (error, _) => error,
            }
        })
    }
}
