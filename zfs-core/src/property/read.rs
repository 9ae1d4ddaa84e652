//! Properties as ZFS reports them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use zfs_stream::nvlist::{NvList, Value};

use super::PropertyValue;
use super::table::{self, Default, Kind, Native, On};
use crate::error::{Errno, Error, Operation};
use crate::ffi::CallError;
use crate::ffi::ioctl::answer;
use crate::name::DatasetName;
use crate::space::SpaceOf;
use crate::version::Version;
use crate::zfs::{Name, Zfs};

/// Where the value of a property comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// ZFS reports it; nobody can set it.
    None,
    /// Nobody set it.
    Default,
    /// It was set on this very dataset or snapshot.
    Local,
    /// It was set on the dataset of that name, above it.
    Inherited(String),
    /// It came with a stream.
    Received,
}

impl std::fmt::Display for Source {
    /// As zfs-get(8) has it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::None => f.write_str("-"),
            Source::Default => f.write_str("default"),
            Source::Local => f.write_str("local"),
            Source::Inherited(from) => write!(f, "inherited from {from}"),
            Source::Received => f.write_str("received"),
        }
    }
}

/// A property as ZFS reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// Its value. Choices (`on`, `lz4`) are texts here, in ZFS' words.
    pub value: PropertyValue,
    /// Where that comes from.
    pub source: Source,
}

/// All properties of a dataset or snapshot, as they were when it was read.
///
/// What nobody set is there with ZFS' default, which differs between versions
/// (`compression` is `off` before 2.2, and `on` from then on).
#[derive(Clone, Debug)]
pub struct DatasetProperties {
    name: String,
    on: On,
    version: Version,
    list: NvList,
    altroot: Option<Arc<str>>,
}

impl DatasetProperties {
    pub(crate) fn new(name: &str, version: Version, list: NvList) -> DatasetProperties {
        let volume = list
            .get_nvlist("type")
            .and_then(|entry| entry.get_u64("value"))
            == Some(3);
        let on = match (name.contains('@'), volume) {
            // A bookmark has what ZFS tells of it and no defaults.
            _ if name.contains('#') => On::empty(),
            (true, _) => On::SNAPSHOT,
            (false, true) => On::VOLUME,
            (false, false) => On::FILESYSTEM,
        };
        DatasetProperties {
            name: name.to_owned(),
            on,
            version,
            list,
            altroot: None,
        }
    }

    /// The folder that the pool's mountpoints lie below.
    pub(crate) fn set_altroot(&mut self, altroot: Option<Arc<str>>) {
        self.altroot = altroot;
    }

    /// The folder that the mountpoint here is told with, where the pool was
    /// imported with one and this was read by [`Zfs::properties`],
    /// [`Zfs::dataset`] or [`Zfs::list_datasets`].
    pub fn altroot(&self) -> Option<&str> {
        self.altroot.as_deref()
    }

    /// A property by its name; none where there is no such property here.
    pub fn get(&self, name: &str) -> Option<Property> {
        let native = table::native(name);
        let name = native.map_or(name, |native| native.name);
        let Some(entry) = self.list.get_nvlist(name) else {
            return self.default(native?);
        };
        let source = self.source(name, entry);
        let value = match (entry.get("value")?, native) {
            (Value::Uint64(number), Some(native)) => self.word(native, *number),
            (Value::Uint64(number), None) => PropertyValue::Number(*number),
            (Value::String(text), _) if name == "mountpoint" => {
                PropertyValue::Text(self.mountpoint(&text.to_string(), &source))
            }
            (Value::String(text), _) => PropertyValue::Text(text.to_string()),
            (Value::NvList(names), _) => PropertyValue::Text(joined(names.iter().map(|(n, _)| n))),
            (Value::Uint64Array(guids), _) => PropertyValue::Text(joined(guids.iter())),
            _ => return None,
        };
        Some(Property { value, source })
    }

    /// The number of a property: bytes, a count, hundredths (ratios), seconds
    /// since 1970. For a choice, the kernel's own number for it.
    pub fn number(&self, name: &str) -> Option<u64> {
        let native = table::native(name);
        let name = native.map_or(name, |native| native.name);
        match self.list.get_nvlist(name) {
            Some(entry) => entry.get_u64("value"),
            None => match self.default_here(native?)? {
                Default::Number(number) => Some(number),
                _ => None,
            },
        }
    }

    /// A text as ZFS keeps it, borrowed; of numbers and choices none.
    /// [`DatasetProperties::get`] makes words of those.
    pub fn str(&self, name: &str) -> Option<&str> {
        self.list.get_nvlist(name)?.get_str("value")
    }

    /// As `zfs get -Hp -o value` has it; `-` where there is no such property.
    pub fn text(&self, name: &str) -> String {
        let kind = table::native(name).map(|native| native.kind);
        match self.get(name).map(|property| property.value) {
            None => "-".to_owned(),
            Some(PropertyValue::Text(text)) => text,
            Some(PropertyValue::Number(hundredths)) if kind == Some(Kind::Ratio) => {
                format!("{}.{:02}", hundredths / 100, hundredths % 100)
            }
            // 2.1 shows the number, later versions the word.
            Some(PropertyValue::Number(u64::MAX))
                if kind == Some(Kind::Limit) && self.version > Version::OLDEST =>
            {
                "none".to_owned()
            }
            Some(PropertyValue::Number(number)) => number.to_string(),
        }
    }

    /// A time, where it is one.
    pub(crate) fn time(&self, name: &str) -> Option<SystemTime> {
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(self.number(name)?))
    }

    /// The clones of a snapshot, where ZFS can tell their names.
    pub fn clones(&self) -> Option<Vec<DatasetName>> {
        let names = self.list.get_nvlist("clones")?.get_nvlist("value")?;
        names
            .iter()
            .map(|(name, _)| name.to_str()?.parse().ok())
            .collect()
    }

    /// Names and values of everything that ZFS reported, user properties
    /// among them; without the defaults.
    pub fn iter(&self) -> impl Iterator<Item = (String, Property)> {
        self.list.iter().filter_map(|(name, _)| {
            let name = name.to_string();
            let property = self.get(&name)?;
            Some((name, property))
        })
    }

    /// The user properties: those with a colon in their names.
    pub fn user(&self) -> impl Iterator<Item = (String, Property)> {
        self.iter().filter(|(name, _)| name.contains(':'))
    }

    fn word(&self, native: &Native, number: u64) -> PropertyValue {
        if native.name == "type" && self.on == On::SNAPSHOT {
            return "snapshot".into();
        }
        match native.word(number, self.version) {
            Some(word) => word.into(),
            None => PropertyValue::Number(number),
        }
    }

    /// The default of a property that this dataset can have.
    fn default_here(&self, native: &Native) -> Option<Default> {
        let here = native.on(self.version).intersects(self.on) && native.since <= self.version;
        here.then(|| native.default(self.version))
    }

    fn default(&self, native: &Native) -> Option<Property> {
        let value = match self.default_here(native)? {
            Default::Number(number) => self.word(native, number),
            Default::Text(text) if native.name == "mountpoint" => {
                PropertyValue::Text(self.mountpoint(text, &Source::Default))
            }
            Default::Text(text) => text.into(),
            Default::None | Default::Changed(..) => return None,
        };
        Some(Property {
            value,
            source: Source::Default,
        })
    }

    fn source(&self, name: &str, entry: &NvList) -> Source {
        /// Kept outside the property lists; ZFS gives no source for what is
        /// set on them.
        const LOCAL: &[&str] = &[
            "quota",
            "refquota",
            "reservation",
            "refreservation",
            "volsize",
            "filesystem_limit",
            "snapshot_limit",
            "filesystem_count",
            "snapshot_count",
            "canmount",
        ];
        match entry.get_string("source") {
            None if LOCAL.contains(&name) => Source::Local,
            None => Source::None,
            Some(source) if source.as_bytes().is_empty() => Source::Default,
            Some(source) => match source.to_string() {
                source if source.contains("$recvd") => Source::Received,
                source if source == self.name => Source::Local,
                source => Source::Inherited(source),
            },
        }
    }

    /// Where a filesystem is mounted: an inherited mountpoint is followed by
    /// the part of the name below the dataset that it was set on, and the
    /// pool's `altroot` goes before all.
    fn mountpoint(&self, value: &str, source: &Source) -> String {
        if !value.starts_with('/') {
            return value.to_owned();
        }
        let below = match source {
            Source::Default => Some(self.name.as_str()),
            Source::Inherited(from) => self
                .name
                .strip_prefix(from.as_str())
                .map(|rest| rest.trim_start_matches('/')),
            _ => None,
        };
        let root = self.altroot.as_deref().unwrap_or_default();
        match below {
            Some(below) if !below.is_empty() => {
                format!("{root}{}/{below}", value.trim_end_matches('/'))
            }
            _ if value == "/" && !root.is_empty() => root.to_owned(),
            _ => format!("{root}{value}"),
        }
    }
}

fn joined(items: impl Iterator<Item = impl std::fmt::Display>) -> String {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    items.join(",")
}

impl Zfs {
    /// Reads all properties of a dataset or snapshot, with what a filesystem
    /// keeps in itself (`version`, `utf8only`, `normalization`,
    /// `casesensitivity`) where that can be read.
    ///
    /// What `mount -o` set for the time being is not considered.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] where it does not exist, and
    /// [`Error::InvalidRequest`] for a bookmark.
    pub fn properties<N: Name>(&self, name: &N) -> Result<DatasetProperties, Error> {
        let name = name.as_ref();
        let on = |error: CallError| error.on(Operation::GetProperties, name);
        if name.contains('#') {
            return Err(Error::invalid(
                Operation::GetProperties,
                name,
                "a bookmark has no properties that can be read this way (list the bookmarks)",
            ));
        }
        let cmd = self.device.stats(name, true).map_err(on)?;
        let mut list = answer(&cmd).map_err(on)?;
        match self.device.zpl_properties(name) {
            Ok(inner) => {
                for (property, value) in &inner {
                    let mut entry = NvList::new();
                    entry
                        .insert("value", value.clone())
                        .and_then(|()| list.insert(property, entry))
                        .map_err(|error| on(CallError::Request(error)))?;
                }
            }
            // A volume, an incomplete receive, or one whose key is not loaded.
            Err(CallError::Zfs(Errno::ENOENT | Errno::EACCES | Errno::EIO | Errno::EINVAL)) => {}
            Err(error) => return Err(on(error)),
        }
        let mut properties = DatasetProperties::new(name, self.device.version(), list);
        let pool = name.split(['/', '@']).next().unwrap_or_default();
        properties.set_altroot(self.device.altroot(pool));
        Ok(properties)
    }

    /// Reads the values that came with a stream, which are kept where another
    /// value was set since (`zfs get -o received`). What came with none is not
    /// among what [`DatasetProperties::iter`] has.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] where it does not exist.
    pub fn received_properties<N: Name>(&self, name: &N) -> Result<DatasetProperties, Error> {
        let name = name.as_ref();
        let on = |error: CallError| error.on(Operation::GetProperties, name);
        let list = match self.device.received_properties(name) {
            // Nothing was ever received there, or it does not exist.
            Err(CallError::Zfs(Errno::ENOTSUP)) => {
                self.device.stats(name, false).map_err(on)?;
                NvList::new()
            }
            answer => answer.map_err(on)?,
        };
        Ok(DatasetProperties::new(name, self.device.version(), list))
    }

    /// Reads one property of a dataset or snapshot; none where it has no such
    /// property.
    ///
    /// # Errors
    ///
    /// As [`Zfs::properties`].
    pub fn property<N: Name>(&self, name: &N, property: &str) -> Result<Option<Property>, Error> {
        if let Some((what, who)) = SpaceOf::of_property(property) {
            return match self.space_of(name, what, what.id_of(who)?) {
                Ok(number) => Ok(Some(Property {
                    value: PropertyValue::Number(number),
                    source: Source::Local,
                })),
                // A volume counts nobody's.
                Err(Error::Zfs(failure)) if failure.errno == Errno::EINVAL => Ok(None),
                Err(error) => Err(error),
            };
        }
        Ok(self.properties(name)?.get(property))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(value: impl Into<Value>, source: Option<&str>) -> NvList {
        let mut entry = NvList::new();
        entry.insert("value", value).unwrap();
        if let Some(source) = source {
            entry.insert_str("source", source).unwrap();
        }
        entry
    }

    fn text(value: &str, source: &str) -> NvList {
        let mut entry = NvList::new();
        entry.insert_str("value", value).unwrap();
        entry.insert_str("source", source).unwrap();
        entry
    }

    fn properties(name: &str, entries: Vec<(&str, NvList)>) -> DatasetProperties {
        let mut list = NvList::new();
        for (name, entry) in entries {
            list.insert(name, entry).unwrap();
        }
        DatasetProperties::new(name, Version::new(2, 3), list)
    }

    #[test]
    fn choices_are_read_as_words_and_numbers_stay_numbers() {
        let read = properties(
            "tank/a",
            vec![
                ("compression", entry(15_u64, Some("tank"))),
                ("used", entry(98_304_u64, None)),
                ("compressratio", entry(105_u64, None)),
                ("sync", entry(77_u64, Some("tank/a"))),
            ],
        );
        let compression = read.get("compression").unwrap();
        assert_eq!(compression.value, "lz4".into());
        assert_eq!(compression.source, Source::Inherited("tank".into()));
        assert_eq!(read.number("compression"), Some(15));
        assert_eq!(read.get("used").unwrap().source, Source::None);
        assert_eq!(read.text("used"), "98304");
        assert_eq!(read.text("compressratio"), "1.05");
        // A number that no word is known for is better than none.
        assert_eq!(read.text("sync"), "77");
    }

    #[test]
    fn the_source_is_told_by_the_name_it_was_set_on() {
        let source = |from: Option<&str>| {
            let read = properties("tank/a", vec![("atime", entry(0_u64, from))]);
            read.get("atime").unwrap().source
        };
        assert_eq!(source(Some("tank/a")), Source::Local);
        assert_eq!(source(Some("tank")), Source::Inherited("tank".into()));
        assert_eq!(source(Some("$recvd")), Source::Received);
        assert_eq!(source(Some("")), Source::Default);
        assert_eq!(source(None), Source::None);
        let read = properties("tank/a", vec![("refquota", entry(4096_u64, None))]);
        assert_eq!(read.get("refquota").unwrap().source, Source::Local);
    }

    #[test]
    fn what_is_not_set_has_the_default_of_the_version() {
        let read = |version| DatasetProperties::new("tank/a", version, NvList::new());
        let new = read(Version::new(2, 2));
        assert_eq!(new.text("compression"), "on");
        assert_eq!(read(Version::new(2, 1)).text("compression"), "off");
        assert_eq!(new.get("compression").unwrap().source, Source::Default);
        assert_eq!(new.number("recordsize"), Some(131_072));
        // Not of this kind of dataset, not of this version, not settable.
        assert_eq!(new.get("volblocksize"), None);
        assert_eq!(new.get("direct"), None);
        assert_eq!(new.get("receive_resume_token"), None);
        assert_eq!(new.text("origin"), "-");
    }

    #[test]
    fn an_inherited_mountpoint_goes_on_with_the_rest_of_the_name() {
        let mountpoint = |value: &str, source: &str| {
            properties("tank/a/b", vec![("mountpoint", text(value, source))]).text("mountpoint")
        };
        assert_eq!(mountpoint("/srv", "tank/a"), "/srv/b");
        assert_eq!(mountpoint("/", "tank"), "/a/b");
        assert_eq!(mountpoint("/srv", "tank/a/b"), "/srv");
        assert_eq!(mountpoint("/srv", "$recvd"), "/srv");
        assert_eq!(mountpoint("none", "tank"), "none");
        assert_eq!(mountpoint("legacy", "tank"), "legacy");
        assert_eq!(
            properties("tank/a/b", vec![]).text("mountpoint"),
            "/tank/a/b"
        );
    }

    #[test]
    fn a_snapshot_is_one_and_not_of_its_dataset_s_type() {
        let read = properties("tank/a@x", vec![("type", entry(2_u64, None))]);
        assert_eq!(read.text("type"), "snapshot");
        assert_eq!(read.text("recordsize"), "-");
        let volume = properties("tank/v", vec![("type", entry(3_u64, None))]);
        assert_eq!(volume.text("type"), "volume");
        assert_eq!(volume.text("mountpoint"), "-");
    }

    #[test]
    fn clones_are_names() {
        let mut names = NvList::new();
        names.insert_flag("tank/b").unwrap();
        names.insert_flag("tank/c").unwrap();
        let read = properties("tank/a@x", vec![("clones", entry(names, None))]);
        let clones = read.clones().unwrap();
        assert_eq!(clones.len(), 2);
        assert_eq!(clones[0], "tank/b");
        assert_eq!(read.text("clones"), "tank/b,tank/c");
    }

    #[test]
    fn user_properties_are_told_by_the_colon() {
        let read = properties(
            "tank/a",
            vec![
                ("org.example:keep", text("30", "tank")),
                ("used", entry(1_u64, None)),
            ],
        );
        let user: Vec<_> = read.user().collect();
        assert_eq!(user.len(), 1);
        assert_eq!(user[0].0, "org.example:keep");
        assert_eq!(read.str("org.example:keep"), Some("30"));
    }
}
