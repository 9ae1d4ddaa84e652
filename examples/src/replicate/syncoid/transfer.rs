//! One stream, from zfs-send(8) to zfs-receive(8).
//!
//! ```text
//! here:  zfs send -> pipe of 1 MiB -> zfs receive
//! away:  zfs send -> [ compress ] -> [ rate ] -> ssh -> [ decompress ] -> zfs receive
//! ```

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use zfs_stream::stage::{Limit, RateReader};

use super::{Arguments, Messages, Run};
use crate::replicate::arguments::words;
use crate::replicate::side::Side;

/// The most of what a command says that is kept.
const MAX_SAID_BYTES: usize = 64 << 10;

/// What is sent.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// A snapshot.
    Full(String),
    /// What changed from one snapshot to another.
    Increment {
        /// With every snapshot between (`-I`), or without (`-i`).
        through: bool,
        from: String,
        to: String,
    },
    /// What changed since a bookmark.
    Bookmark { from: String, to: String },
    /// The rest of an interrupted stream.
    Token(String),
}

impl Source {
    fn words(&self) -> Vec<String> {
        match self {
            Source::Full(snapshot) => vec![snapshot.clone()],
            Source::Increment { through, from, to } => {
                let how = if *through { "-I" } else { "-i" };
                vec![how.to_owned(), from.clone(), to.clone()]
            }
            Source::Bookmark { from, to } => vec!["-i".to_owned(), from.clone(), to.clone()],
            Source::Token(token) => vec!["-t".to_owned(), token.clone()],
        }
    }

    /// Which of `--sendoptions` are passed on.
    fn letters(&self) -> &'static str {
        match self {
            Source::Token(_) => "PVev",
            Source::Bookmark { .. } => "LVcew",
            Source::Full(_) | Source::Increment { .. } => "LPVRXbcehpsvw",
        }
    }
}

/// How a transfer ended.
pub(super) enum Ended {
    Well,
    /// Something else is received there.
    Busy,
    /// With what was said.
    Badly(String),
}

/// Programs for the way between two systems.
#[derive(Clone, Debug, Default)]
pub(super) struct Programs {
    compress: Option<Compression>,
    limit: Option<NonZeroU64>,
    direct: Option<Direct>,
}

#[derive(Clone, Copy, Debug)]
struct Compression {
    compress: &'static [&'static str],
    decompress: &'static [&'static str],
}

/// A connection without ssh.
#[derive(Clone, Debug)]
struct Direct {
    connect: String,
    listen: String,
    timeout: u64,
    mbuffer: bool,
}

/// syncoid's names for what compresses.
fn compression(name: &str) -> Option<Compression> {
    let (compress, decompress): (&'static [&'static str], &'static [&'static str]) = match name {
        "gzip" => (&["gzip", "-3"], &["zcat"]),
        "pigz-fast" => (&["pigz", "-3"], &["pigz", "-dc"]),
        "pigz-slow" => (&["pigz", "-9"], &["pigz", "-dc"]),
        "zstd-fast" => (&["zstd", "-3"], &["zstd", "-dc"]),
        "zstdmt-fast" => (&["zstdmt", "-3"], &["zstdmt", "-dc"]),
        "zstd-slow" => (&["zstd", "-19"], &["zstd", "-dc"]),
        "zstdmt-slow" => (&["zstdmt", "-19"], &["zstdmt", "-dc"]),
        "xz" => (&["xz"], &["xz", "-d"]),
        "lzo" => (&["lzop"], &["lzop", "-dfc"]),
        "lz4" => (&["lz4"], &["lz4", "-dc"]),
        _ => return None,
    };
    Some(Compression {
        compress,
        decompress,
    })
}

impl Programs {
    pub fn find(
        arguments: &Arguments,
        messages: Messages,
        source: &Side,
        target: &Side,
    ) -> Programs {
        let limits = [&arguments.source_bwlimit, &arguments.target_bwlimit];
        let limits = limits.into_iter().flatten().filter_map(|limit| rate(limit));
        Programs {
            compress: Programs::compression(arguments, messages, source, target),
            limit: limits.min(),
            direct: arguments.insecure_direct_connection.as_deref().map(direct),
        }
    }

    fn compression(
        arguments: &Arguments,
        messages: Messages,
        source: &Side,
        target: &Side,
    ) -> Option<Compression> {
        let name = arguments.compress.as_deref().unwrap_or("default");
        if name == "none" {
            messages.debug("compression forced off from command line arguments.");
            return None;
        }
        let found = if let Some(found) = compression(name) {
            found
        } else {
            if name != "default" {
                messages.warn(format!(
                    "Unrecognised compression value {name}, defaulting to lzo"
                ));
            }
            compression("lzo")?
        };
        let program = found.compress.first()?;
        let mut everywhere = true;
        for (side, what) in [(source, "source"), (target, "target")] {
            if !has(side, program) {
                let place = if side.is_local() {
                    "[local machine]".to_owned()
                } else {
                    format!("ssh:{}", side.host.rsplit('@').next().unwrap_or_default())
                };
                messages.warn(format!(
                    "{program} not available on {what} {place} - sync will continue without \
                     compression."
                ));
                everywhere = false;
            }
        }
        let away = !source.is_local() || !target.is_local();
        (everywhere && away).then_some(found)
    }
}

fn has(side: &Side, program: &str) -> bool {
    if side.is_local() {
        let path = std::env::var_os("PATH").unwrap_or_default();
        return std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    }
    let check = side
        .shell(&format!("command -v {program}"))
        .stdin(Stdio::null())
        .output();
    check.is_ok_and(|output| output.status.success())
}

/// mbuffer's rates: a number with k, m, g or t behind it.
pub fn rate(text: &str) -> Option<NonZeroU64> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text.get(digits.len()..)?.chars().next() {
        None | Some('b' | 'B') => 0,
        Some('k' | 'K') => 10,
        Some('m' | 'M') => 20,
        Some('g' | 'G') => 30,
        Some('t' | 'T') => 40,
        _ => return None,
    };
    let number: f64 = digits.parse().ok()?;
    NonZeroU64::new((number * (1_u64 << shift) as f64) as u64)
}

/// `IP:PORT[,IP:PORT[,TIMEOUT[,mbuffer]]]`
fn direct(text: &str) -> Direct {
    let parts: Vec<&str> = text.split(',').collect();
    let connect = parts.first().copied().unwrap_or_default().to_owned();
    Direct {
        listen: parts
            .get(1)
            .map_or_else(|| connect.clone(), |part| (*part).to_owned()),
        connect,
        timeout: parts
            .get(2)
            .and_then(|part| part.parse().ok())
            .unwrap_or(60),
        mbuffer: parts.get(3) == Some(&"mbuffer"),
    }
}

/// The number that a shell script would see of it in perl.
pub(super) fn wait_status(status: Option<ExitStatus>) -> i32 {
    status.map_or(-1, ExitStatusExt::into_raw)
}

/// Properties that are never taken over with `--preserve-properties`.
const NOT_PRESERVED: &[&str] = &[
    "available",
    "compressratio",
    "createtxg",
    "creation",
    "clones",
    "defer_destroy",
    "encryptionroot",
    "filesystem_count",
    "keystatus",
    "guid",
    "logicalreferenced",
    "logicalused",
    "mounted",
    "objsetid",
    "origin",
    "receive_resume_token",
    "redact_snaps",
    "referenced",
    "refcompressratio",
    "snapshot_count",
    "type",
    "used",
    "usedbychildren",
    "usedbydataset",
    "usedbyrefreservation",
    "usedbysnapshots",
    "userrefs",
    "snapshots_changed",
    "volblocksize",
    "written",
    "version",
    "volsize",
    "casesensitivity",
    "normalization",
    "utf8only",
    "encryption",
];

impl Run {
    /// How large a stream will be, at least 4096; 0 where that is unknown.
    pub(super) fn size(&self, source: &Source) -> u64 {
        let options = &self.arguments.send_options;
        let letters = match source {
            Source::Token(_) => "Ve",
            _ => "LVRXbcehpsw",
        };
        let mut arguments = vec!["send".to_owned()];
        arguments.extend(words(options, letters));
        arguments.push("-nvP".to_owned());
        arguments.extend(source.words());
        let Ok(output) = self.source.run(&arguments) else {
            return 0;
        };
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let size = text
            .lines()
            .rev()
            .find_map(|line| line.split('\t').next_back()?.parse().ok());
        match size {
            Some(size) if output.status.success() => u64::max(size, 4096),
            _ => 0,
        }
    }

    pub(super) fn transfer(
        &mut self,
        source: &str,
        target: &str,
        what: &Source,
        size: u64,
    ) -> Ended {
        let mut send = vec!["send".to_owned()];
        send.extend(words(&self.arguments.send_options, what.letters()));
        send.extend(what.words());
        let mut receive = vec!["receive".to_owned()];
        receive.extend(words(&self.arguments.recv_options, "houvx"));
        if self.resume {
            receive.push("-s".to_owned());
        }
        if !self.arguments.no_rollback {
            receive.push("-F".to_owned());
        }
        receive.extend(self.preserved(source));
        receive.push(target.to_owned());
        let line = format!(
            "{} | {}",
            self.source.zfs_line(&send),
            self.target.zfs_line(&receive)
        );
        if self.arguments.dry_run {
            self.messages.info(format!("would run: {line}"));
            return Ended::Well;
        }
        self.messages.debug(&line);
        if self.is_busy(target) {
            return Ended::Busy;
        }
        let flow = Flow {
            source: &self.source,
            target: &self.target,
            programs: &self.programs,
        };
        match flow.run(&send, &receive) {
            Ok(done) if done.status.success() => Ended::Well,
            Ok(done) => {
                let status = wait_status(Some(done.status));
                self.messages.critical(format!("{line} failed: {status}"));
                // Where the size is unknown syncoid listens to the sender.
                Ended::Badly(if size == 0 {
                    done.sender_said
                } else {
                    done.receiver_said
                })
            }
            Err(error) => {
                self.messages.critical(format!("{line} failed: {error}"));
                Ended::Badly(String::new())
            }
        }
    }

    /// Options that give the target's dataset what the source's has.
    fn preserved(&mut self, source: &str) -> Vec<String> {
        let mut options = Vec::new();
        if self.arguments.preserve_properties {
            let get = ["get", "-s", "local", "-H", "all", source];
            let text = match self.source.run(&get) {
                Ok(output) if output.status.success() => output.stdout,
                _ => {
                    eprintln!("WARNING: getlocalzfsvalues failed for {source}");
                    self.raise(super::Severity::Warning);
                    return options;
                }
            };
            for line in String::from_utf8_lossy(&text).lines() {
                let columns: Vec<&str> = line.split('\t').collect();
                let [_, name, value, ..] = columns.as_slice() else {
                    continue;
                };
                if !NOT_PRESERVED.contains(name) {
                    self.messages
                        .debug(format!("will set {name} to {value} ..."));
                    options.extend(["-o".to_owned(), format!("{name}={value}")]);
                }
            }
        } else if self.arguments.preserve_recordsize {
            let listed = self.sources.get(source);
            if listed.is_some_and(|listed| listed.is_filesystem) {
                let get = ["get", "-H", "-o", "value", "recordsize", source];
                if let Ok(output) = self.source.run(&get) {
                    let value = String::from_utf8_lossy(&output.stdout);
                    options.extend(["-o".to_owned(), format!("recordsize={}", value.trim())]);
                }
            }
        }
        options
    }
}

/// Both ends of a transfer that is going on.
struct Flow<'a> {
    source: &'a Side,
    target: &'a Side,
    programs: &'a Programs,
}

/// A transfer that is over.
struct Done {
    /// The receiver's.
    status: ExitStatus,
    sender_said: String,
    receiver_said: String,
}

impl Flow<'_> {
    fn run(&self, send: &[String], receive: &[String]) -> io::Result<Done> {
        let mut children = Children::default();
        let listener = match &self.programs.direct {
            Some(direct) if !self.source.is_local() && !direct.mbuffer => {
                Some(TcpListener::bind(&direct.listen)?)
            }
            _ => None,
        };
        let from = self.sender(send, &mut children)?;
        let needs_pump = self.programs.limit.is_some() || self.programs.direct.is_some();
        let receiver = if needs_pump {
            let (receiver, stdin) = self.receiver(receive, Stdio::piped())?;
            if let Some(stdin) = stdin {
                self.pump(from, stdin, listener)?;
            }
            receiver
        } else {
            self.receiver(receive, Stdio::from(from))?.0
        };
        children.wait(receiver)
    }

    /// Starts what sends, and gives what comes out of it.
    fn sender(&self, send: &[String], children: &mut Children) -> io::Result<OwnedFd> {
        let (reader, writer) = zfs_core::stream_pipe()?;
        let compress = self.programs.compress.map(|found| found.compress);
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
        let decompress = self.programs.compress.map(|found| found.decompress);
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
        let mut child = command.spawn()?;
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
    fn pump(&self, from: OwnedFd, to: File, listener: Option<TcpListener>) -> io::Result<()> {
        let limit = Limit::new(self.programs.limit);
        if let Some(listener) = listener {
            // What ssh says besides is nothing; the stream comes in there.
            drop(from);
            let (stream, _) = listener.accept()?;
            copy(RateReader::new(stream, limit), to);
        } else if let (Some(direct), false) = (&self.programs.direct, self.target.is_local()) {
            let stream = connect(&direct.connect, Duration::from_secs(direct.timeout))?;
            drop(to);
            copy(RateReader::new(File::from(from), limit), stream);
        } else {
            copy(RateReader::new(File::from(from), limit), to);
        }
        Ok(())
    }
}

fn connect(address: &str, timeout: Duration) -> io::Result<TcpStream> {
    let until = Instant::now() + timeout;
    loop {
        match TcpStream::connect(address) {
            Err(error) if Instant::now() >= until => return Err(error),
            Err(_) => thread::sleep(Duration::from_secs(1)),
            Ok(stream) => return Ok(stream),
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

fn filter(program: &[&str], from: OwnedFd, children: &mut Children) -> io::Result<OwnedFd> {
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
#[derive(Default)]
struct Children {
    running: Vec<(Child, Option<Said>)>,
}

impl Children {
    fn start(&mut self, mut command: Command) -> io::Result<()> {
        let mut child = command.stderr(Stdio::piped()).spawn()?;
        let said = child.stderr.take().map(|pipe| listen(pipe, To::Stderr));
        self.running.push((child, said));
        Ok(())
    }

    fn wait(mut self, mut receiver: Receiver) -> io::Result<Done> {
        let status = receiver.child.wait()?;
        let mut sender_said = String::new();
        for (mut child, said) in self.running.drain(..) {
            child.wait()?;
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

impl Drop for Children {
    fn drop(&mut self) {
        // Only where something could not be started: what runs already must
        // not go on alone.
        for (child, _) in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_mbuffers() {
        let bytes = |text: &str| rate(text).map(NonZeroU64::get);
        assert_eq!(bytes("10k"), Some(10 << 10));
        assert_eq!(bytes("1.5M"), Some(3 << 19));
        assert_eq!(bytes("2g"), Some(2 << 30));
        assert_eq!(bytes("100"), Some(100));
        assert_eq!(bytes("fast"), None);
    }

    #[test]
    fn direct_connections_are_read_as_syncoid_reads_them() {
        let one = direct("10.0.0.1:9");
        assert_eq!(
            (one.connect.as_str(), one.listen.as_str(), one.timeout),
            ("10.0.0.1:9", "10.0.0.1:9", 60)
        );
        let four = direct("a:1,b:2,5,mbuffer");
        assert_eq!(
            (four.listen.as_str(), four.timeout, four.mbuffer),
            ("b:2", 5, true)
        );
    }

    #[test]
    fn every_compression_of_syncoid_is_known() {
        for name in [
            "gzip",
            "pigz-fast",
            "pigz-slow",
            "zstd-fast",
            "zstdmt-fast",
            "zstd-slow",
            "zstdmt-slow",
            "lz4",
            "xz",
            "lzo",
        ] {
            assert!(compression(name).is_some(), "{name}");
        }
    }
}
