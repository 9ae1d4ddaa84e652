//! Names and values from a command line.

use std::collections::BTreeSet;

use anyhow::Result;
use zfs_core::{
    BookmarkName, DatasetName, ListDatasets, ListSnapshots, PropertyValue, Snapshot, SnapshotName,
    Zfs,
};

use super::usage;

/// What a name can be of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Any {
    /// A filesystem or volume.
    Dataset(DatasetName),
    /// A snapshot.
    Snapshot(SnapshotName),
    /// A bookmark.
    Bookmark(BookmarkName),
}

impl Any {
    /// Reads a name of any sort.
    ///
    /// # Errors
    ///
    /// Where it is none.
    pub fn parse(name: &str) -> Result<Any> {
        Ok(if name.contains('@') {
            Any::Snapshot(name.parse()?)
        } else if name.contains('#') {
            Any::Bookmark(name.parse()?)
        } else {
            Any::Dataset(name.parse()?)
        })
    }
}

/// `property=value`, as an option of clap.
pub fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((property, value)) if !property.is_empty() => {
            Ok((property.to_owned(), value.to_owned()))
        }
        _ => Err("property=value is wanted".to_owned()),
    }
}

/// A size as zfs(8) takes it: `10G`, `1.5T`, `4096`.
pub fn size(text: &str) -> Result<u64, String> {
    let end = text
        .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let unit = unit.to_ascii_uppercase();
    let unit = unit.trim_end_matches('B').trim_end_matches('I');
    let shift = ["", "K", "M", "G", "T", "P", "E"]
        .iter()
        .zip(0..)
        .find(|(known, _)| **known == unit)
        .map(|(_, power)| power)
        .ok_or("the unit is one of K, M, G, T, P, E")?;
    let bytes = digits.parse::<f64>().map_err(|error| error.to_string())?
        * f64::from(1_u32 << 10).powi(shift);
    if bytes >= 0.0 && bytes < u64::MAX as f64 {
        Ok(bytes as u64)
    } else {
        Err("it is too large".to_owned())
    }
}

/// The dataset, and with `recursive` those below it, each before its own.
pub fn tree(zfs: &Zfs, root: &DatasetName, recursive: bool) -> Result<Vec<DatasetName>> {
    let mut what = ListDatasets::new().without_properties();
    if recursive {
        what = what.recursive();
    }
    let mut names = Vec::new();
    for dataset in zfs.list_datasets(root, what) {
        names.push(dataset?.name);
    }
    Ok(names)
}

/// All snapshots of a dataset, oldest first.
pub fn snapshots(zfs: &Zfs, dataset: &DatasetName) -> Result<Vec<Snapshot>> {
    let mut all = Vec::new();
    for snapshot in zfs.list_snapshots(dataset, ListSnapshots::new().with_properties()) {
        all.push(snapshot?);
    }
    all.sort_by_key(|snapshot| snapshot.createtxg);
    Ok(all)
}

/// `tank/a@x,y%z` as the snapshots that it means, in the dataset and with
/// `recursive` in those below it; of each dataset the oldest first.
pub fn chosen(zfs: &Zfs, text: &str, recursive: bool) -> Result<Vec<SnapshotName>> {
    let Some((dataset, choices)) = text.split_once('@') else {
        return usage(format!("{text} is not the name of a snapshot"));
    };
    let root: DatasetName = dataset.parse()?;
    let mut chosen = Vec::new();
    for dataset in tree(zfs, &root, recursive)? {
        let all = snapshots(zfs, &dataset)?;
        let place = |name: &str| all.iter().position(|one| one.name.snapshot() == name);
        let mut places = BTreeSet::new();
        for choice in choices.split(',') {
            let Some((first, last)) = choice.split_once('%') else {
                places.extend(place(dataset.with_snapshot(choice)?.snapshot()));
                continue;
            };
            let first = if first.is_empty() {
                Some(0)
            } else {
                place(first)
            };
            let last = if last.is_empty() {
                all.len().checked_sub(1)
            } else {
                place(last)
            };
            if let (Some(first), Some(last)) = (first, last) {
                places.extend(first..=last);
            }
        }
        let named = |place: usize| all.get(place).map(|snapshot| snapshot.name.clone());
        chosen.extend(places.into_iter().filter_map(named));
    }
    if chosen.is_empty() {
        anyhow::bail!("could not find any snapshots to destroy; check snapshot names.");
    }
    Ok(chosen)
}

/// A number that a property has, or none.
pub fn number(value: Option<&PropertyValue>) -> Option<u64> {
    match value {
        Some(PropertyValue::Number(number)) => Some(*number),
        Some(PropertyValue::Text(text)) => size(text).ok(),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("4096"), Ok(4096));
        assert_eq!(size("10M"), Ok(10 << 20));
        assert_eq!(size("1.5g"), Ok(3 << 29));
        assert_eq!(size("2GiB"), Ok(2 << 30));
        assert!(size("").is_err() && size("x").is_err() && size("99E").is_err());
    }

    #[test]
    fn a_name_says_what_it_is_of() {
        assert!(matches!(Any::parse("a/b"), Ok(Any::Dataset(_))));
        assert!(matches!(Any::parse("a/b@c"), Ok(Any::Snapshot(_))));
        assert!(matches!(Any::parse("a#c"), Ok(Any::Bookmark(_))));
        assert!(Any::parse("a@b@c").is_err());
    }

    #[test]
    fn an_assignment_has_a_name_and_perhaps_a_value() {
        assert_eq!(assignment("a:b=c=d"), Ok(("a:b".into(), "c=d".into())));
        assert!(assignment("=x").is_err() && assignment("x").is_err());
    }
}
