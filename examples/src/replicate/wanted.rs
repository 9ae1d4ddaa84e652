//! Which snapshots are to be on the target: by name, by age, and by what the
//! target itself would keep.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use jiff::{Timestamp, Zoned};
use zfs_core::{DatasetName, Guid};
use zfs_replicate::tree::{Dataset, Partial, Snapshot, Tree};
use zfs_retention::{Grid, Names, Part, Policy, Thinning, parse_length};

use super::arguments::{Arguments, Pattern};
use crate::exit::UsageError;

/// What decides.
#[derive(Clone, Debug)]
pub struct Wanted {
    include: Vec<Pattern>,
    exclude: Vec<Pattern>,
    only: Option<String>,
    newest_only: bool,
    /// What was begun with an older snapshot is completed with that one.
    completes: bool,
    newer_than: Option<Duration>,
    older_than: Option<Duration>,
    retention: Option<Policy>,
    now: Zoned,
}

/// The snapshots that are wanted of each dataset of the source.
#[derive(Debug)]
pub struct Chosen(HashMap<DatasetName, HashSet<Guid>>);

impl Chosen {
    /// Whether this one is.
    pub fn contains(&self, dataset: &DatasetName, snapshot: &Snapshot) -> bool {
        self.0
            .get(dataset)
            .is_some_and(|wanted| wanted.contains(&snapshot.guid))
    }
}

impl Wanted {
    /// Reads the words of a command line.
    ///
    /// # Errors
    ///
    /// An age or a policy is none.
    pub fn new(arguments: &Arguments, now: Zoned) -> Result<Wanted, UsageError> {
        let age = |text: &Option<String>, option: &str| {
            let Some(text) = text else { return Ok(None) };
            let length = parse_length(text)
                .ok()
                .and_then(|length| Duration::try_from(length).ok());
            length.map(Some).ok_or_else(|| {
                UsageError(format!(
                    "--{option}={text}: an age is a number and s, m, h, d or w, such as 30d"
                ))
            })
        };
        Ok(Wanted {
            include: arguments.include_snaps.clone(),
            exclude: arguments.exclude_snaps.clone(),
            only: arguments
                .snapshot
                .as_ref()
                .map(|name| name.trim_start_matches('@').to_owned()),
            newest_only: arguments.restore || arguments.no_stream,
            completes: arguments.restore,
            newer_than: age(&arguments.newer_than, "newer-than")?,
            older_than: age(&arguments.older_than, "older-than")?,
            retention: arguments
                .target_retention
                .as_deref()
                .map(policy)
                .transpose()?,
            now,
        })
    }

    /// The same for a target that nothing was brought to yet.
    #[must_use]
    pub fn anew(&self) -> Wanted {
        Wanted {
            completes: false,
            ..self.clone()
        }
    }

    /// Whether anything depends on when snapshots were made.
    pub fn needs_times(&self) -> bool {
        self.newer_than.is_some() || self.older_than.is_some() || self.retention.is_some()
    }

    /// Chooses among the source's snapshots.
    pub fn choose(&self, source: &Tree, target: &Tree) -> Chosen {
        let chosen = source.datasets.iter().map(|dataset| {
            let path = dataset.name.strip_prefix(&source.root);
            let there = path
                .and_then(|path| target.root.join(path).ok())
                .and_then(|name| target.get(&name));
            (dataset.name.clone(), self.of(dataset, there))
        });
        Chosen(chosen.collect())
    }

    fn of(&self, dataset: &Dataset, there: Option<&Dataset>) -> HashSet<Guid> {
        let by_age = dataset.snapshots_by_age().into_iter();
        let mut wanted: Vec<&Snapshot> = by_age.filter(|s| self.fits(s)).collect();
        if self.newest_only && self.only.is_none() {
            self.keep_newest(&mut wanted, there);
        }
        if let Some(policy) = &self.retention {
            let pruned = self.pruned(policy, &wanted, there);
            wanted.retain(|snapshot| !pruned.contains(&snapshot.guid));
        }
        // What is there halfway goes on, however old it became on the way: who
        // gave it up each day would never come to its end.
        let halfway = halfway(there).and_then(|guid| dataset.snapshot(guid));
        wanted.extend(halfway.filter(|snapshot| self.is_named(snapshot)));
        wanted.iter().map(|snapshot| snapshot.guid).collect()
    }

    /// Leaves only the newest, and what is there halfway, which goes on first.
    /// Where what was begun is completed, that alone: what came to the source
    /// since is no reason to begin again.
    fn keep_newest(&self, wanted: &mut Vec<&Snapshot>, there: Option<&Dataset>) {
        let halfway = halfway(there);
        let is_there = |guid| there.is_some_and(|there| there.snapshot(guid).is_some());
        let begun = wanted.iter().copied().rfind(|snapshot| {
            halfway == Some(snapshot.guid) || (self.completes && is_there(snapshot.guid))
        });
        let newest = wanted.last().copied();
        *wanted = begun.into_iter().collect();
        if begun.is_none() || !self.completes {
            wanted.extend(newest.filter(|newest| Some(*newest) != begun));
        }
    }

    fn fits(&self, snapshot: &Snapshot) -> bool {
        self.is_named(snapshot) && (self.only.is_some() || self.has_age(snapshot))
    }

    fn is_named(&self, snapshot: &Snapshot) -> bool {
        let name = snapshot.name.snapshot();
        if let Some(only) = &self.only {
            return name == only;
        }
        Pattern::any(&self.exclude, name).is_none()
            && (self.include.is_empty() || Pattern::any(&self.include, name).is_some())
    }

    /// What was made in the future is as young as can be.
    fn has_age(&self, snapshot: &Snapshot) -> bool {
        let Some(creation) = snapshot.creation else {
            return true;
        };
        let now = SystemTime::from(self.now.timestamp());
        let age = now.duration_since(creation).unwrap_or_default();
        self.newer_than.is_none_or(|limit| age <= limit)
            && self.older_than.is_none_or(|limit| age >= limit)
    }

    /// What the target would prune at once, were all of these there.
    fn pruned(
        &self,
        policy: &Policy,
        wanted: &[&Snapshot],
        there: Option<&Dataset>,
    ) -> HashSet<Guid> {
        let mut known = HashSet::new();
        let all = wanted
            .iter()
            .copied()
            .chain(there.iter().flat_map(|there| &there.snapshots))
            .filter(|snapshot| known.insert(snapshot.guid))
            .filter_map(|snapshot| {
                let creation = Timestamp::try_from(snapshot.creation?).ok()?;
                let name = snapshot.name.snapshot();
                let guid = zfs_retention::Guid(snapshot.guid.0);
                // Either pool counts transactions on its own, so time decides.
                let seconds = u64::try_from(creation.as_second()).unwrap_or(0);
                let txg = zfs_retention::Txg(seconds);
                Some(zfs_retention::Snapshot::new(name, guid, txg, creation))
            });
        let all: Vec<zfs_retention::Snapshot> = all.collect();
        let plan = policy.plan(&all, &[], &self.now);
        plan.destroyed().map(|gone| Guid(gone.guid.0)).collect()
    }
}

/// Reads a policy: `daily=14,weekly=8`, zrepl's grid or znapzend's plan.
/// The snapshot of which a part has arrived.
fn halfway(there: Option<&Dataset>) -> Option<Guid> {
    match &there?.partial {
        Some(Partial::Token(point)) => Some(point.to_guid),
        _ => None,
    }
}

fn policy(text: &str) -> Result<Policy, UsageError> {
    let wrong = |problem: &dyn std::fmt::Display| {
        UsageError(format!(
            "--target-retention={text}: {problem}; a policy is a list such as \
             last=3,hourly=24,daily=14,weekly=8,monthly=12,yearly=5,within=7d, a grid such as \
             1x1h(keep=all)|24x1h|14x1d, or a plan such as 7d=>1h,30d=>1d"
        ))
    };
    let all = Policy::managing(Names::glob("*"));
    if text.contains("=>") {
        let thinning: Thinning = text.parse().map_err(|error| wrong(&error))?;
        return Ok(all.with(Part::thinning(thinning)));
    }
    if text.contains('x') {
        let grid: Grid = text.parse().map_err(|error| wrong(&error))?;
        return Ok(all.with(Part::grid(grid)));
    }
    let mut policy = all;
    for item in text.split(',') {
        let (unit, count) = item
            .trim()
            .split_once('=')
            .ok_or_else(|| wrong(&format!("{item:?} has no =")))?;
        if unit == "within" {
            let length = parse_length(count).map_err(|error| wrong(&error))?;
            policy = policy.with(Part::newer_than(length));
            continue;
        }
        let count = count
            .parse()
            .map_err(|_| wrong(&format!("{count:?} is no number")))?;
        let part = match unit {
            "last" => Part::last(count),
            "hourly" => Part::hourly(count),
            "daily" => Part::daily(count),
            "weekly" => Part::weekly(count),
            "monthly" => Part::monthly(count),
            "yearly" => Part::yearly(count),
            _ => return Err(wrong(&format!("there is no {unit:?}"))),
        };
        policy = policy.with(part);
    }
    Ok(policy)
}

#[cfg(test)]
mod tests {
    use zfs_core::Txg;

    use super::super::arguments::{self, Command};
    use super::super::restore::received_in_part;
    use super::*;

    const NOW: &str = "2026-11-22T12:00:00+00:00[UTC]";

    fn wanted(options: &str) -> Result<Wanted, UsageError> {
        let words = options.split(';').filter(|word| !word.is_empty());
        let words = words.chain(["tank/a", "vault/a"]).map(str::to_owned);
        match arguments::parse(words) {
            Ok(Command::Run(arguments)) => Wanted::new(&arguments, NOW.parse().unwrap()),
            other => panic!("{other:?}"),
        }
    }

    /// One snapshot an hour, called by its age in hours, the oldest first.
    fn tree(root: &str, hours: impl DoubleEndedIterator<Item = u64>) -> Tree {
        let root: DatasetName = root.parse().unwrap();
        let now: Zoned = NOW.parse().unwrap();
        let mut dataset = Dataset::new(root.clone(), Guid(1));
        for age in hours.rev() {
            let creation = SystemTime::from(now.timestamp()) - Duration::from_secs(age * 3600);
            dataset.snapshots.push(Snapshot {
                name: root.with_snapshot(&format!("h{age}")).unwrap(),
                guid: Guid(10_000 - age),
                createtxg: Txg(10_000 - age),
                creation: Some(creation),
                ivset: None,
            });
        }
        Tree {
            root,
            datasets: vec![dataset],
            above: None,
        }
    }

    fn ages(options: &str, source: &Tree, target: &Tree) -> Vec<String> {
        let chosen = wanted(options).unwrap().choose(source, target);
        let snapshots = source.datasets[0].snapshots.iter();
        snapshots
            .filter(|snapshot| chosen.contains(&source.root, snapshot))
            .map(|snapshot| snapshot.name.snapshot()[1..].to_owned())
            .collect()
    }

    fn nothing() -> Tree {
        Tree {
            root: "vault/a".parse().unwrap(),
            datasets: Vec::new(),
            above: None,
        }
    }

    #[test]
    fn names_and_ages_choose_together() {
        let source = tree("tank/a", 0..6);
        for (options, expected) in [
            ("", "5 4 3 2 1 0"),
            ("--newer-than=2h", "2 1 0"),
            ("--older-than=3h", "5 4 3"),
            ("--older-than=1h;--newer-than=3h", "3 2 1"),
            ("--exclude-snaps=2;--newer-than=180m", "3 1 0"),
            ("--no-stream", "0"),
            ("--no-stream;--older-than=2h", "2"),
            ("--snapshot=@h4;--newer-than=1h", "4"),
        ] {
            let chosen = ages(options, &source, &nothing()).join(" ");
            assert_eq!(chosen, expected, "{options}");
        }
    }

    #[test]
    fn what_was_begun_goes_on_although_there_is_something_newer_by_now() {
        let source = tree("tank/a", 0..4);
        let there = |ages: &[u64]| tree("vault/a", ages.iter().copied());
        let halfway = |age: u64| {
            let mut tree = there(&[]);
            tree.datasets[0].partial = Some(received_in_part(Guid(10_000 - age)));
            tree
        };
        for (options, target, expected) in [
            ("restore", nothing(), "0"),
            ("restore", there(&[2]), "2"),
            ("restore", halfway(2), "2"),
            ("restore", there(&[9]), "0"),
            ("restore;--snapshot=h1", there(&[2]), "1"),
            ("restore;--exclude-snaps=2", halfway(2), "0"),
            ("--no-stream", halfway(2), "2 0"),
            ("--no-stream", halfway(0), "0"),
            ("--no-stream", there(&[2]), "0"),
            // Too old by now, and the policy's no more.
            ("--newer-than=2h", halfway(3), "3 2 1 0"),
            ("--target-retention=last=1", halfway(3), "3 0"),
            ("--newer-than=2h;--exclude-snaps=3", halfway(3), "2 1 0"),
        ] {
            let chosen = ages(options, &source, &target).join(" ");
            assert_eq!(chosen, expected, "{options} {target:?}");
        }
        let anew = wanted("restore").unwrap().anew();
        let chosen = anew.choose(&source, &there(&[2]));
        let newest = source.datasets[0].newest().unwrap();
        assert!(chosen.contains(&source.root, newest));
    }

    #[test]
    fn what_the_target_would_prune_at_once_is_not_wanted() {
        let source = tree("tank/a", 0..60);
        let policy = "--target-retention=last=2,daily=3";
        assert_eq!(ages(policy, &source, &nothing()), ["37", "13", "1", "0"]);
        // What the target has already counts.
        let target = tree("vault/a", [0, 1].into_iter());
        assert_eq!(ages(policy, &source, &target), ["37", "13", "1", "0"]);
        let grid = "--target-retention=3x1h|1x1d";
        assert_eq!(ages(grid, &source, &nothing()).len(), 4);
        let plan = "--target-retention=2h=>1h,1d=>12h";
        assert!(ages(plan, &source, &nothing()).len() < 8);
        let within = "--target-retention=within=90m";
        assert_eq!(ages(within, &source, &nothing()), ["1", "0"]);
    }

    #[test]
    fn what_is_no_age_or_policy_is_told_with_an_example() {
        for (option, example) in [
            ("--newer-than=x", "30d"),
            ("--older-than=3", "30d"),
            ("--target-retention=daily", "daily=14"),
            ("--target-retention=daily=a", "daily=14"),
            ("--target-retention=secondly=4", "daily=14"),
            ("--target-retention=3x", "daily=14"),
            ("--target-retention=7d=>", "daily=14"),
        ] {
            let error = wanted(option).unwrap_err().to_string();
            assert!(error.contains(example), "{option}: {error}");
        }
    }
}
