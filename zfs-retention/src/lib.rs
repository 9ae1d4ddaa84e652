//! Which snapshots a policy keeps, which it destroys, and why.
//!
//! A pure calculation: snapshots, a [`Policy`], the [`Target`]s that
//! replication serves and the present moment go in, a [`Plan`] comes out that
//! gives every snapshot [`Keep`](Verdict::Keep) or
//! [`Destroy`](Verdict::Destroy) with all its reasons. Nothing here reads a
//! clock, a file or a pool, so the same call answers "what would happen" and
//! "do it", and a year of pruning can be simulated in a moment.
//!
//! ```text
//! snapshots ┐
//! policy    ├─> Policy::plan -> parts -> protections -> Plan -> Decision { verdict, reasons }
//! targets   │
//! now       ┘
//! ```
//!
//! A policy is made of [`Part`]s, and a snapshot lives if any part keeps it.
//! Over that stand the [`Protection`]s, which no policy overrides: what is
//! held or cloned, what the policy does not manage, what lies in the future,
//! and what replication still needs.
//!
//! # Example
//!
//! ```
//! use jiff::{Timestamp, Zoned};
//! use zfs_retention::{Guid, Names, Part, Policy, Snapshot, Txg, Verdict};
//!
//! let now: Zoned = "2026-04-03T12:00:00+02:00[Europe/Berlin]".parse()?;
//! let at = |name: &str, time: &str, txg| -> Result<Snapshot, jiff::Error> {
//!     Ok(Snapshot::new(name, Guid(txg), Txg(txg), time.parse::<Timestamp>()?))
//! };
//! let snapshots = [
//!     at("auto_a", "2026-04-01T08:00:00Z", 10)?,
//!     at("auto_b", "2026-04-02T08:00:00Z", 20)?,
//!     at("auto_c", "2026-04-02T20:00:00Z", 30)?,
//!     at("before-upgrade", "2026-01-01T00:00:00Z", 5)?,
//! ];
//! let policy = Policy::managing(Names::prefix("auto_")).with(Part::daily(1)).with(Part::last(1));
//! let plan = policy.plan(&snapshots, &[], &now);
//!
//! let destroyed: Vec<_> = plan.destroyed().map(|snapshot| snapshot.name.as_str()).collect();
//! assert_eq!(destroyed, ["auto_a", "auto_b"]);
//! // Made by hand, managed by nobody, never touched.
//! assert_eq!(plan.decision("before-upgrade").unwrap().verdict(), Verdict::Keep);
//! # Ok::<(), jiff::Error>(())
//! ```
#![forbid(unsafe_code)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod calendar;
pub mod conf;
mod error;
mod keep;
mod length;
mod look;
mod names;
mod naming;
mod part;
#[cfg(feature = "regex")]
mod pattern;
mod plan;
mod policy;
mod protection;
mod reason;
mod rule;
mod schedule;
mod simulation;
mod snapshot;
mod space;
mod target;
mod tier;
mod timeline;

pub use calendar::Unit;
pub use error::Error;
pub use keep::Keep;
pub use length::parse_length;
pub use names::{Glob, Names};
pub use naming::{Named, Template};
pub use part::Part;
#[cfg(feature = "regex")]
pub use pattern::Regex;
pub use plan::{Change, Decision, Plan, Reclaimable, Verdict};
pub use policy::Policy;
pub use protection::Protection;
pub use reason::{Kept, Missed, Reason};
pub use rule::{End, Grid, GridInterval, Rule, Thinning};
pub use schedule::{Crontab, SanoidTimes, Schedule};
pub use simulation::{Life, Order, Run, Simulation};
pub use snapshot::{Guid, Snapshot, Txg};
pub use space::Space;
pub use target::Target;
pub use tier::Tier;
pub use timeline::Timeline;
