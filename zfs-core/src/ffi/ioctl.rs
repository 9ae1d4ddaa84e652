//! Requests to /dev/zfs, for what libzfs_core cannot do: listing, properties,
//! progress, pools.
//!
//! No `unsafe` here: `zfs_sys` owns the buffers and checks the addresses.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;

use zfs_stream::nvlist::{ByteOrder, Encoding, NvList, Value};
use zfs_sys::{DevZfs, ZfsCmd, dmu_objset_stats, zfs_ioc_t, zfs_stat};

use super::{Answer, CallError, undisturbed, uninterrupted};
use crate::error::{Errno, Error};
use crate::version::Version;

/// Room for a dataset's properties at first: what most of them need. The
/// buffer grows where one needs more, and stays grown.
pub(crate) const ANSWER: usize = 16 << 10;

/// /dev/zfs, and what is known of the module behind it.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    file: Arc<DevZfs>,
    version: Version,
}

/// One entry of a listing, or its end.
pub(crate) enum Next {
    Entry,
    /// There are no more; or the dataset is not there (any more), which the
    /// kernel says with the same number.
    End,
}

/// What the kernel says of an object in a filesystem.
pub(crate) struct ObjectStats {
    /// From the filesystem's root.
    pub(crate) path: Result<Vec<u8>, Errno>,
    pub(crate) stat: zfs_stat,
}

impl Device {
    pub(crate) fn open() -> Result<Device, Error> {
        Ok(Device {
            file: Arc::new(DevZfs::open()?),
            version: module_version(Path::new("/sys/module/zfs/version")),
        })
    }

    /// The kernel module's version.
    pub(crate) fn version(&self) -> Version {
        self.version
    }

    pub(crate) fn request(&self, request: zfs_ioc_t, cmd: &mut ZfsCmd) -> Result<(), CallError> {
        self.file
            .request(request, cmd)
            .map_err(|errno| CallError::Zfs(Errno(errno)))
    }

    /// As [`Device::request`], again where a signal came in between. Only for
    /// what reads: the kernel gives up between two entries, with the place
    /// kept in the cookie.
    fn read(&self, request: zfs_ioc_t, cmd: &mut ZfsCmd) -> Result<(), Errno> {
        let mut result = self.file.request(request, cmd);
        while result == Err(libc::EINTR) {
            result = uninterrupted(|| self.file.request(request, cmd));
        }
        result.map_err(Errno)
    }

    /// Asks for the next entry below `parent`.
    pub(crate) fn next(
        &self,
        request: zfs_ioc_t,
        parent: &str,
        cmd: &mut ZfsCmd,
    ) -> Result<Next, CallError> {
        // The kernel has put the last entry's name in its place.
        set_name(cmd, parent)?;
        // 2.1 leaves the record as it is in simple mode: what stands in it
        // would be the entry's before.
        cmd.clear_stats();
        match self.read(request, cmd) {
            Ok(()) => Ok(Next::Entry),
            Err(Errno::ESRCH | Errno::ENOENT) => Ok(Next::End),
            Err(errno) => Err(CallError::Zfs(errno)),
        }
    }

    /// What the kernel keeps of a dataset or snapshot: its record, and with
    /// `properties` those.
    pub(crate) fn stats(&self, name: &str, properties: bool) -> Result<ZfsCmd, CallError> {
        let mut cmd = command(name)?;
        if properties {
            cmd.want_answer(ANSWER);
        }
        self.read(zfs_ioc_t::ZFS_IOC_OBJSET_STATS, &mut cmd)
            .map_err(CallError::Zfs)?;
        Ok(cmd)
    }

    /// The properties that a filesystem keeps in itself: version,
    /// normalization, utf8only, casesensitivity.
    pub(crate) fn zpl_properties(&self, name: &str) -> Result<NvList, CallError> {
        let mut cmd = command(name)?;
        cmd.want_answer(ANSWER);
        self.read(zfs_ioc_t::ZFS_IOC_OBJSET_ZPLPROPS, &mut cmd)
            .map_err(CallError::Zfs)?;
        answer(&cmd)
    }

    /// The values that came with a stream, whether in force or not.
    pub(crate) fn received_properties(&self, name: &str) -> Result<NvList, CallError> {
        let mut cmd = command(name)?;
        cmd.want_answer(ANSWER);
        self.read(zfs_ioc_t::ZFS_IOC_OBJSET_RECVD_PROPS, &mut cmd)
            .map_err(CallError::Zfs)?;
        answer(&cmd)
    }

    /// Sets properties. Answers which of them could not be set, each with its
    /// number; the others are set.
    pub(crate) fn set_properties(
        &self,
        name: &str,
        properties: &NvList,
    ) -> Result<(), (CallError, NvList)> {
        let alone = |error| (error, NvList::new());
        let mut cmd = command(name).map_err(alone)?;
        let packed = packed(properties).map_err(alone)?;
        // The kernel does not say so where the list does not fit: room for
        // more names than can be sent.
        cmd.want_answer(ANSWER + 16 * packed.len());
        cmd.set_source(packed);
        self.request(zfs_ioc_t::ZFS_IOC_SET_PROP, &mut cmd)
            .map_err(|error| (error, answer(&cmd).unwrap_or_default()))
    }

    /// Gives a property back to its parent's value, or with `received` to the
    /// value that came with a stream.
    pub(crate) fn inherit(
        &self,
        name: &str,
        property: &str,
        received: bool,
    ) -> Result<(), CallError> {
        let mut cmd = command(name)?;
        cmd.set_value(property).map_err(errno)?;
        cmd.set_cookie(u64::from(received));
        self.request(zfs_ioc_t::ZFS_IOC_INHERIT_PROP, &mut cmd)
    }

    /// Renames a snapshot, and those of its name on all datasets below.
    pub(crate) fn rename_recursively(&self, from: &str, to: &str) -> Result<(), CallError> {
        const RECURSIVE: u64 = 1;
        let mut cmd = command(from)?;
        cmd.set_value(to).map_err(errno)?;
        cmd.set_cookie(RECURSIVE);
        self.request(zfs_ioc_t::ZFS_IOC_RENAME, &mut cmd)
    }

    /// Bytes written and blocks looked at by the send of `snapshot` that this
    /// process runs into the descriptor of that number.
    pub(crate) fn send_progress(&self, snapshot: &str, fd: u64) -> Result<(u64, u64), CallError> {
        let mut cmd = command(snapshot)?;
        cmd.set_cookie(fd);
        self.request(zfs_ioc_t::ZFS_IOC_SEND_PROGRESS, &mut cmd)?;
        Ok((cmd.cookie(), cmd.objset_type()))
    }

    /// A pool's GUID, and when it was imported, in seconds and nanoseconds;
    /// none where the module does not tell.
    pub(crate) fn pool_identity(&self, pool: &str) -> Result<Option<(u64, [u64; 2])>, CallError> {
        let mut cmd = command(pool)?;
        cmd.want_answer(ANSWER);
        self.read(zfs_ioc_t::ZFS_IOC_POOL_STATS, &mut cmd)
            .map_err(CallError::Zfs)?;
        let config = answer(&cmd)?;
        let imported = match config.get("initial_load_time") {
            Some(Value::Uint64Array(numbers)) => numbers.as_slice().try_into().ok(),
            _ => None,
        };
        Ok(config.get_u64("pool_guid").zip(imported))
    }

    /// A request of the newer kind: lists go in and out. The list that came
    /// out may say more about a number that came back.
    pub(crate) fn call(
        &self,
        request: zfs_ioc_t,
        name: &str,
        arguments: &NvList,
    ) -> Result<Answer, CallError> {
        let mut cmd = command(name)?;
        cmd.set_source(packed(arguments)?);
        cmd.want_answer(ANSWER);
        let errno = match self.request(request, &mut cmd) {
            Ok(()) => None,
            Err(CallError::Zfs(errno)) => Some(errno),
            Err(error) => return Err(error),
        };
        Ok(Answer {
            errno,
            list: answer(&cmd)?,
        })
    }

    /// The state of a pool, its devices and what is going on there.
    pub(crate) fn pool_stats(&self, pool: &str) -> Result<NvList, CallError> {
        let mut cmd = command(pool)?;
        cmd.want_answer(4 * ANSWER);
        self.read(zfs_ioc_t::ZFS_IOC_POOL_STATS, &mut cmd)
            .map_err(CallError::Zfs)?;
        answer(&cmd)
    }

    /// The properties of a pool.
    pub(crate) fn pool_properties(&self, pool: &str) -> Result<NvList, CallError> {
        let mut cmd = command(pool)?;
        cmd.want_answer(ANSWER);
        match self.read(zfs_ioc_t::ZFS_IOC_POOL_GET_PROPS, &mut cmd) {
            Ok(()) => answer(&cmd),
            // 2.1 says so whatever is wrong; its state is refused in earnest.
            Err(Errno::EFAULT) => {
                self.pool_stats(pool)?;
                Err(CallError::Zfs(Errno::EFAULT))
            }
            Err(errno) => Err(CallError::Zfs(errno)),
        }
    }

    /// Bytes written to `name` since a snapshot or bookmark.
    pub(crate) fn space_written(&self, name: &str, since: &str) -> Result<u64, CallError> {
        let mut cmd = command(name)?;
        cmd.set_value(since).map_err(errno)?;
        self.read(zfs_ioc_t::ZFS_IOC_SPACE_WRITTEN, &mut cmd)
            .map_err(CallError::Zfs)?;
        Ok(cmd.cookie())
    }

    /// What a user, group or project uses or may use; `what` is one of
    /// zfs_userquota_prop_t.
    pub(crate) fn space_of(&self, name: &str, what: u64, id: u64) -> Result<u64, CallError> {
        let mut cmd = command(name)?;
        cmd.set_objset_type(what);
        cmd.set_guid(id);
        self.read(zfs_ioc_t::ZFS_IOC_USERSPACE_ONE, &mut cmd)
            .map_err(CallError::Zfs)?;
        Ok(cmd.cookie())
    }

    /// Starts, pauses or stops a scrub as releases before 2.2 do it.
    pub(crate) fn pool_scan(&self, pool: &str, kind: u64, action: u32) -> Result<(), CallError> {
        let mut cmd = command(pool)?;
        cmd.set_cookie(kind);
        cmd.set_flags(action);
        self.request(zfs_ioc_t::ZFS_IOC_POOL_SCAN, &mut cmd)
    }

    /// The errors that a pool has recorded: dataset and object of each.
    pub(crate) fn error_log(&self, pool: &str) -> Result<Vec<(u64, u64)>, CallError> {
        let entries = self.file.error_log(pool).map_err(errno)?;
        Ok(entries
            .into_iter()
            .map(|[dataset, object, _level, _block]| (dataset, object))
            .collect())
    }

    /// The name of the dataset of that number.
    pub(crate) fn dataset_name(&self, pool: &str, number: u64) -> Result<Vec<u8>, CallError> {
        let mut cmd = command(pool)?;
        cmd.set_obj(number);
        self.read(zfs_ioc_t::ZFS_IOC_DSOBJ_TO_DSNAME, &mut cmd)
            .map_err(CallError::Zfs)?;
        Ok(cmd.value().to_vec())
    }

    /// The path of an object in a filesystem or a snapshot of one, from its
    /// root.
    pub(crate) fn object_path(&self, name: &str, object: u64) -> Result<Vec<u8>, CallError> {
        let mut cmd = command(name)?;
        cmd.set_obj(object);
        self.read(zfs_ioc_t::ZFS_IOC_OBJ_TO_PATH, &mut cmd)
            .map_err(CallError::Zfs)?;
        Ok(cmd.value().to_vec())
    }

    /// An object's path, and what the filesystem keeps of it, which the kernel
    /// fills in also where it finds no path.
    pub(crate) fn object_stats(&self, name: &str, object: u64) -> Result<ObjectStats, CallError> {
        let mut cmd = command(name)?;
        cmd.set_obj(object);
        let result = self.read(zfs_ioc_t::ZFS_IOC_OBJ_TO_STATS, &mut cmd);
        Ok(ObjectStats {
            path: result.map(|()| cmd.value().to_vec()),
            stat: *cmd.stat(),
        })
    }

    /// The next object in use after that one.
    pub(crate) fn next_object(&self, name: &str, after: u64) -> Result<Option<u64>, CallError> {
        let mut cmd = command(name)?;
        cmd.set_obj(after);
        match self.read(zfs_ioc_t::ZFS_IOC_NEXT_OBJ, &mut cmd) {
            Ok(()) => Ok(Some(cmd.obj())),
            Err(Errno::ESRCH) => Ok(None),
            Err(errno) => Err(CallError::Zfs(errno)),
        }
    }

    /// Writes what changed from snapshot to snapshot into a pipe, as ranges
    /// of objects; returns once all is written.
    pub(crate) fn diff(&self, from: &str, to: &str, pipe: BorrowedFd<'_>) -> Result<(), CallError> {
        undisturbed(|| self.file.diff(from, to, pipe)).map_err(errno)
    }

    /// Takes a snapshot that goes when `until_closed` is closed, and answers
    /// the part of its name after the @.
    pub(crate) fn temporary_snapshot(
        &self,
        dataset: &str,
        prefix: &str,
        until_closed: &DevZfs,
    ) -> Result<Vec<u8>, CallError> {
        let mut cmd = command(dataset)?;
        cmd.set_value(prefix).map_err(errno)?;
        cmd.set_cleanup(until_closed.as_fd());
        self.request(zfs_ioc_t::ZFS_IOC_TMP_SNAPSHOT, &mut cmd)?;
        Ok(cmd.value().to_vec())
    }

    /// Puts `place` behind the event of that number, or with 0 before all of
    /// them. False where there is none of that number.
    pub(crate) fn seek_event(&self, place: &DevZfs, event: u64) -> Result<bool, CallError> {
        let mut cmd = command("")?;
        cmd.set_guid(event);
        cmd.set_cleanup(place.as_fd());
        match self.read(zfs_ioc_t::ZFS_IOC_EVENTS_SEEK, &mut cmd) {
            Ok(()) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(CallError::Zfs(errno)),
        }
    }

    /// The next event, if there is one already.
    pub(crate) fn next_event(&self, place: &DevZfs) -> Result<Option<NvList>, CallError> {
        /// Not to wait for one.
        const NONBLOCK: u64 = 1;
        let mut cmd = command("")?;
        cmd.set_guid(NONBLOCK);
        cmd.set_cleanup(place.as_fd());
        cmd.want_answer(ANSWER);
        match self.read(zfs_ioc_t::ZFS_IOC_EVENTS_NEXT, &mut cmd) {
            Ok(()) => answer(&cmd).map(Some),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(CallError::Zfs(errno)),
        }
    }

    /// What is delegated on a dataset and those above it.
    pub(crate) fn delegations(&self, dataset: &str) -> Result<NvList, CallError> {
        let mut cmd = command(dataset)?;
        cmd.want_answer(ANSWER);
        self.read(zfs_ioc_t::ZFS_IOC_GET_FSACL, &mut cmd)
            .map_err(CallError::Zfs)?;
        answer(&cmd)
    }

    /// The folder that a pool's mountpoints lie below, where it was imported
    /// with one.
    pub(crate) fn altroot(&self, pool: &str) -> Option<Arc<str>> {
        let properties = self.pool_properties(pool).ok()?;
        let altroot = properties.get_nvlist("altroot")?.get_str("value")?;
        (altroot.starts_with('/') && altroot != "/").then(|| altroot.into())
    }

    /// The configuration of every imported pool, by name.
    pub(crate) fn pool_configs(&self) -> Result<NvList, CallError> {
        let mut cmd = command("")?;
        cmd.want_answer(ANSWER);
        self.read(zfs_ioc_t::ZFS_IOC_POOL_CONFIGS, &mut cmd)
            .map_err(CallError::Zfs)?;
        answer(&cmd)
    }
}

/// The module's version. Where it cannot be read, the oldest: what that one
/// answers all of them do, and an older one leaves out of some answers what a
/// newer one has in them.
fn module_version(file: &Path) -> Version {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.parse().unwrap_or(Version::OLDEST)
}

/// A request about `name`, without an answer asked for.
pub(crate) fn command(name: &str) -> Result<ZfsCmd, CallError> {
    ZfsCmd::new(name).map_err(errno)
}

fn set_name(cmd: &mut ZfsCmd, name: &str) -> Result<(), CallError> {
    cmd.set_name(name).map_err(errno)
}

fn errno(number: i32) -> CallError {
    CallError::Zfs(Errno(number))
}

/// A list as this machine's kernel reads it.
pub(crate) fn packed(list: &NvList) -> Result<Vec<u8>, CallError> {
    list.encode(Encoding::Native, ByteOrder::NATIVE)
        .map_err(CallError::Request)
}

/// The list that came with the answer; none is an empty one.
pub(crate) fn answer(cmd: &ZfsCmd) -> Result<NvList, CallError> {
    match cmd.answer() {
        Some(bytes) => NvList::decode(bytes).map_err(CallError::Answer),
        None => Ok(NvList::new()),
    }
}

/// The origin in a dataset's record, where it has one.
pub(crate) fn origin(stats: &dmu_objset_stats) -> Option<String> {
    let bytes: Vec<u8> = stats
        .dds_origin
        .iter()
        .map(|letter| letter.to_ne_bytes()[0])
        .take_while(|letter| *letter != 0)
        .collect();
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_cannot_be_read_is_the_oldest() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(module_version(file.path()), Version::OLDEST);
        fs::write(file.path(), "2.3.9-0+deb13u1\n").unwrap();
        assert_eq!(module_version(file.path()), Version::new(2, 3));
        assert_eq!(module_version(Path::new("/no/such")), Version::OLDEST);
    }
}
