//! Snapshots as `zfs list` prints them.

use jiff::Timestamp;
use zfs_retention::{Guid, Snapshot, Txg};

use crate::exit::UsageError;

/// The columns that [`read`] wants, for `zfs list -Hp -t snapshot -o`.
pub const COLUMNS: &str = "name,guid,createtxg,creation,userrefs,clones,used";

/// Reads `zfs list -Hp -t snapshot -o` [`COLUMNS`]. The id is the dataset.
pub fn read(text: &str) -> Result<Vec<Snapshot<String>>, UsageError> {
    (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.is_empty())
        .map(|(number, line)| {
            read_line(line).ok_or_else(|| {
                UsageError(format!(
                    "cannot read line {number} of the list of snapshots, {line:?}: \
                     make it with zfs list -Hp -t snapshot -o {COLUMNS}"
                ))
            })
        })
        .collect()
}

fn read_line(line: &str) -> Option<Snapshot<String>> {
    let mut columns = line.split('\t');
    let (dataset, name) = columns.next()?.split_once('@')?;
    let guid = Guid(columns.next()?.parse().ok()?);
    let createtxg = Txg(columns.next()?.parse().ok()?);
    let creation = Timestamp::from_second(columns.next()?.parse().ok()?).ok()?;
    let userrefs = number(columns.next()?)?;
    let clones = match columns.next()? {
        "" | "-" => 0,
        list => u32::try_from(list.split(',').count()).ok()?,
    };
    let used = columns.next()?.parse().ok()?;
    if columns.next().is_some() {
        return None;
    }
    let snapshot = Snapshot::new(name, guid, createtxg, creation)
        .held(userrefs)
        .cloned(clones)
        .using(used);
    Some(snapshot.with_id(dataset.to_owned()))
}

fn number(column: &str) -> Option<u32> {
    match column {
        "-" => Some(0),
        digits => digits.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_zfs_list_are_read() {
        let text = "tank/a@x\t17\t5\t1767225600\t2\ttank/b,tank/c\t4096\n\
                    tank/a@y z\t18\t6\t1767225601\t0\t-\t0\n";
        let snapshots = read(text).unwrap();
        assert_eq!(snapshots[0].id, "tank/a");
        assert_eq!((snapshots[0].userrefs, snapshots[0].clones), (2, 2));
        assert_eq!(snapshots[0].used, Some(4096));
        assert_eq!(
            (snapshots[1].name.as_str(), snapshots[1].clones),
            ("y z", 0)
        );
    }

    #[test]
    fn other_lines_are_told_with_their_number() {
        for line in [
            "tank/a\t1\t2\t3\t0\t-\t0",
            "tank/a@x\t1",
            "tank/a@x\t1\t2\t3\t0\t-\t0\tmore",
        ] {
            let error = read(&format!("tank/a@x\t1\t2\t3\t0\t-\t0\n{line}")).unwrap_err();
            assert!(error.0.contains("line 2"), "{error}");
        }
    }
}
