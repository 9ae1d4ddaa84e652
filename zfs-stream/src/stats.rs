//! What a stream holds.
//!
//! ```text
//! Reader -> RawRecord -> [ Statistics ] -> totals, streams, compression, largest objects
//! ```
//!
//! The memory it takes does not depend on the stream's length: it keeps totals,
//! one entry for each substream and compression, and the few largest objects.
//! Who wants all objects ([`Statistics::keeping`]) pays up to 120 bytes for each, and as they are asked for as much again.

mod chain;

use std::cmp::Reverse;
use std::collections::BTreeMap;

pub use chain::{Break, chain};

use crate::nvlist::{ByteOrder, NvList};
use crate::record::{Begin, HEADER_LEN, RawRecord, Record, RecordType};

/// How many of the largest objects are kept where nothing else is asked for.
pub const LARGEST: usize = 10;

/// Records and the bytes of their payloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How many records there are.
    pub records: u64,
    /// The bytes of their payloads.
    pub payload_bytes: u64,
}

/// A stream or substream, from its BEGIN.
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// The sender's byte order.
    pub order: ByteOrder,
    /// Its BEGIN.
    pub begin: Begin,
    /// The nvlist of its BEGIN, if it has one that can be read.
    pub nvlist: Option<NvList>,
    /// Its END came.
    pub ended: bool,
    /// How far its blocks go: the last object, and where in that.
    pub reached: (u64, u64),
}

/// How much of a compression was met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compressed {
    /// How many blocks have it.
    pub blocks: u64,
    /// Their length when decompressed, in bytes.
    pub logical_bytes: u64,
    /// Their length as they are sent, in bytes.
    pub physical_bytes: u64,
}

/// The blocks of one object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ObjectBytes {
    /// Which substream it is in; the first BEGIN of the stream is 0.
    pub stream: usize,
    /// The object's number.
    pub object: u64,
    /// How many blocks it has.
    pub blocks: u64,
    /// Their length when decompressed, in bytes.
    pub logical_bytes: u64,
    /// Their length as they are sent, in bytes.
    pub physical_bytes: u64,
}

/// Counts a stream's records.
///
/// ```
/// use zfs_stream::record::{Reader, RecordType};
/// use zfs_stream::stats::Statistics;
///
/// # fn main() -> zfs_stream::Result<()> {
/// # let stream = &[][..];
/// let mut statistics = Statistics::default();
/// let mut reader = Reader::new(stream);
/// while let Some(record) = reader.next_record()? {
///     statistics.record(&record);
/// }
/// println!("{} blocks", statistics.count(RecordType::Write).records);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics {
    /// The streams and substreams in their order; of a compound stream also
    /// its own BEGIN.
    pub streams: Vec<Stream>,
    /// The length of all blocks when decompressed, in bytes.
    pub logical_bytes: u64,
    /// How many objects were told of.
    pub objects: u64,
    /// The holes within objects, in bytes.
    pub hole_bytes: u64,
    /// What of compression was met, by ZFS' number for it; 0 stands for blocks
    /// that are not compressed.
    pub compression: BTreeMap<u8, Compressed>,
    counts: [Count; RecordType::ALL.len()],
    /// The largest objects, and others, in no order.
    largest: Vec<ObjectBytes>,
    /// How many of them are wanted; without a number, [`LARGEST`].
    keep: Option<usize>,
    /// The object whose blocks are coming; all of an object's come together.
    current: ObjectBytes,
    /// The last object of which it is known, and where it ends.
    object_end: Option<(u64, u64)>,
}

impl Statistics {
    /// One that keeps the bytes of so many of the largest objects, with
    /// [`usize::MAX`] those of all: up to 120 bytes of memory for each.
    pub fn keeping(objects: usize) -> Self {
        Self {
            keep: Some(objects),
            ..Self::default()
        }
    }

    /// Counts a record.
    pub fn record(&mut self, record: &RawRecord<'_>) {
        let payload_bytes = record.payload.len() as u64;
        if let Some(count) = self.counts.get_mut(record.record_type() as usize) {
            count.records += 1;
            count.payload_bytes += payload_bytes;
        }
        let parsed = record.parse();
        if let Some(stream) = self.streams.last_mut() {
            stream.reached = stream.reached.max(reached(&parsed));
        }
        match parsed {
            Record::Begin(begin) => {
                self.finish_object();
                self.object_end = None;
                let nvlist = NvList::decode(record.payload).ok();
                self.streams.push(Stream {
                    offset: record.offset,
                    order: record.header.order(),
                    begin,
                    nvlist,
                    ended: false,
                    reached: (0, 0),
                });
            }
            Record::End(_) => {
                if let Some(stream) = self.streams.last_mut() {
                    stream.ended = true;
                }
            }
            Record::Object(_) => {
                self.objects += 1;
                self.object_end = None;
            }
            Record::Write(write) => {
                let size = write.logical_size;
                self.block(write.object, write.compression, size, payload_bytes);
            }
            Record::WriteEmbedded(embedded) => {
                let physical = u64::from(embedded.physical_size);
                self.block(
                    embedded.object,
                    embedded.compression,
                    embedded.length,
                    physical,
                );
            }
            Record::WriteByref(byref) => self.block(byref.object, 0, byref.length, 0),
            Record::Spill(spill) => {
                self.block(spill.object, spill.compression, spill.length, payload_bytes);
            }
            Record::Free(free) => self.free(free.object, free.offset, free.length),
            _ => {}
        }
    }

    /// The first FREE to the end that follows an OBJECT says how long it is;
    /// what others free within that are holes.
    fn free(&mut self, object: u64, offset: u64, length: u64) {
        let end = match self.object_end {
            Some((its, end)) if its == object => end,
            _ if length == u64::MAX => {
                self.object_end = Some((object, offset));
                offset
            }
            // The OBJECT was in an earlier stream, which this one resumes.
            _ => u64::MAX,
        };
        let freed = end.min(offset.saturating_add(length));
        let hole = freed.saturating_sub(offset);
        self.hole_bytes = self.hole_bytes.saturating_add(hole);
    }

    fn block(&mut self, object: u64, compression: u8, logical: u64, physical: u64) {
        // Raw streams say "off" where others say nothing.
        let compression = if compression == OFF { 0 } else { compression };
        self.logical_bytes = self.logical_bytes.saturating_add(logical);
        let met = self.compression.entry(compression).or_default();
        met.blocks += 1;
        met.logical_bytes = met.logical_bytes.saturating_add(logical);
        met.physical_bytes = met.physical_bytes.saturating_add(physical);
        if self.current.object != object {
            self.finish_object();
            self.current.object = object;
            self.current.stream = self.streams.len().saturating_sub(1);
        }
        let current = &mut self.current;
        current.blocks += 1;
        current.logical_bytes = current.logical_bytes.saturating_add(logical);
        current.physical_bytes = current.physical_bytes.saturating_add(physical);
    }

    fn finish_object(&mut self) {
        let finished = std::mem::take(&mut self.current);
        if finished.blocks == 0 {
            return;
        }
        self.largest.push(finished);
        let keep = self.keep.unwrap_or(LARGEST);
        if self.largest.len() >= keep.saturating_mul(2).max(LARGEST) {
            keep_largest(&mut self.largest, keep);
        }
    }

    /// How many records of a type there are.
    pub fn count(&self, record_type: RecordType) -> Count {
        let count = self.counts.get(record_type as usize);
        count.copied().unwrap_or_default()
    }

    /// How many records there are.
    pub fn records(&self) -> u64 {
        self.counts.iter().map(|count| count.records).sum()
    }

    /// The bytes of all payloads.
    pub fn payload_bytes(&self) -> u64 {
        self.counts.iter().map(|count| count.payload_bytes).sum()
    }

    /// The bytes of all headers.
    pub fn header_bytes(&self) -> u64 {
        self.records() * HEADER_LEN as u64
    }

    /// The bytes of the stream.
    pub fn stream_bytes(&self) -> u64 {
        self.header_bytes() + self.payload_bytes()
    }

    /// The objects with the most bytes in blocks, the largest first.
    pub fn largest_objects(&self) -> Vec<ObjectBytes> {
        let mut largest = self.largest.clone();
        if self.current.blocks > 0 {
            largest.push(self.current);
        }
        keep_largest(&mut largest, self.keep.unwrap_or(LARGEST));
        largest
    }
}

/// How far a record goes. FREEs do not count: that of a new object goes to its
/// end before its blocks come.
fn reached(record: &Record) -> (u64, u64) {
    match record {
        Record::Write(one) => (one.object, one.offset.saturating_add(one.logical_size)),
        Record::WriteByref(one) => (one.object, one.offset.saturating_add(one.length)),
        Record::WriteEmbedded(one) => (one.object, one.offset.saturating_add(one.length)),
        Record::Object(one) => (one.object, 0),
        Record::Spill(one) => (one.object, 0),
        _ => (0, 0),
    }
}

/// Of equal ones those that came first.
fn keep_largest(objects: &mut Vec<ObjectBytes>, count: usize) {
    objects.sort_by_key(|object| Reverse(object.logical_bytes));
    objects.truncate(count);
}

/// `ZIO_COMPRESS_OFF`.
const OFF: u8 = 2;

/// ZFS' name for a compression.
pub fn compression_name(number: u8) -> &'static str {
    const NAMES: [&str; 17] = [
        "none", "on", "off", "lzjb", "empty", "gzip-1", "gzip-2", "gzip-3", "gzip-4", "gzip-5",
        "gzip-6", "gzip-7", "gzip-8", "gzip-9", "zle", "lz4", "zstd",
    ];
    NAMES.get(usize::from(number)).copied().unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::SliceReader;
    use crate::record::tests::{compound, records, sample};

    fn statistics(stream: &[u8]) -> Statistics {
        let mut statistics = Statistics::default();
        for record in SliceReader::new(stream) {
            statistics.record(&record.unwrap());
        }
        statistics
    }

    #[test]
    fn totals_are_those_of_the_records() {
        let stream = sample(ByteOrder::Little);
        let statistics = statistics(&stream);
        let writes = statistics.count(RecordType::Write);
        assert_eq!((writes.records, writes.payload_bytes), (3, 2048));
        assert_eq!(statistics.objects, 4);
        assert_eq!(statistics.records(), records().len() as u64 + 2);
        assert_eq!(statistics.stream_bytes(), stream.len() as u64);
        // Three blocks, an embedded one of 4096, a spill block of 512.
        assert_eq!(statistics.logical_bytes, 2048 + 4096 + 512);
        assert_eq!(statistics.compression[&15].physical_bytes, 50);
        assert_eq!(statistics.compression[&0].blocks, 4);
    }

    #[test]
    fn largest_objects_come_first() {
        let statistics = statistics(&sample(ByteOrder::Big));
        let largest = statistics.largest_objects().into_iter();
        let largest: Vec<_> = largest.map(|one| (one.object, one.logical_bytes)).collect();
        assert_eq!(largest, [(9, 4608), (8, 1536), (10, 512)]);
    }

    #[test]
    fn holes_are_within_objects() {
        let mut statistics = Statistics::default();
        let end = u64::MAX;
        // An object of 8 KiB: a hole, one that goes on where it has ended, and
        // one beyond. Before them, those of an object of an earlier stream.
        let freed = [
            (7, 4096, 512),
            (8, 8192, end),
            (8, 512, 1024),
            (8, 7168, 1 << 20),
            (8, 1 << 20, 4096),
            (8, 4096, end),
        ];
        for (object, offset, length) in freed {
            statistics.free(object, offset, length);
        }
        assert_eq!(statistics.hole_bytes, 512 + 1024 + 1024 + 4096);
    }

    #[test]
    fn as_many_of_the_largest_objects_are_kept_as_are_wanted() {
        let kept = |mut statistics: Statistics| {
            for object in 1..1_000 {
                let logical = object * 7 % 1_000;
                statistics.block(object, 0, logical, logical);
            }
            let largest = statistics.largest_objects().into_iter();
            largest.map(|one| one.logical_bytes).collect::<Vec<_>>()
        };
        let expected: Vec<_> = (1..1_000).rev().collect();
        assert_eq!(kept(Statistics::default()), expected[..LARGEST]);
        for count in [0, 1, 300, 999] {
            assert_eq!(kept(Statistics::keeping(count)), expected[..count]);
        }
        assert_eq!(kept(Statistics::keeping(usize::MAX)), expected);
    }

    #[test]
    fn substreams_are_told_apart() {
        let statistics = statistics(&compound(ByteOrder::Little));
        let compound: Vec<_> = statistics
            .streams
            .iter()
            .map(|one| one.begin.is_compound())
            .collect();
        assert_eq!(compound, [true, false, false]);
        let nvlist = statistics.streams[0].nvlist.as_ref().unwrap();
        assert_eq!(nvlist.get_str("tosnap"), Some("monday"));
        // The same object in two substreams is two objects.
        assert_eq!(statistics.largest_objects().len(), 6);
    }
}
