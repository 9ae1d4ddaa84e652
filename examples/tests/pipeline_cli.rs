//! zfs-pipeline's command line, as far as it needs no ZFS.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const TOML: &str = "
[policy.p]
last = 1
[[job]]
name = \"j\"
source = \"no-such-pool/a\"
policy = \"p\"
";

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("zfs-pipeline-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self, text: &str) -> PathBuf {
        let path = self.0.join("file.toml");
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn pipeline(args: &[&str], file: Option<&Path>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_zfs-pipeline"))
        .args(args)
        .args(file)
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn wrong_usage_ends_with_64() {
    for args in [
        &[][..],
        &["run"],
        &["run", "--no-such-option", "x.toml"],
        &["run", "-q", "-v", "x.toml"],
        &["run", "--dry-run", "--keep-streams", "d", "x.toml"],
    ] {
        assert_eq!(pipeline(args, None).status.code(), Some(64), "{args:?}");
    }
}

#[test]
fn help_has_examples_and_ends_with_0() {
    for args in [&["--help"][..], &["run", "--help"]] {
        let output = pipeline(args, None);
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("zfs-pipeline run --dry-run"), "{text}");
        assert!(text.contains("[[job.target]]"), "{text}");
    }
}

#[test]
fn a_wrong_file_ends_with_64_and_names_the_line() {
    let folder = Folder::new("wrong");
    let file = folder.file(&TOML.replace("last", "lsat"));
    let output = pipeline(&["run"], Some(&file));
    assert_eq!(output.status.code(), Some(64));
    let expected = format!("zfs-pipeline: {}:3: unknown field `lsat`", file.display());
    assert!(
        stderr(&output).starts_with(&expected),
        "{}",
        stderr(&output)
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn a_file_that_is_not_there_ends_with_64() {
    let output = pipeline(&["run", "/no/such/file.toml"], None);
    assert_eq!(output.status.code(), Some(64));
    assert!(stderr(&output).contains("cannot read /no/such/file.toml"));
}

#[test]
fn without_zfs_or_without_the_pool_it_says_so_and_ends_with_1() {
    let folder = Folder::new("no-zfs");
    let file = folder.file(TOML);
    let output = pipeline(&["run", "--json"], Some(&file));
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output) + &String::from_utf8_lossy(&output.stdout);
    let no_library = said.contains("must be installed") && said.contains("zfsutils-linux");
    let no_module = said.contains("/dev/zfs") || said.contains("modprobe zfs");
    let no_pool = said.contains("there is no dataset no-such-pool/a");
    assert!(no_library || no_module || no_pool, "{said}");
}
