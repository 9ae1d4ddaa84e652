//! Why ZFS cannot be reached from this process.

use std::error::Error;
use std::fmt;
use std::io;

/// What brings libzfs_core, libnvpair and the kernel module with it.
const INSTALL: &str = "on Debian, Ubuntu and Proxmox VE `apt install zfsutils-linux` (the libraries alone: \
     libzfs7linux, libzfs6linux or libzfs4linux), on Fedora and RHEL `dnf install zfs`, on Arch zfs-utils";

/// libzfs_core or libnvpair could not be loaded and made ready.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoadError {
    /// A shared library is not there, or cannot be loaded.
    Library {
        /// The file name that was asked for, as `libzfs_core.so.3`.
        library: &'static str,
        /// What the dynamic linker said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A library is there, but lacks a function that OpenZFS 2.1 has.
    Symbol {
        /// The library's file name.
        library: &'static str,
        /// The function that is missing.
        symbol: &'static str,
        /// What the dynamic linker said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// libzfs_core was loaded, but could not open /dev/zfs.
    Device(DeviceError),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Library { library, .. } => {
                write!(
                    f,
                    "cannot load {library}: OpenZFS 2.1 or later must be installed: {INSTALL}"
                )
            }
            LoadError::Symbol {
                library, symbol, ..
            } => {
                write!(
                    f,
                    "{library} has no function {symbol}: it is not OpenZFS 2.1 or later: {INSTALL}"
                )
            }
            LoadError::Device(error) => error.fmt(f),
        }
    }
}

impl Error for LoadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            LoadError::Library { source, .. } | LoadError::Symbol { source, .. } => {
                Some(source.as_ref())
            }
            LoadError::Device(error) => error.source(),
        }
    }
}

impl From<DeviceError> for LoadError {
    fn from(error: DeviceError) -> Self {
        LoadError::Device(error)
    }
}

/// /dev/zfs, the kernel module's door, could not be opened.
#[derive(Debug)]
pub struct DeviceError {
    error: io::Error,
}

impl DeviceError {
    pub(crate) fn from_errno(errno: i32) -> Self {
        DeviceError {
            error: io::Error::from_raw_os_error(errno),
        }
    }

    /// The kernel's error number.
    pub fn errno(&self) -> i32 {
        self.error.raw_os_error().unwrap_or(libc::EIO)
    }

    /// The zfs kernel module is not loaded (or not visible in this container).
    pub fn is_module_missing(&self) -> bool {
        matches!(self.errno(), libc::ENOENT | libc::ENXIO | libc::ENODEV)
    }

    /// The device is there, but this process may not open it.
    pub fn is_permission_denied(&self) -> bool {
        matches!(self.errno(), libc::EACCES | libc::EPERM)
    }
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot open /dev/zfs: ")?;
        if self.is_module_missing() {
            f.write_str(
                "the zfs kernel module is not loaded (`modprobe zfs`; in a container the host's device must be \
                 passed in)",
            )
        } else if self.is_permission_denied() {
            f.write_str("this user may not (run as root, or see the device's mode)")
        } else {
            self.error.fmt(f)
        }
    }
}

impl Error for DeviceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_module_says_how_to_load_it() {
        let error = DeviceError::from_errno(libc::ENOENT);
        assert!(error.is_module_missing());
        assert!(error.to_string().contains("modprobe zfs"), "{error}");
    }

    #[test]
    fn a_forbidden_device_says_so() {
        let error = DeviceError::from_errno(libc::EACCES);
        assert!(error.is_permission_denied());
        assert!(!error.is_module_missing());
        assert!(error.to_string().contains("run as root"), "{error}");
    }

    #[test]
    fn any_other_refusal_is_the_kernel_s_own_word() {
        let error = DeviceError::from_errno(libc::EMFILE);
        assert_eq!(error.errno(), libc::EMFILE);
        assert!(error.to_string().contains("open files"), "{error}");
    }
}
