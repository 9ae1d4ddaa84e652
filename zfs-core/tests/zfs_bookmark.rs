//! Bookmarks on real pools.

mod fixture;

use std::time::UNIX_EPOCH;

use fixture::{Pool, get};
use zfs_core::{BookmarkName, Defer, ErrorKind};

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
