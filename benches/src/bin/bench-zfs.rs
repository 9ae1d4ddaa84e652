//! What is measured inside the ZFS machine, run there by `cargo xtask bench`.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::{AsFd, OwnedFd},
    path::Path,
    process::{Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use zfs_core::{SendFlags, SendRequest, SnapshotName, Zfs, stream_pipe};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const POOL: &str = "zfs-bench";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ["send", mib, runs] = words[..] else {
        eprintln!("usage: bench-zfs send MIB RUNS");
        return ExitCode::from(64);
    };
    match send(mib, runs) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-zfs: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Sends one snapshot in turn through zfs-core and through `zfs send`, both
/// into a pipe of the same size with the same reader, and prints a line of
/// JSON per pair: seconds of each.
fn send(mib: &str, runs: &str) -> Result<()> {
    let (mib, runs) = (mib.parse::<u64>()?, runs.parse::<u32>()?);
    let folder = tempfile::tempdir()?;
    let _pool = Pool::create(folder.path(), mib * 2 + 256)?;
    let mount = folder.path().join("data");
    zfs(&[
        "create",
        "-o",
        &format!("mountpoint={}", mount.display()),
        &format!("{POOL}/data"),
    ])?;
    fill(&mount, mib)?;
    zfs(&["snapshot", &format!("{POOL}/data@bench")])?;

    let handle = Zfs::open()?;
    let snapshot: SnapshotName = format!("{POOL}/data@bench").parse()?;
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
        println!(
            "{{\"bytes\":{bytes},\"zfs_core\":{},\"zfs_send\":{}}}",
            ours.as_secs_f64(),
            theirs.as_secs_f64()
        );
    }
    Ok(())
}

fn by_library(handle: &Zfs, snapshot: &SnapshotName) -> Result<(u64, Duration)> {
    let started = Instant::now();
    let (reader, writer) = stream_pipe()?;
    let request = SendRequest::snapshot(snapshot.clone()).flags(SendFlags::LARGE_BLOCK);
    let (handle, request) = (handle.clone(), &request);
    let bytes = thread::scope(|scope| -> Result<u64> {
        let sender = scope.spawn(move || {
            let sent = handle.send(request, writer.as_fd());
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

/// Bytes that no compression gets hold of, so that the stream has the size
/// that was asked for.
fn fill(mount: &Path, mib: u64) -> Result<()> {
    let mut random = File::open("/dev/urandom")?;
    let mut block = vec![0; 1 << 20];
    for number in 0..mib.div_ceil(64) {
        let mut file = File::create(mount.join(format!("file{number}")))?;
        for _ in 0..64.min(mib - number * 64) {
            random.read_exact(&mut block)?;
            file.write_all(&block)?;
        }
    }
    Ok(())
}

fn zfs(arguments: &[&str]) -> Result<()> {
    let status = Command::new("zfs").args(arguments).status()?;
    if !status.success() {
        return Err(format!("zfs {} failed", arguments.join(" ")).into());
    }
    Ok(())
}

/// A pool on one file, destroyed when it goes out of scope.
struct Pool;

impl Pool {
    fn create(folder: &Path, mib: u64) -> Result<Pool> {
        let file = folder.join("pool.img");
        File::create(&file)?.set_len(mib << 20)?;
        let status = Command::new("zpool")
            .args([
                "create",
                "-O",
                "mountpoint=none",
                "-O",
                "compression=off",
                "-O",
                "atime=off",
                POOL,
            ])
            .arg(&file)
            .status()?;
        if !status.success() {
            return Err("zpool create failed".into());
        }
        Ok(Pool)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let _ = Command::new("zpool").args(["destroy", "-f", POOL]).status();
    }
}
