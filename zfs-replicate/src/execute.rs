//! The executor: carries out a plan between two endpoints.
//!
//! ```text
//! source.send -> pipe of 1 MiB -> target.receive -> GUID checked -> marker moved
//!                  (with a tap: pipe -> pump -> pipe, and a copy to the tap)
//! ```
//!
//! Sending and receiving are threads of their own; nothing is copied between
//! them unless somebody asked for a copy. What fails for one dataset stops
//! that dataset, and those below one that could not be made.

mod cancel;
mod event;
mod pump;
mod transfer;

use std::collections::HashSet;

use zfs_core::{BookmarkName, DatasetName};

pub use cancel::Cancel;
pub use event::{Event, Observer, Outcome, Transfer};
pub use pump::{NoTap, Tap};

use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::plan::{Action, Base, Mark, MarkerMove, Plan, Range, Step, Stream};

/// Carries out plans between two endpoints.
pub struct Executor<'a> {
    source: &'a dyn Endpoint,
    target: &'a dyn Endpoint,
    observer: &'a dyn Observer,
    tap: &'a dyn Tap,
    cancel: Cancel,
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

    /// Does every step, or as many as can be done.
    ///
    /// What went wrong is told to the observer and counted in the outcome.
    pub fn run(&self, plan: &Plan) -> Outcome {
        let mut run = Run {
            executor: self,
            outcome: Outcome::default(),
            stopped: HashSet::new(),
            not_made: Vec::new(),
        };
        for step in &plan.steps {
            if self.cancel.is_cancelled() {
                run.outcome.cancelled = true;
                break;
            }
            run.step(step);
        }
        run.outcome
    }
}

struct Run<'a, 'e> {
    executor: &'e Executor<'a>,
    outcome: Outcome,
    /// Targets whose steps so far failed: those that follow rely on them.
    stopped: HashSet<&'e DatasetName>,
    /// Targets that should exist by now and do not.
    not_made: Vec<&'e DatasetName>,
}

impl<'e> Run<'_, 'e> {
    fn step(&mut self, step: &'e Step) {
        if !step.action.is_work() {
            if step.action == Action::Refuse {
                self.outcome.refused += 1;
                self.executor.observer.event(&Event::Refused { step });
            }
            return;
        }
        if self.stopped.contains(&step.target) {
            return;
        }
        let result = match self.missing_parent(step) {
            Some(parent) => Err(Error::ParentFailed {
                target: step.target.clone(),
                parent: parent.clone(),
            }),
            None => self.act(step),
        };
        let Err(error) = result else {
            return;
        };
        self.stopped.insert(&step.target);
        let makes = match &step.action {
            Action::Create => true,
            Action::Send(range) => range.base.is_none(),
            _ => false,
        };
        if makes {
            self.not_made.push(&step.target);
        }
        if matches!(error, Error::Cancelled { .. }) {
            self.outcome.cancelled = true;
        } else {
            self.outcome.failed += 1;
        }
        let sends = matches!(step.action, Action::Send(_));
        let resumable = sends && self.executor.target.has_partial(&step.target);
        self.executor.observer.event(&Event::Failed {
            step,
            error: &error,
            resumable,
        });
    }

    fn missing_parent(&self, step: &Step) -> Option<&'e DatasetName> {
        self.not_made
            .iter()
            .find(|parent| step.target.is_descendant_of(parent))
            .copied()
    }

    fn act(&mut self, step: &Step) -> Result<(), Error> {
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
            Action::Clone { origin } => {
                target.clone_snapshot(origin, &step.target)?;
                observer.event(&Event::Changed { step });
                Ok(())
            }
            Action::Promote => {
                target.promote(&step.target)?;
                observer.event(&Event::Changed { step });
                Ok(())
            }
            Action::Rollback(rollback) => {
                target.rollback(rollback)?;
                observer.event(&Event::Changed { step });
                Ok(())
            }
            Action::Destroy { snapshots } => {
                target.destroy(&step.target, snapshots)?;
                observer.event(&Event::Changed { step });
                Ok(())
            }
            Action::Mark(mark) => {
                put_right(*source, mark)?;
                observer.event(&Event::Marked { step });
                Ok(())
            }
            Action::Send(range) => self.send(step, range),
            Action::Nothing | Action::Refuse => Ok(()),
        }
    }

    fn send(&mut self, step: &Step, range: &Range) -> Result<(), Error> {
        let mut marker = range.marker.clone();
        for stream in range.streams() {
            let bytes = self.executor.transfer(step, &stream)?;
            self.outcome.streams += 1;
            self.outcome.bytes += bytes;
            if let Some(marker) = &mut marker {
                self.advance(step, marker, &stream)?;
            }
        }
        Ok(())
    }

    fn advance(&self, step: &Step, marker: &mut MarkerMove, stream: &Stream) -> Result<(), Error> {
        let advance = marker.advance(&step.source, stream.to.guid)?;
        let mark = Mark {
            of: Base::Snapshot {
                name: stream.to.name.clone(),
                guid: stream.to.guid,
            },
            create: advance.create,
            destroy: advance.destroy,
        };
        put_right(self.executor.source, &mark)
    }
}

/// The new marker before the old one goes: there is never a moment without.
fn put_right(source: &dyn Endpoint, mark: &Mark) -> Result<(), Error> {
    if let Some(name) = &mark.create {
        source.bookmark(&mark.of, name)?;
    }
    let stale: &[BookmarkName] = &mark.destroy;
    if stale.is_empty() {
        return Ok(());
    }
    source.destroy_bookmarks(stale)
}

#[cfg(test)]
mod tests;
