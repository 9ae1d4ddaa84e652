//! Where streams come from.
//!
//! ```text
//! pipe -> read(2) -> Reader                 (any source: one copy)
//! file -> [ Mapped ] -> &[u8] -> SliceReader     (no copy)
//! ```

#[cfg(feature = "mmap")]
#[allow(unsafe_code, reason = "mmap(2)")]
mod mmap;

#[cfg(feature = "mmap")]
pub use mmap::Mapped;
