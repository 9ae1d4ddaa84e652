//! `cargo xtask demo`: two pools, three rounds of change and replication,
//! and the proof that both sides hold the same.
//!
//! The outer half runs on the developer's machine: it builds the binaries
//! and takes them into the ZFS machine. The inner half is this same program
//! with `--host`, in the machine or, where that is asked for, right here.

mod changes;
mod compare;
mod content;
mod events;
mod fill;
mod host;
mod interrupt;
mod machine;
mod pipeline;
mod pools;
mod resume;
mod scan;
mod steps;
mod table;
mod tamper;
mod tool;
mod volume;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use self::host::{Plan, Verdict};
use crate::vm::Suite;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask demo                       replicate, compare, and print the table
  cargo xtask demo --tamper              must find one changed byte: ends with 1
  cargo xtask demo --kill-at 50          kill the pipeline in the middle, and go on
  cargo xtask demo --keep-streams DIR    leave the streams that were sent in DIR")]
pub struct Demo {
    /// Run on this system's own ZFS, as root, with pools made from files
    /// alone, instead of in the ZFS machine
    #[arg(long)]
    host: bool,
    /// Debian release of the machine: bookworm has OpenZFS 2.1, trixie 2.3, sid 2.4
    #[arg(long, value_enum, default_value_t = Suite::Trixie, conflicts_with = "host")]
    suite: Suite,
    /// Change one byte of a file on site-b before the comparison, which must find it
    #[arg(long)]
    tamper: bool,
    /// Kill zfs-pipeline (SIGKILL) at this part of the largest transfer, and run it again
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(1..=99))]
    kill_at: Option<u8>,
    /// Leave the streams that were sent in this folder
    #[arg(long, value_name = "DIR")]
    keep_streams: Option<PathBuf>,
    /// Size of the largest file; more gives --kill-at more time on a fast machine
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=400))]
    largest: u64,
    /// Where zfs-pipeline is; without it, it is built
    #[arg(long, value_name = "DIR", requires = "host")]
    bin_dir: Option<PathBuf>,
}

impl Demo {
    pub fn run(self) -> Result<ExitCode> {
        if !self.host {
            return machine::run(&self, self.suite);
        }
        let plan = Plan {
            bin_dir: match self.bin_dir {
                Some(dir) => dir,
                None => machine::host_bin_dir()?,
            },
            tamper: self.tamper,
            kill_at: self.kill_at,
            keep_streams: self.keep_streams,
            largest_bytes: self.largest << 20,
        };
        Ok(match host::run(&plan)? {
            Verdict::Identical => ExitCode::SUCCESS,
            Verdict::Different => ExitCode::FAILURE,
        })
    }
}
