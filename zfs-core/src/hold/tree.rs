//! Holds on a whole tree of datasets: `zfs hold -r`, `release -r`, `holds -r`.

use super::Hold;
use crate::error::Error;
use crate::list::{ListDatasets, ListSnapshots};
use crate::name::{DatasetName, SnapshotName};
use crate::zfs::Zfs;

/// A snapshot that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotHolds {
    /// The snapshot.
    pub snapshot: SnapshotName,
    /// Its holds, by tag; at least one.
    pub holds: Vec<Hold>,
}

impl Zfs {
    /// Places a hold of that tag on a snapshot and on those of the same name
    /// of all datasets below, all of them in one call, as `zfs hold -r`.
    /// Answers which those were.
    ///
    /// # Errors
    ///
    /// As [`Zfs::hold`]; [`Error::is_not_found`] where no dataset of the tree
    /// has such a snapshot. One that is destroyed just now is passed over.
    pub fn hold_recursively(
        &self,
        snapshot: &SnapshotName,
        tag: &str,
    ) -> Result<Vec<SnapshotName>, Error> {
        let snapshots = self.in_tree(snapshot)?;
        let held = self.hold(&snapshots, tag);
        without_gone(snapshots, held)
    }

    /// Takes the hold of that tag from a snapshot and from those of the same
    /// name of all datasets below, all of them in one call, as `zfs release
    /// -r`. Answers which those were.
    ///
    /// # Errors
    ///
    /// As [`Zfs::release`]; snapshots without such a hold are no error as long
    /// as one has it.
    pub fn release_recursively(
        &self,
        snapshot: &SnapshotName,
        tag: &str,
    ) -> Result<Vec<SnapshotName>, Error> {
        let mut held = self.holds_recursively(snapshot)?;
        held.retain(|of| of.holds.iter().any(|hold| hold.tag == tag));
        let snapshots: Vec<SnapshotName> = held.into_iter().map(|of| of.snapshot).collect();
        if snapshots.is_empty() {
            // Says that there is no such snapshot, or no such hold on it.
            self.release([snapshot], tag)?;
        }
        let released = self.release(&snapshots, tag);
        without_gone(snapshots, released)
    }

    /// The holds on a snapshot and on those of the same name of all datasets
    /// below, as `zfs holds -r`; snapshots without holds are left out.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] where no dataset of the tree has such a
    /// snapshot.
    pub fn holds_recursively(&self, snapshot: &SnapshotName) -> Result<Vec<SnapshotHolds>, Error> {
        let snapshots = self.in_tree(snapshot)?;
        self.holds_of(snapshots)
    }

    /// All holds on the snapshots of a dataset and of those below it.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] where the dataset does not exist.
    pub fn holds_below(&self, dataset: &DatasetName) -> Result<Vec<SnapshotHolds>, Error> {
        let datasets = ListDatasets::new().recursive().without_properties();
        let mut held = Vec::new();
        for dataset in self.list_datasets(dataset, datasets) {
            let all = ListSnapshots::new().with_properties();
            for snapshot in self.list_snapshots(&dataset?.name, all).gather()? {
                // Without the number, the holds themselves say.
                if snapshot.userrefs() != Some(0) {
                    held.push(snapshot.name);
                }
            }
        }
        self.holds_of(held)
    }

    fn holds_of(&self, snapshots: Vec<SnapshotName>) -> Result<Vec<SnapshotHolds>, Error> {
        let mut held = Vec::with_capacity(snapshots.len());
        for snapshot in snapshots {
            match self.holds(&snapshot) {
                Ok(holds) if holds.is_empty() => {}
                Ok(holds) => held.push(SnapshotHolds { snapshot, holds }),
                // Destroyed since it was listed.
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(held)
    }

    /// The snapshots of that name in the tree below its dataset.
    fn in_tree(&self, snapshot: &SnapshotName) -> Result<Vec<SnapshotName>, Error> {
        let datasets = ListDatasets::new().recursive().without_properties();
        let mut snapshots = Vec::new();
        for dataset in self.list_datasets(snapshot.dataset(), datasets) {
            // A name can be too long for a dataset further down, which then
            // has no such snapshot.
            if let Ok(name) = snapshot.on(&dataset?.name) {
                if self.exists(&name)? {
                    snapshots.push(name);
                }
            }
        }
        if snapshots.is_empty() {
            snapshots.push(snapshot.clone());
            self.holds(snapshot)?;
        }
        Ok(snapshots)
    }
}

/// Those of the snapshots on which it was done: some may have been destroyed
/// since they were listed, and it was done on the others all the same.
fn without_gone(
    mut snapshots: Vec<SnapshotName>,
    done: Result<(), Error>,
) -> Result<Vec<SnapshotName>, Error> {
    let Err(error) = done else {
        return Ok(snapshots);
    };
    let gone = error.failures();
    if !error.is_not_found() || gone.len() >= snapshots.len() {
        return Err(error);
    }
    snapshots.retain(|snapshot| gone.iter().all(|gone| gone.name != snapshot.as_str()));
    Ok(snapshots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Errno, Failure, Operation};

    #[test]
    fn what_is_gone_is_passed_over_and_any_other_failure_is_one() {
        let names = ["tank@x", "tank/a@x", "tank/b@x"].map(|name| name.parse().unwrap());
        let outcome = |errnos: &[Errno]| {
            let of = |(name, errno): (&SnapshotName, &Errno)| {
                Failure::new(Operation::Hold, name.as_str(), *errno)
            };
            let failures = names.iter().zip(errnos).map(of).collect();
            without_gone(names.to_vec(), Err(Error::Several { failures, more: 0 }))
        };
        assert_eq!(outcome(&[Errno::ENOENT]).unwrap(), names[1..]);
        assert_eq!(outcome(&[Errno::ENOENT; 2]).unwrap(), names[2..]);
        assert!(outcome(&[Errno::ENOENT; 3]).unwrap_err().is_not_found());
        assert!(outcome(&[Errno::EEXIST]).unwrap_err().is_exists());
        outcome(&[Errno::ENOENT, Errno::EEXIST]).unwrap_err();
        assert_eq!(without_gone(names.to_vec(), Ok(())).unwrap(), names);
    }
}
