//! A small model of ZFS: enough of the kernel's rules that a wrong plan
//! fails on it.
//!
//! The rules of receiving are those of `recv_begin_check_existing_impl` and
//! `dmu_recv_resume_begin_check` in OpenZFS' `dmu_recv.c`.

use std::collections::BTreeMap;

use zfs_core::{DatasetName, Guid, SnapshotName, Txg};

use super::step::{Action, Base, Rollback, Step, Stream};
use super::{Options, Plan, Provenance, plan};
use crate::marker::{Marker, TargetId};
use crate::tree::{
    Bookmark, Dataset, Encryption, Key, Kind, Partial, ResumePoint, Snapshot, StreamForm, Tree,
};

#[derive(Clone, Debug)]
pub struct Point {
    pub name: String,
    pub guid: u64,
    pub txg: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Entry {
    pub guid: u64,
    pub encrypted: bool,
    pub snapshots: Vec<Point>,
    pub bookmarks: Vec<Point>,
    pub partial: Option<ResumePoint>,
    /// The transaction group of the snapshot that it is a clone of, which no
    /// other snapshot of that side has.
    pub origin: Option<u64>,
    /// Bytes since the youngest snapshot.
    pub written: u64,
    /// Whose it is, on the target.
    pub whose: Provenance,
}

impl Entry {
    pub fn has(&self, guid: u64) -> bool {
        self.snapshots.iter().any(|point| point.guid == guid)
    }

    pub fn knows(&self, guid: u64) -> bool {
        self.has(guid) || self.bookmarks.iter().any(|point| point.guid == guid)
    }

    /// Whether an interrupted receive made it, which goes when that is given
    /// up.
    pub fn is_half_received(&self) -> bool {
        self.snapshots.is_empty() && self.partial.is_some()
    }

    pub fn newest(&self) -> Option<&Point> {
        self.snapshots.last()
    }

    /// The truthful markers of one target.
    pub fn markers(&self, target: &TargetId) -> Vec<u64> {
        let own = |point: &&Point| {
            Marker::parse(&point.name)
                .is_some_and(|marker| marker.target == *target && marker.guid.0 == point.guid)
        };
        self.bookmarks
            .iter()
            .filter(own)
            .map(|point| point.guid)
            .collect()
    }
}

/// Datasets by their path below the root; the root's is empty.
#[derive(Clone, Debug, Default)]
pub struct Side {
    pub root: String,
    pub txg: u64,
    pub datasets: BTreeMap<String, Entry>,
}

impl Side {
    pub fn name(&self, path: &str) -> DatasetName {
        DatasetName::parse(&self.root)
            .and_then(|root| root.join(path))
            .expect("the model has valid names")
    }

    pub fn path(&self, name: &DatasetName) -> String {
        name.strip_prefix(&self.name(""))
            .expect("inside the tree")
            .to_owned()
    }

    /// The dataset that has a snapshot, by its path.
    pub fn owner(&self, txg: u64) -> Option<(&str, &Point)> {
        self.datasets.iter().find_map(|(path, entry)| {
            let point = entry.snapshots.iter().find(|s| s.txg == txg)?;
            Some((path.as_str(), point))
        })
    }

    fn name_of(&self, txg: u64) -> Option<SnapshotName> {
        let (path, point) = self.owner(txg)?;
        self.name(path).with_snapshot(&point.name).ok()
    }

    fn point(&self, name: &SnapshotName) -> Option<&Point> {
        let entry = self.datasets.get(&self.path(name.dataset()))?;
        entry.snapshots.iter().find(|s| s.name == name.snapshot())
    }

    /// Whether something is a clone of that snapshot.
    pub fn is_cloned(&self, txg: u64) -> bool {
        self.datasets
            .values()
            .any(|entry| entry.origin == Some(txg))
    }

    pub fn rename(&mut self, from: &str, to: &str) -> Result<(), String> {
        let inside = to == from || to.starts_with(&format!("{from}/"));
        let there = self.datasets.contains_key(from) && !from.is_empty();
        if !there || inside || self.datasets.contains_key(to) || !self.parent_exists(to) {
            return Err(format!("cannot rename {from:?} to {to:?}"));
        }
        let below = format!("{from}/");
        let moving: Vec<String> = self
            .datasets
            .keys()
            .filter(|path| *path == from || path.starts_with(&below))
            .cloned()
            .collect();
        for path in moving {
            let entry = self.datasets.remove(&path).unwrap();
            let new = format!("{to}{}", &path[from.len()..]);
            self.datasets.insert(new, entry);
        }
        Ok(())
    }

    /// By the rules of `dsl_dataset_promote_check`.
    pub fn promote(&mut self, path: &str) -> Result<(), String> {
        let clone = self.datasets.get(path).ok_or("no dataset")?;
        let origin = clone.origin.ok_or("not a clone")?;
        let owner = self.owner(origin).ok_or("no origin")?.0.to_owned();
        let from = &self.datasets[&owner];
        let until = from.snapshots.iter().position(|s| s.txg == origin).unwrap();
        let moving = from.snapshots[..=until].to_vec();
        if moving
            .iter()
            .any(|m| clone.snapshots.iter().any(|s| s.name == m.name))
        {
            return Err("both have a snapshot of that name".into());
        }
        let above = from.origin;
        let from = self.datasets.get_mut(&owner).unwrap();
        from.snapshots.drain(..=until);
        from.origin = Some(origin);
        let clone = self.datasets.get_mut(path).unwrap();
        clone.origin = above;
        clone.snapshots.splice(0..0, moving);
        Ok(())
    }

    pub fn clone_snapshot(&mut self, origin: u64, path: &str, guid: u64) -> Result<(), String> {
        let owner = self.owner(origin).ok_or("no origin")?.0.to_owned();
        if self.datasets.contains_key(path) || !self.parent_exists(path) {
            return Err(format!("cannot clone to {path:?}"));
        }
        let entry = Entry {
            guid,
            encrypted: self.datasets[&owner].encrypted,
            origin: Some(origin),
            ..Entry::default()
        };
        self.datasets.insert(path.to_owned(), entry);
        Ok(())
    }

    /// A dataset with nothing below it and no clones.
    pub fn destroy(&mut self, path: &str) -> Result<(), String> {
        let below = format!("{path}/");
        let entry = self.datasets.get(path).ok_or("no dataset")?;
        let used = entry.snapshots.iter().any(|s| self.is_cloned(s.txg));
        let parent = self.datasets.keys().any(|other| other.starts_with(&below));
        if used || parent || path.is_empty() {
            return Err(format!("{path:?} is in use"));
        }
        self.datasets.remove(path);
        Ok(())
    }

    pub fn destroy_snapshot(&mut self, path: &str, txg: u64) -> Result<(), String> {
        if self.is_cloned(txg) {
            return Err("the snapshot has a clone".into());
        }
        let guid = self.owner(txg).ok_or("no snapshot")?.1.guid;
        let entry = self.datasets.get_mut(path).ok_or("no dataset")?;
        // What a partial receive builds on is busy.
        let partial = entry.partial.as_ref().and_then(|point| point.from_guid);
        if partial == Some(Guid(guid)) {
            return Err("the snapshot is busy".into());
        }
        entry.snapshots.retain(|point| point.txg != txg);
        Ok(())
    }

    pub fn tree(&self) -> Tree {
        let datasets = self
            .datasets
            .iter()
            .map(|(path, entry)| {
                let name = self.name(path);
                let snapshot = |point: &Point| Snapshot {
                    name: name.with_snapshot(&point.name).unwrap(),
                    guid: Guid(point.guid),
                    createtxg: Txg(point.txg),
                    creation: None,
                    ivset: None,
                };
                let bookmark = |point: &Point| Bookmark {
                    name: name.with_bookmark(&point.name).unwrap(),
                    guid: Guid(point.guid),
                    createtxg: Txg(point.txg),
                    ivset: None,
                };
                Dataset {
                    name: name.clone(),
                    guid: Guid(entry.guid),
                    kind: Kind::Filesystem,
                    encryption: entry.encrypted.then(|| Encryption {
                        root: name.clone(),
                        key: Key::Unavailable,
                    }),
                    origin: entry.origin.and_then(|txg| self.name_of(txg)),
                    // In no order: the planner must not rely on one.
                    snapshots: entry.snapshots.iter().rev().map(snapshot).collect(),
                    bookmarks: entry.bookmarks.iter().rev().map(bookmark).collect(),
                    partial: entry.partial.clone().map(Partial::Token),
                    written: Some(entry.written),
                }
            })
            .collect();
        let pool = DatasetName::parse(&self.root).unwrap().pool().root();
        Tree {
            root: self.name(""),
            datasets,
            above: Some(Dataset::new(pool, Guid(1))),
        }
    }

    fn parent_exists(&self, path: &str) -> bool {
        match path.rsplit_once('/') {
            Some((parent, _)) => self.datasets.contains_key(parent),
            None => path.is_empty() || self.datasets.contains_key(""),
        }
    }
}

/// What an executor does in one go: it happens or it does not.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "there are few of them")]
pub enum Op {
    Create(DatasetName),
    Abort(DatasetName),
    Receive(DatasetName, Stream),
    Rename(DatasetName, DatasetName),
    Clone(SnapshotName, DatasetName),
    Promote(DatasetName),
    Rollback(Rollback),
    Destroy(DatasetName, Vec<SnapshotName>),
    Bookmark(DatasetName, Guid, String),
    DestroyBookmark(DatasetName, String),
}

/// The order in which an executor goes through a plan.
pub fn ops(steps: &[Step]) -> Vec<Op> {
    let mut ops = Vec::new();
    for step in steps {
        match &step.action {
            Action::Create => ops.push(Op::Create(step.target.clone())),
            Action::Abort => ops.push(Op::Abort(step.target.clone())),
            Action::Rename { from } => {
                ops.push(Op::Rename(from.clone(), step.target.clone()));
            }
            Action::Clone { origin, .. } => {
                ops.push(Op::Clone(origin.clone(), step.target.clone()));
            }
            Action::Promote { .. } => ops.push(Op::Promote(step.target.clone())),
            Action::Rollback(rollback) => ops.push(Op::Rollback(rollback.clone())),
            Action::Destroy { snapshots } => {
                ops.push(Op::Destroy(step.target.clone(), snapshots.clone()));
            }
            Action::Mark(mark) => {
                if let Some(name) = &mark.create {
                    let name = name.bookmark().to_owned();
                    ops.push(Op::Bookmark(step.source.clone(), mark.of.guid(), name));
                }
                for name in &mark.destroy {
                    let name = name.bookmark().to_owned();
                    ops.push(Op::DestroyBookmark(step.source.clone(), name));
                }
            }
            Action::Send(range) => {
                let mut marker = range.marker.clone();
                let streams: Vec<Stream> = range.streams().collect();
                for streams in streams.chunks(2) {
                    if let Some(marker) = &mut marker {
                        for guid in streams.iter().map(|stream| stream.to.guid) {
                            let name = marker.sending(&step.source, guid).unwrap();
                            if !marker.stale.contains(&name) {
                                let own = name.bookmark().to_owned();
                                ops.push(Op::Bookmark(step.source.clone(), guid, own));
                                marker.stale.push(name);
                            }
                        }
                    }
                    let receive = |stream| Op::Receive(step.target.clone(), stream);
                    ops.extend(streams.iter().cloned().map(receive));
                    let (Some(marker), Some(last)) = (&mut marker, streams.last()) else {
                        continue;
                    };
                    let guid = last.to.guid;
                    let advance = marker.advance(&step.source, guid).unwrap();
                    if let Some(name) = advance.create {
                        let name = name.bookmark().to_owned();
                        ops.push(Op::Bookmark(step.source.clone(), guid, name));
                    }
                    for name in advance.destroy {
                        let name = name.bookmark().to_owned();
                        ops.push(Op::DestroyBookmark(step.source.clone(), name));
                    }
                }
            }
            // The model has no holds.
            Action::Hold { .. } | Action::Nothing | Action::Refuse => {}
        }
    }
    ops
}

#[derive(Clone, Debug)]
pub struct World {
    pub source: Side,
    pub target: Side,
    pub id: TargetId,
    next_guid: u64,
}

impl World {
    pub fn new() -> World {
        let side = |root: &str| Side {
            root: root.to_owned(),
            txg: 10,
            datasets: BTreeMap::new(),
        };
        let mut world = World {
            source: side("site-a/office"),
            target: side("site-b/deep/er/office"),
            id: "siteb".parse().unwrap(),
            next_guid: 100,
        };
        world.create("", false);
        world
    }

    pub fn guid(&mut self) -> u64 {
        self.next_guid += 1;
        self.next_guid
    }

    pub fn plan(&self) -> Plan {
        self.plan_with(Options::new())
    }

    pub fn plan_with(&self, options: Options<'_>) -> Plan {
        let options = options.marker(&self.id);
        plan(&self.source.tree(), &self.target.tree(), &options).expect("the roots are fine")
    }

    pub fn create(&mut self, path: &str, encrypted: bool) {
        let guid = self.guid();
        if self.source.parent_exists(path) && !self.source.datasets.contains_key(path) {
            let entry = Entry {
                guid,
                encrypted,
                ..Entry::default()
            };
            self.source.datasets.insert(path.to_owned(), entry);
        }
    }

    pub fn snapshot(&mut self, on_target: bool, path: &str, name: &str) {
        let guid = self.guid();
        let side = if on_target {
            &mut self.target
        } else {
            &mut self.source
        };
        side.txg += 1;
        let txg = side.txg;
        let Some(entry) = side.datasets.get_mut(path) else {
            return;
        };
        let half_received = entry.is_half_received();
        if half_received || entry.snapshots.iter().any(|point| point.name == name) {
            return;
        }
        entry.snapshots.push(Point {
            name: name.to_owned(),
            guid,
            txg,
        });
    }

    /// Whether an operation would work, by the kernel's rules, and then does
    /// it; `halfway` leaves a receive interrupted.
    pub fn apply(&mut self, op: &Op, halfway: bool) -> Result<(), String> {
        self.target.txg += 1;
        self.source.txg += 1;
        match op {
            Op::Create(name) => self.apply_create(name),
            Op::Abort(name) => {
                let path = self.target.path(name);
                let entry = self.target.datasets.get_mut(&path).ok_or("no dataset")?;
                entry.partial.take().ok_or("nothing to abort")?;
                if entry.snapshots.is_empty() {
                    let below = format!("{path}/");
                    if self
                        .target
                        .datasets
                        .keys()
                        .any(|other| other.starts_with(&below))
                    {
                        return Err("something is below it".into());
                    }
                    self.target.datasets.remove(&path);
                }
                Ok(())
            }
            Op::Bookmark(name, guid, bookmark) => {
                let path = self.source.path(name);
                let entry = self.source.datasets.get_mut(&path).ok_or("no dataset")?;
                if entry.bookmarks.iter().any(|point| point.name == *bookmark) {
                    return Err(format!("#{bookmark} exists"));
                }
                let of = entry
                    .snapshots
                    .iter()
                    .chain(&entry.bookmarks)
                    .find(|point| point.guid == guid.0)
                    .ok_or("nothing to bookmark")?;
                let point = Point {
                    name: bookmark.clone(),
                    ..of.clone()
                };
                entry.bookmarks.push(point);
                Ok(())
            }
            Op::DestroyBookmark(name, bookmark) => {
                let path = self.source.path(name);
                let entry = self.source.datasets.get_mut(&path).ok_or("no dataset")?;
                let before = entry.bookmarks.len();
                entry.bookmarks.retain(|point| point.name != *bookmark);
                if entry.bookmarks.len() == before {
                    return Err(format!("no #{bookmark}"));
                }
                Ok(())
            }
            Op::Receive(name, stream) => self.apply_receive(name, stream, halfway),
            Op::Rename(from, to) => {
                let (from, to) = (self.target.path(from), self.target.path(to));
                self.target.rename(&from, &to)
            }
            Op::Clone(origin, to) => {
                let txg = self.target.point(origin).ok_or("no origin")?.txg;
                let (path, id) = (self.target.path(to), self.guid());
                self.target.clone_snapshot(txg, &path, id)
            }
            Op::Promote(name) => {
                let path = self.target.path(name);
                self.target.promote(&path)
            }
            Op::Rollback(rollback) => {
                let path = self.target.path(rollback.to.dataset());
                if let Some(entry) = self.target.datasets.get_mut(&path) {
                    entry.written = 0;
                }
                for name in &rollback.destroy {
                    let txg = self.target.point(name).ok_or("no snapshot")?.txg;
                    self.target.destroy_snapshot(&path, txg)?;
                }
                let to = self.target.point(&rollback.to).map(|point| point.txg);
                let newest = self.target.datasets[&path].newest();
                if newest.map(|newest| newest.txg) != to {
                    return Err("not rolled back to the newest".into());
                }
                Ok(())
            }
            Op::Destroy(name, snapshots) => {
                let path = self.target.path(name);
                let entry = self.target.datasets.get(&path).ok_or("no dataset")?;
                if entry.snapshots.len() != snapshots.len() {
                    return Err("other snapshots than planned".into());
                }
                self.target.destroy(&path)
            }
        }
    }

    fn apply_create(&mut self, name: &DatasetName) -> Result<(), String> {
        if !name.is_within(&self.target.name("")) {
            // Above the tree the model only knows that it can be made.
            return Ok(());
        }
        let path = self.target.path(name);
        if self.target.datasets.contains_key(&path) || !self.target.parent_exists(&path) {
            return Err(format!("cannot create {name}"));
        }
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let locked = |entry: &Entry| entry.encrypted;
        if !path.is_empty() && self.target.datasets.get(parent).is_some_and(locked) {
            return Err(format!("no key to create {name}"));
        }
        let guid = self.guid();
        let entry = Entry {
            guid,
            whose: Provenance::Parent,
            ..Entry::default()
        };
        self.target.datasets.insert(path, entry);
        Ok(())
    }

    fn apply_receive(
        &mut self,
        name: &DatasetName,
        stream: &Stream,
        halfway: bool,
    ) -> Result<(), String> {
        let source = self
            .source
            .datasets
            .get(&self.source.path(stream.to.name.dataset()))
            .ok_or("no source")?;
        let to = source
            .snapshots
            .iter()
            .find(|point| point.name == stream.to.name.snapshot())
            .ok_or("no snapshot to send")?
            .clone();
        if to.guid != stream.to.guid.0 {
            return Err("the plan has another GUID".into());
        }
        if source.encrypted && !stream.form.raw {
            return Err("plaintext would leave".into());
        }
        let from = match &stream.from {
            None => None,
            Some(base) => {
                let owner = match base {
                    Base::Snapshot { name, .. } => name.dataset(),
                    Base::Bookmark { name, .. } => name.dataset(),
                };
                // Of its own, or its origin itself.
                let sibling = self
                    .source
                    .datasets
                    .get(&self.source.path(owner))
                    .ok_or("no such dataset to be the base of")?;
                if owner != stream.to.name.dataset()
                    && source.origin
                        != sibling
                            .snapshots
                            .iter()
                            .find(|point| point.guid == base.guid().0)
                            .map(|point| point.txg)
                {
                    return Err("the base is not in its history".into());
                }
                let source = sibling;
                let (points, short) = match base {
                    Base::Snapshot { name, .. } => (&source.snapshots, name.snapshot()),
                    Base::Bookmark { name, .. } => (&source.bookmarks, name.bookmark()),
                };
                let from = points
                    .iter()
                    .find(|point| point.name == short)
                    .ok_or("no such base")?;
                if from.txg >= to.txg {
                    return Err("the base is not older".into());
                }
                Some(from.guid)
            }
        };

        let encrypted = source.encrypted;
        let path = self.target.path(name);
        if !self.target.parent_exists(&path) {
            return Err(format!("{name} has no parent"));
        }
        let guid = self.guid();
        let txg = self.target.txg;
        let existing = self.target.datasets.get(&path);
        match (
            existing.and_then(|entry| entry.partial.as_ref()),
            &stream.resume,
        ) {
            (Some(partial), Some(point)) => {
                if partial != point
                    || partial.to_guid.0 != to.guid
                    || partial.from_guid.map(|guid| guid.0) != from
                    || partial.form != stream.form
                {
                    return Err("this does not resume what was interrupted".into());
                }
                let newest = existing.and_then(Entry::newest).map(|point| point.guid);
                let origin = existing
                    .and_then(|entry| self.target.owner(entry.origin?))
                    .map(|(_, point)| point.guid);
                if newest.or(origin) != from {
                    return Err("what is resumed does not build on the newest".into());
                }
            }
            (Some(_), None) => return Err("busy: a partial receive is in the way".into()),
            (None, Some(_)) => return Err("nothing to resume".into()),
            (None, None) => match (existing, from) {
                (None, None) => {}
                (None, Some(from)) => {
                    let origin = stream.origin.as_ref().ok_or("an increment on nothing")?;
                    if self.target.point(origin).map(|point| point.guid) != Some(from) {
                        return Err("another origin".into());
                    }
                    let owner = self.target.path(origin.dataset());
                    if stream.form.raw && !self.target.datasets[&owner].encrypted {
                        return Err("a raw clone of what is plain".into());
                    }
                }
                (Some(_), None) => return Err("a full stream onto a dataset".into()),
                (Some(entry), Some(from)) => {
                    if entry.newest().map(|point| point.guid) != Some(from) {
                        return Err("the base is not the newest".into());
                    }
                }
            },
        }
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let parent = self.target.datasets.get(parent);
        // A clone has its origin's key.
        let has_key = encrypted || stream.from.is_some();
        if !path.is_empty() && !has_key && parent.is_some_and(|entry| entry.encrypted) {
            return Err(format!("no key to receive {name}"));
        }
        let origin = stream
            .origin
            .as_ref()
            .and_then(|origin| self.target.point(origin))
            .map(|point| point.txg);
        let entry = self.target.datasets.entry(path).or_insert(Entry {
            guid,
            encrypted,
            origin,
            whose: Provenance::Replica,
            ..Entry::default()
        });
        if entry.snapshots.iter().any(|point| point.name == to.name) {
            return Err(format!("@{} exists", to.name));
        }
        if halfway {
            entry.partial = Some(ResumePoint {
                to_guid: Guid(to.guid),
                to_name: stream.to.name.to_string(),
                from_guid: from.map(Guid),
                object: 1,
                offset: 0,
                bytes: 1000,
                form: stream.form,
                redacted: false,
            });
        } else {
            entry.partial = None;
            entry.snapshots.push(Point { txg, ..to });
        }
        Ok(())
    }

    /// Carries out a plan up to an operation, which is left halfway.
    pub fn run(&mut self, plan: &Plan, stop: Option<usize>, halfway: bool) -> Result<(), String> {
        for (index, op) in ops(&plan.steps).iter().enumerate() {
            if stop == Some(index) {
                if halfway && matches!(op, Op::Receive(..)) {
                    self.apply(op, true)
                        .map_err(|problem| format!("{op:?}: {problem}"))?;
                }
                return Ok(());
            }
            let marked = self.marked();
            self.apply(op, false)
                .map_err(|problem| format!("{op:?}: {problem}"))?;
            // What changes places takes its marker's dataset along or not.
            let moves = matches!(op, Op::Rename(..) | Op::Promote(_) | Op::Rollback(_));
            for path in marked.into_iter().filter(|_| !moves) {
                if !self.is_marked(&path) {
                    return Err(format!("after {op:?} nothing marks the base of {path:?}"));
                }
            }
        }
        Ok(())
    }

    /// Whether something on the source remembers what the target has.
    fn is_marked(&self, path: &str) -> bool {
        let (Some(source), Some(target)) = (
            self.source.datasets.get(path),
            self.target.datasets.get(path),
        ) else {
            return false;
        };
        source
            .markers(&self.id)
            .iter()
            .any(|guid| target.has(*guid))
    }

    fn marked(&self) -> Vec<String> {
        self.source
            .datasets
            .keys()
            .filter(|path| self.is_marked(path))
            .cloned()
            .collect()
    }
}

/// The form of every stream that the model sends of a plain dataset.
pub const PLAIN: StreamForm = StreamForm {
    raw: false,
    large_blocks: true,
    compressed: true,
    embedded: false,
};
