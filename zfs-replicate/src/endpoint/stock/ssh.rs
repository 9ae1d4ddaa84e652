//! One connection with OpenSSH's own client, shared by all commands.
//!
//! The client reads its own configuration, asks for what it has to ask for,
//! and knows every kind of key. The first one stays in the background and
//! listens on a socket in a folder that nobody else can enter; the others go
//! through it. It ends with [`Ssh`], and by itself a minute after the last
//! command if this process is killed.

use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::processes::Processes;
use super::transport::{Channels, MAX_CHANNELS, Transport};
use crate::error::Error;

/// The longest path of a socket is 104 bytes on some systems, and ssh adds
/// some of its own while it makes one.
const MAX_FOLDER_BYTES: usize = 60;

/// The most of what ssh says that is kept.
const MAX_SAID_BYTES: u64 = 16 << 10;

/// A network that is dead is noticed after a minute and not, as TCP has it,
/// after hours. It stands after what the user says, of which ssh takes the first.
const KEEP_ALIVE: [&str; 4] = [
    "-o",
    "ServerAliveInterval=15",
    "-o",
    "ServerAliveCountMax=4",
];

/// How to reach a system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SshOptions {
    /// `[USER@]HOST`, or a name from ssh's configuration.
    pub destination: String,
    /// Arguments for every call, before the destination: `-p`, `-i`, `-F`,
    /// `-c`, `-o` and their values.
    pub arguments: Vec<String>,
    /// The client, `ssh` where none is given.
    pub program: Option<PathBuf>,
}

impl SshOptions {
    fn ssh(&self, socket: &Path) -> Command {
        let program = self.program.as_deref().unwrap_or(Path::new("ssh"));
        let mut ssh = Command::new(program);
        ssh.arg("-S").arg(socket).args(&self.arguments);
        ssh.args(KEEP_ALIVE);
        ssh
    }
}

/// A connection.
#[derive(Debug)]
pub struct Ssh {
    options: SshOptions,
    /// Removed with everything in it when this is dropped.
    folder: TempDir,
    channels: Channels,
}

impl Ssh {
    /// Connects, which may ask the user for something.
    ///
    /// # Errors
    ///
    /// [`Error::Connect`] with what ssh said.
    pub fn connect(options: SshOptions) -> Result<Ssh, Error> {
        let failed = |problem: String| Error::Connect {
            host: options.destination.clone(),
            problem,
        };
        if options.destination.is_empty() || options.destination.starts_with('-') {
            return Err(failed("this is no name of a host".to_owned()));
        }
        let folder =
            folder().map_err(|error| failed(format!("no folder for the socket: {error}")))?;
        let channels = Channels::new(MAX_CHANNELS);
        begin(&options, folder.path(), channels.processes()).map_err(failed)?;
        Ok(Ssh {
            options,
            folder,
            channels,
        })
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("s")
    }
}

/// Starts the client that stays in the background, or says why that failed.
fn begin(options: &SshOptions, folder: &Path, processes: &Processes) -> Result<(), String> {
    let said = folder.join("said");
    let file = File::create(&said).map_err(|error| format!("no file for messages: {error}"))?;
    // Not a pipe: the client that stays in the background would hold it.
    let mut ssh = options
        .ssh(&folder.join("s"))
        .args(["-M", "-N", "-f", "-o", "ControlPersist=60"])
        .arg("--")
        .arg(&options.destination)
        .stdin(Stdio::inherit())
        .stdout(Stdio::null())
        .stderr(file)
        .spawn()
        .map_err(|error| {
            format!("ssh cannot be started (is it installed? openssh-client): {error}")
        })?;
    processes.add(&ssh);
    let status = processes.wait(&mut ssh);
    let status = status.map_err(|error| format!("ssh cannot be waited for: {error}"))?;
    if !status.success() {
        let mut text = Vec::new();
        if let Ok(file) = File::open(&said) {
            // What cannot be read is not told.
            let _ = file.take(MAX_SAID_BYTES).read_to_end(&mut text);
        }
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        return Err(if text.is_empty() {
            format!("ssh ended with {status}")
        } else {
            text
        });
    }
    Ok(())
}

fn folder() -> io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder
        .prefix("zfs-")
        .permissions(Permissions::from_mode(0o700));
    let here = std::env::temp_dir();
    let folder = if here.as_os_str().len() <= MAX_FOLDER_BYTES {
        builder.tempdir_in(here)?
    } else {
        builder.tempdir_in("/tmp")?
    };
    // Whatever the system made of it.
    fs::set_permissions(folder.path(), Permissions::from_mode(0o700))?;
    Ok(folder)
}

impl Transport for Ssh {
    fn host(&self) -> &str {
        &self.options.destination
    }

    fn command(&self, command: &str) -> Command {
        let mut ssh = self.options.ssh(&self.socket());
        // Without the connection it makes one of its own if that needs no
        // question.
        ssh.args(["-o", "ControlMaster=no", "-o", "BatchMode=yes", "-T"])
            .arg("--")
            .arg(&self.options.destination)
            .arg(command);
        ssh
    }

    fn channels(&self) -> &Channels {
        &self.channels
    }

    fn connect_again(&self) -> Result<(), Error> {
        let alive = self
            .options
            .ssh(&self.socket())
            .args(["-O", "check", "--"])
            .arg(&self.options.destination)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if alive.is_ok_and(|status| status.success()) {
            return Ok(());
        }
        // What a dead client left would be taken for a live one.
        let _ = fs::remove_file(self.socket());
        begin(&self.options, self.folder.path(), self.channels.processes()).map_err(|problem| {
            Error::Connect {
                host: self.options.destination.clone(),
                problem,
            }
        })
    }
}

impl Drop for Ssh {
    fn drop(&mut self) {
        // It ends by itself soon if this does not work.
        let _ = self
            .options
            .ssh(&self.socket())
            .args(["-O", "exit", "--"])
            .arg(&self.options.destination)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::write_program;
    use super::*;

    #[test]
    fn a_destination_that_is_an_option_is_refused() {
        for destination in ["", "-oProxyCommand=x"] {
            let options = SshOptions {
                destination: destination.to_owned(),
                ..SshOptions::default()
            };
            assert!(matches!(Ssh::connect(options), Err(Error::Connect { .. })));
        }
    }

    #[test]
    fn what_ssh_says_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("ssh");
        let script = "#!/bin/sh\necho 'host key is not known' >&2\nexit 255\n";
        write_program(&program, script);
        let options = SshOptions {
            destination: "backup".to_owned(),
            program: Some(program),
            ..SshOptions::default()
        };
        let error = Ssh::connect(options).unwrap_err().to_string();
        assert_eq!(error, "cannot connect to backup: host key is not known");
    }

    #[test]
    fn a_dead_network_is_noticed_unless_the_user_says_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let (program, said) = (folder.path().join("ssh"), folder.path().join("said"));
        let script = format!("#!/bin/sh\necho \"$*\" >> '{}'\n", said.display());
        write_program(&program, &script);
        let options = SshOptions {
            destination: "backup".to_owned(),
            arguments: ["-o", "ServerAliveInterval=0"].map(str::to_owned).into(),
            program: Some(program),
        };
        let ssh = Ssh::connect(options).unwrap();
        assert!(ssh.command("true").status().unwrap().success());
        let ours = "-o ServerAliveInterval=0 -o ServerAliveInterval=15 -o ServerAliveCountMax=4 ";
        let said = fs::read_to_string(said).unwrap();
        assert_eq!(said.matches(ours).count(), 2, "{said}");
    }

    #[test]
    fn the_folder_of_the_socket_is_private() {
        let folder = folder().unwrap();
        let mode = fs::metadata(folder.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
