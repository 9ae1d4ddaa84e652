//! The errors that a pool has recorded: what `zpool status -v` lists.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::error::{Error, Operation};
use crate::name::PoolName;
use crate::zfs::Zfs;

/// A file or another object with an error that is recorded and not repaired.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PoolError {
    /// The name of the filesystem, volume or snapshot; none where it was
    /// destroyed since, and for the pool's own metadata.
    pub dataset: Option<String>,
    /// The file's path from the root of its filesystem; none where it was
    /// deleted since, and for volumes and metadata.
    pub path: Option<PathBuf>,
    /// The dataset's number; 0 is the pool's own metadata.
    pub dataset_number: u64,
    /// The object's number in it, which is the inode number of a file.
    pub object: u64,
}

impl Zfs {
    /// The objects of a pool that errors are recorded of, each once. They are
    /// forgotten when two scrubs have not found them again.
    ///
    /// # Errors
    ///
    /// [`Error::is_permission`] for others than root.
    pub fn pool_errors(&self, pool: &PoolName) -> Result<Vec<PoolError>, Error> {
        let name = pool.as_str();
        let entries = self
            .device
            .error_log(name)
            .map_err(|error| error.on(Operation::PoolStatus, name))?;
        let objects: BTreeSet<(u64, u64)> = entries.into_iter().collect();
        let mut datasets: BTreeMap<u64, Option<String>> = BTreeMap::new();
        let mut errors = Vec::with_capacity(objects.len());
        for (number, object) in objects {
            // What cannot be named any more is an error all the same.
            let dataset = datasets
                .entry(number)
                .or_insert_with(|| {
                    let name = self.device.dataset_name(name, number).ok()?;
                    String::from_utf8(name).ok().filter(|_| number != 0)
                })
                .clone();
            let path = dataset
                .as_ref()
                .and_then(|dataset| self.device.object_path(dataset, object).ok())
                .map(|path| PathBuf::from(OsString::from_vec(path)));
            errors.push(PoolError {
                dataset,
                path,
                dataset_number: number,
                object,
            });
        }
        Ok(errors)
    }
}
