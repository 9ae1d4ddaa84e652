//! Streams into and out of anything.
//!
//! ```text
//! pool -> Zfs::send (a thread) -> pipe -> copy -> any Write
//! any Read -> begin record -> copy -> pipe -> Zfs::receive (a thread) -> pool
//! ```
//!
//! The kernel has one end of a pipe of 1 MiB, whose size never changes, and
//! the caller's thread the other; the thread in between ends before the call
//! does. Whichever side fails closes its end, which ends the other side too:
//! the error that is returned is that of the side that failed by itself.

use std::fs::File;
use std::io::{self, ErrorKind as Io, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::{panic, thread};

use crate::begin::BeginRecord;
use crate::cancel::Cancel;
use crate::error::{Error, ErrorKind, Operation};
use crate::ffi::{self, Wait};
use crate::receive::{ReceiveRequest, Received};
use crate::send::{SendRequest, stream_pipe};
use crate::zfs::Zfs;

/// What is copied at once, in bytes: the largest write of the kernel and its
/// record fit, and the pipe holds several.
const PIECE: usize = 256 << 10;

/// Why copying ended early.
enum Stop {
    Cancelled,
    /// The caller's reader or writer.
    Theirs(io::Error),
    /// The pipe.
    Ours(io::Error),
}

impl Zfs {
    /// Writes a stream into anything that can be written to, and says how
    /// many bytes it was.
    ///
    /// `sink` is written to from this thread, and flushed at the end. After an
    /// error it has the beginning of a stream, which is no good by itself.
    ///
    /// # Errors
    ///
    /// As [`Zfs::send`], and [`Error::Io`] with what `sink` said, which ends
    /// the send.
    ///
    /// # Example
    ///
    /// ```no_run
    /// use zfs_core::{SendRequest, Zfs};
    ///
    /// let zfs = Zfs::open()?;
    /// let request = SendRequest::snapshot("tank/home@monday".parse()?);
    /// let file = std::fs::File::create("/backup/home.zfs").unwrap();
    /// println!("{} bytes", zfs.send_to(&request, &file)?);
    /// file.sync_all().unwrap();
    /// # Ok::<(), zfs_core::Error>(())
    /// ```
    pub fn send_to(&self, request: &SendRequest, sink: impl Write) -> Result<u64, Error> {
        let never = Cancel::new().map_err(|source| send_pipe_error(request, source))?;
        self.send_to_until(request, sink, &never)
    }

    /// As [`Zfs::send_to`], until another thread gives the word to stop.
    ///
    /// What waits for ZFS stops at once, and what waits for `sink` after that
    /// write; the call returns when the kernel has noticed, which it does at
    /// the next thing that it has to write.
    ///
    /// # Errors
    ///
    /// As [`Zfs::send_to`], and [`Error::Cancelled`].
    pub fn send_to_until(
        &self,
        request: &SendRequest,
        mut sink: impl Write,
        cancel: &Cancel,
    ) -> Result<u64, Error> {
        let (reader, writer) = stream_pipe().map_err(|source| send_pipe_error(request, source))?;
        let (copied, sent) = thread::scope(|scope| {
            let sender = thread::Builder::new()
                .name("zfs-send".into())
                .spawn_scoped(scope, move || self.send_into_pipe(request, writer.as_fd()))
                .map_err(|source| send_pipe_error(request, source))?;
            // The pipe's end goes with the call, and the sender with it.
            let copied = drain(reader, &mut sink, cancel);
            let sent = sender
                .join()
                .unwrap_or_else(|why| panic::resume_unwind(why));
            Ok::<_, Error>((copied, sent))
        })?;
        let name = request.name();
        let gave_up = matches!(&sent, Err(error) if error.is_interrupted());
        match (copied, sent) {
            (Err(Stop::Cancelled), _) => Err(Error::Cancelled {
                operation: Operation::Send,
                name: name.into(),
            }),
            (Err(Stop::Theirs(source)), sent) if sent.is_ok() || gave_up => Err(Error::Io {
                operation: Operation::Send,
                name: name.into(),
                what: "the stream cannot be written",
                source,
            }),
            (_, Err(error)) => Err(error),
            (Err(Stop::Theirs(source) | Stop::Ours(source)), Ok(())) => {
                Err(send_pipe_error(request, source))
            }
            (Ok(bytes), Ok(())) => Ok(bytes),
        }
    }

    /// Receives a stream from anything that can be read.
    ///
    /// `source` is read from this thread, in pieces: it should end where the
    /// stream does, since what follows is lost, and the call waits for its
    /// last read to return.
    ///
    /// # Errors
    ///
    /// As [`Zfs::receive`], and [`Error::Io`] with what `source` said, which
    /// ends the receive; what came before is kept if it is resumable.
    ///
    /// # Example
    ///
    /// ```no_run
    /// use zfs_core::{ReceiveRequest, Zfs};
    ///
    /// let zfs = Zfs::open()?;
    /// let stream = std::net::TcpStream::connect("backup.example:8023").unwrap();
    /// let request = ReceiveRequest::new("tank/home@monday".parse()?).resumable();
    /// println!("{} bytes", zfs.receive_from(&request, stream)?.bytes_read);
    /// # Ok::<(), zfs_core::Error>(())
    /// ```
    pub fn receive_from(
        &self,
        request: &ReceiveRequest,
        source: impl Read,
    ) -> Result<Received, Error> {
        let never = Cancel::new().map_err(|source| receive_pipe_error(request, source))?;
        self.receive_from_until(request, source, &never)
    }

    /// As [`Zfs::receive_from`], until another thread gives the word to stop.
    ///
    /// What waits for ZFS stops at once, and what waits for `source` when that
    /// read returns, which is at once as well where it is a
    /// [`Cancel::reader`]. ZFS then sees a stream that was cut off.
    ///
    /// # Errors
    ///
    /// As [`Zfs::receive_from`], and [`Error::Cancelled`].
    pub fn receive_from_until(
        &self,
        request: &ReceiveRequest,
        mut source: impl Read,
        cancel: &Cancel,
    ) -> Result<Received, Error> {
        let read;
        let begin = if let Some(begin) = request.begun() {
            begin
        } else {
            read = BeginRecord::read(&mut source).map_err(|error| {
                if cancel.is_cancelled() {
                    cancelled(request)
                } else {
                    request.stream_error(error)
                }
            })?;
            &read
        };
        // Refused before anything more is read.
        request.check_stream(begin)?;
        let (reader, writer) =
            stream_pipe().map_err(|source| receive_pipe_error(request, source))?;
        let (fed, received) = thread::scope(|scope| {
            let receiver = thread::Builder::new()
                .name("zfs-receive".into())
                .spawn_scoped(scope, move || {
                    self.receive_begun(request, begin, reader.as_fd())
                })
                .map_err(|source| receive_pipe_error(request, source))?;
            let fed = feed(&mut source, writer, cancel);
            let received = receiver
                .join()
                .unwrap_or_else(|why| panic::resume_unwind(why));
            Ok::<_, Error>((fed, received))
        })?;
        let name = request.name();
        let cut_off = matches!(
            received.as_ref().map_err(Error::kind),
            Err(ErrorKind::StreamTruncated | ErrorKind::BadStream | ErrorKind::Interrupted)
        );
        match (fed, received) {
            // It was whole before the rest went wrong.
            (_, Ok(received)) => Ok(received),
            (Err(Stop::Cancelled), Err(_)) => Err(cancelled(request)),
            (Err(Stop::Theirs(_)), Err(_)) if cancel.is_cancelled() => Err(cancelled(request)),
            (Err(Stop::Theirs(source)), Err(_)) if cut_off => Err(Error::Io {
                operation: Operation::Receive,
                name: name.into(),
                what: "the stream cannot be read",
                source,
            }),
            (Err(Stop::Ours(source)), Err(_)) if cut_off => {
                Err(receive_pipe_error(request, source))
            }
            (_, Err(error)) => Err(error),
        }
    }
}

/// From the pipe to the writer, to the stream's end.
fn drain(reader: OwnedFd, sink: &mut impl Write, cancel: &Cancel) -> Result<u64, Stop> {
    let mut pipe = File::from(reader);
    let mut piece = vec![0; PIECE];
    let mut bytes = 0;
    loop {
        if !ffi::wait(pipe.as_fd(), Wait::Read, cancel.end()).map_err(Stop::Ours)? {
            return Err(Stop::Cancelled);
        }
        let count = match pipe.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == Io::Interrupted => continue,
            Err(error) => return Err(Stop::Ours(error)),
        };
        sink.write_all(piece.get(..count).unwrap_or_default())
            .map_err(Stop::Theirs)?;
        bytes += count as u64;
    }
    sink.flush().map_err(Stop::Theirs)?;
    Ok(bytes)
}

/// From the reader into the pipe, to the reader's end or as long as somebody
/// reads from the pipe.
fn feed(source: &mut impl Read, writer: OwnedFd, cancel: &Cancel) -> Result<(), Stop> {
    ffi::set_nonblocking(writer.as_fd()).map_err(Stop::Ours)?;
    let mut pipe = File::from(writer);
    let mut piece = vec![0; PIECE];
    loop {
        if cancel.is_cancelled() {
            return Err(Stop::Cancelled);
        }
        let count = match source.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == Io::Interrupted => continue,
            Err(error) => return Err(Stop::Theirs(error)),
        };
        let mut rest = piece.get(..count).unwrap_or_default();
        while !rest.is_empty() {
            match ffi::undisturbed(|| pipe.write(rest)) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == Io::Interrupted => {}
                Err(error) if error.kind() == Io::BrokenPipe => return Ok(()),
                Err(error) if error.kind() == Io::WouldBlock => {
                    if !ffi::wait(pipe.as_fd(), Wait::Write, cancel.end()).map_err(Stop::Ours)? {
                        return Err(Stop::Cancelled);
                    }
                }
                Err(error) => return Err(Stop::Ours(error)),
            }
        }
    }
}

fn cancelled(request: &ReceiveRequest) -> Error {
    Error::Cancelled {
        operation: Operation::Receive,
        name: request.name().into(),
    }
}

fn send_pipe_error(request: &SendRequest, source: io::Error) -> Error {
    Error::Io {
        operation: Operation::Send,
        name: request.name().into(),
        what: "the pipe and the thread between ZFS and the writer",
        source,
    }
}

fn receive_pipe_error(request: &ReceiveRequest, source: io::Error) -> Error {
    Error::Io {
        operation: Operation::Receive,
        name: request.name().into(),
        what: "the pipe and the thread between the reader and ZFS",
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A writer that takes so many bytes and then fails.
    struct Short(usize);

    impl Write for Short {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::Error::other("no more"));
            }
            let count = bytes.len().min(self.0);
            self.0 -= count;
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn all_bytes_come_through_both_ways() {
        let content: Vec<u8> = (0..3 << 20).map(|number: u32| number as u8).collect();
        let (reader, writer) = stream_pipe().unwrap();
        let cancel = Cancel::new().unwrap();
        thread::scope(|scope| {
            let feeder = scope.spawn(|| feed(&mut &content[..], writer, &cancel));
            let mut out = Vec::new();
            let bytes = drain(reader, &mut out, &cancel).ok().unwrap();
            assert!(feeder.join().unwrap().is_ok());
            assert_eq!(bytes, content.len() as u64);
            assert!(out == content);
        });
    }

    #[test]
    fn a_writer_s_error_ends_the_copy_and_closes_the_pipe() {
        let (reader, writer) = stream_pipe().unwrap();
        let cancel = Cancel::new().unwrap();
        thread::scope(|scope| {
            let content = vec![1; 4 << 20];
            let cancel = &cancel;
            let feeder = scope.spawn(move || feed(&mut &content[..], writer, cancel));
            let stop = drain(reader, &mut Short(100_000), cancel);
            assert!(matches!(stop, Err(Stop::Theirs(error)) if error.to_string() == "no more"));
            // Nobody reads any more, which is no error of the reader.
            assert!(feeder.join().unwrap().is_ok());
        });
    }

    #[test]
    fn the_word_to_stop_wakes_both_sides() {
        let (_unread, writer) = stream_pipe().unwrap();
        let (reader, _unwritten) = stream_pipe().unwrap();
        let cancel = Cancel::new().unwrap();
        thread::scope(|scope| {
            let feeder = scope.spawn(|| feed(&mut io::repeat(1), writer, &cancel));
            let drainer = scope.spawn(|| drain(reader, &mut io::sink(), &cancel));
            cancel.cancel();
            assert!(matches!(feeder.join().unwrap(), Err(Stop::Cancelled)));
            assert!(matches!(drainer.join().unwrap(), Err(Stop::Cancelled)));
        });
    }
}
