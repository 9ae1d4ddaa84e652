// Made by `cargo xtask bindgen` (bindgen 0.72.1): do not edit.
// From OpenZFS 2.3.9: libzfs_core.h, sys/zfs_ioctl.h.
// Prototypes, numbers and layouts alone; the headers' texts are CDDL-1.0 and are not here.

use core::ffi::{c_char, c_int, c_uint};

use super::v2_1::boolean_t;

#[repr(C, align(8))]
#[derive(Debug, Copy, Clone)]
pub struct dmu_replay_record(pub [u8; 312]);

pub const ZFS_MAX_DATASET_NAME_LEN: u32 = 256;
pub const ZPROP_VALUE: &[u8; 6] = b"value\0";
pub const ZPROP_SOURCE: &[u8; 7] = b"source\0";
pub const ZPROP_SOURCE_VAL_RECVD: &[u8; 7] = b"$recvd\0";
pub const ZPROP_N_MORE_ERRORS: &[u8; 14] = b"N_MORE_ERRORS\0";
impl dmu_objset_type {
    pub const DMU_OST_NONE: dmu_objset_type = dmu_objset_type(0);
    pub const DMU_OST_META: dmu_objset_type = dmu_objset_type(1);
    pub const DMU_OST_ZFS: dmu_objset_type = dmu_objset_type(2);
    pub const DMU_OST_ZVOL: dmu_objset_type = dmu_objset_type(3);
    pub const DMU_OST_OTHER: dmu_objset_type = dmu_objset_type(4);
    pub const DMU_OST_ANY: dmu_objset_type = dmu_objset_type(5);
    pub const DMU_OST_NUMTYPES: dmu_objset_type = dmu_objset_type(6);
}
#[repr(transparent)]
#[derive(Debug, Copy, Clone, Hash, PartialEq, Eq)]
pub struct dmu_objset_type(pub c_uint);
pub use self::dmu_objset_type as dmu_objset_type_t;
impl dmu_objset_flag_t {
    pub const DDS_FLAG_ENCRYPTED: dmu_objset_flag_t = dmu_objset_flag_t(1);
    pub const DDS_FLAG_HAS_ENCRYPTED: dmu_objset_flag_t = dmu_objset_flag_t(128);
}
#[repr(transparent)]
#[derive(Debug, Copy, Clone, Hash, PartialEq, Eq)]
pub struct dmu_objset_flag_t(pub c_uint);
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct dmu_objset_stats {
    pub dds_num_clones: u64,
    pub dds_creation_txg: u64,
    pub dds_guid: u64,
    pub dds_type: dmu_objset_type_t,
    pub dds_is_snapshot: u8,
    pub dds_inconsistent: u8,
    pub dds_redacted: u8,
    pub dds_origin: [c_char; 256usize],
    pub dds_flags: u8,
}
pub type dmu_objset_stats_t = dmu_objset_stats;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct zfs_stat {
    pub zs_gen: u64,
    pub zs_mode: u64,
    pub zs_links: u64,
    pub zs_ctime: [u64; 2usize],
}
pub type zfs_stat_t = zfs_stat;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct drr_begin {
    pub drr_magic: u64,
    pub drr_versioninfo: u64,
    pub drr_creation_time: u64,
    pub drr_type: dmu_objset_type_t,
    pub drr_flags: u32,
    pub drr_toguid: u64,
    pub drr_fromguid: u64,
    pub drr_toname: [c_char; 256usize],
}
#[repr(C)]
#[repr(align(8))]
pub struct zinject_record {
    pub _bindgen_opaque_blob: [u64; 44usize],
}
pub type zinject_record_t = zinject_record;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct zfs_share {
    pub z_exportdata: u64,
    pub z_sharedata: u64,
    pub z_sharetype: u64,
    pub z_sharemax: u64,
}
pub type zfs_share_t = zfs_share;
#[repr(C)]
pub struct zfs_cmd {
    pub zc_name: [c_char; 4096usize],
    pub zc_nvlist_src: u64,
    pub zc_nvlist_src_size: u64,
    pub zc_nvlist_dst: u64,
    pub zc_nvlist_dst_size: u64,
    pub zc_nvlist_dst_filled: boolean_t,
    pub zc_pad2: c_int,
    pub zc_history: u64,
    pub zc_value: [c_char; 8192usize],
    pub zc_string: [c_char; 256usize],
    pub zc_guid: u64,
    pub zc_nvlist_conf: u64,
    pub zc_nvlist_conf_size: u64,
    pub zc_cookie: u64,
    pub zc_objset_type: u64,
    pub zc_perm_action: u64,
    pub zc_history_len: u64,
    pub zc_history_offset: u64,
    pub zc_obj: u64,
    pub zc_iflags: u64,
    pub zc_share: zfs_share_t,
    pub zc_objset_stats: dmu_objset_stats_t,
    pub zc_begin_record: drr_begin,
    pub zc_inject_record: zinject_record_t,
    pub zc_defer_destroy: u32,
    pub zc_flags: u32,
    pub zc_action_handle: u64,
    pub zc_cleanup_fd: c_int,
    pub zc_simple: u8,
    pub zc_pad: [u8; 3usize],
    pub zc_sendobj: u64,
    pub zc_fromobj: u64,
    pub zc_createtxg: u64,
    pub zc_stat: zfs_stat_t,
    pub zc_zoneid: u64,
}
pub type zfs_cmd_t = zfs_cmd;
