//! The options of a mount: what the properties say, and what the caller wants
//! for this mount alone.
//!
//! A mount(2) without flags takes no notice of properties such as `exec`:
//! what lies above the filesystem in the kernel knows its own flags only. So
//! they are made of the effective properties here, as libzfs does it, and
//! told to ZFS as well, as text. Source: `zfs_add_options` and `option_map`
//! of libzfs.

use crate::ffi::mount::MountFlags;
use crate::property::DatasetProperties;

/// Flags for the kernel's upper half, and the text for ZFS.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) flags: MountFlags,
    pub(super) data: String,
}

/// The words of each option, on and off, the property that decides where the
/// caller does not, and the flags of both.
const SWITCHES: &[(&str, &str, &str, MountFlags, MountFlags)] = &[
    (
        "devices",
        "dev",
        "nodev",
        MountFlags::empty(),
        MountFlags::NODEV,
    ),
    (
        "exec",
        "exec",
        "noexec",
        MountFlags::empty(),
        MountFlags::NOEXEC,
    ),
    (
        "readonly",
        "ro",
        "rw",
        MountFlags::RDONLY,
        MountFlags::empty(),
    ),
    (
        "setuid",
        "suid",
        "nosuid",
        MountFlags::empty(),
        MountFlags::NOSUID,
    ),
    (
        "nbmand",
        "mand",
        "nomand",
        MountFlags::MANDLOCK,
        MountFlags::empty(),
    ),
];

/// The properties that a mounted filesystem takes up with a remount only.
pub(crate) const IN_MOUNT: &[&str] = &[
    "atime", "relatime", "devices", "exec", "setuid", "readonly", "xattr", "nbmand",
];

/// SELinux' contexts: the property, and mount's option. The first excludes
/// the others.
const CONTEXTS: &[(&str, &str)] = &[
    ("context", "context"),
    ("fscontext", "fscontext"),
    ("defcontext", "defcontext"),
    ("rootcontext", "rootcontext"),
];

impl Options {
    /// Those of a filesystem. `wanted` are the caller's, one word each.
    pub(super) fn of_filesystem(
        properties: &DatasetProperties,
        wanted: &[String],
        pool_is_read_only: bool,
    ) -> Result<Options, String> {
        let mut options = Options {
            flags: MountFlags::empty(),
            data: "defaults".to_owned(),
        };
        let mut wanted = Wanted::parse(wanted)?;
        if pool_is_read_only {
            wanted.set("readonly", true);
        }
        for (property, on, off, flags_on, flags_off) in SWITCHES {
            let value = wanted
                .get(property)
                .unwrap_or_else(|| is_on(properties, property));
            options.word(if value { on } else { off });
            options.flags |= if value { *flags_on } else { *flags_off };
        }
        let atime = wanted
            .get("atime")
            .unwrap_or_else(|| is_on(properties, "atime"));
        options.word(if atime { "atime" } else { "noatime" });
        if atime {
            let relatime = wanted
                .get("relatime")
                .unwrap_or_else(|| is_on(properties, "relatime"));
            let (word, flag) = if relatime {
                ("relatime", MountFlags::RELATIME)
            } else {
                ("strictatime", MountFlags::STRICTATIME)
            };
            options.word(word);
            options.flags |= flag;
        } else {
            options.flags |= MountFlags::NOATIME;
        }
        // Otherwise ZFS goes by the property itself.
        if let Some(xattr) = wanted.get("xattr") {
            options.word(if xattr { "xattr" } else { "noxattr" });
        }
        options.word("zfsutil");
        options.contexts(properties)?;
        Ok(options)
    }

    /// Those of a snapshot, whatever its filesystem has: nothing in it can be
    /// run, no device in it opened, and nothing changed.
    pub(super) fn of_snapshot() -> Options {
        Options {
            flags: MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC,
            data: "defaults,ro,nosuid,nodev,noexec".to_owned(),
        }
    }

    fn word(&mut self, word: &str) {
        self.data.push(',');
        self.data.push_str(word);
    }

    fn contexts(&mut self, properties: &DatasetProperties) -> Result<(), String> {
        for (property, option) in CONTEXTS {
            let Some(context) = properties.str(property).filter(|text| *text != "none") else {
                continue;
            };
            if context.contains('"') {
                return Err(format!("{property} has a quotation mark in it: {context}"));
            }
            for part in [",", option, "=\"", context, "\""] {
                self.data.push_str(part);
            }
            if *property == "context" {
                break;
            }
        }
        Ok(())
    }

    /// Tells ZFS where it is mounted, so that it finds its snapshots' place.
    pub(super) fn at(&mut self, mountpoint: &str) {
        // The text is cut at commas: what follows one would be an option.
        if !mountpoint.contains(',') {
            self.data.push_str(",mntpoint=");
            self.data.push_str(mountpoint);
        }
    }
}

fn is_on(properties: &DatasetProperties, property: &str) -> bool {
    properties.number(property) == Some(1)
}

/// What the caller wants, by property; the last word counts.
struct Wanted(Vec<(&'static str, bool)>);

impl Wanted {
    fn parse(words: &[String]) -> Result<Wanted, String> {
        let mut wanted = Wanted(Vec::new());
        for word in words.iter().flat_map(|words| words.split(',')) {
            let (property, value) = match word {
                "" | "defaults" | "remount" => continue,
                "dev" | "devices" => ("devices", true),
                "nodev" | "nodevices" => ("devices", false),
                "exec" => ("exec", true),
                "noexec" => ("exec", false),
                "ro" => ("readonly", true),
                "rw" => ("readonly", false),
                "suid" | "setuid" => ("setuid", true),
                "nosuid" | "nosetuid" => ("setuid", false),
                "mand" | "nbmand" => ("nbmand", true),
                "nomand" | "nonbmand" => ("nbmand", false),
                "atime" => ("atime", true),
                "noatime" => ("atime", false),
                "relatime" => ("relatime", true),
                "norelatime" | "strictatime" => ("relatime", false),
                "xattr" => ("xattr", true),
                "noxattr" => ("xattr", false),
                other => {
                    return Err(format!(
                        "{other:?} is no option of a mount (ro, rw, exec, setuid, devices, atime, \
                         relatime, xattr, nbmand, and each of them with no before it)"
                    ));
                }
            };
            wanted.set(property, value);
        }
        Ok(wanted)
    }

    fn get(&self, property: &str) -> Option<bool> {
        self.0
            .iter()
            .rev()
            .find(|(name, _)| *name == property)
            .map(|(_, value)| *value)
    }

    fn set(&mut self, property: &'static str, value: bool) {
        self.0.push((property, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::Version;
    use zfs_stream::nvlist::NvList;

    fn properties(set: &[(&str, u64)], texts: &[(&str, &str)]) -> DatasetProperties {
        let mut list = NvList::new();
        let mut add = |name: &str, value: zfs_stream::nvlist::Value| {
            let mut entry = NvList::new();
            entry.insert("value", value).unwrap();
            list.insert(name, entry).unwrap();
        };
        add("type", 2_u64.into());
        for (name, number) in set {
            add(name, (*number).into());
        }
        for (name, text) in texts {
            let text = zfs_stream::nvlist::NvString::try_from(*text).unwrap();
            add(name, zfs_stream::nvlist::Value::String(text));
        }
        DatasetProperties::new("tank/a", Version::NEWEST, list)
    }

    fn options(set: &[(&str, u64)], wanted: &str) -> Options {
        Options::of_filesystem(&properties(set, &[]), &[wanted.to_owned()], false).unwrap()
    }

    #[test]
    fn what_nobody_set_is_mounted_with_the_defaults() {
        let plain = options(&[], "");
        assert_eq!(plain.flags, MountFlags::RELATIME);
        for word in ["dev", "exec", "rw", "suid", "nomand", "atime", "relatime"] {
            assert!(plain.data.split(',').any(|other| other == word), "{word}");
        }
    }

    #[test]
    fn each_property_that_forbids_something_becomes_a_flag() {
        let strict = [
            ("devices", 0),
            ("exec", 0),
            ("setuid", 0),
            ("readonly", 1),
            ("atime", 0),
        ];
        let flags = options(&strict, "").flags;
        let all = MountFlags::NODEV
            | MountFlags::NOEXEC
            | MountFlags::NOSUID
            | MountFlags::RDONLY
            | MountFlags::NOATIME;
        assert_eq!(flags, all);
        assert_eq!(
            options(&[("relatime", 0)], "").flags,
            MountFlags::STRICTATIME
        );
    }

    #[test]
    fn what_the_caller_wants_goes_before_the_properties() {
        let mixed = options(&[("exec", 0), ("readonly", 0)], "exec,ro");
        assert_eq!(mixed.flags, MountFlags::RDONLY | MountFlags::RELATIME);
        assert!(Wanted::parse(&["exce".to_owned()]).is_err());
        assert!(Wanted::parse(&["mntpoint=/x".to_owned()]).is_err());
    }

    #[test]
    fn a_read_only_pool_is_mounted_read_only_even_where_rw_is_wanted() {
        let options =
            Options::of_filesystem(&properties(&[], &[]), &["rw".to_owned()], true).unwrap();
        assert!(options.flags.contains(MountFlags::RDONLY));
    }

    #[test]
    fn a_context_goes_before_the_other_three() {
        let some = properties(&[], &[("context", "a:b:c:s0,c1"), ("fscontext", "x:y:z")]);
        let data = Options::of_filesystem(&some, &[], false).unwrap().data;
        assert!(data.ends_with(",context=\"a:b:c:s0,c1\""), "{data}");
        let bad = properties(&[], &[("fscontext", "a\",exec")]);
        assert!(Options::of_filesystem(&bad, &[], false).is_err());
    }

    #[test]
    fn a_snapshot_is_harmless() {
        let harmless =
            MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        assert_eq!(Options::of_snapshot().flags, harmless);
    }

    #[test]
    fn a_path_with_a_comma_is_no_option() {
        let mut options = Options::of_snapshot();
        options.at("/mnt/a,exec");
        assert!(!options.data.contains("exec,") && !options.data.contains("/mnt"));
    }
}
