//! Runs the `zfs-pipeline` binary and listens to its events; can kill it at
//! a given part of a given stream.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use indicatif::ProgressBar;
use rustix::process::{Pid, Signal, kill_process};

use super::events::{Event, Progress, Sent};
use super::interrupt::Interrupt;
use super::steps::Steps;
use super::tool;

/// What the demo runs, and what the README shows.
pub const TOML: &str = include_str!("demo.toml");

/// The binary, its file, and when it last ran.
#[derive(Debug)]
pub struct Pipeline {
    program: PathBuf,
    file: PathBuf,
    last_start: Option<Instant>,
}

/// Where to kill the pipeline.
#[derive(Debug, Clone)]
pub struct KillAt {
    /// The dataset whose stream is meant.
    pub dataset: String,
    pub percent: u8,
}

/// What one run did.
#[derive(Debug, Default)]
pub struct Report {
    pub sent: Vec<Sent>,
    pub snapshots: u64,
    pub destroyed: u64,
    /// The streams that went on where another stopped: dataset and bytes
    /// that were there already.
    pub resumed: Vec<(String, u64)>,
}

/// How a run ended.
#[derive(Debug)]
pub enum Ending {
    Done(Report),
    /// Killed as was asked, when the stream had come so far.
    Killed(Report, Progress),
}

impl Pipeline {
    /// `dir` gets the pipeline's file.
    pub fn new(bin_dir: &Path, dir: &Path) -> Result<Self> {
        let program = bin_dir.join("zfs-pipeline");
        if !program.is_file() {
            bail!("there is no zfs-pipeline in {}", bin_dir.display());
        }
        let file = dir.join("demo.toml");
        fs::write(&file, TOML).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(Self {
            program,
            file,
            last_start: None,
        })
    }

    /// One run, to its end or to the kill.
    pub fn run(
        &mut self,
        keep_streams: Option<&Path>,
        kill_at: Option<&KillAt>,
        interrupt: &Interrupt,
    ) -> Result<Ending> {
        self.wait_for_another_second();
        let mut command = tool::command(&self.program);
        command.arg("run").arg(&self.file).arg("--json");
        if let Some(dir) = keep_streams {
            fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
            command.arg("--keep-streams").arg(dir);
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", tool::shown(&command)))?;
        let ending = Running::new(child)?.listen(kill_at, interrupt);
        ending.with_context(|| tool::shown(&command))
    }

    /// Snapshots are named by the second: two runs within one would take the
    /// same name.
    fn wait_for_another_second(&mut self) {
        if let Some(last) = self.last_start {
            sleep(Duration::from_millis(1100).saturating_sub(last.elapsed()));
        }
        self.last_start = Some(Instant::now());
    }
}

/// The child with the two threads that read its output.
struct Running {
    child: Child,
    lines: Receiver<std::io::Result<String>>,
    stderr: Option<JoinHandle<String>>,
}

impl Running {
    fn new(mut child: Child) -> Result<Self> {
        let stdout = child.stdout.take().context("no standard output")?;
        let mut stderr = child.stderr.take().context("no standard error")?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let stderr = thread::spawn(move || {
            let mut bytes = Vec::new();
            // What was read before an error is still worth showing.
            let _ = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Ok(Self {
            child,
            lines,
            stderr: Some(stderr),
        })
    }

    fn listen(mut self, kill_at: Option<&KillAt>, interrupt: &Interrupt) -> Result<Ending> {
        let mut report = Report::default();
        let mut failures = Vec::new();
        let mut done = None;
        let bar = Steps::bytes("sending", 0);
        loop {
            if let Err(error) = interrupt.check() {
                self.terminate();
                return Err(error);
            }
            let line = match self.lines.recv_timeout(Duration::from_millis(100)) {
                Ok(line) => line.context("cannot read its events")?,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let event = serde_json::from_str(&line)
                .with_context(|| format!("it wrote a line that is no event: {line}"))?;
            match event {
                Event::Started {
                    dataset,
                    resumed_at,
                } if resumed_at > 0 => report.resumed.push((dataset, resumed_at)),
                Event::Progress(progress) => {
                    show(&bar, &progress);
                    if is_reached(kill_at, &progress)? {
                        bar.finish_and_clear();
                        self.kill()?;
                        return Ok(Ending::Killed(report, progress));
                    }
                }
                Event::Sent(sent) => {
                    refuse_if_late(kill_at, &sent)?;
                    report.sent.push(sent);
                }
                Event::Failed {
                    stage,
                    dataset,
                    error,
                } => failures.push(format!(
                    "{stage} {}: {error}",
                    dataset.as_deref().unwrap_or("-")
                )),
                Event::Done {
                    ok,
                    snapshots,
                    destroyed,
                } => {
                    report.snapshots = snapshots;
                    report.destroyed = destroyed;
                    done = Some(ok);
                }
                Event::Started { .. } | Event::Other => {}
            }
        }
        bar.finish_and_clear();
        let status = self.child.wait().context("cannot wait for it")?;
        if !status.success() || done != Some(true) || !failures.is_empty() {
            return Err(self.failed(status, done, &failures));
        }
        if kill_at.is_some() {
            bail!("it ended before it could be killed: the stream that was meant never ran");
        }
        Ok(Ending::Done(report))
    }

    fn failed(
        &mut self,
        status: ExitStatus,
        done: Option<bool>,
        failures: &[String],
    ) -> anyhow::Error {
        let mut text = status.to_string();
        if done.is_none() {
            text.push_str(", without its last event");
        }
        for failure in failures {
            text.push_str("\n  ");
            text.push_str(failure);
        }
        let stderr = self.stderr.take().and_then(|thread| thread.join().ok());
        if let Some(stderr) = stderr {
            text.push('\n');
            text.push_str(stderr.trim_end());
        }
        anyhow::Error::msg(text)
    }

    /// SIGKILL. Waiting means that the kernel has left both the send and the
    /// receive, and that what arrived is saved.
    fn kill(&mut self) -> Result<()> {
        self.child.kill().context("cannot kill it")?;
        self.child.wait().context("cannot wait for it")?;
        Ok(())
    }

    /// SIGTERM, so that it ends as it would for an operator; SIGKILL if it
    /// does not.
    fn terminate(&mut self) {
        let asked = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(20);
        while asked.is_ok() && Instant::now() < deadline {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Running {
    /// Nothing of the pipeline may be left when the pools are taken away.
    /// Both calls fail harmlessly when it has ended.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn show(bar: &ProgressBar, progress: &Progress) {
    bar.set_length(progress.estimate.max(progress.bytes));
    bar.set_position(progress.bytes);
}

fn is_reached(kill_at: Option<&KillAt>, progress: &Progress) -> Result<bool> {
    let Some(kill_at) = kill_at.filter(|kill_at| kill_at.dataset == progress.dataset) else {
        return Ok(false);
    };
    if progress.estimate == 0 {
        bail!(
            "{}: ZFS gave no estimate of the stream, so there is no part to kill it at",
            kill_at.dataset
        );
    }
    let reached = u128::from(progress.bytes) * 100
        >= u128::from(progress.estimate) * u128::from(kill_at.percent);
    Ok(reached)
}

fn refuse_if_late(kill_at: Option<&KillAt>, sent: &Sent) -> Result<()> {
    match kill_at {
        Some(kill_at) if kill_at.dataset == sent.dataset => bail!(
            "the kill came too late: the stream of {} was over ({} bytes in {:.2} s) before a progress \
             event said {} %. On a fast machine give it more to do: --largest MIB",
            sent.dataset,
            sent.bytes,
            sent.seconds,
            kill_at.percent
        ),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const PROGRESS: &str = r#"{"event":"progress","dataset":"a/v","target":"b/v","to":"a/v@x","bytes":60,"estimate":100}"#;
    const SENT: &str = r#"{"event":"sent","dataset":"a/v","kind":"full","from":null,"raw":true,"bytes":100,"seconds":1.5}"#;
    const DONE: &str = r#"{"event":"done","ok":true,"snapshots":1,"destroyed":2}"#;

    /// Runs a shell script in the pipeline's place.
    fn run(script: &str, kill_at: Option<&KillAt>, interrupt: &Interrupt) -> Result<Ending> {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("zfs-pipeline");
        // By another process: what this one has open for writing a child that
        // another test starts has as well for a moment, and could not be run.
        let write = Command::new("sh")
            .args(["-c", "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\""])
            .arg(&program)
            .arg(format!("#!/bin/sh\n{script}\n"))
            .status();
        assert!(write.unwrap().success());
        Pipeline::new(dir.path(), dir.path())?.run(None, kill_at, interrupt)
    }

    fn kill_at(percent: u8) -> KillAt {
        KillAt {
            dataset: "a/v".into(),
            percent,
        }
    }

    #[test]
    fn the_readme_shows_the_file_that_the_demo_runs() {
        let readme = include_str!("../../../README.md");
        assert!(
            readme.contains(&format!("```toml\n{TOML}```\n")),
            "README.md has another pipeline than demo.toml"
        );
    }

    #[test]
    fn a_run_that_ends_well_is_reported() {
        let script = format!("echo '{PROGRESS}'; echo '{SENT}'; echo '{DONE}'");
        let ending = run(&script, None, &Interrupt::default()).unwrap();
        let Ending::Done(report) = ending else {
            panic!("{ending:?}")
        };
        assert_eq!((report.snapshots, report.destroyed), (1, 2));
        assert_eq!(report.sent.len(), 1);
    }

    #[test]
    fn it_is_killed_at_the_part_asked_for() {
        let script = format!("echo '{PROGRESS}'; exec sleep 60");
        let started = Instant::now();
        let ending = run(&script, Some(&kill_at(60)), &Interrupt::default()).unwrap();
        assert!(started.elapsed() < Duration::from_secs(30));
        let Ending::Killed(_, progress) = ending else {
            panic!("{ending:?}")
        };
        assert_eq!(progress.bytes, 60);
    }

    #[test]
    fn a_kill_that_comes_too_late_is_an_error_and_not_a_pass() {
        for events in [format!("{PROGRESS}\n{SENT}\n{DONE}"), DONE.to_owned()] {
            let script = format!("cat <<'END'\n{events}\nEND");
            let error = run(&script, Some(&kill_at(61)), &Interrupt::default()).unwrap_err();
            let text = format!("{error:#}");
            assert!(
                text.contains("too late") || text.contains("before it could be killed"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_failure_says_what_failed_and_what_was_on_stderr() {
        let script = r#"echo '{"event":"failed","stage":"replicate","dataset":"a/v","error":"no room"}'
            echo '{"event":"done","ok":false,"snapshots":0,"destroyed":0}'; echo details >&2; exit 1"#;
        let text = format!(
            "{:#}",
            run(script, None, &Interrupt::default()).unwrap_err()
        );
        assert!(text.contains("replicate a/v: no room"), "{text}");
        assert!(text.contains("details"), "{text}");
    }

    #[test]
    fn an_exit_code_of_0_without_the_last_event_is_a_failure() {
        let text = format!(
            "{:#}",
            run("true", None, &Interrupt::default()).unwrap_err()
        );
        assert!(text.contains("without its last event"), "{text}");
    }

    #[test]
    fn a_signal_ends_the_pipeline_too() {
        let interrupt = Interrupt::default();
        interrupt.raise();
        let started = Instant::now();
        let error = run("exec sleep 60", None, &interrupt).unwrap_err();
        assert!(format!("{error:#}").contains("interrupted"));
        assert!(started.elapsed() < Duration::from_secs(30));
    }
}
