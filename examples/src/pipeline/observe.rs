//! From what planner and executor say to what a run tells.

use zfs_replicate::execute::{Event, Observer, Transfer};
use zfs_replicate::plan::{Action, Base, Plan, Step};

use super::keep_streams::KeepStreams;
use super::report::{Planned, Record, Reporter, StreamOf};
use crate::exit::sentence;

/// Tells a job's transfers.
pub struct Observed<'a> {
    /// Who is told.
    pub reporter: &'a Reporter,
    /// Which job it is.
    pub job: &'a str,
    /// Who keeps copies.
    pub keep: Option<&'a KeepStreams>,
}

impl Observed<'_> {
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
    fn event(&self, event: &Event<'_>) {
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
            } => self.tell(&Record::Failed {
                stage: "replicate",
                dataset: Some(step.source.as_str()),
                target: Some(step.target.as_str()),
                error: error.to_string(),
                resumable: *resumable,
            }),
            Event::Refused { step } => self.tell(&Record::Failed {
                stage: "plan",
                dataset: Some(step.source.as_str()),
                target: Some(step.target.as_str()),
                error: step.why.to_string(),
                resumable: false,
            }),
            // What else was done is in the plan that was told before.
            event => tracing::debug!(?event),
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
