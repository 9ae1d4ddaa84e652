//! `zfs-autosnap --cron` and `sanoid --cron` on the same datasets in turn, run
//! inside the ZFS machine by `cargo xtask bench autosnap`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use zfs_core::{DatasetName, Defer, ListDatasets, ListSnapshots, SnapshotName, Txg, Zfs};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const POOL: &str = "zfs-bench";

fn main() -> ExitCode {
    let numbers: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let [idle, due] = numbers[..] else {
        eprintln!("usage: bench-autosnap IDLE-RUNS DUE-RUNS");
        return ExitCode::from(64);
    };
    match measure(idle, due) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-autosnap: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints a line of JSON with sanoid's version, and one per pair of runs: what
/// there was to do, and seconds of each.
fn measure(idle: usize, due: usize) -> Result<()> {
    // A minute after the pool's snapshots, so that nothing is due and no hour
    // ends while this runs.
    run(Command::new("date").args(["-s", "2026-11-25 10:06:00"]))?;
    let folder = tempfile::tempdir()?;
    let site = Site::open(folder.path())?;
    site.configure("frequently = 0\nweekly = 0\nyearly = 0\n")?;
    let version = Command::new("dpkg-query")
        .args(["-W", "-f", "${Version}", "sanoid"])
        .output()?;
    println!(
        "{{\"what\":\"version\",\"sanoid\":\"{}\"}}",
        String::from_utf8(version.stdout)?
    );
    // Both fill their caches. What was changed within the last two seconds is
    // cached by neither for good.
    std::thread::sleep(Duration::from_secs(3));
    for program in PROGRAMS {
        site.cron(program, &[])?;
    }
    for _ in 0..idle {
        site.pair("idle")?;
        if site.taken()? != 0 {
            return Err("something was due".into());
        }
    }
    site.configure("frequently = 1\nweekly = 1\nyearly = 1\nfrequent_period = 60\n")?;
    for _ in 0..due {
        let [sanoid, autosnap] = PROGRAMS.map(|program| site.due(program));
        report("due", sanoid?, autosnap?);
    }
    Ok(())
}

const PROGRAMS: [&str; 2] = ["sanoid", "zfs-autosnap"];

fn report(what: &str, sanoid: Duration, autosnap: Duration) {
    println!(
        "{{\"what\":\"{what}\",\"sanoid\":{},\"autosnap\":{}}}",
        sanoid.as_secs_f64(),
        autosnap.as_secs_f64()
    );
}

struct Site<'a> {
    zfs: Zfs,
    folder: &'a Path,
    datasets: Vec<DatasetName>,
    /// The transaction group after which nothing of the pool's own was made.
    made: Txg,
    _pool: Pool,
}

impl<'a> Site<'a> {
    fn open(folder: &'a Path) -> Result<Site<'a>> {
        let pool = Pool::import()?;
        let zfs = Zfs::open()?;
        let below = ListDatasets::new().recursive().without_properties();
        let all = zfs
            .list_datasets(&POOL.parse()?, below)
            .map(|dataset| dataset.map(|dataset| dataset.name))
            .collect::<std::result::Result<Vec<_>, _>>()?;
        let datasets: Vec<DatasetName> = all.into_iter().skip(1).collect();
        let mut made = Txg(0);
        for dataset in &datasets {
            let newest = zfs.newest_snapshot(dataset)?.ok_or("no snapshots")?;
            made = made.max(zfs.snapshot_entry(&newest)?.createtxg);
        }
        Ok(Site {
            zfs,
            folder,
            datasets,
            made,
            _pool: pool,
        })
    }

    fn configure(&self, more: &str) -> Result<()> {
        let conf = format!(
            "[{POOL}]\nuse_template = production\nrecursive = yes\nprocess_children_only = yes\n\
             [template_production]\nhourly = 48\ndaily = 60\nmonthly = 24\n{more}"
        );
        fs::write(self.folder.join("sanoid.conf"), conf)?;
        Ok(())
    }

    fn cache(&self, program: &str) -> PathBuf {
        self.folder.join(format!("cache-{program}"))
    }

    fn cron(&self, program: &str, more: &[&str]) -> Result<Duration> {
        let mut command = Command::new(program);
        command
            .args(["--cron", "--quiet", "--configdir"])
            .arg(self.folder)
            .arg("--cache-dir")
            .arg(self.cache(program))
            .arg("--run-dir")
            .arg(self.folder.join("run"))
            .args(more)
            .stdout(Stdio::null());
        let started = Instant::now();
        run(&mut command)?;
        Ok(started.elapsed())
    }

    fn pair(&self, what: &str) -> Result<()> {
        let [sanoid, autosnap] = PROGRAMS.map(|program| self.cron(program, &[]));
        report(what, sanoid?, autosnap?);
        Ok(())
    }

    /// What was taken of the types that are not there from the beginning.
    fn taken(&self) -> Result<usize> {
        Ok(self.new_ones()?.len())
    }

    fn new_ones(&self) -> Result<Vec<SnapshotName>> {
        let mut all = Vec::new();
        for dataset in &self.datasets {
            let new = ListSnapshots::new().min_txg(Txg(self.made.0 + 1));
            for snapshot in self.zfs.list_snapshots(dataset, new) {
                all.push(snapshot?.name);
            }
        }
        Ok(all)
    }

    /// One run with three types due on each dataset. Both begin with the same
    /// snapshots, and with a cache that knows them.
    fn due(&self, program: &str) -> Result<Duration> {
        if program == "zfs-autosnap" {
            // The other one's snapshots came and went, so it lists anew. What
            // changed within the last two seconds is not kept for good.
            std::thread::sleep(Duration::from_secs(3));
            self.cron(program, &["--readonly"])?;
        }
        let took = self.cron(program, &[])?;
        let taken = self.new_ones()?;
        if taken.len() != 3 * self.datasets.len() {
            return Err(format!("{program} took {} snapshots", taken.len()).into());
        }
        for some in taken.chunks(300) {
            self.zfs.destroy_snapshots(some, Defer::No)?;
        }
        if program == "sanoid" {
            // It would believe for twenty minutes that they are still there.
            let list = self.cache(program).join("snapshots.txt");
            let text = fs::read_to_string(&list)?;
            let old = |line: &&str| line.contains("@autosnap_2026-11-25_09:");
            let kept: Vec<&str> = text.lines().filter(old).collect();
            fs::write(&list, kept.join("\n") + "\n")?;
        }
        Ok(took)
    }
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.stdout(Stdio::null()).status()?;
    if !status.success() {
        return Err(format!("{command:?} failed").into());
    }
    Ok(())
}

/// The pool that was made for this, gone when it goes out of scope: what is
/// done to it is forgotten with the machine.
struct Pool;

impl Pool {
    fn import() -> Result<Pool> {
        let fixed = ["import", "-N", "-o", "cachefile=none"];
        let disks = ["-d", "/dev/disk/by-id", POOL];
        run(Command::new("zpool").args(fixed).args(disks))?;
        Ok(Pool)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let _ = Command::new("zpool").args(["destroy", "-f", POOL]).status();
    }
}
