//! `cargo xtask bench`: what docs/COMPARE.md says, measured.

mod autosnap;
mod compare;
mod guest;
mod kept;
mod list;
mod peers;
mod retention;
mod series;
mod stream;
mod transfer;

use std::process::ExitCode;

use anyhow::Result;

use crate::vm::{self, Suite};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask bench send            zfs-core against `zfs send`, in the ZFS machine
  cargo xtask bench list --write    zfs-list against `zfs list`; the table goes into docs/COMPARE.md
  cargo xtask bench list --snapshots 2000 --runs 3     a small one, while developing
  cargo xtask bench retention       plans over many snapshots, on this machine
  cargo xtask bench stream          zfs-stream against zstream, mbuffer and pv, on this host
  cargo xtask bench autosnap        zfs-autosnap against sanoid, in the ZFS machine
  cargo xtask bench peers           zfs-replicate against syncoid, bzfs and a bare pipe
  cargo xtask bench peers --datasets 10 --runs 1 --size 64    a small one")]
pub struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// A snapshot sent from a warm cache into a pipe: zfs-core against `zfs send`
    Send(Streams),
    /// A snapshot sent into another pool: zfs-core against `zfs send | zfs receive`
    Replicate(Streams),
    /// Many snapshots listed: zfs-list against `zfs list`
    List(Lists),
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
    /// Datasets replicated to another pool: zfs-replicate against syncoid and bzfs
    /// (which pip brings), and one large one against `zfs send | zfs receive`
    Peers(Peers),
    /// zfs-autosnap --cron against sanoid --cron, both with their caches warm
    Autosnap {
        /// Debian release of the machine: bookworm has OpenZFS 2.1, trixie 2.3, sid 2.4
        #[arg(long, value_enum, default_value_t = Suite::Trixie)]
        suite: Suite,
        /// How many datasets, of 50 snapshots each
        #[arg(long, default_value_t = 200)]
        datasets: u32,
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

#[derive(clap::Args)]
struct Streams {
    /// Debian release of the machine: bookworm has OpenZFS 2.1, trixie 2.3, sid 2.4
    #[arg(long, value_enum, default_value_t = Suite::Trixie)]
    suite: Suite,
    /// Size of the stream
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    size: u64,
    /// Pairs of runs, in turn
    #[arg(long, default_value_t = 9)]
    runs: u32,
    /// Put the table into docs/COMPARE.md
    #[arg(long)]
    write: bool,
}

#[derive(clap::Args)]
struct Peers {
    /// Debian release of the machine: bookworm has OpenZFS 2.1, trixie 2.3, sid 2.4
    #[arg(long, value_enum, default_value_t = Suite::Trixie)]
    suite: Suite,
    /// How many datasets
    #[arg(long, default_value_t = 100)]
    datasets: u64,
    /// Snapshots of each before the first run
    #[arg(long, default_value_t = 10)]
    snapshots: u64,
    /// Runs of each program for each row at most, in turn
    #[arg(long, default_value_t = 9)]
    runs: u32,
    /// Minutes for each row, after which no other round begins
    #[arg(long, default_value_t = 6)]
    minutes: u32,
    /// Size of the one large dataset
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    size: u64,
    /// Put the tables into docs/COMPARE.md
    #[arg(long)]
    write: bool,
}

#[derive(clap::Args)]
struct Lists {
    /// Debian release of the machine: bookworm has OpenZFS 2.1, trixie 2.3, sid 2.4
    #[arg(long, value_enum, default_value_t = Suite::Trixie)]
    suite: Suite,
    /// How many snapshots
    #[arg(long, default_value_t = 20_000)]
    snapshots: u64,
    /// In how many datasets
    #[arg(long, default_value_t = 100)]
    datasets: u64,
    /// Pairs of runs, in turn
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// Put the table into docs/COMPARE.md
    #[arg(long)]
    write: bool,
}

impl Bench {
    pub fn run(self) -> Result<ExitCode> {
        let (name, section, write) = match &self.what {
            What::Send(what) => ("send", transfer::send(what)?, what.write),
            What::Replicate(what) => ("replicate", transfer::replicate(what)?, what.write),
            What::List(what) => ("list", list::list(what)?, what.write),
            What::Peers(what) => ("peers", peers::peers(what)?, what.write),
            What::Stream { size, runs, write } => ("stream", stream::stream(*size, *runs)?, *write),
            What::Retention { write } => ("retention", retention::section()?, *write),
            What::Autosnap {
                suite,
                datasets,
                idle,
                due,
                write,
            } => (
                "autosnap",
                autosnap::section(*suite, *datasets, *idle, *due)?,
                *write,
            ),
        };
        println!("{section}");
        if write {
            let section = format!("{}\n\n{}", section.trim_end(), compare::measured_at()?);
            compare::write(name, &section)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// How much the numbers of this machine mean.
fn emulated() -> &'static str {
    if vm::has_kvm() {
        "under KVM"
    } else {
        "under emulation: only the ratios mean something"
    }
}
