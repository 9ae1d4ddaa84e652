//! zfs-autosnap: snapshots by sanoid.conf.

#![forbid(unsafe_code)]

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use examples::autosnap::run::{self, Voice};
use examples::autosnap::{arguments, check, explain, simulate};
use examples::completions::{self, Shell};
use examples::exit::{self, Exit};
use examples::logging::{LogFormat, Verbosity};

/// Take, prune and watch snapshots by sanoid.conf, with sanoid's options; and
/// say what policies do, before they do it
#[derive(Debug, Parser)]
#[command(name = "zfs-autosnap", version, after_help = EXAMPLES, infer_long_args = true)]
#[command(args_conflicts_with_subcommands = true)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    options: run::Options,

    /// Say more
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    verbose: u8,

    /// Say only what went wrong
    #[arg(short, long, global = true)]
    quiet: bool,

    /// How logs are written to stderr
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        global = true
    )]
    log_format: LogFormat,
}

const EXAMPLES: &str = "\
Examples:
  From a timer, every quarter of an hour: take what is due, destroy what is not kept:
      zfs-autosnap --cron --verbose
  What would it do now?
      zfs-autosnap --cron --readonly --verbose
  For Nagios:
      zfs-autosnap --monitor-snapshots
  Is sanoid.conf right, what does it do over time, and what would it destroy now, and why?
      zfs-autosnap check --help
      zfs-autosnap simulate --help
      zfs-autosnap explain --help

Exit codes: 0 done, 1 something failed, 64 wrong usage or configuration; with --monitor-*
0 OK, 1 warning, 2 critical, 3 could not be found out.";

const CHECK: &str = "\
Examples:
  Is /etc/sanoid/sanoid.conf right? Tells everything wrong at once:
      zfs-autosnap check
  Is that one?
      zfs-autosnap check --config ./sanoid.conf

Exit codes: 0 it can be used (there may be warnings), 64 it cannot.";

const SIMULATE: &str = "\
Examples:
  What would exist after two years of it, run every hour?
      zfs-autosnap simulate --from 2026-01-01 --to 2028-01-01 --every 1h --timeline

Exit codes: 0 done, 1 a drawing could not be written, 64 wrong usage or configuration.";

const EXPLAIN: &str = "\
Examples:
  What would it destroy right now, and why?
      zfs list -Hp -t snapshot,bookmark -o name,guid,createtxg,creation,userrefs,clones,used |
          zfs-autosnap explain --config /etc/sanoid
  And if there were 14 dailies?
      zfs list -Hp -t snapshot,bookmark -o name,guid,createtxg,creation,userrefs,clones,used |
          zfs-autosnap explain --config /etc/sanoid --if daily=14
  And what would zrepl's grid keep of the same?
      zfs list -Hp -t snapshot,bookmark -o name,guid,createtxg,creation,userrefs,clones,used |
          zfs-autosnap explain --grid '1x1h(keep=all) | 24x1h | 30x1d' --names 'autosnap*'

Exit codes: 0 done, 1 the list could not be read, 64 wrong usage, configuration or list.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Tell everything that is wrong with a sanoid.conf, and what it comes down
    /// to
    #[command(after_help = CHECK)]
    Check {
        #[command(flatten)]
        conf: Configuration,

        /// One JSON object per problem and dataset
        #[arg(long)]
        json: bool,
    },
    /// Run a sanoid.conf over any stretch of time and list what exists at the
    /// end; of a recursive dataset's children only those are known that have a
    /// section of their own
    #[command(after_help = SIMULATE)]
    Simulate {
        #[command(flatten)]
        conf: Configuration,
        #[command(flatten)]
        span: simulate::Span,
        #[command(flatten)]
        show: simulate::Show,
    },
    /// Say of each snapshot in a list whether a policy keeps it, and why
    #[command(after_help = EXPLAIN)]
    Explain {
        #[command(flatten)]
        options: Box<explain::Options>,
    },
    /// Print what a shell completes, for its folder of completions
    Completions { shell: Shell },
}

#[derive(Debug, clap::Args)]
struct Configuration {
    /// The folder of sanoid.conf, or the file
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/etc/sanoid",
        visible_alias = "configdir"
    )]
    config: PathBuf,
}

fn main() -> ExitCode {
    exit::main_with(arguments::with_two_dashes(std::env::args_os()), run)
}

fn run(args: Args) -> anyhow::Result<Exit> {
    Verbosity::new(args.verbose, args.quiet, args.log_format).start();
    let Some(command) = args.command else {
        let voice = Voice {
            verbose: args.verbose > 0,
            quiet: args.quiet,
        };
        return run::run(&args.options, voice);
    };
    let (lines, exit) = match command {
        Command::Check { conf, json } => check::run(&conf.config, json)?,
        Command::Simulate { conf, span, show } => {
            (simulate::run(&conf.config, &span, &show)?, Exit::Done)
        }
        Command::Explain { options } => (explain::run(&options)?, Exit::Done),
        Command::Completions { shell } => {
            completions::show::<Args>(shell);
            return Ok(Exit::Done);
        }
    };
    let mut out = std::io::stdout().lock();
    for line in lines {
        match writeln!(out, "{line}") {
            // Whoever reads has seen enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => break,
            other => other?,
        }
    }
    Ok(exit)
}
