//! The other end as an ordinary user: with what `zfs allow` gives, or sudo.

#[path = "../../zfs-core/tests/fixture/mod.rs"]
mod fixture;
#[path = "../../zfs-replicate/tests/sshd/mod.rs"]
mod sshd;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Once;

use fixture::{Pool, attempt, run};
use sshd::Sshd;

/// An account of the machine's own, made by whichever test is first.
const USER: &str = "zfs-replicate-test";

/// What zfs-replicate's README says a user needs at a target, and at a source.
const AT_TARGET: &str = "canmount,create,destroy,mount,readonly,receive,rename,userprop";
const AT_SOURCE: &str = "bookmark,destroy,hold,mount,send";

fn sshd_of_user() -> Sshd {
    static ACCOUNT: Once = Once::new();
    ACCOUNT.call_once(|| {
        if !attempt(&["id", USER]).status.success() {
            make_account();
        }
    });
    let sshd = Sshd::start();
    // sshd reads the keys that it takes as the user that logs in.
    fs::set_permissions(sshd.folder.path(), Permissions::from_mode(0o755)).unwrap();
    sshd
}

/// Writes the account's lines itself: not every machine has a useradd.
fn make_account() {
    const ID: u32 = 4711;
    for (file, line) in [
        ("group", format!("{USER}:x:{ID}:")),
        ("passwd", format!("{USER}:x:{ID}:{ID}::/:/bin/sh")),
        // No password fits, but the account is not locked.
        ("shadow", format!("{USER}:*:20000::::::")),
    ] {
        let file = format!("/etc/{file}");
        let mut lines = fs::read_to_string(&file).unwrap();
        if !lines.is_empty() && !lines.ends_with('\n') {
            lines.push('\n');
        }
        lines.push_str(&line);
        lines.push('\n');
        fs::write(&file, lines).unwrap();
    }
}

struct Site {
    a: Pool,
    b: Pool,
    sshd: Sshd,
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Push,
    Pull,
}

impl Site {
    fn new() -> Site {
        let site = Site {
            a: Pool::new(),
            b: Pool::new(),
            sshd: sshd_of_user(),
        };
        site.a.filesystem("src");
        site.a.filesystem("src/child");
        site.b.filesystem("backup");
        site
    }

    fn take(&self, name: &str) {
        run(&[
            "zfs",
            "snapshot",
            "-r",
            &format!("{}@{name}", self.a.dataset("src")),
        ]);
    }

    /// Replicates, and gives the exit code and what went wrong.
    fn replicate(&self, way: Way, target: &str, options: &[&str]) -> (Option<i32>, String) {
        let folder = std::env::var("ZFS_TEST_BIN_DIR").expect("cargo xtask test sets it");
        let mut command = Command::new(format!("{folder}/zfs-replicate"));
        command.args(["--recursive"]).args(options);
        command.args(self.sshd.options_of_syncoid());
        let (source, target) = (self.a.dataset("src"), self.b.dataset(target));
        command.args(match way {
            Way::Push => [source.to_string(), format!("{USER}@127.0.0.1:{target}")],
            Way::Pull => [format!("{USER}@127.0.0.1:{source}"), target.to_string()],
        });
        let output = command.stdin(Stdio::null()).output().unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr);
        // A machine without a network cannot look up its own name.
        let own = complaints
            .lines()
            .filter(|line| !line.starts_with("sudo: unable to resolve host"));
        (output.status.code(), own.collect::<Vec<_>>().join("\n"))
    }

    #[track_caller]
    fn replicates(&self, way: Way, target: &str, options: &[&str], snapshots: &[&str]) {
        let (code, said) = self.replicate(way, target, options);
        assert_eq!((code, said.as_str()), (Some(0), ""), "{way:?}");
        for child in ["", "/child"] {
            let dataset = self.b.dataset(&format!("{target}{child}"));
            let list = ["zfs", "list", "-Hd1", "-t", "snapshot", "-o", "name"];
            let text = run(&[&list[..], &["-s", "createtxg", dataset.as_str()]].concat());
            let names: Vec<&str> = text
                .lines()
                .filter_map(|name| Some(name.split_once('@')?.1))
                .collect();
            assert_eq!(names, snapshots, "{way:?} {dataset}");
        }
    }
}

#[test]
fn a_user_replicates_with_what_zfs_allow_gives_and_is_told_what_to_do_without() {
    let site = Site::new();
    let options = ["--safe", "--retries=0", "--no-privilege-elevation"];
    site.take("one");
    for (way, target, at, permissions) in [
        (
            Way::Push,
            "backup/deep/pushed",
            site.b.dataset("backup"),
            AT_TARGET,
        ),
        (
            Way::Pull,
            "backup/deep/pulled",
            site.a.dataset("src"),
            AT_SOURCE,
        ),
    ] {
        let (code, said) = site.replicate(way, target, &options);
        assert_eq!(code, Some(1), "{way:?} {said}");
        assert!(said.contains("permission denied"), "{way:?} {said}");
        assert!(said.contains("zfs allow"), "{way:?} {said}");
        run(&["zfs", "allow", "-u", USER, permissions, at.as_str()]);
        site.replicates(way, target, &options, &["one"]);
    }
    site.take("two");
    for (way, target) in [
        (Way::Push, "backup/deep/pushed"),
        (Way::Pull, "backup/deep/pulled"),
    ] {
        site.replicates(way, target, &options, &["one", "two"]);
        // And there is nothing that a third run would have to do.
        site.replicates(way, target, &options, &["one", "two"]);
    }
}

#[test]
fn a_user_replicates_with_sudo_and_is_told_what_to_do_without() {
    let site = Site::new();
    let rule = Path::new("/etc/sudoers.d/zfs-replicate-test");
    site.take("one");
    for (form, options) in [
        ("safe", &["--safe", "--retries=0"][..]),
        ("syncoid", &["--no-sync-snap", "--quiet"]),
    ] {
        let targets = ["pushed", "pulled"].map(|name| format!("backup/{form}-{name}"));
        let ways = || [Way::Push, Way::Pull].into_iter().zip(&targets);
        for (way, target) in ways() {
            let (code, said) = site.replicate(way, target, options);
            assert!(code.is_some_and(|code| code != 0), "{way:?} {said}");
            assert!(said.contains("password"), "{way:?} {said}");
        }
        fs::write(rule, format!("{USER} ALL=(root) NOPASSWD: ALL\n")).unwrap();
        for (way, target) in ways() {
            site.replicates(way, target, options, &["one"]);
        }
        fs::remove_file(rule).unwrap();
    }
}
