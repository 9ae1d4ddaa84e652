//! Encryption keys: loading, unloading, changing.

mod location;
mod material;
mod state;

use std::fmt;
use std::fs::File;
use std::io::Read;

use zeroize::Zeroizing;
use zfs_stream::nvlist::{NvList, NvString};

use crate::error::{Errno, Error, Operation};
use crate::ffi::CallError;
use crate::name::DatasetName;
use crate::zfs::Zfs;

pub use location::KeyLocation;
pub use material::{Key, KeyFormat};
pub use state::{EncryptionState, IvSet};

/// How many bytes a wrapping key has (`WRAPPING_KEY_LEN` of OpenZFS).
pub const WRAPPING_KEY_BYTES: usize = 32;

/// `dcp_cmd_t` of `sys/dsl_crypt.h`: a new key for the dataset.
const NEW_KEY: u64 = 2;
/// `dcp_cmd_t`: the key of the parent's encryption root from now on.
const INHERIT: u64 = 3;
/// The same two without any key being loaded (`DCP_CMD_FORCE_NEW_KEY`,
/// `DCP_CMD_FORCE_INHERIT`).
const FORCE_NEW_KEY: u64 = 4;
const FORCE_INHERIT: u64 = 5;

/// The 32 bytes that wrap the master keys of an encryption root: the content
/// of a key file with `keyformat=raw`.
///
/// They stay at one place in memory, are zeroed when this goes, and never
/// shown. Of what others do with them no more can be said: libzfs_core and the
/// kernel make copies of their own, which this crate cannot reach, and the
/// library's are freed unzeroed when the call returns. Hashing a passphrase
/// leaves intermediate values on the stack, and so may whoever had the bytes
/// before.
pub struct WrappingKey(Box<Zeroizing<[u8; WRAPPING_KEY_BYTES]>>);

impl WrappingKey {
    /// A key of these bytes.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`] where they are not 32.
    pub fn from_slice(bytes: &[u8]) -> Result<WrappingKey, Error> {
        Ok(Key::raw(bytes)?.wrapping_key(0, 0))
    }

    /// One whose bytes `fill` puts into their place, where nothing moves them.
    fn filled(fill: impl FnOnce(&mut [u8; WRAPPING_KEY_BYTES])) -> WrappingKey {
        let mut key = WrappingKey(Box::default());
        fill(&mut key.0);
        key
    }

    pub(crate) fn bytes(&self) -> &[u8; WRAPPING_KEY_BYTES] {
        &self.0
    }
}

impl From<[u8; WRAPPING_KEY_BYTES]> for WrappingKey {
    fn from(bytes: [u8; WRAPPING_KEY_BYTES]) -> WrappingKey {
        let bytes = Zeroizing::new(bytes);
        WrappingKey::filled(|key| key.copy_from_slice(&*bytes))
    }
}

impl Clone for WrappingKey {
    fn clone(&self) -> WrappingKey {
        WrappingKey::filled(|key| key.copy_from_slice(self.bytes()))
    }
}

impl fmt::Debug for WrappingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WrappingKey(…)")
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
    const ALL: [(Cipher, &str); 7] = [
        (Cipher::On, "on"),
        (Cipher::Aes128Ccm, "aes-128-ccm"),
        (Cipher::Aes192Ccm, "aes-192-ccm"),
        (Cipher::Aes256Ccm, "aes-256-ccm"),
        (Cipher::Aes128Gcm, "aes-128-gcm"),
        (Cipher::Aes192Gcm, "aes-192-gcm"),
        (Cipher::Aes256Gcm, "aes-256-gcm"),
    ];

    fn from_number(number: u64) -> Option<Cipher> {
        let all = Cipher::ALL.into_iter();
        all.map(|(cipher, _)| cipher)
            .find(|cipher| cipher.number() == number)
    }

    /// The cipher of ZFS' word for it: `on`, `aes-256-gcm`.
    pub fn parse(word: &str) -> Option<Cipher> {
        let mut all = Cipher::ALL.into_iter();
        all.find(|(_, known)| *known == word)
            .map(|(cipher, _)| cipher)
    }

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
/// use zfs_core::{Cipher, Encryption, Key, KeyLocation};
///
/// let encryption = Encryption::new(Key::passphrase("correct horse battery staple")?)
///     .cipher(Cipher::Aes256Gcm)
///     .location(KeyLocation::file("/etc/zfs/tank.key")?);
/// # Ok::<(), zfs_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Encryption {
    key: Key,
    cipher: Cipher,
    location: KeyLocation,
}

impl Encryption {
    /// With that key, the default cipher, and the key asked for when it is
    /// loaded. A passphrase gets a new random salt each time.
    pub fn new(key: Key) -> Encryption {
        Encryption {
            key,
            cipher: Cipher::default(),
            location: KeyLocation::prompt(),
        }
    }

    /// With a raw key.
    pub fn raw(key: WrappingKey) -> Encryption {
        Encryption::new(key.into())
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

    /// What goes to the kernel for a new dataset.
    pub(crate) fn prepare(&self) -> Result<NewKey, CallError> {
        let mut new = NewKey::of(&self.key, &self.location)?;
        new.properties.insert("encryption", self.cipher.number())?;
        Ok(new)
    }
}

/// A key as the kernel takes it when it is new: the bytes that wrap, and the
/// properties that say what they were made of.
pub(crate) struct NewKey {
    pub(crate) key: WrappingKey,
    properties: NvList,
}

impl NewKey {
    fn of(key: &Key, location: &KeyLocation) -> Result<NewKey, CallError> {
        location.check_new()?;
        let mut properties = NvList::new();
        properties.insert("keyformat", key.format().number())?;
        properties.insert("keylocation", NvString::try_from(location.as_str())?)?;
        if key.format() != KeyFormat::Passphrase {
            return Ok(NewKey {
                key: key.wrapping_key(0, 0),
                properties,
            });
        }
        let iterations = key.iterations_wanted();
        let fits = u32::try_from(iterations)
            .ok()
            .filter(|_| iterations >= material::MIN_ITERATIONS);
        let Some(count) = fits else {
            return Err(CallError::Invalid(format!(
                "pbkdf2iters cannot be {iterations}: from {} to {} are possible",
                material::MIN_ITERATIONS,
                u32::MAX
            )));
        };
        let salt = random_salt().map_err(|error| {
            CallError::Invalid(format!("there is no random salt to be had: {error}"))
        })?;
        properties.insert("pbkdf2iters", iterations)?;
        // The kernel keeps it as a property that zfs(8) does not show.
        properties.insert("pbkdf2salt", salt)?;
        Ok(NewKey {
            key: key.wrapping_key(salt, count),
            properties,
        })
    }

    /// Adds the properties to those of a new dataset.
    pub(crate) fn describe(&self, properties: &mut NvList) -> zfs_stream::Result<()> {
        for (name, value) in &self.properties {
            properties.insert(name, value.clone())?;
        }
        Ok(())
    }
}

fn random_salt() -> std::io::Result<u64> {
    let mut salt = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut salt)?;
    Ok(u64::from_ne_bytes(salt))
}

impl Zfs {
    /// Loads the key of an encryption root, so that its datasets can be
    /// mounted and written to. It mounts nothing.
    ///
    /// A passphrase is hashed with the dataset's salt and number of
    /// iterations, which takes a moment and is meant to.
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`]: it is the wrong key, is loaded already, or the dataset
    /// is no encryption root. [`Error::InvalidRequest`] for a passphrase where
    /// the dataset's key is none.
    ///
    /// # Example
    ///
    /// ```no_run
    /// use zfs_core::{DatasetName, Key, KeyFormat, Zfs};
    ///
    /// let zfs = Zfs::open()?;
    /// let secret: DatasetName = "tank/secret".parse()?;
    /// zfs.load_key(&secret, &Key::file(KeyFormat::Hex, "/etc/zfs/secret.hex")?)?;
    /// # Ok::<(), zfs_core::Error>(())
    /// ```
    pub fn load_key(&self, dataset: &DatasetName, key: &Key) -> Result<(), Error> {
        self.load(dataset, key, false)
    }

    /// Tells whether this is the key of an encryption root, and loads nothing
    /// (`zfs load-key -n`).
    ///
    /// # Errors
    ///
    /// As [`Zfs::load_key`], but that the key is loaded is no reason.
    pub fn check_key(&self, dataset: &DatasetName, key: &Key) -> Result<(), Error> {
        self.load(dataset, key, true)
    }

    fn load(&self, dataset: &DatasetName, key: &Key, only_check: bool) -> Result<(), Error> {
        let key = self.wrapping_key(dataset, key)?;
        self.lzc()?
            .load_key(dataset.as_str(), &key, only_check)
            .map_err(|error| error.on(Operation::LoadKey, dataset.as_str()))
    }

    /// A key with the salt and the iterations of the dataset whose key it
    /// should be.
    fn wrapping_key(&self, dataset: &DatasetName, key: &Key) -> Result<WrappingKey, Error> {
        if key.format() != KeyFormat::Passphrase {
            return Ok(key.wrapping_key(0, 0));
        }
        let invalid = |reason: String| Error::invalid(Operation::LoadKey, dataset.as_str(), reason);
        let Some(state) = self.encryption(dataset)? else {
            return Err(invalid("it is not encrypted".to_owned()));
        };
        match (state.format, state.salt, state.pbkdf2_iterations) {
            (KeyFormat::Passphrase, Some(salt), Some(iterations)) => {
                let iterations = u32::try_from(iterations)
                    .map_err(|_| invalid(format!("its pbkdf2iters is {iterations}")))?;
                Ok(key.wrapping_key(salt, iterations))
            }
            (KeyFormat::Passphrase, ..) => Err(Error::UnexpectedAnswer {
                operation: Operation::LoadKey,
                name: dataset.to_string(),
                reason: "a passphrase without salt or iterations".to_owned(),
            }),
            (format, ..) => Err(invalid(format!(
                "its key is in the format {format}, and a passphrase was given"
            ))),
        }
    }

    /// Unloads the key of an encryption root. Its datasets must not be
    /// mounted.
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`]: no key is loaded, something that uses it is mounted,
    /// or the dataset is no encryption root.
    pub fn unload_key(&self, dataset: &DatasetName) -> Result<(), Error> {
        let Err(error) = self.lzc()?.unload_key(dataset.as_str()) else {
            return Ok(());
        };
        // The same number for a dataset that is not there, and for one that
        // has no key.
        if matches!(error, CallError::Zfs(Errno::ENOENT)) {
            self.properties(dataset)?;
        }
        Err(error.on(Operation::UnloadKey, dataset.as_str()))
    }

    /// Gives a dataset a key of its own, in place of the one it has. If it
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
        key: &Key,
        location: &KeyLocation,
    ) -> Result<(), Error> {
        let on = |error: CallError| error.on(Operation::ChangeKey, dataset.as_str());
        let new = NewKey::of(key, location).map_err(on)?;
        self.lzc()?
            .change_key(
                dataset.as_str(),
                NEW_KEY,
                Some(&new.properties),
                Some(&new.key),
            )
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
        self.lzc()?
            .change_key(dataset.as_str(), INHERIT, None, None)
            .map_err(|error| error.on(Operation::ChangeKey, dataset.as_str()))
    }

    /// Makes a dataset an encryption root of its own, with the wrapped key
    /// that it uses now and without that being loaded: for receivers of raw
    /// streams, who put right which dataset is a root.
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`]: it is not encrypted, or is a root already.
    pub fn force_key_root(&self, dataset: &DatasetName) -> Result<(), Error> {
        self.lzc()?
            .change_key(dataset.as_str(), FORCE_NEW_KEY, None, None)
            .map_err(|error| error.on(Operation::ChangeKey, dataset.as_str()))
    }

    /// Makes an encryption root use the key of the dataset above it, without
    /// either being loaded. Only the receiver of a raw stream knows that both
    /// are the same key; were they not, the data could not be read any more.
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`]: it is no encryption root, or what is above it is not
    /// encrypted.
    pub fn force_inherit_key(&self, dataset: &DatasetName) -> Result<(), Error> {
        self.lzc()?
            .change_key(dataset.as_str(), FORCE_INHERIT, None, None)
            .map_err(|error| error.on(Operation::ChangeKey, dataset.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapping_key_is_exactly_32_bytes() {
        WrappingKey::from_slice(&[1; 32]).unwrap();
        for length in [0, 31, 33, 64, 88] {
            let error = WrappingKey::from_slice(&vec![1; length]).unwrap_err();
            assert!(error.to_string().contains(&length.to_string()), "{error}");
        }
    }

    #[test]
    fn a_key_s_bytes_stay_where_they_are_and_are_copied_by_a_clone_alone() {
        let key = WrappingKey::from([7; 32]);
        let at = key.bytes().as_ptr();
        let moved = Key::from(key);
        let shared = moved.clone();
        let Key { material, .. } = &moved;
        let material::Material::Raw(key) = material else {
            panic!("{moved:?}");
        };
        assert_eq!(key.bytes().as_ptr(), at);
        assert_ne!(shared.wrapping_key(0, 0).bytes().as_ptr(), at);
        assert_eq!(shared.wrapping_key(0, 0).bytes(), &[7; 32]);
    }

    #[test]
    fn a_key_is_never_shown() {
        let key = WrappingKey::from([0x41; 32]);
        let shown = format!("{key:?} {:?}", Encryption::raw(key.clone()));
        assert!(!shown.contains("65") && !shown.contains("41"), "{shown}");
    }

    #[test]
    fn a_passphrase_takes_salt_and_iterations_with_it() {
        let list = |key: Key| {
            let mut list = NvList::new();
            Encryption::new(key)
                .prepare()
                .unwrap()
                .describe(&mut list)
                .unwrap();
            list
        };
        let phrase = || {
            Key::passphrase("correct horse")
                .unwrap()
                .iterations(100_000)
        };
        let (one, other) = (list(phrase()), list(phrase()));
        assert_eq!(one.get_u64("keyformat"), Some(3));
        assert_eq!(one.get_u64("pbkdf2iters"), Some(100_000));
        assert_ne!(one.get_u64("pbkdf2salt"), other.get_u64("pbkdf2salt"));
        let raw = list([7; 32].into());
        assert!(raw.get_u64("pbkdf2iters").is_none() && raw.get_u64("pbkdf2salt").is_none());
    }

    #[test]
    fn iterations_that_openzfs_does_not_take_are_refused() {
        for iterations in [0, 1, 99_999, 1 << 32] {
            let key = Key::passphrase("correct horse")
                .unwrap()
                .iterations(iterations);
            assert!(Encryption::new(key).prepare().is_err(), "{iterations}");
        }
    }
}
