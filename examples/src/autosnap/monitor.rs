//! `--monitor-snapshots` and `--monitor-capacity`: one line and one code for
//! Nagios, as sanoid 2.3.0 gives them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use zfs_core::{PoolName, Zfs};
use zfs_retention::Tier;
use zfs_retention::conf::{Dataset, Freshness};

use super::pools::Pools;
use super::site::{Observed, Site};
use crate::output::duration;

/// How something stands, in Nagios' words and codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// All is well.
    #[default]
    Ok,
    /// Look at it.
    Warning,
    /// Do something.
    Critical,
    /// It could not be found out.
    Unknown,
}

impl Level {
    /// The exit code.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Ok => "OK",
            Level::Warning => "WARNING",
            Level::Critical => "CRITICAL",
            Level::Unknown => "UNKNOWN",
        }
    }

    /// What stands before the states of several pools.
    pub(super) fn banner(self) -> &'static str {
        match self {
            Level::Ok => "",
            Level::Warning => "*** WARNING *** ",
            Level::Critical | Level::Unknown => "*** CRITICAL *** ",
        }
    }
}

/// What a check has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The worst of it.
    pub level: Level,
    /// One line.
    pub line: String,
}

/// Whether every configured dataset has snapshots that are young enough.
pub fn snapshots(site: &Site, now: Timestamp) -> Report {
    let watched =
        |observed: &&Observed| observed.conf.settings.monitor && !observed.conf.children_only;
    let watched: Vec<&Observed> = site.datasets.iter().filter(watched).collect();
    // A clock that was ahead leaves snapshots that would be new for years.
    let latest = now.checked_add(CLOCKS_DIFFER).unwrap_or(now);
    let (mut level, mut messages) = unseen(site, now);
    for observed in watched.iter().filter(|observed| !observed.unseen) {
        let Dataset { path, settings, .. } = &observed.conf;
        for tier in Tier::ALL {
            let found = settings.freshness(tier, observed.newest(tier, latest), now);
            let (own, text) = match found {
                Freshness::Unwatched | Freshness::Fresh => continue,
                Freshness::Missing => (
                    Level::Critical,
                    format!("CRIT: {path} has no {tier} snapshots at all!"),
                ),
                Freshness::Critical { age, limit } => {
                    (Level::Critical, too_old("CRIT", path, tier, age, limit))
                }
                Freshness::Late { age, limit } => {
                    (Level::Warning, too_old("WARN", path, tier, age, limit))
                }
            };
            let told_only = match own {
                Level::Critical => settings.monitor_dont_crit,
                _ => settings.monitor_dont_warn,
            };
            if !told_only {
                level = level.max(own);
            }
            messages.push(text);
        }
    }
    let line = if messages.is_empty() {
        let mut paths: Vec<String> = watched.iter().map(|it| it.conf.path.clone()).collect();
        let paths = joined(&mut paths);
        format!("OK: all monitored datasets ({paths}) have fresh snapshots")
    } else {
        joined(&mut messages)
    };
    Report { level, line }
}

/// So far ahead a snapshot's creation may be and still be believed.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(1);

/// What of the watched datasets could not be listed. Nobody knows how old
/// their snapshots are, which is as bad as if there were none.
fn unseen(site: &Site, now: Timestamp) -> (Level, Vec<String>) {
    let missing = |observed: &&Observed| {
        let found = |tier| observed.conf.settings.freshness(tier, None, now);
        Tier::ALL
            .into_iter()
            .any(|it| found(it) == Freshness::Missing)
    };
    let mut level = Level::Ok;
    let mut texts = BTreeSet::new();
    for unseen in &site.unseen {
        for observed in site.concerned(unseen).filter(missing) {
            if !observed.conf.settings.monitor_dont_crit {
                level = Level::Critical;
            }
            texts.insert(format!("CRIT: {}", unseen.error));
        }
    }
    (level, texts.into_iter().collect())
}

fn too_old(
    word: &str,
    path: &str,
    tier: Tier,
    age: SignedDuration,
    limit: SignedDuration,
) -> String {
    let (age, limit) = (duration(age), duration(limit));
    format!("{word}: {path} newest {tier} snapshot is {age} old (should be < {limit})")
}

/// Sorted without regard to case.
fn joined(texts: &mut [String]) -> String {
    texts.sort_by_key(|text| text.to_ascii_lowercase());
    texts.join(", ")
}

/// The limits of a pool, in percent; 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limits {
    warn: u8,
    crit: u8,
}

/// Each pool's limits: those of the section that is the pool itself, else of
/// its first.
fn limits(configured: &[Dataset]) -> BTreeMap<PoolName, Limits> {
    let mut all = BTreeMap::new();
    for Dataset { path, settings, .. } in configured {
        let first = path.split('/').next().unwrap_or_default();
        let Ok(pool) = first.parse::<PoolName>() else {
            continue;
        };
        let limits = Limits {
            warn: settings.capacity_warn,
            crit: settings.capacity_crit,
        };
        if limits.warn == 0 && limits.crit == 0 {
            continue;
        }
        if first == path || !all.contains_key(&pool) {
            all.insert(pool, limits);
        }
    }
    all
}

/// Whether the pools have room. Nothing is listed for it.
pub fn capacity(zfs: &Zfs, configured: &[Dataset]) -> Report {
    let mut pools = Pools::new(zfs);
    let mut found = Vec::new();
    for (pool, limits) in limits(configured) {
        let Ok(Some(percent)) = pools.capacity(&pool) else {
            return missing(&pool);
        };
        found.push((pool, limits, percent));
    }
    told(&found)
}

/// What is said of pools that are so many percent full.
fn told(found: &[(PoolName, Limits, u8)]) -> Report {
    let mut level = Level::Ok;
    let mut messages = Vec::new();
    for (pool, limits, percent) in found {
        let over = |limit: u8| limit > 0 && *percent >= limit;
        let own = if over(limits.crit) {
            Level::Critical
        } else if over(limits.warn) {
            Level::Warning
        } else {
            Level::Ok
        };
        level = level.max(own);
        messages.push(format!("{} ZPOOL {pool} : {percent}%", own.as_str()));
    }
    Report {
        level,
        line: format!("{}{}", level.banner(), messages.join(", ")),
    }
}

/// A pool that does not answer ends the check, in sanoid too.
pub(super) fn missing(pool: &PoolName) -> Report {
    Report {
        level: Level::Critical,
        line: format!("CRITICAL ZPOOL {{{pool}}} does not exist and/or is not responding!"),
    }
}

#[cfg(test)]
mod tests {
    use zfs_retention::conf::{Conf, Source};
    use zfs_retention::{Guid, Snapshot, Txg};

    use super::*;
    use crate::autosnap::site::Unseen;

    fn configured(text: &str) -> Vec<Dataset> {
        let source = Source {
            name: "sanoid.conf",
            text,
        };
        Conf::read(source, None).unwrap().expand_as_written()
    }

    fn site(text: &str, ages_in_hours: &[(&str, &str, i64)], now: Timestamp) -> Site {
        let datasets = configured(text)
            .into_iter()
            .map(|conf| Observed {
                snapshots: ages_in_hours
                    .iter()
                    .filter(|(path, ..)| *path == conf.path)
                    .map(|(path, tier, hours)| {
                        let at = now - SignedDuration::from_hours(*hours);
                        let name = format!("autosnap_{hours}_{tier}");
                        let id = format!("{path}@{name}").parse().unwrap();
                        Snapshot::new(name, Guid(1), Txg(1), at).with_id(id)
                    })
                    .collect(),
                name: conf.path.parse().ok(),
                unseen: false,
                conf,
            })
            .collect();
        Site {
            datasets,
            ..Site::default()
        }
    }

    #[test]
    fn lines_are_those_of_sanoid() {
        let now: Timestamp = "2026-04-03T12:00:00Z".parse().unwrap();
        let conf = "[tank/b]\nmonthly = 0\n[tank/A]\nmonthly = 0\nmonitor_dont_crit = yes\n";
        let fresh = [
            ("tank/b", "hourly", 0),
            ("tank/b", "daily", 3),
            ("tank/A", "hourly", 1),
            ("tank/A", "daily", 20),
        ];
        let report = snapshots(&site(conf, &fresh, now), now);
        assert_eq!(report.level, Level::Ok);
        assert_eq!(
            report.line,
            "OK: all monitored datasets (tank/A, tank/b) have fresh snapshots"
        );
        let late = [
            ("tank/b", "hourly", 5),
            ("tank/b", "daily", 3),
            ("tank/A", "daily", 33),
        ];
        let report = snapshots(&site(conf, &late, now), now);
        assert_eq!(report.level, Level::Warning);
        assert_eq!(
            report.line,
            "CRIT: tank/A has no hourly snapshots at all!, \
             CRIT: tank/A newest daily snapshot is 1d 9h 0m 0s old (should be < 1d 8h 0m 0s), \
             WARN: tank/b newest hourly snapshot is 5h 0m 0s old (should be < 1h 30m 0s)"
        );
    }

    #[test]
    fn a_snapshot_from_the_future_is_no_news() {
        let now: Timestamp = "2026-04-03T12:00:00Z".parse().unwrap();
        let conf = "[tank]\ndaily = 0\nmonthly = 0\n";
        let told = |hours: &[i64]| {
            let ages: Vec<_> = hours.iter().map(|age| ("tank", "hourly", *age)).collect();
            let report = snapshots(&site(conf, &ages, now), now);
            (report.level, report.line)
        };
        let (level, line) = told(&[-9000, 5]);
        assert_eq!(level, Level::Warning);
        assert!(line.contains("is 5h 0m 0s old"), "{line}");
        let (level, line) = told(&[-9000]);
        assert_eq!(level, Level::Critical);
        assert!(line.ends_with("no hourly snapshots at all!"), "{line}");
        assert_eq!(told(&[0]).0, Level::Ok);
    }

    #[test]
    fn what_could_not_be_listed_is_critical_and_not_called_missing() {
        let now: Timestamp = "2026-04-03T12:00:00Z".parse().unwrap();
        let told = |conf: &str| {
            let mut site = site(conf, &[("tank", "hourly", 0)], now);
            for observed in site.datasets.iter_mut().skip(1) {
                observed.unseen = true;
            }
            site.unseen = ["usb/a", "usb/b"]
                .map(|root| Unseen {
                    root: root.parse().unwrap(),
                    error: format!("cannot list {root}: it is broken"),
                })
                .into();
            let report = snapshots(&site, now);
            (report.level, report.line)
        };
        let template = "[template_t]\ndaily = 0\nmonthly = 0\n[tank]\nuse_template = t\n";
        let conf = format!("{template}[usb/a]\nuse_template = t\n[usb/b]\nmonitor = no\n");
        assert_eq!(
            told(&conf),
            (
                Level::Critical,
                "CRIT: cannot list usb/a: it is broken".to_owned()
            )
        );
        let (level, line) = told(&conf.replace("[usb/b]", "monitor_dont_crit = yes\n[usb/b]"));
        assert_eq!(level, Level::Ok);
        assert!(line.starts_with("CRIT: "), "{line}");
        assert_eq!(
            told(&conf.replace("[usb/b]", "monitor = no\n[usb/b]")).0,
            Level::Ok
        );
    }

    #[test]
    fn a_pool_s_own_section_sets_its_limits() {
        let conf = "[tank/a]\ncapacity_warn = 10\n[tank/b]\ncapacity_warn = 20\n\
                    [tank]\ncapacity_warn = 30\n[other/a]\ncapacity_warn = 0\ncapacity_crit = 0\n\
                    [other/b]\ncapacity_crit = 40\n";
        let limits: Vec<_> = limits(&configured(conf)).into_iter().collect();
        let limit = |warn, crit| Limits { warn, crit };
        assert_eq!(
            limits,
            [
                ("other".parse().unwrap(), limit(80, 40)),
                ("tank".parse().unwrap(), limit(30, 95)),
            ]
        );
    }
    #[test]
    fn a_pool_that_is_as_full_as_its_limit_is_told() {
        let limits = |warn, crit| Limits { warn, crit };
        for (limits, percent, level, line) in [
            (limits(80, 95), 79, Level::Ok, "OK ZPOOL tank : 79%"),
            (
                limits(80, 95),
                80,
                Level::Warning,
                "*** WARNING *** WARNING ZPOOL tank : 80%",
            ),
            (
                limits(80, 95),
                94,
                Level::Warning,
                "*** WARNING *** WARNING ZPOOL tank : 94%",
            ),
            (
                limits(80, 95),
                95,
                Level::Critical,
                "*** CRITICAL *** CRITICAL ZPOOL tank : 95%",
            ),
            // No limit is never reached, and the worse one counts.
            (limits(0, 95), 94, Level::Ok, "OK ZPOOL tank : 94%"),
            (
                limits(80, 0),
                100,
                Level::Warning,
                "*** WARNING *** WARNING ZPOOL tank : 100%",
            ),
            (
                limits(80, 70),
                70,
                Level::Critical,
                "*** CRITICAL *** CRITICAL ZPOOL tank : 70%",
            ),
        ] {
            let report = told(&[("tank".parse().unwrap(), limits, percent)]);
            assert_eq!((report.level, report.line.as_str()), (level, line));
        }
    }

    #[test]
    fn of_several_pools_each_is_told_and_the_worst_decides() {
        let limits = Limits { warn: 80, crit: 95 };
        let report = |percents: &[(&str, u8)]| {
            let found = percents.iter();
            let found: Vec<_> = found
                .map(|(pool, percent)| (pool.parse().unwrap(), limits, *percent))
                .collect();
            let report = told(&found);
            (report.level.code(), report.line)
        };
        assert_eq!(
            report(&[("a", 10), ("b", 20)]),
            (0, "OK ZPOOL a : 10%, OK ZPOOL b : 20%".to_owned())
        );
        assert_eq!(
            report(&[("a", 85), ("b", 20)]),
            (
                1,
                "*** WARNING *** WARNING ZPOOL a : 85%, OK ZPOOL b : 20%".to_owned()
            )
        );
        assert_eq!(
            report(&[("a", 85), ("b", 99), ("c", 1)]),
            (
                2,
                "*** CRITICAL *** WARNING ZPOOL a : 85%, CRITICAL ZPOOL b : 99%, \
                 OK ZPOOL c : 1%"
                    .to_owned()
            )
        );
        // Nothing has limits.
        assert_eq!(report(&[]), (0, String::new()));
    }
}
