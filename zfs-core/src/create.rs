//! Creating filesystems and volumes.

use std::borrow::Cow;

use zfs_stream::nvlist::NvList;

use crate::error::{Error, Operation};
use crate::ffi::{CallError, DatasetType};
use crate::key::{Encryption, NewKey};
use crate::name::DatasetName;
use crate::property::{Moment, Properties, PropertyValue};
use crate::version::Version;
use crate::volume::{VolumeLayout, is_auto};
use crate::zfs::Zfs;

/// What to create.
///
/// ```no_run
/// use zfs_core::{CreateRequest, Encryption, Key, KeyFormat, Zfs};
///
/// let zfs = Zfs::open()?;
/// zfs.create(&CreateRequest::filesystem("tank/home".parse()?).property("recordsize", 1 << 20))?;
/// zfs.create(&CreateRequest::volume("tank/disk".parse()?, 16 << 30).volblocksize(16 << 10))?;
///
/// let key = Key::file(KeyFormat::Raw, "/etc/zfs/secret.key")?;
/// zfs.create(&CreateRequest::filesystem("tank/secret".parse()?).encryption(Encryption::new(key)))?;
/// # Ok::<(), zfs_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CreateRequest {
    name: DatasetName,
    volsize: Option<u64>,
    properties: Properties,
    encryption: Option<Encryption>,
    parents: bool,
    fitted: bool,
}

impl CreateRequest {
    /// A filesystem.
    pub fn filesystem(name: DatasetName) -> CreateRequest {
        CreateRequest {
            name,
            volsize: None,
            properties: Properties::new(),
            encryption: None,
            parents: false,
            fitted: false,
        }
    }

    /// A volume of `volsize` bytes, which must be a multiple of its block
    /// size.
    ///
    /// It is what the kernel makes of it: sparse, with nothing reserved, so
    /// that a write to it fails where the pool is full; and of ZFS' default
    /// block size, which wastes space on RAID-Z and dRAID with large sectors.
    /// `zfs create -V` has other defaults, and here they are to be asked for:
    /// [`CreateRequest::thick`] and [`CreateRequest::fit_to_pool`].
    ///
    /// ```no_run
    /// use zfs_core::{CreateRequest, Zfs};
    ///
    /// // As `zfs create -V 16G tank/disk`.
    /// let disk = CreateRequest::volume("tank/disk".parse()?, 16 << 30);
    /// Zfs::open()?.create(&disk.fit_to_pool().thick())?;
    /// # Ok::<(), zfs_core::Error>(())
    /// ```
    pub fn volume(name: DatasetName, volsize: u64) -> CreateRequest {
        CreateRequest {
            volsize: Some(volsize),
            ..CreateRequest::filesystem(name)
        }
    }

    /// The block size of a volume in bytes, a power of two; else ZFS' default.
    #[must_use]
    pub fn volblocksize(self, bytes: u64) -> CreateRequest {
        self.property("volblocksize", bytes)
    }

    /// A volume that has all reserved for it that it can take
    /// (`refreservation=auto`), as `zfs create -V` without `-s` makes it.
    #[must_use]
    pub fn thick(self) -> CreateRequest {
        self.property("refreservation", "auto")
    }

    /// A volume of the block size that zfs(8) chooses for the pool's devices,
    /// where none is given, and of a size rounded up to a multiple of it
    /// ([`VolumeLayout`]).
    #[must_use]
    pub fn fit_to_pool(mut self) -> CreateRequest {
        self.fitted = true;
        self
    }

    /// With that property set.
    #[must_use]
    pub fn property(
        mut self,
        name: impl Into<String>,
        value: impl Into<PropertyValue>,
    ) -> CreateRequest {
        self.properties.set(name, value);
        self
    }

    /// With these properties set.
    #[must_use]
    pub fn properties(mut self, properties: &Properties) -> CreateRequest {
        self.properties.extend(
            properties
                .iter()
                .map(|(name, value)| (name.to_owned(), value.clone())),
        );
        self
    }

    /// Encrypted, with a key of its own. Without this it is as its parent is.
    #[must_use]
    pub fn encryption(mut self, encryption: Encryption) -> CreateRequest {
        self.encryption = Some(encryption);
        self
    }

    /// Creates the filesystems above it that are missing, with the properties
    /// that they inherit.
    #[must_use]
    pub fn parents(mut self) -> CreateRequest {
        self.parents = true;
        self
    }

    /// With numbers for what depends on the pool.
    fn laid_out(&self, layout: &VolumeLayout, version: Version) -> CreateRequest {
        let mut request = self.clone();
        let Some(mut volsize) = self.volsize else {
            return request;
        };
        let given = self.properties.native_number("volblocksize", version);
        let block = given.unwrap_or(if self.fitted {
            layout.volblocksize()
        } else {
            VolumeLayout::default_volblocksize(version)
        });
        if self.fitted {
            request.properties.replace_native("volblocksize", block);
            volsize = volsize.checked_next_multiple_of(block).unwrap_or(volsize);
            request.volsize = Some(volsize);
        }
        if is_auto(&self.properties) {
            let bytes = layout.reservation(volsize, block);
            request.properties.replace_native("refreservation", bytes);
        }
        request
    }

    fn to_nvlist(&self, version: Version, key: Option<&NewKey>) -> Result<NvList, CallError> {
        let mut list = self.properties.to_nvlist(version, Moment::Creation)?;
        if let Some(volsize) = self.volsize {
            list.insert("volsize", volsize)?;
        }
        if let Some(key) = key {
            key.describe(&mut list)?;
        }
        Ok(list)
    }
}

impl Zfs {
    /// Creates a filesystem or a volume. It is not mounted.
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`]: it exists already, what is above it does not exist or
    /// is a volume, or a property cannot be set. Then nothing was created,
    /// but for the parents that were asked for.
    pub fn create(&self, request: &CreateRequest) -> Result<(), Error> {
        if request.parents {
            self.create_parents(&request.name)?;
        }
        let on = |error: CallError| error.on(Operation::Create, request.name.as_str());
        let (properties, key) = self.prepared(request)?;
        let kind = match request.volsize {
            Some(_) => DatasetType::Volume,
            None => DatasetType::Filesystem,
        };
        let key = key.as_ref().map(|new| &new.key);
        self.lzc()?
            .create(request.name.as_str(), kind, &properties, key)
            .map_err(on)
    }

    /// Whether a request makes sense here, as `zfs create -n` looks at it: the
    /// pool is there and the properties have values that they can have. What
    /// is above the dataset need not be there.
    ///
    /// # Errors
    ///
    /// As [`Zfs::create`], as far as they are found without it.
    pub fn check_create(&self, request: &CreateRequest) -> Result<(), Error> {
        self.volume_layout(&request.name.pool())?;
        self.prepared(request).map(drop)
    }

    /// The list that the kernel is given, and the key.
    fn prepared(&self, request: &CreateRequest) -> Result<(NvList, Option<NewKey>), Error> {
        let on = |error: CallError| error.on(Operation::Create, request.name.as_str());
        let key = request.encryption.as_ref().map(Encryption::prepare);
        let key = key.transpose().map_err(on)?;
        let depends = request.fitted || is_auto(&request.properties);
        let laid_out = if request.volsize.is_some() && depends {
            let layout = self.volume_layout(&request.name.pool())?;
            Cow::Owned(request.laid_out(&layout, self.version()))
        } else {
            Cow::Borrowed(request)
        };
        let list = laid_out.to_nvlist(self.version(), key.as_ref());
        Ok((list.map_err(on)?, key))
    }

    /// Creates the filesystems above a dataset that are missing, with the
    /// properties that they inherit. They are not mounted.
    ///
    /// # Errors
    ///
    /// As [`Zfs::create`].
    pub fn create_parents(&self, name: &DatasetName) -> Result<(), Error> {
        let mut missing = Vec::new();
        for ancestor in name.ancestors() {
            if self.exists(&ancestor)? {
                break;
            }
            missing.push(ancestor);
        }
        for ancestor in missing.into_iter().rev() {
            match self.create(&CreateRequest::filesystem(ancestor)) {
                // Somebody else may be creating a sibling with the same wish.
                Err(error) if error.is_exists() => {}
                result => result?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_s_size_goes_with_its_properties() {
        let request = CreateRequest::volume("tank/v".parse().unwrap(), 1 << 30)
            .volblocksize(8192)
            .property("org.example:a", "b");
        let list = request.to_nvlist(Version::NEWEST, None).unwrap();
        assert_eq!(list.get_u64("volsize"), Some(1 << 30));
        assert_eq!(list.get_u64("volblocksize"), Some(8192));
        assert_eq!(list.get_str("org.example:a"), Some("b"));
    }

    #[test]
    fn a_raw_key_is_announced_and_not_among_the_properties() {
        let encryption = Encryption::raw([0x5a; 32].into());
        let key = encryption.prepare().unwrap();
        let request = CreateRequest::filesystem("tank/e".parse().unwrap()).encryption(encryption);
        let list = request.to_nvlist(Version::NEWEST, Some(&key)).unwrap();
        assert_eq!(list.get_u64("encryption"), Some(1));
        assert_eq!(list.get_u64("keyformat"), Some(1));
        assert_eq!(list.get_str("keylocation"), Some("prompt"));
        assert_eq!(list.len(), 3);
    }
}
