//! What the binaries share, and the parts of them that are worth testing
//! without starting a process.

#![forbid(unsafe_code)]

// First, for its macros to be seen in all that follow.
#[macro_use]
pub mod output;

pub mod autosnap;
pub mod cache;
pub mod completions;
pub mod ctl;
pub mod exit;
pub mod list;
pub mod lock;
pub mod logging;
pub mod pipeline;
pub mod replicate;
pub mod stop;
pub mod streamdump;
