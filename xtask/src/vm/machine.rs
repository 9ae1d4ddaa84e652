//! One boot: files in → command → its output as it comes → files out.

use std::{
    ffi::OsString,
    fmt::Write as _,
    fs,
    io::{self, Read},
    os::unix::{
        fs::symlink,
        net::{UnixListener, UnixStream},
        process::ExitStatusExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError, SyncSender},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};

use super::{
    build,
    qemu::{Boot, Disk, PORTS},
    recipe::Suite,
};

/// What to run in the machine, and with what.
pub struct Machine {
    pub suite: Suite,
    pub memory_mib: u32,
    pub cpus: u32,
    /// For the command, from the moment the machine is up.
    pub timeout: Duration,
    /// Host path, and where it goes below `/in`, which is the command's folder.
    pub copy_in: Vec<(PathBuf, PathBuf)>,
    pub environment: Vec<(String, String)>,
    /// Where what the command leaves in `/out` goes.
    pub copy_out: Option<PathBuf>,
    pub disks: Vec<Disk>,
    pub power_cut: Option<PowerCut>,
}

/// The moment at which the machine loses power.
#[derive(Clone, Debug)]
pub enum PowerCut {
    /// So long after the command began.
    After(Duration),
    /// When the command prints this, on either stream.
    When(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The command's own exit status.
    Exited(i32),
    /// The power was cut as asked.
    PowerCut,
}

/// Which of the command's two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// Exit status of a program that a signal ended.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

enum Event {
    Output(Stream, Vec<u8>),
    Control(String),
    Qemu(io::Result<ExitStatus>),
}

/// It comes up in a minute; on a host that is busy, in several.
const BOOT_LIMIT: Duration = Duration::from_secs(600);

impl Machine {
    pub fn new(suite: Suite) -> Self {
        Machine {
            suite,
            memory_mib: 4096,
            cpus: 2,
            timeout: Duration::from_secs(30 * 60),
            copy_in: Vec::new(),
            environment: Vec::new(),
            copy_out: None,
            disks: Vec::new(),
            power_cut: None,
        }
    }

    /// Boots, runs the command and hands its output to `output` as it comes.
    pub fn run(
        &self,
        command: &[OsString],
        output: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<Outcome> {
        let image = build(self.suite)?;
        let interrupted = interrupts()?;
        let folder = self.prepare(&[("command", &self.script(command)?)])?;
        let serial = folder.path().join("serial.log");
        let boot = Boot {
            image: &image,
            folder: folder.path(),
            disks: &self.disks,
            memory_mib: self.memory_mib,
            cpus: self.cpus,
            shell: false,
        };
        let (send, events) = mpsc::sync_channel(256);
        let mut extractor = None;
        for port in PORTS {
            let listener = UnixListener::bind(folder.path().join(port))?;
            match (port, &self.copy_out) {
                ("ctl", _) => drop(thread::spawn({
                    let send = send.clone();
                    move || read_control(&listener, &send)
                })),
                ("results", Some(target)) => {
                    fs::create_dir_all(target)?;
                    let target = target.clone();
                    extractor = Some(thread::spawn(move || extract(&listener, &target)));
                }
                ("results", None) => drop(thread::spawn(move || {
                    listener
                        .accept()
                        .and_then(|(mut stream, _)| io::copy(&mut stream, &mut io::sink()))
                })),
                _ => {
                    let stream = if port == "stdout" {
                        Stream::Stdout
                    } else {
                        Stream::Stderr
                    };
                    let send = send.clone();
                    drop(thread::spawn(move || read_output(&listener, stream, &send)));
                }
            }
        }
        let child = boot
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start QEMU through setpriv")?;
        let mut qemu = Qemu(child);
        let complaint = qemu.0.stderr.take().map(|mut pipe| {
            thread::spawn(move || {
                let mut text = String::new();
                let _ = pipe.read_to_string(&mut text);
                text
            })
        });
        let ended = self.follow(&mut qemu, &events, &interrupted, output);
        qemu.kill();
        // Whoever still waits for a connection that never came gets one.
        for port in PORTS {
            drop(UnixStream::connect(folder.path().join(port)));
        }
        let complaint = complaint
            .and_then(|thread| thread.join().ok())
            .unwrap_or_default();
        match ended {
            Ok(outcome) => {
                if let (Some(thread), Outcome::Exited(_)) = (extractor, outcome) {
                    thread
                        .join()
                        .map_err(|_| anyhow!("the thread that unpacks results panicked"))??;
                }
                Ok(outcome)
            }
            Err(error) if error.is::<Interrupted>() => Err(error),
            Err(error) => Err(anyhow!(
                "{error:#}; the end of the machine's serial log:\n{}{complaint}",
                tail(&serial, 60)
            )),
        }
    }

    /// A login shell on the machine's console; Ctrl-A X ends the machine.
    pub fn shell(&self) -> Result<()> {
        let image = build(self.suite)?;
        let size = rustix::termios::tcgetwinsize(io::stdin())
            .map(|size| format!("rows {} cols {}", size.ws_row, size.ws_col))
            .unwrap_or_default();
        let folder = self.prepare(&[("shell", &size)])?;
        let interrupted = interrupts()?;
        let boot = Boot {
            image: &image,
            folder: folder.path(),
            disks: &self.disks,
            memory_mib: self.memory_mib,
            cpus: self.cpus,
            shell: true,
        };
        let mut qemu = Qemu(
            boot.command()
                .spawn()
                .context("cannot start QEMU through setpriv")?,
        );
        loop {
            if qemu.0.try_wait()?.is_some() {
                return Ok(());
            }
            if interrupted.load(Ordering::Relaxed) {
                bail!(Interrupted);
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn follow(
        &self,
        qemu: &mut Qemu,
        events: &mpsc::Receiver<Event>,
        interrupted: &AtomicBool,
        output: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<Outcome> {
        let started = Instant::now();
        let mut up = None;
        let mut status = None;
        let mut seen = Tail::default();
        loop {
            if interrupted.load(Ordering::Relaxed) {
                bail!(Interrupted);
            }
            let event = match events.recv_timeout(Duration::from_millis(50)) {
                Ok(event) => Some(event),
                Err(RecvTimeoutError::Timeout) => qemu.0.try_wait().transpose().map(Event::Qemu),
                Err(RecvTimeoutError::Disconnected) => Some(Event::Qemu(qemu.0.wait())),
            };
            match event {
                Some(Event::Output(stream, bytes)) => {
                    output(stream, &bytes);
                    if let Some(PowerCut::When(text)) = &self.power_cut {
                        if seen.contains(&bytes, text.as_bytes()) {
                            return Ok(Outcome::PowerCut);
                        }
                    }
                }
                Some(Event::Control(line)) => match line.split_once(' ') {
                    Some(("up", _)) => up = Some(Instant::now()),
                    Some(("exit", code)) => status = Some(code.trim().parse::<i32>()?),
                    _ => bail!("the machine reports: {line}"),
                },
                Some(Event::Qemu(ended)) => {
                    let ended = ended.context("cannot wait for QEMU")?;
                    return match (status, &self.power_cut) {
                        (Some(status), None) => Ok(Outcome::Exited(status)),
                        (Some(status), Some(_)) => {
                            bail!("the command ended with status {status} before the power was cut")
                        }
                        (None, _) => Err(anyhow!(
                            "the machine ended without an answer {} s after its start: it panicked or \
                             could not start ({})",
                            started.elapsed().as_secs(),
                            describe(ended),
                        )),
                    };
                }
                None => {}
            }
            match (up, &self.power_cut) {
                (None, _) if started.elapsed() > BOOT_LIMIT => {
                    bail!(
                        "the machine did not come up within {} s",
                        BOOT_LIMIT.as_secs()
                    )
                }
                (Some(up), Some(PowerCut::After(wait))) if up.elapsed() >= *wait => {
                    return Ok(Outcome::PowerCut);
                }
                (Some(up), _) if up.elapsed() > self.timeout => bail!(
                    "the command did not end within {} s (--timeout sets the limit)",
                    self.timeout.as_secs()
                ),
                _ => {}
            }
        }
    }

    /// A private folder with the tar that goes in.
    fn prepare(&self, control: &[(&str, &str)]) -> Result<tempfile::TempDir> {
        let folder = tempfile::Builder::new().prefix("zfs-vm-").tempdir()?;
        let stage = folder.path().join("in");
        fs::create_dir_all(stage.join(".vm"))?;
        for (name, text) in control {
            fs::write(stage.join(".vm").join(name), text)?;
        }
        for (source, target) in &self.copy_in {
            let source = fs::canonicalize(source)
                .with_context(|| format!("cannot copy in {}", source.display()))?;
            if target.is_absolute() {
                bail!(
                    "{} is absolute; a target stands below /in",
                    target.display()
                );
            }
            let target = stage.join(target);
            if let Some(parent) = target.parent() {
                fs::create_dir_all(parent)?;
            }
            symlink(source, target)?;
        }
        let status = Command::new("tar")
            .arg("-chf")
            .arg(folder.path().join("in.tar"))
            .arg("-C")
            .arg(&stage)
            .arg(".")
            .status()
            .context("cannot run tar")?;
        if !status.success() {
            bail!("tar could not pack what goes into the machine");
        }
        Ok(folder)
    }

    fn script(&self, command: &[OsString]) -> Result<String> {
        let mut script = String::new();
        for (name, value) in &self.environment {
            writeln!(script, "export {name}={}", quote(value))?;
        }
        script.push_str("exec");
        for word in command {
            let word = word.to_str().context("the command is not UTF-8")?;
            script.push(' ');
            script.push_str(&quote(word));
        }
        script.push('\n');
        Ok(script)
    }
}

/// QEMU, ended when it goes out of scope.
struct Qemu(Child);

impl Qemu {
    fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Finds a text that may be split over two pieces of output.
#[derive(Default)]
struct Tail(Vec<u8>);

impl Tail {
    fn contains(&mut self, bytes: &[u8], text: &[u8]) -> bool {
        self.0.extend_from_slice(bytes);
        let found = self
            .0
            .windows(text.len().max(1))
            .any(|window| window == text);
        // Short of one byte, so that nothing is found twice.
        let passed = (self.0.len() + 1).saturating_sub(text.len().max(1));
        self.0.drain(..passed);
        found
    }
}

fn interrupts() -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [
        signal_hook::consts::SIGINT,
        signal_hook::consts::SIGTERM,
        signal_hook::consts::SIGHUP,
    ] {
        signal_hook::flag::register(signal, Arc::clone(&flag))?;
    }
    Ok(flag)
}

fn read_output(listener: &UnixListener, stream: Stream, send: &SyncSender<Event>) {
    let Ok((mut socket, _)) = listener.accept() else {
        return;
    };
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = socket.read(&mut buffer) {
        if send
            .send(Event::Output(stream, buffer[..count].to_vec()))
            .is_err()
        {
            return;
        }
    }
}

fn read_control(listener: &UnixListener, send: &SyncSender<Event>) {
    let Ok((socket, _)) = listener.accept() else {
        return;
    };
    for line in io::BufRead::lines(io::BufReader::new(socket)) {
        let Ok(line) = line else { return };
        if send.send(Event::Control(line)).is_err() {
            return;
        }
    }
}

fn extract(listener: &UnixListener, target: &Path) -> Result<()> {
    let (mut socket, _) = listener.accept()?;
    let mut tar = Command::new("tar")
        .args(["-x", "--no-same-owner", "-C"])
        .arg(target)
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot run tar")?;
    if let Some(mut pipe) = tar.stdin.take() {
        match io::copy(&mut socket, &mut pipe) {
            // tar has all it wants at the archive's end mark; what pads it
            // after that may find nobody. Its exit status is what counts.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                io::copy(&mut socket, &mut io::sink())?;
            }
            copied => {
                copied.context("cannot take what came out of the machine")?;
            }
        }
    }
    if !tar.wait()?.success() {
        bail!(
            "tar could not unpack what came out of the machine into {}",
            target.display()
        );
    }
    Ok(())
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("QEMU's exit status {code}"),
        (None, Some(signal)) => format!("QEMU was ended by signal {signal}"),
        _ => "QEMU's exit status is unknown".to_owned(),
    }
}

fn tail(file: &Path, lines: usize) -> String {
    let bytes = fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    let mut end = all[all.len().saturating_sub(lines)..].join("\n");
    end.push('\n');
    end
}

fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_split_over_two_pieces_is_found() {
        let mut tail = Tail::default();
        assert!(!tail.contains(b"....REA", b"READY"));
        assert!(tail.contains(b"DY", b"READY"));
        assert!(!tail.contains(b"Y", b"READY"));
    }

    #[test]
    fn words_reach_the_guest_s_shell_as_they_are() {
        assert_eq!(quote("a'b $c"), "'a'\\''b $c'");
    }
}
