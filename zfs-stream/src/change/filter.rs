//! What all changes have in common: a checked source, and new checksums.

use std::io::{Read, Write};

use super::{Changes, Problem};
use crate::nvlist::ByteOrder;
use crate::record::{Features, RawRecord, Reader, Writer};
use crate::verify::{Finding, Kind, Severity, Verifier};
use crate::{Error, Result};

/// What becomes of records.
pub(super) trait Change<W> {
    /// Features that no receiver takes and this change removes.
    const REMOVES: Features = Features::from_bits(0);

    /// Writes what is to stand in the record's place; tells how many blocks
    /// that changed.
    fn record(&mut self, record: &RawRecord<'_>, writer: &mut Writer<W>) -> Result<u64>;

    /// The stream has ended.
    fn finish(&mut self, _: &mut Writer<W>) -> Result<u64> {
        Ok(0)
    }
}

/// The stream so far is what a sender made.
pub(super) struct Checked {
    verifier: Verifier,
    seen: usize,
    removes: Features,
}

impl Checked {
    pub(super) fn new(removes: Features) -> Self {
        Self {
            verifier: Verifier::new(),
            seen: 0,
            removes,
        }
    }

    pub(super) fn record(&mut self, record: &RawRecord<'_>) -> Result<()> {
        self.verifier.record(record);
        let findings = self.verifier.findings();
        let new = findings.get(self.seen..).unwrap_or_default();
        self.seen = findings.len();
        refuse(new, self.removes)
    }

    pub(super) fn finish(self) -> Result<()> {
        let report = self.verifier.finish();
        let new = report.findings.get(self.seen..).unwrap_or_default();
        refuse(new, self.removes)
    }
}

fn refuse(findings: &[Finding], removes: Features) -> Result<()> {
    let matters = |finding: &&Finding| match finding.kind {
        Kind::UnsupportedFeatures(features) => features.without(removes) != Features::default(),
        _ => finding.severity() == Severity::Fatal,
    };
    match findings.iter().find(matters) {
        Some(finding) => Err(Error::Damaged {
            finding: Box::new(finding.clone()),
        }),
        None => Ok(()),
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
    let mut checked = Checked::new(C::REMOVES);
    let mut blocks = 0;
    while let Some(record) = reader.next_record()? {
        checked.record(&record)?;
        blocks += change.record(&record, &mut writer)?;
    }
    // What was held back comes before the word on the end, so that the END is
    // written only where the whole stream was right.
    checked.finish()?;
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
