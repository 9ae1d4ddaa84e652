//! Filesystems and volumes.

use std::iter::FusedIterator;
use std::sync::Arc;
use std::time::SystemTime;

use zfs_sys::{ZfsCmd, dmu_objset_stats, dmu_objset_type_t};

use super::entries::Entries;
use super::{entry_name, list_error, odd, properties_of};
use crate::error::Error;
use crate::ffi::ioctl::{Device, origin};
use crate::name::{DatasetName, Guid, SnapshotName, Txg};
use crate::property::DatasetProperties;
use crate::zfs::Zfs;

/// What a dataset is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DatasetKind {
    /// A filesystem.
    Filesystem,
    /// A volume, a block device.
    Volume,
}

impl DatasetKind {
    /// ZFS' word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            DatasetKind::Filesystem => "filesystem",
            DatasetKind::Volume => "volume",
        }
    }
}

impl std::fmt::Display for DatasetKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

bitflags::bitflags! {
    /// Kinds of datasets to list.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct DatasetKinds: u8 {
        /// Filesystems.
        const FILESYSTEM = 1;
        /// Volumes.
        const VOLUME = 2;
    }
}

impl From<DatasetKind> for DatasetKinds {
    fn from(kind: DatasetKind) -> DatasetKinds {
        match kind {
            DatasetKind::Filesystem => DatasetKinds::FILESYSTEM,
            DatasetKind::Volume => DatasetKinds::VOLUME,
        }
    }
}

/// Whether the key of an encrypted dataset is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyStatus {
    /// It is, and the dataset can be read.
    Available,
    /// It is not; the dataset can be sent raw, and no other way.
    Unavailable,
}

/// A filesystem or volume as the kernel lists it.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Its name.
    pub name: DatasetName,
    /// What it is.
    pub kind: DatasetKind,
    /// Its GUID, which outlives a rename.
    pub guid: Guid,
    /// The transaction group in which it was created.
    pub createtxg: Txg,
    /// The snapshot that it is a clone of.
    pub origin: Option<SnapshotName>,
    /// A receive into it was interrupted, or is going on.
    pub inconsistent: bool,
    /// It was received from a redacted stream.
    pub redacted: bool,
    /// Its properties, where they were asked for.
    pub properties: Option<DatasetProperties>,
}

impl Dataset {
    fn number(&self, name: &str) -> Option<u64> {
        self.properties.as_ref()?.number(name)
    }

    /// The property that gives it to file servers where it is mounted by
    /// zfs(8): `sharenfs` or `sharesmb`. `None` also where its properties were
    /// not asked for.
    pub fn shared_by(&self) -> Option<&'static str> {
        let properties = self.properties.as_ref()?;
        ["sharenfs", "sharesmb"]
            .into_iter()
            .find(|property| !["off", "-"].contains(&properties.text(property).as_str()))
    }

    /// When it was created.
    pub fn creation(&self) -> Option<SystemTime> {
        self.properties.as_ref()?.time("creation")
    }

    /// Bytes that it, its snapshots and its children take.
    pub fn used(&self) -> Option<u64> {
        self.number("used")
    }

    /// Bytes that can still be written to it.
    pub fn available(&self) -> Option<u64> {
        self.number("available")
    }

    /// Bytes that can be read through it.
    pub fn referenced(&self) -> Option<u64> {
        self.number("referenced")
    }

    /// The dataset whose key this one is encrypted with, itself perhaps; none
    /// where it is not encrypted.
    pub fn encryption_root(&self) -> Option<DatasetName> {
        self.properties
            .as_ref()?
            .str("encryptionroot")?
            .parse()
            .ok()
    }

    /// Whether its key is loaded; none where it is not encrypted.
    pub fn key_status(&self) -> Option<KeyStatus> {
        match self.number("keystatus")? {
            1 => Some(KeyStatus::Unavailable),
            2 => Some(KeyStatus::Available),
            _ => None,
        }
    }

    /// What a sender needs to go on with an interrupted receive into it.
    pub fn receive_resume_token(&self) -> Option<&str> {
        self.properties.as_ref()?.str("receive_resume_token")
    }

    /// When its snapshots changed last, in whole seconds: none before OpenZFS
    /// 2.2, and none where ZFS does not know (0 in the kernel).
    pub fn snapshots_changed(&self) -> Option<SystemTime> {
        let time = self.properties.as_ref()?.time("snapshots_changed");
        time.filter(|time| *time != SystemTime::UNIX_EPOCH)
    }

    /// Its newest snapshot. The origin of a clone is none of its own.
    pub fn newest_snapshot(&self) -> Option<SnapshotName> {
        let newest = self.properties.as_ref()?.str("prevsnap")?.parse().ok();
        newest.filter(|newest: &SnapshotName| *newest.dataset() == self.name)
    }

    fn read(device: &Device, name: DatasetName, cmd: &ZfsCmd, with: bool) -> Result<Self, Error> {
        let stats: &dmu_objset_stats = cmd.stats();
        let kind = match stats.dds_type {
            dmu_objset_type_t::DMU_OST_ZFS => DatasetKind::Filesystem,
            dmu_objset_type_t::DMU_OST_ZVOL => DatasetKind::Volume,
            other => return Err(odd(name.as_str(), format_args!("its type is {}", other.0))),
        };
        let origin = match origin(stats) {
            Some(origin) => Some(entry_name(name.as_str(), origin.as_bytes())?),
            None => None,
        };
        let properties = properties_of(device, name.as_str(), cmd, with)?;
        Ok(Dataset {
            kind,
            guid: Guid(stats.dds_guid),
            createtxg: Txg(stats.dds_creation_txg),
            origin,
            inconsistent: stats.dds_inconsistent != 0,
            redacted: stats.dds_redacted != 0,
            properties,
            name,
        })
    }
}

/// Which datasets to list, and how much of each.
///
/// ```no_run
/// use zfs_core::{DatasetKinds, ListDatasets, Zfs};
///
/// let zfs = Zfs::open()?;
/// let tank = "tank".parse()?;
/// for dataset in zfs.list_datasets(&tank, ListDatasets::new().recursive()) {
///     let dataset = dataset?;
///     println!("{} {} {:?}", dataset.name, dataset.kind, dataset.used());
/// }
/// # Ok::<(), zfs_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListDatasets {
    depth: usize,
    kinds: DatasetKinds,
    properties: bool,
}

impl ListDatasets {
    /// The named dataset alone, with its properties.
    pub fn new() -> ListDatasets {
        ListDatasets {
            depth: 0,
            kinds: DatasetKinds::all(),
            properties: true,
        }
    }

    /// All datasets below it as well.
    #[must_use]
    pub fn recursive(self) -> ListDatasets {
        self.depth(usize::MAX)
    }

    /// Datasets up to that many levels below it as well.
    #[must_use]
    pub fn depth(mut self, levels: usize) -> ListDatasets {
        self.depth = levels;
        self
    }

    /// These kinds only. Filesystems that are not listed are gone through all
    /// the same.
    #[must_use]
    pub fn kinds(mut self, kinds: DatasetKinds) -> ListDatasets {
        self.kinds = kinds;
        self
    }

    /// Without properties, which is several times faster: name, kind, GUID,
    /// createtxg, origin.
    #[must_use]
    pub fn without_properties(mut self) -> ListDatasets {
        self.properties = false;
        self
    }
}

impl Default for ListDatasets {
    fn default() -> ListDatasets {
        ListDatasets::new()
    }
}

/// The datasets of a listing, each before those below it.
#[derive(Debug)]
pub struct Datasets {
    device: Device,
    what: ListDatasets,
    root: Option<DatasetName>,
    /// The way down to where the walk is: a dataset at each level, whose
    /// children are being listed.
    levels: Vec<Entries>,
    altroot: Option<Arc<str>>,
}

impl Datasets {
    /// Where `dataset` may have children, they come next.
    fn descend(&mut self, dataset: &Dataset) -> Result<(), Error> {
        if dataset.kind == DatasetKind::Filesystem && self.levels.len() < self.what.depth {
            let children = Entries::datasets(&self.device, &dataset.name, self.what.properties)?;
            self.levels.push(children);
        }
        Ok(())
    }

    /// The next dataset of any kind.
    fn step(&mut self) -> Result<Option<Dataset>, Error> {
        if let Some(root) = self.root.take() {
            let dataset = read(&self.device, &root, self.what.properties)?;
            self.descend(&dataset)?;
            return Ok(Some(dataset));
        }
        while let Some(level) = self.levels.last_mut() {
            let parent = level.parent().clone();
            if let Some(cmd) = level.next()? {
                let name = entry_name(parent.as_str(), cmd.name())?;
                let dataset = Dataset::read(&self.device, name, cmd, self.what.properties)?;
                self.descend(&dataset)?;
                return Ok(Some(dataset));
            }
            // A dataset that went away on the way down was listed while it was
            // there; only the one that was asked for must not vanish without a
            // word.
            let ended = self.levels.pop();
            match ended {
                Some(root) if self.levels.is_empty() => root.confirm()?,
                _ => {}
            }
        }
        Ok(None)
    }
}

fn read(device: &Device, name: &DatasetName, properties: bool) -> Result<Dataset, Error> {
    let cmd = device
        .stats(name.as_str(), properties)
        .map_err(|error| list_error(error, name.as_str()))?;
    Dataset::read(device, name.clone(), &cmd, properties)
}

impl Iterator for Datasets {
    type Item = Result<Dataset, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.step() {
                Ok(Some(mut dataset)) => {
                    if let Some(properties) = &mut dataset.properties {
                        properties.set_altroot(self.altroot.clone());
                    }
                    if self.what.kinds.contains(dataset.kind.into()) {
                        return Some(Ok(dataset));
                    }
                }
                Ok(None) => return None,
                Err(error) => {
                    self.levels.clear();
                    return Some(Err(error));
                }
            }
        }
    }
}

impl FusedIterator for Datasets {}

impl Zfs {
    /// Lists filesystems and volumes: `root`, and as far below it as `what`
    /// says, each before those below it.
    ///
    /// # Errors
    ///
    /// The iterator's last item, where something went wrong: `root` does not
    /// exist, or went away while it was listed. Any user may list.
    pub fn list_datasets(&self, root: &DatasetName, what: ListDatasets) -> Datasets {
        let altroot = what
            .properties
            .then(|| self.device.altroot(root.pool().as_str()));
        Datasets {
            altroot: altroot.flatten(),
            device: self.device.clone(),
            what,
            root: Some(root.clone()),
            levels: Vec::new(),
        }
    }

    /// One filesystem or volume with its properties, in one request.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] where there is no such dataset.
    pub fn dataset(&self, name: &DatasetName) -> Result<Dataset, Error> {
        let mut dataset = read(&self.device, name, true)?;
        if let Some(properties) = &mut dataset.properties {
            properties.set_altroot(self.device.altroot(name.pool().as_str()));
        }
        Ok(dataset)
    }

    /// The newest snapshot of a dataset, in one request, however many it has.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] where there is no such dataset.
    pub fn newest_snapshot(&self, name: &DatasetName) -> Result<Option<SnapshotName>, Error> {
        Ok(self.dataset(name)?.newest_snapshot())
    }
}
