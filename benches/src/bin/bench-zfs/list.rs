//! zfs-list beside `zfs list`: time, processor time, peak memory.
//!
//! Prints a line of JSON per pair.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use zfs_core::{DatasetName, Zfs};

use crate::Result;
use crate::pool::Pool;

const COLUMNS: [&str; 3] = [
    "name",
    "name,guid,createtxg",
    "name,guid,createtxg,creation,used",
];
/// What the cache keeps.
const KEPT: &str = "name,guid,createtxg,creation";

/// What a run took.
struct Run {
    output: Vec<u8>,
    wall: Duration,
    /// User and system time, in hundredths of a second as the kernel counts.
    cpu: f64,
    /// The most memory it had at once, in KiB.
    peak: u64,
    /// Of that what is no page of a file: programs share those.
    anonymous: u64,
}

impl Run {
    fn json(&self) -> String {
        format!(
            "{{\"wall\":{},\"cpu\":{},\"peak\":{},\"anonymous\":{}}}",
            self.wall.as_secs_f64(),
            self.cpu,
            self.peak,
            self.anonymous
        )
    }
}

/// Lists the snapshots of the pool that was made for it by both in turn.
pub fn list([snapshots, runs]: [u64; 2]) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pool = Pool::import("zfs-bench")?;
    let handle = Zfs::open()?;

    let cache = folder.path().join("cache");
    let cache = cache.to_str().ok_or("a folder that is no text")?;
    let ours = |columns: &str| {
        measure(&[
            "zfs-list", "--cache", cache, "-Hp", "-t", "snapshot", "-o", columns,
        ])
    };
    let theirs = |columns: &str| measure(&["zfs", "list", "-Hp", "-t", "snapshot", "-o", columns]);
    // The kernel reads from its own cache from here on.
    theirs(KEPT)?;
    for columns in COLUMNS {
        for _ in 0..runs {
            // Nothing of ours is left from the run before.
            let _ = fs::remove_dir_all(cache);
            pair(
                "cold",
                columns,
                snapshots,
                &ours(columns)?,
                &theirs(columns)?,
            )?;
        }
    }
    let _ = fs::remove_dir_all(cache);
    ours(KEPT)?;
    for _ in 0..runs {
        pair("again", KEPT, snapshots, &ours(KEPT)?, &theirs(KEPT)?)?;
    }
    let one: DatasetName = format!("{}/data0000", pool.name()).parse()?;
    for _ in 0..runs {
        newest(&handle, &one)?;
    }
    Ok(())
}

fn pair(kind: &str, columns: &str, snapshots: u64, ours: &Run, theirs: &Run) -> Result<()> {
    if ours.output != theirs.output {
        return Err(format!("the outputs differ ({columns})").into());
    }
    let lines = ours.output.split(|byte| *byte == b'\n').count() as u64 - 1;
    if lines < snapshots {
        return Err(format!("{lines} lines of {snapshots} snapshots").into());
    }
    println!(
        "{{\"kind\":\"{kind}\",\"columns\":\"{columns}\",\"ours\":{},\"theirs\":{}}}",
        ours.json(),
        theirs.json()
    );
    Ok(())
}

/// The newest snapshot of one dataset: one call, and the command that answers
/// the same.
fn newest(handle: &Zfs, dataset: &DatasetName) -> Result<()> {
    let started = Instant::now();
    let ours = handle.newest_snapshot(dataset)?.ok_or("no snapshot")?;
    let run = Run {
        output: Vec::new(),
        wall: started.elapsed(),
        cpu: 0.0,
        peak: 0,
        anonymous: 0,
    };
    let columns = ["-S", "createtxg", "-o", "name", dataset.as_str()];
    let theirs = measure(&[&["zfs", "list", "-Hp", "-t", "snapshot"], &columns[..]].concat())?;
    let first = theirs.output.split(|byte| *byte == b'\n').next();
    if first != Some(ours.as_str().as_bytes()) {
        return Err("the newest snapshots differ".into());
    }
    println!(
        "{{\"kind\":\"newest\",\"columns\":\"name\",\"ours\":{},\"theirs\":{}}}",
        run.json(),
        theirs.json()
    );
    Ok(())
}

fn measure(command: &[&str]) -> Result<Run> {
    let (program, arguments) = command.split_first().ok_or("no command")?;
    let before = children_seconds()?;
    let started = Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdout = child.stdout.take().ok_or("no output")?;
    let status = format!("/proc/{}/status", child.id());
    let (peak, anonymous) = (AtomicU64::new(0), AtomicU64::new(0));
    let ended = AtomicBool::new(false);
    // Read while the program runs and each time that it has written something.
    // The kernel keeps a high-water mark itself, but of all pages only.
    let look = || {
        let text = fs::read_to_string(Path::new(&status)).unwrap_or_default();
        for (mark, most) in [("VmHWM:", &peak), ("RssAnon:", &anonymous)] {
            let kib = text.lines().find_map(|line| {
                let rest = line.strip_prefix(mark)?;
                rest.trim().strip_suffix(" kB")?.parse().ok()
            });
            most.fetch_max(kib.unwrap_or_default(), Ordering::Relaxed);
        }
    };
    let output = thread::scope(|scope| -> Result<Vec<u8>> {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                look();
                thread::sleep(Duration::from_millis(20));
            }
        });
        let mut output = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        let read = loop {
            match stdout.read(&mut buffer) {
                Ok(0) => break Ok(()),
                Ok(count) => {
                    output.extend_from_slice(buffer.get(..count).unwrap_or_default());
                    look();
                }
                Err(error) => break Err(error),
            }
        };
        ended.store(true, Ordering::Relaxed);
        read?;
        Ok(output)
    })?;
    let status = child.wait()?;
    let wall = started.elapsed();
    if !status.success() {
        return Err(format!("{} failed", command.join(" ")).into());
    }
    Ok(Run {
        output,
        wall,
        cpu: children_seconds()? - before,
        peak: peak.into_inner(),
        anonymous: anonymous.into_inner(),
    })
}

/// User and system time of all children that have ended.
fn children_seconds() -> Result<f64> {
    let text = fs::read_to_string("/proc/self/stat")?;
    // The name may have anything in it, and ends with the last bracket.
    let (_, rest) = text.rsplit_once(") ").ok_or("an odd /proc/self/stat")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    // The 16th and 17th of all; the first here is the third.
    let ticks =
        |at: usize| -> Result<f64> { Ok(fields.get(at).ok_or("an odd /proc/self/stat")?.parse()?) };
    Ok((ticks(13)? + ticks(14)?) / 100.0)
}
