//! A large buffer between a source that comes in bursts and a sink that stalls
//! (in place of mbuffer).
//!
//! ```text
//! source -> [ thread -> full blocks -> reader ]
//!                ^------ empty blocks ----'
//! ```

use std::io::{self, BufRead, ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// The size of a block, in bytes. Blocks are allocated once and go round.
pub const BLOCK: usize = 1 << 20;

/// What the thread hands over.
enum Piece {
    /// A block, filled so far.
    Block(Vec<u8>, usize),
    /// The source's error, after all blocks before it.
    Error(io::Error),
    /// The source's end. Without it, a thread that has gone would look as if
    /// the source had ended.
    End,
}

/// What the last piece was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Ended,
    Failed,
}

/// A source that is read ahead by a thread of its own.
///
/// Dropped before its end, it stops reading at the source's next answer, and
/// drops the source: that is how a pipeline is cancelled from the sink's side.
#[derive(Debug)]
pub struct Buffer {
    full: Receiver<Piece>,
    empty: SyncSender<Vec<u8>>,
    /// How many blocks are full and not taken yet.
    waiting: Arc<AtomicUsize>,
    block: Vec<u8>,
    filled: usize,
    at: usize,
    state: State,
}

impl Buffer {
    /// Reads `source` ahead by up to `capacity` bytes, in whole blocks of
    /// [`BLOCK`] and at least two of them. The memory is taken as it is first
    /// needed.
    ///
    /// # Errors
    ///
    /// If no thread can be started.
    pub fn new(source: impl Read + Send + 'static, capacity: usize) -> io::Result<Self> {
        let blocks = (capacity / BLOCK).max(2);
        let (full_in, full) = sync_channel(blocks);
        let (empty, empty_out) = sync_channel(blocks);
        for _ in 0..blocks {
            // There is room for as many, and the other end is held above.
            let _ = empty.try_send(Vec::new());
        }
        let waiting = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&waiting);
        thread::Builder::new()
            .name("stream buffer".to_owned())
            .spawn(move || read_ahead(source, &full_in, &empty_out, &counted))?;
        Ok(Self {
            full,
            empty,
            waiting,
            block: Vec::new(),
            filled: 0,
            at: 0,
            state: State::Open,
        })
    }
}

/// Fills blocks until the source ends or fails, or nobody wants them.
fn read_ahead(
    mut source: impl Read,
    full: &SyncSender<Piece>,
    empty: &Receiver<Vec<u8>>,
    waiting: &AtomicUsize,
) {
    while let Ok(mut block) = empty.recv() {
        if block.is_empty() {
            block = vec![0; BLOCK];
        }
        let mut filled = 0;
        let end = loop {
            match source.read(block.get_mut(filled..).unwrap_or_default()) {
                Ok(0) => break Some(None),
                Ok(length) => filled += length,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => break Some(Some(error)),
            }
            // A reader that has nothing gets what there is. Otherwise blocks
            // are filled: pipes give little at a time, and half-empty blocks
            // would be half the buffer.
            if filled == block.len() || waiting.load(Ordering::Acquire) == 0 {
                break None;
            }
        };
        if filled > 0 {
            waiting.fetch_add(1, Ordering::Release);
            if full.send(Piece::Block(block, filled)).is_err() {
                return;
            }
        }
        let last = match end {
            None => continue,
            Some(None) => Piece::End,
            Some(Some(error)) => Piece::Error(error),
        };
        // If nobody is left to tell, nobody waits for it.
        let _ = full.send(last);
        return;
    }
}

impl Buffer {
    /// Waits for the next block; false at the source's end.
    fn next_block(&mut self) -> io::Result<bool> {
        match self.state {
            State::Open => {}
            State::Ended => return Ok(false),
            State::Failed => return Err(io::Error::other("the source failed before")),
        }
        match self.full.recv() {
            Ok(Piece::Block(block, filled)) => {
                self.waiting.fetch_sub(1, Ordering::AcqRel);
                let done = std::mem::replace(&mut self.block, block);
                if !done.is_empty() {
                    // The thread may have ended; then nobody needs it.
                    let _ = self.empty.send(done);
                }
                (self.at, self.filled) = (0, filled);
                Ok(true)
            }
            Ok(Piece::End) => {
                self.state = State::Ended;
                Ok(false)
            }
            Ok(Piece::Error(error)) => {
                self.state = State::Failed;
                Err(error)
            }
            Err(_) => {
                self.state = State::Failed;
                Err(io::Error::other(
                    "the thread that reads the source panicked",
                ))
            }
        }
    }
}

impl Read for Buffer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let mut ready = self.fill_buf()?;
        let length = ready.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}

/// What is left of a block, where it lies.
impl BufRead for Buffer {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.filled && !self.next_block()? {
            return Ok(&[]);
        }
        Ok(self.block.get(self.at..self.filled).unwrap_or_default())
    }

    fn consume(&mut self, length: usize) {
        self.at = self.filled.min(self.at.saturating_add(length));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::time::{Duration, Instant};

    use super::*;

    /// Counts what was read from it, and notes when it is dropped.
    struct Source {
        left: usize,
        read: Arc<AtomicUsize>,
        dropped: Arc<AtomicBool>,
        error_at_end: bool,
    }

    impl Source {
        fn new(left: usize) -> Self {
            Self {
                left,
                read: Arc::default(),
                dropped: Arc::default(),
                error_at_end: false,
            }
        }
    }

    impl Read for Source {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.left == 0 && self.error_at_end {
                return Err(io::Error::other("the source broke"));
            }
            let length = buffer.len().min(self.left).min(300_000);
            for (at, byte) in buffer[..length].iter_mut().enumerate() {
                *byte = ((self.left - at) % 251) as u8;
            }
            self.left -= length;
            self.read.fetch_add(length, Ordering::SeqCst);
            Ok(length)
        }
    }

    impl Drop for Source {
        fn drop(&mut self) {
            self.dropped.store(true, Ordering::SeqCst);
        }
    }

    fn wait_for(what: impl Fn() -> bool) {
        let start = Instant::now();
        while !what() {
            assert!(start.elapsed() < Duration::from_secs(20), "waited in vain");
            thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn bytes_come_out_in_order() {
        let length = 5 * BLOCK + 123;
        let mut expected = Vec::new();
        Source::new(length).read_to_end(&mut expected).unwrap();
        for capacity in [0, 2 * BLOCK, 64 * BLOCK] {
            let mut buffer = Buffer::new(Source::new(length), capacity).unwrap();
            let mut out = Vec::new();
            buffer.read_to_end(&mut out).unwrap();
            assert!(out == expected);
            assert_eq!(buffer.read(&mut [0]).unwrap(), 0);
            // And where they lie, a part of a block at a time.
            let mut buffer = Buffer::new(Source::new(length), capacity).unwrap();
            let mut out = Vec::new();
            loop {
                let block = buffer.fill_buf().unwrap();
                let taken = block.len().div_ceil(2);
                out.extend_from_slice(&block[..taken]);
                if taken == 0 {
                    break;
                }
                buffer.consume(taken);
            }
            assert!(out == expected);
        }
    }

    #[test]
    fn the_source_is_read_ahead_up_to_the_capacity_and_no_further() {
        let source = Source::new(1 << 30);
        let read = Arc::clone(&source.read);
        let mut buffer = Buffer::new(source, 4 * BLOCK).unwrap();
        // The first block goes as it is, because the reader has nothing; the
        // others are filled although the source gives little at a time.
        let ahead = 300_000 + 3 * BLOCK;
        wait_for(|| read.load(Ordering::SeqCst) == ahead);
        thread::sleep(Duration::from_millis(50));
        assert_eq!(read.load(Ordering::SeqCst), ahead);
        // Taking one block off lets one more in.
        let mut block = vec![0; 300_001];
        buffer.read_exact(&mut block).unwrap();
        wait_for(|| read.load(Ordering::SeqCst) == ahead + BLOCK);
    }

    #[test]
    fn the_sources_error_comes_after_its_bytes() {
        let mut source = Source::new(2 * BLOCK);
        source.error_at_end = true;
        let mut buffer = Buffer::new(source, 8 * BLOCK).unwrap();
        let mut out = Vec::new();
        let error = buffer.read_to_end(&mut out).unwrap_err();
        assert_eq!(error.to_string(), "the source broke");
        assert_eq!(out.len(), 2 * BLOCK);
        // Who asks again is not told that it was the end.
        assert!(buffer.read(&mut [0]).is_err());
    }

    #[test]
    fn a_source_that_panics_is_an_error_and_no_end() {
        struct Panics(usize);
        impl Read for Panics {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0 = self.0.checked_sub(1).expect("this panic is the test's");
                Ok(buffer.len())
            }
        }
        let mut buffer = Buffer::new(Panics(3), 8 * BLOCK).unwrap();
        let mut out = Vec::new();
        buffer.read_to_end(&mut out).unwrap_err();
        assert_eq!(out.len(), 3 * BLOCK);
        for _ in 0..2 {
            assert!(buffer.read(&mut [0]).is_err());
        }
    }

    #[test]
    fn dropping_the_reader_ends_the_thread_and_drops_the_source() {
        let source = Source::new(1 << 40);
        let dropped = Arc::clone(&source.dropped);
        let mut buffer = Buffer::new(source, 2 * BLOCK).unwrap();
        buffer.read_exact(&mut [0; 10]).unwrap();
        drop(buffer);
        wait_for(|| dropped.load(Ordering::SeqCst));
    }
}
