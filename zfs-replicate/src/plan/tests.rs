//! Cases by name, and how they read.

mod encryption;
mod gone;
mod hold;
mod marker;
mod moved;
mod refuse;
mod resume;
mod send;

use zfs_core::{DatasetName, Guid, Txg};

use super::{Options, Plan, Refusal, Why, plan};
use crate::tree::{
    Bookmark, Dataset, Encryption, Key, Partial, ResumePoint, Snapshot, StreamForm, Tree,
};

fn name(name: &str) -> DatasetName {
    name.parse().unwrap()
}

fn dataset(path: &str, snapshots: &[(&str, u64)]) -> Dataset {
    let path = name(path);
    let mut dataset = Dataset::new(path.clone(), Guid(1));
    for (index, (snapshot, guid)) in snapshots.iter().enumerate() {
        dataset.snapshots.push(Snapshot {
            name: path.with_snapshot(snapshot).unwrap(),
            guid: Guid(*guid),
            createtxg: Txg(10 * (index as u64 + 1)),
            creation: None,
            ivset: None,
        });
    }
    dataset
}

fn bookmarked(mut dataset: Dataset, bookmarks: &[(&str, u64, u64)]) -> Dataset {
    for (bookmark, guid, txg) in bookmarks {
        dataset.bookmarks.push(Bookmark {
            name: dataset.name.with_bookmark(bookmark).unwrap(),
            guid: Guid(*guid),
            createtxg: Txg(*txg),
            ivset: None,
        });
    }
    dataset
}

fn encrypted(mut dataset: Dataset, key: Key) -> Dataset {
    dataset.encryption = Some(Encryption {
        root: dataset.name.clone(),
        key,
    });
    dataset
}

fn interrupted(mut dataset: Dataset, to: u64, from: Option<u64>) -> Dataset {
    dataset.partial = Some(Partial::Token(ResumePoint {
        to_guid: Guid(to),
        to_name: "tank/a@was".to_owned(),
        from_guid: from.map(Guid),
        object: 5,
        offset: 4096,
        bytes: 777,
        form: StreamForm::default(),
        redacted: false,
    }));
    dataset
}

fn clone_of(mut dataset: Dataset, origin: &str) -> Dataset {
    dataset.origin = Some(origin.parse().unwrap());
    dataset
}

fn source(datasets: Vec<Dataset>) -> Tree {
    Tree {
        root: name("tank/a"),
        datasets,
        above: None,
    }
}

fn target(datasets: Vec<Dataset>) -> Tree {
    Tree {
        root: name("vault/a"),
        datasets,
        above: Some(Dataset::new(name("vault"), Guid(2))),
    }
}

fn planned(source_datasets: Vec<Dataset>, target_datasets: Vec<Dataset>) -> Plan {
    plan(
        &source(source_datasets),
        &target(target_datasets),
        &Options::new(),
    )
    .unwrap()
}

fn planned_with(
    source_datasets: Vec<Dataset>,
    target_datasets: Vec<Dataset>,
    options: &Options<'_>,
) -> Plan {
    plan(&source(source_datasets), &target(target_datasets), options).unwrap()
}

fn sentences(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(ToString::to_string).collect()
}

fn words(plan: &Plan) -> Vec<&'static str> {
    plan.steps.iter().map(|step| step.action.word()).collect()
}

/// What each step does, and to what.
fn doings(plan: &Plan) -> Vec<(&'static str, &str)> {
    let steps = plan.steps.iter();
    steps
        .map(|step| (step.action.word(), step.target.as_str()))
        .collect()
}

fn only_refusal(plan: &Plan) -> Refusal {
    let [step] = plan.steps.as_slice() else {
        panic!("more than one step: {plan:?}");
    };
    match &step.why {
        Why::Refused(refusal) => refusal.clone(),
        why => panic!("not refused: {why}"),
    }
}
