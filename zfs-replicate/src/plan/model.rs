//! A small model of ZFS: enough of the kernel's rules that a wrong plan
//! fails on it.
//!
//! The rules of receiving are those of `recv_begin_check_existing_impl` and
//! `dmu_recv_resume_begin_check` in OpenZFS' `dmu_recv.c`.

use std::collections::BTreeMap;

use zfs_core::{DatasetName, Guid, Txg};

use super::step::{Action, Base, Step, Stream};
use super::{Options, Plan, plan};
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
}

impl Entry {
    pub fn has(&self, guid: u64) -> bool {
        self.snapshots.iter().any(|point| point.guid == guid)
    }

    pub fn knows(&self, guid: u64) -> bool {
        self.has(guid) || self.bookmarks.iter().any(|point| point.guid == guid)
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

    fn path(&self, name: &DatasetName) -> String {
        name.strip_prefix(&self.name(""))
            .expect("inside the tree")
            .to_owned()
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
                };
                let bookmark = |point: &Point| Bookmark {
                    name: name.with_bookmark(&point.name).unwrap(),
                    guid: Guid(point.guid),
                    createtxg: Txg(point.txg),
                };
                Dataset {
                    name: name.clone(),
                    guid: Guid(entry.guid),
                    kind: Kind::Filesystem,
                    encryption: entry.encrypted.then(|| Encryption {
                        root: name.clone(),
                        key: Key::Unavailable,
                    }),
                    origin: None,
                    // In no order: the planner must not rely on one.
                    snapshots: entry.snapshots.iter().rev().map(snapshot).collect(),
                    bookmarks: entry.bookmarks.iter().rev().map(bookmark).collect(),
                    partial: entry.partial.clone().map(Partial::Token),
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
pub enum Op {
    Create(DatasetName),
    Abort(DatasetName),
    Receive(DatasetName, Stream),
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
                for stream in range.streams() {
                    let guid = stream.to.guid;
                    ops.push(Op::Receive(step.target.clone(), stream));
                    let Some(marker) = &mut marker else {
                        continue;
                    };
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
            Action::Nothing | Action::Refuse => {}
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

    fn guid(&mut self) -> u64 {
        self.next_guid += 1;
        self.next_guid
    }

    pub fn plan(&self) -> Plan {
        let options = Options::new().marker(&self.id);
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
        let half_received = entry.snapshots.is_empty() && entry.partial.is_some();
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
                if newest != from {
                    return Err("what is resumed does not build on the newest".into());
                }
            }
            (Some(_), None) => return Err("busy: a partial receive is in the way".into()),
            (None, Some(_)) => return Err("nothing to resume".into()),
            (None, None) => match (existing, from) {
                (None, None) => {}
                (None, Some(_)) => return Err("an increment on nothing".into()),
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
        if !path.is_empty() && !encrypted && parent.is_some_and(|entry| entry.encrypted) {
            return Err(format!("no key to receive {name}"));
        }
        let entry = self.target.datasets.entry(path).or_insert(Entry {
            guid,
            encrypted,
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
            for path in marked {
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
