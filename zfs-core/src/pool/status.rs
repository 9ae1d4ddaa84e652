//! What is the matter with a pool, the gravest thing first.
//!
//! The order is that of `zpool status`; what it says about features that an
//! upgrade would bring, and about host identifiers, is not said here.

use std::fmt;

use super::scan::{Scan, ScanKind};
use super::vdev::{Health, Vdev, VdevProblem};

/// What is the matter with a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PoolStatus {
    /// Nothing.
    Healthy,
    /// A resilver is going on.
    Resilvering,
    /// A device is being rebuilt, and its blocks have not been verified.
    Rebuilding,
    /// Its version is newer than this ZFS.
    TooNew,
    /// It has features that this ZFS does not support.
    UnsupportedFeatures,
    /// Devices are missing, or there are others than there were.
    WrongDevices,
    /// Its I/O is suspended: devices went away that it cannot do without.
    Suspended,
    /// Its log cannot be read.
    LogUnreadable,
    /// A device was put out of use, and the pool cannot do without it.
    DeviceFaulted,
    /// A device cannot be opened, and the pool cannot do without it.
    DeviceMissing,
    /// A device is damaged, and the pool cannot do without it.
    DeviceDamaged,
    /// The pool's own data is damaged.
    PoolDamaged,
    /// Files or metadata are damaged for good.
    DataDamaged,
    /// A device was put out of use; others take its place.
    DeviceFaultedRedundant,
    /// A device cannot be opened; others take its place.
    DeviceMissingRedundant,
    /// A device is damaged; others take its place.
    DeviceDamagedRedundant,
    /// A device has had errors.
    DeviceErrors,
    /// A device is offline.
    DeviceOffline,
    /// A device was taken out.
    DeviceRemoved,
    /// A device has larger sectors than the pool uses, which is slow.
    NonNativeAshift,
}

impl PoolStatus {
    /// What to do about it.
    pub fn advice(self) -> &'static str {
        match self {
            PoolStatus::Healthy | PoolStatus::Resilvering => "",
            PoolStatus::Rebuilding => "scrub it once the rebuild has come to its end",
            PoolStatus::TooNew | PoolStatus::UnsupportedFeatures => {
                "use it with a newer ZFS, or read-only where that is possible"
            }
            PoolStatus::WrongDevices | PoolStatus::DeviceMissing => {
                "attach the missing devices, then zpool online or import it again"
            }
            PoolStatus::Suspended => "bring its devices back, then zpool clear",
            PoolStatus::LogUnreadable => {
                "bring the log device back, or zpool clear to give up what was in it"
            }
            PoolStatus::DeviceFaulted | PoolStatus::DeviceDamaged | PoolStatus::PoolDamaged => {
                "restore it from a backup, where no device can be brought back"
            }
            PoolStatus::DataDamaged => {
                "zpool status -v names the files: restore them from a backup"
            }
            PoolStatus::DeviceFaultedRedundant | PoolStatus::DeviceDamagedRedundant => {
                "zpool replace the device"
            }
            PoolStatus::DeviceMissingRedundant | PoolStatus::DeviceRemoved => {
                "attach the device and zpool online it, or zpool replace it"
            }
            PoolStatus::DeviceErrors => {
                "zpool replace the device if there are more of them, otherwise zpool clear"
            }
            PoolStatus::DeviceOffline => "zpool online the device, or zpool replace it",
            PoolStatus::NonNativeAshift => {
                "replace the device with one of the pool's sector size, or move to a new pool"
            }
        }
    }

    pub(super) fn of(root: &Vdev, scan: Option<&Scan>, suspended: bool, errors: u64) -> Self {
        let any = |test: fn(&Vdev) -> bool| root.iter().any(test);
        let working = |device: &Vdev| device.kind.is_leaf() || device.children.is_empty();
        let resilvering =
            scan.is_some_and(|scan| scan.kind == ScanKind::Resilver && scan.is_active());
        if resilvering {
            return PoolStatus::Resilvering;
        }
        if any(|device| device.is_rebuilding) {
            return PoolStatus::Rebuilding;
        }
        let faulted = |device: &Vdev| device.health == Health::Faulted && !is_damaged(device);
        let missing = |device: &Vdev| {
            device.health == Health::Unavailable && device.problem == Some(VdevProblem::OpenFailed)
        };
        let devices = || root.iter().filter(|device| working(device));
        let is_down = matches!(root.health, Health::Unavailable | Health::Faulted);
        if is_down {
            match root.problem {
                Some(VdevProblem::VersionNewer) => return PoolStatus::TooNew,
                Some(VdevProblem::UnsupportedFeatures) => return PoolStatus::UnsupportedFeatures,
                Some(VdevProblem::BadGuidSum) => return PoolStatus::WrongDevices,
                _ => {}
            }
        }
        if suspended {
            return PoolStatus::Suspended;
        }
        if is_down {
            return match root.problem {
                Some(VdevProblem::BadLog) => PoolStatus::LogUnreadable,
                _ if devices().any(faulted) => PoolStatus::DeviceFaulted,
                _ if devices().any(missing) => PoolStatus::DeviceMissing,
                _ if devices().any(is_damaged) => PoolStatus::DeviceDamaged,
                _ => PoolStatus::PoolDamaged,
            };
        }
        if errors != 0 {
            return PoolStatus::DataDamaged;
        }
        if devices().any(faulted) {
            PoolStatus::DeviceFaultedRedundant
        } else if devices().any(missing) {
            PoolStatus::DeviceMissingRedundant
        } else if devices().any(is_damaged) {
            PoolStatus::DeviceDamagedRedundant
        } else if any(|device| device.errors.any()) {
            PoolStatus::DeviceErrors
        } else if any(|device| device.health == Health::Offline) {
            PoolStatus::DeviceOffline
        } else if any(|device| device.health == Health::Removed) {
            PoolStatus::DeviceRemoved
        } else if any(|device| device.non_native_ashift.is_some()) {
            PoolStatus::NonNativeAshift
        } else {
            PoolStatus::Healthy
        }
    }
}

/// It was opened, and what is on it is not what should be.
fn is_damaged(device: &Vdev) -> bool {
    matches!(device.health, Health::Faulted | Health::Unavailable)
        && matches!(
            device.problem,
            Some(VdevProblem::CorruptData | VdevProblem::BadLabel | VdevProblem::TooSmall)
        )
}

impl fmt::Display for PoolStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PoolStatus::Healthy => "healthy",
            PoolStatus::Resilvering => "it is being resilvered",
            PoolStatus::Rebuilding => "a device is being rebuilt",
            PoolStatus::TooNew => "its version is newer than this ZFS",
            PoolStatus::UnsupportedFeatures => "it has features that this ZFS does not support",
            PoolStatus::WrongDevices => "devices are missing, or are not those that there were",
            PoolStatus::Suspended => "its input and output are suspended",
            PoolStatus::LogUnreadable => "its log cannot be read",
            PoolStatus::DeviceFaulted => "a device that it needs is faulted",
            PoolStatus::DeviceMissing => "a device that it needs cannot be opened",
            PoolStatus::DeviceDamaged => "a device that it needs is damaged",
            PoolStatus::PoolDamaged => "its own data is damaged",
            PoolStatus::DataDamaged => "data is damaged",
            PoolStatus::DeviceFaultedRedundant => "a device is faulted",
            PoolStatus::DeviceMissingRedundant => "a device cannot be opened",
            PoolStatus::DeviceDamagedRedundant => "a device is damaged",
            PoolStatus::DeviceErrors => "a device has had errors",
            PoolStatus::DeviceOffline => "a device is offline",
            PoolStatus::DeviceRemoved => "a device was removed",
            PoolStatus::NonNativeAshift => "a device has larger sectors than the pool uses",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::vdev::tests::device;

    fn status(root: (u64, u64), disk: (u64, u64), suspended: bool, errors: u64) -> PoolStatus {
        let disk = device("disk", disk.0, disk.1, vec![]);
        let mirror = device("mirror", root.0, 0, vec![disk]);
        let root = Vdev::read(&device("root", root.0, root.1, vec![mirror]));
        PoolStatus::of(&root, None, suspended, errors)
    }

    #[test]
    fn the_gravest_thing_comes_first() {
        let healthy = (7, 0);
        assert_eq!(status(healthy, healthy, false, 0), PoolStatus::Healthy);
        assert_eq!(status(healthy, healthy, true, 3), PoolStatus::Suspended);
        assert_eq!(status(healthy, (2, 0), false, 3), PoolStatus::DataDamaged);
        assert_eq!(status((6, 0), (2, 0), false, 0), PoolStatus::DeviceOffline);
        assert_eq!(status((6, 0), (3, 0), false, 0), PoolStatus::DeviceRemoved);
        let of_disk = |state, aux| status((6, 0), (state, aux), false, 0);
        assert_eq!(of_disk(4, 1), PoolStatus::DeviceMissingRedundant);
        assert_eq!(of_disk(5, 11), PoolStatus::DeviceFaultedRedundant);
        assert_eq!(of_disk(4, 2), PoolStatus::DeviceDamagedRedundant);
        let down = |state, aux| status((4, 3), (state, aux), false, 0);
        assert_eq!(down(4, 1), PoolStatus::DeviceMissing);
        assert_eq!(down(5, 11), PoolStatus::DeviceFaulted);
        assert_eq!(down(4, 2), PoolStatus::DeviceDamaged);
        assert_eq!(down(7, 0), PoolStatus::PoolDamaged);
        assert_eq!(
            status((4, 9), healthy, false, 0),
            PoolStatus::UnsupportedFeatures
        );
    }

    #[test]
    fn errors_of_a_device_are_a_status_of_its_pool() {
        let mut disk = device("disk", 7, 0, vec![]);
        let mut stats = vec![0_u64; 45];
        (stats[1], stats[22]) = (7, 1);
        disk.insert("vdev_stats", stats).unwrap();
        let root = Vdev::read(&device("root", 7, 0, vec![disk]));
        let status = PoolStatus::of(&root, None, false, 0);
        assert_eq!(status, PoolStatus::DeviceErrors);
        assert!(status.advice().contains("zpool replace"));
    }
}
