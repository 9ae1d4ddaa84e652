//! What `zfs list` says, read with distrust.
//!
//! The other end may be broken or hostile. Every line has to be one that ZFS
//! could have written about something inside the tree that was asked for, and
//! nothing may come twice; anything else is an error, and nothing was changed
//! because of it.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use zfs_core::{DatasetName, Guid, SnapshotOrBookmark, Txg};

use super::super::local::partial;
use super::twice::{Malformed, Twice};
use crate::plan::{Base, Stream};
use crate::properties::Properties;
use crate::tree::{Bookmark, Dataset, Encryption, Key, Kind, Snapshot};

/// What is asked of datasets, in this order.
pub(super) const COLUMNS: &str = "name,type,guid,createtxg,origin,encryptionroot,keystatus,receive_resume_token,creation,ivsetguid";
const COLUMN_COUNT: usize = 10;

/// One column more: what was written to a dataset.
pub(super) const WRITTEN: &str = ",written";

/// What is asked of snapshots and bookmarks, and of datasets once more: from
/// OpenZFS 2.2 on the kernel gives no more than this along with their names, and
/// anything else makes zfs(8) ask for each snapshot.
pub const POINTS: &str = "name,guid,createtxg";
pub(super) const TIMES: &str = ",creation";

/// What [`ivsets`] reads.
pub(super) const IVSETS: &str = "name,ivsetguid";

/// What [`sizes`] reads.
pub(super) const SIZES: &str = "name,createtxg,written,referenced";

/// The longest line: a resume token is the longest of what it has.
const MAX_LINE_BYTES: usize = 64 << 10;

/// Reads the output of
/// `zfs list -Hp -o name,type,guid,createtxg,origin,encryptionroot,keystatus,receive_resume_token,creation,ivsetguid`
/// (and `written`) for everything within `root`: datasets in the order in which
/// they come, each before its snapshots and bookmarks. Behind it may come that of
/// `zfs list -Hp -o name,guid,createtxg` (and `creation`): datasets again, and
/// snapshots and bookmarks. What is in one of the two alone was made or destroyed
/// between them, and is left out.
///
/// # Errors
///
/// [`Malformed`]: ZFS would not have written that, or datasets were renamed
/// between the two.
pub fn parse(
    output: &[u8],
    within: impl Fn(&DatasetName) -> bool,
) -> Result<Vec<Dataset>, Malformed> {
    let mut found = Twice::default();
    let mut last = 0;
    for (number, line) in lines(output) {
        let row = Row::read(line);
        row.and_then(|row| add(&mut found, &row, &within))
            .map_err(|problem| Malformed::new(number, problem))?;
        last = number;
    }
    found.stayed().map_err(|problem| Malformed {
        meanwhile: true,
        ..Malformed::new(last, problem)
    })
}

fn add<'a>(
    found: &mut Twice<'a, Dataset>,
    row: &Row<'a>,
    within: impl Fn(&DatasetName) -> bool,
) -> Result<(), String> {
    let is_within = |name: &DatasetName| {
        let wrong = || format!("{name} was not asked for");
        within(name).then_some(()).ok_or_else(wrong)
    };
    match row.kind {
        "filesystem" | "volume" => {
            let dataset = row.dataset()?;
            is_within(&dataset.name)?;
            found.dataset(row.name, dataset.guid, dataset)
        }
        AGAIN => {
            row.createtxg()?;
            is_within(&row.name.parse().map_err(|error| format!("{error}"))?)?;
            found.again(row.name, row.guid()?)
        }
        "snapshot" | "bookmark" => {
            let name: SnapshotOrBookmark = row.name.parse().map_err(|error| format!("{error}"))?;
            let (guid, createtxg) = (row.guid()?, row.createtxg()?);
            let (creation, ivset) = (row.creation()?, row.ivset()?);
            let Some(owner) = found.owner(row.name)? else {
                return Ok(());
            };
            match (name, row.kind) {
                (SnapshotOrBookmark::Snapshot(name), "snapshot") => {
                    owner.snapshots.push(Snapshot {
                        name,
                        guid,
                        createtxg,
                        creation,
                        ivset,
                    });
                }
                (SnapshotOrBookmark::Bookmark(name), "bookmark") => {
                    owner.bookmarks.push(Bookmark {
                        name,
                        guid,
                        createtxg,
                        ivset,
                    });
                }
                (name, kind) => return Err(format!("{name} is no {kind}")),
            }
            Ok(())
        }
        other => Err(format!("{other:?} is no kind of dataset")),
    }
}

/// How much a snapshot has.
#[derive(Clone, Debug)]
pub(super) struct Size {
    name: SnapshotOrBookmark,
    createtxg: Txg,
    /// In bytes, since the snapshot before it.
    written: u64,
    /// In bytes, altogether.
    referenced: u64,
}

/// Adds to a listing of datasets which IV sets their snapshots and bookmarks
/// have, from the output of `zfs list -Hp -o` [`IVSETS`]. What came to be
/// meanwhile is not in the listing.
///
/// # Errors
///
/// [`Malformed`]: ZFS would not have written that.
pub(super) fn ivsets(output: &[u8], datasets: &mut [Dataset]) -> Result<(), Malformed> {
    let mut all: HashMap<SnapshotOrBookmark, Guid> = HashMap::new();
    for (number, line) in lines(output) {
        let wrong = |problem: String| Malformed::new(number, problem);
        let line = text(line).map_err(wrong)?;
        let (name, ivset) = line
            .split_once('\t')
            .ok_or_else(|| wrong("it has 1 column instead of 2".to_owned()))?;
        let name = name.parse().map_err(|error| wrong(format!("{error}")))?;
        if ivset != "-" {
            let ivset = self::number(ivset).map(Guid).map_err(wrong)?;
            all.insert(name, ivset);
        }
    }
    for dataset in datasets {
        for own in &mut dataset.snapshots {
            own.ivset = all.get(&own.name.clone().into()).copied();
        }
        for own in &mut dataset.bookmarks {
            own.ivset = all.get(&own.name.clone().into()).copied();
        }
    }
    Ok(())
}

/// What `zfs list -Hp -o` [`SIZES`] says of snapshots and bookmarks, by dataset.
/// Nothing is done because of it: what cannot be read is left out.
pub(super) fn sizes(output: &[u8]) -> HashMap<DatasetName, Vec<Size>> {
    let mut all: HashMap<DatasetName, Vec<Size>> = HashMap::new();
    let read = |line| {
        let columns: Vec<&str> = text(line).ok()?.splitn(5, '\t').collect();
        let [name, createtxg, written, referenced] = columns[..] else {
            return None;
        };
        let bytes = |text: &str| number(text).unwrap_or(0);
        Some(Size {
            name: name.parse().ok()?,
            createtxg: number(createtxg).map(Txg).ok()?,
            written: bytes(written),
            referenced: bytes(referenced),
        })
    };
    for size in lines(output).filter_map(|(_, line)| read(line)) {
        all.entry(size.name.dataset().clone())
            .or_default()
            .push(size);
    }
    all
}

/// About how many bytes a stream has: all that the snapshot refers to, or what
/// was written since its base.
pub(super) fn estimate(sizes: &HashMap<DatasetName, Vec<Size>>, stream: &Stream) -> Option<u64> {
    let own = sizes.get(stream.to.name.dataset())?;
    let to = SnapshotOrBookmark::from(stream.to.name.clone());
    let to = own.iter().find(|size| size.name == to)?;
    let bytes = match &stream.from {
        None => to.referenced,
        Some(base) => {
            let base: SnapshotOrBookmark = match base {
                Base::Snapshot { name, .. } => name.clone().into(),
                Base::Bookmark { name, .. } => name.clone().into(),
            };
            let base = sizes
                .get(base.dataset())?
                .iter()
                .find(|size| size.name == base)?;
            let between = base.createtxg.0.saturating_add(1)..=to.createtxg.0;
            let since = own
                .iter()
                .filter(|size| between.contains(&size.createtxg.0));
            since.fold(0_u64, |sum, size| sum.saturating_add(size.written))
        }
    };
    let arrived = stream.resume.as_ref().map_or(0, |point| point.bytes);
    Some(bytes.saturating_sub(arrived))
}

/// Writes what [`parse`] reads, except for resume tokens: of them it stays
/// known that there was one.
pub(in crate::endpoint) fn write(datasets: &[Dataset]) -> String {
    fn or_none<T: ToString>(value: Option<T>) -> String {
        value.map_or_else(|| "-".to_owned(), |value| value.to_string())
    }
    let ivset = |ivset: &Option<Guid>| or_none(ivset.map(|Guid(number)| number));
    let mut lines = Vec::new();
    for dataset in datasets {
        let kind = match dataset.kind {
            Kind::Filesystem => "filesystem",
            Kind::Volume => "volume",
        };
        let status = dataset.encryption.as_ref().map(|own| match own.key {
            Key::Loaded => "available",
            Key::Unavailable => "unavailable",
        });
        lines.push(format!(
            "{}\t{kind}\t{}\t0\t{}\t{}\t{}\t{}\t-\t-\n",
            dataset.name,
            dataset.guid.0,
            or_none(dataset.origin.as_ref()),
            or_none(dataset.encryption.as_ref().map(|own| &own.root)),
            or_none(status),
            or_none(dataset.partial.as_ref().map(|_| "?")),
        ));
        for own in &dataset.snapshots {
            let since = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).ok();
            let creation = own.creation.and_then(since).map(|since| since.as_secs());
            lines.push(format!(
                "{}\tsnapshot\t{}\t{}\t-\t-\t-\t-\t{}\t{}\n",
                own.name,
                own.guid.0,
                own.createtxg.0,
                or_none(creation),
                ivset(&own.ivset),
            ));
        }
        for own in &dataset.bookmarks {
            lines.push(format!(
                "{}\tbookmark\t{}\t{}\t-\t-\t-\t-\t-\t{}\n",
                own.name,
                own.guid.0,
                own.createtxg.0,
                ivset(&own.ivset),
            ));
        }
    }
    lines.concat()
}

/// Reads the output of `zfs get -Hp -o name,property,value` for everything
/// within what was asked about.
///
/// # Errors
///
/// [`Malformed`]: ZFS would not have written that.
pub(super) fn properties(
    output: &[u8],
    within: impl Fn(&DatasetName) -> bool,
) -> Result<HashMap<DatasetName, Properties>, Malformed> {
    let mut all: HashMap<DatasetName, Properties> = HashMap::new();
    // A value may have line breaks in it: what follows belongs to it.
    let mut last: Option<(DatasetName, String)> = None;
    for (number, line) in lines(output) {
        let wrong = |problem: String| Malformed::new(number, problem);
        let line = text(line).map_err(wrong)?;
        let columns: Vec<&str> = line.splitn(3, '\t').collect();
        let row = match columns.as_slice() {
            [name, property, value] => name
                .parse::<DatasetName>()
                .ok()
                .filter(|name| within(name))
                .map(|name| (name, *property, *value)),
            _ => None,
        };
        if let Some((name, property, value)) = row {
            let own = all.entry(name.clone()).or_default();
            own.insert(property.to_owned(), value.to_owned());
            last = Some((name, property.to_owned()));
            continue;
        }
        let value = last
            .as_ref()
            .and_then(|(name, property)| all.get_mut(name)?.get_mut(property));
        let Some(value) = value else {
            return Err(wrong(format!(
                "{line:?} is no property of what was asked about"
            )));
        };
        value.push('\n');
        value.push_str(line);
    }
    Ok(all)
}

fn lines(output: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let body = output.strip_suffix(b"\n").unwrap_or(output);
    let lines = body.split(|byte| *byte == b'\n');
    lines
        .enumerate()
        .map(|(index, line)| (index + 1, line))
        .filter(move |_| !body.is_empty())
}

fn text(line: &[u8]) -> Result<&str, String> {
    if line.len() > MAX_LINE_BYTES {
        return Err(format!("it has {} bytes", line.len()));
    }
    std::str::from_utf8(line).map_err(|_| "it is no text".to_owned())
}

/// The kind of a row that names a dataset for the second time.
const AGAIN: &str = "dataset";

#[derive(Default)]
struct Row<'a> {
    name: &'a str,
    kind: &'a str,
    guid: &'a str,
    createtxg: &'a str,
    origin: Option<&'a str>,
    encryption_root: Option<&'a str>,
    key_status: Option<&'a str>,
    token: Option<&'a str>,
    creation: Option<&'a str>,
    ivset: Option<&'a str>,
    written: Option<&'a str>,
}

impl<'a> Row<'a> {
    fn read(line: &'a [u8]) -> Result<Row<'a>, String> {
        let columns: Vec<&str> = text(line)?.splitn(COLUMN_COUNT + 2, '\t').collect();
        let given = |value: &'a str| Some(value).filter(|value| *value != "-" && !value.is_empty());
        match columns.as_slice() {
            [name, guid, createtxg, creation @ ..] if creation.len() < 2 => Ok(Row {
                name,
                kind: if name.contains('#') {
                    "bookmark"
                } else if name.contains('@') {
                    "snapshot"
                } else {
                    AGAIN
                },
                guid,
                createtxg,
                creation: creation.first().and_then(|creation| given(creation)),
                ..Row::default()
            }),
            [
                name,
                kind,
                guid,
                createtxg,
                origin,
                root,
                status,
                token,
                creation,
                ivset,
                written @ ..,
            ] if written.len() < 2 => Ok(Row {
                name,
                kind,
                guid,
                createtxg,
                origin: given(origin),
                encryption_root: given(root),
                key_status: given(status),
                token: given(token),
                creation: given(creation),
                ivset: given(ivset),
                written: written.first().and_then(|written| given(written)),
            }),
            columns => Err(format!(
                "it has {} columns instead of {COLUMN_COUNT}",
                columns.len()
            )),
        }
    }

    fn guid(&self) -> Result<Guid, String> {
        number(self.guid).map(Guid)
    }

    fn createtxg(&self) -> Result<Txg, String> {
        number(self.createtxg).map(Txg)
    }

    fn creation(&self) -> Result<Option<SystemTime>, String> {
        let seconds = self.creation.map(number).transpose()?;
        let Some(seconds) = seconds.map(Duration::from_secs) else {
            return Ok(None);
        };
        let time = SystemTime::UNIX_EPOCH.checked_add(seconds);
        time.map(Some)
            .ok_or_else(|| format!("{} s is no time", seconds.as_secs()))
    }

    fn ivset(&self) -> Result<Option<Guid>, String> {
        Ok(self.ivset.map(number).transpose()?.map(Guid))
    }

    fn dataset(&self) -> Result<Dataset, String> {
        let name = self.name.parse().map_err(|error| format!("{error}"))?;
        let mut dataset = Dataset::new(name, self.guid()?);
        if self.kind == "volume" {
            dataset.kind = Kind::Volume;
        }
        self.createtxg()?;
        dataset.origin = self
            .origin
            .map(|origin| origin.parse().map_err(|error| format!("{error}")))
            .transpose()?;
        dataset.encryption = match self.encryption_root {
            None => None,
            Some(root) => Some(Encryption {
                root: root.parse().map_err(|error| format!("{error}"))?,
                key: match self.key_status {
                    Some("available") => Key::Loaded,
                    Some("unavailable") => Key::Unavailable,
                    other => return Err(format!("{other:?} is no status of a key")),
                },
            }),
        };
        dataset.partial = self.token.map(partial);
        dataset.written = self.written.map(number).transpose()?;
        Ok(dataset)
    }
}

fn number(text: &str) -> Result<u64, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or_else(|| {
        format!(
            "{:?} is no number",
            text.chars().take(30).collect::<String>()
        )
    })
}

#[cfg(test)]
mod tests;
