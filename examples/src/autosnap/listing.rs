//! Snapshots and bookmarks as `zfs list` prints them.

use jiff::Timestamp;
use zfs_retention::{Guid, Snapshot, Txg};

use super::targets::Marked;
use crate::exit::UsageError;

/// The columns that [`read`] wants, for
/// `zfs list -Hp -t snapshot,bookmark -o`.
pub const COLUMNS: &str = "name,guid,createtxg,creation,userrefs,clones,used";

/// What a list says.
#[derive(Debug, Default)]
pub struct Listing {
    /// The snapshots. The id is the dataset.
    pub snapshots: Vec<Snapshot<String>>,
    /// The markers among the bookmarks, and those of what is being sent, each
    /// with the dataset that it stands on.
    pub marked: Vec<(String, Marked)>,
}

/// Reads `zfs list -Hp -t snapshot,bookmark -o` [`COLUMNS`].
pub fn read(text: &str) -> Result<Listing, UsageError> {
    let mut listing = Listing::default();
    for (number, line) in (1..).zip(text.lines()) {
        if !line.is_empty() && read_line(line, &mut listing).is_none() {
            return Err(UsageError(format!(
                "cannot read line {number} of the list of snapshots, {line:?}: \
                 make it with zfs list -Hp -t snapshot,bookmark -o {COLUMNS}"
            )));
        }
    }
    Ok(listing)
}

fn read_line(line: &str, listing: &mut Listing) -> Option<()> {
    let columns: Vec<&str> = line.split('\t').collect();
    let [name, guid, createtxg, creation, userrefs, clones, used] = columns[..] else {
        return None;
    };
    let (guid, createtxg) = (Guid(guid.parse().ok()?), Txg(createtxg.parse().ok()?));
    if let Some((dataset, _)) = name.split_once('#') {
        let marked = Marked::of(name, guid, createtxg);
        let marked = marked.map(|marked| (dataset.to_owned(), marked));
        listing.marked.extend(marked);
        return Some(());
    }
    let (dataset, name) = name.split_once('@')?;
    let creation = Timestamp::from_second(creation.parse().ok()?).ok()?;
    let clones = match clones {
        "" | "-" => 0,
        list => u32::try_from(list.split(',').count()).ok()?,
    };
    let mut snapshot = Snapshot::new(name, guid, createtxg, creation)
        .held(number(userrefs)?)
        .cloned(clones);
    if used != "-" {
        snapshot = snapshot.using(used.parse().ok()?);
    }
    listing.snapshots.push(snapshot.with_id(dataset.to_owned()));
    Some(())
}

fn number(column: &str) -> Option<u32> {
    match column {
        "-" => Some(0),
        digits => digits.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use zfs_retention::Target;

    use super::*;

    #[test]
    fn lines_of_zfs_list_are_read() {
        let text = "tank/a@x\t17\t5\t1767225600\t2\ttank/b,tank/c\t4096\n\
                    tank/a@y z\t18\t6\t1767225601\t0\t-\t0\n";
        let snapshots = read(text).unwrap().snapshots;
        assert_eq!(snapshots[0].id, "tank/a");
        assert_eq!((snapshots[0].userrefs, snapshots[0].clones), (2, 2));
        assert_eq!(snapshots[0].used, Some(4096));
        assert_eq!(
            (snapshots[1].name.as_str(), snapshots[1].clones),
            ("y z", 0)
        );
    }

    #[test]
    fn markers_among_the_bookmarks_are_targets() {
        let text = "tank/a@x\t17\t5\t1767225600\t0\t-\t4096\n\
                    tank/a#replica-nas-0000000000000011\t17\t5\t1767225600\t-\t-\t-\n\
                    tank/a#replica-tape-0000000000000012\t17\t5\t1767225600\t-\t-\t-\n\
                    tank/a#sending-usb-0000000000000011\t17\t5\t1767225600\t-\t-\t-\n\
                    tank/a#sending-usb-0000000000000012\t17\t5\t1767225600\t-\t-\t-\n\
                    tank/a#mine\t17\t5\t1767225600\t-\t-\t-\n";
        let listing = read(text).unwrap();
        assert_eq!(listing.snapshots.len(), 1);
        let nas = Marked {
            target: Target::new("nas").marker(Guid(17), Txg(5)).required(),
            bookmark: "tank/a#replica-nas-0000000000000011".to_owned(),
        };
        let usb = Marked {
            target: Target::new("usb").sending(Guid(17)),
            bookmark: "tank/a#sending-usb-0000000000000011".to_owned(),
        };
        assert_eq!(
            listing.marked,
            [nas, usb].map(|it| ("tank/a".to_owned(), it))
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
