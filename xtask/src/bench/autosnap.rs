//! `cargo xtask bench autosnap`: zfs-autosnap against sanoid, in the machine.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::series::Series;
use crate::cargo::{self, Destination};
use crate::vm::{self, Machine, Outcome, Stream, Suite};

/// One pair of runs, as `bench-autosnap` prints it.
#[derive(serde::Deserialize)]
struct Pair {
    what: String,
    sanoid: f64,
    autosnap: f64,
}

const SNAPSHOTS: usize = 50;

/// The section of docs/COMPARE.md.
pub fn section(suite: Suite, datasets: u32, idle: u32, due: u32) -> Result<String> {
    let image = vm::build(suite)?;
    let mut machine = Machine::new(suite);
    machine.timeout = Duration::from_secs(3600);
    for (package, bin) in [("benches", "bench-autosnap"), ("examples", "zfs-autosnap")] {
        let programs = cargo::build(
            Destination::Guest(&image.root),
            &["build", "--release", "-p", package, "--bin", bin],
        )?;
        let program = programs
            .into_iter()
            .find(|program| program.name == bin)
            .with_context(|| format!("cargo built no {bin}"))?;
        let target = PathBuf::from("bin").join(bin);
        machine.copy_in.push((program.file, target));
    }
    let script = format!(
        "cat /sys/module/zfs/version; dpkg-query -W -f '${{Version}}\\n' sanoid; \
         exec bench-autosnap {datasets} {SNAPSHOTS} {idle} {due}"
    );
    let mut text = Vec::new();
    let outcome = machine.run(
        &["sh".into(), "-c".into(), script.into()],
        &mut |stream, bytes| match stream {
            Stream::Stdout => text.extend_from_slice(bytes),
            Stream::Stderr => vm::pass_on(stream, bytes),
        },
    )?;
    if outcome != Outcome::Exited(0) {
        bail!("bench-autosnap failed in the machine ({outcome:?})");
    }
    let text = String::from_utf8(text)?;
    let mut lines = text.lines();
    let zfs = lines.next().context("the machine printed nothing")?;
    let sanoid = lines.next().context("the machine has no sanoid")?;
    let pairs: Vec<Pair> = lines.map(serde_json::from_str).collect::<Result<_, _>>()?;
    table(zfs, sanoid, datasets, &pairs)
}

fn table(zfs: &str, sanoid: &str, datasets: u32, pairs: &[Pair]) -> Result<String> {
    let mut text = format!(
        "OpenZFS {zfs}, sanoid {sanoid}, {datasets} datasets with {SNAPSHOTS} snapshots each, {}.\n\n\
         | sanoid ÷ zfs-autosnap, wall time | pairs of runs | median | least | most |\n\
         | --- | --- | --- | --- | --- |\n",
        if vm::has_kvm() {
            "under KVM"
        } else {
            "under emulation: only the ratio means something"
        },
    );
    for (what, told) in [
        ("idle", "nothing due"),
        ("due", "a snapshot of three types due on each"),
    ] {
        let own = || pairs.iter().filter(|pair| pair.what == what);
        let ratios = own().map(|pair| pair.sanoid / pair.autosnap).collect();
        let series = Series::new(ratios).with_context(|| format!("no run with {told}"))?;
        for pair in own() {
            eprintln!(
                "bench: {told}: sanoid {:.3} s, zfs-autosnap {:.3} s",
                pair.sanoid, pair.autosnap
            );
        }
        writeln!(
            text,
            "| {told} | {} | {:.1} | {:.1} | {:.1} |",
            own().count(),
            series.median(),
            series.least(),
            series.most()
        )?;
    }
    Ok(text)
}
