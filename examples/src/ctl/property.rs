//! set, inherit.

use anyhow::{Result, bail};
use clap::Args;
use zfs_core::{DatasetName, Error, Mounts, Name, Properties, PropertyValue, Zfs};

use super::act::{Act, each};
use super::name::{Any, assignment, number, tree};
use super::usage;

/// Set properties
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  zfs-ctl set compression=zstd quota=10G tank/home
  zfs-ctl set userquota@ann=5G tank/home
  zfs-ctl set refreservation=auto tank/disk     all that the volume can take
  zfs-ctl set -u mountpoint=/srv tank/home      the next mount is there")]
pub struct Set {
    /// Everything stays mounted as it is
    #[arg(short)]
    unchanged_mounts: bool,
    /// PROPERTY=VALUE…, then the names
    #[arg(required = true, num_args = 2..)]
    arguments: Vec<String>,
}

impl Set {
    /// Carries it out.
    pub fn run(self, act: &mut Act) -> Result<()> {
        let given = self.arguments.iter().take_while(|text| text.contains('='));
        let mut properties = Properties::new();
        let mut count = 0;
        for text in given {
            let Ok((property, value)) = assignment(text) else {
                return usage(format!("{text} is no PROPERTY=VALUE"));
            };
            properties.set(property, value);
            count += 1;
        }
        let names = self.arguments.get(count..).unwrap_or_default();
        if count == 0 || names.is_empty() {
            return usage("PROPERTY=VALUE and a name are wanted");
        }
        let mounts = if self.unchanged_mounts {
            Mounts::Leave
        } else {
            Mounts::Follow
        };
        each(all(names)?, |name| match name {
            Any::Dataset(name) => {
                let properties = with_reservation(act, &name, &properties)?;
                Ok(act.step("set", &name, |zfs| {
                    zfs.set_properties_with(&name, &properties, mounts)
                })?)
            }
            Any::Snapshot(name) => {
                Ok(act.step("set", &name, |zfs| zfs.set_properties(&name, &properties))?)
            }
            Any::Bookmark(name) => bail!("cannot set property for '{name}': it is a bookmark"),
        })
    }
}

/// The names, all of them read before anything is changed.
fn all(names: &[String]) -> Result<Vec<Any>> {
    names.iter().map(|name| Any::parse(name)).collect()
}

/// A volume that reserves all it can take goes on doing so with a new size.
/// One that the kernel would refuse is refused here, since the kernel would
/// take the reservation all the same.
fn with_reservation(act: &Act, name: &DatasetName, wanted: &Properties) -> Result<Properties> {
    let mut properties = wanted.clone();
    let Some(new) = number(wanted.get("volsize")) else {
        return Ok(properties);
    };
    let now = act.zfs.properties(name)?;
    let numbers = ["volsize", "volblocksize", "refreservation"].map(|p| now.number(p));
    let [Some(old), Some(block), Some(reserved)] = numbers else {
        return Ok(properties);
    };
    if new == 0 || new % block.max(1) != 0 {
        bail!(
            "cannot set property for '{name}': volsize must be a multiple of its volblocksize \
             ({block} bytes), and is {new}"
        );
    }
    if wanted.get("refreservation").is_some() || reserved == 0 {
        return Ok(properties);
    }
    let layout = act.zfs.volume_layout(&name.pool())?;
    if reserved == layout.reservation(old, block) {
        properties.set("refreservation", layout.reservation(new, block));
    }
    Ok(properties)
}

/// Give a property back to what is inherited
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  zfs-ctl inherit compression tank/home
  zfs-ctl inherit -S compression backup/home      what came with the stream")]
pub struct Inherit {
    /// On everything below as well
    #[arg(short)]
    recursive: bool,
    /// The received value, where there is one
    #[arg(short = 'S')]
    received: bool,
    property: String,
    #[arg(required = true)]
    names: Vec<String>,
}

impl Inherit {
    /// Carries it out.
    pub fn run(self, act: &mut Act) -> Result<()> {
        each(all(&self.names)?, |name| match name {
            Any::Dataset(root) => each(tree(&act.zfs, &root, self.recursive)?, |name| {
                Ok(act.step("inherit", &name, |zfs| self.one(zfs, &name))?)
            }),
            Any::Snapshot(name) => Ok(act.step("inherit", &name, |zfs| self.one(zfs, &name))?),
            Any::Bookmark(name) => bail!("cannot inherit on '{name}': it is a bookmark"),
        })
    }
}

impl Inherit {
    fn one<N: Name>(&self, zfs: &Zfs, name: &N) -> Result<(), Error> {
        if self.received {
            zfs.revert_property(name, &self.property)
        } else {
            zfs.inherit_property(name, &self.property)
        }
    }
}

/// Columns as zfs(8) prints them: two spaces between, or for scripts a tab.
pub fn table(heads: &[&str], rows: &[impl AsRef<[String]>], script: bool) {
    let mut widths: Vec<usize> = heads.iter().map(|head| head.len()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row.as_ref()) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String]| {
        if script {
            return cells.join("\t");
        }
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    if !script && !rows.is_empty() {
        let heads: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
        println!("{}", line(&heads));
    }
    for row in rows {
        println!("{}", line(row.as_ref()));
    }
}

/// A property's value as text.
pub fn text(value: &PropertyValue) -> String {
    match value {
        PropertyValue::Number(number) => number.to_string(),
        PropertyValue::Text(text) => text.clone(),
    }
}
