//! Where streams come from, if not from a pipe.
//!
//! ```text
//! pipe ------------------------> read(2)  -> Reader
//! file -> [ StreamFile ] ------> pread(2) -> verify_at, redup   (from many places at once)
//! memory ------------------------------------^                  (seen where it lies)
//! file -> [ StreamFile -> InOrder ] -> Reader
//! ```
//!
//! A file is read and not mapped: into a buffer that stays in the processor's
//! cache that costs within a twentieth what the page tables of a mapping do, and
//! a file that gets shorter meanwhile is an error and not a signal that kills the
//! process. What is mapped already is memory.

mod file;

pub use file::StreamFile;

use std::io::{self, Read};

/// Bytes that can be read from any place, by several threads at once.
pub trait ReadAt: Sync {
    /// How many bytes there are.
    fn length(&self) -> u64;

    /// Fills the buffer with the bytes from an offset on.
    ///
    /// # Errors
    ///
    /// From the source; also where it ends before the buffer is full.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// The bytes from an offset on where they lie, if so many can be seen
    /// there; who gets `None` reads them.
    fn view(&self, offset: u64, length: usize) -> Option<&[u8]> {
        let _ = (offset, length);
        None
    }

    /// Sees whether there still are [`length`](Self::length) bytes, for who has
    /// read them all.
    ///
    /// # Errors
    ///
    /// If there are more or fewer.
    fn check_length(&self) -> io::Result<()> {
        Ok(())
    }
}

/// What is left of a slice from an offset on.
fn rest(bytes: &[u8], offset: u64) -> &[u8] {
    let offset = usize::try_from(offset).ok();
    offset
        .and_then(|offset| bytes.get(offset..))
        .unwrap_or_default()
}

impl ReadAt for [u8] {
    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        rest(self, offset).read_exact(buffer)
    }

    fn view(&self, offset: u64, length: usize) -> Option<&[u8]> {
        rest(self, offset).get(..length)
    }
}

impl<S: ReadAt + ?Sized> ReadAt for &S {
    fn length(&self) -> u64 {
        (**self).length()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        (**self).read_exact_at(buffer, offset)
    }

    fn view(&self, offset: u64, length: usize) -> Option<&[u8]> {
        (**self).view(offset, length)
    }

    fn check_length(&self) -> io::Result<()> {
        (**self).check_length()
    }
}

/// Such bytes from the first to the last.
#[derive(Debug)]
pub struct InOrder<S> {
    source: S,
    offset: u64,
}

impl<S: ReadAt> InOrder<S> {
    /// Begins with the first.
    pub fn new(source: S) -> Self {
        Self { source, offset: 0 }
    }
}

impl<S: ReadAt> Read for InOrder<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.source.length().saturating_sub(self.offset);
        if left == 0 {
            self.source.check_length()?;
            return Ok(0);
        }
        let length = left.min(buffer.len() as u64) as usize;
        let place = buffer.get_mut(..length).unwrap_or_default();
        self.source.read_exact_at(place, self.offset)?;
        self.offset += length as u64;
        Ok(length)
    }
}

/// Memory that cannot be seen where it lies, or only some of it.
#[cfg(test)]
pub(crate) struct Hidden<'a> {
    pub(crate) bytes: &'a [u8],
    /// Shows what begins at a multiple of this; nothing if it is 0.
    pub(crate) shows: u64,
}

#[cfg(test)]
impl ReadAt for Hidden<'_> {
    fn length(&self) -> u64 {
        self.bytes.length()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.bytes.read_exact_at(buffer, offset)
    }

    fn view(&self, offset: u64, length: usize) -> Option<&[u8]> {
        let shown = offset.checked_rem(self.shows) == Some(0);
        shown.then(|| self.bytes.view(offset, length)).flatten()
    }
}
