//! Streams that are no good: each says what is wrong with it.

mod fixture;

use fixture::shared::{Ground, streams};
use fixture::{receive, version};
use zfs_core::{Error, ErrorKind, StreamProblem};

/// Where a begin record has the features of the stream (`drr_versioninfo`).
const VERSIONINFO_AT: usize = 16;

fn with_feature(bit: u32) -> Vec<u8> {
    let mut stream = streams().full.clone();
    let field = &mut stream[VERSIONINFO_AT..VERSIONINFO_AT + 8];
    let number = u64::from_ne_bytes(field.try_into().unwrap()) | 1 << (bit + 2);
    field.copy_from_slice(&number.to_ne_bytes());
    // The next record has the checksum of this one, and OpenZFS 2.1 looks at
    // that first; zeroes stand for none.
    let payload = u32::from_ne_bytes(stream[4..8].try_into().unwrap()) as usize;
    let checksum = 312 + payload + 280;
    stream[checksum..checksum + 32].fill(0);
    stream
}

#[track_caller]
fn error(ground: &Ground, stream: &[u8]) -> Error {
    let error = receive(&ground.zfs, &ground.to("copy@one"), stream).unwrap_err();
    assert!(!ground.exists("copy"), "{error}");
    error
}

#[test]
fn a_stream_that_ends_too_early_is_truncated_wherever_that_is() {
    let ground = Ground::new();
    let whole = &streams().full;
    // Within the second record, at a border, within a payload, before the end.
    for length in [
        313,
        3 << 10,
        whole.len() / 2,
        whole.len() - 312,
        whole.len() - 1,
    ] {
        let error = error(&ground, &whole[..length]);
        assert_eq!(
            error.kind(),
            ErrorKind::StreamTruncated,
            "{length}: {error}"
        );
    }
}

#[test]
fn a_changed_byte_is_damage() {
    let ground = Ground::new();
    let whole = &streams().full;
    for at in [400, whole.len() / 2, whole.len() - 100] {
        let mut stream = whole.clone();
        stream[at] ^= 1;
        let error = error(&ground, &stream);
        assert_eq!(error.kind(), ErrorKind::BadStream, "{at}: {error}");
        assert!(error.to_string().contains("damaged"), "{at}: {error}");
    }
}

#[test]
fn a_stream_with_bytes_missing_within_is_damage() {
    let ground = Ground::new();
    let mut stream = streams().full.clone();
    stream.drain(100_000..100_312);
    let error = error(&ground, &stream);
    let kinds = [ErrorKind::BadStream, ErrorKind::StreamTruncated];
    assert!(kinds.contains(&error.kind()), "{error}");
}

#[test]
fn a_feature_that_nobody_knows_is_told_by_its_number() {
    let ground = Ground::new();
    // Versions before 2.3 have room for fewer, and take the rest for a kind
    // of stream.
    let bit = if version() < (2, 3) { 29 } else { 52 };
    let error = error(&ground, &with_feature(bit));
    assert_eq!(error.kind(), ErrorKind::NotSupported, "{error}");
    let text = error.to_string();
    let word = if bit == 29 {
        "large_microzap"
    } else {
        "number 52"
    };
    assert!(text.contains(word), "{text}");
}

#[test]
fn a_deduplicated_stream_says_how_to_undo_it() {
    let ground = Ground::new();
    match error(&ground, &with_feature(0)) {
        Error::Stream { problem, .. } => assert_eq!(problem, StreamProblem::Deduplicated),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stream_of_another_byte_order_that_is_none_is_damage() {
    let ground = Ground::new();
    // Its magic number alone is turned round.
    let mut stream = streams().full.clone();
    stream[8..16].reverse();
    let error = error(&ground, &stream);
    assert_ne!(error.kind(), ErrorKind::Other, "{error}");
}

#[test]
fn two_streams_in_each_other_s_place_are_told() {
    let ground = Ground::new();
    let error = receive(&ground.zfs, &ground.to("copy@two"), &streams().incremental).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    receive(&ground.zfs, &ground.to("copy@one"), &streams().full).unwrap();
    let error = receive(&ground.zfs, &ground.to("copy@two"), &streams().full).unwrap_err();
    assert!(error.is_exists(), "{error}");
}
