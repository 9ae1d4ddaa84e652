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
use host::{Plan, Verdict};

/// The arguments of `cargo xtask demo`.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Run on this system's own ZFS, as root, with pools made from files
    /// alone, instead of in the ZFS machine
    #[arg(long)]
    host: bool,

    /// Change one byte of a file on site-b before the comparison, which must
    /// find it: ends with 1
    #[arg(long)]
    tamper: bool,

    /// Kill zfs-pipeline (SIGKILL) at this part of the largest transfer, and
    /// run it again
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(1..=99))]
    kill_at: Option<u8>,

    /// Leave the streams that were sent in this folder
    #[arg(long, value_name = "DIR")]
    keep_streams: Option<PathBuf>,

    /// The size of the largest file; more gives --kill-at more time on a
    /// fast machine
    #[arg(long, value_name = "MIB", default_value_t = 96, value_parser = clap::value_parser!(u64).range(1..=400))]
    largest: u64,

    /// Where zfs-pipeline is, with --host; built if not given
    #[arg(long, value_name = "DIR", requires = "host")]
    bin_dir: Option<PathBuf>,
}

/// Runs the demo where the arguments say.
pub fn run(args: DemoArgs) -> Result<ExitCode> {
    let plan = Plan {
        bin_dir: args.bin_dir.unwrap_or_default(),
        tamper: args.tamper,
        kill_at: args.kill_at,
        keep_streams: args.keep_streams,
        largest_bytes: args.largest << 20,
    };
    Ok(match host::run(&plan)? {
        Verdict::Identical => ExitCode::SUCCESS,
        Verdict::Different => ExitCode::FAILURE,
    })
}
