//! zfs-replicate: syncoid's command line.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use examples::replicate::arguments::{self, Command};
use examples::replicate::{HELP, syncoid};

/// What a wrong command line ends with in syncoid.
const WRONG: u8 = 2;

fn main() -> ExitCode {
    match arguments::parse(std::env::args().skip(1)) {
        Ok(Command::Help) => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Ok(Command::Version) => {
            println!("zfs-replicate {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Ok(Command::Run(arguments)) => ExitCode::from(syncoid::run(*arguments)),
        Err(wrong) => {
            eprintln!("{wrong}");
            eprint!("{HELP}");
            ExitCode::from(WRONG)
        }
    }
}
