//! sanoid's command line, carried out.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use jiff::{Timestamp, tz::TimeZone};
use zfs_core::{ListCache, Zfs};
use zfs_retention::conf::Conf;

use super::health;
use super::lock::{self, Task};
use super::monitor::{self, Level, Report};
use super::prune::Prune;
use super::say::{Loudness, Say};
use super::site::Site;
use super::take::Take;
use super::usable_conf;
use crate::exit::{Exit, UsageError};
use crate::lock::{Acquired, Holder};
use crate::output::duration;

/// sanoid's options. With none but folders given it does --cron --verbose.
// Each is a switch of sanoid's.
#[allow(clippy::struct_excessive_bools)]
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Take what is due, then destroy what is not kept
    #[arg(long)]
    cron: bool,

    /// Take what is due
    #[arg(long)]
    take_snapshots: bool,

    /// Destroy what is not kept
    #[arg(long)]
    prune_snapshots: bool,

    /// Are the newest snapshots young enough? One line and an exit code for
    /// Nagios
    #[arg(long)]
    monitor_snapshots: bool,

    /// Are the pools of the configured datasets well? As above
    #[arg(long)]
    monitor_health: bool,

    /// Do those pools have room? As above
    #[arg(long)]
    monitor_capacity: bool,

    /// The folder of sanoid.conf
    #[arg(long, value_name = "DIR", default_value = "/etc/sanoid")]
    configdir: PathBuf,

    /// The folder for the list of snapshots, which saves time and nothing else
    #[arg(long, value_name = "DIR", default_value = "/var/cache/sanoid")]
    cache_dir: PathBuf,

    /// The folder for locks
    #[arg(long, value_name = "DIR", default_value = "/var/run/sanoid")]
    run_dir: PathBuf,

    /// Accepted for compatibility; no effect: what is cached is right exactly
    /// while nothing changed, whatever its age
    #[arg(long, value_name = "SECONDS")]
    cache_ttl: Option<u64>,

    /// Change nothing, tell what would be done
    #[arg(long, visible_alias = "dry-run")]
    readonly: bool,

    /// List everything anew
    #[arg(long)]
    force_update: bool,

    /// Accepted for compatibility; no effect
    #[arg(long)]
    force_prune: bool,

    /// Tell also what each dataset's settings come down to, and what it has
    #[arg(long)]
    debug: bool,

    /// One JSON object for each thing done
    #[arg(long)]
    json: bool,
}

/// What else decides how much is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Voice {
    /// `--verbose`.
    pub verbose: bool,
    /// `--quiet`.
    pub quiet: bool,
}

impl Options {
    /// Whether nothing but folders was given.
    fn is_bare(&self, voice: Voice) -> bool {
        let given = [
            self.cron,
            self.take_snapshots,
            self.prune_snapshots,
            self.monitor_snapshots,
            self.monitor_health,
            self.monitor_capacity,
            self.cache_ttl.is_some(),
            self.readonly,
            self.force_update,
            self.force_prune,
            self.debug,
            self.json,
            voice.verbose,
            voice.quiet,
        ];
        given.iter().all(|given| !given)
    }

    /// Whether anything was asked for. By itself --force-update has sanoid
    /// renew its list of snapshots; ours is never out of date.
    fn acts(&self) -> bool {
        let given = [
            self.cron,
            self.take_snapshots,
            self.prune_snapshots,
            self.monitor_snapshots,
            self.monitor_health,
            self.monitor_capacity,
            self.force_update,
        ];
        given.iter().any(|given| *given)
    }

    /// What is cached stays right where it is not looked at.
    fn cache(&self) -> Option<ListCache> {
        (!self.force_update).then(|| ListCache::new(&self.cache_dir))
    }

    /// What is told of a run that was asked for so.
    fn loudness(&self, voice: Voice) -> Loudness {
        if self.json {
            Loudness::Json
        } else if voice.quiet && self.cron {
            // sanoid's --quiet is about --cron alone.
            Loudness::Quiet
        } else if self.debug {
            Loudness::Debug
        } else if voice.verbose {
            Loudness::Verbose
        } else {
            Loudness::Quiet
        }
    }
}

/// Does what the options say.
///
/// # Errors
///
/// Nothing was asked for, the configuration is not usable, or there is no ZFS.
/// What fails on the way is told, and makes it [`Exit::Failed`].
pub fn run(options: &Options, voice: Voice) -> anyhow::Result<Exit> {
    let mut options = options.clone();
    let mut voice = voice;
    if options.is_bare(voice) {
        options.cron = true;
        voice.verbose = true;
    }
    if !options.acts() {
        let text = "nothing to do: give --cron, --take-snapshots, --prune-snapshots or one of \
                    --monitor-snapshots, --monitor-health, --monitor-capacity (with no option \
                    but folders it is --cron --verbose)";
        return Err(UsageError(text.to_owned()).into());
    }
    if options.force_prune {
        eprintln!("zfs-autosnap: --force-prune is what is always done, and not needed");
    }
    if options.monitor_snapshots || options.monitor_health || options.monitor_capacity {
        let report = monitor(&options).unwrap_or_else(|error| Report {
            level: Level::Unknown,
            line: format!(
                "UNKNOWN: {}",
                crate::exit::sentence(&error).replace('\n', "; ")
            ),
        });
        let _ = writeln!(std::io::stdout(), "{}", report.line);
        return Ok(Exit::Code(report.level.code()));
    }
    Run::new(&options, voice)?.carry_out()
}

/// Nagios wants one answer. sanoid gives the first that was asked for, in this
/// order.
fn monitor(options: &Options) -> anyhow::Result<Report> {
    let conf = usable_conf(&options.configdir)?;
    let zfs = Zfs::open()?;
    if options.monitor_snapshots {
        let site = Site::observe(&zfs, &conf, options.cache().as_ref());
        return Ok(monitor::snapshots(&site, Timestamp::now()));
    }
    // Every pool has a section, or one below it.
    let configured = conf.expand_as_written();
    Ok(if options.monitor_health {
        health::report(&zfs, &configured)
    } else {
        monitor::capacity(&zfs, &configured)
    })
}

struct Run<'a> {
    options: &'a Options,
    conf: Conf,
    zfs: Zfs,
    zone: TimeZone,
    say: Say,
}

impl<'a> Run<'a> {
    fn new(options: &'a Options, voice: Voice) -> anyhow::Result<Run<'a>> {
        let conf = usable_conf(&options.configdir)?;
        let say = Say::new(options.loudness(voice));
        if !voice.quiet {
            for warning in conf.warnings() {
                eprintln!("zfs-autosnap: {warning}");
            }
        }
        Ok(Run {
            options,
            conf,
            zfs: Zfs::open()?,
            zone: TimeZone::system(),
            say,
        })
    }

    fn carry_out(&self) -> anyhow::Result<Exit> {
        let takes = self.options.cron || self.options.take_snapshots;
        let prunes = self.options.cron || self.options.prune_snapshots;
        let mut site = None;
        if takes {
            // Looked at with the lock held, so that nothing is taken twice.
            if let Some(_lock) = self.lock(Task::Taking)? {
                let seen = self.observe();
                self.take(&seen);
                site = Some(seen);
            }
        }
        if prunes {
            let site = match site {
                Some(site) => site,
                None => self.observe(),
            };
            self.prune(&site)?;
        }
        Ok(Exit::done_if(self.say.failures() == 0))
    }

    fn observe(&self) -> Site {
        let cache = self.options.cache();
        let site = Site::observe(&self.zfs, &self.conf, cache.as_ref());
        for dataset in &site.datasets {
            self.say.debug(dataset);
        }
        // Several sections can meet the same error.
        let mut told = BTreeSet::new();
        for unseen in &site.unseen {
            if told.insert(&unseen.error) {
                let left = "nothing that it hides is taken or pruned";
                let text = format!("{}; {left}", unseen.error);
                self.say.failed(&unseen.root, text);
            }
        }
        site
    }

    fn lock(&self, task: Task) -> anyhow::Result<Option<Lock>> {
        if self.options.readonly {
            return Ok(Some(Lock(None)));
        }
        match lock::acquire(&self.options.run_dir, task)? {
            Acquired::Lock(lock) => Ok(Some(Lock(Some(lock)))),
            Acquired::Busy(holder) => {
                self.leave(task, holder);
                Ok(None)
            }
        }
    }

    /// Another process is at it. That is no failure, unless it never ends.
    fn leave(&self, task: Task, holder: Option<Holder>) {
        let what = match task {
            Task::Taking => "taking snapshots",
            Task::Pruning => "pruning",
        };
        let Some(holder) = holder.filter(|holder| holder.held > task.patience()) else {
            self.say.info(format_args!(
                "another process is at it: {what} is left to it"
            ));
            return;
        };
        let (id, held) = (holder.id, duration(holder.held));
        let path = holder.path.display();
        let text = format!(
            "{what} is left to process {id}, which has had {path} for {held}: does it hang? \
             (ps -o stat,etime,wchan:32,args -p {id})"
        );
        self.say.failed(&path, text);
    }

    fn take(&self, site: &Site) {
        self.say.info("taking snapshots");
        let take = Take {
            zfs: &self.zfs,
            say: &self.say,
            site,
            zone: &self.zone,
            readonly: self.options.readonly,
        };
        take.run(now());
    }

    fn prune(&self, site: &Site) -> anyhow::Result<()> {
        self.say.info("pruning snapshots");
        let prune = Prune {
            zfs: &self.zfs,
            say: &self.say,
            site,
            zone: &self.zone,
            readonly: self.options.readonly,
        };
        let now = now();
        let wanted = prune.wanted(now);
        if wanted.is_empty() {
            return Ok(());
        }
        if let Some(_lock) = self.lock(Task::Pruning)? {
            prune.run(wanted, now);
        }
        Ok(())
    }
}

/// A lock, or what stands for one where nothing is changed.
struct Lock(#[expect(dead_code, reason = "held until it is dropped")] Option<lock::Lock>);

/// Whole seconds, as ZFS counts: a snapshot is not older than a count allows
/// for a part of one.
fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or(Timestamp::UNIX_EPOCH)
}
