//! What a pool says whose only device has failed.

mod fixture;

use fixture::fragile::Fragile;
use fixture::shared::streams;
use fixture::{receive, send, zfs};
use zfs_core::{
    BookmarkName, CreateRequest, Defer, Error, ErrorKind, ListSnapshots, Properties,
    ReceiveRequest, SendRequest,
};

#[test]
fn every_call_on_a_suspended_pool_says_so_at_once() {
    let stream = &streams().full;
    let mut fragile = Fragile::new();
    let zfs = &zfs();
    let there = fragile.snapshot("@there");
    zfs.snapshot([&there]).unwrap();
    let fs = fragile.dataset("/fs");
    zfs.create(&CreateRequest::filesystem(fs.clone())).unwrap();
    let note = Properties::new().with("org.example:note", "x");
    let quota = Properties::new().with("userquota@root", "1M");
    let mark: BookmarkName = format!("{}#mark", fragile.pool).parse().unwrap();
    fragile.fail();

    let answers: [(&str, Result<(), Error>); 19] = [
        ("exists", zfs.exists(&there).map(drop)),
        ("exists not", zfs.exists(&fragile.dataset("/x")).map(drop)),
        ("snapshot", zfs.snapshot([&fragile.snapshot("@x")])),
        ("destroy", zfs.destroy_snapshots([&there], Defer::No)),
        ("hold", zfs.hold([&there], "tag")),
        ("bookmark", zfs.bookmark([(&mark, &(&there).into())])),
        (
            "create",
            zfs.create(&CreateRequest::filesystem(fragile.dataset("/a"))),
        ),
        ("rollback", zfs.rollback_to(&there)),
        ("read properties", zfs.properties(&fs).map(drop)),
        (
            "list",
            zfs.list_snapshots(&fs, ListSnapshots::new())
                .try_for_each(|snapshot| snapshot.map(drop)),
        ),
        ("set", zfs.set_properties(&fs, &note)),
        ("set a quota", zfs.set_properties(&fs, &quota)),
        ("inherit", zfs.inherit_property(&fs, "atime")),
        ("rename", zfs.rename(&fs, &fragile.dataset("/moved"))),
        (
            "clone",
            zfs.clone_snapshot(&there, &fragile.dataset("/clone"), &note),
        ),
        ("destroy a filesystem", zfs.destroy(&fs)),
        (
            "send",
            send(zfs, &SendRequest::snapshot(there.clone())).map(drop),
        ),
        (
            "receive",
            receive(
                zfs,
                &ReceiveRequest::new(fragile.snapshot("/copy@one")),
                stream,
            )
            .map(drop),
        ),
        (
            "receive from a reader",
            zfs.receive_from(
                &ReceiveRequest::new(fragile.snapshot("/copy@one")),
                &stream[..],
            )
            .map(drop),
        ),
    ];
    // It works again whatever the answers were.
    fragile.recover();
    for (what, answer) in answers {
        let error = answer.expect_err(what);
        assert_eq!(error.kind(), ErrorKind::Suspended, "{what}: {error}");
        assert!(error.to_string().contains("zpool clear"), "{what}: {error}");
    }
    // And what was refused can be done now.
    zfs.snapshot([&fragile.snapshot("@x")]).unwrap();
    zfs.destroy_snapshots([&there], Defer::No).unwrap();
}
