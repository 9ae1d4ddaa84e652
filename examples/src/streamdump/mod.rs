//! zfs-streamdump's parts: where streams come from, and how what is in them is
//! shown.

pub mod chain;
pub mod change;
pub mod dump;
pub mod nvlist;
pub mod records;
pub mod report;

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::AsFd;
use std::path::Path;

use zfs_stream::source::{InOrder, StreamFile};

/// A stream where it comes from.
pub enum Source {
    /// A file, which can be read from any place.
    File(StreamFile),
    /// What is read as it comes.
    Pipe(File),
}

impl Source {
    /// Opens a stream; `-` is standard input, which may be a file as well, but
    /// also one of which a part was read already.
    pub fn open(path: &Path) -> io::Result<Source> {
        let file = if path == Path::new("-") {
            stdin()?
        } else {
            File::open(path)?
        };
        if file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let again = file.try_clone()?;
        Ok(match StreamFile::new(file) {
            Ok(file) if at_start(&again) => Source::File(file),
            _ => Source::Pipe(again),
        })
    }

    /// From the beginning to the end.
    pub fn reader(self) -> Box<dyn Read> {
        match self {
            Source::File(file) => Box::new(InOrder::new(file)),
            Source::Pipe(pipe) => Box::new(pipe),
        }
    }
}

fn at_start(mut file: &File) -> bool {
    file.stream_position().is_ok_and(|position| position == 0)
}

/// Standard input without the buffer that the library puts before it: readers
/// of streams have a better one.
pub fn stdin() -> io::Result<File> {
    Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

/// Standard output, likewise.
pub fn stdout() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}
