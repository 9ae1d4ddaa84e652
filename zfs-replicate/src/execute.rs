//! The executor: carries out a plan between two endpoints.
//!
//! ```text
//! source.send -> pipe of 1 MiB -> target.receive -> GUID checked -> marker moved
//!          (with stages or a tap: pipe -> verify -> buffer -> rate -> tap -> pipe)
//! ```
//!
//! Sending and receiving are threads of their own; nothing is copied between
//! them unless somebody asked for a copy. What fails for one dataset stops
//! that dataset, and those below one that could not be made. Where one could
//! not be made, what the source no longer has is kept for this time: it might
//! be the same one under its old name.

mod cancel;
mod event;
mod jobs;
mod marks;
mod pump;
mod retry;
mod stages;
mod transfer;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zfs_core::{DatasetName, SnapshotName};
use zfs_stream::stage::{Limit, Schedule, WeekMinute};

pub use cancel::Cancel;
pub use event::{Event, Observer, Outcome, Transfer};
pub use pump::{NoTap, Tap};
pub use retry::Retries;

use crate::endpoint::{Access, Endpoint, Receive};
use crate::error::Error;
use crate::marker::TargetId;
use crate::plan::{Action, Plan, Range, Step, Stream, Why, signature};
use crate::properties::{Chosen, Properties, REPLICA_PROPERTY};
use crate::tree::Kind;
use marks::{AHEAD, Marks, put_right};
use stages::Stages;
use transfer::{Sent, Ways};

/// Carries out plans between two endpoints.
pub struct Executor<'a> {
    source: &'a dyn Endpoint,
    target: &'a dyn Endpoint,
    observer: &'a dyn Observer,
    tap: &'a dyn Tap,
    cancel: Cancel,
    jobs: usize,
    stages: Stages,
    access: Access,
    properties: Chosen,
    sign: Option<TargetId>,
    hold: Option<String>,
}

impl<'a> Executor<'a> {
    /// Between these two, telling `observer` what happens.
    pub fn new(
        source: &'a dyn Endpoint,
        target: &'a dyn Endpoint,
        observer: &'a dyn Observer,
    ) -> Executor<'a> {
        Executor {
            source,
            target,
            observer,
            tap: &NoTap,
            cancel: Cancel::new(),
            jobs: 1,
            stages: Stages::default(),
            access: Access::default(),
            properties: Chosen::default(),
            sign: None,
            hold: None,
        }
    }

    /// Gives a copy of each stream to `tap`.
    #[must_use]
    pub fn tap(mut self, tap: &'a dyn Tap) -> Executor<'a> {
        self.tap = tap;
        self
    }

    /// Stops when `cancel` says so.
    #[must_use]
    pub fn cancel(mut self, cancel: Cancel) -> Executor<'a> {
        self.cancel = cancel;
        self
    }

    /// Works on up to so many datasets at once, as far as both ends take
    /// them: the largest first.
    #[must_use]
    pub fn jobs(mut self, jobs: usize) -> Executor<'a> {
        self.jobs = jobs.max(1);
        self
    }

    /// Whether new datasets can be written to.
    #[must_use]
    pub fn access(mut self, access: Access) -> Executor<'a> {
        self.access = access;
        self
    }

    /// Sets these properties on the replicas.
    #[must_use]
    pub fn properties(mut self, properties: Chosen) -> Executor<'a> {
        self.properties = properties;
        self
    }

    /// Says on every new replica whose it is: of this target, as the markers
    /// call it, and of the source's topmost dataset
    /// ([`REPLICA_PROPERTY`]).
    #[must_use]
    pub fn sign(mut self, target: TargetId) -> Executor<'a> {
        self.sign = Some(target);
        self
    }

    /// Keeps a hold of this tag on the newest common snapshot, on both sides.
    #[must_use]
    pub fn hold(mut self, tag: impl Into<String>) -> Executor<'a> {
        self.hold = Some(tag.into());
        self
    }

    /// Checks every stream on its way: what is damaged does not arrive.
    #[must_use]
    pub fn verify(mut self) -> Executor<'a> {
        self.stages.verify = true;
        self
    }

    /// Reads each stream ahead by up to so many bytes, so that a receiver that
    /// has to wait for its disks does not keep the sender waiting.
    #[must_use]
    pub fn buffer(mut self, bytes: usize) -> Executor<'a> {
        self.stages.buffer = Some(bytes);
        self
    }

    /// Sends no faster than that, all streams together.
    #[must_use]
    pub fn limit(mut self, limit: Limit) -> Executor<'a> {
        self.stages.limit = Some(limit);
        self
    }

    /// Sends no faster, all streams together, than a schedule says for the
    /// minute of the week, which `now` tells.
    #[must_use]
    pub fn schedule(
        mut self,
        schedule: Schedule,
        now: impl Fn() -> WeekMinute + Send + Sync + 'static,
    ) -> Executor<'a> {
        self.stages.schedule = Some((schedule, Arc::new(now), Limit::default()));
        self
    }

    /// Does every step, or as many as can be done.
    ///
    /// What went wrong is told to the observer and counted in the outcome.
    pub fn run(&self, plan: &Plan) -> Outcome {
        if self.observer.wants_total() {
            self.observer.event(&self.total(plan));
        }
        let sign = self.sign.iter().map(|target| {
            let value = signature(target, plan.source);
            (REPLICA_PROPERTY.to_owned(), value)
        });
        let run = Run {
            executor: self,
            signed: sign.collect(),
            state: Mutex::new(State::default()),
        };
        let jobs = self
            .jobs
            .min(self.source.streams())
            .min(self.target.streams());
        for part in jobs::parts(&plan.steps) {
            match part {
                jobs::Part::Alone(step) => run.steps(&[step]),
                jobs::Part::Together(groups) if jobs == 1 => {
                    for group in &groups {
                        run.steps(&group.steps);
                    }
                }
                jobs::Part::Together(groups) => run.together(&groups, jobs),
            }
        }
        run.state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .outcome
    }
}

impl Executor<'_> {
    /// How much a plan is.
    fn total(&self, plan: &Plan) -> Event<'static> {
        let ranges = plan.steps.iter().filter_map(|step| match &step.action {
            Action::Send(range) => Some(range),
            _ => None,
        });
        let (mut streams, mut estimate) = (0, Some(0_u64));
        for stream in ranges.flat_map(Range::streams) {
            streams += 1;
            estimate = estimate.and_then(|sum| {
                let one = self.source.estimate(&stream).ok().flatten()?;
                Some(sum.saturating_add(one))
            });
        }
        Event::Begun { streams, estimate }
    }
}

#[derive(Default)]
struct State<'e> {
    outcome: Outcome,
    /// Targets whose steps so far failed: those that follow rely on them.
    stopped: HashSet<&'e DatasetName>,
    /// Targets that should exist by now and do not.
    not_made: Vec<&'e DatasetName>,
}

struct Run<'a, 'e> {
    executor: &'e Executor<'a>,
    /// What says on a new replica whose it is.
    signed: Properties,
    state: Mutex<State<'e>>,
}

impl<'e> Run<'_, 'e> {
    fn state(&self) -> MutexGuard<'_, State<'e>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Steps that depend on each other.
    fn steps(&self, steps: &[&'e Step]) {
        for step in steps {
            if self.executor.cancel.is_cancelled() {
                self.state().outcome.cancelled = true;
                return;
            }
            self.step(step);
        }
    }

    fn step(&self, step: &'e Step) {
        if !step.action.is_work() {
            if step.action == Action::Refuse {
                self.state().outcome.refused += 1;
                self.executor.observer.event(&Event::Refused { step });
            }
            return;
        }
        if self.state().stopped.contains(&step.target) {
            return;
        }
        let missing = self.missing(step);
        let result = match missing {
            _ if self.gives_too_little(step) => Err(Error::NotPromoted {
                target: step.target.clone(),
            }),
            Some(missing) if step.why == Why::Retired => Err(Error::NotRetired {
                target: step.target.clone(),
                missing: missing.clone(),
            }),
            Some(parent) => Err(Error::ParentFailed {
                target: step.target.clone(),
                parent: parent.clone(),
            }),
            None => self.act(step),
        };
        let Err(error) = result else {
            return;
        };
        let sends = matches!(step.action, Action::Send(_));
        let resumable = sends && self.executor.target.has_partial(&step.target);
        let makes = match &step.action {
            Action::Create | Action::Clone { .. } | Action::Rename { .. } => true,
            Action::Send(range) => range.base.is_none() || range.origin.is_some(),
            _ => false,
        };
        let mut state = self.state();
        // What a marker or a hold is wanting holds up no data.
        let is_data = !matches!(step.action, Action::Mark(_) | Action::Hold { .. })
            && !matches!(error, Error::NotMarked { .. });
        if is_data {
            state.stopped.insert(&step.target);
        }
        if makes && is_data {
            state.not_made.push(&step.target);
        }
        if matches!(error, Error::Cancelled { .. }) {
            state.outcome.cancelled = true;
        } else {
            state.outcome.failed += 1;
            state.outcome.may_pass += u64::from(error.is_transient());
        }
        drop(state);
        self.executor.observer.event(&Event::Failed {
            step,
            error: &error,
            resumable,
        });
    }

    /// What the step relies on and is not there: something above it, or what
    /// it is a clone of; before something is retired, anything.
    fn missing(&self, step: &Step) -> Option<&'e DatasetName> {
        let origin = match &step.action {
            Action::Clone { origin, .. } => Some(origin.dataset()),
            Action::Send(range) => range.origin.as_ref().map(SnapshotName::dataset),
            _ => None,
        };
        let state = self.state();
        let mut missing = state.not_made.iter();
        missing
            .find(|made| {
                step.why == Why::Retired
                    || step.target.is_descendant_of(made)
                    || origin == Some(**made)
            })
            .copied()
    }

    /// Whether a dataset would be left without a snapshot: what it was to get
    /// did not arrive, and what it has goes to the clone that is promoted.
    fn gives_too_little(&self, step: &Step) -> bool {
        match &step.action {
            Action::Promote { from } => self.state().stopped.contains(from),
            _ => false,
        }
    }

    fn act(&self, step: &Step) -> Result<(), Error> {
        let Executor {
            source,
            target,
            observer,
            ..
        } = self.executor;
        match &step.action {
            Action::Create => {
                target.create(&step.target)?;
                observer.event(&Event::Created { step });
                Ok(())
            }
            Action::Abort => {
                target.abort_receive(&step.target)?;
                observer.event(&Event::Aborted { step });
                Ok(())
            }
            Action::Rename { from } => {
                target.rename(from, &step.target)?;
                observer.event(&Event::Changed { step });
                Ok(())
            }
            Action::Clone { origin, kind } => {
                let mut properties = self.signed.clone();
                if *kind == Kind::Filesystem {
                    // zfs(8) mounts what it clones.
                    properties.insert("canmount".to_owned(), "noauto".to_owned());
                }
                target.clone_snapshot(origin, &step.target, &properties)?;
                observer.event(&Event::Changed { step });
                Ok(())
            }
            Action::Promote { .. } => {
                target.promote(&step.target)?;
                observer.event(&Event::Changed { step });
                Ok(())
            }
            Action::Rollback(rollback) => {
                self.release(&rollback.destroy)?;
                target.rollback(rollback)?;
                observer.event(&Event::Changed { step });
                Ok(())
            }
            Action::Destroy { snapshots } => {
                self.release(snapshots)?;
                target.destroy(&step.target, snapshots)?;
                observer.event(&Event::Changed { step });
                Ok(())
            }
            Action::Mark(mark) => {
                put_right(*source, mark)?;
                observer.event(&Event::Marked { step });
                Ok(())
            }
            Action::Hold {
                tag,
                source: here,
                target: there,
            } => {
                // What the target has must not go before the source knows.
                target.hold(there, tag)?;
                here.as_ref()
                    .map_or(Ok(()), |here| source.hold(here, tag))?;
                observer.event(&Event::Held { step });
                Ok(())
            }
            Action::Send(range) => self.send(step, range),
            Action::Nothing | Action::Refuse => Ok(()),
        }
    }

    fn send(&self, step: &Step, range: &Range) -> Result<(), Error> {
        let mut last = None;
        let sent = self.streams(step, range, &mut last);
        // No channel is taken any more by the streams.
        let held = last.map_or(Ok(()), |last| self.hold(step, &last));
        sent.and(held)
    }

    fn streams(&self, step: &Step, range: &Range, last: &mut Option<Stream>) -> Result<(), Error> {
        let Executor { source, target, .. } = self.executor;
        let streams: Vec<Stream> = range.streams().collect();
        let receives = self.executor.receives(step, &streams, &self.signed)?;
        let whys = whys(step, &receives);
        let mut ways = Ways {
            sending: source.sending(range)?,
            receiving: target.receiving(&receives)?,
        };
        let mut marks = Marks::new(*source, &step.source, range.marker.clone());
        let mut on_the_way = Vec::new();
        let mut sent_all = Ok(());
        let mut unset = Vec::new();
        let with_why = streams.iter().zip(&whys).zip(&receives);
        for (index, ((stream, why), receive)) in with_why.enumerate() {
            if index % AHEAD == 0 {
                marks.advance();
                marks.sending(streams.iter().skip(index).take(AHEAD));
            }
            let mut sent = match self
                .executor
                .transfer(step, (stream, why), receive, &mut ways)
            {
                Ok(sent) => sent,
                Err(error) => {
                    sent_all = Err(error);
                    break;
                }
            };
            let arrived = sent.arrived;
            unset.append(&mut sent.unset);
            on_the_way.push(sent);
            // What may never arrive is not told of, and no marker moves to it.
            if !arrived {
                continue;
            }
            for sent in on_the_way.drain(..) {
                self.finished(&sent);
            }
            marks.arrived(stream);
            *last = Some(stream.clone());
        }
        if !unset.is_empty() {
            self.not_set(step, &unset);
        }
        let marked = marks.end();
        sent_all.and(marked)
    }

    /// Told by itself, whatever else fails: the data is there, and nobody would
    /// try again.
    fn not_set(&self, step: &Step, problems: &[String]) {
        self.state().outcome.unset += 1;
        let error = Error::NotSet {
            dataset: step.target.clone(),
            problems: problems.join("; "),
        };
        self.executor.observer.event(&Event::Failed {
            step,
            error: &error,
            resumable: false,
        });
    }

    fn finished(&self, sent: &Sent<'_>) {
        let mut state = self.state();
        state.outcome.streams += 1;
        state.outcome.bytes += sent.bytes;
        drop(state);
        self.executor.observer.event(&Event::Finished {
            transfer: sent.transfer,
            bytes: sent.bytes,
            elapsed: sent.elapsed,
        });
    }

    /// Takes our own holds off what is about to be destroyed on the target.
    fn release(&self, snapshots: &[SnapshotName]) -> Result<(), Error> {
        let Some(tag) = &self.executor.hold else {
            return Ok(());
        };
        let snapshots: Vec<&SnapshotName> = snapshots.iter().collect();
        self.executor.target.release(&snapshots, tag)
    }

    /// The target's first: what it has must not go before the source knows.
    fn hold(&self, step: &Step, stream: &Stream) -> Result<(), Error> {
        let Some(tag) = &self.executor.hold else {
            return Ok(());
        };
        let arrived = stream.to.name.on(&step.target)?;
        self.executor.target.hold(&arrived, tag)?;
        self.executor.source.hold(&stream.to.name, tag)
    }
}

/// Why each stream of a step goes: the first for what the step says, and the
/// others because what they build on is there by then.
fn whys(step: &Step, receives: &[Receive]) -> Vec<Why> {
    let before = receives.iter().map(|receive| Why::Younger {
        newest: receive.snapshot.clone(),
    });
    std::iter::once(step.why.clone()).chain(before).collect()
}

#[cfg(test)]
mod tests;
