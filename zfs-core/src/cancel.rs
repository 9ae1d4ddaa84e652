//! Giving up a transfer from another thread.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use crate::ffi;

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

    /// Is at its end once the word was given.
    pub(crate) fn end(&self) -> BorrowedFd<'_> {
        self.0.end.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
