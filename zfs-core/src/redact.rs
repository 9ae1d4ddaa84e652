//! Redaction: sending a snapshot without the blocks that some clones of it
//! changed.

use zfs_stream::nvlist::{NvList, Value};

use crate::error::{Errno, Error, Operation};
use crate::ffi::CallError;
use crate::many::Names;
use crate::name::{BookmarkName, DatasetName, Guid, SnapshotName};
use crate::zfs::Zfs;

/// What a redaction bookmark leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redaction {
    /// The GUIDs of the snapshots of clones that it was made with.
    pub snapshots: Vec<Guid>,
    /// Whether making it was completed; [`Zfs::redact`] with the same
    /// arguments goes on with one that was interrupted.
    pub complete: bool,
}

impl Zfs {
    /// Makes a redaction bookmark: the list of blocks of `snapshot` that were
    /// changed or removed in `redaction_snapshots`, which are snapshots of
    /// clones of it (zfs-redact(8)).
    ///
    /// A stream that is sent with [`SendRequest::redacted`] leaves those
    /// blocks out, and what is received from it can be sent on, cloned and
    /// have the redaction snapshots received on top, but not be mounted.
    ///
    /// Making it reads all blocks of all of them, and returns when that is
    /// done.
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`]: a snapshot does not exist, or is not of a clone of
    /// `snapshot`; the bookmark exists; only root may. [`Error::InvalidRequest`]
    /// where the bookmark is of another dataset than the snapshot, or there
    /// are no redaction snapshots.
    ///
    /// [`SendRequest::redacted`]: crate::SendRequest::redacted
    ///
    /// # Example
    ///
    /// ```no_run
    /// use zfs_core::{BookmarkName, SendRequest, SnapshotName, Zfs};
    ///
    /// let zfs = Zfs::open()?;
    /// let whole: SnapshotName = "tank/patients@monday".parse()?;
    /// let without_names: SnapshotName = "tank/anonymous@monday".parse()?;
    /// let mark: BookmarkName = "tank/patients#anonymous".parse()?;
    /// zfs.redact(&whole, &mark, [&without_names])?;
    /// let request = SendRequest::snapshot(whole).redacted(mark);
    /// # Ok::<(), zfs_core::Error>(())
    /// ```
    pub fn redact<'a>(
        &self,
        snapshot: &SnapshotName,
        bookmark: &BookmarkName,
        redaction_snapshots: impl IntoIterator<Item = &'a SnapshotName>,
    ) -> Result<(), Error> {
        let names = Names::new(Operation::Redact, redaction_snapshots);
        let list = names.list(|_| Ok(Value::Boolean))?;
        let invalid =
            |reason: String| Err(Error::invalid(Operation::Redact, snapshot.as_str(), reason));
        if bookmark.dataset() != snapshot.dataset() {
            return invalid(format!(
                "the bookmark {bookmark} would be on another dataset"
            ));
        }
        if list.is_empty() {
            return invalid("no snapshots of clones are given to redact it by".into());
        }
        self.lzc()?
            .redact(snapshot.as_str(), bookmark.bookmark(), &list)
            .map_err(|error| error.on(Operation::Redact, snapshot.as_str()))
    }

    /// What a bookmark leaves out; none where it is an ordinary one.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] where there is no such bookmark.
    pub fn redaction(&self, bookmark: &BookmarkName) -> Result<Option<Redaction>, Error> {
        let mut all = self.redactions(bookmark.dataset())?;
        match all.iter().position(|(name, _)| name == bookmark) {
            Some(at) => Ok(all.swap_remove(at).1),
            None => Err(Error::zfs(
                Operation::GetBookmarks,
                bookmark.as_str(),
                Errno::ESRCH,
            )),
        }
    }

    /// All bookmarks of a dataset with what they leave out. ZFS tells that in
    /// this list alone, not where it is asked about one bookmark.
    pub(crate) fn redactions(
        &self,
        dataset: &DatasetName,
    ) -> Result<Vec<(BookmarkName, Option<Redaction>)>, Error> {
        let on = |error: CallError| error.on(Operation::GetBookmarks, dataset.as_str());
        let mut wanted = NvList::new();
        for property in ["redact_snaps", "redact_complete"] {
            wanted
                .insert_flag(property)
                .map_err(|error| on(error.into()))?;
        }
        let list = self
            .lzc()?
            .get_bookmarks(dataset.as_str(), &wanted)
            .map_err(on)?;
        let mut all = Vec::with_capacity(list.len());
        for (name, value) in &list {
            let property = |property: &str| match value {
                Value::NvList(properties) => properties.get_nvlist(property)?.get("value"),
                _ => None,
            };
            let redaction = match property("redact_snaps") {
                Some(Value::Uint64Array(guids)) => Some(Redaction {
                    snapshots: guids.iter().copied().map(Guid).collect(),
                    complete: matches!(
                        property("redact_complete"),
                        Some(Value::BooleanValue(true))
                    ),
                }),
                _ => None,
            };
            all.push((dataset.with_bookmark(&name.to_string())?, redaction));
        }
        Ok(all)
    }
}
