//! An sshd of the test's own on the loopback device.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use zfs_replicate::endpoint::{Ssh, SshOptions};

use super::fixture::{PATIENCE, run};

/// An sshd with keys of its own, gone when the test ends.
pub struct Sshd {
    pub child: Child,
    port: u16,
    pub folder: tempfile::TempDir,
}

impl Sshd {
    pub fn start() -> Sshd {
        Sshd::with("")
    }

    /// With a forced command for the key, or whatever else sshd(8) takes
    /// before one.
    pub fn with(restriction: &str) -> Sshd {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        for key in ["host", "user"] {
            run(&[
                "ssh-keygen",
                "-q",
                "-t",
                "ed25519",
                "-N",
                "",
                "-f",
                &at(key),
            ]);
        }
        let key = fs::read_to_string(at("user.pub")).unwrap();
        fs::write(at("authorized"), format!("{restriction} {key}")).unwrap();
        fs::create_dir_all("/run/sshd").unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let config = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nAuthorizedKeysFile {}\n\
             StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\n\
             SetEnv PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n",
            at("host"),
            at("authorized")
        );
        fs::write(at("config"), config).unwrap();
        let log = File::create(at("log")).unwrap();
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f", &at("config")])
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let sshd = Sshd {
            child,
            port,
            folder,
        };
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < PATIENCE, "no sshd: {}", sshd.log());
            thread::sleep(Duration::from_millis(50));
        }
        sshd
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// What ssh needs to get there, as its own arguments.
    fn arguments(&self) -> Vec<(&'static str, String)> {
        let key = self.folder.path().join("user").display().to_string();
        let settings = [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            "IdentitiesOnly=yes",
        ];
        let mut arguments = vec![
            ("-p", self.port.to_string()),
            ("-i", key),
            ("-F", "none".to_owned()),
        ];
        arguments.extend(settings.map(|setting| ("-o", setting.to_owned())));
        arguments
    }

    pub fn options(&self) -> SshOptions {
        let arguments = self.arguments().into_iter();
        SshOptions {
            destination: "root@127.0.0.1".to_owned(),
            arguments: arguments
                .flat_map(|(option, value)| [option.to_owned(), value])
                .collect(),
            program: None,
        }
    }

    /// The same as syncoid's options.
    pub fn options_of_syncoid(&self) -> Vec<String> {
        let arguments = self.arguments().into_iter();
        arguments
            .map(|(option, value)| {
                let name = match option {
                    "-p" => "--sshport",
                    "-i" => "--sshkey",
                    "-F" => "--sshconfig",
                    _ => "--sshoption",
                };
                format!("{name}={value}")
            })
            .collect()
    }

    #[track_caller]
    pub fn connect(&self) -> Ssh {
        match Ssh::connect(self.options()) {
            Ok(ssh) => ssh,
            Err(error) => panic!("{error}\n{}", self.log()),
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
