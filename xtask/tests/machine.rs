//! The ZFS machine's own promises, on the machine. `cargo xtask test` runs
//! these: every one boots, so a plain `cargo test` leaves them alone.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The other half of a power cut is a boot; nothing here should take longer.
const PATIENCE: Duration = Duration::from_secs(300);

fn vm(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["vm", "run"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("xtask runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn status_streams_and_results_come_out() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("given"), "from the host").expect("a file");
    let given = format!("{}:deep/given", folder.path().join("given").display());
    let results = folder.path().join("results");
    let output = vm(&[
        "--copy-in",
        &given,
        "--copy-out",
        results.to_str().expect("UTF-8"),
        "--",
        "sh",
        "-c",
        "zfs version; echo 'it''s me' >&2; cat deep/given > /out/taken; exit 7",
    ]);
    assert_eq!(output.status.code(), Some(7), "{}", text(&output.stderr));
    assert!(
        text(&output.stdout).contains("zfs-kmod-"),
        "{}",
        text(&output.stdout)
    );
    assert!(
        text(&output.stderr).contains("its me"),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(
        fs::read_to_string(results.join("taken")).expect("a result"),
        "from the host"
    );
}

#[test]
fn a_panic_is_no_answer_and_shows_the_serial_log() {
    let output = vm(&["--", "sh", "-c", "echo c > /proc/sysrq-trigger; sleep 60"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("sysrq triggered crash"), "{said}");
}

#[test]
fn a_hang_ends_at_the_limit() {
    let output = vm(&["--timeout", "3", "--", "sleep", "1000"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("did not end within 3 s"), "{said}");
}

#[test]
fn what_was_synced_survives_a_power_cut_and_the_rest_is_not_torn() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = folder.path().join("cut.img");
    let made = format!("{}:256M", disk.display());
    let output = vm(&[
        "--disk",
        &made,
        "--power-cut-when",
        "NOW",
        "--",
        "sh",
        "-c",
        "set -e; zpool create -O mountpoint=/tank tank /dev/disk/by-id/virtio-cut
         echo kept > /tank/synced; zpool sync tank
         echo NOW; while :; do echo more >> /tank/unsynced; done",
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("the power was cut"));

    let again = vm(&[
        "--disk",
        disk.to_str().expect("UTF-8"),
        "--",
        "sh",
        "-c",
        "zpool import -f -d /dev/disk/by-id tank && cat /tank/synced && zpool scrub -w tank && zpool status -x",
    ]);
    let said = format!("{}{}", text(&again.stdout), text(&again.stderr));
    assert!(again.status.success(), "{said}");
    assert!(said.contains("kept"), "{said}");
    assert!(said.contains("all pools are healthy"), "{said}");
}

#[test]
fn an_interrupt_leaves_no_process_and_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let child = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["vm", "run", "--", "sleep", "1000"])
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("xtask runs");
    let started = Instant::now();
    // The serial log's first line means that QEMU runs.
    let log = || {
        fs::read_dir(folder.path())
            .into_iter()
            .flatten()
            .flatten()
            .any(|entry| {
                fs::metadata(entry.path().join("serial.log")).is_ok_and(|file| file.len() > 0)
            })
    };
    while !log() {
        assert!(started.elapsed() < PATIENCE, "the machine did not start");
        thread::sleep(Duration::from_millis(100));
    }
    let mark = folder.path().to_str().expect("UTF-8").to_owned();
    assert!(process_with(&mark), "QEMU is not to be seen");
    let interrupt = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupt.expect("kill runs").success());
    let output = child.wait_with_output().expect("xtask ends");
    assert_eq!(output.status.code(), Some(130));
    assert!(!process_with(&mark), "QEMU is still there");
    let left: Vec<_> = fs::read_dir(folder.path()).expect("the folder").collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Whether a process has this text on its command line.
fn process_with(mark: &str) -> bool {
    fs::read_dir(Path::new("/proc"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .any(|line| text(&line).contains(mark))
}
