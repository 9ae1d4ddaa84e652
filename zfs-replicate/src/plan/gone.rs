//! What the target has and the source no longer does.

use std::collections::HashSet;

use zfs_core::{DatasetName, SnapshotName};

use super::step::{Action, Refusal, Step, Why};
use super::{Gone, Planner};
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
                for (source, target) in gone {
                    self.steps.push(Step {
                        source,
                        target,
                        action: Action::Nothing,
                        why: Why::GoneFromSource,
                    });
                }
            }
            Gone::Destroy => self.retire(gone),
        }
    }

    /// Children before their parents, and clones before their origins.
    fn retire(&mut self, gone: Vec<(DatasetName, DatasetName)>) {
        let mut waiting = gone;
        let mut going: HashSet<DatasetName> = HashSet::new();
        loop {
            let mut later = Vec::new();
            let before = waiting.len();
            for (source, target) in waiting.into_iter().rev() {
                if self.in_the_way(&target, &going).is_some() {
                    later.push((source, target));
                    continue;
                }
                if let Some(dataset) = self.view.get(&target) {
                    let snapshots = names_by_age(dataset);
                    if dataset.partial.is_some() && !snapshots.is_empty() {
                        self.steps.push(Step {
                            source: source.clone(),
                            target: target.clone(),
                            action: Action::Abort,
                            why: Why::Retired,
                        });
                    }
                    self.steps.push(Step {
                        source,
                        target: target.clone(),
                        action: Action::Destroy { snapshots },
                        why: Why::Retired,
                    });
                    going.insert(target);
                }
            }
            later.reverse();
            waiting = later;
            if waiting.len() == before || waiting.is_empty() {
                break;
            }
        }
        for (source, target) in waiting {
            if let Some(refusal) = self.in_the_way(&target, &going) {
                self.steps.push(Step {
                    source,
                    target,
                    action: Action::Refuse,
                    why: Why::Refused(refusal),
                });
            }
        }
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
