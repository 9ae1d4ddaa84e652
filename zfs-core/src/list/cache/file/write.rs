//! What is written to a cache file.
//!
//! ```text
//! trees -> head; blocks, where they lie -> checksum -> file
//! ```

use std::collections::HashMap;
use std::io::{self, Write};

use super::{File, HEAD, MAGIC, MAX_MEMBERS, Record, Tree, UNKNOWN, UNSETTLED, VERSION, Version};

/// A file's bytes, in the pieces in which they lie in memory.
pub(in crate::list::cache) struct Pieces<'a> {
    /// All that stands before the datasets.
    head: Vec<u8>,
    datasets: Vec<&'a [u8]>,
}

impl Pieces<'_> {
    pub(in crate::list::cache) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&self.head)?;
        self.datasets
            .iter()
            .try_for_each(|dataset| out.write_all(dataset))
    }
}

impl File {
    /// The file with `new` in place of what was known of the same datasets,
    /// and of the others as many as fit.
    pub(in crate::list::cache) fn encode<'a>(
        &'a self,
        trees: &[Tree],
        new: &'a HashMap<u64, Vec<u8>>,
        limit: usize,
    ) -> Option<Pieces<'a>> {
        let mut head = Vec::new();
        head.extend_from_slice(MAGIC);
        head.extend_from_slice(&VERSION.to_le_bytes());
        head.extend_from_slice(&[0; 8]);
        self.state.encode(&mut head);
        head.extend_from_slice(&self.clock.to_le_bytes());
        head.extend_from_slice(&u32::try_from(trees.len()).ok()?.to_le_bytes());
        for tree in trees {
            tree.encode(&mut head)?;
        }
        let old = self
            .datasets
            .iter()
            .filter(|(guid, _)| !new.contains_key(guid))
            .filter_map(|(_, block)| self.bytes.get(block.whole.clone()));
        let mut length = head.len();
        let mut datasets = Vec::new();
        for dataset in new.values().map(Vec::as_slice).chain(old) {
            if length.saturating_add(dataset.len()) <= limit {
                length += dataset.len();
                datasets.push(dataset);
            }
        }
        let mut sum = Checksum::new(length - HEAD);
        sum.update(head.get(HEAD..)?);
        for dataset in &datasets {
            sum.update(dataset);
        }
        head.get_mut(HEAD - 8..HEAD)?
            .copy_from_slice(&sum.finish().to_le_bytes());
        Some(Pieces { head, datasets })
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

/// What a snapshot takes besides its name: GUID, createtxg, creation, the name's
/// length.
const FIXED: usize = 25;

/// A dataset as it stands in a file, right for a tree alone where no version
/// is given. None where that cannot be: a name too long, more snapshots than
/// 2^32.
pub(in crate::list::cache) fn block(
    guid: u64,
    version: Option<&Version>,
    records: &[Record],
) -> Option<Vec<u8>> {
    let (changed, marks) = version.map_or((UNSETTLED, ""), |version| {
        (version.changed, version.marks.as_str())
    });
    let names: usize = records.iter().map(|record| record.name.len()).sum();
    let length = FIXED * records.len() + names;
    // Neither more than that nor a second copy: there may be millions.
    let mut block = Vec::with_capacity(26 + marks.len() + length);
    block.extend_from_slice(&guid.to_le_bytes());
    block.extend_from_slice(&changed.to_le_bytes());
    block.extend_from_slice(&u16::try_from(marks.len()).ok()?.to_le_bytes());
    block.extend_from_slice(marks.as_bytes());
    block.extend_from_slice(&u32::try_from(records.len()).ok()?.to_le_bytes());
    block.extend_from_slice(&u32::try_from(length).ok()?.to_le_bytes());
    for record in records {
        let creation = record.creation.unwrap_or(UNKNOWN);
        for number in [record.guid, record.createtxg, creation] {
            block.extend_from_slice(&number.to_le_bytes());
        }
        block.push(u8::try_from(record.name.len()).ok()?);
        block.extend_from_slice(record.name.as_bytes());
    }
    Some(block)
}

/// Eight bytes at a time; every bit of the input reaches the end.
pub(super) struct Checksum {
    sum: u64,
    /// What is not eight bytes yet.
    word: [u8; 8],
    filled: usize,
}

impl Checksum {
    /// Of so many bytes.
    pub(super) fn new(length: usize) -> Checksum {
        Checksum {
            sum: 0xcbf2_9ce4_8422_2325 ^ length as u64,
            word: [0; 8],
            filled: 0,
        }
    }

    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(8 - self.filled));
            let place = self.word.iter_mut().skip(self.filled);
            place.zip(now).for_each(|(to, from)| *to = *from);
            self.filled += now.len();
            if self.filled == 8 {
                self.add();
            }
            bytes = rest;
        }
    }

    pub(super) fn finish(mut self) -> u64 {
        if self.filled > 0 {
            self.add();
        }
        self.sum
    }

    fn add(&mut self) {
        self.sum = (self.sum ^ u64::from_le_bytes(self.word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.sum ^= self.sum >> 32;
        (self.word, self.filled) = ([0; 8], 0);
    }
}

pub(in crate::list::cache) fn checksum(bytes: &[u8]) -> u64 {
    let mut sum = Checksum::new(bytes.len());
    sum.update(bytes);
    sum.finish()
}
