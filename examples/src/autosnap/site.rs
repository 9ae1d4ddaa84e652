//! What sanoid.conf is about, and what of it there is on this machine.
//!
//! ```text
//! sanoid.conf ─> roots ─> datasets that exist ─> expand ─┐
//!                         snapshots of each ─────────────┴─> Site
//! ```

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use jiff::Timestamp;
use zfs_core::{
    DatasetName, Details, Entry, EntryKinds, ListCache, ListRequest, SnapshotEntry, SnapshotName,
    Zfs,
};
use zfs_retention::conf::{self, Conf, Reach};
use zfs_retention::{Guid, Snapshot, Tier, Txg};

use super::check;

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

impl fmt::Display for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", check::summary(&self.conf))?;
        if self.conf.children_only {
            f.write_str("; only its children are processed")?;
        }
        if self.name.is_none() {
            return f.write_str("; there is no such dataset");
        }
        f.write_str("; there are")?;
        for tier in Tier::ALL {
            let count = self.taken().filter(|(own, _)| *own == tier).count();
            write!(f, " {tier} {count}")?;
            if let Some(newest) = self.newest(tier) {
                write!(f, " (newest {newest})")?;
            }
        }
        Ok(())
    }
}

/// What was found, by the datasets' names.
type Found = HashMap<DatasetName, Vec<Snapshot<SnapshotName>>>;

impl Site {
    /// Looks at every configured dataset, and only once at what did not change
    /// since `cache` was written.
    ///
    /// # Errors
    ///
    /// Something cannot be listed. Datasets that do not exist are no error.
    pub fn observe(
        zfs: &Zfs,
        conf: &Conf,
        cache: Option<&ListCache>,
    ) -> Result<Site, zfs_core::Error> {
        let mut alone = BTreeSet::new();
        let mut trees = BTreeSet::new();
        for root in conf.roots() {
            // A name that cannot be one is no dataset's.
            if let Ok(name) = root.path.parse::<DatasetName>() {
                match root.reach {
                    Reach::Alone => alone.insert(name),
                    Reach::Tree => trees.insert(name),
                };
            }
        }
        alone.retain(|name| !trees.iter().any(|tree| name.is_within(tree)));
        let mut found = Found::new();
        list(zfs, &trees, None, cache, &mut found)?;
        // A dataset's snapshots are one level below it, and so are its
        // children, which nobody asked for.
        let mut children = Found::new();
        list(zfs, &alone, Some(1), cache, &mut children)?;
        children.retain(|name, _| alone.contains(name));
        found.extend(children);

        let mut existing: Vec<DatasetName> = found.keys().cloned().collect();
        // As zfs-list(8) sorts children.
        existing.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        let names: Vec<&str> = existing.iter().map(DatasetName::as_str).collect();
        let datasets = conf
            .expand(&names)
            .into_iter()
            .map(|conf| {
                let name = conf.path.parse::<DatasetName>().ok();
                let own = name.and_then(|name| found.remove_entry(&name));
                let (name, snapshots) = own.unzip();
                Observed {
                    conf,
                    name,
                    snapshots: snapshots.unwrap_or_default(),
                }
            })
            .collect();
        Ok(Site { datasets, existing })
    }

    /// A dataset and everything below it.
    pub fn tree(&self, root: &DatasetName) -> Vec<DatasetName> {
        let within = |name: &&DatasetName| name.is_within(root);
        self.existing.iter().filter(within).cloned().collect()
    }
}

/// Lists datasets with those of their snapshots that sanoid would see. Who
/// holds them is not looked at here: that is asked of the few that are to go.
fn list(
    zfs: &Zfs,
    roots: &BTreeSet<DatasetName>,
    depth: Option<usize>,
    cache: Option<&ListCache>,
    found: &mut Found,
) -> Result<(), zfs_core::Error> {
    if roots.is_empty() {
        // No root would mean all pools.
        return Ok(());
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut request = ListRequest::new()
        .kinds(EntryKinds::DATASET | EntryKinds::SNAPSHOT)
        .details(Details::Creation)
        .threads(threads);
    for root in roots {
        request = request.root(root.clone());
    }
    if let Some(depth) = depth {
        request = request.depth(depth);
    }
    if let Some(cache) = cache {
        request = request.cache(cache.clone());
    }
    let mut listing = zfs.list(request);
    for entry in &mut listing {
        match entry {
            Ok(Entry::Dataset(dataset)) => {
                found.entry(dataset.name).or_default();
            }
            Ok(Entry::Snapshot(entry)) => {
                let dataset = entry.name.dataset().clone();
                if let Some(snapshot) = snapshot(*entry) {
                    found.entry(dataset).or_default().push(snapshot);
                }
            }
            Ok(Entry::Bookmark(_)) => {}
            // Not there, or gone while it was listed.
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    if let Some(error) = listing.cache_error() {
        tracing::info!("the next run has to list again: {error}");
    }
    Ok(())
}

fn snapshot(entry: SnapshotEntry) -> Option<Snapshot<SnapshotName>> {
    let own = entry.name.snapshot();
    Tier::of(own)?;
    let creation = Timestamp::try_from(entry.creation?).ok()?;
    let snapshot = Snapshot::new(own, Guid(entry.guid.0), Txg(entry.createtxg.0), creation);
    Some(snapshot.with_id(entry.name))
}
