//! get, set, inherit.

use anyhow::{Result, bail};
use clap::Args;
use zfs_core::{
    DatasetName, DatasetProperties, Error, Mounted, Mounts, Name, Properties, Property,
    PropertyValue, Source, Zfs,
};

use super::act::Act;
use super::dataset::reservation;
use super::name::{Any, assignment, number, snapshots, tree};
use super::usage;

/// Set properties
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  zfs-ctl set compression=zstd quota=10G tank/home
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
        for name in names {
            match Any::parse(name)? {
                Any::Dataset(name) => {
                    let properties = with_reservation(act, &name, &properties)?;
                    act.step("set", &name, |zfs| {
                        zfs.set_properties_with(&name, &properties, mounts)
                    })?;
                }
                Any::Snapshot(name) => {
                    act.step("set", &name, |zfs| zfs.set_properties(&name, &properties))?;
                }
                Any::Bookmark(name) => bail!("cannot set property for '{name}': it is a bookmark"),
            }
        }
        Ok(())
    }
}

/// A volume that reserves all it can take goes on doing so with a new size.
fn with_reservation(act: &Act, name: &DatasetName, wanted: &Properties) -> Result<Properties> {
    let mut properties = wanted.clone();
    let Some(new) = number(wanted.get("volsize")) else {
        return Ok(properties);
    };
    if wanted.get("refreservation").is_some() {
        return Ok(properties);
    }
    let now = act.zfs.properties(name)?;
    let numbers = ["volsize", "volblocksize", "copies", "refreservation"].map(|p| now.number(p));
    if let [Some(old), Some(block), copies, Some(reserved)] = numbers {
        let copies = copies.unwrap_or(1);
        if reserved == reservation(old, block, copies) {
            properties.set("refreservation", reservation(new, block, copies));
        }
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
        for name in &self.names {
            match Any::parse(name)? {
                Any::Dataset(root) => {
                    for name in tree(&act.zfs, &root, self.recursive)? {
                        act.step("inherit", &name, |zfs| self.one(zfs, &name))?;
                    }
                }
                Any::Snapshot(name) => {
                    act.step("inherit", &name, |zfs| self.one(zfs, &name))?;
                }
                Any::Bookmark(name) => bail!("cannot inherit on '{name}': it is a bookmark"),
            }
        }
        Ok(())
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

/// Show properties
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  zfs-ctl get -Hp used,available tank/home
  zfs-ctl get -r -s local -o name,property,value all tank")]
pub struct Get {
    /// Of everything below as well
    #[arg(short)]
    recursive: bool,
    /// Of everything to that depth
    #[arg(short, value_name = "DEPTH")]
    depth: Option<usize>,
    /// For scripts: no head, and tabs
    #[arg(short = 'H')]
    script: bool,
    /// Numbers in full, which is the only way there is
    #[arg(short)]
    parsable: bool,
    /// The columns
    #[arg(
        short = 'o',
        value_delimiter = ',',
        default_value = "name,property,value,source"
    )]
    output: Vec<String>,
    /// The sources: local, default, inherited, received, none
    #[arg(short, value_delimiter = ',')]
    source: Vec<String>,
    /// The types: filesystem, volume, snapshot, all
    #[arg(short = 't', value_delimiter = ',')]
    types: Vec<String>,
    /// What is mounted, which the kernel does not list among the properties
    #[arg(skip)]
    mounted: Vec<String>,
    /// Properties with commas between them, or all
    properties: String,
    names: Vec<String>,
}

impl Get {
    /// Carries it out.
    pub fn run(mut self, act: &mut Act) -> Result<()> {
        for mount in act.zfs.mounts()? {
            if let Mounted::Filesystem(name) = mount.what {
                self.mounted.push(name.to_string());
            }
        }
        let mut heads = Vec::new();
        for column in &self.output {
            heads.push(match column.as_str() {
                "name" => "NAME",
                "property" => "PROPERTY",
                "value" => "VALUE",
                "source" => "SOURCE",
                other => return usage(format!("{other} is no column")),
            });
        }
        let mut rows = Vec::new();
        for name in &self.names {
            match Any::parse(name)? {
                Any::Dataset(root) => self.tree(act, &root, &mut rows)?,
                Any::Snapshot(name) => {
                    self.rows(name.as_str(), &act.zfs.properties(&name)?, &mut rows);
                }
                Any::Bookmark(name) => bail!("{name} is a bookmark; zfs-list shows those"),
            }
        }
        if act.is_json() {
            let rows: Vec<_> = rows
                .iter()
                .map(|row| {
                    let pairs = self.output.iter().cloned().zip(row.iter().cloned());
                    serde_json::Value::Object(pairs.map(|(k, v)| (k, v.into())).collect())
                })
                .collect();
            println!("{}", serde_json::Value::Array(rows));
            return Ok(());
        }
        table(&heads, &rows, self.script);
        Ok(())
    }

    fn tree(&self, act: &Act, root: &DatasetName, rows: &mut Vec<Vec<String>>) -> Result<()> {
        let levels = match (self.depth, self.recursive) {
            (Some(levels), _) => levels,
            (None, true) => usize::MAX,
            (None, false) => 0,
        };
        let wants = |kind: &str| {
            self.types
                .iter()
                .any(|wanted| wanted == kind || wanted == "all")
        };
        for name in tree(&act.zfs, root, levels > 0)? {
            let depth = name.depth() - root.depth();
            if depth > levels {
                continue;
            }
            let properties = act.zfs.properties(&name)?;
            if self.types.is_empty() || wants(&properties.text("type")) {
                self.rows(name.as_str(), &properties, rows);
            }
            let with_snapshots = wants("snapshot") || (self.types.is_empty() && levels > 0);
            if with_snapshots && depth < levels.max(1) {
                for snapshot in snapshots(&act.zfs, &name)? {
                    let properties = act.zfs.properties(&snapshot.name)?;
                    self.rows(snapshot.name.as_str(), &properties, rows);
                }
            }
        }
        Ok(())
    }

    fn rows(&self, name: &str, properties: &DatasetProperties, rows: &mut Vec<Vec<String>>) {
        let wanted: Vec<String> = if self.properties == "all" {
            properties.iter().map(|(property, _)| property).collect()
        } else {
            self.properties.split(',').map(str::to_owned).collect()
        };
        for property in wanted {
            // The kernel counts these for all that it has; zfs(8) shows them
            // of snapshots alone.
            let is_foreign = !name.contains('@')
                && ["clones", "defer_destroy", "userrefs"].contains(&property.as_str());
            if is_foreign && self.properties == "all" {
                continue;
            }
            let (source, value) = match properties.get(&property) {
                _ if property == "mounted" && properties.text("type") == "filesystem" => {
                    let is_mounted = self.mounted.iter().any(|mounted| mounted == name);
                    (
                        Source::None,
                        if is_mounted { "yes" } else { "no" }.to_owned(),
                    )
                }
                Some(Property { source, .. }) if !is_foreign => {
                    (source, properties.text(&property))
                }
                _ => (Source::None, "-".to_owned()),
            };
            let word = match &source {
                Source::Inherited(_) => "inherited".to_owned(),
                Source::None => "none".to_owned(),
                other => other.to_string(),
            };
            if !self.source.is_empty() && !self.source.contains(&word) {
                continue;
            }
            let cells = self.output.iter().map(|column| match column.as_str() {
                "name" => name.to_owned(),
                "property" => property.clone(),
                "value" => value.clone(),
                _ => source.to_string(),
            });
            rows.push(cells.collect());
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
