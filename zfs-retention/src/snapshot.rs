//! A snapshot as retention sees it: what decides over its life, nothing else.

use std::fmt;

use jiff::Timestamp;

/// A snapshot's `guid` property: the same in every replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Guid(pub u64);

/// A snapshot's `createtxg` property: the transaction group it was made in,
/// the order of snapshots within one pool, meaningless across pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Txg(pub u64);

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Txg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One snapshot of the dataset that is being planned.
///
/// `Id` is whatever the caller needs to find the snapshot again (a full name,
/// an index, a handle); the calculation carries it and never looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Snapshot<Id = ()> {
    /// The part after `@`.
    pub name: String,
    /// `guid`.
    pub guid: Guid,
    /// `createtxg`.
    pub createtxg: Txg,
    /// `creation`, which is where every age comes from.
    pub creation: Timestamp,
    /// `userrefs`: the number of holds. Above zero, ZFS refuses to destroy it.
    #[cfg_attr(feature = "serde", serde(default))]
    pub userrefs: u32,
    /// How many filesystems or volumes have it as their `origin`. Above zero,
    /// ZFS refuses to destroy it.
    #[cfg_attr(feature = "serde", serde(default))]
    pub clones: u32,
    /// Bytes that destroying this snapshot alone would free (`used`), where
    /// the caller has asked ZFS for it.
    #[cfg_attr(feature = "serde", serde(default))]
    pub used: Option<u64>,
    /// The caller's own.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub id: Id,
}

impl Snapshot {
    /// A snapshot that is neither held nor cloned and carries no id.
    pub fn new(name: impl Into<String>, guid: Guid, createtxg: Txg, creation: Timestamp) -> Self {
        Self {
            name: name.into(),
            guid,
            createtxg,
            creation,
            userrefs: 0,
            clones: 0,
            used: None,
            id: (),
        }
    }
}

impl<Id> Snapshot<Id> {
    /// The same snapshot carrying `id`.
    #[must_use]
    pub fn with_id<Other>(self, id: Other) -> Snapshot<Other> {
        Snapshot {
            name: self.name,
            guid: self.guid,
            createtxg: self.createtxg,
            creation: self.creation,
            userrefs: self.userrefs,
            clones: self.clones,
            used: self.used,
            id,
        }
    }

    /// The same snapshot with `userrefs` holds on it.
    #[must_use]
    pub fn held(mut self, userrefs: u32) -> Self {
        self.userrefs = userrefs;
        self
    }

    /// The same snapshot as the origin of `clones` datasets.
    #[must_use]
    pub fn cloned(mut self, clones: u32) -> Self {
        self.clones = clones;
        self
    }

    /// The same snapshot, whose destruction would free `bytes`.
    #[must_use]
    pub fn using(mut self, bytes: u64) -> Self {
        self.used = Some(bytes);
        self
    }

    /// The order of a dataset's history, whatever order the input had. The
    /// last two fields only make damaged input come out the same every time.
    pub(crate) fn age_key(&self) -> (Timestamp, Txg, Guid, &str) {
        (self.creation, self.createtxg, self.guid, &self.name)
    }
}
