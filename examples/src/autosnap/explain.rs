//! `zfs-autosnap explain`: what a policy does to snapshots, and why.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::Zoned;
use zfs_retention::conf::Dataset;
use zfs_retention::{
    Change, Grid, Keep, Names, Part, Plan, Policy, Protection, Reason, Regex, Rule, Snapshot,
    Target, Thinning, Tier, Unit, Verdict,
};

use super::listing::{self, Listing};
use super::targets::{Marked, waiting};
use super::when::When;
use super::{usable_conf, zone};
use crate::exit::UsageError;

/// Where the policy comes from.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct PolicySource {
    /// The folder of a sanoid.conf, or the file; each dataset has its own
    /// policy
    #[arg(long, value_name = "DIR", visible_alias = "configdir")]
    config: Option<PathBuf>,

    /// Counts of calendar tiers: last=3,daily=14,monthly=6
    #[arg(long, value_name = "COUNTS", value_parser = keep)]
    keep: Option<Keep>,

    /// The same counts as restic 0.16 and later takes them, which keeps the
    /// oldest too while a tier is not full: keep-last=3,keep-daily=7
    #[arg(long, value_name = "COUNTS", value_parser = keep)]
    restic: Option<Keep>,

    /// The same counts as Proxmox takes them, each behind those before:
    /// keep-last=3,keep-daily=7
    #[arg(long, value_name = "COUNTS", value_parser = keep)]
    proxmox: Option<Keep>,

    /// zrepl's: '1x1h(keep=all) | 24x1h | 30x1d'
    #[arg(long, value_name = "GRID")]
    grid: Option<Grid>,

    /// zfs_autobackup's: 10,1d1w,1w1m
    #[arg(long, value_name = "SCHEDULE")]
    zfs_autobackup: Option<String>,

    /// znapzend's: '7d=>1h,30d=>4h'
    #[arg(long, value_name = "PLAN")]
    znapzend: Option<Thinning>,
}

/// What to explain, and how.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    policy: PolicySource,

    /// Names that the policy manages, as a pattern with * and ?; sanoid.conf
    /// brings its own
    #[arg(long, value_name = "PATTERN", conflicts_with = "config")]
    names: Option<String>,

    /// The same as a regular expression, looked for anywhere in a name as
    /// zrepl does
    #[arg(long, value_name = "REGEX", conflicts_with_all = ["config", "names"])]
    regex: Option<Regex>,

    /// The moment to plan for, 2026-01-01T06:30:00Z, or a date; now where not
    /// given
    #[arg(long, value_name = "T")]
    at: Option<When>,

    /// The zone whose calendar counts; the machine's where not given
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,

    /// Say also what another count would change: daily=14; may be repeated
    #[arg(long = "if", value_name = "TIER=COUNT", value_parser = other_count)]
    other_counts: Vec<OtherCount>,

    /// One JSON object per dataset with what would be freed, and one per
    /// snapshot
    #[arg(long)]
    json: bool,

    /// The list of snapshots, and of bookmarks, by which it is known what a
    /// replica still has to get; standard input where not given or -
    file: Option<PathBuf>,
}

/// A tier, and how many of it there might be kept instead.
#[derive(Clone, Debug)]
struct OtherCount {
    tier: String,
    count: u32,
}

fn other_count(text: &str) -> Result<OtherCount, String> {
    let (tier, count) = tier_and_count(text)?;
    Ok(OtherCount {
        tier: tier.to_owned(),
        count,
    })
}

fn tier_and_count(text: &str) -> Result<(&str, u32), String> {
    let (tier, count) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} is not of the form TIER=COUNT"))?;
    let count = count
        .parse()
        .map_err(|_| format!("{count:?} is not a count"))?;
    Ok((tier, count))
}

fn keep(text: &str) -> Result<Keep, String> {
    let mut keep = Keep::default();
    for item in text.split(',') {
        let item = item.trim();
        let (tier, count) = tier_and_count(item.strip_prefix("keep-").unwrap_or(item))?;
        *count_of(&mut keep, tier).ok_or_else(|| {
            format!("{tier:?} is none of last, frequently, hourly, daily, weekly, monthly, yearly")
        })? = count;
    }
    Ok(keep)
}

/// The count of a tier, by the tier's word.
fn count_of<'a>(keep: &'a mut Keep, tier: &str) -> Option<&'a mut u32> {
    Some(match tier {
        "last" => &mut keep.last,
        "frequently" => &mut keep.frequently,
        "hourly" => &mut keep.hourly,
        "daily" => &mut keep.daily,
        "weekly" => &mut keep.weekly,
        "monthly" => &mut keep.monthly,
        "yearly" => &mut keep.yearly,
        _ => return None,
    })
}

/// Plans for each dataset of the list and returns the lines to print.
pub fn run(options: &Options) -> anyhow::Result<Vec<String>> {
    let zone = zone(options.tz.as_deref())?;
    let now = match options.at {
        Some(at) => at.in_zone(&zone)?,
        None => Zoned::now().with_time_zone(zone),
    };
    let datasets = by_dataset(listing::read(&input(options.file.as_deref())?)?);
    let names: Vec<&str> = datasets.keys().map(String::as_str).collect();
    let policies = policies(options, &names)?;
    let mut lines = Vec::new();
    for ((dataset, own), policy) in datasets.iter().zip(&policies) {
        let targets: Vec<Target> = own.marked.iter().map(|it| it.target.clone()).collect();
        let plan = policy.policy.plan(&own.snapshots, &targets, &now);
        if options.json {
            lines.extend(json_lines(dataset, &plan, policy)?);
        } else {
            lines.extend(text_lines(dataset, &plan, policy.idle.as_deref()));
            lines.extend(waiting(&plan, &own.marked));
            lines.extend(deferred(policy.prune_defer));
        }
        for other in &options.other_counts {
            lines.extend(change_lines(&plan, dataset, other, options.json)?);
        }
    }
    Ok(lines)
}

/// What the list has of one dataset.
#[derive(Debug, Default)]
struct Own {
    snapshots: Vec<Snapshot<String>>,
    marked: Vec<Marked>,
}

/// The datasets that have snapshots, by name.
fn by_dataset(listing: Listing) -> BTreeMap<String, Own> {
    let mut all: BTreeMap<String, Own> = BTreeMap::new();
    for snapshot in listing.snapshots {
        let own = all.entry(snapshot.id.clone()).or_default();
        own.snapshots.push(snapshot);
    }
    for (dataset, marked) in listing.marked {
        if let Some(own) = all.get_mut(&dataset) {
            own.marked.push(marked);
        }
    }
    all
}

fn input(file: Option<&Path>) -> anyhow::Result<String> {
    if let Some(path) = file.filter(|path| *path != Path::new("-")) {
        return std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the list {}", path.display()));
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .context("cannot read the list from standard input")?;
    Ok(text)
}

/// What is to be done with a dataset.
#[derive(Clone, Debug)]
struct Configured {
    policy: Policy,
    /// How full its pool has to be before it is pruned, in percent; 0 is not
    /// at all.
    prune_defer: u8,
    /// Why sanoid.conf has nothing of it destroyed.
    idle: Option<String>,
}

impl Configured {
    fn with(policy: Policy) -> Configured {
        Configured {
            policy,
            prune_defer: 0,
            idle: None,
        }
    }

    /// What sanoid.conf says of a dataset, if anything.
    fn by_conf(dataset: &str, conf: Option<&Dataset>) -> Configured {
        let idle = match conf {
            None => format!("{dataset} is in no section of sanoid.conf"),
            Some(conf) if conf.children_only => "process_children_only in sanoid.conf".to_owned(),
            Some(Dataset { settings, .. }) => {
                return Configured {
                    policy: settings.policy(),
                    prune_defer: settings.prune_defer,
                    idle: (!settings.autoprune).then(|| "autoprune = no in sanoid.conf".to_owned()),
                };
            }
        };
        Configured {
            idle: Some(idle),
            ..Configured::with(Policy::managing(Names::AnyOf(Vec::new())))
        }
    }
}

/// One policy for each dataset. A dataset that sanoid.conf does not mention
/// has one that destroys nothing.
fn policies(options: &Options, datasets: &[&str]) -> anyhow::Result<Vec<Configured>> {
    let source = &options.policy;
    if let Some(dir) = &source.config {
        let configured = usable_conf(dir)?.expand(datasets);
        let own: HashMap<&str, &Dataset> =
            configured.iter().map(|it| (it.path.as_str(), it)).collect();
        let policy = |dataset: &&str| Configured::by_conf(dataset, own.get(dataset).copied());
        return Ok(datasets.iter().map(policy).collect());
    }
    let usage = |error: zfs_retention::Error| UsageError(error.to_string());
    let parts = if let Some(keep) = &source.keep {
        keep.parts()
    } else if let Some(keep) = source.restic {
        Part::restic(keep)
    } else if let Some(keep) = source.proxmox {
        vec![Part::proxmox(keep)]
    } else if let Some(grid) = &source.grid {
        vec![Part::grid(grid.clone())]
    } else if let Some(plan) = &source.znapzend {
        vec![Part::thinning(plan.clone())]
    } else if let Some(schedule) = &source.zfs_autobackup {
        Part::zfs_autobackup(schedule).map_err(usage)?
    } else {
        Vec::new()
    };
    let names = match (&options.names, &options.regex) {
        (Some(pattern), _) => Names::glob(pattern),
        (None, Some(regex)) => Names::Regex(regex.clone()),
        (None, None) => Names::Any,
    };
    let policy = Configured::with(Policy::managing(names).with_all(parts));
    Ok(datasets.iter().map(|_| policy.clone()).collect())
}

fn text_lines(dataset: &str, plan: &Plan<'_, String>, idle: Option<&str>) -> Vec<String> {
    let mut lines = Vec::new();
    for decision in plan.decisions() {
        let snapshot = decision.snapshot();
        let verdict = match decision.verdict() {
            Verdict::Keep => "keep   ",
            Verdict::Destroy => "destroy",
        };
        lines.push(format!("{verdict} {}@{}", snapshot.id, snapshot.name));
        let mut reasons: Vec<String> = Vec::new();
        // That nobody prunes it says all of what the policy has to say.
        reasons.extend(idle.map(str::to_owned));
        let reasons_of = decision.reasons();
        let others = reasons_of
            .iter()
            .filter(|it| idle.is_none() || !is_of_policy(it));
        reasons.extend(others.map(ToString::to_string));
        lines.extend(reasons.iter().map(|reason| format!("          {reason}")));
    }
    let (kept, destroyed) = (plan.kept().count(), plan.destroyed().count());
    let freed = plan.reclaimable();
    let unknown = match freed.unknown {
        0 => String::new(),
        count => format!("; {count} of unknown size"),
    };
    lines.push(format!(
        "{dataset}: {kept} kept, {destroyed} to destroy, which frees at least {} bytes{unknown}",
        freed.bytes
    ));
    lines
}

/// Whether it is said of what no policy manages or destroys.
fn is_of_policy(reason: &Reason<'_>) -> bool {
    matches!(
        reason,
        Reason::EmptyPolicy | Reason::Protected(Protection::Unmanaged)
    )
}

/// What a list does not tell: how full the pool is.
fn deferred(limit: u8) -> Option<String> {
    (limit > 0).then(|| {
        format!(
            "prune_defer {limit}: nothing is destroyed while the pool is not more than {limit}% \
             full, which is not looked at here"
        )
    })
}

/// What there is to say of all, and then of each.
fn json_lines(
    dataset: &str,
    plan: &Plan<'_, String>,
    configured: &Configured,
) -> anyhow::Result<Vec<String>> {
    let mut summary = serde_json::json!({
        "dataset": dataset, "kept": plan.kept().count(), "destroyed": plan.destroyed().count(),
        "reclaimable": plan.reclaimable(),
    });
    if let Some(map) = summary.as_object_mut() {
        if configured.prune_defer > 0 {
            map.insert("prune_defer".into(), configured.prune_defer.into());
        }
        if let Some(idle) = &configured.idle {
            map.insert("idle".into(), idle.as_str().into());
        }
    }
    let mut lines = vec![summary.to_string()];
    for decision in plan.decisions() {
        let mut object = serde_json::to_value(decision)?;
        if let Some(map) = object.as_object_mut() {
            map.insert("dataset".into(), dataset.into());
        }
        lines.push(object.to_string());
    }
    Ok(lines)
}

/// What another count of one tier would change.
fn change_lines(
    plan: &Plan<'_, String>,
    dataset: &str,
    other: &OtherCount,
    as_json: bool,
) -> anyhow::Result<Vec<String>> {
    let OtherCount { tier, count } = other;
    let parts = plan.policy().parts();
    if parts.is_empty() {
        // It destroys nothing, whatever the counts.
        return Ok(Vec::new());
    }
    let change = change(plan, other)
        .ok_or_else(|| UsageError(format!("the policy of {dataset} has no count of {tier}")))?;
    if as_json {
        let mut line = serde_json::to_value(&change)?;
        if let Some(map) = line.as_object_mut() {
            map.insert("dataset".into(), dataset.into());
            map.insert("if".into(), serde_json::json!({ tier: count }));
        }
        return Ok(vec![line.to_string()]);
    }
    let mut lines = vec![format!(
        "with {tier}={count}, {} more would be kept and {} more destroyed",
        change.saved.len(),
        change.lost.len()
    )];
    let one = |verdict, it: &Snapshot<String>| format!("  {verdict} {dataset}@{}", it.name);
    lines.extend(change.saved.iter().map(|it| one("keep   ", it)));
    lines.extend(change.lost.iter().map(|it| one("destroy", it)));
    Ok(lines)
}

/// What another count of a tier would change, where the policy has such a
/// count.
fn change<'a>(
    plan: &Plan<'a, String>,
    OtherCount { tier, count }: &OtherCount,
) -> Option<Change<'a, String>> {
    plan.policy()
        .parts()
        .iter()
        .enumerate()
        .find_map(|(nth, part)| {
            if let Rule::Chained(keep) = part.rule() {
                let mut keep = *keep;
                *count_of(&mut keep, tier)? = *count;
                return plan.if_part(nth, Part::proxmox(keep));
            }
            let counts = is_of_tier(part, tier);
            counts.then(|| plan.if_count(nth, *count)).flatten()
        })
}

/// Whether a part's count is that of a tier, by the tier's word.
fn is_of_tier(part: &Part, word: &str) -> bool {
    match part.rule() {
        Rule::Last { .. } => word == "last",
        Rule::Calendar { unit, .. } | Rule::CalendarAndOldest { unit, .. } => match unit {
            Unit::Minutes(_) => word == "frequently",
            Unit::Hour => word == "hourly",
            Unit::Day => word == "daily",
            Unit::Week => word == "weekly",
            Unit::Month => word == "monthly",
            Unit::Year => word == "yearly",
            _ => false,
        },
        Rule::Aged { .. } => {
            let tier: Option<Tier> = word.parse().ok();
            tier.is_some_and(|tier| part.names() == Some(&tier.names()))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read() {
        let counts = keep("last=3,daily=14").unwrap();
        assert_eq!((counts.last, counts.daily, counts.hourly), (3, 14, 0));
        for text in ["", "daily", "daily=x", "dayly=3"] {
            assert!(keep(text).is_err(), "{text}");
        }
    }
}
