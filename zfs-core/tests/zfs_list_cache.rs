//! The cache of listings: what it answers is what the kernel would.

mod fixture;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use fixture::{Pool, receive, run, send, version};
use zfs_core::{
    Details, EntryKinds, ListCache, ListOrder, ListRequest, ReceiveRequest, SendRequest, Zfs,
};

/// Versions that do not tell when snapshots changed have no cache.
fn has_cache() -> bool {
    version() >= (2, 2)
}

/// What was listed within two seconds of a change is not kept.
fn settle() {
    thread::sleep(Duration::from_millis(2100));
}

/// Of which no tree is kept, since it chooses among the datasets: what is
/// known of each is known by its own marks.
fn request(pool: &Pool) -> ListRequest {
    whole(pool).datasets_matching("**".parse().unwrap())
}

/// Of which the tree is kept.
fn whole(pool: &Pool) -> ListRequest {
    ListRequest::new()
        .root(pool.name().root())
        .kinds(EntryKinds::SNAPSHOT)
        .details(Details::Creation)
}

fn lines(zfs: &Zfs, request: ListRequest) -> (Vec<String>, usize) {
    let mut listing = zfs.list(request);
    let lines = listing
        .by_ref()
        .map(|entry| {
            let entry = entry.expect("an entry");
            let creation = entry.creation().map(|time| {
                let since = time.duration_since(std::time::UNIX_EPOCH).expect("a time");
                since.as_secs()
            });
            let (guid, txg) = (entry.guid(), entry.createtxg().0);
            format!("{} {guid} {txg} {creation:?}", entry.name())
        })
        .collect();
    assert!(listing.cache_error().is_none());
    (lines, listing.cached_datasets())
}

struct Case {
    pool: Pool,
    folder: PathBuf,
}

impl Case {
    fn new() -> Case {
        let pool = Pool::new();
        let folder = pool.path().join("cache");
        Case { pool, folder }
    }

    fn cached(&self) -> (Vec<String>, usize) {
        let cache = ListCache::new(&self.folder);
        lines(&self.pool.zfs, request(&self.pool).cache(cache))
    }

    /// Lists with the cache and without, and tells how many datasets came
    /// from it.
    #[track_caller]
    fn check(&self, after: &str) -> usize {
        let (plain, _) = lines(&self.pool.zfs, request(&self.pool));
        let (cached, hits) = self.cached();
        assert_eq!(cached, plain, "after {after}");
        hits
    }

    fn file(&self) -> PathBuf {
        let files = fs::read_dir(&self.folder).expect("the folder");
        let mut files: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files.remove(0)
    }
}

#[test]
fn what_did_not_change_is_not_listed_again_and_what_did_is() {
    let case = Case::new();
    let pool = &case.pool;
    for name in [
        "create", "destroy", "rename", "promote", "rollback", "moved", "idle", "holds",
    ] {
        pool.filesystem(name);
        for snapshot in ["s1", "s2", "s3"] {
            pool.take(&format!("{name}@{snapshot}"));
        }
    }
    let clone = pool.dataset("clone");
    run(&[
        "zfs",
        "clone",
        pool.snapshot("promote@s2").as_str(),
        clone.as_str(),
    ]);
    pool.take("clone@own");
    let stream = send(&pool.zfs, &SendRequest::snapshot(pool.snapshot("idle@s1"))).unwrap();
    receive(
        &pool.zfs,
        &ReceiveRequest::new(pool.snapshot("received@s1")),
        &stream,
    )
    .unwrap();
    assert_eq!(case.check("nothing was kept"), 0);
    settle();
    case.check("the first listing that can be kept");
    if !has_cache() {
        assert!(!case.folder.exists());
        return;
    }
    // The pool's own dataset never had snapshots, of which ZFS knows no time.
    let all = 10;
    assert_eq!(case.check("nothing"), all);
    assert_eq!(case.check("nothing again"), all);
    // What changes is listed again at least once; how soon it is kept then
    // depends on how fast this machine is.
    let mut sofar = 0;
    let mut changed = |after: &str, now: usize| {
        sofar += now;
        let hits = case.check(after);
        assert!(hits <= all - now, "after {after}: {hits}");
        assert!(hits >= all - sofar, "after {after}: {hits}");
    };

    pool.take("create@s4");
    changed("a snapshot was created", 1);
    run(&["zfs", "destroy", pool.snapshot("destroy@s2").as_str()]);
    changed("a snapshot was destroyed", 1);
    run(&[
        "zfs",
        "rename",
        pool.snapshot("rename@s2").as_str(),
        pool.snapshot("rename@other").as_str(),
    ]);
    changed("a snapshot was renamed", 1);
    run(&[
        "zfs",
        "rollback",
        "-r",
        pool.snapshot("rollback@s1").as_str(),
    ]);
    changed("a rollback destroyed snapshots", 1);
    let more = SendRequest::snapshot(pool.snapshot("idle@s2")).from(pool.snapshot("idle@s1"));
    let more = send(&pool.zfs, &more).unwrap();
    let to = ReceiveRequest::new(pool.snapshot("received@s2"));
    receive(&pool.zfs, &to, &more).unwrap();
    changed("a snapshot was received", 1);
    // The clone gains two snapshots without its value moving.
    run(&["zfs", "promote", clone.as_str()]);
    changed("a promote", 2);
    run(&[
        "zfs",
        "rename",
        pool.dataset("moved").as_str(),
        pool.dataset("away").as_str(),
    ]);
    changed("a dataset was renamed", 0);
    run(&["zfs", "hold", "tag", pool.snapshot("holds@s1").as_str()]);
    changed("a hold", 0);
    run(&["zfs", "promote", pool.dataset("promote").as_str()]);
    changed("a promote back", 2);
    settle();
    case.check("settling");
    assert_eq!(case.check("everything is kept again"), all);
}

#[test]
fn what_is_kept_serves_every_order_and_filter_and_says_no_more_than_it_knows() {
    let case = Case::new();
    let pool = &case.pool;
    for name in ["a", "b"] {
        pool.filesystem(name);
        for snapshot in ["z", "y1", "y2"] {
            pool.take(&format!("{name}@{snapshot}"));
        }
    }
    settle();
    let identity = || request(pool).details(Details::Identity);
    let cache = || ListCache::new(&case.folder);
    let hits = |request: ListRequest| lines(&pool.zfs, request.cache(cache())).1;
    let known = |count| if has_cache() { count } else { 0 };
    assert_eq!(hits(identity()), 0);
    assert_eq!(hits(identity()), known(2));
    assert_eq!(hits(request(pool)), 0, "no time of creation was kept");
    assert_eq!(hits(request(pool)), known(2));
    assert_eq!(hits(identity()), known(2));
    for threads in [1, 2] {
        let middle = pool
            .zfs
            .snapshot_entry(&pool.snapshot("a@y1"))
            .unwrap()
            .createtxg;
        let requests = [
            request(pool).members_matching("y*".parse().unwrap()),
            request(pool).min_txg(middle),
            request(pool).max_txg(middle),
            request(pool).depth(2),
            request(pool).kinds(EntryKinds::all()),
        ];
        for request in requests {
            let request = request.threads(threads);
            let (plain, _) = lines(&pool.zfs, request.clone());
            let (cached, hits) = lines(&pool.zfs, request.cache(cache()));
            assert_eq!((cached, hits), (plain, known(2)));
        }
    }
    let unsorted = request(pool).order(ListOrder::Kernel).cache(cache());
    assert_eq!(lines(&pool.zfs, unsorted).1, known(2));
    // A listing with a bound is not the whole of a dataset's snapshots.
    fs::remove_dir_all(&case.folder).ok();
    let bound = request(pool).members_matching("y*".parse().unwrap());
    hits(
        bound.min_txg(
            pool.zfs
                .snapshot_entry(&pool.snapshot("a@y2"))
                .unwrap()
                .createtxg,
        ),
    );
    assert_eq!(hits(request(pool)), 0);
    // With properties it is of no use.
    assert_eq!(hits(request(pool).details(Details::Properties)), 0);
}

#[test]
fn a_pool_that_was_away_or_is_another_begins_anew() {
    if !has_cache() {
        // Nothing is kept at all: what_did_not_change_… says so.
        return assert!(!Case::new().folder.exists());
    }
    let case = Case::new();
    let pool = &case.pool;
    pool.filesystem("a");
    pool.take("a@one");
    settle();
    case.check("filling it");
    assert_eq!(case.check("nothing"), 1);
    pool.import_again(&[]);
    assert_eq!(case.check("an import"), 0);
    assert_eq!(case.check("nothing since"), 1);

    // Another pool under the same name.
    run(&["zpool", "destroy", "-f", pool.name().as_str()]);
    let disk = pool.path().join("disk");
    let disk = disk.to_str().unwrap();
    run(&[fixture::CREATE, &[pool.name().as_str(), disk]].concat());
    pool.filesystem("a");
    pool.take("a@two");
    assert_eq!(case.check("another pool"), 0);
}

#[test]
fn a_cache_that_is_torn_foreign_or_gone_costs_time_alone() {
    if !has_cache() {
        return assert!(!Case::new().folder.exists());
    }
    let case = Case::new();
    let pool = &case.pool;
    pool.filesystem("a");
    pool.take("a@one");
    pool.take("a@two");
    settle();
    case.check("filling it");
    let good = fs::read(case.file()).unwrap();
    let hostile: [(&str, Vec<u8>); 5] = [
        ("torn", good[..good.len() / 2].to_vec()),
        ("empty", Vec::new()),
        ("noise", fixture::noise(1, 5000)),
        ("a bit", {
            let mut bytes = good.clone();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            bytes
        }),
        ("longer", [good.clone(), vec![0; 9]].concat()),
    ];
    for (what, bytes) in hostile {
        fs::write(case.file(), bytes).unwrap();
        assert_eq!(case.check(what), 0, "{what}");
        assert_eq!(case.check("it was written anew"), 1, "{what}");
    }
    // Of another boot.
    let mut other = good.clone();
    let boot = 8 + 4 + 8 + 8 + 16;
    other[boot] ^= 1;
    let sum = checksum(&other[20..]);
    other[12..20].copy_from_slice(&sum.to_le_bytes());
    fs::write(case.file(), other).unwrap();
    assert_eq!(case.check("another boot"), 0);
    assert_eq!(case.check("nothing"), 1);
    // One that somebody else can write to, or a link.
    let file = case.file();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(case.check("others may write it"), 0);
    let away = pool.path().join("away");
    fs::rename(&file, &away).unwrap();
    std::os::unix::fs::symlink(&away, &file).unwrap();
    assert_eq!(case.check("a link"), 0);
    assert_eq!(case.check("nothing"), 1);
    fs::remove_dir_all(&case.folder).unwrap();
    assert_eq!(case.check("it was deleted"), 0);
    assert_eq!(case.check("nothing"), 1);
}

/// The same sum as the file has, so that only what is under test is wrong.
fn checksum(bytes: &[u8]) -> u64 {
    let mut sum = 0xcbf2_9ce4_8422_2325_u64 ^ bytes.len() as u64;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        sum = (sum ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        sum ^= sum >> 32;
    }
    sum
}

#[test]
fn a_folder_that_cannot_be_written_is_told_and_the_listing_is_whole() {
    let case = Case::new();
    let pool = &case.pool;
    pool.filesystem("a");
    pool.take("a@one");
    settle();
    fs::write(&case.folder, "a file").unwrap();
    let mut listing = pool
        .zfs
        .list(request(pool).cache(ListCache::new(&case.folder)));
    assert_eq!(listing.by_ref().flatten().count(), 1);
    assert_eq!(listing.cache_error().is_some(), has_cache());
}

#[test]
fn many_can_use_it_at_once_while_snapshots_come_and_go() {
    let case = Case::new();
    let pool = &case.pool;
    for name in ["a", "b", "c"] {
        pool.filesystem(name);
        pool.take(&format!("{name}@first"));
    }
    settle();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..8 {
                    let (lines, _) = case.cached();
                    let firsts = lines.iter().filter(|line| line.contains("@first "));
                    assert_eq!(firsts.count(), 3);
                }
            });
        }
        scope.spawn(|| {
            for number in 0..6 {
                pool.take(&format!("a@n{number}"));
                run(&[
                    "zfs",
                    "destroy",
                    pool.snapshot(&format!("a@n{number}")).as_str(),
                ]);
            }
        });
    });
    case.check("all that");
    if has_cache() {
        assert!(case.file().extension() == Some(Path::new("snapshots").as_os_str()));
    }
}

/// Lists with the cache and without, and tells how many datasets came from it.
#[track_caller]
fn known(case: &Case, request: &ListRequest) -> usize {
    let zfs = &case.pool.zfs;
    let (plain, _) = lines(zfs, request.clone());
    let cache = ListCache::new(&case.folder);
    let (cached, hits) = lines(zfs, request.clone().cache(cache));
    assert_eq!(cached, plain);
    hits
}

#[test]
fn where_nothing_came_went_or_was_renamed_not_even_the_datasets_are_listed() {
    let case = Case::new();
    let pool = &case.pool;
    for name in ["a", "a/b", "c"] {
        pool.filesystem(name);
        pool.take(&format!("{name}@one"));
    }
    let all = whole(pool);
    assert_eq!(known(&case, &all), 0);
    assert_eq!(known(&case, &all), 4);
    let name = |name: &str| pool.snapshot(name).to_string();
    let fs = |name: &str| pool.dataset(name).to_string();

    // What leaves names alone.
    let other = Pool::new();
    other.filesystem("x");
    other.take("x@y");
    for command in [
        vec!["zfs", "set", "a:b=c", &fs("a")],
        vec!["zfs", "hold", "tag", &name("a@one")],
        vec!["zfs", "release", "tag", &name("a@one")],
        vec!["zfs", "bookmark", &name("a@one"), &format!("{}#m", fs("a"))],
    ] {
        run(&command);
        assert_eq!(known(&case, &all), 4, "{command:?}");
    }

    // What does not.
    let stream = send(&pool.zfs, &SendRequest::snapshot(pool.snapshot("a@one"))).unwrap();
    let received = ReceiveRequest::new(pool.snapshot("received@one"));
    let (mut count, mut seen) = (4, 0);
    let mut after = |what: &str, more: usize, less: usize| {
        // The datasets are listed again; the pool's own has no marks that its
        // snapshots could be known by.
        count = count + more - less;
        let hits = known(&case, &all);
        assert!(hits < count, "after {what}");
        assert_eq!(known(&case, &all), count, "after {what}, again");
        seen += 1;
    };
    pool.take("a@two");
    after("a snapshot", 0, 0);
    run(&["zfs", "rename", &name("a@one"), &name("a@first")]);
    after("the renaming of one that is not the youngest", 0, 0);
    run(&["zfs", "destroy", &name("a@first")]);
    after("its end", 0, 0);
    pool.filesystem("d");
    after("a new dataset", 1, 0);
    run(&["zfs", "rename", &fs("d"), &fs("e")]);
    after("another name", 0, 0);
    run(&["zfs", "clone", &name("c@one"), &fs("clone")]);
    after("a clone", 1, 0);
    run(&["zfs", "promote", &fs("clone")]);
    after("a promotion", 0, 0);
    run(&["zfs", "promote", &fs("c")]);
    run(&["zfs", "destroy", "-d", &name("c@one")]);
    after("a snapshot that waits for its clone's end", 0, 0);
    run(&["zfs", "destroy", &fs("clone")]);
    after("that end, and with it the snapshot's", 0, 1);
    receive(&pool.zfs, &received, &stream).unwrap();
    after("a new dataset from a stream", 1, 0);
    pool.take("received@more");
    run(&["zfs", "rollback", "-r", &name("received@one")]);
    after("a rollback", 0, 0);
    run(&["zfs", "destroy", "-r", &fs("received")]);
    after("a dataset's end", 0, 1);
    assert_eq!(seen, 12);
}

#[test]
fn a_tree_serves_what_is_below_it_and_says_what_the_kernel_says() {
    let case = Case::new();
    let pool = &case.pool;
    for name in ["a", "a/b", "a/b/c", "ab"] {
        pool.filesystem(name);
        pool.take(&format!("{name}@one"));
    }
    run(&["zfs", "create", "-V", "1M", pool.dataset("v").as_str()]);
    run(&[
        "zfs",
        "clone",
        pool.snapshot("ab@one").as_str(),
        pool.dataset("clone").as_str(),
    ]);
    assert_eq!(known(&case, &whole(pool)), 0);
    let below = |name: &str| {
        ListRequest::new()
            .root(pool.dataset(name))
            .kinds(EntryKinds::SNAPSHOT)
            .details(Details::Creation)
    };
    assert_eq!(known(&case, &below("a")), 3);
    assert_eq!(known(&case, &below("a").depth(1)), 1);
    assert_eq!(known(&case, &below("a").depth(2)), 2);
    assert_eq!(known(&case, &below("ab")), 1);
    let datasets = EntryKinds::DATASET | EntryKinds::SNAPSHOT;
    assert_eq!(known(&case, &whole(pool).kinds(datasets)), 7);
    assert_eq!(known(&case, &whole(pool).kinds(EntryKinds::all())), 7);
    let volumes = EntryKinds::VOLUME | EntryKinds::SNAPSHOT;
    assert_eq!(known(&case, &whole(pool).kinds(volumes)), 7);
    assert_eq!(known(&case, &whole(pool).order(ListOrder::Kernel)), 7);
    assert_eq!(known(&case, &whole(pool).threads(2).kinds(datasets)), 7);

    let about = |cached: bool| {
        let mut request = whole(pool).kinds(datasets);
        if cached {
            request = request.cache(ListCache::new(&case.folder));
        }
        let entries = pool.zfs.list(request).map(|entry| match entry.unwrap() {
            zfs_core::Entry::Dataset(dataset) => format!(
                "{} {} {:?} {:?} {} {}",
                dataset.name,
                dataset.kind,
                dataset.origin,
                dataset.creation(),
                dataset.inconsistent,
                dataset.redacted
            ),
            other => other.name().to_owned(),
        });
        entries.collect::<Vec<_>>()
    };
    assert_eq!(about(true), about(false));

    // A listing that left something out is no tree.
    fs::remove_dir_all(&case.folder).unwrap();
    assert_eq!(known(&case, &below("a").depth(1)), 0);
    assert_eq!(known(&case, &below("a").depth(1)), 1);
    assert!(known(&case, &below("a")) < 3);
    assert_eq!(known(&case, &below("a")), 3);
}

#[test]
fn an_ordinary_user_knows_no_events_and_lists_all_the_same() {
    if let Some(name) = fixture::argument_as_user() {
        let zfs = fixture::zfs();
        let folder = tempfile::tempdir().unwrap();
        let request = ListRequest::new()
            .root(name.parse().unwrap())
            .kinds(EntryKinds::SNAPSHOT)
            .cache(ListCache::new(folder.path()));
        for _ in 0..2 {
            let (names, hits) = lines(&zfs, request.clone());
            assert_eq!(names.len(), 1);
            // By its own mark, where the machine was slow; a tree would give
            // both datasets.
            assert!(hits < 2, "{hits}");
        }
        return;
    }
    let pool = Pool::new();
    pool.filesystem("a");
    pool.take("a@one");
    fixture::again_as_user(
        &pool,
        "an_ordinary_user_knows_no_events_and_lists_all_the_same",
        pool.name().as_str(),
    );
}
