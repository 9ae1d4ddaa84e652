//! Bookmarks: points in a dataset's history that cost no space.

use std::time::{Duration, SystemTime};

use zfs_stream::nvlist::{NvList, NvString};

use crate::error::{Error, Operation};
use crate::ffi::CallError;
use crate::many::Names;
use crate::name::{BookmarkName, DatasetName, Guid, SnapshotOrBookmark, Txg};
use crate::zfs::Zfs;

/// A bookmark and the snapshot it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bookmark {
    /// Its name.
    pub name: BookmarkName,
    /// The GUID of the snapshot that it was made from.
    pub guid: Guid,
    /// When that snapshot was taken, in transactions of its pool.
    pub createtxg: Txg,
    /// When that snapshot was taken.
    pub creation: SystemTime,
}

impl Zfs {
    /// Makes bookmarks, each from a snapshot or another bookmark of the same
    /// dataset; all of them or none, and all in one pool.
    ///
    /// # Errors
    ///
    /// [`Error::Several`], or [`Error::Zfs`] where it is one, with the reason
    /// for each; then none was made.
    ///
    /// # Example
    ///
    /// ```no_run
    /// use zfs_core::{BookmarkName, SnapshotName, Zfs};
    ///
    /// let zfs = Zfs::open()?;
    /// let monday: SnapshotName = "tank/home@monday".parse()?;
    /// let mark: BookmarkName = "tank/home#monday".parse()?;
    /// zfs.bookmark([(&mark, &monday.into())])?;
    /// # Ok::<(), zfs_core::Error>(())
    /// ```
    pub fn bookmark<'a>(
        &self,
        bookmarks: impl IntoIterator<Item = (&'a BookmarkName, &'a SnapshotOrBookmark)>,
    ) -> Result<(), Error> {
        let (new, sources): (Vec<_>, Vec<_>) = bookmarks.into_iter().unzip();
        let names = Names::new(Operation::Bookmark, new.iter().copied());
        let first = new.first().map(|name| name.pool());
        let mut list = NvList::new();
        for (name, source) in new.iter().zip(sources) {
            // The kernel says of all of them that they make no sense.
            let pools = [Some(source.dataset().pool()), first.clone()];
            if pools.iter().flatten().any(|pool| *pool != name.pool()) {
                return Err(Error::invalid(
                    Operation::Bookmark,
                    name.as_str(),
                    "the bookmarks of one call, and what they are made from, must be in one pool",
                ));
            }
            if list.contains(name.as_str()) {
                return Err(Error::invalid(
                    Operation::Bookmark,
                    name.as_str(),
                    "it is given twice in one call",
                ));
            }
            NvString::try_from(source.as_str())
                .and_then(|source| list.insert(name.as_str(), source))
                .map_err(|error| names.call_error(error.into()))?;
        }
        names.outcome(self.lzc()?.bookmark(&list), |_| {})
    }

    /// What ZFS keeps of a bookmark, as a list: `guid`, `createtxg`,
    /// `creation`, and in newer releases more, such as the space that was
    /// referenced. [`Zfs::bookmarks`] has the first three typed.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] where there is no such bookmark.
    pub fn bookmark_properties(&self, bookmark: &BookmarkName) -> Result<NvList, Error> {
        self.lzc()?
            .get_bookmark_properties(bookmark.as_str())
            .map_err(|error| error.on(Operation::GetBookmarks, bookmark.as_str()))
    }

    /// The bookmarks of a dataset, the oldest first.
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`]: the dataset does not exist.
    pub fn bookmarks(&self, dataset: &DatasetName) -> Result<Vec<Bookmark>, Error> {
        let mut bookmarks: Vec<Bookmark> = self
            .bookmarks_with(dataset, &[])?
            .into_iter()
            .map(|(bookmark, _)| bookmark)
            .collect();
        bookmarks.sort_by(|a, b| (a.createtxg, &a.name).cmp(&(b.createtxg, &b.name)));
        Ok(bookmarks)
    }

    /// The bookmarks of a dataset with these properties as well, in no order.
    pub(crate) fn bookmarks_with(
        &self,
        dataset: &DatasetName,
        more: &[&str],
    ) -> Result<Vec<(Bookmark, NvList)>, Error> {
        let on = |error: CallError| error.on(Operation::GetBookmarks, dataset.as_str());
        let mut wanted = NvList::new();
        for property in ["guid", "createtxg", "creation"].iter().chain(more) {
            wanted
                .insert_flag(property)
                .map_err(|error| on(error.into()))?;
        }
        let list = self
            .lzc()?
            .get_bookmarks(dataset.as_str(), &wanted)
            .map_err(on)?;
        let mut bookmarks = Vec::with_capacity(list.len());
        for (name, _) in &list {
            let properties = list
                .require_nvlist(name)
                .map_err(|error| on(CallError::Answer(error)))?;
            let number = |property: &str| {
                properties
                    .require_nvlist(property)
                    .and_then(|property| property.require_u64("value"))
                    .map_err(|error| on(CallError::Answer(error)))
            };
            let bookmark = Bookmark {
                name: dataset.with_bookmark(&name.to_string())?,
                guid: Guid(number("guid")?),
                createtxg: Txg(number("createtxg")?),
                creation: SystemTime::UNIX_EPOCH + Duration::from_secs(number("creation")?),
            };
            bookmarks.push((bookmark, properties.clone()));
        }
        Ok(bookmarks)
    }
}
