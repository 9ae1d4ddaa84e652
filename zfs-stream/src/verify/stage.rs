//! Verification in flight.
//!
//! ```text
//! source -> [ buffer -> Verifier ] -> reader
//! ```

use std::io::{self, Read};

use super::finding::Kind;
use super::report::Report;
use super::verifier::Verifier;
use crate::record::{Reader, RecordType};
use crate::{Error, Result};

/// A stream on its way, of which nothing is handed on that is not proven.
///
/// A record's bytes can be read from it once the next record's checksum has
/// shown that they are whole. Damage, a missing END and everything else that
/// `zfs receive` would refuse is an error of kind
/// [`InvalidData`](io::ErrorKind::InvalidData) that holds an
/// [`Error::Damaged`] or [`Error::Stream`], and comes before the damaged record
/// is handed on. So is a record without a checksum, which the kernel takes
/// unchecked and no sender writes.
///
/// It reads to its source's end. In memory it holds one record and what was
/// read after it: usually 1 MiB, and with the longest blocks 18 MiB. The nvlist of
/// a BEGIN, which may have 64 MiB, takes several times its length while it is
/// checked.
#[derive(Debug)]
pub struct VerifyingReader<R> {
    reader: Reader<R>,
    verifier: Verifier,
    /// Up to where the stream is proven, and up to where it was handed on.
    proven: u64,
    handed_on: u64,
    /// The next record's header was checked, and its payload not yet read:
    /// whether it is an END.
    checked: Option<bool>,
    report: Option<Report>,
    state: State,
    /// The error that is to be given next.
    error: Option<Error>,
}

/// Where the stage is.
#[derive(Clone, Copy, Debug)]
enum State {
    Open,
    Ended,
    Refused,
}

impl<R: Read> VerifyingReader<R> {
    /// Checks what the source gives.
    pub fn new(source: R) -> Self {
        Self {
            reader: Reader::new(source),
            verifier: Verifier::new(),
            proven: 0,
            handed_on: 0,
            checked: None,
            report: None,
            state: State::Open,
            error: None,
        }
    }

    /// What was found, once the end was reached: warnings, if it was reached
    /// without an error.
    pub fn report(&self) -> Option<&Report> {
        self.report.as_ref()
    }

    /// Checks the next header or the payload after it, or the end, so that more
    /// can be handed on. What a header proves goes before its payload is read:
    /// nothing waits longer than it must, and no two records are held.
    fn advance(&mut self) -> Result<()> {
        match self.checked.take() {
            None => self.check_header(),
            Some(is_end) => self.read_payload(is_end),
        }
    }

    fn check_header(&mut self) -> Result<()> {
        let verifier = &mut self.verifier;
        let head = self.reader.peek_header();
        let Some(head) = head.map_err(|error| verifier.after_end(error))? else {
            let report = self.report.insert(std::mem::take(verifier).finish());
            report.refuse()?;
            self.proven = self.reader.offset();
            self.state = State::Ended;
            return Ok(());
        };
        // The kernel takes a record without a checksum as it is; here it would
        // let what came before it go on unproven.
        let unchecked = verifier.lacks_sums(head.header);
        verifier.header(head.offset, head.number, head.header);
        let proven = head.offset;
        self.checked = Some(head.header.record_type() == RecordType::End);
        verifier.refuse()?;
        if unchecked {
            return Err(verifier.refuse_last(Kind::Unchecked));
        }
        self.proven = proven;
        Ok(())
    }

    fn read_payload(&mut self, is_end: bool) -> Result<()> {
        let verifier = &mut self.verifier;
        if let Some(record) = self.reader.read_record()? {
            verifier.payload(record.header, record.payload);
        }
        verifier.refuse()?;
        if is_end {
            // Nothing comes that would prove it: it proves itself.
            self.proven = self.reader.offset();
        }
        Ok(())
    }
}

impl<R: Read> Read for VerifyingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let ready = (self.proven - self.handed_on).min(buffer.len() as u64) as usize;
            if let Some(place) = buffer.get_mut(..ready).filter(|place| !place.is_empty()) {
                place.copy_from_slice(self.reader.kept().get(..ready).unwrap_or_default());
                self.reader.let_go(ready);
                self.handed_on += ready as u64;
                return Ok(ready);
            }
            match self.state {
                State::Ended => return Ok(0),
                State::Refused => {
                    return Err(self.error.take().map_or_else(refused_before, to_io));
                }
                State::Open => {}
            }
            // What is proven is handed on before the error is.
            if let Err(error) = self.advance() {
                self.state = State::Refused;
                self.error = Some(error);
            }
        }
    }
}

fn to_io(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}

fn refused_before() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the send stream was refused before",
    )
}
