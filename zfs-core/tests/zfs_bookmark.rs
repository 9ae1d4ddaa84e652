//! Bookmarks on real pools.

mod fixture;

use std::time::UNIX_EPOCH;

use fixture::shared::{Ground, other_pool};
use fixture::{Pool, get};
use zfs_core::{
    BookmarkName, Defer, Error, ErrorKind, NameProblem, SnapshotName, SnapshotOrBookmark,
};

fn bookmark(pool: &Pool, relative: &str) -> BookmarkName {
    let (dataset, name) = relative.split_once('#').unwrap();
    pool.dataset(dataset).with_bookmark(name).unwrap()
}

#[test]
fn a_bookmark_outlives_its_snapshot_and_keeps_its_identity() {
    let pool = Pool::new();
    pool.filesystem("a");
    let x = pool.take("a@x");
    let facts = ["guid", "createtxg", "creation"].map(|property| get(&x, property));
    let mark = bookmark(&pool, "a#x");
    pool.zfs.bookmark([(&mark, &(&x).into())]).unwrap();
    pool.zfs.destroy_snapshots([&x], Defer::No).unwrap();
    assert!(pool.zfs.exists(&mark).unwrap());

    let bookmarks = pool.zfs.bookmarks(mark.dataset()).unwrap();
    assert_eq!(bookmarks.len(), 1);
    let found = &bookmarks[0];
    let creation = found.creation.duration_since(UNIX_EPOCH).unwrap();
    assert_eq!(found.name, mark);
    assert_eq!(found.guid.to_string(), facts[0]);
    assert_eq!(found.createtxg.to_string(), facts[1]);
    assert_eq!(creation.as_secs().to_string(), facts[2]);
}

#[test]
fn a_bookmark_can_be_made_from_a_bookmark() {
    let pool = Pool::new();
    let x = pool.take("@x");
    let (one, two) = (bookmark(&pool, "#one"), bookmark(&pool, "#two"));
    pool.zfs.bookmark([(&one, &x.into())]).unwrap();
    pool.zfs.bookmark([(&two, &(&one).into())]).unwrap();
    let bookmarks = pool.zfs.bookmarks(one.dataset()).unwrap();
    assert_eq!(bookmarks.len(), 2);
    assert_eq!(bookmarks[0].guid, bookmarks[1].guid);
}

#[test]
fn bookmarks_are_listed_the_oldest_first() {
    let pool = Pool::new();
    assert_eq!(pool.zfs.bookmarks(&pool.name().root()).unwrap(), []);
    for name in ["z", "m", "a"] {
        let snapshot = pool.take(&format!("@{name}"));
        let mark = bookmark(&pool, &format!("#{name}"));
        pool.zfs.bookmark([(&mark, &snapshot.into())]).unwrap();
    }
    let bookmarks = pool.zfs.bookmarks(&pool.name().root()).unwrap();
    let names: Vec<_> = bookmarks.iter().map(|mark| mark.name.bookmark()).collect();
    assert_eq!(names, ["z", "m", "a"]);
}

#[test]
fn many_are_made_together_or_none() {
    let pool = Pool::new();
    pool.filesystem("a");
    let (x, ax) = (pool.take("@x").into(), pool.take("a@x").into());
    let (one, two) = (bookmark(&pool, "#one"), bookmark(&pool, "a#two"));
    pool.zfs.bookmark([(&one, &x), (&two, &ax)]).unwrap();

    let (three, missing) = (bookmark(&pool, "#three"), bookmark(&pool, "a#four"));
    let nothing = pool.snapshot("a@nothing").into();
    let error = pool
        .zfs
        .bookmark([(&three, &x), (&missing, &nothing)])
        .unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert_eq!(error.failures()[0].name, missing.as_str());
    assert!(!pool.zfs.exists(&three).unwrap());
}

#[test]
fn a_name_that_is_taken_is_refused() {
    let pool = Pool::new();
    let x = pool.take("@x").into();
    let mark = bookmark(&pool, "#x");
    pool.zfs.bookmark([(&mark, &x)]).unwrap();
    let y = pool.take("@y").into();
    let error = pool.zfs.bookmark([(&mark, &y)]).unwrap_err();
    assert!(error.is_exists(), "{error}");
    let twice = bookmark(&pool, "#twice");
    let error = pool.zfs.bookmark([(&twice, &x), (&twice, &y)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(!pool.zfs.exists(&twice).unwrap());
}

#[test]
fn a_snapshot_of_another_dataset_is_no_source() {
    let pool = Pool::new();
    pool.filesystem("a");
    let other = pool.take("a@x").into();
    let error = pool
        .zfs
        .bookmark([(&bookmark(&pool, "#x"), &other)])
        .unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Unrelated | ErrorKind::Invalid),
        "{error}"
    );
}

#[test]
fn a_snapshot_of_another_pool_is_no_source() {
    let (one, other) = (Pool::new(), Pool::new());
    let foreign = other.take("@x").into();
    let mark = bookmark(&one, "#x");
    let error = one.zfs.bookmark([(&mark, &foreign)]).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::CrossPool | ErrorKind::Invalid),
        "{error}"
    );
    assert!(!one.zfs.exists(&mark).unwrap());
}

#[test]
fn bookmarks_of_what_is_not_there_are_not_found() {
    let pool = Pool::new();
    let error = pool.zfs.bookmarks(&pool.dataset("missing")).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert!(!pool.zfs.exists(&bookmark(&pool, "#missing")).unwrap());
    assert!(!pool.zfs.exists(&bookmark(&pool, "missing#x")).unwrap());
}

#[test]
fn no_bookmarks_are_no_error() {
    Pool::new().zfs.bookmark([]).unwrap();
}

/// Filesystems `a` and `b`, each with a snapshot `x`.
fn two() -> (Ground, [SnapshotName; 2]) {
    let ground = Ground::with(&["a", "b"]);
    let snapshots = [ground.snapshot("a@x"), ground.snapshot("b@x")];
    ground.zfs.snapshot(&snapshots).unwrap();
    (ground, snapshots)
}

fn count(ground: &Ground, filesystem: &str) -> usize {
    let name = ground.dataset(filesystem);
    ground.zfs.bookmarks(&name).unwrap().len()
}

#[test]
fn bookmarks_of_several_filesystems_are_made_together() {
    let (ground, [ax, bx]) = two();
    let marks = [ground.bookmark("a#m"), ground.bookmark("b#m")];
    ground
        .zfs
        .bookmark([(&marks[0], &ax.into()), (&marks[1], &bx.into())])
        .unwrap();
    assert_eq!((count(&ground, "a"), count(&ground, "b")), (1, 1));
}

#[test]
fn bookmarked_snapshots_can_be_destroyed() {
    let (ground, snapshots) = two();
    ground.mark("a#m", &snapshots[0]);
    ground.mark("b#m", &snapshots[1]);
    ground.zfs.destroy_snapshots(&snapshots, Defer::No).unwrap();
    assert_eq!((count(&ground, "a"), count(&ground, "b")), (1, 1));
}

#[test]
fn bookmarks_are_copied_and_destroyed_in_any_order() {
    let (ground, [ax, bx]) = two();
    let ay = ground.take("a@y");
    let marks = [
        ground.mark("a#x", &ax),
        ground.mark("a#y", &ay),
        ground.mark("b#x", &bx),
    ];
    let copies = ["a#x2", "a#y2", "b#x2"].map(|name| ground.bookmark(name));
    let sources = marks.each_ref().map(SnapshotOrBookmark::from);
    ground.zfs.bookmark(copies.iter().zip(&sources)).unwrap();
    assert_eq!((count(&ground, "a"), count(&ground, "b")), (4, 2));
    let guids: Vec<_> = ground.zfs.bookmarks(ax.dataset()).unwrap();
    assert_eq!(guids[0].guid, guids[1].guid);
    ground.zfs.destroy_bookmarks(&copies).unwrap();
    ground.zfs.destroy_bookmarks(&marks).unwrap();
    assert_eq!((count(&ground, "a"), count(&ground, "b")), (0, 0));
    ground
        .zfs
        .destroy_snapshots([&ax, &ay, &bx], Defer::No)
        .unwrap();
}

#[test]
fn nothing_to_bookmark_is_no_error() {
    Ground::new().zfs.bookmark([]).unwrap();
}

#[track_caller]
fn mismatched(ground: &Ground, pairs: &[(BookmarkName, SnapshotName)]) {
    let sources: Vec<_> = pairs.iter().map(|(_, source)| source.into()).collect();
    let marks = pairs.iter().map(|(mark, _)| mark);
    let error = ground.zfs.bookmark(marks.zip(&sources)).unwrap_err();
    for failure in error.failures() {
        let kinds = [ErrorKind::Unrelated, ErrorKind::Invalid];
        assert!(kinds.contains(&failure.kind()), "{error}");
    }
    assert!(!error.failures().is_empty());
    for (mark, _) in pairs {
        assert!(!ground.zfs.exists(mark).unwrap());
    }
}

#[test]
fn another_filesystem_s_snapshot_is_no_source() {
    let (ground, [ax, _]) = two();
    mismatched(&ground, &[(ground.bookmark("b#m"), ax)]);
}

#[test]
fn sources_that_are_exchanged_are_refused() {
    let (ground, [ax, bx]) = two();
    let pairs = [(ground.bookmark("b#m"), ax), (ground.bookmark("a#m"), bx)];
    mismatched(&ground, &pairs);
}

#[test]
fn one_source_that_does_not_fit_is_enough() {
    let (ground, [ax, bx]) = two();
    let pairs = [(ground.bookmark("b#m"), ax), (ground.bookmark("b#n"), bx)];
    mismatched(&ground, &pairs);
}

#[test]
fn a_name_with_a_character_that_zfs_does_not_take_is_refused() {
    let ground = Ground::new();
    match ground.dataset("a").with_bookmark("bmark!") {
        Err(Error::InvalidName { problem, .. }) => {
            assert_eq!(problem, NameProblem::Character('!'));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_snapshot_s_name_is_no_bookmark_s() {
    let ground = Ground::new();
    match BookmarkName::parse(ground.snapshot("a@bmark").as_str()) {
        Err(Error::InvalidName { what, .. }) => assert_eq!(what, "bookmark"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_longest_name_is_taken_and_a_longer_one_refused() {
    let ground = Ground::with(&["a"]);
    let x = ground.take("a@x");
    let name = ground.dataset("a");
    let room = 255 - name.as_str().len() - 1;
    let longest = name.with_bookmark(&"x".repeat(room)).unwrap();
    ground.zfs.bookmark([(&longest, &x.into())]).unwrap();
    assert_eq!(ground.zfs.bookmarks(&name).unwrap()[0].name, longest);
    match name.with_bookmark(&"x".repeat(room + 1)) {
        Err(Error::InvalidName { problem, .. }) => assert_eq!(
            problem,
            NameProblem::TooLong {
                bytes: 256,
                max: 255
            }
        ),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_component_that_is_too_long_is_refused() {
    let ground = Ground::new();
    match ground.dataset("a").with_bookmark(&"x".repeat(257)) {
        Err(Error::InvalidName { problem, .. }) => {
            assert!(matches!(problem, NameProblem::TooLong { max: 255, .. }));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn bookmarks_of_two_pools_are_refused_and_neither_is_made() {
    let ground = Ground::with(&["a"]);
    let ours = ground.take("a@x");
    let other = other_pool();
    other.filesystem("marked");
    let theirs = other.take("marked@x");
    let marks = [
        ground.bookmark("a#m"),
        theirs.dataset().with_bookmark("m").unwrap(),
    ];
    let error = ground
        .zfs
        .bookmark([(&marks[0], &ours.into()), (&marks[1], &theirs.into())])
        .unwrap_err();
    assert!(error.to_string().contains("in one pool"), "{error}");
    for mark in &marks {
        assert!(!ground.zfs.exists(mark).unwrap());
    }
}

#[test]
fn where_one_snapshot_is_missing_no_bookmark_is_made() {
    let ground = Ground::with(&["a", "b"]);
    let there = ground.take("a@x").into();
    let missing = ground.snapshot("b@x").into();
    let marks = [ground.bookmark("a#m"), ground.bookmark("b#m")];
    let error = ground
        .zfs
        .bookmark([(&marks[0], &there), (&marks[1], &missing)])
        .unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert_eq!(error.failures()[0].name, marks[1].as_str());
    assert_eq!((count(&ground, "a"), count(&ground, "b")), (0, 0));
}

#[test]
fn where_all_snapshots_are_missing_all_are_named() {
    let ground = Ground::with(&["a", "b"]);
    let sources = [ground.snapshot("a@x").into(), ground.snapshot("b@x").into()];
    let marks = [ground.bookmark("a#m"), ground.bookmark("b#m")];
    let error = ground.zfs.bookmark(marks.iter().zip(&sources)).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert_eq!(error.failures().len(), 2, "{error}");
    assert_eq!((count(&ground, "a"), count(&ground, "b")), (0, 0));
}

#[test]
fn one_snapshot_has_several_bookmarks_at_once() {
    let ground = Ground::with(&["a"]);
    let x = ground.take("a@x").into();
    let marks = [ground.bookmark("a#m"), ground.bookmark("a#n")];
    ground
        .zfs
        .bookmark([(&marks[0], &x), (&marks[1], &x)])
        .unwrap();
    assert_eq!(count(&ground, "a"), 2);
}

#[test]
fn one_snapshot_has_several_bookmarks_one_after_the_other() {
    let ground = Ground::with(&["a"]);
    let x = ground.take("a@x");
    ground.mark("a#m", &x);
    ground.mark("a#n", &x);
    assert_eq!(count(&ground, "a"), 2);
}

#[test]
fn a_bookmark_that_exists_keeps_its_snapshot() {
    let ground = Ground::with(&["a"]);
    let (x, y) = (ground.take("a@x"), ground.take("a@y"));
    let mark = ground.mark("a#m", &x);
    let error = ground.zfs.bookmark([(&mark, &y.into())]).unwrap_err();
    assert!(error.is_exists(), "{error}");
    let found = ground.zfs.bookmarks(x.dataset()).unwrap();
    assert_eq!(found[0].guid.to_string(), get(&x, "guid"));
}

#[test]
fn bookmarks_are_listed_with_what_they_stand_for() {
    let ground = Ground::with(&["a"]);
    let (x, y) = (ground.take("a@x"), ground.take("a@y"));
    let facts = |name: &SnapshotName| ["guid", "createtxg"].map(|what| get(name, what));
    let (of_x, of_y) = (facts(&x), facts(&y));
    for (mark, snapshot) in [("a#x", &x), ("a#y", &y), ("a#y2", &y)] {
        ground.mark(mark, snapshot);
    }
    ground.zfs.destroy_snapshots([&x, &y], Defer::No).unwrap();
    let found = ground.zfs.bookmarks(x.dataset()).unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|mark| {
            let facts = [mark.guid.to_string(), mark.createtxg.to_string()];
            (mark.name.bookmark(), facts)
        })
        .collect();
    assert_eq!(found, [("x", of_x), ("y", of_y.clone()), ("y2", of_y)]);
}

#[test]
fn an_ordinary_bookmark_redacts_nothing() {
    // ZFS passes over properties that a bookmark does not have.
    let ground = Ground::with(&["a"]);
    let mark = ground.mark("a#m", &ground.take("a@x"));
    assert_eq!(ground.zfs.redaction(&mark).unwrap(), None);
    let error = ground.zfs.redaction(&ground.bookmark("a#n")).unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn a_filesystem_that_is_not_there_has_no_list_of_bookmarks() {
    let ground = Ground::new();
    let error = ground
        .zfs
        .bookmarks(&ground.dataset("missing"))
        .unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn a_bookmark_that_is_gone_counts_as_destroyed() {
    let ground = Ground::with(&["a"]);
    let mark = ground.mark("a#m", &ground.take("a@x"));
    let gone = ground.bookmark("a#gone");
    ground.zfs.destroy_bookmarks([&mark, &gone]).unwrap();
    assert_eq!(count(&ground, "a"), 0);
}

#[test]
fn what_is_no_bookmark_s_name_is_not_destroyed() {
    let ground = Ground::with(&["a"]);
    ground.mark("a#m", &ground.take("a@x"));
    BookmarkName::parse(ground.dataset("a/missing").as_str()).unwrap_err();
    assert_eq!(count(&ground, "a"), 1);
}

#[test]
fn a_bookmark_of_a_filesystem_that_is_gone_counts_as_destroyed() {
    let ground = Ground::new();
    let gone = ground.bookmark("missing#m");
    ground.zfs.destroy_bookmarks([&gone]).unwrap();
}

#[test]
fn no_bookmarks_to_destroy_are_no_error() {
    Ground::new().zfs.destroy_bookmarks([]).unwrap();
}
