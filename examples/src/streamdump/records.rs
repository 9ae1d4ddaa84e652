//! Records as lines, in `zstream dump`'s words, so that scripts which read
//! those work.

use std::io::{self, Write};

use zfs_stream::Printable;
use zfs_stream::record::{MAGIC, RawRecord, Record, RecordType};
use zfs_stream::stats::Statistics;

use super::dump::Detail;

/// Writes what `zstream dump` writes for a record.
pub fn line(out: &mut impl Write, raw: &RawRecord<'_>, detail: Detail) -> io::Result<()> {
    let record = raw.parse();
    match &record {
        Record::Begin(begin) => {
            let toname = Printable(&begin.to_name);
            writeln!(out, "BEGIN record")?;
            writeln!(out, "\thdrtype = {}", begin.header_type())?;
            writeln!(out, "\tfeatures = {:x}", begin.features().bits())?;
            writeln!(out, "\tmagic = {MAGIC:x}")?;
            writeln!(out, "\tcreation_time = {:x}", begin.creation_time)?;
            writeln!(out, "\ttype = {}", begin.objset_type)?;
            writeln!(out, "\tflags = {:#x}", begin.flags.bits())?;
            writeln!(out, "\ttoguid = {:x}", begin.to_guid)?;
            writeln!(out, "\tfromguid = {:x}", begin.from_guid)?;
            writeln!(out, "\ttoname = {toname}")?;
            writeln!(out, "\tpayloadlen = {}", raw.payload.len())?;
            if detail >= Detail::Records {
                writeln!(out)?;
            }
            return Ok(());
        }
        Record::End(end) => writeln!(out, "END checksum = {}", end.checksum)?,
        _ if detail < Detail::Records => {}
        other => body(out, other)?,
    }
    if detail >= Detail::Checksums {
        if let Some(checksum) = raw.header.checksum() {
            writeln!(out, "    checksum = {checksum}")?;
        }
    }
    Ok(())
}

/// The line of a record between BEGIN and END.
fn body(out: &mut impl Write, record: &Record) -> io::Result<()> {
    match record {
        Record::Object(one) => writeln!(
            out,
            "OBJECT object = {} type = {} bonustype = {} blksz = {} bonuslen = {} dn_slots = {} \
             raw_bonuslen = {} flags = {} maxblkid = {} indblkshift = {} nlevels = {} nblkptr = {}",
            one.object,
            one.object_type,
            one.bonus_type,
            one.block_size,
            one.bonus_len,
            one.dn_slots,
            one.raw_bonus_len,
            one.flags,
            one.max_block_id,
            one.indirect_block_shift,
            one.levels,
            one.block_pointers,
        ),
        Record::FreeObjects(one) => writeln!(
            out,
            "FREEOBJECTS firstobj = {} numobjs = {}",
            one.first_object, one.count
        ),
        Record::Write(one) => writeln!(
            out,
            "WRITE object = {} type = {} checksum type = {} compression type = {} flags = {} \
             offset = {} logical_size = {} compressed_size = {} payload_size = {} props = {:x} \
             salt = {} iv = {} mac = {}",
            one.object,
            one.object_type,
            one.checksum_type,
            one.compression,
            one.flags,
            one.offset,
            one.logical_size,
            one.compressed_size,
            record.payload_len(),
            one.key_prop,
            hex(&one.salt),
            hex(&one.iv),
            hex(&one.mac),
        ),
        Record::WriteByref(one) => writeln!(
            out,
            "WRITE_BYREF object = {} checksum type = {} props = {:x} offset = {} length = {} \
             toguid = {:x} refguid = {:x} refobject = {} refoffset = {}",
            one.object,
            one.checksum_type,
            one.key_prop,
            one.offset,
            one.length,
            one.to_guid,
            one.ref_guid,
            one.ref_object,
            one.ref_offset,
        ),
        Record::Free(one) => writeln!(
            out,
            "FREE object = {} offset = {} length = {}",
            one.object,
            one.offset,
            one.length.cast_signed_(),
        ),
        Record::Spill(one) => writeln!(
            out,
            "SPILL block for object = {} length = {} flags = {} compression type = {} \
             compressed_size = {} payload_size = {} salt = {} iv = {} mac = {}",
            one.object,
            one.length,
            one.flags,
            one.compression,
            one.compressed_size,
            record.payload_len(),
            hex(&one.salt),
            hex(&one.iv),
            hex(&one.mac),
        ),
        Record::WriteEmbedded(one) => writeln!(
            out,
            "WRITE_EMBEDDED object = {} offset = {} length = {} toguid = {:x} comp = {} \
             etype = {} lsize = {} psize = {}",
            one.object,
            one.offset,
            one.length,
            one.to_guid,
            one.compression,
            one.embedded_type,
            one.logical_size,
            one.physical_size,
        ),
        Record::ObjectRange(one) => writeln!(
            out,
            "OBJECT_RANGE firstobj = {} numslots = {} flags = {} salt = {} iv = {} mac = {}",
            one.first_object,
            one.slots,
            one.flags,
            hex(&one.salt),
            hex(&one.iv),
            hex(&one.mac),
        ),
        Record::Redact(one) => writeln!(
            out,
            "REDACT object = {} offset = {} length = {}",
            one.object, one.offset, one.length
        ),
        Record::Begin(_) | Record::End(_) => Ok(()),
    }
}

/// `zstream dump` shows the length of a FREE as a signed number: -1 is up to
/// the object's end.
trait Signed {
    fn cast_signed_(self) -> i64;
}

impl Signed for u64 {
    fn cast_signed_(self) -> i64 {
        i64::from_ne_bytes(self.to_ne_bytes())
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        use std::fmt::Write as _;
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Writes `zstream dump`'s summary.
pub fn summary(out: &mut impl Write, statistics: &Statistics) -> io::Result<()> {
    writeln!(out, "SUMMARY:")?;
    let line = |out: &mut _, record_type: RecordType| {
        let count = statistics.count(record_type);
        let (records, bytes) = (count.records, count.payload_bytes);
        let out: &mut dyn Write = out;
        writeln!(
            out,
            "\tTotal DRR_{record_type} records = {records} ({bytes} bytes)"
        )
    };
    for record_type in [
        RecordType::Begin,
        RecordType::End,
        RecordType::Object,
        RecordType::FreeObjects,
        RecordType::Write,
        RecordType::WriteByref,
        RecordType::WriteEmbedded,
        RecordType::Free,
        RecordType::Spill,
    ] {
        line(out, record_type)?;
    }
    let [payload, header, stream] = [
        statistics.payload_bytes(),
        statistics.header_bytes(),
        statistics.stream_bytes(),
    ];
    writeln!(out, "\tTotal records = {}", statistics.records())?;
    writeln!(out, "\tTotal payload size = {payload} ({payload:#x})")?;
    writeln!(out, "\tTotal header overhead = {header} ({header:#x})")?;
    writeln!(out, "\tTotal stream length = {stream} ({stream:#x})")?;
    // zstream does not tell of these, so they stand after its lines.
    for record_type in [RecordType::ObjectRange, RecordType::Redact] {
        if statistics.count(record_type).records > 0 {
            line(out, record_type)?;
        }
    }
    Ok(())
}
