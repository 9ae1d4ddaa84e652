//! Clones, and which of two is the other's.

use crate::error::{Error, ErrorKind, Failure, Operation};
use crate::ffi::CallError;
use crate::name::{DatasetName, SnapshotName};
use crate::property::{Moment, Properties};
use crate::zfs::Zfs;

impl Zfs {
    /// Makes a filesystem or volume that begins as a copy of a snapshot of
    /// the same pool. It is not mounted. (zfs(8) calls this `clone`, which in
    /// Rust is something else.) A volume reserves nothing unless told so, with
    /// `refreservation=auto` for instance.
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`]: the name is taken, the snapshot does not exist or is in
    /// another pool, or a property cannot be set.
    pub fn clone_snapshot(
        &self,
        origin: &SnapshotName,
        name: &DatasetName,
        properties: &Properties,
    ) -> Result<(), Error> {
        let on = |error: CallError| error.on(Operation::Clone, name.as_str());
        let properties = self.auto_reserved(origin.as_str(), properties)?;
        let properties = properties
            .to_nvlist(self.version(), Moment::Creation)
            .map_err(on)?;
        self.lzc()?
            .clone_snapshot(name.as_str(), origin.as_str(), &properties)
            .map_err(on)
    }

    /// Makes a clone the original and its original the clone: the snapshots
    /// up to the clone's origin become the clone's.
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`]: it is not a clone, or one of those snapshots has a name
    /// that a snapshot of the clone has as well; the error says which.
    pub fn promote(&self, clone: &DatasetName) -> Result<(), Error> {
        self.lzc()?
            .promote(clone.as_str())
            .map_err(|(error, conflict)| {
                let CallError::Zfs(errno) = error else {
                    return error.on(Operation::Promote, clone.as_str());
                };
                let mut failure = Failure::new(Operation::Promote, clone.as_str(), errno);
                if failure.kind() == ErrorKind::Exists && !conflict.is_empty() {
                    failure.detail = Some(format!(
                        "its origin and it both have a snapshot {conflict:?} \
                     (rename or destroy one of the two)"
                    ));
                }
                Error::Zfs(failure)
            })
    }
}
