//! What volumes take on the devices of their pool: the block size that suits
//! them, and what to reserve so that one can always be written in full.
//!
//! Source: `cmd/zfs/zfs_main.c` (`default_volblocksize`) and
//! `lib/libzfs/libzfs_dataset.c` (`zvol_volsize_to_reservation`).

use std::borrow::Cow;

use zfs_stream::nvlist::NvList;

use crate::error::{Error, Operation};
use crate::name::{DatasetName, PoolName, SnapshotName};
use crate::property::{Properties, PropertyValue};
use crate::version::Version;
use crate::zfs::Zfs;

/// The block by which ZFS converts what RAID-Z allocates into what it says is
/// used (`SPA_OLD_MAXBLOCKSIZE`).
const TYPICAL_BLOCK: u64 = 128 << 10;

/// How the devices of a pool lay out the blocks of volumes, as zfs(8) counts
/// it.
///
/// ```no_run
/// use zfs_core::Zfs;
///
/// let layout = Zfs::open()?.volume_layout(&"tank".parse()?)?;
/// let block = layout.volblocksize();
/// println!("16 GiB in blocks of {block} reserve {}", layout.reservation(16 << 30, block));
/// # Ok::<(), zfs_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeLayout {
    parity: Vec<Parity>,
    volblocksize: u64,
    version: Version,
}

/// A top-level device on which blocks take more than their size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parity {
    Raidz {
        disks: u64,
        parity: u64,
        ashift: u64,
    },
    Draid {
        data: u64,
        parity: u64,
        ashift: u64,
    },
}

impl VolumeLayout {
    /// That of the pool with this configuration.
    fn of(config: &NvList, version: Version) -> VolumeLayout {
        let tree = config.get_nvlist("vdev_tree");
        let devices = tree.and_then(|tree| tree.get_nvlist_array("children"));
        let mut parity = Vec::new();
        let mut smallest = 512;
        for device in devices.unwrap_or_default() {
            // Larger ones there are not: it would be shifted out of its number.
            let Some(ashift) = device.get_u64("ashift").filter(|ashift| *ashift < 32) else {
                continue;
            };
            let one = Parity::of(device, ashift);
            smallest = smallest.max(one.map_or(1, Parity::smallest) << ashift);
            parity.extend(one);
        }
        // Since 2.4 the kernel says it.
        let smallest = config.get_u64("max_alloc").unwrap_or(smallest);
        let mut volblocksize = VolumeLayout::default_volblocksize(version);
        while volblocksize * 2 <= smallest && volblocksize < 16 << 20 {
            volblocksize *= 2;
        }
        VolumeLayout {
            parity,
            volblocksize,
            version,
        }
    }

    /// The block size of a volume that the kernel chooses where none is given.
    pub(crate) fn default_volblocksize(version: Version) -> u64 {
        if version < Version::new(2, 2) {
            8 << 10
        } else {
            16 << 10
        }
    }

    /// The block size that zfs(8) gives to a volume where none is asked for:
    /// ZFS' default, or the largest power of two that is no more than what
    /// the smallest block takes on RAID-Z or dRAID.
    pub fn volblocksize(&self) -> u64 {
        self.volblocksize
    }

    /// Whether that is ZFS' default, which the kernel gives as well.
    pub fn is_default_volblocksize(&self) -> bool {
        self.volblocksize == VolumeLayout::default_volblocksize(self.version)
    }

    /// What a volume of that size can take at most, its metadata included:
    /// `refreservation=auto`, in bytes. With `copies` it takes more, which
    /// zfs(8) does not count.
    pub fn reservation(&self, volsize: u64, volblocksize: u64) -> u64 {
        /// Block pointers in an indirect block of 128 KiB.
        const POINTERS: u64 = 1 << 10;
        const INDIRECT: u64 = 128 << 10;
        let mut blocks = volsize / volblocksize.max(1);
        let scaled = self
            .parity
            .iter()
            .map(|parity| parity.used(blocks, volblocksize, self.version));
        let data = scaled.max().unwrap_or(volsize);
        let mut metadata = 7;
        while blocks > 1 {
            blocks = blocks.div_ceil(POINTERS);
            metadata += blocks;
        }
        // Of metadata there are two copies.
        data.saturating_add(metadata * 2 * INDIRECT)
    }
}

impl Parity {
    fn of(device: &NvList, ashift: u64) -> Option<Parity> {
        let parity = device.get_u64("nparity")?;
        match device.get_str("type")? {
            "raidz" => Some(Parity::Raidz {
                disks: device.get_nvlist_array("children")?.len() as u64,
                parity,
                ashift,
            }),
            "draid" => Some(Parity::Draid {
                data: device.get_u64("draid_ndata").filter(|data| *data < 256)?,
                parity,
                ashift,
            }),
            _ => None,
        }
    }

    /// What the smallest block should have at least so that little is wasted,
    /// in sectors.
    fn smallest(self) -> u64 {
        match self {
            Parity::Raidz { parity: 1, .. } => 2,
            Parity::Raidz { .. } => 4,
            Parity::Draid { data, .. } => data,
        }
    }

    /// What ZFS says is used by that many blocks, rounded as in libzfs, which
    /// counts in other steps since large volumes do not overflow there.
    fn used(self, blocks: u64, size: u64, version: Version) -> u64 {
        let unit = if version < Version::new(2, 2) { 1 } else { 512 };
        let allocated = u128::from(blocks) * u128::from(self.allocated(size));
        let typical = u128::from((self.allocated(TYPICAL_BLOCK) / unit).max(1));
        let used = if unit == 1 {
            allocated * u128::from(TYPICAL_BLOCK) / typical
        } else {
            allocated / typical * u128::from(TYPICAL_BLOCK / unit)
        };
        u64::try_from(used).unwrap_or(u64::MAX)
    }

    /// What a block takes on the disks, parity and padding included
    /// (`vdev_raidz_asize`, `vdev_draid_asize`).
    fn allocated(self, size: u64) -> u64 {
        match self {
            Parity::Raidz {
                disks,
                parity,
                ashift,
            } => {
                let data = size.div_ceil(1 << ashift);
                let columns = disks.saturating_sub(parity).max(1);
                let sectors = data + parity * data.div_ceil(columns);
                sectors.next_multiple_of(parity + 1) << ashift
            }
            Parity::Draid {
                data,
                parity,
                ashift,
            } => {
                let rows = size.div_ceil(data.max(1) << ashift);
                (rows * (data + parity)) << ashift
            }
        }
    }
}

/// Whether what a volume reserves is to be found out.
pub(crate) fn is_auto(properties: &Properties) -> bool {
    matches!(properties.native("refreservation"), Some(PropertyValue::Text(text)) if text == "auto")
}

impl Zfs {
    /// How the devices of a pool lay out the blocks of volumes.
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`]: there is no such pool.
    pub fn volume_layout(&self, pool: &PoolName) -> Result<VolumeLayout, Error> {
        let config = self.device.pool_stats(pool.as_str());
        let config = config.map_err(|error| error.on(Operation::GetProperties, pool.as_str()))?;
        Ok(VolumeLayout::of(&config, self.version()))
    }

    /// With a number for `refreservation=auto`, where `name` is a volume or a
    /// snapshot of one.
    pub(crate) fn auto_reserved<'a>(
        &self,
        name: &str,
        properties: &'a Properties,
    ) -> Result<Cow<'a, Properties>, Error> {
        if !is_auto(properties) {
            return Ok(Cow::Borrowed(properties));
        }
        let snapshot: Option<SnapshotName> = name.parse().ok();
        let (pool, now) = if let Some(snapshot) = snapshot {
            (snapshot.dataset().pool(), self.properties(&snapshot)?)
        } else {
            let dataset: DatasetName = name.parse()?;
            (dataset.pool(), self.properties(&dataset)?)
        };
        let wanted = properties.native_number("volsize", self.version());
        let size = wanted.or_else(|| now.number("volsize"));
        // Of what is no volume it is refused where the list is made.
        let (Some(volsize), Some(block)) = (size, now.number("volblocksize")) else {
            return Ok(Cow::Borrowed(properties));
        };
        let bytes = self.volume_layout(&pool)?.reservation(volsize, block);
        let mut properties = properties.clone();
        properties.replace_native("refreservation", bytes);
        Ok(Cow::Owned(properties))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(kind: &str, ashift: u64, disks: usize, numbers: &[(&str, u64)]) -> NvList {
        let mut list = NvList::new();
        list.insert_str("type", kind).unwrap();
        list.insert("ashift", ashift).unwrap();
        list.insert("children", vec![NvList::new(); disks]).unwrap();
        for (name, number) in numbers {
            list.insert(*name, *number).unwrap();
        }
        list
    }

    fn layout(version: Version, devices: Vec<NvList>) -> VolumeLayout {
        let mut tree = NvList::new();
        tree.insert("children", devices).unwrap();
        let mut config = NvList::new();
        config.insert("vdev_tree", tree).unwrap();
        VolumeLayout::of(&config, version)
    }

    const V: Version = Version::new(2, 3);

    /// Seen on OpenZFS 2.3.9: zfs create -V 1M and -V 1G, blocks of 16 KiB;
    /// and -V 8M and -V 4M, blocks of 16 and 4 KiB, on RAID-Z.
    #[test]
    fn a_volume_reserves_what_zfs_8_reserves() {
        let plain = layout(V, vec![device("disk", 12, 0, &[])]);
        assert_eq!(
            plain.reservation(1 << 20, 16 << 10),
            (1 << 20) + 8 * 2 * (128 << 10)
        );
        let gigabyte: u64 = 1 << 30;
        assert_eq!(
            plain.reservation(gigabyte, 16 << 10),
            gigabyte + (7 + 64 + 1) * 2 * (128 << 10)
        );
        let raidz = layout(V, vec![device("raidz", 9, 4, &[("nparity", 1)])]);
        assert_eq!(raidz.reservation(8 << 20, 16 << 10), 10_731_008);
        assert_eq!(raidz.reservation(4 << 20, 4 << 10), 6_806_528);
    }

    /// Three disks of 4 KiB sectors with one for parity: 16 KiB take 4 + 2
    /// sectors, which is what 128 KiB take in proportion; 4 KiB take 1 + 1.
    #[test]
    fn on_raidz_small_blocks_reserve_more() {
        let raidz = Parity::Raidz {
            disks: 3,
            parity: 1,
            ashift: 12,
        };
        assert_eq!(raidz.allocated(16 << 10), 6 << 12);
        assert_eq!(raidz.allocated(TYPICAL_BLOCK), 48 << 12);
        assert_eq!(raidz.used(10, 16 << 10, V), 10 * (16 << 10));
        assert_eq!(raidz.used(12, 4 << 10, V), 12 * 2 * (4 << 10) * 2 / 3);
        // 2.1 leaves out less of the rest.
        let old = Version::new(2, 1);
        assert_eq!(raidz.used(1, 4 << 10, old), 5461);
        assert_eq!(raidz.used(1, 4 << 10, V), 5376);
        // 128 TiB: more than fits into 64 bits on the way.
        assert_eq!(raidz.used(1 << 33, 16 << 10, V), 1 << 47);
    }

    /// Whole rows of eight sectors with data and two of parity.
    #[test]
    fn on_draid_a_block_takes_whole_rows() {
        let draid = Parity::Draid {
            data: 8,
            parity: 2,
            ashift: 12,
        };
        assert_eq!(draid.allocated(4 << 10), 10 << 12);
        assert_eq!(draid.allocated(32 << 10), 10 << 12);
        assert_eq!(draid.allocated(33 << 10), 20 << 12);
        // As large a part of it is parity as of the typical block.
        assert_eq!(draid.used(10, 32 << 10, V), 10 * (32 << 10));
        assert_eq!(draid.used(10, 16 << 10, V), 10 * (32 << 10));
    }

    #[test]
    fn the_block_size_is_what_the_devices_can_fill() {
        let kib = |version, devices| layout(version, devices).volblocksize() >> 10;
        let disk = || device("disk", 12, 0, &[]);
        let raidz = |parity, ashift| device("raidz", ashift, 6, &[("nparity", parity)]);
        let draid = |data| device("draid", 12, 12, &[("nparity", 1), ("draid_ndata", data)]);
        let old = Version::new(2, 1);
        assert_eq!((kib(old, vec![disk()]), kib(V, vec![disk()])), (8, 16));
        assert_eq!(
            (kib(old, vec![raidz(1, 12)]), kib(old, vec![raidz(2, 12)])),
            (8, 16)
        );
        assert_eq!(
            (kib(V, vec![raidz(1, 14)]), kib(V, vec![raidz(3, 14)])),
            (32, 64)
        );
        assert_eq!(kib(V, vec![disk(), draid(8)]), 32);
        assert_eq!((kib(V, vec![draid(7)]), kib(V, vec![draid(16)])), (16, 64));
        // What no kernel says makes it neither endless nor too large.
        assert_eq!(kib(V, vec![draid(u64::MAX)]), 16);
        let mut config = NvList::new();
        config.insert("max_alloc", u64::MAX).unwrap();
        assert_eq!(VolumeLayout::of(&config, V).volblocksize(), 16 << 20);
        config.insert("max_alloc", 32_u64 << 10).unwrap();
        assert_eq!(VolumeLayout::of(&config, V).volblocksize(), 32 << 10);
    }
}
