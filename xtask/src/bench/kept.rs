//! Pools of many snapshots, made once and kept beside the machine that made
//! them. Under emulation a snapshot takes 30 to 60 ms, and listings want
//! 20,000 of them.
//!
//! ```text
//! recipe -> bench-pool, in a machine -> exported -> its own name -> a disk of each run
//! ```
//!
//! What a run changes in the pool is forgotten with the run.

use std::{
    fmt::Write as _,
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::guest::{self, Guest};
use crate::vm::{self, Changes, Disk, Suite};

/// The disk is /dev/disk/by-id/virtio-pool inside.
const DISK: &str = "pool";
/// Sparse: a snapshot takes some 20 KiB of it.
const SIZE: u64 = 8 << 30;

/// What is in the pool: each dataset has all of the snapshots.
pub struct Recipe {
    pub bench: &'static str,
    pub suite: Suite,
    /// What the machine's clock says when a snapshot is taken.
    pub clock: Option<&'static str>,
    pub datasets: Vec<String>,
    pub snapshots: Vec<String>,
}

impl Recipe {
    /// The pool's disk, made if it is not there yet.
    pub fn disk(&self) -> Result<Disk> {
        let image = vm::build(self.suite)?;
        let recipe = self.text()?;
        // It goes away with the machine, and so with that OpenZFS.
        let name = format!(
            "pool-{}-{}.img",
            self.bench,
            vm::digest(&[PROGRAM, &recipe])
        );
        let file = image.folder.join(name);
        if !file.exists() {
            let _lock = vm::lock(&file)?;
            if !file.exists() {
                self.make(&recipe, &file)?;
            }
        }
        Ok(Disk {
            name: DISK.to_owned(),
            file,
            changes: Changes::Forgotten,
        })
    }

    fn text(&self) -> Result<String> {
        let mut text = String::new();
        if let Some(clock) = self.clock {
            writeln!(text, "clock {clock}")?;
        }
        for dataset in &self.datasets {
            writeln!(text, "dataset {dataset}")?;
        }
        for snapshot in &self.snapshots {
            writeln!(text, "snapshot {snapshot}")?;
        }
        Ok(text)
    }

    fn make(&self, recipe: &str, target: &Path) -> Result<()> {
        eprintln!(
            "bench: making a pool of {} snapshots, once (under emulation {} minutes or so)",
            self.datasets.len() * self.snapshots.len(),
            self.datasets.len() * self.snapshots.len() / 1500 + 1,
        );
        let unfinished = target.with_extension("unfinished");
        File::create(&unfinished)?.set_len(SIZE)?;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("recipe");
        fs::write(&file, recipe)?;
        let guest = Guest {
            files: vec![(file, PathBuf::from("recipe"))],
            disks: vec![Disk {
                name: DISK.to_owned(),
                file: unfinished.clone(),
                changes: Changes::Kept,
            }],
            ..Guest::new("bench-pool", self.suite)
        };
        guest::run::<serde_json::Value>(&guest, "/dev/disk/by-id/virtio-pool recipe")?;
        // Only what is whole gets its name.
        fs::rename(&unfinished, target).with_context(|| format!("cannot make {}", target.display()))
    }
}

/// Another way to make it makes another pool.
const PROGRAM: &str = include_str!("../../../benches/src/bin/bench-pool.rs");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_has_a_line_for_each_name() {
        let recipe = Recipe {
            bench: "list",
            suite: Suite::Trixie,
            clock: Some("2026-11-25 10:05:00"),
            datasets: vec!["a".to_owned(), "b".to_owned()],
            snapshots: vec!["x".to_owned()],
        };
        assert_eq!(
            recipe.text().unwrap(),
            "clock 2026-11-25 10:05:00\ndataset a\ndataset b\nsnapshot x\n"
        );
    }
}
