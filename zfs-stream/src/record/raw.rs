//! A record as the bytes it is.

use super::fields::{Bytes, checksum_at, u32_at, u64_at};
use super::{
    Begin, CHECKSUM_AT, End, Free, FreeObjects, Object, ObjectRange, Record, RecordType, Redact,
    Spill, Write, WriteByref, WriteEmbedded,
};
use crate::fletcher::Checksum;
use crate::nvlist::ByteOrder;

/// A record's header as it stands in the stream.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    bytes: &'a Bytes,
    order: ByteOrder,
    record_type: RecordType,
}

impl<'a> Header<'a> {
    /// Takes bytes as a header of that order; `None` if ZFS has no record of
    /// its type.
    pub fn new(bytes: &'a [u8; super::HEADER_LEN], order: ByteOrder) -> Option<Self> {
        Some(Self {
            bytes,
            order,
            record_type: RecordType::from_raw(u32_at(bytes, 0, order))?,
        })
    }

    /// The bytes.
    pub fn bytes(&self) -> &'a [u8; super::HEADER_LEN] {
        self.bytes
    }

    /// The byte order of its numbers.
    pub fn order(&self) -> ByteOrder {
        self.order
    }

    /// The record's type.
    pub fn record_type(&self) -> RecordType {
        self.record_type
    }

    /// The length of the payload, in bytes.
    pub fn payload_len(&self) -> u64 {
        let number = |at| u64::from(u32_at(self.bytes, at, self.order));
        let long = |at| u64_at(self.bytes, at, self.order);
        match self.record_type {
            RecordType::Begin => number(4),
            RecordType::Object => match number(36) {
                0 => number(28).next_multiple_of(8),
                raw => raw,
            },
            RecordType::Write => match self.bytes.get(50) {
                Some(0) | None => long(32),
                Some(_) => long(96),
            },
            RecordType::Spill => match long(40) {
                0 => long(16),
                compressed => compressed,
            },
            RecordType::WriteEmbedded => number(52).next_multiple_of(8),
            _ => 0,
        }
    }

    /// The record's own checksum: of everything before it since the BEGIN.
    /// `None` for a BEGIN, which has none; zero if the record is not checked.
    pub fn checksum(&self) -> Option<Checksum> {
        match self.record_type {
            RecordType::Begin => None,
            _ => Some(checksum_at(self.bytes, CHECKSUM_AT, self.order)),
        }
    }

    /// The fields.
    pub fn parse(&self) -> Record {
        let (bytes, order) = (self.bytes, self.order);
        match self.record_type {
            RecordType::Begin => Record::Begin(Begin::read(bytes, order)),
            RecordType::Object => Record::Object(Object::read(bytes, order)),
            RecordType::FreeObjects => Record::FreeObjects(FreeObjects::read(bytes, order)),
            RecordType::Write => Record::Write(Write::read(bytes, order)),
            RecordType::Free => Record::Free(Free::read(bytes, order)),
            RecordType::End => Record::End(End::read(bytes, order)),
            RecordType::WriteByref => Record::WriteByref(WriteByref::read(bytes, order)),
            RecordType::Spill => Record::Spill(Spill::read(bytes, order)),
            RecordType::WriteEmbedded => Record::WriteEmbedded(WriteEmbedded::read(bytes, order)),
            RecordType::ObjectRange => Record::ObjectRange(ObjectRange::read(bytes, order)),
            RecordType::Redact => Record::Redact(Redact::read(bytes, order)),
        }
    }

    /// Whether this is the all-zero END that closes a compound stream.
    pub fn is_final_end(&self) -> bool {
        self.record_type == RecordType::End
            && self
                .bytes
                .get(4..)
                .is_some_and(|rest| rest.iter().all(|&byte| byte == 0))
    }
}

/// A record as it stands in the stream, borrowed from the reader.
#[derive(Clone, Copy, Debug)]
pub struct RawRecord<'a> {
    /// Where it begins in the stream, in bytes.
    pub offset: u64,
    /// Which record of the stream it is; the first is 0.
    pub number: u64,
    /// Its header.
    pub header: Header<'a>,
    /// What follows the header.
    pub payload: &'a [u8],
}

impl RawRecord<'_> {
    /// The record's type.
    pub fn record_type(&self) -> RecordType {
        self.header.record_type()
    }

    /// The fields.
    pub fn parse(&self) -> Record {
        self.header.parse()
    }

    /// Its length with header and payload, in bytes.
    pub fn stream_len(&self) -> u64 {
        super::HEADER_LEN as u64 + self.payload.len() as u64
    }
}
