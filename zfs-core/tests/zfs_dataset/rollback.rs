//! Rolling back.

use zfs_core::{DatasetName, Error, ErrorKind, NameProblem};

use super::refused;
use crate::fixture::shared::Ground;

#[test]
fn rolling_back_names_the_snapshot() {
    let ground = Ground::with(&["a"]);
    let snapshot = ground.take("a@s");
    assert_eq!(ground.zfs.rollback(&ground.dataset("a")).unwrap(), snapshot);
}

#[test]
fn rolling_back_goes_to_the_latest() {
    let ground = Ground::with(&["a"]);
    ground.take("a@1");
    let latest = ground.take("a@2");
    assert_eq!(ground.zfs.rollback(&ground.dataset("a")).unwrap(), latest);
}

#[test]
fn without_snapshots_there_is_no_way_back() {
    let ground = Ground::with(&["a"]);
    let error = ground.zfs.rollback(&ground.dataset("a")).unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn what_is_not_there_is_not_rolled_back() {
    let ground = Ground::new();
    let error = ground.zfs.rollback(&ground.dataset("no")).unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn a_name_with_a_tilde_is_not_rolled_back() {
    assert_eq!(refused("tank/bad~name").kind(), ErrorKind::Invalid);
}

#[test]
fn a_snapshot_s_name_is_not_rolled_back() {
    assert_eq!(refused("tank/a@s").kind(), ErrorKind::Invalid);
}

#[test]
fn a_snapshot_that_exists_is_not_what_is_rolled_back() {
    let ground = Ground::with(&["a"]);
    assert!(DatasetName::parse(ground.take("a@s")).is_err());
}

#[test]
fn a_name_that_is_too_long_is_not_rolled_back() {
    let error = refused(&format!("tank/{}", "x".repeat(256)));
    let problem = matches!(
        error,
        Error::InvalidName {
            problem: NameProblem::TooLong { .. },
            ..
        }
    );
    assert!(problem, "{error}");
}

#[test]
fn one_can_go_back_to_a_snapshot_by_name() {
    let ground = Ground::with(&["a"]);
    let snapshot = ground.take("a@s");
    ground.zfs.rollback_to(&snapshot).unwrap();
}

#[test]
fn one_cannot_go_back_beyond_the_latest() {
    let ground = Ground::with(&["a"]);
    let first = ground.take("a@1");
    ground.take("a@2");
    let error = ground.zfs.rollback_to(&first).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotLatest, "{error}");
}
