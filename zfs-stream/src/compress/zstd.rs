//! Zstandard in ZFS' framing.
//!
//! A head of two big-endian words: the length, and the library's version
//! (24 bits above) with the level (8 bits below); then a frame without its magic
//! number, without the content's size and without a checksum.

use std::fmt;
use std::str::FromStr;

use zstd::bulk;
use zstd::zstd_safe::{CParameter, VERSION_NUMBER};

use super::algorithms::{exactly, framed};
use super::{Problem, UnknownCompression};

/// What an ordinary frame begins with.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The length of ZFS' head.
const HEAD: usize = 8;

/// ZFS' number of `zstd-fast-1` (`ZIO_ZSTD_LEVEL_FAST_1`).
const FAST_1: u8 = 103;

/// The fast levels that ZFS has, in the order of their numbers.
const FAST: [i32; 21] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 500, 1000,
];

/// A level of Zstandard that ZFS has: 1 to 19, or a fast one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Level(i32);

impl Default for Level {
    /// 3, as in ZFS.
    fn default() -> Self {
        Self(3)
    }
}

impl Level {
    /// `zstd-LEVEL`: 1, the fastest, to 19, the smallest; `None` for others.
    pub fn new(level: u8) -> Option<Self> {
        (1..=19).contains(&level).then_some(Self(i32::from(level)))
    }

    /// `zstd-fast-LEVEL`: 1 to 10, 20 to 100 in tens, 500 and 1000, the
    /// fastest; `None` for others.
    pub fn fast(level: u16) -> Option<Self> {
        let level = i32::from(level);
        FAST.contains(&level).then_some(Self(-level))
    }

    /// ZFS' number for it (`enum zio_zstd_levels`).
    fn number(self) -> u8 {
        let fast = FAST
            .iter()
            .zip(FAST_1..)
            .find(|(level, _)| **level == -self.0);
        fast.map_or(self.0 as u8, |(_, number)| number)
    }

    fn from_number(number: u8) -> Option<Self> {
        let fast = number.checked_sub(FAST_1).map(usize::from);
        match fast.and_then(|at| FAST.get(at)) {
            Some(&level) => Some(Self(-level)),
            None => Self::new(number),
        }
    }
}

impl fmt::Display for Level {
    /// As the property `compression` has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            level if level < 0 => write!(f, "zstd-fast-{}", -level),
            level => write!(f, "zstd-{level}"),
        }
    }
}

impl FromStr for Level {
    type Err = UnknownCompression;

    fn from_str(text: &str) -> Result<Self, UnknownCompression> {
        let level = match text {
            "zstd" => Some(Self::default()),
            "zstd-fast" => Self::fast(1),
            _ => text
                .strip_prefix("zstd-")
                .and_then(|level| match level.strip_prefix("fast-") {
                    Some(fast) => fast.parse().ok().and_then(Self::fast),
                    None => level.parse().ok().and_then(Self::new),
                }),
        };
        level.ok_or_else(|| UnknownCompression {
            text: text.to_owned(),
        })
    }
}

fn failed(error: impl fmt::Display) -> Problem {
    Problem::Failed {
        algorithm: "zstd",
        detail: error.to_string(),
    }
}

/// Makes payloads.
pub(super) struct Encoder {
    context: bulk::Compressor<'static>,
    level: Level,
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Encoder").field(&self.level).finish()
    }
}

impl Encoder {
    pub(super) fn new(level: Level) -> Result<Self, Problem> {
        let mut context = bulk::Compressor::new(level.0).map_err(failed)?;
        for parameter in [
            CParameter::ContentSizeFlag(false),
            CParameter::ChecksumFlag(false),
            CParameter::DictIdFlag(false),
        ] {
            context.set_parameter(parameter).map_err(failed)?;
        }
        Ok(Self { context, level })
    }

    /// How much memory its context takes by now, in bytes.
    pub(super) fn memory(&mut self) -> usize {
        self.context.context_mut().sizeof()
    }

    /// The length of what it wrote; that of the block or more where it does
    /// not fit.
    pub(super) fn compress(
        &mut self,
        block: &[u8],
        payload: &mut Vec<u8>,
    ) -> Result<usize, Problem> {
        let most = zstd::zstd_safe::compress_bound(block.len()) + HEAD;
        if payload.len() < most {
            payload.resize(most, 0);
        }
        // The frame's magic number is written where the head's second word
        // comes to stand.
        let (_, frame) = payload.split_at_mut(MAGIC.len());
        let length = self
            .context
            .compress_to_buffer(block, frame)
            .map_err(failed)?;
        let frame_len = length
            .checked_sub(MAGIC.len())
            .ok_or_else(|| failed("an empty frame"))?;
        let version = VERSION_NUMBER << 8 | u32::from(self.level.number());
        let words = [(frame_len as u32).to_be_bytes(), version.to_be_bytes()];
        for (place, word) in payload.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word);
        }
        Ok(HEAD + frame_len)
    }
}

/// Reads payloads.
pub(super) struct Decoder {
    context: bulk::Decompressor<'static>,
    /// The frame with its magic number.
    frame: Vec<u8>,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

impl Decoder {
    pub(super) fn new() -> Result<Self, Problem> {
        Ok(Self {
            context: bulk::Decompressor::new().map_err(failed)?,
            frame: Vec::new(),
        })
    }

    pub(super) fn decompress(&mut self, payload: &[u8], block: &mut [u8]) -> Result<(), Problem> {
        let frame = framed(payload, HEAD - 4)?;
        let level = payload.get(HEAD - 1).copied().unwrap_or_default();
        // Senders of the other byte order before 2.1 had level and version the
        // other way round: the byte that is zero is the version's highest.
        let swapped = payload.get(4).copied().unwrap_or_default();
        if Level::from_number(level).is_none() && Level::from_number(swapped).is_none() {
            return Err(Problem::BadLevel(level));
        }
        self.frame.clear();
        self.frame.extend_from_slice(&MAGIC);
        self.frame.extend_from_slice(frame);
        let length = self
            .context
            .decompress_to_buffer(&self.frame, block)
            .map_err(|error| Problem::Corrupt {
                algorithm: "zstd",
                detail: error.to_string(),
            })?;
        exactly(length, block.len())
    }
}
