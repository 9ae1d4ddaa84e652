//! What is mounted, as the kernel tells this process.
//!
//! Source: `/proc/self/mountinfo`, proc_pid_mountinfo(5). Spaces, tabs,
//! newlines and backslashes stand there as `\040` and their kin.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::name::{DatasetName, SnapshotName};

const MOUNTINFO: &str = "/proc/self/mountinfo";

/// What is mounted somewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mounted {
    /// A filesystem.
    Filesystem(DatasetName),
    /// A snapshot, by hand or by somebody who looked into `.zfs/snapshot`.
    Snapshot(SnapshotName),
}

impl Mounted {
    /// Its name.
    pub fn as_str(&self) -> &str {
        match self {
            Mounted::Filesystem(name) => name.as_str(),
            Mounted::Snapshot(name) => name.as_str(),
        }
    }

    /// The filesystem, or that of the snapshot.
    pub fn dataset(&self) -> &DatasetName {
        match self {
            Mounted::Filesystem(name) => name,
            Mounted::Snapshot(name) => name.dataset(),
        }
    }

    fn parse(name: &str) -> Option<Mounted> {
        if name.contains('@') {
            name.parse().ok().map(Mounted::Snapshot)
        } else {
            name.parse().ok().map(Mounted::Filesystem)
        }
    }
}

impl std::fmt::Display for Mounted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A mount of ZFS, as it is visible to this process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mount {
    /// What is mounted.
    pub what: Mounted,
    /// Where.
    pub mountpoint: PathBuf,
    /// The folder in it that is there to be seen: `/`, unless it is the bind
    /// mount of a folder.
    pub root: PathBuf,
    /// The options of this mount, as the kernel shows them: `rw`, `nosuid`,
    /// `relatime`.
    pub options: Vec<String>,
    /// `st_dev` of what is in it, as major and minor number.
    pub(super) device: (u32, u32),
}

impl Mount {
    /// Whether it is mounted as a whole, not a bind mount of a folder in it.
    pub fn is_whole(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Whether it is mounted with that option.
    pub fn has_option(&self, option: &str) -> bool {
        self.options.iter().any(|other| other == option)
    }
}

/// All mounts of ZFS, in the order in which the kernel lists them: what lies
/// on top of another comes after it.
pub(super) fn read() -> io::Result<Vec<Mount>> {
    Ok(fs::read(MOUNTINFO)?
        .split(|byte| *byte == b'\n')
        .filter_map(line)
        .collect())
}

/// A line that is of another filesystem, or of something that this crate has
/// no name for, is none.
fn line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let device = std::str::from_utf8(fields.nth(2)?).ok()?;
    let (major, minor) = device.split_once(':')?;
    let device = (major.parse().ok()?, minor.parse().ok()?);
    let root = path(fields.next()?);
    let mountpoint = path(fields.next()?);
    let options = words(fields.next()?);
    // Any number of optional fields, then a dash.
    fields.by_ref().find(|field| *field == b"-")?;
    if fields.next()? != b"zfs" {
        return None;
    }
    let source = String::from_utf8(unescape(fields.next()?)).ok()?;
    Some(Mount {
        what: Mounted::parse(&source)?,
        mountpoint,
        root,
        options,
        device,
    })
}

fn path(field: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(unescape(field)))
}

fn words(field: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(field)
        .split(',')
        .map(str::to_owned)
        .collect()
}

/// `\040` is the byte with that octal number; a backslash before anything
/// else is itself.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let number = match (first, after) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..]) => {
                Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'))
            }
            _ => None,
        };
        plain.push(number.unwrap_or(*first));
        rest = match number {
            Some(_) => after.get(3..).unwrap_or_default(),
            None => after,
        };
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_mount_is_read_with_spaces_and_everything() {
        let mount = line(
            br"97 26 0:51 / /srv/a\040b\134c\012 rw,nosuid,relatime shared:55 master:2 - zfs tank/a\040b rw,xattr,posixacl",
        )
        .unwrap();
        assert_eq!(mount.what.as_str(), "tank/a b");
        assert_eq!(mount.mountpoint, Path::new("/srv/a b\\c\n"));
        assert!(mount.is_whole());
        assert!(mount.has_option("nosuid") && !mount.has_option("noexec"));
        assert_eq!(mount.device, (0, 51));
    }

    #[test]
    fn a_line_without_optional_fields_and_a_snapshot() {
        let mount = line(b"9 2 0:5 / /tank/.zfs/snapshot/x ro - zfs tank@x ro").unwrap();
        assert!(matches!(mount.what, Mounted::Snapshot(_)));
        assert_eq!(mount.what.dataset().as_str(), "tank");
    }

    #[test]
    fn a_bind_mount_of_a_folder_is_not_the_whole() {
        let mount = line(b"9 2 0:5 /home/ann /mnt rw - zfs tank rw").unwrap();
        assert!(!mount.is_whole());
        assert_eq!(mount.root, Path::new("/home/ann"));
    }

    #[test]
    fn other_filesystems_and_odd_lines_are_passed_over() {
        for other in [
            &b"22 1 8:1 / / rw - ext4 /dev/vda rw"[..],
            b"",
            b"1 2 3",
            b"9 2 0:5 / /mnt rw - zfs",
            b"9 2 x:y / /mnt rw - zfs tank rw",
            b"9 2 0:5 / /mnt rw zfs tank rw",
            b"9 2 0:5 / /mnt rw - zfs -tank rw",
        ] {
            assert_eq!(line(other), None);
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = line(&bytes);
            let _ = unescape(&bytes);
        }

        #[test]
        fn what_the_kernel_escapes_comes_back(bytes in proptest::collection::vec(1_u8.., 0..60)) {
            let escaped: Vec<u8> = bytes
                .iter()
                .flat_map(|byte| match byte {
                    b' ' | b'\t' | b'\n' | b'\\' => format!("\\{byte:03o}").into_bytes(),
                    other => vec![*other],
                })
                .collect();
            prop_assert_eq!(unescape(&escaped), bytes);
        }
    }
}
