//! How far a send has come.

use std::os::fd::{AsRawFd, BorrowedFd};

use crate::error::{Errno, Error, Operation};
use crate::ffi::CallError;
use crate::name::SnapshotName;
use crate::zfs::Zfs;

/// How far a send has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendProgress {
    /// Bytes written into the descriptor so far.
    pub bytes_written: u64,
    /// Blocks of the dataset that were looked at: it goes on while an
    /// incremental send finds nothing to write.
    pub blocks_visited: u64,
}

impl Zfs {
    /// How far this process' send of `snapshot` into `stream` has come; none
    /// where no such send is running (yet, or any more).
    ///
    /// The kernel finds the send by the descriptor's number and the process:
    /// it must be the very descriptor that the send was given, a pipe that the
    /// kernel writes into by itself ([`Zfs::send`]), and another process' sends
    /// cannot be asked about.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] cannot be told from a send that is not running;
    /// any other answer of the kernel is [`Error::Zfs`].
    pub fn send_progress(
        &self,
        snapshot: &SnapshotName,
        stream: BorrowedFd<'_>,
    ) -> Result<Option<SendProgress>, Error> {
        let fd = u64::try_from(stream.as_raw_fd()).unwrap_or(u64::MAX);
        match self.device.send_progress(snapshot.as_str(), fd) {
            Ok((bytes_written, blocks_visited)) => Ok(Some(SendProgress {
                bytes_written,
                blocks_visited,
            })),
            Err(CallError::Zfs(Errno::ENOENT)) => Ok(None),
            Err(error) => Err(error.on(Operation::SendProgress, snapshot.as_str())),
        }
    }
}
