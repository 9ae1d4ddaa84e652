//! Plans measured in a process of their own each, run by `cargo xtask bench
//! retention`: time, and memory as the kernel counts it.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp, Zoned};
use zfs_retention::conf::Settings;
use zfs_retention::{Guid, Keep, Names, Policy, Snapshot, Tier, Txg};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let usage = || {
        eprintln!("usage: bench-retention tiers|sanoid DATASETS SNAPSHOTS-OF-EACH RUNS");
        ExitCode::from(64)
    };
    let Some((policy, numbers)) = arguments.split_first() else {
        return usage();
    };
    let policy = match policy.as_str() {
        "tiers" => tiers(),
        "sanoid" => Settings::default().policy(),
        _ => return usage(),
    };
    let numbers: Vec<usize> = numbers.iter().filter_map(|it| it.parse().ok()).collect();
    let [datasets, snapshots, runs] = numbers[..] else {
        return usage();
    };
    measure(&policy, datasets, snapshots, runs);
    ExitCode::SUCCESS
}

/// Prints one line of JSON: seconds of each run, and the bytes that the
/// snapshots take, that they take with all plans standing, and the most that
/// they took while those were made.
fn measure(policy: &Policy, datasets: usize, snapshots: usize, runs: usize) {
    let now = now();
    let before = status("VmRSS");
    let site: Vec<Vec<Snapshot>> = (0..datasets).map(|_| history(snapshots)).collect();
    let input = status("VmRSS") - before;
    let plan = |snapshots| policy.plan(snapshots, &[], &now);
    let plans: Vec<_> = site.iter().map(|snapshots| plan(snapshots)).collect();
    let standing = status("VmRSS") - before;
    let most = status("VmHWM") - before;
    black_box(&plans);
    drop(plans);
    let seconds: Vec<f64> = (0..runs)
        .map(|_| {
            let started = Instant::now();
            for snapshots in &site {
                black_box(plan(snapshots).destroyed().count());
            }
            started.elapsed().as_secs_f64()
        })
        .collect();
    println!(
        "{{\"seconds\":{seconds:?},\"input\":{input},\"standing\":{standing},\"most\":{most}}}"
    );
}

fn now() -> Zoned {
    "2026-04-03T12:00:00+02:00[Europe/Berlin]"
        .parse()
        .expect("a moment")
}

/// One snapshot every quarter of an hour, the newest just now, named as sanoid
/// names them, in no order.
fn history(count: usize) -> Vec<Snapshot> {
    let newest: Timestamp = now().timestamp();
    let quarter = SignedDuration::from_mins(15);
    let mut order: Vec<usize> = (0..count).collect();
    // The kernel lists snapshots by the hash of their names.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for nth in (1..count).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        order.swap(nth, (state % (nth as u64 + 1)) as usize);
    }
    order
        .into_iter()
        .map(|nth| {
            let at = newest - quarter * i32::try_from(nth).expect("few enough");
            let tier = Tier::ALL[nth % 6];
            let name = format!("autosnap_{}_{tier}", at.strftime("%Y-%m-%d_%H:%M:%S"));
            let txg = (count - nth) as u64;
            Snapshot::new(name, Guid(txg * 7919), Txg(txg), at).using(4096)
        })
        .collect()
}

/// Six calendar tiers and the newest few, as most people have it.
fn tiers() -> Policy {
    Keep {
        last: 3,
        frequently: 8,
        hourly: 48,
        daily: 60,
        weekly: 8,
        monthly: 24,
        yearly: 5,
    }
    .policy(Names::prefix("autosnap_"))
}

/// A line of this process' own status, such as `VmRSS`, in bytes.
fn status(key: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").expect("Linux' status file");
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|line| line.trim_start_matches(':').split_whitespace().next());
    number
        .and_then(|kib| kib.parse::<usize>().ok())
        .expect("a number")
        * 1024
}
