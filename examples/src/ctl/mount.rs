//! mount, unmount.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use zfs_core::{DatasetName, KeyStatus, MountRequest, Mounted, UnmountFlags};

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
    name: Option<DatasetName>,
}

impl Mount {
    /// Carries it out.
    pub fn run(self, act: &mut Act) -> Result<()> {
        act.verbose(self.verbose);
        match (&self.name, self.all) {
            (None, false) => show(act),
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
                let mut request = MountRequest::filesystem(name.clone());
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
                Ok(act.step("mount", name, |zfs| zfs.mount(&request).map(drop))?)
            }
        }
    }

    fn everything(&self, act: &mut Act, roots: &[DatasetName]) -> Result<()> {
        if self.load_keys {
            for root in roots {
                for name in super::name::tree(&act.zfs, root, true)? {
                    load_key_of(act, &name)?;
                }
            }
        }
        if act.is_dry() {
            for root in roots {
                act.step("mount everything in", root, |_| Ok(()))?;
            }
            return Ok(());
        }
        let all = act.zfs.mount_all(roots)?;
        for (name, _) in &all.mounted {
            act.step("mount", name, |_| Ok(()))?;
        }
        for failure in &all.failures {
            eprintln!("{failure}");
        }
        match all.failures.len() {
            0 => Ok(()),
            count => bail!("{count} filesystems could not be mounted"),
        }
    }
}

fn load_key_of(act: &mut Act, name: &DatasetName) -> Result<()> {
    match act.zfs.encryption(name)? {
        Some(state) if state.status == KeyStatus::Unavailable => {
            load(act, &state.root, None, false)
        }
        _ => Ok(()),
    }
}

fn show(act: &Act) -> Result<()> {
    for mount in act.zfs.mounts()? {
        if let (Mounted::Filesystem(name), true) = (&mount.what, mount.is_whole()) {
            println!("{:<30}  {}", name.as_str(), mount.mountpoint.display());
        }
    }
    Ok(())
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
    /// Unload its key, where that is its own
    #[arg(short)]
    unload_key: bool,
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
        let Some(target) = self.target else {
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
            let folder = PathBuf::from(&target);
            act.step("unmount", &target, |zfs| {
                zfs.unmount_folder(&folder, flags).map(drop)
            })?;
            return Ok(());
        }
        if target.contains('@') {
            let snapshot = target.parse()?;
            act.step("unmount", &snapshot, |zfs| {
                zfs.unmount_snapshot(&snapshot, flags)
            })?;
            return Ok(());
        }
        let name: DatasetName = target.parse()?;
        act.step("unmount", &name, |zfs| zfs.unmount(&name, flags))?;
        if self.unload_key {
            let own = act
                .zfs
                .encryption(&name)?
                .is_some_and(|state| state.is_root(&name));
            if own {
                act.step("unload-key", &name, |zfs| zfs.unload_key(&name))?;
            }
        }
        Ok(())
    }
}
