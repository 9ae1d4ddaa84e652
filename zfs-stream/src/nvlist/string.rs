//! The strings of nvlists: bytes without a NUL.

use std::borrow::Borrow;
use std::fmt;

use crate::{Error, Result};

/// A name or string of an nvlist: any bytes but NUL, usually UTF-8.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NvString(Box<[u8]>);

impl NvString {
    /// Takes the bytes.
    ///
    /// # Errors
    ///
    /// [`Error::EmbeddedNul`] if there is a NUL among them.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self> {
        let bytes = bytes.into();
        match bytes.iter().position(|&byte| byte == 0) {
            Some(offset) => Err(Error::EmbeddedNul {
                offset,
                length: bytes.len(),
            }),
            None => Ok(Self(bytes.into_boxed_slice())),
        }
    }

    /// The bytes, without the terminating NUL that the encodings add.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text, if it is UTF-8.
    pub fn to_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl fmt::Display for NvString {
    /// What is not UTF-8 is shown as U+FFFD.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(&self.0).fmt(f)
    }
}

impl fmt::Debug for NvString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl AsRef<[u8]> for NvString {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for NvString {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq<str> for NvString {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for NvString {
    fn eq(&self, other: &&str) -> bool {
        self == *other
    }
}

impl TryFrom<&str> for NvString {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl TryFrom<&[u8]> for NvString {
    type Error = Error;

    fn try_from(bytes: &[u8]) -> Result<Self> {
        Self::new(bytes)
    }
}
