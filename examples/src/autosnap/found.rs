//! What there is of some datasets, and what of it could not be listed.
//!
//! ```text
//! roots ─> ListRequest ┬> datasets and their snapshots ─┐
//!                      └> errors ─> roots they concern ─┴─> Found
//! ```

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use zfs_core::{
    DatasetName, Details, Entry, EntryKinds, Error, ListCache, ListRequest, SnapshotEntry,
    SnapshotName, Zfs,
};
use zfs_retention::conf::Reach;
use zfs_retention::{Guid, Snapshot, Tier, Txg};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Each dataset with those of its snapshots that sanoid would see.
    pub(super) datasets: HashMap<DatasetName, Vec<Snapshot<SnapshotName>>>,
    /// Datasets whose first receive goes on, or was interrupted.
    pub(super) inconsistent: Vec<DatasetName>,
    /// What could not be listed.
    pub(super) unseen: Vec<Unseen>,
}

/// A configured dataset of which not everything could be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// Its name. Where it is configured with all below it, it may be
    /// something there that could not be listed.
    pub root: DatasetName,
    /// What was tried, and what ZFS said, on one line.
    pub error: String,
}

impl Found {
    /// Looks at `roots`, with everything below them where that is their reach.
    /// Who holds a snapshot is not looked at here: that is asked of the few
    /// that are to go.
    pub(super) fn list(
        zfs: &Zfs,
        roots: &BTreeSet<DatasetName>,
        reach: Reach,
        cache: Option<&ListCache>,
    ) -> Found {
        let mut found = Found::default();
        if roots.is_empty() {
            // No root would mean all pools.
            return found;
        }
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let mut request = ListRequest::new()
            .details(Details::Creation)
            .threads(threads);
        for root in roots {
            request = request.root(root.clone());
        }
        if let Some(cache) = cache {
            request = request.cache(cache.clone());
        }
        request = match reach {
            Reach::Tree => request.kinds(EntryKinds::DATASET | EntryKinds::SNAPSHOT),
            // Its children are as near as its snapshots, and nobody asked for
            // them: a root is there unless an error says otherwise.
            Reach::Alone => {
                let all = roots.iter().map(|root| (root.clone(), Vec::new()));
                found.datasets.extend(all);
                request.kinds(EntryKinds::SNAPSHOT).depth(1)
            }
        };
        let mut errors = Vec::new();
        let mut listing = zfs.list(request);
        for entry in &mut listing {
            match entry {
                Ok(entry) => found.add(entry),
                Err(error) => errors.push(error),
            }
        }
        for error in &errors {
            found.lack(error, roots, reach);
        }
        if let Some(error) = listing.cache_error() {
            tracing::info!("the next run has to list again: {error}");
        }
        found
    }

    fn add(&mut self, entry: Entry) {
        match entry {
            Entry::Dataset(dataset) => {
                if dataset.inconsistent {
                    self.inconsistent.push(dataset.name.clone());
                }
                self.datasets.entry(dataset.name).or_default();
            }
            Entry::Snapshot(entry) => {
                let dataset = entry.name.dataset().clone();
                if let Some(snapshot) = snapshot(*entry) {
                    self.datasets.entry(dataset).or_default().push(snapshot);
                }
            }
            Entry::Bookmark(_) => {}
        }
    }

    /// What an error leaves open. In the order of names the snapshots of a
    /// dataset come all or not at all, and what comes after an error about
    /// datasets is the next root.
    fn lack(&mut self, error: &Error, roots: &BTreeSet<DatasetName>, reach: Reach) {
        let about = about(error);
        let has_none = |own: &Vec<_>| own.is_empty();
        match &about {
            // It may be the snapshots that are missing.
            Some(name) if self.datasets.get(name).is_some_and(has_none) => {
                self.datasets.remove(name);
            }
            Some(_) => {}
            None => self.datasets.clear(),
        }
        if error.is_not_found() {
            // Not there, or gone while it was listed.
            return;
        }
        let concerns = |root: &DatasetName| match (&about, reach) {
            (None, _) => true,
            (Some(name), Reach::Alone) => name == root,
            (Some(name), Reach::Tree) => name.is_within(root),
        };
        for root in roots.iter().filter(|root| concerns(root)) {
            let error = error.to_string().replace('\n', "; ");
            tracing::debug!("{root} is not seen whole: {error}");
            let root = root.clone();
            self.unseen.push(Unseen { root, error });
        }
    }

    /// Adds what was found elsewhere.
    pub(super) fn extend(&mut self, other: Found) {
        self.datasets.extend(other.datasets);
        self.inconsistent.extend(other.inconsistent);
        self.unseen.extend(other.unseen);
    }
}

/// The dataset that an error of a listing is about. Of one that concerns a
/// thread none of the roots is: the others do its work.
fn about(error: &Error) -> Option<DatasetName> {
    let name = match error {
        Error::Zfs(failure) => &failure.name,
        Error::UnexpectedAnswer { name, .. }
        | Error::Nvlist { name, .. }
        | Error::Io { name, .. } => name,
        _ => return None,
    };
    name.parse().ok()
}

fn snapshot(entry: SnapshotEntry) -> Option<Snapshot<SnapshotName>> {
    let own = entry.name.snapshot();
    Tier::of(own)?;
    let creation = Timestamp::try_from(entry.creation?).ok()?;
    let snapshot = Snapshot::new(own, Guid(entry.guid.0), Txg(entry.createtxg.0), creation);
    Some(snapshot.with_id(entry.name))
}

#[cfg(test)]
mod tests {
    use zfs_core::{Errno, Failure, Operation};

    use super::*;

    fn name(text: &str) -> DatasetName {
        text.parse().unwrap()
    }

    fn refusal(name: &str, errno: Errno) -> Error {
        Error::Zfs(Failure {
            operation: Operation::List,
            name: name.to_owned(),
            errno,
            detail: None,
        })
    }

    fn roots(names: &[&str]) -> BTreeSet<DatasetName> {
        names.iter().map(|it| name(it)).collect()
    }

    fn found(names: &[&str]) -> Found {
        let datasets = names.iter().map(|it| (name(it), Vec::new())).collect();
        Found {
            datasets,
            ..Found::default()
        }
    }

    fn unseen(found: &Found) -> Vec<&str> {
        found.unseen.iter().map(|it| it.root.as_str()).collect()
    }

    #[test]
    fn an_error_concerns_the_roots_that_its_dataset_lies_in() {
        let trees = roots(&["tank", "tank/a", "usb"]);
        let mut found = found(&["tank", "tank/a", "tank/a/b", "usb"]);
        found.lack(&refusal("tank/a/b", Errno::EIO), &trees, Reach::Tree);
        assert_eq!(unseen(&found), ["tank", "tank/a"]);
        assert!(!found.datasets.contains_key(&name("tank/a/b")));
        assert_eq!(found.datasets.len(), 3);
        assert!(found.unseen[0].error.contains("tank/a/b"));
    }

    #[test]
    fn a_root_that_is_alone_is_concerned_by_its_own_errors() {
        let alone = roots(&["tank", "tank/a"]);
        let mut found = found(&["tank", "tank/a"]);
        found.lack(&refusal("tank/a", Errno::EAGAIN), &alone, Reach::Alone);
        assert_eq!(unseen(&found), ["tank/a"]);
        assert!(found.datasets.contains_key(&name("tank")));
    }

    #[test]
    fn what_is_not_there_is_no_trouble() {
        let alone = roots(&["tank", "tank/a"]);
        let mut found = found(&["tank", "tank/a"]);
        found.lack(&refusal("tank/a", Errno::ENOENT), &alone, Reach::Alone);
        assert_eq!(unseen(&found), [""; 0]);
        assert!(!found.datasets.contains_key(&name("tank/a")));
    }

    #[test]
    fn an_error_about_nobody_knows_what_concerns_all() {
        let trees = roots(&["tank", "usb"]);
        let mut found = found(&["tank", "usb"]);
        let odd = "tank/a@b@c".parse::<DatasetName>().unwrap_err();
        found.lack(&odd, &trees, Reach::Tree);
        assert_eq!(unseen(&found), ["tank", "usb"]);
        assert!(found.datasets.is_empty());
    }
}
