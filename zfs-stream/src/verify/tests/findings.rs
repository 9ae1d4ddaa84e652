//! What is found in streams that are damaged, cut off, or too long.

use super::*;

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
    assert_eq!(kinds(&[&stream, end].concat()), [Kind::TrailingRecords]);
    let junk = [&stream[..], &[0x55; 1000]].concat();
    assert!(matches!(kinds(&junk)[..], [Kind::NotARecord(_)]));
    let record = &stream[offsets(&stream)[2]..][..HEADER_LEN];
    let more = [&stream, record, record].concat();
    assert_eq!(kinds(&more), [Kind::TrailingRecords]);
}

#[test]
fn a_begin_inside_a_stream_is_found() {
    let stream = whole(ByteOrder::Little);
    let cut = &stream[..stream.len() - HEADER_LEN];
    let kinds = kinds(&[cut, &stream].concat());
    assert_eq!(kinds, [Kind::UnexpectedBegin]);
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
fn findings_are_kept_within_bounds_and_all_counted() {
    let stream = warned(2_000);
    let whole = report(&stream);
    assert_eq!(
        (whole.findings.len(), whole.more, whole.fatal),
        (1_000, 1_000, 0)
    );
    assert!(whole.is_intact(), "warnings are no damage, however many");
    assert_eq!(verify_at(&stream[..]).unwrap(), whole);
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
    assert_eq!(
        (report.findings.len(), report.more, report.fatal),
        (1_000, 1_000, 2_000)
    );
}

#[test]
fn damage_is_told_however_many_warnings_came_before_it() {
    let mut stream = warned(1_500);
    let free = stream.len() - 2 * HEADER_LEN;
    stream[free + 20] ^= 1;
    let damaged = report(&stream);
    assert!(!damaged.is_intact());
    // Of the damaged record nothing else is told.
    assert_eq!((damaged.fatal, damaged.more), (1, 499));
    let last = damaged.findings.last().unwrap();
    assert!(matches!(last.kind, Kind::Damaged { .. }), "{last}");
    assert_eq!(verify_at(&stream[..]).unwrap(), damaged);
}

/// Everything of which a reader might make a record, or nothing.
pub(super) fn trailing() -> Vec<Vec<u8>> {
    let whole = whole(ByteOrder::Little);
    let offsets = offsets(&whole);
    let mut free = whole[offsets[2]..][..HEADER_LEN].to_vec();
    free[280..].fill(0);
    let mut end = whole[whole.len() - HEADER_LEN..].to_vec();
    end[280..].fill(0);
    let mut closing = end.clone();
    closing[8..].fill(0);
    let mut trailing = vec![free, end, closing];
    for length in [1, 3, 4, 8, 311, 312, 313, 5_000] {
        for byte in [0, 0x55, 0xff] {
            trailing.push(vec![byte; length]);
        }
    }
    trailing
}

#[test]
fn a_few_bytes_after_the_end_are_no_stream_that_was_cut_off() {
    for stream in [whole(ByteOrder::Big), whole_compound(ByteOrder::Little)] {
        for length in [1, 4, 311] {
            let long = [&stream[..], &vec![0x55; length]].concat();
            let found = report(&long).findings;
            let bytes = length as u64;
            assert_eq!(found[0].kind, Kind::TrailingBytes { bytes });
            assert_eq!(found.len(), 1);
            assert!(!found[0].consequence().contains("resume token"));
            let mut stage = VerifyingReader::new(&long[..]);
            let error = std::io::copy(&mut stage, &mut std::io::sink()).unwrap_err();
            let text = format!("{length} bytes follow the stream's end");
            let source = error.into_inner().unwrap();
            assert!(source.to_string().contains(&text), "{source}");
        }
    }
}

#[test]
fn what_was_found_before_the_source_failed_is_told() {
    struct Fails<'a>(&'a [u8]);
    impl std::io::Read for Fails<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if self.0.is_empty() {
                return Err(std::io::Error::other("the disk is gone"));
            }
            self.0.read(buffer)
        }
    }
    let mut stream = whole(ByteOrder::Little);
    let offsets = offsets(&stream);
    stream[offsets[4] + HEADER_LEN] ^= 1;
    let there = offsets[8] + 100;
    let error = verify(Fails(&stream[..there])).unwrap_err();
    let crate::Error::Unreadable {
        offset,
        report,
        source,
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(offset, there as u64);
    assert_eq!(report.findings[0].offset, offsets[4] as u64);
    assert_eq!(source.to_string(), "the disk is gone");
}

#[test]
fn bytes_after_the_end_are_found_and_counted() {
    for stream in [whole(ByteOrder::Little), whole_compound(ByteOrder::Little)] {
        for more in trailing() {
            let long = [&stream[..], &more].concat();
            let found = report(&long);
            assert!(!found.is_intact(), "{} of {:?}", more.len(), more[0]);
            assert_eq!(found.bytes, long.len() as u64, "{:?}", found.findings);
            assert!(found.findings[0].offset <= stream.len() as u64);
            assert_eq!(verify_at(&long[..]).unwrap(), found);
        }
    }
}

#[test]
fn a_second_end_is_no_part_of_the_stream() {
    for order in ORDERS {
        let whole = whole(order);
        let end = &whole[whole.len() - HEADER_LEN..];
        let doubled = [&whole[..], end, end].concat();
        let report = report(&doubled);
        assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
        let finding = &report.findings[0];
        assert_eq!(finding.kind, Kind::TrailingRecords);
        assert_eq!(finding.offset, whole.len() as u64);
        assert!(finding.consequence().contains("is whole"));
        assert!(!report.is_intact());
    }
}

#[test]
fn what_is_cut_off_in_a_payload_names_its_record() {
    let whole = whole(ByteOrder::Little);
    let at = offsets(&whole)[5];
    let report = report(&whole[..at + HEADER_LEN + 8]);
    let text = report.findings[0].to_string();
    assert!(text.contains("(WRITE, object 8 at 512): "), "{text}");
    assert!(report.findings[0].kind.is_cut());
}

#[test]
fn a_damaged_length_beyond_the_end_is_not_taken_for_a_cut() {
    let mut stream = whole(ByteOrder::Little);
    let all = offsets(&stream);
    // The last block claims 4 MiB more.
    let record = all.len() - 2;
    stream[all[record] + 34] ^= 0x40;
    let report = report(&stream);
    let [damaged, skipped] = &report.findings[..] else {
        panic!("{:?}", report.findings);
    };
    assert!(matches!(damaged.kind, Kind::Damaged { .. }), "{damaged}");
    assert_eq!(damaged.record, record as u64);
    assert!(matches!(skipped.kind, Kind::Skipped { .. }), "{skipped}");
    // The one that was left out is counted.
    assert_eq!(skipped.record, record as u64 + 1);
    assert_eq!(report.records, all.len() as u64);
    assert_eq!(report.streams, 1);
}

#[test]
fn the_cut_off_header_of_a_stream_is_told_from_what_is_none() {
    let whole = whole(ByteOrder::Big);
    let first = |bytes: &[u8]| report(bytes).findings[0].record_type;
    assert_eq!(first(&whole[..100]), Some(RecordType::Begin));
    assert_eq!(first(&whole[..10]), None);
    assert_eq!(first(&[0; 100]), None);
    assert_eq!(first(&[0; 400]), None);
}
