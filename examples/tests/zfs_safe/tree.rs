//! A tree, from the plan to where nothing is left to do.

use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use super::{Site, bookmarks, command, guid, snapshots};
use crate::fixture::get;

#[test]
fn a_tree_is_replicated_marked_and_read_only_and_then_there_is_nothing_to_do() {
    let site = Site::new();
    let first = site.safe(&["--json"]).well();
    assert_eq!(first.steps(), ["full", "full"]);
    let last = first.events().pop().unwrap();
    assert_eq!(
        (&last["event"], &last["streams"]),
        (&"done".into(), &2.into())
    );
    site.take("two");
    site.take("three");
    let second = site.safe(&["--json"]).well();
    assert_eq!(second.steps(), ["incremental", "incremental"]);
    for name in ["", "/child"] {
        let (source, target) = (
            site.a.dataset(&format!("src{name}")),
            site.b.dataset(&format!("dst{name}")),
        );
        assert_eq!(snapshots(&target), ["one", "two", "three"]);
        assert_eq!(get(&target, "readonly"), "on");
        assert_eq!(get(&target, "mounted"), "no");
        // No sync snapshot, and one marker.
        assert_eq!(snapshots(&source), ["one", "two", "three"]);
        let newest = guid(&site.a, &format!("src{name}@three"));
        assert_eq!(bookmarks(&source), [format!("replica-vault-{newest:016x}")]);
    }
    let was = site.everything();
    let third = site.safe(&[]).well();
    assert_eq!(third.stdout, "nothing to do\n");
    assert_eq!(site.everything(), was);
}

#[test]
fn a_dry_run_tells_the_plan_and_changes_nothing() {
    let site = Site::new();
    let was = site.everything();
    let text = site.safe(&["--dry-run"]).well().stdout;
    let line = format!("send {}@one to {} in full", site.source(), site.target());
    assert!(text.contains(&line), "{text}");
    let json = site.safe(&["--dry-run", "--json"]).well();
    assert_eq!(json.steps(), ["full", "full"]);
    let first = json.events().remove(0);
    assert_eq!(first["target"], site.target().as_str());
    assert_eq!(first["to"], format!("{}@one", site.source()));
    assert!(!first["why"].as_str().unwrap().is_empty());
    assert_eq!(site.everything(), was);
}

#[test]
fn a_second_run_leaves_the_target_to_the_first_until_that_has_ended_however() {
    let site = Site::new();
    // Some 300 kB: ten minutes.
    let slow = |words: &[&str]| command(words).stderr(Stdio::null()).spawn().unwrap();
    let mut first = site.with_safe(&["--bwlimit=500"], slow);
    let lock = PathBuf::from("/run/zfs-replicate/@").join(site.target().as_str());
    let held = format!("{}\n", first.id());
    let until = Instant::now() + Duration::from_secs(60);
    while std::fs::read_to_string(lock.join("@lock")).ok().as_ref() != Some(&held) {
        assert!(Instant::now() < until, "the first took no lock");
        assert_eq!(first.try_wait().unwrap(), None);
        thread::sleep(Duration::from_millis(50));
    }
    let second = site.safe(&[]);
    assert_eq!(second.code, Some(1), "{second:#?}");
    let who = format!("(process {}, for ", first.id());
    assert!(second.stderr.contains(&who), "{second:#?}");
    // What changes nothing may look.
    site.safe(&["--dry-run"]).well();
    first.kill().unwrap();
    first.wait().unwrap();
    site.safe(&[]).well();
    assert_eq!(snapshots(&site.b.dataset("dst/child")), ["one"]);
}
