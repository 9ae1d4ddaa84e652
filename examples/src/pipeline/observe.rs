//! From what planner and executor say to what a run tells.
//!
//! ```text
//! events -> [ failures of this round ] -> records -> reporter
//!                     | another round: they are only its reason
//! ```

use std::sync::{Mutex, MutexGuard, PoisonError};

use zfs_replicate::Error;
use zfs_replicate::execute::{Event, Observer, Transfer};
use zfs_replicate::plan::{Action, Base, Plan, Step};

use super::keep_streams::KeepStreams;
use super::report::{Planned, Record, Reporter, StreamOf};
use crate::exit::sentence;

/// Tells a job's transfers.
pub struct Observed<'a> {
    reporter: &'a Reporter,
    job: &'a str,
    keep: Option<&'a KeepStreams>,
    /// What failed in this round. Only what failed in the last one counts.
    failed: Mutex<Vec<Failure>>,
}

/// What failed, until it is known whether it is tried again.
struct Failure {
    stage: &'static str,
    dataset: String,
    target: String,
    error: String,
    resumable: bool,
}

impl<'a> Observed<'a> {
    /// Of this job.
    pub fn new(
        reporter: &'a Reporter,
        job: &'a str,
        keep: Option<&'a KeepStreams>,
    ) -> Observed<'a> {
        Observed {
            reporter,
            job,
            keep,
            failed: Mutex::default(),
        }
    }
}

impl Observed<'_> {
    fn failed(&self) -> MutexGuard<'_, Vec<Failure>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There is no other round: tells what failed in the last one.
    pub fn end(&self) {
        for failure in self.failed().drain(..) {
            self.tell(&failure.record());
        }
    }

    fn tell(&self, record: &Record<'_>) {
        self.reporter.tell(self.job, record);
    }

    /// Tells what a plan refuses, where nobody carries it out.
    pub fn refused(&self, plan: &Plan) {
        for step in plan.refused() {
            self.event(&Event::Refused { step });
        }
    }
}

impl Observer for Observed<'_> {
    fn wants_total(&self) -> bool {
        self.reporter.bars().is_some()
    }

    fn event(&self, event: &Event<'_>) {
        if let Some(bars) = self.reporter.bars() {
            bars.event(event);
        }
        match event {
            Event::Started(transfer) => {
                let resume = transfer.stream.resume.as_ref();
                self.tell(&Record::Started {
                    stream: stream_of(transfer),
                    estimate: transfer.estimate.unwrap_or(0),
                    resumed_at: resume.map_or(0, |point| point.bytes),
                });
            }
            Event::Progress { transfer, bytes } => self.tell(&Record::Progress {
                dataset: transfer.source.as_str(),
                target: transfer.target.as_str(),
                to: transfer.stream.to.name.as_str(),
                bytes: *bytes,
                estimate: transfer.estimate.unwrap_or(0),
            }),
            Event::Finished {
                transfer,
                bytes,
                elapsed,
            } => self.tell(&Record::Sent {
                stream: stream_of(transfer),
                bytes: *bytes,
                seconds: elapsed.as_secs_f64(),
                copy: self
                    .keep
                    .and_then(|keep| keep.arrived(transfer.target, transfer.stream)),
            }),
            Event::Failed {
                step,
                error,
                resumable,
            } => {
                let failure = Failure::of("replicate", step, error.to_string(), *resumable);
                // The next round does not set it, and would not tell it.
                if matches!(error, Error::NotSet { .. }) {
                    self.tell(&failure.record());
                } else {
                    self.failed().push(failure);
                }
            }
            Event::Refused { step } => {
                let failure = Failure::of("plan", step, step.why.to_string(), false);
                self.failed().push(failure);
            }
            Event::Again { pause } => {
                let failed = std::mem::take(&mut *self.failed());
                self.tell(&Record::Again {
                    seconds: pause.as_secs_f64(),
                    errors: failed.into_iter().map(|failure| failure.error).collect(),
                });
            }
            // What else was done is in the plan that was told before.
            event => tracing::debug!(?event),
        }
    }
}

impl Failure {
    fn of(stage: &'static str, step: &Step, error: String, resumable: bool) -> Failure {
        Failure {
            stage,
            dataset: step.source.to_string(),
            target: step.target.to_string(),
            error,
            resumable,
        }
    }

    fn record(&self) -> Record<'_> {
        Record::Failed {
            stage: self.stage,
            dataset: Some(&self.dataset),
            target: Some(&self.target),
            error: self.error.clone(),
            resumable: self.resumable,
        }
    }
}

fn stream_of<'a>(transfer: &Transfer<'a>) -> StreamOf<'a> {
    let stream = transfer.stream;
    StreamOf {
        dataset: transfer.source.as_str(),
        target: transfer.target.as_str(),
        kind: stream.word(),
        from: stream.from.as_ref().map(|base| base.as_str().to_owned()),
        from_guid: stream.from.as_ref().map(|base| base.guid().to_string()),
        to: stream.to.name.as_str(),
        to_guid: stream.to.guid.to_string(),
        raw: stream.form.raw,
        why: transfer.why.to_string(),
        reason: transfer.why.word(),
    }
}

/// Tells every step of a plan.
pub fn tell_plan(reporter: &Reporter, job: &str, plan: &Plan) {
    for step in &plan.steps {
        reporter.tell(job, &Record::Plan(planned(step)));
    }
}

/// A step as a record.
pub fn planned(step: &Step) -> Planned<'_> {
    let mut planned = Planned {
        step: step.action.word(),
        dataset: step.source.as_str(),
        target: Some(step.target.as_str()),
        what: step.what().to_string(),
        why: step.why.to_string(),
        reason: step.why.word(),
        ..Planned::default()
    };
    match &step.action {
        Action::Send(range) => {
            planned.from = range.base.as_ref().map(|base| base.as_str().to_owned());
            planned.from_guid = range.base.as_ref().map(|base| base.guid().to_string());
            planned.to = range.last().map(|last| last.name.to_string());
            planned.to_guid = range.last().map(|last| last.guid.to_string());
            planned.snapshots = Some(range.snapshots.len());
            planned.raw = Some(range.form.raw);
        }
        Action::Mark(mark) => {
            planned.to = Some(mark.of.as_str().to_owned());
            planned.to_guid = Some(Base::guid(&mark.of).to_string());
        }
        Action::Hold { target, .. } => planned.to = Some(target.to_string()),
        Action::Rollback(rollback) => planned.to = Some(rollback.to.to_string()),
        _ => {}
    }
    planned.destroys = step.destroys().collect();
    planned
}

/// A failure that concerns a whole job or target.
pub fn failed<'a>(
    stage: &'static str,
    dataset: Option<&'a str>,
    target: Option<&'a str>,
    error: impl Into<anyhow::Error>,
) -> Record<'a> {
    Record::Failed {
        stage,
        dataset,
        target,
        error: sentence(&error.into()),
        resumable: false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use zfs_replicate::plan::Why;

    use super::*;
    use crate::pipeline::report::Form;

    #[test]
    fn only_what_fails_in_the_last_round_counts_and_what_nobody_tries_again() {
        let reporter = Reporter::new(Form::Quiet);
        let observed = Observed::new(&reporter, "office", None);
        let step = Step {
            source: "tank".parse().unwrap(),
            target: "vault/t".parse().unwrap(),
            action: Action::Nothing,
            why: Why::NotOnTarget,
        };
        let error = Error::SourceMissing {
            dataset: step.source.clone(),
        };
        let fail = |error: &Error| {
            observed.event(&Event::Failed {
                step: &step,
                error,
                resumable: false,
            });
        };
        fail(&error);
        observed.event(&Event::Refused { step: &step });
        let pause = Duration::from_secs(2);
        observed.event(&Event::Again { pause });
        observed.end();
        assert!(reporter.done(false));
        // It was set in no round, whatever comes after.
        fail(&Error::NotSet {
            dataset: step.target.clone(),
            problems: "quota: permission denied".to_owned(),
        });
        observed.event(&Event::Again { pause });
        assert!(!reporter.done(false));
        assert_eq!(reporter.failures(), 1);
        observed.event(&Event::Refused { step: &step });
        fail(&error);
        observed.end();
        assert_eq!(reporter.failures(), 3);
    }
}
