//! Cases by name: what is encrypted, on the source or on the target.

use zfs_core::Guid;

use super::{dataset, encrypted, only_refusal, planned, source, target};
use crate::plan::{Action, Encrypted, Options, Refusal, plan};
use crate::tree::{Bookmark, Key};

#[test]
fn encrypted_data_goes_raw_and_plaintext_needs_the_word_and_the_key() {
    for (key, encrypted_option, expected) in [
        (Key::Loaded, Encrypted::Raw, Ok(true)),
        (Key::Unavailable, Encrypted::Raw, Ok(true)),
        (Key::Loaded, Encrypted::Plaintext, Ok(false)),
        (
            Key::Unavailable,
            Encrypted::Plaintext,
            Err("source-key-unavailable"),
        ),
    ] {
        let source = source(vec![encrypted(dataset("tank/a", &[("1", 1)]), key)]);
        let options = Options::new().encrypted(encrypted_option);
        let plan = plan(&source, &target(Vec::new()), &options).unwrap();
        let got = match &plan.steps[0].action {
            Action::Send(range) => Ok(range.form.raw),
            _ => Err(plan.steps[0].why.word()),
        };
        assert_eq!(got, expected);
    }
}

#[test]
fn raw_streams_do_not_go_onto_what_was_received_in_plain() {
    let plan = planned(
        vec![encrypted(
            dataset("tank/a", &[("1", 1), ("2", 2)]),
            Key::Loaded,
        )],
        vec![dataset("vault/a", &[("1", 1)])],
    );
    assert_eq!(only_refusal(&plan), Refusal::RawOntoPlain);
}

#[test]
fn raw_increments_do_not_go_onto_what_the_target_encrypted_itself() {
    let on = |name: &str, ivset: Option<u64>, snapshots: &[(&str, u64)]| {
        let mut dataset = encrypted(dataset(name, snapshots), Key::Loaded);
        for snapshot in &mut dataset.snapshots {
            snapshot.ivset = ivset.map(Guid);
        }
        dataset
    };
    let source = || on("tank/a", Some(7), &[("1", 1), ("2", 2)]);
    let plan_onto = |ivset| planned(vec![source()], vec![on("vault/a", ivset, &[("1", 1)])]);
    assert_eq!(
        only_refusal(&plan_onto(Some(8))),
        Refusal::OtherIvSet {
            newest: "vault/a@1".parse().unwrap()
        }
    );
    for fits in [Some(7), None] {
        assert!(matches!(plan_onto(fits).steps[0].action, Action::Send(_)));
    }
    // The same where the base is a bookmark.
    let mut pruned = source();
    let gone = pruned.snapshots.remove(0);
    pruned.bookmarks.push(Bookmark {
        name: "tank/a#1".parse().unwrap(),
        guid: gone.guid,
        createtxg: gone.createtxg,
        ivset: gone.ivset,
    });
    let onto_bookmark = planned(vec![pruned], vec![on("vault/a", Some(8), &[("1", 1)])]);
    assert_eq!(only_refusal(&onto_bookmark).word(), "other-iv-set");
    // In plain it is the target that encrypts, with its own.
    let there = target(vec![on("vault/a", Some(8), &[("1", 1)])]);
    let options = Options::new().encrypted(Encrypted::Plaintext);
    let plan = plan(&self::source(vec![source()]), &there, &options).unwrap();
    assert!(matches!(plan.steps[0].action, Action::Send(_)), "{plan:#?}");
}

#[test]
fn what_was_received_raw_gets_no_increment_in_plain() {
    let on = |name: &str, ivset: u64, snapshots: &[(&str, u64)]| {
        let mut dataset = encrypted(dataset(name, snapshots), Key::Loaded);
        for snapshot in &mut dataset.snapshots {
            snapshot.ivset = Some(Guid(ivset));
        }
        dataset
    };
    let source = source(vec![on("tank/a", 7, &[("1", 1), ("2", 2)])]);
    for (ivset, refusal) in [(7, Some("plain-onto-raw")), (8, None)] {
        let there = target(vec![on("vault/a", ivset, &[("1", 1)])]);
        let options = Options::new().encrypted(Encrypted::Plaintext);
        let plan = plan(&source, &there, &options).unwrap();
        let refused = plan.refused().next().map(|step| match &step.why {
            crate::plan::Why::Refused(refusal) => refusal.word(),
            other => panic!("{other:?}"),
        });
        assert_eq!(refused, refusal);
    }
}

#[test]
fn plain_data_needs_the_targets_key_where_the_target_encrypts() {
    let mut target = target(Vec::new());
    target.above = target.above.map(|above| encrypted(above, Key::Unavailable));
    let source = source(vec![dataset("tank/a", &[("1", 1)])]);
    let plan = plan(&source, &target, &Options::new()).unwrap();
    assert_eq!(only_refusal(&plan).word(), "target-key-unavailable");
}
