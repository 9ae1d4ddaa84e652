//! What the verifier says of records that are whole and wrong is what real
//! `zfs receive` does with them.

#[path = "streamdump/pool.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod pool;

use std::fs;
use std::io::{Write as _, stderr};

use zfs_stream::nvlist::ByteOrder;
use zfs_stream::record::{
    Free, FreeObjects, Object, ObjectRange, RawRecord, Record, RecordType, Redact, SliceReader,
    Spill, Write, WriteEmbedded, Writer,
};
use zfs_stream::verify;

use pool::{Pool, feed, run, send, text, version, write};

/// The longest block there is.
const LONGEST: u64 = 16 << 20;

/// How many compressions there are.
const COMPRESSIONS: u8 = 17;

/// Whether the kernel panics at the record, or damages its memory: it takes memory
/// for a block without looking at its lengths, and OpenZFS 2.1 also for a payload
/// that is too long. The verifier's consequence says so.
fn kills(record: &Record) -> bool {
    let payload = record.payload_len();
    match record {
        Record::Write(write) => {
            payload == 0
                || !(1..=LONGEST).contains(&write.logical_size)
                || write.compression >= COMPRESSIONS
                || write.compression > 0 && write.compressed_size > write.logical_size
        }
        Record::Spill(spill) => {
            payload == 0
                || payload > LONGEST && version() < (2, 2)
                || spill.compression >= COMPRESSIONS
        }
        _ => false,
    }
}

/// One field of a record with another value.
type Change<T> = (&'static str, fn(&mut T));

const OBJECT: &[Change<Object>] = &[
    ("object 0", |it| it.object = 0),
    ("object 2^48", |it| it.object = 1 << 48),
    ("object 2^48-1", |it| it.object = (1 << 48) - 1),
    ("type 0", |it| it.object_type = 0),
    ("type 53", |it| it.object_type = 53),
    ("type 54", |it| it.object_type = 54),
    ("type 0x8a", |it| it.object_type = 0x8a),
    ("type 0xc4", |it| it.object_type = 0xc4),
    ("bonus type 54", |it| it.bonus_type = 54),
    ("block size 0", |it| it.block_size = 0),
    ("block size 256", |it| it.block_size = 256),
    ("block size 513", |it| it.block_size = 513),
    ("block size 1024", |it| it.block_size = 1024),
    ("block size 16 MiB + 512", |it| {
        it.block_size = (16 << 20) + 512;
    }),
    ("bonus 20 KiB", |it| it.bonus_len = 20 << 10),
    ("checksum 14", |it| it.checksum_type = 14),
    ("checksum 15", |it| it.checksum_type = 15),
    ("compress 16", |it| it.compress = 16),
    ("compress 17", |it| it.compress = 17),
    ("slots 33", |it| it.dn_slots = 33),
    ("flags 1", |it| it.flags |= 1),
    ("flags 4", |it| it.flags ^= 4),
    ("flags 128", |it| it.flags |= 128),
    ("raw bonus length", |it| it.raw_bonus_len += 8),
    ("raw bonus length 0", |it| it.raw_bonus_len = 0),
    ("raw bonus length 20 KiB", |it| it.raw_bonus_len = 20 << 10),
    ("indirect block shift 25", |it| it.indirect_block_shift = 25),
    ("levels 13", |it| it.levels = 13),
    ("block pointers 4", |it| it.block_pointers = 4),
];

const WRITE: &[Change<Write>] = &[
    ("object 0", |it| it.object = 0),
    ("object 2^48", |it| it.object = 1 << 48),
    ("object unknown", |it| it.object = 12_345),
    ("type 54", |it| it.object_type = 54),
    ("type 0x8a", |it| it.object_type = 0x8a),
    ("offset 2^64-1", |it| it.offset = u64::MAX),
    ("logical size 0", |it| it.logical_size = 0),
    ("logical size 16 MiB + 512", |it| {
        it.logical_size = (16 << 20) + 512;
    }),
    ("compression 17", |it| {
        (it.compression, it.compressed_size) = (17, 512);
    }),
    ("compressed size 0", |it| {
        (it.compression, it.compressed_size) = (15, 0);
    }),
    ("compressed size beyond", |it| {
        (it.compression, it.compressed_size) = (15, it.logical_size + 512);
    }),
    ("mac", |it| it.mac = [1; 16]),
    ("checksum type 99", |it| it.checksum_type = 99),
];

const FREE: &[Change<Free>] = &[
    ("object 0", |it| it.object = 0),
    ("object 2^48", |it| it.object = 1 << 48),
    ("object unknown", |it| it.object = 12_345),
    ("offset + length 2^64", |it| {
        (it.offset, it.length) = (1 << 63, 1 << 63);
    }),
    ("length 0", |it| it.length = 0),
];

const FREE_OBJECTS: &[Change<FreeObjects>] = &[
    ("to 2^64", |it| {
        (it.first_object, it.count) = (2, u64::MAX - 1);
    }),
    ("to 2^64-1", |it| {
        (it.first_object, it.count) = (1 << 40, u64::MAX - (1 << 40));
    }),
    ("none", |it| it.count = 0),
];

const SPILL: &[Change<Spill>] = &[
    ("object 0", |it| it.object = 0),
    ("object 2^48", |it| it.object = 1 << 48),
    ("object unknown", |it| it.object = 12_345),
    ("length 256", |it| it.length = 256),
    ("length 16 MiB + 512", |it| it.length = (16 << 20) + 512),
    ("compressed size", |it| it.compressed_size = 512),
    ("compressed size 0", |it| it.compressed_size = 0),
    ("type 54", |it| it.object_type = 54),
    ("compression 17", |it| it.compression = 17),
];

const EMBEDDED: &[Change<WriteEmbedded>] = &[
    ("object 0", |it| it.object = 0),
    ("object 2^48", |it| it.object = 1 << 48),
    ("object unknown", |it| it.object = 12_345),
    ("offset 2^64-1", |it| it.offset = u64::MAX),
    ("physical size 113", |it| it.physical_size = 113),
    ("embedded type 3", |it| it.embedded_type = 3),
    ("compression 17", |it| it.compression = 17),
];

const RANGE: &[Change<ObjectRange>] = &[
    ("slots 31", |it| it.slots = 31),
    ("slots 0", |it| it.slots = 0),
    ("slots 64", |it| it.slots = 64),
    ("first 1", |it| it.first_object += 1),
    ("first 32 more", |it| it.first_object += 32),
];

const REDACT: &[Change<Redact>] = &[
    ("object 0", |it| it.object = 0),
    ("object 2^48", |it| it.object = 1 << 48),
    ("offset + length 2^64", |it| {
        (it.offset, it.length) = (1 << 63, 1 << 63);
    }),
];

/// All that is made of a record.
fn changed(record: &Record) -> Vec<(&'static str, Record)> {
    fn each<T: Clone>(
        one: &T,
        changes: &[Change<T>],
        record: fn(T) -> Record,
    ) -> Vec<(&'static str, Record)> {
        let changes = changes.iter().map(|(name, change)| {
            let mut one = one.clone();
            change(&mut one);
            (*name, record(one))
        });
        changes.collect()
    }
    match record {
        Record::Object(one) => each(one, OBJECT, Record::Object),
        Record::Write(one) => each(one, WRITE, Record::Write),
        Record::Free(one) => each(one, FREE, Record::Free),
        Record::FreeObjects(one) => each(one, FREE_OBJECTS, Record::FreeObjects),
        Record::Spill(one) => each(one, SPILL, Record::Spill),
        Record::WriteEmbedded(one) => each(one, EMBEDDED, Record::WriteEmbedded),
        Record::ObjectRange(one) => each(one, RANGE, Record::ObjectRange),
        Record::Redact(one) => each(one, REDACT, Record::Redact),
        _ => Vec::new(),
    }
}

/// The stream with one record in the place of another, every checksum right.
fn with(records: &[RawRecord<'_>], place: usize, record: &Record) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), ByteOrder::Little);
    for (at, raw) in records.iter().enumerate() {
        if at == place {
            let mut payload = raw.payload.to_vec();
            payload.resize(record.payload_len() as usize, 0);
            writer.write(record, &payload).unwrap();
        } else {
            writer.rewrite(raw).unwrap();
        }
    }
    writer.into_inner()
}

/// Of each type of record the last: what is wrong with it is not hidden by what
/// comes after it, and files come last.
fn last_of_each(records: &[RawRecord<'_>]) -> Vec<usize> {
    let mut last = std::collections::BTreeMap::new();
    for (at, raw) in records.iter().enumerate() {
        last.insert(raw.header.record_type() as u32, at);
    }
    last.into_values().collect()
}

/// Whether they do not agree on it for a reason.
fn expected(record: &Record, what: &str, raw: bool, taken: bool) -> bool {
    match (record.record_type(), what) {
        // What comes after it is about objects of which the stream had told
        // before: of those only the last 32 are remembered.
        (RecordType::Object, "object 2^48-1") => !raw && !taken,
        // BLAKE3, which came with 2.2.
        (RecordType::Object, "checksum 14") => !taken && version() < (2, 2),
        // The kernel takes the shorter payload for the whole block, and fills it
        // with what was in its memory.
        (RecordType::Spill, "compressed size") => !raw && taken,
        _ => false,
    }
}

/// Gives each changed stream to both; the ones they do not agree on.
fn compare(pool: &Pool, kind: &str, stream: &[u8], options: &[&str]) -> (usize, Vec<String>) {
    let records: Vec<_> = SliceReader::new(stream).map(Result::unwrap).collect();
    let mut tried = 0;
    let mut differ = Vec::new();
    for place in last_of_each(&records) {
        let record = records[place].parse();
        for (what, changed) in changed(&record) {
            if changed == record || kills(&changed) {
                continue;
            }
            // Told at once, past the test's own capture: where the machine
            // panics, it is the last that is told.
            let _ = writeln!(stderr(), "{kind}, {}, {what}", record.record_type());
            let stream = with(&records, place, &changed);
            let report = verify::verify(&stream[..]).unwrap();
            let target = pool.dataset("target");
            let command = [&["zfs", "receive", "-u"], options, &[target.as_str()]].concat();
            let received = feed(&command, &stream);
            let taken = received.status.success();
            if feed(&["zfs", "list", &target], &[]).status.success() {
                run(&["zfs", "destroy", "-r", &target]);
            }
            tried += 1;
            if taken != report.is_intact() && !expected(&record, what, kind == "raw", taken) {
                let findings: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
                differ.push(format!(
                    "{kind}, {}, {what}: zfs receive {}: {}; verify: {findings:?}",
                    record.record_type(),
                    if taken { "took it" } else { "refused it" },
                    String::from_utf8_lossy(&received.stderr).trim(),
                ));
            }
        }
    }
    (tried, differ)
}

/// A filesystem with every kind of block there is.
fn source(pool: &Pool, options: &[&str]) -> String {
    let dataset = pool.dataset("source");
    let properties = ["-o", "xattr=sa", "-o", "compression=lz4"];
    run(&[&["zfs", "create"], &properties[..], options, &[&dataset]].concat());
    let files = pool.mount("source");
    write(&files.join("text"), &text(300_000));
    let file = files.join("attributes");
    write(&file, b"file");
    let value = "v".repeat(2_000);
    run(&[
        "setfattr",
        "-n",
        "user.long",
        "-v",
        &value,
        file.to_str().unwrap(),
    ]);
    write(&files.join("small"), &[7; 3_000]);
    fs::File::create(files.join("sparse"))
        .unwrap()
        .set_len(9 << 20)
        .unwrap();
    let snapshot = format!("{dataset}@1");
    run(&["zfs", "snapshot", &snapshot]);
    snapshot
}

#[test]
fn the_verifier_refuses_the_records_that_zfs_receive_refuses() {
    let pool = Pool::new();
    let snapshot = source(&pool, &[]);
    let plain = send(&[&snapshot]);
    let packed = send(&["-Lec", &snapshot]);
    let (mut tried, mut differ) = (0, Vec::new());
    for (kind, stream) in [("plain", plain), ("packed", packed)] {
        let (count, more) = compare(&pool, kind, &stream, &[]);
        tried += count;
        differ.extend(more);
    }
    println!("{tried} streams\n{}", differ.join("\n"));
    assert!(tried > 100, "{tried}");
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn the_verifier_refuses_the_raw_records_that_zfs_receive_refuses() {
    let pool = Pool::new();
    let key = pool.folder.path().join("key");
    write(&key, &[b'k'; 32]);
    let location = format!("keylocation=file://{}", key.display());
    let options = [
        "-o",
        "encryption=on",
        "-o",
        "keyformat=raw",
        "-o",
        &location,
    ];
    let snapshot = source(&pool, &options);
    let (tried, differ) = compare(&pool, "raw", &send(&["-w", &snapshot]), &[]);
    println!("{tried} streams\n{}", differ.join("\n"));
    assert!(tried > 50, "{tried}");
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn the_verifier_refuses_the_redacted_records_that_zfs_receive_refuses() {
    let pool = Pool::new();
    let snapshot = source(&pool, &[]);
    let clone = pool.dataset("clone");
    let changed = format!("{clone}@changed");
    run(&["zfs", "clone", &snapshot, &clone]);
    write(&pool.mount("clone").join("text"), &text(9_000)[7..]);
    run(&["zfs", "snapshot", &changed]);
    run(&["zfs", "redact", &snapshot, "book", &changed]);
    let redacted = send(&["--redact", "book", &snapshot]);
    let (tried, differ) = compare(&pool, "redacted", &redacted, &[]);
    println!("{tried} streams, {:?}\n{}", version(), differ.join("\n"));
    assert!(tried > 50, "{tried}");
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}
