//! LZJB, ZFS' first compression.
//!
//! A byte of eight flags, the lowest first, stands before eight items: a plain
//! byte where the flag is clear; where it is set, two bytes that tell of a match: six
//! bits of its length less three, ten bits of how far back it begins.

use super::Problem;

const SHORTEST_MATCH: usize = 3;

pub(super) fn decompress(payload: &[u8], block: &mut [u8]) -> Result<(), Problem> {
    let corrupt = |detail: &str| Problem::Corrupt {
        algorithm: "lzjb",
        detail: detail.to_owned(),
    };
    let mut input = payload.iter().copied();
    let mut next = || input.next().ok_or_else(|| corrupt("it ends too early"));
    let (mut flags, mut left) = (0_u8, 0);
    let mut filled = 0;
    while filled < block.len() {
        if left == 0 {
            flags = next()?;
            left = 8;
        }
        let is_match = flags & 1 != 0;
        flags >>= 1;
        left -= 1;
        if !is_match {
            if let Some(place) = block.get_mut(filled) {
                *place = next()?;
            }
            filled += 1;
            continue;
        }
        let (first, second) = (next()?, next()?);
        let length = usize::from(first >> 2) + SHORTEST_MATCH;
        let back = usize::from(first & 3) << 8 | usize::from(second);
        let from = filled
            .checked_sub(back)
            .filter(|_| back > 0)
            .ok_or_else(|| corrupt("a match before the block's beginning"))?;
        // The last match may tell of more than the block holds. One byte after
        // the other, because a match may overlap what it makes.
        for at in from..(from + length).min(block.len() - back) {
            let byte = block.get(at).copied().unwrap_or_default();
            if let Some(place) = block.get_mut(at + back) {
                *place = byte;
            }
            filled += 1;
        }
    }
    Ok(())
}
