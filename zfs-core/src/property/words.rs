//! The words of those native properties that are choices, each with the number
//! that stands for it, and which of them came later.
//!
//! Source of all of them: `module/zcommon/zfs_prop.c` and the enumerations it
//! uses.

use crate::version::Version;

pub(super) const ON_OFF: &[(&str, u64)] = &[("off", 0), ("on", 1)];
pub(super) const CACHE: &[(&str, u64)] = &[("none", 0), ("metadata", 1), ("all", 2)];
pub(super) const HIDDEN: &[(&str, u64)] = &[("hidden", 0), ("visible", 1)];
pub(super) const XATTR_2_1: &[(&str, u64)] = &[("off", 0), ("on", 1), ("sa", 2), ("dir", 1)];
pub(super) const XATTR_2_3: &[(&str, u64)] = &[("off", 0), ("on", 2), ("sa", 2), ("dir", 1)];
pub(super) const XATTR: &[(&str, u64)] = &[("off", 0), ("sa", 2), ("on", 2), ("dir", 1)];
pub(super) const CHECKSUM: &[(&str, u64)] = &[
    ("on", 1),
    ("off", 2),
    ("fletcher2", 6),
    ("fletcher4", 7),
    ("sha256", 8),
    ("noparity", 10),
    ("sha512", 11),
    ("skein", 12),
    ("edonr", 13),
    ("blake3", 14),
];
/// A checksum of which equal ones are compared byte by byte.
const fn verify(checksum: u64) -> u64 {
    checksum + (1 << 8)
}
pub(super) const DEDUP: &[(&str, u64)] = &[
    ("on", 1),
    ("off", 2),
    ("verify", verify(1)),
    ("sha256", 8),
    ("sha256,verify", verify(8)),
    ("sha512", 11),
    ("sha512,verify", verify(11)),
    ("skein", 12),
    ("skein,verify", verify(12)),
    ("edonr,verify", verify(13)),
    ("blake3", 14),
    ("blake3,verify", verify(14)),
];
/// Zstandard is one algorithm to the kernel; the level stands above its bits.
const fn zstd(level: u64) -> u64 {
    16 | level << 7
}
pub(super) const COMPRESSION: &[(&str, u64)] = &[
    ("on", 1),
    ("off", 2),
    ("lzjb", 3),
    ("gzip", 10),
    ("gzip-1", 5),
    ("gzip-2", 6),
    ("gzip-3", 7),
    ("gzip-4", 8),
    ("gzip-5", 9),
    ("gzip-6", 10),
    ("gzip-7", 11),
    ("gzip-8", 12),
    ("gzip-9", 13),
    ("zle", 14),
    ("lz4", 15),
    ("zstd", zstd(0)),
    ("zstd-fast", zstd(103)),
    ("zstd-1", zstd(1)),
    ("zstd-2", zstd(2)),
    ("zstd-3", zstd(3)),
    ("zstd-4", zstd(4)),
    ("zstd-5", zstd(5)),
    ("zstd-6", zstd(6)),
    ("zstd-7", zstd(7)),
    ("zstd-8", zstd(8)),
    ("zstd-9", zstd(9)),
    ("zstd-10", zstd(10)),
    ("zstd-11", zstd(11)),
    ("zstd-12", zstd(12)),
    ("zstd-13", zstd(13)),
    ("zstd-14", zstd(14)),
    ("zstd-15", zstd(15)),
    ("zstd-16", zstd(16)),
    ("zstd-17", zstd(17)),
    ("zstd-18", zstd(18)),
    ("zstd-19", zstd(19)),
    ("zstd-fast-1", zstd(103)),
    ("zstd-fast-2", zstd(104)),
    ("zstd-fast-3", zstd(105)),
    ("zstd-fast-4", zstd(106)),
    ("zstd-fast-5", zstd(107)),
    ("zstd-fast-6", zstd(108)),
    ("zstd-fast-7", zstd(109)),
    ("zstd-fast-8", zstd(110)),
    ("zstd-fast-9", zstd(111)),
    ("zstd-fast-10", zstd(112)),
    ("zstd-fast-20", zstd(113)),
    ("zstd-fast-30", zstd(114)),
    ("zstd-fast-40", zstd(115)),
    ("zstd-fast-50", zstd(116)),
    ("zstd-fast-60", zstd(117)),
    ("zstd-fast-70", zstd(118)),
    ("zstd-fast-80", zstd(119)),
    ("zstd-fast-90", zstd(120)),
    ("zstd-fast-100", zstd(121)),
    ("zstd-fast-500", zstd(122)),
    ("zstd-fast-1000", zstd(123)),
];
pub(super) const ENCRYPTION: &[(&str, u64)] = &[
    ("on", 1),
    ("off", 2),
    ("aes-128-ccm", 3),
    ("aes-192-ccm", 4),
    ("aes-256-ccm", 5),
    ("aes-128-gcm", 6),
    ("aes-192-gcm", 7),
    ("aes-256-gcm", 8),
];

/// Words that came later than the property that takes them.
pub(super) const LATER: &[(&str, &str, Version)] = &[
    ("checksum", "blake3", Version::new(2, 2)),
    ("dedup", "blake3", Version::new(2, 2)),
    ("dedup", "blake3,verify", Version::new(2, 2)),
    ("snapdir", "disabled", Version::new(2, 3)),
];

/// The first release that takes a word of that property.
pub(super) fn since(property: &str, word: &str) -> Version {
    let mut later = LATER.iter();
    later
        .find(|(name, later, _)| (*name, *later) == (property, word))
        .map_or(Version::OLDEST, |(.., since)| *since)
}
