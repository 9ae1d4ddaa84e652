//! What `zfs-ctl` does: the verbs of zfs(8), one file for each group of them.
//!
//! Each verb is a struct of its options, in zfs(8)'s letters, with a `run`
//! that calls the library: whoever knows the one learns the other.

pub mod act;
pub mod allow;
pub mod dataset;
pub mod destroy;
pub mod diff;
pub mod get;
pub mod key;
pub mod mount;
pub mod name;
pub mod new_key;
pub mod program;
mod progress;
mod prompt;
pub mod property;
pub mod snapshot;
pub mod stream;

use std::fmt;

/// zfs(8)'s exit code 2: the command line makes no sense.
#[derive(Debug)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// A refusal of the command line.
pub fn usage<T>(text: impl Into<String>) -> anyhow::Result<T> {
    Err(Usage(text.into()).into())
}
