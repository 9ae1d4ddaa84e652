//! Replication programs in turn: zfs-replicate, syncoid, bzfs, and a bare pipe.
//!
//! Each program has a target of its own, all of them copies of one pool. What
//! is measured is of several kinds, each with a time in which it begins another
//! round; one that fails does not keep the others from being measured.
//!
//! Prints a line of JSON per run: row, program, seconds; of a kind that failed
//! one whose program is `failed`.

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

    /// The pool of its target.
    fn pool(self) -> &'static str {
        match self {
            Program::Safe => "zfs-safe",
            Program::Syncoid => "zfs-syncoid",
            Program::Bzfs => "zfs-bzfs",
        }
    }

    /// Replicates everything that the source has to a target of its own.
    fn command(self, way: Way) -> Command {
        let place = match way {
            Way::Local => "",
            Way::Ssh => HOST,
        };
        let target = format!("{place}{}/data", self.pool());
        let words: &[&str] = match self {
            Program::Safe => &["zfs-replicate", "--safe", "-r", "--quiet", SOURCE, &target],
            Program::Syncoid => &[
                "syncoid",
                "-r",
                "--no-sync-snap",
                "--quiet",
                SOURCE,
                &target,
            ],
            Program::Bzfs => &[
                "python3",
                "-m",
                "bzfs_main.bzfs",
                SOURCE,
                &target,
                "--recursive",
                "--quiet",
            ],
        };
        // One that hangs is a failure.
        let mut command = Command::new("timeout");
        command.arg("900").args(words).stdin(Stdio::null());
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
        let took = self.timed(way)?;
        print(row, self.word(), took);
        Ok(())
    }

    /// What it made of the source, by name and guid.
    fn replica(self, handle: &Zfs) -> Result<Vec<String>> {
        snapshots(handle, &format!("{}/data", self.pool()))
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

/// How often and how long something is measured.
#[derive(Clone, Copy)]
pub struct Rounds {
    most: u64,
    time: Duration,
}

impl Rounds {
    pub fn new(most: u64, minutes: u64) -> Rounds {
        Rounds {
            most,
            time: Duration::from_secs(minutes * 60),
        }
    }

    /// Another round as long as it will end in time, as it seems.
    fn each(self, mut round: impl FnMut() -> Result<()>) -> Result<()> {
        let started = Instant::now();
        for done in 0..u32::try_from(self.most)? {
            let next = started.elapsed() / done.max(1);
            if done > 0 && started.elapsed() + next > self.time {
                break;
            }
            round()?;
        }
        Ok(())
    }
}

/// Says that a kind failed, and goes on.
fn told(row: &str, result: Result<()>) {
    if let Err(error) = result {
        eprintln!("bench-zfs: {row}: {error}");
        print(row, "failed", Duration::ZERO);
    }
}

/// Many datasets with nothing to do, and with one new snapshot on each.
pub fn many([datasets, count]: [u64; 2], rounds: Rounds) -> Result<()> {
    let site = Site::make(datasets, count)?;
    let _sshd = Sshd::start(site.folder.path())?;
    for way in [Way::Local, Way::Ssh] {
        let row = format!("nothing to do, {}", way.word());
        told(&row, site.idle(&row, way, rounds));
        let row = format!("one new snapshot on each, {}", way.word());
        told(&row, site.new_snapshots(&row, way, rounds));
    }
    for way in [Way::Local, Way::Ssh] {
        let row = format!("nothing to do, pools just imported, {}", way.word());
        told(&row, site.cold(&row, way, rounds));
    }
    Ok(())
}

/// The source, and a target for each program.
struct Site {
    handle: Zfs,
    source: Source,
    _targets: Vec<Pool>,
    _pool: Pool,
    folder: tempfile::TempDir,
}

impl Site {
    fn make(datasets: u64, count: u64) -> Result<Site> {
        let folder = tempfile::tempdir()?;
        let pool = Pool::create("zfs-bench", folder.path(), 2048)?;
        let handle = Zfs::open()?;
        let source = Source::create(&handle, &pool, folder.path(), datasets)?;
        for _ in 0..count {
            source.snapshot(&handle)?;
        }
        eprintln!("bench-zfs: the source is made");
        let seed = Pool::create("zfs-seed", folder.path(), 2048)?;
        let local = Local::new(handle.clone());
        let from = local.tree(&SOURCE.parse()?)?;
        let to = local.tree(&format!("{}/data", seed.name()).parse()?)?;
        let outcome =
            Executor::new(&local, &local, &Nobody).run(&plan(&from, &to, &Options::new())?);
        if !outcome.is_ok() {
            return Err(format!("{outcome:?}").into());
        }
        let seed = seed.export()?;
        let targets = Program::ALL
            .iter()
            .map(|program| Pool::copy(seed, program.pool(), folder.path()))
            .collect::<Result<_>>()?;
        eprintln!("bench-zfs: the targets are made");
        Ok(Site {
            handle,
            source,
            _targets: targets,
            _pool: pool,
            folder,
        })
    }

    fn is_replica(&self, program: Program, of: &[String]) -> Result<()> {
        if program.replica(&self.handle)? == of {
            return Ok(());
        }
        Err(format!("{} left something out", program.word()).into())
    }

    /// Nothing is left to do, whatever happened before.
    fn even(&self, way: Way) -> Result<()> {
        let all = snapshots(&self.handle, SOURCE)?;
        for program in Program::ALL {
            // Ours marks this target first, and then sees that it has.
            let times = if program == Program::Safe { 2 } else { 0 };
            for _ in 0..times {
                program.timed(way)?;
            }
            if self.is_replica(program, &all).is_err() {
                program.timed(way)?;
                self.is_replica(program, &all)?;
            }
        }
        Ok(())
    }

    fn idle(&self, row: &str, way: Way, rounds: Rounds) -> Result<()> {
        self.even(way)?;
        rounds.each(|| {
            for program in Program::ALL {
                program.measure(row, way)?;
            }
            Ok(())
        })
    }

    fn new_snapshots(&self, row: &str, way: Way, rounds: Rounds) -> Result<()> {
        rounds.each(|| {
            self.source.snapshot(&self.handle)?;
            let all = snapshots(&self.handle, SOURCE)?;
            for program in Program::ALL {
                program.measure(row, way)?;
                self.is_replica(program, &all)?;
            }
            Ok(())
        })
    }

    fn cold(&self, row: &str, way: Way, rounds: Rounds) -> Result<()> {
        self.even(way)?;
        rounds.each(|| {
            for program in Program::ALL {
                import_again("zfs-bench", self.folder.path())?;
                let own = self.folder.path().join(program.pool());
                import_again(program.pool(), &own)?;
                program.measure(row, way)?;
            }
            Ok(())
        })
    }
}

/// The kernel forgets everything about a pool.
fn import_again(pool: &str, folder: &Path) -> Result<()> {
    run(&["zpool", "export", pool])?;
    let path = folder.to_str().ok_or("a folder that is no text")?;
    let fixed = ["zpool", "import", "-o", "cachefile=none", "-d"];
    run(&[&fixed[..], &[path, "-N", pool]].concat())
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
pub fn one(mib: u64, rounds: Rounds) {
    told("one", large(mib, rounds));
}

fn large(mib: u64, rounds: Rounds) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pool = Pool::create("zfs-bench", folder.path(), mib * 2 + 256)?;
    let _other = Pool::create("zfs-other", folder.path(), mib * 2 + 256)?;
    let snapshot: SnapshotName = filled(&pool, folder.path(), mib)?.parse()?;
    let handle = Zfs::open()?;
    by_pipe(&snapshot)?;
    rounds.each(|| {
        for verified in [false, true] {
            let program = if verified { "verified" } else { "unverified" };
            let (took, kib) = by_engine(&handle, &snapshot, verified)?;
            print("one", program, took);
            println!("{{\"row\":\"memory\",\"program\":\"{program}\",\"seconds\":{kib}}}");
        }
        print("one", "pipe", by_pipe(&snapshot)?);
        Ok(())
    })
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
