//! What the target has and the source no longer does.

use std::collections::HashSet;

use zfs_core::{DatasetName, SnapshotName};

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
        match self.options.gone {
            Gone::Keep => {
                for pair in gone {
                    self.keep(pair, Why::GoneFromSource);
                }
            }
            Gone::Destroy => self.retire(gone),
        }
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
    fn provenance(&self, target: &DatasetName) -> Provenance {
        match (self.view.get(target), self.options.provenance) {
            (Some(dataset), Some(provenance)) => provenance(dataset),
            _ => Provenance::Unknown,
        }
    }

    /// Children before their parents, and clones before their origins. What
    /// does not say that it is a replica stays, whatever its name.
    fn retire(&mut self, gone: Vec<(DatasetName, DatasetName)>) {
        let (mut waiting, others): (Vec<_>, Vec<_>) = gone
            .into_iter()
            .partition(|(_, target)| self.provenance(target) != Provenance::Unknown);
        for pair in others {
            self.keep(pair, Why::NoReplica);
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
