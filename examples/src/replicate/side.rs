//! One of the two systems: where it is, and how zfs(8) is run there.

use std::fmt;
use std::io;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use rustix::process::geteuid;
use zfs_replicate::endpoint::stock::{Transport, quote};
use zfs_replicate::endpoint::{Ssh, SshOptions};

/// Where a dataset is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `[USER@]HOST`, empty for this system.
    pub host: String,
    /// Whether the user there is root.
    pub is_root_user: bool,
    /// The dataset.
    pub dataset: String,
}

impl Place {
    /// Reads `[[USER]@]HOST:DATASET` or `DATASET` as syncoid does: with an @
    /// it is remote; without one it is, unless there is a pool of that name.
    pub fn parse(text: &str, is_pool: impl Fn(&str) -> bool) -> Place {
        let remote = |host: &str, user: &str, dataset: &str| Place {
            host: host.to_owned(),
            is_root_user: user == "root",
            dataset: dataset.to_owned(),
        };
        if let Some((user, rest)) = text.split_once('@') {
            if let Some((host, dataset)) = rest.split_once(':') {
                if !user.contains(':') {
                    let whole = format!("{user}@{host}");
                    return remote(whole.trim_start_matches('@'), user, dataset);
                }
            }
        }
        let first = text.split('/').next().unwrap_or(text);
        if let Some((host, _)) = first.split_once(':') {
            if !is_pool(first) {
                let dataset = text
                    .strip_prefix(host)
                    .and_then(|rest| rest.strip_prefix(':'));
                return remote(host, "", dataset.unwrap_or(text));
            }
        }
        Place {
            host: String::new(),
            is_root_user: geteuid().is_root(),
            dataset: text.to_owned(),
        }
    }
}

/// A system with ZFS.
#[derive(Clone, Debug)]
pub struct Side {
    /// How it is reached, `None` where it is this one.
    pub remote: Option<Arc<Ssh>>,
    /// `[USER@]HOST`, empty for this one.
    pub host: String,
    /// Whether zfs(8) is run with sudo.
    pub sudo: bool,
}

impl Side {
    /// Goes there.
    ///
    /// # Errors
    ///
    /// There is no connection.
    pub fn open(
        place: &Place,
        ssh: &[String],
        no_elevation: bool,
    ) -> Result<Side, zfs_replicate::Error> {
        let remote = if place.host.is_empty() {
            None
        } else {
            let options = SshOptions {
                destination: place.host.clone(),
                arguments: ssh.to_vec(),
                program: None,
            };
            Some(Arc::new(Ssh::connect(options)?))
        };
        Ok(Side {
            remote,
            host: place.host.clone(),
            sudo: !place.is_root_user && !no_elevation,
        })
    }

    /// Whether it is this system.
    pub fn is_local(&self) -> bool {
        self.remote.is_none()
    }

    /// zfs(8) and its arguments, as they are written in a shell there.
    pub fn zfs_line<S: AsRef<str>>(&self, arguments: &[S]) -> String {
        let zfs: &[&str] = if self.sudo {
            &["sudo", "zfs"]
        } else {
            &["zfs"]
        };
        let words = zfs.iter().copied();
        let words = words.chain(arguments.iter().map(AsRef::as_ref));
        words.map(quote).collect::<Vec<_>>().join(" ")
    }

    /// A process that runs a line of shell there; without a shell in between
    /// where it is this system and a plain call of zfs(8).
    pub fn shell(&self, line: &str) -> Command {
        if let Some(ssh) = &self.remote {
            return ssh.command(line);
        }
        let mut command = Command::new("sh");
        command.arg("-c").arg(line);
        command
    }

    /// A process that runs zfs(8) there.
    pub fn zfs<S: AsRef<str>>(&self, arguments: &[S]) -> Command {
        if self.remote.is_some() {
            return self.shell(&self.zfs_line(arguments));
        }
        let mut command = if self.sudo {
            let mut sudo = Command::new("sudo");
            sudo.arg("zfs");
            sudo
        } else {
            Command::new("zfs")
        };
        command.args(arguments.iter().map(AsRef::as_ref));
        command
    }

    /// Runs zfs(8) there to its end.
    ///
    /// # Errors
    ///
    /// It cannot be started.
    pub fn run<S: AsRef<str>>(&self, arguments: &[S]) -> io::Result<Output> {
        let mut command = self.zfs(arguments);
        let output = command.stdin(Stdio::null()).output();
        output.map_err(|error| not_started(&command, &error))
    }

    /// What processes are running there, a line each.
    pub fn processes(&self) -> Vec<String> {
        if self.is_local() {
            return local_processes();
        }
        let output = self.shell("ps -Ao args=").stdin(Stdio::null()).output();
        let text = output.map(|output| output.stdout).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        text.lines().map(str::to_owned).collect()
    }

    /// The name of something there, as it is shown.
    pub fn show(&self, name: impl fmt::Display) -> String {
        if self.host.is_empty() {
            name.to_string()
        } else {
            format!("{}:{name}", self.host)
        }
    }
}

/// Why a program could not be started, with its name.
pub fn not_started(command: &Command, error: &io::Error) -> io::Error {
    let program = command.get_program().to_string_lossy();
    let package = match (error.kind(), &*program) {
        (io::ErrorKind::NotFound, "zfs") => " (is it installed? zfsutils-linux)",
        (io::ErrorKind::NotFound, "ssh") => " (is it installed? openssh-client)",
        (io::ErrorKind::NotFound, "sudo") => {
            " (be root, or use --no-privilege-elevation with permissions by zfs allow)"
        }
        (io::ErrorKind::NotFound, _) => " (is it installed, and in PATH?)",
        _ => "",
    };
    io::Error::new(
        error.kind(),
        format!("cannot start {program}: {error}{package}"),
    )
}

/// Processes as ps(1) shows them: their arguments with spaces between them.
fn local_processes() -> Vec<String> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            name.as_encoded_bytes().iter().all(u8::is_ascii_digit)
        })
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .map(|line| {
            let line = line.strip_suffix(b"\0").unwrap_or(&line);
            let words: Vec<_> = line
                .split(|byte| *byte == 0)
                .map(String::from_utf8_lossy)
                .collect();
            words.join(" ")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> (String, bool, String) {
        let place = Place::parse(text, |pool| pool == "odd:pool");
        (place.host, place.is_root_user, place.dataset)
    }

    #[test]
    fn places_are_read_as_syncoid_reads_them() {
        let far = |host: &str, root, dataset: &str| (host.to_owned(), root, dataset.to_owned());
        assert_eq!(place("root@far:tank/a"), far("root@far", true, "tank/a"));
        assert_eq!(place("me@far:tank/a:b"), far("me@far", false, "tank/a:b"));
        assert_eq!(place("@far:tank"), far("far", false, "tank"));
        assert_eq!(place("far:tank/a"), far("far", false, "tank/a"));
        assert_eq!(place("odd:pool/a").0, "");
        assert_eq!(place("odd:pool/a").2, "odd:pool/a");
        assert_eq!(place("tank/a:b").0, "");
    }

    #[test]
    fn commands_are_quoted_for_the_shell_there() {
        let side = Side {
            remote: None,
            host: String::new(),
            sudo: true,
        };
        assert_eq!(
            side.zfs_line(&["list", "tank/my data"]),
            "sudo zfs list 'tank/my data'"
        );
    }

    #[test]
    fn this_process_is_among_those_that_run() {
        let mine = std::env::args().next().unwrap();
        assert!(local_processes().iter().any(|line| line.contains(&mine)));
    }
}
