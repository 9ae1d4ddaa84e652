//! Why a snapshot is kept or destroyed, for people and for machines.

use std::fmt;

use crate::{Part, Protection};

/// One reason behind a verdict.
///
/// A kept snapshot has a [`Protected`](Self::Protected) or a
/// [`Kept`](Self::Kept) among its reasons, and beside it what the other parts
/// said; a destroyed one has only [`Missed`](Self::Missed), one for each part
/// that covers it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason<'a> {
    /// Something stands over the policy.
    Protected(Protection<'a>),
    /// The policy has no parts and so destroys nothing.
    EmptyPolicy,
    /// This part keeps it.
    Kept {
        /// The part.
        part: &'a Part,
        /// Its place among what the part counts (1 is the newest), where the
        /// part counts.
        rank: Option<u32>,
        /// The calendar period it stands for, where the part has periods.
        period: Option<String>,
    },
    /// This part covers it and does not keep it.
    Missed {
        /// The part.
        part: &'a Part,
        /// Why not.
        missed: Missed<'a>,
        /// The calendar period it lies in, where the part has periods.
        period: Option<String>,
    },
}

/// Why a part does not keep a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missed<'a> {
    /// It is beyond the part's count; a count of `rank` would keep it.
    BeyondCount {
        /// Its place among what the part counts.
        rank: u32,
    },
    /// Another snapshot stands for the same period; no count would keep it.
    Superseded {
        /// The name of that snapshot.
        by: Option<&'a str>,
    },
}

impl Reason<'_> {
    /// Whether this reason alone lets the snapshot live.
    pub fn keeps(&self) -> bool {
        !matches!(self, Self::Missed { .. })
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protected(protection) => protection.fmt(f),
            Self::EmptyPolicy => f.write_str("the policy has no parts, so it destroys nothing"),
            Self::Kept { part, rank, period } => {
                write!(f, "{part}: kept")?;
                if let Some(period) = period {
                    write!(f, " for {period}")?;
                }
                match rank {
                    Some(rank) => write!(f, ", number {rank}"),
                    None => Ok(()),
                }
            }
            Self::Missed {
                part,
                missed,
                period,
            } => {
                write!(f, "{part}: ")?;
                match (missed, period) {
                    (Missed::BeyondCount { rank }, Some(period)) => {
                        write!(f, "{period} is number {rank}")
                    }
                    (Missed::BeyondCount { rank }, None) => write!(f, "it is number {rank}"),
                    (Missed::Superseded { by }, period) => {
                        let period = period.as_deref().unwrap_or("its period");
                        let by = by.unwrap_or("a newer snapshot");
                        write!(f, "{by} stands for {period}")
                    }
                }
            }
        }
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Reason<'_> {
    /// An object with `kind`, the `part` as text, what is known of `rank`,
    /// `period` and `by`, and `text`, which is what [`Display`] prints.
    ///
    /// [`Display`]: fmt::Display
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Protected(protection) => {
                map.serialize_entry("kind", protection.kind())?;
                if let Some(target) = protection.target() {
                    map.serialize_entry("target", target)?;
                }
            }
            Self::EmptyPolicy => map.serialize_entry("kind", "empty_policy")?,
            Self::Kept { part, rank, period } => {
                map.serialize_entry("kind", "kept")?;
                map.serialize_entry("part", &part.to_string())?;
                if let Some(rank) = rank {
                    map.serialize_entry("rank", rank)?;
                }
                if let Some(period) = period {
                    map.serialize_entry("period", period)?;
                }
            }
            Self::Missed {
                part,
                missed,
                period,
            } => {
                match missed {
                    Missed::BeyondCount { rank } => {
                        map.serialize_entry("kind", "beyond_count")?;
                        map.serialize_entry("rank", rank)?;
                    }
                    Missed::Superseded { by } => {
                        map.serialize_entry("kind", "superseded")?;
                        if let Some(by) = by {
                            map.serialize_entry("by", by)?;
                        }
                    }
                }
                map.serialize_entry("part", &part.to_string())?;
                if let Some(period) = period {
                    map.serialize_entry("period", period)?;
                }
            }
        }
        map.serialize_entry("text", &self.to_string())?;
        map.end()
    }
}
