//! What zfs-streamdump and the writer put out, received by real ZFS.

#[path = "streamdump/pool.rs"]
mod pool;

use std::collections::{BTreeMap, HashMap};
use std::fs;

use zfs_stream::change;
use zfs_stream::nvlist::ByteOrder;
use zfs_stream::record::{Begin, Features, Record, SliceReader, WriteByref, Writer};
use zfs_stream::stats::Statistics;
use zfs_stream::token::ResumeToken;

use pool::{Pool, feed, receive, run, send, streamdump, text, through, version, write};

fn statistics(stream: &[u8]) -> Statistics {
    let mut statistics = Statistics::default();
    for record in SliceReader::new(stream) {
        statistics.record(&record.unwrap());
    }
    statistics
}

/// How many blocks of the stream have that compression.
fn compressed(stream: &[u8], number: u8) -> u64 {
    statistics(stream)
        .compression
        .get(&number)
        .map_or(0, |met| met.blocks)
}

/// The blocks of a stream, decompressed.
fn blocks(stream: &[u8]) -> BTreeMap<(u64, u64), Vec<u8>> {
    let mut plain = Vec::new();
    change::decompress(stream, &mut plain).unwrap();
    let records = SliceReader::new(&plain).map(Result::unwrap);
    records
        .filter_map(|record| match record.parse() {
            Record::Write(write) => Some(((write.object, write.offset), record.payload.to_vec())),
            _ => None,
        })
        .collect()
}

/// Every record written from its fields alone.
fn made_anew(stream: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), ByteOrder::Little);
    for raw in SliceReader::new(stream) {
        let raw = raw.unwrap();
        let record = raw.parse();
        let summed = raw.header.checksum().is_none_or(|sums| !sums.is_zero());
        match (&record, summed) {
            (Record::End(_), false) if raw.header.is_final_end() => writer.end_compound().unwrap(),
            (Record::End(_), false) => writer.end_compound_header().unwrap(),
            _ => writer.write(&record, raw.payload).unwrap(),
        }
    }
    writer.into_inner()
}

const FS: &[&str] = &[
    "compression=lz4",
    "recordsize=128k",
    "xattr=sa",
    "dnodesize=auto",
];
const BIG: &[&str] = &["compression=zstd", "recordsize=1M"];

/// Sends both snapshots with those options, changes each stream, receives
/// them, and compares the files.
#[track_caller]
fn goes_through(pool: &Pool, options: &[&str], change: &[&str], target: &str) -> Vec<u8> {
    let source = pool.dataset("source");
    let (first, second) = (format!("{source}@1"), format!("{source}@2"));
    let full = send(&[options, &[&first]].concat());
    let incremental = send(&[options, &["-i", "@1", &second]].concat());
    let [full, incremental] = [full, incremental].map(|stream| through(change, &stream));
    let dataset = pool.dataset(target);
    receive(&dataset, &full);
    receive(&dataset, &incremental);
    pool.same("source", target);
    full
}

#[test]
fn recompressed_streams_are_received_and_the_files_are_equal() {
    let pool = Pool::new();
    pool.filled("source", FS);
    for (number, (options, to, compression)) in [
        (&[][..], "lz4", 15),
        (&["-c"][..], "zstd", 16),
        (&["-Lec"][..], "zstd-19", 16),
        (&["-Le"][..], "zstd-fast-10", 16),
        (&["-Lec"][..], "off", 0),
    ]
    .into_iter()
    .enumerate()
    {
        let target = format!("target{number}");
        let full = goes_through(&pool, options, &["recompress", to], &target);
        assert!(compressed(&full, compression) >= 10, "{to}");
        if compression != 0 {
            // ZFS has stored them as they came, and read them above; what is
            // very small it stores in its own way.
            let stored = send(&["-c", &format!("{}@1", pool.dataset(&target))]);
            let [stored, ours] = [stored, full].map(|stream| compressed(&stream, compression));
            assert!(4 * stored >= 3 * ours, "{to}: {stored} of {ours}");
        }
    }
}

#[test]
fn large_blocks_go_through_every_change() {
    let pool = Pool::new();
    pool.filled("source", BIG);
    for (number, (options, change)) in [
        (&["-Lc"][..], &["decompress"][..]),
        (&["-Lc"], &["recompress", "lz4"]),
        (&["-L"], &["recompress", "-l", "6", "zstd"]),
        (&["-c"], &["recompress", "lz4"]),
    ]
    .into_iter()
    .enumerate()
    {
        let full = goes_through(&pool, options, change, &format!("target{number}"));
        let longest = SliceReader::new(&full)
            .filter_map(|record| match record.unwrap().parse() {
                Record::Write(write) => Some(write.logical_size),
                _ => None,
            })
            .max();
        let expected = if options[0].contains('L') {
            1 << 20
        } else {
            1 << 17
        };
        assert_eq!(longest, Some(expected), "{options:?}");
    }
}

#[test]
fn what_the_kernel_compressed_in_any_way_is_decompressed() {
    let pool = Pool::new();
    for (name, number) in [
        ("gzip-1", 5),
        ("gzip-9", 13),
        ("lzjb", 3),
        ("zle", 14),
        ("zstd-7", 16),
        ("lz4", 15),
    ] {
        let property = format!("compression={name}");
        let source = pool.filled(name, &[&property, "recordsize=64k"]);
        let snapshot = format!("{source}@1");
        let packed = send(&["-c", &snapshot]);
        // Text has no run of zeros but at a file's end.
        let least = if name == "zle" { 1 } else { 20 };
        assert!(
            compressed(&packed, number) >= least,
            "{name}: {:?}",
            statistics(&packed).compression
        );
        let plain = send(&[&snapshot]);
        assert!(
            blocks(&through(&["decompress"], &packed)) == blocks(&plain),
            "{name}"
        );
        run(&["zfs", "destroy", "-r", &source]);
    }
}

#[test]
fn a_volume_goes_through() {
    let pool = Pool::new();
    let snapshot = pool.volume(&["compression=lz4"]);
    let plain = send(&[&snapshot]);
    assert!(plain.len() > 900_000);
    for (number, (options, change)) in [
        (&["-c"][..], &["decompress"][..]),
        (&["-c"], &["recompress", "zstd"]),
        (&[], &["recompress", "lz4"]),
    ]
    .into_iter()
    .enumerate()
    {
        let target = pool.dataset(&format!("target{number}"));
        let stream = send(&[options, &[&snapshot]].concat());
        receive(&target, &through(change, &stream));
        let again = send(&[&format!("{target}@1")]);
        assert!(blocks(&again) == blocks(&plain), "{change:?}");
    }
}

/// The stream of a volume as a machine of the other byte order sends it. The
/// volume's properties get a block of 4 KiB, which is worth compressing.
fn big_endian_volume(stream: &[u8]) -> Vec<u8> {
    const PROPERTIES: u64 = 2;
    const SIZE: u32 = 4096;
    let mut writer = Writer::new(Vec::new(), ByteOrder::Big);
    for raw in SliceReader::new(stream) {
        let raw = raw.unwrap();
        let mut record = raw.parse();
        let mut payload = raw.payload.to_vec();
        match &mut record {
            Record::Begin(_) => assert!(payload.is_empty()),
            Record::Object(object) => {
                assert!(payload.is_empty());
                if object.object == PROPERTIES {
                    object.block_size = SIZE;
                }
            }
            Record::Free(free) if free.object == PROPERTIES => free.offset = u64::from(SIZE),
            Record::Write(write) if write.object == PROPERTIES => {
                write.logical_size = u64::from(SIZE);
                payload.resize(SIZE as usize, 0);
                swap_microzap(&mut payload);
            }
            _ => {}
        }
        writer.write(&record, &payload).unwrap();
    }
    writer.into_inner()
}

/// A small directory of names and numbers: three numbers of 64 bits, and from
/// byte 64 on entries of 64 with a number of 64 bits and one of 32 each.
fn swap_microzap(block: &mut [u8]) {
    for at in [0, 8, 16] {
        block[at..at + 8].reverse();
    }
    for entry in block[64..].chunks_mut(64) {
        entry[..8].reverse();
        entry[8..12].reverse();
    }
}

#[test]
fn a_volume_of_the_other_byte_order_is_received_before_and_after_recompress() {
    let pool = Pool::new();
    let snapshot = pool.volume(&[]);
    let stream = big_endian_volume(&send(&[&snapshot]));
    let mut before = BTreeMap::new();
    for (number, to) in ["", "off", "lz4", "zstd"].into_iter().enumerate() {
        let target = pool.dataset(&format!("target{number}"));
        let changed = if to.is_empty() {
            stream.clone()
        } else {
            through(&["recompress", to], &stream)
        };
        receive(&target, &changed);
        let size = run(&["zfs", "get", "-Hpo", "value", "volsize", &target]);
        assert_eq!(String::from_utf8_lossy(&size).trim(), "4194304", "{to}");
        let again = blocks(&send(&[&format!("{target}@1")]));
        // The first is what the sender sent.
        if before.is_empty() {
            before = again;
            let file: Vec<u8> = before
                .range((1, 0)..(2, 0))
                .flat_map(|(_, block)| block.iter().copied())
                .collect();
            assert!(file.starts_with(&text(900_000)));
        } else {
            assert!(again == before, "{to}");
        }
    }
}

#[test]
fn a_redacted_stream_is_received_after_recompress() {
    // OpenZFS 2.1 takes no clone of the snapshot for its descendant.
    if version() < (2, 2) {
        return;
    }
    let pool = Pool::new();
    let source = pool.filled("source", FS);
    let clone = pool.dataset("clone");
    let (snapshot, changed) = (format!("{source}@1"), format!("{clone}@changed"));
    run(&["zfs", "clone", &snapshot, &clone]);
    write(&pool.mount("clone").join("small"), &text(2_000)[7..]);
    run(&["zfs", "snapshot", &changed]);
    run(&["zfs", "redact", &snapshot, "book", &changed]);
    let redacted = send(&["--redact", "book", &snapshot]);
    assert!(
        statistics(&redacted).streams[0]
            .begin
            .features()
            .contains(Features::REDACTED)
    );
    let base = pool.dataset("base");
    receive(&base, &through(&["recompress", "zstd"], &redacted));
    // What was left out cannot be mounted; what it was left out for can.
    let bookmark = format!("{source}#book");
    let rest = send(&["-i", &bookmark, &changed]);
    let target = pool.dataset("target");
    let rest = through(&["recompress", "lz4"], &rest);
    let origin = format!("origin={base}@1");
    let received = feed(&["zfs", "receive", "-o", &origin, &target], &rest);
    let said = String::from_utf8_lossy(&received.stderr);
    assert!(received.status.success(), "{said}");
    pool.same("clone", "target");
}

#[test]
fn what_the_writer_makes_from_fields_is_received() {
    let pool = Pool::new();
    let source = pool.filled("source", FS);
    let child = pool.dataset("source/child");
    run(&["zfs", "create", &child]);
    write(&pool.mount("source/child").join("file"), &text(5_000));
    run(&["zfs", "snapshot", "-r", &format!("{source}@3")]);
    let all = send(&["-R", "-Lec", &format!("{source}@3")]);
    let anew = made_anew(&all);
    assert!(anew == all);
    receive(&pool.dataset("tree"), &anew);
    pool.same("source", "tree");
    // A compound stream, changed.
    for (target, to) in [("tree-lz4", "lz4"), ("tree-off", "off")] {
        receive(&pool.dataset(target), &through(&["recompress", to], &all));
        pool.same("source", target);
    }
    // What comes is what the list tells of, but for what is left out.
    let last = format!("{source}@3");
    let told = |args: &[&str]| {
        let told = through(&["verify", "-"], &send(args));
        String::from_utf8(told).unwrap()
    };
    for from in [["-R", "-I", "@1"], ["-R", "-i", "@2"], ["-p", "-i", "@2"]] {
        let told = told(&[&from[..], &[&last]].concat());
        assert_eq!(told.lines().count(), 1, "{from:?}: {told}");
    }
    if version() >= (2, 3) {
        let told = told(&["-R", "-X", &child, &last]);
        assert!(told.contains(&child) && told.contains("left out"), "{told}");
        assert_eq!(told.lines().count(), 2, "{told}");
    }
}

/// The stream as `zfs send -D` of 0.8 would have made it: blocks that equal one
/// before are references to that.
fn deduplicated(stream: &[u8]) -> (Vec<u8>, u64) {
    let features = Features::DEDUP.with(Features::DEDUPPROPS);
    let mut writer = Writer::new(Vec::new(), ByteOrder::Little);
    let mut seen: HashMap<Vec<u8>, (u64, u64, u64)> = HashMap::new();
    let mut references = 0;
    for raw in SliceReader::new(stream) {
        let raw = raw.unwrap();
        match raw.parse() {
            Record::Begin(begin) => {
                let version_info = begin.version_info | features.bits() << 2;
                let begin = Begin {
                    version_info,
                    ..begin
                };
                writer.write(&Record::Begin(begin), raw.payload).unwrap();
            }
            Record::Write(write) => {
                let key = (write.to_guid, write.object, write.offset);
                let Some(&equal) = seen.get(raw.payload) else {
                    seen.insert(raw.payload.to_vec(), key);
                    writer.rewrite(&raw).unwrap();
                    continue;
                };
                references += 1;
                let (ref_guid, ref_object, ref_offset) = equal;
                let byref = WriteByref {
                    object: write.object,
                    offset: write.offset,
                    length: write.logical_size,
                    to_guid: write.to_guid,
                    ref_guid,
                    ref_object,
                    ref_offset,
                    checksum_type: write.checksum_type,
                    ..WriteByref::default()
                };
                writer.write(&Record::WriteByref(byref), &[]).unwrap();
            }
            _ => writer.rewrite(&raw).unwrap(),
        }
    }
    (writer.into_inner(), references)
}

#[test]
fn a_deduplicated_stream_is_received_after_redup() {
    let pool = Pool::new();
    let source = pool.filled("source", FS);
    let full = send(&[&format!("{source}@1")]);
    let incremental = send(&["-i", "@1", &format!("{source}@2")]);
    for stream in [full, incremental] {
        let (short, references) = deduplicated(&stream);
        let file = pool.folder.path().join("short");
        write(&file, &short);
        let file = file.to_str().unwrap();
        let whole = through(&["redup", file], &[]);
        // OpenZFS' own does the same to it.
        assert!(whole == run(&["zstream", "redup", file]));
        let target = pool.dataset("target");
        let refused = feed(&["zfs", "receive", &target], &short);
        assert!(
            !refused.status.success(),
            "OpenZFS takes deduplicated streams"
        );
        receive(&target, &whole);
        if stream.len() > 2 << 20 {
            assert!(references >= 10, "{references}");
        }
    }
    pool.same("source", "target");
}

#[test]
fn dump_says_what_zstream_says() {
    let pool = Pool::new();
    let source = pool.filled("source", FS);
    let big = pool.filled("big", BIG);
    let streams = [
        send(&[&format!("{source}@1")]),
        send(&["-Lec", &format!("{source}@1")]),
        send(&["-i", "@1", &format!("{source}@2")]),
        send(&["-R", &format!("{source}@2")]),
        send(&["-Lc", &format!("{big}@2")]),
        send(&["-p", &format!("{big}@2")]),
    ];
    for stream in streams {
        let file = pool.folder.path().join("stream");
        write(&file, &stream);
        let file = file.to_str().unwrap();
        let theirs = String::from_utf8(run(&["zstream", "dump", file])).unwrap();
        let ours = String::from_utf8(through(&["dump", file], &[])).unwrap();
        let (_, theirs) = theirs.split_once("SUMMARY:").unwrap();
        let (_, ours) = ours.split_once("SUMMARY:").unwrap();
        assert!(ours.starts_with(theirs), "{ours}\n is not\n{theirs}");
        // From the file and from a pipe.
        through(&["verify", file], &[]);
        through(&["verify", "-"], &stream);
    }
}

#[test]
fn changes_agree_with_zstreams() {
    let pool = Pool::new();
    let source = pool.filled("source", FS);
    let snapshot = format!("{source}@1");
    let (packed, plain) = (send(&["-c", &snapshot]), send(&[&snapshot]));
    let expected = blocks(&plain);
    for to in ["off", "lz4", "zstd"] {
        let ours = through(&["recompress", to], &packed);
        assert!(blocks(&ours) == expected, "{to}");
        // OpenZFS 2.1's zstream has neither.
        if version() >= (2, 2) {
            let theirs = feed(&["zstream", "recompress", to], &packed);
            assert!(theirs.status.success(), "{theirs:?}");
            assert!(blocks(&theirs.stdout) == expected, "{to}");
        }
    }
    let mut chosen = SliceReader::new(&packed).filter_map(|record| match record.unwrap().parse() {
        Record::Write(write) if write.compression == 15 => {
            Some(format!("{},{}", write.object, write.offset))
        }
        _ => None,
    });
    let chosen = chosen.nth(3).unwrap();
    let ours = through(&["decompress", &chosen], &packed);
    assert!(blocks(&ours) == expected);
    assert!(ours.len() > packed.len());
    if version() >= (2, 2) {
        let theirs = feed(&["zstream", "decompress", &chosen], &packed);
        assert!(theirs.status.success(), "{theirs:?}");
        assert!(theirs.stdout == ours);
    }
    receive(&pool.dataset("target"), &ours);
}

#[test]
fn without_one_block_the_rest_is_received() {
    let pool = Pool::new();
    let source = pool.filled("source", FS);
    let stream = send(&[&format!("{source}@1")]);
    let text = fs::metadata(pool.mount("source").join("equal")).unwrap();
    let object = std::os::unix::fs::MetadataExt::ino(&text);
    let less = through(&["drop", &format!("{object},131072")], &stream);
    let target = pool.dataset("target");
    receive(&target, &less);
    let [whole, holed] =
        ["source", "target"].map(|name| fs::read(pool.mount(name).join("equal")).unwrap());
    assert_eq!(whole.len(), holed.len());
    assert!(holed[131_072..262_144].iter().all(|&byte| byte == 0));
    assert!(whole[..131_072] == holed[..131_072] && whole[262_144..] == holed[262_144..]);
}

#[test]
fn what_cannot_be_changed_is_not_received() {
    let pool = Pool::new();
    let source = pool.filled("source", FS);
    let target = pool.dataset("target");
    let mut stream = send(&["-c", &format!("{source}@1")]);
    let middle = stream.len() / 2;
    stream[middle] ^= 1;
    let binary = streamdump();
    let changed = feed(&[&binary, "recompress", "zstd"], &stream);
    assert_eq!(changed.status.code(), Some(1), "{changed:?}");
    // What came out before is refused: nobody takes it for the whole.
    let received = feed(&["zfs", "receive", &target], &changed.stdout);
    assert!(!received.status.success());
    assert!(!feed(&["zfs", "list", &target], &[]).status.success());

    let secret = pool.dataset("secret");
    let key = pool.folder.path().join("key");
    write(&key, &[b'k'; 32]);
    let location = format!("keylocation=file://{}", key.display());
    run(&[
        "zfs",
        "create",
        "-o",
        "encryption=on",
        "-o",
        "keyformat=raw",
        "-o",
        &location,
        &secret,
    ]);
    run(&["zfs", "snapshot", &format!("{secret}@1")]);
    let raw = send(&["-w", &format!("{secret}@1")]);
    let refused = feed(&[&binary, "decompress"], &raw);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("without -w"), "{said}");
}

#[test]
fn tokens_made_here_are_taken_by_zfs_send() {
    let pool = Pool::new();
    let source = pool.filled("source", FS);
    let stream = send(&["-Le", &format!("{source}@1")]);
    let target = pool.dataset("target");
    let half = &stream[..stream.len() / 2];
    let received = feed(&["zfs", "receive", "-s", &target], half);
    assert!(!received.status.success());
    let token = run(&[
        "zfs",
        "get",
        "-Hpo",
        "value",
        "receive_resume_token",
        &target,
    ]);
    let theirs = String::from_utf8(token).unwrap();
    let theirs = theirs.trim();
    let token: ResumeToken = theirs.parse().unwrap();
    assert!(token.bytes > 0 && token.object > 0 && token.embed);
    // The text may be another, as it is compressed by another.
    let ours = token.encode().unwrap();
    let rest = send(&["-t", theirs]);
    assert!(send(&["-t", &ours]) == rest);
    let begun = statistics(&rest);
    let begun = &begun.streams[0];
    let list = begun.nvlist.as_ref();
    token.check_stream(&begun.begin, list).unwrap();
    // As the sender reads it.
    let said = String::from_utf8(run(&["zfs", "send", "-nvt", &ours])).unwrap();
    assert!(
        said.contains(&format!("object = {:#x}", token.object)),
        "{said}"
    );
    receive(&target, &rest);
    receive(&target, &send(&["-Le", "-i", "@1", &format!("{source}@2")]));
    pool.same("source", "target");
}
