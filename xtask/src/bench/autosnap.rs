//! `cargo xtask bench autosnap`: zfs-autosnap against sanoid, in the machine.

use std::fmt::Write as _;

use anyhow::{Context, Result};

use super::{
    emulated,
    guest::{self, Guest, Measured},
    kept::Recipe,
    series::Series,
};
use crate::vm::Suite;

/// A line that `bench-autosnap` prints.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Line {
    /// A pair of runs.
    Pair(Pair),
    Sanoid {
        sanoid: String,
    },
}

#[derive(serde::Deserialize)]
struct Pair {
    what: String,
    sanoid: f64,
    autosnap: f64,
}

const SNAPSHOTS: usize = 50;

/// The section of docs/COMPARE.md.
pub fn section(suite: Suite, datasets: u32, idle: u32, due: u32) -> Result<String> {
    let guest = Guest {
        programs: &["zfs-autosnap"],
        disks: vec![recipe(suite, datasets).disk()?],
        ..Guest::new("bench-autosnap", suite)
    };
    let measured: Measured<Line> = guest::run(&guest, &format!("{idle} {due}"))?;
    table(&measured, datasets)
}

/// Datasets with snapshots of the types that the configuration keeps for long,
/// the newest of each too young for another.
fn recipe(suite: Suite, datasets: u32) -> Recipe {
    let snapshot = |nth: usize| {
        let tier = match nth {
            0..3 => "monthly",
            3..13 => "daily",
            _ => "hourly",
        };
        format!(
            "autosnap_2026-11-25_09:{:02}:{:02}_{tier}",
            nth / 60,
            nth % 60
        )
    };
    Recipe {
        bench: "autosnap",
        suite,
        clock: Some("2026-11-25 10:05:00"),
        datasets: (0..datasets)
            .map(|nth| format!("vm-{nth}-disk-0"))
            .collect(),
        snapshots: (0..SNAPSHOTS).map(snapshot).collect(),
    }
}

fn table(measured: &Measured<Line>, datasets: u32) -> Result<String> {
    let zfs = &measured.version;
    let lines = || measured.lines.iter();
    let sanoid = lines().find_map(|line| match line {
        Line::Sanoid { sanoid } => Some(sanoid),
        Line::Pair(_) => None,
    });
    let sanoid = sanoid.context("the machine has no sanoid")?;
    let mut text = format!(
        "OpenZFS {zfs}, sanoid {sanoid}, {datasets} datasets with {SNAPSHOTS} snapshots each, {}.\n\n\
         | sanoid ÷ zfs-autosnap, wall time | pairs of runs | median | least | most |\n\
         | --- | --- | --- | --- | --- |\n",
        emulated(),
    );
    for (what, told) in [
        ("idle", "nothing due"),
        ("due", "a snapshot of three types due on each"),
    ] {
        let own = || {
            lines().filter_map(|line| match line {
                Line::Pair(pair) if pair.what == what => Some(pair),
                _ => None,
            })
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_and_the_pairs_become_a_table() {
        let lines = [
            r#"{"what":"version","sanoid":"2.2.0-2"}"#,
            r#"{"what":"idle","sanoid":9.0,"autosnap":1.0}"#,
            r#"{"what":"due","sanoid":4.0,"autosnap":2.0}"#,
        ];
        let measured = Measured::of(&lines);
        let text = table(&measured, 200).unwrap();
        assert!(text.contains("sanoid 2.2.0-2, 200 datasets"), "{text}");
        assert!(text.contains("| nothing due | 1 | 9.0 |"), "{text}");
    }
}
