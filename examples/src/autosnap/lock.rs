//! One of a kind at a time.
//!
//! Two locks: the kernel's on a file of ours, which ends with the process
//! whatever ends it, and, for pruning, the file that sanoid 2.3.0 looks at,
//! so that the two do not prune side by side. That one holds a process id and
//! that process' command line, and means something while the two still go
//! together (`checklock`).

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rustix::fs::FlockOperation;

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
    /// The kernel's lock goes with the descriptor.
    _file: File,
    /// To be removed in the end.
    beside: Option<PathBuf>,
}

/// Takes a lock in `folder`, which is made where it is missing. `None` where
/// another process has it.
///
/// # Errors
///
/// The folder or the file cannot be made.
pub fn acquire(folder: &Path, task: Task) -> anyhow::Result<Option<Lock>> {
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder for locks {}", folder.display()))?;
    let path = folder.join(task.file());
    let on = || format!("cannot lock {}", path.display());
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(on)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
        Err(error) => return Err(io::Error::from(error)).with_context(on),
    }
    let beside = match task.file_of_sanoid().map(|file| folder.join(file)) {
        None => None,
        Some(path) => {
            if is_valid(&path) {
                return Ok(None);
            }
            let id = std::process::id();
            let own = command_line(id).unwrap_or_default();
            fs::write(&path, format!("{id}\n{own}\n"))
                .with_context(|| format!("cannot lock {}", path.display()))?;
            Some(path)
        }
    };
    Ok(Some(Lock {
        _file: file,
        beside,
    }))
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(path) = &self.beside {
            // One that stays behind is seen to be stale.
            let _ = fs::remove_file(path);
        }
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

/// A process' command line as ps(1) prints it.
fn command_line(id: u32) -> Option<String> {
    let bytes = fs::read(format!("/proc/{id}/cmdline")).ok()?;
    let text = String::from_utf8_lossy(&bytes).replace('\0', " ");
    Some(text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn the_second_of_two_is_told_so() {
        let folder = tempfile::tempdir().unwrap();
        let first = acquire(folder.path(), Task::Pruning).unwrap();
        assert!(first.is_some());
        assert!(acquire(folder.path(), Task::Pruning).unwrap().is_none());
        assert!(acquire(folder.path(), Task::Taking).unwrap().is_some());
        drop(first);
        assert!(acquire(folder.path(), Task::Pruning).unwrap().is_some());
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
        assert!(acquire(folder.path(), Task::Pruning).unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(acquire(folder.path(), Task::Pruning).unwrap().is_some());
        for text in ["", "1\n", "x\ny\n", "1\nnot init\n", "1\n2\n3\n"] {
            fs::write(&path, text).unwrap();
            assert!(
                acquire(folder.path(), Task::Pruning).unwrap().is_some(),
                "{text:?}"
            );
        }
    }
}
