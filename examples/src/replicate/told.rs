//! What our own way says while it works: to people, or to machines.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{BinaryBytes, MultiProgress, ProgressBar, ProgressStyle};
use jiff::SignedDuration;
use serde::Serialize;
use zfs_replicate::execute::{Event, Observer, Outcome};
use zfs_replicate::plan::{Action, Plan, Step, Why};

use super::arguments::Arguments;
use crate::output::duration;
use crate::pipeline::observe::planned;

/// Says what is done: to people, or to machines.
pub struct Told {
    json: bool,
    quiet: bool,
    verbose: bool,
    /// What to do about a target that was written to, where that is known.
    if_written_to: &'static str,
    bars: Option<MultiProgress>,
    open: Mutex<Open>,
    since: Instant,
}

/// The bars that are to be seen.
#[derive(Default)]
struct Open {
    each: HashMap<String, Bar>,
    total: Option<Total>,
}

/// The bar of the streams into one dataset.
struct Bar {
    bar: ProgressBar,
    /// What those had before this one of which it is not known yet whether
    /// they arrived.
    before: u64,
}

/// The bar of everything together.
struct Total {
    bar: ProgressBar,
    streams: u64,
    through: u64,
    /// What the streams had that are through.
    bytes: u64,
}

impl Open {
    /// Where everything together is by now.
    fn advance(&self) {
        let Some(total) = &self.total else { return };
        let flowing = self
            .each
            .values()
            .map(|one| one.before + one.bar.position());
        let bytes = flowing.fold(total.bytes, u64::saturating_add);
        total
            .bar
            .set_length(bytes.max(total.bar.length().unwrap_or(0)));
        total.bar.set_position(bytes);
        total
            .bar
            .set_message(format!("{} of {} streams", total.through, total.streams));
    }

    /// A stream has ended, and had so many bytes.
    fn close(&mut self, target: &str, bytes: u64) {
        if let Some(Bar { bar, .. }) = self.each.remove(target) {
            bar.finish_and_clear();
        }
        if let Some(total) = &mut self.total {
            total.bytes = total.bytes.saturating_add(bytes);
        }
        self.advance();
    }
}

/// A bar for so many bytes.
fn bar(bars: &MultiProgress, bytes: u64) -> ProgressBar {
    let bar = bars.add(ProgressBar::new(bytes));
    let style = "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar
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
            bars: bars.then(MultiProgress::new),
            open: Mutex::default(),
            since: Instant::now(),
        }
    }

    fn say(&self, text: &str) {
        if self.json || self.quiet {
            return;
        }
        match &self.bars {
            Some(bars) => bars.suspend(|| println!("{text}")),
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
        if let Some(total) = self.open().total.take() {
            total.bar.finish_and_clear();
        }
        let took = self.since.elapsed();
        self.record(&Record::Done {
            ok: outcome.is_ok(),
            interrupted: outcome.cancelled,
            streams: outcome.streams,
            bytes: outcome.bytes,
            failed: outcome.failed,
            unset: outcome.unset,
            refused: outcome.refused,
            seconds: took.as_secs_f64(),
        });
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
                Some(bars) => bars.suspend(|| eprintln!("{text}")),
                None => eprintln!("{text}"),
            }
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Told {
    fn wants_total(&self) -> bool {
        self.bars.is_some()
    }

    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Begun { streams, estimate } => {
                let mut open = self.open();
                if let Some(old) = open.total.take() {
                    old.bar.finish_and_clear();
                }
                // One stream has a bar of its own.
                open.total = self
                    .bars
                    .as_ref()
                    .filter(|_| *streams > 1)
                    .map(|bars| Total {
                        bar: bar(bars, estimate.unwrap_or(0)),
                        streams: *streams,
                        through: 0,
                        bytes: 0,
                    });
                open.advance();
            }
            Event::Started(transfer) => {
                self.say(&format!(
                    "{} {} to {}",
                    transfer.stream.word(),
                    transfer.stream.to.name,
                    transfer.target
                ));
                if let Some(bars) = &self.bars {
                    let mut open = self.open();
                    let last = open.each.remove(transfer.target.as_str());
                    let before = last.map_or(0, |last| {
                        let had = last.before + last.bar.position();
                        last.bar.finish_and_clear();
                        had
                    });
                    let bar = bar(bars, transfer.estimate.unwrap_or(0));
                    bar.set_message(transfer.target.to_string());
                    let target = transfer.target.to_string();
                    open.each.insert(target, Bar { bar, before });
                }
            }
            Event::Progress { transfer, bytes } => {
                let open = self.open();
                if let Some(Bar { bar, .. }) = open.each.get(transfer.target.as_str()) {
                    bar.set_length((*bytes).max(bar.length().unwrap_or(0)));
                    bar.set_position(*bytes);
                }
                open.advance();
            }
            Event::Finished {
                transfer,
                bytes,
                elapsed,
            } => {
                let mut open = self.open();
                if let Some(total) = &mut open.total {
                    total.through += 1;
                }
                open.close(transfer.target.as_str(), *bytes);
                drop(open);
                self.record(&Record::Sent {
                    dataset: transfer.source.as_str(),
                    target: transfer.target.as_str(),
                    snapshot: transfer.stream.to.name.as_str(),
                    guid: transfer.stream.to.guid.to_string(),
                    kind: transfer.stream.word(),
                    bytes: *bytes,
                    seconds: elapsed.as_secs_f64(),
                });
            }
            Event::Failed {
                step,
                error,
                resumable,
            } => {
                self.open().close(step.target.as_str(), 0);
                let mut text = error.to_string();
                if error.is_written_to() {
                    text.push_str(self.if_written_to);
                }
                self.failed(step, &text, *resumable);
            }
            Event::Again { pause } => {
                self.record(&Record::Again {
                    seconds: pause.as_secs_f64(),
                });
                self.say(&format!("trying again in {} s", pause.as_secs()));
            }
            Event::Refused { step } => self.failed(step, &step.why.to_string(), false),
            // In full it was said before.
            Event::Changed { step } if step.is_loss() => {
                self.say(&format!("{} of {}: done", step.action.word(), step.target));
            }
            Event::Changed { step } | Event::Created { step } | Event::Aborted { step } => {
                self.say(&step.to_string());
            }
            Event::Marked { step } if matches!(step.action, Action::Mark(_)) && self.verbose => {
                self.say(&step.to_string());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_says_how_much_went_in_how_long() {
        let seconds = Duration::from_secs;
        assert_eq!(summary(1, 512, Duration::ZERO), "1 stream, 512 B in 0s");
        let text = summary(12, 90 << 20, seconds(90));
        assert_eq!(text, "12 streams, 90.00 MiB in 1m 30s, 1.00 MiB/s");
    }
}
