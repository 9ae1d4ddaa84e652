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
mod decode;
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
mod scripts;
pub mod simulate;
pub mod site;
pub mod take;
pub mod targets;
mod when;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::tz::{self, TimeZone};
use zfs_retention::conf::{Conf, Problem, Problems, Severity, Source};
use zfs_retention::{Error, parse_length};

use crate::exit::UsageError;

/// Where packages of sanoid put its defaults.
const PACKAGED_DEFAULTS: &str = "/usr/share/sanoid/sanoid.defaults.conf";

/// The file that a folder of a configuration means, or the file itself.
fn conf_file(given: &Path) -> PathBuf {
    if given.is_file() {
        given.to_owned()
    } else {
        given.join("sanoid.conf")
    }
}

/// Reads `sanoid.conf` in a folder, or that file, over the first of these that
/// is there: `sanoid.defaults.conf` beside it, as sanoid has it; the file of a
/// packaged sanoid, which reads no other; the defaults of sanoid 2.3.0, built
/// in.
pub fn read_conf(given: &Path) -> anyhow::Result<Result<Conf, Error>> {
    read_conf_over(given, Path::new(PACKAGED_DEFAULTS))
}

fn read_conf_over(given: &Path, packaged: &Path) -> anyhow::Result<Result<Conf, Error>> {
    let path = conf_file(given);
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()));
    let bytes = bytes.map_err(|error| match error.downcast_ref::<std::io::Error>() {
        Some(cause) if cause.kind() == ErrorKind::NotFound => {
            let path = path.display();
            anyhow::anyhow!("there is no {path}: write one, or name its folder with --config")
        }
        _ => error,
    })?;
    let mut defaults = None;
    for path in [
        path.with_file_name("sanoid.defaults.conf").as_path(),
        packaged,
    ] {
        match fs::read(path) {
            Ok(bytes) => {
                defaults = Some((path.display().to_string(), bytes));
                break;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                let path = path.display();
                return Err(error).with_context(|| format!("cannot read the defaults {path}"));
            }
        }
    }
    let name = path.display().to_string();
    let text = match decoded(&name, &bytes) {
        Ok(text) => text,
        Err(error) => return Ok(Err(error)),
    };
    let defaults = defaults.map(|(name, bytes)| decoded(&name, &bytes).map(|text| (name, text)));
    let defaults = match defaults.transpose() {
        Ok(defaults) => defaults,
        Err(error) => return Ok(Err(error)),
    };
    let conf = Source {
        name: &name,
        text: &text,
    };
    let defaults = defaults.as_ref().map(|(name, text)| Source { name, text });
    Ok(Conf::read(conf, defaults))
}

fn decoded(file: &str, bytes: &[u8]) -> Result<String, Error> {
    decode::text(bytes).map_err(|wrong| {
        Error::Conf(Problems(vec![Problem {
            file: file.to_owned(),
            line: wrong.line,
            severity: Severity::Error,
            text: wrong.text,
        }]))
    })
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
        Some(name) => TimeZone::get(name).map_err(|error| {
            let meant = zones_called(name);
            let meant = if meant.is_empty() {
                error.to_string()
            } else {
                format!("did you mean {}?", meant.join(" or "))
            };
            UsageError(format!("cannot use --tz {name}: {meant}")).into()
        }),
    }
}

/// The zones of a town.
fn zones_called(town: &str) -> Vec<String> {
    let town = town.replace(' ', "_");
    let known = tz::db().available().map(|zone| zone.to_string());
    let of_town = known.filter(|zone| {
        // Where the system has all of them again, with and without leap seconds.
        let again = zone.starts_with("posix/") || zone.starts_with("right/");
        let own = zone.rsplit('/').next().unwrap_or_default();
        !again && own.eq_ignore_ascii_case(&town)
    });
    of_town.collect()
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
    fn a_town_is_not_a_zone_but_leads_to_one() {
        let told = zone(Some("berlin")).unwrap_err().to_string();
        assert_eq!(told, "cannot use --tz berlin: did you mean Europe/Berlin?");
        assert!(zone(Some("Nowhere")).is_err() && zone(Some("UTC")).is_ok());
    }

    #[test]
    fn the_file_does_as_well_as_its_folder() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("other.conf");
        fs::write(&file, "[tank]\n").unwrap();
        fs::write(
            dir.path().join("sanoid.defaults.conf"),
            "[version]\nversion = 1\n",
        )
        .unwrap();
        let told = read_conf(&file).unwrap().unwrap_err().to_string();
        assert!(told.contains("sanoid.defaults.conf:2"), "{told}");
    }

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
