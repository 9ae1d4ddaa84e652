//! A pipe whose reader has gone must end the send, not the process.

use std::mem::MaybeUninit;
use std::ptr;

/// Calls `function` with SIGPIPE held off from this thread.
///
/// A kernel that writes a stream into a pipe nobody reads sends SIGPIPE to the
/// thread that asked for the stream. Rust's start-up code ignores the signal,
/// but a library may be in a process whose main is not Rust's.
pub(super) fn without_sigpipe<T>(function: impl FnOnce() -> T) -> T {
    let sigpipe = sigpipe();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    let was_pending = is_pending();
    // SAFETY: `sigpipe` is an initialised set, and `before` is written where
    // the call succeeds, which it does for SIG_BLOCK.
    let blocked =
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const sigpipe, before.as_mut_ptr()) };

    let result = function();

    if blocked == 0 {
        if !was_pending && is_pending() {
            let now = libc::timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            // SAFETY: both point to initialised values, and no information on
            // the signal is asked for. It takes the signal away.
            unsafe { libc::sigtimedwait(&raw const sigpipe, ptr::null_mut(), &raw const now) };
        }
        // SAFETY: `before` was written by the call that returned 0.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    }
    result
}

fn sigpipe() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set, and fails for no valid pointer;
    // SIGPIPE is a signal.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE);
        set.assume_init()
    }
}

fn is_pending() -> bool {
    let mut pending = MaybeUninit::uninit();
    // SAFETY: sigpending writes the set where it succeeds, and only then is it
    // read.
    unsafe {
        libc::sigpending(pending.as_mut_ptr()) == 0
            && libc::sigismember(pending.as_ptr(), libc::SIGPIPE) == 1
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{self, Write};
    use std::os::fd::FromRawFd;

    use super::*;

    fn is_blocked() -> bool {
        let mut set = MaybeUninit::uninit();
        // SAFETY: with no new set the call writes the present one.
        unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), set.as_mut_ptr()) == 0
                && libc::sigismember(set.as_ptr(), libc::SIGPIPE) == 1
        }
    }

    /// A pipe's writing end whose reader has gone.
    fn broken_pipe() -> File {
        let mut fds = [0; 2];
        // SAFETY: pipe2 fills the array with two new descriptors, of which
        // each is owned here once.
        unsafe {
            assert_eq!(libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC), 0);
            drop(File::from_raw_fd(fds[0]));
            File::from_raw_fd(fds[1])
        }
    }

    #[test]
    fn a_broken_pipe_is_an_error_and_leaves_no_signal_behind() {
        // SAFETY: the default disposition; were the signal not held off, it
        // would end this test's process.
        let before = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        let mut writer = broken_pipe();
        let result = without_sigpipe(|| {
            assert!(is_blocked());
            writer.write_all(b"x")
        });
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert!(!is_blocked());
        assert!(!is_pending());
        // SAFETY: what it was before.
        unsafe { libc::signal(libc::SIGPIPE, before) };
    }
}
