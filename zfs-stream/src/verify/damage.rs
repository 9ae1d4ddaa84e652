//! Every bit of every header of the real streams, and 100,000 bits of each
//! one's payloads, flipped one at a time.
//!
//! Whole streams would take hours for it. What was before a record is one
//! state of the verifier, and of a payload only the piece with the bit is
//! summed anew: what is before and after it in the payload is combined with it.

use super::parallel::Summed;
use super::verifier::Verifier;
use super::verify;
use crate::fletcher::{Checksum, checksum};
use crate::record::{
    CHECKSUM_AT, HEADER_LEN, Header, Limits, RawRecord, Reader, RecordType, SliceReader,
};

#[path = "../../tests/streams/mod.rs"]
mod streams;

/// How many bits of each stream's payloads are flipped.
const PAYLOAD_BITS: usize = 100_000;

/// What of a payload is summed anew for a bit in it.
const PIECE: usize = 256;

/// Streams that are whole up to where they end.
fn real() -> Vec<(String, Vec<u8>)> {
    let streams = streams::streams().into_iter();
    streams.map(|(name, stream, _)| (name, stream)).collect()
}

fn parse(stream: &[u8]) -> Vec<RawRecord<'_>> {
    SliceReader::new(stream).map_while(Result::ok).collect()
}

fn summed(record: &RawRecord<'_>) -> Summed {
    let (header, payload) = (record.header, record.payload);
    let mut summed = Summed::new(record.offset, record.number, header, payload.len() as u64);
    summed.rest.update(payload, header.order());
    if header.record_type() == RecordType::Begin {
        summed.nvlist = payload.to_vec();
    }
    summed
}

/// The verifier before each record.
fn states(records: &[RawRecord<'_>]) -> Vec<Verifier> {
    let mut verifier = Verifier::new();
    let states = records.iter().map(|record| {
        let before = verifier.clone();
        verifier.record(record);
        before
    });
    states.collect()
}

#[test]
fn every_flipped_bit_of_every_header_is_found() {
    let mut flipped = 0_u64;
    for (name, stream) in real() {
        let records = parse(&stream);
        for (before, record) in states(&records).iter().zip(&records) {
            if record.record_type() == RecordType::Begin {
                flipped += begins(&name, &stream, record);
                continue;
            }
            let mut bytes = *record.header.bytes();
            for bit in 0..8 * HEADER_LEN {
                bytes[bit / 8] ^= 1 << (bit % 8);
                let found = Header::new(&bytes, record.header.order()).is_none_or(|header| {
                    let mut verifier = before.clone();
                    verifier.header(record.offset, record.number, header);
                    header.record_type() == RecordType::Begin
                        || header.payload_len() > Limits::default().payload
                        || verifier.findings().len() > before.findings().len()
                });
                assert!(found, "{name}: bit {bit} of record {}", record.number);
                bytes[bit / 8] ^= 1 << (bit % 8);
                flipped += 1;
            }
        }
    }
    assert!(flipped > 5_000_000, "{flipped}");
}

/// A BEGIN has no checksum of its own: what is wrong with it shows at the next
/// record.
fn begins(name: &str, stream: &[u8], record: &RawRecord<'_>) -> u64 {
    let start = record.offset as usize;
    let rest = parse(&stream[start..]);
    let length: u64 = rest.iter().take(3).map(RawRecord::stream_len).sum();
    let mut part = stream[start..start + length as usize].to_vec();
    let sound = verify(&part[..]).unwrap();
    for bit in 0..8 * HEADER_LEN {
        part[bit / 8] ^= 1 << (bit % 8);
        let report = verify(&part[..]).unwrap();
        assert!(
            report.findings != sound.findings && !report.is_intact(),
            "{name}: bit {bit} of the BEGIN {}",
            record.number
        );
        part[bit / 8] ^= 1 << (bit % 8);
    }
    8 * HEADER_LEN as u64
}

/// The sums of a payload's pieces, from the first to each and from each to the
/// last, so that one piece can be replaced.
struct Pieces {
    before: Vec<Checksum>,
    after: Vec<Checksum>,
}

impl Pieces {
    fn new(record: &RawRecord<'_>) -> Pieces {
        let order = record.header.order();
        let own = checksum(&record.header.bytes()[CHECKSUM_AT..], order);
        let pieces: Vec<_> = record.payload.chunks(PIECE).collect();
        let mut before = vec![own];
        for piece in &pieces {
            let mut sums = *before.last().unwrap();
            sums.update(piece, order);
            before.push(sums);
        }
        let mut after = vec![Checksum::ZERO];
        let mut length = 0;
        for piece in pieces.iter().rev() {
            let sums = *after.last().unwrap();
            after.push(checksum(piece, order).combine(sums, length));
            length += piece.len() as u64;
        }
        after.reverse();
        Pieces { before, after }
    }
}

#[test]
fn flipped_bits_of_payloads_are_found() {
    let mut flipped = 0_u64;
    for (name, stream) in real() {
        let records = parse(&stream);
        let states = states(&records);
        let bits: usize = records.iter().map(|record| 8 * record.payload.len()).sum();
        // Odd, so that it does not fall on the same bit of each word.
        let step = (bits / PAYLOAD_BITS).max(1) | 1;
        let mut next = 0;
        for (index, record) in records.iter().enumerate() {
            let bits = 8 * record.payload.len();
            // What ends here is proven by nothing: it is cut off.
            let Some(following) = records.get(index + 1) else {
                break;
            };
            let (mut changed, following) = (summed(record), summed(following));
            let begin = record.record_type() == RecordType::Begin;
            let pieces = (next < bits).then(|| Pieces::new(record));
            let mut payload = record.payload.to_vec();
            while next < bits {
                let (Some(pieces), at) = (&pieces, next / 8) else {
                    break;
                };
                payload[at] ^= 1 << (next % 8);
                let piece = at / PIECE;
                let order = record.header.order();
                let end = ((piece + 1) * PIECE).min(payload.len());
                let mut rest = pieces.before[piece];
                rest.update(&payload[piece * PIECE..end], order);
                let after = (payload.len() - end) as u64;
                changed.rest = rest.combine(pieces.after[piece + 1], after);
                if begin {
                    changed.nvlist.clone_from(&payload);
                }
                let mut verifier = states[index].clone();
                let found = !verifier.summed_record(&changed)
                    || !verifier.summed_record(&following)
                    || verifier.findings().len() > states[index].findings().len();
                assert!(found, "{name}: bit {next} of record {}", record.number);
                payload[at] ^= 1 << (next % 8);
                next += step;
                flipped += 1;
            }
            next -= bits;
        }
    }
    assert!(flipped > 3_000_000, "{flipped}");
}

/// That the shortcut above says what checking the whole stream says.
#[test]
fn flips_in_whole_streams_are_found_as_well() {
    for (name, mut stream) in real() {
        let sound = verify(&stream[..]).unwrap();
        let last = parse(&stream).last().map_or(0, |record| record.offset) as usize;
        for at in (HEADER_LEN..last).step_by((last / 12).max(1)) {
            stream[at] ^= 4;
            let report = verify(&stream[..]).unwrap();
            assert!(report.findings.len() > sound.findings.len(), "{name}: {at}");
            stream[at] ^= 4;
        }
    }
}

#[test]
fn every_truncation_of_the_short_ones_is_found() {
    let mut short = 0;
    for (name, stream) in real() {
        if stream.len() > 48 << 10 {
            continue;
        }
        short += 1;
        for length in 0..stream.len() {
            assert!(
                !verify(&stream[..length]).unwrap().is_intact(),
                "{name}: {length}"
            );
        }
    }
    assert!(short >= 5, "{short}");
}

/// The last record's payload grows the reader's buffer only as it comes, and
/// no header makes it take more than the limits.
#[test]
fn no_header_takes_memory_for_what_is_not_there() {
    for (name, stream) in real() {
        for record in parse(&stream) {
            let start = record.offset as usize;
            let mut part = stream[start..start + HEADER_LEN].to_vec();
            for at in (4..CHECKSUM_AT).step_by(4) {
                let original = part.clone();
                part[at..at + 4].fill(0xff);
                let begin = &stream[..parse(&stream)[0].stream_len() as usize];
                let whole = [begin, &part].concat();
                let mut reader = Reader::new(&whole[..]);
                while let Ok(Some(_)) = reader.next_record() {}
                let taken = reader.buffer.len();
                assert!(taken <= 2 << 20, "{name}: {taken} at {at}");
                part = original;
            }
            if record.number > 20 {
                break;
            }
        }
    }
}
