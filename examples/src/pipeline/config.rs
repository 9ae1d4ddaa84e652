//! The TOML file: read, checked, and turned into what the libraries take.

use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::Deserialize;
use toml::Spanned;
use zfs_core::DatasetName;
use zfs_replicate::execute::Retries;
use zfs_replicate::marker::TargetId;
use zfs_retention::{Names, Part, Policy};

use crate::exit::UsageError;

/// sanoid's `frequently` is a quarter of an hour, and so is this one.
const FREQUENTLY_MINUTES: u16 = 15;

/// What every timestamp of a snapshot looks like to a pattern.
const TIMESTAMP_PATTERN: &str = "????-??-??T??:??:??Z";

/// What snapshots are called where the job does not say.
const DEFAULT_PREFIX: &str = "pipeline";

/// How many datasets are worked on at once where the job does not say.
const DEFAULT_JOBS: usize = 4;

/// A whole file.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its jobs, in the file's order.
    pub jobs: Vec<Job>,
}

/// One tree, where it goes, and what is kept of it.
#[derive(Clone, Debug)]
pub struct Job {
    /// What it is called.
    pub name: String,
    /// The dataset at the top of the tree.
    pub source: DatasetName,
    /// What its snapshots begin with, before `_` and the time.
    pub prefix: String,
    /// When snapshots are taken.
    pub take: Take,
    /// What the source keeps, `None` where it is not pruned.
    pub keep: Option<Keep>,
    /// Where it goes.
    pub targets: Vec<Target>,
    /// How it goes.
    pub sending: Sending,
}

/// How streams are sent: the executor's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sending {
    /// How many datasets at once.
    pub jobs: usize,
    /// How often what may pass is tried again.
    pub retries: u32,
    /// Whether streams are checked on their way.
    pub verify: bool,
}

/// When a job takes snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// In each run.
    Always,
    /// When the youngest is this old.
    Every(Duration),
    /// Never: it replicates what is there.
    Never,
}

/// A place where a job's tree goes.
#[derive(Clone, Debug)]
pub struct Target {
    /// What the job's source is called there.
    pub dataset: DatasetName,
    /// Its name in the source's markers.
    pub identifier: TargetId,
    /// What it keeps, `None` where it is not pruned.
    pub keep: Option<Keep>,
}

/// A policy with its calendar.
#[derive(Clone, Debug)]
pub struct Keep {
    /// What is kept of the snapshots with the job's prefix.
    pub policy: Policy,
    /// Whose hours and days count.
    pub zone: TimeZone,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    #[serde(default)]
    policy: BTreeMap<String, Spanned<RawPolicy>>,
    #[serde(default)]
    job: Vec<Spanned<RawJob>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPolicy {
    timezone: Option<Spanned<String>>,
    last: Option<u32>,
    frequently: Option<u32>,
    hourly: Option<u32>,
    daily: Option<u32>,
    weekly: Option<u32>,
    monthly: Option<u32>,
    yearly: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawJob {
    name: Spanned<String>,
    source: Spanned<String>,
    prefix: Option<Spanned<String>>,
    policy: Option<Spanned<String>>,
    every: Option<Spanned<String>>,
    snapshot: Option<Spanned<bool>>,
    jobs: Option<NonZeroUsize>,
    retries: Option<u32>,
    verify: Option<bool>,
    #[serde(default)]
    target: Vec<RawTarget>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTarget {
    dataset: Spanned<String>,
    identifier: Option<Spanned<String>>,
    policy: Option<Spanned<String>>,
}

/// Something is wrong at a place in the file.
struct Wrong {
    at: Range<usize>,
    what: String,
}

fn wrong<T>(at: &Spanned<T>, what: impl Into<String>) -> Wrong {
    Wrong {
        at: at.span(),
        what: what.into(),
    }
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// A [`UsageError`] that names the file and the line.
    pub fn read(path: &Path) -> Result<Config, UsageError> {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Config::parse(&file, &text),
            Err(error) => Err(UsageError(format!("cannot read {file}: {error}"))),
        }
    }

    /// Reads a text; `file` is what errors call it.
    ///
    /// # Errors
    ///
    /// A [`UsageError`] that names the file and the line.
    pub fn parse(file: &str, text: &str) -> Result<Config, UsageError> {
        let located = |at: usize, what: &str| {
            let before = text.get(..at).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            UsageError(format!("{file}:{line}: {what}"))
        };
        let raw: RawConfig = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            located(at, error.message())
        })?;
        raw.check()
            .map_err(|wrong| located(wrong.at.start, &wrong.what))
    }
}

impl RawConfig {
    fn check(&self) -> Result<Config, Wrong> {
        for policy in self.policy.values() {
            policy.as_ref().zone()?;
            if policy.as_ref().parts().next().is_none() {
                return Err(wrong(
                    policy,
                    "this policy keeps nothing; give it a last, frequently, hourly, daily, \
                     weekly, monthly or yearly above 0",
                ));
            }
        }
        let mut names = HashSet::new();
        let mut jobs = Vec::new();
        for raw in &self.job {
            let raw = raw.as_ref();
            let job = raw.check(&self.policy)?;
            if !names.insert(job.name.clone()) {
                let name = &job.name;
                return Err(wrong(
                    &raw.name,
                    format!("there are two jobs called {name:?}"),
                ));
            }
            jobs.push(job);
        }
        self.check_markers(&jobs)?;
        self.check_targets(&jobs)?;
        Ok(Config { jobs })
    }

    /// A snapshot that a target has and its source does not makes it diverge.
    fn check_targets(&self, jobs: &[Job]) -> Result<(), Wrong> {
        let mut seen: BTreeMap<&DatasetName, &str> = BTreeMap::new();
        for (job, raw) in jobs.iter().zip(&self.job) {
            for (target, raw) in job.targets.iter().zip(&raw.as_ref().target) {
                let dataset = &target.dataset;
                if let Some(other) = seen.insert(dataset, &job.name) {
                    let what = format!("{dataset} is a target of job {other:?} already");
                    return Err(wrong(&raw.dataset, what));
                }
                let taker = jobs.iter().zip(&self.job).find(|(other, _)| {
                    let overlap =
                        other.source.is_within(dataset) || dataset.is_within(&other.source);
                    overlap && other.take != Take::Never
                });
                if let Some((_, taker)) = taker {
                    let what = format!(
                        "{dataset} is a target of job {:?}; a snapshot that only the target has \
                         would make it diverge, so this job needs snapshot = false",
                        job.name
                    );
                    return Err(wrong(&taker.as_ref().source, what));
                }
            }
        }
        Ok(())
    }

    /// Two targets of one dataset that share an identifier would destroy each
    /// other's markers.
    fn check_markers(&self, jobs: &[Job]) -> Result<(), Wrong> {
        let targets: Vec<_> = jobs
            .iter()
            .zip(&self.job)
            .flat_map(|(job, raw)| {
                let raw = &raw.as_ref().target;
                job.targets
                    .iter()
                    .zip(raw)
                    .map(move |(target, raw)| (job, target, raw))
            })
            .collect();
        for (index, (job, target, raw)) in targets.iter().enumerate() {
            for (other_job, other, _) in targets.iter().take(index) {
                let overlap = job.source.is_within(&other_job.source)
                    || other_job.source.is_within(&job.source);
                if overlap && target.identifier == other.identifier {
                    let at = raw.identifier.as_ref().unwrap_or(&raw.dataset);
                    return Err(wrong(
                        at,
                        format!(
                            "{} and {} have the same identifier {:?}, and would destroy each \
                             other's markers on {}",
                            other.dataset,
                            target.dataset,
                            target.identifier.as_str(),
                            job.source
                        ),
                    ));
                }
            }
        }
        Ok(())
    }
}

impl RawPolicy {
    fn zone(&self) -> Result<TimeZone, Wrong> {
        match &self.timezone {
            None => Ok(TimeZone::UTC),
            Some(name) => TimeZone::get(name.as_ref()).map_err(|error| {
                wrong(
                    name,
                    format!("{:?} is not a time zone: {error}", name.as_ref()),
                )
            }),
        }
    }

    fn parts(&self) -> impl Iterator<Item = Part> {
        let frequently = |count| Part::frequently(FREQUENTLY_MINUTES, count);
        [
            self.last.filter(|n| *n > 0).map(Part::last),
            self.frequently.filter(|n| *n > 0).map(frequently),
            self.hourly.filter(|n| *n > 0).map(Part::hourly),
            self.daily.filter(|n| *n > 0).map(Part::daily),
            self.weekly.filter(|n| *n > 0).map(Part::weekly),
            self.monthly.filter(|n| *n > 0).map(Part::monthly),
            self.yearly.filter(|n| *n > 0).map(Part::yearly),
        ]
        .into_iter()
        .flatten()
    }
}

/// The policy of that name for snapshots with that prefix.
fn keep(
    policies: &BTreeMap<String, Spanned<RawPolicy>>,
    name: Option<&Spanned<String>>,
    prefix: &str,
) -> Result<Option<Keep>, Wrong> {
    let Some(name) = name else {
        return Ok(None);
    };
    let Some(raw) = policies.get(name.as_ref()) else {
        let known: Vec<_> = policies.keys().map(|key| format!("{key:?}")).collect();
        let known = if known.is_empty() {
            "there is none in this file".to_owned()
        } else {
            format!("there are {}", known.join(", "))
        };
        let what = format!("there is no policy {:?}; {known}", name.as_ref());
        return Err(wrong(name, what));
    };
    let names = Names::glob(format!("{prefix}_{TIMESTAMP_PATTERN}"));
    let policy = raw
        .as_ref()
        .parts()
        .fold(Policy::managing(names), Policy::with);
    let zone = raw.as_ref().zone()?;
    Ok(Some(Keep { policy, zone }))
}

fn dataset(name: &Spanned<String>) -> Result<DatasetName, Wrong> {
    name.as_ref()
        .parse()
        .map_err(|error: zfs_core::Error| wrong(name, error.to_string()))
}

fn word(name: &Spanned<String>, what: &str) -> Result<String, Wrong> {
    let text = name.as_ref();
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
        return Ok(text.clone());
    }
    let what = format!("{text:?} cannot be a {what}: it takes 1 to 64 of A-Z a-z 0-9 _ -");
    Err(wrong(name, what))
}

impl RawJob {
    fn take(&self) -> Result<Take, Wrong> {
        let taken = self.snapshot.as_ref().is_none_or(|taken| *taken.as_ref());
        match &self.every {
            Some(text) if !taken => Err(wrong(
                text,
                "this job takes no snapshots (snapshot = false), so there is no time between them",
            )),
            Some(text) => Ok(Take::Every(every(text)?)),
            None if taken => Ok(Take::Always),
            None => Ok(Take::Never),
        }
    }

    fn check(&self, policies: &BTreeMap<String, Spanned<RawPolicy>>) -> Result<Job, Wrong> {
        let prefix = match &self.prefix {
            Some(prefix) => word(prefix, "prefix")?,
            None => DEFAULT_PREFIX.to_owned(),
        };
        let source = dataset(&self.source)?;
        let mut targets = Vec::new();
        for raw in &self.target {
            let target = dataset(&raw.dataset)?;
            if target.is_within(&source) {
                let what = format!("the target {target} lies in its own source {source}");
                return Err(wrong(&raw.dataset, what));
            }
            let identifier = match &raw.identifier {
                Some(id) => id
                    .as_ref()
                    .parse()
                    .map_err(|error| wrong(id, format!("{error}")))?,
                None => TargetId::derived("", &target),
            };
            targets.push(Target {
                dataset: target,
                identifier,
                keep: keep(policies, raw.policy.as_ref(), &prefix)?,
            });
        }
        Ok(Job {
            name: word(&self.name, "job's name")?,
            take: self.take()?,
            keep: keep(policies, self.policy.as_ref(), &prefix)?,
            source,
            prefix,
            targets,
            sending: Sending {
                jobs: self.jobs.map_or(DEFAULT_JOBS, NonZeroUsize::get),
                retries: self.retries.unwrap_or(Retries::default().times),
                verify: self.verify.unwrap_or(true),
            },
        })
    }
}

/// Reads `90s`, `15m`, `1h`, `1d`, `2w`.
fn every(text: &Spanned<String>) -> Result<Duration, Wrong> {
    let parsed = || {
        let unit = text.as_ref().chars().last()?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        let number: u32 = text.as_ref().strip_suffix(unit)?.parse().ok()?;
        (number > 0).then(|| Duration::from_secs(u64::from(number) * seconds))
    };
    parsed().ok_or_else(|| {
        let text_given = text.as_ref();
        wrong(
            text,
            format!(
                "{text_given:?} is not a time between snapshots; write 15m, 1h, 1d or the like"
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEMO: &str = r#"
[policy.office]
timezone = "UTC"
last = 2
hourly = 24
daily = 30

[[job]]
name = "office"
source = "site-a/office"     # with everything below it
policy = "office"            # a snapshot each run, pruned by it

[[job.target]]
dataset = "site-b/office"
identifier = "siteb"
policy = "office"            # what the target keeps
"#;

    #[track_caller]
    fn refused(change: (&str, &str)) -> String {
        let text = DEMO.replace(change.0, change.1);
        assert_ne!(text, DEMO, "the change changes something");
        Config::parse("office.toml", &text).unwrap_err().0
    }

    #[test]
    fn the_documented_file_is_read() {
        let config = Config::parse("office.toml", DEMO).unwrap();
        let [job] = config.jobs.as_slice() else {
            panic!("one job");
        };
        assert_eq!(
            (job.name.as_str(), job.prefix.as_str()),
            ("office", "pipeline")
        );
        assert_eq!(job.source, "site-a/office");
        let usual = Sending {
            jobs: 4,
            retries: 3,
            verify: true,
        };
        assert_eq!(job.sending, usual);
        assert_eq!(job.targets[0].dataset, "site-b/office");
        assert_eq!(job.targets[0].identifier.as_str(), "siteb");
        let policy = &job.keep.as_ref().unwrap().policy;
        assert_eq!(policy.parts().len(), 3);
        assert!(policy.names().matches("pipeline_2026-11-22T12:00:00Z"));
        assert!(!policy.names().matches("pipeline_by-hand"));
        assert!(!policy.names().matches("before-upgrade"));
    }

    #[test]
    fn the_readme_shows_that_very_file() {
        let readme = include_str!("../../README.md");
        assert!(readme.contains(DEMO.trim()), "README.md has another file");
    }

    #[test]
    fn unknown_keys_are_errors_with_their_line() {
        let error = refused(("hourly = 24", "hourly = 24\nhorly = 3"));
        assert!(
            error.starts_with("office.toml:6: unknown field `horly`"),
            "{error}"
        );
        let error = refused(("name = \"office\"", "nmae = \"office\""));
        assert!(error.starts_with("office.toml:9: unknown field"), "{error}");
        let error = refused(("identifier =", "id ="));
        assert!(
            error.starts_with("office.toml:15: unknown field"),
            "{error}"
        );
    }

    #[test]
    fn what_makes_no_sense_is_an_error_with_its_line() {
        for (change, expected) in [
            (
                (
                    "policy = \"office\"            # a",
                    "policy = \"ofice\" # a",
                ),
                "office.toml:11: there is no policy \"ofice\"; there are \"office\"",
            ),
            (
                ("\"UTC\"", "\"Mars/Olympus\""),
                "office.toml:3: \"Mars/Olympus\" is not a time zone",
            ),
            (
                ("\"siteb\"", "\"site-b\""),
                "office.toml:15: \"site-b\" cannot identify a target",
            ),
            (
                ("\"site-b/office\"", "\"site-a/office/copy\""),
                "office.toml:14: the target site-a/office/copy lies in its own source",
            ),
            (
                ("\"site-a/office\"", "\"site-a//office\""),
                "office.toml:10: \"site-a//office\" is not the name of a dataset",
            ),
            (
                ("name = \"office\"", "name = \"my office\""),
                "office.toml:9: \"my office\" cannot be a job's name",
            ),
            (
                ("last = 2\nhourly = 24\ndaily = 30\n", "last = 0\n"),
                "office.toml:2: this policy keeps nothing",
            ),
            (
                ("hourly = 24", "hourly = -1"),
                "office.toml:5: invalid value: integer `-1`",
            ),
            (("hourly = 24", "hourly = "), "office.toml:5: "),
        ] {
            let error = refused(change);
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn two_jobs_of_one_name_are_an_error() {
        let text = format!("{DEMO}\n[[job]]\nname = \"office\"\nsource = \"tank\"\n");
        let error = Config::parse("f", &text).unwrap_err().0;
        assert_eq!(error, "f:19: there are two jobs called \"office\"");
    }

    #[test]
    fn two_targets_of_one_tree_need_identifiers_of_their_own() {
        let second = "\n[[job.target]]\ndataset = \"c/office\"\nidentifier = \"siteb\"\n";
        let error = Config::parse("f", &format!("{DEMO}{second}"))
            .unwrap_err()
            .0;
        assert!(
            error.starts_with("f:20: site-b/office and c/office"),
            "{error}"
        );
        let second = "\n[[job.target]]\ndataset = \"c/office\"\n";
        assert!(Config::parse("f", &format!("{DEMO}{second}")).is_ok());
    }

    #[test]
    fn what_is_a_target_itself_is_replicated_only_as_it_is() {
        let next = |more: &str| {
            format!(
                "{DEMO}\n[[job]]\nname = \"next\"\nsource = \"site-b/office\"\n{more}\
                 [[job.target]]\ndataset = \"site-c/office\"\n"
            )
        };
        let config = Config::parse("f", &next("snapshot = false\n")).unwrap();
        assert_eq!(config.jobs[0].take, Take::Always);
        assert_eq!(config.jobs[1].take, Take::Never);
        let error = Config::parse("f", &next("")).unwrap_err().0;
        assert!(
            error.starts_with("f:20: site-b/office is a target of job \"office\""),
            "{error}"
        );
        let both = next("snapshot = false\nevery = \"1h\"\n");
        let error = Config::parse("f", &both).unwrap_err().0;
        assert!(
            error.starts_with("f:22: this job takes no snapshots"),
            "{error}"
        );
    }

    #[test]
    fn how_streams_are_sent_is_the_jobs_to_say() {
        let sending = |more: &str| {
            let text = format!("[[job]]\nname = \"a\"\nsource = \"b\"\n{more}");
            Config::parse("f", &text).map(|config| config.jobs[0].sending)
        };
        assert_eq!(
            sending("jobs = 1\nretries = 0\nverify = false\n").unwrap(),
            Sending {
                jobs: 1,
                retries: 0,
                verify: false,
            }
        );
        for none in ["jobs = 0\n", "retries = -1\n", "verify = 1\n"] {
            let error = sending(none).unwrap_err().0;
            assert!(error.starts_with("f:4: "), "{error}");
        }
    }

    #[test]
    fn a_dataset_is_the_target_of_one_job() {
        let second = "\n[[job]]\nname = \"b\"\nsource = \"tank\"\n[[job.target]]\n\
                      dataset = \"site-b/office\"\n";
        let error = Config::parse("f", &format!("{DEMO}{second}"))
            .unwrap_err()
            .0;
        assert_eq!(
            error,
            "f:22: site-b/office is a target of job \"office\" already"
        );
    }

    #[test]
    fn times_between_snapshots_are_read() {
        for (text, seconds) in [
            ("90s", Some(90)),
            ("15m", Some(900)),
            ("1h", Some(3600)),
            ("1d", Some(86_400)),
            ("2w", Some(1_209_600)),
            ("", None),
            ("0m", None),
            ("m", None),
            ("-1h", None),
            ("1", None),
            ("1 h", None),
            ("99999999999h", None),
            ("1é", None),
        ] {
            let toml = format!("[[job]]\nname = \"a\"\nsource = \"b\"\nevery = \"{text}\"\n");
            let every = Config::parse("f", &toml)
                .ok()
                .and_then(|config| config.jobs.first().map(|job| job.take));
            let expected = seconds.map(|seconds| Take::Every(Duration::from_secs(seconds)));
            assert_eq!(every, expected, "{text:?}");
        }
    }
}
