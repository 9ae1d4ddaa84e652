//! What stands between a sender and a receiver.
//!
//! ```text
//! source -> [ verify ] -> [ buffer ] -> [ rate ] -> [ progress ] -> [ digest ] -> [ fan-out ] -> sinks
//! ```
//!
//! Each stage is a type around a [`Read`](std::io::Read), and a pipeline is
//! their composition: the innermost is nearest to the source. Back-pressure is
//! that of reading: what is not asked for is not read, except by the buffer, as
//! far as it has room. An error of the source comes out at the end as it is,
//! after what came before it.
//!
//! [`VerifyingReader`](crate::verify::VerifyingReader) is a stage as well.
//!
//! ```
//! use std::io::{self, Read};
//! use std::num::NonZeroU64;
//! use zfs_stream::stage::{Buffer, Limit, RateReader};
//!
//! let source = io::repeat(7).take(1 << 20);
//! let buffered = Buffer::new(source, 16 << 20)?;
//! let limit = Limit::new(NonZeroU64::new(100 << 20));
//! let mut limited = RateReader::new(buffered, limit);
//! assert_eq!(io::copy(&mut limited, &mut io::sink())?, 1 << 20);
//! # Ok::<(), io::Error>(())
//! ```

mod buffer;
#[cfg(feature = "digest")]
mod digest;
mod fan;
mod progress;
mod rate;
mod schedule;

pub use buffer::{BLOCK, Buffer};
#[cfg(feature = "digest")]
pub use digest::{DigestReader, Digests};
pub use fan::{FanOut, OnError};
pub use progress::{Meter, Progress, ProgressReader};
pub use rate::{Clock, Limit, RateReader, SystemClock};
pub use schedule::{BadSchedule, Schedule, ScheduledReader, WeekMinute};
