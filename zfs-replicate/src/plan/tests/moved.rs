//! Cases by name: what was renamed, cloned, promoted, and what has gone its own
//! way.

use zfs_core::{Guid, SnapshotName, Txg};

use super::{
    bookmarked, clone_of, dataset, doings, interrupted, only_refusal, planned, planned_with,
    sentences, words,
};
use crate::plan::{Action, Diverged, Options, Refusal, Why};
use crate::tree::Dataset;

#[test]
fn what_the_source_renamed_is_renamed_and_not_sent_again() {
    let plan = planned(
        vec![
            dataset("tank/a", &[]),
            dataset("tank/a/new", &[("1", 1), ("2", 2)]),
            dataset("tank/a/new/child", &[("1", 11)]),
        ],
        vec![
            dataset("vault/a", &[]),
            dataset("vault/a/old", &[("1", 1)]),
            dataset("vault/a/old/child", &[("1", 11)]),
        ],
    );
    assert_eq!(
        sentences(&plan)[1..],
        [
            "rename vault/a/old to vault/a/new: the source renamed it",
            "send tank/a/new@2 to vault/a/new as an increment on tank/a/new@1: the \
             target's youngest is vault/a/new@1",
            "nothing to do for vault/a/new/child: it has everything up to vault/a/new/child@1",
        ]
    );
}

#[test]
fn what_took_the_place_of_a_renamed_dataset_waits_for_it() {
    let plan = planned(
        vec![
            dataset("tank/a", &[("0", 9)]),
            dataset("tank/a/x", &[("1", 2)]),
            dataset("tank/a/y", &[("1", 1)]),
        ],
        vec![
            dataset("vault/a", &[("0", 9)]),
            dataset("vault/a/x", &[("1", 1)]),
        ],
    );
    let words = doings(&plan);
    assert_eq!(
        words,
        [
            ("nothing", "vault/a"),
            ("rename", "vault/a/y"),
            ("nothing", "vault/a/y"),
            ("full", "vault/a/x"),
        ]
    );
}

#[test]
fn a_swap_is_refused_with_what_is_in_the_way() {
    let plan = planned(
        vec![
            dataset("tank/a", &[("0", 9)]),
            dataset("tank/a/x", &[("1", 2)]),
            dataset("tank/a/y", &[("1", 1)]),
        ],
        vec![
            dataset("vault/a", &[("0", 9)]),
            dataset("vault/a/x", &[("1", 1)]),
            dataset("vault/a/y", &[("1", 2)]),
        ],
    );
    let refused: Vec<_> = plan.refused().map(|step| step.why.word()).collect();
    assert_eq!(refused, ["rename-blocked", "rename-blocked"]);
    assert!(plan.is_empty());
}

#[test]
fn where_two_could_be_meant_neither_is_taken() {
    let plan = planned(
        vec![
            dataset("tank/a", &[("0", 9)]),
            dataset("tank/a/new", &[("1", 1)]),
        ],
        vec![
            dataset("vault/a", &[("0", 9)]),
            dataset("vault/a/one", &[("1", 1)]),
            dataset("vault/a/two", &[("1", 1)]),
        ],
    );
    let refused: Vec<_> = plan.refused().map(|step| step.why.word()).collect();
    assert_eq!(refused, ["ambiguous"]);
    assert!(plan.is_empty());
}

#[test]
fn a_clone_follows_its_origin_and_is_sent_as_an_increment_on_it() {
    let plan = planned(
        vec![
            dataset("tank/a", &[("0", 9)]),
            clone_of(dataset("tank/a/b", &[("c", 21), ("d", 22)]), "tank/a/z@1"),
            dataset("tank/a/z", &[("1", 1), ("2", 2)]),
        ],
        vec![dataset("vault/a", &[("0", 9)])],
    );
    assert_eq!(
        sentences(&plan)[1..],
        [
            "send tank/a/z@1 to vault/a/z in full, then @2 as an increment: the target does not \
             have it yet",
            "send tank/a/b@c to vault/a/b as a clone of tank/a/z@1, then @d as an increment: it \
             is a clone of tank/a/z@1, which the target has",
        ]
    );
    let Action::Send(range) = &plan.steps[2].action else {
        panic!("no range");
    };
    let origins: Vec<_> = range
        .streams()
        .map(|stream| stream.origin.map(|origin| origin.to_string()))
        .collect();
    assert_eq!(origins, [Some("vault/a/z@1".to_owned()), None]);
}

#[test]
fn a_clone_whose_origin_the_target_lacks_goes_in_full_and_says_so() {
    let plan = planned(
        vec![
            dataset("tank/a", &[("0", 9)]),
            clone_of(dataset("tank/a/b", &[("c", 21)]), "tank/elsewhere@1"),
        ],
        vec![dataset("vault/a", &[("0", 9)])],
    );
    assert_eq!(plan.steps[1].action.word(), "full");
    assert_eq!(plan.steps[1].why.word(), "origin-missing");
}

#[test]
fn an_interrupted_clone_goes_on_as_one() {
    let mut half = clone_of(
        interrupted(dataset("vault/a/b", &[]), 21, Some(1)),
        "vault/a/z@1",
    );
    half.partial = half.partial.clone();
    let plan = planned(
        vec![
            dataset("tank/a", &[("0", 9)]),
            clone_of(dataset("tank/a/b", &[("c", 21)]), "tank/a/z@1"),
            dataset("tank/a/z", &[("1", 1)]),
        ],
        vec![
            dataset("vault/a", &[("0", 9)]),
            half,
            dataset("vault/a/z", &[("1", 1)]),
        ],
    );
    let resumed = plan.steps.last().unwrap();
    assert_eq!(resumed.action.word(), "resume");
    let Action::Send(range) = &resumed.action else {
        panic!("no range");
    };
    assert_eq!(range.origin, Some("vault/a/z@1".parse().unwrap()));
}

#[test]
fn a_promotion_is_followed() {
    let mut clone = clone_of(dataset("vault/a/b", &[("c", 21)]), "vault/a/z@1");
    clone.snapshots[0].createtxg = Txg(100);
    let plan = planned(
        vec![
            dataset("tank/a", &[("0", 9)]),
            dataset("tank/a/b", &[("1", 1), ("c", 21)]),
            clone_of(dataset("tank/a/z", &[("2", 2)]), "tank/a/b@1"),
        ],
        vec![
            dataset("vault/a", &[("0", 9)]),
            clone,
            dataset("vault/a/z", &[("1", 1), ("2", 2)]),
        ],
    );
    assert_eq!(
        sentences(&plan)[1..],
        [
            "promote vault/a/b: the source promoted it",
            "nothing to do for vault/a/b: it has everything up to vault/a/b@c",
            "nothing to do for vault/a/z: it has everything up to vault/a/z@2",
        ]
    );
}

#[test]
fn a_promotion_waits_until_its_origin_has_another_snapshot() {
    let mut clone = clone_of(dataset("vault/a/f", &[("s1", 2)]), "vault/a/d@s0");
    clone.snapshots[0].createtxg = Txg(100);
    let mut promoted = dataset("tank/a/f", &[("s0", 1), ("s1", 2)]);
    promoted.snapshots[1].createtxg = Txg(100);
    let mut went_on = clone_of(dataset("tank/a/d", &[("s1", 3)]), "tank/a/f@s0");
    went_on.snapshots[0].createtxg = Txg(200);
    let plan = planned(
        vec![
            dataset("tank/a", &[("0", 9)]),
            bookmarked(went_on, &[("mark", 1, 10)]),
            promoted,
        ],
        vec![
            dataset("vault/a", &[("0", 9)]),
            dataset("vault/a/d", &[("s0", 1)]),
            clone,
        ],
    );
    assert_eq!(
        sentences(&plan)[1..],
        [
            "nothing to do for vault/a/f: it has everything up to vault/a/f@s1",
            "send tank/a/d@s1 to vault/a/d as an increment on tank/a/d#mark: the target's \
             youngest is vault/a/d@s0",
            "promote vault/a/f: the source promoted it",
        ]
    );
}

#[test]
fn a_promoted_clone_that_the_target_lacks_is_made_there_and_not_sent() {
    let plan = planned(
        vec![
            dataset("tank/a", &[("0", 9)]),
            dataset("tank/a/b", &[("1", 1), ("c", 21)]),
            clone_of(dataset("tank/a/z", &[("2", 2)]), "tank/a/b@1"),
        ],
        vec![
            dataset("vault/a", &[("0", 9)]),
            dataset("vault/a/z", &[("1", 1), ("2", 2)]),
        ],
    );
    assert_eq!(
        sentences(&plan)[1..],
        [
            "make vault/a/b as a clone of vault/a/z@1: the source promoted it",
            "promote vault/a/b: the source promoted it",
            "send tank/a/b@c to vault/a/b as an increment on tank/a/b@1: the target's \
             youngest is vault/a/b@1",
            "nothing to do for vault/a/z: it has everything up to vault/a/z@2",
        ]
    );
}

fn diverged() -> (Vec<Dataset>, Vec<Dataset>) {
    (
        vec![dataset("tank/a", &[("1", 1), ("2", 2)])],
        vec![dataset("vault/a", &[("1", 1), ("x", 8), ("y", 9)])],
    )
}

#[test]
fn a_diverged_target_goes_back_only_on_request_with_what_goes_listed_first() {
    let (source, target) = diverged();
    let options = Options::new().diverged(Diverged::Rollback);
    let plan = planned_with(source, target, &options);
    assert_eq!(
        sentences(&plan),
        [
            "take vault/a back to vault/a@1, destroying vault/a@x, vault/a@y: the source has none \
             of these, and to destroy them was asked for",
            "send tank/a@2 to vault/a as an increment on tank/a@1: the target's youngest is \
             vault/a@1",
        ]
    );
}

#[test]
fn a_target_that_was_only_written_to_goes_back_on_request_before_something_is_sent() {
    let written = |snapshots: &[(&str, u64)]| {
        let mut there = dataset("vault/a", snapshots);
        there.written = Some(4096);
        there
    };
    let options = Options::new().diverged(Diverged::Rollback);
    let source = || vec![dataset("tank/a", &[("1", 1), ("2", 2)])];
    let plan = planned_with(source(), vec![written(&[("1", 1)])], &options);
    assert_eq!(
        sentences(&plan)[0],
        "take vault/a back to vault/a@1: 4096 bytes were written to it since, which no increment \
         goes onto; they are lost, as was asked for"
    );
    assert_eq!(plan.steps[1].action.word(), "incremental");
    // What was interrupted builds on that snapshot, and goes on.
    let half = interrupted(written(&[("1", 1)]), 2, Some(1));
    let plan = planned_with(source(), vec![half], &options);
    assert_eq!(words(&plan), ["rollback", "resume"]);
    // A mount alone writes something: without the word, and where nothing is
    // to be sent, that does not matter.
    let plan = planned_with(source(), vec![written(&[("1", 1), ("2", 2)])], &options);
    assert!(plan.is_empty());
    let plan = planned(source(), vec![written(&[("1", 1)])]);
    assert_eq!(plan.steps[0].action.word(), "incremental");
}

#[test]
fn what_would_be_lost_is_listed_to_the_last_name() {
    let names: Vec<String> = (2..30).map(|number| number.to_string()).collect();
    let mut there = vec![("1", 1)];
    there.extend(
        names
            .iter()
            .zip(100..)
            .map(|(name, guid)| (name.as_str(), guid)),
    );
    let options = Options::new().diverged(Diverged::Rollback);
    let source = vec![dataset("tank/a", &[("1", 1), ("x", 2)])];
    let plan = planned_with(source, vec![dataset("vault/a", &there)], &options);
    let text = &sentences(&plan)[0];
    let lost: Vec<_> = plan.steps[0].destroys().collect();
    assert_eq!(lost.len(), names.len());
    assert!(lost.iter().all(|name| text.contains(name)), "{text}");
}

#[test]
fn a_rollback_gives_up_what_was_interrupted_and_stops_at_clones() {
    let (source, mut target) = diverged();
    let options = Options::new().diverged(Diverged::Rollback);
    target[0] = interrupted(target[0].clone(), 2, Some(9));
    let plan = planned_with(source.clone(), target.clone(), &options);
    assert_eq!(words(&plan), ["abort", "rollback", "incremental"]);

    target.push(clone_of(dataset("vault/a/c", &[]), "vault/a@y"));
    let plan = planned_with(source, target, &options);
    assert_eq!(plan.steps[0].why.word(), "rollback-blocked");
    assert!(plan.is_empty());
}

#[test]
fn a_target_that_is_newer_is_called_so() {
    let plan = planned(
        vec![dataset("tank/a", &[("1", 1)])],
        vec![dataset("vault/a", &[("1", 1), ("x", 8)])],
    );
    assert!(matches!(only_refusal(&plan), Refusal::TargetNewer { .. }));
}

#[test]
fn bookmarks_of_what_was_given_to_a_promoted_clone_do_not_claim_it() {
    // tank/a/z was the original of tank/a/b; its marker stayed behind.
    let plan = planned(
        vec![
            dataset("tank/a", &[("0", 9)]),
            dataset("tank/a/b", &[("1", 1)]),
            bookmarked(
                clone_of(dataset("tank/a/z", &[("2", 2)]), "tank/a/b@1"),
                &[("mine", 1, 10)],
            ),
        ],
        vec![
            dataset("vault/a", &[("0", 9)]),
            dataset("vault/a/z", &[("1", 1)]),
        ],
    );
    assert_eq!(
        words(&plan),
        ["nothing", "rename", "nothing", "incremental"]
    );
    let Action::Send(range) = &plan.steps[3].action else {
        panic!("no range");
    };
    let origin: SnapshotName = "vault/a/b@1".parse().unwrap();
    assert_eq!(range.origin, Some(origin));
    assert_eq!(range.last().map(|last| last.guid), Some(Guid(2)));
}

#[test]
fn nothing_is_destroyed_for_a_rollback_that_a_bookmark_stands_in_the_way_of() {
    let source = || vec![dataset("tank/a", &[("1", 1), ("3", 3)])];
    let options = Options::new().diverged(Diverged::Rollback);
    let there = dataset("vault/a", &[("1", 1), ("2", 2)]);
    for (marked, txg, refused) in [(1, 10, false), (2, 20, true)] {
        let there = bookmarked(there.clone(), &[("for-site-c", marked, txg)]);
        let plan = planned_with(source(), vec![there], &options);
        assert_eq!(plan.refused().count(), usize::from(refused), "{plan:?}");
        let words = words(&plan);
        assert_eq!(words.contains(&"rollback"), !refused);
    }
    // The snapshot is gone, and its bookmark stays.
    let mut written = dataset("vault/a", &[("1", 1)]);
    written.written = Some(1);
    let marked = bookmarked(written, &[("for-site-c", 2, 20)]);
    let plan = planned_with(source(), vec![marked], &options);
    assert_eq!(only_refusal(&plan).word(), "bookmark-in-the-way");
}

#[test]
fn replicas_below_what_had_to_make_room_are_brought_back() {
    let source = || {
        vec![
            dataset("tank/a", &[("0", 9)]),
            dataset("tank/a/x", &[("1", 1)]),
            dataset("tank/a/x/y", &[("1", 2)]),
        ]
    };
    let below = |x: &str| {
        vec![
            dataset("vault/a", &[("0", 9)]),
            dataset(x, &[]),
            dataset(&format!("{x}/y"), &[("1", 2)]),
        ]
    };
    let plan = planned(source(), below("vault/a/x"));
    let refused = &plan.refused().next().unwrap().why;
    assert!(matches!(refused, Why::Refused(Refusal::Occupied)));
    // As the refusal advises.
    let plan = planned(source(), below("vault/a/x.old"));
    let words = doings(&plan);
    assert_eq!(
        words,
        [
            ("nothing", "vault/a"),
            ("full", "vault/a/x"),
            ("rename", "vault/a/x/y"),
            ("nothing", "vault/a/x/y"),
            ("nothing", "vault/a/x.old"),
        ]
    );
}
