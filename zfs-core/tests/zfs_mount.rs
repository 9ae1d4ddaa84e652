//! Mounting, unmounting, and what becomes of mounts when properties and names
//! change. `zfs mount` and /proc say what is mounted where.

mod fixture;

#[path = "zfs_mount/change.rs"]
mod change;
#[path = "zfs_mount/flags.rs"]
mod flags;
#[path = "zfs_mount/key.rs"]
mod key;
#[path = "zfs_mount/place.rs"]
mod place;
#[path = "zfs_mount/snapshot.rs"]
mod snapshot;
#[path = "zfs_mount/unmount.rs"]
mod unmount;
#[path = "zfs_mount/user.rs"]
mod user;

use std::path::{Path, PathBuf};
use std::process::Command;

use fixture::{Pool, attempt, run};
use zfs_core::{CreateRequest, DatasetName, MountRequest, Properties};

/// A filesystem with a mountpoint in the pool's folder, mounted by us.
fn mounted(pool: &Pool, relative: &str) -> (DatasetName, PathBuf) {
    let name = placed(pool, relative, &[]);
    let at = pool
        .zfs
        .mount(&MountRequest::filesystem(name.clone()))
        .unwrap();
    (name, at)
}

fn placed(pool: &Pool, relative: &str, properties: &[(&str, &str)]) -> DatasetName {
    let name = pool.dataset(relative);
    let at = pool.path().join(relative.replace('/', "_"));
    let properties: Properties = properties.iter().copied().collect();
    let request = CreateRequest::filesystem(name.clone())
        .property("mountpoint", at.to_str().unwrap())
        .properties(&properties);
    pool.zfs.create(&request).unwrap();
    name
}

/// Options of the mount, as the kernel shows them to findmnt(8).
fn options(name: &DatasetName) -> Vec<String> {
    let output = run(&["findmnt", "-nro", "VFS-OPTIONS", "-S", name.as_str()]);
    output.trim().split(',').map(str::to_owned).collect()
}

fn has(name: &DatasetName, option: &str) -> bool {
    options(name).iter().any(|other| other == option)
}

fn place(name: &DatasetName) -> Option<PathBuf> {
    let output = attempt(&["findmnt", "-nro", "TARGET", "-S", name.as_str()]);
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().next().map(PathBuf::from)
}

fn set(pool: &Pool, name: &DatasetName, property: &str, value: &str) {
    pool.zfs
        .set_properties(name, &Properties::new().with(property, value))
        .unwrap();
}

/// Keeps a folder busy until it is dropped.
struct Busy(std::process::Child);

impl Busy {
    fn on(folder: &Path) -> Busy {
        let child = Command::new("sleep").arg("600").current_dir(folder).spawn();
        Busy(child.expect("sleep"))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.kill().expect("to kill it");
        self.0.wait().expect("its end");
    }
}
