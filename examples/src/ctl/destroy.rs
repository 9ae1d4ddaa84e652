//! destroy.

use anyhow::{Result, bail};
use clap::Args;
use zfs_core::{DatasetName, Defer, SnapshotName, UnmountFlags, Zfs};

use super::act::Act;
use super::name::{Any, chosen, snapshots, tree};
use super::usage;
use crate::list::nice;

/// Destroy a dataset, snapshots, or a bookmark
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  zfs-ctl destroy -rnv tank/old
  zfs-ctl destroy tank/home@monday
  zfs-ctl destroy -nv tank/home@daily-1%daily-7      what that would free
  zfs-ctl destroy tank/home#base")]
#[expect(clippy::struct_excessive_bools, reason = "command-line switches")]
pub struct Destroy {
    /// What is below it as well; of snapshots those of that name
    #[arg(short)]
    recursive: bool,
    /// What depends on it as well: clones wherever they are
    #[arg(short = 'R')]
    dependents: bool,
    /// Unmount although it is in use
    #[arg(short)]
    force: bool,
    /// Snapshots that are held or cloned go when that ends
    #[arg(short)]
    defer: bool,
    /// Destroy nothing, and with -v or -p tell what would be
    #[arg(short = 'n')]
    dry: bool,
    /// Tell what is destroyed, and of snapshots how much that frees
    #[arg(short)]
    verbose: bool,
    /// Tell it for programs
    #[arg(short)]
    parsable: bool,
    name: String,
}

impl Destroy {
    /// A clone with all that depends on it.
    pub fn dependents_of(clone: &DatasetName, force: bool) -> Destroy {
        Destroy {
            recursive: false,
            dependents: true,
            force,
            defer: false,
            dry: false,
            verbose: false,
            parsable: false,
            name: clone.to_string(),
        }
    }

    /// Carries it out.
    pub fn run(mut self, act: &mut Act) -> Result<()> {
        // `-n` alone says nothing, `--dry-run` does.
        self.verbose |= act.is_dry();
        act.dry(self.dry);
        act.quiet(true);
        let outcome = self.carry_out(act);
        act.quiet(false);
        outcome
    }

    fn carry_out(&self, act: &mut Act) -> Result<()> {
        if self.name.contains('@') {
            return self.snapshots(act);
        }
        match Any::parse(&self.name)? {
            Any::Bookmark(bookmark) => {
                if self.defer || self.recursive || self.dependents {
                    bail!(
                        "cannot destroy '{bookmark}': -d, -r and -R are not for bookmarks, on \
                         which nothing depends"
                    );
                }
                if !act.zfs.exists(&bookmark)? {
                    bail!("bookmark '{bookmark}' does not exist.");
                }
                self.tell(act, &bookmark);
                Ok(act.step("destroy", &bookmark, |zfs| {
                    zfs.destroy_bookmarks([&bookmark])
                })?)
            }
            Any::Dataset(dataset) => self.dataset(act, &dataset),
            Any::Snapshot(_) => usage("a snapshot's name has one @ in it"),
        }
    }

    fn snapshots(&self, act: &mut Act) -> Result<()> {
        let chosen = chosen(&act.zfs, &self.name, self.recursive || self.dependents)?;
        let mut doomed = Doomed::default();
        for snapshot in &chosen {
            doomed.clones_of(&act.zfs, snapshot)?;
        }
        for snapshot in &chosen {
            self.tell(act, snapshot);
        }
        if !doomed.order.is_empty() && !self.dependents && !self.defer {
            bail!(
                "cannot destroy '{}': it has dependent clones (-R destroys them as well): {}",
                self.name,
                doomed
                    .datasets()
                    .map(DatasetName::as_str)
                    .collect::<Vec<_>>()
                    .join(" ")
            );
        }
        if self.tells(act) {
            self.tell_space(act, reclaimed(&act.zfs, &chosen)?);
        }
        if self.dependents {
            self.destroy_all(act, &doomed)?;
        }
        let defer = if self.defer { Defer::Yes } else { Defer::No };
        destroy_snapshots(act, &chosen, defer)
    }

    fn dataset(&self, act: &mut Act, dataset: &DatasetName) -> Result<()> {
        let kind = act.zfs.dataset(dataset)?.kind;
        if self.defer {
            bail!("cannot destroy '{dataset}': -d is for snapshots, and this is a {kind}");
        }
        if !self.recursive && !self.dependents {
            if dataset.is_pool_root() {
                bail!(
                    "cannot destroy '{dataset}': it goes with its pool alone (zpool destroy \
                     {dataset}); -r destroys everything in it"
                );
            }
            let below = tree(&act.zfs, dataset, true)?.len() > 1;
            if below || !snapshots(&act.zfs, dataset)?.is_empty() {
                bail!("cannot destroy '{dataset}': it has children (-r destroys them as well)");
            }
        }
        let mut doomed = Doomed::default();
        doomed.add(&act.zfs, dataset)?;
        let outside: Vec<&str> = doomed
            .datasets()
            .filter(|name| !name.is_within(dataset))
            .map(DatasetName::as_str)
            .collect();
        if !outside.is_empty() && !self.dependents {
            bail!(
                "cannot destroy '{dataset}': it has dependent clones (-R destroys them as well): {}",
                outside.join(" ")
            );
        }
        self.destroy_all(act, &doomed)
    }

    fn destroy_all(&self, act: &mut Act, doomed: &Doomed) -> Result<()> {
        act.zfs.check_destroy(doomed.datasets())?;
        let mut snapshots = Vec::new();
        for doom in &doomed.order {
            match doom {
                Doom::Snapshot(snapshot) => {
                    self.tell(act, snapshot);
                    snapshots.push(snapshot.clone());
                }
                Doom::Dataset(dataset) => {
                    self.tell(act, dataset);
                    destroy_snapshots(act, &snapshots, Defer::No)?;
                    snapshots.clear();
                    if self.force && !act.is_dry() {
                        // What it says matters less than what the destroy says.
                        let _ = act.zfs.unmount(dataset, UnmountFlags::FORCE);
                    }
                    act.step("destroy", dataset, |zfs| zfs.destroy(dataset))?;
                }
            }
        }
        destroy_snapshots(act, &snapshots, Defer::No)
    }

    fn tells(&self, act: &Act) -> bool {
        (self.verbose || self.parsable) && !act.is_json()
    }

    /// In zfs(8)'s words.
    fn tell(&self, act: &Act, name: impl std::fmt::Display) {
        if !self.tells(act) {
            return;
        }
        if self.parsable {
            println!("destroy\t{name}");
        } else {
            println!("{} destroy {name}", will(act));
        }
    }

    fn tell_space(&self, act: &Act, bytes: u64) {
        if self.parsable {
            println!("reclaim\t{bytes}");
        } else {
            println!("{} reclaim {}", will(act), nice::bytes(bytes));
        }
    }
}

fn will(act: &Act) -> &'static str {
    if act.is_dry() { "would" } else { "will" }
}

fn destroy_snapshots(act: &mut Act, names: &[SnapshotName], defer: Defer) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let shown: Vec<&str> = names.iter().map(SnapshotName::as_str).collect();
    Ok(act.step("destroy", shown.join(" "), |zfs| {
        zfs.destroy_snapshots(names, defer)
    })?)
}

/// What becomes free with these: of each dataset the sum over the runs that
/// follow each other.
fn reclaimed(zfs: &Zfs, chosen: &[SnapshotName]) -> Result<u64> {
    let mut bytes = 0;
    let mut seen: Vec<&DatasetName> = Vec::new();
    for snapshot in chosen {
        if seen.contains(&snapshot.dataset()) {
            continue;
        }
        seen.push(snapshot.dataset());
        let all = snapshots(zfs, snapshot.dataset())?;
        let runs =
            all.chunk_by(|one, other| chosen.contains(&one.name) == chosen.contains(&other.name));
        for run in runs {
            if let [first, ..] = run {
                if chosen.contains(&first.name) {
                    let last = run.last().unwrap_or(first);
                    bytes += zfs.snapshot_range_space(&first.name, &last.name)?;
                }
            }
        }
    }
    Ok(bytes)
}

/// What is to be destroyed.
enum Doom {
    Snapshot(SnapshotName),
    Dataset(DatasetName),
}

/// What has to go before something can, in that order.
#[derive(Default)]
struct Doomed {
    order: Vec<Doom>,
    seen: Vec<DatasetName>,
}

impl Doomed {
    /// A dataset with its snapshots and what is below it.
    fn add(&mut self, zfs: &Zfs, dataset: &DatasetName) -> Result<()> {
        if self.seen.contains(dataset) {
            return Ok(());
        }
        self.seen.push(dataset.clone());
        for child in tree(zfs, dataset, true)?.into_iter().skip(1) {
            if child.parent().as_ref() == Some(dataset) {
                self.add(zfs, &child)?;
            }
        }
        for snapshot in snapshots(zfs, dataset)? {
            self.clones_of(zfs, &snapshot.name)?;
            self.order.push(Doom::Snapshot(snapshot.name));
        }
        // The topmost filesystem stays as long as its pool.
        if !dataset.is_pool_root() {
            self.order.push(Doom::Dataset(dataset.clone()));
        }
        Ok(())
    }

    fn clones_of(&mut self, zfs: &Zfs, snapshot: &SnapshotName) -> Result<()> {
        for clone in zfs.properties(snapshot)?.clones().unwrap_or_default() {
            self.add(zfs, &clone)?;
        }
        Ok(())
    }

    fn datasets(&self) -> impl Iterator<Item = &DatasetName> {
        self.order.iter().filter_map(|doom| match doom {
            Doom::Dataset(name) => Some(name),
            Doom::Snapshot(_) => None,
        })
    }
}
