//! What lies right below one dataset, one request each.

use zfs_stream::nvlist::NvList;
use zfs_sys::{ZfsCmd, zfs_ioc_t};

use super::list_error;
use crate::error::Error;
use crate::ffi::ioctl::{ANSWER, Device, Next, command, packed};
use crate::name::DatasetName;
use crate::version::Version;

/// The children or the snapshots of a dataset, in the kernel's order.
#[derive(Debug)]
pub(super) struct Entries {
    device: Device,
    parent: DatasetName,
    request: zfs_ioc_t,
    cmd: ZfsCmd,
}

impl Entries {
    /// The filesystems and volumes right below `parent`.
    pub(super) fn datasets(
        device: &Device,
        parent: &DatasetName,
        properties: bool,
    ) -> Result<Entries, Error> {
        let request = zfs_ioc_t::ZFS_IOC_DATASET_LIST_NEXT;
        Entries::new(device, parent, request, properties)
    }

    /// The snapshots of `parent`, of which the kernel passes over those that
    /// are not in `range`.
    pub(super) fn snapshots(
        device: &Device,
        parent: &DatasetName,
        properties: bool,
        range: Option<&NvList>,
    ) -> Result<Entries, Error> {
        let request = zfs_ioc_t::ZFS_IOC_SNAPSHOT_LIST_NEXT;
        let mut entries = Entries::new(device, parent, request, properties)?;
        // OpenZFS 2.1 gives names alone in simple mode. Without it, and
        // without room for properties, it gives what others do in that mode.
        let simple = !properties && device.version() > Version::OLDEST;
        entries.cmd.set_simple(simple);
        if let Some(range) = range {
            let range = packed(range).map_err(|error| list_error(error, parent.as_str()))?;
            entries.cmd.set_source(range);
        }
        Ok(entries)
    }

    fn new(
        device: &Device,
        parent: &DatasetName,
        request: zfs_ioc_t,
        properties: bool,
    ) -> Result<Entries, Error> {
        let mut cmd =
            command(parent.as_str()).map_err(|error| list_error(error, parent.as_str()))?;
        if properties {
            cmd.want_answer(ANSWER);
        }
        Ok(Entries {
            device: device.clone(),
            parent: parent.clone(),
            request,
            cmd,
        })
    }

    pub(super) fn parent(&self) -> &DatasetName {
        &self.parent
    }

    /// Where the listing stands: 0 at its beginning, then behind an entry.
    pub(super) fn place(&self) -> u64 {
        self.cmd.cookie()
    }

    /// Has it go on from there.
    pub(super) fn set_place(&mut self, place: u64) {
        self.cmd.set_cookie(place);
    }

    /// The next one's answer; none at the end, which is also where the parent
    /// is not there: see [`Entries::confirm`].
    pub(super) fn next(&mut self) -> Result<Option<&ZfsCmd>, Error> {
        let parent = self.parent.as_str();
        match self.device.next(self.request, parent, &mut self.cmd) {
            Ok(Next::Entry) => Ok(Some(&self.cmd)),
            Ok(Next::End) => Ok(None),
            Err(error) => Err(list_error(error, parent)),
        }
    }

    /// An error where the parent is not there (any more).
    pub(super) fn confirm(&self) -> Result<(), Error> {
        let parent = self.parent.as_str();
        self.device
            .stats(parent, false)
            .map(drop)
            .map_err(|error| list_error(error, parent))
    }
}
