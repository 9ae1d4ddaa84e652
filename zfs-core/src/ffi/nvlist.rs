//! Lists between this crate and libnvpair.
//!
//! ```text
//! NvList -> encode -> nvlist_unpack -> nvlist_t      nvlist_t -> nvlist_pack -> decode -> NvList
//! ```
//!
//! One call each way whatever the list holds, instead of one per pair.

use std::ffi::c_int;
use std::ptr;

use zfs_stream::nvlist::{ByteOrder, Encoding, NvList};
use zfs_sys::{Lib, nvlist_t};

use super::CallError;

/// `NV_ENCODE_NATIVE`, with the sign that the C parameters have.
const ENCODE_NATIVE: c_int = 0;

/// A list in libnvpair's memory, freed when it goes.
pub(super) struct CNvlist {
    raw: *mut nvlist_t,
    lib: &'static Lib,
}

impl CNvlist {
    /// No list, for functions that answer with one: pass [`CNvlist::out`].
    pub(super) fn none(lib: &'static Lib) -> CNvlist {
        CNvlist {
            raw: ptr::null_mut(),
            lib,
        }
    }

    pub(super) fn new(lib: &'static Lib, list: &NvList) -> Result<CNvlist, CallError> {
        let mut packed = list
            .encode(Encoding::Native, ByteOrder::NATIVE)
            .map_err(CallError::Request)?;
        let mut raw = ptr::null_mut();
        // SAFETY: `packed` is valid for its length and libnvpair copies out of
        // it; `raw` is written on success only and stays null otherwise.
        let error = unsafe {
            lib.nvpair
                .nvlist_unpack(packed.as_mut_ptr().cast(), packed.len(), &raw mut raw, 0)
        };
        CallError::check(error)?;
        Ok(CNvlist { raw, lib })
    }

    /// As [`CNvlist::new`], and no list for none.
    pub(super) fn optional(lib: &'static Lib, list: Option<&NvList>) -> Result<CNvlist, CallError> {
        match list {
            Some(list) => CNvlist::new(lib, list),
            None => Ok(CNvlist::none(lib)),
        }
    }

    /// For a C parameter that is read.
    pub(super) fn as_ptr(&self) -> *mut nvlist_t {
        self.raw
    }

    /// For a C parameter that is written: a list freed with this one. It must
    /// hold none yet.
    pub(super) fn out(&mut self) -> *mut *mut nvlist_t {
        debug_assert!(self.raw.is_null());
        &raw mut self.raw
    }

    /// What is in it; nothing where C left it alone.
    pub(super) fn read(&self) -> Result<NvList, CallError> {
        if self.raw.is_null() {
            return Ok(NvList::new());
        }
        let mut size = 0_usize;
        // SAFETY: `raw` is a list that libzfs_core or libnvpair made and that
        // nobody else has.
        let error = unsafe {
            self.lib
                .nvpair
                .nvlist_size(self.raw, &raw mut size, ENCODE_NATIVE)
        };
        CallError::check(error)?;
        // libnvpair writes 64-bit numbers in place: words keep it aligned.
        let mut words = vec![0_u64; size.div_ceil(8)];
        let mut buffer = words.as_mut_ptr().cast();
        // SAFETY: as above; the buffer has the size that nvlist_size asked for
        // and is not null, so that libnvpair packs into it and allocates none.
        let error = unsafe {
            self.lib
                .nvpair
                .nvlist_pack(self.raw, &raw mut buffer, &raw mut size, ENCODE_NATIVE, 0)
        };
        CallError::check(error)?;
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        NvList::decode(bytes.get(..size).unwrap_or(&bytes)).map_err(CallError::Answer)
    }
}

impl Drop for CNvlist {
    fn drop(&mut self) {
        if !self.raw.is_null() {
            // SAFETY: this is the only owner of the list.
            unsafe { self.lib.nvpair.nvlist_free(self.raw) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_libnvpair_s() {
        assert_eq!(u32::try_from(ENCODE_NATIVE), Ok(zfs_sys::NV_ENCODE_NATIVE));
    }
}
