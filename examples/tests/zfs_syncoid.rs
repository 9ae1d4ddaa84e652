//! syncoid 2.3 and zfs-replicate side by side: the same starting pools, the
//! same command line, the same snapshots, bookmarks, holds and properties
//! afterwards, and the same exit code.
//!
//! The cases are a table: every option alone, against a target that is new,
//! incremental, resumable or diverged, and against a tree. A few of them run
//! always, all of them with `ZFS_TEST_LONG`.

#[path = "../../zfs-core/tests/fixture/mod.rs"]
mod fixture;
#[path = "../../zfs-replicate/tests/sshd/mod.rs"]
mod sshd;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use fixture::{Pool, noise, run, write_synced};
use sshd::Sshd;
use zfs_core::DatasetName;

const SYNCOID: &str = "/usr/sbin/syncoid";

fn ours() -> String {
    let folder = std::env::var("ZFS_TEST_BIN_DIR").expect("cargo xtask test sets it");
    format!("{folder}/zfs-replicate")
}

/// What the target looks like before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    /// It is not there.
    New,
    /// It has the first snapshot.
    Incremental,
    /// It has the first snapshot, and half of the second.
    Resumable,
    /// It has the first snapshot, and one of its own.
    Diverged,
    /// It shares nothing.
    Unrelated,
    /// It has the first snapshot, of which the source has a bookmark.
    Bookmarked,
    /// It has everything.
    Everything,
    /// A tree with a clone, not there.
    NewTree,
    /// A tree, with the first snapshots.
    IncrementalTree,
}

use Before::{
    Bookmarked, Diverged, Everything, Incremental, IncrementalTree, New, NewTree, Resumable,
    Unrelated,
};

/// Every option that changes anything, alone, and what goes together.
const OPTIONS: &[&[&str]] = &[
    &[],
    &["--no-sync-snap"],
    &["--keep-sync-snap"],
    &["--no-sync-snap", "--create-bookmark"],
    &["--use-hold"],
    &["--no-sync-snap", "--use-hold"],
    &["--identifier=third"],
    &["--no-stream"],
    &["--no-sync-snap", "--no-stream"],
    &["--no-resume"],
    &["--no-rollback"],
    &["--force-delete"],
    &["--no-sync-snap", "--force-delete"],
    &["--delete-target-snapshots"],
    &["--no-sync-snap", "--delete-target-snapshots"],
    &["--exclude-datasets=child"],
    &["--exclude=child"],
    &["--exclude-snaps=two"],
    &["--no-sync-snap", "--include-snaps=^(one|three)$"],
    &["--skip-parent"],
    &["--preserve-properties"],
    &["--preserve-recordsize"],
    &["--sendoptions=Lc"],
    &["--sendoptions=p"],
    &["--recvoptions=u o compression=gzip"],
    &["--compress=none"],
    &["--source-bwlimit=50m"],
    &["--target-bwlimit=50m"],
    &["--mbuffer-size=32M"],
    &["--pv-options=-b"],
    &["--no-privilege-elevation"],
    &["--no-clone-handling"],
    &["--no-command-checks"],
    &["--monitor-version"],
    &["--dumpsnaps"],
    &["--debug"],
    &["--quiet"],
];

/// Those that run always: what differs most.
const SHORT: &[(Before, &[&str])] = &[
    (New, &[]),
    (Incremental, &[]),
    (Incremental, &["--use-hold"]),
    (
        Incremental,
        &[
            "--no-sync-snap",
            "--create-bookmark",
            "--preserve-properties",
        ],
    ),
    (Resumable, &["--no-sync-snap"]),
    (Resumable, &["--no-resume", "--no-sync-snap"]),
    (Diverged, &["--no-sync-snap"]),
    (Unrelated, &["--no-sync-snap"]),
    (Unrelated, &["--no-sync-snap", "--force-delete"]),
    (Bookmarked, &["--no-sync-snap"]),
    (Everything, &["--no-sync-snap", "--delete-target-snapshots"]),
    (NewTree, &["--no-sync-snap"]),
    (IncrementalTree, &["--no-sync-snap", "--exclude-snaps=two"]),
];

/// What one program did.
#[derive(Debug, PartialEq, Eq)]
struct After {
    code: Option<i32>,
    /// Every name with what is to be the same; the moment of a sync snapshot
    /// is not.
    objects: Vec<String>,
    /// What scripts look for in what it said.
    said: Vec<String>,
}

/// Which of the two is elsewhere.
#[derive(Clone, Copy)]
enum Route<'a> {
    Here,
    Push(&'a Sshd),
    Pull(&'a Sshd),
}

/// A part of both pools, for one program and one case.
struct Place<'a> {
    pools: &'a (Pool, Pool),
    tag: String,
}

impl Place<'_> {
    fn new(pools: &(Pool, Pool), tag: String) -> Place<'_> {
        pools.0.filesystem(&tag);
        pools.1.filesystem(&tag);
        Place { pools, tag }
    }

    fn source(&self) -> DatasetName {
        self.pools.0.dataset(&format!("{}/src", self.tag))
    }

    fn target(&self) -> DatasetName {
        self.pools.1.dataset(&format!("{}/dst", self.tag))
    }

    /// Where both are, each with the name that it is shown with.
    fn roots(&self) -> [(String, &'static str); 2] {
        let root = |pool: &Pool| pool.dataset(&self.tag).to_string();
        [(root(&self.pools.0), "S"), (root(&self.pools.1), "T")]
    }

    fn run(
        &self,
        program: &str,
        options: &[&str],
        before: Before,
        route: Route<'_>,
    ) -> (After, String) {
        let is_tree = matches!(before, NewTree | IncrementalTree);
        let mut command = Command::new(program);
        command.args(options);
        if is_tree {
            command.arg("--recursive");
        }
        let (mut from, mut to) = (self.source().to_string(), self.target().to_string());
        match route {
            Route::Here => {}
            Route::Push(sshd) => {
                to = format!("root@127.0.0.1:{to}");
                command.args(sshd.options_of_syncoid());
            }
            Route::Pull(sshd) => {
                from = format!("root@127.0.0.1:{from}");
                command.args(sshd.options_of_syncoid());
            }
        }
        let output = command
            .args([from, to])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        let after = After {
            code: output.status.code(),
            objects: objects(self),
            said: looked_for(self, &said),
        };
        (after, said)
    }
}

/// Runs both programs, each on a place that looks the same, and says what
/// differs.
fn compare(
    pools: &(Pool, Pool),
    number: usize,
    before: Before,
    options: &[&str],
    route: Route<'_>,
) -> Result<(), String> {
    let run = |who: &str, program: &str| {
        let place = Place::new(pools, format!("{who}{number}"));
        prepare(&place, before);
        place.run(program, options, before, route)
    };
    let (theirs, they_said) = run("t", SYNCOID);
    let (ours, we_said) = run("o", &ours());
    let mut text = String::new();
    if ours.code != theirs.code {
        text = format!("code {:?}, and not {:?}\n", ours.code, theirs.code);
    }
    let both = [(&ours.objects, &theirs.objects), (&ours.said, &theirs.said)];
    for (ours, theirs) in both {
        for line in ours.iter().filter(|line| !theirs.contains(line)) {
            writeln!(text, "only ours:   {line}").unwrap();
        }
        for line in theirs.iter().filter(|line| !ours.contains(line)) {
            writeln!(text, "only theirs: {line}").unwrap();
        }
    }
    if text.is_empty() && ours == theirs {
        return Ok(());
    }
    Err(format!(
        "=== {before:?} {options:?}\n{text}--- syncoid said\n{they_said}--- we said\n{we_said}"
    ))
}

/// The phrases of the messages that scripts look for.
const PHRASES: &[&str] = &[
    "INFO: Sending ",
    "INFO: Resuming interrupted zfs send/receive",
    "INFO: --no-stream selected",
    "INFO: no snapshots on",
    "INFO: Removing ",
    "INFO: Clone is recreated",
    "INFO: clone creation failed",
    "NEWEST SNAPSHOT: ",
    "reset partial receive state of ",
    "removing existing destination",
    "resetting partially receive state",
    "exists but has no snapshots matching with",
    "is already target of a zfs receive process",
];

/// What it said of that, with names that are the same each time and without
/// sizes, which are estimates.
fn looked_for(place: &Place, said: &str) -> Vec<String> {
    let lines = said.lines();
    lines
        .filter(|line| PHRASES.iter().any(|phrase| line.contains(phrase)))
        .map(|line| {
            let mut line = line.split(" (~").next().unwrap_or(line).to_owned();
            for (root, name) in place.roots() {
                line = line.replace(&root, name);
            }
            stamp(&line)
        })
        .collect()
}

/// One source and one target, always the same.
fn prepare(place: &Place, before: Before) {
    let (source, target) = place.pools;
    let (src, dst) = (place.source(), place.target());
    let within = |name: &str| format!("{}/{name}", place.tag);
    let at = |name: &str| format!("{src}@{name}");
    source.filesystem(&within("src"));
    let note = "org.example:note=two words";
    run(&["zfs", "set", "recordsize=64K", note, src.as_str()]);
    let folder = source.mount(&src);
    write_synced(&folder.join("a"), &noise(1, 100_000));
    let is_tree = matches!(before, NewTree | IncrementalTree);
    if is_tree {
        source.filesystem(&within("src/child"));
    }
    let take = |name: &str| {
        run(&["zfs", "snapshot", "-r", &at(name)]);
    };
    take("one");
    if is_tree {
        let (child, clone) = (format!("{src}/child@one"), format!("{src}/clone"));
        run(&["zfs", "clone", &child, &clone]);
    }
    let full = |options: &str| {
        let one = at("one");
        pipe(&format!("zfs send {options} {one} | zfs receive -u {dst}"));
    };
    match before {
        New | NewTree => {}
        Incremental | Diverged | Resumable | Bookmarked | Everything => full(""),
        IncrementalTree => full("-R"),
        Unrelated => {
            target.filesystem(&within("dst"));
            target.take(&within("dst@own"));
        }
    }
    write_synced(&folder.join("c"), &noise(2, 700_000));
    source.unmount(&src);
    take("two");
    take("three");
    match before {
        Resumable => {
            // Half of what comes next.
            let whole = Command::new("zfs")
                .args(["send", "-i", &at("one"), &at("two")])
                .output()
                .unwrap();
            let mut receive = Command::new("zfs")
                .args(["receive", "-s", "-u", dst.as_str()])
                .stdin(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let half = &whole.stdout[..whole.stdout.len() / 2];
            receive.stdin.take().unwrap().write_all(half).unwrap();
            receive.wait().unwrap();
        }
        Diverged => {
            target.take(&within("dst@own"));
        }
        Bookmarked => {
            run(&["zfs", "bookmark", &at("one"), &format!("{src}#mark")]);
            run(&["zfs", "destroy", &at("one")]);
        }
        Everything => {
            let (one, three) = (at("one"), at("three"));
            pipe(&format!(
                "zfs send -I {one} {three} | zfs receive -F -u {dst}"
            ));
            target.take(&within("dst@zzz-own"));
        }
        _ => {}
    }
}

#[track_caller]
fn pipe(line: &str) {
    run(&["sh", "-c", line]);
}

/// Everything there, under names that are the same each time.
fn objects(place: &Place) -> Vec<String> {
    let mut lines = Vec::new();
    let mut guids: BTreeMap<String, String> = BTreeMap::new();
    for (root, name) in place.roots() {
        let root = root.as_str();
        let rename = |text: &str| stamp(&text.replace(root, name));
        let list = run(&[
            "zfs",
            "list",
            "-Hrpo",
            "name,type,guid,origin",
            "-t",
            "all",
            root,
        ]);
        let mut snapshots = Vec::new();
        for line in list.lines() {
            let columns: Vec<&str> = line.split('\t').collect();
            // A GUID is another one each time: what counts is which are the
            // same.
            let next = format!("g{}", guids.len());
            let guid = if ["snapshot", "bookmark"].contains(&columns[1]) {
                guids.entry(columns[2].to_owned()).or_insert(next).clone()
            } else {
                String::new()
            };
            let text = rename(&format!(
                "{} {} {guid} {}",
                columns[0], columns[1], columns[3]
            ));
            if columns[1] == "snapshot" {
                snapshots.push(columns[0]);
            }
            lines.push(text);
        }
        if !snapshots.is_empty() {
            let holds = run(&[&["zfs", "holds", "-H"], &snapshots[..]].concat());
            lines.extend(holds.lines().map(|line| {
                let hold: Vec<&str> = line.split('\t').take(2).collect();
                rename(&format!("held: {}", hold.join(" ")))
            }));
        }
        let sources = "local,received";
        let get = [
            "zfs",
            "get",
            "-Hrpo",
            "name,property,value,source",
            "-s",
            sources,
        ];
        let types = ["-t", "filesystem,volume", "all", root];
        for line in run(&[&get[..], &types[..]].concat()).lines() {
            let text = rename(line);
            // Where it is mounted has the pool's own folder in it.
            if !text.contains("\tmountpoint\t") {
                lines.push(text);
            }
        }
        let get = [
            "zfs",
            "get",
            "-Hro",
            "name,value",
            "-t",
            "filesystem",
            "receive_resume_token",
        ];
        for line in run(&[&get[..], &[root]].concat()).lines() {
            let (dataset, token) = line.split_once('\t').unwrap_or((line, "-"));
            lines.push(rename(&format!("{dataset} resumable: {}", token != "-")));
        }
    }
    lines.sort();
    lines
}

/// Without the moment in the name of a sync snapshot.
fn stamp(text: &str) -> String {
    let moment = regex::Regex::new(r"(syncoid_\S*?)_20\d\d-\d\d-\d\d:[0-9:]+-GMT[-0-9:]+").unwrap();
    moment.replace_all(text, "${1}_MOMENT").into_owned()
}

#[test]
fn syncoid_is_there_to_be_compared_with() {
    assert!(Path::new(SYNCOID).exists());
    let text = fs::read_to_string(SYNCOID).unwrap();
    assert!(text.contains("VERSION = '2.3.0'"));
}

/// Every option against one kind of target, or those that differ most.
#[track_caller]
fn side_by_side(before: Before) {
    let long = std::env::var_os("ZFS_TEST_LONG").is_some();
    let short = SHORT.iter().filter(|(when, _)| *when == before);
    let options: Vec<&[&str]> = if long {
        OPTIONS.to_vec()
    } else {
        short.map(|(_, options)| *options).collect()
    };
    assert!(!options.is_empty());
    let pools = (Pool::new(), Pool::new());
    let mut differ = 0;
    for (number, options) in options.iter().enumerate() {
        if let Err(text) = compare(&pools, number, before, options, Route::Here) {
            println!("{text}");
            differ += 1;
        }
    }
    assert_eq!(differ, 0, "of {} cases", options.len());
}

#[test]
fn a_new_target() {
    side_by_side(New);
}

#[test]
fn an_incremental_target() {
    side_by_side(Incremental);
}

#[test]
fn a_resumable_target() {
    side_by_side(Resumable);
}

#[test]
fn a_diverged_target() {
    side_by_side(Diverged);
}

#[test]
fn an_unrelated_target() {
    side_by_side(Unrelated);
}

#[test]
fn a_target_whose_base_is_a_bookmark() {
    side_by_side(Bookmarked);
}

#[test]
fn a_target_that_has_everything() {
    side_by_side(Everything);
}

#[test]
fn a_new_tree() {
    side_by_side(NewTree);
}

#[test]
fn an_incremental_tree() {
    side_by_side(IncrementalTree);
}

#[test]
fn to_and_from_another_system() {
    let sshd = Sshd::start();
    let pools = (Pool::new(), Pool::new());
    let (push, pull) = (Route::Push(&sshd), Route::Pull(&sshd));
    let mut cases: Vec<(Before, &[&str], Route<'_>)> = vec![
        (New, &["--no-sync-snap", "--compress=zstd-fast"], push),
        (Incremental, &["--compress=none"], pull),
    ];
    if std::env::var_os("ZFS_TEST_LONG").is_some() {
        for route in [push, pull] {
            for before in [Resumable, Diverged, Bookmarked, NewTree] {
                cases.push((before, &["--no-sync-snap"], route));
            }
            cases.push((Incremental, &["--use-hold"], route));
        }
    }
    for (number, (before, options, route)) in cases.into_iter().enumerate() {
        if let Err(text) = compare(&pools, number, before, options, route) {
            panic!("{text}");
        }
    }
}

#[test]
fn wrong_command_lines_end_with_the_same_code() {
    for arguments in [
        &["--frobnicate", "a", "b"][..],
        &["a"],
        &["--identifier=a/b", "a", "b"],
        &["--recursive", "--sendoptions=R", "a", "b"],
        &["--recvoptions=ox y", "a", "b"],
    ] {
        let code = |program: &str| {
            let mut command = Command::new(program);
            command.args(arguments).output().unwrap().status.code()
        };
        assert_eq!(code(&ours()), code(SYNCOID), "{arguments:?}");
    }
}

#[test]
fn what_is_not_there_ends_with_the_same_code() {
    let pool = Pool::new();
    let name = pool.name().as_str().to_owned();
    pool.filesystem("empty");
    let missing = [format!("{name}/none"), format!("{name}/dst")];
    let empty = [format!("{name}/empty"), format!("{name}/dst")];
    for (arguments, places) in [
        (&[][..], &missing),
        (&["--recursive"], &missing),
        (&["--no-sync-snap"], &empty),
        (&["--no-sync-snap", "--recursive"], &empty),
    ] {
        let code = |program: &str| {
            let mut command = Command::new(program);
            let output = command.args(arguments).args(places).output().unwrap();
            output.status.code()
        };
        assert_eq!(code(&ours()), code(SYNCOID), "{arguments:?} {places:?}");
    }
}

#[test]
fn a_dry_run_changes_nothing() {
    let pools = (Pool::new(), Pool::new());
    for (number, before) in [Incremental, Unrelated].into_iter().enumerate() {
        let place = Place::new(&pools, format!("d{number}"));
        prepare(&place, before);
        let was = objects(&place);
        let output = Command::new(ours())
            .args(["--dry-run", "--force-delete", "--use-hold"])
            .args([place.source().as_str(), place.target().as_str()])
            .output()
            .unwrap();
        assert!(!output.stdout.is_empty());
        assert_eq!(objects(&place), was, "{before:?}");
    }
}
