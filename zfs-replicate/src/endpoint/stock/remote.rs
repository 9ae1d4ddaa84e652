//! Running commands at the other end.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStderr, ChildStdout, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};

use zfs_core::DatasetName;

use super::processes::Processes;
use super::transport::{Channel, Transport};
use crate::error::Error;

/// The most that a command may say: a listing of some two million lines.
const MAX_OUTPUT_BYTES: u64 = 192 << 20;

/// The most of its complaints that is kept.
const MAX_COMPLAINT_BYTES: usize = 16 << 10;

/// What a command said.
pub(in crate::endpoint) struct Output {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

/// A command that runs. It does not outlive this.
pub(in crate::endpoint) struct Process<'t> {
    child: Child,
    complaints: Option<JoinHandle<String>>,
    processes: &'t Processes,
    _channel: Channel<'t>,
}

/// Starts a command, when there is a channel for it.
pub(in crate::endpoint) fn start<'t>(
    transport: &'t dyn Transport,
    command: &str,
    stdin: Stdio,
    stdout: Stdio,
) -> Result<Process<'t>, Error> {
    let channel = transport.channels().take();
    tracing::debug!(host = transport.host(), command, "run");
    let mut child = transport
        .command(command)
        .stdin(stdin)
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed_to_run(transport, command, &error))?;
    let processes = transport.channels().processes();
    processes.add(&child);
    let stderr = child.stderr.take();
    // Read all the time: one that complains at length would wait for that.
    let complaints = thread::spawn(move || stderr.map(complaint).unwrap_or_default());
    Ok(Process {
        child,
        complaints: Some(complaints),
        processes,
        _channel: channel,
    })
}

impl Process<'_> {
    /// What it reads, once.
    pub fn stdin(&mut self) -> Option<OwnedFd> {
        self.child.stdin.take().map(OwnedFd::from)
    }

    /// What it says, once.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Waits for its end: how that was, and what it complained about.
    pub fn end(&mut self) -> io::Result<(ExitStatus, String)> {
        let status = self.processes.wait(&mut self.child)?;
        let said = self.complaints.take().map(JoinHandle::join);
        Ok((status, said.and_then(Result::ok).unwrap_or_default()))
    }
}

impl Drop for Process<'_> {
    fn drop(&mut self) {
        // It has ended already unless something went wrong.
        let _ = self.child.kill();
        let _ = self.processes.wait(&mut self.child);
    }
}

/// Runs a command to its end.
pub(in crate::endpoint) fn run(transport: &dyn Transport, command: &str) -> Result<Output, Error> {
    let failed = |error: io::Error| failed_to_run(transport, command, &error);
    let mut process = start(transport, command, Stdio::null(), Stdio::piped())?;
    let mut stdout = Vec::new();
    let read = match process.stdout() {
        Some(pipe) => pipe.take(MAX_OUTPUT_BYTES + 1).read_to_end(&mut stdout),
        None => Ok(0),
    };
    if stdout.len() as u64 > MAX_OUTPUT_BYTES {
        return Err(Error::Remote {
            host: transport.host().to_owned(),
            command: command.to_owned(),
            problem: format!("it says more than {MAX_OUTPUT_BYTES} bytes"),
        });
    }
    let (status, stderr) = process.end().map_err(failed)?;
    read.map_err(failed)?;
    Ok(Output {
        status,
        stdout,
        stderr,
    })
}

/// Runs a command that has to succeed.
pub(in crate::endpoint) fn run_well(
    transport: &dyn Transport,
    command: &str,
) -> Result<Vec<u8>, Error> {
    let output = run(transport, command)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(refused(transport, command, output.status, &output.stderr))
}

/// What a command complains about, its end if it is long.
fn complaint(stderr: ChildStderr) -> String {
    let mut kept: Vec<u8> = Vec::new();
    let mut buffer = [0; 4096];
    let mut stderr = stderr;
    loop {
        match stderr.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => kept.extend(buffer.get(..count).unwrap_or(&[])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
        if kept.len() > 2 * MAX_COMPLAINT_BYTES {
            kept.drain(..kept.len() - MAX_COMPLAINT_BYTES);
        }
    }
    String::from_utf8_lossy(&kept).trim().to_owned()
}

pub(in crate::endpoint) fn failed_to_run(
    transport: &dyn Transport,
    command: &str,
    error: &io::Error,
) -> Error {
    Error::Remote {
        host: transport.host().to_owned(),
        command: command.to_owned(),
        problem: error.to_string(),
    }
}

/// What to do where sudo cannot be used.
const WITHOUT_SUDO: &str = "let sudo run zfs there without a password (NOPASSWD), be root@ there, \
                            or with permissions by zfs allow use --no-privilege-elevation";

/// What a failed command means.
pub(in crate::endpoint) fn refused(
    transport: &dyn Transport,
    command: &str,
    status: ExitStatus,
    stderr: &str,
) -> Error {
    let said = if stderr.is_empty() {
        format!("it ended with {status}")
    } else {
        stderr.to_owned()
    };
    if status.code() == Some(255) {
        return Error::Lost {
            host: transport.host().to_owned(),
            command: command.to_owned(),
            problem: said,
        };
    }
    let hint = match (status.code(), stderr) {
        (Some(127), text) if text.contains("sudo") => Some(WITHOUT_SUDO),
        (Some(127), _) => Some("is it installed there, and in the PATH of a command?"),
        (_, text) if text.contains("permission denied") || text.contains("Permission denied") => {
            Some("give the user there the permission (zfs allow), or use sudo")
        }
        (_, text) if text.contains("a password is required") || text.contains("a terminal is") => {
            Some(WITHOUT_SUDO)
        }
        (_, text) if text.contains("out of space") => {
            Some("`zfs list -o space` there shows what takes it")
        }
        _ => None,
    };
    Error::Remote {
        host: transport.host().to_owned(),
        command: command.to_owned(),
        problem: match hint {
            Some(hint) => format!("{said} ({hint})"),
            None => said,
        },
    }
}

/// Whether it failed since there is no dataset of this name. The same may be
/// said of another one below it that went away meanwhile.
pub(in crate::endpoint) fn is_missing(stderr: &str, name: &DatasetName) -> bool {
    let cannot = format!("cannot open '{name}': ");
    let mut reasons = stderr.lines().filter_map(|line| line.split_once(&cannot));
    reasons.any(|(_, reason)| {
        reason.starts_with("dataset does not exist") || reason.starts_with("no such pool")
    })
}

#[cfg(test)]
mod tests {
    use super::super::transport::Shell;
    use super::*;

    fn error(command: &str) -> String {
        run_well(&Shell::new(), command).unwrap_err().to_string()
    }

    #[test]
    fn errors_say_where_what_was_tried_and_what_to_do() {
        let text = error("echo 'cannot destroy: permission denied' >&2; exit 1");
        assert!(
            text.contains("this system") && text.contains("zfs allow"),
            "{text}"
        );
        let full = error("echo 'cannot receive: out of space' >&2; exit 1");
        assert!(full.contains("zfs list -o space"), "{full}");
        assert!(error("exit 255").contains("connection was lost"));
        assert!(error("no-such-program-here").contains("PATH"));
        for sudo in [
            "echo 'sudo: a password is required' >&2; exit 1",
            "echo 'sh: 1: sudo: not found' >&2; exit 127",
        ] {
            let text = error(sudo);
            for way in ["NOPASSWD", "root@", "--no-privilege-elevation"] {
                assert!(text.contains(way), "{text}");
            }
        }
    }

    #[test]
    fn only_the_end_of_long_complaints_is_kept() {
        let text =
            error("i=0; while [ $i -lt 9000 ]; do echo line $i >&2; i=$((i+1)); done; exit 3");
        assert!(text.len() < 3 * MAX_COMPLAINT_BYTES && text.contains("line 8999"));
    }
}
