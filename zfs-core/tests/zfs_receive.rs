//! What a stream becomes, or why it does not, on real pools.

mod fixture;

use std::fs::File;
use std::os::fd::AsFd;

use fixture::shared::{Ground, Streams, other_pool, read_only_pool, streams};
use fixture::{Pool, closed, get, receive, send, source};
use zfs_core::{
    BeginRecord, CreateRequest, Error, ErrorKind, Properties, ReceiveRequest, ResumeToken,
    SendRequest, SnapshotName, StreamProblem, stream_pipe,
};

/// With the full stream received as `copy@one`.
fn received(ground: &Ground) {
    receive(&ground.zfs, &ground.to("copy@one"), &streams().full).unwrap();
}

#[track_caller]
fn refused(ground: &Ground, to: &ReceiveRequest, stream: &[u8], kinds: &[ErrorKind]) {
    let error = receive(&ground.zfs, to, stream).unwrap_err();
    assert!(kinds.contains(&error.kind()), "{:?}: {error}", error.kind());
}

#[test]
fn a_full_stream_makes_a_filesystem_with_content_and_identity() {
    let ground = Ground::new();
    received(&ground);
    assert_eq!(get(ground.snapshot("copy@one"), "guid"), streams().one.1);
    Streams::assert_first(&ground, "copy");
}

#[test]
fn an_incremental_stream_adds_what_changed() {
    let ground = Ground::new();
    received(&ground);
    let to = ground.to("copy@two");
    receive(&ground.zfs, &to, &streams().incremental).unwrap();
    assert_eq!(get(ground.snapshot("copy@two"), "guid"), streams().two.1);
    Streams::assert_both(&ground, "copy");
}

#[test]
fn where_to_receive_is_a_snapshot_s_whole_name() {
    let ground = Ground::new();
    SnapshotName::parse(ground.dataset("copy")).unwrap_err();
    // The name that it had where it was sent does not matter.
    receive(&ground.zfs, &ground.to("copy@other"), &streams().full).unwrap();
    assert!(ground.exists("copy@other"));
    assert!(!ground.exists("copy@one"));
}

/// A clone's stream, and its origin received as `origin@x`.
fn clone_stream(ground: &Ground) -> Vec<u8> {
    ground.filesystem("a");
    let origin = ground.take("a@x");
    let zfs = &ground.zfs;
    let stream = send(zfs, &SendRequest::snapshot(origin.clone())).unwrap();
    receive(zfs, &ground.to("origin@x"), &stream).unwrap();
    zfs.clone_snapshot(&origin, &ground.dataset("b"), &Properties::new())
        .unwrap();
    let snapshot = ground.take("b@y");
    send(zfs, &SendRequest::snapshot(snapshot).from(&origin)).unwrap()
}

#[test]
fn a_clone_s_stream_makes_a_clone_of_the_origin_that_is_given() {
    let ground = Ground::new();
    let stream = clone_stream(&ground);
    let origin = ground.snapshot("origin@x");
    let to = ground.to("copy@y").origin(origin.clone());
    receive(&ground.zfs, &to, &stream).unwrap();
    assert_eq!(get(ground.dataset("copy"), "origin"), origin.as_str());
}

#[test]
fn a_clone_s_stream_without_an_origin_says_which_it_needs() {
    let ground = Ground::new();
    let stream = clone_stream(&ground);
    let error = receive(&ground.zfs, &ground.to("copy@y"), &stream).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unrelated, "{error}");
    let guid = get(ground.snapshot("origin@x"), "guid");
    assert!(error.to_string().contains(&guid), "{error}");
    assert!(!ground.exists("copy"));
}

#[test]
fn an_origin_is_a_snapshot_by_its_type() {
    let ground = Ground::new();
    let stream = clone_stream(&ground);
    SnapshotName::parse(ground.dataset("origin")).unwrap_err();
    // And as the stream's own origin it cannot be another pool's.
    let elsewhere = other_pool().snapshot("@x");
    let to = ground.to("copy@y").origin(elsewhere);
    receive(&ground.zfs, &to, &stream).unwrap_err();
    assert!(!ground.exists("copy"));
}

#[test]
fn a_wrong_origin_is_told_with_the_guid_that_is_wanted() {
    let ground = Ground::new();
    let stream = clone_stream(&ground);
    ground.filesystem("c");
    let wrong = ground.take("c@x");
    let to = ground.to("copy@y").origin(wrong);
    let error = receive(&ground.zfs, &to, &stream).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unrelated, "{error}");
    let guid = get(ground.snapshot("origin@x"), "guid");
    assert!(error.to_string().contains(&guid), "{error}");
    assert!(!ground.exists("copy"));
}

#[test]
fn an_origin_that_is_not_there_is_not_found() {
    let ground = Ground::new();
    let stream = clone_stream(&ground);
    let to = ground.to("copy@y").origin(ground.snapshot("a@gone"));
    refused(&ground, &to, &stream, &[ErrorKind::NotFound]);
    assert!(!ground.exists("copy"));
}

#[test]
fn a_full_stream_does_not_go_over_an_empty_filesystem() {
    let ground = Ground::with(&["copy"]);
    let to = ground.to("copy@one");
    let kinds = [ErrorKind::Exists, ErrorKind::Modified];
    refused(&ground, &to, &streams().full, &kinds);
    assert!(!ground.exists("copy@one"));
}

#[test]
fn a_full_stream_does_not_go_over_a_pool_s_root() {
    let ground = Ground::new();
    let pool = other_pool();
    let to = ReceiveRequest::new(pool.snapshot("@one"));
    let kinds = [ErrorKind::Exists, ErrorKind::Modified];
    refused(&ground, &to, &streams().full, &kinds);
    assert!(!ground.zfs.exists(&pool.snapshot("@one")).unwrap());
}

#[test]
fn a_read_only_pool_receives_nothing() {
    let ground = Ground::new();
    let pool = read_only_pool();
    let to = ReceiveRequest::new(pool.snapshot("fs/copy@one"));
    refused(&ground, &to, &streams().full, &[ErrorKind::ReadOnly]);
    assert!(!ground.zfs.exists(&pool.dataset("fs/copy")).unwrap());
}

#[test]
fn a_full_stream_does_not_go_over_a_filesystem_with_files() {
    let ground = Ground::with(&["copy"]);
    ground.write("copy", "own", b"content");
    let kinds = [ErrorKind::Exists, ErrorKind::Modified];
    refused(&ground, &ground.to("copy@one"), &streams().full, &kinds);
    assert_eq!(ground.read("copy", "own"), b"content");
}

#[test]
fn a_full_stream_does_not_go_over_a_filesystem_with_snapshots() {
    let ground = Ground::with(&["copy"]);
    ground.take("copy@own");
    let kinds = [ErrorKind::Exists, ErrorKind::Unrelated];
    refused(&ground, &ground.to("copy@one"), &streams().full, &kinds);
    assert!(ground.exists("copy@own"));
}

#[test]
fn a_snapshot_that_is_there_is_not_received_again() {
    let ground = Ground::with(&["copy"]);
    ground.take("copy@one");
    let to = ground.to("copy@one");
    refused(&ground, &to, &streams().full, &[ErrorKind::Exists]);
}

#[test]
fn a_full_stream_needs_the_parent_of_its_filesystem() {
    let ground = Ground::new();
    let to = ground.to("missing/copy@one");
    refused(&ground, &to, &streams().full, &[ErrorKind::NotFound]);
    assert!(!ground.exists("missing"));
}

#[test]
fn a_full_stream_with_an_origin_becomes_a_clone_of_it() {
    let ground = Ground::with(&["a"]);
    let origin = ground.take("a@x");
    let to = ground.to("copy@one").origin(origin.clone());
    receive(&ground.zfs, &to, &streams().full).unwrap();
    assert_eq!(get(ground.dataset("copy"), "origin"), origin.as_str());
    Streams::assert_first(&ground, "copy");
    let to = ground.to("copy2@one").origin(ground.snapshot("a@gone"));
    let kinds = [ErrorKind::NotFound, ErrorKind::BadStream];
    refused(&ground, &to, &streams().full, &kinds);
}

#[test]
fn a_full_stream_with_an_origin_does_not_go_over_that_origin_s_filesystem() {
    let ground = Ground::with(&["copy"]);
    let origin = ground.snapshot("copy@own");
    let to = ground.to("copy@one").origin(origin);
    let kinds = [
        ErrorKind::Exists,
        ErrorKind::Modified,
        ErrorKind::Unrelated,
        ErrorKind::BadStream,
    ];
    refused(&ground, &to, &streams().full, &kinds);
    ground.take("copy@own");
    refused(&ground, &to, &streams().full, &kinds);
    assert!(!ground.exists("copy@one"));
}

#[test]
fn a_mounted_filesystem_receives_as_well() {
    let ground = Ground::new();
    received(&ground);
    let copy = ground.dataset("copy");
    let folder = ground.pool.mount(&copy);
    let to = ground.to("copy@two");
    // Mounting alone may have written access times: forcing takes them back.
    receive(&ground.zfs, &to.force(), &streams().incremental).unwrap();
    assert!(folder.join("second").exists());
    ground.pool.unmount(&copy);
}

#[test]
fn a_filesystem_that_was_changed_is_told() {
    let ground = Ground::new();
    received(&ground);
    ground.write("copy", "own", b"change");
    let to = ground.to("copy@two");
    refused(&ground, &to, &streams().incremental, &[ErrorKind::Modified]);
    assert_eq!(ground.read("copy", "own"), b"change");
}

#[test]
fn a_snapshot_s_name_that_is_taken_is_told() {
    let ground = Ground::new();
    received(&ground);
    ground.take("copy@two");
    let to = ground.to("copy@two");
    refused(&ground, &to, &streams().incremental, &[ErrorKind::Exists]);
}

#[test]
fn a_newer_snapshot_without_changes_is_not_in_the_way() {
    let ground = Ground::new();
    received(&ground);
    ground.take("copy@between");
    let to = ground.to("copy@two");
    receive(&ground.zfs, &to, &streams().incremental).unwrap();
    assert!(ground.exists("copy@between"));
    assert!(ground.exists("copy@two"));
}

#[test]
fn an_origin_makes_no_sense_for_what_is_there() {
    let ground = Ground::new();
    received(&ground);
    ground.take("copy@between");
    let to = ground.to("copy@two").origin(ground.snapshot("copy@one"));
    let error = receive(&ground.zfs, &to, &streams().incremental).unwrap_err();
    assert_ne!(error.kind(), ErrorKind::Other, "{error}");
    assert!(!ground.exists("copy@two"));
}

#[test]
fn a_made_up_origin_makes_no_sense_either() {
    let ground = Ground::new();
    received(&ground);
    let to = ground.to("copy@two").origin(ground.snapshot("nothing@x"));
    let kinds = [ErrorKind::NotFound, ErrorKind::BadStream];
    refused(&ground, &to, &streams().incremental, &kinds);
    assert!(!ground.exists("copy@two"));
}

#[test]
fn a_newer_snapshot_with_changes_is_in_the_way() {
    let ground = Ground::new();
    received(&ground);
    ground.write("copy", "own", b"change");
    ground.take("copy@newer");
    let to = ground.to("copy@two");
    refused(&ground, &to, &streams().incremental, &[ErrorKind::Modified]);
    assert!(ground.exists("copy@newer"));
}

#[test]
fn the_same_incremental_stream_goes_once() {
    let ground = Ground::new();
    received(&ground);
    let to = ground.to("copy@two");
    receive(&ground.zfs, &to, &streams().incremental).unwrap();
    let again = ground.to("copy@again");
    refused(
        &ground,
        &again,
        &streams().incremental,
        &[ErrorKind::Modified],
    );
    assert!(!ground.exists("copy@again"));
}

#[test]
fn an_unrelated_filesystem_is_told_with_the_guid_that_it_lacks() {
    let ground = Ground::with(&["copy"]);
    let to = ground.to("copy@two");
    let error = receive(&ground.zfs, &to, &streams().incremental).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unrelated, "{error}");
    assert!(error.to_string().contains(&streams().one.1), "{error}");
}

#[test]
fn an_incremental_stream_needs_its_filesystem() {
    let ground = Ground::new();
    let to = ground.to("copy@two");
    refused(&ground, &to, &streams().incremental, &[ErrorKind::NotFound]);
    assert!(!ground.exists("copy"));
}

#[test]
fn a_filesystem_does_not_receive_its_own_past() {
    let ground = Ground::with(&["a"]);
    let one = ground.take("a@one");
    ground.write("a", "file", b"content");
    let two = ground.take("a@two");
    let request = SendRequest::snapshot(two).from(one);
    let stream = send(&ground.zfs, &request).unwrap();
    let to = ground.to("a@again");
    refused(&ground, &to, &stream, &[ErrorKind::Modified]);
    assert!(!ground.exists("a@again"));
}

#[test]
fn a_clone_of_a_copy_is_not_that_copy() {
    let ground = Ground::new();
    received(&ground);
    let one = ground.snapshot("copy@one");
    let clone = ground.dataset("clone");
    ground
        .zfs
        .clone_snapshot(&one, &clone, &Properties::new())
        .unwrap();
    for to in [ground.to("clone@two"), ground.to("clone@two").force()] {
        refused(
            &ground,
            &to,
            &streams().incremental,
            &[ErrorKind::Unrelated],
        );
    }
    assert!(ground.exists("copy@one"));
    assert!(!ground.exists("clone@two"));
}

#[test]
fn a_begin_record_that_was_read_before_says_the_name_and_begins_the_stream() {
    let ground = Ground::new();
    let mut stream = &streams().full[..];
    let begin = BeginRecord::read(&mut stream).unwrap();
    assert_eq!(begin.to_name(), streams().one.0);
    assert_eq!(begin.to_guid().to_string(), streams().one.1);
    let to = ground.to("copy@one").begin_record(begin);
    receive(&ground.zfs, &to, stream).unwrap();
    Streams::assert_first(&ground, "copy");
}

#[test]
fn nothing_is_received_below_a_volume() {
    let ground = Ground::new();
    let volume = CreateRequest::volume(ground.dataset("v"), 1 << 20);
    ground.zfs.create(&volume).unwrap();
    let to = ground.to("v/copy@one");
    let kinds = [ErrorKind::Invalid, ErrorKind::NotFound];
    refused(&ground, &to, &streams().full, &kinds);
}

/// The full stream of a small volume.
fn volume_stream(ground: &Ground) -> Vec<u8> {
    let volume = CreateRequest::volume(ground.dataset("v"), 1 << 20);
    ground.zfs.create(&volume).unwrap();
    let snapshot = ground.take("v@x");
    send(&ground.zfs, &SendRequest::snapshot(snapshot)).unwrap()
}

#[test]
fn a_volume_does_not_replace_what_has_children() {
    let ground = Ground::with(&["parent", "parent/child"]);
    let stream = volume_stream(&ground);
    let to = ground.to("parent@x").force();
    let error = receive(&ground.zfs, &to, &stream).unwrap_err();
    assert_ne!(error.kind(), ErrorKind::Other, "{error}");
    assert!(ground.exists("parent/child"));
}

#[test]
fn a_volume_does_not_replace_a_pool_s_root() {
    let ground = Ground::new();
    let stream = volume_stream(&ground);
    let pool = other_pool();
    let to = ReceiveRequest::new(pool.snapshot("@x")).force();
    let error = receive(&ground.zfs, &to, &stream).unwrap_err();
    assert_ne!(error.kind(), ErrorKind::Other, "{error}");
    assert_eq!(get(pool.name().root(), "type"), "filesystem");
}

/// A filesystem with two snapshots, and a clone of the second with one.
struct Branch {
    before: SnapshotName,
    tip: SnapshotName,
}

fn branch(ground: &Ground) -> Branch {
    ground.filesystem("a");
    let before = ground.take("a@before");
    ground.write("a", "file", b"before the branch");
    let origin = ground.take("a@origin");
    let clone = ground.dataset("b");
    ground
        .zfs
        .clone_snapshot(&origin, &clone, &Properties::new())
        .unwrap();
    ground.write("b", "own", b"of the branch");
    Branch {
        before,
        tip: ground.take("b@tip"),
    }
}

#[test]
fn a_clone_sent_in_full_stands_by_itself() {
    let ground = Ground::new();
    let branch = branch(&ground);
    let stream = send(&ground.zfs, &SendRequest::snapshot(branch.tip)).unwrap();
    receive(&ground.zfs, &ground.to("copy@tip"), &stream).unwrap();
    assert_eq!(get(ground.dataset("copy"), "origin"), "-");
    assert_eq!(ground.read("copy", "file"), b"before the branch");
}

/// What leads over the branch, and `copy@before` to receive it on.
fn across(ground: &Ground) -> Vec<u8> {
    let branch = branch(ground);
    let zfs = &ground.zfs;
    let full = send(zfs, &SendRequest::snapshot(branch.before.clone())).unwrap();
    receive(zfs, &ground.to("copy@before"), &full).unwrap();
    send(zfs, &SendRequest::snapshot(branch.tip).from(branch.before)).unwrap()
}

#[test]
fn a_stream_across_a_branch_does_not_go_over_the_copy() {
    let ground = Ground::new();
    let stream = across(&ground);
    let to = ground.to("copy@tip");
    let kinds = [ErrorKind::BadStream, ErrorKind::Unrelated];
    refused(&ground, &to, &stream, &kinds);
    assert!(!ground.exists("copy@tip"));
}

#[test]
fn a_stream_across_a_branch_does_not_go_over_the_copy_with_an_origin() {
    let ground = Ground::new();
    let stream = across(&ground);
    let to = ground.to("copy@tip").origin(ground.snapshot("copy@before"));
    let error = receive(&ground.zfs, &to, &stream).unwrap_err();
    assert_ne!(error.kind(), ErrorKind::Other, "{error}");
    assert!(!ground.exists("copy@tip"));
}

#[test]
fn a_stream_across_a_branch_makes_a_clone_of_the_copy() {
    let ground = Ground::new();
    let stream = across(&ground);
    let to = ground.to("new@tip").origin(ground.snapshot("copy@before"));
    receive(&ground.zfs, &to, &stream).unwrap();
    assert_eq!(ground.read("new", "own"), b"of the branch");
}

#[test]
fn a_stream_is_received_after_its_begin_record_alone() {
    let ground = Ground::with(&["a"]);
    let snapshot = ground.take("a@x");
    let stream = send(&ground.zfs, &SendRequest::snapshot(snapshot)).unwrap();
    let mut rest = &stream[..];
    let begin = BeginRecord::read(&mut rest).unwrap();
    let to = ground.to("copy@x").begin_record(begin);
    receive(&ground.zfs, &to, rest).unwrap();
    assert!(ground.exists("copy@x"));
}

#[test]
fn the_bytes_that_were_read_are_the_stream_s() {
    let ground = Ground::new();
    let to = ground.to("copy@one");
    let received = receive(&ground.zfs, &to, &streams().full).unwrap();
    assert_eq!(received.bytes_read, streams().full.len() as u64);
    // What follows a stream in the same pipe is not read.
    let mut longer = streams().incremental.clone();
    longer.extend([7; 5000]);
    let received = receive(&ground.zfs, &ground.to("copy@two"), &longer).unwrap();
    assert_eq!(received.bytes_read, streams().incremental.len() as u64);
}

#[test]
fn properties_that_came_with_the_stream_are_received_ones() {
    let ground = Ground::new();
    let to = ground
        .to("copy@one")
        .received_property("compression", "on")
        .received_property("org.example:sent", "value");
    let received = receive(&ground.zfs, &to, &streams().full).unwrap();
    assert_eq!(received.property_errors, []);
    let copy = ground.dataset("copy");
    assert_eq!(get(&copy, "compression"), "on");
    assert_eq!(source(&copy, "compression"), "received");
    assert_eq!(get(&copy, "org.example:sent"), "value");
    assert_eq!(source(&copy, "org.example:sent"), "received");
}

#[test]
fn a_property_that_makes_no_sense_is_told_and_the_others_are_set() {
    let ground = Ground::new();
    let to = ground
        .to("copy@one")
        .received_property("exec", 0xff)
        .received_property("atime", 0);
    let received = receive(&ground.zfs, &to, &streams().full).unwrap();
    assert_eq!(received.property_errors.len(), 1, "{received:?}");
    let error = &received.property_errors[0];
    assert_eq!(error.property, "exec");
    assert_eq!(error.failure.kind(), ErrorKind::Invalid, "{error}");
    assert!(ground.exists("copy@one"));
    let copy = ground.dataset("copy");
    assert_eq!(get(&copy, "atime"), "off");
    assert_eq!(source(&copy, "atime"), "received");
}

#[test]
fn properties_of_one_s_own_are_local_ones() {
    let ground = Ground::new();
    let to = ground
        .to("copy@one")
        .property("compression", "on")
        .property("org.example:own", "value");
    receive(&ground.zfs, &to, &streams().full).unwrap();
    let copy = ground.dataset("copy");
    assert_eq!(get(&copy, "compression"), "on");
    assert_eq!(source(&copy, "compression"), "local");
    assert_eq!(get(&copy, "org.example:own"), "value");
    assert_eq!(source(&copy, "org.example:own"), "local");
}

#[test]
fn own_properties_and_exclusions_go_before_received_ones() {
    let ground = Ground::new();
    let to = ground
        .to("copy@one")
        .received_property("atime", "on")
        .received_property("exec", "off")
        .received_property("org.example:both", "received")
        .property("compression", "on")
        .property("org.example:both", "local")
        .exclude("exec");
    let received = receive(&ground.zfs, &to, &streams().full).unwrap();
    assert_eq!(received.property_errors, []);
    let copy = ground.dataset("copy");
    assert_eq!(get(&copy, "compression"), "on");
    assert_eq!(get(&copy, "atime"), "on");
    assert_eq!(get(&copy, "exec"), "on");
    assert_eq!(get(&copy, "org.example:both"), "local");
    // What was received is remembered beneath.
    let beneath = |property| {
        let all = fixture::run(&["zfs", "get", "-Hpo", "received", property, copy.as_str()]);
        all.trim().to_owned()
    };
    assert_eq!(beneath("atime"), "on");
    assert_eq!(beneath("exec"), "off");
    assert_eq!(beneath("org.example:both"), "received");
}

#[test]
fn what_is_set_on_the_target_itself_stays_although_it_is_excluded() {
    let ground = Ground::new();
    // The first received properties of a dataset take the place of local ones.
    let first = ground
        .to("copy@one")
        .received_property("org.example:sent", "value");
    receive(&ground.zfs, &first, &streams().full).unwrap();
    let copy = ground.dataset("copy");
    let own = Properties::new()
        .with("atime", "off")
        .with("org.example:own", "x");
    ground.zfs.set_properties(&copy, &own).unwrap();
    let to = ground
        .to("copy@two")
        .received_property("atime", "on")
        .received_property("exec", "off")
        .received_property("quota", "1G")
        .exclude("atime")
        .exclude("exec")
        .exclude("quota")
        .exclude("org.example:own");
    let received = receive(&ground.zfs, &to, &streams().incremental).unwrap();
    assert_eq!(received.property_errors, []);
    assert_eq!(get(&copy, "atime"), "off");
    assert_eq!(source(&copy, "atime"), "local");
    assert_eq!(get(&copy, "org.example:own"), "x");
    assert_eq!(get(&copy, "exec"), "on");
    assert_eq!(get(&copy, "quota"), "0");
}

#[test]
fn zeroes_without_end_are_no_stream() {
    let ground = Ground::new();
    let zero = File::open("/dev/zero").unwrap();
    let request = ground.to("copy@one");
    let error = ground.zfs.receive_from(&request, &zero).unwrap_err();
    let problem = match &error {
        Error::Stream { problem, .. } => problem,
        other => panic!("{other}"),
    };
    assert_eq!(*problem, StreamProblem::NotAStream);
    let error = ground.zfs.receive(&request, zero.as_fd()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadStream, "{error}");
    assert!(!ground.exists("copy"));
}

#[test]
fn a_pool_without_space_says_so_and_keeps_nothing() {
    let pool = Pool::new();
    let ground = Ground::with(&["a"]);
    ground.write("a", "large", &fixture::noise(3, 4 << 20));
    let stream = send(&ground.zfs, &SendRequest::snapshot(ground.take("a@x"))).unwrap();
    pool.filesystem("fs");
    let free: u64 = get(pool.name().root(), "available").parse().unwrap();
    let reservation = format!("reservation={}", free - (2 << 20));
    let fs = pool.dataset("fs");
    fixture::run(&["zfs", "set", &reservation, fs.as_str()]);
    let to = ReceiveRequest::new(pool.snapshot("copy@x"));
    refused(&ground, &to, &stream, &[ErrorKind::NoSpace]);
    assert!(!ground.zfs.exists(&pool.dataset("copy")).unwrap());
}

#[test]
fn a_resumable_receive_without_space_goes_on_when_there_is_some() {
    let pool = Pool::new();
    let ground = Ground::with(&["a"]);
    ground.write("a", "large", &fixture::noise(3, 16 << 20));
    let snapshot = ground.take("a@x");
    let stream = send(&ground.zfs, &SendRequest::snapshot(snapshot.clone())).unwrap();
    let fs = pool.filesystem("fs");
    let free: u64 = get(pool.name().root(), "available").parse().unwrap();
    let reservation = format!("reservation={}", free - (8 << 20));
    fixture::run(&["zfs", "set", &reservation, fs.as_str()]);
    let (copy, to) = (
        pool.dataset("copy"),
        ReceiveRequest::new(pool.snapshot("copy@x")),
    );
    refused(
        &ground,
        &to.clone().resumable(),
        &stream,
        &[ErrorKind::NoSpace],
    );
    let partial = pool.zfs.dataset(&copy).unwrap();
    let token = partial.receive_resume_token().expect("what came is kept");

    fixture::run(&["zfs", "set", "reservation=none", fs.as_str()]);
    let token = ResumeToken::decode(token).unwrap();
    let rest = ground
        .zfs
        .resume_request(&ground.dataset("a"), &token)
        .unwrap();
    let rest = send(&ground.zfs, &rest).unwrap();
    assert!(rest.len() < stream.len(), "it began anew");
    receive(&pool.zfs, &to.resumable(), &rest).unwrap();
    assert_eq!(get(pool.snapshot("copy@x"), "guid"), get(&snapshot, "guid"));
}

/// Nothing comes out of these, whether their begin record is read by the
/// library or was read before.
#[test]
fn descriptors_that_cannot_be_read_are_told() {
    const EBADF: i32 = 9;
    const EISDIR: i32 = 21;
    let ground = Ground::new();
    let path = ground.pool.path().join("write-only");
    let file = File::create(&path).unwrap();
    let folder = File::open(ground.pool.path()).unwrap();
    let (_reader, writer) = stream_pipe().unwrap();
    let cases = [
        (closed(1000), EBADF),
        (closed(-2), EBADF),
        (file.as_fd(), EBADF),
        (writer.as_fd(), EBADF),
        (folder.as_fd(), EISDIR),
    ];
    let begin = BeginRecord::read(&mut &streams().full[..]).unwrap();
    for (descriptor, errno) in cases {
        let error = ground.zfs.receive(&ground.to("copy@one"), descriptor);
        match error.unwrap_err() {
            Error::Io { source, .. } => assert_eq!(source.raw_os_error(), Some(errno)),
            other => panic!("{other:?}"),
        }
        let begun = ground.to("copy@one").begin_record(begin.clone());
        let error = ground.zfs.receive(&begun, descriptor).unwrap_err();
        assert!(!ground.exists("copy"), "{error}");
    }
}
