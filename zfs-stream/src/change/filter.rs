//! What all changes have in common: a checked source, and new checksums.

use std::io::{Read, Write};

use super::{Changes, Problem};
use crate::nvlist::ByteOrder;
use crate::record::{Features, HEADER_LEN, Header, RawRecord, Reader, RecordType, Writer};
use crate::verify::Verifier;
use crate::{Error, Result};

/// What becomes of records.
pub(super) trait Change<W> {
    /// Features that no receiver takes and this change removes.
    const REMOVES: Features = Features::from_bits(0);

    /// Writes what is to stand in the record's place; tells how many blocks
    /// that changed.
    fn record(&mut self, record: &RawRecord<'_>, writer: &mut Writer<W>) -> Result<u64>;

    /// The stream is whole; its END is not written yet, and is not where this
    /// fails.
    fn before_end(&mut self, _: &Writer<W>) -> Result<()> {
        Ok(())
    }

    /// The stream has ended.
    fn finish(&mut self, _: &mut Writer<W>) -> Result<u64> {
        Ok(0)
    }
}

/// An END, which is written only when what follows it was seen to be right, so
/// that nobody receives a stream of which there is an error.
struct HeldEnd {
    offset: u64,
    number: u64,
    header: [u8; HEADER_LEN],
    order: ByteOrder,
}

impl HeldEnd {
    fn new(record: &RawRecord<'_>) -> Self {
        Self {
            offset: record.offset,
            number: record.number,
            header: *record.header.bytes(),
            order: record.header.order(),
        }
    }

    fn write<W, C: Change<W>>(
        held: Option<Self>,
        change: &mut C,
        writer: &mut Writer<W>,
    ) -> Result<u64> {
        let Some(end) = held else { return Ok(0) };
        let Some(header) = Header::new(&end.header, end.order) else {
            return Ok(0);
        };
        let record = RawRecord {
            offset: end.offset,
            number: end.number,
            header,
            payload: &[],
        };
        change.record(&record, writer)
    }
}

/// Runs a change over a stream.
pub(super) fn run<W: Write, C: Change<W>>(
    source: impl Read,
    sink: W,
    change: &mut C,
) -> Result<Changes> {
    let mut reader = Reader::new(source);
    let mut writer = Writer::new(sink, ByteOrder::Little);
    let mut verifier = Verifier::removing(C::REMOVES);
    let mut blocks = 0;
    let mut held = None;
    loop {
        let next = reader.next_record();
        let Some(record) = next.map_err(|error| verifier.after_end(error))? else {
            break;
        };
        verifier.record(&record);
        verifier.refuse()?;
        blocks += HeldEnd::write(held.take(), change, &mut writer)?;
        if record.record_type() == RecordType::End {
            held = Some(HeldEnd::new(&record));
        } else {
            blocks += change.record(&record, &mut writer)?;
        }
    }
    verifier.finish().refuse()?;
    change.before_end(&writer)?;
    blocks += HeldEnd::write(held, change, &mut writer)?;
    blocks += change.finish(&mut writer)?;
    let changes = Changes {
        records_in: reader.number(),
        bytes_in: reader.offset(),
        records_out: writer.number(),
        bytes_out: writer.offset(),
        blocks,
    };
    writer.into_inner().flush()?;
    Ok(changes)
}

/// The error of a change that is not possible.
pub(super) fn impossible(record: &RawRecord<'_>, problem: Problem) -> Error {
    Error::Change {
        offset: record.offset,
        record: record.number,
        problem: Box::new(problem),
    }
}
