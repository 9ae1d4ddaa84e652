//! `zfs-replicate restore`.

use zfs_core::DatasetName;

use super::{Site, bookmarks, guid, replicate, snapshots};
use crate::fixture::{self, get, noise, run};

#[test]
fn what_is_restored_is_the_newest_or_a_named_snapshot_or_a_tree() {
    let site = Site::new();
    let content = noise(9, 50_000);
    site.a.write(&site.source(), "a", &content);
    site.take("two");
    site.safe(&[]).well();
    let backup = site.target();
    let restore = |options: &[&str], to: &DatasetName| {
        let (from, to) = (backup.as_str(), to.as_str());
        replicate(&[&["restore"], options, &[from, to]].concat())
    };

    let newest = site.a.dataset("newest");
    restore(&[], &newest).well();
    assert_eq!(snapshots(&newest), ["two"]);
    assert_eq!(get(&newest, "readonly"), "off");
    assert_eq!(site.a.read(&newest, "a"), content);
    assert_eq!(
        guid(&site.a, "newest@two"),
        guid(&site.a, "src@two"),
        "it is the same snapshot"
    );

    let named = site.a.dataset("named");
    restore(&["--snapshot=one"], &named).well();
    assert_eq!(snapshots(&named), ["one"]);
    assert_eq!(site.a.read(&named, "a"), noise(1, 300_000));

    let tree = site.a.dataset("tree");
    restore(&["-r"], &tree).well();
    assert_eq!(snapshots(&tree), ["two"]);
    assert_eq!(site.a.read(&site.a.dataset("tree/child"), "b"), b"child");
    // Nobody's base: no marker on the backup.
    assert!(bookmarks(&backup).is_empty());

    // What is there already is complete, and what is something else is not
    // touched.
    let other = site.a.filesystem("other");
    let was = site.everything();
    assert_eq!(restore(&[], &newest).well().stdout, "nothing to do\n");
    let other = restore(&[], &other);
    assert_eq!(other.code, Some(1));
    assert!(other.stderr.contains("exists"), "{other:#?}");
    let itself = restore(&[], &site.b.dataset("dst/child"));
    assert_eq!(itself.code, Some(1));
    assert!(itself.stderr.contains("lies in it"), "{itself:#?}");
    // Nor is one that only goes further: the backup may have been made of it.
    let further = restore(&[], &named);
    assert_eq!(further.code, Some(1));
    assert!(further.stderr.contains("--safe"), "{further:#?}");
    let missing = restore(&["--snapshot=never"], &site.a.dataset("never"));
    assert_eq!(missing.code, Some(1), "{missing:#?}");
    assert_eq!(site.everything(), was);
}

#[test]
fn a_restore_that_was_cut_off_is_completed_by_the_same_command() {
    let site = Site::new();
    let (backup, back) = (site.source(), site.b.dataset("back"));
    let cut = format!("zfs send {backup}@one | head -c 150000 | zfs receive -s -u {back}");
    let output = fixture::attempt(&["sh", "-c", &cut]);
    assert!(!output.status.success());
    assert_ne!(get(&back, "receive_resume_token"), "-");
    // What comes to the backup meanwhile does not matter.
    site.take("two");
    let restore = || replicate(&["restore", "-r", "--json", backup.as_str(), back.as_str()]);
    assert_eq!(restore().well().steps(), ["resume", "full"]);
    assert_eq!(snapshots(&back), ["one"]);
    // Nor does it matter where in the tree it was cut off.
    run(&["zfs", "destroy", "-r", &format!("{back}/child")]);
    assert_eq!(restore().well().steps(), ["nothing", "full"]);
    assert_eq!(site.b.read(&site.b.dataset("back/child"), "b"), b"child");
    // It is whole now, and not what would be restored by now.
    let whole = restore();
    assert_eq!(whole.code, Some(1));
    assert!(whole.stderr.contains("--safe"), "{whole:#?}");
}
