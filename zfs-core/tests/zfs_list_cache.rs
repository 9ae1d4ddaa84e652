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

fn request(pool: &Pool) -> ListRequest {
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
    run(&[
        "zpool",
        "create",
        "-f",
        "-o",
        "cachefile=none",
        "-O",
        "mountpoint=none",
        pool.name().as_str(),
        disk,
    ]);
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
