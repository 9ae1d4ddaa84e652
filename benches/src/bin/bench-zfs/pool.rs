//! Pools, gone when they go out of scope.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;

use crate::Result;

/// A pool of this machine.
pub struct Pool {
    name: &'static str,
}

impl Pool {
    /// A pool of that size, in which nothing is compressed.
    pub fn create(name: &'static str, folder: &Path, mib: u64) -> Result<Pool> {
        let file = folder.join(format!("{name}.img"));
        File::create(&file)?.set_len(mib << 20)?;
        let fixed = ["zpool", "create", "-f", "-o", "cachefile=none"];
        let options = ["mountpoint=none", "compression=off", "atime=off"];
        let options: Vec<&str> = options.iter().flat_map(|option| ["-O", option]).collect();
        let file = file.to_str().ok_or("a folder that is no text")?;
        run(&[&fixed[..], &options, &[name, file]].concat())?;
        Ok(Pool { name })
    }

    /// The pool of that name which a disk of the machine has: what is done to
    /// it is forgotten with the machine.
    pub fn import(name: &'static str) -> Result<Pool> {
        let disks = "/dev/disk/by-id";
        run(&[
            "zpool",
            "import",
            "-N",
            "-o",
            "cachefile=none",
            "-d",
            disks,
            name,
        ])?;
        Ok(Pool { name })
    }

    /// Lets it go, and gives its name.
    pub fn export(self) -> Result<&'static str> {
        let name = self.name;
        run(&["zpool", "export", name])?;
        // There is nothing to destroy any more.
        std::mem::forget(self);
        Ok(name)
    }

    /// A pool under another name that has what an exported one in `folder`
    /// has. Its file is in a folder of its own, below that.
    pub fn copy(of: &str, name: &'static str, folder: &Path) -> Result<Pool> {
        let own = folder.join(name);
        std::fs::create_dir(&own)?;
        let path = |path: &Path| path.to_str().map(str::to_owned).ok_or("not text");
        let from = path(&folder.join(format!("{of}.img")))?;
        run(&["cp", "--sparse=always", &from, &path(&own)?])?;
        let fixed = ["zpool", "import", "-N", "-o", "cachefile=none", "-d"];
        run(&[&fixed[..], &[&path(&own)?, of, name]].concat())?;
        let pool = Pool { name };
        // No two pools of one GUID are imported at once.
        run(&["zpool", "reguid", name])?;
        Ok(pool)
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let _ = run(&["zpool", "destroy", "-f", self.name]);
    }
}

/// Runs a command to its end.
pub fn run(command: &[&str]) -> Result<()> {
    let (program, arguments) = command.split_first().ok_or("no command")?;
    let status = Command::new(program).args(arguments).status()?;
    if !status.success() {
        return Err(format!("{} failed", command.join(" ")).into());
    }
    Ok(())
}

/// A filesystem with so much in it that no compression gets hold of, so that
/// the stream has the size that was asked for.
pub fn filled(pool: &Pool, folder: &Path, mib: u64) -> Result<String> {
    let mount = folder.join("data");
    let name = format!("{}/data", pool.name());
    let mountpoint = format!("mountpoint={}", mount.display());
    run(&["zfs", "create", "-o", &mountpoint, &name])?;
    let mut random = File::open("/dev/urandom")?;
    let mut block = vec![0; 1 << 20];
    for number in 0..mib.div_ceil(64) {
        let mut file = File::create(mount.join(format!("file{number}")))?;
        for _ in 0..64.min(mib - number * 64) {
            random.read_exact(&mut block)?;
            file.write_all(&block)?;
        }
    }
    let snapshot = format!("{name}@bench");
    run(&["zfs", "snapshot", &snapshot])?;
    Ok(snapshot)
}
