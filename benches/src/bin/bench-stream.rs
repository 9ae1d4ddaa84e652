//! What of zfs-stream is measured on the host, run there by `cargo xtask bench
//! stream`: it makes the stream that all read, and times what has no program.

use std::{
    fs::File,
    hint::black_box,
    io::{BufRead, BufWriter, Read as _, Write as _},
    os::unix::fs::FileExt as _,
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use zfs_stream::{
    fletcher,
    nvlist::{ByteOrder, Encoding, NvList},
    record::{Begin, BeginFlags, End, Features, Object, Record, Write, Writer},
    stage::{Buffer, DigestReader, ProgressReader},
    verify::VerifyingReader,
};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["make", file, mib] => make(file, mib),
        ["fletcher"] => {
            fletcher();
            Ok(())
        }
        ["stages", file] => stages(file),
        ["tree", file, count] => tree(file, count),
        ["read", file] => read(file),
        ["check"] => check(),
        _ => {
            eprintln!(
                "usage: bench-stream make FILE MIB | tree FILE COUNT | fletcher | stages FILE | read FILE | check"
            );
            return ExitCode::from(64);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-stream: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A block of 128 KiB, the default of `recordsize`.
const BLOCK: usize = 128 << 10;

/// Blocks of one file, uncompressed: half words, half noise, so that
/// compression has something to do and something to leave alone.
fn make(file: &str, mib: &str) -> Result<()> {
    let blocks = mib.parse::<u64>()? * 8;
    let sink = BufWriter::new(File::create(file)?);
    let mut writer = Writer::new(sink, ByteOrder::NATIVE);
    let to_guid = 0x0123_4567_89ab_cdef;
    let begin = Begin {
        version_info: Begin::make_version_info(false, Features::SA_SPILL),
        creation_time: 1_700_000_000,
        objset_type: 2,
        flags: BeginFlags::FREERECORDS.with(BeginFlags::SPILL_BLOCK),
        to_guid,
        from_guid: 0,
        to_name: b"bench/data@1".to_vec(),
    };
    writer.write(&Record::Begin(begin), &[])?;
    let object = Object {
        object: 2,
        object_type: 19,
        bonus_type: 44,
        block_size: BLOCK as u32,
        bonus_len: 168,
        checksum_type: 7,
        compress: 15,
        dn_slots: 1,
        to_guid,
        ..Object::default()
    };
    writer.write(&Record::Object(object), &[1; 168])?;
    let mut random = Random(1);
    let mut payload = vec![0; BLOCK];
    for block in 0..blocks {
        random.fill(&mut payload);
        let write = Write {
            object: 2,
            object_type: 19,
            offset: block * BLOCK as u64,
            logical_size: BLOCK as u64,
            to_guid,
            checksum_type: 7,
            ..Write::default()
        };
        writer.write(&Record::Write(write), &payload)?;
    }
    let end = End {
        to_guid,
        ..End::default()
    };
    writer.write(&Record::End(end), &[])?;
    Ok(writer.into_inner().flush()?)
}

/// A compound stream of so many small substreams, as `zfs send -R` of a tree.
fn tree(file: &str, count: &str) -> Result<()> {
    let count = count.parse::<u64>()?;
    let mut writer = Writer::new(BufWriter::new(File::create(file)?), ByteOrder::NATIVE);
    let mut filesystems = NvList::new();
    for number in 1..=count {
        let mut snapshots = NvList::new();
        snapshots.insert("1", number)?;
        let mut filesystem = NvList::new();
        filesystem.insert_str("name", format!("bench/child{number}"))?;
        filesystem.insert("parentfromsnap", 0_u64)?;
        filesystem.insert("snaps", snapshots)?;
        filesystems.insert(format!("{number:#x}"), filesystem)?;
    }
    let mut list = NvList::new();
    list.insert_str("tosnap", "1")?;
    list.insert("fss", filesystems)?;
    let begin = |compound, to_guid, name: String| Begin {
        version_info: Begin::make_version_info(compound, Features::SA_SPILL),
        objset_type: if compound { 0 } else { 2 },
        flags: BeginFlags::FREERECORDS,
        to_guid,
        to_name: name.into_bytes(),
        ..Begin::default()
    };
    let list = list.encode(Encoding::Xdr, ByteOrder::Big)?;
    let whole = begin(true, 0, "bench@1".to_owned());
    writer.write(&Record::Begin(whole), &list)?;
    writer.end_compound_header()?;
    for to_guid in 1..=count {
        let one = begin(false, to_guid, format!("bench/child{to_guid}@1"));
        writer.write(&Record::Begin(one), &[])?;
        let end = End {
            to_guid,
            ..End::default()
        };
        writer.write(&Record::End(end), &[])?;
    }
    writer.end_compound()?;
    Ok(writer.into_inner().flush()?)
}

/// Reads a file on all cores and touches every byte: what checking it takes at
/// least, where it is read and not mapped.
fn read(file: &str) -> Result<()> {
    const PIECE: usize = 256 << 10;
    let file = File::open(file)?;
    let next = AtomicU64::new(0);
    let work = || -> std::io::Result<u64> {
        let mut buffer = vec![0; PIECE];
        let mut sum = 0;
        loop {
            let at = next.fetch_add(PIECE as u64, Ordering::Relaxed);
            let length = file.read_at(&mut buffer, at)?;
            if length == 0 {
                return Ok(sum);
            }
            sum ^= read_only(&buffer[..length]);
        }
    };
    let threads = std::thread::available_parallelism()?.get();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            black_box(thread.join().map_err(|_| "a thread panicked")??);
        }
        Ok(())
    })
}

/// Hands on what comes in once it is verified.
fn check() -> Result<()> {
    let mut verified = VerifyingReader::new(std::io::stdin().lock());
    let mut out = File::options().write(true).open("/dev/stdout")?;
    let mut buffer = vec![0; BLOCK];
    loop {
        let length = verified.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        out.write_all(&buffer[..length])?;
    }
}

/// An xorshift generator: the same stream each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn fill(&mut self, block: &mut [u8]) {
        const WORDS: [&[u8; 8]; 8] = [
            b"snapshot",
            b"dataset ",
            b"bookmark",
            b"property",
            b"receive ",
            b"checksum",
            b"replica ",
            b"resumed\n",
        ];
        for (number, place) in block.chunks_exact_mut(8).enumerate() {
            let value = self.next();
            if number % 64 < 32 {
                place.copy_from_slice(WORDS[(value % 8) as usize]);
            } else {
                place.copy_from_slice(&value.to_ne_bytes());
            }
        }
    }
}

/// Bytes per second of the best of several passes.
fn best(length: usize, passes: u32, mut pass: impl FnMut()) -> f64 {
    let mut shortest = Duration::MAX;
    for _ in 0..passes {
        let start = Instant::now();
        pass();
        shortest = shortest.min(start.elapsed());
    }
    length as f64 / shortest.as_secs_f64()
}

/// Fletcher-4 beside a loop that only reads, over a block that stays in the
/// cache and over memory that does not fit it; a line of JSON for each.
fn fletcher() {
    let memory: Vec<u8> = (0..256_u32 << 20).map(|at| (at >> 9) as u8).collect();
    for length in [BLOCK, memory.len()] {
        let bytes = &memory[..length];
        // As often as takes a while, in passes of at least 8 MiB.
        let repeat = ((8 << 20) / length).max(1);
        let passes = if repeat > 1 { 100 } else { 20 };
        let read_only = best(length * repeat, passes, || {
            for _ in 0..repeat {
                black_box(read_only(black_box(bytes)));
            }
        });
        let ours = best(length * repeat, passes, || {
            for _ in 0..repeat {
                black_box(fletcher::checksum(black_box(bytes), ByteOrder::NATIVE));
            }
        });
        let name = fletcher::Implementation::fastest().name();
        println!(
            "{{\"length\":{length},\"implementation\":\"{name}\",\"ours\":{ours},\"read_only\":{read_only}}}"
        );
    }
}

/// Touches every byte and computes next to nothing: the memory's own speed.
fn read_only(bytes: &[u8]) -> u64 {
    let mut sums = [0_u64; 16];
    for chunk in bytes.chunks_exact(128) {
        for (sum, word) in sums.iter_mut().zip(chunk.chunks_exact(8)) {
            *sum ^= word
                .first_chunk()
                .map_or(0, |&word| u64::from_ne_bytes(word));
        }
    }
    sums.into_iter().fold(0, |all, sum| all ^ sum)
}

/// Reads a file through buffer, progress and digests, and prints them.
fn stages(file: &str) -> Result<()> {
    let buffer = Buffer::new(File::open(file)?, 16 << 20)?;
    let counted = ProgressReader::new(buffer, None);
    let meter = counted.meter();
    let mut digested = DigestReader::new(counted);
    loop {
        let block = black_box(digested.fill_buf()?);
        let length = block.len();
        if length == 0 {
            break;
        }
        digested.consume(length);
    }
    let digests = digested.finish()?;
    let progress = meter.progress();
    assert_eq!(progress.bytes, digests.bytes);
    println!("{} {}", digests.blake3.to_hex(), digests.bytes);
    Ok(())
}
