//! Processes that another thread may end.

use std::io;
use std::process::{Child, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// Processes of this one's that run.
#[derive(Debug, Default)]
pub struct Processes(Mutex<Vec<Pid>>);

impl Processes {
    /// None yet.
    pub fn new() -> Processes {
        Processes::default()
    }

    /// Takes one in, which is to be waited for by [`Processes::wait`] alone.
    pub fn add(&self, child: &Child) {
        self.running().push(Pid::from_child(child));
    }

    /// Waits for the end of one.
    ///
    /// # Errors
    ///
    /// The system does not know it.
    pub fn wait(&self, child: &mut Child) -> io::Result<ExitStatus> {
        let pid = Pid::from_child(child);
        // Its number is another process's as soon as it is waited for, so it
        // goes from the list before that.
        let ends = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(waitid(WaitId::Pid(pid), ends), Err(Errno::INTR)) {}
        self.running().retain(|running| *running != pid);
        child.wait()
    }

    /// Sends SIGTERM to all of them.
    pub fn end(&self) {
        for pid in self.running().iter() {
            // What belongs to somebody else, as sudo, stays.
            let _ = kill_process(*pid, Signal::TERM);
        }
    }

    fn running(&self) -> MutexGuard<'_, Vec<Pid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_waited_for_is_ended_from_another_thread() {
        let processes = Processes::new();
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        processes.add(&child);
        let status = thread::scope(|scope| {
            let waiting = scope.spawn(|| processes.wait(&mut child).unwrap());
            thread::sleep(Duration::from_millis(50));
            processes.end();
            waiting.join().unwrap()
        });
        assert!(!status.success());
        assert!(processes.running().is_empty());
    }
}
