//! The marker: a bookmark on the source, `#replica-TARGET-GUID`, that says
//! which snapshot a target has.
//!
//! After each success the source dataset has one of them per target. It
//! costs no space, survives the snapshot that it was made from, and can be
//! the base of an increment, so no pruning can break the chain. The new one
//! is made before the old one goes: there is never a moment without.
//!
//! Before a snapshot is sent it gets another one, `#sending-TARGET-GUID`, which
//! goes when the marker has moved. It says nothing about what the target has;
//! but if a run is killed when the snapshot has arrived and its marker is not
//! made yet, and the snapshot is pruned then, this is what is left of the base.

use std::fmt;
use std::str::FromStr;

use zfs_core::{BookmarkName, DatasetName, Guid};

/// The longest name of a target in a marker.
pub const MAX_TARGET_ID_BYTES: usize = 16;

const PREFIX: &str = "replica-";
/// As long as the other, so that one fits where the other does.
const SENDING_PREFIX: &str = "sending-";
const GUID_DIGITS: usize = 16;

/// A target's name in the source's markers: 1 to 16 of `A-Za-z0-9`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId(String);

/// A name that cannot stand in a marker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{identifier:?} cannot identify a target: it takes 1 to {MAX_TARGET_ID_BYTES} letters and digits"
)]
pub struct InvalidTargetId {
    /// The name, cut short.
    pub identifier: String,
}

impl TargetId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name for a target that was given none: 16 hex digits that depend on
    /// what tells where it is and on its dataset, and on nothing else. That is
    /// the GUID of its pool, in hex, or its host where nothing can be asked
    /// there.
    ///
    /// ```
    /// use zfs_core::DatasetName;
    /// use zfs_replicate::marker::TargetId;
    ///
    /// let vault = DatasetName::parse("vault/home")?;
    /// let here = TargetId::derived("2f0ad9a4c5a5be31", &vault);
    /// assert_eq!(here, TargetId::derived("2f0ad9a4c5a5be31", &vault));
    /// assert_ne!(here, TargetId::derived("backup.example.org", &vault));
    /// # Ok::<(), zfs_core::Error>(())
    /// ```
    pub fn derived(place: &str, dataset: &DatasetName) -> TargetId {
        // FNV-1a: it is short, and it must be the same in every release for
        // as long as there are markers, which std's hasher does not promise.
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for byte in place
            .bytes()
            .chain(std::iter::once(0))
            .chain(dataset.as_str().bytes())
        {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        TargetId(format!("{hash:016x}"))
    }
}

impl FromStr for TargetId {
    type Err = InvalidTargetId;

    fn from_str(identifier: &str) -> Result<TargetId, InvalidTargetId> {
        let fits = (1..=MAX_TARGET_ID_BYTES).contains(&identifier.len());
        if fits && identifier.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Ok(TargetId(identifier.to_owned()));
        }
        Err(InvalidTargetId {
            identifier: identifier.chars().take(64).collect(),
        })
    }
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the name of a marker says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Whose marker it is.
    pub target: TargetId,
    /// The snapshot that this target has.
    pub guid: Guid,
}

impl Marker {
    /// Reads the part after the `#` of a bookmark's name; `None` where it is
    /// no marker.
    ///
    /// Only the exact form that [`Marker::bookmark`] writes is one, since
    /// markers are destroyed when they are stale and other bookmarks never.
    pub fn parse(bookmark: &str) -> Option<Marker> {
        Self::parse_after(PREFIX, bookmark)
    }

    /// The same for what [`Marker::sending`] writes.
    pub fn parse_sending(bookmark: &str) -> Option<Marker> {
        Self::parse_after(SENDING_PREFIX, bookmark)
    }

    fn parse_after(prefix: &str, bookmark: &str) -> Option<Marker> {
        let (target, guid) = bookmark.strip_prefix(prefix)?.split_once('-')?;
        let digits = guid
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if guid.len() != GUID_DIGITS || !digits {
            return None;
        }
        Some(Marker {
            target: target.parse().ok()?,
            guid: Guid(u64::from_str_radix(guid, 16).ok()?),
        })
    }

    /// The bookmark's name on a dataset of the source.
    ///
    /// # Errors
    ///
    /// [`zfs_core::Error::InvalidName`] where the dataset's name is so long
    /// that no marker fits behind it.
    pub fn bookmark(&self, dataset: &DatasetName) -> Result<BookmarkName, zfs_core::Error> {
        dataset.with_bookmark(&self.to_string())
    }

    /// The name of the bookmark that keeps the base while it is being sent.
    ///
    /// # Errors
    ///
    /// As [`Marker::bookmark`], for the same datasets.
    pub fn sending(&self, dataset: &DatasetName) -> Result<BookmarkName, zfs_core::Error> {
        dataset.with_bookmark(&self.after(SENDING_PREFIX))
    }

    fn after(&self, prefix: &str) -> String {
        format!("{prefix}{}-{:016x}", self.target, self.guid.0)
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.after(PREFIX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(id in "[A-Za-z0-9]{1,16}", guid: u64) {
            let marker = Marker { target: id.parse().unwrap(), guid: Guid(guid) };
            prop_assert_eq!(Marker::parse(&marker.to_string()), Some(marker.clone()));
            let dataset = DatasetName::parse("tank/a").unwrap();
            let sending = marker.sending(&dataset).unwrap();
            prop_assert_eq!(sending.as_str().len(), marker.bookmark(&dataset).unwrap().as_str().len());
            prop_assert_eq!(Marker::parse(sending.bookmark()), None);
            prop_assert_eq!(Marker::parse_sending(sending.bookmark()), Some(marker));
        }

        #[test]
        fn whatever_is_read_is_written_back_the_same(name in "(replica-)?[a-zA-Z0-9-]{0,40}") {
            if let Some(marker) = Marker::parse(&name) {
                prop_assert_eq!(marker.to_string(), name);
            }
        }
    }

    #[test]
    fn other_bookmarks_are_no_markers() {
        for name in [
            "",
            "replica",
            "replica-",
            "replica-siteb",
            "replica-siteb-",
            "replica-siteb-1",
            "replica--0000000000000001",
            "replica-siteb-000000000000000G",
            "replica-siteb-00000000000000AB",
            "replica-siteb-+000000000000001",
            "replica-site.b-0000000000000001",
            "replica-siteb-0000000000000001-x",
            "replica-12345678901234567-0000000000000001",
            "Replica-siteb-0000000000000001",
        ] {
            assert_eq!(Marker::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_derived_identifier_never_changes() {
        let dataset = DatasetName::parse("vault/home").unwrap();
        assert_eq!(
            TargetId::derived("backup", &dataset).as_str(),
            "a16f0fe22798b8ef"
        );
    }
}
