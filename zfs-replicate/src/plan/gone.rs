//! What the target has and the source no longer does.

use std::collections::{HashMap, HashSet};

use zfs_core::{DatasetName, Guid, SnapshotName};

use super::step::{Action, Refusal, Step, Why};
use super::{Gone, Planner, Provenance};
use crate::marker::Marker;
use crate::tree::Dataset;

impl Planner<'_> {
    pub(super) fn gone_from_source(&mut self) {
        let mut gone: Vec<(DatasetName, DatasetName)> = Vec::new();
        for dataset in self.view.listed() {
            let Some(path) = dataset.name.strip_prefix(&self.target.root) else {
                continue;
            };
            match self.source.root.join(path) {
                Ok(source) if self.sources.contains_key(&source) => {}
                Ok(source) => gone.push((source, dataset.name.clone())),
                Err(_) => gone.push((self.source.root.clone(), dataset.name.clone())),
            }
        }
        gone.sort();
        let (gone, left_out): (Vec<_>, Vec<_>) = gone
            .into_iter()
            .partition(|(source, target)| self.is_meant(source, target));
        for pair in left_out {
            self.keep(pair, Why::Excluded);
        }
        match self.options.gone {
            Gone::Keep => {
                for pair in gone {
                    self.keep(pair, Why::GoneFromSource);
                }
            }
            Gone::Destroy => self.retire(gone),
        }
    }

    /// Whether it would be replicated, were it still there: what is left out
    /// is left alone.
    fn is_meant(&self, source: &DatasetName, target: &DatasetName) -> bool {
        let (Some(wanted), Some(there)) = (self.options.datasets, self.view.get(target)) else {
            return true;
        };
        wanted(&Dataset {
            kind: there.kind,
            ..Dataset::new(source.clone(), there.guid)
        })
    }

    fn keep(&mut self, (source, target): (DatasetName, DatasetName), why: Why) {
        self.steps.push(Step {
            source,
            target,
            action: Action::Nothing,
            why,
        });
    }

    /// Whose a dataset is: nobody's but the target's where it does not say.
    pub(super) fn provenance(&self, target: &DatasetName) -> Provenance {
        match (self.view.get(target), self.options.provenance) {
            (Some(dataset), Some(provenance)) => provenance(dataset),
            _ => Provenance::Unknown,
        }
    }

    /// Where the source has snapshots of those: by each snapshot's GUID the
    /// dataset that has it, or a bookmark of it.
    fn known_elsewhere(&self, gone: &[(DatasetName, DatasetName)]) -> HashMap<Guid, DatasetName> {
        let there = gone.iter().filter_map(|(_, target)| self.view.get(target));
        let there: HashSet<Guid> = there
            .flat_map(|dataset| dataset.snapshots.iter().map(|snapshot| snapshot.guid))
            .collect();
        let mut known = HashMap::new();
        for source in &self.source.datasets {
            let snapshots = source.snapshots.iter().map(|snapshot| snapshot.guid);
            let bookmarks = source.bookmarks.iter().map(|bookmark| bookmark.guid);
            for guid in snapshots.chain(bookmarks).filter(|g| there.contains(g)) {
                known.entry(guid).or_insert_with(|| source.name.clone());
            }
        }
        known
    }

    /// Children before their parents, and clones before their origins. What
    /// does not say that it is a replica stays, whatever its name; so does
    /// what the source has under another name, which was renamed and could not
    /// be followed: it may be the only replica.
    fn retire(&mut self, gone: Vec<(DatasetName, DatasetName)>) {
        let known = self.known_elsewhere(&gone);
        let mut waiting = Vec::new();
        for (source, target) in gone {
            let snapshots = self.view.get(&target).map(|there| &there.snapshots);
            let mut snapshots = snapshots.into_iter().flatten();
            let elsewhere = snapshots.find_map(|snapshot| known.get(&snapshot.guid));
            if self.provenance(&target) == Provenance::Unknown {
                self.keep((source, target), Why::NoReplica);
            } else if let Some(dataset) = elsewhere.cloned() {
                self.keep((source, target), Why::KnownElsewhere { dataset });
            } else {
                waiting.push((source, target));
            }
        }
        let mut going: HashSet<DatasetName> = HashSet::new();
        loop {
            let mut later = Vec::new();
            let before = waiting.len();
            for (source, target) in waiting.into_iter().rev() {
                if self.in_the_way(&target, &going).is_some() || self.is_idle(&target, &going) {
                    later.push((source, target));
                    continue;
                }
                self.destroy(&source, &target);
                going.insert(target);
            }
            later.reverse();
            waiting = later;
            if waiting.len() == before || waiting.is_empty() {
                break;
            }
        }
        for (source, target) in waiting {
            match self.in_the_way(&target, &going) {
                Some(refusal) => self.steps.push(Step {
                    source,
                    target,
                    action: Action::Refuse,
                    why: Why::Refused(refusal),
                }),
                None => self.keep((source, target), Why::NoReplica),
            }
        }
    }

    /// Whether it is a parent of nothing that goes, so that nothing shows
    /// whose parent it was.
    fn is_idle(&self, target: &DatasetName, going: &HashSet<DatasetName>) -> bool {
        self.provenance(target) == Provenance::Parent
            && !going.iter().any(|name| name.is_descendant_of(target))
    }

    fn destroy(&mut self, source: &DatasetName, target: &DatasetName) {
        let Some(dataset) = self.view.get(target) else {
            return;
        };
        let snapshots = names_by_age(dataset);
        let mut actions = Vec::new();
        if dataset.partial.is_some() && !snapshots.is_empty() {
            actions.push(Action::Abort);
        }
        actions.push(Action::Destroy { snapshots });
        self.steps.extend(actions.into_iter().map(|action| Step {
            source: source.clone(),
            target: target.clone(),
            action,
            why: Why::Retired,
        }));
    }

    /// Why a dataset cannot be destroyed once those in `going` are.
    fn in_the_way(&self, target: &DatasetName, going: &HashSet<DatasetName>) -> Option<Refusal> {
        if let Some(dataset) = self.view.get(target) {
            let marker = dataset
                .bookmarks
                .iter()
                .find(|bookmark| Marker::parse(bookmark.name.bookmark()).is_some());
            if let Some(marker) = marker {
                let marker = marker.name.clone();
                return Some(Refusal::FeedsOthers { marker });
            }
        }
        let clone = self
            .view
            .clones(target)
            .find(|(name, _)| !going.contains(*name));
        if let Some((clone, _)) = clone {
            let clone = clone.clone();
            return Some(Refusal::HasClones { clone });
        }
        let child = self.view.below(target).find(|name| !going.contains(*name));
        child.map(|child| Refusal::HasChildren {
            child: child.clone(),
        })
    }
}

fn names_by_age(dataset: &Dataset) -> Vec<SnapshotName> {
    let snapshots = dataset.snapshots_by_age();
    snapshots
        .iter()
        .map(|snapshot| snapshot.name.clone())
        .collect()
}
