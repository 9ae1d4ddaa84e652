//! Stopping a transfer from outside.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::{Executor, transfer::TICK};

/// How long an end is given to stop by itself.
const GRACE: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 5000 });

/// A request to stop, to be shared between threads.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Nobody has asked yet.
    pub fn new() -> Cancel {
        Cancel::default()
    }

    /// Asks for a stop. Transfers end as soon as a byte moves, or after some
    /// seconds without one ([`Executor::run_with_retries`]); what the target
    /// has by then it keeps, and the next run goes on from there.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether somebody has asked.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

impl Executor<'_> {
    /// Does what may wait for an end that does not answer: some time after
    /// somebody asked for a stop, that is interrupted.
    pub(super) fn watched<T>(&self, work: impl FnOnce() -> T) -> T {
        thread::scope(|scope| {
            let (done, working) = mpsc::channel::<()>();
            scope.spawn(move || {
                let mut since = None;
                while working.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                    let asked = self.cancel.is_cancelled();
                    if asked && since.get_or_insert_with(Instant::now).elapsed() >= GRACE {
                        // Again and again: what waited may try something else.
                        self.source.interrupt();
                        self.target.interrupt();
                    }
                }
            });
            let result = work();
            drop(done);
            result
        })
    }
}

/// Breaks a transfer off whose two ends are both in the kernel.
///
/// They hold the pipe for as long as they run, so closing it here would do
/// nothing. But once it may not block, one of the two soon meets an empty or
/// a full pipe, gets `EAGAIN` and ends; that closes its end, and the other
/// one follows as if it had been cut off. The receiver keeps what it has.
pub(super) fn break_off(ends: &[Weak<OwnedFd>]) {
    for end in ends {
        let Some(end) = end.upgrade() else {
            continue;
        };
        let flags = fcntl_getfl(&end).unwrap_or(OFlags::empty());
        if let Err(error) = fcntl_setfl(&end, flags | OFlags::NONBLOCK) {
            tracing::warn!(%error, "cannot break a transfer off");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{ErrorKind, Read, Write};
    use std::thread;

    use super::*;

    #[test]
    fn both_ends_of_a_broken_off_pipe_come_to_an_end() {
        let (reader, writer) = zfs_core::stream_pipe().unwrap();
        let (reader, writer) = (Arc::new(reader), Arc::new(writer));
        let ends = [Arc::downgrade(&reader), Arc::downgrade(&writer)];
        let sender = thread::spawn(move || {
            let mut pipe = File::from(writer.try_clone().unwrap());
            let block = vec![0; 100_000];
            loop {
                if let Err(error) = pipe.write_all(&block) {
                    return error.kind();
                }
            }
        });
        let receiver = thread::spawn(move || {
            let mut pipe = File::from(reader.try_clone().unwrap());
            let mut block = vec![0; 70_000];
            loop {
                match pipe.read(&mut block) {
                    Ok(0) => return ErrorKind::UnexpectedEof,
                    Ok(_) => {}
                    Err(error) => return error.kind(),
                }
            }
        });
        break_off(&ends);
        let sent = sender.join().unwrap();
        let received = receiver.join().unwrap();
        assert!(
            [ErrorKind::WouldBlock, ErrorKind::BrokenPipe].contains(&sent),
            "{sent}"
        );
        assert!(
            [ErrorKind::WouldBlock, ErrorKind::UnexpectedEof].contains(&received),
            "{received}"
        );
    }
}
