//! Properties of pools and of devices.

use zfs_stream::nvlist::{NvList, Value};

use crate::error::{Errno, Error, Operation};
use crate::ffi::CallError;
use crate::name::{Guid, PoolName};
use crate::property::{Property, PropertyValue, Source};
use crate::zfs::Zfs;

/// Properties of pools that the kernel gives as numbers of words.
const POOL_WORDS: &[(&str, &[&str])] = &[
    ("delegation", OFF_ON),
    ("autoreplace", OFF_ON),
    ("listsnapshots", OFF_ON),
    ("autoexpand", OFF_ON),
    ("readonly", OFF_ON),
    ("multihost", OFF_ON),
    ("autotrim", OFF_ON),
    ("failmode", &["wait", "continue", "panic"]),
    (
        "health",
        &[
            "UNKNOWN", "OFFLINE", "OFFLINE", "REMOVED", "UNAVAIL", "FAULTED", "DEGRADED", "ONLINE",
        ],
    ),
];

/// The same of devices.
const VDEV_WORDS: &[(&str, &[&str])] = &[
    ("removing", OFF_ON),
    ("allocating", OFF_ON),
    ("raidz_expanding", OFF_ON),
    ("sit_out", OFF_ON),
    ("autosit", OFF_ON),
    ("trim_support", OFF_ON),
    ("failfast", OFF_ON),
    (
        "state",
        &[
            "UNKNOWN", "OFFLINE", "OFFLINE", "REMOVED", "UNAVAIL", "FAULTED", "DEGRADED", "ONLINE",
        ],
    ),
];

const OFF_ON: &[&str] = &["off", "on"];

/// Properties of pools that the kernel leaves out where they were not set,
/// with the number that holds then.
const POOL_DEFAULTS: &[(&str, u64)] = &[
    ("ashift", 0),
    ("autoexpand", 0),
    ("autoreplace", 0),
    ("autotrim", 0),
    ("delegation", 1),
    ("failmode", 0),
    ("listsnapshots", 0),
    ("multihost", 0),
];

/// Properties of devices that the kernel tells where it is asked for them by
/// name, all in one request. It stops at the first that it does not know:
/// those that came after 2.2 stand at the end.
const VDEV_NAMES: &[&str] = &[
    "name",
    "capacity",
    "state",
    "guid",
    "asize",
    "psize",
    "ashift",
    "size",
    "free",
    "allocated",
    "expandsize",
    "fragmentation",
    "parity",
    "path",
    "devid",
    "physpath",
    "encpath",
    "fru",
    "parent",
    "children",
    "numchildren",
    "read_errors",
    "write_errors",
    "checksum_errors",
    "null_ops",
    "read_ops",
    "write_ops",
    "free_ops",
    "claim_ops",
    "trim_ops",
    "null_bytes",
    "read_bytes",
    "write_bytes",
    "free_bytes",
    "claim_bytes",
    "trim_bytes",
    "removing",
    "raidz_expanding",
    "trim_support",
    "trim_errors",
    "slow_ios",
    "initialize_errors",
];

/// Properties of devices that can be set. Where one was not, the kernel stops
/// after it: one request each.
const VDEV_SETTABLE: &[&str] = &[
    "allocating",
    "failfast",
    "comment",
    "checksum_n",
    "checksum_t",
    "io_n",
    "io_t",
    "slow_io_n",
    "slow_io_t",
];

/// The kernel's way to say that a number is none.
const NONE: u64 = u64::MAX;

fn read(list: &NvList, words: &[(&str, &[&str])], name: &str) -> Option<Property> {
    let entry = list.get_nvlist(name)?;
    let value = match entry.get("value")? {
        Value::Uint64(number) => {
            let word = words
                .iter()
                .find(|(property, _)| *property == name)
                .and_then(|(_, words)| words.get(usize::try_from(*number).ok()?));
            match word {
                Some(word) => PropertyValue::Text((*word).to_owned()),
                None if *number == NONE => return None,
                None => PropertyValue::Number(*number),
            }
        }
        Value::String(text) => PropertyValue::Text(text.to_string()),
        _ => return None,
    };
    // zprop_source_t
    let source = match entry.get_u64("source") {
        Some(2) => Source::Default,
        Some(8) => Source::Local,
        _ => Source::None,
    };
    Some(Property { value, source })
}

fn number(list: &NvList, name: &str) -> Option<u64> {
    list.get_nvlist(name)?
        .get_u64("value")
        .filter(|number| *number != NONE)
}

macro_rules! properties {
    ($(#[$doc:meta])* $type:ident, $words:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $type {
            pub(super) list: NvList,
        }

        impl $type {
            /// A property by its name; none where ZFS did not report it.
            pub fn get(&self, name: &str) -> Option<Property> {
                read(&self.list, $words, name)
            }

            /// The number of a property: bytes, percent, hundredths (ratios),
            /// a count. Where `get` has a word, ZFS' number of that.
            pub fn number(&self, name: &str) -> Option<u64> {
                number(&self.list, name)
            }

            /// Names and values of everything that ZFS reported.
            pub fn iter(&self) -> impl Iterator<Item = (String, Property)> {
                self.list.iter().filter_map(|(name, _)| {
                    let name = name.to_string();
                    let property = self.get(&name)?;
                    Some((name, property))
                })
            }
        }
    };
}

properties! {
    /// The properties of a pool, as zpoolprops(7) names them; without the
    /// features, which [`PoolState::features`](crate::PoolState) has.
    PoolProperties, POOL_WORDS
}

properties! {
    /// The properties of a device, as vdevprops(7) names them.
    VdevProperties, VDEV_WORDS
}

impl Zfs {
    /// Reads the properties of a pool.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] where no such pool is imported. Any user may
    /// ask.
    pub fn pool_properties(&self, pool: &PoolName) -> Result<PoolProperties, Error> {
        let list = self
            .device
            .pool_properties(pool.as_str())
            .map_err(|error| error.on(Operation::PoolStatus, pool.as_str()))?;
        let mut list = list;
        for (name, number) in POOL_DEFAULTS {
            if !list.contains(name) {
                let mut entry = NvList::new();
                entry
                    .insert("value", *number)
                    .and_then(|()| entry.insert("source", 2_u64))
                    .and_then(|()| list.insert(name, entry))
                    .map_err(|error| {
                        CallError::Answer(error).on(Operation::PoolStatus, pool.as_str())
                    })?;
            }
        }
        Ok(PoolProperties { list })
    }

    /// Reads the properties of a device of a pool; that of the whole pool has
    /// the GUID of [`PoolState::root`](crate::PoolState).
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] before OpenZFS 2.2, [`Error::is_not_found`]
    /// where there is no such pool or device.
    pub fn vdev_properties(&self, pool: &PoolName, device: Guid) -> Result<VdevProperties, Error> {
        const WHAT: &str = "reading the properties of a device";
        self.needs_kernel(WHAT, "2.2")?;
        let on = |error: CallError| {
            error
                .or_unsupported(WHAT, "2.2")
                .on(Operation::GetVdevProperties, pool.as_str())
        };
        let lzc = self.lzc()?;
        let ask = |names: &[&str]| -> Result<NvList, CallError> {
            let mut which = NvList::new();
            which.insert("vdevprops_get_vdev", device.0)?;
            // Without names: what was set as text, user properties among it.
            if !names.is_empty() {
                let mut list = NvList::new();
                names.iter().try_for_each(|name| list.insert(name, 0_u64))?;
                which.insert("vdevprops_get_props", list)?;
            }
            lzc.get_vdev_prop(pool.as_str(), &which)
        };
        let mut list = ask(VDEV_NAMES).map_err(on)?;
        let mut add = |more: NvList| {
            more.into_iter()
                .try_for_each(|(name, value)| list.insert(name, value))
                .map_err(|error| on(CallError::Answer(error)))
        };
        for name in VDEV_SETTABLE {
            match ask(&[*name]) {
                Ok(one) => add(one)?,
                // Of another kind of device, or of a later release.
                Err(CallError::Zfs(Errno::ENOENT | Errno::EINVAL)) => {}
                Err(error) => return Err(on(error)),
            }
        }
        match ask(&[]) {
            Ok(texts) => add(texts)?,
            Err(CallError::Zfs(Errno::ENOENT)) => {}
            Err(error) => return Err(on(error)),
        }
        Ok(VdevProperties { list })
    }

    /// Sets properties of a device of a pool: user properties, which have a
    /// colon in their names, as text, and others (`allocating`, `checksum_n`)
    /// as the number or text that ZFS keeps, see vdevprops(7).
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] before OpenZFS 2.2; otherwise [`Error::Zfs`],
    /// and properties before the one that failed may have been set.
    pub fn set_vdev_properties(
        &self,
        pool: &PoolName,
        device: Guid,
        properties: &NvList,
    ) -> Result<(), Error> {
        const WHAT: &str = "setting the properties of a device";
        self.needs_kernel(WHAT, "2.2")?;
        let on = |error: CallError| {
            error
                .or_unsupported(WHAT, "2.2")
                .on(Operation::SetVdevProperties, pool.as_str())
        };
        let mut what = NvList::new();
        what.insert("vdevprops_set_vdev", device.0)
            .and_then(|()| what.insert("vdevprops_set_props", properties.clone()))
            .map_err(|error| on(error.into()))?;
        match self
            .lzc()?
            .set_vdev_prop(pool.as_str(), &what)
            .map_err(on)?
            .errno
        {
            None => Ok(()),
            Some(errno) => Err(on(CallError::Zfs(errno))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(name: &str, value: impl Into<Value>, source: u64) -> NvList {
        let mut entry = NvList::new();
        entry.insert("value", value).unwrap();
        entry.insert("source", source).unwrap();
        let mut list = NvList::new();
        list.insert(name, entry).unwrap();
        list
    }

    #[test]
    fn numbers_of_words_are_words_and_none_is_none() {
        let get = |name: &str, number: u64| {
            let list = list(name, number, 1);
            PoolProperties { list }.get(name).map(|read| read.value)
        };
        assert_eq!(get("readonly", 1), Some("on".into()));
        assert_eq!(get("failmode", 2), Some("panic".into()));
        assert_eq!(get("failmode", 9), Some(PropertyValue::Number(9)));
        assert_eq!(get("health", 7), Some("ONLINE".into()));
        assert_eq!(get("size", 77), Some(PropertyValue::Number(77)));
        assert_eq!(get("fragmentation", u64::MAX), None);
    }

    #[test]
    fn the_source_is_a_number_here() {
        let source = |number| {
            let list = list("comment", 1_u64, number);
            PoolProperties { list }.get("comment").unwrap().source
        };
        assert_eq!(source(2), Source::Default);
        assert_eq!(source(8), Source::Local);
        assert_eq!(source(1), Source::None);
    }
}
