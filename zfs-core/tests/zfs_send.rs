//! What can be sent, from where, and into what, on real pools.

mod fixture;

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Command, Stdio};

use fixture::shared::{Ground, other_pool};
use fixture::{closed, noise, receive, run, send};
use zfs_core::{
    BeginRecord, BookmarkName, DatasetName, Defer, Error, ErrorKind, NameProblem, Properties,
    SendFlags, SendRequest, SnapshotName, SnapshotOrBookmark, stream_pipe,
};

/// A filesystem `a` with 1 MiB between its snapshots `a@one` and `a@two`.
fn filled() -> (Ground, SnapshotName, SnapshotName) {
    let ground = Ground::with(&["a"]);
    let one = ground.take("a@one");
    ground.write("a", "file", &noise(1, 1 << 20));
    let two = ground.take("a@two");
    (ground, one, two)
}

/// As [`filled`], with nothing in it.
fn empty() -> (Ground, SnapshotName, SnapshotName) {
    let ground = Ground::with(&["a"]);
    let (one, two) = (ground.take("a@one"), ground.take("a@two"));
    (ground, one, two)
}

fn of(snapshot: &SnapshotName) -> SendRequest {
    SendRequest::snapshot(snapshot.clone())
}

#[track_caller]
fn near_the_estimate(ground: &Ground, request: &SendRequest) {
    let estimate = ground.zfs.send_space(request).unwrap();
    let length = send(&ground.zfs, request).unwrap().len() as u64;
    let spread = estimate / 20 + 4096;
    assert!(
        length.abs_diff(estimate) <= spread,
        "{length} bytes, estimated {estimate}"
    );
}

#[test]
fn a_full_stream_is_as_long_as_estimated() {
    let (ground, _, two) = filled();
    near_the_estimate(&ground, &of(&two));
}

#[test]
fn an_incremental_stream_is_as_long_as_estimated() {
    let (ground, one, two) = filled();
    near_the_estimate(&ground, &of(&two).from(one));
}

#[test]
fn all_combinations_of_flags_are_sent() {
    let (ground, one, _) = empty();
    let flags = [
        SendFlags::EMBED_DATA,
        SendFlags::LARGE_BLOCK,
        SendFlags::COMPRESS,
        SendFlags::RAW,
    ];
    for mask in 0..1 << flags.len() {
        let chosen = flags.iter().enumerate();
        let chosen: SendFlags = chosen
            .filter(|(bit, _)| mask & (1 << bit) != 0)
            .map(|(_, flag)| *flag)
            .collect();
        let stream = send(&ground.zfs, &of(&one).flags(chosen)).unwrap();
        let begin = BeginRecord::read(&mut &stream[..]).unwrap();
        assert_eq!(begin.to_name(), one.as_str(), "{chosen:?}");
        // What is not encrypted has nothing to be raw about.
        assert!(!begin.is_raw(), "{chosen:?}");
    }
}

#[test]
fn flags_that_are_none_are_refused() {
    let (ground, one, _) = empty();
    let unknown = SendFlags::from_bits_retain(1 << 20) | SendFlags::EMBED_DATA;
    let error = send(&ground.zfs, &of(&one).flags(unknown)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("flag"), "{error}");
}

#[track_caller]
fn unrelated(ground: &Ground, request: &SendRequest) {
    let error = send(&ground.zfs, request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unrelated, "{error}");
    let source = request.source().unwrap().as_str();
    assert!(error.to_string().contains(source), "{error}");
}

#[test]
fn a_snapshot_is_not_its_own_source() {
    let (ground, one, _) = empty();
    unrelated(&ground, &of(&one).from(&one));
}

#[test]
fn a_later_snapshot_is_no_source() {
    let (ground, one, two) = empty();
    unrelated(&ground, &of(&one).from(two));
}

#[test]
fn another_filesystem_s_snapshot_is_no_source() {
    let (ground, one, _) = empty();
    ground.filesystem("b");
    let foreign = ground.take("b@x");
    unrelated(&ground, &of(&one).from(foreign));
}

#[test]
fn another_pool_s_snapshot_is_no_source() {
    let (ground, one, _) = empty();
    let pool = other_pool();
    pool.filesystem("source");
    let foreign = pool.take("source@x");
    let error = send(&ground.zfs, &of(&one).from(foreign)).unwrap_err();
    assert!(error.to_string().contains("another pool"), "{error}");
}

#[test]
fn what_does_not_exist_is_not_found() {
    let (ground, one, _) = empty();
    let missing = ground.snapshot("a@missing");
    for request in [
        of(&one).from(&missing),
        of(&missing).from(&one),
        of(&missing),
    ] {
        let error = send(&ground.zfs, &request).unwrap_err();
        assert!(error.is_not_found(), "{error}");
        assert!(error.to_string().contains(request.name()), "{error}");
    }
}

#[test]
fn names_that_are_none_do_not_become_requests() {
    let ground = Ground::new();
    let text = format!("{}@sn!p", ground.dataset("a"));
    for error in [
        SnapshotName::parse(&text).unwrap_err(),
        text.parse::<SnapshotOrBookmark>().unwrap_err(),
    ] {
        assert!(
            matches!(
                &error,
                Error::InvalidName { name, problem: NameProblem::Character('!'), .. }
                    if *name == text
            ),
            "{error}"
        );
    }
}

#[test]
fn a_filesystem_is_sent_as_it_is() {
    let (ground, one, _) = filled();
    let now = SendRequest::dataset(ground.dataset("a"));
    let incremental = send(&ground.zfs, &now.clone().from(one)).unwrap();
    let full = send(&ground.zfs, &now).unwrap();
    for stream in [incremental, full] {
        assert!(stream.len() > 1 << 20);
        BeginRecord::read(&mut &stream[..]).unwrap();
    }
}

#[test]
fn a_filesystem_is_no_source() {
    let ground = Ground::with(&["a"]);
    let name = ground.dataset("a").to_string();
    // There is no type that it would fit.
    SnapshotName::parse(&name).unwrap_err();
    BookmarkName::parse(&name).unwrap_err();
    name.parse::<SnapshotOrBookmark>().unwrap_err();
}

#[test]
fn a_bookmark_is_nothing_to_send() {
    let (ground, one, two) = empty();
    let mark = ground.mark("a#mark", &two);
    ground.zfs.destroy_snapshots([&two], Defer::No).unwrap();
    SnapshotName::parse(mark.as_str()).unwrap_err();
    DatasetName::parse(mark.as_str()).unwrap_err();
    // Its snapshot's name alone does not bring it back.
    let error = send(&ground.zfs, &of(&two).from(one)).unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn a_bookmark_is_a_source() {
    let (ground, one, two) = filled();
    let with_snapshot = send(&ground.zfs, &of(&two).from(&one)).unwrap();
    let mark = ground.mark("a#mark", &one);
    ground.zfs.destroy_snapshots([&one], Defer::No).unwrap();
    let stream = send(&ground.zfs, &of(&two).from(mark)).unwrap();
    let guid = |stream: &[u8]| BeginRecord::read(&mut &stream[..]).unwrap().from_guid();
    assert_eq!(guid(&stream), guid(&with_snapshot));
}

#[track_caller]
fn bad_descriptor(fd: BorrowedFd<'_>) {
    let (ground, one, _) = empty();
    let error = ground.zfs.send(&of(&one), fd).unwrap_err();
    match &error {
        Error::Io { source, .. } => assert_eq!(source.raw_os_error(), Some(9), "{error}"),
        other => panic!("{other:?}"),
    }
    assert!(error.to_string().contains("descriptor"), "{error}");
}

#[test]
fn a_closed_descriptor_is_told() {
    // As high as no other test's thread gets meanwhile.
    bad_descriptor(closed(1000));
}

#[test]
fn a_negative_descriptor_is_told() {
    bad_descriptor(closed(-2));
}

#[test]
fn a_descriptor_beyond_the_limit_is_told() {
    bad_descriptor(closed(i32::MAX));
}

#[test]
fn a_reader_that_has_gone_ends_the_send() {
    let (ground, one, _) = empty();
    let mut child = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
    let pipe = child.stdin.take().unwrap();
    child.wait().unwrap();
    let error = ground.zfs.send(&of(&one), pipe.as_fd()).unwrap_err();
    assert!(error.is_interrupted(), "{error}");
}

#[test]
fn a_reader_that_goes_ends_the_send() {
    let (ground, _, two) = filled();
    let mut child = Command::new("head")
        .args(["-c", "70000"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pipe = child.stdin.take().unwrap();
    let error = ground.zfs.send(&of(&two), pipe.as_fd()).unwrap_err();
    assert!(error.is_interrupted(), "{error}");
    child.wait().unwrap();
    // Nothing is left in use.
    ground.zfs.destroy_snapshots([&two], Defer::No).unwrap();
}

#[test]
fn a_file_that_is_open_for_reading_alone_is_told() {
    let (ground, one, _) = empty();
    let path = ground.pool.path().join("read-only");
    File::create(&path).unwrap();
    let file = OpenOptions::new().read(true).open(&path).unwrap();
    let error = ground.zfs.send(&of(&one), file.as_fd()).unwrap_err();
    match &error {
        Error::Io { source, .. } => assert_eq!(source.raw_os_error(), Some(9), "{error}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(file.metadata().unwrap().len(), 0);
    // The reading end of a pipe is the same mistake.
    let (reader, _writer) = stream_pipe().unwrap();
    let error = ground.zfs.send(&of(&one), reader.as_fd()).unwrap_err();
    assert!(matches!(error, Error::Zfs(_)), "{error:?}");
}

#[test]
fn a_sink_without_room_is_told() {
    let (ground, _, two) = filled();
    let small = ground.pool.path().join("small");
    std::fs::create_dir(&small).unwrap();
    let folder = small.to_str().unwrap();
    run(&["mount", "-t", "tmpfs", "-o", "size=256k", "none", folder]);
    // A device that the kernel does not write into by itself, and a file.
    let device = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let file = File::create(small.join("stream")).unwrap();
    let answers = [&device, &file].map(|sink| ground.zfs.send(&of(&two), sink.as_fd()));
    drop(file);
    run(&["umount", folder]);
    for answer in answers {
        let error = answer.unwrap_err();
        match &error {
            Error::Io { source, .. } => assert_eq!(source.raw_os_error(), Some(28), "{error}"),
            other => panic!("{other:?}"),
        }
        assert!(error.to_string().contains("No space left"), "{error}");
    }
    // Nothing is left in use.
    ground.zfs.destroy_snapshots([&two], Defer::No).unwrap();
}

/// A filesystem with two snapshots, and a clone of the second with one.
fn branch() -> (Ground, SnapshotName, SnapshotName) {
    let ground = Ground::with(&["a"]);
    let before = ground.take("a@before");
    ground.write("a", "file", b"before the branch");
    let origin = ground.take("a@origin");
    let clone = ground.dataset("b");
    ground
        .zfs
        .clone_snapshot(&origin, &clone, &Properties::new())
        .unwrap();
    let tip = ground.take("b@tip");
    (ground, before, tip)
}

#[test]
fn a_clone_s_snapshot_is_sent_in_full() {
    let (ground, _, tip) = branch();
    let stream = send(&ground.zfs, &of(&tip)).unwrap();
    assert!(!BeginRecord::read(&mut &stream[..]).unwrap().is_clone());
}

#[test]
fn a_clone_s_snapshot_is_sent_from_before_its_branch() {
    let (ground, before, tip) = branch();
    let stream = send(&ground.zfs, &of(&tip).from(before)).unwrap();
    assert!(BeginRecord::read(&mut &stream[..]).unwrap().is_clone());
}

/// Receives the beginning of a stream, and then the rest of it by the token
/// that is left.
fn resumed(ground: &Ground, copy: &str, request: &SendRequest) {
    let zfs = &ground.zfs;
    let whole = send(zfs, request).unwrap();
    let to = ground.to(copy).resumable();
    let error = receive(zfs, &to, &whole[..whole.len() / 2]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StreamTruncated, "{error}");

    let dataset = to_dataset(ground, copy);
    let token = zfs.receive_resume_token(&dataset).unwrap().unwrap();
    let rest = zfs.resume_request(&ground.dataset("a"), &token).unwrap();
    assert_eq!(rest.name(), request.name());
    assert_eq!(rest.source(), request.source());
    let stream = send(zfs, &rest).unwrap();
    assert!(stream.len() < whole.len() * 3 / 4, "{}", stream.len());
    receive(zfs, &to, &stream).unwrap();
    assert_eq!(zfs.receive_resume_token(&dataset).unwrap(), None);
}

fn to_dataset(ground: &Ground, snapshot: &str) -> DatasetName {
    ground.snapshot(snapshot).dataset().clone()
}

#[test]
fn the_rest_of_a_full_stream_is_sent_by_its_token() {
    let (ground, _, two) = filled();
    resumed(&ground, "copy@two", &of(&two));
    assert!(ground.read("copy", "file") == noise(1, 1 << 20));
}

#[test]
fn the_rest_of_an_incremental_stream_is_sent_by_its_token() {
    let (ground, one, two) = filled();
    let full = send(&ground.zfs, &of(&one)).unwrap();
    receive(&ground.zfs, &ground.to("copy@one"), &full).unwrap();
    resumed(&ground, "copy@two", &of(&two).from(one));
    assert!(ground.read("copy", "file") == noise(1, 1 << 20));
}

#[test]
fn any_descriptor_takes_a_stream() {
    let (ground, _, two) = filled();
    let expected = send(&ground.zfs, &of(&two)).unwrap();
    let null = OpenOptions::new().write(true).open("/dev/null").unwrap();
    ground.zfs.send(&of(&two), null.as_fd()).unwrap();

    let path = ground.pool.path().join("stream");
    let mut file = File::create(&path).unwrap();
    file.write_all(b"before ").unwrap();
    ground.zfs.send(&of(&two), file.as_fd()).unwrap();
    let content = std::fs::read(&path).unwrap();
    assert_eq!(&content[..7], b"before ");
    assert!(content[7..] == expected);

    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let read = std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let mut bytes = Vec::new();
            (&theirs).read_to_end(&mut bytes).unwrap();
            bytes
        });
        ground.zfs.send(&of(&two), ours.as_fd()).unwrap();
        drop(ours);
        reader.join().unwrap()
    });
    assert!(read == expected);
}
