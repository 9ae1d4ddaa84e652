//! The crate's one error type.

use crate::nvlist::{DataType, Problem};

/// What this crate's functions return.
pub type Result<T> = std::result::Result<T, Error>;

/// Everything that can go wrong in this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes that are not a packed nvlist.
    #[error("not a valid packed nvlist: {problem} (at byte {offset})")]
    Nvlist {
        /// Where in the packed bytes it was seen.
        offset: usize,
        /// What was seen there.
        problem: Problem,
    },

    /// A list that libnvpair could not pack either: nested deeper than
    /// [`nvlist::MAX_DEPTH`](crate::nvlist::MAX_DEPTH), or 2 GiB or more.
    #[error("the nvlist cannot be packed: {problem}")]
    NvlistUnpackable {
        /// Which limit it exceeds.
        problem: Problem,
    },

    /// An nvlist name or string with a NUL byte in it, which its encodings
    /// cannot express.
    #[error("an nvlist string cannot hold a NUL byte (at byte {offset} of {length})")]
    EmbeddedNul {
        /// Where the NUL is.
        offset: usize,
        /// How long the string is, in bytes.
        length: usize,
    },

    /// An nvlist name longer than
    /// [`nvlist::MAX_NAME_LEN`](crate::nvlist::MAX_NAME_LEN) bytes.
    #[error(
        "an nvlist name of {length} bytes is too long (at most {} fit)",
        crate::nvlist::MAX_NAME_LEN
    )]
    NameTooLong {
        /// How long the name is, in bytes.
        length: usize,
    },

    /// A pair that had to be there is not.
    #[error("the nvlist has no {name:?}")]
    NvlistMissing {
        /// The name that was looked for.
        name: String,
    },

    /// A pair is there but holds another type.
    #[error("the nvlist's {name:?} is of type {found}, not {wanted}")]
    NvlistType {
        /// The name that was looked for.
        name: String,
        /// The type that was asked for.
        wanted: DataType,
        /// The type that it has.
        found: DataType,
    },

    /// Text that is not a resume token.
    #[cfg(feature = "token")]
    #[error("not a valid resume token: {problem}")]
    Token {
        /// What is wrong with it.
        problem: crate::token::Problem,
    },

    /// A resume token whose contents are not a token's.
    #[cfg(feature = "token")]
    #[error("the resume token's contents are not valid")]
    TokenContents {
        /// What is wrong with them.
        source: Box<Error>,
    },

    /// A resume token for something else than what is at hand.
    #[cfg(feature = "token")]
    #[error("the resume token does not fit: {mismatch}")]
    TokenMismatch {
        /// What differs.
        mismatch: crate::token::Mismatch,
    },

    /// Bytes that are not a send stream, or records that cannot be one.
    #[cfg(feature = "stream")]
    #[error("not a valid send stream: {problem} (record {record}, at byte {offset})")]
    Stream {
        /// Where the record begins, in bytes from the stream's start.
        offset: u64,
        /// Which record it is; the first is 0.
        record: u64,
        /// What is wrong.
        problem: crate::record::Problem,
    },

    /// A stream that `zfs receive` would refuse.
    #[cfg(feature = "stream")]
    #[error("the send stream is damaged: {finding}")]
    Damaged {
        /// What is wrong, and where.
        finding: Box<crate::verify::Finding>,
    },

    /// The source failed while a stream was checked.
    #[cfg(feature = "stream")]
    #[error("cannot read on at byte {offset}")]
    Unreadable {
        /// Up to where it was read, in bytes from the stream's start.
        offset: u64,
        /// What was found before.
        report: Box<crate::verify::Report>,
        /// What the source said.
        source: std::io::Error,
    },

    /// A stream that cannot be changed as it was asked for.
    #[cfg(feature = "compress")]
    #[error("the send stream cannot be changed: {problem} (record {record}, at byte {offset})")]
    Change {
        /// Where the record begins, in bytes from the stream's start.
        offset: u64,
        /// Which record it is; the first is 0.
        record: u64,
        /// Why not.
        problem: Box<crate::change::Problem>,
    },

    /// Reading or writing failed.
    #[error("reading or writing failed")]
    Io(#[from] std::io::Error),
}
