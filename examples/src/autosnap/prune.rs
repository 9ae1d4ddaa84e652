//! Destroying what the configuration does not keep.

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};
use zfs_core::{DatasetName, Defer, SnapshotName, Zfs};
use zfs_retention::{Guid, Plan, Snapshot, Target, Txg};

use super::hook::Hook;
use super::pools::Pools;
use super::say::Say;
use super::site::{Observed, Site};
use super::targets::{Marked, waiting};

/// One run of pruning.
pub struct Prune<'a> {
    /// ZFS.
    pub zfs: &'a Zfs,
    /// Who is told.
    pub say: &'a Say,
    /// What there was before anything was taken: sanoid counts so.
    pub site: &'a Site,
    /// Whose hours and days are meant.
    pub zone: &'a TimeZone,
    /// Nothing is destroyed, only told.
    pub readonly: bool,
}

/// What is to go of one dataset.
struct Doomed<'a> {
    dataset: &'a Observed,
    name: &'a DatasetName,
    snapshots: Vec<SnapshotName>,
}

impl Prune<'_> {
    /// What the policies alone would destroy of a dataset; whether something
    /// protects it is not looked at.
    fn candidates(&self, dataset: &Observed, now: Timestamp) -> Vec<Snapshot<SnapshotName>> {
        let settings = &dataset.conf.settings;
        if !settings.autoprune || dataset.conf.children_only {
            return Vec::new();
        }
        let policy = settings.policy();
        let now = now.to_zoned(self.zone.clone());
        let plan = policy.plan(&dataset.snapshots, &[], &now);
        plan.destroyed().cloned().collect()
    }

    /// The datasets of which something is to go.
    pub fn wanted(&self, now: Timestamp) -> Vec<Wanted<'_>> {
        let mut pools = Pools::new(self.zfs);
        let mut all = Vec::new();
        for dataset in &self.site.datasets {
            let candidates = self.candidates(dataset, now);
            let (Some(name), false) = (&dataset.name, candidates.is_empty()) else {
                continue;
            };
            let percent = || pools.capacity(&name.pool());
            match is_deferred(dataset.conf.settings.prune_defer, percent) {
                Ok(false) => {}
                Ok(true) => {
                    let text = "its pool is not full enough to prune it (prune_defer)";
                    self.say.info(format_args!("{name}: {text}"));
                    continue;
                }
                Err(NotDecided::NoCapacity) => {
                    let text = "its pool cannot say how full it is (prune_defer)";
                    let text = format!("cannot prune {name}: {text}");
                    self.say.failed(name, text);
                    continue;
                }
                Err(NotDecided::Zfs(error)) => {
                    self.say.failed(name, error);
                    continue;
                }
            }
            all.push(Wanted {
                dataset,
                name,
                candidates,
            });
        }
        all
    }

    /// Destroys what is wanted and not protected, in one call for each pool;
    /// datasets with scripts one snapshot after the other.
    pub fn run(&self, wanted: Vec<Wanted<'_>>, now: Timestamp) {
        let mut together: BTreeMap<String, Vec<SnapshotName>> = BTreeMap::new();
        for wanted in wanted {
            let doomed = match self.spare_protected(&wanted, now) {
                Ok(snapshots) => Doomed {
                    dataset: wanted.dataset,
                    name: wanted.name,
                    snapshots,
                },
                Err(error) => {
                    self.say.failed(wanted.name, error);
                    continue;
                }
            };
            let settings = &doomed.dataset.conf.settings;
            if settings.pre_pruning_script.is_some() || settings.pruning_script.is_some() {
                self.with_scripts(&doomed);
                continue;
            }
            for snapshot in &doomed.snapshots {
                self.tell(snapshot);
            }
            let pool = doomed.name.pool().to_string();
            together.entry(pool).or_default().extend(doomed.snapshots);
        }
        if self.readonly {
            return;
        }
        for snapshots in together.values() {
            for some in snapshots.chunks(AT_ONCE) {
                self.destroy(some);
            }
        }
    }

    /// What of the candidates nothing protects: asks ZFS for the holds and
    /// clones of each, and for the markers of the dataset.
    fn spare_protected(
        &self,
        wanted: &Wanted<'_>,
        now: Timestamp,
    ) -> Result<Vec<SnapshotName>, zfs_core::Error> {
        let mut snapshots = Vec::with_capacity(wanted.candidates.len());
        for candidate in &wanted.candidates {
            let entry = match self.zfs.snapshot_entry(&candidate.id) {
                Ok(entry) => entry,
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(error),
            };
            if entry.guid.0 != candidate.guid.0 {
                // Another one has taken its name.
                continue;
            }
            let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
            // What cannot be told is taken as held.
            let holds = entry.userrefs().map_or(u32::MAX, small);
            let known = candidate.clone().held(holds);
            snapshots.push(known.cloned(small(entry.clone_count)));
        }
        let marked = marked(self.zfs, wanted.name)?;
        let targets: Vec<Target> = marked.iter().map(|it| it.target.clone()).collect();
        // Each candidate by itself: that it goes is decided, what is left to
        // say is whether it may.
        let nothing = zfs_retention::Policy::managing(zfs_retention::Names::Any)
            .with(zfs_retention::Part::last(0));
        let now = now.to_zoned(self.zone.clone());
        let plan = nothing.plan(&snapshots, &targets, &now);
        self.tell_protected(&plan);
        for text in waiting(&plan, &marked) {
            self.say.info(format_args!("{}: {text}", wanted.name));
        }
        Ok(plan
            .destroyed()
            .map(|snapshot| snapshot.id.clone())
            .collect())
    }

    fn tell_protected(&self, plan: &Plan<'_, SnapshotName>) {
        for decision in plan.decisions() {
            for protection in decision.protections() {
                let name = &decision.snapshot().id;
                self.say.info(format_args!("{name} stays, {protection}"));
            }
        }
    }

    fn tell(&self, snapshot: &SnapshotName) {
        let text = format!("destroying {snapshot}");
        if self.readonly {
            self.say.event("would_destroy", snapshot, text);
        } else {
            self.say.doing(text);
        }
    }

    /// All at once; where that fails each by itself, so that one does not keep
    /// the others.
    fn destroy(&self, snapshots: &[SnapshotName]) {
        if self.zfs.destroy_snapshots(snapshots, Defer::No).is_ok() {
            for snapshot in snapshots {
                self.say.done("destroy", snapshot);
            }
            return;
        }
        for snapshot in snapshots {
            self.destroy_one(snapshot);
        }
    }

    fn destroy_one(&self, snapshot: &SnapshotName) -> bool {
        let result = self.zfs.destroy_snapshots([snapshot], Defer::No);
        match &result {
            Ok(()) => self.say.done("destroy", snapshot),
            Err(error) => self.say.failed(snapshot, error),
        }
        result.is_ok()
    }

    fn with_scripts(&self, doomed: &Doomed<'_>) {
        let settings = &doomed.dataset.conf.settings;
        for snapshot in &doomed.snapshots {
            let environment = vec![
                ("SANOID_TARGET", doomed.name.to_string()),
                ("SANOID_SNAPNAME", snapshot.snapshot().to_owned()),
            ];
            if let Some(script) = &settings.pre_pruning_script {
                let hook = Hook {
                    key: "pre_pruning_script",
                    script,
                    timeout: settings.script_timeout,
                    environment: environment.clone(),
                };
                if !self.script(doomed, &hook) {
                    continue;
                }
            }
            self.tell(snapshot);
            if self.readonly || !self.destroy_one(snapshot) {
                continue;
            }
            if let Some(script) = &settings.pruning_script {
                let mut environment = environment;
                environment.push(("SANOID_SCRIPT", "prune".to_owned()));
                let hook = Hook {
                    key: "pruning_script",
                    script,
                    timeout: settings.script_timeout,
                    environment,
                };
                self.script(doomed, &hook);
            }
        }
    }

    fn script(&self, doomed: &Doomed<'_>, hook: &Hook<'_>) -> bool {
        if self.readonly {
            return true;
        }
        let (name, key, script) = (doomed.name, hook.key, hook.script);
        self.say
            .info(format_args!("running {key} {script:?} for {name}"));
        let result = hook.run(self.say.stdout_of_scripts());
        if let Err(trouble) = &result {
            let text = format!("{key} {script:?} failed for {name}: {trouble}");
            self.say.failed(name, text);
        }
        result.is_ok()
    }
}

/// How many snapshots are destroyed in one call: each is a while in the
/// kernel's syncing context, where nothing else moves.
const AT_ONCE: usize = 500;

/// Why nobody knows whether pruning is put off: then nothing is destroyed.
#[derive(Debug)]
enum NotDecided {
    /// The pool says nothing.
    NoCapacity,
    /// It could not be asked.
    Zfs(zfs_core::Error),
}

/// Whether pruning is put off until the pool is fuller than `prune_defer`, in
/// percent; 0 is never, and then the pool is not asked.
fn is_deferred(
    prune_defer: u8,
    capacity_percent: impl FnOnce() -> Result<Option<u8>, zfs_core::Error>,
) -> Result<bool, NotDecided> {
    if prune_defer == 0 {
        return Ok(false);
    }
    let percent = capacity_percent().map_err(NotDecided::Zfs)?;
    let percent = percent.ok_or(NotDecided::NoCapacity)?;
    Ok(percent <= prune_defer)
}

/// What the policies alone would destroy of a dataset.
pub struct Wanted<'a> {
    dataset: &'a Observed,
    name: &'a DatasetName,
    candidates: Vec<Snapshot<SnapshotName>>,
}

/// The markers that stand on a dataset.
fn marked(zfs: &Zfs, dataset: &DatasetName) -> Result<Vec<Marked>, zfs_core::Error> {
    let bookmarks = zfs.bookmarks(dataset)?;
    let marked = |it: &zfs_core::Bookmark| {
        let (guid, createtxg) = (Guid(it.guid.0), Txg(it.createtxg.0));
        Marked::of(it.name.as_str(), guid, createtxg)
    };
    Ok(bookmarks.iter().filter_map(marked).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pruning_is_put_off_until_the_pool_is_fuller_than_the_limit() {
        for (limit, percent, deferred) in [
            (60, 0, true),
            (60, 59, true),
            (60, 60, true),
            (60, 61, false),
            (60, 100, false),
            (100, 100, true),
        ] {
            let found = is_deferred(limit, || Ok(Some(percent)));
            assert_eq!(found.unwrap(), deferred, "{percent}% of {limit}%");
        }
    }

    #[test]
    fn without_a_limit_no_pool_is_asked() {
        assert!(!is_deferred(0, || panic!("it was asked")).unwrap());
    }

    #[test]
    fn what_a_pool_does_not_say_is_never_taken_as_full() {
        let silent = is_deferred(60, || Ok(None));
        assert!(matches!(silent, Err(NotDecided::NoCapacity)));
        let odd = || "tank@a".parse::<DatasetName>().map(|_| None);
        assert!(matches!(is_deferred(60, odd), Err(NotDecided::Zfs(_))));
    }
}
