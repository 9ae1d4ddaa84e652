//! The steps of a plan: what is done, and why.

use zfs_core::{BookmarkName, DatasetName, Guid, SnapshotName};

use crate::marker::{Marker, TargetId};
use crate::tree::{Kind, ResumePoint, Snapshot, StreamForm};

/// One thing to do, or one reason to do nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The dataset on the source that it is about.
    pub source: DatasetName,
    /// The dataset on the target that it is about.
    pub target: DatasetName,
    /// What is done.
    pub action: Action,
    /// Why.
    pub why: Why,
}

impl Step {
    /// Everything that it destroys on the target: datasets, and snapshots.
    pub fn destroys(&self) -> impl Iterator<Item = &str> {
        let (dataset, snapshots): (_, &[SnapshotName]) = match &self.action {
            Action::Rollback(rollback) => (None, &rollback.destroy),
            Action::Destroy { snapshots } => (Some(self.target.as_str()), snapshots),
            _ => (None, &[]),
        };
        let snapshots = snapshots.iter().map(SnapshotName::as_str);
        dataset.into_iter().chain(snapshots)
    }

    /// Whether something is lost by it that only the target has.
    pub fn is_loss(&self) -> bool {
        matches!(self.action, Action::Rollback(_) | Action::Destroy { .. })
    }
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Make the target dataset as an empty filesystem that is never mounted,
    /// because another one goes below it.
    Create,
    /// Give up what an interrupted receive left in the target dataset.
    Abort,
    /// Rename a dataset of the target, with everything below it, to the
    /// step's target.
    Rename {
        /// What it is called now.
        from: DatasetName,
    },
    /// Make the target dataset as a clone of a snapshot that the target has.
    Clone {
        /// The snapshot, on the target.
        origin: SnapshotName,
        /// What it is.
        kind: Kind,
    },
    /// Make the target dataset, a clone, the original of its origin.
    Promote {
        /// The dataset that it is a clone of, on the target, which gives
        /// snapshots to it.
        from: DatasetName,
    },
    /// Take the target dataset back to a snapshot. Only where that was asked
    /// for.
    Rollback(Rollback),
    /// Destroy the target dataset, since the source no longer has it. Only
    /// where that was asked for.
    Destroy {
        /// The snapshots that go with it, the oldest first. Were there any
        /// other by then, nothing would be destroyed.
        snapshots: Vec<SnapshotName>,
    },
    /// Send snapshots.
    Send(Range),
    /// Hold the newest common snapshot on both sides.
    Hold {
        /// The hold's tag.
        tag: String,
        /// The snapshot on the source, `None` where a bookmark is all that is
        /// left of it.
        source: Option<SnapshotName>,
        /// The snapshot on the target.
        target: SnapshotName,
    },
    /// Put the source's marker right.
    Mark(Mark),
    /// Nothing.
    Nothing,
    /// Nothing, although there would be something to send.
    Refuse,
}

impl Action {
    /// One word for it, for machines: `create`, `abort`, `rename`, `clone`,
    /// `promote`, `rollback`, `destroy`, `full`, `incremental`, `resume`,
    /// `hold`, `mark`, `nothing` or `refused`. A clone that is sent as an increment
    /// on its origin is `incremental`.
    pub fn word(&self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Abort => "abort",
            Action::Rename { .. } => "rename",
            Action::Clone { .. } => "clone",
            Action::Promote { .. } => "promote",
            Action::Rollback(_) => "rollback",
            Action::Destroy { .. } => "destroy",
            Action::Send(range) if range.resume.is_some() => "resume",
            Action::Send(range) if range.base.is_some() => "incremental",
            Action::Send(_) => "full",
            Action::Hold { .. } => "hold",
            Action::Mark(_) => "mark",
            Action::Nothing => "nothing",
            Action::Refuse => "refused",
        }
    }

    /// Whether it changes anything on either side.
    pub fn is_work(&self) -> bool {
        !matches!(self, Action::Nothing | Action::Refuse)
    }
}

/// What a rollback takes away, so that an increment fits again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollback {
    /// The last common snapshot, on the target.
    pub to: SnapshotName,
    /// The snapshots that go, the oldest first, and with them what was
    /// written since `to`. Were there any other by then, nothing would be
    /// destroyed.
    pub destroy: Vec<SnapshotName>,
}

/// What an increment starts from: something on the source that the target
/// has as a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// A snapshot.
    Snapshot {
        /// Its name on the source.
        name: SnapshotName,
        /// Its GUID.
        guid: Guid,
    },
    /// A bookmark, since the snapshot itself is gone.
    Bookmark {
        /// Its name on the source.
        name: BookmarkName,
        /// The GUID of the snapshot that it stands for.
        guid: Guid,
    },
}

impl Base {
    /// The GUID of the snapshot that it is or stands for.
    pub fn guid(&self) -> Guid {
        match self {
            Base::Snapshot { guid, .. } | Base::Bookmark { guid, .. } => *guid,
        }
    }

    /// Its whole name.
    pub fn as_str(&self) -> &str {
        match self {
            Base::Snapshot { name, .. } => name.as_str(),
            Base::Bookmark { name, .. } => name.as_str(),
        }
    }
}

/// A range of snapshots to send: from a base through every snapshot after
/// it, each an increment on the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// What the first one is an increment on; `None` where it is sent in
    /// full.
    pub base: Option<Base>,
    /// Where the first one makes a clone: its origin on the target, which
    /// `base` is on the source.
    pub origin: Option<SnapshotName>,
    /// The snapshots, the oldest first; at least one.
    pub snapshots: Vec<Snapshot>,
    /// Those before which the source has others that are not sent: between
    /// them and the one before, or the base.
    pub gaps: Vec<Guid>,
    /// Where the first one's stream goes on, if it was interrupted.
    pub resume: Option<ResumePoint>,
    /// How the streams are made. That of a resumed one is its token's.
    pub form: StreamForm,
    /// How the source's marker follows, `None` without markers.
    pub marker: Option<MarkerMove>,
}

impl Range {
    /// The streams that it takes where each is sent by itself.
    pub fn streams(&self) -> impl Iterator<Item = Stream> + '_ {
        let mut base = self.base.clone();
        let mut origin = self.origin.clone();
        self.snapshots
            .iter()
            .enumerate()
            .map(move |(index, snapshot)| {
                let next = Base::Snapshot {
                    name: snapshot.name.clone(),
                    guid: snapshot.guid,
                };
                let resume = self.resume.clone().filter(|_| index == 0);
                Stream {
                    from: base.replace(next),
                    origin: origin.take(),
                    to: snapshot.clone(),
                    form: resume.as_ref().map_or(self.form, |point| point.form),
                    resume,
                }
            })
    }

    /// Whether the source has snapshots before this one, after the one that
    /// is sent before it or the base, that are not sent.
    pub fn skips_before(&self, guid: Guid) -> bool {
        self.gaps.contains(&guid)
    }

    /// The youngest snapshot in it.
    pub fn last(&self) -> Option<&Snapshot> {
        self.snapshots.last()
    }
}

/// One stream: what one `zfs send` makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// What it is an increment on; `None` where it is full.
    pub from: Option<Base>,
    /// The snapshot on the target that it makes a clone of.
    pub origin: Option<SnapshotName>,
    /// The snapshot that it brings.
    pub to: Snapshot,
    /// How it is made.
    pub form: StreamForm,
    /// Where it goes on, if it was interrupted.
    pub resume: Option<ResumePoint>,
}

impl Stream {
    /// `full`, `incremental` or `resume`.
    pub fn word(&self) -> &'static str {
        match (&self.resume, &self.from) {
            (Some(_), _) => "resume",
            (None, Some(_)) => "incremental",
            (None, None) => "full",
        }
    }
}

/// How the marker on the source follows what arrives: after each snapshot a
/// new one is made, and then the one before goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkerMove {
    /// The target's name in the marker.
    pub target: TargetId,
    /// The markers of this target that stand now, and what was bookmarked for
    /// sending; they go with the first success.
    pub stale: Vec<BookmarkName>,
}

impl MarkerMove {
    /// The bookmark that a snapshot gets before it is sent.
    ///
    /// # Errors
    ///
    /// As [`MarkerMove::advance`].
    pub fn sending(
        &self,
        source: &DatasetName,
        guid: Guid,
    ) -> Result<BookmarkName, zfs_core::Error> {
        let marker = Marker {
            target: self.target.clone(),
            guid,
        };
        marker.sending(source)
    }

    /// What is to be done once the target has the snapshot with that GUID.
    /// The next call builds on that.
    ///
    /// # Errors
    ///
    /// [`zfs_core::Error::InvalidName`] where no marker fits behind the
    /// source's name; the planner makes no move then.
    pub fn advance(
        &mut self,
        source: &DatasetName,
        guid: Guid,
    ) -> Result<Advance, zfs_core::Error> {
        let marker = Marker {
            target: self.target.clone(),
            guid,
        };
        let name = marker.bookmark(source)?;
        let stale = std::mem::replace(&mut self.stale, vec![name.clone()]);
        // A target that was destroyed and is sent again meets its old marker.
        let (right, destroy): (Vec<_>, Vec<_>) =
            stale.into_iter().partition(|stale| *stale == name);
        Ok(Advance {
            create: right.is_empty().then_some(name),
            destroy,
        })
    }
}

/// One move of a marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advance {
    /// The marker to make first, `None` where it stands already.
    pub create: Option<BookmarkName>,
    /// The markers to destroy then.
    pub destroy: Vec<BookmarkName>,
}

/// How the marker on the source is put right without sending anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What the target has.
    pub of: Base,
    /// The marker to make of it, `None` where it stands already.
    pub create: Option<BookmarkName>,
    /// Markers of this target that stand for something else; they go after
    /// the new one is made.
    pub destroy: Vec<BookmarkName>,
}

/// Why a step does what it does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// A dataset goes below this one, which is not there.
    ParentMissing {
        /// The dataset that goes below.
        child: DatasetName,
    },
    /// The target has no such dataset yet.
    NotOnTarget,
    /// The target has no such dataset yet, but what it is a clone of.
    IsClone {
        /// Its origin, on the source.
        origin: SnapshotName,
    },
    /// The target has no such dataset yet, and will not have what it is a
    /// clone of either.
    OriginMissing {
        /// Its origin, on the source.
        origin: SnapshotName,
    },
    /// The target has the dataset under the name that it had on the source.
    RenamedOnSource,
    /// The clone became the original on the source.
    PromotedOnSource,
    /// The target has gone its own way, and going back was asked for.
    Diverged,
    /// The target was written to since its youngest snapshot, and going back
    /// was asked for.
    Written {
        /// How much, in bytes.
        bytes: u64,
    },
    /// The source has snapshots that are younger than what the target has.
    Younger {
        /// The target's youngest snapshot.
        newest: SnapshotName,
    },
    /// A receive was interrupted and can go on.
    Interrupted {
        /// What the target already has of it, in bytes.
        bytes: u64,
    },
    /// A receive was interrupted and cannot go on.
    Unusable(Unusable),
    /// The newest common snapshot is to be held on both sides, and is not.
    HoldMissing,
    /// The source has no marker for what the target has.
    MarkerMissing,
    /// The source has markers for what the target no longer has last.
    MarkerStale,
    /// The target has everything.
    UpToDate {
        /// The youngest snapshot, on the target.
        newest: SnapshotName,
    },
    /// There is no snapshot to send.
    NoSnapshots,
    /// The target has a dataset that the source no longer has.
    GoneFromSource,
    /// The target has a dataset that the source no longer has, and to have it
    /// destroyed was asked for.
    Retired,
    /// The target has a dataset that the source does not have, to have such
    /// destroyed was asked for, and it does not say that it is a replica.
    NoReplica,
    /// The source does not have the target's dataset under this name, to have
    /// such destroyed was asked for, and a snapshot of it is in another
    /// dataset of the source: it was renamed, which could not be followed.
    KnownElsewhere {
        /// The dataset on the source.
        dataset: DatasetName,
    },
    /// The dataset was left out on request.
    Excluded,
    /// The source's name is so long that no marker fits behind it.
    NoRoomForMarker,
    /// It cannot be done without harm.
    Refused(Refusal),
}

impl Why {
    /// One word for it, for machines.
    pub fn word(&self) -> &'static str {
        match self {
            Why::ParentMissing { .. } => "parent-missing",
            Why::NotOnTarget => "not-on-target",
            Why::IsClone { .. } => "is-clone",
            Why::OriginMissing { .. } => "origin-missing",
            Why::RenamedOnSource => "renamed-on-source",
            Why::PromotedOnSource => "promoted-on-source",
            Why::Diverged => "diverged",
            Why::Written { .. } => "written",
            Why::Retired => "retired",
            Why::NoReplica => "no-replica",
            Why::KnownElsewhere { .. } => "known-elsewhere",
            Why::Excluded => "excluded",
            Why::Younger { .. } => "younger",
            Why::Interrupted { .. } => "interrupted",
            Why::Unusable(_) => "unusable",
            Why::HoldMissing => "hold-missing",
            Why::MarkerMissing => "marker-missing",
            Why::MarkerStale => "marker-stale",
            Why::UpToDate { .. } => "up-to-date",
            Why::NoSnapshots => "no-snapshots",
            Why::GoneFromSource => "gone-from-source",
            Why::NoRoomForMarker => "no-room-for-marker",
            Why::Refused(refusal) => refusal.word(),
        }
    }
}

/// Why an interrupted receive cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unusable {
    /// The snapshot is not on the source any more.
    SnapshotGone {
        /// What it was called.
        name: String,
    },
    /// It builds on something else than the target's youngest snapshot.
    OtherBase,
    /// The target has got that snapshot by other means since.
    AlreadyThere {
        /// The snapshot on the target.
        name: SnapshotName,
    },
    /// That snapshot is not one of those to send.
    NotWanted {
        /// The snapshot on the source.
        name: SnapshotName,
    },
    /// It leaves out a snapshot that comes before.
    Skips {
        /// The snapshot that could not be sent after it.
        name: SnapshotName,
    },
    /// Going on would send encrypted data in plain, or plain data onto what
    /// was to be raw.
    OtherForm {
        /// Whether the interrupted stream was raw.
        raw: bool,
    },
    /// Its blocks may be embedded, and OpenZFS 2.2.7 to 2.4 loses extended
    /// attributes and the targets of long symlinks then (openzfs/zfs#19091).
    Embedded,
    /// It leaves out what a redaction bookmark names.
    Redacted,
    /// The target is taken back to before what it builds on.
    RolledBack,
    /// Its token makes no sense.
    Unreadable {
        /// What is wrong with it.
        problem: String,
    },
}

/// Why something that could be sent is not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The target has snapshots after the last common one.
    Diverged {
        /// The last common snapshot, on the target.
        common: SnapshotName,
        /// What a rollback to it would destroy, the oldest first.
        target_only: Vec<SnapshotName>,
    },
    /// The target has everything that the source has, and snapshots that
    /// are younger.
    TargetNewer {
        /// The last common snapshot, on the target.
        common: SnapshotName,
        /// What only the target has, the oldest first.
        target_only: Vec<SnapshotName>,
    },
    /// The target would have to go back, and has a bookmark that is younger than
    /// where to, with which ZFS takes nothing back.
    BookmarkInTheWay {
        /// The bookmark, on the target.
        bookmark: BookmarkName,
    },
    /// Going back was asked for, and a snapshot that would go has a clone.
    RollbackBlocked {
        /// A dataset with a clone of such a snapshot.
        dataset: DatasetName,
        /// The clone.
        clone: DatasetName,
    },
    /// The source renamed it, and the target has another dataset of the new
    /// name.
    RenameBlocked {
        /// What it is called on the target.
        from: DatasetName,
    },
    /// More than one dataset could be meant.
    Ambiguous {
        /// The datasets, on the side where there are several.
        candidates: Vec<DatasetName>,
    },
    /// The source promoted it, and on the target both it and its origin have
    /// a snapshot of that name.
    PromoteBlocked {
        /// The snapshot of the origin's dataset, on the target.
        snapshot: SnapshotName,
    },
    /// It was to be destroyed, and another dataset of the target is a clone
    /// of it.
    HasClones {
        /// The clone.
        clone: DatasetName,
    },
    /// It was to be destroyed, and something below it stays.
    HasChildren {
        /// A dataset below it.
        child: DatasetName,
    },
    /// It was to be destroyed, and its bookmarks say that another target is
    /// fed from it.
    FeedsOthers {
        /// One of these bookmarks.
        marker: BookmarkName,
    },
    /// The target has a dataset of that name that shares no snapshot with
    /// the source.
    Unrelated {
        /// Its youngest snapshot.
        newest: SnapshotName,
    },
    /// The target has a dataset of that name without any snapshot.
    Occupied,
    /// The target's dataset holds an interrupted receive of something else.
    OtherPartial {
        /// What that is, as far as it can be told.
        name: String,
    },
    /// The target has another snapshot of that name.
    SnapshotNameTaken {
        /// The snapshot that is not sent.
        snapshot: SnapshotName,
        /// The GUID of the target's snapshot of that name.
        taken_by: Guid,
    },
    /// A name would be too long on the target.
    NameTooLong {
        /// What it would have been, cut short.
        name: String,
    },
    /// The source's data is to be sent in plain, and its key is not loaded.
    SourceKeyUnavailable {
        /// The encryption root.
        root: DatasetName,
    },
    /// The target would encrypt what arrives, and its key is not loaded.
    TargetKeyUnavailable {
        /// The encryption root.
        root: DatasetName,
    },
    /// Raw streams cannot go onto what was received in plain.
    RawOntoPlain,
    /// Raw streams cannot go onto what the target encrypted itself when it
    /// received it.
    OtherIvSet {
        /// The target's youngest snapshot.
        newest: SnapshotName,
    },
    /// The target's dataset was received raw, and nothing raw would fit any more
    /// onto what arrives in plain.
    PlainOntoRaw {
        /// The target's youngest snapshot.
        newest: SnapshotName,
    },
    /// A dataset below which this one should go is a volume.
    ParentIsVolume {
        /// The volume.
        volume: DatasetName,
    },
}

impl Refusal {
    /// One word for it, for machines.
    pub fn word(&self) -> &'static str {
        match self {
            Refusal::Diverged { .. } => "diverged",
            Refusal::TargetNewer { .. } => "target-newer",
            Refusal::RollbackBlocked { .. } => "rollback-blocked",
            Refusal::BookmarkInTheWay { .. } => "bookmark-in-the-way",
            Refusal::RenameBlocked { .. } => "rename-blocked",
            Refusal::Ambiguous { .. } => "ambiguous",
            Refusal::PromoteBlocked { .. } => "promote-blocked",
            Refusal::HasClones { .. } => "has-clones",
            Refusal::HasChildren { .. } => "has-children",
            Refusal::FeedsOthers { .. } => "feeds-others",
            Refusal::Unrelated { .. } => "unrelated",
            Refusal::Occupied => "occupied",
            Refusal::OtherPartial { .. } => "other-partial",
            Refusal::SnapshotNameTaken { .. } => "snapshot-name-taken",
            Refusal::NameTooLong { .. } => "name-too-long",
            Refusal::SourceKeyUnavailable { .. } => "source-key-unavailable",
            Refusal::TargetKeyUnavailable { .. } => "target-key-unavailable",
            Refusal::RawOntoPlain => "raw-onto-plain",
            Refusal::OtherIvSet { .. } => "other-iv-set",
            Refusal::PlainOntoRaw { .. } => "plain-onto-raw",
            Refusal::ParentIsVolume { .. } => "parent-is-volume",
        }
    }
}
