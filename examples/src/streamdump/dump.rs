//! `dump`, `verify` and `chain`: reading streams through.

use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::json;
use zfs_stream::Error;
use zfs_stream::nvlist::NvList;
use zfs_stream::record::{Problem, RawRecord, Reader, RecordType};
use zfs_stream::stats::{self, Statistics, compression_name};
use zfs_stream::verify::{self, Finding, Kind, Report, Severity};

use super::{Source, records, report};
use crate::exit::Exit;

/// How much is shown of the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// BEGIN, END and the summary.
    Summary,
    /// A line for each record.
    Records,
    /// With its checksum.
    Checksums,
}

impl Detail {
    /// None, `-v` or `-vv`.
    pub fn from_count(count: u8) -> Detail {
        match count {
            0 => Detail::Summary,
            1 => Detail::Records,
            _ => Detail::Checksums,
        }
    }
}

/// How `dump` shows a stream.
#[derive(Clone, Copy, Debug)]
pub struct Dump {
    /// How much of the records.
    pub detail: Detail,
    /// As JSON.
    pub json: bool,
    /// Without checking anything.
    pub unchecked: bool,
}

/// The code for streams that cannot be read.
pub(super) const UNREADABLE: Exit = Exit::Code(2);

/// Shows what is in a stream.
pub fn dump(path: &Path, how: Dump) -> anyhow::Result<Exit> {
    let Some(source) = opened(path) else {
        return Ok(UNREADABLE);
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut statistics = Statistics::default();
    let mut failed = Ok(());
    let visit = |record: &RawRecord<'_>| {
        statistics.record(record);
        if !how.json && failed.is_ok() {
            failed = show(&mut out, record, how.detail);
        }
    };
    let read = read_through(source.reader(), how.unchecked, visit);
    failed.context("cannot write")?;
    let (found, error) = match read {
        Ok(found) => (found, None),
        Err(error) => (found_before(&error), Some(error)),
    };
    // What there is of a stream is summed up; what is none has no summary.
    if let Some(error) = error.as_ref().filter(|_| statistics.records() == 0) {
        say(path, error);
        return Ok(UNREADABLE);
    }
    if how.json {
        let mut value = report::statistics_json(&statistics);
        value["intact"] = json!(found.is_intact() && error.is_none());
        value["findings"] = found.findings.iter().map(report::finding_json).collect();
        writeln!(out, "{value}").context("cannot write")?;
    } else {
        records::summary(&mut out, &statistics)
            .and_then(|()| more(&mut out, &statistics))
            .context("cannot write")?;
    }
    out.flush().context("cannot write")?;
    if !how.json {
        report::findings(&mut io::stderr(), &name(path), &found).context("cannot write")?;
    }
    Ok(match error {
        None => exit(&found),
        Some(error) => {
            say(path, &error);
            match error {
                Error::Stream { .. } => Exit::Failed,
                _ => UNREADABLE,
            }
        }
    })
}

/// What was found before reading failed.
fn found_before(error: &Error) -> Report {
    match error {
        Error::Unreadable { report, .. } => (**report).clone(),
        _ => Report::default(),
    }
}

/// Reads a stream to its end, or as far as it goes.
fn read_through(
    source: Box<dyn Read>,
    unchecked: bool,
    mut visit: impl FnMut(&RawRecord<'_>),
) -> zfs_stream::Result<Report> {
    let mut reader = Reader::new(source);
    if !unchecked {
        return verify::verify_with(reader, visit);
    }
    while let Some(record) = reader.next_record()? {
        visit(&record);
    }
    Ok(Report::default())
}

fn show(out: &mut impl Write, record: &RawRecord<'_>, detail: Detail) -> io::Result<()> {
    records::line(out, record, detail)?;
    if record.record_type() == RecordType::Begin && !record.payload.is_empty() {
        match NvList::decode(record.payload) {
            Ok(list) => write!(out, "{list}")?,
            Err(error) => writeln!(out, "{error}")?,
        }
    }
    Ok(())
}

/// What `zstream dump` does not tell.
fn more(out: &mut impl Write, statistics: &Statistics) -> io::Result<()> {
    writeln!(out, "BLOCKS:")?;
    writeln!(out, "\tObjects = {}", statistics.objects)?;
    writeln!(out, "\tLogical size = {}", statistics.logical_bytes)?;
    writeln!(out, "\tHoles = {}", statistics.hole_bytes)?;
    for (&number, met) in &statistics.compression {
        writeln!(
            out,
            "\tCompression {} = {} blocks ({} bytes of {})",
            compression_name(number),
            met.blocks,
            met.physical_bytes,
            met.logical_bytes
        )?;
    }
    for one in statistics.largest_objects() {
        writeln!(
            out,
            "\tObject {} = {} blocks ({} bytes of {})",
            one.object, one.blocks, one.physical_bytes, one.logical_bytes
        )?;
    }
    Ok(())
}

/// Checks streams; a line for each finding, and one for each file.
pub fn verify_files(paths: &[PathBuf], json: bool) -> anyhow::Result<Exit> {
    let mut worst = Exit::Done;
    for path in paths {
        let Some(source) = opened(path) else {
            worst = UNREADABLE;
            continue;
        };
        let found = match checked(source, path) {
            Ok(found) => found,
            Err(error) => {
                let found = found_before(&error);
                report::findings(&mut io::stdout(), &name(path), &found).context("cannot write")?;
                say(path, &error);
                worst = UNREADABLE;
                continue;
            }
        };
        let one = exit(&found);
        if one.code() > worst.code() {
            worst = one;
        }
        let mut out = io::stdout().lock();
        let name = name(path);
        if json {
            let findings: Vec<_> = found.findings.iter().map(report::finding_json).collect();
            let value = json!({
                "file": name,
                "intact": found.is_intact(),
                "records": found.records,
                "bytes": found.bytes,
                "streams": found.streams,
                "findings": findings,
                "more_findings": found.more,
            });
            writeln!(out, "{value}").context("cannot write")?;
            continue;
        }
        report::findings(&mut out, &name, &found).context("cannot write")?;
        let verdict = if found.is_intact() {
            "intact"
        } else {
            "damaged"
        };
        writeln!(
            out,
            "{name}: {verdict}: {} streams, {} records, {} bytes",
            found.streams, found.records, found.bytes
        )
        .context("cannot write")?;
    }
    Ok(worst)
}

/// Checks a file on all cores, and what is no file as it comes.
fn checked(source: Source, path: &Path) -> zfs_stream::Result<Report> {
    match source {
        Source::File(file) => match verify::verify_at(&file) {
            // Read again in its order, to tell where that was and what was
            // found before it.
            Err(error) => {
                Source::open(path).map_or(Err(error), |again| verify::verify(again.reader()))
            }
            found => found,
        },
        Source::Pipe(pipe) => verify::verify(pipe),
    }
}

/// Tells whether stream files, received in that order, lead from nothing to
/// the last.
pub fn chain(paths: &[PathBuf]) -> anyhow::Result<Exit> {
    let mut streams = Vec::new();
    let mut whole = true;
    let mut out = io::stdout().lock();
    for path in paths {
        let Some(source) = opened(path) else {
            return Ok(UNREADABLE);
        };
        let mut statistics = Statistics::default();
        let reader = Reader::new(source.reader());
        let found = match verify::verify_with(reader, |record| statistics.record(record)) {
            Ok(found) => found,
            Err(error) => {
                report::findings(&mut out, &name(path), &found_before(&error))
                    .context("cannot write")?;
                say(path, &error);
                return Ok(UNREADABLE);
            }
        };
        if exit(&found).code() == UNREADABLE.code() {
            report::findings(&mut io::stderr(), &name(path), &found).context("cannot write")?;
            return Ok(UNREADABLE);
        }
        // Of what was only cut off the chain tells, if nothing resumes it.
        let cut = statistics.streams.last().is_some_and(|last| !last.ended);
        let damaged = |finding: &Finding| {
            finding.severity() == Severity::Fatal && !(cut && finding.kind.is_cut())
        };
        if found.findings.iter().any(damaged) {
            report::findings(&mut out, &name(path), &found).context("cannot write")?;
            whole = false;
        }
        for stream in statistics.streams {
            let begin = &stream.begin;
            if begin.is_compound() {
                continue;
            }
            writeln!(
                out,
                "{} {}: {} -> {} {}",
                streams.len(),
                name(path),
                begin.from_guid,
                begin.to_guid,
                String::from_utf8_lossy(&begin.to_name)
            )
            .context("cannot write")?;
            streams.push(stream);
        }
    }
    let breaks = stats::chain(&streams);
    for one in &breaks {
        writeln!(out, "{one}").context("cannot write")?;
    }
    let whole = whole && breaks.is_empty() && !streams.is_empty();
    let verdict = if whole { "unbroken" } else { "broken" };
    writeln!(out, "{verdict}: {} streams", streams.len()).context("cannot write")?;
    Ok(Exit::done_if(whole))
}

fn opened(path: &Path) -> Option<Source> {
    Source::open(path).map_err(|error| say(path, &error)).ok()
}

pub(super) fn say(path: &Path, error: &dyn std::error::Error) {
    eprint!("{}: {error}", name(path));
    if let Some(source) = error.source() {
        eprint!(": {source}");
    }
    eprintln!();
}

fn name(path: &Path) -> String {
    if path == Path::new("-") {
        return "standard input".to_owned();
    }
    path.display().to_string()
}

/// 0 intact, 1 damaged, 2 no stream at all.
fn exit(found: &Report) -> Exit {
    let no_stream = found.records == 0
        && found.findings.iter().any(|finding| {
            matches!(
                finding.kind,
                Kind::Empty
                    | Kind::NotARecord(
                        Problem::NotAStream { .. }
                            | Problem::BadMagic
                            | Problem::TruncatedHeader { .. }
                    )
            )
        });
    if no_stream {
        UNREADABLE
    } else {
        Exit::done_if(found.is_intact())
    }
}
