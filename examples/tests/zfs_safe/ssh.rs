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

/// As deep as ZFS nests (50 names), as long as it allows (255 bytes), and with
/// what a shell would take apart. A `%` no name of a dataset or snapshot has:
/// ZFS keeps it for itself.
#[test]
fn the_deepest_and_longest_names_go_over_ssh_and_come_back() {
    let site = Site::new();
    let top = site.source().as_str().split('/').count();
    let mut name = site.source().to_string();
    for level in top..49 {
        name.push_str(if level % 2 == 0 { "/a  b" } else { "/c" });
        run(&["zfs", "create", "-u", &name]);
    }
    let leaf = "x".repeat(255 - name.len() - "/@ 1".len());
    name = format!("{name}/{leaf}");
    let odd = "it's 100 % \"of\" $HOME `and` \\more";
    let note = format!("org.example:note={odd}");
    run(&["zfs", "create", "-u", "-o", &note, &name]);
    assert_eq!(name.split('/').count(), 50);
    site.take(" 1");
    assert_eq!(name.len() + "@ 1".len(), 255);
    let path = name.strip_prefix(site.source().as_str()).unwrap();

    let sshd = Sshd::start();
    let ssh = sshd.options_of_syncoid();
    let ssh: Vec<&str> = ssh.iter().map(String::as_str).collect();
    let far = |dataset: &str| format!("root@127.0.0.1:{dataset}");
    let push = |target: &DatasetName| {
        let (from, to) = (site.source(), far(target.as_str()));
        let head = ["--safe", "-r", "--preserve-properties"];
        replicate(&[&head[..], &ssh, &[from.as_str(), &to]].concat())
    };
    let target = site.target();
    push(&target).well();
    let copy = format!("{target}{path}");
    assert_eq!(get(&copy, "org.example:note"), odd);
    let guid = get(format!("{name}@ 1"), "guid");
    assert_eq!(get(format!("{copy}@ 1"), "guid"), guid);
    let was = site.everything();
    let again = push(&target).well();
    assert!(again.stdout.ends_with("\nnothing to do\n"), "{again:#?}");
    assert!(again.stdout.contains("too long for a marker"), "{again:#?}");
    assert_eq!(site.everything(), was);
    let back = site.a.dataset("back");
    let (from, to) = (far(&copy), back.as_str());
    replicate(&[&["restore"], &ssh[..], &[&from, to]].concat()).well();
    assert_eq!(get(format!("{back}@ 1"), "guid"), guid);
}
