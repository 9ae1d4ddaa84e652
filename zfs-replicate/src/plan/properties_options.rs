//! What holds for plans with any options: filters are kept to, what goes was
//! named, and what is nobody's replica stays.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proptest::prelude::*;
use zfs_core::{DatasetName, Guid};

use super::events::{Event, NAMES, PATHS, event};
use super::model::{Entry, Side, World, ops};
use super::properties::{name_taken, settle, wanted};
use super::step::Action;
use super::{Diverged, Encrypted, Gone, Options, Plan, Provenance};
use crate::tree::{Dataset, Snapshot};

/// What a run is asked for.
#[derive(Clone, Debug)]
struct Asked {
    /// Snapshots of these names are not wanted.
    skipped: BTreeSet<usize>,
    /// Nor those that are older or younger: between two transaction groups of
    /// the source.
    age: (u64, u64),
    /// Nor are these datasets.
    excluded: BTreeSet<usize>,
    rollback: bool,
    retire: bool,
    plaintext: bool,
    /// Where the target was written to, if that may be lost.
    written: BTreeSet<usize>,
}

fn asked() -> impl Strategy<Value = Asked> {
    let some = |most: usize, of: usize| prop::collection::btree_set(0..of, 0..=most);
    let switches = (any::<bool>(), any::<bool>(), any::<bool>());
    let age = (
        prop_oneof![3 => Just(0), 1 => 10..25_u64],
        prop_oneof![3 => Just(u64::MAX), 1 => 15..40_u64],
    );
    (
        (some(3, NAMES.len()), age),
        some(2, PATHS.len()),
        some(3, PATHS.len()),
        switches,
    )
        .prop_map(
            |((skipped, age), excluded, written, (rollback, retire, plaintext))| Asked {
                skipped,
                age,
                excluded,
                rollback,
                retire,
                plaintext,
                written,
            },
        )
}

impl Asked {
    fn wants(&self, snapshot: &str, txg: u64) -> bool {
        (self.age.0..self.age.1).contains(&txg)
            && !self.skipped.iter().any(|index| NAMES[*index] == snapshot)
    }

    fn means(&self, path: &str) -> bool {
        !self.excluded.iter().any(|index| PATHS[*index] == path)
    }

    /// Writes to the target, where that is in nobody's way for good.
    fn write(&self, world: &mut World) {
        for path in self.written.iter().filter(|_| self.rollback) {
            if let Some(entry) = world.target.datasets.get_mut(PATHS[*path]) {
                entry.written = 4096;
            }
        }
    }

    fn plan(&self, world: &World) -> Plan {
        let root = world.source.name("");
        let whose: HashMap<Guid, Provenance> = world
            .target
            .datasets
            .values()
            .map(|entry| (Guid(entry.guid), entry.whose))
            .collect();
        let whose = |dataset: &Dataset| whose[&dataset.guid];
        let wanted = |_: &DatasetName, snapshot: &Snapshot| {
            self.wants(snapshot.name.snapshot(), snapshot.createtxg.0)
        };
        let means = |dataset: &Dataset| {
            let path = dataset.name.strip_prefix(&root);
            path.is_none_or(|path| self.means(path))
        };
        let mut options = Options::new()
            .wanted(&wanted)
            .datasets(&means)
            .provenance(&whose);
        if self.rollback {
            options = options.diverged(Diverged::Rollback);
        }
        if self.retire {
            options = options.gone(Gone::Destroy);
        }
        if self.plaintext {
            options = options.encrypted(Encrypted::Plaintext);
        }
        world.plan_with(options)
    }
}

/// The GUIDs of everything on a side.
fn guids(side: &Side) -> BTreeSet<u64> {
    side.datasets
        .values()
        .flat_map(|entry| {
            let snapshots = entry.snapshots.iter().map(|point| point.guid);
            snapshots.chain([entry.guid])
        })
        .collect()
}

/// What a name stands for on a side.
fn named(side: &Side, name: &str) -> Option<u64> {
    let (dataset, snapshot) = name.split_once('@').unwrap_or((name, ""));
    let dataset: DatasetName = dataset.parse().unwrap();
    let entry = &side.datasets[dataset.strip_prefix(&side.name("")).unwrap()];
    if snapshot.is_empty() {
        return Some(entry.guid);
    }
    let mut points = entry.snapshots.iter();
    Some(points.find(|point| point.name == snapshot)?.guid)
}

/// Does step by step what a plan says; what each destroys it has to name.
fn carry_out(asked: &Asked, world: &mut World, plan: &Plan) -> Result<(), TestCaseError> {
    for step in &plan.steps {
        let before = guids(&world.target);
        let mut named: BTreeSet<u64> = step
            .destroys()
            .filter_map(|name| named(&world.target, name))
            .collect();
        if let Some(entry) = path(world, &step.target).and_then(|p| world.target.datasets.get(p)) {
            if step.action == Action::Abort && entry.is_half_received() {
                named.insert(entry.guid);
            }
            if matches!(step.action, Action::Destroy { .. }) {
                prop_assert!(entry.whose != Provenance::Unknown, "{step}");
                let path = path(world, &step.target).unwrap();
                prop_assert!(asked.means(path), "{step}");
                let mut sources = world.source.datasets.values();
                let is_known =
                    |source: &Entry| entry.snapshots.iter().any(|p| source.knows(p.guid));
                prop_assert!(!sources.any(is_known), "{step}");
            }
        }
        for op in ops(std::slice::from_ref(step)) {
            if let Err(problem) = world.apply(&op, false) {
                return Err(TestCaseError::fail(format!("{problem}: {step}\n{plan:#?}")));
            }
        }
        let after = guids(&world.target);
        for guid in before.difference(&after) {
            prop_assert!(named.contains(guid), "{guid} went with: {step}");
        }
    }
    Ok(())
}

fn path<'n>(world: &World, name: &'n DatasetName) -> Option<&'n str> {
    name.strip_prefix(&world.target.name(""))
}

/// What is sent is wanted, and what is wanted and not refused is there.
fn check_wanted(
    asked: &Asked,
    before: &World,
    after: &World,
    plan: &Plan,
) -> Result<(), TestCaseError> {
    let root = before.source.name("");
    for step in &plan.steps {
        let Action::Send(range) = &step.action else {
            continue;
        };
        prop_assert!(
            asked.means(step.source.strip_prefix(&root).unwrap()),
            "{step}"
        );
        for snapshot in &range.snapshots {
            let (name, txg) = (snapshot.name.snapshot(), snapshot.createtxg.0);
            prop_assert!(asked.wants(name, txg), "{step}");
        }
    }
    for (path, source) in before
        .source
        .datasets
        .iter()
        .filter(|(p, _)| asked.means(p))
    {
        let name = before.source.name(path);
        let refused: Vec<_> = plan.refused().filter(|step| step.source == name).collect();
        let taken: Vec<_> = refused.iter().copied().filter_map(name_taken).collect();
        if taken.len() < refused.len() {
            continue;
        }
        let there = after.target.datasets.get(path);
        for guid in wanted(source, there, before) {
            let point = source.snapshots.iter().find(|s| s.guid == guid).unwrap();
            let taken = taken.iter().any(|name| name.snapshot() == point.name);
            prop_assert!(
                !asked.wants(&point.name, point.txg)
                    || taken
                    || there.is_some_and(|entry| entry.has(guid)),
                "{name}@{} is missing: {plan:#?}",
                point.name
            );
        }
    }
    Ok(())
}

/// The snapshots of each dataset of the target.
fn there(world: &World) -> BTreeMap<&str, Vec<u64>> {
    let guids = |entry: &Entry| entry.snapshots.iter().map(|point| point.guid).collect();
    let datasets = world.target.datasets.iter();
    datasets
        .map(|(path, entry)| (path.as_str(), guids(entry)))
        .collect()
}

proptest! {
    #[test]
    fn with_any_options_only_what_is_wanted_comes_and_only_what_was_named_goes(
        history in prop::collection::vec(event(), 0..40),
        asked in asked(),
    ) {
        let mut world = World::new();
        for event in &history {
            let event: &Event = event;
            if let Err(problem) = world.happen(event) {
                return Err(TestCaseError::fail(problem));
            }
        }
        asked.write(&mut world);
        let before = world.clone();
        let plan = asked.plan(&before);
        carry_out(&asked, &mut world, &plan)?;
        check_wanted(&asked, &before, &world, &plan)?;
        let words: Vec<_> = plan.steps.iter().map(|step| step.action.word()).collect();
        prop_assert!(asked.retire || !words.contains(&"destroy"));
        prop_assert!(asked.rollback || !words.contains(&"rollback"));
        let taken: Vec<_> = plan.refused().filter_map(name_taken).collect();
        settle(&mut world, &taken, |world| asked.plan(world))?;
    }

    #[test]
    fn with_any_options_a_run_interrupted_anywhere_is_completed_by_the_next(
        history in prop::collection::vec(event(), 0..25),
        asked in asked(),
    ) {
        let mut world = World::new();
        for event in &history {
            if let Err(problem) = world.happen(event) {
                return Err(TestCaseError::fail(problem));
            }
        }
        asked.write(&mut world);
        let plan = asked.plan(&world);
        let mut whole = world.clone();
        carry_out(&asked, &mut whole, &plan)?;
        let taken: Vec<_> = plan.refused().filter_map(name_taken).collect();
        settle(&mut whole, &taken, |world| asked.plan(world))?;
        for stop in 0..ops(&plan.steps).len() {
            for halfway in [false, true] {
                let mut stopped = world.clone();
                if let Err(problem) = stopped.run(&plan, Some(stop), halfway) {
                    return Err(TestCaseError::fail(problem));
                }
                let before = stopped.clone();
                let rest = asked.plan(&before);
                carry_out(&asked, &mut stopped, &rest)?;
                check_wanted(&asked, &before, &stopped, &rest)?;
                let taken: Vec<_> = rest.refused().filter_map(name_taken).collect();
                settle(&mut stopped, &taken, |world| asked.plan(world))?;
                prop_assert_eq!(there(&stopped), there(&whole), "stopped before {}", stop);
            }
        }
    }
}
