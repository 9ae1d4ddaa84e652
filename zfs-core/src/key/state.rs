//! What a dataset's encryption is: whose key it uses, and whether that is
//! loaded.

use super::{Cipher, KeyFormat, KeyLocation};
use crate::error::{Error, Operation};
use crate::list::KeyStatus;
use crate::name::{DatasetName, Guid, SnapshotName};
use crate::zfs::Zfs;

/// How an existing dataset is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EncryptionState {
    /// The dataset whose key this one uses, itself perhaps.
    pub root: DatasetName,
    /// How its data is encrypted; none for a cipher of a later OpenZFS.
    pub cipher: Option<Cipher>,
    /// What the key looks like.
    pub format: KeyFormat,
    /// Where the key is looked for. Only the root has one.
    pub location: Option<KeyLocation>,
    /// Whether the key is loaded.
    pub status: KeyStatus,
    /// How often a passphrase is hashed.
    pub pbkdf2_iterations: Option<u64>,
    pub(super) salt: Option<u64>,
}

/// The set of initialisation vectors that a snapshot's blocks were encrypted
/// with (`ivsetguid`). A raw increment goes on only from a snapshot with the
/// very same set; a snapshot that was received not raw has another one,
/// although its GUID is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IvSet(pub Guid);

impl EncryptionState {
    /// Whether `dataset` has a key of its own.
    pub fn is_root(&self, dataset: &DatasetName) -> bool {
        self.root == *dataset
    }
}

impl Zfs {
    /// How a dataset is encrypted; none where it is not.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] where there is no such dataset, and
    /// [`Error::UnexpectedAnswer`] where ZFS has an encrypted dataset without
    /// an encryption root.
    pub fn encryption(&self, dataset: &DatasetName) -> Result<Option<EncryptionState>, Error> {
        let properties = self.properties(dataset)?;
        // `off` is 2; 0, that of the parent, is never reported.
        let cipher = match properties.number("encryption") {
            None | Some(0 | 2) => return Ok(None),
            Some(number) => Cipher::from_number(number),
        };
        let odd = |reason: String| Error::UnexpectedAnswer {
            operation: Operation::GetProperties,
            name: dataset.to_string(),
            reason,
        };
        let root = properties
            .str("encryptionroot")
            .ok_or_else(|| odd("it is encrypted and has no encryption root".to_owned()))?
            .parse()?;
        let format = properties.number("keyformat").unwrap_or_default();
        let format =
            KeyFormat::from_number(format).ok_or_else(|| odd(format!("keyformat {format}")))?;
        let status = match properties.number("keystatus") {
            Some(2) => KeyStatus::Available,
            _ => KeyStatus::Unavailable,
        };
        let location = properties
            .str("keylocation")
            .filter(|location| *location != "none")
            .map(KeyLocation::of_dataset);
        Ok(Some(EncryptionState {
            root,
            cipher,
            format,
            location,
            status,
            pbkdf2_iterations: properties.number("pbkdf2iters").filter(|count| *count != 0),
            salt: properties.number("pbkdf2salt"),
        }))
    }

    /// The set of initialisation vectors of a snapshot; none where it is not
    /// encrypted, or was made by an OpenZFS before 0.8.4.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] where there is no such snapshot.
    pub fn iv_set(&self, snapshot: &SnapshotName) -> Result<Option<IvSet>, Error> {
        let number = self.properties(snapshot)?.number("ivsetguid");
        Ok(number.map(|number| IvSet(Guid(number))))
    }

    /// Whether a raw increment that starts at `source` goes on from `target`:
    /// the same snapshot, by GUID, with the same set of initialisation
    /// vectors. Two that are not encrypted need the GUID alone.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] where one of them does not exist.
    pub fn raw_increment_fits(
        &self,
        source: &SnapshotName,
        target: &SnapshotName,
    ) -> Result<bool, Error> {
        let (source, target) = (self.properties(source)?, self.properties(target)?);
        let same = |property| source.number(property) == target.number(property);
        Ok(same("guid") && same("ivsetguid"))
    }
}
