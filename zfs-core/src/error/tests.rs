use super::*;

fn failure(operation: Operation, name: &str, errno: Errno) -> Failure {
    Failure::new(operation, name, errno)
}

#[test]
fn one_number_means_what_the_operation_makes_of_it() {
    let kind = |operation, errno| failure(operation, "tank/a@x", errno).kind();
    assert_eq!(kind(Operation::Snapshot, Errno::EEXIST), ErrorKind::Exists);
    assert_eq!(
        kind(Operation::DestroySnapshots, Errno::EEXIST),
        ErrorKind::HasClones
    );
    assert_eq!(
        kind(Operation::Rollback, Errno::EEXIST),
        ErrorKind::NotLatest
    );
    assert_eq!(
        kind(Operation::LoadKey, Errno::EEXIST),
        ErrorKind::KeyLoaded
    );
    assert_eq!(kind(Operation::LoadKey, Errno::EACCES), ErrorKind::WrongKey);
    assert_eq!(
        kind(Operation::Create, Errno::EPERM),
        ErrorKind::PermissionDenied
    );
    assert_eq!(
        kind(Operation::Receive, Errno::ECKSUM),
        ErrorKind::BadStream
    );
    assert_eq!(kind(Operation::List, Errno(9999)), ErrorKind::Other);
}

#[test]
fn the_sentence_names_the_attempt_the_cause_and_the_remedy() {
    let text = failure(Operation::Receive, "tank/a@x", Errno::ETXTBSY).to_string();
    assert_eq!(
        text,
        "cannot receive tank/a@x: tank/a was modified since the snapshot that the stream is \
         incremental from (roll it back to that one; receiving forced destroys newer snapshots \
         as well)"
    );
    let text = failure(Operation::Snapshot, "tank/a@x", Errno::EPERM).to_string();
    assert_eq!(
        text,
        "cannot snapshot tank/a@x: it is not permitted \
         (run as root, or: zfs allow USER snapshot tank/a)"
    );
    let text = failure(Operation::Receive, "tank/a@x", Errno::EPERM).to_string();
    assert!(text.contains("USER receive,create,mount tank/a"), "{text}");
    let text = failure(Operation::Create, "tank/a", Errno::EROFS).to_string();
    assert!(
        text.contains("the pool tank is imported read-only"),
        "{text}"
    );
}

#[test]
fn a_detail_takes_the_place_of_the_general_text() {
    let mut held = failure(Operation::DestroySnapshots, "tank/a@x", Errno::EBUSY);
    held.detail = Some("it is held by \"backup\" (zfs release backup tank/a@x)".into());
    assert_eq!(
        held.to_string(),
        "cannot destroy tank/a@x: it is held by \"backup\" (zfs release backup tank/a@x)"
    );
}

#[test]
fn every_number_of_zfs_own_has_a_text() {
    for number in 1024..=1052 {
        let failure = failure(Operation::List, "tank", Errno(number));
        assert!(!failure.what().contains("ZFS answered"), "{number}");
        assert!(!failure.what().contains('{'), "{}", failure.what());
    }
}

#[test]
fn numbers_nobody_knows_are_shown_as_they_are() {
    let text = failure(Operation::List, "tank", Errno(1099)).to_string();
    assert!(text.contains("1099"), "{text}");
    let text = failure(Operation::List, "tank", Errno(libc::ENOTEMPTY)).to_string();
    assert!(text.contains("not empty"), "{text}");
}

#[test]
fn several_failures_share_a_kind_or_have_none() {
    let exists = failure(Operation::Snapshot, "tank/a@x", Errno::EEXIST);
    let missing = failure(Operation::Snapshot, "tank/b@x", Errno::ENOENT);
    let same = Error::Several {
        failures: vec![exists.clone(), exists.clone()],
        more: 0,
    };
    assert!(same.is_exists());
    let mixed = Error::Several {
        failures: vec![exists.clone(), missing],
        more: 0,
    };
    assert_eq!(mixed.kind(), ErrorKind::Other);
    assert_eq!(mixed.failures().len(), 2);
    let truncated = Error::Several {
        failures: vec![exists],
        more: 3,
    };
    assert_eq!(truncated.kind(), ErrorKind::Other);
    assert!(truncated.to_string().contains("3 more"), "{truncated}");
}

#[test]
fn errors_can_cross_threads() {
    fn check<T: Send + Sync + 'static>() {}
    check::<Error>();
}
