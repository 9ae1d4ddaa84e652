//! zfs-replicate's command line, with programs that stand in for ssh(1) and
//! zfs(8): what they say is what no real one says when it is asked to.

#[path = "replicate_cli/meanwhile.rs"]
mod meanwhile;
#[path = "replicate_cli/usage.rs"]
mod usage;

use std::fs;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;
use zfs_stream::token::ResumeToken;

/// Runs what it is told here; `HOST` says for which system.
const SSH: &str = "\
for word; do
    case $word in -N|-O) exit 0 ;; esac
    host=$line line=$word
done
HOST=$host exec sh -c \"$line\"
";

/// Writes down what it is asked; what is asked for the Nth time is in `$N`. A
/// listing, which asks for datasets and then for what they have, is asked once.
const ZFS: &str = "\
host=${HOST:-here}
echo \"$host $*\" >> FOLDER/asked
N=$(grep \"^$host $1 \" FOLDER/asked | grep -vc 'snapshot,bookmark ')
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

/// Answers with what there is of the kinds that are asked for.
const ANSWER: &str = "\
[ \"$1\" = list ] || { answer \"$@\"; exit; }
all=$(answer \"$@\") || exit
[ -n \"$all\" ] || exit 0
case \"$*\" in
    *'snapshot,bookmark '*) echo \"$all\" | cut -f 1,3,4 ;;
    *) echo \"$all\" | grep -v '[@#]' ;;
esac
exit 0
";

/// A source that is encrypted.
const ENCRYPTED: &str = "*far*' list '*) SOURCE | sed 's/\toff\t/\taes-256-gcm\t/' ;;";

const FAR: &str = "root@far:tank/a";
const OFF: &str = "root@off:vault/a";

/// A folder of programs that come first in PATH.
struct Fake(TempDir);

impl Fake {
    /// `zfs` is a part of a case statement over host and arguments; what it
    /// does not say is as usual.
    fn new(zfs: &str) -> Fake {
        let folder = tempfile::tempdir().unwrap();
        let zfs = format!(
            "{ZFS}answer() {{ case \"$host $*\" in\n{zfs}\n*) usual $host \"$@\" ;;\nesac; }}\n{ANSWER}"
        );
        let path = folder.path().display().to_string();
        let fake = Fake(folder);
        fake.program("ssh", SSH);
        fake.program("zfs", &zfs.replace("FOLDER", &path));
        // Other tests receive as well.
        fake.program("ps", "");
        fake
    }

    fn program(&self, name: &str, text: &str) {
        // By another process: what this one has open for writing a child that
        // another test starts has as well for a moment, and could not be run.
        let write = Command::new("sh")
            .args(["-c", "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\""])
            .arg(self.0.path().join(name))
            .arg(format!("#!/bin/sh\n{text}"))
            .status();
        assert!(write.unwrap().success());
    }

    fn run(&self, arguments: &[&str]) -> Output {
        command(&self.path()).args(arguments).output().unwrap()
    }

    /// With its folder before all others.
    fn path(&self) -> String {
        let path = std::env::var("PATH").unwrap();
        format!("{}:{path}", self.0.path().display())
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

/// The program, with that PATH.
fn command(path: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zfs-replicate"));
    command
        .env("PATH", path)
        .env_remove("HOST")
        .stdin(Stdio::null());
    command
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

#[test]
fn encrypted_data_that_leaves_decrypted_is_told_once() {
    let told = |output: &Output| stderr(output).matches("is sent decrypted").count();
    let encrypted = Fake::new(ENCRYPTED);
    let output = encrypted.run(&["--no-sync-snap", FAR, OFF]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(told(&output), 1, "{}", stderr(&output));
    assert!(stderr(&output).contains("tank/a is encrypted"));
    for (zfs, options) in [
        (ENCRYPTED, "--sendoptions=Lw"),
        (ENCRYPTED, "--quiet"),
        ("", "--debug"),
    ] {
        let output = Fake::new(zfs).run(&["--no-sync-snap", options, FAR, OFF]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(told(&output), 0, "{zfs} {options}");
    }
    // What goes on with a raw stream is raw.
    for (raw, expected) in [(true, 0), (false, 1)] {
        let token = ResumeToken {
            to_name: "tank/a@two".to_owned(),
            raw,
            ..ResumeToken::default()
        };
        let token = token.encode().unwrap();
        let fake = Fake::new(&format!(
            "{ENCRYPTED}\n*off*' list '*) if [ $N = 1 ]; then TARGET | sed '1s/\t-\toff/\t{token}\toff/'
             else TARGET; row vault/a@two snapshot 12 23; fi ;;"
        ));
        let output = fake.run(&["--no-sync-snap", FAR, OFF]);
        assert!(fake.asked().contains(&format!("send -t {token}\n")));
        assert_eq!(told(&output), expected, "{}", stderr(&output));
    }
}

#[test]
fn a_zfs_older_than_encryption_is_listed_without_it() {
    let fake = Fake::new(
        "*' list '*,encryption,*) fail \"bad property list: invalid property 'encryption'\" 2 ;;",
    );
    let output = fake.run(&["--no-sync-snap", FAR, OFF]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(fake.asked().contains("receive -s -F vault/a\n"));
    let lists = fake.asked().matches(" list ").count();
    assert_eq!(lists, 6, "{}", fake.asked());
    let fake = Fake::new("");
    fake.run(&["--no-sync-snap", FAR, OFF]);
    assert_eq!(fake.asked().matches(" list ").count(), 4);
}

#[test]
fn a_source_that_does_not_come_past_ssh_is_not_waited_for() {
    let direct = "--insecure-direct-connection=127.0.0.1:0,127.0.0.1:0";
    let fake = Fake::new(
        "*' list '*vault/past) row vault/past filesystem 2 1; row vault/past@one snapshot 11 21 ;;",
    );
    fake.program("socat", "echo 'no route' >&2; exit 1");
    let output = fake.run(&["--no-sync-snap", direct, FAR, "vault/past"]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("no route"), "{text}");
    assert!(text.contains("before it connected"), "{text}");
    // Nor does it go between two others.
    let output = fake.run(&[direct, FAR, OFF]);
    assert_eq!(output.status.code(), Some(2));
}
