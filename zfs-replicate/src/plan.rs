//! The planner: from what both sides have to a list of steps, each with its
//! reason.
//!
//! ```text
//! source tree + target tree -> common base by GUID -> what is missing -> resume or not -> steps
//! ```
//!
//! It is pure: no clock, no I/O, the same steps for the same trees. Carried
//! out in order, the steps bring every wanted snapshot to the target and
//! take nothing away on either side but what they name: partial receives
//! that cannot go on, and markers that stand for what is long past. Planning
//! again after that gives no work; planning again after only some of them
//! gives the rest.
//!
//! ```
//! use zfs_core::{DatasetName, Guid, Txg};
//! use zfs_replicate::plan::{Options, plan};
//! use zfs_replicate::tree::{Dataset, Snapshot, Tree};
//!
//! let home = DatasetName::parse("tank/home")?;
//! let mut dataset = Dataset::new(home.clone(), Guid(1));
//! for (name, guid) in [("monday", 11), ("tuesday", 12)] {
//!     dataset.snapshots.push(Snapshot {
//!         name: home.with_snapshot(name)?,
//!         guid: Guid(guid),
//!         createtxg: Txg(guid),
//!     });
//! }
//! let source = Tree { root: home, datasets: vec![dataset], above: None };
//! let vault = DatasetName::parse("vault")?;
//! let target = Tree {
//!     root: vault.child("home")?,
//!     datasets: Vec::new(),
//!     above: Some(Dataset::new(vault, Guid(2))),
//! };
//!
//! let plan = plan(&source, &target, &Options::new())?;
//! assert_eq!(
//!     plan.steps[0].to_string(),
//!     "send tank/home@monday to vault/home in full, then @tuesday as an increment: \
//!      the target does not have it yet"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod base;
mod dataset;
mod resume;
mod step;
mod text;

use std::collections::{HashMap, HashSet};
use std::fmt;

use zfs_core::DatasetName;

pub use step::{
    Action, Advance, Base, Mark, MarkerMove, Range, Refusal, Step, Stream, Unusable, Why,
};

use crate::error::Error;
use crate::marker::TargetId;
use crate::tree::{Dataset, Encryption, Kind, Snapshot, Tree};

/// Steps, in the order in which they have to be done.
///
/// Those of one dataset depend on each other and on the ones that make a
/// dataset above it; other datasets do not matter to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Whether nothing would change on either side.
    pub fn is_empty(&self) -> bool {
        !self.steps.iter().any(|step| step.action.is_work())
    }

    /// The steps that say why something is not replicated.
    pub fn refused(&self) -> impl Iterator<Item = &Step> {
        self.steps
            .iter()
            .filter(|step| step.action == Action::Refuse)
    }
}

/// Where the two sides are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hosts {
    /// On the same system: the target must not lie in the source.
    #[default]
    Same,
    /// On two systems: the same names mean different datasets.
    Different,
}

/// How encrypted data leaves the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encrypted {
    /// As it lies on disk; the target needs no key.
    #[default]
    Raw,
    /// Decrypted. The source's key must be loaded.
    Plaintext,
}

/// Whether blocks above 128 KiB are sent in one piece.
///
/// A target stays with what it began with: the kernel refuses an increment
/// without them onto what was sent with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LargeBlocks {
    /// They are (`zfs send -L`).
    #[default]
    Whole,
    /// They are split, for a target without the large_blocks feature.
    Split,
}

/// Which snapshots are to be on the target.
type Wanted<'a> = dyn Fn(&DatasetName, &Snapshot) -> bool + 'a;

/// What a plan is to achieve.
#[derive(Clone, Copy, Default)]
#[must_use]
pub struct Options<'a> {
    marker: Option<&'a TargetId>,
    hosts: Hosts,
    encrypted: Encrypted,
    large_blocks: LargeBlocks,
    wanted: Option<&'a Wanted<'a>>,
}

impl<'a> Options<'a> {
    /// On one system, every snapshot, raw where encrypted, without markers.
    pub fn new() -> Options<'a> {
        Options::default()
    }

    /// Keeps a marker for this target on the source.
    pub fn marker(mut self, target: &'a TargetId) -> Options<'a> {
        self.marker = Some(target);
        self
    }

    /// Where the two sides are.
    pub fn hosts(mut self, hosts: Hosts) -> Options<'a> {
        self.hosts = hosts;
        self
    }

    /// How encrypted data leaves the source.
    pub fn encrypted(mut self, encrypted: Encrypted) -> Options<'a> {
        self.encrypted = encrypted;
        self
    }

    /// Whether blocks above 128 KiB are sent in one piece.
    pub fn large_blocks(mut self, large_blocks: LargeBlocks) -> Options<'a> {
        self.large_blocks = large_blocks;
        self
    }

    /// Sends only the snapshots for which this is true.
    pub fn wanted(mut self, wanted: &'a Wanted<'a>) -> Options<'a> {
        self.wanted = Some(wanted);
        self
    }
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("marker", &self.marker)
            .field("hosts", &self.hosts)
            .field("encrypted", &self.encrypted)
            .field("large_blocks", &self.large_blocks)
            .field("wanted", &self.wanted.map(|_| "a filter"))
            .finish()
    }
}

/// Plans the replication of `source` to `target`.
///
/// # Errors
///
/// - [`Error::SourceMissing`]: the source's tree is empty.
/// - [`Error::TargetPoolMissing`]: there is nothing to put the target below.
/// - [`Error::TargetInsideSource`].
///
/// What concerns one dataset only is no error but a step that refuses.
pub fn plan(source: &Tree, target: &Tree, options: &Options<'_>) -> Result<Plan, Error> {
    if source.get(&source.root).is_none() {
        return Err(Error::SourceMissing {
            dataset: source.root.clone(),
        });
    }
    if options.hosts == Hosts::Same && target.root.is_within(&source.root) {
        return Err(Error::TargetInsideSource {
            source_root: source.root.clone(),
            target_root: target.root.clone(),
        });
    }
    if target.above.is_none() && target.get(&target.root).is_none() {
        return Err(Error::TargetPoolMissing {
            dataset: target.root.clone(),
            pool: target.root.pool().as_str().to_owned(),
        });
    }

    let mut planner = Planner::new(source, target, options);
    // A parent's name is the beginning of its children's, so it sorts first.
    let mut datasets: Vec<&Dataset> = source
        .datasets
        .iter()
        .filter(|dataset| dataset.name.is_within(&source.root))
        .collect();
    datasets.sort_by(|a, b| a.name.cmp(&b.name));
    datasets.dedup_by(|a, b| a.name == b.name);
    for dataset in datasets {
        planner.dataset(dataset);
    }
    planner.gone_from_source();
    Ok(Plan {
        steps: planner.steps,
    })
}

/// What a dataset on the target is once the steps so far are done.
#[derive(Clone, Debug)]
struct Standing {
    kind: Kind,
    encryption: Option<Encryption>,
}

impl From<&Dataset> for Standing {
    fn from(dataset: &Dataset) -> Standing {
        Standing {
            kind: dataset.kind,
            encryption: dataset.encryption.clone(),
        }
    }
}

struct Planner<'a> {
    source: &'a Tree,
    target: &'a Tree,
    options: &'a Options<'a>,
    on_target: HashMap<&'a DatasetName, &'a Dataset>,
    standing: HashMap<DatasetName, Standing>,
    steps: Vec<Step>,
}

impl<'a> Planner<'a> {
    fn new(source: &'a Tree, target: &'a Tree, options: &'a Options<'a>) -> Planner<'a> {
        let on_target: HashMap<_, _> = target
            .datasets
            .iter()
            .map(|dataset| (&dataset.name, dataset))
            .collect();
        let standing = target
            .datasets
            .iter()
            .chain(&target.above)
            .map(|dataset| (dataset.name.clone(), Standing::from(dataset)))
            .collect();
        Planner {
            source,
            target,
            options,
            on_target,
            standing,
            steps: Vec::new(),
        }
    }

    fn gone_from_source(&mut self) {
        let on_source: HashSet<&DatasetName> = self
            .source
            .datasets
            .iter()
            .map(|dataset| &dataset.name)
            .collect();
        let mut gone: Vec<(DatasetName, DatasetName)> = Vec::new();
        for dataset in &self.target.datasets {
            let Some(path) = dataset.name.strip_prefix(&self.target.root) else {
                continue;
            };
            match self.source.root.join(path) {
                Ok(source) if on_source.contains(&source) => {}
                Ok(source) => gone.push((source, dataset.name.clone())),
                Err(_) => gone.push((self.source.root.clone(), dataset.name.clone())),
            }
        }
        gone.sort();
        for (source, target) in gone {
            self.steps.push(Step {
                source,
                target,
                action: Action::Nothing,
                why: Why::GoneFromSource,
            });
        }
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
