//! Reads a file tree whole: of every entry its kind, its metadata and, by
//! BLAKE3, its content.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use indicatif::ProgressBar;
use rustix::fs::{lgetxattr, lgetxattr_query, llistxattr, llistxattr_query};

use super::interrupt::Interrupt;

/// What an entry is, with the content that makes it so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A hole counts as the zeroes it reads as: where a file is sparse is
    /// the pool's own affair (compression makes holes of zeroes).
    File {
        size: u64,
        hash: blake3::Hash,
    },
    Directory,
    Symlink {
        target: PathBuf,
    },
    Fifo,
    Socket,
    CharDevice {
        number: u64,
    },
    BlockDevice {
        number: u64,
    },
}

impl Kind {
    pub fn name(&self) -> &'static str {
        match self {
            Self::File { .. } => "file",
            Self::Directory => "directory",
            Self::Symlink { .. } => "symlink",
            Self::Fifo => "fifo",
            Self::Socket => "socket",
            Self::CharDevice { .. } => "character device",
            Self::BlockDevice { .. } => "block device",
        }
    }
}

/// One entry. Not here: the change time and the inode number, which no
/// backup promises, and a directory's size, which is its filesystem's own
/// measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub kind: Kind,
    /// The permission bits with set-uid, set-gid and sticky.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Seconds and nanoseconds.
    pub mtime: (i64, i64),
    pub xattrs: BTreeMap<OsString, Vec<u8>>,
    /// The first path, in order, that is the same file: equal in two trees
    /// exactly where their hard links are.
    pub same_file_as: PathBuf,
}

/// A whole tree, by path relative to its root; the root itself is `.`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    pub entries: BTreeMap<PathBuf, Entry>,
    /// Regular files, each name of a hard-linked one counted.
    pub files: u64,
    /// Bytes read and hashed; a hard-linked file once.
    pub bytes: u64,
}

/// Reads everything below `root`, within its filesystem.
pub fn scan(root: &Path, bar: &ProgressBar, interrupt: &Interrupt) -> Result<Tree> {
    let mut tree = Tree::default();
    let mut seen: HashMap<(u64, u64), (PathBuf, Kind)> = HashMap::new();
    let mut buffer = vec![0; 1 << 20];
    let walk = walkdir::WalkDir::new(root)
        .sort_by_file_name()
        .same_file_system(true);
    for found in walk {
        interrupt.check()?;
        let found = found.with_context(|| format!("cannot read {}", root.display()))?;
        let path = found.path();
        let name = name_below(root, path);
        let stat = found
            .metadata()
            .with_context(|| format!("cannot read the metadata of {}", path.display()))?;
        let inode = (stat.dev(), stat.ino());
        let (same_file_as, kind) = if let Some(known) = seen.get(&inode) {
            known.clone()
        } else {
            let kind = kind(path, &stat, &mut buffer, bar, interrupt)?;
            if let Kind::File { size, .. } = kind {
                tree.bytes += size;
            }
            if !stat.is_dir() && stat.nlink() > 1 {
                seen.insert(inode, (name.clone(), kind.clone()));
            }
            (name.clone(), kind)
        };
        if stat.is_file() {
            tree.files += 1;
        }
        let entry = Entry {
            kind,
            mode: stat.mode() & 0o7777,
            uid: stat.uid(),
            gid: stat.gid(),
            mtime: (stat.mtime(), stat.mtime_nsec()),
            xattrs: xattrs(path)?,
            same_file_as,
        };
        tree.entries.insert(name, entry);
    }
    Ok(tree)
}

fn name_below(root: &Path, path: &Path) -> PathBuf {
    match path.strip_prefix(root) {
        Ok(name) if !name.as_os_str().is_empty() => name.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

fn kind(
    path: &Path,
    stat: &Metadata,
    buffer: &mut [u8],
    bar: &ProgressBar,
    interrupt: &Interrupt,
) -> Result<Kind> {
    let file_type = stat.file_type();
    Ok(if file_type.is_file() {
        let (size, hash) = hash(path, buffer, bar, interrupt)?;
        if size != stat.len() {
            bail!(
                "{} changed while it was read: {} bytes, then {size}",
                path.display(),
                stat.len()
            );
        }
        Kind::File { size, hash }
    } else if file_type.is_dir() {
        Kind::Directory
    } else if file_type.is_symlink() {
        let target = std::fs::read_link(path)
            .with_context(|| format!("cannot read the symlink {}", path.display()))?;
        Kind::Symlink { target }
    } else if file_type.is_fifo() {
        Kind::Fifo
    } else if file_type.is_socket() {
        Kind::Socket
    } else if file_type.is_char_device() {
        Kind::CharDevice {
            number: stat.rdev(),
        }
    } else {
        Kind::BlockDevice {
            number: stat.rdev(),
        }
    })
}

fn hash(
    path: &Path,
    buffer: &mut [u8],
    bar: &ProgressBar,
    interrupt: &Interrupt,
) -> Result<(u64, blake3::Hash)> {
    let reading = || format!("cannot read {}", path.display());
    let mut file = File::open(path).with_context(reading)?;
    let mut hasher = blake3::Hasher::new();
    let mut size = 0;
    loop {
        let length = file.read(buffer).with_context(reading)?;
        if length == 0 {
            return Ok((size, hasher.finalize()));
        }
        hasher.update(&buffer[..length]);
        size += length as u64;
        bar.inc(length as u64);
        interrupt.check()?;
    }
}

fn xattrs(path: &Path) -> Result<BTreeMap<OsString, Vec<u8>>> {
    let reading = || format!("cannot read the extended attributes of {}", path.display());
    let mut found = BTreeMap::new();
    let mut names = vec![0; llistxattr_query(path).with_context(reading)?];
    let length = llistxattr(path, names.as_mut_slice()).with_context(reading)?;
    names.truncate(length);
    for name in names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let mut value = vec![0; lgetxattr_query(path, name).with_context(reading)?];
        let length = lgetxattr(path, name, value.as_mut_slice()).with_context(reading)?;
        value.truncate(length);
        found.insert(OsStr::from_bytes(name).to_os_string(), value);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use rustix::fs::{XattrFlags, lsetxattr};

    use super::super::compare::{Sides, differences};
    use super::*;

    const SIDES: Sides<'_> = Sides {
        left: "one",
        right: "other",
    };

    fn read(root: &Path) -> Tree {
        scan(root, &ProgressBar::hidden(), &Interrupt::default()).unwrap()
    }

    /// A small tree with a file under two names, a symlink and an attribute.
    fn made() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let path = |name| dir.path().join(name);
        fs::create_dir(path("folder")).unwrap();
        fs::write(path("folder/a"), "content").unwrap();
        fs::hard_link(path("folder/a"), path("b")).unwrap();
        fs::write(path("c"), vec![0; 100_000]).unwrap();
        symlink("b", path("link")).unwrap();
        lsetxattr(path("c"), "user.demo", b"value", XattrFlags::empty()).unwrap();
        for name in ["folder/a", "c"] {
            set_time(&path(name));
        }
        dir
    }

    fn set_time(path: &Path) {
        let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_700_000_000, 123_456_789);
        let file = fs::OpenOptions::new().append(true).open(path).unwrap();
        file.set_modified(time).unwrap();
    }

    #[test]
    fn files_and_bytes_are_counted_and_a_second_name_is_not_read_again() {
        let tree = read(made().path());
        assert_eq!((tree.files, tree.bytes), (3, 7 + 100_000));
        assert_eq!(
            tree.entries[Path::new("folder/a")].same_file_as,
            Path::new("b")
        );
        assert_eq!(
            tree.entries[Path::new("c")].mtime,
            (1_700_000_000, 123_456_789)
        );
        assert!(tree.entries.contains_key(Path::new(".")));
    }

    #[test]
    fn every_damage_to_a_tree_is_found_by_the_name_of_what_was_damaged() {
        type Damage = fn(&Path);
        let damages: [(&str, &str, Damage); 9] = [
            ("c", "content", |c| {
                let mut bytes = fs::read(c).unwrap();
                bytes[50_000] = 1;
                fs::write(c, bytes).unwrap();
                set_time(c);
            }),
            ("c", "size", |c| {
                fs::write(c, vec![0; 100_001]).unwrap();
                set_time(c);
            }),
            ("c", "mtime", |c| {
                let file = fs::OpenOptions::new().append(true).open(c).unwrap();
                let time = std::time::UNIX_EPOCH;
                file.set_modified(time + std::time::Duration::new(1_700_000_000, 123_456_788))
                    .unwrap();
            }),
            ("c", "mode", |c| {
                fs::set_permissions(c, fs::Permissions::from_mode(0o600)).unwrap();
            }),
            ("c", "attribute", |c| {
                lsetxattr(c, "user.demo", b"valuE", XattrFlags::empty()).unwrap();
            }),
            ("folder/a", "first hard link", |a| {
                let copy = a.with_file_name("copy");
                fs::copy(a, &copy).unwrap();
                fs::rename(&copy, a).unwrap();
                set_time(a);
            }),
            ("link", "target", |link| {
                fs::remove_file(link).unwrap();
                symlink("c", link).unwrap();
            }),
            ("c", "missing on other", |c| fs::remove_file(c).unwrap()),
            ("new", "only on other", |new| fs::write(new, "").unwrap()),
        ];
        for (name, words, damage) in damages {
            let dir = made();
            let before = read(dir.path());
            damage(&dir.path().join(name));
            let found = differences(&before, &read(dir.path()), SIDES);
            assert!(
                found
                    .iter()
                    .any(|found| found.path == Path::new(name) && found.what.contains(words)),
                "{name}, {words}: {found:?}"
            );
        }
    }

    #[test]
    fn a_hole_is_the_same_as_the_zeroes_it_reads_as() {
        let dir = made();
        let before = read(dir.path());
        let sparse = dir.path().join("sparse");
        File::create(&sparse).unwrap().set_len(100_000).unwrap();
        let after = read(dir.path());
        assert_eq!(
            before.entries[Path::new("c")].kind,
            after.entries[Path::new("sparse")].kind
        );
    }
}
