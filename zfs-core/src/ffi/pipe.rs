//! Pipes, which Rust's library can make only since 1.87.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// What `/proc/sys/fs/pipe-max-size` allows everybody by default, in bytes.
const STREAM_PIPE_SIZE: libc::c_int = 1 << 20;

/// A new pipe, reading end first.
pub(crate) fn plain_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [0; 2];
    // SAFETY: pipe2 fills an array of two.
    if unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let [reader, writer] = fds;
    // SAFETY: both are new, open, and owned here alone.
    Ok(unsafe { (OwnedFd::from_raw_fd(reader), OwnedFd::from_raw_fd(writer)) })
}

/// A new pipe that holds as much as everybody may ask for.
pub(crate) fn stream_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = plain_pipe()?;
    // Now or never: growing a pipe with data in it can leave its writer asleep
    // for good (kernel bug 212295). A smaller pipe is slower, and no error.
    // SAFETY: the descriptor is open.
    unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETPIPE_SZ, STREAM_PIPE_SIZE) };
    Ok((reader, writer))
}
