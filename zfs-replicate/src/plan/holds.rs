//! Holds: which common snapshots lost theirs, or never got it.

use std::collections::HashSet;

use zfs_core::{Guid, Txg};

use super::Planner;
use super::dataset::Pair;
use super::step::{Action, Base, Why};
use crate::tree::{Dataset, Snapshot};

/// The snapshots on both sides that should be held with a tag and are not, as
/// far as somebody looked ([`endpoint::unheld`](crate::endpoint::unheld)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unheld {
    pub(crate) tag: String,
    pub(crate) source: HashSet<Key>,
    pub(crate) target: HashSet<Key>,
}

/// What is one snapshot of a pool, whatever its dataset is called by then.
pub(crate) type Key = (Guid, Txg);

pub(crate) fn key(snapshot: &Snapshot) -> Key {
    (snapshot.guid, snapshot.createtxg)
}

impl<'a> Planner<'a> {
    /// Holds the newest common snapshot again where it should be held and is
    /// not: before anything is sent onto it, and where nothing is.
    pub(super) fn hold_again(&mut self, pair: &Pair<'a>, target: &Dataset, base: &Base) {
        let Some(unheld) = self.options.unheld else {
            return;
        };
        let is_there = |snapshot: &&Snapshot| snapshot.guid == base.guid();
        let Some(there) = target.snapshots.iter().find(is_there) else {
            return;
        };
        let here = pair.source.snapshots.iter().find(is_there);
        let is_missing = unheld.target.contains(&key(there))
            || here.is_some_and(|here| unheld.source.contains(&key(here)));
        if is_missing {
            let hold = Action::Hold {
                tag: unheld.tag.clone(),
                source: here.map(|here| here.name.clone()),
                target: there.name.clone(),
            };
            self.steps.push(pair.step(hold, Why::HoldMissing));
        }
    }
}
