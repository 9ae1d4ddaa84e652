//! Taking snapshots.

use zfs_stream::nvlist::Value;

use crate::error::{Errno, Error, Operation};
use crate::many::Names;
use crate::name::SnapshotName;
use crate::property::{Moment, Properties};
use crate::zfs::Zfs;

impl Zfs {
    /// Takes snapshots, all of them in the same instant or none.
    ///
    /// They must be in one pool, and of different datasets: ZFS does not take
    /// two of one dataset in one call.
    ///
    /// # Errors
    ///
    /// [`Error::Several`], or [`Error::Zfs`] where it is one, with the reason
    /// for each that ZFS names; then none was taken.
    ///
    /// # Example
    ///
    /// ```no_run
    /// use zfs_core::{SnapshotName, Zfs};
    ///
    /// let zfs = Zfs::open()?;
    /// let names = ["tank/home@monday", "tank/mail@monday"]
    ///     .map(SnapshotName::parse)
    ///     .into_iter()
    ///     .collect::<Result<Vec<_>, _>>()?;
    /// zfs.snapshot(&names)?;
    /// # Ok::<(), zfs_core::Error>(())
    /// ```
    pub fn snapshot<'a>(
        &self,
        snapshots: impl IntoIterator<Item = &'a SnapshotName>,
    ) -> Result<(), Error> {
        self.snapshot_with_properties(snapshots, &Properties::new())
    }

    /// As [`Zfs::snapshot`], and sets properties on each.
    ///
    /// Snapshots take user properties alone, whose names have a colon in
    /// them.
    ///
    /// # Errors
    ///
    /// As [`Zfs::snapshot`].
    pub fn snapshot_with_properties<'a>(
        &self,
        snapshots: impl IntoIterator<Item = &'a SnapshotName>,
        properties: &Properties,
    ) -> Result<(), Error> {
        let names = Names::new(Operation::Snapshot, snapshots);
        let list = names.list(|_| Ok(Value::Boolean))?;
        let properties = (!properties.is_empty())
            .then(|| properties.to_nvlist(self.version(), Moment::Creation))
            .transpose()
            .map_err(|error| names.call_error(error))?;
        let same_pool = names.same_pool();
        names.outcome(
            self.lzc()?.snapshot(&list, properties.as_ref()),
            |failure| match failure.errno {
                Errno::EXDEV if same_pool => {
                    failure.detail = Some(
                        "two of them are of one dataset, which one call cannot take \
                         (take them one after the other)"
                            .into(),
                    );
                }
                Errno::EXDEV => {
                    failure.detail =
                        Some("they are in different pools (take those of each in a call)".into());
                }
                _ => {}
            },
        )
    }

    /// How many bytes would be freed by destroying a snapshot and all
    /// snapshots of its dataset before it, back to and including `first`.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] where one does not exist,
    /// [`ErrorKind::Unrelated`](crate::ErrorKind::Unrelated) where `first` is
    /// not an earlier snapshot of the same dataset, and
    /// [`Error::InvalidRequest`] where it is in another pool.
    ///
    /// # Example
    ///
    /// ```no_run
    /// use zfs_core::{SnapshotName, Zfs};
    ///
    /// let zfs = Zfs::open()?;
    /// let monday: SnapshotName = "tank/home@monday".parse()?;
    /// let friday: SnapshotName = "tank/home@friday".parse()?;
    /// println!("{} bytes", zfs.snapshot_range_space(&monday, &friday)?);
    /// # Ok::<(), zfs_core::Error>(())
    /// ```
    pub fn snapshot_range_space(
        &self,
        first: &SnapshotName,
        last: &SnapshotName,
    ) -> Result<u64, Error> {
        let operation = Operation::SnapshotRangeSpace;
        if first.pool() != last.pool() {
            return Err(Error::invalid(
                operation,
                last.as_str(),
                format!("{first}, to begin with, is in another pool"),
            ));
        }
        self.lzc()?
            .snapshot_range_space(first.as_str(), last.as_str())
            .map_err(|error| error.on(operation, last.as_str()))
    }
}
