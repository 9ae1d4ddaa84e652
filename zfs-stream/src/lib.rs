//! Pure Rust: nvlists, ZFS send-stream records, checksums and resume tokens.
//!
//! Bytes in, values out: no C, no ZFS, no kernel. Everything read is treated
//! as hostile: sizes are checked against what is really there before memory is
//! taken, and nesting is limited.
//!
//! - [`nvlist`]: the name-value lists that ZFS speaks everywhere, in both of
//!   libnvpair's encodings and both byte orders.
//! - [`fletcher`]: the checksum of streams and tokens.
//! - `record` (feature `stream`): the records of a send stream.
//! - `source` (feature `stream`): files, read from many places at once.
//! - `stage` (feature `stream`): what stands between a sender and a receiver.
//! - `stats` (feature `stream`): what a stream holds.
//! - `verify` (feature `stream`): whether `zfs receive` would take one.
//! - `compress` and `change` (feature `compress`): blocks as ZFS compresses
//!   them, and streams recompressed, made whole, shortened.
//! - `token` (feature `token`): resume tokens.

#[cfg(feature = "compress")]
pub mod change;
#[cfg(feature = "compress")]
pub mod compress;
mod error;
pub mod fletcher;
pub mod nvlist;
mod printable;
#[cfg(feature = "stream")]
pub mod record;
#[cfg(feature = "stream")]
pub mod source;
#[cfg(feature = "stream")]
pub mod stage;
#[cfg(feature = "stream")]
pub mod stats;
#[cfg(feature = "token")]
pub mod token;
#[cfg(feature = "stream")]
pub mod verify;

pub use error::{Error, Result};
pub use printable::Printable;

#[doc = include_str!("../README.md")]
#[cfg(all(doctest, feature = "compress"))]
struct ReadmeDoctests;
