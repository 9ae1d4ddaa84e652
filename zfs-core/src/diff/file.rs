//! What became of a file, from how it was and how it is.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use zfs_sys::zfs_stat;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    SymbolicLink,
    /// A block device.
    BlockDevice,
    /// A character device.
    CharacterDevice,
    /// A named pipe.
    Pipe,
    /// A socket.
    Socket,
    /// Anything else.
    Other,
}

impl FileKind {
    fn of(mode: u64) -> FileKind {
        match u32::try_from(mode & u64::from(libc::S_IFMT)).unwrap_or(0) {
            libc::S_IFREG => FileKind::File,
            libc::S_IFDIR => FileKind::Directory,
            libc::S_IFLNK => FileKind::SymbolicLink,
            libc::S_IFBLK => FileKind::BlockDevice,
            libc::S_IFCHR => FileKind::CharacterDevice,
            libc::S_IFIFO => FileKind::Pipe,
            libc::S_IFSOCK => FileKind::Socket,
            _ => FileKind::Other,
        }
    }

    /// The sign that `zfs diff -F` has for it.
    pub fn sign(self) -> char {
        match self {
            FileKind::File => 'F',
            FileKind::Directory => '/',
            FileKind::SymbolicLink => '@',
            FileKind::BlockDevice => 'B',
            FileKind::CharacterDevice => 'C',
            FileKind::Pipe => '|',
            FileKind::Socket => '=',
            FileKind::Other => '?',
        }
    }
}

/// A file or directory in one of the two snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileState {
    /// The object's number, which is the inode number.
    pub object: u64,
    /// From the root of the filesystem, beginning with a slash. None of a file
    /// that was deleted while it was open. Of a file with several links, one
    /// of them.
    pub path: Option<PathBuf>,
    /// What it is.
    pub kind: FileKind,
    /// Its mode, as stat(2) has it.
    pub mode: u64,
    /// How many links it has.
    pub links: u64,
    /// When it was last changed in any way.
    pub ctime: SystemTime,
    /// The transaction group in which it was created: objects' numbers are
    /// used again.
    generation: u64,
}

impl FileState {
    pub(super) fn new(object: u64, path: Option<Vec<u8>>, stat: &zfs_stat) -> FileState {
        let [seconds, nanoseconds] = stat.zs_ctime;
        let since_1970 =
            Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanoseconds));
        FileState {
            object,
            path: path.map(|path| PathBuf::from(OsString::from_vec(path))),
            kind: FileKind::of(stat.zs_mode),
            mode: stat.zs_mode,
            links: stat.zs_links,
            ctime: SystemTime::UNIX_EPOCH
                .checked_add(since_1970)
                .unwrap_or(SystemTime::UNIX_EPOCH),
            generation: stat.zs_gen,
        }
    }

    fn is_file_still(&self, other: &FileState) -> bool {
        self.generation == other.generation && self.kind == other.kind
    }
}

impl fmt::Display for FileState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => path.display().fmt(f),
            None => f.write_str("(on_delete_queue)"),
        }
    }
}

/// One thing that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// It is new.
    Added(FileState),
    /// It is there no more.
    Removed(FileState),
    /// Its content or what belongs to it (mode, owner, times) changed; of a
    /// directory, that something in it was added, removed or renamed.
    Modified {
        /// As it was.
        before: FileState,
        /// As it is.
        after: FileState,
    },
    /// It has another name, or is elsewhere; its content may have changed as
    /// well.
    Renamed {
        /// As it was.
        before: FileState,
        /// As it is.
        after: FileState,
    },
    /// It has more or fewer hard links than it had; its content may have
    /// changed as well.
    LinksChanged {
        /// As it was.
        before: FileState,
        /// As it is.
        after: FileState,
    },
}

impl Difference {
    /// The file, as it is or, where it is no more, as it was.
    pub fn file(&self) -> &FileState {
        match self {
            Difference::Added(file) | Difference::Removed(file) => file,
            Difference::Modified { after, .. }
            | Difference::Renamed { after, .. }
            | Difference::LinksChanged { after, .. } => after,
        }
    }

    /// The sign that `zfs diff` has for it.
    pub fn sign(&self) -> char {
        match self {
            Difference::Added(_) => '+',
            Difference::Removed(_) => '-',
            Difference::Modified { .. } | Difference::LinksChanged { .. } => 'M',
            Difference::Renamed { .. } => 'R',
        }
    }

    /// What became of one object: nothing, one thing, or two where the number
    /// of a removed file was given to a new one.
    pub(super) fn between(
        before: Option<FileState>,
        after: Option<FileState>,
    ) -> (Option<Difference>, Option<Difference>) {
        // Without a name it is gone already, or was gone by then.
        let is_there = |file: &FileState| file.path.is_some();
        match (before.filter(is_there), after.filter(is_there)) {
            (None, None) => (None, None),
            (None, Some(after)) => (Some(Difference::Added(after)), None),
            (Some(before), None) => (Some(Difference::Removed(before)), None),
            (Some(before), Some(after)) if !before.is_file_still(&after) => (
                Some(Difference::Removed(before)),
                Some(Difference::Added(after)),
            ),
            (Some(before), Some(after)) if before.ctime == after.ctime => (None, None),
            (Some(before), Some(after)) => {
                let is_directory = after.kind == FileKind::Directory;
                let difference = if !is_directory && before.links != after.links {
                    Difference::LinksChanged { before, after }
                } else if before.path == after.path {
                    Difference::Modified { before, after }
                } else {
                    Difference::Renamed { before, after }
                };
                (Some(difference), None)
            }
        }
    }
}

impl fmt::Display for Difference {
    /// Near to `zfs diff -F`: sign, kind, path, and the new path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.file().kind.sign();
        write!(f, "{}\t{kind}\t", self.sign())?;
        match self {
            Difference::Renamed { before, after } => write!(f, "{before} -> {after}"),
            Difference::LinksChanged { before, after } => {
                let change = i128::from(after.links) - i128::from(before.links);
                write!(f, "{after}\t({change:+})")
            }
            other => other.file().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, generation: u64, changed: u64) -> FileState {
        let stat = zfs_stat {
            zs_gen: generation,
            zs_mode: u64::from(libc::S_IFREG) | 0o644,
            zs_links: 1,
            zs_ctime: [changed, 0],
        };
        FileState::new(7, Some(path.into()), &stat)
    }

    fn shown(before: Option<FileState>, after: Option<FileState>) -> Vec<String> {
        let (first, second) = Difference::between(before, after);
        let both = first.iter().chain(second.iter());
        both.map(|difference| difference.to_string().replace('\t', " "))
            .collect()
    }

    #[test]
    fn what_became_of_a_file_is_told_from_how_it_was_and_is() {
        let old = || Some(file("/a", 1, 10));
        assert_eq!(shown(None, old()), ["+ F /a"]);
        assert_eq!(shown(old(), None), ["- F /a"]);
        assert_eq!(shown(old(), Some(file("/a", 1, 11))), ["M F /a"]);
        assert_eq!(shown(old(), Some(file("/b", 1, 11))), ["R F /a -> /b"]);
        assert_eq!(shown(old(), old()), [""; 0]);
        assert_eq!(shown(None, None), [""; 0]);
        let mut linked = file("/a", 1, 11);
        linked.links = 3;
        assert_eq!(shown(old(), Some(linked)), ["M F /a (+2)"]);
    }

    #[test]
    fn a_number_that_was_used_again_is_two_files() {
        let old = Some(file("/a", 1, 10));
        assert_eq!(
            shown(old.clone(), Some(file("/b", 2, 11))),
            ["- F /a", "+ F /b"]
        );
        let mut directory = file("/a", 1, 10);
        directory.kind = FileKind::Directory;
        assert_eq!(shown(old, Some(directory)), ["- F /a", "+ / /a"]);
    }

    #[test]
    fn a_file_without_a_name_is_not_there() {
        let mut nameless = file("/a", 1, 10);
        nameless.path = None;
        let named = Some(file("/a", 1, 11));
        assert_eq!(shown(Some(nameless.clone()), named.clone()), ["+ F /a"]);
        assert_eq!(shown(named, Some(nameless.clone())), ["- F /a"]);
        assert_eq!(shown(Some(nameless), None), [""; 0]);
    }

    #[test]
    fn times_beyond_all_clocks_are_no_panic() {
        let stat = zfs_stat {
            zs_gen: 0,
            zs_mode: u64::MAX,
            zs_links: u64::MAX,
            zs_ctime: [u64::MAX, u64::MAX],
        };
        let odd = FileState::new(1, None, &stat);
        assert_eq!(odd.kind, FileKind::Other);
        assert_eq!(odd.ctime, SystemTime::UNIX_EPOCH);
    }
}
