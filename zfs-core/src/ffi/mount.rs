//! mount(2) and umount2(2), which neither std nor libzfs_core has.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

bitflags::bitflags! {
    /// `MS_…` of mount(2), as far as ZFS is mounted with them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub(crate) struct MountFlags: libc::c_ulong {
        const RDONLY = libc::MS_RDONLY;
        const NOSUID = libc::MS_NOSUID;
        const NODEV = libc::MS_NODEV;
        const NOEXEC = libc::MS_NOEXEC;
        const REMOUNT = libc::MS_REMOUNT;
        const MANDLOCK = libc::MS_MANDLOCK;
        const NOATIME = libc::MS_NOATIME;
        const RELATIME = libc::MS_RELATIME;
        const STRICTATIME = libc::MS_STRICTATIME;
    }
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// Mounts the dataset or snapshot of that name on a folder.
pub(crate) fn mount(name: &str, on: &Path, flags: MountFlags, data: &str) -> io::Result<()> {
    let name = c_string(OsStr::new(name))?;
    let on = c_string(on.as_os_str())?;
    let data = c_string(OsStr::new(data))?;
    // SAFETY: four C strings that outlive the call, the last as the data
    // that ZFS expects: options as text.
    let result = unsafe {
        libc::mount(
            name.as_ptr(),
            on.as_ptr(),
            c"zfs".as_ptr(),
            flags.bits(),
            data.as_ptr().cast(),
        )
    };
    outcome(result)
}

/// Unmounts what is mounted topmost on a folder, and no other one that a
/// symbolic link leads to.
pub(crate) fn unmount(folder: &Path, force: bool, lazy: bool) -> io::Result<()> {
    let folder = c_string(folder.as_os_str())?;
    let mut flags = libc::UMOUNT_NOFOLLOW;
    if force {
        flags |= libc::MNT_FORCE;
    }
    if lazy {
        flags |= libc::MNT_DETACH;
    }
    // SAFETY: a C string that outlives the call.
    outcome(unsafe { libc::umount2(folder.as_ptr(), flags) })
}

fn outcome(result: libc::c_int) -> io::Result<()> {
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
