//! Replication programs against each other: zfs-replicate, syncoid, bzfs, and
//! a bare pipe.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{
    Peers, emulated,
    guest::{self, Guest, Measured},
    series::Series,
};
use crate::{cargo, vm};

/// The version of bzfs that is measured.
const BZFS: &str = "1.25.0";

const OURS: &str = "zfs-replicate --safe";

/// What stands in a program's place where a kind of run failed.
const FAILED: &str = "failed";

/// MiB of memory that are not to be exceeded.
const MEMORY: f64 = 64.0;

#[derive(serde::Deserialize)]
struct Run {
    row: String,
    program: String,
    seconds: f64,
}

pub fn peers(what: &Peers) -> Result<String> {
    let prepare = "python3 -m zipfile -e bzfs.whl /tmp/bzfs && python3 -m compileall -q /tmp/bzfs \
                   && export PYTHONPATH=/tmp/bzfs";
    let guest = Guest {
        programs: &["zfs-replicate"],
        files: vec![(bzfs()?, PathBuf::from("bzfs.whl"))],
        prepare,
        log: Some(cargo::workspace().join("target/bench-peers.jsonl")),
        ..Guest::new("bench-zfs", what.suite)
    };
    let arguments = format!(
        "peers {} {} {} {} {}",
        what.datasets, what.snapshots, what.runs, what.minutes, what.size
    );
    table(&guest::run(&guest, &arguments)?, what)
}

/// bzfs as its authors publish it, kept beside the machines.
fn bzfs() -> Result<PathBuf> {
    let folder = vm::cache_folder()?.join("bzfs");
    let file = folder.join(format!("bzfs-{BZFS}-py3-none-any.whl"));
    if file.exists() {
        return Ok(file);
    }
    fs::create_dir_all(&folder)?;
    let status = Command::new("python3")
        .args(["-m", "pip", "download", "--quiet", "--no-deps", "--dest"])
        .arg(&folder)
        .arg(format!("bzfs=={BZFS}"))
        .status()
        .context("bzfs comes by pip, and python3 cannot be started")?;
    if !status.success() || !file.exists() {
        bail!("pip did not bring {}", file.display());
    }
    Ok(file)
}

/// What is asked of a row: so many times as fast as syncoid, and as bzfs.
fn goals(row: &str) -> (f64, f64) {
    if row == "nothing to do, local" {
        (40.0, 5.0)
    } else {
        (4.0, 2.0)
    }
}

fn table(measured: &Measured<Run>, what: &Peers) -> Result<String> {
    let runs = |row: &str, program: &str| -> Vec<f64> {
        let own = measured.lines.iter();
        let own = own.filter(|run| run.row == row && run.program == program);
        own.map(|run| run.seconds).collect()
    };
    // Each run against ours of the same round.
    let ratios = |row: &str, peer: &str, ours: &str| {
        let (peers, ours) = (runs(row, peer), runs(row, ours));
        let ratios = peers.iter().zip(&ours).map(|(peer, ours)| peer / ours);
        Series::new(ratios.collect())
    };
    let mut text = format!(
        "OpenZFS {}, syncoid 2.3, bzfs {BZFS}, {} datasets with {} snapshots at first, two processors, up to {} runs of each in turn, {}. \
         Before `nothing to do` every replica is up to date, and ours has run twice, so that its listing is kept; the pools of `just imported` are in no memory.\n\n\
         | | runs | syncoid ÷ ours, wall time: median (least to most) | goal | bzfs ÷ ours | goal |\n\
         | --- | --- | --- | --- | --- | --- |\n",
        measured.version,
        what.datasets,
        what.snapshots,
        what.runs,
        emulated(),
    );
    let mut rows: Vec<&str> = Vec::new();
    for run in &measured.lines {
        let many = !["one", "memory"].contains(&run.row.as_str());
        if many && !rows.contains(&run.row.as_str()) {
            rows.push(&run.row);
        }
    }
    for row in rows {
        let spread = |peer| match ratios(row, peer, OURS) {
            Some(series) => series.shown(1),
            None => "not measured".to_owned(),
        };
        let goals = goals(row);
        let goal = |peer, goal: f64| {
            let reached = ratios(row, peer, OURS).map(|series| series.median() >= goal);
            verdict(&format!("{goal:.0}"), reached)
        };
        writeln!(
            text,
            "| {row}{} | {} | {} | {} | {} | {} |",
            failed(&runs(row, FAILED)),
            runs(row, OURS).len(),
            spread("syncoid"),
            goal("syncoid", goals.0),
            spread("bzfs"),
            goal("bzfs", goals.1),
        )?;
        for program in [OURS, "syncoid", "bzfs"] {
            eprintln!("bench: {row}: {program}: {:?} s", runs(row, program));
        }
    }
    write!(
        text,
        "\nOne dataset of {} MiB, {} runs of each in turn{}; wall time ÷ that of `zfs send -Lc | zfs receive -u`. Below 1 means that ours took less.\n\n\
         | | median | least | most | goal | most anonymous memory, MiB | goal |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
        what.size,
        runs("one", "pipe").len(),
        failed(&runs("one", FAILED)),
    )?;
    for (program, told, goal) in [
        ("unverified", "the engine, verification off", 1.05),
        ("verified", "the engine, verification on", 1.15),
    ] {
        // A run of ours against the pipe's of the same round.
        match ratios("one", program, "pipe").zip(Series::new(runs("memory", program))) {
            Some((series, memory)) => {
                let mib = memory.most() / 1024.0;
                writeln!(
                    text,
                    "| {told} | {:.3} | {:.3} | {:.3} | {} | {mib:.1} | {} |",
                    series.median(),
                    series.least(),
                    series.most(),
                    verdict(&format!("{goal:.2}"), Some(series.median() <= goal)),
                    verdict(&format!("{MEMORY:.0}"), Some(mib <= MEMORY)),
                )?;
            }
            None => writeln!(text, "| {told} | not measured | | | {goal:.2} | | |")?,
        }
    }
    Ok(text)
}

/// A goal, and whether it was missed.
fn verdict(goal: &str, reached: Option<bool>) -> String {
    match reached {
        Some(false) => format!("{goal}, missed"),
        _ => goal.to_owned(),
    }
}

fn failed(runs: &[f64]) -> &'static str {
    if runs.is_empty() {
        ""
    } else {
        " (and then a run failed)"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_compared_within_their_round() {
        let run = |row: &str, program: &str, seconds: f64| Run {
            row: row.to_owned(),
            program: program.to_owned(),
            seconds,
        };
        let idle = "nothing to do, local";
        let mut lines = Vec::new();
        for round in [1.0, 2.0, 3.0] {
            lines.push(run(idle, OURS, round));
            lines.push(run(idle, "syncoid", round * 40.0));
            lines.push(run(idle, "bzfs", round * 4.0));
            lines.push(run("one", "pipe", round));
            lines.push(run("one", "unverified", round));
            lines.push(run("one", "verified", round * 1.25));
            lines.push(run("memory", "unverified", 1024.0));
            lines.push(run("memory", "verified", 2048.0));
        }
        // One that failed in its first round leaves what was measured of it.
        lines.push(run("one new snapshot on each, ssh", OURS, 1.0));
        lines.push(run("one new snapshot on each, ssh", FAILED, 0.0));
        lines.push(run("nothing to do, ssh", OURS, 1.0));
        lines.push(run("nothing to do, ssh", "syncoid", 6.7));
        let measured = Measured {
            version: "2.3.9".to_owned(),
            lines,
        };
        let what = Peers {
            suite: vm::Suite::Trixie,
            datasets: 100,
            snapshots: 10,
            runs: 3,
            minutes: 6,
            size: 512,
            write: false,
        };
        let text = table(&measured, &what).unwrap();
        let row =
            format!("| {idle} | 3 | 40.0 (40.0 to 40.0) | 40 | 4.0 (4.0 to 4.0) | 5, missed |");
        assert!(text.contains(&row), "{text}");
        let row = "| one new snapshot on each, ssh (and then a run failed) | 1 | not measured | 4 ";
        assert!(text.contains(row), "{text}");
        let row = "| nothing to do, ssh | 1 | 6.7 (one pair) | 4 | not measured | 2 |";
        assert!(text.contains(row), "{text}");
        let row =
            "| the engine, verification on | 1.250 | 1.250 | 1.250 | 1.15, missed | 2.0 | 64 |";
        assert!(text.contains(row), "{text}");
    }
}
