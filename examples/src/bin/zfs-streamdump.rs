//! zfs-streamdump: what is in a ZFS send stream, and whether it is whole.

#![forbid(unsafe_code)]

use std::io::{self, IsTerminal, Read};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use examples::completions::{self, Shell};
use examples::exit::{self, Exit, UsageError};
use examples::println;
use examples::streamdump::chain;
use examples::streamdump::change::{self, Chosen, Which};
use examples::streamdump::dump::{self, Detail, Dump};
use zfs_stream::compress::Compression;
use zfs_stream::token::{MAX_TEXT, ResumeToken};

/// What is in a ZFS send stream, and whether it is whole; needs no ZFS
#[derive(Debug, Parser)]
#[command(name = "zfs-streamdump", version, after_help = EXAMPLES)]
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
  The bytes of every file, the largest first:
      zfs-streamdump dump --objects all monday.zfs
  Whether backups can be restored:
      zfs-streamdump verify *.zfs
  Whether they follow each other:
      zfs-streamdump chain full.zfs monday.zfs tuesday.zfs
  Where an interrupted receive would go on:
      zfs-streamdump token \"$(zfs get -Ho value receive_resume_token tank/data)\"
  Smaller, for a slow line, and received as it is:
      zfs send tank/data@monday | zfs-streamdump recompress zstd-9 | ssh backup zfs receive tank/data
  For a receiver that would rather compress by itself:
      zfs-streamdump decompress < monday.zfs | zfs receive tank/data
  A block whose record names a wrong compression:
      zfs-streamdump decompress 128,131072,lz4 < monday.zfs > repaired.zfs
  A deduplicated stream (zfs send -D) of an old ZFS:
      zfs-streamdump redup old.zfs | zfs receive tank/old
  Without one file's blocks:
      zfs-streamdump drop 128 < monday.zfs > without.zfs

Exit codes: 0 intact or done, 1 damaged, broken or failed, 2 unreadable or no stream
(an empty file is none), 64 wrong usage.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what is in a stream, in zstream dump's words, and check it
    #[command(after_help = "\
Examples:
  zfs send tank/data@monday | zfs-streamdump dump
  zfs-streamdump dump -v monday.zfs | grep 'object = 128 '
  zfs-streamdump dump --json monday.zfs | jq '.largest_objects'

Exit codes: 0 intact, 1 damaged, 2 unreadable or no stream.")]
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

        /// The bytes of so many of the largest objects, or of all
        #[arg(long, value_name = "N|all", default_value = "10", value_parser = objects)]
        objects: usize,
    },
    /// Check streams, with a line for each finding
    #[command(after_help = "\
Examples:
  zfs-streamdump verify *.zfs
  ssh backup cat monday.zfs | zfs-streamdump verify -
  zfs-streamdump verify --json *.zfs | jq 'select(.intact | not) | .file'

Exit codes: 0 all intact, 1 one is damaged, 2 one is unreadable or no stream.")]
    Verify {
        /// The streams; - is standard input
        #[arg(required = true)]
        files: Vec<PathBuf>,

        /// One JSON object per file
        #[arg(long)]
        json: bool,
    },
    /// Show what is in a resume token
    #[command(after_help = "\
Examples:
  zfs-streamdump token \"$(zfs get -Ho value receive_resume_token tank/data)\"
  ssh backup zfs get -Ho value receive_resume_token tank/data | zfs-streamdump token -")]
    Token {
        /// The token, as the property receive_resume_token has it; - is
        /// standard input
        token: String,

        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Tell whether streams, received in this order, lead from nothing to the last
    #[command(after_help = "\
Examples:
  zfs-streamdump chain full.zfs monday.zfs tuesday.zfs
  zfs-streamdump chain --json *.zfs | jq -r '.breaks[].message'

Exit codes: 0 unbroken, 1 broken or damaged, 2 one is unreadable or no stream.")]
    Chain {
        /// The streams; - is standard input
        #[arg(required = true)]
        files: Vec<PathBuf>,

        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Decompress blocks from standard input to standard output: all, or only those named
    #[command(after_help = "\
Examples:
  zfs-streamdump decompress < monday.zfs | zfs receive tank/data
  zfs-streamdump decompress 128,131072,lz4 < monday.zfs > repaired.zfs")]
    Decompress {
        /// A block: object, offset, and how it is really compressed where its
        /// record says so wrongly (off, lz4, lzjb, gzip, zle, zstd)
        #[arg(value_name = "OBJECT,OFFSET[,TYPE]")]
        blocks: Vec<Chosen>,

        /// Say what was done on standard error
        #[arg(short, long)]
        verbose: bool,
    },
    /// Compress blocks otherwise, from standard input to standard output
    #[command(after_help = "\
Examples:
  zfs send tank/data@monday | zfs-streamdump recompress lz4 | zfs receive backup/data
  zfs-streamdump recompress -l 19 zstd < monday.zfs > small.zfs
  zfs-streamdump recompress zstd-fast-10 < monday.zfs > fast.zfs
  zfs-streamdump recompress off < monday.zfs > plain.zfs")]
    Recompress {
        /// off, lz4, zstd, zstd-1 to zstd-19, zstd-fast-1 to zstd-fast-1000
        #[arg(value_name = "TYPE")]
        to: Compression,

        /// The level of zstd, 1 to 19
        #[arg(short, long)]
        level: Option<u8>,

        /// So many threads at most; otherwise as many as there are cores
        #[arg(short, long, value_name = "N")]
        threads: Option<NonZero<usize>>,

        /// Say what was done on standard error
        #[arg(short, long)]
        verbose: bool,
    },
    /// Make a deduplicated stream one that today's OpenZFS receives
    #[command(after_help = "\
Examples:
  zfs-streamdump redup old.zfs | zfs receive tank/old
  zfs-streamdump redup -v old.zfs > whole.zfs

It takes 24 bytes of memory for each block of the stream, up to three times as
much while its table grows, and goes back in the stream for equal blocks: what is
no file is first copied to a nameless one in TMPDIR.")]
    Redup {
        /// The stream, best a file; - is standard input
        file: PathBuf,

        /// Say what was done on standard error
        #[arg(short, long)]
        verbose: bool,
    },
    /// Leave records out, from standard input to standard output
    #[command(after_help = "\
Examples:
  zfs-streamdump drop 128 < monday.zfs > without-object-128.zfs
  zfs-streamdump drop 128,131072 < monday.zfs > without-one-block.zfs

What a receiver does not get it does not have: only to rescue the rest.")]
    Drop {
        /// All records of an object, or those of its block at the offset
        #[arg(required = true, value_name = "OBJECT[,OFFSET]")]
        records: Vec<Which>,

        /// Say what was done on standard error
        #[arg(short, long)]
        verbose: bool,
    },
    /// Print what a shell completes, for its folder of completions
    Completions { shell: Shell },
}

fn main() -> ExitCode {
    exit::main(run)
}

/// A number of objects.
fn objects(text: &str) -> Result<usize, String> {
    match text {
        "all" => Ok(usize::MAX),
        _ => text
            .parse()
            .map_err(|_| "neither a number nor all".to_owned()),
    }
}

fn run(args: Args) -> anyhow::Result<Exit> {
    match args.command {
        Command::Dump {
            file,
            verbose,
            json,
            no_check,
            objects,
        } => {
            let file = file.unwrap_or_else(|| PathBuf::from("-"));
            refuse_terminal(&file)?;
            let how = Dump {
                detail: Detail::from_count(verbose),
                json,
                unchecked: no_check,
                objects,
            };
            dump::dump(&file, how)
        }
        Command::Verify { files, json } => {
            for file in &files {
                refuse_terminal(file)?;
            }
            dump::verify_files(&files, json)
        }
        Command::Token { token, json } if token == "-" => show_token(&typed_token()?, json),
        Command::Token { token, json } => show_token(&token, json),
        Command::Chain { files, json } => {
            for file in &files {
                refuse_terminal(file)?;
            }
            chain::chain(&files, json)
        }
        Command::Decompress { blocks, verbose } => {
            refuse_terminals()?;
            change::decompress(&blocks, verbose)
        }
        Command::Recompress {
            to,
            level,
            threads,
            verbose,
        } => {
            let to = change::with_level(to, level)?;
            refuse_terminals()?;
            change::recompress(to, threads, verbose)
        }
        Command::Redup { file, verbose } => {
            refuse_terminal(&file)?;
            refuse_terminal_out()?;
            change::redup(&file, verbose)
        }
        Command::Drop { records, verbose } => {
            refuse_terminals()?;
            change::drop(&records, verbose)
        }
        Command::Completions { shell } => {
            completions::show::<Args>(shell);
            Ok(Exit::Done)
        }
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

/// Nor is it read.
fn refuse_terminal_out() -> Result<(), UsageError> {
    if io::stdout().is_terminal() {
        let text = "a send stream cannot be written to a terminal: redirect standard output";
        return Err(UsageError(text.to_owned()));
    }
    Ok(())
}

fn refuse_terminals() -> Result<(), UsageError> {
    refuse_terminal(Path::new("-"))?;
    refuse_terminal_out()
}

/// The token on standard input, of which no more is read than one may have.
fn typed_token() -> anyhow::Result<String> {
    let mut text = String::new();
    let most = MAX_TEXT as u64 + 2;
    io::stdin()
        .take(most)
        .read_to_string(&mut text)
        .context("cannot read the token")?;
    Ok(text)
}

fn show_token(text: &str, json: bool) -> anyhow::Result<Exit> {
    let token = ResumeToken::decode(text.trim()).context("cannot read the token")?;
    if json {
        let guids = |guids: Option<Vec<u64>>| {
            let guids = guids.map(|guids| guids.iter().map(u64::to_string).collect::<Vec<_>>());
            serde_json::json!(guids)
        };
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
            "redact_snaps": guids(token.redact_snaps),
            "book_redact_snaps": guids(token.book_redact_snaps),
        });
        println!("{value}");
    } else {
        println!("{token}");
    }
    Ok(Exit::Done)
}
