//! What the system knows of this process and of time, and std does not tell.

use std::time::{Duration, SystemTime};

/// The user whose rights this process has.
pub(crate) fn effective_user() -> u32 {
    // SAFETY: it takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

/// How far the clock on the wall is ahead of the time since the machine was
/// started, in milliseconds: the same until somebody sets the clock. None
/// where the two could not be read close to each other.
pub(crate) fn clock_offset() -> Option<i64> {
    (0..8).find_map(|_| {
        let before = since_boot()?;
        let wall = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .ok()?;
        let after = since_boot()?;
        if after.checked_sub(before)? > Duration::from_millis(100) {
            return None;
        }
        let wall = i64::try_from(wall.as_millis()).ok()?;
        wall.checked_sub(i64::try_from(before.as_millis()).ok()?)
    })
}

/// Time since the machine was started, sleep included.
fn since_boot() -> Option<Duration> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is written where the call succeeds.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    if result != 0 {
        return None;
    }
    let seconds = u64::try_from(time.tv_sec).ok()?;
    let nanoseconds = u32::try_from(time.tv_nsec).ok()?;
    Some(Duration::new(seconds, nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_stays_while_nobody_sets_the_clock() {
        let one = clock_offset().expect("two clocks");
        std::thread::sleep(Duration::from_millis(20));
        let two = clock_offset().expect("two clocks");
        assert!((two - one).abs() < 500, "{one} {two}");
    }
}
