//! The records of a send stream: read, taken apart, written.
//!
//! ```text
//! file | pipe | memory -> [ Reader | SliceReader ] -> RawRecord -> Record
//! Record -> [ Writer ] -> file | pipe | memory
//! ```
//!
//! A stream is a sequence of records, each a header of 312 bytes and a payload
//! whose length the header tells. It begins with a BEGIN and ends with an END;
//! compound streams (`zfs send -R`, `-I`, `-p`, `-h`) hold several such, after
//! a BEGIN of their own with an nvlist. Numbers are in the sender's byte order,
//! which the BEGIN's magic number shows.
//!
//! Reading is lossless: a [`RawRecord`] is the very bytes of the stream, and
//! [`Writer::copy`] writes them again. [`RawRecord::parse`] gives the fields.
//!
//! ```
//! use zfs_stream::nvlist::ByteOrder;
//! use zfs_stream::record::{Begin, End, Free, Record, SliceReader, Writer};
//!
//! let mut stream = Vec::new();
//! let mut writer = Writer::new(&mut stream, ByteOrder::Little);
//! let begin = Begin { version_info: 1, to_guid: 42, ..Begin::default() };
//! writer.write(&Record::Begin(begin), &[])?;
//! let free = Free { object: 7, length: u64::MAX, to_guid: 42, ..Free::default() };
//! writer.write(&Record::Free(free), &[])?;
//! writer.write(&Record::End(End { to_guid: 42, ..End::default() }), &[])?;
//!
//! let mut copy = Vec::new();
//! let mut writer = Writer::new(&mut copy, ByteOrder::Little);
//! for record in SliceReader::new(&stream) {
//!     writer.copy(&record?)?;
//! }
//! assert_eq!(copy, stream);
//! # Ok::<(), zfs_stream::Error>(())
//! ```
//!
//! Sources: `include/sys/zfs_ioctl.h`, `module/zfs/dmu_send.c` and
//! `module/zfs/dmu_recv.c` of OpenZFS.

mod features;
mod fields;
mod object_type;
mod raw;
mod reader;
mod writer;

pub use features::{BeginFlags, Features, flags};
pub use fields::{
    Begin, End, Free, FreeObjects, Object, ObjectRange, Redact, Spill, Write, WriteByref,
    WriteEmbedded,
};
#[cfg(feature = "compress")]
pub(crate) use object_type::holds_bytes;
pub(crate) use object_type::is_metadata;
pub use raw::{Header, RawRecord};
pub(crate) use reader::Position;
pub use reader::{Limits, Reader, SliceReader};
pub use writer::Writer;

use std::fmt;

/// The length of every record's header, in bytes.
pub const HEADER_LEN: usize = 312;

/// Where the record's own checksum stands in the header, in every type but
/// BEGIN.
pub const CHECKSUM_AT: usize = 280;

/// What a BEGIN has at byte 8 (`DMU_BACKUP_MAGIC`).
pub const MAGIC: u64 = 0x2_F5BA_CBAC;

/// The longest block that ZFS knows, in bytes (`SPA_MAXBLOCKSIZE`).
pub const MAX_BLOCK: u64 = 16 << 20;

/// The kinds of records, with their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum RecordType {
    /// The beginning of a stream or substream.
    Begin = 0,
    /// An object's dnode.
    Object = 1,
    /// Objects that do not exist.
    FreeObjects = 2,
    /// A block.
    Write = 3,
    /// A hole.
    Free = 4,
    /// The end of a stream or substream.
    End = 5,
    /// A block that equals one before.
    WriteByref = 6,
    /// A spill block.
    Spill = 7,
    /// A block embedded in its pointer.
    WriteEmbedded = 8,
    /// The encryption of a block of dnodes.
    ObjectRange = 9,
    /// A range that was left out on purpose.
    Redact = 10,
}

impl RecordType {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::Begin,
        Self::Object,
        Self::FreeObjects,
        Self::Write,
        Self::Free,
        Self::End,
        Self::WriteByref,
        Self::Spill,
        Self::WriteEmbedded,
        Self::ObjectRange,
        Self::Redact,
    ];

    /// The type of that number, if there is one.
    pub fn from_raw(number: u32) -> Option<Self> {
        Self::ALL.get(number as usize).copied()
    }

    /// Its number.
    pub fn to_raw(self) -> u32 {
        self as u32
    }

    /// Its name as ZFS writes it, without the prefix.
    pub fn name(self) -> &'static str {
        match self {
            Self::Begin => "BEGIN",
            Self::Object => "OBJECT",
            Self::FreeObjects => "FREEOBJECTS",
            Self::Write => "WRITE",
            Self::Free => "FREE",
            Self::End => "END",
            Self::WriteByref => "WRITE_BYREF",
            Self::Spill => "SPILL",
            Self::WriteEmbedded => "WRITE_EMBEDDED",
            Self::ObjectRange => "OBJECT_RANGE",
            Self::Redact => "REDACT",
        }
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A record's fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The beginning of a stream or substream.
    Begin(Begin),
    /// An object's dnode.
    Object(Object),
    /// Objects that do not exist.
    FreeObjects(FreeObjects),
    /// A block.
    Write(Write),
    /// A hole.
    Free(Free),
    /// The end of a stream or substream.
    End(End),
    /// A block that equals one before.
    WriteByref(WriteByref),
    /// A spill block.
    Spill(Spill),
    /// A block embedded in its pointer.
    WriteEmbedded(WriteEmbedded),
    /// The encryption of a block of dnodes.
    ObjectRange(ObjectRange),
    /// A range that was left out on purpose.
    Redact(Redact),
}

impl Record {
    /// Its type.
    pub fn record_type(&self) -> RecordType {
        match self {
            Self::Begin(_) => RecordType::Begin,
            Self::Object(_) => RecordType::Object,
            Self::FreeObjects(_) => RecordType::FreeObjects,
            Self::Write(_) => RecordType::Write,
            Self::Free(_) => RecordType::Free,
            Self::End(_) => RecordType::End,
            Self::WriteByref(_) => RecordType::WriteByref,
            Self::Spill(_) => RecordType::Spill,
            Self::WriteEmbedded(_) => RecordType::WriteEmbedded,
            Self::ObjectRange(_) => RecordType::ObjectRange,
            Self::Redact(_) => RecordType::Redact,
        }
    }

    /// The GUID of the snapshot whose stream it is in.
    pub fn to_guid(&self) -> u64 {
        match self {
            Self::Begin(record) => record.to_guid,
            Self::Object(record) => record.to_guid,
            Self::FreeObjects(record) => record.to_guid,
            Self::Write(record) => record.to_guid,
            Self::Free(record) => record.to_guid,
            Self::End(record) => record.to_guid,
            Self::WriteByref(record) => record.to_guid,
            Self::Spill(record) => record.to_guid,
            Self::WriteEmbedded(record) => record.to_guid,
            Self::ObjectRange(record) => record.to_guid,
            Self::Redact(record) => record.to_guid,
        }
    }

    /// The object it is about, the first of several; `None` for BEGIN and END.
    pub fn object(&self) -> Option<u64> {
        match self {
            Self::Begin(_) | Self::End(_) => None,
            Self::Object(record) => Some(record.object),
            Self::FreeObjects(record) => Some(record.first_object),
            Self::Write(record) => Some(record.object),
            Self::Free(record) => Some(record.object),
            Self::WriteByref(record) => Some(record.object),
            Self::Spill(record) => Some(record.object),
            Self::WriteEmbedded(record) => Some(record.object),
            Self::ObjectRange(record) => Some(record.first_object),
            Self::Redact(record) => Some(record.object),
        }
    }

    /// Where in the object, in bytes, for records that are about a range.
    pub fn offset(&self) -> Option<u64> {
        match self {
            Self::Write(record) => Some(record.offset),
            Self::Free(record) => Some(record.offset),
            Self::WriteByref(record) => Some(record.offset),
            Self::WriteEmbedded(record) => Some(record.offset),
            Self::Redact(record) => Some(record.offset),
            _ => None,
        }
    }

    /// The length of the payload that the fields tell, in bytes. A BEGIN's is
    /// not among its fields and given as 0.
    pub fn payload_len(&self) -> u64 {
        match self {
            Self::Object(record) if record.raw_bonus_len != 0 => u64::from(record.raw_bonus_len),
            Self::Object(record) => u64::from(record.bonus_len).next_multiple_of(8),
            Self::Write(record) if record.compression != 0 => record.compressed_size,
            Self::Write(record) => record.logical_size,
            Self::Spill(record) if record.compressed_size != 0 => record.compressed_size,
            Self::Spill(record) => record.length,
            Self::WriteEmbedded(record) => u64::from(record.physical_size).next_multiple_of(8),
            _ => 0,
        }
    }
}

/// Why bytes cannot be taken for records, or records not be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The bytes do not begin with a BEGIN record.
    #[error("it does not begin with a BEGIN record{}", hint(*found))]
    NotAStream {
        /// What it begins with.
        found: [u8; 8],
    },
    /// A BEGIN record without the magic number.
    #[error("a BEGIN record without ZFS' magic number")]
    BadMagic,
    /// A record of a type that ZFS does not have.
    #[error("unknown record type {0}")]
    UnknownType(u32),
    /// A payload that is longer than [`Limits`] allow.
    #[error("the payload of a {record_type} claims {length} bytes, more than {limit}")]
    PayloadTooLong {
        /// The record's type.
        record_type: RecordType,
        /// What it claims.
        length: u64,
        /// What is allowed.
        limit: u64,
    },
    /// The stream ends inside a header.
    #[error("it ends inside a header: {found} of {HEADER_LEN} bytes are there")]
    TruncatedHeader {
        /// How many bytes of it there are.
        found: usize,
    },
    /// The stream ends inside a payload.
    #[error("it ends inside the payload of a {record_type}: {found} of {length} bytes are there")]
    TruncatedPayload {
        /// The record's type.
        record_type: RecordType,
        /// How many bytes of it there are.
        found: usize,
        /// How many there should be.
        length: usize,
    },
    /// A payload to be written that is not as long as its record tells.
    #[error("a {record_type} tells of {stated} bytes of payload, and {given} were given")]
    PayloadMismatch {
        /// The record's type.
        record_type: RecordType,
        /// What the fields tell.
        stated: u64,
        /// What was given.
        given: u64,
    },
}

/// What a file that is no stream often is.
fn hint(found: [u8; 8]) -> &'static str {
    match found {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => " (it is compressed with zstd)",
        [0x1f, 0x8b, ..] => " (it is compressed with gzip)",
        [0xfd, b'7', b'z', b'X', b'Z', ..] => " (it is compressed with xz)",
        [0x04, 0x22, 0x4d, 0x18, ..] => " (it is compressed with lz4)",
        [b'B', b'Z', b'h', ..] => " (it is compressed with bzip2)",
        _ => "",
    }
}

#[cfg(test)]
pub(crate) mod tests;
