//! Which steps can be done side by side.
//!
//! What changes places on the target (renames, promotions and the like) is
//! done alone and in its place, and so is what is retired. Between those, the
//! steps of one dataset are a group; a group waits for those that make a
//! dataset above its own, and for that of its origin.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

use zfs_core::{DatasetName, SnapshotName};

use super::Run;
use crate::plan::{Action, Step, Why};

/// The most streams of a dataset whose size is asked for, to tell which
/// dataset is the largest.
const MAX_ESTIMATES: usize = 4;

/// A part of a plan.
pub(super) enum Part<'e> {
    /// One step, by itself.
    Alone(&'e Step),
    /// Groups that need not wait for each other, unless they say so.
    Together(Vec<Group<'e>>),
}

/// The steps of a dataset, in their order.
pub(super) struct Group<'e> {
    pub steps: Vec<&'e Step>,
    /// The groups before it that it waits for.
    after: Vec<usize>,
}

impl<'e> Group<'e> {
    fn target(&self) -> Option<&'e DatasetName> {
        self.steps.first().map(|step| &step.target)
    }

    fn makes(&self) -> bool {
        self.steps.iter().any(|step| match &step.action {
            Action::Create => true,
            Action::Send(range) => range.base.is_none() || range.origin.is_some(),
            _ => false,
        })
    }

    fn origin(&self) -> Option<&'e DatasetName> {
        self.steps.iter().find_map(|step| match &step.action {
            Action::Send(range) => range.origin.as_ref().map(SnapshotName::dataset),
            _ => None,
        })
    }
}

/// Takes a plan apart.
pub(super) fn parts(steps: &[Step]) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut index: HashMap<&DatasetName, usize> = HashMap::new();
    for step in steps {
        let moves = matches!(
            step.action,
            Action::Rename { .. }
                | Action::Clone { .. }
                | Action::Promote { .. }
                | Action::Destroy { .. }
        ) || step.why == Why::Retired;
        if moves {
            close(&mut parts, &mut groups);
            index.clear();
            parts.push(Part::Alone(step));
            continue;
        }
        let next = groups.len();
        let at = *index.entry(&step.target).or_insert(next);
        match groups.get_mut(at) {
            Some(group) => group.steps.push(step),
            None => groups.push(Group {
                steps: vec![step],
                after: Vec::new(),
            }),
        }
    }
    close(&mut parts, &mut groups);
    parts
}

fn close<'e>(parts: &mut Vec<Part<'e>>, groups: &mut Vec<Group<'e>>) {
    if groups.is_empty() {
        return;
    }
    let mut groups = std::mem::take(groups);
    let making: HashMap<&DatasetName, usize> = groups
        .iter()
        .enumerate()
        .filter_map(|(index, group)| Some((group.target().filter(|_| group.makes())?, index)))
        .collect();
    let all: HashMap<&DatasetName, usize> = groups
        .iter()
        .enumerate()
        .filter_map(|(index, group)| Some((group.target()?, index)))
        .collect();
    for (index, group) in groups.iter_mut().enumerate() {
        let Some(target) = group.target() else {
            continue;
        };
        let mut after: Vec<usize> = target
            .ancestors()
            .filter_map(|name| making.get(&name).copied())
            .collect();
        after.extend(group.origin().and_then(|origin| all.get(origin).copied()));
        // The planner has put what is waited for first.
        after.retain(|other| *other < index);
        group.after = after;
    }
    parts.push(Part::Together(groups));
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Waiting,
    Running,
    Done,
}

impl<'e> Run<'_, 'e> {
    /// Does groups side by side, the largest of those that can begin first.
    pub(super) fn together(&self, groups: &[Group<'e>], jobs: usize) {
        let sizes: Vec<u64> = groups.iter().map(|group| self.size(group)).collect();
        let progress = Mutex::new(vec![Progress::Waiting; groups.len()]);
        let changed = Condvar::new();
        thread::scope(|scope| {
            for _ in 0..jobs.min(groups.len()) {
                scope.spawn(|| {
                    let mut now = progress.lock().unwrap_or_else(PoisonError::into_inner);
                    loop {
                        if !now.contains(&Progress::Waiting) {
                            return;
                        }
                        let ready = (0..groups.len())
                            .filter(|index| is_ready(groups, &now, *index))
                            .max_by_key(|index| (sizes.get(*index), std::cmp::Reverse(*index)));
                        let Some(index) = ready else {
                            now = changed.wait(now).unwrap_or_else(PoisonError::into_inner);
                            continue;
                        };
                        set(&mut now, index, Progress::Running);
                        drop(now);
                        if let Some(group) = groups.get(index) {
                            self.steps(&group.steps);
                        }
                        now = progress.lock().unwrap_or_else(PoisonError::into_inner);
                        set(&mut now, index, Progress::Done);
                        changed.notify_all();
                    }
                });
            }
        });
    }

    fn size(&self, group: &Group<'_>) -> u64 {
        let ranges = group.steps.iter().filter_map(|step| match &step.action {
            Action::Send(range) => Some(range),
            _ => None,
        });
        let streams = ranges.flat_map(|range| range.streams().take(MAX_ESTIMATES));
        let source = self.executor.source;
        streams
            .filter_map(|stream| source.estimate(&stream).ok().flatten())
            .fold(0, u64::saturating_add)
    }
}

fn is_ready(groups: &[Group<'_>], now: &[Progress], index: usize) -> bool {
    let waited_for = groups.get(index).map_or(&[][..], |group| &group.after);
    now.get(index) == Some(&Progress::Waiting)
        && waited_for
            .iter()
            .all(|other| now.get(*other) == Some(&Progress::Done))
}

fn set(now: &mut [Progress], index: usize, progress: Progress) {
    if let Some(entry) = now.get_mut(index) {
        *entry = progress;
    }
}
