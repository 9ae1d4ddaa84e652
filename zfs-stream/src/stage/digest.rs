//! Digests of what goes by: BLAKE3 and SHA-256 at once.
//!
//! ```text
//! source -> [ BLAKE3, SHA-256 ] -> reader
//! ```

use std::io::{self, Read};

use sha2::{Digest, Sha256};

/// The digests of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digests {
    /// How many bytes they are of.
    pub bytes: u64,
    /// BLAKE3, in bytes; [`blake3::Hash`] shows it in hexadecimal.
    pub blake3: blake3::Hash,
    /// SHA-256, in bytes.
    pub sha256: [u8; 32],
}

/// A source whose bytes are digested as they are read. They are not copied.
///
/// ```
/// use std::io::{self, Read};
/// use zfs_stream::stage::DigestReader;
///
/// let mut reader = DigestReader::new(&b"abc"[..]);
/// io::copy(&mut reader, &mut io::sink())?;
/// let digests = reader.finish();
/// assert_eq!(digests.sha256[..4], [0xba, 0x78, 0x16, 0xbf]);
/// # Ok::<(), io::Error>(())
/// ```
#[derive(Debug)]
pub struct DigestReader<R> {
    source: R,
    bytes: u64,
    blake3: blake3::Hasher,
    sha256: Sha256,
}

impl<R: Read> DigestReader<R> {
    /// Digests what is read from the source.
    pub fn new(source: R) -> Self {
        Self {
            source,
            bytes: 0,
            blake3: blake3::Hasher::new(),
            sha256: Sha256::new(),
        }
    }

    /// The digests of what was read so far.
    pub fn finish(&self) -> Digests {
        Digests {
            bytes: self.bytes,
            blake3: self.blake3.finalize(),
            sha256: self.sha256.clone().finalize().into(),
        }
    }

    /// Gives the source back.
    pub fn into_inner(self) -> R {
        self.source
    }
}

impl<R: Read> Read for DigestReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.source.read(buffer)?;
        let piece = buffer.get(..length).unwrap_or_default();
        self.blake3.update(piece);
        self.sha256.update(piece);
        self.bytes += piece.len() as u64;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_the_published_ones_however_the_bytes_come() {
        let digests = |piece: usize| {
            let mut reader = DigestReader::new(&b"abc"[..]);
            let mut buffer = vec![0; piece];
            while reader.read(&mut buffer).unwrap() > 0 {}
            reader.finish()
        };
        let whole = digests(10);
        // FIPS 180-2, and BLAKE3's test vectors.
        assert_eq!(whole.sha256[28..], [0xf2, 0x00, 0x15, 0xad]);
        let blake3 = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";
        assert_eq!(whole.blake3.to_hex().as_str(), blake3);
        assert_eq!(whole.bytes, 3);
        assert_eq!(digests(1), whole);
    }

    #[test]
    fn an_error_of_the_source_comes_through() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        let mut reader = DigestReader::new(Broken);
        assert_eq!(reader.read(&mut [0; 4]).unwrap_err().to_string(), "broken");
        assert_eq!(reader.finish().bytes, 0);
    }
}
