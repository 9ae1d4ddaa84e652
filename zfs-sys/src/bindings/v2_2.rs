// Made by `cargo xtask bindgen` (bindgen 0.72.1): do not edit.
// From OpenZFS 2.3.9: libzfs_core.h.
// Prototypes, numbers and layouts alone; the headers' texts are CDDL-1.0 and are not here.

use core::ffi::{c_char, c_int, c_ulong, c_void};

use super::cmd::{dmu_replay_record, zfs_cmd};
use super::numbers::zfs_ioc_t;
use super::nvpair::nvlist_t;
use super::v2_1::{boolean_t, uint_t};

crate::symbols::optional! {
    pub struct V2_2;

    pub fn lzc_ioctl_fd(
        arg1: c_int,
        arg2: c_ulong,
        arg3: *mut zfs_cmd,
    ) -> c_int;
    pub fn lzc_send_wrapper(
        arg1: ::core::option::Option<
            unsafe extern "C" fn(
                arg1: c_int,
                arg2: *mut c_void,
            ) -> c_int,
        >,
        arg2: c_int,
        arg3: *mut c_void,
    ) -> c_int;
    pub fn lzc_receive_with_heal(
        arg1: *const c_char,
        arg2: *mut nvlist_t,
        arg3: *mut nvlist_t,
        arg4: *mut u8,
        arg5: uint_t,
        arg6: *const c_char,
        arg7: boolean_t,
        arg8: boolean_t,
        arg9: boolean_t,
        arg10: boolean_t,
        arg11: c_int,
        arg12: *const dmu_replay_record,
        arg13: c_int,
        arg14: *mut u64,
        arg15: *mut u64,
        arg16: *mut u64,
        arg17: *mut *mut nvlist_t,
    ) -> c_int;
    pub fn lzc_get_vdev_prop(
        arg1: *const c_char,
        arg2: *mut nvlist_t,
        arg3: *mut *mut nvlist_t,
    ) -> c_int;
    pub fn lzc_set_vdev_prop(
        arg1: *const c_char,
        arg2: *mut nvlist_t,
        arg3: *mut *mut nvlist_t,
    ) -> c_int;
    pub fn lzc_scrub(
        arg1: zfs_ioc_t,
        arg2: *const c_char,
        arg3: *mut nvlist_t,
        arg4: *mut *mut nvlist_t,
    ) -> c_int;
}
