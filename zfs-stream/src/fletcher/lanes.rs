//! Several independent sums, and how they become one.
//!
//! Word i goes to lane i mod N, and every lane sums as if its words were all
//! there is. The lanes do not wait for each other, so they fit into vectors; at
//! the end a word's weight in its lane is turned into its weight in the whole.

use super::{Checksum, STEP};
use crate::nvlist::ByteOrder;

/// The four sums of each lane.
pub(super) type Lanes<const N: usize> = [[u64; N]; 4];

/// Four lanes in plain Rust.
pub(super) fn sums(bytes: &[u8], order: ByteOrder) -> Checksum {
    match order {
        ByteOrder::Little => add(bytes, u32::from_le_bytes),
        ByteOrder::Big => add(bytes, u32::from_be_bytes),
    }
}

#[inline]
fn add(bytes: &[u8], word: impl Fn([u8; 4]) -> u32) -> Checksum {
    let [mut firsts, mut seconds, mut thirds, mut fourths]: Lanes<4> = [[0; 4]; 4];
    let (steps, _) = bytes.split_at(bytes.len() - bytes.len() % STEP);
    for step in steps.chunks_exact(16) {
        let Some(step) = step.first_chunk::<16>() else {
            break;
        };
        for lane in 0..4 {
            let at = 4 * lane;
            let bytes = [step[at], step[at + 1], step[at + 2], step[at + 3]];
            firsts[lane] = firsts[lane].wrapping_add(u64::from(word(bytes)));
            seconds[lane] = seconds[lane].wrapping_add(firsts[lane]);
            thirds[lane] = thirds[lane].wrapping_add(seconds[lane]);
            fourths[lane] = fourths[lane].wrapping_add(thirds[lane]);
        }
    }
    mix(&[firsts, seconds, thirds, fourths])
}

/// Turns lanes into the sums of the whole.
///
/// A word that is the t-th from its lane's end has there the weights 1, t,
/// t(t+1)/2 and t(t+1)(t+2)/6. In the whole it is the r-th from the end, with
/// r = Nt - j in lane j, and has the same polynomials of r. Written in those of
/// t they give, for each lane, the factors below.
#[expect(clippy::cast_possible_wrap, reason = "N is 4 or 8")]
pub(super) fn mix<const N: usize>(lanes: &Lanes<N>) -> Checksum {
    let mut sums = [0_u64; 4];
    let [firsts, seconds, thirds, fourths] = lanes;
    let terms = firsts.iter().zip(seconds).zip(thirds.iter().zip(fourths));
    let n = N as i64;
    for (j, ((a, b), (c, d))) in (0_i64..).zip(terms) {
        let factors: [[i64; 4]; 4] = [
            [1, 0, 0, 0],
            [-j, n, 0, 0],
            [j * (j - 1) / 2, -(n * (n - 1 + 2 * j)) / 2, n * n, 0],
            [
                -(j * (j - 1) * (j - 2)) / 6,
                (n * n * n - 3 * n * n * (1 - j) + n * (3 * j * j - 6 * j + 2)) / 6,
                n * n * (1 - j) - n * n * n,
                n * n * n,
            ],
        ];
        for (sum, factors) in sums.iter_mut().zip(factors) {
            for (factor, term) in factors.into_iter().zip([*a, *b, *c, *d]) {
                // Modulo 2^64 a negative factor is its two's complement.
                *sum = sum.wrapping_add((factor as u64).wrapping_mul(term));
            }
        }
    }
    Checksum(sums)
}
