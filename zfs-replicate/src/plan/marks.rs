//! Markers: what a dataset's steps do about them.

use zfs_core::{BookmarkName, Guid};

use super::Planner;
use super::dataset::Pair;
use super::step::{Action, Base, Mark, MarkerMove, Why};
use crate::marker::Marker;
use crate::tree::{Bookmark, Dataset};

impl<'a> Planner<'a> {
    /// Puts the marker for `base` right, and returns what is stale once there is
    /// another. Where something `is_sent` on that base, it stays until then
    /// whatever it is called.
    pub(super) fn mark(
        &mut self,
        pair: &Pair<'a>,
        base: &Base,
        is_sent: bool,
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
        let mut stale = self.own_markers(pair.source);
        let missing = !stale.contains(&name);
        stale.retain(|own| *own != name);
        let mut later = vec![name.clone()];
        if is_sent {
            let (base, others): (Vec<_>, _) = stale
                .into_iter()
                .partition(|own| matches!(base, Base::Bookmark { name, .. } if name == own));
            (later, stale) = ([later, base].concat(), others);
        }
        if missing || !stale.is_empty() {
            let why = if missing {
                Why::MarkerMissing
            } else {
                Why::MarkerStale
            };
            let mark = Mark {
                of: base.clone(),
                create: missing.then_some(name),
                destroy: stale,
            };
            self.steps.push(pair.step(Action::Mark(mark), why));
        }
        later
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
