//! The target as it will be once the steps so far are done.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use zfs_core::{DatasetName, Guid, SnapshotName, Txg};

use crate::tree::{Dataset, Snapshot, Tree};

/// The datasets of the target under the names that they will have.
#[derive(Debug)]
pub(super) struct View<'a> {
    datasets: BTreeMap<DatasetName, Placed<'a>>,
    /// The listed ones by their youngest snapshot. What has got younger since
    /// is found by what it was.
    by_newest: HashMap<Guid, Vec<DatasetName>>,
}

/// A dataset of the target.
#[derive(Clone, Debug)]
pub(super) struct Placed<'a> {
    pub dataset: Cow<'a, Dataset>,
    /// Whether it was there before the plan, inside the target's tree.
    pub listed: bool,
}

impl<'a> View<'a> {
    pub fn new(tree: &'a Tree) -> View<'a> {
        let above = tree.above.iter().map(|dataset| (dataset, false));
        let listed = tree.datasets.iter().map(|dataset| (dataset, true));
        let mut view = View {
            by_newest: HashMap::new(),
            datasets: above
                .chain(listed)
                .map(|(dataset, listed)| {
                    let placed = Placed {
                        dataset: Cow::Borrowed(dataset),
                        listed,
                    };
                    (dataset.name.clone(), placed)
                })
                .collect(),
        };
        view.index();
        view
    }

    fn index(&mut self) {
        self.by_newest.clear();
        for (name, placed) in self.datasets.iter().filter(|(_, placed)| placed.listed) {
            if let Some(newest) = placed.dataset.newest() {
                let names = self.by_newest.entry(newest.guid).or_default();
                names.push(name.clone());
            }
        }
    }

    /// The listed datasets that have, or had, this snapshot as their youngest.
    pub fn with_newest(&self, guid: Guid) -> &[DatasetName] {
        self.by_newest.get(&guid).map_or(&[], Vec::as_slice)
    }

    pub fn get(&self, name: &DatasetName) -> Option<&Dataset> {
        self.datasets.get(name).map(|placed| &*placed.dataset)
    }

    /// The same for as long as the trees are there, where nothing was changed.
    pub fn placed(&self, name: &DatasetName) -> Option<Placed<'a>> {
        self.datasets.get(name).cloned()
    }

    /// What was there before the plan, by name.
    pub fn listed(&self) -> impl Iterator<Item = &Dataset> {
        self.datasets
            .values()
            .filter(|placed| placed.listed)
            .map(|placed| &*placed.dataset)
    }

    pub fn snapshot(&self, name: &SnapshotName) -> Option<&Snapshot> {
        let dataset = self.get(name.dataset())?;
        dataset.snapshots.iter().find(|s| s.name == *name)
    }

    /// The dataset that a plan makes.
    pub fn make(&mut self, dataset: Dataset) {
        let placed = Placed {
            dataset: Cow::Owned(dataset),
            listed: false,
        };
        self.datasets.insert(placed.dataset.name.clone(), placed);
    }

    pub fn remove(&mut self, name: &DatasetName) {
        self.datasets.remove(name);
    }

    /// What arrives in a dataset.
    pub fn arrive(&mut self, name: &DatasetName, snapshots: &[Snapshot]) {
        let Some(placed) = self.datasets.get_mut(name) else {
            return;
        };
        let dataset = placed.dataset.to_mut();
        let mut txg = dataset.newest().map_or(0, |newest| newest.createtxg.0);
        for snapshot in snapshots {
            txg = txg.saturating_add(1);
            if let Ok(name) = snapshot.name.on(name) {
                dataset.snapshots.push(Snapshot {
                    name,
                    createtxg: Txg(txg),
                    ..snapshot.clone()
                });
            }
        }
        dataset.partial = None;
    }

    /// Takes snapshots away, and what an interrupted receive left.
    pub fn roll_back(&mut self, name: &DatasetName, destroyed: &[SnapshotName]) {
        if let Some(placed) = self.datasets.get_mut(name) {
            let dataset = placed.dataset.to_mut();
            dataset.snapshots.retain(|s| !destroyed.contains(&s.name));
            dataset.partial = None;
        }
    }

    /// Renames a dataset and everything below it.
    pub fn rename(&mut self, from: &DatasetName, to: &DatasetName) {
        let moving: Vec<DatasetName> = self
            .datasets
            .keys()
            .filter(|name| name.is_within(from))
            .cloned()
            .collect();
        for old in moving {
            let Some(new) = moved(&old, from, to) else {
                continue;
            };
            let Some(mut placed) = self.datasets.remove(&old) else {
                continue;
            };
            let dataset = placed.dataset.to_mut();
            dataset.name = new.clone();
            for snapshot in &mut dataset.snapshots {
                if let Ok(name) = snapshot.name.on(&new) {
                    snapshot.name = name;
                }
            }
            self.datasets.insert(new, placed);
        }
        for placed in self.datasets.values_mut() {
            let Some(origin) = &placed.dataset.origin else {
                continue;
            };
            let new = moved(origin.dataset(), from, to).and_then(|new| origin.on(&new).ok());
            if let Some(new) = new {
                placed.dataset.to_mut().origin = Some(new);
            }
        }
        self.index();
    }

    /// What a promotion would move: the snapshots of the origin's dataset up
    /// to the origin.
    pub fn promoted(&self, clone: &DatasetName) -> Option<(DatasetName, Vec<Snapshot>)> {
        let origin = self.get(clone)?.origin.clone()?;
        let until = self.snapshot(&origin)?.createtxg;
        let from = self.get(origin.dataset())?;
        let moving = from
            .snapshots
            .iter()
            .filter(|snapshot| snapshot.createtxg <= until)
            .cloned()
            .collect();
        Some((origin.dataset().clone(), moving))
    }

    /// Makes a clone the original.
    pub fn promote(&mut self, clone: &DatasetName) {
        let Some((from, moving)) = self.promoted(clone) else {
            return;
        };
        let origin = self.get(clone).and_then(|clone| clone.origin.clone());
        let mut above = None;
        if let Some(placed) = self.datasets.get_mut(&from) {
            let dataset = placed.dataset.to_mut();
            dataset.snapshots.retain(|s| !moving.contains(s));
            above = std::mem::replace(
                &mut dataset.origin,
                origin.and_then(|origin| origin.on(clone).ok()),
            );
        }
        if let Some(placed) = self.datasets.get_mut(clone) {
            let dataset = placed.dataset.to_mut();
            dataset.origin = above;
            for snapshot in &moving {
                if let Ok(name) = snapshot.name.on(clone) {
                    dataset.snapshots.push(Snapshot {
                        name,
                        ..snapshot.clone()
                    });
                }
            }
        }
        let moved: Vec<&SnapshotName> = moving.iter().map(|snapshot| &snapshot.name).collect();
        for (name, placed) in &mut self.datasets {
            let Some(origin) = &placed.dataset.origin else {
                continue;
            };
            if name != clone && moved.contains(&origin) {
                if let Ok(new) = origin.on(clone) {
                    placed.dataset.to_mut().origin = Some(new);
                }
            }
        }
        self.index();
    }

    /// The clones of a dataset's snapshots, with their origins.
    pub fn clones<'v>(
        &'v self,
        of: &'v DatasetName,
    ) -> impl Iterator<Item = (&'v DatasetName, &'v SnapshotName)> {
        self.datasets.iter().filter_map(move |(name, placed)| {
            let origin = placed.dataset.origin.as_ref()?;
            (origin.dataset() == of).then_some((name, origin))
        })
    }

    /// The datasets below one.
    pub fn below<'v>(&'v self, of: &'v DatasetName) -> impl Iterator<Item = &'v DatasetName> {
        self.datasets
            .keys()
            .filter(move |name| name.is_descendant_of(of))
    }

    /// The snapshot with that GUID on a dataset.
    pub fn snapshot_of(&self, dataset: &DatasetName, guid: Guid) -> Option<&Snapshot> {
        self.get(dataset)?.snapshot(guid)
    }
}

fn moved(name: &DatasetName, from: &DatasetName, to: &DatasetName) -> Option<DatasetName> {
    if name == from {
        return Some(to.clone());
    }
    to.join(name.strip_prefix(from)?).ok()
}
