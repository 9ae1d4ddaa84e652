//! zfs-replicate's command line, with programs that stand in for ssh(1) and
//! zfs(8): what they say is what no real one says when it is asked to.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// Runs what it is told here; `HOST` says for which system.
const SSH: &str = "#!/bin/sh
for word; do
    case $word in -N|-O) exit 0 ;; esac
    host=$line line=$word
done
HOST=$host exec sh -c \"$line\"
";

/// Writes down what it is asked; what is asked for the Nth time is in `$N`.
const ZFS: &str = "#!/bin/sh
host=${HOST:-here}
echo \"$host $*\" >> FOLDER/asked
N=$(grep -c \"^$host $1 \" FOLDER/asked)
row() { printf '%s\\t%s\\t%s\\t%s\\t-\\t-\\toff\\t-\\n' \"$@\"; }
SOURCE() { row tank/a filesystem 1 1; row tank/a@one snapshot 11 11; row tank/a@two snapshot 12 12; }
TARGET() { row vault/a filesystem 2 1; row vault/a@one snapshot 11 21; row vault/a@zzz snapshot 13 22; }
fail() { echo \"$1\" >&2; exit $2; }
usual() {
    case \"$*\" in
        *' list '*tank/a) SOURCE ;;
        *' list '*vault/a) TARGET ;;
        *' send -nvP '*|*' send '*' -nvP '*) printf 'size\\t5000\\n' ;;
        *' send '*) echo stream ;;
        *' receive '*) cat > /dev/null ;;
    esac
}
";

const FAR: &str = "root@far:tank/a";
const OFF: &str = "root@off:vault/a";

/// A folder of programs that come first in PATH.
struct Fake(TempDir);

impl Fake {
    /// `zfs` is a part of a case statement over host and arguments; what it
    /// does not say is as usual.
    fn new(zfs: &str) -> Fake {
        let folder = tempfile::tempdir().unwrap();
        let zfs = format!("{ZFS}case \"$host $*\" in\n{zfs}\n*) usual $host \"$@\" ;;\nesac\n");
        let path = folder.path().display().to_string();
        for (name, text) in [
            ("ssh", SSH.to_owned()),
            ("zfs", zfs.replace("FOLDER", &path)),
        ] {
            let file = folder.path().join(name);
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Fake(folder)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let path = std::env::var("PATH").unwrap();
        Command::new(env!("CARGO_BIN_EXE_zfs-replicate"))
            .args(arguments)
            .env("PATH", format!("{}:{path}", self.0.path().display()))
            .env_remove("HOST")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// What zfs(8) was asked, a line each.
    fn asked(&self) -> String {
        fs::read_to_string(self.0.path().join("asked")).unwrap_or_default()
    }

    /// Whether it was asked for anything that changes something.
    fn changed(&self) -> bool {
        let verbs = ["snapshot", "receive", "destroy", "hold", "bookmark"];
        self.asked().lines().any(|line| {
            let verb = line.split(' ').nth(1).unwrap();
            verbs.contains(&verb)
        })
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_only_the_target_has_goes_only_where_the_source_can_be_listed() {
    let arguments = ["--no-sync-snap", "--delete-target-snapshots", FAR, OFF];
    let fake = Fake::new("");
    let output = fake.run(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(fake.asked().contains("destroy vault/a@zzz\n"));
    for (second, code, said) in [
        ("fail 'kex: reset by peer' 255", 255, "reset by peer"),
        ("fail 'sudo: a password is required' 1", 1, "a password is"),
        (
            "fail \"cannot open 'tank/a': dataset does not exist\" 1",
            1,
            "does not exist",
        ),
        ("true", 255, "it is empty"),
        ("echo Welcome!", 255, "Welcome!"),
        ("SOURCE; SOURCE", 255, "comes twice"),
    ] {
        let case = format!("*far*' list '*) if [ $N = 1 ]; then SOURCE; else {second}; fi ;;");
        let fake = Fake::new(&case);
        let output = fake.run(&arguments);
        let text = stderr(&output);
        assert!(!fake.asked().contains("destroy"), "{second}: {text}");
        assert!(fake.asked().contains("receive"), "{second}: {text}");
        assert_eq!(output.status.code(), Some(code), "{second}: {text}");
        assert!(text.contains("CRITICAL ERROR: "), "{text}");
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn what_cannot_be_listed_is_not_taken_for_what_is_not_there() {
    for host in ["far", "off"] {
        for (listing, said) in [
            ("fail 'sudo: a password is required' 1", "a password is"),
            ("fail 'sh: zfs: does not exist' 127", "sh: zfs"),
            ("true", "it is empty"),
            ("echo Welcome!", "Welcome!"),
            ("usual $host \"$@\"; usual $host \"$@\"", "comes twice"),
        ] {
            for options in [&[][..], &["--recursive"]] {
                let fake = Fake::new(&format!("*{host}*' list '*) {listing} ;;"));
                let output = fake.run(&[options, &[FAR, OFF]].concat());
                let text = stderr(&output);
                assert!(!fake.changed(), "{host} {listing}: {}", fake.asked());
                assert_eq!(output.status.code(), Some(2), "{host} {listing}: {text}");
                assert!(text.contains(said), "{host} {listing}: {text}");
                assert!(!text.contains("dataset does not exist"), "{text}");
            }
        }
    }
}

#[test]
fn what_is_not_there_is_told_and_made() {
    let gone = |name: &str| format!("fail \"cannot open '{name}': dataset does not exist\" 1");
    let fake = Fake::new(&format!("*far*' list '*) {} ;;", gone("tank/a")));
    let output = fake.run(&[FAR, OFF]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("cannot open 'tank/a': dataset does not exist"));
    assert!(!fake.changed());
    let fake = Fake::new(&format!("*off*' list '*) {} ;;", gone("vault/a")));
    let output = fake.run(&["--no-sync-snap", FAR, OFF]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(fake.asked().contains("send tank/a@one\n"));
    assert!(fake.asked().contains("send -I tank/a@one tank/a@two\n"));
}
