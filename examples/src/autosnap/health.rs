//! `--monitor-health`: how pools and their devices are, in the line that
//! sanoid 2.3.0 gives Nagios (`check_zpool`).

use std::collections::BTreeSet;
use std::fmt::Write as _;

use zfs_core::{Health, PoolName, PoolState, Vdev, VdevKind, VdevProblem, Zfs};

use super::monitor::{Level, Report, missing};
use super::site::Site;
use crate::list::nice;

/// Whether the pools of all configured datasets are well.
pub fn report(zfs: &Zfs, site: &Site) -> Report {
    let pools: BTreeSet<PoolName> = site
        .datasets
        .iter()
        .filter_map(|observed| observed.conf.path.split('/').next()?.parse().ok())
        .collect();
    let mut level = Level::Ok;
    let mut messages = Vec::new();
    for pool in pools {
        let Ok(state) = zfs.pool_state(&pool) else {
            return missing(&pool);
        };
        let own = check(&state);
        level = level.max(own.level);
        messages.push(own.line);
    }
    Report {
        level,
        line: format!("{}{}", level.banner(), messages.join(", ")),
    }
}

fn check(state: &PoolState) -> Report {
    let (size, free) = (
        nice::number(state.size_bytes),
        nice::number(state.free_bytes()),
    );
    let (name, health, capacity) = (&state.name, state.health, state.capacity_percent);
    let (level, devices) = devices(health, &state.root, &state.spares, &state.caches);
    let word = level.as_str();
    let line = format!(
        "{word} ZPOOL {name} : {health} {{Size:{size} Free:{free} Cap:{capacity}%}} {devices}"
    );
    Report { level, line }
}

/// A line of zpool-status(8), as far as sanoid reads it.
struct Line<'a> {
    depth: usize,
    device: &'a Vdev,
    state: &'static str,
}

/// What zpool-status(8) lists below a pool, in its order: devices for data,
/// then those for deduplication and special ones, logs, caches, spares.
fn lines<'a>(root: &'a Vdev, spares: &'a [Vdev], caches: &'a [Vdev]) -> Vec<Line<'a>> {
    let class = |device: &Vdev| match device.class.as_deref() {
        _ if device.is_log => 3,
        Some("dedup") => 1,
        Some("special") => 2,
        _ => 0,
    };
    let mut top: Vec<&Vdev> = root.children.iter().collect();
    top.retain(|device| !matches!(device.kind, VdevKind::Hole | VdevKind::Indirect));
    top.sort_by_key(|device| class(device));
    let mut lines = Vec::new();
    for device in top.into_iter().chain(caches) {
        walk(device, 1, &mut lines);
    }
    // Of spares that are free or broken it reads nothing.
    let in_use = |spare: &&Vdev| spare.problem == Some(VdevProblem::Spared);
    lines.extend(spares.iter().filter(in_use).map(|device| Line {
        depth: 1,
        device,
        state: "INUSE",
    }));
    lines
}

fn walk<'a>(device: &'a Vdev, depth: usize, lines: &mut Vec<Line<'a>>) {
    lines.push(Line {
        depth,
        device,
        state: device.health.as_str(),
    });
    for child in &device.children {
        walk(child, depth + 1, lines);
    }
}

/// How bad it is, and which devices are why.
fn devices(health: Health, root: &Vdev, spares: &[Vdev], caches: &[Vdev]) -> (Level, String) {
    let mut level = match health {
        Health::Online => Level::Ok,
        Health::Degraded => Level::Warning,
        _ => Level::Critical,
    };
    let mut text = String::new();
    for line in lines(root, spares, caches) {
        let name = line.device.short_name();
        if level == Level::Ok && line.state == "UNAVAIL" {
            level = Level::Warning;
        }
        if level == Level::Ok || line.state == "ONLINE" {
            let errors = line.device.errors;
            let kinds = [
                (errors.read, "read"),
                (errors.write, "write"),
                (errors.checksum, "cksum"),
            ];
            let kinds: Vec<&str> = kinds
                .iter()
                .filter(|(count, _)| *count > 0)
                .map(|(_, kind)| *kind)
                .collect();
            if !kinds.is_empty() {
                let _ = write!(text, "({name}:{} errors) ", kinds.join(", "));
                level = level.max(Level::Warning);
            }
            continue;
        }
        let state = line.state;
        let _ = match line.depth {
            1 => write!(text, "<{name}:{state}> "),
            3 => write!(text, "({name}:{state}) "),
            _ => write!(text, "{name}:{state} "),
        };
    }
    (level, text)
}
