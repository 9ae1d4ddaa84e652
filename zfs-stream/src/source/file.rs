//! A stream in a file.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;

use super::ReadAt;

/// A stream in a file, as long as it is now: for
/// [`verify_at`](crate::verify::verify_at) and, with
/// [`InOrder`](super::InOrder), for [`Reader`](crate::record::Reader).
///
/// The file's position is neither used nor moved. A file that gets longer or
/// shorter while it is read is an error.
///
/// ```
/// use std::fs::File;
/// use zfs_stream::source::StreamFile;
/// use zfs_stream::verify;
///
/// # let path = std::env::temp_dir().join(format!("zfs-stream-doc-{}", std::process::id()));
/// # std::fs::write(&path, b"no stream")?;
/// let stream = StreamFile::new(File::open(&path)?)?;
/// assert!(!verify::verify_at(&stream)?.is_intact());
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), zfs_stream::Error>(())
/// ```
#[derive(Debug)]
pub struct StreamFile {
    file: File,
    length: u64,
}

impl StreamFile {
    /// Takes a file.
    ///
    /// # Errors
    ///
    /// Of kind [`InvalidInput`](ErrorKind::InvalidInput) for what is no file
    /// with a length of its own: pipes, devices, and the kernel's files that
    /// are made as they are read. Those are read as they come.
    pub fn new(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let length = metadata.len();
        if !metadata.is_file() || length == 0 {
            let text = "it is no file, or an empty one";
            return Err(io::Error::new(ErrorKind::InvalidInput, text));
        }
        Ok(Self { file, length })
    }

    fn changed(&self, now: u64) -> io::Error {
        let what = if now < self.length {
            "shorter"
        } else {
            "longer"
        };
        let text = format!(
            "the file became {what} while it was read: {now} bytes, which were {}",
            self.length
        );
        io::Error::other(text)
    }
}

impl ReadAt for StreamFile {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match self.file.read_exact_at(buffer, offset) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                self.check_length()?;
                Err(error)
            }
            other => other,
        }
    }

    fn check_length(&self) -> io::Result<()> {
        let now = self.file.metadata()?.len();
        if now == self.length {
            Ok(())
        } else {
            Err(self.changed(now))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::source::InOrder;
    use crate::verify::verify_at;

    struct Temporary(std::path::PathBuf);

    impl Temporary {
        fn new(name: &str, bytes: &[u8]) -> (Self, StreamFile) {
            let name = format!("zfs-stream-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::write(&path, bytes).unwrap();
            let file = StreamFile::new(File::open(&path).unwrap()).unwrap();
            (Self(path), file)
        }
    }

    impl Drop for Temporary {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn a_files_bytes_are_read_in_order_and_from_any_place() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|number| (number / 7) as u8).collect();
        let (path, file) = Temporary::new("whole", &bytes);
        // Also after the file has lost its name.
        drop(path);
        let mut read = Vec::new();
        InOrder::new(&file).read_to_end(&mut read).unwrap();
        assert!(read == bytes);
        let mut place = [0; 300];
        file.read_exact_at(&mut place, 70_001).unwrap();
        assert!(place == bytes[70_001..][..300]);
        assert!(file.read_exact_at(&mut place, 99_900).is_err());
    }

    #[test]
    fn what_has_no_length_is_told() {
        for path in ["/dev/null", "/", "/proc/self/status"] {
            let error = StreamFile::new(File::open(path).unwrap()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{path}");
        }
    }

    #[test]
    fn a_file_that_changes_its_length_is_an_error() {
        let bytes = crate::record::tests::sample(crate::nvlist::ByteOrder::Little);
        for (length, said) in [(40, "shorter"), (0, "shorter"), (1 << 20, "longer")] {
            let (path, file) = Temporary::new("changing", &bytes);
            let again = File::options().write(true).open(&path.0).unwrap();
            again.set_len(length).unwrap();
            let mut read = Vec::new();
            let error = InOrder::new(&file).read_to_end(&mut read).unwrap_err();
            let expected = format!(
                "the file became {said} while it was read: {length} bytes, which were {}",
                bytes.len()
            );
            assert_eq!(error.to_string(), expected);
            let error = verify_at(&file).unwrap_err();
            let crate::Error::Io(error) = error else {
                panic!("{error}")
            };
            assert_eq!(error.to_string(), expected);
        }
    }
}
