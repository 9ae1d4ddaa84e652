//! What holds for every plan, tried on a model of ZFS over random histories.

use std::collections::HashSet;

use proptest::prelude::*;
use zfs_core::{Guid, SnapshotName};

use super::Plan;
use super::model::{Entry, Point, World, ops};
use super::step::{Action, Refusal, Step, Why};
use crate::marker::Marker;
use crate::tree::StreamForm;

pub const PATHS: [&str; 7] = ["", "a", "a/b", "a/b/c", "d", "d/e", "f"];
pub const NAMES: [&str; 6] = ["s0", "s1", "s2", "s3", "s4", "s5"];

/// Something that happens to the pools between two runs, or a run.
#[derive(Clone, Debug)]
pub enum Event {
    Create {
        path: usize,
        encrypted: bool,
    },
    DestroyDataset {
        on_target: bool,
        path: usize,
    },
    Snapshot {
        on_target: bool,
        path: usize,
        name: usize,
    },
    DestroySnapshot {
        on_target: bool,
        path: usize,
        which: usize,
    },
    RenameSnapshot {
        path: usize,
        which: usize,
        name: usize,
    },
    Bookmark {
        path: usize,
        which: usize,
        kind: BookmarkKind,
    },
    DestroyBookmark {
        path: usize,
        which: usize,
    },
    BareTarget {
        path: usize,
    },
    Rename {
        path: usize,
        to: usize,
    },
    Clone {
        path: usize,
        which: usize,
        to: usize,
    },
    Promote {
        path: usize,
    },
    ForeignPartial {
        path: usize,
        to: usize,
        from: Option<usize>,
        raw: bool,
    },
    Run {
        stop: Option<usize>,
        halfway: bool,
    },
}

#[derive(Clone, Copy, Debug)]
pub enum BookmarkKind {
    Plain,
    OtherTarget,
    Lying,
}

pub fn event() -> impl Strategy<Value = Event> {
    let path = 0..PATHS.len();
    let name = 0..NAMES.len();
    let kind = prop_oneof![
        Just(BookmarkKind::Plain),
        Just(BookmarkKind::OtherTarget),
        Just(BookmarkKind::Lying)
    ];
    let rarely = || prop::bool::weighted(0.15);
    prop_oneof![
        3 => (path.clone(), any::<bool>())
            .prop_map(|(path, encrypted)| Event::Create { path, encrypted }),
        1 => (any::<bool>(), path.clone())
            .prop_map(|(on_target, path)| Event::DestroyDataset { on_target, path }),
        12 => (rarely(), path.clone(), name.clone())
            .prop_map(|(on_target, path, name)| Event::Snapshot { on_target, path, name }),
        5 => (any::<bool>(), path.clone(), name.clone())
            .prop_map(|(on_target, path, which)| Event::DestroySnapshot { on_target, path, which }),
        2 => (path.clone(), name.clone(), name.clone())
            .prop_map(|(path, which, name)| Event::RenameSnapshot { path, which, name }),
        3 => (path.clone(), name.clone(), kind)
            .prop_map(|(path, which, kind)| Event::Bookmark { path, which, kind }),
        1 => (path.clone(), name.clone())
            .prop_map(|(path, which)| Event::DestroyBookmark { path, which }),
        1 => path.clone().prop_map(|path| Event::BareTarget { path }),
        3 => (path.clone(), path.clone()).prop_map(|(path, to)| Event::Rename { path, to }),
        4 => (path.clone(), name.clone(), path.clone())
            .prop_map(|(path, which, to)| Event::Clone { path, which, to }),
        3 => path.clone().prop_map(|path| Event::Promote { path }),
        2 => (path, name.clone(), prop::option::of(name), any::<bool>())
            .prop_map(|(path, to, from, raw)| Event::ForeignPartial { path, to, from, raw }),
        6 => (prop::option::of(0..20_usize), any::<bool>())
            .prop_map(|(stop, halfway)| Event::Run { stop, halfway }),
    ]
}

fn pick<T>(list: &[T], which: usize) -> Option<usize> {
    which.checked_rem(list.len())
}

impl World {
    pub fn happen(&mut self, event: &Event) -> Result<(), String> {
        match *event {
            Event::Create { path, encrypted } => self.create(PATHS[path], encrypted),
            Event::DestroyDataset { on_target, path } => {
                let side = if on_target {
                    &mut self.target
                } else {
                    &mut self.source
                };
                // What is in use stays.
                let _ = side.destroy(PATHS[path]);
            }
            Event::Snapshot {
                on_target,
                path,
                name,
            } => self.snapshot(on_target, PATHS[path], NAMES[name]),
            Event::DestroySnapshot {
                on_target,
                path,
                which,
            } => {
                let side = if on_target {
                    &mut self.target
                } else {
                    &mut self.source
                };
                if let Some(entry) = side.datasets.get(PATHS[path]) {
                    if let Some(index) = pick(&entry.snapshots, which) {
                        let txg = entry.snapshots[index].txg;
                        let _ = side.destroy_snapshot(PATHS[path], txg);
                    }
                }
            }
            Event::Rename { path, to } => {
                let _ = self.source.rename(PATHS[path], PATHS[to]);
            }
            Event::Clone { path, which, to } => {
                let origin = self.source.datasets.get(PATHS[path]).and_then(|entry| {
                    let index = pick(&entry.snapshots, which)?;
                    Some(entry.snapshots[index].txg)
                });
                if let Some(origin) = origin {
                    let id = self.guid();
                    let _ = self.source.clone_snapshot(origin, PATHS[to], id);
                }
            }
            Event::Promote { path } => {
                let _ = self.source.promote(PATHS[path]);
            }
            Event::RenameSnapshot { path, which, name } => {
                if let Some(entry) = self.source.datasets.get_mut(PATHS[path]) {
                    let taken = entry.snapshots.iter().any(|s| s.name == NAMES[name]);
                    if let (Some(index), false) = (pick(&entry.snapshots, which), taken) {
                        entry.snapshots[index].name = NAMES[name].to_owned();
                    }
                }
            }
            Event::Bookmark { path, which, kind } => self.bookmark(PATHS[path], which, kind),
            Event::DestroyBookmark { path, which } => {
                if let Some(entry) = self.source.datasets.get_mut(PATHS[path]) {
                    if let Some(index) = pick(&entry.bookmarks, which) {
                        entry.bookmarks.remove(index);
                    }
                }
            }
            Event::BareTarget { path } => {
                let guid = self.guid();
                let parent = PATHS[path]
                    .rsplit_once('/')
                    .map_or("", |(parent, _)| parent);
                let target = &mut self.target.datasets;
                // Not below a half received dataset, where giving that up
                // fails until somebody takes away what is below it.
                let is_parent = |entry: &Entry| !entry.is_half_received();
                if PATHS[path].is_empty() || target.get(parent).is_some_and(is_parent) {
                    let bare = Entry {
                        guid,
                        ..Entry::default()
                    };
                    target.entry(PATHS[path].to_owned()).or_insert(bare);
                }
            }
            Event::ForeignPartial {
                path,
                to,
                from,
                raw,
            } => self.foreign_partial(PATHS[path], to, from, raw),
            Event::Run { stop, halfway } => {
                let plan = self.plan();
                self.run(&plan, stop, halfway)?;
            }
        }
        Ok(())
    }

    /// An interrupted receive as any other program might have left it.
    fn foreign_partial(&mut self, path: &str, to: usize, from: Option<usize>, raw: bool) {
        let guid = |which: usize| {
            let snapshots = &self.source.datasets.get(path)?.snapshots;
            Some(Guid(snapshots.get(which)?.guid))
        };
        let (to, from) = (guid(to).unwrap_or(Guid(7)), from.and_then(guid));
        // The model takes what has no snapshot and a token for a dataset that
        // this receive made, which then goes with the token and so has
        // nothing below it.
        let below = format!("{path}/");
        let mut paths = self.target.datasets.keys();
        let is_parent = path.is_empty() || paths.any(|other| other.starts_with(&below));
        let Some(entry) = self.target.datasets.get_mut(path) else {
            return;
        };
        if entry.snapshots.is_empty() && (from.is_some() || is_parent) {
            return;
        }
        entry.partial = Some(crate::tree::ResumePoint {
            to_guid: to,
            to_name: "elsewhere/x@y".to_owned(),
            from_guid: from,
            object: 0,
            offset: 0,
            bytes: 5,
            form: StreamForm {
                raw,
                ..super::model::PLAIN
            },
            redacted: false,
        });
    }

    fn bookmark(&mut self, path: &str, which: usize, kind: BookmarkKind) {
        let id = self.id.clone();
        let Some(entry) = self.source.datasets.get_mut(path) else {
            return;
        };
        let Some(index) = pick(&entry.snapshots, which) else {
            return;
        };
        let of = entry.snapshots[index].clone();
        let name = match kind {
            BookmarkKind::Plain => format!("mine-{}", of.guid),
            BookmarkKind::OtherTarget => format!("replica-other-{:016x}", of.guid),
            BookmarkKind::Lying => Marker {
                target: id,
                guid: Guid(of.guid + 1_000_000),
            }
            .to_string(),
        };
        if !entry.bookmarks.iter().any(|point| point.name == name) {
            entry.bookmarks.push(Point { name, ..of });
        }
    }
}

/// Whether the world really is as a refusal says.
fn justified(world: &World, step: &Step, refusal: &Refusal) -> bool {
    let path = step.source.strip_prefix(&world.source.name("")).unwrap();
    let source = &world.source.datasets[path];
    let target = world.target.datasets.get(path);
    match refusal {
        Refusal::Diverged { common, .. } => target.is_some_and(|target| {
            let base = target
                .snapshots
                .iter()
                .find(|s| s.name == common.snapshot());
            !source.knows(target.newest().unwrap().guid)
                && base.is_some_and(|base| source.knows(base.guid))
        }),
        Refusal::Unrelated { .. } => {
            target.is_some_and(|target| !target.snapshots.iter().any(|s| source.knows(s.guid)))
        }
        Refusal::Occupied => {
            target.is_some_and(|target| target.snapshots.is_empty() && target.partial.is_none())
        }
        Refusal::OtherPartial { .. } => target.is_some_and(Entry::is_half_received),
        Refusal::SnapshotNameTaken { snapshot, taken_by } => target.is_some_and(|target| {
            target
                .snapshots
                .iter()
                .any(|s| s.name == snapshot.snapshot() && s.guid == taken_by.0)
        }),
        Refusal::RawOntoPlain => source.encrypted && target.is_some_and(|target| !target.encrypted),
        Refusal::TargetKeyUnavailable { root } => {
            let root = root.strip_prefix(&world.target.name("")).unwrap();
            world
                .source
                .datasets
                .get(root)
                .is_some_and(|root| root.encrypted)
                || world
                    .target
                    .datasets
                    .get(root)
                    .is_some_and(|root| root.encrypted)
        }
        Refusal::RenameBlocked { from } => {
            let from = from.strip_prefix(&world.target.name("")).unwrap();
            target.is_some() || path.starts_with(&format!("{from}/"))
        }
        Refusal::PromoteBlocked { snapshot } => target.is_some_and(|target| {
            target.origin.is_some()
                && target
                    .snapshots
                    .iter()
                    .any(|s| s.name == snapshot.snapshot())
        }),
        Refusal::TargetNewer { .. } => {
            target.is_some_and(|target| !source.knows(target.newest().unwrap().guid))
        }
        Refusal::Ambiguous { candidates } => candidates.len() > 1,
        _ => false,
    }
}

/// The snapshots that have to be on the target after a run: those that are
/// younger than what was there already.
pub fn wanted(source: &Entry, there: Option<&Entry>, before: &World) -> Vec<u64> {
    let was_there = |guid: u64| {
        let datasets = &before.target.datasets;
        datasets.values().any(|entry| entry.has(guid))
    };
    let base = there
        .into_iter()
        .flat_map(|there| there.snapshots.iter().rev())
        .filter(|point| was_there(point.guid))
        .find_map(|old| {
            let mut points = source.snapshots.iter().chain(&source.bookmarks);
            points.find(|point| point.guid == old.guid)
        });
    source
        .snapshots
        .iter()
        .filter(|point| base.is_none_or(|base| point.txg > base.txg))
        .map(|point| point.guid)
        .collect()
}

/// Whether a full copy of a dataset could have been saved.
fn needless(world: &World, path: &str) -> Option<String> {
    let source = &world.source.datasets[path];
    let own = |entry: &Entry, guid: u64| {
        let until = entry.origin.unwrap_or(0);
        let mut points = entry.snapshots.iter().chain(&entry.bookmarks);
        points.any(|point| point.guid == guid && (entry.has(guid) || point.txg > until))
    };
    if let Some((owner, origin)) = source.origin.and_then(|txg| world.source.owner(txg)) {
        let there = world.target.datasets.get(owner);
        let below = owner.starts_with(&format!("{path}/"));
        let fits = there.is_some_and(|there| {
            there.has(origin.guid)
                && (there.encrypted || !source.encrypted)
                && (!there.encrypted || source.encrypted)
                && there
                    .snapshots
                    .iter()
                    .any(|s| own(&world.source.datasets[owner], s.guid))
        });
        if fits && !below {
            return Some(format!("{path:?} is a clone of what {owner:?} has"));
        }
    }
    let moved = world.target.datasets.iter().find(|(there, entry)| {
        let newest = entry.newest().map(|newest| newest.guid);
        let taken = world
            .source
            .datasets
            .get(*there)
            .is_some_and(|source| entry.snapshots.iter().any(|s| own(source, s.guid)));
        !there.is_empty() && !taken && newest.is_some_and(|guid| own(source, guid))
    });
    moved.map(|(there, _)| format!("{path:?} is on the target as {there:?}"))
}

fn check_run(before: &World) -> Result<(), TestCaseError> {
    let plan = before.plan();
    let mut after = before.clone();
    if let Err(problem) = after.run(&plan, None, false) {
        return Err(TestCaseError::fail(format!("{problem}\n{plan:#?}")));
    }

    let mut whole_refused = Vec::new();
    let mut snapshots_refused = Vec::new();
    let mut now = before.clone();
    let mut sent = Vec::new();
    for step in &plan.steps {
        if let Action::Send(range) = &step.action {
            prop_assert!(!sent.contains(&&step.source), "two ranges: {plan:#?}");
            sent.push(&step.source);
            let path = step.source.strip_prefix(&before.source.name("")).unwrap();
            if let (None, None, Some(saved)) = (&range.base, &range.resume, needless(&now, path)) {
                return Err(TestCaseError::fail(format!("{saved}: {plan:#?}")));
            }
        }
        for op in ops(std::slice::from_ref(step)) {
            now.apply(&op, false).map_err(TestCaseError::fail)?;
        }
        if step.action != Action::Refuse {
            continue;
        }
        let Why::Refused(refusal) = &step.why else {
            return Err(TestCaseError::fail("a refusal without a reason"));
        };
        // Names are those of before the run, also of what it renames.
        prop_assert!(
            justified(&now, step, refusal) || justified(before, step, refusal),
            "not so: {step}\n{now:#?}"
        );
        match name_taken(step) {
            Some(snapshot) => snapshots_refused.push(snapshot),
            None => whole_refused.push(step.source.clone()),
        }
    }

    for (path, source) in &before.source.datasets {
        let name = before.source.name(path);
        if whole_refused.contains(&name) {
            prop_assert!(
                !plan
                    .steps
                    .iter()
                    .any(|step| step.source == name && matches!(step.action, Action::Send(_))),
                "{name} is refused and sent"
            );
            continue;
        }
        let there = after.target.datasets.get(path);
        for guid in wanted(source, there, before) {
            let point = source.snapshots.iter().find(|s| s.guid == guid).unwrap();
            let refused = snapshots_refused
                .iter()
                .any(|s| *s.dataset() == name && s.snapshot() == point.name);
            let arrived = there.is_some_and(|entry| entry.has(guid));
            prop_assert!(arrived || refused, "{name}@{} is missing", point.name);
        }
        if let Some(newest) = there.and_then(Entry::newest) {
            prop_assert_eq!(
                after.source.datasets[path].markers(&after.id),
                vec![newest.guid],
                "markers of {}",
                name
            );
        }
    }

    for (path, entry) in &before.target.datasets {
        let name = before.target.name(path);
        let stays = after
            .target
            .datasets
            .values()
            .any(|other| other.guid == entry.guid);
        prop_assert!(stays || entry.is_half_received(), "{name} is gone");
        for point in &entry.snapshots {
            prop_assert!(
                after
                    .target
                    .datasets
                    .values()
                    .any(|entry| entry.has(point.guid)),
                "{name}@{} is gone from the target",
                point.name
            );
        }
    }
    for (path, entry) in &before.source.datasets {
        let there = &after.source.datasets[path];
        let own = entry.markers(&before.id);
        for point in &entry.snapshots {
            prop_assert!(there.has(point.guid), "a snapshot of the source is gone");
        }
        for point in &entry.bookmarks {
            let kept = there.bookmarks.iter().any(|b| b.name == point.name);
            let marker = Marker::parse(&point.name).is_some_and(|m| m.target == before.id);
            let sending = Marker::parse_sending(&point.name);
            let sending =
                sending.is_some_and(|m| (m.target, m.guid.0) == (before.id.clone(), point.guid));
            prop_assert!(
                kept || sending || (marker && own.contains(&point.guid)),
                "#{} is gone",
                point.name
            );
        }
    }

    settle(&mut after, &snapshots_refused, World::plan)
}

/// Whatever the source prunes after a run that was stopped, what its plan was to
/// send to is no stranger to the next, unless it could have become one before.
fn check_pruned(
    before: &World,
    stopped_plan: &Plan,
    mut world: World,
) -> Result<(), TestCaseError> {
    let bookmarks = before
        .source
        .datasets
        .values()
        .flat_map(|entry| &entry.bookmarks);
    let marked: HashSet<u64> = bookmarks.map(|point| point.guid).collect();
    let newest = before.target.datasets.values().filter_map(Entry::newest);
    let at_risk: HashSet<u64> = newest
        .map(|point| point.guid)
        .filter(|guid| !marked.contains(guid))
        .collect();
    for path in world.source.datasets.keys().cloned().collect::<Vec<_>>() {
        let snapshots = world.source.datasets[&path].snapshots.clone();
        for point in snapshots.iter().rev().skip(1) {
            // What is in use stays.
            let _ = world.source.destroy_snapshot(&path, point.txg);
        }
    }
    let next = world.plan();
    for step in next.refused() {
        let was_sent = stopped_plan
            .steps
            .iter()
            .any(|own| own.source == step.source && matches!(own.action, Action::Send(_)));
        let is_strange = matches!(
            &step.why,
            Why::Refused(Refusal::Diverged { .. } | Refusal::Unrelated { .. })
        );
        let there = world.target.datasets.get(&world.target.path(&step.target));
        let newest = there.and_then(Entry::newest);
        let was_at_risk = newest.is_some_and(|newest| at_risk.contains(&newest.guid));
        prop_assert!(!(was_sent && is_strange) || was_at_risk, "{step}");
    }
    Ok(())
}

/// The snapshot that a step holds back because the target has another one of
/// its name.
pub(super) fn name_taken(step: &Step) -> Option<SnapshotName> {
    match &step.why {
        Why::Refused(Refusal::SnapshotNameTaken { snapshot, .. }) => Some(snapshot.clone()),
        _ => None,
    }
}

/// Runs until nothing is left to do. What a first run leaves for the next are
/// snapshots whose `taken` names the target gave to a promoted clone in that
/// very run.
pub(super) fn settle(
    world: &mut World,
    taken: &[SnapshotName],
    plan: impl Fn(&World) -> Plan,
) -> Result<(), TestCaseError> {
    let next = plan(world);
    for step in next.steps.iter().filter(|step| step.action.is_work()) {
        let late = match &step.action {
            Action::Send(range) => range.snapshots.iter().all(|s| taken.contains(&s.name)),
            _ => false,
        };
        prop_assert!(late, "the second plan has work: {next:#?}");
    }
    world.run(&next, None, false).map_err(TestCaseError::fail)?;
    let last = plan(world);
    prop_assert!(last.is_empty(), "there is no end of work: {last:#?}");
    Ok(())
}

proptest! {
    #[test]
    fn a_run_brings_everything_takes_nothing_and_leaves_no_work(
        history in prop::collection::vec(event(), 0..40)
    ) {
        let mut world = World::new();
        for event in &history {
            if let Err(problem) = world.happen(event) {
                return Err(TestCaseError::fail(problem));
            }
        }
        check_run(&world)?;
    }

    #[test]
    fn a_run_interrupted_anywhere_is_completed_by_the_next(
        history in prop::collection::vec(event(), 0..25)
    ) {
        let mut world = World::new();
        for event in &history {
            if let Err(problem) = world.happen(event) {
                return Err(TestCaseError::fail(problem));
            }
        }
        let plan = world.plan();
        let mut whole = world.clone();
        if let Err(problem) = whole.run(&plan, None, false) {
            return Err(TestCaseError::fail(problem));
        }
        let taken: Vec<_> = plan.refused().filter_map(name_taken).collect();
        settle(&mut whole, &taken, World::plan)?;
        for stop in 0..ops(&plan.steps).len() {
            for halfway in [false, true] {
                let mut stopped = world.clone();
                if let Err(problem) = stopped.run(&plan, Some(stop), halfway) {
                    return Err(TestCaseError::fail(problem));
                }
                check_run(&stopped)?;
                check_pruned(&world, &plan, stopped.clone())?;
                let rest = stopped.plan();
                if let Err(problem) = stopped.run(&rest, None, false) {
                    return Err(TestCaseError::fail(problem));
                }
                let taken: Vec<_> = rest.refused().filter_map(name_taken).collect();
                settle(&mut stopped, &taken, World::plan)?;
                for (path, entry) in &whole.target.datasets {
                    let guids = |entry: &Entry| -> Vec<u64> {
                        entry.snapshots.iter().map(|point| point.guid).collect()
                    };
                    prop_assert_eq!(
                        stopped.target.datasets.get(path).map(guids),
                        Some(guids(entry))
                    );
                }
            }
        }
    }
}
