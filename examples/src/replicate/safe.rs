//! Our own way: two trees, a plan, and an executor.
//!
//! Nothing is taken back or destroyed unless that was asked for, encrypted data
//! stays encrypted, new datasets are read-only and not mounted, the base of the
//! next increment is marked on the source, and every stream is checked on its
//! way.

use std::io::IsTerminal;
use std::sync::Arc;

use anyhow::Context;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde::Serialize;
use zfs_core::{DatasetName, Zfs};
use zfs_replicate::endpoint::{
    Access, Compression, Elevation, Endpoint, Local, Ssh, SshOptions, Stock,
};
use zfs_replicate::execute::{Cancel, Event, Executor, Observer, Outcome, Retries};
use zfs_replicate::marker::TargetId;
use zfs_replicate::plan::{
    Action, Blocks, Diverged, Encrypted, Gone, Hosts, Options, Plan, Step, Why, plan,
};
use zfs_replicate::tree::{Dataset, Snapshot, Tree};
use zfs_stream::stage::Limit;

use super::arguments::{Arguments, Pattern};
use super::properties;
use super::side::Place;
use super::syncoid::rate;
use crate::exit::{Exit, UsageError};
use crate::pipeline::observe::planned;
use crate::stop;

/// How many datasets are worked on at once where nobody says.
const JOBS: usize = 4;

/// Replicates, or restores.
///
/// # Errors
///
/// It cannot begin.
pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let is_pool = |name: &str| {
        let zfs = Zfs::open().ok();
        let dataset = name.parse::<DatasetName>().ok();
        zfs.zip(dataset)
            .is_some_and(|(zfs, dataset)| zfs.dataset(&dataset).is_ok())
    };
    let from = Place::parse(&arguments.source, is_pool);
    let to = Place::parse(&arguments.target, is_pool);
    let source_root = dataset(&from)?;
    let target_root = dataset(&to)?;
    let source = endpoint(&from, arguments)?;
    let target = endpoint(&to, arguments)?;

    let id = match &arguments.identifier {
        Some(name) => name
            .parse()
            .map_err(|error| UsageError(format!("{error}")))?,
        None => TargetId::derived(&to.host, &target_root),
    };
    let hosts = if from.host == to.host {
        Hosts::Same
    } else {
        Hosts::Different
    };
    let told = Told::new(arguments);
    let planned = || -> Result<Plan, zfs_replicate::Error> {
        let source_tree = source.tree(&source_root)?;
        let target_tree = target.tree(&target_root)?;
        let wanted = |dataset: &DatasetName, snapshot: &Snapshot| {
            is_wanted(arguments, &source_tree, dataset, snapshot)
        };
        let datasets = |dataset: &Dataset| is_meant(arguments, &source_root, dataset);
        let options = options(arguments, &id)
            .wanted(&wanted)
            .datasets(&datasets)
            .hosts(hosts);
        plan(&source_tree, &target_tree, &options)
    };
    if arguments.restore && target.tree(&target_root)?.get(&target_root).is_some() {
        anyhow::bail!("{target_root} exists; what is restored goes into a new dataset");
    }
    if arguments.dry_run {
        let plan = planned()?;
        told.plan(&plan);
        return Ok(Exit::done_if(plan.refused().next().is_none()));
    }
    let cancel = Cancel::new();
    let stopping = cancel.clone();
    stop::on_signal(move || stopping.cancel()).context("cannot watch for signals")?;
    let mut executor = Executor::new(&*source, &*target, &told)
        .cancel(cancel)
        .jobs(arguments.jobs.unwrap_or(JOBS))
        .properties(properties::chosen(arguments, &*source, &source_root)?)
        .verify();
    let limits = [&arguments.source_bwlimit, &arguments.target_bwlimit];
    let limit = limits
        .into_iter()
        .flatten()
        .filter_map(|limit| rate(limit))
        .min();
    if limit.is_some() {
        executor = executor.limit(Limit::new(limit));
    }
    if arguments.use_hold && !arguments.restore {
        executor = executor.hold(format!("replica-{id}"));
    }
    if arguments.restore {
        executor = executor.access(Access::Inherited);
    }
    let retries = Retries {
        times: arguments.retries.unwrap_or(Retries::default().times),
        ..Retries::default()
    };
    let (mut something, mut found) = (false, false);
    let outcome = executor.run_with_retries(retries, || {
        let plan = planned()?;
        told.begin(&plan);
        something |= !plan.is_empty() || plan.refused().next().is_some();
        found |= plan
            .steps
            .iter()
            .any(|step| matches!(step.action, Action::Send(_)));
        Ok(plan)
    })?;
    told.end(something, &outcome);
    if arguments.restore && !found && outcome.refused == 0 {
        let which = arguments.snapshot.as_deref().unwrap_or("that is wanted");
        anyhow::bail!("{source_root} has no snapshot {which}; nothing was restored");
    }
    Ok(Exit::done_if(outcome.is_ok()))
}

/// What the words of the command line ask the planner for.
fn options<'a>(arguments: &Arguments, id: &'a TargetId) -> Options<'a> {
    let mut options = Options::new();
    // What is restored is nobody's base.
    if !arguments.restore {
        options = options.marker(id);
    }
    if arguments.rollback {
        options = options.diverged(Diverged::Rollback);
    }
    if arguments.retire {
        options = options.gone(Gone::Destroy);
    }
    if arguments.plaintext {
        options = options.encrypted(Encrypted::Plaintext);
    }
    if arguments
        .compress
        .as_deref()
        .is_some_and(|name| name != "none")
    {
        options = options.blocks(Blocks::Decompressed);
    }
    options
}

fn is_meant(arguments: &Arguments, root: &DatasetName, dataset: &Dataset) -> bool {
    let is_root = dataset.name == *root;
    (is_root || arguments.recursive)
        && !(is_root && arguments.skip_parent && arguments.recursive)
        && Pattern::any(&arguments.exclude_datasets, dataset.name.as_str()).is_none()
}

fn dataset(place: &Place) -> anyhow::Result<DatasetName> {
    let name = place.dataset.parse();
    name.map_err(|error| UsageError(format!("{error}")).into())
}

fn endpoint(place: &Place, arguments: &Arguments) -> anyhow::Result<Box<dyn Endpoint>> {
    if place.host.is_empty() {
        return Ok(Box::new(Local::new(Zfs::open()?)));
    }
    let options = SshOptions {
        destination: place.host.clone(),
        arguments: arguments.ssh.clone(),
        program: None,
    };
    let elevation = if place.is_root_user || arguments.no_privilege_elevation {
        Elevation::None
    } else {
        Elevation::Sudo
    };
    let mut stock = Stock::new(Arc::new(Ssh::connect(options)?), elevation);
    if let Some(name) = arguments.compress.as_deref().filter(|name| *name != "none") {
        let compression = Compression::named(name).ok_or_else(|| {
            let names = Compression::NAMES.join(", ");
            UsageError(format!("--compress={name}: there are {names} and none"))
        })?;
        stock = stock.compressed(compression)?;
    }
    Ok(Box::new(stock))
}

fn is_wanted(
    arguments: &Arguments,
    source: &Tree,
    dataset: &DatasetName,
    snapshot: &Snapshot,
) -> bool {
    let name = snapshot.name.snapshot();
    let included = Pattern::any(&arguments.exclude_snaps, name).is_none()
        && (arguments.include_snaps.is_empty()
            || Pattern::any(&arguments.include_snaps, name).is_some());
    if let Some(only) = &arguments.snapshot {
        return name == only.trim_start_matches('@');
    }
    if arguments.restore || arguments.no_stream {
        let newest = source.get(dataset).and_then(|dataset| {
            let mut by_age = dataset.snapshots_by_age().into_iter().rev();
            by_age.find(|snapshot| {
                let name = snapshot.name.snapshot();
                Pattern::any(&arguments.exclude_snaps, name).is_none()
                    && (arguments.include_snaps.is_empty()
                        || Pattern::any(&arguments.include_snaps, name).is_some())
            })
        });
        return newest.is_some_and(|newest| newest.guid == snapshot.guid);
    }
    included
}

/// Says what is done: to people, or to machines.
struct Told {
    json: bool,
    quiet: bool,
    verbose: bool,
    bars: Option<MultiProgress>,
    open: std::sync::Mutex<std::collections::HashMap<String, ProgressBar>>,
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
        streams: u64,
        bytes: u64,
        failed: u64,
        refused: u64,
    },
}

impl Told {
    fn new(arguments: &Arguments) -> Told {
        let bars = !arguments.json && !arguments.quiet && std::io::stderr().is_terminal();
        Told {
            json: arguments.json,
            quiet: arguments.quiet,
            verbose: arguments.debug,
            bars: bars.then(MultiProgress::new),
            open: std::sync::Mutex::default(),
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

    fn plan(&self, plan: &Plan) {
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

    /// Tells machines what is about to be done; people are told as it is.
    fn begin(&self, plan: &Plan) {
        if self.json {
            self.plan(plan);
        }
        for step in &plan.steps {
            if step.action == Action::Nothing
                && !matches!(step.why, Why::Excluded | Why::UpToDate { .. })
            {
                self.say(&step.to_string());
            }
        }
    }

    fn end(&self, something: bool, outcome: &Outcome) {
        self.record(&Record::Done {
            streams: outcome.streams,
            bytes: outcome.bytes,
            failed: outcome.failed,
            refused: outcome.refused,
        });
        if something {
            self.say(&format!(
                "{} streams, {} bytes",
                outcome.streams, outcome.bytes
            ));
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

    fn open(&self) -> std::sync::MutexGuard<'_, std::collections::HashMap<String, ProgressBar>> {
        self.open
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Observer for Told {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Started(transfer) => {
                self.say(&format!(
                    "{} {} to {}",
                    transfer.stream.word(),
                    transfer.stream.to.name,
                    transfer.target
                ));
                if let Some(bars) = &self.bars {
                    let bar = bars.add(ProgressBar::new(transfer.estimate.unwrap_or(0)));
                    let style = "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
                    if let Ok(style) = ProgressStyle::with_template(style) {
                        bar.set_style(style);
                    }
                    bar.set_message(transfer.target.to_string());
                    self.open().insert(transfer.target.to_string(), bar);
                }
            }
            Event::Progress { transfer, bytes } => {
                if let Some(bar) = self.open().get(transfer.target.as_str()) {
                    bar.set_length((*bytes).max(bar.length().unwrap_or(0)));
                    bar.set_position(*bytes);
                }
            }
            Event::Finished {
                transfer,
                bytes,
                elapsed,
            } => {
                if let Some(bar) = self.open().remove(transfer.target.as_str()) {
                    bar.finish_and_clear();
                }
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
                if let Some(bar) = self.open().remove(step.target.as_str()) {
                    bar.finish_and_clear();
                }
                self.failed(step, &error.to_string(), *resumable);
            }
            Event::Again { pause } => {
                self.record(&Record::Again {
                    seconds: pause.as_secs_f64(),
                });
                self.say(&format!("trying again in {} s", pause.as_secs()));
            }
            Event::Refused { step } => self.failed(step, &step.why.to_string(), false),
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
    use zfs_core::{Guid, Txg};

    use super::*;

    fn tree() -> Tree {
        let root: DatasetName = "vault/a".parse().unwrap();
        let mut dataset = Dataset::new(root.clone(), Guid(1));
        for (name, guid) in [("auto-1", 1), ("mine", 2), ("auto-2", 3), ("mine-2", 4)] {
            dataset.snapshots.push(Snapshot {
                name: root.with_snapshot(name).unwrap(),
                guid: Guid(guid),
                createtxg: Txg(guid),
            });
        }
        Tree {
            root,
            datasets: vec![dataset],
            above: None,
        }
    }

    fn wanted(line: &str) -> Vec<u64> {
        let words = line.split(' ').map(str::to_owned);
        let Ok(super::super::arguments::Command::Run(arguments)) =
            super::super::arguments::parse(words)
        else {
            panic!("{line}");
        };
        let tree = tree();
        let dataset = &tree.datasets[0];
        let snapshots = dataset.snapshots.iter();
        snapshots
            .filter(|snapshot| is_wanted(&arguments, &tree, &dataset.name, snapshot))
            .map(|snapshot| snapshot.guid.0)
            .collect()
    }

    #[test]
    fn snapshots_are_chosen_by_pattern_or_by_name() {
        assert_eq!(wanted("--safe a b"), [1, 2, 3, 4]);
        assert_eq!(wanted("--safe --include-snaps=^auto a b"), [1, 3]);
        assert_eq!(wanted("--safe --exclude-snaps=^auto a b"), [2, 4]);
        assert_eq!(wanted("--safe --no-stream --include-snaps=^auto a b"), [3]);
        assert_eq!(wanted("restore a b"), [4]);
        assert_eq!(wanted("restore --snapshot=@mine a b"), [2]);
    }
}
