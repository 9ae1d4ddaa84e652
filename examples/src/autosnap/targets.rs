//! The targets of a dataset, by the markers that stand on it.

use std::collections::BTreeMap;

use zfs_replicate::marker::Marker;
use zfs_retention::{Guid, Plan, Protection, Target, Txg};

/// A marker that stands on a dataset, or a bookmark of what is being sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked {
    /// Whose it is. What is younger than its marker a target still has to get;
    /// without a marker, what its first streams bring.
    pub target: Target,
    /// The bookmark's whole name.
    pub bookmark: String,
}

impl Marked {
    /// A bookmark by its whole name, where it is one of zfs-replicate's that
    /// tells the truth.
    pub fn of(bookmark: &str, guid: Guid, createtxg: Txg) -> Option<Marked> {
        let (_, own) = bookmark.split_once('#')?;
        let (marker, target) = if let Some(marker) = Marker::parse(own) {
            let target = Target::new(marker.target.as_str());
            (marker, target.marker(guid, createtxg).required())
        } else {
            let marker = Marker::parse_sending(own)?;
            let target = Target::new(marker.target.as_str());
            (marker, target.sending(guid))
        };
        (marker.guid.0 == guid.0).then(|| Marked {
            target,
            bookmark: bookmark.to_owned(),
        })
    }
}

/// How much waits for each target, and what ends that where the target is no
/// more: nobody else would ever do it.
pub fn waiting<Id>(plan: &Plan<'_, Id>, marked: &[Marked]) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for protection in plan.decisions().flat_map(|it| it.protections()) {
        if let Protection::NotReplicated { target } | Protection::Sending { target } = protection {
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
