//! What today's OpenZFS does not make: big-endian, deduplicated, 0.8's. Made
//! here by the writer out of real streams, after the published layout.

mod streams;

use std::collections::HashMap;

use zfs_stream::change;
use zfs_stream::compress::Compression;
use zfs_stream::nvlist::{ByteOrder, Encoding, NvList};
use zfs_stream::record::{
    Begin, Features, MAGIC, RawRecord, Reader, Record, RecordType, SliceReader, WriteByref, Writer,
};
use zfs_stream::stats::Statistics;
use zfs_stream::verify::{self, VerifyingReader};

/// Those that are whole.
fn whole() -> Vec<(String, Vec<u8>)> {
    let streams = streams::streams().into_iter();
    streams
        .filter(|(name, ..)| !name.ends_with("/cut-off") && !name.ends_with("/saved"))
        .map(|(name, stream, _)| (name, stream))
        .collect()
}

fn parse(stream: &[u8]) -> Vec<RawRecord<'_>> {
    SliceReader::new(stream).map(Result::unwrap).collect()
}

/// The stream with each record changed and written in that order.
fn made(
    stream: &[u8],
    order: ByteOrder,
    encoding: Encoding,
    mut change: impl FnMut(Record, &RawRecord<'_>) -> Record,
) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), order);
    for raw in parse(stream) {
        let summed = raw.header.checksum().is_none_or(|sums| !sums.is_zero());
        let record = change(raw.parse(), &raw);
        match (&record, summed) {
            (Record::End(_), false) if raw.header.is_final_end() => writer.end_compound().unwrap(),
            (Record::End(_), false) => writer.end_compound_header().unwrap(),
            (Record::Begin(_), _) if !raw.payload.is_empty() => {
                let list = NvList::decode(raw.payload).unwrap();
                let list = list.encode(encoding, order).unwrap();
                writer.write(&record, &list).unwrap();
            }
            (Record::WriteByref(_), _) => writer.write(&record, &[]).unwrap(),
            _ => writer.write(&record, raw.payload).unwrap(),
        }
    }
    writer.into_inner()
}

fn statistics(stream: &[u8]) -> Statistics {
    let mut statistics = Statistics::default();
    for record in parse(stream) {
        statistics.record(&record);
    }
    statistics
}

#[test]
fn big_endian_streams_are_the_same_streams() {
    for (name, stream) in whole() {
        let big = made(&stream, ByteOrder::Big, Encoding::Native, |record, _| {
            record
        });
        assert_eq!(big[8..16], MAGIC.to_be_bytes());
        let report = verify::verify(&big[..]).unwrap();
        assert_eq!(report.findings, [], "{name}");
        assert_eq!(verify::verify_at(&big[..]).unwrap(), report);
        let mut passed = Vec::new();
        std::io::copy(&mut VerifyingReader::new(&big[..]), &mut passed).unwrap();
        assert!(passed == big);
        // Both readers give the little-endian one's records.
        let mut reader = Reader::new(&big[..]);
        for (ours, original) in parse(&big).iter().zip(parse(&stream)) {
            assert_eq!(ours.header.order(), ByteOrder::Big);
            let read = reader.next_record().unwrap().unwrap();
            assert_eq!(read.parse(), ours.parse(), "{name}");
            match (ours.parse(), original.parse()) {
                (Record::End(ours), Record::End(original)) => {
                    assert_eq!(ours.to_guid, original.to_guid);
                }
                (ours, original) => assert_eq!(ours, original, "{name}"),
            }
            if original.record_type() == RecordType::Begin {
                let lists = [ours, &original].map(|record| NvList::decode(record.payload).ok());
                assert_eq!(lists[0], lists[1], "{name}");
            } else {
                assert!(ours.payload == original.payload, "{name}");
            }
        }
        let (ours, original) = (statistics(&big), statistics(&stream));
        assert_eq!(ours.logical_bytes, original.logical_bytes, "{name}");
        assert_eq!(ours.compression, original.compression, "{name}");
        assert_eq!(ours.largest_objects(), original.largest_objects(), "{name}");
        // And back again: nothing is lost on the way.
        let back = made(&big, ByteOrder::Little, Encoding::Native, |record, _| {
            record
        });
        let sums = |stream: &[u8]| {
            parse(stream)
                .last()
                .and_then(|record| record.header.checksum())
        };
        if statistics(&stream)
            .streams
            .iter()
            .all(|one| one.nvlist.is_none())
        {
            assert_eq!(sums(&back), sums(&stream), "{name}");
            assert!(back == stream, "{name}");
        }
    }
}

/// `zfs send -D` of 0.8 on a big-endian or little-endian machine, its nvlists
/// in XDR.
#[test]
fn deduplicated_streams_of_0_8_are_made_whole() {
    let mut references = 0;
    for (name, stream) in whole() {
        let features = statistics(&stream).streams;
        let mut features = features.iter().map(|one| one.begin.features());
        // 0.8 knew neither zstd nor what came after it, and did not
        // deduplicate what is encrypted or redacted.
        let later = [
            Features::ZSTD,
            Features::RAW,
            Features::REDACTED,
            Features::LONGNAME,
        ];
        if features.any(|one| later.iter().any(|later| one.contains(*later))) {
            continue;
        }
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let plain = made(&stream, order, Encoding::Xdr, |record, _| record);
            let mut seen: HashMap<Vec<u8>, Record> = HashMap::new();
            let mut here = 0;
            let short = made(&stream, order, Encoding::Xdr, |record, raw| match record {
                Record::Begin(begin) if !begin.is_compound() => Record::Begin(Begin {
                    version_info: begin.version_info
                        | Features::DEDUP.with(Features::DEDUPPROPS).bits() << 2,
                    ..begin
                }),
                Record::Write(write) => match seen.get(raw.payload) {
                    Some(Record::Write(equal)) if equal.compression == write.compression => {
                        here += 1;
                        Record::WriteByref(WriteByref {
                            object: write.object,
                            offset: write.offset,
                            length: write.logical_size,
                            to_guid: write.to_guid,
                            ref_guid: equal.to_guid,
                            ref_object: equal.object,
                            ref_offset: equal.offset,
                            checksum_type: write.checksum_type,
                            flags: write.flags,
                            key_checksum: write.key_checksum,
                            key_prop: write.key_prop,
                        })
                    }
                    _ => {
                        seen.insert(raw.payload.to_vec(), Record::Write(write.clone()));
                        Record::Write(write)
                    }
                },
                other => other,
            });
            references += here;
            assert_eq!(
                statistics(&short).count(RecordType::WriteByref).records,
                here
            );
            assert!(!verify::verify(&short[..]).unwrap().is_intact(), "{name}");
            let mut whole = Vec::new();
            let changes = change::redup(&short[..], &mut whole).unwrap();
            assert_eq!(changes.blocks, here, "{name}");
            assert_eq!(verify::verify(&whole[..]).unwrap().findings, [], "{name}");
            // The block's own fields are those of the equal one; its place and
            // its bytes are its own.
            assert_eq!(whole.len(), plain.len(), "{name}");
            for (ours, original) in parse(&whole).iter().zip(parse(&plain)) {
                assert!(ours.payload == original.payload, "{name}");
                let place = |record: &Record| (record.to_guid(), record.object(), record.offset());
                assert_eq!(place(&ours.parse()), place(&original.parse()), "{name}");
            }
            let mut packed = Vec::new();
            change::recompress(&whole[..], &mut packed, Compression::Lz4).unwrap();
            assert_eq!(verify::verify(&packed[..]).unwrap().findings, [], "{name}");
        }
    }
    // Few blocks of these streams equal others.
    assert!(references >= 2, "{references}");
}
