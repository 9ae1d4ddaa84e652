//! Compound streams whose substreams are not what their list says.

use super::*;
use crate::record::Features;

/// A dataset's name, its origin, and the names and GUIDs of its snapshots.
type Dataset<'a> = (&'a str, Option<u64>, &'a [(&'a str, u64)]);

/// A tree with a clone in it.
const TREE: [Dataset<'_>; 3] = [
    ("tank", None, &[("1", 11), ("2", 12)]),
    ("tank/b", Some(21), &[("2", 32)]),
    ("tank/a", None, &[("1", 21), ("2", 22)]),
];

/// Its substreams as they come: name, source, GUID.
const FULL: [(&str, u64, u64); 5] = [
    ("tank@1", 0, 11),
    ("tank@2", 11, 12),
    ("tank/a@1", 0, 21),
    ("tank/a@2", 21, 22),
    ("tank/b@2", 21, 32),
];

fn list(datasets: &[Dataset<'_>]) -> NvList {
    let mut fss = NvList::new();
    for (name, origin, snapshots) in datasets {
        let mut snaps = NvList::new();
        for (name, guid) in *snapshots {
            snaps.insert(name, *guid).unwrap();
        }
        let mut dataset = NvList::new();
        dataset.insert_str("name", name).unwrap();
        if let Some(origin) = origin {
            dataset.insert("origin", *origin).unwrap();
        }
        dataset.insert("snaps", snaps).unwrap();
        fss.insert(format!("0x{name}"), dataset).unwrap();
    }
    let mut list = NvList::new();
    list.insert_str("tosnap", "2").unwrap();
    list.insert("fss", fss).unwrap();
    list
}

fn from_snapshot(mut list: NvList) -> NvList {
    list.insert_str("fromsnap", "1").unwrap();
    list
}

fn begin_of(compound: bool, name: &str, from_guid: u64, to_guid: u64) -> Record {
    Record::Begin(Begin {
        version_info: Begin::make_version_info(compound, Features::default()),
        objset_type: 2,
        from_guid,
        to_guid,
        to_name: name.as_bytes().to_vec(),
        ..Begin::default()
    })
}

fn stream_of_substreams(list: &NvList, substreams: &[(&str, u64, u64)]) -> Vec<u8> {
    let list = list.encode(Encoding::Xdr, ByteOrder::Little).unwrap();
    let mut writer = Writer::new(Vec::new(), ByteOrder::Little);
    writer
        .write(&begin_of(true, "tank@2", 0, 0), &list)
        .unwrap();
    writer.end_compound_header().unwrap();
    for &(name, from_guid, to_guid) in substreams {
        let begin = begin_of(false, name, from_guid, to_guid);
        writer.write(&begin, &[]).unwrap();
        let end = End {
            to_guid,
            ..End::default()
        };
        writer.write(&Record::End(end), &[]).unwrap();
    }
    writer.end_compound().unwrap();
    writer.into_inner()
}

/// What is wrong with those of the full stream that stand there.
fn full(places: &[usize]) -> Vec<Kind> {
    let substreams: Vec<_> = places.iter().map(|&place| FULL[place]).collect();
    kinds(&stream_of_substreams(&list(&TREE), &substreams))
}

fn lacks(snapshot: &str, certain: bool) -> Kind {
    let snapshot = snapshot.to_owned();
    Kind::MissingSubstream { snapshot, certain }
}

fn lacks_source(guid: u64, certain: bool) -> Kind {
    Kind::MissingSource { guid, certain }
}

#[test]
fn what_the_list_tells_of_and_does_not_come_is_missed() {
    assert_eq!(full(&[0, 1, 2, 3, 4]), []);
    assert_eq!(
        full(&[1, 2, 3, 4]),
        [lacks_source(11, true), lacks("tank@1", true)]
    );
    assert_eq!(full(&[0, 2, 3, 4]), [lacks("tank@2", true)]);
    assert_eq!(
        full(&[0, 1, 3, 4]),
        [
            lacks_source(21, false),
            lacks_source(21, false),
            lacks("tank/a@1", true)
        ]
    );
    assert_eq!(full(&[0, 1, 2, 4]), [lacks("tank/a@2", true)]);
    // Whole datasets can be left out, but for the first.
    let warnings = [lacks("tank/b@2", false)];
    assert_eq!(full(&[0, 1, 2, 3]), warnings);
    assert_eq!(warnings[0].severity(), Severity::Warning);
    let damage = [lacks("tank@1", true), lacks("tank@2", true)];
    assert_eq!(full(&[2, 3, 4]), damage);
    assert_eq!(damage[0].severity(), Severity::Fatal);
}

#[test]
fn what_comes_too_early_or_twice_is_found() {
    assert_eq!(full(&[1, 0, 2, 3, 4]), [lacks_source(11, true)]);
    let doubled = |full| Kind::DoubledSubstream { full };
    assert_eq!(full(&[0, 0, 1, 2, 3, 4]), [doubled(true)]);
    assert_eq!(full(&[0, 1, 1, 2, 3, 4]), [doubled(false)]);
    assert_eq!(doubled(true).severity(), Severity::Fatal);
    assert_eq!(doubled(false).severity(), Severity::Warning);
}

#[test]
fn an_incremental_stream_brings_what_comes_after_its_source() {
    let of = |list: &NvList, substreams: &[_]| kinds(&stream_of_substreams(list, substreams));
    let tree = from_snapshot(list(&TREE));
    let whole = [FULL[1], FULL[3], FULL[4]];
    assert_eq!(of(&tree, &whole), []);
    assert_eq!(of(&tree, &whole[..2]), [lacks("tank/b@2", false)]);
    let other = [FULL[1], ("tank/a@2", 99, 22), FULL[4]];
    assert_eq!(of(&tree, &other), [lacks_source(99, false)]);
    // Without -R the source is not in the list (a bookmark, say), nor is all
    // that is in the list sent.
    let one = [("tank", None, &[("1", 11), ("1b", 13), ("2", 12)][..])];
    for with_source in [true, false] {
        let mut list = list(&one);
        list.insert_flag("not_recursive").unwrap();
        if with_source {
            list = from_snapshot(list);
        }
        assert_eq!(of(&list, &[("tank@2", 5, 12)]), []);
    }
}
