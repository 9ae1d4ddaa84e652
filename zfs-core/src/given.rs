//! A descriptor that a stream comes from or goes to, as it was given.
//!
//! The kernel's own reads and writes of a pipe wait for its other end, unless
//! that was made not to: what then comes to ZFS is an error in the middle of
//! the stream, as if the pool were damaged. Such a pipe is copied from or to
//! here, and waited for.

use std::fs::{File, FileType};
use std::io::{self, ErrorKind as Io, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt;

use crate::ffi::{self, Wait};

/// A duplicate of a descriptor, read from and written to with patience: where
/// it would not wait by itself (O_NONBLOCK), this does.
pub(crate) struct Given {
    file: File,
    kind: FileType,
    nonblocking: bool,
}

impl Given {
    pub(crate) fn new(descriptor: BorrowedFd<'_>) -> io::Result<Given> {
        let file = File::from(descriptor.try_clone_to_owned()?);
        Ok(Given {
            kind: file.metadata()?.file_type(),
            nonblocking: ffi::is_nonblocking(file.as_fd())?,
            file,
        })
    }

    /// The kernel can be given it to write a stream into.
    pub(crate) fn is_for_send(&self) -> bool {
        self.kind.is_fifo() && !self.nonblocking
    }

    /// The kernel can be given it to read a stream from. A file is always
    /// ready.
    pub(crate) fn is_for_receive(&self) -> bool {
        self.kind.is_file() || self.is_for_send()
    }

    fn patiently<T>(
        &mut self,
        what: Wait,
        mut act: impl FnMut(&mut File) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            match act(&mut self.file) {
                Err(error) if error.kind() == Io::WouldBlock => {
                    ffi::wait_for(self.file.as_fd(), what)?;
                }
                other => return other,
            }
        }
    }
}

impl Read for Given {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.patiently(Wait::Read, |file| file.read(into))
    }
}

impl Write for Given {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.patiently(Wait::Write, |file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::ffi::{set_nonblocking, stream_pipe};

    #[test]
    fn a_pipe_that_does_not_wait_is_not_for_the_kernel_and_is_waited_for() {
        let content: Vec<u8> = (0..3 << 20).map(|number: u32| number as u8).collect();
        let (reader, writer) = stream_pipe().unwrap();
        for end in [&reader, &writer] {
            let given = Given::new(end.as_fd()).unwrap();
            assert!(given.is_for_send() && given.is_for_receive());
            set_nonblocking(end.as_fd()).unwrap();
            let given = Given::new(end.as_fd()).unwrap();
            assert!(!given.is_for_send() && !given.is_for_receive());
        }
        let mut source = Given::new(reader.as_fd()).unwrap();
        let mut sink = Given::new(writer.as_fd()).unwrap();
        drop(writer);
        let came = thread::scope(|scope| {
            let reading = scope.spawn(|| {
                let mut came = Vec::new();
                source.read_to_end(&mut came).map(|_| came)
            });
            sink.write_all(&content).unwrap();
            drop(sink);
            reading.join().unwrap().unwrap()
        });
        assert!(came == content);
    }

    #[test]
    fn a_file_is_for_a_receive_and_anything_else_for_neither() {
        let file = tempfile::tempfile().unwrap();
        let null = File::open("/dev/null").unwrap();
        for (file, is_for_receive) in [(file, true), (null, false)] {
            let given = Given::new(file.as_fd()).unwrap();
            assert!(!given.is_for_send());
            assert_eq!(given.is_for_receive(), is_for_receive);
        }
    }
}
