//! Against a zfs(8) that is a shell script: what is asked, and what is made
//! of the answers.

use std::fs::{self, Permissions};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use tempfile::TempDir;
use zfs_core::Txg;

use super::*;
use crate::tree::{Snapshot, StreamForm};

/// A shell whose `zfs` is a script, which first notes how it was called.
#[derive(Debug)]
struct Scripted {
    folder: TempDir,
    channels: Channels,
}

impl Scripted {
    fn new(script: &str) -> Arc<Scripted> {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("zfs");
        let log = folder.path().join("log");
        let script = format!("#!/bin/sh\necho \"$*\" >> '{}'\n{script}\n", log.display());
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        Arc::new(Scripted {
            folder,
            channels: Channels::new(MAX_CHANNELS),
        })
    }

    fn calls(&self) -> Vec<String> {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap();
        log.lines().map(str::to_owned).collect()
    }
}

impl Transport for Scripted {
    fn host(&self) -> &'static str {
        "far"
    }

    fn command(&self, command: &str) -> Command {
        let mut shell = Command::new("sh");
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{path}", self.folder.path().display());
        shell.arg("-c").arg(command).env("PATH", path);
        shell
    }

    fn channels(&self) -> &Channels {
        &self.channels
    }
}

fn stock(script: &str) -> (Stock, Arc<Scripted>) {
    let scripted = Scripted::new(script);
    (Stock::new(scripted.clone(), Elevation::None), scripted)
}

fn name(name: &str) -> DatasetName {
    name.parse().unwrap()
}

fn stream(resume: bool) -> Stream {
    let form = StreamForm {
        raw: true,
        large_blocks: true,
        compressed: true,
        embedded: false,
    };
    Stream {
        from: Some(Base::Bookmark {
            name: "tank/a#it's".replace('\'', "x").parse().unwrap(),
            guid: Guid(1),
        }),
        origin: None,
        to: Snapshot {
            name: "tank/a@two words".parse().unwrap(),
            guid: Guid(2),
            createtxg: Txg(20),
        },
        form,
        resume: resume.then(|| crate::tree::ResumePoint {
            to_guid: Guid(2),
            to_name: "evil/b@x; rm".to_owned(),
            from_guid: Some(Guid(1)),
            object: 7,
            offset: 4096,
            bytes: 99,
            form,
            redacted: false,
        }),
    }
}

#[test]
fn a_tree_takes_one_command() {
    let (stock, calls) = stock(
        "printf 'tank/a\\tfilesystem\\t1\\t5\\t-\\t-\\t-\\t-\\n'
         printf 'tank/a@x\\tsnapshot\\t2\\t6\\t-\\t-\\t-\\t-\\n'
         printf 'tank/a/b\\tvolume\\t3\\t7\\t-\\t-\\t-\\t-\\n'",
    );
    let tree = stock.tree(&name("tank/a")).unwrap();
    assert_eq!(tree.datasets.len(), 2);
    assert_eq!(calls.calls().len(), 1);
}

#[test]
fn a_tree_that_is_not_there_takes_two_and_says_what_is_above() {
    let (stock, calls) = stock(
        "case \"$*\" in
         *'-r '*) echo \"cannot open 'tank/a/b': dataset does not exist\" >&2; exit 1 ;;
         *) printf 'tank\\tfilesystem\\t1\\t5\\t-\\ttank\\tunavailable\\t-\\n'
            echo \"cannot open 'tank/a': dataset does not exist\" >&2; exit 1 ;;
         esac",
    );
    let tree = stock.tree(&name("tank/a/b")).unwrap();
    assert!(tree.datasets.is_empty());
    assert_eq!(tree.above.unwrap().name, "tank");
    assert_eq!(calls.calls().len(), 2);
    assert!(
        calls.calls()[1].ends_with("tank/a tank"),
        "{:?}",
        calls.calls()
    );
}

#[test]
fn garbage_and_other_failures_are_errors() {
    let (garbage, _) = stock("echo 'Welcome to far!'");
    let error = garbage.tree(&name("tank/a")).unwrap_err();
    assert!(matches!(error, Error::Listing { .. }), "{error}");
    let (nothing, _) = stock("true");
    assert!(matches!(
        nothing.tree(&name("tank/a")),
        Err(Error::Listing { .. })
    ));
    let (broken, _) = stock("echo 'internal error: out of memory' >&2; exit 1");
    let error = broken.tree(&name("tank/a")).unwrap_err().to_string();
    assert!(
        error.contains("far") && error.contains("out of memory"),
        "{error}"
    );
}

#[test]
fn a_stream_is_what_the_other_end_writes() {
    let (stock, calls) =
        stock("echo 'size\t5' >&2; printf '10:00:01\\t3\\ttank/a@two words\\n' >&2; printf hello");
    let (reader, writer) = zfs_core::stream_pipe().unwrap();
    stock.send(&stream(false), writer.as_fd()).unwrap();
    drop(writer);
    let mut text = String::new();
    File::from(reader).read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
    assert_eq!(
        calls.calls(),
        ["send -vP -w -L -c -i tank/a#itxs tank/a@two words"]
    );
}

#[test]
fn a_resumed_stream_takes_a_token_of_our_own_making() {
    let (stock, calls) = stock("true");
    let (_reader, writer) = zfs_core::stream_pipe().unwrap();
    stock.send(&stream(true), writer.as_fd()).unwrap();
    let call = calls.calls().remove(0);
    let token = ResumeToken::decode(call.strip_prefix("send -vP -t ").unwrap()).unwrap();
    assert_eq!(
        (token.to_guid, token.from_guid, token.object),
        (2, Some(1), 7)
    );
    assert_eq!(token.to_name, "tank/a@two words");
}

#[test]
fn what_a_failed_send_says_is_told_without_its_progress() {
    let (stock, _) = stock(
        "printf 'size\\t5\\n10:00:01\\t3\\ta\\n' >&2; echo 'cannot send: I/O error' >&2; exit 1",
    );
    let (_reader, writer) = zfs_core::stream_pipe().unwrap();
    let error = stock
        .send(&stream(false), writer.as_fd())
        .unwrap_err()
        .to_string();
    assert!(error.ends_with("cannot send: I/O error"), "{error}");
}

fn receive(into: Into) -> Receive {
    Receive {
        snapshot: "vault/a@1".parse().unwrap(),
        into,
        raw: false,
        compressed: false,
        access: Access::ReadOnly,
        properties: Properties::default(),
    }
}

#[test]
fn what_is_received_is_counted_and_never_mounted() {
    let (stock, calls) = stock("cat > /dev/null");
    for into in [
        Into::New,
        Into::Existing,
        Into::Clone("vault/o@1".parse().unwrap()),
    ] {
        let (reader, writer) = zfs_core::stream_pipe().unwrap();
        File::from(writer).write_all(&vec![7; 70_000]).unwrap();
        let bytes = stock.receive(&receive(into), reader.as_fd()).unwrap();
        assert_eq!(bytes, 70_000);
    }
    assert_eq!(
        calls.calls(),
        [
            "receive -s -u -o readonly=on vault/a@1",
            "receive -s -u vault/a@1",
            "receive -s -u -o readonly=on -o origin=vault/o@1 vault/a@1",
        ]
    );
}

#[test]
fn where_the_other_end_gives_up_its_reason_is_told() {
    let (stock, _) = stock("echo 'cannot receive: out of space' >&2; exit 1");
    let (reader, writer) = zfs_core::stream_pipe().unwrap();
    let sender = thread::spawn(move || {
        let mut writer = File::from(writer);
        while writer.write_all(&vec![7; 70_000]).is_ok() {}
    });
    let error = stock
        .receive(&receive(Into::New), reader.as_fd())
        .unwrap_err();
    drop(reader);
    sender.join().unwrap();
    assert!(error.to_string().ends_with("out of space"), "{error}");
}

#[test]
fn a_rollback_touches_nothing_where_other_snapshots_are() {
    let (stock, calls) = stock(
        "case $1 in list)
         printf 'tank/a\\tfilesystem\\t1\\t5\\t-\\t-\\t-\\t-\\n'
         for n in 1 2 3; do printf \"tank/a@$n\\tsnapshot\\t$n\\t1$n\\t-\\t-\\t-\\t-\\n\"; done ;;
         esac",
    );
    let mut rollback = Rollback {
        to: "tank/a@1".parse().unwrap(),
        destroy: vec!["tank/a@2".parse().unwrap()],
    };
    assert!(matches!(
        stock.rollback(&rollback),
        Err(Error::Changed { .. })
    ));
    assert_eq!(calls.calls().len(), 1);
    rollback.destroy.push("tank/a@3".parse().unwrap());
    stock.rollback(&rollback).unwrap();
    assert_eq!(
        calls.calls()[2..],
        ["destroy tank/a@2,3", "rollback tank/a@1"]
    );
}

#[test]
fn sudo_never_asks() {
    let stock = Stock::new(Arc::new(Shell::new()), Elevation::Sudo);
    assert_eq!(
        stock.zfs(["list", "tank/my data"]),
        "sudo -n zfs list 'tank/my data'"
    );
}
