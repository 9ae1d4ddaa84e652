//! libzfs_core's functions with Rust's types.
//!
//! All of them may be called from any thread at any time: each is one ioctl
//! on a descriptor that [`Lib::load`] opened and nobody closes.

use std::ffi::{CStr, CString, c_char, c_int};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use zfs_stream::nvlist::NvList;
use zfs_sys::{Lib, boolean_t, lzc_dataset_type};

use super::CallError;
use super::nvlist::CNvlist;
use crate::error::{Errno, Error};
use crate::key::WrappingKey;

/// `zc_name` and its kin: the longest name and C's closing zero.
const NAME_BUFFER: u16 = 256;

/// What a call on many names says: a number, and a list of those that failed,
/// each with its own. Some calls fill the list and return 0 all the same.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) errno: Option<Errno>,
    pub(crate) list: NvList,
}

#[derive(Clone, Copy)]
pub(crate) enum DatasetType {
    Filesystem,
    Volume,
}

/// libzfs_core, loaded and initialised.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lzc {
    pub(super) lib: &'static Lib,
}

pub(super) fn boolean(value: bool) -> boolean_t {
    if value {
        boolean_t::B_TRUE
    } else {
        boolean_t::B_FALSE
    }
}

/// A name for C. The types of `name.rs` allow no zero byte in it; were there
/// one all the same, ZFS must not see half of the name.
pub(super) fn c_name(name: &str) -> Result<CString, CallError> {
    CString::new(name).map_err(|_| CallError::Zfs(Errno::EINVAL))
}

pub(super) fn c_optional(name: Option<&str>) -> Result<Option<CString>, CallError> {
    name.map(c_name).transpose()
}

/// The pointer of a string that stays where it is: the borrow keeps it alive
/// in the caller's variable.
pub(super) fn pointer(name: Option<&CString>) -> *const c_char {
    name.map_or(ptr::null(), |name| name.as_ptr())
}

/// Key bytes for C, which wants a `uint8_t *` and only reads from it.
pub(super) fn key_pointer(key: Option<&WrappingKey>) -> (*mut u8, u32) {
    match key {
        Some(key) => (key.bytes().as_ptr().cast_mut(), key.bytes().len() as u32),
        None => (ptr::null_mut(), 0),
    }
}

impl Lzc {
    pub(crate) fn open() -> Result<Lzc, Error> {
        Ok(Lzc { lib: Lib::load()? })
    }

    /// For calls that answer with a list, whatever they return: `function`
    /// gets the place for the list.
    pub(super) fn answer(
        self,
        function: impl FnOnce(*mut *mut zfs_sys::nvlist_t) -> c_int,
    ) -> Result<Answer, CallError> {
        // Calls on an empty list return 0 without touching the place.
        let mut out = CNvlist::none(self.lib);
        let errno = function(out.out());
        Ok(Answer {
            errno: (errno != 0).then_some(Errno(errno)),
            list: out.read()?,
        })
    }

    /// For calls that answer with a list where they succeed.
    pub(super) fn list(
        self,
        function: impl FnOnce(*mut *mut zfs_sys::nvlist_t) -> c_int,
    ) -> Result<NvList, CallError> {
        let answer = self.answer(function)?;
        match answer.errno {
            None => Ok(answer.list),
            Some(errno) => Err(CallError::Zfs(errno)),
        }
    }

    pub(crate) fn exists(self, name: &str) -> Result<bool, CallError> {
        let name = c_name(name)?;
        // SAFETY: a C string that outlives the call.
        let exists = unsafe { self.lib.core.lzc_exists(name.as_ptr()) };
        Ok(exists != boolean_t::B_FALSE)
    }

    pub(crate) fn create(
        self,
        name: &str,
        kind: DatasetType,
        properties: &NvList,
        key: Option<&WrappingKey>,
    ) -> Result<(), CallError> {
        let name = c_name(name)?;
        let properties = CNvlist::new(self.lib, properties)?;
        let kind = match kind {
            DatasetType::Filesystem => lzc_dataset_type::LZC_DATSET_TYPE_ZFS,
            DatasetType::Volume => lzc_dataset_type::LZC_DATSET_TYPE_ZVOL,
        };
        let (key, length) = key_pointer(key);
        // SAFETY: string, list and key outlive the call, which reads them.
        CallError::check(unsafe {
            self.lib
                .core
                .lzc_create(name.as_ptr(), kind, properties.as_ptr(), key, length)
        })
    }

    pub(crate) fn clone_snapshot(
        self,
        name: &str,
        origin: &str,
        properties: &NvList,
    ) -> Result<(), CallError> {
        let name = c_name(name)?;
        let origin = c_name(origin)?;
        let properties = CNvlist::new(self.lib, properties)?;
        // SAFETY: both strings and the list outlive the call.
        CallError::check(unsafe {
            self.lib
                .core
                .lzc_clone(name.as_ptr(), origin.as_ptr(), properties.as_ptr())
        })
    }

    /// Where it fails with EEXIST, the second value is the snapshot that is
    /// in conflict.
    pub(crate) fn promote(self, name: &str) -> Result<(), (CallError, String)> {
        let name = c_name(name).map_err(|error| (error, String::new()))?;
        let mut conflict = [0_u8; NAME_BUFFER as usize];
        // SAFETY: the string outlives the call, and the buffer has the length
        // that is passed.
        let errno = unsafe {
            self.lib.core.lzc_promote(
                name.as_ptr(),
                conflict.as_mut_ptr().cast(),
                NAME_BUFFER.into(),
            )
        };
        CallError::check(errno).map_err(|error| (error, text(&conflict)))
    }

    pub(crate) fn rename(self, from: &str, to: &str) -> Result<(), CallError> {
        let from = c_name(from)?;
        let to = c_name(to)?;
        // SAFETY: both strings outlive the call.
        CallError::check(unsafe { self.lib.core.lzc_rename(from.as_ptr(), to.as_ptr()) })
    }

    pub(crate) fn destroy(self, name: &str) -> Result<(), CallError> {
        let name = c_name(name)?;
        // SAFETY: the string outlives the call.
        CallError::check(unsafe { self.lib.core.lzc_destroy(name.as_ptr()) })
    }

    pub(crate) fn snapshot(
        self,
        snapshots: &NvList,
        properties: Option<&NvList>,
    ) -> Result<Answer, CallError> {
        let snapshots = CNvlist::new(self.lib, snapshots)?;
        let properties = CNvlist::optional(self.lib, properties)?;
        // SAFETY: the lists outlive the call; null properties are none.
        self.answer(|out| unsafe {
            self.lib
                .core
                .lzc_snapshot(snapshots.as_ptr(), properties.as_ptr(), out)
        })
    }

    pub(crate) fn destroy_snapshots(
        self,
        snapshots: &NvList,
        defer: bool,
    ) -> Result<Answer, CallError> {
        let snapshots = CNvlist::new(self.lib, snapshots)?;
        // SAFETY: the list outlives the call.
        self.answer(|out| unsafe {
            self.lib
                .core
                .lzc_destroy_snaps(snapshots.as_ptr(), boolean(defer), out)
        })
    }

    pub(crate) fn hold(
        self,
        holds: &NvList,
        until_closed: Option<BorrowedFd<'_>>,
    ) -> Result<Answer, CallError> {
        let holds = CNvlist::new(self.lib, holds)?;
        let fd = until_closed.map_or(-1, |fd| fd.as_raw_fd());
        // SAFETY: the list outlives the call, and the descriptor is open or -1.
        self.answer(|out| unsafe { self.lib.core.lzc_hold(holds.as_ptr(), fd, out) })
    }

    pub(crate) fn release(self, holds: &NvList) -> Result<Answer, CallError> {
        let holds = CNvlist::new(self.lib, holds)?;
        // SAFETY: the list outlives the call.
        self.answer(|out| unsafe { self.lib.core.lzc_release(holds.as_ptr(), out) })
    }

    pub(crate) fn get_holds(self, snapshot: &str) -> Result<NvList, CallError> {
        let snapshot = c_name(snapshot)?;
        // SAFETY: the string outlives the call.
        self.list(|out| unsafe { self.lib.core.lzc_get_holds(snapshot.as_ptr(), out) })
    }

    pub(crate) fn bookmark(self, bookmarks: &NvList) -> Result<Answer, CallError> {
        let bookmarks = CNvlist::new(self.lib, bookmarks)?;
        // SAFETY: the list outlives the call.
        self.answer(|out| unsafe { self.lib.core.lzc_bookmark(bookmarks.as_ptr(), out) })
    }

    pub(crate) fn get_bookmarks(
        self,
        dataset: &str,
        properties: &NvList,
    ) -> Result<NvList, CallError> {
        let dataset = c_name(dataset)?;
        let properties = CNvlist::new(self.lib, properties)?;
        // SAFETY: string and list outlive the call.
        self.list(|out| unsafe {
            self.lib
                .core
                .lzc_get_bookmarks(dataset.as_ptr(), properties.as_ptr(), out)
        })
    }

    pub(crate) fn get_bookmark_properties(self, bookmark: &str) -> Result<NvList, CallError> {
        let bookmark = c_name(bookmark)?;
        // SAFETY: the string outlives the call.
        self.list(|out| unsafe { self.lib.core.lzc_get_bookmark_props(bookmark.as_ptr(), out) })
    }

    pub(crate) fn destroy_bookmarks(self, bookmarks: &NvList) -> Result<Answer, CallError> {
        let bookmarks = CNvlist::new(self.lib, bookmarks)?;
        // SAFETY: the list outlives the call.
        self.answer(|out| unsafe { self.lib.core.lzc_destroy_bookmarks(bookmarks.as_ptr(), out) })
    }

    /// Answers the name of the snapshot it went back to.
    pub(crate) fn rollback(self, dataset: &str) -> Result<String, CallError> {
        let dataset = c_name(dataset)?;
        let mut target = [0_u8; NAME_BUFFER as usize];
        // SAFETY: the string outlives the call, and the buffer has the length
        // that is passed.
        let errno = unsafe {
            self.lib.core.lzc_rollback(
                dataset.as_ptr(),
                target.as_mut_ptr().cast(),
                NAME_BUFFER.into(),
            )
        };
        CallError::check(errno).map(|()| text(&target))
    }

    pub(crate) fn rollback_to(self, dataset: &str, snapshot: &str) -> Result<(), CallError> {
        let dataset = c_name(dataset)?;
        let snapshot = c_name(snapshot)?;
        // SAFETY: both strings outlive the call.
        CallError::check(unsafe {
            self.lib
                .core
                .lzc_rollback_to(dataset.as_ptr(), snapshot.as_ptr())
        })
    }

    pub(crate) fn load_key(
        self,
        dataset: &str,
        key: &WrappingKey,
        only_check: bool,
    ) -> Result<(), CallError> {
        let dataset = c_name(dataset)?;
        let (key, length) = key_pointer(Some(key));
        // SAFETY: string and key outlive the call, which reads them.
        CallError::check(unsafe {
            self.lib
                .core
                .lzc_load_key(dataset.as_ptr(), boolean(only_check), key, length)
        })
    }

    pub(crate) fn unload_key(self, dataset: &str) -> Result<(), CallError> {
        let dataset = c_name(dataset)?;
        // SAFETY: the string outlives the call.
        CallError::check(unsafe { self.lib.core.lzc_unload_key(dataset.as_ptr()) })
    }

    pub(crate) fn change_key(
        self,
        dataset: &str,
        command: u64,
        properties: Option<&NvList>,
        key: Option<&WrappingKey>,
    ) -> Result<(), CallError> {
        let dataset = c_name(dataset)?;
        let properties = CNvlist::optional(self.lib, properties)?;
        let (key, length) = key_pointer(key);
        // SAFETY: string, list and key outlive the call; null ones are none.
        CallError::check(unsafe {
            self.lib.core.lzc_change_key(
                dataset.as_ptr(),
                command,
                properties.as_ptr(),
                key,
                length,
            )
        })
    }
}

/// What stands in a buffer that C filled, up to its zero.
fn text(buffer: &[u8]) -> String {
    CStr::from_bytes_until_nul(buffer)
        .map(|text| text.to_string_lossy().into_owned())
        .unwrap_or_default()
}
