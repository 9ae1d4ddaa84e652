//! Streams that the other end receives: those of a range by one command,
//! which says what arrived after each.
//!
//! ```text
//! a pipe for each stream -> ssh -> zfs receive A@1 && zfs get guid A@1 && zfs receive A@2 && …
//!                        <- the GUID of each as soon as it is there
//! ```
//!
//! A receive reads its stream and not a byte more, so the next one finds its
//! own behind it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, ChildStdout, ExitStatus, Stdio};

use zfs_core::Guid;

use super::remote::Process;
use super::send::MAX_COMMAND_BYTES;
use super::split::{Broken, Splitter};
use super::{Stock, filter, remote};
use crate::endpoint::{Access, Arrival, Arrived, Into, Receive, Receiving};
use crate::error::Error;
use crate::properties::Properties;

/// The longest answer: a GUID.
const MAX_ANSWER_BYTES: u64 = 64;

/// The snapshots that a dataset receives.
pub(super) struct Receivers<'a> {
    stock: &'a Stock,
    /// Those that no command was started for yet.
    waiting: &'a [Receive],
    running: Option<Running<'a>>,
}

struct Running<'a> {
    command: String,
    /// Those that the command is still to receive.
    left: &'a [Receive],
    /// Those that were sent there and not answered for yet.
    unanswered: VecDeque<(&'a Receive, Guid)>,
    process: Process<'a>,
    compress: Option<Child>,
    stdin: Option<OwnedFd>,
    answers: Option<BufReader<ChildStdout>>,
}

impl Running<'_> {
    /// Ends what it reads, and waits for it.
    fn end(&mut self) -> io::Result<(ExitStatus, String)> {
        self.stdin = None;
        if let Some(mut compress) = self.compress.take() {
            // The receiver says what became of it.
            let _ = compress.wait();
        }
        self.process.end()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.stdin = None;
        if let Some(child) = &mut self.compress {
            // It has ended already unless something went wrong.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl<'a> Receivers<'a> {
    pub fn new(stock: &'a Stock, receives: &'a [Receive]) -> Receivers<'a> {
        Receivers {
            stock,
            waiting: receives,
            running: None,
        }
    }

    /// Starts a command for as many as fit into one.
    fn start(&mut self) -> Result<Running<'a>, Error> {
        let (command, count) = self.command();
        let (left, waiting) = self.waiting.split_at_checked(count).unwrap_or_default();
        self.waiting = waiting;
        let transport = &*self.stock.transport;
        let compression = left.first().and_then(|first| self.compression(first));
        let line = match compression {
            Some(compression) => {
                let decompress = compression.decompress().join(" ");
                format!("{decompress} | {{ {command}; }}")
            }
            None => command.clone(),
        };
        let failed = |error: io::Error| remote::failed_to_run(transport, &command, &error);
        let mut process = remote::start(transport, &line, Stdio::piped(), Stdio::piped())?;
        let mut running = Running {
            left,
            unanswered: VecDeque::new(),
            stdin: process.stdin(),
            answers: process.stdout().map(BufReader::new),
            process,
            compress: None,
            command: command.clone(),
        };
        if let Some((compression, to)) = compression.and_then(|c| Some((c, running.stdin.take()?)))
        {
            let mut compress =
                filter(compression.compress(), Stdio::piped(), Stdio::from(to)).map_err(failed)?;
            running.stdin = compress.stdin.take().map(OwnedFd::from);
            running.compress = Some(compress);
        }
        Ok(running)
    }

    fn compression(&self, receive: &Receive) -> Option<super::Compression> {
        self.stock.compression(receive.raw, receive.compressed)
    }

    /// The command for the next ones, and how many they are.
    fn command(&self) -> (String, usize) {
        let mut command = String::new();
        let mut count = 0;
        for receive in self.waiting {
            let one = one(self.stock, receive);
            if count > 0 && command.len() + one.len() > MAX_COMMAND_BYTES {
                break;
            }
            if count > 0 {
                command.push_str(" && ");
            }
            command.push_str(&one);
            count += 1;
        }
        (command, count)
    }

    fn refused(&self, running: &mut Running<'_>) -> Error {
        let transport = &*self.stock.transport;
        match running.end() {
            Ok((status, said)) => remote::refused(transport, &running.command, status, &said),
            Err(error) => remote::failed_to_run(transport, &running.command, &error),
        }
    }

    fn answer(&self, running: &mut Running<'_>, receive: &Receive) -> Result<Guid, Error> {
        let mut line = Vec::new();
        if let Some(answers) = &mut running.answers {
            // What cannot be read is no answer.
            let _ = answers.take(MAX_ANSWER_BYTES).read_until(b'\n', &mut line);
        }
        if line.is_empty() {
            return Err(self.refused(running));
        }
        let text = String::from_utf8_lossy(&line);
        text.trim().parse().map(Guid).map_err(|_| {
            let problem = format!("{:?} is no GUID", text.trim());
            self.stock.malformed(receive.snapshot.as_str(), &problem)
        })
    }
}

impl Receiving for Receivers<'_> {
    fn receive(&mut self, pipe: BorrowedFd<'_>) -> Result<Arrived, Error> {
        let mut running = match self.running.take() {
            Some(running) => running,
            None => self.start()?,
        };
        let failed = |running: &Running<'_>, error: &io::Error| {
            remote::failed_to_run(&*self.stock.transport, &running.command, error)
        };
        let Some((receive, left)) = running.left.split_first() else {
            return Err(failed(&running, &io::ErrorKind::InvalidInput.into()));
        };
        running.left = left;
        let to = running.stdin.as_ref().map(|stdin| stdin.as_fd());
        let to = to.map(|stdin| stdin.try_clone_to_owned()).transpose();
        let (Ok(Some(to)), Ok(from)) = (to, pipe.try_clone_to_owned()) else {
            return Err(failed(&running, &io::ErrorKind::BrokenPipe.into()));
        };
        let mut streams = Splitter::new(File::from(from));
        let moved = streams.begin().and_then(|head| {
            let head = head.ok_or(Broken::CutOff)?;
            let bytes = streams.copy(&head, File::from(to), |_| {})?;
            Ok((bytes, head.to_guid))
        });
        if left.is_empty() || moved.is_err() {
            running.stdin = None;
        }
        let (bytes, sent) = match moved {
            Ok(moved) => moved,
            Err(Broken::Nonsense(problem)) => {
                // The sender's end is where it matters, and says more.
                let _ = running.end();
                return Err(Error::package(problem.to_owned()));
            }
            Err(Broken::CutOff | Broken::NobodyReads | Broken::Read(_)) => {
                return Err(self.refused(&mut running));
            }
        };
        // What decompresses waits for more before it gives away the end of a
        // stream: there the answers come when everything was sent.
        if running.compress.is_some() && !left.is_empty() {
            running.unanswered.push_back((receive, sent));
            self.running = Some(running);
            return Ok(Arrived {
                bytes,
                guid: Arrival::Later,
                unset: Vec::new(),
            });
        }
        while let Some((earlier, expected)) = running.unanswered.pop_front() {
            let found = self.answer(&mut running, earlier)?;
            if found != expected {
                return Err(Error::WrongSnapshot {
                    snapshot: earlier.snapshot.clone(),
                    expected,
                    found,
                });
            }
        }
        let guid = self.answer(&mut running, receive)?;
        if left.is_empty() {
            // Everything has arrived, whatever ssh makes of the end.
            let _ = running.end();
        } else {
            self.running = Some(running);
        }
        Ok(Arrived {
            bytes,
            guid: Arrival::Told(guid),
            unset: Vec::new(),
        })
    }
}

/// What is set on a dataset, each once.
pub(super) fn options(access: Access, properties: &Properties) -> Vec<String> {
    let mut options: Vec<String> = Vec::new();
    if access == Access::ReadOnly {
        options.push("readonly=on".to_owned());
    }
    for (name, value) in properties {
        options.retain(|option| option.split('=').next() != Some(name));
        options.push(format!("{name}={value}"));
    }
    options
}

/// Receives one, and says what arrived.
fn one(stock: &Stock, receive: &Receive) -> String {
    let access = match receive.into {
        Into::Existing => Access::Inherited,
        Into::New | Into::Clone(_) => receive.access,
    };
    let mut options = options(access, &receive.properties);
    if let Into::Clone(name) = &receive.into {
        options.push(format!("origin={name}"));
    }
    let mut arguments = vec!["receive", "-s", "-u"];
    for option in &options {
        arguments.extend(["-o", option]);
    }
    let snapshot = receive.snapshot.as_str();
    arguments.push(snapshot);
    let answer = stock.zfs(["get", "-Hpo", "value", "guid", snapshot]);
    format!("{} && {answer}", stock.zfs(arguments))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Elevation, Shell};
    use super::*;

    fn receives(count: usize, compressed: bool) -> Vec<Receive> {
        let receive = |number| Receive {
            snapshot: format!("vault/a@{number}").parse().unwrap(),
            into: Into::Existing,
            raw: false,
            compressed,
            access: Access::ReadOnly,
            properties: Arc::default(),
        };
        (0..count).map(receive).collect()
    }

    #[test]
    fn one_command_receives_as_many_as_it_may_be_long() {
        let stock = Stock::new(Arc::new(Shell::new()), Elevation::None);
        let few = receives(3, false);
        assert_eq!(Receivers::new(&stock, &few).command().1, 3);
        let many = receives(10_000, false);
        let (command, count) = Receivers::new(&stock, &many).command();
        assert!(command.len() <= MAX_COMMAND_BYTES && (100..10_000).contains(&count));
    }
}
