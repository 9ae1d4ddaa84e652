//! One look at every snapshot, in the order in which they lie in memory.
//!
//! ```text
//! snapshots ─> Look: a bit for each snapshot and question
//!           └> newest_first ─> order, moments
//! ```
//!
//! From the newest to the oldest they lie anywhere, and with millions of them
//! each look costs a trip to main memory. So all that names and protections
//! have to say is asked here, and what comes after asks only for bits.

use jiff::Timestamp;

use crate::{
    Policy, Snapshot, Target,
    calendar::{Moment, Offsets},
    protection::protections,
};

/// A bit for each snapshot, by its place in the input.
#[derive(Debug, Default)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    fn new(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    fn set(&mut self, index: usize) {
        if let Some(word) = self.0.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }

    #[inline]
    pub(crate) fn get(&self, index: u32) -> bool {
        let word = self.0.get(index as usize / 64).copied().unwrap_or(0);
        word >> (index % 64) & 1 == 1
    }
}

/// What is to be known of each snapshot before it is judged.
#[derive(Debug)]
pub(crate) struct Look {
    /// The policy may touch it, and it is not of the future, where it must not
    /// take the place of a real one in any count.
    pub(crate) eligible: Bits,
    /// Some part looks at such a name.
    pub(crate) managed: Bits,
    /// It is protected for what it is, not for its name.
    pub(crate) protected: Bits,
    /// Which are covered by each part that has names of its own.
    pub(crate) covered: Vec<Option<Bits>>,
}

impl Look {
    pub(crate) fn new<Id>(
        policy: &Policy,
        snapshots: &[Snapshot<Id>],
        targets: &[Target],
        present: Timestamp,
    ) -> Self {
        let bits = || Bits::new(snapshots.len());
        let names = |part: &crate::Part| part.names.is_some().then(bits);
        let mut look = Self {
            eligible: bits(),
            managed: bits(),
            protected: bits(),
            covered: policy.parts.iter().map(names).collect(),
        };
        // With no parts there is nothing to be protected from.
        let all = policy.parts.is_empty() || policy.parts.iter().any(|part| part.names.is_none());
        for (index, snapshot) in snapshots.iter().enumerate() {
            if protections(snapshot, true, present, targets)
                .next()
                .is_some()
            {
                look.protected.set(index);
            }
            if !policy.names.matches(&snapshot.name) {
                continue;
            }
            if snapshot.creation <= present {
                look.eligible.set(index);
            }
            let mut managed = all;
            for (part, covered) in policy.parts.iter().zip(&mut look.covered) {
                if let Some(covered) = covered {
                    if part.covers(&snapshot.name) {
                        covered.set(index);
                        managed = true;
                    }
                }
            }
            if managed {
                look.managed.set(index);
            }
        }
        look
    }
}

/// Places in `snapshots`, from the newest to the oldest, and when each of them
/// was created.
pub(crate) fn newest_first<Id>(
    snapshots: &[Snapshot<Id>],
    offsets: &mut Offsets<'_>,
) -> (Vec<u32>, Vec<Moment>) {
    // What decides almost always lies side by side; the rest is only looked at
    // where two were created in one instant.
    let mut keys: Vec<(i64, i32, u32)> = (0..u32::MAX)
        .zip(snapshots)
        .map(|(index, snapshot)| {
            let creation = snapshot.creation;
            (creation.as_second(), creation.subsec_nanosecond(), index)
        })
        .collect();
    let rest = |index: u32| snapshots.get(index as usize).map(Snapshot::age_key);
    keys.sort_unstable_by(|a, b| {
        (b.0, b.1)
            .cmp(&(a.0, a.1))
            .then_with(|| rest(b.2).cmp(&rest(a.2)))
    });
    let moments = keys
        .iter()
        .map(|&(second, nanosecond, _)| Moment::of(second, nanosecond, offsets))
        .collect();
    let order = keys.into_iter().map(|(_, _, index)| index).collect();
    (order, moments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_each_their_own() {
        let mut bits = Bits::new(130);
        for index in [0, 63, 64, 129] {
            bits.set(index);
        }
        let set: Vec<u32> = (0..200).filter(|index| bits.get(*index)).collect();
        assert_eq!(set, [0, 63, 64, 129]);
    }
}
