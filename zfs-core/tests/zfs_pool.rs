//! What zpool(8) does to pools, on real ones.

mod fixture;

use std::fs;
use std::time::{Duration, Instant};

use fixture::{Pool, attempt, noise, version, zfs};
use zfs_core::{
    Activity, ErrorKind, FilesystemActivity, InitializeRequest, Operation, PoolName, PoolSync,
    PropertyValue, PruneDedup, Reopen, ScrubKind, TrimRequest, Version,
};
use zfs_stream::nvlist::NvList;

fn missing() -> PoolName {
    "nonexistent".parse().unwrap()
}

#[test]
fn a_sync_writes_what_is_pending() {
    let pool = Pool::new();
    let before = pool.zfs.pool_state(pool.name()).unwrap().txg;
    pool.filesystem("a");
    pool.zfs.sync(pool.name(), PoolSync::Changes).unwrap();
    // The labels, which tell the transaction group, are written anew.
    pool.zfs
        .sync(pool.name(), PoolSync::ChangesAndLabels)
        .unwrap();
    let after = pool.zfs.pool_state(pool.name()).unwrap().txg;
    assert!(after > before, "{before:?} {after:?}");
}

#[test]
fn a_missing_pool_cannot_be_synced() {
    let error = zfs().sync(&missing(), PoolSync::Changes).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert!(error.to_string().contains("no imported pool"), "{error}");
    assert_eq!(error.failures()[0].operation, Operation::Sync);
}

#[test]
fn reopening_finds_that_a_device_has_grown() {
    let pool = Pool::layout(&[], &["0"]);
    let more = |pool: &Pool| {
        let properties = pool.zfs.pool_properties(pool.name()).unwrap();
        properties.number("expandsize").unwrap_or(0)
    };
    assert_eq!(more(&pool), 0);
    let disk = fs::File::options().write(true).open(pool.disk(0)).unwrap();
    disk.set_len(512 << 20).unwrap();
    for scrub in [Reopen::KeepScrub, Reopen::RestartScrub] {
        pool.zfs.reopen(pool.name(), scrub).unwrap();
    }
    assert!(more(&pool) > 0);
}

#[test]
fn a_missing_pool_cannot_be_reopened() {
    let error = zfs().reopen(&missing(), Reopen::KeepScrub).unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn a_checkpoint_is_taken_and_goes_back() {
    let pool = Pool::new();
    assert_eq!(
        pool.zfs.pool_state(pool.name()).unwrap().checkpoint_bytes,
        None
    );
    let a = pool.filesystem("a");
    pool.zfs.checkpoint(pool.name()).unwrap();
    let state = pool.zfs.pool_state(pool.name()).unwrap();
    assert!(state.checkpoint_bytes.is_some());
    pool.zfs.destroy(&a).unwrap();
    let b = pool.filesystem("b");
    pool.import_again(&["--rewind-to-checkpoint"]);
    assert!(pool.zfs.exists(&a).unwrap());
    assert!(!pool.zfs.exists(&b).unwrap());
}

#[test]
fn a_missing_pool_has_no_checkpoint_taken() {
    let error = zfs().checkpoint(&missing()).unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn there_is_one_checkpoint_at_most() {
    let pool = Pool::new();
    pool.zfs.checkpoint(pool.name()).unwrap();
    let error = pool.zfs.checkpoint(pool.name()).unwrap_err();
    assert!(error.is_exists(), "{error}");
}

#[test]
fn a_checkpoint_is_discarded() {
    let pool = Pool::new();
    pool.zfs.checkpoint(pool.name()).unwrap();
    pool.zfs.discard_checkpoint(pool.name()).unwrap();
    pool.zfs
        .wait(pool.name(), Activity::DiscardCheckpoint)
        .unwrap();
    let state = pool.zfs.pool_state(pool.name()).unwrap();
    assert_eq!(state.checkpoint_bytes, None);
    pool.zfs.checkpoint(pool.name()).unwrap();
}

#[test]
fn a_missing_pool_has_no_checkpoint_discarded() {
    let error = zfs().discard_checkpoint(&missing()).unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn what_was_not_taken_cannot_be_discarded() {
    let pool = Pool::new();
    let error = pool.zfs.discard_checkpoint(pool.name()).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert!(error.to_string().contains("checkpoint"), "{error}");
}

#[test]
fn a_read_only_pool_is_neither_checkpointed_nor_synced() {
    let pool = Pool::new();
    pool.import_again(&["-o", "readonly=on"]);
    let error = pool.zfs.checkpoint(pool.name()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
    let error = pool.zfs.sync(pool.name(), PoolSync::Changes).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
    assert!(pool.zfs.pool_state(pool.name()).unwrap().readonly);
}

#[test]
fn what_is_not_going_on_is_not_waited_for() {
    let pool = Pool::new();
    for activity in [
        Activity::DiscardCheckpoint,
        Activity::Free,
        Activity::Initialize,
        Activity::Replace,
        Activity::Remove,
        Activity::Resilver,
        Activity::Scrub,
        Activity::Trim,
    ] {
        let waited = pool.zfs.wait(pool.name(), activity).unwrap();
        assert!(!waited, "{activity:?}");
    }
    let error = pool.zfs.wait(&missing(), Activity::Scrub).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    let expand = pool.zfs.wait(pool.name(), Activity::RaidzExpand);
    if version() >= (2, 3) {
        assert!(!expand.unwrap());
    } else {
        let error = expand.unwrap_err();
        assert!(error.is_unsupported(), "{error}");
        assert!(error.to_string().contains("2.3"), "{error}");
    }
}

#[test]
fn what_is_going_on_is_waited_for() {
    let pool = Pool::layout(&[], &["0", "1"]);
    pool.zfs
        .initialize(pool.name(), &InitializeRequest::start())
        .unwrap();
    let state = pool.zfs.pool_state(pool.name()).unwrap();
    let first = state.root.leaves().next().unwrap().guid;
    pool.zfs
        .wait_device(pool.name(), Activity::Initialize, first)
        .unwrap();
    pool.zfs.wait(pool.name(), Activity::Initialize).unwrap();
    let error = pool
        .zfs
        .wait_device(pool.name(), Activity::Scrub, first)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    let state = pool.zfs.pool_state(pool.name()).unwrap();
    for leaf in state.root.leaves() {
        let initialize = leaf.initialize.unwrap();
        assert_eq!(format!("{:?}", initialize.state), "Complete", "{leaf:?}");
        assert!(initialize.done_bytes > 0, "{leaf:?}");
    }
}

#[test]
fn a_filesystem_s_deleted_files_are_waited_for() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    let path = pool.mount(&a);
    fixture::write_synced(&path.join("file"), &noise(1, 1 << 20));
    fs::remove_file(path.join("file")).unwrap();
    // It may be over before it is asked for.
    pool.zfs
        .wait_filesystem(&a, FilesystemActivity::DeleteQueue)
        .unwrap();
    pool.unmount(&a);
    // In what is not mounted nothing goes on.
    let waited = pool
        .zfs
        .wait_filesystem(&a, FilesystemActivity::DeleteQueue);
    assert!(!waited.unwrap());
    let error = pool
        .zfs
        .wait_filesystem(&pool.dataset("missing"), FilesystemActivity::DeleteQueue)
        .unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn devices_are_trimmed() {
    let pool = Pool::layout(&[], &["0", "1"]);
    let state = pool.zfs.pool_state(pool.name()).unwrap();
    let guids: Vec<_> = state.root.leaves().map(|leaf| leaf.guid).collect();
    let request = TrimRequest::start().device(guids[0]);
    match pool.zfs.trim(pool.name(), &request) {
        Ok(()) => {}
        // Where the machine's own filesystem cannot punch holes.
        Err(error) if error.is_unsupported() => panic!("the fixture must be on ext4: {error}"),
        Err(error) => panic!("{error}"),
    }
    pool.zfs.wait(pool.name(), Activity::Trim).unwrap();
    let state = pool.zfs.pool_state(pool.name()).unwrap();
    let trimmed: Vec<bool> = state
        .root
        .leaves()
        .map(|leaf| leaf.trim.is_some())
        .collect();
    assert_eq!(trimmed, [true, false]);
    let error = pool
        .zfs
        .trim(pool.name(), &TrimRequest::suspend().device(guids[1]))
        .unwrap_err();
    assert!(error.is_not_found(), "{error}");
    let path = pool.disk(1);
    assert!(
        error.to_string().contains(path.to_str().unwrap()),
        "{error}"
    );
}

#[test]
fn a_device_that_is_not_there_is_told_and_the_others_are_done() {
    let pool = Pool::layout(&[], &["0"]);
    let leaf = pool.zfs.pool_state(pool.name()).unwrap().root;
    let leaf = leaf.leaves().next().unwrap().guid;
    let request = InitializeRequest::start()
        .device(zfs_core::Guid(12345))
        .device(leaf);
    let error = pool.zfs.initialize(pool.name(), &request).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert!(error.to_string().contains("12345"), "{error}");
    pool.zfs.wait(pool.name(), Activity::Initialize).unwrap();
    let state = pool.zfs.pool_state(pool.name()).unwrap();
    assert!(state.root.leaves().all(|leaf| leaf.initialize.is_some()));
    let error = zfs()
        .initialize(&missing(), &InitializeRequest::start())
        .unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert_eq!(error.failures()[0].operation, Operation::Initialize);
}

#[test]
fn what_was_initialized_can_be_forgotten_from_2_2_on() {
    let pool = Pool::layout(&[], &["0"]);
    pool.zfs
        .initialize(pool.name(), &InitializeRequest::start())
        .unwrap();
    pool.zfs.wait(pool.name(), Activity::Initialize).unwrap();
    let forget = || {
        pool.zfs
            .initialize(pool.name(), &InitializeRequest::uninitialize())
    };
    // The kernel's thread may still be about to end.
    let started = Instant::now();
    let mut forget_result = forget();
    while forget_result.as_ref().is_err_and(zfs_core::Error::is_busy)
        && started.elapsed() < Duration::from_secs(60)
    {
        forget_result = forget();
    }
    let forget = forget_result;
    if version() >= (2, 2) {
        forget.unwrap();
        let state = pool.zfs.pool_state(pool.name()).unwrap();
        assert!(state.root.leaves().all(|leaf| leaf.initialize.is_none()));
    } else {
        let error = forget.unwrap_err();
        assert!(error.is_unsupported(), "{error}");
        assert!(error.to_string().contains("OpenZFS 2.2"), "{error}");
    }
}

#[test]
fn initializing_is_suspended_and_cancelled() {
    let pool = Pool::layout(&[], &["0"]);
    let ask = |request: &InitializeRequest| pool.zfs.initialize(pool.name(), request);
    let error = ask(&InitializeRequest::cancel()).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    ask(&InitializeRequest::start()).unwrap();
    // It may have come to its end by then.
    match ask(&InitializeRequest::suspend()) {
        Ok(()) => ask(&InitializeRequest::cancel()).unwrap(),
        Err(error) => assert!(error.is_not_found(), "{error}"),
    }
}

#[test]
fn the_boot_environment_is_what_was_set() {
    let pool = Pool::new();
    let mut list = pool.zfs.bootenv(pool.name()).unwrap();
    list.insert("version", 1_u64).unwrap();
    list.insert_str("freebsd:bootonce", "zfs:tank/be:").unwrap();
    pool.zfs.set_bootenv(pool.name(), &list).unwrap();
    let read = pool.zfs.bootenv(pool.name()).unwrap();
    assert_eq!(read.get_u64("version"), Some(1));
    assert_eq!(read.get_str("freebsd:bootonce"), Some("zfs:tank/be:"));
    pool.import_again(&[]);
    let read = pool.zfs.bootenv(pool.name()).unwrap();
    assert_eq!(read.get_str("freebsd:bootonce"), Some("zfs:tank/be:"));
}

#[test]
fn what_is_no_boot_environment_is_refused() {
    let pool = Pool::new();
    let mut list = pool.zfs.bootenv(pool.name()).unwrap();
    list.remove("version");
    let error = pool.zfs.set_bootenv(pool.name(), &list).unwrap_err();
    assert!(error.to_string().contains("boot environment"), "{error}");
    list.insert("version", 77_u64).unwrap();
    pool.zfs.set_bootenv(pool.name(), &list).unwrap_err();
    let mut large = list.clone();
    large.insert("version", 1_u64).unwrap();
    large.insert_str("large", "x".repeat(200 << 10)).unwrap();
    let error = pool.zfs.set_bootenv(pool.name(), &large).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
    assert!(zfs().bootenv(&missing()).unwrap_err().is_not_found());
}

#[test]
fn a_device_s_properties_are_read_and_set_from_2_2_on() {
    let pool = Pool::layout(&[], &["mirror", "0", "1"]);
    let state = pool.zfs.pool_state(pool.name()).unwrap();
    let leaf = state.root.leaves().next().unwrap();
    let read = pool.zfs.vdev_properties(pool.name(), leaf.guid);
    let mut new = NvList::new();
    new.insert_str("org.example:shelf", "3").unwrap();
    let set = pool.zfs.set_vdev_properties(pool.name(), leaf.guid, &new);
    if version() < (2, 2) {
        for error in [read.unwrap_err(), set.unwrap_err()] {
            assert!(error.is_unsupported(), "{error}");
            assert!(error.to_string().contains("OpenZFS 2.2"), "{error}");
        }
        return;
    }
    let read = read.unwrap();
    assert_eq!(read.number("guid"), Some(leaf.guid.0));
    assert_eq!(read.get("state").unwrap().value, "ONLINE".into());
    let path = pool.disk(0).to_str().unwrap().to_owned();
    assert_eq!(read.get("path").unwrap().value, PropertyValue::Text(path));
    for name in ["asize", "checksum_errors", "write_bytes", "removing"] {
        assert!(read.number(name).is_some(), "{name}");
    }
    assert!(read.iter().count() > 30, "{}", read.iter().count());
    set.unwrap();
    let read = pool.zfs.vdev_properties(pool.name(), leaf.guid).unwrap();
    assert_eq!(read.get("org.example:shelf").unwrap().value, "3".into());
    let error = pool
        .zfs
        .vdev_properties(pool.name(), zfs_core::Guid(1))
        .unwrap_err();
    assert!(error.is_not_found(), "{error}");
    let mut odd = NvList::new();
    odd.insert_str("path", "/dev/null").unwrap();
    let error = pool
        .zfs
        .set_vdev_properties(pool.name(), zfs_core::Guid(1), &odd)
        .unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn the_deduplication_table_is_prefetched_from_2_3_on() {
    let pool = Pool::new();
    let result = pool.zfs.prefetch(pool.name());
    if version() >= (2, 3) {
        result.unwrap();
        assert!(zfs().prefetch(&missing()).unwrap_err().is_not_found());
    } else {
        let error = result.unwrap_err();
        assert!(error.is_unsupported(), "{error}");
        assert!(error.to_string().contains("OpenZFS 2.3"), "{error}");
    }
}

#[test]
fn the_deduplication_table_is_pruned_from_2_3_on() {
    let pool = Pool::new();
    let prune = |which| pool.zfs.prune_dedup_table(pool.name(), which);
    for percent in [0, 101] {
        let error = prune(PruneDedup::Percent(percent)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    let result = prune(PruneDedup::Percent(50));
    if version() >= (2, 3) {
        result.unwrap();
        prune(PruneDedup::OlderThan(Duration::from_secs(86_400))).unwrap();
        let old = Pool::with(&["-o", "feature@fast_dedup=disabled"]);
        let error = old
            .zfs
            .prune_dedup_table(old.name(), PruneDedup::Percent(50))
            .unwrap_err();
        assert!(error.is_unsupported(), "{error}");
        assert!(error.to_string().contains("fast_dedup"), "{error}");
    } else {
        let error = result.unwrap_err();
        assert!(error.is_unsupported(), "{error}");
        assert!(error.to_string().contains("OpenZFS 2.3"), "{error}");
    }
}

#[test]
fn the_versions_of_kernel_and_library_can_be_asked_for() {
    let zfs = zfs();
    let (major, minor) = version();
    let kernel = zfs.version();
    assert_eq!(
        (u32::from(kernel.major), u32::from(kernel.minor)),
        (major, minor)
    );
    // 2.4 added no function.
    let library = zfs.library_version().unwrap();
    assert_eq!(
        library,
        kernel.min(Version::new(2, 3)),
        "{library} {kernel}"
    );
}

#[test]
fn ordinary_users_look_and_change_nothing() {
    if let Some(name) = fixture::argument_as_user() {
        let (zfs, name): (_, PoolName) = (zfs(), name.parse().unwrap());
        zfs.pool_state(&name).unwrap();
        for error in [
            zfs.checkpoint(&name).unwrap_err(),
            zfs.reopen(&name, Reopen::KeepScrub).unwrap_err(),
            zfs.scrub(&name, ScrubKind::Everything).unwrap_err(),
            zfs.initialize(&name, &InitializeRequest::start())
                .unwrap_err(),
        ] {
            assert!(error.is_permission(), "{error}");
            assert!(error.to_string().contains("root"), "{error}");
        }
        return;
    }
    let pool = Pool::new();
    fixture::again_as_user(
        &pool,
        "ordinary_users_look_and_change_nothing",
        pool.name().as_str(),
    );
}

#[test]
fn a_bookmark_s_properties_are_read() {
    let pool = Pool::new();
    let x = pool.take("@x");
    let mark = pool.name().root().with_bookmark("m").unwrap();
    let error = pool.zfs.bookmark_properties(&mark).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    pool.zfs.bookmark([(&mark, &x.clone().into())]).unwrap();
    let read = pool.zfs.bookmark_properties(&mark).unwrap();
    let number = |name: &str| read.get_nvlist(name)?.get_u64("value");
    for name in ["guid", "createtxg", "creation"] {
        let shown = fixture::get(&x, name);
        assert_eq!(number(name).map(|it| it.to_string()), Some(shown), "{name}");
    }
}

#[test]
fn an_export_ends_a_wait() {
    let pool = Pool::layout(&[], &["0"]);
    let started = Instant::now();
    // Whatever ends first, the call comes back.
    pool.zfs
        .initialize(pool.name(), &InitializeRequest::start())
        .unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| pool.zfs.wait(pool.name(), Activity::Initialize));
        let _ = attempt(&["zpool", "export", "-f", pool.name().as_str()]);
        match waiter.join().unwrap() {
            Ok(_) => {}
            Err(error) => assert!(error.is_interrupted() || error.is_not_found(), "{error}"),
        }
    });
    assert!(started.elapsed() < Duration::from_secs(300));
}
