#![doc = include_str!("../README.md")]
#![allow(unsafe_code)]

// bindgen's names are C's, and what they mean is documented by OpenZFS.
#[allow(
    missing_docs,
    non_camel_case_types,
    clippy::all,
    clippy::pedantic,
    unused_qualifications
)]
mod bindings;
#[cfg(target_os = "linux")]
mod cmd;
#[cfg(target_os = "linux")]
mod device;
mod error;
mod load;
mod symbols;

pub use bindings::cmd::*;
pub use bindings::numbers::*;
pub use bindings::nvpair::*;
pub use bindings::v2_1::*;
pub use bindings::v2_2::*;
pub use bindings::v2_3::*;
#[cfg(target_os = "linux")]
pub use cmd::ZfsCmd;
#[cfg(target_os = "linux")]
pub use device::{DEV_ZFS, DevZfs};
pub use error::{DeviceError, LoadError};
pub use load::{LIBNVPAIR, LIBZFS_CORE, Lib};
