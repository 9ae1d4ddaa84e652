// Made by `cargo xtask bindgen` (bindgen 0.72.1): do not edit.
// From OpenZFS 2.1.11: libnvpair.h.
// Prototypes, numbers and layouts alone; the headers' texts are CDDL-1.0 and are not here.

use core::ffi::{c_char, c_int};

#[repr(C)]
#[derive(Debug)]
pub struct nvlist_t {
    _opaque: [u8; 0],
}

pub const NV_ENCODE_NATIVE: u32 = 0;
pub const NV_ENCODE_XDR: u32 = 1;
crate::symbols::required! {
    pub struct NvPair;

    pub fn nvlist_free(arg1: *mut nvlist_t);
    pub fn nvlist_size(
        arg1: *mut nvlist_t,
        arg2: *mut usize,
        arg3: c_int,
    ) -> c_int;
    pub fn nvlist_pack(
        arg1: *mut nvlist_t,
        arg2: *mut *mut c_char,
        arg3: *mut usize,
        arg4: c_int,
        arg5: c_int,
    ) -> c_int;
    pub fn nvlist_unpack(
        arg1: *mut c_char,
        arg2: usize,
        arg3: *mut *mut nvlist_t,
        arg4: c_int,
    ) -> c_int;
}
