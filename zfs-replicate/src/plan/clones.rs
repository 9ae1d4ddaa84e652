//! Clones and promotions: what saves a full copy.

use zfs_core::{DatasetName, Guid, SnapshotName};

use super::Planner;
use super::dataset::Pair;
use super::step::{Action, Base, Refusal, Why};
use crate::tree::{Dataset, Encryption};

/// The longest chain of clones that is followed.
const MAX_CHAIN: usize = 200;

/// What a clone is sent as an increment on.
pub(super) struct Origin {
    /// The snapshot on the source.
    pub base: Base,
    /// The same on the target.
    pub on_target: SnapshotName,
    /// How that is encrypted, which its clones are as well.
    pub encryption: Option<Encryption>,
}

impl<'a> Planner<'a> {
    /// Plans the dataset first that this one is a clone of.
    pub(super) fn origin_first(&mut self, source: &'a Dataset) {
        let Some(origin) = &source.origin else {
            return;
        };
        let Some(dataset) = self.sources.get(origin.dataset()).copied() else {
            return;
        };
        // What lies below it cannot go before it.
        if !dataset.name.is_within(&source.name) && self.depth < MAX_CHAIN {
            self.depth += 1;
            self.ensure(dataset);
            self.depth -= 1;
        }
    }

    /// The origin of a clone, if the target will have it where it belongs.
    pub(super) fn origin(&self, source: &'a Dataset) -> Option<Origin> {
        let origin = self.history(source).origin?;
        let owner: &'a Dataset = self.sources.get(origin.name.dataset())?;
        let there = self.counterpart(owner)?;
        let on_target = there.snapshot(origin.guid)?;
        // A clone is encrypted as its origin is.
        let form = self.form(source, there.encryption.as_ref()).ok()?;
        if form.raw && !there.is_encrypted() {
            return None;
        }
        Some(Origin {
            base: Base::Snapshot {
                name: origin.name.clone(),
                guid: origin.guid,
            },
            on_target: on_target.name.clone(),
            encryption: there.encryption.clone(),
        })
    }

    /// Promotes on the target what was promoted on the source. False where
    /// that cannot be done, and a step says why.
    pub(super) fn follow_promotion(&mut self, pair: &Pair<'a>) -> bool {
        for _ in 0..MAX_CHAIN {
            let Some(origin) = self.view.get(&pair.target).and_then(|t| t.origin.clone()) else {
                return true;
            };
            let guid = self.view.snapshot(&origin).map(|origin| origin.guid);
            if guid.is_none_or(|guid| pair.source.snapshot(guid).is_none()) {
                return true;
            }
            match self.can_promote(pair) {
                Ok(Some(from)) => {
                    self.view.promote(&pair.target);
                    let promote = Action::Promote { from };
                    self.steps.push(pair.step(promote, Why::PromotedOnSource));
                }
                Ok(None) => {
                    self.waiting.push(pair.source);
                    return true;
                }
                Err(refusal) => {
                    self.steps.push(pair.refuse(refusal));
                    return false;
                }
            }
        }
        true
    }

    /// Promotes what could not be while its origin had nothing else, once that
    /// has got more.
    pub(super) fn promote_waiting(&mut self) {
        for source in std::mem::take(&mut self.waiting) {
            let path = source.name.strip_prefix(&self.source.root);
            let target = path.and_then(|path| self.target.root.join(path).ok());
            if let Some(target) = target {
                // Where it cannot be, a step has said so.
                self.follow_promotion(&Pair { source, target });
            }
        }
    }

    /// What the clone gets its snapshots from; `None` where that has no others
    /// yet, and could not go on.
    fn can_promote(&self, pair: &Pair<'a>) -> Result<Option<DatasetName>, Refusal> {
        let (Some((from, moving)), Some(clone)) = (
            self.view.promoted(&pair.target),
            self.view.get(&pair.target),
        ) else {
            return Ok(None);
        };
        let own = |name: &str| clone.snapshots.iter().any(|s| s.name.snapshot() == name);
        if let Some(conflict) = moving.iter().find(|moved| own(moved.name.snapshot())) {
            return Err(Refusal::PromoteBlocked {
                snapshot: conflict.name.clone(),
            });
        }
        // A dataset that keeps no snapshot could not go on.
        let keeps_one = self
            .view
            .get(&from)
            .is_some_and(|from| from.snapshots.len() > moving.len());
        Ok(keeps_one.then_some(from))
    }

    /// Where the source promoted a clone that the target does not have: makes
    /// it there from what is still its original, without sending anything.
    pub(super) fn make_promoted(&mut self, pair: &Pair<'a>) -> bool {
        let Some((original, guid)) = self.was_promoted(pair) else {
            return false;
        };
        let Ok((above, create)) = self.above(pair) else {
            return false;
        };
        let Some(origin) = self.view.snapshot_of(&original, guid).cloned() else {
            return false;
        };
        let Some(like) = self.view.get(&original) else {
            return false;
        };
        let mut made = Dataset::new(pair.target.clone(), Guid(0));
        made.kind = pair.source.kind;
        made.encryption.clone_from(&like.encryption);
        made.origin = Some(origin.name.clone());
        self.create(pair, &above, create);
        self.view.make(made);
        let clone = Action::Clone {
            origin: origin.name,
            kind: pair.source.kind,
        };
        self.steps.push(pair.step(clone, Why::PromotedOnSource));
        self.view.promote(&pair.target);
        let promote = Action::Promote { from: original };
        self.steps.push(pair.step(promote, Why::PromotedOnSource));
        true
    }

    /// The dataset of the target that still has what the source gave to this
    /// one, and the youngest of it.
    fn was_promoted(&self, pair: &Pair<'a>) -> Option<(DatasetName, Guid)> {
        let clones = self.clones.get(&pair.source.name)?;
        let mut found: Option<(DatasetName, Guid, zfs_core::Txg)> = None;
        for clone in clones {
            let (Some(origin), Some(there)) = (self.history(clone).origin, self.counterpart(clone))
            else {
                continue;
            };
            let Some(until) = there.snapshot(origin.guid).map(|s| s.createtxg) else {
                continue;
            };
            let keeps_one = there.snapshots.iter().any(|s| s.createtxg > until);
            let fits = there.kind == pair.source.kind
                && there.is_encrypted() == self.stays_encrypted(pair.source);
            if keeps_one
                && fits
                && found
                    .as_ref()
                    .is_none_or(|(_, _, txg)| *txg < origin.createtxg)
            {
                found = Some((there.name.clone(), origin.guid, origin.createtxg));
            }
        }
        found.map(|(name, guid, _)| (name, guid))
    }

    fn stays_encrypted(&self, source: &Dataset) -> bool {
        source.is_encrypted() && self.options.encrypted == super::Encrypted::Raw
    }
}
