//! Records left out.

use std::io::{Read, Write};

use super::filter::{Change, impossible, run};
use super::{Changes, Problem};

use crate::record::{Features, RawRecord, Record, RecordType, Writer};
use crate::verify::Verifier;
use crate::{Error, Result};

/// Leaves out the records that the function says so of; it is asked about all
/// but BEGINs and ENDs. To repair with care: what a receiver does not get, it
/// does not have.
///
/// # Errors
///
/// As [`recompress`](super::recompress); also
/// [`Problem::NotValid`] where what is left would be refused: blocks of an object
/// of which the stream does not tell, say; and [`Problem::Sealed`] where a record
/// of a raw stream is to be left out.
pub fn drop_records(
    source: impl Read,
    sink: impl Write,
    drops: impl FnMut(&RawRecord<'_>) -> bool,
) -> Result<Changes> {
    let mut change = Drop {
        drops,
        raw: false,
        left: Verifier::without_sums(),
    };
    run(source, sink, &mut change)
}

struct Drop<F> {
    drops: F,
    /// The stream or substream is a raw one.
    raw: bool,
    /// Checks what is left, all but its checksums, which are made anew.
    left: Verifier,
}

impl<W: Write, F: FnMut(&RawRecord<'_>) -> bool> Change<W> for Drop<F> {
    fn record(&mut self, record: &RawRecord<'_>, writer: &mut Writer<W>) -> Result<u64> {
        if let Record::Begin(begin) = record.parse() {
            self.raw = begin.features().contains(Features::RAW);
        }
        let framing = matches!(record.record_type(), RecordType::Begin | RecordType::End);
        if !framing && (self.drops)(record) {
            if self.raw {
                return Err(impossible(record, Problem::Sealed));
            }
            return Ok(1);
        }
        self.left.record(record);
        if let Err(Error::Damaged { finding }) = self.left.refuse() {
            let text = finding.kind.to_string().into_boxed_str();
            return Err(impossible(record, Problem::NotValid(text)));
        }
        writer.rewrite(record)?;
        Ok(0)
    }
}
