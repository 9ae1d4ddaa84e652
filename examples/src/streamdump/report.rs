//! What was found, for people and for machines.

use std::io::{self, Write};

use serde_json::{Value, json};
use zfs_stream::record::RecordType;
use zfs_stream::stats::{Statistics, Stream, compression_name};
use zfs_stream::verify::{Finding, Report, Severity};

use super::nvlist::{ListJson, Names};

/// A line for each finding: what, where, and what it means for a restore.
pub fn findings(out: &mut dyn Write, name: &str, report: &Report) -> io::Result<()> {
    for finding in &report.findings {
        let severity = severity(finding);
        let consequence = finding.consequence();
        writeln!(out, "{name}: {severity}: {finding}; {consequence}")?;
    }
    if report.more > 0 {
        writeln!(out, "{name}: {} more findings", report.more)?;
    }
    Ok(())
}

fn severity(finding: &Finding) -> &'static str {
    match finding.severity() {
        Severity::Fatal => "damaged",
        Severity::Warning => "warning",
    }
}

/// A finding as JSON.
pub fn finding_json(finding: &Finding) -> Value {
    json!({
        "severity": severity(finding),
        "offset": finding.offset,
        "record": finding.record,
        "type": finding.record_type.map(RecordType::name),
        "object": finding.object,
        "object_offset": finding.object_offset,
        "message": finding.kind.to_string(),
        "consequence": finding.consequence(),
    })
}

/// Writes the totals as one JSON object. GUIDs are strings: they do not fit what
/// many readers of JSON take for numbers. Of streams there may be very many, so
/// each is written before the next is put together.
pub fn statistics_json(
    out: &mut impl Write,
    statistics: &Statistics,
    found: &Report,
    intact: Option<bool>,
) -> io::Result<()> {
    let totals = totals_json(statistics).to_string();
    let totals = totals.strip_suffix('}').unwrap_or_default();
    let findings: Vec<_> = found.findings.iter().map(finding_json).collect();
    write!(out, "{totals},\"intact\":{}", json!(intact))?;
    write!(out, ",\"findings\":{},\"streams\":[", json!(findings))?;
    let names = Names::of(&statistics.streams);
    for (number, stream) in statistics.streams.iter().enumerate() {
        let comma = if number > 0 { "," } else { "" };
        let fields = stream_json(stream, &names).to_string();
        let fields = fields.strip_suffix('}').unwrap_or_default();
        write!(out, "{comma}{fields},\"nvlist\":")?;
        serde_json::to_writer(&mut *out, &stream.nvlist.as_ref().map(ListJson))?;
        write!(out, "}}")?;
    }
    writeln!(out, "]}}")
}

/// All of a stream but its list.
fn stream_json(stream: &Stream, names: &Names) -> Value {
    let begin = &stream.begin;
    let from_guid = (begin.from_guid != 0).then(|| begin.from_guid.to_string());
    json!({
        "offset": stream.offset,
        "compound": begin.is_compound(),
        "byte_order": format!("{:?}", stream.order).to_lowercase(),
        "to_name": String::from_utf8_lossy(&begin.to_name),
        "to_guid": begin.to_guid.to_string(),
        "from_guid": from_guid,
        "from_name": names.source(stream),
        "creation_time": begin.creation_time,
        "objset_type": begin.objset_type,
        "features": begin.features().names().collect::<Vec<_>>(),
        "feature_bits": format!("{:#x}", begin.features().bits()),
        "flags": begin.flags.names().collect::<Vec<_>>(),
        "ended": stream.ended,
    })
}

fn totals_json(statistics: &Statistics) -> Value {
    let records: serde_json::Map<_, _> = RecordType::ALL
        .into_iter()
        .map(|record_type| {
            let count = statistics.count(record_type);
            let count = json!({
                "records": count.records,
                "payload_bytes": count.payload_bytes,
            });
            (record_type.name().to_owned(), count)
        })
        .collect();
    let compression: serde_json::Map<_, _> = statistics
        .compression
        .iter()
        .map(|(&number, met)| {
            let met = json!({
                "blocks": met.blocks,
                "logical_bytes": met.logical_bytes,
                "physical_bytes": met.physical_bytes,
            });
            (compression_name(number).to_owned(), met)
        })
        .collect();
    let largest: Vec<_> = statistics
        .largest_objects()
        .into_iter()
        .map(|one| {
            json!({
                "stream": one.stream,
                "object": one.object,
                "blocks": one.blocks,
                "logical_bytes": one.logical_bytes,
                "physical_bytes": one.physical_bytes,
            })
        })
        .collect();
    json!({
        "records_by_type": records,
        "records": statistics.records(),
        "payload_bytes": statistics.payload_bytes(),
        "header_bytes": statistics.header_bytes(),
        "stream_bytes": statistics.stream_bytes(),
        "logical_bytes": statistics.logical_bytes,
        "hole_bytes": statistics.hole_bytes,
        "objects": statistics.objects,
        "compression": compression,
        "largest_objects": largest,
    })
}
