//! Pruning only until there is space enough.

use crate::Snapshot;

/// How much pruning is wanted at all.
///
/// What no part keeps and nothing protects is destroyed from the oldest on,
/// and only until the target is met. The bytes are each snapshot's `used`:
/// what destroying it alone would free. Blocks that several snapshots share
/// and nothing else has are counted by none of them, so really more becomes
/// free, never less. A snapshot whose `used` is not known counts as nothing.
///
/// Two things that hold for policies without it do not hold with it. A more
/// generous part may destroy another snapshot than before: what it keeps frees
/// nothing, and a younger one goes in its place. And what [`Free`](Self::Free)
/// wants is wanted anew in every plan, so that a second one with the same
/// number destroys more; say each time what is still missing.
///
/// None of the peers has it; it is asked for in sanoid's issues 337 and 726.
/// With [`Free`](Self::Free) of 150 bytes, snapshots of 1, 2, 3 and 4 April
/// that each use 100 bytes, and a part that keeps the last one: destroyed are
/// 1 and 2 April, which frees 200; 3 April stays though no part keeps it. With
/// [`Total`](Self::Total) of 300 bytes only 1 April goes.
///
/// ```
/// # use zfs_retention::{Guid, Names, Part, Policy, Snapshot, Space, Txg};
/// # let now: jiff::Zoned = "2026-04-05T00:00:00Z[UTC]".parse()?;
/// let april = ["2026-04-01", "2026-04-02", "2026-04-03", "2026-04-04"].map(|day| {
///     let noon = format!("{day}T12:00:00Z").parse().unwrap();
///     Snapshot::new(day, Guid(1), Txg(1), noon).using(100)
/// });
/// let policy = Policy::managing(Names::Any).with(Part::last(1));
/// for (space, gone) in [(Space::Free(150), 2), (Space::Total(300), 1)] {
///     let policy = policy.clone().until(space);
///     assert_eq!(policy.plan(&april, &[], &now).destroyed().count(), gone);
/// }
/// # Ok::<(), jiff::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Space {
    /// Until at least so many bytes are freed: what the pool should have free
    /// less what it has. Each plan frees that by itself: of several datasets in
    /// one pool plan one, destroy, and ask for the rest anew.
    Free(u64),
    /// Until what the snapshots of the dataset use adds up to at most so many
    /// bytes. That counts what each has alone (`used`) and not what several
    /// share, so that `usedbysnapshots` can be far more.
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
