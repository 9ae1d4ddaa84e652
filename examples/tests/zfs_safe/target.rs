//! What the target has and the source does not: refused or kept, and taken
//! back or retired only on request.

use super::{Site, replicate, snapshots};
use crate::fixture::{self, get, noise, run};
use crate::sshd::Sshd;

#[test]
fn a_diverged_target_is_refused_and_rolled_back_only_on_request() {
    let site = Site::new();
    site.safe(&[]).well();
    site.b.take("dst@own");
    site.take("two");
    let was = snapshots(&site.target());
    let refused = site.safe(&[]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("own"), "{refused:#?}");
    assert_eq!(snapshots(&site.target()), was);
    // The other dataset went on.
    assert_eq!(snapshots(&site.b.dataset("dst/child")), ["one", "two"]);
    let plan = site.safe(&["--rollback", "--dry-run"]).well().stdout;
    assert!(plan.contains("own"), "{plan}");
    assert_eq!(snapshots(&site.target()), was);
    let told = site.safe(&["--rollback"]).well().stdout;
    assert_eq!(snapshots(&site.target()), ["one", "two"]);
    // What goes is said before it goes.
    let lost = told.find("destroying").unwrap();
    assert!(lost < told.find("rollback of").unwrap(), "{told}");
}

#[test]
fn a_target_that_was_only_written_to_is_taken_back_on_request() {
    let site = Site::new();
    site.safe(&[]).well();
    let target = site.target();
    site.a.write(&site.source(), "new", &noise(2, 300_000));
    site.take("two");
    // It goes on after that.
    let two = site.a.snapshot("src@two");
    let cut = format!("zfs send -i @one {two} | head -c 200000 | zfs receive -s -u {target}");
    assert!(!fixture::attempt(&["sh", "-c", &cut]).status.success());
    run(&["zfs", "set", "readonly=off", target.as_str()]);
    site.b.write(&target, "own", &noise(3, 100_000));
    let refused = site.safe(&["--retries=0"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("--rollback"), "{refused:#?}");
    let plan = site.safe(&["--rollback", "--dry-run"]).well().stdout;
    assert!(plan.contains("were written to it since"), "{plan}");
    site.safe(&["--rollback"]).well();
    assert_eq!(snapshots(&target), ["one", "two"]);
    let sshd = Sshd::start();
    let ssh = sshd.options_of_syncoid();
    let ssh: Vec<&str> = ssh.iter().map(String::as_str).collect();
    site.b.write(&target, "own", &noise(4, 100_000));
    site.take("three");
    let (from, to) = (site.source(), format!("root@127.0.0.1:{target}"));
    let push = |options: &[&str]| {
        let head = ["--safe", "-r", "--identifier=vault"];
        replicate(&[&head[..], &ssh, options, &[from.as_str(), &to]].concat())
    };
    let refused = push(&["--retries=0"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("--rollback"), "{refused:#?}");
    push(&["--rollback"]).well();
    assert_eq!(snapshots(&target), ["one", "two", "three"]);
}

#[test]
fn what_we_hold_ourselves_is_in_the_way_of_no_rollback_and_no_retirement() {
    let site = Site::new();
    site.take("two");
    site.safe(&["--use-hold"]).well();
    // The source goes back.
    for name in ["src", "src/child"] {
        let two = site.a.snapshot(&format!("{name}@two"));
        run(&["zfs", "release", "replica-vault", two.as_str()]);
        let one = site.a.snapshot(&format!("{name}@one"));
        run(&["zfs", "rollback", "-r", one.as_str()]);
    }
    site.take("three");
    site.safe(&["--use-hold", "--rollback"]).well();
    let target = site.target();
    assert_eq!(snapshots(&target), ["one", "three"]);
    // And loses what is below its child, of which one of two is held.
    let (deep, deep_copy) = (site.a.filesystem("src/child/deep"), "dst/child/deep");
    let deep_copy = site.b.dataset(deep_copy);
    for name in ["a", "b"] {
        site.a.take(&format!("src/child/deep@{name}"));
    }
    site.safe(&["--use-hold"]).well();
    assert_eq!(snapshots(&deep_copy), ["a", "b"]);
    let held = site.a.snapshot("src/child/deep@b");
    run(&["zfs", "release", "replica-vault", held.as_str()]);
    run(&["zfs", "destroy", "-r", deep.as_str()]);
    site.safe(&["--use-hold", "--retire"]).well();
    let gone = fixture::attempt(&["zfs", "list", deep_copy.as_str()]);
    assert!(!gone.status.success());
    // And its child.
    let (child, copy) = (site.a.dataset("src/child"), site.b.dataset("dst/child"));
    let three = site.a.snapshot("src/child@three");
    run(&["zfs", "release", "replica-vault", three.as_str()]);
    run(&["zfs", "destroy", "-r", child.as_str()]);
    let sshd = Sshd::start();
    let ssh = sshd.options_of_syncoid();
    let ssh: Vec<&str> = ssh.iter().map(String::as_str).collect();
    let (from, to) = (site.source(), format!("root@127.0.0.1:{target}"));
    let head = ["--safe", "-r", "--identifier=vault", "--use-hold"];
    // What somebody else holds stays.
    let theirs = site.b.snapshot("dst/child@one");
    run(&["zfs", "hold", "mine", theirs.as_str()]);
    let retire = ["--retire", "--retries=0", from.as_str(), &to];
    let held = replicate(&[&head[..], &ssh, &retire].concat());
    assert_eq!(held.code, Some(1), "{held:#?}");
    assert_eq!(snapshots(&copy), ["one", "three"]);
    run(&["zfs", "release", "mine", theirs.as_str()]);
    replicate(&[&head[..], &ssh, &retire].concat()).well();
    assert!(
        !fixture::attempt(&["zfs", "list", copy.as_str()])
            .status
            .success()
    );
}

#[test]
fn what_the_source_no_longer_has_is_kept_until_it_is_to_be_retired() {
    let site = Site::new();
    site.safe(&[]).well();
    let child = site.a.dataset("src/child");
    run(&["zfs", "destroy", "-r", child.as_str()]);
    let kept = site.safe(&[]).well();
    assert!(kept.stdout.contains("dst/child"), "{kept:#?}");
    let copy = site.b.dataset("dst/child");
    assert_eq!(snapshots(&copy), ["one"]);
    let top = get(site.source(), "guid");
    assert_eq!(get(&copy, "zfs-replicate:target"), format!("vault {top}"));
    // The target's own, below what inherits the property to it.
    let (own, scratch) = (
        site.b.dataset("dst/own"),
        site.b.dataset("dst/child/scratch"),
    );
    for dataset in [&own, &scratch] {
        run(&["zfs", "create", "-u", dataset.as_str()]);
    }
    site.b.take("dst/own@daily");
    let plan = site.safe(&["--retire", "--dry-run", "--json"]);
    assert!(!plan.steps().contains(&"destroy".to_owned()), "{plan:#?}");
    run(&["zfs", "destroy", scratch.as_str()]);
    let plan = site.safe(&["--retire", "--dry-run", "--json"]).well();
    let plan = plan.events();
    let gone = plan.iter().find(|step| step["step"] == "destroy").unwrap();
    assert_eq!(
        gone["destroys"],
        serde_json::json!([copy.as_str(), format!("{copy}@one")])
    );
    assert_eq!(snapshots(&copy), ["one"]);
    let told = site.safe(&["--retire"]).well();
    assert!(
        told.stdout.contains("dst/own: the source has no such"),
        "{told:#?}"
    );
    assert_eq!(snapshots(&own), ["daily"]);
    assert!(
        !fixture::attempt(&["zfs", "list", copy.as_str()])
            .status
            .success()
    );
    assert_eq!(snapshots(&site.target()), ["one"]);
}
