//! `decompress`, `recompress`, `redup` and `drop`: streams changed.

use std::io;
use std::num::NonZero;
use std::path::Path;
use std::str::FromStr;

use zfs_stream::change::{self, Block, Changes};
use zfs_stream::compress::{Compression, Level};
use zfs_stream::record::{RawRecord, Record};
use zfs_stream::source::StreamFile;

use super::dump::{UNREADABLE, say};
use super::{Source, stdin, stdout};
use crate::exit::{Exit, UsageError};

/// A block on the command line, as `zstream decompress` takes it.
#[derive(Clone, Copy, Debug)]
pub struct Chosen(Block);

impl FromStr for Chosen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(',');
        let (object, offset) = (number(parts.next())?, number(parts.next())?);
        let compression = match parts.next() {
            None => None,
            Some("off") => Some(2),
            Some("lzjb") => Some(3),
            Some("gzip") => Some(5),
            Some("zle") => Some(14),
            Some("lz4") => Some(15),
            Some("zstd") => Some(16),
            Some(other) => {
                return Err(format!(
                    "{other:?} is none of off, lz4, lzjb, gzip, zle and zstd"
                ));
            }
        };
        if parts.next().is_some() {
            return Err("more than OBJECT,OFFSET,TYPE".to_owned());
        }
        Ok(Chosen(Block {
            object,
            offset,
            compression,
        }))
    }
}

/// Records on the command line.
#[derive(Clone, Copy, Debug)]
pub struct Which {
    object: u64,
    offset: Option<u64>,
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (object, offset) = match text.split_once(',') {
            None => (text, None),
            Some((object, offset)) => (object, Some(number(Some(offset))?)),
        };
        let object = number(Some(object))?;
        Ok(Which { object, offset })
    }
}

impl Which {
    /// What is about a range of objects is about others, too: without a
    /// FREEOBJECTS they would stay where they are to go.
    fn is(self, record: &RawRecord<'_>) -> bool {
        let record = record.parse();
        !matches!(record, Record::FreeObjects(_) | Record::ObjectRange(_))
            && record.object() == Some(self.object)
            && (self.offset.is_none() || self.offset == record.offset())
    }
}

/// As C reads numbers: with 0x in hexadecimal.
fn number(text: Option<&str>) -> Result<u64, String> {
    let text = text.ok_or("OBJECT,OFFSET is wanted")?;
    let read = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    read.map_err(|error| format!("{text:?} is no number: {error}"))
}

/// The compression with the level of `-l`, which only `zstd` has.
pub fn with_level(to: Compression, level: Option<u8>) -> Result<Compression, UsageError> {
    let Some(level) = level else { return Ok(to) };
    if to != Compression::Zstd(Level::default()) {
        return Err(UsageError(format!("-l goes with zstd, not with {to}")));
    }
    match Level::new(level) {
        Some(level) => Ok(Compression::Zstd(level)),
        None => Err(UsageError(format!(
            "zstd has the levels 1 to 19, not {level}"
        ))),
    }
}

/// Decompresses standard input's blocks.
pub fn decompress(blocks: &[Chosen], verbose: bool) -> anyhow::Result<Exit> {
    let (source, sink) = (stdin()?, stdout()?);
    let changes = if blocks.is_empty() {
        change::decompress(source, sink)
    } else {
        let blocks: Vec<_> = blocks.iter().map(|chosen| chosen.0).collect();
        change::decompress_blocks(source, sink, &blocks)
    };
    tell(verbose, "blocks decompressed", &changes?);
    Ok(Exit::Done)
}

/// Compresses standard input's blocks, with that many threads at most.
pub fn recompress(
    to: Compression,
    threads: Option<NonZero<usize>>,
    verbose: bool,
) -> anyhow::Result<Exit> {
    let (source, sink) = (stdin()?, stdout()?);
    let changes = match threads {
        Some(threads) => change::recompress_on(source, sink, to, threads),
        None => change::recompress(source, sink, to),
    }?;
    tell(verbose, "blocks changed", &changes);
    Ok(Exit::Done)
}

/// Puts back what deduplication left out.
pub fn redup(path: &Path, verbose: bool) -> anyhow::Result<Exit> {
    let file = match Source::open(path).and_then(lasting) {
        Ok(file) => file,
        Err(error) => {
            say(path, &error);
            return Ok(UNREADABLE);
        }
    };
    let changes = change::redup(&file, stdout()?)?;
    tell(verbose, "blocks put back", &changes);
    Ok(Exit::Done)
}

/// A stream to which one can go back: what comes from a pipe is kept in a
/// temporary file that has no name.
fn lasting(source: Source) -> io::Result<StreamFile> {
    match source {
        Source::File(file) => Ok(file),
        Source::Pipe(mut pipe) => {
            let mut kept = tempfile::tempfile()?;
            io::copy(&mut pipe, &mut kept)?;
            StreamFile::new(kept)
        }
    }
}

/// Leaves records out.
pub fn drop(records: &[Which], verbose: bool) -> anyhow::Result<Exit> {
    let drops = |record: &RawRecord<'_>| records.iter().any(|which| which.is(record));
    let changes = change::drop_records(stdin()?, stdout()?, drops)?;
    tell(verbose, "records left out", &changes);
    Ok(Exit::Done)
}

fn tell(verbose: bool, what: &str, changes: &Changes) {
    if verbose {
        eprintln!(
            "{} {what}; {} records of {} bytes became {} of {}",
            changes.blocks,
            changes.records_in,
            changes.bytes_in,
            changes.records_out,
            changes.bytes_out
        );
    }
}
