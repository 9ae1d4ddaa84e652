//! Blocks as ZFS compresses them.
//!
//! ```text
//! payload -> [ lzjb | gzip | zle | lz4 | zstd ] -> block
//! block   -> [ lz4 | zstd ] -> payload
//! ```
//!
//! Streams made with `-c` carry blocks as they are on the sender's disks. ZFS
//! frames what its algorithms give in its own way: LZ4 has a head of 4 bytes
//! with the length, Zstandard one of 8 with length, version and level and no
//! magic number; the payload is padded with zeros to a multiple of 512.
//!
//! ```
//! use zfs_stream::compress::{self, Compression, Compressor};
//!
//! let block = vec![7; 128 << 10];
//! let mut compressor = Compressor::new(Compression::Lz4)?;
//! let payload = compressor.compress(&block)?.unwrap_or_default().to_vec();
//! assert!(payload.len() <= 1024 && payload.len() % 512 == 0);
//!
//! let mut again = vec![0; block.len()];
//! compress::decompress(Compression::Lz4.number(), &payload, &mut again)?;
//! assert_eq!(again, block);
//! # Ok::<(), compress::Problem>(())
//! ```
//!
//! Sources: `module/zfs/{lzjb,zle,gzip,lz4_zfs}.c`, `module/zstd/zfs_zstd.c`,
//! `include/sys/zio_compress.h` of OpenZFS.

mod algorithms;
mod lzjb;
mod zle;
mod zstd;

use std::fmt;
use std::str::FromStr;

pub use algorithms::Decompressor;
pub use zstd::Level;

/// What payloads are padded to, in bytes (`SPA_MINBLOCKSIZE`).
pub const PADDING: usize = 512;

/// ZFS' numbers of its compressions (`enum zio_compress`).
pub(crate) mod number {
    pub(crate) const OFF: u8 = 2;
    pub(crate) const LZJB: u8 = 3;
    pub(crate) const GZIP_1: u8 = 5;
    pub(crate) const GZIP_9: u8 = 13;
    pub(crate) const ZLE: u8 = 14;
    pub(crate) const LZ4: u8 = 15;
    pub(crate) const ZSTD: u8 = 16;
}

/// What blocks can be compressed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    Off,
    /// LZ4: the fastest.
    Lz4,
    /// Zstandard at a level; OpenZFS 2.0 and later have it.
    Zstd(Level),
}

impl Compression {
    /// ZFS' number for it; 0 for [`Off`](Self::Off), as streams have it.
    pub fn number(self) -> u8 {
        match self {
            Self::Off => 0,
            Self::Lz4 => number::LZ4,
            Self::Zstd(_) => number::ZSTD,
        }
    }
}

impl fmt::Display for Compression {
    /// As the property `compression` has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Lz4 => f.write_str("lz4"),
            Self::Zstd(level) => level.fmt(f),
        }
    }
}

/// Text that names no compression that blocks can be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no compression to be had: off, lz4, zstd, zstd-1 to zstd-19, and zstd-fast-1 to -10, -20 to -100 in tens, -500, -1000"
)]
pub struct UnknownCompression {
    /// The text.
    pub text: String,
}

impl FromStr for Compression {
    type Err = UnknownCompression;

    fn from_str(text: &str) -> Result<Self, UnknownCompression> {
        match text {
            "off" => Ok(Self::Off),
            "lz4" => Ok(Self::Lz4),
            _ => text.parse().map(Self::Zstd),
        }
    }
}

/// Why a payload is not a block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A compression that ZFS does not have, or none whose blocks are sent.
    #[error("there is no compression {0}")]
    Unknown(u8),
    /// Its head tells of more bytes than there are, or there is no head.
    #[error("its head tells of {stated} bytes, and {found} are there")]
    BadLength {
        /// What the head tells.
        stated: u64,
        /// What is there.
        found: usize,
    },
    /// A level that Zstandard does not have in ZFS.
    #[error("its head tells of zstd level {0}, which ZFS does not have")]
    BadLevel(u8),
    /// Bytes that the algorithm does not write.
    #[error("it is not {algorithm}: {detail}")]
    Corrupt {
        /// The algorithm's name.
        algorithm: &'static str,
        /// What it says.
        detail: String,
    },
    /// A block of another length.
    #[error("it gives {found} bytes, not the {wanted} of the block")]
    WrongLength {
        /// What it gave.
        found: usize,
        /// The block's length.
        wanted: usize,
    },
    /// The algorithm could not work.
    #[error("{algorithm} failed: {detail}")]
    Failed {
        /// The algorithm's name.
        algorithm: &'static str,
        /// What it says.
        detail: String,
    },
}

/// Decompresses a payload into a block, which has the block's length. For many
/// blocks, [`Decompressor`] keeps what the algorithms need.
///
/// # Errors
///
/// [`Problem`] if the payload is not that block; the block's bytes mean nothing
/// then.
pub fn decompress(compression: u8, payload: &[u8], block: &mut [u8]) -> Result<(), Problem> {
    Decompressor::new().decompress(compression, payload, block)
}

/// Compresses blocks, with buffers that are kept.
#[derive(Debug)]
pub struct Compressor {
    compression: Compression,
    zstd: Option<zstd::Encoder>,
    payload: Vec<u8>,
}

impl Compressor {
    /// Compresses with that.
    ///
    /// # Errors
    ///
    /// [`Problem::Failed`] if the algorithm gets no memory.
    pub fn new(compression: Compression) -> Result<Self, Problem> {
        let zstd = match compression {
            Compression::Zstd(level) => Some(zstd::Encoder::new(level)?),
            Compression::Off | Compression::Lz4 => None,
        };
        Ok(Self {
            compression,
            zstd,
            payload: Vec::new(),
        })
    }

    /// How much memory it takes by now, in bytes.
    pub(crate) fn memory(&mut self) -> usize {
        self.payload.capacity() + self.zstd.as_mut().map_or(0, zstd::Encoder::memory)
    }

    /// What it compresses with.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// The compressed block with ZFS' head and padding; `None` if it is better
    /// sent as it is, because that saves nothing.
    ///
    /// # Errors
    ///
    /// [`Problem::Failed`] from the algorithm.
    pub fn compress(&mut self, block: &[u8]) -> Result<Option<&[u8]>, Problem> {
        let payload = &mut self.payload;
        let length = match (self.compression, &mut self.zstd) {
            (Compression::Lz4, _) => algorithms::compress_lz4(block, payload)?,
            (Compression::Zstd(_), Some(encoder)) => encoder.compress(block, payload)?,
            _ => return Ok(None),
        };
        let padded = length.next_multiple_of(PADDING);
        if padded >= block.len() {
            return Ok(None);
        }
        if payload.len() < padded {
            payload.resize(padded, 0);
        }
        if let Some(padding) = payload.get_mut(length..padded) {
            padding.fill(0);
        }
        Ok(payload.get(..padded))
    }
}

#[cfg(test)]
mod tests;
