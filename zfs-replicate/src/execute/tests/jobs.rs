//! Several datasets side by side.

use super::{Fake, dataset, planned};
use crate::execute::Executor;

#[test]
fn side_by_side_parents_come_before_children_and_everything_arrives() {
    let (source, target) = (Fake::default(), Fake::default());
    let datasets = ["tank", "tank/a", "tank/a/b", "tank/c", "tank/d", "tank/e"];
    let datasets = datasets
        .iter()
        .enumerate()
        .map(|(index, name)| dataset(name, &[index as u64 * 2 + 1, index as u64 * 2 + 2]));
    let plan = planned(datasets.collect(), "vault/x", true);
    let outcome = Executor::new(&source, &target, &()).jobs(4).run(&plan);
    assert!(outcome.is_ok());
    assert_eq!(outcome.streams, 12);
    let done = target.done.into_inner().unwrap();
    let at = |what: &str| {
        let mut lines = done.iter();
        lines.position(|line| line.contains(what)).expect(what)
    };
    assert!(at("vault/x@1 ") < at("vault/x/a@3 "));
    assert!(at("vault/x/a@3 ") < at("vault/x/a/b@5 "));
    assert!(at("vault/x/d@9 ") < at("vault/x/d@10 "));
}

#[test]
fn side_by_side_one_failure_stops_only_what_is_below() {
    let (source, target) = (
        Fake::default(),
        Fake {
            refuses: Some("vault/x/a"),
            ..Fake::default()
        },
    );
    let names = ["tank", "tank/a", "tank/a/b", "tank/c"];
    let datasets = names.iter().enumerate();
    let datasets = datasets.map(|(index, name)| dataset(name, &[index as u64 + 1]));
    let plan = planned(datasets.collect(), "vault/x", false);
    let outcome = Executor::new(&source, &target, &()).jobs(3).run(&plan);
    assert_eq!((outcome.failed, outcome.streams), (2, 2));
}
