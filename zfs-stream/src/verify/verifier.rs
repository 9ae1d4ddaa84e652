//! The state of a stream that is being checked, record by record.

use super::compound::Listed;
use super::fields::{Context, UNUSUAL, check};
use super::finding::{Finding, Kind, Severity};
use super::known::Known;
use super::parallel::Summed;
use super::report::Report;
use super::{begin, nvlist};
use crate::fletcher::Checksum;
use crate::nvlist::NvList;
use crate::record::{
    Begin, BeginFlags, CHECKSUM_AT, Features, Header, Problem, RawRecord, Record, RecordType,
    Write, WriteByref,
};
use crate::{Error, Result};

/// How many findings of each severity are kept; more are only counted.
pub(super) const KEPT: u64 = 1_000;

/// A stream between its BEGIN and its END.
#[derive(Clone, Debug)]
struct Open {
    compound: bool,
    context: Context,
    /// The GUID in the first record after the BEGIN. That of the BEGIN is
    /// another one in streams of partly received datasets (`--saved`).
    guid: Option<u64>,
    /// The block before: object and offset.
    last: (u64, u64),
    /// In full streams, the objects there was an OBJECT of.
    known: Option<Known>,
    /// The last object that was told of, and the size of its blocks.
    told: (u64, u64),
    /// Damage was found in it.
    damaged: bool,
}

/// The record before.
#[derive(Clone, Copy, Debug)]
struct Previous {
    offset: u64,
    number: u64,
    record_type: RecordType,
    object: Option<u64>,
    object_offset: Option<u64>,
    /// Some of it is proven only by the next record's checksum.
    unproven: bool,
}

impl Previous {
    fn finding(self, kind: Kind) -> Finding {
        Finding {
            offset: self.offset,
            record: self.number,
            record_type: Some(self.record_type),
            object: self.object,
            object_offset: self.object_offset,
            kind,
        }
    }
}

/// Checks a stream whose records are handed to it one after the other.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent of each other"
)]
pub struct Verifier {
    sums: Checksum,
    /// The sums as the sender had them, after a header whose checksum did not
    /// fit: one of the two will fit at the next.
    stated: Option<Checksum>,
    open: Option<Open>,
    in_compound: bool,
    /// What the list of the compound stream says will come.
    listed: Option<Listed>,
    /// A whole stream is behind us.
    complete: bool,
    previous: Option<Previous>,
    guid: Option<u64>,
    /// The sums are unknown: bytes before could not be read.
    lost: bool,
    /// It was told that records come after the END.
    told_after_end: bool,
    /// Checksums are somebody else's business.
    without_sums: bool,
    /// Features that no receiver has and that are no finding all the same.
    removed: Features,
    /// How many warnings there were.
    warnings: u64,
    report: Report,
}

impl Verifier {
    /// Awaits a stream's first record.
    pub fn new() -> Self {
        Self::default()
    }

    /// Awaits a stream whose checksums are not made yet.
    #[cfg(feature = "compress")]
    pub(crate) fn without_sums() -> Self {
        Self {
            without_sums: true,
            ..Self::default()
        }
    }

    /// Awaits a stream that may have features that whoever reads it removes.
    #[cfg(feature = "compress")]
    pub(crate) fn removing(features: Features) -> Self {
        Self {
            removed: features,
            ..Self::default()
        }
    }

    /// Checks the next record.
    pub fn record(&mut self, record: &RawRecord<'_>) {
        self.header(record.offset, record.number, record.header);
        self.payload(record.header, record.payload);
    }

    /// What was found so far.
    pub fn findings(&self) -> &[Finding] {
        &self.report.findings
    }

    /// Checks that the stream was complete, and gives the result.
    pub fn finish(mut self) -> Report {
        let kind = if self.previous.is_none() && self.report.findings.is_empty() {
            Some(Kind::Empty)
        } else if self.open.is_some() {
            Some(Kind::MissingEnd)
        } else if self.in_compound {
            Some(Kind::MissingFinalEnd)
        } else {
            None
        };
        // A stream that was cut off lacks its END, too: that is said once.
        let last = self.report.findings.last();
        let cut = last.is_some_and(|finding| finding.kind.is_cut());
        if let Some(kind) = kind.filter(|_| !cut) {
            self.find(Finding::between(
                self.report.bytes,
                self.report.records,
                kind,
            ));
        }
        self.report
    }

    /// What was found so far, where no end can be reached.
    pub(super) fn unfinished(self) -> Report {
        self.report
    }

    /// What is left after a whole stream is no record that was cut off.
    pub(crate) fn after_end(&self, error: Error) -> Error {
        match error {
            Error::Stream {
                offset,
                record,
                problem: Problem::TruncatedHeader { found },
            } if self.is_over() => Error::Damaged {
                finding: Box::new(Finding::between(
                    offset,
                    record,
                    Kind::TrailingBytes {
                        bytes: found as u64,
                    },
                )),
            },
            other => other,
        }
    }

    /// A whole stream was read, and nothing has begun since.
    fn is_over(&self) -> bool {
        self.complete && self.open.is_none() && !self.in_compound
    }

    /// The last header, if it is the one there.
    pub(super) fn header_at(&self, offset: u64) -> Option<(RecordType, Option<u64>, Option<u64>)> {
        let previous = self.previous.filter(|last| last.offset == offset)?;
        Some((
            previous.record_type,
            previous.object,
            previous.object_offset,
        ))
    }

    /// The GUID that the records of the open or last stream bear.
    pub(super) fn guid(&self) -> Option<u64> {
        self.guid
    }

    /// The error of the first finding that keeps the stream from being received.
    pub(crate) fn refuse(&self) -> Result<()> {
        self.report.refuse()
    }

    /// The error of something wrong with the last header.
    pub(super) fn refuse_last(&self, kind: Kind) -> Error {
        let at = self.previous.map(|last| last.finding(kind.clone()));
        let Report { bytes, records, .. } = self.report;
        let finding = at.unwrap_or_else(|| Finding::between(bytes, records, kind));
        Error::Damaged {
            finding: Box::new(finding),
        }
    }

    pub(super) fn find(&mut self, finding: Finding) {
        let count = match finding.severity() {
            Severity::Fatal => &mut self.report.fatal,
            Severity::Warning => &mut self.warnings,
        };
        *count += 1;
        if *count <= KEPT {
            self.report.findings.push(finding);
        } else {
            self.report.more += 1;
        }
    }

    /// After bytes that were no records: the sums are lost, and the next
    /// header's are taken for right.
    pub(super) fn lost(&mut self) {
        self.stated = None;
        self.lost = true;
        self.mark_damaged();
    }

    /// So many bytes were read, records or not.
    pub(super) fn read_to(&mut self, offset: u64) {
        self.report.bytes = offset;
    }

    /// What was damaged may have told of objects and ranges that later records
    /// are about: those are no longer missed.
    fn mark_damaged(&mut self) {
        if let Some(open) = &mut self.open {
            open.damaged = true;
            open.known = None;
            open.context.range = (0, u64::MAX);
        }
    }

    /// Checks a header; false if its checksum does not fit, so that what it
    /// says is not to be trusted.
    pub(super) fn header(&mut self, offset: u64, number: u64, header: Header<'_>) -> bool {
        self.header_summed(offset, number, header, Self::sum_header)
    }

    /// Checks a record whose sums were computed already; false where they do
    /// not fit, or cannot be compared: then what was found is not all.
    pub(super) fn summed_record(&mut self, record: &Summed) -> bool {
        let Some(header) = record.header() else {
            return false;
        };
        let rest_len = (header.bytes().len() - CHECKSUM_AT) as u64 + record.length;
        let fits = self.header_summed(
            record.offset,
            record.number,
            header,
            |verifier, header, _, _, _| {
                let stated = header.checksum();
                let before = if stated.is_none() {
                    Checksum::ZERO
                } else {
                    verifier.sums
                };
                let computed = before.combine(record.fields, CHECKSUM_AT as u64);
                verifier.sums = computed.combine(record.rest, rest_len);
                match stated {
                    None => true,
                    Some(Checksum::ZERO) => verifier.may_lack_sums(header),
                    Some(stated) => stated == computed,
                }
            },
        );
        self.report.bytes += record.length;
        if let Record::Begin(begin) = header.parse() {
            self.begin_payload(&begin, &record.nvlist);
        }
        fits
    }

    fn header_summed(
        &mut self,
        offset: u64,
        number: u64,
        header: Header<'_>,
        sum: impl FnOnce(&mut Self, Header<'_>, Previous, Option<Previous>, bool) -> bool,
    ) -> bool {
        let record = header.parse();
        let this = Previous {
            offset,
            number,
            record_type: header.record_type(),
            object: record.object(),
            object_offset: record.offset(),
            // A BEGIN's header is proven by the next record, as payloads are.
            unproven: header.payload_len() > 0 || header.record_type() == RecordType::Begin,
        };
        let after_loss = std::mem::take(&mut self.lost);
        let previous = self.previous.replace(this);
        self.report.records = number + 1;
        self.report.bytes = offset + header.bytes().len() as u64;
        let expected_end = self.sums;
        let trusted = sum(self, header, this, previous, after_loss);
        self.enter(&record, header, this, expected_end, trusted);
        if trusted && !matches!(record, Record::Begin(_) | Record::End(_)) {
            self.inside(&record, this);
        }
        trusted
    }

    /// Adds a payload, and reads a BEGIN's nvlist.
    pub(super) fn payload(&mut self, header: Header<'_>, payload: &[u8]) {
        self.report.bytes += payload.len() as u64;
        if !self.without_sums {
            self.sums.update(payload, header.order());
        }
        if let Some(stated) = &mut self.stated {
            stated.update(payload, header.order());
        }
        if let Record::Begin(begin) = header.parse() {
            self.begin_payload(&begin, payload);
        }
    }

    /// Whether the next header has no checksum where it must have one: nothing
    /// proves it, nor the payload before it.
    pub(super) fn lacks_sums(&self, header: Header<'_>) -> bool {
        header.checksum() == Some(Checksum::ZERO) && !self.may_lack_sums(header)
    }

    /// libzfs writes the ENDs of compound streams without a checksum.
    fn may_lack_sums(&self, header: Header<'_>) -> bool {
        let compound = self.open.as_ref().is_some_and(|open| open.compound);
        header.record_type() == RecordType::End && (compound || header.is_final_end())
    }

    /// Runs the checksum over a header and compares.
    fn sum_header(
        &mut self,
        header: Header<'_>,
        this: Previous,
        previous: Option<Previous>,
        after_loss: bool,
    ) -> bool {
        if self.without_sums {
            return true;
        }
        let order = header.order();
        let (fields, own) = header.bytes().split_at(CHECKSUM_AT);
        let Some(stated) = header.checksum() else {
            self.sums = Checksum::ZERO;
            self.stated = None;
            self.sums.update(header.bytes(), order);
            return true;
        };
        if self.is_over() {
            // The sums were of the stream that has ended.
            return true;
        }
        self.sums.update(fields, order);
        if let Some(sums) = &mut self.stated {
            sums.update(fields, order);
        }
        // What the sender's sums went on with.
        let mut own_as_computed = None;
        if stated.is_zero() {
            if !self.may_lack_sums(header) && !after_loss {
                self.find_at(this, Kind::Unchecked);
            }
        } else if after_loss {
            self.sums = stated;
            self.stated = None;
        } else if stated == self.sums {
            self.stated = None;
        } else if self.stated == Some(stated) {
            // The damage was found at the header before.
            self.sums = stated;
            self.stated = None;
        } else {
            let computed = self.sums;
            own_as_computed = Some(computed);
            let damaged = previous
                .filter(|previous| previous.unproven)
                .unwrap_or(this);
            self.find_at(damaged, Kind::Damaged { stated, computed });
            self.mark_damaged();
            self.stated = Some(stated);
        }
        if let Some(sums) = &mut self.stated {
            sums.update(own, order);
        }
        match own_as_computed {
            // If only this field was damaged, the sender's had this value.
            Some(computed) => {
                for word in computed.0 {
                    self.sums.update(&order.put_u64(word), order);
                }
            }
            None => self.sums.update(own, order),
        }
        own_as_computed.is_none()
    }

    /// Follows BEGIN and END.
    fn enter(
        &mut self,
        record: &Record,
        header: Header<'_>,
        this: Previous,
        expected_end: Checksum,
        trusted: bool,
    ) {
        match record {
            Record::Begin(begin) => self.begin(begin, this),
            _ if self.is_over() => self.tell_after_end(this, Kind::TrailingRecords),
            Record::End(end) => {
                if header.is_final_end() && self.open.is_none() {
                    if !self.in_compound {
                        self.find_at(this, Kind::UnexpectedEnd);
                    }
                    for kind in self.listed.take().iter().flat_map(Listed::missing) {
                        self.find_at(this, kind);
                    }
                    self.in_compound = false;
                    self.complete = true;
                    return;
                }
                let Some(open) = self.open.take() else {
                    self.find_at(this, Kind::UnexpectedEnd);
                    return;
                };
                // With damage before, the sums are told of already.
                let summed = trusted && !open.damaged && !self.without_sums;
                if summed && end.checksum != expected_end {
                    let (stated, computed) = (end.checksum, expected_end);
                    self.find_at(this, Kind::DamagedEnd { stated, computed });
                }
                if open.compound {
                    self.end_without_checksum(header, this);
                }
                self.report.streams += u64::from(!open.compound);
                self.complete |= !self.in_compound;
            }
            _ if self.open.is_none() => self.tell_after_end(this, Kind::AfterEnd),
            _ => {}
        }
    }

    /// Tells once that something comes where nothing is open.
    fn tell_after_end(&mut self, this: Previous, kind: Kind) {
        if !std::mem::replace(&mut self.told_after_end, true) {
            self.find_at(this, kind);
        }
    }

    /// Nothing but the END's fields proves an END without a checksum.
    fn end_without_checksum(&mut self, header: Header<'_>, this: Previous) {
        let bytes = header.bytes();
        let padding = [bytes.get(4..8), bytes.get(40..CHECKSUM_AT)];
        let mut padding = padding.into_iter().flatten().flatten();
        if padding.any(|&byte| byte != 0) {
            let (field, value, rule) = ("padding", 1, UNUSUAL);
            self.find_at(this, Kind::BadField { field, value, rule });
        }
    }

    fn begin(&mut self, begin: &Begin, this: Previous) {
        if self.open.is_some() {
            self.find_at(this, Kind::UnexpectedBegin);
        }
        if self.complete {
            self.find_at(this, Kind::TrailingStream);
            self.complete = false;
        }
        let compound = begin.is_compound();
        match begin.header_type() {
            1 => {}
            2 if self.in_compound => self.find_at(this, Kind::NestedCompound),
            2 => self.in_compound = true,
            other => self.find_at(this, Kind::UnknownHeaderType(other)),
        }
        begin::check(begin, self.removed, &mut |kind| self.find_at(this, kind));
        if compound {
            self.listed = None;
        } else if let Some(kind) = self.listed.as_mut().and_then(|listed| listed.comes(begin)) {
            self.find_at(this, kind);
        }
        let features = begin.features();
        self.guid = Some(begin.to_guid);
        self.told_after_end = false;
        let full = begin.from_guid == 0 && !compound;
        let resumed = features.contains(Features::RESUMING);
        self.open = Some(Open {
            compound,
            context: Context {
                features,
                spill: begin.flags.contains(BeginFlags::SPILL_BLOCK),
                range: (0, 0),
            },
            guid: None,
            last: (0, 0),
            known: (full && !resumed).then(Known::default),
            told: (0, 0),
            damaged: false,
        });
    }

    fn begin_payload(&mut self, begin: &Begin, payload: &[u8]) {
        let Some(this) = self.previous else { return };
        let list = if payload.is_empty() {
            None
        } else {
            match NvList::decode(payload) {
                Ok(list) => Some(list),
                Err(error) => {
                    self.find_at(this, Kind::BadNvlist(error.to_string()));
                    return;
                }
            }
        };
        nvlist::check(begin, list.as_ref(), &mut |kind| self.find_at(this, kind));
        if begin.is_compound() {
            self.listed = list.map(|list| Listed::new(begin, &list));
        }
    }

    /// Checks a record between BEGIN and END.
    fn inside(&mut self, record: &Record, this: Previous) {
        let Some(open) = &mut self.open else { return };
        let mut kinds = Vec::new();
        if open.compound {
            kinds.push(Kind::Contradiction(
                "a record in a compound stream's header",
            ));
        }
        let found = record.to_guid();
        let expected = *open.guid.get_or_insert(found);
        if found != expected {
            kinds.push(Kind::OtherSnapshot { expected, found });
        }
        self.guid = Some(expected);
        check(record, open.context, &mut |kind| kinds.push(kind));
        match record {
            Record::Object(object) => {
                open.told = (object.object, u64::from(object.block_size));
                if let Some(known) = &mut open.known {
                    known.tell(object.object);
                }
            }
            Record::ObjectRange(range) => {
                open.context.range = (range.first_object, range.slots);
            }
            // What redup makes a WRITE of comes in the order of those.
            Record::Write(Write {
                object,
                logical_size,
                ..
            }) if open.context.features.contains(Features::RAW)
                && open.told.0 == *object
                && open.told.1 != *logical_size =>
            {
                kinds.push(Kind::BadField {
                    field: "logical size",
                    value: *logical_size,
                    rule: "not the size of its object's blocks",
                });
            }
            Record::Write(Write { object, offset, .. })
            | Record::WriteByref(WriteByref { object, offset, .. }) => {
                let block = (*object, *offset);
                if block < open.last {
                    let (object, offset) = open.last;
                    kinds.push(Kind::OutOfOrder { object, offset });
                }
                open.last = block;
            }
            _ => {}
        }
        let needs_object = matches!(
            record,
            Record::Write(_)
                | Record::WriteByref(_)
                | Record::WriteEmbedded(_)
                | Record::Spill(_)
                | Record::Free(_)
        );
        let unknown = |known: Known| record.object().is_some_and(|object| !known.has(object));
        if needs_object && open.known.is_some_and(unknown) {
            kinds.push(Kind::UnknownObject);
        }
        for kind in kinds {
            self.find_at(this, kind);
        }
    }

    fn find_at(&mut self, at: Previous, kind: Kind) {
        self.find(at.finding(kind));
    }
}
