//! The devices of a pool, as a tree.

use std::fmt;
use std::time::{Duration, SystemTime};

use zfs_stream::nvlist::NvList;

use crate::name::Guid;

/// How deep the trees of devices may be; ZFS makes them four deep at most.
const MAX_DEPTH: usize = 16;

/// What a device is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VdevKind {
    /// The pool itself.
    Root,
    /// A mirror.
    Mirror,
    /// RAIDZ, with as many devices' worth of parity.
    Raidz {
        /// 1, 2 or 3.
        parity: u64,
    },
    /// dRAID, with as many devices' worth of parity.
    Draid {
        /// 1, 2 or 3.
        parity: u64,
    },
    /// A spare that is part of a dRAID.
    DraidSpare,
    /// A disk or a part of one.
    Disk,
    /// A file.
    File,
    /// A device that is being replaced, and its replacement.
    Replacing,
    /// A device and the spare that stands in for it.
    Spare,
    /// A removed device whose blocks have been moved elsewhere.
    Indirect,
    /// A place where a log device was.
    Hole,
    /// A device that was not there when the pool was imported.
    Missing,
    /// One of a kind that this crate does not know.
    Other(String),
}

impl VdevKind {
    fn read(list: &NvList) -> VdevKind {
        let parity = || list.get_u64("nparity").unwrap_or(1);
        match list.get_str("type").unwrap_or_default() {
            "root" => VdevKind::Root,
            "mirror" => VdevKind::Mirror,
            "raidz" => VdevKind::Raidz { parity: parity() },
            "draid" => VdevKind::Draid { parity: parity() },
            "dspare" => VdevKind::DraidSpare,
            "disk" => VdevKind::Disk,
            "file" => VdevKind::File,
            "replacing" => VdevKind::Replacing,
            "spare" => VdevKind::Spare,
            "indirect" => VdevKind::Indirect,
            "hole" => VdevKind::Hole,
            "missing" => VdevKind::Missing,
            other => VdevKind::Other(other.to_owned()),
        }
    }

    /// What has data on it, and is not made of other devices.
    pub fn is_leaf(&self) -> bool {
        matches!(
            self,
            VdevKind::Disk | VdevKind::File | VdevKind::DraidSpare | VdevKind::Missing
        )
    }
}

impl fmt::Display for VdevKind {
    /// As zpool-status(8) has it: `mirror`, `raidz2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            VdevKind::Root => "root",
            VdevKind::Mirror => "mirror",
            VdevKind::Raidz { parity } => return write!(f, "raidz{parity}"),
            VdevKind::Draid { parity } => return write!(f, "draid{parity}"),
            VdevKind::DraidSpare => "dspare",
            VdevKind::Disk => "disk",
            VdevKind::File => "file",
            VdevKind::Replacing => "replacing",
            VdevKind::Spare => "spare",
            VdevKind::Indirect => "indirect",
            VdevKind::Hole => "hole",
            VdevKind::Missing => "missing",
            VdevKind::Other(other) => other,
        })
    }
}

/// How a device, or the whole pool, is. The best comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Health {
    /// It works.
    Online,
    /// It works, and something below it does not.
    Degraded,
    /// It had too many errors, or what is on it cannot be.
    Faulted,
    /// It was taken offline by the administrator.
    Offline,
    /// It was taken out of the machine.
    Removed,
    /// It cannot be opened.
    Unavailable,
    /// Its I/O is suspended; of whole pools only.
    Suspended,
    /// What this crate does not know.
    Unknown,
}

impl Health {
    pub(super) fn read(state: u64, problem: Option<VdevProblem>) -> Health {
        match (state, problem) {
            (1 | 2, _) => Health::Offline,
            (3, _) => Health::Removed,
            (4, Some(VdevProblem::CorruptData | VdevProblem::BadLog)) | (5, _) => Health::Faulted,
            (4, _) => Health::Unavailable,
            (6, _) => Health::Degraded,
            (7, _) => Health::Online,
            _ => Health::Unknown,
        }
    }

    /// ZFS' word for it: `ONLINE`, `DEGRADED`.
    pub fn as_str(self) -> &'static str {
        match self {
            Health::Online => "ONLINE",
            Health::Degraded => "DEGRADED",
            Health::Faulted => "FAULTED",
            Health::Offline => "OFFLINE",
            Health::Removed => "REMOVED",
            Health::Unavailable => "UNAVAIL",
            Health::Suspended => "SUSPENDED",
            Health::Unknown => "UNKNOWN",
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! problems {
    ($($number:literal $name:ident $text:literal;)*) => {
        /// Why a device is not online (`vdev_aux_t`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum VdevProblem {
            $(#[doc = concat!("In words: ", $text, ".")] $name,)*
            /// One that this crate does not know, by its number.
            Other(u64),
        }

        impl VdevProblem {
            fn read(number: u64) -> Option<VdevProblem> {
                match number {
                    0 => None,
                    $($number => Some(VdevProblem::$name),)*
                    other => Some(VdevProblem::Other(other)),
                }
            }
        }

        impl fmt::Display for VdevProblem {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(VdevProblem::$name => f.write_str($text),)*
                    VdevProblem::Other(number) => write!(f, "problem {number}"),
                }
            }
        }
    };
}

problems! {
    1 OpenFailed "it cannot be opened";
    2 CorruptData "its label or data is damaged";
    3 NoReplicas "too few of its devices work";
    4 BadGuidSum "devices are missing, or there are others than there were";
    5 TooSmall "it is too small";
    6 BadLabel "its label cannot be read";
    7 VersionNewer "it is of a newer version of ZFS";
    8 VersionOlder "it is of an older version of ZFS";
    9 UnsupportedFeatures "it has features that this ZFS does not support";
    10 Spared "it stands in for another device";
    11 TooManyErrors "it had too many errors";
    12 IoFailure "it had errors of input or output";
    13 BadLog "the log cannot be read";
    14 External "it was diagnosed from outside to be faulty";
    15 SplitPool "it was split off into another pool";
    16 BadAshift "its sectors are larger than the pool's";
    17 ExternalPersistent "it was put out of use by the administrator";
    18 InUse "another machine uses the pool";
    19 ChildrenOffline "all of its devices are offline";
    20 AshiftTooBig "its sectors are too large for ZFS";
}

/// Errors that a device has had since the pool was imported, or since they
/// were cleared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VdevErrors {
    /// Reads that failed.
    pub read: u64,
    /// Writes that failed.
    pub write: u64,
    /// Blocks that were read and are not what was written.
    pub checksum: u64,
    /// Requests that took longer than 30 seconds.
    pub slow: u64,
}

impl VdevErrors {
    /// Whether data was affected: anything but slowness.
    pub fn any(&self) -> bool {
        self.read | self.write | self.checksum != 0
    }
}

/// Where initializing or trimming a device stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeviceActivityState {
    /// It is going on.
    Active,
    /// It was ended before its end.
    Canceled,
    /// It was stopped, and can go on.
    Suspended,
    /// It has come to its end.
    Complete,
}

/// How far the initializing or trimming of a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceActivity {
    /// Where it stands.
    pub state: DeviceActivityState,
    /// Bytes that are done.
    pub done_bytes: u64,
    /// Bytes that there are, about.
    pub total_bytes: u64,
    /// When it was started, stopped or came to its end.
    pub since: SystemTime,
}

/// A device of a pool, with those that it is made of.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent of each other"
)]
pub struct Vdev {
    /// What it is.
    pub kind: VdevKind,
    /// Its GUID.
    pub guid: Guid,
    /// Its number among its siblings, as in `mirror-0`.
    pub id: u64,
    /// Its path, where it is a disk or a file.
    pub path: Option<String>,
    /// ZFS has the whole disk: the partitions on it are its own.
    pub is_whole_disk: bool,
    /// It was not there when the pool was imported.
    pub was_missing: bool,
    /// How it is.
    pub health: Health,
    /// Why it is so, where something is wrong.
    pub problem: Option<VdevProblem>,
    /// Errors it has had.
    pub errors: VdevErrors,
    /// It is a log device.
    pub is_log: bool,
    /// What it is for where not for everything: `special`, `dedup`.
    pub class: Option<String>,
    /// Bytes allocated on it; of leaves ZFS does not say.
    pub allocated_bytes: u64,
    /// Bytes that it has; of leaves ZFS does not say.
    pub size_bytes: u64,
    /// How scattered its free space is, in percent, where ZFS says.
    pub fragmentation_percent: Option<u8>,
    /// Its sectors are 2 to the power of that many bytes; top-level devices.
    pub ashift: Option<u64>,
    /// Bytes that a resilver or scrub has repaired on it.
    pub repaired_bytes: u64,
    /// Its blocks have other sizes than suit it: (configured, physical)
    /// sectors, as powers of two.
    pub non_native_ashift: Option<(u64, u64)>,
    /// It is being resilvered.
    pub is_resilvering: bool,
    /// It is being rebuilt (a sequential resilver); top-level devices.
    pub is_rebuilding: bool,
    /// It is being removed.
    pub is_removing: bool,
    /// How far it is initialized, where that was started.
    pub initialize: Option<DeviceActivity>,
    /// How far it is trimmed, where that was started.
    pub trim: Option<DeviceActivity>,
    /// What it is made of.
    pub children: Vec<Vdev>,
}

/// `vdev_stat_t`, an array of numbers to which each release adds at the end
/// and, once, in the middle: what lies behind `physical_ashift` is not read.
struct Stats<'a>(&'a [u64]);

impl Stats<'_> {
    fn at(&self, index: usize) -> u64 {
        self.0.get(index).copied().unwrap_or(0)
    }

    fn activity(&self, done: usize) -> Option<DeviceActivity> {
        let state = match self.at(done + 2) {
            1 => DeviceActivityState::Active,
            2 => DeviceActivityState::Canceled,
            3 => DeviceActivityState::Suspended,
            4 => DeviceActivityState::Complete,
            _ => return None,
        };
        Some(DeviceActivity {
            state,
            done_bytes: self.at(done),
            total_bytes: self.at(done + 1),
            since: time(self.at(done + 3)).unwrap_or(SystemTime::UNIX_EPOCH),
        })
    }
}

/// Seconds since 1970 as ZFS has them; 0 is none.
pub(super) fn time(seconds: u64) -> Option<SystemTime> {
    (seconds != 0)
        .then(|| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
        .flatten()
}

fn percent(number: u64) -> Option<u8> {
    u8::try_from(number).ok().filter(|percent| *percent <= 100)
}

impl Vdev {
    pub(super) fn read(list: &NvList) -> Vdev {
        Vdev::read_at(list, 0)
    }

    fn read_at(list: &NvList, depth: usize) -> Vdev {
        let stats = Stats(list.get_u64_array("vdev_stats").unwrap_or_default());
        let problem = VdevProblem::read(stats.at(2));
        let children = match list.get_nvlist_array("children") {
            Some(children) if depth < MAX_DEPTH => children
                .iter()
                .map(|child| Vdev::read_at(child, depth + 1))
                .collect(),
            _ => Vec::new(),
        };
        let (configured, physical) = (stats.at(42), stats.at(44));
        // VDEV_REBUILD_ACTIVE
        let rebuilding = list
            .get_u64_array("org.openzfs:rebuild_stats")
            .and_then(|rebuild| rebuild.first())
            == Some(&1);
        Vdev {
            kind: VdevKind::read(list),
            guid: Guid(list.get_u64("guid").unwrap_or(0)),
            id: list.get_u64("id").unwrap_or(0),
            path: list.get_str("path").map(str::to_owned),
            is_whole_disk: list.get_u64("whole_disk") == Some(1),
            was_missing: list.contains("not_present"),
            health: Health::read(stats.at(1), problem),
            problem,
            errors: VdevErrors {
                read: stats.at(20),
                write: stats.at(21),
                checksum: stats.at(22),
                slow: stats.at(34),
            },
            is_log: list.get_u64("is_log") == Some(1),
            class: list.get_str("alloc_bias").map(str::to_owned),
            allocated_bytes: stats.at(3),
            size_bytes: stats.at(4),
            fragmentation_percent: percent(stats.at(27)),
            ashift: list.get_u64("ashift"),
            repaired_bytes: stats.at(26),
            non_native_ashift: (configured != 0 && configured < physical)
                .then_some((configured, physical)),
            is_resilvering: list.contains("resilver_txg"),
            is_rebuilding: rebuilding,
            is_removing: list.get_u64("removing") == Some(1) || stats.at(25) != 0,
            initialize: stats.activity(28),
            trim: stats.activity(37),
            children,
        }
    }

    /// It and all devices below it, each before those that it is made of.
    pub fn iter(&self) -> impl Iterator<Item = &Vdev> {
        let mut next = vec![self];
        std::iter::from_fn(move || {
            let device = next.pop()?;
            next.extend(device.children.iter().rev());
            Some(device)
        })
    }

    /// The disks and files below it, or itself where it is one.
    pub fn leaves(&self) -> impl Iterator<Item = &Vdev> {
        self.iter().filter(|device| device.kind.is_leaf())
    }
}

/// The name of a disk without that of the partition ZFS makes of a whole one:
/// `-part1`, `p1` behind a digit, and digits behind `sda`, `hda`, `vda`,
/// `xvda` (`zfs_strip_partition` in lib/libzutil).
fn without_partition(disk: &str) -> &str {
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let ends_in_digit = |text: &str| text.ends_with(|c: char| c.is_ascii_digit());
    let cut =
        if let Some((before, number)) = disk.split_once("-part").filter(|(b, _)| !b.is_empty()) {
            Some((before, number))
        } else if let Some((before, number)) = disk
            .rsplit_once('p')
            .filter(|(before, _)| before.len() > 1 && ends_in_digit(before))
        {
            Some((before, number))
        } else {
            ["hd", "sd", "vd", "xvd"].iter().find_map(|prefix| {
                let letters = disk
                    .strip_prefix(prefix)?
                    .trim_start_matches(|c: char| c.is_ascii_alphabetic());
                disk.split_at_checked(disk.len() - letters.len())
            })
        };
    match cut {
        Some((before, number)) if all_digits(number) => before,
        _ => disk,
    }
}

impl Vdev {
    /// As zpool-status(8) names it where no option asks for more: disks
    /// without their folder and without the partition that ZFS makes of a
    /// whole one, what was missing at import by its GUID.
    pub fn short_name(&self) -> String {
        if self.was_missing {
            return self.guid.to_string();
        }
        let Some(path) = &self.path else {
            return self.to_string();
        };
        let name = match self.kind {
            VdevKind::Disk => path.rsplit('/').next().unwrap_or(path),
            _ => path,
        };
        if self.is_whole_disk && self.kind != VdevKind::DraidSpare {
            without_partition(name).to_owned()
        } else {
            name.to_owned()
        }
    }
}

impl fmt::Display for Vdev {
    /// As zpool-status(8) names it: its path, or `mirror-0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => f.write_str(path),
            None => write!(f, "{}-{}", self.kind, self.id),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A device as the kernel describes one.
    pub(in crate::pool) fn device(
        kind: &str,
        state: u64,
        aux: u64,
        children: Vec<NvList>,
    ) -> NvList {
        let mut stats = vec![0_u64; 45];
        (stats[1], stats[2]) = (state, aux);
        let mut list = NvList::new();
        list.insert_str("type", kind).unwrap();
        list.insert("guid", 7_u64).unwrap();
        list.insert("vdev_stats", stats).unwrap();
        if !children.is_empty() {
            list.insert("children", children).unwrap();
        }
        list
    }

    #[test]
    fn a_state_is_named_as_zpool_names_it() {
        let health = |state, aux| {
            Vdev::read(&device("disk", state, aux, vec![]))
                .health
                .as_str()
        };
        assert_eq!(health(7, 0), "ONLINE");
        assert_eq!(health(6, 0), "DEGRADED");
        assert_eq!(health(5, 11), "FAULTED");
        assert_eq!(health(4, 1), "UNAVAIL");
        assert_eq!(health(4, 2), "FAULTED");
        assert_eq!(health(3, 0), "REMOVED");
        assert_eq!(health(2, 0), "OFFLINE");
        assert_eq!(health(0, 0), "UNKNOWN");
        assert_eq!(health(99, 99), "UNKNOWN");
    }

    #[test]
    fn a_tree_is_walked_from_the_top() {
        let leaves = vec![device("disk", 7, 0, vec![]), device("file", 2, 0, vec![])];
        let mut mirror = device("mirror", 6, 0, leaves);
        mirror.insert("id", 1_u64).unwrap();
        let root = Vdev::read(&device("root", 6, 0, vec![mirror]));
        let kinds: Vec<_> = root.iter().map(|device| device.kind.to_string()).collect();
        assert_eq!(kinds, ["root", "mirror", "disk", "file"]);
        assert_eq!(root.leaves().count(), 2);
        assert_eq!(root.children[0].to_string(), "mirror-1");
    }

    #[test]
    fn a_disk_is_named_as_zpool_status_names_it() {
        let named = |path: &str, whole: u64| {
            let mut list = device("disk", 7, 0, vec![]);
            list.insert_str("path", path).unwrap();
            list.insert("whole_disk", whole).unwrap();
            Vdev::read(&list).short_name()
        };
        for (path, whole, part) in [
            ("/dev/sda1", "sda", "sda1"),
            ("/dev/vdb9", "vdb", "vdb9"),
            ("/dev/xvdc1", "xvdc", "xvdc1"),
            ("/dev/nvme0n1p1", "nvme0n1", "nvme0n1p1"),
            ("/dev/md0p1", "md0", "md0p1"),
            ("/dev/disk/by-id/ata-A_B-part1", "ata-A_B", "ata-A_B-part1"),
            ("/dev/mapper/mpatha-part1", "mpatha", "mpatha-part1"),
            ("/dev/sda", "sda", "sda"),
            ("/dev/loop0", "loop0", "loop0"),
            ("/dev/sdüber1", "sdüber1", "sdüber1"),
            ("/dev/-part1", "-part1", "-part1"),
            ("", "", ""),
        ] {
            assert_eq!(named(path, 1), whole, "{path} whole");
            assert_eq!(named(path, 0), part, "{path}");
        }
        let mut missing = device("disk", 4, 1, vec![]);
        missing.insert_str("path", "/dev/sda1").unwrap();
        missing.insert("not_present", 1_u64).unwrap();
        assert_eq!(Vdev::read(&missing).short_name(), "7");
        let mut file = device("file", 7, 0, vec![]);
        file.insert_str("path", "/pools/a1").unwrap();
        assert_eq!(Vdev::read(&file).short_name(), "/pools/a1");
    }

    #[test]
    fn a_tree_deeper_than_any_is_cut_and_an_empty_one_is_a_device() {
        let mut list = device("disk", 7, 0, vec![]);
        for _ in 0..60 {
            list = device("mirror", 7, 0, vec![list]);
        }
        assert_eq!(Vdev::read(&list).iter().count(), MAX_DEPTH + 1);
        let empty = Vdev::read(&NvList::new());
        assert_eq!(empty.health, Health::Unknown);
        assert_eq!(empty.kind, VdevKind::Other(String::new()));
        assert_eq!(empty.errors, VdevErrors::default());
    }

    #[test]
    fn numbers_are_read_from_their_places() {
        let mut list = device("raidz", 7, 0, vec![]);
        let mut stats: Vec<u64> = (0..45).collect();
        (stats[1], stats[30], stats[39]) = (7, 4, 1);
        list.insert("vdev_stats", stats).unwrap();
        list.insert("nparity", 2_u64).unwrap();
        let device = Vdev::read(&list);
        assert_eq!(device.kind.to_string(), "raidz2");
        assert_eq!((device.allocated_bytes, device.size_bytes), (3, 4));
        let errors = device.errors;
        assert_eq!((errors.read, errors.write, errors.checksum), (20, 21, 22));
        assert_eq!((errors.slow, device.repaired_bytes), (34, 26));
        assert_eq!(device.fragmentation_percent, Some(27));
        let initialize = device.initialize.unwrap();
        assert_eq!(initialize.state, DeviceActivityState::Complete);
        assert_eq!((initialize.done_bytes, initialize.total_bytes), (28, 29));
        let trim = device.trim.unwrap();
        assert_eq!(trim.state, DeviceActivityState::Active);
        assert_eq!((trim.done_bytes, trim.total_bytes), (37, 38));
        assert_eq!(device.non_native_ashift, Some((42, 44)));
    }
}
