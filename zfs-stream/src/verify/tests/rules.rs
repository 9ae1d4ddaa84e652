//! What the kernel refuses although every checksum is right.

use super::*;
use crate::record::tests::{FEATURES, sample};
use crate::record::{BeginFlags, Features, ObjectRange, Write};

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
    let stream = stream_of(ByteOrder::Little, begin, &[], &records);
    assert_eq!(kinds(&stream), [Kind::UnknownObject]);
}

#[test]
fn the_sample_of_the_records_is_no_redacted_stream_without_its_list() {
    let found = kinds(&sample(ByteOrder::Little));
    assert_eq!(found, [Kind::MissingFromNvlist("redact_snaps")]);
}
