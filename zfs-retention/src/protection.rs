//! What no policy overrides.

use std::fmt;

use jiff::Timestamp;

use crate::{Snapshot, Target};

/// Why a snapshot lives whatever the policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protection<'a> {
    /// Someone holds it (`zfs hold`); ZFS would refuse.
    Held {
        /// `userrefs`.
        holds: u32,
    },
    /// It is the origin of a clone; ZFS would refuse.
    Cloned {
        /// How many datasets descend from it.
        clones: u32,
    },
    /// No part of the policy manages its name.
    Unmanaged,
    /// It was created later than now, so a clock is or was wrong, and its age
    /// means nothing until that moment has passed.
    Future,
    /// It is the newest common base with a target, and no bookmark remembers
    /// it: without it the target would have to start again in full.
    CommonBase {
        /// The target's name.
        target: &'a str,
    },
    /// A target that must have it does not have it yet.
    NotReplicated {
        /// The target's name.
        target: &'a str,
    },
    /// It is on its way to a target, which has nothing as new yet: if the
    /// stream was interrupted, it goes on from this snapshot or not at all.
    Sending {
        /// The target's name.
        target: &'a str,
    },
}

impl<'a> Protection<'a> {
    /// One word for machines: `held`, `cloned`, `unmanaged`, `future`,
    /// `common_base`, `not_replicated` or `sending`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Held { .. } => "held",
            Self::Cloned { .. } => "cloned",
            Self::Unmanaged => "unmanaged",
            Self::Future => "future",
            Self::CommonBase { .. } => "common_base",
            Self::NotReplicated { .. } => "not_replicated",
            Self::Sending { .. } => "sending",
        }
    }

    /// The target on whose behalf it protects.
    pub fn target(&self) -> Option<&'a str> {
        match *self {
            Self::CommonBase { target }
            | Self::NotReplicated { target }
            | Self::Sending { target } => Some(target),
            _ => None,
        }
    }
}

impl fmt::Display for Protection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Held { holds: 1 } => f.write_str("protected: one hold"),
            Self::Held { holds } => write!(f, "protected: {holds} holds"),
            Self::Cloned { clones: 1 } => f.write_str("protected: origin of one clone"),
            Self::Cloned { clones } => write!(f, "protected: origin of {clones} clones"),
            Self::Unmanaged => f.write_str("protected: the policy does not manage its name"),
            Self::Future => f.write_str("protected: created in the future"),
            Self::CommonBase { target } => {
                write!(f, "protected: newest common base with {target}")
            }
            Self::NotReplicated { target } => {
                write!(f, "protected: {target} does not have it yet")
            }
            Self::Sending { target } => {
                write!(f, "protected: it is being sent to {target}")
            }
        }
    }
}

/// Every protection of one snapshot. The verdict and the printed reasons both
/// come from here, so they cannot disagree.
pub(crate) fn protections<'a, Id>(
    snapshot: &Snapshot<Id>,
    managed: bool,
    now: Timestamp,
    targets: &'a [Target],
) -> impl Iterator<Item = Protection<'a>> + use<'a, Id> {
    let own = [
        (snapshot.userrefs > 0).then_some(Protection::Held {
            holds: snapshot.userrefs,
        }),
        (snapshot.clones > 0).then_some(Protection::Cloned {
            clones: snapshot.clones,
        }),
        (!managed).then_some(Protection::Unmanaged),
        (snapshot.creation > now).then_some(Protection::Future),
    ];
    let (guid, createtxg) = (snapshot.guid, snapshot.createtxg);
    let replication = targets.iter().flat_map(move |target| {
        let base = target
            .base
            .is_some_and(|base| base.guid == guid && !base.bookmarked)
            .then_some(Protection::CommonBase {
                target: &target.name,
            });
        let missing = target
            .base
            .is_none_or(|base| createtxg > base.createtxg && guid != base.guid);
        let name = &target.name;
        let younger = if missing && target.required {
            Some(Protection::NotReplicated { target: name })
        } else if missing && target.sending.contains(&guid) {
            Some(Protection::Sending { target: name })
        } else {
            None
        };
        [base, younger].into_iter().flatten()
    });
    own.into_iter().flatten().chain(replication)
}
