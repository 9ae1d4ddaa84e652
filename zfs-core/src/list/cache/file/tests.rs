//! The bytes of a cache file.

use super::write::{Checksum, Pieces};
use super::*;
use proptest::prelude::*;

fn state() -> State {
    State {
        pool: 7,
        imported: [1, 2],
        boot: [3; 16],
    }
}

fn records() -> impl Strategy<Value = Vec<Record>> {
    let record = (
        "[a-z0-9_:.-]{1,40}",
        any::<u64>(),
        any::<u64>(),
        0..u64::MAX,
    );
    prop::collection::vec(record, 0..12).prop_map(|records| {
        let mut records: Vec<Record> = records
            .into_iter()
            .map(|(name, guid, createtxg, creation)| Record {
                name,
                guid,
                createtxg,
                creation: (creation % 5 != 0).then_some(creation),
            })
            .collect();
        records.sort_by_key(|record| record.createtxg);
        records
    })
}

fn versions() -> impl Strategy<Value = Version> {
    (any::<u64>(), "([a-z]{1,9}@[a-z]{1,9})?", any::<u64>()).prop_map(|(guid, marks, changed)| {
        Version {
            guid,
            marks,
            changed,
        }
    })
}

fn encoded(datasets: &[(Version, Vec<Record>)]) -> Vec<u8> {
    let new = datasets
        .iter()
        .map(|(version, records)| {
            (
                version.guid,
                block(version.guid, Some(version), records).expect("it fits"),
            )
        })
        .collect();
    bytes(File::new(state(), -5).encode(&[], &new, usize::MAX))
}

/// All pieces together.
fn bytes(pieces: Option<Pieces<'_>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let pieces = pieces.expect("it fits");
    pieces.write(&mut bytes).expect("memory takes all");
    bytes
}

fn trees() -> impl Strategy<Value = Vec<Tree>> {
    let member = (
        "[a-z/]{1,60}",
        any::<[u64; 3]>(),
        prop::option::of("[a-z]{1,9}@[a-z]{1,9}"),
        0..16_u8,
    );
    let member = member.prop_map(
        |(name, [guid, createtxg, creation], origin, flags)| Member {
            name,
            guid,
            createtxg,
            creation,
            origin,
            flags: MemberFlags::from_bits_truncate(flags),
        },
    );
    let members = prop::collection::vec(member, 0..5);
    let tree = (any::<u64>(), any::<u64>(), "[a-z/]{1,60}", members);
    let tree = tree.prop_map(|(event, levels, root, members)| Tree {
        event,
        levels,
        root,
        members,
    });
    prop::collection::vec(tree, 0..4)
}

proptest! {
    #[test]
    fn the_checksum_does_not_depend_on_the_pieces(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..9)
    ) {
        let whole = pieces.concat();
        let mut sum = Checksum::new(whole.len());
        for piece in &pieces {
            sum.update(piece);
        }
        prop_assert_eq!(sum.finish(), checksum(&whole));
    }

    #[test]
    fn trees_are_read_as_they_were_written_and_datasets_behind_them(
        trees in trees(), version in versions(), records in records(),
    ) {
        let block = block(version.guid, None, &records).expect("it fits");
        let new = HashMap::from([(version.guid, block)]);
        let file = File::new(state(), 0);
        let bytes = bytes(file.encode(&trees, &new, usize::MAX));
        let file = File::decode(bytes).expect("a file");
        prop_assert_eq!(&file.trees, &trees);
        prop_assert_eq!(file.get(Known::InTree(version.guid), false), Some(records));
        // What is right for a tree alone is no version's, not even the
        // one that it stands under.
        prop_assert_eq!(file.get(Known::By(&version), false), None);
        let zero = Version { changed: UNSETTLED, marks: String::new(), ..version };
        prop_assert_eq!(file.get(Known::By(&zero), false), None);
    }

    #[test]
    fn what_is_written_is_read(
        datasets in prop::collection::vec((versions(), records()), 0..6)
    ) {
        let file = File::decode(encoded(&datasets)).expect("a file");
        prop_assert_eq!(file.state, state());
        prop_assert_eq!(file.clock, -5);
        let mut last: HashMap<u64, &(Version, Vec<Record>)> = HashMap::new();
        for dataset in &datasets {
            last.insert(dataset.0.guid, dataset);
        }
        for (version, records) in last.into_values() {
            prop_assert_eq!(file.get(Known::By(version), false), Some(records.clone()));
            let whole = records.iter().all(|record| record.creation.is_some());
            prop_assert_eq!(file.get(Known::By(version), true).is_some(), whole);
            // Anything that is not the same is not the same.
            for other in [
                Version { changed: version.changed ^ 1, ..version.clone() },
                Version { marks: format!("{}x", version.marks), ..version.clone() },
            ] {
                prop_assert_eq!(file.get(Known::By(&other), false), None);
            }
        }
    }

    #[test]
    fn a_file_that_is_torn_or_changed_anywhere_is_no_file(
        datasets in prop::collection::vec((versions(), records()), 1..4),
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let bytes = encoded(&datasets);
        let cut = at.index(bytes.len());
        prop_assert!(File::decode(bytes[..cut].to_vec()).is_none());
        let mut flipped = bytes;
        flipped[cut] ^= 1 << bit;
        prop_assert!(File::decode(flipped).is_none());
    }

    #[test]
    fn bytes_with_a_right_checksum_do_not_make_it_panic(
        body in prop::collection::vec(any::<u8>(), 0..400), guid in any::<u64>()
    ) {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&checksum(&body).to_le_bytes());
        bytes.extend_from_slice(&body);
        if let Some(file) = File::decode(bytes) {
            for (guid, block) in file.datasets.clone() {
                let marks = file.bytes[block.marks.clone()].to_vec();
                let version = Version {
                    guid,
                    marks: String::from_utf8_lossy(&marks).into_owned(),
                    changed: block.changed,
                };
                let _ = file.get(Known::By(&version), true);
            }
            let version = Version { guid, marks: String::new(), changed: 0 };
            let _ = file.get(Known::By(&version), false);
        }
    }
}

#[test]
fn a_count_that_is_not_true_allocates_nothing_and_gives_nothing() {
    let version = Version {
        guid: 1,
        marks: String::new(),
        changed: 9,
    };
    let mut lying = block(1, Some(&version), &[]).expect("it fits");
    // The count is four bytes before the length's four.
    let at = lying.len() - 8;
    lying[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    let new = HashMap::from([(1, lying)]);
    let file = File::new(state(), 0);
    let file = File::decode(bytes(file.encode(&[], &new, usize::MAX))).expect("a file");
    assert_eq!(file.get(Known::By(&version), false), None);
}

#[test]
fn a_file_grows_no_further_than_its_limit_and_the_new_goes_first() {
    let version = |guid| Version {
        guid,
        marks: String::new(),
        changed: 9,
    };
    let record = Record {
        name: "x".repeat(200),
        guid: 1,
        createtxg: 2,
        creation: None,
    };
    let blocks = |guids: Range<u64>| -> HashMap<u64, Vec<u8>> {
        let block = |guid| {
            block(guid, Some(&version(guid)), std::slice::from_ref(&record)).expect("it fits")
        };
        guids.map(|guid| (guid, block(guid))).collect()
    };
    let (empty, first, more) = (File::new(state(), 0), blocks(0..50), blocks(50..60));
    let old = bytes(empty.encode(&[], &first, usize::MAX));
    let old = File::decode(old).expect("a file");
    let bytes = bytes(old.encode(&[], &more, 4000));
    assert!(bytes.len() <= 4000);
    let file = File::decode(bytes).expect("a file");
    for guid in 50..60 {
        assert!(file.get(Known::By(&version(guid)), false).is_some());
    }
}
