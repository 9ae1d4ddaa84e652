//! Cases by name: the markers of a target on the source.

use super::{bookmarked, dataset, name, sentences, source, target};
use zfs_core::BookmarkName;

use crate::marker::TargetId;
use crate::plan::{Action, Options, Why, plan};

#[test]
fn a_bookmark_is_the_base_where_the_snapshot_is_gone_and_the_marker_before_others() {
    let siteb: TargetId = "siteb".parse().unwrap();
    let source = source(vec![bookmarked(
        dataset("tank/a", &[("2", 2)]),
        &[
            ("another", 1, 5),
            ("replica-siteb-0000000000000001", 1, 5),
            ("replica-sitec-0000000000000001", 1, 5),
        ],
    )]);
    let target = target(vec![dataset("vault/a", &[("1", 1)])]);
    let plan = plan(&source, &target, &Options::new().marker(&siteb)).unwrap();
    assert_eq!(
        sentences(&plan),
        [
            "send tank/a@2 to vault/a as an increment on tank/a#replica-siteb-0000000000000001: \
          the target's youngest is vault/a@1"
        ]
    );
}

#[test]
fn markers_are_put_right_before_anything_is_sent() {
    let siteb: TargetId = "siteb".parse().unwrap();
    let source = source(vec![bookmarked(
        dataset("tank/a", &[("1", 1), ("2", 2)]),
        &[
            ("replica-siteb-0000000000000009", 9, 5),
            ("replica-siteb-0000000000000001", 7, 5),
        ],
    )]);
    let target = target(vec![dataset("vault/a", &[("2", 2)])]);
    let plan = plan(&source, &target, &Options::new().marker(&siteb)).unwrap();
    assert_eq!(
        sentences(&plan),
        [
            "mark tank/a@2 with tank/a#replica-siteb-0000000000000002, then destroy \
             tank/a#replica-siteb-0000000000000009: the target has it and the source has no \
             marker yet",
            "nothing to do for vault/a: it has everything up to vault/a@2",
        ]
    );
}

#[test]
fn what_was_bookmarked_to_be_sent_keeps_the_base_and_is_not_taken_from_who_sends_it() {
    let siteb: TargetId = "siteb".parse().unwrap();
    let sending = |guid| format!("sending-siteb-{guid:016x}");
    // The run was killed when 1 had arrived, and that was pruned.
    let bookmarks = [sending(1), sending(2), sending(9)];
    let there = [(&bookmarks[0], 1), (&bookmarks[1], 2), (&bookmarks[2], 9)];
    let there = there.map(|(name, guid)| (name.as_str(), guid, 5));
    let source = source(vec![bookmarked(dataset("tank/a", &[("2", 2)]), &there)]);
    let target = target(vec![dataset("vault/a", &[("1", 1)])]);
    let plan = plan(&source, &target, &Options::new().marker(&siteb)).unwrap();
    assert_eq!(
        sentences(&plan),
        [
            "mark tank/a#sending-siteb-0000000000000001 with \
             tank/a#replica-siteb-0000000000000001, then destroy \
             tank/a#sending-siteb-0000000000000009: the target has it and the source has no \
             marker yet",
            "send tank/a@2 to vault/a as an increment on tank/a#sending-siteb-0000000000000001: \
             the target's youngest is vault/a@1",
        ]
    );
    let Action::Send(range) = &plan.steps[1].action else {
        panic!("no range");
    };
    // They go with the first success.
    let stale = &range.marker.as_ref().unwrap().stale;
    let stale: Vec<&str> = stale.iter().map(BookmarkName::bookmark).collect();
    let marker = "replica-siteb-0000000000000001";
    assert_eq!(stale, [marker, &bookmarks[0], &bookmarks[1]]);
}

#[test]
fn where_no_marker_fits_the_plan_says_so_and_sends_without() {
    let siteb: TargetId = "siteb".parse().unwrap();
    let child = format!("tank/a/{}", "d".repeat(230));
    let mut source = source(vec![dataset(&child, &[("1", 1)])]);
    source.root = name(&child);
    let plan = plan(&source, &target(Vec::new()), &Options::new().marker(&siteb)).unwrap();
    assert_eq!(plan.steps[0].why, Why::NoRoomForMarker);
    let Action::Send(range) = &plan.steps[1].action else {
        panic!("no range");
    };
    assert_eq!(range.marker, None);
}
