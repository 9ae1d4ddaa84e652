// Made by `cargo xtask bindgen` (bindgen 0.72.1): do not edit.
// From OpenZFS 2.3.9: libzfs_core.h.
// Prototypes, numbers and layouts alone; the headers' texts are CDDL-1.0 and are not here.

use core::ffi::{c_char, c_int, c_uint};

use super::nvpair::nvlist_t;

impl zpool_prefetch_type_t {
    pub const ZPOOL_PREFETCH_NONE: zpool_prefetch_type_t = zpool_prefetch_type_t(0);
    pub const ZPOOL_PREFETCH_DDT: zpool_prefetch_type_t = zpool_prefetch_type_t(1);
}
#[repr(transparent)]
#[derive(Debug, Copy, Clone, Hash, PartialEq, Eq)]
pub struct zpool_prefetch_type_t(pub c_uint);
impl zpool_ddt_prune_unit_t {
    pub const ZPOOL_DDT_PRUNE_NONE: zpool_ddt_prune_unit_t = zpool_ddt_prune_unit_t(0);
    pub const ZPOOL_DDT_PRUNE_AGE: zpool_ddt_prune_unit_t = zpool_ddt_prune_unit_t(1);
    pub const ZPOOL_DDT_PRUNE_PERCENTAGE: zpool_ddt_prune_unit_t = zpool_ddt_prune_unit_t(2);
}
#[repr(transparent)]
#[derive(Debug, Copy, Clone, Hash, PartialEq, Eq)]
pub struct zpool_ddt_prune_unit_t(pub c_uint);
crate::symbols::optional! {
    pub struct V2_3;

    pub fn lzc_get_props(
        arg1: *const c_char,
        arg2: *mut *mut nvlist_t,
    ) -> c_int;
    pub fn lzc_pool_prefetch(
        arg1: *const c_char,
        arg2: zpool_prefetch_type_t,
    ) -> c_int;
    pub fn lzc_ddt_prune(
        arg1: *const c_char,
        arg2: zpool_ddt_prune_unit_t,
        arg3: u64,
    ) -> c_int;
}
