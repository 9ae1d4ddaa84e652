//! Sending and receiving between real pools.

mod fixture;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::thread;

use fixture::{Pool, get, noise, receive, run, send, source, transfer, version};
use zfs_core::{
    BeginRecord, CreateRequest, DatasetName, Defer, Encryption, Error, ErrorKind, ReceiveRequest,
    SendFlags, SendRequest, SnapshotName, StreamProblem, stream_pipe,
};
use zfs_stream::token::ResumeToken;

const KEY: [u8; 32] = [0x17; 32];

/// Two pools, and on the first a filesystem with two snapshots.
struct Sites {
    a: Pool,
    b: Pool,
    source: DatasetName,
    one: SnapshotName,
    two: SnapshotName,
}

const SIZE: usize = 3 << 20;

impl Sites {
    fn new() -> Sites {
        let (a, b) = (Pool::new(), Pool::new());
        let source = a.filesystem("data");
        a.write(&source, "first", &noise(1, SIZE));
        let one = a.take("data@one");
        a.write(&source, "second", &noise(2, SIZE / 2));
        let two = a.take("data@two");
        Sites {
            a,
            b,
            source,
            one,
            two,
        }
    }

    fn full(&self) -> SendRequest {
        SendRequest::snapshot(self.one.clone())
    }

    fn incremental(&self) -> SendRequest {
        SendRequest::snapshot(self.two.clone()).from(&self.one)
    }

    fn to(&self, relative: &str) -> ReceiveRequest {
        ReceiveRequest::new(self.b.snapshot(relative))
    }

    /// A full stream, and its snapshot on the other pool.
    fn replicated(&self) -> Vec<u8> {
        let stream = send(&self.a.zfs, &self.full()).unwrap();
        receive(&self.a.zfs, &self.to("copy@one"), &stream).unwrap();
        stream
    }

    #[track_caller]
    fn compare(&self, copy: &DatasetName) {
        assert!(self.b.read(copy, "first") == noise(1, SIZE));
        assert!(self.b.read(copy, "second") == noise(2, SIZE / 2));
    }
}

#[test]
fn full_and_incremental_streams_bring_content_and_identity() {
    let sites = Sites::new();
    let zfs = &sites.a.zfs;
    let full = transfer(zfs, &sites.full(), &sites.to("copy@one")).unwrap();
    assert!(full.bytes_read > SIZE as u64, "{full:?}");
    assert_eq!(full.property_errors, []);
    let incremental = transfer(zfs, &sites.incremental(), &sites.to("copy@two")).unwrap();
    assert!(incremental.bytes_read > SIZE as u64 / 2);
    assert!(incremental.bytes_read < full.bytes_read);

    let copy = sites.b.dataset("copy");
    let arrived = [sites.b.snapshot("copy@one"), sites.b.snapshot("copy@two")];
    assert_eq!(get(&arrived[0], "guid"), get(&sites.one, "guid"));
    assert_eq!(get(&arrived[1], "guid"), get(&sites.two, "guid"));
    sites.compare(&copy);
}

#[test]
fn a_bookmark_is_as_good_a_source_as_its_snapshot() {
    let sites = Sites::new();
    sites.replicated();
    let mark = sites.source.with_bookmark("one").unwrap();
    let zfs = &sites.a.zfs;
    zfs.bookmark([(&mark, &(&sites.one).into())]).unwrap();
    zfs.destroy_snapshots([&sites.one], Defer::No).unwrap();
    let request = SendRequest::snapshot(sites.two.clone()).from(mark);
    let estimate = zfs.send_space(&request).unwrap();
    assert!(estimate > SIZE as u64 / 2, "{estimate}");
    transfer(zfs, &request, &sites.to("copy@two")).unwrap();
    sites.compare(&sites.b.dataset("copy"));
}

#[test]
fn the_stream_says_what_it_is() {
    let sites = Sites::new();
    let full = send(&sites.a.zfs, &sites.full()).unwrap();
    let begin = BeginRecord::read(&mut &full[..]).unwrap();
    assert_eq!(begin.to_name(), sites.one.as_str());
    assert_eq!(begin.to_guid().to_string(), get(&sites.one, "guid"));
    assert_eq!(begin.from_guid(), None);
    assert!(!begin.is_raw());
    let incremental = send(&sites.a.zfs, &sites.incremental()).unwrap();
    let begin = BeginRecord::read(&mut &incremental[..]).unwrap();
    let from = begin.from_guid().unwrap();
    assert_eq!(from.to_string(), get(&sites.one, "guid"));
}

#[test]
fn estimates_are_near_what_is_sent() {
    let sites = Sites::new();
    for request in [sites.full(), sites.incremental()] {
        let estimate = sites.a.zfs.send_space(&request).unwrap();
        let sent = send(&sites.a.zfs, &request).unwrap().len() as u64;
        let (low, high) = (sent - sent / 5, sent + sent / 5);
        assert!((low..high).contains(&estimate), "{estimate} for {sent}");
    }
}

#[test]
fn raw_streams_carry_encrypted_data_without_its_key() {
    let (a, b) = (Pool::new(), Pool::new());
    let secret = a.dataset("secret");
    let encryption = Encryption::raw(KEY.into());
    a.zfs
        .create(&CreateRequest::filesystem(secret.clone()).encryption(encryption))
        .unwrap();
    a.write(&secret, "file", &noise(3, SIZE));
    let one = a.take("secret@one");
    a.write(&secret, "file2", b"more");
    let two = a.take("secret@two");
    a.zfs.unload_key(&secret).unwrap();

    let plain = SendRequest::snapshot(one.clone());
    let error = send(&a.zfs, &plain).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyUnavailable, "{error}");

    let raw = plain.flags(SendFlags::RAW);
    let stream = send(&a.zfs, &raw).unwrap();
    assert!(BeginRecord::read(&mut &stream[..]).unwrap().is_raw());
    let to = ReceiveRequest::new(b.snapshot("secret@one")).raw();
    transfer(&a.zfs, &raw, &to).unwrap();
    let raw = SendRequest::snapshot(two).from(one).flags(SendFlags::RAW);
    let to = ReceiveRequest::new(b.snapshot("secret@two")).raw();
    transfer(&a.zfs, &raw, &to).unwrap();

    let copy = b.dataset("secret");
    assert_eq!(get(&copy, "encryptionroot"), copy.as_str());
    assert_eq!(get(&copy, "keystatus"), "unavailable");
    b.zfs.load_key(&copy, &KEY.into()).unwrap();
    assert!(b.read(&copy, "file") == noise(3, SIZE));
    assert_eq!(b.read(&copy, "file2"), b"more");
}

#[test]
fn only_a_raw_stream_is_received_where_only_raw_is_wanted() {
    let sites = Sites::new();
    let stream = send(&sites.a.zfs, &sites.full()).unwrap();
    let error = receive(&sites.a.zfs, &sites.to("copy@one").raw(), &stream).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Stream {
                problem: StreamProblem::NotRaw,
                ..
            }
        ),
        "{error}"
    );
    assert!(!sites.b.zfs.exists(&sites.b.dataset("copy")).unwrap());
}

/// The feature flags of a stream as zstream(8) shows them.
fn features(stream: &[u8]) -> String {
    let mut zstream = Command::new("zstream")
        .arg("dump")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = zstream.stdin.take().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || input.write_all(stream).unwrap());
        let mut text = String::new();
        let mut output = zstream.stdout.take().unwrap();
        output.read_to_string(&mut text).unwrap();
        assert!(zstream.wait().unwrap().success());
        let line = text.lines().find(|line| line.contains("features ="));
        line.unwrap().to_owned()
    })
}

#[test]
fn every_flag_reaches_the_stream() {
    let pool = Pool::with(&["-O", "recordsize=1M", "-O", "compression=lz4"]);
    let fs = pool.filesystem("a");
    let mut content = noise(5, 2 << 20);
    content.extend(vec![b'x'; 2 << 20]);
    pool.write(&fs, "large", &content);
    pool.write(
        &fs,
        "small",
        b"embedded in its block pointer, if small enough",
    );
    let snapshot = pool.take("a@x");
    let stream = |flags| {
        send(
            &pool.zfs,
            &SendRequest::snapshot(snapshot.clone()).flags(flags),
        )
        .unwrap()
    };
    let plain = stream(SendFlags::empty());
    let plain_features = features(&plain);
    for flag in [
        SendFlags::LARGE_BLOCK,
        SendFlags::EMBED_DATA,
        SendFlags::COMPRESS | SendFlags::LARGE_BLOCK,
        SendFlags::RAW,
    ] {
        let flagged = stream(flag);
        assert_ne!(features(&flagged), plain_features, "{flag:?}");
        let copy = format!("copy{}", flag.bits());
        let to = ReceiveRequest::new(pool.snapshot(&format!("{copy}@x")));
        receive(&pool.zfs, &to, &flagged).unwrap();
        assert!(pool.read(&pool.dataset(&copy), "large") == content);
    }
    let compressed = stream(SendFlags::COMPRESS | SendFlags::LARGE_BLOCK);
    assert!(compressed.len() + (1 << 20) < plain.len());
}

#[test]
fn a_volume_is_sent_as_well() {
    let (a, b) = (Pool::new(), Pool::new());
    a.zfs
        .create(&CreateRequest::volume(a.dataset("v"), 4 << 20))
        .unwrap();
    let snapshot = a.take("v@x");
    let to = ReceiveRequest::new(b.snapshot("v@x"));
    transfer(&a.zfs, &SendRequest::snapshot(snapshot), &to).unwrap();
    assert_eq!(get(b.dataset("v"), "type"), "volume");
    assert_eq!(get(b.dataset("v"), "volsize"), (4 << 20).to_string());
}

/// Receives the first bytes of a stream and gives the token of the rest.
fn interrupted(sites: &Sites, stream: &[u8], length: usize) -> ResumeToken {
    let to = sites.to("copy@one").resumable();
    let error = receive(&sites.a.zfs, &to, &stream[..length]).unwrap_err();
    assert!(
        matches!(
            error.kind(),
            ErrorKind::StreamTruncated | ErrorKind::BadStream
        ),
        "{error}"
    );
    let token = get(sites.b.dataset("copy"), "receive_resume_token");
    ResumeToken::decode(&token).unwrap_or_else(|error| panic!("{token}: {error}"))
}

#[test]
fn an_interrupted_receive_goes_on_where_it_stopped() {
    let sites = Sites::new();
    let zfs = &sites.a.zfs;
    let stream = send(zfs, &sites.full()).unwrap();
    let token = interrupted(&sites, &stream, SIZE * 2 / 3);
    assert_eq!(token.to_guid.to_string(), get(&sites.one, "guid"));
    assert!(token.bytes > SIZE as u64 / 3, "{token:?}");

    let rest = sites
        .full()
        .resume(token.object, token.offset)
        .already_received(token.bytes);
    let estimate = zfs.send_space(&rest).unwrap();
    assert!(estimate < stream.len() as u64 * 2 / 3, "{estimate}");
    // What has begun cannot be begun again.
    let error = receive(zfs, &sites.to("copy@one"), &stream).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Busy | ErrorKind::Exists),
        "{error}"
    );

    let resumed = send(zfs, &rest).unwrap();
    assert!(resumed.len() + token.bytes as usize <= stream.len() + stream.len() / 20);
    receive(zfs, &sites.to("copy@one").resumable(), &resumed).unwrap();
    let copy = sites.b.dataset("copy");
    assert_eq!(get(&copy, "receive_resume_token"), "-");
    transfer(zfs, &sites.incremental(), &sites.to("copy@two")).unwrap();
    sites.compare(&copy);
}

#[test]
fn what_an_interrupted_receive_saved_can_be_sent_on() {
    let sites = Sites::new();
    let zfs = &sites.a.zfs;
    let stream = send(zfs, &sites.full()).unwrap();
    interrupted(&sites, &stream, SIZE * 2 / 3);
    let saved = send(zfs, &SendRequest::saved(sites.b.dataset("copy"))).unwrap();
    assert!(saved.len() > SIZE / 3, "{}", saved.len());
    // It is the beginning of a stream whose end is still missing.
    let to = sites.to("third@one").resumable();
    let error = receive(zfs, &to, &saved).unwrap_err();
    assert!(
        matches!(
            error.kind(),
            ErrorKind::StreamTruncated | ErrorKind::BadStream
        ),
        "{error}"
    );
    let token = get(sites.b.dataset("third"), "receive_resume_token");
    assert!(token.starts_with("1-"), "{token}");
}

#[test]
fn an_incremental_receive_leaves_its_part_in_a_hidden_child() {
    let sites = Sites::new();
    let zfs = &sites.a.zfs;
    sites.replicated();
    let stream = send(zfs, &sites.incremental()).unwrap();
    let to = sites.to("copy@two").resumable();
    let error = receive(zfs, &to, &stream[..SIZE / 4]).unwrap_err();
    assert!(
        matches!(
            error.kind(),
            ErrorKind::StreamTruncated | ErrorKind::BadStream
        ),
        "{error}"
    );
    let copy = sites.b.dataset("copy");
    let error = receive(zfs, &to, &stream).unwrap_err();
    assert!(error.is_busy(), "{error}");
    assert!(error.to_string().contains("zfs receive -A"), "{error}");
    zfs.destroy(&copy.partial_receive().unwrap()).unwrap();
    assert_eq!(get(&copy, "receive_resume_token"), "-");
    receive(zfs, &to, &stream).unwrap();
    sites.compare(&copy);
}

#[test]
fn a_stream_cut_off_leaves_nothing_unless_it_is_resumable() {
    let sites = Sites::new();
    let stream = send(&sites.a.zfs, &sites.full()).unwrap();
    for length in [313, 3 << 10, SIZE / 2, stream.len() - 1] {
        let error = receive(&sites.a.zfs, &sites.to("copy@one"), &stream[..length]).unwrap_err();
        assert!(
            matches!(
                error.kind(),
                ErrorKind::StreamTruncated | ErrorKind::BadStream
            ),
            "{length}: {error}"
        );
        assert!(!sites.b.zfs.exists(&sites.b.dataset("copy")).unwrap());
    }
}

#[test]
fn what_is_no_stream_is_told_in_words() {
    let sites = Sites::new();
    let problem = |bytes: &[u8]| match receive(&sites.a.zfs, &sites.to("copy@one"), bytes) {
        Err(Error::Stream { problem, .. }) => problem,
        other => panic!("{other:?}"),
    };
    assert_eq!(problem(b""), StreamProblem::Empty);
    assert_eq!(problem(&[0; 100]), StreamProblem::Truncated { bytes: 100 });
    assert_eq!(problem(&[0; 4096]), StreamProblem::NotAStream);
    assert_eq!(problem(&noise(9, 1 << 20)), StreamProblem::NotAStream);
    let package = Command::new("zfs")
        .args(["send", "-R", sites.one.as_str()])
        .output()
        .unwrap();
    assert_eq!(problem(&package.stdout), StreamProblem::Package);
    // A right beginning does not make the rest right.
    let mut stream = send(&sites.a.zfs, &sites.full()).unwrap();
    for byte in &mut stream[SIZE / 2..SIZE / 2 + 64] {
        *byte ^= 0xff;
    }
    let error = receive(&sites.a.zfs, &sites.to("copy@one"), &stream).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadStream, "{error}");
    assert!(!sites.b.zfs.exists(&sites.b.dataset("copy")).unwrap());
}

#[test]
fn a_stream_is_received_from_a_file_and_after_its_begin_record() {
    let sites = Sites::new();
    let stream = send(&sites.a.zfs, &sites.full()).unwrap();
    let path = sites.a.path().join("stream");
    std::fs::write(&path, &stream).unwrap();
    let file = File::open(&path).unwrap();
    let received = sites
        .a
        .zfs
        .receive(&sites.to("file@one"), file.as_fd())
        .unwrap();
    assert_eq!(received.bytes_read, stream.len() as u64);

    let mut file = File::open(&path).unwrap();
    let begin = BeginRecord::read(&mut file).unwrap();
    let to = sites.to("begun@one").begin_record(begin);
    let received = sites.a.zfs.receive(&to, file.as_fd()).unwrap();
    assert_eq!(received.bytes_read, stream.len() as u64);
    assert!(sites.b.read(&sites.b.dataset("begun"), "first") == noise(1, SIZE));
}

#[test]
fn streams_go_into_pipes_alone() {
    let sites = Sites::new();
    let zfs = &sites.a.zfs;
    let null = File::create("/dev/null").unwrap();
    let file = File::create(sites.a.path().join("stream")).unwrap();
    for other in [null, file] {
        let error = zfs.send(&sites.full(), other.as_fd()).unwrap_err();
        assert!(error.to_string().contains("not a pipe"), "{error}");
    }
    // The reading end of a pipe cannot be written to.
    let (reader, _writer) = stream_pipe().unwrap();
    let error = zfs.send(&sites.full(), reader.as_fd()).unwrap_err();
    assert!(matches!(error, Error::Zfs(_)), "{error:?}");

    let zero = File::open("/dev/zero").unwrap();
    let error = zfs
        .receive(&sites.to("copy@one"), zero.as_fd())
        .unwrap_err();
    assert!(error.to_string().contains("neither a pipe"), "{error}");
}

#[test]
fn a_send_ends_when_its_reader_goes() {
    let sites = Sites::new();
    let zfs = &sites.a.zfs;
    let (reader, writer) = stream_pipe().unwrap();
    drop(reader);
    let error = zfs.send(&sites.full(), writer.as_fd()).unwrap_err();
    assert!(error.is_interrupted(), "{error}");

    // In the middle, from another thread: this is how a send is cancelled.
    let (reader, writer) = stream_pipe().unwrap();
    let error = thread::scope(|scope| {
        let request = sites.full();
        let sender = scope.spawn(move || zfs.send(&request, writer.as_fd()));
        let mut some = [0; 4096];
        File::from(reader).read_exact(&mut some).unwrap();
        sender.join().unwrap().unwrap_err()
    });
    assert!(error.is_interrupted(), "{error}");
    // Nothing is left in use.
    zfs.destroy_snapshots([&sites.one], Defer::No).unwrap();
}

#[test]
fn what_cannot_be_a_source_is_told() {
    let sites = Sites::new();
    let zfs = &sites.a.zfs;
    let other = sites.a.filesystem("other");
    let unrelated = sites.a.take("other@x");
    let mark = other.with_bookmark("x").unwrap();
    zfs.bookmark([(&mark, &(&unrelated).into())]).unwrap();
    let snapshot = |name: &SnapshotName| SendRequest::snapshot(name.clone());
    for request in [
        snapshot(&sites.one).from(&sites.two),
        snapshot(&sites.one).from(&sites.one),
        snapshot(&sites.two).from(&unrelated),
        snapshot(&sites.two).from(&mark),
    ] {
        let error = send(zfs, &request).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unrelated, "{request:?}: {error}");
        let from = request.source().unwrap().as_str();
        assert!(error.to_string().contains(from), "{error}");
    }
    let missing = sites.a.snapshot("data@missing");
    for request in [
        snapshot(&missing),
        snapshot(&sites.two).from(&missing),
        snapshot(&sites.a.snapshot("missing@x")),
        snapshot(&sites.two).from(sites.source.with_bookmark("missing").unwrap()),
    ] {
        let error = send(zfs, &request).unwrap_err();
        assert!(error.is_not_found(), "{request:?}: {error}");
        let error = zfs.send_space(&request).unwrap_err();
        assert!(error.is_not_found(), "{request:?}: {error}");
    }
    let foreign = sites.b.take("@x");
    let error = send(zfs, &snapshot(&sites.two).from(&foreign)).unwrap_err();
    assert!(error.to_string().contains("another pool"), "{error}");
}

#[test]
fn a_filesystem_is_sent_as_it_is_while_nobody_uses_it() {
    let sites = Sites::new();
    let zfs = &sites.a.zfs;
    let request = SendRequest::dataset(sites.source.clone());
    let stream = send(zfs, &request).unwrap();
    receive(zfs, &sites.to("copy@now"), &stream).unwrap();
    sites.compare(&sites.b.dataset("copy"));
    sites.a.mount(&sites.source);
    let error = send(zfs, &request).unwrap_err();
    assert!(error.is_busy(), "{error}");
    sites.a.unmount(&sites.source);
}

#[test]
fn what_does_not_fit_the_destination_is_told_and_changes_nothing() {
    let sites = Sites::new();
    let zfs = &sites.a.zfs;
    let full = sites.replicated();
    let incremental = send(zfs, &sites.incremental()).unwrap();

    let error = receive(zfs, &sites.to("copy@one"), &full).unwrap_err();
    assert!(error.is_exists(), "{error}");
    let error = receive(zfs, &sites.to("missing/copy@one"), &full).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    let error = receive(zfs, &sites.to("missing@two"), &incremental).unwrap_err();
    assert!(error.is_not_found(), "{error}");

    let strange = sites.b.filesystem("strange");
    sites.b.take("strange@x");
    let error = receive(zfs, &sites.to("strange@two"), &incremental).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unrelated, "{error}");
    assert!(error.to_string().contains(strange.as_str()), "{error}");
}

#[test]
fn a_destination_that_was_changed_is_rolled_back_when_forced() {
    let sites = Sites::new();
    let zfs = &sites.a.zfs;
    sites.replicated();
    let copy = sites.b.dataset("copy");
    sites.b.write(&copy, "local", b"change");
    let incremental = send(zfs, &sites.incremental()).unwrap();
    let error = receive(zfs, &sites.to("copy@two"), &incremental).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Modified, "{error}");
    receive(zfs, &sites.to("copy@two").force(), &incremental).unwrap();
    sites.compare(&copy);
    let folder = sites.b.mount(&copy);
    assert!(!folder.join("local").exists());
    sites.b.unmount(&copy);
}

#[test]
fn forcing_destroys_newer_snapshots_unless_they_are_held() {
    let sites = Sites::new();
    let zfs = &sites.a.zfs;
    sites.replicated();
    let copy = sites.b.dataset("copy");
    sites.b.write(&copy, "local", b"change");
    let newer = sites.b.take("copy@newer");
    let incremental = send(zfs, &sites.incremental()).unwrap();
    let error = receive(zfs, &sites.to("copy@two"), &incremental).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Modified, "{error}");

    zfs.hold([&newer], "keep").unwrap();
    let error = receive(zfs, &sites.to("copy@two").force(), &incremental).unwrap_err();
    assert!(error.is_busy(), "{error}");
    assert!(zfs.exists(&newer).unwrap());
    assert_eq!(sites.b.read(&copy, "local"), b"change");

    zfs.release([&newer], "keep").unwrap();
    receive(zfs, &sites.to("copy@two").force(), &incremental).unwrap();
    assert!(!zfs.exists(&newer).unwrap());
    sites.compare(&copy);
}

#[test]
fn a_full_stream_that_is_forced_replaces_what_is_there() {
    let sites = Sites::new();
    let zfs = &sites.a.zfs;
    let full = send(zfs, &sites.full()).unwrap();
    let there = sites.b.filesystem("there");
    let old = sites.b.take("there@old");
    let error = receive(zfs, &sites.to("there@one"), &full).unwrap_err();
    assert!(error.is_exists(), "{error}");
    assert!(zfs.exists(&old).unwrap());
    receive(zfs, &sites.to("there@one").force(), &full).unwrap();
    assert!(sites.b.read(&there, "first") == noise(1, SIZE));
    assert!(!zfs.exists(&old).unwrap());
}

#[test]
fn properties_are_set_excluded_and_received() {
    let sites = Sites::new();
    let to = sites
        .to("copy@one")
        .property("org.example:local", "override")
        .property("recordsize", 8192)
        .received_property("org.example:sent", "with the stream")
        .received_property("org.example:left", "with the stream")
        .exclude("org.example:left");
    transfer(&sites.a.zfs, &sites.full(), &to).unwrap();
    let copy = sites.b.dataset("copy");
    assert_eq!(get(&copy, "org.example:local"), "override");
    assert_eq!(source(&copy, "org.example:local"), "local");
    assert_eq!(get(&copy, "recordsize"), "8192");
    assert_eq!(get(&copy, "org.example:sent"), "with the stream");
    assert_eq!(source(&copy, "org.example:sent"), "received");
    assert_eq!(get(&copy, "org.example:left"), "-");
}

#[test]
fn a_property_that_cannot_be_set_is_told_and_the_rest_received() {
    let sites = Sites::new();
    let to = sites
        .to("copy@one")
        .received_property("compression", 120)
        .received_property("org.example:good", "yes");
    let received = transfer(&sites.a.zfs, &sites.full(), &to).unwrap();
    assert_eq!(received.property_errors.len(), 1, "{received:?}");
    let error = &received.property_errors[0];
    assert_eq!(error.property, "compression");
    assert_eq!(error.failure.kind(), ErrorKind::Invalid, "{error}");
    let copy = sites.b.dataset("copy");
    assert_eq!(get(&copy, "org.example:good"), "yes");
    assert!(sites.b.read(&copy, "first") == noise(1, SIZE));
}

#[test]
fn a_clone_arrives_as_a_clone_of_its_origin() {
    let sites = Sites::new();
    let zfs = &sites.a.zfs;
    sites.replicated();
    let clone = sites.a.dataset("clone");
    zfs.clone_snapshot(&sites.one, &clone, &zfs_core::Properties::new())
        .unwrap();
    sites.a.write(&clone, "own", b"of the clone");
    let snapshot = sites.a.take("clone@x");
    let request = SendRequest::snapshot(snapshot).from(&sites.one);
    let stream = send(zfs, &request).unwrap();

    let error = receive(zfs, &sites.to("clone@x"), &stream).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unrelated, "{error}");
    let guid = get(&sites.one, "guid");
    assert!(error.to_string().contains(&guid), "{error}");
    let origin = sites.b.snapshot("copy@one");
    let to = sites.to("clone@x").origin(origin.clone());
    receive(zfs, &to, &stream).unwrap();
    let copy = sites.b.dataset("clone");
    assert_eq!(get(&copy, "origin"), origin.as_str());
    assert_eq!(sites.b.read(&copy, "own"), b"of the clone");

    let wrong = sites.b.take("@wrong");
    let to = sites.to("clone2@x").origin(wrong);
    assert!(receive(zfs, &to, &stream).is_err());
    assert!(!zfs.exists(&sites.b.dataset("clone2")).unwrap());
}

#[test]
fn a_plain_stream_can_be_received_encrypted() {
    let sites = Sites::new();
    let to = sites
        .to("secret@one")
        .encryption(Encryption::raw(KEY.into()));
    transfer(&sites.a.zfs, &sites.full(), &to).unwrap();
    let secret = sites.b.dataset("secret");
    assert_eq!(get(&secret, "encryptionroot"), secret.as_str());
    sites.b.zfs.unload_key(&secret).unwrap();
    sites.b.zfs.load_key(&secret, &KEY.into()).unwrap();
    assert!(sites.b.read(&secret, "first") == noise(1, SIZE));
}

#[test]
fn healing_is_there_from_2_2_on() {
    let sites = Sites::new();
    let stream = sites.replicated();
    let healed = receive(&sites.a.zfs, &sites.to("copy@one").heal(), &stream);
    if version() < (2, 2) {
        let error = healed.unwrap_err();
        assert!(error.is_unsupported(), "{error}");
        assert!(error.to_string().contains("2.2"), "{error}");
    } else {
        // There is nothing to repair: the stream is compared and accepted.
        healed.unwrap();
    }
    assert!(sites.b.read(&sites.b.dataset("copy"), "first") == noise(1, SIZE));
}

#[test]
fn read_only_and_full_pools_say_so() {
    let sites = Sites::new();
    let zfs = &sites.a.zfs;
    let stream = send(zfs, &sites.full()).unwrap();
    let quota = sites.b.filesystem("small");
    run(&["zfs", "set", "quota=1M", quota.as_str()]);
    let error = receive(zfs, &sites.to("small/copy@one"), &stream).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
    sites.b.import_again(&["-o", "readonly=on"]);
    let error = receive(zfs, &sites.to("copy@one"), &stream).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
}

#[test]
fn several_transfers_run_side_by_side() {
    let sites = Sites::new();
    thread::scope(|scope| {
        for number in 0..4 {
            let sites = &sites;
            scope.spawn(move || {
                let to = sites.to(&format!("copy{number}@one"));
                transfer(&sites.a.zfs, &sites.full(), &to).unwrap();
            });
        }
    });
    for number in 0..4 {
        let copy = sites.b.dataset(&format!("copy{number}"));
        assert!(sites.b.read(&copy, "first") == noise(1, SIZE));
    }
}

#[test]
fn what_zfs_8_sends_is_received_and_the_other_way_round() {
    let sites = Sites::new();
    let theirs = Command::new("zfs")
        .args(["send", sites.one.as_str()])
        .output()
        .unwrap();
    receive(&sites.a.zfs, &sites.to("theirs@one"), &theirs.stdout).unwrap();

    let ours = send(&sites.a.zfs, &sites.full()).unwrap();
    assert!(ours == theirs.stdout, "the streams differ");
    let mut zfs = Command::new("zfs")
        .args(["receive", "-u", sites.b.snapshot("ours@one").as_str()])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    zfs.stdin.take().unwrap().write_all(&ours).unwrap();
    assert!(zfs.wait().unwrap().success());
}
