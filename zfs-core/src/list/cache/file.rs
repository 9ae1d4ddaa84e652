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

mod write;

use std::collections::HashMap;
use std::ops::Range;

pub(super) use self::write::{block, checksum};

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

#[cfg(test)]
mod tests;
