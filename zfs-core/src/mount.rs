//! Mounting and unmounting.
//!
//! ```text
//! properties -> may it be mounted? -> flags and options -> mount(2)
//! /proc/self/mountinfo -> what is mounted where -> umount2(2), children first
//! ```
//!
//! libzfs_core cannot mount, and a bare mount(2) takes no notice of `exec`,
//! `setuid` and `devices`: the flags come from the effective properties here.

mod follow;
mod options;
mod problem;
mod table;
mod unmount;

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Operation};
use crate::ffi;
use crate::list::{Dataset, DatasetKind, DatasetKinds, KeyStatus, ListDatasets};
use crate::name::{DatasetName, PoolName, SnapshotName};
use crate::property::Source;
use crate::zfs::{Name, Zfs};

use self::options::Options;
use self::unmount::refuse_covered;

pub(crate) use follow::Changes;
pub use follow::Mounts;
pub use problem::MountProblem;
pub use table::{Mount, Mounted};
pub use unmount::UnmountFlags;

bitflags::bitflags! {
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    struct Allow: u8 {
        const OVERLAY = 1;
        const REDACTED = 2;
    }
}

/// What to mount, and how.
///
/// ```no_run
/// use zfs_core::{MountRequest, Zfs};
///
/// let zfs = Zfs::open()?;
/// let place = zfs.mount(&MountRequest::filesystem("tank/home".parse()?))?;
/// assert_eq!(place, std::path::Path::new("/tank/home"));
///
/// let monday = MountRequest::snapshot("tank/home@monday".parse()?, "/mnt/monday");
/// zfs.mount(&monday)?;
/// # Ok::<(), zfs_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MountRequest {
    what: Mounted,
    at: Option<PathBuf>,
    options: Vec<String>,
    allow: Allow,
}

impl MountRequest {
    /// A filesystem, where its property `mountpoint` says.
    pub fn filesystem(name: DatasetName) -> MountRequest {
        MountRequest::new(Mounted::Filesystem(name), None)
    }

    fn new(what: Mounted, at: Option<PathBuf>) -> MountRequest {
        MountRequest {
            what,
            at,
            options: Vec::new(),
            allow: Allow::empty(),
        }
    }

    /// A snapshot, on that folder. It is read-only there, nothing in it can be
    /// run, and no device in it opened.
    pub fn snapshot(name: SnapshotName, at: impl Into<PathBuf>) -> MountRequest {
        MountRequest::new(Mounted::Snapshot(name), Some(at.into()))
    }

    /// On that folder, whatever the property says; `legacy` and `none` are no
    /// hindrance then.
    #[must_use]
    pub fn at(mut self, folder: impl Into<PathBuf>) -> MountRequest {
        self.at = Some(folder.into());
        self
    }

    /// With that option for this mount alone (`zfs mount -o`): `ro`, `noexec`,
    /// `nosuid`, `noatime`… Snapshots take none.
    #[must_use]
    pub fn option(mut self, option: impl Into<String>) -> MountRequest {
        self.options.push(option.into());
        self
    }

    /// Even if something is in the folder and the property `overlay` is off
    /// (`zfs mount -O`).
    #[must_use]
    pub fn overlay(mut self) -> MountRequest {
        self.allow |= Allow::OVERLAY;
        self
    }

    /// Even if a part of it was left out by its sender (`zfs mount -f`).
    #[must_use]
    pub fn redacted(mut self) -> MountRequest {
        self.allow |= Allow::REDACTED;
        self
    }
}

/// What came of mounting everything.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct MountedAll {
    /// What was mounted, and where, in that order.
    pub mounted: Vec<(DatasetName, PathBuf)>,
    /// What could not be.
    pub failures: Vec<Error>,
}

/// Where a filesystem belongs.
enum Place {
    None,
    Legacy,
    At(PathBuf),
}

fn problem(operation: Operation, name: impl Into<String>, problem: MountProblem) -> Error {
    Error::Mount {
        operation,
        name: name.into(),
        problem,
    }
}

/// What was not done, and what of the mounts taken down for it is not back.
fn not_restored(
    operation: Operation,
    name: &DatasetName,
    why: Error,
    failures: Vec<Error>,
) -> Error {
    if failures.is_empty() {
        return why;
    }
    let why = Box::new(why);
    let both = MountProblem::NotRestored { why, failures };
    problem(operation, name.as_str(), both)
}

fn place(dataset: &Dataset) -> Place {
    let mountpoint = dataset
        .properties
        .as_ref()
        .map(|properties| properties.text("mountpoint"))
        .unwrap_or_default();
    match mountpoint.as_str() {
        "legacy" => Place::Legacy,
        path if path.starts_with('/') => Place::At(path.into()),
        _ => Place::None,
    }
}

fn number(dataset: &Dataset, property: &str) -> Option<u64> {
    dataset.properties.as_ref()?.number(property)
}

impl Zfs {
    /// All mounts of ZFS that this process can see, in the order in which the
    /// kernel lists them.
    ///
    /// # Errors
    ///
    /// [`Error::Mount`] where /proc is not there.
    pub fn mounts(&self) -> Result<Vec<Mount>, Error> {
        table::read()
            .map_err(|error| problem(Operation::List, "mounts", MountProblem::Table(error)))
    }

    /// Where a filesystem or snapshot is mounted, as a whole or in part (bind
    /// mounts); nowhere, perhaps.
    ///
    /// # Errors
    ///
    /// As [`Zfs::mounts`].
    pub fn mounted_at<N: Name>(&self, name: &N) -> Result<Vec<Mount>, Error> {
        let mut mounts = self.mounts()?;
        mounts.retain(|mount| mount.what.as_str() == name.as_ref());
        Ok(mounts)
    }

    /// Mounts a filesystem or a snapshot, and says where. The folder is made
    /// where there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Mount`], which says why not: `canmount=off`, no mountpoint, a
    /// key that is not loaded, a folder with something in it while `overlay`
    /// is off, or what the kernel said. Mounting is for root.
    pub fn mount(&self, request: &MountRequest) -> Result<PathBuf, Error> {
        match &request.what {
            Mounted::Filesystem(name) => self.mount_filesystem(&self.dataset(name)?, request),
            Mounted::Snapshot(name) => self.mount_snapshot(name, request),
        }
    }

    fn mount_filesystem(
        &self,
        dataset: &Dataset,
        request: &MountRequest,
    ) -> Result<PathBuf, Error> {
        let name = dataset.name.as_str();
        let refused = |why| Err(problem(Operation::Mount, name, why));
        if dataset.kind == DatasetKind::Volume {
            return refused(MountProblem::Volume);
        }
        if number(dataset, "zoned") == Some(1) {
            return refused(MountProblem::Zoned);
        }
        let at = match (&request.at, place(dataset)) {
            (Some(at), _) => at.clone(),
            (None, Place::At(at)) => at,
            (None, Place::Legacy) => return refused(MountProblem::Legacy),
            (None, Place::None) => return refused(MountProblem::NoMountpoint),
        };
        if number(dataset, "canmount") == Some(0) {
            return refused(MountProblem::CanmountOff);
        }
        if dataset.redacted && !request.allow.contains(Allow::REDACTED) {
            return refused(MountProblem::Redacted);
        }
        if dataset.inconsistent {
            return refused(MountProblem::Incomplete);
        }
        if let Some(mount) = self
            .mounted_at(&dataset.name)?
            .iter()
            .find(|mount| mount.is_whole())
        {
            return refused(MountProblem::AlreadyMounted {
                at: mount.mountpoint.clone(),
            });
        }
        key_is_loaded(name, dataset)?;
        let mut options = self.options(dataset, &request.options)?;
        let overlay =
            request.allow.contains(Allow::OVERLAY) || number(dataset, "overlay") != Some(0);
        Self::mount_at(name, &at, &mut options, overlay)?;
        Ok(at)
    }

    fn options(&self, dataset: &Dataset, wanted: &[String]) -> Result<Options, Error> {
        let name = dataset.name.as_str();
        let pool_is_read_only = self.pool_is_read_only(&dataset.name.pool());
        let Some(properties) = &dataset.properties else {
            return Err(Error::UnexpectedAnswer {
                operation: Operation::Mount,
                name: name.to_owned(),
                reason: "it has no properties".to_owned(),
            });
        };
        Options::of_filesystem(properties, wanted, pool_is_read_only)
            .map_err(|reason| problem(Operation::Mount, name, MountProblem::Option(reason)))
    }

    fn mount_snapshot(
        &self,
        snapshot: &SnapshotName,
        request: &MountRequest,
    ) -> Result<PathBuf, Error> {
        let name = snapshot.as_str();
        let refused = |why| Err(problem(Operation::Mount, name, why));
        let Some(at) = &request.at else {
            return refused(MountProblem::NoMountpoint);
        };
        if let Some(option) = request.options.first() {
            return refused(MountProblem::Option(format!(
                "a snapshot is mounted read-only, nosuid, nodev and noexec, and {option:?} is not \
                 for it to take"
            )));
        }
        // A snapshot that is not there: before a folder is made for it.
        self.properties(snapshot)?;
        let dataset = self.dataset(snapshot.dataset())?;
        if dataset.kind == DatasetKind::Volume {
            return refused(MountProblem::Volume);
        }
        key_is_loaded(name, &dataset)?;
        let mut options = Options::of_snapshot();
        Self::mount_at(
            name,
            at,
            &mut options,
            request.allow.contains(Allow::OVERLAY),
        )?;
        Ok(at.clone())
    }

    fn mount_at(name: &str, at: &Path, options: &mut Options, overlay: bool) -> Result<(), Error> {
        let refused = |why| problem(Operation::Mount, name, why);
        let at_text = at.to_str().filter(|text| text.starts_with('/'));
        let Some(text) = at_text else {
            return Err(refused(MountProblem::BadFolder { at: at.to_owned() }));
        };
        options.at(text);
        if fs::symlink_metadata(at).is_err() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(at)
                .map_err(|source| {
                    refused(MountProblem::Folder {
                        at: at.to_owned(),
                        source,
                    })
                })?;
        }
        if !overlay && !is_empty(at) {
            return Err(refused(MountProblem::NotEmpty { at: at.to_owned() }));
        }
        ffi::mount::mount(name, at, options.flags, &options.data)
            .map_err(|source| refused(MountProblem::of_system(at.to_owned(), source)))
    }

    /// Lets a mounted filesystem take up the properties that belong to the
    /// mount.
    fn remount(&self, mount: &Mount, dataset: &Dataset) -> Result<(), Error> {
        refuse_covered(Operation::Mount, mount)?;
        let options = self.options(dataset, &[])?;
        ffi::mount::mount(
            dataset.name.as_str(),
            &mount.mountpoint,
            options.flags | ffi::mount::MountFlags::REMOUNT,
            &options.data,
        )
        .map_err(|source| {
            let why = MountProblem::of_system(mount.mountpoint.clone(), source);
            problem(Operation::Mount, dataset.name.as_str(), why)
        })
    }

    /// Mounts every filesystem of `roots` and below that should be: those with
    /// a mountpoint and `canmount=on`, whose key is loaded (`zfs mount -a`,
    /// `-R`). What is mounted already stays as it is.
    ///
    /// # Errors
    ///
    /// Where they cannot be listed. What cannot be mounted is in the outcome.
    pub fn mount_all<'a>(
        &self,
        roots: impl IntoIterator<Item = &'a DatasetName>,
    ) -> Result<MountedAll, Error> {
        self.mount_all_with(roots, |request| request)
    }

    /// As [`Zfs::mount_all`], each filesystem as `how` makes its request
    /// (`zfs mount -a` with `-o`, `-O`, `-f`).
    ///
    /// # Errors
    ///
    /// As [`Zfs::mount_all`].
    ///
    /// # Example
    ///
    /// ```no_run
    /// use zfs_core::{DatasetName, Zfs};
    ///
    /// let zfs = Zfs::open()?;
    /// let backup: DatasetName = "tank/backup".parse()?;
    /// let all = zfs.mount_all_with([&backup], |request| request.option("ro"))?;
    /// assert!(all.failures.is_empty());
    /// # Ok::<(), zfs_core::Error>(())
    /// ```
    pub fn mount_all_with<'a>(
        &self,
        roots: impl IntoIterator<Item = &'a DatasetName>,
        how: impl Fn(MountRequest) -> MountRequest,
    ) -> Result<MountedAll, Error> {
        let mut candidates = Vec::new();
        for root in roots {
            let what = ListDatasets::new()
                .recursive()
                .kinds(DatasetKinds::FILESYSTEM);
            for dataset in self.list_datasets(root, what) {
                let dataset = dataset?;
                let canmount = number(&dataset, "canmount");
                if let (Place::At(at), None | Some(1)) = (place(&dataset), canmount) {
                    candidates.push((at, dataset));
                }
            }
        }
        // What lies in another's folder comes after it.
        candidates.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut all = MountedAll::default();
        for (_, dataset) in candidates {
            let request = how(MountRequest::filesystem(dataset.name.clone()));
            match self.mount_filesystem(&dataset, &request) {
                Ok(at) => all.mounted.push((dataset.name, at)),
                Err(Error::Mount { problem, .. }) if problem.is_wanted() => {}
                Err(error) => all.failures.push(error),
            }
        }
        Ok(all)
    }

    fn pool_is_read_only(&self, pool: &PoolName) -> bool {
        let properties = self.device.pool_properties(pool.as_str());
        properties.is_ok_and(|properties| {
            properties
                .get_nvlist("readonly")
                .and_then(|entry| entry.get_u64("value"))
                == Some(1)
        })
    }
}

fn key_is_loaded(name: &str, dataset: &Dataset) -> Result<(), Error> {
    if dataset.key_status() != Some(KeyStatus::Unavailable) {
        return Ok(());
    }
    let root = dataset.encryption_root();
    let root = root.unwrap_or_else(|| dataset.name.clone());
    Err(problem(
        Operation::Mount,
        name,
        MountProblem::KeyNotLoaded { root },
    ))
}

/// One that cannot be read counts as empty: the mount says what is wrong.
fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
}

/// Whether nobody set it on this very dataset.
fn is_inherited(dataset: &Dataset, property: &str) -> bool {
    let property = dataset
        .properties
        .as_ref()
        .and_then(|properties| properties.get(property));
    property
        .is_some_and(|property| matches!(property.source, Source::Default | Source::Inherited(_)))
}
