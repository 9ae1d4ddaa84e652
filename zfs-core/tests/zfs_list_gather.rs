//! A dataset's snapshots listed by threads that share it: the same as one
//! after the other.

mod fixture;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use fixture::Pool;
use zfs_core::{
    DatasetName, Defer, EntryKinds, ListRequest, ListSnapshots, Mounts, Snapshot, Txg, Zfs,
};

/// Around where ranges begin to be made, and well beyond it. The kernel keeps
/// up to some hundred names in one block, and more of them in another form.
const SIZES: [usize; 7] = [0, 1, 5, 11, 14, 63, 320];

/// Datasets with so many snapshots each.
fn datasets(pool: &Pool) -> Vec<(DatasetName, usize)> {
    let all = SIZES.map(|size| (pool.filesystem(&format!("d{size}")), size));
    for number in 0..SIZES[SIZES.len() - 1] {
        let names: Vec<_> = all
            .iter()
            .filter(|(_, size)| number < *size)
            .map(|(dataset, _)| dataset.with_snapshot(&format!("s{number}")).unwrap())
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

#[test]
fn snapshots_that_stay_are_there_once_while_others_come_and_go() {
    const STAY: usize = 80;
    let pool = Pool::new();
    let dataset = pool.filesystem("a");
    for number in 0..STAY {
        pool.take(&format!("a@stay{number}"));
    }
    let stop = AtomicBool::new(false);
    let (mut most, mut seen) = (0, 0);
    thread::scope(|scope| {
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
        for _ in 0..25 {
            let listed = pool.zfs.list_snapshots(&dataset, ListSnapshots::new());
            let listed = listed.gather().unwrap();
            let names: BTreeSet<&str> = listed.iter().map(|one| one.name.snapshot()).collect();
            assert_eq!(names.len(), listed.len(), "one is there twice");
            let stay = names.iter().filter(|name| name.starts_with("stay"));
            assert_eq!(stay.count(), STAY);
            most = most.max(listed.len());
            seen += listed.len() - STAY;
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(
        seen > 0 && most <= STAY + 24,
        "nothing came while it listed"
    );
}

#[test]
fn a_dataset_that_goes_away_is_an_error_and_not_a_short_list() {
    const SIZE: usize = 150;
    let pool = Pool::new();
    let (here, there) = (pool.filesystem("a"), pool.dataset("b"));
    for number in 0..SIZE {
        pool.take(&format!("a@s{number}"));
    }
    let gather = |dataset: &DatasetName| {
        let listed = pool.zfs.list_snapshots(dataset, ListSnapshots::new());
        listed.gather().map(|listed| listed.len())
    };
    assert!(gather(&there).unwrap_err().is_not_found());
    let mut errors = 0;
    for round in 0..12 {
        let result = thread::scope(|scope| {
            let gathering = scope.spawn(|| gather(&here));
            thread::sleep(Duration::from_millis(10 * round));
            pool.zfs.rename_with(&here, &there, Mounts::Leave).unwrap();
            gathering.join().unwrap()
        });
        match result {
            Ok(length) => assert_eq!(length, SIZE),
            Err(error) => {
                assert!(error.is_not_found(), "{error}");
                errors += 1;
            }
        }
        pool.zfs.rename_with(&there, &here, Mounts::Leave).unwrap();
    }
    assert!(errors > 0, "it was never renamed on the way");
}
