//! Holds on real pools.

mod fixture;

use std::time::{Duration, SystemTime};

use fixture::Pool;
use zfs_core::{Defer, ErrorKind, Operation};

fn tags(pool: &Pool, snapshot: &zfs_core::SnapshotName) -> Vec<String> {
    let holds = pool.zfs.holds(snapshot).unwrap();
    holds.into_iter().map(|hold| hold.tag).collect()
}

#[test]
fn a_hold_is_listed_with_its_tag_and_time() {
    let pool = Pool::new();
    let x = pool.take("@x");
    assert_eq!(tags(&pool, &x), [""; 0]);
    pool.zfs.hold([&x], "zweiter Halt").unwrap();
    pool.zfs.hold([&x], "first").unwrap();
    assert_eq!(tags(&pool, &x), ["first", "zweiter Halt"]);
    let age = SystemTime::now()
        .duration_since(pool.zfs.holds(&x).unwrap()[0].created)
        .unwrap_or_default();
    assert!(age < Duration::from_secs(600), "{age:?}");
}

#[test]
fn many_snapshots_are_held_together() {
    let pool = Pool::new();
    pool.filesystem("a");
    let names = [pool.take("@x"), pool.take("@y"), pool.take("a@x")];
    pool.zfs.hold(&names, "t").unwrap();
    for name in &names {
        assert_eq!(tags(&pool, name), ["t"]);
    }
    pool.zfs.release(&names, "t").unwrap();
    pool.zfs.destroy_snapshots(&names, Defer::No).unwrap();
}

#[test]
fn a_missing_snapshot_is_an_error_and_the_others_are_held() {
    let pool = Pool::new();
    let x = pool.take("@x");
    let missing = pool.snapshot("@missing");
    let error = pool.zfs.hold([&x, &missing], "t").unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert_eq!(error.failures().len(), 1);
    assert_eq!(error.failures()[0].name, missing.as_str());
    assert_eq!(tags(&pool, &x), ["t"]);
}

#[test]
fn a_tag_is_given_once() {
    let pool = Pool::new();
    let (x, y) = (pool.take("@x"), pool.take("@y"));
    pool.zfs.hold([&x], "t").unwrap();
    let error = pool.zfs.hold([&x, &y], "t").unwrap_err();
    assert!(error.is_exists(), "{error}");
    assert!(error.to_string().contains("\"t\""), "{error}");
    // Then the other is not held either.
    assert_eq!(tags(&pool, &y), [""; 0]);
}

#[test]
fn a_hold_that_is_not_there_cannot_be_released() {
    let pool = Pool::new();
    let (x, y) = (pool.take("@x"), pool.take("@y"));
    pool.zfs.hold([&x], "t").unwrap();
    let error = pool.zfs.release([&x, &y], "t").unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert_eq!(error.failures().len(), 1, "{error}");
    let failure = &error.failures()[0];
    assert_eq!(failure.name, y.as_str());
    assert_eq!(failure.operation, Operation::Release);
    assert!(
        error.to_string().contains("no hold of tag \"t\""),
        "{error}"
    );
    // The other one is released all the same.
    assert_eq!(tags(&pool, &x), [""; 0]);
    let missing = pool.snapshot("@missing");
    let error = pool.zfs.release([&missing], "t").unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn tags_have_at_most_255_bytes() {
    let pool = Pool::new();
    let x = pool.take("@x");
    let longest = "t".repeat(255);
    pool.zfs.hold([&x], &longest).unwrap();
    assert_eq!(tags(&pool, &x), [longest.as_str()]);
    pool.zfs.release([&x], &longest).unwrap();
    for tag in ["t".repeat(256), String::new(), "a\0b".into()] {
        let error = pool.zfs.hold([&x], &tag).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    assert_eq!(tags(&pool, &x), [""; 0]);
}

#[test]
fn two_pools_are_refused() {
    let (one, other) = (Pool::new(), Pool::new());
    let names = [one.take("@x"), other.take("@x")];
    let error = one.zfs.hold(&names, "t").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CrossPool, "{error}");
    for name in &names {
        assert_eq!(tags(&one, name), [""; 0]);
    }
}

#[test]
fn temporary_holds_end_with_their_value() {
    let pool = Pool::new();
    let names = [pool.take("@x"), pool.take("@y")];
    let holds = pool.zfs.hold_temporarily(&names, "sending").unwrap();
    assert_eq!(tags(&pool, &names[0]), ["sending"]);
    let error = pool.zfs.destroy_snapshots(&names, Defer::No).unwrap_err();
    assert!(error.is_busy(), "{error}");
    drop(holds);
    assert_eq!(tags(&pool, &names[0]), [""; 0]);
    pool.zfs.destroy_snapshots(&names, Defer::No).unwrap();
}

#[test]
fn holds_of_what_is_not_there_are_not_found() {
    let pool = Pool::new();
    let error = pool.zfs.holds(&pool.snapshot("@missing")).unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn no_snapshots_are_no_error() {
    let pool = Pool::new();
    pool.zfs.hold([], "t").unwrap();
    pool.zfs.release([], "t").unwrap();
}
