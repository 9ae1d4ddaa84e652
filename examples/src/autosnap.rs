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
mod found;
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

/// Where packages of sanoid put its defaults.
const PACKAGED_DEFAULTS: &str = "/usr/share/sanoid/sanoid.defaults.conf";

/// Reads `sanoid.conf` in a folder, over the first of these that is there:
/// `sanoid.defaults.conf` beside it, as sanoid has it; the file of a packaged
/// sanoid, which reads no other; the defaults of sanoid 2.3.0, built in.
pub fn read_conf(dir: &Path) -> anyhow::Result<Result<Conf, Error>> {
    read_conf_over(dir, Path::new(PACKAGED_DEFAULTS))
}

fn read_conf_over(dir: &Path, packaged: &Path) -> anyhow::Result<Result<Conf, Error>> {
    let path = dir.join("sanoid.conf");
    let text = fs::read_to_string(&path)
        .with_context(|| format!("cannot read the configuration {}", path.display()))?;
    let mut defaults = None;
    for path in [dir.join("sanoid.defaults.conf").as_path(), packaged] {
        match fs::read_to_string(path) {
            Ok(text) => {
                defaults = Some((path.display().to_string(), text));
                break;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                let path = path.display();
                return Err(error).with_context(|| format!("cannot read the defaults {path}"));
            }
        }
    }
    let name = path.display().to_string();
    let conf = Source {
        name: &name,
        text: &text,
    };
    let defaults = defaults.as_ref().map(|(name, text)| Source { name, text });
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

#[cfg(test)]
mod tests {
    use zfs_retention::Tier;

    use super::*;

    #[test]
    fn defaults_beside_the_configuration_go_before_those_of_a_package() {
        let (dir, package) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let packaged = package.path().join("sanoid.defaults.conf");
        let daily = || {
            let conf = read_conf_over(dir.path(), &packaged).unwrap().unwrap();
            conf.expand_as_written()[0].settings.count(Tier::Daily)
        };
        let defaults =
            |daily| format!("[version]\nversion = 2\n[template_default]\ndaily = {daily}\n");
        fs::write(dir.path().join("sanoid.conf"), "[tank]\n").unwrap();
        assert_eq!(daily(), 90);
        fs::write(&packaged, defaults(7)).unwrap();
        assert_eq!(daily(), 7);
        fs::write(dir.path().join("sanoid.defaults.conf"), defaults(5)).unwrap();
        assert_eq!(daily(), 5);
    }
}
