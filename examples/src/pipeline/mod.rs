//! zfs-pipeline: one TOML file says what is snapshot, what is kept, and where
//! it goes.
//!
//! ```text
//! config -> for each job: snapshot -> for each target: plan -> execute -> prune -> report
//! ```

pub mod config;
mod keep_streams;
pub(crate) mod observe;
mod pretend;
mod prune;
pub mod report;
pub mod run;
mod table;
mod take;
