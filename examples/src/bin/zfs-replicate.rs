//! zfs-replicate: syncoid's command line, and our own way with --safe.

#![forbid(unsafe_code)]

use std::env;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{self, ExitCode};

use examples::exit::{self, Exit};
use examples::replicate::arguments::{self, Arguments, Command};
use examples::replicate::{HELP, forms, receive, safe, syncoid};
use examples::{eprint, eprintln, print, println};

/// What a wrong command line ends with in syncoid.
const WRONG: u8 = 2;

/// As syncoid does: cron's PATH has no folder with zfs(8) in it.
const FOLDERS: [&str; 3] = ["/bin", "/usr/bin", "/sbin"];

fn main() -> ExitCode {
    extend_path();
    let mut words = env::args().skip(1);
    if words.next().as_deref() == Some("receive") {
        return exit::end(receive::run(words));
    }
    match arguments::parse(env::args().skip(1)) {
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
            let words: Vec<String> = env::args().skip(1).collect();
            if arguments::is_ours(words.iter().map(String::as_str)) {
                eprintln!("{wrong}\nzfs-replicate --help has all options");
                return Exit::Usage.into();
            }
            // What is wrong comes last: the help is longer than a screen.
            eprint!("{HELP}\n");
            eprintln!("{wrong}");
            ExitCode::from(WRONG)
        }
    }
}

/// Begins anew where a folder is missing in PATH, so that whatever is started
/// is looked for there as well.
fn extend_path() {
    let path = env::var_os("PATH").unwrap_or_default();
    let named = env::split_paths(&path).filter(|folder| !folder.as_os_str().is_empty());
    let mut folders: Vec<_> = named.collect();
    let known = folders.len();
    for folder in FOLDERS.map(PathBuf::from) {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    let (Ok(program), Ok(path)) = (env::current_exe(), env::join_paths(&folders)) else {
        return;
    };
    let mut words = env::args_os();
    if let (Some(name), true) = (words.next(), folders.len() > known) {
        let mut anew = process::Command::new(program);
        // Where that fails, it goes on with what there is.
        let _ = anew.arg0(name).args(words).env("PATH", path).exec();
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
