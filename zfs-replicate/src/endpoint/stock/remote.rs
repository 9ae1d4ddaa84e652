//! Running commands at the other end.

use std::io::{self, Read};
use std::process::{ChildStderr, ExitStatus, Stdio};
use std::thread;

use super::transport::Transport;
use crate::error::Error;

/// The most that a command may say: a listing of some four million lines.
const MAX_OUTPUT_BYTES: u64 = 512 << 20;

/// The most of its complaints that is kept.
const MAX_COMPLAINT_BYTES: usize = 16 << 10;

/// What a command said.
pub(in crate::endpoint) struct Output {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

/// Runs a command to its end.
pub(in crate::endpoint) fn run(transport: &dyn Transport, command: &str) -> Result<Output, Error> {
    let _channel = transport.channels().take();
    tracing::debug!(host = transport.host(), command, "run");
    let failed = |error: io::Error| failed_to_run(transport, command, &error);
    let mut child = transport
        .command(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let stderr = child.stderr.take();
    let complaints = thread::spawn(move || stderr.map(complaint).unwrap_or_default());
    let mut stdout = Vec::new();
    let mut whole = true;
    let read = match child.stdout.take() {
        Some(pipe) => pipe.take(MAX_OUTPUT_BYTES + 1).read_to_end(&mut stdout),
        None => Ok(0),
    };
    if stdout.len() as u64 > MAX_OUTPUT_BYTES {
        whole = false;
        // It is stopped below in any case.
        let _ = child.kill();
    }
    let status = child.wait().map_err(failed)?;
    let stderr = complaints.join().unwrap_or_default();
    read.map_err(failed)?;
    if !whole {
        return Err(Error::Remote {
            host: transport.host().to_owned(),
            command: command.to_owned(),
            problem: format!("it says more than {MAX_OUTPUT_BYTES} bytes"),
        });
    }
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
pub(in crate::endpoint) fn complaint(stderr: ChildStderr) -> String {
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
        (Some(127), _) => Some("is ZFS installed there, and in the PATH of a command?"),
        (_, text) if text.contains("permission denied") || text.contains("Permission denied") => {
            Some("give the user there the permission (zfs allow), or use sudo")
        }
        (_, text) if text.contains("a password is required") || text.contains("a terminal is") => {
            Some("let sudo run zfs there without a password (NOPASSWD)")
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

/// Whether it failed since there is no such dataset.
pub(in crate::endpoint) fn is_missing(stderr: &str) -> bool {
    stderr.contains("dataset does not exist") || stderr.contains("no such pool")
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
        assert!(error("exit 255").contains("connection was lost"));
        assert!(error("no-such-program-here").contains("PATH"));
    }

    #[test]
    fn only_the_end_of_long_complaints_is_kept() {
        let text =
            error("i=0; while [ $i -lt 9000 ]; do echo line $i >&2; i=$((i+1)); done; exit 3");
        assert!(text.len() < 3 * MAX_COMPLAINT_BYTES && text.contains("line 8999"));
    }
}
