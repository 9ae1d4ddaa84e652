//! allow.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Result;
use clap::Args;
use zfs_core::{DatasetName, Delegation, Grantee, Scope};

use super::act::Act;

/// Show what users may do that is not theirs by nature
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  zfs-ctl allow tank/home

It shows; zfs(8) delegates.")]
pub struct Allow {
    dataset: DatasetName,
}

impl Allow {
    /// Carries it out.
    pub fn run(self, act: &mut Act) -> Result<()> {
        let delegations = act.zfs.delegations(&self.dataset)?;
        let names = |file| names(&fs::read_to_string(file).unwrap_or_default());
        let (users, groups) = (names("/etc/passwd"), names("/etc/group"));
        for delegation in &delegations {
            print!("{}", shown(delegation, &users, &groups));
        }
        Ok(())
    }
}

/// Numbers and their names in a table of users or groups.
fn names(table: &str) -> BTreeMap<u32, String> {
    let entry = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        Some((fields.nth(1)?.parse().ok()?, name))
    };
    // The first entry of a number is the one that counts.
    table.lines().rev().filter_map(entry).collect()
}

fn shown(
    delegation: &Delegation,
    users: &BTreeMap<u32, String>,
    groups: &BTreeMap<u32, String>,
) -> String {
    let head = format!("---- Permissions on {} ", delegation.dataset);
    let mut text = format!("{head:-<70}\n");
    let mut titles: Vec<&str> = Vec::new();
    let mut title = |text: &mut String, title: &'static str| {
        if !titles.contains(&title) {
            titles.push(title);
            text.push_str(title);
        }
    };
    let known = |names: &BTreeMap<u32, String>, id: &u32| {
        let name = names.get(id).cloned();
        name.unwrap_or_else(|| format!("(unknown: {id})"))
    };
    let joined = |permissions: &std::collections::BTreeSet<String>| {
        let all: Vec<&str> = permissions.iter().map(String::as_str).collect();
        all.join(",")
    };
    for grant in &delegation.grants {
        let permissions = joined(&grant.permissions);
        match &grant.grantee {
            Grantee::Set(name) => {
                title(&mut text, "Permission sets:\n");
                text.extend(["\t", name, " ", &permissions, "\n"]);
            }
            Grantee::Creator => {
                title(&mut text, "Create time permissions:\n");
                text.extend(["\t", &permissions, "\n"]);
            }
            _ => {}
        }
    }
    for (scope, heading) in [
        (Scope::Local, "Local permissions:\n"),
        (Scope::Descendants, "Descendent permissions:\n"),
        (
            Scope::LocalAndDescendants,
            "Local+Descendent permissions:\n",
        ),
    ] {
        let mut lines = Vec::new();
        for grant in delegation.grants.iter().filter(|one| one.scope == scope) {
            // zfs(8) sorts numbers as texts.
            let (place, who) = match &grant.grantee {
                Grantee::User(id) => ((0, id.to_string()), format!("user {}", known(users, id))),
                Grantee::Group(id) => ((1, id.to_string()), format!("group {}", known(groups, id))),
                Grantee::Everyone => ((2, String::new()), "everyone".to_owned()),
                Grantee::Set(_) | Grantee::Creator => continue,
            };
            lines.push((place, format!("\t{who} {}\n", joined(&grant.permissions))));
        }
        lines.sort();
        for (_, line) in lines {
            title(&mut text, heading);
            text.push_str(&line);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_of_a_number_counts() {
        let names = names("root:x:0:0\ntoor:x:0:0\nann:x:1000:1000\nodd\n");
        assert_eq!(names.get(&0).map(String::as_str), Some("root"));
        assert_eq!(names.len(), 2);
    }
}
