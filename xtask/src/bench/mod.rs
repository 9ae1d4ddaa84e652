//! `cargo xtask bench`: what docs/COMPARE.md says, measured.

mod autosnap;
mod compare;
mod retention;
mod series;
mod stream;

use std::{fmt::Write as _, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, Result, bail};

use self::series::Series;
use crate::{
    cargo::{self, Destination},
    vm::{self, Machine, Outcome, Stream, Suite},
};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask bench send            zfs-core against `zfs send`, in the ZFS machine
  cargo xtask bench send --write    the same, and the table goes into docs/COMPARE.md
  cargo xtask bench retention       plans over many snapshots, on this machine
  cargo xtask bench stream          zfs-stream against zstream, mbuffer and pv, on this host
  cargo xtask bench autosnap        zfs-autosnap against sanoid, in the ZFS machine")]
pub struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// A snapshot sent from a warm cache into a pipe: zfs-core against `zfs send`
    Send {
        /// Debian release of the machine: bookworm has OpenZFS 2.1, trixie 2.3, sid 2.4
        #[arg(long, value_enum, default_value_t = Suite::Trixie)]
        suite: Suite,
        /// Size of the stream
        #[arg(long, value_name = "MIB", default_value_t = 512)]
        size: u64,
        /// Pairs of runs, in turn
        #[arg(long, default_value_t = 9)]
        runs: u32,
        /// Put the table into docs/COMPARE.md
        #[arg(long)]
        write: bool,
    },
    /// Plans over many snapshots, on this machine: time, memory and how they grow
    Retention {
        /// Put the table into docs/COMPARE.md
        #[arg(long)]
        write: bool,
    },
    /// Streams, on this host: zfs-streamdump against zstream, Fletcher-4 against
    /// OpenZFS', stages against mbuffer, pv and sha256sum
    Stream {
        /// Size of the stream
        #[arg(long, value_name = "MIB", default_value_t = 1024)]
        size: u64,
        /// Runs of each, in turn
        #[arg(long, default_value_t = 7)]
        runs: u32,
        /// Put the tables into docs/COMPARE.md
        #[arg(long)]
        write: bool,
    },
    /// zfs-autosnap --cron against sanoid --cron, both with their caches warm
    Autosnap {
        /// Debian release of the machine: bookworm has OpenZFS 2.1, trixie 2.3, sid 2.4
        #[arg(long, value_enum, default_value_t = Suite::Trixie)]
        suite: Suite,
        /// Pairs of runs in which nothing is due
        #[arg(long, default_value_t = 7)]
        idle: u32,
        /// Pairs of runs in which three types are due on each dataset
        #[arg(long, default_value_t = 1)]
        due: u32,
        /// Put the table into docs/COMPARE.md
        #[arg(long)]
        write: bool,
    },
}

impl Bench {
    pub fn run(self) -> Result<ExitCode> {
        let (name, section, write) = match self.what {
            What::Send {
                suite,
                size,
                runs,
                write,
            } => ("send", send(suite, size, runs)?, write),
            What::Stream { size, runs, write } => ("stream", stream::stream(size, runs)?, write),
            What::Retention { write } => ("retention", retention::section()?, write),
            What::Autosnap {
                suite,
                idle,
                due,
                write,
            } => ("autosnap", autosnap::section(suite, idle, due)?, write),
        };
        println!("{section}");
        if write {
            compare::write(name, &section)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// One pair of runs, as `bench-zfs` prints it: bytes, and seconds of each.
#[derive(serde::Deserialize)]
struct Pair {
    bytes: u64,
    zfs_core: f64,
    zfs_send: f64,
}

fn send(suite: Suite, size: u64, runs: u32) -> Result<String> {
    let image = vm::build(suite)?;
    let programs = cargo::build(
        Destination::Guest(&image.root),
        &["build", "--release", "-p", "benches", "--bin", "bench-zfs"],
    )?;
    let program = programs
        .into_iter()
        .next()
        .context("cargo built no bench-zfs")?;
    let mut machine = Machine::new(suite);
    machine.timeout = Duration::from_secs(3600);
    // The pool's data must fit the cache, which takes half of the memory.
    machine.memory_mib = 4096.max(u32::try_from(size * 4)?);
    machine
        .copy_in
        .push((program.file, PathBuf::from("bin/bench-zfs")));
    let script = format!("cat /sys/module/zfs/version; exec bench-zfs send {size} {runs}");
    let mut text = Vec::new();
    let outcome = machine.run(
        &["sh".into(), "-c".into(), script.into()],
        &mut |stream, bytes| match stream {
            Stream::Stdout => text.extend_from_slice(bytes),
            Stream::Stderr => vm::pass_on(stream, bytes),
        },
    )?;
    if outcome != Outcome::Exited(0) {
        bail!("bench-zfs failed in the machine ({outcome:?})");
    }
    let text = String::from_utf8(text)?;
    let (version, lines) = text
        .split_once('\n')
        .context("the machine printed nothing")?;
    let pairs: Vec<Pair> = lines
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    table(version, &pairs)
}

fn table(version: &str, pairs: &[Pair]) -> Result<String> {
    let none = "no pair was measured";
    let bytes = pairs.first().context(none)?.bytes;
    let ours = Series::new(pairs.iter().map(|pair| pair.zfs_core).collect()).context(none)?;
    let theirs = Series::new(pairs.iter().map(|pair| pair.zfs_send).collect()).context(none)?;
    let ratio = Series::new(
        pairs
            .iter()
            .map(|pair| pair.zfs_core / pair.zfs_send)
            .collect(),
    )
    .context(none)?;
    let mut text = format!(
        "OpenZFS {version}, a stream of {bytes} bytes, {} pairs of runs in turn, {}.\n\n",
        pairs.len(),
        if vm::has_kvm() {
            "under KVM"
        } else {
            "under emulation: only the ratio means something"
        },
    );
    text.push_str("| | median | least | most |\n| --- | --- | --- | --- |\n");
    if vm::has_kvm() {
        text.push_str(&rows(&ours, &theirs));
    } else {
        eprintln!(
            "bench: seconds under emulation, not to be published:\n{}",
            rows(&ours, &theirs)
        );
    }
    writeln!(
        text,
        "| wall time, zfs-core ÷ zfs send | {:.3} | {:.3} | {:.3} |",
        ratio.median(),
        ratio.least(),
        ratio.most()
    )?;
    Ok(text)
}

fn rows(ours: &Series, theirs: &Series) -> String {
    let row = |name: &str, series: &Series| {
        format!(
            "| {name}, seconds | {:.3} | {:.3} | {:.3} |\n",
            series.median(),
            series.least(),
            series.most()
        )
    };
    row("zfs-core", ours) + &row("zfs send", theirs)
}
