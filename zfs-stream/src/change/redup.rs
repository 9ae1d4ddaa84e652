//! Deduplicated streams made whole.

use std::collections::BTreeMap;
use std::io::Write as Sink;

use super::filter::{Change, impossible, run};
use super::{Changes, Problem};
use crate::Result;
use crate::nvlist::ByteOrder;
use crate::record::{
    Features, HEADER_LEN, Header, MAX_BLOCK, RawRecord, Record, WriteByref, Writer,
};
use crate::source::{InOrder, ReadAt};

/// What [`redup`] keeps in memory for each block of the stream, in bytes. Its
/// table may have room for twice as many, and while it grows the old one is there
/// beside it: at most three times as much, for a moment.
pub const BYTES_PER_BLOCK: usize = 24;

/// Puts every block back that was left out because it equals one before
/// (`zfs send -D`, up to OpenZFS 0.8; `zstream redup`). Streams that are not
/// deduplicated go through as they are.
///
/// It goes back for the equal blocks, so the stream must be one that can be read
/// from any place: a [`StreamFile`](crate::source::StreamFile), best. Memory:
/// [`BYTES_PER_BLOCK`] for each block of a deduplicated stream, and the longest
/// of them.
///
/// # Errors
///
/// As [`recompress`](super::recompress), with [`Problem::MissingReference`] or
/// [`Problem::OutOfOrder`].
pub fn redup(stream: &(impl ReadAt + ?Sized), sink: impl Sink) -> Result<Changes> {
    let mut change = Redup {
        stream,
        deduplicated: false,
        blocks: BTreeMap::new(),
        payload: Vec::new(),
    };
    run(InOrder::new(stream), sink, &mut change)
}

/// Where a block stands.
#[derive(Clone, Copy)]
struct Place {
    object: u64,
    offset: u64,
    /// Of its record in the stream.
    at: u64,
}

struct Redup<'a, S: ?Sized> {
    stream: &'a S,
    /// The stream or substream is deduplicated.
    deduplicated: bool,
    /// By the GUID of the snapshot; each in the order of object and offset.
    blocks: BTreeMap<u64, Vec<Place>>,
    /// Of the block that was found last.
    payload: Vec<u8>,
}

impl<S: ReadAt + ?Sized> Redup<'_, S> {
    fn note(&mut self, guid: u64, place: Place) -> std::result::Result<(), Problem> {
        let (object, offset) = (place.object, place.offset);
        let places = self.blocks.entry(guid).or_default();
        let last = places.last().map(|last| (last.object, last.offset));
        if last.is_some_and(|last| last >= (object, offset)) {
            return Err(Problem::OutOfOrder { object, offset });
        }
        places.push(place);
        Ok(())
    }

    fn place(&self, byref: &WriteByref) -> Option<u64> {
        let places = self.blocks.get(&byref.ref_guid)?;
        let wanted = (byref.ref_object, byref.ref_offset);
        let found = places.binary_search_by_key(&wanted, |place| (place.object, place.offset));
        Some(places.get(found.ok()?)?.at)
    }

    /// The record of the block that another equals, with its payload.
    fn find(&mut self, byref: &WriteByref, order: ByteOrder) -> Result<Option<(Record, &[u8])>> {
        let Some(at) = self.place(byref) else {
            return Ok(None);
        };
        let mut header = [0; HEADER_LEN];
        self.stream.read_exact_at(&mut header, at)?;
        let Some(header) = Header::new(&header, order) else {
            return Ok(None);
        };
        let Record::Write(mut write) = header.parse() else {
            return Ok(None);
        };
        // In the other byte order it would stand for another block.
        let same = (write.object, write.offset, write.to_guid)
            == (byref.ref_object, byref.ref_offset, byref.ref_guid);
        if !same || write.logical_size != byref.length || header.payload_len() > MAX_BLOCK {
            return Ok(None);
        }
        self.payload.resize(header.payload_len() as usize, 0);
        self.stream
            .read_exact_at(&mut self.payload, at + HEADER_LEN as u64)?;
        write.to_guid = byref.to_guid;
        write.object = byref.object;
        write.offset = byref.offset;
        Ok(Some((Record::Write(write), &self.payload)))
    }
}

impl<W: Sink, S: ReadAt + ?Sized> Change<W> for Redup<'_, S> {
    const REMOVES: Features = Features::DEDUP.with(Features::DEDUPPROPS);

    fn record(&mut self, record: &RawRecord<'_>, writer: &mut Writer<W>) -> Result<u64> {
        let order = record.header.order();
        match record.parse() {
            Record::Begin(mut begin) => {
                self.deduplicated = begin.features().contains(Features::DEDUP);
                let bits = <Self as Change<W>>::REMOVES.bits() << 2;
                if begin.version_info & bits == 0 {
                    writer.rewrite(record)?;
                } else {
                    begin.version_info &= !bits;
                    writer.set_order(order);
                    writer.write(&Record::Begin(begin), record.payload)?;
                }
                Ok(0)
            }
            Record::Write(write) => {
                let place = Place {
                    object: write.object,
                    offset: write.offset,
                    at: record.offset,
                };
                if self.deduplicated {
                    self.note(write.to_guid, place)
                        .map_err(|problem| impossible(record, problem))?;
                }
                writer.rewrite(record)?;
                Ok(0)
            }
            Record::WriteByref(byref) => {
                let Some((equal, payload)) = self.find(&byref, order)? else {
                    let problem = Problem::MissingReference {
                        object: byref.object,
                        offset: byref.offset,
                        ref_guid: byref.ref_guid,
                        ref_object: byref.ref_object,
                        ref_offset: byref.ref_offset,
                    };
                    return Err(impossible(record, problem));
                };
                writer.write(&equal, payload)?;
                Ok(1)
            }
            _ => {
                writer.rewrite(record)?;
                Ok(0)
            }
        }
    }
}
