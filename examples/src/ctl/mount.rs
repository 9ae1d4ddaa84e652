//! mount, unmount.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;
use zfs_core::{
    Dataset, DatasetKinds, DatasetName, KeyStatus, ListDatasets, MountRequest, Mounted,
    UnmountFlags,
};

use super::act::Act;
use super::key::load;
use super::usage;

/// Mount filesystems, or show what is mounted
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  zfs-ctl mount
  zfs-ctl mount -o ro tank/home
  zfs-ctl mount -la")]
#[expect(clippy::struct_excessive_bools, reason = "command-line switches")]
pub struct Mount {
    /// Even if something is in the folder
    #[arg(short = 'O')]
    overlay: bool,
    /// Even if a part of it was left out by its sender
    #[arg(short)]
    force: bool,
    /// Load the keys that it needs first
    #[arg(short = 'l')]
    load_keys: bool,
    /// Tell what is done
    #[arg(short)]
    verbose: bool,
    /// An option for this mount alone
    #[arg(short = 'o', value_name = "OPTION")]
    options: Vec<String>,
    /// Everything that should be
    #[arg(short, conflicts_with_all = ["name", "recursive"])]
    all: bool,
    /// Everything at and below that should be
    #[arg(short = 'R', requires = "name")]
    recursive: bool,
    /// Show what is mounted as JSON, as `zfs mount -j`
    #[arg(short = 'j', conflicts_with_all = ["name", "all"])]
    as_json: bool,
    name: Option<DatasetName>,
}

/// What is mounted here is given to no file server, unlike by zfs(8): said
/// where a property wants it.
pub fn tell_shared(act: &Act, name: &DatasetName) {
    if act.is_dry() {
        return;
    }
    let dataset = act.zfs.dataset(name);
    if let Some(property) = dataset.ok().and_then(|dataset| dataset.shared_by()) {
        eprintln!(
            "{name} has {property} set and was mounted without being shared: zfs share {name}"
        );
    }
}

impl Mount {
    /// Carries it out.
    pub fn run(self, act: &mut Act) -> Result<()> {
        act.verbose(self.verbose);
        match (&self.name, self.all) {
            (None, false) => self.show(act),
            (None, true) => {
                let mut roots = Vec::new();
                for pool in act.zfs.list_pools()? {
                    roots.push(pool.name.root());
                }
                self.everything(act, &roots)
            }
            (Some(name), _) if self.recursive => self.everything(act, std::slice::from_ref(name)),
            (Some(name), _) => {
                if self.load_keys {
                    load_key_of(act, name)?;
                }
                let request = self.how(MountRequest::filesystem(name.clone()));
                act.step("mount", name, |zfs| zfs.mount(&request).map(drop))?;
                tell_shared(act, name);
                Ok(())
            }
        }
    }

    /// Whether it only shows what is mounted.
    pub fn shows(&self) -> bool {
        self.name.is_none() && !self.all
    }

    /// A request with the options of the command line.
    fn how(&self, mut request: MountRequest) -> MountRequest {
        for option in &self.options {
            request = match option.strip_prefix("mountpoint=") {
                Some(folder) => request.at(folder),
                None => request.option(option),
            };
        }
        if self.overlay {
            request = request.overlay();
        }
        if self.force {
            request = request.redacted();
        }
        request
    }

    fn show(&self, act: &Act) -> Result<()> {
        let mut datasets = serde_json::Map::new();
        for mount in act.zfs.mounts()? {
            let (Mounted::Filesystem(name), true) = (&mount.what, mount.is_whole()) else {
                continue;
            };
            let at = mount.mountpoint.display().to_string();
            if self.as_json || act.is_json() {
                let entry = json!({"filesystem": name.as_str(), "mountpoint": at});
                datasets.insert(name.to_string(), entry);
            } else {
                println!("{:<30}  {at}", name.as_str());
            }
        }
        if self.as_json || act.is_json() {
            let version = json!({"command": "zfs mount", "vers_major": 0, "vers_minor": 1});
            println!(
                "{}",
                json!({"output_version": version, "datasets": datasets})
            );
        }
        Ok(())
    }

    fn everything(&self, act: &mut Act, roots: &[DatasetName]) -> Result<()> {
        let has_place = |option: &String| option.starts_with("mountpoint=");
        if self.options.iter().any(has_place) {
            return usage("mountpoint= is for one filesystem");
        }
        let locked = if self.load_keys {
            load_keys(act, roots)?
        } else {
            0
        };
        if act.is_dry() {
            for root in roots {
                act.step("mount everything in", root, |_| Ok(()))?;
            }
            return Ok(());
        }
        let all = act.zfs.mount_all_with(roots, |request| self.how(request))?;
        for (name, _) in &all.mounted {
            act.step("mount", name, |_| Ok(()))?;
            tell_shared(act, name);
        }
        for failure in &all.failures {
            eprintln!("{failure}");
        }
        match (locked, all.failures.len()) {
            (0, 0) => Ok(()),
            (0, count) => bail!("{count} filesystems could not be mounted"),
            (keys, count) => bail!(
                "{keys} keys could not be loaded; of the filesystems that need none of them \
                 {count} could not be mounted"
            ),
        }
    }
}

/// Loads the keys that mounting everything needs, each of them once. Answers
/// how many could not be.
fn load_keys(act: &mut Act, roots: &[DatasetName]) -> Result<usize> {
    let mut tried: Vec<DatasetName> = Vec::new();
    let mut failed = 0;
    for root in roots {
        let filesystems = ListDatasets::new()
            .recursive()
            .kinds(DatasetKinds::FILESYSTEM);
        for dataset in act.zfs.list_datasets(root, filesystems) {
            let dataset = dataset?;
            if dataset.key_status() != Some(KeyStatus::Unavailable) || !is_automatic(&dataset) {
                continue;
            }
            let Some(key_root) = dataset.encryption_root() else {
                continue;
            };
            if tried.contains(&key_root) {
                continue;
            }
            if let Err(error) = load(act, &key_root, None, false) {
                eprintln!("{error:#}");
                failed += 1;
            }
            tried.push(key_root);
        }
    }
    Ok(failed)
}

/// Whether it is mounted where everything is.
fn is_automatic(dataset: &Dataset) -> bool {
    let Some(properties) = &dataset.properties else {
        return false;
    };
    let has_place = properties.text("mountpoint").starts_with('/');
    has_place && properties.number("canmount") == Some(1) && !dataset.inconsistent
}

fn load_key_of(act: &mut Act, name: &DatasetName) -> Result<()> {
    match act.zfs.encryption(name)? {
        Some(state) if state.status == KeyStatus::Unavailable => {
            load(act, &state.root, None, false)
        }
        _ => Ok(()),
    }
}

/// Unmount filesystems
#[derive(Args, Debug)]
#[command(
    visible_alias = "umount",
    after_help = "Examples:
  zfs-ctl unmount tank/home
  zfs-ctl unmount /mnt/look
  zfs-ctl unmount -u tank/secret      and unload its key"
)]
pub struct Unmount {
    /// Although it is in use
    #[arg(short)]
    force: bool,
    /// Unload the keys of the encryption roots that it unmounts
    #[arg(short)]
    unload_keys: bool,
    /// Everything
    #[arg(short, conflicts_with = "target")]
    all: bool,
    /// A filesystem, a snapshot, or where one is mounted
    target: Option<String>,
}

impl Unmount {
    /// Carries it out.
    pub fn run(self, act: &mut Act) -> Result<()> {
        let flags = if self.force {
            UnmountFlags::FORCE
        } else {
            UnmountFlags::empty()
        };
        let affected = self.affected(act)?;
        let unmounted = self.unmount(act, flags);
        if !self.unload_keys {
            return unmounted;
        }
        // Of what was unmounted, where not everything was.
        let unloaded = unload_keys(act, affected);
        unmounted.and(unloaded)
    }

    fn unmount(&self, act: &mut Act, flags: UnmountFlags) -> Result<()> {
        let Some(target) = &self.target else {
            if !self.all {
                return usage("a filesystem, a folder, or -a is wanted");
            }
            let mut roots = Vec::new();
            for pool in act.zfs.list_pools()? {
                roots.push(pool.name.root());
            }
            let mut failures = Vec::new();
            act.step("unmount", "everything", |zfs| {
                failures = zfs.unmount_all(&roots, flags)?;
                Ok(())
            })?;
            for failure in &failures {
                eprintln!("{failure}");
            }
            if !failures.is_empty() {
                bail!("{} filesystems could not be unmounted", failures.len());
            }
            return Ok(());
        };
        if target.starts_with('/') {
            let folder = PathBuf::from(target);
            act.step("unmount", target, |zfs| {
                zfs.unmount_folder(&folder, flags).map(drop)
            })?;
        } else if target.contains('@') {
            let snapshot = target.parse()?;
            act.step("unmount", &snapshot, |zfs| {
                zfs.unmount_snapshot(&snapshot, flags)
            })?;
        } else {
            let name: DatasetName = target.parse()?;
            act.step("unmount", &name, |zfs| zfs.unmount(&name, flags))?;
        }
        Ok(())
    }

    /// The filesystems that are mounted and may not be afterwards.
    fn affected(&self, act: &Act) -> Result<Vec<DatasetName>> {
        let below: Option<DatasetName> = match self.target.as_deref() {
            None => None,
            Some(target) if target.starts_with('/') || target.contains('@') => None,
            Some(target) => Some(target.parse()?),
        };
        let mut affected = mounted(act, |mount| match (&self.target, &below) {
            (None, _) => true,
            (Some(target), None) => mount.mountpoint.as_os_str() == target.as_str(),
            (Some(_), Some(root)) => mount.what.dataset().is_within(root),
        })?;
        affected.dedup();
        Ok(affected)
    }
}

fn mounted(act: &Act, wanted: impl Fn(&zfs_core::Mount) -> bool) -> Result<Vec<DatasetName>> {
    let mounts = act.zfs.mounts()?.into_iter();
    let filesystems = mounts.filter(|mount| mount.is_whole() && wanted(mount));
    Ok(filesystems
        .filter_map(|mount| match mount.what {
            Mounted::Filesystem(name) => Some(name),
            Mounted::Snapshot(_) => None,
        })
        .collect())
}

/// Unloads the keys of the encryption roots among these, where they are not
/// mounted any more.
fn unload_keys(act: &mut Act, affected: Vec<DatasetName>) -> Result<()> {
    let still = if act.is_dry() {
        Vec::new()
    } else {
        mounted(act, |_| true)?
    };
    let unmounted = affected.into_iter().filter(|name| !still.contains(name));
    super::act::each(unmounted, |name| {
        let state = act.zfs.encryption(&name)?;
        let is_loaded_root =
            state.is_some_and(|state| state.is_root(&name) && state.status == KeyStatus::Available);
        if is_loaded_root {
            act.step("unload-key", &name, |zfs| zfs.unload_key(&name))?;
        }
        Ok(())
    })
}
