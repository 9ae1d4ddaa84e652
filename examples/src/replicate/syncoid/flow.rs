//! The processes of one transfer, and what flows between them.
//!
//! ```text
//! here:  zfs send -> pipe of 1 MiB -> zfs receive
//! away:  zfs send -> [ compress ] -> [ rate ] -> ssh -> [ decompress ] -> zfs receive
//! ```

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use zfs_replicate::endpoint::Compression;
use zfs_stream::stage::{Limit, RateReader};

use super::stopping::Stopping;
use super::transfer::Programs;
use crate::replicate::side::{Side, not_started};

/// The most of what a command says that is kept.
const MAX_SAID_BYTES: usize = 64 << 10;

/// How often it is looked whether the source has come.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Both ends of a transfer that is going on.
pub(super) struct Flow<'a> {
    pub source: &'a Side,
    pub target: &'a Side,
    pub programs: &'a Programs,
    pub stopping: &'a Stopping,
}

/// A transfer that is over.
pub(super) struct Done {
    /// The receiver's.
    pub status: ExitStatus,
    pub sender_said: String,
    pub receiver_said: String,
}

impl<'a> Flow<'a> {
    pub fn run(&self, send: &[String], receive: &[String]) -> io::Result<Done> {
        let mut children = Children {
            stopping: self.stopping,
            running: Vec::new(),
        };
        let listener = match &self.programs.direct {
            Some(direct) if !self.source.is_local() => Some(TcpListener::bind(&direct.listen)?),
            _ => None,
        };
        let from = self.sender(send, &mut children)?;
        let needs_pump = self.programs.limit.is_some() || self.programs.direct.is_some();
        if !needs_pump {
            let receiver = self.receiver(receive, Stdio::from(from))?.0;
            return children.wait(receiver);
        }
        let (mut receiver, stdin) = self.receiver(receive, Stdio::piped())?;
        let pumped = match stdin {
            Some(stdin) => self.pump(from, stdin, listener, &mut children),
            None => Ok(()),
        };
        if pumped.is_err() && !self.target.is_local() {
            // Something there waits for a stream that will not come.
            receiver.child.kill()?;
        }
        let done = children.wait(receiver)?;
        pumped.map(|()| done)
    }

    /// Starts what sends, and gives what comes out of it.
    fn sender(&self, send: &[String], children: &mut Children<'a>) -> io::Result<OwnedFd> {
        let (reader, writer) = zfs_core::stream_pipe()?;
        let compress = self.programs.compress.map(Compression::compress);
        if !self.source.is_local() {
            let mut line = self.source.zfs_line(send);
            if let Some(compress) = compress {
                line = format!("{line} | {}", compress.join(" "));
            }
            if let Some(direct) = &self.programs.direct {
                line = format!(
                    "{line} | socat - TCP:{},retry={},interval=1",
                    direct.connect, direct.timeout
                );
            }
            let mut command = self.source.shell(&line);
            command.stdin(Stdio::null()).stdout(writer);
            children.start(command)?;
            return Ok(reader);
        }
        let mut command = self.source.zfs(send);
        command.stdin(Stdio::null()).stdout(writer);
        children.start(command)?;
        match compress {
            Some(compress) => filter(compress, reader, children),
            None => Ok(reader),
        }
    }

    /// Starts what receives.
    fn receiver(&self, receive: &[String], stdin: Stdio) -> io::Result<(Receiver, Option<File>)> {
        let decompress = self.programs.compress.map(Compression::decompress);
        let mut command = if self.target.is_local() {
            match decompress {
                None => self.target.zfs(receive),
                Some(decompress) => {
                    // Both in one shell, whose status is the receiver's.
                    let line = self.target.zfs_line(receive);
                    self.target
                        .shell(&format!("{} | {line}", decompress.join(" ")))
                }
            }
        } else {
            let mut line = self.target.zfs_line(receive);
            if let Some(decompress) = decompress {
                line = format!("{} | {line}", decompress.join(" "));
            }
            if let Some(direct) = &self.programs.direct {
                let listen = if direct.mbuffer {
                    format!(
                        "mbuffer -q -s 128k -m 16M -W {} -I {}",
                        direct.timeout, direct.listen
                    )
                } else {
                    format!("busybox nc -l {} -w {}", direct.listen, direct.timeout)
                };
                line = format!("{listen} | {line}");
            }
            self.target.shell(&line)
        };
        command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| not_started(&command, &error))?;
        self.stopping.processes.add(&child);
        // The command holds its stdin, which is the pipe's end, until here.
        drop(command);
        let stdin = child
            .stdin
            .take()
            .map(|stdin| File::from(OwnedFd::from(stdin)));
        let stdout = child.stdout.take().map(|pipe| listen(pipe, To::Stdout));
        let stderr = child.stderr.take().map(|pipe| listen(pipe, To::Stdout));
        let receiver = Receiver {
            child,
            said: [stdout, stderr],
        };
        Ok((receiver, stdin))
    }

    /// Moves what comes from the sender to the receiver, or past ssh.
    fn pump(
        &self,
        from: OwnedFd,
        to: File,
        listener: Option<TcpListener>,
        children: &mut Children<'a>,
    ) -> io::Result<()> {
        let limit = Limit::new(self.programs.limit);
        if let Some(listener) = listener {
            // What ssh says besides is nothing; the stream comes in there.
            drop(from);
            let stream = accept(&listener, || children.have_ended())?;
            copy(RateReader::new(stream, limit), to);
        } else if let (Some(direct), false) = (&self.programs.direct, self.target.is_local()) {
            let stream = connect(
                &direct.connect,
                Duration::from_secs(direct.timeout),
                self.stopping,
            )?;
            drop(to);
            copy(RateReader::new(File::from(from), limit), stream);
        } else {
            copy(RateReader::new(File::from(from), limit), to);
        }
        Ok(())
    }
}

fn connect(address: &str, timeout: Duration, stopping: &Stopping) -> io::Result<TcpStream> {
    let until = Instant::now() + timeout;
    loop {
        match TcpStream::connect(address) {
            Err(error) if Instant::now() >= until || stopping.is_asked() => return Err(error),
            Err(_) => thread::sleep(Duration::from_secs(1)),
            Ok(stream) => return Ok(stream),
        }
    }
}

/// Waits for the source to come, but not for one that has ended.
fn accept(listener: &TcpListener, has_ended: impl FnMut() -> bool) -> io::Result<TcpStream> {
    let mut has_ended = has_ended;
    listener.set_nonblocking(true)?;
    loop {
        // In this order: a short stream is sent whole before it is taken.
        let is_last = has_ended();
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Err(_) if is_last => {
                return Err(io::Error::other(
                    "the source ended before it connected (is there socat?)",
                ));
            }
            Err(_) => thread::sleep(ACCEPT_PAUSE),
        }
    }
}

/// Ends with either side: the one that broke says why.
fn copy(mut from: impl Read, mut to: impl Write) {
    let mut buffer = vec![0; 1 << 20];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                if to.write_all(buffer.get(..count).unwrap_or(&[])).is_err() {
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
}

fn filter(program: &[&str], from: OwnedFd, children: &mut Children<'_>) -> io::Result<OwnedFd> {
    let (reader, writer) = zfs_core::stream_pipe()?;
    let (name, arguments) = program.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(name);
    command.args(arguments).stdin(from).stdout(writer);
    children.start(command)?;
    Ok(reader)
}

type Said = thread::JoinHandle<String>;

struct Receiver {
    child: Child,
    said: [Option<Said>; 2],
}

/// What runs on the sender's side.
struct Children<'a> {
    stopping: &'a Stopping,
    running: Vec<(Child, Option<Said>)>,
}

impl Children<'_> {
    fn start(&mut self, mut command: Command) -> io::Result<()> {
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| not_started(&command, &error))?;
        self.stopping.processes.add(&child);
        let said = child.stderr.take().map(|pipe| listen(pipe, To::Stderr));
        self.running.push((child, said));
        Ok(())
    }

    /// Whether one of them has.
    fn have_ended(&mut self) -> bool {
        let mut running = self.running.iter_mut();
        running.any(|(child, _)| !matches!(child.try_wait(), Ok(None)))
    }

    fn wait(mut self, mut receiver: Receiver) -> io::Result<Done> {
        let processes = &self.stopping.processes;
        let status = processes.wait(&mut receiver.child)?;
        let mut sender_said = String::new();
        for (mut child, said) in self.running.drain(..) {
            processes.wait(&mut child)?;
            sender_said.push_str(&hear(said));
        }
        let [stdout, stderr] = receiver.said;
        Ok(Done {
            status,
            sender_said,
            receiver_said: hear(stdout) + &hear(stderr),
        })
    }
}

impl Drop for Children<'_> {
    fn drop(&mut self) {
        // Only where something could not be started: what runs already must
        // not go on alone.
        for (child, _) in &mut self.running {
            let _ = child.kill();
            let _ = self.stopping.processes.wait(child);
        }
    }
}

fn hear(said: Option<Said>) -> String {
    said.and_then(|said| said.join().ok()).unwrap_or_default()
}

#[derive(Clone, Copy)]
enum To {
    Stdout,
    Stderr,
}

/// Passes on what a command says, and keeps it.
fn listen(mut pipe: impl Read + Send + 'static, to: To) -> Said {
    thread::spawn(move || {
        let mut kept = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let count = match pipe.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            let bytes = buffer.get(..count).unwrap_or(&[]);
            // Nobody is left to tell where it cannot be written.
            let _ = match to {
                To::Stdout => io::stdout().write_all(bytes),
                To::Stderr => io::stderr().write_all(bytes),
            };
            if kept.len() < MAX_SAID_BYTES {
                kept.extend_from_slice(bytes);
            }
        }
        String::from_utf8_lossy(&kept).into_owned()
    })
}
