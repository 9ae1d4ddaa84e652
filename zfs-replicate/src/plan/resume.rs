//! Whether an interrupted receive can go on.

use super::step::{Base, Refusal, Unusable};
use crate::tree::{Dataset, Partial, ResumePoint, Snapshot};

/// What becomes of an interrupted receive.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It goes on.
    Resume(ResumePoint),
    /// It is given up.
    Abort(Unusable),
    /// It is somebody else's.
    Foreign(Refusal),
}

/// Checks what was left in `target` against what the plan is about to send.
///
/// `base` is the common base, `None` where everything is sent in full;
/// `missing` is what is to be sent; `raw` is whether the plan sends raw.
///
/// A token comes from the target and decides what is read on the source. So
/// it is used only where it says exactly what the plan would do anyway.
pub(super) fn check(
    partial: &Partial,
    source: &Dataset,
    target: &Dataset,
    base: Option<&Base>,
    missing: &[Snapshot],
    raw: bool,
) -> Verdict {
    let fresh = target.snapshots.is_empty();
    let point = match partial {
        Partial::Token(point) => point,
        Partial::Unreadable { problem } if fresh => {
            return Verdict::Foreign(Refusal::OtherPartial {
                name: format!("its resume token cannot be read: {problem}"),
            });
        }
        Partial::Unreadable { problem } => {
            return Verdict::Abort(Unusable::Unreadable {
                problem: problem.clone(),
            });
        }
    };
    match unusable(point, source, target, base, missing, raw) {
        None => Verdict::Resume(point.clone()),
        // Nothing but this partial receive tells whose the dataset is.
        Some(Unusable::SnapshotGone { name }) if fresh && !names(&name, source) => {
            Verdict::Foreign(Refusal::OtherPartial { name })
        }
        Some(reason) => Verdict::Abort(reason),
    }
}

fn unusable(
    point: &ResumePoint,
    source: &Dataset,
    target: &Dataset,
    base: Option<&Base>,
    missing: &[Snapshot],
    raw: bool,
) -> Option<Unusable> {
    let Some(snapshot) = source.snapshot(point.to_guid) else {
        return Some(Unusable::SnapshotGone {
            name: point.to_name.clone(),
        });
    };
    if let Some(there) = target.snapshot(point.to_guid) {
        return Some(Unusable::AlreadyThere {
            name: there.name.clone(),
        });
    }
    if point.from_guid != base.map(Base::guid) {
        return Some(Unusable::OtherBase);
    }
    if !missing.iter().any(|next| next.guid == point.to_guid) {
        return Some(Unusable::NotWanted {
            name: snapshot.name.clone(),
        });
    }
    if let Some(first) = missing.first().filter(|first| first.guid != point.to_guid) {
        return Some(Unusable::Skips {
            name: first.name.clone(),
        });
    }
    if point.redacted {
        return Some(Unusable::Redacted);
    }
    if source.is_encrypted() {
        // Encrypted datasets have no embedded blocks.
        return (point.form.raw != raw).then_some(Unusable::OtherForm {
            raw: point.form.raw,
        });
    }
    // A raw stream of plain data has its embedded blocks, asked for or not.
    (point.form.embedded || point.form.raw).then_some(Unusable::Embedded)
}

fn names(to_name: &str, source: &Dataset) -> bool {
    to_name
        .split_once('@')
        .is_some_and(|(dataset, _)| source.name == *dataset)
}
