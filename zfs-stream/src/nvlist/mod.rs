//! Name-value lists: what ZFS' ioctls, send streams and resume tokens carry.
//!
//! ```text
//! bytes -> [ header: encoding, byte order ] -> native | xdr -> NvList -> native | xdr -> bytes
//! ```
//!
//! The encodings are libnvpair's: *native*, an image of its C structures in
//! the byte order of the machine that packed it, and *XDR* (RFC 4506), which is
//! big-endian everywhere. Both begin with four bytes that say which it is, so
//! [`NvList::decode`] needs no hint, and it reads native lists of the other
//! byte order, which libnvpair refuses.
//!
//! Names and strings are bytes without a NUL, not UTF-8: user properties may
//! hold any bytes.
//!
//! ```
//! use zfs_stream::nvlist::{ByteOrder, Encoding, NvList};
//!
//! let mut inner = NvList::new();
//! inner.insert("toguid", 0x1234_u64)?;
//! let mut list = NvList::new();
//! list.insert("fss", inner)?;
//! list.insert_str("tosnap", "tank/data@monday")?;
//!
//! let packed = list.encode(Encoding::Native, ByteOrder::Little)?;
//! let read = NvList::decode(&packed)?;
//! assert_eq!(read, list);
//! assert_eq!(read.get_str("tosnap"), Some("tank/data@monday"));
//! assert_eq!(read.require_nvlist("fss")?.get_u64("toguid"), Some(0x1234));
//! # Ok::<(), zfs_stream::Error>(())
//! ```
//!
//! Source: `module/nvpair/nvpair.c` and `include/sys/nvpair.h` of OpenZFS.

mod cursor;
mod display;
mod list;
mod native;
mod string;
mod value;
mod xdr;

pub use list::{Iter, NvFlags, NvList};
pub use string::NvString;
pub use value::{DataType, Value};

use crate::{Error, Result};

/// How deep lists may be nested, in both directions. libnvpair's own limit in
/// user space; the kernel's is 20.
pub const MAX_DEPTH: usize = 100;

/// The longest name, in bytes: its length with the terminating NUL is a
/// positive `int16_t` in libnvpair.
pub const MAX_NAME_LEN: usize = 32_766;

/// The most that a packed list may take, in bytes (libnvpair counts in
/// `int32_t`).
const MAX_PACKED: usize = i32::MAX as usize;

/// The bytes before the list itself: encoding, byte order, two reserved.
const HEADER_LEN: usize = 4;

/// libnvpair's two encodings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// An image of the C structures (`NV_ENCODE_NATIVE`).
    Native,
    /// XDR, RFC 4506 (`NV_ENCODE_XDR`).
    Xdr,
}

/// The byte order of the machine that packed a list or sent a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByteOrder {
    /// Least significant byte first (x86, ARM as ZFS runs on it).
    Little,
    /// Most significant byte first (SPARC, s390x).
    Big,
}

impl ByteOrder {
    /// The order of the machine this runs on.
    pub const NATIVE: Self = if cfg!(target_endian = "big") {
        Self::Big
    } else {
        Self::Little
    };
}

/// A list read from the beginning of a longer buffer.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The list.
    pub list: NvList,
    /// The encoding it was in.
    pub encoding: Encoding,
    /// The byte order its header states. XDR lists are big-endian all the
    /// same; there it only tells of the machine that packed it.
    pub order: ByteOrder,
    /// How many bytes it took, header and end mark included.
    pub length: usize,
}

/// What is wrong with packed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The bytes end before the list does.
    #[error("it ends too early")]
    Truncated,
    /// The first byte is neither 0 (native) nor 1 (XDR).
    #[error("unknown encoding {0}")]
    UnknownEncoding(u8),
    /// The second byte is neither 0 (big) nor 1 (little).
    #[error("unknown byte order {0}")]
    UnknownByteOrder(u8),
    /// A list version other than 0, the only one there is.
    #[error("unknown list version {0}")]
    UnknownVersion(i32),
    /// A data type that libnvpair does not have.
    #[error("unknown data type {0}")]
    UnknownType(i32),
    /// An element count that does not fit the type or the bytes there.
    #[error("an element count of {count} does not fit type {data_type}")]
    BadCount {
        /// The pair's type.
        data_type: DataType,
        /// Its element count.
        count: i32,
    },
    /// A pair whose stated size is impossible or is not what it holds.
    #[error("a pair's size of {0} bytes does not fit what it holds")]
    BadSize(i32),
    /// A name that is empty of its terminator, has a NUL inside, or is longer
    /// than [`MAX_NAME_LEN`].
    #[error("a malformed name")]
    BadName,
    /// A string without its end, or with a NUL inside.
    #[error("a malformed string")]
    BadString,
    /// A value too large for its type, such as a boolean that is neither 0
    /// nor 1.
    #[error("the value {value:#x} is out of range for type {data_type}")]
    BadValue {
        /// The pair's type.
        data_type: DataType,
        /// What stands there.
        value: u32,
    },
    /// Two pairs of one name in a list that says its names are unique.
    #[error("a name stands twice in a list of unique names")]
    DuplicateName,
    /// Lists nested deeper than [`MAX_DEPTH`].
    #[error("lists nested more than {MAX_DEPTH} deep")]
    TooDeep,
    /// A packed size of 2 GiB or more.
    #[error("a packed size of 2 GiB or more")]
    TooLarge,
}

impl NvList {
    /// Reads a packed list; its first bytes say in which encoding and byte
    /// order. Bytes after the list's end are ignored, as `nvlist_unpack` does:
    /// the buffers that ioctls fill are longer than what they hold.
    ///
    /// # Errors
    ///
    /// [`Error::Nvlist`] with the place and the problem.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        Self::decode_prefix(bytes).map(|decoded| decoded.list)
    }

    /// Reads a packed list and tells its encoding, byte order and length, for
    /// callers to whom what follows it matters.
    ///
    /// # Errors
    ///
    /// As [`NvList::decode`].
    ///
    /// # Example
    ///
    /// ```
    /// use zfs_stream::nvlist::{ByteOrder, Encoding, NvList};
    ///
    /// let mut bytes = NvList::new().encode(Encoding::Xdr, ByteOrder::Little)?;
    /// let length = bytes.len();
    /// bytes.extend_from_slice(b"what follows");
    /// let decoded = NvList::decode_prefix(&bytes)?;
    /// assert_eq!(decoded.encoding, Encoding::Xdr);
    /// assert_eq!(decoded.length, length);
    /// # Ok::<(), zfs_stream::Error>(())
    /// ```
    pub fn decode_prefix(bytes: &[u8]) -> Result<Decoded> {
        let problem = |offset, problem| Error::Nvlist { offset, problem };
        let &[encoding, order, _, _] = bytes
            .first_chunk::<HEADER_LEN>()
            .ok_or(problem(0, Problem::Truncated))?;
        let order = match order {
            0 => ByteOrder::Big,
            1 => ByteOrder::Little,
            other => return Err(problem(1, Problem::UnknownByteOrder(other))),
        };
        let (encoding, (list, length)) = match encoding {
            0 => (Encoding::Native, native::decode(bytes, order)?),
            1 => (Encoding::Xdr, xdr::decode(bytes)?),
            other => return Err(problem(0, Problem::UnknownEncoding(other))),
        };
        Ok(Decoded {
            list,
            encoding,
            order,
            length,
        })
    }

    /// Packs the list, byte for byte as `nvlist_pack` does on a machine of
    /// that byte order. For XDR the order is only named in the header.
    ///
    /// # Errors
    ///
    /// [`Error::NvlistUnpackable`] for lists nested deeper than [`MAX_DEPTH`]
    /// or that would take 2 GiB or more; nothing else can fail.
    pub fn encode(&self, encoding: Encoding, order: ByteOrder) -> Result<Vec<u8>> {
        let header = [
            match encoding {
                Encoding::Native => 0,
                Encoding::Xdr => 1,
            },
            match order {
                ByteOrder::Big => 0,
                ByteOrder::Little => 1,
            },
            0,
            0,
        ];
        let mut out = Vec::with_capacity(64 + 64 * self.len());
        out.extend_from_slice(&header);
        match encoding {
            Encoding::Native => native::encode(self, order, &mut out),
            Encoding::Xdr => xdr::encode(self, &mut out),
        }
        .map_err(|problem| Error::NvlistUnpackable { problem })?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests;
