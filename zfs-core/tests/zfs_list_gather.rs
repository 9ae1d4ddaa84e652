//! A dataset's snapshots listed by threads that share it: the same as one
//! after the other.

mod fixture;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fixture::{PATIENCE, Pool};
use zfs_core::{
    DatasetName, Defer, EntryKinds, ListRequest, ListSnapshots, Mounts, Snapshot, Txg, Zfs,
};

/// Around where ranges begin to be made, and well beyond it. The last has long
/// names, which the kernel keeps in another form (a fat ZAP).
const SIZES: [usize; 7] = [0, 1, 5, 11, 14, 63, LARGE];
const LARGE: usize = 120;

/// Datasets with so many snapshots each.
fn datasets(pool: &Pool) -> Vec<(DatasetName, usize)> {
    let all = SIZES.map(|size| (pool.filesystem(&format!("d{size}")), size));
    for number in 0..LARGE {
        let names: Vec<_> = all
            .iter()
            .filter(|(_, size)| number < *size)
            .map(|(dataset, size)| {
                let digits = if *size == LARGE { 60 } else { 1 };
                let name = format!("s{number:0digits$}");
                dataset.with_snapshot(&name).unwrap()
            })
            .collect();
        pool.zfs.snapshot(&names).unwrap();
    }
    all.into()
}

/// Everything that a listing says of them, in its order.
fn told(snapshots: Vec<Snapshot>) -> Vec<String> {
    let line = |snapshot: Snapshot| {
        let creation = snapshot.creation();
        format!(
            "{} {} {} {creation:?}",
            snapshot.name, snapshot.guid, snapshot.createtxg.0
        )
    };
    snapshots.into_iter().map(line).collect()
}

fn one_by_one(zfs: &Zfs, dataset: &DatasetName, what: ListSnapshots) -> Vec<String> {
    let listed = zfs.list_snapshots(dataset, what);
    told(listed.collect::<Result<_, _>>().unwrap())
}

fn gathered(zfs: &Zfs, dataset: &DatasetName, what: ListSnapshots) -> Vec<String> {
    told(zfs.list_snapshots(dataset, what).gather().unwrap())
}

fn compare(zfs: &Zfs, dataset: &DatasetName, size: usize) {
    for what in [ListSnapshots::new(), ListSnapshots::new().with_properties()] {
        let all = one_by_one(zfs, dataset, what);
        assert_eq!(all.len(), size);
        assert_eq!(gathered(zfs, dataset, what), all);
    }
    let mut rest = zfs.list_snapshots(dataset, ListSnapshots::new());
    if let Some(first) = rest.next() {
        let mut all = vec![first.unwrap()];
        all.extend(rest.gather().unwrap());
        let expected = one_by_one(zfs, dataset, ListSnapshots::new());
        assert_eq!(told(all), expected, "what is left behind the first");
    }
}

#[test]
fn the_same_snapshots_in_the_same_order() {
    if let Some(name) = fixture::argument_as_user() {
        let (dataset, size) = name.split_once(' ').unwrap();
        let dataset = dataset.parse().unwrap();
        return compare(&fixture::zfs(), &dataset, size.parse().unwrap());
    }
    let pool = Pool::new();
    let datasets = datasets(&pool);
    for (dataset, size) in &datasets {
        compare(&pool.zfs, dataset, *size);
    }

    let (large, size) = &datasets[SIZES.len() - 1];
    let txgs: Vec<Txg> = pool
        .zfs
        .list_snapshots(large, ListSnapshots::new())
        .map(|snapshot| snapshot.unwrap().createtxg)
        .collect();
    let (least, most) = (txgs.iter().min().unwrap(), txgs.iter().max().unwrap());
    let middle = Txg(least.0.midpoint(most.0));
    let late = ListSnapshots::new().min_txg(middle);
    let expected = one_by_one(&pool.zfs, large, late);
    assert!((10..size - 10).contains(&expected.len()));
    assert_eq!(gathered(&pool.zfs, large, late), expected);
    let none = ListSnapshots::new().max_txg(Txg(0));
    assert!(gathered(&pool.zfs, large, none).is_empty());

    // Mounted, and with other listings beside it.
    pool.mount(large);
    compare(&pool.zfs, large, *size);
    let request = || {
        ListRequest::new()
            .root(pool.name().root())
            .kinds(EntryKinds::SNAPSHOT)
    };
    let names = |request| -> Vec<String> {
        let listing = pool.zfs.list(request);
        listing
            .map(|entry| entry.unwrap().name().to_owned())
            .collect()
    };
    let alone = names(request().threads(1));
    assert_eq!(alone.len(), SIZES.iter().sum::<usize>());
    for threads in [2, 8] {
        assert_eq!(names(request().threads(threads)), alone);
    }
    pool.unmount(large);

    let argument = format!("{large} {size}");
    fixture::again_as_user(&pool, "the_same_snapshots_in_the_same_order", &argument);
}

/// Tells another thread to stop, also where a test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn snapshots_that_stay_are_there_once_while_others_come_and_go() {
    const STAY: usize = 80;
    const ROUNDS: usize = 25;
    let pool = Pool::new();
    let dataset = pool.filesystem("a");
    for number in 0..STAY {
        pool.take(&format!("a@stay{number}"));
    }
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| {
            for round in 0.. {
                let batch: Vec<_> = (0..12)
                    .map(|number| pool.take(&format!("a@come{round}-{number}")))
                    .collect();
                pool.zfs.destroy_snapshots(&batch, Defer::No).unwrap();
                if stop.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        let started = Instant::now();
        let (mut rounds, mut came) = (0, 0);
        while rounds < ROUNDS || came == 0 {
            let waits = came > 0 || started.elapsed() < PATIENCE;
            assert!(waits, "nothing came while it listed");
            let listed = pool.zfs.list_snapshots(&dataset, ListSnapshots::new());
            let listed = listed.gather().unwrap();
            let names: BTreeSet<&str> = listed.iter().map(|one| one.name.snapshot()).collect();
            assert_eq!(names.len(), listed.len(), "one is there twice");
            let begins = |with: &str| names.iter().filter(|name| name.starts_with(with)).count();
            assert_eq!(begins("stay"), STAY);
            assert_eq!(begins("stay") + begins("come"), names.len());
            rounds += 1;
            came += begins("come");
        }
    });
}

#[test]
fn a_dataset_that_goes_away_is_an_error_and_not_a_short_list() {
    const SIZE: usize = 100;
    let pool = Pool::new();
    let (here, there) = (pool.filesystem("a"), pool.dataset("b"));
    for number in 0..SIZE {
        pool.take(&format!("a@s{number}"));
    }
    let list = || pool.zfs.list_snapshots(&here, ListSnapshots::new());
    let rename = |from, to| pool.zfs.rename_with(from, to, Mounts::Leave).unwrap();
    let mut begun = list();
    begun.next().unwrap().unwrap();
    rename(&here, &there);
    assert!(begun.gather().unwrap_err().is_not_found());
    assert!(list().gather().unwrap_err().is_not_found());
    rename(&there, &here);

    // And at whatever moment of it. Only there: one that is back by the end
    // of a listing is taken for one that stayed.
    for round in 0..8 {
        let gathered = thread::scope(|scope| {
            let gathering = scope.spawn(|| list().gather());
            thread::sleep(Duration::from_millis(10 * round));
            rename(&here, &there);
            gathering.join().unwrap()
        });
        match gathered {
            Ok(listed) => assert_eq!(listed.len(), SIZE),
            Err(error) => assert!(error.is_not_found(), "{error}"),
        }
        rename(&there, &here);
    }
}
