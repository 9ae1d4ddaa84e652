//! Options: properties, holds, and which snapshots are sent.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use zfs_stream::nvlist::ByteOrder;
use zfs_stream::record::{Record, SliceReader, Writer};

use super::{Site, bookmarks, replicate, snapshots};
use crate::fixture::{self, Pool, get, run};

#[test]
fn properties_are_preserved_set_and_left_out_as_asked() {
    let site = Site::new();
    let (source, child) = (site.source(), site.a.dataset("src/child"));
    let note = "org.example:note=it's 5 % of \"two words\"";
    for property in [note, "compression=zle", "atime=off", "reservation=1M"] {
        run(&["zfs", "set", property, source.as_str()]);
    }
    run(&["zfs", "set", "recordsize=16K", child.as_str()]);
    let options = [
        "--preserve-properties",
        "--exclude-properties=^atime$",
        "--recvoptions=o compression=gzip",
    ];
    site.safe(&options).well();
    let (target, copy) = (site.target(), site.b.dataset("dst/child"));
    assert_eq!(
        get(&target, "org.example:note"),
        "it's 5 % of \"two words\""
    );
    assert_eq!(get(&target, "compression"), "gzip");
    assert_eq!(fixture::source(&copy, "compression"), "local");
    assert_eq!(get(&target, "atime"), "on");
    assert_eq!(get(&target, "reservation"), "0");
    assert_eq!(get(&copy, "recordsize"), "16384");
    assert_eq!(
        fixture::source(&target, "mountpoint"),
        "inherited from ".to_owned() + site.b.name().as_str()
    );
    // By name also what is dangerous; and without a word nothing.
    let asked = site.b.dataset("asked");
    let arguments = ["--safe", "--include-properties=reservation|atime"];
    replicate(&[&arguments[..], &[source.as_str(), asked.as_str()]].concat()).well();
    assert_eq!(get(&asked, "reservation"), "1048576");
    assert_eq!(fixture::source(&asked, "compression"), "default");
    let plain = site.b.dataset("plain");
    replicate(&["--safe", source.as_str(), plain.as_str()]).well();
    assert_eq!(fixture::source(&plain, "atime"), "default");
}

#[test]
fn one_hold_follows_the_newest_common_snapshot_on_both_sides() {
    let site = Site::new();
    let held = |pool: &Pool, dataset: &str| -> Vec<String> {
        let names = snapshots(&pool.dataset(dataset));
        let names = names.into_iter().filter(|name| {
            let snapshot = pool.snapshot(&format!("{dataset}@{name}"));
            let holds = run(&["zfs", "holds", "-H", snapshot.as_str()]);
            holds.contains("\treplica-vault\t")
        });
        names.collect()
    };
    site.safe(&["--use-hold"]).well();
    site.take("two");
    // As a run leaves it that was killed between its two holds.
    let two = site.a.snapshot("src@two");
    run(&["zfs", "hold", "replica-vault", two.as_str()]);
    site.take("three");
    site.safe(&["--use-hold"]).well();
    for name in ["", "/child"] {
        assert_eq!(held(&site.a, &format!("src{name}")), ["three"]);
        assert_eq!(held(&site.b, &format!("dst{name}")), ["three"]);
    }
    // Whoever took one away: it comes back, although nothing is to be sent.
    let (here, there) = (
        site.a.snapshot("src@three"),
        site.b.snapshot("dst/child@three"),
    );
    for lost in [&here, &there] {
        run(&["zfs", "release", "replica-vault", lost.as_str()]);
    }
    let was = site.everything();
    let dry = site.safe(&["--use-hold", "--dry-run", "--json"]).well();
    assert_eq!(dry.steps(), ["hold", "nothing", "hold", "nothing"]);
    let healed = site.safe(&["--use-hold"]).well();
    let line = format!("hold {}@three and {here} with", site.target());
    assert!(healed.stdout.contains(&line), "{healed:#?}");
    for name in ["", "/child"] {
        assert_eq!(held(&site.a, &format!("src{name}")), ["three"]);
        assert_eq!(held(&site.b, &format!("dst{name}")), ["three"]);
    }
    let again = site.safe(&["--use-hold"]).well();
    assert_eq!(again.stdout, "nothing to do\n");
    assert_eq!(site.everything(), was);
}

#[test]
fn a_source_that_cannot_be_written_to_is_replicated_without_a_marker() {
    let site = Site::new();
    site.a.import_again(&["-o", "readonly=on"]);
    site.safe(&["--no-marker"]).well();
    let target = site.b.dataset("dst/child");
    assert_eq!(snapshots(&target), ["one"]);
    assert_eq!(site.safe(&["--no-marker"]).well().stdout, "nothing to do\n");
    // Without the word everything arrives as well, and the run says what it
    // could not do.
    run(&["zfs", "destroy", "-r", site.target().as_str()]);
    let marked = site.safe(&[]);
    assert_eq!(marked.code, Some(1), "{marked:#?}");
    assert_eq!(snapshots(&target), ["one"]);
    site.a.import_again(&[]);
    site.take("two");
    site.safe(&["--no-marker"]).well();
    assert_eq!(snapshots(&target), ["one", "two"]);
    assert!(bookmarks(&site.source()).is_empty());
}

#[test]
fn filesystems_or_volumes_are_chosen_by_their_type() {
    let site = Site::new();
    let volume = site.a.dataset("src/child/disk");
    run(&["zfs", "create", "-sV", "1M", volume.as_str()]);
    site.take("two");
    let there = || {
        let list = ["zfs", "list", "-Hr", "-o", "name", "-t", "snapshot"];
        run(&[&list[..], &[site.b.name().as_str()]].concat())
    };
    site.safe(&["--type=volume"]).well();
    let disk = site.b.snapshot("dst/child/disk@two");
    assert_eq!(there(), format!("{disk}\n"));
    let other = site.b.dataset("other");
    let arguments = ["--safe", "-r", "--type=filesystem"];
    let (source, target) = (site.source(), other.as_str());
    replicate(&[&arguments[..], &[source.as_str(), target]].concat()).well();
    assert_eq!(snapshots(&site.b.dataset("other/child")), ["one", "two"]);
    assert!(!there().contains("other/child/disk"));
}

/// A dataset with snapshots that are as old as that: a received snapshot says
/// when its original was made, and that stands where its stream begins.
fn aged(site: &Site, names: &[(&str, u64)]) {
    let young = site.a.filesystem("young");
    let old = site.a.dataset("src/old");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut base: Option<String> = None;
    for (name, hours) in names {
        let snapshot = site.a.take(&format!("young@{name}")).to_string();
        let mut send = vec!["send"];
        send.extend(base.iter().flat_map(|base| ["-i", base]));
        send.push(&snapshot);
        let sent = Command::new("zfs").args(&send).output().unwrap();
        assert!(sent.status.success());
        let mut writer = Writer::new(Vec::new(), ByteOrder::Little);
        for record in SliceReader::new(&sent.stdout) {
            let record = record.unwrap();
            match record.parse() {
                Record::Begin(mut begin) => {
                    begin.creation_time = now.as_secs() - hours * 3600;
                    writer.write(&Record::Begin(begin), record.payload).unwrap();
                }
                _ => writer.rewrite(&record).unwrap(),
            }
        }
        let mut receive = Command::new("zfs")
            .args(["receive", "-u", old.as_str()])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = receive.stdin.take().unwrap();
        stdin.write_all(&writer.into_inner()).unwrap();
        drop(stdin);
        assert!(receive.wait().unwrap().success());
        base = Some(snapshot);
    }
    run(&["zfs", "destroy", "-r", young.as_str()]);
}

#[test]
fn snapshots_are_chosen_by_age_and_by_what_the_target_keeps() {
    let site = Site::new();
    let times = [
        ("h90", 90),
        ("h50", 50),
        ("h30", 30),
        ("h28", 28),
        ("h2", 2),
    ];
    aged(&site, &times);
    let source = site.a.dataset("src/old");
    let chosen = |options: &[&str], name: &str| {
        let to = site.b.dataset(name);
        let ends = [source.as_str(), to.as_str()];
        replicate(&[&["--safe"], options, &ends].concat()).well();
        snapshots(&to)
    };
    assert_eq!(chosen(&["--newer-than=40h"], "a"), ["h30", "h28", "h2"]);
    assert_eq!(chosen(&["--older-than=2d"], "b"), ["h90", "h50"]);
    assert_eq!(chosen(&["--target-retention=last=2"], "c"), ["h28", "h2"]);
    // The base stands, and what comes later goes onto it.
    run(&["zfs", "destroy", &format!("{source}@h28")]);
    run(&["zfs", "snapshot", &format!("{source}@now")]);
    assert_eq!(
        chosen(&["--target-retention=last=1"], "c"),
        ["h28", "h2", "now"]
    );
    let again = ["--safe", "--target-retention=last=1", source.as_str()];
    let to = site.b.dataset("c");
    let ran = replicate(&[&again[..], &[to.as_str()]].concat()).well();
    assert_eq!(ran.stdout, "nothing to do\n");
    let wrong = replicate(&["--safe", "--newer-than=soon", source.as_str(), to.as_str()]);
    assert_eq!(wrong.code, Some(64), "{wrong:#?}");
}
