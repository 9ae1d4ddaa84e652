//! The steps of one dataset.

use zfs_core::{BookmarkName, DatasetName, Guid};

use super::base::{self, Common};
use super::resume::{self, Verdict};
use super::step::{Action, Base, Mark, MarkerMove, Range, Refusal, Step, Why};
use super::{Encrypted, LargeBlocks, Planner, Standing};
use crate::marker::Marker;
use crate::tree::{Dataset, Encryption, Key, Kind, Snapshot, StreamForm};

/// Source and target of the dataset at hand; makes its steps.
struct Pair<'a> {
    source: &'a Dataset,
    target: DatasetName,
}

impl Pair<'_> {
    fn step(&self, action: Action, why: Why) -> Step {
        Step {
            source: self.source.name.clone(),
            target: self.target.clone(),
            action,
            why,
        }
    }

    fn refuse(&self, refusal: Refusal) -> Step {
        self.step(Action::Refuse, Why::Refused(refusal))
    }
}

/// The nearest dataset above a target that exists.
struct Above {
    name: DatasetName,
    standing: Standing,
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
        match self.on_target.get(&pair.target).copied() {
            Some(target) if !target.snapshots.is_empty() => self.increment(&pair, target),
            Some(target) if target.partial.is_some() => self.finish_first(&pair, target),
            Some(_) => self.steps.push(pair.refuse(Refusal::Occupied)),
            None => self.first(&pair),
        }
    }

    /// The target has the dataset and snapshots of it.
    fn increment(&mut self, pair: &Pair<'a>, target: &Dataset) {
        let Common { base, createtxg } =
            match base::common(pair.source, target, self.options.marker) {
                Ok(common) => common,
                Err(refusal) => return self.steps.push(pair.refuse(refusal)),
            };
        let (missing, refused) = self.missing(pair, Some(target), Some(createtxg));
        let form = self.form(pair.source, target.encryption.as_ref());
        let form = match form {
            Ok(form) if form.raw && !target.is_encrypted() => Err(Refusal::RawOntoPlain),
            other => other,
        };
        let form = match form {
            Ok(form) => form,
            // Nothing is about to be sent, so nothing is in the way.
            Err(_) if missing.is_empty() && target.partial.is_none() => StreamForm::default(),
            Err(refusal) => return self.steps.push(pair.refuse(refusal)),
        };

        let mut resume = None;
        if let Some(partial) = &target.partial {
            match resume::check(
                partial,
                pair.source,
                target,
                Some(&base),
                &missing,
                form.raw,
            ) {
                Verdict::Resume(point) => resume = Some(point),
                Verdict::Abort(reason) => {
                    self.steps
                        .push(pair.step(Action::Abort, Why::Unusable(reason)));
                }
                Verdict::Foreign(refusal) => return self.steps.push(pair.refuse(refusal)),
            }
        }

        let marked = self.mark(pair, &base);
        let newest = target.newest().map(|snapshot| snapshot.name.clone());
        let why = match (&resume, newest) {
            (Some(point), _) => Why::Interrupted { bytes: point.bytes },
            (None, Some(newest)) if missing.is_empty() => Why::UpToDate { newest },
            (None, Some(newest)) => Why::Younger { newest },
            (None, None) => Why::NoSnapshots,
        };
        if missing.is_empty() {
            self.steps.push(pair.step(Action::Nothing, why));
        } else {
            let range = Range {
                base: Some(base),
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
        // What holds a partial raw receive is encrypted like its source.
        let form = self.form(pair.source, target.encryption.as_ref());
        let raw = form.as_ref().is_ok_and(|form| form.raw);
        match resume::check(partial, pair.source, target, None, &missing, raw) {
            Verdict::Foreign(refusal) => self.steps.push(pair.refuse(refusal)),
            Verdict::Abort(reason) => {
                self.steps
                    .push(pair.step(Action::Abort, Why::Unusable(reason)));
                self.standing.remove(&pair.target);
                self.first(pair);
            }
            Verdict::Resume(point) => match form {
                Err(refusal) => self.steps.push(pair.refuse(refusal)),
                Ok(form) => {
                    let why = Why::Interrupted { bytes: point.bytes };
                    let range = Range {
                        base: None,
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
        let (above, create) = self.above(pair);
        let form = self.below(pair.source, &above, &create);
        let form = match form {
            Ok(form) => form,
            Err(refusal) => return self.steps.push(pair.refuse(refusal)),
        };
        for name in create {
            self.standing.insert(name.clone(), above.standing.clone());
            self.steps.push(Step {
                source: pair.source.name.clone(),
                target: name,
                action: Action::Create,
                why: Why::ParentMissing {
                    child: pair.target.clone(),
                },
            });
        }
        let encryption = if form.raw {
            Some(Encryption {
                root: pair.target.clone(),
                key: Key::Unavailable,
            })
        } else {
            above.standing.encryption
        };
        self.standing.insert(
            pair.target.clone(),
            Standing {
                kind: pair.source.kind,
                encryption,
            },
        );
        let range = Range {
            base: None,
            snapshots: missing,
            resume: None,
            form,
            marker: self.first_marker(pair),
        };
        self.steps
            .push(pair.step(Action::Send(range), Why::NotOnTarget));
        self.refusals(pair, refused);
    }

    /// What there is to put the target below, and which datasets are missing
    /// between the two, the uppermost first.
    fn above(&self, pair: &Pair<'a>) -> (Above, Vec<DatasetName>) {
        let mut create = Vec::new();
        let mut above = None;
        for name in pair.target.ancestors() {
            if let Some(standing) = self.standing.get(&name) {
                above = Some(Above {
                    name,
                    standing: standing.clone(),
                });
                break;
            }
            create.push(name);
        }
        create.reverse();
        // plan() has seen that there is something above the target's root.
        let above = above.unwrap_or_else(|| Above {
            name: self.target.root.pool().root(),
            standing: Standing {
                kind: Kind::Filesystem,
                encryption: None,
            },
        });
        (above, create)
    }

    /// How a first stream is made that goes below `above`, or why it cannot.
    fn below(
        &self,
        source: &Dataset,
        above: &Above,
        create: &[DatasetName],
    ) -> Result<StreamForm, Refusal> {
        if above.standing.kind == Kind::Volume {
            return Err(Refusal::ParentIsVolume {
                volume: above.name.clone(),
            });
        }
        match &above.standing.encryption {
            // A filesystem cannot be made below without the key either, and
            // one that is not encrypted would not be what the target wants.
            Some(encryption) if encryption.key == Key::Unavailable && !create.is_empty() => {
                Err(Refusal::TargetKeyUnavailable {
                    root: encryption.root.clone(),
                })
            }
            encryption => self.form(source, encryption.as_ref()),
        }
    }

    fn missing(
        &self,
        pair: &Pair<'a>,
        target: Option<&Dataset>,
        after: Option<zfs_core::Txg>,
    ) -> (Vec<Snapshot>, Vec<Refusal>) {
        let wanted = |snapshot: &Snapshot| {
            self.options
                .wanted
                .is_none_or(|wanted| wanted(&pair.source.name, snapshot))
        };
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

    /// How the streams of this source are made for something that is, or
    /// will be, encrypted as `target` says.
    fn form(&self, source: &Dataset, target: Option<&Encryption>) -> Result<StreamForm, Refusal> {
        let raw = match (&source.encryption, self.options.encrypted) {
            (Some(_), Encrypted::Raw) => true,
            (Some(encryption), Encrypted::Plaintext) if encryption.key == Key::Unavailable => {
                return Err(Refusal::SourceKeyUnavailable {
                    root: encryption.root.clone(),
                });
            }
            _ => false,
        };
        match target {
            Some(encryption) if !raw && encryption.key == Key::Unavailable => {
                Err(Refusal::TargetKeyUnavailable {
                    root: encryption.root.clone(),
                })
            }
            _ => Ok(StreamForm {
                raw,
                large_blocks: self.options.large_blocks == LargeBlocks::Whole,
                compressed: true,
                // Never: asked for embedded blocks, OpenZFS since #16701 (seen
                // with 2.3.9) sends a spill block that fits into a block
                // pointer as file data; the receiver drops it without a word,
                // and with it the extended attributes or the symlink's target
                // that were there (openzfs/zfs#19091).
                embedded: false,
            }),
        }
    }

    /// Puts the marker for `base` right, and returns it if it stands then.
    fn mark(&mut self, pair: &Pair<'a>, base: &Base) -> Vec<BookmarkName> {
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

    fn first_marker(&mut self, pair: &Pair<'a>) -> Option<MarkerMove> {
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

    fn marker_move(&self, source: &Dataset, stale: Vec<BookmarkName>) -> Option<MarkerMove> {
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

fn too_long(mut name: String) -> Refusal {
    if name.chars().count() > zfs_core::name::MAX_NAME_BYTES + 1 {
        name = name
            .chars()
            .take(zfs_core::name::MAX_NAME_BYTES + 1)
            .collect();
    }
    Refusal::NameTooLong { name }
}
