use std::os::fd::AsFd;
use std::thread;

use zfs_core::{DatasetName, ReceiveRequest, SendRequest, Zfs, stream_pipe};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let zfs = Zfs::open()?;
    let home: DatasetName = "tank/home".parse()?;
    let backup: DatasetName = "vault/home".parse()?;
    let [first, second] = [home.with_snapshot("first")?, home.with_snapshot("second")?];
    zfs.snapshot([&first])?;
    zfs.snapshot([&second])?;

    // All of the first, then what came since.
    for send in [
        SendRequest::snapshot(first.clone()),
        SendRequest::snapshot(second.clone()).from(first.clone()),
    ] {
        let name: zfs_core::SnapshotName = send.name().parse()?;
        let receive = ReceiveRequest::new(name.on(&backup)?).resumable();
        let (reader, writer) = stream_pipe()?;
        let zfs = &zfs;
        thread::scope(|scope| {
            let sender = scope.spawn(move || zfs.send(&send, writer.as_fd()));
            let received = zfs.receive(&receive, reader.as_fd());
            drop(reader); // ends a send that nobody reads any more
            sender.join().expect("the sender does not panic")?;
            received.map(drop)
        })?;
    }

    // A snapshot has the same GUID in every replica.
    let there = zfs.snapshot_entry(&second.on(&backup)?)?;
    assert_eq!(there.guid, zfs.snapshot_entry(&second)?.guid);

    // A bookmark marks how far it came, and costs no space.
    let mark = home.with_bookmark("sent")?;
    zfs.bookmark([(&mark, &second.into())])?;
    assert_eq!(
        zfs.bookmarks(&home)?.last().map(|last| last.guid),
        Some(there.guid)
    );
    Ok(())
}
