//! What is special about the way back: it goes into a new dataset, and goes
//! on with what it began.

use std::collections::HashSet;

use zfs_core::Guid;
use zfs_replicate::plan::{Action, Plan, Why};
use zfs_replicate::tree::{Partial, Tree};

/// Refuses a target that is there, unless a restore of this backup began it.
///
/// # Errors
///
/// It has something that the backup has not, or nothing of the backup.
pub fn check(backup: &Tree, target: &Tree) -> anyhow::Result<()> {
    if is_begun(backup, target) {
        return Ok(());
    }
    anyhow::bail!(
        "{} exists and is not what an interrupted restore of {} left; what is restored goes into \
         a new dataset",
        target.root,
        backup.root
    );
}

/// Whether a target has snapshots of the backup, whole or halfway, and no
/// others.
fn is_begun(backup: &Tree, target: &Tree) -> bool {
    let snapshots = backup.datasets.iter().flat_map(|d| &d.snapshots);
    let known: HashSet<Guid> = snapshots.map(|snapshot| snapshot.guid).collect();
    let mut there = target.datasets.iter().flat_map(|d| &d.snapshots);
    let mut halfway = target.datasets.iter().filter_map(|dataset| {
        let Some(Partial::Token(point)) = &dataset.partial else {
            return None;
        };
        Some(point.to_guid)
    });
    let begun = there.clone().next().is_some() || halfway.any(|guid| known.contains(&guid));
    begun && there.all(|snapshot| known.contains(&snapshot.guid))
}

/// Refuses a plan that takes a dataset further which is there as a whole: that
/// is no restore which was cut off, but one that is in use, perhaps the very
/// one that the backup was made of.
///
/// # Errors
///
/// It names the dataset.
pub fn only_completes(plan: &Plan) -> anyhow::Result<()> {
    let further = plan.steps.iter().find(|step| match &step.action {
        Action::Send(range) => {
            range.base.is_some() && range.origin.is_none() && range.resume.is_none()
        }
        _ => false,
    });
    let Some(step) = further else {
        return Ok(());
    };
    anyhow::bail!(
        "{target} exists with snapshots of {source}; what is restored goes into a new dataset. If \
         {target} is to get what is newer in {source}: zfs-replicate --safe {source} {target}",
        source = step.source,
        target = step.target
    );
}

/// Whether a plan brings what was asked for, or it is there already.
pub fn is_found(plan: &Plan, name: Option<&str>) -> bool {
    plan.steps
        .iter()
        .any(|step| match (&step.action, &step.why) {
            (Action::Send(_), _) => true,
            (_, Why::UpToDate { newest }) => name.is_none_or(|name| name == newest.snapshot()),
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use zfs_core::{DatasetName, Txg};
    use zfs_replicate::tree::{Dataset, ResumePoint, Snapshot, StreamForm};

    use super::*;

    fn tree(root: &str, guids: &[u64]) -> Tree {
        let root: DatasetName = root.parse().unwrap();
        let mut dataset = Dataset::new(root.clone(), Guid(1));
        for guid in guids {
            dataset.snapshots.push(Snapshot {
                name: root.with_snapshot(&format!("s{guid}")).unwrap(),
                guid: Guid(*guid),
                createtxg: Txg(*guid),
                creation: None,
                ivset: None,
            });
        }
        Tree {
            root,
            datasets: vec![dataset],
            above: None,
        }
    }

    fn halfway(to: u64) -> Tree {
        let mut tree = tree("tank/back", &[]);
        tree.datasets[0].partial = Some(Partial::Token(ResumePoint {
            to_guid: Guid(to),
            to_name: "vault/home@s".to_owned(),
            from_guid: None,
            object: 1,
            offset: 0,
            bytes: 1,
            form: StreamForm::default(),
            redacted: false,
        }));
        tree
    }

    #[test]
    fn a_restore_goes_on_with_its_own_and_touches_nothing_else() {
        let backup = tree("vault/home", &[1, 2]);
        let back = |guids: &[u64]| tree("tank/back", guids);
        for own in [back(&[2]), back(&[1, 2]), halfway(2)] {
            assert!(check(&backup, &own).is_ok(), "{own:?}");
        }
        for other in [back(&[]), back(&[3]), back(&[2, 3]), halfway(3)] {
            let error = check(&backup, &other).unwrap_err().to_string();
            assert!(error.contains("exists"), "{other:?}");
        }
    }
}
