//! One word after the other: what all other implementations must equal.

use crate::nvlist::ByteOrder;

/// Adds the whole words of `bytes` to the sums.
pub(super) fn update(sums: &mut [u64; 4], bytes: &[u8], order: ByteOrder) {
    match order {
        ByteOrder::Little => add(sums, bytes, u32::from_le_bytes),
        ByteOrder::Big => add(sums, bytes, u32::from_be_bytes),
    }
}

#[inline]
fn add(sums: &mut [u64; 4], bytes: &[u8], word: impl Fn([u8; 4]) -> u32) {
    let [mut a, mut b, mut c, mut d] = *sums;
    for chunk in bytes.chunks_exact(4) {
        let Some(&chunk) = chunk.first_chunk() else {
            break;
        };
        a = a.wrapping_add(u64::from(word(chunk)));
        b = b.wrapping_add(a);
        c = c.wrapping_add(b);
        d = d.wrapping_add(c);
    }
    *sums = [a, b, c, d];
}
