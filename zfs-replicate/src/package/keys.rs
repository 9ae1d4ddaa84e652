//! Which datasets have keys of their own, after a raw package.
//!
//! Each dataset that arrives raw becomes an encryption root. What used the key
//! of the one above it on the source does so here again.

use zfs_core::{DatasetName, Properties};

use super::contents::Contents;
use super::{Receiver, There};
use crate::error::Error;

impl Receiver<'_> {
    pub(super) fn put_keys_right(
        &self,
        contents: &Contents,
        target: &DatasetName,
        there: &There,
    ) -> Result<(), Error> {
        let top = contents.top(target)?;
        let mut filesystems: Vec<_> = contents.filesystems.iter().collect();
        // A parent's name is the beginning of its children's.
        filesystems.sort_by(|a, b| a.name.cmp(&b.name));
        for filesystem in filesystems {
            let mut guids = filesystem.snapshots.keys();
            let Some(name) = guids.find_map(|guid| there.find(*guid)) else {
                continue;
            };
            let name = name.dataset();
            if !name.is_within(&top) {
                continue;
            }
            let listed = self.zfs.dataset(name)?;
            let Some(root) = listed.encryption_root() else {
                continue;
            };
            let mut is_root = root == *name;
            if filesystem.is_key_root {
                if !is_root && listed.origin.is_none() {
                    self.zfs.force_key_root(name)?;
                    is_root = true;
                }
                if let Some(location) = filesystem.key_location.as_ref().filter(|_| is_root) {
                    let mut properties = Properties::new();
                    properties.set("keylocation", location.as_str());
                    self.zfs.set_properties(name, &properties)?;
                }
            } else if is_root && *name != top {
                self.zfs.force_inherit_key(name)?;
            }
        }
        Ok(())
    }
}
