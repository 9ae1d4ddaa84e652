//! What is kept and what goes, on both sides.

use std::collections::HashMap;

use jiff::{Timestamp, Zoned};
use zfs_core::{Defer, Guid, ListSnapshots, SnapshotName, Zfs};
use zfs_replicate::marker::Marker;
use zfs_replicate::tree::{Dataset, Tree};
use zfs_retention::{Snapshot, Target};

use super::config::{Job, Keep};
use super::observe::failed;
use super::report::{Planned, Record, Reporter};
use super::run::Mode;

/// What retention wants to know of a snapshot and a tree does not have. By
/// GUID: a snapshot was created when its original was.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// When it was created.
    pub creation: Timestamp,
    /// How many holds it has.
    pub holds: u32,
    /// How many clones it has.
    pub clones: u32,
}

/// Reads the facts of every snapshot of a dataset.
///
/// # Errors
///
/// It cannot be listed.
pub fn facts(zfs: &Zfs, dataset: &Dataset) -> Result<HashMap<Guid, Facts>, zfs_core::Error> {
    let mut facts = HashMap::new();
    let all = ListSnapshots::new().with_properties();
    for snapshot in zfs.list_snapshots(&dataset.name, all).gather()? {
        let creation = snapshot
            .creation()
            .and_then(|time| Timestamp::try_from(time).ok());
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        // One without a time is left out, and what is left out stays.
        if let Some(creation) = creation {
            facts.insert(
                snapshot.guid,
                Facts {
                    creation,
                    holds: small(snapshot.userrefs().unwrap_or(u64::MAX)),
                    clones: small(snapshot.clone_count),
                },
            );
        }
    }
    Ok(facts)
}

/// Which side of a job is pruned.
#[derive(Clone, Copy, Debug)]
pub enum Side<'a> {
    /// The source. What a target lacks is protected, for the targets of the
    /// job and for all whose markers stand there.
    Source(&'a Job),
    /// A target. Its youngest snapshot is what the next increment builds on.
    Target,
}

impl Side<'_> {
    fn targets(self, dataset: &Dataset) -> Vec<Target> {
        let retention_guid = |guid: Guid| zfs_retention::Guid(guid.0);
        let retention_txg = |txg: zfs_core::Txg| zfs_retention::Txg(txg.0);
        match self {
            Side::Source(job) => {
                let known = job
                    .targets
                    .iter()
                    .map(|target| Target::new(target.identifier.as_str()).required());
                let marked = dataset.bookmarks.iter().filter_map(|bookmark| {
                    let marker = Marker::parse(bookmark.name.bookmark())?;
                    let truthful = marker.guid == bookmark.guid;
                    truthful.then(|| {
                        Target::new(marker.target.as_str())
                            .marker(
                                retention_guid(bookmark.guid),
                                retention_txg(bookmark.createtxg),
                            )
                            .required()
                    })
                });
                known.chain(marked).collect()
            }
            Side::Target => dataset
                .newest()
                .map(|newest| {
                    Target::new("the source")
                        .base(retention_guid(newest.guid), retention_txg(newest.createtxg))
                })
                .into_iter()
                .collect(),
        }
    }
}

/// A snapshot that goes, with the reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doomed {
    /// Its name.
    pub snapshot: SnapshotName,
    /// Its GUID.
    pub guid: Guid,
    /// Why it goes.
    pub why: String,
}

/// Decides over the snapshots of one dataset.
pub fn decide(
    keep: &Keep,
    side: Side<'_>,
    dataset: &Dataset,
    facts: &HashMap<Guid, Facts>,
    now: Timestamp,
) -> Vec<Doomed> {
    let snapshots: Vec<Snapshot<(SnapshotName, Guid)>> = dataset
        .snapshots
        .iter()
        .filter_map(|snapshot| {
            let facts = facts.get(&snapshot.guid)?;
            Some(
                Snapshot::new(
                    snapshot.name.snapshot(),
                    zfs_retention::Guid(snapshot.guid.0),
                    zfs_retention::Txg(snapshot.createtxg.0),
                    facts.creation,
                )
                .held(facts.holds)
                .cloned(facts.clones)
                .with_id((snapshot.name.clone(), snapshot.guid)),
            )
        })
        .collect();
    let now: Zoned = now.to_zoned(keep.zone.clone());
    let plan = keep.policy.plan(&snapshots, &side.targets(dataset), &now);
    plan.decisions()
        .filter(|decision| decision.verdict() == zfs_retention::Verdict::Destroy)
        .map(|decision| {
            let reasons: Vec<_> = decision.reasons().iter().map(ToString::to_string).collect();
            let (snapshot, guid) = decision.snapshot().id.clone();
            Doomed {
                snapshot,
                guid,
                why: reasons.join("; "),
            }
        })
        .collect()
}

/// One side of a job to prune.
pub struct Prune<'a> {
    /// ZFS.
    pub zfs: &'a Zfs,
    /// Who is told.
    pub reporter: &'a Reporter,
    /// The job's name.
    pub job: &'a str,
    /// Whether it is done.
    pub mode: Mode,
    /// What is known of snapshots beforehand.
    pub known: &'a HashMap<Guid, Facts>,
}

impl Prune<'_> {
    /// Prunes the datasets of a tree for which `covers` is true.
    pub fn tree(
        &self,
        keep: &Keep,
        side: Side<'_>,
        tree: &Tree,
        covers: impl Fn(&Dataset) -> bool,
    ) {
        let now = Timestamp::now();
        for dataset in tree.datasets.iter().filter(|dataset| covers(dataset)) {
            let mut facts = match facts(self.zfs, dataset) {
                Ok(facts) => facts,
                // In a dry run it need not be there yet.
                Err(error) if self.mode == Mode::Dry && error.is_not_found() => HashMap::new(),
                Err(error) => {
                    let name = Some(dataset.name.as_str());
                    self.reporter
                        .tell(self.job, &failed("prune", name, None, error));
                    continue;
                }
            };
            for (guid, known) in self.known {
                facts.entry(*guid).or_insert(*known);
            }
            let doomed = decide(keep, side, dataset, &facts, now);
            self.dataset(dataset, &doomed);
        }
    }

    fn dataset(&self, dataset: &Dataset, doomed: &[Doomed]) {
        for snapshot in doomed {
            self.reporter.tell(
                self.job,
                &Record::Plan(Planned {
                    step: "destroy",
                    dataset: dataset.name.as_str(),
                    what: format!("destroy {}", snapshot.snapshot),
                    why: snapshot.why.clone(),
                    reason: "policy",
                    to: Some(snapshot.snapshot.to_string()),
                    to_guid: Some(snapshot.guid.to_string()),
                    ..Planned::default()
                }),
            );
        }
        if self.mode == Mode::Dry || doomed.is_empty() {
            return;
        }
        let names = doomed.iter().map(|doomed| &doomed.snapshot);
        if let Err(error) = self.zfs.destroy_snapshots(names, Defer::No) {
            let name = Some(dataset.name.as_str());
            self.reporter
                .tell(self.job, &failed("prune", name, None, error));
            return;
        }
        for snapshot in doomed {
            self.reporter.tell(
                self.job,
                &Record::Destroyed {
                    dataset: dataset.name.as_str(),
                    snapshot: snapshot.snapshot.as_str(),
                    guid: snapshot.guid.to_string(),
                    why: snapshot.why.clone(),
                },
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use zfs_core::Txg;
    use zfs_replicate::tree::Bookmark;

    use super::super::config::Config;
    use super::*;

    const TOML: &str = r#"
[policy.short]
last = 1
[[job]]
name = "a"
source = "tank"
policy = "short"
[[job.target]]
dataset = "vault/tank"
identifier = "siteb"
policy = "short"
"#;

    /// Snapshots a minute apart; those in capitals have names of their own.
    fn world(marker: Option<u64>) -> (Job, Dataset, HashMap<Guid, Facts>, Timestamp) {
        let job = Config::parse("f", TOML).unwrap().jobs.remove(0);
        let mut dataset = Dataset::new("tank".parse().unwrap(), Guid(1));
        let mut facts = HashMap::new();
        let start: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        for minute in 0..5_u8 {
            let name = match minute {
                1 => "MINE".to_owned(),
                _ => format!("pipeline_2026-11-22T12:0{minute}:00Z"),
            };
            let guid = Guid(100 + u64::from(minute));
            dataset.snapshots.push(zfs_replicate::tree::Snapshot {
                name: dataset.name.with_snapshot(&name).unwrap(),
                guid,
                createtxg: Txg(10 + u64::from(minute)),
                creation: None,
                ivset: None,
            });
            facts.insert(
                guid,
                Facts {
                    creation: start + jiff::SignedDuration::from_mins(minute.into()),
                    holds: 0,
                    clones: 0,
                },
            );
        }
        if let Some(minute) = marker {
            let guid = Guid(100 + minute);
            let marker = Marker {
                target: "siteb".parse().unwrap(),
                guid,
            };
            dataset.bookmarks.push(Bookmark {
                name: marker.bookmark(&dataset.name).unwrap(),
                guid,
                createtxg: Txg(10 + minute),
                ivset: None,
            });
        }
        (
            job,
            dataset,
            facts,
            start + jiff::SignedDuration::from_hours(1),
        )
    }

    fn doomed(marker: Option<u64>, change: impl Fn(&mut HashMap<Guid, Facts>)) -> Vec<u64> {
        let (job, dataset, mut facts, now) = world(marker);
        change(&mut facts);
        let keep = job.keep.as_ref().unwrap();
        let doomed = decide(keep, Side::Source(&job), &dataset, &facts, now);
        doomed.iter().map(|doomed| doomed.guid.0 - 100).collect()
    }

    #[test]
    fn the_policy_decides_over_its_own_snapshots_alone() {
        assert_eq!(doomed(Some(4), |_| ()), [0, 2, 3]);
    }

    #[test]
    fn what_a_target_lacks_stays() {
        assert_eq!(doomed(Some(2), |_| ()), [0, 2]);
        assert_eq!(doomed(None, |_| ()), [] as [u64; 0]);
    }

    #[test]
    fn what_is_held_or_cloned_or_unknown_stays() {
        let changed = doomed(Some(4), |facts| {
            facts.get_mut(&Guid(100)).unwrap().holds = 1;
            facts.get_mut(&Guid(102)).unwrap().clones = 1;
            facts.remove(&Guid(103));
        });
        assert_eq!(changed, [] as [u64; 0]);
    }

    #[test]
    fn another_targets_marker_counts_as_well() {
        let (job, mut dataset, facts, now) = world(Some(4));
        let marker = Marker {
            target: "tape".parse().unwrap(),
            guid: Guid(102),
        };
        dataset.bookmarks.push(Bookmark {
            name: marker.bookmark(&dataset.name).unwrap(),
            guid: Guid(102),
            createtxg: Txg(12),
            ivset: None,
        });
        let keep = job.keep.as_ref().unwrap();
        let doomed = decide(keep, Side::Source(&job), &dataset, &facts, now);
        let doomed: Vec<_> = doomed.iter().map(|doomed| doomed.guid.0 - 100).collect();
        assert_eq!(doomed, [0, 2]);
    }

    #[test]
    fn a_target_keeps_its_youngest_snapshot_whatever_its_age() {
        let (job, mut dataset, facts, now) = world(None);
        // The youngest in the pool's order is not the one that the policy
        // would keep.
        if let Some(snapshot) = dataset.snapshots.first_mut() {
            snapshot.createtxg = Txg(99);
        }
        let keep = job.targets[0].keep.as_ref().unwrap();
        let doomed = decide(keep, Side::Target, &dataset, &facts, now);
        let doomed: Vec<_> = doomed.iter().map(|doomed| doomed.guid.0 - 100).collect();
        assert_eq!(doomed, [2, 3]);
    }
}
