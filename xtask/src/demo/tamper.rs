//! Changes one byte of one file on site-b, such that nothing but its content
//! tells.

use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rustix::fs::{Timespec, Timestamps, futimens};

use super::tool;

/// Which byte was changed.
#[derive(Debug)]
pub struct Tampered {
    /// Relative to the dataset's mountpoint.
    pub path: PathBuf,
    pub offset: u64,
}

/// Mounts `dataset` writable for this one write. The mount option overrides
/// the property for the time of the mount, so no property is touched.
pub fn tamper(dataset: &str, mountpoint: &Path) -> Result<Tampered> {
    tool::run("zfs", &["mount", "-o", "rw", dataset])?;
    let tampered = flip_one_byte(mountpoint);
    tool::run("zfs", &["unmount", dataset])?;
    tampered
}

/// Of the first file that has a byte and one name only.
fn flip_one_byte(root: &Path) -> Result<Tampered> {
    for found in walkdir::WalkDir::new(root).sort_by_file_name() {
        let found = found.with_context(|| format!("cannot read {}", root.display()))?;
        let stat = found
            .metadata()
            .with_context(|| format!("cannot read {}", found.path().display()))?;
        if stat.is_file() && stat.len() > 0 && stat.nlink() == 1 {
            let offset = stat.len() / 2;
            flip(found.path(), offset, &stat)
                .with_context(|| format!("cannot tamper with {}", found.path().display()))?;
            let path = found.path().strip_prefix(root)?.to_path_buf();
            return Ok(Tampered { path, offset });
        }
    }
    anyhow::bail!("{} has no file to tamper with", root.display())
}

fn flip(path: &Path, offset: u64, stat: &std::fs::Metadata) -> Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset)?;
    file.write_all_at(&[!byte[0]], offset)?;
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: stat.atime(),
            tv_nsec: stat.atime_nsec() as _,
        },
        last_modification: Timespec {
            tv_sec: stat.mtime(),
            tv_nsec: stat.mtime_nsec() as _,
        },
    };
    futimens(&file, &times)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use indicatif::ProgressBar;

    use super::super::compare::{Sides, differences};
    use super::super::interrupt::Interrupt;
    use super::super::scan::scan;
    use super::*;

    #[test]
    fn only_the_content_of_one_file_tells_of_it() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a-empty"), "").unwrap();
        std::fs::write(dir.path().join("b"), "content").unwrap();
        std::fs::write(dir.path().join("c"), "content").unwrap();
        let read = || scan(dir.path(), &ProgressBar::hidden(), &Interrupt::default()).unwrap();
        let before = read();
        let tampered = flip_one_byte(dir.path()).unwrap();
        assert_eq!((tampered.path, tampered.offset), ("b".into(), 3));
        let sides = Sides {
            left: "before",
            right: "after",
        };
        let found = differences(&before, &read(), sides);
        assert_eq!(found.len(), 1);
        assert!(
            found[0]
                .to_string()
                .starts_with("\"b\": its content (BLAKE3) is ")
        );
    }
}
