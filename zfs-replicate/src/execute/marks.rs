//! How the marker on the source goes along with the streams of a range.
//!
//! ```text
//! #sending-… for the next snapshots -> their streams -> #replica-… for the last one -> the others go
//! ```
//!
//! Whatever is killed or pruned in between, what the target has last is a
//! bookmark on the source.

use zfs_core::{BookmarkName, DatasetName, Guid};

use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::plan::{Base, Mark, MarkerMove, Stream};

/// For how many snapshots the marker moves once: each time costs a transaction
/// of the source's pool, or three.
pub(super) const AHEAD: usize = 64;

/// The marker of one range. What goes wrong with it stops no stream: the data
/// is worth more, and the next run puts the marker right.
pub(super) struct Marks<'a> {
    source: &'a dyn Endpoint,
    dataset: &'a DatasetName,
    moves: Option<MarkerMove>,
    /// Bookmarked, and not known to have arrived.
    sending: Vec<(Guid, BookmarkName)>,
    /// Has arrived, and the marker is still behind it.
    arrived: Option<Base>,
    problem: Option<Error>,
}

impl<'a> Marks<'a> {
    pub fn new(
        source: &'a dyn Endpoint,
        dataset: &'a DatasetName,
        moves: Option<MarkerMove>,
    ) -> Marks<'a> {
        Marks {
            source,
            dataset,
            moves,
            sending: Vec::new(),
            arrived: None,
            problem: None,
        }
    }

    /// These are about to be sent.
    pub fn sending<'s>(&mut self, streams: impl Iterator<Item = &'s Stream>) {
        let result = self.try_sending(streams);
        self.note(result);
    }

    fn try_sending<'s>(&mut self, streams: impl Iterator<Item = &'s Stream>) -> Result<(), Error> {
        let Some(moves) = &mut self.moves else {
            return Ok(());
        };
        let mut new = Vec::new();
        for stream in streams {
            let guid = stream.to.guid;
            let name = moves.sending(self.dataset, guid)?;
            // An earlier run may have left it.
            match moves.stale.iter().position(|stale| *stale == name) {
                Some(index) => drop(moves.stale.remove(index)),
                None => new.push((base(stream), name.clone())),
            }
            self.sending.push((guid, name));
        }
        if new.is_empty() {
            return Ok(());
        }
        self.source.bookmark(&new)
    }

    /// This one is on the target, and all before it.
    pub fn arrived(&mut self, stream: &Stream) {
        let Some(moves) = &mut self.moves else {
            return;
        };
        let until = self
            .sending
            .iter()
            .position(|(guid, _)| *guid == stream.to.guid);
        let done = self.sending.drain(..until.map_or(0, |index| index + 1));
        moves.stale.extend(done.map(|(_, name)| name));
        self.arrived = Some(base(stream));
    }

    /// Moves the marker to what has arrived.
    pub fn advance(&mut self) {
        let result = self.try_advance();
        self.note(result);
    }

    fn try_advance(&mut self) -> Result<(), Error> {
        let (Some(moves), Some(of)) = (&mut self.moves, self.arrived.take()) else {
            return Ok(());
        };
        let advance = moves.advance(self.dataset, of.guid())?;
        let mark = Mark {
            of,
            create: advance.create,
            destroy: advance.destroy,
        };
        put_right(self.source, &mark)
    }

    fn note(&mut self, result: Result<(), Error>) {
        if let Err(error) = result {
            self.problem.get_or_insert(error);
        }
    }

    /// What went wrong.
    pub fn end(mut self) -> Result<(), Error> {
        self.advance();
        self.problem.map_or(Ok(()), |problem| {
            Err(Error::NotMarked {
                dataset: self.dataset.clone(),
                source: Box::new(problem),
            })
        })
    }
}

fn base(stream: &Stream) -> Base {
    Base::Snapshot {
        name: stream.to.name.clone(),
        guid: stream.to.guid,
    }
}

/// The new marker before the old one goes: there is never a moment without.
pub(super) fn put_right(source: &dyn Endpoint, mark: &Mark) -> Result<(), Error> {
    if let Some(name) = &mark.create {
        source.bookmark(&[(mark.of.clone(), name.clone())])?;
    }
    let stale: &[BookmarkName] = &mark.destroy;
    if stale.is_empty() {
        return Ok(());
    }
    source.destroy_bookmarks(stale)
}
