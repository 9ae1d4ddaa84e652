//! Why something cannot be mounted or unmounted, in words.

use std::io;
use std::path::PathBuf;

use crate::error::{Error, ErrorKind};
use crate::name::DatasetName;

/// Why something cannot be mounted or unmounted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MountProblem {
    /// `canmount=off`.
    #[error("its canmount is off: it is there for others to inherit from (zfs set canmount=on)")]
    CanmountOff,
    /// `mountpoint=legacy`.
    #[error(
        "its mountpoint is legacy: mount(8), umount(8) and /etc/fstab are in charge of it, \
         or say where to mount it"
    )]
    Legacy,
    /// `mountpoint=none`.
    #[error("it has no mountpoint (zfs set mountpoint=/PATH, or say where to mount it)")]
    NoMountpoint,
    /// It is a volume.
    #[error("it is a volume, a block device, and not a filesystem")]
    Volume,
    /// Its key is not loaded.
    #[error("its key is not loaded (zfs load-key {root})")]
    KeyNotLoaded {
        /// Whose key it is.
        root: DatasetName,
    },
    /// `zoned=on`.
    #[error("it is delegated to a container: zoned is on")]
    Zoned,
    /// It was received from a redacted stream, and a part of it is missing.
    #[error("a part of it was left out by its sender (redacted); it can be mounted if told to")]
    Redacted,
    /// A receive into it was interrupted.
    #[error("a receive into it was interrupted; let that go on, or abort it (zfs receive -A)")]
    Incomplete,
    /// It is mounted already.
    #[error("it is mounted already, on {}", at.display())]
    AlreadyMounted {
        /// Where.
        at: PathBuf,
    },
    /// It is not mounted.
    #[error("it is not mounted")]
    NotMounted,
    /// There is something in the folder, and `overlay=off`.
    #[error(
        "{} is not empty, and what is in it would be hidden \
         (move that away, or allow it: overlay=on)", at.display()
    )]
    NotEmpty {
        /// The folder.
        at: PathBuf,
    },
    /// The folder to mount on is no absolute path in UTF-8, or there is none.
    #[error("{} cannot be mounted on: an absolute path is wanted", at.display())]
    BadFolder {
        /// What was given.
        at: PathBuf,
    },
    /// The folder to mount on could not be made.
    #[error("the folder {} cannot be made: {source}", at.display())]
    Folder {
        /// The folder.
        at: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something else is mounted on top of it, which would be unmounted in its
    /// place.
    #[error("something else is mounted over {}; unmount that first", at.display())]
    Covered {
        /// Where both are.
        at: PathBuf,
    },
    /// An option that there is not.
    #[error("{0}")]
    Option(String),
    /// It is in use.
    #[error("it is in use on {} (fuser -vm {} says by whom)", at.display(), at.display())]
    Busy {
        /// Where.
        at: PathBuf,
    },
    /// The user may not.
    #[error("mounting and unmounting is for root")]
    NotPermitted,
    /// The kernel refused.
    #[error("{}: {source}", at.display())]
    System {
        /// Where.
        at: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The mounts could not be read.
    #[error("the mounts of this system cannot be read: {0}")]
    Table(io::Error),
    /// Sharing is not done here.
    #[error(
        "{name} is mounted, and {property} is set or to be set: this crate does not talk to the \
         file servers (zfs(8) does; or zfs unmount {name} before, and zfs mount and zfs share \
         after)"
    )]
    Share {
        /// The filesystem that is shared, or would be.
        name: DatasetName,
        /// `sharenfs` or `sharesmb`.
        property: &'static str,
    },
    /// Something has to be unmounted for it, which did not work. What had been
    /// unmounted by then is mounted again.
    #[error("{0}; nothing was changed")]
    Blocked(Box<Error>),
    /// It was done, but then not all of what had been mounted could be mounted
    /// again.
    #[error("that was done, but not everything is mounted again: {}", joined(.0))]
    NotRemounted(Vec<Error>),
    /// It was not done, and then not all of what had been unmounted for it
    /// could be mounted again.
    #[error(
        "{why}; nothing was changed, but not everything is mounted again: {}",
        joined(failures)
    )]
    NotRestored {
        /// Why it was not done.
        why: Box<Error>,
        /// What could not be mounted.
        failures: Vec<Error>,
    },
}

fn joined(errors: &[Error]) -> String {
    let texts: Vec<String> = errors.iter().map(Error::to_string).collect();
    texts.join("; ")
}

impl MountProblem {
    /// What sort of error it is.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            MountProblem::KeyNotLoaded { .. } => ErrorKind::KeyUnavailable,
            MountProblem::AlreadyMounted { .. }
            | MountProblem::NotEmpty { .. }
            | MountProblem::Covered { .. }
            | MountProblem::Busy { .. } => ErrorKind::Busy,
            MountProblem::NotMounted => ErrorKind::NotFound,
            MountProblem::NotPermitted => ErrorKind::PermissionDenied,
            MountProblem::Blocked(error) | MountProblem::NotRestored { why: error, .. } => {
                error.kind()
            }
            MountProblem::Folder { .. }
            | MountProblem::System { .. }
            | MountProblem::Table(_)
            | MountProblem::NotRemounted(_) => ErrorKind::Other,
            _ => ErrorKind::Invalid,
        }
    }

    /// It is not to be mounted, and that is as somebody wanted it.
    pub(super) fn is_wanted(&self) -> bool {
        matches!(
            self,
            MountProblem::CanmountOff
                | MountProblem::Legacy
                | MountProblem::NoMountpoint
                | MountProblem::Volume
                | MountProblem::KeyNotLoaded { .. }
                | MountProblem::Zoned
                | MountProblem::Redacted
                | MountProblem::Incomplete
                | MountProblem::AlreadyMounted { .. }
        )
    }

    /// Of what mount(2) and umount2(2) say.
    pub(super) fn of_system(at: PathBuf, source: io::Error) -> MountProblem {
        match source.raw_os_error() {
            Some(libc::EBUSY) => MountProblem::Busy { at },
            Some(libc::EPERM) => MountProblem::NotPermitted,
            _ => MountProblem::System { at, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Errno, Operation};
    use crate::mount::{not_restored, problem};

    #[test]
    fn what_was_not_done_is_told_with_what_is_not_mounted_any_more() {
        let busy = Error::zfs(Operation::Rename, "tank/a", Errno::EBUSY);
        let why = MountProblem::NotMounted;
        let failure = problem(Operation::Mount, "tank/a/b", why);
        let both = not_restored(
            Operation::Rename,
            &"tank/a".parse().unwrap(),
            busy,
            vec![failure],
        );
        assert_eq!(both.kind(), ErrorKind::Busy);
        assert_eq!(
            both.to_string(),
            "cannot rename tank/a: cannot rename tank/a: it is in use; nothing was changed, but \
             not everything is mounted again: cannot mount tank/a/b: it is not mounted"
        );
    }

    #[test]
    fn an_error_stays_as_it_is_where_everything_is_mounted_again() {
        let busy = || Error::zfs(Operation::Rename, "tank/a", Errno::EBUSY);
        let name = "tank/a".parse().unwrap();
        let alone = not_restored(Operation::Rename, &name, busy(), Vec::new());
        assert_eq!(alone.to_string(), busy().to_string());
    }
}
