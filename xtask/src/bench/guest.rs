//! A bench in the ZFS machine.

use std::{fs::File, io::Write, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;

use crate::{
    cargo::{self, Destination},
    vm::{self, Disk, Machine, Outcome, Stream, Suite},
};

/// What a bench measured: the version of OpenZFS, and a value per line.
pub struct Measured<T> {
    pub version: String,
    pub lines: Vec<T>,
}

#[cfg(test)]
impl<T: DeserializeOwned> Measured<T> {
    /// What these lines say, of some OpenZFS.
    pub fn of(lines: &[impl AsRef<str>]) -> Self {
        Measured {
            version: "2.3.9".to_owned(),
            lines: lines
                .iter()
                .map(|line| serde_json::from_str(line.as_ref()).unwrap())
                .collect(),
        }
    }
}

/// What a bench runs in.
pub struct Guest<'a> {
    /// The program that measures.
    pub bench: &'a str,
    pub suite: Suite,
    pub memory_mib: u32,
    /// The binaries beside it.
    pub programs: &'a [&'a str],
    /// Other files, and what they are called there.
    pub files: Vec<(PathBuf, PathBuf)>,
    /// A shell's commands before it.
    pub prepare: &'a str,
    pub disks: Vec<Disk>,
    /// Where what was measured is written as it comes. What came before a
    /// failure counts then.
    pub log: Option<PathBuf>,
}

impl<'a> Guest<'a> {
    /// Nothing but the bench.
    pub fn new(bench: &'a str, suite: Suite) -> Guest<'a> {
        Guest {
            bench,
            suite,
            memory_mib: 4096,
            programs: &[],
            files: Vec::new(),
            prepare: "true",
            disks: Vec::new(),
            log: None,
        }
    }
}

/// Runs the bench with these arguments in a fresh machine.
pub fn run<T: DeserializeOwned>(guest: &Guest<'_>, arguments: &str) -> Result<Measured<T>> {
    let image = vm::build(guest.suite)?;
    let mut build = vec!["build", "--release", "-p", "benches", "-p", "examples"];
    for name in guest.programs.iter().chain(&[guest.bench]) {
        build.extend(["--bin", name]);
    }
    let programs = cargo::build(Destination::Guest(&image.root), &build)?;
    let mut machine = Machine::new(guest.suite);
    machine.timeout = Duration::from_secs(2 * 3600);
    machine.memory_mib = guest.memory_mib;
    machine.copy_in.clone_from(&guest.files);
    machine.disks.clone_from(&guest.disks);
    for program in programs {
        let inside = PathBuf::from("bin").join(&program.name);
        machine.copy_in.push((program.file, inside));
    }
    let Guest { bench, prepare, .. } = guest;
    let script = format!("cat /sys/module/zfs/version; {prepare} && exec {bench} {arguments}");
    let mut log = guest.log.as_ref().map(File::create).transpose()?;
    let mut text = Vec::new();
    let outcome = machine.run(
        &["sh".into(), "-c".into(), script.into()],
        &mut |stream, bytes| {
            if stream == Stream::Stdout {
                text.extend_from_slice(bytes);
                // It is there for who comes after a failure: none of its own.
                let _ = log.as_mut().map(|log| log.write_all(bytes));
            }
            // A bench takes minutes: what it measured is seen as it comes.
            vm::pass_on(Stream::Stderr, bytes);
        },
    )?;
    if outcome != Outcome::Exited(0) {
        let failed = format!("{bench} failed in the machine ({outcome:?})");
        if guest.log.is_none() {
            bail!(failed);
        }
        eprintln!("bench: {failed}; what it measured before counts");
    }
    let text = String::from_utf8(text)?;
    let (version, lines) = text
        .split_once('\n')
        .context("the machine printed nothing")?;
    // The last one may be cut off.
    let lines = lines
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    Ok(Measured {
        version: version.to_owned(),
        lines,
    })
}
