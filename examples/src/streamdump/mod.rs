//! zfs-streamdump's parts: where streams come from, and how what is in them is
//! shown.

pub mod dump;
pub mod records;
pub mod report;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Opens a stream; `-` is standard input.
pub fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    Ok(Box::new(File::open(path)?))
}
