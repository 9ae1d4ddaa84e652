//! How much memory zfs-streamdump takes.

use std::io;

use super::*;

/// Runs zfs-streamdump where the kernel gives it no more than so many MiB of
/// memory that is its own, with a long stream on its standard input.
fn within_mib(
    mib: u32,
    args: &str,
    write: impl FnOnce(&mut dyn io::Write) + Send + 'static,
) -> Output {
    let line = format!("ulimit -d {}; exec \"$0\" {args}", mib << 10);
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

/// A stream of that many blocks of that length, that compress to a half or so.
fn long_stream(sink: &mut dyn io::Write, blocks: u64, length: u32) {
    stream_of(sink, blocks, |_| length, half);
}

fn half(block: u64, at: u64) -> u8 {
    (at / 11 + block + ((at * at) >> 9)) as u8
}

/// A stream of that many blocks of those lengths, with those bytes.
fn stream_of(
    sink: &mut dyn io::Write,
    blocks: u64,
    length: impl Fn(u64) -> u32,
    byte: impl Fn(u64, u64) -> u8,
) {
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
        let length = length(block);
        let object = 2 + block;
        let fields = Object {
            object,
            object_type: 19,
            block_size: length,
            to_guid,
            ..Object::default()
        };
        write(Record::Object(fields), &[]);
        let payload: Vec<u8> = (0..u64::from(length)).map(|at| byte(block, at)).collect();
        let fields = Write {
            object,
            object_type: 19,
            logical_size: u64::from(length),
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

/// What recompress says that it takes for blocks of 16 MiB.
const LONGEST: u32 = 112;

#[test]
fn long_streams_take_less_than_32_mib() {
    for (args, blocks) in [
        ("verify -", 96),
        ("dump", 96),
        ("recompress lz4", 96),
        ("recompress zstd", 96),
        ("decompress", 96),
        // However many cores there are, and however much the level takes.
        ("recompress --threads 16 lz4", 40),
        ("recompress --threads 16 zstd", 40),
        ("recompress --threads 16 zstd-19", 8),
    ] {
        let output = within_mib(32, args, move |sink| long_stream(sink, blocks, 1 << 20));
        assert_eq!(output.status.code(), Some(0), "{args}: {output:?}");
    }
    // ZFS' longest blocks.
    for args in [
        "recompress --threads 16 lz4",
        "recompress --threads 16 zstd",
    ] {
        let output = within_mib(LONGEST, args, |sink| long_stream(sink, 3, 16 << 20));
        assert_eq!(output.status.code(), Some(0), "{args}: {output:?}");
    }
    // And from a file, which is not counted: it is the page cache's.
    let folder = Folder::new("long");
    let path = folder.0.join("long.zfs");
    long_stream(&mut std::fs::File::create(&path).unwrap(), 96, 1 << 20);
    for command in ["verify", "redup", "dump"] {
        let output = within_mib(32, &format!("{command} {}", path.display()), |_| {});
        assert_eq!(output.status.code(), Some(0), "{command}: {output:?}");
    }
}

/// Each of which is a line for `dump`, and stays for its JSON.
#[test]
fn many_substreams_take_less_than_a_kilobyte_each() {
    const SUBSTREAMS: u64 = 40_000;
    let output = within_mib(40, "dump --json", |sink| {
        let mut sink = io::BufWriter::new(sink);
        for guid in 1..=SUBSTREAMS {
            let mut writer = Writer::new(&mut sink, ByteOrder::Little);
            let begin = Begin {
                version_info: Begin::make_version_info(false, Features::default()),
                objset_type: 2,
                to_guid: guid,
                from_guid: guid - 1,
                to_name: format!("tank/home/user@{guid}").into_bytes(),
                ..Begin::default()
            };
            let end = End {
                to_guid: guid,
                ..End::default()
            };
            let _ = writer.write(&Record::Begin(begin), &[]);
            let _ = writer.write(&Record::End(end), &[]);
        }
    });
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

/// Blocks that are next to nothing until they are decompressed.
#[test]
fn blocks_of_next_to_nothing_are_changed_within_32_mib() {
    let mut plain = Vec::new();
    stream_of(&mut plain, 96, |_| 1 << 20, |block, _| block as u8);
    for first in ["lz4", "zstd"] {
        let mut packed = Vec::new();
        let to = first.parse().unwrap();
        zfs_stream::change::recompress(&plain[..], &mut packed, to).unwrap();
        assert!(packed.len() < 1 << 20, "{first}: {}", packed.len());
        for args in [
            "decompress",
            "recompress --threads 16 lz4",
            "recompress --threads 16 zstd",
        ] {
            let packed = packed.clone();
            let output = within_mib(32, args, move |sink| sink.write_all(&packed).unwrap());
            assert_eq!(output.status.code(), Some(0), "{first} {args}: {output:?}");
        }
    }
}

/// So that every buffer is used for long ones and for short ones in its turn.
#[test]
fn blocks_of_different_lengths_are_changed_within_32_mib() {
    for args in [
        "decompress",
        "recompress --threads 16 lz4",
        "recompress --threads 16 zstd",
    ] {
        let output = within_mib(32, args, |sink| {
            let length = |block| if block % 7 < 5 { 64 << 10 } else { 1 << 20 };
            stream_of(sink, 250, length, half);
        });
        assert_eq!(output.status.code(), Some(0), "{args}: {output:?}");
    }
}

/// Who does not listen any more is not read for.
#[test]
fn dump_reads_no_further_when_nobody_reads_what_it_writes() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_zfs-streamdump"))
        .args(["dump", "-v"])
        .stdin(Stdio::piped())
        .stdout(closed_pipe())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut taken = Counted(child.stdin.take().unwrap(), 0);
    // Its lines wait until there are some.
    stream_of(&mut taken, 10_000, |_| 4096, |_, _| 7);
    assert!(taken.1 < 16 << 20, "{} bytes were read", taken.1);
    drop(taken);
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

/// A sink, and how many bytes it took.
struct Counted<W>(W, usize);

impl<W: io::Write> io::Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.0.write(bytes)?;
        self.1 += length;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
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
        for raw in SliceReader::new(&whole).take(2) {
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
            let output = within_mib(32, args, move |sink| drop(sink.write_all(&bytes)));
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
