//! Streams that real OpenZFS made, against what its own zstream says of them.
//!
//! `data/make-streams.sh` made them with OpenZFS 2.1, 2.3 and 2.4; each is kept with the output of
//! `zstream dump -vv` of the same version.

mod streams;

use std::path::Path;

use zfs_stream::nvlist::ByteOrder;
use zfs_stream::record::{
    Features, HEADER_LEN, Problem, RawRecord, Reader, Record, RecordType, SliceReader, Writer,
};
use zfs_stream::stats::Statistics;
use zfs_stream::verify::{self, Kind, VerifyingReader};

use streams::streams;

/// Streams that are not whole, by intent.
const INCOMPLETE: [&str; 2] = ["cut-off", "saved"];

fn is_incomplete(name: &str) -> bool {
    INCOMPLETE.iter().any(|one| name.ends_with(one))
}

fn parse(stream: &[u8]) -> Vec<RawRecord<'_>> {
    let records = SliceReader::new(stream);
    records.map_while(Result::ok).collect()
}

#[test]
fn whole_streams_verify_without_a_finding() {
    for (name, stream, _) in streams() {
        let report = verify::verify(&stream[..]).unwrap();
        if is_incomplete(&name) {
            let kinds: Vec<_> = report.findings.iter().map(|one| &one.kind).collect();
            assert!(
                matches!(
                    kinds[..],
                    [Kind::MissingEnd
                        | Kind::NotARecord(
                            Problem::TruncatedHeader { .. } | Problem::TruncatedPayload { .. }
                        )]
                ),
                "{name}: {kinds:?}"
            );
            continue;
        }
        let findings: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
        assert_eq!(findings, [""; 0], "{name}");
        let mut stage = VerifyingReader::new(&stream[..]);
        let mut out = Vec::new();
        std::io::copy(&mut stage, &mut out).unwrap();
        assert!(out == stream, "{name}");
    }
}

#[test]
fn reading_and_writing_gives_the_same_bytes() {
    for (name, stream, _) in streams() {
        let mut copied = Writer::new(Vec::new(), ByteOrder::Little);
        let mut rewritten = Writer::new(Vec::new(), ByteOrder::Little);
        let mut made_anew = Writer::new(Vec::new(), ByteOrder::Little);
        for raw in parse(&stream) {
            copied.copy(&raw).unwrap();
            rewritten.rewrite(&raw).unwrap();
            // From its fields alone; the ENDs of compound streams have a form
            // of their own.
            let record = raw.parse();
            match (&record, raw.header.checksum()) {
                (Record::End(_), Some(sums)) if raw.header.is_final_end() && sums.is_zero() => {
                    made_anew.end_compound().unwrap();
                }
                (Record::End(_), Some(sums)) if sums.is_zero() => {
                    made_anew.end_compound_header().unwrap();
                }
                _ => made_anew.write(&record, raw.payload).unwrap(),
            }
        }
        for copy in [copied, rewritten, made_anew] {
            let copy = copy.into_inner();
            assert!(stream.starts_with(&copy), "{name}");
            assert!(copy.len() == stream.len() || is_incomplete(&name), "{name}");
        }
    }
}

/// The number after a text in zstream's summary.
fn number(dump: &str, text: &str) -> u64 {
    let at = dump
        .rfind(text)
        .unwrap_or_else(|| panic!("{text} in\n{dump}"));
    let rest = &dump[at + text.len()..];
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

#[test]
fn totals_are_those_of_zstream() {
    for (name, stream, dump) in streams() {
        if name.ends_with("cut-off") {
            // zstream counts a payload that it could not read.
            continue;
        }
        let mut statistics = Statistics::default();
        for record in parse(&stream) {
            statistics.record(&record);
        }
        for record_type in RecordType::ALL {
            if matches!(record_type, RecordType::ObjectRange | RecordType::Redact) {
                continue;
            }
            let count = statistics.count(record_type);
            let text = format!("Total DRR_{record_type} records = ");
            assert_eq!(number(&dump, &text), count.records, "{name} {record_type}");
            let bytes = format!("{text}{} (", count.records);
            assert_eq!(
                number(&dump, &bytes),
                count.payload_bytes,
                "{name} {record_type}"
            );
        }
        for (text, total) in [
            ("Total records = ", statistics.records()),
            ("Total payload size = ", statistics.payload_bytes()),
            ("Total header overhead = ", statistics.header_bytes()),
            ("Total stream length = ", statistics.stream_bytes()),
        ] {
            assert_eq!(number(&dump, text), total, "{name} {text}");
        }
        assert_eq!(statistics.stream_bytes(), stream.len() as u64, "{name}");
    }
}

/// Every record's checksum, as zstream shows them, is ours.
#[test]
fn checksums_are_those_of_zstream() {
    for (name, stream, dump) in streams() {
        let shown = dump
            .lines()
            .filter_map(|line| line.strip_prefix("    checksum = "));
        let ours: Vec<_> = parse(&stream)
            .iter()
            .filter_map(|record| record.header.checksum())
            .map(|sums| sums.to_string())
            .collect();
        let shown: Vec<_> = shown.take(ours.len()).collect();
        assert_eq!(shown, ours, "{name}");
    }
}

fn named(name: &str) -> impl Iterator<Item = (String, Vec<u8>)> {
    let wanted = format!("/{name}");
    let streams = streams().into_iter();
    streams
        .filter(move |(name, ..)| name.ends_with(&wanted))
        .map(|(name, stream, _)| (name, stream))
}

fn statistics(stream: &[u8]) -> Statistics {
    let mut statistics = Statistics::default();
    for record in parse(stream) {
        statistics.record(&record);
    }
    statistics
}

#[test]
fn streams_are_what_they_were_meant_to_be() {
    for (name, feature) in [
        ("full-Lec", Features::COMPRESSED),
        (
            "large-blocks-zstd",
            Features::ZSTD.with(Features::LARGE_BLOCKS),
        ),
        ("raw", Features::RAW),
        ("raw-incremental", Features::RAW),
        ("redacted", Features::REDACTED),
        ("resumed", Features::RESUMING),
        ("holds", Features::HOLDS),
        ("raw-recursive", Features::RAW),
        ("raw-volume", Features::RAW),
        ("raw-resumed", Features::RAW.with(Features::RESUMING)),
        ("long-name", Features::LONGNAME),
        (
            "large-microzap",
            Features::LARGE_MICROZAP.with(Features::LARGE_BLOCKS),
        ),
    ] {
        let mut found = 0;
        for (name, stream) in named(name) {
            let statistics = statistics(&stream);
            // Holds are told of by the compound stream's own BEGIN.
            let features = statistics.streams.iter().map(|one| one.begin.features());
            assert!(
                features.into_iter().any(|one| one.contains(feature)),
                "{name}"
            );
            found += 1;
        }
        assert!(found > 0, "{name}");
    }
    for (name, stream) in named("recursive") {
        let statistics = statistics(&stream);
        assert!(statistics.streams[0].begin.is_compound(), "{name}");
        assert!(statistics.streams.len() >= 6, "{name}");
        let list = statistics.streams[0].nvlist.as_ref().unwrap();
        assert!(list.get_nvlist("fss").is_some(), "{name}");
    }
    for (name, stream) in named("redacted") {
        assert!(
            statistics(&stream).count(RecordType::Redact).records > 0,
            "{name}"
        );
    }
    for (name, stream) in named("raw") {
        let statistics = statistics(&stream);
        assert!(
            statistics.count(RecordType::ObjectRange).records > 0,
            "{name}"
        );
        let list = statistics.streams[0].nvlist.as_ref().unwrap();
        let key = list.require_nvlist("crypt_keydata").unwrap();
        assert!(key.get_u64("DSL_CRYPTO_GUID").is_some(), "{name}:\n{key}");
    }
    for (name, stream) in named("large-microzap") {
        let tables = parse(&stream).into_iter().filter(|record| {
            let Record::Write(write) = record.parse() else {
                return false;
            };
            // A directory.
            write.object_type == 20 && write.logical_size > 128 << 10
        });
        assert_eq!(tables.count(), 1, "{name}");
    }
    for (name, stream) in named("from-redaction-bookmark") {
        assert_ne!(statistics(&stream).streams[0].begin.from_guid, 0, "{name}");
    }
    for (name, stream) in named("full") {
        assert!(
            statistics(&stream).count(RecordType::Spill).records > 0,
            "{name}"
        );
    }
}

/// Every bit of every header, and a sample of the payloads' bits.
#[test]
fn flipped_bits_are_found() {
    for (name, mut stream) in named("recursive").chain(named("volume")) {
        let places: Vec<_> = parse(&stream)
            .iter()
            .map(|record| (record.offset as usize, record.payload.len()))
            .collect();
        let mut bits = Vec::new();
        // A few records, or this takes long: all of them are tried in the
        // crate's own tests, on shorter streams.
        for (start, payload) in places.iter().copied().step_by(11) {
            bits.extend((8 * start..8 * (start + HEADER_LEN)).step_by(13));
            let payload = 8 * (start + HEADER_LEN)..8 * (start + HEADER_LEN + payload);
            bits.extend(payload.step_by(4_099));
        }
        for bit in bits {
            stream[bit / 8] ^= 1 << (bit % 8);
            let report = verify::verify(&stream[..]).unwrap();
            assert!(!report.findings.is_empty(), "{name}: bit {bit}");
            stream[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn both_readers_agree() {
    for (name, stream, _) in streams() {
        let mut reader = Reader::new(&stream[..]);
        for expected in parse(&stream) {
            let record = reader.next_record().unwrap().unwrap();
            assert_eq!(record.header.bytes(), expected.header.bytes(), "{name}");
            assert!(record.payload == expected.payload, "{name}");
        }
    }
}

#[cfg(feature = "token")]
#[test]
fn the_interrupted_receives_token_is_read() {
    use zfs_stream::token::ResumeToken;
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    for (name, stream) in named("resumed") {
        let folder = data.join(name.split('/').next().unwrap());
        let text = std::fs::read_to_string(folder.join("token")).unwrap();
        let token = ResumeToken::decode(text.trim()).unwrap();
        let dump = std::fs::read_to_string(folder.join("token.txt")).unwrap();
        let begin = &statistics(&stream).streams[0].begin;
        assert_eq!(token.to_guid, begin.to_guid);
        token.check_snapshot(begin.to_guid, None).unwrap();
        for number in [token.object, token.offset, token.bytes, token.to_guid] {
            assert!(dump.contains(&number.to_string()), "{number} in\n{dump}");
        }
        assert!(dump.contains(&token.to_name), "{dump}");
        let nvlist = statistics(&stream).streams[0].nvlist.clone();
        token.check_stream(begin, nvlist.as_ref()).unwrap();
    }
}
