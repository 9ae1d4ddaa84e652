//! /dev/zfs, where the kernel module takes its requests.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::bindings::cmd::zfs_cmd;
use crate::bindings::numbers::zfs_ioc_t;
use crate::cmd::ZfsCmd;
use crate::error::DeviceError;
use crate::load::opening;

/// What [`DevZfs::request`] does not make. ERROR_LOG takes the answer's size
/// for a number of entries, and writes far behind its end. The others read
/// from a descriptor, write into one or wait for its end, and all that they
/// have of it is a number in the command or its list, which may be another
/// file's by then.
const NOT_FOR_EVERYBODY: [zfs_ioc_t; 7] = [
    zfs_ioc_t::ZFS_IOC_ERROR_LOG,
    zfs_ioc_t::ZFS_IOC_SEND,
    zfs_ioc_t::ZFS_IOC_SEND_NEW,
    zfs_ioc_t::ZFS_IOC_RECV,
    zfs_ioc_t::ZFS_IOC_RECV_NEW,
    zfs_ioc_t::ZFS_IOC_DIFF,
    zfs_ioc_t::ZFS_IOC_HOLD,
];

/// Whether a request reads and writes nothing but the buffers of its command:
/// of those that later releases have nobody knows.
fn is_contained(request: zfs_ioc_t) -> bool {
    let [first, last] = [zfs_ioc_t::ZFS_IOC_FIRST, zfs_ioc_t::ZFS_IOC_DDT_PRUNE];
    let [platform, end] = [zfs_ioc_t::ZFS_IOC_PLATFORM, zfs_ioc_t::ZFS_IOC_LAST];
    let is_known =
        (first.0..=last.0).contains(&request.0) || (platform.0 + 1..end.0).contains(&request.0);
    is_known && !NOT_FOR_EVERYBODY.contains(&request)
}

/// The device's path.
pub const DEV_ZFS: &str = "/dev/zfs";

/// An open /dev/zfs.
///
/// The kernel keeps state per open file: a hold made with this descriptor as
/// its cleanup descriptor is released when it is closed, and pool events are
/// read from a place of its own. Requests themselves are independent, and may
/// be made from several threads at once.
#[derive(Debug)]
pub struct DevZfs {
    fd: OwnedFd,
}

impl DevZfs {
    /// Opens /dev/zfs. On most systems every user may; what each request
    /// needs is checked request by request.
    ///
    /// # Errors
    ///
    /// [`DeviceError`] tells a module that is not loaded from a device that
    /// may not be opened.
    pub fn open() -> Result<DevZfs, DeviceError> {
        DevZfs::open_at(Path::new(DEV_ZFS))
    }

    fn open_at(path: &Path) -> Result<DevZfs, DeviceError> {
        let _opening = opening();
        OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_CLOEXEC)
            .open(path)
            .map(|file| DevZfs { fd: file.into() })
            .map_err(|error| DeviceError::from_errno(error.raw_os_error().unwrap_or(libc::EIO)))
    }

    /// Makes one request and returns what the kernel left in `cmd`.
    ///
    /// Where the answer did not fit, the buffer grows to what the kernel asks
    /// for and the request is made again **as it was**: the kernel has moved
    /// zc_cookie on and written into zc_name by then, and a request with
    /// those would skip an entry.
    ///
    /// # Errors
    ///
    /// The kernel's errno, ZFS' own numbers (1024 and up) among them; `EINVAL`
    /// for what is not asked in this way: ERROR_LOG ([`DevZfs::error_log`]),
    /// DIFF ([`DevZfs::diff`]), SEND, RECV and HOLD, which take the bare number
    /// of a descriptor, and requests that this crate does not know. For those
    /// there is [`DevZfs::ioctl`].
    pub fn request(&self, request: zfs_ioc_t, cmd: &mut ZfsCmd) -> Result<(), i32> {
        if !is_contained(request) {
            return Err(libc::EINVAL);
        }
        cmd.request(|raw| {
            // SAFETY: every address in a ZfsCmd is that of a buffer it owns,
            // every size is that buffer's, and this request takes both so.
            unsafe { self.ioctl(request, raw) }
        })
    }

    /// Writes what changed from one snapshot to another into `pipe`, as ranges
    /// of objects (dmu_diff_record_t); returns once all is written.
    ///
    /// # Errors
    ///
    /// The kernel's errno, or that of [`ZfsCmd::new`].
    pub fn diff(&self, from: &str, to: &str, pipe: BorrowedFd<'_>) -> Result<(), i32> {
        let mut cmd = ZfsCmd::new(to)?;
        cmd.set_value(from)?;
        cmd.set_cookie(u64::try_from(pipe.as_raw_fd()).map_err(|_| libc::EBADF)?);
        cmd.request(|raw| {
            // SAFETY: as in `request`; the descriptor is borrowed for the call.
            unsafe { self.ioctl(zfs_ioc_t::ZFS_IOC_DIFF, raw) }
        })
    }

    /// The errors that a pool has recorded: each is the number of a dataset,
    /// of an object in it, of a level and of a block (zbookmark_phys_t).
    ///
    /// # Errors
    ///
    /// The kernel's errno. Only root may ask.
    pub fn error_log(&self, pool: &str) -> Result<Vec<[u64; 4]>, i32> {
        ZfsCmd::new(pool)?.entries(|raw| {
            // SAFETY: `entries` points the answer at a list of the entries'
            // size and number, which is what this request fills; the other
            // addresses are those of buffers that the command owns.
            unsafe { self.ioctl(zfs_ioc_t::ZFS_IOC_ERROR_LOG, raw) }
        })
    }

    /// Makes one request with a command of the caller's own making.
    ///
    /// # Safety
    ///
    /// Every address in `cmd` (zc_nvlist_src, zc_nvlist_dst, zc_nvlist_conf,
    /// zc_history, those in zc_share) is 0 or that of memory of the size
    /// beside it, in the unit of the request, which the kernel may read or
    /// write. Every number of a descriptor in it or in its list is that of a
    /// file that the caller may use so.
    ///
    /// # Errors
    ///
    /// The kernel's errno, ZFS' own numbers (1024 and up) among them.
    pub unsafe fn ioctl(&self, request: zfs_ioc_t, cmd: &mut zfs_cmd) -> Result<(), i32> {
        // SAFETY: zfs_cmd has the layout the kernel copies in and out (see the
        // assertions beside it); the addresses in it are the caller's promise.
        let result = unsafe {
            libc::ioctl(
                self.fd.as_raw_fd(),
                libc::Ioctl::from(request.0),
                std::ptr::from_mut(cmd),
            )
        };
        if result == 0 {
            return Ok(());
        }
        Err(io::Error::last_os_error()
            .raw_os_error()
            .unwrap_or(libc::EIO))
    }
}

impl AsFd for DevZfs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_not_there_is_a_module_that_is_not_loaded() {
        let folder = std::env::temp_dir().join("there-is-no-such-folder/zfs");
        let error = DevZfs::open_at(&folder).unwrap_err();
        assert!(error.is_module_missing(), "{error:?}");
    }

    #[test]
    fn a_device_that_is_not_zfs_refuses_the_request() {
        let device = DevZfs::open_at(Path::new("/dev/null")).unwrap();
        let mut cmd = ZfsCmd::new("tank").unwrap();
        assert_eq!(
            device.request(zfs_ioc_t::ZFS_IOC_OBJSET_STATS, &mut cmd),
            Err(libc::ENOTTY)
        );
    }

    #[test]
    fn what_reaches_beyond_the_command_is_refused_before_the_kernel_sees_it() {
        let device = DevZfs::open_at(Path::new("/dev/null")).unwrap();
        let answer = |request| device.request(request, &mut ZfsCmd::new("tank").unwrap());
        for request in NOT_FOR_EVERYBODY {
            assert_eq!(answer(request), Err(libc::EINVAL), "{request:?}");
        }
        for unknown in [
            0,
            zfs_ioc_t::ZFS_IOC_DDT_PRUNE.0 + 1,
            zfs_ioc_t::ZFS_IOC_PLATFORM.0,
            zfs_ioc_t::ZFS_IOC_LAST.0,
        ] {
            assert_eq!(answer(zfs_ioc_t(unknown)), Err(libc::EINVAL), "{unknown}");
        }
        for known in [
            zfs_ioc_t::ZFS_IOC_POOL_CREATE,
            zfs_ioc_t::ZFS_IOC_DDT_PRUNE,
            zfs_ioc_t::ZFS_IOC_EVENTS_NEXT,
            zfs_ioc_t::ZFS_IOC_GET_BOOTENV,
        ] {
            assert_eq!(answer(known), Err(libc::ENOTTY), "{known:?}");
        }
        let pipe = device.as_fd();
        assert_eq!(device.diff("tank@a", "tank@b", pipe), Err(libc::ENOTTY));
    }

    #[test]
    fn the_descriptor_does_not_survive_exec() {
        let device = DevZfs::open_at(Path::new("/dev/null")).unwrap();
        // SAFETY: asks for the flags of a descriptor that is open.
        let flags = unsafe { libc::fcntl(device.as_fd().as_raw_fd(), libc::F_GETFD) };
        assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
    }
}
