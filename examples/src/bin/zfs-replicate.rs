//! zfs-replicate: syncoid's command line, and our own way with --safe.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use examples::exit;
use examples::replicate::arguments::{self, Arguments, Command};
use examples::replicate::{HELP, forms, receive, safe, syncoid};
use examples::{eprint, eprintln, print, println};

/// What a wrong command line ends with in syncoid.
const WRONG: u8 = 2;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() == Some("receive") {
        return exit::end(receive::run(words));
    }
    match arguments::parse(std::env::args().skip(1)) {
        Ok(Command::Help) => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Ok(Command::Version) => {
            println!("zfs-replicate {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Ok(Command::Run(arguments)) => replicate(*arguments),
        Err(wrong) => {
            eprintln!("{wrong}");
            eprint!("{HELP}");
            ExitCode::from(WRONG)
        }
    }
}

fn replicate(arguments: Arguments) -> ExitCode {
    if let Err(unfit) = forms::check(&arguments) {
        eprintln!("{unfit}");
        return ExitCode::from(unfit.code());
    }
    if arguments.safe || arguments.restore {
        exit::end(safe::run(&arguments))
    } else {
        ExitCode::from(syncoid::run(arguments))
    }
}
