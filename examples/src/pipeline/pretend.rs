//! What the pools would look like, for `--dry-run`.

use std::collections::HashSet;

use zfs_core::{DatasetName, Guid, Txg};
use zfs_replicate::marker::{Marker, TargetId};
use zfs_replicate::plan::{Action, Plan};
use zfs_replicate::tree::{Bookmark, Dataset, Snapshot, Tree};

use super::take;

/// Adds the snapshots that would be taken, and returns them. Their GUIDs are
/// made up, and unlike any other in the tree.
pub fn snapshots(tree: &mut Tree, name: &str) -> Vec<Snapshot> {
    let known: HashSet<Guid> = tree
        .datasets
        .iter()
        .flat_map(|dataset| &dataset.snapshots)
        .map(|snapshot| snapshot.guid)
        .collect();
    let mut guids = (1..).map(Guid).filter(|guid| !known.contains(guid));
    let fit: HashSet<_> = take::datasets(tree)
        .map(|dataset| dataset.name.clone())
        .collect();
    let mut taken = Vec::new();
    for dataset in &mut tree.datasets {
        if !fit.contains(&dataset.name) {
            continue;
        }
        let after = dataset.newest().map_or(0, |newest| newest.createtxg.0);
        if let (Ok(name), Some(guid)) = (dataset.name.with_snapshot(name), guids.next()) {
            let snapshot = Snapshot {
                name,
                guid,
                createtxg: Txg(after.saturating_add(1)),
                creation: None,
                ivset: None,
            };
            dataset.snapshots.push(snapshot.clone());
            taken.push(snapshot);
        }
    }
    taken
}

/// Changes both trees as a plan would.
pub fn carry_out(plan: &Plan, id: &TargetId, source: &mut Tree, target: &mut Tree) {
    for step in &plan.steps {
        if let Action::Rename { from } = &step.action {
            rename(target, from, &step.target);
        }
        let Action::Send(range) = &step.action else {
            continue;
        };
        let index = target
            .datasets
            .iter()
            .position(|dataset| dataset.name == step.target)
            .unwrap_or_else(|| {
                let dataset = Dataset::new(step.target.clone(), Guid(0));
                target.datasets.push(dataset);
                target.datasets.len() - 1
            });
        if let Some(dataset) = target.datasets.get_mut(index) {
            for snapshot in &range.snapshots {
                let after = dataset.newest().map_or(0, |newest| newest.createtxg.0);
                if let Ok(name) = snapshot.name.on(&step.target) {
                    dataset.snapshots.push(Snapshot {
                        name,
                        guid: snapshot.guid,
                        createtxg: Txg(after.saturating_add(1)),
                        creation: None,
                        ivset: None,
                    });
                }
            }
        }
        let sender = source
            .datasets
            .iter_mut()
            .find(|dataset| dataset.name == step.source);
        if let (Some(sender), Some(last)) = (sender, range.last()) {
            mark(sender, id, last);
        }
    }
}

fn rename(tree: &mut Tree, from: &DatasetName, to: &DatasetName) {
    for dataset in &mut tree.datasets {
        let path = dataset.name.strip_prefix(from);
        let Some(name) = path.and_then(|path| to.join(path).ok()) else {
            continue;
        };
        for snapshot in &mut dataset.snapshots {
            if let Ok(name) = snapshot.name.on(&name) {
                snapshot.name = name;
            }
        }
        dataset.name = name;
    }
}

fn mark(dataset: &mut Dataset, id: &TargetId, last: &Snapshot) {
    dataset.bookmarks.retain(|bookmark| {
        Marker::parse(bookmark.name.bookmark()).is_none_or(|marker| marker.target != *id)
    });
    let marker = Marker {
        target: id.clone(),
        guid: last.guid,
    };
    if let Ok(name) = marker.bookmark(&dataset.name) {
        dataset.bookmarks.push(Bookmark {
            name,
            guid: last.guid,
            createtxg: last.createtxg,
            ivset: None,
        });
    }
}

#[cfg(test)]
mod tests {
    use zfs_replicate::plan::{Options, plan};

    use super::*;

    fn dataset(name: &str, snapshots: &[(&str, u64)]) -> Dataset {
        let mut dataset = Dataset::new(name.parse().unwrap(), Guid(1));
        for (snapshot, guid) in snapshots {
            dataset.snapshots.push(Snapshot {
                name: dataset.name.with_snapshot(snapshot).unwrap(),
                guid: Guid(*guid),
                createtxg: Txg(*guid),
                creation: None,
                ivset: None,
            });
        }
        dataset
    }

    #[test]
    fn after_a_pretended_run_nothing_is_left_to_do() {
        let mut source = Tree {
            root: "tank".parse().unwrap(),
            datasets: vec![
                dataset("tank", &[("a", 1), ("b", 2)]),
                dataset("tank/c", &[("a", 3)]),
            ],
            above: None,
        };
        let mut target = Tree {
            root: "vault/tank".parse().unwrap(),
            datasets: vec![dataset("vault/tank", &[("a", 1)])],
            above: Some(dataset("vault", &[])),
        };
        let id: TargetId = "siteb".parse().unwrap();
        let taken = snapshots(&mut source, "new");
        assert_eq!(taken.len(), 2);
        let options = Options::new().marker(&id);
        let first = plan(&source, &target, &options).unwrap();
        let sent: usize = first
            .steps
            .iter()
            .map(|step| match &step.action {
                Action::Send(range) => range.snapshots.len(),
                _ => 0,
            })
            .sum();
        assert_eq!(sent, 4);
        carry_out(&first, &id, &mut source, &mut target);
        let again = plan(&source, &target, &options).unwrap();
        assert!(again.is_empty(), "{again:?}");
    }
}
