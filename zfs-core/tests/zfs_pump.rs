//! Streams into and out of anything, on real pools.

mod fixture;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use fixture::shared::{Ground, SECOND_BYTES, Streams, streams};
use fixture::{noise, send};
use zfs_core::{
    BeginRecord, Cancel, Defer, Error, ErrorKind, SendRequest, SnapshotName, stream_pipe,
};

const BYTES: usize = 4 << 20;

/// A snapshot that is several pipes long.
fn long() -> (Ground, SnapshotName) {
    let ground = Ground::with(&["a"]);
    ground.write("a", "file", &noise(1, BYTES));
    let snapshot = ground.take("a@x");
    (ground, snapshot)
}

/// Takes so many bytes, and then says no.
struct Short(usize);

impl Write for Short {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::other("the tape has ended"));
        }
        let count = bytes.len().min(self.0);
        self.0 -= count;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Gives some bytes, and then an error.
struct Torn<'a>(&'a [u8]);

impl Read for Torn<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self.0.read(bytes) {
            Ok(0) => Err(io::Error::other("the line is dead")),
            other => other,
        }
    }
}

#[track_caller]
fn says(error: &Error, words: &str) {
    match error {
        Error::Io { source, .. } => assert_eq!(source.to_string(), words),
        other => panic!("{other}"),
    }
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
fn a_stream_goes_into_any_writer_and_comes_from_any_reader() {
    let (ground, snapshot) = long();
    let request = SendRequest::snapshot(snapshot);
    let mut stream = Vec::new();
    let bytes = ground.zfs.send_to(&request, &mut stream).unwrap();
    assert_eq!(bytes, stream.len() as u64);
    assert!(stream == send(&ground.zfs, &request).unwrap());

    let to = ground.to("copy@x");
    let received = ground.zfs.receive_from(&to, &stream[..]).unwrap();
    assert_eq!(received.bytes_read, bytes);
    assert!(ground.read("copy", "file") == noise(1, BYTES));
}

#[test]
fn a_writer_s_error_ends_the_send_and_is_the_one_that_is_told() {
    let (ground, snapshot) = long();
    let request = SendRequest::snapshot(snapshot.clone());
    for room in [0, 100, 1 << 20] {
        let error = ground.zfs.send_to(&request, Short(room)).unwrap_err();
        says(&error, "the tape has ended");
    }
    // Nothing is left in use.
    ground
        .zfs
        .destroy_snapshots([&snapshot], Defer::No)
        .unwrap();
}

#[test]
fn what_zfs_says_goes_before_what_a_writer_says() {
    let ground = Ground::with(&["a"]);
    let request = SendRequest::snapshot(ground.snapshot("a@missing"));
    let error = ground.zfs.send_to(&request, Short(0)).unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn a_reader_s_error_ends_the_receive_and_is_the_one_that_is_told() {
    let ground = Ground::new();
    let half = &streams().full[..streams().full.len() / 2];
    let to = ground.to("copy@one");
    let error = ground.zfs.receive_from(&to, Torn(half)).unwrap_err();
    says(&error, "the line is dead");
    assert!(!ground.exists("copy"));
    let error = ground.zfs.receive_from(&to, Torn(b"")).unwrap_err();
    says(&error, "the line is dead");

    // What came before is kept where that was asked for.
    let to = ground.to("copy@one").resumable();
    let error = ground.zfs.receive_from(&to, Torn(half)).unwrap_err();
    says(&error, "the line is dead");
    let token = ground.zfs.receive_resume_token(&ground.dataset("copy"));
    assert!(token.unwrap().is_some());
}

#[test]
fn a_reader_that_ends_too_early_is_a_truncated_stream() {
    let ground = Ground::new();
    let half = &streams().full[..streams().full.len() / 2];
    let error = ground
        .zfs
        .receive_from(&ground.to("copy@one"), half)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StreamTruncated, "{error}");
}

#[test]
fn what_zfs_says_goes_before_an_endless_reader() {
    let ground = Ground::with(&["copy"]);
    ground.take("copy@one");
    let endless = streams().full.chain(io::repeat(0));
    let error = ground
        .zfs
        .receive_from(&ground.to("copy@one"), endless)
        .unwrap_err();
    assert!(error.is_exists(), "{error}");
}

#[test]
fn a_whole_stream_is_received_whatever_follows_it() {
    let ground = Ground::new();
    let followed = streams().full.chain(Torn(b"something else"));
    let to = ground.to("copy@one");
    let received = ground.zfs.receive_from(&to, followed).unwrap();
    assert_eq!(received.bytes_read, streams().full.len() as u64);
    Streams::assert_first(&ground, "copy");
}

#[test]
fn a_begin_record_may_be_read_before() {
    let ground = Ground::new();
    let mut stream = &streams().full[..];
    let begin = BeginRecord::read(&mut stream).unwrap();
    let to = ground.to("copy@one").begin_record(begin);
    ground.zfs.receive_from(&to, stream).unwrap();
    Streams::assert_first(&ground, "copy");
}

#[test]
fn a_socket_carries_a_stream() {
    let ground = Ground::new();
    ground
        .zfs
        .receive_from(&ground.to("copy@one"), &streams().full[..])
        .unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || (&theirs).write_all(&streams().incremental).unwrap());
        let to = ground.to("copy@two");
        ground.zfs.receive(&to, ours.as_fd()).unwrap();
    });
    assert!(ground.read("copy", "second") == noise(2, SECOND_BYTES));
}

#[test]
fn pipes_that_do_not_wait_carry_a_whole_stream_both_ways() {
    let (ground, snapshot) = long();
    let request = SendRequest::snapshot(snapshot);
    let (out, into) = stream_pipe().unwrap();
    let (from, feed) = stream_pipe().unwrap();
    for end in [&into, &from] {
        rustix::io::ioctl_fionbio(end, true).unwrap();
    }
    thread::scope(|scope| {
        let zfs = &ground.zfs;
        scope.spawn(move || zfs.send(&request, into.as_fd()).unwrap());
        // Slower than either side at first.
        scope.spawn(move || {
            thread::sleep(Duration::from_millis(300));
            io::copy(&mut File::from(out), &mut File::from(feed)).unwrap()
        });
        let received = zfs.receive(&ground.to("copy@x"), from.as_fd()).unwrap();
        assert!(received.bytes_read > BYTES as u64);
    });
    assert!(ground.read("copy", "file") == noise(1, BYTES));
}

/// Says that something came, and takes nothing more before it is told to.
struct Slow {
    came: mpsc::Sender<()>,
    go_on: mpsc::Receiver<()>,
}

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.came.send(());
        let _ = self.go_on.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_send_is_cancelled_from_another_thread() {
    let (ground, snapshot) = long();
    let request = SendRequest::snapshot(snapshot.clone());
    let cancel = Cancel::new().unwrap();
    let (came, has_come) = mpsc::channel();
    let (may_go_on, go_on) = mpsc::channel();
    let error = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let sink = Slow { came, go_on };
            ground.zfs.send_to_until(&request, sink, &cancel)
        });
        has_come.recv().unwrap();
        cancel.cancel();
        drop(may_go_on);
        sender.join().unwrap().unwrap_err()
    });
    assert!(matches!(error, Error::Cancelled { .. }), "{error}");
    assert!(error.is_interrupted());
    assert!(error.to_string().contains(snapshot.as_str()), "{error}");
    ground
        .zfs
        .destroy_snapshots([&snapshot], Defer::No)
        .unwrap();
}

/// Gives a stream, and the word to stop with its last piece.
struct LastWord<'a> {
    rest: &'a [u8],
    cancel: Cancel,
}

impl Read for LastWord<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.rest.read(bytes)?;
        if self.rest.is_empty() {
            self.cancel.cancel();
        }
        Ok(count)
    }
}

#[test]
fn a_receive_is_cancelled_and_keeps_what_came() {
    let ground = Ground::new();
    let cancel = Cancel::new().unwrap();
    let half = LastWord {
        rest: &streams().full[..streams().full.len() / 2],
        cancel: cancel.clone(),
    };
    let to = ground.to("copy@one").resumable();
    let error = ground
        .zfs
        .receive_from_until(&to, half, &cancel)
        .unwrap_err();
    assert!(matches!(error, Error::Cancelled { .. }), "{error}");
    let token = ground.zfs.receive_resume_token(&ground.dataset("copy"));
    assert!(token.unwrap().is_some());
}

#[test]
fn a_receive_from_a_source_that_fell_silent_is_cancelled_at_once() {
    let ground = Ground::new();
    let cancel = Cancel::new().unwrap();
    let (source, sender) = stream_pipe().unwrap();
    let mut sender = File::from(sender);
    let half = &streams().full[..streams().full.len() / 2];
    let to = ground.to("copy@one").resumable();
    let error = thread::scope(|scope| {
        let source = cancel.reader(File::from(source));
        let receiver = scope.spawn(|| ground.zfs.receive_from_until(&to, source, &cancel));
        sender.write_all(half).unwrap();
        // It has begun, and waits for more.
        while ground.zfs.dataset(&ground.dataset("copy")).is_err() {
            assert!(!receiver.is_finished());
            thread::sleep(Duration::from_millis(50));
        }
        cancel.cancel();
        receiver.join().unwrap().unwrap_err()
    });
    assert!(matches!(error, Error::Cancelled { .. }), "{error}");
    let token = ground.zfs.receive_resume_token(&ground.dataset("copy"));
    assert!(token.unwrap().is_some());
    // Nor is the first record waited for.
    let (source, _sender) = stream_pipe().unwrap();
    let source = cancel.reader(File::from(source));
    let to = ground.to("other@one");
    let error = ground.zfs.receive_from_until(&to, source, &cancel);
    assert!(matches!(error.unwrap_err(), Error::Cancelled { .. }));
}

#[test]
fn what_is_cancelled_before_does_nothing() {
    let (ground, snapshot) = long();
    let cancel = Cancel::new().unwrap();
    cancel.cancel();
    let request = SendRequest::snapshot(snapshot);
    let mut stream = Vec::new();
    let error = ground
        .zfs
        .send_to_until(&request, &mut stream, &cancel)
        .unwrap_err();
    assert!(matches!(error, Error::Cancelled { .. }), "{error}");
    assert_eq!(stream, b"");
}

#[test]
fn saved_parts_of_full_and_incremental_streams_are_sent_on() {
    let ground = Ground::new();
    let zfs = &ground.zfs;
    let half = |stream: &'static [u8]| &stream[..stream.len() * 2 / 3];
    // A full one, which is the dataset itself.
    let to = ground.to("copy@one").resumable();
    zfs.receive_from(&to, half(&streams().full)).unwrap_err();
    let saved = zfs.saved_request(&ground.dataset("copy")).unwrap();
    let error = zfs.send_space(&saved).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    let part = send(zfs, &saved).unwrap();
    let to = ground.to("third@one").resumable();
    let error = zfs.receive_from(&to, &part[..]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StreamTruncated, "{error}");
    let token = zfs.receive_resume_token(&ground.dataset("third")).unwrap();
    assert_eq!(token.unwrap().to_guid.to_string(), streams().one.1);

    // An incremental one, which is beside the dataset.
    zfs.receive_from(&ground.to("b@one"), &streams().full[..])
        .unwrap();
    let to = ground.to("b@two").resumable();
    zfs.receive_from(&to, half(&streams().incremental))
        .unwrap_err();
    let saved = zfs.saved_request(&ground.dataset("b")).unwrap();
    assert_eq!(
        saved.source().unwrap().as_str(),
        ground.snapshot("b@one").as_str()
    );
    let error = zfs.send_space(&saved).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    let part = send(zfs, &saved).unwrap();
    let begin = BeginRecord::read(&mut &part[..]).unwrap();
    assert_eq!(begin.from_guid().unwrap().to_string(), streams().one.1);

    let error = zfs.saved_request(&ground.dataset("")).unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

/// The files that the threads of that name have open, one list each.
fn open_in(thread: &str) -> Vec<Vec<String>> {
    let read = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
    read(Path::new("/proc/self/task"))
        .map(|task| task.path())
        .filter(|task| fs::read_to_string(task.join("comm")).is_ok_and(|it| it.trim() == thread))
        .map(|task| {
            read(&task.join("fd"))
                .filter_map(|file| Some(fs::read_link(file.path()).ok()?.display().to_string()))
                .collect()
        })
        .collect()
}

/// The kernel can forget a SIGKILL while a send or a receive begins. It then
/// ends when the pipe's other end is closed, which it may not hold itself.
#[test]
fn neither_a_send_nor_a_receive_holds_both_ends_of_its_pipe() {
    let (ground, snapshot) = long();
    let request = SendRequest::snapshot(snapshot);
    let stream = send(&ground.zfs, &request).unwrap();
    let (zfs, [first, second]) = (&ground.zfs, ["first@x", "second@x"].map(|to| ground.to(to)));

    // The pipe is full before anything is read from it.
    let (reader, writer) = stream_pipe().unwrap();
    thread::scope(|scope| {
        let pipe = pipe_of(&reader);
        let sender = scope.spawn(move || zfs.send(&request, writer.as_fd()));
        holds_one_end(&pipe);
        zfs.receive(&first, reader.as_fd()).unwrap();
        sender.join().unwrap().unwrap();
    });

    // The pipe is empty before the rest is written to it.
    let (reader, writer) = stream_pipe().unwrap();
    let (begin, rest) = stream.split_at(100_000);
    thread::scope(|scope| {
        let pipe = pipe_of(&reader);
        let receiver = scope.spawn(move || zfs.receive(&second, reader.as_fd()));
        let mut writer = File::from(writer);
        writer.write_all(begin).unwrap();
        holds_one_end(&pipe);
        writer.write_all(rest).unwrap();
        drop(writer);
        receiver.join().unwrap().unwrap();
    });
    assert!(ground.read("second", "file") == noise(1, BYTES));
}

fn pipe_of(end: &impl AsRawFd) -> String {
    let link = format!("/proc/self/fd/{}", end.as_raw_fd());
    fs::read_link(link).unwrap().display().to_string()
}

/// The thread in the kernel has one end of that pipe, and of no other.
#[track_caller]
fn holds_one_end(pipe: &str) {
    for _ in 0..2000 {
        let streams = open_in("zfs-stream");
        let held = streams.iter().find(|open| {
            let pipes = open.iter().filter(|file| file.starts_with("pipe:"));
            // Standard input, output and error may be pipes of others.
            open.iter().filter(|file| *file == pipe).count() == 1 && pipes.count() <= 4
        });
        if held.is_some() {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("{pipe}: {:?}", open_in("zfs-stream"));
}
