//! zfs-pipeline: one TOML file says what is snapshot, what is kept, and where
//! it goes.

pub mod config;
