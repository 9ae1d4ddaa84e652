//! Pruning only until there is space enough.

use crate::Snapshot;

/// How much pruning is wanted at all.
///
/// What no part keeps and nothing protects is destroyed from the oldest on,
/// and only until the target is met. The bytes are each snapshot's `used`:
/// what destroying it alone would free. Blocks that several snapshots share
/// and nothing else has are counted by none of them, so really more becomes
/// free, never less. A snapshot whose `used` is not known counts as nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Space {
    /// Until at least so many bytes are freed: what the pool should have free
    /// less what it has.
    Free(u64),
    /// Until the snapshots of the dataset use at most so many bytes.
    Total(u64),
}

impl Space {
    /// How many bytes are still to be freed of these snapshots.
    pub(crate) fn wanted<Id>(self, snapshots: &[Snapshot<Id>]) -> u64 {
        match self {
            Self::Free(bytes) => bytes,
            Self::Total(most) => snapshots
                .iter()
                .filter_map(|snapshot| snapshot.used)
                .fold(0, u64::saturating_add)
                .saturating_sub(most),
        }
    }
}
