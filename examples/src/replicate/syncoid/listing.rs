//! What there is on a side: one listing for all its datasets.
//!
//! One that cannot be had or read is never taken for an empty one.

use std::collections::BTreeMap;
use std::fmt;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use zfs_core::{DatasetName, ListDatasets, ListSnapshots, Zfs};
use zfs_replicate::endpoint::stock::POINTS;

use super::rows::{COLUMNS, Listed, Point, WITHOUT_ENCRYPTION, is_within, parse};
use crate::replicate::side::Side;

/// The property that says where a dataset is to be replicated from.
const SYNC: &str = "syncoid:sync";

/// How much is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// A dataset.
    One,
    /// A dataset and everything below it.
    All,
}

/// Why there is no listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlisted {
    /// What is in the way.
    pub problem: String,
    /// What zfs(8) or ssh(1) ended with.
    pub code: Option<u8>,
}

impl Unlisted {
    fn new(problem: impl fmt::Display) -> Unlisted {
        Unlisted {
            problem: problem.to_string(),
            code: None,
        }
    }
}

/// Forgets what was listed before, and keeps what is listed now.
pub fn replace(known: &mut BTreeMap<String, Listed>, root: &str, depth: Depth, now: Vec<Listed>) {
    match depth {
        Depth::One => {
            known.remove(root);
        }
        Depth::All => known.retain(|name, _| !is_within(name, root)),
    }
    known.extend(now.into_iter().map(|listed| (listed.name.clone(), listed)));
}

/// Lists a dataset and what it has. One that is not there is no error.
///
/// # Errors
///
/// What is in the way.
pub fn list(
    side: &Side,
    zfs: Option<&Zfs>,
    root: &str,
    depth: Depth,
) -> Result<Vec<Listed>, Unlisted> {
    let mut listed = match zfs {
        Some(zfs) if side.is_local() && !side.sudo => {
            here(zfs, root, depth).map_err(Unlisted::new)?
        }
        _ => there(side, root, depth)?,
    };
    for dataset in &mut listed {
        dataset.snapshots.sort_by_key(|point| point.createtxg);
        dataset.bookmarks.sort_by_key(|point| point.createtxg);
    }
    Ok(listed)
}

fn here(zfs: &Zfs, root: &str, depth: Depth) -> Result<Vec<Listed>, String> {
    let name: DatasetName = root.parse().map_err(|error| format!("{error}"))?;
    let what = match depth {
        Depth::One => ListDatasets::new(),
        Depth::All => ListDatasets::new().recursive(),
    };
    let datasets = match zfs
        .list_datasets(&name, what)
        .collect::<Result<Vec<_>, _>>()
    {
        Ok(datasets) => datasets,
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        Err(error) => return Err(error.to_string()),
    };
    // The kernel opens every dataset anew for its snapshots, which can go on
    // side by side.
    let threads = thread::available_parallelism()
        .map_or(2, usize::from)
        .min(8);
    let next = AtomicUsize::new(0);
    let mut filled: Vec<(usize, Listed)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.min(datasets.len()))
            .map(|_| {
                scope.spawn(|| {
                    let mut mine = Vec::new();
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(dataset) = datasets.get(index) else {
                            return Ok(mine);
                        };
                        match contents(zfs, dataset) {
                            Ok(listed) => mine.push((index, listed)),
                            Err(error) if error.is_not_found() => {}
                            Err(error) => return Err(error.to_string()),
                        }
                    }
                })
            })
            .collect();
        let mut all = Vec::new();
        for worker in workers {
            match worker.join() {
                Ok(mine) => all.extend(mine?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok::<_, String>(all)
    })?;
    filled.sort_by_key(|(index, _)| *index);
    Ok(filled.into_iter().map(|(_, listed)| listed).collect())
}

fn contents(zfs: &Zfs, dataset: &zfs_core::Dataset) -> Result<Listed, zfs_core::Error> {
    let properties = dataset.properties.as_ref();
    let sync = properties.map(|properties| properties.text(SYNC));
    let mut listed = Listed {
        name: dataset.name.to_string(),
        is_filesystem: dataset.kind == zfs_core::DatasetKind::Filesystem,
        origin: dataset.origin.as_ref().map(ToString::to_string),
        token: dataset.receive_resume_token().map(str::to_owned),
        is_encrypted: dataset.encryption_root().is_some(),
        sync: sync.filter(|sync| sync != "-"),
        ..Listed::default()
    };
    let all = zfs.list_snapshots(&dataset.name, ListSnapshots::new());
    for snapshot in all.gather()? {
        listed.snapshots.push(Point {
            name: snapshot.name.snapshot().to_owned(),
            guid: snapshot.guid.0,
            createtxg: snapshot.createtxg.0,
        });
    }
    for bookmark in zfs.bookmarks(&dataset.name)? {
        listed.bookmarks.push(Point {
            name: bookmark.name.bookmark().to_owned(),
            guid: bookmark.guid.0,
            createtxg: bookmark.createtxg.0,
        });
    }
    Ok(listed)
}

/// How often a tree is listed until nothing in it is renamed meanwhile.
const LISTINGS: usize = 3;

fn there(side: &Side, root: &str, depth: Depth) -> Result<Vec<Listed>, Unlisted> {
    let mut last = None;
    for _ in 0..LISTINGS {
        let Some(output) = listing(side, root, depth)? else {
            return Ok(Vec::new());
        };
        match parse(&output, root) {
            Ok(mut listed) => {
                if depth == Depth::One {
                    listed.retain(|dataset| dataset.name == root);
                }
                return Ok(listed);
            }
            Err(problem) => {
                let again = problem.meanwhile;
                last = Some(problem.to_string());
                if !again {
                    break;
                }
            }
        }
    }
    let problem = last.unwrap_or_default();
    Err(Unlisted::new(format!("zfs list of {root}: {problem}")))
}

/// What zfs-list(8) says: of datasets, then of what they have as well. `None`
/// where there is no such dataset.
fn listing(side: &Side, root: &str, depth: Depth) -> Result<Option<Vec<u8>>, Unlisted> {
    let list = |levels: &'static str, kinds: &'static str, columns: &'static str| {
        let mut arguments = vec!["list", "-Hp"];
        match depth {
            Depth::One => arguments.extend(["-d", levels]),
            Depth::All => arguments.push("-r"),
        }
        arguments.extend(["-t", kinds, "-o", columns, root]);
        side.zfs_line(&arguments)
    };
    let with = |columns| {
        let datasets = list("0", "filesystem,volume", columns);
        let all = list("1", "filesystem,volume,snapshot,bookmark", POINTS);
        format!("{datasets} && {all}")
    };
    let run = |line: &str| {
        let mut command = side.shell(line);
        command.stdin(Stdio::null()).output().map_err(Unlisted::new)
    };
    let mut line = with(COLUMNS);
    let mut output = run(&line)?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() && said.contains("invalid property 'encryption'") {
        line = with(WITHOUT_ENCRYPTION);
        output = run(&line)?;
    }
    if output.status.success() {
        return Ok(Some(output.stdout));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains(&format!("cannot open '{root}': dataset does not exist")) {
        return Ok(None);
    }
    let code = output.status.code().and_then(|code| code.try_into().ok());
    Err(Unlisted {
        problem: format!("{line} failed: {}", said.trim_end()),
        code,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_listing_replaces_what_it_covers() {
        let listed = |name: &str| Listed {
            name: name.to_owned(),
            ..Listed::default()
        };
        let mut known = BTreeMap::new();
        replace(
            &mut known,
            "a",
            Depth::All,
            vec![listed("a"), listed("a/b"), listed("ab")],
        );
        replace(&mut known, "a", Depth::One, vec![]);
        assert_eq!(known.keys().collect::<Vec<_>>(), ["a/b", "ab"]);
        replace(&mut known, "a", Depth::All, vec![]);
        assert_eq!(known.keys().collect::<Vec<_>>(), ["ab"]);
    }
}
