//! Receiving: a stream becomes a snapshot.
//!
//! ```text
//! whoever sends -> pipe or file -> begin record (read here) -> Zfs::receive -> pool
//! ```
//!
//! The kernel reads from the descriptor to the stream's end, or to the first
//! thing in it that is wrong; what it leaves in the pipe then keeps its
//! writer waiting until the reading end is closed.

use std::io;
use std::os::fd::BorrowedFd;

use zfs_stream::nvlist::{NvList, Value};

use crate::begin::{BEGIN_RECORD_BYTES, BeginRecord};
use crate::error::{Errno, Error, Failure, Operation, StreamProblem};
use crate::ffi::{self, CallError};
use crate::given::Given;
use crate::key::{Encryption, NewKey};
use crate::name::SnapshotName;
use crate::property::{Moment, Properties, PropertyError, PropertyValue, Source, native};
use crate::version::Version;
use crate::zfs::Zfs;

/// Where to receive a stream, and how.
///
/// ```no_run
/// use std::os::fd::AsFd;
/// use zfs_core::{ReceiveRequest, Zfs};
///
/// let zfs = Zfs::open()?;
/// let request = ReceiveRequest::new("vault/home@monday".parse()?)
///     .resumable()
///     .exclude("mountpoint")
///     .property("org.example:from", "tank/home");
/// let stream = std::fs::File::open("/backup/home.zfs").unwrap();
/// let received = zfs.receive(&request, stream.as_fd())?;
/// println!("{} bytes", received.bytes_read);
/// # Ok::<(), zfs_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ReceiveRequest {
    snapshot: SnapshotName,
    origin: Option<SnapshotName>,
    received: Properties,
    local: Properties,
    excluded: Vec<String>,
    encryption: Option<Encryption>,
    begin: Option<BeginRecord>,
    flags: Flags,
}

bitflags::bitflags! {
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    struct Flags: u32 {
        const ONLY_RAW = 1;
        const FORCE = 1 << 1;
        const HEAL = 1 << 2;
        const RESUMABLE = 1 << 3;
    }
}

impl ReceiveRequest {
    /// A stream that shall become this snapshot. Its dataset is created by a
    /// full stream; an incremental one needs it there, with the stream's
    /// source as its latest snapshot.
    pub fn new(snapshot: SnapshotName) -> ReceiveRequest {
        ReceiveRequest {
            snapshot,
            origin: None,
            received: Properties::new(),
            local: Properties::new(),
            excluded: Vec::new(),
            encryption: None,
            begin: None,
            flags: Flags::empty(),
        }
    }

    /// Keeps what came through where the stream ends too early, so that the
    /// rest can be sent later (`zfs receive -s`): the dataset then has the
    /// property `receive_resume_token`.
    #[must_use]
    pub fn resumable(mut self) -> ReceiveRequest {
        self.flags |= Flags::RESUMABLE;
        self
    }

    /// Refuses a stream that is not raw. Raw streams are received without
    /// this as well; it keeps plaintext out of where none shall be.
    #[must_use]
    pub fn raw(mut self) -> ReceiveRequest {
        self.flags |= Flags::ONLY_RAW;
        self
    }

    /// Lets the receive **destroy what is in its way**: what was written since
    /// the snapshot that the stream is incremental from, and every snapshot
    /// that is newer than that one. A full stream replaces the whole dataset,
    /// all its snapshots included. Where one of those is held or has clones
    /// the receive fails, after the whole stream was read.
    ///
    /// To give up changes but no snapshot, go back with
    /// [`Zfs::rollback_to`](crate::Zfs::rollback_to), and receive without
    /// this.
    #[must_use]
    pub fn force(mut self) -> ReceiveRequest {
        self.flags |= Flags::FORCE;
        self
    }

    /// Repairs damaged blocks of the snapshot, which is there already, from
    /// the stream (`zfs receive -c`; OpenZFS 2.2 and later).
    #[must_use]
    pub fn heal(mut self) -> ReceiveRequest {
        self.flags |= Flags::HEAL;
        self
    }

    /// Makes the new dataset a clone of this snapshot, for a stream that is
    /// incremental from it.
    #[must_use]
    pub fn origin(mut self, origin: SnapshotName) -> ReceiveRequest {
        self.origin = Some(origin);
        self
    }

    /// Sets a property on the dataset, whatever the sender had
    /// (`zfs receive -o`).
    #[must_use]
    pub fn property(
        mut self,
        name: impl Into<String>,
        value: impl Into<PropertyValue>,
    ) -> ReceiveRequest {
        self.local.set(name, value);
        self
    }

    /// Leaves a property as it is, whatever the sender had
    /// (`zfs receive -x`): inherited, or what was set on the target itself
    /// where that is there already.
    #[must_use]
    pub fn exclude(mut self, name: impl Into<String>) -> ReceiveRequest {
        self.excluded.push(name.into());
        self
    }

    /// Sets a property as one that came with the stream: it gives way to a
    /// local setting, and is replaced by the next receive's.
    #[must_use]
    pub fn received_property(
        mut self,
        name: impl Into<String>,
        value: impl Into<PropertyValue>,
    ) -> ReceiveRequest {
        self.received.set(name, value);
        self
    }

    /// Encrypts what is received as a new encryption root. The stream must be
    /// full, and not raw.
    #[must_use]
    pub fn encryption(mut self, encryption: Encryption) -> ReceiveRequest {
        self.encryption = Some(encryption);
        self
    }

    /// The stream's begin record, which the caller has read from it already.
    #[must_use]
    pub fn begin_record(mut self, begin: BeginRecord) -> ReceiveRequest {
        self.begin = Some(begin);
        self
    }

    pub(crate) fn name(&self) -> &str {
        self.snapshot.as_str()
    }

    pub(crate) fn begun(&self) -> Option<&BeginRecord> {
        self.begin.as_ref()
    }

    /// What is wrong with the stream, seen from its begin record.
    pub(crate) fn check_stream(&self, begin: &BeginRecord) -> Result<(), Error> {
        let problem = if begin.is_deduplicated() {
            StreamProblem::Deduplicated
        } else if self.flags.contains(Flags::ONLY_RAW) && !begin.is_raw() {
            StreamProblem::NotRaw
        } else {
            match (begin.is_clone(), &self.origin, begin.from_guid()) {
                (true, None, Some(origin)) => StreamProblem::NeedsOrigin { origin },
                _ => return Ok(()),
            }
        };
        Err(Error::Stream {
            name: self.name().into(),
            problem,
        })
    }

    pub(crate) fn stream_error(&self, source: io::Error) -> Error {
        let name = self.name().into();
        match source
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<StreamProblem>())
        {
            Some(problem) => Error::Stream {
                name,
                problem: problem.clone(),
            },
            None => Error::Io {
                operation: Operation::Receive,
                name,
                what: "the stream cannot be read",
                source,
            },
        }
    }

    /// What ZFS answered, with what the stream says of itself.
    fn error(&self, begin: &BeginRecord, error: CallError) -> Error {
        let CallError::Zfs(errno) = error else {
            return error.on(Operation::Receive, self.name());
        };
        let mut failure = Failure::new(Operation::Receive, self.name(), errno);
        failure.detail = match (errno, begin.from_guid()) {
            (Errno::ENODEV, Some(base)) => Some(format!(
                "the stream is incremental from the snapshot with GUID {base}, which {} does not \
                 have as its latest (zfs list -t snapshot -o name,guid {})",
                self.origin
                    .as_ref()
                    .map_or(self.snapshot.dataset(), SnapshotName::dataset),
                self.snapshot.dataset(),
            )),
            (Errno::EEXIST, _) if self.flags.contains(Flags::FORCE) => Some(format!(
                "it exists already, or one of the snapshots in its way, which the forced receive \
                 would have destroyed, has clones (zfs get -t snapshot clones {})",
                self.snapshot.dataset(),
            )),
            (Errno::ENOTSUP | Errno::ZFS_ERR_UNKNOWN_SEND_STREAM_FEATURE, _) => Some(format!(
                "the stream uses {}, and the pool {} or this ZFS lacks one of them \
                 (zpool get all {1}; receive it with a newer ZFS)",
                begin.features(),
                self.snapshot.pool(),
            )),
            _ => None,
        };
        Error::Zfs(failure)
    }

    fn local_properties(
        &self,
        version: Version,
        key: Option<&NewKey>,
        kept: &[&str],
    ) -> Result<Option<NvList>, CallError> {
        let mut list = self.local.to_nvlist(version, Moment::Creation)?;
        // Without a value the kernel gives it back to what is inherited.
        let excluded = self.excluded.iter().map(|name| full_name(name));
        for name in excluded.filter(|name| !kept.contains(name)) {
            list.insert(name, Value::Boolean)?;
        }
        if let Some(key) = key {
            key.describe(&mut list)?;
        }
        Ok((!list.is_empty()).then_some(list))
    }

    fn received_properties(&self, version: Version) -> Result<Option<NvList>, CallError> {
        let mut list = self.received.to_nvlist(version, Moment::Received)?;
        // What is not inherited (`quota`) cannot be given back.
        for name in self.excluded.iter().map(|name| full_name(name)) {
            if native(name).is_some_and(|native| !native.inheritable) {
                list.remove(name);
            }
        }
        Ok((!list.is_empty()).then_some(list))
    }
}

fn full_name(property: &str) -> &str {
    native(property).map_or(property, |native| native.name)
}

/// What came of a receive.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// How long the stream was, in bytes, its begin record included.
    pub bytes_read: u64,
    /// The properties that could not be set. The snapshot is there all the
    /// same.
    pub property_errors: Vec<PropertyError>,
}

impl Zfs {
    /// Receives a stream from a descriptor.
    ///
    /// It returns when the snapshot is complete. After an error close the
    /// reading end of a pipe: its writer may be waiting to write the rest.
    ///
    /// The kernel reads from pipes and files by itself, to the stream's end
    /// and no further. From anything else (sockets, terminals), where it reads
    /// not at all or only the first bytes, the stream is copied through a
    /// pipe, as [`Zfs::receive_from`] does, and what follows it is lost. So it
    /// is from a pipe with O_NONBLOCK, for which the kernel would not wait.
    /// Nobody may set that flag while the stream is read.
    ///
    /// # Errors
    ///
    /// [`Error::Stream`] where it does not begin as a stream does.
    /// [`Error::Zfs`]: it does not fit what is there, is cut off, damaged, or
    /// of another lineage. [`Error::Io`]: the descriptor cannot be read.
    pub fn receive(
        &self,
        request: &ReceiveRequest,
        stream: BorrowedFd<'_>,
    ) -> Result<Received, Error> {
        let io_error = |source| request.stream_error(source);
        let mut given = Given::new(stream).map_err(io_error)?;
        if !given.is_for_receive() {
            return self.receive_from(request, given);
        }
        let read;
        let begin = if let Some(begin) = &request.begin {
            begin
        } else {
            // The duplicate reads from the same place and moves it for both.
            read = BeginRecord::read(&mut given).map_err(io_error)?;
            &read
        };
        self.receive_begun(request, begin, stream)
    }

    /// Those of the excluded properties that are set on the target itself:
    /// that counts before what comes with a stream, and stays.
    fn kept_anyway<'a>(&self, request: &'a ReceiveRequest) -> Result<Vec<&'a str>, Error> {
        if request.excluded.is_empty() {
            return Ok(Vec::new());
        }
        let properties = match self.properties(request.snapshot.dataset()) {
            Ok(properties) => properties,
            Err(error) if error.is_not_found() => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let is_local = |name: &&str| {
            let property = properties.get(name);
            property.is_some_and(|property| property.source == Source::Local)
        };
        let excluded = request.excluded.iter().map(|name| full_name(name));
        Ok(excluded.filter(is_local).collect())
    }

    /// Receives what follows a begin record from a pipe or a file.
    pub(crate) fn receive_begun(
        &self,
        request: &ReceiveRequest,
        begin: &BeginRecord,
        stream: BorrowedFd<'_>,
    ) -> Result<Received, Error> {
        if request.flags.contains(Flags::HEAL) {
            // The library may know it and the kernel not, which would receive
            // as if nothing had been said of it.
            self.needs_kernel("corrective receive", "2.2")?;
        }
        let name = request.snapshot.as_str();
        let on = |error: CallError| request.error(begin, error);
        let version = self.version();
        let key = request.encryption.as_ref().map(Encryption::prepare);
        let key = key.transpose().map_err(on)?;
        let kept = self.kept_anyway(request)?;
        let local = request
            .local_properties(version, key.as_ref(), &kept)
            .map_err(on)?;
        let received = request.received_properties(version).map_err(on)?;
        request.check_stream(begin)?;
        let call = ffi::Receive {
            snapshot: name,
            received: received.as_ref(),
            local: local.as_ref(),
            key: key.as_ref().map(|new| &new.key),
            origin: request.origin.as_ref().map(SnapshotName::as_str),
            force: request.flags.contains(Flags::FORCE),
            heal: request.flags.contains(Flags::HEAL),
            resumable: request.flags.contains(Flags::RESUMABLE),
            begin: begin.bytes(),
        };
        let (bytes, errors) = self.lzc()?.receive(&call, stream).map_err(on)?;
        self.may_log_on_this_thread(request.snapshot.dataset());
        Ok(Received {
            bytes_read: bytes + BEGIN_RECORD_BYTES as u64,
            property_errors: property_errors(&request.snapshot, &errors),
        })
    }
}

/// The list may hold entries that are no numbers (`ZFS_RECV_ERR_STREAM` of
/// later versions) and are about the stream, not a property.
fn property_errors(snapshot: &SnapshotName, errors: &NvList) -> Vec<PropertyError> {
    errors
        .iter()
        .filter_map(|(property, value)| match value {
            Value::Int32(errno) => Some(PropertyError {
                property: property.to_string(),
                failure: Failure::new(
                    Operation::SetProperty,
                    snapshot.dataset().as_str(),
                    Errno(*errno),
                ),
            }),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> ReceiveRequest {
        ReceiveRequest::new("tank/a@x".parse().unwrap())
    }

    #[test]
    fn overrides_have_values_and_exclusions_have_none() {
        let request = request().property("a:b", "c").exclude("mountpoint");
        let list = |kept: &[&str]| {
            let list = request.local_properties(Version::NEWEST, None, kept);
            list.unwrap().unwrap()
        };
        assert_eq!(list(&[]).get_str("a:b"), Some("c"));
        assert_eq!(list(&[]).get("mountpoint"), Some(&Value::Boolean));
        assert_eq!(list(&["mountpoint"]).get("mountpoint"), None);
        assert_eq!(request.received_properties(Version::NEWEST).unwrap(), None);
    }

    #[test]
    fn what_is_not_inherited_is_excluded_by_not_receiving_it() {
        let request = request()
            .received_property("quota", "1G")
            .received_property("atime", "off")
            .exclude("quota")
            .exclude("atime");
        let received = request.received_properties(Version::NEWEST);
        let received = received.unwrap().unwrap();
        assert_eq!(received.get("quota"), None);
        assert_eq!(received.get_u64("atime"), Some(0));
    }

    #[test]
    fn no_properties_are_no_list() {
        assert_eq!(
            request()
                .local_properties(Version::NEWEST, None, &[])
                .unwrap(),
            None
        );
    }

    #[test]
    fn a_forced_receive_that_finds_something_in_its_way_tells_of_clones() {
        let mut bytes = [0; BEGIN_RECORD_BYTES];
        bytes[8..16].copy_from_slice(&0x2_F5BA_CBAC_u64.to_ne_bytes());
        bytes[16..24].copy_from_slice(&1_u64.to_ne_bytes());
        let begin = BeginRecord::new(bytes).unwrap();
        let text = |request: ReceiveRequest| {
            let error = request.error(&begin, CallError::Zfs(Errno::EEXIST));
            assert!(error.is_exists(), "{error}");
            error.to_string()
        };
        let forced = text(request().force());
        assert!(
            forced.ends_with("has clones (zfs get -t snapshot clones tank/a)"),
            "{forced}"
        );
        assert!(!text(request()).contains("clones"));
    }

    #[test]
    fn an_error_that_is_no_number_is_no_property_s() {
        let mut errors = NvList::new();
        errors.insert("recordsize", libc::EINVAL).unwrap();
        errors.insert("stream", true).unwrap();
        let errors = property_errors(&"tank/a@x".parse().unwrap(), &errors);
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].property, "recordsize");
        assert!(
            errors[0].to_string().contains("recordsize"),
            "{}",
            errors[0]
        );
    }
}
