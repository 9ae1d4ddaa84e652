//! Streams of several snapshots, made by others: `zfs send -R`, `-I` and `-p`.
//!
//! `file | pipe -> [ what is in it -> what is renamed or gone -> one snapshot after the other ] -> pool`
//!
//! The kernel receives one snapshot at a time. What a package says about all
//! of them together (their order, origins, properties and holds, what was
//! renamed and what is gone) is up to who receives it; `zfs receive` does it
//! in libzfs, and this does it here. A stream of one snapshot is received as
//! well.
//!
//! Everything is found by GUID. Nothing is mounted. What the target alone has
//! goes only with [`Receiver::force`], as with `zfs receive -F`.

mod contents;
mod follow;
mod input;
mod keys;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::os::fd::AsFd;

use zfs_core::{
    BeginRecord, CreateRequest, DatasetName, Guid, ListDatasets, ListSnapshots, ReceiveRequest,
    SnapshotName, Zfs,
};

use zfs_stream::token::ResumeToken;

use crate::endpoint::{Access, Endpoint, Local};
use crate::error::Error;
use crate::properties::Policy;
pub use contents::Naming;
use contents::{Contents, Filesystem};
use input::{Input, Next};

/// Who is told.
type Told<'a> = dyn Fn(&str) + 'a;

/// Receives packages.
#[must_use]
pub struct Receiver<'a> {
    zfs: &'a Zfs,
    force: bool,
    losing: Option<&'a Told<'a>>,
    access: Access,
    naming: Naming,
    policy: Policy<'a>,
    resumable: bool,
}

/// What came of a package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrived {
    /// The snapshots that arrived, in the order of the stream.
    pub snapshots: Vec<SnapshotName>,
    /// Those that were there already.
    pub skipped: Vec<SnapshotName>,
    /// The snapshots and datasets that were destroyed, since the source has
    /// none of them.
    pub destroyed: Vec<String>,
    /// What was renamed: from, to.
    pub renamed: Vec<(String, String)>,
    /// The clones that became the originals of what they were clones of.
    pub promoted: Vec<String>,
    /// Properties that could not be set or inherited: of which dataset, and
    /// what ZFS said. The data is there all the same.
    pub unset: Vec<(String, String)>,
    /// How many bytes were read.
    pub bytes: u64,
}

impl<'a> Receiver<'a> {
    /// Into the pools of this system. The properties of the stream are taken
    /// over, but for those that a replica must not have unasked.
    pub fn new(zfs: &'a Zfs) -> Receiver<'a> {
        Receiver {
            zfs,
            force: false,
            losing: None,
            access: Access::Inherited,
            naming: Naming::default(),
            policy: Policy::new().preserve(),
            resumable: false,
        }
    }

    /// **Destroys** what the target has and the stream's source has not: what
    /// was written since, snapshots and datasets (`zfs receive -F`).
    pub fn force(mut self) -> Receiver<'a> {
        self.force = true;
        self
    }

    /// Calls this with each snapshot and dataset that is about to be destroyed
    /// ([`Receiver::force`]). What was written since the youngest snapshot goes
    /// without a word.
    pub fn losing(mut self, told: &'a Told<'a>) -> Receiver<'a> {
        self.losing = Some(told);
        self
    }

    /// Whether new datasets can be written to.
    pub fn access(mut self, access: Access) -> Receiver<'a> {
        self.access = access;
        self
    }

    /// Which part of the names in the stream goes below the target.
    pub fn naming(mut self, naming: Naming) -> Receiver<'a> {
        self.naming = naming;
        self
    }

    /// Keeps what arrived of a snapshot whose stream is cut off
    /// (`zfs receive -s`). A package has no way to go on there: the same one
    /// once more gives that up and brings the snapshot anew.
    pub fn resumable(mut self) -> Receiver<'a> {
        self.resumable = true;
        self
    }

    /// Which of the stream's properties are taken over, and what is set: on
    /// the topmost dataset, for those below it to inherit
    /// (`zfs receive -o`).
    pub fn policy(mut self, policy: Policy<'a>) -> Receiver<'a> {
        self.policy = policy;
        self
    }

    /// Receives a stream, of several snapshots or of one, into `target` and
    /// below it.
    ///
    /// # Errors
    ///
    /// [`Error::Package`]: it is no stream, is cut off, or says what ZFS would
    /// not say. Else what ZFS refuses; what arrived before stays.
    pub fn receive(&self, stream: &File, target: &DatasetName) -> Result<Arrived, Error> {
        let mut input = Input::new(stream);
        let mut arrived = Arrived::default();
        let (first, contents) = input.begin()?;
        let contents = contents.named(self.naming);
        let mut there = There::list(self.zfs, target)?;
        let mut next = if let Some(begin) = first {
            Next::Begin(begin)
        } else {
            if contents.is_incremental() {
                self.follow(&contents, target, &mut there, &mut arrived)?;
            }
            input.next()?
        };
        let mut begun: HashSet<DatasetName> = HashSet::new();
        let mut looked_at: HashSet<DatasetName> = HashSet::new();
        while let Next::Begin(begin) = next {
            let snapshot = contents.place(&begin.to_name(), target)?;
            let is_first = begun.insert(snapshot.dataset().clone());
            if there.find(begin.to_guid()) == Some(&snapshot) {
                input.skip()?;
                arrived.skipped.push(snapshot);
            } else {
                let filesystem = contents.filesystem(begin.to_guid());
                if looked_at.insert(snapshot.dataset().clone()) {
                    self.give_up(&contents, snapshot.dataset(), &mut there)?;
                }
                if self.naming == Naming::WithoutPool {
                    self.make_above(&snapshot, target)?;
                }
                let is_top = *snapshot.dataset() == contents.top(target)?;
                let lost = self.in_the_way(&begin, snapshot.dataset(), &there)?;
                self.lose(lost.iter().map(SnapshotName::as_str));
                let (bytes, unset) = self.one(
                    stream,
                    begin,
                    &snapshot,
                    filesystem.filter(|_| is_first),
                    is_top,
                    &mut there,
                )?;
                arrived.bytes += bytes;
                let dataset = snapshot.dataset();
                let unset = unset.into_iter().map(|it| (dataset.to_string(), it));
                arrived.unset.extend(unset);
                let lost = lost.iter().map(ToString::to_string);
                arrived.destroyed.extend(lost);
                self.dress(filesystem, &snapshot)?;
                arrived.snapshots.push(snapshot);
            }
            next = if contents.is_package() {
                input.next()?
            } else {
                Next::End
            };
        }
        if contents.is_incremental() {
            // What was new is there now, so that things can move below it.
            there = There::list(self.zfs, target)?;
            self.follow(&contents, target, &mut there, &mut arrived)?;
        }
        if contents.is_raw {
            self.put_keys_right(&contents, target, &there)?;
        }
        Ok(arrived)
    }

    /// Tells what a stream would bring, and receives nothing: what would
    /// arrive and what is there already. What was renamed, promoted or
    /// destroyed on the source is not looked at.
    ///
    /// # Errors
    ///
    /// [`Error::Package`], as with [`Receiver::receive`]; the target cannot be
    /// listed.
    pub fn look(&self, stream: &File, target: &DatasetName) -> Result<Arrived, Error> {
        let mut input = Input::new(stream);
        let mut arrived = Arrived::default();
        let (first, contents) = input.begin()?;
        let contents = contents.named(self.naming);
        let there = There::list(self.zfs, target)?;
        let mut next = match first {
            Some(begin) => Next::Begin(begin),
            None => input.next()?,
        };
        while let Next::Begin(begin) = next {
            let snapshot = contents.place(&begin.to_name(), target)?;
            input.skip()?;
            if there.find(begin.to_guid()) == Some(&snapshot) {
                arrived.skipped.push(snapshot);
            } else {
                arrived.snapshots.push(snapshot);
            }
            next = if contents.is_package() {
                input.next()?
            } else {
                Next::End
            };
        }
        Ok(arrived)
    }

    /// Tells what is about to be destroyed.
    fn lose<'n>(&self, names: impl Iterator<Item = &'n str>) {
        if let Some(told) = self.losing {
            names.for_each(told);
        }
    }

    /// What a forced receive takes away: what is younger than its base, and
    /// everything where it has none.
    fn in_the_way(
        &self,
        begin: &BeginRecord,
        dataset: &DatasetName,
        there: &There,
    ) -> Result<Vec<SnapshotName>, Error> {
        if !self.force || !there.datasets.contains_key(dataset) {
            return Ok(Vec::new());
        }
        let all = self.zfs.list_snapshots(dataset, ListSnapshots::new());
        let mut all = all.collect::<Result<Vec<_>, _>>()?;
        all.sort_by_key(|snapshot| snapshot.createtxg);
        let stays = match begin.from_guid() {
            None => 0,
            Some(base) => match all.iter().position(|snapshot| snapshot.guid == base) {
                Some(at) => at + 1,
                // Then it is not received.
                None => all.len(),
            },
        };
        let goes = all.into_iter().skip(stays);
        Ok(goes.map(|snapshot| snapshot.name).collect())
    }

    /// Gives up what an earlier receive of the same package left halfway in a
    /// dataset: the whole snapshot comes once more.
    fn give_up(
        &self,
        contents: &Contents,
        dataset: &DatasetName,
        there: &mut There,
    ) -> Result<(), Error> {
        if !there.datasets.contains_key(dataset) {
            return Ok(());
        }
        let listed = self.zfs.dataset(dataset)?;
        let token = listed.receive_resume_token().map(ResumeToken::decode);
        let Some(Ok(token)) = token else {
            return Ok(());
        };
        if contents.filesystem(Guid(token.to_guid)).is_none() {
            return Ok(());
        }
        Local::new(self.zfs.clone()).abort_receive(dataset)?;
        if self.zfs.dataset(dataset).is_err_and(|e| e.is_not_found()) {
            there.datasets.remove(dataset);
        }
        Ok(())
    }

    /// Makes what is missing between the target and what is below it.
    fn make_above(&self, snapshot: &SnapshotName, target: &DatasetName) -> Result<(), Error> {
        let above = snapshot.dataset().ancestors();
        let mut missing: Vec<DatasetName> = Vec::new();
        for name in above.take_while(|name| name.is_descendant_of(target)) {
            match self.zfs.dataset(&name) {
                Ok(_) => break,
                Err(error) if error.is_not_found() => missing.push(name),
                Err(error) => return Err(error.into()),
            }
        }
        for name in missing.into_iter().rev() {
            self.zfs.create(&CreateRequest::filesystem(name))?;
        }
        Ok(())
    }

    /// The stream of one snapshot. Returns how many bytes it had, and which
    /// properties could not be set.
    fn one(
        &self,
        stream: &File,
        begin: BeginRecord,
        snapshot: &SnapshotName,
        filesystem: Option<&Filesystem>,
        is_top: bool,
        there: &mut There,
    ) -> Result<(u64, Vec<String>), Error> {
        let dataset = snapshot.dataset();
        let is_new = !there.datasets.contains_key(dataset);
        let mut request = ReceiveRequest::new(snapshot.clone());
        if self.resumable {
            request = request.resumable();
        }
        if self.force {
            request = request.force();
        }
        if begin.is_clone() {
            let guid = begin.from_guid().unwrap_or(Guid(0));
            let origin = there.find(guid).cloned().ok_or_else(|| {
                Error::package(format!(
                    "{snapshot} is a clone of a snapshot with GUID {guid}, which is not there"
                ))
            })?;
            request = request.origin(origin);
        }
        if is_new && self.access == Access::ReadOnly {
            request = request.property("readonly", "on");
        }
        for (name, value) in self.policy.given().iter().filter(|_| is_top) {
            request = request.property(name, value.as_str());
        }
        for (name, value) in filesystem
            .iter()
            .flat_map(|filesystem| &filesystem.properties)
        {
            if self.policy.takes(name) {
                request = request.received_property(name, value.clone());
            }
        }
        let guid = begin.to_guid();
        let received = self
            .zfs
            .receive(&request.begin_record(begin), stream.as_fd())?;
        let unset = received.property_errors.iter();
        let mut unset: Vec<String> = unset.map(ToString::to_string).collect();
        if self.force {
            // What was younger than its base has gone.
            there.list_again(self.zfs, dataset)?;
        }
        if !is_top && !is_new {
            unset.extend(self.inherit_given(dataset, filesystem));
        }
        there.add(guid, snapshot.clone());
        Ok((received.bytes_read, unset))
    }

    /// Lets a dataset that was there have from the topmost one what was given
    /// for that, where the source has something else (`zfs receive -o`).
    /// Returns what could not be.
    fn inherit_given(&self, dataset: &DatasetName, filesystem: Option<&Filesystem>) -> Vec<String> {
        let own = filesystem
            .iter()
            .flat_map(|filesystem| &filesystem.properties);
        let given = own.filter(|(name, _)| self.policy.given().contains_key(name.as_str()));
        given
            .filter_map(|(name, _)| self.zfs.inherit_property(dataset, name).err())
            .map(|error| error.to_string())
            .collect()
    }

    /// A snapshot's own properties, and its holds.
    fn dress(&self, filesystem: Option<&Filesystem>, snapshot: &SnapshotName) -> Result<(), Error> {
        let Some(filesystem) = filesystem else {
            return Ok(());
        };
        let mut properties = zfs_core::Properties::new();
        for (name, value) in filesystem.of_snapshot(snapshot.snapshot()) {
            if self.policy.takes(name) {
                properties.set(name, value.clone());
            }
        }
        if !properties.is_empty() {
            self.zfs.set_properties(snapshot, &properties)?;
        }
        for tag in filesystem.holds(snapshot.snapshot()) {
            match self.zfs.hold([snapshot], tag) {
                Err(error) if !error.is_exists() => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Receiver<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("force", &self.force)
            .field("access", &self.access)
            .field("naming", &self.naming)
            .field("policy", &self.policy)
            .field("resumable", &self.resumable)
            .finish_non_exhaustive()
    }
}

/// What the target has.
struct There {
    datasets: HashMap<DatasetName, Vec<(Guid, SnapshotName)>>,
    /// What clones are clones of.
    origins: HashMap<DatasetName, SnapshotName>,
}

impl There {
    fn list(zfs: &Zfs, target: &DatasetName) -> Result<There, Error> {
        let mut there = There {
            datasets: HashMap::new(),
            origins: HashMap::new(),
        };
        let what = ListDatasets::new().recursive().without_properties();
        for dataset in zfs.list_datasets(target, what) {
            match dataset {
                Ok(dataset) => {
                    there.list_again(zfs, &dataset.name)?;
                    if let Some(origin) = dataset.origin {
                        there.origins.insert(dataset.name, origin);
                    }
                }
                Err(error) if error.is_not_found() => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(there)
    }

    fn list_again(&mut self, zfs: &Zfs, dataset: &DatasetName) -> Result<(), Error> {
        let mut snapshots = Vec::new();
        for snapshot in zfs.list_snapshots(dataset, ListSnapshots::new()) {
            let snapshot = snapshot?;
            snapshots.push((snapshot.guid, snapshot.name));
        }
        self.datasets.insert(dataset.clone(), snapshots);
        Ok(())
    }

    fn find(&self, guid: Guid) -> Option<&SnapshotName> {
        let mut all = self.datasets.values().flatten();
        all.find(|(found, _)| *found == guid).map(|(_, name)| name)
    }

    fn add(&mut self, guid: Guid, snapshot: SnapshotName) {
        let of = self.datasets.entry(snapshot.dataset().clone()).or_default();
        if !of.iter().any(|(known, _)| *known == guid) {
            of.push((guid, snapshot));
        }
    }
}
