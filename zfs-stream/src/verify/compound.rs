//! What a compound stream's list says will come, and what came.
//!
//! `zfs receive` does not compare them: where a substream is missing it takes the
//! others, as far as they do not build on it. Sources: `send_iterate_fs`,
//! `dump_filesystem` and `dump_snapshot` in `lib/libzfs/libzfs_sendrecv.c`.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::Kind;
use crate::nvlist::{NvList, Value};
use crate::record::Begin;

/// A snapshot of the list.
#[derive(Clone, Debug)]
struct Snapshot {
    dataset: usize,
    name: Box<[u8]>,
    came: bool,
}

/// What a compound stream's list tells of its substreams.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    /// Those of a full stream all come, those of an incremental one from its
    /// source on.
    full: bool,
    /// Without it, the list may lack the source (`not_recursive`).
    recursive: bool,
    from: Vec<u8>,
    to: Vec<u8>,
    /// The name of the dataset that all others are below.
    root: Vec<u8>,
    datasets: Vec<Box<[u8]>>,
    /// By their GUIDs.
    snapshots: BTreeMap<u64, Snapshot>,
    /// The GUIDs of the snapshots that clones come from.
    origins: BTreeSet<u64>,
}

impl Listed {
    pub(super) fn new(begin: &Begin, list: &NvList) -> Self {
        let text = |name| list.get_string(name).map(|text| text.as_bytes().to_vec());
        let root = begin.to_name.split(|&byte| byte == b'@').next();
        let mut listed = Self {
            full: !list.contains("fromsnap"),
            recursive: !list.contains("not_recursive"),
            from: text("fromsnap").unwrap_or_default(),
            to: text("tosnap").unwrap_or_default(),
            root: root.unwrap_or_default().to_vec(),
            datasets: Vec::new(),
            snapshots: BTreeMap::new(),
            origins: BTreeSet::new(),
        };
        for (_, dataset) in list.get_nvlist("fss").into_iter().flatten() {
            if let Value::NvList(dataset) = dataset {
                listed.dataset(dataset);
            }
        }
        listed
    }

    fn dataset(&mut self, list: &NvList) {
        let name = list.get_string("name").map(|name| name.as_bytes().into());
        self.origins.extend(list.get_u64("origin"));
        for (name, guid) in list.get_nvlist("snaps").into_iter().flatten() {
            if let &Value::Uint64(guid) = guid {
                let snapshot = Snapshot {
                    dataset: self.datasets.len(),
                    name: name.as_bytes().into(),
                    came: false,
                };
                self.snapshots.insert(guid, snapshot);
            }
        }
        self.datasets.push(name.unwrap_or_default());
    }

    /// A substream begins: what is wrong with its coming now.
    pub(super) fn comes(&mut self, begin: &Begin) -> Option<Kind> {
        let source = match begin.from_guid {
            0 => None,
            guid => self.source(guid),
        };
        let twice = self.snapshots.get_mut(&begin.to_guid).is_some_and(|one| {
            let twice = one.came;
            one.came = true;
            twice
        });
        let doubled = twice.then_some(Kind::DoubledSubstream {
            full: begin.from_guid == 0,
        });
        doubled.or(source)
    }

    /// Whether a substream can start from there.
    fn source(&self, guid: u64) -> Option<Kind> {
        let there = match self.snapshots.get(&guid) {
            Some(snapshot) => {
                let before = *snapshot.name == *self.from || self.origins.contains(&guid);
                snapshot.came || !self.full && before
            }
            // Outside of what is sent.
            None => self.origins.contains(&guid) || !self.recursive,
        };
        // The origin of a clone may have been left out (-X).
        let certain = self.full && !self.origins.contains(&guid);
        (!there).then_some(Kind::MissingSource { guid, certain })
    }

    /// The stream ends: what did not come.
    pub(super) fn missing(&self) -> Vec<Kind> {
        let mut came = vec![false; self.datasets.len()];
        for snapshot in self.snapshots.values().filter(|snapshot| snapshot.came) {
            if let Some(came) = came.get_mut(snapshot.dataset) {
                *came = true;
            }
        }
        let all = self.full && self.recursive;
        let mut missing = Vec::new();
        for snapshot in self.snapshots.values() {
            if snapshot.came || !(all || *snapshot.name == *self.to) {
                continue;
            }
            let dataset = self.datasets.get(snapshot.dataset);
            let dataset = dataset.map(|name| &**name).unwrap_or_default();
            // Whole datasets can be left out (-X), but not the first.
            let any = came.get(snapshot.dataset).is_some_and(|&came| came);
            let certain = self.full && (any || dataset == self.root);
            let name = [dataset, b"@", &snapshot.name].concat();
            let snapshot = String::from_utf8_lossy(&name).into_owned();
            missing.push(Kind::MissingSubstream { snapshot, certain });
        }
        missing
    }
}
