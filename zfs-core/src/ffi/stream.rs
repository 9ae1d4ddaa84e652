//! Sending, receiving, and what belongs to them.

use std::os::fd::{AsRawFd, BorrowedFd};

use zfs_stream::nvlist::NvList;
use zfs_sys::{dmu_replay_record, lzc_send_flags};

use super::CallError;
use super::alone::alone;
use super::calls::{Lzc, boolean, c_name, c_optional, key_pointer, pointer};
use super::nvlist::CNvlist;
use crate::key::WrappingKey;

/// The arguments of `lzc_send_resume_redacted` and `lzc_send_space_resume_redacted`.
pub(crate) struct Send<'a> {
    pub(crate) name: &'a str,
    pub(crate) from: Option<&'a str>,
    pub(crate) flags: u32,
    /// Object and offset to resume at; 0, 0 is the beginning.
    pub(crate) resume: (u64, u64),
    /// Bytes that came through before, for the estimate.
    pub(crate) already: u64,
    /// The short name of a redaction bookmark.
    pub(crate) redaction: Option<&'a str>,
}

/// The arguments of `lzc_receive_with_cmdprops` and `…_with_heal`.
pub(crate) struct Receive<'a> {
    pub(crate) snapshot: &'a str,
    pub(crate) received: Option<&'a NvList>,
    pub(crate) local: Option<&'a NvList>,
    pub(crate) key: Option<&'a WrappingKey>,
    pub(crate) origin: Option<&'a str>,
    pub(crate) force: bool,
    pub(crate) heal: bool,
    pub(crate) resumable: bool,
    pub(crate) begin: &'a [u8; 312],
}

impl Lzc {
    pub(crate) fn send(self, send: &Send<'_>, fd: BorrowedFd<'_>) -> Result<(), CallError> {
        let name = c_name(send.name)?;
        let from = c_optional(send.from)?;
        let redaction = c_optional(send.redaction)?;
        let (object, offset) = send.resume;
        // SAFETY: the strings outlive the call, null ones are none, and
        // the descriptor is open for as long as it is borrowed.
        CallError::check(alone(fd, self.lib.device(), || unsafe {
            self.lib.core.lzc_send_resume_redacted(
                name.as_ptr(),
                pointer(from.as_ref()),
                fd.as_raw_fd(),
                lzc_send_flags(send.flags),
                object,
                offset,
                pointer(redaction.as_ref()),
            )
        }))
    }

    pub(crate) fn send_space(self, send: &Send<'_>) -> Result<u64, CallError> {
        let name = c_name(send.name)?;
        let from = c_optional(send.from)?;
        let redaction = c_optional(send.redaction)?;
        let (object, offset) = send.resume;
        let mut space = 0;
        // SAFETY: the strings outlive the call, null ones are none, as is
        // descriptor -1.
        CallError::check(unsafe {
            self.lib.core.lzc_send_space_resume_redacted(
                name.as_ptr(),
                pointer(from.as_ref()),
                lzc_send_flags(send.flags),
                object,
                offset,
                send.already,
                pointer(redaction.as_ref()),
                -1,
                &raw mut space,
            )
        })?;
        Ok(space)
    }

    /// Answers the bytes that were read after the begin record, and the list
    /// of properties that could not be set.
    pub(crate) fn receive(
        self,
        receive: &Receive<'_>,
        fd: BorrowedFd<'_>,
    ) -> Result<(u64, NvList), CallError> {
        let heal = match (receive.heal, self.lib.v2_2.lzc_receive_with_heal) {
            (false, _) => None,
            (true, Some(function)) => Some(function),
            (true, None) => {
                return Err(CallError::Unsupported {
                    what: "corrective receive".into(),
                    since: "2.2",
                });
            }
        };
        let snapshot = c_name(receive.snapshot)?;
        let origin = c_optional(receive.origin)?;
        let received = CNvlist::optional(self.lib, receive.received)?;
        let local = CNvlist::optional(self.lib, receive.local)?;
        let begin = dmu_replay_record(*receive.begin);
        let (key, key_length) = key_pointer(receive.key);
        let (mut bytes, mut error_flags) = (0_u64, 0_u64);
        let mut unused_action = 0_u64;
        // The flag `raw` does nothing but choose the newer of two ioctls,
        // which alone knows streams with a payload; it takes every stream, so
        // that there is one way to receive, and one to test.
        let raw = boolean(true);
        let errors = self.list(|out| {
            // SAFETY: strings, lists, record and key outlive the call; null
            // ones are none; the places for numbers and list are ours; the
            // descriptor is open for as long as it is borrowed. The begin
            // record has C's size and alignment.
            alone(fd, self.lib.device(), || unsafe {
                match heal {
                    None => self.lib.core.lzc_receive_with_cmdprops(
                        snapshot.as_ptr(),
                        received.as_ptr(),
                        local.as_ptr(),
                        key,
                        key_length,
                        pointer(origin.as_ref()),
                        boolean(receive.force),
                        boolean(receive.resumable),
                        raw,
                        fd.as_raw_fd(),
                        &raw const begin,
                        -1,
                        &raw mut bytes,
                        &raw mut error_flags,
                        &raw mut unused_action,
                        out,
                    ),
                    Some(receive_with_heal) => receive_with_heal(
                        snapshot.as_ptr(),
                        received.as_ptr(),
                        local.as_ptr(),
                        key,
                        key_length,
                        pointer(origin.as_ref()),
                        boolean(receive.force),
                        boolean(true),
                        boolean(receive.resumable),
                        raw,
                        fd.as_raw_fd(),
                        &raw const begin,
                        -1,
                        &raw mut bytes,
                        &raw mut error_flags,
                        &raw mut unused_action,
                        out,
                    ),
                }
            })
        })?;
        Ok((bytes, errors))
    }

    /// `bookmark` is a short name, and comes to be on the snapshot's dataset.
    pub(crate) fn redact(
        self,
        snapshot: &str,
        bookmark: &str,
        redaction: &NvList,
    ) -> Result<(), CallError> {
        let snapshot = c_name(snapshot)?;
        let bookmark = c_name(bookmark)?;
        let redaction = CNvlist::new(self.lib, redaction)?;
        // SAFETY: both strings and the list outlive the call.
        CallError::check(unsafe {
            self.lib
                .core
                .lzc_redact(snapshot.as_ptr(), bookmark.as_ptr(), redaction.as_ptr())
        })
    }

    pub(crate) fn snapshot_range_space(self, first: &str, last: &str) -> Result<u64, CallError> {
        let first = c_name(first)?;
        let last = c_name(last)?;
        let mut space = 0;
        // SAFETY: both strings outlive the call, and the number is ours.
        CallError::check(unsafe {
            self.lib
                .core
                .lzc_snaprange_space(first.as_ptr(), last.as_ptr(), &raw mut space)
        })?;
        Ok(space)
    }
}
