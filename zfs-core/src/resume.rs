//! Resume tokens: from the property of a receiver to the request of a sender.
//!
//! ```text
//! receiver: receive_resume_token -> ResumeToken -> (text) -> sender: resume_request -> Zfs::send
//! ```
//!
//! A token names what was being sent, by name and GUID. It may come from
//! elsewhere and be of a renamed dataset, or made up: here the caller says of
//! which dataset something may be sent, and the GUIDs decide what.

use crate::error::{Errno, Error, Failure, Operation};
use crate::list::ListSnapshots;
use crate::name::{BookmarkName, DatasetName, Guid, SnapshotName, SnapshotOrBookmark};
use crate::redact::Redaction;
use crate::send::{SendFlags, SendRequest};
use crate::zfs::Zfs;

pub use zfs_stream::token::ResumeToken;

/// How many origins of origins are looked at for an incremental source.
const MAX_ORIGINS: usize = 64;

impl Zfs {
    /// What a sender needs to go on with an interrupted, resumable receive
    /// into this dataset; none where there is nothing to go on with.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] where there is no such dataset.
    pub fn receive_resume_token(
        &self,
        dataset: &DatasetName,
    ) -> Result<Option<ResumeToken>, Error> {
        let entry = self.dataset(dataset)?;
        let Some(text) = entry.receive_resume_token() else {
            return Ok(None);
        };
        ResumeToken::decode(text)
            .map(Some)
            .map_err(|source| Error::UnexpectedAnswer {
                operation: Operation::GetProperties,
                name: dataset.as_str().into(),
                reason: format!("its receive_resume_token: {source}"),
            })
    }

    /// The request for the rest of what an interrupted receive was receiving:
    /// a snapshot of `dataset`, with the source, flags and place of the token.
    ///
    /// The snapshot and its source are found by their GUIDs, whatever they are
    /// called now; the source among the snapshots and bookmarks of the dataset
    /// and of those that it is a clone of.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] where the dataset, the snapshot or the source
    /// does not exist any more.
    ///
    /// # Example
    ///
    /// ```no_run
    /// use zfs_core::{DatasetName, ResumeToken, Zfs};
    ///
    /// let zfs = Zfs::open()?;
    /// let home: DatasetName = "tank/home".parse()?;
    /// let text = "1-bf31b879a-b8-…"; // zfs get receive_resume_token, over there
    /// let token = ResumeToken::decode(text).unwrap();
    /// let rest = zfs.resume_request(&home, &token)?;
    /// println!("about {} bytes to go", zfs.send_space(&rest)?);
    /// # Ok::<(), zfs_core::Error>(())
    /// ```
    pub fn resume_request(
        &self,
        dataset: &DatasetName,
        token: &ResumeToken,
    ) -> Result<SendRequest, Error> {
        let snapshot = self
            .snapshot_of_guid(dataset, Guid(token.to_guid))?
            .ok_or_else(|| {
                missing(
                    dataset,
                    format!("it has no snapshot with GUID {}", token.to_guid),
                )
            })?;
        let request = SendRequest::snapshot(snapshot)
            .resume(token.object, token.offset)
            .already_received(token.bytes);
        self.with_source_of(request, dataset, token)
    }

    /// The request for what an interrupted, resumable receive into `dataset`
    /// has brought so far (`zfs send --saved`): it can be received elsewhere,
    /// and resumed there with the rest.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] where there is no such dataset, nothing of an
    /// interrupted receive in it, or the incremental source is gone.
    pub fn saved_request(&self, dataset: &DatasetName) -> Result<SendRequest, Error> {
        let token = self
            .receive_resume_token(dataset)?
            .ok_or_else(|| missing(dataset, "no interrupted receive was saved in it".to_owned()))?;
        // A receive into a dataset that was there is kept beside it.
        let partial = dataset.partial_receive()?;
        let kept = if self.exists(&partial)? {
            partial
        } else {
            dataset.clone()
        };
        self.with_source_of(SendRequest::saved(kept), dataset, &token)
    }

    fn with_source_of(
        &self,
        mut request: SendRequest,
        dataset: &DatasetName,
        token: &ResumeToken,
    ) -> Result<SendRequest, Error> {
        for (set, flag) in [
            (token.large_block, SendFlags::LARGE_BLOCK),
            (token.embed, SendFlags::EMBED_DATA),
            (token.compress, SendFlags::COMPRESS),
            (token.raw, SendFlags::RAW),
            (token.saved, SendFlags::SAVED),
        ] {
            if set {
                request = request.flags(flag);
            }
        }
        if let Some(guid) = token.from_guid {
            let by = token.book_redact_snaps.as_deref();
            let source = self.point_of_guid(dataset, Guid(guid), by)?;
            request = request.from(source.ok_or_else(|| {
                missing(
                    dataset,
                    format!("there is no snapshot or bookmark with GUID {guid} to send it from"),
                )
            })?);
        }
        if let Some(snapshots) = &token.redact_snaps {
            let all = self.redactions(dataset)?;
            let mark = all
                .into_iter()
                .find(|(_, redaction)| is_by(redaction.as_ref(), snapshots));
            let (mark, _) = mark.ok_or_else(|| {
                missing(
                    dataset,
                    "it has no redaction bookmark as the one it was sent by".to_owned(),
                )
            })?;
            request = request.redacted(mark);
        }
        Ok(request)
    }

    fn snapshot_of_guid(
        &self,
        dataset: &DatasetName,
        guid: Guid,
    ) -> Result<Option<SnapshotName>, Error> {
        for snapshot in self.list_snapshots(dataset, ListSnapshots::new()) {
            let snapshot = snapshot?;
            if snapshot.guid == guid {
                return Ok(Some(snapshot.name));
            }
        }
        Ok(None)
    }

    /// A snapshot goes before a bookmark, but not where a redaction bookmark
    /// was the source.
    fn point_of_guid(
        &self,
        dataset: &DatasetName,
        guid: Guid,
        redacted_by: Option<&[u64]>,
    ) -> Result<Option<SnapshotOrBookmark>, Error> {
        let mut place = Some(dataset.clone());
        for _ in 0..MAX_ORIGINS {
            let Some(dataset) = place else { break };
            if let Some(by) = redacted_by {
                if let Some(mark) = self.redaction_of_guid(&dataset, guid, by)? {
                    return Ok(Some(mark.into()));
                }
            } else {
                if let Some(snapshot) = self.snapshot_of_guid(&dataset, guid)? {
                    return Ok(Some(snapshot.into()));
                }
                let marks = self.bookmarks(&dataset)?;
                if let Some(mark) = marks.into_iter().find(|mark| mark.guid == guid) {
                    return Ok(Some(mark.name.into()));
                }
            }
            place = self
                .dataset(&dataset)?
                .origin
                .map(|origin| origin.dataset().clone());
        }
        Ok(None)
    }

    fn redaction_of_guid(
        &self,
        dataset: &DatasetName,
        guid: Guid,
        by: &[u64],
    ) -> Result<Option<BookmarkName>, Error> {
        let marks = self.bookmarks(dataset)?;
        let found = self
            .redactions(dataset)?
            .into_iter()
            .find(|(name, redaction)| {
                is_by(redaction.as_ref(), by)
                    && marks
                        .iter()
                        .any(|mark| mark.name == *name && mark.guid == guid)
            });
        Ok(found.map(|(name, _)| name))
    }
}

/// Whether a complete redaction is by these snapshots, in whatever order.
fn is_by(redaction: Option<&Redaction>, snapshots: &[u64]) -> bool {
    redaction.is_some_and(|redaction| {
        let sorted = |mut guids: Vec<u64>| {
            guids.sort_unstable();
            guids
        };
        let ours = redaction.snapshots.iter().map(|guid| guid.0).collect();
        redaction.complete && sorted(ours) == sorted(snapshots.to_vec())
    })
}

fn missing(dataset: &DatasetName, why: String) -> Error {
    let mut failure = Failure::new(Operation::Send, dataset.as_str(), Errno::ENOENT);
    failure.detail = Some(why);
    Error::Zfs(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redaction_is_by_the_same_snapshots_in_any_order() {
        let redaction = |complete| Redaction {
            snapshots: vec![Guid(3), Guid(1)],
            complete,
        };
        assert!(is_by(Some(&redaction(true)), &[1, 3]));
        assert!(!is_by(Some(&redaction(false)), &[1, 3]));
        assert!(!is_by(Some(&redaction(true)), &[1]));
        assert!(!is_by(None, &[]));
    }
}
