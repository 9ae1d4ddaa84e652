//! The flags of a stream.

use std::fmt;

/// Declares a set of flags over a number.
macro_rules! flags {
    ($(#[$doc:meta])* $name:ident($bits:ty) { $($(#[$flag_doc:meta])* $flag:ident = $bit:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct $name($bits);

        impl $name {
            $($(#[$flag_doc])* pub const $flag: Self = Self(1 << $bit);)*

            const NAMED: &'static [(Self, &'static str)] = &[$((Self::$flag, $text),)*];

            /// The flags of that number; unknown ones are kept.
            pub const fn from_bits(bits: $bits) -> Self {
                Self(bits)
            }

            /// The flags' number.
            pub const fn bits(self) -> $bits {
                self.0
            }

            /// Whether all of `other` are set.
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// Whether any of `other` is set.
            pub const fn intersects(self, other: Self) -> bool {
                self.0 & other.0 != 0
            }

            /// These and those of `other`.
            #[must_use]
            pub const fn with(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// These without those of `other`.
            #[must_use]
            pub const fn without(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }

            /// The names of those that are set and known.
            pub fn names(self) -> impl Iterator<Item = &'static str> {
                let named = Self::NAMED.iter();
                named.filter(move |(flag, _)| self.contains(*flag)).map(|(_, name)| *name)
            }

            /// Those that are set and have no name here.
            #[must_use]
            pub fn unknown(self) -> Self {
                let known = Self::NAMED.iter().fold(0, |bits, (flag, _)| bits | flag.0);
                Self(self.0 & !known)
            }
        }

        impl fmt::Display for $name {
            /// The names with commas between; unknown flags as a hexadecimal
            /// number.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut names: Vec<_> = self.names().map(str::to_owned).collect();
                let unknown = self.unknown();
                if unknown.0 != 0 {
                    names.push(format!("{:#x}", unknown.0));
                }
                f.write_str(&names.join(", "))
            }
        }
    };
}

flags! {
    /// What a receiver must know to receive a stream
    /// (`DMU_BACKUP_FEATURE_…`).
    Features(u64) {
        /// Equal blocks are sent once; no OpenZFS since 2.0 receives it.
        DEDUP = 0, "dedup";
        /// With deduplication: the blocks' checksums are there.
        DEDUPPROPS = 1, "dedupprops";
        /// There may be spill blocks.
        SA_SPILL = 2, "sa_spill";
        /// There may be embedded blocks (`-e`).
        EMBED_DATA = 16, "embed_data";
        /// Blocks may be compressed with LZ4.
        LZ4 = 17, "lz4";
        /// Blocks may be longer than 128 KiB (`-L`).
        LARGE_BLOCKS = 19, "large_blocks";
        /// The stream is the rest of one that was interrupted.
        RESUMING = 20, "resuming";
        /// Parts are left out on purpose.
        REDACTED = 21, "redacted";
        /// Blocks are sent as compressed as they are on disk (`-c`).
        COMPRESSED = 22, "compressed";
        /// Dnodes may take more than one slot.
        LARGE_DNODE = 23, "large_dnode";
        /// Encrypted blocks are sent as they are (`-w`).
        RAW = 24, "raw";
        /// Blocks may be compressed with Zstandard.
        ZSTD = 25, "zstd";
        /// Holds are sent (`-h`).
        HOLDS = 26, "holds";
        /// A receiver may switch to large blocks; no sender sets it today.
        SWITCH_TO_LARGE_BLOCKS = 27, "switch_to_large_blocks";
        /// File names may be longer than 255 bytes (2.3).
        LONGNAME = 28, "longname";
        /// Directories may have large microzaps (2.3).
        LARGE_MICROZAP = 29, "large_microzap";
    }
}

impl Features {
    /// Those of a BEGIN record's `drr_versioninfo`. The two lowest bits there
    /// are the header type, the eight highest are reserved.
    pub const fn of_version_info(version_info: u64) -> Self {
        Self((version_info >> 2) & ((1 << 56) - 1))
    }
}

flags! {
    /// Flags of a whole stream (`DRR_FLAG_…`).
    BeginFlags(u32) {
        /// The snapshot's dataset is a clone of the source's.
        CLONE = 0, "clone";
        /// Names are compared without case.
        CI_DATA = 1, "ci_data";
        /// A full stream has all records that are needed to receive it as a
        /// clone.
        FREERECORDS = 2, "freerecords";
        /// The records' spill flags mean something; raw streams need it.
        SPILL_BLOCK = 3, "spill_block";
    }
}

/// Flags of single records.
pub mod flags {
    /// The block's checksum is fit for deduplication.
    pub const CHECKSUM_DEDUP: u8 = 1;
    /// In raw streams: the block is of the other byte order than the stream.
    pub const RAW_BYTESWAP: u8 = 2;
    /// On an OBJECT: it has a spill block.
    pub const OBJECT_SPILL: u8 = 4;
    /// On a SPILL: it is only there for old receivers.
    pub const SPILL_UNMODIFIED: u8 = 4;
}
