//! ZLE: runs of zeros.
//!
//! A byte below 64 stands before one more plain bytes than it tells; one of 64
//! or above stands for a run of 63 fewer zeros.

use super::Problem;
use super::algorithms::exactly;

const LITERALS: usize = 64;

pub(super) fn decompress(payload: &[u8], block: &mut [u8]) -> Result<(), Problem> {
    let corrupt = |detail: &str| Problem::Corrupt {
        algorithm: "zle",
        detail: detail.to_owned(),
    };
    let wanted = block.len();
    let mut rest = payload;
    let mut free = block;
    while !free.is_empty() {
        let Some((&head, after)) = rest.split_first() else {
            return exactly(wanted - free.len(), wanted);
        };
        rest = after;
        let length = usize::from(head) + 1;
        let run = length.checked_sub(LITERALS).filter(|&run| run > 0);
        let fits = free.split_at_mut_checked(run.unwrap_or(length));
        let (place, others) = fits.ok_or_else(|| corrupt("it gives more than the block"))?;
        if run.is_some() {
            place.fill(0);
        } else {
            let Some((literals, after)) = rest.split_at_checked(length) else {
                return Err(corrupt("it ends too early"));
            };
            place.copy_from_slice(literals);
            rest = after;
        }
        free = others;
    }
    Ok(())
}
