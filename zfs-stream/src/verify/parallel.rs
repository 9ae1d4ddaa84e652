//! Verifying what can be read from any place, on all cores.
//!
//! ```text
//! headers -> stretches -> [ see, sum ] [ see, sum ] … -> in their order -> Verifier
//! ```
//!
//! Where records begin is known only after the header before, but headers are
//! few and far between. So whichever thread has nothing to do goes on from
//! header to header under a lock, far enough to have a stretch for itself. It
//! sums that where it lies, or else reads it into a buffer of its own, small
//! enough to stay in its processor's cache. The sums are put together again in
//! the stream's order.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZero;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::report::Report;
use super::scan::verify;
use super::verifier::Verifier;
use crate::fletcher::{self, Checksum};
use crate::nvlist::ByteOrder;
use crate::record::{CHECKSUM_AT, HEADER_LEN, Header, Position, RecordType};
use crate::source::{InOrder, ReadAt};
use crate::{Error, Result};

/// A stretch is as many records as this holds, or one that is longer: two of the
/// usual 128 KiB with small ones between. Buffers of a quarter to four times as
/// much are as fast within some percent.
const BUFFER: usize = 264 << 10;

/// How much is read to find headers: one, or many where records are short.
const ONE: usize = HEADER_LEN;
const MANY: usize = 16 << 10;

/// Shorter payloads than this may have their next header in the same reading.
const SHORT: u64 = 4 << 10;

/// How many stretches the threads may be ahead of the slowest of them.
const AHEAD: u64 = 16;

/// Streams shorter than this are not worth a second thread.
const WORTH_THREADS: u64 = 2 << 20;

/// Sums need next to none, and the list of a BEGIN that is nested as deep as any
/// less than 64 KiB without optimization.
pub(super) const STACK: usize = 256 << 10;

/// More threads than this find no more memory bandwidth.
const THREADS: usize = 8;

/// Checks a stream that can be read from any place to its end; the report is
/// that of [`verify`]. Long streams are checked by as many threads as there are
/// cores (at most eight), several times as fast. It takes less than 16 MiB of
/// memory, unless the stream is damaged or has a BEGIN of more than 256 KiB: then
/// it is read again as [`verify`] does, and in memory its list is copied.
///
/// # Errors
///
/// [`Error::Io`] from the source, also where it is not as long any more as it
/// was; [`Error::Unreadable`] where it fails while it is read again. What is wrong
/// with the stream is in the report.
pub fn verify_at(source: &(impl ReadAt + ?Sized)) -> Result<Report> {
    let threads = if source.length() < WORTH_THREADS {
        1
    } else {
        thread::available_parallelism().map_or(1, NonZero::get)
    };
    verify_on(source, threads.min(THREADS))
}

pub(super) fn verify_on(source: &(impl ReadAt + ?Sized), threads: usize) -> Result<Report> {
    let shared = Shared {
        source,
        walk: Mutex::default(),
        line: Mutex::default(),
        moved: Condvar::new(),
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            let worker = thread::Builder::new()
                .name("verify".to_owned())
                .stack_size(STACK);
            // Without more threads this one does it all.
            let _ = worker.spawn_scoped(scope, || shared.work());
        }
        shared.work();
    });
    let line = shared.line.into_inner();
    let line = line.unwrap_or_else(PoisonError::into_inner);
    match line.stopped {
        None => {
            source.check_length()?;
            Ok(line.verifier.finish())
        }
        Some(Stop::NotIntact) => verify(InOrder::new(source)),
        Some(Stop::Unreadable(error)) => Err(Error::Io(error)),
    }
}

/// Why the quick way ends before the stream does.
#[derive(Debug)]
enum Stop {
    /// Something is not as it should be; what it is, [`verify`] tells.
    NotIntact,
    Unreadable(io::Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(error) => Self::Unreadable(error),
            _ => Self::NotIntact,
        }
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

/// A record and its sums.
#[derive(Clone, Debug)]
pub(super) struct Summed {
    pub(super) offset: u64,
    pub(super) number: u64,
    header: [u8; HEADER_LEN],
    order: ByteOrder,
    /// Of its payload, in bytes.
    pub(super) length: u64,
    /// The payload of a BEGIN.
    pub(super) nvlist: Vec<u8>,
    /// The header up to its checksum.
    pub(super) fields: Checksum,
    /// From there to the payload's end.
    pub(super) rest: Checksum,
}

impl Summed {
    /// One whose payload is not summed yet.
    pub(super) fn new(offset: u64, number: u64, header: Header<'_>, length: u64) -> Self {
        let order = header.order();
        let (fields, own) = header.bytes().split_at(CHECKSUM_AT);
        Self {
            offset,
            number,
            header: *header.bytes(),
            order,
            length,
            nvlist: Vec::new(),
            fields: fletcher::checksum(fields, order),
            rest: fletcher::checksum(own, order),
        }
    }

    pub(super) fn header(&self) -> Option<Header<'_>> {
        Header::new(&self.header, self.order)
    }

    fn is_begin(&self) -> bool {
        self.header()
            .is_some_and(|header| header.record_type() == RecordType::Begin)
    }
}

/// Records that follow each other.
#[derive(Debug)]
struct Stretch {
    number: u64,
    start: u64,
    end: u64,
    records: Vec<Summed>,
}

impl Stretch {
    /// Sums the payloads, wherever they can be seen.
    fn sum(
        &mut self,
        source: &(impl ReadAt + ?Sized),
        buffer: &mut [u8],
    ) -> std::result::Result<(), Stop> {
        let length = usize::try_from(self.end - self.start).unwrap_or(usize::MAX);
        if let Some(view) = source.view(self.start, length) {
            return self.sum_seen(view);
        }
        let Some(whole) = buffer.get_mut(..length) else {
            return self.sum_long(source, buffer);
        };
        source.read_exact_at(whole, self.start)?;
        self.sum_seen(whole)
    }

    /// Does so with all that the stretch holds.
    fn sum_seen(&mut self, whole: &[u8]) -> std::result::Result<(), Stop> {
        let mut rest = whole;
        for record in &mut self.records {
            let payload = rest.get(HEADER_LEN..).unwrap_or_default();
            let (payload, next) = payload
                .split_at_checked(record.length as usize)
                .ok_or(Stop::NotIntact)?;
            record.rest.update(payload, record.order);
            if record.is_begin() {
                record.nvlist = payload.to_vec();
            }
            rest = next;
        }
        Ok(())
    }

    /// Does so with one record that is longer than the buffer, a piece at a time.
    fn sum_long(
        &mut self,
        source: &(impl ReadAt + ?Sized),
        buffer: &mut [u8],
    ) -> std::result::Result<(), Stop> {
        for record in &mut self.records {
            if record.is_begin() {
                return Err(Stop::NotIntact);
            }
            let mut at = record.offset + HEADER_LEN as u64;
            while at < self.end {
                let length = (self.end - at).min(buffer.len() as u64);
                let piece = buffer.get_mut(..length as usize).unwrap_or_default();
                source.read_exact_at(piece, at)?;
                record.rest.update(piece, record.order);
                at += length;
            }
        }
        Ok(())
    }
}

/// The way from header to header.
#[derive(Debug, Default)]
struct Walk {
    position: Position,
    /// How many stretches there were.
    stretches: u64,
    /// The last payload was a short one.
    short: bool,
    /// The next header, if it was read for a stretch that had no room for it.
    read: Option<[u8; HEADER_LEN]>,
}

impl Walk {
    /// The next stretch, `None` at the end.
    fn stretch(
        &mut self,
        source: &(impl ReadAt + ?Sized),
        buffer: &mut [u8],
    ) -> std::result::Result<Option<Stretch>, Stop> {
        let start = self.position.offset;
        let mut records = Vec::new();
        while self.headers(source, buffer, start, &mut records)? {}
        if records.is_empty() {
            return Ok(None);
        }
        self.stretches += 1;
        Ok(Some(Stretch {
            number: self.stretches - 1,
            start,
            end: self.position.offset,
            records,
        }))
    }

    /// Adds the records that one reading shows; false if no more belong to the
    /// stretch.
    fn headers(
        &mut self,
        source: &(impl ReadAt + ?Sized),
        buffer: &mut [u8],
        start: u64,
        records: &mut Vec<Summed>,
    ) -> std::result::Result<bool, Stop> {
        let (at, end) = (self.position.offset, source.length());
        if at == end {
            return Ok(false);
        }
        let read = self.read.take();
        let mut rest = if let Some(header) = &read {
            &header[..]
        } else {
            let wanted = if self.short { MANY } else { ONE };
            let length = (end - at).min(wanted as u64) as usize;
            let window = buffer.get_mut(..length).unwrap_or_default();
            source.read_exact_at(window, at)?;
            window
        };
        while let Some((bytes, payload)) = rest.split_first_chunk::<HEADER_LEN>() {
            let (header, length) = self.position.header(bytes)?;
            let next = self.position.offset + (HEADER_LEN + length) as u64;
            // Sums are of words, and nothing that ZFS writes ends inside one.
            if next > end || length % 4 != 0 {
                return Err(Stop::NotIntact);
            }
            if next - start > BUFFER as u64 && !records.is_empty() {
                self.read = Some(*bytes);
                return Ok(false);
            }
            let length = length as u64;
            let Position { offset, number, .. } = self.position;
            records.push(Summed::new(offset, number, header, length));
            self.position.offset = next;
            self.position.number += 1;
            self.short = length < SHORT;
            rest = payload.get(length as usize..).unwrap_or_default();
        }
        if self.position.offset == at {
            // There is not even a header.
            return Err(Stop::NotIntact);
        }
        Ok(self.position.offset - start < BUFFER as u64)
    }
}

/// Stretches that were summed, in their order.
#[derive(Debug, Default)]
struct Line {
    verifier: Verifier,
    /// Which stretch is to be checked next.
    next: u64,
    /// Those that came before it.
    waiting: BTreeMap<u64, Vec<Summed>>,
    stopped: Option<Stop>,
}

impl Line {
    /// Checks what can be checked.
    fn advance(&mut self) -> std::result::Result<(), Stop> {
        while let Some(records) = self.waiting.remove(&self.next) {
            for record in &records {
                if !self.verifier.summed_record(record) {
                    return Err(Stop::NotIntact);
                }
            }
            self.next += 1;
        }
        Ok(())
    }
}

/// What the threads have in common.
struct Shared<'a, S: ?Sized> {
    source: &'a S,
    walk: Mutex<Walk>,
    line: Mutex<Line>,
    /// The line went on.
    moved: Condvar,
}

impl<S: ReadAt + ?Sized> Shared<'_, S> {
    /// What each thread does.
    fn work(&self) {
        let _stop = StopOthers(self);
        let mut buffer = vec![0; BUFFER];
        if let Err(stop) = self.work_to_the_end(&mut buffer) {
            self.line().stopped.get_or_insert(stop);
            self.moved.notify_all();
        }
    }

    fn work_to_the_end(&self, buffer: &mut [u8]) -> std::result::Result<(), Stop> {
        while let Some(mut stretch) = self.next_stretch(buffer)? {
            stretch.sum(self.source, buffer)?;
            if !self.line_up(stretch)? {
                break;
            }
        }
        Ok(())
    }

    fn next_stretch(&self, buffer: &mut [u8]) -> std::result::Result<Option<Stretch>, Stop> {
        let walk = self.walk.lock();
        walk.unwrap_or_else(PoisonError::into_inner)
            .stretch(self.source, buffer)
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a stretch in, and waits if this thread is too far ahead; false
    /// where another has stopped.
    fn line_up(&self, stretch: Stretch) -> std::result::Result<bool, Stop> {
        let number = stretch.number;
        let mut line = self.line();
        line.waiting.insert(number, stretch.records);
        if number == line.next {
            line.advance()?;
            self.moved.notify_all();
        }
        while number > line.next + AHEAD && line.stopped.is_none() {
            line = self
                .moved
                .wait(line)
                .unwrap_or_else(PoisonError::into_inner);
        }
        Ok(line.stopped.is_none())
    }
}

/// Where one thread panics the others end, so that the panic can be told: its
/// stretch would be waited for.
struct StopOthers<'a, 's, S: ?Sized>(&'a Shared<'s, S>);

impl<S: ?Sized> Drop for StopOthers<'_, '_, S> {
    fn drop(&mut self) {
        if thread::panicking() {
            let line = self.0.line.lock();
            let mut line = line.unwrap_or_else(PoisonError::into_inner);
            line.stopped.get_or_insert(Stop::NotIntact);
            self.0.moved.notify_all();
        }
    }
}
