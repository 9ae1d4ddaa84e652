//! Whole streams, every kind of damage, and the stage in flight.

mod compound;
mod findings;
mod rules;
mod stage;
mod threads;

use super::*;
use crate::nvlist::{ByteOrder, Encoding, NvList};
use crate::record::tests::{TO_GUID, begin, compound, records, stream_of};
use crate::record::{
    Begin, End, Free, HEADER_LEN, Object, Record, RecordType, SliceReader, Writer,
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

/// A stream of that many records that are warned of.
fn warned(count: u64) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), ByteOrder::Little);
    let mut write = |record: Record, payload: &[u8]| writer.write(&record, payload).unwrap();
    write(Record::Begin(begin()), &redact_list());
    let object = Object {
        object: 8,
        object_type: 19,
        block_size: 512,
        to_guid: TO_GUID,
        ..Object::default()
    };
    write(Record::Object(object), &[]);
    for number in 0..=count {
        let free = Free {
            object: 8,
            length: 512,
            // The first one's is taken for the stream's.
            to_guid: TO_GUID + u64::from(number > 0),
            ..Free::default()
        };
        write(Record::Free(free), &[]);
    }
    let end = End {
        to_guid: TO_GUID,
        ..End::default()
    };
    write(Record::End(end), &[]);
    writer.into_inner()
}
