//! Taking streams apart into records.
//!
//! ```text
//! source -> [ buffer ] -> header, payload
//! ```

use std::io::{ErrorKind, Read};

use super::fields::{Bytes, u64_at};
use super::{HEADER_LEN, Header, MAGIC, MAX_BLOCK, Problem, RawRecord, RecordType};
use crate::nvlist::ByteOrder;
use crate::{Error, Result};

/// How long payloads may be. What claims to be longer is refused before memory
/// is taken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The nvlist of a BEGIN, in bytes; 64 MiB, as in libzfs.
    pub begin_payload: u64,
    /// Every other payload; 16 MiB, ZFS' longest block.
    pub payload: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            begin_payload: 64 << 20,
            payload: MAX_BLOCK,
        }
    }
}

/// Where in a stream we are, and what its byte order is.
#[derive(Debug, Default)]
struct Position {
    order: Option<ByteOrder>,
    offset: u64,
    number: u64,
    limits: Limits,
}

impl Position {
    fn error(&self, problem: Problem) -> Error {
        Error::Stream {
            offset: self.offset,
            record: self.number,
            problem,
        }
    }

    /// The type and byte order of a header, and the length of its payload.
    fn header<'a>(&mut self, bytes: &'a Bytes) -> Result<(Header<'a>, usize)> {
        // BEGIN is type 0 in both byte orders, and each tells its own.
        if bytes.first_chunk() == Some(&[0; 4]) {
            let orders = [ByteOrder::Little, ByteOrder::Big];
            let order = orders
                .into_iter()
                .find(|&order| u64_at(bytes, 8, order) == MAGIC)
                .ok_or_else(|| self.error(Problem::BadMagic))?;
            self.order = Some(order);
        }
        let Some(order) = self.order else {
            let found = bytes.first_chunk().copied().unwrap_or_default();
            return Err(self.error(Problem::NotAStream { found }));
        };
        let Some(header) = Header::new(bytes, order) else {
            let number = bytes.first_chunk().map_or(0, |&number| order.u32(number));
            return Err(self.error(Problem::UnknownType(number)));
        };
        let record_type = header.record_type();
        let length = header.payload_len();
        let limit = match record_type {
            RecordType::Begin => self.limits.begin_payload,
            _ => self.limits.payload,
        };
        match usize::try_from(length) {
            Ok(fitting) if length <= limit => Ok((header, fitting)),
            _ => Err(self.error(Problem::PayloadTooLong {
                record_type,
                length,
                limit,
            })),
        }
    }

    fn truncated(&self, header: Header<'_>, found: usize, length: usize) -> Error {
        self.error(Problem::TruncatedPayload {
            record_type: header.record_type(),
            found,
            length,
        })
    }

    fn record<'a>(&mut self, header: Header<'a>, payload: &'a [u8]) -> RawRecord<'a> {
        let record = RawRecord {
            offset: self.offset,
            number: self.number,
            header,
            payload,
        };
        self.offset += record.stream_len();
        self.number += 1;
        record
    }
}

/// The records of a stream in memory, without a copy: a mapped file, or a
/// buffer. It ends after the first error.
#[derive(Debug)]
pub struct SliceReader<'a> {
    rest: &'a [u8],
    position: Position,
}

impl<'a> SliceReader<'a> {
    /// Reads a stream from its beginning.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self::with_limits(bytes, Limits::default())
    }

    /// Reads a stream whose payloads have those limits.
    pub fn with_limits(bytes: &'a [u8], limits: Limits) -> Self {
        Self {
            rest: bytes,
            position: Position {
                limits,
                ..Position::default()
            },
        }
    }

    fn read(&mut self) -> Result<RawRecord<'a>> {
        let Some((header, rest)) = self.rest.split_first_chunk::<HEADER_LEN>() else {
            let found = self.rest.len();
            return Err(self.position.error(Problem::TruncatedHeader { found }));
        };
        let (header, length) = self.position.header(header)?;
        let Some((payload, rest)) = rest.split_at_checked(length) else {
            return Err(self.position.truncated(header, rest.len(), length));
        };
        self.rest = rest;
        Ok(self.position.record(header, payload))
    }
}

impl<'a> Iterator for SliceReader<'a> {
    type Item = Result<RawRecord<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let record = self.read();
        if record.is_err() {
            self.rest = &[];
        }
        Some(record)
    }
}

/// The records of a stream from a file or pipe.
///
/// Each is lent until the next is asked for. The source is read in large
/// pieces into one buffer, which grows only as far as a record that is really
/// there needs it.
#[derive(Debug)]
pub struct Reader<R> {
    source: R,
    pub(super) buffer: Vec<u8>,
    /// What of the buffer is filled and not yet lent.
    start: usize,
    end: usize,
    at_end: bool,
    position: Position,
}

/// The buffer's first size: several records of the usual 128 KiB, and small
/// enough to stay in a processor's cache between being read and being looked at.
const BUFFER: usize = 1 << 20;

impl<R: Read> Reader<R> {
    /// Reads a stream from its beginning.
    pub fn new(source: R) -> Self {
        Self::with_limits(source, Limits::default())
    }

    /// Reads a stream whose payloads have those limits.
    pub fn with_limits(source: R, limits: Limits) -> Self {
        Self {
            source,
            buffer: vec![0; BUFFER],
            start: 0,
            end: 0,
            at_end: false,
            position: Position {
                limits,
                ..Position::default()
            },
        }
    }

    /// How far into the stream the next record begins, in bytes.
    pub fn offset(&self) -> u64 {
        self.position.offset
    }

    /// The next record, or `None` at the stream's end.
    ///
    /// # Errors
    ///
    /// [`Error::Stream`] for bytes that are no record; there is no going on
    /// after it. [`Error::Io`] from the source.
    pub fn next_record(&mut self) -> Result<Option<RawRecord<'_>>> {
        if !self.fill(HEADER_LEN)? {
            return match self.end - self.start {
                0 => Ok(None),
                found => Err(self.position.error(Problem::TruncatedHeader { found })),
            };
        }
        let (_, length) = self
            .position
            .header(filled_header(&self.buffer, self.start)?)?;
        let whole = HEADER_LEN + length;
        let complete = self.fill(whole)?;
        let (header, _) = self
            .position
            .header(filled_header(&self.buffer, self.start)?)?;
        let found = self.end - self.start - HEADER_LEN;
        if !complete {
            return Err(self.position.truncated(header, found, length));
        }
        let from = self.start + HEADER_LEN;
        self.start += whole;
        let payload = self.buffer.get(from..from + length).unwrap_or_default();
        Ok(Some(self.position.record(header, payload)))
    }

    /// Sees that so many bytes are there; false if the source ends before.
    fn fill(&mut self, wanted: usize) -> Result<bool> {
        while self.end - self.start < wanted {
            if self.at_end {
                return Ok(false);
            }
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            if self.end == self.buffer.len() {
                // Doubling, not jumping to what a header claims.
                let size = (2 * self.buffer.len()).min(wanted.next_multiple_of(BUFFER));
                self.buffer.resize(size, 0);
            }
            let free = self.buffer.get_mut(self.end..).unwrap_or_default();
            match self.source.read(free) {
                Ok(0) => self.at_end = true,
                Ok(length) => self.end += length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::Io(error)),
            }
        }
        Ok(true)
    }
}

/// The header at a place that `fill` has seen to.
fn filled_header(buffer: &[u8], start: usize) -> Result<&Bytes> {
    let rest = buffer.get(start..).unwrap_or_default();
    let missing = || Error::Io(ErrorKind::UnexpectedEof.into());
    rest.first_chunk().ok_or_else(missing)
}
