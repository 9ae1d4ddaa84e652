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
    pool.take("a@one");
    let listed = || {
        let request = ListRequest::new()
            .root(pool.name().root())
            .kinds(EntryKinds::SNAPSHOT)
            .cache(ListCache::new(pool.path().join("cache")));
        let mut listing = pool.zfs.list(request);
        let names: Vec<String> = listing
            .by_ref()
            .map(|entry| entry.unwrap().name().to_owned())
            .collect();
        (names.len(), listing.cached_datasets())
    };
    let seconds = || {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.unwrap().as_secs_f64()
    };
    let entry = pool.zfs.dataset(&pool.dataset("a")).unwrap();
    let Some(changed) = entry.snapshots_changed() else {
        assert!(version() < (2, 2));
        return assert_eq!((listed(), listed()), ((1, 0), (1, 0)));
    };
    let changed = changed.duration_since(SystemTime::UNIX_EPOCH);
    let changed: u64 = changed.unwrap().as_secs();
    thread::sleep(Duration::from_millis(2100));
    assert_eq!((listed(), listed()), ((1, 0), (1, 1)));

    // Take another one in the very second of the first, as the clock has it.
    let mut same = false;
    for number in 0..20 {
        let away = seconds() - (changed as f64 + 0.1);
        let back = format!("@{:.3}", changed as f64 + 0.1);
        run(&["date", "-s", &back]);
        pool.take(&format!("a@n{number}"));
        let now = pool
            .zfs
            .dataset(&pool.dataset("a"))
            .unwrap()
            .snapshots_changed();
        assert_eq!(listed(), (number + 2, 0), "the clock is set back");
        same = now == Some(SystemTime::UNIX_EPOCH + Duration::from_secs(changed));
        run(&["date", "-s", &format!("@{:.3}", seconds() + away)]);
        let (count, _) = listed();
        assert_eq!(count, number + 2);
        if same {
            break;
        }
    }
    assert!(same, "the same second was never met again");
}
