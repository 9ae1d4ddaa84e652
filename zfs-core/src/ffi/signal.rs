//! Signals that must not touch a send or a receive.

use std::mem::MaybeUninit;
use std::ptr;

/// What is held off from a thread while a stream flows.
///
/// SIGPIPE: a kernel that writes a stream into a pipe nobody reads sends it to
/// the thread that asked for the stream. Rust's start-up code ignores the
/// signal, but a library may be in a process whose main is not Rust's.
///
/// The others are ignored unless a program has a handler, and then tell it
/// nothing that should end a stream (a child has ended, the terminal has
/// another size). A handler would run all the same: the kernel gives up the
/// read or write of the stream for it, with EINTR, and with it the whole
/// stream. Another thread takes them meanwhile, or this one afterwards.
const HELD_OFF: [libc::c_int; 5] = [
    libc::SIGPIPE,
    libc::SIGCHLD,
    libc::SIGCONT,
    libc::SIGURG,
    libc::SIGWINCH,
];

/// What ends a program, or reports an error in it where it happens.
const NEVER_HELD_OFF: [libc::c_int; 10] = [
    libc::SIGINT,
    libc::SIGTERM,
    libc::SIGHUP,
    libc::SIGQUIT,
    libc::SIGABRT,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGSYS,
];

/// Calls `function` with the signals above held off from this thread; a SIGPIPE
/// that came of it is taken away.
pub(crate) fn undisturbed<T>(function: impl FnOnce() -> T) -> T {
    holding_off(&set(&HELD_OFF), function)
}

/// Calls `function` with all signals held off from this thread but those that
/// end a program: for a request that would never get through, since a timer's
/// signal (a profiler's) comes more often than the request takes.
pub(crate) fn uninterrupted<T>(function: impl FnOnce() -> T) -> T {
    holding_off(&all_but(&NEVER_HELD_OFF), function)
}

fn holding_off<T>(signals: &libc::sigset_t, function: impl FnOnce() -> T) -> T {
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    let was_pending = is_pending();
    // SAFETY: `signals` is an initialised set, and `before` is written where
    // the call succeeds, which it does for SIG_BLOCK.
    let blocked = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, signals, before.as_mut_ptr()) };

    let result = function();

    if blocked == 0 {
        if !was_pending && is_pending() {
            let sigpipe = set(&[libc::SIGPIPE]);
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

fn set(signals: &[libc::c_int]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set, and fails for no valid pointer;
    // what is added are signals.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), *signal);
        }
        set.assume_init()
    }
}

fn all_but(signals: &[libc::c_int]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigfillset initialises the set, and fails for no valid pointer;
    // what is taken out are signals.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        for signal in signals {
            libc::sigdelset(set.as_mut_ptr(), *signal);
        }
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

    fn is_blocked(signal: libc::c_int) -> bool {
        let mut set = MaybeUninit::uninit();
        // SAFETY: with no new set the call writes the present one.
        unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), set.as_mut_ptr()) == 0
                && libc::sigismember(set.as_ptr(), signal) == 1
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
        let result = undisturbed(|| {
            assert!(is_blocked(libc::SIGPIPE));
            writer.write_all(b"x")
        });
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert!(!is_blocked(libc::SIGPIPE));
        assert!(!is_pending());
        // SAFETY: what it was before.
        unsafe { libc::signal(libc::SIGPIPE, before) };
    }

    #[test]
    fn news_for_the_program_waits_until_the_stream_is_through() {
        let news = [libc::SIGCHLD, libc::SIGWINCH];
        undisturbed(|| assert!(news.iter().all(|signal| is_blocked(*signal))));
        assert!(!news.iter().any(|signal| is_blocked(*signal)));
        // What asks a program to end is not held off.
        undisturbed(|| assert!(!is_blocked(libc::SIGINT) && !is_blocked(libc::SIGTERM)));
    }

    #[test]
    fn a_timer_waits_for_a_request_and_what_ends_a_program_does_not() {
        let timers = [libc::SIGALRM, libc::SIGPROF, libc::SIGUSR1];
        uninterrupted(|| {
            assert!(timers.iter().all(|signal| is_blocked(*signal)));
            assert!(!NEVER_HELD_OFF.iter().any(|signal| is_blocked(*signal)));
        });
        assert!(!timers.iter().any(|signal| is_blocked(*signal)));
    }
}
