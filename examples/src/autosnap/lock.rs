//! One of a kind at a time.
//!
//! Two locks: the kernel's on a file of ours, and, for pruning, the file that
//! sanoid 2.3.0 looks at, so that the two do not prune side by side. That one
//! holds a process id and that process' command line, and means something
//! while the two still go together (`checklock`).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::SignedDuration;

use crate::lock::{self, Acquired, Holder, command_line};

/// What only one may do at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Taking snapshots.
    Taking,
    /// Pruning.
    Pruning,
}

impl Task {
    fn file(self) -> &'static str {
        match self {
            Task::Taking => "zfs-autosnap-taking.lock",
            Task::Pruning => "zfs-autosnap-pruning.lock",
        }
    }

    /// How long another process may be at it before something is wrong: what
    /// is due once an hour is missed by then; the first pruning of many years
    /// takes its time.
    pub fn patience(self) -> SignedDuration {
        match self {
            Task::Taking => SignedDuration::from_hours(1),
            Task::Pruning => SignedDuration::from_hours(24),
        }
    }

    fn file_of_sanoid(self) -> Option<&'static str> {
        match self {
            // sanoid itself takes snapshots without a lock.
            Task::Taking => None,
            Task::Pruning => Some("sanoid_pruning.lock"),
        }
    }
}

/// Held as long as it lives.
#[derive(Debug)]
pub struct Lock {
    /// sanoid's, to be removed in the end; before ours is free again.
    _beside: Option<Beside>,
    _own: lock::Lock,
}

/// sanoid's file while it is ours.
#[derive(Debug)]
struct Beside(PathBuf);

/// Takes a lock in `folder`, which is made where it is missing.
///
/// # Errors
///
/// The folder or the file cannot be made.
pub fn acquire(folder: &Path, task: Task) -> anyhow::Result<Acquired<Lock>> {
    let own = match lock::acquire(&folder.join(task.file()))? {
        Acquired::Lock(own) => own,
        Acquired::Busy(holder) => return Ok(Acquired::Busy(holder)),
    };
    let beside = match task.file_of_sanoid().map(|file| folder.join(file)) {
        None => None,
        Some(path) => {
            if is_valid(&path) {
                return Ok(Acquired::Busy(Holder::of(path)));
            }
            let id = std::process::id();
            let words = command_line(id).unwrap_or_default();
            fs::write(&path, format!("{id}\n{words}\n"))
                .with_context(|| format!("cannot lock {}", path.display()))?;
            Some(Beside(path))
        }
    };
    Ok(Acquired::Lock(Lock {
        _beside: beside,
        _own: own,
    }))
}

impl Drop for Beside {
    fn drop(&mut self) {
        // One that stays behind is seen to be stale.
        let _ = fs::remove_file(&self.0);
    }
}

/// Whether a process with that id and that command line is still there.
fn is_valid(path: &Path) -> bool {
    let Ok(text) = fs::read_to_string(path) else {
        return false;
    };
    let mut lines = text.lines();
    let (Some(id), Some(own), None) = (lines.next(), lines.next(), lines.next()) else {
        return false;
    };
    let id = id.trim().parse::<u32>().ok();
    id.filter(|id| *id != std::process::id())
        .and_then(command_line)
        .is_some_and(|found| found == own.trim_end())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn acquired(folder: &Path, task: Task) -> Option<Lock> {
        match acquire(folder, task).unwrap() {
            Acquired::Lock(lock) => Some(lock),
            Acquired::Busy(_) => None,
        }
    }

    fn holder(folder: &Path, task: Task) -> Option<Holder> {
        match acquire(folder, task).unwrap() {
            Acquired::Lock(_) => panic!("nobody has it"),
            Acquired::Busy(holder) => holder,
        }
    }

    #[test]
    fn the_second_of_two_is_told_so() {
        let folder = tempfile::tempdir().unwrap();
        let first = acquired(folder.path(), Task::Pruning);
        assert!(first.is_some());
        assert!(acquired(folder.path(), Task::Pruning).is_none());
        assert!(acquired(folder.path(), Task::Taking).is_some());
        drop(first);
        assert!(acquired(folder.path(), Task::Pruning).is_some());
        assert!(!folder.path().join("sanoid_pruning.lock").exists());
    }

    #[test]
    fn a_sanoid_that_prunes_is_let_alone_and_a_dead_one_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sanoid_pruning.lock");
        let mut child = Command::new("sleep")
            .arg("600")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Until it is the program that was asked for.
        while command_line(child.id()).as_deref() != Some("sleep 600") {
            std::thread::yield_now();
        }
        fs::write(&path, format!("{}\nsleep 600\n", child.id())).unwrap();
        let found = holder(folder.path(), Task::Pruning).unwrap();
        assert_eq!((found.id, found.path), (child.id(), path.clone()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(acquired(folder.path(), Task::Pruning).is_some());
        for text in ["", "1\n", "x\ny\n", "1\nnot init\n", "1\n2\n3\n"] {
            fs::write(&path, text).unwrap();
            assert!(acquired(folder.path(), Task::Pruning).is_some(), "{text:?}");
        }
    }
}
