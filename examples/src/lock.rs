//! A kernel's lock on a file, which ends with the process whatever ends it.
//!
//! The file holds the process id of who has it, since it was written last.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::SignedDuration;
use rustix::fs::FlockOperation;

/// Held as long as it lives.
#[derive(Debug)]
pub struct Lock {
    /// The kernel's lock goes with the descriptor.
    file: File,
}

/// What came of asking for a lock.
#[derive(Debug)]
pub enum Acquired<L> {
    /// It is ours.
    Lock(L),
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
    pub fn of(path: PathBuf) -> Option<Holder> {
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

/// Takes the lock of that file, which is made where it is missing, and its
/// folder too.
///
/// # Errors
///
/// The folder or the file cannot be made.
pub fn acquire(path: &Path) -> anyhow::Result<Acquired<Lock>> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder for locks {}", folder.display()))?;
    }
    let on = || format!("cannot lock {}", path.display());
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .with_context(on)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            return Ok(Acquired::Busy(Holder::of(path.to_owned())));
        }
        Err(error) => return Err(io::Error::from(error)).with_context(on),
    }
    let id = std::process::id();
    // It is for words alone; where the disk is full, what is locked stays so.
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{id}"));
    Ok(Acquired::Lock(Lock { file }))
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Nobody has it from here on.
        let _ = self.file.set_len(0);
    }
}

/// A process' command line as ps(1) prints it.
pub fn command_line(id: u32) -> Option<String> {
    let bytes = fs::read(format!("/proc/{id}/cmdline")).ok()?;
    let text = String::from_utf8_lossy(&bytes).replace('\0', " ");
    Some(text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    fn holder(path: &Path) -> Option<Holder> {
        match acquire(path).unwrap() {
            Acquired::Lock(_) => panic!("nobody has it"),
            Acquired::Busy(holder) => holder,
        }
    }

    #[test]
    fn it_is_known_who_has_it_and_for_how_long() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/lock");
        let Acquired::Lock(first) = acquire(&path).unwrap() else {
            panic!("nobody has it");
        };
        let found = holder(&path).unwrap();
        assert_eq!((found.id, &found.path), (std::process::id(), &path));
        assert!(found.held.as_secs() < 60, "{found:?}");
        let two_hours_ago = SystemTime::now() - Duration::from_secs(7200);
        first.file.set_modified(two_hours_ago).unwrap();
        let found = holder(&path).unwrap();
        assert!(found.held.as_secs() >= 7200, "{found:?}");
        // What one left behind that was killed is no process any more.
        fs::write(&path, format!("{}\n", u32::MAX)).unwrap();
        assert_eq!(holder(&path), None);
        drop(first);
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
        assert!(matches!(acquire(&path).unwrap(), Acquired::Lock(_)));
    }
}
