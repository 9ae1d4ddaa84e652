//! Two trees side by side: what differs, by name and in words.

use std::fmt;
use std::path::{Path, PathBuf};

use super::scan::{Entry, Kind, Tree};

/// The names of the two sides, as the differences say them.
#[derive(Debug, Clone, Copy)]
pub struct Sides<'a> {
    pub left: &'a str,
    pub right: &'a str,
}

/// One thing that is not the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub path: PathBuf,
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", quoted(&self.path), self.what)
    }
}

/// A path in quotes and escaped: a name may hold a line break.
#[expect(
    clippy::unnecessary_debug_formatting,
    reason = "display would show the line break as it is"
)]
pub fn quoted(path: &Path) -> String {
    format!("{path:?}")
}

/// Everything that differs, in the order of the paths.
pub fn differences(left: &Tree, right: &Tree, sides: Sides<'_>) -> Vec<Difference> {
    let mut found = Vec::new();
    for (path, ours) in &left.entries {
        match right.entries.get(path) {
            Some(theirs) => {
                found.extend(
                    entry_differences(ours, theirs, sides)
                        .into_iter()
                        .map(|what| difference(path, what)),
                );
            }
            None => found.push(difference(path, format!("missing on {}", sides.right))),
        }
    }
    for path in right.entries.keys() {
        if !left.entries.contains_key(path) {
            found.push(difference(path, format!("only on {}", sides.right)));
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn difference(path: &Path, what: String) -> Difference {
    Difference {
        path: path.to_path_buf(),
        what,
    }
}

fn entry_differences(ours: &Entry, theirs: &Entry, sides: Sides<'_>) -> Vec<String> {
    let mut found = Found {
        sides,
        texts: Vec::new(),
    };
    kind_differences(&ours.kind, &theirs.kind, &mut found);
    found.check("mode", &ours.mode, &theirs.mode, |mode| {
        format!("{mode:04o}")
    });
    found.check("owner", &ours.uid, &theirs.uid, u32::to_string);
    found.check("group", &ours.gid, &theirs.gid, u32::to_string);
    found.check("mtime", &ours.mtime, &theirs.mtime, |time| {
        format!("{}.{:09}", time.0, time.1)
    });
    found.check(
        "first hard link",
        &ours.same_file_as,
        &theirs.same_file_as,
        |path| quoted(path),
    );
    let mut names: Vec<_> = ours.xattrs.keys().chain(theirs.xattrs.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        found.check(
            &format!("attribute {name:?}"),
            &ours.xattrs.get(name),
            &theirs.xattrs.get(name),
            |value| match value {
                None => "absent".to_owned(),
                Some(bytes) => {
                    format!("{} bytes ({})", bytes.len(), short(&blake3::hash(bytes)))
                }
            },
        );
    }
    found.texts
}

fn kind_differences(ours: &Kind, theirs: &Kind, found: &mut Found<'_>) {
    match (ours, theirs) {
        (
            Kind::File { size, hash },
            Kind::File {
                size: their_size,
                hash: their_hash,
            },
        ) => {
            if size == their_size {
                found.check("content (BLAKE3)", hash, their_hash, short);
            } else {
                found.check("size", size, their_size, |size| format!("{size} bytes"));
            }
        }
        (
            Kind::Symlink { target },
            Kind::Symlink {
                target: their_target,
            },
        ) => found.check("target", target, their_target, |target| quoted(target)),
        (
            Kind::CharDevice { number },
            Kind::CharDevice {
                number: their_number,
            },
        )
        | (
            Kind::BlockDevice { number },
            Kind::BlockDevice {
                number: their_number,
            },
        ) => found.check("device number", number, their_number, u64::to_string),
        _ => found.check("type", &ours.name(), &theirs.name(), |name| {
            (*name).to_owned()
        }),
    }
}

/// The differences of one entry as they are found.
struct Found<'a> {
    sides: Sides<'a>,
    texts: Vec<String>,
}

impl Found<'_> {
    fn check<T: PartialEq>(
        &mut self,
        what: &str,
        ours: &T,
        theirs: &T,
        show: impl Fn(&T) -> String,
    ) {
        if ours != theirs {
            let Sides { left, right } = self.sides;
            self.texts.push(format!(
                "its {what} is {} on {left}, {} on {right}",
                show(ours),
                show(theirs)
            ));
        }
    }
}

/// Sixteen hex digits: enough for a reader to see two hashes apart. What is
/// compared is the whole hash.
fn short(hash: &blake3::Hash) -> String {
    hash.to_hex().chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    const SIDES: Sides<'_> = Sides {
        left: "site-a",
        right: "site-b",
    };

    fn file(content: &[u8]) -> Entry {
        Entry {
            kind: Kind::File {
                size: content.len() as u64,
                hash: blake3::hash(content),
            },
            mode: 0o644,
            uid: 1000,
            gid: 100,
            mtime: (1_700_000_000, 5),
            xattrs: [(OsString::from("user.a"), b"b".to_vec())].into(),
            same_file_as: PathBuf::from("f"),
        }
    }

    fn tree(entry: Entry) -> Tree {
        Tree {
            entries: [(PathBuf::from("f"), entry)].into(),
            files: 1,
            bytes: 1,
        }
    }

    /// The texts found between the usual file and the same one changed.
    fn found_after(change: impl Fn(&mut Entry)) -> Vec<String> {
        let mut changed = file(b"x");
        change(&mut changed);
        differences(&tree(file(b"x")), &tree(changed), SIDES)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn equal_trees_have_no_difference() {
        assert!(found_after(|_| {}).is_empty());
    }

    #[test]
    fn each_kind_of_difference_is_one_line_that_says_both_sides() {
        type Change = fn(&mut Entry);
        let cases: [(&str, Change); 10] = [
            ("content (BLAKE3)", |e| e.kind = file(b"y").kind),
            ("size is 1 bytes on site-a, 2 bytes on site-b", |e| {
                e.kind = file(b"xx").kind;
            }),
            ("type is file on site-a, directory on site-b", |e| {
                e.kind = Kind::Directory;
            }),
            ("mode is 0644 on site-a, 0600 on site-b", |e| e.mode = 0o600),
            ("owner is 1000 on site-a, 0 on site-b", |e| e.uid = 0),
            ("group is 100 on site-a, 0 on site-b", |e| e.gid = 0),
            (
                "1700000000.000000005 on site-a, 1700000000.000000006",
                |e| {
                    e.mtime.1 = 6;
                },
            ),
            ("attribute \"user.a\" is 1 bytes (", |e| {
                e.xattrs.insert("user.a".into(), b"c".to_vec());
            }),
            ("attribute \"user.z\" is absent on site-a", |e| {
                e.xattrs.insert("user.z".into(), b"c".to_vec());
            }),
            ("hard link is \"f\" on site-a, \"e\" on site-b", |e| {
                e.same_file_as = "e".into();
            }),
        ];
        for (words, change) in cases {
            let found = found_after(change);
            assert_eq!(found.len(), 1, "{words}: {found:?}");
            assert!(found[0].starts_with("\"f\": "), "{found:?}");
            assert!(found[0].contains(words), "{words}: {found:?}");
        }
    }

    #[test]
    fn targets_and_device_numbers_are_compared() {
        let pairs = [
            (
                Kind::Symlink { target: "a".into() },
                Kind::Symlink { target: "b".into() },
                "target is \"a\"",
            ),
            (
                Kind::CharDevice { number: 1 },
                Kind::CharDevice { number: 2 },
                "device number is 1",
            ),
            (
                Kind::BlockDevice { number: 1 },
                Kind::CharDevice { number: 1 },
                "type is block device",
            ),
        ];
        for (left, right, words) in pairs {
            let entry = |kind| Entry { kind, ..file(b"") };
            let found = differences(&tree(entry(left)), &tree(entry(right)), SIDES);
            assert_eq!(found.len(), 1);
            assert!(found[0].what.contains(words), "{found:?}");
        }
    }

    #[test]
    fn missing_and_extra_files_are_named_even_with_a_line_break() {
        let mut left = tree(file(b"x"));
        let mut right = left.clone();
        left.entries.insert("line\nbreak".into(), file(b"1"));
        right.entries.insert("zzz".into(), file(b"1"));
        let found = differences(&left, &right, SIDES);
        let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "\"line\\nbreak\": missing on site-b",
                "\"zzz\": only on site-b"
            ]
        );
    }
}
