//! One line of a listing: what a dataset, snapshot or bookmark has in each
//! column.

use std::collections::HashMap;
use std::time::SystemTime;

use jiff::tz::TimeZone;
use zfs_core::{
    DatasetName, DatasetProperties, Entry, PropertyValue, SnapshotName, SnapshotOrBookmark, Source,
    SpaceOf, Version, Zfs,
};

use super::columns::{Column, FS, Kinds, Look, MARK, Native, SNAP, VOL};
use super::mounts::Mounts;
use super::nice::{self, Clock};

/// What the values of all rows need.
pub struct Context {
    /// The handle.
    pub zfs: Zfs,
    /// The kernel module's version, which is that of zfs(8).
    pub version: Version,
    /// Numbers in full.
    pub literal: bool,
    /// The zone of times.
    pub zone: TimeZone,
    /// What is mounted; none where no column asks.
    pub mounts: Mounts,
    /// Folders that pools' mountpoints are in.
    pub altroots: HashMap<String, String>,
}

/// Something that is listed.
pub struct Row {
    /// Its name.
    pub name: String,
    /// What it is, one of [`FS`], [`VOL`], [`SNAP`], [`MARK`].
    pub kind: Kinds,
    /// When it was created, in transaction groups.
    pub createtxg: u64,
    guid: u64,
    creation: Option<u64>,
    clones: Option<u64>,
    properties: Option<DatasetProperties>,
}

/// A value, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// As it is shown.
    pub text: String,
    /// Its source, as `zfs list -j` has it.
    pub source: Origin,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// As ZFS tells.
    Zfs(Source),
    /// A mount option, for the time being.
    Temporary,
}

/// What rows are sorted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// It has no such property, and comes last whatever the direction.
    Missing,
    /// A number.
    Number(u64),
    /// A text.
    Text(String),
}

const PLAIN: Origin = Origin::Zfs(Source::None);

/// Kept by a filesystem in itself, and asked for by themselves.
const INSIDE: [&str; 4] = ["version", "utf8only", "normalization", "casesensitivity"];

fn cell(text: impl Into<String>) -> Cell {
    Cell {
        text: text.into(),
        source: PLAIN,
    }
}

/// What is asked for by itself, which zfs(8) shows as if it was set here.
fn asked(text: String) -> Cell {
    Cell {
        text,
        source: Origin::Zfs(Source::Local),
    }
}

impl Row {
    /// What a listing brought.
    pub fn of(entry: Entry) -> Row {
        let (name, guid) = (entry.name().to_owned(), entry.guid().0);
        let createtxg = entry.createtxg().0;
        let creation = entry.creation().and_then(|time| {
            let since = time.duration_since(SystemTime::UNIX_EPOCH);
            since.ok().map(|since| since.as_secs())
        });
        let (kind, clones, properties) = match entry {
            Entry::Dataset(dataset) => {
                let kind = match dataset.kind {
                    zfs_core::DatasetKind::Filesystem => FS,
                    zfs_core::DatasetKind::Volume => VOL,
                };
                (kind, None, dataset.properties)
            }
            Entry::Snapshot(snapshot) => {
                let properties = snapshot.properties;
                let clones = properties.as_ref().and_then(DatasetProperties::clones);
                (SNAP, clones.map(|names| names.len() as u64), properties)
            }
            Entry::Bookmark(bookmark) => (MARK, None, bookmark.properties),
        };
        Row {
            name,
            kind,
            createtxg,
            guid,
            creation,
            clones,
            properties,
        }
    }

    /// Reads what a filesystem keeps in itself, where a column asks for it.
    pub fn look_inside(&mut self, zfs: &Zfs) {
        let whole = match self.kind {
            FS => self
                .name
                .parse::<DatasetName>()
                .and_then(|name| zfs.properties(&name)),
            SNAP => self
                .name
                .parse::<SnapshotName>()
                .and_then(|name| zfs.properties(&name)),
            _ => return,
        };
        if let Ok(whole) = whole {
            self.properties = Some(whole);
        }
    }

    /// The same with what came with a stream in place of what is in force, and
    /// the names of those properties.
    pub fn received(&self, zfs: &Zfs) -> Option<(Row, Vec<String>)> {
        let properties = match self.kind {
            SNAP => zfs.received_properties(&self.name.parse::<SnapshotName>().ok()?),
            MARK => return None,
            _ => zfs.received_properties(&self.name.parse::<DatasetName>().ok()?),
        };
        let properties = properties.ok()?;
        let names = properties.iter().map(|(name, _)| name).collect();
        let row = Row {
            name: self.name.clone(),
            properties: Some(properties),
            ..*self
        };
        Some((row, names))
    }

    /// Whether [`Row::look_inside`] is needed for a column.
    pub fn is_inside(column: &Column) -> bool {
        INSIDE.iter().any(|name| column.is(name))
    }

    /// The names of its user properties.
    pub fn user_properties(&self) -> Vec<String> {
        let properties = self.properties.iter().filter(|_| self.kind != MARK);
        properties
            .flat_map(DatasetProperties::user)
            .map(|(name, _)| name)
            .collect()
    }

    /// What it is, in ZFS' word.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            FS => "filesystem",
            VOL => "volume",
            SNAP => "snapshot",
            _ => "bookmark",
        }
    }

    /// The pool it is in.
    pub fn pool(&self) -> &str {
        self.name.split(['/', '@', '#']).next().unwrap_or_default()
    }

    /// What it has in a column; none where it has nothing there.
    pub fn value(&self, column: &Column, context: &Context) -> Option<Cell> {
        match column {
            Column::Native(native) => self.native(native, context),
            Column::Somebody(which, who) => self.somebody(*which, who, context),
            Column::Written(since) => {
                let bytes = self.written(since, context)?;
                Some(asked(self.bytes(bytes, context)))
            }
            Column::User(name) => {
                let properties = self.properties.as_ref().filter(|_| self.kind != MARK)?;
                let property = properties.get(name)?;
                match property.value {
                    PropertyValue::Text(text) => Some(Cell {
                        text,
                        source: Origin::Zfs(property.source),
                    }),
                    PropertyValue::Number(_) => None,
                }
            }
        }
    }

    fn bytes(&self, number: u64, context: &Context) -> String {
        let _ = self;
        if context.literal {
            number.to_string()
        } else {
            nice::bytes(number)
        }
    }

    fn has(&self, native: &Native, version: Version) -> bool {
        native.kinds(version) & self.kind != 0
    }

    /// Whether a snapshot's dataset has the property: what is a number to ZFS
    /// a snapshot has only then.
    fn head_has(&self, native: &Native, version: Version) -> bool {
        let kinds = native.kinds(version);
        if self.kind != SNAP || kinds == SNAP {
            return true;
        }
        let number = self.properties.as_ref().and_then(|p| p.number("type"));
        kinds & if number == Some(3) { VOL } else { FS } != 0
    }

    fn native(&self, native: &Native, context: &Context) -> Option<Cell> {
        let (name, literal) = (native.name, context.literal);
        if !self.has(native, context.version) {
            return None;
        }
        match name {
            "name" => return Some(cell(self.name.as_str())),
            "type" => return Some(cell(self.kind_name())),
            "guid" => return Some(cell(self.guid.to_string())),
            "createtxg" => return Some(cell(self.createtxg.to_string())),
            "mounted" => {
                let word = if context.mounts.has(&self.name) {
                    "yes"
                } else {
                    "no"
                };
                return Some(cell(word));
            }
            "creation" => {
                let seconds = self.creation?;
                let text = if literal {
                    seconds.to_string()
                } else {
                    nice::time(seconds, Clock::Minutes, &context.zone)
                };
                return Some(cell(text));
            }
            _ => {}
        }
        if native.look == Look::Text {
            return self.text(native, context);
        }
        if !self.head_has(native, context.version) {
            return None;
        }
        let properties = self.properties.as_ref()?;
        let source = properties
            .get(name)
            .map_or(Source::None, |property| property.source);
        if let Look::Word(_) = native.look {
            return self.word(native, properties, context);
        }
        let number = self.plain_number(native)?;
        let text = match native.look {
            Look::Changed if number == 0 => return None,
            Look::Changed if !literal => nice::time(number, Clock::Seconds, &context.zone),
            Look::Quota if number == 0 && !literal => "none".to_owned(),
            Look::Limit
                if number == u64::MAX && (!literal || context.version > Version::OLDEST) =>
            {
                "none".to_owned()
            }
            Look::Ratio => {
                let end = if literal { "" } else { "x" };
                format!("{}.{:02}{end}", number / 100, number % 100)
            }
            Look::Bytes | Look::Quota => self.bytes(number, context),
            Look::Number | Look::Limit if !literal => nice::number(number),
            _ => number.to_string(),
        };
        Some(Cell {
            text,
            source: Origin::Zfs(source),
        })
    }

    /// The number that ZFS gives.
    fn plain_number(&self, native: &Native) -> Option<u64> {
        match native.name {
            "guid" => return Some(self.guid),
            "createtxg" => return Some(self.createtxg),
            "creation" => return self.creation,
            "numclones" => return self.clones,
            _ => {}
        }
        let properties = self.properties.as_ref()?;
        let number = properties.number(native.name);
        match native.name {
            "inconsistent" | "redacted" | "pbkdf2salt" => number.or(Some(0)),
            _ => number,
        }
    }

    fn text(&self, native: &Native, context: &Context) -> Option<Cell> {
        let properties = self.properties.as_ref()?;
        let property = properties.get(native.name)?;
        let mut text = match property.value {
            PropertyValue::Text(text) => text,
            PropertyValue::Number(number) => number.to_string(),
        };
        match native.name {
            "clones" if text.is_empty() => return None,
            // Where it is read with altroot, it has it.
            "mountpoint" if text.starts_with('/') && properties.altroot().is_none() => {
                if let Some(root) = context.altroots.get(self.pool()) {
                    let root = root.trim_end_matches('/');
                    text = match (text.as_str(), root) {
                        ("/", root) if !root.is_empty() => root.to_owned(),
                        (text, root) => format!("{root}{text}"),
                    };
                }
            }
            _ => {}
        }
        Some(Cell {
            text,
            source: Origin::Zfs(property.source),
        })
    }

    fn word(
        &self,
        native: &Native,
        properties: &DatasetProperties,
        context: &Context,
    ) -> Option<Cell> {
        let property = properties.get(native.name)?;
        let number = properties.number(native.name);
        let instead =
            number.and_then(|number| context.mounts.instead(&self.name, native.name, number != 0));
        if let Some(on) = instead {
            return Some(Cell {
                text: if on { "on" } else { "off" }.to_owned(),
                source: Origin::Temporary,
            });
        }
        match property.value {
            PropertyValue::Text(text) => Some(Cell {
                text,
                source: Origin::Zfs(property.source),
            }),
            PropertyValue::Number(_) => None,
        }
    }

    fn written(&self, since: &str, context: &Context) -> Option<u64> {
        let (dataset, snapshot) = match self.kind {
            FS | VOL => (self.name.as_str(), false),
            SNAP => (self.name.split_once('@')?.0, true),
            _ => return None,
        };
        let since: SnapshotOrBookmark = format!("{dataset}{since}").parse().ok()?;
        let written = if snapshot {
            let name: SnapshotName = self.name.parse().ok()?;
            context.zfs.written_since(&name, &since)
        } else {
            let name: DatasetName = self.name.parse().ok()?;
            context.zfs.written_since(&name, &since)
        };
        written.ok()
    }

    fn somebody(&self, which: usize, who: &str, context: &Context) -> Option<Cell> {
        let what = *SpaceOf::ALL.get(which)?;
        let id = what.id_of(who).ok()?;
        let number = if self.kind == SNAP {
            let snapshot: SnapshotName = self.name.parse().ok()?;
            context.zfs.space_of(&snapshot, what, id).ok()?
        } else {
            let dataset: DatasetName = self.name.parse().ok()?;
            context.zfs.space_of(&dataset, what, id).ok()?
        };
        let quota = which % 2 == 1;
        let objects = matches!(which, 4..=7 | 10 | 11);
        Some(asked(match (context.literal, quota && number == 0) {
            (true, _) => number.to_string(),
            (false, true) => "none".to_owned(),
            (false, false) if objects => nice::number(number),
            (false, false) => nice::bytes(number),
        }))
    }

    /// What it is sorted by in a column.
    pub fn key(&self, column: &Column, context: &Context) -> Key {
        match column {
            Column::Native(native) if native.look.is_text() => self
                .value(column, context)
                .map_or(Key::Missing, |cell| Key::Text(cell.text)),
            Column::Native(native) if !self.has(native, context.version) => Key::Missing,
            Column::Native(native) if native.name == "mounted" => {
                Key::Number(u64::from(context.mounts.has(&self.name)))
            }
            Column::Native(native) => {
                let number = self.plain_number(native).unwrap_or_default();
                let instead = context.mounts.instead(&self.name, native.name, number != 0);
                Key::Number(instead.map_or(number, u64::from))
            }
            _ => self
                .value(column, context)
                .map_or(Key::Missing, |cell| Key::Text(cell.text)),
        }
    }
}
