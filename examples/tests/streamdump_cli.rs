//! zfs-streamdump's command line, on streams made here.

use std::io::{self, Write as _};
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

/// Runs zfs-streamdump where the kernel gives it no more than 32 MiB of memory
/// that is its own, with a long stream on its standard input.
fn within_32_mib(args: &str, write: impl FnOnce(&mut dyn io::Write) + Send + 'static) -> Output {
    let line = format!("ulimit -d 32768; exec \"$0\" {args}");
    let mut child = Command::new("sh")
        .args(["-c", &line, env!("CARGO_BIN_EXE_zfs-streamdump")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || write(&mut stdin));
    let mut stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || io::copy(&mut stdout, &mut io::sink()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(reader.join().unwrap().unwrap() > 0 || !output.status.success());
    output
}

/// A stream of that many blocks of 1 MiB.
fn long_stream(sink: &mut dyn io::Write, blocks: u64) {
    let mut writer = Writer::new(sink, ByteOrder::Little);
    let to_guid = 9;
    let begin = Begin {
        version_info: Begin::make_version_info(false, Features::LARGE_BLOCKS),
        objset_type: 2,
        flags: BeginFlags::SPILL_BLOCK,
        to_guid,
        to_name: b"tank/long@1".to_vec(),
        ..Begin::default()
    };
    let mut write = |record: Record, payload: &[u8]| {
        // Who refuses it does not read on.
        let _ = writer.write(&record, payload);
    };
    write(Record::Begin(begin), &[]);
    for block in 0..blocks {
        let object = 2 + block;
        let fields = Object {
            object,
            object_type: 19,
            block_size: 1 << 20,
            to_guid,
            ..Object::default()
        };
        write(Record::Object(fields), &[]);
        let payload: Vec<u8> = (0..1_u64 << 20)
            .map(|at| (at / 11 + block + ((at * at) >> 9)) as u8)
            .collect();
        let fields = Write {
            object,
            object_type: 19,
            logical_size: 1 << 20,
            to_guid,
            ..Write::default()
        };
        write(Record::Write(fields), &payload);
    }
    let end = End {
        to_guid,
        ..End::default()
    };
    write(Record::End(end), &[]);
}

#[test]
fn long_streams_take_less_than_32_mib() {
    for args in [
        "verify -",
        "dump",
        "recompress lz4",
        "recompress zstd",
        "decompress",
    ] {
        let output = within_32_mib(args, |sink| long_stream(sink, 96));
        assert_eq!(output.status.code(), Some(0), "{args}: {output:?}");
    }
    // And from a file, which is not counted: it is the page cache's.
    let folder = Folder::new("long");
    let path = folder.0.join("long.zfs");
    long_stream(&mut std::fs::File::create(&path).unwrap(), 96);
    for command in ["verify", "redup", "dump"] {
        let output = within_32_mib(&format!("{command} {}", path.display()), |_| {});
        assert_eq!(output.status.code(), Some(0), "{command}: {output:?}");
    }
}

/// Sizes that are not there, with checksums that are right.
#[test]
fn hostile_sizes_are_refused_within_32_mib() {
    let begin = |length: u32| {
        let mut stream = stream(0, 7, ByteOrder::Little);
        stream[4..8].copy_from_slice(&length.to_le_bytes());
        stream
    };
    let object = |raw_bonus_len, bonus_len| {
        Record::Object(Object {
            object: 8,
            object_type: 19,
            block_size: 4096,
            bonus_len,
            raw_bonus_len,
            to_guid: 7,
            ..Object::default()
        })
    };
    let write = |logical_size, compressed_size, compression| {
        Record::Write(Write {
            object: 8,
            object_type: 19,
            logical_size,
            compressed_size,
            compression,
            to_guid: 7,
            ..Write::default()
        })
    };
    let mut streams = vec![begin(u32::MAX), begin(64 << 20), begin(1 << 30)];
    for record in [
        object(u32::MAX, 0),
        object(0, u32::MAX),
        write(u64::MAX, 0, 0),
        write(1 << 40, 0, 0),
        write(1 << 24, 0, 0),
        write(u64::MAX, 16, 15),
        write(1 << 60, 16, 16),
        write(512, u64::MAX, 15),
    ] {
        let whole = stream(0, 7, ByteOrder::Little);
        let mut writer = Writer::new(Vec::new(), ByteOrder::Little);
        for raw in zfs_stream::record::SliceReader::new(&whole).take(2) {
            writer.rewrite(&raw.unwrap()).unwrap();
        }
        // The writer refuses what does not have that payload, so its header is
        // written with none and taken over.
        let mut bytes = writer.into_inner();
        let mut header = vec![0; 312];
        header[..4].copy_from_slice(&record.record_type().to_raw().to_le_bytes());
        fill(&mut header, &record);
        let mut sums = zfs_stream::fletcher::Checksum::ZERO;
        sums.update(&bytes, ByteOrder::Little);
        sums.update(&header[..280], ByteOrder::Little);
        for (place, sum) in header[280..].chunks_exact_mut(8).zip(sums.0) {
            place.copy_from_slice(&sum.to_le_bytes());
        }
        bytes.extend(header);
        bytes.extend([0; 64]);
        streams.push(bytes);
    }
    for (number, bytes) in streams.into_iter().enumerate() {
        for args in ["verify -", "dump", "recompress lz4", "decompress"] {
            let bytes = bytes.clone();
            let output = within_32_mib(args, move |sink| drop(sink.write_all(&bytes)));
            let code = output.status.code();
            assert!(matches!(code, Some(1 | 2)), "{number} {args}: {output:?}");
        }
    }
}

/// The fields that tell sizes, at their places.
fn fill(header: &mut [u8], record: &Record) {
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    match record {
        Record::Object(object) => {
            put(8, &object.object.to_le_bytes());
            put(16, &object.object_type.to_le_bytes());
            put(24, &object.block_size.to_le_bytes());
            put(28, &object.bonus_len.to_le_bytes());
            put(36, &object.raw_bonus_len.to_le_bytes());
            put(40, &object.to_guid.to_le_bytes());
        }
        Record::Write(write) => {
            put(8, &write.object.to_le_bytes());
            put(16, &write.object_type.to_le_bytes());
            put(32, &write.logical_size.to_le_bytes());
            put(40, &write.to_guid.to_le_bytes());
            put(50, &[write.compression]);
            put(96, &write.compressed_size.to_le_bytes());
        }
        other => panic!("{other:?}"),
    }
}
