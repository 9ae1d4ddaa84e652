//! A copy of a stream on its way.
//!
//! `sender's pipe -> [ read -> tap -> write ] -> receiver's pipe`

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;

use zfs_core::DatasetName;

use crate::plan::Stream;

/// The most that is read at once: what a pipe holds.
const BUFFER_BYTES: usize = 1 << 20;

/// Somebody who wants a copy of the streams.
pub trait Tap: Sync {
    /// Where the copy of this stream goes, `None` where none is wanted. What
    /// is returned is dropped when the stream has ended, well or not.
    ///
    /// # Errors
    ///
    /// It cannot be kept; the stream is not sent then.
    fn open(
        &self,
        target: &DatasetName,
        stream: &Stream,
    ) -> io::Result<Option<Box<dyn Write + Send>>>;
}

/// Nobody wants a copy.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTap;

impl Tap for NoTap {
    fn open(&self, _: &DatasetName, _: &Stream) -> io::Result<Option<Box<dyn Write + Send>>> {
        Ok(None)
    }
}

/// How a pump ended without the stream's end.
#[derive(Debug)]
pub(super) enum Stopped {
    /// Somebody asked for it.
    Cancelled,
    /// The receiver reads no more, or the sender's pipe is broken: the reason
    /// is theirs.
    Pipe,
    /// The copy cannot be written.
    Tap(io::Error),
    /// The stream is not what a sender makes.
    Damaged(io::Error),
}

/// Copies until the sender's end is closed. Returning closes both pipes,
/// which ends the sender and the receiver.
pub(super) fn pump(
    mut from: impl Read,
    to: OwnedFd,
    mut copy: Box<dyn Write + Send>,
    mut moved: impl FnMut(u64),
    cancelled: impl Fn() -> bool,
) -> Result<(), Stopped> {
    let mut to = File::from(to);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        if cancelled() {
            return Err(Stopped::Cancelled);
        }
        let count = match from.read(&mut buffer) {
            Ok(0) => return copy.flush().map_err(Stopped::Tap),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                return Err(Stopped::Damaged(error));
            }
            Err(_) => return Err(Stopped::Pipe),
        };
        let bytes = buffer.get(..count).unwrap_or(&[]);
        copy.write_all(bytes).map_err(Stopped::Tap)?;
        to.write_all(bytes).map_err(|_| Stopped::Pipe)?;
        moved(count as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::thread;

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Runs a pump between a sender that writes `bytes` and a receiver, and
    /// returns how it ended, what arrived, and whether the sender got through.
    fn through(
        bytes: Vec<u8>,
        copy: Box<dyn Write + Send>,
        cancelled: bool,
    ) -> (Result<(), Stopped>, Vec<u8>, u64) {
        let (from, sender) = zfs_core::stream_pipe().unwrap();
        let (receiver, to) = zfs_core::stream_pipe().unwrap();
        let mut moved = 0;
        let (result, arrived) = thread::scope(|scope| {
            scope.spawn(move || File::from(sender).write_all(&bytes));
            let receiver = scope.spawn(move || {
                let mut arrived = Vec::new();
                File::from(receiver).read_to_end(&mut arrived).unwrap();
                arrived
            });
            let from = File::from(from);
            let result = pump(from, to, copy, |count| moved += count, || cancelled);
            (result, receiver.join().unwrap())
        });
        (result, arrived, moved)
    }

    fn bytes() -> Vec<u8> {
        (0..3_000_001_u32)
            .map(|n| u8::try_from(n % 251).unwrap())
            .collect()
    }

    #[test]
    fn the_copy_and_what_arrives_are_what_was_sent() {
        let copy = Shared::default();
        let (result, arrived, moved) = through(bytes(), Box::new(copy.clone()), false);
        assert!(result.is_ok());
        assert!(arrived == bytes() && *copy.0.lock().unwrap() == bytes());
        assert_eq!(moved, 3_000_001);
    }

    #[test]
    fn a_copy_that_cannot_be_written_ends_both_sides() {
        let (result, arrived, _) = through(bytes(), Box::new(Full), false);
        assert!(matches!(result, Err(Stopped::Tap(_))));
        assert!(arrived.is_empty());
    }

    #[test]
    fn a_request_to_stop_ends_both_sides() {
        let (result, _, _) = through(bytes(), Box::new(io::sink()), true);
        assert!(matches!(result, Err(Stopped::Cancelled)));
    }
}
