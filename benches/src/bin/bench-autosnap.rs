//! `zfs-autosnap --cron` and `sanoid --cron` on the same datasets in turn, run
//! inside the ZFS machine by `cargo xtask bench autosnap`.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use zfs_core::{CreateRequest, DatasetName, Defer, ListSnapshots, SnapshotName, Zfs};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const POOL: &str = "zfs-bench";

fn main() -> ExitCode {
    let numbers: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let [datasets, snapshots, idle, due] = numbers[..] else {
        eprintln!("usage: bench-autosnap DATASETS SNAPSHOTS-OF-EACH IDLE-RUNS DUE-RUNS");
        return ExitCode::from(64);
    };
    match measure(datasets, snapshots, idle, due) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-autosnap: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints a line of JSON per pair of runs: what there was to do, and seconds
/// of each.
fn measure(datasets: usize, snapshots: usize, idle: usize, due: usize) -> Result<()> {
    // No hour ends while this runs.
    run(Command::new("date").args(["-s", "2026-11-25 10:05:00"]))?;
    let folder = tempfile::tempdir()?;
    let site = Site::create(folder.path(), datasets, snapshots)?;
    site.configure("frequently = 0\nweekly = 0\nyearly = 0\n")?;
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
    _pool: Pool,
}

impl<'a> Site<'a> {
    /// Datasets with snapshots of the types that the configuration keeps for
    /// long, the newest of each too young for another.
    fn create(folder: &'a Path, datasets: usize, snapshots: usize) -> Result<Site<'a>> {
        let pool = Pool::create(folder)?;
        let zfs = Zfs::open()?;
        let mut names: Vec<DatasetName> = Vec::with_capacity(datasets);
        for nth in 0..datasets {
            let name: DatasetName = format!("{POOL}/vm-{nth}-disk-0").parse()?;
            zfs.create(&CreateRequest::filesystem(name.clone()))?;
            names.push(name);
        }
        for nth in 0..snapshots {
            let tier = match nth {
                0..3 => "monthly",
                3..13 => "daily",
                _ => "hourly",
            };
            let name = format!(
                "autosnap_2026-11-25_09:{:02}:{:02}_{tier}",
                nth / 60,
                nth % 60
            );
            let all = names
                .iter()
                .map(|dataset| dataset.with_snapshot(&name))
                .collect::<std::result::Result<Vec<SnapshotName>, _>>()?;
            zfs.snapshot(&all)?;
        }
        Ok(Site {
            zfs,
            folder,
            datasets: names,
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
            for snapshot in self.zfs.list_snapshots(dataset, ListSnapshots::new()) {
                let name = snapshot?.name;
                if !name.snapshot().starts_with("autosnap_2026-11-25_09:") {
                    all.push(name);
                }
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

/// A pool on one file, destroyed when it goes out of scope.
struct Pool;

impl Pool {
    fn create(folder: &Path) -> Result<Pool> {
        let file = folder.join("pool.img");
        File::create(&file)?.set_len(2 << 30)?;
        run(Command::new("zpool")
            .args(["create", "-O", "mountpoint=none", "-O", "atime=off", POOL])
            .arg(&file))?;
        Ok(Pool)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let _ = Command::new("zpool").args(["destroy", "-f", POOL]).status();
    }
}
