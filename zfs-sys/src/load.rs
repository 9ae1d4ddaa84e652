//! libzfs_core and libnvpair, found when they are needed.

use std::fs;
use std::os::fd::RawFd;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use libloading::Library;
use libloading::os::unix::{Library as UnixLibrary, RTLD_LOCAL, RTLD_NOW};

use crate::bindings::nvpair::NvPair;
use crate::bindings::v2_1::V2_1;
use crate::bindings::v2_2::V2_2;
use crate::bindings::v2_3::V2_3;
use crate::error::{DeviceError, LoadError};

/// libzfs_core's name, the same from OpenZFS 2.0 to 2.4.
pub const LIBZFS_CORE: &str = "libzfs_core.so.3";
/// libnvpair's name, the same from OpenZFS 2.0 to 2.4.
pub const LIBNVPAIR: &str = "libnvpair.so.3";

/// The functions of libzfs_core and libnvpair, by the release that brought
/// them.
#[derive(Debug, Clone, Copy)]
pub struct Lib {
    /// libzfs_core as of OpenZFS 2.1, always complete.
    pub core: V2_1,
    /// What OpenZFS 2.2 added to libzfs_core.
    pub v2_2: V2_2,
    /// What OpenZFS 2.3 added to libzfs_core.
    pub v2_3: V2_3,
    /// What of libnvpair it takes to hand nvlists over and back.
    pub nvpair: NvPair,
    device: Option<RawFd>,
}

static READY: Mutex<Option<&'static Lib>> = Mutex::new(None);

/// Held by whoever opens /dev/zfs, so that what is new while libzfs_core is
/// initialised is libzfs_core's.
pub(crate) fn opening() -> MutexGuard<'static, ()> {
    static OPENING: Mutex<()> = Mutex::new(());
    OPENING.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lib {
    /// Loads both libraries and initialises libzfs_core, once per process;
    /// every later call returns the same table. What failed is tried again by
    /// the next call, so that a long-running process survives the order in
    /// which it and the kernel module come up.
    ///
    /// libzfs_core is never finished: its functions read its file descriptor
    /// without a lock and abort the process where it is closed, so no moment
    /// is safe for that while another thread may call.
    ///
    /// # Errors
    ///
    /// [`LoadError`] says which library or function is missing and what to
    /// install, or why /dev/zfs cannot be opened.
    pub fn load() -> Result<&'static Lib, LoadError> {
        let mut ready = READY.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lib) = *ready {
            return Ok(lib);
        }
        let mut lib = Lib::find()?;
        let opening = opening();
        let before = descriptors_of(Path::new("/dev/zfs"));
        // SAFETY: takes nothing; the lock keeps it to one call at a time.
        let errno = unsafe { lib.core.libzfs_core_init() };
        let after = descriptors_of(Path::new("/dev/zfs"));
        drop(opening);
        match errno {
            0 => {
                lib.device = the_new_one(&before, &after);
                let lib: &'static Lib = Box::leak(Box::new(lib));
                *ready = Some(lib);
                Ok(lib)
            }
            errno => Err(DeviceError::from_errno(errno).into()),
        }
    }

    /// Loads both libraries from `folder` instead of where the dynamic linker
    /// would look, and initialises nothing: a function of libzfs_core that is
    /// called before `libzfs_core_init` succeeded aborts the process.
    ///
    /// # Errors
    ///
    /// As [`Lib::load`], but for /dev/zfs.
    pub fn load_from(folder: &Path) -> Result<Lib, LoadError> {
        Lib::open(Some(folder))
    }

    /// The number of the descriptor of /dev/zfs that libzfs_core has opened
    /// for all of its calls; none where that could not be found out, for want
    /// of /proc or because another library had initialised it before.
    pub fn device(&self) -> Option<RawFd> {
        self.device
    }

    #[cfg(not(feature = "linked"))]
    fn find() -> Result<Lib, LoadError> {
        Lib::open(None)
    }

    /// The 2.1 set is what the build linked; later functions are looked for
    /// in the running process, never decided by the build machine's version.
    #[cfg(feature = "linked")]
    #[allow(clippy::unnecessary_wraps)] // the other way of finding can fail
    fn find() -> Result<Lib, LoadError> {
        let process = Library::from(UnixLibrary::this());
        // SAFETY: the tables have libzfs_core's prototypes, and the process
        // is linked with it.
        let (v2_2, v2_3) = unsafe { (V2_2::load(&process), V2_3::load(&process)) };
        Ok(Lib {
            core: V2_1::linked(),
            v2_2,
            v2_3,
            nvpair: NvPair::linked(),
            device: None,
        })
    }

    fn open(folder: Option<&Path>) -> Result<Lib, LoadError> {
        // libzfs_core depends on libnvpair and would bring it along; asked for
        // by its own name it is found, or named in the error, all the same.
        let nvpair_library = open_library(folder, LIBNVPAIR)?;
        let core_library = open_library(folder, LIBZFS_CORE)?;
        // SAFETY: each table has the prototypes of the library that it is
        // looked up in; a test compares them with the installed headers.
        let lib = unsafe {
            Lib {
                nvpair: NvPair::load(&nvpair_library, LIBNVPAIR)?,
                core: V2_1::load(&core_library, LIBZFS_CORE)?,
                v2_2: V2_2::load(&core_library),
                v2_3: V2_3::load(&core_library),
                device: None,
            }
        };
        // The tables are Copy and hold bare pointers: what they point to must
        // stay for as long as the process lives.
        std::mem::forget((nvpair_library, core_library));
        Ok(lib)
    }
}

/// The descriptors of this process that are that file. Only their names are
/// looked at: to ask a file itself takes for ever where its server is gone.
fn descriptors_of(path: &Path) -> Vec<RawFd> {
    let Ok(files) = fs::read_dir("/proc/self/fd") else {
        return Vec::new();
    };
    files
        .flatten()
        .filter(|file| fs::read_link(file.path()).is_ok_and(|name| name == path))
        .filter_map(|file| file.file_name().to_str()?.parse().ok())
        .collect()
}

fn the_new_one(before: &[RawFd], after: &[RawFd]) -> Option<RawFd> {
    let mut new = after.iter().filter(|number| !before.contains(number));
    match (new.next(), new.next()) {
        (Some(number), None) => Some(*number),
        _ => None,
    }
}

fn open_library(folder: Option<&Path>, name: &'static str) -> Result<Library, LoadError> {
    let path = folder.map_or_else(|| name.into(), |folder| folder.join(name));
    // SAFETY: neither library runs anything of consequence when it is loaded.
    unsafe { UnixLibrary::open(Some(path), RTLD_NOW | RTLD_LOCAL) }
        .map(Library::from)
        .map_err(|source| LoadError::Library {
            library: name,
            source: Box::new(source),
        })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn what_was_opened_meanwhile_is_told_from_what_was_open_before() {
        // A device that nothing else in here opens.
        let device = Path::new("/dev/full");
        let (before, _other) = (
            File::open(device).unwrap(),
            File::open("/dev/zero").unwrap(),
        );
        let found = descriptors_of(device);
        assert_eq!(found, [before.as_raw_fd()]);
        let new = File::open(device).unwrap();
        let after = descriptors_of(device);
        assert_eq!(the_new_one(&found, &after), Some(new.as_raw_fd()));
        assert_eq!(the_new_one(&after, &after), None);
        assert_eq!(the_new_one(&[], &after), None);
        assert_eq!(descriptors_of(Path::new("/no/such/device")), [0; 0]);
    }

    #[test]
    fn the_tables_hold_the_exported_functions_and_no_unstable_one() {
        // 46 exported by 2.1, less lzc_initialize; and libzfs_core_init.
        assert_eq!(V2_1::NAMES.len(), 46);
        assert_eq!(V2_2::NAMES.len(), 6);
        assert_eq!(V2_3::NAMES.len(), 3);
        for names in [V2_1::NAMES, V2_2::NAMES, V2_3::NAMES] {
            for unstable in ["lzc_send_progress", "lzc_initialize", "libzfs_core_fini"] {
                assert!(!names.contains(&unstable), "{unstable}");
            }
        }
    }
}
