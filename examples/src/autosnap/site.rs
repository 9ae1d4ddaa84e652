//! What sanoid.conf is about, and what of it there is on this machine.
//!
//! ```text
//! sanoid.conf ─> roots ─> datasets that exist ─> expand ─┐
//!                         snapshots of each ─────────────┴─> Site
//! ```

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use zfs_core::{DatasetName, ListCache, SnapshotName, Zfs};
use zfs_retention::conf::{self, Conf, Reach};
use zfs_retention::{Snapshot, Tier};

use super::check;
use super::found::Found;
pub use super::found::Unseen;

/// The configured datasets, in the order of the file.
#[derive(Debug, Default)]
pub struct Site {
    /// Those that exist, and those that should.
    pub datasets: Vec<Observed>,
    /// What could not be listed: one dataset must not keep the others.
    pub unseen: Vec<Unseen>,
    /// Every dataset that was found, those below a recursive one included.
    pub existing: Vec<DatasetName>,
    /// Of those the ones whose first receive is not complete.
    pub inconsistent: Vec<DatasetName>,
}

/// A configured dataset.
#[derive(Debug)]
pub struct Observed {
    /// What sanoid.conf comes down to for it.
    pub conf: conf::Dataset,
    /// Its name, where it exists.
    pub name: Option<DatasetName>,
    /// It could not be listed, or not with all that is taken with it: nobody
    /// knows whether it is there and what snapshots it has.
    pub unseen: bool,
    /// Its snapshots with a name of sanoid's, in no order.
    pub snapshots: Vec<Snapshot<SnapshotName>>,
}

impl Observed {
    /// Type and creation of each snapshot.
    pub fn taken(&self) -> impl Iterator<Item = (Tier, Timestamp)> {
        self.snapshots
            .iter()
            .filter_map(|snapshot| Some((Tier::of(&snapshot.name)?, snapshot.creation)))
    }

    /// When the newest snapshot of a type was created that is not younger
    /// than `latest`.
    pub fn newest(&self, tier: Tier, latest: Timestamp) -> Option<Timestamp> {
        self.taken()
            .filter(|(own, creation)| *own == tier && *creation <= latest)
            .map(|(_, creation)| creation)
            .max()
    }
}

impl fmt::Display for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.conf.path, check::settings_of(&self.conf))?;
        if self.conf.children_only {
            f.write_str("; only its children are processed")?;
        }
        if self.unseen {
            return f.write_str("; it could not be listed");
        }
        if self.name.is_none() {
            return f.write_str("; there is no such dataset");
        }
        f.write_str("; there are")?;
        for tier in Tier::ALL {
            let count = self.taken().filter(|(own, _)| *own == tier).count();
            write!(f, " {tier} {count}")?;
            if let Some(newest) = self.newest(tier, Timestamp::MAX) {
                write!(f, " (newest {newest})")?;
            }
        }
        Ok(())
    }
}

impl Site {
    /// Looks at every configured dataset, and only once at what did not change
    /// since `cache` was written. What cannot be listed is in
    /// [`unseen`](Site::unseen), and the rest is seen all the same.
    pub fn observe(zfs: &Zfs, conf: &Conf, cache: Option<&ListCache>) -> Site {
        let mut alone = BTreeSet::new();
        let mut trees = BTreeSet::new();
        for root in conf.roots() {
            // A name that cannot be one is no dataset's.
            if let Ok(name) = root.path.parse::<DatasetName>() {
                match root.reach {
                    Reach::Alone => alone.insert(name),
                    Reach::Tree => trees.insert(name),
                };
            }
        }
        alone.retain(|name| !trees.iter().any(|tree| name.is_within(tree)));
        let mut found = Found::list(zfs, &trees, Reach::Tree, cache);
        found.extend(Found::list(zfs, &alone, Reach::Alone, cache));
        Site::of(conf, &trees, found)
    }

    fn of(conf: &Conf, trees: &BTreeSet<DatasetName>, mut found: Found) -> Site {
        let mut existing: Vec<DatasetName> = found.datasets.keys().cloned().collect();
        // As zfs-list(8) sorts children.
        existing.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        let names: Vec<&str> = existing.iter().map(DatasetName::as_str).collect();
        let datasets = conf
            .expand(&names)
            .into_iter()
            .map(|conf| {
                let name = conf.path.parse::<DatasetName>().ok();
                let partial = name.as_ref().is_some_and(|name| {
                    let root = root_of(name, trees);
                    found.unseen.iter().any(|unseen| unseen.root == *root)
                });
                let own = name.and_then(|name| found.datasets.remove_entry(&name));
                // What is taken at once needs all of it.
                let unseen = partial && (own.is_none() || conf.takes_children);
                let (name, snapshots) = own.filter(|_| !unseen).unzip();
                Observed {
                    conf,
                    name,
                    unseen,
                    snapshots: snapshots.unwrap_or_default(),
                }
            })
            .collect();
        Site {
            datasets,
            unseen: found.unseen,
            existing,
            inconsistent: found.inconsistent,
        }
    }

    /// The configured datasets of which something is missing: what could not
    /// be listed, and above that what is configured with all below it.
    pub fn concerned(&self, unseen: &Unseen) -> impl Iterator<Item = &Observed> {
        self.datasets.iter().filter(|observed| {
            let path = &observed.conf.path;
            let below = path.strip_prefix(unseen.root.as_str());
            below.is_some_and(|below| {
                below.is_empty() || (observed.unseen && below.starts_with('/'))
            })
        })
    }

    /// Whether its first receive has not been completed: ZFS takes no snapshot
    /// of it until then.
    pub fn is_incomplete(&self, name: &DatasetName) -> bool {
        self.inconsistent.contains(name)
    }

    /// A dataset and everything below it that can be taken with it. What a
    /// first receive has not completed cannot, and neither is what lies below
    /// that: `zfs snapshot -r` leaves them out as well.
    pub fn tree(&self, root: &DatasetName) -> Vec<DatasetName> {
        let incomplete = |name: &DatasetName| {
            let mut all = self.inconsistent.iter();
            all.any(|it| it.is_descendant_of(root) && name.is_within(it))
        };
        self.existing
            .iter()
            .filter(|name| name.is_within(root) && !incomplete(name))
            .cloned()
            .collect()
    }
}

/// The configured tree with which a dataset was listed, or the dataset itself.
fn root_of<'a>(name: &'a DatasetName, trees: &'a BTreeSet<DatasetName>) -> &'a DatasetName {
    let around = trees.iter().filter(|tree| name.is_within(tree));
    around.max_by_key(|tree| tree.depth()).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use zfs_retention::conf::Source;

    use super::*;

    fn name(text: &str) -> DatasetName {
        text.parse().unwrap()
    }

    /// Datasets that were found, and roots that were not seen whole.
    fn site(conf: &str, existing: &[&str], unseen: &[&str]) -> Site {
        let source = Source {
            name: "sanoid.conf",
            text: conf,
        };
        let conf = Conf::read(source, None).unwrap();
        let trees = conf.roots().filter(|root| root.reach == Reach::Tree);
        let trees = trees.map(|root| name(root.path)).collect();
        let found = Found {
            datasets: existing.iter().map(|it| (name(it), Vec::new())).collect(),
            inconsistent: Vec::new(),
            unseen: unseen
                .iter()
                .map(|root| Unseen {
                    root: name(root),
                    error: format!("cannot list {root}"),
                })
                .collect(),
        };
        Site::of(&conf, &trees, found)
    }

    fn states(site: &Site) -> Vec<(&str, bool, bool)> {
        let states = site.datasets.iter();
        states
            .map(|it| (it.conf.path.as_str(), it.name.is_some(), it.unseen))
            .collect()
    }

    #[test]
    fn what_cannot_be_listed_is_not_called_missing_and_the_rest_is_seen() {
        let conf = "[usb/a]\n[tank]\nrecursive = yes\n[tank/gone]\n[tank/own]\nrecursive = yes\n\
                    [rpool]\n";
        let site = site(
            conf,
            &["tank", "tank/b", "tank/own", "tank/own/c", "rpool"],
            &["usb/a", "tank"],
        );
        assert_eq!(
            states(&site),
            [
                ("usb/a", false, true),
                ("tank", true, false),
                ("tank/b", true, false),
                ("tank/own", true, false),
                ("tank/own/c", true, false),
                ("tank/gone", false, true),
                ("rpool", true, false),
            ]
        );
        let paths = |unseen| {
            let concerned = site.concerned(unseen);
            concerned
                .map(|it| it.conf.path.as_str())
                .collect::<Vec<_>>()
        };
        assert_eq!(paths(&site.unseen[0]), ["usb/a"]);
        assert_eq!(paths(&site.unseen[1]), ["tank", "tank/gone"]);
    }

    #[test]
    fn a_tree_that_is_taken_at_once_is_taken_whole_or_not() {
        let conf = "[tank]\nrecursive = zfs\n[rpool]\nrecursive = zfs\n";
        let site = site(conf, &["tank", "tank/b", "rpool"], &["tank"]);
        let expected = [
            ("tank", false, true),
            ("tank/b", true, false),
            ("rpool", true, false),
        ];
        assert_eq!(states(&site), expected);
    }

    #[test]
    fn what_is_not_received_yet_is_not_taken_with_the_rest() {
        let names = ["tank", "tank/a", "tank/a/b", "tank/ab", "tank/c"];
        let mut site = site("[tank]\nrecursive = zfs\n", &names, &[]);
        site.inconsistent = vec![name("tank/a")];
        assert_eq!(
            site.tree(&name("tank")),
            ["tank", "tank/ab", "tank/c"].map(name)
        );
        // It is its own root here; that it is left out is decided before.
        assert_eq!(site.tree(&name("tank/a")), ["tank/a", "tank/a/b"].map(name));
    }
}
