//! The bars, on a terminal.

use std::process::{Command, Stdio};

use super::Site;
use crate::fixture::noise;

/// What bars are made of.
const BAR: [char; 2] = ['█', '░'];

/// What a terminal of 200 columns shows after each piece of what is written.
fn screens(bytes: &[u8]) -> Vec<String> {
    let mut terminal = vt100::Parser::new(40, 200, 0);
    let pieces = bytes.split_inclusive(|byte| *byte == b'\n' || *byte == b'\r');
    pieces
        .map(|piece| {
            terminal.process(piece);
            terminal.screen().contents()
        })
        .collect()
}

/// How far bars of a dataset are, as they were seen one after the other.
fn positions(screens: &[String], about: &str) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    for screen in screens {
        let lines = screen.lines().filter(|line| line.starts_with(about));
        let at = lines.filter_map(|line| line.split_once("B/")?.0.rsplit(BAR).next());
        for at in at {
            if seen.last().is_none_or(|last| last != at) {
                seen.push(at.to_owned());
            }
        }
    }
    seen
}

#[test]
fn bars_appear_move_and_leave_the_terminal_as_it_was() {
    let site = Site::new();
    let child = site.a.dataset("src/child");
    site.a.write(&child, "c", &noise(9, 1_500_000));
    site.take("two");
    let on_a_terminal = |words: &[&str]| {
        let folder = std::env::var("ZFS_TEST_BIN_DIR").unwrap();
        let line = format!(
            "stty rows 40 cols 200; {folder}/zfs-replicate {}",
            words.join(" ")
        );
        let output = Command::new("script")
            .args(["-qec", &line, "/dev/null"])
            .env("SHELL", "/bin/sh")
            .env("TERM", "xterm")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    // Some 2 MB: five seconds.
    let written = site.with_safe(&["--bwlimit=400k"], on_a_terminal);
    let screens = screens(&written);
    let target = site.target();
    let own = positions(&screens, &format!("{target}/child "));
    assert!(own.len() > 3, "{own:?} {screens:#?}");
    let all = positions(&screens, "");
    assert!(all.len() > own.len(), "{all:?}");
    let count = "2 of 4 streams ";
    assert!(screens.iter().any(|s| s.contains(count)), "{screens:#?}");
    let last: Vec<&str> = screens.last().unwrap().lines().map(str::trim_end).collect();
    let text: Vec<&str> = last.into_iter().filter(|line| !line.is_empty()).collect();
    let joined = text.join("");
    assert!(!joined.contains(BAR), "{text:#?}");
    assert!(text.last().unwrap().starts_with("4 streams, "), "{text:#?}");
    // What was told stands above, each line once.
    let full = format!("full {}@one to {target}: the target", site.source());
    assert_eq!(joined.matches(&full).count(), 1, "{text:#?}");
    // Without a terminal there are none.
    site.take("three");
    let plain = site.safe(&[]).well();
    assert_eq!(plain.stderr, "");
}
