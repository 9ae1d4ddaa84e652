//! `zpool initialize` and `zpool trim`: something done to devices one by one.

use zfs_stream::nvlist::NvList;
use zfs_sys::zfs_ioc_t;

use super::vdev::Vdev;
use crate::error::{Errno, Error, Failure, Operation};
use crate::ffi::{Answer, CallError, Trim};
use crate::name::{Guid, PoolName};
use crate::zfs::Zfs;

// pool_initialize_func_t and pool_trim_func_t
const START: u32 = 0;
const CANCEL: u32 = 1;
const SUSPEND: u32 = 2;
const UNINITIALIZE: u32 = 3;

/// What to do about the initializing of devices: the writing of a pattern to
/// all of their free space.
///
/// Without devices it is about all leaf devices of the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitializeRequest {
    command: u32,
    devices: Vec<Guid>,
}

impl InitializeRequest {
    fn new(command: u32) -> InitializeRequest {
        InitializeRequest {
            command,
            devices: Vec::new(),
        }
    }

    /// Starts it, or goes on where it was suspended.
    pub fn start() -> InitializeRequest {
        InitializeRequest::new(START)
    }

    /// Stops it; it can go on later.
    pub fn suspend() -> InitializeRequest {
        InitializeRequest::new(SUSPEND)
    }

    /// Ends it.
    pub fn cancel() -> InitializeRequest {
        InitializeRequest::new(CANCEL)
    }

    /// Forgets that it was done, so that it can be done again; since OpenZFS
    /// 2.2.
    pub fn uninitialize() -> InitializeRequest {
        InitializeRequest::new(UNINITIALIZE)
    }

    /// This leaf device; further calls add to it.
    #[must_use]
    pub fn device(mut self, guid: Guid) -> InitializeRequest {
        self.devices.push(guid);
        self
    }
}

/// What to do about the trimming of devices: telling them which of their
/// space is free.
///
/// Without devices it is about all leaf devices of the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrimRequest {
    command: u32,
    bytes_per_second: u64,
    secure: bool,
    devices: Vec<Guid>,
}

impl TrimRequest {
    fn new(command: u32) -> TrimRequest {
        TrimRequest {
            command,
            bytes_per_second: 0,
            secure: false,
            devices: Vec::new(),
        }
    }

    /// Starts it, or goes on where it was suspended.
    pub fn start() -> TrimRequest {
        TrimRequest::new(START)
    }

    /// Stops it; it can go on later.
    pub fn suspend() -> TrimRequest {
        TrimRequest::new(SUSPEND)
    }

    /// Ends it.
    pub fn cancel() -> TrimRequest {
        TrimRequest::new(CANCEL)
    }

    /// At most that many bytes in a second; 0 is as fast as can be.
    #[must_use]
    pub fn bytes_per_second(mut self, bytes: u64) -> TrimRequest {
        self.bytes_per_second = bytes;
        self
    }

    /// So that what was there cannot be read any more, on devices that can.
    #[must_use]
    pub fn secure(mut self) -> TrimRequest {
        self.secure = true;
        self
    }

    /// This leaf device; further calls add to it.
    #[must_use]
    pub fn device(mut self, guid: Guid) -> TrimRequest {
        self.devices.push(guid);
        self
    }
}

impl Zfs {
    /// Starts, suspends or ends the initializing of devices, in the
    /// background; [`Vdev::initialize`] says how far each is.
    ///
    /// # Errors
    ///
    /// [`Error::Zfs`], or [`Error::Several`], with the reason of each device
    /// that it cannot be done on; it is done on the others. Failures are named
    /// `POOL DEVICE`.
    pub fn initialize(&self, pool: &PoolName, request: &InitializeRequest) -> Result<(), Error> {
        if request.command == UNINITIALIZE {
            self.needs_kernel("forgetting that devices were initialized", "2.2")?;
        }
        self.on_devices(pool, Operation::Initialize, &request.devices, |devices| {
            let mut arguments = NvList::new();
            arguments.insert("initialize_command", u64::from(request.command))?;
            arguments.insert("initialize_vdevs", devices.clone())?;
            // lzc_initialize has other arguments in the next release, under
            // the same soname; the request has not changed.
            self.device.call(
                zfs_ioc_t::ZFS_IOC_POOL_INITIALIZE,
                pool.as_str(),
                &arguments,
            )
        })
    }

    /// Starts, suspends or ends the trimming of devices, in the background;
    /// [`Vdev::trim`] says how far each is.
    ///
    /// # Errors
    ///
    /// As [`Zfs::initialize`].
    pub fn trim(&self, pool: &PoolName, request: &TrimRequest) -> Result<(), Error> {
        let trim = Trim {
            command: request.command,
            rate: request.bytes_per_second,
            secure: request.secure,
        };
        let lzc = self.lzc()?;
        self.on_devices(pool, Operation::Trim, &request.devices, |devices| {
            lzc.trim(pool.as_str(), &trim, devices)
        })
    }

    fn on_devices(
        &self,
        pool: &PoolName,
        operation: Operation,
        devices: &[Guid],
        call: impl FnOnce(&NvList) -> Result<Answer, CallError>,
    ) -> Result<(), Error> {
        let on = |error: CallError| error.on(operation, pool.as_str());
        let leaves = self.leaves(pool, operation)?;
        let mut list = NvList::new();
        let all: Vec<Guid> = leaves.iter().map(|leaf| leaf.guid).collect();
        for guid in if devices.is_empty() { &all } else { devices } {
            list.insert(guid.to_string(), guid.0)
                .map_err(|error| on(error.into()))?;
        }
        let answer = call(&list).map_err(on)?;
        let mut failures = Vec::new();
        for key in ["initialize_vdevs", "trim_vdevs"] {
            for (guid, errno) in answer.list.get_nvlist(key).into_iter().flatten() {
                let guid = guid.to_string();
                let number = match errno {
                    zfs_stream::nvlist::Value::Int64(number) => *number,
                    _ => i64::from(libc::EIO),
                };
                let path = leaves
                    .iter()
                    .find(|leaf| leaf.guid.to_string() == guid)
                    .and_then(|leaf| leaf.path.clone())
                    .unwrap_or(guid);
                let errno = Errno(i32::try_from(number).unwrap_or(libc::EIO));
                failures.push(Failure::new(operation, format!("{pool} {path}"), errno));
            }
        }
        match (failures.pop(), answer.errno) {
            (None, None) => Ok(()),
            (None, Some(errno)) => Err(on(CallError::Zfs(errno))),
            (Some(only), _) if failures.is_empty() => Err(Error::Zfs(only)),
            (Some(last), _) => {
                failures.push(last);
                Err(Error::Several { failures, more: 0 })
            }
        }
    }

    fn leaves(&self, pool: &PoolName, operation: Operation) -> Result<Vec<Vdev>, Error> {
        match self.pool_state(pool) {
            Ok(state) => Ok(state.root.leaves().cloned().collect()),
            Err(Error::Zfs(mut failure)) => {
                failure.operation = operation;
                Err(Error::Zfs(failure))
            }
            Err(error) => Err(error),
        }
    }
}
