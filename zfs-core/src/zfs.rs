//! The handle.

use crate::error::{Errno, Error, Operation};
use crate::ffi::ioctl::Device;
use crate::ffi::{CallError, Lzc};
use crate::name::{BookmarkName, DatasetName, SnapshotName};
use crate::version::Version;

/// ZFS on this machine.
///
/// A handle is cheap, can be cloned, and may be used from many threads at
/// once. What it can do is spread over the modules of this crate by zfs(8)'s
/// words; each call is complete when it returns, and none of them mounts or
/// unmounts anything unless it says so.
///
/// ```no_run
/// use zfs_core::{DatasetName, Zfs};
///
/// let zfs = Zfs::open()?;
/// let home: DatasetName = "tank/home".parse()?;
/// if zfs.exists(&home)? {
///     zfs.snapshot([&home.with_snapshot("monday")?])?;
/// }
/// # Ok::<(), zfs_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Zfs {
    lzc: Option<Lzc>,
    pub(crate) device: Device,
}

impl Zfs {
    /// Finds libzfs_core and opens /dev/zfs.
    ///
    /// The library is loaded at the first call and stays for the life of the
    /// process; a call that failed can be repeated, after the kernel module
    /// was loaded for instance.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`], which says what to install or to load.
    pub fn open() -> Result<Zfs, Error> {
        Ok(Zfs {
            lzc: Some(Lzc::open()?),
            device: Device::open()?,
        })
    }

    /// As [`Zfs::open`], for programs that mostly list: libzfs_core, and the
    /// megabyte of libraries that it brings with it, is loaded by the first
    /// call that needs it, whose error it is where that fails. Listing
    /// datasets and snapshots and reading their properties needs it not.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] where /dev/zfs cannot be opened.
    pub fn open_to_list() -> Result<Zfs, Error> {
        Ok(Zfs {
            lzc: None,
            device: Device::open()?,
        })
    }

    /// libzfs_core, which is loaded once in a process.
    pub(crate) fn lzc(&self) -> Result<Lzc, Error> {
        self.lzc.map_or_else(Lzc::open, Ok)
    }

    /// The version of the kernel module, on which what it can do depends.
    pub fn version(&self) -> Version {
        self.device.version()
    }

    /// The version of libzfs_core that was loaded: the newest one whose
    /// functions it has all.
    ///
    /// The library does not tell its version, and 2.4 added no function: its
    /// library counts as one of 2.3 here. What library or kernel lacks is
    /// [`Error::Unsupported`], which names the release that has it.
    ///
    /// # Errors
    ///
    /// The library was not needed so far, and cannot be loaded.
    pub fn library_version(&self) -> Result<Version, Error> {
        Ok(self.lzc()?.version())
    }

    /// An error where the kernel module is older than `since`.
    pub(crate) fn needs_kernel(
        &self,
        what: &'static str,
        since: &'static str,
    ) -> Result<(), Error> {
        match since.parse::<Version>() {
            Ok(version) if self.version() < version => Err(Error::Unsupported {
                what: what.to_owned(),
                since,
            }),
            _ => Ok(()),
        }
    }

    /// Whether a dataset, snapshot or bookmark of that name exists.
    ///
    /// # Errors
    ///
    /// What kept ZFS from finding out: the pool is suspended, for instance.
    pub fn exists<N: Name>(&self, name: &N) -> Result<bool, Error> {
        let on = |error: CallError| error.on(Operation::List, name.as_ref());
        if !N::IS_BOOKMARK {
            if self.lzc()?.exists(name.as_ref()).map_err(on)? {
                return Ok(true);
            }
            // That it could not find out is a no as well to libzfs_core.
            return match self.device.stats(name.as_ref(), false) {
                Ok(_) => Ok(true),
                Err(CallError::Zfs(Errno::ENOENT)) => Ok(false),
                Err(error) => Err(on(error)),
            };
        }
        match self
            .lzc()?
            .get_bookmark_properties(name.as_ref())
            .map_err(on)
        {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// What can exist on a pool: [`DatasetName`], [`SnapshotName`],
/// [`BookmarkName`].
pub trait Name: AsRef<str> + sealed::Sealed {
    #[doc(hidden)]
    const IS_BOOKMARK: bool;
}

impl Name for DatasetName {
    const IS_BOOKMARK: bool = false;
}

impl Name for SnapshotName {
    const IS_BOOKMARK: bool = false;
}

impl Name for BookmarkName {
    const IS_BOOKMARK: bool = true;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::DatasetName {}
    impl Sealed for super::SnapshotName {}
    impl Sealed for super::BookmarkName {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_zfs_the_error_says_what_to_install_and_can_be_repeated() {
        for _ in 0..2 {
            match Zfs::open() {
                // This machine has it.
                Ok(_) => assert!(std::path::Path::new("/dev/zfs").exists()),
                Err(error) => {
                    assert!(error.is_unavailable(), "{error}");
                    let text = error.to_string();
                    assert!(
                        text.contains("install") || text.contains("/dev/zfs"),
                        "{text}"
                    );
                }
            }
        }
    }
}
