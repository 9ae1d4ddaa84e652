//! What is wrong with a command line, and what it ends with.

use super::{FAR, Fake, OFF, command, stderr};

#[test]
fn options_of_the_other_form_are_wrong_usage() {
    for (arguments, code) in [
        (&["--json"][..], 2),
        (&["--retire"], 2),
        (&["--safe", "--force-delete"], 64),
        (&["restore", "--sendoptions=w"], 64),
    ] {
        let fake = Fake::new("");
        let output = fake.run(&[arguments, &[FAR, OFF]].concat());
        let name = arguments.last().unwrap().split('=').next().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        assert!(stderr(&output).starts_with(name), "{}", stderr(&output));
        assert_eq!(fake.asked(), "");
    }
}

#[test]
fn what_is_wrong_ends_with_the_code_of_its_form_before_anything_is_connected_to() {
    let fake = Fake::new("");
    fake.program("ssh", "echo ssh >> $(dirname $0)/asked; exit 1");
    for (words, code, said) in [
        (&["--recusrive", FAR, OFF][..], 2, "is --recursive meant"),
        (&["-v", FAR, OFF], 2, "there is no verbose mode"),
        (&["tank/a"], 2, "SOURCE and TARGET"),
        (
            &["--insecure-direct-connection=a:1,b:2,3,mbuffer,x", FAR, "b"],
            2,
            "up to four",
        ),
        (&["--safe", "--recusrive", FAR, OFF], 64, "is --recursive"),
        (&["--safe", "-v", FAR, OFF], 64, "there is no verbose mode"),
        (&["restore", "tank/a"], 64, "SOURCE and TARGET"),
        (&["--safe", "--compress=zip", FAR, OFF], 64, "zstd-fast"),
        (&["--safe", "--jobs=0", FAR, OFF], 64, "--jobs=0"),
        (
            &["--safe", "--identifier=my-host", FAR, OFF],
            64,
            "\"my-host\"",
        ),
        (&["--safe", "--bwlimit=mo-08:00,2M", FAR, OFF], 64, "tue"),
        (&["--safe", "--type=disk", FAR, OFF], 64, "or volume"),
        (&["--type=volume", FAR, OFF], 2, "add --safe"),
        (&["receive", "--what"], 64, "--what"),
    ] {
        let output = fake.run(words);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {text}");
        // It is not above a screen of help.
        let last = text.trim_end().lines().rev().take(2);
        assert!(last.collect::<String>().contains(said), "{words:?}: {text}");
        assert_eq!(fake.asked(), "", "{words:?}");
    }
}

#[test]
fn help_and_version_are_to_be_had_in_every_form() {
    let fake = Fake::new("");
    for words in [
        &["--help"][..],
        &["-h"],
        &["restore", "--help"],
        &["receive", "-h"],
        &["--safe", "-h"],
    ] {
        let output = fake.run(words);
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        assert!(text.contains("Usage: zfs-replicate"), "{words:?}");
    }
    assert_eq!(fake.run(&["--version"]).status.code(), Some(0));
}

#[test]
fn programs_are_found_with_the_path_that_cron_gives() {
    let fake = Fake::new("");
    let folder = fake.0.path().to_str().unwrap();
    // grep(1) and cat(1), which what stands in for zfs(8) runs, are not there.
    let mut run = command(folder);
    let output = run.args(["--no-sync-snap", FAR, OFF]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(fake.asked().contains("receive -s -F vault/a\n"));
}
