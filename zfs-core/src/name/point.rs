//! A snapshot or a bookmark: what an incremental send can start from, and a
//! bookmark be made from.

use std::fmt;
use std::str::FromStr;

use super::{BookmarkName, DatasetName, SnapshotName};
use crate::error::Error;

/// The name of a snapshot or of a bookmark.
///
/// ```
/// use zfs_core::{SnapshotName, SnapshotOrBookmark};
///
/// let base: SnapshotOrBookmark = "tank/home#monday".parse()?;
/// assert!(matches!(base, SnapshotOrBookmark::Bookmark(_)));
/// let monday: SnapshotName = "tank/home@monday".parse()?;
/// assert_eq!(SnapshotOrBookmark::from(monday).as_str(), "tank/home@monday");
/// # Ok::<(), zfs_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SnapshotOrBookmark {
    /// A snapshot.
    Snapshot(SnapshotName),
    /// A bookmark.
    Bookmark(BookmarkName),
}

impl SnapshotOrBookmark {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        match self {
            SnapshotOrBookmark::Snapshot(name) => name.as_str(),
            SnapshotOrBookmark::Bookmark(name) => name.as_str(),
        }
    }

    /// The dataset it belongs to.
    pub fn dataset(&self) -> &DatasetName {
        match self {
            SnapshotOrBookmark::Snapshot(name) => name.dataset(),
            SnapshotOrBookmark::Bookmark(name) => name.dataset(),
        }
    }
}

impl fmt::Display for SnapshotOrBookmark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for SnapshotOrBookmark {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        if name.contains('#') {
            name.parse().map(SnapshotOrBookmark::Bookmark)
        } else {
            name.parse().map(SnapshotOrBookmark::Snapshot)
        }
    }
}

impl From<SnapshotName> for SnapshotOrBookmark {
    fn from(name: SnapshotName) -> SnapshotOrBookmark {
        SnapshotOrBookmark::Snapshot(name)
    }
}

impl From<&SnapshotName> for SnapshotOrBookmark {
    fn from(name: &SnapshotName) -> SnapshotOrBookmark {
        SnapshotOrBookmark::Snapshot(name.clone())
    }
}

impl From<BookmarkName> for SnapshotOrBookmark {
    fn from(name: BookmarkName) -> SnapshotOrBookmark {
        SnapshotOrBookmark::Bookmark(name)
    }
}

impl From<&BookmarkName> for SnapshotOrBookmark {
    fn from(name: &BookmarkName) -> SnapshotOrBookmark {
        SnapshotOrBookmark::Bookmark(name.clone())
    }
}

impl AsRef<str> for SnapshotOrBookmark {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}
