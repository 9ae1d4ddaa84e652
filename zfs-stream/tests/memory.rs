//! What a stream says of sizes is nothing to allocate by: the memory that
//! reading, checking and changing take is bounded by what is there.

mod streams;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use peak_alloc::PeakAlloc;
use zfs_stream::change;
use zfs_stream::compress::Compression;
use zfs_stream::nvlist::{ByteOrder, Encoding, NvList};
use zfs_stream::record::{
    Begin, End, Features, HEADER_LEN, Object, Reader, Record, SliceReader, Write, Writer,
};
use zfs_stream::stats::{ObjectBytes, Statistics};
use zfs_stream::verify;

use streams::streams;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The most that `work` had allocated at once, besides what was there before.
fn peak(work: impl FnOnce()) -> usize {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    work();
    MEMORY.peak_usage().saturating_sub(before)
}

/// Peaks are of the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Of each type of record the first, as places in the stream.
fn places(stream: &[u8]) -> Vec<usize> {
    let mut first = BTreeMap::new();
    for record in SliceReader::new(stream).map_while(Result::ok) {
        let kind = format!("{:?}", record.header.record_type());
        let at = usize::try_from(record.offset).unwrap();
        first.entry(kind).or_insert(at);
    }
    first.into_values().collect()
}

#[test]
fn hostile_sizes_take_no_memory() {
    /// What follows the hostile header and might be taken for its payload.
    const REST: usize = 4096;
    const READING: usize = 2 << 20;
    // A few of the blocks that are there, of up to 1 MiB.
    const CHANGING: usize = 8 << 20;
    let _alone = alone();
    let mut tried = 0;
    let mut most = [0; 5];
    for (name, stream, _) in streams() {
        for start in places(&stream) {
            let end = (start + HEADER_LEN + REST).min(stream.len());
            for word in (start..start + HEADER_LEN).step_by(8) {
                for value in [u64::MAX, 1 << 31] {
                    let mut hostile = stream[..end].to_vec();
                    hostile[word..word + 8].copy_from_slice(&value.to_le_bytes());
                    let hostile = &hostile[..];
                    let peaks = [
                        peak(|| {
                            let mut reader = Reader::new(hostile);
                            while let Ok(Some(record)) = reader.next_record() {
                                let _ = record.parse();
                            }
                        }),
                        peak(|| drop(verify::verify(hostile))),
                        peak(|| drop(change::decompress(hostile, io::sink()))),
                        peak(|| drop(change::recompress(hostile, io::sink(), Compression::Lz4))),
                        peak(|| drop(change::redup(hostile, io::sink()))),
                    ];
                    for (most, peak) in most.iter_mut().zip(peaks) {
                        *most = peak.max(*most);
                    }
                    let at = format!("{name}: {value:#x} at {word} took {peaks:?}");
                    assert!(peaks[0] <= READING && peaks[1] <= READING, "{at}");
                    assert!(peaks.iter().all(|peak| *peak <= CHANGING), "{at}");
                    tried += 1;
                }
            }
        }
    }
    println!("{tried} streams, at most {most:?} bytes");
    assert!(tried > 10_000, "{tried}");
}

/// A stream of so many objects of one short block each.
fn many(blocks: u64, features: Features) -> Vec<u8> {
    let to_guid = 5;
    let mut writer = Writer::new(Vec::new(), ByteOrder::Little);
    let mut write = |record, payload: &[u8]| writer.write(&record, payload).unwrap();
    let begin = Begin {
        version_info: Begin::make_version_info(false, features),
        objset_type: 2,
        to_guid,
        to_name: b"tank/many@1".to_vec(),
        ..Begin::default()
    };
    write(Record::Begin(begin), &[]);
    for object in 1..=blocks {
        let fields = Object {
            object,
            object_type: 19,
            block_size: 512,
            to_guid,
            ..Object::default()
        };
        write(Record::Object(fields), &[]);
        let fields = Write {
            object,
            object_type: 19,
            logical_size: 8,
            to_guid,
            ..Write::default()
        };
        write(Record::Write(fields), &[1; 8]);
    }
    let end = End {
        to_guid,
        ..End::default()
    };
    write(Record::End(end), &[]);
    writer.into_inner()
}

#[test]
fn redup_takes_what_it_says_for_each_block_and_statistics_take_nothing_for_objects() {
    const BLOCKS: usize = 100_000;
    let _alone = alone();
    let mut counted = Vec::new();
    for blocks in [BLOCKS, 2 * BLOCKS] {
        let plain = many(blocks as u64, Features::default());
        let nothing = peak(|| assert!(change::redup(&plain[..], io::sink()).is_ok()));
        assert!(nothing < 2 << 20, "{nothing}");
        let stream = many(blocks as u64, Features::DEDUP);
        let redup = peak(|| assert!(change::redup(&stream[..], io::sink()).is_ok()));
        counted.push(peak(|| {
            let mut statistics = Statistics::default();
            for record in SliceReader::new(&stream) {
                statistics.record(&record.unwrap());
            }
            assert_eq!(statistics.objects, blocks as u64);
        }));
        println!("redup took {redup} bytes for {blocks} blocks");
        let own = blocks * change::BYTES_PER_BLOCK;
        assert!(redup > own && redup < 3 * own + (2 << 20), "{redup}");
    }
    println!("statistics took {counted:?} bytes");
    // What the test's own harness takes meanwhile is counted as well.
    assert!(counted[0].abs_diff(counted[1]) < 8 << 10, "{counted:?}");
    assert!(counted.iter().all(|bytes| *bytes < 16 << 10), "{counted:?}");
}

#[test]
fn statistics_of_all_objects_take_what_they_say() {
    const OBJECTS: u64 = 100_000;
    let _alone = alone();
    let stream = many(OBJECTS, Features::default());
    let taken = peak(|| {
        let mut statistics = Statistics::keeping(usize::MAX);
        for record in SliceReader::new(&stream) {
            statistics.record(&record.unwrap());
        }
        assert!(statistics.stream_bytes() as usize == stream.len());
    });
    println!("{taken} bytes for {OBJECTS} objects");
    // A growing vector holds up to twice what is in it, and once more as it grows.
    let object = size_of::<ObjectBytes>();
    let taken = taken as u64 / OBJECTS;
    assert!(taken >= object as u64 && taken <= 120, "{taken}");
}

#[test]
fn a_list_takes_what_is_said_of_its_length() {
    let _alone = alone();
    // The shortest pairs there are take the most for their length.
    let mut list = NvList::new();
    for number in 0..100_000 {
        list.insert_flag(format!("{number:x}")).unwrap();
    }
    let packed = list.encode(Encoding::Native, ByteOrder::Little).unwrap();
    drop(list);
    let decoded = peak(|| assert!(NvList::decode(&packed).is_ok()));
    println!("{} bytes took {decoded}", packed.len());
    assert!(decoded < 12 * packed.len(), "{decoded} of {}", packed.len());
}
