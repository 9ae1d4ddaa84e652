//! `chain`: whether stream files lead from nothing to the last.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::{Value, json};
use zfs_stream::Printable;
use zfs_stream::record::Reader;
use zfs_stream::stats::{self, Break, Statistics, Stream};
use zfs_stream::verify::{self, Report, Severity};

use super::dump::{UNREADABLE, exit, found_before, name, opened, say};
use super::report;
use crate::exit::Exit;

/// What was read so far.
#[derive(Default)]
struct Links {
    streams: Vec<Stream>,
    /// The same for machines.
    listed: Vec<Value>,
    findings: Vec<Value>,
    damaged: bool,
}

/// Tells whether stream files, received in that order, lead from nothing to
/// the last.
pub fn chain(paths: &[PathBuf], json: bool) -> anyhow::Result<Exit> {
    let mut out = io::stdout().lock();
    let mut links = Links::default();
    for path in paths {
        if !links.read(&mut out, path, json)? {
            return Ok(UNREADABLE);
        }
    }
    let breaks = stats::chain(&links.streams);
    let unbroken = !links.damaged && breaks.is_empty() && !links.streams.is_empty();
    if json {
        writeln!(out, "{}", links.verdict_json(&breaks, unbroken))
    } else {
        verdict(&mut out, links.streams.len(), &breaks, unbroken)
    }
    .context("cannot write")?;
    Ok(Exit::done_if(unbroken))
}

impl Links {
    /// Reads a file, and tells of its streams and of what was found in it; false
    /// if it cannot be read.
    fn read(&mut self, out: &mut impl Write, path: &Path, json: bool) -> anyhow::Result<bool> {
        let Some(source) = opened(path) else {
            return Ok(false);
        };
        let mut statistics = Statistics::default();
        let reader = Reader::new(source.reader());
        let read = verify::verify_with(reader, |record| statistics.record(record));
        let (mut found, error) = match read {
            Ok(found) => (found, None),
            Err(error) => (found_before(&error), Some(error)),
        };
        if error.is_some() || exit(&found).code() == UNREADABLE.code() {
            report::findings(&mut io::stderr(), &name(path), &found).context("cannot write")?;
            if let Some(error) = error {
                say(path, &error);
            }
            return Ok(false);
        }
        // Of what was only cut off the chain tells, if nothing resumes it.
        if statistics.streams.last().is_some_and(|last| !last.ended) {
            found.findings.retain(|finding| !finding.kind.is_cut());
        }
        self.found(out, path, &found, json)?;
        for stream in statistics.streams {
            if !stream.begin.is_compound() {
                self.stream(out, path, stream, json)?;
            }
        }
        Ok(true)
    }

    fn found(
        &mut self,
        out: &mut impl Write,
        path: &Path,
        found: &Report,
        json: bool,
    ) -> anyhow::Result<()> {
        let mut findings = found.findings.iter();
        self.damaged |= findings.any(|finding| finding.severity() == Severity::Fatal);
        if !json {
            return report::findings(out, &name(path), found).context("cannot write");
        }
        self.findings.extend(found.findings.iter().map(|finding| {
            let mut value = report::finding_json(finding);
            value["file"] = json!(path.to_string_lossy());
            value
        }));
        Ok(())
    }

    fn stream(
        &mut self,
        out: &mut impl Write,
        path: &Path,
        stream: Stream,
        json: bool,
    ) -> anyhow::Result<()> {
        let (number, begin) = (self.streams.len(), &stream.begin);
        if json {
            self.listed.push(json!({
                "stream": number,
                "file": path.to_string_lossy(),
                "from_guid": (begin.from_guid != 0).then(|| begin.from_guid.to_string()),
                "to_guid": begin.to_guid.to_string(),
                "to_name": String::from_utf8_lossy(&begin.to_name),
                "ended": stream.ended,
            }));
        } else {
            writeln!(
                out,
                "{number} {}: {} -> {} {}",
                name(path),
                begin.from_guid,
                begin.to_guid,
                Printable(&begin.to_name)
            )
            .context("cannot write")?;
        }
        self.streams.push(stream);
        Ok(())
    }

    fn verdict_json(&self, breaks: &[Break], unbroken: bool) -> Value {
        let breaks: Vec<_> = breaks
            .iter()
            .map(|one| json!({"stream": one.stream(), "message": one.to_string()}))
            .collect();
        json!({
            "unbroken": unbroken,
            "streams": self.listed,
            "breaks": breaks,
            "findings": self.findings,
        })
    }
}

fn verdict(
    out: &mut impl Write,
    streams: usize,
    breaks: &[Break],
    unbroken: bool,
) -> io::Result<()> {
    for one in breaks {
        writeln!(out, "{one}")?;
    }
    let verdict = if unbroken { "unbroken" } else { "broken" };
    writeln!(out, "{verdict}: {streams} streams")
}
