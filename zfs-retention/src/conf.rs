//! sanoid.conf, read whole.
//!
//! ```text
//! defaults file ┐
//! sanoid.conf   ┴─> sections -> settings checked -> Conf ─┐
//!                              datasets that exist ───────┴─> expand -> Dataset
//! ```
//!
//! Facts are those of sanoid 2.3.0 (`init`) and of Config::IniFiles, which it
//! reads with. Where sanoid shrugs and goes on with half a policy, this is
//! strict: unknown keys, values that are none, and settings that contradict
//! each other are errors, all of them found in one reading.

use std::fmt;

mod contradictions;
mod expand;
mod freshness;
mod ini;
mod settings;
mod suggest;

pub use expand::Dataset;
pub use freshness::Freshness;
pub use settings::Settings;

use crate::error::shortened;
use ini::Section;
use settings::{Note, toggle};
use suggest::{no_template, unknown};

/// A file's name, for messages, and its text.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// What messages call it.
    pub name: &'a str,
    /// What it says.
    pub text: &'a str,
}

/// Something that a configuration has wrong, or that its writer may not have
/// meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// How bad it is.
    pub severity: Severity,
    /// What it is.
    pub text: String,
}

/// How bad a [`Problem`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It works, as sanoid would do it, but look again.
    Warning,
    /// The file cannot be used.
    Error,
}

impl Problem {
    fn new(source: Source<'_>, line: usize, severity: Severity, text: impl Into<String>) -> Self {
        Self {
            file: source.name.to_owned(),
            line,
            severity,
            text: text.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let Self {
            file, line, text, ..
        } = self;
        write!(f, "{file}:{line}: {word}: {text}")
    }
}

/// All that is wrong with a configuration, by line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, problem) in self.0.iter().enumerate() {
            if nth > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

/// A sanoid.conf that makes sense.
///
/// ```
/// use zfs_retention::{Tier, conf::{Conf, Source}};
///
/// let text = "\
/// [data/home]
/// use_template = production
/// recursive = yes
/// [data/home/scratch]
/// daily = 2
/// [template_production]
/// hourly = 36
/// daily = 30
/// ";
/// let conf = Conf::read(Source { name: "sanoid.conf", text }, None)?;
/// let datasets = conf.expand(&["data", "data/home", "data/home/a", "data/home/scratch"]);
/// let daily: Vec<_> = datasets
///     .iter()
///     .map(|dataset| (dataset.path.as_str(), dataset.settings.count(Tier::Daily)))
///     .collect();
/// assert_eq!(daily, [("data/home", 30), ("data/home/a", 30), ("data/home/scratch", 2)]);
///
/// let typo = Source { name: "sanoid.conf", text: "[data]\ndayly = 3\nhourly = many" };
/// let error = Conf::read(typo, None).unwrap_err();
/// assert_eq!(error.to_string(), "\
/// sanoid.conf:2: error: there is no setting dayly; did you mean daily?
/// sanoid.conf:3: error: hourly: \"many\" is not a number");
/// # Ok::<(), zfs_retention::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Conf {
    defaults: Settings,
    /// Those with a template's name, and the rest.
    templates: Vec<Section>,
    sections: Vec<Section>,
    warnings: Vec<Problem>,
    unused: Vec<Problem>,
}

/// A script that sanoid.conf names for datasets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Script<'a> {
    /// The line, from 1.
    pub line: usize,
    /// Its key.
    pub key: &'a str,
    /// The command line, for sh(1).
    pub command: &'a str,
}

/// A section's dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root<'a> {
    /// Its name.
    pub path: &'a str,
    /// What of it the section is about.
    pub reach: Reach,
}

/// How far a section reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The dataset alone.
    Alone,
    /// Everything below it as well.
    Tree,
}

/// How a section treats its children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recursion {
    No,
    Yes,
    Zfs,
}

/// The least version of a defaults file that sanoid 2.3.0 takes.
const LEAST_DEFAULTS_VERSION: u32 = 2;

impl Conf {
    /// Reads sanoid.conf over sanoid.defaults.conf, or over the defaults of
    /// sanoid 2.3.0, which are built in.
    ///
    /// # Errors
    ///
    /// [`Error::Conf`](crate::Error::Conf) with everything that is wrong, by
    /// file and line, warnings among it.
    pub fn read(conf: Source<'_>, defaults: Option<Source<'_>>) -> Result<Self, crate::Error> {
        let mut problems = Vec::new();
        let settings = defaults.map_or_else(Settings::default, |source| {
            read_defaults(source, &mut problems)
        });
        let all = ini::read(conf, &mut problems);
        for section in &all {
            check_section(conf, section, &all, &mut problems);
        }
        check_order(conf, &all, &mut problems);
        let (templates, sections) = all.into_iter().partition(is_template);
        let mut read = Self {
            defaults: settings,
            templates,
            sections,
            warnings: Vec::new(),
            unused: Vec::new(),
        };
        contradictions::check(conf, &read, &mut problems);
        if read.sections.is_empty() {
            let text = "no dataset is configured: nothing would be taken or pruned";
            problems.push(Problem::new(conf, 1, Severity::Warning, text));
        }
        problems.sort_by_key(|problem| problem.line);
        let is_error = |problem: &Problem| problem.severity == Severity::Error;
        if problems.iter().any(is_error) {
            return Err(crate::Error::Conf(Problems(problems)));
        }
        read.warnings = problems;
        let unused = read.templates.iter().filter(|it| !read.is_used(it));
        let unused = unused.map(|it| {
            let text = format!("[{}] is used by no section", shortened(&it.name));
            Problem::new(conf, it.line, Severity::Warning, text)
        });
        read.unused = unused.collect();
        Ok(read)
    }

    fn is_used(&self, template: &Section) -> bool {
        let word = template.name.strip_prefix("template_").unwrap_or_default();
        let mut used = self.sections.iter().flat_map(templates_of);
        word == "default" || used.any(|name| name == word)
    }

    /// The scripts that it names, in sections and in templates that are used.
    pub fn scripts(&self) -> impl Iterator<Item = Script<'_>> {
        let templates = self.templates.iter().filter(|it| self.is_used(it));
        let entries = self
            .sections
            .iter()
            .chain(templates)
            .flat_map(|it| &it.entries);
        let scripts = entries.filter(|it| it.key.ends_with("_script") && !it.value.is_empty());
        let named = scripts.filter(|it| !it.key.starts_with("force_"));
        named.map(|it| Script {
            line: it.line,
            key: &it.key,
            command: &it.value,
        })
    }

    /// Where to look for the datasets that [`expand`](Self::expand) wants to
    /// know of: each section's, in the order of the file.
    pub fn roots(&self) -> impl Iterator<Item = Root<'_>> {
        self.sections.iter().map(|section| Root {
            path: path_of(section),
            reach: match recursion(section) {
                Ok(Recursion::Yes | Recursion::Zfs) => Reach::Tree,
                _ => Reach::Alone,
            },
        })
    }

    /// What its writer may not have meant.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// Templates that no section uses, as in sanoid's own example: for who
    /// looks for what is wrong, and not for each run.
    pub fn unused_templates(&self) -> &[Problem] {
        &self.unused
    }
}

fn is_template(section: &Section) -> bool {
    section.name.starts_with("template_")
}

fn templates_of(section: &Section) -> impl Iterator<Item = &str> {
    section
        .entry("use_template")
        .into_iter()
        .flat_map(|entry| entry.value.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
}

fn recursion(section: &Section) -> Result<Recursion, String> {
    match section.entry("recursive") {
        None => Ok(Recursion::No),
        Some(entry) if entry.value.eq_ignore_ascii_case("zfs") => Ok(Recursion::Zfs),
        Some(entry) => match toggle(&entry.value) {
            Ok(true) => Ok(Recursion::Yes),
            Ok(false) => Ok(Recursion::No),
            Err(_) => {
                let value = shortened(&entry.value);
                Err(format!("{value:?} is neither yes, no nor zfs"))
            }
        },
    }
}

fn is_on(section: &Section, key: &str) -> bool {
    section
        .entry(key)
        .is_some_and(|entry| toggle(&entry.value) == Ok(true))
}

fn read_defaults(source: Source<'_>, problems: &mut Vec<Problem>) -> Settings {
    let mut settings = Settings::default();
    let sections = ini::read(source, problems);
    let version = sections
        .iter()
        .find(|section| section.name == "version")
        .and_then(|section| section.entry("version"));
    let number = version.map_or(Some(1), |entry| entry.value.parse().ok());
    if number.is_none_or(|number: u32| number < LEAST_DEFAULTS_VERSION) {
        let line = version.map_or(1, |entry| entry.line);
        let text = format!("the defaults must be of version {LEAST_DEFAULTS_VERSION} or later");
        problems.push(Problem::new(source, line, Severity::Error, text));
    }
    for section in sections.iter().filter(|it| it.name == "template_default") {
        for entry in &section.entries {
            // The defaults file is also sanoid's list of keys; those that make
            // no sense in it stand there without a value.
            if entry.value.is_empty() || STRUCTURAL.contains(&entry.key.as_str()) {
                continue;
            }
            report_set(source, entry, &mut settings, problems);
        }
    }
    settings
}

/// Keys that say which datasets a section is about.
const STRUCTURAL: [&str; 5] = [
    "path",
    "recursive",
    "use_template",
    "process_children_only",
    "skip_children",
];

fn report_set(
    source: Source<'_>,
    entry: &ini::Entry,
    settings: &mut Settings,
    problems: &mut Vec<Problem>,
) {
    let mut report = |severity, text| {
        problems.push(Problem::new(source, entry.line, severity, text));
    };
    let key = &entry.key;
    match settings.set(key, &entry.value) {
        Ok(Some(Note::Fine)) => {}
        Ok(Some(Note::Warning(text))) => report(Severity::Warning, format!("{key}: {text}")),
        Ok(None) => report(Severity::Error, unknown(key)),
        Err(text) => report(Severity::Error, format!("{key}: {text}")),
    }
}

fn check_section(
    source: Source<'_>,
    section: &Section,
    all: &[Section],
    problems: &mut Vec<Problem>,
) {
    let template = is_template(section);
    let mut settings = Settings::default();
    for entry in &section.entries {
        let mut report = |severity, text: String| {
            problems.push(Problem::new(source, entry.line, severity, text));
        };
        match entry.key.as_str() {
            "process_children_only" | "skip_children" if toggle(&entry.value).is_err() => {
                let value = shortened(&entry.value);
                let problem = format!("{}: {value:?} is neither yes nor no", entry.key);
                report(Severity::Error, problem);
            }
            "path" | "recursive" | "use_template" | "skip_children" if template => {
                let text = format!("{} means nothing in a template and is ignored", entry.key);
                report(Severity::Warning, text);
            }
            "recursive" => {
                if let Err(text) = recursion(section) {
                    report(Severity::Error, format!("recursive: {text}"));
                }
            }
            "use_template" => {
                for name in templates_of(section) {
                    let full = format!("template_{name}");
                    // The defaults are there whether the user has some or not.
                    if name != "default" && !all.iter().any(|section| section.name == full) {
                        report(Severity::Error, no_template(&full, all));
                    }
                }
            }
            "path" | "process_children_only" | "skip_children" => {}
            _ => report_set(source, entry, &mut settings, problems),
        }
    }
    if !template {
        check_dataset(source, section, all, problems);
    }
}

fn check_dataset(
    source: Source<'_>,
    section: &Section,
    all: &[Section],
    problems: &mut Vec<Problem>,
) {
    let mut report = |severity, text: String| {
        problems.push(Problem::new(source, section.line, severity, text));
    };
    let path = path_of(section);
    if let Some(why) = name_problem(path) {
        let path = shortened(path);
        report(Severity::Error, format!("{path:?} is not a dataset{why}"));
    }
    let twin = all
        .iter()
        .find(|other| other.line < section.line && !is_template(other) && path_of(other) == path);
    if let Some(twin) = twin {
        let (line, path) = (twin.line, shortened(path));
        report(
            Severity::Error,
            format!("{path} is the dataset of line {line} already"),
        );
    }
    let recursion = recursion(section).unwrap_or(Recursion::No);
    let skip = is_on(section, "skip_children");
    let only = is_on(section, "process_children_only");
    match recursion {
        Recursion::Yes | Recursion::Zfs if skip => report(
            Severity::Error,
            "recursive and skip_children contradict each other".to_owned(),
        ),
        Recursion::No if only => report(
            Severity::Warning,
            "process_children_only without recursive leaves nothing to process".to_owned(),
        ),
        _ => {}
    }
}

/// Each recursive section, and the others whose datasets it covers as well.
fn check_order(source: Source<'_>, all: &[Section], problems: &mut Vec<Problem>) {
    let datasets: Vec<&Section> = all.iter().filter(|it| !is_template(it)).collect();
    for (nth, parent) in datasets.iter().enumerate() {
        let recursion = recursion(parent).unwrap_or(Recursion::No);
        if recursion == Recursion::No {
            continue;
        }
        let prefix = format!("{}/", path_of(parent));
        let (line, name) = (parent.line, shortened(&parent.name));
        for (other, child) in datasets.iter().enumerate() {
            if other == nth {
                continue;
            }
            let path = path_of(child);
            let mut severity = Severity::Warning;
            let text = if path.starts_with(&prefix) && path != child.name {
                // A child is known by its name, and this one has another: it
                // would have two policies, of which sanoid takes each type
                // twice, which fails, and destroys what either does not keep.
                severity = Severity::Error;
                let path = shortened(path);
                format!(
                    "{path} belongs to [{name}] at line {line} as well, which is recursive \
                     (name this section [{path}] and put it behind that one)"
                )
            } else if !child.name.starts_with(&prefix) {
                continue;
            } else if other < nth {
                format!("[{name}] at line {line} is recursive and overrides all of this")
            } else if recursion == Recursion::Zfs && sets_autosnap(child, all) {
                format!("autosnap is ignored: [{name}] takes it with recursive = zfs")
            } else {
                continue;
            };
            problems.push(Problem::new(source, child.line, severity, text));
        }
    }
}

/// Whether a section has autosnap = yes, from itself or its templates, of
/// which the latest counts.
fn sets_autosnap(section: &Section, all: &[Section]) -> bool {
    let templates = templates_of(section)
        .filter_map(|name| all.iter().find(|it| it.name == format!("template_{name}")));
    templates
        .chain(std::iter::once(section))
        .filter_map(|place| place.entry("autosnap"))
        .last()
        .is_some_and(|entry| toggle(&entry.value) == Ok(true))
}

fn path_of(section: &Section) -> &str {
    section
        .entry("path")
        .map_or(section.name.as_str(), |entry| entry.value.as_str())
}

/// What keeps a text from being a dataset's name, as `dataset_namecheck` has
/// it: the character, or nothing that is said in a word.
fn name_problem(path: &str) -> Option<String> {
    let fits =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | ' ' | '/');
    if let Some(c) = path.chars().find(|c| !fits(*c)) {
        return Some(format!(": ZFS has no {c:?} in names"));
    }
    let wrong = path.len() > 255
        || !path.starts_with(|c: char| c.is_ascii_alphabetic())
        || path.split('/').any(|part| matches!(part, "" | "." | ".."));
    wrong.then(String::new)
}

#[cfg(test)]
mod tests;
