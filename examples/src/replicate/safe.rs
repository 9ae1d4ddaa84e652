//! Our own way: two trees, a plan, and an executor.
//!
//! Nothing is taken back or destroyed unless that was asked for, encrypted data
//! stays encrypted, new datasets are read-only and not mounted, the base of the
//! next increment is marked on the source, and every stream is checked on its
//! way.

use std::cell::OnceCell;
use std::sync::Arc;

use anyhow::Context;
use jiff::Zoned;
use zfs_core::{DatasetName, ListCache, Zfs};
use zfs_replicate::endpoint::{
    Access, Compression, Elevation, Endpoint, Forced, Local, Ssh, SshOptions, Stock, remembered,
    trees, unheld,
};
use zfs_replicate::execute::{Cancel, Executor, Retries};
use zfs_replicate::marker::TargetId;
use zfs_replicate::plan::{
    Blocks, Diverged, Encrypted, Gone, Hosts, LargeBlocks, Options, Plan, plan, provenance,
};
use zfs_replicate::tree::{Dataset, Snapshot};

use super::alone;
use super::arguments::{Arguments, Pattern};
use super::limit::Limits;
use super::properties;
use super::restore;
use super::side::Place;
use super::syncoid::rate;
use super::told::Told;
use super::wanted::Wanted;
use crate::cache;
use crate::exit::{Exit, UsageError};
use crate::stop;

/// How many datasets are worked on at once where nobody says.
const JOBS: usize = 4;

/// Replicates, or restores.
///
/// # Errors
///
/// It cannot begin.
pub fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let is_pool = |name: &str| {
        let zfs = Zfs::open().ok();
        let dataset = name.parse::<DatasetName>().ok();
        zfs.zip(dataset)
            .is_some_and(|(zfs, dataset)| zfs.dataset(&dataset).is_ok())
    };
    let from = Place::parse(&arguments.source, is_pool);
    let to = Place::parse(&arguments.target, is_pool);
    let source_root = dataset(&from)?;
    let target_root = dataset(&to)?;
    let choice = Wanted::new(arguments, Zoned::now())?;
    let limits = Limits::new(arguments)?;
    let forced = arguments.forced_command;
    if forced {
        fits_a_forced_command(arguments, &to)?;
    }
    let id = known_id(arguments, &to, &target_root)?;
    let times = choice.needs_times();
    let source = endpoint(
        &from,
        arguments,
        &Listed {
            times,
            ..Listed::default()
        },
    )?;
    let target: Box<dyn Endpoint> = if forced {
        Box::new(Forced::new(Arc::new(Ssh::connect(ssh(&to, arguments))?)))
    } else {
        let listed = Listed {
            times,
            written: arguments.rollback,
            pool: id.get().is_none(),
        };
        endpoint(&to, arguments, &listed)?
    };
    let hosts = if from.host == to.host {
        Hosts::Same
    } else {
        Hosts::Different
    };
    let told = Told::new(arguments);
    let id_of = || -> Result<&TargetId, zfs_replicate::Error> {
        if let Some(id) = id.get() {
            return Ok(id);
        }
        let pool = target.pool_guid(&target_root)?;
        let pool = pool.ok_or_else(|| zfs_replicate::Error::TargetPoolMissing {
            dataset: target_root.clone(),
            pool: target_root.pool().to_string(),
        })?;
        Ok(id.get_or_init(|| TargetId::derived(&format!("{:016x}", pool.0), &target_root)))
    };
    let planned = |choice: &Wanted| -> Result<Plan, zfs_replicate::Error> {
        let (source_tree, target_tree) = if forced {
            let encrypted = if arguments.plaintext {
                Encrypted::Plaintext
            } else {
                Encrypted::Raw
            };
            let tree = source.tree(&source_root)?;
            let target = remembered(&tree, &target_root, id_of()?, encrypted);
            (tree, target)
        } else {
            trees((&*source, &source_root), (&*target, &target_root))?
        };
        let id = id_of()?;
        let chosen = choice.choose(&source_tree, &target_tree);
        let wanted =
            |dataset: &DatasetName, snapshot: &Snapshot| chosen.contains(dataset, snapshot);
        let datasets = |dataset: &Dataset| is_meant(arguments, &source_root, dataset);
        // Who is who is asked only where something may go because of it.
        let known = OnceCell::new();
        let ask = || {
            let set = target.properties(&target_root)?;
            Ok::<_, zfs_replicate::Error>(provenance(&source_tree, &target_tree, &set, id))
        };
        if arguments.retire && target_tree.get(&target_root).is_some() {
            let _ = known.set(ask()?);
        }
        let whose = |dataset: &Dataset| {
            let known = known.get_or_init(|| ask().unwrap_or_default());
            known.get(&dataset.guid).copied().unwrap_or_default()
        };
        let unheld = holds(arguments, id)
            .map(|tag| unheld((&*source, &source_tree), (&*target, &target_tree), &tag))
            .transpose()?;
        let mut options = options(arguments, id)
            .provenance(&whose)
            .wanted(&wanted)
            .datasets(&datasets)
            .hosts(hosts);
        if let Some(unheld) = &unheld {
            options = options.unheld(unheld);
        }
        plan(&source_tree, &target_tree, &options)
    };
    if arguments.restore {
        let there = target.tree(&target_root)?;
        if there.get(&target_root).is_some() {
            let plan = planned(&choice)?;
            restore::check(&source.tree(&source_root)?, &there)?;
            restore::only_completes(&plan, &there)?;
            // Whole, but not what would be restored now.
            if plan.is_empty() {
                restore::only_completes(&planned(&choice.anew())?, &there)?;
            }
        }
    }
    if arguments.dry_run {
        let plan = planned(&choice)?;
        told.plan(&plan);
        return Ok(Exit::done_if(plan.refused().next().is_none()));
    }
    let _alone = alone::at(&to.host, &target_root)?;
    let properties = properties::chosen(arguments, &*source, &source_root)?;
    let cancel = Cancel::new();
    let stopping = cancel.clone();
    stop::on_signal(move || stopping.cancel()).context("cannot watch for signals")?;
    let retries = Retries {
        times: arguments.retries.unwrap_or(Retries::default().times),
        ..Retries::default()
    };
    let mut first = None;
    if id.get().is_none() {
        // Which target it is, is known with the first plan.
        let looked = Executor::new(&*source, &*target, &told)
            .cancel(cancel.clone())
            .run_with_retries(retries, || {
                let plan = planned(&choice)?;
                let nothing = Plan {
                    source: plan.source,
                    steps: Vec::new(),
                };
                first = Some(plan);
                Ok(nothing)
            })?;
        if looked.cancelled {
            told.end(false, &looked);
            return Ok(Exit::Failed);
        }
    }
    let mut executor = Executor::new(&*source, &*target, &told)
        .cancel(cancel)
        .jobs(arguments.jobs.unwrap_or(JOBS))
        .properties(properties);
    if !arguments.no_verify {
        executor = executor.verify();
    }
    if let Some(size) = arguments.mbuffer_size.as_deref().and_then(rate) {
        executor = executor.buffer(usize::try_from(size.get()).unwrap_or(usize::MAX));
    }
    if !arguments.restore && !forced {
        executor = executor.sign(id_of()?.clone());
    }
    executor = limits.on(executor);
    if let Some(tag) = holds(arguments, id_of()?) {
        executor = executor.hold(tag);
    }
    if arguments.restore {
        executor = executor.access(Access::Inherited);
    }
    let (mut something, mut found) = (false, false);
    let outcome = executor.run_with_retries(retries, || {
        let plan = match first.take() {
            Some(plan) => plan,
            None => planned(&choice)?,
        };
        told.begin(&plan);
        something |= !plan.is_empty() || plan.refused().next().is_some();
        found |= restore::is_found(&plan, arguments.snapshot.as_deref());
        Ok(plan)
    })?;
    told.end(something, &outcome);
    if arguments.restore && !found && outcome.refused == 0 {
        let which = arguments.snapshot.as_deref().unwrap_or("that is wanted");
        anyhow::bail!("{source_root} has no snapshot {which}; nothing was restored");
    }
    Ok(Exit::done_if(outcome.is_ok()))
}

/// What the target is called in the markers, where that is known before it is
/// listed. Without a name it is its pool's GUID and its own name: the same
/// however its host is reached, and another one for another host, and for the
/// other one of two disks whose pools have one name.
fn known_id(
    arguments: &Arguments,
    to: &Place,
    target_root: &DatasetName,
) -> anyhow::Result<OnceCell<TargetId>> {
    if let Some(name) = &arguments.identifier {
        let id: Result<TargetId, _> = name.parse();
        let id = id.map_err(|error| UsageError(format!("--identifier: {error}")))?;
        return Ok(id.into());
    }
    // What is restored is nobody's target, and what runs one command whatever
    // it is asked cannot say which pool it has.
    if arguments.restore || arguments.forced_command {
        let host = to.host.rsplit('@').next().unwrap_or_default();
        return Ok(TargetId::derived(host, target_root).into());
    }
    Ok(OnceCell::new())
}

/// The tag that the newest common snapshots are held with, if they are.
fn holds(arguments: &Arguments, id: &TargetId) -> Option<String> {
    (arguments.use_hold && !arguments.restore).then(|| format!("replica-{id}"))
}

/// What the words of the command line ask the planner for.
fn options<'a>(arguments: &Arguments, id: &'a TargetId) -> Options<'a> {
    let mut options = Options::new();
    // What is restored is nobody's base.
    if !arguments.restore && !arguments.no_marker {
        options = options.marker(id);
    }
    if arguments.rollback {
        options = options.diverged(Diverged::Rollback);
    }
    if arguments.no_large_blocks {
        options = options.large_blocks(LargeBlocks::Split);
    }
    if arguments.retire {
        options = options.gone(Gone::Destroy);
    }
    if arguments.plaintext {
        options = options.encrypted(Encrypted::Plaintext);
    }
    if arguments
        .compress
        .as_deref()
        .is_some_and(|name| name != "none")
    {
        options = options.blocks(Blocks::Decompressed);
    }
    options
}

fn is_meant(arguments: &Arguments, root: &DatasetName, dataset: &Dataset) -> bool {
    let is_root = dataset.name == *root;
    (is_root || arguments.recursive)
        && !(is_root && arguments.skip_parent && arguments.recursive)
        && arguments.kind.is_none_or(|kind| kind == dataset.kind)
        && is_named(arguments, dataset.name.as_str())
}

/// Whether a dataset of that name was neither left out nor forgotten.
fn is_named(arguments: &Arguments, name: &str) -> bool {
    let include = &arguments.include_datasets;
    Pattern::any(&arguments.exclude_datasets, name).is_none()
        && (include.is_empty() || Pattern::any(include, name).is_some())
}

fn dataset(place: &Place) -> anyhow::Result<DatasetName> {
    let name = place.dataset.parse();
    name.map_err(|error| UsageError(format!("{error}")).into())
}

fn ssh(place: &Place, arguments: &Arguments) -> SshOptions {
    SshOptions {
        destination: place.host.clone(),
        arguments: arguments.ssh.clone(),
        program: None,
    }
}

/// What cannot be had from somebody who runs one command whatever is asked.
fn fits_a_forced_command(arguments: &Arguments, to: &Place) -> Result<(), UsageError> {
    let given = [
        (to.host.is_empty(), "a target on this system"),
        (arguments.recursive, "--recursive"),
        (arguments.restore, "restore"),
        (arguments.rollback, "--rollback"),
        (arguments.retire, "--retire"),
        (arguments.use_hold, "--use-hold"),
        (arguments.preserve_properties, "--preserve-properties"),
        (arguments.preserve_recordsize, "--preserve-recordsize"),
        (
            !arguments.include_properties.is_empty(),
            "--include-properties",
        ),
        (!arguments.recv_options.is_empty(), "--recvoptions"),
        (arguments.target_retention.is_some(), "--target-retention"),
        (arguments.no_marker, "--no-marker"),
        (
            arguments
                .compress
                .as_deref()
                .is_some_and(|name| name != "none"),
            "--compress",
        ),
    ];
    match given.iter().find(|(given, _)| *given) {
        Some((_, what)) => Err(UsageError(format!(
            "--forced-command and {what} do not go together: the other end can be sent streams \
             into one dataset, and asked nothing"
        ))),
        None => Ok(()),
    }
}

/// What is listed besides.
#[derive(Default)]
struct Listed {
    /// When snapshots were made.
    times: bool,
    /// What was written since the youngest.
    written: bool,
    /// Which pool it is.
    pool: bool,
}

fn endpoint(
    place: &Place,
    arguments: &Arguments,
    listed: &Listed,
) -> anyhow::Result<Box<dyn Endpoint>> {
    if place.host.is_empty() {
        let mut local = Local::new(Zfs::open()?);
        if let Some(folder) = cache::usual_folder() {
            local = local.with_cache(ListCache::new(folder));
        }
        if listed.times {
            local = local.with_times();
        }
        if listed.written {
            local = local.with_written();
        }
        return Ok(Box::new(local));
    }
    let options = ssh(place, arguments);
    let elevation = if place.is_root_user || arguments.no_privilege_elevation {
        Elevation::None
    } else {
        Elevation::Sudo
    };
    let mut stock = Stock::new(Arc::new(Ssh::connect(options)?), elevation);
    if listed.times {
        stock = stock.with_times();
    }
    if listed.pool {
        stock = stock.with_pool();
    }
    let compression = arguments.compress.as_deref().and_then(Compression::named);
    if let Some(compression) = compression {
        stock = stock.compressed(compression);
    }
    Ok(Box::new(stock))
}

#[cfg(test)]
mod tests {
    use zfs_core::Guid;

    use super::*;
    use crate::replicate::arguments::{Command, parse};

    #[test]
    fn datasets_are_chosen_by_name_and_what_is_excluded_stays_out() {
        let meant = |options: &str| -> Vec<&str> {
            let line = format!("--safe {options} tank vault");
            let Ok(Command::Run(arguments)) = parse(line.split_whitespace().map(str::to_owned))
            else {
                panic!("{line}");
            };
            let root: DatasetName = "tank".parse().unwrap();
            let all = ["tank", "tank/home", "tank/home/ann", "tank/vms"];
            let is_meant = |name: &&str| {
                let dataset = Dataset::new(name.parse().unwrap(), Guid(1));
                is_meant(&arguments, &root, &dataset)
            };
            all.into_iter().filter(is_meant).collect()
        };
        for (options, expected) in [
            ("", &["tank"][..]),
            ("-r", &["tank", "tank/home", "tank/home/ann", "tank/vms"]),
            (
                "-r --include-datasets=/home",
                &["tank/home", "tank/home/ann"],
            ),
            ("-r --include-datasets=/home$", &["tank/home"]),
            (
                "-r --include-datasets=^tank/home$ --include-datasets=vms",
                &["tank/home", "tank/vms"],
            ),
            (
                "-r --include-datasets=/home --exclude-datasets=ann",
                &["tank/home"],
            ),
            ("-r --exclude-datasets=home", &["tank", "tank/vms"]),
            ("--include-datasets=home", &[]),
        ] {
            assert_eq!(meant(options), expected, "{options}");
        }
    }
}
