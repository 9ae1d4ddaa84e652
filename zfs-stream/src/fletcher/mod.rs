//! Fletcher-4, the checksum of send streams and resume tokens.
//!
//! ```text
//! bytes -> 32-bit words -> [ scalar | lanes | AVX2 | AVX-512 | NEON ] -> four 64-bit sums
//! ```
//!
//! Four running sums, each modulo 2^64: of the words, of the first sum after
//! each word, of the second, of the third. It finds damage, not malice.
//!
//! The fastest implementation for the processor is chosen at run time; all give
//! the same sums. Two parts summed apart make the whole ([`Checksum::combine`]),
//! so a long payload can be done on several cores:
//!
//! ```
//! use zfs_stream::fletcher;
//! use zfs_stream::nvlist::ByteOrder;
//!
//! let payload = vec![7; 1 << 20];
//! let (left, right) = payload.split_at(1 << 19);
//! let order = ByteOrder::Little;
//! let sums = std::thread::scope(|scope| {
//!     let right = scope.spawn(|| fletcher::checksum(right, order));
//!     let left = fletcher::checksum(left, order);
//!     Some(left.combine(right.join().ok()?, 1 << 19))
//! });
//! assert_eq!(sums, Some(fletcher::checksum(&payload, order)));
//! ```
//!
//! Source: `module/zcommon/zfs_fletcher.c` of OpenZFS.

mod lanes;
mod scalar;
#[allow(unsafe_code, reason = "processor intrinsics")]
mod simd;

use std::fmt;
use std::sync::OnceLock;

use crate::nvlist::ByteOrder;

/// What the lane implementations take at a time: their largest step.
const STEP: usize = 64;

/// Below this many bytes (a record's header, say) one word after the other is
/// faster than mixing lanes at the end.
const SHORT: usize = 512;

/// The four sums (`zio_cksum_t`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Checksum(pub [u64; 4]);

impl Checksum {
    /// The sums of no bytes.
    pub const ZERO: Self = Self([0; 4]);

    /// Whether all four sums are zero: a record with this checksum is not
    /// checked by ZFS.
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// Adds bytes as words of that order. Up to three bytes at the end that
    /// make no whole word do not count, as in ZFS; where bytes come in
    /// arbitrary pieces use [`Fletcher4`].
    pub fn update(&mut self, bytes: &[u8], order: ByteOrder) {
        Implementation::fastest().update(self, bytes, order);
    }

    /// The sums of two parts, one after the other: `self` of the first,
    /// `second` of the other alone, which is `second_len` bytes long.
    #[must_use]
    pub fn combine(self, second: Self, second_len: u64) -> Self {
        // A word of the first part is now followed by n more: it counts once
        // more in the second sum for each, and so on up Pascal's triangle.
        let n = second_len / 4;
        // n(n+1)/2 and n(n+1)(n+2)/6 modulo 2^64; n is below 2^62.
        let exact_pairs = u128::from(n) * u128::from(n + 1) / 2;
        let pairs = exact_pairs as u64;
        let triples = if exact_pairs % 3 == 0 {
            ((exact_pairs / 3) as u64).wrapping_mul(n + 2)
        } else {
            // Then n + 2 does.
            pairs.wrapping_mul(n.div_ceil(3))
        };
        let [first, second_sum, third, fourth] = self.0;
        let shifted = [
            [first, 0, 0, 0],
            [second_sum, first.wrapping_mul(n), 0, 0],
            [
                third,
                second_sum.wrapping_mul(n),
                first.wrapping_mul(pairs),
                0,
            ],
            [
                fourth,
                third.wrapping_mul(n),
                second_sum.wrapping_mul(pairs),
                first.wrapping_mul(triples),
            ],
        ];
        let mut sums = second.0;
        for (sum, terms) in sums.iter_mut().zip(shifted) {
            *sum = terms.into_iter().fold(*sum, u64::wrapping_add);
        }
        Self(sums)
    }
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
    sums.update(bytes, order);
    sums
}

/// A checksum over bytes that come in pieces of any length.
///
/// ```
/// use zfs_stream::fletcher::{self, Fletcher4};
/// use zfs_stream::nvlist::ByteOrder;
///
/// let mut running = Fletcher4::new(ByteOrder::Big);
/// running.update(b"pie");
/// running.update(b"cewise..");
/// assert_eq!(running.finish(), fletcher::checksum(b"piecewise..", ByteOrder::Big));
/// ```
#[derive(Clone, Debug)]
pub struct Fletcher4 {
    sums: Checksum,
    order: ByteOrder,
    /// The beginning of a word whose end has not come yet.
    pending: [u8; 4],
    pending_len: usize,
}

impl Fletcher4 {
    /// A checksum of no bytes yet, of words of that order.
    pub fn new(order: ByteOrder) -> Self {
        Self {
            sums: Checksum::ZERO,
            order,
            pending: [0; 4],
            pending_len: 0,
        }
    }

    /// Adds a piece.
    pub fn update(&mut self, mut piece: &[u8]) {
        while self.pending_len > 0 || piece.len() < 4 {
            let Some((&byte, rest)) = piece.split_first() else {
                return;
            };
            piece = rest;
            if let Some(place) = self.pending.get_mut(self.pending_len) {
                *place = byte;
            }
            self.pending_len += 1;
            if self.pending_len == 4 {
                self.pending_len = 0;
                self.sums.update(&self.pending, self.order);
            }
        }
        let (words, tail) = piece.split_at(piece.len() & !3);
        self.sums.update(words, self.order);
        if !tail.is_empty() {
            self.update(tail);
        }
    }

    /// The sums of all whole words so far.
    pub fn finish(&self) -> Checksum {
        self.sums
    }
}

/// A way of computing the sums. All give the same; which are there depends on
/// the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Implementation {
    /// One word after the other.
    Scalar,
    /// Four independent sums that the compiler may put into vectors.
    Lanes,
    /// 256-bit vectors on x86-64.
    Avx2,
    /// 512-bit vectors on x86-64; needs to have been built by Rust 1.89 or
    /// newer.
    Avx512,
    /// 128-bit vectors on 64-bit ARM.
    Neon,
}

impl Implementation {
    /// All there are, available here or not, slowest first.
    pub const ALL: [Self; 5] = [
        Self::Scalar,
        Self::Lanes,
        Self::Neon,
        Self::Avx2,
        Self::Avx512,
    ];

    /// Whether this processor and build have it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Scalar | Self::Lanes => true,
            Self::Avx2 | Self::Avx512 | Self::Neon => simd::kernel(self).is_some(),
        }
    }

    /// The one that is used where none is named.
    pub fn fastest() -> Self {
        static FASTEST: OnceLock<Implementation> = OnceLock::new();
        *FASTEST.get_or_init(|| {
            let mut fastest_first = Self::ALL.into_iter().rev();
            fastest_first
                .find(|one| one.is_available())
                .unwrap_or(Self::Scalar)
        })
    }

    /// Its name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Lanes => "lanes",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Neon => "neon",
        }
    }

    /// Adds bytes to the sums with this implementation, or one word after the
    /// other where it is not available.
    pub fn update(self, sums: &mut Checksum, bytes: &[u8], order: ByteOrder) {
        if bytes.len() < SHORT {
            return scalar::update(&mut sums.0, bytes, order);
        }
        self.update_at_once(sums, bytes, order);
    }

    fn update_at_once(self, sums: &mut Checksum, bytes: &[u8], order: ByteOrder) {
        let (steps, rest) = bytes.split_at(bytes.len() - bytes.len() % STEP);
        let of_steps = match self {
            Self::Scalar => None,
            Self::Lanes => Some(lanes::sums(steps, order)),
            Self::Avx2 | Self::Avx512 | Self::Neon => {
                simd::kernel(self).map(|kernel| kernel(steps, order))
            }
        };
        match of_steps {
            Some(of_steps) => {
                *sums = sums.combine(of_steps, steps.len() as u64);
                scalar::update(&mut sums.0, rest, order);
            }
            None => scalar::update(&mut sums.0, bytes, order),
        }
    }
}

#[cfg(test)]
mod tests;
