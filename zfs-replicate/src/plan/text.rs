//! Steps in sentences.

use std::fmt;

use super::step::{Action, Mark, Range, Refusal, Step, Unusable, Why};
use crate::properties::REPLICA_PROPERTY;

/// How many names are listed before the rest is only counted.
const MAX_LISTED: usize = 5;

impl Step {
    /// What it does, as a sentence without its full stop.
    pub fn what(&self) -> impl fmt::Display + '_ {
        What(self)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", What(self), self.why)
    }
}

struct What<'a>(&'a Step);

impl fmt::Display for What<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Step {
            source,
            target,
            action,
            ..
        } = self.0;
        match action {
            Action::Create => write!(f, "create {target} as an empty, unmounted parent"),
            Action::Abort => write!(f, "give up the interrupted receive into {target}"),
            Action::Rename { from } => write!(f, "rename {from} to {target}"),
            Action::Clone { origin, .. } => write!(f, "make {target} as a clone of {origin}"),
            Action::Promote { .. } => write!(f, "promote {target}"),
            Action::Rollback(rollback) => {
                write!(f, "take {target} back to {}", rollback.to)?;
                if rollback.destroy.is_empty() {
                    return Ok(());
                }
                f.write_str(", destroying ")?;
                all(f, rollback.destroy.iter())
            }
            Action::Destroy { snapshots } if snapshots.is_empty() => {
                write!(f, "destroy {target}, which has no snapshots")
            }
            Action::Destroy { snapshots } => {
                write!(f, "destroy {target} with ")?;
                all(f, snapshots.iter())
            }
            Action::Send(range) => range.sentence(f, target.as_str()),
            Action::Hold {
                tag,
                source,
                target,
            } => {
                write!(f, "hold {target} ")?;
                if let Some(source) = source {
                    write!(f, "and {source} ")?;
                }
                write!(f, "with {tag:?}")
            }
            Action::Mark(mark) => mark.sentence(f),
            Action::Nothing => write!(f, "nothing to do for {target}"),
            Action::Refuse => write!(f, "do not replicate {source} to {target}"),
        }
    }
}

impl Range {
    fn sentence(&self, f: &mut fmt::Formatter<'_>, target: &str) -> fmt::Result {
        let (Some(first), Some(last)) = (self.snapshots.first(), self.last()) else {
            return write!(f, "send nothing to {target}");
        };
        let raw = if self.form.raw { " raw" } else { "" };
        match (&self.resume, &self.base) {
            (Some(point), _) => write!(
                f,
                "go on sending {}{raw} to {target} after {} bytes",
                first.name, point.bytes
            )?,
            (None, Some(base)) if self.origin.is_some() => write!(
                f,
                "send {}{raw} to {target} as a clone of {}",
                first.name,
                base.as_str()
            )?,
            (None, Some(base)) if self.snapshots.len() == 1 => {
                return write!(
                    f,
                    "send {}{raw} to {target} as an increment on {}",
                    first.name,
                    base.as_str()
                );
            }
            (None, Some(base)) => {
                return write!(
                    f,
                    "send {} snapshots{raw} to {target}, {} to @{}, as increments on {}",
                    self.snapshots.len(),
                    first.name,
                    last.name.snapshot(),
                    base.as_str()
                );
            }
            (None, None) => write!(f, "send {}{raw} to {target} in full", first.name)?,
        }
        match self.snapshots.len() {
            1 => Ok(()),
            2 => write!(f, ", then @{} as an increment", last.name.snapshot()),
            more => write!(
                f,
                ", then {} increments up to @{}",
                more - 1,
                last.name.snapshot()
            ),
        }
    }
}

impl Mark {
    fn sentence(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(create) = &self.create {
            write!(f, "mark {} with {create}", self.of.as_str())?;
        }
        if !self.destroy.is_empty() {
            let link = if self.create.is_some() { ", then " } else { "" };
            write!(f, "{link}destroy ")?;
            list(f, self.destroy.iter())?;
        }
        Ok(())
    }
}

/// What is lost is never cut short.
fn all<T: fmt::Display>(f: &mut fmt::Formatter<'_>, names: impl Iterator<Item = T>) -> fmt::Result {
    for (index, name) in names.enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        write!(f, "{comma}{name}")?;
    }
    Ok(())
}

fn list<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    names: impl ExactSizeIterator<Item = T>,
) -> fmt::Result {
    let total = names.len();
    all(f, names.take(MAX_LISTED))?;
    if total > MAX_LISTED {
        write!(f, " and {} more", total - MAX_LISTED)?;
    }
    Ok(())
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::ParentMissing { child } => write!(f, "{child} goes below it"),
            Why::NotOnTarget => f.write_str("the target does not have it yet"),
            Why::IsClone { origin } => {
                write!(f, "it is a clone of {origin}, which the target has")
            }
            Why::OriginMissing { origin } => write!(
                f,
                "it is a clone of {origin}, which is not on the target, so all of it goes"
            ),
            Why::RenamedOnSource => f.write_str("the source renamed it"),
            Why::PromotedOnSource => f.write_str("the source promoted it"),
            Why::Diverged => {
                f.write_str("the source has none of these, and to destroy them was asked for")
            }
            Why::Written { bytes } => write!(
                f,
                "{bytes} bytes were written to it since, which no increment goes onto; they are \
                 lost, as was asked for"
            ),
            Why::Retired => f.write_str(
                "the source no longer has this dataset, and to destroy it then was asked for",
            ),
            Why::NoReplica => write!(
                f,
                "the source has no such dataset, and it does not say that it is a replica of \
                 this source ({REPLICA_PROPERTY}), so it is kept; if it is one, destroy it by hand"
            ),
            Why::KnownElsewhere { dataset } => write!(
                f,
                "the source has snapshots of it in {dataset}, so it is not gone but renamed, and \
                 is kept; if it is of no more use, destroy it by hand"
            ),
            Why::Excluded => f.write_str("it was left out on request"),
            Why::Younger { newest } => {
                write!(f, "the target's youngest is {newest}")
            }
            Why::Interrupted { bytes } => write!(
                f,
                "an earlier run was interrupted, and the target kept {bytes} bytes of it"
            ),
            Why::Unusable(unusable) => write!(f, "it cannot go on, since {unusable}"),
            Why::HoldMissing => {
                f.write_str("the newest common snapshot is to be held on both sides, and is not")
            }
            Why::MarkerMissing => f.write_str("the target has it and the source has no marker yet"),
            Why::MarkerStale => {
                f.write_str("the target has gone on from what these markers stand for")
            }
            Why::UpToDate { newest } => write!(f, "it has everything up to {newest}"),
            Why::NoSnapshots => f.write_str("the source has no snapshot to send"),
            Why::GoneFromSource => {
                f.write_str("the source no longer has this dataset; it is kept as it is")
            }
            Why::NoRoomForMarker => f.write_str(
                "the source's name is too long for a marker, so nothing but the snapshot itself \
                 keeps the base of the next increment",
            ),
            Why::Refused(refusal) => refusal.fmt(f),
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unusable::SnapshotGone { name } => {
                write!(f, "{name:?} is no longer on the source")
            }
            Unusable::OtherBase => {
                f.write_str("it builds on something else than the target's youngest snapshot")
            }
            Unusable::AlreadyThere { name } => write!(f, "{name} has arrived since"),
            Unusable::NotWanted { name } => write!(f, "{name} is not among what is to be sent"),
            Unusable::Skips { name } => {
                write!(
                    f,
                    "it leaves out {name}, which could not be sent afterwards"
                )
            }
            Unusable::OtherForm { raw: false } => {
                f.write_str("it is not raw, and would send encrypted data in plain")
            }
            Unusable::OtherForm { raw: true } => {
                f.write_str("it is raw, and the data is to be sent in plain")
            }
            Unusable::Embedded => f.write_str(
                "it has embedded blocks, with which OpenZFS 2.2.7 to 2.4 loses extended attributes \
                 (openzfs/zfs#19091)",
            ),
            Unusable::Redacted => f.write_str("it is redacted, and all of the data is wanted"),
            Unusable::RolledBack => {
                f.write_str("the target is taken back to before what it builds on")
            }
            Unusable::Unreadable { problem } => {
                write!(f, "its resume token cannot be read ({problem})")
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Diverged {
                common,
                target_only,
            } => {
                write!(
                    f,
                    "the target has diverged; after {common}, the last common snapshot, it has "
                )?;
                list(f, target_only.iter())?;
                write!(
                    f,
                    ", which the source has neither as a snapshot nor as a bookmark \
                     (zfs rollback -r {common} would destroy them and let it go on)"
                )
            }
            Refusal::TargetNewer {
                common,
                target_only,
            } => {
                write!(
                    f,
                    "the target is newer than the source: it has everything up to {common}, and \
                     after that "
                )?;
                list(f, target_only.iter())?;
                f.write_str(
                    "; were the source taken back, take the target back as well, else replicate \
                     the other way",
                )
            }
            Refusal::RollbackBlocked { dataset, clone } => write!(
                f,
                "{dataset} cannot be taken back, since {clone} is a clone of a snapshot that \
                 would go; promote or destroy {clone}"
            ),
            Refusal::RenameBlocked { from } => write!(
                f,
                "the source renamed it, and the target, which has it as {from}, has another \
                 dataset of the new name; rename that one"
            ),
            Refusal::Ambiguous { candidates } => {
                f.write_str("it could be any of ")?;
                list(f, candidates.iter())?;
                f.write_str(", which have the same snapshots; rename the one that is meant")
            }
            Refusal::PromoteBlocked { snapshot } => write!(
                f,
                "the source promoted it, and on the target it has a snapshot @{} of its own; \
                 rename either that or {snapshot}",
                snapshot.snapshot()
            ),
            Refusal::HasClones { clone } => write!(
                f,
                "the source no longer has this dataset, but {clone} is a clone of it; promote \
                 {clone} or destroy it first"
            ),
            Refusal::HasChildren { child } => write!(
                f,
                "the source no longer has this dataset, but {child} below it stays"
            ),
            Refusal::FeedsOthers { marker } => write!(
                f,
                "the source no longer has this dataset, but {marker} says that another target is \
                 fed from it; destroy it by hand if that one is no more"
            ),
            Refusal::Unrelated { newest } => write!(
                f,
                "the target has another dataset of that name, which shares no snapshot with the \
                 source (its youngest is {newest}); rename it or choose another target"
            ),
            Refusal::Occupied => f.write_str(
                "the target has a dataset of that name without any snapshot, and a full stream \
                 would replace it; rename it and run again: replicas below it are found under \
                 their new names, and brought back",
            ),
            Refusal::BookmarkInTheWay { bookmark } => write!(
                f,
                "the target would have to go back behind its bookmark {bookmark}, which may be \
                 what somebody's increments begin with; if it is not: zfs destroy '{bookmark}'"
            ),
            Refusal::PlainOntoRaw { newest } => write!(
                f,
                "the data is to be sent in plain, and {newest} arrived raw: after an increment in \
                 plain nothing raw fits any more; send raw (without --plaintext), or choose \
                 another target"
            ),
            Refusal::OtherPartial { name } => write!(
                f,
                "the target's dataset holds an interrupted receive of something else ({name}); \
                 finish it, or give it up with zfs receive -A"
            ),
            Refusal::SnapshotNameTaken { snapshot, taken_by } => write!(
                f,
                "the target has another snapshot called @{} (GUID {taken_by}); rename either of \
                 them, the others are sent",
                snapshot.snapshot()
            ),
            Refusal::NameTooLong { name } => {
                write!(
                    f,
                    "{name:?} is not a name that ZFS allows; choose a shorter target"
                )
            }
            Refusal::SourceKeyUnavailable { root } => write!(
                f,
                "its data is to be sent in plain, and its key is not loaded (zfs load-key {root})"
            ),
            Refusal::TargetKeyUnavailable { root } => write!(
                f,
                "the target encrypts what arrives there, and its key is not loaded \
                 (zfs load-key {root})"
            ),
            Refusal::RawOntoPlain => f.write_str(
                "the source is encrypted and is sent raw, and the target's dataset is not \
                 encrypted, so it was once received in plain; choose another target, or say \
                 that plaintext may leave (--plaintext)",
            ),
            Refusal::OtherIvSet { newest } => write!(
                f,
                "the source is encrypted and is sent raw, and {newest} did not arrive raw: the \
                 target encrypted it itself, so its blocks are others (IV set); choose another \
                 target, or say that plaintext may leave (--plaintext) and load the target's key"
            ),
            Refusal::ParentIsVolume { volume } => {
                write!(f, "{volume} is a volume, and nothing can be below a volume")
            }
        }
    }
}
