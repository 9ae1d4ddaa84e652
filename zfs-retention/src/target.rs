//! What a replication target has, as far as the source's pool knows.

use std::collections::BTreeSet;

use crate::{Guid, Txg};

/// One place that snapshots of this dataset are replicated to.
///
/// After each success the source keeps one bookmark per target,
/// `#replica-TARGET-GUID`, the target's *marker*: it remembers the newest
/// common snapshot. While the bookmark stands, the snapshot itself may go, for
/// ZFS can send an increment from the bookmark. Where it does not stand, the
/// snapshot is the only common base and [`Protection::CommonBase`] saves it.
///
/// ```
/// use zfs_retention::{Guid, Target, Txg};
///
/// // Its bookmark stands, and it must get everything that is younger.
/// let offsite = Target::new("offsite").marker(Guid(7), Txg(1200)).required();
/// // Found by comparing two listings; no bookmark was ever made.
/// let nas = Target::new("nas").base(Guid(7), Txg(1200));
/// // Its first stream goes on, or was interrupted.
/// let tape = Target::new("tape").sending(Guid(7));
/// # let _ = (offsite, nas, tape);
/// ```
///
/// Before a snapshot is sent it has a bookmark `#sending-TARGET-GUID`. That is
/// base enough for what follows, but an interrupted stream goes on from the
/// snapshot only: [`Protection::Sending`] saves it.
///
/// Several values for one target (a crash between making the new bookmark and
/// destroying the old one) are allowed; the one with the highest txg counts.
///
/// [`Protection::CommonBase`]: crate::Protection::CommonBase
/// [`Protection::Sending`]: crate::Protection::Sending
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub(crate) name: String,
    pub(crate) base: Option<Base>,
    pub(crate) required: bool,
    pub(crate) sending: BTreeSet<Guid>,
}

/// The newest snapshot that source and target have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) guid: Guid,
    pub(crate) createtxg: Txg,
    pub(crate) bookmarked: bool,
}

impl Target {
    /// A target that has nothing yet. `name` is what reasons will call it.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            base: None,
            required: false,
            sending: BTreeSet::new(),
        }
    }

    /// Its marker stands on the source: the bookmark of the snapshot `guid`,
    /// made in `createtxg` of the source's pool.
    #[must_use]
    pub fn marker(mut self, guid: Guid, createtxg: Txg) -> Self {
        self.base = Some(Base {
            guid,
            createtxg,
            bookmarked: true,
        });
        self
    }

    /// The newest common snapshot is `guid`, made in `createtxg` of the
    /// source's pool, and no bookmark of it stands: it must not be destroyed.
    #[must_use]
    pub fn base(mut self, guid: Guid, createtxg: Txg) -> Self {
        self.base = Some(Base {
            guid,
            createtxg,
            bookmarked: false,
        });
        self
    }

    /// The target must get every snapshot: what is younger than its marker is
    /// protected until it arrived, and everything is while it has nothing.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The snapshot `guid` is on its way there: it is protected until the
    /// target's base is as new. May be said of several.
    #[must_use]
    pub fn sending(mut self, guid: Guid) -> Self {
        self.sending.insert(guid);
        self
    }

    /// What reasons call it.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The values that count: per name the one that got furthest, `required` if
/// any of them says so, and all that is being sent.
pub(crate) fn newest_per_name(targets: &[Target]) -> Vec<Target> {
    let mut result: Vec<Target> = Vec::with_capacity(targets.len());
    for target in targets {
        match result.iter_mut().find(|known| known.name == target.name) {
            None => result.push(target.clone()),
            Some(known) => {
                known.required |= target.required;
                known.base = further(known.base, target.base);
                known.sending.extend(&target.sending);
            }
        }
    }
    result
}

fn further(a: Option<Base>, b: Option<Base>) -> Option<Base> {
    match (a, b) {
        (Some(a), Some(b)) => {
            // Of the same snapshot, a standing bookmark is the better news.
            let rank = |base: Base| (base.createtxg, base.guid, base.bookmarked);
            Some(if rank(a) >= rank(b) { a } else { b })
        }
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_markers_of_one_target_the_newer_counts() {
        let old = Target::new("a").marker(Guid(1), Txg(10));
        let new = Target::new("a").marker(Guid(2), Txg(20)).required();
        for order in [[old.clone(), new.clone()], [new, old]] {
            let merged = newest_per_name(&order);
            assert_eq!(
                merged,
                [Target::new("a").marker(Guid(2), Txg(20)).required()]
            );
        }
    }

    #[test]
    fn a_marker_beats_having_nothing() {
        let merged = newest_per_name(&[
            Target::new("a"),
            Target::new("a").base(Guid(1), Txg(1)),
            Target::new("b"),
        ]);
        assert_eq!(
            merged,
            [Target::new("a").base(Guid(1), Txg(1)), Target::new("b")]
        );
    }

    #[test]
    fn all_that_is_being_sent_counts() {
        let merged = newest_per_name(&[
            Target::new("a").sending(Guid(1)),
            Target::new("a").marker(Guid(9), Txg(9)),
            Target::new("a").sending(Guid(2)),
        ]);
        let all = Target::new("a").marker(Guid(9), Txg(9));
        assert_eq!(merged, [all.sending(Guid(1)).sending(Guid(2))]);
    }
}
