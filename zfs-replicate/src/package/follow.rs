//! What became of the target's datasets on the source since the last package:
//! promoted, renamed, gone.
//!
//! A promotion changes whose snapshots are whose, and a rename who is where.
//! So one of them is done at a time, and everything is looked at again.

use std::cmp::Reverse;

use zfs_core::{DatasetName, Defer, Errno, Guid, SnapshotName};

use super::contents::{Contents, Filesystem};
use super::{Arrived, Receiver, There};
use crate::error::Error;

/// A dataset of the target, and the same one in the package.
struct Pair<'c> {
    name: DatasetName,
    snapshots: Vec<(Guid, SnapshotName)>,
    filesystem: Option<&'c Filesystem>,
}

impl Receiver<'_> {
    /// Promotes and renames what was promoted and renamed on the source, and
    /// destroys what it no longer has if that was asked for.
    pub(super) fn follow(
        &self,
        contents: &Contents,
        target: &DatasetName,
        there: &mut There,
        arrived: &mut Arrived,
    ) -> Result<(), Error> {
        let top = contents.top(target)?;
        // Each is promoted at most as often as there are others, and moved
        // out of the way and to its place.
        let most = there.datasets.len().saturating_add(4).saturating_mul(4);
        for _ in 0..most {
            let pairs = pairs(contents, &top, there);
            let changed = self.promote_one(&pairs, there, arrived)?
                || self.snapshots(&pairs, arrived)?
                || self.destroy_one(&pairs, &top, arrived)?
                || self.rename_one(&pairs, contents, target, &top, there, arrived)?;
            if !changed {
                break;
            }
            *there = There::list(self.zfs, target)?;
        }
        Ok(())
    }

    /// Promotes a clone whose counterpart is a clone of something older, or of
    /// nothing any more.
    fn promote_one(
        &self,
        pairs: &[Pair<'_>],
        there: &There,
        arrived: &mut Arrived,
    ) -> Result<bool, Error> {
        for pair in pairs {
            let (Some(filesystem), Some(origin)) = (pair.filesystem, there.origins.get(&pair.name))
            else {
                continue;
            };
            let here = self.zfs.snapshot_entry(origin)?;
            let promoted = match filesystem.origin {
                None => true,
                Some(guid) if guid == here.guid => false,
                Some(guid) => match there.find(guid) {
                    Some(older) => self.zfs.snapshot_entry(older)?.createtxg < here.createtxg,
                    None => false,
                },
            };
            if !promoted {
                continue;
            }
            self.outside_of_keys(&pair.name, there, || self.zfs.promote(&pair.name))?;
            arrived.promoted.push(pair.name.to_string());
            return Ok(true);
        }
        Ok(false)
    }

    /// Renames snapshots, and destroys those that are gone.
    fn snapshots(&self, pairs: &[Pair<'_>], arrived: &mut Arrived) -> Result<bool, Error> {
        let mut changed = false;
        for pair in pairs {
            let Some(filesystem) = pair.filesystem else {
                continue;
            };
            let mut gone = Vec::new();
            for (guid, snapshot) in &pair.snapshots {
                match filesystem.snapshots.get(guid) {
                    None if self.force => gone.push(snapshot.clone()),
                    Some(now) if now != snapshot.snapshot() => {
                        let to = pair.name.with_snapshot(now)?;
                        self.zfs.rename_snapshot(snapshot, &to)?;
                        arrived.renamed.push((snapshot.to_string(), to.to_string()));
                        changed = true;
                    }
                    _ => {}
                }
            }
            if !gone.is_empty() {
                self.lose(gone.iter().map(SnapshotName::as_str));
                self.zfs.destroy_snapshots(&gone, Defer::No)?;
                let gone = gone.iter().map(ToString::to_string);
                arrived.destroyed.extend(gone);
                changed = true;
            }
        }
        Ok(changed)
    }

    /// Destroys a dataset that the source no longer has, the deepest first.
    fn destroy_one(
        &self,
        pairs: &[Pair<'_>],
        top: &DatasetName,
        arrived: &mut Arrived,
    ) -> Result<bool, Error> {
        let mut gone = pairs.iter();
        let gone = gone.find(|pair| pair.filesystem.is_none() && pair.name != *top);
        let Some(gone) = gone.filter(|_| self.force) else {
            return Ok(false);
        };
        self.zfs.check_destroy([&gone.name])?;
        let names: Vec<&SnapshotName> = gone.snapshots.iter().map(|(_, name)| name).collect();
        let lost = || {
            let snapshots = names.iter().map(|name| name.as_str());
            std::iter::once(gone.name.as_str()).chain(snapshots)
        };
        self.lose(lost());
        if !names.is_empty() {
            self.zfs
                .destroy_snapshots(names.iter().copied(), Defer::No)?;
        }
        self.zfs.destroy(&gone.name)?;
        arrived.destroyed.extend(lost().map(str::to_owned));
        Ok(true)
    }

    /// Brings a dataset to its place, or one out of its way that has another
    /// place itself.
    fn rename_one(
        &self,
        pairs: &[Pair<'_>],
        contents: &Contents,
        target: &DatasetName,
        top: &DatasetName,
        there: &There,
        arrived: &mut Arrived,
    ) -> Result<bool, Error> {
        for pair in pairs.iter().filter(|pair| pair.name != *top) {
            let Some(filesystem) = pair.filesystem else {
                continue;
            };
            let place = contents.dataset(&filesystem.name, target)?;
            let has_parent = place
                .parent()
                .is_some_and(|parent| there.datasets.contains_key(&parent));
            // What goes below something that is new comes later.
            if place == pair.name || !has_parent || place.is_within(&pair.name) {
                continue;
            }
            let Some(other) = pairs.iter().find(|other| other.name == place) else {
                if there.datasets.contains_key(&place) {
                    continue;
                }
                self.rename(&pair.name, &place, there)?;
                arrived
                    .renamed
                    .push((pair.name.to_string(), place.to_string()));
                return Ok(true);
            };
            let moves = match other.filesystem {
                Some(filesystem) => contents.dataset(&filesystem.name, target)? != place,
                None => false,
            };
            if moves && other.name != *top {
                self.rename(&other.name, &aside(&other.name, there)?, there)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn rename(&self, from: &DatasetName, to: &DatasetName, there: &There) -> Result<(), Error> {
        self.outside_of_keys(from, there, || self.zfs.rename(from, to))
    }

    /// Does what the kernel refuses where it takes a dataset away from the key
    /// that it uses: with a key root of its own it does not.
    fn outside_of_keys(
        &self,
        dataset: &DatasetName,
        there: &There,
        act: impl Fn() -> Result<(), zfs_core::Error>,
    ) -> Result<(), Error> {
        match act() {
            Err(zfs_core::Error::Zfs(failure)) if failure.errno == Errno::EACCES => {
                // Clones use the key of what they are clones of.
                let mut first = dataset;
                for _ in 0..there.origins.len() {
                    match there.origins.get(first) {
                        Some(origin) => first = origin.dataset(),
                        None => break,
                    }
                }
                self.zfs.force_key_root(first)?;
                Ok(act()?)
            }
            other => Ok(other?),
        }
    }
}

/// The target's datasets, the deepest first: nothing is moved from under what
/// is looked at.
fn pairs<'c>(contents: &'c Contents, top: &DatasetName, there: &There) -> Vec<Pair<'c>> {
    let within = there
        .datasets
        .iter()
        .filter(|(name, _)| name.is_within(top));
    let mut pairs: Vec<Pair<'c>> = within
        .map(|(name, snapshots)| Pair {
            name: name.clone(),
            snapshots: snapshots.clone(),
            filesystem: snapshots
                .iter()
                .find_map(|(guid, _)| contents.filesystem(*guid)),
        })
        .collect();
    pairs.sort_by_key(|pair| (Reverse(pair.name.depth()), pair.name.clone()));
    pairs
}

/// A free name beside a dataset.
fn aside(name: &DatasetName, there: &There) -> Result<DatasetName, Error> {
    let parent = name.parent().unwrap_or_else(|| name.clone());
    for number in 0..=there.datasets.len() {
        let free = parent.child(&format!("recv-{number}"))?;
        if !there.datasets.contains_key(&free) {
            return Ok(free);
        }
    }
    Err(Error::package(format!(
        "there is no free name beside {name}"
    )))
}
