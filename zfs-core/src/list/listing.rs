//! The listing itself.
//!
//! ```text
//! roots -> Walk -> Step* (sorted) -> [ snapshots | bookmarks | cache, in threads ] -> Entry*
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::iter::{self, FusedIterator};
use std::sync::Arc;

use super::cache::Session;
use super::request::{Details, Entry, EntryKinds, ListRequest};
use super::step::{Context, Entries, Step, Steps};
use super::threads::Threads;
use crate::error::{Error, Operation};
use crate::name::{DatasetName, PoolName};
use crate::zfs::Zfs;

/// Steps that are under way or done ahead of their turn, for each thread.
const AHEAD: usize = 4;

/// The entries of a listing.
///
/// An error is about one dataset; what comes after it is the rest.
pub struct Listing {
    context: Arc<Context>,
    steps: Steps,
    /// Before the threads: what nobody takes must not keep one waiting.
    pending: VecDeque<Entries>,
    threads: Option<Threads>,
    ended: bool,
    cache_error: Option<io::Error>,
}

impl fmt::Debug for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listing")
            .field("request", &self.context.request)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl Listing {
    /// What kept the cache from being written; known when the listing has
    /// come to its end.
    pub fn cache_error(&self) -> Option<&io::Error> {
        self.cache_error.as_ref()
    }

    /// Of how many datasets so far the snapshots came from the cache.
    pub fn cached_datasets(&self) -> usize {
        self.context.session.as_ref().map_or(0, Session::hits)
    }

    fn fill(&mut self) {
        let room = match &self.threads {
            Some(_) => AHEAD * self.context.request.threads,
            None => 1,
        };
        while self.pending.len() < room {
            let entries: Entries = match (self.steps.next(), &self.threads) {
                (None, _) => return,
                (Some(Err(error)), _) => Box::new(iter::once(Err(error))),
                (Some(Ok(step @ (Step::Snapshots(_) | Step::Bookmarks(_)))), Some(threads)) => {
                    Box::new(threads.give(step))
                }
                (Some(Ok(step)), _) => step.run(&self.context),
            };
            self.pending.push_back(entries);
        }
    }
}

impl Iterator for Listing {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            self.fill();
            let Some(first) = self.pending.front_mut() else {
                self.ended = true;
                if let Some(session) = &self.context.session {
                    self.cache_error = session.finish().err();
                }
                break;
            };
            match first.next() {
                Some(entry) => return Some(entry),
                None => {
                    self.pending.pop_front();
                }
            }
        }
        None
    }
}

impl FusedIterator for Listing {}

impl Zfs {
    /// Lists datasets, snapshots and bookmarks: see [`ListRequest`].
    ///
    /// A dataset that goes away while it is listed is left out, unless it is
    /// one of the roots.
    ///
    /// # Errors
    ///
    /// As items, each about one dataset: a root does not exist or went away,
    /// or ZFS could not read something. Any user may list.
    pub fn list(&self, request: ListRequest) -> Listing {
        let threads = request.threads;
        let (roots, error) = match self.roots(&request) {
            Ok(roots) => (roots, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let context = Arc::new(Context {
            zfs: self.clone(),
            session: self.session(&request, &roots),
            request,
        });
        let mut errors: Vec<Error> = error.into_iter().collect();
        let members = EntryKinds::SNAPSHOT | EntryKinds::BOOKMARK;
        let threads = if threads > 1 && context.request.kinds.intersects(members) {
            match Threads::start(threads, &context) {
                Ok(threads) => Some(threads),
                Err(source) => {
                    errors.push(Error::Io {
                        operation: Operation::List,
                        name: "the datasets".to_owned(),
                        what: "starting a thread",
                        source,
                    });
                    None
                }
            }
        } else {
            None
        };
        Listing {
            steps: Steps::of(&context, roots),
            context,
            pending: errors
                .into_iter()
                .map(|error| Box::new(iter::once(Err(error))) as Entries)
                .collect(),
            threads,
            ended: false,
            cache_error: None,
        }
    }

    /// Where to begin, and whether that was asked for by name.
    fn roots(&self, request: &ListRequest) -> Result<Vec<(DatasetName, bool)>, Error> {
        if request.roots.is_empty() {
            let pools = self.list_pools()?;
            return Ok(pools
                .into_iter()
                .map(|pool| (pool.name.root(), false))
                .collect());
        }
        let mut roots: Vec<(DatasetName, bool)> = Vec::new();
        for root in &request.roots {
            if !roots.iter().any(|(other, _)| other == root) {
                roots.push((root.clone(), true));
            }
        }
        Ok(roots)
    }

    /// The cache, where it can be of use.
    fn session(&self, request: &ListRequest, roots: &[(DatasetName, bool)]) -> Option<Session> {
        let useful =
            request.details < Details::Properties && request.kinds.contains(EntryKinds::SNAPSHOT);
        let cache = request.cache.clone().filter(|_| useful)?;
        let mut pools: Vec<PoolName> = roots.iter().map(|(root, _)| root.pool()).collect();
        pools.sort();
        pools.dedup();
        // What leaves snapshots out has seen no tree whole.
        let whole =
            request.datasets.is_none() && request.min_txg.is_none() && request.max_txg.is_none();
        let levels = request.levels();
        let trees: Vec<_> = roots
            .iter()
            .filter(|_| whole)
            .map(|(root, _)| (root, levels))
            .collect();
        Some(Session::start(cache, self, &pools, &trees))
    }
}
