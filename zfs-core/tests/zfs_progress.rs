//! The progress of a send that is going on, on real ZFS.

mod fixture;

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fixture::{Pool, noise};
use zfs_core::{SendRequest, stream_pipe};

#[test]
fn a_running_send_tells_how_many_bytes_it_wrote() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    pool.write(&a, "file", &noise(1, 8 << 20));
    let snapshot = pool.take("a@x");
    let (reader, writer) = stream_pipe().unwrap();
    let (mut reader, writer) = (File::from(reader), Arc::new(writer));
    let zfs = &pool.zfs;
    assert_eq!(zfs.send_progress(&snapshot, writer.as_fd()).unwrap(), None);
    thread::scope(|scope| {
        let request = SendRequest::snapshot(snapshot.clone());
        let pipe = Arc::clone(&writer);
        let sender = scope.spawn(move || zfs.send(&request, pipe.as_fd()));
        // Nobody empties the pipe beyond these bytes, so the send goes on as
        // long as this asks.
        let mut some = vec![0; 1 << 20];
        reader.read_exact(&mut some).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let progress = loop {
            match zfs.send_progress(&snapshot, writer.as_fd()).unwrap() {
                Some(progress) if progress.bytes_written >= 1 << 20 => break progress,
                other => assert!(Instant::now() < deadline, "{other:?}"),
            }
            thread::sleep(Duration::from_millis(10));
        };
        assert!(progress.bytes_written < 8 << 20, "{progress:?}");
        assert!(progress.blocks_visited > 0, "{progress:?}");
        // Another descriptor is another send's.
        assert_eq!(zfs.send_progress(&snapshot, reader.as_fd()).unwrap(), None);
        scope.spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
        sender.join().unwrap().unwrap();
        assert_eq!(zfs.send_progress(&snapshot, writer.as_fd()).unwrap(), None);
        drop(writer);
    });
}
