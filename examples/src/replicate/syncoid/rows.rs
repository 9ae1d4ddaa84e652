//! What zfs-list(8) says, read with distrust.
//!
//! The other end may be broken or hostile. Every line has to be one that ZFS
//! could have written about what was asked for, and nothing may come twice.

use zfs_core::{DatasetName, Guid, SnapshotOrBookmark};
use zfs_replicate::endpoint::stock::{Malformed, Twice};

/// What is asked of datasets. A user's property, which may hold anything, is the
/// last one.
pub const COLUMNS: &str =
    "name,type,guid,createtxg,origin,receive_resume_token,encryption,syncoid:sync";
const COLUMN_COUNT: usize = 8;

/// In the place of `encryption`, where ZFS is older than that.
pub const WITHOUT_ENCRYPTION: &str =
    "name,type,guid,createtxg,origin,receive_resume_token,type,syncoid:sync";

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

/// Reads what zfs-list(8) says of a dataset and what is in it: all datasets, and
/// then all again with their snapshots and bookmarks. What is in one of the two
/// alone was made or destroyed between them, and is left out.
///
/// # Errors
///
/// ZFS would not have written that, or datasets were renamed between the two.
pub fn parse(output: &[u8], root: &str) -> Result<Vec<Listed>, Malformed> {
    let text = std::str::from_utf8(output).map_err(|_| Malformed::new(1, "it is no text"))?;
    // The dataset itself is always there.
    let Some(lines) = text.strip_suffix('\n') else {
        let problem = match text.len() {
            0 => "it is empty",
            _ => "it ends within a line",
        };
        return Err(Malformed::new(text.lines().count().max(1), problem));
    };
    let mut found = Twice::default();
    let (mut last, mut is_twice) = (0, false);
    for (line, number) in lines.split('\n').zip(1..) {
        let wrong = |problem| Malformed::new(number, problem);
        let row = Row::read(line, root)
            .ok_or_else(|| wrong(format!("{line:?} is not one of its lines")))?;
        is_twice |= matches!(row.what, What::Again { .. });
        if !is_twice && matches!(row.what, What::Point { .. }) {
            return Err(wrong("it comes before the second list".to_owned()));
        }
        row.add(&mut found).map_err(wrong)?;
        last = number;
    }
    let stayed = found.stayed().map_err(|problem| Malformed {
        meanwhile: true,
        ..Malformed::new(last, problem)
    })?;
    if !is_twice || !stayed.iter().any(|listed| listed.name == root) {
        return Err(Malformed::new(last, format!("{root} itself is not in it")));
    }
    Ok(stayed)
}

/// A line of a listing.
struct Row<'a> {
    name: &'a str,
    what: What,
}

enum What {
    Dataset { guid: Guid, listed: Listed },
    Again { guid: Guid },
    Point { point: Point, is_bookmark: bool },
}

impl<'a> Row<'a> {
    fn read(line: &'a str, root: &str) -> Option<Row<'a>> {
        let columns: Vec<&str> = line.splitn(COLUMN_COUNT, '\t').collect();
        let row = match columns[..] {
            [name, guid, createtxg] => Row::point_or_again(name, guid, createtxg)?,
            [name, kind, guid, createtxg, origin, token, encryption, sync] => {
                let rest = [origin, token, encryption, sync];
                Row::dataset(name, kind, [guid, createtxg], rest)?
            }
            _ => return None,
        };
        is_within(row.name.split(['@', '#']).next()?, root).then_some(row)
    }

    fn add(self, found: &mut Twice<'a, Listed>) -> Result<(), String> {
        match self.what {
            What::Dataset { guid, listed } => found.dataset(self.name, guid, listed),
            What::Again { guid } => found.again(self.name, guid),
            What::Point { point, is_bookmark } => {
                if let Some(owner) = found.owner(self.name)? {
                    if is_bookmark {
                        owner.bookmarks.push(point);
                    } else {
                        owner.snapshots.push(point);
                    }
                }
                Ok(())
            }
        }
    }

    fn point_or_again(name: &'a str, guid: &str, createtxg: &str) -> Option<Row<'a>> {
        let (guid, createtxg) = (guid.parse().ok()?, createtxg.parse().ok()?);
        let what = match name.split_once(['@', '#']) {
            None => {
                name.parse::<DatasetName>().ok()?;
                What::Again { guid: Guid(guid) }
            }
            Some((_, own)) => What::Point {
                point: Point {
                    name: own.to_owned(),
                    guid,
                    createtxg,
                },
                is_bookmark: matches!(name.parse().ok()?, SnapshotOrBookmark::Bookmark(_)),
            },
        };
        Some(Row { name, what })
    }

    fn dataset(
        name: &'a str,
        kind: &str,
        [guid, createtxg]: [&str; 2],
        [origin, token, encryption, sync]: [&str; 4],
    ) -> Option<Row<'a>> {
        name.parse::<DatasetName>().ok()?;
        createtxg.parse::<u64>().ok()?;
        let is_filesystem = match kind {
            "filesystem" => true,
            "volume" => false,
            _ => return None,
        };
        let given =
            |text: &str| Some(text.to_owned()).filter(|text| text != "-" && !text.is_empty());
        let listed = Listed {
            name: name.to_owned(),
            is_filesystem,
            origin: given(origin),
            token: given(token),
            // Not where the type stands there instead.
            is_encrypted: !["-", "off", kind].contains(&encryption),
            sync: given(sync),
            ..Listed::default()
        };
        let guid = Guid(guid.parse().ok()?);
        Some(Row {
            name,
            what: What::Dataset { guid, listed },
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
                    tank/a\t1\t2\n\
                    tank/a@x y\t3\t4\n\
                    tank/a#m\t3\t4\n\
                    tank/a/v\t5\t6\n\
                    tank/a/w\t7\t8\n";
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
        const AGAIN: &str = "tank/a\t1\t2\n";
        const SNAPSHOT: &str = "tank/a@x\t3\t4\n";
        for text in [
            String::new(),
            "hello\n".to_owned(),
            "\n".to_owned(),
            // Cut off, twice, without the dataset, before the dataset.
            ROOT.trim_end().to_owned(),
            format!("{ROOT}{ROOT}{AGAIN}"),
            format!("{ROOT}{AGAIN}{AGAIN}"),
            format!("{ROOT}{AGAIN}{SNAPSHOT}{SNAPSHOT}"),
            format!("{ROOT}{SNAPSHOT}"),
            format!("{ROOT}{SNAPSHOT}{AGAIN}"),
            ROOT.replace("tank/a", "tank/a/b"),
            format!("{SNAPSHOT}{ROOT}"),
            // Elsewhere, with too few columns, with no numbers, of no kind.
            format!("{ROOT}{}{AGAIN}", ROOT.replace("tank/a", "tank/b")),
            ROOT.replace("\t-\n", "\n"),
            format!("{ROOT}{AGAIN}{}", SNAPSHOT.replace('3', "x")),
            format!("{ROOT}{AGAIN}{}", SNAPSHOT.replace('4', "-4")),
            ROOT.replace('1', ""),
            ROOT.replace("filesystem", "floppy"),
            // Names that are none, or those of something else.
            format!("{ROOT}{AGAIN}tank/a@x\tsnapshot\t3\t4\t-\t-\toff\t-\n"),
            format!("{ROOT}{AGAIN}tank/b\t3\t4\n"),
            format!("{ROOT}{AGAIN}{}", SNAPSHOT.replace("@x", "@")),
            format!("{ROOT}{AGAIN}{}", SNAPSHOT.replace("@x", "@x@y")),
            format!("{ROOT}{AGAIN}{}", SNAPSHOT.replace("@x", "")),
        ] {
            assert!(parse(text.as_bytes(), "tank/a").is_err(), "{text:?}");
        }
        assert!(parse(&[ROOT.as_bytes(), &[0xff, b'\n']].concat(), "tank/a").is_err());
        assert!(parse(format!("{ROOT}{AGAIN}{SNAPSHOT}").as_bytes(), "tank/a").is_ok());
    }

    #[test]
    fn what_was_made_or_destroyed_between_the_two_listings_is_left_out() {
        const FIRST: &str = "tank\tfilesystem\t1\t2\t-\t-\toff\t-\n\
                             tank/a\tvolume\t3\t4\t-\t-\toff\t-\n";
        let names = |second: &str| {
            let listed = parse(format!("{FIRST}{second}").as_bytes(), "tank")?;
            let names = listed.iter().map(|own| {
                let snapshots = own.snapshots.len();
                format!("{} {snapshots}", own.name)
            });
            Ok::<_, Malformed>(names.collect::<Vec<_>>())
        };
        let whole = "tank\t1\t2\ntank/a\t3\t4\ntank/a@x\t5\t6\n";
        assert_eq!(names(whole).unwrap(), ["tank 0", "tank/a 1"]);
        let made = format!("{whole}tank/new\t7\t8\ntank/new@x\t9\t8\n");
        assert_eq!(names(&made).unwrap(), ["tank 0", "tank/a 1"]);
        // Never as one that has lost its snapshots.
        assert_eq!(names("tank\t1\t2\n").unwrap(), ["tank 0"]);
        for renamed in [
            "tank\t1\t2\ntank/b\t3\t4\ntank/b@x\t5\t6\n",
            "tank\t1\t2\ntank/a\t9\t9\ntank/a@x\t10\t9\n",
        ] {
            assert!(names(renamed).unwrap_err().meanwhile, "{renamed}");
        }
    }
}
