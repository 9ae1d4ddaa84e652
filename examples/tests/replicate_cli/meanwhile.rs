//! What happens while a transfer goes on.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{FAR, Fake, OFF, command, stderr};

/// A source whose snapshot `two` is listed and cannot be sent, and a receiver
/// that complains about a stream that does not come.
const GONE: &str = "\
*far*' send '*two*) fail \"cannot open 'tank/a@two': dataset does not exist\" 1 ;;
*' receive '*) [ -n \"$(cat)\" ] || fail 'cannot receive: failed to read from stream' 1 ;;";

#[test]
fn a_snapshot_that_was_pruned_meanwhile_is_done_without() {
    for (listing, code, lists) in [
        ("SOURCE | sed s/two/three/", 0, 2),
        // Still listed: it is looked at once more, and not for ever.
        ("SOURCE", 2, 2),
    ] {
        let fake = Fake::new(&format!(
            "*far*' list '*) if [ $N = 1 ]; then SOURCE; else {listing}; fi ;;\n{GONE}"
        ));
        let output = fake.run(&["--no-sync-snap", FAR, OFF]);
        let (text, asked) = (stderr(&output), fake.asked());
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains("has lost a snapshot"), "{text}");
        let sent = asked.contains("send -I tank/a@one tank/a@three\n");
        assert_eq!(sent, code == 0, "{asked}");
        let listed = asked
            .lines()
            .filter(|line| line.contains("far list ") && !line.contains("snapshot,bookmark "));
        assert_eq!(listed.count(), lists, "{asked}");
    }
}

#[test]
fn a_signal_ends_what_sends_and_receives() {
    let fake = Fake::new(
        "*' send -nvP '*) ;;
         *' send '*) echo $$ > \"$(dirname \"$0\")/sender\"; exec sleep 600 ;;",
    );
    let sender = fake.0.path().join("sender");
    let mut running = command(&fake.path())
        .args(["--no-sync-snap", "--no-privilege-elevation"])
        // Elsewhere: here, other tests receive as well.
        .args(["tank/a", OFF])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    let pid = loop {
        let pid = fs::read_to_string(&sender).unwrap_or_default();
        if pid.ends_with('\n') {
            break pid;
        }
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "nothing is sent"
        );
        assert!(running.try_wait().unwrap().is_none(), "it has ended");
        thread::sleep(Duration::from_millis(20));
    };
    let kill = Command::new("kill").arg(running.id().to_string()).status();
    assert!(kill.unwrap().success());
    let output = running.wait_with_output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("stopped on request"), "{text}");
    assert!(!Path::new("/proc").join(pid.trim()).exists());
    assert!(started.elapsed() < Duration::from_secs(300));
}
