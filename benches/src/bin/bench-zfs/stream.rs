//! Sending, and sending to receiving, by zfs-core and by zfs(8) in turn.
//!
//! Prints a line of JSON per pair: bytes, and seconds of each.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use zfs_core::{ReceiveRequest, SendFlags, SendRequest, SnapshotName, Zfs, stream_pipe};

use crate::Result;
use crate::pool::{Pool, filled, run};

fn print(bytes: u64, ours: Duration, theirs: Duration) {
    let (ours, theirs) = (ours.as_secs_f64(), theirs.as_secs_f64());
    println!("{{\"bytes\":{bytes},\"ours\":{ours},\"theirs\":{theirs}}}");
}

/// One snapshot into a pipe of the same size with the same reader.
pub fn send([mib, runs]: [u64; 2]) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pool = Pool::create("zfs-bench", folder.path(), mib * 2 + 256)?;
    let snapshot: SnapshotName = filled(&pool, folder.path(), mib)?.parse()?;
    let handle = Zfs::open()?;
    // Once each unmeasured: from here on the cache is warm.
    let bytes = by_library(&handle, &snapshot)?.0;
    let same = by_command(&snapshot)?.0;
    if bytes != same {
        return Err(
            format!("the streams differ: {bytes} bytes by zfs-core, {same} by zfs send").into(),
        );
    }
    for _ in 0..runs {
        let (_, ours) = by_library(&handle, &snapshot)?;
        let (_, theirs) = by_command(&snapshot)?;
        print(bytes, ours, theirs);
    }
    Ok(())
}

fn request(snapshot: &SnapshotName) -> SendRequest {
    SendRequest::snapshot(snapshot.clone()).flags(SendFlags::LARGE_BLOCK)
}

fn by_library(handle: &Zfs, snapshot: &SnapshotName) -> Result<(u64, Duration)> {
    let started = Instant::now();
    let (reader, writer) = stream_pipe()?;
    let request = request(snapshot);
    let bytes = thread::scope(|scope| -> Result<u64> {
        let sender = scope.spawn(|| {
            let sent = handle.send(&request, writer.as_fd());
            drop(writer);
            sent
        });
        let bytes = drain(reader)?;
        sender.join().map_err(|_| "the sending thread panicked")??;
        Ok(bytes)
    })?;
    Ok((bytes, started.elapsed()))
}

fn by_command(snapshot: &SnapshotName) -> Result<(u64, Duration)> {
    let started = Instant::now();
    let (reader, writer) = stream_pipe()?;
    let mut child = Command::new("zfs")
        .args(["send", "-L", snapshot.as_str()])
        .stdin(Stdio::null())
        .stdout(writer)
        .spawn()?;
    let bytes = drain(reader)?;
    if !child.wait()?.success() {
        return Err("zfs send failed".into());
    }
    Ok((bytes, started.elapsed()))
}

fn drain(reader: OwnedFd) -> Result<u64> {
    let mut reader = File::from(reader);
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(bytes),
            count => bytes += count as u64,
        }
    }
}

/// One snapshot from a warm cache into another pool, from which it is gone
/// again before the next run.
pub fn replicate([mib, runs]: [u64; 2]) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let source = Pool::create("zfs-bench", folder.path(), mib * 2 + 256)?;
    let target = Pool::create("zfs-target", folder.path(), mib * 2 + 256)?;
    let snapshot: SnapshotName = filled(&source, folder.path(), mib)?.parse()?;
    let handle = Zfs::open()?;
    let to = format!("{}/copy", target.name());
    let clean = || -> Result<()> {
        run(&["zfs", "destroy", "-r", &to])?;
        // What was freed comes back before the next begins.
        run(&["zpool", "wait", "-t", "free", target.name()])?;
        run(&["zpool", "sync", target.name()])
    };
    let library = || -> Result<(u64, Duration)> {
        let started = Instant::now();
        let (reader, writer) = stream_pipe()?;
        let send = request(&snapshot);
        let receive = ReceiveRequest::new(format!("{to}@bench").parse()?);
        let bytes = thread::scope(|scope| -> Result<u64> {
            let sender = scope.spawn(|| {
                let sent = handle.send(&send, writer.as_fd());
                drop(writer);
                sent
            });
            let received = handle.receive(&receive, reader.as_fd());
            drop(reader);
            sender.join().map_err(|_| "the sending thread panicked")??;
            Ok(received?.bytes_read)
        })?;
        Ok((bytes, started.elapsed()))
    };
    let command = || -> Result<Duration> {
        let started = Instant::now();
        let (reader, writer) = stream_pipe()?;
        let mut sender = Command::new("zfs")
            .args(["send", "-L", snapshot.as_str()])
            .stdin(Stdio::null())
            .stdout(writer)
            .spawn()?;
        let received = Command::new("zfs")
            .args(["receive", "-u", &to])
            .stdin(reader)
            .status()?;
        let sent = sender.wait()?;
        if !sent.success() || !received.success() {
            return Err("zfs send | zfs receive failed".into());
        }
        Ok(started.elapsed())
    };
    library()?;
    clean()?;
    command()?;
    clean()?;
    for _ in 0..runs {
        let (bytes, ours) = library()?;
        clean()?;
        let theirs = command()?;
        clean()?;
        print(bytes, ours, theirs);
    }
    Ok(())
}
