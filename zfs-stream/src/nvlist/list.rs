//! The list itself: ordered pairs, looked up by name.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};

use super::{DataType, MAX_NAME_LEN, NvString, Value};
use crate::{Error, Result};

/// From how many pairs on names are found through a hash table: below it, a
/// walk is faster and takes no memory.
const INDEX_FROM: usize = 16;

/// What a list promises about its names (`nvl_nvflag`). Unknown bits are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NvFlags(u32);

impl NvFlags {
    /// Names may repeat.
    pub const NONE: Self = Self(0);
    /// No two pairs have one name (`NV_UNIQUE_NAME`).
    pub const UNIQUE_NAME: Self = Self(1);
    /// No two pairs have one name and one type (`NV_UNIQUE_NAME_TYPE`).
    pub const UNIQUE_NAME_TYPE: Self = Self(2);

    /// The flags of that number.
    pub const fn from_raw(number: u32) -> Self {
        Self(number)
    }

    /// libnvpair's number for them.
    pub const fn to_raw(self) -> u32 {
        self.0
    }

    /// Whether all of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// An ordered list of named values.
///
/// Two lists are equal if they have the same flags and the same pairs in the
/// same order.
#[derive(Clone)]
pub struct NvList {
    flags: NvFlags,
    pairs: Vec<(NvString, Value)>,
    /// Made once there are `INDEX_FROM` pairs. In a box because most lists have
    /// none, and arrays hold many lists.
    index: Option<Box<Index>>,
}

/// Where the pairs are, by the hash of what is looked for: the names themselves
/// stand in the list. Of several pairs with one hash it has the first.
#[derive(Clone, Debug, Default)]
struct Index {
    hasher: RandomState,
    places: HashMap<u64, usize>,
}

impl Index {
    /// The hash of a name, or of a name and a type.
    fn key(&self, name: &[u8], data_type: Option<DataType>) -> u64 {
        self.hasher.hash_one((name, data_type))
    }

    fn add(&mut self, key: u64, at: usize) {
        self.places.entry(key).or_insert(at);
    }
}

impl Default for NvList {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for NvList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

impl PartialEq for NvList {
    fn eq(&self, other: &Self) -> bool {
        self.flags == other.flags && self.pairs == other.pairs
    }
}

/// Typed access: `get_…` answers `None` where the name is missing or has
/// another type, `require_…` says which of the two in an error.
macro_rules! typed_access {
    ($($variant:ident $get:ident $require:ident $type:ty, |$value:ident| $read:expr;)*) => {
        impl NvList {
            $(
                #[doc = concat!("The ", stringify!($variant), " of that name; `None` if it is not there or of another type.")]
                pub fn $get(&self, name: impl AsRef<[u8]>) -> Option<$type> {
                    match self.get(name)? {
                        Value::$variant($value) => Some($read),
                        _ => None,
                    }
                }

                #[doc = concat!("The ", stringify!($variant), " of that name.")]
                ///
                /// # Errors
                ///
                /// [`Error::NvlistMissing`] or [`Error::NvlistType`].
                pub fn $require(&self, name: impl AsRef<[u8]>) -> Result<$type> {
                    match self.require(&name)? {
                        Value::$variant($value) => Ok($read),
                        other => Err(wrong_type(name.as_ref(), DataType::$variant, other)),
                    }
                }
            )*
        }
    };
}

typed_access! {
    Int32 get_i32 require_i32 i32, |value| *value;
    Uint32 get_u32 require_u32 u32, |value| *value;
    Int64 get_i64 require_i64 i64, |value| *value;
    Uint64 get_u64 require_u64 u64, |value| *value;
    BooleanValue get_bool require_bool bool, |value| *value;
    String get_string require_string &NvString, |value| value;
    NvList get_nvlist require_nvlist &NvList, |value| value;
    Uint8Array get_u8_array require_u8_array &[u8], |value| value;
    Uint64Array get_u64_array require_u64_array &[u64], |value| value;
    StringArray get_string_array require_string_array &[NvString], |value| value;
    NvListArray get_nvlist_array require_nvlist_array &[NvList], |value| value;
}

fn wrong_type(name: &[u8], wanted: DataType, found: &Value) -> Error {
    Error::NvlistType {
        name: String::from_utf8_lossy(name).into_owned(),
        wanted,
        found: found.data_type(),
    }
}

impl NvList {
    /// An empty list of unique names, which is what nearly all of ZFS uses
    /// (`fnvlist_alloc`).
    pub fn new() -> Self {
        Self::with_flags(NvFlags::UNIQUE_NAME)
    }

    /// An empty list with those flags.
    pub fn with_flags(flags: NvFlags) -> Self {
        Self {
            flags,
            pairs: Vec::new(),
            index: None,
        }
    }

    /// What the list promises about its names.
    pub fn flags(&self) -> NvFlags {
        self.flags
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The pairs in their order.
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.pairs.iter())
    }

    /// The value of that name, the first if there are several.
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<&Value> {
        let at = self.position(name.as_ref())?;
        self.pairs.get(at).map(|(_, value)| value)
    }

    /// The value of that name.
    ///
    /// # Errors
    ///
    /// [`Error::NvlistMissing`].
    pub fn require(&self, name: impl AsRef<[u8]>) -> Result<&Value> {
        let name = name.as_ref();
        self.get(name).ok_or_else(|| Error::NvlistMissing {
            name: String::from_utf8_lossy(name).into_owned(),
        })
    }

    /// Whether there is a pair of that name, whatever its type. Flags such as
    /// a token's `rawok` are set by being there.
    pub fn contains(&self, name: impl AsRef<[u8]>) -> bool {
        self.position(name.as_ref()).is_some()
    }

    /// The string of that name; `None` if it is not there, of another type or
    /// not UTF-8. [`NvList::get_string`] gives the bytes.
    pub fn get_str(&self, name: impl AsRef<[u8]>) -> Option<&str> {
        self.get_string(name)?.to_str()
    }

    /// Sets a name to a value. In a list of unique names an older value of
    /// that name (with [`NvFlags::UNIQUE_NAME_TYPE`]: and that type) is
    /// replaced where it stands; else the pair is added at the end.
    ///
    /// # Errors
    ///
    /// [`Error::EmbeddedNul`] or [`Error::NameTooLong`] for an impossible name.
    pub fn insert(&mut self, name: impl AsRef<[u8]>, value: impl Into<Value>) -> Result<()> {
        let (name, value) = (name.as_ref(), value.into());
        if name.len() > MAX_NAME_LEN {
            return Err(Error::NameTooLong { length: name.len() });
        }
        let name = NvString::new(name)?;
        if let Some(at) = self.clash(&name, value.data_type()) {
            if let Some(slot) = self.pairs.get_mut(at) {
                slot.1 = value;
            }
        } else {
            self.push(name, value);
        }
        Ok(())
    }

    /// Sets a name to a string.
    ///
    /// # Errors
    ///
    /// As [`NvList::insert`], and [`Error::EmbeddedNul`] for the value.
    pub fn insert_str(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        self.insert(name, NvString::new(value.as_ref())?)
    }

    /// Sets a name without a value, whose meaning is to be there.
    ///
    /// # Errors
    ///
    /// As [`NvList::insert`].
    pub fn insert_flag(&mut self, name: impl AsRef<[u8]>) -> Result<()> {
        self.insert(name, Value::Boolean)
    }

    /// Takes the first pair of that name out.
    pub fn remove(&mut self, name: impl AsRef<[u8]>) -> Option<Value> {
        let at = self.position(name.as_ref())?;
        // The places of all later pairs move; the table is made anew when the
        // next pair comes.
        self.index = None;
        Some(self.pairs.remove(at).1)
    }

    /// The pair that the flags forbid beside one of that name and type.
    pub(super) fn clash(&self, name: &NvString, data_type: DataType) -> Option<usize> {
        if self.flags.contains(NvFlags::UNIQUE_NAME) {
            self.position(name.as_bytes())
        } else if self.by_type() {
            self.find(name.as_bytes(), Some(data_type))
        } else {
            None
        }
    }

    /// Whether pairs are told apart by their types, too.
    fn by_type(&self) -> bool {
        self.flags.contains(NvFlags::UNIQUE_NAME_TYPE) && !self.flags.contains(NvFlags::UNIQUE_NAME)
    }

    /// Adds a pair at the end without asking the flags.
    /// Gives back what it has room for and does not hold. A recursive stream's
    /// list has very many lists of few pairs.
    pub(super) fn shrink(&mut self) {
        self.pairs.shrink_to_fit();
    }

    pub(super) fn push(&mut self, name: NvString, value: Value) {
        self.pairs.push((name, value));
        let new = match self.index {
            // All of them, the first time.
            None if self.pairs.len() >= INDEX_FROM => 0,
            None => return,
            Some(_) => self.pairs.len() - 1,
        };
        let by_type = self.by_type();
        let index = self.index.get_or_insert_default();
        for (at, (name, value)) in self.pairs.iter().enumerate().skip(new) {
            index.add(index.key(name.as_bytes(), None), at);
            if by_type {
                let data_type = Some(value.data_type());
                index.add(index.key(name.as_bytes(), data_type), at);
            }
        }
    }

    fn position(&self, name: &[u8]) -> Option<usize> {
        self.find(name, None)
    }

    /// The first pair of that name, and of that type if one is given.
    fn find(&self, name: &[u8], data_type: Option<DataType>) -> Option<usize> {
        let is = |(other, value): &(NvString, Value)| {
            other.as_bytes() == name && data_type.is_none_or(|wanted| wanted == value.data_type())
        };
        if let Some(index) = &self.index {
            let at = *index.places.get(&index.key(name, data_type))?;
            if self.pairs.get(at).is_some_and(is) {
                return Some(at);
            }
            // Another one has the same hash.
        }
        self.pairs.iter().position(is)
    }
}

/// The pairs of a list in their order.
#[derive(Clone, Debug)]
pub struct Iter<'a>(std::slice::Iter<'a, (NvString, Value)>);

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a NvString, &'a Value);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, value)| (name, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> IntoIterator for &'a NvList {
    type Item = (&'a NvString, &'a Value);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl IntoIterator for NvList {
    type Item = (NvString, Value);
    type IntoIter = std::vec::IntoIter<(NvString, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.pairs.into_iter()
    }
}
