//! Verifying a stream that is in memory, on all cores.
//!
//! ```text
//! headers -> stretches -> [ worker, worker, … ] -> sums in their order -> Verifier
//! ```
//!
//! Where records begin is known only after the header before, but headers are
//! few and far between. So one thread goes from header to header, others sum
//! what it found, and the sums are put together again.

use std::collections::VecDeque;
use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, Scope};

use super::scan::verify;
use super::verifier::{Report, Verifier};
use crate::fletcher::{self, Checksum};
use crate::record::{CHECKSUM_AT, HEADER_LEN, RawRecord, SliceReader};

/// So many bytes are summed at a time, and so many records at most.
const STRETCH: usize = 1 << 20;
const RECORDS: usize = 2_048;

/// Sums need next to none.
const STACK: usize = 256 << 10;

/// How many stretches each worker has waiting.
const WAITING: usize = 3;

/// More threads than this find no more memory bandwidth.
const THREADS: usize = 8;

/// What a record adds to the sums.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RecordSums {
    /// Its header up to its checksum.
    pub(super) fields: Checksum,
    /// From there to the payload's end.
    pub(super) rest: Checksum,
}

/// Checks a stream in memory, a [mapped](crate::source) file say, to its end;
/// the report is that of [`verify`]. Long streams are checked by as many
/// threads as there are cores (at most eight), up to several times as fast. It
/// copies nothing and takes less than 1 MiB of memory, unless the stream is
/// damaged: then it is read again as [`verify`] does.
pub fn verify_slice(stream: &[u8]) -> Report {
    let threads = if stream.len() < 2 * STRETCH {
        1
    } else {
        thread::available_parallelism().map_or(1, NonZero::get)
    };
    verify_on(stream, threads.min(THREADS))
}

pub(super) fn verify_on(stream: &[u8], threads: usize) -> Report {
    let quick = thread::scope(|scope| Quick::new(scope, threads).run(stream));
    match quick {
        Some(report) => report,
        // Reading memory does not fail.
        None => verify(stream).unwrap_or_default(),
    }
}

/// Records that follow each other.
type Stretch<'a> = Vec<RawRecord<'a>>;

fn sum(stretch: &Stretch<'_>) -> Vec<RecordSums> {
    let sums = stretch.iter().map(|record| {
        let order = record.header.order();
        let (fields, own) = record.header.bytes().split_at(CHECKSUM_AT);
        let mut rest = fletcher::checksum(own, order);
        rest.update(record.payload, order);
        RecordSums {
            fields: fletcher::checksum(fields, order),
            rest,
        }
    });
    sums.collect()
}

/// A stretch that is being summed, or was.
enum Pending<'a> {
    At(usize, Stretch<'a>),
    Done(Stretch<'a>, Vec<RecordSums>),
}

struct Worker<'a> {
    stretches: SyncSender<Stretch<'a>>,
    sums: Receiver<Vec<RecordSums>>,
}

struct Quick<'a> {
    workers: Vec<Worker<'a>>,
    pending: VecDeque<Pending<'a>>,
    verifier: Verifier,
}

impl<'a> Quick<'a> {
    /// This thread works as well; where no more can be started, alone.
    fn new<'scope>(scope: &'scope Scope<'scope, '_>, threads: usize) -> Self
    where
        'a: 'scope,
    {
        let workers = (1..threads).map_while(|_| {
            let (stretches, list) = sync_channel::<Stretch<'a>>(WAITING);
            let (result, sums) = sync_channel(WAITING + 1);
            thread::Builder::new()
                .name("verify".to_owned())
                .stack_size(STACK)
                .spawn_scoped(scope, move || {
                    for stretch in list {
                        if result.send(sum(&stretch)).is_err() {
                            return;
                        }
                    }
                })
                .ok()?;
            Some(Worker { stretches, sums })
        });
        Self {
            workers: workers.collect(),
            pending: VecDeque::new(),
            verifier: Verifier::new(),
        }
    }

    /// `None` where anything is not as it should be.
    fn run(mut self, stream: &'a [u8]) -> Option<Report> {
        let lanes = self.workers.len() + 1;
        let mut stretch = Vec::new();
        let mut bytes = 0;
        for record in SliceReader::new(stream) {
            let record = record.ok()?;
            bytes += record.payload.len() + HEADER_LEN;
            stretch.push(record);
            if bytes >= STRETCH || stretch.len() >= RECORDS {
                bytes = 0;
                self.hand_over(std::mem::take(&mut stretch))?;
                if self.pending.len() > WAITING * lanes {
                    self.take_oldest()?;
                }
            }
        }
        let sums = sum(&stretch);
        self.pending.push_back(Pending::Done(stretch, sums));
        while !self.pending.is_empty() {
            self.take_oldest()?;
        }
        Some(self.verifier.finish())
    }

    /// To a worker that has room for it; where all are busy, this thread does it.
    fn hand_over(&mut self, stretch: Stretch<'a>) -> Option<()> {
        let mut copy = stretch.clone();
        for (lane, worker) in self.workers.iter().enumerate() {
            copy = match worker.stretches.try_send(copy) {
                Ok(()) => {
                    self.pending.push_back(Pending::At(lane, stretch));
                    return Some(());
                }
                Err(TrySendError::Full(copy)) => copy,
                Err(TrySendError::Disconnected(_)) => return None,
            };
        }
        let sums = sum(&stretch);
        self.pending.push_back(Pending::Done(stretch, sums));
        Some(())
    }

    fn take_oldest(&mut self) -> Option<()> {
        let (stretch, sums) = match self.pending.pop_front()? {
            Pending::Done(stretch, sums) => (stretch, sums),
            Pending::At(lane, stretch) => {
                let sums = self.workers.get(lane)?.sums.recv().ok()?;
                (stretch, sums)
            }
        };
        let mut records = stretch.iter().zip(sums);
        records
            .all(|(record, sums)| self.verifier.summed_record(record, sums))
            .then_some(())
    }
}
