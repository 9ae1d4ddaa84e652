//! What did not change is not listed again.
//!
//! ```text
//! file of the pool -> [ same GUID, origin, snapshots_changed? -> Record* | list -> Record* ] -> file of the pool
//! ```
//!
//! A dataset's snapshots are kept with its GUID, its origin and its
//! `snapshots_changed`, and are what they were exactly while all three are:
//! creating, destroying and renaming a snapshot moves that value, and a
//! promote changes the origin on the side that gains snapshots. The value
//! counts whole seconds, so nothing is kept that was listed within two seconds
//! of it. A clock that was set back could bring an old value again: the file
//! is of no use after a step of the clock, a reboot, or an import of the pool.

mod file;

use std::collections::HashMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

pub(super) use file::{Record, Version};

use self::file::{File, State};
use crate::ffi::process;
use crate::name::PoolName;
use crate::zfs::Zfs;

/// A file larger than this is neither read nor written: two million
/// snapshots.
const MAX_BYTES: usize = 128 << 20;

/// `snapshots_changed` counts whole seconds: so long after it, it cannot be
/// the same any more when something changes.
const SETTLED_SECONDS: u64 = 2;

/// How far the clock may drift from the time since boot before it counts as
/// set, in milliseconds: well below [`SETTLED_SECONDS`].
const DRIFT_MILLISECONDS: i64 = 500;

/// A folder where listings keep what they need not ask for again: name, GUID,
/// createtxg and creation of snapshots.
///
/// It is asked of OpenZFS 2.2 and later alone, which tell when a dataset's
/// snapshots changed last. What it answers is what the kernel would: see
/// [`ListRequest::cache`](crate::ListRequest::cache). There is one file for
/// each pool, replaced as a whole, so that programs can use the folder side by
/// side; one that is torn, of another user or not a cache at all is passed
/// over. Removing the folder costs time and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListCache {
    folder: PathBuf,
}

impl ListCache {
    /// A cache in that folder, which is made when there is something to keep.
    pub fn new(folder: impl Into<PathBuf>) -> ListCache {
        ListCache {
            folder: folder.into(),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// A cache in use by one listing.
#[derive(Debug)]
pub(super) struct Session {
    cache: ListCache,
    /// The machine's boot id, and how far the clock is ahead.
    now: Option<([u8; 16], i64)>,
    pools: Mutex<HashMap<PoolName, Option<PoolFile>>>,
    hits: AtomicUsize,
}

#[derive(Debug)]
struct PoolFile {
    path: PathBuf,
    file: File,
    new: HashMap<u64, Vec<u8>>,
}

impl Session {
    /// Reads the files of these pools.
    pub(super) fn start(cache: ListCache, zfs: &Zfs, pools: &[PoolName]) -> Session {
        let now = boot_id().zip(process::clock_offset());
        let session = Session {
            cache,
            now,
            pools: Mutex::default(),
            hits: AtomicUsize::new(0),
        };
        let files = pools
            .iter()
            .map(|pool| (pool.clone(), session.open(zfs, pool)))
            .collect();
        *session.lock() = files;
        session
    }

    fn open(&self, zfs: &Zfs, pool: &PoolName) -> Option<PoolFile> {
        let (boot, clock) = self.now?;
        let (guid, imported) = zfs.device.pool_identity(pool.as_str()).ok()??;
        let state = State {
            pool: guid,
            imported,
            boot,
        };
        let path = self.cache.folder.join(format!("{guid}.snapshots"));
        let file = read(&path)
            .and_then(File::decode)
            .filter(|file| {
                file.state == state && file.clock.abs_diff(clock) <= DRIFT_MILLISECONDS as u64
            })
            .unwrap_or_else(|| File::new(state, clock));
        Some(PoolFile {
            path,
            file,
            new: HashMap::new(),
        })
    }

    /// What is known of a dataset's snapshots, with the time of creation if
    /// that is needed.
    pub(super) fn get(
        &self,
        pool: &PoolName,
        version: &Version,
        creation: bool,
    ) -> Option<Vec<Record>> {
        let pools = self.lock();
        let records = pools.get(pool)?.as_ref()?.file.get(version, creation)?;
        self.hits.fetch_add(1, Ordering::Relaxed);
        Some(records)
    }

    /// How many datasets were known.
    pub(super) fn hits(&self) -> usize {
        self.hits.load(Ordering::Relaxed)
    }

    /// Keeps a dataset's snapshots, which were listed after `read_at`, when
    /// the dataset was at that version.
    pub(super) fn put(
        &self,
        pool: &PoolName,
        version: &Version,
        read_at: SystemTime,
        records: &[Record],
    ) {
        if !settled(version.changed, read_at) {
            return;
        }
        let Some(block) = file::block(version, records) else {
            return;
        };
        if let Some(Some(pool)) = self.lock().get_mut(pool) {
            pool.new.insert(version.guid, block);
        }
    }

    /// Writes the files in which something is new.
    ///
    /// # Errors
    ///
    /// The first file's that could not be written. The others are.
    pub(super) fn finish(&self) -> io::Result<()> {
        // Where the clock was set in between, what was read before and after
        // does not belong together.
        let steady = self
            .now
            .zip(process::clock_offset())
            .is_some_and(|((_, before), after)| {
                before.abs_diff(after) <= DRIFT_MILLISECONDS as u64
            });
        let mut result = Ok(());
        for pool in self.lock().values_mut().flatten() {
            let new = std::mem::take(&mut pool.new);
            if new.is_empty() || !steady {
                continue;
            }
            let Some(bytes) = pool.file.encode(&new, MAX_BYTES) else {
                continue;
            };
            let written = write(&self.cache.folder, &pool.path, &bytes);
            result = result.and(written);
        }
        result
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<PoolName, Option<PoolFile>>> {
        // A thread that panicked left whole entries, or none.
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a value that was read at that time cannot come again.
fn settled(changed: u64, read_at: SystemTime) -> bool {
    let Ok(now) = read_at.duration_since(SystemTime::UNIX_EPOCH) else {
        return false;
    };
    changed != 0 && changed.saturating_add(SETTLED_SECONDS) <= now.as_secs()
}

fn boot_id() -> Option<[u8; 16]> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let digits: String = text.trim().chars().filter(|c| *c != '-').collect();
    u128::from_str_radix(&digits, 16)
        .ok()
        .filter(|_| digits.len() == 32)
        .map(u128::to_le_bytes)
}

/// The bytes of a file that this user alone can have written.
fn read(path: &Path) -> Option<Vec<u8>> {
    let file = OpenOptions::new()
        .read(true)
        // Not to wait for a pipe's writer, and not to follow somebody's link.
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
        .ok()?;
    let about = file.metadata().ok()?;
    let ours = about.is_file()
        && about.uid() == process::effective_user()
        && about.mode() & 0o022 == 0
        && about.len() <= MAX_BYTES as u64;
    if !ours {
        return None;
    }
    let mut bytes = Vec::with_capacity(usize::try_from(about.len()).ok()?);
    file.take(MAX_BYTES as u64).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Puts a new file in the old one's place, whole or not at all.
fn write(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let own = folder.join(format!(".new-{}-{count}", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(&own)
        .and_then(|mut file| file.write_all(bytes))
        // What a power cut leaves of it is of another boot: nobody reads it.
        .and_then(|()| fs::rename(&own, path));
    if written.is_err() {
        let _ = fs::remove_file(&own);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    #[test]
    fn a_value_is_not_believed_within_two_seconds_of_it_nor_at_zero() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_millis(seconds);
        assert!(!settled(100, at(100_000)));
        assert!(!settled(100, at(101_999)));
        assert!(settled(100, at(102_000)));
        assert!(!settled(0, at(102_000)));
        assert!(!settled(u64::MAX, at(102_000)));
        assert!(!settled(100, at(50_000)), "the clock was set back");
        assert!(!settled(1, SystemTime::UNIX_EPOCH - Duration::from_secs(9)));
    }

    #[test]
    fn only_a_file_that_this_user_alone_can_write_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("made/on the way");
        let path = inside.join("7.snapshots");
        write(&inside, &path, b"one").unwrap();
        write(&inside, &path, b"two").unwrap();
        assert_eq!(read(&path).as_deref(), Some(&b"two"[..]));
        assert_eq!(fs::read_dir(&inside).unwrap().count(), 1);

        fs::set_permissions(&path, fs::Permissions::from_mode(0o622)).unwrap();
        assert_eq!(read(&path), None, "others may write it");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let link = inside.join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(read(&link), None, "a link");
        assert_eq!(read(&inside), None, "a folder");
        if process::effective_user() == 0 {
            std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
            assert_eq!(read(&path), None, "somebody else's");
        }
    }

    #[test]
    fn the_boot_id_is_read() {
        assert!(boot_id().is_some());
    }
}
