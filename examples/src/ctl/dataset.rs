//! create, destroy, rename, clone, promote.

use anyhow::{Result, bail};
use clap::Args;
use zfs_core::{
    Cipher, CreateRequest, DatasetName, Defer, Encryption, KeyFormat, KeyLocation, Mounts,
    Properties, SnapshotName, UnmountFlags, Version, Zfs,
};

use super::act::Act;
use super::key::ask;
use super::name::{Any, assignment, chosen, size, snapshots, tree};
use super::property::text as text_of;
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
            Key::None => None,
            Key::Own(wanted) => Some(wanted.encryption(&act.zfs, &self.name)?),
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
                    let copies = properties
                        .get("copies")
                        .and_then(|text| size(&text_of(text)).ok())
                        .unwrap_or(1);
                    let bytes = reservation(volsize, blocksize, copies);
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
fn create_above(act: &mut Act, name: &DatasetName) -> Result<()> {
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

/// What a volume of that size can take at most, its metadata included, on a
/// pool without RAID-Z (`zvol_volsize_to_reservation` of libzfs).
pub fn reservation(volsize: u64, volblocksize: u64, copies: u64) -> u64 {
    /// Block pointers in an indirect block of 128 KiB.
    const POINTERS: u64 = 1 << 10;
    const INDIRECT: u64 = 128 << 10;
    let mut blocks = volsize / volblocksize.max(1);
    let mut metadata = 7;
    while blocks > 1 {
        blocks = blocks.div_ceil(POINTERS);
        metadata += blocks;
    }
    volsize * copies + metadata * (copies + 1).min(3) * INDIRECT
}

enum Key {
    None,
    Own(Wanted),
}

struct Wanted {
    cipher: Option<String>,
    format: String,
    location: Option<String>,
    iterations: Option<String>,
}

/// The four properties that make a key, and the others.
fn split_key(given: &[(String, String)]) -> (Key, Properties) {
    let value = |name: &str| {
        given
            .iter()
            .rev()
            .find(|(property, _)| property == name)
            .map(|(_, value)| value.clone())
    };
    let Some(format) = value("keyformat") else {
        return (Key::None, given.iter().cloned().collect());
    };
    let wanted = Wanted {
        cipher: value("encryption"),
        format,
        location: value("keylocation"),
        iterations: value("pbkdf2iters"),
    };
    let others = given.iter().filter(|(property, _)| {
        !["encryption", "keyformat", "keylocation", "pbkdf2iters"].contains(&property.as_str())
    });
    (Key::Own(wanted), others.cloned().collect())
}

impl Wanted {
    fn encryption(&self, zfs: &Zfs, name: &DatasetName) -> Result<Encryption> {
        let Some(format) = KeyFormat::parse(&self.format) else {
            return usage(format!(
                "keyformat is raw, hex or passphrase, and not {}",
                self.format
            ));
        };
        let cipher = if let Some(word) = &self.cipher {
            let Some(cipher) = Cipher::parse(word) else {
                return usage(format!("{word} is no encryption"));
            };
            cipher
        } else {
            let parent = name.parent().map(|parent| zfs.encryption(&parent));
            let cipher = parent.transpose()?.flatten().and_then(|state| state.cipher);
            let Some(cipher) = cipher else {
                bail!(
                    "Encryption must be turned on to set encryption properties \
                     (-o encryption=on)."
                );
            };
            cipher
        };
        let location = match &self.location {
            Some(text) => KeyLocation::parse(text)?,
            None => KeyLocation::prompt(),
        };
        let mut key = location.read(format, |format| ask(format, None, true))?;
        if let Some(iterations) = &self.iterations {
            let Ok(number) = iterations.parse() else {
                return usage(format!("pbkdf2iters is a number, and not {iterations}"));
            };
            key = key.iterations(number);
        }
        Ok(Encryption::new(key).cipher(cipher).location(location))
    }
}

/// Destroy a dataset, snapshots, or a bookmark
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  zfs-ctl destroy -rnv tank/old
  zfs-ctl destroy tank/home@monday
  zfs-ctl destroy -r tank@daily-1%daily-7
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
    /// Tell what would be done
    #[arg(short = 'n')]
    dry: bool,
    /// Tell what is done
    #[arg(short, visible_short_alias = 'p')]
    verbose: bool,
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
            name: clone.to_string(),
        }
    }

    /// Carries it out.
    pub fn run(self, act: &mut Act) -> Result<()> {
        act.dry(self.dry);
        act.verbose(self.verbose);
        if self.name.contains('@') {
            return self.snapshots(act);
        }
        match Any::parse(&self.name)? {
            Any::Bookmark(bookmark) => {
                if !act.zfs.exists(&bookmark)? {
                    bail!("bookmark '{bookmark}' does not exist.");
                }
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
        if self.dependents {
            let mut doomed = Doomed::default();
            for snapshot in &chosen {
                doomed.clones_of(&act.zfs, snapshot)?;
            }
            self.destroy_all(act, &doomed.order)?;
        }
        let defer = if self.defer { Defer::Yes } else { Defer::No };
        let names: Vec<&str> = chosen.iter().map(SnapshotName::as_str).collect();
        Ok(act.step("destroy", names.join(" "), |zfs| {
            zfs.destroy_snapshots(&chosen, defer)
        })?)
    }

    fn dataset(&self, act: &mut Act, dataset: &DatasetName) -> Result<()> {
        act.zfs.dataset(dataset)?;
        if !self.recursive && !self.dependents {
            let below = tree(&act.zfs, dataset, true)?.len() > 1;
            if below || !snapshots(&act.zfs, dataset)?.is_empty() {
                bail!("cannot destroy '{dataset}': it has children (-r destroys them as well)");
            }
        }
        let mut doomed = Doomed::default();
        doomed.add(&act.zfs, dataset)?;
        let outside: Vec<&str> = doomed
            .order
            .iter()
            .filter(|name| !name.is_within(dataset))
            .map(DatasetName::as_str)
            .collect();
        if !outside.is_empty() && !self.dependents {
            bail!(
                "cannot destroy '{dataset}': it has dependent clones (-R destroys them as well): {}",
                outside.join(" ")
            );
        }
        self.destroy_all(act, &doomed.order)
    }

    fn destroy_all(&self, act: &mut Act, order: &[DatasetName]) -> Result<()> {
        for dataset in order {
            if self.force && !act.is_dry() {
                // What it says matters less than what the destroy says.
                let _ = act.zfs.unmount(dataset, UnmountFlags::FORCE);
            }
            let snapshots: Vec<SnapshotName> = snapshots(&act.zfs, dataset)?
                .into_iter()
                .map(|snapshot| snapshot.name)
                .collect();
            if !snapshots.is_empty() {
                let names: Vec<&str> = snapshots.iter().map(SnapshotName::as_str).collect();
                act.step("destroy", names.join(" "), |zfs| {
                    zfs.destroy_snapshots(&snapshots, Defer::No)
                })?;
            }
            act.step("destroy", dataset, |zfs| zfs.destroy(dataset))?;
        }
        Ok(())
    }
}

/// What has to go before something can, in that order.
#[derive(Default)]
struct Doomed {
    order: Vec<DatasetName>,
    seen: Vec<DatasetName>,
}

impl Doomed {
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
        }
        self.order.push(dataset.clone());
        Ok(())
    }

    fn clones_of(&mut self, zfs: &Zfs, snapshot: &SnapshotName) -> Result<()> {
        for clone in zfs.properties(snapshot)?.clones().unwrap_or_default() {
            self.add(zfs, &clone)?;
        }
        Ok(())
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
                Ok(act.step("rename", &from, |zfs| zfs.rename_with(&from, &to, mounts))?)
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
        let mut done: Vec<(SnapshotName, SnapshotName)> = Vec::new();
        for dataset in tree(&act.zfs, from.dataset(), self.recursive)? {
            let from = dataset.with_snapshot(from.snapshot())?;
            let to = dataset.with_snapshot(new)?;
            if !done.is_empty() && !act.zfs.exists(&from)? {
                continue;
            }
            if let Err(error) = act.step("rename", &from, |zfs| zfs.rename_snapshot(&from, &to)) {
                // All or none, as zfs(8) does it in one call.
                for (from, to) in done.iter().rev() {
                    act.step("rename back", to, |zfs| zfs.rename_snapshot(to, from))?;
                }
                return Err(error.into());
            }
            done.push((from, to));
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen on OpenZFS 2.3.9: zfs create -V 1M and -V 1G, blocks of 16 KiB.
    #[test]
    fn a_volume_reserves_what_zfs_8_reserves() {
        assert_eq!(
            reservation(1 << 20, 16 << 10, 1),
            (1 << 20) + 8 * 2 * (128 << 10)
        );
        let gigabyte: u64 = 1 << 30;
        assert_eq!(
            reservation(gigabyte, 16 << 10, 1),
            gigabyte + (7 + 64 + 1) * 2 * (128 << 10)
        );
    }
}
