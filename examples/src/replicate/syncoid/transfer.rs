//! One stream, from zfs-send(8) to zfs-receive(8).

use std::num::NonZeroU64;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};

use zfs_replicate::endpoint::Compression;
use zfs_stream::token::ResumeToken;

use super::flow::Flow;
use super::{Arguments, Messages, Run};
use crate::replicate::arguments::words;
use crate::replicate::side::Side;

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
    /// Something that was to be sent is not on the source any more.
    Gone,
    /// With what was said.
    Badly(String),
}

/// Programs for the way between two systems.
#[derive(Clone, Debug, Default)]
pub(super) struct Programs {
    pub compress: Option<Compression>,
    pub limit: Option<NonZeroU64>,
    pub direct: Option<Direct>,
}

/// A connection without ssh.
#[derive(Clone, Debug)]
pub(super) struct Direct {
    pub connect: String,
    pub listen: String,
    pub timeout: u64,
    pub mbuffer: bool,
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
        let found = if let Some(found) = Compression::named(name) {
            found
        } else {
            if name != "default" {
                messages.warn(format!(
                    "Unrecognised compression value {name}, defaulting to lzo"
                ));
            }
            Compression::named("lzo")?
        };
        let program = found.compress().first()?;
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
        self.warn_of_plaintext(source, what);
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
            stopping: &self.stopping,
        };
        match flow.run(&send, &receive) {
            Ok(done) if done.status.success() => Ended::Well,
            Ok(done) => {
                let status = wait_status(Some(done.status));
                self.messages.critical(format!("{line} failed: {status}"));
                let resumes = matches!(what, Source::Token(_));
                if !resumes && done.sender_said.contains("does not exist") {
                    return Ended::Gone;
                }
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

    /// syncoid's form sends encrypted data decrypted, as syncoid does; ours says
    /// so, once for each dataset.
    fn warn_of_plaintext(&mut self, source: &str, what: &Source) {
        let is_encrypted = self
            .sources
            .get(source)
            .is_some_and(|listed| listed.is_encrypted);
        let is_raw = match what {
            Source::Token(token) => ResumeToken::decode(token).is_ok_and(|token| token.raw),
            _ => !words(&self.arguments.send_options, "w").is_empty(),
        };
        if is_encrypted && !is_raw && self.in_plain.insert(source.to_owned()) {
            self.messages.warn(format!(
                "{source} is encrypted, and is sent decrypted. To a new target --sendoptions=w \
                 sends it as it is, and so does --safe."
            ));
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
}
