//! libzfs_core's functions on pools.

use std::borrow::Cow;
use std::ffi::CString;

use zfs_stream::nvlist::NvList;
use zfs_sys::{
    boolean_t, pool_trim_func_t, zfs_ioc_t, zfs_wait_activity_t, zpool_ddt_prune_unit_t,
    zpool_prefetch_type_t, zpool_wait_activity_t,
};

use super::CallError;
use super::calls::{Answer, Lzc, boolean, c_name};
use super::nvlist::CNvlist;
use crate::version::Version;

/// The arguments of `lzc_trim`.
pub(crate) struct Trim {
    pub(crate) command: u32,
    /// Bytes in a second; 0 is as fast as can be.
    pub(crate) rate: u64,
    pub(crate) secure: bool,
}

/// How much a channel program may do.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) instructions: u64,
    pub(crate) memory_bytes: u64,
}

impl Lzc {
    /// The newest release whose functions are all there.
    pub(crate) fn version(self) -> Version {
        let (v2_2, v2_3) = (&self.lib.v2_2, &self.lib.v2_3);
        let has_2_2 = v2_2.lzc_scrub.is_some() && v2_2.lzc_get_vdev_prop.is_some();
        let has_2_3 = v2_3.lzc_get_props.is_some() && v2_3.lzc_ddt_prune.is_some();
        match (has_2_2, has_2_3) {
            (true, true) => Version::new(2, 3),
            (true, false) => Version::new(2, 2),
            (false, _) => Version::OLDEST,
        }
    }

    pub(crate) fn sync(self, pool: &str, arguments: &NvList) -> Result<(), CallError> {
        let pool = c_name(pool)?;
        let arguments = CNvlist::new(self.lib, arguments)?;
        self.list(|out| {
            // SAFETY: string and list outlive the call.
            unsafe {
                self.lib
                    .core
                    .lzc_sync(pool.as_ptr(), arguments.as_ptr(), out)
            }
        })
        .map(drop)
    }

    pub(crate) fn reopen(self, pool: &str, restart_scrub: bool) -> Result<(), CallError> {
        let pool = c_name(pool)?;
        // SAFETY: the string outlives the call.
        CallError::check(unsafe {
            self.lib
                .core
                .lzc_reopen(pool.as_ptr(), boolean(restart_scrub))
        })
    }

    pub(crate) fn pool_checkpoint(self, pool: &str) -> Result<(), CallError> {
        let pool = c_name(pool)?;
        // SAFETY: the string outlives the call.
        CallError::check(unsafe { self.lib.core.lzc_pool_checkpoint(pool.as_ptr()) })
    }

    pub(crate) fn pool_checkpoint_discard(self, pool: &str) -> Result<(), CallError> {
        let pool = c_name(pool)?;
        // SAFETY: the string outlives the call.
        CallError::check(unsafe { self.lib.core.lzc_pool_checkpoint_discard(pool.as_ptr()) })
    }

    pub(crate) fn trim(
        self,
        pool: &str,
        trim: &Trim,
        devices: &NvList,
    ) -> Result<Answer, CallError> {
        let pool = c_name(pool)?;
        let devices = CNvlist::new(self.lib, devices)?;
        // SAFETY: string and list outlive the call.
        self.answer(|out| unsafe {
            self.lib.core.lzc_trim(
                pool.as_ptr(),
                pool_trim_func_t(trim.command),
                trim.rate,
                boolean(trim.secure),
                devices.as_ptr(),
                out,
            )
        })
    }

    /// Answers whether there was anything to wait for.
    pub(crate) fn wait(
        self,
        pool: &str,
        activity: u32,
        tag: Option<u64>,
    ) -> Result<bool, CallError> {
        let pool = c_name(pool)?;
        let activity = zpool_wait_activity_t(activity);
        let mut waited = boolean_t::B_FALSE;
        // SAFETY: the string outlives the call, and the place for the answer
        // is ours.
        CallError::check(unsafe {
            match tag {
                None => self
                    .lib
                    .core
                    .lzc_wait(pool.as_ptr(), activity, &raw mut waited),
                Some(tag) => {
                    self.lib
                        .core
                        .lzc_wait_tag(pool.as_ptr(), activity, tag, &raw mut waited)
                }
            }
        })?;
        Ok(waited != boolean_t::B_FALSE)
    }

    /// Answers whether there was anything to wait for.
    pub(crate) fn wait_fs(self, dataset: &str, activity: u32) -> Result<bool, CallError> {
        let dataset = c_name(dataset)?;
        let mut waited = boolean_t::B_FALSE;
        // SAFETY: the string outlives the call, and the place for the answer
        // is ours.
        CallError::check(unsafe {
            self.lib.core.lzc_wait_fs(
                dataset.as_ptr(),
                zfs_wait_activity_t(activity),
                &raw mut waited,
            )
        })?;
        Ok(waited != boolean_t::B_FALSE)
    }

    pub(crate) fn set_bootenv(self, pool: &str, list: &NvList) -> Result<(), CallError> {
        let pool = c_name(pool)?;
        let list = CNvlist::new(self.lib, list)?;
        // SAFETY: string and list outlive the call.
        CallError::check(unsafe { self.lib.core.lzc_set_bootenv(pool.as_ptr(), list.as_ptr()) })
    }

    pub(crate) fn get_bootenv(self, pool: &str) -> Result<NvList, CallError> {
        let pool = c_name(pool)?;
        // SAFETY: the string outlives the call.
        self.list(|out| unsafe { self.lib.core.lzc_get_bootenv(pool.as_ptr(), out) })
    }

    pub(crate) fn get_vdev_prop(self, pool: &str, which: &NvList) -> Result<NvList, CallError> {
        const MISSING: CallError = CallError::Unsupported {
            what: Cow::Borrowed("reading the properties of a device"),
            since: "2.2",
        };
        let function = self.lib.v2_2.lzc_get_vdev_prop.ok_or(MISSING)?;
        let pool = c_name(pool)?;
        let which = CNvlist::new(self.lib, which)?;
        // SAFETY: string and list outlive the call.
        self.list(|out| unsafe { function(pool.as_ptr(), which.as_ptr(), out) })
    }

    pub(crate) fn set_vdev_prop(self, pool: &str, what: &NvList) -> Result<Answer, CallError> {
        const MISSING: CallError = CallError::Unsupported {
            what: Cow::Borrowed("setting the properties of a device"),
            since: "2.2",
        };
        let function = self.lib.v2_2.lzc_set_vdev_prop.ok_or(MISSING)?;
        let pool = c_name(pool)?;
        let what = CNvlist::new(self.lib, what)?;
        // SAFETY: string and list outlive the call.
        self.answer(|out| unsafe { function(pool.as_ptr(), what.as_ptr(), out) })
    }

    pub(crate) fn scrub(self, pool: &str, what: &NvList) -> Result<(), CallError> {
        const MISSING: CallError = CallError::Unsupported {
            what: Cow::Borrowed("a scrub of what is new"),
            since: "2.3",
        };
        let function = self.lib.v2_2.lzc_scrub.ok_or(MISSING)?;
        let pool = c_name(pool)?;
        let what = CNvlist::new(self.lib, what)?;
        self.list(|out| {
            // SAFETY: string and list outlive the call, and the request is
            // the one that the function is for.
            unsafe {
                function(
                    zfs_ioc_t::ZFS_IOC_POOL_SCRUB,
                    pool.as_ptr(),
                    what.as_ptr(),
                    out,
                )
            }
        })
        .map(drop)
    }

    pub(crate) fn pool_prefetch(self, pool: &str) -> Result<(), CallError> {
        const MISSING: CallError = CallError::Unsupported {
            what: Cow::Borrowed("loading the deduplication table ahead"),
            since: "2.3",
        };
        let function = self.lib.v2_3.lzc_pool_prefetch.ok_or(MISSING)?;
        let pool = c_name(pool)?;
        // SAFETY: the string outlives the call.
        CallError::check(unsafe {
            function(pool.as_ptr(), zpool_prefetch_type_t::ZPOOL_PREFETCH_DDT)
        })
    }

    pub(crate) fn ddt_prune(self, pool: &str, unit: u32, amount: u64) -> Result<(), CallError> {
        const MISSING: CallError = CallError::Unsupported {
            what: Cow::Borrowed("pruning the deduplication table"),
            since: "2.3",
        };
        let function = self.lib.v2_3.lzc_ddt_prune.ok_or(MISSING)?;
        let pool = c_name(pool)?;
        // SAFETY: the string outlives the call.
        CallError::check(unsafe { function(pool.as_ptr(), zpool_ddt_prune_unit_t(unit), amount) })
    }

    /// Answers with what the program returned, or with its error.
    pub(crate) fn channel_program(
        self,
        pool: &str,
        program: &str,
        sync: bool,
        limits: Limits,
        arguments: &NvList,
    ) -> Result<Answer, CallError> {
        let pool = c_name(pool)?;
        let program = CString::new(program)
            .map_err(|_| CallError::Invalid("the program has a zero byte in it".into()))?;
        // Never null: libzfs_core would abort the process.
        let arguments = CNvlist::new(self.lib, arguments)?;
        self.answer(|out| {
            // SAFETY: strings and list outlive the call.
            unsafe {
                if sync {
                    self.lib.core.lzc_channel_program(
                        pool.as_ptr(),
                        program.as_ptr(),
                        limits.instructions,
                        limits.memory_bytes,
                        arguments.as_ptr(),
                        out,
                    )
                } else {
                    self.lib.core.lzc_channel_program_nosync(
                        pool.as_ptr(),
                        program.as_ptr(),
                        limits.instructions,
                        limits.memory_bytes,
                        arguments.as_ptr(),
                        out,
                    )
                }
            }
        })
    }
}
