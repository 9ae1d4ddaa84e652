//! What a signal ends: the processes of the transfer that is going on.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use zfs_replicate::endpoint::stock::Processes;

use crate::stop;

/// How often what runs is told to end: what waited may start something else.
const PAUSE: Duration = Duration::from_millis(200);

/// Whether somebody wants an end, and what runs.
#[derive(Debug, Default)]
pub(super) struct Stopping {
    asked: AtomicBool,
    pub processes: Processes,
}

impl Stopping {
    /// The first SIGINT or SIGTERM ends what runs from now on.
    pub fn on_signal(self: &Arc<Stopping>) -> io::Result<()> {
        let stopping = Arc::clone(self);
        stop::on_signal(move || {
            stopping.asked.store(true, Ordering::SeqCst);
            thread::spawn(move || {
                loop {
                    stopping.processes.end();
                    thread::sleep(PAUSE);
                }
            });
        })
    }

    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }
}
