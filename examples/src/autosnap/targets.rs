//! The targets of a dataset, by the markers that stand on it.

use std::collections::BTreeMap;

use zfs_replicate::marker::Marker;
use zfs_retention::{Guid, Plan, Protection, Target, Txg};

/// A marker that stands on a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked {
    /// Whose it is. What is younger than its marker a target still has to get.
    pub target: Target,
    /// The marker's whole name.
    pub bookmark: String,
}

impl Marked {
    /// A bookmark by its whole name, where it is a marker that tells the truth.
    pub fn of(bookmark: &str, guid: Guid, createtxg: Txg) -> Option<Marked> {
        let (_, own) = bookmark.split_once('#')?;
        let marker = Marker::parse(own)?;
        let truthful = marker.guid.0 == guid.0;
        truthful.then(|| Marked {
            target: Target::new(marker.target.as_str())
                .marker(guid, createtxg)
                .required(),
            bookmark: bookmark.to_owned(),
        })
    }
}

/// How much waits for each target, and what ends that where the target is no
/// more: nobody else would ever do it.
pub fn waiting<Id>(plan: &Plan<'_, Id>, marked: &[Marked]) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for protection in plan.decisions().flat_map(|it| it.protections()) {
        if let Protection::NotReplicated { target } = protection {
            *counts.entry(target).or_default() += 1;
        }
    }
    let text = |(target, count): (&str, usize)| {
        let snapshots = if count == 1 {
            "one snapshot waits".to_owned()
        } else {
            format!("{count} snapshots wait")
        };
        let own = marked.iter().filter(|it| it.target.name() == target);
        let end: Vec<_> = own
            .map(|it| format!("zfs destroy {}", it.bookmark))
            .collect();
        format!(
            "{snapshots} for {target}; if {target} is given up: {}",
            end.join("; ")
        )
    };
    counts.into_iter().map(text).collect()
}
