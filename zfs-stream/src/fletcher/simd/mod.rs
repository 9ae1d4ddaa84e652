//! The implementations in processor intrinsics: the only `unsafe` code of the
//! module.
//!
//! A kernel is handed out only after the processor was asked for what it needs.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(all(target_arch = "x86_64", zfs_stream_avx512))]
mod avx512;
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
mod neon;

use super::{Checksum, Implementation};
use crate::nvlist::ByteOrder;

/// Sums bytes, of which there is a whole number of steps.
pub(super) type Kernel = fn(&[u8], ByteOrder) -> Checksum;

/// The kernel of an implementation, if this processor and build have it.
pub(super) fn kernel(implementation: Implementation) -> Option<Kernel> {
    match implementation {
        #[cfg(target_arch = "x86_64")]
        Implementation::Avx2 => avx2::kernel(),
        #[cfg(all(target_arch = "x86_64", zfs_stream_avx512))]
        Implementation::Avx512 => avx512::kernel(),
        #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
        Implementation::Neon => neon::kernel(),
        _ => None,
    }
}
