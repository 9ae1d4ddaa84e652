//! Sending and receiving between real pools.

mod fixture;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::thread;

use fixture::shared::{Ground, other_pool};
use fixture::{Pool, get, noise, receive, send, transfer};
use zfs_core::{
    BeginRecord, CreateRequest, DatasetName, Encryption, Error, ErrorKind, ReceiveRequest,
    SendFlags, SendRequest, SnapshotName, StreamProblem,
};

const KEY: [u8; 32] = [0x17; 32];

/// Two pools, and on the first a filesystem with two snapshots.
struct Sites {
    a: Ground,
    b: Ground,
    source: DatasetName,
    one: SnapshotName,
    two: SnapshotName,
}

const SIZE: usize = 3 << 20;

impl Sites {
    fn new() -> Sites {
        let (a, b) = (Ground::new(), Ground::on(other_pool()));
        let source = a.filesystem("data");
        a.write("data", "first", &noise(1, SIZE));
        let one = a.take("data@one");
        a.write("data", "second", &noise(2, SIZE / 2));
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
        self.b.to(relative)
    }

    /// A full stream, and its snapshot on the other pool.
    fn replicated(&self) -> Vec<u8> {
        let stream = send(&self.a.zfs, &self.full()).unwrap();
        receive(&self.a.zfs, &self.to("copy@one"), &stream).unwrap();
        stream
    }

    #[track_caller]
    fn compare(&self, copy: &DatasetName) {
        assert!(self.b.pool.read(copy, "first") == noise(1, SIZE));
        assert!(self.b.pool.read(copy, "second") == noise(2, SIZE / 2));
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
    let path = sites.a.pool.path().join("stream");
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
    assert!(sites.b.read("begun", "first") == noise(1, SIZE));
}

#[test]
fn a_filesystem_is_sent_as_it_is_while_nobody_uses_it() {
    let sites = Sites::new();
    let zfs = &sites.a.zfs;
    let request = SendRequest::dataset(sites.source.clone());
    let stream = send(zfs, &request).unwrap();
    receive(zfs, &sites.to("copy@now"), &stream).unwrap();
    sites.compare(&sites.b.dataset("copy"));
    sites.a.pool.mount(&sites.source);
    let error = send(zfs, &request).unwrap_err();
    assert!(error.is_busy(), "{error}");
    sites.a.pool.unmount(&sites.source);
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
    assert!(sites.b.pool.read(&secret, "first") == noise(1, SIZE));
}

#[test]
fn nothing_plain_is_received_below_what_is_encrypted_and_locked() {
    let sites = Sites::new();
    let zfs = &sites.a.zfs;
    let vault = sites.b.dataset("vault");
    let encryption = Encryption::raw(KEY.into());
    zfs.create(&CreateRequest::filesystem(vault.clone()).encryption(encryption))
        .unwrap();
    zfs.unload_key(&vault).unwrap();
    let to = sites.to("vault/copy@one");
    let error = transfer(zfs, &sites.full(), &to).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyUnavailable, "{error}");
    assert!(error.to_string().contains("zfs load-key"), "{error}");
    zfs.load_key(&vault, &KEY.into()).unwrap();
    transfer(zfs, &sites.full(), &to).unwrap();
    assert!(sites.b.read("vault/copy", "first") == noise(1, SIZE));
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
        assert!(sites.b.pool.read(&copy, "first") == noise(1, SIZE));
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
