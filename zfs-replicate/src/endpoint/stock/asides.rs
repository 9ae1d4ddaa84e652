//! Small commands between streams, through one shell at the other end that
//! stays.
//!
//! A marker moves after each stream. A command of its own for each of these
//! moves would cost a channel each; a shell that reads them costs one for all.

use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use super::remote;
use super::transport::Transport;
use crate::error::Error;

/// What stands behind what a command said.
const ENDED: &str = "zfs-replicate: aside ended";

/// The most that a command may say.
const MAX_SAID_BYTES: u64 = 64 << 10;

/// Small commands.
pub(super) struct Asides {
    transport: Arc<dyn Transport>,
    shell: Mutex<Option<Running>>,
}

struct Running {
    transport: Arc<dyn Transport>,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<BufReader<ChildStdout>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It ends with what it reads.
        self.stdin = None;
        let channels = self.transport.channels();
        let _ = channels.processes().wait(&mut self.child);
        channels.give_back();
    }
}

/// How a small command ended.
pub(super) struct Ended {
    pub code: i32,
    pub said: String,
}

impl Asides {
    pub fn new(transport: Arc<dyn Transport>) -> Asides {
        Asides {
            transport,
            shell: Mutex::default(),
        }
    }

    /// Starts the shell, if there is none: who holds channels already must
    /// not have to wait for another one.
    pub fn prepare(&self) -> Result<(), Error> {
        let mut shell = self.shell.lock().unwrap_or_else(PoisonError::into_inner);
        if shell.is_none() {
            *shell = Some(self.start()?);
        }
        Ok(())
    }

    /// Runs a command to its end.
    pub fn run(&self, command: &str) -> Result<Ended, Error> {
        let mut shell = self.shell.lock().unwrap_or_else(PoisonError::into_inner);
        let mut running = match shell.take() {
            Some(running) => running,
            None => self.start()?,
        };
        tracing::debug!(host = self.transport.host(), command, "aside");
        if let Some(ended) = running.ask(command) {
            *shell = Some(running);
            return Ok(ended);
        }
        Err(Error::Lost {
            host: self.transport.host().to_owned(),
            command: command.to_owned(),
            problem: "the shell there has gone".to_owned(),
        })
    }

    fn start(&self) -> Result<Running, Error> {
        let failed = |error| remote::failed_to_run(&*self.transport, "sh", &error);
        self.transport.channels().keep();
        let spawned = self
            .transport
            .command("sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) => {
                self.transport.channels().give_back();
                return Err(failed(error));
            }
        };
        self.transport.channels().processes().add(&child);
        Ok(Running {
            transport: Arc::clone(&self.transport),
            stdin: child.stdin.take(),
            stdout: child.stdout.take().map(BufReader::new),
            child,
        })
    }
}

impl Running {
    fn ask(&mut self, command: &str) -> Option<Ended> {
        let line = format!("{{ {command}; }} </dev/null 2>&1; printf '\\n{ENDED} %s\\n' $?\n");
        let stdin = self.stdin.as_mut()?;
        stdin.write_all(line.as_bytes()).ok()?;
        stdin.flush().ok()?;
        let mut said = String::new();
        let mut from = self.stdout.as_mut()?.take(MAX_SAID_BYTES);
        loop {
            let mut line = Vec::new();
            if from.read_until(b'\n', &mut line).ok()? == 0 {
                return None;
            }
            let line = String::from_utf8_lossy(&line);
            if let Some(code) = line.trim_end().strip_prefix(ENDED) {
                return Some(Ended {
                    code: code.trim().parse().ok()?,
                    said: said.trim().to_owned(),
                });
            }
            said.push_str(&line);
        }
    }
}

impl fmt::Debug for Asides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asides")
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::transport::Shell;
    use super::*;

    #[test]
    fn one_shell_runs_all_of_them_and_a_lost_one_is_replaced() {
        let asides = Asides::new(Arc::new(Shell::new()));
        let first = asides.run("echo $$; false").unwrap();
        let second = asides.run("echo $$").unwrap();
        assert_eq!((first.code, second.code), (1, 0));
        assert_eq!(first.said, second.said);
        assert!(matches!(asides.run("exit 7"), Err(Error::Lost { .. })));
        assert_ne!(asides.run("echo $$").unwrap().said, first.said);
        let said = asides.run("echo oh >&2; cat").unwrap();
        assert_eq!((said.code, said.said.as_str()), (0, "oh"));
    }

    #[test]
    fn it_takes_one_channel_as_long_as_it_is_there() {
        let shell = Arc::new(Shell::new());
        let asides = Asides::new(shell.clone());
        asides.prepare().unwrap();
        asides.run("true").unwrap();
        let taken: Vec<_> = (1..super::super::MAX_CHANNELS)
            .map(|_| shell.channels().take())
            .collect();
        drop(taken);
        drop(asides);
        let _all: Vec<_> = (0..super::super::MAX_CHANNELS)
            .map(|_| shell.channels().take())
            .collect();
    }
}
