//! A run: the jobs of a file, one after the other.

use std::collections::HashMap;
use std::path::Path;
use std::time::SystemTime;

use anyhow::Context;
use jiff::Timestamp;
use zfs_core::{Guid, Zfs};
use zfs_replicate::endpoint::{Endpoint, Local, trees};
use zfs_replicate::execute::{Cancel, Executor, Retries};
use zfs_replicate::plan::{Options, plan};
use zfs_replicate::tree::{Dataset, Tree};

use super::config::{Config, Job, Target};
use super::keep_streams::KeepStreams;
use super::observe::{Observed, failed, tell_plan};
use super::prune::{Facts, Prune, Side};
use super::report::{Planned, Record, Reporter};
use super::{pretend, take};

/// Whether it is done or only told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is done.
    Real,
    /// It is told.
    Dry,
}

/// One run over a file.
pub struct Run<'a> {
    zfs: Zfs,
    local: Local,
    reporter: &'a Reporter,
    mode: Mode,
    keep_streams: Option<KeepStreams>,
    cancel: Cancel,
}

impl<'a> Run<'a> {
    /// On this system's ZFS.
    ///
    /// # Errors
    ///
    /// There is no ZFS, or the folder for streams cannot be used.
    pub fn new(
        reporter: &'a Reporter,
        mode: Mode,
        keep_streams: Option<&Path>,
        cancel: Cancel,
    ) -> anyhow::Result<Run<'a>> {
        let zfs = Zfs::open()?;
        let keep_streams = keep_streams
            .map(|folder| {
                KeepStreams::new(folder)
                    .with_context(|| format!("cannot keep streams in {}", folder.display()))
            })
            .transpose()?;
        Ok(Run {
            local: Local::new(zfs.clone()),
            zfs,
            reporter,
            mode,
            keep_streams,
            cancel,
        })
    }

    /// Runs every job. What fails is told, and the rest goes on.
    pub fn run(&self, config: &Config) {
        for job in &config.jobs {
            if self.cancel.is_cancelled() {
                return;
            }
            self.job(job);
        }
    }

    fn job(&self, job: &Job) {
        let Some(mut source) = self.list(job, "list", &job.source, None) else {
            return;
        };
        if source.datasets.is_empty() {
            let error = anyhow::anyhow!("there is no dataset {}", job.source);
            let name = Some(job.source.as_str());
            self.reporter
                .tell(&job.name, &failed("list", name, None, error));
            return;
        }
        // In a dry run the facts of snapshots that are not there yet.
        let mut pretended = HashMap::new();
        self.snapshot(job, &mut source, &mut pretended);

        let mut targets = Vec::new();
        for target in &job.targets {
            if self.cancel.is_cancelled() {
                return;
            }
            let tree = self.replicate(job, target, &mut source);
            targets.extend(tree.map(|tree| (target, tree)));
        }
        if self.cancel.is_cancelled() {
            return;
        }
        self.prune(job, source, targets, &pretended);
    }

    fn list(
        &self,
        job: &Job,
        stage: &'static str,
        root: &zfs_core::DatasetName,
        target: Option<&str>,
    ) -> Option<Tree> {
        match self.local.tree(root) {
            Ok(tree) => Some(tree),
            Err(error) => {
                let name = Some(job.source.as_str());
                self.reporter
                    .tell(&job.name, &failed(stage, name, target, error));
                None
            }
        }
    }

    fn snapshot(&self, job: &Job, tree: &mut Tree, pretended: &mut HashMap<Guid, Facts>) {
        let about = Some(job.source.as_str());
        let tell_failed = |error: zfs_core::Error| {
            let record = failed("snapshot", about, None, error);
            self.reporter.tell(&job.name, &record);
        };
        let creation = |name: &zfs_core::SnapshotName| self.zfs.snapshot_creation(name);
        match take::is_due(job, tree, SystemTime::now(), creation) {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return tell_failed(error),
        }
        if self.mode == Mode::Dry {
            return self.pretend_snapshot(job, tree, pretended);
        }
        let taken = match take::take(&self.zfs, job, tree) {
            Ok(taken) => taken,
            Err(error) => return tell_failed(error),
        };
        let Some(listed) = self.list(job, "snapshot", &job.source, None) else {
            return;
        };
        *tree = listed;
        for name in &taken {
            let guid = tree
                .get(name.dataset())
                .and_then(|dataset| dataset.snapshots.iter().find(|s| s.name == *name))
                .map_or(Guid(0), |snapshot| snapshot.guid);
            self.reporter.tell(
                &job.name,
                &Record::Snapshot {
                    dataset: name.dataset().as_str(),
                    snapshot: name.as_str(),
                    guid: guid.to_string(),
                },
            );
        }
    }

    fn pretend_snapshot(&self, job: &Job, tree: &mut Tree, pretended: &mut HashMap<Guid, Facts>) {
        let now = Timestamp::now();
        let name = take::free_name(&job.prefix, now, tree);
        for snapshot in pretend::snapshots(tree, &name) {
            let facts = Facts {
                creation: now,
                holds: 0,
                clones: 0,
            };
            pretended.insert(snapshot.guid, facts);
            let planned = Planned {
                step: "snapshot",
                dataset: snapshot.name.dataset().as_str(),
                what: format!("take {}", snapshot.name),
                why: "the job takes one in this run".to_owned(),
                reason: "due",
                to: Some(snapshot.name.to_string()),
                ..Planned::default()
            };
            self.reporter.tell(&job.name, &Record::Plan(planned));
        }
    }

    /// Replicates to one target. In a dry run both trees are changed to what
    /// they would be; the target's is returned.
    fn replicate(&self, job: &Job, target: &Target, source: &mut Tree) -> Option<Tree> {
        let about = (Some(job.source.as_str()), Some(target.dataset.as_str()));
        let mut tree = self.list(job, "list", &target.dataset, about.1)?;
        let observed = Observed::new(self.reporter, &job.name, self.keep_streams.as_ref());
        let planned = |source: &Tree, tree: &Tree| {
            let options = Options::new().marker(&target.identifier);
            let plan = plan(source, tree, &options)?;
            tell_plan(self.reporter, &job.name, &plan);
            Ok::<_, zfs_replicate::Error>(plan)
        };
        let result = match self.mode {
            Mode::Dry => planned(source, &tree).map(|plan| {
                observed.refused(&plan);
                pretend::carry_out(&plan, &target.identifier, source, &mut tree);
            }),
            Mode::Real => {
                let mut listed = Some((&*source, &tree));
                // Each round after the first looks again at both sides.
                let round = || {
                    if let Some((source, tree)) = listed.take() {
                        return planned(source, tree);
                    }
                    let ends = (&self.local as &dyn Endpoint, &source.root);
                    let (source, tree) = trees(ends, (&self.local, &target.dataset))?;
                    planned(&source, &tree)
                };
                let retries = Retries {
                    times: job.sending.retries,
                    ..Retries::default()
                };
                let executor = self.executor(job, target, &observed);
                executor.run_with_retries(retries, round).map(|_| ())
            }
        };
        observed.end();
        if let Err(error) = result {
            self.reporter
                .tell(&job.name, &failed("plan", about.0, about.1, error));
            return None;
        }
        Some(tree)
    }

    fn executor<'e>(
        &'e self,
        job: &Job,
        target: &Target,
        observed: &'e Observed<'_>,
    ) -> Executor<'e> {
        let mut executor = Executor::new(&self.local, &self.local, observed)
            .cancel(self.cancel.clone())
            .jobs(job.sending.jobs)
            .sign(target.identifier.clone());
        if job.sending.verify {
            executor = executor.verify();
        }
        if let Some(keep) = &self.keep_streams {
            executor = executor.tap(keep);
        }
        executor
    }

    /// Prunes both sides, by what is there after the transfers.
    fn prune(
        &self,
        job: &Job,
        source: Tree,
        targets: Vec<(&Target, Tree)>,
        pretended: &HashMap<Guid, Facts>,
    ) {
        let prune = Prune {
            zfs: &self.zfs,
            reporter: self.reporter,
            job: &job.name,
            mode: self.mode,
            known: pretended,
        };
        let now = |tree: Tree, target: Option<&str>| match self.mode {
            Mode::Dry => Some(tree),
            Mode::Real => self.list(job, "prune", &tree.root, target),
        };
        let Some(source) = now(source, None) else {
            return;
        };
        if let Some(keep) = &job.keep {
            prune.tree(keep, Side::Source(job), &source, |_| true);
        }
        for (target, tree) in targets {
            let Some(keep) = &target.keep else {
                continue;
            };
            let Some(tree) = now(tree, Some(target.dataset.as_str())) else {
                continue;
            };
            // What the source no longer has is nobody's to prune.
            let has_source = |dataset: &Dataset| {
                let path = dataset.name.strip_prefix(&tree.root);
                let name = path.and_then(|path| source.root.join(path).ok());
                name.is_some_and(|name| source.get(&name).is_some())
            };
            prune.tree(keep, Side::Target, &tree, has_source);
        }
    }
}
