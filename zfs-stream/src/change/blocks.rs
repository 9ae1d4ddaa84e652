//! Single blocks decompressed, to repair what names a wrong compression.

use std::collections::BTreeMap;
use std::io::{Read, Write as Sink};

use super::filter::{Change, impossible, run};
use super::{Changes, Problem};
use crate::compress::{Decompressor, number};
use crate::record::{Features, MAX_BLOCK, RawRecord, Record, Writer};
use crate::{Error, Result};

/// A block that is to be decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Block {
    /// Its object.
    pub object: u64,
    /// Where it stands in the object, in bytes.
    pub offset: u64,
    /// ZFS' number of the compression that it really has: 2 (off) where it is
    /// not compressed and its record says so wrongly. `None` takes its record's
    /// word, and LZ4 where that has none.
    pub compression: Option<u8>,
}

/// Decompresses those blocks and leaves all others as they are (`zstream
/// decompress`): for streams of pools whose blocks were written with a wrong
/// compression in their pointers.
///
/// # Errors
///
/// As [`decompress`](super::decompress); also [`Problem::NoSuchBlock`].
pub fn decompress_blocks(source: impl Read, sink: impl Sink, blocks: &[Block]) -> Result<Changes> {
    let blocks = blocks.iter();
    let mut change = Chosen {
        blocks: blocks
            .map(|block| ((block.object, block.offset), (block.compression, false)))
            .collect(),
        decompressor: Decompressor::new(),
        plain: Vec::new(),
    };
    run(source, sink, &mut change)
}

struct Chosen {
    /// By object and offset: the compression, and whether it was met.
    blocks: BTreeMap<(u64, u64), (Option<u8>, bool)>,
    decompressor: Decompressor,
    plain: Vec<u8>,
}

impl<W: Sink> Change<W> for Chosen {
    fn record(&mut self, record: &RawRecord<'_>, writer: &mut Writer<W>) -> Result<u64> {
        let mut write = match record.parse() {
            Record::Begin(begin) if begin.features().contains(Features::RAW) => {
                return Err(impossible(record, Problem::Encrypted));
            }
            Record::Write(write) => write,
            _ => {
                writer.rewrite(record)?;
                return Ok(0);
            }
        };
        let chosen = self.blocks.get_mut(&(write.object, write.offset));
        let Some((compression, met)) = chosen else {
            writer.rewrite(record)?;
            return Ok(0);
        };
        *met = true;
        let compression = compression.unwrap_or(match write.compression {
            0 => number::LZ4,
            own => own,
        });
        let length = write.logical_size.min(MAX_BLOCK) as usize;
        self.plain.resize(length, 0);
        self.decompressor
            .decompress(compression, record.payload, &mut self.plain)
            .map_err(|problem| {
                let (object, offset) = (write.object, write.offset);
                let problem = Problem::Block {
                    object,
                    offset,
                    compression,
                    problem,
                };
                impossible(record, problem)
            })?;
        (write.compression, write.compressed_size) = (0, 0);
        writer.set_order(record.header.order());
        writer.write(&Record::Write(write), &self.plain)?;
        Ok(1)
    }

    fn before_end(&mut self, writer: &Writer<W>) -> Result<()> {
        let missing = self.blocks.iter().find(|(_, (_, met))| !met);
        match missing {
            None => Ok(()),
            Some((&(object, offset), _)) => Err(Error::Change {
                offset: writer.offset(),
                record: writer.number(),
                problem: Box::new(Problem::NoSuchBlock { object, offset }),
            }),
        }
    }
}
