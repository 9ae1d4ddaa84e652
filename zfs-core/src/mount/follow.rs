//! What becomes of mounts when properties and names change: what zfs(8) does.
//!
//! ```text
//! who is affected? -> unmount, children first -> the change -> mount again, parents first
//! ```
//!
//! Where one cannot be unmounted, the others are mounted again and nothing is
//! changed. Where the change fails, they are mounted again as well. Source:
//! `libzfs_changelist.c` and its callers.

use std::fs;

use super::options::IN_MOUNT;
use super::unmount::{order, unmount_one};
use super::{
    Mount, MountProblem, MountRequest, Mounted, Place, UnmountFlags, is_inherited, not_restored,
    place, problem,
};
use crate::error::{Errno, Error, Operation};
use crate::list::{Dataset, DatasetKinds, ListDatasets};
use crate::name::DatasetName;
use crate::zfs::Zfs;

/// What becomes of mounts when a property or a name changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mounts {
    /// They follow, as with zfs(8).
    #[default]
    Follow,
    /// They stay as they are (`-u` of `zfs set` and `zfs rename`): a mountpoint
    /// counts from the next mount.
    Leave,
}

/// What becomes of a mountpoint.
#[derive(Debug, Default, PartialEq, Eq)]
enum NewMountpoint {
    #[default]
    Unchanged,
    Set(String),
    /// It is inherited, or what came with a stream.
    GivenBack,
}

/// What a change of properties may do to mounts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    mountpoint: NewMountpoint,
    canmount_off: bool,
    zoned: bool,
    share: Option<&'static str>,
    in_mount: Vec<&'static str>,
}

impl Changes {
    /// Takes notice of a property that is to be set to `text` or `number`, or
    /// given back where there is neither.
    pub(crate) fn add(&mut self, property: &str, text: Option<&str>, number: Option<u64>) {
        match property {
            "mountpoint" => {
                self.mountpoint = text.map_or(NewMountpoint::GivenBack, |text| {
                    NewMountpoint::Set(text.to_owned())
                });
            }
            "canmount" => self.canmount_off = number == Some(0),
            "zoned" => self.zoned = true,
            "sharenfs" => self.share = Some("sharenfs"),
            "sharesmb" => self.share = Some("sharesmb"),
            other => self
                .in_mount
                .extend(IN_MOUNT.iter().copied().filter(|name| *name == other)),
        }
    }

    fn moves(&self) -> bool {
        self.mountpoint != NewMountpoint::Unchanged
    }

    fn unmount(&self) -> bool {
        self.moves() || self.canmount_off || self.zoned
    }

    fn is_empty(&self) -> bool {
        !self.unmount() && self.share.is_none() && self.in_mount.is_empty()
    }
}

/// What was unmounted for a change: in that order.
pub(crate) struct TakenDown {
    mounts: Vec<Mount>,
}

impl Zfs {
    /// Unmounts these in their order. Where one cannot be, those before it are
    /// mounted again.
    pub(super) fn take_down(
        &self,
        mounts: Vec<Mount>,
        flags: UnmountFlags,
    ) -> Result<TakenDown, Error> {
        for (count, mount) in mounts.iter().enumerate() {
            if let Err(error) = unmount_one(mount, flags) {
                let done = mounts.iter().take(count).cloned().collect();
                let failures = self.put_back(&TakenDown { mounts: done });
                let name = mount.what.dataset();
                return Err(not_restored(Operation::Unmount, name, error, failures));
            }
        }
        Ok(TakenDown { mounts })
    }

    /// Mounts again where it was, and answers what could not be. What is not
    /// to be mounted any more (`canmount=off` was set with [`Mounts::Leave`],
    /// its key was unloaded) stays unmounted, as with zfs(8).
    fn put_back(&self, down: &TakenDown) -> Vec<Error> {
        let mut failures = Vec::new();
        for mount in down.mounts.iter().rev() {
            if let Mounted::Filesystem(name) = &mount.what {
                let request = MountRequest::filesystem(name.clone())
                    .at(&mount.mountpoint)
                    .overlay()
                    .redacted();
                match self.mount(&request) {
                    Err(Error::Mount { problem, .. }) if problem.is_wanted() => {}
                    Err(error) => failures.push(error),
                    Ok(_) => {}
                }
            }
        }
        failures
    }

    /// Mounts these filesystems where they belong now, parents first.
    fn mount_again(&self, names: &[DatasetName]) -> Vec<Error> {
        let mut places = Vec::new();
        let mut failures = Vec::new();
        for name in names {
            match self.dataset(name) {
                Ok(dataset) => {
                    if let Place::At(at) = place(&dataset) {
                        places.push((at, dataset));
                    }
                }
                Err(error) if error.is_not_found() => {}
                Err(error) => failures.push(error),
            }
        }
        places.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (_, dataset) in places {
            let request = MountRequest::filesystem(dataset.name.clone()).redacted();
            match self.mount_filesystem(&dataset, &request) {
                Err(Error::Mount { problem, .. }) if problem.is_wanted() => {}
                Err(error) => failures.push(error),
                Ok(_) => {}
            }
        }
        failures
    }

    /// Makes a change of properties, and lets the mounts follow it.
    pub(crate) fn with_mounts_following(
        &self,
        operation: Operation,
        name: &DatasetName,
        changes: &Changes,
        change: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        if changes.is_empty() {
            return change();
        }
        let dataset = match self.dataset(name) {
            Ok(dataset) => dataset,
            // It is the change's to say so.
            Err(error) if error.is_not_found() => return change(),
            Err(error) => return Err(error),
        };
        self.refuse_sharing(operation, &dataset, changes)?;
        let mut again = Vec::new();
        let mut old_folder = None;
        if changes.unmount() && !is_same(&dataset, changes) {
            let affected = self.affected(&dataset, changes)?;
            let mounts = self.mounts_of(&affected)?;
            let is_mounted = mounts.iter().any(|mount| mount.what.dataset() == name);
            let was_unplaced = changes.moves() && !matches!(place(&dataset), Place::At(_));
            if changes.moves() || changes.zoned || is_mounted {
                if is_mounted && is_inherited(&dataset, "mountpoint") {
                    if let Place::At(folder) = place(&dataset) {
                        old_folder = Some(folder);
                    }
                }
                again = mounts
                    .iter()
                    .map(|mount| mount.what.dataset().clone())
                    .collect();
                self.take_down_for(operation, name, mounts, UnmountFlags::empty())?;
                if was_unplaced {
                    // Nobody could mount them before; now they can be.
                    for other in affected.iter().filter(|dataset| can_mount_itself(dataset)) {
                        if !again.contains(&other.name) {
                            again.push(other.name.clone());
                        }
                    }
                }
            }
        }
        let outcome = change();
        if let (Ok(()), Some(folder)) = (&outcome, old_folder) {
            // Made for the mount, if it is empty; otherwise it stays.
            let _ = fs::remove_dir(folder);
        }
        let mut failures = self.mount_again(&again);
        if let Err(error) = outcome {
            return Err(not_restored(operation, name, error, failures));
        }
        if !changes.in_mount.is_empty() {
            failures.extend(self.take_up(name, &changes.in_mount)?);
        }
        if failures.is_empty() {
            return Ok(());
        }
        let why = MountProblem::NotRemounted(failures);
        Err(problem(operation, name.as_str(), why))
    }

    fn take_down_for(
        &self,
        operation: Operation,
        name: &DatasetName,
        mounts: Vec<Mount>,
        flags: UnmountFlags,
    ) -> Result<TakenDown, Error> {
        self.refuse_shared(operation, name, &mounts)?;
        self.take_down(mounts, flags).map_err(|error| {
            let why = MountProblem::Blocked(Box::new(error));
            problem(operation, name.as_str(), why)
        })
    }

    /// The dataset and those below it that inherit its mountpoint; with
    /// `zoned` all of them.
    fn affected(&self, dataset: &Dataset, changes: &Changes) -> Result<Vec<Dataset>, Error> {
        let what = ListDatasets::new()
            .recursive()
            .kinds(DatasetKinds::FILESYSTEM);
        let mut affected: Vec<Dataset> = Vec::new();
        for other in self.list_datasets(&dataset.name, what) {
            let other = other?;
            let inherits = changes.zoned
                || other.name == dataset.name
                || is_inherited(&other, "mountpoint")
                    && other
                        .name
                        .parent()
                        .is_some_and(|parent| affected.iter().any(|above| above.name == parent));
            if inherits {
                affected.push(other);
            }
        }
        Ok(affected)
    }

    fn mounts_of(&self, datasets: &[Dataset]) -> Result<Vec<Mount>, Error> {
        let mut mounts: Vec<Mount> = Vec::new();
        for mount in self.mounts()? {
            let Mounted::Filesystem(name) = &mount.what else {
                continue;
            };
            if mount.is_whole()
                && datasets.iter().any(|dataset| dataset.name == *name)
                && !mounts.iter().any(|other| other.what == mount.what)
            {
                mounts.push(mount);
            }
        }
        order(&mut mounts);
        Ok(mounts)
    }

    /// Remounts the dataset and those below it that inherit one of these
    /// properties, where they are.
    fn take_up(&self, name: &DatasetName, properties: &[&str]) -> Result<Vec<Error>, Error> {
        let mut failures = Vec::new();
        for mount in self.mounted_within(name)? {
            let dataset = match self.dataset(mount.what.dataset()) {
                Ok(dataset) => dataset,
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(error),
            };
            let inherits = properties
                .iter()
                .any(|property| is_inherited(&dataset, property));
            let managed = matches!(place(&dataset), Place::At(_));
            if managed && (dataset.name == *name || inherits) {
                failures.extend(self.remount(&mount, &dataset).err());
            }
        }
        Ok(failures)
    }

    /// What is mounted would have to be shared anew, or not any more.
    fn refuse_sharing(
        &self,
        operation: Operation,
        dataset: &Dataset,
        changes: &Changes,
    ) -> Result<(), Error> {
        let Some(property) = changes.share else {
            return Ok(());
        };
        let Some(mount) = self.mounted_within(&dataset.name)?.pop() else {
            return Ok(());
        };
        let name = mount.what.dataset().clone();
        let why = MountProblem::Share { name, property };
        Err(problem(operation, dataset.name.as_str(), why))
    }

    /// What is unmounted for a change would have to be taken from the file
    /// servers before, and given to them again.
    pub(crate) fn refuse_shared(
        &self,
        operation: Operation,
        name: &DatasetName,
        mounts: &[Mount],
    ) -> Result<(), Error> {
        for mount in mounts {
            let dataset = match self.dataset(mount.what.dataset()) {
                Ok(dataset) => dataset,
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(error),
            };
            if let Some(property) = dataset.shared_by() {
                let why = MountProblem::Share {
                    name: dataset.name,
                    property,
                };
                return Err(problem(operation, name.as_str(), why));
            }
        }
        Ok(())
    }

    /// Renames a filesystem with all that is mounted of it and below it.
    pub(crate) fn rename_following(
        &self,
        from: &DatasetName,
        to: &DatasetName,
        flags: UnmountFlags,
        change: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mounts = self.mounted_within(from)?;
        // As with zfs(8), one that has no place of its own is left alone, and
        // so is what is below it.
        if mounts.is_empty() || !matches!(place(&self.dataset(from)?), Place::At(_)) {
            return change();
        }
        let mut old_folders = Vec::new();
        for mount in &mounts {
            if is_inherited(&self.dataset(mount.what.dataset())?, "mountpoint") {
                old_folders.push(mount.mountpoint.clone());
            }
        }
        let down = self.take_down_for(Operation::Rename, from, mounts, flags)?;
        if let Err(error) = change() {
            let failures = self.put_back(&down);
            return Err(not_restored(Operation::Rename, from, error, failures));
        }
        for folder in old_folders {
            let _ = fs::remove_dir(folder);
        }
        let mut again = Vec::new();
        for mount in &down.mounts {
            if let Some(below) = mount.what.dataset().strip_prefix(from) {
                again.push(if below.is_empty() {
                    to.clone()
                } else {
                    to.join(below)?
                });
            }
        }
        let failures = self.mount_again(&again);
        if failures.is_empty() {
            return Ok(());
        }
        let why = MountProblem::NotRemounted(failures);
        Err(problem(Operation::Rename, from.as_str(), why))
    }

    /// Destroys a filesystem that is mounted: `destroy` is called once more
    /// when it is unmounted.
    pub(crate) fn destroy_mounted(
        &self,
        name: &DatasetName,
        busy: Error,
        destroy: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mounts = self.mounted_at(name)?;
        if mounts.is_empty() || self.has_snapshots(name)? {
            return Err(busy);
        }
        // Were it not destroyed then, only one mount of the whole could be
        // made again as it was. zfs(8) unmounts no other either.
        if mounts.len() > 1 || !mounts.iter().all(Mount::is_whole) {
            return Err(mounted_elsewhere(busy, &mounts));
        }
        // To the kernel that it is mounted goes before that, and it would be
        // unmounted for nothing.
        let children = ListDatasets::new().depth(1).without_properties();
        if self.list_datasets(name, children).nth(1).is_some() {
            return Err(Error::zfs(Operation::Destroy, name.as_str(), Errno::EEXIST));
        }
        let dataset = self.dataset(name)?;
        let down = self.take_down_for(Operation::Destroy, name, mounts, UnmountFlags::empty())?;
        if let Err(error) = destroy() {
            let failures = self.put_back(&down);
            return Err(not_restored(Operation::Destroy, name, error, failures));
        }
        if is_inherited(&dataset, "mountpoint") {
            for mount in &down.mounts {
                let _ = fs::remove_dir(&mount.mountpoint);
            }
        }
        Ok(())
    }

    /// Whether a dataset has snapshots.
    fn has_snapshots(&self, name: &DatasetName) -> Result<bool, Error> {
        // Of a clone without any it is the origin, which is another's.
        let newest = self.dataset(name)?.newest_snapshot();
        Ok(newest.is_some_and(|snapshot| snapshot.dataset() == name))
    }
}

/// That it is busy, with all the places where it is mounted.
fn mounted_elsewhere(busy: Error, mounts: &[Mount]) -> Error {
    let Error::Zfs(mut failure) = busy else {
        return busy;
    };
    let places: Vec<String> = mounts
        .iter()
        .map(|mount| mount.mountpoint.display().to_string())
        .collect();
    let places = places.join(" ");
    failure.detail = Some(format!(
        "it is mounted in more than one place, or a part of it is (umount {places})"
    ));
    Error::Zfs(failure)
}

/// The mountpoint is the one that it has already, set here, and nothing else
/// unmounts it.
fn is_same(dataset: &Dataset, changes: &Changes) -> bool {
    let NewMountpoint::Set(wanted) = &changes.mountpoint else {
        return false;
    };
    let properties = dataset.properties.as_ref();
    let now = properties.and_then(|properties| properties.str("mountpoint"));
    now == Some(wanted)
        && !is_inherited(dataset, "mountpoint")
        && !changes.canmount_off
        && !changes.zoned
}

fn can_mount_itself(dataset: &Dataset) -> bool {
    let properties = dataset.properties.as_ref();
    let canmount = properties.and_then(|properties| properties.number("canmount"));
    matches!(canmount, None | Some(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_touches_mounts_is_followed() {
        let mut changes = Changes::default();
        changes.add("compression", None, Some(15));
        changes.add("canmount", None, Some(2));
        changes.add("org.example:exec", Some("off"), None);
        assert!(changes.is_empty(), "{changes:?}");
        changes.add("exec", None, Some(0));
        assert!(!changes.is_empty() && !changes.unmount());
        changes.add("canmount", None, Some(0));
        assert!(changes.unmount());
    }
}
