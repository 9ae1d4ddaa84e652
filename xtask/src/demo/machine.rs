//! The outer half: builds the binaries, takes them into a fresh ZFS machine,
//! runs the demo there with `--host`, and brings the kept streams out.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use super::Demo;
use crate::cargo::{self, Destination};
use crate::vm::{self, Machine, Outcome, Suite};

/// Builds what the demo runs; gives each program with its file.
pub fn build(destination: Destination<'_>) -> Result<Vec<cargo::Program>> {
    let programs = cargo::build(
        destination,
        &[
            "build",
            "--profile",
            "guest",
            "-p",
            "examples",
            "-p",
            "xtask",
            "--bin",
            "zfs-pipeline",
            "--bin",
            "xtask",
        ],
    )?;
    for name in ["zfs-pipeline", "xtask"] {
        if !programs.iter().any(|program| program.name == name) {
            bail!("cargo built no {name}");
        }
    }
    Ok(programs)
}

/// The folder of the programs built for this host.
pub fn host_bin_dir() -> Result<PathBuf> {
    build(Destination::Host)?
        .first()
        .and_then(|program| program.file.parent())
        .map(Into::into)
        .context("cargo built no binaries")
}

/// Runs the demo in the machine and gives its exit status.
pub fn run(demo: &Demo, suite: Suite) -> Result<ExitCode> {
    let image = vm::build(suite)?;
    let mut machine = Machine::new(suite);
    for program in build(Destination::Guest(&image.root))? {
        let target = PathBuf::from("bin").join(&program.name);
        machine.copy_in.push((program.file, target));
    }
    machine.copy_out.clone_from(&demo.keep_streams);
    eprintln!(
        "demo: booting the ZFS machine ({suite}, OpenZFS {})",
        suite.openzfs()
    );
    match machine.run(&inner_command(demo), &mut vm::pass_on)? {
        Outcome::Exited(status) => Ok(ExitCode::from(u8::try_from(status).unwrap_or(1))),
        Outcome::PowerCut => bail!("the machine lost its power unasked"),
    }
}

/// The same demo as the machine sees it.
fn inner_command(demo: &Demo) -> Vec<OsString> {
    let mut command: Vec<OsString> = ["xtask", "demo", "--host", "--bin-dir", "/in/bin"]
        .map(Into::into)
        .into();
    if demo.tamper {
        command.push("--tamper".into());
    }
    if let Some(percent) = demo.kill_at {
        command.extend(["--kill-at".into(), percent.to_string().into()]);
    }
    if demo.keep_streams.is_some() {
        command.extend(["--keep-streams", "/out"].map(Into::into));
    }
    command.extend(["--largest".into(), demo.largest.to_string().into()]);
    command
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        demo: Demo,
    }

    #[test]
    fn the_inner_demo_is_asked_for_what_the_outer_was() {
        let words = "demo --tamper --kill-at 50 --keep-streams kept --largest 128";
        let outer = Line::parse_from(words.split(' ')).demo;
        let inner = inner_command(&outer);
        // The first two words are the program and its subcommand.
        let inner = Line::parse_from(&inner[1..]).demo;
        assert!(inner.host && inner.tamper);
        assert_eq!((inner.kill_at, inner.largest), (Some(50), 128));
        assert_eq!(inner.keep_streams, Some("/out".into()));
        assert_eq!(inner.bin_dir, Some("/in/bin".into()));
    }
}
