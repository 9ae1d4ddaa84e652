// Made by `cargo xtask bindgen` (bindgen 0.72.1): do not edit.
// From OpenZFS 2.1.11: libzfs_core.h.
// Prototypes, numbers and layouts alone; the headers' texts are CDDL-1.0 and are not here.

use core::ffi::{c_char, c_int, c_uint};

use super::cmd::dmu_replay_record;
use super::nvpair::nvlist_t;

impl boolean_t {
    pub const B_FALSE: boolean_t = boolean_t(0);
    pub const B_TRUE: boolean_t = boolean_t(1);
}
#[repr(transparent)]
#[derive(Debug, Copy, Clone, Hash, PartialEq, Eq)]
pub struct boolean_t(pub c_uint);
pub type uint_t = c_uint;
impl pool_trim_func {
    pub const POOL_TRIM_START: pool_trim_func = pool_trim_func(0);
    pub const POOL_TRIM_CANCEL: pool_trim_func = pool_trim_func(1);
    pub const POOL_TRIM_SUSPEND: pool_trim_func = pool_trim_func(2);
    pub const POOL_TRIM_FUNCS: pool_trim_func = pool_trim_func(3);
}
#[repr(transparent)]
#[derive(Debug, Copy, Clone, Hash, PartialEq, Eq)]
pub struct pool_trim_func(pub c_uint);
pub use self::pool_trim_func as pool_trim_func_t;
impl zpool_wait_activity_t {
    pub const ZPOOL_WAIT_CKPT_DISCARD: zpool_wait_activity_t = zpool_wait_activity_t(0);
    pub const ZPOOL_WAIT_FREE: zpool_wait_activity_t = zpool_wait_activity_t(1);
    pub const ZPOOL_WAIT_INITIALIZE: zpool_wait_activity_t = zpool_wait_activity_t(2);
    pub const ZPOOL_WAIT_REPLACE: zpool_wait_activity_t = zpool_wait_activity_t(3);
    pub const ZPOOL_WAIT_REMOVE: zpool_wait_activity_t = zpool_wait_activity_t(4);
    pub const ZPOOL_WAIT_RESILVER: zpool_wait_activity_t = zpool_wait_activity_t(5);
    pub const ZPOOL_WAIT_SCRUB: zpool_wait_activity_t = zpool_wait_activity_t(6);
    pub const ZPOOL_WAIT_TRIM: zpool_wait_activity_t = zpool_wait_activity_t(7);
    pub const ZPOOL_WAIT_NUM_ACTIVITIES: zpool_wait_activity_t = zpool_wait_activity_t(8);
}
#[repr(transparent)]
#[derive(Debug, Copy, Clone, Hash, PartialEq, Eq)]
pub struct zpool_wait_activity_t(pub c_uint);
impl zfs_wait_activity_t {
    pub const ZFS_WAIT_DELETEQ: zfs_wait_activity_t = zfs_wait_activity_t(0);
    pub const ZFS_WAIT_NUM_ACTIVITIES: zfs_wait_activity_t = zfs_wait_activity_t(1);
}
#[repr(transparent)]
#[derive(Debug, Copy, Clone, Hash, PartialEq, Eq)]
pub struct zfs_wait_activity_t(pub c_uint);
impl lzc_dataset_type {
    pub const LZC_DATSET_TYPE_ZFS: lzc_dataset_type = lzc_dataset_type(2);
    pub const LZC_DATSET_TYPE_ZVOL: lzc_dataset_type = lzc_dataset_type(3);
}
#[repr(transparent)]
#[derive(Debug, Copy, Clone, Hash, PartialEq, Eq)]
pub struct lzc_dataset_type(pub c_uint);
impl lzc_send_flags {
    pub const LZC_SEND_FLAG_EMBED_DATA: lzc_send_flags = lzc_send_flags(1);
    pub const LZC_SEND_FLAG_LARGE_BLOCK: lzc_send_flags = lzc_send_flags(2);
    pub const LZC_SEND_FLAG_COMPRESS: lzc_send_flags = lzc_send_flags(4);
    pub const LZC_SEND_FLAG_RAW: lzc_send_flags = lzc_send_flags(8);
    pub const LZC_SEND_FLAG_SAVED: lzc_send_flags = lzc_send_flags(16);
}
impl ::core::ops::BitOr<lzc_send_flags> for lzc_send_flags {
    type Output = Self;
    #[inline]
    fn bitor(self, other: Self) -> Self {
        lzc_send_flags(self.0 | other.0)
    }
}
impl ::core::ops::BitOrAssign for lzc_send_flags {
    #[inline]
    fn bitor_assign(&mut self, rhs: lzc_send_flags) {
        self.0 |= rhs.0;
    }
}
impl ::core::ops::BitAnd<lzc_send_flags> for lzc_send_flags {
    type Output = Self;
    #[inline]
    fn bitand(self, other: Self) -> Self {
        lzc_send_flags(self.0 & other.0)
    }
}
impl ::core::ops::BitAndAssign for lzc_send_flags {
    #[inline]
    fn bitand_assign(&mut self, rhs: lzc_send_flags) {
        self.0 &= rhs.0;
    }
}
#[repr(transparent)]
#[derive(Debug, Copy, Clone, Hash, PartialEq, Eq)]
pub struct lzc_send_flags(pub c_uint);
crate::symbols::required! {
    pub struct V2_1;

    pub fn libzfs_core_init() -> c_int;
    pub fn lzc_snapshot(
        arg1: *mut nvlist_t,
        arg2: *mut nvlist_t,
        arg3: *mut *mut nvlist_t,
    ) -> c_int;
    pub fn lzc_create(
        arg1: *const c_char,
        arg2: lzc_dataset_type,
        arg3: *mut nvlist_t,
        arg4: *mut u8,
        arg5: uint_t,
    ) -> c_int;
    pub fn lzc_clone(
        arg1: *const c_char,
        arg2: *const c_char,
        arg3: *mut nvlist_t,
    ) -> c_int;
    pub fn lzc_promote(
        arg1: *const c_char,
        arg2: *mut c_char,
        arg3: c_int,
    ) -> c_int;
    pub fn lzc_destroy_snaps(
        arg1: *mut nvlist_t,
        arg2: boolean_t,
        arg3: *mut *mut nvlist_t,
    ) -> c_int;
    pub fn lzc_bookmark(arg1: *mut nvlist_t, arg2: *mut *mut nvlist_t) -> c_int;
    pub fn lzc_get_bookmarks(
        arg1: *const c_char,
        arg2: *mut nvlist_t,
        arg3: *mut *mut nvlist_t,
    ) -> c_int;
    pub fn lzc_get_bookmark_props(
        arg1: *const c_char,
        arg2: *mut *mut nvlist_t,
    ) -> c_int;
    pub fn lzc_destroy_bookmarks(
        arg1: *mut nvlist_t,
        arg2: *mut *mut nvlist_t,
    ) -> c_int;
    pub fn lzc_load_key(
        arg1: *const c_char,
        arg2: boolean_t,
        arg3: *mut u8,
        arg4: uint_t,
    ) -> c_int;
    pub fn lzc_unload_key(arg1: *const c_char) -> c_int;
    pub fn lzc_change_key(
        arg1: *const c_char,
        arg2: u64,
        arg3: *mut nvlist_t,
        arg4: *mut u8,
        arg5: uint_t,
    ) -> c_int;
    pub fn lzc_trim(
        arg1: *const c_char,
        arg2: pool_trim_func_t,
        arg3: u64,
        arg4: boolean_t,
        arg5: *mut nvlist_t,
        arg6: *mut *mut nvlist_t,
    ) -> c_int;
    pub fn lzc_redact(
        arg1: *const c_char,
        arg2: *const c_char,
        arg3: *mut nvlist_t,
    ) -> c_int;
    pub fn lzc_snaprange_space(
        arg1: *const c_char,
        arg2: *const c_char,
        arg3: *mut u64,
    ) -> c_int;
    pub fn lzc_hold(
        arg1: *mut nvlist_t,
        arg2: c_int,
        arg3: *mut *mut nvlist_t,
    ) -> c_int;
    pub fn lzc_release(arg1: *mut nvlist_t, arg2: *mut *mut nvlist_t) -> c_int;
    pub fn lzc_get_holds(
        arg1: *const c_char,
        arg2: *mut *mut nvlist_t,
    ) -> c_int;
    pub fn lzc_send(
        arg1: *const c_char,
        arg2: *const c_char,
        arg3: c_int,
        arg4: lzc_send_flags,
    ) -> c_int;
    pub fn lzc_send_resume(
        arg1: *const c_char,
        arg2: *const c_char,
        arg3: c_int,
        arg4: lzc_send_flags,
        arg5: u64,
        arg6: u64,
    ) -> c_int;
    pub fn lzc_send_space(
        arg1: *const c_char,
        arg2: *const c_char,
        arg3: lzc_send_flags,
        arg4: *mut u64,
    ) -> c_int;
    pub fn lzc_send_redacted(
        arg1: *const c_char,
        arg2: *const c_char,
        arg3: c_int,
        arg4: lzc_send_flags,
        arg5: *const c_char,
    ) -> c_int;
    pub fn lzc_send_resume_redacted(
        arg1: *const c_char,
        arg2: *const c_char,
        arg3: c_int,
        arg4: lzc_send_flags,
        arg5: u64,
        arg6: u64,
        arg7: *const c_char,
    ) -> c_int;
    pub fn lzc_receive(
        arg1: *const c_char,
        arg2: *mut nvlist_t,
        arg3: *const c_char,
        arg4: boolean_t,
        arg5: boolean_t,
        arg6: c_int,
    ) -> c_int;
    pub fn lzc_receive_resumable(
        arg1: *const c_char,
        arg2: *mut nvlist_t,
        arg3: *const c_char,
        arg4: boolean_t,
        arg5: boolean_t,
        arg6: c_int,
    ) -> c_int;
    pub fn lzc_receive_with_header(
        arg1: *const c_char,
        arg2: *mut nvlist_t,
        arg3: *const c_char,
        arg4: boolean_t,
        arg5: boolean_t,
        arg6: boolean_t,
        arg7: c_int,
        arg8: *const dmu_replay_record,
    ) -> c_int;
    pub fn lzc_receive_one(
        arg1: *const c_char,
        arg2: *mut nvlist_t,
        arg3: *const c_char,
        arg4: boolean_t,
        arg5: boolean_t,
        arg6: boolean_t,
        arg7: c_int,
        arg8: *const dmu_replay_record,
        arg9: c_int,
        arg10: *mut u64,
        arg11: *mut u64,
        arg12: *mut u64,
        arg13: *mut *mut nvlist_t,
    ) -> c_int;
    pub fn lzc_receive_with_cmdprops(
        arg1: *const c_char,
        arg2: *mut nvlist_t,
        arg3: *mut nvlist_t,
        arg4: *mut u8,
        arg5: uint_t,
        arg6: *const c_char,
        arg7: boolean_t,
        arg8: boolean_t,
        arg9: boolean_t,
        arg10: c_int,
        arg11: *const dmu_replay_record,
        arg12: c_int,
        arg13: *mut u64,
        arg14: *mut u64,
        arg15: *mut u64,
        arg16: *mut *mut nvlist_t,
    ) -> c_int;
    pub fn lzc_send_space_resume_redacted(
        arg1: *const c_char,
        arg2: *const c_char,
        arg3: lzc_send_flags,
        arg4: u64,
        arg5: u64,
        arg6: u64,
        arg7: *const c_char,
        arg8: c_int,
        arg9: *mut u64,
    ) -> c_int;
    pub fn lzc_exists(arg1: *const c_char) -> boolean_t;
    pub fn lzc_rollback(
        arg1: *const c_char,
        arg2: *mut c_char,
        arg3: c_int,
    ) -> c_int;
    pub fn lzc_rollback_to(
        arg1: *const c_char,
        arg2: *const c_char,
    ) -> c_int;
    pub fn lzc_rename(
        arg1: *const c_char,
        arg2: *const c_char,
    ) -> c_int;
    pub fn lzc_destroy(arg1: *const c_char) -> c_int;
    pub fn lzc_channel_program(
        arg1: *const c_char,
        arg2: *const c_char,
        arg3: u64,
        arg4: u64,
        arg5: *mut nvlist_t,
        arg6: *mut *mut nvlist_t,
    ) -> c_int;
    pub fn lzc_channel_program_nosync(
        arg1: *const c_char,
        arg2: *const c_char,
        arg3: u64,
        arg4: u64,
        arg5: *mut nvlist_t,
        arg6: *mut *mut nvlist_t,
    ) -> c_int;
    pub fn lzc_sync(
        arg1: *const c_char,
        arg2: *mut nvlist_t,
        arg3: *mut *mut nvlist_t,
    ) -> c_int;
    pub fn lzc_reopen(arg1: *const c_char, arg2: boolean_t) -> c_int;
    pub fn lzc_pool_checkpoint(arg1: *const c_char) -> c_int;
    pub fn lzc_pool_checkpoint_discard(arg1: *const c_char) -> c_int;
    pub fn lzc_wait(
        arg1: *const c_char,
        arg2: zpool_wait_activity_t,
        arg3: *mut boolean_t,
    ) -> c_int;
    pub fn lzc_wait_tag(
        arg1: *const c_char,
        arg2: zpool_wait_activity_t,
        arg3: u64,
        arg4: *mut boolean_t,
    ) -> c_int;
    pub fn lzc_wait_fs(
        arg1: *const c_char,
        arg2: zfs_wait_activity_t,
        arg3: *mut boolean_t,
    ) -> c_int;
    pub fn lzc_set_bootenv(
        arg1: *const c_char,
        arg2: *const nvlist_t,
    ) -> c_int;
    pub fn lzc_get_bootenv(
        arg1: *const c_char,
        arg2: *mut *mut nvlist_t,
    ) -> c_int;
}
