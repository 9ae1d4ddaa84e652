//! `zfs-autosnap check`: everything wrong with a configuration, at once.

use std::path::Path;

use serde_json::json;
use zfs_retention::conf::{Dataset, Problem, Settings, Severity};
use zfs_retention::{Error, Tier};

use super::{conf_file, read_conf, scripts};
use crate::exit::{Exit, UsageError};

/// What there is to say, line by line, and how it ends.
pub fn run(given: &Path, as_json: bool) -> anyhow::Result<(Vec<String>, Exit)> {
    let read = read_conf(given).map_err(|error| UsageError(format!("{error:#}")))?;
    let (problems, datasets, exit) = match read {
        Err(Error::Conf(problems)) => (problems.0, Vec::new(), Exit::Usage),
        Err(error) => return Err(UsageError(error.to_string()).into()),
        Ok(conf) => {
            let file = conf_file(given).display().to_string();
            let mut problems = [conf.warnings(), conf.unused_templates()].concat();
            problems.extend(scripts::problems(&file, &conf));
            problems.sort_by_key(|problem| problem.line);
            (problems, conf.expand_as_written(), Exit::Done)
        }
    };
    let told = problems.iter().map(|problem| show(problem, as_json));
    let datasets = datasets.iter().map(|dataset| {
        if as_json {
            json_summary(dataset)
        } else {
            summary(dataset)
        }
    });
    Ok((told.chain(datasets).collect(), exit))
}

/// The counts above zero.
fn counts(settings: &Settings) -> impl Iterator<Item = (Tier, u32)> {
    Tier::ALL
        .into_iter()
        .map(|tier| (tier, settings.count(tier)))
        .filter(|(_, count)| *count > 0)
}

/// What a section comes down to, and for what.
fn summary(dataset: &Dataset) -> String {
    let path = &dataset.path;
    let settings = settings_of(dataset);
    match (dataset.recursive, dataset.children_only) {
        (true, true) => format!("below {path} (not itself): {settings}"),
        (true, false) => format!("{path} and everything below: {settings}"),
        (false, true) => format!("{path}: left alone (process_children_only)"),
        (false, false) => format!("{path}: {settings}"),
    }
}

/// What a dataset's settings come down to.
pub(super) fn settings_of(dataset: &Dataset) -> String {
    let settings = &dataset.settings;
    let counts: Vec<_> = counts(settings)
        .map(|(tier, count)| format!("{tier} {count}"))
        .collect();
    let takes = match (settings.autosnap, dataset.takes_children) {
        (true, true) => "takes at once",
        (true, false) => "takes",
        (false, _) => "takes nothing",
    };
    let prunes = if settings.autoprune {
        "prunes"
    } else {
        "prunes nothing"
    };
    format!("{takes}, {prunes}: {}", counts.join(", "))
}

fn json_summary(dataset: &Dataset) -> String {
    let settings = &dataset.settings;
    let counts: serde_json::Map<_, _> = counts(settings)
        .map(|(tier, count)| (tier.to_string(), json!(count)))
        .collect();
    json!({
        "event": "dataset", "dataset": dataset.path, "counts": counts,
        "autosnap": settings.autosnap, "autoprune": settings.autoprune,
        "recursive": dataset.recursive, "children_only": dataset.children_only,
    })
    .to_string()
}

fn show(problem: &Problem, as_json: bool) -> String {
    if !as_json {
        return problem.to_string();
    }
    let severity = match problem.severity {
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    json!({
        "event": "problem", "severity": severity,
        "file": problem.file, "line": problem.line, "text": problem.text,
    })
    .to_string()
}
