//! The demo itself, on the system it runs on: this is what runs inside the
//! ZFS machine, and on the host where that was asked for.
//!
//! ```text
//! fill site-a → 3 × (change → zfs-pipeline run) → [tamper] → open both read-only → compare → table
//! ```

use std::path::PathBuf;
use std::thread;

use anyhow::{Context as _, Result, bail};

use super::changes;
use super::compare::{Sides, differences, quoted};
use super::events::{Sent, StreamKind};
use super::fill::{self, Recipe, Rights};
use super::interrupt::Interrupt;
use super::pipeline::{Ending, KillAt, Pipeline, Report, TOML};
use super::pools::{
    DATASETS, DISK, DISK_BYTES, FILES, Pools, SITE_A, SITE_B, TREE, VAULT, on, snapshots,
};
use super::resume::{Accounting, Token, raw_stream_bytes};
use super::scan::scan;
use super::steps::Steps;
use super::table::{Row, render, size};
use super::tamper::tamper;
use super::volume;
use crate::vm::Interrupted;

const ROUNDS: u64 = 3;
const SEED: u64 = 0x5eed;
const PLAIN_FILES: u64 = 2000;
/// What is written to the zvol at first; the rest of it stays a hole.
const DISK_FILLED_BYTES: u64 = 24 << 20;
/// More differences than this are counted, not shown.
const SHOWN_DIFFERENCES: usize = 50;

/// What to do, once it is clear where.
#[derive(Debug)]
pub struct Plan {
    /// Where `zfs-pipeline` is.
    pub bin_dir: PathBuf,
    pub tamper: bool,
    pub kill_at: Option<u8>,
    pub keep_streams: Option<PathBuf>,
    /// The size of the vault's large file, whose stream is the largest.
    pub largest_bytes: u64,
}

/// Whether both sides are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Identical,
    Different,
}

/// Runs the demo from the first pool to the last.
pub fn run(plan: &Plan) -> Result<Verdict> {
    if Rights::of_this_process() != Rights::Root {
        bail!("making pools needs root: run this with sudo, or without --host in the ZFS machine");
    }
    let interrupt = Interrupt::catch()?;
    let steps = Steps::begin();
    let pools = Pools::create()?;
    steps.say(format_args!(
        "two pools, {SITE_A} and {SITE_B}, in {}",
        pools.path().display()
    ));
    let pipeline = Pipeline::new(&plan.bin_dir, pools.path())?;
    let mut demo = Demo {
        plan,
        interrupt,
        steps,
        pools,
        pipeline,
        sent: Vec::new(),
        arrived_before_kill: None,
    };
    let verdict = demo.play();
    let Demo { steps, pools, .. } = demo;
    if let Err(error) = &verdict {
        let how = if error.is::<Interrupted>() {
            "interrupted"
        } else {
            "failed"
        };
        steps.say(format_args!("{how}: taking the pools away"));
    }
    let closed = pools.close();
    let verdict = verdict?;
    closed?;
    steps.say("pools and files removed");
    Ok(verdict)
}

struct Demo<'a> {
    plan: &'a Plan,
    interrupt: Interrupt,
    steps: Steps,
    pools: Pools,
    pipeline: Pipeline,
    /// The streams of all runs that arrived.
    sent: Vec<Sent>,
    /// What the killed stream had brought: its dataset and bytes.
    arrived_before_kill: Option<(String, u64)>,
}

impl Demo<'_> {
    fn play(&mut self) -> Result<Verdict> {
        self.pools.create_datasets()?;
        self.fill()?;
        println!("The pipeline:\n");
        for line in TOML.lines() {
            println!("    {line}");
        }
        println!();
        for round in 1..=ROUNDS {
            self.change(round)?;
            match self.plan.kill_at {
                Some(percent) if round == 1 => self.replicate_with_a_kill(percent)?,
                _ => self.replicate(round)?,
            }
        }
        self.check_that_encrypted_went_raw()?;
        if self.plan.tamper {
            let dataset = on(SITE_B, FILES);
            let tampered = tamper(&dataset, &self.pools.mountpoint(&dataset))?;
            self.steps.say(format_args!(
                "tampered with {dataset}: byte {} of {}",
                tampered.offset,
                quoted(&tampered.path)
            ));
        }
        self.pools.open_read_only()?;
        self.steps.say("both sides opened anew, read-only");
        self.compare()
    }

    fn mountpoint(&self, dataset: &str) -> PathBuf {
        self.pools.mountpoint(&on(SITE_A, dataset))
    }

    fn disk(&self, site: &str) -> Result<PathBuf> {
        volume::device(&on(site, DISK), &self.interrupt)
    }

    fn recipes(&self) -> [(&'static str, Recipe); 2] {
        [
            (
                FILES,
                Recipe {
                    seed: SEED,
                    files: PLAIN_FILES,
                    large_file_bytes: 0,
                    sparse_files: 8,
                },
            ),
            (
                VAULT,
                Recipe {
                    seed: SEED + 1,
                    files: 100,
                    large_file_bytes: self.plan.largest_bytes,
                    sparse_files: 1,
                },
            ),
        ]
    }

    fn fill(&self) -> Result<()> {
        for (dataset, recipe) in self.recipes() {
            let bar = Steps::count(dataset, recipe.files);
            let root = self.mountpoint(dataset);
            fill::fill(&root, recipe, Rights::Root, &self.interrupt, || bar.inc(1))?;
            bar.finish_and_clear();
            self.steps.say(format_args!(
                "{}: {} files and what goes with them",
                on(SITE_A, dataset),
                recipe.files
            ));
        }
        let device = self.disk(SITE_A)?;
        volume::fill(&device, DISK_FILLED_BYTES, SEED + 2, &self.interrupt)?;
        self.steps.say(format_args!(
            "{}: {} of {} written through {}",
            on(SITE_A, DISK),
            size(DISK_FILLED_BYTES),
            size(DISK_BYTES),
            device.display()
        ));
        Ok(())
    }

    fn change(&self, round: u64) -> Result<()> {
        let mut count = 0;
        for (dataset, recipe) in self.recipes() {
            count += changes::change(
                &self.mountpoint(dataset),
                recipe.seed,
                round,
                Rights::Root,
                &self.interrupt,
            )?;
        }
        let device = self.disk(SITE_A)?;
        volume::change(&device, DISK_BYTES, SEED + 2, round)?;
        self.steps.say(format_args!(
            "round {round}: {count} changes to files, and writes to the zvol"
        ));
        Ok(())
    }

    fn replicate(&mut self, round: u64) -> Result<()> {
        match self.run_pipeline(&format!("round-{round}"), None)? {
            Ending::Done(report) => {
                self.take_in(&format!("round {round}"), report);
                Ok(())
            }
            Ending::Killed(..) => bail!("zfs-pipeline was killed unasked"),
        }
    }

    fn replicate_with_a_kill(&mut self, percent: u8) -> Result<()> {
        let source = on(SITE_A, VAULT);
        let kill_at = KillAt {
            dataset: source.clone(),
            percent,
        };
        let ending = self.run_pipeline("round-1-killed", Some(&kill_at))?;
        let Ending::Killed(report, progress) = ending else {
            bail!("zfs-pipeline ended before it could be killed");
        };
        self.steps.say(format_args!(
            "zfs-pipeline killed (SIGKILL) when it had sent {} of an estimated {} of {source} ({} %)",
            progress.bytes,
            progress.estimate,
            u128::from(progress.bytes) * 100 / u128::from(progress.estimate.max(1))
        ));
        self.sent.extend(report.sent);
        let token = Token::of(&on(SITE_B, VAULT))?;
        self.steps.say(format_args!(
            "the resume token of {} says {} bytes of {} have arrived",
            on(SITE_B, VAULT),
            token.bytes,
            token.toname
        ));
        self.arrived_before_kill = Some((source.clone(), token.bytes));
        let whole = raw_stream_bytes(&token.toname, &self.interrupt)?;
        let Ending::Done(report) = self.run_pipeline("round-1-resumed", None)? else {
            bail!("zfs-pipeline was killed unasked");
        };
        let sent_after = report
            .sent
            .iter()
            .filter(|sent| sent.dataset == source)
            .map(|sent| sent.bytes)
            .sum();
        let resumed_at = report.resumed.iter().find(|(name, _)| *name == source);
        match resumed_at {
            Some((_, bytes)) if *bytes == token.bytes => {}
            Some((_, bytes)) => bail!(
                "zfs-pipeline says it resumed {source} at {bytes} bytes, the token said {}",
                token.bytes
            ),
            None => bail!("zfs-pipeline did not resume {source}"),
        }
        self.take_in("round 1, run again", report);
        self.check_that_the_largest_was_killed(whole)?;
        let accounting = Accounting {
            whole,
            arrived: token.bytes,
            sent_after,
        };
        accounting.check()?;
        println!(
            "Killed at {percent} %: the whole stream is {whole} bytes, {} had arrived, {} were missing;\n\
             sent after the kill: {sent_after} bytes (limit {} with 5 %).\n",
            token.bytes,
            whole - token.bytes,
            accounting.limit()
        );
        Ok(())
    }

    /// The kill is promised for the largest transfer: if another stream was
    /// larger, this demo is wrong about itself.
    fn check_that_the_largest_was_killed(&self, whole: u64) -> Result<()> {
        match self.sent.iter().find(|sent| sent.bytes > whole) {
            Some(larger) => bail!(
                "the stream that was killed has {whole} bytes, but that of {} had {}: --largest is too small",
                larger.dataset,
                larger.bytes
            ),
            None => Ok(()),
        }
    }

    fn run_pipeline(&mut self, name: &str, kill_at: Option<&KillAt>) -> Result<Ending> {
        let keep = self.plan.keep_streams.as_ref().map(|dir| dir.join(name));
        self.pipeline.run(keep.as_deref(), kill_at, &self.interrupt)
    }

    fn take_in(&mut self, what: &str, report: Report) {
        let bytes = report.sent.iter().map(|sent| sent.bytes).sum();
        self.steps.say(format_args!(
            "{what}: {} snapshots taken, {} streams with {} sent, {} snapshots pruned",
            report.snapshots,
            report.sent.len(),
            size(bytes),
            report.destroyed
        ));
        self.sent.extend(report.sent);
    }

    fn check_that_encrypted_went_raw(&self) -> Result<()> {
        let vault = on(SITE_A, VAULT);
        match self
            .sent
            .iter()
            .find(|sent| sent.dataset == vault && !sent.raw)
        {
            Some(sent) => bail!("a stream of {vault} was not raw: {sent:?}"),
            None => Ok(()),
        }
    }

    fn compare(&self) -> Result<Verdict> {
        let mut rows = Vec::new();
        let mut found = Vec::new();
        for dataset in DATASETS {
            let mut row = self.sent_row(dataset);
            let mut here = compare_snapshots(dataset, &mut row)?;
            match dataset {
                TREE => {}
                DISK => here.extend(self.compare_disks(&mut row)?),
                _ => here.extend(self.compare_files(dataset, &mut row)?),
            }
            row.differences = here.len();
            self.steps.say(format_args!(
                "{dataset}: {} files and {} compared",
                row.files,
                size(row.compared_bytes)
            ));
            rows.push(row);
            found.extend(here);
        }
        println!("{}", render(&rows));
        for difference in found.iter().take(SHOWN_DIFFERENCES) {
            println!("{difference}");
        }
        if found.len() > SHOWN_DIFFERENCES {
            println!("and {} more", found.len() - SHOWN_DIFFERENCES);
        }
        Ok(if found.is_empty() {
            println!("Both sides are identical.");
            Verdict::Identical
        } else {
            println!("{SITE_A} and {SITE_B} differ.");
            Verdict::Different
        })
    }

    /// The row with what was sent. A resumed stream counts as the one that
    /// it goes on with, and so does what arrived before it was interrupted.
    fn sent_row(&self, dataset: &str) -> Row {
        let source = on(SITE_A, dataset);
        let mut row = Row {
            dataset: dataset.to_owned(),
            ..Row::default()
        };
        for sent in self.sent.iter().filter(|sent| sent.dataset == source) {
            let is_full = match sent.kind {
                StreamKind::Full => true,
                StreamKind::Incremental => false,
                StreamKind::Resume => sent.from.is_none(),
            };
            if is_full {
                row.full_bytes += sent.bytes;
            } else {
                row.incremental_bytes += sent.bytes;
            }
            row.timed_bytes += sent.bytes;
            row.seconds += sent.seconds;
        }
        if let Some((_, bytes)) = self
            .arrived_before_kill
            .as_ref()
            .filter(|(killed, _)| *killed == source)
        {
            row.full_bytes += bytes;
        }
        row
    }

    fn compare_files(&self, dataset: &str, row: &mut Row) -> Result<Vec<String>> {
        let bar = Steps::bytes("comparing", 0);
        let read = |site: &str| {
            let root = self.pools.mountpoint(&on(site, dataset));
            scan(&root, &bar, &self.interrupt)
        };
        let (ours, theirs) = thread::scope(|scope| {
            let theirs = scope.spawn(|| read(SITE_B));
            (read(SITE_A), theirs.join())
        });
        bar.finish_and_clear();
        let ours = ours?;
        let theirs = theirs
            .map_err(|_| anyhow::anyhow!("the thread that read {SITE_B} panicked"))
            .and_then(|tree| tree)
            .with_context(|| format!("cannot compare {dataset}"))?;
        row.files = ours.files;
        row.compared_bytes = ours.bytes;
        let sides = Sides {
            left: SITE_A,
            right: SITE_B,
        };
        Ok(differences(&ours, &theirs, sides)
            .iter()
            .map(|difference| format!("{}: {difference}", on(SITE_B, dataset)))
            .collect())
    }

    fn compare_disks(&self, row: &mut Row) -> Result<Vec<String>> {
        let devices = [self.disk(SITE_A)?, self.disk(SITE_B)?];
        let bar = Steps::bytes("comparing", 2 * DISK_BYTES);
        let compared = volume::compare(&devices[0], &devices[1], &bar, &self.interrupt)?;
        bar.finish_and_clear();
        row.compared_bytes = compared.bytes[0];
        Ok(if compared.is_same() {
            Vec::new()
        } else {
            vec![format!(
                "{}: {} and {} bytes, BLAKE3 {} on {SITE_A}, {} on {SITE_B}, first difference at byte {}",
                on(SITE_B, DISK),
                compared.bytes[0],
                compared.bytes[1],
                compared.hashes[0],
                compared.hashes[1],
                compared
                    .first_difference
                    .map_or_else(|| "-".to_owned(), |offset| offset.to_string())
            )]
        })
    }
}

/// The newest snapshot must be the same one, by GUID, on both sides: what is
/// compared below it is then the state that a restore would give.
fn compare_snapshots(dataset: &str, row: &mut Row) -> Result<Vec<String>> {
    let ours = snapshots(&on(SITE_A, dataset))?;
    let theirs = snapshots(&on(SITE_B, dataset))?;
    row.snapshots = [ours.len(), theirs.len()];
    Ok(match (ours.last(), theirs.last()) {
        (Some(ours), Some(theirs)) if ours == theirs => Vec::new(),
        (ours, theirs) => {
            let show = |snapshot: Option<&(String, String)>| {
                snapshot.map_or_else(
                    || "none".to_owned(),
                    |(name, guid)| format!("@{name} (guid {guid})"),
                )
            };
            vec![format!(
                "{}: the newest snapshot is {} on {SITE_A}, {} on {SITE_B}",
                on(SITE_B, dataset),
                show(ours),
                show(theirs)
            )]
        }
    })
}
