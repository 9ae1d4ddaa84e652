//! snapshot, rollback, hold, release, holds, bookmark.

use std::time::SystemTime;

use anyhow::{Result, bail};
use clap::Args;
use zfs_core::{DatasetName, Defer, ListDatasets, Properties, SnapshotName, SnapshotOrBookmark};

use super::act::{Act, each};
use super::name::{Any, assignment, snapshots, tree};
use super::usage;

/// Take snapshots, all in the same instant
#[derive(Args, Debug)]
#[command(
    visible_alias = "snap",
    after_help = "Examples:
  zfs-ctl snapshot -r tank@monday
  zfs-ctl snapshot -o org.example:by=ann tank/home@a tank/mail@a"
)]
pub struct Snapshot {
    /// Of everything below as well
    #[arg(short)]
    recursive: bool,
    /// A user property
    #[arg(short = 'o', value_name = "PROPERTY=VALUE", value_parser = assignment)]
    properties: Vec<(String, String)>,
    #[arg(required = true)]
    names: Vec<SnapshotName>,
}

impl Snapshot {
    /// Carries it out.
    pub fn run(self, act: &mut Act) -> Result<()> {
        let names = if self.recursive {
            below(act, &self.names)?
        } else {
            self.names
        };
        let properties: Properties = self.properties.into_iter().collect();
        let shown: Vec<&str> = names.iter().map(SnapshotName::as_str).collect();
        Ok(act.step("snapshot", shown.join(" "), |zfs| {
            zfs.snapshot_with_properties(&names, &properties)
        })?)
    }
}

/// These names, and the same on everything below, but for what an interrupted
/// receive has left incomplete: of that no snapshot can be taken.
fn below(act: &Act, names: &[SnapshotName]) -> Result<Vec<SnapshotName>> {
    let mut all = Vec::new();
    for name in names {
        let mut incomplete: Option<DatasetName> = None;
        let datasets = ListDatasets::new().recursive().without_properties();
        for dataset in act.zfs.list_datasets(name.dataset(), datasets) {
            let dataset = dataset?;
            if incomplete
                .as_ref()
                .is_some_and(|above| dataset.name.is_within(above))
            {
                continue;
            }
            if dataset.inconsistent {
                incomplete = Some(dataset.name);
                continue;
            }
            all.push(name.on(&dataset.name)?);
        }
    }
    if all.is_empty() {
        let shown: Vec<&str> = names.iter().map(SnapshotName::as_str).collect();
        bail!(
            "cannot create snapshot '{}': an interrupted receive has left that dataset \
             incomplete (finish it, or give it up: zfs-ctl receive -A)",
            shown.join(" ")
        );
    }
    Ok(all)
}

/// Take a dataset back to a snapshot
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  zfs-ctl rollback tank/home@monday
  zfs-ctl rollback -r tank/home@monday      destroys what was taken since")]
pub struct Rollback {
    /// Destroy snapshots and bookmarks that are newer
    #[arg(short)]
    recent: bool,
    /// And the clones of those
    #[arg(short = 'R')]
    clones: bool,
    /// Unmount those clones although they are in use
    #[arg(short)]
    force: bool,
    snapshot: SnapshotName,
}

impl Rollback {
    /// Carries it out.
    pub fn run(self, act: &mut Act) -> Result<()> {
        let dataset = self.snapshot.dataset();
        let entry = act.zfs.snapshot_entry(&self.snapshot)?;
        let newer: Vec<_> = snapshots(&act.zfs, dataset)?
            .into_iter()
            .filter(|other| other.createtxg > entry.createtxg)
            .collect();
        let bookmarks: Vec<_> = act
            .zfs
            .bookmarks(dataset)?
            .into_iter()
            .filter(|bookmark| bookmark.createtxg > entry.createtxg)
            .map(|bookmark| bookmark.name)
            .collect();
        if (!newer.is_empty() || !bookmarks.is_empty()) && !self.recent && !self.clones {
            bail!(
                "cannot rollback to '{}': more recent snapshots or bookmarks exist (-r destroys \
                 them): {}",
                self.snapshot,
                newer
                    .iter()
                    .map(|snapshot| snapshot.name.to_string())
                    .chain(bookmarks.iter().map(ToString::to_string))
                    .collect::<Vec<_>>()
                    .join(" ")
            );
        }
        let names: Vec<SnapshotName> = newer.into_iter().map(|snapshot| snapshot.name).collect();
        for name in &names {
            for clone in act.zfs.properties(name)?.clones().unwrap_or_default() {
                if !self.clones {
                    bail!(
                        "cannot rollback to '{}': clones of newer snapshots exist (-R destroys \
                         them): {clone}",
                        self.snapshot
                    );
                }
                let destroy = super::destroy::Destroy::dependents_of(&clone, self.force);
                destroy.run(act)?;
            }
        }
        for bookmark in &bookmarks {
            act.step("destroy", bookmark, |zfs| zfs.destroy_bookmarks([bookmark]))?;
        }
        if !names.is_empty() {
            let shown: Vec<&str> = names.iter().map(SnapshotName::as_str).collect();
            act.step("destroy", shown.join(" "), |zfs| {
                zfs.destroy_snapshots(&names, Defer::No)
            })?;
        }
        Ok(act.step("rollback", &self.snapshot, |zfs| {
            zfs.rollback_to(&self.snapshot)
        })?)
    }
}

/// Place a hold on snapshots, so that they cannot be destroyed
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  zfs-ctl hold -r backup tank@monday")]
pub struct Hold {
    /// On everything below as well
    #[arg(short)]
    recursive: bool,
    tag: String,
    #[arg(required = true)]
    names: Vec<SnapshotName>,
}

impl Hold {
    /// Carries it out.
    pub fn run(self, act: &mut Act) -> Result<()> {
        each(&self.names, |name| {
            Ok(act.step("hold", name, |zfs| {
                if self.recursive {
                    zfs.hold_recursively(name, &self.tag).map(drop)
                } else {
                    zfs.hold([name], &self.tag)
                }
            })?)
        })
    }
}

/// Remove a hold
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  zfs-ctl release backup tank@monday")]
pub struct Release {
    /// On everything below as well
    #[arg(short)]
    recursive: bool,
    tag: String,
    #[arg(required = true)]
    names: Vec<SnapshotName>,
}

impl Release {
    /// Carries it out.
    pub fn run(self, act: &mut Act) -> Result<()> {
        each(&self.names, |name| {
            Ok(act.step("release", name, |zfs| {
                if self.recursive {
                    zfs.release_recursively(name, &self.tag).map(drop)
                } else {
                    zfs.release([name], &self.tag)
                }
            })?)
        })
    }
}

/// List the holds of snapshots
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  zfs-ctl holds -H tank/home@monday")]
pub struct Holds {
    /// On everything below as well
    #[arg(short)]
    recursive: bool,
    /// For scripts: no head, and tabs
    #[arg(short = 'H')]
    script: bool,
    /// Times as seconds since 1970
    #[arg(short)]
    parsable: bool,
    #[arg(required = true)]
    names: Vec<SnapshotName>,
}

impl Holds {
    /// Carries it out.
    pub fn run(self, act: &mut Act) -> Result<()> {
        let mut rows = vec![];
        for name in self.wanted(act)? {
            for hold in act.zfs.holds(&name)? {
                rows.push([name.to_string(), hold.tag, self.time(hold.created)]);
            }
        }
        super::property::table(&["NAME", "TAG", "TIMESTAMP"], &rows, self.script);
        Ok(())
    }

    /// The names, or with -r those of them that exist at and below each.
    fn wanted(&self, act: &Act) -> Result<Vec<SnapshotName>> {
        if !self.recursive {
            return Ok(self.names.clone());
        }
        let mut wanted = Vec::new();
        for name in &self.names {
            for dataset in tree(&act.zfs, name.dataset(), true)? {
                let name = name.on(&dataset)?;
                if act.zfs.exists(&name)? {
                    wanted.push(name);
                }
            }
        }
        Ok(wanted)
    }

    fn time(&self, time: SystemTime) -> String {
        let Ok(time) = jiff::Timestamp::try_from(time) else {
            return "-".to_owned();
        };
        if self.parsable {
            return time.as_second().to_string();
        }
        taken_at(&time.to_zoned(jiff::tz::TimeZone::system()))
    }
}

/// As `zfs holds` tells the time: with hours of two digits, which a time among
/// properties has not.
fn taken_at(time: &jiff::Zoned) -> String {
    time.strftime("%a %b %e %H:%M %Y").to_string()
}

/// Make a bookmark of a snapshot or of another bookmark
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  zfs-ctl bookmark tank/home@monday tank/home#monday
  zfs-ctl bookmark tank/home@monday #monday")]
pub struct Bookmark {
    from: String,
    name: String,
}

impl Bookmark {
    /// Carries it out.
    pub fn run(self, act: &mut Act) -> Result<()> {
        let from: SnapshotOrBookmark = match Any::parse(&self.from)? {
            Any::Snapshot(name) => name.into(),
            Any::Bookmark(name) => name.into(),
            Any::Dataset(_) => return usage(format!("{} has no @ and no #", self.from)),
        };
        let dataset = self.from.split(['@', '#']).next().unwrap_or_default();
        let name = match self.name.strip_prefix('#') {
            Some(short) => format!("{dataset}#{short}"),
            None => self.name,
        };
        let name = name.parse()?;
        Ok(act.step("bookmark", &name, |zfs| zfs.bookmark([(&name, &from)]))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_of_the_night_has_hours_of_two_digits() {
        let time: jiff::Zoned = "2026-11-03T00:15:59+00:00[UTC]".parse().unwrap();
        assert_eq!(taken_at(&time), "Tue Nov  3 00:15 2026");
    }
}
