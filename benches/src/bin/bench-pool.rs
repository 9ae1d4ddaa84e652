//! Makes a pool of many snapshots on a disk and exports it, run inside the ZFS
//! machine by `cargo xtask bench`, which keeps the disk.

use std::{
    fs,
    process::{Command, ExitCode},
    thread,
};

use zfs_core::{CreateRequest, DatasetName, Zfs};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const POOL: &str = "zfs-bench";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [disk, recipe] = &arguments[..] else {
        eprintln!("usage: bench-pool DISK RECIPE");
        return ExitCode::from(64);
    };
    match make(disk, recipe) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-pool: {error}");
            ExitCode::FAILURE
        }
    }
}

fn make(disk: &str, recipe: &str) -> Result<()> {
    let text = fs::read_to_string(recipe)?;
    let lines = |kind: &'static str| {
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        lines.filter_map(move |(word, value)| (word == kind).then_some(value))
    };
    let clock = lines("clock").next();
    let snapshots: Vec<&str> = lines("snapshot").collect();

    // No snapshot is looked at for a volume's device. It takes longer without.
    let _ = fs::write("/sys/module/zfs/parameters/zvol_inhibit_dev", "1");
    run(&["zpool", "create", "-f", "-o", "cachefile=none"]
        .into_iter()
        .chain(["-O", "mountpoint=none", "-O", "atime=off", POOL, disk])
        .collect::<Vec<_>>())?;
    let zfs = Zfs::open()?;
    let mut datasets: Vec<DatasetName> = Vec::new();
    for name in lines("dataset") {
        let name: DatasetName = format!("{POOL}/{name}").parse()?;
        zfs.create(&CreateRequest::filesystem(name.clone()))?;
        datasets.push(name);
    }
    // Half of a request's time is its own thread's, half is the one's that
    // writes the transaction group.
    thread::scope(|scope| -> Result<()> {
        let halves = datasets.chunks(datasets.len().div_ceil(2).max(1));
        let threads: Vec<_> = halves
            .map(|half| scope.spawn(|| snapshot(&zfs, half, &snapshots, clock)))
            .collect();
        for thread in threads {
            thread.join().map_err(|_| "a thread panicked")??;
        }
        Ok(())
    })?;
    run(&["zpool", "export", POOL])
}

/// One request for each name.
fn snapshot(
    zfs: &Zfs,
    datasets: &[DatasetName],
    snapshots: &[&str],
    clock: Option<&str>,
) -> Result<()> {
    for (nth, name) in snapshots.iter().enumerate() {
        if let Some(clock) = clock {
            run(&["date", "-s", clock])?;
        }
        let all = datasets
            .iter()
            .map(|dataset| dataset.with_snapshot(name))
            .collect::<std::result::Result<Vec<_>, _>>()?;
        zfs.snapshot(&all)?;
        if nth % 10 == 9 {
            eprintln!("bench-pool: {} of {} names", nth + 1, snapshots.len());
        }
    }
    Ok(())
}

fn run(command: &[&str]) -> Result<()> {
    let (program, arguments) = command.split_first().ok_or("no command")?;
    // What is measured goes to the output, and nothing is here.
    let status = Command::new(program)
        .args(arguments)
        .stdout(std::process::Stdio::null())
        .status()?;
    if !status.success() {
        return Err(format!("{} failed", command.join(" ")).into());
    }
    Ok(())
}
