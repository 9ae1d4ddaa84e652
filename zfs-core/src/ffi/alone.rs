//! A stream's call on a thread with a table of open files of its own.
//!
//! ```text
//! caller: sender + receiver of one pipe     thread: one end, /dev/zfs
//!         killed: its table is closed  ->   end of file or EPIPE: it ends too
//! ```
//!
//! A send or a receive starts threads in the kernel. The SPL's
//! `spl_kthread_create` clears the mark "a signal is pending" while it does
//! (2.1 to 2.3 were read): a SIGKILL of just then is forgotten, and the
//! call goes on waiting for the pipe's other end. When that end is in the
//! same table, of a process that is otherwise dead, it waits until the machine
//! is rebooted, with the dataset busy. A table with only this end in it has
//! no such circle. It also keeps no other file open for longer than its owner
//! wants.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::{mem, panic, ptr, thread};

use super::signal::undisturbed;

/// The name of the thread, as `ps -L` shows it.
const THREAD: &str = "zfs-stream";

/// From linux/close_range.h: the table becomes the thread's own before
/// anything is closed in it.
const CLOSE_RANGE_UNSHARE: libc::c_uint = 1 << 1;

/// Calls `function`, which needs no files but `end` and libzfs_core's own
/// `device`, on a thread that has no others and is interrupted by no signal.
/// What else is open of /dev/zfs is not for it: a temporary hold would last
/// for as long as the stream.
///
/// Where there can be no such thread or table (Linux before 5.9), or it is not
/// known which file libzfs_core has, it is called all the same, as it would be
/// without this.
pub(crate) fn alone<T>(
    end: BorrowedFd<'_>,
    device: Option<RawFd>,
    mut function: impl FnMut() -> T,
) -> T {
    let answer = thread::scope(|scope| {
        let carried = Carried(&mut function);
        let thread = thread::Builder::new()
            .name(THREAD.to_owned())
            .spawn_scoped(scope, move || {
                hold_off_all_signals();
                if let Some(device) = device {
                    close_all_but(end.as_raw_fd(), device);
                }
                Carried(carried.call())
            })
            .ok()?;
        match thread.join() {
            Ok(answer) => Some(answer.0),
            Err(why) => panic::resume_unwind(why),
        }
    });
    answer.unwrap_or_else(|| undisturbed(function))
}

/// What goes to the thread and comes back.
struct Carried<T>(T);

// SAFETY: the thread that made it waits until the other one has ended, so
// never do two of them use it at a time. What is carried are the arguments and
// the answer of a C function: pointers, none of which belongs to one thread.
unsafe impl<T> Send for Carried<T> {}

impl<T, F: FnMut() -> T> Carried<&mut F> {
    /// A method, so that the whole of it goes into the closure.
    fn call(self) -> T {
        (self.0)()
    }
}

/// A kernel that writes into a pipe nobody reads sends SIGPIPE to the thread,
/// and for one with a handler it gives up the read or write of the stream.
/// All can be taken by another thread; what ends a process ends this one too.
fn hold_off_all_signals() {
    let mut all = mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset initialises the set, and no former one is asked for.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), ptr::null_mut());
    }
}

/// Makes the table the thread's own, and closes all in it but this end and
/// the device.
fn close_all_but(end: RawFd, device: RawFd) {
    // From here on nobody else changes what the numbers stand for.
    if !close_range(RawFd::MAX, RawFd::MAX) {
        return;
    }
    let mut kept = [0, 1, 2, end, device];
    kept.sort_unstable();
    let mut first = 0;
    for file in kept {
        if file > first {
            close_range(first, file - 1);
        }
        first = file + 1;
    }
    close_range(first, RawFd::MAX);
}

/// Makes the table the thread's own, and closes from `first` to `last` in it.
fn close_range(first: RawFd, last: RawFd) -> bool {
    // SAFETY: numbers alone. What is closed is closed in this thread's table,
    // which nothing but the call on `end` uses; the descriptors' owners have
    // them in the process' table, where they stay.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, CLOSE_RANGE_UNSHARE) == 0 }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;
    use std::os::fd::AsFd;

    use super::*;
    use crate::ffi::stream_pipe;

    #[test]
    fn the_answer_comes_back_and_a_broken_pipe_sends_no_signal() {
        let (reader, writer) = stream_pipe().unwrap();
        drop(reader);
        let mut writer = File::from(writer);
        let end = writer.try_clone().unwrap();
        let mut calls = 0;
        let error = alone(end.as_fd(), None, || {
            calls += 1;
            writer.write_all(b"x").unwrap_err()
        });
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
        assert_eq!(calls, 1);
    }

    #[test]
    fn what_is_closed_there_stays_open_here() {
        let (reader, writer) = stream_pipe().unwrap();
        let file = File::open("/dev/null").unwrap();
        let another = file.try_clone().unwrap();
        let is_open = |file: RawFd| {
            // SAFETY: a number alone.
            unsafe { libc::fcntl(file, libc::F_GETFD) >= 0 }
        };
        let [end, other] = [reader.as_raw_fd(), writer.as_raw_fd()];
        let [device, hold] = [file.as_raw_fd(), another.as_raw_fd()];
        let seen = thread::spawn(move || {
            close_all_but(end, device);
            [end, other, device, hold].map(is_open)
        });
        assert_eq!(seen.join().unwrap(), [true, false, true, false]);
        assert!(is_open(other) && is_open(hold));
    }
}
