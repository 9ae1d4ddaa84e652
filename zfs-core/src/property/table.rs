//! The native properties of OpenZFS 2.1 to 2.4: what they take, and the
//! numbers that stand for their words.
//!
//! The kernel knows only numbers for what people write as words, and the
//! numbers of a property have nothing to do with those of another. Source of
//! all of them: `module/zcommon/zfs_prop.c` and the enumerations it uses.

use super::words::{
    CACHE, CHECKSUM, COMPRESSION, DEDUP, ENCRYPTION, HIDDEN, ON_OFF, XATTR, XATTR_2_1, XATTR_2_3,
    since,
};
use crate::version::Version;

bitflags::bitflags! {
    /// What a property can be read from.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct On: u8 {
        const FILESYSTEM = 1;
        const VOLUME = 2;
        const SNAPSHOT = 4;
    }
}

/// How a property's value looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Bytes; `none` is 0.
    Bytes,
    /// A count without a unit.
    Count,
    /// What names something: a GUID, a transaction group.
    Identifier,
    /// Seconds since 1970, in UTC.
    Seconds,
    /// A count that may be `none`, which is the largest number.
    Limit,
    /// Hundredths, shown as `1.00`.
    Ratio,
    /// One of some words, each of which stands for a number.
    Choice(&'static [(&'static str, u64)]),
    /// A text.
    Text,
}

/// Who may change it, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nobody: ZFS reports it.
    ReadOnly,
    /// Only when the dataset is created.
    Once,
    /// At any time.
    Settable,
}

/// What it is where nobody set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Default {
    /// Nothing: the kernel reports it, or it is not there.
    None,
    Number(u64),
    Text(&'static str),
    /// One number before a version, and another from it on.
    Changed(u64, Version, u64),
}

/// A property that ZFS itself gives a meaning to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Native {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) access: Access,
    pub(crate) inheritable: bool,
    on: On,
    pub(crate) since: Version,
    default: Default,
}

impl Native {
    /// What it is in that version where nobody set it.
    pub(crate) fn default(&self, version: Version) -> Default {
        match self.default {
            Default::Changed(before, since, after) => {
                Default::Number(if version < since { before } else { after })
            }
            other => other,
        }
    }

    /// What has it in that version.
    pub(crate) fn on(&self, version: Version) -> On {
        match self.name {
            // Volumes have it since they can lie on special devices.
            "special_small_blocks" if version < R2_4 => FS,
            _ => self.on,
        }
    }

    /// Its words and their numbers in that version; of several words for one
    /// number the first is the one that ZFS shows.
    pub(crate) fn choices(
        &self,
        version: Version,
    ) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let name = self.name;
        let all = self.all_choices(version).iter().copied();
        all.filter(move |(word, _)| since(name, word) <= version)
    }

    /// The first release that takes a word, where that is a later one than
    /// `version`.
    pub(crate) fn comes_with(&self, word: &str, version: Version) -> Option<Version> {
        let mut all = self.all_choices(version).iter();
        let since = since(self.name, word);
        (since > version && all.any(|(known, _)| *known == word)).then_some(since)
    }

    fn all_choices(&self, version: Version) -> &'static [(&'static str, u64)] {
        match self.kind {
            // "on" was directories, and became system attributes.
            Kind::Choice(_) if self.name == "xattr" && version < Version::new(2, 3) => XATTR_2_1,
            Kind::Choice(_) if self.name == "xattr" && version < Version::new(2, 4) => XATTR_2_3,
            Kind::Choice(choices) => choices,
            _ => &[],
        }
    }

    /// The word for a number.
    pub(crate) fn word(&self, number: u64, version: Version) -> Option<&'static str> {
        self.choices(version)
            .find(|(_, value)| *value == number)
            .map(|(word, _)| word)
    }
}

/// The native property of that name, or of one of zfs(8)'s short names.
pub(crate) fn native(name: &str) -> Option<&'static Native> {
    let name = match name {
        "avail" => "available",
        "refer" => "referenced",
        "lrefer" => "logicalreferenced",
        "lused" => "logicalused",
        "compress" => "compression",
        "rdonly" => "readonly",
        "recsize" => "recordsize",
        "refreserv" => "refreservation",
        "reserv" => "reservation",
        "volblock" => "volblocksize",
        other => other,
    };
    NATIVE.iter().find(|native| native.name == name)
}

const FS: On = On::FILESYSTEM;
const VOL: On = On::VOLUME;
const FS_VOL: On = On::FILESYSTEM.union(On::VOLUME);
const FS_SNAP: On = On::FILESYSTEM.union(On::SNAPSHOT);
const VOL_SNAP: On = On::VOLUME.union(On::SNAPSHOT);
const SNAP: On = On::SNAPSHOT;
const ALL: On = On::all();
const R2_2: Version = Version::new(2, 2);
const R2_3: Version = Version::new(2, 3);
const R2_4: Version = Version::new(2, 4);

const fn native_of(name: &'static str, kind: Kind, access: Access, on: On) -> Native {
    Native {
        name,
        kind,
        access,
        inheritable: false,
        on,
        since: Version::OLDEST,
        default: Default::None,
    }
}

/// Reported by ZFS.
const fn report(name: &'static str, kind: Kind, on: On) -> Native {
    native_of(name, kind, Access::ReadOnly, on)
}

/// Chosen when the dataset is created.
const fn once(name: &'static str, kind: Kind, on: On) -> Native {
    native_of(name, kind, Access::Once, on)
}

/// Settable, for this dataset alone.
const fn own(name: &'static str, kind: Kind, on: On, default: Default) -> Native {
    let mut native = native_of(name, kind, Access::Settable, on);
    native.default = default;
    native
}

/// Settable, and handed down.
const fn inherited(name: &'static str, kind: Kind, on: On, default: Default) -> Native {
    let mut native = own(name, kind, on, default);
    native.inheritable = true;
    native
}

/// A choice that is handed down.
const fn choice(
    name: &'static str,
    words: &'static [(&'static str, u64)],
    on: On,
    default: u64,
) -> Native {
    inherited(name, Kind::Choice(words), on, Default::Number(default))
}

impl Native {
    const fn since(mut self, version: Version) -> Native {
        self.since = version;
        self
    }

    const fn defaults_to(mut self, default: Default) -> Native {
        self.default = default;
        self
    }
}

pub(crate) static NATIVE: &[Native] = &[
    // Choices, handed down.
    choice(
        "redundant_metadata",
        &[("all", 0), ("most", 1), ("some", 2), ("none", 3)],
        FS_VOL,
        0,
    ),
    choice(
        "sync",
        &[("standard", 0), ("always", 1), ("disabled", 2)],
        FS_VOL,
        0,
    ),
    choice("checksum", CHECKSUM, FS_VOL, 1),
    choice("dedup", DEDUP, FS_VOL, 2),
    inherited(
        "compression",
        Kind::Choice(COMPRESSION),
        FS_VOL,
        Default::Changed(2, R2_2, 1),
    ),
    choice(
        "snapdir",
        &[("hidden", 0), ("visible", 1), ("disabled", 2)],
        FS,
        0,
    ),
    choice("snapdev", HIDDEN, FS_VOL, 0),
    choice(
        "aclmode",
        &[
            ("discard", 0),
            ("groupmask", 2),
            ("passthrough", 3),
            ("restricted", 4),
        ],
        FS,
        0,
    ),
    choice(
        "acltype",
        &[
            ("off", 0),
            ("posix", 1),
            ("nfsv4", 2),
            ("disabled", 0),
            ("noacl", 0),
            ("posixacl", 1),
        ],
        FS_SNAP,
        0,
    ),
    choice(
        "aclinherit",
        &[
            ("discard", 0),
            ("noallow", 1),
            ("restricted", 4),
            ("passthrough", 3),
            ("secure", 4),
            ("passthrough-x", 5),
        ],
        FS,
        4,
    ),
    choice("copies", &[("1", 1), ("2", 2), ("3", 3)], FS_VOL, 1),
    choice("primarycache", CACHE, ALL, 2),
    choice("secondarycache", CACHE, ALL, 2),
    choice("prefetch", CACHE, ALL, 2).since(R2_3),
    choice("logbias", &[("latency", 0), ("throughput", 1)], FS_VOL, 0),
    inherited(
        "xattr",
        Kind::Choice(XATTR),
        FS_SNAP,
        Default::Changed(1, R2_3, 2),
    ),
    choice(
        "dnodesize",
        &[
            ("legacy", 0),
            ("auto", 1),
            ("1k", 1024),
            ("2k", 2048),
            ("4k", 4096),
            ("8k", 8192),
            ("16k", 16384),
        ],
        FS,
        0,
    ),
    choice(
        "volmode",
        &[
            ("default", 0),
            ("full", 1),
            ("geom", 1),
            ("dev", 2),
            ("none", 3),
        ],
        FS_VOL,
        0,
    ),
    choice(
        "direct",
        &[("disabled", 0), ("standard", 1), ("always", 2)],
        FS,
        1,
    )
    .since(R2_3),
    choice("atime", ON_OFF, FS, 1),
    inherited(
        "relatime",
        Kind::Choice(ON_OFF),
        FS,
        Default::Changed(0, R2_2, 1),
    ),
    choice("devices", ON_OFF, FS_SNAP, 1),
    choice("exec", ON_OFF, FS_SNAP, 1),
    choice("setuid", ON_OFF, FS_SNAP, 1),
    choice("readonly", ON_OFF, FS_VOL, 0),
    choice("zoned", ON_OFF, FS, 0),
    choice("vscan", ON_OFF, FS, 0),
    choice("nbmand", ON_OFF, FS_SNAP, 0),
    choice("overlay", ON_OFF, FS, 1),
    choice("longname", ON_OFF, FS, 0).since(R2_3),
    // Choices of a dataset's own.
    own(
        "canmount",
        Kind::Choice(&[("off", 0), ("on", 1), ("noauto", 2)]),
        FS,
        Default::Number(1),
    ),
    own(
        "volthreading",
        Kind::Choice(ON_OFF),
        VOL,
        Default::Number(1),
    )
    .since(R2_3),
    own(
        "version",
        Kind::Choice(&[
            ("1", 1),
            ("2", 2),
            ("3", 3),
            ("4", 4),
            ("5", 5),
            ("current", 5),
        ]),
        FS_SNAP,
        Default::None,
    ),
    // Chosen when the dataset is created.
    once(
        "normalization",
        Kind::Choice(&[
            ("none", 0),
            ("formD", 0x10),
            ("formKC", 0x60),
            ("formC", 0x50),
            ("formKD", 0x20),
        ]),
        FS_SNAP,
    ),
    once(
        "casesensitivity",
        Kind::Choice(&[("sensitive", 0), ("insensitive", 1), ("mixed", 2)]),
        FS_SNAP,
    ),
    once("utf8only", Kind::Choice(ON_OFF), FS_SNAP),
    once(
        "keyformat",
        Kind::Choice(&[("none", 0), ("raw", 1), ("hex", 2), ("passphrase", 3)]),
        FS_VOL,
    )
    .defaults_to(Default::Number(0)),
    once("pbkdf2iters", Kind::Count, FS_VOL).defaults_to(Default::Number(0)),
    once("encryption", Kind::Choice(ENCRYPTION), ALL).defaults_to(Default::Number(2)),
    once("volblocksize", Kind::Bytes, VOL),
    // Texts.
    inherited("mountpoint", Kind::Text, FS, Default::Text("/")),
    inherited("sharenfs", Kind::Text, FS, Default::Text("off")),
    inherited("sharesmb", Kind::Text, FS, Default::Text("off")),
    inherited("mlslabel", Kind::Text, ALL, Default::Text("none")),
    own("context", Kind::Text, ALL, Default::Text("none")),
    own("fscontext", Kind::Text, ALL, Default::Text("none")),
    own("defcontext", Kind::Text, ALL, Default::Text("none")),
    own("rootcontext", Kind::Text, ALL, Default::Text("none")),
    own("keylocation", Kind::Text, FS_VOL, Default::Text("none")),
    // Sizes and counts.
    inherited("recordsize", Kind::Bytes, FS, Default::Number(128 << 10)),
    inherited(
        "special_small_blocks",
        Kind::Bytes,
        FS_VOL,
        Default::Number(0),
    ),
    own("quota", Kind::Bytes, FS, Default::Number(0)),
    own("refquota", Kind::Bytes, FS, Default::Number(0)),
    own("reservation", Kind::Bytes, FS_VOL, Default::Number(0)),
    own("refreservation", Kind::Bytes, FS_VOL, Default::Number(0)),
    own("volsize", Kind::Bytes, VOL_SNAP, Default::None),
    own(
        "filesystem_limit",
        Kind::Limit,
        FS,
        Default::Number(u64::MAX),
    ),
    own(
        "snapshot_limit",
        Kind::Limit,
        FS_VOL,
        Default::Number(u64::MAX),
    ),
    own("defaultuserquota", Kind::Bytes, FS_SNAP, Default::Number(0)).since(R2_4),
    own(
        "defaultgroupquota",
        Kind::Bytes,
        FS_SNAP,
        Default::Number(0),
    )
    .since(R2_4),
    own(
        "defaultprojectquota",
        Kind::Bytes,
        FS_SNAP,
        Default::Number(0),
    )
    .since(R2_4),
    own(
        "defaultuserobjquota",
        Kind::Bytes,
        FS_SNAP,
        Default::Number(0),
    )
    .since(R2_4),
    own(
        "defaultgroupobjquota",
        Kind::Bytes,
        FS_SNAP,
        Default::Number(0),
    )
    .since(R2_4),
    own(
        "defaultprojectobjquota",
        Kind::Bytes,
        FS_SNAP,
        Default::Number(0),
    )
    .since(R2_4),
    // Reported by ZFS.
    report(
        "type",
        Kind::Choice(&[("filesystem", 2), ("volume", 3)]),
        ALL,
    ),
    report(
        "keystatus",
        Kind::Choice(&[("none", 0), ("unavailable", 1), ("available", 2)]),
        ALL,
    ),
    report("defer_destroy", Kind::Choice(ON_OFF), SNAP),
    report("origin", Kind::Text, FS_VOL),
    report("clones", Kind::Text, SNAP),
    report("redact_snaps", Kind::Text, ALL),
    report("receive_resume_token", Kind::Text, FS_VOL),
    report("encryptionroot", Kind::Text, ALL),
    report("prevsnap", Kind::Text, FS_VOL),
    report("used", Kind::Bytes, ALL),
    report("available", Kind::Bytes, FS_VOL),
    report("referenced", Kind::Bytes, ALL),
    report("compressratio", Kind::Ratio, ALL),
    report("refcompressratio", Kind::Ratio, ALL),
    report("usedbysnapshots", Kind::Bytes, FS_VOL),
    report("usedbydataset", Kind::Bytes, FS_VOL),
    report("usedbychildren", Kind::Bytes, FS_VOL),
    report("usedbyrefreservation", Kind::Bytes, FS_VOL),
    report("written", Kind::Bytes, ALL),
    report("logicalused", Kind::Bytes, FS_VOL),
    report("logicalreferenced", Kind::Bytes, ALL),
    report("userrefs", Kind::Count, SNAP),
    report("filesystem_count", Kind::Limit, FS).defaults_to(Default::Number(u64::MAX)),
    report("snapshot_count", Kind::Limit, FS_VOL).defaults_to(Default::Number(u64::MAX)),
    report("guid", Kind::Identifier, ALL),
    report("createtxg", Kind::Identifier, ALL),
    report("objsetid", Kind::Identifier, ALL),
    report("creation", Kind::Seconds, ALL),
    report("snapshots_changed", Kind::Seconds, FS_VOL).since(R2_2),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::property::words::LATER;

    #[test]
    fn names_and_words_are_unique_and_defaults_are_among_them() {
        let mut names: Vec<&str> = NATIVE.iter().map(|native| native.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), NATIVE.len());
        for native in NATIVE {
            for version in [Version::OLDEST, R2_2, R2_3, R2_4] {
                let mut words: Vec<&str> = native.choices(version).map(|(w, _)| w).collect();
                let count = words.len();
                words.sort_unstable();
                words.dedup();
                assert_eq!(words.len(), count, "{}", native.name);
                if let (Kind::Choice(_), Default::Number(number)) =
                    (native.kind, native.default(version))
                {
                    assert!(native.word(number, version).is_some(), "{}", native.name);
                }
            }
        }
    }

    #[test]
    fn zstandard_s_levels_stand_above_the_algorithm() {
        let compression = native("compression").unwrap();
        assert_eq!(compression.word(16, R2_3), Some("zstd"));
        assert_eq!(compression.word(16 | 19 << 7, R2_3), Some("zstd-19"));
        assert_eq!(
            compression.word(16 | 123 << 7, R2_3),
            Some("zstd-fast-1000")
        );
    }

    #[test]
    fn what_on_means_for_xattr_changed_with_2_3() {
        let xattr = native("xattr").unwrap();
        let on = |version| {
            let mut choices = xattr.choices(version);
            choices.find(|(word, _)| *word == "on").unwrap().1
        };
        assert_eq!((on(R2_2), on(R2_3)), (1, 2));
        assert_eq!(xattr.word(2, R2_3), Some("on"));
        assert_eq!(xattr.word(2, R2_4), Some("sa"));
        assert_eq!(xattr.word(1, R2_2), Some("on"));
    }

    #[test]
    fn each_word_that_came_later_is_one() {
        for (property, word, since) in LATER {
            let native = native(property).unwrap();
            assert_eq!(native.comes_with(word, Version::OLDEST), Some(*since));
            assert_eq!(native.comes_with(word, *since), None);
        }
        let checksum = native("checksum").unwrap();
        assert_eq!(checksum.comes_with("nosuch", Version::OLDEST), None);
        assert_eq!(checksum.word(14, Version::OLDEST), None);
        assert_eq!(checksum.word(14, R2_2), Some("blake3"));
    }

    #[test]
    fn short_names_are_known() {
        assert_eq!(
            native("refer").map(|native| native.name),
            Some("referenced")
        );
        assert!(native("org.example:refer").is_none());
    }
}
