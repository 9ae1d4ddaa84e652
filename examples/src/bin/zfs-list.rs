//! zfs-list: datasets, snapshots and bookmarks, as zfs-list(8) shows them.

#![forbid(unsafe_code)]

use std::io::ErrorKind;
use std::process::ExitCode;

use examples::list::args::{self, Wish};
use examples::list::{self, Failure};
use examples::{eprint, eprintln, print, println};

const USAGE: &str = "\
Usage:
\tzfs-list [-Hp] [-j [--json-int]] [-r|-d max] [-o property[,...]] [-s property]...
\t    [-S property]... [-t type[,...]] [--unsorted] [--cache DIR|--no-cache]
\t    [--threads N] [--datasets GLOB] [--members GLOB] [--min-txg N] [--max-txg N]
\t    [filesystem|volume|snapshot|bookmark|path] ...
";

const HELP: &str = "\
Lists datasets, snapshots and bookmarks: the options of zfs-list(8), and the same bytes.

  -H              fields with tabs between, without headings
  -p              numbers in full
  -j, --json      JSON in the shape of `zfs list -j`
  --json-int      numbers in JSON as numbers
  -r              with everything below
  -d MAX          so many levels below
  -o LIST         columns: names or short names of properties, user properties,
                  userused@…, written@…, `space`, or `all`
  -s PROPERTY     sort by it; -S the other way round; several are allowed
  -t LIST         filesystem (fs), volume (vol), snapshot (snap), bookmark, all

What zfs-list(8) has not:
  --unsorted      each row as soon as it is known, in memory that does not grow
  --datasets GLOB datasets whose names fit, and what belongs to them
  --members GLOB  snapshots and bookmarks whose own names fit
  --min-txg N, --max-txg N
                  what was created in these transaction groups
  --threads N     so many at once (default: the processors, at most 8)
  --cache DIR     where name, guid, createtxg and creation of snapshots are kept
                  (default: $XDG_CACHE_HOME/zfs-list, /var/cache/zfs-list for root,
                  ~/.cache/zfs-list); used while nothing changed, on OpenZFS 2.2
                  and later
  --no-cache      neither read nor written

Examples:
  All filesystems and volumes:
      zfs-list
  Snapshots of a tree for a script, the oldest of each dataset first:
      zfs-list -Hpr -t snapshot -o name,guid,createtxg,creation tank
  The largest snapshots:
      zfs-list -t snapshot -o name,used -S used tank/home
  Where space went:
      zfs-list -o space -r tank
  Hourly snapshots, as objects:
      zfs-list -j --json-int -t snapshot --members 'autosnap_*_hourly' | jq .datasets
  A hundred thousand snapshots into a pipe, unsorted:
      zfs-list --unsorted -H -t snapshot -o name | wc -l

Exit codes: 0 all was listed, 1 something could not be, 2 wrong usage.
";

fn main() -> ExitCode {
    let wish = match args::parse(std::env::args().skip(1)) {
        Ok(wish) => wish,
        Err(text) => return usage(&text),
    };
    let args = match wish {
        Wish::List(args) => args,
        Wish::Help => {
            print!("{USAGE}\n{HELP}");
            return ExitCode::SUCCESS;
        }
        Wish::Version => {
            println!("zfs-list {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
    };
    match list::run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(Failure::Usage(text)) => usage(&text),
        Err(Failure::Zfs(error)) => {
            eprintln!("zfs-list: {error}");
            ExitCode::FAILURE
        }
        // Who reads has had enough.
        Err(Failure::Output(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::FAILURE,
        Err(Failure::Output(error)) => {
            eprintln!("zfs-list: cannot write: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage(text: &str) -> ExitCode {
    eprint!("{text}\n{USAGE}");
    ExitCode::from(2)
}
