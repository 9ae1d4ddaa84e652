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
//!
//! Where the kernel's events say that nothing at all has come, gone or been
//! renamed in the pool since a whole tree was listed, the datasets are not
//! listed either: see [`events`]. That needs no clock, and root.

mod events;
mod file;
mod kept;

use std::collections::HashMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

pub use kept::Kept;

pub(super) use file::{Known, Member, MemberFlags, Record, Version};

use self::events::Events;
use self::file::{File, State, Tree};
use crate::ffi::process;
use crate::name::{DatasetName, PoolName};
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
/// Where the kernel's events say that nothing in a pool came, went or got
/// another name since a tree was listed, the tree is not listed again; only
/// root may ask for them. Otherwise a dataset's snapshots are not listed again
/// while it says that they have not changed, which OpenZFS 2.2 and later do.
/// What it answers is what the kernel would: see
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
    /// The last event before this listing, where a tree is to be kept.
    event: Option<u64>,
    pools: Mutex<HashMap<PoolName, Option<PoolFile>>>,
    hits: AtomicUsize,
    /// Whether everything that was asked for could be listed.
    whole: AtomicBool,
}

#[derive(Debug)]
struct PoolFile {
    path: PathBuf,
    file: File,
    /// Of the file's trees those that are still right.
    trees: Vec<Tree>,
    /// Although nothing is new: a tree was moved on to a younger event, or
    /// what the file says is not right any more.
    rewrite: bool,
    new_trees: Vec<Tree>,
    new: HashMap<u64, Vec<u8>>,
}

/// So many trees are kept of each pool.
const MAX_TREES: usize = 8;

/// The kernel keeps several hundred events, so a tree is moved on before its
/// own is gone.
const MOVE_ON_AFTER: usize = 100;

impl Session {
    /// Reads the files of these pools. With `roots` whole trees are asked for,
    /// of so many levels below each.
    pub(super) fn start(
        cache: ListCache,
        zfs: &Zfs,
        pools: &[PoolName],
        roots: &[(&DatasetName, usize)],
    ) -> Session {
        let mut session = Session {
            cache,
            now: boot_id().zip(process::clock_offset()),
            event: None,
            pools: Mutex::default(),
            hits: AtomicUsize::new(0),
            whole: AtomicBool::new(true),
        };
        let events = Events::open(&zfs.device);
        let files = pools
            .iter()
            .map(|pool| (pool.clone(), session.open(zfs, pool, events.as_ref())))
            .collect();
        *session.lock() = files;
        if roots
            .iter()
            .any(|(root, levels)| session.tree(root, *levels).is_none())
        {
            // Before anything is listed: what comes later is seen, or counts
            // as a change.
            session.event = events.and_then(|events| events.last());
        }
        session
    }

    fn open(&self, zfs: &Zfs, pool: &PoolName, events: Option<&Events<'_>>) -> Option<PoolFile> {
        let (boot, clock) = self.now?;
        let (guid, imported) = zfs.device.pool_identity(pool.as_str()).ok()??;
        let state = State {
            pool: guid,
            imported,
            boot,
        };
        let path = self.cache.folder.join(format!("{guid}.snapshots"));
        let right = |file: &File| {
            file.state == state && file.clock.abs_diff(clock) <= DRIFT_MILLISECONDS as u64
        };
        let kept = read(&path).and_then(File::decode).filter(right);
        // One that is not right now must not become right again, as where the
        // clock is set back and forth.
        let mut rewrite = kept.is_none() && path.exists();
        let mut file = kept.unwrap_or_else(|| File::new(state, clock));
        let mut trees = std::mem::take(&mut file.trees);
        trees.retain_mut(|tree| {
            let since = events.and_then(|events| events.since(tree.event));
            let Some(since) = since.filter(|since| !since.changed.contains(&guid)) else {
                return false;
            };
            if since.count > MOVE_ON_AFTER {
                tree.event = since.last;
                rewrite = true;
            }
            true
        });
        Some(PoolFile {
            path,
            file,
            trees,
            rewrite,
            new_trees: Vec::new(),
            new: HashMap::new(),
        })
    }

    /// What is known of a dataset's snapshots, with the time of creation if
    /// that is needed.
    pub(super) fn get(
        &self,
        pool: &PoolName,
        known: Known<'_>,
        creation: bool,
    ) -> Option<Vec<Record>> {
        let pools = self.lock();
        let records = pools.get(pool)?.as_ref()?.file.get(known, creation)?;
        self.hits.fetch_add(1, Ordering::Relaxed);
        Some(records)
    }

    /// The datasets of a tree, in the kernel's order, where nothing in their
    /// pool has come, gone or been renamed since they were listed.
    pub(super) fn tree(&self, root: &DatasetName, levels: usize) -> Option<Vec<Member>> {
        let pools = self.lock();
        let pool = pools.get(&root.pool())?.as_ref()?;
        let tree = pool.trees.iter().find(|tree| {
            let all = tree.levels == u64::MAX;
            let above = || tree.root.parse().is_ok_and(|top| root.is_within(&top));
            tree.root == root.as_str() && tree.levels >= levels as u64 || all && above()
        })?;
        // A level more is a slash more.
        let deepest = root.depth().saturating_add(levels);
        let own = |member: &&Member| {
            let name = member.name.strip_prefix(root.as_str());
            let within = name.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            within && member.name.matches('/').count() <= deepest
        };
        let members: Vec<Member> = tree.members.iter().filter(own).cloned().collect();
        // That it is not there is the kernel's to say.
        let is_there = members.iter().any(|member| member.name == root.as_str());
        is_there.then_some(members)
    }

    /// Whether a tree that is listed now can be kept.
    pub(super) fn records(&self) -> bool {
        self.event.is_some()
    }

    /// Keeps a tree. Of its datasets those marked so were, or will be, given
    /// to [`Session::put`], or came out of [`Session::get`].
    pub(super) fn put_tree(&self, root: &DatasetName, levels: usize, members: Vec<Member>) {
        let mut pools = self.lock();
        let (Some(event), Some(Some(pool))) = (self.event, pools.get_mut(&root.pool())) else {
            return;
        };
        pool.new_trees.push(Tree {
            event,
            levels: levels as u64,
            root: root.as_str().to_owned(),
            members,
        });
    }

    /// Something could not be listed, so no tree is whole.
    pub(super) fn not_whole(&self) {
        self.whole.store(false, Ordering::Relaxed);
    }

    /// How many datasets were known.
    pub(super) fn hits(&self) -> usize {
        self.hits.load(Ordering::Relaxed)
    }

    /// Keeps a dataset's snapshots, which were listed after the given time,
    /// when the dataset was at that version. With `in_tree` also where no
    /// version tells them from others.
    pub(super) fn put(
        &self,
        pool: &PoolName,
        guid: u64,
        version: Option<&(Version, SystemTime)>,
        in_tree: bool,
        records: &[Record],
    ) {
        let version = version
            .filter(|(version, read_at)| settled(version.changed, *read_at))
            .map(|(version, _)| version);
        if version.is_none() && !in_tree {
            return;
        }
        let Some(block) = file::block(guid, version, records) else {
            return self.not_whole();
        };
        if let Some(Some(pool)) = self.lock().get_mut(pool) {
            pool.new.insert(guid, block);
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
        let whole = self.whole.load(Ordering::Relaxed);
        let mut result = Ok(());
        for pool in self.lock().values_mut().flatten() {
            let new = std::mem::take(&mut pool.new);
            let mut trees = std::mem::take(&mut pool.new_trees);
            trees.truncate(if whole { MAX_TREES } else { 0 });
            if !steady || new.is_empty() && trees.is_empty() && !pool.rewrite {
                continue;
            }
            for old in std::mem::take(&mut pool.trees) {
                if trees.len() < MAX_TREES && trees.iter().all(|tree| tree.root != old.root) {
                    trees.push(old);
                }
            }
            let Some(pieces) = pool.file.encode(&trees, &new, MAX_BYTES) else {
                continue;
            };
            let written = write(&self.cache.folder, &pool.path, |file| pieces.write(file));
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
fn write(
    folder: &Path,
    path: &Path,
    content: impl FnOnce(&mut BufWriter<fs::File>) -> io::Result<()>,
) -> io::Result<()> {
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
        .and_then(|file| {
            let mut file = BufWriter::new(file);
            content(&mut file)?;
            file.flush()
        })
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
        write(&inside, &path, |file| file.write_all(b"one")).unwrap();
        write(&inside, &path, |file| file.write_all(b"two")).unwrap();
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
