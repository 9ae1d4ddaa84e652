//! Holds that are set again.

use std::collections::HashSet;

use zfs_core::Guid;

use super::{bookmarked, dataset, planned_with, sentences, words};
use crate::plan::Options;
use crate::plan::holds::{Unheld, key};
use crate::tree::Dataset;

/// None of these snapshots is held.
fn unheld(source: &[&Dataset], target: &[&Dataset]) -> Unheld {
    let keys = |side: &[&Dataset]| -> HashSet<_> {
        side.iter()
            .flat_map(|dataset| &dataset.snapshots)
            .map(key)
            .collect()
    };
    Unheld {
        tag: "replica-siteb".to_owned(),
        source: keys(source),
        target: keys(target),
    }
}

#[test]
fn a_missing_hold_is_set_again_where_nothing_is_to_be_sent_and_before_something_is() {
    let here = dataset("tank/a", &[("1", 1), ("2", 2)]);
    let there = dataset("vault/a", &[("1", 1), ("2", 2)]);
    let older = dataset("vault/a", &[("1", 1)]);
    let hold = |which: u64| {
        format!(
            "hold vault/a@{which} and tank/a@{which} with \"replica-siteb\": the newest common \
             snapshot is to be held on both sides, and is not"
        )
    };
    let plan_for = |there: &Dataset, unheld: &Unheld| {
        let options = Options::new().unheld(unheld);
        planned_with(vec![here.clone()], vec![there.clone()], &options)
    };
    // On either side, or on both.
    for (source, target) in [
        (&[&here][..], &[][..]),
        (&[], &[&there]),
        (&[&here], &[&there]),
    ] {
        let plan = plan_for(&there, &unheld(source, target));
        assert_eq!(words(&plan), ["hold", "nothing"]);
        assert_eq!(sentences(&plan)[0], hold(2));
        assert!(!plan.is_empty());
    }
    let plan = plan_for(&older, &unheld(&[&here], &[]));
    assert_eq!(words(&plan), ["hold", "incremental"]);
    assert_eq!(sentences(&plan)[0], hold(1));
    // What nobody looked at, and what is held, is left alone.
    let plan = plan_for(&there, &unheld(&[], &[]));
    assert_eq!(words(&plan), ["nothing"]);
    let plan = plan_for(&there, &unheld(&[], &[&older]));
    assert_eq!(words(&plan), ["nothing"]);
}

#[test]
fn what_is_only_a_bookmark_on_the_source_is_held_on_the_target_alone() {
    let here = bookmarked(dataset("tank/a", &[]), &[("mark", 1, 10)]);
    let there = dataset("vault/a", &[("1", 1)]);
    assert_eq!(there.snapshots[0].guid, Guid(1));
    let unheld = unheld(&[], &[&there]);
    let options = Options::new().unheld(&unheld);
    let plan = planned_with(vec![here], vec![there], &options);
    assert_eq!(
        sentences(&plan)[0],
        "hold vault/a@1 with \"replica-siteb\": the newest common snapshot is to be held on both \
         sides, and is not"
    );
}
