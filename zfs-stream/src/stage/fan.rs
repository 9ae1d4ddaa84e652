//! One stream to several sinks at once: two pools, or a pool and an archive.
//!
//! ```text
//!               ,-> queue -> thread -> sink
//! writer -> block -> queue -> thread -> sink
//!               '-> queue -> thread -> sink
//! ```
//!
//! The block is shared, not copied, and goes back to the writer when the last
//! sink is done with it.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::buffer::BLOCK;

/// What becomes of the others when a sink fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnError {
    /// The next write fails with that error, and all end; so does one that waits
    /// for another sink. A sink that is being written to is left to its thread,
    /// which ends as soon as that write has returned.
    #[default]
    Stop,
    /// They go on, and [`FanOut::finish`] tells of it. When all have failed, the
    /// next write fails.
    GoOn,
}

/// A block on its way to all sinks.
type Block = Arc<Vec<u8>>;

/// What the writer and the threads share.
#[derive(Debug)]
struct Shared {
    on_error: OnError,
    /// The writer was dropped before its end: what is queued is not written.
    cancelled: AtomicBool,
    told: Mutex<Told>,
    /// Something was told, or a block was taken out of a queue.
    moved: Condvar,
}

/// What the threads tell the writer.
#[derive(Debug, Default)]
struct Told {
    /// The first sink that failed, and how; taken by the writer.
    first_error: Option<(usize, io::Error)>,
    failed: usize,
    /// How many have written all.
    done: usize,
}

impl Shared {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells it whoever waits.
    fn tell<T>(&self, what: impl FnOnce(&mut Told) -> T) -> T {
        let result = what(&mut self.told());
        self.moved.notify_all();
        result
    }

    fn wait<'a>(&self, told: MutexGuard<'a, Told>) -> MutexGuard<'a, Told> {
        let told = self.moved.wait(told);
        told.unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether all are to end because of one.
    fn stops(&self, told: &Told) -> bool {
        self.on_error == OnError::Stop && told.failed > 0
    }

    /// Waits until the queue has room for the block; false if nobody takes it.
    fn send(&self, queue: &SyncSender<Block>, mut block: Block) -> bool {
        let mut told = self.told();
        while !self.stops(&told) {
            block = match queue.try_send(block) {
                Ok(()) => return true,
                Err(TrySendError::Disconnected(_)) => return false,
                Err(TrySendError::Full(block)) => block,
            };
            told = self.wait(told);
        }
        false
    }
}

/// A sink's thread.
#[derive(Debug)]
struct Branch<W> {
    /// `None` once it has failed or all is written.
    queue: Option<SyncSender<Block>>,
    /// Blocks in the queue or being written.
    waiting: Arc<AtomicUsize>,
    thread: JoinHandle<(W, io::Result<()>)>,
}

/// A writer whose bytes go to several sinks, each with a thread and a buffer of
/// its own: a slow one holds up nobody as long as its buffer has room.
///
/// Dropped without [`finish`](Self::finish) it cancels: what is in the buffers
/// is not written any more, and the sinks are dropped.
///
/// ```
/// use std::io::Write;
/// use zfs_stream::stage::{FanOut, OnError};
///
/// let mut fan = FanOut::new([Vec::new(), Vec::new()], 16 << 20, OnError::Stop)?;
/// fan.write_all(b"to both")?;
/// for sink in fan.finish()? {
///     assert_eq!(sink?, b"to both");
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct FanOut<W> {
    branches: Vec<Branch<W>>,
    shared: Arc<Shared>,
    /// Blocks that came back.
    empty: Receiver<Vec<u8>>,
    block: Vec<u8>,
}

impl<W: Write + Send + 'static> FanOut<W> {
    /// Writes to all of the sinks, each with a buffer of that many bytes, in
    /// blocks of [`BLOCK`] and at least two of them.
    ///
    /// # Errors
    ///
    /// If a thread cannot be started.
    pub fn new(
        sinks: impl IntoIterator<Item = W>,
        buffer: usize,
        on_error: OnError,
    ) -> io::Result<Self> {
        let blocks = (buffer / BLOCK).max(2);
        let shared = Arc::new(Shared {
            on_error,
            cancelled: AtomicBool::new(false),
            told: Mutex::default(),
            moved: Condvar::new(),
        });
        let (back, empty) = sync_channel(blocks + 2);
        let mut branches = Vec::new();
        for (number, sink) in sinks.into_iter().enumerate() {
            let (queue, list) = sync_channel(blocks);
            let waiting = Arc::new(AtomicUsize::new(0));
            let writer = Drain {
                number,
                back: back.clone(),
                waiting: Arc::clone(&waiting),
                shared: Arc::clone(&shared),
            };
            let thread = thread::Builder::new()
                .name(format!("fan-out {number}"))
                .spawn(move || writer.run(list, sink))?;
            branches.push(Branch {
                queue: Some(queue),
                waiting,
                thread,
            });
        }
        Ok(Self {
            branches,
            shared,
            empty,
            block: Vec::new(),
        })
    }

    /// Writes what is left, waits for all sinks, and gives them back in their
    /// order; with [`OnError::GoOn`] an error stands in the place of each that
    /// failed.
    ///
    /// # Errors
    ///
    /// With [`OnError::Stop`] the first error of any, as soon as there is one: it
    /// waits for no other sink then.
    pub fn finish(mut self) -> io::Result<Vec<io::Result<W>>> {
        let handed_over = self.hand_over();
        for branch in &mut self.branches {
            branch.queue = None;
        }
        if self.shared.on_error == OnError::Stop {
            handed_over?;
            self.wait_for_all();
            self.check()?;
        }
        let branches = std::mem::take(&mut self.branches).into_iter();
        let results = branches.map(|branch| {
            let panicked = |_| io::Error::other("a sink's thread panicked");
            let (sink, result) = branch.thread.join().map_err(panicked)?;
            result.map(|()| sink)
        });
        Ok(results.collect())
    }
}

impl<W> FanOut<W> {
    /// Whether the writer must stop.
    fn check(&self) -> io::Result<()> {
        let mut told = self.shared.told();
        let enough = match self.shared.on_error {
            OnError::Stop => told.failed > 0,
            OnError::GoOn => told.failed > 0 && told.failed == self.branches.len(),
        };
        if !enough {
            return Ok(());
        }
        Err(match told.first_error.take() {
            // The kind decides what callers do; the text says which.
            Some((number, error)) => {
                io::Error::new(error.kind(), format!("sink {number}: {error}"))
            }
            None => io::Error::new(io::ErrorKind::BrokenPipe, "a sink has failed before"),
        })
    }

    /// Waits until all is written, or a sink has failed.
    fn wait_for_all(&self) {
        let mut told = self.shared.told();
        while told.failed == 0 && told.done < self.branches.len() {
            told = self.shared.wait(told);
        }
    }

    /// Gives the block to all.
    fn hand_over(&mut self) -> io::Result<()> {
        self.check()?;
        if self.block.is_empty() {
            return Ok(());
        }
        let next = self.empty.try_recv().unwrap_or_default();
        let block = Arc::new(std::mem::replace(&mut self.block, next));
        for branch in &mut self.branches {
            let Some(queue) = &branch.queue else { continue };
            branch.waiting.fetch_add(1, Ordering::AcqRel);
            if !self.shared.send(queue, Arc::clone(&block)) {
                branch.queue = None;
            }
        }
        self.check()
    }

    fn all_idle(&self) -> bool {
        let mut branches = self.branches.iter();
        branches.all(|branch| branch.queue.is_none() || branch.waiting.load(Ordering::Acquire) == 0)
    }
}

impl<W> Write for FanOut<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = BLOCK - self.block.len().min(BLOCK);
        let (now, _) = bytes.split_at(bytes.len().min(room));
        self.block.reserve_exact(room);
        self.block.extend_from_slice(now);
        // Where none has anything to do, they get what there is. Where one has,
        // its queue is not to be filled with less than whole blocks.
        if self.block.len() >= BLOCK || self.all_idle() {
            self.hand_over()?;
        }
        Ok(now.len())
    }

    /// Hands over what there is, and does not wait until it is written:
    /// [`finish`](Self::finish) does. However little there is, it takes the place
    /// of a whole block in each sink's buffer.
    fn flush(&mut self) -> io::Result<()> {
        self.hand_over()
    }
}

impl<W> Drop for FanOut<W> {
    fn drop(&mut self) {
        self.shared.cancelled.store(true, Ordering::Release);
    }
}

/// What a sink's thread has.
struct Drain {
    number: usize,
    back: SyncSender<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
    shared: Arc<Shared>,
}

impl Drain {
    fn run<W: Write>(self, list: Receiver<Block>, mut sink: W) -> (W, io::Result<()>) {
        let result = {
            let _told = TellOfPanic(&self);
            self.write_all(list, &mut sink)
        };
        match &result {
            Ok(()) => self.shared.tell(|told| told.done += 1),
            Err(error) => self.failed(io::Error::new(error.kind(), error.to_string())),
        }
        (sink, result)
    }

    /// Tells the writer. The queue must be gone by now: who waits for room in it
    /// looks again.
    fn failed(&self, error: io::Error) {
        self.shared.tell(|told| {
            told.first_error.get_or_insert((self.number, error));
            told.failed += 1;
        });
    }

    fn write_all(&self, list: Receiver<Block>, sink: &mut impl Write) -> io::Result<()> {
        for block in list {
            // That there is room in the queue.
            let stops = self.shared.tell(|told| self.shared.stops(told));
            if stops || self.shared.cancelled.load(Ordering::Acquire) {
                return Ok(());
            }
            sink.write_all(&block)?;
            if let Some(mut block) = Arc::into_inner(block) {
                block.clear();
                // Where there are enough of them, one less.
                let _ = self.back.try_send(block);
            }
            self.waiting.fetch_sub(1, Ordering::AcqRel);
        }
        sink.flush()
    }
}

/// A sink that panics has failed like any other.
struct TellOfPanic<'a>(&'a Drain);

impl Drop for TellOfPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.failed(io::Error::other("it panicked"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Sender;
    use std::sync::mpsc::channel;
    use std::time::{Duration, Instant};

    use super::*;

    fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at % 253) as u8).collect()
    }

    /// Takes nothing until it is let.
    struct Gate {
        open: Arc<AtomicBool>,
        taken: Arc<AtomicUsize>,
        gone: Option<Sender<()>>,
        error: bool,
    }

    impl Gate {
        fn new(open: bool) -> Gate {
            Gate {
                open: Arc::new(AtomicBool::new(open)),
                taken: Arc::default(),
                gone: None,
                error: false,
            }
        }
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            while !self.open.load(Ordering::Acquire) {
                thread::sleep(Duration::from_millis(1));
            }
            if self.error {
                return Err(io::Error::new(io::ErrorKind::StorageFull, "full"));
            }
            self.taken.fetch_add(bytes.len(), Ordering::AcqRel);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Drop for Gate {
        fn drop(&mut self) {
            if let Some(gone) = self.gone.take() {
                let _ = gone.send(());
            }
        }
    }

    fn wait_for(what: impl Fn() -> bool) {
        let start = Instant::now();
        while !what() {
            assert!(start.elapsed() < Duration::from_secs(20), "waited in vain");
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn every_sink_gets_every_byte() {
        let all = bytes(5 * BLOCK + 77);
        for step in [313, 128 << 10, 3 * BLOCK] {
            let sinks = [Vec::new(), Vec::new(), Vec::new()];
            let mut fan = FanOut::new(sinks, 0, OnError::Stop).unwrap();
            for piece in all.chunks(step) {
                fan.write_all(piece).unwrap();
            }
            for sink in fan.finish().unwrap() {
                assert!(sink.unwrap() == all, "{step}");
            }
        }
    }

    #[test]
    fn a_slow_sink_holds_up_nobody_while_its_buffer_has_room() {
        let (slow, quick) = (Gate::new(false), Gate::new(true));
        let (open, taken) = (Arc::clone(&slow.open), Arc::clone(&quick.taken));
        let slow_taken = Arc::clone(&slow.taken);
        let mut fan = FanOut::new([slow, quick], 8 * BLOCK, OnError::Stop).unwrap();
        // All of it within the buffer: the writer and the quick one are through.
        fan.write_all(&bytes(7 * BLOCK)).unwrap();
        fan.flush().unwrap();
        wait_for(|| taken.load(Ordering::Acquire) == 7 * BLOCK);
        assert_eq!(slow_taken.load(Ordering::Acquire), 0);
        // Beyond it, the writer waits.
        let writer = thread::spawn(move || {
            fan.write_all(&bytes(20 * BLOCK)).unwrap();
            fan.finish().unwrap()
        });
        thread::sleep(Duration::from_millis(50));
        assert!(!writer.is_finished());
        open.store(true, Ordering::Release);
        assert_eq!(writer.join().unwrap().len(), 2);
        assert_eq!(slow_taken.load(Ordering::Acquire), 27 * BLOCK);
    }

    #[test]
    fn small_writes_do_not_fill_a_slow_sinks_buffer_sooner() {
        let (slow, quick) = (Gate::new(false), Gate::new(true));
        let (open, taken) = (Arc::clone(&slow.open), Arc::clone(&quick.taken));
        let mut fan = FanOut::new([slow, quick], 8 * BLOCK, OnError::Stop).unwrap();
        let (through, is_through) = channel();
        thread::spawn(move || {
            for piece in bytes(7 * BLOCK).chunks(8 << 10) {
                fan.write_all(piece).unwrap();
                // Time for the quick one to have nothing to do.
                thread::yield_now();
            }
            fan.flush().unwrap();
            through.send(fan).unwrap();
        });
        let fan = is_through.recv_timeout(Duration::from_secs(20));
        wait_for(|| taken.load(Ordering::Acquire) == 7 * BLOCK);
        open.store(true, Ordering::Release);
        fan.unwrap().finish().unwrap();
    }

    #[test]
    fn the_first_error_stops_all() {
        let mut broken = Gate::new(true);
        broken.error = true;
        let whole = Gate::new(true);
        let mut fan = FanOut::new([whole, broken], 4 * BLOCK, OnError::Stop).unwrap();
        let block = bytes(BLOCK);
        let error = (0..1_000).find_map(|_| fan.write_all(&block).err());
        let error = error.unwrap();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(error.to_string(), "sink 1: full");
        assert_eq!(
            fan.write(&block).unwrap_err().kind(),
            io::ErrorKind::BrokenPipe
        );
    }

    #[test]
    fn an_error_is_told_while_another_sink_stalls() {
        // Which the writer waits for to take more, or to have taken all.
        for length in [20 * BLOCK, 10] {
            let (stalled, mut broken) = (Gate::new(false), Gate::new(false));
            broken.error = true;
            let opens = [&stalled, &broken].map(|gate| Arc::clone(&gate.open));
            let mut fan = FanOut::new([stalled, broken], 2 * BLOCK, OnError::Stop).unwrap();
            let (ended, has_ended) = channel();
            let bytes = bytes(length);
            thread::spawn(move || {
                let error = match fan.write_all(&bytes) {
                    Err(error) => error,
                    Ok(()) => fan.finish().err().unwrap(),
                };
                ended.send(error.to_string()).unwrap();
            });
            thread::sleep(Duration::from_millis(50));
            opens[1].store(true, Ordering::Release);
            let error = has_ended.recv_timeout(Duration::from_secs(20));
            assert_eq!(error.unwrap(), "sink 1: full");
            opens[0].store(true, Ordering::Release);
        }
    }

    #[test]
    fn a_sink_that_fails_holds_up_nobody_who_goes_on() {
        let (mut broken, whole) = (Gate::new(false), Gate::new(true));
        broken.error = true;
        let open = Arc::clone(&broken.open);
        let mut fan = FanOut::new([broken, whole], 2 * BLOCK, OnError::GoOn).unwrap();
        let (ended, has_ended) = channel();
        let bytes = bytes(20 * BLOCK);
        thread::spawn(move || {
            fan.write_all(&bytes).unwrap();
            let results = fan.finish().unwrap();
            ended
                .send(results[0].is_err() && results[1].is_ok())
                .unwrap();
        });
        // The queue is full when it fails.
        thread::sleep(Duration::from_millis(50));
        open.store(true, Ordering::Release);
        assert!(has_ended.recv_timeout(Duration::from_secs(20)).unwrap());
    }

    #[test]
    fn a_sink_that_panics_stops_all_like_one_that_fails() {
        struct Panics;
        impl Write for Panics {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                panic!("this panic is the test's");
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut fan = FanOut::new([Panics], 4 * BLOCK, OnError::Stop).unwrap();
        let block = bytes(BLOCK);
        let error = (0..1_000).find_map(|_| fan.write_all(&block).err());
        assert_eq!(error.unwrap().to_string(), "sink 0: it panicked");
        assert!(fan.finish().is_err());
        // Where others go on, it counts as one that does not.
        let mut fan = FanOut::new([Panics, Panics], 4 * BLOCK, OnError::GoOn).unwrap();
        assert!((0..1_000).any(|_| fan.write_all(&block).is_err()));
        // Only what is left at the end.
        let mut fan = FanOut::new([Panics], 4 * BLOCK, OnError::Stop).unwrap();
        fan.write_all(b"short").unwrap();
        assert!(fan.finish().is_err());
    }

    #[test]
    fn an_error_at_the_end_comes_out_of_finish() {
        let mut broken = Gate::new(false);
        broken.error = true;
        let open = Arc::clone(&broken.open);
        let mut fan = FanOut::new([broken], 4 * BLOCK, OnError::Stop).unwrap();
        fan.write_all(b"short").unwrap();
        open.store(true, Ordering::Release);
        assert_eq!(fan.finish().err().unwrap().to_string(), "sink 0: full");
    }

    #[test]
    fn the_others_go_on_if_they_are_to() {
        let mut broken = Gate::new(true);
        broken.error = true;
        let whole = Gate::new(true);
        let taken = Arc::clone(&whole.taken);
        let mut fan = FanOut::new([broken, whole], 4 * BLOCK, OnError::GoOn).unwrap();
        for _ in 0..20 {
            fan.write_all(&bytes(BLOCK)).unwrap();
        }
        let results = fan.finish().unwrap();
        assert!(results[0].is_err() && results[1].is_ok());
        assert_eq!(taken.load(Ordering::Acquire), 20 * BLOCK);
        // Without any that takes something there is no going on.
        let mut broken = Gate::new(true);
        broken.error = true;
        let mut fan = FanOut::new([broken], 4 * BLOCK, OnError::GoOn).unwrap();
        let block = bytes(BLOCK);
        assert!((0..1_000).any(|_| fan.write_all(&block).is_err()));
    }

    #[test]
    fn dropping_it_cancels() {
        let (gone, was_dropped) = channel();
        let mut slow = Gate::new(false);
        slow.gone = Some(gone);
        let (open, taken) = (Arc::clone(&slow.open), Arc::clone(&slow.taken));
        let mut fan = FanOut::new([slow], 8 * BLOCK, OnError::Stop).unwrap();
        fan.write_all(&bytes(6 * BLOCK)).unwrap();
        drop(fan);
        open.store(true, Ordering::Release);
        was_dropped.recv_timeout(Duration::from_secs(20)).unwrap();
        // At most the block that was being written.
        assert!(taken.load(Ordering::Acquire) <= BLOCK);
    }
}
