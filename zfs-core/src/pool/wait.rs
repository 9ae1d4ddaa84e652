//! `zpool wait` and `zfs wait`.

use crate::error::{Error, Operation};
use crate::name::{DatasetName, Guid, PoolName};
use crate::zfs::Zfs;

/// What in a pool can be waited for until it has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Activity {
    /// The discarding of a checkpoint.
    DiscardCheckpoint,
    /// The freeing of what was destroyed.
    Free,
    /// The initializing of devices.
    Initialize,
    /// The replacing of devices.
    Replace,
    /// The removal of a device.
    Remove,
    /// A resilver.
    Resilver,
    /// A scrub; one that is paused is not waited for.
    Scrub,
    /// The trimming of devices.
    Trim,
    /// The expansion of a RAIDZ device, since OpenZFS 2.3.
    RaidzExpand,
}

impl Activity {
    /// ZFS' word for it, as `zpool wait -t` takes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Activity::DiscardCheckpoint => "discard",
            Activity::Free => "free",
            Activity::Initialize => "initialize",
            Activity::Replace => "replace",
            Activity::Remove => "remove",
            Activity::Resilver => "resilver",
            Activity::Scrub => "scrub",
            Activity::Trim => "trim",
            Activity::RaidzExpand => "raidz_expand",
        }
    }

    /// `zpool_wait_activity_t`
    fn number(self) -> u32 {
        match self {
            Activity::DiscardCheckpoint => 0,
            Activity::Free => 1,
            Activity::Initialize => 2,
            Activity::Replace => 3,
            Activity::Remove => 4,
            Activity::Resilver => 5,
            Activity::Scrub => 6,
            Activity::Trim => 7,
            Activity::RaidzExpand => 8,
        }
    }
}

/// What in a filesystem can be waited for until it has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FilesystemActivity {
    /// The freeing of files that were deleted.
    DeleteQueue,
}

impl Zfs {
    /// Waits until `activity` has come to its end on a pool. Answers whether
    /// there was anything to wait for.
    ///
    /// The calling thread waits in the kernel, until a signal comes at the
    /// latest.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] where there is no such pool,
    /// [`Error::is_interrupted`] where a signal came or the pool was exported
    /// meanwhile, [`Error::Unsupported`] for what the kernel has not.
    pub fn wait(&self, pool: &PoolName, activity: Activity) -> Result<bool, Error> {
        self.wait_for(pool, activity, None)
    }

    /// As [`Zfs::wait`], for one device that is
    /// [initialized](Activity::Initialize) or [trimmed](Activity::Trim).
    ///
    /// # Errors
    ///
    /// As [`Zfs::wait`]; other activities are not of one device.
    pub fn wait_device(
        &self,
        pool: &PoolName,
        activity: Activity,
        device: Guid,
    ) -> Result<bool, Error> {
        self.wait_for(pool, activity, Some(device.0))
    }

    fn wait_for(
        &self,
        pool: &PoolName,
        activity: Activity,
        device: Option<u64>,
    ) -> Result<bool, Error> {
        if activity == Activity::RaidzExpand {
            self.needs_kernel("waiting for the expansion of a RAIDZ device", "2.3")?;
        }
        self.lzc()?
            .wait(pool.as_str(), activity.number(), device)
            .map_err(|error| error.on(Operation::Wait, pool.as_str()))
    }

    /// Waits until `activity` has come to its end in a mounted filesystem.
    /// Answers whether there was anything to wait for: in one that is not
    /// mounted, or is read-only, nothing goes on, whatever is left to be done.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] where it does not exist,
    /// [`Error::is_interrupted`] where a signal came or it was unmounted
    /// meanwhile.
    pub fn wait_filesystem(
        &self,
        dataset: &DatasetName,
        activity: FilesystemActivity,
    ) -> Result<bool, Error> {
        let FilesystemActivity::DeleteQueue = activity;
        self.lzc()?
            .wait_fs(dataset.as_str(), 0)
            .map_err(|error| error.on(Operation::WaitFilesystem, dataset.as_str()))
    }
}
