//! Markers: what a dataset's steps do about them.

use std::collections::HashSet;

use zfs_core::{BookmarkName, Guid};

use super::Planner;
use super::dataset::Pair;
use super::step::{Action, Base, Mark, MarkerMove, Why};
use crate::marker::Marker;
use crate::tree::{Bookmark, Dataset, Snapshot};

impl<'a> Planner<'a> {
    /// Puts the marker for `base` right, and returns what is stale once there is
    /// another. Until then what keeps that base stays whatever it is called, and
    /// so does what was bookmarked for the snapshots that are `missing` and about
    /// to be sent: another run may be sending them right now.
    pub(super) fn mark(
        &mut self,
        pair: &Pair<'a>,
        base: &Base,
        missing: &[Snapshot],
    ) -> Vec<BookmarkName> {
        let Some(target) = self.options.marker else {
            return Vec::new();
        };
        let marker = Marker {
            target: target.clone(),
            guid: base.guid(),
        };
        let Ok(name) = marker.bookmark(&pair.source.name) else {
            self.steps
                .push(pair.step(Action::Nothing, Why::NoRoomForMarker));
            return Vec::new();
        };
        let own = self.own_markers(pair.source);
        let is_missing = !own.contains(&name);
        let is_base =
            |own: &BookmarkName| matches!(base, Base::Bookmark { name, .. } if name == own);
        let sent: HashSet<Guid> = missing.iter().map(|snapshot| snapshot.guid).collect();
        let stays = |own: &BookmarkName| {
            let sending = Marker::parse_sending(own.bookmark());
            let is_sending = sending.is_some_and(|sending| sent.contains(&sending.guid));
            is_sending || (!sent.is_empty() && is_base(own))
        };
        let (later, stale): (Vec<_>, Vec<_>) =
            own.into_iter().filter(|own| *own != name).partition(stays);
        if is_missing || !stale.is_empty() {
            let why = if is_missing {
                Why::MarkerMissing
            } else {
                Why::MarkerStale
            };
            let mark = Mark {
                of: base.clone(),
                create: is_missing.then(|| name.clone()),
                destroy: stale,
            };
            self.steps.push(pair.step(Action::Mark(mark), why));
        }
        [vec![name], later].concat()
    }

    pub(super) fn first_marker(&mut self, pair: &Pair<'a>) -> Option<MarkerMove> {
        let stale = self.own_markers(pair.source);
        let marker = self.marker_move(pair.source, stale);
        if marker.is_none() && self.options.marker.is_some() {
            self.steps
                .push(pair.step(Action::Nothing, Why::NoRoomForMarker));
        }
        marker
    }

    pub(super) fn marker_move(
        &self,
        source: &Dataset,
        stale: Vec<BookmarkName>,
    ) -> Option<MarkerMove> {
        let target = self.options.marker?;
        // All markers of a target are equally long.
        let any = Marker {
            target: target.clone(),
            guid: Guid(0),
        };
        any.bookmark(&source.name).ok()?;
        Some(MarkerMove {
            target: target.clone(),
            stale,
        })
    }

    /// The markers of this target that say the truth about themselves, and what
    /// was bookmarked for sending. One that does not was made by somebody else
    /// and is left alone.
    fn own_markers(&self, source: &Dataset) -> Vec<BookmarkName> {
        let is_own = |bookmark: &&Bookmark| {
            let name = bookmark.name.bookmark();
            let marker = Marker::parse(name).or_else(|| Marker::parse_sending(name));
            marker.is_some_and(|marker| {
                Some(&marker.target) == self.options.marker && marker.guid == bookmark.guid
            })
        };
        let own = source.bookmarks.iter().filter(is_own);
        let mut own: Vec<_> = own.map(|bookmark| bookmark.name.clone()).collect();
        own.sort();
        own
    }
}
