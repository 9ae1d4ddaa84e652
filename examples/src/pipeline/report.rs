//! What a run tells: lines of JSON for machines, text for people.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use indicatif::MultiProgress;
use jiff::Timestamp;
use serde::Serialize;

use super::table::{Row, Table, bytes_text};
use crate::replicate::bars::Bars;

/// How a run tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// An object per line on stdout.
    Json,
    /// Text on stdout; what failed on stderr.
    Text,
    /// Text, with every step of every plan.
    Verbose,
    /// Only what failed, on stderr.
    Quiet,
}

/// One thing to tell.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Record<'a> {
    /// A snapshot was taken.
    Snapshot {
        /// Of which dataset.
        dataset: &'a str,
        /// Its whole name.
        snapshot: &'a str,
        /// Its GUID.
        guid: String,
    },
    /// Something is about to be done, or would be.
    Plan(Planned<'a>),
    /// A stream begins.
    Started {
        /// Which.
        #[serde(flatten)]
        stream: StreamOf<'a>,
        /// How many bytes it will have; 0 where nobody knows.
        estimate: u64,
        /// How many bytes of it the target has already.
        resumed_at: u64,
    },
    /// A stream goes on.
    Progress {
        /// The dataset on the source.
        dataset: &'a str,
        /// The dataset on the target.
        target: &'a str,
        /// The snapshot that is sent.
        to: &'a str,
        /// How many bytes were sent.
        bytes: u64,
        /// How many there will be; 0 where nobody knows.
        estimate: u64,
    },
    /// A stream arrived.
    Sent {
        /// Which.
        #[serde(flatten)]
        stream: StreamOf<'a>,
        /// How many bytes it had.
        bytes: u64,
        /// How long it took.
        seconds: f64,
        /// Where its copy is.
        #[serde(rename = "stream")]
        copy: Option<String>,
    },
    /// A snapshot was destroyed.
    Destroyed {
        /// The dataset it was in.
        dataset: &'a str,
        /// Its whole name.
        snapshot: &'a str,
        /// Its GUID.
        guid: String,
        /// Why.
        why: String,
    },
    /// Something failed.
    Failed {
        /// When: `snapshot`, `list`, `plan`, `replicate` or `prune`.
        stage: &'static str,
        /// The dataset on the source.
        dataset: Option<&'a str>,
        /// The dataset on the target.
        target: Option<&'a str>,
        /// What happened.
        error: String,
        /// Whether the next run goes on where this one stopped.
        resumable: bool,
    },
    /// What may pass is tried again.
    Again {
        /// The pause before.
        seconds: f64,
        /// What failed.
        errors: Vec<String>,
    },
    /// The end.
    Done {
        /// Whether nothing failed and nothing was refused.
        ok: bool,
        /// Whether it was stopped on request.
        interrupted: bool,
        /// How many snapshots were taken.
        snapshots: u64,
        /// How many streams arrived.
        streams: u64,
        /// How many bytes they had.
        bytes: u64,
        /// How many snapshots were destroyed.
        destroyed: u64,
        /// How many things failed.
        failed: u64,
        /// How long it took.
        seconds: f64,
    },
}

/// A step that is about to be done, or would be.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Planned<'a> {
    /// What kind of step.
    pub step: &'a str,
    /// The dataset that it is about.
    pub dataset: &'a str,
    /// The dataset on the target, if one is concerned.
    pub target: Option<&'a str>,
    /// What, in a sentence.
    pub what: String,
    /// Why, in a sentence.
    pub why: String,
    /// Why, in a word.
    pub reason: &'a str,
    /// What an increment starts from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Its GUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_guid: Option<String>,
    /// The last snapshot of a range, or the one that is concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Its GUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_guid: Option<String>,
    /// How many snapshots the range has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<usize>,
    /// Whether it is sent raw.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<bool>,
    /// The datasets and snapshots that are destroyed, all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub destroys: Vec<&'a str>,
}

/// What identifies a stream.
#[derive(Clone, Debug, Serialize)]
pub struct StreamOf<'a> {
    /// The dataset on the source.
    pub dataset: &'a str,
    /// The dataset on the target.
    pub target: &'a str,
    /// `full`, `incremental` or `resume`.
    pub kind: &'a str,
    /// What it is an increment on.
    pub from: Option<String>,
    /// The GUID of that.
    pub from_guid: Option<String>,
    /// The snapshot that it brings.
    pub to: &'a str,
    /// The GUID of that.
    pub to_guid: String,
    /// Whether it is raw.
    pub raw: bool,
    /// Why it goes, in a sentence.
    pub why: String,
    /// Why, in a word.
    pub reason: &'a str,
}

impl Record<'_> {
    fn event(&self) -> &'static str {
        match self {
            Record::Snapshot { .. } => "snapshot",
            Record::Plan(_) => "plan",
            Record::Started { .. } => "started",
            Record::Progress { .. } => "progress",
            Record::Sent { .. } => "sent",
            Record::Destroyed { .. } => "destroyed",
            Record::Failed { .. } => "failed",
            Record::Again { .. } => "again",
            Record::Done { .. } => "done",
        }
    }
}

/// What stands in one line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    event: &'static str,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<&'a str>,
    #[serde(flatten)]
    record: &'a Record<'a>,
}

#[derive(Debug, Default)]
struct Counts {
    snapshots: u64,
    streams: u64,
    bytes: u64,
    destroyed: u64,
    failed: u64,
    table: Table,
}

/// Tells, counts, and sums up.
pub struct Reporter {
    form: Form,
    began: Instant,
    counts: Mutex<Counts>,
    bars: Option<Bars>,
}

impl Reporter {
    /// In that form. There are progress bars where stderr is a terminal.
    pub fn new(form: Form) -> Reporter {
        let people = matches!(form, Form::Text | Form::Verbose);
        Reporter {
            form,
            began: Instant::now(),
            counts: Mutex::default(),
            bars: (people && io::stderr().is_terminal()).then(|| Bars::on(MultiProgress::new())),
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many things failed so far.
    #[cfg(test)]
    pub fn failures(&self) -> u64 {
        self.counts().failed
    }

    /// The bars, where there are any.
    pub fn bars(&self) -> Option<&Bars> {
        self.bars.as_ref()
    }

    /// Tells one thing about a job.
    pub fn tell(&self, job: &str, record: &Record<'_>) {
        self.count(record);
        match self.form {
            Form::Json => print_json(Some(job), record),
            Form::Text | Form::Verbose | Form::Quiet => self.text(job, record),
        }
    }

    /// Tells how it all ended, and whether that was well.
    pub fn done(&self, interrupted: bool) -> bool {
        if let Some(bars) = &self.bars {
            bars.end();
        }
        let counts = self.counts();
        let ok = counts.failed == 0 && !interrupted;
        let seconds = self.began.elapsed().as_secs_f64();
        let record = Record::Done {
            ok,
            interrupted,
            snapshots: counts.snapshots,
            streams: counts.streams,
            bytes: counts.bytes,
            destroyed: counts.destroyed,
            failed: counts.failed,
            seconds,
        };
        match self.form {
            Form::Json => print_json(None, &record),
            Form::Quiet => {}
            Form::Text | Form::Verbose => {
                print_line(&format!(
                    "{}{} snapshots taken, {} streams with {} sent, {} snapshots destroyed, {} \
                     failures, {seconds:.1} s{}",
                    counts.table,
                    counts.snapshots,
                    counts.streams,
                    bytes_text(counts.bytes),
                    counts.destroyed,
                    counts.failed,
                    if interrupted {
                        "; stopped on request, the next run goes on from here"
                    } else {
                        ""
                    },
                ));
            }
        }
        ok
    }

    fn count(&self, record: &Record<'_>) {
        let mut counts = self.counts();
        match record {
            Record::Snapshot { .. } => counts.snapshots += 1,
            Record::Sent {
                stream,
                bytes,
                seconds,
                ..
            } => {
                counts.streams += 1;
                counts.bytes += bytes;
                let row = counts.table.row(stream.dataset, stream.target);
                row.sent(stream.from.is_some(), *bytes, *seconds);
            }
            Record::Plan(planned) if planned.step == "nothing" => {
                if let Some(target) = planned.target {
                    counts.table.row(planned.dataset, target);
                }
            }
            Record::Destroyed { .. } => counts.destroyed += 1,
            Record::Failed {
                dataset, target, ..
            } => {
                counts.failed += 1;
                if let (Some(dataset), Some(target)) = (dataset, target) {
                    Row::failed(counts.table.row(dataset, target));
                }
            }
            Record::Plan(_)
            | Record::Started { .. }
            | Record::Progress { .. }
            | Record::Again { .. }
            | Record::Done { .. } => {}
        }
    }

    fn text(&self, job: &str, record: &Record<'_>) {
        if let Record::Failed {
            dataset,
            target,
            error,
            ..
        } = record
        {
            let about = target.or(*dataset).map_or(String::new(), |name| {
                if error.contains(name) {
                    String::new()
                } else {
                    format!("{name}: ")
                }
            });
            self.beside_the_bars(|| eprintln!("{job}: {about}{error}"));
            return;
        }
        let Some(text) = self.sentence(record) else {
            return;
        };
        self.beside_the_bars(|| print_line(&format!("{job}: {text}")));
    }

    fn sentence(&self, record: &Record<'_>) -> Option<String> {
        let verbose = self.form == Form::Verbose;
        if self.form == Form::Quiet {
            return None;
        }
        match record {
            Record::Snapshot { snapshot, .. } if verbose => Some(format!("took {snapshot}")),
            Record::Plan(planned) if verbose => Some(format!("{}: {}", planned.what, planned.why)),
            Record::Sent {
                stream,
                bytes,
                seconds,
                ..
            } => {
                let raw = if stream.raw { ", raw" } else { "" };
                Some(format!(
                    "sent {} to {}: {}{raw}, {} in {seconds:.1} s ({})",
                    stream.to,
                    stream.target,
                    stream.kind,
                    bytes_text(*bytes),
                    stream.why,
                ))
            }
            Record::Again { seconds, errors } => Some(format!(
                "trying again in {seconds:.0} s: {}",
                errors.join("; ")
            )),
            Record::Destroyed { snapshot, why, .. } if verbose => {
                Some(format!("destroyed {snapshot}: {why}"))
            }
            _ => None,
        }
    }

    fn beside_the_bars(&self, print: impl FnOnce()) {
        match &self.bars {
            Some(bars) => bars.beside(print),
            None => print(),
        }
    }
}

fn print_json(job: Option<&str>, record: &Record<'_>) {
    let line = Line {
        event: record.event(),
        time: format!("{:.3}", Timestamp::now()),
        job,
        record,
    };
    match serde_json::to_string(&line) {
        Ok(line) => print_line(&line),
        Err(error) => tracing::error!(%error, "an event cannot be written as JSON"),
    }
}

/// Whoever listens may be gone; the work goes on without.
fn print_line(line: &str) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(record: &Record<'_>, job: Option<&str>) -> serde_json::Value {
        serde_json::to_value(Line {
            event: record.event(),
            time: format!("{:.3}", Timestamp::UNIX_EPOCH),
            job,
            record,
        })
        .unwrap()
    }

    fn stream() -> StreamOf<'static> {
        StreamOf {
            dataset: "site-a/office",
            target: "site-b/office",
            kind: "full",
            from: None,
            from_guid: None,
            to: "site-a/office@x",
            to_guid: u64::MAX.to_string(),
            raw: true,
            why: "the target does not have it yet".to_owned(),
            reason: "not-on-target",
        }
    }

    #[test]
    fn a_stream_that_was_sent_has_the_documented_keys() {
        let record = Record::Sent {
            stream: stream(),
            bytes: 5,
            seconds: 0.25,
            copy: None,
        };
        assert_eq!(
            json(&record, Some("office")),
            serde_json::json!({
                "event": "sent", "time": "1970-01-01T00:00:00.000Z", "job": "office",
                "dataset": "site-a/office", "target": "site-b/office", "kind": "full",
                "from": null, "from_guid": null, "to": "site-a/office@x",
                "to_guid": "18446744073709551615", "raw": true,
                "why": "the target does not have it yet", "reason": "not-on-target", "bytes": 5,
                "seconds": 0.25, "stream": null,
            })
        );
    }

    #[test]
    fn every_key_of_every_event_is_in_the_readme() {
        let readme = include_str!("../../README.md");
        let planned = Planned {
            from: Some(String::new()),
            from_guid: Some(String::new()),
            to: Some(String::new()),
            to_guid: Some(String::new()),
            snapshots: Some(1),
            raw: Some(true),
            ..Planned::default()
        };
        let (dataset, target, snapshot) = ("a", "b", "a@x");
        let (guid, why, error) = (String::new(), String::new(), String::new());
        for record in [
            Record::Snapshot {
                dataset,
                snapshot,
                guid: guid.clone(),
            },
            Record::Plan(planned),
            Record::Started {
                stream: stream(),
                estimate: 1,
                resumed_at: 0,
            },
            Record::Progress {
                dataset,
                target,
                to: snapshot,
                bytes: 1,
                estimate: 1,
            },
            Record::Sent {
                stream: stream(),
                bytes: 1,
                seconds: 1.0,
                copy: None,
            },
            Record::Destroyed {
                dataset,
                snapshot,
                guid,
                why,
            },
            Record::Failed {
                stage: "list",
                dataset: None,
                target: None,
                error,
                resumable: false,
            },
            Record::Again {
                seconds: 2.0,
                errors: Vec::new(),
            },
            Record::Done {
                ok: true,
                interrupted: false,
                snapshots: 0,
                streams: 0,
                bytes: 0,
                destroyed: 0,
                failed: 0,
                seconds: 0.0,
            },
        ] {
            let serde_json::Value::Object(object) = json(&record, Some("j")) else {
                panic!("no object");
            };
            let event = format!("| `{}` |", record.event());
            assert!(readme.contains(&event), "{event} is not documented");
            for key in object.keys() {
                assert!(
                    readme.contains(&format!("`{key}`")),
                    "{key} of {} is not documented",
                    record.event()
                );
            }
        }
    }

    #[test]
    fn a_run_is_ok_where_nothing_failed_and_nobody_stopped_it() {
        let reporter = Reporter::new(Form::Quiet);
        assert!(reporter.done(false));
        assert!(!reporter.done(true));
        reporter.tell(
            "office",
            &Record::Failed {
                stage: "list",
                dataset: None,
                target: None,
                error: "a test".to_owned(),
                resumable: false,
            },
        );
        assert!(!reporter.done(false));
    }
}
