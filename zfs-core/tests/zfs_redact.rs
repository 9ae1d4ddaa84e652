//! Redaction bookmarks and redacted streams, on real pools.

mod fixture;

use fixture::shared::Ground;
use fixture::{get, noise, receive, send};
use zfs_core::{BookmarkName, ErrorKind, Guid, Properties, SendRequest, SnapshotName};

const OPEN: usize = 1 << 20;
const SECRET: usize = 300_000;

/// `a@x` with two files, `b` a clone of it in whose snapshot `b@y` one of them
/// is another.
struct Patients {
    ground: Ground,
    x: SnapshotName,
    y: SnapshotName,
    mark: BookmarkName,
}

impl Patients {
    fn new() -> Patients {
        let ground = Ground::with(&["a"]);
        ground.write("a", "open", &noise(1, OPEN));
        ground.write("a", "secret", &noise(2, SECRET));
        let x = ground.take("a@x");
        let clone = ground.dataset("b");
        ground
            .zfs
            .clone_snapshot(&x, &clone, &Properties::new())
            .unwrap();
        ground.write("b", "secret", &vec![b'-'; SECRET]);
        let y = ground.take("b@y");
        let mark = ground.bookmark("a#mark");
        Patients { ground, x, y, mark }
    }

    fn redacted() -> Patients {
        let patients = Patients::new();
        let zfs = &patients.ground.zfs;
        zfs.redact(&patients.x, &patients.mark, [&patients.y])
            .unwrap();
        patients
    }

    fn request(&self) -> SendRequest {
        SendRequest::snapshot(self.x.clone()).redacted(self.mark.clone())
    }

    /// A piece of the secret, which compression leaves as it is.
    fn shows_the_secret(stream: &[u8]) -> bool {
        let secret = noise(2, SECRET);
        let piece = &secret[150_000..150_064];
        stream.windows(piece.len()).any(|window| window == piece)
    }
}

#[test]
fn a_redaction_bookmark_says_by_what_it_was_made() {
    let patients = Patients::redacted();
    let redaction = patients.ground.zfs.redaction(&patients.mark).unwrap();
    let redaction = redaction.unwrap();
    let guid: u64 = get(&patients.y, "guid").parse().unwrap();
    assert_eq!(redaction.snapshots, [Guid(guid)]);
    assert!(redaction.complete);
    // It is a bookmark of its snapshot as any other.
    let marks = patients.ground.zfs.bookmarks(patients.x.dataset()).unwrap();
    assert_eq!(marks[0].guid.to_string(), get(&patients.x, "guid"));
}

#[test]
fn a_redacted_stream_leaves_the_secret_out_and_the_clone_goes_on_top() {
    let patients = Patients::redacted();
    let ground = &patients.ground;
    let zfs = &ground.zfs;
    let whole = send(zfs, &SendRequest::snapshot(patients.x.clone())).unwrap();
    assert!(Patients::shows_the_secret(&whole));
    let stream = send(zfs, &patients.request()).unwrap();
    assert!(!Patients::shows_the_secret(&stream));
    assert!(stream.len() + SECRET / 2 < whole.len(), "{}", stream.len());
    let estimate = zfs.send_space(&patients.request()).unwrap();
    assert!(estimate < whole.len() as u64, "{estimate}");

    receive(zfs, &ground.to("copy@x"), &stream).unwrap();
    assert!(zfs.dataset(&ground.dataset("copy")).unwrap().redacted);
    let request = SendRequest::snapshot(patients.y.clone()).from(&patients.x);
    let clone = send(zfs, &request).unwrap();
    let to = ground.to("public@y").origin(ground.snapshot("copy@x"));
    receive(zfs, &to, &clone).unwrap();
    assert!(ground.read("public", "open") == noise(1, OPEN));
    assert!(ground.read("public", "secret") == vec![b'-'; SECRET]);
}

#[test]
fn a_redaction_bookmark_is_a_source() {
    let patients = Patients::redacted();
    let ground = &patients.ground;
    ground.write("a", "later", &noise(3, 100_000));
    let later = ground.take("a@later");
    let request = SendRequest::snapshot(later).from(&patients.mark);
    let stream = send(&ground.zfs, &request).unwrap();
    // What was left out before is sent now.
    assert!(Patients::shows_the_secret(&stream));
}

#[test]
fn the_rest_of_a_redacted_stream_is_sent_by_its_token() {
    let patients = Patients::redacted();
    let ground = &patients.ground;
    let zfs = &ground.zfs;
    let whole = send(zfs, &patients.request()).unwrap();
    let to = ground.to("copy@x").resumable();
    receive(zfs, &to, &whole[..whole.len() / 2]).unwrap_err();
    let token = zfs.receive_resume_token(&ground.dataset("copy")).unwrap();
    let token = token.unwrap();
    assert!(token.redact_snaps.is_some(), "{token:?}");
    let rest = zfs.resume_request(patients.x.dataset(), &token).unwrap();
    let estimate = zfs.send_space(&rest).unwrap();
    assert!(estimate < whole.len() as u64, "{estimate}");
    let stream = send(zfs, &rest).unwrap();
    assert!(stream.len() < whole.len() * 3 / 4, "{}", stream.len());
    assert!(!Patients::shows_the_secret(&stream));
    receive(zfs, &to, &stream).unwrap();
    assert!(ground.exists("copy@x"));
}

#[test]
fn a_redaction_bookmark_is_made_once() {
    let patients = Patients::redacted();
    let zfs = &patients.ground.zfs;
    let error = zfs
        .redact(&patients.x, &patients.mark, [&patients.y])
        .unwrap_err();
    assert!(error.is_exists(), "{error}");
}

#[test]
fn only_snapshots_of_clones_redact() {
    let patients = Patients::new();
    let ground = &patients.ground;
    ground.filesystem("other");
    let unrelated = ground.take("other@x");
    let redact = |by: &SnapshotName| {
        ground
            .zfs
            .redact(&patients.x, &patients.mark, [by])
            .unwrap_err()
    };
    assert_eq!(redact(&unrelated).kind(), ErrorKind::Unrelated);
    let error = redact(&ground.snapshot("b@missing"));
    assert!(error.is_not_found(), "{error}");
    assert!(!ground.zfs.exists(&patients.mark).unwrap());
}

#[test]
fn what_makes_no_sense_is_told_before_zfs_is_asked() {
    let patients = Patients::new();
    let ground = &patients.ground;
    let zfs = &ground.zfs;
    let elsewhere = ground.bookmark("b#mark");
    for error in [
        zfs.redact(&patients.x, &patients.mark, []).unwrap_err(),
        zfs.redact(&patients.x, &elsewhere, [&patients.y])
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    let request = SendRequest::snapshot(patients.x.clone()).redacted(elsewhere);
    let error = send(zfs, &request).unwrap_err();
    assert!(error.to_string().contains("another dataset"), "{error}");
    // And what ZFS has to find out.
    let error = send(zfs, &patients.request()).unwrap_err();
    assert_ne!(error.kind(), ErrorKind::Other, "{error}");
    ground.mark("a#plain", &patients.x);
    let request = SendRequest::snapshot(patients.x.clone()).redacted(ground.bookmark("a#plain"));
    let error = send(zfs, &request).unwrap_err();
    assert_ne!(error.kind(), ErrorKind::Other, "{error}");
}
