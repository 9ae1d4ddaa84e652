//! Streams changed on their way.
//!
//! ```text
//! source -> [ Reader -> Verifier -> change -> Writer ] -> sink
//! ```
//!
//! [`recompress`] and [`decompress`] change how blocks are compressed, [`redup`]
//! makes a deduplicated stream (`zfs send -D`, up to OpenZFS 0.8) one that
//! today's OpenZFS receives, [`drop_records`] leaves records out. All checksums
//! are made anew.
//!
//! What comes out is a valid stream or there is an error: the source is checked
//! as it is read, and with the first damage writing stops. Then the END is
//! missing, so that no receiver takes what was written for the whole.
//!
//! ```
//! use zfs_stream::change;
//! use zfs_stream::compress::Compression;
//! # use zfs_stream::nvlist::ByteOrder;
//! # use zfs_stream::record::{Begin, End, Object, Record, Write, Writer};
//! # let mut stream = Vec::new();
//! # let mut writer = Writer::new(&mut stream, ByteOrder::Little);
//! # let begin = Begin { version_info: 1, objset_type: 2, to_guid: 42, to_name: b"a@b".to_vec(), ..Begin::default() };
//! # writer.write(&Record::Begin(begin), &[])?;
//! # let object = Object { object: 1, object_type: 19, block_size: 4096, to_guid: 42, ..Object::default() };
//! # writer.write(&Record::Object(object), &[])?;
//! # let write = Write { object: 1, object_type: 19, logical_size: 4096, to_guid: 42, ..Write::default() };
//! # writer.write(&Record::Write(write), &[7; 4096])?;
//! # writer.write(&Record::End(End { to_guid: 42, ..End::default() }), &[])?;
//!
//! let mut smaller = Vec::new();
//! let changes = change::recompress(&stream[..], &mut smaller, Compression::Lz4)?;
//! assert_eq!((changes.blocks, changes.bytes_in), (1, stream.len() as u64));
//! assert!(smaller.len() < stream.len());
//!
//! let mut again = Vec::new();
//! change::decompress(&smaller[..], &mut again)?;
//! assert_eq!(again, stream);
//! # Ok::<(), zfs_stream::Error>(())
//! ```

mod blocks;
mod drop;
mod filter;
mod recompress;
mod redup;
mod sizes;

pub use blocks::{Block, decompress_blocks};
pub use drop::drop_records;
pub use recompress::{decompress, recompress, recompress_on};
pub use redup::{BYTES_PER_BLOCK, redup};

use crate::compress;

/// What was done to a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// How many records were read.
    pub records_in: u64,
    /// How many bytes were read.
    pub bytes_in: u64,
    /// How many records were written.
    pub records_out: u64,
    /// How many bytes were written.
    pub bytes_out: u64,
    /// How many blocks are compressed otherwise than before; of [`redup`], how
    /// many were put back; of [`drop_records`], how many records are left out.
    pub blocks: u64,
}

/// Why a stream cannot be changed so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The blocks are encrypted.
    #[error(
        "the stream is a raw one of an encrypted dataset, and encrypted blocks can be changed by nobody who has not the key: receive it, load the key, and send it again without -w"
    )]
    Encrypted,
    /// Records of a raw stream that were to be left out.
    #[error(
        "the stream is a raw one of an encrypted dataset, and its seals are over all of it: without this record it would be received, and then nobody could read the dataset"
    )]
    Sealed,
    /// Blocks are left out because they equal others.
    #[error(
        "the stream is deduplicated (zfs send -D), and some of its blocks are not here: redup it first"
    )]
    Deduplicated,
    /// A block that cannot be decompressed.
    #[error("the block of object {object} at {offset} cannot be read as {}: {problem}", crate::stats::compression_name(*compression))]
    Block {
        /// The block's object.
        object: u64,
        /// Where it stands in the object, in bytes.
        offset: u64,
        /// ZFS' number of the compression.
        compression: u8,
        /// What is wrong with it.
        problem: compress::Problem,
    },
    /// The algorithm could not work.
    #[error("{0}")]
    Compression(compress::Problem),
    /// A block that equals one that did not come before it.
    #[error(
        "the block of object {object} at {offset} equals one of object {ref_object} at {ref_offset} in the snapshot with GUID {ref_guid}, which is not in the stream before it"
    )]
    MissingReference {
        /// The block's object.
        object: u64,
        /// Where it stands in the object, in bytes.
        offset: u64,
        /// The GUID of the snapshot whose stream has the equal block.
        ref_guid: u64,
        /// The object of the equal block.
        ref_object: u64,
        /// Where that stands in its object, in bytes.
        ref_offset: u64,
    },
    /// A block at or before the one before it, so that what equals it cannot
    /// be found.
    #[error("the block of object {object} at {offset} does not come after the one before it")]
    OutOfOrder {
        /// The block's object.
        object: u64,
        /// Where it stands in the object, in bytes.
        offset: u64,
    },
    /// A block that was to be decompressed and is not in the stream.
    #[error("the stream has no block of object {object} at {offset}")]
    NoSuchBlock {
        /// The block's object.
        object: u64,
        /// Where it would stand in the object, in bytes.
        offset: u64,
    },
    /// Without those records it is no stream that `zfs receive` takes.
    #[error("without those records the stream is not valid: {0}")]
    NotValid(Box<str>),
}

#[cfg(test)]
mod tests;
