//! Destroying datasets, snapshots and bookmarks.

use zfs_stream::nvlist::Value;

use crate::error::{Error, ErrorKind, Failure, Operation};
use crate::many::Names;
use crate::mount::UnmountFlags;
use crate::name::{BookmarkName, DatasetName, SnapshotName};
use crate::zfs::Zfs;

/// What becomes of snapshots that are held or have clones when they are
/// destroyed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Defer {
    /// The call fails, and none is destroyed.
    #[default]
    No,
    /// They are marked, and go when the last hold or clone goes.
    Yes,
}

impl Zfs {
    /// Destroys a filesystem or volume that has neither datasets nor
    /// snapshots below it.
    ///
    /// Where it is mounted, it is unmounted first.
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`]: it does not exist, has snapshots, datasets are below it,
    /// or it is mounted in more than one place (bind mounts, which nobody could
    /// make again were it not destroyed). [`Error::Mount`] where it is mounted
    /// and in use, or given to file servers ([`Zfs::check_destroy`]). It stays
    /// mounted then.
    pub fn destroy(&self, dataset: &DatasetName) -> Result<(), Error> {
        let destroy = || {
            self.lzc()?
                .destroy(dataset.as_str())
                .map_err(|error| error.on(Operation::Destroy, dataset.as_str()))
        };
        match destroy() {
            Err(error) if error.kind() == ErrorKind::Busy => {
                self.destroy_mounted(dataset, error, destroy)
            }
            other => other,
        }
    }

    /// Whether none of these is mounted and given to file servers, so that it
    /// would have to be taken from them first, which is not done here. For who
    /// destroys their snapshots before [`Zfs::destroy`] could say so.
    ///
    /// # Errors
    ///
    /// [`Error::Mount`] for the first that is.
    pub fn check_destroy<'a>(
        &self,
        datasets: impl IntoIterator<Item = &'a DatasetName>,
    ) -> Result<(), Error> {
        let mounts = self.mounts()?;
        for dataset in datasets {
            let own = mounts
                .iter()
                .filter(|mount| mount.what.as_str() == dataset.as_str());
            let own: Vec<_> = own.cloned().collect();
            self.refuse_shared(Operation::Destroy, dataset, &own)?;
        }
        Ok(())
    }

    /// Destroys snapshots of one pool, all of them or none.
    ///
    /// Those that do not exist are counted as destroyed, so that a call that
    /// was interrupted can be repeated. Where a snapshot is mounted, below
    /// `.zfs/snapshot` or elsewhere, it is unmounted.
    ///
    /// # Errors
    ///
    /// [`Error::Several`], or [`Error::Zfs`] where it is one, with the reason
    /// for each: held, with the tags of the holds; or with clones. Then none
    /// was destroyed.
    ///
    /// # Example
    ///
    /// ```no_run
    /// use zfs_core::{Defer, SnapshotName, Zfs};
    ///
    /// let zfs = Zfs::open()?;
    /// let old: SnapshotName = "tank/home@2024-01-01".parse()?;
    /// if let Err(error) = zfs.destroy_snapshots([&old], Defer::No) {
    ///     // cannot destroy tank/home@2024-01-01: it is held by "backup"
    ///     // (zfs release backup tank/home@2024-01-01)
    ///     eprintln!("{error}");
    /// }
    /// # Ok::<(), zfs_core::Error>(())
    /// ```
    pub fn destroy_snapshots<'a>(
        &self,
        snapshots: impl IntoIterator<Item = &'a SnapshotName>,
        defer: Defer,
    ) -> Result<(), Error> {
        let names = Names::new(Operation::DestroySnapshots, snapshots);
        let list = names.list(|_| Ok(Value::Boolean))?;
        let destroy = || {
            names.outcome(
                self.lzc()?.destroy_snapshots(&list, defer == Defer::Yes),
                |failure| {
                    if failure.kind() == ErrorKind::Held {
                        self.explain_holds(failure);
                    }
                },
            )
        };
        match destroy() {
            Err(error) if self.unmount_for(&error)? => destroy(),
            other => other,
        }
    }

    /// Unmounts snapshots that could not be destroyed for no other reason than
    /// that, and tells whether there are such.
    fn unmount_for(&self, error: &Error) -> Result<bool, Error> {
        let failures = error.failures();
        let is_busy = |failure: &Failure| {
            // With a detail it is held, and would be so afterwards.
            failure.kind() == ErrorKind::Held && failure.detail.is_none()
        };
        if failures.is_empty() || !failures.iter().all(is_busy) {
            return Ok(false);
        }
        let mounts = self.mounts()?;
        let mounted: Vec<SnapshotName> = failures
            .iter()
            .filter_map(|failure| SnapshotName::parse(&failure.name).ok())
            .filter(|name| {
                mounts
                    .iter()
                    .any(|mount| mount.what.as_str() == name.as_str())
            })
            .collect();
        for snapshot in &mounted {
            self.unmount_snapshot(snapshot, UnmountFlags::empty())?;
        }
        Ok(!mounted.is_empty())
    }

    /// Says by what a snapshot is held. It stays with the general text where
    /// that cannot be found out, or where it is busy in another way.
    fn explain_holds(&self, failure: &mut Failure) {
        let Ok(snapshot) = SnapshotName::parse(&failure.name) else {
            return;
        };
        let Ok(holds) = self.holds(&snapshot) else {
            return;
        };
        let tags: Vec<_> = holds.iter().map(|hold| format!("{:?}", hold.tag)).collect();
        let Some(first) = holds.first() else {
            return;
        };
        failure.detail = Some(format!(
            "it is held by {} (zfs release {} {snapshot})",
            tags.join(", "),
            first.tag
        ));
    }

    /// Destroys bookmarks of one pool, all of them or none. Those that do not
    /// exist are counted as destroyed.
    ///
    /// # Errors
    ///
    /// [`Error::Several`], or [`Error::Zfs`] where it is one; then none was
    /// destroyed.
    pub fn destroy_bookmarks<'a>(
        &self,
        bookmarks: impl IntoIterator<Item = &'a BookmarkName>,
    ) -> Result<(), Error> {
        let names = Names::new(Operation::DestroyBookmarks, bookmarks);
        let list = names.list(|_| Ok(Value::Boolean))?;
        names.outcome(self.lzc()?.destroy_bookmarks(&list), |_| {})
    }
}
