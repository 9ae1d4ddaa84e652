//! Whole streams, every kind of damage, and the stage in flight.

use std::io::{ErrorKind, Read};

use super::*;
use crate::Error;
use crate::nvlist::{ByteOrder, Encoding, NvList};
use crate::record::tests::{FEATURES, TO_GUID, begin, compound, records, sample, stream_of};
use crate::record::{
    Begin, BeginFlags, End, Features, Free, HEADER_LEN, ObjectRange, Record, SliceReader, Write,
    Writer,
};

const ORDERS: [ByteOrder; 2] = [ByteOrder::Little, ByteOrder::Big];

fn report(stream: &[u8]) -> Report {
    verify(stream).unwrap()
}

fn kinds(stream: &[u8]) -> Vec<Kind> {
    let findings = report(stream).findings.into_iter();
    findings.map(|finding| finding.kind).collect()
}

/// A stream with one more record before its END.
fn with(record: Record, payload: &[u8]) -> Vec<u8> {
    let mut records = records();
    records.push((record, payload.to_vec()));
    stream_of(ByteOrder::Little, begin(), &[], &records)
}

/// The sample with its BEGIN changed.
fn with_begin(change: impl Fn(&mut Begin), nvlist: &[u8]) -> Vec<u8> {
    let mut begin = begin();
    change(&mut begin);
    stream_of(ByteOrder::Little, begin, nvlist, &records())
}

fn offsets(stream: &[u8]) -> Vec<usize> {
    let records = SliceReader::new(stream);
    records
        .map(|record| record.unwrap().offset as usize)
        .collect()
}

fn redact_list() -> Vec<u8> {
    let mut list = NvList::new();
    list.insert("redact_snaps", vec![1_u64]).unwrap();
    list.encode(Encoding::Native, ByteOrder::Little).unwrap()
}

/// The sample as a sender would really make it.
fn whole(order: ByteOrder) -> Vec<u8> {
    stream_of(order, begin(), &redact_list(), &records())
}

/// The same, inside a compound stream.
fn whole_compound(order: ByteOrder) -> Vec<u8> {
    let plain = compound(order);
    let ends: Vec<_> = offsets(&plain);
    let substream = ends[2];
    let mut stream = plain[..substream].to_vec();
    stream.extend(whole(order));
    stream.extend(whole(order));
    stream.extend(&plain[plain.len() - HEADER_LEN..]);
    stream
}

#[test]
fn whole_streams_are_intact_without_a_finding() {
    for order in ORDERS {
        for (stream, streams) in [(whole(order), 1), (whole_compound(order), 2)] {
            let report = report(&stream);
            assert_eq!(report.findings, []);
            assert_eq!(report.streams, streams);
            assert_eq!(report.bytes, stream.len() as u64);
            assert_eq!(report.records, offsets(&stream).len() as u64);
        }
    }
}

#[test]
fn every_flipped_header_bit_is_found() {
    let flip = |stream: &mut [u8], start: usize| {
        for at in start..start + HEADER_LEN {
            for bit in 0..8 {
                stream[at] ^= 1 << bit;
                let found = report(stream).findings;
                assert!(
                    !found.is_empty(),
                    "byte {} of the record at {start}, bit {bit}",
                    at - start
                );
                stream[at] ^= 1 << bit;
            }
        }
    };
    let mut stream = whole(ByteOrder::Little);
    for start in offsets(&stream) {
        flip(&mut stream, start);
    }
    // Of a compound stream what is its own: BEGIN, END, and the closing END.
    let mut stream = whole_compound(ByteOrder::Big);
    let offsets = offsets(&stream);
    for start in [offsets[0], offsets[1], offsets[offsets.len() - 1]] {
        flip(&mut stream, start);
    }
}

#[test]
fn every_flipped_payload_byte_is_found_once() {
    let mut stream = whole(ByteOrder::Big);
    let offsets = offsets(&stream);
    for (record, range) in offsets.windows(2).enumerate().skip(1) {
        for at in range[0] + HEADER_LEN..range[1] {
            stream[at] ^= 0x10;
            let found = report(&stream).findings;
            stream[at] ^= 0x10;
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(matches!(found[0].kind, Kind::Damaged { .. }));
            assert_eq!(found[0].record, record as u64);
            assert_eq!(found[0].offset, range[0] as u64);
        }
    }
}

#[test]
fn every_truncation_is_found() {
    let stream = whole_compound(ByteOrder::Little);
    for length in 0..stream.len() {
        let report = report(&stream[..length]);
        assert!(!report.is_intact(), "{length}");
        let last = report.findings.last().unwrap();
        assert!(
            last.consequence().contains("incomplete") || length == 0,
            "{last}"
        );
    }
}

#[test]
fn damage_names_the_record_with_object_and_offset() {
    let mut stream = whole(ByteOrder::Little);
    // The second block of object 8.
    let at = offsets(&stream)[5] + HEADER_LEN;
    stream[at] ^= 1;
    let report = report(&stream);
    assert_eq!(report.findings.len(), 1);
    let text = report.findings[0].to_string();
    assert!(text.contains("(WRITE, object 8 at 512): damaged"), "{text}");
}

#[test]
fn checking_goes_on_after_lost_framing() {
    let mut stream = whole(ByteOrder::Little);
    let offsets = offsets(&stream);
    // A length that leads nowhere, and later a damaged payload.
    stream[offsets[4] + 32] ^= 0x80;
    stream[offsets[12] + HEADER_LEN] ^= 1;
    let report = report(&stream);
    let found: Vec<_> = report.findings.iter().map(|one| &one.kind).collect();
    assert!(matches!(found[0], Kind::Damaged { .. }), "{found:?}");
    assert!(matches!(found[1], Kind::Skipped { .. }), "{found:?}");
    assert!(matches!(found[2], Kind::Damaged { .. }), "{found:?}");
    assert_eq!(report.findings[2].offset, offsets[12] as u64);
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn checking_goes_on_after_bytes_were_lost_or_added() {
    let whole = whole(ByteOrder::Little);
    let offsets = offsets(&whole);
    let cut = offsets[5] + HEADER_LEN + 100;
    for stream in [
        [&whole[..cut], &whole[cut + 64..]].concat(),
        [&whole[..cut], &[0x77; 64], &whole[cut..]].concat(),
    ] {
        let report = report(&stream);
        assert!(!report.is_intact());
        assert!(report.findings.len() <= 3, "{:?}", report.findings);
        // It read to the END, and did not miss it.
        assert_eq!(report.streams, 1);
    }
}

#[test]
fn a_missing_end_is_found() {
    let stream = whole(ByteOrder::Little);
    let cut = &stream[..stream.len() - HEADER_LEN];
    assert_eq!(kinds(cut), [Kind::MissingEnd]);
    let stream = whole_compound(ByteOrder::Little);
    let cut = &stream[..stream.len() - HEADER_LEN];
    assert_eq!(kinds(cut), [Kind::MissingFinalEnd]);
    assert_eq!(kinds(&[]), [Kind::Empty]);
}

#[test]
fn what_follows_the_end_is_found() {
    let stream = whole(ByteOrder::Little);
    let twice = [&stream[..], &stream[..]].concat();
    assert_eq!(kinds(&twice), [Kind::TrailingStream]);
    assert!(report(&twice).is_intact());
    let end = &stream[stream.len() - HEADER_LEN..];
    assert!(kinds(&[&stream, end].concat()).contains(&Kind::UnexpectedEnd));
    let junk = [&stream[..], &[0x55; 1000]].concat();
    assert!(matches!(kinds(&junk)[..], [Kind::NotARecord(_)]));
    let record = &stream[offsets(&stream)[2]..][..HEADER_LEN];
    assert!(kinds(&[&stream, record].concat()).contains(&Kind::AfterEnd));
}

#[test]
fn a_begin_inside_a_stream_is_found() {
    let stream = whole(ByteOrder::Little);
    let cut = &stream[..stream.len() - HEADER_LEN];
    let kinds = kinds(&[cut, &stream].concat());
    assert_eq!(kinds, [Kind::UnexpectedBegin]);
}

#[test]
fn contradicting_features_are_found() {
    let raw = FEATURES.with(Features::RAW);
    let nvlist = redact_list();
    let change = |features: Features, flags: BeginFlags| {
        let change = move |begin: &mut Begin| {
            begin.version_info = Begin::make_version_info(false, features);
            begin.flags = flags;
        };
        kinds(&with_begin(change, &nvlist))
    };
    let found = change(raw, BeginFlags::SPILL_BLOCK);
    assert!(found.contains(&Kind::Contradiction("a raw stream with embedded data")));
    assert!(found.contains(&Kind::MissingFromNvlist("crypt_keydata")));
    let found = change(raw.without(Features::EMBED_DATA), BeginFlags::default());
    assert!(found.contains(&Kind::Contradiction(
        "a raw stream without the spill block flag"
    )));
    let dedup = Features::DEDUP.with(Features::DEDUPPROPS);
    let found = change(FEATURES.with(dedup), BeginFlags::SPILL_BLOCK);
    assert_eq!(found, [Kind::UnsupportedFeatures(dedup)]);
    let found = change(FEATURES.with(Features::RESUMING), BeginFlags::SPILL_BLOCK);
    assert!(found.contains(&Kind::MissingFromNvlist("resume_object")));
    let found = change(
        FEATURES.without(Features::EMBED_DATA),
        BeginFlags::SPILL_BLOCK,
    );
    assert_eq!(found, [Kind::MissingFeature(Features::EMBED_DATA)]);
}

#[test]
fn a_bad_nvlist_is_found() {
    let mut nvlist = redact_list();
    nvlist[12] ^= 1;
    assert!(matches!(
        kinds(&with_begin(|_| {}, &nvlist))[..],
        [Kind::BadNvlist(_)]
    ));
}

#[test]
fn fields_that_the_kernel_refuses_are_found() {
    let write = Write {
        object: 11,
        object_type: 19,
        logical_size: 8,
        to_guid: TO_GUID,
        ..Write::default()
    };
    let bad = |change: fn(&mut Write)| {
        let mut write = write.clone();
        change(&mut write);
        let found = kinds(&with(Record::Write(write), &[0; 8])).into_iter();
        found
            .filter_map(|kind| match kind {
                Kind::BadField { field, .. } => Some(field),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(bad(|_| {}), [""; 0]);
    assert_eq!(bad(|write| write.object = 1 << 48), ["object"]);
    assert_eq!(bad(|write| write.object_type = 54), ["type"]);
    assert_eq!(bad(|write| write.object_type = 0x8a), ["type"]);
    assert_eq!(bad(|write| write.offset = u64::MAX), ["offset"]);
    assert_eq!(bad(|write| write.mac = [1; 16]), ["encryption"]);
    let compressed = |write: &mut Write| {
        (write.compression, write.compressed_size) = (17, 8);
        write.logical_size = 4;
    };
    assert_eq!(bad(compressed), ["compression", "compressed size"]);
    let range = Record::ObjectRange(ObjectRange {
        first_object: 33,
        slots: 31,
        to_guid: TO_GUID,
        ..ObjectRange::default()
    });
    assert_eq!(kinds(&with(range, &[])).len(), 4);
    let free = Record::Free(Free {
        object: 8,
        offset: 1 << 63,
        length: 1 << 63,
        to_guid: TO_GUID,
    });
    assert!(matches!(
        kinds(&with(free, &[]))[..],
        [
            _,
            Kind::BadField {
                field: "offset",
                ..
            }
        ]
    ));
}

#[test]
fn order_and_missing_objects_are_found() {
    let write = |object, offset| {
        Record::Write(Write {
            object,
            object_type: 19,
            offset,
            logical_size: 8,
            to_guid: TO_GUID,
            ..Write::default()
        })
    };
    let found = kinds(&with(write(10, 0), &[0; 8]));
    assert_eq!(
        found[1..],
        [Kind::OutOfOrder {
            object: 10,
            offset: 4096
        }]
    );
    // Not redacted, so that everything must have been announced.
    let features = Features::SA_SPILL
        .with(Features::EMBED_DATA)
        .with(Features::LZ4);
    let mut begin = begin();
    begin.version_info = Begin::make_version_info(false, features);
    let mut records = records();
    records.retain(|(record, _)| !matches!(record, Record::Redact(_)));
    records.push((write(11, 0), vec![0; 8]));
    let stream = stream_of(ByteOrder::Little, begin, &[], &records);
    assert_eq!(kinds(&stream), [Kind::UnknownObject]);
}

#[test]
fn an_end_of_another_stream_is_found() {
    let mut stream = whole(ByteOrder::Little);
    let end = stream.len() - HEADER_LEN;
    // Without its own checksum, only the stream's is left to tell.
    stream[end + 280..].fill(0);
    stream[end + 8] ^= 1;
    assert!(matches!(
        kinds(&stream)[..],
        [Kind::Unchecked, Kind::DamagedEnd { .. }]
    ));
}

#[test]
fn a_damaged_checksum_field_is_told_once() {
    let mut stream = whole(ByteOrder::Little);
    let at = offsets(&stream)[4] + 300;
    stream[at] ^= 1;
    assert_eq!(kinds(&stream).len(), 1);
}

#[test]
fn findings_are_kept_within_bounds() {
    let mut writer = Writer::new(Vec::new(), ByteOrder::Little);
    writer
        .write(&Record::Begin(begin()), &redact_list())
        .unwrap();
    for _ in 0..2_000 {
        let free = Free {
            object: 0,
            to_guid: TO_GUID,
            ..Free::default()
        };
        writer.write(&Record::Free(free), &[]).unwrap();
    }
    let end = End {
        to_guid: TO_GUID,
        ..End::default()
    };
    writer.write(&Record::End(end), &[]).unwrap();
    let report = report(&writer.into_inner());
    assert_eq!((report.findings.len(), report.more), (1_000, 1_000));
}

/// What came through the stage, and whether it was refused.
fn through(stream: &[u8]) -> (Vec<u8>, Option<Error>) {
    let mut stage = VerifyingReader::new(stream);
    let mut out = Vec::new();
    match stage.read_to_end(&mut out) {
        Ok(_) => (out, None),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            let inner = error.into_inner().unwrap();
            assert!(stage.read(&mut [0; 8]).is_err(), "went on after an error");
            (out, Some(*inner.downcast().unwrap()))
        }
    }
}

#[test]
fn a_whole_stream_goes_through_the_stage_unchanged() {
    for stream in [whole(ByteOrder::Little), whole_compound(ByteOrder::Big)] {
        let (out, error) = through(&stream);
        assert!(error.is_none());
        assert!(out == stream);
        let mut stage = VerifyingReader::new(&stream[..]);
        let mut byte = [0];
        let mut slowly = Vec::new();
        while stage.read(&mut byte).unwrap() == 1 {
            slowly.push(byte[0]);
        }
        assert!(slowly == stream);
        assert!(stage.report().unwrap().is_intact());
    }
}

#[test]
fn the_stage_stops_before_the_damaged_record() {
    let mut stream = whole(ByteOrder::Little);
    let offsets = offsets(&stream);
    for (record, range) in offsets.windows(2).enumerate().skip(1) {
        for at in [range[0], range[0] + 20, range[1] - 1] {
            stream[at] ^= 4;
            let (out, error) = through(&stream);
            stream[at] ^= 4;
            assert!(error.is_some(), "record {record}, byte {at}");
            // The header of a record without a payload is checked by itself.
            assert!(
                out.len() <= range[0],
                "record {record}: {} handed on",
                out.len()
            );
            assert!(out == stream[..out.len()]);
        }
    }
}

#[test]
fn the_stage_refuses_a_stream_that_was_cut_off() {
    let stream = whole(ByteOrder::Little);
    for length in (0..stream.len()).step_by(5) {
        let (out, error) = through(&stream[..length]);
        assert!(error.is_some(), "{length}");
        assert!(out == stream[..out.len()]);
    }
}

#[test]
fn the_end_goes_through_before_the_source_ends() {
    struct Open<'a>(&'a [u8]);
    impl Read for Open<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            assert!(!self.0.is_empty(), "read past the END before handing it on");
            self.0.read(buffer)
        }
    }
    let stream = whole(ByteOrder::Little);
    let mut stage = VerifyingReader::new(Open(&stream));
    let mut out = vec![0; stream.len()];
    stage.read_exact(&mut out).unwrap();
    assert!(out == stream);
}

#[test]
fn the_sample_of_the_records_is_no_redacted_stream_without_its_list() {
    let found = kinds(&sample(ByteOrder::Little));
    assert_eq!(found, [Kind::MissingFromNvlist("redact_snaps")]);
}

#[test]
fn a_stream_in_memory_gets_the_same_report_on_any_number_of_threads() {
    for order in ORDERS {
        for mut stream in [whole(order), whole_compound(order), sample(order)] {
            for threads in 1..5 {
                assert_eq!(slice::verify_on(&stream, threads), report(&stream));
            }
            for at in (0..stream.len()).step_by(61) {
                stream[at] ^= 0x40;
                assert_eq!(slice::verify_on(&stream, 2), report(&stream), "{at}");
                stream[at] ^= 0x40;
                assert_eq!(
                    slice::verify_on(&stream[..at], 2),
                    report(&stream[..at]),
                    "{at}"
                );
            }
        }
    }
}

#[test]
fn long_streams_in_memory_are_checked_in_stretches() {
    let block = |object, offset: u64, length: usize| {
        let write = Write {
            object,
            object_type: 19,
            offset,
            logical_size: length as u64,
            to_guid: TO_GUID,
            ..Write::default()
        };
        (Record::Write(write), vec![(offset / 512) as u8; length])
    };
    let mut records = records();
    for number in 0..6_000 {
        records.push(block(10, 8192 + 512 * number, 512));
    }
    for number in 0..40 {
        records.push(block(10, (8 << 20) + (number << 17), 1 << 17));
    }
    let mut stream = stream_of(ByteOrder::Little, begin(), &redact_list(), &records);
    let expected = report(&stream);
    assert_eq!(expected.findings, []);
    for threads in 1..5 {
        assert_eq!(slice::verify_on(&stream, threads), expected);
    }
    for at in (700..stream.len()).step_by(stream.len() / 17) {
        stream[at] ^= 1;
        assert_eq!(verify_slice(&stream), report(&stream), "{at}");
        stream[at] ^= 1;
    }
}

#[test]
fn words_that_changed_places_are_found() {
    // The first of the four sums does not see it.
    let mut stream = whole(ByteOrder::Little);
    let write = SliceReader::new(&stream).map(Result::unwrap);
    let write = write
        .filter(|record| record.payload.len() >= 512)
        .map(|record| record.offset as usize + HEADER_LEN)
        .next()
        .unwrap();
    stream[write..write + 512].copy_from_slice(&[3; 512]);
    stream[write + 8] = 4;
    // As the sender summed it.
    let mut summed = Writer::new(Vec::new(), ByteOrder::Little);
    for record in SliceReader::new(&stream) {
        summed.rewrite(&record.unwrap()).unwrap();
    }
    let mut stream = summed.into_inner();
    assert_eq!(report(&stream).findings, []);
    stream.copy_within(write + 8..write + 12, write + 100);
    stream[write + 8] = 3;
    assert_eq!(report(&stream).findings.len(), 1);
    assert_eq!(verify_slice(&stream), report(&stream));
    let mut out = Vec::new();
    assert!(
        VerifyingReader::new(&stream[..])
            .read_to_end(&mut out)
            .is_err()
    );
}
