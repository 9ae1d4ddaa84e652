//! Verifying a whole stream, going on after damage.

use std::io::Read;

use super::finding::{Finding, Kind};
use super::report::Report;
use super::verifier::Verifier;
use crate::nvlist::ByteOrder;
use crate::record::{HEADER_LEN, Header, MAGIC, RawRecord, Reader, RecordType};
use crate::{Error, Result};

/// Checks a stream to its end.
///
/// # Errors
///
/// [`Error::Unreadable`] from the source, with what was found before. What is
/// wrong with the stream is in the report.
pub fn verify(source: impl Read) -> Result<Report> {
    verify_with(Reader::new(source), |_| {})
}

/// Checks a stream to its end, and shows every record that could be read to a
/// function on the way.
///
/// # Errors
///
/// As [`verify`].
pub fn verify_with<R: Read>(
    mut reader: Reader<R>,
    mut visit: impl FnMut(&RawRecord<'_>),
) -> Result<Report> {
    let mut verifier = Verifier::new();
    match scan(&mut reader, &mut verifier, &mut visit) {
        Ok(()) => Ok(verifier.finish()),
        Err(Error::Io(source)) => Err(Error::Unreadable {
            offset: reader.read_to(),
            report: Box::new(verifier.unfinished()),
            source,
        }),
        Err(other) => Err(other),
    }
}

/// Does so up to the end.
fn scan<R: Read>(
    reader: &mut Reader<R>,
    verifier: &mut Verifier,
    visit: &mut impl FnMut(&RawRecord<'_>),
) -> Result<()> {
    // The GUID of the last header, which may differ from the BEGIN's.
    let mut last_guid = None;
    loop {
        let framed = match look_ahead(reader, verifier, &mut last_guid) {
            Ok(Some(framed)) => framed,
            Ok(None) => return Ok(()),
            Err(error) => {
                note(verifier, error, reader.unread())?;
                false
            }
        };
        if framed {
            match reader.next_record() {
                Ok(Some(record)) => {
                    verifier.payload(record.header, record.payload);
                    visit(&record);
                    continue;
                }
                Ok(None) => return Ok(()),
                Err(error) => note(verifier, error, reader.unread())?,
            }
        }
        // What does not even begin as a stream is not searched for one.
        let Some(order) = reader.order() else {
            return Ok(());
        };
        verifier.lost();
        let guids = [verifier.guid(), last_guid];
        let skipped = reader.skip_until(|next| plausible(next, order, guids))?;
        let Some(bytes) = skipped else {
            verifier.read_to(reader.offset());
            return Ok(());
        };
        let kind = Kind::Skipped { bytes };
        verifier.find(Finding::between(reader.offset(), reader.number(), kind));
    }
}

/// Checks the next header, and whether its payload's length can be believed;
/// `None` at the end.
fn look_ahead<R: Read>(
    reader: &mut Reader<R>,
    verifier: &mut Verifier,
    last_guid: &mut Option<u64>,
) -> Result<Option<bool>> {
    let Some(head) = reader.peek_header()? else {
        return Ok(None);
    };
    let order = head.header.order();
    let trusted = verifier.header(head.offset, head.number, head.header);
    let own_guid = Some(head.header.parse().to_guid());
    let length = head.length;
    if trusted {
        *last_guid = own_guid;
        return Ok(Some(true));
    }
    // A header that cannot be trusted may tell a wrong length: then what comes
    // after that many bytes is no record.
    let guids = [verifier.guid(), own_guid];
    if let Some(next) = reader.peek_after(length)? {
        return Ok(Some(plausible(next, order, guids)));
    }
    // So may one that leads past the stream's end.
    reader.has_payload(length).map(Some)
}

/// Makes a finding of what is wrong with the stream at the bytes there.
fn note(verifier: &mut Verifier, error: Error, there: &[u8]) -> Result<()> {
    match verifier.after_end(error) {
        Error::Damaged { finding } => {
            verifier.find(*finding);
            Ok(())
        }
        Error::Stream {
            offset,
            record,
            problem,
        } => {
            let header = verifier.header_at(offset);
            let begins = begins(there).then_some((RecordType::Begin, None, None));
            let (record_type, object, object_offset) = match header.or(begins) {
                Some((record_type, object, offset)) => (Some(record_type), object, offset),
                None => (None, None, None),
            };
            verifier.find(Finding {
                offset,
                record,
                record_type,
                object,
                object_offset,
                kind: Kind::NotARecord(problem),
            });
            Ok(())
        }
        other => Err(other),
    }
}

/// Behind the fields of the longest record, before the checksum.
const PADDING: std::ops::Range<usize> = 144..280;

/// Whether bytes begin as a BEGIN does.
fn begins(bytes: &[u8]) -> bool {
    let magic = bytes.get(8..).and_then(|rest| rest.first_chunk());
    let magic = magic.copied().unwrap_or_default();
    bytes.starts_with(&[0; 4])
        && [ByteOrder::Little, ByteOrder::Big]
            .into_iter()
            .any(|order| order.u64(magic) == MAGIC)
}

/// Whether bytes look like a record of the stream: it is a BEGIN, or bears one
/// of those GUIDs where its type has it.
fn plausible(bytes: &[u8; HEADER_LEN], order: ByteOrder, guids: [Option<u64>; 2]) -> bool {
    if begins(bytes) {
        return true;
    }
    // Only a BEGIN tells a payload's length there, and only a BEGIN has
    // anything between its fields and its checksum.
    if bytes.get(4..8) != Some(&[0; 4]) || bytes.get(PADDING) != Some(&[0; 136]) {
        return false;
    }
    let Some(header) = Header::new(bytes, order) else {
        return false;
    };
    match header.record_type() {
        RecordType::Begin => false,
        RecordType::End if header.is_final_end() => true,
        _ => guids.contains(&Some(header.parse().to_guid())),
    }
}
