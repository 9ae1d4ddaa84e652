//! The bytes of a cache file.
//!
//! ```text
//! file:    magic, version u32, checksum u64 of the rest, state, count u32, tree*, dataset*
//! state:   pool's GUID u64, time of import 2 × u64, boot id [16], clock i64
//! tree:    event u64, levels u64, root u16 + bytes, count u32, member*
//! member:  GUID u64, createtxg u64, creation u64, flags u8, name u16 + bytes, origin u16 + bytes
//! dataset: GUID u64, snapshots_changed u64, marks u16 + bytes, count u32, length u32, snapshot*
//! snapshot: GUID u64, createtxg u64, creation u64, name u8 + bytes
//! ```
//!
//! All little-endian. The checksum finds what is torn, not what somebody made
//! on purpose: that is what the file's owner is looked at for. Still nothing
//! here believes a number further than the bytes that are there.

use std::collections::HashMap;
use std::ops::Range;

const MAGIC: &[u8; 8] = b"zfs-list";
const VERSION: u32 = 2;
/// Magic, version, checksum.
pub(super) const HEAD: usize = 20;
/// Where the time of creation was not asked for.
const UNKNOWN: u64 = u64::MAX;
/// `snapshots_changed` of a dataset whose snapshots are right for a tree alone.
const UNSETTLED: u64 = 0;
/// A tree of more datasets is not kept.
const MAX_MEMBERS: usize = 1 << 20;

/// What must be the same for anything in a file to be worth a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// The pool's GUID.
    pub(super) pool: u64,
    /// When the pool was imported, in seconds and nanoseconds: a pool that
    /// was away may have been changed under another clock, or wound back.
    pub(super) imported: [u64; 2],
    /// The machine's boot id: nobody knows how its clock was set since.
    pub(super) boot: [u8; 16],
}

impl State {
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        for number in [self.pool, self.imported[0], self.imported[1]] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.boot);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Option<State> {
        Some(State {
            pool: reader.u64()?,
            imported: [reader.u64()?, reader.u64()?],
            boot: reader.array()?,
        })
    }
}

/// What a dataset's snapshots are known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::list) struct Version {
    /// The dataset's GUID.
    pub(in crate::list) guid: u64,
    /// Its origin's name and its newest snapshot's own, as far as it has any.
    /// The second changes with most of what moves `snapshots_changed`, and
    /// stands by it where a clock was set back and forth.
    pub(in crate::list) marks: String,
    /// Its `snapshots_changed`, in seconds since 1970.
    pub(in crate::list) changed: u64,
}

/// A snapshot as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::list) struct Record {
    pub(in crate::list) name: String,
    pub(in crate::list) guid: u64,
    pub(in crate::list) createtxg: u64,
    pub(in crate::list) creation: Option<u64>,
}

/// The datasets of a tree as they were after an event, in the order in which
/// the kernel lists them. Of each the file has the snapshots of that time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tree {
    pub(super) event: u64,
    /// How many levels below the root are in it.
    pub(super) levels: u64,
    pub(super) root: String,
    pub(super) members: Vec<Member>,
}

/// A dataset of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::list) struct Member {
    pub(in crate::list) name: String,
    pub(in crate::list) guid: u64,
    pub(in crate::list) createtxg: u64,
    pub(in crate::list) creation: u64,
    pub(in crate::list) origin: Option<String>,
    pub(in crate::list) flags: MemberFlags,
}

bitflags::bitflags! {
    /// What else a listing says of a dataset.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(in crate::list) struct MemberFlags: u8 {
        const VOLUME = 1;
        const INCONSISTENT = 2;
        const REDACTED = 4;
        /// Its snapshots were listed, and are in the file.
        const LISTED = 8;
    }
}

/// Which state of a dataset's snapshots is asked for.
#[derive(Clone, Copy, Debug)]
pub(in crate::list) enum Known<'a> {
    /// The one that goes with this.
    By(&'a Version),
    /// That of the tree, of the dataset with this GUID.
    InTree(u64),
}

/// A file's content.
#[derive(Debug)]
pub(super) struct File {
    pub(super) state: State,
    /// How far the clock was ahead of the time since boot, in milliseconds,
    /// when the oldest entry was made.
    pub(super) clock: i64,
    pub(super) trees: Vec<Tree>,
    bytes: Vec<u8>,
    datasets: HashMap<u64, Block>,
}

/// Where a dataset lies in the bytes.
#[derive(Clone, Debug)]
struct Block {
    whole: Range<usize>,
    changed: u64,
    marks: Range<usize>,
    count: usize,
    snapshots: Range<usize>,
}

/// Reads from the front of what is left.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, at: 0 }
    }

    /// Everything that is left.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn u32(&mut self) -> Option<usize> {
        self.array()
            .map(u32::from_le_bytes)
            .and_then(|number| usize::try_from(number).ok())
    }

    fn range(&mut self, length: usize) -> Option<Range<usize>> {
        let start = self.at;
        self.take(length)?;
        Some(start..self.at)
    }
}

impl File {
    /// One without datasets.
    pub(super) fn new(state: State, clock: i64) -> File {
        File {
            state,
            clock,
            trees: Vec::new(),
            bytes: Vec::new(),
            datasets: HashMap::new(),
        }
    }

    /// None where the bytes are not, or not whole, what [`File::encode`]
    /// makes.
    pub(super) fn decode(bytes: Vec<u8>) -> Option<File> {
        let mut reader = Reader::new(&bytes);
        if reader.take(MAGIC.len())? != MAGIC || reader.array()? != VERSION.to_le_bytes() {
            return None;
        }
        let sum = reader.u64()?;
        if sum != checksum(bytes.get(HEAD..)?) {
            return None;
        }
        let state = State::decode(&mut reader)?;
        let clock = i64::from_le_bytes(reader.array()?);
        let mut trees = Vec::new();
        for _ in 0..reader.u32()? {
            trees.push(reader.tree()?);
        }
        let mut datasets = HashMap::new();
        while reader.at < bytes.len() {
            let start = reader.at;
            let guid = reader.u64()?;
            let changed = reader.u64()?;
            let marks = u16::from_le_bytes(reader.array()?);
            let marks = reader.range(usize::from(marks))?;
            let count = reader.u32()?;
            let length = reader.u32()?;
            let snapshots = reader.range(length)?;
            let block = Block {
                whole: start..reader.at,
                changed,
                marks,
                count,
                snapshots,
            };
            datasets.insert(guid, block);
        }
        Some(File {
            state,
            clock,
            trees,
            bytes,
            datasets,
        })
    }

    /// The snapshots of a dataset, where it is still the same.
    pub(super) fn get(&self, known: Known<'_>, creation: bool) -> Option<Vec<Record>> {
        let block = match known {
            Known::InTree(guid) => self.datasets.get(&guid)?,
            Known::By(version) => {
                let block = self.datasets.get(&version.guid)?;
                let marks = self.bytes.get(block.marks.clone())?;
                let same = block.changed == version.changed && marks == version.marks.as_bytes();
                if !same || block.changed == UNSETTLED {
                    return None;
                }
                block
            }
        };
        let mut reader = Reader {
            bytes: self.bytes.get(..block.snapshots.end)?,
            at: block.snapshots.start,
        };
        // As many as there can be, whatever the file says.
        let mut records = Vec::with_capacity(block.count.min(block.snapshots.len() / 25));
        while reader.at < block.snapshots.end {
            let (guid, createtxg, created) = (reader.u64()?, reader.u64()?, reader.u64()?);
            if creation && created == UNKNOWN {
                return None;
            }
            let [length] = reader.array()?;
            let name = std::str::from_utf8(reader.take(usize::from(length))?).ok()?;
            records.push(Record {
                name: name.to_owned(),
                guid,
                createtxg,
                creation: (created != UNKNOWN).then_some(created),
            });
        }
        (records.len() == block.count).then_some(records)
    }

    /// The file with `new` in place of what was known of the same datasets,
    /// and of the others as many as fit.
    pub(super) fn encode(
        &self,
        trees: &[Tree],
        new: &HashMap<u64, Vec<u8>>,
        limit: usize,
    ) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 8]);
        self.state.encode(&mut bytes);
        bytes.extend_from_slice(&self.clock.to_le_bytes());
        bytes.extend_from_slice(&u32::try_from(trees.len()).ok()?.to_le_bytes());
        for tree in trees {
            tree.encode(&mut bytes)?;
        }
        let old = self
            .datasets
            .iter()
            .filter(|(guid, _)| !new.contains_key(guid))
            .filter_map(|(_, block)| self.bytes.get(block.whole.clone()));
        for block in new.values().map(Vec::as_slice).chain(old) {
            if bytes.len().saturating_add(block.len()) <= limit {
                bytes.extend_from_slice(block);
            }
        }
        let sum = checksum(bytes.get(HEAD..)?);
        bytes
            .get_mut(HEAD - 8..HEAD)?
            .copy_from_slice(&sum.to_le_bytes());
        Some(bytes)
    }
}

impl Reader<'_> {
    pub(super) fn text(&mut self) -> Option<String> {
        let length = u16::from_le_bytes(self.array()?);
        let bytes = self.take(usize::from(length))?;
        std::str::from_utf8(bytes).ok().map(str::to_owned)
    }

    fn tree(&mut self) -> Option<Tree> {
        let (event, levels) = (self.u64()?, self.u64()?);
        let root = self.text()?;
        let count = self.u32()?;
        let mut members = Vec::new();
        for _ in 0..count {
            let [guid, createtxg, creation] = [self.u64()?, self.u64()?, self.u64()?];
            let [flags] = self.array()?;
            let (name, origin) = (self.text()?, self.text()?);
            members.push(Member {
                name,
                guid,
                createtxg,
                creation,
                origin: (!origin.is_empty()).then_some(origin),
                flags: MemberFlags::from_bits(flags)?,
            });
        }
        Some(Tree {
            event,
            levels,
            root,
            members,
        })
    }
}

impl Tree {
    fn encode(&self, bytes: &mut Vec<u8>) -> Option<()> {
        fn text(bytes: &mut Vec<u8>, text: &str) -> Option<()> {
            bytes.extend_from_slice(&u16::try_from(text.len()).ok()?.to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
            Some(())
        }
        if self.members.len() > MAX_MEMBERS {
            return None;
        }
        bytes.extend_from_slice(&self.event.to_le_bytes());
        bytes.extend_from_slice(&self.levels.to_le_bytes());
        text(bytes, &self.root)?;
        bytes.extend_from_slice(&u32::try_from(self.members.len()).ok()?.to_le_bytes());
        for member in &self.members {
            for number in [member.guid, member.createtxg, member.creation] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            bytes.push(member.flags.bits());
            text(bytes, &member.name)?;
            text(bytes, member.origin.as_deref().unwrap_or_default())?;
        }
        Some(())
    }
}

/// A dataset as it stands in a file, right for a tree alone where no version
/// is given. None where that cannot be: a name too long, more snapshots than
/// 2^32.
pub(super) fn block(guid: u64, version: Option<&Version>, records: &[Record]) -> Option<Vec<u8>> {
    let (changed, marks) = version.map_or((UNSETTLED, ""), |version| {
        (version.changed, version.marks.as_str())
    });
    let mut snapshots = Vec::new();
    for record in records {
        let creation = record.creation.unwrap_or(UNKNOWN);
        for number in [record.guid, record.createtxg, creation] {
            snapshots.extend_from_slice(&number.to_le_bytes());
        }
        snapshots.push(u8::try_from(record.name.len()).ok()?);
        snapshots.extend_from_slice(record.name.as_bytes());
    }
    let mut block = Vec::with_capacity(snapshots.len() + 64);
    block.extend_from_slice(&guid.to_le_bytes());
    block.extend_from_slice(&changed.to_le_bytes());
    block.extend_from_slice(&u16::try_from(marks.len()).ok()?.to_le_bytes());
    block.extend_from_slice(marks.as_bytes());
    block.extend_from_slice(&u32::try_from(records.len()).ok()?.to_le_bytes());
    block.extend_from_slice(&u32::try_from(snapshots.len()).ok()?.to_le_bytes());
    block.extend_from_slice(&snapshots);
    Some(block)
}

/// Eight bytes at a time; every bit of the input reaches the end.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    let mut sum = 0xcbf2_9ce4_8422_2325_u64 ^ bytes.len() as u64;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        for (to, from) in word.iter_mut().zip(chunk) {
            *to = *from;
        }
        sum = (sum ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        sum ^= sum >> 32;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(super) fn state() -> State {
        State {
            pool: 7,
            imported: [1, 2],
            boot: [3; 16],
        }
    }

    fn records() -> impl Strategy<Value = Vec<Record>> {
        let record = (
            "[a-z0-9_:.-]{1,40}",
            any::<u64>(),
            any::<u64>(),
            0..u64::MAX,
        );
        prop::collection::vec(record, 0..12).prop_map(|records| {
            let mut records: Vec<Record> = records
                .into_iter()
                .map(|(name, guid, createtxg, creation)| Record {
                    name,
                    guid,
                    createtxg,
                    creation: (creation % 5 != 0).then_some(creation),
                })
                .collect();
            records.sort_by_key(|record| record.createtxg);
            records
        })
    }

    fn versions() -> impl Strategy<Value = Version> {
        (any::<u64>(), "([a-z]{1,9}@[a-z]{1,9})?", any::<u64>()).prop_map(
            |(guid, marks, changed)| Version {
                guid,
                marks,
                changed,
            },
        )
    }

    fn encoded(datasets: &[(Version, Vec<Record>)]) -> Vec<u8> {
        let new = datasets
            .iter()
            .map(|(version, records)| {
                (
                    version.guid,
                    block(version.guid, Some(version), records).expect("it fits"),
                )
            })
            .collect();
        File::new(state(), -5)
            .encode(&[], &new, usize::MAX)
            .expect("bytes")
    }

    fn trees() -> impl Strategy<Value = Vec<Tree>> {
        let member = (
            "[a-z/]{1,60}",
            any::<[u64; 3]>(),
            prop::option::of("[a-z]{1,9}@[a-z]{1,9}"),
            0..16_u8,
        );
        let member = member.prop_map(
            |(name, [guid, createtxg, creation], origin, flags)| Member {
                name,
                guid,
                createtxg,
                creation,
                origin,
                flags: MemberFlags::from_bits_truncate(flags),
            },
        );
        let members = prop::collection::vec(member, 0..5);
        let tree = (any::<u64>(), any::<u64>(), "[a-z/]{1,60}", members);
        let tree = tree.prop_map(|(event, levels, root, members)| Tree {
            event,
            levels,
            root,
            members,
        });
        prop::collection::vec(tree, 0..4)
    }

    proptest! {
        #[test]
        fn trees_are_read_as_they_were_written_and_datasets_behind_them(
            trees in trees(), version in versions(), records in records(),
        ) {
            let block = block(version.guid, None, &records).expect("it fits");
            let new = HashMap::from([(version.guid, block)]);
            let bytes = File::new(state(), 0).encode(&trees, &new, usize::MAX);
            let file = File::decode(bytes.expect("bytes")).expect("a file");
            prop_assert_eq!(&file.trees, &trees);
            prop_assert_eq!(file.get(Known::InTree(version.guid), false), Some(records));
            // What is right for a tree alone is no version's, not even the
            // one that it stands under.
            prop_assert_eq!(file.get(Known::By(&version), false), None);
            let zero = Version { changed: UNSETTLED, marks: String::new(), ..version };
            prop_assert_eq!(file.get(Known::By(&zero), false), None);
        }

        #[test]
        fn what_is_written_is_read(
            datasets in prop::collection::vec((versions(), records()), 0..6)
        ) {
            let file = File::decode(encoded(&datasets)).expect("a file");
            prop_assert_eq!(file.state, state());
            prop_assert_eq!(file.clock, -5);
            let mut last: HashMap<u64, &(Version, Vec<Record>)> = HashMap::new();
            for dataset in &datasets {
                last.insert(dataset.0.guid, dataset);
            }
            for (version, records) in last.into_values() {
                prop_assert_eq!(file.get(Known::By(version), false), Some(records.clone()));
                let whole = records.iter().all(|record| record.creation.is_some());
                prop_assert_eq!(file.get(Known::By(version), true).is_some(), whole);
                // Anything that is not the same is not the same.
                for other in [
                    Version { changed: version.changed ^ 1, ..version.clone() },
                    Version { marks: format!("{}x", version.marks), ..version.clone() },
                ] {
                    prop_assert_eq!(file.get(Known::By(&other), false), None);
                }
            }
        }

        #[test]
        fn a_file_that_is_torn_or_changed_anywhere_is_no_file(
            datasets in prop::collection::vec((versions(), records()), 1..4),
            at in any::<prop::sample::Index>(),
            bit in 0u8..8,
        ) {
            let bytes = encoded(&datasets);
            let cut = at.index(bytes.len());
            prop_assert!(File::decode(bytes[..cut].to_vec()).is_none());
            let mut flipped = bytes;
            flipped[cut] ^= 1 << bit;
            prop_assert!(File::decode(flipped).is_none());
        }

        #[test]
        fn bytes_with_a_right_checksum_do_not_make_it_panic(
            body in prop::collection::vec(any::<u8>(), 0..400), guid in any::<u64>()
        ) {
            let mut bytes = Vec::new();
            bytes.extend_from_slice(MAGIC);
            bytes.extend_from_slice(&VERSION.to_le_bytes());
            bytes.extend_from_slice(&checksum(&body).to_le_bytes());
            bytes.extend_from_slice(&body);
            if let Some(file) = File::decode(bytes) {
                for (guid, block) in file.datasets.clone() {
                    let marks = file.bytes[block.marks.clone()].to_vec();
                    let version = Version {
                        guid,
                        marks: String::from_utf8_lossy(&marks).into_owned(),
                        changed: block.changed,
                    };
                    let _ = file.get(Known::By(&version), true);
                }
                let version = Version { guid, marks: String::new(), changed: 0 };
                let _ = file.get(Known::By(&version), false);
            }
        }
    }

    #[test]
    fn a_count_that_is_not_true_allocates_nothing_and_gives_nothing() {
        let version = Version {
            guid: 1,
            marks: String::new(),
            changed: 9,
        };
        let mut lying = block(1, Some(&version), &[]).expect("it fits");
        // The count is four bytes before the length's four.
        let at = lying.len() - 8;
        lying[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        let new = HashMap::from([(1, lying)]);
        let bytes = File::new(state(), 0)
            .encode(&[], &new, usize::MAX)
            .expect("bytes");
        let file = File::decode(bytes).expect("a file");
        assert_eq!(file.get(Known::By(&version), false), None);
    }

    #[test]
    fn a_file_grows_no_further_than_its_limit_and_the_new_goes_first() {
        let version = |guid| Version {
            guid,
            marks: String::new(),
            changed: 9,
        };
        let record = Record {
            name: "x".repeat(200),
            guid: 1,
            createtxg: 2,
            creation: None,
        };
        let blocks = |guids: Range<u64>| -> HashMap<u64, Vec<u8>> {
            let block = |guid| {
                block(guid, Some(&version(guid)), std::slice::from_ref(&record)).expect("it fits")
            };
            guids.map(|guid| (guid, block(guid))).collect()
        };
        let old = File::new(state(), 0).encode(&[], &blocks(0..50), usize::MAX);
        let old = File::decode(old.expect("bytes")).expect("a file");
        let bytes = old.encode(&[], &blocks(50..60), 4000).expect("bytes");
        assert!(bytes.len() <= 4000);
        let file = File::decode(bytes).expect("a file");
        for guid in 50..60 {
            assert!(file.get(Known::By(&version(guid)), false).is_some());
        }
    }
}
