//! What there is on a side: one listing for all its datasets.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use zfs_core::{DatasetName, ListDatasets, ListSnapshots, Zfs};

use crate::replicate::side::Side;

/// The property that says where a dataset is to be replicated from.
const SYNC: &str = "syncoid:sync";

const COLUMNS: &str = "name,type,guid,createtxg,origin,receive_resume_token,syncoid:sync";

/// How much is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// A dataset.
    One,
    /// A dataset and everything below it.
    All,
}

/// A dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Whether it is a filesystem, and no volume.
    pub is_filesystem: bool,
    /// What it is a clone of.
    pub origin: Option<String>,
    /// What is needed to go on with an interrupted receive.
    pub token: Option<String>,
    /// The value of `syncoid:sync`.
    pub sync: Option<String>,
    /// Its snapshots, the oldest first.
    pub snapshots: Vec<Point>,
    /// Its bookmarks, the oldest first.
    pub bookmarks: Vec<Point>,
}

/// A snapshot or bookmark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// The part after `@` or `#`.
    pub name: String,
    /// The GUID of the snapshot.
    pub guid: u64,
    /// Its age.
    pub createtxg: u64,
}

/// Whether a name is that of a dataset or of something below it.
pub fn is_within(name: &str, root: &str) -> bool {
    name.strip_prefix(root)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
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
) -> Result<Vec<Listed>, String> {
    let mut listed = match zfs {
        Some(zfs) if side.is_local() && !side.sudo => here(zfs, root, depth)?,
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

fn there(side: &Side, root: &str, depth: Depth) -> Result<Vec<Listed>, String> {
    let mut arguments = vec!["list", "-Hp"];
    match depth {
        Depth::One => arguments.extend(["-d", "1"]),
        Depth::All => arguments.push("-r"),
    }
    let kinds = "filesystem,volume,snapshot,bookmark";
    arguments.extend(["-t", kinds, "-o", COLUMNS, root]);
    let output = side.run(&arguments).map_err(|error| error.to_string())?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        if said.contains("does not exist") {
            return Ok(Vec::new());
        }
        return Err(format!("{} failed: {said}", side.zfs_line(&arguments)));
    }
    let text = String::from_utf8(output.stdout).map_err(|error| error.to_string())?;
    let mut listed = parse(&text, root)?;
    if depth == Depth::One {
        listed.retain(|dataset| dataset.name == root);
    }
    Ok(listed)
}

fn parse(text: &str, root: &str) -> Result<Vec<Listed>, String> {
    let mut datasets: Vec<Listed> = Vec::new();
    let mut index: BTreeMap<String, usize> = BTreeMap::new();
    for line in text.lines() {
        let columns: Vec<&str> = line.splitn(7, '\t').collect();
        let [name, kind, guid, createtxg, origin, token, sync] = columns.as_slice() else {
            return Err(format!("zfs list says {line:?}"));
        };
        let number = |text: &str| {
            text.parse::<u64>()
                .map_err(|_| format!("zfs list says {line:?}"))
        };
        let given =
            |text: &str| Some(text.to_owned()).filter(|text| text != "-" && !text.is_empty());
        let dataset = name.split(['@', '#']).next().unwrap_or_default();
        if !is_within(dataset, root) || dataset.parse::<DatasetName>().is_err() {
            return Err(format!("zfs list says {line:?}, which is not in {root}"));
        }
        if let "filesystem" | "volume" = *kind {
            index.insert((*name).to_owned(), datasets.len());
            datasets.push(Listed {
                name: (*name).to_owned(),
                is_filesystem: *kind == "filesystem",
                origin: given(origin),
                token: given(token),
                sync: given(sync),
                ..Listed::default()
            });
            continue;
        }
        let point = |separator: char| {
            Ok::<_, String>(Point {
                name: name.split(separator).nth(1).unwrap_or_default().to_owned(),
                guid: number(guid)?,
                createtxg: number(createtxg)?,
            })
        };
        let owner = index
            .get(dataset)
            .and_then(|index| datasets.get_mut(*index));
        match (owner, *kind) {
            (Some(owner), "snapshot") => owner.snapshots.push(point('@')?),
            (Some(owner), "bookmark") => owner.bookmarks.push(point('#')?),
            // Below the depth that was asked for.
            (None, "snapshot" | "bookmark") => {}
            _ => return Err(format!("zfs list says {line:?}")),
        }
    }
    Ok(datasets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_zfs_list_says_becomes_datasets() {
        let text = "tank/a\tfilesystem\t1\t2\t-\t1-x\tfalse\n\
                    tank/a@x y\tsnapshot\t3\t4\t-\t-\tfalse\n\
                    tank/a#m\tbookmark\t3\t4\t-\t-\t-\n\
                    tank/a/v\tvolume\t5\t6\ttank/a@x y\t-\t-\n";
        let listed = parse(text, "tank/a").unwrap();
        assert_eq!(listed[0].snapshots[0].name, "x y");
        assert_eq!(listed[0].bookmarks[0].guid, 3);
        assert_eq!(listed[0].sync.as_deref(), Some("false"));
        assert_eq!(listed[0].token.as_deref(), Some("1-x"));
        assert_eq!(listed[1].origin.as_deref(), Some("tank/a@x y"));
        assert!(!listed[1].is_filesystem);
    }

    #[test]
    fn what_was_not_asked_for_is_refused() {
        for text in [
            "tank/b\tfilesystem\t1\t2\t-\t-\t-\n",
            "hello\n",
            "tank/a@x\tsnapshot\tx\t4\t-\t-\t-\ntank/a/b\tfloppy\t1\t1\t-\t-\t-\n",
        ] {
            assert!(parse(text, "tank/a").is_err(), "{text}");
        }
    }

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
