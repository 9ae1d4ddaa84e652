//! Unmounting: children first, and nothing that lies on top in place of what
//! was meant.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Mount, MountProblem, Mounted, Place, number, place, problem};
use crate::error::{Error, Operation};
use crate::ffi;
use crate::list::Dataset;
use crate::name::{DatasetName, SnapshotName};
use crate::zfs::Zfs;

bitflags::bitflags! {
    /// How to unmount.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct UnmountFlags: u8 {
        /// Although it is in use (`zfs unmount -f`). Linux knows that for few
        /// filesystems, and ZFS is hardly one of them.
        const FORCE = 1;
        /// It disappears from sight now, and is unmounted when nobody uses it
        /// any more (`umount -l`).
        const LAZY = 2;
        /// Although `sharenfs` or `sharesmb` gives it to file servers: nobody
        /// here can take it from them, and who sets this has.
        const SHARED = 4;
    }
}

/// `noauto` of the property `canmount`; 0 is `off`, 1 is `on`.
const NOAUTO: u64 = 2;

impl Zfs {
    /// Unmounts a filesystem, and before it what is mounted of those below it
    /// (`zfs unmount`). Legacy ones below it stay.
    ///
    /// # Errors
    ///
    /// [`Error::Mount`]: it is not mounted, in use, `legacy`, or given to file
    /// servers ([`UnmountFlags::SHARED`]). Where one of several cannot be unmounted, those that were are mounted again.
    pub fn unmount(&self, dataset: &DatasetName, flags: UnmountFlags) -> Result<(), Error> {
        let refused = |why| Err(problem(Operation::Unmount, dataset.as_str(), why));
        if matches!(place(&self.dataset(dataset)?), Place::Legacy) {
            return refused(MountProblem::Legacy);
        }
        let mounts = self.mounted_within(dataset)?;
        if !mounts
            .iter()
            .any(|mount| mount.what.as_str() == dataset.as_str())
        {
            return refused(MountProblem::NotMounted);
        }
        self.not_shared(dataset, &mounts, flags)?;
        self.take_down(mounts, flags)?;
        Ok(())
    }

    /// Unmounts a snapshot from everywhere it is mounted, below `.zfs/snapshot`
    /// as well.
    ///
    /// # Errors
    ///
    /// [`Error::Mount`]: it is not mounted, or in use.
    pub fn unmount_snapshot(
        &self,
        snapshot: &SnapshotName,
        flags: UnmountFlags,
    ) -> Result<(), Error> {
        let mounts = self.mounted_at(snapshot)?;
        if mounts.is_empty() {
            let why = MountProblem::NotMounted;
            return Err(problem(Operation::Unmount, snapshot.as_str(), why));
        }
        for mount in mounts.iter().rev() {
            unmount_one(mount, flags)?;
        }
        Ok(())
    }

    /// Unmounts whatever ZFS has mounted on that folder, topmost.
    ///
    /// # Errors
    ///
    /// [`Error::Mount`]: nothing of ZFS is mounted there, or it is in use or
    /// given to file servers ([`UnmountFlags::SHARED`]).
    pub fn unmount_folder(&self, folder: &Path, flags: UnmountFlags) -> Result<Mounted, Error> {
        let mounts = self.mounts()?;
        let mount = mounts.into_iter().rfind(|mount| mount.mountpoint == folder);
        let Some(mount) = mount else {
            let name = folder.display().to_string();
            return Err(problem(Operation::Unmount, name, MountProblem::NotMounted));
        };
        self.not_shared(mount.what.dataset(), std::slice::from_ref(&mount), flags)?;
        unmount_one(&mount, flags)?;
        Ok(mount.what)
    }

    /// Unmounts every filesystem of these and below that is neither `legacy`
    /// nor `canmount=noauto` (`zfs unmount -a`), children first, and goes on
    /// where one cannot be.
    ///
    /// # Errors
    ///
    /// Where the mounts cannot be read. What could not be unmounted is in the
    /// answer, and so is what is given to file servers
    /// ([`UnmountFlags::SHARED`]).
    pub fn unmount_all<'a>(
        &self,
        roots: impl IntoIterator<Item = &'a DatasetName>,
        flags: UnmountFlags,
    ) -> Result<Vec<Error>, Error> {
        let roots: Vec<&DatasetName> = roots.into_iter().collect();
        let (mut mounts, mut failed) = (Vec::<Mount>::new(), Vec::new());
        for mount in self.mounts()? {
            let Mounted::Filesystem(name) = &mount.what else {
                continue;
            };
            // Of one that is mounted twice the first counts, as for zfs(8).
            if !roots.iter().any(|root| name.is_within(root))
                || !mount.is_whole()
                || mounts.iter().any(|other| other.what == mount.what)
            {
                continue;
            }
            match self.not_legacy(name) {
                Ok(Some(of)) if number(&of, "canmount") != Some(NOAUTO) => mounts.push(mount),
                Ok(_) => {}
                Err(error) => failed.push(error),
            }
        }
        order(&mut mounts);
        let unmounted = mounts.iter().map(|mount| {
            self.not_shared(mount.what.dataset(), std::slice::from_ref(mount), flags)?;
            unmount_one(mount, flags)
        });
        failed.extend(unmounted.filter_map(Result::err));
        Ok(failed)
    }

    /// Filesystems at and below `dataset` that are mounted as a whole, but for
    /// legacy ones below it; what has to be unmounted first comes first.
    pub(super) fn mounted_within(&self, dataset: &DatasetName) -> Result<Vec<Mount>, Error> {
        let mut within = Vec::new();
        for mount in self.mounts()? {
            let Mounted::Filesystem(name) = &mount.what else {
                continue;
            };
            if !name.is_within(dataset) || !mount.is_whole() {
                continue;
            }
            if name != dataset && self.not_legacy(name)?.is_none() {
                continue;
            }
            // Of one that is mounted twice the first counts, as for zfs(8).
            if !within.iter().any(|other: &Mount| other.what == mount.what) {
                within.push(mount);
            }
        }
        order(&mut within);
        Ok(within)
    }

    fn not_shared(
        &self,
        dataset: &DatasetName,
        mounts: &[Mount],
        flags: UnmountFlags,
    ) -> Result<(), Error> {
        if flags.contains(UnmountFlags::SHARED) {
            return Ok(());
        }
        self.refuse_shared(Operation::Unmount, dataset, mounts)
    }

    /// A filesystem, unless it is `legacy` or gone.
    fn not_legacy(&self, name: &DatasetName) -> Result<Option<Dataset>, Error> {
        match self.dataset(name) {
            Ok(dataset) if matches!(place(&dataset), Place::Legacy) => Ok(None),
            Ok(dataset) => Ok(Some(dataset)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Deepest first; of two on one folder the upper one.
pub(super) fn order(mounts: &mut [Mount]) {
    mounts.sort_by(|one, other| one.mountpoint.cmp(&other.mountpoint));
    mounts.reverse();
}

pub(super) fn unmount_one(mount: &Mount, flags: UnmountFlags) -> Result<(), Error> {
    let refused = |why| Err(problem(Operation::Unmount, mount.what.as_str(), why));
    let at = || mount.mountpoint.clone();
    refuse_covered(Operation::Unmount, mount)?;
    let force = flags.contains(UnmountFlags::FORCE);
    let lazy = flags.contains(UnmountFlags::LAZY);
    match ffi::mount::unmount(&mount.mountpoint, force, lazy) {
        Ok(()) => Ok(()),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            refused(MountProblem::NotMounted)
        }
        Err(error) => refused(MountProblem::of_system(at(), error)),
    }
}

/// The kernel unmounts and remounts what lies on top, whatever that is.
pub(super) fn refuse_covered(operation: Operation, mount: &Mount) -> Result<(), Error> {
    let Ok(metadata) = fs::symlink_metadata(&mount.mountpoint) else {
        return Ok(());
    };
    let device = metadata.dev();
    if (libc::major(device), libc::minor(device)) == mount.device {
        return Ok(());
    }
    let at = mount.mountpoint.clone();
    let covered = MountProblem::Covered { at };
    Err(problem(operation, mount.what.as_str(), covered))
}
