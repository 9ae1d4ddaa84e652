//! Which of a source's properties its replica gets.
//!
//! `what was set on the source -> [ not dangerous · not excluded ] -> and what is set anyway -> the replica`
//!
//! Streams carry no properties here, so this works for every kind of stream,
//! also for those of encrypted datasets that are sent decrypted.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use zfs_core::DatasetName;

/// Properties by name, as zfs(8) shows them with `-p`.
pub type Properties = BTreeMap<String, String>;

/// The user property in which a replica says whose it is: `TARGET GUID`, the
/// name of the target that it belongs to
/// ([`TargetId`](crate::marker::TargetId)) and the GUID of the source's topmost
/// dataset in decimal. What says so may be destroyed once the source no longer
/// has it and that is asked for
/// ([`Gone::Destroy`](crate::plan::Gone::Destroy)).
pub const REPLICA_PROPERTY: &str = "zfs-replicate:target";

/// What a replica must not have unless somebody asks for it: where it is
/// mounted or shared, who may write to it, what it takes from others' space,
/// and what belongs to its own encryption.
const DANGEROUS: &[&str] = &[
    "mountpoint",
    "canmount",
    "sharenfs",
    "sharesmb",
    "zoned",
    "jailed",
    "readonly",
    "reservation",
    "refreservation",
    // The target keeps more than the source.
    "quota",
    "refquota",
    "filesystem_limit",
    "snapshot_limit",
    "mlslabel",
];

/// What comes with the data, belongs to keys, or says whose replica the
/// source itself is.
const NEVER: &[&str] = &[
    REPLICA_PROPERTY,
    "casesensitivity",
    "encryption",
    "keyformat",
    "keylocation",
    "normalization",
    "pbkdf2iters",
    "utf8only",
    "version",
    "volblocksize",
    "volsize",
];

/// Tells which names are meant.
type Names<'a> = dyn Fn(&str) -> bool + 'a;

/// Which properties a replica gets.
#[derive(Clone, Default)]
#[must_use]
pub struct Policy<'a> {
    preserved: Option<&'a Names<'a>>,
    excluded: Option<&'a Names<'a>>,
    set: Properties,
}

impl<'a> Policy<'a> {
    /// None but those that it inherits where it is.
    pub fn new() -> Policy<'a> {
        Policy::default()
    }

    /// Everything that was set on the source, but for what is dangerous.
    pub fn preserve(self) -> Policy<'a> {
        self.preserve_only(&|name| !DANGEROUS.contains(&name))
    }

    /// What was set on the source under these names, dangerous or not.
    pub fn preserve_only(mut self, names: &'a Names<'a>) -> Policy<'a> {
        self.preserved = Some(names);
        self
    }

    /// Not those, although they are preserved.
    pub fn exclude(mut self, names: &'a Names<'a>) -> Policy<'a> {
        self.excluded = Some(names);
        self
    }

    /// This value, whatever the source has.
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Policy<'a> {
        self.set.insert(name.into(), value.into());
        self
    }

    /// Whether the source has to be asked for its properties.
    pub fn preserves(&self) -> bool {
        self.preserved.is_some()
    }

    /// Whether a property of the source is taken over.
    pub fn takes(&self, name: &str) -> bool {
        self.preserved.is_some_and(|preserved| preserved(name))
            && !NEVER.contains(&name)
            && !self.excluded.is_some_and(|excluded| excluded(name))
            && !self.set.contains_key(name)
    }

    /// What is set, whatever the source has.
    pub fn given(&self) -> &Properties {
        &self.set
    }

    /// What the replica of a dataset gets that has `own` properties.
    pub fn choose(&self, own: &Properties) -> Properties {
        let mut chosen = self.set.clone();
        for (name, value) in own {
            if self.takes(name) {
                chosen.insert(name.clone(), value.clone());
            }
        }
        chosen
    }

    /// The same for each dataset of a source.
    pub fn choose_all(&self, own: &HashMap<DatasetName, Properties>) -> Chosen {
        Chosen {
            own: own
                .iter()
                .map(|(name, own)| (name.clone(), self.choose(own)))
                .collect(),
            otherwise: self.choose(&Properties::new()),
        }
    }
}

/// What each replica gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    own: HashMap<DatasetName, Properties>,
    otherwise: Properties,
}

impl Chosen {
    /// What the replica of this dataset of the source gets.
    pub fn of(&self, source: &DatasetName) -> &Properties {
        self.own.get(source).unwrap_or(&self.otherwise)
    }
}

impl fmt::Debug for Policy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("preserved", &self.preserved.map(|_| "some"))
            .field("excluded", &self.excluded.map(|_| "some"))
            .field("set", &self.set)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Properties {
        let own = [
            ("compression", "lz4"),
            ("mountpoint", "/home"),
            ("org.example:note", "it's 5 %"),
            ("volsize", "1024"),
            ("recordsize", "65536"),
        ];
        own.map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    fn chosen(policy: &Policy<'_>) -> String {
        let chosen = policy.choose(&own());
        let words: Vec<_> = chosen.iter().map(|(n, v)| format!("{n}={v}")).collect();
        words.join(" ")
    }

    #[test]
    fn nothing_is_taken_over_unasked() {
        assert_eq!(chosen(&Policy::new()), "");
        assert_eq!(chosen(&Policy::new().set("atime", "off")), "atime=off");
    }

    #[test]
    fn dangerous_properties_are_taken_over_by_name_only() {
        assert_eq!(
            chosen(&Policy::new().preserve()),
            "compression=lz4 org.example:note=it's 5 % recordsize=65536"
        );
        assert_eq!(
            chosen(&Policy::new().preserve_only(&|name| name.starts_with("mount"))),
            "mountpoint=/home"
        );
        assert_eq!(
            chosen(&Policy::new().preserve_only(&|name| name == "volsize")),
            ""
        );
    }

    #[test]
    fn what_is_excluded_stays_and_what_is_set_wins() {
        let policy = Policy::new()
            .preserve()
            .exclude(&|name| name.contains(':'))
            .set("compression", "zstd");
        assert_eq!(chosen(&policy), "compression=zstd recordsize=65536");
        let known = "tank/a".parse::<DatasetName>().unwrap();
        let all = policy.choose_all(&HashMap::from([(known.clone(), own())]));
        assert_eq!(all.of(&known).len(), 2);
        assert_eq!(all.of(&"tank/b".parse().unwrap()).len(), 1);
    }
}
