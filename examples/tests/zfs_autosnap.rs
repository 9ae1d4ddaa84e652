//! zfs-autosnap on real pools.

#[path = "../../zfs-core/tests/fixture/mod.rs"]
mod fixture;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant, SystemTime};

use fixture::{Pool, run};

/// A pool, and folders for sanoid.conf, locks and the cache.
struct Site {
    pool: Pool,
    folder: tempfile::TempDir,
}

impl Site {
    /// `POOL` in the text is the pool.
    fn new(datasets: &[&str], conf: &str) -> Site {
        let site = Site {
            pool: Pool::new(),
            folder: tempfile::tempdir().unwrap(),
        };
        for dataset in datasets {
            site.pool.filesystem(dataset);
        }
        site.configure(conf);
        site
    }

    fn configure(&self, conf: &str) {
        let conf = conf.replace("POOL", self.pool.name().as_str());
        let conf = conf.replace("FOLDER", self.folder.path().to_str().unwrap());
        fs::write(self.folder.path().join("sanoid.conf"), conf).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = autosnap();
        for (option, folder) in [
            ("--configdir", ""),
            ("--cache-dir", "cache"),
            ("--run-dir", "run"),
        ] {
            command.arg(option).arg(self.folder.path().join(folder));
        }
        command.args(args).env("TZ", "UTC");
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    #[track_caller]
    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{told}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Of each dataset the names of its snapshots and their transactions.
    fn snapshots(&self) -> BTreeMap<String, Vec<(String, u64)>> {
        let list = [
            "zfs",
            "list",
            "-Hrpo",
            "name,createtxg",
            "-t",
            "snapshot",
            "-s",
            "createtxg",
        ];
        let text = run(&[&list[..], &[self.pool.name().as_str()]].concat());
        let mut all: BTreeMap<String, Vec<(String, u64)>> = BTreeMap::new();
        for line in text.lines() {
            let (name, txg) = line.split_once('\t').unwrap();
            let (dataset, snapshot) = name.split_once('@').unwrap();
            let dataset = dataset.split_once('/').map_or("", |(_, dataset)| dataset);
            let own = all.entry(dataset.to_owned()).or_default();
            own.push((snapshot.to_owned(), txg.parse().unwrap()));
        }
        all
    }

    fn names(&self, dataset: &str) -> Vec<String> {
        let all = self.snapshots();
        let own = all.get(dataset).cloned().unwrap_or_default();
        own.into_iter().map(|(name, _)| name).collect()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn autosnap() -> Command {
    let folder = std::env::var_os("ZFS_TEST_BIN_DIR").expect("cargo xtask test sets it");
    Command::new(Path::new(&folder).join("zfs-autosnap"))
}

/// What is not older than nothing is not pruned, and ZFS counts seconds.
fn a_second_later() {
    std::thread::sleep(Duration::from_millis(1100));
}

/// Waits where the hour is about to end, behind which more would be due.
fn within_an_hour() {
    /// More than a test takes.
    const MARGIN: i64 = 180;
    let left = 3600 - jiff::Timestamp::now().as_second().rem_euclid(3600);
    if left <= MARGIN {
        std::thread::sleep(Duration::from_secs(left.unsigned_abs() + 1));
    }
}

fn tiers(names: &[String]) -> Vec<&str> {
    let tier = |name: &String| name.rfind('_').map_or(0, |at| at + 1);
    names.iter().map(|name| &name[tier(name)..]).collect()
}

#[test]
fn what_is_due_is_taken_once_and_each_type_in_one_transaction() {
    let conf = "[POOL/a]\nuse_template = t\nrecursive = yes\n[POOL/b]\nuse_template = t\n\
                [template_t]\nhourly = 3\ndaily = 2\nmonthly = 1\n";
    let site = Site::new(&["a", "a/child", "b", "other"], conf);
    within_an_hour();
    site.ok(&["--cron", "--quiet"]);
    let all = site.snapshots();
    assert_eq!(all.keys().collect::<Vec<_>>(), ["a", "a/child", "b"]);
    let own = &all["a"];
    assert_eq!(all["b"], *own);
    assert_eq!(all["a/child"], *own);
    let names = site.names("a");
    assert_eq!(tiers(&names), ["monthly", "daily", "hourly"]);
    assert!(names[0].starts_with("autosnap_20"), "{names:?}");

    // With nothing but folders it is --cron --verbose.
    let told = site.ok(&[]);
    assert!(told.contains("INFO: pruning"), "{told}");
    assert!(!told.contains('@'), "{told}");
    assert_eq!(site.snapshots(), all);
}

#[test]
fn readonly_tells_and_changes_nothing() {
    let conf = "[POOL/a]\nuse_template = t\n[template_t]\nhourly = 0\ndaily = 2\nmonthly = 0\n";
    let site = Site::new(&["a"], conf);
    site.pool.take("a@autosnap_2020-01-01_00:00:00_hourly");
    let before = site.snapshots();
    a_second_later();
    let told = site.ok(&["--cron", "--readonly", "--verbose"]);
    assert!(
        told.contains("taking ") && told.contains("_daily"),
        "{told}"
    );
    assert!(
        told.contains("destroying ") && told.contains("_hourly"),
        "{told}"
    );
    let told = site.ok(&["--cron", "--dry-run", "--json"]);
    let events: Vec<serde_json::Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let kinds: Vec<_> = events
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["would_take", "would_destroy"]);
    assert_eq!(site.snapshots(), before);
}

#[test]
fn with_recursive_zfs_all_below_is_taken_at_once() {
    let conf = "[POOL/a]\nrecursive = zfs\nhourly = 3\ndaily = 0\nmonthly = 0\n";
    let site = Site::new(&["a", "a/b", "a/b/c"], conf);
    site.ok(&["--take-snapshots"]);
    let all = site.snapshots();
    assert_eq!(all.len(), 3);
    assert_eq!(all["a"].len(), 1);
    assert!(all.values().all(|own| *own == all["a"]), "{all:?}");
    // Pruning is each dataset's own.
    a_second_later();
    site.configure("[POOL/a]\nrecursive = zfs\nhourly = 0\ndaily = 0\nmonthly = 0\n");
    site.ok(&["--prune-snapshots"]);
    assert!(site.snapshots().is_empty());
}

#[test]
fn with_recursive_zfs_what_is_gone_or_not_received_does_not_keep_the_rest() {
    let conf = "[POOL/a]\nuse_template = t\nrecursive = zfs\nscript_timeout = 60\n\
                pre_snapshot_script = zfs destroy POOL/a/gone\n\
                [template_t]\nhourly = 3\ndaily = 0\nmonthly = 0\n";
    let site = Site::new(&["src", "a", "a/b", "a/gone"], conf);
    let source = site.pool.dataset("src");
    site.pool.write(&source, "file", &vec![7; 400_000]);
    let source = site.pool.take("src@one");
    let half = site.pool.dataset("a/half");
    let cut = format!("zfs send {source} | head -c 150000 | zfs receive -s -u {half}");
    assert!(!fixture::attempt(&["sh", "-c", &cut]).status.success());
    assert_ne!(fixture::get(&half, "receive_resume_token"), "-");

    let told = site.ok(&["--take-snapshots", "--json"]);
    let event = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let name = format!("{}@{}", site.pool.dataset("a"), site.names("a")[0]);
    assert_eq!(
        event(told.trim()),
        serde_json::json!({"event": "take", "name": name})
    );
    let all = site.snapshots();
    assert_eq!(all.keys().collect::<Vec<_>>(), ["a", "a/b", "src"]);

    // Nor does it with the other kind of recursion, and what scripts print is
    // none of what a machine reads.
    site.configure(
        "[POOL/src]\nuse_template = t\n[POOL/a]\nuse_template = t\nrecursive = yes\n\
         process_children_only = yes\n[template_t]\nhourly = 0\ndaily = 3\nmonthly = 0\n\
         pre_snapshot_script = echo hello\nscript_timeout = 60\n",
    );
    let told = site.ok(&["--take-snapshots", "--json"]);
    let names: Vec<_> = told
        .lines()
        .map(|line| event(line)["name"].as_str().unwrap().to_owned())
        .map(|name| name.split_once('@').unwrap().0.to_owned())
        .collect();
    let taken = ["src", "a/b"].map(|name| site.pool.dataset(name).to_string());
    assert_eq!(
        names.iter().collect::<BTreeSet<_>>(),
        taken.iter().collect()
    );

    // What fails was never told as done.
    site.configure("[POOL/missing]\nhourly = 3\ndaily = 0\nmonthly = 0\n");
    let output = site.run(&["--take-snapshots", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(event(told.trim())["event"], "failed", "{told}");
}

const PURGE: &str = "[POOL/a]\nautosnap = no\nhourly = 0\ndaily = 0\nmonthly = 0\n";

#[test]
fn pruning_leaves_what_is_held_cloned_made_by_others_or_not_replicated() {
    let site = Site::new(&["a"], PURGE);
    let take = |nth: u32| {
        site.pool
            .take(&format!("a@autosnap_2026-01-0{nth}_00:00:00_daily"))
    };
    take(1);
    let held = take(2);
    let cloned = take(3);
    let marked = take(4);
    take(5);
    site.pool.take("a@by-hand_daily");
    site.pool.take("a@autosnap_2026-01-01_00:00:00_other");
    run(&["zfs", "hold", "backup", held.as_str()]);
    let clone = site.pool.dataset("clone");
    run(&[
        "zfs",
        "clone",
        "-o",
        "canmount=noauto",
        cloned.as_str(),
        clone.as_str(),
    ]);
    let guid: u64 = fixture::get(&marked, "guid").parse().unwrap();
    let marker = format!("{}#replica-siteb-{guid:016x}", marked.dataset());
    run(&["zfs", "bookmark", marked.as_str(), &marker]);

    a_second_later();
    // explain knows it before, by what zfs-list(8) prints.
    let columns = "name,guid,createtxg,creation,userrefs,clones,used";
    let list = [
        "zfs",
        "list",
        "-Hrp",
        "-t",
        "snapshot,bookmark",
        "-o",
        columns,
    ];
    let list = run(&[&list[..], &[site.pool.name().as_str()]].concat());
    fs::write(site.file("list"), list).unwrap();
    let explain = autosnap()
        .args(["explain", "--config"])
        .args([site.file(""), site.file("list")])
        .output()
        .unwrap();
    let explained = String::from_utf8(explain.stdout).unwrap();
    let destroyed = explained.lines().filter(|line| line.starts_with("destroy"));
    let destroyed: Vec<&str> = destroyed
        .map(|line| line.split_once('@').unwrap().1)
        .collect();
    let go = ["01", "04"].map(|day| format!("autosnap_2026-01-{day}_00:00:00_daily"));
    assert_eq!(destroyed, go, "{explained}");

    let told = site.ok(&["--prune-snapshots", "--verbose"]);
    assert!(
        told.contains("one hold") && told.contains("siteb"),
        "{told}"
    );
    let end = format!("one snapshot waits for siteb; if siteb is given up: zfs destroy {marker}");
    assert!(told.contains(&end), "{told}");
    let stay = [
        "autosnap_2026-01-02_00:00:00_daily",
        "autosnap_2026-01-03_00:00:00_daily",
        "autosnap_2026-01-05_00:00:00_daily",
        "by-hand_daily",
        "autosnap_2026-01-01_00:00:00_other",
    ];
    assert_eq!(site.names("a"), stay);

    // Without the marker, its pruning is exactly sanoid's.
    run(&["zfs", "destroy", &marker]);
    site.ok(&["--prune-snapshots"]);
    assert_eq!(site.names("a").len(), 4);
    assert!(!site.names("a").contains(&stay[2].to_owned()));
}

#[test]
fn pruning_leaves_what_a_first_replication_is_sending() {
    let site = Site::new(&["a"], PURGE);
    let [_, sent, _] = [1, 2, 3].map(|nth| {
        site.pool
            .take(&format!("a@autosnap_2026-01-0{nth}_00:00:00_daily"))
    });
    let guid: u64 = fixture::get(&sent, "guid").parse().unwrap();
    let sending = format!("{}#sending-siteb-{guid:016x}", sent.dataset());
    run(&["zfs", "bookmark", sent.as_str(), &sending]);
    a_second_later();

    let told = site.ok(&["--prune-snapshots", "--verbose"]);
    let end = format!("one snapshot waits for siteb; if siteb is given up: zfs destroy {sending}");
    assert!(told.contains("it is being sent to siteb"), "{told}");
    assert!(told.contains(&end), "{told}");
    assert_eq!(site.names("a"), [sent.snapshot()]);

    // A marker of the same: it has arrived.
    let marker = sending.replace("#sending-", "#replica-");
    run(&["zfs", "bookmark", sent.as_str(), &marker]);
    site.ok(&["--prune-snapshots"]);
    assert!(site.names("a").is_empty());
}

#[test]
fn autoprune_and_children_only_are_obeyed() {
    let conf = "[POOL/a]\nrecursive = yes\nprocess_children_only = yes\nhourly = 0\ndaily = 1\nmonthly = 0\n\
                [POOL/b]\nautoprune = no\nautosnap = no\nhourly = 0\n";
    let site = Site::new(&["a", "a/c", "b"], conf);
    for dataset in ["a", "a/c", "b"] {
        site.pool
            .take(&format!("{dataset}@autosnap_2026-01-01_00:00:00_hourly"));
    }
    a_second_later();
    site.ok(&["--cron"]);
    assert_eq!(tiers(&site.names("a")), ["hourly"]);
    assert_eq!(tiers(&site.names("a/c")), ["daily"]);
    assert_eq!(tiers(&site.names("b")), ["hourly"]);
}

#[test]
fn prune_defer_waits_for_a_full_pool() {
    let site = Site::new(&["a"], &format!("{PURGE}prune_defer = 50\n"));
    site.pool.take("a@autosnap_2026-01-01_00:00:00_daily");
    a_second_later();
    let told = site.ok(&["--prune-snapshots", "--verbose"]);
    assert!(told.contains("prune_defer"), "{told}");
    assert_eq!(site.names("a").len(), 1);
    site.configure(PURGE);
    site.ok(&["--prune-snapshots"]);
    assert!(site.names("a").is_empty());
}

const SCRIPTS: &str = "[POOL/a]\nhourly = 2\ndaily = 1\nmonthly = 0\n\
    pre_snapshot_script = env | grep ^SANOID_ | sort > FOLDER/pre; zfs list -Ht snapshot POOL/a | wc -l >> FOLDER/pre; exit FIRST\n\
    post_snapshot_script = env | grep ^SANOID_ | sort > FOLDER/post\n\
    pre_pruning_script = env | grep ^SANOID_ | sort >> FOLDER/prepruning; exit SECOND\n\
    pruning_script = env | grep ^SANOID_ | sort >> FOLDER/pruning\n\
    script_timeout = 60\n";

fn scripts(first: &str, second: &str, more: &str) -> String {
    SCRIPTS.replace("FIRST", first).replace("SECOND", second) + more
}

#[test]
fn scripts_find_what_sanoid_tells_them() {
    let site = Site::new(&["a"], &scripts("0", "0", ""));
    site.ok(&["--cron"]);
    let names = site.names("a");
    assert_eq!(tiers(&names), ["daily", "hourly"]);
    let target = site.pool.dataset("a");
    let same = |first: &str, script: &str| {
        format!(
            "SANOID_SCRIPT={script}\nSANOID_SNAPNAME={first}\nSANOID_SNAPNAMES={}\n\
             SANOID_TARGET={target}\nSANOID_TARGETS={target}\nSANOID_TYPES=daily,hourly\n",
            names.join(",")
        )
    };
    let pre = fs::read_to_string(site.file("pre")).unwrap();
    assert_eq!(pre, format!("{}0\n", same(&names[0], "pre")));
    let post = fs::read_to_string(site.file("post")).unwrap();
    let whole = format!("{target}@{}", names[0]);
    assert_eq!(
        post,
        format!("SANOID_PRE_FAILURE=0\n{}", same(&whole, "post"))
    );

    let more = scripts("0", "0", "autosnap = no\n").replace("daily = 1", "daily = 0");
    site.configure(&more);
    a_second_later();
    site.ok(&["--cron"]);
    assert_eq!(tiers(&site.names("a")), ["hourly"]);
    let gone = format!("SANOID_SNAPNAME={}\nSANOID_TARGET={target}\n", names[0]);
    assert_eq!(fs::read_to_string(site.file("prepruning")).unwrap(), gone);
    let pruning = fs::read_to_string(site.file("pruning")).unwrap();
    assert_eq!(pruning, format!("SANOID_SCRIPT=prune\n{gone}"));
}

/// A zone whose clocks went back an hour, half an hour ago.
fn zone_in_its_second_pass() -> String {
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(30);
    let end = end.to_zoned(jiff::tz::TimeZone::UTC);
    // Days from 0, leap days among them.
    let day = end.day_of_year() - 1;
    let begin = (day + 180) % 365;
    format!("AAA0BBB,{begin}/0,{day}/{}", end.strftime("%H:%M:%S"))
}

#[test]
fn a_name_that_is_taken_gets_dst_only_where_the_hour_comes_twice() {
    // Somebody is faster than we are.
    let before = "pre_snapshot_script = zfs snapshot $SANOID_TARGET@$SANOID_SNAPNAME\n\
                  post_snapshot_script = echo $SANOID_SNAPNAME > FOLDER/post\n\
                  script_timeout = 0\n";
    let conf = format!("[POOL/a]\nhourly = 3\ndaily = 0\nmonthly = 0\n{before}");
    let site = Site::new(&["a"], &conf);
    let told = site.ok(&["--cron", "--verbose"]);
    assert!(told.contains("_hourly is there already"), "{told}");
    assert_eq!(site.names("a").len(), 1);

    let conf = conf.replace("/a", "/b");
    let site = Site::new(&["b"], &conf);
    let mut command = site.command(&["--cron"]);
    let told = command
        .env("TZ", zone_in_its_second_pass())
        .output()
        .unwrap();
    assert!(told.status.success(), "{told:?}");
    let names = site.names("b");
    assert_eq!(names.len(), 2, "{names:?}");
    let again = names[0].replace("_hourly", "dst_hourly");
    assert_eq!(names[1], again);
    let post = fs::read_to_string(site.file("post")).unwrap();
    assert_eq!(post.trim(), format!("{}@{again}", site.pool.dataset("b")));
}

#[test]
fn scripts_that_fail_are_told_and_decide_what_their_settings_say() {
    let site = Site::new(
        &["a"],
        &scripts("1", "1", "no_inconsistent_snapshot = yes\n"),
    );
    assert_eq!(site.run(&["--cron"]).status.code(), Some(1));
    assert!(site.names("a").is_empty());

    site.configure(&scripts("1", "1", "force_post_snapshot_script = yes\n"));
    assert_eq!(site.run(&["--cron"]).status.code(), Some(1));
    assert_eq!(site.names("a").len(), 2);
    let post = fs::read_to_string(site.file("post")).unwrap();
    assert!(post.starts_with("SANOID_PRE_FAILURE=1\n"), "{post}");

    site.configure(&scripts("1", "1", "autosnap = no\n").replace("daily = 1", "daily = 0"));
    a_second_later();
    assert_eq!(site.run(&["--cron"]).status.code(), Some(1));
    assert_eq!(
        site.names("a").len(),
        2,
        "a failed pre_pruning_script saves it"
    );
    assert!(!site.file("pruning").exists());
}

#[test]
fn a_second_instance_leaves_it_to_the_first() {
    let conf = "[POOL/a]\nhourly = 2\ndaily = 0\nmonthly = 0\nscript_timeout = 0\n\
                pre_snapshot_script = touch FOLDER/begun; until test -e FOLDER/go; do sleep 0.1; done\n";
    let site = Site::new(&["a"], conf);
    within_an_hour();
    let mut first = site.command(&["--take-snapshots"]).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while !site.file("begun").exists() {
        assert!(Instant::now() < deadline, "the first does not begin");
        std::thread::sleep(Duration::from_millis(50));
    }
    let told = site.ok(&["--take-snapshots", "--verbose"]);
    assert!(told.contains("another process"), "{told}");
    assert!(site.names("a").is_empty());
    // One that hangs would keep all later ones from it without a word.
    let lock = fs::File::options()
        .append(true)
        .open(site.file("run/zfs-autosnap-taking.lock"))
        .unwrap();
    let begun = SystemTime::now() - Duration::from_secs(2 * 3600);
    lock.set_modified(begun).unwrap();
    let output = site.run(&["--cron", "--quiet"]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.contains(&format!("left to process {}", first.id())),
        "{told}"
    );
    fs::write(site.file("go"), "").unwrap();
    assert!(first.wait().unwrap().success());
    site.ok(&["--take-snapshots"]);
    assert_eq!(site.names("a").len(), 1);
}

#[test]
fn what_cannot_be_taken_does_not_keep_the_rest() {
    let conf = "[POOL/missing]\nuse_template = t\n[POOL/a]\nuse_template = t\n\
                [template_t]\nhourly = 3\ndaily = 0\nmonthly = 0\n";
    let site = Site::new(&["a"], conf);
    let output = site.run(&["--cron"]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("missing"), "{told}");
    assert_eq!(site.names("a").len(), 1, "{told}");
}

#[test]
fn nagios_gets_its_line_and_its_code() {
    let conf = "[POOL/a]\nhourly = 3\ndaily = 0\nmonthly = 0\n";
    let site = Site::new(&["a"], conf);
    let output = site.run(&["--monitor-snapshots"]);
    assert_eq!(output.status.code(), Some(2));
    let path = site.pool.dataset("a");
    let line = format!("CRIT: {path} has no hourly snapshots at all!\n");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), line);
    site.ok(&["--take-snapshots"]);
    let line = format!("OK: all monitored datasets ({path}) have fresh snapshots\n");
    assert_eq!(site.ok(&["--monitor-snapshots"]), line);

    let pool = site.pool.name();
    let told = site.ok(&["--monitor-capacity"]);
    let capacity = run(&["zpool", "list", "-Ho", "capacity", pool.as_str()]);
    assert_eq!(told, format!("OK ZPOOL {pool} : {capacity}"));
    site.configure("[no-such-pool-here/a]\nhourly = 3\n");
    let output = site.run(&["--monitor-capacity"]);
    assert_eq!(output.status.code(), Some(2));
    site.configure("[POOL/a]\nhourly = x\n");
    let output = site.run(&["--monitor-snapshots"]);
    assert_eq!(output.status.code(), Some(3));
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        told.starts_with("UNKNOWN: ") && told.lines().count() == 1,
        "{told}"
    );
}
