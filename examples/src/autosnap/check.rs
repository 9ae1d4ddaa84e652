//! `zfs-autosnap check`: everything wrong with a configuration, at once.

use std::path::Path;

use serde_json::json;
use zfs_retention::conf::{Dataset, Problem, Settings, Severity};
use zfs_retention::{Error, Tier};

use super::read_conf;
use crate::exit::{Exit, UsageError};

/// What there is to say, line by line, and how it ends.
pub fn run(dir: &Path, as_json: bool) -> anyhow::Result<(Vec<String>, Exit)> {
    let read = read_conf(dir).map_err(|error| UsageError(format!("{error:#}")))?;
    let (problems, mut lines, exit) = match &read {
        Err(Error::Conf(problems)) => (problems.0.as_slice(), Vec::new(), Exit::Usage),
        Err(error) => return Err(UsageError(error.to_string()).into()),
        Ok(conf) => {
            let datasets = conf.expand_as_written();
            let lines = datasets.iter().map(|dataset| {
                if as_json {
                    json_summary(dataset)
                } else {
                    summary(dataset)
                }
            });
            (conf.warnings(), lines.collect(), Exit::Done)
        }
    };
    let told = problems.iter().map(|problem| show(problem, as_json));
    lines.splice(0..0, told);
    Ok((lines, exit))
}

/// The counts above zero.
fn counts(settings: &Settings) -> impl Iterator<Item = (Tier, u32)> {
    Tier::ALL
        .into_iter()
        .map(|tier| (tier, settings.count(tier)))
        .filter(|(_, count)| *count > 0)
}

/// What a dataset's settings come down to.
pub(super) fn summary(dataset: &Dataset) -> String {
    let settings = &dataset.settings;
    let counts: Vec<_> = counts(settings)
        .map(|(tier, count)| format!("{tier} {count}"))
        .collect();
    let takes = if settings.autosnap {
        "takes"
    } else {
        "takes nothing"
    };
    let prunes = if settings.autoprune {
        "prunes"
    } else {
        "prunes nothing"
    };
    format!("{}: {takes}, {prunes}: {}", dataset.path, counts.join(", "))
}

fn json_summary(dataset: &Dataset) -> String {
    let settings = &dataset.settings;
    let counts: serde_json::Map<_, _> = counts(settings)
        .map(|(tier, count)| (tier.to_string(), json!(count)))
        .collect();
    json!({
        "event": "dataset", "dataset": dataset.path, "counts": counts,
        "autosnap": settings.autosnap, "autoprune": settings.autoprune,
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
