//! Cases by name: what an interrupted receive left on the target.

use super::{
    dataset, encrypted, interrupted, name, only_refusal, planned, planned_with, sentences, words,
};
use crate::plan::{Action, Options, Provenance, Unusable, Why};
use crate::tree::{Dataset, Key, Partial};

#[test]
fn an_interrupted_increment_goes_on() {
    let plan = planned(
        vec![dataset("tank/a", &[("1", 1), ("2", 2), ("3", 3)])],
        vec![interrupted(dataset("vault/a", &[("1", 1)]), 2, Some(1))],
    );
    assert_eq!(
        sentences(&plan),
        [
            "go on sending tank/a@2 to vault/a after 777 bytes, then @3 as an increment: an \
          earlier run was interrupted, and the target kept 777 bytes of it"
        ]
    );
    assert_eq!(plan.steps[0].action.word(), "resume");
}

fn given_up(source: Dataset, target: Dataset) -> (Unusable, &'static str) {
    let plan = planned(vec![source], vec![target]);
    let first = &plan.steps[0];
    assert_eq!(first.action, Action::Abort, "{plan:?}");
    let Why::Unusable(reason) = &first.why else {
        panic!("no reason");
    };
    (reason.clone(), plan.steps[1].action.word())
}

#[test]
fn a_token_for_a_snapshot_that_is_gone_is_given_up() {
    let (reason, next) = given_up(
        dataset("tank/a", &[("1", 1), ("3", 3)]),
        interrupted(dataset("vault/a", &[("1", 1)]), 2, Some(1)),
    );
    assert_eq!(
        reason.to_string(),
        "\"tank/a@was\" is no longer on the source"
    );
    assert_eq!(next, "incremental");

    let (_, next) = given_up(
        dataset("tank/a", &[("3", 3)]),
        interrupted(dataset("vault/a", &[]), 2, None),
    );
    assert_eq!(next, "full");
}

#[test]
fn a_token_on_another_base_is_given_up() {
    for from in [None, Some(9)] {
        let (reason, _) = given_up(
            dataset("tank/a", &[("1", 1), ("2", 2)]),
            interrupted(dataset("vault/a", &[("1", 1)]), 2, from),
        );
        assert_eq!(reason, Unusable::OtherBase);
    }
}

#[test]
fn a_token_that_would_skip_a_snapshot_is_given_up() {
    let (reason, next) = given_up(
        dataset("tank/a", &[("1", 1), ("2", 2), ("3", 3)]),
        interrupted(dataset("vault/a", &[("1", 1)]), 3, Some(1)),
    );
    assert_eq!(
        reason,
        Unusable::Skips {
            name: name("tank/a").with_snapshot("2").unwrap()
        }
    );
    assert_eq!(next, "incremental");
}

#[test]
fn a_token_that_would_send_encrypted_data_in_plain_is_given_up() {
    let (reason, _) = given_up(
        encrypted(dataset("tank/a", &[("1", 1), ("2", 2)]), Key::Loaded),
        interrupted(
            encrypted(dataset("vault/a", &[("1", 1)]), Key::Unavailable),
            2,
            Some(1),
        ),
    );
    assert_eq!(reason, Unusable::OtherForm { raw: false });
}

#[test]
fn a_token_with_embedded_blocks_is_given_up_since_the_kernel_loses_data_with_them() {
    for (embedded, raw) in [(true, false), (false, true)] {
        let mut target = interrupted(dataset("vault/a", &[("1", 1)]), 2, Some(1));
        if let Some(Partial::Token(point)) = &mut target.partial {
            point.form.embedded = embedded;
            point.form.raw = raw;
        }
        let (reason, _) = given_up(dataset("tank/a", &[("1", 1), ("2", 2)]), target);
        assert_eq!(reason, Unusable::Embedded);
    }
}

#[test]
fn a_token_that_leaves_data_out_or_makes_no_sense_is_given_up() {
    let mut redacted = interrupted(dataset("vault/a", &[("1", 1)]), 2, Some(1));
    if let Some(Partial::Token(point)) = &mut redacted.partial {
        point.redacted = true;
    }
    let (reason, _) = given_up(dataset("tank/a", &[("1", 1), ("2", 2)]), redacted);
    assert_eq!(reason, Unusable::Redacted);

    let mut unreadable = dataset("vault/a", &[("1", 1)]);
    unreadable.partial = Some(Partial::Unreadable {
        problem: "too short".to_owned(),
    });
    let (reason, _) = given_up(dataset("tank/a", &[("1", 1), ("2", 2)]), unreadable);
    assert_eq!(
        reason.to_string(),
        "its resume token cannot be read (too short)"
    );
}

#[test]
fn a_token_is_given_up_where_nothing_is_left_to_send() {
    let (_, next) = given_up(
        dataset("tank/a", &[("1", 1)]),
        interrupted(dataset("vault/a", &[("1", 1)]), 2, Some(1)),
    );
    assert_eq!(next, "nothing");
}

#[test]
fn somebody_elses_interrupted_receive_is_left_alone() {
    let mut foreign = interrupted(dataset("vault/a", &[]), 2, None);
    if let Some(Partial::Token(point)) = &mut foreign.partial {
        point.to_name = "other/b@x".to_owned();
    }
    let here = || vec![dataset("tank/a", &[("3", 3)])];
    let plan = planned(here(), vec![foreign.clone()]);
    assert_eq!(only_refusal(&plan).word(), "other-partial");
    // What says that it is a replica of this source is begun anew.
    let whose = |_: &_| Provenance::Replica;
    let options = Options::new().provenance(&whose);
    let plan = planned_with(here(), vec![foreign], &options);
    assert_eq!(words(&plan), ["abort", "full"]);
}
