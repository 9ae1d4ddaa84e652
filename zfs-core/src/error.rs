//! What can go wrong, in sentences.
//!
//! A refusal by ZFS is a [`Failure`]: what was attempted, on which name, and
//! the number that came back. Its text says what that number means for that
//! operation and what to do, and [`Failure::kind`] says it to programs. Calls
//! on many names at once fail with [`Error::Several`], which keeps the
//! failure of each.

mod errno;
mod meaning;
mod operation;

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::key::KeyFormat;
use crate::mount::MountProblem;
use crate::name::Guid;
use crate::property::PropertyError;

pub use errno::Errno;
pub use operation::Operation;

/// Shorthand for what the calls of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something on ZFS could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name that cannot be one.
    #[error("{name:?} is not the name of a {what}: {problem}")]
    InvalidName {
        /// What it should have named: pool, dataset, snapshot or bookmark.
        what: &'static str,
        /// The name, cut at 256 characters.
        name: String,
        /// What is wrong with it.
        problem: NameProblem,
    },

    /// Something that was asked for cannot be, whatever ZFS would say.
    #[error("cannot {operation} {name}: {reason}")]
    InvalidRequest {
        /// What was attempted.
        operation: Operation,
        /// On what.
        name: String,
        /// What is wrong with the request, and how it would be right.
        reason: String,
    },

    /// There is no ZFS to talk to on this machine, or not for this user.
    #[error(transparent)]
    Unavailable(#[from] zfs_sys::LoadError),

    /// The ZFS on this machine is too old for it.
    #[error("{what} needs OpenZFS {since} or later")]
    Unsupported {
        /// What was asked for.
        what: String,
        /// The release that brought it.
        since: &'static str,
    },

    /// ZFS refused.
    #[error(transparent)]
    Zfs(Failure),

    /// ZFS refused a call on several names.
    ///
    /// Unless the call's own documentation says otherwise, nothing was done
    /// for any of them.
    #[error("{}", several(failures, *more))]
    Several {
        /// What is known of each name that failed, at least one.
        failures: Vec<Failure>,
        /// How many more failed, of which ZFS did not tell the names.
        more: u64,
    },

    /// Properties that could not be set; those that are not named are set.
    #[error("cannot set properties of {name}: {}", properties(errors))]
    Properties {
        /// The dataset or snapshot.
        name: String,
        /// What is known of each property that failed, at least one.
        errors: Vec<PropertyError>,
    },

    /// What ZFS answered makes no sense to this crate.
    #[error("cannot {operation} {name}: the answer of ZFS is not understood: {reason}")]
    UnexpectedAnswer {
        /// What was attempted.
        operation: Operation,
        /// On what.
        name: String,
        /// What is odd about the answer.
        reason: String,
    },

    /// Names and values that no list for ZFS can hold, such as a text with a
    /// zero byte in it.
    #[error("cannot {operation} {name}: {source}")]
    Nvlist {
        /// What was attempted.
        operation: Operation,
        /// On what.
        name: String,
        /// What is wrong with the list.
        source: zfs_stream::Error,
    },

    /// What was given as a key is none of that format.
    #[error("{origin} is not a {format} key: {found} ({advice})")]
    InvalidKey {
        /// Where it came from: a file perhaps.
        origin: String,
        /// What it should have been.
        format: KeyFormat,
        /// What was there, without a byte of it.
        found: String,
        /// How to make a right one.
        advice: String,
    },

    /// A file with a key in it that cannot be read.
    #[error("cannot read the key in {}: {source}", path.display())]
    KeyFile {
        /// The file; `-` for a reader.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// A key that is kept on a web server.
    #[error(
        "the key is at {location}, and nothing is fetched from there \
         (fetch it, and give it as a file or on a prompt: curl --fail {location} | zfs-ctl load-key -L prompt …)"
    )]
    KeyNotFetched {
        /// The property `keylocation`.
        location: String,
    },

    /// A path that cannot be where a key is kept.
    #[error("{0:?} cannot be a key's location: an absolute path without . and .. is wanted")]
    InvalidKeyLocation(PathBuf),

    /// Another thread gave the word to stop ([`Cancel`](crate::Cancel)).
    #[error("cannot {operation} {name}: it was cancelled")]
    Cancelled {
        /// What was going on.
        operation: Operation,
        /// On what.
        name: String,
    },

    /// A channel program did not come to its end.
    ///
    /// What it changed before stays changed.
    #[error("the channel program on pool {pool} failed: {problem}")]
    Program {
        /// The pool.
        pool: String,
        /// What went wrong.
        problem: ProgramProblem,
    },

    /// What was to be received is not a stream that can be.
    #[error("cannot receive {name}: {problem}")]
    Stream {
        /// The snapshot that was to be received.
        name: String,
        /// What is wrong with the stream.
        problem: StreamProblem,
    },

    /// Something cannot be mounted or unmounted.
    #[error("cannot {operation} {name}: {problem}")]
    Mount {
        /// What was attempted.
        operation: Operation,
        /// On what.
        name: String,
        /// Why not.
        problem: MountProblem,
    },

    /// An operation of the system that was needed on the way.
    #[error("cannot {operation} {name}: {what}: {source}")]
    Io {
        /// What was attempted.
        operation: Operation,
        /// On what.
        name: String,
        /// The step that failed.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// What ZFS answered to one operation on one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What was attempted.
    pub operation: Operation,
    /// On what.
    pub name: String,
    /// What came back.
    pub errno: Errno,
    /// What else is known: the holds that are in the way, the snapshot that
    /// is in conflict.
    pub detail: Option<String>,
}

/// Sorts of failure that programs react to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// What was named, or what it needs, does not exist.
    NotFound,
    /// What was to be made exists already.
    Exists,
    /// It is in use, mounted, or in the middle of something else.
    Busy,
    /// A snapshot is held (or busy: ZFS has one number for both).
    Held,
    /// A snapshot has clones.
    HasClones,
    /// A dataset has datasets below it.
    HasChildren,
    /// The user may not do that.
    PermissionDenied,
    /// The pool is read-only.
    ReadOnly,
    /// The pool's I/O is suspended.
    Suspended,
    /// The pool is full, or a quota reached.
    NoSpace,
    /// What was named is in different pools.
    CrossPool,
    /// An incremental source, base or bookmark source has no common history
    /// with the rest.
    Unrelated,
    /// The destination of a receive was changed since its last snapshot.
    Modified,
    /// A rollback would have to destroy newer snapshots.
    NotLatest,
    /// An encryption key is needed and not loaded.
    KeyUnavailable,
    /// The encryption key is not the right one.
    WrongKey,
    /// The encryption key is loaded already.
    KeyLoaded,
    /// The dataset uses the key of another one.
    NotEncryptionRoot,
    /// A stream is damaged, foreign, or not one at all.
    BadStream,
    /// A stream ended before its end.
    StreamTruncated,
    /// It was interrupted, or the other end of the pipe went away.
    Interrupted,
    /// A feature that the pool, the kernel module or the library lacks.
    NotSupported,
    /// Data on the pool cannot be read.
    Damaged,
    /// Names, properties or options that make no sense together.
    Invalid,
    /// There is no ZFS on this machine.
    Unavailable,
    /// Anything else.
    Other,
}

/// What is wrong with a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameProblem {
    /// It has more bytes than ZFS allows.
    #[error("it has {bytes} bytes and may have {max}")]
    TooLong {
        /// How many bytes it has.
        bytes: usize,
        /// How many it may have.
        max: usize,
    },
    /// It begins with a slash.
    #[error("it begins with a slash")]
    LeadingSlash,
    /// It ends with a slash.
    #[error("it ends with a slash")]
    TrailingSlash,
    /// There is nothing between two slashes, or before or after a delimiter.
    #[error("a component of it is empty")]
    EmptyComponent,
    /// A character that ZFS does not allow in names.
    #[error("{0:?} is not allowed in it (letters, digits, '-', '_', '.', ':' and space are)")]
    Character(char),
    /// A snapshot's or bookmark's delimiter where none belongs.
    #[error("{0:?} does not belong in it")]
    Delimiter(char),
    /// The delimiter that makes it a snapshot's or bookmark's name is absent.
    #[error("it has no {0:?}")]
    Missing(char),
    /// A component is `.`.
    #[error("a component of it is \".\"")]
    SelfReference,
    /// A component is `..`.
    #[error("a component of it is \"..\"")]
    ParentReference,
    /// The pool's name does not begin with a letter.
    #[error("a pool's name begins with a letter")]
    PoolNoLetter,
    /// The pool's name is a word that ZFS keeps for itself.
    #[error("this pool name is reserved by ZFS")]
    Reserved,
}

/// What went wrong with a channel program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramProblem {
    /// It is not Lua; nothing of it was run.
    #[error("syntax error: {0}")]
    Syntax(String),
    /// It raised an error, or called a function as that must not be called;
    /// the text is Lua's, with the trace of calls.
    #[error("{0}")]
    Runtime(String),
    /// It executed more instructions than its limit.
    #[error("it was ended at its limit of {limit} instructions{}", after(details.as_ref()))]
    InstructionLimit {
        /// The limit.
        limit: u64,
        /// Where it was, where Lua says so.
        details: Option<String>,
    },
    /// It needed more memory than its limit.
    #[error("it was ended at its limit of {limit} bytes of memory")]
    MemoryLimit {
        /// The limit, in bytes.
        limit: u64,
    },
    /// What it returned does not fit into an answer.
    #[error("what it returned is too large to be handed over")]
    ResultTooLarge,
    /// A signal ended it.
    #[error("it was interrupted{}", after(.0.as_ref()))]
    Interrupted(Option<String>),
}

fn after(details: Option<&String>) -> String {
    details.map_or_else(String::new, |details| format!(": {details}"))
}

/// What is wrong with the beginning of a stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamProblem {
    /// There was nothing in it.
    #[error("the stream is empty: its sender ended before it wrote anything")]
    Empty,
    /// It ended within its first record.
    #[error("the stream ends after {bytes} bytes, within its first record")]
    Truncated {
        /// How many bytes there were.
        bytes: usize,
    },
    /// It does not begin as a stream does.
    #[error("this is not a ZFS send stream (compressed perhaps, or the output of something else)")]
    NotAStream,
    /// It is a package of streams or has properties with it.
    #[error("this is a package as zfs send -R, -p and -b make it, not a single stream")]
    Package,
    /// It is of a clone, and no origin was given.
    #[error(
        "the stream is of a clone; say which snapshot here is its origin \
         (the one with GUID {origin})"
    )]
    NeedsOrigin {
        /// The GUID of the origin.
        origin: Guid,
    },
    /// It was made with `zfs send -D`.
    #[error(
        "the stream is deduplicated, which no ZFS receives since 2.0 (zstream redup FILE undoes it)"
    )]
    Deduplicated,
    /// It needed to be raw and is not.
    #[error("the stream is not raw, and only a raw one is wanted")]
    NotRaw,
}

impl Failure {
    pub(crate) fn new(operation: Operation, name: impl Into<String>, errno: Errno) -> Failure {
        Failure {
            operation,
            name: name.into(),
            errno,
            detail: None,
        }
    }

    /// What sort of failure it is, the operation considered.
    pub fn kind(&self) -> ErrorKind {
        meaning::of(self.operation, self.errno).map_or(ErrorKind::Other, |meaning| meaning.kind)
    }

    /// What happened, in a half-sentence: "it exists already".
    pub fn what(&self) -> String {
        match meaning::of(self.operation, self.errno) {
            Some(meaning) => self.fill(meaning.what),
            None if self.errno.name().is_some_and(|n| n.starts_with("ZFS")) => {
                format!("ZFS answered {}", self.errno)
            }
            None => format!("ZFS answered {}", io::Error::from(self.errno)),
        }
    }

    /// What to do about it, if that is known: a command, or a sentence.
    pub fn advice(&self) -> Option<String> {
        let meaning = meaning::of(self.operation, self.errno)?;
        if !meaning.advice.is_empty() {
            return Some(self.fill(meaning.advice));
        }
        let permission = self.operation.permission()?;
        (meaning.kind == ErrorKind::PermissionDenied).then(|| {
            format!(
                "run as root, or: zfs allow USER {permission} {}",
                self.dataset()
            )
        })
    }

    fn dataset(&self) -> &str {
        self.name.split(['@', '#']).next().unwrap_or_default()
    }

    fn fill(&self, text: &str) -> String {
        let pool = self.dataset().split('/').next().unwrap_or_default();
        text.replace("{name}", &self.name)
            .replace("{dataset}", self.dataset())
            .replace("{pool}", pool)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match &self.detail {
            Some(detail) => Cow::Borrowed(detail.as_str()),
            None => Cow::Owned(self.what()),
        };
        write!(f, "cannot {} {}: {what}", self.operation, self.name)?;
        match self.advice() {
            Some(advice) if self.detail.is_none() => write!(f, " ({advice})"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

/// Everything that failed, on one line: errors end up in logs.
fn several(failures: &[Failure], more: u64) -> String {
    let mut parts: Vec<_> = failures.iter().map(Failure::to_string).collect();
    if more > 0 {
        parts.push(format!("and {more} more that ZFS does not name"));
    }
    parts.join("; ")
}

fn properties(errors: &[PropertyError]) -> String {
    let texts: Vec<String> = errors
        .iter()
        .map(|error| format!("{}: {}", error.property, error.failure.what()))
        .collect();
    texts.join("; ")
}

impl From<zfs_sys::DeviceError> for Error {
    fn from(error: zfs_sys::DeviceError) -> Error {
        Error::Unavailable(error.into())
    }
}

impl Error {
    pub(crate) fn zfs(operation: Operation, name: impl Into<String>, errno: Errno) -> Error {
        Error::Zfs(Failure::new(operation, name, errno))
    }

    pub(crate) fn invalid(
        operation: Operation,
        name: impl Into<String>,
        reason: impl Into<String>,
    ) -> Error {
        Error::InvalidRequest {
            operation,
            name: name.into(),
            reason: reason.into(),
        }
    }

    /// What ZFS answered, for each name of which that is known. Empty where
    /// the error did not come from ZFS.
    pub fn failures(&self) -> &[Failure] {
        match self {
            Error::Zfs(failure) => std::slice::from_ref(failure),
            Error::Several { failures, .. } => failures,
            _ => &[],
        }
    }

    /// What sort of error it is. Several failures have the kind that they
    /// share, or [`ErrorKind::Other`].
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::InvalidName { .. }
            | Error::InvalidRequest { .. }
            | Error::InvalidKey { .. }
            | Error::InvalidKeyLocation(_)
            | Error::KeyNotFetched { .. }
            | Error::Nvlist { .. } => ErrorKind::Invalid,
            Error::Unavailable(_) => ErrorKind::Unavailable,
            Error::Unsupported { .. } => ErrorKind::NotSupported,
            Error::Zfs(failure) => failure.kind(),
            Error::Several { failures, more } => {
                let mut kinds = failures.iter().map(Failure::kind);
                match kinds.next() {
                    Some(kind) if *more == 0 && kinds.all(|other| other == kind) => kind,
                    _ => ErrorKind::Other,
                }
            }
            Error::Properties { errors, .. } => {
                let mut kinds = errors.iter().map(|error| error.failure.kind());
                match kinds.next() {
                    Some(kind) if kinds.all(|other| other == kind) => kind,
                    _ => ErrorKind::Other,
                }
            }
            Error::Stream { problem, .. } => match problem {
                StreamProblem::Empty | StreamProblem::Truncated { .. } => {
                    ErrorKind::StreamTruncated
                }
                StreamProblem::NeedsOrigin { .. } => ErrorKind::Unrelated,
                _ => ErrorKind::BadStream,
            },
            Error::Cancelled { .. } => ErrorKind::Interrupted,
            Error::Program { problem, .. } => match problem {
                ProgramProblem::Syntax(_) => ErrorKind::Invalid,
                ProgramProblem::Interrupted(_) => ErrorKind::Interrupted,
                _ => ErrorKind::Other,
            },
            Error::Mount { problem, .. } => problem.kind(),
            Error::KeyFile { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => ErrorKind::NotFound,
                io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
                _ => ErrorKind::Other,
            },
            Error::UnexpectedAnswer { .. } | Error::Io { .. } => ErrorKind::Other,
        }
    }

    /// What was named, or what it needs, does not exist.
    pub fn is_not_found(&self) -> bool {
        self.kind() == ErrorKind::NotFound
    }

    /// What was to be made exists already.
    pub fn is_exists(&self) -> bool {
        self.kind() == ErrorKind::Exists
    }

    /// It is in use, mounted or held.
    pub fn is_busy(&self) -> bool {
        matches!(self.kind(), ErrorKind::Busy | ErrorKind::Held)
    }

    /// The user may not do that.
    pub fn is_permission(&self) -> bool {
        self.kind() == ErrorKind::PermissionDenied
    }

    /// There is no ZFS on this machine, or not for this user.
    pub fn is_unavailable(&self) -> bool {
        self.kind() == ErrorKind::Unavailable
    }

    /// The pool, the kernel module or the library lacks a feature.
    pub fn is_unsupported(&self) -> bool {
        self.kind() == ErrorKind::NotSupported
    }

    /// It was interrupted, or the other end of the pipe went away.
    pub fn is_interrupted(&self) -> bool {
        self.kind() == ErrorKind::Interrupted
    }
}

#[cfg(test)]
mod tests;
