//! Ways to a shell on another system.

use std::fmt;
use std::process::Command;
use std::sync::{Condvar, Mutex, PoisonError};

use super::processes::Processes;
use crate::error::Error;

/// A way to run commands somewhere.
pub trait Transport: fmt::Debug + Send + Sync {
    /// What the other end is called in messages.
    fn host(&self) -> &str;

    /// A process that runs `command` in a shell at the other end, its stdin,
    /// stdout and stderr being the command's.
    fn command(&self, command: &str) -> Command;

    /// How many commands may run at once. sshd's default is ten for each
    /// connection.
    fn channels(&self) -> &Channels;

    /// Connects again where the connection was lost.
    ///
    /// # Errors
    ///
    /// [`Error::Connect`]: the other end is still away.
    fn connect_again(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// A shell on this system: what ssh would run, without ssh.
#[derive(Debug)]
pub struct Shell {
    channels: Channels,
}

impl Shell {
    /// It needs nothing.
    pub fn new() -> Shell {
        Shell {
            channels: Channels::new(MAX_CHANNELS),
        }
    }
}

impl Default for Shell {
    fn default() -> Shell {
        Shell::new()
    }
}

impl Transport for Shell {
    fn host(&self) -> &'static str {
        "this system"
    }

    fn command(&self, command: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(command);
        shell
    }

    fn channels(&self) -> &Channels {
        &self.channels
    }
}

/// The most commands that run at once over one connection.
pub const MAX_CHANNELS: usize = 8;

/// Places for commands that run at once, and what runs in them.
#[derive(Debug)]
pub struct Channels {
    free: Mutex<usize>,
    freed: Condvar,
    processes: Processes,
}

impl Channels {
    /// This many, at least one.
    pub fn new(channels: usize) -> Channels {
        Channels {
            free: Mutex::new(channels.max(1)),
            freed: Condvar::new(),
            processes: Processes::new(),
        }
    }

    /// What runs.
    pub fn processes(&self) -> &Processes {
        &self.processes
    }

    /// Waits for a place, and keeps it until what is returned is dropped.
    pub fn take(&self) -> Channel<'_> {
        self.keep();
        Channel(self)
    }

    /// Waits for a place, and keeps it until it is given back.
    pub(super) fn keep(&self) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            free = self
                .freed
                .wait(free)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
    }

    /// Gives back a place that was kept.
    pub(super) fn give_back(&self) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        *free += 1;
        self.freed.notify_one();
    }
}

/// A place that is taken.
#[derive(Debug)]
pub struct Channel<'a>(&'a Channels);

impl Drop for Channel<'_> {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn no_more_commands_run_at_once_than_there_are_channels() {
        let channels = Channels::new(3);
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    let _channel = channels.take();
                    let running = now.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(running, Ordering::SeqCst);
                    thread::yield_now();
                    now.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert!((1..=3).contains(&most.load(Ordering::SeqCst)));
    }
}
