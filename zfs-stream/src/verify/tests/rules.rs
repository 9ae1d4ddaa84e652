//! What the kernel refuses although every checksum is right.

use super::*;
use crate::nvlist::Value;
use crate::record::tests::{FEATURES, crypt_keydata, sample};
use crate::record::{BeginFlags, Features, ObjectRange, Write, WriteByref};

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

/// The kinds of what is wrong with a raw stream of that `crypt_keydata`.
fn raw_kinds(key: NvList, change: impl Fn(&mut Begin)) -> Vec<Kind> {
    let mut list = NvList::new();
    list.insert("crypt_keydata", key).unwrap();
    let list = list.encode(Encoding::Native, ByteOrder::Little).unwrap();
    let mut begin = begin();
    begin.version_info = Begin::make_version_info(false, Features::RAW);
    change(&mut begin);
    kinds(&stream_of(ByteOrder::Little, begin, &list, &[]))
}

#[test]
fn keys_of_raw_streams_that_the_kernel_refuses_are_found() {
    assert_eq!(raw_kinds(crypt_keydata(), |_| {}), []);
    let names: Vec<_> = crypt_keydata()
        .iter()
        .map(|(name, _)| name.to_string())
        .collect();
    assert_eq!(names.len(), 18);
    let missing = raw_kinds(NvList::new(), |_| {}).into_iter();
    let mut missing: Vec<_> = missing.map(|kind| kind.to_string()).collect();
    let mut expected: Vec<_> = names
        .iter()
        .map(|name| format!("its nvlist has no {name}"))
        .collect();
    missing.sort();
    expected.sort();
    assert_eq!(missing, expected);
    for name in &names {
        // Strings are what none of them is.
        let mut key = crypt_keydata();
        key.insert_str(name, "text").unwrap();
        let found = raw_kinds(key, |_| {});
        let Kind::BadInNvlist { name: told, .. } = found[0] else {
            panic!("{found:?}");
        };
        assert_eq!(told, name);
    }
    let number = |value: u64| Value::Uint64(value);
    let bytes = |length| Value::Uint8Array(vec![0; length]);
    for (name, bad) in [
        ("DSL_CRYPTO_SUITE", number(2)),
        ("DSL_CRYPTO_SUITE", number(9)),
        ("DSL_CRYPTO_VERSION", number(0)),
        ("DSL_CRYPTO_MASTER_KEY_1", bytes(31)),
        ("DSL_CRYPTO_HMAC_KEY_1", bytes(32)),
        ("DSL_CRYPTO_IV", bytes(13)),
        ("DSL_CRYPTO_MAC", bytes(12)),
        ("portable_mac", bytes(64)),
        ("keyformat", number(4)),
        ("pbkdf2iters", number(0)),
        ("pbkdf2salt", number(0)),
        ("mdn_checksum", number(9)),
        ("mdn_compress", number(15)),
        ("mdn_nlevels", number(13)),
        ("mdn_blksz", number(256)),
        ("mdn_blksz", number(32 << 20)),
        ("mdn_indblkshift", number(11)),
        ("mdn_nblkptr", number(1)),
    ] {
        let mut key = crypt_keydata();
        key.insert(name, bad).unwrap();
        let found = raw_kinds(key, |_| {});
        // Without its range, keyformat would still pair with the others.
        assert!(
            matches!(found[0], Kind::BadInNvlist { name: told, .. } if told == name),
            "{name}: {found:?}"
        );
    }
    // A raw key has neither salt nor iterations.
    let mut key = crypt_keydata();
    key.insert("keyformat", 1_u64).unwrap();
    assert_eq!(raw_kinds(key.clone(), |_| {}).len(), 2);
    key.insert("pbkdf2iters", 0_u64).unwrap();
    key.insert("pbkdf2salt", 0_u64).unwrap();
    assert_eq!(raw_kinds(key, |_| {}), []);
    let found = raw_kinds(crypt_keydata(), |begin| begin.objset_type = 1);
    assert!(matches!(
        found[..],
        [Kind::BadField {
            field: "objset type",
            ..
        }]
    ));
}

#[test]
fn lists_of_the_wrong_kind_are_found() {
    let found = |features, compound, list: &NvList| {
        let mut begin = begin();
        begin.version_info = Begin::make_version_info(compound, features);
        begin.to_guid = if compound { 0 } else { TO_GUID };
        let list = list.encode(Encoding::Native, ByteOrder::Big).unwrap();
        let mut found = kinds(&stream_of(ByteOrder::Big, begin, &list, &[]));
        found.retain(|kind| !matches!(kind, Kind::MissingFinalEnd));
        found
    };
    let mut list = NvList::new();
    list.insert_str("resume_object", "5").unwrap();
    list.insert("resume_offset", 0_u64).unwrap();
    list.insert("redact_snaps", 1_u64).unwrap();
    let features = Features::RESUMING.with(Features::REDACTED);
    let bad = |name| {
        let rule = "of another type than ZFS looks for";
        Kind::BadInNvlist { name, rule }
    };
    assert_eq!(
        found(features, false, &list),
        [bad("resume_object"), bad("redact_snaps")]
    );
    let none = Features::default();
    assert_eq!(found(none, true, &list), [Kind::MissingFromNvlist("fss")]);
    list.insert("fss", NvList::new()).unwrap();
    assert_eq!(found(none, true, &list), []);
}

#[test]
fn a_name_that_is_not_a_snapshots_is_found() {
    let change = |begin: &mut Begin| begin.to_name = b"tank/data".to_vec();
    assert_eq!(
        kinds(&with_begin(change, &redact_list())),
        [Kind::NotASnapshot("tank/data".to_owned())]
    );
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
fn a_bonus_beyond_the_slots_of_its_object_is_found() {
    let found = |bonus_len: u32, dn_slots: u8| {
        let object = Object {
            object: 11,
            object_type: 19,
            bonus_type: 44,
            bonus_len,
            block_size: 512,
            dn_slots,
            to_guid: TO_GUID,
            ..Default::default()
        };
        let payload = vec![0; bonus_len.next_multiple_of(8) as usize];
        let stream = with(Record::Object(object), &payload);
        let mut found = report(&stream).findings;
        found.retain(|one| matches!(one.kind, Kind::BadField { .. }));
        found
    };
    for (bonus, slots) in [(0, 0), (320, 0), (320, 1), (832, 2), (16_192, 32)] {
        assert_eq!(found(bonus, slots), []);
    }
    for (bonus, slots) in [(321, 0), (328, 1), (833, 2), (16_192, 31), (16_193, 32)] {
        let found = found(bonus, slots);
        let [finding] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(finding.severity(), Severity::Fatal);
        // The kernel refuses only what no dnode has room for.
        let refused = finding.consequence().contains("invalid argument");
        assert_eq!(refused, bonus > 16_192, "{finding}");
    }
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
    let stream = stream_of(ByteOrder::Little, begin.clone(), &[], &records);
    assert_eq!(kinds(&stream), [Kind::UnknownObject]);
    // Between two that it tells of.
    let object = |object| {
        let object = Object {
            object,
            object_type: 19,
            block_size: 512,
            to_guid: TO_GUID,
            ..Default::default()
        };
        (Record::Object(object), Vec::new())
    };
    let block = |object| (write(object, 0), vec![0; 8]);
    for (last, expected) in [(4, vec![]), (5, vec![Kind::UnknownObject])] {
        let records = [object(4), object(6), block(last), block(6)];
        let stream = stream_of(ByteOrder::Little, begin.clone(), &[], &records);
        assert_eq!(kinds(&stream), expected);
    }
}

#[test]
fn a_reference_in_a_stream_that_is_not_deduplicated_is_refused() {
    let byref = Record::WriteByref(WriteByref {
        object: 10,
        offset: 8192,
        length: 512,
        to_guid: TO_GUID,
        ref_guid: TO_GUID,
        ref_object: 8,
        ..WriteByref::default()
    });
    let mut records = records();
    records.push((byref, Vec::new()));
    let stream = stream_of(ByteOrder::Little, begin(), &redact_list(), &records);
    let report = report(&stream);
    assert_eq!(report.findings.len(), 1);
    let finding = &report.findings[0];
    assert_eq!(finding.kind, Kind::MissingFeature(Features::DEDUP));
    assert!(finding.consequence().contains("fails at this record"));
    assert!(!report.is_intact());
    assert_eq!(verify_at(&stream[..]).unwrap(), report);
}

#[test]
fn the_sample_of_the_records_is_no_redacted_stream_without_its_list() {
    let found = kinds(&sample(ByteOrder::Little));
    assert_eq!(found, [Kind::MissingFromNvlist("redact_snaps")]);
}

/// A change of a WRITE, and the length of its payload then.
type ChangedWrite = (fn(&mut Write), usize);

#[test]
fn what_the_kernel_does_not_survive_is_said() {
    let write = Write {
        object: 11,
        object_type: 19,
        logical_size: 8,
        to_guid: TO_GUID,
        ..Write::default()
    };

    let changes: [ChangedWrite; 5] = [
        (|write| write.logical_size = 0, 0),
        (
            |write| (write.compression, write.compressed_size) = (15, 16),
            16,
        ),
        (
            |write| (write.compression, write.compressed_size) = (15, 0),
            0,
        ),
        (
            |write| (write.compression, write.compressed_size) = (17, 8),
            8,
        ),
        (
            |write| {
                write.logical_size = (16 << 20) + 512;
                (write.compression, write.compressed_size) = (15, 8);
            },
            8,
        ),
    ];
    for (number, (change, payload)) in changes.into_iter().enumerate() {
        let mut write = write.clone();
        change(&mut write);
        let report = report(&with(Record::Write(write), &vec![0; payload]));
        let mut findings = report.findings.iter();
        let warned = findings.any(|one| one.consequence().contains("never give it"));
        assert!(warned && !report.is_intact(), "{number}: {report:?}");
    }
    let spill = crate::record::Spill {
        object: 11,
        to_guid: TO_GUID,
        ..Default::default()
    };
    let report = report(&with(Record::Spill(spill), &[]));
    let mut findings = report.findings.iter();
    assert!(findings.any(|one| one.consequence().contains("never give it")));
}

#[test]
fn raw_blocks_are_of_their_objects_size() {
    let found = |logical_size| {
        let mut key = NvList::new();
        key.insert("crypt_keydata", crypt_keydata()).unwrap();
        let list = key.encode(Encoding::Native, ByteOrder::Little).unwrap();
        let mut begin = begin();
        begin.version_info = Begin::make_version_info(false, Features::RAW);
        let range = ObjectRange {
            slots: 32,
            to_guid: TO_GUID,
            ..ObjectRange::default()
        };
        let object = Object {
            object: 11,
            object_type: 19,
            block_size: 1024,
            to_guid: TO_GUID,
            ..Object::default()
        };
        let write = Write {
            object: 11,
            object_type: 19,
            compression: 2,
            logical_size,
            compressed_size: 512,
            to_guid: TO_GUID,
            ..Write::default()
        };
        let records = [
            (Record::ObjectRange(range), vec![]),
            (Record::Object(object), vec![]),
            (Record::Write(write), vec![0; 512]),
        ];
        kinds(&stream_of(ByteOrder::Little, begin, &list, &records))
    };
    assert_eq!(found(1024), []);
    assert!(matches!(
        found(512)[..],
        [Kind::BadField {
            field: "logical size",
            value: 512,
            ..
        }]
    ));
}
