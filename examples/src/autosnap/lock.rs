//! One of a kind at a time.
//!
//! Two locks: the kernel's on a file of ours, which ends with the process
//! whatever ends it, and, for pruning, the file that sanoid 2.3.0 looks at,
//! so that the two do not prune side by side. That one holds a process id and
//! that process' command line, and means something while the two still go
//! together (`checklock`). Ours holds the process id of who has it, since it
//! was written last.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::SignedDuration;
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
    /// The kernel's lock goes with the descriptor.
    file: File,
    /// To be removed in the end.
    beside: Option<PathBuf>,
}

/// What came of asking for a lock.
#[derive(Debug)]
pub enum Acquired {
    /// It is ours.
    Lock(Lock),
    /// Another process has it; which one, where that is known.
    Busy(Option<Holder>),
}

/// A process that has a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub id: u32,
    /// For how long it has had it.
    pub held: SignedDuration,
    /// The lock's file.
    pub path: PathBuf,
}

impl Holder {
    /// Who has written that file; nobody where that process is gone.
    fn of(path: PathBuf) -> Option<Holder> {
        let text = fs::read_to_string(&path).ok()?;
        let id: u32 = text.lines().next()?.trim().parse().ok()?;
        command_line(id)?;
        let since = fs::metadata(&path).ok()?.modified().ok()?;
        // Where the clock was set back since, it is new.
        let held = since.elapsed().unwrap_or_default();
        let held = SignedDuration::try_from(held).ok()?;
        Some(Holder { id, held, path })
    }
}

/// Takes a lock in `folder`, which is made where it is missing.
///
/// # Errors
///
/// The folder or the file cannot be made.
pub fn acquire(folder: &Path, task: Task) -> anyhow::Result<Acquired> {
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder for locks {}", folder.display()))?;
    let path = folder.join(task.file());
    let on = || format!("cannot lock {}", path.display());
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(on)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(Acquired::Busy(Holder::of(path))),
        Err(error) => return Err(io::Error::from(error)).with_context(on),
    }
    let id = std::process::id();
    // It is for words alone; where the disk is full, what is locked stays so.
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{id}"));
    let beside = match task.file_of_sanoid().map(|file| folder.join(file)) {
        None => None,
        Some(path) => {
            if is_valid(&path) {
                return Ok(Acquired::Busy(Holder::of(path)));
            }
            let own = command_line(id).unwrap_or_default();
            fs::write(&path, format!("{id}\n{own}\n"))
                .with_context(|| format!("cannot lock {}", path.display()))?;
            Some(path)
        }
    };
    Ok(Acquired::Lock(Lock { file, beside }))
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Nobody has it from here on.
        let _ = self.file.set_len(0);
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
    use std::time::{Duration, SystemTime};

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
    fn it_is_known_who_has_it_and_for_how_long() {
        let folder = tempfile::tempdir().unwrap();
        let first = acquired(folder.path(), Task::Taking).unwrap();
        let found = holder(folder.path(), Task::Taking).unwrap();
        assert_eq!(found.id, std::process::id());
        assert!(found.held < Task::Taking.patience(), "{found:?}");
        let two_hours_ago = SystemTime::now() - Duration::from_secs(7200);
        first.file.set_modified(two_hours_ago).unwrap();
        let found = holder(folder.path(), Task::Taking).unwrap();
        assert!(found.held > Task::Taking.patience(), "{found:?}");
        assert!(found.path.ends_with("zfs-autosnap-taking.lock"));
        // What one left behind that was killed is no process any more.
        fs::write(&found.path, format!("{}\n", u32::MAX)).unwrap();
        assert_eq!(holder(folder.path(), Task::Taking), None);
        drop(first);
        assert_eq!(fs::read_to_string(&found.path).unwrap(), "");
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
