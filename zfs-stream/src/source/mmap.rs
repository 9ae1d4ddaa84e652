//! A file as memory.

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::ptr::{self, NonNull};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, munmap};

/// A file's bytes, read as they are touched and without a copy: for
/// [`SliceReader`](crate::record::SliceReader) and
/// [`verify_slice`](crate::verify::verify_slice). They are the page cache's own
/// and take no anonymous memory.
///
/// The file must not be changed meanwhile: what is read may then be old, new or
/// mixed, and where the file gets shorter the process is killed by SIGBUS.
/// Files that others may write to are better read with
/// [`Reader`](crate::record::Reader).
///
/// ```
/// use std::fs::File;
/// use zfs_stream::source::Mapped;
/// use zfs_stream::verify;
///
/// let file = File::open("/dev/null")?;
/// let stream = Mapped::new(&file)?;
/// assert!(!verify::verify_slice(&stream).is_intact());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Mapped {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the memory is only read, until `drop` gives it back; neither cares
// which thread does it.
unsafe impl Send for Mapped {}
// SAFETY: as above: through a shared reference it is only read.
unsafe impl Sync for Mapped {}

impl Mapped {
    /// Maps a file from its beginning to the end that it has now.
    ///
    /// # Errors
    ///
    /// From fstat(2) and mmap(2): pipes and other things that are no files
    /// cannot be mapped. Where its length says nothing (`/dev/null`, `/proc`)
    /// it counts as empty.
    pub fn new(file: &File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?;
        if length == 0 {
            return Ok(Self {
                start: NonNull::dangling(),
                length,
            });
        }
        let (protection, flags) = (ProtFlags::READ, MapFlags::SHARED);
        // SAFETY: the kernel chooses the place, so nothing that is there is
        // replaced, and the mapping is ours alone.
        let start = unsafe { mmap(ptr::null_mut(), length, protection, flags, file, 0) }?;
        let mapped = Self {
            start: NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?,
            length,
        };
        // SAFETY: the range is the mapping. This advice changes how it is read
        // ahead and nothing else. Its error is no reason to fail.
        let _ = unsafe { madvise(mapped.address(), length, Advice::Sequential) };
        Ok(mapped)
    }

    fn address(&self) -> *mut c_void {
        self.start.as_ptr().cast()
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the mapping is that long, readable and stays until `drop`,
        // which the borrow outlives not; where it is empty the pointer is
        // dangling but aligned, as an empty slice's may be. Nothing in this
        // process writes to it; of what others write the documentation warns.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        if self.length > 0 {
            // SAFETY: the range is what `new` mapped, and no borrow of it is
            // left. It can only fail for ranges that are none.
            let _ = unsafe { munmap(self.address(), self.length) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_files_bytes_are_there() {
        let path = std::env::temp_dir().join(format!("zfs-stream-mapped-{}", std::process::id()));
        let bytes: Vec<u8> = (0..100_000_u32).map(|number| (number / 7) as u8).collect();
        File::create(&path).unwrap().write_all(&bytes).unwrap();
        let mapped = Mapped::new(&File::open(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
        // Also after the file has lost its name.
        let mapped = mapped.unwrap();
        assert!(*mapped == *bytes);
        let shared = &mapped;
        std::thread::scope(|scope| {
            scope.spawn(move || assert!(**shared == *bytes));
        });
    }

    #[test]
    fn what_is_empty_or_no_file_is_told() {
        let empty = Mapped::new(&File::open("/dev/null").unwrap()).unwrap();
        assert!(empty.is_empty());
        assert!(Mapped::new(&File::open("/").unwrap()).is_err());
    }
}
