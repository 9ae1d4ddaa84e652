//! zfs-pipeline: one TOML file says what is snapshot, what is kept, and where
//! it goes.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use examples::completions::{self, Shell};
use examples::exit::{self, Exit};
use examples::logging::Verbosity;
use examples::pipeline::config::Config;
use examples::pipeline::report::{Form, Reporter};
use examples::pipeline::run::{Mode, Run};
use examples::stop;
use zfs_replicate::execute::Cancel;

/// Snapshots, replication and pruning, as one TOML file says
#[derive(Debug, Parser)]
#[command(name = "zfs-pipeline", version, after_help = EXAMPLES)]
struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    verbosity: Verbosity,
}

const EXAMPLES: &str = "\
Examples:
  Say what a run would do, and why:
      zfs-pipeline run --dry-run -v office.toml
  Run, from a timer:
      zfs-pipeline run -q office.toml
  Run, and count the bytes that were sent:
      zfs-pipeline run --json office.toml | jq 'select(.event == \"done\").bytes'

A file:
      [policy.office]
      hourly = 24
      daily = 30

      [[job]]
      name = \"office\"
      source = \"tank/office\"       # with everything below it
      policy = \"office\"            # a snapshot each run, pruned by it

      [[job.target]]
      dataset = \"vault/office\"
      identifier = \"vault\"
      policy = \"office\"            # what the target keeps

Exit codes: 0 all done, 1 something failed (the rest went on), 64 wrong usage or file.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Take snapshots, replicate them, prune both sides
    #[command(after_help = EXAMPLES)]
    Run {
        /// The TOML file
        file: PathBuf,

        /// Change nothing; say what would be done, and why
        #[arg(short = 'n', long)]
        dry_run: bool,

        /// One JSON object per line on stdout
        #[arg(long)]
        json: bool,

        /// Keep a copy of every stream in this folder
        #[arg(long, value_name = "DIR", conflicts_with = "dry_run")]
        keep_streams: Option<PathBuf>,
    },
    /// Print what a shell completes, for its folder of completions
    Completions { shell: Shell },
}

fn main() -> ExitCode {
    exit::main(run)
}

fn run(args: Args) -> anyhow::Result<Exit> {
    args.verbosity.start();
    let (file, dry_run, json, keep_streams) = match args.command {
        Command::Run {
            file,
            dry_run,
            json,
            keep_streams,
        } => (file, dry_run, json, keep_streams),
        Command::Completions { shell } => {
            completions::show::<Args>(shell);
            return Ok(Exit::Done);
        }
    };
    let config = Config::read(&file)?;
    let mode = if dry_run { Mode::Dry } else { Mode::Real };
    // A dry run is all about the plan.
    let verbose = args.verbosity.is_verbose() || dry_run;
    let form = match (json, args.verbosity.is_quiet(), verbose) {
        (true, _, _) => Form::Json,
        (false, true, _) => Form::Quiet,
        (false, false, true) => Form::Verbose,
        (false, false, false) => Form::Text,
    };
    let cancel = Cancel::new();
    stop::on_signal({
        let cancel = cancel.clone();
        move || cancel.cancel()
    })?;
    let reporter = Reporter::new(form);
    Run::new(&reporter, mode, keep_streams.as_deref(), cancel.clone())?.run(&config);
    Ok(Exit::done_if(reporter.done(cancel.is_cancelled())))
}
