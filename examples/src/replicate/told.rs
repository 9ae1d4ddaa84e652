//! What our own way says while it works: to people, or to machines.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{BinaryBytes, MultiProgress};
use jiff::SignedDuration;
use serde::Serialize;
use zfs_replicate::execute::{Event, Observer, Outcome};
use zfs_replicate::plan::{Action, Plan, Step, Why};

use super::arguments::Arguments;
use super::bars::Bars;
use crate::output::duration;
use crate::pipeline::observe::planned;

/// Says what is done: to people, or to machines.
pub struct Told {
    json: bool,
    quiet: bool,
    verbose: bool,
    /// What to do about a target that was written to, where that is known.
    if_written_to: &'static str,
    bars: Option<Bars>,
    since: Instant,
}

/// What went in how long, and how fast where that says something.
fn summary(streams: u64, bytes: u64, took: Duration) -> String {
    let plural = if streams == 1 { "" } else { "s" };
    let length = duration(SignedDuration::try_from(took).unwrap_or_default());
    let rate = bytes.checked_div(took.as_secs());
    let rate = rate.map_or(String::new(), |rate| format!(", {}/s", BinaryBytes(rate)));
    format!(
        "{streams} stream{plural}, {} in {length}{rate}",
        BinaryBytes(bytes)
    )
}

/// What happened, for machines.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Record<'a> {
    Plan(crate::pipeline::report::Planned<'a>),
    Sent {
        dataset: &'a str,
        target: &'a str,
        snapshot: &'a str,
        guid: String,
        kind: &'a str,
        why: String,
        reason: &'a str,
        bytes: u64,
        seconds: f64,
    },
    Failed {
        dataset: &'a str,
        target: &'a str,
        error: String,
        resumable: bool,
    },
    Again {
        seconds: f64,
    },
    Done {
        ok: bool,
        interrupted: bool,
        streams: u64,
        bytes: u64,
        failed: u64,
        unset: u64,
        refused: u64,
        seconds: f64,
    },
}

impl Record<'_> {
    fn done(outcome: &Outcome, took: Duration) -> Record<'static> {
        Record::Done {
            ok: outcome.is_ok(),
            interrupted: outcome.cancelled,
            streams: outcome.streams,
            bytes: outcome.bytes,
            failed: outcome.failed,
            unset: outcome.unset,
            refused: outcome.refused,
            seconds: took.as_secs_f64(),
        }
    }
}

impl Told {
    /// As much as was asked for.
    pub fn new(arguments: &Arguments) -> Told {
        let bars = !arguments.json && !arguments.quiet && std::io::stderr().is_terminal();
        Told {
            json: arguments.json,
            quiet: arguments.quiet,
            verbose: arguments.debug,
            if_written_to: if arguments.restore || arguments.forced_command {
                ""
            } else {
                "; --rollback takes it back, and loses what was written there since"
            },
            bars: bars.then(|| Bars::on(MultiProgress::new())),
            since: Instant::now(),
        }
    }

    fn say(&self, text: &str) {
        if self.json || self.quiet {
            return;
        }
        match &self.bars {
            Some(bars) => bars.beside(|| println!("{text}")),
            None => println!("{text}"),
        }
    }

    fn record(&self, record: &Record<'_>) {
        if !self.json {
            return;
        }
        match serde_json::to_string(record) {
            Ok(line) => println!("{line}"),
            Err(error) => tracing::warn!(%error, "cannot be told"),
        }
    }

    /// Tells all of a plan.
    pub fn plan(&self, plan: &Plan) {
        for step in &plan.steps {
            self.record(&Record::Plan(planned(step)));
            if step.why != Why::Excluded || self.verbose {
                self.say(&step.to_string());
            }
        }
        if plan.steps.is_empty() {
            self.say("nothing to do");
        }
    }

    /// Tells machines what is about to be done, and people what is about to be
    /// lost and what is left as it is; of the rest they are told as it is done.
    pub fn begin(&self, plan: &Plan) {
        if self.json {
            self.plan(plan);
        }
        for step in &plan.steps {
            let is_left = step.action == Action::Nothing
                && !matches!(step.why, Why::Excluded | Why::UpToDate { .. });
            if step.is_loss() || is_left {
                self.say(&step.to_string());
            }
        }
    }

    /// Tells what came of it.
    pub fn end(&self, something: bool, outcome: &Outcome) {
        if let Some(bars) = &self.bars {
            bars.end();
        }
        let took = self.since.elapsed();
        self.record(&Record::done(outcome, took));
        if outcome.cancelled {
            eprintln!("stopped on request; what was received is kept, and the next run goes on");
        }
        if something || outcome.cancelled {
            self.say(&summary(outcome.streams, outcome.bytes, took));
        } else {
            self.say("nothing to do");
        }
    }

    fn failed(&self, step: &Step, error: &str, resumable: bool) {
        self.record(&Record::Failed {
            dataset: step.source.as_str(),
            target: step.target.as_str(),
            error: error.to_owned(),
            resumable,
        });
        if !self.json {
            let again = if resumable {
                " (run again to go on)"
            } else {
                ""
            };
            let text = format!("{} to {}: {error}{again}", step.source, step.target);
            match &self.bars {
                Some(bars) => bars.beside(|| eprintln!("{text}")),
                None => eprintln!("{text}"),
            }
        }
    }
}

impl Observer for Told {
    fn wants_total(&self) -> bool {
        self.bars.is_some()
    }

    fn event(&self, event: &Event<'_>) {
        if let Some(bars) = &self.bars {
            bars.event(event);
        }
        match event {
            Event::Failed {
                step,
                error,
                resumable,
            } => {
                let mut text = error.to_string();
                if error.is_written_to() {
                    text.push_str(self.if_written_to);
                }
                self.failed(step, &text, *resumable);
            }
            Event::Refused { step } => self.failed(step, &step.why.to_string(), false),
            _ => {}
        }
        if let Some(record) = record(event) {
            self.record(&record);
        }
        if let Some(text) = sentence(event) {
            self.say(&text);
        }
    }
}

/// What happened, for machines; what failed is told apart.
fn record<'a>(event: &Event<'a>) -> Option<Record<'a>> {
    match event {
        Event::Finished {
            transfer,
            bytes,
            elapsed,
        } => Some(Record::Sent {
            dataset: transfer.source.as_str(),
            target: transfer.target.as_str(),
            snapshot: transfer.stream.to.name.as_str(),
            guid: transfer.stream.to.guid.to_string(),
            kind: transfer.stream.word(),
            why: transfer.why.to_string(),
            reason: transfer.why.word(),
            bytes: *bytes,
            seconds: elapsed.as_secs_f64(),
        }),
        Event::Again { pause } => Some(Record::Again {
            seconds: pause.as_secs_f64(),
        }),
        _ => None,
    }
}

/// What happens and why, for people; what failed is told apart.
fn sentence(event: &Event<'_>) -> Option<String> {
    match event {
        Event::Started(transfer) => Some(format!(
            "{} {} to {}: {}",
            transfer.stream.word(),
            transfer.stream.to.name,
            transfer.target,
            transfer.why
        )),
        Event::Again { pause } => Some(format!("trying again in {} s", pause.as_secs())),
        // In full it was said before.
        Event::Changed { step } if step.is_loss() => {
            Some(format!("{} of {}: done", step.action.word(), step.target))
        }
        Event::Changed { step }
        | Event::Created { step }
        | Event::Aborted { step }
        | Event::Held { step }
        | Event::Marked { step } => Some(step.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use zfs_core::{DatasetName, Guid, SnapshotName, Txg};
    use zfs_replicate::execute::Transfer;
    use zfs_replicate::plan::{Base, Mark, Rollback, Stream};
    use zfs_replicate::tree::{Snapshot, StreamForm};

    use super::*;

    fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
        text.parse().unwrap()
    }

    fn step(action: Action, why: Why) -> Step {
        Step {
            source: name("tank/a"),
            target: name("vault/a"),
            action,
            why,
        }
    }

    fn stream() -> Stream {
        Stream {
            from: None,
            origin: None,
            to: Snapshot {
                name: name("tank/a@x"),
                guid: Guid(u64::MAX),
                createtxg: Txg(1),
                creation: None,
                ivset: None,
            },
            form: StreamForm::default(),
            resume: None,
        }
    }

    /// Calls `with` with a stream on its way.
    fn on_its_way<R>(with: impl FnOnce(Transfer<'_>) -> R) -> R {
        let (source, target): (DatasetName, DatasetName) = (name("tank/a"), name("vault/a"));
        with(Transfer {
            source: &source,
            target: &target,
            stream: &stream(),
            why: &Why::NotOnTarget,
            estimate: None,
        })
    }

    #[test]
    fn whatever_is_done_is_told_with_its_reason() {
        let destroyed: SnapshotName = name("vault/a@y");
        let rollback = Action::Rollback(Rollback {
            to: name("vault/a@x"),
            destroy: vec![destroyed],
        });
        let create = step(Action::Create, Why::NotOnTarget);
        let rename = Action::Rename {
            from: name("vault/b"),
        };
        let rename = step(rename, Why::RenamedOnSource);
        let abort = step(Action::Abort, Why::Diverged);
        let mark = Action::Mark(Mark {
            of: Base::Snapshot {
                name: name("tank/a@x"),
                guid: Guid(1),
            },
            create: Some(name("tank/a#m")),
            destroy: Vec::new(),
        });
        let mark = step(mark, Why::MarkerMissing);
        for (event, step) in [
            (Event::Created { step: &create }, &create),
            (Event::Changed { step: &rename }, &rename),
            (Event::Aborted { step: &abort }, &abort),
            (Event::Marked { step: &mark }, &mark),
        ] {
            let text = sentence(&event).unwrap();
            assert_eq!(text, format!("{}: {}", step.what(), step.why));
        }
        let started = on_its_way(|transfer| sentence(&Event::Started(transfer)));
        assert_eq!(
            started.unwrap(),
            "full tank/a@x to vault/a: the target does not have it yet"
        );
        // The reason, and what goes, were told before anything began.
        let back = step(rollback, Why::Diverged);
        let text = sentence(&Event::Changed { step: &back }).unwrap();
        assert_eq!(text, "rollback of vault/a: done");
    }

    #[test]
    fn a_stream_that_arrived_has_the_documented_fields() {
        let record = on_its_way(|transfer| {
            let record = record(&Event::Finished {
                transfer,
                bytes: 5,
                elapsed: Duration::from_millis(250),
            });
            serde_json::to_value(record.unwrap()).unwrap()
        });
        assert_eq!(
            record,
            serde_json::json!({
                "event": "sent", "dataset": "tank/a", "target": "vault/a", "snapshot": "tank/a@x",
                "guid": "18446744073709551615", "kind": "full",
                "why": "the target does not have it yet", "reason": "not-on-target",
                "bytes": 5, "seconds": 0.25,
            })
        );
    }

    #[test]
    fn the_end_has_what_came_of_it_field_by_field() {
        let outcome = Outcome {
            streams: 1,
            bytes: 2,
            failed: 3,
            may_pass: 1,
            unset: 4,
            refused: 5,
            cancelled: true,
        };
        let json = |outcome: &Outcome| {
            let record = Record::done(outcome, Duration::from_millis(1500));
            serde_json::to_value(record).unwrap()
        };
        assert_eq!(
            json(&outcome),
            serde_json::json!({
                "event": "done", "ok": false, "interrupted": true, "streams": 1, "bytes": 2,
                "failed": 3, "unset": 4, "refused": 5, "seconds": 1.5,
            })
        );
        let well = Outcome {
            streams: 1,
            bytes: 2,
            ..Outcome::default()
        };
        assert_eq!(json(&well)["ok"], true);
        assert_eq!(json(&well)["interrupted"], false);
        for not_well in [
            Outcome { failed: 1, ..well },
            Outcome { unset: 1, ..well },
            Outcome { refused: 1, ..well },
            Outcome {
                cancelled: true,
                ..well
            },
        ] {
            assert_eq!(json(&not_well)["ok"], false, "{not_well:?}");
        }
    }

    #[test]
    fn a_run_says_how_much_went_in_how_long() {
        let seconds = Duration::from_secs;
        assert_eq!(summary(1, 512, Duration::ZERO), "1 stream, 512 B in 0s");
        let text = summary(12, 90 << 20, seconds(90));
        assert_eq!(text, "12 streams, 90.00 MiB in 1m 30s, 1.00 MiB/s");
    }
}
