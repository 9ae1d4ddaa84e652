//! A limit on bytes per second (in place of `pv -L`).
//!
//! ```text
//! source -> [ token bucket ] -> reader
//! ```

use std::io::{self, Read};
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A limit that others may change while bytes flow: a schedule that makes
/// nights faster than days, say. What is read with it and its clones is one
/// sum: several streams together keep to it.
#[derive(Clone, Debug, Default)]
pub struct Limit(Arc<Bucket>);

#[derive(Debug, Default)]
struct Bucket {
    bytes_per_second: AtomicU64,
    /// Up to when what was read so far, or is about to be, is paid for.
    paid_until: Mutex<Duration>,
}

impl Limit {
    /// So many bytes per second; `None` for as many as come.
    pub fn new(bytes_per_second: Option<NonZeroU64>) -> Self {
        let limit = Self::default();
        limit.set(bytes_per_second);
        limit
    }

    /// Changes it, from the next read on.
    pub fn set(&self, bytes_per_second: Option<NonZeroU64>) {
        let number = bytes_per_second.map_or(0, NonZeroU64::get);
        self.0.bytes_per_second.store(number, Ordering::Relaxed);
    }

    /// What it is now.
    pub fn get(&self) -> Option<NonZeroU64> {
        NonZeroU64::new(self.0.bytes_per_second.load(Ordering::Relaxed))
    }

    fn paid_until(&self) -> MutexGuard<'_, Duration> {
        let paid_until = self.0.paid_until.lock();
        paid_until.unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a turn of that length, and returns when it begins.
    fn take(&self, turn: Duration, now: Duration) -> Duration {
        let mut paid_until = self.paid_until();
        let begins = (*paid_until).max(now.saturating_sub(BURST));
        *paid_until = begins.saturating_add(turn);
        begins
    }

    /// Gives back what was not used of a turn.
    fn give_back(&self, rest: Duration) {
        let mut paid_until = self.paid_until();
        *paid_until = paid_until.saturating_sub(rest);
    }
}

/// Time, for who wants to test without waiting.
pub trait Clock {
    /// The time since some moment that stays the same.
    fn now(&self) -> Duration;
    /// Waits.
    fn sleep(&self, duration: Duration);
}

/// The machine's own time, the same for all readers of a process.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock(());

static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        BEGAN.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        thread::sleep(duration);
    }
}

/// How long a burst after a pause may be: what was not used in a tenth of a
/// second may be used later, more is lost.
const BURST: Duration = Duration::from_millis(100);

/// A source from which at most so many bytes per second are read, together
/// with all others that have a clone of its limit.
#[derive(Debug)]
pub struct RateReader<R, C = SystemClock> {
    source: R,
    limit: Limit,
    clock: C,
}

impl<R: Read> RateReader<R> {
    /// Reads with that limit.
    pub fn new(source: R, limit: Limit) -> Self {
        Self::with_clock(source, limit, SystemClock::default())
    }
}

impl<R: Read, C: Clock> RateReader<R, C> {
    /// Reads with that limit and that clock, which all that share the limit
    /// have to share, too.
    pub fn with_clock(source: R, limit: Limit, clock: C) -> Self {
        // What is read first is no burst.
        let now = clock.now();
        limit.take(Duration::ZERO, now.saturating_add(BURST));
        Self {
            source,
            limit,
            clock,
        }
    }

    /// Gives the source back.
    pub fn into_inner(self) -> R {
        self.source
    }
}

impl<R: Read, C: Clock> Read for RateReader<R, C> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(rate) = self.limit.get() else {
            let now = self.clock.now();
            self.limit.take(Duration::ZERO, now.saturating_add(BURST));
            return self.source.read(buffer);
        };
        // Pieces of a burst at most, so that a small limit is smooth and a
        // change of it is not noticed late.
        let burst = u128::from(rate.get()) * BURST.as_millis() / 1_000;
        let most = usize::try_from(burst.max(1)).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        let begins = self.limit.take(time(most, rate), self.clock.now());
        let early = begins.saturating_sub(self.clock.now());
        if !early.is_zero() {
            self.clock.sleep(early);
        }
        let piece = buffer.get_mut(..most).unwrap_or_default();
        let length = self.source.read(piece);
        let read = length.as_ref().map_or(0, |length| *length);
        self.limit.give_back(time(most.saturating_sub(read), rate));
        length
    }
}

/// How long so many bytes take.
fn time(bytes: usize, rate: NonZeroU64) -> Duration {
    let nanos = bytes as u128 * 1_000_000_000 / u128::from(rate.get());
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    /// A clock that only sleeping moves.
    #[derive(Clone, Default)]
    pub(in crate::stage) struct Staged(Rc<Cell<Duration>>);

    impl Clock for Staged {
        fn now(&self) -> Duration {
            self.0.get()
        }
        fn sleep(&self, duration: Duration) {
            self.0.set(self.0.get() + duration);
        }
    }

    fn limit(bytes_per_second: u64) -> Limit {
        Limit::new(NonZeroU64::new(bytes_per_second))
    }

    fn seconds(clock: &Staged) -> f64 {
        clock.now().as_secs_f64()
    }

    #[test]
    fn so_many_bytes_take_so_long() {
        for (rate, bytes) in [(1_000, 5_000), (1 << 20, 20 << 20), (7, 70), (1, 3)] {
            let clock = Staged::default();
            let source = io::repeat(1).take(bytes);
            let mut reader = RateReader::with_clock(source, limit(rate), clock.clone());
            assert_eq!(io::copy(&mut reader, &mut io::sink()).unwrap(), bytes);
            let expected = bytes as f64 / rate as f64;
            // The end is asked for once more, after the last byte is paid for.
            let took = seconds(&clock);
            assert!(
                (took - expected).abs() < 0.11 + expected * 0.01,
                "{took} {expected}"
            );
        }
    }

    #[test]
    fn streams_that_share_a_limit_keep_to_it_together() {
        let clock = Staged::default();
        let limit = limit(1_000);
        let mut readers =
            [(); 4].map(|()| RateReader::with_clock(io::repeat(1), limit.clone(), clock.clone()));
        for _ in 0..25 {
            for reader in &mut readers {
                reader.read_exact(&mut [0; 100]).unwrap();
            }
        }
        let took = seconds(&clock);
        assert!((9.8..=10.0).contains(&took), "{took}");
    }

    #[test]
    fn a_pause_is_not_saved_up() {
        let clock = Staged::default();
        let source = io::repeat(1).take(3_000);
        let mut reader = RateReader::with_clock(source, limit(1_000), clock.clone());
        reader.read_exact(&mut [0; 1_000]).unwrap();
        clock.sleep(Duration::from_secs(3_600));
        let before = seconds(&clock);
        reader.read_exact(&mut [0; 2_000]).unwrap();
        let took = seconds(&clock) - before;
        assert!((1.7..=2.0).contains(&took), "{took}");
    }

    #[test]
    fn a_change_holds_from_the_next_read_on() {
        let clock = Staged::default();
        let limit = limit(1_000);
        let source = io::repeat(1).take(1 << 30);
        let mut reader = RateReader::with_clock(source, limit.clone(), clock.clone());
        reader.read_exact(&mut [0; 1_000]).unwrap();
        limit.set(NonZeroU64::new(100_000));
        let before = seconds(&clock);
        reader.read_exact(&mut vec![0; 100_000]).unwrap();
        let took = seconds(&clock) - before;
        assert!((0.85..=1.2).contains(&took), "{took}");
        limit.set(None);
        let before = seconds(&clock);
        reader.read_exact(&mut vec![0; 1 << 20]).unwrap();
        assert!(seconds(&clock) - before < 0.1);
    }
}
