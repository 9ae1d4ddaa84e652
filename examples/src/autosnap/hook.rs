//! Scripts that sanoid.conf has run before and after.

use std::fmt;
use std::io;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use jiff::SignedDuration;

/// A script, how long it is waited for, and what it is told.
#[derive(Clone, Debug)]
pub struct Hook<'a> {
    /// Its key in sanoid.conf.
    pub key: &'static str,
    /// A command line for sh(1).
    pub script: &'a str,
    /// `script_timeout`.
    pub timeout: Option<SignedDuration>,
    /// What it finds in its environment.
    pub environment: Vec<(&'static str, String)>,
}

/// Why a script did not end well.
#[derive(Debug)]
pub enum Trouble {
    /// It could not be started.
    Start(io::Error),
    /// It ended with another code than 0, or by a signal.
    Status(ExitStatus),
    /// It goes on, and is waited for no longer.
    Timeout(Duration),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Start(error) => write!(f, "it could not be started: {error}"),
            Trouble::Status(status) => write!(f, "it ended with {status}"),
            Trouble::Timeout(length) => write!(
                f,
                "it did not end within {} s (script_timeout) and goes on by itself",
                length.as_secs()
            ),
        }
    }
}

impl Hook<'_> {
    /// Runs it and waits. As with sanoid, a script that takes too long is left
    /// to itself: some are made to outlive the run.
    ///
    /// # Errors
    ///
    /// What kept it from ending well.
    pub fn run(&self, stdout: Stdio) -> Result<(), Trouble> {
        let mut command = Command::new("sh");
        command.stdout(stdout);
        command.arg("-c").arg(self.script);
        command.envs(self.environment.iter().map(|(key, value)| (key, value)));
        // sanoid's scripts find zfs(8) wherever it is installed.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/bin:/sbin"));
        let mut child = command.spawn().map_err(Trouble::Start)?;
        let limit = self
            .timeout
            .and_then(|limit| Duration::try_from(limit).ok());
        let status = match limit {
            None => child.wait().map_err(Trouble::Start)?,
            Some(limit) => {
                let (ended, end) = mpsc::channel();
                thread::spawn(move || ended.send(child.wait()));
                match end.recv_timeout(limit) {
                    Ok(status) => status.map_err(Trouble::Start)?,
                    Err(_) => return Err(Trouble::Timeout(limit)),
                }
            }
        };
        if status.success() {
            Ok(())
        } else {
            Err(Trouble::Status(status))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(script: &str) -> Hook<'_> {
        Hook {
            key: "pruning_script",
            script,
            timeout: Some(SignedDuration::from_secs(60)),
            environment: vec![("SANOID_TARGET", "tank/a b".to_owned())],
        }
    }

    #[test]
    fn a_script_is_a_command_line_and_reads_its_environment() {
        hook("test \"$SANOID_TARGET\" = 'tank/a b' && true")
            .run(Stdio::inherit())
            .unwrap();
        let error = hook("exit 3").run(Stdio::inherit()).unwrap_err();
        assert!(error.to_string().contains("exit status: 3"), "{error}");
        assert!(hook("/nonexistent/script").run(Stdio::inherit()).is_err());
    }

    #[test]
    fn one_that_takes_too_long_is_left_to_itself() {
        let folder = tempfile::tempdir().unwrap();
        let (go, done) = (folder.path().join("go"), folder.path().join("done"));
        let script = format!(
            "while ! test -e {}; do sleep 0.05; done; touch {}",
            go.display(),
            done.display()
        );
        let mut slow = hook(&script);
        slow.timeout = Some(SignedDuration::from_millis(50));
        let error = slow.run(Stdio::inherit()).unwrap_err();
        assert!(matches!(error, Trouble::Timeout(_)), "{error}");
        std::fs::write(&go, "").unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while !done.exists() {
            assert!(std::time::Instant::now() < deadline, "it did not go on");
            thread::sleep(Duration::from_millis(20));
        }
    }
}
