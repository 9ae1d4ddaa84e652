//! A clock that is set back brings old values of `snapshots_changed` again.
//! By itself in this program: it sets the machine's clock.

mod fixture;

use std::thread;
use std::time::{Duration, SystemTime};

use fixture::{Pool, run, version};
use zfs_core::{EntryKinds, ListCache, ListRequest};

#[test]
fn after_a_step_of_the_clock_nothing_is_taken_from_the_cache() {
    let pool = Pool::new();
    pool.filesystem("a");
    pool.take("a@old");
    // The youngest stays what it is, or that would tell the change.
    pool.take("a@young");
    let listed = || {
        let request = ListRequest::new()
            .root(pool.name().root())
            .kinds(EntryKinds::SNAPSHOT)
            // Each dataset by its own marks, not the tree by its events.
            .datasets_matching("**".parse().unwrap())
            .cache(ListCache::new(pool.path().join("cache")));
        let mut listing = pool.zfs.list(request);
        let names: Vec<String> = listing
            .by_ref()
            .map(|entry| {
                let entry = entry.unwrap();
                entry.name().split_once('@').unwrap().1.to_owned()
            })
            .collect();
        (names.join(" "), listing.cached_datasets())
    };
    let seconds = || {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.unwrap().as_secs_f64()
    };
    let entry = pool.zfs.dataset(&pool.dataset("a")).unwrap();
    let Some(changed) = entry.snapshots_changed() else {
        assert!(version() < (2, 2));
        let all = ("old young".to_owned(), 0);
        return assert_eq!((listed(), listed()), (all.clone(), all));
    };
    let changed = changed.duration_since(SystemTime::UNIX_EPOCH);
    let changed: u64 = changed.unwrap().as_secs();
    thread::sleep(Duration::from_millis(2100));
    let all = |cached| ("old young".to_owned(), cached);
    assert_eq!((listed(), listed()), (all(0), all(1)));

    // Change another one in the very second of the last, as the clock has it.
    let mut same = false;
    let mut old = "a@old".to_owned();
    for number in 0..20 {
        let away = seconds() - (changed as f64 + 0.1);
        let back = format!("@{:.3}", changed as f64 + 0.1);
        run(&["date", "-s", &back]);
        let new = format!("a@other{number}");
        let (from, to) = (pool.snapshot(&old), pool.snapshot(&new));
        pool.zfs.rename_snapshot(&from, &to).unwrap();
        old = new;
        let now = pool
            .zfs
            .dataset(&pool.dataset("a"))
            .unwrap()
            .snapshots_changed();
        let names = format!("other{number} young");
        assert_eq!(listed(), (names.clone(), 0), "the clock is set back");
        same = now == Some(SystemTime::UNIX_EPOCH + Duration::from_secs(changed));
        run(&["date", "-s", &format!("@{:.3}", seconds() + away)]);
        assert_eq!(listed().0, names);
        if same {
            break;
        }
    }
    assert!(same, "the same second was never met again");
}
