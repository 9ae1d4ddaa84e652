//! Properties: names and values, as ZFS takes them.

mod native;
mod read;
mod set;
mod size;
mod table;
mod words;

use std::collections::BTreeMap;

use crate::error::Failure;

pub use native::{NativeProperty, Unit};
pub use read::{DatasetProperties, Property, Source};
pub(crate) use set::Moment;
pub(crate) use table::native;

/// The value of a property.
///
/// Both forms are taken for most properties: `"128K"` and 131072 for
/// `recordsize`, `"lz4"` and the kernel's own number for `compression`. User
/// properties are texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PropertyValue {
    /// A size in bytes, a count, or the number of a choice.
    Number(u64),
    /// A text.
    Text(String),
}

impl From<u64> for PropertyValue {
    fn from(number: u64) -> PropertyValue {
        PropertyValue::Number(number)
    }
}

impl From<&str> for PropertyValue {
    fn from(text: &str) -> PropertyValue {
        PropertyValue::Text(text.to_owned())
    }
}

impl From<String> for PropertyValue {
    fn from(text: String) -> PropertyValue {
        PropertyValue::Text(text)
    }
}

/// Properties to set, by name.
///
/// ```
/// use zfs_core::Properties;
///
/// let properties = Properties::new()
///     .with("recordsize", 1 << 20)
///     .with("org.example:owner", "ann");
/// assert_eq!(properties.len(), 2);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties(BTreeMap<String, PropertyValue>);

impl Properties {
    /// None.
    pub fn new() -> Properties {
        Properties::default()
    }

    /// These and one more.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<PropertyValue>) -> Properties {
        self.set(name, value);
        self
    }

    /// Adds one, in place of what was set for that name before.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<PropertyValue>) {
        self.0.insert(name.into(), value.into());
    }

    /// The value for that name.
    pub fn get(&self, name: &str) -> Option<&PropertyValue> {
        self.0.get(name)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &PropertyValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

/// A property that could not be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the property {property} could not be set: {}", failure.what())]
#[non_exhaustive]
pub struct PropertyError {
    /// Its name.
    pub property: String,
    /// What ZFS said.
    #[source]
    pub failure: Failure,
}

impl<N: Into<String>, V: Into<PropertyValue>> FromIterator<(N, V)> for Properties {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(properties: I) -> Properties {
        let mut all = Properties::new();
        all.extend(properties);
        all
    }
}

impl<N: Into<String>, V: Into<PropertyValue>> Extend<(N, V)> for Properties {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, properties: I) {
        for (name, value) in properties {
            self.set(name, value);
        }
    }
}
