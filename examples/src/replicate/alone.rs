//! One run into a target at a time.
//!
//! cron begins the next run whether the last one is over or not, and a first
//! replication takes days. The second would send what is being received, and
//! take away what the first keeps as its base.

use std::path::PathBuf;

use rustix::process::geteuid;
use zfs_core::DatasetName;

use crate::lock::{self, Acquired, Lock};
use crate::output::duration;

/// Makes sure that no other run of this user on this system is at the same
/// target, as long as what it gives lives. Where there is nowhere to keep a
/// lock, a warning is all.
///
/// # Errors
///
/// Another run is at it.
pub fn at(host: &str, target: &DatasetName) -> anyhow::Result<Option<Lock>> {
    let Some(folder) = folder() else {
        eprintln!("zfs-replicate: no folder for locks: neither XDG_RUNTIME_DIR nor HOME is set");
        return Ok(None);
    };
    let path = folder.join(path(host, target));
    match lock::acquire(&path) {
        Ok(Acquired::Lock(lock)) => Ok(Some(lock)),
        Ok(Acquired::Busy(holder)) => {
            let who = match holder {
                Some(holder) => {
                    format!("process {}, for {}", holder.id, duration(holder.held))
                }
                None => format!("who has locked {}", path.display()),
            };
            anyhow::bail!(
                "another run replicates into {target} already ({who}): nothing was done here; \
                 what is missing comes with the next run"
            )
        }
        Err(error) => {
            eprintln!("zfs-replicate: {error:#}: that no other run is at it is not known");
            Ok(None)
        }
    }
}

/// /run for root, else what goes when the user has logged out.
fn folder() -> Option<PathBuf> {
    let absolute = |variable: &str| {
        let path = std::env::var_os(variable).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let folder = if geteuid().is_root() {
        PathBuf::from("/run")
    } else {
        absolute("XDG_RUNTIME_DIR").or_else(|| Some(absolute("HOME")?.join(".cache")))?
    };
    Some(folder.join("zfs-replicate"))
}

/// A folder for each part of the name, so that none is too long; no part has
/// an @ in it. The user's name says nothing about which host it is.
fn path(host: &str, target: &DatasetName) -> PathBuf {
    let host = host.rsplit('@').next().unwrap_or_default();
    let host = host.replace('/', "%2F");
    let mut path = PathBuf::from(format!("@{host}"));
    path.push(target.as_str());
    path.push("@lock");
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_target_of_each_host_has_a_file_of_its_own() {
        let paths = [
            ("", "tank/vms"),
            ("", "tank"),
            ("backup", "tank/vms"),
            ("../..", "tank"),
            ("ssh://backup:2222", "tank"),
        ]
        .map(|(host, target)| path(host, &target.parse().unwrap()));
        let shown = paths.map(|path| path.to_str().unwrap().to_owned());
        assert_eq!(
            shown,
            [
                "@/tank/vms/@lock",
                "@/tank/@lock",
                "@backup/tank/vms/@lock",
                "@..%2F../tank/@lock",
                "@ssh:%2F%2Fbackup:2222/tank/@lock",
            ]
        );
        let one = "tank/vms".parse().unwrap();
        assert_eq!(path("root@backup", &one), path("backup", &one));
    }
}
