//! What is special about the way back: it goes into a new dataset, and goes
//! on with what it began.

use std::collections::HashSet;

use zfs_core::Guid;
use zfs_replicate::plan::{Action, Plan, Step, Why};
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
/// others. Of each dataset a restore brings one.
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
    begun
        && there.all(|snapshot| known.contains(&snapshot.guid))
        && target.datasets.iter().all(|d| d.snapshots.len() <= 1)
}

/// Refuses a plan that does more to what is there than to complete it: that is
/// no restore which was cut off, but something in use, perhaps the very
/// dataset that the backup was made of.
///
/// # Errors
///
/// It names the dataset, and what would be done to it.
pub fn only_completes(plan: &Plan, target: &Tree) -> anyhow::Result<()> {
    let is_whole = |step: &Step| {
        let there = target.get(&step.target);
        there.is_none_or(|there| !there.snapshots.is_empty())
    };
    let more = plan.steps.iter().find(|step| match &step.action {
        Action::Send(range) => range.base.is_some() && range.origin.is_none(),
        Action::Abort => is_whole(step),
        Action::Create | Action::Nothing | Action::Refuse => false,
        _ => true,
    });
    let Some(step) = more else {
        return Ok(());
    };
    if !matches!(step.action, Action::Send(_)) {
        anyhow::bail!(
            "{} is not what an interrupted restore left: to go on would {}; what is restored goes \
             into a new dataset",
            target.root,
            step.what()
        );
    }
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

/// What is left of an interrupted receive of that snapshot.
#[cfg(test)]
pub(super) fn received_in_part(to_guid: Guid) -> Partial {
    Partial::Token(zfs_replicate::tree::ResumePoint {
        to_guid,
        to_name: "vault/home@s".to_owned(),
        from_guid: None,
        object: 1,
        offset: 0,
        bytes: 1,
        form: zfs_replicate::tree::StreamForm::default(),
        redacted: false,
    })
}

#[cfg(test)]
mod tests {
    use zfs_core::{DatasetName, Txg};
    use zfs_replicate::plan::{Options, plan};
    use zfs_replicate::tree::{Dataset, Snapshot};

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
        tree.datasets[0].partial = Some(received_in_part(Guid(to)));
        tree
    }

    #[test]
    fn a_restore_goes_on_with_its_own_and_touches_nothing_else() {
        let backup = tree("vault/home", &[1, 2]);
        let back = |guids: &[u64]| tree("tank/back", guids);
        for own in [back(&[1]), back(&[2]), halfway(2)] {
            assert!(check(&backup, &own).is_ok(), "{own:?}");
        }
        for other in [
            back(&[]),
            back(&[3]),
            back(&[2, 3]),
            back(&[1, 2]),
            halfway(3),
        ] {
            let error = check(&backup, &other).unwrap_err().to_string();
            assert!(error.contains("exists"), "{other:?}");
        }
    }

    fn said(backup: &Tree, target: &Tree) -> String {
        let plan = plan(backup, target, &Options::new()).unwrap();
        match only_completes(&plan, target) {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_is_whole_is_neither_taken_further_nor_moved() {
        let backup = tree("vault/home", &[1, 2]);
        for own in [tree("tank/back", &[2]), halfway(1), halfway(9)] {
            assert_eq!(said(&backup, &own), "", "{own:?}");
        }
        let further = said(&backup, &tree("tank/back", &[1]));
        assert!(further.contains("zfs-replicate --safe"), "{further}");
        let mut resumed = tree("tank/back", &[1]);
        resumed.datasets[0].partial = halfway(2).datasets[0].partial.clone();
        let given_up = said(&backup, &resumed);
        assert!(given_up.contains("would give up"), "{given_up}");

        // What was renamed since the backup was made of it, or promoted.
        let child = |path: &str, guids: &[u64]| tree(path, guids).datasets.remove(0);
        let (mut backup, mut live) = (tree("vault/home", &[1]), tree("tank/home", &[1]));
        backup.datasets.push(child("vault/home/was", &[7]));
        live.datasets.push(child("tank/home/is", &[7]));
        let renamed = said(&backup, &live);
        assert!(
            renamed.contains("would rename tank/home/is to tank/home/was"),
            "{renamed}"
        );
        live.datasets[1] = child("tank/home/was", &[8]);
        live.datasets[1].origin = Some("tank/home@s1".parse().unwrap());
        live.datasets[0] = child("tank/home", &[1, 2]);
        backup.datasets[0] = child("vault/home", &[2]);
        backup.datasets[1] = child("vault/home/was", &[1, 8]);
        backup.datasets[0].origin = Some("vault/home/was@s1".parse().unwrap());
        let promoted = said(&backup, &live);
        assert!(
            promoted.contains("would promote tank/home/was"),
            "{promoted}"
        );
    }
}
