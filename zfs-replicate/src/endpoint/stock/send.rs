//! Streams that the other end sends: those of a range by one command.
//!
//! ```text
//! zfs send -i BASE FIRST && zfs send -I FIRST LAST -> ssh -> split -> a pipe for each stream
//! ```

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::BorrowedFd;
use std::process::{Child, Stdio};
use std::sync::PoisonError;

use zfs_stream::token::ResumeToken;

use super::compression::Compression;
use super::remote::Process;
use super::split::{Broken, Splitter};
use super::{Stock, filter, remote};
use crate::endpoint::Sending;
use crate::error::Error;
use crate::plan::{Base, Range, Stream};
use crate::tree::StreamForm;

/// The longest command: a system takes 128 KiB in one word, and ssh makes one
/// of everything.
pub(super) const MAX_COMMAND_BYTES: usize = 64 << 10;

/// What the shell says about the end of a send whose status is hidden behind
/// that of what compresses it.
const SEND_ENDED: &str = "zfs-replicate: send ended";

/// A command, and how many streams it writes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub command: String,
    pub streams: usize,
}

/// The streams of a range.
pub(super) struct Senders<'a> {
    stock: &'a Stock,
    batches: VecDeque<Batch>,
    form: StreamForm,
    running: Option<Running<'a>>,
}

struct Running<'a> {
    batch: Batch,
    process: Process<'a>,
    decompress: Option<Child>,
    streams: Splitter<Box<dyn Read + Send>>,
    compressed: bool,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(child) = &mut self.decompress {
            // It has ended already unless something went wrong.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl<'a> Senders<'a> {
    pub fn of_range(stock: &'a Stock, range: &Range) -> Result<Senders<'a>, Error> {
        Ok(Senders {
            stock,
            batches: batches(stock, &commands(stock, range)?),
            form: range.form,
            running: None,
        })
    }

    pub fn of_one(stock: &'a Stock, stream: &Stream) -> Result<Senders<'a>, Error> {
        let command = one(stock, stream)?;
        Ok(Senders {
            stock,
            batches: batches(stock, &[(command, 1)]),
            form: stream.form,
            running: None,
        })
    }

    fn start(&self, batch: Batch) -> Result<Running<'a>, Error> {
        let transport = &*self.stock.transport;
        let compression = self.stock.compression(self.form.raw, self.form.compressed);
        let line = compressed(&batch.command, compression);
        let process = remote::start(transport, &line, Stdio::null(), Stdio::piped())?;
        let mut running = Running {
            batch,
            streams: Splitter::new(Box::new(io::empty())),
            process,
            decompress: None,
            compressed: compression.is_some(),
        };
        let Some(stdout) = running.process.stdout() else {
            return Ok(running);
        };
        running.streams = match compression {
            None => Splitter::new(Box::new(stdout)),
            Some(compression) => {
                let stdin = Stdio::from(stdout);
                let started = filter(compression.decompress(), stdin, Stdio::piped());
                let mut decompress = started.map_err(|error| {
                    remote::failed_to_run(transport, &running.batch.command, &error)
                })?;
                let stdout = decompress.stdout.take();
                running.decompress = Some(decompress);
                match stdout {
                    Some(stdout) => Splitter::new(Box::new(stdout)),
                    None => return Ok(running),
                }
            }
        };
        Ok(running)
    }

    /// How a command ended that has nothing more to say.
    fn ended(&self, mut running: Running<'_>) -> Result<(), Error> {
        let transport = &*self.stock.transport;
        let command = running.batch.command.clone();
        let failed = |error: io::Error| remote::failed_to_run(transport, &command, &error);
        // Nobody reads it any more.
        running.streams = Splitter::new(Box::new(io::empty()));
        let (status, said) = running.process.end().map_err(failed)?;
        let (said, sent) = if running.compressed {
            without_end(&said)
        } else {
            (said, true)
        };
        if !status.success() || !sent {
            return Err(remote::refused(transport, &command, status, &said));
        }
        match running.decompress.as_mut().map(Child::wait).transpose() {
            Ok(Some(status)) if !status.success() => Err(failed(io::Error::other(format!(
                "what came cannot be decompressed ({status})"
            )))),
            Err(error) => Err(failed(error)),
            _ => Ok(()),
        }
    }

    /// What became of a stream that did not come through.
    fn broken(&self, running: Running<'_>, stream: &Stream, broken: Broken) -> Error {
        let snapshot = stream.to.name.clone();
        match broken {
            Broken::NobodyReads => Error::NobodyReads { snapshot },
            Broken::Read(source) => Error::Pipe { snapshot, source },
            Broken::Nonsense(problem) => self.nonsense(&running.batch.command, problem),
            Broken::CutOff => {
                let command = running.batch.command.clone();
                match self.ended(running) {
                    Err(error) => error,
                    Ok(()) => self.nonsense(&command, "what it sends has no end"),
                }
            }
        }
    }

    fn nonsense(&self, command: &str, problem: &str) -> Error {
        Error::Remote {
            host: self.stock.transport.host().to_owned(),
            command: command.to_owned(),
            problem: problem.to_owned(),
        }
    }
}

impl Sending for Senders<'_> {
    fn send(&mut self, stream: &Stream, pipe: BorrowedFd<'_>) -> Result<(), Error> {
        let pipe = pipe.try_clone_to_owned().map_err(|source| Error::Pipe {
            snapshot: stream.to.name.clone(),
            source,
        })?;
        let mut running = match self.running.take() {
            Some(running) => running,
            None => match self.batches.pop_front() {
                Some(batch) => self.start(batch)?,
                None => return Err(self.nonsense("zfs send", "there are no more streams")),
            },
        };
        let head = match running.streams.begin() {
            Ok(Some(head)) => head,
            Ok(None) => return Err(self.broken(running, stream, Broken::CutOff)),
            Err(broken) => return Err(self.broken(running, stream, broken)),
        };
        if head.to_guid != stream.to.guid {
            return Err(Error::Destroyed {
                snapshot: stream.to.name.clone(),
            });
        }
        let sent = || {
            self.stock
                .sent
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        let copied = running.streams.copy(&head, File::from(pipe), |bytes| {
            sent().insert(stream.to.guid, bytes);
        });
        sent().remove(&stream.to.guid);
        if let Err(broken) = copied {
            return Err(self.broken(running, stream, broken));
        }
        running.batch.streams = running.batch.streams.saturating_sub(1);
        if running.batch.streams > 0 {
            self.running = Some(running);
            return Ok(());
        }
        // A package has an end of its own.
        match running.streams.begin() {
            Ok(None) => self.ended(running),
            Ok(Some(_)) => Err(self.nonsense(
                &running.batch.command,
                "it sends more than what was asked for",
            )),
            Err(broken) => Err(self.broken(running, stream, broken)),
        }
    }
}

fn compressed(command: &str, compression: Option<Compression>) -> String {
    match compression {
        None => command.to_owned(),
        Some(compression) => {
            let compress = compression.compress().join(" ");
            format!("{{ {command}; printf '{SEND_ENDED} %s\\n' $? >&2; }} | {compress}")
        }
    }
}

/// What was said besides how the send ended, and whether that was well.
fn without_end(said: &str) -> (String, bool) {
    let end = |line: &&str| line.starts_with(SEND_ENDED);
    let sent = said
        .lines()
        .filter(end)
        .any(|line| line.strip_prefix(SEND_ENDED).map(str::trim) == Some("0"));
    let rest: Vec<&str> = said.lines().filter(|line| !end(line)).collect();
    (rest.join("\n"), sent)
}

/// Joins commands, as many as one may be long.
fn batches(stock: &Stock, commands: &[(Vec<String>, usize)]) -> VecDeque<Batch> {
    let mut batches: VecDeque<Batch> = VecDeque::new();
    for (arguments, streams) in commands {
        let command = stock.zfs(arguments.iter().map(String::as_str));
        match batches.back_mut() {
            Some(last) if last.command.len() + command.len() < MAX_COMMAND_BYTES => {
                last.command.push_str(" && ");
                last.command.push_str(&command);
                last.streams += streams;
            }
            _ => batches.push_back(Batch {
                command,
                streams: *streams,
            }),
        }
    }
    batches
}

/// The commands for a range, and how many streams each writes.
///
/// `zfs send -I` sends every snapshot between its two, so it is used for those
/// runs in which all of them are wanted; and it begins with a snapshot of the
/// same dataset, so what begins with a bookmark, with the origin of a clone or
/// with nothing is sent by itself.
pub(super) fn commands(stock: &Stock, range: &Range) -> Result<Vec<(Vec<String>, usize)>, Error> {
    let streams: Vec<Stream> = range.streams().collect();
    let mut commands = Vec::new();
    let mut rest = streams.as_slice();
    while let Some((first, after)) = rest.split_first() {
        let joins = |stream: &Stream| {
            stream.resume.is_none()
                && stream.origin.is_none()
                && matches!(stream.from, Some(Base::Snapshot { .. }))
                && !range.skips_before(stream.to.guid)
        };
        let length = 1 + if joins(first) {
            after.iter().take_while(|stream| joins(stream)).count()
        } else {
            0
        };
        let (run, others) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        match (&first.from, run.last()) {
            (Some(from), Some(last)) if length > 1 => {
                let mut arguments = vec!["send".to_owned()];
                arguments.extend(flags(first.form));
                arguments.extend(["-I".into(), from.as_str().into(), last.to.name.to_string()]);
                commands.push((arguments, length));
            }
            _ => commands.push((one(stock, first)?, 1)),
        }
        rest = others;
    }
    Ok(commands)
}

/// The arguments of a `zfs send` of one stream.
fn one(stock: &Stock, stream: &Stream) -> Result<Vec<String>, Error> {
    let mut arguments: Vec<String> = vec!["send".into()];
    if let Some(point) = &stream.resume {
        let token = ResumeToken {
            to_guid: point.to_guid.0,
            // Where the source has it now, not where the target says.
            to_name: stream.to.name.to_string(),
            from_guid: point.from_guid.map(|guid| guid.0),
            object: point.object,
            offset: point.offset,
            bytes: point.bytes,
            large_block: point.form.large_blocks,
            embed: point.form.embedded,
            compress: point.form.compressed,
            raw: point.form.raw,
            ..ResumeToken::default()
        };
        let token = token
            .encode()
            .map_err(|error| stock.malformed(stream.to.name.as_str(), &error))?;
        arguments.extend(["-t".into(), token]);
        return Ok(arguments);
    }
    arguments.extend(flags(stream.form));
    if let Some(base) = &stream.from {
        arguments.extend(["-i".into(), base.as_str().into()]);
    }
    arguments.push(stream.to.name.to_string());
    Ok(arguments)
}

fn flags(form: StreamForm) -> impl Iterator<Item = String> {
    let flags = [
        (form.raw, "-w"),
        (form.large_blocks, "-L"),
        (form.compressed, "-c"),
        (form.embedded, "-e"),
    ];
    flags
        .into_iter()
        .filter(|(given, _)| *given)
        .map(|(_, flag)| flag.to_owned())
}
