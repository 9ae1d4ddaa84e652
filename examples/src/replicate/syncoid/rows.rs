//! What zfs-list(8) says, read with distrust.
//!
//! The other end may be broken or hostile. Every line has to be one that ZFS
//! could have written about what was asked for, and nothing may come twice.

use std::collections::{HashMap, HashSet};

use zfs_core::{DatasetName, SnapshotOrBookmark};

/// What is asked of datasets. A user's property, which may hold anything, is the
/// last one.
pub const COLUMNS: &str =
    "name,type,guid,createtxg,origin,receive_resume_token,encryption,syncoid:sync";
const COLUMN_COUNT: usize = 8;

/// In the place of `encryption`, where ZFS is older than that.
pub const WITHOUT_ENCRYPTION: &str =
    "name,type,guid,createtxg,origin,receive_resume_token,type,syncoid:sync";

/// What is asked of snapshots and bookmarks, after all datasets: for more than
/// this zfs(8) has to ask the kernel for each snapshot.
pub const POINTS: &str = "name,guid,createtxg";

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
    /// Whether it is encrypted.
    pub is_encrypted: bool,
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

/// What is wrong with a listing.
#[derive(Debug)]
pub struct Malformed {
    /// In words.
    pub problem: String,
    /// It may be no more than that a dataset was made or renamed while it was
    /// listed.
    pub meanwhile: bool,
}

impl From<String> for Malformed {
    fn from(problem: String) -> Self {
        Self {
            problem,
            meanwhile: false,
        }
    }
}

/// Reads what zfs-list(8) says of a dataset and what is in it.
///
/// # Errors
///
/// ZFS would not have written that.
pub fn parse(output: &[u8], root: &str) -> Result<Vec<Listed>, Malformed> {
    let text = std::str::from_utf8(output).map_err(|_| "it is no text".to_owned())?;
    // The dataset itself is always there.
    let Some(lines) = text.strip_suffix('\n') else {
        let problem = match text.len() {
            0 => "it is empty",
            _ => "it ends within a line",
        };
        return Err(problem.to_owned().into());
    };
    let mut datasets: Vec<Listed> = Vec::new();
    let mut index: HashMap<&str, usize> = HashMap::new();
    let mut points: HashSet<&str> = HashSet::new();
    for line in lines.split('\n') {
        let row =
            Row::read(line, root).ok_or_else(|| format!("{line:?} is not one of its lines"))?;
        let owner = index.get(row.dataset).copied();
        match (row.point, owner) {
            (None, None) => {
                index.insert(row.dataset, datasets.len());
                datasets.push(row.listed);
            }
            (Some(point), Some(owner)) if points.insert(row.name) => {
                let Some(owner) = datasets.get_mut(owner) else {
                    continue;
                };
                let points = if row.is_bookmark {
                    &mut owner.bookmarks
                } else {
                    &mut owner.snapshots
                };
                points.push(point);
            }
            (Some(_), None) => {
                return Err(Malformed {
                    problem: format!("{line:?} belongs to no dataset before it"),
                    meanwhile: true,
                });
            }
            _ => return Err(format!("{line:?} comes twice").into()),
        }
    }
    if index.contains_key(root) {
        Ok(datasets)
    } else {
        Err(format!("{root} itself is not in it").into())
    }
}

/// A line of a listing.
struct Row<'a> {
    name: &'a str,
    dataset: &'a str,
    listed: Listed,
    point: Option<Point>,
    is_bookmark: bool,
}

impl<'a> Row<'a> {
    fn read(line: &'a str, root: &str) -> Option<Row<'a>> {
        let columns: Vec<&str> = line.splitn(COLUMN_COUNT, '\t').collect();
        let row = match columns[..] {
            [name, guid, createtxg] => Row::point(name, guid, createtxg)?,
            [name, kind, guid, createtxg, origin, token, encryption, sync] => {
                let rest = [origin, token, encryption, sync];
                Row::dataset(name, kind, [guid, createtxg], rest)?
            }
            _ => return None,
        };
        is_within(row.dataset, root).then_some(row)
    }

    fn point(name: &'a str, guid: &str, createtxg: &str) -> Option<Row<'a>> {
        let parsed: SnapshotOrBookmark = name.parse().ok()?;
        let (dataset, own) = name.split_once(['@', '#'])?;
        Some(Row {
            name,
            dataset,
            listed: Listed::default(),
            point: Some(Point {
                name: own.to_owned(),
                guid: guid.parse().ok()?,
                createtxg: createtxg.parse().ok()?,
            }),
            is_bookmark: matches!(parsed, SnapshotOrBookmark::Bookmark(_)),
        })
    }

    fn dataset(
        name: &'a str,
        kind: &str,
        numbers: [&str; 2],
        [origin, token, encryption, sync]: [&str; 4],
    ) -> Option<Row<'a>> {
        name.parse::<DatasetName>().ok()?;
        let is_filesystem = match kind {
            "filesystem" => true,
            "volume" => false,
            _ => return None,
        };
        for number in numbers {
            number.parse::<u64>().ok()?;
        }
        let given =
            |text: &str| Some(text.to_owned()).filter(|text| text != "-" && !text.is_empty());
        Some(Row {
            name,
            dataset: name,
            listed: Listed {
                name: name.to_owned(),
                is_filesystem,
                origin: given(origin),
                token: given(token),
                // Not where the type stands there instead.
                is_encrypted: !["-", "off", kind].contains(&encryption),
                sync: given(sync),
                ..Listed::default()
            },
            point: None,
            is_bookmark: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_zfs_list_says_becomes_datasets() {
        let text = "tank/a\tfilesystem\t1\t2\t-\t1-x\taes-256-gcm\tfalse\n\
                    tank/a/v\tvolume\t5\t6\ttank/a@x y\t-\toff\tone\ttab\n\
                    tank/a/w\tvolume\t7\t8\t-\t-\tvolume\t-\n\
                    tank/a@x y\t3\t4\n\
                    tank/a#m\t3\t4\n";
        let listed = parse(text.as_bytes(), "tank/a").unwrap();
        assert_eq!(listed[0].snapshots[0].name, "x y");
        assert_eq!(listed[0].bookmarks[0].guid, 3);
        assert_eq!(listed[0].sync.as_deref(), Some("false"));
        assert_eq!(listed[0].token.as_deref(), Some("1-x"));
        assert_eq!(listed[1].origin.as_deref(), Some("tank/a@x y"));
        assert_eq!(listed[1].sync.as_deref(), Some("one\ttab"));
        assert!(!listed[1].is_filesystem);
        let encrypted: Vec<bool> = listed.iter().map(|listed| listed.is_encrypted).collect();
        assert_eq!(encrypted, [true, false, false]);
    }

    #[test]
    fn what_zfs_would_not_say_is_refused() {
        const ROOT: &str = "tank/a\tfilesystem\t1\t2\t-\t-\toff\t-\n";
        const SNAPSHOT: &str = "tank/a@x\t3\t4\n";
        for text in [
            String::new(),
            "hello\n".to_owned(),
            "\n".to_owned(),
            // Cut off, twice, without the dataset, before the dataset.
            ROOT.trim_end().to_owned(),
            format!("{ROOT}{ROOT}"),
            format!("{ROOT}{SNAPSHOT}{SNAPSHOT}"),
            ROOT.replace("tank/a", "tank/a/b"),
            format!("{SNAPSHOT}{ROOT}"),
            // Elsewhere, with too few columns, with no numbers, of no kind.
            format!("{ROOT}{}", ROOT.replace("tank/a", "tank/b")),
            ROOT.replace("\t-\n", "\n"),
            format!("{ROOT}{}", SNAPSHOT.replace('3', "x")),
            format!("{ROOT}{}", SNAPSHOT.replace('4', "-4")),
            ROOT.replace('1', ""),
            ROOT.replace("filesystem", "floppy"),
            // Names that are none, or those of something else.
            format!("{ROOT}tank/a@x\tsnapshot\t3\t4\t-\t-\toff\t-\n"),
            format!("{ROOT}tank/a/b\t3\t4\n"),
            format!("{ROOT}{}", SNAPSHOT.replace("@x", "@")),
            format!("{ROOT}{}", SNAPSHOT.replace("@x", "@x@y")),
            format!("{ROOT}{}", SNAPSHOT.replace("@x", "")),
        ] {
            assert!(parse(text.as_bytes(), "tank/a").is_err(), "{text:?}");
        }
        assert!(parse(&[ROOT.as_bytes(), &[0xff, b'\n']].concat(), "tank/a").is_err());
        assert!(parse(format!("{ROOT}{SNAPSHOT}").as_bytes(), "tank/a").is_ok());
        let new = format!("{ROOT}tank/a/new@x\t3\t4\n");
        assert!(parse(new.as_bytes(), "tank/a").unwrap_err().meanwhile);
    }
}
