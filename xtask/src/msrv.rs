//! `cargo xtask msrv`: the stated oldest compiler really builds everything.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::ExitCode};

use anyhow::{Context, Result};

use crate::{cargo, vm};

/// Checks the workspace with Debian 13's rustc, in a build folder of its own.
pub fn run() -> Result<ExitCode> {
    let root = vm::oldest_rust()?;
    let folder = tempfile::tempdir()?;
    for program in ["rustc", "cargo"] {
        wrapper(&root, program, &folder.path().join(program))?;
    }
    let status = std::process::Command::new(folder.path().join("cargo"))
        .args(["check", "--workspace", "--all-targets", "--locked"])
        .current_dir(cargo::workspace())
        .env("RUSTC", folder.path().join("rustc"))
        .env("CARGO_TARGET_DIR", cargo::target_folder().join("msrv"))
        .env_remove("CARGO")
        .env_remove("RUSTUP_TOOLCHAIN")
        .status()
        .context("cannot run Debian's cargo")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs a program of the unpacked root with that root's libraries. Through
/// bash: dash drops variables such as `CARGO_BIN_EXE_zfs-pipeline`.
fn wrapper(root: &Path, program: &str, file: &Path) -> Result<()> {
    let root = root.display();
    let script = format!(
        "#!/usr/bin/env bash\nexec '{root}/usr/lib64/ld-linux-x86-64.so.2' --library-path \
         '{root}/usr/lib/x86_64-linux-gnu' '{root}/usr/bin/{program}' \"$@\"\n"
    );
    fs::write(file, script)?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755))?;
    Ok(())
}
