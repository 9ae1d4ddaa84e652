//! One round of change to a filled tree: what people and programs do to
//! files between two backups. The same round of the same seed does the same.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rustix::fs::{FallocateFlags, fallocate, llistxattr, llistxattr_query, lremovexattr};

use super::content::{Content, Random};
use super::fill::{Author, LARGE_FILE, Rights, make_folder, set_mtime, stamp_folders};
use super::interrupt::Interrupt;

/// Changes some of everything below `root`; returns how many changes.
pub fn change(
    root: &Path,
    seed: u64,
    round: u64,
    rights: Rights,
    interrupt: &Interrupt,
) -> Result<u64> {
    let random = Random::new(seed).derive(round);
    let mut editor = Editor {
        files: regular_files(root)?,
        author: Author::new(random, rights),
        root,
        round,
        changes: 0,
    };
    // A share of the files, and at least one even in a small tree.
    let share = |files: usize, per_mille: usize| (files * per_mille / 1000).max(1);
    let files = editor.files.len();
    for (per_mille, edit) in Editor::plan() {
        for _ in 0..share(files, per_mille) {
            interrupt.check()?;
            if editor.files.is_empty() {
                break;
            }
            edit(&mut editor)?;
            editor.changes += 1;
        }
    }
    for number in 0..share(files, 25) {
        interrupt.check()?;
        editor.create(number as u64)?;
    }
    editor.rename_a_folder()?;
    editor.overwrite_parts_of_the_large_file()?;
    stamp_folders(root, seed ^ round)?;
    Ok(editor.changes)
}

/// All but the large file, which stays what it is for: the stream that takes
/// longest.
fn regular_files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for found in walkdir::WalkDir::new(root).sort_by_file_name() {
        let found = found.with_context(|| format!("cannot read {}", root.display()))?;
        if found.file_type().is_file() && found.file_name() != LARGE_FILE {
            files.push(found.into_path());
        }
    }
    Ok(files)
}

type Edit<Editor> = (usize, fn(&mut Editor) -> Result<()>);

struct Editor<'a> {
    root: &'a Path,
    round: u64,
    files: Vec<PathBuf>,
    author: Author,
    changes: u64,
}

impl Editor<'_> {
    /// Each kind of edit with its share of the files, per mille.
    fn plan() -> [Edit<Self>; 13] {
        [
            (20, Self::overwrite),
            (10, Self::append),
            (10, Self::truncate),
            (5, Self::extend_with_a_hole),
            (3, Self::punch_a_hole),
            (10, Self::rewrite),
            (10, Self::change_metadata),
            (10, Self::change_attributes),
            (5, Self::link),
            (3, Self::become_a_symlink),
            (2, Self::become_a_folder),
            (20, Self::rename),
            (15, Self::delete),
        ]
    }

    fn pick(&mut self) -> PathBuf {
        self.author.random.pick(&self.files).clone()
    }

    /// Takes a file out of the list: it will no longer be one.
    fn take(&mut self) -> PathBuf {
        let index = self.author.random.below(self.files.len() as u64);
        self.files.swap_remove(index as usize)
    }

    /// Opens one file, lets `edit` at it, and gives it a new time.
    fn edit(
        &mut self,
        edit: impl FnOnce(&mut Random, &mut File, u64) -> std::io::Result<()>,
    ) -> Result<()> {
        let path = self.pick();
        let editing = || format!("cannot edit {}", path.display());
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .with_context(editing)?;
        let length = file.metadata().with_context(editing)?.len();
        edit(&mut self.author.random, &mut file, length).with_context(editing)?;
        drop(file);
        set_mtime(&path, &mut self.author.random)
    }

    fn overwrite(&mut self) -> Result<()> {
        self.edit(|random, file, length| {
            let mut bytes = noise(random, 16 * 1024);
            bytes.truncate(length as usize);
            let offset = random.below(length - bytes.len() as u64 + 1);
            file.write_all_at(&bytes, offset)
        })
    }

    fn append(&mut self) -> Result<()> {
        self.edit(|random, file, length| {
            let bytes = noise(random, 8 * 1024);
            file.write_all_at(&bytes, length)
        })
    }

    fn truncate(&mut self) -> Result<()> {
        self.edit(|random, file, length| {
            file.set_len(length.saturating_sub(random.between(1, 200_000)))
        })
    }

    fn extend_with_a_hole(&mut self) -> Result<()> {
        self.edit(|random, file, length| file.set_len(length + random.between(1, 300_000)))
    }

    fn punch_a_hole(&mut self) -> Result<()> {
        self.edit(|random, file, length| {
            let offset = random.below(length.max(1));
            let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            Ok(fallocate(&*file, mode, offset, random.between(1, 200_000))?)
        })
    }

    /// As editors save: a new file under the old name.
    fn rewrite(&mut self) -> Result<()> {
        let path = self.pick();
        let new = path.with_file_name("being-saved~");
        let length = self.author.length();
        self.author.file(&new, length)?;
        fs::rename(&new, &path).with_context(|| format!("cannot replace {}", path.display()))
    }

    fn change_metadata(&mut self) -> Result<()> {
        let path = self.pick();
        self.author.set_metadata(&path)
    }

    fn change_attributes(&mut self) -> Result<()> {
        let path = self.pick();
        let reading = || format!("cannot read the attributes of {}", path.display());
        let mut names = vec![0; llistxattr_query(&path).with_context(reading)?];
        let length = llistxattr(&path, names.as_mut_slice()).with_context(reading)?;
        names.truncate(length);
        let mut ours: Vec<&[u8]> = names
            .split(|byte| *byte == 0)
            .filter(|name| name.starts_with(b"user.demo."))
            .collect();
        // The order in which a filesystem lists them is its own.
        ours.sort_unstable();
        if let Some(name) = ours.first() {
            lremovexattr(&path, *name)
                .with_context(|| format!("cannot remove an attribute of {}", path.display()))?;
        }
        self.author.set_attribute(&path)?;
        set_mtime(&path, &mut self.author.random)
    }

    fn link(&mut self) -> Result<()> {
        let path = self.pick();
        let link = path.with_file_name(format!("link-{}-{}", self.round, self.changes));
        fs::hard_link(&path, &link).with_context(|| format!("cannot link {}", link.display()))
    }

    fn become_a_symlink(&mut self) -> Result<()> {
        let path = self.take();
        remove(&path)?;
        self.author.symlink("was a file".as_ref(), &path)
    }

    fn become_a_folder(&mut self) -> Result<()> {
        let path = self.take();
        remove(&path)?;
        make_folder(&path)?;
        self.author.file(&path.join("inside"), 100)
    }

    fn rename(&mut self) -> Result<()> {
        let path = self.take();
        let number = 1_000_000 * self.round + self.changes;
        let new = self.author.new_path(self.root, number);
        if let Some(folder) = new.parent() {
            make_folder(folder)?;
        }
        fs::rename(&path, &new).with_context(|| format!("cannot rename {}", path.display()))
    }

    fn delete(&mut self) -> Result<()> {
        let path = self.take();
        remove(&path)
    }

    fn create(&mut self, number: u64) -> Result<()> {
        let path = self
            .author
            .new_path(self.root, 10_000_000 * self.round + number);
        if let Some(folder) = path.parent() {
            make_folder(folder)?;
        }
        let length = self.author.length();
        self.changes += 1;
        self.author.file(&path, length)
    }

    fn overwrite_parts_of_the_large_file(&mut self) -> Result<()> {
        let path = self.root.join(LARGE_FILE);
        if !path.exists() {
            return Ok(());
        }
        let editing = || format!("cannot edit {}", path.display());
        let file = OpenOptions::new()
            .write(true)
            .open(&path)
            .with_context(editing)?;
        let length = file.metadata().with_context(editing)?.len();
        for _ in 0..3 {
            let bytes = noise(&mut self.author.random, 64 * 1024);
            let offset = self.author.random.below(length);
            file.write_all_at(&bytes, offset).with_context(editing)?;
            self.changes += 1;
        }
        drop(file);
        set_mtime(&path, &mut self.author.random)
    }

    fn rename_a_folder(&mut self) -> Result<()> {
        let old = self.root.join("deep/1/2");
        make_folder(&old)?;
        let new = self.root.join(format!("moved in round {}", self.round));
        self.changes += 1;
        fs::rename(&old, &new).with_context(|| format!("cannot rename {}", old.display()))
    }
}

fn noise(random: &mut Random, at_most: u64) -> Vec<u8> {
    let mut bytes = vec![0; random.between(1, at_most) as usize];
    Content::Noise.fill(random, &mut bytes);
    bytes
}

fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))
}

#[cfg(test)]
mod tests {
    use indicatif::ProgressBar;

    use super::super::compare::{Sides, differences};
    use super::super::fill::{Recipe, fill};
    use super::super::scan::{Kind, Tree, scan};
    use super::*;

    const RECIPE: Recipe = Recipe {
        seed: 7,
        files: 400,
        large_file_bytes: 2 << 20,
        sparse_files: 2,
    };
    const SIDES: Sides<'_> = Sides {
        left: "one",
        right: "other",
    };

    fn read(root: &Path) -> Tree {
        scan(root, &ProgressBar::hidden(), &Interrupt::default()).unwrap()
    }

    fn filled(seed: u64) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let recipe = Recipe { seed, ..RECIPE };
        let rights = Rights::of_this_process();
        fill(dir.path(), recipe, rights, &Interrupt::default(), || {}).unwrap();
        dir
    }

    fn changed(dir: &tempfile::TempDir, round: u64) -> u64 {
        let rights = Rights::of_this_process();
        change(dir.path(), 7, round, rights, &Interrupt::default()).unwrap()
    }

    #[test]
    fn filling_and_changing_give_the_same_tree_for_the_same_seed() {
        let (one, other) = (filled(7), filled(7));
        assert_eq!(
            differences(&read(one.path()), &read(other.path()), SIDES),
            []
        );
        for round in 1..=3 {
            let before = read(one.path());
            assert_eq!(changed(&one, round), changed(&other, round));
            let after = read(one.path());
            assert_eq!(differences(&after, &read(other.path()), SIDES), []);
            assert_ne!(before, after, "round {round} changed nothing");
        }
        assert!(!differences(&read(one.path()), &read(filled(8).path()), SIDES).is_empty());
    }

    #[test]
    fn a_filled_tree_has_everything_a_backup_can_get_wrong() {
        let dir = filled(7);
        let tree = read(dir.path());
        let entries = || tree.entries.iter();
        let sizes = || {
            entries().filter_map(|(_, entry)| match entry.kind {
                Kind::File { size, .. } => Some(size),
                _ => None,
            })
        };
        assert!(sizes().any(|size| size == 0));
        assert!(sizes().any(|size| size > 128 * 1024));
        assert!(entries().any(|(_, entry)| !entry.xattrs.is_empty()));
        assert!(entries().any(|(path, entry)| entry.same_file_as != *path));
        assert!(entries().any(|(path, _)| path.to_string_lossy().contains('\n')));
        assert!(entries().any(|(_, entry)| entry.mtime.1 % 1000 != 0));
        for kind in ["file", "directory", "symlink", "fifo", "socket"] {
            assert!(
                entries().any(|(_, entry)| entry.kind.name() == kind),
                "{kind}"
            );
        }
        let sparse = fs::metadata(dir.path().join("mail/sparse-0")).unwrap();
        let allocated = std::os::unix::fs::MetadataExt::blocks(&sparse) * 512;
        assert!(allocated < sparse.len(), "{allocated} of {}", sparse.len());
    }

    #[test]
    fn a_signal_ends_the_filling_with_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let interrupt = Interrupt::default();
        interrupt.raise();
        let error = fill(dir.path(), RECIPE, Rights::User, &interrupt, || {}).unwrap_err();
        assert!(error.to_string().contains("interrupted"), "{error}");
    }
}
