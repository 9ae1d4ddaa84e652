//! zfs-streamdump's parts: where streams come from, and how what is in them is
//! shown.

pub mod change;
pub mod dump;
pub mod records;
pub mod report;

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::Path;

/// Opens a stream; `-` is standard input.
pub fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    if path == Path::new("-") {
        return Ok(Box::new(stdin()?));
    }
    Ok(Box::new(File::open(path)?))
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
