//! create, rename, clone, promote.

use anyhow::{Result, bail};
use clap::Args;
use zfs_core::{
    CreateRequest, DatasetName, Mounts, Properties, SnapshotName, UnmountFlags, Version,
};

use super::act::Act;
use super::mount::tell_shared;
use super::name::{Any, assignment, size};
use super::new_key::{NewKey, split_key};
use super::property::text as text_of;
use super::reservation::Layout;
use super::usage;

/// Create a filesystem, or with -V a volume
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  zfs-ctl create -o compression=zstd tank/home
  zfs-ctl create -s -V 10G tank/disk
  zfs-ctl create -o encryption=on -o keyformat=passphrase tank/secret")]
#[expect(clippy::struct_excessive_bools, reason = "command-line switches")]
pub struct Create {
    /// Create what is missing above it
    #[arg(short)]
    parents: bool,
    /// Do not mount it
    #[arg(short)]
    unmounted: bool,
    /// Tell what would be done
    #[arg(short = 'n')]
    dry: bool,
    /// Tell what is done
    #[arg(short, visible_short_alias = 'P')]
    verbose: bool,
    /// A sparse volume: nothing is reserved for it
    #[arg(short, requires = "volsize")]
    sparse: bool,
    /// The block size of a volume
    #[arg(short, value_name = "BLOCKSIZE", value_parser = size, requires = "volsize")]
    blocksize: Option<u64>,
    /// The size of a volume
    #[arg(short = 'V', value_name = "SIZE", value_parser = size)]
    volsize: Option<u64>,
    /// A property
    #[arg(short = 'o', value_name = "PROPERTY=VALUE", value_parser = assignment)]
    properties: Vec<(String, String)>,
    name: DatasetName,
}

impl Create {
    /// Carries it out.
    pub fn run(self, act: &mut Act) -> Result<()> {
        act.dry(self.dry);
        act.verbose(self.verbose);
        if self.parents && act.zfs.exists(&self.name)? {
            return Ok(());
        }
        let (key, properties) = split_key(&self.properties);
        let encryption = match key {
            NewKey::None => None,
            NewKey::Own(wanted) => Some(wanted.encryption(&act.zfs, &self.name)?),
        };
        let mut request = match self.volsize {
            None => CreateRequest::filesystem(self.name.clone()),
            Some(volsize) => {
                let blocksize = self
                    .blocksize
                    .or_else(|| {
                        properties
                            .get("volblocksize")
                            .and_then(|text| size(&text_of(text)).ok())
                    })
                    .unwrap_or_else(|| default_blocksize(act.zfs.version()));
                let volsize = volsize.next_multiple_of(blocksize.max(1));
                let mut request = CreateRequest::volume(self.name.clone(), volsize);
                if let Some(blocksize) = self.blocksize {
                    request = request.volblocksize(blocksize);
                }
                if !self.sparse && properties.get("refreservation").is_none() {
                    let pool = act.zfs.pool_state(&self.name.pool())?;
                    let Some(layout) = Layout::of(&pool.root) else {
                        bail!(
                            "cannot create '{}': how much a volume can take on dRAID is not known \
                             here (-o refreservation=SIZE reserves that much, -s nothing)",
                            self.name
                        );
                    };
                    let bytes = layout.reservation(volsize, blocksize);
                    request = request.property("refreservation", bytes);
                }
                request
            }
        };
        request = request.properties(&properties);
        if let Some(encryption) = encryption {
            request = request.encryption(encryption);
        }
        if self.parents {
            create_above(act, &self.name)?;
        }
        act.step("create", &self.name, |zfs| zfs.create(&request))?;
        if !self.unmounted && self.volsize.is_none() {
            mount_new(act, &self.name)?;
        }
        Ok(())
    }
}

/// Creates and mounts the filesystems above it that are missing.
pub fn create_above(act: &mut Act, name: &DatasetName) -> Result<()> {
    let mut missing = Vec::new();
    for parent in name.ancestors() {
        if act.zfs.exists(&parent)? {
            break;
        }
        missing.push(parent);
    }
    for parent in missing.into_iter().rev() {
        act.step("create", &parent, |zfs| {
            zfs.create(&CreateRequest::filesystem(parent.clone()))
        })?;
        mount_new(act, &parent)?;
    }
    Ok(())
}

/// What is new is mounted, where it is one to be.
pub fn mount_new(act: &mut Act, name: &DatasetName) -> Result<()> {
    if act.is_dry() {
        return Ok(());
    }
    let mut all = act.zfs.mount_all([name])?;
    for (name, _) in &all.mounted {
        tell_shared(act, name);
    }
    match all.failures.pop() {
        None => Ok(()),
        Some(error) => bail!("filesystem successfully created, but not mounted: {error}"),
    }
}

fn default_blocksize(version: Version) -> u64 {
    if version < Version::new(2, 2) {
        8 << 10
    } else {
        16 << 10
    }
}

/// Give a dataset or snapshot another name
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  zfs-ctl rename tank/home tank/people
  zfs-ctl rename tank/home@monday tank/home@old
  zfs-ctl rename -r tank@monday @old")]
#[expect(clippy::struct_excessive_bools, reason = "command-line switches")]
pub struct Rename {
    /// Unmount although it is in use
    #[arg(short)]
    force: bool,
    /// Create what is missing above the new name
    #[arg(short)]
    parents: bool,
    /// Everything stays mounted where it is
    #[arg(short)]
    unchanged_mounts: bool,
    /// The snapshots of that name on everything below as well
    #[arg(short)]
    recursive: bool,
    from: String,
    to: String,
}

impl Rename {
    /// Carries it out.
    pub fn run(self, act: &mut Act) -> Result<()> {
        match Any::parse(&self.from)? {
            Any::Bookmark(_) => bail!("cannot open '{}': bookmarks cannot be renamed", self.from),
            Any::Dataset(from) => {
                if self.recursive {
                    return usage("-r is for snapshots");
                }
                let to: DatasetName = self.to.parse()?;
                if self.parents {
                    create_above(act, &to)?;
                }
                let mounts = if self.unchanged_mounts {
                    Mounts::Leave
                } else {
                    Mounts::Follow
                };
                let flags = if self.force {
                    UnmountFlags::FORCE
                } else {
                    UnmountFlags::empty()
                };
                Ok(act.step("rename", &from, |zfs| {
                    zfs.rename_unmounting(&from, &to, mounts, flags)
                })?)
            }
            Any::Snapshot(from) => self.snapshots(act, &from),
        }
    }

    fn snapshots(&self, act: &mut Act, from: &SnapshotName) -> Result<()> {
        let new = match self.to.split_once('@') {
            None => self.to.as_str(),
            Some(("", new)) => new,
            Some((dataset, new)) if dataset == from.dataset().as_str() => new,
            Some(_) => bail!(
                "cannot rename to '{}': snapshots stay on their dataset",
                self.to
            ),
        };
        let to = from.dataset().with_snapshot(new)?;
        Ok(act.step("rename", from, |zfs| {
            if self.recursive {
                zfs.rename_snapshots_recursively(from, &to)
            } else {
                zfs.rename_snapshot(from, &to)
            }
        })?)
    }
}

/// Make a dataset that begins as a copy of a snapshot
#[derive(Args, Debug)]
#[command(
    name = "clone",
    after_help = "Examples:
  zfs-ctl clone -o mountpoint=/mnt/look tank/home@monday tank/look"
)]
pub struct Clone {
    /// Create what is missing above it
    #[arg(short)]
    parents: bool,
    /// Do not mount it
    #[arg(short)]
    unmounted: bool,
    /// A property
    #[arg(short = 'o', value_name = "PROPERTY=VALUE", value_parser = assignment)]
    properties: Vec<(String, String)>,
    snapshot: SnapshotName,
    name: DatasetName,
}

impl Clone {
    /// Carries it out.
    pub fn run(self, act: &mut Act) -> Result<()> {
        if self.parents {
            if act.zfs.exists(&self.name)? {
                return Ok(());
            }
            create_above(act, &self.name)?;
        }
        let properties: Properties = self.properties.into_iter().collect();
        act.step("clone", &self.name, |zfs| {
            zfs.clone_snapshot(&self.snapshot, &self.name, &properties)
        })?;
        if self.unmounted {
            return Ok(());
        }
        mount_new(act, &self.name)
    }
}

/// Make a clone the original, and its original the clone
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  zfs-ctl promote tank/look")]
pub struct Promote {
    clone: DatasetName,
}

impl Promote {
    /// Carries it out.
    pub fn run(self, act: &mut Act) -> Result<()> {
        Ok(act.step("promote", &self.clone, |zfs| zfs.promote(&self.clone))?)
    }
}
