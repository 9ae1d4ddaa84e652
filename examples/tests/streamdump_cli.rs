//! zfs-streamdump's command line, on streams made here.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use zfs_stream::nvlist::{ByteOrder, Encoding, NvList};
use zfs_stream::record::{
    Begin, BeginFlags, End, Features, Object, Record, SliceReader, Write, Writer,
};
use zfs_stream::token::ResumeToken;

#[path = "streamdump/memory.rs"]
mod memory;
#[path = "streamdump/untrusted.rs"]
mod untrusted;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let name = format!("zfs-streamdump-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A small stream from one GUID to another.
fn stream(from_guid: u64, to_guid: u64, order: ByteOrder) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), order);
    let begin = Begin {
        version_info: Begin::make_version_info(false, Features::SA_SPILL),
        creation_time: 1_700_000_000,
        objset_type: 2,
        flags: BeginFlags::SPILL_BLOCK,
        to_guid,
        from_guid,
        to_name: format!("tank/data@{to_guid}").into_bytes(),
    };
    writer.write(&Record::Begin(begin), &[]).unwrap();
    let object = Object {
        object: 8,
        object_type: 19,
        bonus_type: 44,
        block_size: 4096,
        bonus_len: 168,
        dn_slots: 1,
        to_guid,
        ..Object::default()
    };
    writer.write(&Record::Object(object), &[1; 168]).unwrap();
    for block in 0..3 {
        let write = Write {
            object: 8,
            object_type: 19,
            offset: 4096 * block,
            logical_size: 4096,
            to_guid,
            ..Write::default()
        };
        writer.write(&Record::Write(write), &[7; 4096]).unwrap();
    }
    let end = End {
        to_guid,
        ..End::default()
    };
    writer.write(&Record::End(end), &[]).unwrap();
    writer.into_inner()
}

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_zfs-streamdump"))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

/// The lines that scripts know from `zstream dump`.
const SUMMARY: &str = "\
SUMMARY:
\tTotal DRR_BEGIN records = 1 (0 bytes)
\tTotal DRR_END records = 1 (0 bytes)
\tTotal DRR_OBJECT records = 1 (168 bytes)
\tTotal DRR_FREEOBJECTS records = 0 (0 bytes)
\tTotal DRR_WRITE records = 3 (12288 bytes)
\tTotal DRR_WRITE_BYREF records = 0 (0 bytes)
\tTotal DRR_WRITE_EMBEDDED records = 0 (0 bytes)
\tTotal DRR_FREE records = 0 (0 bytes)
\tTotal DRR_SPILL records = 0 (0 bytes)
\tTotal records = 6
\tTotal payload size = 12456 (0x30a8)
\tTotal header overhead = 1872 (0x750)
\tTotal stream length = 14328 (0x37f8)
";

#[test]
fn dump_has_the_lines_of_zstream() {
    let folder = Folder::new("dump");
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let file = folder.file("a.zfs", &stream(0, 1, order));
        let output = run(&["dump", &file]);
        assert_eq!(output.status.code(), Some(0));
        let text = stdout(&output);
        assert!(
            text.starts_with("BEGIN record\n\thdrtype = 1\n\tfeatures = 4\n"),
            "{text}"
        );
        assert!(text.contains(SUMMARY), "{text}");
        let text = stdout(&run(&["dump", "-v", &file])).to_owned();
        let line = "WRITE object = 8 type = 19 checksum type = 0 compression type = 0 flags = 0 \
                    offset = 4096 logical_size = 4096 compressed_size = 0 payload_size = 4096 ";
        assert!(text.contains(line), "{text}");
        assert!(!text.contains("    checksum ="));
        let text = stdout(&run(&["dump", "-vv", &file])).to_owned();
        assert_eq!(text.matches("\n    checksum = ").count(), 5, "{text}");
    }
}

#[test]
fn dump_reads_standard_input_and_speaks_json() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_zfs-streamdump"))
        .args(["dump", "--json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin
        .write_all(&stream(5, u64::MAX, ByteOrder::Little))
        .unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["intact"], true);
    assert_eq!(value["stream_bytes"], 14_328);
    assert_eq!(value["records_by_type"]["WRITE"]["payload_bytes"], 12_288);
    assert_eq!(value["streams"][0]["to_guid"], "18446744073709551615");
    assert_eq!(value["streams"][0]["from_guid"], "5");
    assert_eq!(value["streams"][0]["features"][0], "sa_spill");
    assert_eq!(value["largest_objects"][0]["logical_bytes"], 12_288);
}

#[test]
fn dump_shows_as_many_objects_as_are_asked_for() {
    let folder = Folder::new("objects");
    let mut writer = Writer::new(Vec::new(), ByteOrder::Little);
    for raw in SliceReader::new(&stream(0, 1, ByteOrder::Little)) {
        let raw = raw.unwrap();
        let record = raw.parse();
        writer.rewrite(&raw).unwrap();
        if let Record::Object(object) = record {
            for number in 9..20 {
                let object = Object {
                    object: number,
                    ..object.clone()
                };
                let write = Write {
                    object: number,
                    object_type: 19,
                    logical_size: 4096,
                    to_guid: 1,
                    ..Write::default()
                };
                writer.write(&Record::Object(object), raw.payload).unwrap();
                writer.write(&Record::Write(write), &[1; 4096]).unwrap();
            }
        }
    }
    let file = folder.file("many", &writer.into_inner());
    for (asked, shown) in [
        (&[][..], 10),
        (&["--objects", "1"], 1),
        (&["--objects", "all"], 12),
    ] {
        let args = [&["dump", "--no-check", &file], asked].concat();
        let text = stdout(&run(&args)).to_owned();
        assert_eq!(text.matches("\n\tObject ").count(), shown, "{text}");
        assert!(text.contains("\tObject 8 = 3 blocks (12288 bytes of 12288)"));
        let json = run(&[&args[..], &["--json"]].concat());
        let value: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        let objects = value["largest_objects"].as_array().unwrap();
        assert_eq!(objects.len(), shown);
    }
    let refused = run(&["dump", "--objects", "some", &file]);
    assert_eq!(refused.status.code(), Some(64));
}

#[test]
fn damage_is_exit_1_and_names_object_and_offset() {
    let folder = Folder::new("damage");
    let mut bytes = stream(0, 1, ByteOrder::Little);
    let good = folder.file("good.zfs", &bytes);
    bytes[312 + 480 + 312 + 4096 + 312 + 9] ^= 1;
    let bad = folder.file("bad.zfs", &bytes);
    let output = run(&["verify", &good, &bad]);
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    assert!(
        text.contains("good.zfs: intact: 1 streams, 6 records, 14328 bytes"),
        "{text}"
    );
    assert!(
        text.contains("(WRITE, object 8 at 4096): damaged"),
        "{text}"
    );
    assert!(text.contains("bad.zfs: damaged"), "{text}");
    assert_eq!(run(&["dump", &bad]).status.code(), Some(1));
    assert_eq!(run(&["dump", "-C", &bad]).status.code(), Some(0));
    let cut = folder.file("cut.zfs", &stream(0, 1, ByteOrder::Little)[..14_016]);
    let output = run(&["verify", "--json", &cut]);
    assert_eq!(output.status.code(), Some(1));
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["intact"], false);
    let message = value["findings"][0]["message"].as_str().unwrap();
    assert!(message.contains("without an END"), "{message}");
}

#[test]
fn dump_sums_up_what_there_is_of_a_stream_that_was_cut_off() {
    let folder = Folder::new("cut");
    let cut = folder.file("cut.zfs", &stream(0, 1, ByteOrder::Little)[..10_000]);
    for args in [&["dump", "-C", &cut][..], &["dump", &cut]] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let text = stdout(&output);
        assert!(
            text.contains("SUMMARY:\n") && text.contains("\tTotal DRR_WRITE records = 2 ("),
            "{args:?}: {text}"
        );
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.contains("ends inside the payload of a WRITE"),
            "{said}"
        );
    }
    let output = run(&["dump", "-C", "--json", &cut]);
    assert_eq!(output.status.code(), Some(1));
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["records_by_type"]["WRITE"]["records"], 2);
    assert_eq!(value["intact"], false);
    // What was not checked is neither.
    let whole = folder.file("whole.zfs", &stream(0, 1, ByteOrder::Little));
    let output = run(&["dump", "-C", "--json", &whole]);
    assert_eq!(output.status.code(), Some(0));
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(value["intact"].is_null(), "{value}");
    // What is no stream has no summary.
    let text = folder.file("text", b"not a stream at all\n");
    assert_eq!(run(&["dump", "-C", &text]).status.code(), Some(2));
}

#[test]
fn json_has_the_nvlists_and_the_names_of_sources() {
    let mut list = NvList::new();
    list.insert_str("fromsnap", "monday").unwrap();
    let mut snaps = NvList::new();
    snaps.insert("monday", 5_u64).unwrap();
    snaps.insert("tuesday", 6_u64).unwrap();
    let mut one = NvList::new();
    one.insert_str("name", "tank/data").unwrap();
    one.insert("snaps", snaps).unwrap();
    let mut fss = NvList::new();
    fss.insert("0x1234", one).unwrap();
    list.insert("fss", fss).unwrap();
    let list = list.encode(Encoding::Xdr, ByteOrder::Little).unwrap();
    let mut writer = Writer::new(Vec::new(), ByteOrder::Little);
    let begin = Begin {
        version_info: Begin::make_version_info(true, Features::default()),
        to_name: b"tank/data@wednesday".to_vec(),
        ..Begin::default()
    };
    writer.write(&Record::Begin(begin), &list).unwrap();
    writer.end_compound_header().unwrap();
    let subs = [
        stream(5, 6, ByteOrder::Little),
        stream(6, 7, ByteOrder::Little),
    ];
    for record in subs.iter().flat_map(|sub| SliceReader::new(sub)) {
        writer.copy(&record.unwrap()).unwrap();
    }
    writer.end_compound().unwrap();
    let folder = Folder::new("names");
    let file = folder.file("all.zfs", &writer.into_inner());
    let output = run(&["dump", "--json", &file]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let streams = &value["streams"];
    assert_eq!(streams[0]["nvlist"]["fromsnap"], "monday");
    let snaps = &streams[0]["nvlist"]["fss"]["0x1234"]["snaps"];
    assert_eq!(snaps["tuesday"], "6");
    assert_eq!(streams[0]["from_name"], "tank/data@monday");
    assert_eq!(streams[1]["from_name"], "tank/data@monday");
    // It came just before, and the list tells its name, too.
    assert_eq!(streams[2]["from_name"], "tank/data@tuesday");
    assert!(streams[2]["nvlist"].is_null());
}

#[test]
fn what_cannot_be_read_is_exit_2() {
    let folder = Folder::new("unreadable");
    let text = folder.file("text", b"not a stream at all\n");
    assert_eq!(run(&["verify", &text]).status.code(), Some(2));
    assert_eq!(
        run(&["verify", "/nonexistent/stream"]).status.code(),
        Some(2)
    );
    let empty = folder.file("empty", b"");
    assert_eq!(run(&["verify", &empty]).status.code(), Some(2));
    assert_eq!(run(&["verify"]).status.code(), Some(64));
}

#[test]
fn verify_speaks_json_of_what_cannot_be_read_as_well() {
    let folder = Folder::new("json");
    let good = folder.file("good.zfs", &stream(0, 1, ByteOrder::Little));
    let output = run(&["verify", "--json", "/nonexistent/stream", &good]);
    assert_eq!(output.status.code(), Some(2));
    let values: Vec<serde_json::Value> = stdout(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(values.len(), 2);
    assert_eq!(values[0]["file"], "/nonexistent/stream");
    assert_eq!(values[0]["intact"], false);
    let error = values[0]["error"].as_str().unwrap();
    assert!(error.contains("No such file"), "{error}");
    assert_eq!(values[1]["intact"], true);
    assert!(values[1]["error"].is_null());
}

#[test]
fn verify_tells_what_was_found_before_the_source_failed() {
    let mut damaged = stream(0, 1, ByteOrder::Little);
    damaged[312 + 480 + 312 + 9] ^= 1;
    for args in [&["verify", "--json", "-"][..], &["verify", "-"]] {
        let (mut ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        // Who closes a socket and has not read all resets it: that is an error
        // behind what was written.
        theirs.write_all(b"unread").unwrap();
        ours.write_all(&damaged[..8_000]).unwrap();
        drop(ours);
        let output = Command::new(env!("CARGO_BIN_EXE_zfs-streamdump"))
            .args(args)
            .stdin(std::os::fd::OwnedFd::from(theirs))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let said = String::from_utf8(output.stderr.clone()).unwrap();
        assert!(said.contains("cannot read on at byte 8000: "), "{said}");
        if args.len() == 2 {
            let text = stdout(&output);
            assert!(text.contains("(WRITE, object 8 at 0): damaged"), "{text}");
            continue;
        }
        let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(value["intact"], false);
        assert_eq!(value["findings"][0]["object"], 8);
        let error = value["error"].as_str().unwrap();
        assert!(said.contains(error), "{said}: {error}");
    }
}

#[test]
fn chain_tells_where_it_breaks() {
    let folder = Folder::new("chain");
    let files: Vec<_> = [(0, 1), (1, 2), (2, 3)]
        .into_iter()
        .map(|(from, to)| {
            let bytes = stream(from, to, ByteOrder::Little);
            folder.file(&format!("{to}.zfs"), &bytes)
        })
        .collect();
    let output = run(&["chain", &files[0], &files[1], &files[2]]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).ends_with("unbroken: 3 streams\n"));
    let output = run(&["chain", &files[0], &files[2]]);
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    assert!(
        text.contains("starts from GUID 2, but the one before ends at 1"),
        "{text}"
    );
}

#[test]
fn chain_reads_streams_to_their_end_and_takes_what_is_resumed() {
    let folder = Folder::new("chain-damaged");
    let full = stream(0, 1, ByteOrder::Little);
    let whole = folder.file("full.zfs", &full);
    let part = folder.file("part.zfs", &full[..6_000]);
    let mut flipped = full.clone();
    flipped[6_000] ^= 1;
    let flipped = folder.file("flipped.zfs", &flipped);
    let next = folder.file("next.zfs", &stream(1, 2, ByteOrder::Little));
    let mut rest = Writer::new(Vec::new(), ByteOrder::Little);
    let mut place = NvList::new();
    place.insert("resume_object", 8_u64).unwrap();
    place.insert("resume_offset", 4096_u64).unwrap();
    let place = place.encode(Encoding::Native, ByteOrder::Little).unwrap();
    for record in SliceReader::new(&full) {
        let record = record.unwrap();
        match record.parse() {
            Record::Begin(mut begin) => {
                let features = begin.features().with(Features::RESUMING);
                begin.version_info = Begin::make_version_info(false, features);
                rest.write(&Record::Begin(begin), &place).unwrap();
            }
            _ => rest.rewrite(&record).unwrap(),
        }
    }
    let rest = folder.file("rest.zfs", &rest.into_inner());
    let tell = |files: &[&String]| {
        let mut args = vec!["chain"];
        args.extend(files.iter().map(|file| file.as_str()));
        let output = run(&args);
        (output.status.code(), stdout(&output).to_owned())
    };
    for (files, words) in [
        (vec![&part], "stream 0 is cut off"),
        (vec![&part, &next], "stream 0 is cut off"),
        (vec![&flipped, &next], "damaged: the checksum after it"),
        (vec![&whole, &rest], "stream 1 resumes one"),
    ] {
        let (code, text) = tell(&files);
        assert_eq!(code, Some(1), "{text}");
        assert!(
            text.contains(words) && text.contains("\nbroken: "),
            "{text}"
        );
    }
    let (code, text) = tell(&[&part, &rest, &next]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.ends_with("unbroken: 3 streams\n"), "{text}");
}

#[test]
fn token_is_explained() {
    let token = ResumeToken {
        to_guid: 42,
        to_name: "tank/data@monday".to_owned(),
        object: 7,
        offset: 131_072,
        raw: true,
        redact_snaps: Some(vec![3, u64::MAX]),
        book_redact_snaps: Some(Vec::new()),
        ..ResumeToken::default()
    };
    let text = token.encode().unwrap();
    let output = run(&["token", &text]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).contains("tank/data@monday (GUID 42)"));
    let output = run(&["token", "--json", &text]);
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&value["to_guid"], &value["raw"]),
        (&"42".into(), &true.into())
    );
    let snaps = serde_json::json!(["3", "18446744073709551615"]);
    assert_eq!(value["redact_snaps"], snaps);
    assert_eq!(value["book_redact_snaps"], serde_json::json!([]));
    let output = run(&["token", &text[..text.len() - 2]]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("cannot read the token"), "{error}");
}

fn filter(args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_zfs-streamdump"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // A filter that refuses does not read to the end.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

#[test]
fn a_recompressed_stream_decompresses_to_what_it_was() {
    let plain = stream(0, 7, ByteOrder::Big);
    for arguments in [
        &["recompress", "lz4"][..],
        &["recompress", "-l", "9", "zstd"],
    ] {
        let packed = filter(arguments, &plain);
        assert_eq!(packed.status.code(), Some(0), "{packed:?}");
        assert!(packed.stdout.len() < plain.len());
        let back = filter(&["decompress", "-v"], &packed.stdout);
        assert!(back.stdout == plain);
        let said = String::from_utf8(back.stderr).unwrap();
        assert!(
            said.starts_with("3 blocks decompressed; 6 records"),
            "{said}"
        );
        // One block by its name, as zstream takes it.
        let one = filter(&["decompress", "8,0x1000"], &packed.stdout);
        assert!(one.stdout.len() > packed.stdout.len() && one.stdout.len() < plain.len());
    }
}

#[test]
fn what_cannot_be_changed_fails_with_words() {
    let plain = stream(0, 7, ByteOrder::Little);
    let cut = filter(&["recompress", "lz4"], &plain[..plain.len() - 400]);
    assert_eq!(cut.status.code(), Some(1), "{cut:?}");
    let unknown = filter(&["recompress", "gzip-3"], &plain);
    assert_eq!(unknown.status.code(), Some(64));
    let level = filter(&["recompress", "-l", "20", "zstd"], &plain);
    assert_eq!(level.status.code(), Some(64));
    let missing = filter(&["decompress", "8,1"], &plain);
    assert_eq!(missing.status.code(), Some(1));
    let said = String::from_utf8(missing.stderr).unwrap();
    assert!(said.contains("no block of object 8 at 1"), "{said}");
}

#[test]
fn redup_and_drop_write_streams() {
    let folder = Folder::new("redup");
    let plain = stream(0, 7, ByteOrder::Little);
    let file = folder.file("plain.zfs", &plain);
    let whole = run(&["redup", &file]);
    assert!(whole.stdout == plain, "{whole:?}");
    assert_eq!(run(&["redup", "/nowhere"]).status.code(), Some(2));
    // It goes back in the stream, which a pipe does not: that is kept first.
    let whole = filter(&["redup", "-"], &plain);
    assert!(whole.stdout == plain, "{whole:?}");
    let nothing = filter(&["redup", "-"], &[]);
    assert_eq!(nothing.status.code(), Some(2), "{nothing:?}");
    let less = filter(&["drop", "8,4096"], &plain);
    assert_eq!(less.stdout.len(), plain.len() - 4096 - 312, "{less:?}");
    let nothing = filter(&["drop", "8,x"], &plain);
    assert_eq!(nothing.status.code(), Some(64));
}

/// A pipe whose reader has ended.
fn closed_pipe() -> Stdio {
    let mut reader = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
    let pipe = reader.stdin.take().unwrap();
    reader.wait().unwrap();
    pipe.into()
}

#[test]
fn where_nobody_listens_nothing_panics() {
    let folder = Folder::new("closed");
    let plain = stream(0, 7, ByteOrder::Little);
    let whole = folder.file("whole.zfs", &plain);
    let cut = folder.file("cut.zfs", &plain[..plain.len() - 100]);
    let token = ResumeToken {
        to_name: "tank/data@monday".to_owned(),
        to_guid: 42,
        ..ResumeToken::default()
    };
    let token = token.encode().unwrap();
    for (args, code) in [
        (&["redup", "-v", &cut][..], 1),
        (&["redup", "-v", &whole], 1),
        (&["verify", &cut], 1),
        (&["verify", "/nowhere"], 2),
        (&["dump", &cut], 1),
        (&["dump", "--json", &whole], 1),
        (&["chain", &whole], 1),
        (&["token", &token], 1),
        (&["token", "--json", &token], 1),
        (&["token", "nonsense"], 1),
        (&["nonsense"], 64),
        (&["--help"], 0),
    ] {
        let status = Command::new(env!("CARGO_BIN_EXE_zfs-streamdump"))
            .args(args)
            .stdin(Stdio::null())
            .stdout(closed_pipe())
            .stderr(closed_pipe())
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(code), "{args:?}");
    }
}

#[test]
fn what_follows_the_end_is_damage() {
    let folder = Folder::new("after");
    let plain = stream(0, 7, ByteOrder::Little);
    for more in [&[0][..], &[0; 4096], &[0x55; 312]] {
        let long = [&plain[..], more].concat();
        let file = folder.file("long.zfs", &long);
        for output in [run(&["verify", &file]), filter(&["verify", "-"], &long)] {
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            let bytes = format!("{} bytes", long.len());
            assert!(stdout(&output).contains(&bytes), "{output:?}");
        }
        assert_eq!(run(&["dump", &file]).status.code(), Some(1));
        let changed = filter(&["drop", "99"], &long);
        assert_eq!(changed.status.code(), Some(1));
        // All but the END.
        assert_eq!(changed.stdout, plain[..plain.len() - 312]);
    }
}
