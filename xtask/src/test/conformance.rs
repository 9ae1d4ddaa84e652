//! The table that says which test of ours is for which test of OpenZFS' Python
//! binding: `zfs-core/tests/pyzfs`, whose README has its form.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// A test of ours: the program and the function.
pub type Named = (String, String);

/// What the table maps.
#[derive(Debug, Default)]
pub struct Table {
    /// The binding's tests, each with its category.
    names: Vec<(String, String)>,
    /// For each of them what the table says, and where.
    entries: BTreeMap<String, Entry>,
    /// Cases beyond the binding's, by category.
    extra: Vec<(String, Named)>,
}

#[derive(Debug, PartialEq, Eq)]
enum Entry {
    Test(Named),
    NotApplicable(String),
}

/// The cases that the binding has of each category; a forced receive is a
/// receive as well.
#[cfg(test)]
const CATEGORIES: [(&str, usize); 22] = [
    ("receive", 45),
    ("receive forced", 11),
    ("send", 24),
    ("bookmarks", 24),
    ("snapshot", 21),
    ("hold", 21),
    ("create", 16),
    ("release", 15),
    ("keys", 13),
    ("snapshot ranges", 10),
    ("send space", 10),
    ("rollback", 10),
    ("clone", 10),
    ("destroy snapshots", 9),
    ("channel programs", 8),
    ("get holds", 7),
    ("checkpoint", 6),
    ("rename", 5),
    ("sync and reopen", 4),
    ("promote", 3),
    ("exists", 3),
    ("destroy", 2),
];

impl Table {
    /// Reads `names.txt` and every `*.tsv` of the folder.
    pub fn read(workspace: &Path) -> Result<Table> {
        let folder = workspace.join("zfs-core/tests/pyzfs");
        let mut table = Table::default();
        let names = folder.join("names.txt");
        let text = fs::read_to_string(&names).with_context(|| names.display().to_string())?;
        for line in text.lines() {
            let pair = line.split_once('\t');
            let (category, name) = pair.with_context(|| format!("names.txt: {line:?}"))?;
            table.names.push((category.into(), name.into()));
        }
        let mut files: Vec<PathBuf> = Vec::new();
        for file in fs::read_dir(&folder)? {
            let file = file?.path();
            if file.extension().is_some_and(|extension| extension == "tsv") {
                files.push(file);
            }
        }
        files.sort();
        for file in files {
            let text = fs::read_to_string(&file)?;
            for (number, line) in text.lines().enumerate() {
                if line.is_empty() || line.starts_with('#') {
                    continue;
                }
                table
                    .line(line)
                    .with_context(|| format!("{}:{}", file.display(), number + 1))?;
            }
        }
        Ok(table)
    }

    fn line(&mut self, line: &str) -> Result<()> {
        let (name, what) = line.split_once('\t').context("no tabulator")?;
        let test = || {
            let pair = what.split_once("::");
            let (program, test) = pair.with_context(|| format!("{what:?} is no PROGRAM::TEST"))?;
            anyhow::Ok((program.to_owned(), test.to_owned()))
        };
        if let Some(category) = name.strip_prefix("extra:") {
            self.extra.push((category.trim().into(), test()?));
            return Ok(());
        }
        if !self.names.iter().any(|(_, known)| known == name) {
            bail!("{name} is not in names.txt");
        }
        let entry = match what.strip_prefix("n/a: ") {
            Some("") => bail!("{name} does not apply without a reason"),
            Some(reason) => Entry::NotApplicable(reason.to_owned()),
            None => Entry::Test(test()?),
        };
        if self.entries.insert(name.to_owned(), entry).is_some() {
            bail!("{name} stands twice");
        }
        Ok(())
    }

    /// All tests of ours that it names.
    pub fn tests(&self) -> BTreeSet<&Named> {
        let mapped = self.entries.values().filter_map(|entry| match entry {
            Entry::Test(test) => Some(test),
            Entry::NotApplicable(_) => None,
        });
        mapped
            .chain(self.extra.iter().map(|(_, test)| test))
            .collect()
    }

    /// What is wrong where some of them did not run and pass.
    pub fn problem(&self, ran: &Ran) -> Option<String> {
        let missing: Vec<String> = self
            .tests()
            .into_iter()
            .filter(|test| !ran.passed.contains(test))
            .map(|(program, test)| format!("{program}::{test}"))
            .collect();
        let shown = missing.iter().take(5).cloned().collect::<Vec<_>>();
        (!missing.is_empty()).then(|| {
            format!(
                "{} tests that zfs-core/tests/pyzfs names did not run and pass: {}{}",
                missing.len(),
                shown.join(", "),
                if missing.len() > shown.len() {
                    ", …"
                } else {
                    ""
                }
            )
        })
    }
}

/// The tests that passed, by what their programs wrote.
#[derive(Debug, Default)]
pub struct Ran {
    program: String,
    passed: BTreeSet<Named>,
}

impl Ran {
    /// Takes in one line of output.
    pub fn line(&mut self, line: &str) {
        if let Some(header) = line.strip_prefix("=== ") {
            let mut words = header.split_whitespace().skip(1);
            words
                .next()
                .unwrap_or_default()
                .clone_into(&mut self.program);
        } else if let Some(test) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.strip_suffix(" ... ok"))
        {
            self.passed.insert((self.program.clone(), test.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cargo::workspace;

    fn table() -> Table {
        Table::read(&workspace()).unwrap()
    }

    #[test]
    fn every_test_of_the_binding_has_its_category_once() {
        let table = table();
        let names: BTreeSet<_> = table.names.iter().map(|(_, name)| name).collect();
        assert_eq!(names.len(), table.names.len());
        assert_eq!(names.len(), 277);
        for (category, count) in CATEGORIES {
            let found = table.names.iter().filter(|(of, _)| of == category);
            assert_eq!(found.count(), count, "{category}");
        }
    }

    #[test]
    fn every_test_of_the_binding_has_its_line() {
        let table = table();
        let missing: Vec<_> = table
            .names
            .iter()
            .filter(|(_, name)| !table.entries.contains_key(name))
            .collect();
        assert!(
            missing.is_empty(),
            "{} lack one: {missing:?}",
            missing.len()
        );
    }

    #[test]
    fn every_test_of_ours_that_is_named_exists() {
        for (program, test) in table().tests() {
            let (file, function) = match test.split_once("::") {
                Some((module, function)) => (format!("{program}/{module}"), function),
                None => (program.clone(), test.as_str()),
            };
            let sources: Vec<_> = fs::read_dir(workspace())
                .unwrap()
                .map(|folder| folder.unwrap().path().join(format!("tests/{file}.rs")))
                .filter(|file| file.exists())
                .collect();
            assert_eq!(sources.len(), 1, "the program {program}, {file}.rs");
            let source = fs::read_to_string(&sources[0]).unwrap();
            assert!(
                source.contains(&format!("#[test]\nfn {function}(")),
                "{program} has no test {test}"
            );
        }
    }

    #[test]
    fn no_category_has_fewer_cases_than_the_binding() {
        let table = table();
        for (category, count) in CATEGORIES {
            let of_category = |of: &str| of == category;
            let mut cases: BTreeSet<&Named> = BTreeSet::new();
            for (_, name) in table.names.iter().filter(|(of, _)| of_category(of)) {
                if let Some(Entry::Test(test)) = table.entries.get(name) {
                    cases.insert(test);
                }
            }
            let extra = table.extra.iter().filter(|(of, _)| of_category(of));
            cases.extend(extra.map(|(_, test)| test));
            assert!(
                cases.len() >= count,
                "{category}: {} of {count}",
                cases.len()
            );
        }
    }

    #[test]
    fn lines_are_checked() {
        let mut table = Table {
            names: vec![
                ("send".into(), "test_a".into()),
                ("send".into(), "test_b".into()),
            ],
            ..Table::default()
        };
        table.line("test_a\tzfs_send::a").unwrap();
        for (line, why) in [
            ("test_a\tzfs_send::b", "twice"),
            ("test_c\tzfs_send::c", "names.txt"),
            ("test_b zfs_send::b", "tabulator"),
            ("test_b\tzfs_send", "PROGRAM::TEST"),
            ("test_b\tn/a: ", "reason"),
        ] {
            let error = table.line(line).unwrap_err();
            assert!(error.to_string().contains(why), "{line}: {error}");
        }
        table.line("test_b\tn/a: it is about Python").unwrap();
        table.line("extra:send\tzfs_send::more").unwrap();
        assert_eq!(table.tests().len(), 2);
    }

    #[test]
    fn what_did_not_pass_is_named() {
        let mut table = Table {
            names: vec![
                ("send".into(), "test_a".into()),
                ("send".into(), "test_b".into()),
            ],
            ..Table::default()
        };
        table.line("test_a\tzfs_send::a").unwrap();
        table.line("test_b\tzfs_hold::b").unwrap();
        let mut ran = Ran::default();
        ran.line("=== zfs-core zfs_send");
        ran.line("test a ... ok");
        ran.line("test b ... ok");
        ran.line("=== zfs-core zfs_hold");
        ran.line("test b ... FAILED");
        let problem = table.problem(&ran).unwrap();
        assert!(problem.starts_with("1 tests"), "{problem}");
        assert!(problem.ends_with("zfs_hold::b"), "{problem}");
        ran.line("test b ... ok");
        assert_eq!(table.problem(&ran), None);
    }
}
