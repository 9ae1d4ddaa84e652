//! Makes the machine: packages → root folder → root disk, kernel and initrd,
//! once per suite and recipe, in the user's cache folder.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};

use super::{
    host,
    recipe::{self, Suite},
};

/// A machine that is ready to boot.
pub struct Image {
    /// Where all of it lies but the tools.
    pub folder: PathBuf,
    /// The guest's root as a folder: headers, and a sysroot to link against.
    pub root: PathBuf,
    pub disk: PathBuf,
    pub kernel: PathBuf,
    pub initrd: PathBuf,
    /// The folder that QEMU runs from.
    pub tools: PathBuf,
}

/// `$ZFS_VM_CACHE`, else `zfs-vm` in the user's cache folder.
pub fn cache_folder() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("ZFS_VM_CACHE") {
        return Ok(folder.into());
    }
    let base = match std::env::var_os("XDG_CACHE_HOME") {
        Some(folder) if !folder.is_empty() => PathBuf::from(folder),
        _ => PathBuf::from(
            std::env::var_os("HOME")
                .context("neither ZFS_VM_CACHE, XDG_CACHE_HOME nor HOME is set")?,
        )
        .join(".cache"),
    };
    Ok(base.join("zfs-vm"))
}

/// Makes what is missing and gives the machine's parts. A second call costs a
/// few file look-ups.
pub fn build(suite: Suite) -> Result<Image> {
    let cache = cache_folder()?;
    let tools = cache.join(format!("tools-{}", recipe::tools_hash()));
    let folder = cache.join(format!("{suite}-{}", recipe::root_hash(suite)));
    let image = Image {
        root: folder.join("root"),
        disk: folder.join("root.img"),
        kernel: folder.join("vmlinuz"),
        initrd: folder.join(format!("initrd-{}.img", recipe::initrd_hash())),
        tools,
        folder,
    };
    if image.tools.exists() && image.folder.exists() && image.initrd.exists() {
        return Ok(image);
    }
    host::install_needs()?;
    {
        let _lock = lock(&image.tools)?;
        if !image.tools.exists() {
            unpack(recipe::TOOLS_PACKAGES, &image.tools)?;
        }
    }
    let _lock = lock(&image.folder)?;
    if !image.folder.exists() {
        build_root(suite, &image.folder)?;
    }
    if !image.initrd.exists() {
        build_initrd(&image)?;
    }
    Ok(image)
}

/// Removes everything the machines are made of, and what killed runs left.
pub fn clean() -> Result<()> {
    let cache = cache_folder()?;
    if !cache.exists() {
        return Ok(());
    }
    let mut rm = host::as_root("rm").with_context(|| {
        format!(
            "the cache belongs to root; as root: rm -rf {}",
            cache.display()
        )
    })?;
    run(rm.args(["-rf", "--one-file-system"]).arg(&cache))
}

/// Debian 13's Rust compiler, unpacked in the cache and run from there.
pub fn oldest_rust() -> Result<PathBuf> {
    let target = cache_folder()?.join(format!("rust-{}", recipe::msrv_hash()));
    if !target.exists() {
        host::install_needs()?;
        let _lock = lock(&target)?;
        if !target.exists() {
            unpack(recipe::MSRV_PACKAGES, &target)?;
        }
    }
    Ok(target)
}

/// One builder of a thing at a time: a second one waits and finds it done.
pub fn lock(target: &Path) -> Result<File> {
    let file = target.with_extension("lock");
    if let Some(cache) = file.parent() {
        fs::create_dir_all(cache).with_context(|| format!("cannot make {}", cache.display()))?;
    }
    let lock = File::create(&file).with_context(|| format!("cannot make {}", file.display()))?;
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        eprintln!(
            "vm: another run is making {}; waiting for it",
            target.display()
        );
        flock(&lock, FlockOperation::LockExclusive)?;
    }
    Ok(lock)
}

fn unpack(packages: &[&str], target: &Path) -> Result<()> {
    eprintln!(
        "vm: unpacking {} of Debian {} into {} (about a minute)",
        packages.join(", "),
        recipe::TOOLS_SUITE,
        target.display()
    );
    let unfinished = unfinished(target)?;
    mmdebstrap("extract", recipe::TOOLS_SUITE, packages, None, &unfinished)?;
    finish(&unfinished, target)
}

fn build_root(suite: Suite, target: &Path) -> Result<()> {
    eprintln!(
        "vm: making the ZFS machine for Debian {suite}: {} and OpenZFS' kernel module, built by dkms \
         (5 to 10 minutes, once)",
        recipe::guest_packages(suite).join(", ")
    );
    let unfinished = unfinished(target)?;
    fs::create_dir_all(&unfinished)?;
    let root = unfinished.join("root");
    let hook = unfinished.join("from-sid.sh");
    fs::write(&hook, recipe::FROM_SID_HOOK)?;
    let hook = format!("sh '{}' \"$1\" {}", hook.display(), recipe::FROM_SID);
    mmdebstrap(
        "apt",
        suite.name(),
        &recipe::guest_packages(suite),
        Some(&hook),
        &root,
    )?;

    let kernel = only_entry(&root.join("boot"), "vmlinuz-")?;
    // Debian keeps kernels readable by root alone on some releases.
    let mut install = host::as_root("install").context("the right to be root is gone")?;
    run(install
        .args(["-m", "644"])
        .arg(&kernel)
        .arg(unfinished.join("vmlinuz")))?;

    let disk = unfinished.join("root.img");
    File::create(&disk)?;
    let mut mke2fs = host::as_root("mke2fs").context("the right to be root is gone")?;
    mke2fs
        .args(["-q", "-F", "-t", "ext4", "-m", "0", "-L", "zfs-vm"])
        // Nothing written here needs to survive a crash of the host.
        .args(["-O", "^has_journal", "-E", "lazy_itable_init=1", "-d"])
        .arg(&root)
        .arg(&disk)
        .arg(recipe::ROOT_DISK);
    run(&mut mke2fs)?;
    finish(&unfinished, target)
}

fn build_initrd(image: &Image) -> Result<()> {
    let busybox = image.tools.join("usr/bin/busybox");
    let work = tempfile::tempdir()?;
    let tree = work.path();
    for folder in ["bin", "dev", "proc", "root", "modules"] {
        fs::create_dir(tree.join(folder))?;
    }
    fs::copy(&busybox, tree.join("bin/busybox"))?;
    for (name, text) in [("init", recipe::INITRD_INIT), ("zfs-vm-init", recipe::INIT)] {
        executable(&tree.join(name), text)?;
    }
    let modules = only_entry(&image.root.join("lib/modules"), "")?;
    for (place, source) in initrd_modules(&modules)?.iter().enumerate() {
        let name = source.file_name().unwrap_or_default().to_string_lossy();
        let name = name.trim_end_matches(".xz");
        // The initrd loads them in the order of their names.
        let target = tree.join("modules").join(format!("{place:02}-{name}"));
        if source
            .extension()
            .is_some_and(|extension| extension == "xz")
        {
            run(Command::new("xz")
                .arg("-dc")
                .arg(source)
                .stdout(File::create(&target)?))?;
        } else {
            fs::copy(source, &target)?;
        }
    }
    let unfinished = image
        .initrd
        .with_extension(format!("{}", std::process::id()));
    let mut cpio = Command::new(&busybox)
        .args(["cpio", "-o", "-H", "newc"])
        .current_dir(tree)
        .stdin(Stdio::piped())
        .stdout(File::create(&unfinished)?)
        .stderr(Stdio::null())
        .spawn()
        .context("cannot run busybox")?;
    let mut names = cpio.stdin.take().context("no pipe to busybox")?;
    for entry in walkdir::WalkDir::new(tree).min_depth(1) {
        let entry = entry?;
        writeln!(names, "{}", entry.path().strip_prefix(tree)?.display())?;
    }
    drop(names);
    if !cpio.wait()?.success() {
        bail!("busybox cpio could not write {}", unfinished.display());
    }
    fs::rename(&unfinished, &image.initrd)?;
    Ok(())
}

fn mmdebstrap(
    variant: &str,
    suite: &str,
    packages: &[&str],
    hook: Option<&str>,
    target: &Path,
) -> Result<()> {
    let started = Instant::now();
    let mut command = host::as_root("setpriv").with_context(|| {
        format!(
            "not root and no sudo, and mmdebstrap needs root; please run once as root:\n    \
             ZFS_VM_CACHE={} cargo xtask vm build --suite {suite}",
            target.parent().unwrap_or(target).display()
        )
    })?;
    // In namespaces of its own: when this program ends, however it does, no
    // process and no mount of mmdebstrap's stays behind.
    command
        .args(["--pdeathsig", "KILL", "--", "unshare"])
        .args([
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "mmdebstrap",
        ]);
    command
        .arg(format!("--variant={variant}"))
        .arg(format!("--include={}", packages.join(",")))
        .args(["--mode=root", "--quiet", "--components=main,contrib"])
        // A mirror may be older than its Release file allows.
        .arg("--aptopt=Acquire::Check-Valid-Until \"false\"")
        .arg("--aptopt=Acquire::Retries \"3\"")
        .arg("--aptopt=APT::Install-Recommends \"false\"")
        .args(hook.map(|hook| format!("--customize-hook={hook}")))
        .arg(suite)
        .arg(target)
        .stdin(Stdio::null());
    let output = command.output().context("cannot run mmdebstrap")?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let tail: Vec<&str> = text.lines().rev().take(40).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        bail!(
            "mmdebstrap could not make {suite}; the end of what it said:\n{}",
            tail.join("\n")
        );
    }
    eprintln!(
        "vm: {suite} ({variant}) done in {} s",
        started.elapsed().as_secs()
    );
    Ok(())
}

/// A place beside the target, cleared of what an earlier attempt left.
fn unfinished(target: &Path) -> Result<PathBuf> {
    let place = target.with_extension("unfinished");
    if place.exists() {
        let mut rm = host::as_root("rm").context("not root and no sudo")?;
        run(rm.args(["-rf", "--one-file-system"]).arg(&place))?;
    }
    Ok(place)
}

/// Only what is whole gets its name.
fn finish(unfinished: &Path, target: &Path) -> Result<()> {
    if fs::rename(unfinished, target).is_err() {
        let mut mv = host::as_root("mv").context("not root and no sudo")?;
        run(mv.arg(unfinished).arg(target))?;
    }
    Ok(())
}

/// The files of the initrd's modules and of what they depend on, each after
/// what it depends on. Kernels differ in what they have built in: 6.1 has
/// virtio's bus as a module, 6.12 has not.
fn initrd_modules(modules: &Path) -> Result<Vec<PathBuf>> {
    let read = |name: &str| {
        let path = modules.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let (dependencies, builtin) = (read("modules.dep")?, read("modules.builtin")?);
    let mut files = Vec::new();
    for name in recipe::INITRD_MODULES {
        let is_it = |path: &str| {
            let file = path.rsplit('/').next().unwrap_or(path);
            file.trim_end_matches(".xz") == format!("{name}.ko")
        };
        if builtin.lines().any(is_it) {
            continue;
        }
        let (module, needs) = dependencies
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(module, _)| is_it(module))
            .with_context(|| format!("the guest's kernel has no module {name}"))?;
        for path in needs.split_whitespace().rev().chain([module]) {
            let file = modules.join(path);
            if !files.contains(&file) {
                files.push(file);
            }
        }
    }
    Ok(files)
}

fn only_entry(folder: &Path, prefix: &str) -> Result<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(prefix))
        })
        .collect();
    found.sort();
    found
        .pop()
        .with_context(|| format!("{} holds no {prefix}*", folder.display()))
}

fn executable(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", command.get_program().to_string_lossy()))?;
    if !status.success() {
        bail!("{command:?} failed ({status})");
    }
    Ok(())
}
