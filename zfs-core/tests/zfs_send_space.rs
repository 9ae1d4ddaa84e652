//! Estimates of what a stream will take, on real pools.

mod fixture;

use fixture::noise;
use fixture::shared::{Ground, other_pool};
use zfs_core::{BookmarkName, ErrorKind, SendRequest, SnapshotName, SnapshotOrBookmark};

const MIB: u64 = 1 << 20;

/// `a@one`, 1 MiB, `a@two`, nothing, `a@three`.
fn three() -> (Ground, [SnapshotName; 3]) {
    let ground = Ground::with(&["a"]);
    let one = ground.take("a@one");
    ground.write("a", "file", &noise(1, MIB as usize + 1));
    let two = ground.take("a@two");
    let three = ground.take("a@three");
    (ground, [one, two, three])
}

fn full(snapshot: &SnapshotName) -> SendRequest {
    SendRequest::snapshot(snapshot.clone())
}

#[test]
fn everything_that_can_be_sent_has_an_estimate() {
    let ground = Ground::with(&["a"]);
    let [one, two, three] = ["a@one", "a@two", "a@three"].map(|name| ground.take(name));
    for request in [
        full(&two).from(&one),
        full(&three).from(&two),
        full(&three).from(&one),
        full(&one),
        full(&two),
        full(&three),
    ] {
        let space = ground.zfs.send_space(&request).unwrap();
        assert!(space < MIB, "{request:?}: {space}");
    }
}

#[test]
fn what_was_written_is_in_every_estimate_over_it() {
    let (ground, [one, two, three]) = three();
    let space = |request: SendRequest| ground.zfs.send_space(&request).unwrap();
    for request in [
        full(&two),
        full(&three),
        full(&two).from(&one),
        full(&three).from(&one),
    ] {
        assert!(space(request.clone()) > MIB, "{request:?}");
    }
    assert!(space(full(&one)) < MIB / 2);
    assert!(space(full(&three).from(&two)) < MIB / 2);
}

#[track_caller]
fn unrelated(ground: &Ground, request: &SendRequest) {
    let error = ground.zfs.send_space(request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unrelated, "{error}");
}

#[test]
fn a_snapshot_is_not_estimated_from_itself() {
    let ground = Ground::with(&["a"]);
    let one = ground.take("a@one");
    unrelated(&ground, &full(&one).from(&one));
}

#[test]
fn a_snapshot_is_not_estimated_from_a_later_one() {
    let ground = Ground::with(&["a"]);
    let (one, two) = (ground.take("a@one"), ground.take("a@two"));
    unrelated(&ground, &full(&one).from(two));
}

#[test]
fn a_snapshot_is_not_estimated_from_another_filesystem_s() {
    let ground = Ground::with(&["a", "b"]);
    let (one, two) = (ground.take("a@one"), ground.take("b@two"));
    unrelated(&ground, &full(&one).from(two));
}

#[test]
fn a_snapshot_is_not_estimated_from_another_pool_s() {
    let ground = Ground::with(&["a"]);
    let one = ground.take("a@one");
    let foreign = other_pool().snapshot("@two");
    let error = ground
        .zfs
        .send_space(&full(&one).from(foreign))
        .unwrap_err();
    assert!(error.to_string().contains("another pool"), "{error}");
}

#[test]
fn what_does_not_exist_has_no_estimate() {
    let ground = Ground::with(&["a", "b"]);
    let one = ground.take("a@one");
    let missing = ground.snapshot("a@missing");
    for request in [
        full(&one).from(&missing),
        full(&missing).from(&one),
        full(&missing),
    ] {
        let error = ground.zfs.send_space(&request).unwrap_err();
        assert!(error.is_not_found(), "{error}");
        assert!(error.to_string().contains(request.name()), "{error}");
    }
}

#[test]
fn a_name_that_is_none_has_no_estimate() {
    let ground = Ground::new();
    let text = format!("{}@sn!p", ground.dataset("a"));
    SnapshotName::parse(&text).unwrap_err();
    text.parse::<SnapshotOrBookmark>().unwrap_err();
}

#[test]
fn a_filesystem_has_no_estimate_and_is_no_source() {
    let (ground, [one, ..]) = three();
    let name = ground.dataset("a");
    name.as_str().parse::<SnapshotOrBookmark>().unwrap_err();
    for request in [
        SendRequest::dataset(name.clone()),
        SendRequest::dataset(name).from(one),
    ] {
        let error = ground.zfs.send_space(&request).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains("snapshot"), "{error}");
    }
}

#[test]
fn a_bookmark_is_a_source_but_nothing_to_estimate() {
    let (ground, [one, two, _]) = three();
    let mark: BookmarkName = ground.mark("a#mark", &one);
    SnapshotName::parse(mark.as_str()).unwrap_err();
    let space = ground.zfs.send_space(&full(&two).from(mark)).unwrap();
    assert!(space > MIB, "{space}");
}
