//! zfs-ctl: the library as zfs(8) has it.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use examples::completions::{self, Shell};
use examples::ctl::act::{Act, How};
use examples::ctl::{
    Usage, allow, dataset, destroy, diff, get, key, mount, program, property, snapshot, stream,
};
use examples::eprintln;
use examples::exit::{UsageError, sentence};
use zfs_core::Zfs;

/// ZFS with zfs(8)'s words, options and effects, by the library alone
#[derive(Debug, Parser)]
#[command(name = "zfs-ctl", version, after_help = AFTER)]
struct Args {
    /// Tell what would be done, and do nothing
    #[arg(long, global = true)]
    dry_run: bool,
    /// Tell what is done as one JSON object
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

const AFTER: &str = "\
Each verb has examples of its own: zfs-ctl VERB --help. Listing is zfs-list's.

What is changed is in `zpool history` with the command line, as with zfs(8).

Exit codes, as zfs(8): 0 done, 1 failed, 2 wrong usage.";

#[derive(Debug, Subcommand)]
enum Verb {
    Create(dataset::Create),
    Destroy(destroy::Destroy),
    Rename(dataset::Rename),
    Clone(dataset::Clone),
    Promote(dataset::Promote),
    Snapshot(snapshot::Snapshot),
    Rollback(snapshot::Rollback),
    Hold(snapshot::Hold),
    Release(snapshot::Release),
    Holds(snapshot::Holds),
    Bookmark(snapshot::Bookmark),
    Get(get::Get),
    Set(property::Set),
    Inherit(property::Inherit),
    Mount(mount::Mount),
    Unmount(mount::Unmount),
    LoadKey(key::LoadKey),
    UnloadKey(key::UnloadKey),
    ChangeKey(key::ChangeKey),
    Send(stream::Send),
    Receive(stream::Receive),
    Redact(stream::Redact),
    Diff(diff::Diff),
    Allow(allow::Allow),
    Program(program::Program),
    Version(program::Versions),
    Wait(program::Wait),
    /// Print what a shell completes, for its folder of completions
    Completions {
        shell: Shell,
    },
}

impl Verb {
    /// What it writes is text, or a stream.
    fn is_text_alone(&self) -> bool {
        matches!(
            self,
            Verb::Send(_) | Verb::Holds(_) | Verb::Diff(_) | Verb::Allow(_)
        )
    }

    /// What it writes is what it is asked for, and not what it did.
    fn has_own_output(&self) -> bool {
        match self {
            Verb::Get(_) | Verb::Program(_) | Verb::Version(_) => true,
            Verb::Mount(mount) => mount.shows(),
            _ => self.is_text_alone(),
        }
    }
}

fn run(verb: Verb, act: &mut Act) -> anyhow::Result<()> {
    match verb {
        Verb::Create(verb) => verb.run(act),
        Verb::Destroy(verb) => verb.run(act),
        Verb::Rename(verb) => verb.run(act),
        Verb::Clone(verb) => verb.run(act),
        Verb::Promote(verb) => verb.run(act),
        Verb::Snapshot(verb) => verb.run(act),
        Verb::Rollback(verb) => verb.run(act),
        Verb::Hold(verb) => verb.run(act),
        Verb::Release(verb) => verb.run(act),
        Verb::Holds(verb) => verb.run(act),
        Verb::Bookmark(verb) => verb.run(act),
        Verb::Get(verb) => verb.run(act),
        Verb::Set(verb) => verb.run(act),
        Verb::Inherit(verb) => verb.run(act),
        Verb::Mount(verb) => verb.run(act),
        Verb::Unmount(verb) => verb.run(act),
        Verb::LoadKey(verb) => verb.run(act),
        Verb::UnloadKey(verb) => verb.run(act),
        Verb::ChangeKey(verb) => verb.run(act),
        Verb::Send(verb) => verb.run(act),
        Verb::Receive(verb) => verb.run(act),
        Verb::Redact(verb) => verb.run(act),
        Verb::Diff(verb) => verb.run(act),
        Verb::Allow(verb) => verb.run(act),
        Verb::Program(verb) => verb.run(act),
        Verb::Version(verb) => verb.run(act),
        Verb::Wait(verb) => verb.run(act),
        // It needs no ZFS: see main.
        Verb::Completions { .. } => Ok(()),
    }
}

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Nobody is left to tell where this cannot be written.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    if let Verb::Completions { shell } = args.verb {
        completions::show::<Args>(shell);
        return ExitCode::SUCCESS;
    }
    let how = How {
        dry_run: args.dry_run,
        json: args.json,
        verbose: false,
        quiet: false,
    };
    if args.json && args.verb.is_text_alone() {
        return failed(&Usage("--json: this verb has no JSON".to_owned()).into());
    }
    let own_output = args.verb.has_own_output();
    let mut act = match Zfs::open() {
        Ok(zfs) => Act::new(zfs, how).history(command_line(std::env::args_os())),
        Err(error) => return failed(&error.into()),
    };
    let outcome = run(args.verb, &mut act);
    if outcome.is_ok() {
        act.log();
    }
    if !own_output {
        act.finish(outcome.as_ref().err().map(sentence).as_deref());
    }
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// As zfs(8) writes its own: the program without its folder.
fn command_line(arguments: impl Iterator<Item = OsString>) -> String {
    let mut words: Vec<String> = arguments
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    if let Some(program) = words.first_mut() {
        *program = program.rsplit('/').next().unwrap_or_default().to_owned();
    }
    words.join(" ")
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("zfs-ctl: {}", sentence(error));
    let usage =
        error.downcast_ref::<Usage>().is_some() || error.downcast_ref::<UsageError>().is_some();
    ExitCode::from(if usage { 2 } else { 1 })
}
