//! Listings with filters, orders and threads, compared with zfs-list(8).

mod fixture;

use std::collections::BTreeSet;

use fixture::{Pool, run, version};
use zfs_core::{
    Details, Entry, EntryKinds, Error, ListOrder, ListRequest, ListSnapshots, Listing, Txg, Zfs,
};

const ALL: EntryKinds = EntryKinds::all();

/// Names that sort otherwise than a tree would have it, members of every
/// kind, a clone and a volume.
fn tree() -> Pool {
    let pool = Pool::new();
    for name in ["a", "a b", "a-b", "a.b", "a/b", "a/b/c", "A", "z"] {
        let name = pool.dataset(name);
        run(&["zfs", "create", "-p", name.as_str()]);
    }
    run(&["zfs", "create", "-sV", "16M", pool.dataset("v").as_str()]);
    for name in [
        "a@z",
        "a@s10",
        "a@s2",
        "a b@x",
        "a/b@one",
        "a/b/c@one",
        "v@v",
    ] {
        pool.take(name);
    }
    for mark in ["a#m2", "a#m1"] {
        let mark = format!("{}/{mark}", pool.name());
        run(&["zfs", "bookmark", pool.snapshot("a@z").as_str(), &mark]);
    }
    let clone = pool.dataset("clone");
    run(&[
        "zfs",
        "clone",
        pool.snapshot("a@z").as_str(),
        clone.as_str(),
    ]);
    pool.take("clone@own");
    pool
}

fn lines(listing: Listing) -> Vec<String> {
    listing
        .map(|entry| {
            let entry = entry.expect("an entry");
            format!(
                "{}\t{}\t{}",
                entry.name(),
                entry.guid(),
                entry.createtxg().0
            )
        })
        .collect()
}

fn zfs_list(arguments: &[&str]) -> Vec<String> {
    let fixed = ["zfs", "list", "-Hpo", "name,guid,createtxg"];
    let output = run(&[&fixed[..], arguments].concat());
    output.lines().map(str::to_owned).collect()
}

fn within(pool: &Pool) -> ListRequest {
    ListRequest::new().root(pool.name().root())
}

#[test]
fn the_order_of_names_is_that_of_zfs_list() {
    let pool = tree();
    let name = pool.name().as_str();
    // Each of two zfs list is a process: all pairs, but not all triples.
    for (threads, depths) in [(1, [None, Some(0), Some(2)]), (3, [None, Some(1), Some(3)])] {
        for (kinds, types) in [
            (ALL, "all"),
            (EntryKinds::DATASET, "filesystem,volume"),
            (EntryKinds::SNAPSHOT, "snapshot"),
            (EntryKinds::BOOKMARK, "bookmark"),
            (EntryKinds::VOLUME | EntryKinds::SNAPSHOT, "volume,snapshot"),
        ] {
            for depth in depths {
                // Of snapshots alone, zfs list without -r and -d goes one
                // level down; with -d 0 that is meant, too.
                if depth == Some(0) && !kinds.intersects(EntryKinds::DATASET) {
                    continue;
                }
                let mut request = within(&pool).kinds(kinds).threads(threads);
                let text = depth.unwrap_or_default().to_string();
                let mut arguments = vec!["-t", types];
                match depth {
                    None => arguments.push("-r"),
                    Some(depth) => {
                        request = request.depth(depth);
                        arguments.extend(["-d", &text]);
                    }
                }
                arguments.push(name);
                assert_eq!(
                    lines(pool.zfs.list(request)),
                    zfs_list(&arguments),
                    "{arguments:?} with {threads} threads"
                );
            }
        }
    }
}

#[test]
fn without_roots_all_pools_are_listed() {
    let one = tree();
    let two = Pool::new();
    two.filesystem("there");
    let listed = lines(one.zfs.list(ListRequest::new()));
    for pool in [&one, &two] {
        for line in zfs_list(&["-r", pool.name().as_str()]) {
            assert!(listed.contains(&line), "{line}");
        }
    }
}

#[test]
fn the_kernel_s_order_has_the_same_entries_each_behind_its_dataset() {
    let pool = tree();
    for threads in [1, 2] {
        let request = within(&pool)
            .kinds(ALL)
            .order(ListOrder::Kernel)
            .threads(threads);
        let listed = lines(pool.zfs.list(request));
        let expected = zfs_list(&["-r", "-t", "all", pool.name().as_str()]);
        let names: Vec<&str> = listed
            .iter()
            .map(|line| line.split('\t').next().unwrap())
            .collect();
        for (at, name) in names.iter().enumerate() {
            if let Some((dataset, _)) = name.split_once(['@', '#']) {
                assert!(names[..at].contains(&dataset), "{name} before its dataset");
            }
        }
        let sets: [BTreeSet<String>; 2] = [listed, expected].map(BTreeSet::from_iter);
        assert_eq!(sets[0], sets[1]);
    }
}

#[test]
fn patterns_and_transaction_groups_choose() {
    let pool = tree();
    let name = pool.name().as_str();
    let all = zfs_list(&["-r", "-t", "all", name]);
    let only = |wanted: &dyn Fn(&str, u64) -> bool| -> Vec<String> {
        let wanted = |line: &&String| {
            let mut fields = line.split('\t');
            let name = fields.next().unwrap();
            wanted(name, fields.nth(1).unwrap().parse().unwrap())
        };
        all.iter().filter(wanted).cloned().collect()
    };
    let list = |request: ListRequest| lines(pool.zfs.list(request.kinds(ALL)));

    let members = list(within(&pool).members_matching("s*".parse().unwrap()));
    let own = |name: &str| name.split_once(['@', '#']).map(|(_, own)| own.to_owned());
    assert_eq!(
        members,
        only(&|name, _| own(name).is_none_or(|own| own.starts_with('s')))
    );
    let pattern = format!("{name}/a/**");
    let below = list(within(&pool).datasets_matching(pattern.parse().unwrap()));
    assert_eq!(
        below,
        only(&|entry, _| entry.starts_with(&format!("{name}/a/")))
    );

    let snapshot = pool.zfs.snapshot_entry(&pool.snapshot("a@s10")).unwrap();
    let (from, to) = (snapshot.createtxg, Txg(snapshot.createtxg.0 + 2));
    for threads in [1, 2] {
        let range = list(within(&pool).min_txg(from).max_txg(to).threads(threads));
        assert_eq!(range, only(&|_, txg| (from.0..=to.0).contains(&txg)));
        assert!(range.len() >= 2);
    }
}

#[test]
fn details_bring_what_they_say() {
    let pool = tree();
    let list = |details| -> Vec<Entry> {
        let request = within(&pool).kinds(ALL).details(details);
        pool.zfs.list(request).collect::<Result<_, _>>().unwrap()
    };
    for entry in list(Details::Identity) {
        assert!(entry.properties().is_none());
        assert_eq!(entry.creation().is_some(), entry.name().contains('#'));
    }
    let expected = run(&[
        "zfs",
        "list",
        "-Hpro",
        "name,creation,used",
        "-t",
        "all",
        pool.name().as_str(),
    ]);
    let seconds = |entry: &Entry| {
        let since = entry
            .creation()
            .unwrap()
            .duration_since(std::time::UNIX_EPOCH);
        since.unwrap().as_secs()
    };
    for details in [Details::Creation, Details::Properties] {
        for (entry, line) in list(details).iter().zip(expected.lines()) {
            let fields: Vec<&str> = line.split('\t').collect();
            assert_eq!(entry.name(), fields[0]);
            assert_eq!(seconds(entry).to_string(), fields[1]);
            let used = entry.properties().map(|properties| properties.text("used"));
            // What the pool itself uses changes by itself.
            if details == Details::Properties && entry.name().contains('@') {
                assert_eq!(used.as_deref(), Some(fields[2]), "{line}");
            }
        }
    }
}

#[test]
fn a_root_that_is_not_there_is_an_error_and_the_others_are_listed() {
    let pool = tree();
    for order in [ListOrder::Name, ListOrder::Kernel] {
        let request = ListRequest::new()
            .root(pool.dataset("missing"))
            .root(pool.dataset("a/b"))
            .kinds(EntryKinds::SNAPSHOT)
            .order(order);
        let (good, bad): (Vec<_>, Vec<_>) = pool.zfs.list(request).partition(Result::is_ok);
        assert_eq!((good.len(), bad.len()), (2, 1));
        let error: &Error = bad[0].as_ref().unwrap_err();
        assert!(error.is_not_found(), "{error}");
    }
}

#[test]
fn roots_within_each_other_are_listed_once() {
    let pool = tree();
    let request = ListRequest::new()
        .root(pool.dataset("a/b"))
        .root(pool.dataset("a"))
        .root(pool.dataset("a"))
        .kinds(ALL);
    assert_eq!(
        lines(pool.zfs.list(request)),
        zfs_list(&["-r", "-t", "all", pool.dataset("a").as_str()])
    );
}

#[test]
fn datasets_that_vanish_while_they_are_listed_are_left_out() {
    for (order, threads) in [(ListOrder::Kernel, 1), (ListOrder::Name, 2)] {
        let pool = Pool::new();
        for number in 0..6 {
            pool.filesystem(&format!("d{number:02}"));
            pool.take(&format!("d{number:02}@one"));
        }
        let request = within(&pool)
            .kinds(EntryKinds::SNAPSHOT)
            .order(order)
            .threads(threads);
        let mut listing = pool.zfs.list(request);
        let first = listing.next().unwrap().unwrap().name().to_owned();
        for number in 0..6 {
            let dataset = pool.dataset(&format!("d{number:02}"));
            if !first.starts_with(dataset.as_str()) {
                run(&["zfs", "destroy", "-r", dataset.as_str()]);
            }
        }
        // What was fetched ahead of its turn may still come; nothing else
        // does, and nothing of it is an error.
        for entry in listing {
            entry.unwrap();
        }
    }
}

#[test]
fn a_root_that_vanishes_is_no_short_listing() {
    for threads in [1, 2] {
        let pool = Pool::new();
        let a = pool.filesystem("a");
        pool.take("a@one");
        let request = ListRequest::new()
            .root(a.clone())
            .kinds(ALL)
            .threads(threads)
            .order(ListOrder::Kernel);
        let mut listing = pool.zfs.list(request);
        // With threads the snapshots may be on their way already.
        if threads == 1 {
            listing.next().unwrap().unwrap();
            run(&["zfs", "destroy", "-r", a.as_str()]);
            assert!(listing.any(|entry| entry.is_err_and(|error| error.is_not_found())));
        } else {
            run(&["zfs", "destroy", "-r", a.as_str()]);
            let request = ListRequest::new().root(a).kinds(ALL).threads(2);
            assert!(pool.zfs.list(request).next().unwrap().is_err());
        }
    }
}

#[test]
fn a_listing_that_is_given_up_ends_its_threads() {
    let pool = Pool::new();
    for number in 0..6 {
        let name = format!("d{number}");
        pool.filesystem(&name);
        for snapshot in 0..4 {
            pool.take(&format!("{name}@s{snapshot}"));
        }
    }
    let threads = || {
        let status = std::fs::read_dir("/proc/self/task").unwrap();
        let names =
            status.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name.trim() == "zfs-list").count()
    };
    let request = within(&pool).kinds(EntryKinds::SNAPSHOT).threads(7);
    let mut listing = pool.zfs.list(request);
    listing.next().unwrap().unwrap();
    assert!(threads() >= 7);
    drop(listing);
    // Other tests of this program have threads of their own, but none seven.
    assert!(threads() < 7);
}

#[test]
fn many_snapshots_come_whole_from_many_threads() {
    // More of each than go from thread to thread at once.
    const EACH: usize = 70;
    let pool = Pool::new();
    let names: Vec<String> = (0..6).map(|number| format!("d{number}")).collect();
    for name in &names {
        pool.filesystem(name);
    }
    for round in 0..EACH {
        let all: Vec<_> = names
            .iter()
            .map(|name| pool.snapshot(&format!("{name}@r{round}")))
            .collect();
        pool.zfs.snapshot(&all).unwrap();
    }
    let listed = |threads, order| -> Vec<String> {
        let request = within(&pool)
            .kinds(EntryKinds::SNAPSHOT)
            .threads(threads)
            .order(order);
        lines(pool.zfs.list(request))
    };
    let one = listed(1, ListOrder::Name);
    assert_eq!(one.len(), names.len() * EACH);
    assert_eq!(one.iter().collect::<BTreeSet<_>>().len(), one.len());
    assert_eq!(listed(3, ListOrder::Name), one);
    assert_eq!(listed(3, ListOrder::Kernel).len(), one.len());
}

#[test]
fn the_newest_snapshot_is_one_s_own() {
    let pool = tree();
    let newest = |zfs: &Zfs, name: &str| zfs.newest_snapshot(&pool.dataset(name)).unwrap();
    assert_eq!(newest(&pool.zfs, "a"), Some(pool.snapshot("a@s2")));
    assert_eq!(newest(&pool.zfs, "z"), None);
    assert_eq!(newest(&pool.zfs, "clone"), Some(pool.snapshot("clone@own")));
    run(&["zfs", "destroy", pool.snapshot("clone@own").as_str()]);
    // What the kernel gives now is its origin.
    assert_eq!(newest(&pool.zfs, "clone"), None);
    let missing = pool.dataset("missing");
    assert!(
        pool.zfs
            .newest_snapshot(&missing)
            .unwrap_err()
            .is_not_found()
    );
    let expected = (2, 2) <= version();
    let all: Vec<_> = pool
        .zfs
        .list_snapshots(&pool.dataset("a"), ListSnapshots::new())
        .collect::<Result<Vec<_>, _>>()
        .unwrap();
    assert!(
        all.iter().all(|snapshot| snapshot.guid.0 != 0),
        "{expected}"
    );
}
