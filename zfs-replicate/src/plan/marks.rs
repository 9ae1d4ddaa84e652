//! Markers: what a dataset's steps do about them.

use zfs_core::{BookmarkName, Guid};

use super::Planner;
use super::dataset::Pair;
use super::step::{Action, Base, Mark, MarkerMove, Why};
use crate::marker::Marker;
use crate::tree::Dataset;

impl<'a> Planner<'a> {
    /// Puts the marker for `base` right, and returns it if it stands then.
    pub(super) fn mark(&mut self, pair: &Pair<'a>, base: &Base) -> Vec<BookmarkName> {
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
        let (right, stale): (Vec<_>, Vec<_>) = self
            .own_markers(pair.source)
            .into_iter()
            .partition(|(_, guid)| *guid == base.guid());
        let missing = right.is_empty();
        if missing || !stale.is_empty() {
            let why = if missing {
                Why::MarkerMissing
            } else {
                Why::MarkerStale
            };
            let mark = Mark {
                of: base.clone(),
                create: missing.then(|| name.clone()),
                destroy: stale.into_iter().map(|(name, _)| name).collect(),
            };
            self.steps.push(pair.step(Action::Mark(mark), why));
        }
        vec![name]
    }

    pub(super) fn first_marker(&mut self, pair: &Pair<'a>) -> Option<MarkerMove> {
        let stale = self
            .own_markers(pair.source)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
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

    /// The markers of this target that say the truth about themselves. One
    /// that does not was made by somebody else and is left alone.
    fn own_markers(&self, source: &Dataset) -> Vec<(BookmarkName, Guid)> {
        let mut own: Vec<_> = source
            .bookmarks
            .iter()
            .filter(|bookmark| {
                Marker::parse(bookmark.name.bookmark()).is_some_and(|marker| {
                    Some(&marker.target) == self.options.marker && marker.guid == bookmark.guid
                })
            })
            .map(|bookmark| (bookmark.name.clone(), bookmark.guid))
            .collect();
        own.sort();
        own
    }
}
