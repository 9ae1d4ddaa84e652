//! `dump` and `verify`: reading streams through.

use std::borrow::Cow;
use std::cell::Cell;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::{Value, json};
use zfs_stream::nvlist::NvList;
use zfs_stream::record::{Problem, RawRecord, Reader, RecordType};
use zfs_stream::stats::{Statistics, compression_name};
use zfs_stream::verify::{self, Kind, Report};
use zfs_stream::{Error, Printable};

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
    /// How many of the largest objects.
    pub objects: usize,
}

/// The code for streams that cannot be read.
pub(super) const UNREADABLE: Exit = Exit::Code(2);

/// Shows what is in a stream.
pub fn dump(path: &Path, how: Dump) -> anyhow::Result<Exit> {
    let Some(source) = opened(path) else {
        return Ok(UNREADABLE);
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut statistics = Statistics::keeping(how.objects);
    let mut failed = Ok(());
    let unwanted = Cell::new(false);
    let visit = |record: &RawRecord<'_>| {
        statistics.record(record);
        if !how.json && failed.is_ok() {
            let list = statistics.streams.last();
            let list = list.and_then(|stream| stream.nvlist.as_ref());
            failed = show(&mut out, record, list, how.detail);
            unwanted.set(failed.is_err());
        }
    };
    let source = WhileWanted {
        source: source.reader(),
        unwanted: &unwanted,
    };
    let read = read_through(source, how.unchecked, visit);
    failed.context("cannot write")?;
    let (found, error) = match read {
        Ok(found) => (found, None),
        Err(error) => (found_before(&error), Some(error)),
    };
    // What there is of a stream is summed up; what is none has no summary.
    if statistics.records() == 0 {
        return no_record(path, &found, error);
    }
    if how.json {
        // Of what was not checked only its failing is known.
        let intact = match error {
            Some(_) => Some(false),
            None if how.unchecked => None,
            None => Some(found.is_intact()),
        };
        report::statistics_json(&mut out, &statistics, &found, intact).context("cannot write")?;
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

/// Tells why there is nothing to show.
fn no_record(path: &Path, found: &Report, error: Option<Error>) -> anyhow::Result<Exit> {
    report::findings(&mut io::stderr(), &name(path), found).context("cannot write")?;
    match error {
        Some(error) => say(path, &error),
        None if found.findings.is_empty() => eprintln!("{}: {}", name(path), Kind::Empty),
        None => return Ok(exit(found)),
    }
    Ok(UNREADABLE)
}

/// What was found before reading failed.
pub(super) fn found_before(error: &Error) -> Report {
    match error {
        Error::Unreadable { report, .. } => (**report).clone(),
        _ => Report::default(),
    }
}

/// A source that is read no further once nobody can be told of it.
struct WhileWanted<'a, R> {
    source: R,
    unwanted: &'a Cell<bool>,
}

impl<R: Read> Read for WhileWanted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.unwanted.get() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.source.read(buffer)
    }
}

/// Reads a stream to its end, or as far as it goes.
fn read_through(
    source: impl Read,
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

/// Shows a record; of a BEGIN also its list, which was decoded already.
fn show(
    out: &mut impl Write,
    record: &RawRecord<'_>,
    list: Option<&NvList>,
    detail: Detail,
) -> io::Result<()> {
    records::line(out, record, detail)?;
    if record.record_type() == RecordType::Begin && !record.payload.is_empty() {
        if let Some(list) = list {
            write!(out, "{list}")?;
        } else if let Err(error) = NvList::decode(record.payload) {
            writeln!(out, "{error}")?;
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
        let (found, error) = match Source::open(path) {
            Ok(source) => checked(source, path),
            Err(error) => (Report::default(), Some(words(&error))),
        };
        let one = if error.is_some() {
            UNREADABLE
        } else {
            exit(&found)
        };
        if one.code() > worst.code() {
            worst = one;
        }
        let name = name(path);
        let mut out = io::stdout().lock();
        let told = if json {
            let value = verdict_json(&file_name(path), &found, error.as_deref());
            writeln!(out, "{value}")
        } else {
            verdict(&mut out, &name, &found, error.is_none())
        };
        told.context("cannot write")?;
        if let Some(error) = error {
            eprintln!("{name}: {error}");
        }
    }
    Ok(worst)
}

/// What was found in a file that was read as far as it goes.
fn verdict_json(name: &str, found: &Report, error: Option<&str>) -> Value {
    let findings: Vec<_> = found.findings.iter().map(report::finding_json).collect();
    json!({
        "file": name,
        "intact": found.is_intact() && error.is_none(),
        "error": error,
        "records": found.records,
        "bytes": found.bytes,
        "streams": found.streams,
        "findings": findings,
        "more_findings": found.more,
    })
}

/// The same in lines, with a last one if it was read to its end.
fn verdict(out: &mut impl Write, name: &str, found: &Report, to_the_end: bool) -> io::Result<()> {
    report::findings(out, name, found)?;
    if !to_the_end {
        return Ok(());
    }
    let verdict = if found.is_intact() {
        "intact"
    } else {
        "damaged"
    };
    let (streams, records, bytes) = (found.streams, found.records, found.bytes);
    writeln!(
        out,
        "{name}: {verdict}: {streams} streams, {records} records, {bytes} bytes"
    )
}

/// Checks a file on all cores, and what is no file as it comes; with words where
/// it could not be read to its end.
fn checked(source: Source, path: &Path) -> (Report, Option<String>) {
    let result = match source {
        Source::File(file) => match verify::verify_at(&file) {
            // Read again in its order, to tell where that was and what was
            // found before it.
            Err(error) => {
                Source::open(path).map_or(Err(error), |again| verify::verify(again.reader()))
            }
            found => found,
        },
        Source::Pipe(pipe) => verify::verify(pipe),
    };
    match result {
        Ok(found) => (found, None),
        Err(error) => (found_before(&error), Some(words(&error))),
    }
}

pub(super) fn opened(path: &Path) -> Option<Source> {
    Source::open(path).map_err(|error| say(path, &error)).ok()
}

pub(super) fn say(path: &Path, error: &dyn std::error::Error) {
    eprintln!("{}: {}", name(path), words(error));
}

fn words(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// What a file is called in a line.
pub(super) fn name(path: &Path) -> String {
    Printable(file_name(path).as_bytes()).to_string()
}

fn file_name(path: &Path) -> Cow<'_, str> {
    if path == Path::new("-") {
        return Cow::Borrowed("standard input");
    }
    path.to_string_lossy()
}

/// 0 intact, 1 damaged, 2 no stream at all.
pub(super) fn exit(found: &Report) -> Exit {
    let no_stream = found.records == 0
        && found.findings.iter().any(|finding| {
            // What begins as a BEGIN does is one that was cut off.
            finding.record_type.is_none()
                && matches!(
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
