//! Steps done side by side, and their entries in the order of the steps.
//!
//! ```text
//! steps -> queue -> thread* -> a bounded channel for each step -> listing
//! ```

use std::io;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::odd;
use super::step::{Context, Step};
use crate::error::Error;
use crate::list::request::Entry;

/// Entries that go from one thread to the other at once.
const BATCH: usize = 64;
/// Batches of one step that wait to be taken.
const WAITING: usize = 2;

type Batch = Vec<Result<Entry, Error>>;

struct Job {
    step: Step,
    to: SyncSender<Option<Batch>>,
}

/// Threads that wait for steps.
#[derive(Debug)]
pub(super) struct Threads {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Threads {
    pub(super) fn start(count: usize, context: &Arc<Context>) -> io::Result<Threads> {
        let (jobs, queue) = channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        let mut all = Threads {
            jobs: Some(jobs),
            threads: Vec::with_capacity(count),
        };
        for _ in 0..count {
            let (queue, context) = (Arc::clone(&queue), Arc::clone(context));
            let thread = thread::Builder::new()
                .name("zfs-list".to_owned())
                .stack_size(256 << 10)
                .spawn(move || work(&queue, &context))?;
            all.threads.push(thread);
        }
        Ok(all)
    }

    /// Has a step done. Its entries come out of what is returned.
    pub(super) fn give(&self, step: Step) -> Arriving {
        let (to, from) = sync_channel(WAITING);
        if let Some(jobs) = &self.jobs {
            // Where no thread is left, nothing comes out of the channel, and
            // that is an error.
            let _ = jobs.send(Job { step, to });
        }
        Arriving {
            from: Some(from),
            batch: Vec::new().into_iter(),
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // It panicked: what it did not deliver was an error already.
            let _ = thread.join();
        }
    }
}

fn work(queue: &Mutex<Receiver<Job>>, context: &Context) {
    loop {
        // Held while it waits, too: the others wait for it, then for a job.
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { step, to }) = job else { return };
        let mut batch = Vec::with_capacity(BATCH);
        for entry in step.run(context) {
            batch.push(entry);
            if batch.len() == BATCH {
                let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
                if to.send(Some(full)).is_err() {
                    break;
                }
            }
        }
        // Nobody may want it any more.
        let _ = to.send(Some(batch));
        let _ = to.send(None);
    }
}

/// The entries of a step that a thread does.
#[derive(Debug)]
pub(super) struct Arriving {
    from: Option<Receiver<Option<Batch>>>,
    batch: std::vec::IntoIter<Result<Entry, Error>>,
}

impl Iterator for Arriving {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.batch.next() {
                return Some(entry);
            }
            match self.from.as_ref()?.recv() {
                Ok(Some(batch)) => self.batch = batch.into_iter(),
                Ok(None) => self.from = None,
                Err(_) => {
                    self.from = None;
                    return Some(Err(odd("the datasets", "a thread that listed ended early")));
                }
            }
        }
    }
}
