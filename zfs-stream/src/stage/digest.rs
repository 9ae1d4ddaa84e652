//! Digests of what goes by: BLAKE3 and SHA-256 at once.
//!
//! ```text
//! source -> [ BLAKE3 ] -> reader
//!               '-> blocks -> [ thread: SHA-256 ]
//! ```

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use sha2::{Digest, Sha256};

/// The digests of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digests {
    /// How many bytes they are of.
    pub bytes: u64,
    /// BLAKE3, in bytes; [`blake3::Hash`] shows it in hexadecimal.
    pub blake3: blake3::Hash,
    /// SHA-256, in bytes.
    pub sha256: [u8; 32],
}

/// A source whose bytes are digested as they are read. BLAKE3 is done where it
/// is read; SHA-256, which takes longer, in a thread of its own as soon as there
/// is more than a block of it.
///
/// ```
/// use std::io::{self, Read};
/// use zfs_stream::stage::DigestReader;
///
/// let mut reader = DigestReader::new(&b"abc"[..]);
/// io::copy(&mut reader, &mut io::sink())?;
/// let digests = reader.finish()?;
/// assert_eq!(digests.sha256[..4], [0xba, 0x78, 0x16, 0xbf]);
/// # Ok::<(), io::Error>(())
/// ```
#[derive(Debug)]
pub struct DigestReader<R> {
    source: R,
    state: State,
    /// Why not all was digested: then nothing is read any more.
    failed: Option<io::Error>,
}

/// What was digested so far.
#[derive(Debug, Default)]
struct State {
    bytes: u64,
    blake3: blake3::Hasher,
    /// What the thread does not have yet.
    block: Vec<u8>,
    sha256: Option<Thread>,
}

/// So much is handed to the thread at a time: half of what a processor's cache
/// of its own holds.
const BLOCK: usize = 256 << 10;

/// What is digested at a time.
const PART: usize = 64 << 10;

/// How many blocks are under way.
const BLOCKS: usize = 8;

/// What the thread is told.
enum Task {
    Add(Vec<u8>),
    /// Answer with the digest up to here and this, and go on.
    Tell(Vec<u8>, SyncSender<[u8; 32]>),
}

/// The thread that computes SHA-256; it ends when this is dropped.
#[derive(Debug)]
struct Thread {
    tasks: SyncSender<Task>,
    empty: Receiver<Vec<u8>>,
}

impl Thread {
    fn start() -> io::Result<Self> {
        let (tasks, list) = sync_channel(BLOCKS);
        let (back, empty) = sync_channel(BLOCKS + 2);
        thread::Builder::new()
            .name("sha256".to_owned())
            .stack_size(256 << 10)
            .spawn(move || {
                let mut sha256 = Sha256::new();
                for task in list {
                    match task {
                        Task::Add(mut block) => {
                            sha256.update(&block);
                            block.clear();
                            // Where nobody wants it back, it goes.
                            let _ = back.try_send(block);
                        }
                        Task::Tell(rest, answer) => {
                            let digest = sha256.clone().chain_update(&rest).finalize();
                            // Who asked may have gone.
                            let _ = answer.send(digest.into());
                        }
                    }
                }
            })?;
        Ok(Self { tasks, empty })
    }
}

/// It ends only with its reader, or by a panic.
fn gone<E>(_: E) -> io::Error {
    io::Error::other("the thread that computes SHA-256 has ended")
}

impl State {
    /// Digests what goes by, a part at a time, so that the second digest finds
    /// in the processor's cache what the first one read.
    fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        for part in bytes.chunks(PART) {
            self.sha256(part)?;
            self.blake3.update(part);
            self.bytes += part.len() as u64;
        }
        Ok(())
    }

    fn sha256(&mut self, mut piece: &[u8]) -> io::Result<()> {
        while !piece.is_empty() {
            if self.block.len() >= BLOCK {
                let thread = match &mut self.sha256 {
                    Some(thread) => thread,
                    none => none.insert(Thread::start()?),
                };
                let next = thread.empty.try_recv().unwrap_or_default();
                let block = std::mem::replace(&mut self.block, next);
                thread.tasks.send(Task::Add(block)).map_err(gone)?;
            }
            let room = BLOCK - self.block.len();
            let (now, rest) = piece.split_at(piece.len().min(room));
            self.block.extend_from_slice(now);
            piece = rest;
        }
        Ok(())
    }

    fn digests(&self) -> io::Result<Digests> {
        let sha256 = match &self.sha256 {
            None => Sha256::digest(&self.block).into(),
            Some(thread) => {
                let (answer, digest) = sync_channel(1);
                let rest = self.block.clone();
                thread.tasks.send(Task::Tell(rest, answer)).map_err(gone)?;
                digest.recv().map_err(gone)?
            }
        };
        Ok(Digests {
            bytes: self.bytes,
            blake3: self.blake3.finalize(),
            sha256,
        })
    }
}

impl<R: Read> DigestReader<R> {
    /// Digests what is read from the source.
    pub fn new(source: R) -> Self {
        Self {
            source,
            state: State::default(),
            failed: None,
        }
    }

    /// The digests of what was read so far.
    ///
    /// # Errors
    ///
    /// If something could not be digested: the thread is gone.
    pub fn finish(&self) -> io::Result<Digests> {
        self.check()?;
        self.state.digests()
    }

    /// Notes an error, for which there is no place where bytes are consumed.
    fn note(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.failed = Some(error);
        }
    }

    fn check(&self) -> io::Result<()> {
        match &self.failed {
            Some(error) => Err(io::Error::new(error.kind(), error.to_string())),
            None => Ok(()),
        }
    }

    /// Gives the source back.
    pub fn into_inner(self) -> R {
        self.source
    }
}

impl<R: Read> Read for DigestReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        let length = self.source.read(buffer)?;
        let added = self.state.add(buffer.get(..length).unwrap_or_default());
        self.note(added);
        self.check()?;
        Ok(length)
    }
}

/// Digests what is consumed, where it lies.
impl<R: BufRead> BufRead for DigestReader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.check()?;
        self.source.fill_buf()
    }

    fn consume(&mut self, length: usize) {
        // At the end nothing is consumed, and looking for more might wait.
        if length == 0 {
            return;
        }
        if self.failed.is_none() {
            // Filled already, so nothing is read.
            let added = self.source.fill_buf().and_then(|ready| {
                let piece = ready.get(..length).unwrap_or(ready);
                self.state.add(piece)
            });
            self.note(added);
        }
        self.source.consume(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_the_published_ones_however_the_bytes_come() {
        let digests = |piece: usize| {
            let mut reader = DigestReader::new(&b"abc"[..]);
            let mut buffer = vec![0; piece];
            while reader.read(&mut buffer).unwrap() > 0 {}
            reader.finish().unwrap()
        };
        let whole = digests(10);
        // FIPS 180-2, and BLAKE3's test vectors.
        assert_eq!(whole.sha256[28..], [0xf2, 0x00, 0x15, 0xad]);
        let blake3 = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";
        assert_eq!(whole.blake3.to_hex().as_str(), blake3);
        assert_eq!(whole.bytes, 3);
        assert_eq!(digests(1), whole);
    }

    #[test]
    fn an_error_of_the_source_comes_through() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        let mut reader = DigestReader::new(Broken);
        assert_eq!(reader.read(&mut [0; 4]).unwrap_err().to_string(), "broken");
        assert_eq!(reader.finish().unwrap().bytes, 0);
    }

    /// Gives so much, and ends; who asks again is told that.
    struct Once<'a>(&'a [u8], u32);

    impl Read for Once<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl BufRead for Once<'_> {
        fn fill_buf(&mut self) -> io::Result<&[u8]> {
            self.1 += u32::from(self.0.is_empty());
            Ok(self.0)
        }
        fn consume(&mut self, length: usize) {
            self.0.consume(length);
        }
    }

    #[test]
    fn consuming_nothing_asks_for_nothing() {
        let mut reader = DigestReader::new(Once(b"abc", 0));
        while !reader.fill_buf().unwrap().is_empty() {
            reader.consume(2.min(reader.source.0.len()));
        }
        reader.consume(0);
        assert_eq!(reader.finish().unwrap().bytes, 3);
        assert_eq!(reader.into_inner().1, 1);
    }

    #[test]
    fn what_was_not_digested_is_told_ever_after() {
        let bytes = vec![7; 3 * BLOCK];
        for consumes in [true, false] {
            let mut reader = DigestReader::new(&bytes[..]);
            // A thread that has gone.
            let (tasks, _) = sync_channel(1);
            let (_, empty) = sync_channel(1);
            reader.state.sha256 = Some(Thread { tasks, empty });
            let error = loop {
                let read = if consumes {
                    let length = reader.fill_buf().map(<[u8]>::len);
                    reader.consume(*length.as_ref().unwrap_or(&0));
                    length
                } else {
                    reader.read(&mut [0; 4096])
                };
                match read {
                    Ok(length) => assert_ne!(length, 0),
                    Err(error) => break error,
                }
            };
            assert!(error.to_string().contains("SHA-256"), "{error}");
            // Also where the thread would take it again.
            reader.state.sha256 = None;
            assert!(reader.read(&mut [0; 8]).is_err() && reader.fill_buf().is_err());
            assert!(reader.finish().is_err());
        }
    }

    #[test]
    fn long_ones_are_the_same_in_any_pieces_and_at_any_time() {
        let bytes: Vec<u8> = (0..3 * BLOCK + 5).map(|at| (at % 255) as u8).collect();
        for piece in [1000, BLOCK - 1, BLOCK, 2 * BLOCK + 1, bytes.len()] {
            let mut reader = DigestReader::new(&bytes[..]);
            let mut buffer = vec![0; piece];
            let (mut read, mut look) = (0, 0);
            loop {
                if read >= look {
                    look += BLOCK / 2;
                    let digests = reader.finish().unwrap();
                    let expected: [u8; 32] = Sha256::digest(&bytes[..read]).into();
                    assert_eq!((digests.bytes, digests.sha256), (read as u64, expected));
                    assert_eq!(digests.blake3, blake3::hash(&bytes[..read]));
                }
                match reader.read(&mut buffer).unwrap() {
                    0 => break,
                    length => read += length,
                }
            }
            assert_eq!(read, bytes.len());
            // And where they lie.
            let mut reader = DigestReader::new(&bytes[..]);
            while !reader.fill_buf().unwrap().is_empty() {
                let length = reader.fill_buf().unwrap().len().min(piece);
                reader.consume(length);
            }
            let digests = reader.finish().unwrap();
            assert_eq!(digests.bytes, bytes.len() as u64);
            assert_eq!(digests.blake3, blake3::hash(&bytes));
            assert_eq!(digests.sha256, <[u8; 32]>::from(Sha256::digest(&bytes)));
        }
    }
}
