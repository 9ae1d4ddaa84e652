//! The first content of a filesystem: files of mixed sizes and modes with
//! attributes, hard links, symlinks, sparse files and odd names, the same
//! ones for the same seed.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, lsetxattr, makedev, mknodat,
    utimensat,
};

use super::content::{Content, Random};
use super::interrupt::Interrupt;

/// Folders of every filled tree, with names that scripts trip over.
const FOLDERS: [&str; 12] = [
    "accounts",
    "accounts/2026",
    "accounts/2026/with space",
    "päpers & ünïcode",
    "日本語",
    "-starts-with-a-dash",
    "line\nbreak",
    "quote'\"`$HOME",
    "deep/1/2/3/4/5/6/7/8",
    " leading and trailing ",
    "mail/cur",
    "mail/new",
];

/// How much to make, and from which seed.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    pub seed: u64,
    pub files: u64,
    /// The size of one further file of noise; 0 for none.
    pub large_file_bytes: u64,
    pub sparse_files: u64,
}

/// The name of [`Recipe::large_file_bytes`]'s file.
pub const LARGE_FILE: &str = "disk image.raw";

/// What the one who fills a tree may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// Give files away, make devices, and read what nobody may.
    Root,
    /// Only what any user may: the tests on the host.
    User,
}

impl Rights {
    pub fn of_this_process() -> Self {
        if rustix::process::geteuid().is_root() {
            Self::Root
        } else {
            Self::User
        }
    }
}

/// Fills the empty folder `root`; `made` is told of every file.
pub fn fill(
    root: &Path,
    recipe: Recipe,
    rights: Rights,
    interrupt: &Interrupt,
    mut made: impl FnMut(),
) -> Result<()> {
    let mut author = Author::new(Random::new(recipe.seed), rights);
    for folder in FOLDERS {
        make_folder(&root.join(folder))?;
    }
    let mut files = Vec::new();
    for number in 0..recipe.files {
        interrupt.check()?;
        let path = author.new_path(root, number);
        let length = author.length();
        author.file(&path, length)?;
        files.push(path);
        made();
    }
    for number in 0..recipe.sparse_files {
        interrupt.check()?;
        author.sparse_file(&root.join(format!("mail/sparse-{number}")))?;
    }
    if recipe.large_file_bytes > 0 {
        author.large_file(&root.join(LARGE_FILE), recipe.large_file_bytes, interrupt)?;
    }
    for number in 0..recipe.files / 50 {
        let original = author.random.pick(&files).clone();
        let folder = *author.random.pick(&FOLDERS);
        let link = root.join(folder).join(format!("link-{number}"));
        fs::hard_link(&original, &link)
            .with_context(|| format!("cannot link {}", link.display()))?;
    }
    author.symlinks(root, recipe.files / 50 + 4)?;
    author.special_files(root)?;
    stamp_folders(root, recipe.seed)
}

/// Makes a folder and those above it, if they are not there.
pub fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))
}

/// Gives every folder a time that follows from the seed: making and removing
/// entries moved it to now.
pub fn stamp_folders(root: &Path, seed: u64) -> Result<()> {
    let mut random = Random::new(seed).derive(0xf01d);
    for found in walkdir::WalkDir::new(root).sort_by_file_name() {
        let found = found.with_context(|| format!("cannot read {}", root.display()))?;
        if found.file_type().is_dir() {
            set_mtime(found.path(), &mut random)?;
        }
    }
    Ok(())
}

/// Sets an entry's own time, not a symlink's target's: any second from 1970
/// to 2096, with nanoseconds.
pub fn set_mtime(path: &Path, random: &mut Random) -> Result<()> {
    let time = Timespec {
        tv_sec: i64::from(random.between(1, 4_000_000_000) as u32),
        tv_nsec: i64::from(random.below(1_000_000_000) as u32),
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
        .with_context(|| format!("cannot set the times of {}", path.display()))
}

/// Makes entries, one decision of the generator after the other.
#[derive(Debug)]
pub struct Author {
    pub random: Random,
    rights: Rights,
}

impl Author {
    pub fn new(random: Random, rights: Rights) -> Self {
        Self { random, rights }
    }

    /// A path in one of the folders; the number keeps it apart from others.
    pub fn new_path(&mut self, root: &Path, number: u64) -> PathBuf {
        let folder = root.join(*self.random.pick(&FOLDERS));
        let name = match self.random.below(20) {
            0 => format!("{number} name with spaces"),
            1 => format!("{number}-ß-漢字-🗄"),
            2 => format!("{number}\nsecond line"),
            3 => format!(".{number}.hidden"),
            4 => format!("{number}-{}", "long".repeat(50)),
            _ => format!("{number:05}.dat"),
        };
        folder.join(name)
    }

    /// Mostly small, as in any home folder, with the edges of blocks among
    /// them.
    pub fn length(&mut self) -> u64 {
        let random = &mut self.random;
        match random.below(1000) {
            0..50 => 0,
            50..80 => *random.pick(&[1, 511, 512, 513, 4096, 131_071, 131_072, 131_073]),
            80..550 => random.between(1, 4096),
            550..900 => random.between(4096, 32 * 1024),
            900..990 => random.between(32 * 1024, 128 * 1024),
            990..998 => random.between(128 * 1024, 1024 * 1024),
            _ => random.between(1024 * 1024, 3 * 1024 * 1024),
        }
    }

    pub fn file(&mut self, path: &Path, length: u64) -> Result<()> {
        let content = *self.random.pick(&Content::ALL);
        let mut bytes = vec![0; length as usize];
        content.fill(&mut self.random, &mut bytes);
        fs::write(path, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
        if self.random.chance(12) {
            for _ in 0..self.random.between(1, 3) {
                self.set_attribute(path)?;
            }
        }
        self.set_metadata(path)
    }

    /// A user attribute under one of a few names, so that it is sometimes
    /// new and sometimes a change.
    pub fn set_attribute(&mut self, path: &Path) -> Result<()> {
        let name = format!("user.demo.{}", self.random.below(6));
        let mut value = vec![0; self.random.below(700) as usize];
        Content::Noise.fill(&mut self.random, &mut value);
        lsetxattr(path, name.as_str(), &value, XattrFlags::empty())
            .with_context(|| format!("cannot set the attribute {name} of {}", path.display()))
    }

    /// Owner, mode and time, in this order: a change of owner clears the
    /// set-uid bit, and both move the change time only.
    pub fn set_metadata(&mut self, path: &Path) -> Result<()> {
        if self.rights == Rights::Root {
            let owner = *self.random.pick(&[0, 0, 1000, 65_534, 3_000_000_000]);
            let group = *self.random.pick(&[0, 100, 1000, 3_000_000_001]);
            std::os::unix::fs::lchown(path, Some(owner), Some(group))
                .with_context(|| format!("cannot give {} away", path.display()))?;
        }
        self.set_mode(path)?;
        set_mtime(path, &mut self.random)
    }

    pub fn set_mode(&mut self, path: &Path) -> Result<()> {
        let modes: &[u32] = match self.rights {
            Rights::Root => &[0o644, 0o600, 0o755, 0o444, 0o4755, 0o2755, 0o1666, 0],
            Rights::User => &[0o644, 0o600, 0o755, 0o640],
        };
        let mode = *self.random.pick(modes);
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .with_context(|| format!("cannot set the mode of {}", path.display()))
    }

    /// Some blocks far apart; the first and last bytes may be holes.
    fn sparse_file(&mut self, path: &Path) -> Result<()> {
        let writing = || format!("cannot write {}", path.display());
        let length = self.random.between(512 * 1024, 3 * 1024 * 1024);
        let file = File::create(path).with_context(writing)?;
        file.set_len(length).with_context(writing)?;
        let mut block = vec![0; 3000];
        for _ in 0..4 {
            Content::Noise.fill(&mut self.random, &mut block);
            let offset = self.random.below(length - block.len() as u64);
            file.write_all_at(&block, offset).with_context(writing)?;
        }
        drop(file);
        self.set_metadata(path)
    }

    fn large_file(&mut self, path: &Path, length: u64, interrupt: &Interrupt) -> Result<()> {
        let writing = || format!("cannot write {}", path.display());
        let mut file = File::create(path).with_context(writing)?;
        let mut block = vec![0; 1 << 20];
        let mut left = length;
        while left > 0 {
            interrupt.check()?;
            Content::Noise.fill(&mut self.random, &mut block);
            let part = &block[..left.min(block.len() as u64) as usize];
            file.write_all(part).with_context(writing)?;
            left -= part.len() as u64;
        }
        drop(file);
        self.set_metadata(path)
    }

    /// Relative, absolute, dangling and long ones, none outside the tree
    /// that anything would follow.
    fn symlinks(&mut self, root: &Path, count: u64) -> Result<()> {
        for number in 0..count {
            let target = match number % 4 {
                0 => "../mail/sparse-0".to_owned(),
                1 => "/nonexistent/absolute".to_owned(),
                2 => format!("dangling ü {number}"),
                _ => "long/".repeat(200),
            };
            let folder = *self.random.pick(&FOLDERS);
            let link = root.join(folder).join(format!("symlink-{number}"));
            self.symlink(OsStr::new(&target), &link)?;
        }
        Ok(())
    }

    pub fn symlink(&mut self, target: &OsStr, link: &Path) -> Result<()> {
        std::os::unix::fs::symlink(target, link)
            .with_context(|| format!("cannot make the symlink {}", link.display()))?;
        set_mtime(link, &mut self.random)
    }

    fn special_files(&mut self, root: &Path) -> Result<()> {
        let mut make = |name: &str, file_type, number| {
            let path = root.join(name);
            mknodat(CWD, &path, file_type, Mode::from_raw_mode(0o640), number)
                .with_context(|| format!("cannot make {}", path.display()))?;
            set_mtime(&path, &mut self.random)
        };
        make("mail/queue", FileType::Fifo, 0)?;
        make("mail/control", FileType::Socket, 0)?;
        if self.rights == Rights::Root {
            make("null device", FileType::CharacterDevice, makedev(1, 3))?;
            make("loop device", FileType::BlockDevice, makedev(7, 0))?;
        }
        Ok(())
    }
}
