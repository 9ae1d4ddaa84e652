//! Calling cargo: what is built on the host and runs in the ZFS machine.

use std::{
    ffi::OsString,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

/// Where the built program is meant to run.
#[derive(Clone, Copy)]
pub enum Destination<'a> {
    Host,
    /// A machine whose root is this folder.
    Guest(&'a Path),
}

/// A program that cargo built.
#[derive(Clone, Debug)]
pub struct Program {
    pub package: String,
    pub name: String,
    pub file: PathBuf,
}

/// The cargo that runs us, at the workspace's root.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    // What `cargo run` tells us about ourselves is not meant for others.
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR")
        {
            command.env_remove(name);
        }
    }
    command
}

pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Where cargo builds.
pub fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// Builds with the `guest` profile (or `release` where speed is measured) and
/// gives the programs that came of it.
pub fn build(destination: Destination, arguments: &[&str]) -> Result<Vec<Program>> {
    let mut command = cargo();
    command
        .args(arguments)
        .arg("--message-format=json-render-diagnostics");
    if let Destination::Guest(root) = destination {
        link_against(&mut command, root)?;
    }
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cargo")?;
    let mut programs = Vec::new();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines() {
            let message: serde_json::Value = serde_json::from_str(&line?)?;
            programs.extend(program(&message));
        }
    }
    if !child.wait()?.success() {
        bail!("cargo {} failed", arguments.join(" "));
    }
    Ok(programs)
}

fn program(message: &serde_json::Value) -> Option<Program> {
    let file = message.get("executable")?.as_str()?;
    let name = message.pointer("/target/name")?.as_str()?;
    let manifest = message.get("manifest_path")?.as_str()?;
    let package = Path::new(manifest).parent()?.file_name()?.to_str()?;
    Some(Program {
        package: package.to_owned(),
        name: name.to_owned(),
        file: file.into(),
    })
}

/// A program linked on a host with a newer glibc does not start in the guest:
/// there it is linked against the guest's own.
fn link_against(command: &mut Command, root: &Path) -> Result<()> {
    let (host, guest) = (host_glibc()?, guest_glibc(root)?);
    if host <= guest && std::env::var_os("ZFS_VM_SYSROOT").is_none() {
        return Ok(());
    }
    eprintln!(
        "xtask: linking against the guest's glibc {}.{} (the host has {}.{})",
        guest.0, guest.1, host.0, host.1
    );
    let mut flags = std::env::var_os("RUSTFLAGS").unwrap_or_default();
    let mut sysroot = OsString::from("--sysroot=");
    sysroot.push(root);
    flags.push(" -Clink-arg=");
    flags.push(&sysroot);
    command
        // With a target named, the flags leave build scripts alone.
        .args(["--target", TARGET])
        .env("RUSTFLAGS", flags)
        .env(format!("CFLAGS_{}", TARGET.replace('-', "_")), sysroot);
    Ok(())
}

const TARGET: &str = "x86_64-unknown-linux-gnu";

fn host_glibc() -> Result<(u32, u32)> {
    let output = Command::new("getconf")
        .arg("GNU_LIBC_VERSION")
        .output()
        .context("cannot run getconf, which tells the host's glibc")?;
    let text = String::from_utf8_lossy(&output.stdout);
    version(text.trim().trim_start_matches("glibc ")).context("the host's C library is not glibc")
}

fn guest_glibc(root: &Path) -> Result<(u32, u32)> {
    let status = root.join("var/lib/dpkg/status");
    let text = std::fs::read_to_string(&status)
        .with_context(|| format!("cannot read {}", status.display()))?;
    text.split("\n\n")
        .find(|package| package.starts_with("Package: libc6\n"))
        .and_then(|package| {
            package
                .lines()
                .find_map(|line| line.strip_prefix("Version: "))
        })
        .and_then(version)
        .with_context(|| format!("{} names no libc6", status.display()))
}

fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|byte: char| !byte.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glibc_versions_compare_by_number() {
        assert_eq!(version("2.41-12+deb13u4"), Some((2, 41)));
        assert!(version("2.9") < version("2.36"));
        assert_eq!(version("musl"), None);
    }
}
