//! Deduplicated streams made whole.

use std::collections::BTreeMap;
use std::io::Write as Sink;

use super::filter::{Change, impossible, run};
use super::{Changes, Problem};
use crate::Result;
use crate::nvlist::ByteOrder;
use crate::record::{Features, HEADER_LEN, Header, RawRecord, Record, WriteByref, Writer};

/// What [`redup`] keeps in memory for each block of the stream, in bytes. While
/// its table grows it may need twice as much.
pub const BYTES_PER_BLOCK: usize = 24;

/// Puts every block back that was left out because it equals one before
/// (`zfs send -D`, up to OpenZFS 0.8; `zstream redup`). Streams that are not
/// deduplicated go through as they are.
///
/// It reads the equal blocks where they stand, so the stream must be in memory:
/// a mapped file, best (`source::Mapped` with the feature `mmap`). Memory of
/// its own: [`BYTES_PER_BLOCK`] for each block.
///
/// # Errors
///
/// As [`recompress`](super::recompress), with [`Problem::MissingReference`] or
/// [`Problem::OutOfOrder`].
pub fn redup(stream: &[u8], sink: impl Sink) -> Result<Changes> {
    let mut change = Redup {
        stream,
        blocks: BTreeMap::new(),
    };
    run(stream, sink, &mut change)
}

/// Where a block stands.
#[derive(Clone, Copy)]
struct Place {
    object: u64,
    offset: u64,
    /// Of its record in the stream.
    at: u64,
}

struct Redup<'a> {
    stream: &'a [u8],
    /// By the GUID of the snapshot; each in the order of object and offset.
    blocks: BTreeMap<u64, Vec<Place>>,
}

impl Redup<'_> {
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

    /// The record of the block that another equals.
    fn find(&self, byref: &WriteByref, order: ByteOrder) -> Option<(Record, &[u8])> {
        let places = self.blocks.get(&byref.ref_guid)?;
        let wanted = (byref.ref_object, byref.ref_offset);
        let found = places.binary_search_by_key(&wanted, |place| (place.object, place.offset));
        let place = places.get(found.ok()?)?;
        let rest = self.stream.get(usize::try_from(place.at).ok()?..)?;
        let (header, rest) = rest.split_first_chunk::<HEADER_LEN>()?;
        let header = Header::new(header, order)?;
        let payload = rest.get(..usize::try_from(header.payload_len()).ok()?)?;
        let Record::Write(mut write) = header.parse() else {
            return None;
        };
        // In the other byte order it would stand for another block.
        let same = (write.object, write.offset, write.to_guid)
            == (byref.ref_object, byref.ref_offset, byref.ref_guid);
        if !same || write.logical_size != byref.length {
            return None;
        }
        write.to_guid = byref.to_guid;
        write.object = byref.object;
        write.offset = byref.offset;
        Some((Record::Write(write), payload))
    }
}

impl<W: Sink> Change<W> for Redup<'_> {
    const REMOVES: Features = Features::DEDUP.with(Features::DEDUPPROPS);

    fn record(&mut self, record: &RawRecord<'_>, writer: &mut Writer<W>) -> Result<u64> {
        let order = record.header.order();
        match record.parse() {
            Record::Begin(mut begin) => {
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
                self.note(write.to_guid, place)
                    .map_err(|problem| impossible(record, problem))?;
                writer.rewrite(record)?;
                Ok(0)
            }
            Record::WriteByref(byref) => {
                let Some((equal, payload)) = self.find(&byref, order) else {
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
