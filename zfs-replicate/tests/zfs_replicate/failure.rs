//! What is refused or fails, and that nothing is lost by it.

use zfs_replicate::execute::Executor;

use super::{LARGE, Log, Site, named};
use crate::fixture::{noise, run};

#[test]
fn a_diverged_target_is_refused_and_stays_as_it_is() {
    let site = Site::new();
    let source = site.pool.filesystem("src");
    site.pool.take("src@1");
    site.replicate();
    run(&["zfs", "set", "readonly=off", site.target().as_str()]);
    site.pool.write(&site.target(), "own", b"mine");
    site.pool.take("dst@own");
    site.pool.write(&source, "a", b"new");
    site.pool.take("src@2");
    let (outcome, log) = site.run();
    assert_eq!((outcome.refused, outcome.streams), (1, 0));
    assert!(log.failed()[0].contains("diverged"), "{log:?}");
    assert_eq!(site.pool.read(&site.target(), "own"), b"mine");
}

#[test]
fn a_target_that_was_written_to_fails_with_words_and_is_not_rolled_back() {
    let site = Site::new();
    let source = site.pool.filesystem("src");
    site.pool.take("src@1");
    site.replicate();
    run(&["zfs", "set", "readonly=off", site.target().as_str()]);
    site.pool.write(&site.target(), "own", b"mine");
    site.pool.write(&source, "a", b"new");
    site.pool.take("src@2");
    let (outcome, log) = site.run();
    assert_eq!((outcome.failed, outcome.streams), (1, 0));
    let target = site.target();
    assert!(log.failed()[0].contains(target.as_str()), "{log:?}");
    assert_eq!(site.pool.read(&target, "own"), b"mine");
}

#[test]
fn a_dataset_without_snapshots_in_the_way_is_refused() {
    let site = Site::new();
    site.pool.filesystem("src");
    site.pool.take("src@1");
    site.pool.filesystem("dst");
    let (outcome, log) = site.run();
    assert_eq!(outcome.refused, 1);
    assert!(log.failed()[0].contains("without any snapshot"), "{log:?}");
}

#[test]
fn a_full_target_fails_with_words_and_the_next_run_heals() {
    let site = Site::new();
    let source = site.pool.filesystem("src");
    let vault = site.pool.filesystem("vault");
    site.pool.write(&source, "a", &noise(1, LARGE));
    site.pool.take("src@1");
    run(&["zfs", "set", "quota=8M", vault.as_str()]);
    let target = site.pool.dataset("vault/dst");
    let log = Log::default();
    let executor = Executor::new(&site.local, &site.local, &log);
    assert_eq!(executor.run(&site.plan_to(&target)).failed, 1);
    let failed = log.failed();
    assert!(
        failed[0].contains("quota") || failed[0].contains("space"),
        "{failed:?}"
    );
    run(&["zfs", "set", "quota=none", vault.as_str()]);
    let outcome = Executor::new(&site.local, &site.local, &()).run(&site.plan_to(&target));
    assert!(outcome.is_ok());
    assert!(site.pool.read(&target, "a") == noise(1, LARGE));
}

#[test]
fn what_fails_for_one_dataset_does_not_stop_the_others() {
    let site = Site::new();
    site.pool.filesystem("src");
    for name in ["src/a", "src/b"] {
        let dataset = site.pool.filesystem(name);
        site.pool.write(&dataset, "x", name.as_bytes());
    }
    for name in ["src@1", "src/a@1", "src/b@1"] {
        site.pool.take(name);
    }
    // a's receive is refused: the name is taken by something unrelated.
    site.replicate();
    run(&["zfs", "destroy", "-r", site.pool.dataset("dst/a").as_str()]);
    site.pool.filesystem("dst/a");
    site.pool.take("dst/a@other");
    site.pool.take("src/b@2");
    let (outcome, log) = site.run();
    assert_eq!((outcome.refused, outcome.streams), (1, 1));
    assert_eq!(log.kinds(), named(&[("2", "incremental")]));
    assert!(log.failed()[0].contains("another dataset of that name"));
}
