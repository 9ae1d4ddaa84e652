//! zfs-autosnap beside sanoid 2.3 itself: the same configurations, the same
//! clock, and after every step the same snapshots, scripts and lines for
//! Nagios.
//!
//! The machine's clock is moved, so these tests are a program of their own, one
//! after the other; in the end the clock is put back to where it would be.
//! `cargo xtask test --zfs-only --long --target zfs_autosnap_sanoid PART` takes
//! more steps, for which each part by itself (`usual`, `rare`, `pools`, `pruning`, `dst`) needs
//! some ten minutes.
//!
//! Ages are counted in whole hours by all types but `frequently`. So each step
//! has a minute of its own: then no snapshot is ever as old as a limit to the
//! second, and it does not matter that one program runs a moment later. And it
//! is at least nine minutes before a multiple of fifteen, so that nothing
//! becomes due while the two run, however slow the machine is.
//!
//! Configurations of one zone that use the same templates are one file: what
//! takes long is sanoid's start.
//!
//! So that each configuration prunes in few steps as well, some datasets have
//! hourlies from before the first; where nothing was pruned of a configuration,
//! the test fails. Of datasets with `autoprune = no`, or whose pool is emptier
//! than their `prune_defer`, nothing may go.

#[path = "../../zfs-core/tests/fixture/mod.rs"]
mod fixture;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Instant, SystemTime};

use fixture::{Pool, run};
use jiff::{SignedDuration, Timestamp};
use zfs_core::{CreateRequest, SnapshotName, Zfs};

const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";
const NEW_YORK: &str = "EST5EDT,M3.2.0,M11.1.0";

/// A sanoid.conf of several configurations.
struct Group {
    zone: &'static str,
    templates: &'static str,
    cases: &'static [Case],
}

/// Sections of a sanoid.conf; `ROOT` stands for the dataset that they are
/// about, `FOLDER` for a folder of this group.
struct Case {
    /// Below the root, which is always there.
    datasets: &'static [&'static str],
    conf: &'static str,
    /// Datasets with so many hourlies from before, the root being `""`.
    before: &'static [(&'static str, usize)],
    /// Of these nothing is pruned, whatever they have.
    kept_whole: &'static [&'static str],
}

const GROUPS: &[Group] = &[
    Group {
        zone: BERLIN,
        // As guides for Proxmox VE have it: two classes of machines.
        templates: "[template_production]\n\tfrequently = 0\n\thourly = 48\n\tdaily = 60\n\tmonthly = 24\n\
                    \tyearly = 0\n\tautosnap = yes\n\tautoprune = yes\n\
                    [template_critical]\n\tfrequently = 4\n\thourly = 2\n\tdaily = 60\n\tmonthly = 24\n\
                    \tyearly = 0\n\tautosnap = yes\n\tautoprune = yes\n\
                    [template_few]\nhourly = 3\ndaily = 1\nmonthly = 1\n\
                    [template_scripts]\nhourly = 1\ndaily = 1\nmonthly = 0\nscript_timeout = 60\n\
                    pre_snapshot_script = env | grep ^SANOID_ | sort >> FOLDER/log; exit 2\n\
                    post_snapshot_script = env | grep ^SANOID_ | sort >> FOLDER/log\n\
                    force_post_snapshot_script = yes\n\
                    pre_pruning_script = env | grep ^SANOID_ | sort >> FOLDER/log\n\
                    pruning_script = env | grep ^SANOID_ | sort >> FOLDER/log\n",
        cases: &[
            // One tree for all disks, one of which is less important.
            Case {
                datasets: &["vm-100-disk-0", "vm-100-disk-1"],
                conf: "[ROOT]\n\tuse_template = production\n\trecursive = yes\n\
                       [ROOT/vm-100-disk-1]\n\tuse_template = production\n\thourly = 4\n\tdaily = 2\n",
                before: &[("vm-100-disk-0", 50)],
                kept_whole: &[],
            },
            // The pool is left alone, and one disk is critical.
            Case {
                datasets: &[
                    "data",
                    "data/vm-200-disk-0",
                    "data/subvol-201-disk-0",
                    "data/scratch",
                ],
                conf: "[ROOT/data]\n\tuse_template = production\n\trecursive = yes\n\tprocess_children_only = yes\n\
                       [ROOT/data/vm-200-disk-0]\n\tuse_template = critical\n\
                       [ROOT/data/scratch]\n\tautosnap = no\n\tautoprune = no\n",
                before: &[
                    ("data/subvol-201-disk-0", 50),
                    ("data", 2),
                    ("data/scratch", 2),
                ],
                kept_whole: &["data", "data/scratch"],
            },
            Case {
                datasets: &["a", "a/b"],
                conf: "[ROOT]\nrecursive = zfs\nuse_template = few\n\
                       [ROOT/a]\nautosnap = yes\nhourly = 1\n",
                before: &[],
                kept_whole: &[],
            },
            // Types by the minute.
            Case {
                datasets: &["a"],
                conf: "[ROOT]\nfrequently = 3\nfrequent_period = 30\nhourly = 0\ndaily = 0\nmonthly = 0\n\
                       [ROOT/a]\nfrequently = 2\nhourly = 1\ndaily = 1\nmonthly = 0\n",
                before: &[],
                kept_whole: &[],
            },
            // A recursive section overrides what stands before it.
            Case {
                datasets: &["a", "a/b", "a/b/c"],
                conf: "[ROOT/a/b]\nhourly = 1\ndaily = 0\nmonthly = 0\n\
                       [ROOT/a]\nrecursive = yes\nhourly = 2\ndaily = 1\nmonthly = 0\n\
                       [ROOT/a/b/c]\nweekly = 1\n",
                before: &[],
                kept_whole: &[],
            },
            // Pruning put off, none, and nothing else.
            Case {
                datasets: &["a", "b", "c"],
                conf: "[ROOT/a]\nhourly = 1\ndaily = 0\nmonthly = 0\nprune_defer = 60\n\
                       [ROOT/b]\nhourly = 2\ndaily = 1\nmonthly = 0\nautoprune = no\n\
                       [ROOT/c]\nautosnap = no\nhourly = 0\ndaily = 1\n",
                before: &[("a", 3), ("b", 4), ("c", 3)],
                kept_whole: &["a", "b"],
            },
            Case {
                datasets: &["a", "b"],
                conf: "[ROOT/a]\nuse_template = scripts\n\
                       [ROOT/b]\nuse_template = scripts\npre_snapshot_script = exit 1\nno_inconsistent_snapshot = yes\n",
                before: &[],
                kept_whole: &[],
            },
        ],
    },
    Group {
        zone: NEW_YORK,
        templates: "",
        cases: &[
            // Every preferred time.
            Case {
                datasets: &[],
                conf: "[ROOT]\nhourly = 2\ndaily = 2\ndaily_hour = 6\ndaily_min = 30\n\
                       weekly = 1\nweekly_wday = 5\nweekly_hour = 1\nweekly_min = 15\n\
                       monthly = 1\nmonthly_mday = 20\nmonthly_hour = 12\nmonthly_min = 45\n\
                       yearly = 1\nyearly_mon = 6\nyearly_mday = 15\nyearly_hour = 3\nyearly_min = 20\n",
                before: &[("", 4)],
                kept_whole: &[],
            },
            // And none.
            Case {
                datasets: &["child"],
                conf: "[ROOT]\n",
                before: &[("child", 4), ("", 50)],
                kept_whole: &["child"],
            },
        ],
    },
    Group {
        zone: "UTC",
        // Defaults of the user's own, and templates in a row.
        templates: "[template_default]\nmonthly = 2\nhourly = 5\n\
                    [template_base]\nhourly = 9\ndaily = 9\n[template_few]\nhourly = 1\n\
                    [template_none]\ndaily = 0\n",
        cases: &[
            Case {
                datasets: &["a", "b"],
                conf: "[ROOT/a]\nuse_template = base, few ,none\nweekly = 1\n[ROOT/b]\nuse_template = few\n",
                before: &[],
                kept_whole: &[],
            },
            // Paths, words for yes, and children taken out again.
            Case {
                datasets: &["a", "a/b", "c", "c/d"],
                conf: "[one]\npath = ROOT/a\nrecursive = On\nhourly = 1\ndaily = 1\nmonthly = 0\n\
                       [ROOT/a/b]\nskip_children = TRUE\nautoprune = 0\n\
                       [ROOT/c]\nskip_children = yes\nautosnap = YES\nhourly = 2\ndaily = 0\nmonthly = 0\n",
                before: &[("a/b", 3)],
                kept_whole: &["a/b"],
            },
        ],
    },
];

/// The minutes all differ. Clocks go back in Berlin at 01:00 on 25 October, in
/// New York at 06:00 on 1 November.
const SHORT: &[&str] = &[
    "2026-10-24T20:01:05Z",
    "2026-10-25T01:32:05Z",
    "2026-12-01T04:47:05Z",
];

const LONG: &[&str] = &[
    "2026-10-24T20:01:05Z",
    "2026-10-25T00:16:05Z",
    "2026-10-25T01:32:05Z",
    "2026-10-26T03:47:05Z",
    "2026-11-01T05:03:05Z",
    "2026-11-01T06:18:05Z",
    "2026-12-07T07:02:05Z",
    "2026-12-08T05:34:05Z",
    // A day back, to where all has its snapshot: of what was not taken before
    // the clock was ahead sanoid takes nothing until it is there again.
    "2026-12-07T07:12:05Z",
    "2027-01-02T06:05:05Z",
    // Berlin goes forward at 01:00.
    "2027-03-28T00:20:05Z",
    "2027-03-28T01:36:05Z",
    // No yearly is missed: sanoid would not catch it up.
    "2027-06-16T09:22:05Z",
    "2028-02-29T10:51:05Z",
];

/// When the hourlies from before were taken, and how many came after it: all are
/// older than what `hourly = 48` keeps for its age.
fn before(first: Timestamp) -> impl Iterator<Item = (usize, Timestamp)> {
    let hours = SignedDuration::from_hours;
    let ages = (61_i64..).take(MOST_BEFORE).enumerate();
    let moments: Vec<_> = ages
        .map(|(later, age)| (later, first - hours(age)))
        .collect();
    moments.into_iter().rev()
}

/// How many hourlies a dataset may have from before.
const MOST_BEFORE: usize = 50;

/// How long both may run in a step: until something could become due.
const STEP: SignedDuration = SignedDuration::from_secs(530);

fn set_clock(to: Timestamp) {
    run(&["date", "-s", &format!("@{}", to.as_second())]);
}

/// Puts the clock back to where it would be by now.
struct Clock {
    was: SystemTime,
    since: Instant,
}

impl Clock {
    fn new() -> Clock {
        Clock {
            was: SystemTime::now(),
            since: Instant::now(),
        }
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        let now = self.was + self.since.elapsed();
        if let Ok(now) = Timestamp::try_from(now) {
            let _ = fixture::attempt(&["date", "-s", &format!("@{}", now.as_second())]);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Program {
    Sanoid,
    Autosnap,
}

/// One of the two programs with a tree of its own.
struct Side<'a> {
    group: &'a Group,
    program: Program,
    root: String,
    folder: PathBuf,
}

impl Side<'_> {
    fn prepare(&self, zfs: &Zfs) {
        let create = |name: &str| {
            let request = CreateRequest::filesystem(name.parse().unwrap());
            zfs.create(&request.property("canmount", "off")).unwrap();
        };
        fs::create_dir_all(&self.folder).unwrap();
        create(&self.root);
        let mut conf = self.group.templates.to_owned();
        for (nth, case) in self.group.cases.iter().enumerate() {
            let root = format!("{}/{nth}", self.root);
            conf += &case
                .conf
                .replace("ROOT", &root)
                .replace("[one]", &format!("[one{nth}]"));
            create(&root);
            for dataset in case.datasets {
                create(&format!("{root}/{dataset}"));
            }
        }
        let conf = conf.replace("FOLDER", self.folder.to_str().unwrap());
        fs::write(self.folder.join("sanoid.conf"), conf).unwrap();
    }

    /// The datasets that have the snapshot from before that so many follow.
    fn had(&self, later: usize) -> impl Iterator<Item = String> {
        let cases = self.group.cases.iter().enumerate();
        let all = cases.flat_map(|(nth, case)| case.before.iter().map(move |it| (nth, it)));
        all.filter(move |(_, (_, count))| later < *count)
            .map(|(nth, (dataset, _))| self.dataset(nth, dataset))
    }

    /// A dataset of a configuration, which is its root where it is `""`.
    fn dataset(&self, nth: usize, dataset: &str) -> String {
        let root = format!("{}/{nth}", self.root);
        match dataset {
            "" => root,
            below => format!("{root}/{below}"),
        }
    }

    /// How many snapshots of each configuration there were and are no more,
    /// and how many of those that are kept whole.
    fn pruned(&self, gone: &BTreeSet<&str>) -> Vec<(usize, usize)> {
        let count = |of: &str| gone.iter().filter(|line| line.starts_with(of)).count();
        let cases = self.group.cases.iter().enumerate();
        cases
            .map(|(nth, case)| {
                let root = self.dataset(nth, "");
                let kept = case.kept_whole.iter();
                let kept = kept.map(|it| count(&format!("{}@", self.dataset(nth, it))));
                let kept: usize = kept.sum();
                let all = count(&format!("{root}@")) + count(&format!("{root}/"));
                (all, kept)
            })
            .collect()
    }

    fn run(&self, args: &[&str]) -> Output {
        let program = match self.program {
            Program::Sanoid => PathBuf::from("/usr/sbin/sanoid"),
            Program::Autosnap => {
                let folder =
                    std::env::var_os("ZFS_TEST_BIN_DIR").expect("cargo xtask test sets it");
                Path::new(&folder).join("zfs-autosnap")
            }
        };
        let mut command = Command::new(program);
        for (option, folder) in [
            ("--configdir", ""),
            ("--cache-dir", "cache"),
            ("--run-dir", "run"),
        ] {
            command.arg(option).arg(self.folder.join(folder));
        }
        command
            .env("TZ", self.group.zone)
            .args(args)
            .output()
            .unwrap()
    }

    /// A text without what is this side's own.
    fn neutral(&self, text: &str) -> String {
        text.replace(&self.root, "ROOT")
    }

    /// What there is: dataset, the step in which it was taken, the local day
    /// and hour in its name, and what follows the time.
    fn snapshots(&self, listing: &str, steps: &[Timestamp]) -> BTreeSet<String> {
        let within = |line: &&str| {
            let below = line.strip_prefix(&self.root);
            below.is_some_and(|below| below.starts_with(['/', '@']))
        };
        let own = listing.lines().filter(within);
        own.map(|line| self.snapshot(line, steps)).collect()
    }

    fn snapshot(&self, line: &str, steps: &[Timestamp]) -> String {
        let (name, creation) = line.split_once('\t').unwrap();
        let creation = Timestamp::from_second(creation.parse().unwrap()).unwrap();
        let name = self.without_minutes(name);
        if creation < steps[0] {
            return format!("{name} from before");
        }
        let step = steps
            .iter()
            .position(|step| *step <= creation && step.duration_until(creation) < STEP)
            .unwrap_or_else(|| panic!("{name} was not taken in any step"));
        format!("{name} in step {step}")
    }

    /// Names without the minutes and seconds that they have in them.
    fn without_minutes(&self, text: &str) -> String {
        const DAY_AND_HOUR: usize = "2026-10-24_22".len();
        const MINUTES: usize = ":02:05".len();
        let mut neutral = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("autosnap_2") {
            let (before, after) = rest.split_at(at + "autosnap_".len());
            neutral.push_str(before);
            neutral.push_str(&after[..DAY_AND_HOUR]);
            rest = &after[DAY_AND_HOUR + MINUTES..];
        }
        neutral.push_str(rest);
        self.neutral(&neutral)
    }

    /// What scripts found in their environment, sorted: pruning has no order in
    /// sanoid.
    fn log(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let mut lines: Vec<String> = self
            .without_minutes(&text)
            .lines()
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    }
}

/// Ages without minutes and seconds: one program runs a moment later.
fn without_moments(text: &str) -> String {
    let is_moment = |word: &&str| {
        let (digits, unit) = word.split_at(word.len().saturating_sub(1));
        matches!(unit, "m" | "s")
            && !digits.is_empty()
            && digits.bytes().all(|b| b.is_ascii_digit())
    };
    let words: Vec<&str> = text.split(' ').filter(|word| !is_moment(word)).collect();
    words.join(" ")
}

struct Pair<'a> {
    sanoid: Side<'a>,
    autosnap: Side<'a>,
}

impl<'a> Pair<'a> {
    /// Two trees of one pool, of which there may be more.
    fn beside(group: &'a Group, pool: &str, folder: &Path, nth: usize) -> Pair<'a> {
        let side = |program, letter: &str| Side {
            group,
            program,
            root: format!("{pool}/{letter}{nth}"),
            folder: folder.join(format!("{letter}{nth}")),
        };
        Pair {
            sanoid: side(Program::Sanoid, "s"),
            autosnap: side(Program::Autosnap, "z"),
        }
    }

    fn both(&self) -> [&Side<'_>; 2] {
        [&self.sanoid, &self.autosnap]
    }

    /// What both have after the last step.
    fn compare(&self, ran: [Output; 2], listing: &str, steps: &[Timestamp]) {
        let now = steps.last().unwrap();
        let [theirs, ours] = ran;
        let told = String::from_utf8_lossy(&ours.stderr).into_owned();
        assert!(theirs.status.success(), "{theirs:?}");
        // A script that fails is a failure to ours.
        let fails = self.sanoid.group.templates.contains("exit ");
        assert!(fails || ours.status.success(), "at {now}: {told}");
        assert!(!told.contains("cannot "), "at {now}: {told}");
        let [theirs, ours] = self.both().map(|side| side.snapshots(listing, steps));
        let more: Vec<_> = theirs.difference(&ours).collect();
        let less: Vec<_> = ours.difference(&theirs).collect();
        assert!(
            more.is_empty() && less.is_empty(),
            "at {now}: only sanoid has {more:#?}, only we have {less:#?}"
        );
        let [theirs, ours] = self.both().map(Side::log);
        assert_eq!(theirs, ours, "what scripts saw at {now}: sanoid's, ours");
    }

    /// Listed anew: sanoid believes its cache, in which the last step's
    /// snapshots are not.
    fn monitor(&self) {
        let [theirs, ours] = at_once(&self.both().map(|side| {
            || {
                let output = side.run(&["--monitor-snapshots", "--force-update"]);
                let line = side.neutral(&String::from_utf8_lossy(&output.stdout));
                (output.status.code(), without_moments(&line))
            }
        }));
        assert_eq!(theirs, ours, "sanoid's line for Nagios, ours");
        assert_ne!(ours.0, Some(0), "what is too old is told: {ours:?}");
    }
}

/// Does all at the same time.
fn at_once<T: Send, const N: usize>(all: &[impl Fn() -> T + Sync; N]) -> [T; N] {
    thread::scope(|scope| {
        let threads = all.each_ref().map(|one| scope.spawn(one));
        threads.map(|thread| thread.join().unwrap())
    })
}

/// Name and creation of each snapshot, as zfs-list(8) has them.
fn listing(pool: &Pool) -> String {
    let pool = pool.name().as_str();
    run(&[
        "zfs",
        "list",
        "-Hrpo",
        "name,creation",
        "-t",
        "snapshot",
        pool,
    ])
}

/// All programs of all pairs at the same time, and that at the time of the
/// last step. Returns what there is then.
fn step(pool: &Pool, pairs: &[Pair<'_>], steps: &[Timestamp]) -> String {
    let now = *steps.last().unwrap();
    set_clock(now);
    // Where the clock was set back, sanoid believes a cache from the future, in
    // which the last step's are not; and what is from the future is among those
    // that it keeps, while ours keeps it besides.
    let words: &[&str] = if steps.iter().any(|step| *step > now) {
        &["--take-snapshots", "--quiet", "--force-update"]
    } else {
        &["--cron", "--quiet"]
    };
    let ran: Vec<[Output; 2]> = thread::scope(|scope| {
        let both = |pair: &Pair<'_>| at_once(&pair.both().map(|side| || side.run(words)));
        let threads: Vec<_> = pairs
            .iter()
            .map(|pair| scope.spawn(move || both(pair)))
            .collect();
        threads.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let late = now.duration_until(Timestamp::now());
    assert!(
        late < STEP,
        "the machine is too slow for this: {late:?} in a step"
    );
    let listing = listing(pool);
    for (pair, ran) in pairs.iter().zip(ran) {
        pair.compare(ran, &listing, steps);
    }
    listing
}

/// Gives the datasets of all their hourlies from before.
fn take_before(pool: &Pool, pairs: &[Pair<'_>], first: Timestamp) {
    for (later, at) in before(first) {
        set_clock(at);
        let name = at.strftime("autosnap_%Y-%m-%d_%H:%M:%S_hourly");
        let sides = pairs.iter().flat_map(Pair::both);
        let names: Vec<SnapshotName> = sides
            .flat_map(|side| side.had(later))
            .map(|dataset| format!("{dataset}@{name}").parse().unwrap())
            .collect();
        pool.zfs.snapshot(&names).unwrap();
    }
}

/// There is one clock: no two of these at the same time.
static CLOCK: Mutex<()> = Mutex::new(());

/// Both programs with the same configurations, step by step.
fn same_after_every_step(groups: &[Group]) {
    let _alone = CLOCK.lock().unwrap_or_else(PoisonError::into_inner);
    let version = run(&["dpkg-query", "-W", "-f", "${Version}", "sanoid"]);
    assert!(version.starts_with("2.3."), "sanoid is {version}");
    let _clock = Clock::new();
    let long = std::env::var_os("ZFS_TEST_LONG").is_some();
    let steps: Vec<Timestamp> = if long { LONG } else { SHORT }
        .iter()
        .map(|step| step.parse().unwrap())
        .collect();

    // The first step is before the pool was made, were it made now.
    set_clock(steps[0] - SignedDuration::from_hours(24 * 7));
    let pool = Pool::new();
    let folder = tempfile::tempdir().unwrap();
    let pairs: Vec<Pair<'_>> = groups
        .iter()
        .enumerate()
        .map(|(nth, group)| Pair::beside(group, pool.name().as_str(), folder.path(), nth))
        .collect();
    for pair in &pairs {
        pair.sanoid.prepare(&pool.zfs);
        pair.autosnap.prepare(&pool.zfs);
    }
    take_before(&pool, &pairs, steps[0]);
    let mut living = listing(&pool);
    let mut ever: BTreeSet<String> = living.lines().map(str::to_owned).collect();
    for nth in 0..steps.len() {
        let begun = Instant::now();
        living = step(&pool, &pairs, &steps[..=nth]);
        ever.extend(living.lines().map(str::to_owned));
        println!("{} took {:?}", steps[nth], begun.elapsed());
    }
    let living: BTreeSet<&str> = living.lines().collect();
    let ever = ever.iter().map(String::as_str);
    let gone: BTreeSet<&str> = ever.filter(|line| !living.contains(line)).collect();
    for side in pairs.iter().flat_map(Pair::both) {
        for (nth, (all, of_kept_whole)) in side.pruned(&gone).into_iter().enumerate() {
            let conf = side.group.cases[nth].conf;
            assert!(all > 0, "nothing was pruned by {conf}");
            assert_eq!(of_kept_whole, 0, "pruned although it is to stay by {conf}");
        }
    }

    // Hours are the same for all, and some are too old.
    let last = *steps.last().unwrap();
    set_clock(last + SignedDuration::from_mins(150));
    for pair in &pairs {
        pair.monitor();
    }
}

/// What is in use everywhere.
#[test]
fn usual_configurations_give_the_same_snapshots_after_every_step() {
    same_after_every_step(&GROUPS[..1]);
}

/// Preferred times, defaults of the user's own, paths.
#[test]
fn rare_configurations_give_the_same_snapshots_after_every_step() {
    same_after_every_step(&GROUPS[1..]);
}

/// Pools of several kinds, well and not: the same line and the same code.
#[test]
fn pools_are_told_alike() {
    let _alone = CLOCK.lock().unwrap_or_else(PoisonError::into_inner);
    let disks = tempfile::tempdir().unwrap();
    let disk = |name: &str| {
        let path = disks.path().join(name);
        let file = fs::File::create(&path).unwrap();
        file.set_len(96 << 20).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let pool = format!("health{}", std::process::id());
    let disks: Vec<String> = ["a", "b", "c", "d", "log", "spare"].map(disk).into();
    let [a, b, c, d, log, spare] = &disks[..] else {
        panic!("six disks");
    };
    let create = [
        "zpool",
        "create",
        "-f",
        "-o",
        "cachefile=none",
        "-O",
        "mountpoint=none",
        &pool,
    ];
    let devices = ["mirror", a, b, "mirror", c, d, "log", log, "spare", spare];
    run(&[&create[..], &devices].concat());
    let folder = tempfile::tempdir().unwrap();
    let group = Group {
        zone: "UTC",
        templates: "",
        cases: &[],
    };
    let side = |program| Side {
        group: &group,
        program,
        root: pool.clone(),
        folder: folder.path().to_owned(),
    };
    let pair = Pair {
        sanoid: side(Program::Sanoid),
        autosnap: side(Program::Autosnap),
    };
    let conf = format!("[{pool}]\ncapacity_warn = 0\ncapacity_crit = 1\n");
    fs::write(folder.path().join("sanoid.conf"), conf).unwrap();
    let alike = |option: &str, code: i32| {
        let [theirs, ours] = pair.both().map(|side| {
            let output = side.run(&[option]);
            let line = String::from_utf8_lossy(&output.stdout).into_owned();
            (output.status.code(), line)
        });
        assert_eq!(theirs, ours, "sanoid's line for {option}, ours");
        assert_eq!(ours.0, Some(code), "{ours:?}");
    };
    alike("--monitor-health", 0);
    alike("--monitor-capacity", 0);
    let percent = fill(&pool, &folder.path().join("full"));
    for (warn, crit, code) in [
        (percent + 1, percent + 2, 0),
        (percent, percent + 1, 1),
        (percent, 0, 1),
        (percent + 1, percent, 2),
        (0, percent - 1, 2),
    ] {
        let conf = format!("[{pool}]\ncapacity_warn = {warn}\ncapacity_crit = {crit}\n");
        fs::write(folder.path().join("sanoid.conf"), conf).unwrap();
        alike("--monitor-capacity", code);
    }
    run(&["zpool", "offline", &pool, a]);
    alike("--monitor-health", 1);
    run(&["zpool", "replace", &pool, a, spare]);
    run(&["zpool", "wait", "-t", "resilver", &pool]);
    alike("--monitor-health", 1);
    run(&["zpool", "offline", &pool, d]);
    alike("--monitor-health", 1);
    run(&["zpool", "destroy", "-f", &pool]);
    alike("--monitor-health", 2);
    alike("--monitor-capacity", 2);
}

/// Writes so much into a pool that it is a few percent full, and says how many.
fn fill(pool: &str, mountpoint: &Path) -> u8 {
    let mountpoint_property = format!("mountpoint={}", mountpoint.display());
    let full = format!("{pool}/full");
    run(&["zfs", "create", "-o", &mountpoint_property, &full]);
    fixture::write_synced(&mountpoint.join("noise"), &fixture::noise(7, 20 << 20));
    run(&["zpool", "sync", pool]);
    let percent = run(&["zpool", "list", "-Hpo", "capacity", pool]);
    let percent = percent.trim().trim_end_matches('%').parse().unwrap();
    assert!((3..90).contains(&percent), "{percent}");
    percent
}

/// A pool that is as full as `prune_defer` says is not pruned, one that is fuller
/// is.
#[test]
fn pruning_is_put_off_until_the_pool_is_as_full_as_sanoid_wants_it() {
    let _alone = CLOCK.lock().unwrap_or_else(PoisonError::into_inner);
    let pool = Pool::new();
    let folder = tempfile::tempdir().unwrap();
    let group = Group {
        zone: "UTC",
        templates: "",
        cases: &[],
    };
    let pair = Pair::beside(&group, pool.name().as_str(), folder.path(), 0);
    for side in pair.both() {
        side.prepare(&pool.zfs);
        let dataset = side.root.rsplit('/').next().unwrap();
        pool.take(&format!("{dataset}@autosnap_2026-01-01_00:00:00_hourly"));
    }
    let percent = fill(pool.name().as_str(), &folder.path().join("full"));
    thread::sleep(std::time::Duration::from_secs(2));
    for (limit, left) in [(percent + 1, 1), (percent, 1), (percent - 1, 0)] {
        let left_of = at_once(&pair.both().map(|side| {
            || {
                let own = "autosnap = no\nhourly = 0\ndaily = 0\nmonthly = 0";
                let conf = format!("[{}]\n{own}\nprune_defer = {limit}\n", side.root);
                fs::write(side.folder.join("sanoid.conf"), conf).unwrap();
                let output = side.run(&["--prune-snapshots", "--force-update"]);
                assert!(output.status.success(), "{output:?}");
                run(&["zfs", "list", "-Hro", "name", "-t", "snapshot", &side.root])
                    .lines()
                    .count()
            }
        }));
        assert_eq!(
            left_of,
            [left, left],
            "at {percent} of {limit} percent: sanoid's, ours"
        );
    }
}

/// Somebody is always faster: the name is taken when they come to it.
const OVERTAKEN: Group = Group {
    zone: BERLIN,
    templates: "[template_overtaken]\nhourly = 0\ndaily = 0\nmonthly = 0\nscript_timeout = 60\n\
                pre_snapshot_script = zfs snapshot $SANOID_TARGET@$SANOID_SNAPNAME\n",
    cases: &[Case {
        datasets: &["h", "d"],
        conf: "[ROOT/h]\nuse_template = overtaken\nhourly = 1\n\
               [ROOT/d]\nuse_template = overtaken\ndaily = 1\n",
        before: &[],
        kept_whole: &[],
    }],
};

/// In the hour that comes twice both add `dst` to a name that is taken. sanoid does
/// so only for hourlies, and all day; ours for every type, and in that hour alone.
#[test]
fn names_that_are_taken_get_dst_where_the_hour_comes_twice() {
    let _alone = CLOCK.lock().unwrap_or_else(PoisonError::into_inner);
    let _clock = Clock::new();
    let again = "2026-10-25T01:32:05Z".parse::<Timestamp>().unwrap();
    let noon = "2026-10-25T11:32:05Z".parse::<Timestamp>().unwrap();
    set_clock(again - SignedDuration::from_mins(5));
    let pool = Pool::new();
    let folder = tempfile::tempdir().unwrap();
    let pair = Pair::beside(&OVERTAKEN, pool.name().as_str(), folder.path(), 0);
    for side in pair.both() {
        side.prepare(&pool.zfs);
    }
    let mut steps = Vec::new();
    let mut names_at = |now: Timestamp| {
        set_clock(now);
        steps.push(now);
        at_once(
            &pair
                .both()
                .map(|side| || side.run(&["--take-snapshots", "--force-update"])),
        );
        let listing = listing(&pool);
        let names = |side: &Side<'_>| -> Vec<String> {
            let own = side.snapshots(&listing, &steps);
            let names = own.iter().map(|line| {
                let name = line.split(' ').next().unwrap();
                name.replace("ROOT/0/", "")
                    .replace("autosnap_2026-10-25_", "")
            });
            names.collect()
        };
        pair.both().map(names)
    };
    let [theirs, ours] = names_at(again);
    assert_eq!(theirs, ["d@02_daily", "h@02_hourly", "h@02dst_hourly"]);
    let both = [
        "d@02_daily",
        "d@02dst_daily",
        "h@02_hourly",
        "h@02dst_hourly",
    ];
    assert_eq!(ours, both);

    let [theirs, ours] = names_at(noon);
    let at_noon = |names: &[String]| -> Vec<String> {
        let names = names.iter().filter(|name| name.contains("@12"));
        names.cloned().collect()
    };
    assert_eq!(at_noon(&theirs), ["h@12_hourly", "h@12dst_hourly"]);
    assert_eq!(at_noon(&ours), ["h@12_hourly"]);
}
