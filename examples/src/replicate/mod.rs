//! zfs-replicate: syncoid's command line, and a planner behind `--safe`.
//!
//! ```text
//! arguments -> [ syncoid: one dataset after the other, as syncoid does it ]
//!           -> [ safe: two trees -> plan -> executor                      ]
//! ```

pub mod alone;
pub mod arguments;
pub mod bars;
pub mod forms;
pub mod limit;
pub mod messages;
pub mod properties;
pub mod receive;
pub mod restore;
pub mod safe;
pub mod side;
pub mod syncoid;
pub mod told;
pub mod wanted;

/// What `--help` says.
pub const HELP: &str = include_str!("help.txt");
