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
    let changed = || {
        let dataset = pool.zfs.dataset(&pool.dataset("a")).unwrap();
        let since = dataset
            .snapshots_changed()?
            .duration_since(SystemTime::UNIX_EPOCH);
        Some(since.unwrap().as_secs())
    };
    let all = |cached| ("old young".to_owned(), cached);
    if changed().is_none() {
        assert!(version() < (2, 2));
        return assert_eq!((listed(), listed()), (all(0), all(0)));
    }
    thread::sleep(Duration::from_millis(2100));
    assert_eq!((listed(), listed()), (all(0), all(1)));

    // Change another one in the very second of the last, as the clock has it.
    let mut old = "a@old".to_owned();
    for number in 0..20 {
        let kept = changed().unwrap();
        assert_eq!(listed().1, 1, "it is kept");
        let away = seconds() - (kept as f64 + 0.1);
        run(&["date", "-s", &format!("@{:.3}", kept as f64 + 0.1)]);
        let new = format!("a@other{number}");
        let (from, to) = (pool.snapshot(&old), pool.snapshot(&new));
        pool.zfs.rename_snapshot(&from, &to).unwrap();
        old = new;
        let names = format!("other{number} young");
        assert_eq!(listed(), (names.clone(), 0), "the clock is set back");
        let same = changed() == Some(kept);
        run(&["date", "-s", &format!("@{:.3}", seconds() + away)]);
        assert_eq!(listed().0, names, "the clock is right again");
        if same {
            return;
        }
    }
    panic!("the same second was never met again");
}
