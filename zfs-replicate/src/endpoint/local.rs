//! This system's own ZFS, in process.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Weak;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use zfs_core::{
    BookmarkName, CreateRequest, DatasetKind, DatasetName, Defer, Guid, Kept, KeyStatus, ListCache,
    ListDatasets, ListSnapshots, ReceiveRequest, SendFlags, SendRequest, SnapshotName,
    SnapshotOrBookmark, Source, Txg, Zfs,
};
use zfs_stream::token::ResumeToken;

use super::stock::listing;
use super::{Access, Arrival, Arrived, Endpoint, Into, Receive};
use crate::error::Error;
use crate::plan::{Base, Rollback, Stream};
use crate::properties::Properties;
use crate::tree::{
    Bookmark, Dataset, Encryption, Key, Kind, Partial, ResumePoint, Snapshot, StreamForm, Tree,
};

/// Datasets are listed by this many threads: the kernel opens each one anew
/// for its snapshots, and that can go on side by side.
const LISTERS: usize = 4;

/// The ZFS of the system that this runs on.
#[derive(Clone, Debug)]
pub struct Local {
    zfs: Zfs,
    times: bool,
    written: bool,
    cache: Option<ListCache>,
}

impl Local {
    /// With a handle that is open already.
    pub fn new(zfs: Zfs) -> Local {
        Local {
            zfs,
            times: false,
            written: false,
            cache: None,
        }
    }

    /// Keeps trees in that cache, and takes them from there while the kernel's
    /// events say that nothing came, went, was renamed or received in their
    /// pool. Only root may ask for those; others list each time.
    #[must_use]
    pub fn with_cache(mut self, cache: ListCache) -> Local {
        self.cache = Some(cache);
        self
    }

    /// Says when each snapshot was made, which takes the kernel a little
    /// longer.
    #[must_use]
    pub fn with_times(mut self) -> Local {
        self.times = true;
        self
    }

    /// Says how much was written to each dataset since its youngest snapshot.
    /// No event of the kernel tells that, so nothing comes from a cache then.
    #[must_use]
    pub fn with_written(mut self) -> Local {
        self.written = true;
        self
    }

    /// A dataset with its snapshots and bookmarks.
    fn contents(&self, listed: &zfs_core::Dataset) -> Result<Dataset, Error> {
        let mut dataset = plain(listed);
        if self.written {
            let properties = listed.properties.as_ref();
            dataset.written = properties.and_then(|properties| properties.number("written"));
        }
        // The kernel tells both only together with everything else.
        let mut what = ListSnapshots::new();
        if self.times || dataset.is_encrypted() {
            what = what.with_properties();
        }
        for snapshot in self.zfs.list_snapshots(&listed.name, what).gather()? {
            dataset.snapshots.push(Snapshot {
                creation: snapshot.creation(),
                ivset: snapshot
                    .properties
                    .as_ref()
                    .and_then(|properties| properties.number("ivsetguid"))
                    .filter(|number| *number != 0)
                    .map(Guid),
                name: snapshot.name,
                guid: snapshot.guid,
                createtxg: snapshot.createtxg,
            });
        }
        for bookmark in self.zfs.bookmarks(&listed.name)? {
            dataset.bookmarks.push(Bookmark {
                ivset: if dataset.is_encrypted() {
                    self.ivset(&bookmark.name)
                } else {
                    None
                },
                name: bookmark.name,
                guid: bookmark.guid,
                createtxg: bookmark.createtxg,
            });
        }
        Ok(dataset)
    }

    /// What a bookmark of an encrypted dataset says about its snapshot's
    /// blocks. Bookmarks of old pools do not, and some are gone by then.
    fn ivset(&self, bookmark: &BookmarkName) -> Option<Guid> {
        let properties = self.zfs.bookmark_properties(bookmark).ok()?;
        let property = properties.get_nvlist("ivsetguid");
        let number = match property {
            Some(property) => property.get_u64("value"),
            None => properties.get_u64("ivsetguid"),
        };
        number.filter(|number| *number != 0).map(Guid)
    }

    /// Fills the datasets side by side, in their order. One that went away
    /// since it was listed is left out.
    fn fill(&self, listed: &[zfs_core::Dataset]) -> Result<Vec<Dataset>, Error> {
        let next = AtomicUsize::new(0);
        let mut filled = thread::scope(|scope| {
            let workers: Vec<_> = (0..LISTERS.min(listed.len()))
                .map(|_| {
                    scope.spawn(|| {
                        let mut mine = Vec::new();
                        loop {
                            let index = next.fetch_add(1, Ordering::Relaxed);
                            let Some(dataset) = listed.get(index) else {
                                return Ok(mine);
                            };
                            match self.contents(dataset) {
                                Ok(dataset) => mine.push((index, dataset)),
                                Err(Error::Zfs(error)) if error.is_not_found() => {}
                                Err(error) => return Err(error),
                            }
                        }
                    })
                })
                .collect();
            let mut all = Vec::with_capacity(listed.len());
            for worker in workers {
                match worker.join() {
                    Ok(mine) => all.extend(mine?),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Ok::<_, Error>(all)
        })?;
        filled.sort_by_key(|(index, _)| *index);
        Ok(filled.into_iter().map(|(_, dataset)| dataset).collect())
    }

    /// Destroys the snapshots of a dataset that are listed, if they are those
    /// that were planned to go.
    fn destroy_exactly(
        &self,
        dataset: &DatasetName,
        which: ListSnapshots,
        planned: &[SnapshotName],
    ) -> Result<(), Error> {
        let there = self
            .zfs
            .list_snapshots(dataset, which)
            .map(|snapshot| Ok(snapshot?.name))
            .collect::<Result<HashSet<_>, Error>>()?;
        let planned: HashSet<_> = planned.iter().cloned().collect();
        if there != planned {
            return Err(Error::Changed {
                dataset: dataset.clone(),
            });
        }
        if planned.is_empty() {
            return Ok(());
        }
        Ok(self.zfs.destroy_snapshots(&planned, Defer::No)?)
    }

    /// The datasets of a tree as the kernel lists them.
    fn listed(&self, root: &DatasetName, kept: Option<&Kept>) -> Result<Vec<Dataset>, Error> {
        let listing = self
            .zfs
            .list_datasets(root, ListDatasets::new().recursive());
        let listed = match listing.collect::<Result<Vec<_>, _>>() {
            Ok(listed) => listed,
            // Not there, or gone while it was listed: to the planner both
            // are the same.
            Err(error) if error.is_not_found() => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let datasets = self.fill(&listed)?;
        if let Some(kept) = kept.filter(|_| !datasets.is_empty()) {
            if let Err(error) = kept.keep(listing::write(&datasets).as_bytes()) {
                tracing::debug!(%root, %error, "the listing cannot be kept");
            }
        }
        Ok(datasets)
    }

    /// The place in the cache for a tree.
    fn kept(&self, root: &DatasetName) -> Option<Kept> {
        if self.written {
            return None;
        }
        let times = if self.times { "\tcreation" } else { "" };
        let name = format!("{root}{times}");
        self.cache.as_ref()?.kept(&self.zfs, &root.pool(), &name)
    }

    /// The datasets of a tree that was kept. Of those that are encrypted, or
    /// in the middle of a receive, the kernel is asked for what no event tells:
    /// their keys, and how far they are. None where that does not fit.
    fn recalled(&self, root: &DatasetName, kept: &[u8]) -> Option<Vec<Dataset>> {
        let mut datasets = listing::parse(kept, |name| name.is_within(root)).ok()?;
        for dataset in &mut datasets {
            if !dataset.is_encrypted() && dataset.partial.is_none() {
                continue;
            }
            let now = plain(&self.zfs.dataset(&dataset.name).ok()?);
            if now.guid != dataset.guid {
                return None;
            }
            dataset.encryption = now.encryption;
            dataset.partial = now.partial;
        }
        Some(datasets)
    }

    fn nearest_above(&self, root: &DatasetName) -> Result<Option<Dataset>, Error> {
        for name in root.ancestors() {
            match self.zfs.dataset(&name) {
                Ok(listed) => return Ok(Some(plain(&listed))),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }
}

/// A dataset without its snapshots and bookmarks.
fn plain(listed: &zfs_core::Dataset) -> Dataset {
    let mut dataset = Dataset::new(listed.name.clone(), listed.guid);
    dataset.kind = match listed.kind {
        DatasetKind::Filesystem => Kind::Filesystem,
        DatasetKind::Volume => Kind::Volume,
    };
    dataset.encryption = listed.encryption_root().map(|root| Encryption {
        root,
        key: match listed.key_status() {
            Some(KeyStatus::Available) => Key::Loaded,
            _ => Key::Unavailable,
        },
    });
    dataset.origin.clone_from(&listed.origin);
    dataset.partial = listed.receive_resume_token().map(partial);
    dataset
}

/// What a resume token says.
pub(super) fn partial(token: &str) -> Partial {
    match ResumeToken::decode(token) {
        Ok(token) => Partial::Token(ResumePoint {
            to_guid: Guid(token.to_guid),
            redacted: token.redact_snaps.is_some() || token.book_redact_snaps.is_some(),
            to_name: token.to_name,
            from_guid: token.from_guid.map(Guid),
            object: token.object,
            offset: token.offset,
            bytes: token.bytes,
            form: StreamForm {
                raw: token.raw,
                large_blocks: token.large_block,
                compressed: token.compress,
                embedded: token.embed,
            },
        }),
        Err(error) => Partial::Unreadable {
            problem: error.to_string(),
        },
    }
}

fn source(base: &Base) -> SnapshotOrBookmark {
    match base {
        Base::Snapshot { name, .. } => name.clone().into(),
        Base::Bookmark { name, .. } => name.clone().into(),
    }
}

fn request(stream: &Stream) -> SendRequest {
    let form = stream.form;
    let mut flags = SendFlags::empty();
    flags.set(SendFlags::RAW, form.raw);
    flags.set(SendFlags::LARGE_BLOCK, form.large_blocks);
    flags.set(SendFlags::COMPRESS, form.compressed);
    flags.set(SendFlags::EMBED_DATA, form.embedded);
    let mut request = SendRequest::snapshot(stream.to.name.clone()).flags(flags);
    if let Some(base) = &stream.from {
        request = request.from(source(base));
    }
    if let Some(point) = &stream.resume {
        request = request
            .resume(point.object, point.offset)
            .already_received(point.bytes);
    }
    request
}

impl Endpoint for Local {
    fn tree(&self, root: &DatasetName) -> Result<Tree, Error> {
        let kept = self.kept(root);
        let value = kept.as_ref().and_then(Kept::value);
        let recalled = value.and_then(|value| self.recalled(root, value));
        let datasets = match recalled {
            Some(datasets) => datasets,
            None => self.listed(root, kept.as_ref())?,
        };
        Ok(Tree {
            root: root.clone(),
            datasets,
            above: self.nearest_above(root)?,
        })
    }

    fn pool_guid(&self, dataset: &DatasetName) -> Result<Option<Guid>, Error> {
        match self.zfs.dataset(&dataset.pool().root()) {
            Ok(top) => Ok(Some(top.guid)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn properties(&self, root: &DatasetName) -> Result<HashMap<DatasetName, Properties>, Error> {
        let mut all = HashMap::new();
        for dataset in self
            .zfs
            .list_datasets(root, ListDatasets::new().recursive())
        {
            let dataset = dataset?;
            let Some(listed) = &dataset.properties else {
                continue;
            };
            let given = listed.iter().filter(|(_, property)| {
                matches!(property.source, Source::Local | Source::Received)
            });
            let own = given.map(|(name, _)| {
                let value = listed.text(&name);
                (name, value)
            });
            all.insert(dataset.name.clone(), own.collect());
        }
        Ok(all)
    }

    fn estimate(&self, stream: &Stream) -> Result<Option<u64>, Error> {
        Ok(Some(self.zfs.send_space(&request(stream))?))
    }

    fn send(&self, stream: &Stream, pipe: BorrowedFd<'_>) -> Result<(), Error> {
        Ok(self.zfs.send(&request(stream), pipe)?)
    }

    fn sent(&self, stream: &Stream, pipe: &Weak<OwnedFd>) -> Option<u64> {
        // The kernel knows the send by this process and this descriptor. It
        // must not be closed in between, and must be closed when the sender
        // is done, or the receiver would wait for more.
        let pipe = pipe.upgrade()?;
        let progress = self
            .zfs
            .send_progress(&stream.to.name, pipe.as_fd())
            .ok()??;
        Some(progress.bytes_written)
    }

    fn receive(&self, receive: &Receive, pipe: BorrowedFd<'_>) -> Result<Arrived, Error> {
        let mut request = ReceiveRequest::new(receive.snapshot.clone()).resumable();
        if receive.raw {
            request = request.raw();
        }
        if let Into::Clone(origin) = &receive.into {
            request = request.origin(origin.clone());
        }
        if receive.into != Into::Existing && receive.access == Access::ReadOnly {
            request = request.property("readonly", "on");
        }
        for (name, value) in &*receive.properties {
            request = request.property(name, value.as_str());
        }
        let received = self.zfs.receive(&request, pipe)?;
        let unset = received.property_errors.iter();
        Ok(Arrived {
            bytes: received.bytes_read,
            guid: Arrival::Ask,
            unset: unset.map(ToString::to_string).collect(),
        })
    }

    fn has_partial(&self, dataset: &DatasetName) -> bool {
        let listed = self.zfs.dataset(dataset);
        listed.is_ok_and(|listed| listed.receive_resume_token().is_some())
    }

    fn guid(&self, snapshot: &SnapshotName) -> Result<Guid, Error> {
        Ok(self.zfs.snapshot_entry(snapshot)?.guid)
    }

    fn create(&self, dataset: &DatasetName) -> Result<(), Error> {
        let request = CreateRequest::filesystem(dataset.clone())
            .property("canmount", "off")
            .property("readonly", "on");
        Ok(self.zfs.create(&request)?)
    }

    fn rename(&self, from: &DatasetName, to: &DatasetName) -> Result<(), Error> {
        Ok(self.zfs.rename(from, to)?)
    }

    fn clone_snapshot(
        &self,
        origin: &SnapshotName,
        dataset: &DatasetName,
        properties: &Properties,
    ) -> Result<(), Error> {
        let mut all = zfs_core::Properties::new().with("readonly", "on");
        for (name, value) in properties {
            all.set(name.as_str(), value.as_str());
        }
        Ok(self.zfs.clone_snapshot(origin, dataset, &all)?)
    }

    fn promote(&self, dataset: &DatasetName) -> Result<(), Error> {
        Ok(self.zfs.promote(dataset)?)
    }

    fn rollback(&self, rollback: &Rollback) -> Result<(), Error> {
        let to = self.zfs.snapshot_entry(&rollback.to)?;
        let since = ListSnapshots::new().min_txg(Txg(to.createtxg.0.saturating_add(1)));
        self.destroy_exactly(rollback.to.dataset(), since, &rollback.destroy)?;
        Ok(self.zfs.rollback_to(&rollback.to)?)
    }

    fn destroy(&self, dataset: &DatasetName, snapshots: &[SnapshotName]) -> Result<(), Error> {
        self.zfs.check_destroy([dataset])?;
        self.destroy_exactly(dataset, ListSnapshots::new(), snapshots)?;
        Ok(self.zfs.destroy(dataset)?)
    }

    fn abort_receive(&self, dataset: &DatasetName) -> Result<(), Error> {
        match self.zfs.destroy(&dataset.partial_receive()?) {
            Ok(()) => return Ok(()),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
        // Without the hidden child the dataset itself is what was being
        // received. Looked at again, since a dataset is about to be destroyed
        // (the kernel refuses where there are snapshots of it).
        let listed = self.zfs.dataset(dataset)?;
        if !listed.inconsistent || listed.receive_resume_token().is_none() {
            return Err(Error::NothingPartial {
                dataset: dataset.clone(),
            });
        }
        Ok(self.zfs.destroy(dataset)?)
    }

    fn hold(&self, snapshot: &SnapshotName, tag: &str) -> Result<(), Error> {
        match self.zfs.hold([snapshot], tag) {
            Err(error) if !error.is_exists() => return Err(error.into()),
            _ => {}
        }
        let all = ListSnapshots::new().with_properties();
        let mut stale = Vec::new();
        for other in self.zfs.list_snapshots(snapshot.dataset(), all) {
            let other = other?;
            if other.name == *snapshot || other.userrefs() == Some(0) {
                continue;
            }
            if self
                .zfs
                .holds(&other.name)?
                .iter()
                .any(|hold| hold.tag == tag)
            {
                stale.push(other.name);
            }
        }
        self.release(&stale.iter().collect::<Vec<_>>(), tag)
    }

    fn release(&self, snapshots: &[&SnapshotName], tag: &str) -> Result<(), Error> {
        if snapshots.is_empty() {
            return Ok(());
        }
        match self.zfs.release(snapshots.iter().copied(), tag) {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn held(&self, snapshots: &[&SnapshotName], tag: &str) -> Result<HashSet<SnapshotName>, Error> {
        let mut held = HashSet::new();
        for name in snapshots {
            match self.zfs.holds(name) {
                Ok(holds) if holds.iter().any(|hold| hold.tag == tag) => {
                    held.insert((*name).clone());
                }
                Ok(_) => {}
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(held)
    }

    fn bookmark(&self, bookmarks: &[(Base, BookmarkName)]) -> Result<(), Error> {
        let all: Vec<_> = bookmarks
            .iter()
            .map(|(of, name)| (name, source(of)))
            .collect();
        let Err(error) = self.zfs.bookmark(all.iter().map(|(name, of)| (*name, of))) else {
            return Ok(());
        };
        // The kernel makes all or none.
        if let [_] = all.as_slice() {
            return Err(error.into());
        }
        let mut result = Ok(());
        for (name, of) in &all {
            result = result.and(self.zfs.bookmark([(*name, of)]));
        }
        Ok(result?)
    }

    fn destroy_bookmarks(&self, names: &[BookmarkName]) -> Result<(), Error> {
        Ok(self.zfs.destroy_bookmarks(names)?)
    }
}

#[cfg(test)]
mod tests {
    use zfs_core::Txg;

    use super::*;

    fn stream() -> Stream {
        Stream {
            from: Some(Base::Bookmark {
                name: "tank/a#m".parse().unwrap(),
                guid: Guid(1),
            }),
            origin: None,
            to: Snapshot {
                name: "tank/a@2".parse().unwrap(),
                guid: Guid(2),
                createtxg: Txg(20),
                creation: None,
                ivset: None,
            },
            form: StreamForm {
                raw: true,
                large_blocks: true,
                compressed: true,
                embedded: false,
            },
            resume: None,
        }
    }

    #[test]
    fn a_stream_becomes_the_request_for_it() {
        let wanted = SendRequest::snapshot("tank/a@2".parse().unwrap())
            .from("tank/a#m".parse::<BookmarkName>().unwrap())
            .flags(SendFlags::RAW | SendFlags::LARGE_BLOCK | SendFlags::COMPRESS);
        assert_eq!(request(&stream()), wanted);
    }

    #[test]
    fn a_resumed_stream_goes_on_where_its_token_says() {
        let token = ResumeToken {
            to_guid: 2,
            to_name: "tank/a@2".to_owned(),
            from_guid: Some(1),
            object: 7,
            offset: 4096,
            bytes: 999,
            raw: true,
            ..ResumeToken::default()
        };
        let Partial::Token(point) = partial(&token.encode().unwrap()) else {
            panic!("not read");
        };
        assert_eq!((point.from_guid, point.bytes), (Some(Guid(1)), 999));
        let mut stream = stream();
        stream.form = point.form;
        stream.resume = Some(point);
        let wanted = SendRequest::snapshot("tank/a@2".parse().unwrap())
            .from("tank/a#m".parse::<BookmarkName>().unwrap())
            .flags(SendFlags::RAW)
            .resume(7, 4096)
            .already_received(999);
        assert_eq!(request(&stream), wanted);
    }

    #[test]
    fn a_token_that_is_none_is_reported_as_such() {
        assert!(matches!(partial("1-xyz"), Partial::Unreadable { .. }));
    }
}
