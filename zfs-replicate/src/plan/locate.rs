//! Which dataset of the target is the counterpart of one of the source.
//!
//! By its path, if the two share a snapshot. Else by its snapshots: one that
//! the target has at another path, and that is nobody's counterpart there,
//! was renamed on the source.

use std::collections::{HashMap, HashSet};

use zfs_core::{DatasetName, Guid};

use super::Planner;
use super::dataset::Pair;
use super::step::{Action, Refusal, Step, Why};
use crate::tree::{Dataset, Snapshot};

/// What a dataset of the source has ever had, as far as it remembers.
///
/// These are its snapshots, and its bookmarks unless they stand for what
/// belongs to its origin: after a promotion elsewhere the bookmarks stay while
/// the snapshots that they were made from belong to another dataset.
#[derive(Clone, Copy, Debug)]
pub(super) struct History<'a> {
    pub dataset: &'a Dataset,
    /// Its origin, if that is in the tree.
    pub origin: Option<&'a Snapshot>,
}

impl<'a> History<'a> {
    fn guids(self) -> impl Iterator<Item = Guid> + 'a {
        let until = self.origin.map(|origin| origin.createtxg);
        let own = self
            .dataset
            .bookmarks
            .iter()
            .filter(move |bookmark| until.is_none_or(|until| bookmark.createtxg > until))
            .map(|bookmark| bookmark.guid);
        let snapshots = self.dataset.snapshots.iter().map(|snapshot| snapshot.guid);
        snapshots.chain(own)
    }

    /// Whether the target's dataset has a snapshot of it.
    fn shares(self, target: &Dataset) -> bool {
        let newest = target.newest().map(|newest| newest.guid);
        if self.guids().any(|guid| Some(guid) == newest) {
            return true;
        }
        let known: HashSet<Guid> = self.guids().collect();
        target
            .snapshots
            .iter()
            .any(|snapshot| known.contains(&snapshot.guid))
    }

    /// Whether it has what the target's dataset has last.
    fn goes_on(self, target: &Dataset) -> bool {
        let newest = target.newest().map(|newest| newest.guid);
        self.guids().any(|guid| Some(guid) == newest)
    }
}

/// The datasets of the source by the GUIDs that they know.
#[derive(Debug, Default)]
pub(super) struct Index<'a> {
    by_guid: HashMap<Guid, Vec<&'a Dataset>>,
}

impl<'a> Index<'a> {
    pub fn new(histories: impl Iterator<Item = History<'a>>) -> Index<'a> {
        let mut by_guid: HashMap<Guid, Vec<&'a Dataset>> = HashMap::new();
        for history in histories {
            for guid in history.guids() {
                let datasets = by_guid.entry(guid).or_default();
                if datasets
                    .last()
                    .is_none_or(|last| last.name != history.dataset.name)
                {
                    datasets.push(history.dataset);
                }
            }
        }
        Index { by_guid }
    }

    fn with(&self, guid: Guid) -> &[&'a Dataset] {
        self.by_guid.get(&guid).map_or(&[], Vec::as_slice)
    }
}

impl<'a> Planner<'a> {
    /// Finds the counterpart and brings it to its path. False where that
    /// cannot be done, and a step says why.
    pub(super) fn locate(&mut self, pair: &Pair<'a>) -> bool {
        // The configured path decides which dataset is meant at the top.
        if pair.source.name == self.source.root || self.has_counterpart(pair.source) {
            return true;
        }
        self.make_room(&pair.target);
        let candidates = self.candidates(pair);
        let from = match candidates.as_slice() {
            [] => return true,
            [only] => only.clone(),
            _ => {
                self.steps
                    .push(pair.refuse(Refusal::Ambiguous { candidates }));
                return false;
            }
        };
        let rivals = self.rivals(pair, &from);
        if !rivals.is_empty() {
            let mut candidates = rivals;
            candidates.push(pair.source.name.clone());
            candidates.sort();
            self.steps
                .push(pair.refuse(Refusal::Ambiguous { candidates }));
            return false;
        }
        self.rename(pair, from)
    }

    fn rename(&mut self, pair: &Pair<'a>, from: DatasetName) -> bool {
        if self.view.get(&pair.target).is_some() || pair.target.is_within(&from) {
            self.steps
                .push(pair.refuse(Refusal::RenameBlocked { from }));
            return false;
        }
        let (above, create) = match self.above(pair) {
            Ok(above) => above,
            Err(refusal) => {
                self.steps.push(pair.refuse(refusal));
                return false;
            }
        };
        self.create(pair, &above, create);
        self.view.rename(&from, &pair.target);
        self.steps.push(Step {
            source: pair.source.name.clone(),
            target: pair.target.clone(),
            action: Action::Rename { from },
            why: Why::RenamedOnSource,
        });
        true
    }

    /// Lets the source's dataset go first whose counterpart is in the way.
    fn make_room(&mut self, target: &DatasetName) {
        let Some(newest) = self.view.get(target).and_then(Dataset::newest) else {
            return;
        };
        let owners: Vec<&'a Dataset> = self.index().with(newest.guid).to_vec();
        if let [owner] = owners.as_slice() {
            self.ensure(owner);
        }
    }

    /// The datasets of the target that the source's dataset goes on from, and
    /// that are not the counterparts of others by their path.
    fn candidates(&self, pair: &Pair<'a>) -> Vec<DatasetName> {
        let history = self.history(pair.source);
        let mut candidates: Vec<DatasetName> = history
            .guids()
            .flat_map(|guid| self.view.with_newest(guid))
            .filter(|name| **name != self.target.root && **name != pair.target)
            .filter(|name| {
                let there = self.view.get(name);
                there.is_some_and(|there| history.goes_on(there) && !self.is_taken(there))
            })
            .cloned()
            .collect();
        candidates.sort();
        candidates.dedup();
        candidates
    }

    /// Whether a dataset of the target is a counterpart where it is.
    fn is_taken(&self, there: &Dataset) -> bool {
        let path = there.name.strip_prefix(&self.target.root);
        path.and_then(|path| self.source.root.join(path).ok())
            .and_then(|name| self.sources.get(&name))
            .is_some_and(|source| self.history(source).shares(there))
    }

    /// Other datasets of the source that could have been renamed from there.
    fn rivals(&self, pair: &Pair<'a>, there: &DatasetName) -> Vec<DatasetName> {
        let Some(newest) = self.view.get(there).and_then(Dataset::newest) else {
            return Vec::new();
        };
        let rivals = self.index().with(newest.guid).iter();
        rivals
            .filter(|rival| rival.name != pair.source.name && !self.has_counterpart(rival))
            .map(|rival| rival.name.clone())
            .collect()
    }

    /// Whether the target has something of it where it belongs.
    pub(super) fn has_counterpart(&self, source: &'a Dataset) -> bool {
        self.counterpart(source).is_some()
    }

    /// What the target has of it where it belongs.
    pub(super) fn counterpart(&self, source: &'a Dataset) -> Option<&Dataset> {
        let path = source.name.strip_prefix(&self.source.root)?;
        let there = self.view.get(&self.target.root.join(path).ok()?)?;
        self.history(source).shares(there).then_some(there)
    }

    pub(super) fn history(&self, source: &'a Dataset) -> History<'a> {
        let origin = source.origin.as_ref().and_then(|origin| {
            let dataset: &'a Dataset = self.sources.get(origin.dataset())?;
            dataset.snapshots.iter().find(|s| s.name == *origin)
        });
        History {
            dataset: source,
            origin,
        }
    }

    fn index(&self) -> &Index<'a> {
        self.index
            .get_or_init(|| Index::new(self.sources.values().map(|source| self.history(source))))
    }
}
