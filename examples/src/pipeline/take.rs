//! A job's snapshots: whether they are due, their names, and taking them.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use zfs_core::{DatasetName, SnapshotName, Zfs};
use zfs_replicate::tree::{Dataset, Tree};

use super::config::{Job, Take};

/// Timers are never quite on time. A snapshot is due this much earlier than
/// the configuration says, at most.
const SLACK: Duration = Duration::from_secs(60);

/// How many names are tried where others take snapshots at the same time.
const ATTEMPTS: u32 = 5;

/// The datasets of a tree that a snapshot can be taken of: all but those
/// which hold nothing but an interrupted receive.
pub fn datasets(tree: &Tree) -> impl Iterator<Item = &Dataset> {
    tree.datasets
        .iter()
        .filter(|dataset| dataset.partial.is_none() || !dataset.snapshots.is_empty())
}

/// A name that no snapshot in the tree has yet: the time, or the next second
/// that is free.
pub fn free_name(prefix: &str, now: Timestamp, tree: &Tree) -> String {
    let taken: HashSet<&str> = tree
        .datasets
        .iter()
        .flat_map(|dataset| &dataset.snapshots)
        .map(|snapshot| snapshot.name.snapshot())
        .collect();
    let mut at = now;
    loop {
        let name = format!("{prefix}_{}", at.strftime("%Y-%m-%dT%H:%M:%SZ"));
        match at.checked_add(SignedDuration::from_secs(1)) {
            Ok(next) if taken.contains(name.as_str()) => at = next,
            _ => return name,
        }
    }
}

/// Whether the youngest snapshot with the job's prefix is old enough.
///
/// # Errors
///
/// Its time cannot be read.
pub fn is_due(
    job: &Job,
    tree: &Tree,
    now: SystemTime,
    creation: impl FnOnce(&SnapshotName) -> Result<SystemTime, zfs_core::Error>,
) -> Result<bool, zfs_core::Error> {
    let every = match job.take {
        Take::Always => return Ok(true),
        Take::Never => return Ok(false),
        Take::Every(every) => every,
    };
    let own = |name: &str| name.starts_with(&format!("{}_", job.prefix));
    let youngest = tree.get(&tree.root).and_then(|root| {
        let mut by_age = root.snapshots_by_age();
        by_age.retain(|snapshot| own(snapshot.name.snapshot()));
        by_age.pop()
    });
    let Some(youngest) = youngest else {
        return Ok(true);
    };
    // One from the future, after the clock was set back, is not waited for.
    let Ok(age) = now.duration_since(creation(&youngest.name)?) else {
        return Ok(true);
    };
    Ok(age + SLACK.min(every / 10) >= every)
}

/// Takes snapshots of all datasets in one transaction group, and returns
/// their names.
///
/// # Errors
///
/// None was taken.
pub fn take(zfs: &Zfs, job: &Job, tree: &Tree) -> Result<Vec<SnapshotName>, zfs_core::Error> {
    let names: Vec<&DatasetName> = datasets(tree).map(|dataset| &dataset.name).collect();
    let mut at = Timestamp::now();
    let mut attempt = 0;
    loop {
        let name = free_name(&job.prefix, at, tree);
        let snapshots = names
            .iter()
            .map(|dataset| dataset.with_snapshot(&name))
            .collect::<Result<Vec<_>, _>>()?;
        attempt += 1;
        match zfs.snapshot(&snapshots) {
            Ok(()) => return Ok(snapshots),
            // Somebody else was faster by less than a second.
            Err(error) if error.is_exists() && attempt < ATTEMPTS => {
                at = at.checked_add(SignedDuration::from_secs(1)).unwrap_or(at);
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use zfs_core::{Guid, Txg};
    use zfs_replicate::tree::Snapshot;

    use super::super::config::Config;
    use super::*;

    fn tree(snapshots: &[&str]) -> Tree {
        let root = DatasetName::parse("tank").unwrap();
        let mut dataset = Dataset::new(root.clone(), Guid(1));
        for (index, snapshot) in snapshots.iter().enumerate() {
            dataset.snapshots.push(Snapshot {
                name: root.with_snapshot(snapshot).unwrap(),
                guid: Guid(index as u64 + 10),
                createtxg: Txg(index as u64 + 10),
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

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn job(every: &str) -> Job {
        let text = format!("[[job]]\nname = \"a\"\nsource = \"tank\"\n{every}");
        Config::parse("f", &text).unwrap().jobs.remove(0)
    }

    #[test]
    fn a_snapshot_is_called_by_its_prefix_and_the_utc_time() {
        let name = free_name("pipeline", at("2026-11-22T12:00:00.9+00"), &tree(&[]));
        assert_eq!(name, "pipeline_2026-11-22T12:00:00Z");
    }

    #[test]
    fn a_name_taken_within_the_same_second_gets_the_next_one() {
        let tree = tree(&["p_2026-12-31T23:59:59Z", "p_2027-01-01T00:00:00Z"]);
        let name = free_name("p", at("2026-12-31T23:59:59Z"), &tree);
        assert_eq!(name, "p_2027-01-01T00:00:01Z");
    }

    #[test]
    fn a_snapshot_is_due_when_the_youngest_of_its_prefix_is_old_enough() {
        let tree = tree(&["pipeline_a", "pipeline_b", "other_c"]);
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let due = |every: &str, seconds: u64| {
            is_due(
                &job(every),
                &tree,
                start + Duration::from_secs(seconds),
                |name| {
                    assert_eq!(*name, "tank@pipeline_b");
                    Ok(start)
                },
            )
            .unwrap()
        };
        assert!(due("", 0));
        assert!(!due("snapshot = false", 1_000_000));
        assert!(!due("every = \"15m\"", 0));
        assert!(!due("every = \"15m\"", 839));
        assert!(due("every = \"15m\"", 840));
        assert!(!due("every = \"10s\"", 8));
        assert!(due("every = \"10s\"", 9));
    }

    #[test]
    fn the_first_snapshot_is_always_due() {
        let due = is_due(
            &job("every = \"1d\""),
            &tree(&["other_c"]),
            SystemTime::now(),
            |_| panic!("there is none to ask about"),
        );
        assert!(due.unwrap());
    }

    #[test]
    fn a_snapshot_from_the_future_does_not_keep_others_from_being_taken() {
        let now = SystemTime::now();
        let due = is_due(&job("every = \"1d\""), &tree(&["pipeline_x"]), now, |_| {
            Ok(now + Duration::from_secs(1_000_000))
        });
        assert!(due.unwrap());
    }
}
