//! Sending: a snapshot, or what changed since an earlier point, as a stream.
//!
//! ```text
//! pool -> Zfs::send -> pipe -> whoever reads it
//! ```
//!
//! The kernel writes into a pipe, and the call returns when the stream is
//! whole or the pipe's reader has gone: closing the reading end is how a send
//! is cancelled. SIGPIPE is held off meanwhile. What is no pipe gets one in
//! front of it: `pump.rs`.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use crate::error::{Errno, Error, Failure, Operation};
use crate::ffi::{self, CallError};
use crate::given::Given;
use crate::name::{BookmarkName, DatasetName, SnapshotName, SnapshotOrBookmark};
use crate::zfs::Zfs;

bitflags::bitflags! {
    /// What a stream may contain.
    ///
    /// The bits are libzfs_core's (`enum lzc_send_flags`). A stream that is
    /// resumed, and every incremental stream after a full one, is best sent
    /// with the same flags.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
    pub struct SendFlags: u32 {
        /// Small blocks as they are stored within block pointers (`zfs send
        /// -e`). The receiver needs the feature `embedded_data`.
        ///
        /// Loses data with OpenZFS since #16701 (seen with 2.3.9): a spill block (extended
        /// attributes with `xattr=sa`, the target of a long symlink) that is
        /// stored within a block pointer is sent as file data, and the
        /// receiver drops it silently (openzfs/zfs#19091).
        const EMBED_DATA = 1;
        /// Blocks above 128 KiB as they are (`-L`). The receiver needs the
        /// feature `large_blocks`.
        const LARGE_BLOCK = 1 << 1;
        /// Compressed blocks as they are stored (`-c`).
        const COMPRESS = 1 << 2;
        /// Everything exactly as it is stored (`-w`): encrypted data stays
        /// encrypted, and its key need not be loaded.
        const RAW = 1 << 3;
        /// What an interrupted receive has brought so far (`-S`).
        const SAVED = 1 << 4;
    }
}

/// What to send, and how.
///
/// ```no_run
/// use std::os::fd::AsFd;
/// use zfs_core::{SendFlags, SendRequest, SnapshotName, Zfs, stream_pipe};
///
/// let zfs = Zfs::open()?;
/// let monday: SnapshotName = "tank/home@monday".parse()?;
/// let tuesday: SnapshotName = "tank/home@tuesday".parse()?;
/// let request = SendRequest::snapshot(tuesday)
///     .from(monday)
///     .flags(SendFlags::LARGE_BLOCK | SendFlags::COMPRESS);
///
/// let (reader, writer) = stream_pipe().unwrap();
/// std::thread::scope(|scope| {
///     let sender = scope.spawn(move || zfs.send(&request, writer.as_fd()));
///     let mut stream = std::fs::File::from(reader);
///     std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
///     sender.join().unwrap()
/// })?;
/// # Ok::<(), zfs_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SendRequest {
    target: Target,
    from: Option<SnapshotOrBookmark>,
    flags: SendFlags,
    resume: (u64, u64),
    already: u64,
    redaction: Option<BookmarkName>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Target {
    Snapshot(SnapshotName),
    Dataset(DatasetName),
}

impl SendRequest {
    /// A snapshot: whole, unless a source is given.
    pub fn snapshot(snapshot: SnapshotName) -> SendRequest {
        SendRequest::of(Target::Snapshot(snapshot))
    }

    /// A filesystem or volume as it is now, without a snapshot of it. It must
    /// not be mounted nor in use, and what receives it gets a snapshot.
    pub fn dataset(dataset: DatasetName) -> SendRequest {
        SendRequest::of(Target::Dataset(dataset))
    }

    /// What an interrupted, resumable receive into this dataset has brought
    /// so far (`zfs send -S`).
    ///
    /// [`Zfs::saved_request`] also looks up the source of an incremental one,
    /// and where it is kept.
    pub fn saved(dataset: DatasetName) -> SendRequest {
        SendRequest::of(Target::Dataset(dataset)).flags(SendFlags::SAVED)
    }

    fn of(target: Target) -> SendRequest {
        SendRequest {
            target,
            from: None,
            flags: SendFlags::empty(),
            resume: (0, 0),
            already: 0,
            redaction: None,
        }
    }

    /// Only what changed since this snapshot or bookmark, which must be an
    /// earlier point in the history of what is sent: on the same dataset, or
    /// on one that it is a clone of.
    #[must_use]
    pub fn from(mut self, source: impl Into<SnapshotOrBookmark>) -> SendRequest {
        self.from = Some(source.into());
        self
    }

    /// With these flags, besides those that it has.
    #[must_use]
    pub fn flags(mut self, flags: SendFlags) -> SendRequest {
        self.flags |= flags;
        self
    }

    /// From where an interrupted receive stopped: `object` and `offset` of
    /// its resume token. Source and flags must be those of the token, too:
    /// [`Zfs::resume_request`] takes all of it from the token.
    #[must_use]
    pub fn resume(mut self, object: u64, offset: u64) -> SendRequest {
        self.resume = (object, offset);
        self
    }

    /// For [`Zfs::send_space`] of a resumed send: the `bytes` of the resume
    /// token, which came through before.
    #[must_use]
    pub fn already_received(mut self, bytes: u64) -> SendRequest {
        self.already = bytes;
        self
    }

    /// Without the blocks that this redaction bookmark lists (`zfs send
    /// --redact`), which [`Zfs::redact`] made from the snapshot that is sent.
    #[must_use]
    pub fn redacted(mut self, bookmark: BookmarkName) -> SendRequest {
        self.redaction = Some(bookmark);
        self
    }

    /// What is sent, as text.
    pub fn name(&self) -> &str {
        match &self.target {
            Target::Snapshot(name) => name.as_str(),
            Target::Dataset(name) => name.as_str(),
        }
    }

    /// The incremental source.
    pub fn source(&self) -> Option<&SnapshotOrBookmark> {
        self.from.as_ref()
    }

    fn call(&self) -> ffi::Send<'_> {
        ffi::Send {
            name: self.name(),
            from: self.from.as_ref().map(SnapshotOrBookmark::as_str),
            flags: self.flags.bits(),
            resume: self.resume,
            already: self.already,
            redaction: self.redaction.as_ref().map(BookmarkName::bookmark),
        }
    }

    fn error(&self, operation: Operation, error: CallError) -> Error {
        let CallError::Zfs(errno) = error else {
            return error.on(operation, self.name());
        };
        let mut failure = Failure::new(operation, self.name(), errno);
        if let (Operation::SendSpace, Errno::EINVAL, Target::Dataset(_)) =
            (operation, errno, &self.target)
        {
            failure.detail =
                Some("ZFS estimates snapshots alone (take one, or send it unestimated)".into());
        }
        if let (Errno::EXDEV | Errno::ENODEV, Some(from)) = (errno, &self.from) {
            failure.detail = Some(format!(
                "{from} is not an earlier point of its history (compare with: \
                 zfs list -t snapshot,bookmark -o name,guid,createtxg {})",
                from.dataset()
            ));
        }
        Error::Zfs(failure)
    }

    fn dataset_name(&self) -> &DatasetName {
        match &self.target {
            Target::Snapshot(name) => name.dataset(),
            Target::Dataset(name) => name,
        }
    }

    /// The kernel looks for the source in the pool of what is sent, and for a
    /// redaction bookmark on its dataset, and says that they do not exist.
    fn check(&self, operation: Operation) -> Result<(), Error> {
        let invalid = |reason| Err(Error::invalid(operation, self.name(), reason));
        let unknown = self.flags.difference(SendFlags::all());
        if !unknown.is_empty() {
            return invalid(format!("there is no flag {:#x}", unknown.bits()));
        }
        match &self.from {
            Some(from) if from.dataset().pool() != self.dataset_name().pool() => {
                return invalid(format!("{from}, to send it from, is in another pool"));
            }
            _ => {}
        }
        match &self.redaction {
            Some(mark) if mark.dataset() != self.dataset_name() => invalid(format!(
                "{mark}, to redact it by, is a bookmark of another dataset"
            )),
            _ => Ok(()),
        }
    }
}

impl Zfs {
    /// Writes a stream into a descriptor.
    ///
    /// It returns when the whole stream is written, so where that is a pipe or
    /// a socket somebody must read meanwhile: another thread, or another
    /// process. After an error the stream is cut off, and its reader must be
    /// told that it is no good.
    ///
    /// The kernel writes into a pipe by itself. Into anything else the stream
    /// is copied through a pipe, as [`Zfs::send_to`] does: not all versions of
    /// ZFS and Linux write to other kinds of file (`/dev/null` for one), and
    /// they do not end in the same way. So it is into a pipe with O_NONBLOCK,
    /// for which the kernel would not wait. Nobody may set that flag while
    /// the stream is written.
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`]: the snapshot or its source does not exist, they are not
    /// related, the key is not loaded. Where the reader of a pipe has gone the
    /// error [is interrupted](Error::is_interrupted). [`Error::Io`]: the
    /// descriptor cannot be written to.
    pub fn send(&self, request: &SendRequest, stream: BorrowedFd<'_>) -> Result<(), Error> {
        match Given::new(stream) {
            Ok(given) if given.is_for_send() => self.send_into_pipe(request, stream),
            Ok(given) => self.send_to(request, given).map(drop),
            Err(source) => Err(Error::Io {
                operation: Operation::Send,
                name: request.name().into(),
                what: "the descriptor to write to is not a good one",
                source,
            }),
        }
    }

    pub(crate) fn send_into_pipe(
        &self,
        request: &SendRequest,
        pipe: BorrowedFd<'_>,
    ) -> Result<(), Error> {
        request.check(Operation::Send)?;
        self.lzc()?
            .send(&request.call(), pipe)
            .map_err(|error| request.error(Operation::Send, error))
    }

    /// How large the stream will be, in bytes.
    ///
    /// It is an estimate, and quick, unless the source is a bookmark of a ZFS
    /// before 2.2: then the snapshot's blocks are walked.
    ///
    /// # Errors
    ///
    /// As [`Zfs::send`], but for the descriptor and the key; and
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a
    /// [`SendRequest::dataset`] and for what an interrupted receive has saved,
    /// which ZFS does not estimate.
    pub fn send_space(&self, request: &SendRequest) -> Result<u64, Error> {
        request.check(Operation::SendSpace)?;
        self.lzc()?
            .send_space(&request.call())
            .map_err(|error| request.error(Operation::SendSpace, error))
    }
}

/// A pipe for a stream: the reading end and the writing end.
///
/// It holds 1 MiB where the system allows that, which it must be given while
/// it is empty: growing a pipe that has data in it can leave its writer asleep
/// for good (Linux bug 212295), so do not.
///
/// # Errors
///
/// The process or the system has too many open files.
pub fn stream_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    ffi::stream_pipe()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};

    use zfs_sys::lzc_send_flags as Theirs;

    use super::*;

    #[test]
    fn the_flags_are_libzfs_core_s() {
        let ours = |flag: SendFlags| flag.bits();
        assert_eq!(
            ours(SendFlags::EMBED_DATA),
            Theirs::LZC_SEND_FLAG_EMBED_DATA.0
        );
        assert_eq!(
            ours(SendFlags::LARGE_BLOCK),
            Theirs::LZC_SEND_FLAG_LARGE_BLOCK.0
        );
        assert_eq!(ours(SendFlags::COMPRESS), Theirs::LZC_SEND_FLAG_COMPRESS.0);
        assert_eq!(ours(SendFlags::RAW), Theirs::LZC_SEND_FLAG_RAW.0);
        assert_eq!(ours(SendFlags::SAVED), Theirs::LZC_SEND_FLAG_SAVED.0);
    }

    #[test]
    fn a_source_in_another_pool_is_refused_in_words() {
        let request = SendRequest::snapshot("tank/a@2".parse().unwrap())
            .from("vault/a@1".parse::<SnapshotName>().unwrap());
        let error = request.check(Operation::Send).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot send tank/a@2: vault/a@1, to send it from, is in another pool"
        );
    }

    #[test]
    fn a_stream_pipe_carries_bytes_and_ends_with_its_writer() {
        let (reader, writer) = stream_pipe().unwrap();
        File::from(writer).write_all(b"stream").unwrap();
        let mut text = String::new();
        File::from(reader).read_to_string(&mut text).unwrap();
        assert_eq!(text, "stream");
    }
}
