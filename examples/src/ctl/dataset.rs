//! create, rename, clone, promote.

use anyhow::{Result, bail};
use clap::Args;
use zfs_core::{CreateRequest, DatasetName, Mounts, Properties, SnapshotName, UnmountFlags, Zfs};

use super::act::Act;
use super::mount::tell_shared;
use super::name::{Any, assignment, number, size};
use super::new_key::{NewKey, split_key};
use super::usage;

/// Create a filesystem, or with -V a volume
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  zfs-ctl create -o compression=zstd tank/home
  zfs-ctl create -s -V 10G tank/disk
  zfs-ctl create -nv -V 10G tank/disk      what block size it would have, what be reserved
  zfs-ctl create -o encryption=on -o keyformat=passphrase tank/secret")]
#[expect(clippy::struct_excessive_bools, reason = "command-line switches")]
pub struct Create {
    /// Create what is missing above it
    #[arg(short)]
    parents: bool,
    /// Do not mount it
    #[arg(short)]
    unmounted: bool,
    /// Create nothing, and with -v or -P tell what would be created
    #[arg(short = 'n')]
    dry: bool,
    /// Tell what is created, with its properties
    #[arg(short)]
    verbose: bool,
    /// Tell it for programs
    #[arg(short = 'P')]
    parsable: bool,
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
        let own_words = self.dry || self.verbose || self.parsable;
        act.dry(self.dry);
        act.quiet(own_words);
        if self.unmounted && self.volsize.is_some() {
            return usage("-u is for filesystems");
        }
        if self.parents && act.zfs.exists(&self.name)? {
            return Ok(());
        }
        let (key, given) = split_key(&self.properties);
        let encryption = match key {
            NewKey::None => None,
            NewKey::Own(wanted) => Some(wanted.encryption(&act.zfs, &self.name)?),
        };
        let mut told = self.given();
        let mut request = match self.volsize {
            None => CreateRequest::filesystem(self.name.clone()),
            Some(volsize) => self.volume(&act.zfs, volsize, &given, &mut told)?,
        };
        request = request.properties(&given);
        if let Some(encryption) = encryption {
            request = request.encryption(encryption);
        }
        if act.is_dry() {
            act.zfs.check_create(&request)?;
        }
        if self.parents {
            self.tell(act, "create_ancestors", "create ancestors of");
            create_above(act, &self.name)?;
        }
        self.tell(act, "create", "create");
        if !act.is_json() && (self.verbose || self.parsable) {
            for (name, value) in told {
                if self.parsable {
                    println!("property\t{name}\t{value}");
                } else {
                    println!("\t{name}={value}");
                }
            }
        }
        act.step("create", &self.name, |zfs| zfs.create(&request))?;
        // It is there, whether it can be mounted or not.
        act.log();
        if !self.unmounted && self.volsize.is_none() {
            mount_new(act, &self.name)?;
        }
        Ok(())
    }

    /// The properties as they are given, in zfs(8)'s order of them.
    fn given(&self) -> Vec<(String, String)> {
        let sizes = [("volsize", self.volsize), ("volblocksize", self.blocksize)];
        let sizes = sizes
            .into_iter()
            .filter_map(|(name, size)| Some((name, size?)));
        let sizes = sizes.map(|(name, size)| (name.to_owned(), size.to_string()));
        sizes.chain(self.properties.iter().cloned()).collect()
    }

    /// The request for a volume, with all that zfs(8) chooses where nothing is
    /// said, which is added to what is told.
    fn volume(
        &self,
        zfs: &Zfs,
        volsize: u64,
        given: &Properties,
        told: &mut Vec<(String, String)>,
    ) -> Result<CreateRequest> {
        let layout = zfs.volume_layout(&self.name.pool())?;
        let said = self.blocksize.or(number(given.get("volblocksize")));
        let block = said.unwrap_or(layout.volblocksize());
        let Some(rounded) = volsize.checked_next_multiple_of(block.max(1)) else {
            bail!("cannot create '{}': its size is too large", self.name);
        };
        let mut request = CreateRequest::volume(self.name.clone(), rounded);
        let mut chosen = Vec::new();
        if given.get("volblocksize").is_none() {
            request = request.volblocksize(block);
            if said.is_none() && !layout.is_default_volblocksize() {
                chosen.push(("volblocksize", block));
            }
        }
        if rounded != volsize {
            told.retain(|(name, _)| name != "volsize");
            chosen.push(("volsize", rounded));
        }
        if !self.sparse && given.get("refreservation").is_none() {
            let bytes = layout.reservation(rounded, block);
            request = request.property("refreservation", bytes);
            chosen.push(("refreservation", bytes));
        }
        told.extend(
            chosen
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_string())),
        );
        Ok(request)
    }

    /// In zfs(8)'s words, where they are asked for.
    fn tell(&self, act: &Act, word: &str, action: &str) {
        if act.is_json() {
        } else if self.parsable {
            println!("{word}\t{}", self.name);
        } else if self.verbose {
            let would = if act.is_dry() { "would " } else { "" };
            println!("{would}{action} {}", self.name);
        }
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
