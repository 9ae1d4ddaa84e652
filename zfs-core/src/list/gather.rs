//! The snapshots of one dataset, listed by threads that share it.
//!
//! ```text
//! first request -> are there many? -> ranges of the kernel's order -> [ a thread each ] -> together
//! ```
//!
//! The kernel opens a dataset that is not mounted for each snapshot that it is
//! asked for and closes it behind, which is most of what a listing costs.
//! Requests that overlap find it open. It lists in the order of a hash of 28
//! bits, and a listing's place is that hash: so a listing can begin anywhere,
//! and end where the next one began.

use std::sync::{Mutex, PoisonError};
use std::thread;

use super::snapshot::{Snapshot, Snapshots};
use crate::error::Error;

/// Bits of the hash in a listing's place, the lowest; above them it counts
/// the entries of the same hash (`zap_cursor_serialize` in OpenZFS).
const HASH_BITS: u32 = 28;
const HASHES: u64 = 1 << HASH_BITS;
/// Threads that share a dataset. Two would seldom meet.
const THREADS: u64 = 4;
/// With fewer snapshots than about this it is not worth it.
const FEW: u64 = 12;

/// The hash of the entry behind which a listing stands.
pub(super) fn hash(place: u64) -> u64 {
    place % HASHES
}

/// Where the ranges behind the first begin, in a listing that stands behind
/// its first entry; none where there are few or the place is not of the kind
/// that is known here.
fn bounds(place: u64) -> Vec<u64> {
    // Hashes lie evenly, so the first says how many there are. A hash of more
    // bits would reach into those that count, and one of fewer would leave
    // them empty.
    let first_of_its_hash = place >> HASH_BITS == 1;
    let many = hash(place) < HASHES / FEW;
    if first_of_its_hash && many {
        (1..THREADS).map(|nth| HASHES / THREADS * nth).collect()
    } else {
        Vec::new()
    }
}

impl Snapshots {
    /// All of them (that are left), in the same order, by several threads
    /// where there are many: several times as fast where the dataset is not
    /// mounted.
    ///
    /// # Errors
    ///
    /// What the iterator's last item would be.
    ///
    /// # Example
    ///
    /// ```no_run
    /// use zfs_core::{ListSnapshots, Zfs};
    ///
    /// let zfs = Zfs::open()?;
    /// let home = "tank/home".parse()?;
    /// let snapshots = zfs.list_snapshots(&home, ListSnapshots::new()).gather()?;
    /// println!("{} snapshots", snapshots.len());
    /// # Ok::<(), zfs_core::Error>(())
    /// ```
    pub fn gather(mut self) -> Result<Vec<Snapshot>, Error> {
        let Some(first) = self.next().transpose()? else {
            return Ok(Vec::new());
        };
        let mut all = vec![first];
        let bounds = bounds(self.place());
        let mut ranges = self.divide(&bounds)?;
        if let [only] = &mut ranges[..] {
            for snapshot in only {
                all.push(snapshot?);
            }
            return Ok(all);
        }
        for part in at_once(ranges) {
            all.extend(part?);
        }
        Ok(all)
    }
}

/// What comes out of each range, in their order.
fn at_once(ranges: Vec<Snapshots>) -> Vec<Result<Vec<Snapshot>, Error>> {
    let mut parts: Vec<Result<Vec<Snapshot>, Error>> = Vec::new();
    parts.resize_with(ranges.len(), || Ok(Vec::new()));
    let jobs = Mutex::new(ranges.into_iter().zip(&mut parts));
    let work = || {
        loop {
            // Nothing panics while it is held.
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((range, part)) = job else { return };
            *part = range.collect();
        }
    };
    thread::scope(|scope| {
        for _ in 1..THREADS {
            let thread = thread::Builder::new()
                .name("zfs-list".to_owned())
                .stack_size(256 << 10);
            // Where no thread can be had, this one does its range as well.
            let _ = thread.spawn_scoped(scope, work);
        }
        work();
    });
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Behind the first entry of that hash.
    fn behind(hash: u64) -> u64 {
        behind_of(HASH_BITS, hash)
    }

    fn behind_of(bits: u32, hash: u64) -> u64 {
        1 << bits | hash
    }

    #[test]
    fn ranges_are_equal_and_begin_behind_the_first_entry() {
        let bounds = bounds(behind(1234));
        assert_eq!(bounds, [1 << 26, 2 << 26, 3 << 26]);
        assert!(HASHES / FEW < bounds[0], "the first entry is in the first");
    }

    #[test]
    fn few_snapshots_are_not_divided() {
        assert!(bounds(behind(HASHES / FEW)).is_empty());
        assert!(!bounds(behind(HASHES / FEW - 1)).is_empty());
    }

    #[test]
    fn a_place_of_another_kind_is_not_divided() {
        // zap_hashbits() of 32 and 48, and of 24.
        for bits in [32, 48] {
            assert!(bounds(behind_of(bits, 0x4d2)).is_empty());
        }
        assert!(bounds(behind_of(24, 0x4d2)).is_empty());
        assert!(bounds(u64::MAX).is_empty());
    }
}
