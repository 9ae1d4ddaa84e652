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
//!         creation: None,
//!         ivset: None,
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
mod below;
mod clones;
mod dataset;
mod gone;
pub(crate) mod holds;
mod locate;
mod marks;
mod provenance;
mod resume;
mod step;
mod text;
mod view;

use std::cell::OnceCell;
use std::collections::HashMap;
use std::fmt;

use zfs_core::{DatasetName, Guid};

pub use holds::Unheld;
pub(crate) use provenance::signature;
pub use provenance::{Provenance, provenance};
pub use step::{
    Action, Advance, Base, Mark, MarkerMove, Range, Refusal, Rollback, Step, Stream, Unusable, Why,
};

use crate::error::Error;
use crate::marker::TargetId;
use crate::tree::{Dataset, Snapshot, Tree};
use locate::Index;
use view::View;

/// Steps, in the order in which they have to be done.
///
/// Those of one dataset depend on each other and on the ones that make a
/// dataset above it; other datasets do not matter to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The GUID of the source's topmost dataset.
    pub source: Guid,
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
    /// On two systems, as far as is known: the same names mean different
    /// datasets, unless their GUIDs are the same as well.
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

/// Whether blocks are sent as compressed as they lie on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Blocks {
    /// They are (`zfs send -c`).
    #[default]
    AsStored,
    /// They are decompressed, for a stream that is compressed on its way, or
    /// a target that compresses in its own manner. Raw ones stay as they are.
    Decompressed,
}

/// What becomes of a target that has gone its own way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Diverged {
    /// It is left as it is, and the plan says what is in the way.
    #[default]
    Refuse,
    /// It is taken back to the last common snapshot. The plan lists what
    /// goes.
    Rollback,
}

/// What becomes of the target's datasets that the source no longer has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gone {
    /// They are reported and kept.
    #[default]
    Keep,
    /// Those that say that they are replicas ([`Options::provenance`]) are
    /// destroyed, after everything else, unless the source has a snapshot of
    /// them in another dataset. The plan lists what goes.
    Destroy,
}

/// Which datasets are replicated.
type Datasets<'a> = dyn Fn(&Dataset) -> bool + 'a;

/// Which snapshots are to be on the target.
type Wanted<'a> = dyn Fn(&DatasetName, &Snapshot) -> bool + 'a;

/// Whose a dataset of the target is.
type Whose<'a> = dyn Fn(&Dataset) -> Provenance + 'a;

/// What a plan is to achieve.
#[derive(Clone, Copy, Default)]
#[must_use]
pub struct Options<'a> {
    marker: Option<&'a TargetId>,
    hosts: Hosts,
    encrypted: Encrypted,
    large_blocks: LargeBlocks,
    blocks: Blocks,
    diverged: Diverged,
    gone: Gone,
    datasets: Option<&'a Datasets<'a>>,
    wanted: Option<&'a Wanted<'a>>,
    provenance: Option<&'a Whose<'a>>,
    unheld: Option<&'a Unheld>,
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

    /// Whether blocks are sent as compressed as they lie on disk.
    pub fn blocks(mut self, blocks: Blocks) -> Options<'a> {
        self.blocks = blocks;
        self
    }

    /// What becomes of a target that has gone its own way.
    pub fn diverged(mut self, diverged: Diverged) -> Options<'a> {
        self.diverged = diverged;
        self
    }

    /// What becomes of the target's datasets that the source no longer has.
    pub fn gone(mut self, gone: Gone) -> Options<'a> {
        self.gone = gone;
        self
    }

    /// Replicates only the datasets of the source for which this is true. Of
    /// those that the source no longer has it is asked as well, of which only
    /// the name is known: where it is false they are left alone.
    pub fn datasets(mut self, wanted: &'a Datasets<'a>) -> Options<'a> {
        self.datasets = Some(wanted);
        self
    }

    /// Sends only the snapshots for which this is true.
    pub fn wanted(mut self, wanted: &'a Wanted<'a>) -> Options<'a> {
        self.wanted = Some(wanted);
        self
    }

    /// Says whose a dataset of the target is that the source does not have, or
    /// that has nothing but an interrupted receive which tells of no snapshot of
    /// the source. It may be called something else by then; its GUID is the same.
    /// Without this nothing is known of any: [`Gone::Destroy`] destroys none, and
    /// no such receive is given up.
    pub fn provenance(mut self, provenance: &'a Whose<'a>) -> Options<'a> {
        self.provenance = Some(provenance);
        self
    }

    /// Holds the newest common snapshots again that are among these.
    pub fn unheld(mut self, unheld: &'a Unheld) -> Options<'a> {
        self.unheld = Some(unheld);
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
            .field("blocks", &self.blocks)
            .field("diverged", &self.diverged)
            .field("gone", &self.gone)
            .field("datasets", &self.datasets.map(|_| "a filter"))
            .field("wanted", &self.wanted.map(|_| "a filter"))
            .field("provenance", &self.provenance.map(|_| "known"))
            .field("unheld", &self.unheld)
            .finish()
    }
}

/// Plans the replication of `source` to `target`.
///
/// # Errors
///
/// - [`Error::SourceMissing`]: the source's tree is empty.
/// - [`Error::TargetPoolMissing`]: there is nothing to put the target below.
/// - [`Error::TargetInsideSource`], [`Error::SourceInsideTarget`].
///
/// What concerns one dataset only is no error but a step that refuses.
pub fn plan(source: &Tree, target: &Tree, options: &Options<'_>) -> Result<Plan, Error> {
    let Some(top) = source.get(&source.root) else {
        return Err(Error::SourceMissing {
            dataset: source.root.clone(),
        });
    };
    let is_same = options.hosts == Hosts::Same || is_same_pool(source, target);
    if is_same && target.root.is_within(&source.root) {
        return Err(Error::TargetInsideSource {
            source_root: source.root.clone(),
            target_root: target.root.clone(),
        });
    }
    let is_listed_there = target.get(&source.root);
    let is_listed_there = is_listed_there.is_some_and(|there| there.guid == top.guid);
    if is_listed_there || (is_same && source.root.is_within(&target.root)) {
        return Err(Error::SourceInsideTarget {
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
        planner.ensure(dataset);
    }
    planner.promote_waiting();
    planner.gone_from_source();
    Ok(Plan {
        source: top.guid,
        steps: planner.steps,
    })
}

/// Whether both sides list the same dataset, whatever their hosts are called:
/// a replica has a GUID of its own.
fn is_same_pool(source: &Tree, target: &Tree) -> bool {
    let listed = target.get(&target.root).or(target.above.as_ref());
    let listed = listed.and_then(|there| Some((there, source.get(&there.name)?)));
    listed.is_some_and(|(there, here)| there.guid == here.guid)
}

/// How far the planning of a dataset is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Begun,
    Done,
}

struct Planner<'a> {
    source: &'a Tree,
    target: &'a Tree,
    options: &'a Options<'a>,
    sources: HashMap<&'a DatasetName, &'a Dataset>,
    /// The clones of each dataset of the source.
    clones: HashMap<&'a DatasetName, Vec<&'a Dataset>>,
    index: OnceCell<Index<'a>>,
    view: View<'a>,
    progress: HashMap<&'a DatasetName, Progress>,
    /// How many datasets are waiting for the one at hand.
    depth: usize,
    /// Datasets that are to be promoted once their origin has more.
    waiting: Vec<&'a Dataset>,
    steps: Vec<Step>,
}

impl<'a> Planner<'a> {
    fn new(source: &'a Tree, target: &'a Tree, options: &'a Options<'a>) -> Planner<'a> {
        let mut clones: HashMap<&DatasetName, Vec<&Dataset>> = HashMap::new();
        for dataset in &source.datasets {
            if let Some(origin) = &dataset.origin {
                clones.entry(origin.dataset()).or_default().push(dataset);
            }
        }
        Planner {
            source,
            target,
            options,
            sources: source
                .datasets
                .iter()
                .map(|dataset| (&dataset.name, dataset))
                .collect(),
            clones,
            index: OnceCell::new(),
            view: View::new(target),
            progress: HashMap::new(),
            depth: 0,
            waiting: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// Plans a dataset, after those above it and the one that it is a clone
    /// of. What is waiting for this one already comes later.
    fn ensure(&mut self, source: &'a Dataset) {
        let mut above: Vec<&'a Dataset> = source
            .name
            .ancestors()
            .filter_map(|name| self.sources.get(&name).copied())
            .collect();
        above.reverse();
        for parent in above {
            self.ensure_one(parent);
            if self.progress.get(&parent.name) != Some(&Progress::Done) {
                return;
            }
        }
        self.ensure_one(source);
    }

    fn ensure_one(&mut self, source: &'a Dataset) {
        if self.progress.contains_key(&source.name) {
            return;
        }
        self.progress.insert(&source.name, Progress::Begun);
        self.origin_first(source);
        self.dataset(source);
        self.progress.insert(&source.name, Progress::Done);
    }
}

#[cfg(test)]
mod events;
#[cfg(test)]
mod model;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod properties_options;
#[cfg(test)]
mod tests;
