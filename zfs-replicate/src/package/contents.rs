//! What a package says about what is in it.

use std::collections::{BTreeMap, HashMap};

use zfs_core::{DatasetName, Guid, PropertyValue, SnapshotName};
use zfs_stream::nvlist::{NvList, Value};
use zfs_stream::record::Begin;

use crate::error::Error;

/// A package's list of contents.
#[derive(Debug)]
pub(super) struct Contents {
    /// The name that the topmost dataset has where it was sent.
    top: String,
    is_package: bool,
    is_incremental: bool,
    /// Whether encrypted data is as it lay on disk.
    pub is_raw: bool,
    pub filesystems: Vec<Filesystem>,
    by_guid: HashMap<Guid, usize>,
    /// How names there become names here.
    naming: Naming,
}

/// Which part of a dataset's name in a stream goes below the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Naming {
    /// What is below the topmost dataset that was sent: that one becomes the
    /// target.
    #[default]
    Below,
    /// All but the pool (`zfs receive -d`). What is missing above is made.
    WithoutPool,
    /// The last part of the topmost one, and what is below it
    /// (`zfs receive -e`).
    Last,
}

/// A dataset of the source.
#[derive(Debug, Default)]
pub(super) struct Filesystem {
    /// Its name there.
    pub name: String,
    /// Its snapshots, without the dataset's name.
    pub snapshots: HashMap<Guid, String>,
    pub properties: BTreeMap<String, PropertyValue>,
    /// What it is a clone of.
    pub origin: Option<Guid>,
    /// Whether it has a key of its own, and where that is.
    pub is_key_root: bool,
    pub key_location: Option<String>,
    of_snapshots: BTreeMap<String, BTreeMap<String, PropertyValue>>,
    holds: BTreeMap<String, Vec<String>>,
}

impl Filesystem {
    pub fn of_snapshot(&self, name: &str) -> impl Iterator<Item = (&String, &PropertyValue)> {
        self.of_snapshots.get(name).into_iter().flatten()
    }

    pub fn holds(&self, snapshot: &str) -> &[String] {
        self.holds.get(snapshot).map_or(&[], Vec::as_slice)
    }

    fn read(list: &NvList) -> Result<Filesystem, Error> {
        let mut filesystem = Filesystem {
            name: text(list.get_str("name"), "a dataset without a name")?.to_owned(),
            origin: list.get_u64("origin").filter(|guid| *guid != 0).map(Guid),
            is_key_root: list.contains("is_encroot"),
            ..Filesystem::default()
        };
        for (name, value) in list.get_nvlist("snaps").into_iter().flatten() {
            if let (Some(name), Value::Uint64(guid)) = (name.to_str(), value) {
                filesystem.snapshots.insert(Guid(*guid), name.to_owned());
            }
        }
        if let Some(properties) = list.get_nvlist("props") {
            filesystem.properties = read_properties(properties);
            filesystem.key_location = properties.get_str("keylocation").map(str::to_owned);
        }
        for (name, value) in list.get_nvlist("snapprops").into_iter().flatten() {
            if let (Some(name), Value::NvList(properties)) = (name.to_str(), value) {
                let properties = read_properties(properties);
                filesystem.of_snapshots.insert(name.to_owned(), properties);
            }
        }
        for (name, value) in list.get_nvlist("snapholds").into_iter().flatten() {
            if let (Some(name), Value::NvList(holds)) = (name.to_str(), value) {
                let tags = holds.iter().filter_map(|(tag, _)| tag.to_str());
                let tags = tags.map(str::to_owned).collect();
                filesystem.holds.insert(name.to_owned(), tags);
            }
        }
        Ok(filesystem)
    }
}

fn read_properties(list: &NvList) -> BTreeMap<String, PropertyValue> {
    let mut properties = BTreeMap::new();
    for (name, value) in list {
        let value = match value {
            Value::Uint64(number) => PropertyValue::Number(*number),
            Value::String(text) => match text.to_str() {
                Some(text) => PropertyValue::Text(text.to_owned()),
                None => continue,
            },
            _ => continue,
        };
        if let Some(name) = name.to_str() {
            properties.insert(name.to_owned(), value);
        }
    }
    properties
}

fn text<'t>(found: Option<&'t str>, problem: &str) -> Result<&'t str, Error> {
    found.ok_or_else(|| Error::package(format!("it has {problem}")))
}

impl Contents {
    /// Of a stream that is no package.
    pub fn single(begin: &Begin) -> Result<Contents, Error> {
        Ok(Contents {
            top: top(begin)?,
            is_package: false,
            is_incremental: false,
            is_raw: false,
            filesystems: Vec::new(),
            by_guid: HashMap::new(),
            naming: Naming::default(),
        })
    }

    pub fn package(begin: &Begin, list: &NvList) -> Result<Contents, Error> {
        let is_recursive = !list.contains("not_recursive");
        let mut contents = Contents {
            top: top(begin)?,
            is_package: true,
            is_incremental: is_recursive && list.contains("fromsnap"),
            is_raw: list.contains("raw"),
            filesystems: Vec::new(),
            by_guid: HashMap::new(),
            naming: Naming::default(),
        };
        for (_, value) in list.get_nvlist("fss").into_iter().flatten() {
            let Value::NvList(list) = value else { continue };
            let filesystem = Filesystem::read(list)?;
            let index = contents.filesystems.len();
            for guid in filesystem.snapshots.keys() {
                contents.by_guid.insert(*guid, index);
            }
            contents.filesystems.push(filesystem);
        }
        Ok(contents)
    }

    /// Names what arrives in this manner.
    pub fn named(self, naming: Naming) -> Contents {
        Contents { naming, ..self }
    }

    /// Where the topmost dataset goes.
    pub fn top(&self, target: &DatasetName) -> Result<DatasetName, Error> {
        self.dataset(&self.top, target)
    }

    pub fn is_package(&self) -> bool {
        self.is_package
    }

    /// Whether it is a tree's increment, which tells what was renamed and what
    /// is gone.
    pub fn is_incremental(&self) -> bool {
        self.is_incremental
    }

    /// The dataset that has a snapshot.
    pub fn filesystem(&self, guid: Guid) -> Option<&Filesystem> {
        self.filesystems.get(*self.by_guid.get(&guid)?)
    }

    /// Where a dataset of the source goes.
    pub fn dataset(&self, name: &str, target: &DatasetName) -> Result<DatasetName, Error> {
        let path = name.strip_prefix(&self.top);
        let path = path.filter(|path| path.is_empty() || path.starts_with('/'));
        let path = text(path, &format!("{name:?}, which is not in {:?}", self.top))?;
        let above = match self.naming {
            Naming::Below => "",
            Naming::WithoutPool => self.top.find('/').map_or("", |at| self.top.split_at(at).1),
            Naming::Last => {
                let last = self.top.rsplit('/').next().unwrap_or(&self.top);
                return Ok(format!("{target}/{last}{path}").parse()?);
            }
        };
        Ok(format!("{target}{above}{path}").parse()?)
    }

    /// Where a snapshot of the source goes.
    pub fn place(&self, name: &str, target: &DatasetName) -> Result<SnapshotName, Error> {
        let (dataset, snapshot) = text_pair(name)?;
        Ok(self.dataset(dataset, target)?.with_snapshot(snapshot)?)
    }
}

fn text_pair(name: &str) -> Result<(&str, &str), Error> {
    name.split_once('@')
        .ok_or_else(|| Error::package(format!("{name:?} is no snapshot's name")))
}

/// The topmost dataset.
fn top(begin: &Begin) -> Result<String, Error> {
    let name = std::str::from_utf8(&begin.to_name)
        .map_err(|_| Error::package("its name is no text".to_owned()))?;
    Ok(text_pair(name)?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents() -> Contents {
        let mut snaps = NvList::new();
        snaps.insert("one", 11_u64).unwrap();
        let mut properties = NvList::new();
        properties.insert("recordsize", 4096_u64).unwrap();
        properties.insert_str("org.example:a", "b").unwrap();
        let mut filesystem = NvList::new();
        filesystem.insert_str("name", "tank/a/b").unwrap();
        filesystem.insert("snaps", snaps).unwrap();
        filesystem.insert("props", properties).unwrap();
        let mut all = NvList::new();
        all.insert("0xb", filesystem).unwrap();
        let mut list = NvList::new();
        list.insert("fss", all).unwrap();
        let begin = Begin {
            to_name: b"tank/a@one".to_vec(),
            ..Begin::default()
        };
        Contents::package(&begin, &list).unwrap()
    }

    #[test]
    fn datasets_are_found_by_their_snapshots_and_go_below_the_target() {
        let contents = contents();
        let filesystem = contents.filesystem(Guid(11)).unwrap();
        assert_eq!(filesystem.properties.len(), 2);
        let target = "vault/x".parse().unwrap();
        let place = contents.place("tank/a/b@one", &target).unwrap();
        assert_eq!(place.as_str(), "vault/x/b@one");
        assert!(contents.filesystem(Guid(12)).is_none());
    }

    #[test]
    fn names_go_below_the_target_as_asked() {
        for (naming, place) in [
            (Naming::Below, "vault/b@one"),
            (Naming::WithoutPool, "vault/a/b@one"),
            (Naming::Last, "vault/a/b@one"),
        ] {
            let contents = contents().named(naming);
            let target = "vault".parse().unwrap();
            let placed = contents.place("tank/a/b@one", &target).unwrap();
            assert_eq!(placed.as_str(), place, "{naming:?}");
        }
        let deep = Contents {
            top: "tank/x/y".to_owned(),
            ..contents()
        };
        let place = |contents: &Contents| {
            let target = "vault".parse().unwrap();
            contents
                .place("tank/x/y/z@one", &target)
                .unwrap()
                .to_string()
        };
        let deep = deep.named(Naming::WithoutPool);
        assert_eq!(place(&deep), "vault/x/y/z@one");
        assert_eq!(place(&deep.named(Naming::Last)), "vault/y/z@one");
    }

    #[test]
    fn what_lies_elsewhere_is_refused() {
        let target = "vault/x".parse().unwrap();
        for name in [
            "tank/ab@one",
            "tank@one",
            "tank/a/../b@x",
            "tank/a",
            "tank/a@",
        ] {
            assert!(contents().place(name, &target).is_err(), "{name}");
        }
    }
}
