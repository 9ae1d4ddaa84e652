//! The state of real pools, compared with zpool(8).

mod fixture;

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use fixture::{Pool, noise, run, version, write_synced, zfs};
use zfs_core::{
    Activity, DeviceActivityState, Health, PoolStatus, PropertyValue, ScanKind, ScanState,
    ScrubKind, VdevKind, VdevProblem,
};

/// One column of `zpool list -p`.
fn listed(pool: &Pool, column: &str) -> String {
    let text = run(&["zpool", "list", "-Hpo", column, pool.name().as_str()]);
    text.trim().to_owned()
}

/// The disk image with what was written to it.
fn open_disk(path: &Path) -> fs::File {
    fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap()
}

/// Destroys the content that begins so, wherever it is on the disk. Answers
/// how often that was.
fn damage(disk: &Path, content: &[u8]) -> usize {
    let mut file = open_disk(disk);
    let mut image = Vec::new();
    file.read_to_end(&mut image).unwrap();
    let start = &content[..64];
    let mut found = 0;
    for at in (0..image.len()).step_by(512) {
        if image[at..].starts_with(start) {
            file.seek(SeekFrom::Start(at as u64)).unwrap();
            file.write_all(&[0; 4096]).unwrap();
            found += 1;
        }
    }
    file.sync_all().unwrap();
    found
}

#[test]
fn the_state_is_what_zpool_list_says() {
    let pool = Pool::layout(&["-o", "comment=of a test"], &["mirror", "0", "1"]);
    pool.filesystem("a");
    // Numbers move until everything is written.
    let (state, zpool) = (0..20)
        .find_map(|_| {
            run(&["zpool", "sync", pool.name().as_str()]);
            let columns = [
                "size",
                "allocated",
                "free",
                "capacity",
                "fragmentation",
                "health",
                "guid",
            ];
            let before: Vec<String> = columns.iter().map(|name| listed(&pool, name)).collect();
            let state = pool.zfs.pool_state(pool.name()).unwrap();
            let after: Vec<String> = columns.iter().map(|name| listed(&pool, name)).collect();
            (before == after).then_some((state, before))
        })
        .expect("a quiet moment");
    let ours = [
        state.size_bytes.to_string(),
        state.allocated_bytes.to_string(),
        state.free_bytes().to_string(),
        state.capacity_percent.unwrap().to_string(),
        state.fragmentation_percent.unwrap().to_string(),
        state.health.to_string(),
        state.guid.to_string(),
    ];
    assert_eq!(ours.as_slice(), zpool.as_slice());
    assert_eq!(state.status, PoolStatus::Healthy);
    assert_eq!(state.name, *pool.name());
    assert_eq!((state.error_count, state.scan), (0, None));
    assert!(!state.readonly);
    assert!(
        state
            .features
            .iter()
            .any(|(name, _)| name.contains("extensible_dataset")),
        "{:?}",
        state.features
    );
    let property = |name: &str| state.properties.get(name).unwrap();
    assert_eq!(property("comment").value, "of a test".into());
    assert_eq!(property("readonly").value, "off".into());
    assert_eq!(property("failmode").value, listed(&pool, "failmode").into());
    assert_eq!(property("health").value, "ONLINE".into());
    assert_eq!(
        property("ashift").value,
        PropertyValue::Number(listed(&pool, "ashift").parse().unwrap(),)
    );
    assert_eq!(property("comment").source, zfs_core::Source::Local);
}

#[test]
fn the_devices_are_those_that_the_pool_was_made_of() {
    let pool = Pool::layout(
        &[],
        &[
            "mirror", "0", "1", "raidz2", "2", "3", "4", "5", "log", "6", "cache", "7", "spare",
            "8", "special", "mirror", "9", "10",
        ],
    );
    let state = pool.zfs.pool_state(pool.name()).unwrap();
    assert_eq!(state.root.kind, VdevKind::Root);
    let kinds: Vec<String> = state
        .root
        .children
        .iter()
        .map(|device| device.kind.to_string())
        .collect();
    assert_eq!(kinds, ["mirror", "raidz2", "file", "mirror"]);
    let [mirror, raidz, log, special] = state.root.children.as_slice() else {
        panic!("{:?}", state.root.children);
    };
    assert_eq!((mirror.children.len(), raidz.children.len()), (2, 4));
    assert!(log.is_log && !mirror.is_log);
    assert_eq!(special.class.as_deref(), Some("special"));
    assert_eq!(mirror.to_string(), "mirror-0");
    assert!(mirror.size_bytes > 0 && mirror.ashift.is_some());
    let path = |number| Some(pool.disk(number).to_str().unwrap().to_owned());
    assert_eq!(mirror.children[1].path, path(1));
    assert_eq!(state.caches[0].path, path(7));
    assert_eq!(state.spares[0].path, path(8));
    assert_eq!(state.root.leaves().count(), 9);
    assert!(
        state
            .root
            .iter()
            .all(|device| device.health == Health::Online)
    );
    // GUIDs are those that zpool shows.
    let shown = run(&["zpool", "status", "-g", pool.name().as_str()]);
    for device in state.root.iter().skip(1) {
        assert!(
            shown.contains(&device.guid.to_string()),
            "{device}: {shown}"
        );
    }
}

#[test]
fn a_pool_that_is_not_there_is_not_found() {
    let error = zfs()
        .pool_state(&"nonexistent".parse().unwrap())
        .unwrap_err();
    assert!(error.is_not_found(), "{error}");
    let error = zfs()
        .pool_properties(&"nonexistent".parse().unwrap())
        .unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn all_imported_pools_are_gone_through() {
    let (one, two) = (Pool::new(), Pool::new());
    let states: Vec<_> = zfs()
        .pools()
        .unwrap()
        .map(|state| state.unwrap().name)
        .collect();
    assert!(states.contains(one.name()) && states.contains(two.name()));
    assert!(states.is_sorted());
    // One that goes meanwhile is left out.
    let mut pools = zfs().pools().unwrap();
    two.export();
    assert!(pools.all(|state| state.unwrap().name != *two.name()));
}

#[test]
fn a_device_that_is_offline_degrades_its_pool_until_it_is_resilvered() {
    let pool = Pool::layout(&[], &["mirror", "0", "1"]);
    let a = pool.filesystem("a");
    let disk = pool.disk(1);
    let disk = disk.to_str().unwrap();
    run(&["zpool", "offline", pool.name().as_str(), disk]);
    let state = pool.zfs.pool_state(pool.name()).unwrap();
    assert_eq!(state.health, Health::Degraded);
    assert_eq!(state.status, PoolStatus::DeviceOffline);
    let mirror = &state.root.children[0];
    assert_eq!(mirror.health, Health::Degraded);
    assert_eq!(mirror.children[0].health, Health::Online);
    assert_eq!(mirror.children[1].health, Health::Offline);
    pool.write(&a, "file", &noise(1, 4 << 20));
    run(&["zpool", "online", pool.name().as_str(), disk]);
    // It begins some time after the device is back.
    let scans = || pool.zfs.pool_state(pool.name()).unwrap().scan;
    let started = Instant::now();
    while scans().is_none() {
        assert!(started.elapsed() < Duration::from_secs(60), "no resilver");
        run(&["zpool", "sync", pool.name().as_str()]);
    }
    pool.zfs.wait(pool.name(), Activity::Resilver).unwrap();
    let state = pool.zfs.pool_state(pool.name()).unwrap();
    assert_eq!(state.health, Health::Online);
    let scan = state.scan.unwrap();
    assert_eq!(
        (scan.kind, scan.state),
        (ScanKind::Resilver, ScanState::Finished)
    );
    assert!(scan.repaired_bytes >= 4 << 20, "{scan:?}");
    assert_eq!(scan.errors, 0);
    assert!(scan.ended.unwrap() >= scan.started);
}

#[test]
fn a_device_that_is_missing_is_told_with_the_reason() {
    let pool = Pool::layout(&[], &["raidz", "0", "1", "2"]);
    pool.export();
    fs::rename(pool.disk(2), pool.path().join("away")).unwrap();
    fs::write(pool.path().join("away"), "nothing").unwrap();
    let folder = pool.path().to_str().unwrap();
    run(&[
        "zpool",
        "import",
        "-o",
        "cachefile=none",
        "-d",
        folder,
        pool.name().as_str(),
    ]);
    let state = pool.zfs.pool_state(pool.name()).unwrap();
    assert_eq!(state.health, Health::Degraded);
    assert_eq!(state.status, PoolStatus::DeviceMissingRedundant);
    assert!(state.status.advice().contains("replace"));
    let missing = state
        .root
        .leaves()
        .find(|leaf| leaf.health != Health::Online)
        .unwrap();
    assert_eq!(missing.health, Health::Unavailable);
    assert_eq!(missing.problem, Some(VdevProblem::OpenFailed));
}

#[test]
fn a_scrub_repairs_what_one_side_of_a_mirror_lost() {
    let pool = Pool::layout(&["-O", "compression=off"], &["mirror", "0", "1"]);
    let a = pool.filesystem("a");
    let content = noise(7, 1 << 20);
    pool.write(&a, "file", &content);
    pool.export();
    assert!(damage(&pool.disk(1), &content) > 0);
    let folder = pool.path().to_str().unwrap();
    run(&[
        "zpool",
        "import",
        "-o",
        "cachefile=none",
        "-d",
        folder,
        pool.name().as_str(),
    ]);
    pool.zfs.scrub(pool.name(), ScrubKind::Everything).unwrap();
    pool.zfs.wait(pool.name(), Activity::Scrub).unwrap();
    let state = pool.zfs.pool_state(pool.name()).unwrap();
    let scan = state.scan.unwrap();
    assert_eq!(
        (scan.kind, scan.state),
        (ScanKind::Scrub, ScanState::Finished)
    );
    assert!(scan.repaired_bytes > 0, "{scan:?}");
    assert_eq!(scan.errors, 0);
    assert!((scan.fraction_done() - 1.0).abs() < 1e-9);
    assert_eq!(state.status, PoolStatus::DeviceErrors);
    let errors: Vec<u64> = state
        .root
        .leaves()
        .map(|leaf| leaf.errors.checksum)
        .collect();
    assert_eq!(errors[0], 0);
    assert!(errors[1] > 0, "{errors:?}");
    let repaired: Vec<u64> = state
        .root
        .leaves()
        .map(|leaf| leaf.repaired_bytes)
        .collect();
    assert!(repaired[1] > 0, "{repaired:?}");
    run(&["zpool", "clear", pool.name().as_str()]);
    let state = pool.zfs.pool_state(pool.name()).unwrap();
    assert_eq!(state.status, PoolStatus::Healthy);
    assert_eq!(pool.zfs.pool_errors(pool.name()).unwrap(), []);
}

#[test]
fn files_that_are_damaged_for_good_are_named() {
    if let Some(name) = fixture::argument_as_user() {
        let name = name.parse().unwrap();
        zfs().pool_state(&name).unwrap();
        let error = zfs().pool_errors(&name).unwrap_err();
        assert!(error.is_permission(), "{error}");
        assert!(error.to_string().contains("root"), "{error}");
        return;
    }
    let pool = Pool::layout(&["-O", "compression=off"], &["0"]);
    let a = pool.filesystem("a");
    let path = pool.mount(&a);
    let content = noise(9, 1 << 20);
    fs::create_dir(path.join("folder")).unwrap();
    write_synced(&path.join("folder/bad"), &content);
    write_synced(&path.join("good"), &noise(10, 1 << 20));
    pool.unmount(&a);
    pool.export();
    assert!(damage(&pool.disk(0), &content) > 0);
    let folder = pool.path().to_str().unwrap();
    run(&[
        "zpool",
        "import",
        "-N",
        "-o",
        "cachefile=none",
        "-d",
        folder,
        pool.name().as_str(),
    ]);
    pool.zfs.scrub(pool.name(), ScrubKind::Everything).unwrap();
    pool.zfs.wait(pool.name(), Activity::Scrub).unwrap();
    let state = pool.zfs.pool_state(pool.name()).unwrap();
    assert_eq!(state.status, PoolStatus::DataDamaged);
    assert!(state.error_count > 0 && state.scan.unwrap().errors > 0);
    let errors = pool.zfs.pool_errors(pool.name()).unwrap();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(errors[0].dataset.as_deref(), Some(a.as_str()));
    assert_eq!(errors[0].path.as_deref(), Some(Path::new("/folder/bad")));
    if version() >= (2, 2) {
        pool.zfs.scrub(pool.name(), ScrubKind::Errors).unwrap();
        let started = Instant::now();
        let scrub = loop {
            run(&["zpool", "sync", pool.name().as_str()]);
            let scrub = pool.zfs.pool_state(pool.name()).unwrap().error_scrub;
            let scrub = scrub.unwrap();
            if scrub.state != ScanState::Running || started.elapsed().as_secs() > 60 {
                break scrub;
            }
        };
        assert_eq!(scrub.state, ScanState::Finished, "{scrub:?}");
        assert!(scrub.examined_blocks > 0, "{scrub:?}");
    }
    let shown = run(&["zpool", "status", "-v", pool.name().as_str()]);
    assert!(shown.contains("folder/bad"), "{shown}");
    fixture::again_as_user(
        &pool,
        "files_that_are_damaged_for_good_are_named",
        pool.name().as_str(),
    );
}

#[test]
fn what_is_still_to_be_freed_and_what_a_checkpoint_keeps_is_told() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    pool.write(&a, "file", &noise(1, 8 << 20));
    pool.zfs.checkpoint(pool.name()).unwrap();
    pool.zfs.destroy(&a).unwrap();
    pool.zfs.wait(pool.name(), Activity::Free).unwrap();
    run(&["zpool", "sync", pool.name().as_str()]);
    let state = pool.zfs.pool_state(pool.name()).unwrap();
    assert_eq!(state.freeing_bytes, 0);
    assert_eq!(state.leaked_bytes, 0);
    let kept = state.checkpoint_bytes.unwrap();
    assert!(kept >= 8 << 20, "{kept}");
    assert_eq!(kept.to_string(), listed(&pool, "checkpoint"));
}

#[test]
fn how_far_a_device_is_trimmed_is_told() {
    let pool = Pool::layout(&[], &["0"]);
    let trim = |state: &zfs_core::PoolState| state.root.leaves().next().unwrap().trim;
    assert_eq!(trim(&pool.zfs.pool_state(pool.name()).unwrap()), None);
    pool.zfs
        .trim(
            pool.name(),
            &zfs_core::TrimRequest::start().bytes_per_second(1 << 40),
        )
        .unwrap();
    pool.zfs.wait(pool.name(), Activity::Trim).unwrap();
    let done = trim(&pool.zfs.pool_state(pool.name()).unwrap()).unwrap();
    assert_eq!(done.state, DeviceActivityState::Complete);
    assert!(done.done_bytes > 0, "{done:?}");
}
