//! What is compressed, and by how many threads.

use super::*;

/// Longer and longer blocks: workers end and start on the way.
#[test]
fn however_many_threads_there_are_the_same_comes_out() {
    let mut begin = begin();
    begin.version_info = Begin::make_version_info(false, Features::LARGE_BLOCKS);
    let mut records = Vec::new();
    for block in 0..60_u64 {
        let length = 16384 << (block / 10);
        records.push((file_of(length as u32), Vec::new()));
        let write = Write {
            object: 5,
            object_type: 19,
            offset: block << 20,
            logical_size: length,
            to_guid: TO_GUID,
            ..Write::default()
        };
        let payload = (0..length).map(|at| (at / (block + 9)) as u8).collect();
        records.push((Record::Write(write), payload));
    }
    let stream = stream_of(ByteOrder::Little, begin, &[], &records);
    let mut outs = Vec::new();
    for threads in [1, 3, 16, 1_000] {
        let mut out = Vec::new();
        let threads = std::num::NonZero::new(threads).unwrap();
        let changes = recompress_on(&stream[..], &mut out, Compression::Lz4, threads).unwrap();
        assert_eq!(changes.blocks, 60);
        outs.push(out);
    }
    assert!(outs.iter().all(|out| *out == outs[0]));
}

/// A receiver of the other byte order swaps metadata only where it is not
/// compressed.
#[test]
fn metadata_is_never_compressed_and_what_was_is_decompressed() {
    let to = |compression, compressed_size| Write {
        object: 5,
        // A directory.
        object_type: 20,
        logical_size: 16384,
        compression,
        compressed_size,
        to_guid: TO_GUID,
        ..Write::default()
    };
    let object = Record::Object(crate::record::Object {
        object: 5,
        object_type: 20,
        block_size: 16384,
        to_guid: TO_GUID,
        ..Default::default()
    });
    let plain = vec![3; 16384];
    let mut compressor = compress::Compressor::new(Compression::Lz4).unwrap();
    let small = compressor.compress(&plain).unwrap().unwrap().to_vec();
    let mut begin = begin();
    let lz4 = Features::COMPRESSED.with(Features::LZ4);
    begin.version_info = Begin::make_version_info(false, lz4);
    for order in ORDERS {
        for (write, payload) in [(to(0, 0), &plain), (to(15, small.len() as u64), &small)] {
            let records = [
                (object.clone(), Vec::new()),
                (Record::Write(write.clone()), payload.clone()),
            ];
            let stream = stream_of(order, begin.clone(), &[], &records);
            let warned = verify::verify(&stream[..]).unwrap().findings;
            let kinds: Vec<_> = warned.into_iter().map(|finding| finding.kind).collect();
            if write.compression == 0 {
                assert_eq!(kinds, []);
            } else {
                assert_eq!(kinds, [Kind::CompressedMetadata(20)]);
            }
            for compression in compressions() {
                let (out, changes) = recompressed(&stream, compression);
                assert_eq!(changes.blocks, u64::from(write.compression != 0));
                let block = SliceReader::new(&out).nth(2).unwrap().unwrap();
                assert!(block.payload == plain, "{compression}");
            }
        }
    }
}

/// Without -L a sender cuts long blocks up, and the last piece of one is shorter
/// than what it says that the object's blocks are.
#[test]
fn what_is_no_whole_block_is_never_compressed_and_what_was_is_decompressed() {
    let length = |block: u64| if block == 2 { 44 << 10 } else { 128 << 10 };
    let plain = |block: u64| vec![block as u8; length(block) as usize];
    let mut begin = begin();
    let lz4 = Features::COMPRESSED.with(Features::LZ4);
    begin.version_info = Begin::make_version_info(false, lz4);
    let mut compressor = compress::Compressor::new(Compression::Lz4).unwrap();
    let mut stream = |is_packed: bool| {
        let mut records = vec![(file_of(128 << 10), Vec::new())];
        for block in 0..3 {
            let mut write = Write {
                object: 5,
                object_type: 19,
                offset: block << 17,
                logical_size: length(block),
                to_guid: TO_GUID,
                ..Write::default()
            };
            let mut payload = plain(block);
            if is_packed {
                payload = compressor.compress(&payload).unwrap().unwrap().to_vec();
                (write.compression, write.compressed_size) = (15, payload.len() as u64);
            }
            records.push((Record::Write(write), payload));
        }
        stream_of(ByteOrder::Little, begin.clone(), &[], &records)
    };
    for (stream, changed) in [(stream(false), 2), (stream(true), 3)] {
        for to in ["lz4", "zstd"] {
            let (out, changes) = recompressed(&stream, to.parse().unwrap());
            assert_eq!(changes.blocks, changed, "{to}");
            let blocks = SliceReader::new(&out).map(Result::unwrap);
            let blocks: Vec<_> = blocks
                .filter(|record| record.record_type() == RecordType::Write)
                .collect();
            assert!(blocks[..2].iter().all(|block| block.payload.len() < 4096));
            assert!(blocks[2].payload == plain(2), "{to}");
        }
    }
}
