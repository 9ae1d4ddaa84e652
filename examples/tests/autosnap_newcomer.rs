//! zfs-autosnap for somebody who comes from sanoid: what is told of a
//! configuration, and what is taken as other tools write it.

use std::path::Path;
use std::process::{Command, Output};

fn autosnap(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zfs-autosnap"));
    command.args(args).output().unwrap()
}

fn folder(conf: impl AsRef<[u8]>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("sanoid.conf"), conf).unwrap();
    dir
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn check(conf: impl AsRef<[u8]>) -> Output {
    autosnap(&["check", "--config", text(folder(conf).path())])
}

const SPAN: [&str; 8] = [
    "--from",
    "2026-03-01",
    "--to",
    "2026-03-03",
    "--every",
    "1h",
    "--tz",
    "UTC",
];

#[test]
fn check_says_what_a_section_reaches() {
    let conf = "[rpool/data]\nrecursive = yes\nprocess_children_only = yes\nuse_template = a\n\
                [tank]\nrecursive = yes\nuse_template = a\n[all]\nrecursive = zfs\n\
                use_template = a\n[template_a]\nhourly = 0\nmonthly = 0\ndaily = 2\n";
    assert_eq!(
        stdout(&check(conf)),
        "below rpool/data (not itself): takes, prunes: daily 2\n\
         tank and everything below: takes, prunes: daily 2\n\
         all and everything below: takes at once, prunes: daily 2\n"
    );
    let dir = folder(conf);
    let told = stdout(&autosnap(&[
        "check",
        "--json",
        "--configdir",
        text(dir.path()),
    ]));
    let first: serde_json::Value = serde_json::from_str(told.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["recursive"], &first["children_only"]),
        (&true.into(), &true.into())
    );
}

#[test]
fn a_file_without_a_dataset_is_told() {
    let told = check("[template_default]\ndaily = 1\n");
    assert_eq!(told.status.code(), Some(0));
    let warning =
        "sanoid.conf:1: warning: no dataset is configured: nothing would be taken or pruned";
    assert!(stdout(&told).contains(warning), "{told:?}");
    for (conf, warning) in [
        ("", "no dataset is configured"),
        (
            "[tank]\nrecursive = yes\nprocess_children_only = yes\n",
            "tank itself is left out (process_children_only)",
        ),
    ] {
        let dir = folder(conf);
        let told = autosnap(&[&["simulate", "--config", text(dir.path())], &SPAN[..]].concat());
        assert!(
            stdout(&told).is_empty() && stderr(&told).contains(warning),
            "{told:?}"
        );
    }
}

#[test]
fn check_tells_of_scripts_and_templates_that_lead_nowhere() {
    let told = stdout(&check(
        "[tank]\npruning_script = /nonexistent/script --now\n[template_old]\ndaily = 1\n",
    ));
    assert!(
        told.contains(":2: warning: pruning_script: cannot find /nonexistent/script"),
        "{told}"
    );
    assert!(
        told.contains(":3: warning: [template_old] is used by no section"),
        "{told}"
    );
}

#[test]
fn the_encoding_of_a_comment_does_not_matter_and_that_of_the_rest_is_told() {
    assert_eq!(
        check(b"\xef\xbb\xbf# caf\xe9\n[tank]\n").status.code(),
        Some(0)
    );
    for (conf, line) in [
        (
            &b"\xff\xfe[\0t\0]\0"[..],
            "sanoid.conf:1: error: this is UTF-16",
        ),
        (
            b"[tank]\n[caf\xe9]\n",
            "sanoid.conf:2: error: \"[caf\u{fffd}]\" is not UTF-8",
        ),
    ] {
        let told = check(conf);
        assert_eq!(told.status.code(), Some(64));
        assert!(stdout(&told).contains(line), "{told:?}");
    }
}

#[test]
fn a_file_does_as_well_as_its_folder_and_a_missing_one_is_told() {
    let dir = folder("[tank]\n");
    let file = dir.path().join("sanoid.conf");
    let told = autosnap(&["check", "--config", text(&file)]);
    assert!(stdout(&told).starts_with("tank: takes"), "{told:?}");
    let told = autosnap(&["check", "--configdir", "/nonexistent"]);
    assert_eq!(told.status.code(), Some(64));
    let expected =
        "there is no /nonexistent/sanoid.conf: write one, or name its folder with --config";
    assert!(stderr(&told).contains(expected), "{told:?}");
}

#[test]
fn simulate_makes_the_folder_of_its_drawings() {
    let dir = folder("[tank]\n");
    let drawings = dir.path().join("a/b");
    let args = [
        "simulate",
        "--config",
        text(dir.path()),
        "--svg",
        text(&drawings),
    ];
    let told = autosnap(&[&args[..], &SPAN].concat());
    assert_eq!(told.status.code(), Some(0), "{told:?}");
    assert!(drawings.join("tank.svg").exists());
}

#[test]
fn each_command_has_examples_of_its_own() {
    for (command, others) in [
        ("check", "simulate"),
        ("simulate", "explain"),
        ("explain", "check"),
    ] {
        let told = stdout(&autosnap(&[command, "--help"]));
        assert!(told.contains("Examples:") && told.contains(&format!("zfs-autosnap {command}")));
        assert!(!told.contains(&format!("zfs-autosnap {others}")), "{told}");
    }
}

/// A snapshot of tank/a and one of tank/b, a second old.
const LIST: &str = "tank/a@autosnap_1_daily\t1\t1\t1775023200\t1\t-\t100\n\
                    tank/b@autosnap_1_daily\t2\t2\t1775023200\t0\t-\t100\n";

fn explain(conf: &str, policy: &[&str]) -> Output {
    let dir = folder(conf);
    let list = dir.path().join("list");
    std::fs::write(&list, LIST).unwrap();
    let config = ["--config", text(dir.path())];
    let policy = if policy.is_empty() {
        &config[..]
    } else {
        policy
    };
    let at = ["explain", text(&list), "--at", "2026-04-03", "--tz", "UTC"];
    autosnap(&[&at[..], policy].concat())
}

#[test]
fn explain_says_why_nothing_of_a_dataset_is_destroyed() {
    let told = stdout(&explain("[tank/a]\nautoprune = no\n", &[]));
    assert_eq!(
        told,
        "keep    tank/a@autosnap_1_daily\n\
         \x20         autoprune = no in sanoid.conf\n\
         \x20         protected: one hold\n\
         tank/a: 1 kept, 0 to destroy, which frees at least 0 bytes\n\
         keep    tank/b@autosnap_1_daily\n\
         \x20         tank/b is in no section of sanoid.conf\n\
         tank/b: 1 kept, 0 to destroy, which frees at least 0 bytes\n"
    );
}

#[test]
fn explain_takes_counts_as_proxmox_writes_them() {
    let told = explain("", &["--proxmox", "keep-last=3,keep-daily=7"]);
    assert!(
        stdout(&told).contains("in turn last 3 daily 7: kept for last"),
        "{told:?}"
    );
}

#[test]
fn shells_complete_what_there_is() {
    for (binary, option) in [
        (env!("CARGO_BIN_EXE_zfs-autosnap"), "--monitor-snapshots"),
        (env!("CARGO_BIN_EXE_zfs-ctl"), "change-key"),
        (env!("CARGO_BIN_EXE_zfs-pipeline"), "--keep-streams"),
        (env!("CARGO_BIN_EXE_zfs-streamdump"), "recompress"),
    ] {
        let told = Command::new(binary)
            .args(["completions", "bash"])
            .output()
            .unwrap();
        assert!(told.status.success(), "{told:?}");
        assert!(stdout(&told).contains(option), "{binary}");
    }
}
