//! The table of native properties, for whoever asks about it.

use super::PropertyValue;
use super::table::{self, Access, Default, Kind, NATIVE, Native, On};
use crate::list::DatasetKind;
use crate::version::Version;

/// What the number of a property counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unit {
    /// Bytes; where it is a limit, 0 is none.
    Bytes,
    /// How many, or how often; where it is a limit, [`u64::MAX`] is none.
    Count,
    /// Hundredths of one: a ratio of 1.50 is 150.
    Hundredths,
    /// Seconds since 1970, in UTC.
    Seconds,
    /// Nothing: it names something, as a GUID or a transaction group does.
    Identifier,
}

/// A property that ZFS itself gives a meaning to, as one release has it.
///
/// ```
/// use zfs_core::{NativeProperty, Version};
///
/// let compression = NativeProperty::named("compress", Version::new(2, 3)).unwrap();
/// assert_eq!(compression.name(), "compression");
/// assert!(compression.words().any(|word| word == "zstd-3"));
/// assert_eq!(compression.default(), Some("on".into()));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct NativeProperty {
    native: &'static Native,
    version: Version,
}

impl NativeProperty {
    /// All that the release has, in no order. [`Zfs::version`] is the running
    /// one.
    ///
    /// [`Zfs::version`]: crate::Zfs::version
    pub fn all(version: Version) -> impl Iterator<Item = NativeProperty> {
        NATIVE
            .iter()
            .filter(move |native| native.since <= version)
            .map(move |native| NativeProperty { native, version })
    }

    /// The one of that name, or of one of zfs(8)'s short names, where the
    /// release has it.
    pub fn named(name: &str, version: Version) -> Option<NativeProperty> {
        let native = table::native(name)?;
        (native.since <= version).then_some(NativeProperty { native, version })
    }

    /// Its whole name.
    pub fn name(&self) -> &'static str {
        self.native.name
    }

    /// The words that it takes in this release, where it takes no others; none
    /// where it is a number or a text.
    pub fn words(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.choices().map(|(word, _)| word)
    }

    /// Its words, each with the number that the kernel knows it by, which
    /// means nothing beside another property. Of several words for one number
    /// the first is the one that ZFS shows.
    ///
    /// ```
    /// use zfs_core::{NativeProperty, Version};
    ///
    /// let canmount = NativeProperty::named("canmount", Version::OLDEST).unwrap();
    /// assert!(canmount.choices().eq([("off", 0), ("on", 1), ("noauto", 2)]));
    /// ```
    pub fn choices(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        self.native.choices(self.version)
    }

    /// What its number counts; none where it is a word or a text.
    ///
    /// ```
    /// use zfs_core::{NativeProperty, Unit, Version};
    ///
    /// let unit = |name| NativeProperty::named(name, Version::NEWEST).unwrap().unit();
    /// assert_eq!(unit("quota"), Some(Unit::Bytes));
    /// assert_eq!(unit("creation"), Some(Unit::Seconds));
    /// assert_eq!(unit("compression"), None);
    /// ```
    pub fn unit(&self) -> Option<Unit> {
        match self.native.kind {
            Kind::Bytes => Some(Unit::Bytes),
            Kind::Count | Kind::Limit => Some(Unit::Count),
            Kind::Ratio => Some(Unit::Hundredths),
            Kind::Seconds => Some(Unit::Seconds),
            Kind::Identifier => Some(Unit::Identifier),
            Kind::Choice(_) | Kind::Text => None,
        }
    }

    /// Whether it is a size or another number.
    pub fn is_number(&self) -> bool {
        self.unit().is_some()
    }

    /// What it is where nobody set it and nothing is inherited: a word, a text,
    /// or a number, sizes in bytes and a limit of `none` as the largest. None
    /// where ZFS reports it.
    pub fn default(&self) -> Option<PropertyValue> {
        match self.native.default(self.version) {
            Default::Number(number) => Some(match self.native.word(number, self.version) {
                Some(word) => word.into(),
                None => PropertyValue::Number(number),
            }),
            Default::Text(text) => Some(text.into()),
            Default::None | Default::Changed(..) => None,
        }
    }

    /// Whether ZFS reports it, and nobody can set it.
    pub fn is_read_only(&self) -> bool {
        self.native.access == Access::ReadOnly
    }

    /// Whether it is chosen when the dataset is created, and stays.
    pub fn is_set_once(&self) -> bool {
        self.native.access == Access::Once
    }

    /// Whether datasets inherit it from those above them.
    pub fn is_inherited(&self) -> bool {
        self.native.inheritable
    }

    /// Whether datasets of that kind have it.
    pub fn is_of(&self, kind: DatasetKind) -> bool {
        let kind = match kind {
            DatasetKind::Filesystem => On::FILESYSTEM,
            DatasetKind::Volume => On::VOLUME,
        };
        self.native.on(self.version).intersects(kind)
    }

    /// Whether snapshots have it.
    pub fn is_of_snapshots(&self) -> bool {
        self.native.on(self.version).intersects(On::SNAPSHOT)
    }
}
