//! Listings.

use std::fmt::Write as _;

use anyhow::{Context, Result};

use super::{
    Lists, emulated,
    guest::{self, Guest, Measured},
    kept::Recipe,
    series::{Series, in_turn},
};

/// One pair of runs.
#[derive(serde::Deserialize)]
struct Pair {
    kind: String,
    columns: String,
    ours: Run,
    theirs: Run,
}

/// Seconds, seconds of processors, KiB.
#[derive(serde::Deserialize)]
struct Run {
    wall: f64,
    cpu: f64,
    peak: f64,
    anonymous: f64,
}

pub fn list(what: &Lists) -> Result<String> {
    let pool = Recipe {
        bench: "list",
        suite: what.suite,
        clock: None,
        datasets: (0..what.datasets)
            .map(|number| format!("data{number:04}"))
            .collect(),
        snapshots: (0..what.snapshots.div_ceil(what.datasets))
            .map(|number| format!("autosnap_2026-11-22_{number:05}_hourly"))
            .collect(),
    };
    let arguments = format!("list {} {}", what.snapshots, what.runs);
    let guest = Guest {
        programs: &["zfs-list"],
        disks: vec![pool.disk()?],
        ..Guest::new("bench-zfs", what.suite)
    };
    let measured = guest::run(&guest, &arguments)?;
    table(&measured, what)
}

fn table(measured: &Measured<Pair>, what: &Lists) -> Result<String> {
    let mut text = format!(
        "OpenZFS {}, {} snapshots in {} datasets, none of which is mounted, two processors, {}, {}.\n\n",
        measured.version,
        what.snapshots,
        what.datasets,
        in_turn(what.runs as usize),
        emulated(),
    );
    text.push_str(
        "| columns | wall time, zfs list ÷ zfs-list: median (least to most) | processor time, zfs-list ÷ zfs list | peak memory, zfs-list ÷ zfs list | of that what is no page of a file |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    let mut begun: Vec<(&str, &str)> = Vec::new();
    for pair in &measured.lines {
        let group = (pair.kind.as_str(), pair.columns.as_str());
        if begun.contains(&group) {
            continue;
        }
        begun.push(group);
        let series = |value: fn(&Pair) -> f64| {
            let pairs = measured.lines.iter();
            let pairs = pairs.filter(|pair| (pair.kind.as_str(), pair.columns.as_str()) == group);
            Series::new(pairs.map(value).collect()).context("no pair was measured")
        };
        let faster = series(|pair| pair.theirs.wall / pair.ours.wall)?;
        let cpu = series(|pair| pair.ours.cpu / pair.theirs.cpu.max(0.01))?;
        let peak = series(|pair| pair.ours.peak / pair.theirs.peak)?;
        let anonymous = series(|pair| pair.ours.anonymous / pair.theirs.anonymous.max(1.0))?;
        let wall = faster.shown(2);
        let name = match group {
            ("cold", columns) => format!("`{columns}`"),
            ("again", columns) => format!("`{columns}`, a second time with nothing changed"),
            _ => "one dataset's newest snapshot (zfs-core, one call)".to_owned(),
        };
        if group.0 == "newest" {
            writeln!(text, "| {name} | {wall} | | | |")?;
        } else {
            writeln!(
                text,
                "| {name} | {wall} | {:.2} | {:.2} | {:.2} |",
                cpu.median(),
                peak.median(),
                anonymous.median()
            )?;
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_group_of_pairs_is_a_row() {
        let line = |kind: &str, ours: f64| {
            format!(
                r#"{{"kind":"{kind}","columns":"name","ours":{{"wall":{ours},"cpu":1,"peak":10,"anonymous":4}},"theirs":{{"wall":4,"cpu":2,"peak":100,"anonymous":80}}}}"#
            )
        };
        let lines = [line("cold", 2.0), line("cold", 1.0), line("again", 0.1)];
        let measured = Measured::of(&lines);
        let what = Lists {
            suite: crate::vm::Suite::Trixie,
            snapshots: 9,
            datasets: 3,
            runs: 2,
            write: false,
        };
        let text = table(&measured, &what).unwrap();
        assert!(
            text.contains("| `name` | 3.00 (2.00 to 4.00) | 0.50 | 0.10 | 0.05 |"),
            "{text}"
        );
        assert!(
            text.contains("nothing changed | 40.00 (one pair)"),
            "{text}"
        );
    }
}
