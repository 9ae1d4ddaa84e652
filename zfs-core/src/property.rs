//! Properties: names and values, as ZFS takes them.

use std::collections::BTreeMap;

use zfs_stream::nvlist::{NvList, NvString, Value};

/// The value of a property.
///
/// The kernel takes sizes, counts and the choices of a fixed set (`on`,
/// `lz4`) as numbers, everything else and all user properties as text.
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

    pub(crate) fn to_nvlist(&self) -> zfs_stream::Result<NvList> {
        let mut list = NvList::new();
        for (name, value) in &self.0 {
            let value = match value {
                PropertyValue::Number(number) => Value::Uint64(*number),
                PropertyValue::Text(text) => Value::String(NvString::try_from(text.as_str())?),
            };
            list.insert(name, value)?;
        }
        Ok(list)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_become_what_the_kernel_expects() {
        let properties: Properties = [("a:b", "text"), ("c:d", "")].into_iter().collect();
        let list = properties.with("volsize", 4096).to_nvlist().unwrap();
        assert_eq!(list.get_str("a:b"), Some("text"));
        assert_eq!(list.get_str("c:d"), Some(""));
        assert_eq!(list.get_u64("volsize"), Some(4096));
    }

    #[test]
    fn a_zero_byte_is_refused_and_not_cut_at() {
        assert!(Properties::new().with("a:b", "x\0y").to_nvlist().is_err());
        assert!(Properties::new().with("a\0b", "x").to_nvlist().is_err());
    }
}
