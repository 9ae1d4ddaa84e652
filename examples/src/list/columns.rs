//! The columns that `-o`, `-s` and `-S` can name.
//!
//! Source of names, headings, order and types: `module/zcommon/zfs_prop.c` of
//! OpenZFS, and what `zfs list -o all` prints.

use zfs_core::Version;

/// What a row is about, as bits: a column belongs to some of them.
pub type Kinds = u8;
/// A filesystem.
pub const FS: Kinds = 1;
/// A volume.
pub const VOL: Kinds = 2;
/// A snapshot.
pub const SNAP: Kinds = 4;
/// A bookmark.
pub const MARK: Kinds = 8;
const DATA: Kinds = FS | VOL;
const SET: Kinds = FS | VOL | SNAP;
const ALL: Kinds = 15;

/// How a value looks, and how wide its column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Bytes: `1.50K`, `0B`.
    Bytes,
    /// Bytes of which 0 is none.
    Quota,
    /// A number in powers of 1024.
    Number,
    /// A number of which the largest is none.
    Limit,
    /// A number that means nothing when it is shortened.
    Id,
    /// Hundredths.
    Ratio,
    /// A time, to the minute.
    Creation,
    /// A time, to the second.
    Changed,
    /// One of some words, the longest of so many letters.
    Word(usize),
    /// A text.
    Text,
}

impl Look {
    /// Texts are sorted as texts, everything else as numbers.
    pub fn is_text(self) -> bool {
        self == Look::Text
    }
}

/// A property of ZFS' own.
#[derive(Debug)]
pub struct Native {
    /// Its name.
    pub name: &'static str,
    /// What stands above the column, which is a short name as well.
    pub heading: &'static str,
    /// How it looks.
    pub look: Look,
    kinds: Kinds,
    since: Version,
    /// Not one of `-o all`.
    hidden: bool,
}

impl Native {
    /// What has it in that version.
    pub fn kinds(&self, version: Version) -> Kinds {
        match self.name {
            "special_small_blocks" if version >= R2_4 => DATA,
            _ => self.kinds,
        }
    }

    /// Whether numbers stand at the right of the column.
    pub fn right(&self) -> bool {
        !matches!(
            self.look,
            Look::Creation | Look::Changed | Look::Word(_) | Look::Text
        )
    }

    /// The least width of the column.
    pub fn width(&self, version: Version) -> usize {
        let heading = self.heading.len();
        match self.look {
            Look::Text | Look::Creation | Look::Changed => heading,
            // The longest word came with 2.3.
            Look::Word(_) if self.name == "snapdir" && version < R2_3 => heading,
            Look::Word(letters) => heading.max(letters),
            // The number of this property is that of a pool's health, which
            // 2.1 mistakes it for.
            _ if self.name == "referenced" && version < R2_2 => 8,
            _ => heading.max(5),
        }
    }

    /// Whether the column is as wide as its widest value.
    pub fn flexible(&self, version: Version, literal: bool) -> bool {
        literal
            || match self.look {
                Look::Text | Look::Creation | Look::Changed => true,
                Look::Id => version >= R2_2,
                _ => false,
            }
    }
}

const R2_1: Version = Version::new(2, 1);
const R2_2: Version = Version::new(2, 2);
const R2_3: Version = Version::new(2, 3);
const R2_4: Version = Version::new(2, 4);

const fn native(name: &'static str, heading: &'static str, look: Look, kinds: Kinds) -> Native {
    Native {
        name,
        heading,
        look,
        kinds,
        since: R2_1,
        hidden: false,
    }
}

impl Native {
    const fn since(mut self, version: Version) -> Native {
        self.since = version;
        self
    }

    const fn hidden(mut self) -> Native {
        self.hidden = true;
        self
    }
}

const BOOL: Look = Look::Word(3);
const CACHE: Look = Look::Word(8);

/// In the order of `-o all`.
static NATIVE: &[Native] = &[
    native("name", "NAME", Look::Text, ALL).hidden(),
    native("type", "TYPE", Look::Text, ALL),
    native("creation", "CREATION", Look::Creation, ALL),
    native("used", "USED", Look::Bytes, SET),
    native("available", "AVAIL", Look::Bytes, DATA),
    native("referenced", "REFER", Look::Bytes, ALL),
    native("compressratio", "RATIO", Look::Ratio, ALL),
    native("mounted", "MOUNTED", BOOL, FS),
    native("origin", "ORIGIN", Look::Text, DATA),
    native("quota", "QUOTA", Look::Quota, FS),
    native("reservation", "RESERV", Look::Quota, DATA),
    native("volsize", "VOLSIZE", Look::Number, SNAP | VOL),
    native("volblocksize", "VOLBLOCK", Look::Number, VOL),
    native("recordsize", "RECSIZE", Look::Number, FS),
    native("mountpoint", "MOUNTPOINT", Look::Text, FS),
    native("sharenfs", "SHARENFS", Look::Text, FS),
    native("checksum", "CHECKSUM", Look::Word(9), DATA),
    native("compression", "COMPRESS", Look::Word(14), DATA),
    native("atime", "ATIME", BOOL, FS),
    native("devices", "DEVICES", BOOL, FS | SNAP),
    native("exec", "EXEC", BOOL, FS | SNAP),
    native("setuid", "SETUID", BOOL, FS | SNAP),
    native("readonly", "RDONLY", BOOL, DATA),
    native("zoned", "ZONED", BOOL, FS),
    native("snapdir", "SNAPDIR", Look::Word(8), FS),
    native("aclmode", "ACLMODE", Look::Word(11), FS),
    native("aclinherit", "ACLINHERIT", Look::Word(13), FS),
    native("createtxg", "CREATETXG", Look::Id, ALL),
    native("canmount", "CANMOUNT", Look::Word(6), FS),
    native("xattr", "XATTR", BOOL, FS | SNAP),
    native("copies", "COPIES", Look::Word(1), DATA),
    native("version", "VERSION", Look::Word(7), FS | SNAP),
    native("utf8only", "UTF8ONLY", BOOL, FS | SNAP),
    native("normalization", "NORMALIZATION", Look::Word(6), FS | SNAP),
    native("casesensitivity", "CASE", Look::Word(11), FS | SNAP),
    native("vscan", "VSCAN", BOOL, FS),
    native("nbmand", "NBMAND", BOOL, FS | SNAP),
    native("sharesmb", "SHARESMB", Look::Text, FS),
    native("refquota", "REFQUOTA", Look::Quota, FS),
    native("refreservation", "REFRESERV", Look::Quota, DATA),
    native("guid", "GUID", Look::Id, ALL),
    native("primarycache", "PRIMARYCACHE", CACHE, SET),
    native("secondarycache", "SECONDARYCACHE", CACHE, SET),
    native("usedbysnapshots", "USEDSNAP", Look::Bytes, DATA),
    native("usedbydataset", "USEDDS", Look::Bytes, DATA),
    native("usedbychildren", "USEDCHILD", Look::Bytes, DATA),
    native("usedbyrefreservation", "USEDREFRESERV", Look::Bytes, DATA),
    native("defer_destroy", "DEFER_DESTROY", BOOL, SNAP),
    native("userrefs", "USERREFS", Look::Number, SNAP),
    native("logbias", "LOGBIAS", Look::Word(10), DATA),
    native("objsetid", "OBJSETID", Look::Id, SET),
    native("dedup", "DEDUP", Look::Word(13), DATA),
    native("mlslabel", "MLSLABEL", Look::Text, SET),
    native("sync", "SYNC", Look::Word(8), DATA),
    native("dnodesize", "DNSIZE", Look::Word(6), FS),
    native("refcompressratio", "REFRATIO", Look::Ratio, SET),
    native("written", "WRITTEN", Look::Number, SET),
    native("clones", "CLONES", Look::Text, SNAP),
    native("logicalused", "LUSED", Look::Number, DATA),
    native("logicalreferenced", "LREFER", Look::Number, ALL),
    native("volmode", "VOLMODE", Look::Word(7), DATA),
    native("filesystem_limit", "FSLIMIT", Look::Limit, FS),
    native("snapshot_limit", "SSLIMIT", Look::Limit, DATA),
    native("filesystem_count", "FSCOUNT", Look::Limit, FS),
    native("snapshot_count", "SSCOUNT", Look::Limit, DATA),
    native("snapdev", "SNAPDEV", Look::Word(7), DATA),
    native("acltype", "ACLTYPE", Look::Word(8), FS | SNAP),
    native("context", "CONTEXT", Look::Text, SET),
    native("fscontext", "FSCONTEXT", Look::Text, SET),
    native("defcontext", "DEFCONTEXT", Look::Text, SET),
    native("rootcontext", "ROOTCONTEXT", Look::Text, SET),
    native("relatime", "RELATIME", BOOL, FS),
    native("redundant_metadata", "REDUND_MD", Look::Word(4), DATA),
    native("overlay", "OVERLAY", BOOL, FS),
    native("receive_resume_token", "RESUMETOK", Look::Text, DATA),
    native("encryption", "ENCRYPTION", Look::Word(11), SET),
    native("keylocation", "KEYLOCATION", Look::Text, DATA),
    native("keyformat", "KEYFORMAT", Look::Word(10), DATA),
    native("pbkdf2iters", "PBKDF2ITERS", Look::Id, DATA),
    native("encryptionroot", "ENCROOT", Look::Text, SET),
    native("keystatus", "KEYSTATUS", Look::Word(11), SET),
    native(
        "special_small_blocks",
        "SPECIAL_SMALL_BLOCKS",
        Look::Number,
        FS,
    ),
    native("redact_snaps", "RSNAPS", Look::Text, ALL),
    native(
        "snapshots_changed",
        "SNAPSHOTS_CHANGED",
        Look::Changed,
        DATA,
    )
    .since(R2_2),
    native("prefetch", "PREFETCH", CACHE, SET).since(R2_3),
    native("volthreading", "zvol threading", BOOL, VOL).since(R2_3),
    native("direct", "DIRECT", Look::Word(8), FS).since(R2_3),
    native("longname", "LONGNAME", BOOL, FS).since(R2_3),
    native(
        "defaultuserquota",
        "DEFAULTUSERQUOTA",
        Look::Number,
        FS | SNAP,
    )
    .since(R2_4),
    native(
        "defaultgroupquota",
        "DEFAULTGROUPQUOTA",
        Look::Number,
        FS | SNAP,
    )
    .since(R2_4),
    native(
        "defaultprojectquota",
        "DEFAULTPROJECTQUOTA",
        Look::Number,
        FS | SNAP,
    )
    .since(R2_4),
    native(
        "defaultuserobjquota",
        "DEFAULTUSEROBJQUOTA",
        Look::Number,
        FS | SNAP,
    )
    .since(R2_4),
    native(
        "defaultgroupobjquota",
        "DEFAULTGROUPOBJQUOTA",
        Look::Number,
        FS | SNAP,
    )
    .since(R2_4),
    native(
        "defaultprojectobjquota",
        "DEFAULTPROJECTOBJQUOTA",
        Look::Number,
        FS | SNAP,
    )
    .since(R2_4),
    native("numclones", "NUMCLONES", Look::Number, SNAP).hidden(),
    native("inconsistent", "INCONSISTENT", Look::Number, SET).hidden(),
    native("redacted", "REDACTED", Look::Number, SET).hidden(),
    native("useraccounting", "USERACCOUNTING", Look::Number, SET).hidden(),
    native("unique", "UNIQUE", Look::Number, SET).hidden(),
    native("ivsetguid", "IVSETGUID", Look::Id, SET | MARK).hidden(),
    native("keyguid", "KEYGUID", Look::Id, SET).hidden(),
    native("pbkdf2salt", "PBKDF2SALT", Look::Number, DATA).hidden(),
    native("remaptxg", "REMAPTXG", Look::Number, SET).hidden(),
    native("iscsioptions", "ISCSIOPTIONS", Look::Text, VOL).hidden(),
    native("stmf_sbd_lu", "STMF_SBD_LU", Look::Text, VOL).hidden(),
    native("prevsnap", "PREVSNAP", Look::Text, DATA).hidden(),
];

/// Space used by or allowed for somebody: `userused@ann`.
pub const SOMEBODY: [&str; 12] = [
    "userused@",
    "userquota@",
    "groupused@",
    "groupquota@",
    "userobjused@",
    "userobjquota@",
    "groupobjused@",
    "groupobjquota@",
    "projectused@",
    "projectquota@",
    "projectobjused@",
    "projectobjquota@",
];

/// A column.
#[derive(Clone, Debug)]
pub enum Column {
    /// A property of ZFS' own.
    Native(&'static Native),
    /// Space of somebody: which of [`SOMEBODY`], and who.
    Somebody(usize, String),
    /// Written since a snapshot (`@`) or bookmark (`#`), with that mark.
    Written(String),
    /// A property of somebody's own.
    User(String),
}

impl Column {
    /// The column of that name, where there is one in that version.
    pub fn parse(name: &str, version: Version) -> Option<Column> {
        if let Some(native) = find(name, version) {
            return Some(Column::Native(native));
        }
        for (number, prefix) in SOMEBODY.iter().enumerate() {
            if let Some(who) = name.strip_prefix(prefix) {
                return Some(Column::Somebody(number, who.to_owned()));
            }
        }
        if let Some(since) = name.strip_prefix("written") {
            if since.starts_with(['@', '#']) {
                return Some(Column::Written(since.to_owned()));
            }
        }
        let user = name.contains(':')
            && name.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.:".contains(&byte)
            });
        user.then(|| Column::User(name.to_owned()))
    }

    /// The property's whole name.
    pub fn name(&self) -> String {
        match self {
            Column::Native(native) => native.name.to_owned(),
            Column::Somebody(number, who) => {
                format!(
                    "{}{who}",
                    SOMEBODY.get(*number).copied().unwrap_or_default()
                )
            }
            Column::Written(since) => format!("written{since}"),
            Column::User(name) => name.clone(),
        }
    }

    /// What stands above it.
    pub fn heading(&self) -> String {
        match self {
            Column::Native(native) => native.heading.to_owned(),
            _ => self.name().to_ascii_uppercase(),
        }
    }

    /// Whether it is the property of that name.
    pub fn is(&self, name: &str) -> bool {
        matches!(self, Column::Native(native) if native.name == name)
    }

    /// Whether it stands at the right.
    pub fn right(&self) -> bool {
        match self {
            Column::Native(native) => native.right(),
            Column::Somebody(..) | Column::Written(_) => true,
            Column::User(_) => false,
        }
    }
}

fn find(name: &str, version: Version) -> Option<&'static Native> {
    NATIVE.iter().find(|native| {
        let short = || native.heading.to_ascii_lowercase() == name;
        native.since <= version && (native.name == name || short())
    })
}

/// What `-o` says: names with commas between, with `space` for some of them.
///
/// # Errors
///
/// What is wrong with it, in zfs(8)'s words.
pub fn parse_list(list: &str, version: Version) -> Result<Vec<Column>, String> {
    const SPACE: &str =
        "name,avail,used,usedbysnapshots,usedbydataset,usedbyrefreservation,usedbychildren";
    if list.is_empty() {
        return Err("bad property list: no properties specified".to_owned());
    }
    // 2.1 does not mind a comma at the end.
    let list = match list.strip_suffix(',') {
        Some(list) if version < R2_2 => list,
        _ => list,
    };
    let mut columns = Vec::new();
    for name in list.split(',') {
        if name == "space" {
            columns.extend(
                SPACE
                    .split(',')
                    .filter_map(|name| Column::parse(name, version)),
            );
            continue;
        }
        let column = Column::parse(name, version);
        columns
            .push(column.ok_or_else(|| format!("bad property list: invalid property '{name}'"))?);
    }
    Ok(columns)
}

/// What `-o all` begins with; user properties follow as they are met.
pub fn all(version: Version) -> Vec<Column> {
    let mut columns: Vec<Column> = find("name", version)
        .map(Column::Native)
        .into_iter()
        .collect();
    let shown = NATIVE
        .iter()
        .filter(|native| !native.hidden && native.since <= version);
    columns.extend(shown.map(Column::Native));
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_short_names_and_user_properties_are_columns() {
        let name = |text| Column::parse(text, R2_3).map(|column| column.name());
        assert_eq!(name("avail").as_deref(), Some("available"));
        assert_eq!(name("refer").as_deref(), Some("referenced"));
        assert_eq!(
            name("org.example:owner").as_deref(),
            Some("org.example:owner")
        );
        assert_eq!(name("userused@ann").as_deref(), Some("userused@ann"));
        assert_eq!(name("written@x").as_deref(), Some("written@x"));
        for none in ["", "MOUNTED", "bogus", "Upper:case", "writtenx"] {
            assert!(name(none).is_none(), "{none}");
        }
        assert!(Column::parse("snapshots_changed", R2_1).is_none());
    }

    #[test]
    fn space_stands_for_its_columns_anywhere_in_the_list() {
        let columns = parse_list("type,space", R2_3).expect("columns");
        let names: Vec<String> = columns.iter().map(Column::name).collect();
        assert_eq!(names[..3], ["type", "name", "available"]);
        assert_eq!(names.len(), 8);
        let wrong = parse_list("name,,used", R2_3).unwrap_err();
        assert_eq!(wrong, "bad property list: invalid property ''");
    }

    #[test]
    fn all_begins_with_the_name() {
        assert_eq!(all(R2_1).first().map(Column::name).as_deref(), Some("name"));
        assert!(all(R2_4).len() > all(R2_3).len() && all(R2_3).len() > all(R2_1).len());
    }
}
