//! Holds: what keeps a snapshot from being destroyed.

mod tree;

pub use tree::SnapshotHolds;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use zfs_stream::nvlist::{NvList, NvString};
use zfs_sys::DevZfs;

use crate::error::{Errno, Error, Failure, Operation};
use crate::ffi::CallError;
use crate::many::Names;
use crate::name::SnapshotName;
use crate::zfs::Zfs;

/// A hold on a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Its tag, which tells the holds of one snapshot apart.
    pub tag: String,
    /// When it was placed.
    pub created: SystemTime,
}

/// Holds that end with this value: when it is dropped, and when the process
/// ends in whatever way.
///
/// After a power failure they end when the pool is next imported.
#[derive(Debug)]
#[must_use = "the holds end when this is dropped"]
pub struct TemporaryHolds {
    _until_closed: DevZfs,
}

impl Zfs {
    /// Places a hold of that tag on each of these snapshots, which must be in
    /// one pool.
    ///
    /// # Errors
    ///
    /// [`Error::Several`], or [`Error::Zfs`] where it is one, with the reason
    /// for each. Where it [is not found](Error::is_not_found), the snapshots
    /// that do exist are held all the same, as zfs-hold(8) does; with any
    /// other reason none is.
    pub fn hold<'a>(
        &self,
        snapshots: impl IntoIterator<Item = &'a SnapshotName>,
        tag: &str,
    ) -> Result<(), Error> {
        self.place(&Names::new(Operation::Hold, snapshots), tag, None)
    }

    /// As [`Zfs::hold`], but the holds end with the value that is returned.
    ///
    /// What sends a snapshot holds it so: whatever happens to the sender, no
    /// hold is left behind. Tags of such holds may be shorter than 255 bytes
    /// only, since ZFS writes its own number beside them. What ends is the
    /// snapshots' hold of that tag, even where this one was released meanwhile
    /// and another placed: give temporary holds a tag of their own.
    ///
    /// # Errors
    ///
    /// As [`Zfs::hold`], but then no hold stays.
    ///
    /// # Example
    ///
    /// ```no_run
    /// use zfs_core::{SnapshotName, Zfs};
    ///
    /// let zfs = Zfs::open()?;
    /// let snapshot: SnapshotName = "tank/home@monday".parse()?;
    /// let holds = zfs.hold_temporarily([&snapshot], "sending")?;
    /// // … send it …
    /// drop(holds);
    /// # Ok::<(), zfs_core::Error>(())
    /// ```
    pub fn hold_temporarily<'a>(
        &self,
        snapshots: impl IntoIterator<Item = &'a SnapshotName>,
        tag: &str,
    ) -> Result<TemporaryHolds, Error> {
        let until_closed = DevZfs::open()?;
        let names = Names::new(Operation::Hold, snapshots);
        self.place(&names, tag, Some(&until_closed))?;
        Ok(TemporaryHolds {
            _until_closed: until_closed,
        })
    }

    fn place(
        &self,
        names: &Names<'_>,
        tag: &str,
        until_closed: Option<&DevZfs>,
    ) -> Result<(), Error> {
        let list = names.list(|_| NvString::try_from(tag))?;
        let fd = until_closed.map(std::os::fd::AsFd::as_fd);
        names.outcome(self.lzc()?.hold(&list, fd), |failure| {
            if failure.errno == Errno::EEXIST {
                failure.detail = Some(format!("it has a hold of tag {tag:?} already"));
            }
        })
    }

    /// Takes the hold of that tag from each of these snapshots, which must be
    /// in one pool. A snapshot whose destruction was deferred goes with its
    /// last hold.
    ///
    /// # Errors
    ///
    /// [`Error::Several`], or [`Error::Zfs`] where it is one, with the reason
    /// for each. Where it [is not found](Error::is_not_found), there was no
    /// such snapshot or hold, and the others are released all the same; with
    /// any other reason none is.
    pub fn release<'a>(
        &self,
        snapshots: impl IntoIterator<Item = &'a SnapshotName>,
        tag: &str,
    ) -> Result<(), Error> {
        let names = Names::new(Operation::Release, snapshots);
        let list = names.list(|_| {
            let mut tags = NvList::new();
            tags.insert_flag(tag)?;
            Ok(tags)
        })?;
        names.outcome(self.lzc()?.release(&list), |failure| {
            name_without_tag(failure, tag);
        })
    }

    /// Takes holds of several tags from several snapshots in one call: all
    /// pairs given, which must be in one pool.
    ///
    /// # Errors
    ///
    /// As [`Zfs::release`].
    pub fn release_holds<'a>(
        &self,
        holds: impl IntoIterator<Item = (&'a SnapshotName, &'a str)>,
    ) -> Result<(), Error> {
        let mut by_snapshot: BTreeMap<&SnapshotName, Vec<&str>> = BTreeMap::new();
        for (snapshot, tag) in holds {
            by_snapshot.entry(snapshot).or_default().push(tag);
        }
        let names = Names::new(Operation::Release, by_snapshot.keys().copied());
        let mut list = NvList::new();
        for (snapshot, tags) in &by_snapshot {
            let mut of_snapshot = NvList::new();
            tags.iter()
                .try_for_each(|tag| of_snapshot.insert_flag(tag))
                .and_then(|()| list.insert(snapshot.as_str(), of_snapshot))
                .map_err(|error| names.call_error(error.into()))?;
        }
        names.outcome(self.lzc()?.release(&list), |failure| {
            if let Some((_, tag)) = failure.name.clone().split_once('#') {
                name_without_tag(failure, tag);
            }
        })
    }

    /// The holds on a snapshot, by tag.
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`]: the snapshot does not exist.
    pub fn holds(&self, snapshot: &SnapshotName) -> Result<Vec<Hold>, Error> {
        let on = |error: CallError| error.on(Operation::GetHolds, snapshot.as_str());
        let list = self.lzc()?.get_holds(snapshot.as_str()).map_err(on)?;
        let mut holds = Vec::with_capacity(list.len());
        for (tag, _) in &list {
            let seconds = list
                .require_u64(tag)
                .map_err(|error| on(CallError::Answer(error)))?;
            holds.push(Hold {
                tag: tag.to_string(),
                created: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
            });
        }
        holds.sort_by(|a, b| a.tag.cmp(&b.tag));
        Ok(holds)
    }
}

/// A hold that was not there is reported under `SNAPSHOT#TAG`.
fn name_without_tag(failure: &mut Failure, tag: &str) {
    let Some(snapshot) = failure.name.strip_suffix(&format!("#{tag}")) else {
        return;
    };
    failure.detail = Some(format!("it has no hold of tag {tag:?}"));
    failure.name = snapshot.to_owned();
}
