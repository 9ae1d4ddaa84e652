//! Snapshots.

use std::iter::FusedIterator;
use std::time::SystemTime;

use zfs_stream::nvlist::NvList;
use zfs_sys::ZfsCmd;

use super::entries::Entries;
use super::gather;
use super::{list_error, odd, properties_of};
use crate::error::Error;
use crate::ffi::CallError;
use crate::ffi::ioctl::Device;
use crate::name::{DatasetName, Guid, SnapshotName, Txg};
use crate::property::DatasetProperties;
use crate::zfs::Zfs;

/// A snapshot as the kernel lists it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Its name.
    pub name: SnapshotName,
    /// Its GUID, the same in every replica.
    pub guid: Guid,
    /// The transaction group in which it was taken (or received): the order
    /// of a dataset's snapshots.
    pub createtxg: Txg,
    /// How many clones it has.
    pub clone_count: u64,
    /// It was received from a redacted stream.
    pub redacted: bool,
    /// Its properties, where they were asked for.
    pub properties: Option<DatasetProperties>,
}

impl Snapshot {
    fn number(&self, name: &str) -> Option<u64> {
        self.properties.as_ref()?.number(name)
    }

    /// When it was taken; for a received snapshot when its original was taken.
    ///
    /// None where it was listed without properties; see
    /// [`Zfs::snapshot_creation`].
    pub fn creation(&self) -> Option<SystemTime> {
        self.properties.as_ref()?.time("creation")
    }

    /// How many holds it has.
    pub fn userrefs(&self) -> Option<u64> {
        self.number("userrefs")
    }

    /// Bytes that only this snapshot holds.
    pub fn used(&self) -> Option<u64> {
        self.number("used")
    }

    /// Bytes that can be read through it.
    pub fn referenced(&self) -> Option<u64> {
        self.number("referenced")
    }

    /// Bytes written since the snapshot before it.
    pub fn written(&self) -> Option<u64> {
        self.number("written")
    }

    /// It goes away with its last hold and clone.
    pub fn defer_destroy(&self) -> Option<bool> {
        self.number("defer_destroy").map(|number| number != 0)
    }

    /// Its clones, where they were asked for and ZFS can tell: pools from
    /// before their names were kept know their number alone.
    pub fn clones(&self) -> Option<Vec<DatasetName>> {
        self.properties.as_ref()?.clones()
    }

    fn read(device: &Device, name: SnapshotName, cmd: &ZfsCmd, with: bool) -> Result<Self, Error> {
        let stats = cmd.stats();
        let properties = properties_of(device, name.as_str(), cmd, with)?;
        Ok(Snapshot {
            guid: Guid(stats.dds_guid),
            createtxg: Txg(stats.dds_creation_txg),
            clone_count: stats.dds_num_clones,
            redacted: stats.dds_redacted != 0,
            properties,
            name,
        })
    }
}

/// Which snapshots of a dataset to list, and how much of each.
///
/// ```no_run
/// use zfs_core::{ListSnapshots, Zfs};
///
/// let zfs = Zfs::open()?;
/// let home = "tank/home".parse()?;
/// let mut snapshots = zfs
///     .list_snapshots(&home, ListSnapshots::new())
///     .collect::<Result<Vec<_>, _>>()?;
/// snapshots.sort_by_key(|snapshot| snapshot.createtxg);
/// # Ok::<(), zfs_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListSnapshots {
    min_txg: Option<Txg>,
    max_txg: Option<Txg>,
    properties: bool,
}

impl ListSnapshots {
    /// All of them, with name, GUID, createtxg and the number of clones.
    pub fn new() -> ListSnapshots {
        ListSnapshots::default()
    }

    /// Those taken in this transaction group or later. The kernel passes over
    /// the others, at a fraction of the cost of listing them.
    #[must_use]
    pub fn min_txg(mut self, txg: Txg) -> ListSnapshots {
        self.min_txg = Some(txg);
        self
    }

    /// Those taken in this transaction group or earlier.
    #[must_use]
    pub fn max_txg(mut self, txg: Txg) -> ListSnapshots {
        self.max_txg = Some(txg);
        self
    }

    /// With properties: creation, used, userrefs, clones and all others.
    #[must_use]
    pub fn with_properties(mut self) -> ListSnapshots {
        self.properties = true;
        self
    }

    /// What the kernel is told of the range; 0 is its word for no bound.
    fn range(self) -> Result<Option<NvList>, CallError> {
        let mut list = NvList::new();
        for (key, txg) in [
            ("snap_iter_min_txg", self.min_txg),
            ("snap_iter_max_txg", self.max_txg),
        ] {
            if let Some(Txg(txg)) = txg {
                list.insert(key, txg).map_err(CallError::Request)?;
            }
        }
        Ok((!list.is_empty()).then_some(list))
    }
}

/// The snapshots of one dataset.
#[derive(Debug)]
pub struct Snapshots {
    device: Device,
    dataset: DatasetName,
    what: ListSnapshots,
    state: State,
    /// The hash that the entries of this range are below.
    end: Option<u64>,
}

#[derive(Debug)]
enum State {
    Start,
    Listing(Entries),
    End,
}

impl Snapshots {
    fn start(&self) -> Result<Entries, Error> {
        let range = self
            .what
            .range()
            .map_err(|error| list_error(error, self.dataset.as_str()))?;
        Entries::snapshots(
            &self.device,
            &self.dataset,
            self.what.properties,
            range.as_ref(),
        )
    }

    /// Where it stands in the kernel's order.
    pub(super) fn place(&self) -> u64 {
        match &self.state {
            State::Listing(entries) => entries.place(),
            State::Start | State::End => 0,
        }
    }

    /// What is left of it, in ranges that begin at these hashes.
    pub(super) fn divide(mut self, bounds: &[u64]) -> Result<Vec<Snapshots>, Error> {
        let mut others = Vec::new();
        for (nth, bound) in bounds.iter().enumerate() {
            let mut entries = self.start()?;
            entries.set_place(*bound);
            others.push(Snapshots {
                device: self.device.clone(),
                dataset: self.dataset.clone(),
                what: self.what,
                state: State::Listing(entries),
                end: bounds.get(nth + 1).copied(),
            });
        }
        self.end = bounds.first().copied();
        others.insert(0, self);
        Ok(others)
    }

    fn step(&mut self) -> Result<Option<Snapshot>, Error> {
        // 0 is no bound to the kernel, and nothing is as old as that.
        if self.what.max_txg == Some(Txg(0)) {
            self.state = State::End;
        }
        if matches!(self.state, State::Start) {
            self.state = State::Listing(self.start()?);
        }
        let State::Listing(entries) = &mut self.state else {
            return Ok(None);
        };
        match entries.next()? {
            Some(cmd) => {
                if self
                    .end
                    .is_some_and(|end| gather::hash(cmd.cookie()) >= end)
                {
                    self.state = State::End;
                    return Ok(None);
                }
                let name = member(&self.dataset, cmd.name())?;
                Snapshot::read(&self.device, name, cmd, self.what.properties).map(Some)
            }
            None => entries.confirm().map(|()| None),
        }
    }
}

/// The name of an entry, which shares its dataset's.
fn member(dataset: &DatasetName, bytes: &[u8]) -> Result<SnapshotName, Error> {
    let own = bytes
        .strip_prefix(dataset.as_str().as_bytes())
        .and_then(|rest| rest.strip_prefix(b"@"))
        .and_then(|own| std::str::from_utf8(own).ok())
        .ok_or_else(|| odd(dataset.as_str(), "a snapshot's name is not one"))?;
    dataset
        .with_snapshot(own)
        .map_err(|error| odd(dataset.as_str(), error))
}

impl Iterator for Snapshots {
    type Item = Result<Snapshot, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.step().transpose();
        if !matches!(item, Some(Ok(_))) {
            self.state = State::End;
        }
        item
    }
}

impl FusedIterator for Snapshots {}

impl Zfs {
    /// Lists the snapshots of one dataset, not of those below it.
    ///
    /// # Errors
    ///
    /// The iterator's last item, where something went wrong: the dataset does
    /// not exist, or went away while it was listed. Any user may list.
    pub fn list_snapshots(&self, dataset: &DatasetName, what: ListSnapshots) -> Snapshots {
        Snapshots {
            device: self.device.clone(),
            dataset: dataset.clone(),
            what,
            state: State::Start,
            end: None,
        }
    }

    /// One snapshot with its properties, in one request.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] where there is no such snapshot.
    pub fn snapshot_entry(&self, name: &SnapshotName) -> Result<Snapshot, Error> {
        let cmd = self
            .device
            .stats(name.as_str(), true)
            .map_err(|error| list_error(error, name.as_str()))?;
        Snapshot::read(&self.device, name.clone(), &cmd, true)
    }

    /// When a snapshot was taken: what the fast listing leaves out, for one
    /// snapshot.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] where there is no such snapshot.
    pub fn snapshot_creation(&self, name: &SnapshotName) -> Result<SystemTime, Error> {
        self.snapshot_entry(name)?
            .creation()
            .ok_or_else(|| odd(name.as_str(), "it has no creation"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_told_to_the_kernel_by_its_own_keys() {
        let range = |what: ListSnapshots| what.range().unwrap();
        assert_eq!(range(ListSnapshots::new()), None);
        let both = range(ListSnapshots::new().min_txg(Txg(7)).max_txg(Txg(9))).unwrap();
        assert_eq!(both.get_u64("snap_iter_min_txg"), Some(7));
        assert_eq!(both.get_u64("snap_iter_max_txg"), Some(9));
        let least = range(ListSnapshots::new().min_txg(Txg(7))).unwrap();
        assert_eq!(least.len(), 1);
    }
}
