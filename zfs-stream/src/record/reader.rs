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
/// is taken for it. Limits beyond what a machine can address are that.
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
pub(crate) struct Position {
    order: Option<ByteOrder>,
    pub(crate) offset: u64,
    pub(crate) number: u64,
    limits: Limits,
}

impl Position {
    /// Limits that leave room for the headers beside a payload.
    fn within(limits: Limits) -> Self {
        let most = isize::MAX as u64 - (1 << 20);
        let limits = Limits {
            begin_payload: limits.begin_payload.min(most),
            payload: limits.payload.min(most),
        };
        Self {
            limits,
            ..Self::default()
        }
    }

    fn error(&self, problem: Problem) -> Error {
        Error::Stream {
            offset: self.offset,
            record: self.number,
            problem,
        }
    }

    /// The type and byte order of a header, and the length of its payload.
    pub(crate) fn header<'a>(&mut self, bytes: &'a Bytes) -> Result<(Header<'a>, usize)> {
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

/// The records of a stream in memory, without a copy. It ends after the first error.
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
            position: Position::within(limits),
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
    pub(crate) buffer: Vec<u8>,
    /// From where on the buffer's bytes are still wanted.
    kept: usize,
    /// Where the next record begins, and where what was read ends.
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
            kept: 0,
            start: 0,
            end: 0,
            at_end: false,
            position: Position::within(limits),
        }
    }

    /// How far into the stream the next record begins, in bytes.
    pub fn offset(&self) -> u64 {
        self.position.offset
    }

    /// How far the source was read, in bytes.
    pub(crate) fn read_to(&self) -> u64 {
        self.position.offset + (self.end - self.start) as u64
    }

    /// Which record is next; the first is 0.
    pub fn number(&self) -> u64 {
        self.position.number
    }

    /// The stream's byte order, once its BEGIN was read.
    pub fn order(&self) -> Option<ByteOrder> {
        self.position.order
    }

    /// The next record, or `None` at the stream's end.
    ///
    /// # Errors
    ///
    /// [`Error::Stream`] for bytes that are no record; there is no going on
    /// after it. [`Error::Io`] from the source.
    pub fn next_record(&mut self) -> Result<Option<RawRecord<'_>>> {
        self.kept = self.start;
        self.read_record()
    }

    /// The next record, without giving up what came before it.
    pub(crate) fn read_record(&mut self) -> Result<Option<RawRecord<'_>>> {
        let Some(Head { length, .. }) = self.peek_header()? else {
            return Ok(None);
        };
        let whole = HEADER_LEN + length;
        let complete = self.fill(whole)?;
        let found = self.end - self.start - HEADER_LEN;
        let (header, _) = self.position.header(header_at(&self.buffer, self.start)?)?;
        if !complete {
            return Err(self.position.truncated(header, found, length));
        }
        let from = self.start + HEADER_LEN;
        self.start += whole;
        let payload = self.buffer.get(from..from + length).unwrap_or_default();
        Ok(Some(self.position.record(header, payload)))
    }

    /// The next record's header, which stays the next.
    pub(crate) fn peek_header(&mut self) -> Result<Option<Head<'_>>> {
        if !self.fill(HEADER_LEN)? {
            return match self.end - self.start {
                0 => Ok(None),
                found => Err(self.position.error(Problem::TruncatedHeader { found })),
            };
        }
        let (header, length) = self.position.header(header_at(&self.buffer, self.start)?)?;
        Ok(Some(Head {
            offset: self.position.offset,
            number: self.position.number,
            header,
            length,
        }))
    }

    /// What would be the header after a payload of that length; `None` where
    /// the source ends before.
    pub(crate) fn peek_after(&mut self, length: usize) -> Result<Option<&[u8; HEADER_LEN]>> {
        if !self.fill(2 * HEADER_LEN + length)? {
            return Ok(None);
        }
        header_at(&self.buffer, self.start + HEADER_LEN + length).map(Some)
    }

    /// Whether a payload of that length is there.
    pub(crate) fn has_payload(&mut self, length: usize) -> Result<bool> {
        self.fill(HEADER_LEN + length)
    }

    /// What was read and is not yet known to be a record.
    pub(crate) fn unread(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Leaves out what is there up to the next header that the function
    /// accepts, and tells how many bytes that was; `None` if there is none. It
    /// counts as one record.
    pub(crate) fn skip_until(
        &mut self,
        mut accepts: impl FnMut(&[u8; HEADER_LEN]) -> bool,
    ) -> Result<Option<u64>> {
        // All that ZFS writes is a multiple of four bytes long.
        let step = 4;
        let mut skipped = 0;
        self.position.number += 1;
        loop {
            self.kept = self.start;
            if !self.fill(step + HEADER_LEN)? {
                self.position.offset += (self.end - self.start) as u64;
                self.start = self.end;
                return Ok(None);
            }
            self.start += step;
            self.position.offset += step as u64;
            skipped += step as u64;
            if accepts(header_at(&self.buffer, self.start)?) {
                return Ok(Some(skipped));
            }
        }
    }

    /// The bytes of records that were read and not yet let go.
    pub(crate) fn kept(&self) -> &[u8] {
        self.buffer.get(self.kept..self.start).unwrap_or_default()
    }

    /// Lets so many of them go.
    pub(crate) fn let_go(&mut self, length: usize) {
        self.kept = (self.kept + length).min(self.start);
    }

    /// Sees that so many bytes from the next record's beginning on are there;
    /// false if the source ends before.
    fn fill(&mut self, wanted: usize) -> Result<bool> {
        while self.end - self.start < wanted {
            if self.at_end {
                return Ok(false);
            }
            if self.start + wanted > self.buffer.len() {
                self.make_room(wanted);
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

    /// Moves what is kept to the buffer's beginning, and makes that larger if
    /// there is little room behind it. There is to be room for more than is
    /// wanted: else a row of headers that claim much would each move all of it to
    /// read a few bytes. It doubles at most, and does not jump to what a header
    /// claims.
    fn make_room(&mut self, wanted: usize) {
        if self.kept > 0 {
            self.buffer.copy_within(self.kept..self.end, 0);
            self.end -= self.kept;
            self.start -= self.kept;
            self.kept = 0;
        }
        let length = self.buffer.len();
        let needed = (self.start + wanted).next_multiple_of(BUFFER) + BUFFER;
        let size = needed.min(2 * length);
        if size > length && length - self.end < BUFFER / 2 {
            self.buffer.reserve_exact(size - length);
            self.buffer.resize(size, 0);
        }
    }
}

/// A record of which only the header was looked at.
pub(crate) struct Head<'a> {
    pub(crate) offset: u64,
    pub(crate) number: u64,
    pub(crate) header: Header<'a>,
    /// The payload's length in bytes.
    pub(crate) length: usize,
}

/// The header at a place that `fill` has seen to.
fn header_at(buffer: &[u8], start: usize) -> Result<&Bytes> {
    let rest = buffer.get(start..).unwrap_or_default();
    let missing = || Error::Io(ErrorKind::UnexpectedEof.into());
    rest.first_chunk().ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::sample;

    /// A source that counts how often it is read.
    struct Counted<'a>(&'a [u8], u32);

    impl Read for Counted<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.1 += 1;
            self.0.read(buffer)
        }
    }

    #[test]
    fn a_row_of_headers_that_claim_much_is_read_in_large_pieces() {
        // What is looked at each time would fill the buffer exactly.
        const CLAIMED: usize = (16 << 20) - 3 * HEADER_LEN;
        let mut stream = sample(ByteOrder::Little);
        stream.resize(20 << 20, 0);
        let mut source = Counted(&stream, 0);
        let mut reader = Reader::new(&mut source);
        assert!(reader.next_record().unwrap().is_some());
        for _ in 0..1_000 {
            reader.kept = reader.start;
            assert!(reader.peek_after(CLAIMED).unwrap().is_some());
            reader.start += HEADER_LEN;
        }
        drop(reader);
        assert!(source.1 < 20, "{} times", source.1);
    }
}
