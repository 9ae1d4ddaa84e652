//! What sanoid.conf is about, and what of it there is on this machine.
//!
//! ```text
//! sanoid.conf ─> roots ─> datasets that exist ─> expand ─┐
//!                         snapshots of each ─────────────┴─> Site
//! ```

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use jiff::Timestamp;
use zfs_core::{DatasetName, ListDatasets, ListSnapshots, SnapshotName, Zfs};
use zfs_retention::conf::{self, Conf, Reach};
use zfs_retention::{Guid, Snapshot, Tier, Txg};

/// Datasets are listed by this many threads: the kernel opens each one anew
/// for its snapshots, and that can go on side by side.
const LISTERS: usize = 4;

/// The configured datasets, in the order of the file.
#[derive(Debug)]
pub struct Site {
    /// Those that exist, and those that should.
    pub datasets: Vec<Observed>,
    /// Every dataset that was found, those below a recursive one included.
    pub existing: Vec<DatasetName>,
}

/// A configured dataset.
#[derive(Debug)]
pub struct Observed {
    /// What sanoid.conf comes down to for it.
    pub conf: conf::Dataset,
    /// Its name, where it exists.
    pub name: Option<DatasetName>,
    /// Its snapshots with a name of sanoid's, in no order.
    pub snapshots: Vec<Snapshot<SnapshotName>>,
}

impl Observed {
    /// Type and creation of each snapshot.
    pub fn taken(&self) -> impl Iterator<Item = (Tier, Timestamp)> {
        self.snapshots
            .iter()
            .filter_map(|snapshot| Some((Tier::of(&snapshot.name)?, snapshot.creation)))
    }

    /// When the newest snapshot of a type was created.
    pub fn newest(&self, tier: Tier) -> Option<Timestamp> {
        let own = self.taken().filter(|(own, _)| *own == tier);
        own.map(|(_, creation)| creation).max()
    }
}

impl Site {
    /// Looks at every configured dataset.
    ///
    /// # Errors
    ///
    /// Something cannot be listed. Datasets that do not exist are no error.
    pub fn observe(zfs: &Zfs, conf: &Conf) -> Result<Site, zfs_core::Error> {
        let mut found: HashMap<String, zfs_core::Dataset> = HashMap::new();
        let mut names: Vec<String> = Vec::new();
        for root in conf.roots() {
            let Ok(name) = root.path.parse::<DatasetName>() else {
                continue;
            };
            let what = match root.reach {
                Reach::Alone => ListDatasets::new(),
                Reach::Tree => ListDatasets::new().recursive(),
            };
            for dataset in zfs.list_datasets(&name, what) {
                let dataset = match dataset {
                    Ok(dataset) => dataset,
                    // Not there, or gone while it was listed.
                    Err(error) if error.is_not_found() => break,
                    Err(error) => return Err(error),
                };
                let key = dataset.name.as_str().to_owned();
                if found.insert(key.clone(), dataset).is_none() {
                    names.push(key);
                }
            }
        }
        // As zfs-list(8) sorts children.
        names.sort_unstable();
        let configured = conf.expand(&names);
        let listed: Vec<Option<&zfs_core::Dataset>> = configured
            .iter()
            .map(|dataset| found.get(&dataset.path))
            .collect();
        let mut snapshots = list_all(zfs, &listed)?;
        let datasets = configured
            .into_iter()
            .zip(&listed)
            .enumerate()
            .map(|(nth, (conf, listed))| Observed {
                conf,
                name: listed.map(|dataset| dataset.name.clone()),
                snapshots: snapshots.remove(&nth).unwrap_or_default(),
            })
            .collect();
        let existing = names
            .iter()
            .filter_map(|name| Some(found.get(name)?.name.clone()))
            .collect();
        Ok(Site { datasets, existing })
    }

    /// A dataset and everything below it.
    pub fn tree(&self, root: &DatasetName) -> Vec<DatasetName> {
        let within = |name: &&DatasetName| name.is_within(root);
        self.existing.iter().filter(within).cloned().collect()
    }
}

type Listed = HashMap<usize, Vec<Snapshot<SnapshotName>>>;

/// The snapshots of all datasets, by their place, listed side by side.
fn list_all(zfs: &Zfs, datasets: &[Option<&zfs_core::Dataset>]) -> Result<Listed, zfs_core::Error> {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..LISTERS.min(datasets.len()))
            .map(|_| {
                scope.spawn(|| {
                    let mut mine = Vec::new();
                    loop {
                        let nth = next.fetch_add(1, Ordering::Relaxed);
                        match datasets.get(nth) {
                            None => return Ok::<_, zfs_core::Error>(mine),
                            Some(None) => {}
                            Some(Some(dataset)) => mine.push((nth, list(zfs, dataset)?)),
                        }
                    }
                })
            })
            .collect();
        let mut all = Listed::new();
        for worker in workers {
            match worker.join() {
                Ok(mine) => all.extend(mine?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(all)
    })
}

/// The snapshots of one dataset that sanoid would see. Who holds them is not
/// looked at here: that is asked of the few that are to go.
fn list(
    zfs: &Zfs,
    dataset: &zfs_core::Dataset,
) -> Result<Vec<Snapshot<SnapshotName>>, zfs_core::Error> {
    let mut own = Vec::new();
    for snapshot in zfs.list_snapshots(&dataset.name, ListSnapshots::new().with_properties()) {
        let snapshot = match snapshot {
            Ok(snapshot) => snapshot,
            Err(error) if error.is_not_found() => break,
            Err(error) => return Err(error),
        };
        let creation = snapshot.creation();
        let Some(creation) = creation.and_then(|time| Timestamp::try_from(time).ok()) else {
            continue;
        };
        let name = snapshot.name.snapshot();
        if Tier::of(name).is_none() {
            continue;
        }
        let entry = Snapshot::new(
            name,
            Guid(snapshot.guid.0),
            Txg(snapshot.createtxg.0),
            creation,
        );
        own.push(entry.with_id(snapshot.name));
    }
    Ok(own)
}
