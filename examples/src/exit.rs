//! Exit codes, and how a binary ends.

use std::fmt;
use std::process::ExitCode;

use clap::Parser;

use crate::output;

/// How a binary ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All was done.
    Done,
    /// Something failed; the rest went on.
    Failed,
    /// The command line or a configuration is wrong (`EX_USAGE`).
    Usage,
    /// A code with a meaning of the binary's own, which its help tells.
    Code(u8),
}

impl Exit {
    /// `Done` where it is so, else `Failed`.
    pub fn done_if(ok: bool) -> Exit {
        if ok { Exit::Done } else { Exit::Failed }
    }

    /// 0, 1, 64, or the binary's own.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 64,
            Exit::Code(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// What the user wrote cannot be carried out, and nothing was.
#[derive(Debug)]
pub struct UsageError(pub String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// Reads the command line, runs, and says what went wrong on stderr.
pub fn main<Args: Parser>(run: impl FnOnce(Args) -> anyhow::Result<Exit>) -> ExitCode {
    main_with(std::env::args_os(), run)
}

/// The same with arguments that were read otherwise, the program's name first.
pub fn main_with<Args: Parser>(
    args: impl IntoIterator<Item = std::ffi::OsString>,
    run: impl FnOnce(Args) -> anyhow::Result<Exit>,
) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
            // Nobody is left to tell where this cannot be written.
            let _ = error.print();
            return exit.into();
        }
    };
    end(run(args))
}

/// How a run that is over ends the process; what went wrong is said on stderr.
pub fn end(outcome: anyhow::Result<Exit>) -> ExitCode {
    match outcome {
        Ok(Exit::Done) if !output::is_whole() => Exit::Failed.into(),
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("{}: {}", program(), sentence(&error));
            let usage = error.downcast_ref::<UsageError>().is_some();
            if usage { Exit::Usage } else { Exit::Failed }.into()
        }
    }
}

fn program() -> String {
    std::env::args_os()
        .next()
        .and_then(|path| {
            let name = std::path::Path::new(&path).file_name()?;
            Some(name.to_string_lossy().into_owned())
        })
        .unwrap_or_default()
}

/// An error with its causes, each said once: errors that show their source in
/// their own text have it in the chain as well.
pub fn sentence(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.ends_with(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_that_scripts_rely_on() {
        assert_eq!(
            [Exit::Done, Exit::Failed, Exit::Usage].map(Exit::code),
            [0, 1, 64]
        );
        assert_eq!(Exit::done_if(true), Exit::Done);
        assert_eq!(Exit::done_if(false), Exit::Failed);
    }

    #[test]
    fn a_cause_that_is_in_the_text_already_is_not_said_twice() {
        let cause = anyhow::anyhow!("no room");
        let error = cause.context("cannot write: no room").context("run");
        assert_eq!(sentence(&error), "run: cannot write: no room");
    }
}
