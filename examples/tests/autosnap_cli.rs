//! zfs-autosnap from the outside: what needs no ZFS.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn autosnap(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zfs-autosnap"));
    command.args(args);
    command
}

fn output(args: &[&str]) -> Output {
    autosnap(args).output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn folder(conf: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("sanoid.conf"), conf).unwrap();
    dir
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

const SMALL: &str = "[tank/a]\nuse_template = small\n[tank/b]\nuse_template = small\ndaily = 1\n\
                     [template_small]\nhourly = 0\ndaily = 2\nmonthly = 0\n";

#[test]
fn check_tells_what_a_good_configuration_comes_down_to() {
    let dir = folder(SMALL);
    let output = output(&["check", "--config", text(dir.path())]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        stdout(&output),
        "tank/a: takes, prunes: daily 2\ntank/b: takes, prunes: daily 1\n"
    );
}

/// As guides for Proxmox VE have it: one section for all disks, and one that
/// says otherwise of one disk.
const PROXMOX: &str = "[rpool/data]\n\tuse_template = production\n\trecursive = yes\n\
                       [rpool/data/vm-100-disk-0]\n\thourly = 4\n\
                       [rpool/data/vm-101-disk-0]\n\tuse_template = critical\n\
                       [template_production]\n\thourly = 48\n\tdaily = 60\n\tmonthly = 24\n\
                       [template_critical]\n\thourly = 96\n";

#[test]
fn check_and_simulate_know_what_a_disk_inherits() {
    let dir = folder(PROXMOX);
    let config = ["--config", text(dir.path())];
    let checked = output(&[&["check"], &config[..]].concat());
    assert_eq!(
        stdout(&checked),
        "rpool/data and everything below: takes, prunes: monthly 24, daily 60, hourly 48\n\
         rpool/data/vm-100-disk-0: takes, prunes: monthly 24, daily 60, hourly 4\n\
         rpool/data/vm-101-disk-0: takes, prunes: monthly 24, daily 60, hourly 96\n"
    );
    let span = [
        "--from",
        "2026-01-01T00:00:00Z",
        "--to",
        "2026-04-30T00:30:00Z",
        "--every",
        "1h",
        "--tz",
        "UTC",
    ];
    let simulated = output(&[&["simulate"], &config[..], &span].concat());
    let count = |disk: &str, tier: &str| {
        let own = |line: &&str| line.contains(disk) && line.ends_with(tier);
        stdout(&simulated).lines().filter(own).count()
    };
    // An hour's is kept while it is not older than the count says.
    assert_eq!(count("vm-100", "_hourly"), 5);
    assert_eq!(count("vm-101", "_hourly"), 97);
    assert_eq!(count("vm-100", "_daily"), count("data@", "_daily"));
    assert!(count("vm-101", "_daily") >= 60);
}

#[test]
fn simulate_does_not_run_backwards() {
    let dir = folder(SMALL);
    let args = ["simulate", "--config", text(dir.path()), "--every", "1h"];
    let span = [
        "--from",
        "2026-03-02T00:00:00Z",
        "--to",
        "2026-03-01T00:00:00Z",
    ];
    let output = output(&[&args[..], &span].concat());
    assert_eq!(output.status.code(), Some(64));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("is before --from"), "{told}");
}

#[test]
fn check_refuses_a_path_into_a_tree_that_is_covered_already() {
    let dir = folder("[tank]\nrecursive = yes\n[mail]\npath = tank/mail\n");
    let output = output(&["check", "--config", text(dir.path())]);
    assert_eq!(output.status.code(), Some(64));
    assert!(
        stdout(&output).contains("sanoid.conf:3: error: tank/mail belongs to [tank] at line 1"),
        "{output:?}"
    );
}

#[test]
fn check_tells_everything_wrong_at_once_and_exits_64() {
    let dir = folder("[tank]\ndayly = 3\nhourly = x\n");
    let output = output(&["check", "--config", text(dir.path())]);
    assert_eq!(output.status.code(), Some(64));
    let told = stdout(&output);
    assert!(
        told.contains("sanoid.conf:2: error: there is no setting dayly"),
        "{told}"
    );
    assert!(told.contains("sanoid.conf:3: error: hourly"), "{told}");
}

#[test]
fn a_missing_configuration_is_named() {
    let output = output(&["check", "--config", "/nonexistent-folder"]);
    assert_eq!(output.status.code(), Some(64));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("/nonexistent-folder/sanoid.conf"), "{told}");
}

#[test]
fn simulate_lists_what_exists_at_the_end_by_creation() {
    let dir = folder(SMALL);
    let args = [
        "simulate",
        "--config",
        text(dir.path()),
        "--tz",
        "Europe/Berlin",
    ];
    let span = [
        "--from",
        "2026-03-01T00:00:00Z",
        "--to",
        "2026-03-31T12:00:00Z",
    ];
    let output = output(&[&args[..], &span, &["--every", "1h"]].concat());
    assert_eq!(output.status.code(), Some(0));
    // Dailies come at midnight in Berlin, also on 29 March, when clocks change.
    assert_eq!(
        stdout(&output),
        "tank/a@autosnap_2026-03-30_00:00:00_daily\n\
         tank/a@autosnap_2026-03-31_00:00:00_daily\n\
         tank/b@autosnap_2026-03-31_00:00:00_daily\n"
    );
}

#[test]
fn simulate_shows_what_a_child_gets_of_its_parents_snapshots() {
    let conf = "[tank]\nrecursive = zfs\nhourly = 0\ndaily = 3\nmonthly = 0\n\
                [tank/a]\ndaily = 1\n";
    let dir = folder(conf);
    let args = ["simulate", "--config", text(dir.path()), "--tz", "UTC"];
    let span = [
        "--from",
        "2026-03-01T00:00:00Z",
        "--to",
        "2026-03-05T12:00:00Z",
    ];
    let output = output(&[&args[..], &span, &["--every", "1h"]].concat());
    let names = |of: &str| -> Vec<String> {
        let lines = stdout(&output).lines();
        lines
            .filter_map(|line| line.strip_prefix(of))
            .map(|name| name.replace("autosnap_2026-03-", ""))
            .collect()
    };
    let all = ["03", "04", "05"].map(|day| format!("{day}_00:00:00_daily"));
    assert_eq!(names("tank@"), all, "{output:?}");
    assert_eq!(names("tank/a@"), all[2..], "{output:?}");
}

#[test]
fn simulate_draws() {
    let dir = folder(SMALL);
    let args = [
        "simulate",
        "--config",
        text(dir.path()),
        "--tz",
        "UTC",
        "--every",
        "1d",
    ];
    let span = [
        "--from",
        "2026-03-01T00:00:00Z",
        "--to",
        "2026-03-31T00:00:00Z",
    ];
    let show = ["--timeline", "--svg", text(dir.path())];
    let output = output(&[&args[..], &span, &show].concat());
    assert!(stdout(&output).starts_with("tank/a\ndaily "));
    let svg = std::fs::read_to_string(dir.path().join("tank-a.svg")).unwrap();
    assert!(svg.starts_with("<svg"));
}

#[test]
fn drawings_do_not_overwrite_each_other() {
    let dir = folder("[tank/a-b]\n[tank/a/b]\n");
    let span = [
        "--from",
        "2026-03-01T00:00:00Z",
        "--to",
        "2026-03-02T00:00:00Z",
    ];
    let args = ["simulate", "--config", text(dir.path()), "--every", "1d"];
    let told = output(&[&args[..], &span, &["--svg", text(dir.path())]].concat());
    assert_eq!(told.status.code(), Some(64), "{told:?}");
    let error = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(error.contains("tank/a-b and tank/a/b"), "{error}");
    assert!(!dir.path().join("tank-a-b.svg").exists());
}

fn explain(args: &[&str], list: &str) -> Output {
    let mut child = autosnap(
        &[
            &["explain", "--at", "2026-04-03T12:00:00Z", "--tz", "UTC"],
            args,
        ]
        .concat(),
    )
    .stdin(Stdio::piped())
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    // One that refuses its arguments reads nothing, and may be gone by now.
    let written = child.stdin.take().unwrap().write_all(list.as_bytes());
    if let Err(error) = written {
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    }
    child.wait_with_output().unwrap()
}

/// 1 to 3 April 2026, 06:00 UTC; the first is held.
const LIST: &str = "tank/a@auto1\t1\t1\t1775023200\t1\t-\t100\n\
                    tank/a@auto2\t2\t2\t1775109600\t0\t-\t100\n\
                    tank/a@auto3\t3\t3\t1775196000\t0\t-\t100\n";

#[test]
fn explain_gives_every_reason() {
    let output = explain(&["--keep", "daily=1", "--names", "auto*"], LIST);
    assert_eq!(
        stdout(&output),
        "keep    tank/a@auto1\n\
         \x20         protected: one hold\n\
         \x20         daily 1: 2026-04-01 is number 3\n\
         destroy tank/a@auto2\n\
         \x20         daily 1: 2026-04-02 is number 2\n\
         keep    tank/a@auto3\n\
         \x20         daily 1: kept for 2026-04-03, number 1\n\
         tank/a: 2 kept, 1 to destroy, which frees at least 100 bytes\n"
    );
}

#[test]
fn explain_knows_by_the_bookmarks_what_a_replica_still_has_to_get() {
    // nas has the first; a bookmark of a name that lies protects nothing.
    let list = format!(
        "{}tank/a#replica-nas-0000000000000001\t1\t1\t1775023200\t-\t-\t-\n\
         tank/a#replica-tape-0000000000000003\t2\t2\t1775109600\t-\t-\t-\n",
        LIST.replace("\t1\t-", "\t0\t-")
    );
    let output = explain(&["--keep", "last=1", "--names", "auto*"], &list);
    assert_eq!(
        stdout(&output),
        "destroy tank/a@auto1\n\
         \x20         last 1: it is number 3\n\
         keep    tank/a@auto2\n\
         \x20         protected: nas does not have it yet\n\
         \x20         last 1: it is number 2\n\
         keep    tank/a@auto3\n\
         \x20         protected: nas does not have it yet\n\
         \x20         last 1: kept, number 1\n\
         tank/a: 2 kept, 1 to destroy, which frees at least 100 bytes\n\
         2 snapshots wait for nas; if nas is given up: \
         zfs destroy tank/a#replica-nas-0000000000000001\n"
    );
}

#[test]
fn explain_names_what_a_first_replication_is_sending() {
    let list = format!(
        "{}tank/a#sending-nas-0000000000000002\t2\t2\t1775109600\t-\t-\t-\n",
        LIST.replace("\t1\t-", "\t0\t-")
    );
    let arguments = ["--keep", "last=1", "--names", "auto*"];
    let text = explain(&arguments, &list);
    assert_eq!(
        stdout(&text),
        "destroy tank/a@auto1\n\
         \x20         last 1: it is number 3\n\
         keep    tank/a@auto2\n\
         \x20         protected: it is being sent to nas\n\
         \x20         last 1: it is number 2\n\
         keep    tank/a@auto3\n\
         \x20         last 1: kept, number 1\n\
         tank/a: 2 kept, 1 to destroy, which frees at least 100 bytes\n\
         one snapshot waits for nas; if nas is given up: \
         zfs destroy tank/a#sending-nas-0000000000000002\n"
    );
    let json = explain(&[&arguments[..], &["--json"]].concat(), &list);
    let line = stdout(&json).lines().find(|line| line.contains("auto2"));
    let decision: serde_json::Value = serde_json::from_str(line.unwrap()).unwrap();
    assert_eq!(decision["reasons"][0]["kind"], "sending");
    assert_eq!(decision["reasons"][0]["target"], "nas");
}

#[test]
fn explain_says_that_prune_defer_is_not_looked_at() {
    let dir = folder(&SMALL.replace("daily = 1\n", "prune_defer = 60\n"));
    let list = LIST.replace("auto", "autosnap_");
    let list = format!("{list}{}", list.replace("tank/a", "tank/b"));
    let told = explain(&["--config", text(dir.path())], &list);
    let line = "prune_defer 60: nothing is destroyed while the pool is not more than 60% full";
    assert_eq!(stdout(&told).matches(line).count(), 1, "{told:?}");
    let told = explain(&["--config", text(dir.path()), "--json"], &list);
    let deferred: Vec<_> = stdout(&told)
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|line| line.get("prune_defer").is_some())
        .collect();
    assert_eq!(deferred.len(), 1, "{told:?}");
    assert_eq!(deferred[0]["dataset"], "tank/b");
    assert_eq!(deferred[0]["prune_defer"], 60);
}

#[test]
fn options_without_anything_to_do_are_refused() {
    let dir = folder(SMALL);
    for option in ["--json", "--verbose", "--readonly", "--quiet", "--debug"] {
        let told = output(&["--configdir", text(dir.path()), option]);
        assert_eq!(told.status.code(), Some(64), "{option}: {told:?}");
        let error = String::from_utf8_lossy(&told.stderr).into_owned();
        assert!(error.contains("give --cron"), "{option}: {error}");
    }
}

#[test]
fn warnings_about_the_configuration_are_not_for_quiet_runs() {
    let dir = folder(
        "[no-such-pool]\nrecursive = zfs\n[no-such-pool/a]\nautosnap = yes\n\
         [no-such-pool/b]\ndaily = 1\n",
    );
    let told = |option: &[&str]| {
        let folders = ["--configdir", "--cache-dir", "--run-dir"];
        let folders = folders.map(|option| [option, text(dir.path())]);
        let args = [&["--cron", "--readonly"], option].concat();
        let told = output(&[&folders.concat()[..], &args].concat());
        String::from_utf8_lossy(&told.stderr).into_owned()
    };
    let warning = "autosnap is ignored";
    assert_eq!(told(&[]).matches(warning).count(), 1);
    assert_eq!(told(&["--quiet"]).matches(warning).count(), 0);
}

#[test]
fn explain_tells_what_another_count_would_change() {
    let keep = ["--keep", "last=2", "--names", "auto*"];
    let told = |more: &[&str]| {
        let output = explain(
            &[&keep[..], more].concat(),
            &LIST.replace("\t1\t-", "\t0\t-"),
        );
        let lines = stdout(&output).lines();
        lines.skip(7).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        told(&["--if", "last=1", "--if", "last=3"]),
        [
            "with last=1, 0 more would be kept and 1 more destroyed",
            "  destroy tank/a@auto2",
            "with last=3, 1 more would be kept and 0 more destroyed",
            "  keep    tank/a@auto1",
        ]
    );
    let output = explain(&[&keep[..], &["--if", "last=3", "--json"]].concat(), LIST);
    let line = stdout(&output).lines().last().unwrap().to_owned();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    // The hold keeps it already.
    assert_eq!(
        line,
        serde_json::json!({"dataset": "tank/a", "if": {"last": 3}, "saved": [], "lost": []})
    );
    let output = explain(&[&keep[..], &["--if", "weekly=3"]].concat(), LIST);
    assert_eq!(output.status.code(), Some(64));
}

#[test]
fn explain_prunes_as_restic_does() {
    let list = LIST.replace("\t1\t-", "\t0\t-");
    let told = |policy: &[&str]| stdout(&explain(policy, &list)).to_owned();
    let text = told(&["--restic", "keep-yearly=2", "--if", "yearly=1"]);
    let oldest = "keep    tank/a@auto1\n\
                  \x20         yearly 2 or the oldest: kept, the oldest while there are fewer\n";
    assert!(text.contains(oldest), "{text}");
    assert!(text.contains("2 kept, 1 to destroy"), "{text}");
    let change = "with yearly=1, 0 more would be kept and 1 more destroyed\n  \
                  destroy tank/a@auto1\n";
    assert!(text.ends_with(change), "{text}");
    assert!(told(&["--keep", "yearly=2"]).contains("1 kept, 2 to destroy"));
}

#[test]
fn explain_prunes_as_proxmox_does_and_tells_what_its_counts_would_change() {
    let list = LIST.replace("\t1\t-", "\t0\t-");
    let told = |args: &[&str]| stdout(&explain(args, &list)).to_owned();
    // Without a count Proxmox keeps all.
    assert!(told(&["--proxmox", "last=0"]).contains("3 kept, 0 to destroy"));
    let change = told(&["--proxmox", "last=1,daily=1", "--if", "daily=2"]);
    assert!(
        change.contains("in turn last 1 daily 1: daily 2026-04-01 is number 2"),
        "{change}"
    );
    let end = "with daily=2, 1 more would be kept and 0 more destroyed\n\
               \x20 keep    tank/a@auto1\n";
    assert!(change.ends_with(end), "{change}");
}

#[test]
fn explain_tells_what_is_freed_and_of_how_many_that_is_unknown() {
    let list = LIST.replacen("\t100\n", "\t-\n", 2);
    let list = list.replace("\t1\t-", "\t0\t-");
    let output = explain(&["--keep", "last=0,yearly=1"], &list);
    let end = "tank/a: 1 kept, 2 to destroy, which frees at least 0 bytes; 2 of unknown size\n";
    assert!(stdout(&output).ends_with(end), "{output:?}");
    let output = explain(&["--keep", "yearly=1", "--json"], &list);
    let first: serde_json::Value =
        serde_json::from_str(stdout(&output).lines().next().unwrap()).unwrap();
    assert_eq!(
        first,
        serde_json::json!({
            "dataset": "tank/a", "kept": 1, "destroyed": 2,
            "reclaimable": {"bytes": 0, "unknown": 2},
        })
    );
}

#[test]
fn explain_tells_what_another_count_of_sanoids_would_change() {
    let dir = folder(SMALL);
    let list: String = LIST
        .lines()
        .map(|line| line.replace("auto", "autosnap_2026-04-0"))
        .map(|line| line.replacen('\t', "_00:00:00_daily\t", 1) + "\n")
        .collect();
    let config = text(dir.path());
    let output = explain(&["--config", config, "--if", "daily=0"], &list);
    let told = stdout(&output);
    let change = "with daily=0, 0 more would be kept and 2 more destroyed\n\
                  \x20 destroy tank/a@autosnap_2026-04-02_00:00:00_daily\n\
                  \x20 destroy tank/a@autosnap_2026-04-03_00:00:00_daily\n";
    assert!(told.ends_with(change), "{told}");
}

#[test]
fn explain_gives_json_with_guids_as_text() {
    let output = explain(&["--grid", "1x1h", "--json"], LIST);
    let last: serde_json::Value =
        serde_json::from_str(stdout(&output).lines().last().unwrap()).unwrap();
    assert_eq!(last["guid"], "3");
    assert_eq!(last["dataset"], "tank/a");
    assert_eq!(last["verdict"], "keep");
}

#[test]
fn explain_destroys_nothing_of_datasets_that_are_not_configured() {
    let dir = folder(SMALL);
    let list = LIST
        .replace("tank/a", "tank/z")
        .replace("auto", "autosnap_");
    let output = explain(&["--config", text(dir.path())], &list);
    assert!(stdout(&output).contains("3 kept, 0 to destroy"));
}

#[test]
fn explain_wants_exactly_one_policy() {
    for args in [&[][..], &["--keep", "daily=1", "--grid", "1x1h"]] {
        assert_eq!(explain(args, LIST).status.code(), Some(64));
    }
    let output = explain(&["--keep", "dayly=1"], LIST);
    assert_eq!(output.status.code(), Some(64));
}

#[test]
fn a_list_that_is_none_is_refused_with_the_line() {
    let output = explain(&["--keep", "daily=1"], "tank/a@x\n");
    assert_eq!(output.status.code(), Some(64));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.contains("line 1") && told.contains("zfs list"),
        "{told}"
    );
}

#[test]
fn sanoids_options_may_have_one_dash_as_perl_reads_them() {
    let told = output(&["-version"]);
    assert_eq!(told.status.code(), Some(0), "{told:?}");
    assert!(stdout(&told).starts_with("zfs-autosnap "), "{told:?}");
    let told = output(&["-cron", "-readonly", "-Configdir", "/nonexistent-folder"]);
    assert_eq!(told.status.code(), Some(64), "{told:?}");
    let error = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(error.contains("/nonexistent-folder/sanoid.conf"), "{error}");
}

#[test]
fn explain_takes_zrepls_expressions_for_names() {
    let managed = |option: &str, names: &str| {
        let told = explain(&["--grid", "1x1h", option, names], LIST);
        assert_eq!(told.status.code(), Some(0), "{told:?}");
        let unmanaged = "the policy does not manage its name";
        stdout(&told).matches('@').count() - stdout(&told).matches(unmanaged).count()
    };
    assert_eq!(managed("--regex", "^auto"), managed("--names", "auto*"));
    assert!(managed("--regex", "auto") > 0);
    assert_eq!(managed("--regex", "^nobody$"), 0);
    let told = explain(&["--grid", "1x1h", "--regex", "("], LIST);
    assert_eq!(told.status.code(), Some(64), "{told:?}");
    assert!(String::from_utf8_lossy(&told.stderr).contains("unclosed group"));
}
