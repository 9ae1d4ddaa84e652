//! What arrives, and the markers, holds and signs that follow it.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use super::{Fake, Log, STREAM_BYTES, dataset, planned, planned_onto, run};
use crate::error::Error;
use crate::execute::{Event, Executor, Observer, Outcome, Retries};
use crate::plan::{Action, Plan, Step, Why};
use crate::properties::Policy;
use crate::tree::{Encryption, Key, Kind};

#[test]
fn snapshots_arrive_in_order_between_what_keeps_them_as_bases_and_the_marker() {
    let (source, target) = (Fake::default(), Fake::default());
    let plan = planned(vec![dataset("tank", &[1, 2])], "vault/deep/t", true);
    let (outcome, log) = run(&source, &target, &plan);
    assert_eq!(
        outcome,
        Outcome {
            streams: 2,
            bytes: 2 * STREAM_BYTES as u64,
            ..Outcome::default()
        }
    );
    assert_eq!(
        log,
        [
            "Created",
            "started tank@1",
            "finished 3145728",
            "started tank@2",
            "finished 3145728",
        ]
    );
    assert_eq!(
        source.done.into_inner().unwrap(),
        [
            "bookmark tank@1 tank#sending-siteb-0000000000000001",
            "bookmark tank@2 tank#sending-siteb-0000000000000002",
            "send tank@1",
            "send tank@2",
            "bookmark tank@2 tank#replica-siteb-0000000000000002",
            "destroy tank#sending-siteb-0000000000000001",
            "destroy tank#sending-siteb-0000000000000002",
        ]
    );
    assert_eq!(
        target.done.into_inner().unwrap(),
        [
            "create vault/deep",
            "receive vault/deep/t@1 New",
            "receive vault/deep/t@2 Existing",
        ]
    );
}

/// Tells why each stream goes.
#[derive(Default)]
struct Whys(Mutex<Vec<String>>);

impl Observer for Whys {
    fn event(&self, event: &Event<'_>) {
        let (word, transfer) = match event {
            Event::Started(transfer) => ("started", transfer),
            Event::Finished { transfer, .. } => ("finished", transfer),
            _ => return,
        };
        let line = format!("{word} {}: {}", transfer.stream.to.name, transfer.why);
        self.0.lock().unwrap().push(line);
    }
}

#[test]
fn each_stream_is_told_with_its_own_reason() {
    let (source, target) = (Fake::default(), Fake::default());
    let plan = planned(vec![dataset("tank", &[1, 2, 3])], "vault/t", true);
    let whys = Whys::default();
    Executor::new(&source, &target, &whys).run(&plan);
    assert_eq!(
        whys.0.into_inner().unwrap(),
        [
            "started tank@1: the target does not have it yet",
            "finished tank@1: the target does not have it yet",
            "started tank@2: the target's youngest is vault/t@1",
            "finished tank@2: the target's youngest is vault/t@1",
            "started tank@3: the target's youngest is vault/t@2",
            "finished tank@3: the target's youngest is vault/t@2",
        ]
    );
}

#[test]
fn what_is_made_says_whose_replica_it_is() {
    let mut plan = planned(vec![dataset("tank", &[1, 2])], "vault/t", false);
    plan.steps.push(Step {
        source: "tank/c".parse().unwrap(),
        target: "vault/t/c".parse().unwrap(),
        action: Action::Clone {
            origin: "vault/t@1".parse().unwrap(),
            kind: Kind::Filesystem,
        },
        why: Why::PromotedOnSource,
    });
    let (source, target) = (Fake::default(), Fake::default());
    let executor = Executor::new(&source, &target, &());
    let outcome = executor.sign("siteb".parse().unwrap()).run(&plan);
    assert!(outcome.is_ok());
    assert_eq!(
        target.done.into_inner().unwrap(),
        [
            "receive vault/t@1 New zfs-replicate:target=siteb 1",
            "receive vault/t@2 Existing",
            "clone vault/t@1 vault/t/c canmount=noauto zfs-replicate:target=siteb 1",
        ]
    );
}

#[test]
fn a_receive_says_whether_it_makes_a_dataset_and_must_be_raw() {
    let mut encrypted = dataset("tank", &[1]);
    encrypted.encryption = Some(Encryption {
        root: encrypted.name.clone(),
        key: Key::Unavailable,
    });
    let target = Fake::default();
    let plan = planned(vec![encrypted], "vault/t", false);
    let outcome = Executor::new(&Fake::default(), &target, &()).run(&plan);
    assert!(outcome.is_ok());
    assert_eq!(
        target.done.into_inner().unwrap(),
        ["receive vault/t@1 New raw"]
    );
}

#[test]
fn no_marker_moves_for_a_snapshot_that_is_not_the_one() {
    let target = Fake {
        mistakes: Some("vault/t@1"),
        ..Fake::default()
    };
    let source = Fake::default();
    let plan = planned(vec![dataset("tank", &[1, 2])], "vault/t", true);
    let (outcome, log) = run(&source, &target, &plan);
    assert_eq!((outcome.streams, outcome.failed), (0, 1));
    assert!(
        log[1].contains("arrived with GUID 2 instead of 1"),
        "{log:?}"
    );
    assert_eq!(
        source.done.into_inner().unwrap(),
        [
            "bookmark tank@1 tank#sending-siteb-0000000000000001",
            "bookmark tank@2 tank#sending-siteb-0000000000000002",
            "send tank@1"
        ]
    );
}

#[test]
fn a_long_range_moves_the_marker_now_and_then_and_a_failure_to_what_arrived() {
    let many: Vec<u64> = (1..=130).collect();
    let plan = planned(vec![dataset("tank", &many)], "vault/t", true);
    let source = Fake {
        breaks: Some("tank@129"),
        ..Fake::default()
    };
    let (outcome, _) = run(&source, &Fake::default(), &plan);
    assert_eq!((outcome.streams, outcome.failed), (128, 1));
    let done = source.done.into_inner().unwrap();
    let moves: Vec<(usize, &str)> = done
        .iter()
        .enumerate()
        .filter_map(|(at, line)| Some((at, line.split_once("#replica-siteb-")?.1)))
        .collect();
    // 64 bookmarks and streams, the marker, what it makes stale; and so on.
    let digits = |guid: u64| format!("{guid:016x}");
    assert_eq!(
        moves,
        [
            (128, digits(64).as_str()),
            (128 + 65 + 128, digits(128).as_str()),
            (128 + 65 + 128 + 1, digits(64).as_str()),
        ]
    );
    let left = "destroy tank#sending-siteb-0000000000000081".to_owned();
    assert!(!done.contains(&left) && done.contains(&left.replace("81", "80")));
}

#[test]
fn a_marker_that_cannot_be_made_is_told_and_holds_up_no_data() {
    let source = Fake {
        marks_nothing: true,
        ..Fake::default()
    };
    let (here, there) = (dataset("tank", &[1, 2]), dataset("vault/t", &[1]));
    let plan = planned_onto(vec![here], "vault/t", vec![there], true);
    let (outcome, log) = run(&source, &Fake::default(), &plan);
    // That of the common base, and that of what is sent.
    assert_eq!((outcome.streams, outcome.failed), (1, 2), "{log:?}");
    let said = "what was sent of tank has arrived, but its marker is wanting";
    assert!(log.last().unwrap().contains(said), "{log:?}");
    let done = source.done.into_inner().unwrap();
    assert!(done.contains(&"send tank@2".to_owned()), "{done:?}");
    assert!(
        !done.iter().any(|line| line.starts_with("destroy")),
        "{done:?}"
    );
}

#[test]
fn no_marker_moves_to_what_is_still_on_its_way() {
    for breaks in [None, Some("tank@3")] {
        let source = Fake {
            breaks,
            ..Fake::default()
        };
        let target = Fake {
            answers_last: true,
            ..Fake::default()
        };
        let plan = planned(vec![dataset("tank", &[1, 2, 3])], "vault/t", true);
        let (outcome, log) = run(&source, &target, &plan);
        let marked = breaks.is_none().then_some("0000000000000003");
        let arrived = if breaks.is_none() { 3 } else { 0 };
        assert_eq!(outcome.streams, arrived, "{log:?}");
        let finished = log.iter().filter(|line| line.starts_with("finished"));
        assert_eq!(finished.count() as u64, arrived, "{log:?}");
        assert_eq!(outcome.bytes, arrived * STREAM_BYTES as u64);
        let done = source.done.into_inner().unwrap();
        let mut moves = done
            .iter()
            .filter_map(|line| line.split_once("#replica-siteb-"));
        assert_eq!(moves.next().map(|(_, guid)| guid), marked);
    }
}

#[test]
fn a_hold_on_request_follows_what_arrived_on_both_sides() {
    let (source, target) = (Fake::default(), Fake::default());
    let plan = planned(vec![dataset("tank", &[1])], "vault/t", false);
    let outcome = Executor::new(&source, &target, &()).hold("keep").run(&plan);
    assert!(outcome.is_ok());
    let held = |fake: Fake| fake.done.into_inner().unwrap().pop().unwrap();
    assert_eq!(held(source), "hold tank@1 keep");
    assert_eq!(held(target), "hold vault/t@1 keep");
}

/// A plan that sets a hold again, and sends after that.
fn held_again() -> Plan {
    let mut plan = planned_onto(
        vec![dataset("tank", &[1, 2])],
        "vault/t",
        vec![dataset("vault/t", &[1])],
        false,
    );
    let step = Step {
        source: "tank".parse().unwrap(),
        target: "vault/t".parse().unwrap(),
        action: Action::Hold {
            tag: "keep".to_owned(),
            source: Some("tank@1".parse().unwrap()),
            target: "vault/t@1".parse().unwrap(),
        },
        why: Why::HoldMissing,
    };
    plan.steps.insert(0, step);
    plan
}

#[test]
fn a_hold_is_set_again_on_the_target_before_the_source() {
    let (source, target) = (Fake::default(), Fake::default());
    let (outcome, log) = run(&source, &target, &held_again());
    assert!(outcome.is_ok());
    assert_eq!(log[0], "Held");
    let first = |fake: Fake| fake.done.into_inner().unwrap().remove(0);
    assert_eq!(first(source), "hold tank@1 keep");
    assert_eq!(first(target), "hold vault/t@1 keep");
}

#[test]
fn a_hold_that_cannot_be_set_again_holds_up_no_data_and_is_told() {
    let target = Fake {
        no_holds: true,
        ..Fake::default()
    };
    let source = Fake::default();
    let (outcome, _) = run(&source, &target, &held_again());
    assert_eq!((outcome.streams, outcome.failed), (1, 1));
    assert_eq!(source.done.into_inner().unwrap(), ["send tank@2"]);
}

#[test]
fn the_source_lets_go_of_nothing_that_the_target_does_not_hold() {
    let target = Fake {
        no_holds: true,
        ..Fake::default()
    };
    let source = Fake::default();
    let plan = planned(vec![dataset("tank", &[1])], "vault/t", false);
    let outcome = Executor::new(&source, &target, &()).hold("keep").run(&plan);
    assert_eq!((outcome.streams, outcome.failed), (1, 1));
    assert_eq!(source.done.into_inner().unwrap(), ["send tank@1"]);
}

#[test]
fn a_property_that_cannot_be_set_holds_up_no_data_and_is_told() {
    let (source, target, log) = (Fake::default(), Fake::default(), Log::default());
    let plan = planned(vec![dataset("tank", &[1, 2])], "vault/t", false);
    let policy = Policy::new().set("refused", "quota: permission denied");
    let outcome = Executor::new(&source, &target, &log)
        .properties(policy.choose_all(&HashMap::new()))
        .run(&plan);
    assert_eq!((outcome.streams, outcome.failed), (2, 0));
    assert_eq!(outcome.unset, 1);
    assert!(!outcome.is_ok());
    let lines = log.0.into_inner().unwrap();
    let told = lines.iter().filter(|line| line.starts_with("failed"));
    let told: Vec<_> = told.collect();
    assert_eq!(told.len(), 1, "{lines:?}");
    assert!(told[0].contains("quota: permission denied"), "{told:?}");
}

#[test]
fn a_property_that_could_not_be_set_is_not_forgotten_where_something_else_is_tried_again() {
    let (source, target) = (Fake::default(), Fake::default());
    *source.fails_once.lock().unwrap() = Some(Error::Destroyed {
        snapshot: "tank@1".parse().unwrap(),
    });
    let mut both = planned(vec![dataset("tank", &[1])], "vault/t", false);
    let other = planned(vec![dataset("tank", &[1])], "vault/o", false);
    both.steps.extend(other.steps);
    let nothing = Plan {
        source: both.source,
        steps: Vec::new(),
    };
    let mut rounds = vec![nothing, both];
    let retries = Retries {
        times: 1,
        first: Duration::ZERO,
        longest: Duration::ZERO,
    };
    let policy = Policy::new().set("refused", "quota: permission denied");
    let outcome = Executor::new(&source, &target, &())
        .properties(policy.choose_all(&HashMap::new()))
        .run_with_retries(retries, || Ok(rounds.pop().unwrap()))
        .unwrap();
    assert!(rounds.is_empty());
    assert_eq!((outcome.streams, outcome.failed, outcome.unset), (1, 0, 1));
    assert!(!outcome.is_ok());
}
