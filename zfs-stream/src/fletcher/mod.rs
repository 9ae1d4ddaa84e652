//! Fletcher-4, the checksum of send streams and resume tokens.
//!
//! Four running sums over the bytes as 32-bit words: of the words, of the sums
//! before, and so on, each modulo 2^64. It finds damage, not malice.
//!
//! Source: `module/zcommon/zfs_fletcher.c` of OpenZFS.

mod scalar;

use std::fmt;

use crate::nvlist::ByteOrder;

/// The four sums (`zio_cksum_t`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Checksum(pub [u64; 4]);

impl Checksum {
    /// The sums of no bytes.
    pub const ZERO: Self = Self([0; 4]);
}

impl fmt::Display for Checksum {
    /// As OpenZFS shows it: hexadecimal words with slashes between.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second, third, fourth] = self.0;
        write!(f, "{first:x}/{second:x}/{third:x}/{fourth:x}")
    }
}

/// The checksum of bytes as words of that order. Up to three bytes at the end
/// that make no whole word do not count, as in ZFS.
///
/// ```
/// use zfs_stream::fletcher::{self, Checksum};
/// use zfs_stream::nvlist::ByteOrder;
///
/// let sums = fletcher::checksum(&[1, 0, 0, 0, 2, 0, 0, 0], ByteOrder::Little);
/// assert_eq!(sums, Checksum([3, 4, 5, 6]));
/// ```
pub fn checksum(bytes: &[u8], order: ByteOrder) -> Checksum {
    let mut sums = Checksum::ZERO;
    scalar::update(&mut sums.0, bytes, order);
    sums
}
