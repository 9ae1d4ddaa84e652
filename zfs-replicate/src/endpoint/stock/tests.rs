//! Against a zfs(8) that is a shell script: what is asked, and what is made
//! of the answers.

mod tree;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tempfile::{NamedTempFile, TempDir};
use zfs_core::Txg;
use zfs_stream::token::ResumeToken;

use super::split::tests::{package, stream as bytes_of};
use super::*;
use crate::endpoint::{Access, Arrival, Into};
use crate::tree::{Snapshot, StreamForm};

/// A shell whose `zfs` is a script, which first notes how it was called.
#[derive(Debug)]
struct Scripted {
    folder: TempDir,
    channels: Channels,
    commands: AtomicUsize,
}

/// By another process: what this one has open for writing a child that another
/// test starts has as well for a moment, and could not be run.
pub(super) fn write_program(program: &Path, script: &str) {
    let write = Command::new("sh")
        .args(["-c", "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\""])
        .args([program.as_os_str(), script.as_ref()])
        .status();
    assert!(write.unwrap().success());
}

impl Scripted {
    fn new(script: &str) -> Arc<Scripted> {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("zfs");
        let log = folder.path().join("log");
        let script = format!("#!/bin/sh\necho \"$*\" >> '{}'\n{script}\n", log.display());
        write_program(&program, &script);
        Arc::new(Scripted {
            folder,
            channels: Channels::new(MAX_CHANNELS),
            commands: AtomicUsize::new(0),
        })
    }

    /// How many commands there were; one may call zfs(8) several times.
    fn commands(&self) -> usize {
        self.commands.load(Ordering::SeqCst)
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
        self.commands.fetch_add(1, Ordering::SeqCst);
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
            creation: None,
            ivset: None,
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
fn a_clone_is_made_read_only_and_with_what_is_to_be_set() {
    let (stock, calls) = stock("true");
    let properties = [("zfs-replicate:target", "siteb 1"), ("readonly", "off")];
    let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let origin = "tank/a@1".parse().unwrap();
    for properties in [Properties::new(), properties.into()] {
        stock
            .clone_snapshot(&origin, &name("tank/b"), &properties)
            .unwrap();
    }
    assert_eq!(
        calls.calls(),
        [
            "clone -o readonly=on tank/a@1 tank/b",
            "clone -o readonly=off -o zfs-replicate:target=siteb 1 tank/a@1 tank/b",
        ]
    );
}

/// What a pipe is given, and what a sender says.
fn sent(stock: &Stock, stream: &Stream) -> (Result<(), Error>, Vec<u8>) {
    let (reader, writer) = zfs_core::stream_pipe().unwrap();
    let result = stock.send(stream, writer.as_fd());
    drop(writer);
    let mut bytes = Vec::new();
    File::from(reader).read_to_end(&mut bytes).unwrap();
    (result, bytes)
}

/// A file with these bytes, to be shown by a script.
fn file(bytes: &[u8]) -> (NamedTempFile, String) {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let cat = format!("cat '{}'", file.path().display());
    (file, cat)
}

#[test]
fn a_stream_is_what_the_other_end_writes() {
    let (_file, cat) = file(&bytes_of(2));
    let (stock, calls) = stock(&cat);
    let (result, bytes) = sent(&stock, &stream(false));
    result.unwrap();
    assert!(bytes == bytes_of(2));
    assert_eq!(
        calls.calls(),
        ["send -w -L -c -i tank/a#itxs tank/a@two words"]
    );
}

#[test]
fn another_snapshot_than_what_was_meant_goes_nowhere() {
    let (_file, cat) = file(&bytes_of(3));
    let (stock, _) = stock(&cat);
    let (result, bytes) = sent(&stock, &stream(false));
    let error = result.unwrap_err().to_string();
    assert!(error.contains("was destroyed on the source"), "{error}");
    assert!(bytes.is_empty());
}

#[test]
fn what_is_no_stream_goes_nowhere() {
    for script in ["echo 'Welcome to far!'", "head -c 1000 /dev/zero", "true"] {
        let (stock, _) = stock(script);
        let (result, bytes) = sent(&stock, &stream(false));
        assert!(matches!(result, Err(Error::Remote { .. })), "{script}");
        assert!(bytes.is_empty(), "{script}");
    }
}

#[test]
fn a_resumed_stream_takes_a_token_of_our_own_making() {
    let (_file, cat) = file(&bytes_of(2));
    let (stock, calls) = stock(&cat);
    sent(&stock, &stream(true)).0.unwrap();
    let call = calls.calls().remove(0);
    let token = ResumeToken::decode(call.strip_prefix("send -t ").unwrap()).unwrap();
    assert_eq!(
        (token.to_guid, token.from_guid, token.object),
        (2, Some(1), 7)
    );
    assert_eq!(token.to_name, "tank/a@two words");
}

#[test]
fn what_a_failed_send_says_is_told() {
    let (_file, cat) = file(&bytes_of(2)[..700]);
    for before in ["true", &cat] {
        let (stock, _) = stock(&format!(
            "{before}; echo 'cannot send: I/O error' >&2; exit 1"
        ));
        let error = sent(&stock, &stream(false)).0.unwrap_err().to_string();
        assert!(error.ends_with("cannot send: I/O error"), "{error}");
    }
}

#[test]
fn a_sender_whose_reader_has_gone_says_so() {
    let (_file, cat) = file(&bytes_of(2));
    let (stock, _) = stock(&format!("{cat}; sleep 60"));
    let (reader, writer) = zfs_core::stream_pipe().unwrap();
    drop(reader);
    let error = stock.send(&stream(false), writer.as_fd()).unwrap_err();
    assert!(matches!(error, Error::NobodyReads { .. }), "{error}");
}

/// A range of so many snapshots.
fn range(base: Option<Base>, guids: std::ops::RangeInclusive<u64>) -> Range {
    let snapshots = guids.map(|guid| Snapshot {
        name: format!("tank/a@{guid}").parse().unwrap(),
        guid: Guid(guid),
        createtxg: Txg(guid),
        creation: None,
        ivset: None,
    });
    Range {
        base,
        origin: None,
        snapshots: snapshots.collect(),
        gaps: Vec::new(),
        resume: None,
        form: StreamForm::default(),
        marker: None,
    }
}

fn commands(range: &Range) -> Vec<(String, usize)> {
    let stock = Stock::new(Arc::new(Shell::new()), Elevation::None);
    let commands = send::commands(&stock, range).unwrap();
    let words = commands.into_iter();
    words
        .map(|(words, count)| (words.join(" "), count))
        .collect()
}

#[test]
fn a_range_is_sent_at_once_where_that_sends_nothing_else() {
    let snapshot = |guid: u64| Base::Snapshot {
        name: format!("tank/a@{guid}").parse().unwrap(),
        guid: Guid(guid),
    };
    let bookmark = Base::Bookmark {
        name: "tank/a#1".parse().unwrap(),
        guid: Guid(1),
    };
    let one = |line: &str, count| (line.to_owned(), count);
    assert_eq!(
        commands(&range(Some(snapshot(1)), 2..=9)),
        [one("send -I tank/a@1 tank/a@9", 8)]
    );
    assert_eq!(
        commands(&range(Some(bookmark), 2..=4)),
        [
            one("send -i tank/a#1 tank/a@2", 1),
            one("send -I tank/a@2 tank/a@4", 2)
        ]
    );
    assert_eq!(
        commands(&range(None, 2..=3)),
        [one("send tank/a@2", 1), one("send -i tank/a@2 tank/a@3", 1)]
    );
    let mut gap = range(Some(snapshot(1)), 2..=6);
    gap.gaps = vec![Guid(2), Guid(5)];
    assert_eq!(
        commands(&gap),
        [
            one("send -i tank/a@1 tank/a@2", 1),
            one("send -I tank/a@2 tank/a@4", 2),
            one("send -i tank/a@4 tank/a@5", 1),
            one("send -i tank/a@5 tank/a@6", 1),
        ]
    );
    let mut clone = range(Some(snapshot(1)), 2..=3);
    clone.origin = Some("vault/o@1".parse().unwrap());
    assert_eq!(commands(&clone).len(), 2);
}

#[test]
fn the_streams_of_a_package_go_into_a_pipe_each() {
    let streams = [bytes_of(2), bytes_of(3)];
    let (_file, cat) = file(&package(&streams));
    let (stock, calls) = stock(&cat);
    let base = Base::Snapshot {
        name: "tank/a@1".parse().unwrap(),
        guid: Guid(1),
    };
    let range = range(Some(base), 2..=3);
    let mut sending = stock.sending(&range).unwrap().unwrap();
    for (stream, wanted) in range.streams().zip(streams) {
        let (reader, writer) = zfs_core::stream_pipe().unwrap();
        sending.send(&stream, writer.as_fd()).unwrap();
        drop(writer);
        let mut bytes = Vec::new();
        File::from(reader).read_to_end(&mut bytes).unwrap();
        assert!(bytes == wanted);
    }
    assert_eq!(calls.calls(), ["send -I tank/a@1 tank/a@3"]);
}

fn receive(into: Into) -> Receive {
    Receive {
        snapshot: "vault/a@1".parse().unwrap(),
        into,
        raw: false,
        compressed: false,
        access: Access::ReadOnly,
        properties: Arc::default(),
    }
}

/// A zfs(8) that takes one stream of [`bytes_of`], and says the GUID 7.
const TAKES_ONE: &str = "case $1 in
    receive) dd bs=1 count=LENGTH of=/dev/null 2>/dev/null ;;
    get) echo 7 ;;
    esac";

fn takes_one() -> String {
    TAKES_ONE.replace("LENGTH", &bytes_of(1).len().to_string())
}

fn filled_pipe(bytes: &[u8]) -> OwnedFd {
    let (reader, writer) = zfs_core::stream_pipe().unwrap();
    File::from(writer).write_all(bytes).unwrap();
    reader
}

#[test]
fn what_is_received_is_counted_and_never_mounted() {
    let (stock, calls) = stock(&takes_one());
    for into in [
        Into::New,
        Into::Existing,
        Into::Clone("vault/o@1".parse().unwrap()),
    ] {
        let reader = filled_pipe(&bytes_of(5));
        let arrived = stock.receive(&receive(into), reader.as_fd()).unwrap();
        assert_eq!(arrived.bytes, bytes_of(5).len() as u64);
    }
    let calls = calls.calls();
    let received: Vec<_> = calls.iter().step_by(2).map(String::as_str).collect();
    assert_eq!(
        received,
        [
            "receive -s -u -o readonly=on vault/a@1",
            "receive -s -u vault/a@1",
            "receive -s -u -o readonly=on -o origin=vault/o@1 vault/a@1",
        ]
    );
    assert_eq!(calls[1], "get -Hpo value guid vault/a@1");
}

#[test]
fn the_streams_of_a_range_are_received_by_one_command_that_says_what_arrived() {
    let (stock, calls) = stock(&takes_one());
    let receives = ["1", "2", "3"].map(|name| Receive {
        snapshot: format!("vault/a@{name}").parse().unwrap(),
        ..receive(Into::Existing)
    });
    let mut receiving = stock.receiving(&receives).unwrap().unwrap();
    for _ in &receives {
        let reader = filled_pipe(&bytes_of(5));
        let arrived = receiving.receive(reader.as_fd()).unwrap();
        assert_eq!(arrived.guid, Arrival::Told(Guid(7)));
    }
    // Were there another one, there would be no command for it.
    assert_eq!(calls.calls().len(), 6);
}

#[test]
fn compressed_streams_of_a_range_are_one_command_too_and_the_last_says_that_all_arrived() {
    for (told, fits) in [("6", true), ("8", false)] {
        // The second is not the one that was sent.
        let script = takes_one().replace("echo 7", &format!("echo ${{5##*@}} | sed s/6/{told}/"));
        let (mut stock, calls) = stock(&script);
        stock.compression = Compression::named("gzip");
        let receives = ["5", "6", "7"].map(|name| Receive {
            snapshot: format!("vault/a@{name}").parse().unwrap(),
            ..receive(Into::Existing)
        });
        let mut receiving = stock.receiving(&receives).unwrap().unwrap();
        let mut guids = Vec::new();
        for guid in [5, 6, 7] {
            let reader = filled_pipe(&bytes_of(guid));
            guids.push(
                receiving
                    .receive(reader.as_fd())
                    .map(|arrived| arrived.guid),
            );
        }
        let last = guids.pop().unwrap();
        assert!(guids.iter().all(|guid| matches!(guid, Ok(Arrival::Later))));
        if fits {
            assert_eq!(last.unwrap(), Arrival::Told(Guid(7)));
            assert_eq!(calls.calls().len(), 6, "{:?}", calls.calls());
        } else {
            let error = last.unwrap_err();
            assert!(matches!(error, Error::WrongSnapshot { .. }), "{error}");
        }
    }
}

#[test]
fn a_program_that_compresses_is_asked_for_by_the_listing() {
    let (stock, calls) = stock("exit 1");
    let stock = stock.compressed(Compression::named("gzip").unwrap());
    let there = stock.tree(&name("tank/a")).unwrap_err().to_string();
    assert!(
        there.contains("zfs list") && !there.contains("there is no gzip\n"),
        "{there}"
    );
    assert_eq!(calls.calls().len(), 1);
    let missing = Compression::named("lzo").unwrap();
    fs::write(calls.folder.path().join("log"), "").unwrap();
    let error = stock.compressed(missing).tree(&name("tank/a")).unwrap_err();
    // Where it is installed, the listing is what fails.
    if Command::new("lzop").arg("--version").output().is_err() {
        assert!(
            error
                .to_string()
                .contains("there is no lzop (is it installed"),
            "{error}"
        );
        assert_eq!(calls.calls().len(), 0);
    }
}

#[test]
fn a_stream_that_is_cut_off_ends_the_receiver_too() {
    let (stock, _) = stock("cat > /dev/null; echo 'cannot receive: incomplete stream' >&2; exit 1");
    let reader = filled_pipe(&bytes_of(5)[..500]);
    let error = stock
        .receive(&receive(Into::New), reader.as_fd())
        .unwrap_err();
    assert!(error.to_string().ends_with("incomplete stream"), "{error}");
}

#[test]
fn what_arrives_is_told_in_numbers_or_it_is_an_error() {
    let script = takes_one().replace("echo 7", "echo Welcome");
    let (stock, _) = stock(&script);
    let reader = filled_pipe(&bytes_of(5));
    let error = stock
        .receive(&receive(Into::New), reader.as_fd())
        .unwrap_err();
    assert!(matches!(error, Error::Listing { .. }), "{error}");
}

#[test]
fn where_the_other_end_gives_up_its_reason_is_told() {
    let (stock, _) = stock("echo 'cannot receive: out of space' >&2; exit 1");
    let (reader, writer) = zfs_core::stream_pipe().unwrap();
    let sender = thread::spawn(move || {
        let mut writer = File::from(writer);
        let stream = bytes_of(5);
        let mut result = writer.write_all(&stream[..stream.len() - 312]);
        // Records without an end.
        while result.is_ok() {
            result = writer.write_all(&stream[312..stream.len() - 312]);
        }
    });
    let error = stock
        .receive(&receive(Into::New), reader.as_fd())
        .unwrap_err();
    drop(reader);
    sender.join().unwrap();
    assert!(
        error
            .to_string()
            .ends_with("(`zfs list -o space` there shows what takes it)"),
        "{error}"
    );
}

#[test]
fn a_rollback_touches_nothing_where_other_snapshots_are() {
    let (stock, calls) = stock(
        "case $1 in list)
         printf 'tank/a\\tfilesystem\\t1\\t5\\t-\\t-\\t-\\t-\\t9\\t-\\n'
         for n in 1 2 3; do printf \"tank/a@$n\\tsnapshot\\t$n\\t1$n\\t-\\t-\\t-\\t-\\t9\\t-\\n\"; done ;;
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
