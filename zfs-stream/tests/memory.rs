//! What a stream says of sizes is nothing to allocate by: the memory that
//! reading, checking and changing take is bounded by what is there.

mod streams;

use std::collections::BTreeMap;
use std::io;

use peak_alloc::PeakAlloc;
use zfs_stream::change;
use zfs_stream::compress::Compression;
use zfs_stream::record::{HEADER_LEN, Reader, SliceReader};
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
    const CHANGING: usize = 4 << 20;
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
