//! The ZFS machine: a small Debian under QEMU with the ZFS kernel module, made
//! by one command, used by every test that needs a real kernel.

mod build;
mod host;
mod machine;
mod qemu;
mod recipe;

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result, bail};

pub use self::{
    build::{build, cache_folder, lock, oldest_rust},
    machine::{Interrupted, Machine, Outcome, PowerCut, Stream},
    qemu::{Changes, Disk, has_kvm},
    recipe::{Suite, digest},
};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask vm build                          make the machine (once; 5 to 10 minutes)
  cargo xtask vm run -- zpool version           run a command in a fresh one
  cargo xtask vm run --copy-in target/guest/zfs-list:bin/zfs-list -- zfs-list
  cargo xtask vm run --disk a.img:1G --power-cut-when READY -- sh -c '…; echo READY; …'
  cargo xtask vm run --disk a.img -- zpool import -d /dev/disk/by-id -a
  cargo xtask vm shell --suite bookworm         a login shell; Ctrl-A X ends it")]
pub struct Vm {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Make the machine's parts in the cache, if they are not there
    Build {
        /// Debian release: bookworm has OpenZFS 2.1, trixie 2.3, sid 2.4
        #[arg(long, value_enum, default_value_t = Suite::Trixie)]
        suite: Suite,
    },
    /// Boot a fresh machine, run a command in it as root, and pass its exit status on
    Run {
        #[command(flatten)]
        options: Options,
        /// Cut the power so many seconds after the command began
        #[arg(long, value_name = "SECONDS", conflicts_with = "power_cut_when")]
        power_cut_after: Option<f64>,
        /// Cut the power when the command prints this text
        #[arg(long, value_name = "TEXT")]
        power_cut_when: Option<String>,
        /// Put what the command leaves in /out into this folder
        #[arg(long, value_name = "FOLDER")]
        copy_out: Option<PathBuf>,
        /// Limit for the command
        #[arg(long, value_name = "SECONDS", default_value_t = 1800)]
        timeout: u64,
        /// What to run; it starts in /in, and /in/bin is on its PATH
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Boot a fresh machine with a login shell on this terminal
    Shell {
        #[command(flatten)]
        options: Options,
    },
    /// Remove the machine's parts from the cache
    Clean,
}

#[derive(clap::Args)]
struct Options {
    /// Debian release: bookworm has OpenZFS 2.1, trixie 2.3, sid 2.4
    #[arg(long, value_enum, default_value_t = Suite::Trixie)]
    suite: Suite,
    /// Copy a file or folder to /in/TARGET (its own name without TARGET); repeatable
    #[arg(long, value_name = "PATH[:TARGET]")]
    copy_in: Vec<String>,
    /// A disk that outlives the machine, /dev/disk/by-id/virtio-NAME inside
    /// (NAME: the file's name without extension); made with SIZE if missing
    #[arg(long, value_name = "FILE[:SIZE]")]
    disk: Vec<String>,
    /// Memory in MiB
    #[arg(long, default_value_t = 4096)]
    memory: u32,
    /// Processors
    #[arg(long, default_value_t = 2)]
    cpus: u32,
}

impl Options {
    fn machine(&self) -> Result<Machine> {
        let mut machine = Machine::new(self.suite);
        machine.memory_mib = self.memory;
        machine.cpus = self.cpus;
        for word in &self.copy_in {
            machine.copy_in.push(copy_in(word)?);
        }
        for word in &self.disk {
            machine.disks.push(disk(word)?);
        }
        Ok(machine)
    }
}

impl Vm {
    pub fn run(self) -> Result<ExitCode> {
        match self.action {
            Action::Build { suite } => {
                let image = build(suite)?;
                println!("{}", image.disk.display());
                Ok(ExitCode::SUCCESS)
            }
            Action::Clean => build::clean().map(|()| ExitCode::SUCCESS),
            Action::Shell { options } => options.machine()?.shell().map(|()| ExitCode::SUCCESS),
            Action::Run {
                options,
                power_cut_after,
                power_cut_when,
                copy_out,
                timeout,
                command,
            } => {
                let mut machine = options.machine()?;
                machine.copy_out = copy_out;
                machine.timeout = Duration::from_secs(timeout);
                machine.power_cut = match (power_cut_after, power_cut_when) {
                    (Some(seconds), _) => Some(PowerCut::After(
                        Duration::try_from_secs_f64(seconds).context("--power-cut-after")?,
                    )),
                    (None, Some(text)) => Some(PowerCut::When(text)),
                    (None, None) => None,
                };
                match machine.run(&command, &mut pass_on)? {
                    Outcome::Exited(status) => {
                        Ok(ExitCode::from(u8::try_from(status).unwrap_or(1)))
                    }
                    Outcome::PowerCut => {
                        eprintln!("vm: the power was cut");
                        Ok(ExitCode::SUCCESS)
                    }
                }
            }
        }
    }
}

/// The command's output becomes ours.
pub fn pass_on(stream: Stream, bytes: &[u8]) {
    // A reader that went away must not leave the machine half run.
    let _ = match stream {
        Stream::Stdout => io::stdout()
            .write_all(bytes)
            .and_then(|()| io::stdout().flush()),
        Stream::Stderr => io::stderr().write_all(bytes),
    };
}

fn copy_in(word: &str) -> Result<(PathBuf, PathBuf)> {
    if let Some((source, target)) = word.split_once(':') {
        return Ok((source.into(), target.into()));
    }
    let name = Path::new(word)
        .canonicalize()
        .ok()
        .and_then(|path| path.file_name().map(PathBuf::from))
        .with_context(|| format!("cannot copy in {word}"))?;
    Ok((word.into(), name))
}

fn disk(word: &str) -> Result<Disk> {
    let (file, size) = match word.split_once(':') {
        Some((file, size)) => (Path::new(file), Some(size)),
        None => (Path::new(word), None),
    };
    let name = file
        .file_stem()
        .and_then(|stem| stem.to_str())
        .filter(|name| {
            name.len() <= 20
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
        .with_context(|| format!("{word}: a disk's name is 1 to 20 of A-Za-z0-9-"))?;
    if matches!(name, "root" | "in") {
        bail!("{name} is the name of one of the machine's own disks");
    }
    if !file.exists() {
        let size = size
            .with_context(|| format!("{word} does not exist, and no size is given to make it"))?;
        File::create(file)?.set_len(bytes(size)?)?;
    } else if let Some(size) = size {
        let wanted = bytes(size)?;
        let found = OpenOptions::new().read(true).open(file)?.metadata()?.len();
        if found != wanted {
            bail!(
                "{} exists and holds {found} bytes, not {wanted}",
                file.display()
            );
        }
    }
    Ok(Disk {
        name: name.to_owned(),
        file: file.canonicalize()?,
        changes: Changes::Kept,
    })
}

/// `512M`, `4G`, or plain bytes.
fn bytes(size: &str) -> Result<u64> {
    let (number, unit) = match size.strip_suffix(['K', 'M', 'G', 'T']) {
        Some(number) => (number, size.as_bytes()[size.len() - 1]),
        None => (size, b'1'),
    };
    let shift = match unit {
        b'K' => 10,
        b'M' => 20,
        b'G' => 30,
        b'T' => 40,
        _ => 0,
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(1 << shift))
        .with_context(|| format!("{size} is not a size such as 512M or 4G"))
}
