//! zfs-streamdump's command line, on streams made here.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use zfs_stream::nvlist::ByteOrder;
use zfs_stream::record::{Begin, BeginFlags, End, Features, Object, Record, Write, Writer};
use zfs_stream::token::ResumeToken;

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
fn token_is_explained() {
    let token = ResumeToken {
        to_guid: 42,
        to_name: "tank/data@monday".to_owned(),
        object: 7,
        offset: 131_072,
        raw: true,
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
    assert_eq!(run(&["redup", "/nowhere"]).status.code(), Some(1));
    let less = filter(&["drop", "8,4096"], &plain);
    assert_eq!(less.stdout.len(), plain.len() - 4096 - 312, "{less:?}");
    let nothing = filter(&["drop", "8,x"], &plain);
    assert_eq!(nothing.status.code(), Some(64));
}
