//! What is delegated to users: reading what `zfs allow` shows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use zfs_stream::nvlist::NvList;

use crate::error::{Error, Operation};
use crate::ffi::CallError;
use crate::name::DatasetName;
use crate::zfs::Zfs;

/// What is delegated on one dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// The dataset that it was delegated on.
    pub dataset: DatasetName,
    /// To whom and what, in the order of [`Grantee`].
    pub grants: Vec<Grant>,
}

/// What someone may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Who.
    pub grantee: Grantee,
    /// Where.
    pub scope: Scope,
    /// Permissions (`snapshot`, `mount`), properties that may be set, and
    /// names of permission sets, which begin with an `@`.
    pub permissions: BTreeSet<String>,
}

/// To whom something is delegated.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grantee {
    /// Nobody: it is what the permission set of that name consists of.
    Set(String),
    /// Whoever creates a dataset below gets it there.
    Creator,
    /// The user of that number.
    User(u32),
    /// The group of that number.
    Group(u32),
    /// Everybody.
    Everyone,
}

impl fmt::Display for Grantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Grantee::Set(name) => f.write_str(name),
            Grantee::Creator => f.write_str("creator"),
            Grantee::User(id) => write!(f, "user {id}"),
            Grantee::Group(id) => write!(f, "group {id}"),
            Grantee::Everyone => f.write_str("everyone"),
        }
    }
}

/// Where a grant holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// On the dataset alone.
    Local,
    /// On those below it.
    Descendants,
    /// On both.
    LocalAndDescendants,
}

/// The first two letters of a key: whom it is about, and where.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Local,
    Descendants,
    /// Permission sets and creators have none.
    None,
}

fn key(key: &str) -> Option<(Grantee, Place)> {
    let (class, data) = key.split_once('$')?;
    let mut letters = class.chars();
    let (Some(kind), Some(place), None) = (letters.next(), letters.next(), letters.next()) else {
        return None;
    };
    let place = match place {
        'l' => Place::Local,
        'd' => Place::Descendants,
        '-' => Place::None,
        _ => return None,
    };
    // In upper case what is granted are permission sets, which tell
    // themselves by their names.
    let grantee = match kind.to_ascii_lowercase() {
        'u' => Grantee::User(data.parse().ok()?),
        'g' => Grantee::Group(data.parse().ok()?),
        'e' => Grantee::Everyone,
        'c' => Grantee::Creator,
        's' => Grantee::Set(data.to_owned()),
        _ => return None,
    };
    Some((grantee, place))
}

fn grants(list: &NvList) -> Result<Vec<Grant>, String> {
    // Whether each permission holds on the dataset and below it.
    let mut found: BTreeMap<Grantee, BTreeMap<String, (bool, bool)>> = BTreeMap::new();
    for (name, value) in list {
        let name = name.to_string();
        let (grantee, place) = key(&name).ok_or_else(|| format!("{name:?} is no grant"))?;
        let zfs_stream::nvlist::Value::NvList(permissions) = value else {
            return Err(format!("{name:?} is a {}", value.data_type()));
        };
        let of_grantee = found.entry(grantee).or_default();
        for (permission, _) in permissions {
            let (local, below) = of_grantee.entry(permission.to_string()).or_default();
            *local |= place != Place::Descendants;
            // A creator's permissions are for what is created, below.
            *below |= place == Place::Descendants;
        }
    }
    let mut grants = Vec::new();
    for (grantee, permissions) in found {
        let mut scopes: BTreeMap<Scope, BTreeSet<String>> = BTreeMap::new();
        for (permission, where_) in permissions {
            let scope = match where_ {
                (true, true) => Scope::LocalAndDescendants,
                (_, true) => Scope::Descendants,
                _ => Scope::Local,
            };
            scopes.entry(scope).or_default().insert(permission);
        }
        grants.extend(scopes.into_iter().map(|(scope, permissions)| Grant {
            grantee: grantee.clone(),
            scope,
            permissions,
        }));
    }
    Ok(grants)
}

impl Zfs {
    /// What is delegated on a dataset and on those above it, the nearest
    /// first, as `zfs allow DATASET` shows it. Datasets on which nothing is
    /// delegated are left out.
    ///
    /// # Errors
    ///
    /// [`Error::is_not_found`] where the dataset does not exist. Any user may
    /// ask.
    pub fn delegations(&self, dataset: &DatasetName) -> Result<Vec<Delegation>, Error> {
        let odd = |reason: String| Error::UnexpectedAnswer {
            operation: Operation::GetAllow,
            name: dataset.as_str().to_owned(),
            reason,
        };
        let list = self
            .device
            .delegations(dataset.as_str())
            .map_err(|error| error.on(Operation::GetAllow, dataset.as_str()))?;
        let mut delegations = Vec::with_capacity(list.len());
        for (name, _) in &list {
            let of_dataset = list.require_nvlist(name).map_err(|error| {
                CallError::Answer(error).on(Operation::GetAllow, dataset.as_str())
            })?;
            delegations.push(Delegation {
                dataset: name
                    .to_string()
                    .parse()
                    .map_err(|error: Error| odd(error.to_string()))?,
                grants: grants(of_dataset).map_err(odd)?,
            });
        }
        delegations.sort_by_key(|delegation| std::cmp::Reverse(delegation.dataset.depth()));
        Ok(delegations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(&str, &[&str])]) -> NvList {
        let mut list = NvList::new();
        for (key, permissions) in entries {
            let mut inner = NvList::new();
            for permission in *permissions {
                inner.insert_flag(permission).unwrap();
            }
            list.insert(key, inner).unwrap();
        }
        list
    }

    fn shown(entries: &[(&str, &[&str])]) -> Vec<String> {
        let grants = grants(&list(entries)).unwrap();
        let one = |grant: &Grant| {
            let permissions: Vec<&str> = grant.permissions.iter().map(String::as_str).collect();
            format!(
                "{} {:?} {}",
                grant.grantee,
                grant.scope,
                permissions.join(",")
            )
        };
        grants.iter().map(one).collect()
    }

    #[test]
    fn what_holds_in_both_places_is_one_grant() {
        let grants = shown(&[
            ("ul$1000", &["snapshot", "send"]),
            ("ud$1000", &["snapshot"]),
            ("Ul$1000", &["@ops"]),
        ]);
        assert_eq!(
            grants,
            [
                "user 1000 Local @ops,send",
                "user 1000 LocalAndDescendants snapshot"
            ]
        );
    }

    #[test]
    fn sets_creators_groups_and_everyone_are_told_apart() {
        let grants = shown(&[
            ("ed$", &["mount"]),
            ("gl$4", &["hold"]),
            ("c-$", &["destroy"]),
            ("s-$@ops", &["snapshot"]),
            ("S-$@ops", &["@more"]),
        ]);
        assert_eq!(
            grants,
            [
                "@ops Local @more,snapshot",
                "creator Local destroy",
                "group 4 Local hold",
                "everyone Descendants mount",
            ]
        );
    }

    #[test]
    fn what_is_no_grant_is_an_error_and_no_panic() {
        for key in [
            "", "ul", "u$1", "xl$1", "ul$x", "ux$1", "ul$-1", "ulx$1", "é$1",
        ] {
            assert!(grants(&list(&[(key, &[])])).is_err(), "{key:?}");
        }
        let mut odd = NvList::new();
        odd.insert("ul$1", 1_u64).unwrap();
        assert!(grants(&odd).is_err());
        assert_eq!(grants(&NvList::new()), Ok(Vec::new()));
    }
}
