//! Blocks compressed otherwise, on all cores.
//!
//! ```text
//! records -> batches -> [ worker, worker, … ] -> batches in their order -> writer
//!               ^----------- empty batches -----------'
//! ```

use std::collections::VecDeque;
use std::io::{Read, Write as Sink};
use std::num::NonZero;
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, Scope, ScopedJoinHandle};

use super::filter::{Change, impossible, run};
use super::sizes::BlockSizes;
use super::{Changes, Problem};
use crate::compress::{self, Compression, Compressor, Decompressor};
use crate::nvlist::ByteOrder;
use crate::record::{
    Begin, Features, HEADER_LEN, Header, MAX_BLOCK, RawRecord, Record, Write, Writer, holds_bytes,
};
use crate::{Error, Result};

/// A batch takes records up to so many bytes, so that handing it over costs
/// nothing beside the work. Blocks count as long as they are decompressed: that
/// is what may come out.
const BATCH: usize = 256 << 10;

/// So many bytes, counted likewise, are with the workers at most, unless one
/// block is longer.
const IN_FLIGHT: usize = 3 << 20;

/// Their stacks count as memory, and the algorithms take theirs elsewhere.
const STACK: usize = 512 << 10;

/// More workers than this would wait for the one that reads and writes.
const WORKERS: usize = 16;

/// So much memory the workers take at most, unless one alone takes more.
const BUDGET: usize = 16 << 20;

/// What a worker takes besides what its algorithm tells of: its stack, the
/// blocks that wait for it, and what the allocator loses.
const BESIDES: usize = 1 << 20;

/// Compresses every block of data otherwise: what was compressed is decompressed
/// first, and what does not get smaller goes as it is. Embedded and spill blocks
/// stay as they are, as with `zstream recompress`. The features are set to what
/// the new stream needs.
///
/// Metadata (directories, tables of attributes) is never compressed, as no
/// sender does it: a receiver of the other byte order swaps its numbers, but not
/// in compressed blocks, and would keep a directory that nobody can read. `zstream
/// recompress` does compress it; here it is decompressed again.
///
/// Nor is what is not as long as its object's blocks: without `-L` a sender cuts
/// a block of 300 KiB into pieces of 128, 128 and 44 KiB, and receivers up to
/// OpenZFS 2.0 would write a compressed last one as if it was a whole block.
///
/// It takes as many threads as there are cores, and as few as keep its memory
/// below 32 MiB with blocks of up to 1 MiB, whatever the algorithm: zstd-19 takes
/// 18 MiB in one thread for those. Longer blocks take what they must: those of
/// 16 MiB up to 112 MiB, and with the highest levels of zstd up to 208 MiB. The
/// nvlist of a BEGIN, which may have 64 MiB, is in memory up to four times as it
/// is, and while it is checked as what is read out of it: up to ten times its
/// length where it is of very short pairs.
///
/// # Errors
///
/// [`Error::Stream`] and [`Error::Damaged`] for what is no whole stream,
/// [`Error::Change`] with [`Problem::Encrypted`], [`Problem::Deduplicated`] or
/// [`Problem::Block`], [`Error::Io`] from source and sink. Then the END is not
/// written, so that nobody receives the part for the whole.
pub fn recompress(source: impl Read, sink: impl Sink, to: Compression) -> Result<Changes> {
    let threads = thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    recompress_on(source, sink, to, threads)
}

/// Does so with that many threads at most; more than 16 are of no use.
///
/// # Errors
///
/// As [`recompress`].
pub fn recompress_on(
    source: impl Read,
    sink: impl Sink,
    to: Compression,
    threads: NonZero<usize>,
) -> Result<Changes> {
    thread::scope(|scope| {
        let mut pool = Pool::new(scope, to, threads.get().min(WORKERS));
        run(source, sink, &mut pool)
    })
}

/// Decompresses every block: [`recompress`] to [`Compression::Off`]. With an
/// unchanged sender this gives what `zfs send` gives without `-c`, but for its
/// embedded blocks.
///
/// # Errors
///
/// As [`recompress`].
pub fn decompress(source: impl Read, sink: impl Sink) -> Result<Changes> {
    recompress(source, sink, Compression::Off)
}

/// The BEGIN of a stream whose blocks are compressed that way.
fn begin(begin: Begin, to: Compression) -> std::result::Result<Begin, Problem> {
    let features = begin.features();
    if features.contains(Features::RAW) {
        return Err(Problem::Encrypted);
    }
    if features.contains(Features::DEDUP) {
        return Err(Problem::Deduplicated);
    }
    if begin.is_compound() {
        return Ok(begin);
    }
    let mut new = features.without(Features::COMPRESSED);
    // Embedded blocks stay as they are, and what they need stays with them.
    if !features.contains(Features::EMBED_DATA) {
        new = new.without(Features::LZ4.with(Features::ZSTD));
    }
    let needs = match to {
        Compression::Off => Features::default(),
        Compression::Lz4 => Features::COMPRESSED.with(Features::LZ4),
        Compression::Zstd(_) => Features::COMPRESSED.with(Features::ZSTD),
    };
    let version_info = begin.version_info & !(features.bits() << 2);
    Ok(Begin {
        version_info: version_info | new.with(needs).bits() << 2,
        ..begin
    })
}

/// Compresses blocks otherwise.
struct Codec {
    decompressor: Decompressor,
    compressor: Compressor,
    block: Vec<u8>,
}

impl Codec {
    fn new(to: Compression) -> std::result::Result<Self, compress::Problem> {
        Ok(Self {
            decompressor: Decompressor::new(),
            compressor: Compressor::new(to)?,
            block: Vec::new(),
        })
    }

    /// How much memory it takes by now, in bytes.
    fn memory(&mut self) -> usize {
        self.block.capacity() + self.compressor.memory()
    }

    /// Appends the new payload; `None` if the block stays as it is.
    fn block(
        &mut self,
        mut write: Write,
        is_whole: bool,
        payload: &[u8],
        output: &mut Vec<u8>,
    ) -> std::result::Result<Option<Write>, Problem> {
        let was = write.compression;
        let compresses = is_whole && holds_bytes(write.object_type);
        if was == 0 && !compresses {
            return Ok(None);
        }
        let plain = if was == 0 {
            payload
        } else {
            // The verifier has refused what claims to be longer.
            self.block
                .resize(write.logical_size.min(MAX_BLOCK) as usize, 0);
            self.decompressor
                .decompress(was, payload, &mut self.block)
                .map_err(|problem| Problem::Block {
                    object: write.object,
                    offset: write.offset,
                    compression: was,
                    problem,
                })?;
            &self.block
        };
        let smaller = if compresses {
            let compressed = self.compressor.compress(plain);
            compressed.map_err(Problem::Compression)?
        } else {
            None
        };
        match smaller {
            Some(smaller) => {
                output.extend_from_slice(smaller);
                write.compressed_size = smaller.len() as u64;
                write.compression = self.compressor.compression().number();
            }
            None if was == 0 => return Ok(None),
            None => {
                output.extend_from_slice(plain);
                (write.compression, write.compressed_size) = (0, 0);
            }
        }
        Ok(Some(write))
    }
}

/// A record on its way through a worker.
struct Part {
    offset: u64,
    number: u64,
    header: [u8; HEADER_LEN],
    order: ByteOrder,
    payload: Range<usize>,
    /// It is a WRITE of a whole block of its object.
    is_whole: bool,
    /// The record in its place, with the payload in the batch's output.
    changed: Option<(Record, Range<usize>)>,
}

/// Records that go to a worker at once, and their payloads.
#[derive(Default)]
struct Batch {
    parts: Vec<Part>,
    input: Vec<u8>,
    output: Vec<u8>,
    /// How long its payloads are, and its blocks once they are decompressed.
    bytes: usize,
    /// The length of the longest block, in bytes.
    longest: usize,
}

/// What is known of a record before it is changed.
#[derive(Default)]
struct Known {
    /// The record in its place, where it is no block.
    changed: Option<Record>,
    /// The length of its block, in bytes.
    length: usize,
    /// It is a WRITE of a whole block of its object.
    is_whole: bool,
}

impl Batch {
    fn push(&mut self, record: &RawRecord<'_>, known: Known) {
        self.bytes += record.payload.len().max(known.length);
        self.longest = self.longest.max(known.length);
        let start = self.input.len();
        self.input.extend_from_slice(record.payload);
        let payload = start..self.input.len();
        self.parts.push(Part {
            offset: record.offset,
            number: record.number,
            header: *record.header.bytes(),
            order: record.header.order(),
            payload,
            is_whole: known.is_whole,
            changed: known.changed.map(|record| (record, 0..0)),
        });
    }

    /// Gives back what was taken for longer blocks than are to come.
    fn fit(&mut self, bytes: usize) {
        for buffer in [&mut self.input, &mut self.output] {
            if buffer.capacity() > 2 * bytes {
                buffer.shrink_to(bytes);
            }
        }
    }

    fn clear(&mut self) {
        self.parts.clear();
        self.input.clear();
        self.output.clear();
        (self.bytes, self.longest) = (0, 0);
    }

    /// What the worker does.
    fn work(&mut self, codec: &mut Codec) -> Result<()> {
        for part in &mut self.parts {
            let Some(header) = Header::new(&part.header, part.order) else {
                continue;
            };
            let Record::Write(write) = header.parse() else {
                continue;
            };
            let payload = self.input.get(part.payload.clone()).unwrap_or_default();
            let start = self.output.len();
            let changed = codec
                .block(write, part.is_whole, payload, &mut self.output)
                .map_err(|problem| Error::Change {
                    offset: part.offset,
                    record: part.number,
                    problem: Box::new(problem),
                })?;
            let range = start..self.output.len();
            part.changed = changed.map(|write| (Record::Write(write), range));
        }
        Ok(())
    }

    /// Writes what came of it; tells how many blocks changed.
    fn write<W: Sink>(&self, writer: &mut Writer<W>) -> Result<u64> {
        let mut blocks = 0;
        for part in &self.parts {
            let Some(header) = Header::new(&part.header, part.order) else {
                continue;
            };
            let payload = self.input.get(part.payload.clone()).unwrap_or_default();
            match &part.changed {
                Some((record, range)) => {
                    let is_block = matches!(record, Record::Write(_));
                    blocks += u64::from(is_block);
                    let new = self.output.get(range.clone()).unwrap_or_default();
                    let payload = if is_block { new } else { payload };
                    writer.set_order(part.order);
                    writer.write(record, payload)?;
                }
                None => writer.rewrite(&RawRecord {
                    offset: part.offset,
                    number: part.number,
                    header,
                    payload,
                })?,
            }
        }
        Ok(blocks)
    }
}

/// The two ends of a worker's queue.
struct Worker<'scope> {
    tasks: SyncSender<Batch>,
    results: Receiver<(Batch, Result<usize>)>,
    thread: ScopedJoinHandle<'scope, ()>,
}

/// Without memory for it nothing can be done.
fn codec(to: Compression) -> Result<Codec> {
    Codec::new(to).map_err(failed)
}

fn failed(problem: compress::Problem) -> Error {
    Error::Change {
        offset: 0,
        record: 0,
        problem: Box::new(Problem::Compression(problem)),
    }
}

impl<'scope> Worker<'scope> {
    fn start(scope: &'scope Scope<'scope, '_>, to: Compression) -> Result<Self> {
        let (tasks, task_list) = sync_channel::<Batch>(WORKERS);
        let (result_list, results) = sync_channel(WORKERS);
        let mut codec = codec(to)?;
        let thread = thread::Builder::new()
            .name("recompress".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, move || {
                for mut batch in task_list {
                    let result = batch.work(&mut codec).map(|()| codec.memory());
                    // Nobody waits for it where something failed before.
                    if result_list.send((batch, result)).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self {
            tasks,
            results,
            thread,
        })
    }

    /// Waits until it has given its memory back. It must have nothing to do.
    fn end(self) -> Result<()> {
        drop(self.tasks);
        self.thread.join().map_err(|_| gone())
    }
}

/// Workers that batches go to in turn, so that they come back in order.
struct Pool<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    to: Compression,
    /// How many there may be; they start with the second batch.
    most: usize,
    /// The longest block so far, in bytes.
    longest: usize,
    /// How much memory a worker takes for such, once one has done it.
    each: Option<usize>,
    workers: Vec<Worker<'scope>>,
    /// Which worker is next to be given a batch.
    next: usize,
    /// What is with workers: which, and how many bytes.
    pending: VecDeque<(usize, usize)>,
    in_flight: usize,
    sizes: BlockSizes,
    filling: Batch,
    empty: Vec<Batch>,
}

impl<'scope, 'env> Pool<'scope, 'env> {
    fn new(scope: &'scope Scope<'scope, 'env>, to: Compression, most: usize) -> Self {
        Self {
            scope,
            to,
            most,
            longest: 0,
            each: None,
            workers: Vec::new(),
            next: 0,
            pending: VecDeque::new(),
            in_flight: 0,
            sizes: BlockSizes::default(),
            filling: Batch::default(),
            empty: Vec::new(),
        }
    }

    /// How many workers there may be by what is known of their memory.
    fn affordable(&self) -> usize {
        let each = self.each.map_or(BUDGET, |each| each + BESIDES);
        (BUDGET / each).clamp(1, self.most)
    }

    /// Before longer blocks than all so far: they go to one worker alone, until
    /// it is known what memory they take.
    fn learn<W: Sink>(&mut self, writer: &mut Writer<W>) -> Result<u64> {
        let mut blocks = 0;
        while !self.pending.is_empty() {
            blocks += self.take_back(writer)?;
        }
        for worker in self.workers.drain(1.min(self.workers.len())..) {
            worker.end()?;
        }
        // For one worker there are too many.
        self.empty.clear();
        self.longest = self.filling.longest;
        self.each = None;
        self.next = 0;
        Ok(blocks)
    }

    /// Hands the batch over, after taking back what is in its way.
    fn submit<W: Sink>(&mut self, writer: &mut Writer<W>) -> Result<u64> {
        let mut blocks = 0;
        if self.filling.longest > self.longest {
            blocks += self.learn(writer)?;
        }
        while self.workers.len() < self.affordable() {
            self.workers.push(Worker::start(self.scope, self.to)?);
        }
        let bytes = self.filling.bytes;
        while !self.pending.is_empty()
            && (self.in_flight + bytes > IN_FLIGHT || self.pending.len() >= 2 * self.workers.len())
        {
            blocks += self.take_back(writer)?;
        }
        let batch = std::mem::replace(&mut self.filling, self.empty.pop().unwrap_or_default());
        let worker = self.workers.get(self.next).ok_or_else(gone)?;
        worker.tasks.send(batch).map_err(|_| gone())?;
        self.pending.push_back((self.next, bytes));
        self.in_flight += bytes;
        self.next = (self.next + 1) % self.workers.len();
        Ok(blocks)
    }

    /// Waits for the oldest batch and writes it.
    fn take_back<W: Sink>(&mut self, writer: &mut Writer<W>) -> Result<u64> {
        let Some((worker, bytes)) = self.pending.pop_front() else {
            return Ok(0);
        };
        self.in_flight -= bytes;
        let worker = self.workers.get(worker).ok_or_else(gone)?;
        let (mut batch, result) = worker.results.recv().map_err(|_| gone())?;
        let memory = result?;
        if batch.longest >= self.longest {
            self.each = self.each.max(Some(memory));
        }
        let blocks = batch.write(writer)?;
        batch.clear();
        self.empty.push(batch);
        Ok(blocks)
    }
}

/// A worker that does not answer has panicked, which the scope tells of.
fn gone() -> Error {
    Error::Io(std::io::Error::other("a thread that compresses has ended"))
}

impl<W: Sink> Change<W> for Pool<'_, '_> {
    fn record(&mut self, record: &RawRecord<'_>, writer: &mut Writer<W>) -> Result<u64> {
        let mut known = Known::default();
        match record.parse() {
            Record::Begin(old) => {
                let new = begin(old, self.to).map_err(|problem| impossible(record, problem))?;
                known.changed = Some(Record::Begin(new));
                self.sizes = BlockSizes::default();
            }
            Record::Object(object) => self.sizes.tell(object.object, object.block_size),
            Record::Write(write) => {
                known.length = write.logical_size.min(MAX_BLOCK) as usize;
                known.is_whole = self.sizes.is_whole(write.object, write.logical_size);
            }
            _ => {}
        }
        let bytes = record.payload.len().max(known.length);
        let full =
            self.filling.bytes + bytes > BATCH || self.filling.parts.len() >= BATCH / HEADER_LEN;
        let blocks = if full && !self.filling.parts.is_empty() {
            self.submit(writer)?
        } else {
            0
        };
        if self.filling.parts.is_empty() {
            self.filling.fit(bytes.max(BATCH));
        }
        self.filling.push(record, known);
        Ok(blocks)
    }

    fn finish(&mut self, writer: &mut Writer<W>) -> Result<u64> {
        if self.workers.is_empty() {
            // A short stream is done before threads have started.
            self.filling.work(&mut codec(self.to)?)?;
            return self.filling.write(writer);
        }
        let mut blocks = self.submit(writer)?;
        while !self.pending.is_empty() {
            blocks += self.take_back(writer)?;
        }
        Ok(blocks)
    }
}
