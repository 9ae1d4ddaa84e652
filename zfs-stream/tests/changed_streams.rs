//! Streams that real OpenZFS made, changed.

mod streams;

use std::collections::BTreeMap;

use zfs_stream::Error;
use zfs_stream::change::{self, Problem};
use zfs_stream::compress::Compression;
use zfs_stream::record::{Features, Record, SliceReader};
use zfs_stream::stats::Statistics;
use zfs_stream::verify;

use streams::streams;

fn statistics(stream: &[u8]) -> Statistics {
    let mut statistics = Statistics::default();
    for record in SliceReader::new(stream) {
        statistics.record(&record.unwrap());
    }
    statistics
}

fn is_raw(stream: &[u8]) -> bool {
    let streams = statistics(stream).streams;
    streams
        .iter()
        .any(|one| one.begin.features().contains(Features::RAW))
}

/// Those that are whole, which `change` asks for.
fn whole() -> impl Iterator<Item = (String, Vec<u8>)> {
    streams()
        .into_iter()
        .filter(|(_, stream, _)| verify::verify(&stream[..]).unwrap().is_intact())
        .map(|(name, stream, _)| (name, stream))
}

/// The plain blocks of every WRITE.
fn blocks(stream: &[u8]) -> BTreeMap<(u64, u64, u64), Vec<u8>> {
    let mut plain = Vec::new();
    change::decompress(stream, &mut plain).unwrap();
    let mut blocks = BTreeMap::new();
    for record in SliceReader::new(&plain) {
        let record = record.unwrap();
        if let Record::Write(write) = record.parse() {
            assert_eq!(write.compression, 0);
            let key = (write.to_guid, write.object, write.offset);
            blocks.insert(key, record.payload.to_vec());
        }
    }
    blocks
}

#[test]
fn every_stream_can_be_recompressed_and_has_the_same_blocks_then() {
    let mut changed = 0;
    for (name, stream) in whole() {
        if is_raw(&stream) {
            let result = change::recompress(&stream[..], Vec::new(), Compression::Lz4);
            let Err(Error::Change { problem, .. }) = result else {
                panic!("{name}: {result:?}");
            };
            assert_eq!(*problem, Problem::Encrypted, "{name}");
            continue;
        }
        let expected = blocks(&stream);
        for to in ["off", "lz4", "zstd", "zstd-fast-5"] {
            let mut out = Vec::new();
            let to = to.parse().unwrap();
            let changes = change::recompress(&stream[..], &mut out, to).unwrap();
            changed += changes.blocks;
            let report = verify::verify(&out[..]).unwrap();
            assert_eq!(report.findings, [], "{name} {to}");
            assert!(blocks(&out) == expected, "{name} {to}");
        }
    }
    assert!(changed > 300, "{changed}");
}

/// What the kernel compressed is what it sends when it does not.
#[test]
fn decompressed_blocks_are_those_that_are_sent_without_compression() {
    let mut versions = 0;
    for (name, packed) in whole().filter(|(name, _)| name.ends_with("/full-Lec")) {
        let plain = name.replace("full-Lec", "full");
        let (_, plain) = whole().find(|(name, _)| *name == plain).unwrap();
        let (ours, theirs) = (blocks(&packed), blocks(&plain));
        let met = statistics(&packed).compression;
        assert!(met[&15].blocks > 5, "{name}: {met:?}");
        // Those that -e sends embedded are not among ours.
        assert!(ours.len() > 5, "{name}");
        for (key, block) in ours {
            assert!(theirs[&key] == block, "{name} {key:?}");
        }
        versions += 1;
    }
    assert_eq!(versions, 3);
}

/// The kernel's zstd.
#[test]
fn blocks_that_the_kernel_compressed_with_zstd_are_read() {
    let mut versions = 0;
    for (name, packed) in whole().filter(|(name, _)| name.ends_with("/large-blocks-zstd")) {
        assert!(statistics(&packed).compression[&16].blocks > 0, "{name}");
        // make-streams.sh wrote a line over and over between two counts.
        let text: Vec<u8> = blocks(&packed).into_values().flatten().collect();
        let line = b"the big of many lines\nthe big of many lines\n";
        assert!(
            text.windows(line.len()).any(|window| window == line),
            "{name}"
        );
        assert!(
            text.windows(12).any(|window| window == b"\n8999\n9000\n\0"),
            "{name}"
        );
        versions += 1;
    }
    assert_eq!(versions, 3);
}

#[test]
fn what_is_not_deduplicated_goes_through_redup_as_it_is() {
    for (name, stream) in whole() {
        let mut out = Vec::new();
        change::redup(&stream[..], &mut out).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(out == stream, "{name}");
        let mut out = Vec::new();
        change::drop_records(&stream[..], &mut out, |_| false).unwrap();
        assert!(out == stream, "{name}");
    }
}
