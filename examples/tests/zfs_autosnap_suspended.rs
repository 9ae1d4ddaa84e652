//! zfs-autosnap where one pool does not answer: the others go on.

#[path = "../../zfs-core/tests/fixture/mod.rs"]
mod fixture;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use fixture::fragile::Fragile;
use fixture::{Pool, run};

fn autosnap(folder: &Path, args: &[&str]) -> Output {
    let binaries = std::env::var_os("ZFS_TEST_BIN_DIR").expect("cargo xtask test sets it");
    let mut command = Command::new(Path::new(&binaries).join("zfs-autosnap"));
    for (option, name) in [
        ("--configdir", ""),
        ("--cache-dir", "cache"),
        ("--run-dir", "run"),
    ] {
        command.arg(option).arg(folder.join(name));
    }
    command.args(args).env("TZ", "UTC").output().unwrap()
}

#[track_caller]
fn ends(output: &Output, code: i32) -> (String, String) {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_suspended_pool_is_told_and_does_not_keep_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let pool = Pool::new();
    let well = pool.filesystem("a");
    let mut fragile = Fragile::new();
    let name = fragile.pool.clone();
    let conf = format!(
        "[{name}]\nuse_template = t\nrecursive = yes\n[{name}/never]\n[{well}]\nuse_template = t\n\
         [template_t]\nhourly = 0\ndaily = 3\nmonthly = 0\n"
    );
    fs::write(folder.path().join("sanoid.conf"), conf).unwrap();
    pool.take("a@autosnap_2020-01-01_00:00:00_hourly");
    // None that is too old has an age of no second.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    fragile.fail();
    let runs = [
        &["--cron", "--quiet"][..],
        &["--monitor-health"],
        &["--monitor-capacity"],
        &["--monitor-snapshots"],
    ];
    let outputs = runs.map(|args| autosnap(folder.path(), args));
    // Nothing may wait for it: it works again whatever came of that.
    fragile.recover();

    let [cron, health, capacity, snapshots] = &outputs;
    let (_, told) = ends(cron, 1);
    assert!(told.contains("zpool clear"), "{told}");
    assert!(!told.contains("no such dataset"), "{told}");
    let taken = run(&[
        "zfs",
        "list",
        "-Hrt",
        "snapshot",
        "-o",
        "name",
        well.as_str(),
    ]);
    assert_eq!(taken.lines().count(), 1, "{taken}");
    assert!(!taken.contains("2020-01-01"), "{taken}");
    let (line, _) = ends(health, 2);
    assert!(line.starts_with("*** CRITICAL *** "), "{line}");
    let own = format!("CRITICAL ZPOOL {name} : SUSPENDED {{Size:");
    assert!(line.contains(&own), "{line}");
    let (line, _) = ends(capacity, 0);
    assert!(line.contains(&format!("OK ZPOOL {name} : ")), "{line}");
    let (line, _) = ends(snapshots, 2);
    assert!(line.contains("CRIT: cannot list "), "{line}");
    assert!(line.contains("zpool clear"), "{line}");
    assert!(!line.contains("at all"), "{line}");
}
