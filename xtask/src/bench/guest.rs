//! A bench in the ZFS machine.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;

use crate::{
    cargo::{self, Destination},
    vm::{self, Machine, Outcome, Stream, Suite},
};

/// What a bench measured: the version of OpenZFS, and a value per line.
pub struct Measured<T> {
    pub version: String,
    pub lines: Vec<T>,
}

/// What `bench-zfs` runs in.
pub struct Guest<'a> {
    pub suite: Suite,
    pub memory_mib: u32,
    /// The binaries beside it.
    pub programs: &'a [&'a str],
    /// Other files, and what they are called there.
    pub files: Vec<(PathBuf, PathBuf)>,
    /// A shell's commands before it.
    pub prepare: &'a str,
}

/// Runs `bench-zfs` with these arguments in a fresh machine.
pub fn run<T: DeserializeOwned>(guest: &Guest<'_>, arguments: &str) -> Result<Measured<T>> {
    let image = vm::build(guest.suite)?;
    let mut build = vec!["build", "--release", "-p", "benches", "-p", "examples"];
    for name in guest.programs.iter().chain(&["bench-zfs"]) {
        build.extend(["--bin", name]);
    }
    let programs = cargo::build(Destination::Guest(&image.root), &build)?;
    let mut machine = Machine::new(guest.suite);
    machine.timeout = Duration::from_secs(2 * 3600);
    machine.memory_mib = guest.memory_mib;
    machine.copy_in.clone_from(&guest.files);
    for program in programs {
        let inside = PathBuf::from("bin").join(&program.name);
        machine.copy_in.push((program.file, inside));
    }
    let prepare = if guest.prepare.is_empty() {
        "true"
    } else {
        guest.prepare
    };
    let script = format!("cat /sys/module/zfs/version; {prepare} && exec bench-zfs {arguments}");
    let mut text = Vec::new();
    let outcome = machine.run(
        &["sh".into(), "-c".into(), script.into()],
        &mut |stream, bytes| {
            if stream == Stream::Stdout {
                text.extend_from_slice(bytes);
            }
            // A bench takes minutes: what it measured is seen as it comes.
            vm::pass_on(Stream::Stderr, bytes);
        },
    )?;
    if outcome != Outcome::Exited(0) {
        bail!("bench-zfs failed in the machine ({outcome:?})");
    }
    let text = String::from_utf8(text)?;
    let (version, lines) = text
        .split_once('\n')
        .context("the machine printed nothing")?;
    let lines = lines
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    Ok(Measured {
        version: version.to_owned(),
        lines,
    })
}
