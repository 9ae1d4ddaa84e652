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

/// Runs `bench-zfs` with these arguments in a fresh machine, with `zfs-list`
/// beside it.
pub fn run<T: DeserializeOwned>(
    suite: Suite,
    memory_mib: u32,
    arguments: &str,
) -> Result<Measured<T>> {
    let image = vm::build(suite)?;
    let programs = cargo::build(
        Destination::Guest(&image.root),
        &[
            "build",
            "--release",
            "-p",
            "benches",
            "-p",
            "examples",
            "--bin",
            "bench-zfs",
            "--bin",
            "zfs-list",
        ],
    )?;
    let mut machine = Machine::new(suite);
    machine.timeout = Duration::from_secs(3600);
    machine.memory_mib = memory_mib;
    for program in programs {
        let inside = PathBuf::from("bin").join(&program.name);
        machine.copy_in.push((program.file, inside));
    }
    let script = format!("cat /sys/module/zfs/version; exec bench-zfs {arguments}");
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
