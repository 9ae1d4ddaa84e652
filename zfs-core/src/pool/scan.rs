//! How far a scrub or a resilver is.

use std::time::{Duration, SystemTime};

use zfs_stream::nvlist::NvList;

use super::vdev::time;
use crate::version::Version;

/// What a scan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ScanKind {
    /// Everything is read, and repaired where it can be.
    Scrub,
    /// What a device lacks is written to it.
    Resilver,
}

/// Where a scan stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ScanState {
    /// It is going on.
    Running,
    /// It is a scrub that was paused.
    Paused,
    /// It has come to its end.
    Finished,
    /// It was ended before its end.
    Canceled,
}

/// The scrub or resilver that is going on, or the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scan {
    /// What it is for.
    pub kind: ScanKind,
    /// Where it stands.
    pub state: ScanState,
    /// When it began.
    pub started: SystemTime,
    /// When it came to its end or was ended.
    pub ended: Option<SystemTime>,
    /// When it was paused.
    pub paused: Option<SystemTime>,
    /// Bytes that were allocated when it began.
    pub total_bytes: u64,
    /// Bytes of which it has found out where they are.
    pub scanned_bytes: u64,
    /// Bytes that it has read from the devices.
    pub issued_bytes: u64,
    /// Bytes that it need not read; none before OpenZFS 2.2.
    pub skipped_bytes: u64,
    /// Bytes that it repaired, or resilvered.
    pub repaired_bytes: u64,
    /// Errors that it found and could not repair.
    pub errors: u64,
    /// Bytes read since it was last begun: since its start, an import, or
    /// the end of a pause.
    pub pass_issued_bytes: u64,
    /// When that was.
    pub pass_started: SystemTime,
    /// How long it was paused since.
    pub pass_paused: Duration,
}

impl Scan {
    /// `pool_scan_stat_t`; none where there never was a scan.
    pub(super) fn read(root: &NvList, version: Version) -> Option<Scan> {
        let stats = root.get_u64_array("scan_stats")?;
        let at = |index: usize| stats.get(index).copied().unwrap_or(0);
        let kind = match at(0) {
            1 => ScanKind::Scrub,
            2 => ScanKind::Resilver,
            _ => return None,
        };
        let paused = time(at(11));
        let state = match at(1) {
            1 if paused.is_some() => ScanState::Paused,
            1 => ScanState::Running,
            2 => ScanState::Finished,
            3 => ScanState::Canceled,
            _ => return None,
        };
        let is_over = matches!(state, ScanState::Finished | ScanState::Canceled);
        Some(Scan {
            kind,
            state,
            started: time(at(2)).unwrap_or(SystemTime::UNIX_EPOCH),
            ended: time(at(3)).filter(|_| is_over),
            paused: paused.filter(|_| !is_over),
            total_bytes: at(4),
            scanned_bytes: at(5),
            // Before 2.2 another number stands there.
            skipped_bytes: if version > Version::OLDEST { at(6) } else { 0 },
            repaired_bytes: at(7),
            errors: at(8),
            pass_started: time(at(10)).unwrap_or(SystemTime::UNIX_EPOCH),
            pass_paused: Duration::from_secs(at(12)),
            pass_issued_bytes: at(13),
            issued_bytes: at(14),
        })
    }

    /// Whether it is going on or paused.
    pub fn is_active(&self) -> bool {
        matches!(self.state, ScanState::Running | ScanState::Paused)
    }

    /// How much of it is done, from 0 to 1.
    pub fn fraction_done(&self) -> f64 {
        let total = self.total_bytes.saturating_sub(self.skipped_bytes);
        match (self.state, total) {
            (ScanState::Finished, _) => 1.0,
            (_, 0) => 0.0,
            (_, total) => (self.issued_bytes as f64 / total as f64).min(1.0),
        }
    }

    /// Bytes in a second, since it was last begun; none where it is not going
    /// on or has just begun.
    pub fn bytes_per_second(&self, now: SystemTime) -> Option<u64> {
        if self.state != ScanState::Running {
            return None;
        }
        let since = now.duration_since(self.pass_started).ok()?;
        let seconds = since.checked_sub(self.pass_paused)?.as_secs();
        self.pass_issued_bytes.checked_div(seconds)
    }

    /// How long it will take to its end if it goes on as it did; none where
    /// that cannot be told.
    pub fn time_left(&self, now: SystemTime) -> Option<Duration> {
        let rate = self.bytes_per_second(now)?;
        let left = self
            .total_bytes
            .saturating_sub(self.skipped_bytes)
            .saturating_sub(self.issued_bytes);
        left.checked_div(rate).map(Duration::from_secs)
    }
}

/// The scrub of recorded errors that is going on, or the last one; since
/// OpenZFS 2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorScrub {
    /// Where it stands.
    pub state: ScanState,
    /// When it began.
    pub started: SystemTime,
    /// When it came to its end or was ended.
    pub ended: Option<SystemTime>,
    /// Blocks that were looked at.
    pub examined_blocks: u64,
    /// Blocks that still are to be.
    pub blocks_left: u64,
}

impl ErrorScrub {
    pub(super) fn read(root: &NvList) -> Option<ErrorScrub> {
        let stats = root.get_u64_array("scan_stats")?;
        let at = |index: usize| stats.get(index).copied().unwrap_or(0);
        let state = match (at(15), at(16), at(21)) {
            (3, 1 | 4, 0) => ScanState::Running,
            (3, 1 | 4, _) => ScanState::Paused,
            (3, 2, _) => ScanState::Finished,
            (3, 3, _) => ScanState::Canceled,
            _ => return None,
        };
        let is_over = matches!(state, ScanState::Finished | ScanState::Canceled);
        Some(ErrorScrub {
            state,
            started: time(at(17)).unwrap_or(SystemTime::UNIX_EPOCH),
            ended: time(at(18)).filter(|_| is_over),
            examined_blocks: at(19),
            blocks_left: at(20),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(numbers: &[(usize, u64)]) -> NvList {
        let mut stats = vec![0_u64; 22];
        for (index, number) in numbers {
            stats[*index] = *number;
        }
        let mut list = NvList::new();
        list.insert("scan_stats", stats).unwrap();
        list
    }

    const RUNNING: &[(usize, u64)] = &[
        (0, 1),
        (1, 1),
        (2, 1000),
        (4, 5000),
        (6, 1000),
        (10, 1000),
        (12, 10),
        (13, 1000),
        (14, 2000),
    ];

    fn after(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_running_scrub_tells_its_rate_and_its_end() {
        let scan = Scan::read(&root(RUNNING), Version::new(2, 3)).unwrap();
        assert_eq!(
            (scan.kind, scan.state),
            (ScanKind::Scrub, ScanState::Running)
        );
        assert!((scan.fraction_done() - 0.5).abs() < 1e-9);
        // 20 seconds, of which it was paused for 10.
        assert_eq!(scan.bytes_per_second(after(1020)), Some(100));
        assert_eq!(scan.time_left(after(1020)), Some(Duration::from_secs(20)));
        // A clock that was set back, or no time at all.
        assert_eq!(scan.bytes_per_second(after(900)), None);
        assert_eq!(scan.time_left(after(1010)), None);
    }

    #[test]
    fn what_2_1_keeps_in_the_place_of_skipped_bytes_is_not_counted() {
        let scan = Scan::read(&root(RUNNING), Version::OLDEST).unwrap();
        assert_eq!(scan.skipped_bytes, 0);
        assert!((scan.fraction_done() - 0.4).abs() < 1e-9);
    }

    #[test]
    fn a_paused_scrub_has_no_rate() {
        let mut numbers = RUNNING.to_vec();
        numbers.push((11, 1015));
        let scan = Scan::read(&root(&numbers), Version::new(2, 3)).unwrap();
        assert_eq!(scan.state, ScanState::Paused);
        assert_eq!(scan.paused, Some(after(1015)));
        assert!(scan.is_active());
        assert_eq!(scan.bytes_per_second(after(1020)), None);
    }

    #[test]
    fn a_pool_that_was_never_scanned_has_no_scan() {
        assert_eq!(Scan::read(&root(&[]), Version::new(2, 3)), None);
        assert_eq!(Scan::read(&NvList::new(), Version::new(2, 3)), None);
        assert_eq!(ErrorScrub::read(&root(RUNNING)), None);
    }

    #[test]
    fn numbers_at_their_limits_do_not_overflow() {
        let numbers: Vec<_> = (0..22).map(|index| (index, u64::MAX)).collect();
        let mut numbers = numbers;
        (numbers[0].1, numbers[1].1) = (1, 1);
        let scan = Scan::read(&root(&numbers), Version::new(2, 3)).unwrap();
        assert!(scan.fraction_done() <= 1.0);
        let _ = scan.time_left(after(u32::MAX.into()));
    }
}
