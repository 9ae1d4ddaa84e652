//! zfs-autosnap: snapshots by sanoid.conf.
//!
//! ```text
//! sanoid.conf ┐
//! ZFS ────────┴─> site ─> take ──> snapshots
//!                      ├> prune ─> destructions
//!                      └> monitor ─> a line for Nagios
//! ```
//!
//! `check`, `explain` and `simulate` need no ZFS.

pub mod arguments;
pub mod check;
pub mod explain;
pub mod health;
pub mod hook;
pub mod listing;
pub mod lock;
pub mod monitor;
pub mod pools;
pub mod prune;
pub mod run;
pub mod say;
pub mod simulate;
pub mod site;
pub mod take;
pub mod targets;

use std::fs;
use std::path::Path;

use anyhow::Context;
use jiff::tz::TimeZone;
use zfs_retention::conf::{Conf, Source};
use zfs_retention::{Error, parse_length};

use crate::exit::UsageError;

/// Reads `sanoid.conf` in a folder, over `sanoid.defaults.conf` where that
/// lies beside it and over sanoid's own defaults where not.
pub fn read_conf(dir: &Path) -> anyhow::Result<Result<Conf, Error>> {
    let path = dir.join("sanoid.conf");
    let text = fs::read_to_string(&path)
        .with_context(|| format!("cannot read the configuration {}", path.display()))?;
    let defaults_path = dir.join("sanoid.defaults.conf");
    let defaults = match fs::read_to_string(&defaults_path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            let path = defaults_path.display();
            return Err(error).with_context(|| format!("cannot read the defaults {path}"));
        }
    };
    let (name, defaults_name) = (
        path.display().to_string(),
        defaults_path.display().to_string(),
    );
    let conf = Source {
        name: &name,
        text: &text,
    };
    let defaults = defaults.as_deref().map(|text| Source {
        name: &defaults_name,
        text,
    });
    Ok(Conf::read(conf, defaults))
}

/// The same, where a configuration that cannot be used ends it.
pub fn usable_conf(dir: &Path) -> anyhow::Result<Conf> {
    match read_conf(dir) {
        Ok(conf) => conf.map_err(|error| UsageError(error.to_string()).into()),
        Err(error) => Err(UsageError(format!("{error:#}")).into()),
    }
}

/// A zone by its name, or the machine's.
pub fn zone(name: Option<&str>) -> anyhow::Result<TimeZone> {
    match name {
        None => Ok(TimeZone::system()),
        Some(name) => TimeZone::get(name)
            .map_err(|error| UsageError(format!("cannot use --tz {name}: {error}")).into()),
    }
}

/// A length of time as clap wants it.
pub fn length(text: &str) -> Result<jiff::SignedDuration, String> {
    parse_length(text).map_err(|error| error.to_string())
}
