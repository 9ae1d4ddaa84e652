//! What holds for every plan, tried on a model of ZFS over random histories.

use std::collections::HashSet;

use proptest::prelude::*;
use zfs_core::SnapshotName;

use super::Plan;
use super::events::event;
use super::model::{Entry, World, ops};
use super::step::{Action, Refusal, Step, Why};
use crate::marker::Marker;

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
