//! Real tokens, broken tokens, round trips.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

/// A full, compressed send's (openzfs/zfs issue 10439, OpenZFS 0.8.4).
const FULL: &str = "1-eb46e146b-d0-789c636064000310a500c4ec50360710e72765a5269730307441d560c8a7a515a7968064d6b1c0e4d990e4932a4b528b817403d31a566cfa4bf2d34b335318187a2da5b789c459fb3920c97382e5f3127353191852124b12758b4bf28b12d353f50d8ce2931293b34b0b1c924ae38d0c0c2d0d8c0c2c19e0000029161d79";

/// An incremental raw send's (openzfs/zfs issue 8129, OpenZFS 0.8.0-rc2).
const INCREMENTAL: &str = "1-148e1e3f23-158-789c636064000310a501c49c50360710a715e5e7a69766a6304041b6dc91755922b39515806c762475f94959a9c9250c0c8a507518f26969c5a9250c7000926743924faa2c492d06d21792b1eb2fc987b8e2c8921e75b667af767b20c97382e5f3127353191872138b4b528bf48b520b723293134b52f543c21c8c0c0c2d740d0d0c4d750d80203e253133a712d91dbc0c08ffe72416a5a726e5e42767e76783c424a0f6c3e453739352538052207ddc48e2c9f9b90545a9c5c5105d1000006fc83351";

fn sample() -> ResumeToken {
    ResumeToken {
        to_guid: 0x1234_5678_9abc_def0,
        to_name: "tank/data@monday".to_owned(),
        from_guid: Some(42),
        object: 7,
        offset: 131_072,
        bytes: 1_048_576,
        compress: true,
        raw: true,
        redact_snaps: Some(vec![1, 2]),
        ..ResumeToken::default()
    }
}

fn problem(text: &str) -> Problem {
    match ResumeToken::decode(text) {
        Err(Error::Token { problem }) => problem,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn real_tokens_are_read() {
    let full = ResumeToken {
        to_guid: 5_637_202_801_631_902_093,
        to_name: "data-storage/02_backup@bu_20190209".to_owned(),
        object: 394,
        offset: 78_512_128,
        bytes: 95_158_912,
        ..ResumeToken::default()
    };
    assert_eq!(ResumeToken::decode(FULL).unwrap(), full);
    let incremental = ResumeToken {
        to_guid: 13_540_888_143_750_538_436,
        to_name: "master/replicate/TV@2018-1015-0000_daily".to_owned(),
        from_guid: Some(2_565_666_861_148_806_763),
        object: 33,
        bytes: 25_552,
        large_block: true,
        embed: true,
        compress: true,
        ..ResumeToken::default()
    };
    assert_eq!(ResumeToken::decode(INCREMENTAL).unwrap(), incremental);
}

#[test]
fn the_list_of_a_real_token_is_packed_to_the_same_bytes() {
    for text in [FULL, INCREMENTAL] {
        let list = ResumeToken::decode_list(text).unwrap();
        let token = ResumeToken::decode(text).unwrap();
        assert_eq!(token.to_nvlist().unwrap(), list);
    }
}

#[test]
fn damaged_tokens_are_refused() {
    let text = sample().encode().unwrap();
    for length in 0..text.len() {
        assert!(ResumeToken::decode(&text[..length]).is_err(), "{length}");
    }
    let (head, payload) = text.rsplit_once('-').unwrap();
    assert_eq!(problem("nonsense"), Problem::Format);
    assert_eq!(problem(&format!("{head}-{payload}-1")), Problem::Format);
    assert_eq!(
        problem(&format!("2{}", &text[1..])),
        Problem::Version("2".to_owned())
    );
    assert_eq!(problem(&format!("{head}-{payload}0")), Problem::Hex);
    assert_eq!(problem(&format!("{head}-zz{payload}")), Problem::Hex);
    assert_eq!(problem(&format!("{head}-{payload}\n")), Problem::Hex);
    assert_eq!(problem("1-+1-1-00"), Problem::Format);
    assert!(matches!(
        problem("1-1-8-78"),
        Problem::Checksum { stated: 1, .. }
    ));
    assert_eq!(problem("1-0-8-"), Problem::Compression);
    let wrong = text.replacen("78", "79", 1);
    assert!(matches!(problem(&wrong), Problem::Checksum { .. }));
}

#[test]
fn a_stated_length_must_be_true() {
    let text = sample().encode().unwrap();
    let parts: Vec<_> = text.split('-').collect();
    let length = u64::from_str_radix(parts[2], 16).unwrap();
    for stated in [0, 1, length - 1, length + 1, MAX_UNPACKED as u64] {
        let other = format!("1-{}-{stated:x}-{}", parts[1], parts[3]);
        assert!(
            match problem(&other) {
                Problem::Longer { .. } => stated < length,
                Problem::Length { found, .. } => stated > length && found as u64 == length,
                _ => false,
            },
            "{stated}"
        );
    }
    let huge = format!("1-{}-{:x}-{}", parts[1], u64::MAX, parts[3]);
    assert_eq!(problem(&huge), Problem::ListTooLong(u64::MAX));
}

#[test]
fn a_decompression_bomb_stops_at_the_stated_length() {
    let zeros = miniz_oxide::deflate::compress_to_vec_zlib(&vec![0; 16 << 20], 9);
    let hex = zeros.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    let checksum = crate::fletcher::checksum(&zeros, ByteOrder::Little).0[0];
    let bomb = format!("1-{checksum:x}-100-{hex}");
    assert_eq!(problem(&bomb), Problem::Longer { stated: 0x100 });
    let long = "1-0-0-".to_owned() + &"0".repeat(MAX_TEXT);
    assert_eq!(problem(&long), Problem::TextTooLong(MAX_TEXT + 6));
}

#[test]
fn a_token_without_a_needed_key_says_which() {
    for key in ["toguid", "toname", "object", "offset", "bytes"] {
        let mut list = sample().to_nvlist().unwrap();
        list.remove(key);
        let Err(Error::TokenContents { source }) = ResumeToken::from_nvlist(&list) else {
            panic!("{key} was not missed");
        };
        assert!(source.to_string().contains(key));
        list.insert_flag(key).unwrap();
        assert!(ResumeToken::from_nvlist(&list).is_err());
    }
}

#[test]
fn tokens_of_other_machines_are_read() {
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let text = sample().encode_for(order).unwrap();
        assert_eq!(ResumeToken::decode(&text).unwrap(), sample());
    }
}

#[test]
fn a_token_for_another_snapshot_does_not_fit() {
    let token = sample();
    token.check_snapshot(token.to_guid, Some(42)).unwrap();
    let error = token.check_snapshot(1, Some(42)).unwrap_err();
    assert!(matches!(
        error,
        Error::TokenMismatch {
            mismatch: Mismatch::ToGuid { found: 1, .. }
        }
    ));
    assert!(token.check_snapshot(token.to_guid, None).is_err());
    assert!(token.check_snapshot(token.to_guid, Some(43)).is_err());
}

#[cfg(feature = "stream")]
#[test]
fn a_stream_that_goes_on_elsewhere_does_not_fit() {
    use crate::record::{Begin, Features};
    let token = ResumeToken {
        redact_snaps: None,
        ..sample()
    };
    let features = Features::RESUMING.with(Features::RAW);
    let begin = |features| Begin {
        version_info: Begin::make_version_info(false, features),
        to_guid: token.to_guid,
        from_guid: 42,
        ..Begin::default()
    };
    let list = |offset: u64| {
        let mut list = NvList::new();
        list.insert("resume_object", token.object).unwrap();
        list.insert("resume_offset", offset).unwrap();
        list
    };
    let mismatch = |begin: &Begin, list: Option<&NvList>| match token.check_stream(begin, list) {
        Ok(()) => None,
        Err(Error::TokenMismatch { mismatch }) => Some(mismatch),
        Err(other) => panic!("{other}"),
    };
    let here = list(token.offset);
    assert_eq!(mismatch(&begin(features), Some(&here)), None);
    let plain = begin(features.without(Features::RAW));
    assert_eq!(mismatch(&plain, Some(&here)), Some(Mismatch::Raw));
    let whole = begin(Features::RAW);
    assert_eq!(mismatch(&whole, Some(&here)), Some(Mismatch::NotResuming));
    assert_eq!(
        mismatch(&begin(features), None),
        Some(Mismatch::NotResuming)
    );
    let elsewhere = Mismatch::Place {
        token: (7, 131_072),
        found: (7, 0),
    };
    assert_eq!(mismatch(&begin(features), Some(&list(0))), Some(elsewhere));
    // The receiver must have what it had before.
    let large = ResumeToken {
        large_block: true,
        ..token.clone()
    };
    let check = |token: &ResumeToken, features, list: &NvList| {
        let result = token.check_stream(&begin(features), Some(list));
        match result {
            Err(Error::TokenMismatch { mismatch }) => Some(mismatch),
            other => other.map(|()| None).unwrap(),
        }
    };
    assert_eq!(check(&large, features, &here), Some(Mismatch::LargeBlocks));
    let with_large = features.with(Features::LARGE_BLOCKS);
    assert_eq!(check(&large, with_large, &here), None);
    let redacted = ResumeToken {
        redact_snaps: Some(vec![3, 1]),
        book_redact_snaps: Some(vec![8]),
        ..token.clone()
    };
    let with_redacted = features.with(Features::REDACTED);
    let mut lists = list(token.offset);
    lists.insert("redact_snaps", vec![1_u64, 3]).unwrap();
    assert_eq!(
        check(&redacted, with_redacted, &lists),
        Some(Mismatch::Redaction)
    );
    lists.insert("redact_from_snaps", vec![8_u64]).unwrap();
    assert_eq!(check(&redacted, with_redacted, &lists), None);
    assert_eq!(
        check(&redacted, features, &lists),
        Some(Mismatch::Redaction)
    );
    assert_eq!(
        check(&token, with_redacted, &lists),
        Some(Mismatch::Redaction)
    );
    let mut other = begin(features);
    other.to_guid = 1;
    assert!(matches!(
        mismatch(&other, Some(&here)),
        Some(Mismatch::ToGuid { .. })
    ));
}

#[test]
fn explanation_names_what_would_be_sent() {
    let text = sample().to_string();
    for part in [
        "tank/data@monday",
        "GUID 1311768467463790320",
        "GUID 42",
        "object 7, offset 131072, after 1048576 bytes",
        "raw (-w), compressed (-c)",
        "redacted with respect to 1, 2",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn no_name_forges_a_line_of_the_explanation() {
    let mut token = sample();
    token.to_name = "a@b\nflags      none\u{1b}[8m".to_owned();
    let text = token.to_string();
    let first = "sends      a@b\\nflags      none\\u{1b}[8m (GUID ";
    assert!(text.starts_with(first), "{text}");
    assert_eq!(text.matches("\nflags").count(), 1);
}

prop_compose! {
    fn any_token()(
        numbers in any::<[u64; 4]>(),
        from_guid in prop::option::of(1_u64..),
        to_name in "[a-z0-9/@_.:-]{1,60}",
        flags in any::<[bool; 5]>(),
        redact_snaps in prop::option::of(prop::collection::vec(any::<u64>(), 0..5)),
        book_redact_snaps in prop::option::of(prop::collection::vec(any::<u64>(), 0..5)),
    ) -> ResumeToken {
        let [to_guid, object, offset, bytes] = numbers;
        let [large_block, embed, compress, raw, saved] = flags;
        ResumeToken {
            to_guid, to_name, from_guid, object, offset, bytes,
            large_block, embed, compress, raw, saved, redact_snaps, book_redact_snaps,
        }
    }
}

proptest! {
    #[test]
    fn what_was_encoded_is_decoded(token in any_token()) {
        let text = token.encode().unwrap();
        prop_assert_eq!(ResumeToken::decode(&text).unwrap(), token);
    }

    #[test]
    fn random_text_never_panics(text in "1?-?[0-9a-f]{0,8}-[0-9a-f]{0,4}-(789c)?[0-9a-f]{0,80}") {
        let _ = ResumeToken::decode(&text);
    }
}
