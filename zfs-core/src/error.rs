//! What can go wrong, in sentences.

/// What is wrong with a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameProblem {
    /// It has more bytes than ZFS allows.
    #[error("it has {bytes} bytes and may have {max}")]
    TooLong {
        /// How many bytes it has.
        bytes: usize,
        /// How many it may have.
        max: usize,
    },
    /// It begins with a slash.
    #[error("it begins with a slash")]
    LeadingSlash,
    /// It ends with a slash.
    #[error("it ends with a slash")]
    TrailingSlash,
    /// There is nothing between two slashes, or before or after a delimiter.
    #[error("a component of it is empty")]
    EmptyComponent,
    /// A character that ZFS does not allow in names.
    #[error("{0:?} is not allowed in it (letters, digits, '-', '_', '.', ':' and space are)")]
    Character(char),
    /// A snapshot's or bookmark's delimiter where none belongs.
    #[error("{0:?} does not belong in it")]
    Delimiter(char),
    /// The delimiter that makes it a snapshot's or bookmark's name is absent.
    #[error("it has no {0:?}")]
    Missing(char),
    /// A component is `.`.
    #[error("a component of it is \".\"")]
    SelfReference,
    /// A component is `..`.
    #[error("a component of it is \"..\"")]
    ParentReference,
    /// The pool's name does not begin with a letter.
    #[error("a pool's name begins with a letter")]
    PoolNoLetter,
    /// The pool's name is a word that ZFS keeps for itself.
    #[error("this pool name is reserved by ZFS")]
    Reserved,
}

/// Why something on ZFS could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name that cannot be one.
    #[error("{name:?} is not the name of a {what}: {problem}")]
    InvalidName {
        /// What it should have named: pool, dataset, snapshot or bookmark.
        what: &'static str,
        /// The name, cut at 256 characters.
        name: String,
        /// What is wrong with it.
        problem: NameProblem,
    },
}
