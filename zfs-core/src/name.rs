//! Names of pools, datasets, snapshots and bookmarks, and the numbers that
//! identify them for good.
//!
//! A name is checked once, when it is parsed, by the rules of the kernel
//! (OpenZFS, `module/zcommon/zfs_namecheck.c`) and carried as a type from
//! then on. This matters more than usual here: libzfs_core cuts names that
//! are too long without a word, and would then act on another dataset.
//!
//! The rules in short: letters, digits and `- _ . :` and space; components
//! between slashes are not empty and neither `.` nor `..`; the whole name has
//! at most [`MAX_NAME_BYTES`] bytes; a pool begins with a letter and is none
//! of the reserved words. How deep datasets may nest ([`MAX_NESTING`]) is the
//! kernel's to check when one is made: the limit can be tuned, and older
//! pools exceed it.
//!
//! ```
//! use zfs_core::{DatasetName, SnapshotName};
//!
//! let home: DatasetName = "tank/home".parse()?;
//! let monday = home.with_snapshot("monday")?;
//! assert_eq!(monday.as_str(), "tank/home@monday");
//! assert_eq!(monday.dataset(), &home);
//! assert_eq!(monday.snapshot(), "monday");
//! assert!("tank//home@x".parse::<SnapshotName>().is_err());
//! # Ok::<(), zfs_core::Error>(())
//! ```

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

pub use point::SnapshotOrBookmark;

use crate::error::{Error, NameProblem};

mod point;

/// The longest name of a dataset, snapshot or bookmark, in bytes: one less
/// than `ZFS_MAX_DATASET_NAME_LEN`, which counts C's closing zero.
pub const MAX_NAME_BYTES: usize = 255;

/// How many components a dataset's name may have when it is created or
/// renamed, unless the module parameter `zfs_max_dataset_nesting` says
/// otherwise.
pub const MAX_NESTING: usize = 50;

/// Room is left in a pool's name for `/$ORIGIN@$ORIGIN`.
const MAX_POOL_NAME_BYTES: usize = 239;

const RESERVED_POOL_NAMES: [&str; 3] = ["mirror", "raidz", "draid"];

/// The hidden child in which the kernel keeps an interrupted receive into a
/// dataset that exists already (`recv_clone_name` in `dmu_recv.c`).
const PARTIAL_RECEIVE: &str = "%recv";

fn valid_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | ' ')
}

fn check_chars(component: &str) -> Result<(), NameProblem> {
    match component.chars().find(|c| !valid_char(*c)) {
        Some(c) => Err(NameProblem::Character(c)),
        None => Ok(()),
    }
}

fn check_component(component: &str) -> Result<(), NameProblem> {
    match component {
        "" => Err(NameProblem::EmptyComponent),
        "." => Err(NameProblem::SelfReference),
        ".." => Err(NameProblem::ParentReference),
        _ => check_chars(component),
    }
}

fn check_length(name: &str, max: usize) -> Result<(), NameProblem> {
    if name.len() > max {
        return Err(NameProblem::TooLong {
            bytes: name.len(),
            max,
        });
    }
    Ok(())
}

fn check_pool(name: &str) -> Result<(), NameProblem> {
    check_length(name, MAX_POOL_NAME_BYTES)?;
    match name.chars().next() {
        None => return Err(NameProblem::EmptyComponent),
        Some('/') => return Err(NameProblem::LeadingSlash),
        Some(_) => check_chars(name)?,
    }
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err(NameProblem::PoolNoLetter);
    }
    if RESERVED_POOL_NAMES.contains(&name) {
        return Err(NameProblem::Reserved);
    }
    Ok(())
}

fn check_dataset(name: &str) -> Result<(), NameProblem> {
    check_length(name, MAX_NAME_BYTES)?;
    match name.chars().find(|c| matches!(c, '@' | '#')) {
        Some(delimiter) => return Err(NameProblem::Delimiter(delimiter)),
        None if name.starts_with('/') => return Err(NameProblem::LeadingSlash),
        None if name.ends_with('/') => return Err(NameProblem::TrailingSlash),
        None => {}
    }
    let mut components = name.split('/');
    check_pool(components.next().unwrap_or_default())?;
    components.try_for_each(check_component)
}

/// Checks `DATASET{delimiter}COMPONENT` and returns the two.
fn check_member(name: &str, delimiter: char) -> Result<(&str, &str), NameProblem> {
    check_length(name, MAX_NAME_BYTES)?;
    let (dataset, member) = name
        .split_once(delimiter)
        .ok_or(NameProblem::Missing(delimiter))?;
    check_dataset(dataset)?;
    check_component(member)?;
    Ok((dataset, member))
}

fn invalid(what: &'static str, name: &str, problem: NameProblem) -> Error {
    Error::InvalidName {
        what,
        // A name comes from outside: what is said about it stays short.
        name: name.chars().take(MAX_NAME_BYTES + 1).collect(),
        problem,
    }
}

/// What every name type has: text out, text in, order and hash of the text.
macro_rules! name_traits {
    ($type:ident, $what:literal) => {
        impl $type {
            /// Reads and checks a name.
            ///
            /// # Errors
            ///
            /// [`Error::InvalidName`], which says what is wrong with it.
            pub fn parse(name: impl AsRef<str>) -> Result<Self, Error> {
                name.as_ref().parse()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }

        impl TryFrom<&str> for $type {
            type Error = Error;

            fn try_from(name: &str) -> Result<Self, Error> {
                name.parse()
            }
        }

        impl TryFrom<String> for $type {
            type Error = Error;

            fn try_from(name: String) -> Result<Self, Error> {
                name.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.as_str().to_owned()
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }

        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                self.as_str() == other.as_str()
            }
        }

        impl Eq for $type {}

        impl PartialEq<str> for $type {
            fn eq(&self, other: &str) -> bool {
                self.as_str() == other
            }
        }

        impl PartialEq<&str> for $type {
            fn eq(&self, other: &&str) -> bool {
                self.as_str() == *other
            }
        }

        impl PartialOrd for $type {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $type {
            fn cmp(&self, other: &Self) -> Ordering {
                self.as_str().cmp(other.as_str())
            }
        }

        impl Hash for $type {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.as_str().hash(state);
            }
        }
    };
}

/// The name of a pool: `tank`.
#[derive(Clone)]
pub struct PoolName(Arc<str>);

name_traits!(PoolName, "pool");

impl PoolName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The pool's root dataset, which has the pool's name.
    pub fn root(&self) -> DatasetName {
        DatasetName(Arc::clone(&self.0))
    }
}

impl FromStr for PoolName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match check_pool(name) {
            Ok(()) => Ok(PoolName(name.into())),
            Err(problem) => Err(invalid("pool", name, problem)),
        }
    }
}

/// The name of a filesystem or volume: `tank/home/ann`.
///
/// Cloning is cheap. Names are ordered as their bytes are.
#[derive(Clone)]
pub struct DatasetName(Arc<str>);

name_traits!(DatasetName, "dataset");

impl FromStr for DatasetName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match check_dataset(name) {
            Ok(()) => Ok(DatasetName(name.into())),
            Err(problem) => Err(invalid("dataset", name, problem)),
        }
    }
}

impl From<PoolName> for DatasetName {
    fn from(pool: PoolName) -> DatasetName {
        DatasetName(pool.0)
    }
}

impl DatasetName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The pool it is in.
    pub fn pool(&self) -> PoolName {
        match self.0.split_once('/') {
            Some((pool, _)) => PoolName(pool.into()),
            None => PoolName(Arc::clone(&self.0)),
        }
    }

    /// Whether it is the root dataset of its pool.
    pub fn is_pool_root(&self) -> bool {
        !self.0.contains('/')
    }

    /// The components between the slashes; the first is the pool.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The part after the last slash: `ann` of `tank/home/ann`.
    pub fn last_component(&self) -> &str {
        match self.0.rsplit_once('/') {
            Some((_, last)) => last,
            None => &self.0,
        }
    }

    /// The number of slashes: 0 for a pool's root dataset.
    pub fn depth(&self) -> usize {
        self.0.matches('/').count()
    }

    /// The dataset above, or `None` at the pool's root.
    pub fn parent(&self) -> Option<DatasetName> {
        self.0
            .rsplit_once('/')
            .map(|(parent, _)| DatasetName(parent.into()))
    }

    /// The datasets above, the nearest first, the pool's root last.
    pub fn ancestors(&self) -> impl Iterator<Item = DatasetName> {
        std::iter::successors(self.parent(), DatasetName::parent)
    }

    /// The dataset of that name right below.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidName`] where `component` is none: empty, with a slash
    /// in it, or too long with what stands before it.
    pub fn child(&self, component: &str) -> Result<DatasetName, Error> {
        let name = format!("{self}/{component}");
        if let Err(problem) = check_component(component) {
            return Err(invalid("dataset", &name, problem));
        }
        name.parse()
    }

    /// The dataset at a relative path below this one: `tank/home` joined
    /// with `ann/mail` is `tank/home/ann/mail`, with an empty path itself.
    ///
    /// It undoes [`DatasetName::strip_prefix`].
    ///
    /// # Errors
    ///
    /// [`Error::InvalidName`] where the outcome is not a dataset's name.
    ///
    /// # Example
    ///
    /// ```
    /// use zfs_core::DatasetName;
    ///
    /// let source = DatasetName::parse("tank/home")?;
    /// let backup = DatasetName::parse("vault/tank/home")?;
    /// let mail = DatasetName::parse("tank/home/ann/mail")?;
    /// let relative = mail.strip_prefix(&source).expect("it is below");
    /// assert_eq!(backup.join(relative)?, "vault/tank/home/ann/mail");
    /// # Ok::<(), zfs_core::Error>(())
    /// ```
    pub fn join(&self, relative: &str) -> Result<DatasetName, Error> {
        if relative.is_empty() {
            return Ok(self.clone());
        }
        format!("{self}/{relative}").parse()
    }

    /// The path from `base` down to this dataset, without a slash in front:
    /// empty where they are the same, `None` where this is not in `base`.
    pub fn strip_prefix(&self, base: &DatasetName) -> Option<&str> {
        let rest = self.0.strip_prefix(base.as_str())?;
        if rest.is_empty() {
            return Some(rest);
        }
        rest.strip_prefix('/')
    }

    /// Whether this is below `base`, at any depth. A dataset is not below
    /// itself.
    pub fn is_descendant_of(&self, base: &DatasetName) -> bool {
        self.strip_prefix(base).is_some_and(|rest| !rest.is_empty())
    }

    /// Whether this is `base` or below it.
    pub fn is_within(&self, base: &DatasetName) -> bool {
        self.strip_prefix(base).is_some()
    }

    /// The snapshot of that name of this dataset.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidName`] where `snapshot` cannot be one's name.
    pub fn with_snapshot(&self, snapshot: &str) -> Result<SnapshotName, Error> {
        let full = self.member("snapshot", '@', snapshot)?;
        Ok(SnapshotName {
            full,
            dataset: self.clone(),
        })
    }

    /// The bookmark of that name of this dataset.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidName`] where `bookmark` cannot be one's name.
    pub fn with_bookmark(&self, bookmark: &str) -> Result<BookmarkName, Error> {
        let full = self.member("bookmark", '#', bookmark)?;
        Ok(BookmarkName {
            full,
            dataset: self.clone(),
        })
    }

    fn member(&self, what: &'static str, delimiter: char, member: &str) -> Result<Arc<str>, Error> {
        let full = format!("{self}{delimiter}{member}");
        match check_component(member).and_then(|()| check_length(&full, MAX_NAME_BYTES)) {
            Ok(()) => Ok(full.into()),
            Err(problem) => Err(invalid(what, &full, problem)),
        }
    }

    /// The hidden child where the kernel keeps what an interrupted,
    /// resumable receive into this existing dataset has brought so far:
    /// `tank/home/%recv`. Destroying it gives up the partial receive.
    ///
    /// This is the only way to a name with `%` in it, which no dataset of
    /// anybody's own can have.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidName`] where the name would be too long.
    pub fn partial_receive(&self) -> Result<DatasetName, Error> {
        let name = format!("{self}/{PARTIAL_RECEIVE}");
        match check_length(&name, MAX_NAME_BYTES) {
            Ok(()) => Ok(DatasetName(name.into())),
            Err(problem) => Err(invalid("dataset", &name, problem)),
        }
    }
}

macro_rules! member_name {
    (
        $(#[$doc:meta])* $type:ident, $what:literal, $delimiter:literal, $member:ident
    ) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $type {
            full: Arc<str>,
            dataset: DatasetName,
        }

        name_traits!($type, $what);

        impl FromStr for $type {
            type Err = Error;

            fn from_str(name: &str) -> Result<Self, Error> {
                match check_member(name, $delimiter) {
                    Ok((dataset, _)) => Ok($type {
                        full: name.into(),
                        dataset: DatasetName(dataset.into()),
                    }),
                    Err(problem) => Err(invalid($what, name, problem)),
                }
            }
        }

        impl $type {
            /// The whole name as text.
            pub fn as_str(&self) -> &str {
                &self.full
            }

            /// The dataset it belongs to.
            pub fn dataset(&self) -> &DatasetName {
                &self.dataset
            }

            #[doc = concat!("The part after the `", $delimiter, "`.")]
            pub fn $member(&self) -> &str {
                match self.full.split_once($delimiter) {
                    Some((_, member)) => member,
                    None => "",
                }
            }

            /// The pool it is in.
            pub fn pool(&self) -> PoolName {
                self.dataset.pool()
            }

            /// The same name under another dataset, as on a replica.
            ///
            /// # Errors
            ///
            /// [`Error::InvalidName`] where that would be too long.
            pub fn on(&self, dataset: &DatasetName) -> Result<$type, Error> {
                Ok($type {
                    full: dataset.member($what, $delimiter, self.$member())?,
                    dataset: dataset.clone(),
                })
            }
        }
    };
}

member_name! {
    /// The name of a snapshot: `tank/home@monday`.
    ///
    /// Cloning is cheap. Names are ordered as their bytes are, which is not
    /// the order of creation: that is [`Txg`]'s.
    SnapshotName, "snapshot", '@', snapshot
}

member_name! {
    /// The name of a bookmark: `tank/home#monday`.
    ///
    /// Cloning is cheap. Names are ordered as their bytes are, which is not
    /// the order of creation: that is [`Txg`]'s.
    BookmarkName, "bookmark", '#', bookmark
}

macro_rules! number {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $type(pub u64);

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::LowerHex for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::LowerHex::fmt(&self.0, f)
            }
        }

        impl From<u64> for $type {
            fn from(number: u64) -> $type {
                $type(number)
            }
        }

        impl From<$type> for u64 {
            fn from(number: $type) -> u64 {
                number.0
            }
        }

        impl FromStr for $type {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map($type)
            }
        }
    };
}

number! {
    /// What identifies a dataset, snapshot or bookmark whatever its name is.
    ///
    /// A snapshot's GUID is the same in every replica of it and in every
    /// bookmark made from it. Shown in decimal, as `zfs get guid` does;
    /// `{:x}` gives hex.
    Guid
}

number! {
    /// The transaction group in which something was made: the order of
    /// creation within one pool. It means nothing in another pool.
    Txg
}

#[cfg(test)]
mod tests;
