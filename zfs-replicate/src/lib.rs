//! Replication of ZFS datasets: a pure planner and an executor that resumes.
//!
//! ```text
//! two endpoints -> two trees -> plan -> steps -> executor -> events
//! ```
//!
//! - [`tree`]: what a side has: datasets with their snapshots and bookmarks.
//! - [`plan`]: from two trees to steps, each with its reason. It does no I/O.
//! - [`endpoint`]: the two ends, of which the local one is zfs-core in process.
//! - [`execute`]: carries a plan out between two endpoints.
//! - [`marker`]: the bookmarks that remember on the source what a target has.
//!
//! Everything is matched by GUID, never by name alone, and no state is kept
//! outside the pools: a run that was killed anywhere is followed by one that
//! looks, plans and goes on.

#![forbid(unsafe_code)]

pub mod endpoint;
pub mod execute;
pub mod marker;
pub mod package;
pub mod plan;
pub mod properties;
pub mod tree;

mod error;

pub use error::Error;

/// This crate's README, whose examples must compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The workspace's README, whose example must compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct WorkspaceReadme;
