//! What the ZFS machine is made of. Whatever changes here changes a hash, and
//! with it the name in the cache: nothing stale is ever booted.

use std::fmt;

/// The Debian release whose kernel and OpenZFS the machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Suite {
    /// Debian 13: OpenZFS 2.3 on Linux 6.12.
    Trixie,
    /// Debian 12: OpenZFS 2.1 on Linux 6.1.
    Bookworm,
    /// Debian unstable: OpenZFS 2.4.
    Sid,
}

impl Suite {
    /// In the order of their OpenZFS: 2.1, 2.3, 2.4.
    pub const ALL: [Suite; 3] = [Suite::Bookworm, Suite::Trixie, Suite::Sid];

    pub fn name(self) -> &'static str {
        match self {
            Suite::Trixie => "trixie",
            Suite::Bookworm => "bookworm",
            Suite::Sid => "sid",
        }
    }

    /// The OpenZFS that the suite is there for.
    pub fn openzfs(self) -> &'static str {
        match self {
            Suite::Bookworm => "2.1",
            Suite::Trixie => "2.3",
            Suite::Sid => "2.4",
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The guest: a kernel, the module built by dkms, ZFS' own tools to compare
/// with, and the headers that the layout tests read; ssh to replicate through;
/// what the peers are made of and pipe through; and what looks on: valgrind,
/// with the symbols that it wants of the C library.
const GUEST_PACKAGES: &[&str] = &[
    "linux-image-cloud-amd64",
    "linux-headers-cloud-amd64",
    "zfs-dkms",
    "zfsutils-linux",
    "libzfslinux-dev",
    "libc6-dev",
    "udev",
    "iproute2",
    "attr",
    "acl",
    "dmsetup",
    "procps",
    "strace",
    "valgrind",
    "libc6-dbg",
    "openssh-server",
    "openssh-client",
    "sudo",
    "netcat-openbsd",
    "mbuffer",
    "pv",
    "lz4",
    "lzop",
    "pigz",
    "xz-utils",
    "zstd",
    "python3",
    "libcapture-tiny-perl",
    "libconfig-inifiles-perl",
];

/// Those, and what only some releases need to be asked for: in Debian 12
/// nothing that is wanted brings mount(8) with it, and in unstable nothing
/// script(1) and useradd(8).
pub fn guest_packages(suite: Suite) -> Vec<&'static str> {
    let more: &[&str] = match suite {
        Suite::Bookworm => &["mount"],
        Suite::Trixie => &[],
        Suite::Sid => &["bsdutils", "passwd"],
    };
    [GUEST_PACKAGES, more].concat()
}

/// What is installed from Debian unstable whatever the suite, after the rest:
/// the peer that is compared with is the same everywhere.
pub const FROM_SID: &str = "sanoid";
pub const FROM_SID_HOOK: &str = include_str!("guest/from-sid.sh");

/// The suite that QEMU comes from: 7.2 of Debian 12 corrupts flags under
/// multi-threaded emulation and the guest panics; 10.0 of Debian 13 does not.
pub const TOOLS_SUITE: &str = "trixie";

/// What boots the machine, unpacked and run from its own folder, so that the
/// host needs none of it installed.
pub const TOOLS_PACKAGES: &[&str] = &["qemu-system-x86", "busybox-static"];

/// Debian 13's own compiler, which is the oldest that the workspace supports.
pub const MSRV_PACKAGES: &[&str] = &["rustc", "cargo"];

/// Loaded by the initrd, with what they depend on, where the cloud kernel does
/// not have them built in.
pub const INITRD_MODULES: &[&str] = &["virtio_pci", "virtio_blk"];

pub const INITRD_INIT: &str = include_str!("guest/initrd-init.sh");
pub const INIT: &str = include_str!("guest/init.sh");

/// Size of the root disk, sparse; pools made from files live there.
pub const ROOT_DISK: &str = "24G";

/// Twelve hex digits over what the guest's root is made of.
pub fn root_hash(suite: Suite) -> String {
    digest(&[
        suite.name(),
        &guest_packages(suite).join(" "),
        FROM_SID,
        FROM_SID_HOOK,
        ROOT_DISK,
    ])
}

/// Over what boots it.
pub fn tools_hash() -> String {
    digest(&[TOOLS_SUITE, &TOOLS_PACKAGES.join(" ")])
}

pub fn msrv_hash() -> String {
    digest(&[TOOLS_SUITE, &MSRV_PACKAGES.join(" ")])
}

/// Over the initrd, which also carries the machine's init.
pub fn initrd_hash() -> String {
    digest(&[&INITRD_MODULES.join(" "), INITRD_INIT, INIT])
}

/// Twelve hex digits over all of these.
pub fn digest(parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part.as_bytes()).update(b"\0");
    }
    hasher.finalize().to_hex()[..12].to_owned()
}
