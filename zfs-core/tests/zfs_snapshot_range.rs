//! What a range of snapshots holds, on real pools.

mod fixture;

use fixture::noise;
use fixture::shared::{Ground, other_pool};
use zfs_core::{DatasetName, ErrorKind, SnapshotName};

const MIB: u64 = 1 << 20;

#[track_caller]
fn space(ground: &Ground, first: &SnapshotName, last: &SnapshotName) -> u64 {
    ground.zfs.snapshot_range_space(first, last).unwrap()
}

#[test]
fn every_range_has_its_space() {
    let ground = Ground::with(&["a"]);
    let [one, two, three] = ["a@one", "a@two", "a@three"].map(|name| ground.take(name));
    for (first, last) in [(&one, &two), (&two, &three), (&one, &three)] {
        let space = space(&ground, first, last);
        assert!(space < MIB, "{first} to {last}: {space}");
    }
}

/// A file of 1 MiB that is in `a@two` and no other snapshot, nor in `a`.
fn one_in_the_middle() -> (Ground, [SnapshotName; 3]) {
    let ground = Ground::with(&["a"]);
    let one = ground.take("a@one");
    ground.write("a", "file", &noise(1, MIB as usize));
    let two = ground.take("a@two");
    ground.write("a", "file", b"");
    let three = ground.take("a@three");
    (ground, [one, two, three])
}

#[test]
fn a_range_has_what_would_be_freed_with_it() {
    let (ground, [one, two, three]) = one_in_the_middle();
    assert!(space(&ground, &one, &two) > MIB);
    assert!(space(&ground, &two, &three) > MIB);
    assert!(space(&ground, &one, &three) > MIB);
    assert!(space(&ground, &one, &one) < MIB / 2);
}

#[test]
fn one_snapshot_is_a_range_as_well() {
    let (ground, [_, two, _]) = one_in_the_middle();
    let space = space(&ground, &two, &two);
    assert!(space.abs_diff(MIB) < MIB / 8, "{space}");
}

#[track_caller]
fn unrelated(ground: &Ground, first: &SnapshotName, last: &SnapshotName) {
    let error = ground.zfs.snapshot_range_space(first, last).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unrelated, "{error}");
}

#[test]
fn a_range_does_not_go_backwards() {
    let ground = Ground::with(&["a"]);
    let (one, two) = (ground.take("a@one"), ground.take("a@two"));
    unrelated(&ground, &two, &one);
}

#[test]
fn a_range_is_of_one_filesystem() {
    let ground = Ground::with(&["a", "b"]);
    let (one, two) = (ground.take("a@one"), ground.take("b@two"));
    unrelated(&ground, &one, &two);
}

#[test]
fn a_range_is_of_one_pool() {
    let ground = Ground::with(&["a"]);
    let one = ground.take("a@one");
    let foreign = other_pool().snapshot("@two");
    let error = ground.zfs.snapshot_range_space(&one, &foreign).unwrap_err();
    assert!(error.to_string().contains("another pool"), "{error}");
}

#[test]
fn both_ends_must_exist() {
    let ground = Ground::with(&["a"]);
    let (one, missing) = (ground.take("a@one"), ground.snapshot("a@missing"));
    for (first, last) in [(&one, &missing), (&missing, &one)] {
        let error = ground.zfs.snapshot_range_space(first, last).unwrap_err();
        assert!(error.is_not_found(), "{error}");
        assert!(error.to_string().contains(last.as_str()), "{error}");
    }
}

#[test]
fn an_end_has_a_snapshot_s_name() {
    let ground = Ground::new();
    SnapshotName::parse(format!("{}@sn#p", ground.dataset("a"))).unwrap_err();
}

#[test]
fn a_filesystem_is_no_end() {
    let ground = Ground::with(&["a"]);
    SnapshotName::parse(ground.dataset("a")).unwrap_err();
}

#[test]
fn a_bookmark_is_no_end() {
    let ground = Ground::with(&["a"]);
    let mark = ground.mark("a#mark", &ground.take("a@one"));
    SnapshotName::parse(mark.as_str()).unwrap_err();
    DatasetName::parse(mark.as_str()).unwrap_err();
}
