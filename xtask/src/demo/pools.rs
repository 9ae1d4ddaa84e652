//! The two sites: pools made of sparse files in one temporary folder, with
//! every mountpoint inside that folder, and gone when the demo ends, however
//! it ends.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use super::tool;

pub const SITE_A: &str = "site-a";
pub const SITE_B: &str = "site-b";

/// What is replicated: `site-a/office` and all below it.
pub const TREE: &str = "office";
pub const FILES: &str = "office/files";
pub const VAULT: &str = "office/vault";
pub const DISK: &str = "office/disk";

/// The datasets of the demo on either site, in the order of the table.
pub const DATASETS: [&str; 4] = [TREE, FILES, VAULT, DISK];

const VDEV_BYTES: u64 = 1 << 30;
pub const DISK_BYTES: u64 = 64 << 20;

pub fn on(site: &str, dataset: &str) -> String {
    format!("{site}/{dataset}")
}

/// Both pools and the folder that they lie in.
#[derive(Debug)]
pub struct Pools {
    /// `Some` until the pools are gone: a folder under a living pool stays.
    dir: Option<TempDir>,
    path: PathBuf,
}

impl Pools {
    /// Makes both pools, empty. Refuses if the system has a pool of such a
    /// name.
    pub fn create() -> Result<Self> {
        let present = tool::run("zpool", &["list", "-H", "-o", "name"])?;
        if let Some(taken) = present.lines().find(|pool| [SITE_A, SITE_B].contains(pool)) {
            bail!(
                "this system has a pool named {taken} already, and the demo will not touch a pool \
                 that it did not make. If an earlier demo that was killed left it: zpool destroy {taken}"
            );
        }
        let dir = tempfile::Builder::new()
            .prefix("zfs-demo-")
            .tempdir()
            .context("cannot make a temporary folder (TMPDIR names another place)")?;
        let pools = Self {
            path: dir.path().to_path_buf(),
            dir: Some(dir),
        };
        for site in [SITE_A, SITE_B] {
            pools.create_pool(site)?;
        }
        Ok(pools)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where a dataset is mounted, or would be.
    pub fn mountpoint(&self, dataset: &str) -> PathBuf {
        self.path.join("mnt").join(dataset)
    }

    fn create_pool(&self, site: &str) -> Result<()> {
        let vdevs = self.path.join("vdevs");
        fs::create_dir_all(&vdevs).with_context(|| format!("cannot make {}", vdevs.display()))?;
        let vdev = vdevs.join(site);
        File::create(&vdev)
            .and_then(|file| file.set_len(VDEV_BYTES))
            .with_context(|| format!("cannot make {}", vdev.display()))?;
        // No cache file: the system must not look for this pool at its next
        // boot. The mountpoint is inherited by all that is below, so nothing
        // is ever mounted outside of the folder.
        let mountpoint = format!("mountpoint={}", self.mountpoint(site).display());
        let vdev = vdev.display().to_string();
        tool::run(
            "zpool",
            &[
                "create",
                "-o",
                "cachefile=none",
                "-O",
                &mountpoint,
                "-O",
                "canmount=off",
                "-O",
                "compression=lz4",
                site,
                &vdev,
            ],
        )?;
        Ok(())
    }

    /// The datasets of site-a: a container, plain files, an encrypted
    /// filesystem with a raw key, and a zvol.
    pub fn create_datasets(&self) -> Result<()> {
        let create = |args: &[&str]| {
            let mut line = vec!["create"];
            line.extend(args);
            tool::run("zfs", &line)
        };
        create(&["-o", "canmount=off", &on(SITE_A, TREE)])?;
        create(&["-o", "xattr=sa", "-o", "recordsize=1M", &on(SITE_A, FILES)])?;
        let keylocation = format!("keylocation={}", self.key_url()?);
        create(&[
            "-o",
            "encryption=aes-256-gcm",
            "-o",
            "keyformat=raw",
            "-o",
            &keylocation,
            &on(SITE_A, VAULT),
        ])?;
        let size = DISK_BYTES.to_string();
        create(&["-s", "-V", &size, "-b", "16K", &on(SITE_A, DISK)])?;
        Ok(())
    }

    /// The key file's URL; the file is made when first asked for.
    fn key_url(&self) -> Result<String> {
        let path = self.path.join("vault.key");
        if !path.exists() {
            let mut key = [0; 32];
            File::open("/dev/urandom")
                .and_then(|mut random| random.read_exact(&mut key))
                .context("cannot read /dev/urandom")?;
            fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
                .and_then(|mut file| std::io::Write::write_all(&mut file, &key))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(format!("file://{}", path.display()))
    }

    /// Opens both pools anew, read-only, with the vault's key loaded and
    /// both filesystems mounted: from here on nothing can be written to
    /// either side, and nothing is read that was only in memory.
    pub fn open_read_only(&self) -> Result<()> {
        let vdevs = self.path.join("vdevs").display().to_string();
        for site in [SITE_A, SITE_B] {
            export(site)?;
            tool::run(
                "zpool",
                &[
                    "import",
                    "-d",
                    &vdevs,
                    "-N",
                    "-o",
                    "readonly=on",
                    "-o",
                    "cachefile=none",
                    site,
                ],
            )?;
            tool::run(
                "zfs",
                &["load-key", "-L", &self.key_url()?, &on(site, VAULT)],
            )?;
            for dataset in [FILES, VAULT] {
                tool::run("zfs", &["mount", &on(site, dataset)])?;
            }
        }
        Ok(())
    }

    /// Takes everything away. An error says what is left and how to remove
    /// it.
    pub fn close(mut self) -> Result<()> {
        self.take_away()
    }

    fn take_away(&mut self) -> Result<()> {
        let Some(dir) = self.dir.take() else {
            return Ok(());
        };
        for site in [SITE_A, SITE_B] {
            if !is_imported(site) {
                continue;
            }
            // Exported, not destroyed: that works for a read-only pool too,
            // and the files are removed at once.
            if let Err(error) = export(site) {
                let kept = dir.keep();
                return Err(error.context(format!(
                    "the pool {site} could not be closed; its files stay in {} (zpool export -f {site}, then remove them)",
                    kept.display()
                )));
            }
        }
        let path = dir.path().to_path_buf();
        dir.close()
            .with_context(|| format!("cannot remove {}", path.display()))
    }
}

impl Drop for Pools {
    fn drop(&mut self) {
        if let Err(error) = self.take_away() {
            eprintln!("{error:#}");
        }
    }
}

fn is_imported(site: &str) -> bool {
    tool::run("zpool", &["list", "-H", "-o", "name", site]).is_ok()
}

/// Unmounts and exports. Retried for a while: udev and blkid open a zvol
/// whenever it appears or was written, and the pool is busy while they look.
fn export(site: &str) -> Result<()> {
    let mut tries = 0;
    loop {
        match tool::run("zpool", &["export", site]) {
            Ok(_) => return Ok(()),
            Err(_) if tries < 120 => tries += 1,
            Err(error) => return Err(error),
        }
        sleep(Duration::from_millis(500));
    }
}

/// A snapshot's short name and GUID, oldest first.
pub fn snapshots(dataset: &str) -> Result<Vec<(String, String)>> {
    let listed = tool::run(
        "zfs",
        &[
            "list",
            "-H",
            "-p",
            "-t",
            "snapshot",
            "-d",
            "1",
            "-s",
            "createtxg",
            "-o",
            "name,guid",
            dataset,
        ],
    )?;
    Ok(listed
        .lines()
        .filter_map(|line| {
            let (name, guid) = line.split_once('\t')?;
            let (_, short) = name.split_once('@')?;
            Some((short.to_owned(), guid.to_owned()))
        })
        .collect())
}
