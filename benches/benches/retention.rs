//! Plans over many snapshots: the whole million of a large site, how time
//! grows with the length of one dataset's history, and how much memory a plan
//! takes.
//!
//! Memory is counted by the allocator and printed before the timings; it is
//! what stands while a plan does, the caller's snapshots included.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use jiff::{SignedDuration, Timestamp, Zoned};
use zfs_retention::{Guid, Keep, Names, Policy, Snapshot, Tier, Txg};

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator with the same arguments;
// only numbers are kept beside it.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(held, Ordering::Relaxed);
        // SAFETY: the caller's promises about `layout` are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: `memory` came from `alloc` above, that is, from `System`.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

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
    let before = HELD.load(Ordering::Relaxed);
    let snapshots = history(1_000_000);
    let input = HELD.load(Ordering::Relaxed) - before;
    MOST.store(HELD.load(Ordering::Relaxed), Ordering::Relaxed);
    let plan = policy.plan(&snapshots, &[], &now);
    let standing = HELD.load(Ordering::Relaxed) - before;
    let most = MOST.load(Ordering::Relaxed) - before;
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
