//! What the host must have, and becoming root for the two steps that need it.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

/// A program the machine's making needs, its Debian package, and why.
struct Need {
    program: &'static str,
    package: &'static str,
    why: &'static str,
}

const NEEDS: &[Need] = &[
    Need {
        program: "mmdebstrap",
        package: "mmdebstrap",
        why: "makes the guest's Debian from packages",
    },
    Need {
        program: "mke2fs",
        package: "e2fsprogs",
        why: "writes the guest's root disk",
    },
    Need {
        program: "tar",
        package: "tar",
        why: "carries files into the machine and out of it",
    },
    Need {
        program: "xz",
        package: "xz-utils",
        why: "unpacks the guest's kernel modules for its initrd",
    },
    Need {
        program: "setpriv",
        package: "util-linux",
        why: "setpriv and unshare, which let nothing outlive this program",
    },
];

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Installs what is missing, saying so first; without the right to, or without
/// apt, says what to do.
pub fn install_needs() -> Result<()> {
    let mut packages = Vec::new();
    for need in NEEDS.iter().filter(|need| find(need.program).is_none()) {
        eprintln!("vm: {} is missing: it {}", need.program, need.why);
        packages.push(need.package);
    }
    if !Path::new(KEYRING).exists() {
        eprintln!("vm: {KEYRING} is missing: it checks the signatures of Debian's packages");
        packages.push("debian-archive-keyring");
    }
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    if find("apt-get").is_none() {
        bail!("please install these with your distribution's package manager: {list}");
    }
    let install = format!("apt-get install -y --no-install-recommends {list}");
    let Some(mut update) = as_root("apt-get") else {
        bail!("not root and no sudo: please run as root\n    apt-get update && {install}");
    };
    eprintln!("vm: installing {list}");
    // A list of packages may be old or absent on a new machine.
    let _ = update
        .args(["update", "-qq"])
        .stdout(Stdio::null())
        .status();
    let mut apt = as_root("env").context("the right to install is gone")?;
    apt.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y"])
        .args(["-qq", "--no-install-recommends"])
        .args(&packages)
        .stdout(Stdio::null());
    if !apt.status().context("cannot run apt-get")?.success() {
        bail!(
            "apt-get could not install {list}; what it said is above. By hand, as root:\n    {install}"
        );
    }
    Ok(())
}

/// A command that runs as root: as it is, or through sudo; `None` where
/// neither is possible.
pub fn as_root(program: &str) -> Option<Command> {
    if rustix::process::geteuid().is_root() {
        return Some(Command::new(program));
    }
    find("sudo").map(|sudo| {
        let mut command = Command::new(sudo);
        command.arg(program);
        command
    })
}

/// Where a program stands, `sbin` folders included, which an ordinary user's
/// PATH may lack.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}
