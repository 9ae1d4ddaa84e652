//! `zfs-autosnap simulate`: a configuration's years, without ZFS.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::{SignedDuration, Zoned};
use serde_json::json;
use zfs_retention::conf::Dataset;
use zfs_retention::{Life, Order, Run, Simulation, Template};

use super::when::When;
use super::{usable_conf, zone};
use crate::exit::UsageError;

/// Over which time a simulation runs.
#[derive(Debug, clap::Args)]
pub struct Span {
    /// The first run: a date, 2026-01-01, or a moment, 2026-01-01T06:30:00Z
    #[arg(long, value_name = "T")]
    from: When,

    /// The last run
    #[arg(long, value_name = "T")]
    to: When,

    /// How long from one run to the next: 15m, 1h, 1d
    #[arg(long, value_name = "LENGTH", value_parser = super::length)]
    every: SignedDuration,

    /// The zone whose calendar counts, by its IANA name; the machine's where
    /// not given
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
}

/// What to show of it.
#[derive(Debug, clap::Args)]
pub struct Show {
    /// Draw what exists at every age, instead of listing it
    ///
    /// A row is a type, its newest at the left; a digit is how many snapshots
    /// there are of about that age, + ten and more; the last number is how many
    /// in all.
    #[arg(long)]
    timeline: bool,

    /// Write a drawing of it for each dataset to DIR/DATASET.svg as well; DIR
    /// is made where it is not there
    #[arg(long, value_name = "DIR")]
    svg: Option<PathBuf>,

    /// One JSON object per snapshot that was ever taken
    #[arg(long, conflicts_with = "timeline")]
    json: bool,
}

/// Runs every configured dataset and returns the lines to print.
pub fn run(dir: &Path, span: &Span, show: &Show) -> anyhow::Result<Vec<String>> {
    let zone = zone(span.tz.as_deref())?;
    let (from, to) = (span.from.in_zone(&zone)?, span.to.in_zone(&zone)?);
    if to < from {
        let (from, to) = (from.timestamp(), to.timestamp());
        let text = format!("--to {to} is before --from {from}: there is no run between them");
        return Err(UsageError(text).into());
    }
    let conf = usable_conf(dir)?;
    let mut runs: Vec<(Dataset, Run)> = Vec::new();
    let datasets = conf.expand_as_written();
    if datasets.is_empty() {
        eprintln!("zfs-autosnap: no dataset is configured: nothing would be taken or pruned");
    }
    for dataset in datasets {
        if dataset.children_only {
            eprintln!(
                "zfs-autosnap: {} itself is left out (process_children_only); below it only what \
                 has a section of its own is known",
                dataset.path
            );
            continue;
        }
        let parent = taken_with(&dataset, &runs);
        let run = simulate(&dataset, parent, (&from, &to), span.every);
        runs.push((dataset, run));
    }
    if let Some(folder) = &show.svg {
        let drawings = drawings(&runs)?;
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        for (file, run) in drawings {
            let path = folder.join(file);
            std::fs::write(&path, run.timeline().svg())
                .with_context(|| format!("cannot write the drawing {}", path.display()))?;
        }
    }
    if show.timeline {
        return Ok(runs
            .iter()
            .map(|(dataset, run)| drawing(dataset, run))
            .collect());
    }
    let mut lives: Vec<(&str, &Life)> = runs
        .iter()
        .flat_map(|(dataset, run)| run.lives().iter().map(|life| (dataset.path.as_str(), life)))
        .filter(|(_, life)| show.json || life.destroyed.is_none())
        .collect();
    lives.sort_by_key(|(_, life)| life.created);
    Ok(lives
        .into_iter()
        .map(|(dataset, life)| {
            if show.json {
                json!({
                    "dataset": dataset, "name": life.name, "tier": life.tier,
                    "created": life.created, "destroyed": life.destroyed,
                })
                .to_string()
            } else {
                format!("{dataset}@{}", life.name)
            }
        })
        .collect())
}

/// A file's name for each drawing.
fn drawings(runs: &[(Dataset, Run)]) -> Result<BTreeMap<String, &Run>, UsageError> {
    let mut all: BTreeMap<String, (&str, &Run)> = BTreeMap::new();
    for (Dataset { path, .. }, run) in runs {
        let file = format!("{}.svg", path.replace('/', "-"));
        if let Some((other, _)) = all.insert(file, (path, run)) {
            let file = path.replace('/', "-");
            return Err(UsageError(format!(
                "cannot draw {other} and {path} with --svg: both would be {file}.svg"
            )));
        }
    }
    Ok(all
        .into_iter()
        .map(|(file, (_, run))| (file, run))
        .collect())
}

/// The run of the dataset with which one is taken by `recursive = zfs`; it
/// stands before its children.
fn taken_with<'a>(dataset: &Dataset, runs: &'a [(Dataset, Run)]) -> Option<&'a Run> {
    let covers = |parent: &Dataset| {
        let below = dataset.path.strip_prefix(parent.path.as_str());
        parent.takes_children && below.is_some_and(|below| below.starts_with('/'))
    };
    let own = runs.iter().find(|(parent, _)| covers(parent));
    own.map(|(_, run)| run)
}

/// sanoid's runs: pruning goes by the list from before taking.
fn simulate(
    dataset: &Dataset,
    parent: Option<&Run>,
    (from, to): (&Zoned, &Zoned),
    every: SignedDuration,
) -> Run {
    let policy = dataset.settings.policy();
    let mut simulation = Simulation::new(&policy).in_order(Order::PruneThenTake);
    if let Some(parent) = parent {
        simulation = simulation.following(parent);
    }
    dataset
        .settings
        .schedules()
        .into_iter()
        .fold(simulation, |simulation, (tier, schedule)| {
            simulation.taking(tier.as_str(), schedule, Template::sanoid())
        })
        .run(from, to, every)
}

fn drawing(dataset: &Dataset, run: &Run) -> String {
    const WIDTH: usize = 64;
    let text = run.timeline().text(WIDTH);
    format!("{}\n{}", dataset.path, text.trim_end())
}
