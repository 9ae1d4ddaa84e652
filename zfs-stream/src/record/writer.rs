//! Making streams from records.
//!
//! ```text
//! record, payload -> [ header -> checksum ] -> sink
//! ```

use std::io::{self, IoSlice};

use super::fields::{Bytes, put_checksum, put_u32};
use super::{CHECKSUM_AT, HEADER_LEN, Problem, RawRecord, Record, RecordType};
use crate::fletcher::Checksum;
use crate::nvlist::ByteOrder;
use crate::{Error, Result};

/// Writes records so that they are a valid stream: it computes every checksum.
///
/// It does not check that the records make sense in their order; the
/// verifier does.
#[derive(Debug)]
pub struct Writer<W> {
    sink: W,
    order: ByteOrder,
    sums: Checksum,
    offset: u64,
    number: u64,
}

impl<W: io::Write> Writer<W> {
    /// Writes a stream of that byte order.
    pub fn new(sink: W, order: ByteOrder) -> Self {
        Self {
            sink,
            order,
            sums: Checksum::ZERO,
            offset: 0,
            number: 0,
        }
    }

    /// How many records were written.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// From here on records are written in that byte order: a substream may
    /// have another one than that before it.
    pub fn set_order(&mut self, order: ByteOrder) {
        self.order = order;
    }

    /// How many bytes were written.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Gives the sink back.
    pub fn into_inner(self) -> W {
        self.sink
    }

    /// Writes a record. Its checksum, a BEGIN's payload length and the checksum
    /// in an END are set here, whatever the fields say.
    ///
    /// # Errors
    ///
    /// [`Error::Stream`] if the payload is not as long as the fields tell,
    /// [`Error::Io`] from the sink.
    pub fn write(&mut self, record: &Record, payload: &[u8]) -> Result<()> {
        let record_type = record.record_type();
        let given = payload.len() as u64;
        let stated = match record {
            // The length of an nvlist is a 32-bit number.
            Record::Begin(_) => given.min(u64::from(u32::MAX)),
            _ => record.payload_len(),
        };
        if stated != given {
            return Err(self.error(Problem::PayloadMismatch {
                record_type,
                stated,
                given,
            }));
        }
        let mut bytes: Bytes = [0; HEADER_LEN];
        let order = self.order;
        put_u32(&mut bytes, 0, record_type.to_raw(), order);
        match record {
            Record::Begin(record) => {
                put_u32(&mut bytes, 4, payload.len() as u32, order);
                record.write(&mut bytes, order);
            }
            Record::Object(record) => record.write(&mut bytes, order),
            Record::FreeObjects(record) => record.write(&mut bytes, order),
            Record::Write(record) => record.write(&mut bytes, order),
            Record::Free(record) => record.write(&mut bytes, order),
            Record::End(record) => record.write(&mut bytes, order),
            Record::WriteByref(record) => record.write(&mut bytes, order),
            Record::Spill(record) => record.write(&mut bytes, order),
            Record::WriteEmbedded(record) => record.write(&mut bytes, order),
            Record::ObjectRange(record) => record.write(&mut bytes, order),
            Record::Redact(record) => record.write(&mut bytes, order),
        }
        self.sum_and_put(record_type, &mut bytes, payload, true)
    }

    /// Ends the header of a compound stream, before its first substream. Its
    /// END is as libzfs writes it: with the checksum of what was before, but
    /// none of its own.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] from the sink.
    pub fn end_compound_header(&mut self) -> Result<()> {
        let mut bytes: Bytes = [0; HEADER_LEN];
        put_u32(&mut bytes, 0, RecordType::End.to_raw(), self.order);
        self.sum_and_put(RecordType::End, &mut bytes, &[], false)
    }

    /// Ends a compound stream, after its last substream: an END of zeros.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] from the sink.
    pub fn end_compound(&mut self) -> Result<()> {
        let mut bytes: Bytes = [0; HEADER_LEN];
        put_u32(&mut bytes, 0, RecordType::End.to_raw(), self.order);
        self.put(&bytes, &[])
    }

    /// Writes a record that was read, byte for byte.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] from the sink.
    pub fn copy(&mut self, record: &RawRecord<'_>) -> Result<()> {
        self.order = record.header.order();
        if record.record_type() == RecordType::Begin {
            self.sums = Checksum::ZERO;
        }
        self.sums.update(record.header.bytes(), self.order);
        self.sums.update(record.payload, self.order);
        self.put(record.header.bytes(), record.payload)
    }

    /// Writes a record that was read, with its checksums computed anew: after
    /// something before it was changed, left out or added. Records without a
    /// checksum stay without.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] from the sink.
    pub fn rewrite(&mut self, record: &RawRecord<'_>) -> Result<()> {
        self.order = record.header.order();
        if record.header.is_final_end() {
            return self.put(record.header.bytes(), &[]);
        }
        let summed = record.header.checksum().is_none_or(|sums| !sums.is_zero());
        let mut bytes = *record.header.bytes();
        self.sum_and_put(record.record_type(), &mut bytes, record.payload, summed)
    }

    /// Sets the checksums in a header and writes it with its payload.
    fn sum_and_put(
        &mut self,
        record_type: RecordType,
        bytes: &mut Bytes,
        payload: &[u8],
        summed: bool,
    ) -> Result<()> {
        let order = self.order;
        match record_type {
            RecordType::Begin => self.sums = Checksum::ZERO,
            RecordType::End => put_checksum(bytes, 8, self.sums, order),
            _ => {}
        }
        let (fields, _) = bytes.split_at(CHECKSUM_AT);
        self.sums.update(fields, order);
        if record_type != RecordType::Begin {
            let own = if summed { self.sums } else { Checksum::ZERO };
            put_checksum(bytes, CHECKSUM_AT, own, order);
        }
        let (_, own) = bytes.split_at(CHECKSUM_AT);
        self.sums.update(own, order);
        self.sums.update(payload, order);
        self.put(bytes, payload)
    }

    fn put(&mut self, bytes: &Bytes, payload: &[u8]) -> Result<()> {
        write_both(&mut self.sink, bytes, payload)?;
        self.offset += (bytes.len() + payload.len()) as u64;
        self.number += 1;
        Ok(())
    }

    fn error(&self, problem: Problem) -> Error {
        Error::Stream {
            offset: self.offset,
            record: self.number,
            problem,
        }
    }
}

/// Writes two pieces with as few calls as the sink allows.
fn write_both(sink: &mut impl io::Write, mut first: &[u8], second: &[u8]) -> io::Result<()> {
    while !first.is_empty() && !second.is_empty() {
        match sink.write_vectored(&[IoSlice::new(first), IoSlice::new(second)]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(length) => {
                let Some((_, rest)) = first.split_at_checked(length) else {
                    let rest = second.get(length - first.len()..);
                    return sink.write_all(rest.unwrap_or_default());
                };
                first = rest;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    sink.write_all(first)?;
    sink.write_all(second)
}
