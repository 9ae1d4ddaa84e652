//! Why a snapshot is kept or destroyed, for people and for machines.

use std::fmt;

use crate::{Part, Protection};

/// One reason behind a verdict.
///
/// A kept snapshot has at least one reason that [keeps](Self::keeps), and
/// beside it what the other parts said; a destroyed one has only
/// [`Missed`](Self::Missed), one for each part that covers it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason<'a> {
    /// Something stands over the policy.
    Protected(Protection<'a>),
    /// The policy has no parts and so destroys nothing.
    EmptyPolicy,
    /// No part keeps it, but the space that was wanted is won without it.
    SpaceSuffices,
    /// No part keeps it, but its group is pruned whole and a member stays.
    Group,
    /// This part keeps it.
    Kept {
        /// The part.
        part: &'a Part,
        /// As what.
        kept: Kept,
    },
    /// This part covers it and does not keep it.
    Missed {
        /// The part.
        part: &'a Part,
        /// Why not.
        missed: Missed<'a>,
    },
}

/// As what a part keeps a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kept {
    /// The part keeps all it covers.
    Covered,
    /// It is within the part's count.
    Counted {
        /// Its place among what the part counts; 1 is the newest.
        rank: u32,
    },
    /// It is not too old for the part.
    Young,
    /// It is the newest of all, from which the part measures.
    Newest,
    /// It is the oldest of all, and there are fewer periods than the part
    /// counts.
    Oldest,
    /// It stands for a period, a bucket or a slot.
    Period {
        /// Which one: `2026-04-03`, `bucket 3`, …
        period: String,
        /// The period's place among those the part counts, where it counts.
        rank: Option<u32>,
    },
}

/// Why a part does not keep a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missed<'a> {
    /// It, or the period it stands for, is beyond the part's count; a count
    /// of `rank` would keep it.
    BeyondCount {
        /// Its place among what the part counts.
        rank: u32,
        /// The period it stands for, where the part has periods.
        period: Option<String>,
    },
    /// It is beyond the part's count and too old for it as well; a count of
    /// `needed` would keep it.
    BeyondCountAndAge {
        /// The least count that would keep it.
        needed: u32,
    },
    /// Another snapshot stands for the same period; no count of periods would
    /// keep it, except as the [oldest](Kept::Oldest).
    Superseded {
        /// The name of that snapshot.
        by: Option<&'a str>,
        /// The period.
        period: Option<String>,
    },
    /// It is older than anything the part keeps.
    TooOld,
    /// Its bucket keeps a number of older ones.
    BucketFull {
        /// The bucket: `bucket 3`.
        period: String,
    },
}

impl Reason<'_> {
    /// Whether this reason alone lets the snapshot live.
    pub fn keeps(&self) -> bool {
        !matches!(self, Self::Missed { .. })
    }

    /// One word for machines: a protection's own, `empty_policy`,
    /// `space_suffices`, `group`, `kept`, `beyond_count`,
    /// `beyond_count_and_age`, `superseded`, `too_old` or `bucket_full`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Protected(protection) => protection.kind(),
            Self::EmptyPolicy => "empty_policy",
            Self::SpaceSuffices => "space_suffices",
            Self::Group => "group",
            Self::Kept { .. } => "kept",
            Self::Missed { missed, .. } => match missed {
                Missed::BeyondCount { .. } => "beyond_count",
                Missed::BeyondCountAndAge { .. } => "beyond_count_and_age",
                Missed::Superseded { .. } => "superseded",
                Missed::TooOld => "too_old",
                Missed::BucketFull { .. } => "bucket_full",
            },
        }
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protected(protection) => protection.fmt(f),
            Self::EmptyPolicy => f.write_str("the policy has no parts, so it destroys nothing"),
            Self::SpaceSuffices => f.write_str("enough space is won without destroying it"),
            Self::Group => f.write_str("another snapshot of its group stays"),
            Self::Kept { part, kept } => write!(f, "{part}: {kept}"),
            Self::Missed { part, missed } => write!(f, "{part}: {missed}"),
        }
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Covered => f.write_str("kept"),
            Self::Counted { rank } => write!(f, "kept, number {rank}"),
            Self::Young => f.write_str("kept, young enough"),
            Self::Newest => f.write_str("kept, the newest"),
            Self::Oldest => f.write_str("kept, the oldest while there are fewer"),
            Self::Period { period, rank: None } => write!(f, "kept for {period}"),
            Self::Period {
                period,
                rank: Some(rank),
            } => write!(f, "kept for {period}, number {rank}"),
        }
    }
}

impl fmt::Display for Missed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeyondCount { rank, period } => {
                let what = period.as_deref().unwrap_or("it");
                write!(f, "{what} is number {rank}")
            }
            Self::BeyondCountAndAge { needed } => {
                write!(
                    f,
                    "too old, and there are enough newer ones; {needed} would keep it"
                )
            }
            Self::Superseded { by, period } => {
                let period = period.as_deref().unwrap_or("its period");
                let by = by.unwrap_or("another snapshot");
                write!(f, "{by} stands for {period}")
            }
            Self::TooOld => f.write_str("too old"),
            Self::BucketFull { period } => write!(f, "{period} has older ones enough"),
        }
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Reason<'_> {
    /// An object with `kind`, the `part` as text, what is known of `target`,
    /// `rank`, `period` and `by`, and `text`, which is what [`Display`] prints.
    ///
    /// [`Display`]: fmt::Display
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", self.kind())?;
        if let Self::Kept { part, .. } | Self::Missed { part, .. } = self {
            map.serialize_entry("part", &part.to_string())?;
        }
        let (target, rank, period, by) = self.details();
        if let Some(target) = target {
            map.serialize_entry("target", target)?;
        }
        if let Some(rank) = rank {
            map.serialize_entry("rank", &rank)?;
        }
        if let Some(period) = period {
            map.serialize_entry("period", period)?;
        }
        if let Some(by) = by {
            map.serialize_entry("by", by)?;
        }
        map.serialize_entry("text", &self.to_string())?;
        map.end()
    }
}

#[cfg(feature = "serde")]
impl Reason<'_> {
    /// Target, rank, period and the snapshot that stands for it.
    fn details(&self) -> (Option<&str>, Option<u32>, Option<&str>, Option<&str>) {
        match self {
            Self::Protected(protection) => (protection.target(), None, None, None),
            Self::EmptyPolicy | Self::SpaceSuffices | Self::Group => (None, None, None, None),
            Self::Kept { kept, .. } => match kept {
                Kept::Counted { rank } => (None, Some(*rank), None, None),
                Kept::Period { period, rank } => (None, *rank, Some(period), None),
                Kept::Covered | Kept::Young | Kept::Newest | Kept::Oldest => {
                    (None, None, None, None)
                }
            },
            Self::Missed { missed, .. } => match missed {
                Missed::BeyondCount { rank, period } => {
                    (None, Some(*rank), period.as_deref(), None)
                }
                Missed::BeyondCountAndAge { needed } => (None, Some(*needed), None, None),
                Missed::Superseded { by, period } => (None, None, period.as_deref(), *by),
                Missed::TooOld => (None, None, None, None),
                Missed::BucketFull { period } => (None, None, Some(period), None),
            },
        }
    }
}
