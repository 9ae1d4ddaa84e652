//! zfs(8), zpool(8) and their kin as subprocesses.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// A command in a process group of its own: Ctrl-C in a terminal reaches the
/// demo alone, which then ends its children in its own order. Otherwise the
/// second Ctrl-C would hit the very commands that clean up.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.process_group(0).stdin(Stdio::null());
    command
}

/// Runs to the end and returns standard output. The error of a command that
/// fails says the whole command and what it wrote to standard error.
pub fn run<A: AsRef<OsStr>>(program: &str, args: &[A]) -> Result<String> {
    let mut command = command(program);
    command.args(args);
    let shown = shown(&command);
    let output = command.output().with_context(|| {
        format!(
            "cannot start {program}: is it installed (package zfsutils-linux) and are you root?"
        )
    })?;
    if !output.status.success() {
        bail!(
            "{shown}: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("{shown}: its output is not UTF-8"))
}

/// The command as one would type it.
pub fn shown(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for arg in command.get_args() {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_what_it_said() {
        let error = run("sh", &["-c", "echo no such pool >&2; exit 3"]).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("sh -c"), "{text}");
        assert!(text.contains("exit status: 3"), "{text}");
        assert!(text.contains("no such pool"), "{text}");
    }

    #[test]
    fn output_comes_back_as_it_is() {
        assert_eq!(run("printf", &["a\\tb\\n"]).unwrap(), "a\tb\n");
    }
}
