//! The table of native properties, for whoever asks about it.

use super::PropertyValue;
use super::table::{self, Access, Default, Kind, NATIVE, Native, On};
use crate::list::DatasetKind;
use crate::version::Version;

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

    /// The words that it takes, where it takes no others; none where it is a
    /// number or a text.
    pub fn words(&self) -> impl Iterator<Item = &'static str> {
        self.native
            .choices(self.version)
            .iter()
            .map(|(word, _)| *word)
    }

    /// Whether it is a size or another number.
    pub fn is_number(&self) -> bool {
        match self.native.kind {
            Kind::Bytes | Kind::Count | Kind::Limit | Kind::Ratio => true,
            Kind::Choice(_) | Kind::Text => false,
        }
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
