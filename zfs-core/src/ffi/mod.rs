//! The border to C: the only place of this crate with `unsafe` in it.
//!
//! ```text
//! names, NvList -> CString, nvlist_t -> libzfs_core -> errno, nvlist_t -> CallError, NvList
//! ```
//!
//! What goes in is borrowed for the whole call: C strings and lists live in
//! variables of the calling function, never in a closure's temporary (other
//! crates hand C the pointer of a string that is gone by then). What comes
//! out is copied and freed before the call returns.
#![allow(unsafe_code)]

pub(crate) mod account;
mod alone;
mod calls;
pub(crate) mod ioctl;
pub(crate) mod mount;
mod nvlist;
mod pipe;
mod pool;
pub(crate) mod process;
mod signal;
mod stream;
mod wait;

use std::borrow::Cow;
use std::os::raw::c_int;

use crate::error::{Errno, Error, Operation};

pub(crate) use calls::{Answer, DatasetType, Lzc};
pub(crate) use pipe::{plain_pipe, stream_pipe};
pub(crate) use pool::{Limits, Trim};
pub(crate) use signal::{undisturbed, uninterrupted};
pub(crate) use stream::{Receive, Send};
pub(crate) use wait::{Wait, is_nonblocking, set_nonblocking, wait, wait_for};

/// Why a call did not succeed, before it is known on what it was.
#[derive(Debug)]
pub(crate) enum CallError {
    /// ZFS or libnvpair answered with a number.
    Zfs(Errno),
    /// A list that was to go in cannot.
    Request(zfs_stream::Error),
    /// Something was asked for that cannot be, whatever ZFS would say.
    Invalid(String),
    /// A list that came out cannot be read.
    Answer(zfs_stream::Error),
    /// The library has no such function, or the kernel no such property.
    Unsupported {
        what: Cow<'static, str>,
        since: &'static str,
    },
}

impl From<zfs_stream::Error> for CallError {
    fn from(error: zfs_stream::Error) -> CallError {
        CallError::Request(error)
    }
}

impl CallError {
    fn check(errno: c_int) -> Result<(), CallError> {
        match errno {
            0 => Ok(()),
            errno => Err(CallError::Zfs(Errno(errno))),
        }
    }

    /// Where the kernel does not know the request, or an argument of it, the
    /// release that brought `what` is named instead of a number.
    pub(crate) fn or_unsupported(self, what: &'static str, since: &'static str) -> CallError {
        match self {
            CallError::Zfs(
                Errno::ZFS_ERR_IOC_CMD_UNAVAIL | Errno::ZFS_ERR_IOC_ARG_UNAVAIL | Errno::ENOTTY,
            ) => CallError::Unsupported {
                what: what.into(),
                since,
            },
            other => other,
        }
    }

    /// The error for users, who want to know what it was about.
    pub(crate) fn on(self, operation: Operation, name: impl Into<String>) -> Error {
        match self {
            CallError::Zfs(errno) => Error::zfs(operation, name, errno),
            CallError::Request(source) => Error::Nvlist {
                operation,
                name: name.into(),
                source,
            },
            CallError::Invalid(reason) => Error::invalid(operation, name, reason),
            CallError::Answer(source) => Error::UnexpectedAnswer {
                operation,
                name: name.into(),
                reason: source.to_string(),
            },
            CallError::Unsupported { what, since } => Error::Unsupported {
                what: what.into_owned(),
                since,
            },
        }
    }
}
