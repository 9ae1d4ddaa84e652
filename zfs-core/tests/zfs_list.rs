//! Listing on real ZFS, compared with what zfs-list(8) says.

mod fixture;

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use fixture::{Pool, get, noise, receive, run, send, version, zfs};
use zfs_core::{
    DatasetKind, DatasetKinds, DatasetName, Error, Guid, KeyStatus, ListDatasets, ListSnapshots,
    ReceiveRequest, SendRequest, Snapshot, Txg, Zfs,
};

/// More than the first answer's room takes.
const LARGE: usize = 8000;

fn snapshots(zfs: &Zfs, dataset: &DatasetName, what: ListSnapshots) -> Vec<Snapshot> {
    let mut list = zfs
        .list_snapshots(dataset, what)
        .collect::<Result<Vec<_>, _>>()
        .expect("a listing");
    list.sort_by_key(|snapshot| snapshot.createtxg);
    list
}

fn dataset_names(zfs: &Zfs, root: &DatasetName, what: ListDatasets) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for dataset in zfs.list_datasets(root, what) {
        let name = dataset.expect("a dataset").name.to_string();
        assert!(names.insert(name.clone()), "{name} is listed twice");
    }
    names
}

fn zfs_list(arguments: &[&str]) -> BTreeSet<String> {
    let output = run(&[&["zfs", "list", "-Hpo", "name"], arguments].concat());
    output.lines().map(str::to_owned).collect()
}

/// Takes snapshots of one dataset, each in a transaction group of its own.
fn take_many(pool: &Pool, dataset: &str, count: usize) {
    for number in 0..count {
        pool.take(&format!("{dataset}@s{number}"));
    }
}

#[test]
fn snapshots_are_those_that_zfs_lists_with_guid_and_createtxg() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    pool.filesystem("a/below");
    pool.take("a/below@other");
    take_many(&pool, "a", 30);
    let expected: BTreeSet<String> = run(&[
        "zfs",
        "list",
        "-Hpt",
        "snapshot",
        "-o",
        "name,guid,createtxg",
        "-d",
        "1",
        a.as_str(),
    ])
    .lines()
    .map(str::to_owned)
    .collect();
    for what in [ListSnapshots::new(), ListSnapshots::new().with_properties()] {
        let listed: BTreeSet<String> = snapshots(&pool.zfs, &a, what)
            .iter()
            .map(|s| format!("{}\t{}\t{}", s.name, s.guid, s.createtxg.0))
            .collect();
        assert_eq!(listed, expected);
    }
    assert_eq!(expected.len(), 30);
}

#[test]
fn bounds_of_transaction_groups_include_their_ends() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    take_many(&pool, "a", 6);
    let all = snapshots(&pool.zfs, &a, ListSnapshots::new());
    let (from, to) = (all[1].createtxg, all[4].createtxg);
    let names = |what: ListSnapshots| -> Vec<String> {
        let list = snapshots(&pool.zfs, &a, what);
        list.iter().map(|s| s.name.snapshot().to_owned()).collect()
    };
    let new = ListSnapshots::new;
    assert_eq!(
        names(new().min_txg(from).max_txg(to)),
        ["s1", "s2", "s3", "s4"]
    );
    assert_eq!(names(new().min_txg(to)), ["s4", "s5"]);
    assert_eq!(names(new().max_txg(from)), ["s0", "s1"]);
    assert_eq!(names(new().min_txg(Txg(u64::MAX))), [""; 0]);
    assert_eq!(names(new().max_txg(Txg(0))), [""; 0]);
    assert_eq!(names(new().min_txg(from).with_properties()).len(), 5);
}

#[test]
fn a_dataset_that_is_not_there_is_an_error_and_no_empty_listing() {
    let pool = Pool::new();
    let missing = pool.dataset("missing");
    let only = |items: Vec<Result<(), Error>>| {
        assert_eq!(items.len(), 1);
        let error = items.into_iter().next().unwrap().unwrap_err();
        assert!(error.is_not_found(), "{error}");
        assert!(error.to_string().contains(missing.as_str()), "{error}");
    };
    let listing = pool.zfs.list_snapshots(&missing, ListSnapshots::new());
    only(listing.map(|item| item.map(drop)).collect());
    let listing = pool
        .zfs
        .list_datasets(&missing, ListDatasets::new().recursive());
    only(listing.map(|item| item.map(drop)).collect());
    assert!(pool.zfs.dataset(&missing).unwrap_err().is_not_found());
    let snapshot = pool.snapshot("missing@x");
    assert!(
        pool.zfs
            .snapshot_entry(&snapshot)
            .unwrap_err()
            .is_not_found()
    );
    // One that is there and has none is something else.
    let empty = pool.filesystem("empty");
    assert!(snapshots(&pool.zfs, &empty, ListSnapshots::new()).is_empty());
}

#[test]
fn a_dataset_that_goes_away_while_it_is_listed_is_no_short_listing() {
    let pool = Pool::new();
    for change in ["destroy", "rename"] {
        let a = pool.filesystem(change);
        take_many(&pool, change, 5);
        let mut listing = pool.zfs.list_snapshots(&a, ListSnapshots::new());
        listing.next().unwrap().unwrap();
        match change {
            "destroy" => run(&["zfs", "destroy", "-r", a.as_str()]),
            _ => run(&[
                "zfs",
                "rename",
                a.as_str(),
                pool.dataset("elsewhere").as_str(),
            ]),
        };
        let rest: Vec<_> = listing.by_ref().collect();
        assert_eq!(rest.len(), 1);
        assert!(rest[0].as_ref().unwrap_err().is_not_found(), "{change}");
        assert!(listing.next().is_none());
    }
}

#[test]
fn a_snapshot_that_goes_away_while_it_is_listed_is_left_out() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    take_many(&pool, "a", 12);
    let mut listing = pool.zfs.list_snapshots(&a, ListSnapshots::new());
    let first = listing.next().unwrap().unwrap().name;
    let gone: Vec<String> = (0..12)
        .map(|number| format!("{a}@s{number}"))
        .filter(|name| first != name.as_str())
        .take(6)
        .collect();
    for name in &gone {
        run(&["zfs", "destroy", name]);
    }
    let rest = listing.collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(rest.len(), 5);
    assert!(rest.iter().all(|s| !gone.contains(&s.name.to_string())));
}

#[test]
fn an_answer_that_outgrows_its_buffer_skips_no_entry() {
    let pool = Pool::new();
    let value = "v".repeat(LARGE);
    for parent in ["small", "large"] {
        pool.filesystem(parent);
        for number in 0..12 {
            let child = pool.filesystem(&format!("{parent}/c{number}"));
            // Entries of every size among each other: 8, 16, 24 KiB and none.
            for property in 0..(number % 4) {
                run(&[
                    "zfs",
                    "set",
                    &format!("a:p{property}={value}"),
                    child.as_str(),
                ]);
            }
        }
    }
    let expected = zfs_list(&["-r", pool.name().as_str()]);
    let listed = dataset_names(
        &pool.zfs,
        &pool.name().root(),
        ListDatasets::new().recursive(),
    );
    assert_eq!(listed, expected);

    let a = pool.filesystem("a");
    for number in 0..12 {
        let snapshot = pool.take(&format!("a@s{number}"));
        for property in 0..(number % 4) {
            run(&[
                "zfs",
                "set",
                &format!("a:p{property}={value}"),
                snapshot.as_str(),
            ]);
        }
    }
    let listed = snapshots(&pool.zfs, &a, ListSnapshots::new().with_properties());
    assert_eq!(listed.len(), 12);
    for snapshot in listed {
        let number: usize = snapshot.name.snapshot()[1..].parse().unwrap();
        let properties = snapshot.properties.unwrap();
        assert_eq!(properties.user().count(), number % 4, "{}", snapshot.name);
        if number % 4 > 0 {
            assert_eq!(properties.str("a:p0"), Some(value.as_str()));
        }
    }
}

#[test]
fn depth_and_kinds_choose_what_is_listed() {
    let pool = Pool::new();
    for name in ["a", "a/b", "a/b/c", "a/b/c/d"] {
        pool.filesystem(name);
    }
    let volume = pool.dataset("a/b/v");
    run(&["zfs", "create", "-sV", "16M", volume.as_str()]);
    let a = pool.dataset("a");
    for (depth, argument) in [(0, "0"), (1, "1"), (2, "2")] {
        let listed = dataset_names(&pool.zfs, &a, ListDatasets::new().depth(depth));
        assert_eq!(listed, zfs_list(&["-d", argument, a.as_str()]));
    }
    let all = ListDatasets::new().recursive();
    assert_eq!(
        dataset_names(&pool.zfs, &a, all),
        zfs_list(&["-r", a.as_str()])
    );
    let volumes = dataset_names(&pool.zfs, &a, all.kinds(DatasetKinds::VOLUME));
    assert_eq!(volumes, BTreeSet::from([volume.to_string()]));
    let order: Vec<_> = pool
        .zfs
        .list_datasets(&a, all.without_properties())
        .map(|dataset| dataset.unwrap().name)
        .collect();
    for (position, name) in order.iter().enumerate() {
        for below in &order[..position] {
            assert!(!below.is_descendant_of(name), "{below} before {name}");
        }
    }
}

#[test]
fn a_dataset_s_record_is_what_zfs_get_says() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    pool.write(&a, "file", &noise(1, 1 << 20));
    let first = pool.take("a@first");
    pool.take("a@second");
    let clone = pool.dataset("clone");
    run(&["zfs", "clone", first.as_str(), clone.as_str()]);
    let seconds = |time: Option<SystemTime>| {
        time.map(|time| {
            time.duration_since(SystemTime::UNIX_EPOCH)
                .unwrap()
                .as_secs()
                .to_string()
        })
    };
    for name in [&a, &clone] {
        let read = pool.zfs.dataset(name).unwrap();
        assert_eq!(read.kind, DatasetKind::Filesystem);
        assert_eq!(read.guid.to_string(), get(name, "guid"));
        assert_eq!(read.createtxg.0.to_string(), get(name, "createtxg"));
        assert_eq!(seconds(read.creation()), Some(get(name, "creation")));
        assert_eq!(read.used().unwrap().to_string(), get(name, "used"));
        assert_eq!(
            read.referenced().unwrap().to_string(),
            get(name, "referenced")
        );
        // What was freed comes back little by little.
        assert!(read.available().unwrap() > 0);
        assert_eq!(read.receive_resume_token(), None);
        assert_eq!(read.encryption_root(), None);
        assert_eq!(read.key_status(), None);
        assert!(!read.inconsistent && !read.redacted);
        if version() >= (2, 2) {
            assert_eq!(seconds(read.snapshots_changed()).unwrap_or("0".into()), {
                let shown = get(name, "snapshots_changed");
                if shown == "-" { "0".to_owned() } else { shown }
            });
        } else {
            assert_eq!(read.snapshots_changed(), None);
        }
    }
    let read = pool.zfs.dataset(&a).unwrap();
    assert_eq!(read.origin, None);
    assert_eq!(read.newest_snapshot(), Some(pool.snapshot("a@second")));
    assert_eq!(pool.zfs.dataset(&clone).unwrap().origin, Some(first));
}

#[test]
fn a_snapshot_s_creation_holds_and_clones_are_read() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    let snapshot = pool.take("a@x");
    pool.take("a@y");
    run(&["zfs", "hold", "one", snapshot.as_str()]);
    run(&["zfs", "hold", "two", snapshot.as_str()]);
    let clones = [pool.dataset("c1"), pool.dataset("c2")];
    for clone in &clones {
        run(&["zfs", "clone", snapshot.as_str(), clone.as_str()]);
    }
    let creation = pool.zfs.snapshot_creation(&snapshot).unwrap();
    let expected: u64 = get(&snapshot, "creation").parse().unwrap();
    assert_eq!(
        creation,
        SystemTime::UNIX_EPOCH + Duration::from_secs(expected)
    );

    let simple = snapshots(&pool.zfs, &a, ListSnapshots::new());
    assert_eq!((simple[0].clone_count, simple[1].clone_count), (2, 0));
    assert_eq!(simple[0].creation(), None);
    let full = snapshots(&pool.zfs, &a, ListSnapshots::new().with_properties());
    assert_eq!(full[0].creation(), Some(creation));
    assert_eq!((full[0].userrefs(), full[1].userrefs()), (Some(2), Some(0)));
    let mut named = full[0].clones().unwrap();
    named.sort();
    assert_eq!(named, clones);
    assert!(full[1].clones().unwrap().is_empty());
    assert_eq!(full[0].used().unwrap().to_string(), get(&snapshot, "used"));
    assert_eq!(full[0].defer_destroy(), Some(false));
}

#[test]
fn keys_and_encryption_roots_are_read() {
    let pool = Pool::new();
    let root = pool.encrypted("secret", &[]);
    let below = pool.dataset("secret/below");
    run(&["zfs", "create", below.as_str()]);
    let read = pool.zfs.dataset(&below).unwrap();
    assert_eq!(read.encryption_root(), Some(root.clone()));
    assert_eq!(read.key_status(), Some(KeyStatus::Available));
    run(&["zfs", "unload-key", root.as_str()]);
    let read = pool.zfs.dataset(&below).unwrap();
    assert_eq!(read.key_status(), Some(KeyStatus::Unavailable));
    assert_eq!(read.properties.unwrap().text("encryption"), "aes-256-gcm");
}

#[test]
fn an_interrupted_receive_shows_its_token_and_not_its_hidden_dataset() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    let first = pool.take("a@first");
    pool.write(&a, "file", &noise(2, 4 << 20));
    let second = pool.take("a@second");
    let full = send(&pool.zfs, &SendRequest::snapshot(first.clone())).unwrap();
    let to = |name: &str| ReceiveRequest::new(pool.snapshot(name)).resumable();
    receive(&pool.zfs, &to("b@first"), &full).unwrap();
    let more = send(&pool.zfs, &SendRequest::snapshot(second).from(first)).unwrap();
    receive(&pool.zfs, &to("b@second"), &more[..more.len() / 2]).unwrap_err();

    let b = pool.zfs.dataset(&pool.dataset("b")).unwrap();
    let token = get(&b.name, "receive_resume_token");
    assert_eq!(b.receive_resume_token(), Some(token.as_str()));
    let names = dataset_names(&pool.zfs, &b.name, ListDatasets::new().recursive());
    assert_eq!(names, BTreeSet::from([b.name.to_string()]));

    // A first receive that is cut off leaves the dataset itself unfinished.
    let all = SendRequest::snapshot(pool.snapshot("a@second"));
    let all = send(&pool.zfs, &all).unwrap();
    receive(&pool.zfs, &to("c@second"), &all[..all.len() / 2]).unwrap_err();
    let c = pool.zfs.dataset(&pool.dataset("c")).unwrap();
    assert!(c.inconsistent && !b.inconsistent);
    assert!(c.receive_resume_token().is_some());
}

#[test]
fn a_volume_is_one() {
    let pool = Pool::new();
    let name = pool.dataset("v");
    run(&["zfs", "create", "-sV", "16M", name.as_str()]);
    let volume = pool.zfs.dataset(&name).unwrap();
    assert_eq!(volume.kind, DatasetKind::Volume);
    assert_eq!(volume.properties.unwrap().number("volsize"), Some(16 << 20));
}

#[test]
fn a_name_of_full_length_has_no_snapshots_and_that_is_no_error() {
    let pool = Pool::new();
    let longest = "x".repeat(255 - pool.name().as_str().len() - 1);
    let name = pool.filesystem(&longest);
    assert_eq!(name.as_str().len(), 255);
    assert!(snapshots(&pool.zfs, &name, ListSnapshots::new()).is_empty());
    assert_eq!(pool.zfs.dataset(&name).unwrap().name, name);
}

#[test]
fn pools_are_listed_with_their_guids() {
    let (one, two) = (Pool::new(), Pool::new());
    let pools = zfs().list_pools().unwrap();
    for pool in [&one, &two] {
        let listed = pools
            .iter()
            .find(|listed| listed.name == *pool.name())
            .unwrap();
        let guid = run(&[
            "zpool",
            "get",
            "-Hpo",
            "value",
            "guid",
            pool.name().as_str(),
        ]);
        assert_eq!(listed.guid, guid.trim().parse::<Guid>().unwrap());
    }
    assert!(pools.is_sorted_by(|a, b| a.name < b.name));
}

#[test]
fn signals_do_not_shorten_a_listing() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    take_many(&pool, "a", 20);
    let listed = signals::while_interrupted(|| {
        let mut counts = Vec::new();
        for _ in 0..3 {
            counts.push(snapshots(&pool.zfs, &a, ListSnapshots::new()).len());
        }
        counts
    });
    assert_eq!(listed, [20; 3]);
}

#[test]
fn one_handle_lists_from_many_threads() {
    let pool = Pool::new();
    for name in ["a", "b", "c", "d"] {
        pool.filesystem(name);
        take_many(&pool, name, 10);
    }
    std::thread::scope(|scope| {
        for name in ["a", "b", "c", "d"] {
            let (zfs, dataset) = (pool.zfs.clone(), pool.dataset(name));
            scope.spawn(move || {
                for _ in 0..10 {
                    let list = snapshots(&zfs, &dataset, ListSnapshots::new());
                    assert_eq!(list.len(), 10);
                    assert!(list.iter().all(|s| *s.name.dataset() == dataset));
                }
            });
        }
    });
}

/// A stream of signals at one thread, whose handler does nothing.
mod signals {
    #![allow(unsafe_code, reason = "no safe call sends a signal to one thread")]

    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    extern "C" fn nothing(_signal: libc::c_int) {}

    pub fn while_interrupted<T>(work: impl FnOnce() -> T) -> T {
        let done = AtomicBool::new(false);
        // SAFETY: the handler touches nothing; without SA_RESTART system
        // calls are interrupted. The thread that gets the signals outlives
        // the scope, and with it the one that sends them.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = nothing as *const () as usize;
            assert_eq!(
                libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()),
                0
            );
            let target = libc::pthread_self();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        libc::pthread_kill(target, libc::SIGUSR1);
                        // More often than a request takes.
                        std::thread::sleep(Duration::from_micros(100));
                    }
                });
                let result = work();
                done.store(true, Ordering::Relaxed);
                result
            })
        }
    }
}
