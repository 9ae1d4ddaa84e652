//! Streams changed, and streams that cannot be.

mod recompress;

use super::*;
use crate::Error;
use crate::compress::{Compression, Level};
use crate::nvlist::ByteOrder;
use crate::record::tests::{TO_GUID, begin, compound, crypt_keydata, sample, stream_of};
use crate::record::{
    Begin, Features, HEADER_LEN, RawRecord, Record, RecordType, SliceReader, Write, WriteByref,
    Writer,
};
use crate::stats::Statistics;
use crate::verify::{self, Kind};

const ORDERS: [ByteOrder; 2] = [ByteOrder::Little, ByteOrder::Big];

fn compressions() -> Vec<Compression> {
    let names = ["lz4", "zstd", "zstd-19", "zstd-fast-100", "off"];
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// What no algorithm makes smaller.
fn noise(length: u64) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(length as usize).collect()
}

/// The file of which the streams here are, with blocks of that length.
fn file_of(block_size: u32) -> Record {
    Record::Object(crate::record::Object {
        object: 5,
        object_type: 19,
        block_size,
        to_guid: TO_GUID,
        ..Default::default()
    })
}

/// A stream with long blocks that compress, and one that does not.
fn long(order: ByteOrder, change: impl Fn(&mut Begin)) -> Vec<u8> {
    let mut begin = begin();
    begin.version_info = Begin::make_version_info(false, Features::LARGE_BLOCKS);
    change(&mut begin);
    let mut records = Vec::new();
    for block in 0..12_u64 {
        let length = if block == 7 { 1 << 18 } else { 1 << 14 };
        if matches!(block, 0 | 7 | 8) {
            records.push((file_of(length as u32), Vec::new()));
        }
        let payload: Vec<u8> = match block {
            3 => noise(length),
            _ => (0..length).map(|at| (at / (block + 40)) as u8).collect(),
        };
        let write = Write {
            object: 5,
            object_type: 19,
            offset: block << 20,
            logical_size: length,
            to_guid: TO_GUID,
            ..Write::default()
        };
        records.push((Record::Write(write), payload));
    }
    stream_of(order, begin, &[], &records)
}

fn recompressed(stream: &[u8], to: Compression) -> (Vec<u8>, Changes) {
    let mut out = Vec::new();
    let changes = recompress(stream, &mut out, to).unwrap();
    assert_eq!(changes.bytes_in, stream.len() as u64);
    assert_eq!(changes.bytes_out, out.len() as u64);
    let report = verify::verify(&out[..]).unwrap();
    assert_eq!(report.findings, [], "{to}");
    assert_eq!(report.records, changes.records_out);
    (out, changes)
}

fn problem(result: crate::Result<Changes>) -> Problem {
    match result {
        Err(Error::Change { problem, .. }) => *problem,
        other => panic!("{other:?}"),
    }
}

fn of(stream: &[u8]) -> Statistics {
    let mut statistics = Statistics::default();
    for record in SliceReader::new(stream) {
        statistics.record(&record.unwrap());
    }
    statistics
}

#[test]
fn recompressed_streams_are_valid_and_decompress_to_the_same() {
    for order in ORDERS {
        let plain = long(order, |_| {});
        for first in compressions() {
            let (out, changes) = recompressed(&plain, first);
            assert_eq!(changes.records_in, changes.records_out);
            let features = of(&out).streams[0].begin.features();
            let is_off = first == Compression::Off;
            assert_eq!(features.contains(Features::COMPRESSED), !is_off);
            assert_eq!(features.contains(Features::LZ4), first.number() == 15);
            assert_eq!(features.contains(Features::ZSTD), first.number() == 16);
            assert_eq!(changes.blocks, if is_off { 0 } else { 11 });
            if !is_off {
                assert!(out.len() < plain.len());
                assert_eq!(of(&out).compression[&first.number()].blocks, 11);
            }
            for second in compressions() {
                let (again, _) = recompressed(&out, second);
                let mut back = Vec::new();
                decompress(&again[..], &mut back).unwrap();
                assert!(back == plain, "{first} {second}");
            }
        }
    }
}

#[test]
fn other_records_and_substreams_stay() {
    for order in ORDERS {
        for stream in [sample(order), compound(order)] {
            // Its writer made them with an embedded block in LZ4, redacted
            // without a list of snapshots.
            let mut out = Vec::new();
            let result = recompress(&stream[..], &mut out, Compression::Lz4);
            assert!(matches!(result, Err(Error::Damaged { .. })));
        }
    }
    let mut stream = Vec::new();
    let mut writer = Writer::new(&mut stream, ByteOrder::Big);
    let mut header = begin();
    header.version_info = Begin::make_version_info(true, Features::default());
    header.to_guid = 0;
    writer.write(&Record::Begin(header), &[]).unwrap();
    writer.end_compound_header().unwrap();
    let sub = [
        long(ByteOrder::Big, |_| {}),
        long(ByteOrder::Big, |begin| {
            begin.from_guid = TO_GUID;
            begin.version_info |= Features::EMBED_DATA.with(Features::ZSTD).bits() << 2;
        }),
    ];
    for record in sub.iter().flat_map(|sub| SliceReader::new(sub)) {
        writer.copy(&record.unwrap()).unwrap();
    }
    writer.set_order(ByteOrder::Big);
    writer.end_compound().unwrap();
    let (out, changes) = recompressed(&stream, Compression::Lz4);
    assert_eq!(changes.blocks, 22);
    let streams = of(&out).streams;
    let features: Vec<_> = streams
        .iter()
        .map(|one| one.begin.features().to_string())
        .collect();
    // What embedded blocks need stays.
    assert_eq!(
        features,
        [
            "",
            "lz4, large_blocks, compressed",
            "embed_data, lz4, large_blocks, compressed, zstd"
        ]
    );
    let (back, _) = recompressed(&out, Compression::Off);
    assert_eq!(back.len(), stream.len());
    let tail = back.len() - HEADER_LEN;
    assert_eq!(back[tail..], stream[tail..]);
}

#[test]
fn encrypted_and_deduplicated_streams_are_refused_in_words() {
    let raw = raw();
    let Err(error) = recompress(&raw[..], Vec::new(), Compression::Lz4) else {
        panic!("taken");
    };
    assert!(error.to_string().contains("without -w"), "{error}");
    assert_eq!(
        problem(decompress(&raw[..], Vec::new())),
        Problem::Encrypted
    );
    assert_eq!(
        problem(decompress_blocks(&raw[..], Vec::new(), &[])),
        Problem::Encrypted
    );
    // Leaving records out changes no block.
    let mut out = Vec::new();
    drop_records(&raw[..], &mut out, |_| false).unwrap();
    assert!(out == raw);
    // What is received without one of its records could not be read.
    assert_eq!(
        problem(drop_records(&raw[..], Vec::new(), |_| true)),
        Problem::Sealed
    );
    let dedup = deduplicated(ByteOrder::Little);
    let result = recompress(&dedup[..], Vec::new(), Compression::Lz4);
    // The verifier refuses it first, as OpenZFS does.
    assert!(matches!(result, Err(Error::Damaged { .. })), "{result:?}");
}

fn raw() -> Vec<u8> {
    let mut list = crate::nvlist::NvList::new();
    list.insert("crypt_keydata", crypt_keydata()).unwrap();
    let list = list
        .encode(crate::nvlist::Encoding::Native, ByteOrder::Little)
        .unwrap();
    let mut begin = begin();
    begin.version_info = Begin::make_version_info(false, Features::RAW);
    let free = Record::Free(crate::record::Free {
        object: 5,
        length: u64::MAX,
        to_guid: TO_GUID,
        ..Default::default()
    });
    // Full ones tell of their objects first.
    begin.from_guid = 1;
    stream_of(ByteOrder::Little, begin, &list, &[(free, Vec::new())])
}

#[test]
fn damage_is_an_error_and_the_end_is_not_written() {
    let stream = long(ByteOrder::Little, |_| {});
    let (packed, _) = recompressed(&stream, Compression::Lz4);
    for original in [&stream, &packed] {
        for at in (0..original.len()).step_by(original.len() / 40) {
            let mut damaged = original.clone();
            damaged[at] ^= 0x20;
            let mut out = Vec::new();
            let result = recompress(&damaged[..], &mut out, Compression::Zstd(Level::default()));
            assert!(result.is_err(), "{at}");
            assert!(!ends(&out), "{at}");
            let mut out = Vec::new();
            assert!(recompress(&original[..at], &mut out, Compression::Lz4).is_err());
            assert!(!ends(&out), "{at}");
        }
    }
}

fn ends(stream: &[u8]) -> bool {
    SliceReader::new(stream)
        .map_while(Result::ok)
        .any(|record| record.record_type() == RecordType::End)
}

#[test]
fn a_block_that_cannot_be_decompressed_is_named() {
    let (packed, _) = recompressed(&long(ByteOrder::Little, |_| {}), Compression::Lz4);
    // Right for the verifier, wrong for LZ4.
    let mut broken = Writer::new(Vec::new(), ByteOrder::Little);
    for record in SliceReader::new(&packed) {
        let record = record.unwrap();
        let mut payload = record.payload.to_vec();
        if record.parse().offset() == Some(9 << 20) {
            payload[0] = 0x7f;
        }
        broken
            .rewrite(&RawRecord {
                payload: &payload,
                ..record
            })
            .unwrap();
    }
    let broken = broken.into_inner();
    let problem = problem(decompress(&broken[..], Vec::new()));
    let Problem::Block {
        object: 5,
        offset,
        compression: 15,
        ..
    } = problem
    else {
        panic!("{problem:?}");
    };
    assert_eq!(offset, 9 << 20);
}

#[test]
fn a_sink_that_fails_ends_it() {
    struct Full(usize);
    impl std::io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self
                .0
                .checked_sub(bytes.len())
                .ok_or_else(|| std::io::Error::other("full"))?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let stream = long(ByteOrder::Little, |_| {});
    let result = recompress(&stream[..], Full(3_000), Compression::Lz4);
    let Err(Error::Io(error)) = result else {
        panic!("{result:?}");
    };
    assert_eq!(error.to_string(), "full");
}

#[test]
fn chosen_blocks_are_decompressed_and_all_others_stay() {
    let (packed, _) = recompressed(&long(ByteOrder::Big, |_| {}), Compression::Lz4);
    let block = |block: u64, compression| Block {
        object: 5,
        offset: block << 20,
        compression,
    };
    let mut out = Vec::new();
    let changes =
        decompress_blocks(&packed[..], &mut out, &[block(1, None), block(7, Some(15))]).unwrap();
    assert_eq!(changes.blocks, 2);
    assert!(verify::verify(&out[..]).unwrap().findings.is_empty());
    assert_eq!(of(&out).compression[&15].blocks, 9);
    let mut out = Vec::new();
    let missing = decompress_blocks(&packed[..], &mut out, &[block(1, None), block(99, None)]);
    // Nobody receives it for a repaired one.
    assert!(out.len() > HEADER_LEN && !ends(&out));
    assert_eq!(
        problem(missing),
        Problem::NoSuchBlock {
            object: 5,
            offset: 99 << 20
        }
    );
    let wrong = decompress_blocks(&packed[..], Vec::new(), &[block(1, Some(16))]);
    assert!(matches!(
        problem(wrong),
        Problem::Block {
            compression: 16,
            ..
        }
    ));
}

/// Three blocks of which two equal the first, as `zfs send -D` made it; the
/// last in a second substream.
fn deduplicated(order: ByteOrder) -> Vec<u8> {
    let features = Features::DEDUP.with(Features::DEDUPPROPS);
    let mut writer = Writer::new(Vec::new(), order);
    let mut header = begin();
    header.version_info = Begin::make_version_info(true, features);
    header.to_guid = 0;
    writer.write(&Record::Begin(header), &[]).unwrap();
    writer.end_compound_header().unwrap();
    for (from_guid, to_guid) in [(0, 70), (70, 71)] {
        let mut begin = begin();
        begin.version_info = Begin::make_version_info(false, features);
        (begin.from_guid, begin.to_guid) = (from_guid, to_guid);
        writer.write(&Record::Begin(begin), &[]).unwrap();
        for object in [5, 6] {
            let object = crate::record::Object {
                object,
                object_type: 19,
                block_size: 4096,
                to_guid,
                ..Default::default()
            };
            writer.write(&Record::Object(object), &[]).unwrap();
        }
        if to_guid == 70 {
            let write = Write {
                object: 5,
                object_type: 19,
                offset: 4096,
                logical_size: 4096,
                to_guid,
                ..Write::default()
            };
            writer.write(&Record::Write(write), &[9; 4096]).unwrap();
        }
        let byref = WriteByref {
            object: 6,
            offset: 8192,
            length: 4096,
            to_guid,
            ref_guid: 70,
            ref_object: 5,
            ref_offset: 4096,
            ..WriteByref::default()
        };
        writer.write(&Record::WriteByref(byref), &[]).unwrap();
        let end = crate::record::End {
            to_guid,
            ..Default::default()
        };
        writer.write(&Record::End(end), &[]).unwrap();
    }
    writer.end_compound().unwrap();
    writer.into_inner()
}

#[test]
fn redup_puts_every_block_back() {
    for order in ORDERS {
        let stream = deduplicated(order);
        let mut out = Vec::new();
        let changes = redup(&stream[..], &mut out).unwrap();
        assert_eq!(
            (changes.blocks, changes.records_in),
            (2, changes.records_out)
        );
        assert_eq!(verify::verify(&out[..]).unwrap().findings, []);
        let blocks: Vec<_> = SliceReader::new(&out)
            .map(Result::unwrap)
            .filter(|record| record.record_type() == RecordType::Write)
            .map(|record| {
                assert_eq!(record.payload, [9; 4096]);
                let parsed = record.parse();
                (parsed.to_guid(), parsed.object(), parsed.offset())
            })
            .collect();
        assert_eq!(
            blocks,
            [
                (70, Some(5), Some(4096)),
                (70, Some(6), Some(8192)),
                (71, Some(6), Some(8192))
            ]
        );
        // And what is whole goes through.
        let mut again = Vec::new();
        assert_eq!(redup(&out[..], &mut again).unwrap().blocks, 0);
        assert!(again == out);
    }
}

#[test]
fn a_reference_to_nothing_is_an_error() {
    let order = ByteOrder::Little;
    let mut bad = Writer::new(Vec::new(), order);
    let stream = deduplicated(order);
    for record in SliceReader::new(&stream) {
        let record = record.unwrap();
        match record.parse() {
            Record::WriteByref(byref) => {
                let byref = WriteByref {
                    ref_offset: 0,
                    ..byref
                };
                bad.write(&Record::WriteByref(byref), &[]).unwrap();
            }
            _ => bad.rewrite(&record).unwrap(),
        }
    }
    let problem = problem(redup(&bad.into_inner()[..], Vec::new()));
    let Problem::MissingReference {
        object: 6,
        offset: 8192,
        ref_guid: 70,
        ..
    } = problem
    else {
        panic!("{problem:?}");
    };
}

/// The deduplicated stream with its references changed.
fn deduplicated_with(change: impl Fn(&mut WriteByref)) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), ByteOrder::Little);
    for record in SliceReader::new(&deduplicated(ByteOrder::Little)) {
        let record = record.unwrap();
        if let Record::WriteByref(mut byref) = record.parse() {
            change(&mut byref);
            writer.write(&Record::WriteByref(byref), &[]).unwrap();
        } else {
            writer.rewrite(&record).unwrap();
        }
    }
    writer.into_inner()
}

#[test]
fn a_reference_of_which_no_block_can_be_made_is_refused() {
    let refused =
        |change: fn(&mut WriteByref)| match redup(&deduplicated_with(change)[..], Vec::new()) {
            Err(Error::Damaged { finding }) => finding.kind,
            other => panic!("{other:?}"),
        };
    assert_eq!(refused(|byref| byref.object = 7), Kind::UnknownObject);
    let (object, offset) = (5, 4096);
    assert_eq!(
        refused(|byref| (byref.object, byref.offset) = (5, 0)),
        Kind::OutOfOrder { object, offset }
    );
    for (change, name) in [
        ((|byref| byref.object = 0) as fn(&mut WriteByref), "object"),
        (|byref| byref.offset = u64::MAX - 511, "offset"),
        (|byref| byref.length = 0, "length"),
        (|byref| byref.length = 32 << 20, "length"),
    ] {
        let found = refused(change);
        assert!(
            matches!(found, Kind::BadField { field, .. } if field == name),
            "{name}: {found:?}"
        );
    }
}

#[test]
fn redup_lets_through_what_is_not_deduplicated() {
    let write = Record::Write(Write {
        object: 5,
        object_type: 19,
        logical_size: 4096,
        to_guid: TO_GUID,
        ..Write::default()
    });
    let mut begin = begin();
    begin.version_info = Begin::make_version_info(false, Features::default());
    // One block twice: of no use, but received.
    let block = (write, vec![9; 4096]);
    let records = [(file_of(4096), Vec::new()), block.clone(), block];
    let stream = stream_of(ByteOrder::Little, begin, &[], &records);
    let mut out = Vec::new();
    assert_eq!(redup(&stream[..], &mut out).unwrap().blocks, 0);
    assert!(out == stream);
}

#[test]
fn redup_finds_damage() {
    let mut stream = deduplicated(ByteOrder::Little);
    for at in (0..stream.len()).step_by(97) {
        stream[at] ^= 4;
        // Nothing checks the END of a compound stream's header, and nothing
        // reads it.
        let unread = (HEADER_LEN..2 * HEADER_LEN).contains(&at);
        assert_eq!(redup(&stream[..], Vec::new()).is_ok(), unread, "{at}");
        stream[at] ^= 4;
        assert!(redup(&stream[..at], Vec::new()).is_err(), "{at}");
    }
}

#[test]
fn records_are_left_out_if_the_rest_is_valid() {
    let stream = long(ByteOrder::Little, |_| {});
    let mut out = Vec::new();
    let changes = drop_records(&stream[..], &mut out, |record| {
        record
            .parse()
            .offset()
            .is_some_and(|offset| offset >= 7 << 20)
    })
    .unwrap();
    assert_eq!((changes.blocks, changes.records_out), (5, 12));
    assert_eq!(verify::verify(&out[..]).unwrap().findings, []);
    // Blocks of an object that nothing tells of.
    let result = drop_records(&stream[..], Vec::new(), |record| {
        record.record_type() == RecordType::Object
    });
    assert!(matches!(problem(result), Problem::NotValid(_)));
    let mut damaged = stream.clone();
    damaged[7_000] ^= 1;
    assert!(drop_records(&damaged[..], Vec::new(), |_| false).is_err());
}

#[test]
fn no_end_is_written_where_bytes_follow_it() {
    let end_of = |stream: &[u8]| stream[stream.len() - HEADER_LEN..].to_vec();
    let plain = long(ByteOrder::Little, |_| {});
    for more in [vec![0; 1], vec![0; 400], vec![0x55; 312], end_of(&plain)] {
        let stream = [&plain[..], &more].concat();
        let mut outs = [const { Vec::new() }; 4];
        let [dropped, chosen, whole, packed] = &mut outs;
        drop_records(&stream[..], dropped, |_| false).unwrap_err();
        decompress_blocks(&stream[..], chosen, &[]).unwrap_err();
        redup(&stream[..], whole).unwrap_err();
        recompress(&stream[..], packed, Compression::Lz4).unwrap_err();
        for out in outs {
            let ends = SliceReader::new(&out).map(Result::unwrap);
            let ends = ends.filter(|record| record.record_type() == RecordType::End);
            assert_eq!(ends.count(), 0, "{} bytes", more.len());
        }
    }
}

#[test]
fn damage_after_a_thousand_warnings_is_refused() {
    let mut writer = Writer::new(Vec::new(), ByteOrder::Little);
    let mut begin = begin();
    begin.version_info = Begin::make_version_info(false, Features::default());
    writer.write(&Record::Begin(begin), &[]).unwrap();
    for number in 0..1_500 {
        let free = crate::record::Free {
            object: 8,
            length: 512,
            to_guid: TO_GUID + u64::from(number > 0),
            ..Default::default()
        };
        writer.write(&Record::Free(free), &[]).unwrap();
    }
    // Of an object that comes before the first.
    let free = crate::record::Free {
        to_guid: TO_GUID,
        ..Default::default()
    };
    writer.write(&Record::Free(free), &[]).unwrap();
    let end = crate::record::End {
        to_guid: TO_GUID,
        ..Default::default()
    };
    writer.write(&Record::End(end), &[]).unwrap();
    let stream = writer.into_inner();
    let report = verify::verify(&stream[..]).unwrap();
    assert!(report.fatal > 0 && report.findings.len() > 1_000);
    drop_records(&stream[..], Vec::new(), |_| false).unwrap_err();
    decompress(&stream[..], Vec::new()).unwrap_err();
}
