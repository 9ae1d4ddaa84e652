//! From sections to datasets: defaults, templates, overrides, recursion.

use std::collections::{HashMap, HashSet};

use super::{
    Conf, Recursion, STRUCTURAL, Section, Settings, is_on, path_of, recursion, templates_of, toggle,
};

/// A dataset that sanoid.conf is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// Its name.
    pub path: String,
    /// What to do with it. `autosnap` is off where `recursive = zfs` of a
    /// parent takes its snapshots.
    pub settings: Settings,
    /// Its section is about everything below it as well.
    pub recursive: bool,
    /// Its snapshots are taken with those of all its children at once.
    pub takes_children: bool,
    /// Only its children are processed; it is left alone.
    pub children_only: bool,
}

/// A dataset while sections are applied one after the other.
struct Entry {
    /// A section's name, or a child's.
    key: String,
    dataset: Dataset,
    /// `recursive = zfs` of this or a parent covers it.
    zfs_recursion: bool,
}

impl Conf {
    /// The datasets it is about, given all filesystems and volumes that exist:
    /// sections in the order of the file, the children of each behind it.
    /// Sections come whether their dataset exists or not.
    ///
    /// As in sanoid, a recursive section gives its children all that it comes
    /// down to, over whatever earlier sections said about them but
    /// `process_children_only`; a later section of a child changes only what it says itself; `skip_children`
    /// takes the children out again.
    pub fn expand<Name: AsRef<str>>(&self, existing: &[Name]) -> Vec<Dataset> {
        let mut entries: Vec<Entry> = Vec::new();
        for section in &self.sections {
            let nth = entries.iter().position(|entry| entry.key == section.name);
            let mut entry = match nth {
                Some(nth) => entries.remove(nth),
                None => self.fresh(section),
            };
            self.apply(section, &mut entry);
            path_of(section).clone_into(&mut entry.dataset.path);
            if entry.zfs_recursion {
                entry.dataset.settings.autosnap = false;
            }
            let recursion = recursion(section).unwrap_or(Recursion::No);
            entry.dataset.recursive = recursion != Recursion::No;
            if recursion == Recursion::Zfs {
                entry.zfs_recursion = true;
                entry.dataset.takes_children = true;
            }
            let prefix = format!("{}/", entry.dataset.path);
            let children = existing
                .iter()
                .map(AsRef::as_ref)
                .filter(|name| name.starts_with(&prefix));
            let mut heirs: Vec<Entry> = Vec::new();
            if recursion != Recursion::No {
                heirs.extend(children.map(|child| entry.child(child, recursion)));
                // All but this is overridden of what they were.
                let only: HashMap<&str, bool> = entries
                    .iter()
                    .map(|earlier| (earlier.key.as_str(), earlier.dataset.children_only))
                    .collect();
                for heir in &mut heirs {
                    let earlier = only.get(heir.key.as_str()).copied();
                    heir.dataset.children_only = earlier.unwrap_or(false);
                }
                let keys: HashSet<&str> = heirs.iter().map(|heir| heir.key.as_str()).collect();
                entries.retain(|other| !keys.contains(other.key.as_str()));
            } else if is_on(section, "skip_children") {
                entries.retain(|other| !other.key.starts_with(&prefix));
            }
            let place = nth.unwrap_or(entries.len()).min(entries.len());
            entries.splice(place..place, std::iter::once(entry).chain(heirs));
        }
        entries.into_iter().map(|entry| entry.dataset).collect()
    }

    /// The datasets as they stand in the file, for where nobody knows what
    /// exists: of a recursive section's children, those that have a section of
    /// their own, with what they inherit.
    ///
    /// ```
    /// use zfs_retention::{Tier, conf::{Conf, Source}};
    ///
    /// let text = "\
    /// [data]
    /// recursive = yes
    /// daily = 30
    /// [data/scratch]
    /// hourly = 2
    /// ";
    /// let conf = Conf::read(Source { name: "sanoid.conf", text }, None)?;
    /// let datasets = conf.expand_as_written();
    /// assert_eq!(datasets[1].path, "data/scratch");
    /// assert_eq!(datasets[1].settings.count(Tier::Daily), 30);
    /// # Ok::<(), zfs_retention::Error>(())
    /// ```
    pub fn expand_as_written(&self) -> Vec<Dataset> {
        let written: Vec<&str> = self.roots().map(|root| root.path).collect();
        self.expand(&written)
    }

    /// A section that no other has touched: the defaults, and the user's.
    fn fresh(&self, section: &Section) -> Entry {
        let mut entry = Entry {
            key: section.name.clone(),
            dataset: Dataset {
                path: section.name.clone(),
                settings: self.defaults.clone(),
                recursive: false,
                takes_children: false,
                children_only: false,
            },
            zfs_recursion: false,
        };
        self.apply_template("default", &mut entry);
        entry
    }

    fn apply(&self, section: &Section, entry: &mut Entry) {
        for name in templates_of(section) {
            self.apply_template(name, entry);
        }
        set_all(section, entry);
    }

    fn apply_template(&self, name: &str, entry: &mut Entry) {
        let full = format!("template_{name}");
        if let Some(template) = self.templates.iter().find(|it| it.name == full) {
            set_all(template, entry);
        }
    }
}

fn set_all(section: &Section, entry: &mut Entry) {
    for setting in &section.entries {
        if setting.key == "process_children_only" {
            entry.dataset.children_only = toggle(&setting.value).unwrap_or(false);
        } else if !STRUCTURAL.contains(&setting.key.as_str()) {
            // Every value was tried when the file was read.
            let _ = entry.dataset.settings.set(&setting.key, &setting.value);
        }
    }
}

impl Entry {
    /// What a child inherits.
    fn child(&self, name: &str, recursion: Recursion) -> Self {
        let mut settings = self.dataset.settings.clone();
        if recursion == Recursion::Zfs {
            settings.autosnap = false;
        }
        Self {
            key: name.to_owned(),
            dataset: Dataset {
                path: name.to_owned(),
                settings,
                recursive: false,
                takes_children: false,
                children_only: false,
            },
            zfs_recursion: self.zfs_recursion,
        }
    }
}
