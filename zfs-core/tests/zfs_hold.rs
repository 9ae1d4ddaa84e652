//! Holds on real pools.

mod fixture;

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime};

use fixture::Pool;
use zfs_core::{
    DatasetName, Defer, ErrorKind, Failure, Operation, SendRequest, SnapshotName, stream_pipe,
};

fn tags(pool: &Pool, snapshot: &SnapshotName) -> Vec<String> {
    let holds = pool.zfs.holds(snapshot).unwrap();
    holds.into_iter().map(|hold| hold.tag).collect()
}

/// The tags are these, if not at once: another test may be starting a program
/// just now, which has all open files of this process, and so its temporary
/// holds, until it runs.
#[track_caller]
fn come_to(pool: &Pool, snapshot: &SnapshotName, expected: &[&str]) {
    wait_until(|| tags(pool, snapshot) == expected);
    assert_eq!(tags(pool, snapshot), expected);
}

fn wait_until(condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() && started.elapsed() < fixture::PATIENCE {
        std::thread::sleep(Duration::from_millis(20));
    }
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
    come_to(&pool, &names[0], &[]);
    pool.zfs.destroy_snapshots(&names, Defer::No).unwrap();
}

/// The stream's thread has a table of open files of its own.
#[test]
fn a_temporary_hold_ends_while_a_stream_goes_on() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    pool.write(&a, "file", &fixture::noise(1, 8 << 20));
    let x = pool.take("a@x");
    let holds = pool.zfs.hold_temporarily([&x], "t").unwrap();
    let (reader, writer) = stream_pipe().unwrap();
    let mut reader = File::from(reader);
    let request = SendRequest::snapshot(x.clone());
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| pool.zfs.send(&request, writer.as_fd()));
        // It has begun, and waits for somebody to read the rest.
        reader.read_exact(&mut [0; 4096]).unwrap();
        drop(holds);
        come_to(&pool, &x, &[]);
        assert!(!sender.is_finished());
        drop(reader);
        assert!(sender.join().unwrap().unwrap_err().is_interrupted());
    });
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

/// The names of what failed, sorted.
fn names(failures: &[Failure]) -> Vec<&str> {
    let mut names: Vec<&str> = failures.iter().map(|one| one.name.as_str()).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_temporary_hold_is_one_while_its_value_lives() {
    let pool = Pool::new();
    let x = pool.take("@x");
    let _holds = pool.zfs.hold_temporarily([&x], "t").unwrap();
    assert_eq!(tags(&pool, &x), ["t"]);
}

#[test]
fn no_snapshots_are_held_temporarily() {
    let pool = Pool::new();
    drop(pool.zfs.hold_temporarily([], "t").unwrap());
}

#[test]
fn a_snapshot_destroyed_deferred_goes_with_its_temporary_hold() {
    let pool = Pool::new();
    let x = pool.take("@x");
    let holds = pool.zfs.hold_temporarily([&x], "t").unwrap();
    let error = pool.zfs.destroy_snapshots([&x], Defer::No).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Held, "{error}");
    pool.zfs.destroy_snapshots([&x], Defer::Yes).unwrap();
    assert!(pool.zfs.exists(&x).unwrap());
    drop(holds);
    wait_until(|| !pool.zfs.exists(&x).unwrap());
    assert!(!pool.zfs.exists(&x).unwrap());
}

#[test]
fn one_snapshot_has_holds_of_several_tags() {
    let pool = Pool::new();
    let x = pool.take("@x");
    let _one = pool.zfs.hold_temporarily([&x], "tag1").unwrap();
    let two = pool.zfs.hold_temporarily([&x], "tag2").unwrap();
    assert_eq!(tags(&pool, &x), ["tag1", "tag2"]);
    drop(two);
    come_to(&pool, &x, &["tag1"]);
}

#[test]
fn several_snapshots_are_held_temporarily_in_one_call() {
    let pool = Pool::new();
    let both = [pool.take("@x"), pool.take("@y")];
    let _holds = pool.zfs.hold_temporarily(&both, "t").unwrap();
    for snapshot in &both {
        assert_eq!(tags(&pool, snapshot), ["t"]);
    }
}

#[test]
fn where_one_is_missing_no_temporary_hold_stays() {
    let pool = Pool::new();
    let (x, missing) = (pool.take("@x"), pool.snapshot("@missing"));
    let error = pool.zfs.hold_temporarily([&x, &missing], "t").unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert_eq!(names(error.failures()), [missing.as_str()]);
    come_to(&pool, &x, &[]);
}

#[test]
fn where_all_are_missing_each_is_named() {
    let pool = Pool::new();
    let both = [pool.snapshot("@x"), pool.snapshot("@y")];
    for error in [
        pool.zfs.hold_temporarily(&both, "t").unwrap_err(),
        pool.zfs.hold(&both, "t").unwrap_err(),
    ] {
        assert!(error.is_not_found(), "{error}");
        assert_eq!(
            names(error.failures()),
            [both[0].as_str(), both[1].as_str()]
        );
    }
}

#[test]
fn the_snapshot_of_a_missing_filesystem_is_missing() {
    let pool = Pool::new();
    let x = pool.snapshot("missing@x");
    let error = pool.zfs.hold([&x], "t").unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert_eq!(names(error.failures()), [x.as_str()]);
}

#[test]
fn the_snapshot_of_a_missing_filesystem_cannot_be_held_temporarily() {
    let pool = Pool::new();
    let x = pool.snapshot("missing@x");
    let error = pool.zfs.hold_temporarily([&x], "t").unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert_eq!(names(error.failures()), [x.as_str()]);
}

#[test]
fn a_temporary_hold_s_tag_is_given_once_as_well() {
    let pool = Pool::new();
    let x = pool.take("@x");
    let holds = pool.zfs.hold_temporarily([&x], "t").unwrap();
    let error = pool.zfs.hold_temporarily([&x], "t").unwrap_err();
    assert!(error.is_exists(), "{error}");
    assert_eq!(tags(&pool, &x), ["t"]);
    drop(holds);
    come_to(&pool, &x, &[]);
}

#[test]
fn snapshots_of_two_pools_are_not_held_temporarily() {
    let (one, other) = (Pool::new(), Pool::new());
    let both = [one.take("@x"), other.take("@x")];
    let error = one.zfs.hold_temporarily(&both, "t").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CrossPool, "{error}");
    for snapshot in &both {
        come_to(&one, snapshot, &[]);
    }
}

#[test]
fn tags_of_temporary_holds_are_shorter() {
    let pool = Pool::new();
    let x = pool.take("@x");
    for length in [255, 256, 5000] {
        let error = pool
            .zfs
            .hold_temporarily([&x], &"t".repeat(length))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{length}: {error}");
    }
    assert_eq!(tags(&pool, &x), [""; 0]);
    let _holds = pool.zfs.hold_temporarily([&x], &"t".repeat(200)).unwrap();
    assert_eq!(tags(&pool, &x).len(), 1);
}

#[test]
fn names_that_are_no_snapshot_s_do_not_come_as_far_as_a_call() {
    let pool = Pool::new();
    let root = pool.name().as_str();
    // Too long as a whole, or in one component; two delimiters; none.
    let long = "s".repeat(250);
    for name in [
        format!("{root}/{}@{long}", "d".repeat(20)),
        format!("{root}@{}", "s".repeat(256)),
        format!("{root}@x@bad"),
        format!("{root}/fs"),
        root.to_owned(),
        format!("{root}#x"),
        String::new(),
    ] {
        let error = name.parse::<SnapshotName>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{name}: {error}");
        assert!(error.to_string().contains("is not the name of a snapshot"));
    }
    assert!(root.parse::<DatasetName>().is_ok());
}

#[test]
fn the_longest_name_is_held_listed_and_released() {
    let pool = Pool::new();
    let root = pool.name().as_str();
    let x = pool.take(&format!("@{}", "s".repeat(255 - root.len() - 1)));
    assert_eq!(x.as_str().len(), 255);
    pool.zfs.hold([&x], "t").unwrap();
    assert_eq!(tags(&pool, &x), ["t"]);
    pool.zfs.release([&x], "t").unwrap();
    assert_eq!(tags(&pool, &x), [""; 0]);
}

#[test]
fn holds_of_a_read_only_pool_cannot_be_changed_but_read() {
    let pool = Pool::new();
    let x = pool.take("@x");
    pool.zfs.hold([&x], "t").unwrap();
    pool.import_again(&["-o", "readonly=on"]);
    let error = pool.zfs.hold([&x], "other").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
    let error = pool.zfs.release([&x], "t").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
    assert_eq!(tags(&pool, &x), ["t"]);
}

#[test]
fn holds_outlive_an_export_unless_they_are_temporary() {
    let pool = Pool::new();
    let x = pool.take("@x");
    pool.zfs.hold([&x], "lasting").unwrap();
    let holds = pool.zfs.hold_temporarily([&x], "temporary").unwrap();
    pool.import_again(&[]);
    assert_eq!(tags(&pool, &x), ["lasting"]);
    drop(holds);
    come_to(&pool, &x, &["lasting"]);
}

#[test]
fn a_snapshot_that_waits_for_its_destruction_can_be_held_again() {
    let pool = Pool::new();
    let x = pool.take("@x");
    pool.zfs.hold([&x], "one").unwrap();
    pool.zfs.destroy_snapshots([&x], Defer::Yes).unwrap();
    pool.zfs.hold([&x], "two").unwrap();
    pool.zfs.release([&x], "one").unwrap();
    assert!(pool.zfs.exists(&x).unwrap());
    pool.zfs.release([&x], "two").unwrap();
    assert!(!pool.zfs.exists(&x).unwrap());
}

#[test]
fn a_hold_is_released() {
    let pool = Pool::new();
    let x = pool.take("@x");
    pool.zfs.hold([&x], "t").unwrap();
    pool.zfs.release([&x], "t").unwrap();
    assert_eq!(tags(&pool, &x), [""; 0]);
}

#[test]
fn holds_of_several_tags_and_snapshots_are_released_in_one_call() {
    let pool = Pool::new();
    pool.filesystem("a");
    let (x, y, z) = (pool.take("@x"), pool.take("@y"), pool.take("a@z"));
    for (snapshot, tag) in [(&x, "1"), (&x, "2"), (&y, "t"), (&z, "1"), (&z, "2")] {
        pool.zfs.hold([snapshot], tag).unwrap();
    }
    pool.zfs
        .release_holds([(&x, "1"), (&x, "2"), (&y, "t"), (&z, "2")])
        .unwrap();
    assert_eq!(tags(&pool, &x), [""; 0]);
    assert_eq!(tags(&pool, &y), [""; 0]);
    assert_eq!(tags(&pool, &z), ["1"]);
    pool.zfs.release_holds([(&z, "1")]).unwrap();
    assert_eq!(tags(&pool, &z), [""; 0]);
    pool.zfs.release_holds([]).unwrap();
}

#[test]
fn a_temporary_hold_can_be_released_before_it_ends() {
    let pool = Pool::new();
    let x = pool.take("@x");
    let holds = pool.zfs.hold_temporarily([&x], "t").unwrap();
    pool.zfs.release([&x], "t").unwrap();
    assert_eq!(tags(&pool, &x), [""; 0]);
    // The end of one takes the tag's hold with it, whichever that is by then.
    for tag in ["t", "other"] {
        pool.zfs.hold([&x], tag).unwrap();
    }
    drop(holds);
    come_to(&pool, &x, &["other"]);
}

#[test]
fn a_snapshot_destroyed_deferred_goes_with_the_last_hold_that_is_released() {
    let pool = Pool::new();
    let x = pool.take("@x");
    let _one = pool.zfs.hold_temporarily([&x], "1").unwrap();
    let _two = pool.zfs.hold_temporarily([&x], "2").unwrap();
    pool.zfs.destroy_snapshots([&x], Defer::Yes).unwrap();
    assert!(pool.zfs.exists(&x).unwrap());
    pool.zfs.release([&x], "1").unwrap();
    assert!(pool.zfs.exists(&x).unwrap());
    pool.zfs.release([&x], "2").unwrap();
    assert!(!pool.zfs.exists(&x).unwrap());
}

#[test]
fn to_defer_a_destruction_twice_changes_nothing() {
    let pool = Pool::new();
    let x = pool.take("@x");
    let _holds = pool.zfs.hold_temporarily([&x], "t").unwrap();
    for _ in 0..2 {
        pool.zfs.destroy_snapshots([&x], Defer::Yes).unwrap();
        assert!(pool.zfs.exists(&x).unwrap());
    }
    pool.zfs.release([&x], "t").unwrap();
    assert!(!pool.zfs.exists(&x).unwrap());
}

#[test]
fn a_tag_that_a_snapshot_has_not_is_named() {
    let pool = Pool::new();
    let x = pool.take("@x");
    let error = pool.zfs.release([&x], "t#1").unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert_eq!(names(error.failures()), [x.as_str()]);
    assert!(error.to_string().contains("\"t#1\""), "{error}");
}

#[test]
fn a_snapshot_that_is_not_there_is_named() {
    let pool = Pool::new();
    let x = pool.snapshot("@x");
    let error = pool.zfs.release([&x], "t").unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert_eq!(names(error.failures()), [x.as_str()]);
}

#[test]
fn a_snapshot_that_is_not_there_is_named_once_for_all_tags() {
    let pool = Pool::new();
    let x = pool.snapshot("@x");
    let error = pool
        .zfs
        .release_holds([(&x, "t"), (&x, "another")])
        .unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert_eq!(names(error.failures()), [x.as_str()]);
}

#[test]
fn holds_of_two_pools_are_not_released_together() {
    let (one, other) = (Pool::new(), Pool::new());
    let both = [one.take("@x"), other.take("@x")];
    for snapshot in &both {
        one.zfs.hold([snapshot], "t").unwrap();
    }
    let error = one.zfs.release(&both, "t").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CrossPool, "{error}");
    for snapshot in &both {
        assert_eq!(tags(&one, snapshot), ["t"]);
    }
}

#[test]
fn a_tag_too_long_is_on_no_snapshot() {
    let pool = Pool::new();
    let x = pool.take("@x");
    let error = pool.zfs.release([&x], &"t".repeat(256)).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Invalid),
        "{error}"
    );
    let error = pool.zfs.release([&x], "a\0b").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

#[test]
fn two_holds_are_listed_with_their_times() {
    let pool = Pool::new();
    let x = pool.take("@x");
    let _one = pool.zfs.hold_temporarily([&x], "tag1").unwrap();
    let _two = pool.zfs.hold_temporarily([&x], "tag2").unwrap();
    let holds = pool.zfs.holds(&x).unwrap();
    assert_eq!(holds.len(), 2);
    assert_eq!(
        (holds[0].tag.as_str(), holds[1].tag.as_str()),
        ("tag1", "tag2")
    );
    assert!(
        holds
            .iter()
            .all(|hold| hold.created > SystemTime::UNIX_EPOCH)
    );
}

#[test]
fn after_its_temporary_holds_a_snapshot_has_none() {
    let pool = Pool::new();
    let x = pool.take("@x");
    for tag in ["1", "2"] {
        drop(pool.zfs.hold_temporarily([&x], tag).unwrap());
    }
    wait_until(|| pool.zfs.holds(&x).unwrap().is_empty());
    assert_eq!(pool.zfs.holds(&x).unwrap(), []);
}

#[test]
fn the_holds_of_a_missing_pool_are_not_found() {
    let pool = Pool::new();
    let missing: SnapshotName = "nonexistent/a@x".parse().unwrap();
    let error = pool.zfs.holds(&missing).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert_eq!(error.failures()[0].operation, Operation::GetHolds);
    let error = pool.zfs.hold([&missing], "t").unwrap_err();
    assert!(error.is_not_found(), "{error}");
    let error = pool.zfs.release([&missing], "t").unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn an_ordinary_user_holds_what_is_allowed() {
    if let Some(name) = fixture::argument_as_user() {
        let zfs = fixture::zfs();
        let dataset: DatasetName = name.parse().unwrap();
        let x = dataset.with_snapshot("x").unwrap();
        zfs.hold([&x], "t").unwrap();
        assert_eq!(zfs.holds(&x).unwrap().len(), 1);
        let error = zfs.release([&x], "t").unwrap_err();
        assert!(error.is_permission(), "{error}");
        assert!(
            error.to_string().contains("zfs allow USER release"),
            "{error}"
        );
        return;
    }
    let pool = Pool::new();
    let a = pool.filesystem("a");
    let x = pool.take("a@x");
    fixture::run(&["zfs", "allow", "-e", "hold", a.as_str()]);
    fixture::again_as_user(&pool, "an_ordinary_user_holds_what_is_allowed", a.as_str());
    assert_eq!(tags(&pool, &x), ["t"]);
}
