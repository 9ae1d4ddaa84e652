//! How far, how fast, how much longer (in place of pv).
//!
//! ```text
//! source -> [ count ] -> reader
//!              '-> Meter -> whoever shows it
//! ```

use std::io::{self, BufRead, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::rate::{Clock, SystemClock};

/// How long ago counts how much in the present rate: what is older than this
/// has lost two thirds of its weight.
const MEMORY: Duration = Duration::from_secs(5);

/// Looks nearer to each other than this do not change the rate: over so short
/// a time it is noise.
const SHORTEST: Duration = Duration::from_millis(50);

/// How far a stream has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// What went by so far, in bytes.
    pub bytes: u64,
    /// What the whole is said to be, in bytes. Estimates of `zfs send` may be
    /// wrong by more than a tenth, in both directions.
    pub estimate: Option<u64>,
    /// The time since the stage was made.
    pub elapsed: Duration,
    /// The present rate, in bytes per second.
    pub rate: f64,
}

impl Progress {
    /// The rate since the beginning, in bytes per second.
    pub fn average(&self) -> f64 {
        per_second(self.bytes, self.elapsed)
    }

    /// The part of the estimate that went by, from 0 to 1.
    pub fn fraction(&self) -> Option<f64> {
        let estimate = self.estimate.filter(|&estimate| estimate > 0)?;
        Some((self.bytes as f64 / estimate as f64).min(1.0))
    }

    /// The time that is left at the present rate; `None` without an estimate,
    /// beyond it, and while nothing moves.
    pub fn time_left(&self) -> Option<Duration> {
        let left = self.estimate?.checked_sub(self.bytes)?;
        let seconds = left as f64 / self.rate;
        // Infinite or absurd where nothing moves.
        Duration::try_from_secs_f64(seconds).ok()
    }
}

fn per_second(bytes: u64, time: Duration) -> f64 {
    if time.is_zero() {
        return 0.0;
    }
    bytes as f64 / time.as_secs_f64()
}

/// What was seen at the last look.
#[derive(Debug, Default)]
struct Look {
    at: Duration,
    bytes: u64,
    rate: Option<f64>,
}

#[derive(Debug)]
struct State<C> {
    clock: C,
    start: Duration,
    bytes: AtomicU64,
    /// 0 for none.
    estimate: AtomicU64,
    look: Mutex<Look>,
}

/// Where others see how far a stream has come, from any thread and as often as
/// they like.
#[derive(Debug)]
pub struct Meter<C = SystemClock>(Arc<State<C>>);

impl<C> Clone for Meter<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C: Clock> Meter<C> {
    /// Sets what the whole is said to be, in bytes. What does not fit a signed
    /// number comes from ZFS having subtracted too much, and is no estimate.
    pub fn set_estimate(&self, bytes: Option<u64>) {
        let sane = bytes.filter(|&bytes| i64::try_from(bytes).is_ok());
        self.0.estimate.store(sane.unwrap_or(0), Ordering::Relaxed);
    }

    /// How far it is now.
    pub fn progress(&self) -> Progress {
        let state = &*self.0;
        let bytes = state.bytes.load(Ordering::Relaxed);
        let now = state.clock.now();
        let elapsed = now.saturating_sub(state.start);
        let mut look = state.look.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = elapsed.saturating_sub(look.at);
        if passed >= SHORTEST {
            let current = per_second(bytes.saturating_sub(look.bytes), passed);
            let old = (-passed.as_secs_f64() / MEMORY.as_secs_f64()).exp();
            let rate = match look.rate {
                Some(rate) => rate * old + current * (1.0 - old),
                None => current,
            };
            *look = Look {
                at: elapsed,
                bytes,
                rate: Some(rate),
            };
        }
        let estimate = state.estimate.load(Ordering::Relaxed);
        Progress {
            bytes,
            estimate: (estimate > 0).then_some(estimate),
            elapsed,
            rate: look.rate.unwrap_or_else(|| per_second(bytes, elapsed)),
        }
    }
}

/// A source whose bytes are counted as they are read. They are not copied.
///
/// ```
/// use std::io::{self, Read};
/// use zfs_stream::stage::ProgressReader;
///
/// let mut reader = ProgressReader::new(io::repeat(7).take(1_000), Some(2_000));
/// let meter = reader.meter();
/// io::copy(&mut reader, &mut io::sink())?;
/// assert_eq!(meter.progress().fraction(), Some(0.5));
/// # Ok::<(), io::Error>(())
/// ```
#[derive(Debug)]
pub struct ProgressReader<R, C = SystemClock> {
    source: R,
    meter: Meter<C>,
}

impl<R: Read> ProgressReader<R> {
    /// Counts what is read from the source, which is said to be that long in
    /// bytes.
    pub fn new(source: R, estimate: Option<u64>) -> Self {
        Self::with_clock(source, estimate, SystemClock::default())
    }
}

impl<R: Read, C: Clock> ProgressReader<R, C> {
    /// Counts with that clock.
    pub fn with_clock(source: R, estimate: Option<u64>, clock: C) -> Self {
        let meter = Meter(Arc::new(State {
            start: clock.now(),
            clock,
            bytes: AtomicU64::new(0),
            estimate: AtomicU64::new(0),
            look: Mutex::default(),
        }));
        meter.set_estimate(estimate);
        Self { source, meter }
    }

    /// Where others see it.
    pub fn meter(&self) -> Meter<C> {
        self.meter.clone()
    }

    /// Gives the source back.
    pub fn into_inner(self) -> R {
        self.source
    }
}

impl<R: Read, C: Clock> Read for ProgressReader<R, C> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.source.read(buffer)?;
        let bytes = &self.meter.0.bytes;
        bytes.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}

/// Counts what is consumed.
impl<R: BufRead, C: Clock> BufRead for ProgressReader<R, C> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.source.fill_buf()
    }

    fn consume(&mut self, length: usize) {
        self.source.consume(length);
        let bytes = &self.meter.0.bytes;
        bytes.fetch_add(length as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::rate::tests::Staged;
    use super::*;

    /// Reads so many bytes over so many seconds, looking each second.
    fn flow<R: Read>(
        reader: &mut ProgressReader<R, Staged>,
        clock: &Staged,
        rate: usize,
        seconds: u64,
    ) -> Progress {
        let mut progress = reader.meter().progress();
        for _ in 0..seconds {
            reader.read_exact(&mut vec![0; rate]).unwrap();
            clock.sleep(Duration::from_secs(1));
            progress = reader.meter().progress();
        }
        progress
    }

    #[test]
    fn rate_and_time_left_follow_the_stream() {
        let clock = Staged::default();
        let mut reader = ProgressReader::with_clock(io::repeat(0), Some(100_000), clock.clone());
        let progress = flow(&mut reader, &clock, 1_000, 20);
        assert_eq!((progress.bytes, progress.elapsed.as_secs()), (20_000, 20));
        assert!((progress.rate - 1_000.0).abs() < 1.0, "{progress:?}");
        assert_eq!(progress.fraction(), Some(0.2));
        assert_eq!(progress.time_left().unwrap().as_secs(), 80);
        // Four times as fast: the rate follows soon, the average does not.
        let progress = flow(&mut reader, &clock, 4_000, 20);
        assert!(progress.rate > 3_900.0, "{progress:?}");
        assert!((progress.average() - 2_500.0).abs() < 1.0, "{progress:?}");
        assert!(progress.time_left() == Some(Duration::ZERO));
        // Beyond the estimate nothing is known any more.
        let progress = flow(&mut reader, &clock, 4_000, 1);
        assert_eq!(
            (progress.fraction(), progress.time_left()),
            (Some(1.0), None)
        );
    }

    #[test]
    fn a_stall_shows_and_has_no_end() {
        let clock = Staged::default();
        let mut reader = ProgressReader::with_clock(io::repeat(0), Some(1 << 40), clock.clone());
        flow(&mut reader, &clock, 1_000, 5);
        for _ in 0..600 {
            clock.sleep(Duration::from_secs(1));
            reader.meter().progress();
        }
        let progress = reader.meter().progress();
        assert!(progress.rate < 0.001, "{progress:?}");
        for _ in 0..10_000 {
            clock.sleep(Duration::from_secs(1));
            reader.meter().progress();
        }
        assert_eq!(reader.meter().progress().time_left(), None);
    }

    #[test]
    fn looking_often_does_not_change_the_rate() {
        let clock = Staged::default();
        let mut reader = ProgressReader::with_clock(io::repeat(0), None, clock.clone());
        for _ in 0..10_000 {
            reader.read_exact(&mut [0; 10]).unwrap();
            clock.sleep(Duration::from_millis(1));
            reader.meter().progress();
        }
        let progress = reader.meter().progress();
        assert!((progress.rate - 10_000.0).abs() < 200.0, "{progress:?}");
        assert_eq!((progress.fraction(), progress.time_left()), (None, None));
    }

    #[test]
    fn a_look_right_after_the_first_bytes_is_forgotten() {
        let clock = Staged::default();
        let mut reader = ProgressReader::with_clock(io::repeat(0), None, clock.clone());
        reader.read_exact(&mut [0; 1_000]).unwrap();
        clock.sleep(Duration::from_nanos(1));
        reader.meter().progress();
        let progress = flow(&mut reader, &clock, 1_000, 3);
        assert!(progress.rate < 2_001.0, "{progress:?}");
    }

    #[test]
    fn what_is_consumed_is_counted_and_what_is_looked_at_is_not() {
        let mut reader = ProgressReader::new(&b"abcdef"[..], None);
        let meter = reader.meter();
        assert_eq!(reader.fill_buf().unwrap(), b"abcdef");
        assert_eq!(meter.progress().bytes, 0);
        reader.consume(2);
        assert_eq!(meter.progress().bytes, 2);
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap();
        assert_eq!((rest.as_slice(), meter.progress().bytes), (&b"cdef"[..], 6));
    }

    #[test]
    fn an_estimate_below_nothing_is_none() {
        let reader = ProgressReader::new(io::empty(), Some(u64::MAX - 5));
        assert_eq!(reader.meter().progress().estimate, None);
    }
}
