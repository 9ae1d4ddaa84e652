//! `--monitor-health`: how pools and their devices are, in the line that
//! sanoid 2.3.0 gives Nagios (`check_zpool`).

use std::collections::BTreeSet;
use std::fmt::Write as _;

use zfs_core::{Health, PoolName, PoolState, Vdev, VdevKind, VdevProblem, Zfs};
use zfs_retention::conf::Dataset;

use super::monitor::{Level, Report, missing};
use crate::list::nice;

/// Whether the pools of all configured datasets are well. Nothing is listed
/// for it: a pool that is not well may not let itself be.
pub fn report(zfs: &Zfs, configured: &[Dataset]) -> Report {
    let pools: BTreeSet<PoolName> = configured
        .iter()
        .filter_map(|dataset| dataset.path.split('/').next()?.parse().ok())
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
    let (name, health) = (&state.name, state.health);
    let space = space(state);
    let (level, devices) = devices(health, &state.root, &state.spares, &state.caches);
    let word = level.as_str();
    let line = format!("{word} ZPOOL {name} : {health} {{{space}}} {devices}");
    Report { level, line }
}

/// As zpool-list(8) has it, also of a pool that cannot say.
fn space(state: &PoolState) -> String {
    let Some(capacity) = state.capacity_percent else {
        return "Size:- Free:- Cap:-".to_owned();
    };
    let (size, free) = (
        nice::number(state.size_bytes),
        nice::number(state.free_bytes()),
    );
    format!("Size:{size} Free:{free} Cap:{capacity}%")
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

#[cfg(test)]
mod tests {
    use zfs_core::{Guid, VdevErrors};

    use super::*;

    fn device(kind: VdevKind, path: &str, health: Health) -> Vdev {
        Vdev {
            kind,
            guid: Guid(1),
            id: 0,
            path: (!path.is_empty()).then(|| path.to_owned()),
            is_whole_disk: false,
            was_missing: false,
            health,
            problem: None,
            errors: VdevErrors::default(),
            is_log: false,
            class: None,
            allocated_bytes: 0,
            size_bytes: 0,
            fragmentation_percent: None,
            ashift: None,
            repaired_bytes: 0,
            non_native_ashift: None,
            is_resilvering: false,
            is_rebuilding: false,
            is_removing: false,
            initialize: None,
            trim: None,
            children: Vec::new(),
        }
    }

    fn disk(name: &str, health: Health) -> Vdev {
        device(VdevKind::Disk, &format!("/dev/{name}"), health)
    }

    fn of(kind: VdevKind, health: Health, children: Vec<Vdev>) -> Vdev {
        Vdev {
            children,
            ..device(kind, "", health)
        }
    }

    fn told(health: Health, children: Vec<Vdev>) -> (Level, String) {
        devices(health, &of(VdevKind::Root, health, children), &[], &[])
    }

    #[test]
    fn a_pool_that_is_well_has_nothing_to_tell() {
        let disks = vec![disk("sda", Health::Online), disk("sdb", Health::Online)];
        let mirror = of(VdevKind::Mirror, Health::Online, disks);
        assert_eq!(
            told(Health::Online, vec![mirror]),
            (Level::Ok, String::new())
        );
    }

    #[test]
    fn the_state_of_the_pool_is_the_level() {
        for (health, level) in [
            (Health::Online, Level::Ok),
            (Health::Degraded, Level::Warning),
            (Health::Faulted, Level::Critical),
            (Health::Unavailable, Level::Critical),
            (Health::Suspended, Level::Critical),
        ] {
            assert_eq!(told(health, Vec::new()).0, level, "{health}");
        }
    }

    #[test]
    fn brackets_tell_how_deep_a_device_lies() {
        let old = of(
            VdevKind::Replacing,
            Health::Degraded,
            vec![disk("sdb", Health::Removed), disk("sdc", Health::Online)],
        );
        let mirror = of(
            VdevKind::Mirror,
            Health::Degraded,
            vec![disk("sda", Health::Faulted), old],
        );
        assert_eq!(
            told(Health::Degraded, vec![mirror]),
            (
                Level::Warning,
                "<mirror-0:DEGRADED> sda:FAULTED replacing-0:DEGRADED (sdb:REMOVED) ".to_owned()
            )
        );
    }

    #[test]
    fn errors_of_a_device_that_works_are_a_warning() {
        let mut bad = disk("sda", Health::Online);
        bad.errors.read = 3;
        bad.errors.checksum = 1;
        assert_eq!(
            told(Health::Online, vec![bad]),
            (Level::Warning, "(sda:read, cksum errors) ".to_owned())
        );
    }

    #[test]
    fn a_pool_may_work_while_a_log_is_not_there() {
        let mut log = disk("nvme0n1", Health::Unavailable);
        log.is_log = true;
        let (level, text) = told(Health::Online, vec![log, disk("sda", Health::Online)]);
        assert_eq!(
            (level, text.as_str()),
            (Level::Warning, "<nvme0n1:UNAVAIL> ")
        );
    }

    #[test]
    fn devices_come_in_the_order_of_zpool_status() {
        let broken = |name: &str| disk(name, Health::Offline);
        let mut log = broken("log");
        log.is_log = true;
        let mut special = broken("special");
        special.class = Some("special".to_owned());
        let mut dedup = broken("dedup");
        dedup.class = Some("dedup".to_owned());
        let gone = of(VdevKind::Hole, Health::Online, Vec::new());
        let top = vec![log, special, gone, dedup, broken("data")];
        let root = of(VdevKind::Root, Health::Degraded, top);
        let mut used = disk("used", Health::Online);
        used.problem = Some(VdevProblem::Spared);
        let spares = [disk("free", Health::Online), used];
        let (_, text) = devices(Health::Degraded, &root, &spares, &[broken("cache")]);
        assert_eq!(
            text,
            "<data:OFFLINE> <dedup:OFFLINE> <special:OFFLINE> <log:OFFLINE> <cache:OFFLINE> \
             <used:INUSE> "
        );
    }
}
