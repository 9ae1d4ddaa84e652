//! Streams: sent, and sent to another pool.

use std::fmt::Write as _;

use anyhow::{Context, Result};

use super::{
    Streams, emulated,
    guest::{self, Guest, Measured},
    series::{Series, in_turn},
};
use crate::vm;

/// One pair of runs: bytes, and seconds of each.
#[derive(serde::Deserialize)]
struct Pair {
    bytes: u64,
    ours: f64,
    theirs: f64,
}

pub fn send(what: &Streams) -> Result<String> {
    measure("send", what, "zfs send")
}

pub fn replicate(what: &Streams) -> Result<String> {
    measure("replicate", what, "zfs send \\| zfs receive")
}

fn measure(bench: &str, what: &Streams, peer: &str) -> Result<String> {
    // The pool's data must fit the cache, which takes half of the memory.
    let memory = 4096.max(u32::try_from(what.size * 4)?);
    let arguments = format!("{bench} {} {}", what.size, what.runs);
    let guest = Guest {
        memory_mib: memory,
        ..Guest::new("bench-zfs", what.suite)
    };
    table(&guest::run(&guest, &arguments)?, peer)
}

fn table(measured: &Measured<Pair>, peer: &str) -> Result<String> {
    let pairs = &measured.lines;
    let none = "no pair was measured";
    let bytes = pairs.first().context(none)?.bytes;
    let series = |value: fn(&Pair) -> f64| Series::new(pairs.iter().map(value).collect());
    let ours = series(|pair| pair.ours).context(none)?;
    let theirs = series(|pair| pair.theirs).context(none)?;
    let ratio = series(|pair| pair.ours / pair.theirs).context(none)?;
    let mut text = format!(
        "OpenZFS {}, a stream of {bytes} bytes, {}, {}.\n\n",
        measured.version,
        in_turn(pairs.len()),
        emulated(),
    );
    text.push_str("| | median | least | most |\n| --- | --- | --- | --- |\n");
    let seconds = row("zfs-core, seconds", &ours) + &row(&format!("{peer}, seconds"), &theirs);
    if vm::has_kvm() {
        text.push_str(&seconds);
    } else {
        eprintln!("bench: seconds under emulation, not to be published:\n{seconds}");
    }
    write!(
        text,
        "{}",
        row(&format!("wall time, zfs-core ÷ {peer}"), &ratio)
    )?;
    Ok(text)
}

fn row(name: &str, series: &Series) -> String {
    format!(
        "| {name} | {:.3} | {:.3} | {:.3} |\n",
        series.median(),
        series.least(),
        series.most()
    )
}
