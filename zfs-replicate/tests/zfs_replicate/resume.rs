//! What goes on after an interruption, and what is sent anew.

use super::{LARGE, Log, Site, assert_resumable, named};
use crate::fixture::{noise, run};

#[test]
fn a_transfer_that_was_stopped_goes_on_and_sends_only_the_rest() {
    let site = Site::new();
    let source = site.pool.filesystem("src");
    site.pool.write(&source, "a", &noise(1, LARGE));
    site.pool.take("src@1");
    let log = site.interrupt();
    assert!(log.failed()[0].contains("stopped on request"), "{log:?}");
    let kept = assert_resumable(&site);
    let log = site.replicate();
    assert_eq!(log.kinds(), named(&[("1", "resume")]));
    assert_only_the_rest(&log, kept);
    assert!(site.pool.read(&site.target(), "a") == noise(1, LARGE));

    // The same with an increment, whose partial state lies elsewhere.
    site.pool.write(&source, "a", &noise(2, LARGE));
    site.pool.take("src@2");
    site.interrupt();
    let kept = assert_resumable(&site);
    let log = site.replicate();
    assert_eq!(log.kinds(), named(&[("2", "resume")]));
    assert_only_the_rest(&log, kept);
    assert!(site.pool.read(&site.target(), "a") == noise(2, LARGE));
}

#[track_caller]
fn assert_only_the_rest(log: &Log, kept: u64) {
    let whole = LARGE as u64;
    let most = (whole - kept) + whole / 20;
    assert!(
        log.bytes() > 0 && log.bytes() <= most,
        "{} of {whole} after {kept}",
        log.bytes()
    );
}

#[test]
fn what_cannot_go_on_is_given_up_and_sent_anew() {
    let site = Site::new();
    let source = site.pool.filesystem("src");
    site.pool.write(&source, "a", &noise(1, LARGE));
    site.pool.take("src@1");
    site.interrupt();
    assert_resumable(&site);
    run(&["zfs", "destroy", site.pool.snapshot("src@1").as_str()]);
    site.pool.take("src@2");
    let log = site.replicate();
    assert_eq!(log.kinds(), named(&[("2", "full")]));

    site.pool.write(&source, "a", &noise(2, LARGE));
    site.pool.take("src@3");
    site.interrupt();
    assert_resumable(&site);
    run(&["zfs", "destroy", site.pool.snapshot("src@3").as_str()]);
    site.pool.write(&source, "a", b"small");
    site.pool.take("src@4");
    let log = site.replicate();
    assert_eq!(log.kinds(), named(&[("4", "incremental")]));
    assert_eq!(site.pool.read(&site.target(), "a"), b"small");
}
