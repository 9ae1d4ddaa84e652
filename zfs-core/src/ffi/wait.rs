//! Waiting for a pipe, or for the word to give up.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// What a pipe is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Something to read, or its end.
    Read,
    /// Room to write, or that nobody reads any more.
    Write,
}

/// Waits until `pipe` is ready, which answers true, or `give_up` is at its
/// end, which answers false and goes first.
pub(crate) fn wait(pipe: BorrowedFd<'_>, what: Wait, give_up: BorrowedFd<'_>) -> io::Result<bool> {
    poll(pipe, what, give_up.as_raw_fd())
}

/// Waits until `file` is ready, however long that takes.
pub(crate) fn wait_for(file: BorrowedFd<'_>, what: Wait) -> io::Result<()> {
    /// To poll(2), nothing.
    const NEVER: RawFd = -1;
    poll(file, what, NEVER).map(drop)
}

fn poll(pipe: BorrowedFd<'_>, what: Wait, give_up: RawFd) -> io::Result<bool> {
    let entry = |fd, events| libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    let events = match what {
        Wait::Read => libc::POLLIN,
        Wait::Write => libc::POLLOUT,
    };
    let mut entries = [entry(give_up, 0), entry(pipe.as_raw_fd(), events)];
    loop {
        // SAFETY: the entries are ours, two in number, and hold open
        // descriptors or none.
        let ready = unsafe { libc::poll(entries.as_mut_ptr(), 2, -1) };
        if ready < 0 {
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::Interrupted {
                continue;
            }
            return Err(error);
        }
        let [given_up, ready] = entries.map(|entry| entry.revents != 0);
        if given_up {
            return Ok(false);
        }
        if ready {
            return Ok(true);
        }
    }
}

/// Whether reads and writes answer at once (O_NONBLOCK).
pub(crate) fn is_nonblocking(file: BorrowedFd<'_>) -> io::Result<bool> {
    // SAFETY: takes an open descriptor and a plain number.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) } {
        -1 => Err(io::Error::last_os_error()),
        flags => Ok(flags & libc::O_NONBLOCK != 0),
    }
}

/// Makes writes into this end of a pipe answer at once. The other end has a
/// description of its own and stays as it is.
pub(crate) fn set_nonblocking(pipe: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: both calls take an open descriptor and plain numbers.
    let done = unsafe {
        let flags = libc::fcntl(pipe.as_raw_fd(), libc::F_GETFL);
        flags != -1 && libc::fcntl(pipe.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) != -1
    };
    if done {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;
    use std::os::fd::AsFd;

    use super::*;
    use crate::ffi::stream_pipe;

    #[test]
    fn giving_up_goes_before_what_is_ready() {
        let (reader, writer) = stream_pipe().unwrap();
        let (give_up, alive) = stream_pipe().unwrap();
        assert!(wait(writer.as_fd(), Wait::Write, give_up.as_fd()).unwrap());
        File::from(writer).write_all(b"x").unwrap();
        assert!(wait(reader.as_fd(), Wait::Read, give_up.as_fd()).unwrap());
        drop(alive);
        assert!(!wait(reader.as_fd(), Wait::Read, give_up.as_fd()).unwrap());
    }

    #[test]
    fn an_end_is_ready_as_well() {
        let (reader, writer) = stream_pipe().unwrap();
        let (give_up, _alive) = stream_pipe().unwrap();
        drop(writer);
        assert!(wait(reader.as_fd(), Wait::Read, give_up.as_fd()).unwrap());
        let (reader, writer) = stream_pipe().unwrap();
        drop(reader);
        assert!(wait(writer.as_fd(), Wait::Write, give_up.as_fd()).unwrap());
    }

    #[test]
    fn a_full_pipe_answers_at_once() {
        let (_reader, writer) = stream_pipe().unwrap();
        assert!(!is_nonblocking(writer.as_fd()).unwrap());
        set_nonblocking(writer.as_fd()).unwrap();
        assert!(is_nonblocking(writer.as_fd()).unwrap());
        let error = File::from(writer).write_all(&vec![0; 2 << 20]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}
