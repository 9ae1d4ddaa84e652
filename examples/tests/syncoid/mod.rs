//! Two places that look the same, one for each program, and what is there
//! afterwards.

pub mod prepare;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::{Command, Stdio};

use zfs_core::DatasetName;

use crate::SYNCOID;
use crate::fixture::{Pool, run};
use crate::sshd::Sshd;

pub fn ours() -> String {
    let folder = std::env::var("ZFS_TEST_BIN_DIR").expect("cargo xtask test sets it");
    format!("{folder}/zfs-replicate")
}

/// Where nothing is mounted, and what is set says so.
pub const MOUNTPOINTS: &str = "\t/srv/";

/// How often both programs run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    Once,
    /// With a new snapshot in between.
    Twice,
}

/// What the target looks like before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
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
    /// It has the first snapshot and a sync snapshot; more of these, of others,
    /// are on the source.
    Synced,
    /// It has the first snapshot, and half of the second, which is gone.
    TokenStale,
    /// It is not there, and the source is encrypted.
    Encrypted,
    /// It is not there, and the source is a volume.
    Volume,
    /// It has the first snapshot, and the names of both have spaces.
    Spaces,
    /// It is not there, and of the source's tree not all is to be replicated.
    ChosenTree,
    /// It is not there, and the source has a mountpoint of its own.
    Mountpoint,
}

impl Before {
    fn is_tree(self) -> bool {
        matches!(
            self,
            Before::NewTree | Before::IncrementalTree | Before::ChosenTree
        )
    }
}

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
pub enum Route<'a> {
    Here,
    Push(&'a Sshd),
    Pull(&'a Sshd),
}

/// A part of both pools, for one program and one case.
pub struct Place<'a> {
    pub pools: &'a (Pool, Pool),
    pub tag: String,
    before: Before,
}

impl Place<'_> {
    pub fn new(pools: &(Pool, Pool), tag: String, before: Before) -> Place<'_> {
        pools.0.filesystem(&tag);
        pools.1.filesystem(&tag);
        Place { pools, tag, before }
    }

    /// A name in either pool, without the pool's.
    pub fn within(&self, name: &str) -> String {
        let how = match self.before {
            Before::Spaces => "the ",
            _ => "",
        };
        format!("{}/{how}{name}", self.tag)
    }

    pub fn source(&self) -> DatasetName {
        self.pools.0.dataset(&self.within("src"))
    }

    pub fn target(&self) -> DatasetName {
        self.pools.1.dataset(&self.within("dst"))
    }

    /// Where both are, each with the name that it is shown with.
    fn roots(&self) -> [(String, &'static str); 2] {
        let root = |pool: &Pool| pool.dataset(&self.tag).to_string();
        [(root(&self.pools.0), "S"), (root(&self.pools.1), "T")]
    }

    fn run(&self, program: &str, options: &[&str], route: Route<'_>) -> (After, String) {
        let mut command = Command::new(program);
        command.args(options);
        if self.before.is_tree() {
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
/// differs, or else what both said of what scripts look for.
pub fn compare(
    pools: &(Pool, Pool),
    number: usize,
    before: Before,
    times: Times,
    options: &[&str],
    route: Route<'_>,
) -> Result<Vec<String>, String> {
    let run = |who: &str, program: &str| {
        let place = Place::new(pools, format!("{who}{number}"), before);
        prepare::prepare(&place, before);
        let mut runs = vec![place.run(program, options, route)];
        if times == Times::Twice {
            prepare::go_on(&place, before);
            runs.push(place.run(program, options, route));
        }
        runs
    };
    let theirs = run("t", SYNCOID);
    let ours = run("o", &ours());
    for (round, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        differences(ours, theirs)
            .map_err(|text| format!("=== {before:?} {options:?}, run {}\n{text}", round + 1))?;
    }
    let said = ours.into_iter().flat_map(|(after, _)| after.said);
    Ok(said.collect())
}

fn differences(ours: &(After, String), theirs: &(After, String)) -> Result<(), String> {
    let ((ours, we_said), (theirs, they_said)) = (ours, theirs);
    if ours == theirs {
        return Ok(());
    }
    let mut text = String::new();
    if ours.code != theirs.code {
        text = format!("code {:?}, and not {:?}\n", ours.code, theirs.code);
    }
    let both = [(&ours.objects, &theirs.objects), (&ours.said, &theirs.said)];
    for (ours, theirs) in both {
        let count = |lines: &[String], line: &String| lines.iter().filter(|l| *l == line).count();
        for line in ours {
            if count(ours, line) > count(theirs, line) {
                writeln!(text, "only ours:   {line}").unwrap();
            }
        }
        for line in theirs {
            if count(theirs, line) > count(ours, line) {
                writeln!(text, "only theirs: {line}").unwrap();
            }
        }
    }
    Err(format!(
        "{text}--- syncoid said\n{they_said}--- we said\n{we_said}"
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
    "not available on ",
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

/// Everything there, under names that are the same each time.
pub fn objects(place: &Place) -> Vec<String> {
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
            // Where it is mounted by the test has the pool's own folder in it.
            if !text.contains("\tmountpoint\t") || text.contains(MOUNTPOINTS) {
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
