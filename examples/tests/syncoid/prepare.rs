//! One source and one target, always the same.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::{Before, Place};
use crate::fixture::{noise, run, write_synced};

/// A sync snapshot of long ago, of this system or another, with an identifier
/// or without.
fn old_sync(of: &str) -> String {
    format!("syncoid_{of}_1999-01-01:00:00:00-GMT00:00")
}

fn hostname() -> String {
    run(&["uname", "-n"]).trim().to_owned()
}

/// Makes both.
pub fn prepare(place: &Place, before: Before) {
    let src = place.source();
    create(place, before);
    write(place, before, "a", &noise(1, 100_000));
    take(place, "one");
    if before == Before::NewTree || before == Before::IncrementalTree {
        let (child, clone) = (format!("{src}/child@one"), format!("{src}/clone"));
        // Mounted, it would be hidden by its parent, and OpenZFS 2.1 could
        // unmount neither.
        run(&["zfs", "clone", "-o", "canmount=noauto", &child, &clone]);
    }
    begin_target(place, before);
    write(place, before, "c", &noise(2, 700_000));
    take(place, "two");
    take(place, "three");
    finish(place, before);
}

/// What comes between two runs.
pub fn go_on(place: &Place, before: Before) {
    write(place, before, "d", &noise(3, 50_000));
    take(place, "four");
    // A sync snapshot is named after the second.
    thread::sleep(Duration::from_millis(1100));
}

fn create(place: &Place, before: Before) {
    let source = &place.pools.0;
    let src = place.source();
    let note = "org.example:note=two words";
    match before {
        Before::Volume => {
            run(&["zfs", "create", "-V", "8M", "-o", note, src.as_str()]);
            return;
        }
        Before::Encrypted => {
            source.encrypted(&place.within("src"), &["-o", "canmount=noauto"]);
        }
        _ => {
            source.filesystem(&place.within("src"));
        }
    }
    run(&["zfs", "set", "recordsize=64K", note, src.as_str()]);
    let below = |name: &str, sync: Option<&str>| {
        source.filesystem(&place.within(&format!("src/{name}")));
        if let Some(sync) = sync {
            let sync = format!("syncoid:sync={sync}");
            run(&["zfs", "set", &sync, &format!("{src}/{name}")]);
        }
    };
    match before {
        Before::NewTree | Before::IncrementalTree => below("child", None),
        Before::ChosenTree => {
            below("mine", Some(&format!("elsewhere,{}", hostname())));
            below("never", Some("false"));
            below("theirs", Some("elsewhere"));
        }
        _ => {}
    }
}

fn write(place: &Place, before: Before, file: &str, content: &[u8]) {
    // A volume stays as it is: its device comes later.
    if before != Before::Volume {
        let (source, src) = (&place.pools.0, place.source());
        let folder = source.mount(&src);
        write_synced(&folder.join(file), content);
        source.unmount(&src);
    }
}

fn take(place: &Place, name: &str) {
    let snapshot = format!("{}@{name}", place.source());
    run(&["zfs", "snapshot", "-r", &snapshot]);
}

/// What the target has of the first snapshot.
fn begin_target(place: &Place, before: Before) {
    let target = &place.pools.1;
    let (src, dst) = (place.source(), place.target());
    let send = |what: &str| pipe(&format!("zfs send {what} | zfs receive -u \"{dst}\""));
    match before {
        Before::New
        | Before::NewTree
        | Before::ChosenTree
        | Before::Encrypted
        | Before::Volume
        | Before::Mountpoint => {}
        Before::Incremental
        | Before::Diverged
        | Before::Resumable
        | Before::TokenStale
        | Before::Bookmarked
        | Before::Everything
        | Before::Spaces => send(&format!("\"{src}@one\"")),
        Before::IncrementalTree => send(&format!("-R \"{src}@one\"")),
        Before::Unrelated => {
            target.filesystem(&place.within("dst"));
            target.take(&place.within("dst@own"));
        }
        Before::Synced => {
            let mine = hostname();
            for of in ["elsewhere", &format!("third_{mine}"), &mine] {
                take(place, &old_sync(of));
            }
            send(&format!("\"{src}@one\""));
            send(&format!("-I @one \"{src}@{}\"", old_sync(&mine)));
        }
    }
}

/// What sets the target apart in the end.
fn finish(place: &Place, before: Before) {
    let target = &place.pools.1;
    let (src, dst) = (place.source(), place.target());
    match before {
        Before::Resumable => interrupt(place),
        Before::TokenStale => {
            interrupt(place);
            run(&["zfs", "destroy", &format!("{src}@two")]);
        }
        Before::Diverged => {
            target.take(&place.within("dst@own"));
        }
        Before::Bookmarked => {
            run(&[
                "zfs",
                "bookmark",
                &format!("{src}@one"),
                &format!("{src}#mark"),
            ]);
            run(&["zfs", "destroy", &format!("{src}@one")]);
        }
        Before::Mountpoint => {
            // Whoever receives it mounts nothing.
            run(&["zfs", "set", "canmount=noauto", src.as_str()]);
            run(&["zfs", "set", "mountpoint=/srv/site", src.as_str()]);
        }
        Before::Everything => {
            pipe(&format!(
                "zfs send -I {src}@one {src}@three | zfs receive -F -u {dst}"
            ));
            target.take(&place.within("dst@zzz-own"));
        }
        _ => {}
    }
}

/// The target receives half of the second snapshot.
fn interrupt(place: &Place) {
    let src = place.source();
    let whole = Command::new("zfs")
        .args(["send", "-i", "@one", &format!("{src}@two")])
        .output()
        .unwrap();
    let mut receive = Command::new("zfs")
        .args(["receive", "-s", "-u", place.target().as_str()])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let half = &whole.stdout[..whole.stdout.len() / 2];
    receive.stdin.take().unwrap().write_all(half).unwrap();
    receive.wait().unwrap();
}

#[track_caller]
fn pipe(line: &str) {
    run(&["sh", "-c", line]);
}
