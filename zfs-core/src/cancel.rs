//! Giving up a transfer from another thread.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use crate::ffi::{self, Wait};

/// The word to give up a transfer, which any thread may give at any time.
///
/// Hand one to [`Zfs::send_to_until`](crate::Zfs::send_to_until) or
/// [`Zfs::receive_from_until`](crate::Zfs::receive_from_until), and keep a
/// clone. Once given it stays given.
///
/// ```no_run
/// use std::time::Duration;
/// use zfs_core::{Cancel, SendRequest, Zfs};
///
/// let zfs = Zfs::open()?;
/// let request = SendRequest::snapshot("tank/home@monday".parse()?);
/// let cancel = Cancel::new().unwrap();
/// let in_time = cancel.clone();
/// std::thread::spawn(move || {
///     std::thread::sleep(Duration::from_secs(3600));
///     in_time.cancel();
/// });
/// let file = std::fs::File::create("/backup/home.zfs").unwrap();
/// match zfs.send_to_until(&request, file, &cancel) {
///     Err(error) if error.is_interrupted() => println!("{error}"),
///     other => println!("{} bytes", other?),
/// }
/// # Ok::<(), zfs_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Cancel(Arc<Inner>);

/// A pipe in which nothing is ever written: closing its writing end wakes all
/// who wait for it, however many there are.
#[derive(Debug)]
struct Inner {
    end: OwnedFd,
    open: Mutex<Option<OwnedFd>>,
}

impl Cancel {
    /// Not given yet.
    ///
    /// # Errors
    ///
    /// The process or the system has too many open files.
    pub fn new() -> io::Result<Cancel> {
        let (end, open) = ffi::plain_pipe()?;
        Ok(Cancel(Arc::new(Inner {
            end,
            open: Mutex::new(Some(open)),
        })))
    }

    /// Gives the word.
    pub fn cancel(&self) {
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        *open = None;
    }

    /// Whether it was given.
    pub fn is_cancelled(&self) -> bool {
        let open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.is_none()
    }

    /// Reads from what may stay silent for as long as it likes, a socket or a
    /// pipe, until the word is given: then a read that waits is an error at
    /// once. Reading from it otherwise, the call that was told to stop waits
    /// for that read.
    ///
    /// ```no_run
    /// use zfs_core::{Cancel, ReceiveRequest, Zfs};
    ///
    /// let zfs = Zfs::open()?;
    /// let stream = std::net::TcpStream::connect("backup.example:8023").unwrap();
    /// let request = ReceiveRequest::new("tank/home@monday".parse()?).resumable();
    /// let cancel = Cancel::new().unwrap();
    /// // Others have clones of it.
    /// let received = zfs.receive_from_until(&request, cancel.reader(stream), &cancel)?;
    /// println!("{} bytes", received.bytes_read);
    /// # Ok::<(), zfs_core::Error>(())
    /// ```
    pub fn reader<R: Read + AsFd>(&self, source: R) -> CancelReader<R> {
        CancelReader {
            source,
            cancel: self.clone(),
        }
    }

    /// Is at its end once the word was given.
    pub(crate) fn end(&self) -> BorrowedFd<'_> {
        self.0.end.as_fd()
    }
}

/// A source whose reads end when the word is given, from [`Cancel::reader`].
#[derive(Debug)]
pub struct CancelReader<R> {
    source: R,
    cancel: Cancel,
}

impl<R: Read + AsFd> Read for CancelReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if ffi::wait(self.source.as_fd(), Wait::Read, self.cancel.end())? {
            self.source.read(buffer)
        } else {
            // Not Interrupted, after which everybody tries again.
            Err(io::Error::other("it was cancelled"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;
    use std::thread;

    use super::*;

    #[test]
    fn a_silent_source_is_left_when_the_word_is_given() {
        let (reader, writer) = ffi::plain_pipe().unwrap();
        let mut writer = File::from(writer);
        let cancel = Cancel::new().unwrap();
        let mut source = cancel.reader(File::from(reader));
        writer.write_all(b"all of it").unwrap();
        let mut bytes = [0; 9];
        source.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"all of it");
        thread::scope(|scope| {
            let waits = scope.spawn(|| source.read(&mut [0]).unwrap_err().to_string());
            cancel.cancel();
            assert_eq!(waits.join().unwrap(), "it was cancelled");
        });
        // Whatever comes then.
        writer.write_all(b"x").unwrap();
        assert!(source.read(&mut [0]).is_err());
    }

    #[test]
    fn what_is_cancelled_stays_so_for_all() {
        let one = Cancel::new().unwrap();
        let other = one.clone();
        assert!(!other.is_cancelled());
        one.cancel();
        one.cancel();
        assert!(one.is_cancelled());
        assert!(other.is_cancelled());
    }
}
