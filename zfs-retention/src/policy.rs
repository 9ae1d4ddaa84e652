//! A policy: the names it manages, and the parts that keep.

use jiff::Zoned;

use crate::{Names, Part, Plan, Snapshot, Space, Target};

/// Which snapshots are managed at all, and what of them is kept.
///
/// A managed snapshot lives if any part keeps it; a policy without parts has
/// nothing to say and destroys nothing. A snapshot that no part covers is not
/// managed, even where [`managing`](Self::managing) would allow it; so a part
/// more never destroys what the others kept, but may destroy what was not
/// managed before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub(crate) names: Names,
    pub(crate) parts: Vec<Part>,
    pub(crate) space: Option<Space>,
}

impl Policy {
    /// A policy that may destroy snapshots with these names and no others.
    pub fn managing(names: Names) -> Self {
        Self {
            names,
            parts: Vec::new(),
            space: None,
        }
    }

    /// The same policy with one more part.
    #[must_use]
    pub fn with(mut self, part: Part) -> Self {
        self.parts.push(part);
        self
    }

    /// The same policy with more parts.
    #[must_use]
    pub fn with_all(mut self, parts: impl IntoIterator<Item = Part>) -> Self {
        self.parts.extend(parts);
        self
    }

    /// The same policy, destroying only until `space` is reached: of what no
    /// part keeps and nothing protects, the oldest first. To destroy more than
    /// the usual when space is short, make a second policy with fewer parts.
    ///
    /// ```
    /// use zfs_retention::{Names, Part, Policy, Space};
    ///
    /// // Whatever goes, the newest 24 stay.
    /// let policy = Policy::managing(Names::prefix("auto_"))
    ///     .with(Part::last(24))
    ///     .until(Space::Free(10 << 30));
    /// # let _ = policy;
    /// ```
    #[must_use]
    pub fn until(mut self, space: Space) -> Self {
        self.space = Some(space);
        self
    }

    /// The names it manages.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Its parts, in the order they were added.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Decides over all snapshots of one dataset.
    ///
    /// `targets` are the places they are replicated to, none if they are not;
    /// `now` brings the zone whose calendar counts. The order of `snapshots`
    /// means nothing: history is `creation`, then `createtxg`.
    pub fn plan<'a, Id>(
        &'a self,
        snapshots: &'a [Snapshot<Id>],
        targets: &[Target],
        now: &Zoned,
    ) -> Plan<'a, Id> {
        Plan::new(self, snapshots, targets, now)
    }
}
