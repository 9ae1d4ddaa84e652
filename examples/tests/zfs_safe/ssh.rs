//! Another host, over SSH.

use zfs_core::DatasetName;

use super::{Site, bookmarks, guid, replicate, snapshots};
use crate::fixture::{get, noise, run};
use crate::sshd::Sshd;

#[test]
fn push_and_restore_go_over_ssh() {
    let site = Site::new();
    let sshd = Sshd::start();
    let ssh = sshd.options_of_syncoid();
    let ssh: Vec<&str> = ssh.iter().map(String::as_str).collect();
    let far = |dataset: &DatasetName| format!("root@127.0.0.1:{dataset}");
    let push = |options: &[&str]| {
        let (from, to) = (site.source(), far(&site.target()));
        let head = ["--safe", "-r"];
        replicate(&[&head[..], &ssh, options, &[from.as_str(), &to]].concat())
    };
    push(&[]).well();
    site.take("two");
    run(&[
        "zfs",
        "set",
        "org.example:note=it's 5 %",
        site.source().as_str(),
    ]);
    let options = [
        "--compress=zstd-fast",
        "--use-hold",
        "--preserve-properties",
        "--mbuffer-size=2m",
    ];
    push(&options).well();
    assert_eq!(get(site.target(), "org.example:note"), "it's 5 %");
    let two = site.b.snapshot("dst/child@two");
    assert!(run(&["zfs", "holds", "-H", two.as_str()]).contains("replica-"));
    assert_eq!(push(&[]).well().stdout, "nothing to do\n");
    // However its host is reached, it is the same target, with one marker.
    let (source, target) = (site.source(), site.target());
    let local = replicate(&["--safe", "-r", source.as_str(), target.as_str()]).well();
    assert_eq!(local.stdout, "nothing to do\n");
    assert_eq!(bookmarks(&source).len(), 1);
    assert_eq!(snapshots(&site.b.dataset("dst/child")), ["one", "two"]);
    let back = site.a.dataset("back");
    let (from, to) = (far(&site.target()), back.as_str());
    replicate(
        &[
            &["restore"],
            &ssh[..],
            &["--compress=lz4", "--no-verify", &from, to],
        ]
        .concat(),
    )
    .well();
    assert_eq!(site.a.read(&back, "a"), noise(1, 300_000));
    // What was promoted before the target had it is made there, not mounted.
    let (two, new) = (site.a.snapshot("src/child@two"), site.a.dataset("src/new"));
    run(&["zfs", "clone", two.as_str(), new.as_str()]);
    run(&["zfs", "promote", new.as_str()]);
    push(&[]).well();
    let copy = site.b.dataset("dst/new");
    assert_eq!(snapshots(&copy), ["one", "two"]);
    assert_eq!(get(&copy, "mounted"), "no");
    assert_eq!(get(&copy, "readonly"), "on");
}

#[test]
fn a_push_goes_through_the_forced_command_of_the_guides() {
    let site = Site::new();
    let target = site.target();
    let sshd = Sshd::with(&format!("command=\"zfs receive -F {target}\""));
    let ssh = sshd.options_of_syncoid();
    let ssh: Vec<&str> = ssh.iter().map(String::as_str).collect();
    let source = site.source();
    let far = format!("root@127.0.0.1:{target}");
    let push = || {
        let head = [
            "--safe",
            "--forced-command",
            "--identifier=far",
            "--retries=0",
        ];
        replicate(&[&head[..], &ssh, &[source.as_str(), &far]].concat())
    };
    push().well();
    assert_eq!(snapshots(&target), ["one"]);
    site.take("two");
    site.take("three");
    push().well();
    assert_eq!(snapshots(&target), ["one", "two", "three"]);
    assert_eq!(
        bookmarks(&source),
        [format!("replica-far-{:016x}", guid(&site.a, "src@three"))]
    );
    assert_eq!(push().well().stdout, "nothing to do\n");
    // What it no longer has is told in words that say what to do.
    run(&["zfs", "destroy", &format!("{target}@three")]);
    site.take("four");
    let ran = push();
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    assert!(ran.stderr.contains("marker"), "{ran:#?}");
    assert_eq!(snapshots(&target), ["one", "two"]);
    // It cannot be asked, so some words do not go with it.
    let ran = replicate(&["--safe", "-r", "--forced-command", source.as_str(), &far]);
    assert_eq!(ran.code, Some(64), "{ran:#?}");
}
