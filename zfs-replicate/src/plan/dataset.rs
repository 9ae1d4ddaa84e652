//! The steps of one dataset.

use std::collections::HashSet;

use zfs_core::{DatasetName, Guid, SnapshotName, Txg};

use super::base::{self, Common};
use super::clones::Origin;
use super::resume::{self, Verdict};
use super::step::{Action, Base, Range, Refusal, Rollback, Step, Unusable, Why};
use super::{Diverged, Planner, Provenance};
use crate::tree::{Dataset, Encryption, Key, Snapshot, StreamForm};

/// Source and target of the dataset at hand; makes its steps.
pub(super) struct Pair<'a> {
    pub source: &'a Dataset,
    pub target: DatasetName,
}

impl Pair<'_> {
    pub fn step(&self, action: Action, why: Why) -> Step {
        Step {
            source: self.source.name.clone(),
            target: self.target.clone(),
            action,
            why,
        }
    }

    pub fn refuse(&self, refusal: Refusal) -> Step {
        self.step(Action::Refuse, Why::Refused(refusal))
    }
}

impl<'a> Planner<'a> {
    pub(super) fn dataset(&mut self, source: &'a Dataset) {
        let relative = source.name.strip_prefix(&self.source.root).unwrap_or("");
        let Ok(target) = self.target.root.join(relative) else {
            self.steps.push(Step {
                source: source.name.clone(),
                target: self.target.root.clone(),
                action: Action::Refuse,
                why: Why::Refused(too_long(format!("{}/{relative}", self.target.root))),
            });
            return;
        };
        let pair = Pair { source, target };
        if self.options.datasets.is_some_and(|wanted| !wanted(source)) {
            self.steps.push(pair.step(Action::Nothing, Why::Excluded));
            return;
        }
        if !self.locate(&pair) || !self.follow_promotion(&pair) {
            return;
        }
        match self.view.placed(&pair.target).map(|placed| placed.dataset) {
            Some(target) if !target.snapshots.is_empty() => self.increment(&pair, &target),
            Some(target) if target.partial.is_some() => self.finish_first(&pair, &target),
            Some(_) => self.steps.push(pair.refuse(Refusal::Occupied)),
            None => {
                let made = self.make_promoted(&pair);
                let placed = made.then(|| self.view.placed(&pair.target)).flatten();
                match placed {
                    Some(placed) => self.increment(&pair, &placed.dataset),
                    None => self.first(&pair),
                }
            }
        }
    }

    /// The common base, and what has to go from the target for it.
    fn common(
        &self,
        pair: &Pair<'a>,
        target: &Dataset,
    ) -> Result<(Common, Option<Rollback>), Refusal> {
        let refusal = match base::common(pair.source, target, self.options.marker) {
            Ok(common) => return Ok((common, None)),
            Err(refusal) => refusal,
        };
        let Refusal::Diverged {
            common,
            target_only,
        } = refusal
        else {
            return Err(refusal);
        };
        let back = base::of(pair.source, target, &common, self.options.marker);
        match (self.options.diverged, back) {
            (Diverged::Rollback, Some(back)) => {
                if let Some(clone) = self.clone_of_any(target, &target_only) {
                    return Err(Refusal::RollbackBlocked {
                        dataset: pair.target.clone(),
                        clone,
                    });
                }
                let to = target.snapshots.iter().find(|s| s.name == common);
                if let Some(to) = to {
                    nothing_marked_since(target, to)?;
                }
                let rollback = Rollback {
                    to: common,
                    destroy: target_only,
                };
                Ok((back, Some(rollback)))
            }
            (_, Some(back)) => {
                let (missing, _) = self.missing(pair, None, Some(&back));
                if missing.is_empty() {
                    return Err(Refusal::TargetNewer {
                        common,
                        target_only,
                    });
                }
                Err(Refusal::Diverged {
                    common,
                    target_only,
                })
            }
            (_, None) => Err(Refusal::Diverged {
                common,
                target_only,
            }),
        }
    }

    /// What takes a target back that was written to since its youngest
    /// snapshot, where that was asked for. What was interrupted stays: it
    /// builds on that snapshot.
    fn unwrite(&self, target: &Dataset) -> Result<Option<(Rollback, Why)>, Refusal> {
        let bytes = target.written.filter(|bytes| *bytes > 0);
        let (Some(bytes), Some(newest), Diverged::Rollback) =
            (bytes, target.newest(), self.options.diverged)
        else {
            return Ok(None);
        };
        nothing_marked_since(target, newest)?;
        let rollback = Rollback {
            to: newest.name.clone(),
            destroy: Vec::new(),
        };
        Ok(Some((rollback, Why::Written { bytes })))
    }

    /// A dataset of the target that is a clone of one of these.
    fn clone_of_any(&self, target: &Dataset, snapshots: &[SnapshotName]) -> Option<DatasetName> {
        self.view
            .clones(&target.name)
            .find(|(_, origin)| snapshots.contains(origin))
            .map(|(name, _)| name.clone())
    }

    /// The target has the dataset and snapshots of it.
    fn increment(&mut self, pair: &Pair<'a>, target: &Dataset) {
        let (common, rollback) = match self.common(pair, target) {
            Ok(found) => found,
            Err(refusal) => return self.steps.push(pair.refuse(refusal)),
        };
        let mut there = std::borrow::Cow::Borrowed(target);
        if let Some(rollback) = &rollback {
            let there = there.to_mut();
            there
                .snapshots
                .retain(|s| !rollback.destroy.contains(&s.name));
        }
        let (missing, refused) = self.missing(pair, Some(&there), Some(&common));
        let form = self.form(pair.source, there.encryption.as_ref());
        let form = form.and_then(|form| {
            if form.raw {
                received_raw(&there, &common)?;
            } else {
                not_received_raw(&there, &common)?;
            }
            Ok(form)
        });
        let (base, after) = (common.base, common.createtxg);
        let form = match form {
            Ok(form) => form,
            // Nothing is about to be sent, so nothing is in the way.
            Err(_) if missing.is_empty() && there.partial.is_none() && rollback.is_none() => {
                StreamForm::default()
            }
            Err(refusal) => return self.steps.push(pair.refuse(refusal)),
        };

        let mut resume = None;
        if let Some(partial) = &there.partial {
            let verdict = if rollback.is_some() {
                Verdict::Abort(Unusable::RolledBack)
            } else {
                let base = Some(&base);
                resume::check(partial, pair.source, &there, base, &missing, form.raw)
            };
            match verdict {
                Verdict::Resume(point) => resume = Some(point),
                Verdict::Abort(reason) => {
                    self.steps
                        .push(pair.step(Action::Abort, Why::Unusable(reason)));
                }
                Verdict::Foreign(refusal) => return self.steps.push(pair.refuse(refusal)),
            }
        }
        let written = match self.unwrite(&there) {
            Ok(written) => written.filter(|_| !missing.is_empty()),
            Err(_) if missing.is_empty() || rollback.is_some() => None,
            Err(refusal) => return self.steps.push(pair.refuse(refusal)),
        };
        if let Some(rollback) = rollback {
            self.view.roll_back(&pair.target, &rollback.destroy);
            self.steps
                .push(pair.step(Action::Rollback(rollback), Why::Diverged));
        } else if let Some((rollback, why)) = written {
            self.steps.push(pair.step(Action::Rollback(rollback), why));
        }

        self.hold_again(pair, &there, &base);
        let marked = self.mark(pair, &base, &missing);
        let newest = there.newest().map(|snapshot| snapshot.name.clone());
        let why = match (&resume, newest) {
            (Some(point), _) => Why::Interrupted { bytes: point.bytes },
            (None, Some(newest)) if missing.is_empty() => Why::UpToDate { newest },
            (None, Some(newest)) => Why::Younger { newest },
            (None, None) => Why::NoSnapshots,
        };
        if missing.is_empty() {
            self.steps.push(pair.step(Action::Nothing, why));
        } else {
            self.view.arrive(&pair.target, &missing);
            let range = Range {
                base: Some(base),
                origin: None,
                gaps: gaps(pair.source, Some(after), &missing),
                snapshots: missing,
                resume,
                form,
                marker: self.marker_move(pair.source, marked),
            };
            self.steps.push(pair.step(Action::Send(range), why));
        }
        self.refusals(pair, refused);
    }

    /// The target has the dataset, and in it nothing but an interrupted
    /// receive of its first snapshot.
    fn finish_first(&mut self, pair: &Pair<'a>, target: &Dataset) {
        let Some(partial) = &target.partial else {
            return;
        };
        let (missing, refused) = self.missing(pair, None, None);
        let origin = self
            .origin(pair.source)
            .filter(|origin| target.origin.as_ref() == Some(&origin.on_target));
        // What holds a partial raw receive is encrypted like its source.
        let form = self.form(pair.source, target.encryption.as_ref());
        let raw = form.as_ref().is_ok_and(|form| form.raw);
        let base = origin.as_ref().map(|origin| &origin.base);
        match resume::check(partial, pair.source, target, base, &missing, raw) {
            // It says itself whose it is, whatever the token tells.
            Verdict::Foreign(refusal) if self.provenance(&pair.target) != Provenance::Replica => {
                self.steps.push(pair.refuse(refusal));
            }
            Verdict::Foreign(Refusal::OtherPartial { name }) => {
                self.first_anew(pair, Unusable::SnapshotGone { name });
            }
            Verdict::Foreign(refusal) => self.steps.push(pair.refuse(refusal)),
            Verdict::Abort(reason) => self.first_anew(pair, reason),
            Verdict::Resume(point) => match form {
                Err(refusal) => self.steps.push(pair.refuse(refusal)),
                Ok(form) => {
                    self.view.arrive(&pair.target, &missing);
                    let why = Why::Interrupted { bytes: point.bytes };
                    let (base, origin) = parts(origin);
                    let range = Range {
                        base,
                        origin,
                        gaps: gaps(pair.source, None, &missing),
                        snapshots: missing,
                        resume: Some(point),
                        form,
                        marker: self.first_marker(pair),
                    };
                    self.steps.push(pair.step(Action::Send(range), why));
                    self.refusals(pair, refused);
                }
            },
        }
    }

    fn first_anew(&mut self, pair: &Pair<'a>, reason: Unusable) {
        self.steps
            .push(pair.step(Action::Abort, Why::Unusable(reason)));
        self.view.remove(&pair.target);
        self.first(pair);
    }

    /// The target does not have the dataset.
    fn first(&mut self, pair: &Pair<'a>) {
        let (missing, refused) = self.missing(pair, None, None);
        if missing.is_empty() {
            if refused.is_empty() {
                self.steps
                    .push(pair.step(Action::Nothing, Why::NoSnapshots));
            }
            return self.refusals(pair, refused);
        }
        let origin = self.origin(pair.source);
        let found = self.above(pair).and_then(|(above, create)| {
            let encryption = match &origin {
                Some(origin) => origin.encryption.as_ref(),
                None => above.encryption.as_ref(),
            };
            let form = self.form(pair.source, encryption)?;
            Ok((above, create, form))
        });
        let (above, create, form) = match found {
            Ok(found) => found,
            Err(refusal) => return self.steps.push(pair.refuse(refusal)),
        };
        self.create(pair, &above, create);
        let why = match (&origin, &pair.source.origin) {
            (Some(_), Some(origin)) => Why::IsClone {
                origin: origin.clone(),
            },
            (None, Some(origin)) => Why::OriginMissing {
                origin: origin.clone(),
            },
            (_, None) => Why::NotOnTarget,
        };
        let mut made = Dataset::new(pair.target.clone(), Guid(0));
        made.kind = pair.source.kind;
        made.encryption = match &origin {
            Some(origin) => origin.encryption.clone(),
            None if form.raw => Some(Encryption {
                root: pair.target.clone(),
                key: Key::Unavailable,
            }),
            None => above.encryption,
        };
        made.origin = origin.as_ref().map(|origin| origin.on_target.clone());
        self.view.make(made);
        self.view.arrive(&pair.target, &missing);
        let (base, origin) = parts(origin);
        let range = Range {
            base,
            origin,
            gaps: gaps(pair.source, None, &missing),
            snapshots: missing,
            resume: None,
            form,
            marker: self.first_marker(pair),
        };
        self.steps.push(pair.step(Action::Send(range), why));
        self.refusals(pair, refused);
    }

    fn missing(
        &self,
        pair: &Pair<'a>,
        target: Option<&Dataset>,
        after: Option<&Common>,
    ) -> (Vec<Snapshot>, Vec<Refusal>) {
        let wanted = |snapshot: &Snapshot| {
            self.options
                .wanted
                .is_none_or(|wanted| wanted(&pair.source.name, snapshot))
        };
        let after = after.map(|common| common.createtxg);
        let (mut send, mut refused) = base::missing(pair.source, target, after, wanted);
        send.retain(|snapshot| {
            let fits = snapshot.name.on(&pair.target).is_ok();
            if !fits {
                let name = format!("{}@{}", pair.target, snapshot.name.snapshot());
                refused.push(too_long(name));
            }
            fits
        });
        (send, refused)
    }

    fn refusals(&mut self, pair: &Pair<'a>, refused: Vec<Refusal>) {
        self.steps
            .extend(refused.into_iter().map(|refusal| pair.refuse(refusal)));
    }
}

/// Whether a raw increment fits onto what the target has.
fn received_raw(there: &Dataset, common: &Common) -> Result<(), Refusal> {
    if !there.is_encrypted() {
        return Err(Refusal::RawOntoPlain);
    }
    let newest = there.newest();
    match newest.and_then(|newest| Some((newest, newest.ivset?, common.ivset?))) {
        Some((newest, here, on_source)) if here != on_source => Err(Refusal::OtherIvSet {
            newest: newest.name.clone(),
        }),
        _ => Ok(()),
    }
}

/// Whether an increment in plain leaves the target as it is: nobody could go on
/// raw after one onto what arrived raw.
fn not_received_raw(there: &Dataset, common: &Common) -> Result<(), Refusal> {
    match (there.newest(), common.ivset) {
        (Some(newest), Some(on_source)) if newest.ivset == Some(on_source) => {
            Err(Refusal::PlainOntoRaw {
                newest: newest.name.clone(),
            })
        }
        _ => Ok(()),
    }
}

/// ZFS rolls nothing back behind a bookmark.
fn nothing_marked_since(target: &Dataset, to: &Snapshot) -> Result<(), Refusal> {
    let mut bookmarks = target.bookmarks.iter();
    match bookmarks.find(|bookmark| bookmark.createtxg > to.createtxg) {
        None => Ok(()),
        Some(bookmark) => Err(Refusal::BookmarkInTheWay {
            bookmark: bookmark.name.clone(),
        }),
    }
}

/// Those of the snapshots to send before which the source has others.
fn gaps(source: &Dataset, after: Option<Txg>, sent: &[Snapshot]) -> Vec<Guid> {
    let sent: HashSet<Guid> = sent.iter().map(|snapshot| snapshot.guid).collect();
    let mut gaps = Vec::new();
    let mut skipped = false;
    for snapshot in source.snapshots_by_age() {
        if after.is_some_and(|after| snapshot.createtxg <= after) {
            continue;
        }
        let is_sent = sent.contains(&snapshot.guid);
        if is_sent && skipped {
            gaps.push(snapshot.guid);
        }
        skipped = !is_sent;
    }
    gaps
}

fn parts(origin: Option<Origin>) -> (Option<Base>, Option<SnapshotName>) {
    origin.map_or((None, None), |origin| {
        (Some(origin.base), Some(origin.on_target))
    })
}

fn too_long(mut name: String) -> Refusal {
    if name.chars().count() > zfs_core::name::MAX_NAME_BYTES + 1 {
        name = name
            .chars()
            .take(zfs_core::name::MAX_NAME_BYTES + 1)
            .collect();
    }
    Refusal::NameTooLong { name }
}
