//! Trees from the cache: what they say is what the kernel would.

#[path = "../../zfs-core/tests/fixture/mod.rs"]
mod fixture;

use std::fs;
use std::path::PathBuf;

use fixture::{Pool, noise, receive, run, send};
use zfs_core::{CreateRequest, Encryption, ListCache, ReceiveRequest, SendRequest, WrappingKey};
use zfs_replicate::endpoint::{Endpoint, Local};
use zfs_replicate::execute::{Event, Executor, Observer};
use zfs_replicate::marker::TargetId;
use zfs_replicate::plan::{Options, Plan, plan};
use zfs_replicate::tree::{Key, Partial, Tree};

struct Nobody;

impl Observer for Nobody {
    fn event(&self, _: &Event<'_>) {}
}

struct Case {
    pool: Pool,
    folder: PathBuf,
    plain: Local,
    cached: Local,
}

impl Case {
    fn new() -> Case {
        let pool = Pool::new();
        let folder = pool.path().join("cache");
        let plain = Local::new(pool.zfs.clone());
        Case {
            cached: plain.clone().with_cache(ListCache::new(&folder)),
            plain,
            folder,
            pool,
        }
    }

    fn tree(&self, name: &str) -> Tree {
        self.cached.tree(&self.pool.dataset(name)).unwrap()
    }

    /// Whether the kernel lists nothing for a tree: then it says what was
    /// written into the cache's file and is nowhere else. The tree has a
    /// snapshot called `known`.
    #[track_caller]
    fn is_recalled(&self, name: &str) -> bool {
        let files = fs::read_dir(&self.folder).into_iter().flatten();
        let mut kept = Vec::new();
        for file in files {
            let path = file.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            fs::write(&path, forged(&bytes)).unwrap();
            kept.push((path, bytes));
        }
        let tree = self.tree(name);
        let mut snapshots = tree.datasets.iter().flat_map(|own| &own.snapshots);
        let recalled = snapshots.any(|own| own.name.snapshot() == "forge");
        for (path, bytes) in kept {
            let now = fs::read(&path).unwrap();
            if now.windows(6).any(|six| six == b"@forge") {
                fs::write(&path, bytes).unwrap();
            }
        }
        assert_eq!(
            self.tree(name),
            self.plain.tree(&self.pool.dataset(name)).unwrap()
        );
        recalled
    }

    fn plan(&self, local: &Local, id: &TargetId) -> Plan {
        let source = local.tree(&self.pool.dataset("src")).unwrap();
        let target = local.tree(&self.pool.dataset("dst")).unwrap();
        plan(&source, &target, &Options::new().marker(id)).unwrap()
    }
}

/// A file of the cache with another name of a snapshot, and its checksum right
/// again.
fn forged(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let known = bytes.windows(6).position(|six| six == b"@known");
    let known = known.expect("a snapshot");
    bytes[known..known + 6].copy_from_slice(b"@forge");
    let rest = &bytes[20..];
    let mut sum = 0xcbf2_9ce4_8422_2325_u64 ^ rest.len() as u64;
    for chunk in rest.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        sum = (sum ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        sum ^= sum >> 32;
    }
    bytes[12..20].copy_from_slice(&sum.to_le_bytes());
    bytes
}

#[test]
fn what_did_not_change_is_not_listed_and_what_did_is() {
    let case = Case::new();
    let pool = &case.pool;
    for name in ["src", "src/a", "src/b"] {
        pool.filesystem(name);
        for snapshot in ["known", "two"] {
            let content = noise(1, 1 << 20);
            pool.write(&pool.dataset(name), snapshot, &content);
            pool.take(&format!("{name}@{snapshot}"));
        }
    }
    let name = |name: &str| pool.snapshot(name).to_string();
    let fs = |name: &str| pool.dataset(name).to_string();
    let mark = format!("{}#m", fs("src/a"));
    let one = SendRequest::snapshot(pool.snapshot("src/a@known"));
    let one = send(&pool.zfs, &one).unwrap();
    let more = SendRequest::snapshot(pool.snapshot("src/a@two")).from(pool.snapshot("src/a@known"));
    let more = send(&pool.zfs, &more).unwrap();
    assert!(!case.is_recalled("src"));
    assert!(case.is_recalled("src"));

    run(&["zfs", "set", "a:b=c", &fs("src/a")]);
    run(&["zfs", "hold", "tag", &name("src/a@known")]);
    run(&["zfs", "release", "tag", &name("src/a@known")]);
    assert!(case.is_recalled("src"), "none of these are in a tree");

    let after = |what: &str| {
        assert!(!case.is_recalled("src"), "after {what}");
        assert!(case.is_recalled("src"), "after {what}, again");
    };
    pool.take("src/a@three");
    after("a snapshot");
    run(&["zfs", "rename", &name("src/a@two"), &name("src/a@second")]);
    after("another name of a snapshot");
    run(&["zfs", "rollback", "-r", &name("src/a@second")]);
    after("a rollback");
    run(&["zfs", "destroy", &name("src/a@second")]);
    after("a snapshot's end");
    run(&["zfs", "bookmark", &name("src/a@known"), &mark]);
    after("a bookmark");
    run(&["zfs", "destroy", &mark]);
    after("a bookmark's end");
    let to = |name: &str| ReceiveRequest::new(pool.snapshot(name)).resumable();
    receive(&pool.zfs, &to("src/got@known"), &one).unwrap();
    after("a dataset from a stream");
    let cut = &more[..more.len() / 2];
    receive(&pool.zfs, &to("src/got@two"), cut).unwrap_err();
    after("a receive that broke off");
    let got = pool.dataset("src/got");
    let partial = |tree: &Tree| tree.get(&got).unwrap().partial.clone();
    assert!(matches!(
        partial(&case.tree("src")),
        Some(Partial::Token(_))
    ));
    run(&["zfs", "receive", "-A", &fs("src/got")]);
    after("its end");
    receive(&pool.zfs, &to("src/got@two"), &more).unwrap();
    after("a snapshot from a stream");
    run(&["zfs", "clone", &name("src/b@known"), &fs("src/clone")]);
    after("a clone");
    run(&["zfs", "promote", &fs("src/clone")]);
    after("a promotion");
    run(&["zfs", "promote", &fs("src/b")]);
    run(&["zfs", "rename", &fs("src/clone"), &fs("src/other")]);
    after("another name of a dataset");
    run(&["zfs", "destroy", &fs("src/other")]);
    after("a dataset's end");
    pool.import_again(&[]);
    after("an import");
}

#[test]
fn keys_are_looked_at_each_time() {
    let case = Case::new();
    let pool = &case.pool;
    let key = WrappingKey::from_slice(&[7; 32]).unwrap();
    let name = pool.dataset("src");
    let request = CreateRequest::filesystem(name.clone()).encryption(Encryption::raw(key.clone()));
    pool.zfs.create(&request).unwrap();
    pool.take("src@known");
    assert!(!case.is_recalled("src"));
    let status = || {
        let tree = case.tree("src");
        let own = tree.get(&name).unwrap();
        assert!(own.snapshots[0].ivset.is_some());
        own.encryption.as_ref().unwrap().key
    };
    assert_eq!(status(), Key::Loaded);
    pool.zfs.unload_key(&name).unwrap();
    assert!(case.is_recalled("src"));
    assert_eq!(status(), Key::Unavailable);
    pool.zfs.load_key(&name, &key.into()).unwrap();
    assert!(case.is_recalled("src"));
    assert_eq!(status(), Key::Loaded);
}

#[test]
fn a_run_is_seen_by_the_next_and_then_nothing_is_listed() {
    let case = Case::new();
    let pool = &case.pool;
    let id: TargetId = "test".parse().unwrap();
    for name in ["src", "src/a"] {
        pool.filesystem(name);
        pool.take(&format!("{name}@known"));
    }
    for round in ["one", "two"] {
        pool.take(&format!("src/a@{round}"));
        let planned = case.plan(&case.cached, &id);
        assert_eq!(planned, case.plan(&case.plain, &id), "{round}");
        assert!(!planned.is_empty(), "{round}");
        let outcome = Executor::new(&case.cached, &case.cached, &Nobody).run(&planned);
        assert!(outcome.is_ok(), "{outcome:?}");
        assert!(case.plan(&case.cached, &id).is_empty(), "{round}");
        assert!(case.is_recalled("src") && case.is_recalled("dst"));
        assert!(case.plan(&case.cached, &id).is_empty(), "{round}");
    }
}
