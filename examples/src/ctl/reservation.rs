//! What a volume reserves so that it can always be written in full.

use zfs_core::{Vdev, VdevKind};

/// The block by which ZFS converts what RAID-Z allocates into what it says is
/// used (`SPA_OLD_MAXBLOCKSIZE`).
const TYPICAL_BLOCK: u64 = 128 << 10;

/// How a pool lays out blocks: all that makes one take more than its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    raidz: Vec<Raidz>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Raidz {
    disks: u64,
    parity: u64,
    ashift: u64,
}

impl Layout {
    /// That of a pool with these devices. None with a dRAID among them: how
    /// many disks of it have a block's data is not in its state.
    pub fn of(root: &Vdev) -> Option<Layout> {
        let mut raidz = Vec::new();
        for device in &root.children {
            match device.kind {
                VdevKind::Draid { .. } => return None,
                VdevKind::Raidz { parity } => raidz.push(Raidz {
                    disks: device.children.len() as u64,
                    parity,
                    ashift: device.ashift.filter(|ashift| *ashift < 32)?,
                }),
                _ => {}
            }
        }
        Some(Layout { raidz })
    }

    /// What a volume of that size can take at most, its metadata included
    /// (`zvol_volsize_to_reservation` of libzfs). With `copies` it takes more,
    /// which zfs(8) does not count.
    pub fn reservation(&self, volsize: u64, volblocksize: u64) -> u64 {
        /// Block pointers in an indirect block of 128 KiB.
        const POINTERS: u64 = 1 << 10;
        const INDIRECT: u64 = 128 << 10;
        let mut blocks = volsize / volblocksize.max(1);
        let scaled = self
            .raidz
            .iter()
            .map(|raidz| raidz.used(blocks, volblocksize));
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

impl Raidz {
    /// What ZFS says is used by that many blocks, rounded as in libzfs.
    fn used(self, blocks: u64, size: u64) -> u64 {
        const SECTOR: u64 = 512;
        let allocated = u128::from(blocks) * u128::from(self.allocated(size));
        let typical = (self.allocated(TYPICAL_BLOCK) / SECTOR).max(1);
        let used = allocated / u128::from(typical) * u128::from(TYPICAL_BLOCK / SECTOR);
        u64::try_from(used).unwrap_or(u64::MAX)
    }

    /// What a block takes on the disks, parity and padding included
    /// (`vdev_raidz_asize`).
    fn allocated(self, size: u64) -> u64 {
        let data = size.div_ceil(1 << self.ashift);
        let disks = self.disks.saturating_sub(self.parity).max(1);
        let sectors = data + self.parity * data.div_ceil(disks);
        sectors.next_multiple_of(self.parity + 1) << self.ashift
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen on OpenZFS 2.3.9: zfs create -V 1M and -V 1G, blocks of 16 KiB;
    /// and -V 8M and -V 4M, blocks of 16 and 4 KiB, on RAID-Z.
    #[test]
    fn a_volume_reserves_what_zfs_8_reserves() {
        let plain = Layout { raidz: Vec::new() };
        assert_eq!(
            plain.reservation(1 << 20, 16 << 10),
            (1 << 20) + 8 * 2 * (128 << 10)
        );
        let gigabyte: u64 = 1 << 30;
        assert_eq!(
            plain.reservation(gigabyte, 16 << 10),
            gigabyte + (7 + 64 + 1) * 2 * (128 << 10)
        );
        let raidz = Raidz {
            disks: 4,
            parity: 1,
            ashift: 9,
        };
        let raidz = Layout { raidz: vec![raidz] };
        assert_eq!(raidz.reservation(8 << 20, 16 << 10), 10_731_008);
        assert_eq!(raidz.reservation(4 << 20, 4 << 10), 6_806_528);
    }

    /// Three disks of 4 KiB sectors with one for parity: 16 KiB take 4 + 2
    /// sectors, which is what 128 KiB take in proportion; 4 KiB take 1 + 1.
    #[test]
    fn on_raidz_small_blocks_reserve_more() {
        let raidz = Raidz {
            disks: 3,
            parity: 1,
            ashift: 12,
        };
        assert_eq!(raidz.allocated(16 << 10), 6 << 12);
        assert_eq!(raidz.allocated(TYPICAL_BLOCK), 48 << 12);
        assert_eq!(raidz.used(10, 16 << 10), 10 * (16 << 10));
        assert_eq!(raidz.used(12, 4 << 10), 12 * 2 * (4 << 10) * 2 / 3);
        // 128 TiB: more than fits into 64 bits on the way.
        assert_eq!(raidz.used(1 << 33, 16 << 10), 1 << 47);
    }
}
