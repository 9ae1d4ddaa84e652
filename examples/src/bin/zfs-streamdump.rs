//! zfs-streamdump: what is in a ZFS send stream, and whether it is whole.

#![forbid(unsafe_code)]

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use examples::exit::{self, Exit, UsageError};
use examples::streamdump::dump::{self, Detail, Dump};
use zfs_stream::token::ResumeToken;

/// What is in a ZFS send stream, and whether it is whole; needs no ZFS
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  What is in a stream:
      zfs send tank/data@monday | zfs-streamdump dump
  Every record, with its checksum:
      zfs-streamdump dump -vv monday.zfs
  The totals for a script:
      zfs-streamdump dump --json monday.zfs | jq .stream_bytes
  Whether backups can be restored:
      zfs-streamdump verify *.zfs
  Whether they follow each other:
      zfs-streamdump chain full.zfs monday.zfs tuesday.zfs
  Where an interrupted receive would go on:
      zfs-streamdump token \"$(zfs get -Ho value receive_resume_token tank/data)\"

Exit codes: 0 intact, 1 damaged or broken, 2 unreadable, 64 wrong usage.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what is in a stream, in zstream dump's words, and check it
    Dump {
        /// The stream; - or nothing is standard input
        file: Option<PathBuf>,

        /// A line for each record; -vv with its checksum
        #[arg(short, long, action = clap::ArgAction::Count)]
        verbose: u8,

        /// One JSON object
        #[arg(long, conflicts_with = "verbose")]
        json: bool,

        /// Check nothing
        #[arg(short = 'C', long)]
        no_check: bool,
    },
    /// Check streams, with a line for each finding
    Verify {
        /// The streams; - is standard input
        #[arg(required = true)]
        files: Vec<PathBuf>,

        /// One JSON object per file
        #[arg(long)]
        json: bool,
    },
    /// Show what is in a resume token
    Token {
        /// The token, as the property receive_resume_token has it
        token: String,

        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Tell whether streams, received in this order, lead from nothing to the last
    Chain {
        /// The streams; - is standard input
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

fn main() -> ExitCode {
    exit::main(run)
}

fn run(args: Args) -> anyhow::Result<Exit> {
    match args.command {
        Command::Dump {
            file,
            verbose,
            json,
            no_check,
        } => {
            let file = file.unwrap_or_else(|| PathBuf::from("-"));
            refuse_terminal(&file)?;
            let how = Dump {
                detail: Detail::from_count(verbose),
                json,
                unchecked: no_check,
            };
            dump::dump(&file, how)
        }
        Command::Verify { files, json } => {
            for file in &files {
                refuse_terminal(file)?;
            }
            dump::verify_files(&files, json)
        }
        Command::Token { token, json } => show_token(&token, json),
        Command::Chain { files } => dump::chain(&files),
    }
}

/// A stream is not typed.
fn refuse_terminal(file: &Path) -> Result<(), UsageError> {
    if file == Path::new("-") && io::stdin().is_terminal() {
        let text = "a send stream cannot be read from a terminal: name a file, or redirect";
        return Err(UsageError(text.to_owned()));
    }
    Ok(())
}

fn show_token(text: &str, json: bool) -> anyhow::Result<Exit> {
    let token = ResumeToken::decode(text.trim()).context("cannot read the token")?;
    if json {
        let value = serde_json::json!({
            "to_name": token.to_name,
            "to_guid": token.to_guid.to_string(),
            "from_guid": token.from_guid.map(|guid| guid.to_string()),
            "object": token.object,
            "offset": token.offset,
            "bytes": token.bytes,
            "large_block": token.large_block,
            "embed": token.embed,
            "compress": token.compress,
            "raw": token.raw,
            "saved": token.saved,
        });
        println!("{value}");
    } else {
        println!("{token}");
    }
    Ok(Exit::Done)
}
