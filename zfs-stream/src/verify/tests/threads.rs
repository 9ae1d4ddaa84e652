//! The verdict is the same on any number of threads.

use std::io::Read;

use super::*;
use crate::nvlist::MAX_DEPTH;
use crate::record::Write;
use crate::record::tests::sample;
use crate::source::Hidden;

/// What it is on so many threads, whether or not the bytes can be seen where
/// they lie.
fn on(stream: &[u8], threads: usize) -> Report {
    let seen = parallel::verify_on(stream, threads).unwrap();
    for shows in [0, 3] {
        let hidden = Hidden {
            bytes: stream,
            shows,
        };
        assert_eq!(parallel::verify_on(&hidden, threads).unwrap(), seen);
    }
    seen
}

#[test]
fn a_stream_in_memory_gets_the_same_report_on_any_number_of_threads() {
    for order in ORDERS {
        for mut stream in [whole(order), whole_compound(order), sample(order)] {
            for threads in 1..5 {
                assert_eq!(on(&stream, threads), report(&stream));
            }
            for at in (0..stream.len()).step_by(61) {
                stream[at] ^= 0x40;
                assert_eq!(on(&stream, 2), report(&stream), "{at}");
                stream[at] ^= 0x40;
                assert_eq!(on(&stream[..at], 2), report(&stream[..at]), "{at}");
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
        assert_eq!(on(&stream, threads), expected);
    }
    for at in (700..stream.len()).step_by(stream.len() / 17) {
        stream[at] ^= 1;
        assert_eq!(on(&stream, 2), report(&stream), "{at}");
        stream[at] ^= 1;
    }
}

/// On a quarter of the stack that they have, in a build that takes more of it.
#[test]
fn lists_as_deep_as_any_are_read_by_every_thread() {
    let mut list = NvList::new();
    for _ in 1..MAX_DEPTH {
        let mut outer = NvList::new();
        outer.insert("inner", list).unwrap();
        list = outer;
    }
    list.insert("redact_snaps", vec![1_u64]).unwrap();
    let list = list.encode(Encoding::Native, ByteOrder::Little).unwrap();
    let stream = stream_of(ByteOrder::Little, begin(), &list, &records());
    let thread = std::thread::Builder::new().stack_size(parallel::STACK / 4);
    let verified = thread.spawn(move || parallel::verify_on(&stream[..], 1).unwrap());
    assert_eq!(verified.unwrap().join().unwrap().findings, []);
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
    assert_eq!(verify_at(&stream[..]).unwrap(), report(&stream));
    let mut out = Vec::new();
    assert!(
        VerifyingReader::new(&stream[..])
            .read_to_end(&mut out)
            .is_err()
    );
}

/// Panics where its payload is read at the start.
struct Panics<'a>(&'a [u8]);

impl crate::source::ReadAt for Panics<'_> {
    fn length(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
        assert!(
            offset > 0 || buffer.len() <= 16 << 10,
            "this panic is the test's"
        );
        self.0.read_exact_at(buffer, offset)
    }
}

#[test]
fn a_source_that_panics_leaves_no_thread_waiting() {
    let (ended, has_ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        // Many more stretches than threads may be ahead of the first.
        let stream = warned(40_000);
        let verified = std::panic::catch_unwind(|| {
            parallel::verify_on(&Panics(&stream), 2).unwrap();
        });
        ended.send(verified.is_err()).unwrap();
    });
    let panicked = has_ended.recv_timeout(std::time::Duration::from_secs(60));
    assert!(panicked.unwrap());
}
