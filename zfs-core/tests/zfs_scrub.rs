//! Scrubs that are held up in the kernel, so that there is something to pause.

mod fixture;

use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use fixture::{Pool, noise, version, zfs};
use zfs_core::{Activity, ErrorKind, PoolState, ScanState, ScrubKind};

/// The switch is of the whole module: one test at a time.
static HELD_UP: Mutex<()> = Mutex::new(());

/// While this lives, no scrub comes further.
struct HeldUp(#[expect(dead_code, reason = "a lock")] MutexGuard<'static, ()>);

const SWITCH: &str = "/sys/module/zfs/parameters/zfs_scan_suspend_progress";

impl HeldUp {
    fn new() -> HeldUp {
        let lock = HELD_UP.lock().unwrap_or_else(PoisonError::into_inner);
        fs::write(SWITCH, "1").unwrap();
        HeldUp(lock)
    }
}

impl Drop for HeldUp {
    fn drop(&mut self) {
        let _ = fs::write(SWITCH, "0");
    }
}

fn full_pool() -> Pool {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    pool.write(&a, "file", &noise(1, 4 << 20));
    pool
}

fn state(pool: &Pool) -> PoolState {
    pool.zfs.pool_state(pool.name()).unwrap()
}

fn scan_state(pool: &Pool) -> ScanState {
    state(pool).scan.unwrap().state
}

#[test]
fn a_scrub_is_paused_and_goes_on() {
    let pool = full_pool();
    let held_up = HeldUp::new();
    pool.zfs.scrub(pool.name(), ScrubKind::Everything).unwrap();
    assert_eq!(scan_state(&pool), ScanState::Running);
    pool.zfs.pause_scrub(pool.name()).unwrap();
    let scan = state(&pool).scan.unwrap();
    assert_eq!(scan.state, ScanState::Paused);
    assert!(scan.paused.unwrap() >= scan.started);
    assert!(scan.fraction_done() < 1.0, "{scan:?}");
    assert_eq!(scan.bytes_per_second(SystemTime::now()), None);
    // A paused one is not waited for.
    pool.zfs.wait(pool.name(), Activity::Scrub).unwrap();
    let error = pool.zfs.pause_scrub(pool.name()).unwrap_err();
    assert!(error.is_busy(), "{error}");
    pool.zfs.scrub(pool.name(), ScrubKind::Everything).unwrap();
    assert_eq!(scan_state(&pool), ScanState::Running);
    drop(held_up);
    pool.zfs.wait(pool.name(), Activity::Scrub).unwrap();
    let scan = state(&pool).scan.unwrap();
    assert_eq!(scan.state, ScanState::Finished);
    assert!(scan.issued_bytes >= 4 << 20, "{scan:?}");
}

#[test]
fn a_running_scrub_is_not_started_again() {
    let pool = full_pool();
    let _held_up = HeldUp::new();
    pool.zfs.scrub(pool.name(), ScrubKind::Everything).unwrap();
    let error = pool
        .zfs
        .scrub(pool.name(), ScrubKind::Everything)
        .unwrap_err();
    assert!(error.is_busy(), "{error}");
    assert!(error.to_string().contains("already"), "{error}");
    pool.zfs.stop_scrub(pool.name()).unwrap();
}

#[test]
fn a_scrub_is_stopped() {
    let pool = full_pool();
    let _held_up = HeldUp::new();
    pool.zfs.scrub(pool.name(), ScrubKind::Everything).unwrap();
    pool.zfs.stop_scrub(pool.name()).unwrap();
    let scan = state(&pool).scan.unwrap();
    assert_eq!(scan.state, ScanState::Canceled);
    assert!(scan.ended.is_some() && !scan.is_active());
    let error = pool.zfs.stop_scrub(pool.name()).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert!(error.to_string().contains("no scrub is running"), "{error}");
}

#[test]
fn what_does_not_run_cannot_be_paused() {
    let pool = Pool::new();
    let error = pool.zfs.pause_scrub(pool.name()).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert!(error.to_string().contains("no scrub is running"), "{error}");
}

#[test]
fn a_missing_pool_is_not_scrubbed() {
    let missing = "nonexistent".parse().unwrap();
    for error in [
        zfs().scrub(&missing, ScrubKind::Everything).unwrap_err(),
        zfs().pause_scrub(&missing).unwrap_err(),
        zfs().stop_scrub(&missing).unwrap_err(),
    ] {
        assert!(error.is_not_found(), "{error}");
        assert!(error.to_string().contains("no imported pool"), "{error}");
    }
}

#[test]
fn a_read_only_pool_is_not_scrubbed() {
    let pool = Pool::new();
    pool.import_again(&["-o", "readonly=on"]);
    for kind in [
        ScrubKind::Everything,
        ScrubKind::Errors,
        ScrubKind::SinceLast,
    ] {
        let error = pool.zfs.scrub(pool.name(), kind).unwrap_err();
        let kind = error.kind();
        assert!(
            kind == ErrorKind::ReadOnly || kind == ErrorKind::NotSupported && version() < (2, 3),
            "{error}"
        );
    }
    let error = pool.zfs.stop_scrub(pool.name()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
}

#[test]
fn a_paused_scrub_outlives_an_export() {
    let pool = full_pool();
    let held_up = HeldUp::new();
    pool.zfs.scrub(pool.name(), ScrubKind::Everything).unwrap();
    pool.zfs.pause_scrub(pool.name()).unwrap();
    pool.import_again(&[]);
    assert_eq!(scan_state(&pool), ScanState::Paused);
    drop(held_up);
    pool.zfs.scrub(pool.name(), ScrubKind::Everything).unwrap();
    pool.zfs.wait(pool.name(), Activity::Scrub).unwrap();
    assert_eq!(scan_state(&pool), ScanState::Finished);
}

#[test]
fn errors_alone_are_scrubbed_from_2_2_on() {
    let _held_up = HELD_UP.lock().unwrap_or_else(PoisonError::into_inner);
    let pool = Pool::new();
    let result = pool.zfs.scrub(pool.name(), ScrubKind::Errors);
    if version() >= (2, 2) {
        let error = result.unwrap_err();
        assert!(error.is_not_found(), "{error}");
        assert!(
            error.to_string().contains("no errors are recorded"),
            "{error}"
        );
        let old = Pool::with(&["-o", "feature@head_errlog=disabled"]);
        let error = old.zfs.scrub(old.name(), ScrubKind::Errors).unwrap_err();
        assert!(error.is_unsupported(), "{error}");
        assert!(error.to_string().contains("head_errlog"), "{error}");
    } else {
        let error = result.unwrap_err();
        assert!(error.is_unsupported(), "{error}");
        assert!(error.to_string().contains("OpenZFS 2.2"), "{error}");
        assert_eq!(state(&pool).error_scrub, None);
    }
}

#[test]
fn what_is_new_alone_is_scrubbed_from_2_3_on() {
    let _held_up = HELD_UP.lock().unwrap_or_else(PoisonError::into_inner);
    let pool = full_pool();
    let result = pool.zfs.scrub(pool.name(), ScrubKind::SinceLast);
    if version() < (2, 3) {
        let error = result.unwrap_err();
        assert!(error.is_unsupported(), "{error}");
        assert!(error.to_string().contains("OpenZFS 2.3"), "{error}");
        return;
    }
    result.unwrap();
    pool.zfs.wait(pool.name(), Activity::Scrub).unwrap();
    let first = state(&pool).scan.unwrap();
    assert_eq!(first.state, ScanState::Finished);
    assert!(first.issued_bytes >= 4 << 20, "{first:?}");
    pool.zfs.scrub(pool.name(), ScrubKind::SinceLast).unwrap();
    pool.zfs.wait(pool.name(), Activity::Scrub).unwrap();
    let second = state(&pool).scan.unwrap();
    assert_eq!(second.state, ScanState::Finished);
    assert!(second.issued_bytes < 4 << 20, "{second:?}");
}
