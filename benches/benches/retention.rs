//! Plans over many snapshots: the whole million of a large site, how time
//! grows with the length of one dataset's history, and how much memory a plan
//! takes.
//!
//! Memory is the process' own, as the kernel counts it, printed before the
//! timings; it is what stands while a plan does, the caller's snapshots included.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use jiff::{SignedDuration, Timestamp, Zoned};
use zfs_retention::{Guid, Keep, Names, Policy, Snapshot, Tier, Txg};

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

fn now() -> Zoned {
    "2026-04-03T12:00:00+02:00[Europe/Berlin]"
        .parse()
        .expect("a moment")
}

/// One snapshot every quarter of an hour, the newest just now, named as
/// sanoid names them.
fn history(count: usize) -> Vec<Snapshot> {
    let newest = now().timestamp();
    let step = SignedDuration::from_mins(15);
    let mut at: Timestamp = newest;
    (0..count)
        .map(|nth| {
            let tier = Tier::ALL[nth % 6];
            let name = format!("autosnap_{}_{tier}", at.strftime("%Y-%m-%d_%H:%M:%S"));
            let txg = (count - nth) as u64;
            let snapshot = Snapshot::new(name, Guid(txg * 7919), Txg(txg), at).using(4096);
            at -= step;
            snapshot
        })
        .collect()
}

/// Six calendar tiers and the newest few, as most people have it.
fn calendar() -> Policy {
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

fn planned(policy: &Policy, datasets: &[Vec<Snapshot>], now: &Zoned) -> usize {
    datasets
        .iter()
        .map(|snapshots| policy.plan(snapshots, &[], now).destroyed().count())
        .sum()
}

fn memory() {
    let now = now();
    let policy = calendar();
    let before = status("VmRSS");
    let snapshots = history(1_000_000);
    let input = status("VmRSS") - before;
    let plan = policy.plan(&snapshots, &[], &now);
    let standing = status("VmRSS") - before;
    let most = status("VmHWM") - before;
    black_box(&plan);
    let each = |bytes: usize| bytes as f64 / 1e6;
    println!(
        "memory per snapshot: {:.0} bytes of input, {:.0} with the plan standing, {:.0} at most while it is made",
        each(input),
        each(standing),
        each(most)
    );
}

fn retention(criterion: &mut Criterion) {
    memory();
    let now = now();
    let mut group = criterion.benchmark_group("plan");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500));

    let site: Vec<Vec<Snapshot>> = vec![history(1000); 1000];
    group.throughput(Throughput::Elements(1_000_000));
    group.bench_function("1000 datasets of 1000, seven tiers", |bencher| {
        let policy = calendar();
        bencher.iter(|| planned(&policy, &site, &now));
    });
    group.bench_function("1000 datasets of 1000, sanoid", |bencher| {
        let policy = zfs_retention::conf::Settings::default().policy();
        bencher.iter(|| planned(&policy, &site, &now));
    });
    drop(site);

    let policy = calendar();
    for count in [1_000, 10_000, 100_000, 1_000_000] {
        let snapshots = [history(count)];
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::new("one dataset", count), |bencher| {
            bencher.iter(|| planned(&policy, &snapshots, &now));
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    retention(&mut criterion);
    criterion.final_summary();
}
