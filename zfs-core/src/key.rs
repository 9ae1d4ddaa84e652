//! Encryption keys: loading, unloading, changing.

use std::fmt;
use std::path::{Component, Path};

use zeroize::Zeroizing;
use zfs_stream::nvlist::{NvList, NvString};

use crate::error::{Error, Operation};
use crate::ffi::CallError;
use crate::name::DatasetName;
use crate::zfs::Zfs;

/// How many bytes a wrapping key has (`WRAPPING_KEY_LEN` of OpenZFS).
pub const WRAPPING_KEY_BYTES: usize = 32;

/// `dcp_cmd_t` of `sys/dsl_crypt.h`: a new key for the dataset.
const NEW_KEY: u64 = 2;
/// `dcp_cmd_t`: the key of the parent's encryption root from now on.
const INHERIT: u64 = 3;

/// `zfs_keyformat_t` of `sys/fs/zfs.h`: 32 bytes as they are.
const KEYFORMAT_RAW: u64 = 1;

/// The 32 bytes that wrap the master keys of an encryption root: the content
/// of a key file with `keyformat=raw`.
///
/// They are zeroed when this goes, and never shown. libzfs_core and the
/// kernel make copies of their own, which this crate cannot reach; the
/// library's are freed unzeroed when the call returns.
#[derive(Clone)]
pub struct WrappingKey(Zeroizing<[u8; WRAPPING_KEY_BYTES]>);

impl WrappingKey {
    /// A key of these bytes.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`] where they are not 32.
    pub fn from_slice(bytes: &[u8]) -> Result<WrappingKey, Error> {
        let mut key = Zeroizing::new([0; WRAPPING_KEY_BYTES]);
        if bytes.len() != key.len() {
            return Err(Error::InvalidKey { bytes: bytes.len() });
        }
        key.copy_from_slice(bytes);
        Ok(WrappingKey(key))
    }

    pub(crate) fn bytes(&self) -> &[u8; WRAPPING_KEY_BYTES] {
        &self.0
    }
}

impl From<[u8; WRAPPING_KEY_BYTES]> for WrappingKey {
    fn from(bytes: [u8; WRAPPING_KEY_BYTES]) -> WrappingKey {
        WrappingKey(Zeroizing::new(bytes))
    }
}

impl fmt::Debug for WrappingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WrappingKey(…)")
    }
}

/// The property `keylocation`: where zfs-load-key(8) looks for the key. This
/// crate only records it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyLocation(String);

impl KeyLocation {
    /// Somebody types it, or gives it on standard input.
    pub fn prompt() -> KeyLocation {
        KeyLocation("prompt".into())
    }

    /// It is in that file.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKeyLocation`] where the path is not absolute, has `.`
    /// or `..` in it, or is not UTF-8.
    pub fn file(path: impl AsRef<Path>) -> Result<KeyLocation, Error> {
        let path = path.as_ref();
        let plain = path
            .components()
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        match path.to_str() {
            Some(text) if path.is_absolute() && plain && !text.contains('\0') => {
                Ok(KeyLocation(format!("file://{text}")))
            }
            _ => Err(Error::InvalidKeyLocation(path.to_owned())),
        }
    }

    /// The property's value.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The property `encryption`: how the data is encrypted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum Cipher {
    /// OpenZFS' default, AES-256-GCM since 0.8.4.
    #[default]
    On,
    /// `aes-128-ccm`
    Aes128Ccm,
    /// `aes-192-ccm`
    Aes192Ccm,
    /// `aes-256-ccm`
    Aes256Ccm,
    /// `aes-128-gcm`
    Aes128Gcm,
    /// `aes-192-gcm`
    Aes192Gcm,
    /// `aes-256-gcm`
    Aes256Gcm,
}

impl Cipher {
    /// `enum zio_encrypt` of `sys/fs/zfs.h`.
    fn number(self) -> u64 {
        match self {
            Cipher::On => 1,
            Cipher::Aes128Ccm => 3,
            Cipher::Aes192Ccm => 4,
            Cipher::Aes256Ccm => 5,
            Cipher::Aes128Gcm => 6,
            Cipher::Aes192Gcm => 7,
            Cipher::Aes256Gcm => 8,
        }
    }
}

/// How a new dataset is encrypted: it becomes an encryption root with a key
/// of its own.
///
/// ```
/// use zfs_core::{Cipher, Encryption, KeyLocation, WrappingKey};
///
/// let key = WrappingKey::from([7; 32]);
/// let encryption = Encryption::raw(key)
///     .cipher(Cipher::Aes256Gcm)
///     .location(KeyLocation::file("/etc/zfs/tank.key")?);
/// # Ok::<(), zfs_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Encryption {
    pub(crate) key: WrappingKey,
    cipher: Cipher,
    location: KeyLocation,
}

impl Encryption {
    /// With a raw key, the default cipher, and the key asked for when it is
    /// loaded.
    pub fn raw(key: WrappingKey) -> Encryption {
        Encryption {
            key,
            cipher: Cipher::default(),
            location: KeyLocation::prompt(),
        }
    }

    /// With that cipher.
    #[must_use]
    pub fn cipher(mut self, cipher: Cipher) -> Encryption {
        self.cipher = cipher;
        self
    }

    /// With the key kept there.
    #[must_use]
    pub fn location(mut self, location: KeyLocation) -> Encryption {
        self.location = location;
        self
    }

    /// Adds the properties that say so to those of a new dataset.
    pub(crate) fn describe(&self, properties: &mut NvList) -> zfs_stream::Result<()> {
        properties.insert("encryption", self.cipher.number())?;
        describe_key(&self.location, properties)
    }
}

fn describe_key(location: &KeyLocation, properties: &mut NvList) -> zfs_stream::Result<()> {
    properties.insert("keyformat", KEYFORMAT_RAW)?;
    properties.insert("keylocation", NvString::try_from(location.as_str())?)
}

impl Zfs {
    /// Loads the key of an encryption root, so that its datasets can be
    /// mounted and written to. It mounts nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`]: it is the wrong key, is loaded already, or the dataset
    /// is no encryption root.
    pub fn load_key(&self, dataset: &DatasetName, key: &WrappingKey) -> Result<(), Error> {
        self.lzc
            .load_key(dataset.as_str(), key, false)
            .map_err(|error| error.on(Operation::LoadKey, dataset.as_str()))
    }

    /// Tells whether this is the key of an encryption root, and loads nothing
    /// (`zfs load-key -n`).
    ///
    /// # Errors
    ///
    /// As [`Zfs::load_key`], but that the key is loaded is no reason.
    pub fn check_key(&self, dataset: &DatasetName, key: &WrappingKey) -> Result<(), Error> {
        self.lzc
            .load_key(dataset.as_str(), key, true)
            .map_err(|error| error.on(Operation::LoadKey, dataset.as_str()))
    }

    /// Unloads the key of an encryption root. Its datasets must not be
    /// mounted.
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`]: no key is loaded, something that uses it is mounted,
    /// or the dataset is no encryption root.
    pub fn unload_key(&self, dataset: &DatasetName) -> Result<(), Error> {
        self.lzc
            .unload_key(dataset.as_str())
            .map_err(|error| error.on(Operation::UnloadKey, dataset.as_str()))
    }

    /// Gives a dataset a raw key of its own, in place of the one it has. If it
    /// used its parent's, it becomes an encryption root. What is on disk stays
    /// as it is: only the master keys are wrapped anew.
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`]: its present key is not loaded, it is not encrypted, or
    /// it is a clone.
    pub fn change_key(
        &self,
        dataset: &DatasetName,
        key: &WrappingKey,
        location: &KeyLocation,
    ) -> Result<(), Error> {
        let on = |error: CallError| error.on(Operation::ChangeKey, dataset.as_str());
        let mut properties = NvList::new();
        describe_key(location, &mut properties).map_err(|error| on(error.into()))?;
        self.lzc
            .change_key(dataset.as_str(), NEW_KEY, Some(&properties), Some(key))
            .map_err(on)
    }

    /// Makes an encryption root use the key of the dataset above it
    /// (`zfs change-key -i`). Both keys must be loaded.
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`]: one of the keys is not loaded, or it is no encryption
    /// root.
    pub fn inherit_key(&self, dataset: &DatasetName) -> Result<(), Error> {
        self.lzc
            .change_key(dataset.as_str(), INHERIT, None, None)
            .map_err(|error| error.on(Operation::ChangeKey, dataset.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_exactly_32_bytes() {
        WrappingKey::from_slice(&[1; 32]).unwrap();
        for length in [0, 31, 33, 64, 88] {
            let error = WrappingKey::from_slice(&vec![1; length]).unwrap_err();
            assert!(error.to_string().contains(&length.to_string()), "{error}");
        }
    }

    #[test]
    fn a_key_is_never_shown() {
        let key = WrappingKey::from([0x41; 32]);
        let shown = format!("{key:?} {:?}", Encryption::raw(key.clone()));
        assert!(!shown.contains("65") && !shown.contains("41"), "{shown}");
    }

    #[test]
    fn a_key_file_has_an_absolute_path() {
        let location = KeyLocation::file("/etc/zfs/my key").unwrap();
        assert_eq!(location.as_str(), "file:///etc/zfs/my key");
        for path in ["", "key", "./key", "/etc/../key", "/a\0b"] {
            assert!(KeyLocation::file(path).is_err(), "{path:?}");
        }
    }
}
