//! What somebody made of listings, kept while they would be the same again.
//!
//! ```text
//! file: magic, version u32, checksum u64 of the rest, state, event u64, name u16 + bytes, value
//! ```
//!
//! All little-endian, and believed as little as a file of listings.

use std::io::{self, Write};
use std::path::PathBuf;

use super::events::Events;
use super::file::{HEAD, Reader, State, checksum};
use super::{ListCache, MOVE_ON_AFTER, boot_id, read, write};
use crate::name::PoolName;
use crate::zfs::Zfs;

const MAGIC: &[u8; 8] = b"zfs-kept";
const VERSION: u32 = 1;

/// A place in a cache for something that was made of listings of one pool.
///
/// What is in it is right while the kernel's events say that in the pool no
/// dataset, snapshot or bookmark came, went or got another name, no receive
/// began or ended, and nothing was promoted or rolled back. Not seen are
/// properties, holds, keys that are loaded and unloaded, and how far a receive
/// that was going on has come.
#[derive(Debug)]
pub struct Kept {
    cache: ListCache,
    path: PathBuf,
    name: String,
    state: State,
    event: u64,
    value: Option<Vec<u8>>,
}

impl Kept {
    /// What was kept, where it is still right.
    pub fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }

    /// Keeps what was made of listings that began after [`ListCache::kept`]
    /// was called.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn keep(&self, value: &[u8]) -> io::Result<()> {
        match self.encode(value) {
            Some(bytes) => write(&self.cache.folder, &self.path, |file| {
                file.write_all(&bytes)
            }),
            None => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn encode(&self, value: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(value.len() + 512);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 8]);
        self.state.encode(&mut bytes);
        bytes.extend_from_slice(&self.event.to_le_bytes());
        bytes.extend_from_slice(&u16::try_from(self.name.len()).ok()?.to_le_bytes());
        bytes.extend_from_slice(self.name.as_bytes());
        bytes.extend_from_slice(value);
        let sum = checksum(bytes.get(HEAD..)?);
        bytes
            .get_mut(HEAD - 8..HEAD)?
            .copy_from_slice(&sum.to_le_bytes());
        Some(bytes)
    }
}

/// The event and the value of a file that says the same of where it is from.
fn decode(bytes: &[u8], state: State, name: &str) -> Option<(u64, Vec<u8>)> {
    let mut reader = Reader::new(bytes);
    if reader.take(MAGIC.len())? != MAGIC
        || reader.array()? != VERSION.to_le_bytes()
        || reader.u64()? != checksum(bytes.get(HEAD..)?)
        || State::decode(&mut reader)? != state
    {
        return None;
    }
    let event = reader.u64()?;
    (reader.text()? == name).then(|| (event, reader.rest().to_vec()))
}

impl ListCache {
    /// The place of that name, for what is made of listings of this pool.
    ///
    /// None where the kernel does not tell what happens: to anybody but root,
    /// and before the first event.
    pub fn kept(&self, zfs: &Zfs, pool: &PoolName, name: &str) -> Option<Kept> {
        let (guid, imported) = zfs.device.pool_identity(pool.as_str()).ok()??;
        let state = State {
            pool: guid,
            imported,
            boot: boot_id()?,
        };
        let events = Events::open(&zfs.device)?;
        // A name is longer than a file's may be. Two of one sum take turns.
        let sum = checksum(name.as_bytes());
        let path = self.folder.join(format!("{guid}-{sum:016x}.kept"));
        let old = read(&path).and_then(|bytes| decode(&bytes, state, name));
        let same = old.and_then(|(event, value)| {
            let since = events.since(event)?;
            let changed = since.changed.contains(&guid) || since.bookmarks.contains(&guid);
            (!changed).then_some((since, value))
        });
        let mut kept = Kept {
            cache: self.clone(),
            path,
            name: name.to_owned(),
            state,
            event: 0,
            value: None,
        };
        if let Some((since, value)) = same {
            kept.event = since.last;
            if since.count > MOVE_ON_AFTER {
                // Else the kernel would forget the event some time; and where
                // it cannot be written, it does.
                let _ = kept.keep(&value);
            }
            kept.value = Some(value);
        } else {
            kept.event = events.last()?;
        }
        Some(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Kept {
        Kept {
            cache: ListCache::new("/nowhere"),
            path: PathBuf::from("/nowhere/1-2.kept"),
            name: "tank/a".to_owned(),
            state: State {
                pool: 7,
                imported: [1, 2],
                boot: [3; 16],
            },
            event: 9,
            value: None,
        }
    }

    #[test]
    fn what_is_kept_is_read_as_it_was_written() {
        let kept = kept();
        let bytes = kept.encode(b"a tree").unwrap();
        let read = decode(&bytes, kept.state, &kept.name);
        assert_eq!(read, Some((9, b"a tree".to_vec())));
    }

    #[test]
    fn what_is_torn_of_another_boot_import_pool_or_name_is_passed_over() {
        let kept = kept();
        let bytes = kept.encode(b"a tree").unwrap();
        for at in 0..bytes.len() {
            let cut = bytes.get(..at).unwrap();
            assert_eq!(decode(cut, kept.state, &kept.name), None, "{at}");
            let mut turned = bytes.clone();
            turned[at] ^= 0x10;
            assert_eq!(decode(&turned, kept.state, &kept.name), None, "{at}");
        }
        let state = kept.state;
        for other in [
            State { pool: 8, ..state },
            State {
                imported: [1, 3],
                ..state
            },
            State {
                boot: [4; 16],
                ..state
            },
        ] {
            assert_eq!(decode(&bytes, other, &kept.name), None);
        }
        assert_eq!(decode(&bytes, state, "tank/b"), None);
    }
}
