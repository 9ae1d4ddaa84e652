//! One stream from end to end.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use zfs_core::SnapshotName;
use zfs_stream::verify::Kind;

use super::Executor;
use super::cancel::break_off;
use super::event::{Event, Transfer};
use super::pump::{Stopped, pump};
use crate::endpoint::{Arrival, Arrived, Into, Receive, Receiving, Sending};
use crate::error::Error;
use crate::plan::{Step, Stream, Why};
use crate::properties::Properties;

/// How often progress is looked at, and a request to stop.
pub(super) const TICK: Duration = Duration::from_millis(200);

/// The ways that the streams of a range share, where an end has one.
pub(super) struct Ways<'w> {
    pub sending: Option<Box<dyn Sending + 'w>>,
    pub receiving: Option<Box<dyn Receiving + 'w>>,
}

/// A stream that is through.
pub(super) struct Sent<'t> {
    pub transfer: Transfer<'t>,
    pub bytes: u64,
    pub elapsed: Duration,
    /// Whether it is known to have arrived, with those before it.
    pub arrived: bool,
    /// Which properties could not be set.
    pub unset: Vec<String>,
}

/// What ended a transfer, on each side.
struct Ended {
    sent: Result<(), Error>,
    received: Result<Arrived, Error>,
    pumped: Result<(), Stopped>,
}

impl Executor<'_> {
    /// How the target receives the streams of a range.
    pub(super) fn receives(
        &self,
        step: &Step,
        streams: &[Stream],
        signed: &Properties,
    ) -> Result<Vec<Receive>, Error> {
        let of_existing = Arc::new(self.properties.of(&step.source).clone());
        let mut of_new = Arc::clone(&of_existing);
        // On what is there it costs a transaction group to say it again.
        if !signed.is_empty() {
            Arc::make_mut(&mut of_new).extend(signed.clone());
        }
        let receives = streams.iter().map(|stream| {
            let into = match (&stream.origin, &stream.from) {
                (Some(origin), _) => Into::Clone(origin.clone()),
                (None, None) => Into::New,
                (None, Some(_)) => Into::Existing,
            };
            let properties = match into {
                Into::Existing => &of_existing,
                Into::New | Into::Clone(_) => &of_new,
            };
            Ok(Receive {
                snapshot: stream.to.name.on(&step.target)?,
                properties: Arc::clone(properties),
                into,
                raw: stream.form.raw,
                compressed: stream.form.compressed,
                access: self.access,
            })
        });
        receives.collect()
    }

    /// Sends a stream.
    pub(super) fn transfer<'t>(
        &self,
        step: &'t Step,
        (stream, why): (&'t Stream, &'t Why),
        receive: &Receive,
        ways: &mut Ways<'_>,
    ) -> Result<Sent<'t>, Error> {
        let transfer = Transfer {
            source: &step.source,
            target: &step.target,
            stream,
            why,
            estimate: self.source.estimate(stream).ok().flatten(),
        };
        let copy = self
            .tap
            .open(&step.target, stream)
            .map_err(|source| tap_failed(stream, source))?;
        self.observer.event(&Event::Started(transfer));
        let began = Instant::now();
        let ended = self.flow(transfer, receive, copy, ways)?;
        let Arrived { bytes, guid, unset } = self.verdict(transfer, ended)?;
        Ok(Sent {
            transfer,
            bytes,
            arrived: self.check(stream, &receive.snapshot, guid)?,
            elapsed: began.elapsed(),
            unset,
        })
    }

    /// Lets the stream flow, and returns when nothing flows any more.
    ///
    /// Without a copy and stages there is one pipe, and both of its ends are
    /// in the kernel; with any there are two, and a thread between them.
    fn flow(
        &self,
        transfer: Transfer<'_>,
        receive: &Receive,
        copy: Option<Box<dyn Write + Send>>,
        ways: &mut Ways<'_>,
    ) -> Result<Ended, Error> {
        let stream = transfer.stream;
        let (mut reader, writer) = pipe(stream)?;
        let mut between = None;
        if copy.is_some() || self.stages.any() {
            let copy = copy.unwrap_or_else(|| Box::new(std::io::sink()));
            let (behind, to) = pipe(stream)?;
            let from = std::mem::replace(&mut reader, behind);
            let from = self.stages.behind(from).map_err(|source| Error::Pipe {
                snapshot: stream.to.name.clone(),
                source,
            })?;
            between = Some((from, to, copy));
        }
        let (reader, writer) = (Arc::new(reader), Arc::new(writer));
        let ends = [Arc::downgrade(&reader), Arc::downgrade(&writer)];
        let is_pumped = between.is_some();
        let moved = AtomicU64::new(0);
        let moved = &moved;
        // Each thread drops its sender at its end, so the channel is
        // disconnected when all of them are through.
        let (done, running) = mpsc::channel::<()>();
        let Ways { sending, receiving } = ways;
        Ok(thread::scope(|scope| {
            let done_sending = done.clone();
            let sender = scope.spawn(move || {
                let result = match sending {
                    Some(sending) => sending.send(stream, writer.as_fd()),
                    None => self.source.send(stream, writer.as_fd()),
                };
                // Closed before anything else: it is the stream's end.
                drop(writer);
                drop(done_sending);
                result
            });
            let pumping = between.map(|(from, to, copy)| {
                let done = done.clone();
                scope.spawn(move || {
                    let count = |bytes| {
                        moved.fetch_add(bytes, Ordering::Relaxed);
                    };
                    let result = pump(from, to, copy, count, || self.cancel.is_cancelled());
                    drop(done);
                    result
                })
            });
            let receiver = scope.spawn(move || {
                let result = if let Some(receiving) = receiving {
                    receiving.receive(reader.as_fd())
                } else {
                    self.target.receive(receive, reader.as_fd())
                };
                drop(reader);
                drop(done);
                result
            });
            let mut sent = 0;
            while running.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                if self.cancel.is_cancelled() {
                    break_off(&ends);
                }
                sent = if is_pumped {
                    moved.load(Ordering::Relaxed)
                } else {
                    // A send that is through is unknown to the kernel.
                    let [_, writer] = &ends;
                    self.source.sent(stream, writer).unwrap_or(sent)
                };
                self.observer.event(&Event::Progress {
                    transfer,
                    bytes: sent,
                });
            }
            Ended {
                sent: join(sender),
                received: join(receiver),
                pumped: pumping.map_or(Ok(()), join),
            }
        }))
    }

    /// Which of the errors is the cause, and which only its echo.
    fn verdict(&self, transfer: Transfer<'_>, ended: Ended) -> Result<Arrived, Error> {
        let stream = transfer.stream;
        match ended {
            // A receive that completed is complete, whoever wanted what.
            Ended {
                sent: Ok(()),
                received: Ok(arrived),
                pumped: Ok(()),
            } => Ok(arrived),
            Ended {
                pumped: Err(Stopped::Tap(source)),
                ..
            } => Err(tap_failed(stream, source)),
            // It was cut off, and the sender says why.
            Ended {
                sent: Err(sent),
                pumped: Err(Stopped::Damaged(source)),
                ..
            } if is_cut_off(&source) && !is_echo(&sent) && !self.cancel.is_cancelled() => Err(sent),
            Ended {
                pumped: Err(Stopped::Damaged(source)),
                ..
            } => Err(Error::Damaged {
                snapshot: stream.to.name.clone(),
                source,
            }),
            _ if self.cancel.is_cancelled() => Err(Error::Cancelled {
                snapshot: stream.to.name.clone(),
                target: transfer.target.clone(),
            }),
            // Where the receiver gave up, the sender finds a closed pipe;
            // where the sender gave up, the receiver finds its stream cut off.
            Ended {
                sent: Err(sent),
                received: Err(received),
                ..
            } => Err(if is_echo(&sent) { received } else { sent }),
            Ended {
                sent: Err(error), ..
            }
            | Ended {
                received: Err(error),
                ..
            } => Err(error),
            Ended {
                pumped: Err(Stopped::Cancelled | Stopped::Pipe),
                received: Ok(arrived),
                ..
            } => Ok(arrived),
        }
    }

    /// A resumed stream is named by what the token said, so what arrived is
    /// looked at before a marker is made of it. Whether it is known by now.
    fn check(
        &self,
        stream: &Stream,
        snapshot: &SnapshotName,
        told: Arrival,
    ) -> Result<bool, Error> {
        let found = match told {
            Arrival::Told(guid) => guid,
            Arrival::Ask => self.target.guid(snapshot)?,
            Arrival::Later => return Ok(false),
        };
        if found == stream.to.guid {
            return Ok(true);
        }
        Err(Error::WrongSnapshot {
            snapshot: snapshot.clone(),
            expected: stream.to.guid,
            found,
        })
    }
}

/// Whether a stream is whole as far as it goes.
fn is_cut_off(problem: &std::io::Error) -> bool {
    let problem = problem.get_ref().and_then(|error| error.downcast_ref());
    match problem {
        Some(zfs_stream::Error::Damaged { finding, .. }) => {
            matches!(finding.kind, Kind::MissingEnd | Kind::Empty)
        }
        _ => false,
    }
}

fn is_echo(sent: &Error) -> bool {
    match sent {
        Error::Zfs(error) => error.is_interrupted(),
        Error::NobodyReads { .. } => true,
        _ => false,
    }
}

fn tap_failed(stream: &Stream, source: std::io::Error) -> Error {
    Error::Tap {
        snapshot: stream.to.name.clone(),
        source,
    }
}

fn pipe(stream: &Stream) -> Result<(OwnedFd, OwnedFd), Error> {
    zfs_core::stream_pipe().map_err(|source| Error::Pipe {
        snapshot: stream.to.name.clone(),
        source,
    })
}

fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    match thread.join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
