//! What goes through the stage, and what stops there.

use std::io::{ErrorKind, Read};

use super::*;
use crate::Error;

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

/// A source that must not be read to its end.
struct Open<'a>(&'a [u8]);

impl Read for Open<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        assert!(
            !self.0.is_empty(),
            "read on before handing on what is proven"
        );
        self.0.read(buffer)
    }
}

#[test]
fn the_end_goes_through_before_the_source_ends() {
    let stream = whole(ByteOrder::Little);
    let mut stage = VerifyingReader::new(Open(&stream));
    let mut out = vec![0; stream.len()];
    stage.read_exact(&mut out).unwrap();
    assert!(out == stream);
}

#[test]
fn a_record_goes_through_as_soon_as_the_next_header_is_there() {
    let stream = whole(ByteOrder::Little);
    for start in offsets(&stream) {
        let there = start + HEADER_LEN;
        let mut stage = VerifyingReader::new(Open(&stream[..there]));
        let mut out = vec![0; start];
        stage.read_exact(&mut out).unwrap();
        assert!(out == stream[..start]);
    }
}

#[test]
fn the_stage_stops_at_damage_however_many_warnings_came_before_it() {
    let mut stream = warned(1_500);
    assert!(through(&stream).1.is_none());
    let free = stream.len() - 2 * HEADER_LEN;
    stream[free + 20] ^= 1;
    let (out, error) = through(&stream);
    assert!(error.is_some());
    assert!(out.len() <= free && stream.starts_with(&out));
}

#[test]
fn bytes_after_the_end_do_not_go_through_the_stage() {
    for stream in [whole(ByteOrder::Little), whole_compound(ByteOrder::Big)] {
        for more in findings::trailing() {
            let (out, error) = through(&[&stream[..], &more].concat());
            assert!(error.is_some(), "{} of {:?}", more.len(), more[0]);
            assert!(out == stream);
        }
    }
}

#[test]
fn nothing_goes_through_the_stage_that_no_checksum_proves() {
    let stream = whole(ByteOrder::Little);
    for (record, start) in offsets(&stream).into_iter().enumerate().skip(1) {
        let mut stream = stream.clone();
        stream[start + 280..start + HEADER_LEN].fill(0);
        // The kernel would take this, and the damage with it.
        stream[start - 1] ^= 1;
        let (out, error) = through(&stream);
        assert!(error.is_some(), "record {record}");
        assert!(out.len() < start, "record {record}: {}", out.len());
    }
}
