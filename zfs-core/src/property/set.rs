//! Setting and inheriting properties.

use zfs_stream::nvlist::{NvList, NvString, Value};

use super::size::{not_a_size, parse_size};
use super::table::{self, Access, Kind, Native};
use super::{Properties, PropertyError, PropertyValue};
use crate::error::{Errno, Error, Failure, Operation};
use crate::ffi::CallError;
use crate::mount::{Changes, Mounts};
use crate::name::DatasetName;
use crate::space::SpaceOf;
use crate::version::Version;
use crate::zfs::{Name, Zfs};

/// What a property is to be set on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// A dataset that is being created: everything can be chosen.
    Creation,
    /// One that exists.
    Later,
    /// Values that came with a stream, of a later release perhaps: it is the
    /// kernel's to say of each whether it takes it.
    Received,
}

/// Why a value is not set.
#[derive(Debug)]
enum Refusal {
    Invalid(String),
    /// The running release has no such property, or no such word for it.
    Later {
        what: String,
        since: Version,
    },
}

impl From<String> for Refusal {
    fn from(reason: String) -> Refusal {
        Refusal::Invalid(reason)
    }
}

impl From<&str> for Refusal {
    fn from(reason: &str) -> Refusal {
        Refusal::Invalid(reason.to_owned())
    }
}

impl Refusal {
    fn of(self, property: &str) -> CallError {
        match self {
            Refusal::Invalid(reason) => CallError::Invalid(format!("{property}: {reason}")),
            Refusal::Later { what, since } => CallError::Unsupported {
                what: what.into(),
                since: since.release(),
            },
        }
    }
}

impl Properties {
    /// The list that the kernel takes: its numbers in place of people's words.
    pub(crate) fn to_nvlist(&self, version: Version, moment: Moment) -> Result<NvList, CallError> {
        let mut list = NvList::new();
        for (property, value) in self.iter() {
            if let Some((what, who)) = SpaceOf::of_property(property) {
                let (name, value) = somebody_s_quota(what, who, value)
                    .map_err(|reason| Refusal::Invalid(reason).of(property))?;
                list.insert(name, value)?;
                continue;
            }
            let value = kernel_value(property, value, version, moment)
                .map_err(|refusal| refusal.of(property))?;
            let value = match value {
                PropertyValue::Number(number) => Value::Uint64(number),
                PropertyValue::Text(text) => Value::String(NvString::try_from(text.as_str())?),
            };
            let property = table::native(property).map_or(property, |native| native.name);
            list.insert(property, value)?;
        }
        Ok(list)
    }

    /// The name that a property was given by which the kernel knows by that
    /// one.
    fn name_of(&self, kernel: &str) -> String {
        let given = self.iter().find(|(given, value)| {
            SpaceOf::of_property(given)
                .and_then(|(what, who)| somebody_s_quota(what, who, value).ok())
                .is_some_and(|(name, _)| name == kernel)
        });
        given.map_or(kernel, |(given, _)| given).to_owned()
    }

    /// The value for a native property under whichever of its names, and
    /// whether it is there.
    pub(crate) fn native(&self, name: &str) -> Option<&PropertyValue> {
        let named = |given: &str| table::native(given).is_some_and(|native| native.name == name);
        let given = self.iter().find(|(given, _)| named(given));
        given.map(|(_, value)| value)
    }

    /// The number that a native property is to have.
    pub(crate) fn native_number(&self, name: &str, version: Version) -> Option<u64> {
        match kernel_value(name, self.native(name)?, version, Moment::Creation) {
            Ok(PropertyValue::Number(number)) => Some(number),
            _ => None,
        }
    }

    /// Sets a native property in place of what was set under any of its names.
    pub(crate) fn replace_native(&mut self, name: &'static str, value: u64) {
        self.0
            .retain(|given, _| table::native(given).is_none_or(|native| native.name != name));
        self.set(name, value);
    }
}

/// `userquota@ann` as the kernel takes it: the number is in the name, in hex,
/// before the domain of those that Windows knows, and again in the value.
fn somebody_s_quota(
    what: SpaceOf,
    who: &str,
    value: &PropertyValue,
) -> Result<(String, Vec<u64>), String> {
    if !what.is_quota() {
        return Err("it cannot be set, ZFS reports it".to_owned());
    }
    let id = what.number_of(who)?;
    let quota = match value {
        PropertyValue::Number(number) => *number,
        PropertyValue::Text(text) if text == "none" => 0,
        PropertyValue::Text(text) => parse_size(text).ok_or_else(|| not_a_size(text))?,
    };
    let name = format!("{}{id:x}-", what.prefix());
    Ok((name, vec![what as u64, u64::from(id), quota]))
}

/// What the kernel takes for a value as people write it, or why there is no
/// such thing.
fn kernel_value(
    property: &str,
    value: &PropertyValue,
    version: Version,
    moment: Moment,
) -> Result<PropertyValue, Refusal> {
    let Some(native) = table::native(property) else {
        // A user property is text, whatever is in it. Anything else is one of
        // a later version, which the kernel knows better.
        return Ok(match value {
            PropertyValue::Number(number) if property.contains(':') => {
                PropertyValue::Text(number.to_string())
            }
            other => other.clone(),
        });
    };
    let known = if moment == Moment::Received {
        Version::NEWEST
    } else {
        version
    };
    if native.since > known {
        return Err(Refusal::Later {
            what: format!("the property {}", native.name),
            since: native.since,
        });
    }
    match native.access {
        Access::ReadOnly => return Err("it cannot be set, ZFS reports it".into()),
        Access::Once if moment == Moment::Later => {
            return Err("it can be chosen only when the dataset is created".into());
        }
        _ => {}
    }
    match (native.kind, value) {
        (Kind::Text, PropertyValue::Number(number)) => Ok(PropertyValue::Text(number.to_string())),
        (Kind::Text, PropertyValue::Text(text)) => {
            if native.name == "mountpoint" {
                mountpoint(text)?;
            }
            Ok(PropertyValue::Text(text.clone()))
        }
        (_, PropertyValue::Number(number)) => Ok(block_size(native, *number)?),
        (_, PropertyValue::Text(text)) => {
            if let Some(since) = native.comes_with(text, known) {
                let what = format!("{}={text}", native.name);
                return Err(Refusal::Later { what, since });
            }
            // What "on" is for this one is the running release's to say.
            let words = if native.name == "xattr" {
                version
            } else {
                known
            };
            Ok(block_size(native, number(native, text, words)?)?)
        }
    }
}

/// The kernel leaves it to zfs(8) to have checked these: a dataset with
/// `recordsize=3` or `mountpoint=here` can be made.
fn block_size(native: &Native, number: u64) -> Result<PropertyValue, String> {
    let is_size = match native.name {
        "recordsize" | "volblocksize" => true,
        "special_small_blocks" => number != 0,
        _ => false,
    };
    if is_size && !(number.is_power_of_two() && (512..=16 << 20).contains(&number)) {
        return Err(format!(
            "{number} is not a power of two from 512 to 16777216"
        ));
    }
    Ok(PropertyValue::Number(number))
}

/// A path that mount(8) can be given, or one of the two words.
fn mountpoint(text: &str) -> Result<(), &'static str> {
    /// PATH_MAX and NAME_MAX of Linux.
    const LONGEST: (usize, usize) = (4095, 255);
    match text {
        "none" | "legacy" => Ok(()),
        path if !path.starts_with('/') => Err("it is neither an absolute path, none nor legacy"),
        path if path.len() > LONGEST.0 => Err("the path is too long"),
        path if path.split('/').any(|part| part.len() > LONGEST.1) => {
            Err("a component of the path is too long")
        }
        _ => Ok(()),
    }
}

fn number(native: &Native, text: &str, version: Version) -> Result<u64, String> {
    if let Some((_, number)) = native.choices(version).find(|(word, _)| *word == text) {
        return Ok(number);
    }
    let words: Vec<&str> = native.choices(version).map(|(word, _)| word).collect();
    if !words.is_empty() {
        return Err(format!("{text:?} is none of {}", words.join(", ")));
    }
    match (text, native.kind) {
        ("none", Kind::Limit) => Ok(u64::MAX),
        ("none", Kind::Bytes) => Ok(0),
        ("auto", _) if native.name == "refreservation" => {
            Err("\"auto\" is for volumes that are there, or are created or cloned".to_owned())
        }
        _ => parse_size(text).ok_or_else(|| not_a_size(text)),
    }
}

impl Zfs {
    /// Sets properties on a dataset, or user properties on a snapshot.
    ///
    /// Values are as zfs(8) takes them (`compression` `zstd-3`, `quota`
    /// `10G`), or numbers.
    ///
    /// Mounts follow, as with zfs-set(8): a changed `mountpoint` moves what is
    /// mounted, with the filesystems that inherit it; `canmount=off` unmounts;
    /// `exec`, `readonly`, `atime` and their kin count at once, for those below
    /// that inherit them too. `sharenfs` and `sharesmb` of what is mounted are
    /// refused, since nothing is shared here.
    ///
    /// `userquota@ann` and its kin ([`SpaceOf`]) take a user by name or number.
    /// `refreservation=auto` on a volume is all that it can take
    /// ([`VolumeLayout`](crate::VolumeLayout)); a new `volsize` leaves the
    /// reservation as it is.
    ///
    /// # Errors
    ///
    /// [`Error::Properties`] says which could not be set; **the others are
    /// set**. [`Error::InvalidRequest`] for a value that the property cannot
    /// have; then none is set. [`Error::Mount`] where something cannot be
    /// unmounted, and then nothing is changed, or cannot be mounted again.
    ///
    /// # Example
    ///
    /// ```no_run
    /// use zfs_core::{DatasetName, Properties, Zfs};
    ///
    /// let zfs = Zfs::open()?;
    /// let home: DatasetName = "tank/home".parse()?;
    /// zfs.set_properties(&home, &Properties::new().with("compression", "zstd").with("quota", "10G"))?;
    /// # Ok::<(), zfs_core::Error>(())
    /// ```
    pub fn set_properties<N: Name>(&self, name: &N, properties: &Properties) -> Result<(), Error> {
        self.set_properties_with(name, properties, Mounts::Follow)
    }

    /// As [`Zfs::set_properties`]; with [`Mounts::Leave`] everything stays
    /// mounted as it is (`zfs set -u`).
    ///
    /// # Errors
    ///
    /// As [`Zfs::set_properties`].
    pub fn set_properties_with<N: Name>(
        &self,
        name: &N,
        properties: &Properties,
        mounts: Mounts,
    ) -> Result<(), Error> {
        let name = name.as_ref();
        let properties = self.auto_reserved(name, properties)?;
        let list = properties
            .to_nvlist(self.version(), Moment::Later)
            .map_err(|error| error.on(Operation::SetProperty, name))?;
        if list.is_empty() {
            return Ok(());
        }
        let mut changes = Changes::default();
        for (property, _) in &list {
            let property = property.to_string();
            changes.add(&property, list.get_str(&property), list.get_u64(&property));
        }
        match name.parse::<DatasetName>() {
            Ok(dataset) if mounts == Mounts::Follow => {
                self.with_mounts_following(Operation::SetProperty, &dataset, &changes, || {
                    self.set_list(name, &list, &properties)
                })
            }
            _ => self.set_list(name, &list, &properties),
        }
    }

    fn set_list(&self, name: &str, list: &NvList, given: &Properties) -> Result<(), Error> {
        let Err((error, failed)) = self.device.set_properties(name, list) else {
            return Ok(());
        };
        let errors: Vec<PropertyError> = failed
            .iter()
            .filter_map(|(property, value)| match value {
                Value::Int32(errno) => Some(PropertyError {
                    property: given.name_of(&property.to_string()),
                    failure: Failure::new(Operation::SetProperty, name, Errno(*errno)),
                }),
                _ => None,
            })
            .collect();
        if errors.is_empty() {
            return Err(error.on(Operation::SetProperty, name));
        }
        Err(Error::Properties {
            name: name.to_owned(),
            errors,
        })
    }

    /// Gives a property back to what the dataset above has, or to the default
    /// (`zfs inherit`). A received value stays stored, and unused. Mounts
    /// follow as with [`Zfs::set_properties`].
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`] where it is no property, or none that is inherited
    /// (`quota`); [`Zfs::revert_property`] clears those.
    pub fn inherit_property<N: Name>(&self, name: &N, property: &str) -> Result<(), Error> {
        self.inherit(name.as_ref(), property, false)
    }

    /// Gives a property back to the value that came with a stream, or where
    /// there is none to what is inherited (`zfs inherit -S`).
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`] where it is no property, or one that cannot be changed.
    pub fn revert_property<N: Name>(&self, name: &N, property: &str) -> Result<(), Error> {
        self.inherit(name.as_ref(), property, true)
    }

    fn inherit(&self, name: &str, property: &str, received: bool) -> Result<(), Error> {
        let property = table::native(property).map_or(property, |native| native.name);
        let inherit = || self.inherit_one(name, property, received);
        let mut changes = Changes::default();
        changes.add(property, None, None);
        match name.parse::<DatasetName>() {
            Ok(dataset) => {
                self.with_mounts_following(Operation::InheritProperty, &dataset, &changes, inherit)
            }
            Err(_) => inherit(),
        }
    }

    fn inherit_one(&self, name: &str, property: &str, received: bool) -> Result<(), Error> {
        self.device
            .inherit(name, property, received)
            .map_err(|error| match error {
                CallError::Zfs(errno) => Error::Properties {
                    name: name.to_owned(),
                    errors: vec![PropertyError {
                        property: property.to_owned(),
                        failure: Failure::new(Operation::InheritProperty, name, errno),
                    }],
                },
                other => other.on(Operation::InheritProperty, name),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(property: &str, value: impl Into<PropertyValue>) -> Result<PropertyValue, String> {
        value_in(Version::new(2, 3), property, value)
    }

    fn value_in(
        version: Version,
        property: &str,
        value: impl Into<PropertyValue>,
    ) -> Result<PropertyValue, String> {
        let value = kernel_value(property, &value.into(), version, Moment::Later);
        value.map_err(|refusal| match refusal.of(property) {
            CallError::Invalid(reason) => {
                let reason = reason.strip_prefix(&format!("{property}: "));
                reason.unwrap_or_default().to_owned()
            }
            CallError::Unsupported { what, since } => format!("{what} since {since}"),
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn what_comes_with_a_later_release_is_refused_with_its_number() {
        let (old, new) = (Version::OLDEST, Version::NEWEST);
        for (property, word, text, number) in [
            ("checksum", "blake3", "checksum=blake3 since 2.2", 14),
            (
                "dedup",
                "blake3,verify",
                "dedup=blake3,verify since 2.2",
                270,
            ),
            ("snapdir", "disabled", "snapdir=disabled since 2.3", 2),
            ("direct", "always", "the property direct since 2.3", 2),
            ("prefetch", "all", "the property prefetch since 2.3", 2),
        ] {
            assert_eq!(value_in(old, property, word), Err(text.to_owned()));
            assert_eq!(value_in(new, property, word), Ok(number.into()));
        }
        // The kernel is asked.
        let received = Properties::new()
            .with("direct", 2)
            .with("checksum", "blake3");
        let received = received.with("xattr", "on");
        let list = received.to_nvlist(old, Moment::Received).unwrap();
        assert_eq!(list.get_u64("direct"), Some(2));
        assert_eq!(list.get_u64("checksum"), Some(14));
        assert_eq!(list.get_u64("xattr"), Some(1), "directories");
    }

    #[test]
    fn numbers_and_texts_become_what_the_kernel_expects() {
        let properties: Properties = [("a:b", "text"), ("c:d", "")].into_iter().collect();
        let properties = properties.with("volsize", "4K").with("compress", "lz4");
        let list = properties
            .to_nvlist(Version::NEWEST, Moment::Later)
            .unwrap();
        assert_eq!(list.get_str("a:b"), Some("text"));
        assert_eq!(list.get_str("c:d"), Some(""));
        assert_eq!(list.get_u64("volsize"), Some(4096));
        assert_eq!(list.get_u64("compression"), Some(15));
    }

    #[test]
    fn a_zero_byte_is_refused_and_not_cut_at() {
        let list = |properties: Properties| properties.to_nvlist(Version::NEWEST, Moment::Later);
        assert!(list(Properties::new().with("a:b", "x\0y")).is_err());
        assert!(list(Properties::new().with("a\0b", "x")).is_err());
    }

    #[test]
    fn words_become_the_kernel_s_numbers() {
        assert_eq!(value("compression", "zstd-3"), Ok((16_u64 | 3 << 7).into()));
        assert_eq!(value("readonly", "on"), Ok(1_u64.into()));
        assert_eq!(value("canmount", "noauto"), Ok(2_u64.into()));
        assert_eq!(value("copies", "2"), Ok(2_u64.into()));
        assert_eq!(value("recsize", "128K"), Ok(131_072_u64.into()));
        assert_eq!(value("quota", "none"), Ok(0_u64.into()));
        assert_eq!(value("snapshot_limit", "none"), Ok(u64::MAX.into()));
        assert_eq!(value("mountpoint", "none"), Ok("none".into()));
        assert_eq!(value("a:b", "on"), Ok("on".into()));
        assert_eq!(value("a:b", 7_u64), Ok("7".into()));
    }

    #[test]
    fn a_word_that_is_none_is_refused_with_those_that_are() {
        let error = value("canmount", "maybe").unwrap_err();
        assert_eq!(error, "\"maybe\" is none of off, on, noauto");
        assert!(value("quota", "lots").unwrap_err().contains("not a number"));
    }

    #[test]
    fn a_block_size_is_a_power_of_two() {
        for bad in [0_u64, 3, 256, 3000, 131_073] {
            let error = value("recordsize", bad).unwrap_err();
            assert!(error.contains("power of two"), "{error}");
        }
        assert!(value("recordsize", "100K").is_err());
        assert_eq!(value("recordsize", 512_u64), Ok(512_u64.into()));
        assert_eq!(value("recordsize", "16M"), Ok((16_u64 << 20).into()));
        assert_eq!(value("quota", 3000_u64), Ok(3000_u64.into()));
    }

    #[test]
    fn small_blocks_are_none_or_a_power_of_two() {
        assert_eq!(value("special_small_blocks", "0"), Ok(0_u64.into()));
        assert_eq!(value("special_small_blocks", "4K"), Ok(4096_u64.into()));
        assert!(value("special_small_blocks", 5000_u64).is_err());
        assert!(value("recordsize", "32M").is_err());
    }

    #[test]
    fn a_mountpoint_is_a_path_that_can_be_mounted_at() {
        for good in ["none", "legacy", "/", "/srv/a b"] {
            assert_eq!(value("mountpoint", good), Ok(good.into()));
        }
        for bad in ["", "here", "./here", &format!("/{}", "x".repeat(256))] {
            assert!(value("mountpoint", bad).is_err(), "{bad}");
        }
        assert!(value("mountpoint", "/x".repeat(2048)).is_err());
    }

    #[test]
    fn what_zfs_reports_cannot_be_set() {
        assert!(value("used", 1_u64).unwrap_err().contains("reports"));
        assert!(value("encryption", "on").unwrap_err().contains("created"));
        let created = kernel_value(
            "encryption",
            &"on".into(),
            Version::new(2, 1),
            Moment::Creation,
        );
        assert_eq!(created.unwrap(), 1_u64.into());
    }
}
