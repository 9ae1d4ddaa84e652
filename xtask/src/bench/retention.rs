//! `cargo xtask bench retention`: plans, on the host.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::series::Series;
use crate::cargo::{self, Destination};

/// What `bench-retention` prints.
#[derive(serde::Deserialize)]
struct Measured {
    seconds: Vec<f64>,
    input: usize,
    standing: usize,
    most: usize,
}

fn measure(
    program: &Path,
    policy: &str,
    [datasets, snapshots, runs]: [usize; 3],
) -> Result<Measured> {
    let output = Command::new(program)
        .arg(policy)
        .args([datasets, snapshots, runs].map(|number| number.to_string()))
        .output()
        .context("cannot run bench-retention")?;
    if !output.status.success() {
        bail!(
            "bench-retention failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The section of docs/COMPARE.md.
pub fn section() -> Result<String> {
    let programs = cargo::build(
        Destination::Host,
        &[
            "build",
            "--release",
            "-p",
            "benches",
            "--bin",
            "bench-retention",
        ],
    )?;
    let program = programs
        .into_iter()
        .next()
        .context("cargo built no bench-retention")?;
    let mut text = String::from(
        "| snapshots | seconds, median | least | most | bytes a snapshot, caller's own | with the plan | at most |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let mut row = |what: &str, policy: &str, numbers: [usize; 3]| -> Result<()> {
        let measured = measure(&program.file, policy, numbers)?;
        let [datasets, snapshots, _] = numbers;
        let seconds = Series::new(measured.seconds).context("nothing was measured")?;
        let count = datasets * snapshots;
        let each = |bytes: usize| {
            // Pages are too coarse to share out among few.
            if count < 100_000 {
                "–".to_owned()
            } else {
                (bytes / count).to_string()
            }
        };
        writeln!(
            text,
            "| {what} | {:.6} | {:.6} | {:.6} | {} | {} | {} |",
            seconds.median(),
            seconds.least(),
            seconds.most(),
            each(measured.input),
            each(measured.standing),
            each(measured.most)
        )?;
        Ok(())
    };
    for (policy, told) in [("tiers", "seven tiers"), ("sanoid", "sanoid's defaults")] {
        let what = format!("1000 of each of 1000 datasets, {told}");
        row(&what, policy, [1000, 1000, 15])?;
    }
    for power in 3..=7 {
        let runs = if power < 6 { 15 } else { 5 };
        let what = format!("10^{power} of one dataset, seven tiers");
        row(&what, "tiers", [1, 10_usize.pow(power), runs])?;
    }
    Ok(text)
}
