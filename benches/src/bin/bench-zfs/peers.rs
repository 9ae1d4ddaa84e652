//! Replication programs in turn: zfs-replicate, syncoid, bzfs, and a bare pipe.
//!
//! Prints a line of JSON per run: row, program, seconds.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use zfs_core::{CreateRequest, DatasetName, SnapshotName, Zfs};
use zfs_replicate::endpoint::{Endpoint, Local};
use zfs_replicate::execute::{Event, Executor, Observer};
use zfs_replicate::plan::{Options, plan};

use crate::Result;
use crate::pool::{Pool, filled, run};

const SOURCE: &str = "zfs-bench/src";
const HOST: &str = "root@127.0.0.1:";

/// Whether a target is reached over ssh.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Local,
    Ssh,
}

impl Way {
    fn word(self) -> &'static str {
        match self {
            Way::Local => "local",
            Way::Ssh => "ssh",
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Program {
    Safe,
    Syncoid,
    Bzfs,
}

impl Program {
    const ALL: [Program; 3] = [Program::Safe, Program::Syncoid, Program::Bzfs];

    fn word(self) -> &'static str {
        match self {
            Program::Safe => "zfs-replicate --safe",
            Program::Syncoid => "syncoid",
            Program::Bzfs => "bzfs",
        }
    }

    /// Replicates everything that the source has to a target of its own.
    fn command(self, way: Way) -> Command {
        let place = match way {
            Way::Local => String::new(),
            Way::Ssh => HOST.to_owned(),
        };
        let target = |name: &str| format!("{place}zfs-other/{name}-{}", way.word());
        let words: Vec<String> = match self {
            Program::Safe => ["zfs-replicate", "--safe", "-r", "--quiet", SOURCE]
                .map(str::to_owned)
                .into_iter()
                .chain([target("safe")])
                .collect(),
            Program::Syncoid => ["syncoid", "-r", "--no-sync-snap", "--quiet", SOURCE]
                .map(str::to_owned)
                .into_iter()
                .chain([target("syncoid")])
                .collect(),
            Program::Bzfs => ["python3", "-m", "bzfs_main.bzfs", SOURCE, &target("bzfs")]
                .map(str::to_owned)
                .into_iter()
                .chain(["--recursive", "--quiet"].map(str::to_owned))
                .collect(),
        };
        let (program, arguments) = words
            .split_first()
            .map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null());
        command.stdout(Stdio::null());
        command
    }

    fn timed(self, way: Way) -> Result<Duration> {
        let started = Instant::now();
        let status = self.command(way).status()?;
        if !status.success() {
            return Err(format!("{} {} failed: {status}", self.word(), way.word()).into());
        }
        Ok(started.elapsed())
    }

    fn measure(self, row: &str, way: Way) -> Result<()> {
        print(
            &format!("{row}, {}", way.word()),
            self.word(),
            self.timed(way)?,
        );
        Ok(())
    }

    /// What it made of the source, by name and guid.
    fn replica(self, handle: &Zfs, way: Way) -> Result<Vec<String>> {
        let name = match self {
            Program::Safe => "safe",
            Program::Syncoid => "syncoid",
            Program::Bzfs => "bzfs",
        };
        snapshots(handle, &format!("zfs-other/{name}-{}", way.word()))
    }
}

fn print(row: &str, program: &str, took: Duration) {
    let seconds = took.as_secs_f64();
    println!("{{\"row\":\"{row}\",\"program\":\"{program}\",\"seconds\":{seconds}}}");
}

/// All snapshots below a dataset, without its own name, with their guids.
fn snapshots(handle: &Zfs, root: &str) -> Result<Vec<String>> {
    let root: DatasetName = root.parse()?;
    let mut all = Vec::new();
    for dataset in Local::new(handle.clone()).tree(&root)?.datasets {
        for snapshot in dataset.snapshots {
            let name = snapshot.name.as_str();
            let name = name.strip_prefix(root.as_str()).unwrap_or(name);
            all.push(format!("{name} {}", snapshot.guid));
        }
    }
    all.sort();
    Ok(all)
}

/// Many datasets with nothing to do, and with one new snapshot on each.
pub fn many([datasets, count, runs]: [u64; 3]) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pool = Pool::create("zfs-bench", folder.path(), 2048)?;
    let other = Pool::create("zfs-other", folder.path(), 2048)?;
    let handle = Zfs::open()?;
    let source = Source::create(&handle, &pool, folder.path(), datasets)?;
    for _ in 0..count {
        source.snapshot(&handle)?;
    }
    let _sshd = Sshd::start(folder.path())?;
    for way in [Way::Local, Way::Ssh] {
        for program in Program::ALL {
            program.measure("everything new", way)?;
            if program.replica(&handle, way)? != snapshots(&handle, SOURCE)? {
                return Err(format!("{} made no replica", program.word()).into());
            }
        }
    }
    for way in [Way::Local, Way::Ssh] {
        for _ in 0..runs {
            for program in Program::ALL {
                program.measure("nothing to do", way)?;
            }
        }
        for _ in 0..runs {
            source.snapshot(&handle)?;
            for program in Program::ALL {
                program.measure("one new snapshot on each", way)?;
                if program.replica(&handle, way)? != snapshots(&handle, SOURCE)? {
                    return Err(format!("{} left something out", program.word()).into());
                }
            }
        }
    }
    // The other way's targets lack the last snapshots; they get them before
    // the kernel forgets everything by an export.
    for program in Program::ALL {
        program.timed(Way::Local)?;
    }
    for _ in 0..runs {
        for program in Program::ALL {
            for pool in [&pool, &other] {
                run(&["zpool", "export", pool.name()])?;
                let path = folder.path().to_str().ok_or("a folder that is no text")?;
                run(&["zpool", "import", "-d", path, "-N", pool.name()])?;
            }
            program.measure("nothing to do, pools just imported", Way::Local)?;
        }
    }
    Ok(())
}

struct Source {
    names: Vec<DatasetName>,
    folders: Vec<std::path::PathBuf>,
    taken: std::cell::Cell<u32>,
}

impl Source {
    fn create(handle: &Zfs, pool: &Pool, folder: &Path, datasets: u64) -> Result<Source> {
        let mount = folder.join("src");
        let root = format!("{}/src", pool.name());
        run(&[
            "zfs",
            "create",
            "-o",
            &format!("mountpoint={}", mount.display()),
            &root,
        ])?;
        let mut names = vec![root.parse()?];
        let mut folders = vec![mount.clone()];
        for number in 0..datasets {
            let name: DatasetName = format!("{root}/data{number:04}").parse()?;
            handle.create(&CreateRequest::filesystem(name.clone()))?;
            names.push(name);
            folders.push(mount.join(format!("data{number:04}")));
        }
        run(&["zfs", "mount", "-a"])?;
        Ok(Source {
            names,
            folders,
            taken: std::cell::Cell::new(0),
        })
    }

    /// Writes 16 KiB into each dataset and takes a snapshot of all.
    fn snapshot(&self, handle: &Zfs) -> Result<()> {
        let nth = self.taken.get();
        self.taken.set(nth + 1);
        let bytes = vec![u8::try_from(nth % 251)?; 16 << 10];
        for folder in &self.folders {
            fs::write(folder.join(format!("file{nth}")), &bytes)?;
        }
        let all: Vec<SnapshotName> = self
            .names
            .iter()
            .map(|name| name.with_snapshot(&format!("bench_{nth:04}")))
            .collect::<std::result::Result<_, _>>()?;
        handle.snapshot(&all)?;
        // Creation counts whole seconds, by which syncoid tells them apart.
        thread::sleep(Duration::from_millis(1100));
        Ok(())
    }
}

/// An sshd on the loopback device that root gets into without being asked.
struct Sshd(Child);

impl Sshd {
    fn start(folder: &Path) -> Result<Sshd> {
        let at = |name: &str| folder.join(name).display().to_string();
        let home = Path::new("/root/.ssh");
        fs::create_dir_all(home)?;
        fs::create_dir_all("/run/sshd")?;
        let user = home.join("id_ed25519").display().to_string();
        for key in [&at("host"), &user] {
            run(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])?;
        }
        let known = fs::read_to_string(at("host.pub"))?;
        fs::write(home.join("known_hosts"), format!("127.0.0.1 {known}"))?;
        let config = format!(
            "ListenAddress 127.0.0.1\nPort 22\nHostKey {}\nAuthorizedKeysFile {user}.pub\n\
             StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\n\
             SetEnv PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n",
            at("host"),
        );
        fs::write(at("config"), config)?;
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f", &at("config")])
            .stdin(Stdio::null())
            .stderr(File::create(at("log"))?)
            .spawn()?;
        let sshd = Sshd(child);
        for _ in 0..200 {
            if std::net::TcpStream::connect(("127.0.0.1", 22)).is_ok() {
                return Ok(sshd);
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err("no sshd".into())
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Nobody;

impl Observer for Nobody {
    fn event(&self, _event: &Event<'_>) {}
}

/// One large dataset: the engine with and without verification, and a bare
/// pipe.
pub fn one([mib, runs]: [u64; 2]) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pool = Pool::create("zfs-bench", folder.path(), mib * 2 + 256)?;
    let _other = Pool::create("zfs-other", folder.path(), mib * 2 + 256)?;
    let snapshot: SnapshotName = filled(&pool, folder.path(), mib)?.parse()?;
    let handle = Zfs::open()?;
    by_pipe(&snapshot)?;
    for _ in 0..runs {
        for verified in [false, true] {
            let program = if verified { "verified" } else { "unverified" };
            let (took, kib) = by_engine(&handle, &snapshot, verified)?;
            print("one", program, took);
            println!("{{\"row\":\"memory\",\"program\":\"{program}\",\"seconds\":{kib}}}");
        }
        print("one", "pipe", by_pipe(&snapshot)?);
    }
    Ok(())
}

const ARRIVED: &str = "zfs-other/data";

fn by_engine(handle: &Zfs, snapshot: &SnapshotName, verified: bool) -> Result<(Duration, u64)> {
    let local = Local::new(handle.clone());
    let target: DatasetName = ARRIVED.parse()?;
    let (peak, ended) = (AtomicU64::new(0), AtomicBool::new(false));
    let before = anonymous_kib()?;
    let took = thread::scope(|scope| -> Result<Duration> {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                peak.fetch_max(anonymous_kib().unwrap_or(0), Ordering::Relaxed);
                thread::sleep(Duration::from_millis(20));
            }
        });
        let started = Instant::now();
        let replicated = || -> Result<()> {
            let source = local.tree(snapshot.dataset())?;
            let plan = plan(&source, &local.tree(&target)?, &Options::new())?;
            let mut executor = Executor::new(&local, &local, &Nobody);
            if verified {
                executor = executor.verify();
            }
            let outcome = executor.run(&plan);
            if outcome.is_ok() && outcome.streams == 1 {
                return Ok(());
            }
            Err(format!("{outcome:?}").into())
        };
        let result = replicated();
        let took = started.elapsed();
        ended.store(true, Ordering::Relaxed);
        result.map(|()| took)
    })?;
    run(&["zfs", "destroy", "-r", ARRIVED])?;
    Ok((took, peak.into_inner().saturating_sub(before)))
}

fn by_pipe(snapshot: &SnapshotName) -> Result<Duration> {
    let started = Instant::now();
    let script = format!("zfs send -Lc {snapshot} | zfs receive -u {ARRIVED}");
    run(&["sh", "-c", &script])?;
    let took = started.elapsed();
    run(&["zfs", "destroy", "-r", ARRIVED])?;
    Ok(took)
}

/// Anonymous memory of this process as the kernel counts it now.
fn anonymous_kib() -> Result<u64> {
    let text = fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let number = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
    Ok(number.ok_or("no RssAnon")?.parse()?)
}
