//! What there is at the other end: which commands list it, and when.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use zfs_core::{DatasetName, Guid};

use super::{Malformed, Stock, listing, remote};
use crate::error::Error;
use crate::plan::Stream;
use crate::tree::{Dataset, Tree};

/// How much there is to send of the tree that was listed last.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    root: Option<DatasetName>,
    /// `None` until somebody wants to know.
    known: Option<HashMap<DatasetName, Vec<listing::Size>>>,
}

/// The topmost dataset of the pool that was listed last, and its GUID.
pub(super) type KnownPool = Mutex<Option<(DatasetName, Guid)>>;

const DATASETS: &str = "filesystem,volume";
const POINTS: &str = "snapshot,bookmark";
const ALL: &str = "filesystem,volume,snapshot,bookmark";

/// The arguments that list what some trees have of these kinds.
fn list<'a>(
    kinds: &'a str,
    columns: &'a str,
    roots: impl IntoIterator<Item = &'a DatasetName>,
) -> impl Iterator<Item = &'a str> {
    let head = ["list", "-Hp", "-r", "-t", kinds, "-o", columns];
    let roots = roots.into_iter().map(DatasetName::as_str);
    head.into_iter().chain(roots)
}

/// The arguments that list the GUID of a pool's topmost dataset.
fn guid_of(top: &DatasetName) -> [&str; 7] {
    ["list", "-Hp", "-d", "0", "-o", "guid", top.as_str()]
}

fn number(line: &[u8]) -> Option<Guid> {
    let text = std::str::from_utf8(line).ok()?;
    text.parse().ok().map(Guid)
}

/// Where encryption begins, or the root where that is in too many places to be
/// named.
fn encrypted<'a>(root: &'a DatasetName, datasets: &'a [Dataset]) -> Vec<&'a DatasetName> {
    let all = datasets.iter().filter(|dataset| dataset.is_encrypted());
    let mut tops: Vec<&DatasetName> = Vec::new();
    for Dataset { name, .. } in all {
        if !tops.iter().any(|top| name.is_within(top)) {
            tops.push(name);
        }
        if tops.len() > 20 {
            return vec![root];
        }
    }
    tops
}

/// How often a tree is listed until nothing in it is renamed meanwhile.
const LISTINGS: usize = 3;

impl Stock {
    pub(super) fn whole_tree(&self, root: &DatasetName) -> Result<Tree, Error> {
        let mut listed = self.listed(root)?;
        for _ in 1..LISTINGS {
            if !matches!(&listed, Err(problem) if problem.meanwhile) {
                break;
            }
            listed = self.listed(root)?;
        }
        let mut datasets = listed.map_err(|problem| self.malformed(root.as_str(), &problem))?;
        if datasets.is_empty() {
            return Ok(Tree {
                root: root.clone(),
                datasets,
                above: self.nearest_above(root)?,
            });
        }
        self.add_ivsets(root, &mut datasets)?;
        *self.sizes() = Sizes {
            root: Some(root.clone()),
            known: None,
        };
        Ok(Tree {
            root: root.clone(),
            datasets,
            above: None,
        })
    }

    /// One listing of a tree, empty where it is not there.
    fn listed(&self, root: &DatasetName) -> Result<Result<Vec<Dataset>, Malformed>, Error> {
        let columns = format!("{}{}", listing::COLUMNS, listing::WRITTEN);
        let datasets = self.zfs(list(DATASETS, &columns, [root]));
        let times = if self.times { listing::TIMES } else { "" };
        let columns = format!("{}{times}", listing::POINTS);
        let all = self.zfs(list(ALL, &columns, [root]));
        let pool = match &self.pool {
            // Where there is none, the rest says so as well.
            Some(_) => format!("{}; ", self.zfs(guid_of(&root.pool().root()))),
            None => String::new(),
        };
        let command = self.with_programs(&format!("{pool}{datasets} && {all}"));
        let output = remote::run(&*self.transport, &command)?;
        let stdout = self.behind_pool(root, &output.stdout);
        if output.status.success() {
            let listed = listing::parse(stdout, |name| name.is_within(root));
            let is_whole = |datasets: &Vec<Dataset>| {
                let first = datasets.first();
                first.is_some_and(|first| first.name == *root)
            };
            if listed.as_ref().is_ok_and(|datasets| !is_whole(datasets)) {
                return Err(self.malformed(root.as_str(), &"it is not in its own listing"));
            }
            return Ok(listed);
        }
        if remote::is_missing(&output.stderr, root) {
            return Ok(Ok(Vec::new()));
        }
        let status = output.status;
        Err(remote::refused(
            &*self.transport,
            &command,
            status,
            &output.stderr,
        ))
    }

    /// Takes what is said of the pool from before a listing.
    fn behind_pool<'o>(&self, root: &DatasetName, output: &'o [u8]) -> &'o [u8] {
        let end = output.iter().position(|byte| *byte == b'\n');
        let Some((line, rest)) = end.and_then(|end| output.split_at_checked(end)) else {
            return output;
        };
        // A line of the listing has tabs.
        match (&self.pool, number(line)) {
            (Some(pool), Some(guid)) => {
                let top = root.pool().root();
                *pool.lock().unwrap_or_else(PoisonError::into_inner) = Some((top, guid));
                rest.get(1..).unwrap_or_default()
            }
            _ => output,
        }
    }

    /// The GUID of a pool, of which the last listing may have said it.
    pub(super) fn known_pool(&self, dataset: &DatasetName) -> Result<Option<Guid>, Error> {
        let top = dataset.pool().root();
        let known = self.pool.as_ref().and_then(|known| {
            let known = known.lock().unwrap_or_else(PoisonError::into_inner);
            known.clone().filter(|(name, _)| *name == top)
        });
        if let Some((_, guid)) = known {
            return Ok(Some(guid));
        }
        let names = std::slice::from_ref(&top);
        let said = self.run_on_what_is_there(&self.zfs(guid_of(&top)), names)?;
        if said.is_empty() {
            return Ok(None);
        }
        number(said.trim_ascii()).map(Some).ok_or_else(|| {
            let said = String::from_utf8_lossy(&said);
            self.malformed(top.as_str(), &format!("{:?} is no GUID", said.trim()))
        })
    }

    /// Runs a listing of several datasets: it fails where one of them is missing,
    /// and lists the others.
    fn run_on_what_is_there(&self, command: &str, names: &[DatasetName]) -> Result<Vec<u8>, Error> {
        let output = remote::run(&*self.transport, command)?;
        let mut names = names.iter();
        if output.status.success() || names.any(|name| remote::is_missing(&output.stderr, name)) {
            return Ok(output.stdout);
        }
        let status = output.status;
        Err(remote::refused(
            &*self.transport,
            command,
            status,
            &output.stderr,
        ))
    }

    /// Asks for the IV sets of what is encrypted.
    fn add_ivsets(&self, root: &DatasetName, datasets: &mut [Dataset]) -> Result<(), Error> {
        let encrypted: Vec<DatasetName> = encrypted(root, datasets).into_iter().cloned().collect();
        if encrypted.is_empty() {
            return Ok(());
        }
        let command = self.zfs(list(POINTS, listing::IVSETS, &encrypted));
        let output = self.run_on_what_is_there(&command, &encrypted)?;
        listing::ivsets(&output, datasets)
            .map_err(|problem| self.malformed(root.as_str(), &problem))
    }

    fn nearest_above(&self, root: &DatasetName) -> Result<Option<Dataset>, Error> {
        let ancestors: Vec<DatasetName> = root.ancestors().collect();
        if ancestors.is_empty() {
            return Ok(None);
        }
        let head = [
            "list",
            "-Hp",
            "-d",
            "0",
            "-t",
            DATASETS,
            "-o",
            listing::COLUMNS,
        ];
        let names = ancestors.iter().map(DatasetName::as_str);
        let command = self.zfs(head.into_iter().chain(names));
        let output = self.run_on_what_is_there(&command, &ancestors)?;
        let mut found = self.parse(root, &output, |name| ancestors.contains(name))?;
        found.sort_by_key(|dataset| dataset.name.depth());
        Ok(found.pop())
    }

    /// About how much a stream has.
    pub(super) fn estimated(&self, stream: &Stream) -> Option<u64> {
        // To ask zfs send would be a command of its own for each stream.
        let mut sizes = self.sizes();
        let Sizes { root, known } = &mut *sizes;
        let Some(root) = root else {
            return None;
        };
        let known = known.get_or_insert_with(|| self.ask_sizes(root));
        listing::estimate(known, stream)
    }

    fn sizes(&self) -> MutexGuard<'_, Sizes> {
        self.sizes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for them, once: nobody needs them who sends nothing.
    fn ask_sizes(&self, root: &DatasetName) -> HashMap<DatasetName, Vec<listing::Size>> {
        match self.run(list(POINTS, listing::SIZES, [root])) {
            Ok(output) => listing::sizes(&output),
            Err(error) => {
                tracing::debug!(%root, %error, "how much there is to send is not known");
                HashMap::new()
            }
        }
    }
}
